/* SPDX-License-Identifier: MIT */
/*
 * What the files of the fake KVM's arm64 half share, and what tests may look at or do in the guest's place.
 * All of it under the fake's lock, or while no vCPU thread runs.
 */
#ifndef LKVM_TEST_FAKE_ARM_H
#define LKVM_TEST_FAKE_ARM_H

#include "fake-kvm-priv.h"

#define FAKE_GIC_UNDEF	 (~0ull) /* an address not given yet, as the kernel shows it */
#define FAKE_GIC_PRIVATE 32u
#define FAKE_GIC_SPIS	 960u
#define FAKE_GIC_REGIONS 8u
#define FAKE_LPI_MIN	 8192u
#define FAKE_PSTATE_EL1H 0x3c5u
#define FAKE_PSTATE_SVC	 0x1d3u

/* Which part of KVM an interrupt belongs to: nobody else raises it. */
enum fake_owner { FAKE_NOBODY, FAKE_VTIMER, FAKE_PTIMER, FAKE_PMU };

struct fake_irq {
	bool group, enabled, pending, active, edge;
	bool level; /* of the line; `pending` is the latch */
	u8 priority, targets, source;
	u8 owner; /* enum fake_owner */
	u32 route;
};

/* A vCPU's interface: its private interrupts, its redistributor, its CPU registers. */
struct fake_gic_cpu {
	struct fake_irq irq[FAKE_GIC_PRIVATE];
	u64 redist; /* where it is: FAKE_GIC_UNDEF until there is room */
	u32 region, index;
	bool lpis;
	u64 pendbaser;
	u32 ctlr, pmr, bpr0, bpr1, grpen0, grpen1;
	u64 apr0, apr1;
	u32 pri_bits, id_bits; /* as GICC_CTLR shows them; may be lowered */
};

/* count 0: made by the older attribute, and as long as there are vCPUs. */
struct fake_region {
	u64 base;
	u32 count, used;
};

struct fake_gic {
	u32 type; /* KVM_DEV_TYPE_ARM_VGIC_V2 or _V3; 0: there is none */
	u64 dist, cpu;
	struct fake_region region[FAKE_GIC_REGIONS];
	u32 nr_regions;
	u32 nr_spis;
	bool initialized, ready, enabled;
	bool groups_writable; /* GICv2: GICD_IIDR was written */
	bool has_its;
	u32 revision;
	u64 propbaser;
	struct fake_irq spi[FAKE_GIC_SPIS];
};

struct fake_arm_vm {
	u32 ipa_bits;
	bool ran; /* some vCPU did */
	bool features_known;
	int pmu;				/* 0: the default one */
	u32 features;				/* of every vCPU, KVM_ARM_VCPU_POWER_OFF apart */
	struct kvm_pmu_event_filter filter[16]; /* as they were set, of all vCPUs */
	u32 nr_filters;
	struct fake_gic gic;
	struct {
		u32 base, n, action;
	} smccc[8];
	u32 nr_smccc;
};

struct fake_reg {
	u64 id;
	u32 offset; /* into values */
	bool fixed; /* may be written, with what it has */
};

struct fake_arm_vcpu {
	bool initialized, sve_final;
	u32 features;
	int vtimer_irq, ptimer_irq, pmu_irq; /* pmu_irq 0: none */
	bool timers_on, pmu_made;
	u64 pvtime; /* FAKE_GIC_UNDEF: none */
	struct kvm_vcpu_events events;
	struct fake_reg *reg;
	u32 nr_regs, sve_vq;
	u8 *values;
	u32 value_bytes;
	struct fake_gic_cpu gic;
};

static inline struct fake_arm_vm *fake_arm(const struct fake_vm *vm)
{
	return vm->arch;
}

static inline struct fake_arm_vcpu *fake_arm_cpu(const struct fake_vcpu *vcpu)
{
	return vcpu->arch;
}

static inline bool fake_arm_feature(const struct fake_vcpu *vcpu, u32 feature)
{
	return fake_arm_cpu(vcpu)->features >> feature & 1;
}

/* fake-arm-vcpu.c */
int fake_arm_vcpu_ready(struct fake_vcpu *vcpu); /* timers and PMU at the first KVM_RUN */
bool fake_arm_running(const struct fake_vm *vm); /* some vCPU is inside KVM_RUN */
/* The guest's PSCI CPU_ON and CPU_OFF. Takes the lock itself. */
void fake_arm_power(struct fake_vcpu *vcpu, bool on);

/* fake-arm-regs.c */
void fake_arm_regs_reset(struct fake_vcpu *vcpu);
int fake_arm_one_reg(struct fake_vcpu *vcpu, bool set, const void *arg);
int fake_arm_reg_list(struct fake_vcpu *vcpu, void *arg);
/* The affinity fields of MPIDR_EL1; 0 before KVM_ARM_VCPU_INIT. */
u64 fake_arm_affinity(const struct fake_vcpu *vcpu);
/* A register's value for a test, or NULL: 4, 8, 16 or more bytes. */
void *fake_arm_reg(const struct fake_vcpu *vcpu, u64 id);

/* fake-gic.c: what GICv2 and GICv3 have in common */
int fake_gic_create(struct fake_vm *vm, u32 type);
int fake_gic_init(struct fake_vm *vm);
void fake_gic_cpu_init(struct fake_gic_cpu *cpu);
/* The checks of a frame's place; old is where it is already. */
int fake_gic_place(const struct fake_vm *vm, u64 old, u64 base, u64 align, u64 size);
/* The first KVM_RUN: 0, or why there can be none; then the VM is dead. */
int fake_gic_map(struct fake_vm *vm);
/* NULL: no such interrupt. vcpu matters below 32 only. */
struct fake_irq *fake_gic_irq(struct fake_vm *vm, struct fake_vcpu *vcpu, u32 intid);
int fake_gic_inject(struct fake_vm *vm, struct fake_vcpu *vcpu, u32 intid, bool level, u8 owner);
int fake_gic_own(struct fake_vm *vm, struct fake_vcpu *vcpu, u32 intid, u8 owner);
u32 fake_gic_iidr(const struct fake_gic *gic);
int fake_gic_set_iidr(struct fake_gic *gic, u32 val);
/* NR_IRQS and CTRL. */
int fake_gic_set_common(struct fake_device *dev, const struct kvm_device_attr *attr);
int fake_gic_get_common(struct fake_device *dev, const struct kvm_device_attr *attr);
/*
 * Registers with a field for each interrupt, at the same offsets in all distributors and redistributors:
 * false when there is none at offset. first: the lowest interrupt that the word is about.
 */
bool fake_gic_field(const struct fake_gic *gic, u32 offset, u32 *first);
u32 fake_gic_read(struct fake_vm *vm, struct fake_vcpu *vcpu, u32 offset);
void fake_gic_write(struct fake_vm *vm, struct fake_vcpu *vcpu, u32 offset, u32 val);

/* fake-gicv3.c */
int fake_gicv3_vcpu_check(const struct fake_vm *vm); /* whether one more vCPU's redistributor can be placed */
void fake_gicv3_vcpu_place(struct fake_vcpu *vcpu);
int fake_gicv3_map(struct fake_vm *vm);
struct fake_vcpu *fake_gicv3_cpu_of(struct fake_vm *vm, u64 affinity);

/* fake-gicv3-cpu.c */
bool fake_gicv3_has_sysreg(u64 attr);
int fake_gicv3_sysreg(struct fake_gic_cpu *cpu, const struct kvm_device_attr *attr, bool write);

/* fake-its.c */
int fake_its_msi(struct fake_vm *vm, const struct kvm_msi *msi);
int fake_its_save_pending(struct fake_vm *vm);
/*
 * The guest's MAPC, MAPD and MAPTI: the device's event becomes that LPI of the vCPU by way of a collection.
 * itt: guest address of the device's translation table, of 2^bits events. Takes the lock itself.
 */
struct fake_lpi {
	u32 device, event, lpi, collection, vcpu;
	u64 itt;
	u32 bits;
	bool pending;
};
void fake_its_map(struct fake_vm *vm, const struct fake_lpi *lpi);
/* What has become of it, or NULL. */
struct fake_lpi *fake_its_find(struct fake_vm *vm, u32 device, u32 event);

extern const struct fake_device_type fake_gicv2, fake_gicv3, fake_its;

#endif

/* SPDX-License-Identifier: MIT */
/* What the files of arm/ share. Nobody outside includes it. */
#ifndef LKVM_ARM_ARM_H
#define LKVM_ARM_ARM_H

#include "abi.h"
#include <lkvm/fdt.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <lkvm/state.h>

struct boot_image;

/* kvm->arch */
struct arm_machine {
	u32 ipa_bits;		   /* guest physical address width */
	struct kvm_vcpu_init init; /* target and features, the same for every vCPU; POWER_OFF apart */
	bool init_known;
	void *pvtime_mem; /* stolen time, at ARM_PVTIME; NULL: none */
	gpa_t entry;	  /* where vCPU 0 starts */
	gpa_t dtb;
	u64 dtb_size;
	gpa_t kernel_end;	/* what the image takes, its BSS included */
	bool kernel_size_known; /* by the image's own header */
	gpa_t initrd;
	u64 initrd_size;
};

static inline struct arm_machine *arm_of(const struct kvm *kvm)
{
	return kvm->arch;
}

static inline bool arm_has_feature(const struct kvm *kvm, u32 feature)
{
	return arm_of(kvm)->init.features[feature / 32] >> (feature % 32) & 1;
}

/* vcpu.c */
u32 arm_vcpu_id(const struct kvm *kvm, u32 index);
int arm_vcpu_init(struct vcpu *vcpu);
void arm_vcpu_free(struct vcpu *vcpu);
int arm_vcpu_reset(struct vcpu *vcpu);
int arm_vcpu_exit(struct vcpu *vcpu);
int arm_vcpu_scratch(int vm_fd, int vcpu_fd);
/* KVM_GET_ONE_REG and KVM_SET_ONE_REG: 0 or -errno. */
int __must_check arm_get_reg(int vcpu_fd, u64 id, void *value);
int __must_check arm_set_reg(int vcpu_fd, u64 id, const void *value);
/* The affinity fields of a vCPU's MPIDR_EL1: Aff3 in bits 39:32, Aff2 to Aff0 in bits 23:0. */
int __must_check arm_vcpu_affinity(const struct vcpu *vcpu, u64 *affinity);

/* vcpu-attrs.c: what a vCPU is given by attributes, once the irqchip is ready; and their tables */
int __must_check arm_vcpus_finalize(struct kvm *kvm);
int arm_pmu_filter_option(void *cfg, const struct cli_option *opt, const char *arg); /* checks its words */
extern const struct kvm_attr_table arm_vcpu_attrs, arm_vm_attrs;

/* vcpu-state.c */
void arm_vcpu_dump(struct vcpu *vcpu, struct buf *out);
int arm_vcpu_state(struct vcpu *vcpu, struct state *s);

/* boot.c, fdt.c */
int arm_boot(struct kvm *kvm, struct boot_image *img);
/* Writes the device tree into guest RAM between low and high, and to --dump-dtb. Sets dtb, dtb_size. */
int __must_check arm_fdt_write(struct kvm *kvm, gpa_t low, gpa_t high);
#define ARM_FDT_MAX MiB(2)

/* The irqchips, one file a family. */
extern const struct irqchip_ops arm_gicv2, arm_gicv2m, arm_gicv3, arm_gicv3_its;
extern const struct kvm_attr_table arm_gicv2_attrs, arm_gicv3_attrs, arm_its_attrs;

#endif

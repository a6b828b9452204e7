/* SPDX-License-Identifier: MIT */
/*
 * What the files of the fake KVM's powerpc half share, and what tests may look at or do in the guest's place.
 * All of it under the fake's lock, or while no vCPU thread runs.
 */
#ifndef LKVM_TEST_FAKE_PPC_H
#define LKVM_TEST_FAKE_PPC_H

#include "fake-kvm-priv.h"

/* The kernel's own numbers of XICS and XIVE sources: blocks of 1,024. */
#define FAKE_XICS_FIRST	  16u
#define FAKE_XICS_SOURCES 0x100000u
#define FAKE_SOURCES	  2048u /* that the fake keeps */
#define FAKE_XIVE_QUEUES  8u
/* MPIC: sources, of which the IPIs follow the last; vCPUs; registers of messages. */
#define FAKE_MPIC_SOURCES 256u
#define FAKE_MPIC_IPI	  FAKE_MPIC_SOURCES
#define FAKE_MPIC_ALL	  (FAKE_MPIC_SOURCES + 4)
#define FAKE_MPIC_CPUS	  32u
#define FAKE_MPIC_MSI	  224u /* the source of the first of 8 */
/* The TLB by KVM_CAP_SW_TLB: 512 and 16 are an e500v2's own. */
#define FAKE_TLB_MAX 1024u

/* What kind of host it is: one with Book3S HV, or with an e500v2. */
enum fake_ppc_kind { FAKE_BOOK3S, FAKE_E500 };

/* A source of XICS (book3s_xics.h, struct ics_irq_state). */
struct fake_source {
	bool exists, lsi, p, q, resend, masked_pending;
	u32 server;
	u8 priority, saved_priority;
};

struct fake_xics {
	bool on_xive; /* it has GRP_CTRL, and reads of sources come in full rounds */
	u32 nr_servers, reads;
	bool connected;
	struct fake_source source[FAKE_SOURCES];
};

/* A presenter of XICS. */
struct fake_icp {
	bool there;
	u32 server, xisr;
	u8 cppr, mfrr, pending;
};

/* A source of XIVE; pq as the ESB has them: P is 2, Q is 1. */
struct fake_xive_source {
	bool valid, lsi, asserted, masked;
	u32 server, eisn;
	u8 priority, pq;
	u32 syncs, notified;
};

struct fake_xive {
	u32 nr_servers;
	u32 resets, eq_syncs;
	bool connected;
	struct fake_xive_source source[FAKE_SOURCES];
};

/* A source of MPIC, or an IPI. */
struct fake_mpic_source {
	u32 ivpr; /* without its activity bit */
	u32 idr, ilr;
	u32 to; /* an IPI's: the vCPUs that have it to take yet */
	bool pending;
};

struct fake_mpic {
	bool v4;
	u64 base;
	u32 gcr, svr, tfrr;
	u32 nr_cpus, connected; /* a bit each */
	struct fake_mpic_source src[FAKE_MPIC_ALL];
	u32 msir[8];
	u8 ctpr[FAKE_MPIC_CPUS];
	bool in_service[FAKE_MPIC_CPUS][FAKE_MPIC_ALL];
	u32 resets;
};

struct fake_ppc_vm {
	enum fake_ppc_kind kind;
	struct fake_device *xics, *xive, *mpic; /* priv: the types' own */
	u32 hcall[64];				/* those that KVM_CAP_PPC_ENABLE_HCALL switched on */
	u32 nr_hcalls;
	struct kvm_rtas_token_args token[32];
	u32 nr_tokens;
	struct kvm_ppc_mmuv3_cfg mmu;
	bool mmu_set;
	bool dawr1;
};

struct fake_ppc_reg {
	u64 id;
	u8 val[16];
};

struct fake_ppc_vcpu {
	bool papr;
	u32 irq_cap; /* the capability by which a controller was connected; 0: none */
	u32 server;
	struct fake_icp icp;
	struct kvm_ppc_xive_eq eq[FAKE_XIVE_QUEUES];
	u64 vp[2];
	u64 junk; /* what the kernel's stack has to say */
	u32 mpic_cpu;
	/* KVM_CAP_SW_TLB: user memory, and what the kernel has seen of it (KVM_DIRTY_TLB). */
	u64 tlb_addr;
	u32 tlb_size, dirtied;
	struct kvm_book3e_206_tlb_entry tlb[FAKE_TLB_MAX];
	struct kvm_regs regs;
	struct kvm_sregs sregs; /* of an e500v2 */
	bool watchdog;
	struct fake_ppc_reg reg[512]; /* those that were set */
	u32 nr_regs;
};

static inline struct fake_ppc_vm *fake_ppc(const struct fake_vm *vm)
{
	return vm->arch;
}

static inline struct fake_ppc_vcpu *fake_ppc_cpu(const struct fake_vcpu *vcpu)
{
	return vcpu->arch;
}

static inline struct fake_xics *fake_xics_of(const struct fake_vm *vm)
{
	return fake_ppc(vm)->xics ? fake_ppc(vm)->xics->priv : NULL;
}

static inline struct fake_xive *fake_xive_of(const struct fake_vm *vm)
{
	return fake_ppc(vm)->xive ? fake_ppc(vm)->xive->priv : NULL;
}

static inline struct fake_mpic *fake_mpic_of(const struct fake_vm *vm)
{
	return fake_ppc(vm)->mpic ? fake_ppc(vm)->mpic->priv : NULL;
}

/* fake-kvm-ppc.c */
/* What the host is, until reset; before anything is opened. */
void fake_ppc_host(enum fake_ppc_kind kind);
/* The device that an fd in KVM_ENABLE_CAP's arguments is, of that type: or NULL and -EBADF or -EPERM in *err.
 */
struct fake_device *fake_ppc_device(const struct fake_vm *vm, u64 fd, const struct fake_device_type *type,
				    int *err);

/* fake-ppc-vcpu.c */
/* A register's value, made with zeroes when it was never set. */
void *fake_ppc_reg(const struct fake_vcpu *vcpu, u64 id);
struct fake_vcpu *fake_ppc_server(const struct fake_vm *vm, u32 server);

/* fake-xics.c */
int fake_xics_connect(struct fake_vcpu *vcpu, u64 fd, u64 server);
int fake_xics_line(struct fake_vm *vm, u32 irq, bool level);
int fake_xics_get_icp(struct fake_vcpu *vcpu, u64 addr);
int fake_xics_set_icp(struct fake_vcpu *vcpu, u64 addr);
/* The guest: ibm,set-xive, H_CPPR, H_XIRR and H_EOI. */
void fake_xics_set_xive(struct fake_vm *vm, u32 irq, u32 server, u8 priority);
void fake_xics_cppr(struct fake_vcpu *vcpu, u8 cppr);
u32 fake_xics_accept(struct fake_vcpu *vcpu);
void fake_xics_eoi(struct fake_vcpu *vcpu, u32 xirr);

/* fake-xive.c */
int fake_xive_connect(struct fake_vcpu *vcpu, u64 fd, u64 server);
int fake_xive_line(struct fake_vm *vm, u32 irq, bool level);
int fake_xive_vp(struct fake_vcpu *vcpu, bool set, u64 addr);
/* A load from a source's management page, a store to its trigger page. */
u64 fake_xive_load(struct fake_vm *vm, u32 source, u32 offset);
void fake_xive_trigger(struct fake_vm *vm, u32 source);

/* fake-mpic.c */
int fake_mpic_connect(struct fake_vcpu *vcpu, u64 fd, u64 cpu);
/* A GSI, by the routing table: a pin's level, or a message. */
void fake_mpic_gsi(struct fake_vm *vm, u32 gsi, bool level);
void fake_mpic_message(struct fake_vm *vm, u32 data);
/* The guest's accesses, `at` from the base; acknowledging an interrupt and ending it. */
void fake_mpic_write(struct fake_vm *vm, u32 at, u32 v);
u32 fake_mpic_read(struct fake_vm *vm, u32 at);
u32 fake_mpic_accept(struct fake_vm *vm, u32 cpu);
void fake_mpic_eoi(struct fake_vm *vm, u32 cpu);

/* fake-e500-vcpu.c: what of a vCPU is the e500v2's alone. */
void fake_e500_init(struct fake_vcpu *vcpu);
int fake_e500_config_tlb(struct fake_vcpu *vcpu, u64 addr);
int fake_e500_dirty_tlb(struct fake_vcpu *vcpu, const void *arg);
int fake_e500_get_sregs(struct fake_vcpu *vcpu, void *arg);
int fake_e500_set_sregs(struct fake_vcpu *vcpu, const void *arg);
bool fake_e500_waits(const struct fake_vcpu *vcpu);

extern const struct fake_device_type fake_xics_type, fake_xive_type, fake_mpic_20_type, fake_mpic_42_type;

#endif

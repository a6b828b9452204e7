/* SPDX-License-Identifier: MIT */
/*
 * What the files of the pseries machine share: hypercalls, RTAS, the device tree and the vCPUs' power.
 *
 * PAPR below is the "Linux on Power Architecture Reference", whose chapters 7 (RTAS) and 14 (logical
 * partitioning) these follow.
 */
#ifndef LKVM_POWERPC_PSERIES_H
#define LKVM_POWERPC_PSERIES_H

#include "powerpc.h"
#include <stdatomic.h>

struct pseries {
	struct ppc_machine m;
	bool radix;    /* how the guest's MMU works; else by a hash table */
	bool dawr1;    /* the guest has a second watchpoint: KVM_CAP_PPC_DAWR1 */
	u32 hpt_order; /* log2 of the hash table's bytes */
	u32 smt;       /* vCPU ids of one core: KVM_CAP_PPC_SMT */
	u32 pvr;       /* of the processor, as the guest reads it */
	gpa_t rtas;    /* where RTAS was put */
	/*
	 * The part of LPCR that the guest chose by H_SET_MODE. Each vCPU takes it over when its generation is
	 * not this one, before it runs.
	 */
	_Atomic u64 lpcr;
	_Atomic u32 lpcr_generation;
	/* What H_REGISTER_PROC_TBL gave to KVM, as KVM has it; 0 before. */
	_Atomic u64 process_table, process_table_flags;
	_Atomic s64 clock_offset; /* seconds of the guest's clock beside the host's: set-time-of-day */
};

static inline struct pseries *pseries_of(const struct kvm *kvm)
{
	return kvm->arch;
}

/* ---- vCPUs: pseries-vcpu.c ------------------------------------------------------------------------ */

#define MSR_SF (1ull << 63) /* 64 bits */
#define MSR_ME (1ull << 12) /* machine checks */
#define MSR_RI (1ull << 1)
#define MSR_LE (1ull << 0)

#define LPCR_ILE       (1ull << 25) /* interrupts are taken in little-endian mode */
#define LPCR_AIL       (3ull << 23) /* where they are taken: 3, with translation on */
#define LPCR_AIL_SHIFT 23

/* How a vCPU stands, as RTAS has it. Only one that is stopped can be started. */
enum pseries_power {
	POWER_STOPPED,
	POWER_CLAIMED,	/* start-cpu is about to say where */
	POWER_STARTING, /* it did; the vCPU's thread has not looked yet */
	POWER_ON,
};

struct pseries_vcpu {
	_Atomic u32 power;	 /* enum pseries_power */
	u64 start_pc, start_arg; /* written while CLAIMED, read while STARTING */
	/* Its own thread's alone. */
	u32 lpcr_generation;
	bool hcall_open; /* it stopped in a hypercall, which KVM has yet to complete */
};

int pseries_vcpu_init(struct vcpu *vcpu);
void pseries_vcpu_free(struct vcpu *vcpu);
int pseries_vcpu_reset(struct vcpu *vcpu);
void pseries_vcpu_enter(struct vcpu *vcpu);
int pseries_vcpu_exit(struct vcpu *vcpu);
int pseries_vcpu_nmi(struct vcpu *vcpu);
int pseries_vcpu_state(struct vcpu *vcpu, struct state *s);
/* The vCPU with that id, or NULL. */
struct vcpu *pseries_vcpu_by_id(const struct kvm *kvm, u64 id);
enum pseries_power pseries_power_of(const struct vcpu *vcpu);
/* -EBUSY: it is not stopped. Any vCPU's thread. */
int __must_check pseries_vcpu_start(struct vcpu *vcpu, u64 pc, u64 arg);
/* Its own thread, in a hypercall. */
void pseries_vcpu_stop_self(struct vcpu *vcpu);
/* Sets the guest's part of LPCR, everywhere. 0, or -ENOTSUP: KVM does not let it. Any vCPU's thread. */
int __must_check pseries_set_lpcr(struct vcpu *vcpu, u64 mask, u64 bits);

/* ---- hypercalls: hcall.c, vterm.c ------------------------------------------------------------------- */

enum {
	H_SUCCESS = 0,
	H_BUSY = 1,
	H_HARDWARE = -1,
	H_FUNCTION = -2,
	H_PARAMETER = -4,
	H_P2 = -55,
	H_P3 = -56,
	H_P4 = -57,
	H_P5 = -58,
	H_UNSUPPORTED = -67,
};

/* KVM_EXIT_PAPR_HCALL: always answers. */
void pseries_hcall(struct vcpu *vcpu);
/* Hands the hypercalls that KVM can answer to it. 0 or -errno after one logged line. */
int __must_check pseries_hcalls_enable(struct kvm *kvm);

/* H_PUT_TERM_CHAR's and H_GET_TERM_CHAR's work: characters in two words, the first in the topmost byte. */
long vterm_put(struct kvm *kvm, u64 unit, u64 len, const u64 word[2]);
long vterm_get(struct kvm *kvm, u64 unit, u64 *len, u64 word[2]);
extern const struct device_ops vterm_ops;
/* The node of a terminal, in /vdevice. */
void vterm_describe(const struct device *dev, struct fdt *fdt);

/* ---- boot and the device tree ------------------------------------------------------------------------ */

int pseries_boot(struct kvm *kvm, struct boot_image *img);
/* Writes the device tree into guest RAM at or above low, below high, and to --dump-dtb. Sets dtb, dtb_size.
 */
int __must_check pseries_fdt_write(struct kvm *kvm, gpa_t low, gpa_t high);
/* The cpus node. */
int __must_check pseries_describe_cpus(struct kvm *kvm, struct fdt *fdt);

#endif

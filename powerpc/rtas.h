/* SPDX-License-Identifier: MIT */
/*
 * RTAS, the run-time abstraction services (PAPR 7): what a guest calls as firmware. In the guest's memory lie
 * a few instructions that make a hypercall of it (rtas.c); a service is a row of a table.
 *
 * A token is a row's place: so a file with services of its own adds a table to rtas_tables[], and no more.
 */
#ifndef LKVM_POWERPC_RTAS_H
#define LKVM_POWERPC_RTAS_H

#include <lkvm/types.h>

struct fdt;
struct kvm;
struct vcpu;

/* PAPR 7.2.8, table 8: the first value that a service returns. */
enum {
	RTAS_OK = 0,
	RTAS_HARDWARE = -1,
	RTAS_BUSY = -2,
	RTAS_PARAMETER = -3,
};

#define RTAS_CELLS_MAX 16
/* The longest report of an error or an event. */
#define RTAS_ERROR_LOG_MAX 2048

/* One call: everything in the host's byte order, and a copy. ret[0] is the status. */
struct rtas_call {
	struct vcpu *vcpu;
	u32 nr_args, nr_rets;
	u32 arg[RTAS_CELLS_MAX];
	u32 ret[RTAS_CELLS_MAX]; /* zeroes, to be filled in */
};

struct rtas_service {
	const char *name; /* of the property in /rtas that holds its token */
	/*
	 * How many cells it may be called with, both bounds included; calls with others are answered with
	 * RTAS_PARAMETER before they come here. At least one is returned.
	 */
	u8 args_min, args_max, rets_min, rets_max;
	/* On the caller's thread, no lock held. NULL: the kernel's own (KVM_PPC_RTAS_DEFINE_TOKEN). */
	void (*fn)(struct rtas_call *call);
	/* Whether a VM has it; NULL: each one. */
	bool (*present)(const struct kvm *kvm);
};

/* Each ends with a row without a name. */
extern const struct rtas_service rtas_base_services[], rtas_epow_services[], rtas_pci_services[];

static inline void rtas_status(struct rtas_call *call, int status)
{
	call->ret[0] = (u32)status;
}

/* What a call's two cells make, the first being the upper half. */
static inline u64 rtas_arg64(const struct rtas_call *call, u32 first)
{
	return (u64)call->arg[first] << 32 | call->arg[first + 1];
}

/* The hypercall, by the guest-physical address of the argument buffer: H_SUCCESS or H_PARAMETER. */
long rtas_hcall(struct vcpu *vcpu, u64 args_gpa);
/* Tells the kernel the tokens of the services that are its own. 0 or -errno after one logged line. */
int __must_check rtas_define_tokens(struct kvm *kvm);
/* Puts the instructions into guest RAM at gpa, below 4 GiB; RTAS_SIZE bytes are its own from then on. */
int __must_check rtas_load(struct kvm *kvm, u64 gpa);
#define RTAS_SIZE 0x10000u
/* The node /rtas. */
void rtas_describe(const struct kvm *kvm, struct fdt *fdt);

#endif

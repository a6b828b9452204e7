/* SPDX-License-Identifier: MIT */
/*
 * A vCPU of the pseries machine: its registers for the start, how it is started and stopped (RTAS's start-cpu
 * and stop-self, PAPR 7.3.8), and the part of LPCR that is the same for all of them.
 *
 * KVM on powerpc knows no vCPU that is switched off. One that is waits in vcpu_enter(), on its own thread,
 * for a signal: start-cpu sends one, and so does each request (vcpu.c). With a request it goes into KVM_RUN
 * with immediate_exit set, which runs nothing of the guest, and so comes to where requests are looked at.
 *
 * No ioctl of another vCPU's fd while that one may run: KVM would have it wait until it comes out. What
 * others are to change in a vCPU its own thread does, before it goes back in.
 */
#include "pseries.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSTEM_RESET_VECTOR 0x100

static struct pseries_vcpu *to_pseries(const struct vcpu *vcpu)
{
	return vcpu->arch;
}

/* ---- what it is ---------------------------------------------------------------------------------- */

static int read_pvr(struct vcpu *vcpu)
{
	struct kvm_sregs *sregs = calloc(1, sizeof(*sregs));
	int err = sregs ? kvm_ioctl(vcpu->fd, KVM_GET_SREGS, sregs) : -ENOMEM;

	if (err < 0)
		log_error("vcpu %u: KVM_GET_SREGS: %s", vcpu->index, strerror(-err));
	else
		pseries_of(vcpu->kvm)->pvr = sregs->pvr;
	free(sregs);
	return err < 0 ? err : 0;
}

int pseries_vcpu_init(struct vcpu *vcpu)
{
	struct pseries_vcpu *v = calloc(1, sizeof(*v));
	int err;

	if (!v) {
		log_error("vcpu %u: out of memory", vcpu->index);
		return -ENOMEM;
	}
	vcpu->arch = v;
	err = ppc_vcpu_enable_cap(vcpu, KVM_CAP_PPC_PAPR, 0, 0);
	if (err) {
		log_error("vcpu %u: KVM_CAP_PPC_PAPR: %s", vcpu->index, strerror(-err));
		return err;
	}
	return vcpu->index ? 0 : read_pvr(vcpu);
}

void pseries_vcpu_free(struct vcpu *vcpu)
{
	free(vcpu->arch);
	vcpu->arch = NULL;
}

struct vcpu *pseries_vcpu_by_id(const struct kvm *kvm, u64 id)
{
	for (u32 i = 0; i < kvm->nr_vcpus; i++)
		if (kvm->vcpu[i].id == id)
			return &kvm->vcpu[i];
	return NULL;
}

enum pseries_power pseries_power_of(const struct vcpu *vcpu)
{
	return (enum pseries_power)atomic_load(&to_pseries(vcpu)->power);
}

/* ---- LPCR ---------------------------------------------------------------------------------------- */

/* Takes over what the guest chose: 0, -ENOTSUP when KVM keeps another value, -errno. */
static int apply_lpcr(struct vcpu *vcpu)
{
	struct pseries *p = pseries_of(vcpu->kvm);
	struct pseries_vcpu *v = to_pseries(vcpu);
	u32 generation = atomic_load(&p->lpcr_generation);
	u64 want = atomic_load(&p->lpcr), now;
	int err = ppc_get_reg(vcpu->fd, KVM_REG_PPC_LPCR_64, &now);

	if (!err) {
		now = (now & ~(LPCR_ILE | LPCR_AIL)) | want;
		err = ppc_set_reg(vcpu->fd, KVM_REG_PPC_LPCR_64, &now);
	}
	if (!err)
		err = ppc_get_reg(vcpu->fd, KVM_REG_PPC_LPCR_64, &now);
	v->lpcr_generation = generation;
	if (!err && (now & (LPCR_ILE | LPCR_AIL)) != want)
		err = -ENOTSUP;
	return err;
}

int pseries_set_lpcr(struct vcpu *vcpu, u64 mask, u64 bits)
{
	struct pseries *p = pseries_of(vcpu->kvm);
	u64 old = atomic_load(&p->lpcr);
	int err;

	while (!atomic_compare_exchange_weak(&p->lpcr, &old, (old & ~mask) | bits))
		;
	atomic_fetch_add(&p->lpcr_generation, 1);
	err = apply_lpcr(vcpu);
	if (err) {
		atomic_store(&p->lpcr, old);
		atomic_fetch_add(&p->lpcr_generation, 1);
		return err;
	}
	for (u32 i = 0; i < vcpu->kvm->nr_vcpus; i++)
		if (&vcpu->kvm->vcpu[i] != vcpu)
			vcpu_request(&vcpu->kvm->vcpu[i], VCPU_INJECT);
	return 0;
}

/* ---- start and stop -------------------------------------------------------------------------------- */

/*
 * Big-endian, translation and interrupts off, as PAPR's firmware leaves it (and Linux's head_64.S finds out
 * by itself). Of the others PAPR says nothing; a vCPU that is started anew keeps what it had.
 */
static int set_start(struct vcpu *vcpu, u64 pc, u64 arg)
{
	struct kvm_regs regs;
	int err = kvm_ioctl(vcpu->fd, KVM_GET_REGS, &regs);

	if (err >= 0) {
		memset(regs.gpr, 0, sizeof(regs.gpr));
		regs.pc = pc;
		regs.msr = MSR_SF | MSR_ME;
		regs.gpr[3] = arg;
		err = kvm_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
	}
	if (err < 0)
		log_error("vcpu %u: its registers: %s", vcpu->index, strerror(-err));
	return err < 0 ? err : 0;
}

/* Linux's head_64.S, flat device tree: r3 the tree, r4 0, r5 0 (no Open Firmware). */
int pseries_vcpu_reset(struct vcpu *vcpu)
{
	const struct ppc_machine *m = ppc_of(vcpu->kvm);
	struct pseries_vcpu *v = to_pseries(vcpu);

	if (vcpu->index) {
		atomic_store(&v->power, POWER_STOPPED);
		return 0;
	}
	atomic_store(&v->power, POWER_ON);
	return set_start(vcpu, m->entry, m->dtb);
}

int pseries_vcpu_start(struct vcpu *vcpu, u64 pc, u64 arg)
{
	struct pseries_vcpu *v = to_pseries(vcpu);
	u32 was = POWER_STOPPED;

	if (!atomic_compare_exchange_strong(&v->power, &was, POWER_CLAIMED))
		return -EBUSY;
	v->start_pc = pc;
	v->start_arg = arg;
	atomic_store(&v->power, POWER_STARTING);
	vcpu_request(vcpu, VCPU_INJECT);
	return 0;
}

void pseries_vcpu_stop_self(struct vcpu *vcpu)
{
	struct pseries_vcpu *v = to_pseries(vcpu);

	v->hcall_open = true;
	atomic_store(&v->power, POWER_STOPPED);
}

/* KVM puts a hypercall's results into registers at the next KVM_RUN, before it looks at immediate_exit. */
static void finish_hcall(struct vcpu *vcpu)
{
	int err;

	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	err = kvm_ioctl(vcpu->fd, KVM_RUN, NULL);
	if (err != -EINTR)
		log_error("vcpu %u: KVM_RUN of a stopped vCPU: %s", vcpu->index, strerror(-err));
	to_pseries(vcpu)->hcall_open = false;
}

static void wait_for_start(struct vcpu *vcpu)
{
	struct pseries_vcpu *v = to_pseries(vcpu);
	sigset_t all, old;

	/* Blocked while we look, and let in by sigsuspend(), which no signal can so come before. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	while (atomic_load(&v->power) < POWER_STARTING && !atomic_load(&vcpu->requests) &&
	       atomic_load(&vcpu->kvm->end) == VM_RUNNING)
		sigsuspend(&old);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void pseries_vcpu_enter(struct vcpu *vcpu)
{
	struct pseries *p = pseries_of(vcpu->kvm);
	struct pseries_vcpu *v = to_pseries(vcpu);

	if (atomic_load_explicit(&v->power, memory_order_relaxed) != POWER_ON) {
		if (v->hcall_open)
			finish_hcall(vcpu);
		wait_for_start(vcpu);
		if (atomic_load(&v->power) == POWER_STARTING) {
			__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
			if (set_start(vcpu, v->start_pc, v->start_arg))
				kvm_end(vcpu->kvm, VM_HOST_ERROR, 0);
			atomic_store(&v->power, POWER_ON);
			if (atomic_load(&vcpu->requests))
				__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		} else {
			__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		}
	}
	if (v->lpcr_generation != atomic_load_explicit(&p->lpcr_generation, memory_order_relaxed) &&
	    apply_lpcr(vcpu) == -ENOTSUP)
		log_debug(vcpu->kvm->log, "vcpu %u: KVM keeps its own LPCR", vcpu->index);
}

/* ---- exits ------------------------------------------------------------------------------------------ */

int pseries_vcpu_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_PAPR_HCALL:
		pseries_hcall(vcpu);
		return 1;
	}
	return 0;
}

/* The vCPU is parked. */
static int system_reset(struct vcpu *vcpu)
{
	u64 lpcr = atomic_load(&pseries_of(vcpu->kvm)->lpcr);
	struct kvm_regs regs;
	int err = kvm_ioctl(vcpu->fd, KVM_GET_REGS, &regs);

	if (err < 0)
		return err;
	regs.srr0 = regs.pc;
	regs.srr1 = regs.msr;
	regs.pc = SYSTEM_RESET_VECTOR;
	regs.msr = MSR_SF | MSR_ME | (lpcr & LPCR_ILE ? MSR_LE : 0);
	err = kvm_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
	return err < 0 ? err : 0;
}

/* A system reset interrupt (Power ISA, book III, 7.5.1): it takes the guest to its debugger or its crash
 * dump. */
int pseries_vcpu_nmi(struct vcpu *vcpu)
{
	int err = -EAGAIN;

	if (kvm_pause(vcpu->kvm) && pseries_power_of(vcpu) == POWER_ON)
		err = system_reset(vcpu);
	kvm_resume(vcpu->kvm);
	return err;
}

/* ---- state ------------------------------------------------------------------------------------------ */

/* The SLB of a hash guest, which a radix guest leaves empty. */
static void walk_slb(struct vcpu *vcpu, struct state *s)
{
	struct kvm_sregs *sregs = calloc(1, sizeof(*sregs));
	int err = sregs ? kvm_ioctl(vcpu->fd, KVM_GET_SREGS, sregs) : -ENOMEM;
	u32 pvr = err < 0 ? 0 : sregs->pvr, saved = pvr;

	state_u32(s, "pvr", &saved);
	if (err >= 0 && saved != pvr)
		state_fail(s, -EINVAL, "pvr", "saved with 0x%x, this processor has 0x%x", saved, pvr);
	for (u32 i = 0; i < ARRAY_SIZE(sregs->u.s.ppc64.slb) && err >= 0 && !s->err; i++) {
		u64 e = sregs->u.s.ppc64.slb[i].slbe, v = sregs->u.s.ppc64.slb[i].slbv;
		char name[16];

		if (state_printing(s) && !e)
			continue;
		snprintf(name, sizeof(name), "slb%u_e", i);
		state_u64(s, name, &e);
		snprintf(name, sizeof(name), "slb%u_v", i);
		state_u64(s, name, &v);
		sregs->u.s.ppc64.slb[i].slbe = e;
		sregs->u.s.ppc64.slb[i].slbv = v;
	}
	if (err >= 0 && state_reading(s) && !s->err)
		err = kvm_ioctl(vcpu->fd, KVM_SET_SREGS, sregs);
	if (err < 0)
		state_fail(s, err, "slb", "%s", strerror(-err));
	free(sregs);
}

/* What the guest as a whole has chosen; it is with the first vCPU. */
static void walk_guest(struct kvm *kvm, struct state *s)
{
	struct pseries *p = pseries_of(kvm);
	struct kvm_ppc_mmuv3_cfg cfg;
	u64 lpcr = atomic_load(&p->lpcr), table = atomic_load(&p->process_table);
	u64 flags = atomic_load(&p->process_table_flags), clock = (u64)atomic_load(&p->clock_offset);
	bool radix;
	int err = 0;

	state_must_match(s, "radix", p->radix);
	state_u64(s, "lpcr_guest", &lpcr);
	state_u64(s, "process_table", &table);
	state_u64(s, "process_table_flags", &flags);
	state_u64(s, "clock_offset", &clock);
	if (!state_reading(s) || s->err)
		return;
	if (lpcr & ~(LPCR_ILE | LPCR_AIL)) {
		state_fail(s, -EBADMSG, "lpcr_guest", "0x%" PRIx64, lpcr);
		return;
	}
	/* KVM takes either kind of a guest, and turns the one into the other. */
	radix = flags & KVM_PPC_MMUV3_RADIX;
	if ((table || flags) && radix != p->radix) {
		state_fail(s, -EBADMSG, "process_table_flags", "0x%" PRIx64 " in a %s guest", flags,
			   p->radix ? "radix" : "hash");
		return;
	}
	atomic_store(&p->lpcr, lpcr);
	atomic_fetch_add(&p->lpcr_generation, 1);
	atomic_store(&p->clock_offset, (s64)clock);
	cfg = (struct kvm_ppc_mmuv3_cfg){.flags = flags, .process_table = table};
	if (table || flags)
		err = kvm_ioctl(kvm->vm_fd, KVM_PPC_CONFIGURE_V3_MMU, &cfg);
	if (err < 0)
		state_fail(s, err, "process_table", "KVM_PPC_CONFIGURE_V3_MMU: %s", strerror(-err));
	atomic_store(&p->process_table, table);
	atomic_store(&p->process_table_flags, flags);
}

int pseries_vcpu_state(struct vcpu *vcpu, struct state *s)
{
	struct pseries_vcpu *v = to_pseries(vcpu);
	u32 power = atomic_load(&v->power);

	state_begin(s, "processor", 1);
	state_u32(s, "power", &power);
	state_u64(s, "start_pc", &v->start_pc);
	state_u64(s, "start_arg", &v->start_arg);
	if (power > POWER_ON || power == POWER_CLAIMED)
		state_fail(s, -EBADMSG, "power", "%u", power);
	if (!vcpu->index)
		walk_guest(vcpu->kvm, s);
	walk_slb(vcpu, s);
	state_end(s);
	if (s->err)
		return s->err;
	atomic_store(&v->power, power);
	return ppc_vcpu_state(vcpu, s);
}

/* SPDX-License-Identifier: MIT */
/*
 * A vCPU of the e500 machine: its TLB, which lies in our memory (KVM_CAP_SW_TLB, api.rst 8.12), its registers
 * for the start (ePAPR 1.1, 5.4 and 5.5.2), how a secondary one waits for it, and its state.
 *
 * A vCPU that has not been let go is inside KVM_RUN like any other, asleep by MSR[WE]; so requests reach it,
 * and nobody pays for it. Its own thread gives it its registers once the spin table has let it go.
 */
#include "e500-layout.h"
#include "e500.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPAPR_MAGIC 0x45504150u
#define MSR_WE	    (1u << 18)

/* MAS registers of one TLB entry (PowerISA 2.06, book III-E, 6.10.3). */
#define MAS1_VALID    0x80000000u
#define MAS1_IPROT    0x40000000u
#define MAS1_TSIZE(n) ((u32)(n) << 7) /* 1 KiB << n */
#define MAS2_M	      0x4u
#define MAS3_ALL      0x3fu /* the supervisor and users may read, write and execute */

#define TLB_256M 18u
#define TLB_64M	 16u
#define TLB_16M	 14u

static u32 ima_tsize(const struct kvm *kvm)
{
	u64 ram = guest_ram_size(&kvm->mem);

	return ram >= MiB(256) ? TLB_256M : ram >= MiB(64) ? TLB_64M : TLB_16M;
}

static u64 tsize_bytes(u32 tsize)
{
	return KiB(1) << tsize;
}

u64 e500_mapped_at_start(const struct kvm *kvm)
{
	return tsize_bytes(ima_tsize(kvm));
}

static int set_up_tlb(struct vcpu *vcpu)
{
	struct kvm_book3e_206_tlb_params params = {
		.tlb_sizes = {E500_TLB0_SIZE, E500_TLB1_SIZE},
		.tlb_ways = {E500_TLB0_WAYS, E500_TLB1_SIZE},
	};
	struct kvm_config_tlb cfg = {
		.params = (uintptr_t)&params,
		.array = (uintptr_t)e500_vcpu_of(vcpu)->tlb,
		.mmu_type = KVM_MMU_FSL_BOOKE_NOHV,
		.array_len = sizeof(e500_vcpu_of(vcpu)->tlb),
	};
	int err = ppc_vcpu_enable_cap(vcpu, KVM_CAP_SW_TLB, (uintptr_t)&cfg, 0);

	if (err)
		log_error("vcpu %u: KVM_CAP_SW_TLB: %s", vcpu->index, strerror(-err));
	return err;
}

/* Tells the kernel that all of the TLB may be another now. */
static int tlb_changed(struct vcpu *vcpu)
{
	u64 bitmap[(E500_TLB_SIZE + 63) / 64];
	struct kvm_dirty_tlb dirty = {.bitmap = (uintptr_t)bitmap, .num_dirty = E500_TLB_SIZE};
	int err;

	memset(bitmap, 0xff, sizeof(bitmap));
	err = kvm_ioctl(vcpu->fd, KVM_DIRTY_TLB, &dirty);
	return err < 0 ? err : 0;
}

int e500_vcpu_init(struct vcpu *vcpu)
{
	int err;

	vcpu->arch = calloc(1, sizeof(struct e500_vcpu));
	if (!vcpu->arch) {
		log_error("vcpu %u: out of memory", vcpu->index);
		return -ENOMEM;
	}
	err = set_up_tlb(vcpu);
	if (err || kvm_cap(vcpu->kvm, KVM_CAP_PPC_BOOKE_WATCHDOG) <= 0)
		return err;
	err = ppc_vcpu_enable_cap(vcpu, KVM_CAP_PPC_BOOKE_WATCHDOG, 0, 0);
	if (err)
		log_error("vcpu %u: KVM_CAP_PPC_BOOKE_WATCHDOG: %s", vcpu->index, strerror(-err));
	return err;
}

/* The kernel still has the TLB until the fd is closed, but only writes to it while the vCPU runs. */
void e500_vcpu_free(struct vcpu *vcpu)
{
	free(vcpu->arch);
	vcpu->arch = NULL;
}

/* ---- the start ------------------------------------------------------------------------------------ */

/* The boot mapping, and nothing beside it: effective address 0 is `base`. */
static int map_boot(struct vcpu *vcpu, u64 base, u32 tsize)
{
	struct e500_vcpu *e = e500_vcpu_of(vcpu);

	memset(e->tlb, 0, sizeof(e->tlb));
	e->tlb[E500_TLB0_SIZE] = (struct kvm_book3e_206_tlb_entry){
		.mas1 = MAS1_VALID | MAS1_IPROT | MAS1_TSIZE(tsize),
		.mas2 = MAS2_M,
		.mas7_3 = base | MAS3_ALL,
	};
	return tlb_changed(vcpu);
}

static int set_start(struct vcpu *vcpu, const struct kvm_regs *regs, u64 base, u32 tsize)
{
	int err = map_boot(vcpu, base, tsize);

	if (!err)
		err = kvm_ioctl(vcpu->fd, KVM_SET_REGS, (void *)(uintptr_t)regs);
	if (err < 0)
		log_error("vcpu %u: its registers for the start: %s", vcpu->index, strerror(-err));
	return err < 0 ? err : 0;
}

int e500_vcpu_reset(struct vcpu *vcpu)
{
	const struct ppc_machine *m = ppc_of(vcpu->kvm);
	u32 tsize = ima_tsize(vcpu->kvm);
	struct kvm_regs regs = {0};

	atomic_store(&e500_vcpu_of(vcpu)->released, false);
	if (vcpu->index) {
		regs.msr = MSR_WE;
	} else {
		regs.pc = m->entry;
		regs.gpr[3] = m->dtb;
		regs.gpr[6] = EPAPR_MAGIC;
		regs.gpr[7] = tsize_bytes(tsize);
	}
	return set_start(vcpu, &regs, 0, tsize);
}

void e500_vcpu_release(struct vcpu *vcpu, u64 entry, u64 r3)
{
	struct e500_vcpu *e = e500_vcpu_of(vcpu);

	e->entry = entry;
	e->r3 = r3;
	atomic_store_explicit(&e->released, true, memory_order_release);
	vcpu_request(vcpu, VCPU_INJECT);
}

/* On the vCPU's thread, which alone may set its registers. */
void e500_vcpu_enter(struct vcpu *vcpu)
{
	struct e500_vcpu *e = e500_vcpu_of(vcpu);
	struct kvm_regs regs = {0};
	u64 size = tsize_bytes(TLB_64M);

	if (!atomic_load_explicit(&e->released, memory_order_acquire))
		return;
	atomic_store_explicit(&e->released, false, memory_order_relaxed);
	regs.pc = e->entry & (size - 1);
	regs.gpr[3] = e->r3;
	regs.gpr[7] = size;
	if (set_start(vcpu, &regs, e->entry & ~(size - 1), TLB_64M))
		kvm_end(vcpu->kvm, VM_HOST_ERROR, 0);
}

int e500_vcpu_exit(struct vcpu *vcpu)
{
	if (vcpu->run->exit_reason != KVM_EXIT_WATCHDOG)
		return 0;
	log_warn(vcpu->kvm->log, "vcpu %u: the guest's watchdog expired: reset", vcpu->index);
	kvm_end(vcpu->kvm, VM_RESET, 0);
	return 1;
}

/* ---- state ------------------------------------------------------------------------------------------ */

#define FIELD64(s, regs, name)                                                                               \
	do {                                                                                                 \
		u64 v_ = (regs)->name;                                                                       \
                                                                                                             \
		state_u64(s, #name, &v_);                                                                    \
		(regs)->name = v_;                                                                           \
	} while (0)

#define FIELD32(s, regs, name)                                                                               \
	do {                                                                                                 \
		u32 v_ = (regs)->name;                                                                       \
                                                                                                             \
		state_u32(s, #name, &v_);                                                                    \
		(regs)->name = v_;                                                                           \
	} while (0)

/* What of struct kvm_sregs an e500v2 has, and takes. */
static void walk_sregs(struct state *s, struct kvm_sregs *sregs)
{
	__typeof__(&sregs->u.e) e = &sregs->u.e;
	char name[8];

	FIELD64(s, e, csrr0);
	FIELD32(s, e, csrr1);
	FIELD64(s, e, mcsrr0);
	FIELD32(s, e, mcsrr1);
	FIELD64(s, e, mcsr);
	FIELD32(s, e, esr);
	FIELD64(s, e, dear);
	FIELD64(s, e, ivpr);
	FIELD32(s, e, tsr);
	FIELD32(s, e, tcr);
	FIELD32(s, e, dec);
	FIELD32(s, e, decar);
	FIELD32(s, e, vrsave);
	FIELD32(s, e, mas0);
	FIELD32(s, e, mas1);
	FIELD64(s, e, mas2);
	FIELD64(s, e, mas7_3);
	FIELD32(s, e, mas4);
	FIELD32(s, e, mas6);
	for (u32 i = 0; i < ARRAY_SIZE(e->ivor_low); i++) {
		snprintf(name, sizeof(name), "ivor%u", i);
		state_u32(s, name, &e->ivor_low[i]);
	}
	for (u32 i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "ivor%u", 32 + i);
		state_u32(s, name, &e->ivor_high[i]);
	}
}

static void walk_tlb(struct state *s, struct e500_vcpu *e)
{
	for (u32 i = 0; i < E500_TLB_SIZE; i++) {
		struct kvm_book3e_206_tlb_entry *t = &e->tlb[i];
		u64 mas2 = t->mas2, mas7_3 = t->mas7_3;
		char name[16];

		if (state_printing(s)) {
			bool tlb1 = i >= E500_TLB0_SIZE;

			if (!(t->mas1 & MAS1_VALID))
				continue;
			snprintf(name, sizeof(name), "tlb%u_%u", tlb1, tlb1 ? i - E500_TLB0_SIZE : i);
			state_note(s, name, "mas1 %08x mas2 %08llx mas7_3 %09llx", t->mas1,
				   (unsigned long long)mas2, (unsigned long long)mas7_3);
			continue;
		}
		state_u32(s, "mas1", &t->mas1);
		state_u64(s, "mas2", &mas2);
		state_u64(s, "mas7_3", &mas7_3);
		state_u32(s, "mas8", &t->mas8);
		t->mas2 = mas2;
		t->mas7_3 = mas7_3;
	}
}

static void walk_release(struct state *s, struct e500_vcpu *e)
{
	bool released = atomic_load(&e->released);

	state_bool(s, "released", &released);
	state_u64(s, "entry", &e->entry);
	state_u64(s, "r3", &e->r3);
	atomic_store(&e->released, released);
}

int e500_vcpu_state(struct vcpu *vcpu, struct state *s)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	u32 epr = 0;
	int err = kvm_ioctl(vcpu->fd, KVM_GET_REGS, &regs);

	if (err >= 0)
		err = kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs);
	if (err >= 0)
		err = ppc_get_reg(vcpu->fd, KVM_REG_PPC_EPR, &epr);
	if (err < 0) {
		state_fail(s, err, "registers", "%s", strerror(-err));
		return s->err;
	}
	state_begin(s, "registers", 1);
	ppc_regs_state(s, &regs);
	walk_sregs(s, &sregs);
	/* The interrupt that an MPIC 4.2 has handed over, until the guest looks: then it is nowhere else. */
	state_u32(s, "epr", &epr);
	ppc_booke_state(vcpu, s);
	state_end(s);
	state_begin(s, "tlb", 1);
	walk_tlb(s, e500_vcpu_of(vcpu));
	state_end(s);
	state_begin(s, "start", 1);
	walk_release(s, e500_vcpu_of(vcpu));
	state_end(s);
	if (!state_reading(s) || s->err)
		return s->err;
	sregs.u.e.update_special = KVM_SREGS_E_UPDATE_TSR | KVM_SREGS_E_UPDATE_DEC;
	err = kvm_ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
	if (err >= 0)
		err = kvm_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
	if (err >= 0)
		err = ppc_set_reg(vcpu->fd, KVM_REG_PPC_EPR, &epr);
	if (err >= 0)
		err = tlb_changed(vcpu);
	if (err < 0)
		state_fail(s, err, "registers", "this host's vCPU does not take them: %s", strerror(-err));
	return s->err;
}

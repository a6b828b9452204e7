/* SPDX-License-Identifier: MIT */
/*
 * What of the fake KVM's powerpc vCPUs is the e500v2's alone: the TLB in user memory (api.rst 8.12,
 * KVM_DIRTY_TLB), and those registers that KVM_GET_SREGS has for Book E. Rules and errnos of Linux 6.1.
 * Called with the fake's lock held.
 */
#include "fake-ppc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PVR_E500V2 0x80210030u
#define MSR_WE	   (1u << 18)
#define FEATURES                                                                                             \
	(KVM_SREGS_E_BASE | KVM_SREGS_E_ARCH206 | KVM_SREGS_E_ARCH206_MMU | KVM_SREGS_E_SPE |                \
	 KVM_SREGS_E_PM | KVM_SREGS_E_IVOR)

void fake_e500_init(struct fake_vcpu *vcpu)
{
	struct kvm_sregs *sregs = &fake_ppc_cpu(vcpu)->sregs;

	sregs->pvr = PVR_E500V2;
	sregs->u.e.features = FEATURES;
	sregs->u.e.impl_id = KVM_SREGS_E_IMPL_FSL;
	sregs->u.e.pir = vcpu->obj.id;
}

/* Waiting for an interrupt: none gets to one that has not begun. */
bool fake_e500_waits(const struct fake_vcpu *vcpu)
{
	return fake_ppc_cpu(vcpu)->regs.msr & MSR_WE;
}

static bool power_of_2(u32 v)
{
	return v && !(v & (v - 1));
}

/* The kernel keeps what it knows of mappings apart from the user's memory, until it is told to look again. */
static int look(struct fake_ppc_vcpu *cpu)
{
	return fake_copy_from(cpu->tlb, cpu->tlb_addr, cpu->tlb_size * sizeof(cpu->tlb[0]));
}

int fake_e500_config_tlb(struct fake_vcpu *vcpu, u64 addr)
{
	struct fake_ppc_vcpu *cpu = fake_ppc_cpu(vcpu);
	struct kvm_book3e_206_tlb_params p;
	struct kvm_config_tlb cfg;
	u64 size;

	if (fake_copy_from(&cfg, addr, sizeof(cfg)))
		return -EFAULT;
	if (cfg.mmu_type != KVM_MMU_FSL_BOOKE_NOHV)
		return -EINVAL;
	if (fake_copy_from(&p, cfg.params, sizeof(p)))
		return -EFAULT;
	if (p.tlb_sizes[1] > 64 || p.tlb_ways[1] != p.tlb_sizes[1] || p.tlb_sizes[2] || p.tlb_sizes[3] ||
	    p.tlb_ways[2] || p.tlb_ways[3] || !power_of_2(p.tlb_ways[0]) ||
	    !power_of_2(p.tlb_sizes[0] / p.tlb_ways[0]))
		return -EINVAL;
	size = p.tlb_sizes[0] + p.tlb_sizes[1];
	if (size > FAKE_TLB_MAX)
		abort(); /* more than the fake keeps */
	if (cfg.array_len < size * sizeof(cpu->tlb[0]))
		return -EINVAL;
	cpu->tlb_addr = cfg.array;
	cpu->tlb_size = (u32)size;
	return look(cpu);
}

int fake_e500_dirty_tlb(struct fake_vcpu *vcpu, const void *arg)
{
	struct fake_ppc_vcpu *cpu = fake_ppc_cpu(vcpu);
	struct kvm_dirty_tlb dirty;
	u8 bitmap[FAKE_TLB_MAX / 8];

	/* Not checked by today's kernels, which look at all of the TLB; but it is what the ioctl takes. */
	if (fake_copy_from(&dirty, (uintptr_t)arg, sizeof(dirty)) ||
	    fake_copy_from(bitmap, dirty.bitmap, align_up(cpu->tlb_size, 64) / 8))
		return -EFAULT;
	cpu->dirtied++;
	return look(cpu);
}

int fake_e500_get_sregs(struct fake_vcpu *vcpu, void *arg)
{
	struct kvm_sregs sregs = fake_ppc_cpu(vcpu)->sregs;

	sregs.u.e.update_special = 0;
	return fake_copy_to((uintptr_t)arg, &sregs, sizeof(sregs));
}

int fake_e500_set_sregs(struct fake_vcpu *vcpu, const void *arg)
{
	struct kvm_sregs *kept = &fake_ppc_cpu(vcpu)->sregs, was = *kept, now;
	__typeof__(&now.u.e) e = &now.u.e;

	if (fake_copy_from(&now, (uintptr_t)arg, sizeof(now)))
		return -EFAULT;
	if (now.pvr != was.pvr || (e->features & KVM_SREGS_E_ARCH206 && e->pir != was.u.e.pir))
		return -EINVAL;
	if ((e->features & FEATURES) != FEATURES)
		abort(); /* part of them: nobody does */
	*kept = now;
	if (!(e->update_special & KVM_SREGS_E_UPDATE_DEC))
		kept->u.e.dec = was.u.e.dec;
	if (!(e->update_special & KVM_SREGS_E_UPDATE_TSR))
		kept->u.e.tsr = was.u.e.tsr;
	/* Those that are the processor's. */
	kept->u.e.mmucfg = was.u.e.mmucfg;
	memcpy(kept->u.e.tlbcfg, was.u.e.tlbcfg, sizeof(was.u.e.tlbcfg));
	return 0;
}

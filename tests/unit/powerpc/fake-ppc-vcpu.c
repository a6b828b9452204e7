/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's powerpc vCPUs: registers by number and as structures, and what KVM_ENABLE_CAP does to one.
 * What is set is what is read; clocks stand still. Rules of api.rst 4.37 and 6, errnos of Linux 6.1. Called
 * with the fake's lock held.
 */
#include "fake-ppc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void fake_arch_vcpu_init(struct fake_vcpu *vcpu)
{
	vcpu->arch = calloc(1, sizeof(struct fake_ppc_vcpu));
	if (!vcpu->arch)
		abort();
	if (fake_ppc(vcpu->obj.vm)->kind == FAKE_E500)
		fake_e500_init(vcpu);
}

void fake_arch_vcpu_free(struct fake_vcpu *vcpu)
{
	free(vcpu->arch);
}

struct fake_vcpu *fake_ppc_server(const struct fake_vm *vm, u32 server)
{
	for (u32 i = 0; i < vm->nr_vcpus; i++)
		if (fake_ppc_cpu(vm->vcpu[i])->irq_cap && fake_ppc_cpu(vm->vcpu[i])->server == server)
			return vm->vcpu[i];
	return NULL;
}

int fake_arch_vcpu_run(struct fake_vcpu *vcpu)
{
	return 0;
}

/* KVM_SET_MP_STATE there is none of. */
bool fake_arch_mp_state_ok(u32 state)
{
	return false;
}

bool fake_arch_stopped(struct fake_vcpu *vcpu)
{
	return fake_ppc(vcpu->obj.vm)->kind == FAKE_E500 && fake_e500_waits(vcpu);
}

/* ---- registers -------------------------------------------------------------------------------------- */

void *fake_ppc_reg(const struct fake_vcpu *vcpu, u64 id)
{
	struct fake_ppc_vcpu *cpu = fake_ppc_cpu(vcpu);
	u32 i;

	for (i = 0; i < cpu->nr_regs; i++)
		if (cpu->reg[i].id == id)
			return cpu->reg[i].val;
	if (i == ARRAY_SIZE(cpu->reg))
		abort();
	cpu->reg[i].id = id;
	cpu->nr_regs++;
	return cpu->reg[i].val;
}

static int one_reg(struct fake_vcpu *vcpu, bool set, const void *arg)
{
	struct kvm_one_reg reg;
	u32 size;
	void *val;

	if (fake_copy_from(&reg, (uintptr_t)arg, sizeof(reg)))
		return -EFAULT;
	size = 1u << ((reg.id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
	if ((reg.id & KVM_REG_ARCH_MASK) != KVM_REG_PPC || size < 4 || size > 16)
		return -EINVAL;
	if (reg.id == KVM_REG_PPC_ICP_STATE && fake_ppc(vcpu->obj.vm)->kind == FAKE_BOOK3S)
		return set ? fake_xics_set_icp(vcpu, reg.addr) : fake_xics_get_icp(vcpu, reg.addr);
	if (reg.id == KVM_REG_PPC_VP_STATE && fake_ppc(vcpu->obj.vm)->kind == FAKE_BOOK3S)
		return fake_xive_vp(vcpu, set, reg.addr);
	val = fake_ppc_reg(vcpu, reg.id);
	return set ? fake_copy_from(val, reg.addr, size) : fake_copy_to(reg.addr, val, size);
}

/* A structure as a whole. */
static int block(struct fake_vcpu *vcpu, unsigned long get, size_t size, bool set, void *arg)
{
	void *kept = fake_blob(&vcpu->blobs, get, 0, size);

	return set ? fake_copy_from(kept, (uintptr_t)arg, size) : fake_copy_to((uintptr_t)arg, kept, size);
}

static int regs(struct fake_vcpu *vcpu, bool set, void *arg)
{
	struct kvm_regs *kept = &fake_ppc_cpu(vcpu)->regs;

	if (!set)
		return fake_copy_to((uintptr_t)arg, kept, sizeof(*kept));
	/* A vCPU may be asleep by what its MSR was. */
	fake_vcpu_wake(vcpu);
	return fake_copy_from(kept, (uintptr_t)arg, sizeof(*kept));
}

/* ---- capabilities ------------------------------------------------------------------------------------ */

static int enable_cap(struct fake_vcpu *vcpu, const void *arg)
{
	struct fake_ppc_vcpu *cpu = fake_ppc_cpu(vcpu);
	struct kvm_enable_cap cap;

	if (fake_copy_from(&cap, (uintptr_t)arg, sizeof(cap)))
		return -EFAULT;
	if (cap.flags || !fake_cap(cap.cap))
		return -EINVAL;
	switch (cap.cap) {
	case KVM_CAP_PPC_PAPR:
		cpu->papr = true;
		return 0;
	case KVM_CAP_PPC_FWNMI:
		return 0;
	case KVM_CAP_IRQ_XICS:
		return fake_xics_connect(vcpu, cap.args[0], cap.args[1]);
	case KVM_CAP_PPC_IRQ_XIVE:
		return fake_xive_connect(vcpu, cap.args[0], cap.args[1]);
	case KVM_CAP_IRQ_MPIC:
		return fake_mpic_connect(vcpu, cap.args[0], cap.args[1]);
	case KVM_CAP_SW_TLB:
		return fake_e500_config_tlb(vcpu, cap.args[0]);
	case KVM_CAP_PPC_BOOKE_WATCHDOG:
		cpu->watchdog = true;
		return 0;
	default:
		return -EINVAL;
	}
}

int fake_arch_vcpu_ioctl(struct fake_vcpu *vcpu, unsigned long req, void *arg, bool *known)
{
	if (fake_ppc(vcpu->obj.vm)->kind == FAKE_E500 && req == KVM_GET_SREGS)
		return fake_e500_get_sregs(vcpu, arg);
	if (fake_ppc(vcpu->obj.vm)->kind == FAKE_E500 && req == KVM_SET_SREGS)
		return fake_e500_set_sregs(vcpu, arg);
	if (fake_ppc(vcpu->obj.vm)->kind == FAKE_E500 && req == KVM_DIRTY_TLB)
		return fake_e500_dirty_tlb(vcpu, arg);
	switch (req) {
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
		return one_reg(vcpu, req == KVM_SET_ONE_REG, arg);
	case KVM_GET_REGS:
	case KVM_SET_REGS:
		return regs(vcpu, req == KVM_SET_REGS, arg);
	case KVM_GET_SREGS:
	case KVM_SET_SREGS:
		return block(vcpu, KVM_GET_SREGS, sizeof(struct kvm_sregs), req == KVM_SET_SREGS, arg);
	case KVM_GET_FPU:
	case KVM_SET_FPU:
		return block(vcpu, KVM_GET_FPU, sizeof(struct kvm_fpu), req == KVM_SET_FPU, arg);
	case KVM_ENABLE_CAP:
		return enable_cap(vcpu, arg);
	case KVM_SET_GUEST_DEBUG:
		return 0;
	default:
		*known = false;
		return 0;
	}
}

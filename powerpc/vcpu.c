/* SPDX-License-Identifier: MIT */
/* What vCPUs of both machines have: registers by number (api.rst 4.68), and their print for people. */
#include "powerpc.h"
#include <inttypes.h>

u32 ppc_vcpu_id(const struct kvm *kvm, u32 index)
{
	return index;
}

int ppc_get_reg(int vcpu_fd, u64 id, void *value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};
	int err = kvm_ioctl(vcpu_fd, KVM_GET_ONE_REG, &reg);

	return err < 0 ? err : 0;
}

int ppc_set_reg(int vcpu_fd, u64 id, const void *value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};
	int err = kvm_ioctl(vcpu_fd, KVM_SET_ONE_REG, &reg);

	return err < 0 ? err : 0;
}

void ppc_vcpu_dump(struct vcpu *vcpu, struct buf *out)
{
	struct kvm_regs regs;

	if (kvm_ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0)
		return;
	for (u32 i = 0; i < 32; i++)
		buf_printf(out, "  r%-2u %016" PRIx64 "%s", i, (u64)regs.gpr[i], i % 4 == 3 ? "\n" : "");
	buf_printf(out, "  pc  %016" PRIx64 "  msr %016" PRIx64 "  cr  %016" PRIx64 "  lr  %016" PRIx64 "\n",
		   (u64)regs.pc, (u64)regs.msr, (u64)regs.cr, (u64)regs.lr);
	buf_printf(out, "  ctr %016" PRIx64 "  xer %016" PRIx64 "  srr0 %016" PRIx64 " srr1 %016" PRIx64 "\n",
		   (u64)regs.ctr, (u64)regs.xer, (u64)regs.srr0, (u64)regs.srr1);
}

int ppc_vcpu_enable_cap(struct vcpu *vcpu, u32 cap, u64 arg0, u64 arg1)
{
	struct kvm_enable_cap ec = {.cap = cap, .args = {arg0, arg1}};
	int err = kvm_ioctl(vcpu->fd, KVM_ENABLE_CAP, &ec);

	return err < 0 ? err : 0;
}

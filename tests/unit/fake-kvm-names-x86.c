/* SPDX-License-Identifier: MIT */
/* The fake KVM's names of the ioctls that only x86 has. Constant data. */
#include "fake-kvm-priv.h"

#define N(req)                                                                                               \
	{                                                                                                    \
		req, #req                                                                                    \
	}

const struct fake_name fake_arch_names[] = {
	N(KVM_GET_SUPPORTED_CPUID),
	N(KVM_GET_EMULATED_CPUID),
	N(KVM_GET_MSR_INDEX_LIST),
	N(KVM_GET_MSR_FEATURE_INDEX_LIST),
	N(KVM_SET_TSS_ADDR),
	N(KVM_SET_IDENTITY_MAP_ADDR),
	N(KVM_SET_BOOT_CPU_ID),
	N(KVM_GET_IRQCHIP),
	N(KVM_SET_IRQCHIP),
	N(KVM_CREATE_PIT2),
	N(KVM_GET_PIT2),
	N(KVM_SET_PIT2),
	N(KVM_SET_CPUID2),
	N(KVM_GET_CPUID2),
	N(KVM_GET_MSRS),
	N(KVM_SET_MSRS),
	N(KVM_GET_LAPIC),
	N(KVM_SET_LAPIC),
	N(KVM_GET_SREGS2),
	N(KVM_SET_SREGS2),
	N(KVM_GET_XSAVE),
	N(KVM_GET_XSAVE2),
	N(KVM_SET_XSAVE),
	N(KVM_GET_XCRS),
	N(KVM_SET_XCRS),
	N(KVM_GET_DEBUGREGS),
	N(KVM_SET_DEBUGREGS),
	N(KVM_GET_VCPU_EVENTS),
	N(KVM_SET_VCPU_EVENTS),
	N(KVM_NMI),
	N(KVM_INTERRUPT),
	N(KVM_SMI),
	N(KVM_KVMCLOCK_CTRL),
	N(KVM_REINJECT_CONTROL),
	N(KVM_X86_SET_MSR_FILTER),
	{0, NULL},
};

/* SPDX-License-Identifier: MIT */
/*
 * <linux/kvm.h> for arm64, with what the system's headers may be too old to have: same names, same numbers
 * as the kernel's own (arch/arm64/include/uapi/asm/kvm.h).
 */
#ifndef LKVM_ARM_ABI_H
#define LKVM_ARM_ABI_H

#include <linux/kvm.h>

/* Groups of a GICv3's and a vCPU's attributes. */
#ifndef KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ
#define KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ 9 /* 6.15: a guest's own hypervisor */
#endif
#ifndef KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS
#define KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS 4 /* 6.17 */
#endif
#ifndef KVM_ARM_VCPU_TIMER_IRQ_HVTIMER
#define KVM_ARM_VCPU_TIMER_IRQ_HVTIMER 2 /* 6.15 */
#define KVM_ARM_VCPU_TIMER_IRQ_HPTIMER 3
#endif
/* Attributes of the VM itself. */
#ifndef KVM_ARM_VM_SMCCC_CTRL
#define KVM_ARM_VM_SMCCC_CTRL	0 /* 6.4 */
#define KVM_ARM_VM_SMCCC_FILTER 0
struct kvm_smccc_filter {
	__u32 base;
	__u32 nr_functions;
	__u8 action;
	__u8 pad[15];
};
#endif

#endif

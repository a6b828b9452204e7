/* SPDX-License-Identifier: MIT */
/* The fake KVM's names of ioctls, for its log; an architecture's own are in its file. Constant data. */
#include "fake-kvm-priv.h"

#define N(req)                                                                                               \
	{                                                                                                    \
		req, #req                                                                                    \
	}

static const struct fake_name names[] = {
	N(KVM_GET_API_VERSION),
	N(KVM_CREATE_VM),
	N(KVM_CHECK_EXTENSION),
	N(KVM_GET_VCPU_MMAP_SIZE),
	N(KVM_CREATE_VCPU),
	N(KVM_SET_USER_MEMORY_REGION),
	N(KVM_GET_DIRTY_LOG),
	N(KVM_CREATE_IRQCHIP),
	N(KVM_CREATE_DEVICE),
	N(KVM_SET_DEVICE_ATTR),
	N(KVM_GET_DEVICE_ATTR),
	N(KVM_HAS_DEVICE_ATTR),
	N(KVM_ENABLE_CAP),
	N(KVM_IRQ_LINE),
	N(KVM_IRQ_LINE_STATUS),
	N(KVM_SET_GSI_ROUTING),
	N(KVM_SIGNAL_MSI),
	N(KVM_IRQFD),
	N(KVM_IOEVENTFD),
	N(KVM_REGISTER_COALESCED_MMIO),
	N(KVM_UNREGISTER_COALESCED_MMIO),
	N(KVM_RUN),
	N(KVM_GET_REGS),
	N(KVM_SET_REGS),
	N(KVM_GET_SREGS),
	N(KVM_SET_SREGS),
	N(KVM_GET_FPU),
	N(KVM_SET_FPU),
	N(KVM_GET_MP_STATE),
	N(KVM_SET_MP_STATE),
	N(KVM_GET_ONE_REG),
	N(KVM_SET_ONE_REG),
	N(KVM_GET_REG_LIST),
	N(KVM_SET_GUEST_DEBUG),
	N(KVM_INTERRUPT),
	N(KVM_SET_SIGNAL_MASK),
	N(KVM_TRANSLATE),
	N(KVM_GET_CLOCK),
	N(KVM_SET_CLOCK),
	N(KVM_GET_TSC_KHZ),
	N(KVM_SET_TSC_KHZ),
};

const char *fake_ioctl_name(unsigned long req)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].req == req)
			return names[i].name;
	for (size_t i = 0; fake_arch_names[i].name; i++)
		if (fake_arch_names[i].req == req)
			return fake_arch_names[i].name;
	return "an ioctl unknown to the fake";
}

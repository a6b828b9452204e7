/* SPDX-License-Identifier: MIT */
/* VMs of the pseries machine on the fake KVM, for this folder's tests (core-vm.h). */
#ifndef LKVM_TEST_PSERIES_VM_H
#define LKVM_TEST_PSERIES_VM_H

#include "fake-ppc.h" /* first: core-vm.h has a `vm` for all to see */

#include "core-vm.h"
#include <inttypes.h>
#include <powerpc/pseries-irq.h>

#define PSERIES_MEM MiB(256)

/* Up to a step before `boot`, which would want a kernel. */
static inline int pseries_up(const char *irqchip, const char *cpus, const char *step)
{
	const char *const more[] = {"--irqchip", irqchip, "-c", cpus, NULL};

	return vm_up("/proc/self/exe", PSERIES_MEM, step, more);
}

static inline struct fake_vcpu *pseries_fake_cpu(u32 id)
{
	return fake_kvm_vcpu(fake_kvm_newest(), id);
}

/* Index of the first call that set that attribute of a device, or -1. */
static inline int pseries_attr_set_at(u32 group, u64 attr)
{
	return fake_kvm_find("KVM_SET_DEVICE_ATTR", FAKE_ATTR(group, attr));
}

static inline void assert_sequence(const int *at, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		if (at[i] < 0 || (i && at[i] <= at[i - 1])) {
			fake_kvm_print_log();
			fail_msg("step %u of %u is at call %d", i, n, at[i]);
		}
	}
}

#define PSERIES_TEST(name) cmocka_unit_test_setup_teardown(name, vm_setup, vm_teardown)

#endif

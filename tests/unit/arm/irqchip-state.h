/* SPDX-License-Identifier: MIT */
/* VMs with an irqchip of the test's choice, for the tests of its state. */
#ifndef LKVM_TEST_IRQCHIP_STATE_H
#define LKVM_TEST_IRQCHIP_STATE_H

#include "arm-vm.h" /* first */
#include "chip-state.h"

static inline void up_with(const char *irqchip, const char *cpus)
{
	const char *const more[] = {"--irqchip", irqchip, "-c", cpus, NULL};

	assert_int_equal(arm_up("boot", more), 0);
}

#endif

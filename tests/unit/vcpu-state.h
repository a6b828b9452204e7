/* SPDX-License-Identifier: MIT */
/* Saving and restoring vCPUs of the VM that is up (core-vm.h), for the tests of their state. */
#ifndef LKVM_TEST_VCPU_STATE_H
#define LKVM_TEST_VCPU_STATE_H

#include "core-vm.h"
#include <lkvm/state.h>

static inline struct buf vcpu_walk(u32 cpu, enum state_mode mode, int want)
{
	struct buf out = {0};
	struct state s;

	state_init_out(&s, mode, &out);
	assert_int_equal(vm.kvm.machine->vcpu_state(&vm.kvm.vcpu[cpu], &s), want);
	assert_int_equal(state_finish(&s, "vcpu"), want);
	return out;
}

static inline struct buf save(u32 cpu)
{
	return vcpu_walk(cpu, STATE_SAVE, 0);
}

static inline int restore(u32 cpu, const void *data, size_t len)
{
	struct state s;

	state_init_in(&s, data, len);
	vm.kvm.machine->vcpu_state(&vm.kvm.vcpu[cpu], &s);
	return state_finish(&s, "vcpu");
}

/* Its state as JSON has all of these words. To be freed. */
static inline struct buf assert_says(u32 cpu, const char *const *words, size_t n)
{
	struct buf out = vcpu_walk(cpu, STATE_JSON, 0);

	buf_add(&out, "", 1);
	for (size_t i = 0; i < n; i++)
		if (!strstr((char *)out.data, words[i]))
			fail_msg("no %s in %s", words[i], (char *)out.data);
	return out;
}

#endif

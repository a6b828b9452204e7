/* SPDX-License-Identifier: MIT */
/* Saving and restoring the irqchip of the VM that is up (core-vm.h), for the tests of its state. */
#ifndef LKVM_TEST_CHIP_STATE_H
#define LKVM_TEST_CHIP_STATE_H

#include "core-vm.h"
#include <lkvm/state.h>

static inline struct buf walk(enum state_mode mode, int want)
{
	struct irqchip *chip = &vm.kvm.irqchip;
	struct buf out = {0};
	struct state s;

	state_init_out(&s, mode, &out);
	chip->ops->state(chip, &s);
	assert_int_equal(state_finish(&s, "irqchip"), want);
	return out;
}

static inline struct buf save(void)
{
	return walk(STATE_SAVE, 0);
}

static inline int restore(const void *data, size_t len)
{
	struct irqchip *chip = &vm.kvm.irqchip;
	struct state s;

	state_init_in(&s, data, len);
	chip->ops->state(chip, &s);
	return state_finish(&s, "irqchip");
}

/* It is not taken, and one line says so. */
static __unused void assert_refused(const void *data, size_t len, int err, const char *says)
{
	int got;

	capture_begin(STDERR_FILENO);
	got = restore(data, len);
	assert_one_line(capture_end(), says);
	assert_int_equal(got, err);
}

static inline void assert_same(const struct buf *a, const struct buf *b)
{
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->data, b->data, a->len);
}

#endif

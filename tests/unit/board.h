/* SPDX-License-Identifier: MIT */
/*
 * A board of a few devices for their unit tests: a struct kvm that nothing but devices_create() and the buses
 * have touched. The test names what it wants wrapped in its WRAP line; what those calls did is in `board`.
 * One board at a time, on one thread.
 */
#ifndef LKVM_TEST_BOARD_H
#define LKVM_TEST_BOARD_H

#include <errno.h>
#include <lkvm/acpi.h>
#include <lkvm/device.h>
#include <lkvm/hw.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <lkvm/state.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#ifndef BOARD_LINES /* a test may have more */
#define BOARD_LINES 24
#endif

static struct {
	struct kvm kvm;
	struct vm_config cfg;
	struct machine_ops machine;
	struct irqchip_ops chip;
	/* What the wrapped calls did. */
	bool level[BOARD_LINES];
	bool lenient;		/* a line may be set to what it is: after a made-up state */
	u32 rises[BOARD_LINES]; /* low to high */
	bool claimed[BOARD_LINES];
	u32 ends, panics;
	enum vm_end end;
	int code;
} board;

void __wrap_irq_set_line(struct kvm *kvm, u32 line, bool level);
void __wrap_irq_set_line(struct kvm *kvm, u32 line, bool level)
{
	assert_ptr_equal(kvm, &board.kvm);
	assert_true(line < BOARD_LINES);
	assert_true(board.level[line] != level || board.lenient); /* irq.h: only when the level changes */
	board.level[line] = level;
	board.rises[line] += level;
}

int __wrap_irq_claim(struct kvm *kvm, u32 line);
int __wrap_irq_claim(struct kvm *kvm, u32 line)
{
	if (line >= BOARD_LINES)
		return -EINVAL;
	if (board.claimed[line])
		return -EBUSY;
	board.claimed[line] = true;
	return 0;
}

void __wrap_kvm_end(struct kvm *kvm, enum vm_end why, int code);
void __wrap_kvm_end(struct kvm *kvm, enum vm_end why, int code)
{
	board.ends++;
	board.end = why;
	board.code = code;
}

void __wrap_kvm_guest_panicked(struct kvm *kvm);
void __wrap_kvm_guest_panicked(struct kvm *kvm)
{
	board.panics++;
}

/* Forgets all, so that a test may set cfg and memory before board_up(). */
static inline void board_init(const struct board_device *table)
{
	memset(&board, 0, sizeof(board));
	board.chip.nr_lines = BOARD_LINES;
	board.machine.board = table;
	board.machine.pio_size = 0x10000;
	board.cfg.log.level = LOG_WARN;
	board.kvm.machine = &board.machine;
	board.kvm.cfg = &board.cfg;
	board.kvm.log = &board.cfg.log;
	board.kvm.irqchip.ops = &board.chip;
	list_init(&board.kvm.devices);
}

static inline void board_up(void)
{
	assert_int_equal(devices_create(&board.kvm), 0);
	bus_freeze(&board.kvm);
	assert_int_equal(devices_start(&board.kvm), 0);
}

static inline void board_down(void)
{
	devices_stop(&board.kvm);
	devices_destroy(&board.kvm);
	bus_destroy(&board.kvm);
}

static inline struct device *board_device(const struct device_ops *ops)
{
	struct device *dev = device_find(&board.kvm, ops, 0);

	assert_non_null(dev);
	return dev;
}

static inline void board_reset(const struct device_ops *ops)
{
	struct device *dev = board_device(ops);

	device_lock(dev);
	ops->reset(dev);
	device_unlock(dev);
}

/* The guest's accesses. */

static inline u64 board_read(enum bus_id bus, u64 addr, u32 len)
{
	u8 data[8] = {0};
	u64 v = 0;

	bus_access(&board.kvm, NULL, bus, addr, data, len, false);
	for (u32 i = len; i-- > 0;)
		v = v << 8 | data[i];
	return v;
}

static inline void board_write(enum bus_id bus, u64 addr, u64 v, u32 len)
{
	u8 data[8];

	for (u32 i = 0; i < 8; i++)
		data[i] = (u8)(v >> 8 * i);
	bus_access(&board.kvm, NULL, bus, addr, data, len, true);
}

static inline u8 inb(u16 port)
{
	return (u8)board_read(BUS_PIO, port, 1);
}

static inline void outb(u16 port, u8 v)
{
	board_write(BUS_PIO, port, v, 1);
}

/* The same numbers each time. */
static inline u64 board_random(void)
{
	static u64 x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* Any width, offset and value, over the edges of the range too. The sanitizers say what went wrong. */
static inline void board_hammer(enum bus_id bus, u64 base, u64 len, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		u64 addr = base - 8 + board_random() % (len + 16);
		u32 width = 1 + board_random() % 8;

		if (board_random() & 1)
			board_write(bus, addr, board_random(), width);
		else
			board_read(bus, addr, width);
	}
}

/* A device's state out, and into the same device again. */

static inline void board_save(const struct device_ops *ops, enum state_mode mode, struct buf *out)
{
	struct device *dev = board_device(ops);
	struct state s;

	state_init_out(&s, mode, out);
	device_lock(dev);
	assert_int_equal(ops->state(dev, &s), 0);
	device_unlock(dev);
	assert_int_equal(state_finish(&s, dev->name), 0);
	assert_int_equal(out->err, 0);
}

static inline int board_restore(const struct device_ops *ops, const void *data, size_t len)
{
	struct device *dev = board_device(ops);
	struct state s;
	int err;

	state_init_in(&s, data, len);
	device_lock(dev);
	err = ops->state(dev, &s);
	device_unlock(dev);
	return err;
}

/* Every truncation is refused, and no bit of a saved state is able to do harm. Leaves the device in any
 * state. */
static inline void board_restore_hostile(const struct device_ops *ops)
{
	struct buf good = {0};

	board.lenient = true;
	board_save(ops, STATE_SAVE, &good);
	for (size_t len = 0; len < good.len; len += 1 + good.len / 512)
		assert_true(board_restore(ops, good.data, len) < 0);
	for (u32 i = 0; i < 300; i++) {
		size_t at = board_random() % good.len;
		u8 was = good.data[at];

		good.data[at] = (u8)board_random();
		/* Refused or taken; state_u8 and friends know the first, the device has to stand the second.
		 */
		if (board_restore(ops, good.data, good.len) == 0) {
			struct buf text = {0};

			board_save(ops, STATE_TEXT, &text);
			buf_free(&text);
		}
		good.data[at] = was;
	}
	assert_int_equal(board_restore(ops, good.data, good.len), 0);
	buf_free(&good);
}

/* The AML of a device, alone in a buffer. */
static inline void board_aml(const struct device_ops *ops, struct buf *out)
{
	struct aml aml = {.out = out};

	ops->describe_acpi(board_device(ops), &aml);
	assert_int_equal(aml.depth, 0);
	assert_int_equal(out->err, 0);
}

static inline bool buf_holds(const struct buf *b, const void *data, size_t len)
{
	return memmem(b->data, b->len, data, len) != NULL;
}

#endif

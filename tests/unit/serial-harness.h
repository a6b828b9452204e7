/* SPDX-License-Identifier: MIT */
/*
 * What the tests of hw/serial-8250.c share: the board, interrupt line, console and coalescing around the
 * device, and the guest's accesses. The program that includes this has the linker wrap what is defined here
 * as __wrap_.
 *
 * The interrupt line ends in an edge-triggered latch, as on a PC.
 */
#ifndef SERIAL_HARNESS_H
#define SERIAL_HARNESS_H

#include <errno.h>
#include <linux/serial_reg.h>
#include <lkvm/acpi.h>
#include <lkvm/console.h>
#include <lkvm/hw.h>
#include <lkvm/kvm.h>
#include <lkvm/state.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OUT_MAX KiB(64)

struct fake {
	struct kvm kvm;
	struct vm_config cfg;
	struct board_device board;
	struct device *dev;
	const struct console_client *client;
	io_fn io;
	void *io_arg;

	bool level, latch;
	u32 line_calls;

	u8 out[OUT_MAX];
	size_t out_len;
	size_t out_room; /* what the console still takes */

	const u8 *in; /* what the host has to say */
	size_t in_len;
	bool kicked;

	int zone_error;
	u32 zone_adds, zone_removes;
	bool zone;
	struct event_timer *timer;
	u64 timer_ns;
};

/* One device at a time: the wraps have no other way to find it. */
static struct fake *now;

int __wrap_bus_map(struct device *dev, enum bus_id bus, u64 base, u64 len, io_fn fn, void *arg, u32 flags)
{
	assert_int_equal(len, 8);
	assert_int_equal(base, now->board.base);
	assert_true(flags & BUS_BYTES);
	now->io = fn;
	now->io_arg = arg;
	return 0;
}

void __wrap_irq_set_line(struct kvm *kvm, u32 line, bool level)
{
	assert_int_equal(line, now->board.line);
	assert_int_not_equal(level, now->level); /* a call that changes nothing is a wasted ioctl */
	now->level = level;
	now->latch |= level;
	now->line_calls++;
}

int __wrap_console_attach(struct kvm *kvm, u32 index, struct device *dev, const struct console_client *client,
			  struct console **out)
{
	now->client = client;
	*out = (struct console *)now;
	return 0;
}

void __wrap_console_detach(struct console *con)
{
	now->client = NULL;
}

size_t __wrap_console_write(struct console *con, const u8 *data, size_t len)
{
	len = min_u64(len, now->out_room);
	assert_true(now->out_len + len <= OUT_MAX);
	memcpy(now->out + now->out_len, data, len);
	now->out_len += len;
	now->out_room -= len;
	return len;
}

void __wrap_console_input_ready(struct console *con)
{
	now->kicked = true;
}

int __wrap_coalesced_add(struct kvm *kvm, enum bus_id bus, u64 addr, u32 len)
{
	assert_int_equal(bus, now->board.bus);
	assert_int_equal(addr, now->board.base);
	assert_int_equal(len, 1);
	assert_false(now->zone);
	now->zone_adds++;
	now->zone = !now->zone_error;
	return now->zone_error;
}

void __wrap_coalesced_remove(struct kvm *kvm, enum bus_id bus, u64 addr, u32 len)
{
	assert_true(now->zone);
	assert_int_equal(bus, now->board.bus);
	assert_int_equal(addr, now->board.base);
	now->zone = false;
	now->zone_removes++;
}

int __wrap_event_timer_init(struct event_loop *loop, struct event_timer *timer,
			    void (*fn)(struct event_timer *), void *arg)
{
	timer->fn = fn;
	timer->arg = arg;
	timer->loop = loop;
	now->timer = timer;
	return 0;
}

void __wrap_event_timer_set(struct event_timer *timer, u64 first_ns, u64 period_ns)
{
	now->timer_ns = first_ns;
}

void __wrap_event_timer_destroy(struct event_loop *loop, struct event_timer *timer)
{
	timer->loop = NULL;
}

static struct device *new_device(struct fake *f)
{
	struct device *dev = calloc(1, serial_8250_ops.size);

	assert_non_null(dev);
	dev->ops = &serial_8250_ops;
	dev->kvm = &f->kvm;
	dev->board = &f->board;
	strcpy(dev->name, "serial0");
	pthread_mutex_init(&dev->lock, NULL);
	assert_int_equal(serial_8250_ops.create(dev, NULL), 0);
	return dev;
}

static void free_device(struct device *dev)
{
	serial_8250_ops.destroy(dev);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

static int setup_on(void **state, enum bus_id bus)
{
	struct fake *f = calloc(1, sizeof(*f));

	now = f;
	f->kvm.cfg = &f->cfg;
	f->board = (struct board_device){.ops = &serial_8250_ops, .bus = bus, .base = 0x3f8, .line = 4};
	f->out_room = SIZE_MAX;
	f->dev = new_device(f);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_on(state, BUS_PIO);
}

__unused static int setup_mmio(void **state)
{
	return setup_on(state, BUS_MMIO);
}

static int teardown(void **state)
{
	free_device(now->dev);
	free(now);
	now = NULL;
	return 0;
}

/* --- the guest's side ----------------------------------------------------------------------------- */

static void access_port(u64 offset, u8 *data, u32 len, bool write)
{
	struct io io = {.offset = offset, .data = data, .len = len, .write = write};

	device_lock(now->dev);
	now->io(now->dev, &io, now->io_arg);
	device_unlock(now->dev);
}

static void out(u64 reg, u8 v)
{
	access_port(reg, &v, 1, true);
}

static u8 in(u64 reg)
{
	u8 v = 0xff;

	access_port(reg, &v, 1, false);
	return v;
}

/* What console.c does on its kick: gives as much as there is room for, until there is none. */
__unused static void pump(void)
{
	now->kicked = false;
	while (now->in_len) {
		size_t n = min_u64(now->client->room(now->dev), now->in_len);

		if (!n)
			return;
		now->client->input(now->dev, now->in, n);
		now->in += n;
		now->in_len -= n;
	}
}

static void clear_fifos(void)
{
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	out(UART_FCR, 0);
}

/* The accesses of Linux's autoconfig(), with the checks that lead it to "16550A". */
static void autoconfig(void)
{
	u8 ier = in(UART_IER), mcr, lcr, status;
	int count;

	out(UART_IER, 0);
	assert_int_equal(in(UART_IER)&0x0f, 0);
	out(UART_IER, 0x0f);
	assert_int_equal(in(UART_IER), 0x0f);
	out(UART_IER, ier);
	mcr = in(UART_MCR);
	lcr = in(UART_LCR);
	out(UART_MCR, UART_MCR_LOOP | 0x0a);
	assert_int_equal(in(UART_MSR)&0xf0, 0x90);
	out(UART_MCR, mcr);
	out(UART_LCR, UART_LCR_CONF_MODE_B);
	out(UART_EFR, 0);
	out(UART_LCR, 0);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(in(UART_IIR) >> 6, 3);
	/* No EFR under either of LCR's magic values, no 64-byte FIFO, no UUE bit. */
	out(UART_LCR, UART_LCR_CONF_MODE_A);
	assert_int_not_equal(in(UART_EFR), 0);
	out(UART_LCR, UART_LCR_CONF_MODE_B);
	assert_int_not_equal(in(UART_EFR), 0);
	out(UART_LCR, 0);
	status = in(UART_MCR);
	out(UART_LCR, 0xe0);
	if (!((in(0x02) ^ status) & UART_MCR_LOOP)) {
		out(UART_LCR, 0);
		out(UART_MCR, status ^ UART_MCR_LOOP);
		out(UART_LCR, 0xe0);
		assert_false((in(0x02) ^ status) & UART_MCR_LOOP);
		out(UART_LCR, 0);
		out(UART_MCR, status);
	}
	out(UART_LCR, 0);
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	assert_int_equal(in(UART_IIR) >> 5, 6);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_LCR, UART_LCR_CONF_MODE_A);
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	assert_int_equal(in(UART_IIR) >> 5, 6);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_LCR, 0);
	out(UART_IER, UART_IER_UUE);
	assert_false(in(UART_IER)&UART_IER_UUE);
	out(UART_IER, ier);
	/* size_fifo() */
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	out(UART_MCR, UART_MCR_LOOP);
	out(UART_LCR, UART_LCR_CONF_MODE_A);
	out(UART_DLL, 1);
	out(UART_DLM, 0);
	assert_int_equal(in(UART_DLL), 1);
	out(UART_LCR, UART_LCR_WLEN8);
	for (count = 0; count < 256; count++)
		out(UART_TX, (u8)count);
	for (count = 0; in(UART_LSR)&UART_LSR_DR && count < 256; count++)
		assert_int_equal(in(UART_RX), count);
	assert_int_equal(count, 16);
	out(UART_LCR, lcr);
	out(UART_MCR, mcr);
	clear_fifos();
	in(UART_RX);
	out(UART_IER, 0);
}

__unused static void fill(u8 *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (u8)(i * 7 + (i >> 8));
}

#endif

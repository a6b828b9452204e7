/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: bus_map irq_set_line coalesced_add coalesced_remove */
/* WRAP: console_attach console_detach console_write console_input_ready */
/* WRAP: event_timer_init event_timer_set event_timer_destroy */
/*
 * hw/serial-8250.c register by register; drivers of simple habits; a console that is slow either way; a guest
 * that does anything at all. test-serial-linux.c has Linux's driver.
 */
#include "serial-harness.h"

/* A handler that writes one byte each time and never asks IIR. */
static void test_transmit_simple(void **state)
{
	struct fake *f = *state;
	u32 irqs = 0;

	out(UART_MCR, UART_MCR_OUT2);
	out(UART_IER, UART_IER_THRI);
	for (; f->latch && irqs < 200; irqs++) {
		f->latch = false;
		out(UART_TX, (u8)irqs);
	}
	assert_int_equal(irqs, 200);
	assert_int_equal(f->out_len, 200);
}

/* Reading IIR takes THRE away when it was what IIR said, and only then. */
static void test_thre_priority(void **state)
{
	struct fake *f = *state;
	const u8 byte = 'x';

	out(UART_MCR, UART_MCR_DTR | UART_MCR_OUT2);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_IER, UART_IER_THRI | UART_IER_RDI);
	f->in = &byte;
	f->in_len = 1;
	pump();
	assert_int_equal(in(UART_IIR), 0xc4);
	assert_int_equal(in(UART_IIR), 0xc4);
	assert_int_equal(in(UART_RX), 'x');
	assert_true(f->level);
	assert_int_equal(in(UART_IIR), 0xc2);
	assert_int_equal(in(UART_IIR), 0xc1);
	assert_false(f->level);
	/* No transition of IER: no news. */
	out(UART_IER, UART_IER_THRI | UART_IER_RDI);
	assert_int_equal(in(UART_IIR), 0xc1);
	out(UART_IER, 0);
	out(UART_IER, UART_IER_THRI);
	assert_int_equal(in(UART_IIR), 0xc2);
	/* OUT2 gates the line and not IIR. */
	out(UART_TX, 'a');
	assert_true(f->level);
	out(UART_MCR, UART_MCR_DTR);
	assert_false(f->level);
	assert_int_equal(in(UART_IIR), 0xc2);
}

static void test_mmio(void **state)
{
	struct fake *f = *state;

	out(UART_IER, UART_IER_THRI);
	assert_true(f->level); /* no OUT2 gate outside a PC */
	for (int i = 0; i < 500; i++)
		out(UART_TX, 'x');
	assert_int_equal(f->out_len, 500);
	/* The line just stays high: nobody waits for an edge. */
	assert_int_equal(f->line_calls, 1);
	/* Its zone is on the board's bus, and goes as a port's does. */
	assert_int_equal(f->zone_adds, 1);
	f->timer->fn(f->timer);
	assert_true(f->zone);
	f->timer->fn(f->timer);
	assert_false(f->zone);
	assert_int_equal(in(UART_IIR), 0x02);
	assert_false(f->level);
}

static void test_triggers(void **state)
{
	static const u8 level[4] = {1, 4, 8, 14};
	static const u8 data[16] = "0123456789abcdef";
	struct fake *f = *state;

	out(UART_MCR, UART_MCR_RTS | UART_MCR_OUT2);
	for (u32 t = 0; t < 4; t++) {
		out(UART_IER, UART_IER_RDI);
		out(UART_FCR, (u8)(UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | t << 6));
		for (u32 i = 1; i <= 16; i++) {
			f->in = data + i - 1;
			f->in_len = 1;
			pump();
			assert_int_equal(f->in_len, 0);
			assert_true(f->level);
			assert_int_equal(in(UART_IIR), i >= level[t] ? 0xc4 : 0xcc);
		}
		assert_int_equal(f->client->room(f->dev), 0);
		for (u32 i = 16; i--;) {
			assert_int_equal(in(UART_RX), data[15 - i]);
			assert_int_equal(in(UART_IIR), !i ? 0xc1 : i >= level[t] ? 0xc4 : 0xcc);
		}
		assert_int_equal(in(UART_RX), 0);
	}
}

/* A handler that takes "data available" at its word: that many bytes and no more; the rest by timeout. */
static void test_trigger_driver(void **state)
{
	static const u8 data[13] = "trigger of 8!";
	struct fake *f = *state;
	u32 got = 0;

	out(UART_MCR, UART_MCR_RTS | UART_MCR_OUT2);
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_R_TRIG_10);
	out(UART_IER, UART_IER_RDI);
	f->in = data;
	f->in_len = sizeof(data);
	pump();
	while (f->latch) {
		u32 n;

		f->latch = false;
		n = (in(UART_IIR)&0x0f) == UART_IIR_RDI ? 8 : 1;
		for (u32 i = 0; i < n && in(UART_LSR)&UART_LSR_DR; i++)
			assert_int_equal(in(UART_RX), data[got++]);
	}
	assert_int_equal(got, sizeof(data));
}

/* The same without a FIFO, and by polling with no interrupt at all. */
static void test_paste_polled(void **state)
{
	static u8 data[3000];
	struct fake *f = *state;
	size_t got = 0;

	fill(data, sizeof(data));
	out(UART_MCR, UART_MCR_DTR | UART_MCR_RTS);
	f->in = data;
	f->in_len = sizeof(data);
	pump();
	for (u32 i = 0; i < 100000 && got < sizeof(data); i++) {
		if (in(UART_LSR)&UART_LSR_DR)
			assert_int_equal(in(UART_RX), data[got++]);
		else if (f->kicked)
			pump();
	}
	assert_int_equal(got, sizeof(data));
	assert_int_equal(f->line_calls, 0);
}

static void test_flow_control(void **state)
{
	struct fake *f = *state;

	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_IER, UART_IER_RDI);
	assert_int_equal(f->client->room(f->dev), 0);
	out(UART_MCR, UART_MCR_DTR);
	assert_true(f->kicked);
	assert_int_equal(f->client->room(f->dev), 16);
	out(UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_LOOP);
	assert_int_equal(f->client->room(f->dev), 0);
	out(UART_MCR, UART_MCR_DTR | UART_MCR_RTS);
	assert_int_equal(f->client->room(f->dev), 16);
	/* A guest that has used RTS means it when it drops it. */
	out(UART_MCR, UART_MCR_DTR);
	assert_int_equal(f->client->room(f->dev), 0);
	/* The receiver closes between room() and input(): nothing is lost all the same. */
	out(UART_MCR, UART_MCR_RTS);
	assert_int_equal(f->client->room(f->dev), 16);
	out(UART_FCR, 0);
	out(UART_MCR, UART_MCR_LOOP);
	f->client->input(f->dev, (const u8 *)"0123456789abcdef", 16);
	assert_false(in(UART_LSR)&UART_LSR_DR);
	out(UART_MCR, UART_MCR_RTS);
	for (int i = 0; i < 16; i++) {
		assert_true(in(UART_LSR)&UART_LSR_DR);
		assert_int_equal(in(UART_RX), "0123456789abcdef"[i]);
	}
	assert_false(in(UART_LSR)&UART_LSR_DR);
	/* A clear that is asked for with the interrupt on is one. */
	f->client->input(f->dev, (const u8 *)"x", 1);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_true(in(UART_LSR)&UART_LSR_DR);
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_false(in(UART_LSR)&UART_LSR_DR);
}

static void test_loopback(void **state)
{
	struct fake *f = *state;

	assert_int_equal(in(UART_MSR), 0xb0);
	for (u8 mcr = 0; mcr < 16; mcr++) {
		u8 lines = (mcr & 1 ? 0x20 : 0) | (mcr & 2 ? 0x10 : 0) | (mcr & 4 ? 0x40 : 0) |
			   (mcr & 8 ? 0x80 : 0);

		out(UART_MCR, UART_MCR_LOOP | mcr);
		assert_int_equal(in(UART_MSR)&0xf0, lines);
	}
	assert_int_equal(in(UART_MSR)&0x0f, 0);
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
	in(UART_MSR);
	out(UART_IER, UART_IER_MSI);
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_OUT2);
	assert_int_equal(in(UART_IIR), 0x00);
	assert_true(f->level);
	assert_int_equal(in(UART_MSR), 0x9d); /* DCTS, TERI, DDCD */
	assert_int_equal(in(UART_IIR), 0x01);
	assert_false(f->level);
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_OUT2 | UART_MCR_OUT1);
	assert_int_equal(in(UART_MSR), 0xd0); /* RI's leading edge is no news */

	out(UART_IER, UART_IER_RLSI | UART_IER_RDI);
	out(UART_TX, 'a');
	assert_int_equal(in(UART_LSR), 0x61);
	out(UART_TX, 'b');
	assert_int_equal(in(UART_IIR), 0x06);
	assert_int_equal(in(UART_LSR), 0x63);
	assert_int_equal(in(UART_LSR), 0x61);
	assert_int_equal(in(UART_IIR), 0x04);
	assert_int_equal(in(UART_RX), 'b'); /* without a FIFO the newer byte stays */
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	for (u8 i = 0; i < 17; i++)
		out(UART_TX, i);
	assert_int_equal(in(UART_LSR), 0x63);
	for (u8 i = 0; i < 16; i++)
		assert_int_equal(in(UART_RX), i);
	assert_int_equal(in(UART_LSR), 0x60);
	assert_int_equal(f->out_len, 0);
	out(UART_MCR, 0);
	assert_int_equal(in(UART_MSR)&0xf0, 0xb0);
}

static void test_blocked_output(void **state)
{
	struct fake *f = *state;

	out(UART_MCR, UART_MCR_OUT2);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_IER, UART_IER_THRI);
	in(UART_IIR);
	f->out_room = 3;
	for (u8 i = 0; i < 100; i++)
		out(UART_TX, i);
	assert_int_equal(f->out_len, 3);
	assert_int_equal(in(UART_LSR), 0);
	assert_int_equal(in(UART_IIR), 0xc1);
	assert_false(f->level);
	f->out_room = 10;
	f->client->output_ready(f->dev);
	assert_int_equal(in(UART_LSR), 0);
	f->latch = false;
	f->out_room = SIZE_MAX;
	f->client->output_ready(f->dev);
	assert_true(f->latch);
	assert_int_equal(in(UART_LSR), 0x60);
	assert_int_equal(in(UART_IIR), 0xc2);
	/* 3 went at once, 64 waited, the guest threw the rest away itself. */
	assert_int_equal(f->out_len, 67);
	for (u8 i = 0; i < 67; i++)
		assert_int_equal(f->out[i], i);
}

static void test_coalescing(void **state)
{
	struct fake *f = *state;

	for (int i = 0; i < 63; i++)
		out(UART_TX, 'x');
	out(UART_LCR, UART_LCR_DLAB);
	for (int i = 0; i < 100; i++)
		out(UART_DLL, 1);
	out(UART_LCR, 0);
	assert_int_equal(f->zone_adds, 0);
	out(UART_TX, 'x');
	assert_int_equal(f->zone_adds, 1);
	assert_int_equal(f->timer_ns, 2000000000);
	for (int i = 0; i < 500; i++)
		out(UART_TX, 'x');
	f->timer_ns = 0;
	f->timer->fn(f->timer); /* there was output: once more */
	assert_int_equal(f->timer_ns, 2000000000);
	assert_int_equal(f->zone_removes, 0);
	f->timer_ns = 0;
	f->timer->fn(f->timer); /* there was none */
	assert_int_equal(f->timer_ns, 0);
	assert_int_equal(f->zone_removes, 1);
	for (int i = 0; i < 1023; i++)
		out(UART_TX, 'x');
	assert_int_equal(f->zone_adds, 1);
	out(UART_TX, 'x');
	assert_int_equal(f->zone_adds, 2);
}

static void test_no_coalescing(void **state)
{
	struct fake *f = *state;

	f->zone_error = -ENOTSUP;
	for (int i = 0; i < 5000; i++)
		out(UART_TX, 'x');
	assert_int_equal(f->zone_adds, 1); /* asked once */
	assert_int_equal(f->timer_ns, 0);
	assert_int_equal(f->out_len, 5000);
}

static void test_state(void **state)
{
	struct fake *f = *state;
	struct device *first = f->dev;
	struct state s;
	struct buf saved = {0};
	u8 reg[8];

	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_R_TRIG_10);
	out(UART_LCR, UART_LCR_DLAB);
	out(UART_DLL, 0x34);
	out(UART_DLM, 0x12);
	out(UART_LCR, 0x03);
	out(UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	out(UART_SCR, 0x5a);
	out(UART_IER, UART_IER_RDI);
	f->client->input(f->dev, (const u8 *)"abc", 3);
	f->out_room = 0;
	out(UART_TX, 'T');
	state_init_out(&s, STATE_SAVE, &saved);
	assert_int_equal(serial_8250_ops.state(f->dev, &s), 0);

	free_device(first);
	f->level = f->latch = false;
	f->out_room = SIZE_MAX;
	f->dev = new_device(f);
	state_init_in(&s, saved.data, saved.len);
	assert_int_equal(serial_8250_ops.state(f->dev, &s), 0);
	assert_true(f->latch);
	assert_int_equal(f->out_len, 1); /* what had waited found its way */
	assert_int_equal(in(UART_IIR), 0xcc);
	for (u32 i = 0; i < 8; i++)
		reg[i] = in(i);
	assert_memory_equal(reg, ((u8[]){'a', 0x01, 0xcc, 0x03, 0x0b, 0x61, 0xb0, 0x5a}), 8);
	assert_int_equal(in(UART_RX), 'b');
	assert_int_equal(in(UART_RX), 'c');
	out(UART_LCR, UART_LCR_DLAB);
	assert_int_equal(in(UART_DLL), 0x34);
	assert_int_equal(in(UART_DLM), 0x12);

	/* A count that lies: refused, and the device is none the worse. */
	for (size_t i = 0; i < saved.len; i++) {
		u8 old = saved.data[i];

		saved.data[i] = 0xff;
		state_init_in(&s, saved.data, saved.len);
		(void)serial_8250_ops.state(f->dev, &s);
		saved.data[i] = old;
		for (u32 j = 0; j < 40; j++)
			in(UART_RX);
	}
	buf_free(&saved);
}

static void test_acpi(void **state)
{
	static const u8 pnp0501[] = {0x41, 0xd0, 0x05, 0x01};
	static const u8 io[] = {0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08};
	struct fake *f = *state;
	struct buf b = {0};
	struct aml aml = {.out = &b};

	serial_8250_ops.describe_acpi(f->dev, &aml);
	assert_int_equal(aml.depth, 0);
	assert_non_null(memmem(b.data, b.len, "COM1", 4));
	assert_non_null(memmem(b.data, b.len, pnp0501, sizeof(pnp0501)));
	assert_non_null(memmem(b.data, b.len, io, sizeof(io)));
	buf_free(&b);
}

/* Any access in any order; every now and then the world outside moves too. What comes in comes out in order.
 */
static void test_storm(void **state)
{
	struct fake *f = *state;
	unsigned int seed = 1;

	for (u32 i = 0; i < 400000; i++) {
		u32 r = (u32)rand_r(&seed);
		u64 raw = (u64)rand_r(&seed) << 32 | (u32)rand_r(&seed);
		u8 data[8];

		memcpy(data, &raw, sizeof(data));
		access_port(r & 7, data, r >> 3 & 3 ? 1 : 1 + (r >> 8 & 7), r >> 16 & 1);
		if (f->out_len > OUT_MAX / 2)
			f->out_len = 0;
		switch (r >> 20 & 63) {
		case 0:
			f->out_room = r >> 8 & 0xff;
			break;
		case 1:
			f->out_room = SIZE_MAX;
			f->client->output_ready(f->dev);
			break;
		case 2:
			if (f->zone)
				f->timer->fn(f->timer);
			break;
		case 3:
			device_lock(f->dev);
			serial_8250_ops.reset(f->dev);
			device_unlock(f->dev);
			break;
		default:
			f->in = data;
			f->in_len = sizeof(data);
			pump();
		}
	}
	/* Offsets that no bus would bring. */
	for (u64 offset = 0; offset < 16; offset++) {
		u8 data[8] = {0};

		access_port(offset, data, 8, true);
		access_port(UINT64_MAX - offset, data, 8, false);
	}
	f->out_len = 0;
	access_port(1ull << 32, (u8[]){'x'}, 1, true);
	assert_int_equal(f->out_len, 0);
	/* After all that it is still a 16550A. */
	device_lock(f->dev);
	serial_8250_ops.reset(f->dev);
	device_unlock(f->dev);
	assert_false(f->level);
	f->out_room = SIZE_MAX;
	f->client->output_ready(f->dev);
	autoconfig();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_transmit_simple, setup, teardown),
		cmocka_unit_test_setup_teardown(test_thre_priority, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mmio, setup_mmio, teardown),
		cmocka_unit_test_setup_teardown(test_triggers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trigger_driver, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paste_polled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flow_control, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loopback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blocked_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_coalescing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_coalescing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_acpi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_storm, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

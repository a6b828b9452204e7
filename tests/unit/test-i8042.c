/* SPDX-License-Identifier: MIT */
/* hw/i8042.c: reboot by the keyboard controller, and what a kernel that probes it sees. */
/* WRAP: irq_set_line irq_claim kvm_end kvm_guest_panicked */
#include "board.h"

#define DATA   0x60
#define STATUS 0x64
#define LINE   1

enum { OBF = 0x01, IBF = 0x02, SYS = 0x04, CMD = 0x08, UNLOCKED = 0x10, AUX = 0x20, TIMEOUT = 0x40 };

static const struct board_device table[] = {
	{.ops = &i8042_ops, .bus = BUS_PIO, .base = DATA, .line = LINE},
	{.ops = NULL},
};

static int setup(void **state)
{
	board_init(table);
	board_up();
	return 0;
}

static int teardown(void **state)
{
	board_down();
	return 0;
}

static u8 reply(void)
{
	assert_true(inb(STATUS) & OBF);
	return inb(DATA);
}

static void no_reply(void)
{
	assert_false(inb(STATUS) & (OBF | IBF));
}

static u8 ask(u8 command)
{
	outb(STATUS, command);
	return reply();
}

static void set_ctr(u8 v)
{
	outb(STATUS, 0x60);
	outb(DATA, v);
}

static void expect(u8 to_keyboard, u32 n, ...)
{
	va_list ap;

	outb(DATA, to_keyboard);
	va_start(ap, n);
	while (n--)
		assert_int_equal(reply(), va_arg(ap, int));
	va_end(ap);
	no_reply();
}

static void test_reboot(void **state)
{
	for (u32 v = 0xf0; v <= 0xff; v++) {
		board.ends = 0;
		assert_false(inb(STATUS) & IBF); /* what kb_wait() looks at */
		outb(STATUS, (u8)v);
		assert_int_equal(board.ends, !(v & 1));
	}
	board.ends = 0;
	outb(STATUS, 0xfe);
	assert_int_equal(board.end, VM_RESET);
	board.ends = 0;
	outb(STATUS, 0xd1);
	outb(DATA, 0xdf); /* A20 on, no reset */
	assert_int_equal(board.ends, 0);
	outb(STATUS, 0xd1);
	outb(DATA, 0xde);
	assert_int_equal(board.ends, 1);
	assert_int_equal(board.end, VM_RESET);
}

/* The steps of Linux's i8042 driver, up to its verdict that there is no AUX port. */
static void test_linux_probe(void **state)
{
	u8 ctr, loop;

	no_reply();
	assert_int_equal(ask(0xaa), 0x55);
	ctr = ask(0x20);
	assert_int_equal(ask(0x20), ctr);
	assert_true(inb(STATUS) & UNLOCKED);
	assert_true(ctr & 0x40); /* translating */
	set_ctr((ctr | 0x10) & ~0x01);
	assert_int_equal(ask(0x20), (ctr | 0x10) & ~0x01);

	outb(STATUS, 0xd3);
	outb(DATA, 0x5a);
	assert_int_equal(inb(STATUS) & (OBF | AUX), OBF); /* not from AUX: "auxerr" at once */
	loop = inb(DATA);
	assert_int_equal(loop, 0x5a);
	assert_true(ask(0xa9) != 0x00);
	assert_int_equal(ask(0xab), 0x00);
	no_reply();
}

static void test_keyboard(void **state)
{
	set_ctr(0x25); /* no translation */
	expect(0xff, 2, 0xfa, 0xaa);
	expect(0xf2, 3, 0xfa, 0xab, 0x83);
	expect(0xee, 1, 0xee);
	expect(0xed, 1, 0xfa);
	expect(0x07, 1, 0xfa);
	expect(0xf0, 1, 0xfa);
	expect(0x00, 2, 0xfa, 0x02);
	expect(0xf0, 1, 0xfa);
	expect(0x03, 1, 0xfa);
	expect(0xf0, 1, 0xfa);
	expect(0x00, 2, 0xfa, 0x03);
	expect(0xf0, 1, 0xfa);
	expect(0x04, 1, 0xfe);
	expect(0xf3, 1, 0xfa);
	expect(0x20, 1, 0xfa);
	expect(0xf5, 1, 0xfa);
	expect(0xf4, 1, 0xfa);
	expect(0x12, 1, 0xfe); /* not a command */
	expect(0xee, 1, 0xee);
	expect(0xfe, 1, 0xee); /* again */
	expect(0xed, 1, 0xfa);
	expect(0xf4, 1, 0xfa); /* a command in place of data */
	expect(0x07, 1, 0xfe);
	set_ctr(0x65);
	expect(0xf2, 3, 0xfa, 0xab, 0x41); /* translated */
}

static void test_held_while_disabled(void **state)
{
	outb(STATUS, 0xad);
	assert_true(ask(0x20) & 0x10);
	expect(0xee, 1, 0xee); /* a byte for the keyboard enables it */
	assert_false(ask(0x20) & 0x10);
	outb(DATA, 0xff);
	outb(STATUS, 0xad);
	assert_int_equal(inb(DATA), 0xfa);
	no_reply(); /* the second byte waits in the keyboard */
	outb(STATUS, 0xae);
	assert_int_equal(reply(), 0xaa);
}

static void test_interrupts(void **state)
{
	set_ctr(0x64);
	expect(0xee, 1, 0xee);
	assert_int_equal(board.rises[LINE], 0);
	set_ctr(0x65);
	outb(DATA, 0xf2);
	for (u32 i = 1; i <= 3; i++) { /* an edge for each byte */
		assert_true(board.level[LINE]);
		assert_int_equal(board.rises[LINE], i);
		inb(DATA);
	}
	assert_false(board.level[LINE]);
	/* One that was there before interrupts were on comes through; turning them off lowers the line. */
	set_ctr(0x64);
	outb(DATA, 0xee);
	assert_false(board.level[LINE]);
	set_ctr(0x65);
	assert_true(board.level[LINE]);
	set_ctr(0x64);
	assert_false(board.level[LINE]);
	set_ctr(0x65);
	inb(DATA);
	board.rises[LINE] = 0;
	outb(STATUS, 0xaa);
	outb(STATUS, 0xaa); /* over an unread one: a byte of its own */
	assert_int_equal(board.rises[LINE], 2);
	board_reset(&i8042_ops);
	assert_false(board.level[LINE]);
	no_reply();
}

static void test_ports(void **state)
{
	assert_true(ask(0xc0) & 0x80);
	assert_int_equal(ask(0xd0) & 0x03, 0x03);
	outb(STATUS, 0xdd);
	assert_int_equal(ask(0xd0) & 0x03, 0x01);
	outb(STATUS, 0xdf);
	assert_int_equal(ask(0xd0) & 0x03, 0x03);
	outb(STATUS, 0xd2);
	outb(DATA, 0x1c);
	assert_int_equal(reply(), 0x1c);
	outb(STATUS, 0x7f);
	outb(DATA, 0x99);
	assert_int_equal(ask(0x3f), 0x99);
	outb(STATUS, 0xd4);
	outb(DATA, 0xff);
	assert_int_equal(inb(STATUS) & (OBF | AUX | TIMEOUT), OBF | AUX | TIMEOUT);
	assert_int_equal(inb(DATA), 0xfe);
	assert_int_equal(ask(0xa4), 0xf1);
	outb(STATUS, 0xaa);
	assert_true(inb(STATUS) & CMD);
	assert_int_equal(reply(), 0x55);
	assert_int_equal(board.ends, 0);
	/* Between the two ports is nobody. */
	assert_int_equal(board_read(BUS_PIO, 0x61, 1), 0xff);
	assert_int_equal(board_read(BUS_PIO, DATA, 4) >> 8, 0xffffff);
}

static void test_guest_that_never_reads(void **state)
{
	for (u32 i = 0; i < 1000; i++)
		outb(DATA, 0xf2);
	for (u32 i = 0; i < 20; i++)
		inb(DATA);
	no_reply();
	expect(0xee, 1, 0xee);
	board_hammer(BUS_PIO, DATA, 5, 100000);
}

static void test_state(void **state)
{
	struct buf saved = {0};

	set_ctr(0x65);
	outb(DATA, 0xf2);
	board_save(&i8042_ops, STATE_SAVE, &saved);
	board_reset(&i8042_ops);
	no_reply();
	board.lenient = true;
	assert_int_equal(board_restore(&i8042_ops, saved.data, saved.len), 0);
	assert_int_equal(reply(), 0xfa);
	assert_int_equal(reply(), 0xab);
	assert_int_equal(reply(), 0x41);
	no_reply();
	buf_free(&saved);
	board_restore_hostile(&i8042_ops);
	board_hammer(BUS_PIO, DATA, 5, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reboot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_linux_probe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keyboard, setup, teardown),
		cmocka_unit_test_setup_teardown(test_held_while_disabled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_guest_that_never_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* hw/rtc-mc146818.c: the clock against a host clock of the test's own, its interrupts, and CMOS memory. */
/* WRAP: irq_set_line irq_claim kvm_end kvm_guest_panicked clock_gettime */
/* WRAP: event_timer_init event_timer_set event_timer_destroy */
#include "board.h"
#include "one-timer.h"
#include <time.h>

#define LINE 8

enum { REG_A = 0x0a, REG_B = 0x0b, REG_C = 0x0c, REG_D = 0x0d, CENTURY = 0x32 };
enum { UIP = 0x80, SET = 0x80, PIE = 0x40, AIE = 0x20, UIE = 0x10, BINARY = 0x04, H24 = 0x02 };
enum { IRQF = 0x80, PF = 0x40, AF = 0x20, UF = 0x10 };

static const struct board_device table[] = {
	{.ops = &rtc_mc146818_ops, .bus = BUS_PIO, .base = 0x70, .line = LINE},
	{.ops = NULL},
};

static int setup(void **state)
{
	now_ns = 1709251198 * SEC + SEC / 4; /* 2024-02-29 23:59:58.25, a Thursday */
	board_init(table);
	board_up();
	return 0;
}

static int teardown(void **state)
{
	board_down();
	assert_null(timer);
	return 0;
}

static u8 get(u8 reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void put(u8 reg, u8 v)
{
	outb(0x70, reg);
	outb(0x71, v);
}

static void expect_time(u32 century, u32 year, u32 month, u32 day, u32 hour, u32 min, u32 sec)
{
	assert_int_equal(get(CENTURY), century);
	assert_int_equal(get(9), year);
	assert_int_equal(get(8), month);
	assert_int_equal(get(7), day);
	assert_int_equal(get(4), hour);
	assert_int_equal(get(2), min);
	assert_int_equal(get(0), sec);
}

static void put_time(u32 century, u32 year, u32 month, u32 day, u32 hour, u32 min, u32 sec)
{
	put(9, (u8)year);
	put(8, (u8)month);
	put(7, (u8)day);
	put(4, (u8)hour);
	put(2, (u8)min);
	put(0, (u8)sec);
	put(CENTURY, (u8)century);
}

static void test_time(void **state)
{
	expect_time(0x20, 0x24, 0x02, 0x29, 0x23, 0x59, 0x58);
	assert_int_equal(get(6), 5); /* Sunday is 1 */
	now_ns += 2 * SEC;
	expect_time(0x20, 0x24, 0x03, 0x01, 0x00, 0x00, 0x00);
	assert_int_equal(get(6), 6);
	put(REG_B, H24 | BINARY);
	now_ns += 15 * 3600 * SEC;
	expect_time(20, 24, 3, 1, 15, 0, 0);
	assert_int_equal(timer_sets, 0); /* a clock that nobody waits for costs no timer */
}

static void test_twelve_hours(void **state)
{
	static const u8 bcd[24] = {0x12, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x10, 0x11,
				   0x92, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x90, 0x91};

	now_ns = 1709251200 * SEC;
	put(REG_B, 0);
	for (u32 hour = 0; hour < 24; hour++, now_ns += 3600 * SEC) {
		assert_int_equal(get(4), bcd[hour]);
		put(4, bcd[hour]); /* and the same way back */
		assert_int_equal(get(4), bcd[hour]);
		put(REG_B, BINARY);
		assert_int_equal(get(4), (hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0));
		put(REG_B, H24 | BINARY);
		assert_int_equal(get(4), hour);
		put(REG_B, 0);
	}
	put(REG_B, H24);
	expect_time(0x20, 0x24, 0x03, 0x02, 0, 0, 0);
}

static void test_update_in_progress(void **state)
{
	now_ns = 1709251200 * SEC;
	for (u64 us = 0; us < 3000000; us += 100) {
		u64 into = us % 1000000;

		now_ns = 1709251200 * SEC + us * 1000;
		assert_int_equal(get(REG_A) & UIP, into >= 1000000 - 2228 ? UIP : 0);
	}
	/* Never while the clock is held, and the bit cannot be written. */
	put(REG_A, 0xa6);
	now_ns = 1709251210 * SEC;
	assert_int_equal(get(REG_A), 0x26);
	put(REG_B, SET | H24);
	for (u32 i = 0; i < 1000; i++, now_ns += 1700000)
		assert_int_equal(get(REG_A), 0x26);
}

/* The order of writes of Linux's mc146818_set_time(). */
static void linux_set_time(u32 century, u32 year, u32 month, u32 day, u32 hour, u32 min, u32 sec)
{
	u8 control = get(REG_B), freq = get(REG_A) & 0x7f;

	put(REG_B, control | SET);
	put(REG_A, freq | 0x70);
	put_time(century, year, month, day, hour, min, sec);
	expect_time(century, year, month, day, hour, min, sec); /* held, as written */
	now_ns += 90 * SEC;
	put(REG_B, control);
	expect_time(century, year, month, day, hour, min, sec); /* the divider is in reset still */
	put(REG_A, freq);
}

static void test_set_time(void **state)
{
	linux_set_time(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
	expect_time(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
	now_ns += SEC / 2 - 1; /* out of reset, the first update comes after half a second */
	expect_time(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
	now_ns += 1;
	expect_time(0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00);
	assert_int_equal(get(6), 7);
	now_ns += 366 * 86400 * SEC;
	expect_time(0x20, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00);
}

static void test_set_keeps_phase(void **state)
{
	put(REG_B, SET | H24);
	now_ns += 5 * SEC; /* lost: the clock stands */
	expect_time(0x20, 0x24, 0x02, 0x29, 0x23, 0x59, 0x58);
	put(0, 0x10);
	put(REG_B, H24);
	assert_int_equal(get(0), 0x10);
	now_ns += SEC * 3 / 4 - 1; /* at .25 the divider was, and went on */
	assert_int_equal(get(0), 0x10);
	now_ns += 1;
	assert_int_equal(get(0), 0x11);
}

static void test_set_without_set(void **state)
{
	put(2, 0x30);
	expect_time(0x20, 0x24, 0x02, 0x29, 0x23, 0x30, 0x58);
	put(8, 0x01);
	expect_time(0x20, 0x24, 0x01, 0x29, 0x23, 0x30, 0x58);
	put(CENTURY, 0x21);
	put(9, 0x05);
	expect_time(0x21, 0x05, 0x01, 0x29, 0x23, 0x30, 0x58);
	now_ns += SEC;
	assert_int_equal(get(0), 0x59);
}

static void test_update_interrupt(void **state)
{
	put(1, 0x61); /* no alarm */
	assert_int_equal(get(REG_C), 0);
	now_ns += SEC;
	assert_int_equal(get(REG_C) & ~PF, UF); /* flags rise with no interrupt enabled */
	assert_int_equal(get(REG_C), 0);
	assert_int_equal(timer_sets, 0);
	put(REG_B, H24 | UIE);
	assert_int_equal(timer_ns, SEC * 3 / 4);
	timer_fires();
	assert_true(board.level[LINE]);
	assert_int_equal(timer_ns, 0); /* nothing to wait for until the guest looks */
	now_ns += 10 * SEC;
	assert_int_equal(get(REG_C) & ~PF, IRQF | UF);
	assert_false(board.level[LINE]);
	assert_int_equal(timer_ns, SEC);
	timer_fires();
	assert_int_equal(board.rises[LINE], 2);
	put(REG_B, H24); /* disabled while pending */
	assert_false(board.level[LINE]);
	assert_int_equal(timer_ns, 0);
	put(REG_B, H24 | UIE); /* pending still: up at once */
	assert_true(board.level[LINE]);
	put(REG_B, SET | H24 | UIE);
	assert_int_equal(get(REG_B), SET | H24); /* SET clears UIE */
	get(REG_C);
	now_ns += 3 * SEC;
	assert_int_equal(get(REG_C) & UF, 0); /* no updates meanwhile */
}

static void test_periodic_rates(void **state)
{
	static const u32 hz[16] = {0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2};

	for (u32 rate = 0; rate < 16; rate++) {
		u64 start, fired = 0;

		now_ns = 1709251200 * SEC;
		put(REG_A, (u8)(0x20 | rate));
		get(REG_C);
		put(REG_B, H24 | PIE);
		if (!rate) {
			assert_int_equal(timer_ns, 0);
			continue;
		}
		start = now_ns;
		while (fired < 2 * hz[rate]) {
			timer_fires();
			assert_true(board.level[LINE]);
			assert_int_equal(get(REG_C) & (IRQF | PF), IRQF | PF);
			fired++;
		}
		/* Two seconds' worth took two seconds: no drift, and never faster than the chip. */
		assert_in_range(now_ns - start, 2 * SEC, 2 * SEC + 2000);
		put(REG_B, H24);
		assert_int_equal(timer_ns, 0);
	}
	/* With the divider in reset there are none. */
	put(REG_A, 0x66);
	put(REG_B, H24 | PIE);
	assert_int_equal(timer_ns, 0);
	now_ns += SEC;
	assert_int_equal(get(REG_C), 0);
}

static void test_alarm(void **state)
{
	put(5, 0x00);
	put(3, 0x00);
	put(1, 0x30);
	put(REG_B, H24 | AIE);
	assert_int_equal(timer_ns, 31 * SEC + 3 * SEC / 4); /* 00:00:30, tomorrow */
	timer_fires();
	assert_true(board.level[LINE]);
	assert_int_equal(get(REG_C) & (IRQF | AF), IRQF | AF);
	assert_false(board.level[LINE]);
	/* The next one is a day off; the host's clock is looked at each minute. */
	assert_int_equal(timer_ns, 60 * SEC);
	for (u32 i = 0; i < 24 * 60 - 1; i++) {
		timer_fires();
		assert_false(board.level[LINE]);
	}
	timer_fires();
	assert_true(board.level[LINE]);
	get(REG_C);

	/* "Don't care" in each place. */
	put(5, 0xff);
	put(3, 0xc0);
	put(1, 0x45);
	assert_int_equal(timer_ns, 15 * SEC);
	put(1, 0xff);
	assert_int_equal(timer_ns, SEC);
	put(5, 0x01);
	put(3, 0xff);
	put(1, 0x00);
	assert_int_equal(timer_ns, 60 * SEC);
	put(3, 0x61); /* no such minute */
	now_ns += 3 * 86400 * SEC;
	assert_int_equal(get(REG_C) & AF, 0);
	/* A poll sees it too, however long it waited. */
	put(REG_B, H24);
	put(3, 0x05);
	now_ns += 3 * 86400 * SEC;
	assert_int_equal(get(REG_C) & AF, AF);
	assert_int_equal(get(REG_C) & AF, 0);
	/* In other data modes. */
	put(REG_B, 0);
	now_ns = 1709251200 * SEC; /* midnight; the host's clock went back */
	get(REG_C);
	put(5, 0x81);
	put(3, 0x00);
	put(1, 0x00);
	now_ns += 13 * 3600 * SEC - 1;
	assert_int_equal(get(REG_C) & AF, 0);
	now_ns += 1;
	assert_int_equal(get(REG_C) & AF, AF);
}

static void test_host_clock_set(void **state)
{
	put(REG_B, H24 | UIE);
	now_ns -= 86400 * SEC;
	assert_int_equal(get(REG_C) & UF, 0);
	expect_time(0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x58);
	assert_in_range(timer_ns, 1, SEC);
	now_ns += 2 * 86400 * SEC;
	timer_fires();
	assert_true(board.level[LINE]);
}

static void test_registers(void **state)
{
	assert_int_equal(get(REG_A) & 0x7f, 0x26);
	assert_int_equal(get(REG_B), H24);
	put(REG_C, 0xff);
	assert_int_equal(get(REG_C), 0);
	put(REG_D, 0);
	assert_int_equal(get(REG_D), 0x80);
	put(0x40, 0x5a);
	assert_int_equal(get(0x40), 0x5a);
	assert_int_equal(get(0xc0), 0x5a); /* bit 7 masks NMIs, it is not part of the index */
	assert_int_equal(inb(0x70), 0xff);
	board_write(BUS_PIO, 0x70, 0x7741, 2); /* index and data at once */
	assert_int_equal(get(0x41), 0x77);
	assert_int_equal(board_read(BUS_PIO, 0x72, 2), 0xffff);
}

static void test_reset(void **state)
{
	linux_set_time(0x20, 0x30, 0x01, 0x01, 0, 0, 0);
	put(0x40, 0x5a);
	put(REG_B, H24 | UIE | AIE | PIE);
	timer_fires();
	assert_true(board.level[LINE]);
	board_reset(&rtc_mc146818_ops);
	assert_false(board.level[LINE]);
	assert_int_equal(timer_ns, 0);
	assert_int_equal(get(REG_B), H24);
	assert_int_equal(get(REG_C), 0);
	assert_int_equal(get(0x40), 0x5a); /* the battery keeps it */
	assert_int_equal(get(9), 0x30);
}

static void test_cmos_memory(void **state)
{
	static const struct {
		u64 low, high;
		u32 base, ext, above16, above4g;
	} cases[] = {
		{MiB(1), 0, 640, 0, 0, 0},
		{MiB(8), 0, 640, 7 * 1024, 0, 0},
		{MiB(256), 0, 640, 0xfc00, 240 * 16, 0},
		{GiB(3), GiB(3), 640, 0xfc00, (3072 - 16) * 16, 3 * 1024 * 16},
		{GiB(3), 4ull << 40, 640, 0xfc00, (3072 - 16) * 16, 0xffffff},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		u32 sum = 0;

		board_init(table);
		board.kvm.mem.bank[0] = (struct mem_bank){.size = cases[i].low};
		board.kvm.mem.bank[1] = (struct mem_bank){.gpa = GiB(4), .size = cases[i].high};
		board.kvm.mem.nr_banks = cases[i].high ? 2 : 1;
		board_up();
		assert_int_equal(get(0x15) | get(0x16) << 8, cases[i].base);
		assert_int_equal(get(0x17) | get(0x18) << 8, cases[i].ext);
		assert_int_equal(get(0x30) | get(0x31) << 8, cases[i].ext);
		assert_int_equal(get(0x34) | get(0x35) << 8, cases[i].above16);
		assert_int_equal(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, cases[i].above4g);
		for (u8 reg = 0x10; reg <= 0x2d; reg++)
			sum += get(reg);
		assert_int_equal(get(0x2e) << 8 | get(0x2f), sum);
		board_down();
	}
}

static void test_hostile(void **state)
{
	for (u32 i = 0; i < 30000; i++) {
		put((u8)board_random(), (u8)board_random());
		get((u8)board_random());
		now_ns += board_random() % (3 * SEC);
		if (timer_ns && (board_random() & 3) == 0)
			timer_fires();
	}
	board_hammer(BUS_PIO, 0x70, 2, 30000);
	/* As far out as a guest can set the clock, with the host's at its ends. */
	put(REG_B, SET | BINARY | H24);
	put_time(255, 255, 255, 255, 255, 255, 255);
	put(REG_B, BINARY | H24 | AIE | UIE | PIE);
	get(9);
	now_ns = 0;
	get(REG_C);
	now_ns = 1ull << 62;
	get(REG_C);
	put(REG_B, SET | BINARY | H24);
	put_time(0, 0, 0, 0, 0, 0, 0);
	put(REG_B, BINARY | H24 | AIE | UIE | PIE);
	get(9);
	get(REG_C);
}

static void test_state(void **state)
{
	struct buf saved = {0};

	linux_set_time(0x20, 0x30, 0x01, 0x01, 0, 0, 0);
	put(REG_B, H24 | UIE);
	outb(0x70, 0x09);
	board_save(&rtc_mc146818_ops, STATE_SAVE, &saved);
	board_down();
	setup(NULL);
	now_ns += 91 * SEC;
	assert_int_equal(get(9), 0x24);
	assert_int_equal(board_restore(&rtc_mc146818_ops, saved.data, saved.len), 0);
	assert_int_equal(inb(0x71), 0x30);
	assert_int_equal(get(0), 0x01); /* it ran on meanwhile */
	assert_in_range(timer_ns, 1, SEC);
	buf_free(&saved);
	board_restore_hostile(&rtc_mc146818_ops);
	board.lenient = true;
	test_hostile(state);
}

static void test_acpi(void **state)
{
	static const u8 crs[] = {0x47, 1, 0x70, 0, 0x70, 0, 1, 2, 0x22, 0x00, 0x01};
	struct buf aml = {0};

	board_aml(&rtc_mc146818_ops, &aml);
	assert_true(buf_holds(&aml, crs, sizeof(crs)));
	buf_free(&aml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_twelve_hours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_update_in_progress, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set_keeps_phase, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set_without_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_update_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_periodic_rates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alarm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host_clock_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test(test_cmos_memory),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_acpi, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

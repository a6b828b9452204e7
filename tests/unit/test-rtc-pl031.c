/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* hw/rtc-pl031.c: the clock against a host clock of the test's own, its alarm, and who sets which. */
/* WRAP: irq_set_line irq_claim kvm_end kvm_guest_panicked clock_gettime */
/* WRAP: event_timer_init event_timer_set event_timer_destroy */
#include "board.h"
#include "one-timer.h"
#include <time.h>

#define BASE  0x1010000ull
#define LINE  5
#define START 1709251198ull

enum { DR = 0x00, MR = 0x04, LR = 0x08, CR = 0x0c, IMSC = 0x10, RIS = 0x14, MIS = 0x18, ICR = 0x1c };

static const struct board_device table[] = {
	{.ops = &rtc_pl031_ops, .bus = BUS_MMIO, .base = BASE, .line = LINE},
	{.ops = NULL},
};

/* The timer, as often as it wants, until the line is high: the seconds that took. */
static u64 until_alarm(void)
{
	u64 start = now_ns;

	for (u32 i = 0; i < 100000 && !board.level[LINE]; i++)
		timer_fires();
	assert_true(board.level[LINE]);
	return (now_ns - start) / SEC;
}

static int setup(void **state)
{
	now_ns = START * SEC + SEC / 4;
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

static u32 get(u64 reg)
{
	return (u32)board_read(BUS_MMIO, BASE + reg, 4);
}

static void put(u64 reg, u32 v)
{
	board_write(BUS_MMIO, BASE + reg, v, 4);
}

static void test_identity(void **state)
{
	static const u8 ids[8] = {0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

	for (u32 i = 0; i < 8; i++)
		assert_int_equal(get(0xfe0 + 4 * i), ids[i]);
	assert_int_equal(get(CR), 1);
	put(CR, 0); /* it cannot be stopped */
	assert_int_equal(get(CR), 1);
	assert_int_equal(get(MR), 0);
	assert_int_equal(get(LR), 0);
	assert_int_equal(get(IMSC) | get(RIS) | get(MIS), 0);
}

static void test_time(void **state)
{
	assert_int_equal(get(DR), START);
	now_ns += SEC * 3 / 4 - 1;
	assert_int_equal(get(DR), START);
	now_ns += 1;
	assert_int_equal(get(DR), START + 1);
	put(DR, 77); /* is for reading */
	assert_int_equal(get(DR), START + 1);
	/* Set by the guest, it goes on from there, with the second's phase. */
	put(LR, 1000);
	assert_int_equal(get(LR), 1000);
	now_ns += SEC - 1;
	assert_int_equal(get(DR), 1000);
	now_ns += 1;
	assert_int_equal(get(DR), 1001);
	/* It wraps as 32 bits do. */
	put(LR, UINT32_MAX);
	now_ns += 2 * SEC;
	assert_int_equal(get(DR), 1);
	assert_int_equal(timer_ns, 0); /* a clock that nobody waits for costs no timer */
	/* And stays where it was through a reset. */
	put(MR, 5);
	put(IMSC, 1);
	board_reset(&rtc_pl031_ops);
	assert_int_equal(get(DR), 1);
	assert_int_equal(get(MR) | get(LR) | get(IMSC), 0);
	assert_int_equal(timer_ns, 0);
}

/* The order of accesses of Linux's pl031_set_alarm() and pl031_interrupt(). */
static void test_alarm(void **state)
{
	put(MR, (u32)START + 30);
	put(ICR, 1);
	put(IMSC, get(IMSC) | 1);
	assert_int_equal(timer_ns, 30 * SEC - SEC / 4);
	assert_int_equal(get(RIS), 0);
	timer_fires();
	assert_true(board.level[LINE]);
	assert_int_equal(get(DR), START + 30);
	assert_int_equal(get(RIS), 1);
	assert_int_equal(get(MIS), 1);
	assert_int_equal(timer_ns, 0); /* nothing to wait for until the guest looks */
	now_ns += 10 * SEC;
	assert_true(board.level[LINE]);
	put(ICR, 0xfffffffe); /* no bit of ours */
	assert_true(board.level[LINE]);
	put(ICR, 1);
	assert_false(board.level[LINE]);
	assert_int_equal(get(RIS), 0);
	assert_int_equal(board.rises[LINE], 1);
	put(IMSC, 0);
	assert_int_equal(timer_ns, 0);
}

/* An alarm of tomorrow; the host's clock is looked at each minute. */
static void test_alarm_far_off(void **state)
{
	put(MR, (u32)START + 86400);
	put(IMSC, 1);
	assert_int_equal(timer_ns, 60 * SEC - SEC / 4);
	assert_int_equal(until_alarm(), 86400 - 1);
	assert_int_equal(get(DR), START + 86400);
	assert_int_equal(now_ns % SEC, 0);
}

static void test_masked(void **state)
{
	put(MR, (u32)START + 3);
	assert_int_equal(timer_ns, 0);
	now_ns += 10 * SEC; /* it came and went */
	assert_int_equal(get(RIS), 1);
	assert_int_equal(get(MIS), 0);
	assert_false(board.level[LINE]);
	put(IMSC, 1); /* and is pending still */
	assert_true(board.level[LINE]);
	assert_int_equal(get(MIS), 1);
	put(IMSC, 0);
	assert_false(board.level[LINE]);
	assert_int_equal(get(RIS), 1);
	put(ICR, 1);
	assert_int_equal(get(RIS), 0);
	/* Equal counts from the second on in which it is set, whichever of the two was set. */
	put(MR, get(DR));
	assert_int_equal(get(RIS), 1);
	put(ICR, 1);
	put(MR, 500);
	assert_int_equal(get(RIS), 0);
	put(LR, 499);
	assert_int_equal(get(RIS), 0);
	put(LR, 500);
	assert_int_equal(get(RIS), 1);
	put(ICR, 1);
	assert_int_equal(get(RIS), 0); /* once a match */
	put(LR, 501);		       /* over it */
	now_ns += 100 * SEC;
	assert_int_equal(get(RIS), 0);
}

/* A match in the past is one in the future: the counter has to come round. */
static void test_past(void **state)
{
	put(MR, (u32)START - 1);
	put(IMSC, 1);
	now_ns += (1ull << 32) * SEC - 2 * SEC;
	assert_int_equal(get(RIS), 0);
	now_ns += SEC;
	assert_int_equal(get(RIS), 1);
}

static void test_host_clock_set(void **state)
{
	/* Forward, over the alarm: it is late, not lost. */
	put(MR, (u32)START + 100);
	put(IMSC, 1);
	now_ns += 1000 * SEC;
	timer_fires();
	assert_true(board.level[LINE]);
	put(ICR, 1);
	/* Back: the guest's time goes back too, and the alarm comes when it is time. */
	put(MR, get(DR) + 100);
	now_ns -= 5000 * SEC;
	timer_fires();
	assert_false(board.level[LINE]);
	until_alarm();
	assert_int_equal(get(DR), get(MR));
	put(ICR, 1);
	/* It comes between two looks at the clock: no wait for the next minute, or for centuries. */
	put(MR, get(DR) + 2);
	now_ns += SEC;
	look_ns = 5 * SEC / 2;
	timer->fn(timer);
	look_ns = 0;
	assert_false(board.level[LINE]);
	assert_in_range(timer_ns, 1, SEC);
	timer_fires();
	assert_true(board.level[LINE]);
}

/* By bytes and halves, and what is no register. */
static void test_widths(void **state)
{
	board_write(BUS_MMIO, BASE + MR, 0x12, 1);
	assert_int_equal(get(MR), 0x12);
	board_write(BUS_MMIO, BASE + MR + 1, 0x34, 1);
	board_write(BUS_MMIO, BASE + MR + 2, 0x5678, 2);
	assert_int_equal(get(MR), 0x12);
	board_write(BUS_MMIO, BASE + MR, 0xaabbccdd11223344, 8);
	assert_int_equal(get(MR), 0x11223344);
	assert_int_equal(get(LR), 0);
	assert_int_equal(board_read(BUS_MMIO, BASE + MR, 2), 0x3344);
	assert_int_equal(board_read(BUS_MMIO, BASE + MR, 8), 0x11223344);
	assert_int_equal(board_read(BUS_MMIO, BASE + MR + 1, 1), 0xff);
	assert_int_equal(get(0x20), 0);
	assert_int_equal(get(0xfdc), 0);
	board.lenient = true;
	for (u32 i = 0; i < 20; i++) {
		board_hammer(BUS_MMIO, BASE, 0x40, 2000);
		now_ns += board_random() % (100 * SEC);
		if (timer_ns)
			timer_fires();
	}
	board_hammer(BUS_MMIO, BASE, 0x1000, 20000);
}

static void test_state(void **state)
{
	struct buf saved = {0}, text = {0};

	put(LR, 1000);
	put(MR, 1010);
	put(IMSC, 1);
	board_save(&rtc_pl031_ops, STATE_SAVE, &saved);
	board_save(&rtc_pl031_ops, STATE_TEXT, &text);
	assert_true(buf_holds(&text, "1970-01-01 00:16:40", 19));
	board_reset(&rtc_pl031_ops);
	put(LR, 77);
	board.lenient = true;
	/* Five seconds later, elsewhere: the clock has gone on, and the alarm is to come. */
	now_ns += 5 * SEC;
	assert_int_equal(board_restore(&rtc_pl031_ops, saved.data, saved.len), 0);
	assert_int_equal(get(DR), 1005);
	assert_int_equal(get(MR), 1010);
	assert_int_equal(get(LR), 1000);
	assert_int_equal(timer_ns, 5 * SEC - SEC / 4);
	assert_false(board.level[LINE]);
	/* Or it has come meanwhile. */
	now_ns += 100 * SEC;
	assert_int_equal(board_restore(&rtc_pl031_ops, saved.data, saved.len), 0);
	assert_true(board.level[LINE]);
	buf_free(&saved);
	buf_free(&text);
	board_restore_hostile(&rtc_pl031_ops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alarm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alarm_far_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_masked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_past, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host_clock_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_widths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

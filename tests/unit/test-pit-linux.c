/* SPDX-License-Identifier: MIT */
/* x86/pit.c: the two ways in which Linux measures its TSC by it, each exit taking its time. */
#include "pit-clock.h"

/* An access takes as long as an exit does. */
#define EXIT_NS 1500

static u8 slow_in(u32 reg)
{
	now += EXIT_NS;
	return in(reg);
}

static u8 slow_in61(void)
{
	now += EXIT_NS;
	return pit_read_port61(&pit, now);
}

static bool verify_msb(u8 value)
{
	slow_in(2);
	return slow_in(2) == value;
}

/* pit_expect_msb() of arch/x86/kernel/tsc.c: when the high byte stops being `value`, and how well that is
 * known. */
static bool expect_msb(u8 value, u64 *when, u64 *delta)
{
	u64 before = 0, tsc = 0;
	u32 count;

	for (count = 0; count < 50000; count++) {
		if (!verify_msb(value))
			break;
		before = tsc;
		tsc = now;
	}
	*delta = now - before;
	*when = tsc;
	return count > 5;
}

/* quick_pit_calibrate(), with our nanoseconds for its TSC: a TSC of 1 GHz. */
static void test_linux_quick_calibration(void **state)
{
	u64 start, d1, delta, d2;
	u32 i;

	now += EXIT_NS;
	pit_write_port61(&pit, now, (u8)((slow_in61() & ~2) | 1));
	out(3, 0xb0);
	out(2, 0xff);
	out(2, 0xff);
	verify_msb(0);
	assert_true(expect_msb(0xff, &start, &d1));
	for (i = 1; i <= 233; i++) {
		assert_true(expect_msb((u8)(0xff - i), &delta, &d2));
		delta -= start;
		if (i == 1 && d1 + d2 >= (delta * 233) >> 11)
			continue;
		if (d1 + d2 < delta >> 11)
			break;
	}
	assert_true(i <= 233);
	/* delta / (i * 256 clocks), within 500 ppm */
	delta = delta * PIT_HZ / (i * 256ull);
	assert_in_range(delta, SEC - SEC / 2000, SEC + SEC / 2000);
}

/* pit_calibrate_tsc(): channel 2 for 10 ms, and port 61 says when. */
static void test_linux_calibration(void **state)
{
	u32 loops = 0, latch = PIT_HZ / 100;
	u64 t1, shortest = ~0ull, last, longest = 0;

	pit_write_port61(&pit, now, (u8)((slow_in61() & ~2) | 1));
	out(3, 0xb0);
	out(2, (u8)latch);
	out(2, (u8)(latch >> 8));
	t1 = last = now;
	while (!(slow_in61() & 0x20)) {
		u64 delta = now - last;

		last = now;
		shortest = min_u64(shortest, delta);
		longest = max_u64(longest, delta);
		loops++;
	}
	assert_true(loops > 1000 && longest <= 10 * shortest);
	assert_in_range(now - t1, SEC / 100 - 3 * EXIT_NS, SEC / 100 + 3 * EXIT_NS);
}

/* A kernel that starts after another has left the channel in whatever mode. */
static void test_any_time(void **state)
{
	for (u32 mode = 0; mode < 6; mode++) {
		gate2(mode & 1);
		program(2, (u8)mode, (u16)(1000 * mode));
		now += mode * 12345678;
		test_linux_quick_calibration(NULL);
		test_linux_calibration(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_linux_quick_calibration, setup),
		cmocka_unit_test_setup(test_linux_calibration, setup),
		cmocka_unit_test_setup(test_any_time, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

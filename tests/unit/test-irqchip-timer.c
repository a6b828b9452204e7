/* SPDX-License-Identifier: MIT */
/* x86/irqchip-split.c: IRQ 0's ticks, on time, late, masked or too fast, and when the host's timer runs. */
/* WRAP: clock_gettime event_timer_set */
#include "split-vm.h"

static void test_ticks_by_pic(void **state)
{
	pit_program(1193); /* 1 kHz */
	now += 100 * MS;
	assert_int_equal(timer_ns, 0); /* nobody listens */
	pic_init(0xfffe);
	assert_in_range(timer_ns, 1, 1 * MS);
	assert_int_equal(take(), -1);
	for (u32 i = 0; i < 10; i++) {
		fire();
		/* Until it is taken another is of no use. */
		assert_int_equal(timer_ns, 0);
		now += MS / 10;
		assert_int_equal(take(), 0x30);
		assert_in_range(timer_ns, MS * 8 / 10, MS);
		outb(0x20, 0x20);
		assert_int_equal(take(), -1);
	}
	outb(0x21, 0xff);
	assert_int_equal(timer_ns, 0);
	/* The edge detector is before the mask. */
	now += 10 * MS;
	outb(0x20, 0x0a);
	assert_int_equal(inb(0x20), 0x01);
	outb(0x21, 0xfe);
	assert_int_equal(take(), 0x30);
	outb(0x20, 0x20);
	assert_int_equal(take(), -1);
	/* Other accesses do not touch the timer. */
	timer_sets = 0;
	for (u32 i = 0; i < 100; i++) {
		outb(0x20, 0x20);
		inb(0x21);
		inb(0x40);
		inb(0x61);
	}
	assert_int_equal(timer_sets, 0);
	outb(0x43, 0x30); /* mode 0, and no count */
	assert_int_equal(timer_ns, 0);
}

/* A guest that was away for a while gets what it missed: at a bounded rate, and a bounded number. */
static void test_late_ticks(void **state)
{
	u32 n;
	u64 since;

	pit_program(1193);
	pic_init(0xfffe);
	fire();
	now += 20 * MS;
	assert_int_equal(take(), 0x30);
	outb(0x20, 0x20);
	since = now;
	for (n = 0; timer_ns < MS * 7 / 10 && n < 1000; n++) {
		if (n)
			assert_in_range(timer_ns, MS * 4 / 10, MS * 6 / 10);
		else if (!timer_ns) {
			/* the first comes at once */
			assert_int_equal(take(), 0x30);
			outb(0x20, 0x20);
			continue;
		}
		fire();
		assert_int_equal(take(), 0x30);
		outb(0x20, 0x20);
	}
	/* 20 that it missed, and as many while it caught up. */
	assert_in_range(n, 38, 42);
	assert_in_range(now - since, 18 * MS, 22 * MS);

	for (u32 i = 0; i < 10; i++) {
		now += 360ull * 1000 * MS;
		inb(0x20);
	}
	n = 0;
	since = now;
	for (u32 i = 0; i < 1000 && now - since < 200 * MS; i++) {
		if (timer_ns)
			fire();
		if (take() == 0x30) {
			n++;
			outb(0x20, 0x20);
		}
	}
	assert_in_range(n, 200 + 60, 200 + 70);
	/* A count written anew forgets them. */
	now += 50 * MS;
	pit_program(1193);
	take();
	outb(0x20, 0x20);
	assert_int_equal(take(), -1);
}

static void test_ticks_by_ioapic(void **state)
{
	pit_program(11932); /* 100 Hz */
	set_entry(0, 0x50);
	for (u32 i = 1; i <= 5; i++) {
		assert_in_range(timer_ns, 1, 10 * MS + MS / 100);
		fire();
		assert_int_equal(msis(), i);
		assert_int_equal(last_vector(), 0x50);
	}
	set_entry(0, MASKED | 0x50);
	assert_int_equal(timer_ns, 0);
	now += 1000 * MS;
	set_entry(0, 0x50);
	assert_int_equal(msis(), 5); /* what passed while it was masked is gone */
	assert_true(timer_ns);
	set_entry(0, MASKED | 0x50);
}

static void test_one_shot(void **state)
{
	pic_init(0xfffe);
	outb(0x43, 0x38);
	outb(0x40, 0xa9);
	outb(0x40, 0x04); /* 1 ms */
	fire();
	assert_int_equal(take(), 0x30);
	outb(0x20, 0x20);
	assert_int_equal(timer_ns, 0);
	now += 100 * MS;
	assert_int_equal(take(), -1);
	outb(0x40, 0xa9);
	outb(0x40, 0x04);
	fire();
	assert_int_equal(take(), 0x30);
}

/* However fast it is programmed, the host's timer is not. */
static void test_fast(void **state)
{
	u64 since = now;
	u32 n = 0;

	set_entry(0, 0x50);
	pit_program(2);
	while (now - since < 100 * MS) {
		fire();
		n++;
	}
	assert_in_range(n, 450, 510);
	pit_program(0);
	assert_in_range(timer_ns, 54 * MS, 55 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ticks_by_pic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_ticks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ticks_by_ioapic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_shot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fast, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

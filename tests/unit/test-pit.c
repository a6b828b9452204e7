/* SPDX-License-Identifier: MIT */
/*
 * x86/pit.c: the 8254 and port 61 against a clock of the test's own: each mode's counter, output and edges,
 * latches and read-back, state, and any accesses at all.
 */
#include "pit-clock.h"

/* ---- the modes, on channel 0 where its gate does not matter --------------------------------- */

static void test_reset(void **state)
{
	u64 t = now;

	assert_int_equal(status(0), OUT | 0x36);
	assert_int_equal(status(1), OUT | 0x14);
	assert_int_equal(status(2), OUT | 0x36);
	at(t, 100);
	assert_int_equal(latched(0), 65536 - 200);
	assert_int_equal(latched(2), 0); /* its gate is low */
	/* 18.2 Hz */
	assert_int_equal(pit_period(&pit), 65536 * SEC / PIT_HZ + 1);
	at(t, 65536);
	assert_edges(1);
	now = t + 10 * SEC;
	assert_edges(10 * PIT_HZ / 65536 - 1);
}

static void test_terminal_count(void **state)
{
	u64 t = now;

	program(0, 0, 1000);
	assert_int_equal(status(0), 0x30);
	assert_int_equal(pit_period(&pit), 0);
	at(t, 999);
	assert_int_equal(latched(0), 1);
	assert_false(output(0));
	assert_edges(0);
	assert_true(pit_next_edge(&pit, now));
	now += pit_next_edge(&pit, now);
	assert_int_equal(latched(0), 0);
	assert_true(output(0));
	assert_int_equal(pit_next_edge(&pit, now), 0);
	assert_edges(1);
	assert_edges(0);
	at(t, 1001);
	assert_int_equal(latched(0), 0xffff); /* it goes on */
	at(t, 1000 + 3 * 65536);
	assert_int_equal(latched(0), 0);
	assert_true(output(0));
	assert_edges(0);
	/* The first byte of another count stops it. */
	t = now;
	out(0, 0x10);
	assert_false(output(0));
	at(t, 5000);
	assert_edges(0);
	assert_false(output(0));
	t = now;
	out(0, 0);
	at(t, 15);
	assert_edges(0);
	at(t, 16);
	assert_edges(1);
}

static void test_rate(void **state)
{
	u64 t = now;

	program(0, 2, 1193);
	assert_int_equal(status(0), OUT | 0x34);
	assert_int_equal(pit_period(&pit), 1193 * SEC / PIT_HZ + 1);
	at(t, 0);
	assert_int_equal(latched(0), 1193);
	at(t, 1191);
	assert_int_equal(latched(0), 2);
	assert_true(output(0));
	at(t, 1192);
	assert_int_equal(latched(0), 1);
	assert_false(output(0));
	assert_edges(0);
	at(t, 1193);
	assert_int_equal(latched(0), 1193);
	assert_true(output(0));
	assert_edges(1);
	at(t, 10 * 1193 + 3);
	assert_int_equal(latched(0), 1190);
	assert_edges(9);
	/* Never late, never early, for a day: pit_next_edge() leads from one to the next. */
	for (u32 i = 0; i < 1000; i++) {
		u64 wait = pit_next_edge(&pit, now);

		assert_true(wait && wait <= 1193 * SEC / PIT_HZ + 1);
		now += wait - 1;
		assert_edges(0);
		now += 1;
		assert_edges(1);
	}
	now = t + 86400 * SEC;
	assert_edges(86400ull * PIT_HZ / 1193 - 1010);
	at(t, 86400ull * PIT_HZ);
	assert_int_equal(latched(0), 1193 - 86400ull * PIT_HZ % 1193);
}

/* A count that is written while a period runs is taken at its end. */
static void test_rate_next(void **state)
{
	u64 t = now;

	program(0, 2, 1000);
	at(t, 2100);
	assert_edges(2);
	out(0, (u8)500);
	at(t, 2150);
	assert_int_equal(status(0), OUT | 0x34); /* half a count */
	out(0, 500 >> 8);
	assert_int_equal(status(0), OUT | NULL_COUNT | 0x34);
	assert_int_equal(latched(0), 850);
	at(t, 2999);
	assert_edges(0);
	at(t, 3100);
	assert_edges(1);
	assert_int_equal(status(0), OUT | 0x34);
	assert_int_equal(latched(0), 400);
	at(t, 4600);
	assert_edges(3);
	assert_int_equal(latched(0), 400);
	/* Looked at late, it is the same. */
	out(0, (u8)2000);
	out(0, 2000 >> 8);
	at(t, 5000 + 2000 + 5);
	assert_edges(2);
	assert_int_equal(latched(0), 1995);
}

static void test_square(void **state)
{
	u64 t = now;

	program(0, 3, 10);
	at(t, 0);
	assert_int_equal(latched(0), 10);
	at(t, 4);
	assert_int_equal(latched(0), 2);
	assert_true(output(0));
	at(t, 5);
	assert_int_equal(latched(0), 10);
	assert_false(output(0));
	at(t, 9);
	assert_int_equal(latched(0), 2);
	assert_edges(0);
	at(t, 10);
	assert_true(output(0));
	assert_edges(1);
	/* Odd: the high half is one clock longer. */
	t = now;
	program(0, 3, 5);
	for (u32 i = 0; i < 20; i++) {
		static const u8 count[] = {4, 2, 0, 4, 2};

		at(t, i);
		assert_int_equal(latched(0), count[i % 5]);
		assert_int_equal(output(0), i % 5 < 3);
	}
	assert_edges(3);
	/* Mode 7 is mode 3, mode 6 is mode 2. */
	out(3, 0x3e);
	assert_int_equal(status(0), OUT | NULL_COUNT | 0x36);
	out(3, 0x3c);
	assert_int_equal(status(0), OUT | NULL_COUNT | 0x34);
	assert_int_equal(pit_next_edge(&pit, now), 0);
}

static void test_strobe(void **state)
{
	u64 t = now;

	program(0, 4, 300);
	assert_true(output(0));
	at(t, 299);
	assert_true(output(0));
	at(t, 300);
	assert_false(output(0));
	assert_edges(0);
	at(t, 301);
	assert_true(output(0));
	assert_edges(1);
	assert_int_equal(pit_next_edge(&pit, now), 0);
	/* Each count is another shot, as Linux's one-shot clock event has it. */
	for (u32 i = 0; i < 5; i++) {
		u64 wait;

		out(0, 200);
		out(0, 0);
		wait = pit_next_edge(&pit, now);
		assert_true(wait > 200 * SEC / PIT_HZ && wait < 202 * SEC / PIT_HZ);
		now += wait;
		assert_edges(1);
	}
	/* And takes the place of the one before. */
	out(0, 200);
	out(0, 0);
	t = now;
	at(t, 100);
	out(0, 0);
	out(0, 1);
	t = now;
	at(t, 250);
	assert_edges(0);
	at(t, 258);
	assert_edges(1);
}

/* Channel 0's gate never rises: modes 1 and 5 wait for ever. */
static void test_no_trigger(void **state)
{
	for (u8 mode = 1; mode <= 5; mode += 4) {
		program(0, mode, 100);
		assert_int_equal(status(0), (u8)(OUT | NULL_COUNT | 0x30 | mode << 1));
		assert_int_equal(pit_next_edge(&pit, now), 0);
		now += SEC;
		assert_edges(0);
	}
}

static void test_bcd(void **state)
{
	u64 t = now;

	out(3, 0x35);
	out(0, 0x34);
	out(0, 0x12); /* 1234 */
	at(t, 35);
	assert_int_equal(latched(0), 0x1199);
	at(t, 1234);
	assert_edges(1);
	assert_int_equal(latched(0), 0x1234);
	/* 0 is 10,000 */
	t = now;
	out(3, 0x31);
	out(0, 0);
	out(0, 0);
	assert_int_equal(latched(0), 0);
	at(t, 1);
	assert_int_equal(latched(0), 0x9999);
	at(t, 9999);
	assert_edges(0);
	at(t, 10000);
	assert_edges(1);
	at(t, 10002);
	assert_int_equal(latched(0), 0x9998);
	/* Digits that are none. */
	out(3, 0x35);
	out(0, 0xff);
	out(0, 0xff);
	now += SEC;
	assert_true(pit_take_edges(&pit, now) > 100);
}

/* ---- channel 2 and its gate ----------------------------------------------------------------- */

static void test_gate(void **state)
{
	u64 t;

	/* Mode 0: the gate holds the counter. */
	gate2(false);
	program(2, 0, 1000);
	now += SEC;
	assert_int_equal(latched(2), 1000);
	gate2(true);
	t = now;
	at(t, 400);
	assert_int_equal(latched(2), 600);
	gate2(false);
	now += SEC;
	assert_int_equal(latched(2), 600);
	assert_false(pit_read_port61(&pit, now) & 0x20);
	gate2(true);
	t = now;
	at(t, 599);
	assert_false(pit_read_port61(&pit, now) & 0x20);
	at(t, 600);
	assert_true(pit_read_port61(&pit, now) & 0x20);

	/* Mode 2: a low gate takes OUT high, and a rising one begins anew. */
	program(2, 2, 100);
	t = now;
	at(t, 99);
	assert_false(output(2));
	gate2(false);
	assert_true(output(2));
	now += SEC;
	gate2(true);
	t = now;
	at(t, 30);
	assert_int_equal(latched(2), 70);

	/* Mode 1: a shot for each rise. */
	gate2(false);
	program(2, 1, 50);
	assert_true(output(2));
	gate2(true);
	t = now;
	at(t, 10);
	assert_false(output(2));
	assert_int_equal(status(2), 0x32);
	gate2(false); /* its fall is nothing */
	at(t, 49);
	assert_false(output(2));
	at(t, 50);
	assert_true(output(2));
	gate2(true);
	t = now;
	at(t, 30);
	out(2, 20);
	out(2, 0); /* for the next */
	assert_int_equal(latched(2), 20);
	at(t, 49);
	assert_false(output(2));
	gate2(false);
	gate2(true); /* triggered again */
	t = now;
	at(t, 19);
	assert_false(output(2));
	at(t, 20);
	assert_true(output(2));

	/* Mode 5: a strobe after each rise. */
	program(2, 5, 8);
	now += SEC;
	assert_true(output(2));
	gate2(false);
	gate2(true);
	t = now;
	at(t, 7);
	assert_true(output(2));
	at(t, 8);
	assert_false(output(2));
	at(t, 9);
	assert_true(output(2));
}

static void test_port61(void **state)
{
	u32 changes = 0;
	bool was = false;

	pit_write_port61(&pit, now, 0xff);
	assert_int_equal(pit_read_port61(&pit, now) & 0xcf, 0x0f);
	pit_write_port61(&pit, now, 0);
	assert_int_equal(pit_read_port61(&pit, now) & 0xcf, 0);
	/* The refresh bit changes each 15 us. */
	for (u32 us = 0; us < 1000; us++, now += 1000) {
		bool is = pit_read_port61(&pit, now) & 0x10;

		changes += is != was;
		was = is;
	}
	assert_in_range(changes, 60, 72);
	assert_int_equal(in(3), 0xff);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void test_latches(void **state)
{
	u64 t = now;

	program(0, 2, 0x1234);
	at(t, 0);
	out(3, 0x00);
	at(t, 0x100);
	out(3, 0x00); /* the first one stands */
	assert_int_equal(in(0), 0x34);
	out(3, 0x00); /* half read, it stands still */
	assert_int_equal(in(0), 0x12);
	assert_int_equal(both(0), 0x1134);
	/* Status and count by one command: status first. */
	out(3, 0xc2);
	at(t, 0x200);
	assert_int_equal(in(0), OUT | 0x34);
	assert_int_equal(both(0), 0x1134);
	assert_int_equal(both(0), 0x1034);
	/* Several channels at once. */
	program(2, 0, 0x4321);
	out(3, 0xda); /* counts of 0 and 2, and no status */
	now += SEC;
	assert_int_equal(both(2), 0x4321);
	assert_int_equal(both(0), 0x1034);
	/* One byte a count. */
	out(3, 0x14);
	out(0, 0x80);
	t = now;
	at(t, 0x10);
	assert_int_equal(in(0), 0x70);
	assert_int_equal(in(0), 0x70);
	out(3, 0x00);
	at(t, 0x20);
	assert_int_equal(in(0), 0x70);
	assert_int_equal(in(0), 0x60);
	out(3, 0x24);
	out(0, 0x80); /* 0x8000 */
	t = now;
	at(t, 0x123);
	assert_int_equal(in(0), 0x7e);
	out(3, 0x00);
	at(t, 0x423);
	assert_int_equal(in(0), 0x7e);
	assert_int_equal(in(0), 0x7b);
	/* The control word starts the order of bytes anew. */
	program(0, 2, 0x1000);
	in(0);
	out(3, 0x34);
	out(0, 0x77);
	out(0, 0x66);
	assert_int_equal(latched(0), 0x6677);
}

/* ---- state, and whatever may come ----------------------------------------------------------- */

static void save(struct buf *b)
{
	struct state s;

	state_init_out(&s, STATE_SAVE, b);
	pit_state(&pit, now, &s);
	assert_int_equal(state_finish(&s, "pit"), 0);
}

static int restore(const void *bytes, size_t len)
{
	struct state s;

	state_init_in(&s, bytes, len);
	pit_state(&pit, now, &s);
	return s.err;
}

/* Saved on one host, and counting on where it was on another, whose clock is another. */
static void test_state(void **state)
{
	struct buf saved = {0}, again = {0}, json = {0};
	struct state s;
	u64 t = now;

	program(0, 2, 1000);
	gate2(true);
	program(2, 0, 5000);
	at(t, 2400);
	out(3, 0x00);
	save(&saved);
	now = 77;
	pit_reset(&pit, now);
	now = 5000;
	assert_int_equal(restore(saved.data, saved.len), 0);
	save(&again);
	assert_int_equal(saved.len, again.len);
	assert_memory_equal(saved.data, again.data, saved.len);
	assert_int_equal(both(0), 600);
	assert_int_equal(latched(2), 2600);
	t = now;
	at(t, 599);
	assert_edges(0);
	at(t, 600);
	assert_edges(1);
	for (size_t len = 0; len < saved.len; len++)
		assert_true(restore(saved.data, len) < 0);
	/* One key a value. */
	state_init_out(&s, STATE_JSON, &json);
	pit_state(&pit, now, &s);
	assert_int_equal(state_finish(&s, "pit"), 0);
	assert_non_null(memmem(json.data, json.len, "\"channel2\"", 10));
	buf_free(&saved);
	buf_free(&again);
	buf_free(&json);
}

static u64 rnd(void)
{
	static u64 x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static void storm_one(void)
{
	u64 r = rnd(), wait;

	now += r >> 32 & ((1ull << (r >> 8 & 31)) - 1);
	switch (r & 7) {
	case 0 ... 2:
		out(r >> 16 & 3, (u8)(r >> 24));
		break;
	case 3:
		in(r >> 16 & 3);
		break;
	case 4:
		pit_write_port61(&pit, now, (u8)(r >> 24));
		break;
	case 5:
		pit_read_port61(&pit, now);
		break;
	case 6:
		pit_take_edges(&pit, now);
		break;
	default:
		/* An edge that is promised comes when it was promised. */
		pit_take_edges(&pit, now);
		wait = pit_next_edge(&pit, now);
		if (wait) {
			now += wait - 1;
			assert_edges(0);
			now++;
			assert_edges(1);
		}
	}
}

static void test_storm(void **state)
{
	for (u32 round = 0; round < 300; round++) {
		for (u32 i = 0; i < 1000; i++)
			storm_one();
		gate2(true);
		test_rate(NULL);
	}
}

static void test_hostile_state(void **state)
{
	struct buf saved = {0};

	save(&saved);
	for (u32 i = 0; i < 5000; i++) {
		size_t at_byte = rnd() % saved.len;
		u8 was = saved.data[at_byte];

		saved.data[at_byte] = (u8)rnd();
		if (!restore(saved.data, saved.len)) {
			pit_take_edges(&pit, now);
			for (u32 k = 0; k < 50; k++)
				storm_one();
		}
		saved.data[at_byte] = was;
	}
	buf_free(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_reset, setup),
		cmocka_unit_test_setup(test_terminal_count, setup),
		cmocka_unit_test_setup(test_rate, setup),
		cmocka_unit_test_setup(test_rate_next, setup),
		cmocka_unit_test_setup(test_square, setup),
		cmocka_unit_test_setup(test_strobe, setup),
		cmocka_unit_test_setup(test_no_trigger, setup),
		cmocka_unit_test_setup(test_bcd, setup),
		cmocka_unit_test_setup(test_gate, setup),
		cmocka_unit_test_setup(test_port61, setup),
		cmocka_unit_test_setup(test_latches, setup),
		cmocka_unit_test_setup(test_state, setup),
		cmocka_unit_test_setup(test_storm, setup),
		cmocka_unit_test_setup(test_hostile_state, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

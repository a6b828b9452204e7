/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* hw/gpio-pl061.c: pins and interrupts as the manual has them, and the power button as Linux sees it. */
/* WRAP: irq_set_line irq_claim kvm_end kvm_guest_panicked */
/* WRAP: event_timer_init event_timer_set event_timer_destroy */
#include "board.h"

#define BASE 0x1060000ull
#define LINE 6
#define PIN  0x08

enum {
	DATA = 0x000, /* + mask << 2 */
	DIR = 0x400,
	IS = 0x404,
	IBE = 0x408,
	IEV = 0x40c,
	IE = 0x410,
	RIS = 0x414,
	MIS = 0x418,
	IC = 0x41c,
	AFSEL = 0x420,
};

static const struct board_device table[] = {
	{.ops = &gpio_pl061_ops, .bus = BUS_MMIO, .base = BASE, .line = LINE},
	{.ops = NULL},
};

static struct event_timer *timer;
static u64 timer_ns; /* after which it fires, again and again; 0: disarmed */

int __wrap_event_timer_init(struct event_loop *loop, struct event_timer *t, void (*fn)(struct event_timer *),
			    void *arg)
{
	t->fn = fn;
	t->arg = arg;
	timer = t;
	timer_ns = 0;
	return 0;
}

void __wrap_event_timer_set(struct event_timer *t, u64 first_ns, u64 period_ns)
{
	assert_ptr_equal(t, timer);
	assert_int_equal(period_ns, first_ns);
	timer_ns = first_ns;
}

void __wrap_event_timer_destroy(struct event_loop *loop, struct event_timer *t)
{
	assert_ptr_equal(t, timer);
	timer = NULL;
}

static void timer_fires(void)
{
	assert_true(timer_ns);
	timer->fn(timer);
}

static int setup(void **state)
{
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

/* Linux's driver uses bytes. */
static u8 get(u64 reg)
{
	return (u8)board_read(BUS_MMIO, BASE + reg, 1);
}

static void put(u64 reg, u8 v)
{
	board_write(BUS_MMIO, BASE + reg, v, 1);
}

static u8 pin(void)
{
	return get(DATA + (PIN << 2));
}

static void press(void)
{
	gpio_power_button_press(board_device(&gpio_pl061_ops));
}

static void release(void)
{
	for (u32 i = 0; i < 1000 && timer_ns; i++)
		timer_fires();
	assert_int_equal(timer_ns, 0);
}

static void test_identity(void **state)
{
	static const u8 ids[8] = {0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

	for (u32 i = 0; i < 8; i++) {
		assert_int_equal(get(0xfe0 + 4 * i), ids[i]);
		assert_int_equal(board_read(BUS_MMIO, BASE + 0xfe0 + 4 * i, 4), ids[i]);
	}
	for (u64 reg = DIR; reg < 0xfe0; reg += 4)
		assert_int_equal(board_read(BUS_MMIO, BASE + reg, 4), 0);
}

/* Address bits 9:2 choose the pins, of a read and of a write. */
static void test_data(void **state)
{
	assert_int_equal(get(DATA + (0xff << 2)), 0);
	put(DIR, 0xf0);
	put(DATA + (0xff << 2), 0xa5);
	assert_int_equal(get(DATA + (0xff << 2)), 0xa0); /* inputs keep what they are */
	put(DATA + (0x30 << 2), 0xff);
	assert_int_equal(get(DATA + (0xff << 2)), 0xb0);
	assert_int_equal(get(DATA + (0x10 << 2)), 0x10);
	assert_int_equal(get(DATA + (0x40 << 2)), 0);
	put(DATA + 0, 0xff); /* no pin */
	assert_int_equal(get(DATA + (0xff << 2)), 0xb0);
	put(DIR, 0xf5); /* what was written to it before it was an output */
	assert_int_equal(get(DATA + (0xff << 2)), 0xb5);
	assert_int_equal(get(DIR), 0xf5);
	put(AFSEL, 0x5a);
	assert_int_equal(get(AFSEL), 0x5a);
	board_reset(&gpio_pl061_ops);
	assert_int_equal(get(DATA + (0xff << 2)) | get(DIR) | get(AFSEL), 0);
	assert_int_equal(board.rises[LINE], 0);
}

/* As gpio-pl061 and gpio-keys of Linux set it up, and what they do at each interrupt. */
static void test_button(void **state)
{
	put(IE, 0);
	put(IS, get(IS) & (u8)~PIN);
	put(IBE, get(IBE) | PIN);
	put(IE, get(IE) | PIN);
	assert_int_equal(pin(), 0);
	press();
	assert_true(board.level[LINE]);
	assert_int_equal(get(MIS), PIN);
	put(IC, PIN);
	assert_false(board.level[LINE]);
	/* The contacts come to rest, however long that takes the guest: the button is down still. */
	for (u32 i = 0; i < 10; i++)
		timer_fires();
	assert_int_equal(pin(), PIN);
	assert_false(board.level[LINE]);
	timer_fires();
	assert_int_equal(timer_ns, 0);
	assert_true(board.level[LINE]);
	put(IC, PIN);
	assert_int_equal(pin(), 0);
	assert_false(board.level[LINE]);
	assert_int_equal(board.rises[LINE], 2);
	press(); /* and once more */
	assert_int_equal(board.rises[LINE], 3);
	assert_int_equal(board.ends, 0);
}

/* A guest that never looks: the button comes up by itself, and can be pressed again. */
static void test_button_alone(void **state)
{
	u32 ticks = 0;

	press();
	press(); /* by two at once */
	for (; timer_ns && ticks < 1000; ticks++) {
		assert_true(timer_ns >= 50000000 && timer_ns <= 200000000);
		timer_fires();
	}
	assert_true(ticks >= 10 && ticks <= 50);
	assert_int_equal(pin(), 0);
	assert_int_equal(board.rises[LINE], 0);
	press();
	/* Looking at other pins is no look at it. */
	assert_int_equal(get(DATA + ((0xff & ~PIN) << 2)), 0);
	timer_fires();
	assert_int_equal(get(DATA + (0xff << 2)), PIN);
	timer_fires();
	assert_int_equal(timer_ns, 0);
}

static void test_edges(void **state)
{
	static const struct {
		u8 ibe, iev;
		bool rising, falling;
	} cases[] = {
		{0, 0, false, true}, {0, PIN, true, false}, {PIN, 0, true, true}, {PIN, PIN, true, true}};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		put(IBE, cases[i].ibe);
		put(IEV, cases[i].iev);
		press();
		assert_int_equal(get(RIS), cases[i].rising ? PIN : 0);
		assert_int_equal(get(MIS), 0);
		put(IC, 0xff);
		assert_int_equal(get(RIS), 0);
		release();
		assert_int_equal(get(RIS), cases[i].falling ? PIN : 0);
		/* Latched until it is cleared, and the mask decides of the line alone. */
		if (cases[i].falling) {
			assert_false(board.level[LINE]);
			put(IE, PIN);
			assert_true(board.level[LINE]);
			put(IE, (u8)~PIN);
			assert_false(board.level[LINE]);
			put(IC, (u8)~PIN);
			assert_int_equal(get(RIS), PIN);
			put(IE, 0);
		}
		put(IC, PIN);
	}
	/* A pin that the guest drives itself has no edges of ours. */
	put(DIR, PIN);
	put(IBE, PIN);
	press();
	release();
	assert_int_equal(get(RIS), 0);
}

static void test_levels(void **state)
{
	put(IS, PIN);
	put(IEV, PIN);
	put(IE, PIN);
	assert_false(board.level[LINE]);
	press();
	assert_true(board.level[LINE]);
	put(IC, PIN); /* of no use as long as the pin is high */
	assert_true(board.level[LINE]);
	release();
	assert_false(board.level[LINE]);
	put(IEV, 0);
	assert_true(board.level[LINE]);
	put(DIR, PIN);
	assert_false(board.level[LINE]);
	put(DIR, 0);
	put(IS, 0);
	assert_false(board.level[LINE]);
	/* What an edge has latched is of no concern to one that goes by level. */
	put(IBE, PIN);
	press();
	release();
	assert_int_equal(get(RIS), PIN);
	put(IEV, PIN);
	put(IS, PIN);
	assert_int_equal(get(RIS), 0);
	put(IC, PIN);
	put(IS, 0);
	assert_int_equal(get(RIS), 0);
	/* A reset lets go of the button. */
	put(IBE, PIN);
	press();
	assert_true(board.level[LINE]);
	board_reset(&gpio_pl061_ops);
	assert_int_equal(timer_ns, 0);
	assert_int_equal(pin() | get(RIS), 0);
	assert_false(board.level[LINE]);
}

static void test_state(void **state)
{
	struct buf saved = {0};

	put(IBE, PIN);
	put(IE, PIN);
	put(DIR, 0x41);
	put(DATA + (0xff << 2), 0x40);
	press();
	board_save(&gpio_pl061_ops, STATE_SAVE, &saved);
	board_reset(&gpio_pl061_ops);
	board.lenient = true;
	assert_int_equal(board_restore(&gpio_pl061_ops, saved.data, saved.len), 0);
	/* The press goes on where it was. */
	assert_true(board.level[LINE]);
	assert_int_equal(get(DATA + (0xff << 2)), 0x40 | PIN);
	put(IC, PIN);
	timer_fires();
	assert_true(board.level[LINE]);
	assert_int_equal(pin(), 0);
	/* A press for ever, its last field says. */
	memset(saved.data + saved.len - 4, 0xff, 4);
	assert_int_equal(board_restore(&gpio_pl061_ops, saved.data, saved.len), 0);
	release();
	buf_free(&saved);
	board_restore_hostile(&gpio_pl061_ops);
	release();
	board_hammer(BUS_MMIO, BASE, 0x1000, 50000);
	board_hammer(BUS_MMIO, BASE + DIR, 0x24, 20000);
	press();
	release();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_button, setup, teardown),
		cmocka_unit_test_setup_teardown(test_button_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_edges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

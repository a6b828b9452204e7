/* SPDX-License-Identifier: MIT */
/* hw/power.c: sleep, reset and the power button, as an ACPI guest uses them. */
/* WRAP: irq_set_line irq_claim kvm_end kvm_guest_panicked */
#include "board.h"

#define BASE 0x600
#define LINE 9

static const struct board_device table[] = {
	{.ops = &power_ops, .bus = BUS_PIO, .base = BASE, .line = LINE},
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

static void test_s5(void **state)
{
	for (u32 v = 0; v < 256; v++) {
		bool off = v & 0x20 && (v >> 2 & 7) == POWER_S5_TYPE;

		board.ends = 0;
		outb(BASE + POWER_SLEEP_CONTROL, (u8)v);
		assert_int_equal(board.ends, off);
		if (off) {
			assert_int_equal(board.end, VM_POWEROFF);
			assert_int_equal(board.code, 0);
		}
	}
	assert_int_equal(inb(BASE + POWER_SLEEP_CONTROL), 0);
	assert_int_equal(inb(BASE + POWER_SLEEP_STATUS), 0);
}

static void test_reset_register(void **state)
{
	for (u32 v = 0; v < 256; v++) {
		board.ends = 0;
		outb(BASE + POWER_RESET, (u8)v);
		assert_int_equal(board.ends, v == POWER_RESET_VALUE);
	}
	board.ends = 0;
	outb(BASE + POWER_RESET, POWER_RESET_VALUE);
	assert_int_equal(board.end, VM_RESET);
	/* The value is of no meaning anywhere else. */
	board.ends = 0;
	for (u32 i = 0; i < 8; i++)
		if (i != POWER_RESET)
			outb((u16)(BASE + i), POWER_RESET_VALUE);
	assert_int_equal(board.ends, 0);
}

static void test_wide_access_reaches_each_register(void **state)
{
	board_write(BUS_PIO, BASE, (u64)POWER_RESET_VALUE << 16, 4);
	assert_int_equal(board.ends, 1);
	assert_int_equal(board.end, VM_RESET);
	power_button_press(board_device(&power_ops));
	assert_int_equal(board_read(BUS_PIO, BASE + POWER_EVENT, 4), 1);
	assert_false(board.level[LINE]);
}

static void test_button(void **state)
{
	struct device *dev = board_device(&power_ops);

	assert_int_equal(inb(BASE + POWER_EVENT), 0);
	assert_int_equal(board.rises[LINE], 0);
	power_button_press(dev);
	power_button_press(dev); /* twice before the guest looks is once */
	assert_true(board.level[LINE]);
	assert_int_equal(board.rises[LINE], 1);
	outb(BASE + POWER_EVENT, 0xff); /* only reading clears */
	assert_true(board.level[LINE]);
	assert_int_equal(inb(BASE + POWER_EVENT), 1);
	assert_false(board.level[LINE]);
	assert_int_equal(inb(BASE + POWER_EVENT), 0);
	power_button_press(dev);
	assert_int_equal(board.rises[LINE], 2);
	board_reset(&power_ops);
	assert_false(board.level[LINE]);
	assert_int_equal(inb(BASE + POWER_EVENT), 0);
	assert_int_equal(board.ends, 0);
}

static void test_state(void **state)
{
	struct buf saved = {0};

	board.lenient = true; /* the line itself is the irqchip's to restore */
	power_button_press(board_device(&power_ops));
	board_save(&power_ops, STATE_SAVE, &saved);
	assert_int_equal(inb(BASE + POWER_EVENT), 1);
	assert_int_equal(board_restore(&power_ops, saved.data, saved.len), 0);
	assert_int_equal(saved.len && inb(BASE + POWER_EVENT), 1);
	buf_free(&saved);
	board_restore_hostile(&power_ops);
	board_hammer(BUS_PIO, BASE, 8, 20000);
}

static void test_acpi(void **state)
{
	static const u8 notify[] = {0x86, '\\', 0x2e, '_', 'S', 'B', '_', 'P', 'W', 'R', 'B', 0x0a, 0x80};
	static const u8 irq[] = {0x89, 6, 0, 0x01, 1, LINE, 0, 0, 0}; /* consumer, level, active high */
	static const u8 region[] = {0x5b, 0x80, 'R', 'E', 'G', 'S', 1, 0x0b, 0x04, 0x06, 1};
	struct buf aml = {0};

	board_aml(&power_ops, &aml);
	assert_true(buf_holds(&aml, "ACPI0013", 8));
	assert_true(buf_holds(&aml, notify, sizeof(notify)));
	assert_true(buf_holds(&aml, irq, sizeof(irq)));
	assert_true(buf_holds(&aml, region, sizeof(region)));
	buf_free(&aml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_s5, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_register, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wide_access_reaches_each_register, setup, teardown),
		cmocka_unit_test_setup_teardown(test_button, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_acpi, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

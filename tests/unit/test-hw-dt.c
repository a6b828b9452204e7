/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: irq_set_line irq_claim kvm_end kvm_guest_panicked mem_add_slot kvm_cap */
/* WRAP: console_attach console_detach event_timer_init event_timer_set event_timer_destroy */
/* The board devices of hw/ in a device tree: the properties their bindings ask for, and what dtc says. */
#include "board-dt.h"

#include <lkvm/console.h>

static const struct board_device table[] = {
	{.ops = &serial_8250_ops, .bus = BUS_MMIO, .base = 0x1000000, .line = 1, .index = 0},
	{.ops = &serial_8250_ops, .bus = BUS_MMIO, .base = 0x1001000, .line = IRQ_NONE, .index = 1},
	{.ops = &serial_8250_ops, .bus = BUS_PIO, .base = 0x3f8, .line = 2, .index = 2},
	{.ops = &rtc_pl031_ops, .bus = BUS_MMIO, .base = 0x1010000, .line = 5},
	{.ops = &pvpanic_ops, .bus = BUS_MMIO, .base = 0x1020000, .line = IRQ_NONE, .index = 0},
	{.ops = &pvpanic_ops, .bus = BUS_PIO, .base = 0x505, .line = IRQ_NONE, .index = 1},
	{.ops = &exit_ops, .bus = BUS_NONE, .mmio = 0x1030000, .line = IRQ_NONE},
	{.ops = &gpio_pl061_ops, .bus = BUS_MMIO, .base = 0x1060000, .line = 6},
	{.ops = &cfi_flash_ops, .bus = BUS_MMIO, .base = 0x2000000, .line = IRQ_NONE},
	{.ops = NULL},
};

int __wrap_mem_add_slot(struct kvm *kvm, gpa_t gpa, u64 size, void *hva, bool readonly)
{
	assert_true(readonly);
	return 0;
}

int __wrap_kvm_cap(const struct kvm *kvm, u32 cap)
{
	return 1;
}

int __wrap_console_attach(struct kvm *kvm, u32 index, struct device *dev, const struct console_client *client,
			  struct console **out)
{
	return 0;
}

void __wrap_console_detach(struct console *con)
{
}

int __wrap_event_timer_init(struct event_loop *loop, struct event_timer *timer,
			    void (*fn)(struct event_timer *), void *arg)
{
	return 0;
}

void __wrap_event_timer_set(struct event_timer *timer, u64 first_ns, u64 period_ns)
{
}

void __wrap_event_timer_destroy(struct event_loop *loop, struct event_timer *timer)
{
}

static struct {
	int file;
	struct device_request request;
	struct fdt fdt;
} bed;

static int setup(void **state)
{
	char path[32];

	memset(&bed, 0, sizeof(bed));
	bed.file = memfd_create("flash", MFD_CLOEXEC);
	assert_int_equal(ftruncate(bed.file, (off_t)MiB(4)), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", bed.file);
	board_init(table);
	bed.request.ops = &cfi_flash_ops;
	assert_int_equal(cfi_flash_ops.parse(path, &bed.request.params), 0);
	board.cfg.request = &bed.request;
	board.cfg.nr_requests = 1;
	board_up();
	board_dt(&bed.fdt);
	return 0;
}

static int teardown(void **state)
{
	dt_free(&bed.fdt);
	board_down();
	free(bed.request.params);
	close(bed.file);
	return 0;
}

static void test_serial(void **state)
{
	static const char *const node = "/serial@1000000";

	assert_dt_str(&bed.fdt, node, "compatible", "ns16550a");
	assert_dt_u32s(&bed.fdt, node, "reg", 0, 0x1000000, 0, 8);
	assert_dt_u32s(&bed.fdt, node, "clock-frequency", 1843200);
	assert_dt_u32s(&bed.fdt, node, "interrupts", 0, 1, 4);
	assert_dt_u32s(&bed.fdt, "/serial@1001000", "reg", 0, 0x1001000, 0, 8);
	assert_null(fdt_getprop(bed.fdt.blob, fdt_path_offset(bed.fdt.blob, "/serial@1001000"), "interrupts",
				NULL));
	/* A port is no address of this tree. */
	assert_true(fdt_path_offset(bed.fdt.blob, "/serial@3f8") < 0);
}

static void test_pvpanic(void **state)
{
	assert_dt_str(&bed.fdt, "/pvpanic@1020000", "compatible", "qemu,pvpanic-mmio");
	assert_dt_u32s(&bed.fdt, "/pvpanic@1020000", "reg", 0, 0x1020000, 0, 2);
	assert_true(fdt_path_offset(bed.fdt.blob, "/pvpanic@505") < 0);
	/* The second byte is there, and is nothing. */
	assert_int_equal(board_read(BUS_MMIO, 0x1020000, 1), 3);
	assert_int_equal(board_read(BUS_MMIO, 0x1020000, 2), 0xff03);
	board_write(BUS_MMIO, 0x1020001, 3, 1);
	assert_int_equal(board.panics, 0);
	board_write(BUS_MMIO, 0x1020000, 1, 2);
	assert_int_equal(board.panics, 1);
}

static void test_rtc(void **state)
{
	static const char *const node = "/rtc@1010000";

	assert_dt_str(&bed.fdt, node, "compatible", "arm,pl031\0arm,primecell");
	assert_dt_u32s(&bed.fdt, node, "reg", 0, 0x1010000, 0, 0x1000);
	assert_dt_u32s(&bed.fdt, node, "interrupts", 0, 5, 4);
	assert_dt_u32s(&bed.fdt, node, "clocks", DT_CLOCK);
	assert_dt_str(&bed.fdt, node, "clock-names", "apb_pclk");
}

static void test_gpio(void **state)
{
	static const char *const node = "/gpio@1060000";

	assert_dt_str(&bed.fdt, node, "compatible", "arm,pl061\0arm,primecell");
	assert_dt_u32s(&bed.fdt, node, "reg", 0, 0x1060000, 0, 0x1000);
	assert_dt_u32s(&bed.fdt, node, "interrupts", 0, 6, 4);
	assert_dt_u32s(&bed.fdt, node, "clocks", DT_CLOCK);
	assert_dt_u32s(&bed.fdt, node, "phandle", DT_GPIO);
	assert_dt(&bed.fdt, node, "gpio-controller", NULL, 0);
	assert_dt_u32s(&bed.fdt, node, "#gpio-cells", 2);
	assert_dt(&bed.fdt, node, "interrupt-controller", NULL, 0);
	assert_dt_u32s(&bed.fdt, node, "#interrupt-cells", 2);
	assert_dt_str(&bed.fdt, "/gpio-keys", "compatible", "gpio-keys");
	assert_dt_u32s(&bed.fdt, "/gpio-keys/poweroff", "linux,code", 116);
	assert_dt_u32s(&bed.fdt, "/gpio-keys/poweroff", "gpios", DT_GPIO, 3, 0);
	assert_dt_str(&bed.fdt, "/gpio-keys/poweroff", "label", "power button");
}

static void test_flash(void **state)
{
	assert_dt_str(&bed.fdt, "/flash@2000000", "compatible", "cfi-flash");
	assert_dt_u32s(&bed.fdt, "/flash@2000000", "reg", 0, 0x2000000, 0, 0x400000);
	assert_dt_u32s(&bed.fdt, "/flash@2000000", "bank-width", 4);
}

static void test_dtc(void **state)
{
	board_dtc(&bed.fdt);
}

/* A tree without room: the failure is told, and nothing is written beyond it. */
static void test_no_room(void **state)
{
	struct device *dev;

	list_for_each (dev, &board.kvm.devices, link) {
		struct fdt small;

		if (!dev->ops->describe)
			continue;
		dt_init(&small, &board.kvm, 4096);
		for (u32 i = 0; i < 200 && !small.err; i++)
			dt_str(&small, "filler",
			       "a property of some length, again and again, until it is full");
		assert_int_equal(small.err, -E2BIG);
		assert_int_equal(dev->ops->describe(dev, &small), -E2BIG);
		dt_free(&small);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_serial, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pvpanic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rtc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gpio, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dtc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

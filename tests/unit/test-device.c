/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/*
 * The lifecycle of devices: which are made, in which order and by which name, the lines they claim and share,
 * and each step that fails: what was made goes in reverse, what was not is left alone, and one line says why.
 */
#include "capture.h"

#include <errno.h>
#include <lkvm/config.h>
#include <lkvm/device.h>
#include <lkvm/irq.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <stdio.h>

static struct {
	struct kvm kvm;
	struct vm_config cfg;
	struct machine_ops machine;
	struct irqchip_ops chip;
	char log[512]; /* "+a0 -a0": made, gone; ">" started, "<" stopped */
	const char *fails_create, *fails_start;
	int with;
} bed;

static void note(char what, const struct device *dev)
{
	size_t at = strlen(bed.log);

	snprintf(bed.log + at, sizeof(bed.log) - at, "%s%c%s", at ? " " : "", what, dev->name);
}

static int make(struct device *dev, const void *params)
{
	note('+', dev);
	if (params)
		assert_string_equal(params, "params");
	return bed.fails_create && !strcmp(bed.fails_create, dev->name) ? bed.with : 0;
}

static void destroy(struct device *dev)
{
	note('-', dev);
}

static int start(struct device *dev)
{
	note('>', dev);
	return bed.fails_start && !strcmp(bed.fails_start, dev->name) ? bed.with : 0;
}

static void stop(struct device *dev)
{
	note('<', dev);
}

#define OPS(n)                                                                                               \
	.name = n, .size = sizeof(struct device), .create = make, .destroy = destroy, .start = start,        \
	.stop = stop

static const struct device_ops port_ops = {OPS("port")};
static const struct device_ops rtc_ops = {OPS("rtc")};
static const struct device_ops wanted_ops = {OPS("wanted"), .option = {.name = "wanted"}};
static const struct device_ops disk_ops = {OPS("disk"), .option = {.name = "disk"}};
/* Neither starts nor stops. */
static const struct device_ops plain_ops = {.name = "plain", .size = sizeof(struct device), .create = make};

static const struct board_device board[] = {
	{.ops = &port_ops, .line = 4, .index = 0},
	{.ops = &port_ops, .line = 3, .index = 1},
	{.ops = &port_ops, .line = 4, .index = 2},
	{.ops = &rtc_ops, .line = 8},
	{.ops = &wanted_ops, .line = IRQ_NONE},
	{.ops = &plain_ops, .line = IRQ_NONE},
	{.ops = NULL},
};

static int setup(void **state)
{
	memset(&bed, 0, sizeof(bed));
	bed.chip.nr_lines = 16;
	bed.machine.board = board;
	bed.kvm.machine = &bed.machine;
	bed.kvm.cfg = &bed.cfg;
	bed.kvm.irqchip.ops = &bed.chip;
	list_init(&bed.kvm.devices);
	return irq_init(&bed.kvm);
}

static int teardown(void **state)
{
	devices_stop(&bed.kvm);
	devices_destroy(&bed.kvm);
	irq_destroy(&bed.kvm);
	return !list_empty(&bed.kvm.devices);
}

static void test_order(void **state)
{
	char params[] = "params";
	struct device_request request[] = {{&disk_ops, params}, {&wanted_ops, params}, {&disk_ops, params}};

	bed.cfg.request = request;
	bed.cfg.nr_requests = 3;
	assert_int_equal(devices_create(&bed.kvm), 0);
	/* The board's first, those of its that want an option by that; then the options' in their order. */
	assert_string_equal(bed.log, "+port0 +port1 +port2 +rtc +wanted +plain +disk0 +disk1");
	bed.log[0] = 0;
	assert_int_equal(devices_start(&bed.kvm), 0);
	assert_string_equal(bed.log, ">port0 >port1 >port2 >rtc >wanted >disk0 >disk1");
	bed.log[0] = 0;
	devices_stop(&bed.kvm);
	assert_string_equal(bed.log, "<disk1 <disk0 <wanted <rtc <port2 <port1 <port0");
	devices_stop(&bed.kvm); /* once more is nothing */
	bed.log[0] = 0;
	devices_destroy(&bed.kvm);
	assert_string_equal(bed.log, "-disk1 -disk0 -wanted -rtc -port2 -port1 -port0");
}

static void test_not_wanted(void **state)
{
	assert_int_equal(devices_create(&bed.kvm), 0);
	assert_string_equal(bed.log, "+port0 +port1 +port2 +rtc +plain");
	assert_null(device_find(&bed.kvm, &wanted_ops, 0));
	assert_string_equal(device_find(&bed.kvm, &port_ops, 2)->name, "port2");
	assert_null(device_find(&bed.kvm, &port_ops, 3));
}

static void test_lines(void **state)
{
	assert_int_equal(devices_create(&bed.kvm), 0);
	assert_int_equal(irq_claim(&bed.kvm, 4), -EBUSY);
	assert_int_equal(irq_claim(&bed.kvm, 5), 0);
	assert_true(bed.kvm.irq.shared[0] >> 4 & 1);  /* of two ports */
	assert_false(bed.kvm.irq.shared[0] >> 3 & 1); /* of one */
}

static void refuse(int want, const char *says, const char *log)
{
	int err;

	capture_begin(STDERR_FILENO);
	err = devices_create(&bed.kvm);
	if (says)
		assert_one_line(capture_end(), says);
	else
		assert_string_equal(capture_end(), "");
	assert_int_equal(err, want);
	devices_destroy(&bed.kvm);
	assert_string_equal(bed.log, log);
}

static void test_line_taken(void **state)
{
	assert_int_equal(irq_claim(&bed.kvm, 8), 0);
	/* create() is not reached, so destroy() is not either. */
	refuse(-EBUSY, "rtc: interrupt line 8: another device has it",
	       "+port0 +port1 +port2 -port2 -port1 -port0");
}

static void test_no_line(void **state)
{
	bed.chip.nr_lines = 8;
	refuse(-EINVAL, "rtc: interrupt line 8: the controller has no such line",
	       "+port0 +port1 +port2 -port2 -port1 -port0");
}

/* One that fails is destroyed too; what it has said is not said again. */
static void test_create_fails(void **state)
{
	bed.fails_create = "port1";
	bed.with = -EIO;
	refuse(-EIO, NULL, "+port0 +port1 -port1 -port0");
}

static void test_no_memory(void **state)
{
	bed.fails_create = "port1";
	bed.with = -ENOMEM;
	refuse(-ENOMEM, "port1: cannot be made: out of memory", "+port0 +port1 -port1 -port0");
}

static void test_no_slot(void **state)
{
	bed.fails_create = "port1";
	bed.with = -ENOSPC;
	refuse(-ENOSPC, "port1: cannot be made: no free place", "+port0 +port1 -port1 -port0");
}

/* Those that started stop, the others do not; all of them go. */
static void test_start_fails(void **state)
{
	int err;

	assert_int_equal(devices_create(&bed.kvm), 0);
	bed.log[0] = 0;
	bed.fails_start = "port1";
	bed.with = -EIO;
	capture_begin(STDERR_FILENO);
	err = devices_start(&bed.kvm);
	assert_one_line(capture_end(), "port1: cannot start: Input/output error");
	assert_int_equal(err, -EIO);
	devices_stop(&bed.kvm);
	devices_destroy(&bed.kvm);
	assert_string_equal(bed.log, ">port0 >port1 <port0 -rtc -port2 -port1 -port0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_line_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_start_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: irq_set_line irq_claim kvm_end kvm_guest_panicked irq_fd_assign irq_fd_deassign */
/* WRAP: ioeventfd_assign ioeventfd_deassign irq_msi_add irq_msi_update irq_msi_remove irq_msi_send */
/*
 * The test device, the exit code and the boot timer of a board without ports: registers in memory, messages,
 * and the doorbell that sends one without an exit.
 */
#define BOARD_LINES 80
#include "board.h"

#include "capture.h"
#include <lkvm/irq.h>

#define BASE	   0x1040000ull
#define TEST_MEM   0x1050000ull
#define EXIT_PAGE  0x1030000ull
#define TIMER_PAGE 0x40000000ull
#define LINES	   0x1000
#define GSI	   100

enum { ECHO = 0, FLUSH = 4, IRQFD = 8, ADDR = 0x10, ADDR_HIGH = 0x14, DATA = 0x18, DEVICE = 0x1c };
enum { SEND = 0x20, ROUTE = 0x24, DOORBELL = 0x28 };

static const struct board_device table[] = {
	{.ops = &exit_ops, .bus = BUS_NONE, .mmio = EXIT_PAGE, .line = IRQ_NONE},
	{.ops = &testdev_ops, .bus = BUS_MMIO, .base = BASE, .mmio = TEST_MEM, .line = IRQ_NONE},
	{.ops = &boot_timer_ops, .bus = BUS_NONE, .mmio = TIMER_PAGE, .line = IRQ_NONE},
	{.ops = NULL},
};

static struct device_request requests[] = {{.ops = &testdev_ops}, {.ops = &boot_timer_ops}};

/* ---- interrupts, as the device asks for them ---------------------------------------------------- */

static struct {
	int line_fd, msi_fd; /* of the irqfds; -1: none */
	int line_event, msi_event;
	bool routed;
	struct msi_msg route, sent;
	u32 sends, adds, updates;
	int fails; /* what the call in question gives, once */
	const char *what;
} irq;

static int fails(const char *what)
{
	int err = irq.what && !strcmp(irq.what, what) ? irq.fails : 0;

	if (err)
		irq.what = NULL;
	return err;
}

int __wrap_irq_fd_assign(struct kvm *kvm, u32 gsi, int trigger, int resample)
{
	int *fd = gsi == GSI ? &irq.msi_fd : &irq.line_fd;
	int err = fails("irqfd");

	if (err)
		return err;
	assert_true(gsi == GSI ? irq.routed : gsi == 10);
	assert_int_equal(resample, -1);
	assert_int_equal(*fd, -1);
	*fd = trigger;
	return 0;
}

void __wrap_irq_fd_deassign(struct kvm *kvm, u32 gsi, int trigger)
{
	int *fd = gsi == GSI ? &irq.msi_fd : &irq.line_fd;

	assert_int_equal(trigger, *fd);
	*fd = -1;
}

int __wrap_ioeventfd_assign(struct kvm *kvm, int bus, u64 addr, u32 len, const u64 *match, int fd)
{
	int err = fails("ioeventfd");

	if (err)
		return err;
	assert_int_equal(bus, BUS_MMIO);
	assert_int_equal(len, 1);
	if (addr == BASE + IRQFD) {
		assert_int_equal(*match, 10);
		irq.line_event = fd;
		return 0;
	}
	assert_int_equal(addr, BASE + DOORBELL);
	assert_null(match);
	assert_int_equal(irq.msi_event, -1);
	irq.msi_event = fd;
	return 0;
}

void __wrap_ioeventfd_deassign(struct kvm *kvm, int bus, u64 addr, u32 len, const u64 *match, int fd)
{
	int *event = addr == BASE + IRQFD ? &irq.line_event : &irq.msi_event;

	assert_int_equal(bus, BUS_MMIO);
	assert_int_equal(fd, *event);
	assert_int_equal(!match, addr != BASE + IRQFD);
	*event = -1;
}

int __wrap_irq_msi_add(struct kvm *kvm, const struct msi_msg *msg)
{
	int err = fails("add");

	if (err)
		return err;
	assert_false(irq.routed);
	irq.adds++;
	irq.routed = true;
	irq.route = *msg;
	return GSI;
}

int __wrap_irq_msi_update(struct kvm *kvm, u32 gsi, const struct msi_msg *msg)
{
	int err = fails("update");

	if (err)
		return err;
	assert_int_equal(gsi, GSI);
	assert_true(irq.routed);
	irq.updates++;
	irq.route = *msg;
	return 0;
}

void __wrap_irq_msi_remove(struct kvm *kvm, u32 gsi)
{
	assert_int_equal(gsi, GSI);
	assert_true(irq.routed);
	assert_int_equal(irq.msi_fd, -1); /* nothing may trigger it any more */
	irq.routed = false;
}

int __wrap_irq_msi_send(struct kvm *kvm, const struct msi_msg *msg)
{
	int err = fails("send");

	irq.sent = *msg;
	irq.sends++;
	return err ? err : 1; /* delivered */
}

static int msi_route(struct irqchip *chip, const struct msi_msg *msg, struct kvm_irq_routing_entry *entry)
{
	return -EINVAL;
}

/* ---- the board ---------------------------------------------------------------------------------- */

static int setup(void **state)
{
	memset(&irq, 0, sizeof(irq));
	irq.line_fd = irq.msi_fd = irq.line_event = irq.msi_event = -1;
	board_init(table);
	board.chip.msi_route = msi_route;
	board.cfg.request = requests;
	board.cfg.nr_requests = ARRAY_SIZE(requests);
	board_up();
	return 0;
}

static int teardown(void **state)
{
	board_down();
	return irq.routed || irq.line_fd != -1 || irq.msi_fd != -1 || irq.line_event != -1 ||
	       irq.msi_event != -1;
}

static u32 get(u64 reg)
{
	return (u32)board_read(BUS_MMIO, BASE + reg, 4);
}

static void put(u64 reg, u32 v)
{
	board_write(BUS_MMIO, BASE + reg, v, 4);
}

static void message(u64 address, u32 data, u32 device)
{
	put(ADDR, (u32)address);
	put(ADDR_HIGH, (u32)(address >> 32));
	put(DATA, data);
	put(DEVICE, device);
}

static void test_echo(void **state)
{
	put(ECHO, 0x12345678);
	assert_int_equal(get(ECHO), 0x12345678);
	assert_int_equal(board_read(BUS_MMIO, BASE + 2, 2), 0x1234);
	board_write(BUS_MMIO, BASE + 3, 0xab, 1);
	put(FLUSH, 0xdead1000);
	assert_int_equal(get(ECHO), 0xab345678);
	/* Over the edge: the echo's half of it. */
	board_write(BUS_MMIO, BASE, 0x1111111122222222, 8);
	assert_int_equal(get(ECHO), 0x22222222);
	board_write(BUS_MMIO, TEST_MEM + 0x7ff9, 0x1122334455667788, 8);
	assert_int_equal(board_read(BUS_MMIO, TEST_MEM + 0x7ffb, 4), 0x33445566);
	board_reset(&testdev_ops);
	assert_int_equal(get(ECHO), 0);
}

static void test_irqfd(void **state)
{
	assert_true(irq.line_fd >= 0);
	assert_int_equal(irq.line_fd, irq.line_event);
	assert_int_equal(irq.msi_fd, -1);
	board_write(BUS_MMIO, BASE + IRQFD, 11, 1); /* not matched: nothing */
	devices_stop(&board.kvm);
	assert_int_equal(irq.line_fd, -1);
	assert_int_equal(irq.line_event, -1);
	assert_int_equal(devices_start(&board.kvm), 0);
}

static void test_lines(void **state)
{
	for (u32 line = 0; line < 64; line++) {
		board_write(BUS_MMIO, BASE + LINES + line, 1, 1);
		board_write(BUS_MMIO, BASE + LINES + line, 0x80, 1); /* high already */
		assert_true(board.level[line]);
		assert_int_equal(board.rises[line], 1);
	}
	board_write(BUS_MMIO, BASE + LINES + 64, 1, 1); /* one that we do not drive */
	assert_false(board.level[64]);
	board_write(BUS_MMIO, BASE + LINES + 60, 0x01000100, 4);
	assert_true(!board.level[60] && board.level[61] && !board.level[62] && board.level[63]);
	assert_true(board.level[0]);
	board_reset(&testdev_ops);
	for (u32 line = 0; line < 64; line++)
		assert_false(board.level[line]);
}

/* A controller of few lines: no byte beyond the last one. */
static void test_few_lines(void **state)
{
	const size_t high = 1 + strlen("testdev") + 8 + 4;
	struct buf saved = {0};

	board_down();
	board_init(table);
	board.chip.nr_lines = 12;
	board.cfg.request = requests;
	board.cfg.nr_requests = ARRAY_SIZE(requests);
	board_up();
	board_write(BUS_MMIO, BASE + LINES + 11, 1, 1);
	assert_true(board.level[11]);
	board_write(BUS_MMIO, BASE + LINES + 12, 1, 1);
	assert_null(bus_find(&board.kvm.bus[BUS_MMIO], BASE + LINES + 12));
	/* Nor beyond it in a state: behind the section's name, version, length and the echo. */
	board_save(&testdev_ops, STATE_SAVE, &saved);
	memset(saved.data + high, 0xff, 8);
	assert_int_equal(board_restore(&testdev_ops, saved.data, saved.len), 0);
	buf_free(&saved);
	board_save(&testdev_ops, STATE_SAVE, &saved);
	assert_memory_equal(saved.data + high, "\xff\x0f\0\0\0\0\0\0", 8);
	buf_free(&saved);
	board_restore_hostile(&testdev_ops);
}

static void test_send(void **state)
{
	message(0x123456789abcdef0, 0xcafe, 0x18);
	assert_int_equal(get(ADDR), 0x9abcdef0);
	assert_int_equal(get(ADDR_HIGH), 0x12345678);
	assert_int_equal(get(DATA), 0xcafe);
	assert_int_equal(get(DEVICE), 0x18);
	assert_int_equal(irq.sends, 0);
	put(SEND, 0xffffffff);
	assert_int_equal(irq.sends, 1);
	assert_true(irq.sent.address == 0x123456789abcdef0);
	assert_int_equal(irq.sent.data, 0xcafe);
	assert_int_equal(irq.sent.devid, 0x18);
	assert_int_equal(get(SEND), 0);
	irq.what = "send";
	irq.fails = -EINVAL;
	put(SEND, 0);
	assert_int_equal(get(SEND), EINVAL);
	put(SEND, 0);
	assert_int_equal(get(SEND), 0);
	assert_int_equal(irq.sends, 3);
	assert_int_equal(irq.adds, 0);
}

static void test_doorbell(void **state)
{
	board_write(BUS_MMIO, BASE + DOORBELL, 1, 1); /* of nothing */
	message(0x8080040, 5, 0x20);
	put(ROUTE, 1);
	assert_int_equal(get(ROUTE), 0);
	assert_int_equal(irq.adds, 1);
	assert_true(irq.route.address == 0x8080040 && irq.route.data == 5 && irq.route.devid == 0x20);
	assert_true(irq.msi_fd >= 0);
	assert_int_equal(irq.msi_fd, irq.msi_event);
	assert_int_not_equal(irq.msi_fd, irq.line_fd);
	/* Registers do nothing by themselves. */
	put(DATA, 6);
	assert_int_equal(irq.route.data, 5);
	put(ROUTE, 0);
	assert_int_equal(irq.route.data, 6);
	assert_int_equal(irq.adds, 1);
	assert_int_equal(irq.updates, 1);
	assert_int_equal(irq.sends, 0);
	/* One that fails leaves the route as it was. */
	irq.what = "update";
	irq.fails = -ENOENT;
	put(ROUTE, 0);
	assert_int_equal(get(ROUTE), ENOENT);
	assert_true(irq.routed);
	board_reset(&testdev_ops);
	assert_false(irq.routed);
	assert_int_equal(irq.msi_fd, -1);
	assert_int_equal(irq.msi_event, -1);
	assert_int_equal(get(ROUTE) | get(DATA), 0);
	put(ROUTE, 0);
	assert_int_equal(irq.adds, 2);
	devices_stop(&board.kvm);
	assert_false(irq.routed);
	assert_int_equal(devices_start(&board.kvm), 0);
}

/* Each step of it that fails takes back those before, and says so to the guest alone. */
static void test_doorbell_fails(void **state)
{
	static const char *const steps[] = {"add", "irqfd", "ioeventfd"};

	board.cfg.log.level = LOG_INFO;
	for (u32 i = 0; i < ARRAY_SIZE(steps); i++) {
		irq.what = steps[i];
		irq.fails = -ENOSPC;
		capture_begin(STDERR_FILENO);
		put(ROUTE, 0);
		assert_string_equal(capture_end(), "");
		assert_int_equal(get(ROUTE), ENOSPC);
		assert_false(irq.routed);
		assert_int_equal(irq.msi_fd, -1);
		assert_int_equal(irq.msi_event, -1);
	}
	/* With --debug it is told, and not without end. */
	board.cfg.log.level = LOG_DEBUG;
	capture_begin(STDERR_FILENO);
	for (u32 i = 0; i < 1000; i++) {
		irq.what = "send";
		put(SEND, 0);
	}
	assert_non_null(strstr(capture_end(), "testdev: message: No space left"));
	assert_true(strlen(capture.text) < 2000);
	/* A controller that has no messages. */
	board.cfg.log.level = LOG_WARN;
	board.chip.msi_route = NULL;
	put(SEND, 0);
	assert_int_equal(get(SEND), ENOTSUP);
	put(ROUTE, 0);
	assert_int_equal(get(ROUTE), ENOTSUP);
	put(ROUTE, 0);
	assert_false(irq.routed);
}

static void test_widths(void **state)
{
	message(0x11223344, 0x55667788, 0);
	board_write(BUS_MMIO, BASE + DATA, 0, 1);
	board_write(BUS_MMIO, BASE + DATA + 2, 0, 2);
	board_write(BUS_MMIO, BASE + ADDR, 0, 8);
	board_write(BUS_MMIO, BASE + ADDR + 1, 0, 4);
	board_write(BUS_MMIO, BASE + SEND, 0, 1);
	board_write(BUS_MMIO, BASE + SEND, 0, 8);
	assert_int_equal(irq.sends, 0);
	assert_int_equal(irq.adds, 0);
	assert_int_equal(get(ADDR), 0x11223344);
	assert_int_equal(get(DATA), 0x55667788);
	assert_int_equal(get(DOORBELL), UINT32_MAX);
	assert_int_equal(board_read(BUS_MMIO, BASE + DATA, 2), 0xffff);
	board_hammer(BUS_MMIO, BASE, 0x30, 50000);
	board_hammer(BUS_MMIO, BASE + LINES, 64, 20000);
	board_hammer(BUS_MMIO, TEST_MEM, 0x10000, 20000);
}

static void test_state(void **state)
{
	struct buf saved = {0};

	put(ECHO, 0xcafe);
	message(0x8080040, 5, 0x20);
	put(ROUTE, 0);
	message(0x8080040, 7, 0x20);
	board_write(BUS_MMIO, BASE + LINES + 63, 1, 1);
	board_save(&testdev_ops, STATE_SAVE, &saved);
	board_reset(&testdev_ops);
	assert_false(irq.routed);
	board.lenient = true;
	assert_int_equal(board_restore(&testdev_ops, saved.data, saved.len), 0);
	/* The doorbell has the message of its time, not that of the registers. */
	assert_true(irq.routed);
	assert_int_equal(irq.route.data, 5);
	assert_int_equal(irq.msi_fd, irq.msi_event);
	assert_int_equal(get(DATA), 7);
	assert_int_equal(get(ECHO), 0xcafe);
	board_write(BUS_MMIO, BASE + LINES + 63, 0, 1);
	assert_false(board.level[63]);
	buf_free(&saved);
	board_restore_hostile(&testdev_ops);
}

/* The pages of the other two, on a board that has no ports for them. */
static void test_pages(void **state)
{
	static const u64 at[] = {0, 4, 0xffc, 0xff8};

	for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
		board.ends = 0;
		board_write(BUS_MMIO, EXIT_PAGE + at[i], 35 + i, 4);
		assert_int_equal(board.ends, 1);
		assert_int_equal(board.end, VM_CODE);
		assert_int_equal(board.code, 35 + i);
		capture_begin(STDERR_FILENO);
		board_write(BUS_MMIO, TIMER_PAGE + at[i], 123 + i, 4);
		assert_one_line(capture_end(), "boot timer: guest reports 12");
	}
	assert_int_equal(board_read(BUS_MMIO, EXIT_PAGE, 4), UINT32_MAX);
	board.ends = 0;
	board_write(BUS_MMIO, EXIT_PAGE + 0x1000, 1, 4);
	board_write(BUS_MMIO, EXIT_PAGE - 4, 1, 4);
	assert_int_equal(board.ends, 0);
	for (u32 i = 0; i < 0x10000; i++)
		assert_null(bus_find(&board.kvm.bus[BUS_PIO], i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_echo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_irqfd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_few_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send, setup, teardown),
		cmocka_unit_test_setup_teardown(test_doorbell, setup, teardown),
		cmocka_unit_test_setup_teardown(test_doorbell_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_widths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* The small board devices: test device, exit code, boot timer, POST port, debug console, pvpanic. */
/* WRAP: irq_set_line irq_claim kvm_end kvm_guest_panicked irq_fd_assign irq_fd_deassign */
/* WRAP: ioeventfd_assign ioeventfd_deassign */
#define BOARD_LINES 32
#include "board.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* The port that raises line 10 inside the kernel: what is assigned, and that all of it goes again. */
static struct {
	int irqfd, ioeventfd, assigned;
} wired;

int __wrap_irq_fd_assign(struct kvm *kvm, u32 gsi, int trigger, int resample);
int __wrap_irq_fd_assign(struct kvm *kvm, u32 gsi, int trigger, int resample)
{
	assert_int_equal(gsi, 10);
	assert_int_equal(resample, -1);
	wired.irqfd = trigger;
	wired.assigned++;
	return 0;
}

void __wrap_irq_fd_deassign(struct kvm *kvm, u32 gsi, int trigger);
void __wrap_irq_fd_deassign(struct kvm *kvm, u32 gsi, int trigger)
{
	assert_int_equal(trigger, wired.irqfd);
	wired.assigned--;
}

int __wrap_ioeventfd_assign(struct kvm *kvm, int bus, u64 addr, u32 len, const u64 *match, int fd);
int __wrap_ioeventfd_assign(struct kvm *kvm, int bus, u64 addr, u32 len, const u64 *match, int fd)
{
	assert_int_equal(bus, BUS_PIO);
	assert_int_equal(addr, 0xe8);
	assert_int_equal(len, 1);
	assert_int_equal(*match, 10);
	wired.ioeventfd = fd;
	wired.assigned++;
	return 0;
}

void __wrap_ioeventfd_deassign(struct kvm *kvm, int bus, u64 addr, u32 len, const u64 *match, int fd);
void __wrap_ioeventfd_deassign(struct kvm *kvm, int bus, u64 addr, u32 len, const u64 *match, int fd)
{
	assert_int_equal(fd, wired.ioeventfd);
	wired.assigned--;
}

#define EXIT_PAGE  0xc0001000ull
#define TIMER_PAGE 0xc0000000ull
#define TEST_MEM   0xff000000ull
#define PANIC_MMIO 0x9000000ull

static const struct board_device table[] = {
	{.ops = &pvpanic_ops, .bus = BUS_PIO, .base = 0x505, .line = IRQ_NONE},
	{.ops = &pvpanic_ops, .bus = BUS_MMIO, .base = PANIC_MMIO, .line = IRQ_NONE, .index = 1},
	{.ops = &exit_ops, .bus = BUS_PIO, .base = 0xf4, .mmio = EXIT_PAGE, .line = IRQ_NONE},
	{.ops = &testdev_ops, .bus = BUS_PIO, .base = 0xe0, .mmio = TEST_MEM, .line = IRQ_NONE},
	{.ops = &boot_timer_ops, .bus = BUS_PIO, .base = 0x3f0, .mmio = TIMER_PAGE, .line = IRQ_NONE},
	{.ops = &post_port_ops, .bus = BUS_PIO, .base = 0x80, .line = IRQ_NONE},
	{.ops = &debugcon_ops, .bus = BUS_PIO, .base = 0xe9, .line = IRQ_NONE, .index = 0},
	{.ops = &debugcon_ops, .bus = BUS_PIO, .base = 0x402, .line = IRQ_NONE, .index = 1},
	{.ops = NULL},
};

static struct device_request requests[] = {{.ops = &testdev_ops}, {.ops = &boot_timer_ops}};

static int setup(void **state)
{
	board_init(table);
	board.cfg.request = requests;
	board.cfg.nr_requests = ARRAY_SIZE(requests);
	board_up();
	return 0;
}

static int teardown(void **state)
{
	board_down();
	return 0;
}

/* stderr goes into a file of ours meanwhile. */

static int real_stderr, captured;

static void capture_begin(void)
{
	fflush(stderr);
	real_stderr = dup(STDERR_FILENO);
	captured = memfd_create("stderr", MFD_CLOEXEC);
	assert_true(real_stderr >= 0 && captured >= 0);
	dup2(captured, STDERR_FILENO);
}

static const char *capture_end(void)
{
	static char text[65536];
	ssize_t n;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	n = pread(captured, text, sizeof(text) - 1, 0);
	close(captured);
	assert_true(n >= 0);
	text[n] = 0;
	return text;
}

static void test_only_when_asked_for(void **state)
{
	board_init(table);
	board_up();
	assert_null(device_find(&board.kvm, &testdev_ops, 0));
	assert_null(device_find(&board.kvm, &boot_timer_ops, 0));
	assert_int_equal(board_read(BUS_PIO, 0xe0, 4), UINT32_MAX);
	assert_non_null(device_find(&board.kvm, &exit_ops, 0));
	board_down();
}

/* Every option of device_table is one that a board without a place for it refuses in order. */
static void test_options_without_a_board(void **state)
{
	static const struct board_device none[] = {{.ops = NULL}};

	for (u32 i = 0; device_table[i]; i++) {
		struct device_request one = {.ops = device_table[i]};

		assert_non_null(device_table[i]->option.name);
		/* Others are made with what their parse() has made of an argument. */
		if (device_table[i]->option.kind != OPT_FLAG)
			continue;
		board_init(none);
		board.cfg.request = &one;
		board.cfg.nr_requests = 1;
		capture_begin();
		assert_int_equal(devices_create(&board.kvm), -ENOTSUP);
		assert_non_null(strstr(capture_end(), device_table[i]->option.name));
		board_down();
	}
}

static void test_exit_code(void **state)
{
	static const u64 values[] = {0, 1, 35, 127, 128, 255, 0x1fe, 0x12345678};

	for (u32 i = 0; i < ARRAY_SIZE(values); i++)
		for (u32 len = 1; len <= 8; len *= 2) {
			for (u32 mmio = 0; mmio < (len == 8 ? 1 : 2); mmio++) {
				board.ends = 0;
				if (mmio)
					board_write(BUS_MMIO, EXIT_PAGE, values[i], len);
				else
					board_write(BUS_PIO, 0xf4, values[i], len > 4 ? 4 : len);
				assert_int_equal(board.ends, 1);
				assert_int_equal(board.end, VM_CODE);
				assert_int_equal(board.code, values[i] & 0xff);
			}
		}
	board.ends = 0;
	assert_int_equal(board_read(BUS_PIO, 0xf4, 4), UINT32_MAX);
	assert_int_equal(board_read(BUS_MMIO, EXIT_PAGE, 8), UINT64_MAX);
	assert_int_equal(board.ends, 0);
}

static void test_exit_code_as_isa_debug_exit(void **state)
{
	board.cfg.testdev = true;
	for (u32 v = 0; v < 256; v++) {
		outb(0xf4, (u8)v);
		assert_int_equal(board.code, ((v << 1) | 1) & 0xff);
	}
}

static void test_echo(void **state)
{
	board_write(BUS_PIO, 0xe0, 0x12345678, 4);
	assert_int_equal(board_read(BUS_PIO, 0xe0, 4), 0x12345678);
	assert_int_equal(board_read(BUS_PIO, 0xe0, 2), 0x5678);
	assert_int_equal(board_read(BUS_PIO, 0xe2, 2), 0x1234);
	assert_int_equal(inb(0xe1), 0x56);
	outb(0xe3, 0xab);
	assert_int_equal(board_read(BUS_PIO, 0xe0, 4), 0xab345678);
	board_write(BUS_PIO, 0xe4, 0xdead1000, 4); /* flush a page: nothing to do */
	assert_int_equal(board_read(BUS_PIO, 0xe0, 4), 0xab345678);
	board_reset(&testdev_ops);
	assert_int_equal(board_read(BUS_PIO, 0xe0, 4), 0);
}

static void test_irqfd(void **state)
{
	assert_int_equal(wired.assigned, 2);
	assert_int_equal(wired.irqfd, wired.ioeventfd);
	/* What the kernel does not match comes to us, and is nothing. */
	board_write(BUS_PIO, 0xe8, 11, 1);
	devices_stop(&board.kvm);
	assert_int_equal(wired.assigned, 0);
	assert_int_equal(devices_start(&board.kvm), 0);
}

static void test_irq_lines(void **state)
{
	for (u16 line = 0; line < 24; line++) {
		outb(0x2000 + line, 1);
		outb(0x2000 + line, 0xff); /* high already */
		assert_true(board.level[line]);
		assert_int_equal(board.rises[line], 1);
		outb(0x2000 + line, 0);
		assert_false(board.level[line]);
	}
	outb(0x2018, 1); /* none of its */
	assert_false(board.level[24]);
	board_write(BUS_PIO, 0x2004, 0x01000100, 4);
	assert_true(!board.level[4] && board.level[5] && !board.level[6] && board.level[7]);
	board_reset(&testdev_ops);
	assert_true(!board.level[5] && !board.level[7]);
}

static void test_memory(void **state)
{
	for (u32 len = 1; len <= 8; len++)
		for (u64 at = 0; at < 0x10000; at += 0x7fb) {
			u64 v = board_random();

			if (at + len > 0x10000)
				break;
			board_write(BUS_MMIO, TEST_MEM + at, v, len);
			if (len < 8)
				v &= (1ull << 8 * len) - 1;
			assert_int_equal(board_read(BUS_MMIO, TEST_MEM + at, len), v);
		}
	board_write(BUS_MMIO, TEST_MEM + 0xfffe, 0x11223344, 4); /* the last two bytes, and nobody's */
	assert_int_equal(board_read(BUS_MMIO, TEST_MEM + 0xfffe, 4), 0xffff3344);
	board_hammer(BUS_MMIO, TEST_MEM, 0x10000, 50000);
	capture_begin(); /* port 0xe9 is within reach */
	board_hammer(BUS_PIO, 0xe0, 8, 20000);
	outb(0xe9, '\n');
	capture_end();
	board_hammer(BUS_PIO, 0x2000, 24, 20000);
}

static void test_testdev_state(void **state)
{
	struct buf saved = {0}, text = {0};

	board_write(BUS_PIO, 0xe0, 0xcafe, 4);
	board_write(BUS_MMIO, TEST_MEM + 0x8000, 0x1122334455667788, 8);
	outb(0x2005, 1);
	board_save(&testdev_ops, STATE_SAVE, &saved);
	board_save(&testdev_ops, STATE_JSON, &text);
	assert_true(text.len < 1000); /* not the memory */
	board_reset(&testdev_ops);
	board.lenient = true;
	assert_int_equal(board_restore(&testdev_ops, saved.data, saved.len), 0);
	assert_int_equal(board_read(BUS_PIO, 0xe0, 4), 0xcafe);
	assert_int_equal(board_read(BUS_MMIO, TEST_MEM + 0x8000, 8), 0x1122334455667788);
	buf_free(&saved);
	buf_free(&text);
	board_restore_hostile(&testdev_ops);
}

static void test_boot_timer(void **state)
{
	struct timespec ts;
	const char *text;
	double wall, cpu;
	u32 lines = 0;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	board.kvm.start_ns = (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec - 5000000000;
	capture_begin();
	outb(0x3f0, 123);
	text = capture_end();
	assert_int_equal(sscanf(text, "lkvm: boot timer: guest reports 123 after %lf ms wall, %lf ms CPU\n",
				&wall, &cpu),
			 2);
	assert_true(wall >= 5000 && wall < 65000);
	assert_true(cpu >= 0 && cpu < 60000);
	capture_begin();
	board_write(BUS_MMIO, TIMER_PAGE + 8, 70000, 4);
	assert_non_null(strstr(capture_end(), "guest reports 70000 after"));
	/* A guest cannot flood stderr. */
	capture_begin();
	for (u32 i = 0; i < 1000; i++)
		outb(0x3f0, (u8)i);
	for (text = capture_end(); *text; text++)
		lines += *text == '\n';
	assert_true(lines < 50);
	assert_int_equal(inb(0x3f0), 0xff);
	board.kvm.start_ns = UINT64_MAX; /* a clock that went wrong makes 0, not millions of years */
	board_hammer(BUS_MMIO, TIMER_PAGE, 0x1000, 1000);
}

static void test_post_port(void **state)
{
	struct buf text = {0};

	assert_int_equal(inb(0x80), 0);
	outb(0x80, 0x5a);
	assert_int_equal(inb(0x80), 0x5a);
	board_save(&post_port_ops, STATE_TEXT, &text);
	assert_true(buf_holds(&text, "5a", 2));
	board_reset(&post_port_ops);
	assert_int_equal(inb(0x80), 0);
	buf_free(&text);
	board_restore_hostile(&post_port_ops);
}

static void debug_print(u16 port, const char *text)
{
	while (*text)
		outb(port, (u8)*text++);
}

static void test_debugcon(void **state)
{
	const char *text;

	assert_int_equal(inb(0xe9), 0xe9);
	assert_int_equal(inb(0x402), 0xe9);
	capture_begin();
	/* Lines of the two come out whole. */
	debug_print(0xe9, "hello ");
	debug_print(0x402, "firmware\n");
	debug_print(0xe9, "world\nno newline");
	text = capture_end();
	assert_string_equal(text, "firmware\nhello world\n");
	/* A long line goes out when the buffer is full, and the last one at the end. */
	capture_begin();
	for (u32 i = 0; i < 300; i++)
		outb(0x402, 'x');
	board_down();
	text = capture_end();
	assert_int_equal(strlen(text), strlen("no newline") + 300);
	assert_non_null(strstr(text, "no newline"));
	setup(NULL);
	capture_begin();
	board_hammer(BUS_PIO, 0xe9, 1, 2000);
	board_restore_hostile(&debugcon_ops);
	outb(0xe9, '\n');
	capture_end();
}

/* A stderr that takes nothing costs a bounded time, and no output of ours blocks a vCPU for good. */
static void test_debugcon_stuck(void **state)
{
	int fds[2], saved = dup(STDERR_FILENO);
	char fill[4096] = {0};

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	assert_int_equal(fcntl(fds[1], F_SETPIPE_SZ, sizeof(fill)), sizeof(fill));
	assert_int_equal(write(fds[1], fill, sizeof(fill)), sizeof(fill));
	debug_print(0xe9, "lost\nlost\n");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

static void test_pvpanic(void **state)
{
	static const u8 io[] = {0x47, 1, 0x05, 0x05, 0x05, 0x05, 1, 1};
	struct buf aml = {0};
	const char *text;

	assert_int_equal(inb(0x505), 3);
	assert_int_equal(board_read(BUS_MMIO, PANIC_MMIO, 1), 3);
	outb(0x505, 0);
	outb(0x505, 0xfc); /* no event that we know */
	assert_int_equal(board.panics, 0);
	capture_begin();
	outb(0x505, 2);
	text = capture_end();
	assert_non_null(strstr(text, "crash kernel"));
	assert_int_equal(board.panics, 0);
	outb(0x505, 1);
	assert_int_equal(board.panics, 1);
	board_write(BUS_MMIO, PANIC_MMIO, 1, 1);
	assert_int_equal(board.panics, 2);
	assert_int_equal(board.ends, 0); /* kvm_guest_panicked() ends it, in its time */
	board_aml(&pvpanic_ops, &aml);
	assert_true(buf_holds(&aml, "QEMU0001", 9));
	assert_true(buf_holds(&aml, io, sizeof(io)));
	buf_free(&aml);
	board.cfg.log.level = LOG_ERROR;
	board_restore_hostile(&pvpanic_ops);
	board_hammer(BUS_PIO, 0x505, 1, 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_when_asked_for),
		cmocka_unit_test(test_options_without_a_board),
		cmocka_unit_test_setup_teardown(test_exit_code, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exit_code_as_isa_debug_exit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_echo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_irqfd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_irq_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_testdev_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_boot_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_post_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_debugcon, setup, teardown),
		cmocka_unit_test_setup_teardown(test_debugcon_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pvpanic, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* ALSO-arm */
/* WRAP: irq_set_line irq_claim kvm_end kvm_guest_panicked pwrite64 */
/* hw/cfi-flash.c: files that will not do, disks that fail, guests that do anything, and its state. */
#include "flash-bed.h"

/* ---- files that will not do --------------------------------------------------------------------- */

static void refused(const char *arg, int err, const char *says)
{
	int ret;

	capture_begin(STDERR_FILENO);
	ret = create(arg);
	assert_one_line(capture_end(), says);
	assert_non_null(strstr(capture.text, "--flash"));
	assert_int_equal(ret, err);
	down();
}

static void test_sizes(void **state)
{
	static const struct {
		u64 size;
		const char *says;
	} bad[] = {
		{0, "an empty file"},
		{1, "truncate -s 256K"},
		{KiB(64), "truncate -s 256K"},
		{KiB(256) + 1, "truncate -s 512K"},
		{MiB(3), "3145728 bytes are no power of two from 256 KiB up (truncate -s 4096K"},
		{MiB(64) - KiB(256), "truncate -s 65536K"},
		{MiB(64) + 1, "64 MiB at the most"},
		{MiB(128), "64 MiB at the most"},
	};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		file_new(bad[i].size);
		refused(bed.path, -EINVAL, bad[i].says);
		assert_non_null(strstr(capture.text, bed.path));
		close(bed.fd);
	}
	bed.fd = -1;
}

static void test_refused(void **state)
{
	void *params = NULL;
	char ro[80];
	int other;

	refused("/nonexistent/flash", -ENOENT, "/nonexistent/flash: No such file");
	refused("/", -EISDIR, "--flash /: Is a directory");
	refused("/,ro", -EINVAL, "--flash /: not a regular file");
	refused("/dev/null", -EINVAL, "not a regular file");
	capture_begin(STDERR_FILENO);
	assert_int_equal(cfi_flash_ops.parse(",ro", &params), -EINVAL);
	assert_one_line(capture_end(), "--flash: the name of a file is missing");
	assert_null(params);
	/* A comma is part of a name but for the one that is not. */
	refused("/nonexistent/a,rw,ro", -ENOENT, "--flash /nonexistent/a,rw: No such");
	refused("/nonexistent/a,rw", -ENOENT, "--flash /nonexistent/a,rw: No such");

	/* What another VM has. */
	file_new(KiB(256));
	snprintf(ro, sizeof(ro), "%s,ro", bed.path);
	other = open(bed.path, O_RDWR | O_CLOEXEC);
	assert_true(other >= 0);
	assert_int_equal(flock(other, LOCK_SH | LOCK_NB), 0);
	refused(bed.path, -EWOULDBLOCK, "another VM has it (any number may share FILE,ro)");
	assert_int_equal(create(ro), 0);
	down();
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
	refused(ro, -EWOULDBLOCK, "another VM writes it");
	close(other);
	assert_int_equal(create(bed.path), 0);
	other = open(bed.path, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(other, LOCK_SH | LOCK_NB), -1);
	down();
	assert_int_equal(flock(other, LOCK_SH | LOCK_NB), 0);
	close(other);

	fake_kvm_set_cap(KVM_CAP_READONLY_MEM, 0);
	refused(bed.path, -ENOTSUP, "KVM_CAP_READONLY_MEM");
}

/* A disk that is full, or slow. */
static void test_disk(void **state)
{
	up(KiB(512), "");
	bed.pwrite_short = 3;
	assert_int_equal(erase(BLOCK), 0x80);
	buffer(BLOCK, 16, 0x5000);
	cmd(BLOCK, 0xd0);
	assert_int_equal(status(), 0x80);
	assert_int_equal(file_word(BLOCK), 0x5000);
	assert_int_equal(file_word(BLOCK + 60), 0x500f);
	bed.pwrite_errno = ENOSPC;
	capture_begin(STDERR_FILENO);
	assert_int_equal(program(BLOCK + 64, 0), 0x90);
	assert_one_line(capture_end(), "No space left on device");
	assert_non_null(strstr(capture.text, bed.path));
	capture_begin(STDERR_FILENO);
	assert_int_equal(erase(0), 0xa0);
	for (u32 i = 0; i < 1000; i++)
		assert_int_equal(program(BLOCK + 64, 0), 0x90);
	assert_true(strlen(capture_end()) < 4000);
	assert_int_equal(file_word(BLOCK + 64), UINT32_MAX);
	bed.pwrite_errno = 0;
	assert_int_equal(program(BLOCK + 64, 0), 0x80);
}

/* ---- any guest, any state ----------------------------------------------------------------------- */

static void test_hostile(void **state)
{
	static const u8 cmds[] = {0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98,
				  0xe8, 0xff, 0xd0, 0x01, 0x2f, 0xb0, 0xf0, 0x00};

	up(KiB(512), "");
	board_hammer(BUS_MMIO, BASE, KiB(512), 50000);
	/* Commands that mean something, at any place and of any width. */
	for (u32 i = 0; i < 20000; i++) {
		u64 at =
			board_random() % 4 ? board_random() % KiB(512) : board_random() % 8 * (BLOCK / 4) - 4;
		u64 v = cmds[board_random() % ARRAY_SIZE(cmds)] |
			(board_random() % 4 ? 0 : board_random() << 8);

		/* An erase is a quarter of a MiB of work: not that many. */
		if ((u8)v == 0x20 && board_random() % 16)
			v = 0x40;
		board_write(BUS_MMIO, BASE + at, v, 1 + board_random() % 8);
		board_read(BUS_MMIO, BASE + at, 1 + board_random() % 8);
	}
	board_restore_hostile(&cfi_flash_ops);
	board_hammer(BUS_MMIO, BASE, KiB(512), 20000);
	for (u32 i = 0; i < 600; i++)
		cmd(0, 0xff); /* whatever it is in the middle of */
	assert_int_equal(slots(), 1);
	cmd(0, 0x50);
	assert_int_equal(status(), 0x80);
}

static void test_state(void **state)
{
	static const u8 fields[] = {0, 1, 4, 5, 6, 7, 9, 10};
	struct buf saved = {0}, text = {0};

	up(MiB(1), "");
	assert_int_equal(erase(0), 0x80);
	lock(2 * BLOCK, 0x2f);
	/* In the middle of a buffer. */
	cmd(BUFFER, 0xe8);
	cmd(BUFFER, 3);
	wr(BUFFER, 0x100);
	wr(BUFFER + 4, 0x101);
	board_save(&cfi_flash_ops, STATE_SAVE, &saved);
	board_save(&cfi_flash_ops, STATE_JSON, &text);
	assert_true(buf_holds(&text, "status", 6) && buf_holds(&text, bed.path, strlen(bed.path)));
	board_reset(&cfi_flash_ops);
	assert_int_equal(slots(), 1);
	assert_int_equal(board_restore(&cfi_flash_ops, saved.data, saved.len), 0);
	assert_int_equal(slots(), 0);
	wr(BUFFER + 8, 0x102);
	wr(BUFFER + 12, 0x103);
	cmd(BUFFER, 0xd0);
	assert_int_equal(status(), 0x80);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(file_word(BUFFER + 4 * i), 0x100 + i);
	assert_int_equal(lock_status(2 * BLOCK), 3);
	assert_int_equal(lock_status(BLOCK), 0);
	/* Mode, step, left and window that are none; before them the section's name, version and length. */
	for (u32 i = 0; i < ARRAY_SIZE(fields); i++) {
		u8 *at = saved.data + 1 + strlen("flash") + 8 + fields[i], was = *at;

		*at = 0xff;
		assert_int_equal(board_restore(&cfi_flash_ops, saved.data, saved.len), -EBADMSG);
		*at = was;
	}
	/* One that is refused leaves it as after a reset. */
	assert_true(board_restore(&cfi_flash_ops, saved.data, saved.len - 1) < 0);
	assert_int_equal(slots(), 1);
	assert_int_equal(lock_status(2 * BLOCK), 0);
	assert_int_equal(status(), 0x80);
	buf_free(&saved);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

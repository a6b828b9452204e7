/* SPDX-License-Identifier: MIT */
/*
 * Images on their way in: what is opened and refused, gzip in all its states, initrds and where they go, the
 * command line.
 */
#include "core-vm.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <zlib.h>

#define PAGE 4096ull

/* ---- opening ------------------------------------------------------------------------------------------ */

static void assert_refused(const char *path, int want, const char *says)
{
	struct boot_image img;
	const char *text;
	int err;

	capture_begin(STDERR_FILENO);
	err = boot_image_open(&img, path);
	text = capture_end();
	assert_one_line(text, says);
	assert_non_null(strstr(text, path)); /* the object's name */
	assert_int_equal(err, want);
}

static void test_refused(void **state)
{
	struct vm_file empty = vm_file("", 0);

	assert_refused("/nonexistent/kernel", -ENOENT, "No such file");
	assert_refused("/proc/self", -EISDIR, "is a directory");
	assert_refused(empty.path, -ENOEXEC, "is empty");
	assert_refused("/dev/null", -ENOEXEC, "is empty"); /* no file of a size */
	close(empty.fd);
}

static void test_too_large(void **state)
{
	struct vm_file f = vm_file("x", 1);
	struct boot_image img;

	assert_int_equal(ftruncate(f.fd, (off_t)GiB(2)), 0);
	assert_int_equal(boot_image_open(&img, f.path), 0);
	assert_int_equal(img.size, GiB(2));
	boot_image_close(&img);
	assert_int_equal(ftruncate(f.fd, (off_t)GiB(2) + 1), 0);
	assert_refused(f.path, -EFBIG, "too large");
	close(f.fd);
}

static void test_file(void **state)
{
	struct vm_file f = vm_file("a kernel", 8);
	struct boot_image img;

	assert_int_equal(boot_image_open(&img, f.path), 0);
	assert_false(img.was_gzip);
	assert_int_equal(img.size, 8);
	assert_memory_equal(img.data, "a kernel", 8);
	boot_image_close(&img);
	boot_image_close(&img); /* once more does no harm */
	close(f.fd);
}

/* Cut short after it was opened: what was there is the image, and nobody meets a SIGBUS. */
static void test_cut_short(void **state)
{
	struct vm_file f = vm_file("a kernel", 8);
	struct boot_image img;

	assert_int_equal(boot_image_open(&img, f.path), 0);
	assert_int_equal(ftruncate(f.fd, 0), 0);
	assert_memory_equal(img.data, "a kernel", 8);
	boot_image_close(&img);
	close(f.fd);
}

/* Of a large file the head is read; the rest comes when it is asked for, or goes straight into the guest. */
static void test_large_file(void **state)
{
	const size_t size = BOOT_IMAGE_HEAD + 300000, from = BOOT_IMAGE_HEAD - 100;
	u8 *want = malloc(size);
	struct boot_image img;
	struct vm_file f;

	for (size_t i = 0; i < size; i++)
		want[i] = (u8)(1 + i % 251);
	f = vm_file(want, size);
	vm_empty(MiB(32), NULL);
	assert_int_equal(boot_image_open(&img, f.path), 0);
	assert_int_equal(img.size, size);
	assert_memory_equal(img.data, want, BOOT_IMAGE_HEAD);
	assert_int_equal(boot_image_need(&img, size - 1000, 1000), 0);
	assert_memory_equal(img.data + size - 1000, want + size - 1000, 1000);
	assert_int_equal(boot_image_load(&vm.kvm, MiB(16) + 8, &img, from, size - from), 0);
	assert_guest(MiB(16) + 8, want + from, size - from);
	assert_int_equal(boot_image_load(&vm.kvm, GiB(32), &img, 0, size), -EFAULT);

	/* Cut short by now: the head is there still, and one line says why the rest is not. */
	assert_int_equal(ftruncate(f.fd, BOOT_IMAGE_HEAD), 0);
	assert_int_equal(boot_image_need(&img, BOOT_IMAGE_HEAD, 1), -EIO);
	capture_begin(STDERR_FILENO);
	assert_int_equal(boot_image_load(&vm.kvm, MiB(16), &img, 0, size), -EIO);
	assert_one_line(capture_end(), "was cut short while it was read");
	assert_memory_equal(img.data, want, BOOT_IMAGE_HEAD);
	boot_image_close(&img);
	close(f.fd);
	free(want);
}

#define PIPED (3 * 1024 * 1024 + 5)

static u8 pattern(size_t i)
{
	return (u8)(i * 31 + i / 1000);
}

static void *feed(void *arg)
{
	static u8 chunk[10007];
	int fd = *(int *)arg;

	for (size_t at = 0; at < PIPED;) {
		size_t n = (size_t)min_u64(sizeof(chunk), PIPED - at);
		ssize_t done;

		for (size_t i = 0; i < n; i++)
			chunk[i] = pattern(at + i);
		done = write(fd, chunk, n);
		assert_true(done > 0);
		at += (size_t)done;
	}
	close(fd);
	return NULL;
}

/* A pipe, whose size nobody knows, is read to its end, growing over its first room. */
static void test_pipe(void **state)
{
	struct boot_image img;
	pthread_t thread;
	char path[32];
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd[0]);
	assert_int_equal(pthread_create(&thread, NULL, feed, &fd[1]), 0);
	assert_int_equal(boot_image_open(&img, path), 0);
	pthread_join(thread, NULL);
	assert_int_equal(img.size, PIPED);
	for (size_t i = 0; i < PIPED; i++)
		if (img.data[i] != pattern(i))
			fail_msg("byte %zu", i);
	boot_image_close(&img);
	close(fd[0]);
}

static void test_empty_pipe(void **state)
{
	char path[32];
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	close(fd[1]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd[0]);
	assert_refused(path, -ENOEXEC, "is empty");
	close(fd[0]);
}

/* ---- gzip ------------------------------------------------------------------------------------------------
 */

/* One member more at the end of buf. */
static void add_member(struct buf *buf, const void *data, size_t len)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)len};
	size_t room = len + 1000;
	u8 *out = malloc(room);

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_out = out;
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	buf_add(buf, out, room - z.avail_out);
	deflateEnd(&z);
	free(out);
}

static void assert_unpacks(const struct buf *gz, const u8 *want, size_t len)
{
	struct vm_file f = vm_file(gz->data, gz->len);
	struct boot_image img;

	assert_int_equal(boot_image_open(&img, f.path), 0);
	assert_true(img.was_gzip);
	assert_int_equal(img.size, len);
	assert_memory_equal(img.data, want, len);
	boot_image_close(&img);
	/* As it is, where it is asked for as it is. */
	assert_int_equal(boot_image_open_raw(&img, f.path), 0);
	assert_false(img.was_gzip);
	assert_int_equal(img.size, gz->len);
	boot_image_close(&img);
	close(f.fd);
}

static void test_gzip(void **state)
{
	struct buf gz = {0};
	u8 *big = malloc(MiB(5));

	for (size_t i = 0; i < MiB(5); i++)
		big[i] = i < MiB(4) ? 0 : pattern(i);
	add_member(&gz, "a small one, all in all", 23);
	assert_unpacks(&gz, (const u8 *)"a small one, all in all", 23);
	buf_free(&gz);
	/* Far more than its own size. */
	add_member(&gz, big, MiB(5));
	assert_unpacks(&gz, big, MiB(5));
	buf_free(&gz);
	/* An exact multiple of the room it grows by. */
	add_member(&gz, big, MiB(2));
	assert_unpacks(&gz, big, MiB(2));
	buf_free(&gz);
	/* Several members are one image; what is behind them is none of it. */
	add_member(&gz, big, MiB(1));
	add_member(&gz, big + MiB(1), MiB(3) + 7);
	add_member(&gz, "", 0);
	add_member(&gz, big + MiB(4) + 7, MiB(1) - 7);
	buf_zero(&gz, 100);
	assert_unpacks(&gz, big, MiB(5));
	buf_free(&gz);
	free(big);
}

static void test_damaged_gzip(void **state)
{
	struct buf gz = {0}, two = {0};
	u8 data[5000];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = pattern(i * i);
	add_member(&gz, data, sizeof(data));
	for (size_t len = 19; len < gz.len; len += 97) {
		struct vm_file f = vm_file(gz.data, len);

		assert_refused(f.path, -ENOEXEC, "damaged or truncated gzip");
		close(f.fd);
	}
	for (size_t at = 20; at < gz.len; at += 501) {
		struct vm_file f;

		gz.data[at] ^= 0x55;
		f = vm_file(gz.data, gz.len);
		assert_refused(f.path, -ENOEXEC, "damaged or truncated gzip");
		close(f.fd);
		gz.data[at] ^= 0x55;
	}
	/* The second of two. */
	buf_add(&two, gz.data, gz.len);
	buf_add(&two, gz.data, gz.len / 2);
	{
		struct vm_file f = vm_file(two.data, two.len);

		assert_refused(f.path, -ENOEXEC, "damaged or truncated gzip");
		close(f.fd);
	}
	buf_free(&gz);
	buf_free(&two);
	/* Nothing in it. */
	add_member(&gz, "", 0);
	{
		struct vm_file f = vm_file(gz.data, gz.len);

		assert_refused(f.path, -ENOEXEC, "gzip");
		close(f.fd);
	}
	buf_free(&gz);
}

/* Two bytes that look like it make no gzip file. */
static void test_hardly_gzip(void **state)
{
	struct vm_file f = vm_file("\x1f\x8b and so on", 11);
	struct boot_image img;

	assert_int_equal(boot_image_open(&img, f.path), 0);
	assert_false(img.was_gzip);
	boot_image_close(&img);
	close(f.fd);
}

/* ---- initrds
 * ----------------------------------------------------------------------------------------------- */

static void test_initrds(void **state)
{
	struct vm_file a = vm_file("abcde", 5), b = vm_file("12345678", 8), c = vm_file("x", 1);
	const char *const more[] = {"-i", a.path, "-i", b.path, "-i", c.path, NULL};
	gpa_t gpa;
	u64 size;

	vm_empty(MiB(4), more);
	/* What was there before shows the padding. */
	memset(guest_ptr(&vm.kvm.mem, MiB(4) - PAGE, PAGE), 0xee, PAGE);
	assert_int_equal(boot_load_initrd(&vm.kvm, MiB(1), MiB(4), &gpa, &size), 0);
	assert_int_equal(size, 20);
	assert_int_equal(gpa, MiB(4) - PAGE);
	assert_guest(gpa,
		     "abcde\0\0\0"
		     "12345678"
		     "x\0\0\0"
		     "\xee",
		     21);
	/* As high as it may be. */
	assert_int_equal(boot_load_initrd(&vm.kvm, MiB(1), MiB(3) + 100, &gpa, &size), 0);
	assert_int_equal(gpa, MiB(3));
	assert_int_equal(boot_load_initrd(&vm.kvm, MiB(1), MiB(3) + 19, &gpa, &size), 0);
	assert_int_equal(gpa, MiB(3) - PAGE);
	close(a.fd);
	close(b.fd);
	close(c.fd);
}

static void assert_no_initrd(gpa_t low, gpa_t high, int want, const char *says)
{
	gpa_t gpa = 1;
	u64 size = 1;
	int err;

	capture_begin(STDERR_FILENO);
	err = boot_load_initrd(&vm.kvm, low, high, &gpa, &size);
	assert_one_line(capture_end(), says);
	assert_int_equal(err, want);
}

static void test_initrd_failures(void **state)
{
	struct vm_file a = vm_file("abcde", 5), e = vm_file("", 0);
	const char *const one[] = {"-i", a.path, NULL};
	const char *const empty[] = {"-i", a.path, "-i", e.path, NULL};
	const char *const gone[] = {"-i", a.path, "-i", "/nonexistent", NULL};
	const char *const null[] = {"-i", "/dev/null", NULL};
	gpa_t gpa = 1;
	u64 size = 1;

	vm_empty(MiB(4), NULL);
	assert_int_equal(boot_load_initrd(&vm.kvm, MiB(1), MiB(4), &gpa, &size), 0);
	assert_true(gpa == 0 && size == 0);
	vm_empty(MiB(4), one);
	assert_no_initrd(MiB(3), MiB(3) + 7, -ENOSPC, "does not fit beside the kernel");
	assert_no_initrd(MiB(3) + 1, MiB(3) + PAGE, -ENOSPC, a.path);
	assert_no_initrd(MiB(3), MiB(1), -ENOSPC, "does not fit");
	assert_no_initrd(MiB(4), GiB(4), -ENOSPC, "does not fit");
	assert_no_initrd(UINT64_MAX, UINT64_MAX, -ENOSPC, "does not fit");
	vm_empty(MiB(4), empty);
	assert_no_initrd(MiB(1), MiB(4), -ENOEXEC, "is empty");
	vm_empty(MiB(4), gone);
	assert_no_initrd(MiB(1), MiB(4), -ENOENT, "/nonexistent");
	vm_empty(MiB(4), null);
	assert_no_initrd(MiB(1), MiB(4), -ENOEXEC, "/dev/null: is empty");
	close(a.fd);
	close(e.fd);
}

/* ---- command line
 * -------------------------------------------------------------------------------------------- */

static void assert_cmdline(const char *const *more, const char *want)
{
	char *line;

	vm_empty(MiB(4), more);
	assert_int_equal(boot_cmdline(&vm.kvm, strlen(want), &line), 0);
	assert_string_equal(line, want);
	free(line);
	if (*want) {
		int err;

		capture_begin(STDERR_FILENO);
		err = boot_cmdline(&vm.kvm, strlen(want) - 1, &line);
		assert_one_line(capture_end(), "--params: the command line has");
		assert_int_equal(err, -E2BIG);
	}
}

static void test_cmdline(void **state)
{
	static const char *const bare[] = {"--nodefaults", NULL};
	static const char *const own[] = {"--nodefaults", "-p", "a b=1", "-p", "c", NULL};
	static const char *const both[] = {"-p", "quiet", NULL};

	assert_cmdline(NULL, "console=ttyS0 panic=-1");
	assert_cmdline(bare, "");
	assert_cmdline(own, "a b=1 c");
	assert_cmdline(both, "console=ttyS0 panic=-1 quiet");
}

/* ---- the step
 * --------------------------------------------------------------------------------------------------- */

static void test_step(void **state)
{
	struct vm_file f = vm_file("this is no kernel, but a text", 29);
	static const char *const flat[] = {"--boot", "flat", NULL};
	int err;

	capture_begin(STDERR_FILENO);
	err = vm_up(f.path, MiB(4), "boot", NULL);
	assert_one_line(capture_end(), "no kernel that lkvm knows");
	assert_int_equal(err, -ENOEXEC);
	assert_int_equal(vm_up(f.path, MiB(4), "boot", flat), 0);
	assert_guest(0x10000, "this is no kernel", 17);
	vm_down();
	/* Registers that KVM refuses. */
	fake_kvm_fail(KVM_SET_REGS, 1, EINVAL);
	capture_begin(STDERR_FILENO);
	err = vm_up(f.path, MiB(4), "boot", flat);
	assert_one_line(capture_end(), "vcpu 0: cannot set its registers");
	assert_int_equal(err, -EINVAL);
	close(f.fd);
}

/* No push of a flat image may hit the image: where SS:SP points, and the 4 KiB below, are none of it. */
static void test_flat_stack(void **state)
{
	static const struct {
		size_t size;
		u16 ss;
		u64 sp;
	} want[] = {
		{9, 0x1000, 0x8000}, {0x7000, 0x1000, 0x8000}, {0x7001, 0x1000, 0},	  {0xf000, 0x1000, 0},
		{0xf001, 0, 0},	     {0x10000, 0, 0},	       {0x9fc00 - 0x10000, 0, 0},
	};
	static const char *const flat[] = {"--boot", "flat", NULL};

	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		u8 *image = calloc(1, want[i].size);
		struct kvm_sregs sregs;
		struct kvm_regs regs;
		struct vm_file f;

		memset(image, 0xf4, want[i].size);
		f = vm_file(image, want[i].size);
		assert_int_equal(vm_up(f.path, MiB(4), "boot", flat), 0);
		assert_int_equal(kvm_ioctl(vm.kvm.vcpu[0].fd, KVM_GET_SREGS, &sregs), 0);
		assert_int_equal(kvm_ioctl(vm.kvm.vcpu[0].fd, KVM_GET_REGS, &regs), 0);
		assert_int_equal(sregs.cs.base, 0x10000);
		assert_int_equal(sregs.ds.base, 0x10000);
		assert_int_equal(sregs.ss.selector, want[i].ss);
		assert_int_equal(sregs.ss.base, want[i].ss << 4);
		assert_int_equal(regs.rsp, want[i].sp);
		assert_guest(0x10000, image, want[i].size);
		vm_down();
		close(f.fd);
		free(image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refused, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_too_large, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_file, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_cut_short, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_large_file, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_flat_stack, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_pipe, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_empty_pipe, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_gzip, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_gzip, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_hardly_gzip, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_initrds, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_initrd_failures, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_cmdline, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_step, vm_setup, vm_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* TSAN */
/* WRAP: pwritev64 preadv64 fdatasync fallocate64 pthread_create */
/* WRAP: io_uring_queue_init io_uring_submit */
/*
 * Disks: raw images by both engines, O_DIRECT with memory that does not fit, zeroes and discards where the
 * host cannot, formats and what is refused, and I/O that fails.
 */
#include "block-bed.h"
#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/uio.h>

struct io_uring;

/* --- failures ------------------------------------------------------------------------------------------- */

static struct {
	_Atomic int write_err, read_err, sync_err, ring_err, submit_err, thread_err;
	_Atomic int
		sync_once; /* the next fdatasync fails with that, as Linux tells of an error to one only */
	_Atomic u32 submits_ok; /* so many more before submit_err */
	_Atomic bool short_io, no_punch, no_zero, linger;
	_Atomic u32 writes, syncs, punches, zeroes, rings;
} fail;

ssize_t __real_pwritev64(int fd, const struct iovec *iov, int n, off_t offset);
ssize_t __real_preadv64(int fd, const struct iovec *iov, int n, off_t offset);
int __real_fdatasync(int fd);
int __real_fallocate64(int fd, int mode, off_t offset, off_t len);
int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __real_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags) __attribute__((weak));
int __real_io_uring_submit(struct io_uring *ring) __attribute__((weak));

static struct iovec cut(const struct iovec *iov, int n)
{
	return (struct iovec){iov[0].iov_base, iov[0].iov_len > 700 ? 512 : iov[0].iov_len};
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int n, off_t offset)
{
	struct iovec one = cut(iov, n);

	fail.writes++;
	if (fail.write_err) {
		errno = fail.write_err;
		return -1;
	}
	return fail.short_io ? __real_pwritev64(fd, &one, 1, offset) : __real_pwritev64(fd, iov, n, offset);
}

ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int n, off_t offset)
{
	struct iovec one = cut(iov, n);

	if (fail.read_err) {
		errno = fail.read_err;
		return -1;
	}
	return fail.short_io ? __real_preadv64(fd, &one, 1, offset) : __real_preadv64(fd, iov, n, offset);
}

int __wrap_fdatasync(int fd)
{
	const struct timespec nap = {0, 20000};
	int once = atomic_exchange(&fail.sync_once, 0);

	fail.syncs++;
	/* Time for another to come by, if it may. */
	for (u32 i = 0; once && fail.linger && fail.syncs == 1 && i < 500; i++)
		nanosleep(&nap, NULL);
	errno = once ? once : fail.sync_err;
	return errno ? -1 : __real_fdatasync(fd);
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len)
{
	bool punch = mode & FALLOC_FL_PUNCH_HOLE;

	punch ? fail.punches++ : fail.zeroes++;
	if (punch ? fail.no_punch : fail.no_zero) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return __real_fallocate64(fd, mode, offset, len);
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	return fail.thread_err ? fail.thread_err : __real_pthread_create(t, attr, fn, arg);
}

int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	fail.rings++;
	return fail.ring_err ? -fail.ring_err : __real_io_uring_queue_init(entries, ring, flags);
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
	if (fail.submit_err && !fail.submits_ok)
		return -fail.submit_err;
	if (fail.submits_ok)
		fail.submits_ok--;
	return __real_io_uring_submit(ring);
}

static int fail_reset(void **state)
{
	memset(&fail, 0, sizeof(fail));
	return 0;
}

static u8 byte_at(const char *path, u64 at)
{
	FILE *f = fopen(path, "r");
	int c;

	assert_non_null(f);
	fseek(f, (long)at, SEEK_SET);
	c = getc(f);
	fclose(f);
	return (u8)c;
}

static void assert_all(const u8 *p, u8 byte, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(p[i], byte);
}

/* --- raw ------------------------------------------------------------------------------------------------ */

static const enum block_engine engines[] = {BLOCK_AUTO, BLOCK_THREADS};

static void test_raw(void **state)
{
	static u8 data[65536], got[65536];

	for (size_t e = 0; e < ARRAY_SIZE(engines); e++) {
		struct bed_req r[64];
		struct block_info info;
		struct bed bed;

		bed_make("raw.img", MiB(1), 1);
		assert_int_equal(bed_open(&bed, "raw.img", "raw", engines[e]), 0);
		block_get_info(bed.b, &info);
		assert_int_equal(info.size, MiB(1));
		assert_int_equal(info.block_size, 512);
		assert_string_equal(info.format, "raw");
		if (engines[e] == BLOCK_THREADS)
			assert_string_equal(info.engine, "threads");
		memset(data, 2, sizeof(data));
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, 4096, data, 8192), 0);
		assert_int_equal(bed_do(&bed, BLOCK_READ, 0, got, 65536), 0);
		assert_all(got, 1, 4096);
		assert_all(got + 4096, 2, 8192);
		assert_all(got + 12288, 1, 65536 - 12288);
		/* Many at once, each of its own, in pieces. */
		for (u32 i = 0; i < 64; i++) {
			memset(data + i * 1024, (int)i, 1024);
			bed_fill(&r[i], BLOCK_WRITE, i * 16384, data + i * 1024, 1024, 1 + i % 4);
		}
		bed_go(&bed, r, 64);
		for (u32 i = 0; i < 64; i++) {
			assert_int_equal(r[i].err, 0);
			bed_fill(&r[i], BLOCK_READ, i * 16384, got + i * 1024, 1024, 1 + i % 3);
		}
		bed_go(&bed, r, 64);
		assert_memory_equal(got, data, 65536);
		fail.syncs = 0;
		assert_int_equal(bed_do(&bed, BLOCK_FLUSH, 0, NULL, 0), 0);
		assert_int_equal(fail.syncs, 1);
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, MiB(1) - 512, data, 1024), -EINVAL);
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, 100, data, 512), -EINVAL);
		assert_int_equal(bed_do(&bed, BLOCK_READ, ~511ull, data, 1024), -EINVAL);
		bed_close(&bed);
		assert_int_equal(byte_at("raw.img", 16384 * 63), 63);
	}
}

static void zeroes(bool no_punch, bool no_zero)
{
	struct bed_req r;
	struct stat st;
	struct bed bed;
	u64 before;

	bed_make("z.img", MiB(1), 5);
	fail.no_punch = no_punch;
	fail.no_zero = no_zero;
	fail.punches = fail.zeroes = 0;
	assert_int_equal(bed_open(&bed, "z.img", "raw", BLOCK_AUTO), 0);
	assert_int_equal(stat("z.img", &st), 0);
	before = (u64)st.st_blocks;
	for (u32 i = 0; i < 4; i++) {
		bed_fill(&r, BLOCK_ZEROES, i * 262144 + 512, NULL, 131072, 0);
		r.req.may_unmap = i & 1;
		bed_go(&bed, &r, 1);
		assert_int_equal(r.err, 0);
		assert_int_equal(byte_at("z.img", i * 262144 + 511), 5);
		assert_int_equal(byte_at("z.img", i * 262144 + 512), 0);
		assert_int_equal(byte_at("z.img", i * 262144 + 512 + 131071), 0);
		assert_int_equal(byte_at("z.img", i * 262144 + 512 + 131072), 5);
	}
	assert_int_equal(bed_do(&bed, BLOCK_DISCARD, 0, NULL, MiB(1)), 0);
	assert_int_equal(stat("z.img", &st), 0);
	assert_int_equal(st.st_size, MiB(1));
	if (!no_punch)
		assert_true((u64)st.st_blocks < before);
	bed_close(&bed);
	/* Who cannot is not asked again. */
	if (no_punch)
		assert_int_equal(fail.punches, 1);
	if (no_zero)
		assert_int_equal(fail.zeroes, 1);
}

static void test_zeroes(void **state)
{
	zeroes(false, false);
	zeroes(true, false);
	zeroes(false, true);
	zeroes(true, true);
}

static void test_direct(void **state)
{
	struct block_config cfg = {.path = "d.img", .format = "raw", .direct = true};
	u8 *mem = aligned_alloc(4096, 65536), *got = mem + 32768;
	struct block_info info;
	struct bed bed;

	bed_make("d.img", MiB(1), 3);
	if (bed_open_cfg(&bed, &cfg)) {
		free(mem);
		skip(); /* a file system without O_DIRECT */
	}
	block_get_info(bed.b, &info);
	/* What a write of less would cost a read of. */
	assert_true(info.block_size >= 512 && !(info.block_size & (info.block_size - 1)));
	assert_true(info.physical_size >= info.block_size);
	assert_int_equal(info.physical_size % info.block_size, 0);
	memset(mem, 4, 16384);
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, 8192, mem, 8192), 0);
	/* Memory that does not fit. */
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, 65536, mem + 7, info.block_size), 0);
	assert_int_equal(bed_do(&bed, BLOCK_READ, 8192, got + 1, 8192), 0);
	assert_all(got + 1, 4, 8192);
	assert_int_equal(bed_do(&bed, BLOCK_READ, 65536, got, 8192), 0);
	assert_all(got, 4, info.block_size);
	assert_all(got + info.block_size, 3, 8192 - info.block_size);
	bed_close(&bed);
	free(mem);
}

static void test_odd_size(void **state)
{
	struct block_info info;
	const char *text;
	struct bed bed;
	u8 got[512];

	bed_make("odd.img", 1300, 9);
	capture_begin(STDERR_FILENO);
	assert_int_equal(bed_open(&bed, "odd.img", "raw", BLOCK_AUTO), 0);
	text = capture_end();
	assert_one_line(text,
			"disk odd.img: its size is not a multiple of 512: the last 276 bytes are left out");
	block_get_info(bed.b, &info);
	assert_int_equal(info.size, 1024);
	assert_int_equal(bed_do(&bed, BLOCK_READ, 512, got, 512), 0);
	assert_int_equal(bed_do(&bed, BLOCK_READ, 1024, got, 512), -EINVAL);
	bed_close(&bed);
}

static void test_resize(void **state)
{
	struct block_info info;
	const char *why;
	struct bed bed;

	bed_make("r.img", 4096, 9);
	assert_int_equal(bed_open(&bed, "r.img", "raw", BLOCK_AUTO), 0);
	assert_int_equal(block_resize(bed.b, 2048, &why), -EINVAL);
	assert_string_equal(why, "only grows");
	assert_int_equal(block_resize(bed.b, 8192, &why), 0);
	block_get_info(bed.b, &info);
	assert_int_equal(info.size, 8192);
	/* From outside, either way. */
	assert_int_equal(truncate("r.img", 1024), 0);
	assert_int_equal(block_resize(bed.b, 0, &why), 0);
	block_get_info(bed.b, &info);
	assert_int_equal(info.size, 1024);
	bed_close(&bed);
}

/* --- what format it is ------------------------------------------------------------------------------------
 */

static void test_guard(void **state)
{
	static const u8 magic[1024] = {'Q', 'F', 'I', 0xfb};
	u8 zero[1024] = {0};
	const char *text;
	struct bed bed;

	for (size_t e = 0; e < ARRAY_SIZE(engines); e++) {
		bed_make("g.img", 65536, 0);
		capture_begin(STDERR_FILENO);
		assert_int_equal(bed_open(&bed, "g.img", NULL, engines[e]), 0);
		text = capture_end();
		assert_string_equal(text, "");
		capture_begin(STDERR_FILENO);
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, (void *)(uintptr_t)magic, 1024), -EPERM);
		text = capture_end();
		assert_one_line(text, "disk g.img: the guest may not make it a qcow2 image");
		assert_int_equal(byte_at("g.img", 0), 0);
		zero[0] = 'Q';
		zero[600] = 'X';
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, zero, 1024), 0);
		assert_int_equal(byte_at("g.img", 0), 'Q');
		assert_int_equal(byte_at("g.img", 600), 'X');
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, 512, (void *)(uintptr_t)magic, 512), 0);
		bed_close(&bed);
		/* Somebody said that it is raw: then it is what it likes. */
		assert_int_equal(bed_open(&bed, "g.img", "raw", engines[e]), 0);
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, (void *)(uintptr_t)magic, 1024), 0);
		assert_int_equal(byte_at("g.img", 1), 'F');
		bed_close(&bed);
	}
}

static void test_refused(void **state)
{
	bed_make("some.img", 4096, 0);
	assert_int_equal(mkdir("dir", 0755), 0);
	assert_int_equal(mkfifo("fifo", 0644), 0);
	bed_refused(&(struct block_config){.path = "none.img"}, -ENOENT, "disk none.img: No such file");
	bed_refused(&(struct block_config){.path = "dir"}, -EISDIR, "disk dir: is a directory");
	bed_refused(&(struct block_config){.path = "dir", .ro = true}, -EISDIR, "disk dir: is a directory");
	bed_refused(&(struct block_config){.path = "fifo"}, -EINVAL, "neither a file nor a block device");
	bed_refused(&(struct block_config){.path = "/dev/null"}, -EINVAL,
		    "neither a file nor a block device");
	bed_refused(&(struct block_config){.path = "some.img", .format = "vmdk"}, -EINVAL,
		    "format vmdk: lkvm knows raw and qcow2");
	bed_refused(&(struct block_config){.path = "some.img", .format = "qcow2"}, -EINVAL,
		    "is no qcow2 image");
	fail.thread_err = EAGAIN;
	bed_refused(&(struct block_config){.path = "some.img", .format = "raw"}, -EAGAIN, "its threads");
}

static void test_read_only(void **state)
{
	struct block_config cfg = {.path = "ro.img", .format = "raw", .ro = true};
	u8 buf[512];
	struct bed bed;

	bed_make("ro.img", 4096, 1);
	assert_int_equal(bed_open_cfg(&bed, &cfg), 0);
	assert_int_equal(bed_do(&bed, BLOCK_READ, 0, buf, 512), 0);
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, buf, 512), -EROFS);
	assert_int_equal(bed_do(&bed, BLOCK_ZEROES, 0, NULL, 512), -EROFS);
	assert_int_equal(bed_do(&bed, BLOCK_DISCARD, 0, NULL, 512), -EROFS);
	assert_int_equal(bed_do(&bed, BLOCK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(fail.syncs, 0);
	bed_close(&bed);
}

/* --- what fails -------------------------------------------------------------------------------------------
 */

static void test_engine_falls_back(void **state)
{
	static const int errs[] = {ENOSYS, EPERM, ENOMEM};
	struct block_info info;
	u8 buf[512];
	struct bed bed;

	bed_make("e.img", 4096, 1);
	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		fail.ring_err = errs[i];
		assert_int_equal(bed_open(&bed, "e.img", "raw", BLOCK_AUTO), 0);
		block_get_info(bed.b, &info);
		assert_string_equal(info.engine, "threads");
		assert_int_equal(bed_do(&bed, BLOCK_READ, 0, buf, 512), 0);
		assert_all(buf, 1, 512);
		bed_close(&bed);
	}
}

static void test_errors(void **state)
{
	u8 buf[4096] = {0};
	struct bed bed;

	bed_make("f.img", 65536, 1);
	assert_int_equal(bed_open(&bed, "f.img", "raw", BLOCK_THREADS), 0);
	fail.write_err = ENOSPC;
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, buf, 4096), -ENOSPC);
	fail.write_err = 0;
	fail.read_err = EIO;
	assert_int_equal(bed_do(&bed, BLOCK_READ, 0, buf, 4096), -EIO);
	fail.read_err = 0;
	fail.short_io = true;
	memset(buf, 8, sizeof(buf));
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, 4096, buf, 4096), 0);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(bed_do(&bed, BLOCK_READ, 4096, buf, 4096), 0);
	assert_all(buf, 8, 4096);
	fail.short_io = false;
	/* The file was cut off by somebody: what is missing reads as zeroes. */
	assert_int_equal(truncate("f.img", 6000), 0);
	assert_int_equal(bed_do(&bed, BLOCK_READ, 4096, buf, 4096), 0);
	assert_all(buf, 8, 6000 - 4096);
	assert_all(buf + 6000 - 4096, 0, 8192 - 6000);
	bed_close(&bed);
	/* The ring meets the same end of the file. */
	assert_int_equal(bed_open(&bed, "f.img", "raw", BLOCK_AUTO), 0);
	assert_int_equal(truncate("f.img", 4600), 0);
	memset(buf, 1, sizeof(buf));
	assert_int_equal(bed_do(&bed, BLOCK_READ, 4096, buf, 1024), 0);
	assert_all(buf, 8, 4600 - 4096);
	assert_all(buf + 4600 - 4096, 0, 5120 - 4600);
	bed_close(&bed);
	/* What was written last cannot be synced. */
	assert_int_equal(bed_open(&bed, "f.img", "raw", BLOCK_AUTO), 0);
	fail.sync_err = EIO;
	capture_begin(STDERR_FILENO);
	bed_close(&bed);
	assert_one_line(capture_end(),
			"disk f.img: what was written last did not reach the disk: Input/output");
}

/* The host tells of what it lost once. From then on no flush says that all is well. */
static void test_lost(void **state)
{
	static const int errs[] = {EIO, ENOSPC, EDQUOT};
	struct bed_req r[8];
	u8 buf[4096] = {0};
	struct bed bed;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(errs); i++) {
		int err = errs[i / 2];

		bed_make("lost.img", 65536, 1);
		assert_int_equal(bed_open(&bed, "lost.img", "raw", engines[i % 2]), 0);
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, buf, 4096), 0);
		assert_false(block_lost(bed.b));
		fail.sync_once = err;
		capture_begin(STDERR_FILENO);
		assert_int_equal(bed_do(&bed, BLOCK_FLUSH, 0, NULL, 0), -err);
		assert_true(block_lost(bed.b));
		fail.syncs = 0;
		assert_int_equal(bed_do(&bed, BLOCK_FLUSH, 0, NULL, 0), -EIO);
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, 4096, buf, 4096), 0);
		assert_int_equal(bed_do(&bed, BLOCK_FLUSH, 0, NULL, 0), -EIO);
		assert_int_equal(bed_do(&bed, BLOCK_READ, 4096, buf, 4096), 0);
		bed_close(&bed);
		assert_int_equal(fail.syncs, 0);
		assert_one_line(capture_end(), "disk lost.img: what was written last did not reach the disk");
		/* The next one to open it begins anew. */
		assert_int_equal(bed_open(&bed, "lost.img", "raw", BLOCK_AUTO), 0);
		assert_int_equal(bed_do(&bed, BLOCK_FLUSH, 0, NULL, 0), 0);
		bed_close(&bed);
	}
	/* Beside each other: the error is told to one of them, and may be about any. */
	fail.linger = true;
	for (u32 i = 0; i < 5; i++) {
		assert_int_equal(bed_open(&bed, "lost.img", "raw", BLOCK_AUTO), 0);
		for (u32 k = 0; k < ARRAY_SIZE(r); k++)
			bed_fill(&r[k], BLOCK_FLUSH, 0, NULL, 0, 1);
		fail.syncs = 0;
		fail.sync_once = EIO;
		capture_begin(STDERR_FILENO);
		bed_go(&bed, r, ARRAY_SIZE(r));
		assert_one_line(capture_end(), "disk lost.img: what was written last did not reach the disk");
		for (u32 k = 0; k < ARRAY_SIZE(r); k++)
			assert_int_equal(r[k].err, -EIO);
		bed_close(&bed);
	}
}

/* --- a ring that the kernel will have nothing of ----------------------------------------------------------
 */

static bool has_ring(const struct bed *bed)
{
	struct block_info info;

	block_get_info(bed->b, &info);
	return !strcmp(info.engine, "io_uring");
}

static void test_ring_refused(void **state)
{
	static const int errs[] = {EAGAIN, EBUSY, ENOMEM, EBADR};
	const struct timespec nap = {0, 1000000};
	struct bed_req r[8];
	u8 buf[8 * 512];
	struct bed bed;

	bed_make("u.img", 65536, 6);
	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		assert_int_equal(bed_open(&bed, "u.img", "raw", BLOCK_AUTO), 0);
		if (!has_ring(&bed)) {
			bed_close(&bed);
			skip();
		}
		/* With nothing in flight nobody would come by again: threads have to do it. */
		for (u32 k = 0; k < ARRAY_SIZE(r); k++)
			bed_fill(&r[k], BLOCK_READ, k * 512, buf + k * 512, 512, 1);
		fail.submit_err = errs[i];
		capture_begin(STDERR_FILENO);
		bed_go(&bed, r, ARRAY_SIZE(r));
		assert_one_line(capture_end(), "disk u.img: io_uring: ");
		for (u32 k = 0; k < ARRAY_SIZE(r); k++)
			assert_int_equal(r[k].err, 0);
		assert_all(buf, 6, sizeof(buf));
		assert_false(has_ring(&bed));
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, buf, 512), 0);
		fail.submit_err = 0;
		bed_close(&bed);
	}
	/* With something in flight the rest waits for that, and nothing is said. */
	assert_int_equal(bed_open(&bed, "u.img", "raw", BLOCK_AUTO), 0);
	for (u32 k = 0; k < 2; k++) {
		bed_fill(&r[k], BLOCK_READ, k * 512, buf + k * 512, 512, 1);
		r[k].req.done = bed_done;
	}
	fail.submits_ok = 1;
	fail.submit_err = EBUSY;
	capture_begin(STDERR_FILENO);
	block_submit(bed.q, &r[0].req);
	block_kick(bed.q);
	block_submit(bed.q, &r[1].req);
	block_kick(bed.q);
	assert_true(has_ring(&bed));
	fail.submit_err = 0;
	block_drain(bed.q);
	assert_string_equal(capture_end(), "");
	assert_true(has_ring(&bed));
	assert_int_equal(r[0].calls + r[1].calls, 2);
	assert_int_equal(r[0].err + r[1].err, 0);
	/* Nor when it was not asked for: who polls what was in flight has the rest on its way. */
	memset(r, 0, sizeof(r));
	for (u32 k = 0; k < 2; k++) {
		bed_fill(&r[k], BLOCK_READ, k * 512, buf + k * 512, 512, 1);
		r[k].req.done = bed_done;
	}
	fail.submits_ok = 1;
	fail.submit_err = EBUSY;
	block_submit(bed.q, &r[0].req);
	block_kick(bed.q);
	block_submit(bed.q, &r[1].req);
	block_kick(bed.q);
	fail.submit_err = 0;
	for (u32 tries = 0; r[0].calls + r[1].calls < 2 && tries < 20000; tries++) {
		block_poll(bed.q);
		nanosleep(&nap, NULL);
	}
	assert_int_equal(r[0].calls + r[1].calls, 2);
	bed_close(&bed);
}

#define T(f) cmocka_unit_test_setup(f, fail_reset)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_raw),	  T(test_zeroes),    T(test_direct),
		T(test_odd_size), T(test_resize),    T(test_guard),
		T(test_refused),  T(test_read_only), T(test_engine_falls_back),
		T(test_errors),	  T(test_lost),	     T(test_ring_refused),
	};

	return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}

/* SPDX-License-Identifier: MIT */
/* BIG-ENDIAN */
/* WRAP: pwritev64 fdatasync */
/*
 * qcow2 images on a host that loses what it could not write: each fdatasync in turn fails, once, and all that
 * was written since the one before is gone. And bits of the header that are to be cleared before any write.
 */
#include "block-bed.h"
#include <lkvm/endian.h>
#include <sys/uio.h>

/* --- a host that loses writes --------------------------------------------------------------------------- */

static struct undo {
	int fd;
	off_t offset;
	size_t len;
	u8 *old;
} undo[256];
static struct {
	u32 nr;
	int fail_at; /* the sync that fails, 1 being the next; 0: none */
	bool failed, no_data_yet;
	u32 too_soon; /* writes of data while a header of before was on the disk, or on its way */
} host;

ssize_t __real_pwritev64(int fd, const struct iovec *iov, int n, off_t offset);
int __real_fdatasync(int fd);

static u64 get64(const char *path, u64 offset)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	u8 be[8];

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, be, sizeof(be), (off_t)offset), sizeof(be));
	close(fd);
	return get_be64(be);
}

static void put64(const char *path, u64 offset, u64 v)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	u8 be[8];

	put_be64(be, v);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, be, sizeof(be), (off_t)offset), sizeof(be));
	close(fd);
}

static void forget(void)
{
	while (host.nr)
		free(undo[--host.nr].old);
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int n, off_t offset)
{
	struct undo *u = &undo[host.nr];
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (host.no_data_yet && len == 512)
		host.too_soon += host.nr || get64("i.qcow2", 88);
	assert_true(host.nr < ARRAY_SIZE(undo));
	*u = (struct undo){fd, offset, len, calloc(1, len)};
	assert_true(pread(fd, u->old, len, offset) >= 0);
	host.nr++;
	return __real_pwritev64(fd, iov, n, offset);
}

int __wrap_fdatasync(int fd)
{
	if (!host.fail_at || --host.fail_at) {
		forget();
		return __real_fdatasync(fd);
	}
	while (host.nr) {
		struct undo *u = &undo[--host.nr];

		assert_int_equal(pwrite(u->fd, u->old, u->len, u->offset), u->len);
		free(u->old);
	}
	host.failed = true;
	errno = EIO;
	return -1;
}

static int host_reset(void **state)
{
	forget();
	memset(&host, 0, sizeof(host));
	return 0;
}

/* --- what is lost is not led to ------------------------------------------------------------------------- */

static void assert_sector(struct bed *bed, u64 offset, u8 byte)
{
	u8 got[512], want[512];

	memset(want, byte, sizeof(want));
	assert_int_equal(bed_do(bed, BLOCK_READ, offset, got, sizeof(got)), 0);
	assert_memory_equal(got, want, sizeof(want));
}

/*
 * Two writes, each of a sector of a cluster whose rest comes from the backing file, and a flush behind each.
 * True while there was a sync to fail.
 */
static bool lose(const char *options, int n)
{
	u8 data[512];
	int wrote[2], flushed[2];
	const char *text;
	struct bed bed;

	memset(data, 2, sizeof(data));
	assert_int_equal(run("qemu-img create -f qcow2 -o %s -F raw -b base.img i.qcow2", options), 0);
	assert_int_equal(bed_open(&bed, "i.qcow2", "qcow2", BLOCK_THREADS), 0);
	host.fail_at = n;
	host.failed = false;
	capture_begin(STDERR_FILENO);
	for (u32 i = 0; i < 2; i++) {
		wrote[i] = bed_do(&bed, BLOCK_WRITE, i * KiB(512) + 4096, data, sizeof(data));
		flushed[i] = bed_do(&bed, BLOCK_FLUSH, 0, NULL, 0);
		/* After it has failed once it never succeeds. */
		assert_int_equal(flushed[i] == 0, !host.failed);
		assert_int_equal(block_lost(bed.b), host.failed);
	}
	bed_close(&bed);
	text = capture_end();
	if (host.failed)
		assert_one_line(text, "disk i.qcow2: what was written last did not reach the disk");
	else
		assert_string_equal(text, "");
	host.fail_at = 0;
	assert_int_equal(bed_open(&bed, "i.qcow2", "qcow2", BLOCK_THREADS), 0);
	for (u32 i = 0; i < 2; i++) {
		assert_sector(&bed, i * KiB(512), 1);
		assert_sector(&bed, i * KiB(512) + 4096 + 512, 1);
		if (!wrote[i] && !flushed[i])
			assert_sector(&bed, i * KiB(512) + 4096, 2);
	}
	bed_close(&bed);
	if (strcmp(options, "compat=0.10"))
		check_clean("i.qcow2");
	return host.failed;
}

static void test_lost(void **state)
{
	static const char *const options[] = {"compat=1.1", "compat=0.10", "compat=1.1,cluster_size=8192"};

	need_qemu_img();
	assert_int_equal(run("tr '\\0' '\\1' </dev/zero | head -c 1M >base.img"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		int n = 1;

		while (lose(options[i], n))
			n++;
		/* More than one for each flush. */
		assert_true(n > 4);
	}
}

/* --- bits that no writer leaves behind who does not know them ------------------------------------------- */

static void test_autoclear(void **state)
{
	static const enum block_engine engines[] = {BLOCK_AUTO, BLOCK_THREADS};
	u8 data[512] = {3};
	struct bed bed;

	need_qemu_img();
	for (size_t i = 0; i < 2 * ARRAY_SIZE(engines); i++) {
		host_reset(NULL);
		/* Clusters that are in place, and a dirty bitmap that is right. */
		assert_int_equal(run("qemu-img create -f qcow2 i.qcow2 1M && "
				     "qemu-io -f qcow2 -c 'write 0 1M' i.qcow2 && "
				     "qemu-img bitmap --add i.qcow2 map"),
				 0);
		assert_int_equal(get64("i.qcow2", 88), 1);
		assert_int_equal(bed_open(&bed, "i.qcow2", "qcow2", engines[i / 2]), 0);
		assert_int_equal(bed_do(&bed, BLOCK_READ, 0, data, sizeof(data)), 0);
		/* Who only reads changes nothing. */
		assert_int_equal(get64("i.qcow2", 88), 1);
		if (i & 1) {
			bed_close(&bed);
			assert_int_equal(get64("i.qcow2", 88), 1);
			/* One that was not closed is written to when it is opened. */
			put64("i.qcow2", 72, 1);
			assert_int_equal(bed_open(&bed, "i.qcow2", "qcow2", engines[i / 2]), 0);
			assert_int_equal(get64("i.qcow2", 88), 0);
		}
		host.no_data_yet = true;
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, 4096, data, sizeof(data)), 0);
		assert_int_equal(get64("i.qcow2", 88), 0);
		assert_int_equal(host.too_soon, 0);
		bed_close(&bed);
	}
}

#define T(f) cmocka_unit_test_setup(f, host_reset)
int main(void)
{
	const struct CMUnitTest tests[] = {T(test_lost), T(test_autoclear)};

	return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}

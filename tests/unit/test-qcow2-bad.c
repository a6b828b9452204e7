/* SPDX-License-Identifier: MIT */
/* BIG-ENDIAN */
/* WRAP: pwritev64 fdatasync ftruncate64 fallocate64 */
/*
 * qcow2 images that are damaged, hostile, or beyond us: refused by name or stopped before harm; lkvm killed,
 * and the host's power cut, at any moment; writes that fail.
 */
#include "block-bed.h"
#include <lkvm/endian.h>
#include <signal.h>
#include <sys/uio.h>
#include <time.h>

static u64 seed = 7;

static u32 rnd(u32 n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(seed >> 33) % n;
}

/* --- what reaches the file, and when it is on the disk -------------------------------------------------- */

enum op { OP_WRITE, OP_TRUNCATE, OP_PUNCH, OP_SYNC };
static struct entry {
	enum op op;
	u64 offset, len;
	u8 *data;
} entry[20000];
static struct {
	bool on;
	u32 nr;
	int fail_after; /* writes until one fails; 0: none does */
} record;

ssize_t __real_pwritev64(int fd, const struct iovec *iov, int n, off_t offset);
int __real_fdatasync(int fd);
int __real_ftruncate64(int fd, off_t size);
int __real_fallocate64(int fd, int mode, off_t offset, off_t len);

static void note(enum op op, u64 offset, u64 len, u8 *data)
{
	assert_true(record.nr < ARRAY_SIZE(entry));
	entry[record.nr++] = (struct entry){op, offset, len, data};
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int n, off_t offset)
{
	size_t len = 0;
	u8 *data;

	if (record.fail_after && !--record.fail_after) {
		record.fail_after = 1;
		errno = ENOSPC;
		return -1;
	}
	for (int i = 0; record.on && i < n; i++)
		len += iov[i].iov_len;
	if (record.on) {
		data = malloc(len);
		len = 0;
		for (int i = 0; i < n; i++) {
			memcpy(data + len, iov[i].iov_base, iov[i].iov_len);
			len += iov[i].iov_len;
		}
		note(OP_WRITE, (u64)offset, len, data);
	}
	return __real_pwritev64(fd, iov, n, offset);
}

int __wrap_fdatasync(int fd)
{
	int err = __real_fdatasync(fd);

	if (record.on)
		note(OP_SYNC, 0, 0, NULL);
	return err;
}

int __wrap_ftruncate64(int fd, off_t size)
{
	if (record.on)
		note(OP_TRUNCATE, (u64)size, 0, NULL);
	return __real_ftruncate64(fd, size);
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len)
{
	if (record.on)
		note(OP_PUNCH, (u64)offset, (u64)len, NULL);
	return __real_fallocate64(fd, mode, offset, len);
}

static int record_reset(void **state)
{
	for (u32 i = 0; i < record.nr; i++)
		free(entry[i].data);
	memset(&record, 0, sizeof(record));
	return 0;
}

/* --- refused ----------------------------------------------------------------------------------------------
 */

static void patch(const char *path, u64 offset, const void *data, size_t len)
{
	FILE *f = fopen(path, "r+");

	assert_non_null(f);
	fseek(f, (long)offset, SEEK_SET);
	assert_int_equal(fwrite(data, 1, len, f), len);
	fclose(f);
}

static void patch64(const char *path, u64 offset, u64 v)
{
	u8 be[8];

	put_be64(be, v);
	patch(path, offset, be, sizeof(be));
}

static u64 get64(const char *path, u64 offset)
{
	FILE *f = fopen(path, "r");
	u8 be[8];

	assert_non_null(f);
	fseek(f, (long)offset, SEEK_SET);
	assert_int_equal(fread(be, 1, sizeof(be), f), sizeof(be));
	fclose(f);
	return get_be64(be);
}

/* One line, which names the image. */
static void refused(const char *path, bool ro, const char *says)
{
	struct block_config cfg = {.path = path, .format = "qcow2", .ro = ro};
	struct block *b = NULL;
	const char *text;
	int err;

	capture_begin(STDERR_FILENO);
	err = block_open(&cfg, &b);
	text = capture_end();
	assert_true(err < 0);
	assert_one_line(text, says);
}

static const struct {
	u64 offset;
	u8 bytes[8];
	u32 len;
	const char *says;
} damage[] = {
	{0, {'Q', 'E', 'D', 0}, 4, "is no qcow2 image"},
	{4, {0, 0, 0, 1}, 4, "is qcow2 of version 1"},
	{4, {0, 0, 0, 4}, 4, "is qcow2 of version 4"},
	{20, {0, 0, 0, 8}, 4, "clusters have an impossible size"},
	{20, {0, 0, 0, 22}, 4, "clusters have an impossible size"},
	{24, {0, 0, 0, 0, 0, 0, 0, 0}, 8, "its size is 0, too large"},
	{24, {0xff, 0, 0, 0, 0, 0, 0, 0}, 8, "its size is 0, too large"},
	{24, {0, 0, 0, 0, 0, 1, 0, 1}, 8, "not a multiple of 512"},
	{24, {0, 1, 0, 0, 0, 0, 0, 0}, 8, "its L1 table is too large, or too small for its size"},
	{32, {0, 0, 0, 1}, 4, "is encrypted"},
	{36, {0xff, 0xff, 0xff, 0xff}, 4, "its L1 table is too large"},
	{36, {0, 0, 0, 0}, 4, "its L1 table is too large, or too small"},
	{40, {0, 0, 0, 0, 0, 0, 0, 0}, 8, "a table lies across clusters"},
	{40, {0, 0, 0, 0, 0, 3, 0, 1}, 8, "a table lies across clusters"},
	{40, {0, 0, 0x7f, 0, 0, 0, 0, 0}, 8, "shorter than its metadata says: the L1 table"},
	{40, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0}, 8, "shorter than its metadata says: the L1 table"},
	{48, {0, 0, 0x7f, 0, 0, 0, 0, 0}, 8, "shorter than its metadata says: the refcount table"},
	{48, {0, 0, 0, 0, 0, 3, 0, 0}, 8, "overlaps other metadata"},
	{56, {0, 0, 0, 0}, 4, "its refcount table is empty"},
	{56, {0xff, 0xff, 0xff, 0xff}, 4, "its refcount table is empty or too large"},
	{72, {0, 0, 0, 0, 0, 0, 0, 2}, 8, "is marked as corrupt"},
	{72, {0, 0, 0, 0, 0, 0, 0, 4}, 8, "external data file"},
	{72, {0, 0, 0, 0, 0, 0, 0, 8}, 8, "contradicts itself about the compression"},
	{72, {0, 0, 0, 0, 0, 0, 0, 16}, 8, "extended L2 entries"},
	{72,
	 {0, 0, 0, 0, 0, 0, 0x80, 0},
	 8,
	 "needs features that this lkvm does not know (incompatible bits 0x8000)"},
	{96, {0, 0, 0, 7}, 4, "impossible width"},
	{100, {0, 0, 0, 100}, 4, "impossible length"},
	{100, {0, 0xff, 0xff, 0xf8}, 4, "impossible length"},
	{100, {0, 0, 0, 107}, 4, "impossible length"},
	{104, {7}, 1, "contradicts itself about the compression"},
	{116, {0xff, 0xff, 0xff, 0xff}, 4, "a header extension is longer than the header"},
};

static void test_header(void **state)
{
	struct block_config ro = {.path = "h.qcow2", .format = "qcow2", .ro = true};
	struct block *b = NULL;

	need_qemu_img();
	for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
		new_image("h.qcow2", "compat=1.1", MiB(8));
		patch("h.qcow2", damage[i].offset, damage[i].bytes, damage[i].len);
		refused("h.qcow2", false, damage[i].says);
	}
	/* Who only reads may have a corrupt one. */
	new_image("h.qcow2", "compat=1.1", MiB(8));
	patch64("h.qcow2", 72, 2);
	assert_int_equal(block_open(&ro, &b), 0);
	block_close(b);
	assert_int_equal(truncate("h.qcow2", 60), 0);
	refused("h.qcow2", false, "shorter than its metadata says: the header");
}

static void test_too_short(void **state)
{
	struct bed bed;
	u8 *data = calloc(1, MiB(2));

	need_qemu_img();
	memset(data, 1, MiB(2));
	new_image("t.qcow2", "compat=1.1", MiB(8));
	assert_int_equal(bed_open(&bed, "t.qcow2", "qcow2", BLOCK_AUTO), 0);
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, data, MiB(2)), 0);
	bed_close(&bed);
	assert_int_equal(truncate("t.qcow2", MiB(1)), 0);
	refused("t.qcow2", false, "is shorter than its metadata says: data at");
	refused("t.qcow2", true, "is shorter than its metadata says: data at");
	free(data);
}

/* --- backing files
 * ------------------------------------------------------------------------------------------ */

static void test_backing_refused(void **state)
{
	struct block_config any = {.path = "in/top.qcow2", .format = "qcow2", .backing_anywhere = true};
	struct block *b = NULL;

	need_qemu_img();
	assert_int_equal(mkdir("in", 0755), 0);
	assert_int_equal(run("qemu-img create -f raw out.img 1M; cp out.img in/base.img"), 0);
	assert_int_equal(run("qemu-img create -f qcow2 -F raw -b ../out.img in/top.qcow2"), 0);
	refused("in/top.qcow2", false,
		"its backing file in/../out.img is outside of its directory: give backing=any");
	assert_int_equal(block_open(&any, &b), 0);
	block_close(b);
	/* Neither does a link help. */
	assert_int_equal(
		run("ln -s ../out.img in/link.img; qemu-img rebase -u -F raw -b link.img in/top.qcow2"), 0);
	refused("in/top.qcow2", false, "outside of its directory");
	assert_int_equal(run("qemu-img rebase -u -F raw -b base.img in/top.qcow2"), 0);
	assert_int_equal(block_open(&(struct block_config){.path = "in/top.qcow2"}, &b), 0);
	block_close(b);
	assert_int_equal(run("qemu-img rebase -u -F raw -b nowhere.img in/top.qcow2"), 0);
	refused("in/top.qcow2", false, "in/nowhere.img: No such file");
	assert_int_equal(run("qemu-img rebase -u -F vmdk -b base.img in/top.qcow2"), 0);
	refused("in/top.qcow2", false, "disk in/base.img: format vmdk: lkvm knows raw and qcow2");
}

static void test_backing_loop(void **state)
{
	need_qemu_img();
	assert_int_equal(
		run("qemu-img create -f qcow2 a.qcow2 1M && qemu-img create -f qcow2 -F qcow2 -b a.qcow2 "
		    "b.qcow2 && qemu-img rebase -u -F qcow2 -b b.qcow2 a.qcow2"),
		0);
	refused("a.qcow2", false, "the chain is a loop");
	assert_int_equal(run("qemu-img rebase -u -F qcow2 -b a.qcow2 a.qcow2"), 0);
	refused("a.qcow2", false, "the chain is a loop");
}

/* A backing file without a format is raw, and must not look like anything else. */
static void test_backing_without_format(void **state)
{
	struct block *b = NULL;
	u8 header[4096];
	FILE *f;

	need_qemu_img();
	assert_int_equal(
		run("qemu-img create -f raw base.img 1M && qemu-img create -f qcow2 -o compat=0.10 -F raw "
		    "-b base.img n.qcow2"),
		0);
	/* The extension's type becomes one that nobody knows. */
	f = fopen("n.qcow2", "r");
	assert_int_equal(fread(header, 1, sizeof(header), f), sizeof(header));
	fclose(f);
	for (u32 i = 72; i < 1024; i += 4)
		if (!memcmp(header + i, "\xe2\x79\x2a\xca", 4))
			patch("n.qcow2", i, "nope", 4);
	assert_int_equal(block_open(&(struct block_config){.path = "n.qcow2", .format = "qcow2"}, &b), 0);
	block_close(b);
	patch("base.img", 0, "QFI\xfb", 4);
	refused("n.qcow2", false, "says no format for its backing file");
	/* What it is, is looked at before it is opened for good: a FIFO would wait for somebody to write. */
	assert_int_equal(unlink("base.img"), 0);
	assert_int_equal(mkfifo("base.img", 0644), 0);
	alarm(60);
	refused("n.qcow2", false, "base.img: is neither a file nor a block device");
	alarm(0);
}

/* --- metadata that lies
 * ------------------------------------------------------------------------------------- */

/* An image with data in its first cluster; *l2 is where the entry of that is. */
static void make_victim(const char *path, u64 *l1, u64 *l2)
{
	struct bed bed;
	u8 data[512] = {1};

	new_image(path, "compat=1.1", MiB(8));
	assert_int_equal(bed_open(&bed, path, "qcow2", BLOCK_AUTO), 0);
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, data, 512), 0);
	bed_close(&bed);
	*l1 = get64(path, 40);
	*l2 = get64(path, *l1) & 0x00fffffffffffe00ull;
}

static void test_lies(void **state)
{
	u64 l1, l2, target[5];
	u8 data[512] = {2};
	const char *text;
	struct bed bed;

	need_qemu_img();
	for (u32 i = 0; i < 4; i++) {
		make_victim("v.qcow2", &l1, &l2);
		target[0] = l1;
		target[1] = l2;
		target[2] = get64("v.qcow2", 48);
		target[3] = get64("v.qcow2", target[2]);
		patch64("v.qcow2", l2, target[i] | 1ull << 63);
		for (u32 engine = BLOCK_AUTO; engine <= BLOCK_THREADS; engine += 2) {
			patch64("v.qcow2", 72, 0);
			assert_int_equal(bed_open(&bed, "v.qcow2", "qcow2", engine), 0);
			capture_begin(STDERR_FILENO);
			assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, data, 512), -EIO);
			text = capture_end();
			assert_one_line(text, "corrupt: an L2 entry, for metadata");
			/* Once, and from then on nothing is written. */
			assert_int_equal(bed_do(&bed, BLOCK_WRITE, MiB(1), data, 512), -EIO);
			assert_int_equal(bed_do(&bed, BLOCK_READ, MiB(1), data, 512), 0);
			assert_int_equal(bed_do(&bed, BLOCK_FLUSH, 0, NULL, 0), -EIO);
			bed_close(&bed);
			assert_true(get64("v.qcow2", 72) & 2);
		}
	}
	/* An entry that is no place, or lies outside. */
	for (u32 i = 0; i < 2; i++) {
		make_victim("v.qcow2", &l1, &l2);
		patch64("v.qcow2", l2, (i ? GiB(1) : MiB(1) + 512) | 1ull << 63);
		assert_int_equal(bed_open(&bed, "v.qcow2", "qcow2", BLOCK_AUTO), 0);
		capture_begin(STDERR_FILENO);
		assert_int_equal(bed_do(&bed, BLOCK_READ, 0, data, 512), -EIO);
		text = capture_end();
		assert_one_line(text, "corrupt: an entry of the L2 table");
		bed_close(&bed);
	}
	/* Two L1 entries that share a table; a refcount block that is the L1 table. */
	make_victim("v.qcow2", &l1, &l2);
	assert_int_equal(run("qemu-img resize v.qcow2 2G"), 0);
	l1 = get64("v.qcow2", 40);
	patch64("v.qcow2", l1 + 8, get64("v.qcow2", l1));
	refused("v.qcow2", false, "an L2 table at");
	make_victim("v.qcow2", &l1, &l2);
	patch64("v.qcow2", get64("v.qcow2", 48), l1);
	refused("v.qcow2", false, "overlaps other metadata");
	/* Refcounts that give the L1 table away as free. */
	make_victim("v.qcow2", &l1, &l2);
	patch("v.qcow2", get64("v.qcow2", get64("v.qcow2", 48)) + 2 * (l1 >> 16), "\0\0", 2);
	assert_int_equal(bed_open(&bed, "v.qcow2", "qcow2", BLOCK_AUTO), 0);
	capture_begin(STDERR_FILENO);
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, MiB(1), data, 512), -EIO);
	assert_one_line(capture_end(), "corrupt: the refcount of metadata");
	bed_close(&bed);
}

static void test_bad_deflate(void **state)
{
	u8 data[65536];
	const char *text;
	struct bed bed;
	u64 l2, e;

	need_qemu_img();
	assert_int_equal(
		run("yes lkvm | head -c 1M >c.raw; qemu-img convert -c -f raw -O qcow2 c.raw c.qcow2"), 0);
	l2 = get64("c.qcow2", get64("c.qcow2", 40)) & 0x00fffffffffffe00ull;
	e = get64("c.qcow2", l2) & ((1ull << 54) - 1);
	patch("c.qcow2", e, "\xff\xff\xff\xff\xff\xff", 6);
	assert_int_equal(bed_open(&bed, "c.qcow2", "qcow2", BLOCK_AUTO), 0);
	capture_begin(STDERR_FILENO);
	assert_int_equal(bed_do(&bed, BLOCK_READ, 0, data, 512), -EIO);
	text = capture_end();
	assert_one_line(text, "cannot be decompressed");
	assert_int_equal(bed_do(&bed, BLOCK_READ, 65536, data, 65536), 0);
	/* Overwritten as a whole it is never read. */
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, data, 65536), 0);
	assert_int_equal(bed_do(&bed, BLOCK_READ, 0, data, 512), 0);
	bed_close(&bed);
	check_clean("c.qcow2");
}

/* --- dirty, killed, cut off
 * --------------------------------------------------------------------------------- */

/* A writer that postpones refcounts was killed: none of the last ones is in the file. */
static void test_lazy(void **state)
{
	u8 *data = malloc(MiB(1)), *got = malloc(MiB(1));
	u64 rb;
	struct bed bed;

	need_qemu_img();
	memset(data, 3, MiB(1));
	assert_int_equal(run("qemu-img create -f qcow2 -o lazy_refcounts=on z.qcow2 8M"), 0);
	assert_int_equal(bed_open(&bed, "z.qcow2", "qcow2", BLOCK_AUTO), 0);
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, data, MiB(1)), 0);
	bed_close(&bed);
	rb = get64("z.qcow2", get64("z.qcow2", 48));
	for (u64 c = 4; c < 30; c++)
		patch("z.qcow2", rb + 2 * c, c & 1 ? "\0\0" : "\0\7", 2);
	patch64("z.qcow2", 72, 1);
	assert_int_not_equal(run("qemu-img check z.qcow2"), 0);
	assert_int_equal(bed_open(&bed, "z.qcow2", "qcow2", BLOCK_AUTO), 0);
	assert_int_equal(bed_do(&bed, BLOCK_READ, 0, got, MiB(1)), 0);
	assert_memory_equal(got, data, MiB(1));
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, MiB(2), data, MiB(1)), 0);
	bed_close(&bed);
	check_clean("z.qcow2");
	assert_int_equal(get64("z.qcow2", 72), 0);
	/* The block that counts them is gone altogether. */
	patch64("z.qcow2", get64("z.qcow2", 48), 0);
	patch64("z.qcow2", 72, 1);
	assert_int_equal(bed_open(&bed, "z.qcow2", "qcow2", BLOCK_AUTO), 0);
	assert_int_equal(bed_do(&bed, BLOCK_READ, 0, got, MiB(1)), 0);
	assert_memory_equal(got, data, MiB(1));
	bed_close(&bed);
	check_clean("z.qcow2");
	free(data);
	free(got);
}

/* Random changes, one after another; after a flush, *flushed is the model. touched: sectors changed since. */
#define SIZE MiB(2)
struct guest {
	u8 *model, *flushed, *touched;
};

static void guest_step(struct bed *bed, struct guest *g)
{
	static u8 data[100352];
	u64 len = 512ull * (1 + rnd(sizeof(data) / 512)), offset = 512ull * rnd((u32)((SIZE - len) / 512));
	u32 what = rnd(12);
	struct bed_req r;

	if (what == 11) {
		assert_int_equal(bed_do(bed, BLOCK_FLUSH, 0, NULL, 0), 0);
		memcpy(g->flushed, g->model, SIZE);
		memset(g->touched, 0, SIZE / 512);
		return;
	}
	memset(data, (int)rnd(255) + 1, sizeof(data));
	bed_fill(&r, what < 7 ? BLOCK_WRITE : what < 9 ? BLOCK_ZEROES : BLOCK_DISCARD, offset, data, len, 2);
	r.req.may_unmap = what & 1;
	/* Before: it may be our last act. */
	memset(g->touched + offset / 512, 1, len / 512);
	bed_go(bed, &r, 1);
	assert_int_equal(r.err, 0);
	assert_int_equal(bed_do(bed, BLOCK_READ, offset, g->model + offset, len), 0);
}

static void guest_init(struct guest *g)
{
	g->model = calloc(1, SIZE);
	g->flushed = calloc(1, SIZE);
	g->touched = calloc(1, SIZE / 512);
}

static void guest_free(struct guest *g)
{
	free(g->model);
	free(g->flushed);
	free(g->touched);
}

/* What was flushed is there. */
static void guest_verify(struct bed *bed, const u8 *flushed, const u8 *touched)
{
	u8 *got = malloc(SIZE);

	assert_int_equal(bed_do(bed, BLOCK_READ, 0, got, SIZE), 0);
	for (u64 s = 0; s < SIZE / 512; s++)
		if (!touched[s] && memcmp(got + s * 512, flushed + s * 512, 512))
			fail_msg("sector %llu is not what was flushed", (unsigned long long)s);
	free(got);
}

static const char *const cut_options[] = {"compat=1.1", "compat=1.1,cluster_size=4096,refcount_bits=1",
					  "compat=1.1,cluster_size=512,refcount_bits=64", "compat=0.10"};

/* To an image as it was, what of the record would be on the disk if power went before entry `at`: all that
 * was synced, and any. */
static void rebuild(const char *path, u32 at)
{
	u32 synced = at;
	FILE *f;

	while (synced && entry[synced - 1].op != OP_SYNC)
		synced--;

	f = fopen(path, "r+");
	assert_non_null(f);
	for (u32 i = 0; i < at; i++) {
		const struct entry *e = &entry[i];

		if (e->op == OP_SYNC || (i >= synced && rnd(2)))
			continue;
		if (e->op == OP_TRUNCATE) {
			assert_int_equal(__real_ftruncate64(fileno(f), (off_t)e->offset), 0);
		} else if (e->op == OP_PUNCH) {
			assert_int_equal(__real_fallocate64(fileno(f), 3, (off_t)e->offset, (off_t)e->len),
					 0);
		} else {
			fseek(f, (long)e->offset, SEEK_SET);
			assert_int_equal(fwrite(e->data, 1, e->len, f), e->len);
			fflush(f);
		}
	}
	fclose(f);
}

static void test_power_cut(void **state)
{
	need_qemu_img();
	for (u32 round = 0; round < rounds(60); round++) {
		struct block_config cfg = {.path = "cut.qcow2", .format = "qcow2", .engine = BLOCK_THREADS};
		struct guest g;
		struct bed bed;
		u32 n = 5 + rnd(60), from, at;
		int ret;

		guest_init(&g);
		record_reset(NULL);
		new_image("p.qcow2", cut_options[round % 4], SIZE);
		record.on = true;
		assert_int_equal(bed_open(&bed, "p.qcow2", "qcow2", BLOCK_THREADS), 0);
		while (n--)
			guest_step(&bed, &g);
		/* In the middle of another flush. */
		from = record.nr;
		assert_int_equal(bed_do(&bed, BLOCK_FLUSH, 0, NULL, 0), 0);
		record.on = false;
		at = from + rnd(record.nr - from + 1);
		bed_close(&bed);
		new_image("cut.qcow2", cut_options[round % 4], SIZE);
		rebuild("cut.qcow2", at);
		/* With the dirty bit set anything goes; without it, leaks. Ours to mend at the next start. */
		if (!(get64("cut.qcow2", 72) & 1) && round % 4 == 3)
			assert_true((ret = run("qemu-img check cut.qcow2")) == 0 || ret == 3);
		assert_int_equal(bed_open_cfg(&bed, &cfg), 0);
		guest_verify(&bed, g.flushed, g.touched);
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, g.model, SIZE), 0);
		bed_close(&bed);
		if (round % 4 != 3)
			check_clean("cut.qcow2");
		else
			assert_true((ret = run("qemu-img check cut.qcow2")) == 0 || ret == 3);
		guest_free(&g);
	}
}

/* SIGKILL at any moment; the child says by a pipe what it has flushed. */
static void test_killed(void **state)
{
	struct block_config cfg = {.path = "k.qcow2", .format = "qcow2"};
	struct timespec nap = {0, 0};

	need_qemu_img();
	for (u32 round = 0; round < rounds(20); round++) {
		u8 *mem = mmap(NULL, 4 * SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		struct guest g = {mem, mem + SIZE, mem + 2 * SIZE};
		volatile u32 *steps = (void *)(mem + 3 * SIZE);
		struct bed bed;
		pid_t pid;
		int ret;

		new_image("k.qcow2", cut_options[round % 3], SIZE);
		pid = fork();
		if (!pid) {
			if (bed_open_cfg(&bed, &cfg))
				_exit(1);
			for (seed += round; *steps < 100000; ++*steps)
				guest_step(&bed, &g);
			_exit(0);
		}
		while (*steps < 1 + rnd(60) && kill(pid, 0) == 0)
			nanosleep(&nap, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, &ret, 0);
		assert_true(WIFSIGNALED(ret));
		wait_unlocked("k.qcow2");
		ret = run("qemu-img check k.qcow2");
		assert_true(ret == 0 || ret == 3);
		assert_int_equal(bed_open_cfg(&bed, &cfg), 0);
		guest_verify(&bed, g.flushed, g.touched);
		bed_close(&bed);
		check_clean("k.qcow2");
		munmap(mem, 4 * SIZE);
	}
}

/* A full disk, or a broken one, at the n-th write. */
static void test_writes_fail(void **state)
{
	need_qemu_img();
	for (u32 n = 1; n < 60; n += 60 / rounds(60)) {
		struct bed bed;
		u8 *data = malloc(MiB(1)), *got = malloc(MiB(1));
		int first, second = 0;

		memset(data, (int)n, MiB(1));
		record.fail_after = 0;
		new_image("f.qcow2", cut_options[n % 3], MiB(4));
		assert_int_equal(bed_open(&bed, "f.qcow2", "qcow2", BLOCK_THREADS), 0);
		record.fail_after = (int)n;
		first = bed_do(&bed, BLOCK_WRITE, 512, data, MiB(1));
		if (!first)
			second = bed_do(&bed, BLOCK_FLUSH, 0, NULL, 0);
		assert_true(first == 0 || first == -ENOSPC);
		assert_true(second == 0 || second == -ENOSPC);
		/* There is room again: all goes on. */
		record.fail_after = 0;
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, 512, data, MiB(1)), 0);
		assert_int_equal(bed_do(&bed, BLOCK_FLUSH, 0, NULL, 0), 0);
		assert_int_equal(bed_do(&bed, BLOCK_READ, 512, got, MiB(1)), 0);
		assert_memory_equal(got, data, MiB(1));
		bed_close(&bed);
		first = run("qemu-img check f.qcow2");
		assert_true(first == 0 || first == 3);
		free(data);
		free(got);
	}
}

#define T(f) cmocka_unit_test_setup(f, record_reset)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_header),	      T(test_too_short),   T(test_backing_refused),
		T(test_backing_loop), T(test_lies),	   T(test_backing_without_format),
		T(test_bad_deflate),  T(test_lazy),	   T(test_power_cut),
		T(test_killed),	      T(test_writes_fail),
	};

	return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}

/* SPDX-License-Identifier: MIT */
/* BIG-ENDIAN */
/*
 * qcow2 images that qemu-img made, in every geometry, changed at random by both engines and compared with a
 * model, by us and by qemu-img, which finds neither an error nor a leak afterwards.
 */
#include "block-bed.h"

static u64 seed = 1;

static u32 rnd(u32 n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(seed >> 33) % n;
}

static u8 *pattern(u64 len)
{
	u8 *p = aligned_alloc(4096, align_up(len, 4096));

	assert_non_null(p);
	for (u64 i = 0; i < len; i += 8) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		memcpy(p + i, &seed, 8);
	}
	return p;
}

static void save(const char *path, const void *data, u64 len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	fclose(f);
}

static void compare_all(struct bed *bed, const u8 *model, u64 size)
{
	u8 *got = malloc(size);

	assert_int_equal(bed_do(bed, BLOCK_READ, 0, got, size), 0);
	for (u64 i = 0; i < size; i++)
		if (got[i] != model[i])
			fail_msg("byte %llu is %02x, not %02x", (unsigned long long)i, got[i], model[i]);
	free(got);
}

/* Several requests at once that do not overlap. Discarded bytes read as zeroes here or as they were. */
static void churn(struct bed *bed, u8 *model, u64 size, u32 times, u32 max, bool backing)
{
	for (u32 round = 0; round < times; round++) {
		struct bed_req r[8];
		u8 *data[8] = {0};
		u64 part = size / 8 / 512 * 512;
		u32 n = 1 + rnd(8);

		for (u32 i = 0; i < n; i++) {
			u64 len = 512ull * (1 + rnd((u32)min_u64(max, part) / 512));
			u64 offset = part * i + 512ull * rnd((u32)((part - len) / 512 + 1));
			u32 what = rnd(10);
			enum block_op op = what < 5   ? BLOCK_WRITE
					   : what < 7 ? BLOCK_READ
					   : what < 8 ? BLOCK_ZEROES
					   : what < 9 ? BLOCK_DISCARD
						      : BLOCK_FLUSH;

			data[i] = op == BLOCK_WRITE ? pattern(len) : malloc(len);
			bed_fill(&r[i], op, op == BLOCK_FLUSH ? 0 : offset, data[i],
				 op == BLOCK_FLUSH ? 0 : len, 1 + rnd(8));
			r[i].req.may_unmap = rnd(2);
		}
		bed_go(bed, r, n);
		for (u32 i = 0; i < n; i++) {
			struct block_req *q = &r[i].req;

			assert_int_equal(r[i].err, 0);
			if (q->op == BLOCK_WRITE)
				memcpy(model + q->offset, data[i], q->len);
			else if (q->op == BLOCK_ZEROES)
				memset(model + q->offset, 0, q->len);
			else if (q->op == BLOCK_READ)
				assert_memory_equal(model + q->offset, data[i], q->len);
			else if (q->op == BLOCK_DISCARD)
				/* It may keep any of it. */
				assert_int_equal(
					bed_do(bed, BLOCK_READ, q->offset, model + q->offset, q->len), 0);
			free(data[i]);
		}
	}
}

/*
 * By the engines in turn: each begins with what the other left. qemu-img looks at the end: no error or leak
 * that came before would have gone by then.
 */
static void churn_image(const char *image, u8 *model, u64 size, u32 times, u32 max, u32 again)
{
	struct bed bed;

	for (u32 i = 0; i < again; i++) {
		assert_int_equal(bed_open(&bed, image, "qcow2", i & 1 ? BLOCK_THREADS : BLOCK_AUTO), 0);
		compare_all(&bed, model, size);
		churn(&bed, model, size, rounds(times), max, false);
		compare_all(&bed, model, size);
		bed_close(&bed);
	}
	check_clean(image);
	save("model.raw", model, size);
	assert_int_equal(run("qemu-img compare -f qcow2 -F raw %s model.raw", image), 0);
}

static const struct {
	const char *options;
	u64 size;
	u32 max;
} geometry[] = {
	{"compat=1.1", MiB(8), 300000},
	{"compat=0.10", MiB(8), 300000},
	{"compat=1.1,lazy_refcounts=on", MiB(4), 100000},
	{"compat=1.1,cluster_size=512", MiB(2), 20000},
	{"compat=0.10,cluster_size=512", MiB(2) + 512, 20000},
	{"compat=1.1,cluster_size=4096,refcount_bits=1", MiB(4) + 512, 50000},
	{"compat=1.1,cluster_size=4096,refcount_bits=2", MiB(4), 50000},
	{"compat=1.1,cluster_size=4096,refcount_bits=4", MiB(4), 50000},
	{"compat=1.1,cluster_size=1024,refcount_bits=8", MiB(4), 50000},
	{"compat=1.1,cluster_size=2048,refcount_bits=32", MiB(4), 50000},
	{"compat=1.1,cluster_size=512,refcount_bits=64", MiB(4), 50000},
	{"compat=1.1,cluster_size=2M", MiB(16), 3000000},
	{"compat=1.1,preallocation=metadata", MiB(8), 300000},
	{"compat=1.1,preallocation=falloc,cluster_size=16k", MiB(8), 300000},
};

static void test_geometries(void **state)
{
	need_qemu_img();
	for (size_t i = 0; i < ARRAY_SIZE(geometry); i++) {
		u8 *model = calloc(1, geometry[i].size);

		assert_int_equal(run("qemu-img create -f qcow2 -o %s a.qcow2 %llu", geometry[i].options,
				     (unsigned long long)geometry[i].size),
				 0);
		churn_image("a.qcow2", model, geometry[i].size, 30, geometry[i].max, 6);
		free(model);
	}
}

/* Something compressible, holes in it. */
static u8 *contents(u64 size)
{
	u8 *p = calloc(1, size);

	assert_non_null(p);
	for (u64 at = 0; at + 70000 < size; at += 90000)
		for (u64 i = 0; i < 60000; i++)
			p[at + i] = (u8)("lkvm block test "[i % 16] + (at / 90000) + rnd(2));
	return p;
}

static void test_compressed(void **state)
{
	static const char *const options[] = {"compat=1.1", "compat=0.10", "cluster_size=4096",
					      "cluster_size=2M", "compression_type=zstd"};
	u64 size = MiB(4);

	need_qemu_img();
	for (size_t i = 0; i < ARRAY_SIZE(options) - !block_reads_zstd(); i++) {
		u8 *model = contents(size);

		save("c.raw", model, size);
		assert_int_equal(run("qemu-img convert -c -f raw -O qcow2 -o %s c.raw c.qcow2", options[i]),
				 0);
		churn_image("c.qcow2", model, size, 20, 100000, 3);
		free(model);
	}
}

static void test_backing(void **state)
{
	static const char *const formats[] = {"raw", "qcow2"};
	u64 base = MiB(3) + 512, size = MiB(4);

	need_qemu_img();
	for (size_t i = 0; i < 4; i++) {
		const char *format = formats[i & 1], *compat = i & 2 ? "0.10" : "1.1";
		u8 *model = contents(size), *before = malloc(base);

		memset(model + base, 0, size - base);
		memcpy(before, model, base);
		save("base.raw", model, base);
		assert_int_equal(run("qemu-img convert -f raw -O %s base.raw base.img", format), 0);
		assert_int_equal(run("qemu-img create -f qcow2 -o compat=%s -F %s -b base.img mid.qcow2",
				     compat, format),
				 0);
		assert_int_equal(
			run("qemu-img create -f qcow2 -o compat=%s -F qcow2 -b mid.qcow2 top.qcow2 %llu",
			    compat, (unsigned long long)size),
			0);
		churn_image("top.qcow2", model, size, 20, 100000, 3);
		/* The backing files are as they were. */
		save("base.raw", before, base);
		assert_int_equal(run("qemu-img compare -f %s -F raw base.img base.raw", format), 0);
		free(model);
		free(before);
	}
}

/* The last block of a raw backing file may be there in part. */
static void test_backing_tail(void **state)
{
	u64 base = MiB(3) + 100, size = MiB(4);
	u8 *model = contents(size);
	struct block_config cfg = {.path = "tail.qcow2", .format = "qcow2"};
	const char *why;
	struct bed bed;

	need_qemu_img();
	memset(model + MiB(3) - 4096, 7, 4096 + 100);
	memset(model + base, 0, size - base);
	save("tail.raw", model, base);
	assert_int_equal(
		run("qemu-img create -f qcow2 -F raw -b tail.raw tail.qcow2 %llu", (unsigned long long)size),
		0);
	for (u32 i = 0; i < 2; i++) {
		cfg.direct = i;
		capture_begin(STDERR_FILENO);
		if (bed_open_cfg(&bed, &cfg)) {
			capture_end();
			assert_true(i); /* a file system without O_DIRECT */
			break;
		}
		assert_string_equal(capture_end(), "");
		compare_all(&bed, model, size);
		/* And it is taken along when the rest of its cluster is written. */
		memset(model + MiB(3) + 8192, (int)i + 1, 4096);
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, MiB(3) + 8192, model + MiB(3) + 8192, 4096), 0);
		compare_all(&bed, model, size);
		bed_close(&bed);
	}
	check_clean("tail.qcow2");
	save("model.raw", model, size);
	assert_int_equal(run("qemu-img compare -f qcow2 -F raw tail.qcow2 model.raw"), 0);
	/* A disk that is as long as its backing file was, in blocks, has none of it where it grows. */
	assert_int_equal(run("qemu-img create -f qcow2 -F raw -b tail.raw tail.qcow2 %llu",
			     (unsigned long long)(MiB(3) - 4096)),
			 0);
	cfg.direct = false;
	assert_int_equal(bed_open_cfg(&bed, &cfg), 0);
	assert_int_equal(block_resize(bed.b, size, &why), 0);
	memset(model + MiB(3) - 4096, 0, size - MiB(3) + 4096);
	compare_all(&bed, model, size);
	bed_close(&bed);
	check_clean("tail.qcow2");
	free(model);
}

/* Each snapshot still has what the disk had when it was taken. */
static void test_snapshots(void **state)
{
	static const char *const options[] = {"compat=1.1", "compat=0.10", "cluster_size=512",
					      "cluster_size=4096,refcount_bits=4"};
	u64 size = MiB(2);

	need_qemu_img();
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		u8 *model = contents(size), *first = malloc(size);

		save("s.raw", model, size);
		assert_int_equal(run("qemu-img convert -f raw -O qcow2 -o %s s.raw s.qcow2", options[i]), 0);
		memcpy(first, model, size);
		assert_int_equal(run("qemu-img snapshot -c one s.qcow2"), 0);
		churn_image("s.qcow2", model, size, 20, 100000, 3);
		assert_int_equal(run("qemu-img snapshot -c two s.qcow2"), 0);
		save("two.raw", model, size);
		churn_image("s.qcow2", model, size, 20, 100000, 3);
		save("one.raw", first, size);
		assert_int_equal(
			run("qemu-img convert -l one -f qcow2 -O raw s.qcow2 got.raw && cmp got.raw one.raw"),
			0);
		assert_int_equal(
			run("qemu-img convert -l two -f qcow2 -O raw s.qcow2 got.raw && cmp got.raw two.raw"),
			0);
		assert_int_equal(run("qemu-img snapshot -a one s.qcow2"), 0);
		check_clean("s.qcow2");
		free(model);
		free(first);
	}
}

/* The refcount table grows, more than once, with small clusters. */
static void test_table_growth(void **state)
{
	u64 size = MiB(24);
	u8 *model = calloc(1, size), *data = pattern(MiB(1));
	struct bed bed;

	need_qemu_img();
	assert_int_equal(run("qemu-img create -f qcow2 -o cluster_size=512,refcount_bits=64 g.qcow2 %llu",
			     (unsigned long long)size),
			 0);
	assert_int_equal(bed_open(&bed, "g.qcow2", NULL, BLOCK_AUTO), 0);
	for (u64 at = 0; at < size; at += MiB(1)) {
		assert_int_equal(bed_do(&bed, BLOCK_WRITE, at, data, MiB(1)), 0);
		memcpy(model + at, data, MiB(1));
	}
	bed_close(&bed);
	check_clean("g.qcow2");
	save("model.raw", model, size);
	assert_int_equal(run("qemu-img compare -f qcow2 -F raw g.qcow2 model.raw"), 0);
	free(data);
	free(model);
}

static u64 blocks_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (u64)st.st_blocks * 512;
}

static void test_discard_shrinks(void **state)
{
	u8 *data = pattern(MiB(8));
	struct bed bed;
	u64 full;

	need_qemu_img();
	assert_int_equal(run("qemu-img create -f qcow2 d.qcow2 8M"), 0);
	assert_int_equal(bed_open(&bed, "d.qcow2", "qcow2", BLOCK_AUTO), 0);
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, 0, data, MiB(8)), 0);
	assert_int_equal(bed_do(&bed, BLOCK_FLUSH, 0, NULL, 0), 0);
	full = blocks_of("d.qcow2");
	assert_true(full >= MiB(8));
	assert_int_equal(bed_do(&bed, BLOCK_DISCARD, 0, NULL, MiB(7)), 0);
	assert_int_equal(bed_do(&bed, BLOCK_FLUSH, 0, NULL, 0), 0);
	assert_true(blocks_of("d.qcow2") < full - MiB(6));
	/* And what was freed is used again. */
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, MiB(1), data, MiB(6)), 0);
	bed_close(&bed);
	assert_true(blocks_of("d.qcow2") <= full);
	check_clean("d.qcow2");
	free(data);
}

static void test_resize(void **state)
{
	u64 size = MiB(1), big = MiB(70);
	u8 *model = calloc(1, big), *data = pattern(MiB(1));
	const char *why;
	struct bed bed;

	need_qemu_img();
	memset(model, 7, MiB(2));
	save("base.raw", model, MiB(2));
	memset(model + MiB(1), 0, MiB(1));
	/* With clusters of 512 bytes an L2 table has 32 KiB: the L1 table moves. */
	assert_int_equal(run("qemu-img create -f qcow2 -o cluster_size=512 -F raw -b base.raw r.qcow2 %llu",
			     (unsigned long long)size),
			 0);
	assert_int_equal(bed_open(&bed, "r.qcow2", "qcow2", BLOCK_AUTO), 0);
	assert_int_equal(block_resize(bed.b, MiB(1) - 512, &why), -EINVAL);
	assert_string_equal(why, "only grows");
	assert_int_equal(block_resize(bed.b, MiB(1) + 100, &why), -EINVAL);
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, MiB(1), data, 512), -EINVAL);
	assert_int_equal(block_resize(bed.b, big, &why), 0);
	assert_int_equal(bed_do(&bed, BLOCK_WRITE, big - MiB(1), data, MiB(1)), 0);
	memcpy(model + big - MiB(1), data, MiB(1));
	compare_all(&bed, model, big);
	bed_close(&bed);
	check_clean("r.qcow2");
	assert_int_equal(bed_open(&bed, "r.qcow2", "qcow2", BLOCK_AUTO), 0);
	compare_all(&bed, model, big);
	bed_close(&bed);
	save("model.raw", model, big);
	assert_int_equal(run("qemu-img compare -f qcow2 -F raw r.qcow2 model.raw"), 0);
	free(data);
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_geometries),   cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_backing),	     cmocka_unit_test(test_snapshots),
		cmocka_unit_test(test_table_growth), cmocka_unit_test(test_discard_shrinks),
		cmocka_unit_test(test_resize),	     cmocka_unit_test(test_backing_tail),
	};

	return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}

/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* TSAN */
/*
 * The buses: claims and who refuses them, look-ups and accesses at every edge of a region and of the address
 * space, and many threads that search at once.
 */
#include "capture.h"

#include <errno.h>
#include <lkvm/config.h>
#include <lkvm/device.h>
#include <lkvm/kvm.h>
#include <pthread.h>
#include <stdio.h>

static struct {
	struct kvm kvm;
	struct vm_config cfg;
	struct device dev[2];
	/* The accesses that came out. */
	struct {
		u64 offset, value;
		u32 len;
		bool write;
		void *arg;
		struct vcpu *vcpu;
	} seen[16];
	u32 nr_seen;
} bed;

static int setup(void **state)
{
	memset(&bed, 0, sizeof(bed));
	bed.cfg.log.level = LOG_WARN;
	bed.kvm.cfg = &bed.cfg;
	bed.kvm.log = &bed.cfg.log;
	for (u32 i = 0; i < 2; i++) {
		bed.dev[i].kvm = &bed.kvm;
		snprintf(bed.dev[i].name, sizeof(bed.dev[i].name), "dev%u", i);
		pthread_mutex_init(&bed.dev[i].lock, NULL);
	}
	return 0;
}

static int teardown(void **state)
{
	bus_destroy(&bed.kvm);
	for (u32 i = 0; i < 2; i++)
		pthread_mutex_destroy(&bed.dev[i].lock);
	return bed.kvm.bus[BUS_MMIO].count;
}

/* Reads give 0x10 + offset in each byte. */
static void record(struct device *dev, struct io *io, void *arg)
{
	u32 i = bed.nr_seen++;

	assert_int_equal(pthread_mutex_trylock(&dev->lock), EBUSY); /* "with dev->lock held" */
	assert_true(i < ARRAY_SIZE(bed.seen));
	bed.seen[i].offset = io->offset;
	bed.seen[i].value = io->write ? io_value(io) : 0;
	bed.seen[i].len = io->len;
	bed.seen[i].write = io->write;
	bed.seen[i].arg = arg;
	bed.seen[i].vcpu = io->vcpu;
	for (u32 b = 0; !io->write && b < io->len; b++) {
		assert_int_equal(io->data[b], 0xff);
		io->data[b] = (u8)(0x10 + io->offset + b);
	}
}

static int map(u32 dev, enum bus_id bus, u64 base, u64 len, u32 flags)
{
	return bus_map(&bed.dev[dev], bus, base, len, record, &bed.dev[dev], flags);
}

static void assert_seen(u32 i, u32 dev, u64 offset, u32 len)
{
	assert_true(i < bed.nr_seen);
	assert_ptr_equal(bed.seen[i].arg, &bed.dev[dev]);
	assert_int_equal(bed.seen[i].offset, offset);
	assert_int_equal(bed.seen[i].len, len);
}

static bool rd(enum bus_id bus, u64 addr, u32 len, u64 *value)
{
	u8 data[8] = {0};
	bool claimed;

	bed.nr_seen = 0;
	claimed = bus_access(&bed.kvm, NULL, bus, addr, data, len, false);
	*value = 0;
	for (u32 i = len; i-- > 0;)
		*value = *value << 8 | data[i];
	return claimed;
}

static bool wr(enum bus_id bus, u64 addr, u32 len, u64 value)
{
	u8 data[8];

	for (u32 i = 0; i < 8; i++)
		data[i] = (u8)(value >> 8 * i);
	bed.nr_seen = 0;
	return bus_access(&bed.kvm, NULL, bus, addr, data, len, true);
}

/* ---- claims ---------------------------------------------------------------------------------------- */

static void test_overlap(void **state)
{
	static const struct {
		u64 base, len;
	} bad[] = {{0x1000, 0x10}, {0x100f, 1}, {0x0fff, 2}, {0x1001, 2}, {0, UINT64_MAX}, {0x0ff0, 0x100}};

	assert_int_equal(map(0, BUS_MMIO, 0x1000, 0x10, 0), 0);
	assert_int_equal(map(0, BUS_MMIO, 0x3000, 0x10, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		capture_begin(STDERR_FILENO);
		assert_int_equal(map(1, BUS_MMIO, bad[i].base, bad[i].len, 0), -EBUSY);
		assert_one_line(capture_end(), "dev1: its mmio range at 0x");
		assert_non_null(strstr(capture.text, "overlaps that of dev0 at 0x1000"));
	}
	/* Side by side is no overlap, and the other bus is another. */
	assert_int_equal(map(1, BUS_MMIO, 0x1010, 0x10, 0), 0);
	assert_int_equal(map(1, BUS_MMIO, 0x0ff0, 0x10, 0), 0);
	assert_int_equal(map(1, BUS_PIO, 0x1000, 0x10, 0), 0);
	assert_int_equal(bed.kvm.bus[BUS_MMIO].count, 4);
	for (u32 i = 1; i < 4; i++)
		assert_true(bed.kvm.bus[BUS_MMIO].region[i - 1].base < bed.kvm.bus[BUS_MMIO].region[i].base);
}

static void test_no_range(void **state)
{
	capture_begin(STDERR_FILENO);
	assert_int_equal(map(0, BUS_MMIO, 0x1000, 0, 0), -EINVAL);
	assert_one_line(capture_end(), "dev0");
	capture_begin(STDERR_FILENO);
	assert_int_equal(map(0, BUS_MMIO, UINT64_MAX, 2, 0), -EINVAL);
	assert_one_line(capture_end(), "dev0");
	assert_int_equal(map(0, BUS_MMIO, UINT64_MAX, 1, 0), 0);
}

static void test_over_ram(void **state)
{
	bed.kvm.mem.nr_banks = 1;
	bed.kvm.mem.bank[0] = (struct mem_bank){.gpa = 0x10000, .size = 0x10000};
	capture_begin(STDERR_FILENO);
	assert_int_equal(map(0, BUS_MMIO, 0xffff, 2, 0), -EBUSY);
	assert_one_line(capture_end(), "overlaps guest memory");
	assert_int_equal(map(0, BUS_MMIO, 0xfffe, 2, 0), 0);
	assert_int_equal(map(0, BUS_MMIO, 0x20000, 2, 0), 0);
	assert_int_equal(map(0, BUS_PIO, 0x10000, 2, 0), 0);
}

/* Writes to a ROM come out as MMIO, for whoever claims its range; that is one device at the most. */
static void test_over_rom(void **state)
{
	bed.kvm.mem.nr_banks = 1;
	bed.kvm.mem.bank[0] = (struct mem_bank){.gpa = 0x10000, .size = 0x10000, .readonly = true};
	assert_int_equal(map(0, BUS_MMIO, 0x10000, 0x10000, 0), 0);
	assert_true(wr(BUS_MMIO, 0x1fffc, 4, 0x12345678));
	assert_seen(0, 0, 0xfffc, 4);
	capture_begin(STDERR_FILENO);
	assert_int_equal(map(1, BUS_MMIO, 0x18000, 4, 0), -EBUSY);
	assert_one_line(capture_end(), "overlaps that of dev0");
}

/* ---- accesses ---------------------------------------------------------------------------------------- */

static void test_widths(void **state)
{
	u64 v;

	assert_int_equal(map(0, BUS_PIO, 0x100, 8, 0), 0);
	for (u32 len = 1; len <= 8; len++) {
		assert_true(rd(BUS_PIO, 0x108 - len, len, &v));
		assert_int_equal(bed.nr_seen, 1);
		assert_seen(0, 0, 8 - len, len);
		assert_int_equal(v & 0xff, 0x18 - len);
		assert_int_equal(v >> 8 * (len - 1), 0x17);
	}
	assert_true(wr(BUS_PIO, 0x100, 4, 0x11223344));
	assert_int_equal(bed.seen[0].value, 0x11223344);
}

static void test_bytes(void **state)
{
	u64 v;

	assert_int_equal(map(0, BUS_PIO, 0x100, 8, BUS_BYTES), 0);
	assert_true(wr(BUS_PIO, 0x102, 4, 0x11223344));
	assert_int_equal(bed.nr_seen, 4);
	for (u32 i = 0; i < 4; i++)
		assert_seen(i, 0, 2 + i, 1);
	assert_int_equal(bed.seen[0].value, 0x44);
	assert_int_equal(bed.seen[3].value, 0x11);
	assert_true(rd(BUS_PIO, 0x100, 8, &v));
	assert_int_equal(v, 0x1716151413121110);
}

/* What leaves its region, or comes into one, goes byte by byte; what nobody claims reads as ones. */
static void test_edges(void **state)
{
	u64 v;

	assert_int_equal(map(0, BUS_MMIO, 0x1000, 4, 0), 0);
	assert_int_equal(map(1, BUS_MMIO, 0x1006, 2, 0), 0);
	assert_true(rd(BUS_MMIO, 0x1002, 8, &v));
	assert_int_equal(bed.nr_seen, 4);
	assert_seen(0, 0, 2, 1);
	assert_seen(1, 0, 3, 1);
	assert_seen(2, 1, 0, 1);
	assert_seen(3, 1, 1, 1);
	assert_int_equal(v, 0xffff1110ffff1312);
	assert_true(wr(BUS_MMIO, 0x0fff, 2, 0xaabb));
	assert_int_equal(bed.nr_seen, 1);
	assert_seen(0, 0, 0, 1);
	assert_int_equal(bed.seen[0].value, 0xaa);
	assert_false(rd(BUS_MMIO, 0x1004, 2, &v));
	assert_int_equal(v, 0xffff);
	assert_false(rd(BUS_MMIO, 0x1008, 1, &v));
	assert_int_equal(v, 0xff);
	assert_false(wr(BUS_MMIO, 0x0ffe, 2, 0));
	assert_int_equal(bed.nr_seen, 0);
	assert_false(rd(BUS_PIO, 0x1000, 4, &v));
	assert_int_equal(v, 0xffffffff);
}

/* The last address has no next one: nothing comes out at 0. */
static void test_end_of_space(void **state)
{
	u64 v;

	assert_int_equal(map(0, BUS_MMIO, UINT64_MAX - 1, 2, 0), 0);
	assert_int_equal(map(1, BUS_MMIO, 0, 4, 0), 0);
	assert_true(rd(BUS_MMIO, UINT64_MAX, 4, &v));
	assert_int_equal(bed.nr_seen, 1);
	assert_seen(0, 0, 1, 1);
	assert_int_equal(v, 0xffffff11);
	assert_true(rd(BUS_MMIO, UINT64_MAX - 1, 2, &v));
	assert_seen(0, 0, 0, 2);
}

static void test_find(void **state)
{
	for (u64 i = 0; i < 100; i++) /* in no order, and more than the first room */
		assert_int_equal(map(i & 1, BUS_MMIO, i * 37 % 100 * 0x10, 8, 0), 0);
	assert_int_equal(bed.kvm.bus[BUS_MMIO].count, 100);
	for (u64 addr = 0; addr < 101 * 0x10; addr++) {
		const struct bus_region *r = bus_find(&bed.kvm.bus[BUS_MMIO], addr);

		if (addr % 0x10 < 8 && addr < 100 * 0x10)
			assert_int_equal(r->base, addr & ~0xfull);
		else
			assert_null(r);
	}
}

static void test_hint(void **state)
{
	struct vcpu vcpu = {.kvm = &bed.kvm};
	u8 data = 0;

	for (u64 i = 0; i < 8; i++)
		assert_int_equal(map(0, BUS_MMIO, i * 0x10, 8, 0), 0);
	for (u32 round = 0; round < 64; round++) {
		u64 addr = round * 5 % 8 * 0x10 + round % 8;

		bed.nr_seen = 0;
		assert_true(bus_access(&bed.kvm, &vcpu, BUS_MMIO, addr, &data, 1, true));
		assert_seen(0, 0, addr % 0x10, 1);
		assert_ptr_equal(bed.seen[0].vcpu, &vcpu);
		assert_int_equal(vcpu.hint[BUS_MMIO], addr / 0x10);
	}
	/* A hint of before, on a bus that has become another one. */
	vcpu.hint[BUS_PIO] = 1000;
	assert_false(bus_access(&bed.kvm, &vcpu, BUS_PIO, 0, &data, 1, true));
}

static void test_report(void **state)
{
	u64 v;

	capture_begin(STDERR_FILENO);
	rd(BUS_PIO, 0x123, 2, &v);
	assert_string_equal(capture_end(), "");
	bed.cfg.debug_ioport = bed.cfg.debug_mmio = true;
	capture_begin(STDERR_FILENO);
	wr(BUS_PIO, 0x123, 2, 0xabcd);
	assert_one_line(capture_end(), "unclaimed port write: 0x123, 2 bytes: 0xabcd");
	capture_begin(STDERR_FILENO);
	rd(BUS_MMIO, 0xfee1dead, 8, &v);
	assert_one_line(capture_end(), "unclaimed mmio read: 0xfee1dead, 8 bytes");
}

/* ---- threads ------------------------------------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS	2000

static u32 counter[2]; /* each under its device's lock */

static void count(struct device *dev, struct io *io, void *arg)
{
	++*(u32 *)arg;
}

static void *search(void *arg)
{
	struct vcpu *vcpu = arg;
	u8 data[4] = {0};

	for (u32 i = 0; i < ROUNDS; i++)
		bus_access(&bed.kvm, vcpu, BUS_MMIO, (u64)((i + vcpu->index) & 1) * 0x1000, data, 4, i & 2);
	return NULL;
}

static void test_threads(void **state)
{
	struct vcpu vcpu[THREADS];
	pthread_t thread[THREADS];

	for (u32 i = 0; i < 2; i++)
		assert_int_equal(bus_map(&bed.dev[i], BUS_MMIO, i * 0x1000, 4, count, &counter[i], 0), 0);
	bus_freeze(&bed.kvm);
	for (u32 i = 0; i < THREADS; i++) {
		vcpu[i] = (struct vcpu){.kvm = &bed.kvm, .index = i};
		assert_int_equal(pthread_create(&thread[i], NULL, search, &vcpu[i]), 0);
	}
	for (u32 i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(counter[0], THREADS * ROUNDS / 2);
	assert_int_equal(counter[1], THREADS * ROUNDS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_overlap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_range, setup, teardown),
		cmocka_unit_test_setup_teardown(test_over_ram, setup, teardown),
		cmocka_unit_test_setup_teardown(test_over_rom, setup, teardown),
		cmocka_unit_test_setup_teardown(test_widths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_edges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_of_space, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_report, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

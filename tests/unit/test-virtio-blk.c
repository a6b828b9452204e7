/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* TSAN */
/* WRAP: machines pwritev64 fdatasync statx io_uring_queue_init */
/*
 * The virtio disk, by the registers and rings that a driver uses: configuration, requests of every type and
 * framing, malformed ones, the write cache, errors reported or waited for, resizing, state.
 */
#include "virtio-bed.h"
#include <linux/virtio_blk.h>
#include <lkvm/block.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/uio.h>

extern const struct device_ops virtio_blk_ops;

#define ALL                                                                                                  \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) |                                   \
	 VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES) |                          \
	 VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE) | VIRTIO_BIT(VIRTIO_BLK_F_MQ))
#define SIZE MiB(1)

/* --- the disk's file, and what fails ---------------------------------------------------------------------
 */

static struct {
	_Atomic int write_err;
	_Atomic int sync_once; /* the next one fails, and no other: as Linux tells of what it lost */
	_Atomic u32 syncs;
} host;
static char image[64];

ssize_t __real_pwritev64(int fd, const struct iovec *iov, int n, off_t offset);
int __real_fdatasync(int fd);

ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int n, off_t offset)
{
	if (host.write_err) {
		errno = host.write_err;
		return -1;
	}
	return __real_pwritev64(fd, iov, n, offset);
}

int __wrap_fdatasync(int fd)
{
	int err = atomic_exchange(&host.sync_once, 0);

	host.syncs++;
	errno = err;
	return err ? -1 : __real_fdatasync(fd);
}

/* A kernel that does not say what O_DIRECT asks for: then blocks of 4 KiB fit all. */
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *x)
{
	errno = ENOSYS;
	return -1;
}

/* All by threads, whose calls are those above. */
struct io_uring;
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	return -ENOSYS;
}

static int setup(void **state)
{
	int fd;

	snprintf(image, sizeof(image), "%s/lkvm-disk-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	fd = mkstemp(image);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	close(fd);
	host.write_err = 0;
	host.sync_once = 0;
	host.syncs = 0;
	return vm_setup(state);
}

static int teardown(void **state)
{
	int ret = vm_teardown(state);

	unlink(image);
	return ret;
}

static void up_format(const char *format, const char *words)
{
	static char arg[160];
	const char *argv[] = {"--disk", arg, NULL};

	snprintf(arg, sizeof(arg), "%s,format=%s%s%s", image, format, *words ? "," : "", words);
	bed_up(&virtio_blk_ops, "irqchip-finalize", argv);
}

/* The disk with these words behind its name. */
static void up(const char *words)
{
	up_format("raw", words);
}

/* --- the driver --------------------------------------------------------------------------------------------
 */

#define BUF (bed.ram + MiB(8))
static u16 avail_idx, next_desc;

static void *guest(gpa_t at, size_t len)
{
	void *p = guest_ptr(&vm.kvm.mem, at, len);

	assert_non_null(p);
	return p;
}

static void begin(u64 features)
{
	assert_true(bed_negotiate(features));
	memset(guest(bed_ring(0), 0x10000), 0, 0x10000);
	bed_queue(0, 64);
	bed_driver_ok();
	avail_idx = next_desc = 0;
}

struct piece {
	gpa_t at;
	u32 len;
	bool in;
};

static void offer(const struct piece *p, u32 n)
{
	u16 head = htole16(next_desc), ring[2];

	for (u32 i = 0; i < n; i++) {
		u16 flags = (u16)((p[i].in ? VRING_DESC_F_WRITE : 0) | (i + 1 < n ? VRING_DESC_F_NEXT : 0));
		struct vring_desc d = {.addr = htole64(p[i].at),
				       .len = htole32(p[i].len),
				       .flags = htole16(flags),
				       .next = htole16((u16)(next_desc + 1))};

		assert_int_equal(guest_write(&vm.kvm.mem, bed_ring(0) + next_desc * 16u, &d, 16), 0);
		next_desc++;
	}
	assert_int_equal(guest_write(&vm.kvm.mem, bed_ring(0) + 0x8000 + 4 + avail_idx % 64 * 2, &head, 2),
			 0);
	ring[0] = 0;
	ring[1] = htole16(++avail_idx);
	assert_int_equal(guest_write(&vm.kvm.mem, bed_ring(0) + 0x8000, ring, 4), 0);
}

static u16 used(void)
{
	u16 index;

	assert_int_equal(guest_read(&vm.kvm.mem, bed_ring(0) + 0xc002, &index, 2), 0);
	return le16toh(index);
}

static u32 used_len(u16 index)
{
	u32 e[2];

	assert_int_equal(guest_read(&vm.kvm.mem, bed_ring(0) + 0xc004 + index % 64 * 8u, e, 8), 0);
	return le32toh(e[1]);
}

/* Notified, and all done that was begun. */
static void serve(void)
{
	bed_serve(0);
	bed.vdev->ops->drain(bed.vdev, &bed.vdev->queue[0]);
	if (next_desc > 40)
		next_desc = 0;
}

/* A request with its header at BUF, its data at BUF + 4096 and its status at BUF + 64; the usual framing. */
#define DATA   (BUF + 4096)
#define STATUS (BUF + 64)
static u8 request_len(u32 type, u64 sector, u32 len, bool in)
{
	struct virtio_blk_outhdr hdr = {.type = htole32(type), .sector = htole64(sector)};
	const struct piece p[] = {{BUF, sizeof(hdr), false}, {DATA, len, in}, {STATUS, 1, true}};
	const struct piece none[] = {p[0], p[2]};
	u16 before = used();

	memcpy(guest(BUF, sizeof(hdr)), &hdr, sizeof(hdr));
	*(u8 *)guest(STATUS, 1) = 0xaa;
	offer(len ? p : none, len ? 3 : 2);
	serve();
	assert_int_equal(used(), (u16)(before + 1));
	return *(u8 *)guest(STATUS, 1);
}

static u8 range_request(u32 type, u64 sector, u32 sectors, u32 flags)
{
	const struct virtio_blk_discard_write_zeroes range = {
		.sector = htole64(sector), .num_sectors = htole32(sectors), .flags = htole32(flags)};

	memcpy(guest(DATA, sizeof(range)), &range, sizeof(range));
	return request_len(type, 0, sizeof(range), false);
}

static u8 byte_at(u64 at)
{
	FILE *f = fopen(image, "r");
	int c;

	assert_non_null(f);
	fseek(f, (long)at, SEEK_SET);
	c = getc(f);
	fclose(f);
	return (u8)c;
}

/* --- tests -------------------------------------------------------------------------------------------------
 */

static u64 config(u32 offset, u32 len)
{
	return bed_access(bed.base + VIRTIO_MMIO_CONFIG + offset, len, false, 0);
}
#define CONFIG(f) config(offsetof(struct virtio_blk_config, f), sizeof(((struct virtio_blk_config *)0)->f))

static void test_configuration(void **state)
{
	up("serial=abc,queues=3");
	assert_int_equal(bed_reg(VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_BLOCK);
	assert_int_equal(config(0, 4), SIZE / 512);
	assert_int_equal(config(4, 4), 0);
	assert_int_equal(CONFIG(seg_max), 254);
	assert_int_equal(CONFIG(blk_size), 512);
	assert_int_equal(CONFIG(num_queues), 3);
	assert_int_equal(CONFIG(wce), 1);
	assert_int_equal(CONFIG(max_discard_seg), 1);
	assert_int_equal(CONFIG(max_write_zeroes_seg), 1);
	assert_int_equal(CONFIG(write_zeroes_may_unmap), 1);
	assert_int_equal(bed_offered() & ALL, ALL);
	assert_false(bed_offered() & VIRTIO_BIT(VIRTIO_BLK_F_RO));
	assert_int_equal(bed.vdev->nr_queues, 3);
	up("ro");
	assert_true(bed_offered() & VIRTIO_BIT(VIRTIO_BLK_F_RO));
	assert_false(bed_offered() &
		     (VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES)));
	/* One vCPU, one queue. */
	assert_int_equal(bed.vdev->nr_queues, 1);
}

/* In logical blocks but for the alignment, which is in sectors (5.2.4). */
static void test_topology(void **state)
{
	struct stat st;
	char name[80], create[160];
	int fd;

	up("");
	assert_int_equal(stat(image, &st), 0);
	assert_int_equal(CONFIG(blk_size) << CONFIG(physical_block_exp), st.st_blksize);
	assert_int_equal(CONFIG(alignment_offset), 0);
	assert_int_equal(CONFIG(min_io_size), 1);
	assert_int_equal(CONFIG(opt_io_size), st.st_blksize / 512);
	assert_int_equal(CONFIG(discard_sector_alignment), st.st_blksize / 512);
	fd = open(image, O_RDONLY | O_CLOEXEC | O_DIRECT);
	if (fd >= 0) {
		close(fd);
		up("direct");
		assert_int_equal(CONFIG(blk_size), 4096);
		assert_int_equal(4096 << CONFIG(physical_block_exp), max_u64(4096, (u64)st.st_blksize));
		assert_int_equal(CONFIG(opt_io_size), max_u64(4096, (u64)st.st_blksize) / 4096);
		assert_int_equal(CONFIG(discard_sector_alignment), max_u64(4096, (u64)st.st_blksize) / 512);
	}
	/* Where clusters are what is given back. */
	snprintf(name, sizeof(name), "%s.new", image);
	snprintf(create, sizeof(create), "qemu-img create -q -f qcow2 -o cluster_size=32k %s 1M", name);
	if (system(create))
		skip();
	assert_int_equal(rename(name, image), 0);
	up_format("qcow2", "");
	assert_int_equal(CONFIG(blk_size), 512);
	assert_int_equal(CONFIG(blk_size) << CONFIG(physical_block_exp), st.st_blksize);
	assert_int_equal(CONFIG(opt_io_size), 64);
	assert_int_equal(CONFIG(discard_sector_alignment), 64);
}

static void test_requests(void **state)
{
	up("serial=serial-of-20-bytes--");
	begin(ALL);
	memset(guest(DATA, 4096), 0x5a, 4096);
	assert_int_equal(request_len(VIRTIO_BLK_T_OUT, 8, 4096, false), VIRTIO_BLK_S_OK);
	assert_int_equal(used_len(0), 1);
	assert_int_equal(byte_at(4095), 0);
	assert_int_equal(byte_at(4096), 0x5a);
	assert_int_equal(byte_at(8191), 0x5a);
	memset(guest(DATA, 8192), 0, 8192);
	assert_int_equal(request_len(VIRTIO_BLK_T_IN, 4, 8192, true), VIRTIO_BLK_S_OK);
	assert_int_equal(used_len(1), 8193);
	assert_int_equal(*(u8 *)guest(DATA + 2047, 1), 0);
	assert_int_equal(*(u8 *)guest(DATA + 2048, 1), 0x5a);
	assert_int_equal(*(u8 *)guest(DATA + 6143, 1), 0x5a);
	assert_int_equal(*(u8 *)guest(DATA + 6144, 1), 0);
	assert_int_equal(host.syncs, 0);
	assert_int_equal(request_len(VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
	assert_int_equal(host.syncs, 1);
	assert_int_equal(request_len(VIRTIO_BLK_T_GET_ID, 0, 20, true), VIRTIO_BLK_S_OK);
	assert_memory_equal(guest(DATA, 20), "serial-of-20-bytes--", 20);
	assert_int_equal(request_len(VIRTIO_BLK_T_GET_ID, 0, 19, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(range_request(VIRTIO_BLK_T_WRITE_ZEROES, 9, 1, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(byte_at(4096 + 511), 0x5a);
	assert_int_equal(byte_at(4096 + 512), 0);
	assert_int_equal(byte_at(4096 + 1024), 0x5a);
	assert_int_equal(range_request(VIRTIO_BLK_T_WRITE_ZEROES, 10, 1, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(range_request(VIRTIO_BLK_T_DISCARD, 8, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(byte_at(4096), 0);
}

/* Headers, data and status cut up and joined as no driver of today's does it. */
static void test_framing(void **state)
{
	struct virtio_blk_outhdr hdr = {.type = htole32(VIRTIO_BLK_T_OUT), .sector = htole64(2)};
	struct piece cut[20] = {{0}};
	u32 n = 0;

	up("");
	begin(ALL);
	/* 16 descriptors of one byte, then data in odd pieces. */
	memcpy(guest(BUF, 16), &hdr, 16);
	for (u32 i = 0; i < 15; i++)
		cut[n++] = (struct piece){BUF + i, 1, false};
	memset(guest(BUF + 16, 1024), 0x11, 1024);
	cut[n++] = (struct piece){BUF + 15, 8, false};
	cut[n++] = (struct piece){BUF + 23, 1017, false};
	cut[n++] = (struct piece){STATUS + 4096, 1, true};
	offer(cut, n);
	serve();
	assert_int_equal(*(u8 *)guest(STATUS + 4096, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(byte_at(1024), 0x11);
	assert_int_equal(byte_at(2047), 0x11);
	assert_int_equal(byte_at(2048), 0);
	/* The status behind the data, in one descriptor. */
	hdr.type = htole32(VIRTIO_BLK_T_IN);
	memcpy(guest(BUF, 16), &hdr, 16);
	memset(guest(DATA, 2048), 0xff, 2048);
	offer((struct piece[]){{BUF, 16, false}, {DATA, 1, true}, {DATA + 1, 1024, true}}, 3);
	serve();
	assert_int_equal(*(u8 *)guest(DATA + 1023, 1), 0x11);
	assert_int_equal(*(u8 *)guest(DATA + 1024, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(*(u8 *)guest(DATA + 1025, 1), 0xff);
	assert_int_equal(used(), 2);
}

static void test_refused(void **state)
{
	up("");
	begin(ALL);
	assert_int_equal(request_len(VIRTIO_BLK_T_IN, SIZE / 512 - 1, 1024, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request_len(VIRTIO_BLK_T_IN, ~0ull, 512, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request_len(VIRTIO_BLK_T_OUT, ~0ull / 512, 512, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request_len(VIRTIO_BLK_T_OUT, 0, 100, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request_len(10 /* GET_LIFETIME */, 0, 16, true), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request_len(0xffffffff, 0, 16, false), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(range_request(VIRTIO_BLK_T_DISCARD, 0, 1, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(range_request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 2), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(range_request(VIRTIO_BLK_T_DISCARD, SIZE / 512, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(range_request(VIRTIO_BLK_T_DISCARD, 0, 0xffffffff, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request_len(VIRTIO_BLK_T_DISCARD, 0, 15, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request_len(VIRTIO_BLK_T_DISCARD, 0, 32, false), VIRTIO_BLK_S_IOERR);
	assert_false(atomic_load(&bed.vdev->status) & VIRTIO_CONFIG_S_NEEDS_RESET);
	/* What was not agreed on does not work. */
	begin(VIRTIO_BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(range_request(VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(range_request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
	up("ro");
	begin(VIRTIO_BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(request_len(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request_len(VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
	assert_int_equal(request_len(VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
}

/* Requests that cannot even be answered: the device asks for a reset, and works again after it. */
static void test_malformed(void **state)
{
	static const struct piece bad[][3] = {
		{{4096, 15, false}, {64, 1, true}},			  /* header too short */
		{{4096, 16, false}},					  /* no status */
		{{4096, 16, false}, {8192, 512, false}},		  /* nothing to write to */
		{{64, 1, true}},					  /* no header */
		{{4096, 16, false}, {BED_RAM, 512, true}, {64, 1, true}}, /* outside of RAM */
	};
	const char *text;

	up("");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct piece p[3];
		u32 n = 0;

		for (; n < 3 && bad[i][n].len; n++) {
			p[n] = bad[i][n];
			p[n].at += bad[i][n].at == BED_RAM ? bed.ram : BUF;
		}
		begin(ALL);
		memset(guest(BUF + 4096, 16), 0, 16);
		offer(p, n);
		capture_begin(STDERR_FILENO);
		serve();
		text = capture_end();
		assert_one_line(text, "disk0: ");
		assert_true(bed_reg(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_int_equal(used(), 0);
		begin(ALL);
		assert_int_equal(request_len(VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
	}
}

static void test_write_cache(void **state)
{
	up("");
	/* The driver can flush: it does that when it wants to. */
	begin(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH));
	assert_int_equal(request_len(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
	assert_int_equal(host.syncs, 0);
	/* It cannot: each write is on the disk when it is done (5.2.6.2). */
	begin(VIRTIO_BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(request_len(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
	assert_int_equal(host.syncs, 1);
	/* It switches the cache off, and on. */
	begin(ALL);
	bed_access(bed.base + VIRTIO_MMIO_CONFIG + offsetof(struct virtio_blk_config, wce), 1, true, 0xfe);
	assert_int_equal(CONFIG(wce), 0);
	assert_int_equal(request_len(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
	assert_int_equal(host.syncs, 2);
	assert_int_equal(range_request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(host.syncs, 3);
	bed_access(bed.base + VIRTIO_MMIO_CONFIG + offsetof(struct virtio_blk_config, wce), 1, true, 1);
	assert_int_equal(request_len(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
	assert_int_equal(host.syncs, 3);
}

static void test_error_reported(void **state)
{
	const char *text;

	up("");
	begin(ALL);
	host.write_err = ENOSPC;
	capture_begin(STDERR_FILENO);
	assert_int_equal(request_len(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_IOERR);
	text = capture_end();
	assert_one_line(text, "write: No space left on device: the guest was told");
	host.write_err = 0;
	assert_int_equal(request_len(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
}

/* A worker's life until that many requests are used, or lkvm has said something. */
static void work_until(u16 want)
{
	for (u32 i = 0; i < 5000 && used() != want; i++) {
		if (capture.mem >= 0 && lseek(capture.mem, 0, SEEK_END) > 0)
			break;
		bed_serve(0);
		poll(NULL, 0, 1);
	}
}

static void test_error_waited_for(void **state)
{
	struct virtio_blk_outhdr hdr = {.type = htole32(VIRTIO_BLK_T_OUT), .sector = htole64(1)};
	const char *text;

	up("werror=stop");
	begin(ALL);
	host.write_err = ENOSPC;
	memcpy(guest(BUF, 16), &hdr, 16);
	memset(guest(DATA, 512), 0x77, 512);
	capture_begin(STDERR_FILENO);
	offer((struct piece[]){{BUF, 16, false}, {DATA, 512, false}, {STATUS, 1, true}}, 3);
	work_until(1);
	text = capture_end();
	assert_one_line(
		text,
		"write: No space left on device: the VM is paused: mend that, then lkvm resume -n core");
	assert_int_equal(used(), 0);
	/* There is room again, and the user says so. */
	host.write_err = 0;
	virtio_blk_ops.resumed(&bed.vdev->dev);
	capture.mem = -1;
	work_until(1);
	assert_int_equal(used(), 1);
	assert_int_equal(*(u8 *)guest(STATUS, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(byte_at(512), 0x77);
	/* A reset meanwhile does not wait for him. */
	host.write_err = EIO;
	capture_begin(STDERR_FILENO);
	assert_int_equal(request_len(VIRTIO_BLK_T_OUT, 1, 512, false), VIRTIO_BLK_S_IOERR);
	text = capture_end();
	assert_one_line(text, "the VM is paused");
}

/* What the host has lost is lost: no flush is tried again, and none says from then on that all is well. */
static void test_error_of_flush(void **state)
{
	static const char *const words[] = {"", "werror=stop"};
	const u64 through = VIRTIO_BIT(VIRTIO_F_VERSION_1);

	for (u32 i = 0; i < 2 * ARRAY_SIZE(words); i++) {
		up(words[i / 2]);
		/* Flushes of the driver's, or one behind each write. */
		begin(i & 1 ? through : ALL);
		capture_begin(STDERR_FILENO);
		if (!(i & 1))
			assert_int_equal(request_len(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
		host.sync_once = i & 2 ? EIO : ENOSPC;
		for (u32 k = 0; k < 2; k++)
			assert_int_equal(i & 1 ? request_len(VIRTIO_BLK_T_OUT, 8, 512, false)
					       : request_len(VIRTIO_BLK_T_FLUSH, 0, 0, false),
					 VIRTIO_BLK_S_IOERR);
		assert_int_equal(host.sync_once, 0);
		/* One line, and it is not that the VM waits for somebody. */
		assert_one_line(capture_end(), "what was written last did not reach the disk");
		assert_int_equal(request_len(VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
	}
}

static void test_resize(void **state)
{
	struct device *dev;
	u64 size = SIZE * 2;
	const char *why;

	up("");
	begin(ALL);
	dev = &bed.vdev->dev;
	assert_int_equal(request_len(VIRTIO_BLK_T_IN, SIZE / 512, 512, true), VIRTIO_BLK_S_IOERR);
	bed_set(VIRTIO_MMIO_INTERRUPT_ACK, 3);
	assert_int_equal(dev->ops->resize(dev, &size, &why), 0);
	assert_int_equal(config(0, 4), SIZE * 2 / 512);
	assert_int_equal(bed_reg(VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	assert_int_equal(request_len(VIRTIO_BLK_T_IN, SIZE / 512, 512, true), VIRTIO_BLK_S_OK);
	size = SIZE;
	assert_int_equal(dev->ops->resize(dev, &size, &why), -EINVAL);
	assert_string_equal(why, "only grows");
	assert_int_equal(truncate(image, SIZE / 2), 0);
	size = 0;
	assert_int_equal(dev->ops->resize(dev, &size, &why), 0);
	assert_int_equal(size, SIZE / 2);
	assert_int_equal(config(0, 4), SIZE / 2 / 512);
}

static void test_state(void **state)
{
	struct buf saved = {0};

	up("");
	begin(ALL);
	assert_int_equal(request_len(VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_OK);
	bed_access(bed.base + VIRTIO_MMIO_CONFIG + offsetof(struct virtio_blk_config, wce), 1, true, 0);
	bed_save(&saved);
	bed_set(VIRTIO_MMIO_STATUS, 0);
	bed_access(bed.base + VIRTIO_MMIO_CONFIG + offsetof(struct virtio_blk_config, wce), 1, true, 1);
	assert_int_equal(bed_restore(saved.data, saved.len), 0);
	assert_int_equal(CONFIG(wce), 0);
	assert_int_equal(request_len(VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
	buf_free(&saved);
}

static const struct {
	const char *arg, *says;
} bad_option[] = {
	{"", "--disk: begins with no FILE"},
	{"x,serial=123456789012345678901", "longer than 20 bytes"},
	{"x,queues=0", "queues=0: out of range: give 1 to 16"},
	{"x,queues=17", "out of range"},
	{"x,format=vmdk", "format=vmdk: give auto, raw or qcow2"},
	{"x,werror=panic", "werror=panic: give report or stop"},
	{"x,backing=none", "backing=none: give same-dir or any"},
};

static void test_options(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_option); i++) {
		void *params = NULL;

		capture_begin(STDERR_FILENO);
		assert_int_equal(virtio_blk_ops.parse(bad_option[i].arg, &params), -EINVAL);
		assert_one_line(capture_end(), bad_option[i].says);
		free(params);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_configuration), T(test_requests),    T(test_framing),	    T(test_refused),
		T(test_malformed),     T(test_write_cache), T(test_error_reported), T(test_error_waited_for),
		T(test_resize),	       T(test_state),	    T(test_options),	    T(test_error_of_flush),
		T(test_topology),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

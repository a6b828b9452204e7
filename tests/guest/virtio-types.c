/* SPDX-License-Identifier: MIT */
/*
 * Requests for each type of virtio device (virtio 1.2, chapter 5), good ones and wrong ones, as subjects for
 * virtio-bad.c.
 */
#include "virtio.h"

static u8 bytes[4096] __attribute__((aligned(4096)));

/* ---- entropy (5.4) -------------------------------------------------------------------------------- */

/* Random bytes. So many of them are never all zero. */
static bool rng_request(struct vio *v, struct vio_ring *r)
{
	struct vio_desc piece = {.addr = (ulong)bytes, .len = 64};
	u8 any = 0;
	int64_t got;

	memset(bytes, 0, 128);
	vio_add(r, &piece, 1, 0);
	vio_kick(v, r);
	got = vio_wait(r);
	for (u32 i = 0; i < 64; i++)
		any |= bytes[i];
	for (u32 i = 64; i < 128; i++)
		if (bytes[i])
			return false;
	return got > 0 && got <= 64 && any;
}

static void rng_to_read(struct vio_ring *r)
{
	struct vio_desc piece = {.addr = (ulong)bytes, .len = 64};

	vio_add(r, &piece, 1, 1);
}

static bool nothing_written(int64_t written)
{
	return !written;
}

static const struct vio_wrong rng_wrong[] = {
	{"a buffer that is only to be read", rng_to_read, nothing_written},
};

/* ---- disks (5.2) ---------------------------------------------------------------------------------- */

enum { BLK_IN = 0, BLK_OUT = 1, BLK_FLUSH = 4, BLK_GET_ID = 8, BLK_DISCARD = 11, BLK_ZEROES = 13 };

static struct {
	u32 type, reserved;
	u64 sector;
} blk_header;
static volatile u8 blk_status;

static void blk_add(struct vio_ring *r, u32 type, u64 sector, u32 header, u32 len, u32 status)
{
	const bool to_disk = type == BLK_OUT || type == BLK_DISCARD || type == BLK_ZEROES;
	struct vio_desc piece[3];
	u16 n = 0;

	blk_header.type = type;
	blk_header.sector = sector;
	blk_status = 0xee;
	if (header)
		piece[n++] = (struct vio_desc){.addr = (ulong)&blk_header, .len = header};
	if (len)
		piece[n++] = (struct vio_desc){.addr = (ulong)bytes, .len = len};
	if (status)
		piece[n++] = (struct vio_desc){.addr = (ulong)&blk_status, .len = status};
	vio_add(r, piece, n, (u16)(!!header + (to_disk && len)));
}

/* The first sector, twice, and what was written in it in between. */
static bool blk_request(struct vio *v, struct vio_ring *r)
{
	static u8 count;
	u8 mark = ++count;

	memset(bytes, mark, 512);
	blk_add(r, BLK_OUT, 0, 16, 512, 1);
	vio_kick(v, r);
	if (vio_wait(r) != 1 || blk_status)
		return false;
	memset(bytes, 0, 1024);
	blk_add(r, BLK_IN, 0, 16, 512, 1);
	vio_kick(v, r);
	if (vio_wait(r) != 513 || blk_status)
		return false;
	for (u32 i = 0; i < 1024; i++)
		if (bytes[i] != (i < 512 ? mark : 0))
			return false;
	return true;
}

static bool blk_refused(int64_t written)
{
	return blk_status != 0;
}

static void blk_no_header(struct vio_ring *r)
{
	blk_add(r, BLK_IN, 0, 0, 512, 1);
}

static void blk_short_header(struct vio_ring *r)
{
	blk_add(r, BLK_IN, 0, 8, 512, 1);
}

static void blk_no_status(struct vio_ring *r)
{
	blk_add(r, BLK_OUT, 0, 16, 512, 0);
}

static void blk_odd_length(struct vio_ring *r)
{
	blk_add(r, BLK_IN, 0, 16, 511, 1);
}

static void blk_beyond(struct vio_ring *r)
{
	blk_add(r, BLK_OUT, 1ull << 40, 16, 512, 1);
}

static void blk_wraps(struct vio_ring *r)
{
	blk_add(r, BLK_IN, ~0ull, 16, 512, 1);
}

static void blk_unknown(struct vio_ring *r)
{
	blk_add(r, 0x12345678, 0, 16, 512, 1);
}

static void blk_wrong_way(struct vio_ring *r)
{
	struct vio_desc piece[] = {{.addr = (ulong)&blk_header, .len = 16},
				   {.addr = (ulong)bytes, .len = 512},
				   {.addr = (ulong)(void *)&blk_status, .len = 1}};

	blk_header.type = BLK_OUT;
	blk_header.sector = 0;
	blk_status = 0xee;
	vio_add(r, piece, 3, 1); /* data to be written by the device, which is to read it */
}

static void blk_ranges(u64 sector, u32 sectors, u32 flags)
{
	struct {
		u64 sector;
		u32 sectors, flags;
	} range = {sector, sectors, flags};

	memcpy(bytes, &range, sizeof(range));
}

static void blk_discard_beyond(struct vio_ring *r)
{
	blk_ranges(0, 0xffffffff, 0);
	blk_add(r, BLK_DISCARD, 0, 16, 16, 1);
}

static void blk_discard_odd(struct vio_ring *r)
{
	blk_ranges(0, 8, 0);
	blk_add(r, BLK_DISCARD, 0, 16, 17, 1);
}

static void blk_discard_flags(struct vio_ring *r)
{
	blk_ranges(0, 8, 0xffffffff);
	blk_add(r, BLK_DISCARD, 0, 16, 16, 1);
}

static void blk_zeroes_many(struct vio_ring *r)
{
	memset(bytes, 0, 4096);
	blk_add(r, BLK_ZEROES, 0, 16, 4096, 1); /* 256 ranges, where the device takes one */
}

static const struct vio_wrong blk_wrong[] = {
	{"a request without a header", blk_no_header, blk_refused},
	{"half a header", blk_short_header, blk_refused},
	{"no place for the status", blk_no_status, NULL},
	{"511 bytes", blk_odd_length, blk_refused},
	{"a sector beyond the disk", blk_beyond, blk_refused},
	{"a sector whose place wraps", blk_wraps, blk_refused},
	{"a request of no type", blk_unknown, blk_refused},
	{"a write of what the device is to write", blk_wrong_way, blk_refused},
	{"a discard beyond the disk", blk_discard_beyond, blk_refused},
	{"a discard of odd length", blk_discard_odd, blk_refused},
	{"a discard with unknown flags", blk_discard_flags, blk_refused},
	{"more zeroes at once than there may be", blk_zeroes_many, blk_refused},
};

/* ---- network (5.1) -------------------------------------------------------------------------------- */

/* Of a frame to send: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers. */
static void net_add(struct vio_ring *r, u8 flags, u8 gso, u16 gso_size, u16 csum_start, u32 len)
{
	const u16 header[] = {(u16)(flags | gso << 8), 54, gso_size, csum_start, 6, 0};
	struct vio_desc piece = {.addr = (ulong)bytes, .len = len};

	memset(bytes, 0xff, 256);
	memcpy(bytes, header, sizeof(header));
	vio_add(r, &piece, 1, 1);
}

static bool net_request(struct vio *v, struct vio_ring *r)
{
	net_add(r, 0, 0, 0, 0, 12 + 60);
	vio_kick(v, r);
	return !vio_wait(r);
}

static void net_short_header(struct vio_ring *r)
{
	net_add(r, 0, 0, 0, 0, 5);
}

static void net_no_frame(struct vio_ring *r)
{
	net_add(r, 0, 0, 0, 0, 12);
}

static void net_csum_beyond(struct vio_ring *r)
{
	net_add(r, 1, 0, 0, 0xfff0, 12 + 60);
}

static void net_gso_unknown(struct vio_ring *r)
{
	net_add(r, 0, 0x7f, 1400, 0, 12 + 200);
}

static void net_gso_of_nothing(struct vio_ring *r)
{
	net_add(r, 1, 1, 0, 34, 12 + 200);
}

static void net_to_write(struct vio_ring *r)
{
	struct vio_desc piece = {.addr = (ulong)bytes, .len = 72};

	vio_add(r, &piece, 1, 0);
}

static void net_huge(struct vio_ring *r)
{
	struct vio_desc piece[8];

	memset(bytes, 0, 12);
	for (u32 i = 0; i < 8; i++)
		piece[i] = (struct vio_desc){.addr = (ulong)bytes, .len = sizeof(bytes)};
	vio_add(r, piece, 8, 8);
}

static const struct vio_wrong net_wrong[] = {
	{"half a header", net_short_header, NULL},
	{"a header and no frame", net_no_frame, NULL},
	{"a checksum beyond the frame", net_csum_beyond, NULL},
	{"segmentation of no kind", net_gso_unknown, NULL},
	{"segments of nothing", net_gso_of_nothing, NULL},
	{"a frame for the device to write", net_to_write, NULL},
	{"a frame of 32 KiB", net_huge, NULL},
};

/* --------------------------------------------------------------------------------------------------- */

const struct vio_subject *vio_subject(u32 type)
{
	static const struct vio_subject net = {.index = 1,
					       .request = net_request,
					       .wrong = net_wrong,
					       .nr_wrong = ARRAY_SIZE(net_wrong)},
					blk = {.index = 0,
					       .request = blk_request,
					       .wrong = blk_wrong,
					       .nr_wrong = ARRAY_SIZE(blk_wrong)},
					rng = {.index = 0,
					       .request = rng_request,
					       .wrong = rng_wrong,
					       .nr_wrong = ARRAY_SIZE(rng_wrong)};

	switch (type) {
	case 1:
		return &net;
	case 2:
		return &blk;
	case 4:
		return &rng;
	default:
		return NULL;
	}
}

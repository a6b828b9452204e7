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

static bool tx_request(struct vio *v, struct vio_ring *r)
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

static const struct vio_wrong tx_wrong[] = {
	{"half a header", net_short_header, NULL},
	{"a header and no frame", net_no_frame, NULL},
	{"a checksum beyond the frame", net_csum_beyond, NULL},
	{"segmentation of no kind", net_gso_unknown, NULL},
	{"segments of nothing", net_gso_of_nothing, NULL},
	{"a frame for the device to write", net_to_write, NULL},
	{"a frame of 32 KiB", net_huge, NULL},
};

/* What comes in is an answer: to a question for the address of 10.0.2.2, which is on the other side. */
static struct vio_ring net_tx;
static u8 net_in[2048] __attribute__((aligned(2048)));

static void rx_prepare(struct vio *v)
{
	vio_ring(v, &net_tx, 1, 16, 2);
}

static bool rx_ask(struct vio *v)
{
	static const u8 question[] = {0,    0,	  0,	0,    0,    0,	  0, 0, 0, 0, 0,  0, /* header */
				      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,  9, 8, 6, /* ARP */
				      0,    1,	  8,	0,    6,    4,	  0, 1, 2, 0, 0,  0, 0, 9,
				      10,   0,	  2,	15,   0,    0,	  0, 0, 0, 0, 10, 0, 2, 2};
	struct vio_desc piece = {.addr = (ulong)bytes, .len = 12 + 60};

	memset(bytes, 0, 12 + 60);
	memcpy(bytes, question, sizeof(question));
	vio_add(&net_tx, &piece, 1, 1);
	vio_kick(v, &net_tx);
	return vio_wait(&net_tx) == 0;
}

static bool rx_request(struct vio *v, struct vio_ring *r)
{
	struct vio_desc piece = {.addr = (ulong)net_in, .len = sizeof(net_in)};

	/* Others may speak too. */
	for (u32 i = 0; i < 16; i++) {
		int64_t got;

		memset(net_in, 0, 64);
		vio_add(r, &piece, 1, 0);
		vio_kick(v, r);
		if (!rx_ask(v))
			return false;
		got = vio_wait(r);
		if (got < 12 + 14 || got > (int64_t)sizeof(net_in))
			return false;
		if (net_in[12 + 12] == 8 && net_in[12 + 13] == 6 && net_in[12 + 21] == 2)
			return true;
	}
	return false;
}

static void rx_to_read(struct vio_ring *r)
{
	struct vio_desc piece = {.addr = (ulong)net_in, .len = sizeof(net_in)};

	vio_add(r, &piece, 1, 1);
}

static void rx_short(struct vio_ring *r)
{
	struct vio_desc piece = {.addr = (ulong)net_in, .len = 11};

	vio_add(r, &piece, 1, 0);
}

static const struct vio_wrong rx_wrong[] = {
	{"a receive buffer that is only to be read", rx_to_read, NULL},
	{"a receive buffer without room for a header", rx_short, NULL},
};

/* Commands (5.1.6.5): class, command, data; and a byte for the answer. */
static volatile u8 ctrl_ack;

static void ctrl_add(struct vio_ring *r, u8 class, u8 command, u32 data, u32 ack)
{
	struct vio_desc piece[] = {{.addr = (ulong)bytes, .len = data},
				   {.addr = (ulong)(void *)(ulong)&ctrl_ack, .len = ack}};

	bytes[0] = class;
	bytes[1] = command;
	ctrl_ack = 0xee;
	vio_add(r, piece, ack ? 2 : 1, 1);
}

static bool ctrl_request(struct vio *v, struct vio_ring *r)
{
	bytes[2] = 1;
	ctrl_add(r, 0, 0, 3, 1); /* all frames, please */
	vio_kick(v, r);
	return vio_wait(r) == 1 && !ctrl_ack;
}

static bool ctrl_refused(int64_t written)
{
	return written == 1 && ctrl_ack == 1;
}

static void ctrl_no_command(struct vio_ring *r)
{
	ctrl_add(r, 0, 0, 1, 1);
}

static void ctrl_no_answer(struct vio_ring *r)
{
	ctrl_add(r, 0, 0, 3, 0);
}

static void ctrl_no_data(struct vio_ring *r)
{
	ctrl_add(r, 0, 0, 2, 1);
}

static void ctrl_unknown(struct vio_ring *r)
{
	ctrl_add(r, 0x77, 0, 3, 1);
}

static void ctrl_many_macs(struct vio_ring *r)
{
	memset(bytes + 2, 0xff, 4); /* so many are to follow, and none does */
	ctrl_add(r, 1, 0, 2 + 4, 1);
}

static void ctrl_macs_wrap(struct vio_ring *r)
{
	memset(bytes, 0, 64);
	bytes[2 + 3] = 0x80; /* times six it wraps at 32 bits */
	ctrl_add(r, 1, 0, 2 + 8, 1);
}

static void ctrl_half_mac(struct vio_ring *r)
{
	ctrl_add(r, 1, 1, 2 + 3, 1);
}

static void ctrl_vlan_beyond(struct vio_ring *r)
{
	memset(bytes + 2, 0xff, 2);
	ctrl_add(r, 2, 0, 2 + 2, 1);
}

static void ctrl_pairs(struct vio_ring *r)
{
	memset(bytes + 2, 0, 2);
	ctrl_add(r, 4, 0, 2 + 2, 1);
}

static void ctrl_offloads(struct vio_ring *r)
{
	memset(bytes + 2, 0xff, 8);
	ctrl_add(r, 5, 0, 2 + 8, 1);
}

static const struct vio_wrong ctrl_wrong[] = {
	{"a command without a command", ctrl_no_command, NULL},
	{"a command with no place for the answer", ctrl_no_answer, NULL},
	{"a command without its data", ctrl_no_data, ctrl_refused},
	{"a command of no class", ctrl_unknown, ctrl_refused},
	{"four thousand million addresses", ctrl_many_macs, ctrl_refused},
	{"addresses whose length wraps", ctrl_macs_wrap, ctrl_refused},
	{"half an address", ctrl_half_mac, ctrl_refused},
	{"VLAN 65535", ctrl_vlan_beyond, ctrl_refused},
	{"no pair of queues", ctrl_pairs, ctrl_refused},
	{"all offloads that there may be", ctrl_offloads, ctrl_refused},
};

/* --------------------------------------------------------------------------------------------------- */

#define WRONG(w) .wrong = w, .nr_wrong = ARRAY_SIZE(w)
/* CTRL_VQ, CTRL_RX, CTRL_VLAN, CTRL_MAC_ADDR */
#define CTRL_FEATURES (1ull << 17 | 1ull << 18 | 1ull << 19 | 1ull << 23)

const struct vio_subject *vio_subject(u32 type, u32 number)
{
	static const struct {
		u32 type;
		struct vio_subject subject;
	} all[] = {
		{1, {.index = 1, .request = tx_request, WRONG(tx_wrong)}},
		{1, {.index = 0, .prepare = rx_prepare, .request = rx_request, WRONG(rx_wrong)}},
		{1, {.index = 2, .features = CTRL_FEATURES, .request = ctrl_request, WRONG(ctrl_wrong)}},
		{2, {.index = 0, .request = blk_request, WRONG(blk_wrong)}},
		{4, {.index = 0, .request = rng_request, WRONG(rng_wrong)}},
	};

	for (u32 i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].type == type && !number--)
			return &all[i].subject;
	return NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * The driver from hell: everything that a virtio driver can get wrong about registers, negotiation and rings.
 * Each time the device must ask for a reset, and work again after it; the VM must not mind.
 */
#include "smp.h"
#include "virtio.h"

#define RING_SIZE 16
#define NOWHERE	  0x00000000f0000000ull /* no RAM there on any machine of ours with the memory of a payload */

static u8 data[4096] __attribute__((aligned(4096)));
static struct vio_desc table[RING_SIZE + 1] __attribute__((aligned(4096)));

static u64 usual(struct vio *v, const struct vio_subject *s, bool packed)
{
	u64 features = 1ull << VIO_F_VERSION_1 | 1ull << VIO_F_INDIRECT | 1ull << VIO_F_EVENT_IDX |
		       1ull << VIO_F_RING_RESET | s->features;

	return (features | (packed ? 1ull << VIO_F_PACKED : 0)) & vio_offered(v);
}

/* Up to DRIVER_OK with the subject's ring. */
static void begin(struct vio *v, struct vio_ring *r, const struct vio_subject *s, bool packed)
{
	vio_negotiate(v, usual(v, s, packed));
	vio_ring(v, r, s->index, RING_SIZE, 0);
	if (s->prepare)
		s->prepare(v);
	vio_set_status(v, VIO_ACKNOWLEDGE | VIO_DRIVER | VIO_FEATURES_OK | VIO_DRIVER_OK);
}

/* ---- negotiation ------------------------------------------------------------------------------------ */

static void negotiation(struct vio *v, const struct vio_subject *s)
{
	u64 offered = vio_offered(v), never = 0;

	check(offered >> VIO_F_VERSION_1 & 1, "the device is a modern one");
	check(!vio_negotiate(v, 0), "a driver without VERSION_1 is refused");
	for (u32 i = 0; i < 64 && !never; i++)
		if (!(offered >> i & 1))
			never = 1ull << i;
	check(!vio_negotiate(v, 1ull << VIO_F_VERSION_1 | never), "a feature never offered is refused");
	check(!vio_negotiate(v, ~0ull), "all features at once are refused");
	vio_set_status(v, VIO_ACKNOWLEDGE | VIO_DRIVER | VIO_DRIVER_OK);
	check(!(vio_status(v) & VIO_DRIVER_OK), "no DRIVER_OK without FEATURES_OK");
	check(vio_negotiate(v, 1ull << VIO_F_VERSION_1), "VERSION_1 alone is taken");
	vio_want(v, ~0ull);
	vio_set_status(v, VIO_ACKNOWLEDGE | VIO_DRIVER | VIO_FEATURES_OK | VIO_DRIVER_OK);
	check_eq(vio_status(v), VIO_ACKNOWLEDGE | VIO_DRIVER | VIO_FEATURES_OK | VIO_DRIVER_OK,
		 "features written later change nothing");
	vio_set_status(v, VIO_ACKNOWLEDGE);
	check(vio_status(v) & VIO_DRIVER_OK, "status bits do not go away");
	check(vio_negotiate(v, usual(v, s, false)), "what is usual is taken");
	check_eq(vio_queue_max(v, 1000), 0, "queue 1000 is not there");
	vio_queue_at(v, 1000, 8, (ulong)data, (ulong)data, (ulong)data);
	check(!(vio_status(v) & VIO_NEEDS_RESET), "and enabling it does nothing");
	vio_reset(v);
	check_eq(vio_status(v), 0, "status after a reset");
}

/* ---- where a ring may be -------------------------------------------------------------------------- */

static void places(struct vio *v, const struct vio_subject *s)
{
	static const struct {
		const char *what;
		u64 desc, driver, device;
		u16 size;
	} bad[] = {
		{"descriptors nowhere", NOWHERE, 0, 0, 8},
		{"the driver's area nowhere", 0, NOWHERE, 0, 8},
		{"the device's area nowhere", 0, 0, NOWHERE, 8},
		{"descriptors at the end of the address space", ~0ull - 15, 0, 0, 8},
		{"descriptors not aligned", 8, 0, 0, 8},
		{"the device's area not aligned", 0, 0, 2, 8},
		{"a size of 0", 0, 0, 0, 0},
		{"a size that is no power of 2", 0, 0, 0, 7},
		{"a size beyond the device's", 0, 0, 0, 0x8000},
	};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		u64 desc = bad[i].desc, driver = bad[i].driver, device = bad[i].device;

		vio_negotiate(v, usual(v, s, false));
		vio_queue_at(v, s->index, bad[i].size, desc < 4096 ? (ulong)data + desc : desc,
			     driver < 4096 ? (ulong)data + 1024 + driver : driver,
			     device < 4096 ? (ulong)data + 2048 + device : device);
		check(vio_needs_reset(v), bad[i].what);
	}
}

/* ---- chains ------------------------------------------------------------------------------------------ */

static void put(struct vio_ring *r, u16 i, u64 addr, u32 len, u16 flags, u16 next)
{
	if (r->packed)
		flags |= r->avail_wrap ? VIO_AVAIL : VIO_USED;
	vio_put(r, NULL, i, addr, len, flags, r->packed ? 0 : next);
}

static void bad_address(struct vio_ring *r)
{
	put(r, 0, NOWHERE, 16, VIO_WRITE, 0);
	vio_expose(r, 0, 1);
}

static void bad_end(struct vio_ring *r)
{
	put(r, 0, (ulong)data, 0xffffffff, VIO_WRITE, 0);
	vio_expose(r, 0, 1);
}

static void bad_wrap(struct vio_ring *r)
{
	put(r, 0, ~0ull - 7, 16, VIO_WRITE, 0);
	vio_expose(r, 0, 1);
}

static void bad_next(struct vio_ring *r)
{
	put(r, 0, (ulong)data, 16, VIO_WRITE | VIO_NEXT, RING_SIZE);
	vio_expose(r, 0, 1);
}

static void bad_loop(struct vio_ring *r)
{
	for (u16 i = 0; i < RING_SIZE; i++)
		put(r, i, (ulong)data, 1, VIO_WRITE | VIO_NEXT, (u16)((i + 1) % RING_SIZE));
	vio_expose(r, 0, 1);
}

static void bad_order(struct vio_ring *r)
{
	put(r, 0, (ulong)data, 16, VIO_WRITE | VIO_NEXT, 1);
	put(r, 1, (ulong)data, 16, 0, 0);
	vio_expose(r, 0, 2);
}

static void bad_head(struct vio_ring *r)
{
	r->driver[2] = 0xffff;
	r->driver[1] = 1;
}

static void bad_index(struct vio_ring *r)
{
	put(r, 0, (ulong)data, 16, VIO_WRITE, 0);
	r->driver[1] = RING_SIZE + 1;
}

static void indirect(struct vio_ring *r, u64 addr, u32 len, u16 flags)
{
	put(r, 1, (ulong)data, 16, VIO_WRITE, 0);
	put(r, 0, addr, len, (u16)(VIO_INDIRECT | flags), 1);
	vio_expose(r, 0, 1);
}

static void bad_table_place(struct vio_ring *r)
{
	indirect(r, NOWHERE, 16, 0);
}

static void bad_table_length(struct vio_ring *r)
{
	indirect(r, (ulong)table, 24, 0);
}

static void bad_table_empty(struct vio_ring *r)
{
	indirect(r, (ulong)table, 0, 0);
}

static void bad_table_huge(struct vio_ring *r)
{
	indirect(r, (ulong)table, 0xfffffff0, 0);
}

static void bad_table_next(struct vio_ring *r)
{
	vio_put(r, table, 0, (ulong)data, 16, VIO_WRITE, 0);
	indirect(r, (ulong)table, 16, VIO_NEXT);
}

static void bad_table_twice(struct vio_ring *r)
{
	vio_put(r, table, 0, (ulong)(table + 1), 16, VIO_INDIRECT, 0);
	vio_put(r, table, 1, (ulong)data, 16, VIO_WRITE, 0);
	indirect(r, (ulong)table, 16, 0);
}

static void bad_table_loop(struct vio_ring *r)
{
	vio_put(r, table, 0, (ulong)data, 1, VIO_WRITE | VIO_NEXT, 1);
	vio_put(r, table, 1, (ulong)data, 1, VIO_WRITE | VIO_NEXT, 0);
	indirect(r, (ulong)table, 32, 0);
}

static const struct {
	const char *what;
	void (*spoil)(struct vio_ring *r);
	bool split_only;
} chains[] = {
	{"an address nowhere", bad_address, false},
	{"a length beyond memory", bad_end, false},
	{"an address that wraps", bad_wrap, false},
	{"a next entry outside of the ring", bad_next, true},
	{"a chain without an end", bad_loop, false},
	{"a part to read behind one to write", bad_order, false},
	{"a head outside of the ring", bad_head, true},
	{"an index ahead of the ring", bad_index, true},
	{"an indirect table nowhere", bad_table_place, false},
	{"an indirect table of odd length", bad_table_length, false},
	{"an empty indirect table", bad_table_empty, false},
	{"an indirect table of 4 GiB", bad_table_huge, false},
	{"an indirect table that goes on", bad_table_next, false},
	{"an indirect table in another", bad_table_twice, true},
	{"an indirect table with a loop", bad_table_loop, true},
};

static void torment_chains(struct vio *v, const struct vio_subject *s, bool packed)
{
	for (u32 i = 0; i < ARRAY_SIZE(chains); i++) {
		struct vio_ring r;

		if (packed && chains[i].split_only)
			continue;
		begin(v, &r, s, packed);
		chains[i].spoil(&r);
		vio_kick(v, &r);
		printf("%sok %s, %s ring\n", vio_needs_reset(v) ? "" : "not ", chains[i].what,
		       packed ? "packed" : "split");
		/* Until then nothing of it is answered. */
		vio_kick(v, &r);
		begin(v, &r, s, packed);
		check(s->request(v, &r), "it works again after the reset");
	}
}

/* ---- one ring reset alone, laps, and a driver that is only in a hurry ---------------------------- */

static void good_rings(struct vio *v, const struct vio_subject *s, bool packed)
{
	struct vio_ring r;
	bool all = true;

	begin(v, &r, s, packed);
	check_eq(r.packed, packed, "the ring is of the kind that was asked for");
	for (u32 i = 0; i < 3 * RING_SIZE + 1; i++)
		all = all && s->request(v, &r);
	check(all, "three laps of a ring");
	if (!(v->features >> VIO_F_RING_RESET & 1))
		return;
	vio_ring_reset(v, s->index);
	vio_ring(v, &r, s->index, RING_SIZE / 2, 1);
	check(s->request(v, &r), "a ring reset alone comes back elsewhere");
	check_eq(vio_status(v), VIO_ACKNOWLEDGE | VIO_DRIVER | VIO_FEATURES_OK | VIO_DRIVER_OK,
		 "and the device did not mind");
}

/* ---- good rings with bad requests ----------------------------------------------------------------- */

static void torment_requests(struct vio *v, const struct vio_subject *s, bool packed)
{
	for (u32 i = 0; i < s->nr_wrong; i++) {
		const struct vio_wrong *w = &s->wrong[i];
		struct vio_ring r;
		int64_t written;

		begin(v, &r, s, packed);
		w->make(&r);
		vio_kick(v, &r);
		written = vio_answer(v, &r);
		printf("%sok %s, %s ring\n",
		       written == -2 || (written >= 0 && (!w->refused || w->refused(written))) ? "" : "not ",
		       w->what, packed ? "packed" : "split");
		begin(v, &r, s, packed);
		check(s->request(v, &r), "it works again after the reset");
	}
}

/* ---- memory that changes while the device reads it: the second vCPU's doing ----------------------- */

static struct vio_ring *volatile flip_ring, *volatile flip_seen;

static void flipper(u32 index)
{
	for (u32 n = 0;; n++) {
		struct vio_ring *r = flip_ring;
		volatile struct vio_desc *d;
		u16 flags;

		flip_seen = r;
		if (!r) {
			cpu_relax();
			continue;
		}
		d = r->desc;
		flags = (u16)(VIO_WRITE | (n & 4 ? VIO_NEXT : 0) | (n & 8 ? VIO_INDIRECT : 0));
		d->addr = n & 1 ? NOWHERE : (ulong)data;
		d->len = n & 2 ? 0xffffffff : 16;
		if (r->packed) {
			d->b = flags | VIO_AVAIL;
		} else {
			d->a = flags;
			d->b = n & 16 ? 0xffff : 0;
		}
	}
}

static void set_flipper(struct vio_ring *r)
{
	flip_ring = r;
	while (flip_seen != r)
		cpu_relax();
}

/* Whatever the device saw, it did nothing but answer or ask for a reset; and it works after that. */
static void torment_memory(struct vio *v, const struct vio_subject *s, bool packed)
{
	struct vio_ring r;

	for (u32 i = 0; i < 32; i++) {
		begin(v, &r, s, packed);
		put(&r, 0, (ulong)data, 16, VIO_WRITE, 0);
		set_flipper(&r);
		vio_expose(&r, 0, 1);
		for (u32 k = 0; k < 8; k++) {
			vio_kick(v, &r);
			(void)vio_status(v);
		}
		set_flipper(NULL);
	}
	begin(v, &r, s, packed);
	check(s->request(v, &r), "it works after descriptors that changed under its eyes");
}

void vio_torment(struct vio *v, const struct vio_subject *s)
{
	printf("# queue %u\n", s->index);
	negotiation(v, s);
	places(v, s);
	for (u32 packed = 0; packed < 2; packed++) {
		if (packed && !(vio_offered(v) >> VIO_F_PACKED & 1))
			continue;
		good_rings(v, s, packed);
		torment_chains(v, s, packed);
		torment_requests(v, s, packed);
	}
	vio_reset(v);
}

void vio_main(ulong ecam)
{
	u32 base = option("mmio", 0), slot = option("slot", 0), type = option("type", 0);
	const struct vio_subject *subject;
	bool flip;
	struct vio v;

	check(base ? vio_mmio(&v, base) : vio_pci(&v, ecam, slot), "a virtio device is there");
	check_eq(v.type, type, "of that type");
	flip = v.type == type && option("flip", 0);
	for (u32 i = 0; v.type == type && (subject = vio_subject(type, i)); i++)
		vio_torment(&v, subject);
	/* Last, for the second vCPU turns for ever. */
	if (flip)
		smp_start(1, flipper);
	for (u32 i = 0; flip && (subject = vio_subject(type, i)); i++)
		for (u32 packed = 0; packed <= (vio_offered(&v) >> VIO_F_PACKED & 1); packed++)
			torment_memory(&v, subject, packed);
	finish();
}

/* SPDX-License-Identifier: MIT */
/*
 * The driver's side of a virtqueue, split or packed, in plain guest memory without a VM, and a device for it
 * whose transport only counts. Correct by itself; tests reach into its rings to be a bad driver.
 */
#ifndef LKVM_TEST_RING_DRIVER_H
#define LKVM_TEST_RING_DRIVER_H

#include "virtio/ring.h"
#include "virtio/transport.h"
#include <linux/virtio_ring.h>
#include <lkvm/kvm.h>
#include <stdlib.h>
#include <string.h>

#define RD_BANKS     2
#define RD_BANK_SIZE KiB(256)
#define RD_GPA	     0x10000ull	 /* of the first bank; the second follows at once, but not in the host */
#define RD_HOLE	     0x100000ull /* nothing is here */
#define RD_DATA	     (RD_GPA + KiB(128)) /* rings below, buffers and tables from here up */

struct rd_buf {
	gpa_t gpa;
	u32 len;
	bool in;
};

struct ring_driver {
	struct kvm kvm;
	struct virtio_device vdev;
	struct virtqueue vq;
	u32 interrupts;	    /* of the queue */
	u32 config_changes; /* and those of the configuration */

	u16 size;
	bool packed;
	u16 avail, used; /* as in the device: free-running, or positions */
	bool avail_wrap, used_wrap;
	u16 since;		/* entries made available since the last question whether to notify */
	u16 slots[VQ_SIZE_MAX]; /* by id: entries of the ring it takes; 0: free */
};

static inline struct ring_driver *rd_of(struct virtio_device *vdev)
{
	return container_of(vdev, struct ring_driver, vdev);
}

static inline void *rd_ptr(struct ring_driver *d, gpa_t gpa)
{
	return guest_ptr(&d->kvm.mem, gpa, 1);
}

static bool rd_message(struct virtio_device *vdev, u16 vector)
{
	struct ring_driver *d = rd_of(vdev);

	__atomic_add_fetch(vector ? &d->interrupts : &d->config_changes, 1, __ATOMIC_SEQ_CST);
	return true;
}

__unused static struct ring_driver *rd_create(u16 size, bool packed, bool event_idx)
{
	static const struct virtio_transport transport = {.name = "count", .message = rd_message};
	struct ring_driver *d = calloc(1, sizeof(*d));

	for (u32 i = 0; i < RD_BANKS; i++)
		d->kvm.mem.bank[i] = (struct mem_bank){.gpa = RD_GPA + i * RD_BANK_SIZE,
						       .size = RD_BANK_SIZE,
						       .hva = calloc(1, RD_BANK_SIZE)};
	d->kvm.mem.nr_banks = RD_BANKS;
	d->vdev.dev.kvm = &d->kvm;
	d->vdev.transport = &transport;
	strcpy(d->vdev.dev.name, "ring");
	pthread_mutex_init(&d->vdev.isr_lock, NULL);
	pthread_mutex_init(&d->vq.lock, NULL);
	atomic_store(&d->vdev.status, VIRTIO_CONFIG_S_DRIVER_OK);
	d->vq.vdev = &d->vdev;
	d->vq.size_max = size;
	vq_reset(&d->vq);
	d->vq.vector = 1;
	d->vq.packed = packed;
	d->vq.indirect = true;
	d->vq.event_idx = event_idx;
	d->vq.desc_gpa = RD_GPA;
	d->vq.avail_gpa = RD_GPA + 0x8000;
	d->vq.used_gpa = RD_GPA + 0xc000;
	d->size = size;
	d->packed = packed;
	d->avail_wrap = d->used_wrap = true;
	return d;
}

__unused static void rd_destroy(struct ring_driver *d)
{
	for (u32 i = 0; i < RD_BANKS; i++)
		free(d->kvm.mem.bank[i].hva);
	pthread_mutex_destroy(&d->vdev.isr_lock);
	pthread_mutex_destroy(&d->vq.lock);
	free(d);
}

static inline u16 *rd_avail_ring(struct ring_driver *d)
{
	return rd_ptr(d, d->vq.avail_gpa);
}

static inline u16 *rd_used_ring(struct ring_driver *d)
{
	return rd_ptr(d, d->vq.used_gpa);
}

/*
 * Writes descriptor i of a table at gpa, which may lie anywhere; id_next: `next` of a split one, the buffer
 * id of a packed one. The flags of an entry of a packed ring come last.
 */
static inline void rd_desc(struct ring_driver *d, gpa_t table, u32 i, gpa_t gpa, u32 len, u16 flags,
			   u16 id_next)
{
	const struct vring_desc split = {
		.addr = htole64(gpa), .len = htole32(len), .flags = htole16(flags), .next = htole16(id_next)};
	const struct vring_packed_desc packed = {
		.addr = htole64(gpa), .len = htole32(len), .id = htole16(id_next), .flags = htole16(flags)};
	u8 *at = (u8 *)rd_ptr(d, table) + i * sizeof(split);

	if (!d->packed) {
		memcpy(at, &split, sizeof(split));
	} else if (table != d->vq.desc_gpa) {
		memcpy(at, &packed, sizeof(packed));
	} else {
		memcpy(at, &packed, offsetof(struct vring_packed_desc, flags));
		ring_store((u16 *)(void *)(at + offsetof(struct vring_packed_desc, flags)), flags);
	}
}

static inline u16 rd_avail_flags(const struct ring_driver *d)
{
	return (u16)(1u << (d->avail_wrap ? VRING_PACKED_DESC_F_AVAIL : VRING_PACKED_DESC_F_USED));
}

static inline void rd_step(const struct ring_driver *d, u16 *pos, bool *wrap, u16 by)
{
	*pos = (u16)(*pos + by);
	if (d->packed && *pos >= d->size) {
		*pos = (u16)(*pos - d->size);
		*wrap = !*wrap;
	}
}

/* A free id; a split one whose n-1 followers are free too, so that chains are runs. ~0: none. */
static inline u16 rd_free(const struct ring_driver *d, u16 n)
{
	u32 taken = 0;

	for (u32 i = 0; i < d->size; i++)
		taken += d->slots[i];
	if (taken + n > d->size)
		return UINT16_MAX;
	for (u16 i = 0; i < d->size; i++) {
		u16 k = 0;

		while (k < (d->packed ? 1 : n) && i + k < d->size && !d->slots[i + k])
			k++;
		if (k == (d->packed ? 1 : n))
			return i;
	}
	return UINT16_MAX;
}

static inline u16 rd_flags(const struct rd_buf *buf, u32 i, u32 n)
{
	return (u16)((buf[i].in ? VRING_DESC_F_WRITE : 0) | (i + 1 < n ? VRING_DESC_F_NEXT : 0));
}

/* Makes the head available, its descriptors being in place. */
static inline void rd_expose(struct ring_driver *d, u16 id, u16 slots, u16 head_flags)
{
	u16 *avail = rd_avail_ring(d);

	d->slots[id] = slots;
	if (d->packed) {
		u16 *flags = (u16 *)rd_ptr(d, d->vq.desc_gpa) + d->avail * 8 + 7;

		head_flags |= rd_avail_flags(d);
		rd_step(d, &d->avail, &d->avail_wrap, slots);
		ring_store(flags, head_flags);
	} else {
		avail[2 + d->avail % d->size] = htole16(id);
		d->avail++;
		ring_store(&avail[1], d->avail);
	}
	d->since = (u16)(d->since + (d->packed ? slots : 1));
}

/* Adds a buffer of n pieces: its id, or UINT16_MAX when the ring is full. table: gpa of an indirect one, or
 * 0. */
static inline u16 rd_add(struct ring_driver *d, const struct rd_buf *buf, u16 n, gpa_t table)
{
	u16 slots = table ? 1 : n, id = rd_free(d, slots), pos = d->avail;
	bool wrap = d->avail_wrap, was = d->avail_wrap;
	u16 head = 0;

	if (id == UINT16_MAX)
		return id;
	for (u16 i = 0; table && i < n; i++)
		rd_desc(d, table, i, buf[i].gpa, buf[i].len,
			(u16)(d->packed ? rd_flags(buf, i, n) & VRING_DESC_F_WRITE : rd_flags(buf, i, n)),
			(u16)(i + 1));
	for (u16 i = 0; i < slots; i++) {
		u16 flags = table ? VRING_DESC_F_INDIRECT : rd_flags(buf, i, n);
		gpa_t gpa = table ? table : buf[i].gpa;
		u32 len = table ? n * 16u : buf[i].len;

		if (!i)
			head = flags;
		if (!d->packed) {
			rd_desc(d, d->vq.desc_gpa, id + i, gpa, len, flags, (u16)(id + i + 1));
			if (i)
				d->slots[id + i] = 1;
			continue;
		}
		/* The head's flags come last, in rd_expose(): until then they are those of the lap before. */
		d->avail_wrap = wrap;
		rd_desc(d, d->vq.desc_gpa, pos, gpa, len,
			i ? (u16)(flags | rd_avail_flags(d))
			  : ring_load((u16 *)rd_ptr(d, d->vq.desc_gpa) + pos * 8 + 7),
			id);
		rd_step(d, &pos, &wrap, 1);
	}
	d->avail_wrap = was;
	rd_expose(d, id, d->packed ? slots : 1, head);
	return id;
}

/* Whether the device is to be notified of what was added since the last time. */
static inline bool rd_wants_kick(struct ring_driver *d)
{
	u16 *used = rd_used_ring(d), since = d->since;

	d->since = 0;
	ring_fence();
	if (!d->packed && !d->vq.event_idx)
		return !(ring_load(used) & VRING_USED_F_NO_NOTIFY);
	if (!d->packed)
		return ring_crosses(ring_load(&used[2 + 4 * d->size]), d->avail, (u16)(d->avail - since));
	if (ring_load(&used[1]) == VRING_PACKED_EVENT_FLAG_DESC) {
		u16 at = ring_load(&used[0]), off = at & 0x7fff;

		if (at >> 15 != d->avail_wrap)
			off = (u16)(off - d->size);
		return ring_crosses(off, d->avail, (u16)(d->avail - since));
	}
	return ring_load(&used[1]) == VRING_PACKED_EVENT_FLAG_ENABLE;
}

/* Takes a used buffer: its id, or UINT16_MAX for none; *len is what was written. */
static inline u16 rd_used(struct ring_driver *d, u32 *len)
{
	u16 *used = rd_used_ring(d), id, n;

	if (d->packed) {
		struct vring_packed_desc *e = (struct vring_packed_desc *)rd_ptr(d, d->vq.desc_gpa) + d->used;
		u16 flags = ring_load(&e->flags);

		if ((flags >> VRING_PACKED_DESC_F_AVAIL & 1) != d->used_wrap ||
		    (flags >> VRING_PACKED_DESC_F_USED & 1) != d->used_wrap)
			return UINT16_MAX;
		id = le16toh(e->id);
		*len = le32toh(e->len);
	} else {
		struct vring_used_elem *e = (struct vring_used_elem *)(void *)(used + 2);

		if (ring_load(&used[1]) == d->used)
			return UINT16_MAX;
		e += d->used % d->size;
		id = (u16)le32toh(e->id);
		*len = le32toh(e->len);
	}
	n = d->slots[id];
	if (!d->packed) {
		const struct vring_desc *desc = rd_ptr(d, d->vq.desc_gpa);

		d->used++;
		for (u16 i = id; d->slots[i] = 0, le16toh(desc[i].flags) & VRING_DESC_F_NEXT; i++)
			;
		return id;
	}
	rd_step(d, &d->used, &d->used_wrap, n);
	d->slots[id] = 0;
	return id;
}

/* Asks for an interrupt at the next used buffer, or for none. */
static inline void rd_interrupts(struct ring_driver *d, bool on)
{
	u16 *avail = rd_avail_ring(d);

	if (d->packed) {
		ring_store(&avail[0], (u16)(d->used | d->used_wrap << 15));
		ring_store(&avail[1], !on		? VRING_PACKED_EVENT_FLAG_DISABLE
				      : d->vq.event_idx ? VRING_PACKED_EVENT_FLAG_DESC
							: VRING_PACKED_EVENT_FLAG_ENABLE);
	} else {
		ring_store(&avail[0], on ? 0 : VRING_AVAIL_F_NO_INTERRUPT);
		ring_store(&avail[2 + d->size], (u16)(on ? d->used : d->used - 1));
	}
	ring_fence();
}

/* ---- what tests of the ring begin with ------------------------------------------------------------ */

#define RD_ROOM 64

struct rd_kind {
	u16 size;
	bool packed, event_idx;
};

struct rd_popped {
	struct iovec iov[RD_ROOM];
	struct vq_chain chain;
};

/* A queue that is ready, whose driver wants interrupts. */
__unused static struct ring_driver *rd_ready(const struct rd_kind *k)
{
	struct ring_driver *d = rd_create(k->size, k->packed, k->event_idx);

	if (vq_setup(&d->vq, &d->kvm.mem))
		abort();
	rd_interrupts(d, true);
	return d;
}

__unused static int rd_pop(struct ring_driver *d, struct rd_popped *p)
{
	p->chain.iov = p->iov;
	p->chain.room = RD_ROOM;
	return vq_pop(&d->vq, &p->chain);
}

#endif

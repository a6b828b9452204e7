/* SPDX-License-Identifier: MIT */
/*
 * Split rings (virtio 1.2, 2.7): descriptor table, avail ring, used ring. All with vq->lock held; only the
 * driver writes the first two, only we the third.
 */
#ifndef LKVM_VIRTIO_SPLIT_H
#define LKVM_VIRTIO_SPLIT_H

#include "ring.h"

/* The avail ring: flags, index, entries, used_event. The used ring: flags, index, entries, avail_event. */
enum { FIELD_FLAGS = 0, FIELD_INDEX = 1, FIELD_RING = 2 };

static u16 *avail_field(const struct virtqueue *vq, u32 i)
{
	return (u16 *)vq->avail + i;
}

static u16 *used_field(const struct virtqueue *vq, u32 i)
{
	return (u16 *)vq->used + i;
}

static u16 *used_event(const struct virtqueue *vq)
{
	return avail_field(vq, FIELD_RING + (u32)vq->size);
}

static u16 *avail_event(const struct virtqueue *vq)
{
	return used_field(vq, FIELD_RING + 4 * (u32)vq->size);
}

/* Follows a chain from its head. An indirect table may only stand at its end (2.7.5.3). */
static inline int split_walk(struct virtqueue *vq, struct vq_chain *chain, u32 head)
{
	struct walk w = walk_begin(vq, chain);
	const void *table = vq->desc;
	u32 n = vq->size, i = head;
	struct vq_desc d;

	do {
		if (unlikely(i >= n))
			return -EPROTO;
		d = split_desc(table, i);
		i = d.next;
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (table != vq->desc || d.flags & VRING_DESC_F_NEXT)
				return -EPROTO;
			table = indirect_table(vq, d.addr, d.len);
			if (!table)
				return -EPROTO;
			n = TABLE_ENTRIES(d.len);
			i = 0;
			d.flags = VRING_DESC_F_NEXT;
		} else if (walk_add(vq, &w, d)) {
			return -EPROTO;
		}
	} while (d.flags & VRING_DESC_F_NEXT);
	return walk_end(w, chain);
}

static inline int split_pop(struct virtqueue *vq, struct vq_chain *chain)
{
	u16 head;

	if (vq->avail_seen == vq->next_avail) {
		vq->avail_seen = ring_load(avail_field(vq, FIELD_INDEX));
		if (vq->avail_seen == vq->next_avail)
			return 0;
		if ((u16)(vq->avail_seen - vq->next_avail) > vq->size)
			return -EPROTO;
	}
	head = ring_load(avail_field(vq, FIELD_RING + (vq->next_avail & (vq->size - 1u))));
	chain->id = head;
	vq->next_avail++;
	return split_walk(vq, chain, head) ? -EPROTO : 1;
}

static inline void split_push(struct virtqueue *vq, const struct vq_chain *chain, u32 written)
{
	u32 *element = (u32 *)vq->used + 1 + 2 * (vq->next_used & (vq->size - 1u));

	/* Plain stores: nobody looks before the index says so. */
	element[0] = htole32(chain->id);
	element[1] = htole32(written);
	vq->next_used++;
	vq->staged++;
}

static inline bool split_publish(struct virtqueue *vq)
{
	u16 old = (u16)(vq->next_used - vq->staged);

	ring_store(used_field(vq, FIELD_INDEX), vq->next_used);
	ring_fence();
	if (vq->event_idx)
		return ring_crosses(ring_load(used_event(vq)), vq->next_used, old);
	return !(ring_load(avail_field(vq, FIELD_FLAGS)) & VRING_AVAIL_F_NO_INTERRUPT);
}

static inline void split_quiet(struct virtqueue *vq)
{
	/* With the event index the event last asked for is past by now, which is quiet enough. */
	if (!vq->event_idx)
		ring_store(used_field(vq, FIELD_FLAGS), VRING_USED_F_NO_NOTIFY);
}

static inline bool split_listen(struct virtqueue *vq)
{
	if (vq->event_idx)
		ring_store(avail_event(vq), vq->next_avail);
	else
		ring_store(used_field(vq, FIELD_FLAGS), 0);
	ring_fence();
	return ring_load(avail_field(vq, FIELD_INDEX)) != vq->next_avail;
}

#endif

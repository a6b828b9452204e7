/* SPDX-License-Identifier: MIT */
/*
 * Packed rings (virtio 1.2, 2.8): one ring of descriptors, in which the driver makes buffers available and we
 * say what was used, and a small area each way for what either wants to be told. All with vq->lock held.
 */
#ifndef LKVM_VIRTIO_PACKED_H
#define LKVM_VIRTIO_PACKED_H

#include "ring.h"

#define DESC_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define DESC_USED  (1u << VRING_PACKED_DESC_F_USED)
#define EVENT_WRAP (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

/* The flags of a descriptor in the ring, which are what is loaded first and stored last. */
static u16 *desc_flags(const struct virtqueue *vq, u32 i)
{
	return (u16 *)vq->desc + i * 8 + 7;
}

/* A position so many entries on, at the most one lap. */
static void advance(const struct virtqueue *vq, u16 *pos, bool *wrap, u16 by)
{
	u32 to = (u32)*pos + by;

	if (to >= vq->size) {
		to -= vq->size;
		*wrap = !*wrap;
	}
	*pos = (u16)to;
}

/* Available: AVAIL is as our wrap counter, USED is not (2.8.1). */
static bool is_available(const struct virtqueue *vq)
{
	u16 flags = ring_load(desc_flags(vq, vq->next_avail));

	return !(flags & DESC_AVAIL) != vq->avail_wrap && !(flags & DESC_USED) == vq->avail_wrap;
}

/* Every entry of an indirect table is one of the buffer's; of its flags only WRITE counts (2.8.7). */
static inline int packed_indirect(struct virtqueue *vq, struct vq_chain *chain, u64 addr, u32 len)
{
	struct walk w = walk_begin(vq, chain);
	const void *table = indirect_table(vq, addr, len);

	if (!table)
		return -EPROTO;
	for (u32 i = 0; i < TABLE_ENTRIES(len); i++)
		if (walk_add(vq, &w, packed_desc(table, i)))
			return -EPROTO;
	return walk_end(w, chain);
}

/* Follows a chain from where we are: 0 or -EPROTO; *last is its last descriptor, *slots how many it has. */
static inline int packed_walk(struct virtqueue *vq, struct vq_chain *chain, u16 *id, u16 *slots)
{
	struct walk w = walk_begin(vq, chain);
	u32 pos = vq->next_avail, size = vq->size, n = 0;
	struct vq_desc d;

	do {
		if (n++ == size)
			return -EPROTO;
		d = packed_desc(vq->desc, pos);
		pos = pos + 1 == size ? 0 : pos + 1;
		*id = d.id;
		*slots = (u16)n;
		if (d.flags & VRING_DESC_F_INDIRECT)
			return n > 1 || d.flags & VRING_DESC_F_NEXT
				       ? -EPROTO
				       : packed_indirect(vq, chain, d.addr, d.len);
		if (walk_add(vq, &w, d))
			return -EPROTO;
	} while (d.flags & VRING_DESC_F_NEXT);
	return walk_end(w, chain);
}

static inline int packed_pop(struct virtqueue *vq, struct vq_chain *chain)
{
	u16 id, slots;

	if (!is_available(vq))
		return 0;
	if (packed_walk(vq, chain, &id, &slots))
		return -EPROTO;
	chain->id = id; /* the last descriptor's */
	chain->slots = slots;
	advance(vq, &vq->next_avail, &vq->avail_wrap, slots);
	return 1;
}

static inline void packed_unpop(struct virtqueue *vq, const struct vq_chain *chain)
{
	if (vq->next_avail < chain->slots) {
		vq->next_avail = (u16)(vq->next_avail + vq->size);
		vq->avail_wrap = !vq->avail_wrap;
	}
	vq->next_avail = (u16)(vq->next_avail - chain->slots);
}

static inline void packed_push(struct virtqueue *vq, const struct vq_chain *chain, u32 written)
{
	u16 flags = (u16)((vq->used_wrap ? DESC_AVAIL | DESC_USED : 0) | (written ? VRING_DESC_F_WRITE : 0));
	u8 *desc = (u8 *)vq->desc + vq->next_used * 16u;

	*(u32 *)(void *)(desc + 8) = htole32(written);
	*(u16 *)(void *)(desc + 12) = htole16(chain->id);
	/* The driver looks at one after the other: the first one's flags show them all. */
	if (vq->staged) {
		ring_store(desc_flags(vq, vq->next_used), flags);
	} else {
		vq->first = vq->next_used;
		vq->first_flags = flags;
	}
	advance(vq, &vq->next_used, &vq->used_wrap, chain->slots);
	vq->staged = (u16)(vq->staged + chain->slots);
}

static inline bool packed_publish(struct virtqueue *vq)
{
	u16 *event = vq->avail; /* offset and wrap counter; flags */
	u16 flags, at;

	ring_store(desc_flags(vq, vq->first), vq->first_flags);
	ring_fence();
	flags = ring_load(event + 1) & 3;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !vq->event_idx)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	at = ring_load(event);
	/* A position of the lap before lies behind us. */
	if (!(at & EVENT_WRAP) == vq->used_wrap)
		at = (u16)((at & ~EVENT_WRAP) - vq->size);
	else
		at &= (u16)~EVENT_WRAP;
	return ring_crosses(at, vq->next_used, (u16)(vq->next_used - vq->staged));
}

static inline void packed_quiet(struct virtqueue *vq)
{
	ring_store((u16 *)vq->used + 1, VRING_PACKED_EVENT_FLAG_DISABLE);
}

static inline bool packed_listen(struct virtqueue *vq)
{
	u16 *event = vq->used;

	if (vq->event_idx) {
		ring_store(event, (u16)(vq->next_avail | (vq->avail_wrap ? EVENT_WRAP : 0)));
		ring_store(event + 1, VRING_PACKED_EVENT_FLAG_DESC);
	} else {
		ring_store(event + 1, VRING_PACKED_EVENT_FLAG_ENABLE);
	}
	ring_fence();
	return is_available(vq);
}

#endif

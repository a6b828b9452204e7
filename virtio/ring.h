/* SPDX-License-Identifier: MIT */
/*
 * What the two kinds of ring have in common: a part of queue.c, with split.h and packed.h. All with vq->lock
 * held.
 */
#ifndef LKVM_VIRTIO_RING_H
#define LKVM_VIRTIO_RING_H

#include <endian.h>
#include <errno.h>
#include <lkvm/virtqueue.h>

/* Where the path that every buffer takes is told from the others. */
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A descriptor, of either ring or of an indirect table, as it was when it was read. */
struct vq_desc {
	u64 addr;
	u32 len;
	u16 id, flags; /* id: packed rings only */
	u16 next;      /* split rings only */
};

/* A word of a descriptor in guest memory: read once, and at any address (indirect tables have no alignment).
 */
typedef u64 __attribute__((aligned(1), may_alias)) guest_word;

/* Bytes 0 to 7 of a descriptor are its address, 8 to 11 its length; 12 to 15 differ. */
static inline u64 desc_word(const void *table, u32 i, u32 word)
{
	return le64toh(((const volatile guest_word *)((const u8 *)table + i * 16ull))[word]);
}

static inline struct vq_desc split_desc(const void *table, u32 i)
{
	u64 rest = desc_word(table, i, 1);

	return (struct vq_desc){.addr = desc_word(table, i, 0),
				.len = (u32)rest,
				.flags = (u16)(rest >> 32),
				.next = (u16)(rest >> 48)};
}

static inline struct vq_desc packed_desc(const void *table, u32 i)
{
	u64 rest = desc_word(table, i, 1);

	return (struct vq_desc){.addr = desc_word(table, i, 0),
				.len = (u32)rest,
				.id = (u16)(rest >> 32),
				.flags = (u16)(rest >> 48)};
}

/* 16-bit fields that the other side looks at while we do. */
static inline u16 ring_load(const u16 *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline void ring_store(u16 *p, u16 v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELEASE);
}

/* What we stored is seen before what we load next: a store into the ring, then the other side's wishes. */
static inline void ring_fence(void)
{
	__sync_synchronize(); /* as a fence of <stdatomic.h>, which the thread sanitizer does not have */
}

/*
 * A chain while it is followed, in registers: no address of it is ever taken but by what is inlined, for this
 * is the path that every buffer takes.
 */
struct walk {
	struct iovec *iov; /* where the next piece goes */
	struct iovec *in;  /* the first piece to write; NULL before there is one */
	u64 len, out_len;  /* of all pieces, and of those in front of `in` */
	u32 left;	   /* how many more descriptors, or pieces, there may be */
};

/* No more than there is room for, and no more than the queue has entries: also what ends a loop. */
static inline struct walk walk_begin(const struct virtqueue *vq, const struct vq_chain *chain)
{
	return (struct walk){.iov = chain->iov,
			     .left = chain->room < vq->size_max ? chain->room : vq->size_max};
}

/* A range that the bank of the last one does not hold, that goes over two, or is empty: its pieces, or
 * -EPROTO. */
int __must_check walk_slow(struct virtqueue *vq, u64 addr, u32 len, struct iovec *iov, int room);

/* Adds a descriptor's memory: 0 or -EPROTO. What we read comes before what we write (2.6.4.2). */
static inline __attribute__((always_inline)) int walk_add(struct virtqueue *vq, struct walk *w,
							  struct vq_desc d)
{
	u64 offset = d.addr - vq->bank_gpa;

	if (unlikely(!w->left--))
		return -EPROTO;
	if (!(d.flags & VRING_DESC_F_WRITE)) {
		if (unlikely(w->in))
			return -EPROTO;
	} else if (!w->in) {
		w->in = w->iov;
		w->out_len = w->len;
	}
	w->len += d.len;
	if (likely(offset < vq->bank_size && d.len - 1ull < vq->bank_size - offset)) {
		w->iov->iov_base = vq->bank_hva + offset;
		w->iov->iov_len = d.len;
		w->iov++;
	} else {
		int n = walk_slow(vq, d.addr, d.len, w->iov, (int)w->left + 1);

		if (n < 0)
			return n;
		w->iov += n;
		w->left -= n > 1 ? (u32)n - 1 : 0;
	}
	return 0;
}

/* What was found, into the chain. A sum of more than 32 bits has no answer: -EPROTO. */
static inline __attribute__((always_inline)) int walk_end(struct walk w, struct vq_chain *chain)
{
	u64 in_len = 0;

	if (w.in)
		in_len = w.len - w.out_len;
	else
		w = (struct walk){.in = w.iov, .iov = w.iov, .out_len = w.len};
	if (unlikely((w.out_len | in_len) >> 32))
		return -EPROTO;
	chain->nr_out = (u32)(w.in - chain->iov);
	chain->nr_in = (u32)(w.iov - w.in);
	chain->out_len = (u32)w.out_len;
	chain->in_len = (u32)in_len;
	return 0;
}

#define TABLE_ENTRIES(len) ((len) / (u32)sizeof(struct vring_desc))

/* The host address of an indirect table of len bytes; NULL when it is not to be had. */
static inline const void *indirect_table(const struct virtqueue *vq, u64 addr, u32 len)
{
	u64 offset = addr - vq->bank_gpa;

	if (!vq->indirect || !len || len % sizeof(struct vring_desc) || TABLE_ENTRIES(len) > vq->size_max)
		return NULL;
	if (likely(offset < vq->bank_size && len <= vq->bank_size - offset))
		return vq->bank_hva + offset;
	return guest_ptr(vq->mem, addr, len);
}

/* The event asked for lies in (old, now], as all three count modulo 2^16 (2.7.7.2). */
static inline bool ring_crosses(u16 event, u16 now, u16 old)
{
	return (u16)(now - event - 1) < (u16)(now - old);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Virtqueues (virtio 1.2, 2.6 to 2.8): split and packed rings, indirect descriptors, event index. The one
 *place that reads and writes rings. Nothing of what the guest wrote is trusted: each descriptor is read once,
 *into a copy, and checked there; addresses become host pointers by the memory's table; a chain is no longer
 *than the queue. Whatever is wrong makes vq_pop() fail with -EPROTO and the device ask for a reset.
 *
 * A ring is touched with its queue's lock held. Order: dev, vq->lock, vdev->isr_lock, pci, irq.
 *
 *	struct iovec iov[ROOM];
 *	struct vq_chain chain = {.iov = iov, .room = ROOM};
 *
 *	do {
 *		vq_quiet(vq);				no notifications while we look
 *		while ((n = vq_pop(vq, &chain)) > 0)
 *			vq_push(vq, &chain, device_does(&chain));
 *		vq_flush(vq);				the driver sees them, and has its interrupt
 *	} while (n == 0 && vq_listen(vq));		notifications again; true: more came meanwhile
 */
#ifndef LKVM_VIRTQUEUE_H
#define LKVM_VIRTQUEUE_H

#include <linux/virtio_ring.h>
#include <lkvm/mem.h>
#include <lkvm/types.h>
#include <pthread.h>

struct state;
struct virtio_device;

#define VQ_SIZE_MAX 1024

/* One buffer that the driver made available. */
struct vq_chain {
	/*
	 * The caller's, set before vq_pop(): room for the pieces of host memory. A chain of more pieces than
	 * that is -EPROTO: the room is what the driver was told (seg_max), the pieces of the device's own
	 * headers, and two for ranges that cross memory banks.
	 */
	struct iovec *iov;
	u32 room;
	u32 nr_out, nr_in;   /* iov[0 .. nr_out) is device-readable, the nr_in after it are device-writable */
	u32 out_len, in_len; /* bytes of either */
	u16 id;		     /* split: head index; packed: buffer id */
	u16 slots;	     /* packed: entries of the ring that it took */
};

struct virtqueue {
	pthread_mutex_t lock;
	struct virtio_device *vdev;
	u16 index;
	u16 size_max; /* the device's */

	/* The driver's choices, changed through the transport with dev->lock held, constant while ready. */
	u16 size;
	u16 vector;			   /* of MSI-X; VIRTIO_NO_VECTOR */
	u64 desc_gpa, avail_gpa, used_gpa; /* packed: descriptor ring, driver area, device area */

	/* The rest with vq->lock held. */
	bool ready;
	bool broken; /* -EPROTO was given: nothing is popped any more */
	bool packed, indirect, event_idx;
	const struct guest_mem *mem;
	u64 bank_gpa, bank_size; /* the bank of memory that answered last */
	u8 *bank_hva;
	void *desc, *avail, *used;  /* the areas in host memory */
	u16 next_avail, next_used;  /* split: free-running; packed: positions in the ring */
	u16 avail_seen;		    /* split: the avail index when last looked at */
	bool avail_wrap, used_wrap; /* packed */
	u16 staged;		    /* entries of the ring pushed since the last flush */
	u16 first, first_flags;	    /* packed: where the first of them lies, and its flags-to-be */
	u16 inflight;		    /* chains popped and not yet pushed */
};

/*
 * Addresses, size and kind of ring are set: finds the areas, from where the ring was left (state) or its
 * beginning. -EINVAL when they are not aligned or not in RAM.
 */
int __must_check vq_setup(struct virtqueue *vq, const struct guest_mem *mem);
/* Forgets all that the driver set up. With vq->lock held, nothing in flight. */
void vq_reset(struct virtqueue *vq);

/* 1 and *chain; 0: none is there, or the queue is not ready; -EPROTO: the ring is not to be trusted. */
int __must_check vq_pop(struct virtqueue *vq, struct vq_chain *chain);
/* Gives the chain that was popped last back to the ring: the next pop gives it again. */
void vq_unpop(struct virtqueue *vq, const struct vq_chain *chain);
/* Returns a chain with so many bytes written into it; the driver sees it after vq_flush(). Any order. */
void vq_push(struct virtqueue *vq, const struct vq_chain *chain, u32 written);
/* Makes all that was pushed visible at once, and interrupts the driver if it wants that. */
void vq_flush(struct virtqueue *vq);
/* Asks the driver not to notify; a hint. */
void vq_quiet(struct virtqueue *vq);
/* Asks for a notification of the next buffer. True when there is one already: then look again. */
bool __must_check vq_listen(struct virtqueue *vq);

/* The ring's fields, inside the device's section. After a restore of a ready queue vq_setup() is to follow.
 */
void vq_state(struct virtqueue *vq, struct state *s);

/* --- what devices do with a chain's pieces (virtio/chain.c) ------------------------------------------ */

/* Copies up to len bytes out of the readable part, from `offset` on: how many there were. */
size_t chain_read(const struct vq_chain *chain, size_t offset, void *buf, size_t len);
/* Copies up to len bytes into the writable part, from `offset` on: how many there was room for. */
size_t chain_write(const struct vq_chain *chain, size_t offset, const void *buf, size_t len);
/*
 * The pieces of iov[0 .. n) that hold [offset, offset + len), as iovecs of their own: how many. -E2BIG when
 * `max` is too few, -EINVAL when the pieces are shorter than that.
 */
int __must_check iov_slice(const struct iovec *iov, u32 n, size_t offset, size_t len, struct iovec *out,
			   u32 max);

#endif

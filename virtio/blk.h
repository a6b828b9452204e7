/* SPDX-License-Identifier: MIT */
/* What virtio/blk.c, the device, and virtio/blk-io.c, its queues' work, share. */
#ifndef LKVM_VIRTIO_BLK_H
#define LKVM_VIRTIO_BLK_H

#include <linux/virtio_blk.h>
#include <lkvm/block.h>
#include <lkvm/virtio.h>
#include <lkvm/worker.h>

#define BLK_QUEUE_SIZE 256
#define BLK_SEG_MAX    (BLK_QUEUE_SIZE - 2)    /* data segments of a request */
#define BLK_PIECES     (BLK_SEG_MAX + 2 + 2)   /* header, status, and crossings of memory banks */
#define BLK_RANGE_MAX  (GiB(1) / BLOCK_SECTOR) /* sectors of one discard */
#define BLK_SERIAL     20

struct blk_queue;

/* One per entry of the ring. Under vq->lock. */
struct blk_request {
	struct block_req req;
	struct blk_queue *queue;
	struct vq_chain chain;
	u8 *status; /* in guest memory */

	struct blk_request *next;
	struct iovec iov[BLK_PIECES];
};

/* Indexes of count[]. */
enum { BLK_READS, BLK_WRITES, BLK_FLUSHES, BLK_DISCARDS, BLK_ZERO, BLK_ERRORS, BLK_COUNTERS };

struct blk_queue {
	struct virtio_blk *blk;
	struct virtqueue *vq;
	struct worker worker;
	struct event_source done;
	struct block_queue *bq;
	struct blk_request *request, *free, *held;
	u64 count[BLK_COUNTERS];
	u64 bytes[2]; /* read, written */
};

struct virtio_blk {
	struct virtio_device vdev;
	struct block *block;
	char serial[BLK_SERIAL];
	bool stop_on_error;
	u32 nr_queues;
	struct blk_queue *queue;
	struct event_source stop; /* on the main loop: a request is held */
	_Atomic bool stopped;
	pthread_mutex_t lock; /* rl */
	struct ratelimit rl;
};

/* blk-io.c. Members of struct virtio_ops, */
void blk_notify(struct virtio_device *vdev, struct virtqueue *vq);
void blk_drain(struct virtio_device *vdev, struct virtqueue *vq);
/* and of the source of a queue's disk. */
void blk_on_disk(struct event_source *src, u32 events);

static inline struct virtio_blk *blk_of(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_blk, vdev);
}

#endif

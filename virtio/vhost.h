/* SPDX-License-Identifier: MIT */
/*
 * vhost: the kernel serves a virtqueue in our place (<linux/vhost.h>). It reads and writes the ring and the
 * buffers by the same memory table that we have, waits on the queue's notification eventfd, and signals
 * another one for interrupts. Split rings only.
 *
 * A queue is the kernel's from vhost_ring_start() to vhost_ring_stop(); in between nobody touches its ring
 * here. All of it with dev->lock held, or while the VM is built and taken down.
 */
#ifndef LKVM_VIRTIO_VHOST_H
#define LKVM_VIRTIO_VHOST_H

#include <linux/vhost.h>
#include <lkvm/virtio.h>

/* Features of the core's that no queue served by vhost has: it cannot be given back one ring at a time. */
#define VHOST_WITHOUT (VIRTIO_BIT(VIRTIO_F_RING_PACKED) | VIRTIO_BIT(VIRTIO_F_RING_RESET))

struct vhost {
	int fd; /* -1: not open */
	struct virtio_device *vdev;
	u64 features; /* the kernel's */
};

struct vhost_ring {
	struct vhost *vhost;
	struct virtqueue *vq;
	u32 index;		       /* among the kernel device's rings */
	struct event_source call, err; /* eventfds on the main loop */
	bool live;
};

/* Opens the device node and makes this process its owner: 0, or -errno, silent. */
int __must_check vhost_open(struct vhost *vhost, struct virtio_device *vdev, const char *node);
void vhost_close(struct vhost *vhost);
/* What the driver accepted, and the VM's memory; before rings start. -errno, silent. */
int __must_check vhost_set_up(struct vhost *vhost);

/* Eventfds for the ring's interrupts and faults, on the main loop while the VM runs. -errno, silent. */
int __must_check vhost_ring_create(struct vhost_ring *ring, struct vhost *vhost, struct virtqueue *vq,
				   u32 index);
int __must_check vhost_ring_listen(struct vhost_ring *ring); /* main thread; undone by vhost_ring_destroy() */
void vhost_ring_destroy(struct vhost_ring *ring);	     /* of one that is all zeroes, too */
/* Gives the kernel a ring that is ready. The owner then names the backend. -errno, silent. */
int __must_check vhost_ring_start(struct vhost_ring *ring);
/* Takes it back where the kernel left it; the backend is gone already. */
void vhost_ring_stop(struct vhost_ring *ring);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices (virtio 1.2): status, features, configuration space and queues, on a transport. A device's
 * file (virtio/rng.c is the one to copy) has a struct with `struct virtio_device` first, a const struct
 * virtio_ops, a const struct device_ops whose common members are the virtio_device_* functions below, and a
 * line in devices/table.c.
 *
 * Threads. The driver's accesses come from vCPU threads with dev->lock held. A queue's notifications come on
 * the loop that the device named for it: the main loop, for small devices that finish at once, or a worker's.
 * A device that has requests in flight outside of notify() finishes them on a worker's thread, never on the
 * main loop's, for a reset waits for them; so worker threads never take dev->lock.
 */
#ifndef LKVM_VIRTIO_H
#define LKVM_VIRTIO_H

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <lkvm/device.h>
#include <lkvm/event.h>
#include <lkvm/log.h>
#include <lkvm/virtqueue.h>
#include <stdatomic.h>

struct virtio_device;
struct virtio_transport;

#define VIRTIO_MAX_QUEUES 128
#define VIRTIO_CONFIG_MAX 256 /* bytes of device-specific configuration space */
#define VIRTIO_NO_VECTOR  0xffff

#ifndef VIRTIO_F_RING_RESET
#define VIRTIO_F_RING_RESET 40
#endif
#define VIRTIO_BIT(n) (1ull << (n))

struct virtio_ops {
	u16 id;	   /* VIRTIO_ID_* */
	u32 class; /* of a PCI function: 0x010000 */
	/* The driver wrote into configuration space, which holds it already; dev->lock held. May be NULL. */
	void (*config_written)(struct virtio_device *vdev, u32 offset, u32 len);
	/* DRIVER_OK: features are final, queues are set up. dev->lock held. May be NULL. */
	void (*ready)(struct virtio_device *vdev);
	/* The driver notified of the queue, or may have: on the queue's loop, vq->lock held. */
	void (*notify)(struct virtio_device *vdev, struct virtqueue *vq);
	/*
	 * Waits until nothing of the queue is in flight; what finishes meanwhile is pushed as ever, and
	 * vq_pop() gives nothing more. Before a reset of queue or device and before state is saved, dev->lock
	 * held, vq->lock not. NULL where notify() finishes all that it begins.
	 */
	void (*drain)(struct virtio_device *vdev, struct virtqueue *vq);
	/* The device was reset, its queues are not ready any more. dev->lock held. May be NULL. */
	void (*reset)(struct virtio_device *vdev);
	/* The device's own fields, inside its section; dev->lock held. May be NULL. */
	void (*state)(struct virtio_device *vdev, struct state *s);
};

/* How a queue's notifications arrive. */
struct vq_source {
	struct event_source src; /* src.fd: an eventfd, which KVM or the transport signals */
	struct event_loop
		*loop; /* the main one unless the device's create() sets another; NULL: who else reads it */
	struct virtqueue *vq;
};

struct virtio_device {
	struct device dev;
	const struct virtio_ops *ops;
	const struct virtio_transport *transport;
	void *transport_priv;

	/* From virtio_device_create() on. */
	u64 offered; /* features */
	u32 nr_queues;
	struct virtqueue *queue;
	struct vq_source *source;
	u32 config_size;
	/* Which bits of configuration space the driver may write; the device's create() sets them. */
	u8 config_mask[VIRTIO_CONFIG_MAX];

	/* dev->lock. */
	u64 wanted;   /* the features that the driver wrote */
	u64 accepted; /* those it got, from FEATURES_OK on */
	u32 features_sel, wanted_sel, queue_sel;

	_Atomic u8 status; /* changed with dev->lock held, but for NEEDS_RESET */
	/* isr_lock, which any thread may take, also with vq->lock held. */
	pthread_mutex_t isr_lock;
	u8 config[VIRTIO_CONFIG_MAX]; /* little-endian */
	u32 config_generation;
	u16 config_vector;
	u8 isr; /* bit 0: used buffers, bit 1: configuration */
	struct ratelimit rl;
};

struct virtio_setup {
	const struct virtio_ops *ops;
	u64 features; /* the device type's own; the core adds the rings' */
	u64 without;  /* features of the core's that it cannot have (vhost: packed rings) */
	u32 nr_queues;
	u16 queue_size; /* of each: a power of 2, VQ_SIZE_MAX at the most */
	const void *config;
	u32 config_size;
};

/* Makes queues and transport; from device_ops.create. -errno after one logged line, -ENOMEM and -ENOSPC
 * without. */
int __must_check virtio_device_create(struct virtio_device *vdev, const struct virtio_setup *setup);

/* Members of every virtio device's device_ops; one that needs more calls them from its own. */
int virtio_device_start(struct device *dev); /* adds the queues' sources: before the device's worker starts */
void virtio_device_stop(struct device *dev); /* after the device's worker stopped */
void virtio_device_reset(struct device *dev);
int virtio_device_describe(const struct device *dev, struct fdt *fdt);
void virtio_device_describe_acpi(const struct device *dev, struct aml *aml);
int virtio_device_state(struct device *dev, struct state *s);
void virtio_device_destroy(struct device *dev); /* also after a failed virtio_device_create() */

static inline struct virtio_device *virtio_of(struct device *dev)
{
	return container_of(dev, struct virtio_device, dev);
}

static inline bool virtio_has(const struct virtio_device *vdev, u32 feature)
{
	return vdev->accepted >> feature & 1;
}

/* DRIVER_OK, and nothing has gone wrong since. Any thread. */
static inline bool virtio_is_ready(const struct virtio_device *vdev)
{
	u8 s = atomic_load(&vdev->status);

	return (s & VIRTIO_CONFIG_S_DRIVER_OK) && !(s & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* Has notify() called again: for a device that stops before a queue is empty, so that others get their turn.
 */
void virtio_queue_again(struct virtqueue *vq);
/* The device can't go on: NEEDS_RESET and a configuration interrupt. Any thread, vq->lock held or not. */
void virtio_needs_reset(struct virtio_device *vdev, const char *why);
/* Changes configuration space and tells the driver of it. Any thread, isr_lock not held. */
void virtio_config_set(struct virtio_device *vdev, u32 offset, const void *data, u32 len);

#endif

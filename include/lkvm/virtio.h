/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices (virtio 1.2): status, features, configuration space and queues, on a transport. A device's
 * file (virtio/rng.c is the one to copy) has a struct with `struct virtio_device` first, a const struct
 * virtio_ops, a const struct device_ops whose common members are the virtio_device_* functions below, and a
 * line in devices/table.c.
 *
 * Threads. The driver's accesses come from vCPU threads with dev->lock held. Queue notifications come on the
 * loop that the device named for the queue (vq_source below): the main loop, for small devices that finish at
 * once, or a worker's. notify() takes vq->lock around its work on the ring. A device that has requests in
 * flight outside of notify() finishes them on a worker thread, never on the main loop, for a reset waits for
 * them.
 */
#ifndef LKVM_VIRTIO_H
#define LKVM_VIRTIO_H

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <lkvm/device.h>
#include <lkvm/event.h>
#include <lkvm/virtqueue.h>
#include <pthread.h>
#include <stdatomic.h>

struct virtio_device;

#define VIRTIO_MAX_QUEUES 64
#define VIRTIO_NO_VECTOR  0xffff

#ifndef VIRTIO_F_RING_RESET
#define VIRTIO_F_RING_RESET 40
#endif
#define VIRTIO_BIT(n) (1ull << (n))

struct virtio_ops {
	u16 id;	   /* VIRTIO_ID_* */
	u32 class; /* PCI class code, 0x010000 */
	/* Bytes written into configuration space (vdev->config is changed already by what config_mask lets);
	 * or NULL. dev->lock held. */
	void (*config_written)(struct virtio_device *vdev, u32 offset, u32 len);
	/* DRIVER_OK: features are final, queues may be used. dev->lock held. May be NULL. */
	void (*ready)(struct virtio_device *vdev);
	/* The driver notified of the queue; on the queue's loop. */
	void (*notify)(struct virtio_device *vdev, struct virtqueue *vq);
	/*
	 * Stops work on the queue, waits until nothing of it is in flight (what finishes meanwhile is still
	 * pushed). Called for each ready queue before a reset of it or of the device, and before state is
	 * saved. dev->lock held, vq->lock not. NULL where notify() finishes all it begins.
	 */
	void (*drain)(struct virtio_device *vdev, struct virtqueue *vq);
	/* The device was reset, all queues with it. dev->lock held. May be NULL. */
	void (*reset)(struct virtio_device *vdev);
	/* The device's own fields, inside its section; may be NULL. dev->lock held. */
	void (*state)(struct virtio_device *vdev, struct state *s);
};

/* How a queue's notifications arrive. */
struct vq_source {
	struct event_source src; /* its fd: an eventfd that KVM or the transport signals */
	struct event_loop *loop; /* NULL: the main loop */
	struct virtqueue *vq;
};

struct virtio_transport;

struct virtio_device {
	struct device dev;
	const struct virtio_ops *ops;
	const struct virtio_transport *transport;
	void *transport_priv;

	/* Set by virtio_device_create(), constant. */
	u64 offered; /* features, the ring's own included */
	u32 nr_queues;
	struct virtqueue *queue;
	struct vq_source *source;

	/* dev->lock. */
	u64 accepted;		  /* features; final from FEATURES_OK on */
	u8 *config, *config_mask; /* config_size bytes, little-endian; which bits the driver may write */
	u32 config_size;
	u32 features_sel, driver_features_sel, queue_sel;

	_Atomic u8 status;
	_Atomic u32 config_generation;
	u16 config_vector;
	pthread_mutex_t isr_lock;
	u8 isr; /* isr_lock: bit 0 used buffers, bit 1 configuration */
	struct ratelimit rl;
};

struct virtio_setup {
	const struct virtio_ops *ops;
	u64 features; /* the device type's own; the core adds the ring's */
	u64 without;  /* of the core's: those it cannot have (vhost: packed rings) */
	u32 nr_queues;
	u16 queue_size; /* of each: a power of 2, at most VQ_SIZE_MAX */
	const void *config;
	u32 config_size;
};

/* Makes queues and transport; from device_ops.create. The device then sets source[i].loop where it wants. */
int __must_check virtio_device_create(struct virtio_device *vdev, const struct virtio_setup *setup);

/* Members of every virtio device's device_ops; one that needs more calls them from its own. */
int virtio_device_start(struct device *dev); /* loops get their sources: before the device's worker starts */
void virtio_device_stop(struct device *dev); /* after the device's worker stopped */
void virtio_device_reset(struct device *dev);
int virtio_device_describe(const struct device *dev, struct fdt *fdt);
void virtio_device_describe_acpi(const struct device *dev, struct aml *aml);
int virtio_device_state(struct device *dev, struct state *s);
void virtio_device_destroy(struct device *dev);

static inline bool virtio_has(const struct virtio_device *vdev, u32 feature)
{
	return vdev->accepted >> feature & 1;
}

static inline bool virtio_is_ready(const struct virtio_device *vdev)
{
	u8 s = atomic_load(&vdev->status);

	return (s & VIRTIO_CONFIG_S_DRIVER_OK) && !(s & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* The device can't go on (a queue's -EPROTO): NEEDS_RESET, and a configuration interrupt. Any thread;
 * vq->lock may be held. */
void virtio_needs_reset(struct virtio_device *vdev, const char *why);
/* Changes configuration space and tells the driver. Any thread that does not hold dev->lock. */
void virtio_config_set(struct virtio_device *vdev, u32 offset, const void *data, u32 len);
/* For a device that lets the kernel work on a queue (vhost): the fds of its notifications and its interrupts.
 * See virtio/vhost.c. */

#endif

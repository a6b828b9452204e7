/* SPDX-License-Identifier: MIT */
/*
 * Between the core of a virtio device (core.c) and its transport (pci.c, mmio.c): the transport has the
 * registers and the interrupts, the core knows what they mean. With dev->lock held, where nothing else is
 * said.
 */
#ifndef LKVM_VIRTIO_TRANSPORT_H
#define LKVM_VIRTIO_TRANSPORT_H

#include <lkvm/virtio.h>

enum { VIRTIO_ISR_QUEUE = 0x1, VIRTIO_ISR_CONFIG = 0x2 };

struct virtio_transport {
	const char *name;
	/* Claims its place in the machine; from virtio_device_create(). */
	int (*create)(struct virtio_device *vdev);
	void (*destroy)(struct virtio_device *vdev);
	void (*reset)(struct virtio_device *vdev); /* the device was reset; may be NULL */
	/* Sends the vector's message: true; false where interrupts are a line. Any thread. May be NULL. */
	bool (*message)(struct virtio_device *vdev, u16 vector);
	/*
	 * For a queue that the kernel serves (vhost): the eventfd that sends the vector's message when it is
	 * signalled, or -errno where interrupts are a line. May be NULL.
	 */
	int (*vector_fd)(struct virtio_device *vdev, u16 vector);
	/* Drives the interrupt line. isr_lock held; any thread. */
	void (*set_line)(struct virtio_device *vdev, bool level);
	/* A queue became ready: notifications are to reach its eventfd. */
	void (*queue_ready)(struct virtio_device *vdev, struct virtqueue *vq);
	int (*describe)(const struct virtio_device *vdev, struct fdt *fdt);	  /* may be NULL */
	void (*describe_acpi)(const struct virtio_device *vdev, struct aml *aml); /* may be NULL */
	void (*state)(struct virtio_device *vdev, struct state *s);
};

extern const struct virtio_transport virtio_pci, virtio_mmio;

/* The interrupt of a queue (vq->lock held), or of a configuration change (NULL). Any thread. */
void virtio_interrupt(struct virtio_device *vdev, struct virtqueue *vq);
u8 virtio_isr(struct virtio_device *vdev);
/* Takes these bits out of the interrupt status, and says what it was. */
u8 virtio_isr_ack(struct virtio_device *vdev, u8 bits);

void virtio_set_status(struct virtio_device *vdev, u8 status); /* 0: reset */
u32 virtio_offered(const struct virtio_device *vdev, u32 sel);
void virtio_want(struct virtio_device *vdev, u32 sel, u32 bits);

/* The queue that queue_sel chose; NULL when there is none. */
struct virtqueue *virtio_queue(struct virtio_device *vdev);
/* Whether the driver may set it up now: features are agreed on, it is not in use. */
bool virtio_queue_writable(const struct virtio_device *vdev, const struct virtqueue *vq);
void virtio_queue_enable(struct virtio_device *vdev, struct virtqueue *vq);
void virtio_queue_reset(struct virtio_device *vdev, struct virtqueue *vq);
/* The driver notified of a queue by a register. */
void virtio_queue_notify(struct virtio_device *vdev, u32 index);

/* Device-specific configuration space, any width and place. */
void virtio_config_io(struct virtio_device *vdev, u64 offset, u8 *data, u32 len, bool write);
u32 virtio_generation(struct virtio_device *vdev);

/* Half of a 64-bit register, low or high. */
static inline void virtio_half(u64 *v, bool high, u32 half)
{
	*v = high ? (*v & UINT32_MAX) | (u64)half << 32 : (*v & ~(u64)UINT32_MAX) | half;
}

#endif

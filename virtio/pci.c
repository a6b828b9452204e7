/* SPDX-License-Identifier: MIT */
/*
 * Virtio over PCI (virtio 1.2, 4.1), modern devices only. One BAR has the registers, another the MSI-X table:
 *
 *   0000  common configuration      1000  interrupt status
 *   2000  device configuration      3000  notifications, 4 bytes a queue
 *
 * Notifications are ioeventfds that move with the BAR. The driver's accesses come with dev->lock held; what
 * follows the BAR is under the bus's lock.
 */
#include "transport.h"
#include <endian.h>
#include <errno.h>
#include <linux/virtio_pci.h>
#include <lkvm/bus.h>
#include <lkvm/kvm.h>
#include <lkvm/pci.h>
#include <lkvm/state.h>
#include <stdlib.h>
#include <string.h>

enum { BAR_REGS, BAR_MSIX };
enum {
	REGS_COMMON = 0x0000,
	REGS_ISR = 0x1000,
	REGS_DEVICE = 0x2000,
	REGS_NOTIFY = 0x3000,
	REGS_SIZE = 0x4000
};

#define NOTIFY_STEP	    4
#define VIRTIO_PCI_CFG_DATA 16 /* pci_cfg_data, behind the capability */
#define VIRTIO_PCI_VENDOR   0x1af4
#define VIRTIO_PCI_DEVICE   0x1040 /* and the device type's id */
#define COMMON_NOTIFY_DATA  56	   /* fields behind those of older kernel headers */
#define COMMON_RESET	    58
#define COMMON_SIZE	    60

struct virtio_pci {
	struct pci_function fn;
	struct virtio_device *vdev;
	struct msix *msix;
	u32 vectors;
	u32 window; /* where in config space the capability is that is a way to the BARs */
	/* bus->lock. */
	u64 base;		      /* of the registers, or PCI_BAR_OFF */
	bool live[VIRTIO_MAX_QUEUES]; /* the queue is to have its ioeventfd */
};

static struct virtio_pci *pci_of(const struct virtio_device *vdev)
{
	return vdev->transport_priv;
}

/* ---- notifications ------------------------------------------------------------------------------ */

/* With bus->lock held. Without an ioeventfd the write comes out as an access, and works as well. */
static void notify_fd(struct virtio_pci *p, u32 queue, bool on)
{
	struct kvm *kvm = p->vdev->dev.kvm;
	u64 gpa = p->base + REGS_NOTIFY + queue * NOTIFY_STEP;
	int fd = p->vdev->source[queue].src.fd, err;

	if (!on) {
		ioeventfd_deassign(kvm, BUS_MMIO, gpa, 0, NULL, fd);
		return;
	}
	err = ioeventfd_assign(kvm, BUS_MMIO, gpa, 0, NULL, fd);
	if (err < 0)
		log_debug(kvm->log, "%s: queue %u: no ioeventfd: %s", p->vdev->dev.name, queue,
			  strerror(-err));
}

static void notify_all(struct virtio_pci *p, bool on)
{
	for (u32 i = 0; p->base != PCI_BAR_OFF && i < p->vdev->nr_queues; i++)
		if (p->live[i])
			notify_fd(p, i, on);
}

static void virtio_pci_bar_moved(struct pci_function *fn, u32 bar, u64 base)
{
	struct virtio_pci *p = container_of(fn, struct virtio_pci, fn);

	if (bar != BAR_REGS)
		return;
	notify_all(p, false);
	p->base = base;
	notify_all(p, true);
}

/* It stays when the queue goes: what arrives then finds a queue that is not ready. */
static void virtio_pci_queue_ready(struct virtio_device *vdev, struct virtqueue *vq)
{
	struct virtio_pci *p = pci_of(vdev);

	pthread_mutex_lock(&p->fn.bus->lock);
	if (!p->live[vq->index]) {
		p->live[vq->index] = true;
		if (p->base != PCI_BAR_OFF)
			notify_fd(p, vq->index, true);
	}
	pthread_mutex_unlock(&p->fn.bus->lock);
}

/* ---- common configuration (4.1.4.3) ----------------------------------------------------------- */

/* All of it as it is now, for a read of any part. */
static void common_fill(struct virtio_device *vdev, u8 *regs)
{
	struct virtio_pci_common_cfg c = {
		.device_feature_select = htole32(vdev->features_sel),
		.device_feature = htole32(virtio_offered(vdev, vdev->features_sel)),
		.guest_feature_select = htole32(vdev->wanted_sel),
		.num_queues = htole16((u16)vdev->nr_queues),
		.device_status = atomic_load(&vdev->status),
		.config_generation = (u8)virtio_generation(vdev),
		.queue_select = htole16((u16)vdev->queue_sel),
	};
	const struct virtqueue *vq = virtio_queue(vdev);

	if (vdev->wanted_sel < 2)
		c.guest_feature = htole32((u32)(vdev->wanted >> 32 * vdev->wanted_sel));
	pthread_mutex_lock(&vdev->isr_lock);
	c.msix_config = htole16(vdev->config_vector);
	pthread_mutex_unlock(&vdev->isr_lock);
	if (vq) {
		c.queue_size = htole16(vq->size);
		c.queue_msix_vector = htole16(vq->vector);
		c.queue_enable = htole16(vq->ready);
		c.queue_notify_off = htole16(vq->index);
		c.queue_desc_lo = htole32((u32)vq->desc_gpa);
		c.queue_desc_hi = htole32((u32)(vq->desc_gpa >> 32));
		c.queue_avail_lo = htole32((u32)vq->avail_gpa);
		c.queue_avail_hi = htole32((u32)(vq->avail_gpa >> 32));
		c.queue_used_lo = htole32((u32)vq->used_gpa);
		c.queue_used_hi = htole32((u32)(vq->used_gpa >> 32));
	}
	memcpy(regs, &c, sizeof(c));
}

static u16 valid_vector(const struct virtio_device *vdev, u64 v)
{
	return v < pci_of(vdev)->vectors ? (u16)v : VIRTIO_NO_VECTOR;
}

/* Registers of the selected queue. dev->lock keeps all but the vector from changing under its worker. */
static void queue_write(struct virtio_device *vdev, u32 offset, u64 v)
{
	struct virtqueue *vq = virtio_queue(vdev);
	u64 *const address[] = {vq ? &vq->desc_gpa : NULL, vq ? &vq->avail_gpa : NULL,
				vq ? &vq->used_gpa : NULL};

	if (!vq)
		return;
	if (offset == VIRTIO_PCI_COMMON_Q_MSIX) {
		pthread_mutex_lock(&vq->lock);
		vq->vector = valid_vector(vdev, v);
		pthread_mutex_unlock(&vq->lock);
	} else if (offset == COMMON_RESET) {
		if (v == 1 && virtio_has(vdev, VIRTIO_F_RING_RESET))
			virtio_queue_reset(vdev, vq);
	} else if (!virtio_queue_writable(vdev, vq)) {
		return;
	} else if (offset == VIRTIO_PCI_COMMON_Q_SIZE) {
		vq->size = (u16)v;
	} else if (offset == VIRTIO_PCI_COMMON_Q_ENABLE) {
		if (v == 1)
			virtio_queue_enable(vdev, vq);
	} else {
		u32 half = (offset - VIRTIO_PCI_COMMON_Q_DESCLO) / 4;

		virtio_half(address[half / 2], half & 1, (u32)v);
	}
}

/* How wide the register at an offset is; those of 64 bits are two. 0: none begins there. */
static u32 common_width(u32 offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_STATUS:
		return 1;
	case VIRTIO_PCI_COMMON_MSIX:
	case VIRTIO_PCI_COMMON_Q_SELECT:
	case VIRTIO_PCI_COMMON_Q_SIZE:
	case VIRTIO_PCI_COMMON_Q_MSIX:
	case VIRTIO_PCI_COMMON_Q_ENABLE:
	case COMMON_RESET:
		return 2;
	case VIRTIO_PCI_COMMON_DFSELECT:
	case VIRTIO_PCI_COMMON_GFSELECT:
	case VIRTIO_PCI_COMMON_GF:
		return 4;
	default:
		return offset >= VIRTIO_PCI_COMMON_Q_DESCLO && offset < COMMON_NOTIFY_DATA && !(offset & 3)
			       ? 4
			       : 0;
	}
}

static void common_write(struct virtio_device *vdev, u32 offset, u64 v)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		vdev->features_sel = (u32)v;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		vdev->wanted_sel = (u32)v;
		break;
	case VIRTIO_PCI_COMMON_GF:
		virtio_want(vdev, vdev->wanted_sel, (u32)v);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		pthread_mutex_lock(&vdev->isr_lock);
		vdev->config_vector = valid_vector(vdev, v);
		pthread_mutex_unlock(&vdev->isr_lock);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		virtio_set_status(vdev, (u8)v);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		vdev->queue_sel = (u32)v;
		break;
	default:
		queue_write(vdev, offset, v);
		break;
	}
}

static void common_io(struct virtio_device *vdev, u32 offset, struct io *io)
{
	u8 regs[COMMON_SIZE] = {0};

	if (!io->write) {
		if (!range_inside(offset, io->len, 0, sizeof(regs)))
			return;
		common_fill(vdev, regs);
		memcpy(io->data, regs + offset, io->len);
	} else if (io->len == 8 && common_width(offset) == 4 && common_width(offset + 4) == 4) {
		common_write(vdev, offset, (u32)io_value(io));
		common_write(vdev, offset + 4, io_value(io) >> 32);
	} else if (io->len == common_width(offset)) {
		common_write(vdev, offset, io_value(io));
	}
}

/* ---- the BAR -------------------------------------------------------------------------------------- */

static void regs_io(struct device *dev, struct io *io, void *arg)
{
	struct virtio_device *vdev = arg;
	u32 offset = (u32)io->offset;

	if (offset < REGS_ISR) {
		common_io(vdev, offset - REGS_COMMON, io);
	} else if (offset < REGS_DEVICE) {
		/* Reading is what acknowledges it (4.1.4.5). */
		if (offset == REGS_ISR && !io->write)
			io_reply(io, virtio_isr_ack(vdev, 0xff));
	} else if (offset < REGS_NOTIFY) {
		virtio_config_io(vdev, offset - REGS_DEVICE, io->data, io->len, io->write);
	} else if (io->write) {
		virtio_queue_notify(vdev, (offset - REGS_NOTIFY) / NOTIFY_STEP);
	}
}

/*
 * The PCI configuration access capability (4.1.4.9): a window of 1, 2 or 4 bytes to a place in a BAR. The
 * data register is behind the numbers that say where.
 */
static void virtio_pci_window(struct pci_function *fn, u32 reg, u32 len, bool write)
{
	struct virtio_pci *p = container_of(fn, struct virtio_pci, fn);
	u8 *cap = fn->config + p->window, data[4];
	u32 bar, offset, width;

	if (!ranges_overlap(reg, len, p->window + VIRTIO_PCI_CFG_DATA, sizeof(data)))
		return;
	pthread_mutex_lock(&fn->bus->lock);
	bar = cap[VIRTIO_PCI_CAP_BAR];
	offset = pci_get32(cap, VIRTIO_PCI_CAP_OFFSET);
	width = pci_get32(cap, VIRTIO_PCI_CAP_LENGTH);
	memcpy(data, cap + VIRTIO_PCI_CFG_DATA, sizeof(data));
	pthread_mutex_unlock(&fn->bus->lock);
	if ((width != 1 && width != 2 && width != 4) || offset % width)
		return;
	pci_bar_access(fn, bar, offset, data, width, write);
	if (!write)
		pci_config_set(fn, p->window + VIRTIO_PCI_CFG_DATA, data, sizeof(data));
}

static bool virtio_pci_message(struct virtio_device *vdev, u16 vector)
{
	struct virtio_pci *p = pci_of(vdev);

	if (!msix_enabled(p->msix))
		return false;
	msix_signal(p->msix, vector);
	return true;
}

static int virtio_pci_vector_fd(struct virtio_device *vdev, u16 vector)
{
	struct virtio_pci *p = pci_of(vdev);

	return msix_enabled(p->msix) ? msix_fd(p->msix, vector) : -ENOTSUP;
}

static void virtio_pci_set_line(struct virtio_device *vdev, bool level)
{
	pci_set_intx(&pci_of(vdev)->fn, level);
}

/* ---- life ----------------------------------------------------------------------------------------- */

/* A capability that says where a structure is (4.1.4): 0 or -ENOSPC. */
static int add_cap(struct virtio_pci *p, u8 type, u32 offset, u32 length)
{
	u8 len = type == VIRTIO_PCI_CAP_NOTIFY_CFG || type == VIRTIO_PCI_CAP_PCI_CFG ? 20 : 16;
	int at = pci_cap_add(&p->fn, PCI_CAP_ID_VNDR, len);
	u8 *cap = p->fn.config + at;

	if (at < 0)
		return at;
	cap[VIRTIO_PCI_CAP_LEN] = len;
	cap[VIRTIO_PCI_CAP_CFG_TYPE] = type;
	cap[VIRTIO_PCI_CAP_BAR] = BAR_REGS;
	pci_put32(cap, VIRTIO_PCI_CAP_OFFSET, offset);
	pci_put32(cap, VIRTIO_PCI_CAP_LENGTH, length);
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		pci_put32(cap, VIRTIO_PCI_NOTIFY_CAP_MULT, NOTIFY_STEP);
	if (type == VIRTIO_PCI_CAP_PCI_CFG) {
		p->window = (u32)at;
		p->fn.write[at + VIRTIO_PCI_CAP_BAR] = 0xff;
		memset(p->fn.write + at + VIRTIO_PCI_CAP_OFFSET, 0xff, 12);
	}
	return 0;
}

static int add_caps(struct virtio_pci *p)
{
	static const struct {
		u8 type;
		u32 offset, length;
	} part[] = {
		{VIRTIO_PCI_CAP_COMMON_CFG, REGS_COMMON, COMMON_SIZE},
		{VIRTIO_PCI_CAP_ISR_CFG, REGS_ISR, 1},
		{VIRTIO_PCI_CAP_DEVICE_CFG, REGS_DEVICE, VIRTIO_CONFIG_MAX},
		{VIRTIO_PCI_CAP_NOTIFY_CFG, REGS_NOTIFY, NOTIFY_STEP},
		{VIRTIO_PCI_CAP_PCI_CFG, 0, 0},
	};
	int err = 0;

	for (u32 i = 0; i < ARRAY_SIZE(part) && !err; i++) {
		u32 n = part[i].type == VIRTIO_PCI_CAP_NOTIFY_CFG ? p->vdev->nr_queues : 1;

		/* A device without configuration space has no such structure. */
		if (part[i].type != VIRTIO_PCI_CAP_DEVICE_CFG || p->vdev->config_size)
			err = add_cap(p, part[i].type, part[i].offset, part[i].length * n);
	}
	return err;
}

static int virtio_pci_create(struct virtio_device *vdev)
{
	struct pci_bus *bus = pci_host_bus(vdev->dev.kvm);
	struct pci_ident ident = {
		.vendor = VIRTIO_PCI_VENDOR,
		.device = (u16)(VIRTIO_PCI_DEVICE + vdev->ops->id),
		.subsystem_vendor = VIRTIO_PCI_VENDOR,
		.subsystem = (u16)(VIRTIO_PCI_DEVICE + vdev->ops->id),
		.class = vdev->ops->class,
		.revision = 1,
		.pin = 1,
	};
	struct virtio_pci *p;
	int err;

	if (!bus) {
		log_error("%s: this machine has no PCI bus: --virtio-transport=mmio", vdev->dev.name);
		return -ENOTSUP;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	vdev->transport_priv = p;
	p->vdev = vdev;
	p->base = PCI_BAR_OFF;
	p->vectors = vdev->nr_queues + 1;
	pci_function_init(&p->fn, &vdev->dev, &ident);
	p->fn.bar_moved = virtio_pci_bar_moved;
	p->fn.config_access = virtio_pci_window;
	err = pci_bar_add(&p->fn, BAR_REGS, PCI_BAR_MEM32, REGS_SIZE, regs_io, vdev);
	if (!err)
		err = add_caps(p);
	if (!err)
		err = msix_create(&p->msix, &p->fn, BAR_MSIX, p->vectors);
	return err ? err : pci_register(bus, &p->fn, PCI_ANY_SLOT);
}

static void virtio_pci_destroy(struct virtio_device *vdev)
{
	struct virtio_pci *p = pci_of(vdev);

	if (!p)
		return;
	/* The VM goes, its ioeventfds with it: taking off each would wait for the kernel. */
	memset(p->live, 0, sizeof(p->live));
	pci_unregister(&p->fn);
	msix_destroy(p->msix);
	free(p);
}

static void virtio_pci_reset(struct virtio_device *vdev)
{
	msix_reset(pci_of(vdev)->msix);
	pci_function_reset(&pci_of(vdev)->fn);
}

static void virtio_pci_state(struct virtio_device *vdev, struct state *s)
{
	pci_function_state(&pci_of(vdev)->fn, s);
	msix_state(pci_of(vdev)->msix, s);
}

const struct virtio_transport virtio_pci = {
	.name = "pci",
	.create = virtio_pci_create,
	.destroy = virtio_pci_destroy,
	.reset = virtio_pci_reset,
	.message = virtio_pci_message,
	.vector_fd = virtio_pci_vector_fd,
	.set_line = virtio_pci_set_line,
	.queue_ready = virtio_pci_queue_ready,
	.state = virtio_pci_state,
};

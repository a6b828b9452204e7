/* SPDX-License-Identifier: MIT */
/*
 * Virtio over MMIO, version 2 (virtio 1.2, 4.2): a page of registers and an interrupt line a device, where
 * the machine says (machine->virtio_mmio). The device tree or ACPI tells the guest of each.
 *
 * The driver's accesses come with dev->lock held.
 */
#include "transport.h"
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <lkvm/acpi.h>
#include <lkvm/bus.h>
#include <lkvm/fdt.h>
#include <lkvm/irq.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <lkvm/state.h>
#include <stdlib.h>
#include <string.h>

#define MMIO_MAGIC	 0x74726976 /* "virt" */
#define MMIO_VERSION	 2
#define MMIO_VENDOR	 0x6d766b6c /* "lkvm" */
#define MMIO_SIZE	 (VIRTIO_MMIO_CONFIG + VIRTIO_CONFIG_MAX)
#define MMIO_QUEUE_RESET 0x0c0 /* newer than some kernel headers */
#define MMIO_NO_SHM	 0xffffffff

struct virtio_mmio {
	u64 base;
	u32 line;
	bool live[VIRTIO_MAX_QUEUES]; /* the queue has its ioeventfd; dev->lock */
};

static struct virtio_mmio *mmio_of(const struct virtio_device *vdev)
{
	return vdev->transport_priv;
}

/* ---- registers (4.2.2) ------------------------------------------------------------------------ */

static u32 queue_read(struct virtio_device *vdev, u32 reg)
{
	const struct virtqueue *vq = virtio_queue(vdev);

	if (!vq)
		return 0;
	return reg == VIRTIO_MMIO_QUEUE_READY ? vq->ready : vq->size_max;
}

static u32 reg_read(struct virtio_device *vdev, u32 reg)
{
	switch (reg) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MMIO_MAGIC;
	case VIRTIO_MMIO_VERSION:
		return MMIO_VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return vdev->ops->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return MMIO_VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return virtio_offered(vdev, vdev->features_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
	case VIRTIO_MMIO_QUEUE_READY:
		return queue_read(vdev, reg);
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return virtio_isr(vdev);
	case VIRTIO_MMIO_STATUS:
		return atomic_load(&vdev->status);
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return virtio_generation(vdev);
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return MMIO_NO_SHM;
	default:
		return 0; /* write-only, or none */
	}
}

static void queue_write(struct virtio_device *vdev, u32 reg, u32 v)
{
	struct virtqueue *vq = virtio_queue(vdev);

	if (!vq)
		return;
	if (reg == MMIO_QUEUE_RESET) {
		if (v == 1 && virtio_has(vdev, VIRTIO_F_RING_RESET))
			virtio_queue_reset(vdev, vq);
		return;
	}
	if (reg == VIRTIO_MMIO_QUEUE_READY && !v) {
		virtio_queue_reset(vdev, vq);
		return;
	}
	if (!virtio_queue_writable(vdev, vq))
		return;
	switch (reg) {
	case VIRTIO_MMIO_QUEUE_NUM:
		vq->size = (u16)min_u64(v, UINT16_MAX);
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		virtio_queue_enable(vdev, vq);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		virtio_half(&vq->desc_gpa, reg == VIRTIO_MMIO_QUEUE_DESC_HIGH, v);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		virtio_half(&vq->avail_gpa, reg == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, v);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		virtio_half(&vq->used_gpa, reg == VIRTIO_MMIO_QUEUE_USED_HIGH, v);
		break;
	}
}

static void reg_write(struct virtio_device *vdev, u32 reg, u32 v)
{
	switch (reg) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		vdev->features_sel = v;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		vdev->wanted_sel = v;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_want(vdev, vdev->wanted_sel, v);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		vdev->queue_sel = v;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		virtio_queue_notify(vdev, v);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		virtio_isr_ack(vdev, (u8)v);
		break;
	case VIRTIO_MMIO_STATUS:
		virtio_set_status(vdev, (u8)v);
		break;
	default:
		queue_write(vdev, reg, v);
		break;
	}
}

static void mmio_io(struct device *dev, struct io *io, void *arg)
{
	struct virtio_device *vdev = arg;
	u32 offset = (u32)io->offset;

	if (offset >= VIRTIO_MMIO_CONFIG)
		virtio_config_io(vdev, offset - VIRTIO_MMIO_CONFIG, io->data, io->len, io->write);
	else if (io->len != 4 || offset & 3)
		return; /* registers are words */
	else if (io->write)
		reg_write(vdev, offset, (u32)io_value(io));
	else
		io_reply(io, reg_read(vdev, offset));
}

static void virtio_mmio_set_line(struct virtio_device *vdev, bool level)
{
	irq_set_line(vdev->dev.kvm, mmio_of(vdev)->line, level);
}

/* It stays when the queue goes: what arrives then finds a queue that is not ready. */
static void virtio_mmio_queue_ready(struct virtio_device *vdev, struct virtqueue *vq)
{
	struct virtio_mmio *m = mmio_of(vdev);
	struct kvm *kvm = vdev->dev.kvm;
	u64 index = vq->index;
	int err;

	if (m->live[index])
		return;
	m->live[index] = true;
	err = ioeventfd_assign(kvm, BUS_MMIO, m->base + VIRTIO_MMIO_QUEUE_NOTIFY, 4, &index,
			       vdev->source[index].src.fd);
	/* The write then comes out as an access, and works as well. */
	if (err < 0)
		log_debug(kvm->log, "%s: queue %u: no ioeventfd: %s", vdev->dev.name, vq->index,
			  strerror(-err));
}

/* ---- life ----------------------------------------------------------------------------------------- */

/* A line of the window's; the devices beyond the last one share them, and so may others. */
static int claim_line(struct virtio_device *vdev, u32 line)
{
	int err = irq_claim(vdev->dev.kvm, line);

	if (err == -EBUSY) {
		irq_share(vdev->dev.kvm, line);
		return 0;
	}
	if (err)
		log_error("%s: interrupt line %u: the controller has no such line", vdev->dev.name, line);
	return err;
}

static int virtio_mmio_create(struct virtio_device *vdev)
{
	struct kvm *kvm = vdev->dev.kvm;
	const struct virtio_mmio_window *win = kvm->machine->virtio_mmio;
	struct virtio_mmio *m;
	u32 slot = 0;
	int err;

	if (!win) {
		log_error("%s: this machine has no place for it: --virtio-transport=pci", vdev->dev.name);
		return -ENOTSUP;
	}
	while (slot < win->count && bus_find(&kvm->bus[BUS_MMIO], win->base + slot * VIRTIO_MMIO_STEP))
		slot++;
	if (slot == win->count)
		return -ENOSPC;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	vdev->transport_priv = m;
	m->base = win->base + slot * VIRTIO_MMIO_STEP;
	m->line = win->line + slot % win->nr_lines;
	err = claim_line(vdev, m->line);
	return err ? err : bus_map(&vdev->dev, BUS_MMIO, m->base, MMIO_SIZE, mmio_io, vdev, 0);
}

static void virtio_mmio_destroy(struct virtio_device *vdev)
{
	free(vdev->transport_priv);
}

static int virtio_mmio_describe(const struct virtio_device *vdev, struct fdt *fdt)
{
	const struct virtio_mmio *m = mmio_of(vdev);

	dt_device(fdt, "virtio_mmio", "virtio,mmio", m->base, MMIO_SIZE);
	dt_interrupt(fdt, m->line, true);
	dt_empty(fdt, "dma-coherent");
	dt_end(fdt);
	return fdt->err;
}

static void virtio_mmio_describe_acpi(const struct virtio_device *vdev, struct aml *aml)
{
	const struct virtio_mmio *m = mmio_of(vdev);
	u32 slot = (u32)((m->base - vdev->dev.kvm->machine->virtio_mmio->base) / VIRTIO_MMIO_STEP);
	char name[5] = {'V', 'I', (char)('0' + slot / 10), (char)('0' + slot % 10), 0};

	aml_device_begin(aml, name);
	aml_name(aml, "_HID");
	aml_string(aml, "LNRO0005");
	aml_name(aml, "_UID");
	aml_int(aml, slot);
	aml_name(aml, "_CCA");
	aml_int(aml, 1);
	aml_name(aml, "_CRS");
	aml_resources_begin(aml);
	aml_res_memory32(aml, (u32)m->base, MMIO_SIZE, true);
	aml_res_irq(aml, m->line, true, true); /* as PCI, whose lines these may be */
	aml_resources_end(aml);
	aml_end(aml);
}

/* The registers are the core's; what is here does not change. */
static void virtio_mmio_state(struct virtio_device *vdev, struct state *s)
{
	if (state_printing(s))
		state_note(s, "mmio", "0x%llx, line %u", (unsigned long long)mmio_of(vdev)->base,
			   mmio_of(vdev)->line);
}

const struct virtio_transport virtio_mmio = {
	.name = "mmio",
	.create = virtio_mmio_create,
	.destroy = virtio_mmio_destroy,
	.set_line = virtio_mmio_set_line,
	.queue_ready = virtio_mmio_queue_ready,
	.describe = virtio_mmio_describe,
	.describe_acpi = virtio_mmio_describe_acpi,
	.state = virtio_mmio_state,
};

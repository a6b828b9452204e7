/* SPDX-License-Identifier: MIT */
/*
 * A VM with virtio devices for fuzz targets: the input is a driver that writes registers, fills rings,
 * notifies and resets as it likes. For the targets of the core (fuzz-virtio.c) and of each device.
 */
#ifndef LKVM_FUZZ_VIRTIO_VM_H
#define LKVM_FUZZ_VIRTIO_VM_H

#include "device-vm.h"
#include <linux/virtio_mmio.h>
#include <lkvm/virtio.h>

/* Rings and buffers are in these pages of guest memory, which every input finds as zeroes. */
#define FUZZ_PAGES		 (FUZZ_RING(4))
#define FUZZ_BASE		 0x100000ull
#define FUZZ_RING(n)		 ((n)*0x10000u)
#define FUZZ_VIO_BASE(kvm, slot) ((kvm)->machine->virtio_mmio->base + (slot)*VIRTIO_MMIO_STEP)

__unused static u8 *fuzz_pages(struct kvm *kvm)
{
	return guest_ptr(&kvm->mem, kvm->mem.bank[0].gpa + FUZZ_BASE, FUZZ_PAGES);
}

__unused static void fuzz_vio_set(struct kvm *kvm, u64 base, u32 reg, u32 v)
{
	fuzz_access(kvm, BUS_MMIO, base + reg, 4, true, v);
}

/* A driver that gets as far as DRIVER_OK, with rings of that size for the first queues. */
__unused static void fuzz_vio_begin(struct kvm *kvm, u64 base, u64 features, u32 queues, u16 size)
{
	u8 status = 0;

	fuzz_vio_set(kvm, base, VIRTIO_MMIO_STATUS, 0);
	for (u32 sel = 0; sel < 2; sel++) {
		fuzz_vio_set(kvm, base, VIRTIO_MMIO_DRIVER_FEATURES_SEL, sel);
		fuzz_vio_set(kvm, base, VIRTIO_MMIO_DRIVER_FEATURES, (u32)(features >> 32 * sel));
	}
	status |= VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;
	fuzz_vio_set(kvm, base, VIRTIO_MMIO_STATUS, status);
	for (u32 q = 0; q < queues; q++) {
		u32 at = (u32)(kvm->mem.bank[0].gpa + FUZZ_BASE + FUZZ_RING(q % 2));
		u32 high = (u32)(kvm->mem.bank[0].gpa >> 32);

		fuzz_vio_set(kvm, base, VIRTIO_MMIO_QUEUE_SEL, q);
		fuzz_vio_set(kvm, base, VIRTIO_MMIO_QUEUE_NUM, size);
		fuzz_vio_set(kvm, base, VIRTIO_MMIO_QUEUE_DESC_LOW, at);
		fuzz_vio_set(kvm, base, VIRTIO_MMIO_QUEUE_AVAIL_LOW, at + 0x8000);
		fuzz_vio_set(kvm, base, VIRTIO_MMIO_QUEUE_USED_LOW, at + 0xc000);
		fuzz_vio_set(kvm, base, VIRTIO_MMIO_QUEUE_DESC_HIGH, high);
		fuzz_vio_set(kvm, base, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, high);
		fuzz_vio_set(kvm, base, VIRTIO_MMIO_QUEUE_USED_HIGH, high);
		fuzz_vio_set(kvm, base, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	fuzz_vio_set(kvm, base, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* What the main loop would do for the queue, when it serves it. */
__unused static void fuzz_vio_serve(struct virtio_device *vdev, u32 queue)
{
	struct event_source *src = &vdev->source[queue % vdev->nr_queues].src;

	src->fn(src, EPOLLIN);
}

/*
 * One step of the driver's: a register, memory, a buffer of a split ring with a chance to be a good one. The
 * caller's ops come first, from its own numbers; false: the input has none of ours left.
 */
__unused static void fuzz_vio_step(struct kvm *kvm, struct virtio_device *vdev, u64 base, struct fuzz_in *in)
{
	static const u8 widths[] = {4, 4, 4, 1, 2, 8, 3, 4};
	u8 op = (u8)fuzz_take(in, 1);
	u8 *pages = fuzz_pages(kvm);

	switch (op % 8) {
	case 0: { /* any access around the registers */
		u64 addr = base + fuzz_take(in, 2) % 0x220;

		fuzz_access(kvm, BUS_MMIO, addr, widths[op >> 5], op & 8, fuzz_take(in, 4));
		break;
	}
	case 1: { /* one of the registers that matter */
		static const u16 regs[] = {VIRTIO_MMIO_STATUS,
					   VIRTIO_MMIO_QUEUE_SEL,
					   VIRTIO_MMIO_QUEUE_NUM,
					   VIRTIO_MMIO_QUEUE_READY,
					   VIRTIO_MMIO_QUEUE_DESC_LOW,
					   VIRTIO_MMIO_QUEUE_AVAIL_LOW,
					   VIRTIO_MMIO_QUEUE_USED_LOW,
					   VIRTIO_MMIO_QUEUE_NOTIFY,
					   VIRTIO_MMIO_INTERRUPT_ACK,
					   VIRTIO_MMIO_DRIVER_FEATURES,
					   VIRTIO_MMIO_DRIVER_FEATURES_SEL,
					   0xc0};

		fuzz_vio_set(kvm, base, regs[(op >> 3) % ARRAY_SIZE(regs)], (u32)fuzz_take(in, 3));
		break;
	}
	case 2: /* a good beginning */
		fuzz_vio_begin(kvm, base, op & 8 ? vdev->offered : fuzz_take(in, 8) | 1ull << 32,
			       vdev->nr_queues, (u16)(1u << (op >> 4) % 9));
		break;
	case 3: { /* bytes into memory */
		u32 at = (u32)fuzz_take(in, 3) % FUZZ_PAGES, len = op >> 3;

		for (u32 i = 0; i < len && at + i < FUZZ_PAGES; i++)
			pages[at + i] = (u8)fuzz_take(in, 1);
		break;
	}
	case 4: { /* a descriptor of ring 0 or 1, into the avail ring too */
		u8 *ring = pages + FUZZ_RING(op >> 7);
		u16 *avail = (u16 *)(void *)(ring + 0x8000);
		u32 i = (op >> 3) % 8;
		u64 addr = kvm->mem.bank[0].gpa + FUZZ_BASE + fuzz_take(in, 3) % FUZZ_PAGES;
		u32 len = (u32)fuzz_take(in, 2);
		u16 flags = (u16)(fuzz_take(in, 1) | (op & 64 ? 0x80 : 0)), next = (u16)fuzz_take(in, 1);
		const struct vring_desc d = {.addr = addr, .len = len, .flags = flags, .next = next};

		memcpy(ring + i * 16, &d, sizeof(d));
		avail[2 + avail[1] % 8] = (u16)i;
		avail[1]++;
		break;
	}
	case 5:
		fuzz_device_reset(&vdev->dev);
		break;
	case 6:
		fuzz_device_restore(&vdev->dev, in);
		break;
	default:
		fuzz_vio_serve(vdev, op >> 3);
		break;
	}
}

#endif

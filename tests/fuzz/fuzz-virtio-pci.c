/* SPDX-License-Identifier: MIT */
/*
 * Virtio over PCI (virtio/pci.c): two functions whose BARs move, with registers, notifications, the window in
 * configuration space, MSI-X, rings of any content, resets and states in the middle of it.
 *
 * What must hold: KVM's ioeventfds are where the registers' BARs are decoded, and nowhere else; no step harms
 * anything but the device; after a reset a good driver is served.
 */
#include "virtio-vm.h"
#include <linux/virtio_pci.h>
#include <lkvm/pci.h>

extern const struct device_ops virtio_rng_ops;

#define ECAM	0xe0000000ull
#define LINE	16
#define NOTIFY	0x3000 /* in the registers' BAR, as the capability says it */
#define OPS_MAX 1024

static const struct board_device table[] = {
	{.ops = &pci_host_ops, .bus = BUS_PIO, .base = 0xcf8, .mmio = ECAM, .line = LINE},
	{.ops = NULL},
};

static struct {
	struct kvm *kvm;
	struct virtio_device *vdev[2];
	struct pci_function *fn[2];
	u32 window; /* the capability that is a way to the BARs */
} bed;

static u32 find_window(const struct pci_function *fn)
{
	u32 at = fn->config[PCI_CAPABILITY_LIST];

	while (at && !(fn->config[at] == PCI_CAP_ID_VNDR &&
		       fn->config[at + VIRTIO_PCI_CAP_CFG_TYPE] == VIRTIO_PCI_CAP_PCI_CFG))
		at = fn->config[at + PCI_CAP_LIST_NEXT];
	return at;
}

static void make(void)
{
	static struct device_request rng[2] = {{.ops = &virtio_rng_ops}, {.ops = &virtio_rng_ops}};

	fake_kvm_reset();
	bed.kvm = fuzz_device_vm(table, rng, 2);
	for (u32 i = 0; i < 2; i++) {
		bed.vdev[i] = virtio_of(device_named(bed.kvm, i ? "rng1" : "rng0"));
		bed.fn[i] = pci_host_bus(bed.kvm)->function[PCI_DEVFN(1 + i, 0)];
		if (!bed.fn[i])
			exit(1);
	}
	bed.window = find_window(bed.fn[0]);
	if (!bed.window || bed.window != find_window(bed.fn[1]))
		exit(1);
}

/* ---- the driver's accesses ---------------------------------------------------------------------------- */

static u64 config(u32 i, u32 reg, u32 len, bool write, u64 v)
{
	return fuzz_access(bed.kvm, BUS_MMIO, ECAM + ((u64)bed.fn[i]->devfn << 12) + reg, len, write, v);
}

/* In the registers' BAR, at the place that its register has, decoded or not. */
static u64 regs(u32 i, u32 offset, u32 len, bool write, u64 v)
{
	u64 base = pci_get32(bed.fn[i]->config, PCI_BASE_ADDRESS_0) & ~15u;

	return fuzz_access(bed.kvm, BUS_MMIO, base + offset, len, write, v);
}

/* By the window in configuration space. */
static u64 window(u32 i, u32 bar, u32 offset, u32 width, bool write, u64 v)
{
	config(i, bed.window + VIRTIO_PCI_CAP_BAR, 1, true, bar);
	config(i, bed.window + VIRTIO_PCI_CAP_OFFSET, 4, true, offset);
	config(i, bed.window + VIRTIO_PCI_CAP_LENGTH, 4, true, width);
	return config(i, bed.window + 16, width & 4 ? 4 : width & 2 ? 2 : 1, write, v);
}

/* Up to DRIVER_OK, with a ring. */
static void begin(u32 i, u64 features, u16 size)
{
	const u32 at = (u32)(bed.kvm->mem.bank[0].gpa + FUZZ_BASE + FUZZ_RING(i));
	const u8 status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;

	regs(i, VIRTIO_PCI_COMMON_STATUS, 1, true, 0);
	for (u32 sel = 0; sel < 2; sel++) {
		regs(i, VIRTIO_PCI_COMMON_GFSELECT, 4, true, sel);
		regs(i, VIRTIO_PCI_COMMON_GF, 4, true, (u32)(features >> 32 * sel));
	}
	regs(i, VIRTIO_PCI_COMMON_STATUS, 1, true, status);
	regs(i, VIRTIO_PCI_COMMON_Q_SELECT, 2, true, 0);
	regs(i, VIRTIO_PCI_COMMON_Q_SIZE, 2, true, size);
	regs(i, VIRTIO_PCI_COMMON_Q_MSIX, 2, true, i);
	regs(i, VIRTIO_PCI_COMMON_Q_DESCLO, 8, true, at);
	regs(i, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, true, at + 0x8000);
	regs(i, VIRTIO_PCI_COMMON_Q_USEDLO, 8, true, at + 0xc000);
	regs(i, VIRTIO_PCI_COMMON_Q_ENABLE, 2, true, 1);
	regs(i, VIRTIO_PCI_COMMON_STATUS, 1, true, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* A buffer of the ring, as fuzz_vio_step() has it. */
static void offer(struct fuzz_in *in, u32 i, u8 op)
{
	u8 *ring = fuzz_pages(bed.kvm) + FUZZ_RING(i);
	u16 *avail = (u16 *)(void *)(ring + 0x8000);
	const struct vring_desc d = {
		.addr = bed.kvm->mem.bank[0].gpa + FUZZ_BASE + fuzz_take(in, 3) % FUZZ_PAGES,
		.len = (u32)fuzz_take(in, 2),
		.flags = (u16)(fuzz_take(in, 1) | (op & 0x80)),
		.next = op & 7,
	};

	memcpy(ring + (op & 7) * sizeof(d), &d, sizeof(d));
	avail[2 + avail[1] % 8] = op & 7;
	avail[1]++;
}

static void step(struct fuzz_in *in)
{
	static const u8 widths[] = {4, 4, 2, 1, 8, 2, 3, 4};
	u8 op = (u8)fuzz_take(in, 1), how = (u8)fuzz_take(in, 1);
	u32 i = op >> 4 & 1, len = widths[how & 7], reg;
	bool write = how & 0x80;

	switch (op & 0xf) {
	case 0 ... 1: /* configuration space */
		reg = (u32)fuzz_take(in, 1);
		config(i, reg, (how & 3) + 1, write, fuzz_take(in, 4));
		break;
	case 2: /* a BAR's register, so that the BAR lands in the window, on the other one or nowhere */
		config(i, PCI_BASE_ADDRESS_0 + 4 * (how & 1), 4, true,
		       how & 2 ? pci_get32(bed.fn[!i]->config, PCI_BASE_ADDRESS_0) + (fuzz_take(in, 1) << 12)
			       : 0xc1000000 + (fuzz_take(in, 2) << 8));
		break;
	case 3: /* the command register */
		config(i, PCI_COMMAND, 2, true, how & 0x40 ? how & 7 : 6);
		break;
	case 4 ... 5: /* the common configuration, and what is around it */
		regs(i, (u32)fuzz_take(in, 1) & 0x3f, len, write, fuzz_take(in, 4));
		break;
	case 6: /* any register */
		regs(i, (u32)fuzz_take(in, 2) & 0x7fff, len, write, fuzz_take(in, 4));
		break;
	case 7: /* through the window, as a driver uses it and as none should */
		reg = (u32)fuzz_take(in, 2);
		window(i, how >> 4 & 3, how & 8 ? reg & 0x3f : reg << (how & 4), how & 7, write,
		       fuzz_take(in, 4));
		break;
	case 8: /* a good beginning */
		begin(i, how & 1 ? bed.vdev[i]->offered : fuzz_take(in, 8) | 1ull << 32,
		      (u16)(1u << (how >> 1) % 9));
		break;
	case 9: { /* bytes into memory */
		u32 at = (u32)fuzz_take(in, 3) % FUZZ_PAGES;

		for (u32 k = 0; k < (how & 31u) && at + k < FUZZ_PAGES; k++)
			fuzz_pages(bed.kvm)[at + k] = (u8)fuzz_take(in, 1);
		break;
	}
	case 10:
		offer(in, i, how);
		break;
	case 11: /* a notification, as an exit: where KVM does not take it */
		regs(i, NOTIFY + (how & 0x1f), len, true, 0);
		fuzz_vio_serve(bed.vdev[i], how);
		break;
	case 12: /* the MSI-X table; MSI-X on or off, masked or not */
		fuzz_access(bed.kvm, BUS_MMIO,
			    (pci_get32(bed.fn[i]->config, PCI_BASE_ADDRESS_1) & ~15u) + (how & 0x3c), 4, true,
			    fuzz_take(in, 4));
		break;
	case 13:
		fake_kvm_irqfds(fake_kvm_vm(0));
		fuzz_vio_serve(bed.vdev[i], how);
		break;
	case 14:
		fuzz_device_reset(&bed.vdev[i]->dev);
		break;
	case 15:
		fuzz_device_restore(&bed.vdev[i]->dev, in);
		break;
	}
}

/* ---- what must hold -------------------------------------------------------------------------------------
 */

/* Each ioeventfd is a queue's, in a BAR of its device's that is decoded. */
static void check_notifications(void)
{
	const struct fake_vm *vm = fake_kvm_vm(0);

	for (u32 k = 0; k < vm->nr_ioeventfds; k++) {
		const struct kvm_ioeventfd *e = &vm->ioeventfd[k];
		bool found = false;

		for (u32 i = 0; i < 2; i++)
			found |= e->fd == bed.vdev[i]->source[0].src.fd &&
				 bed.fn[i]->bar[0].base != PCI_BAR_OFF &&
				 e->addr == bed.fn[i]->bar[0].base + NOTIFY;
		fuzz_assert(found, "an ioeventfd is where the BAR is");
	}
	for (u32 i = 0; i < 2; i++) {
		u32 n = 0;

		for (u32 k = 0; k < vm->nr_ioeventfds; k++)
			n += vm->ioeventfd[k].fd == bed.vdev[i]->source[0].src.fd;
		fuzz_assert(n <= 1, "a queue has one");
		if (bed.vdev[i]->queue[0].ready && bed.fn[i]->bar[0].base != PCI_BAR_OFF)
			fuzz_assert(n == 1, "a queue that is ready and reached has one");
	}
}

static void check_works(u32 i)
{
	const gpa_t gpa = bed.kvm->mem.bank[0].gpa + FUZZ_BASE;
	u8 *ring = fuzz_pages(bed.kvm) + FUZZ_RING(i);
	const struct vring_desc d = {.addr = gpa + FUZZ_RING(2), .len = 16, .flags = VRING_DESC_F_WRITE};
	u16 *avail = (u16 *)(void *)(ring + 0x8000), *used = (u16 *)(void *)(ring + 0xc000);

	config(i, PCI_BASE_ADDRESS_0, 4, true, 0xc1000000 + i * 0x10000);
	config(i, PCI_COMMAND, 2, true, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	begin(i, VIRTIO_BIT(VIRTIO_F_VERSION_1), 8);
	check_notifications();
	memcpy(ring, &d, sizeof(d));
	avail[1] = 1;
	fuzz_vio_serve(bed.vdev[i], 0);
	fuzz_assert(used[1] == 1, "a good driver is served");
	fuzz_assert(window(i, 0, VIRTIO_PCI_COMMON_STATUS, 1, false, 0) == 15, "the window shows its status");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = {.at = data, .end = data + size};

	if (!bed.kvm)
		make();
	memset(fuzz_pages(bed.kvm), 0, FUZZ_PAGES);
	for (u32 n = 0; n < OPS_MAX && in.at < in.end; n++) {
		step(&in);
		check_notifications();
	}
	for (u32 i = 0; i < 2; i++)
		fuzz_device_reset(&bed.vdev[i]->dev);
	memset(fuzz_pages(bed.kvm), 0, FUZZ_PAGES);
	for (u32 i = 0; i < 2; i++)
		check_works(i);
	for (u32 i = 0; i < 2; i++)
		fuzz_device_reset(&bed.vdev[i]->dev);
	fake_kvm_irqfds(fake_kvm_vm(0));
	fake_kvm_forget_calls();
	return 0;
}

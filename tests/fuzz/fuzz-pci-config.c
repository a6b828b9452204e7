/* SPDX-License-Identifier: MIT */
/*
 * A guest's accesses to PCI: configuration space by both its ways, BARs wherever it puts them, MSI-X tables
 * and pending bits, of any width at any place (hw/pci-host.c, devices/pci*.c, msi*.c, hw/testdev-pci.c);
 * vectors signalled at any moment, resets, and states put into the devices.
 *
 * What must hold: what is decoded lies in the windows and apart, and is what each function believes of
 * itself; functions stay what they are.
 */
#include "device-vm.h"
#include <lkvm/pci.h>

#define PORT	0xcf8ull
#define ECAM	0xe0000000ull
#define LINE	16
#define OPS_MAX 2048

static const struct board_device table[] = {
	{.ops = &pci_host_ops, .bus = BUS_PIO, .base = PORT, .mmio = ECAM, .line = LINE},
	{.ops = &testdev_ops, .bus = BUS_PIO, .base = 0xe0, .line = IRQ_NONE},
	{.ops = NULL},
};

static struct {
	struct kvm *kvm;
	struct device *dev[2];
	struct pci_bus *bus;
	struct pci_function *fn; /* the test device's */
} bed;

static void make(void)
{
	static struct device_request request = {.ops = &testdev_ops};

	fake_kvm_reset();
	bed.kvm = fuzz_device_vm(table, &request, 1);
	bed.dev[0] = device_find(bed.kvm, &pci_host_ops, 0);
	bed.dev[1] = device_find(bed.kvm, &testdev_ops, 0);
	bed.bus = pci_host_bus(bed.kvm);
	bed.fn = bed.bus->function[PCI_DEVFN(1, 0)];
	if (!bed.fn)
		exit(1);
}

static bool in_window(const struct pci_window *win, u64 base, u64 size)
{
	return range_inside(base, size, win->base, win->size);
}

static void check_decoded(void)
{
	const struct pci_windows *win = &bed.bus->win;
	u32 decoded = 0;

	for (u32 i = 0; i + 1 < bed.bus->nr_decoded; i++)
		fuzz_assert(bed.bus->decoded[i].base + bed.bus->decoded[i].size <=
				    bed.bus->decoded[i + 1].base,
			    "what is decoded lies apart");
	for (u32 i = 0; i < PCI_MAX_BARS; i++) {
		const struct pci_bar *b = &bed.fn->bar[i];

		if (!b->type || b->base == PCI_BAR_OFF)
			continue;
		decoded++;
		fuzz_assert(b->type == PCI_BAR_IO ? in_window(&win->io, b->base, b->size)
						  : in_window(&win->mem32, b->base, b->size) ||
							    in_window(&win->mem64, b->base, b->size),
			    "what is decoded lies in a window");
	}
	fuzz_assert(decoded == bed.bus->nr_decoded, "functions know what of them is decoded");
	fuzz_assert(bed.fn->config[0] == 0xf4 && bed.fn->config[1] == 0x1a &&
			    !(bed.fn->config[PCI_HEADER_TYPE] & 0x7f),
		    "a function is what it was");
}

/* Config space at a register, of the test device's function more often than of others. */
static void config(struct fuzz_in *in, u8 op)
{
	u8 how = (u8)fuzz_take(in, 1);
	u32 devfn = how & 0x40 ? (u32)fuzz_take(in, 1) : bed.fn->devfn, len = (how & 7) + 1;
	u32 reg = (u32)fuzz_take(in, how & 0x20 ? 2 : 1) & 0xfff;
	bool write = how & 0x80;
	u64 v = write ? fuzz_take(in, len) : 0;

	if (op & 1) {
		fuzz_access(bed.kvm, BUS_MMIO, ECAM + ((u64)devfn << 12) + reg, len, write, v);
		return;
	}
	fuzz_access(bed.kvm, BUS_PIO, PORT, 4, true, 0x80000000 | devfn << 8 | (reg & 0xfc));
	fuzz_access(bed.kvm, BUS_PIO, PORT + 4 + (reg & 3), len, write, v);
}

/* Around a BAR's place, as its register has it, decoded or not. */
static void bar(struct fuzz_in *in, u32 i)
{
	u8 how = (u8)fuzz_take(in, 1);
	u32 len = (how & 7) + 1, at = PCI_BASE_ADDRESS_0 + 4 * i;
	bool io = bed.fn->bar[i].type == PCI_BAR_IO, write = how & 0x80;
	u64 base = 0, offset = fuzz_take(in, 2), v = write ? fuzz_take(in, len) : 0;

	for (u32 k = bed.fn->bar[i].type == PCI_BAR_MEM64 ? 8 : 4; k-- > 0;)
		base = base << 8 | bed.fn->config[at + k];
	base &= ~(io ? 3ull : 15ull);
	if (how & 0x40)
		offset &= ~3ull;
	if (how & 0x20)
		offset -= 8;
	fuzz_access(bed.kvm, io ? BUS_PIO : BUS_MMIO, base + offset, len, write, v);
}

static void step(struct fuzz_in *in)
{
	u8 op = (u8)fuzz_take(in, 1);
	struct device *dev = bed.dev[op >> 4 & 1];
	u64 v;

	switch (op & 0xf) {
	case 0 ... 5:
		config(in, op);
		return;
	case 6 ... 10:
		bar(in, (op & 0xf) - 6);
		return;
	case 11:
		/* The registers that signal, whatever the BAR's place. */
		v = fuzz_take(in, 1);
		fuzz_access(bed.kvm, BUS_MMIO, bed.fn->bar[0].base + (op >> 4) % 5 * 4, 4, true, v & 7);
		return;
	case 12:
		fake_kvm_irqfds(fake_kvm_vm(0));
		return;
	case 13:
		fuzz_device_restore(dev, in);
		return;
	case 14:
		fuzz_device_reset(dev);
		return;
	case 15:
		/* As a guest leaves it that uses the function: decoded, and a master. */
		fuzz_access(bed.kvm, BUS_MMIO, ECAM + ((u64)bed.fn->devfn << 12) + PCI_COMMAND, 2, true, 7);
		return;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = {data, data + size};

	if (!bed.kvm)
		make();
	for (u32 i = 0; i < OPS_MAX && in.at < in.end; i++) {
		step(&in);
		check_decoded();
	}
	for (u32 i = 0; i < ARRAY_SIZE(bed.dev); i++)
		fuzz_device_reset(bed.dev[i]);
	fake_kvm_irqfds(fake_kvm_vm(0));
	fake_kvm_forget_calls();
	return 0;
}

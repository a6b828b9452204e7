/* SPDX-License-Identifier: MIT */
/*
 * Base address registers (PCI Local Bus 3.0, 6.2.5.1): their making, their first places, and what they
 * decode.
 *
 * The windows of the host bridge are fixed regions of the buses; an access to one comes here, and finds its
 * BAR in a sorted list that is made anew whenever a guest changes a BAR or what a function decodes. The list
 * is a matter of configuration space alone, not of how it came to be: BARs are taken in order of device
 * number and register, and one that lies outside the windows or over another is not decoded.
 *
 * An access takes bus->lock to look up, lets go of it, and holds the dev->lock of the function's device while
 * it is there. A BAR that moves meanwhile has been hit just before.
 *
 * Accesses come from vCPU threads. BARs are added and placed on the main thread, while the VM is built.
 */
#include "pci-bar.h"
#include <errno.h>
#include <lkvm/device.h>
#include <stdlib.h>
#include <string.h>

#define IO_SIZE_MAX 256
/* Ports have addresses of their own in the list, behind all memory. */
#define PORTS (1ull << 63)
/* No BAR gets a place below: Linux takes such ports, and addresses, for none. */
#define PLACE_MIN 0x1000

static u32 bar_reg(u32 bar)
{
	return PCI_BASE_ADDRESS_0 + 4 * bar;
}

static bool is_power_of_2(u64 v)
{
	return v && !(v & (v - 1));
}

static bool size_ok(enum pci_bar_type type, u64 size)
{
	if (!is_power_of_2(size))
		return false;
	switch (type) {
	case PCI_BAR_IO:
		return size >= 4 && size <= IO_SIZE_MAX;
	case PCI_BAR_MEM32:
		return size >= 16 && size <= GiB(2);
	case PCI_BAR_MEM64:
		return size >= 16 && size < PORTS;
	default:
		return false;
	}
}

int pci_bar_add(struct pci_function *fn, u32 bar, enum pci_bar_type type, u64 size, io_fn io, void *arg)
{
	static const u8 type_bits[] = {[PCI_BAR_IO] = PCI_BASE_ADDRESS_SPACE_IO,
				       [PCI_BAR_MEM32] = PCI_BASE_ADDRESS_MEM_TYPE_32,
				       [PCI_BAR_MEM64] =
					       PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH};
	u32 regs = type == PCI_BAR_MEM64 ? 2 : 1;

	if (fn->bus || bar >= PCI_MAX_BARS || regs > PCI_MAX_BARS - bar || !size_ok(type, size))
		return -EINVAL;
	/* Taken, or the upper half of the one before. */
	if (fn->bar[bar].type || (bar && fn->bar[bar - 1].type == PCI_BAR_MEM64) ||
	    (regs == 2 && fn->bar[bar + 1].type))
		return -EINVAL;
	fn->bar[bar] = (struct pci_bar){
		.type = type, .size = size, .fn = io, .arg = arg, .base = PCI_BAR_OFF, .next = PCI_BAR_OFF};
	fn->config[bar_reg(bar)] = type_bits[type];
	pci_put32(fn->write, bar_reg(bar), (u32) ~(size - 1));
	if (regs == 2)
		pci_put32(fn->write, bar_reg(bar) + 4, (u32)(~(size - 1) >> 32));
	return 0;
}

/* --- places --------------------------------------------------------------------------------------------- */

/* Takes size bytes off what is left of a window. */
static bool take(struct pci_window *left, u64 size, u64 *base)
{
	u64 at = align_up(max_u64(left->base, PLACE_MIN), size), end = left->base + left->size;

	if (at < left->base || !range_inside(at, size, left->base, left->size))
		return false;
	*base = at;
	left->base = at + size;
	left->size = end - left->base;
	return true;
}

static bool place(struct pci_windows *left, const struct pci_bar *b, u64 mem32_size, u64 *base)
{
	switch (b->type) {
	case PCI_BAR_IO:
		return take(&left->io, b->size, base);
	case PCI_BAR_MEM32:
		return take(&left->mem32, b->size, base);
	default:
		/* Below 4 GiB too, where every guest gets to them, unless they are large. */
		return (b->size <= mem32_size / 16 && take(&left->mem32, b->size, base)) ||
		       take(&left->mem64, b->size, base) || take(&left->mem32, b->size, base);
	}
}

int pci_bars_place(struct pci_bus *bus, struct pci_function *fn)
{
	struct pci_windows left = bus->left;
	u64 base[PCI_MAX_BARS];
	struct pci_decoded *grown;
	u32 nr = bus->nr_bars;

	for (u32 bar = 0; bar < PCI_MAX_BARS; bar++) {
		if (!fn->bar[bar].type)
			continue;
		if (!place(&left, &fn->bar[bar], bus->win.mem32.size, &base[bar]))
			return -ENOSPC;
		nr++;
	}
	if (nr == bus->nr_bars)
		return 0;
	grown = realloc(bus->decoded, nr * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	bus->decoded = grown;
	bus->nr_bars = nr;
	bus->left = left;
	for (u32 bar = 0; bar < PCI_MAX_BARS; bar++) {
		if (!fn->bar[bar].type)
			continue;
		fn->config[bar_reg(bar)] |= (u8)base[bar];
		for (u32 i = 1; i < (fn->bar[bar].type == PCI_BAR_MEM64 ? 8 : 4); i++)
			fn->config[bar_reg(bar) + i] = (u8)(base[bar] >> 8 * i);
	}
	return 0;
}

/* --- decoding ------------------------------------------------------------------------------------------- */

/* Where the guest wants the BAR; PCI_BAR_OFF where it is not to be decoded, or cannot be. */
static u64 wanted(const struct pci_function *fn, u32 bar)
{
	const struct pci_windows *win = &fn->bus->win;
	const struct pci_bar *b = &fn->bar[bar];
	u32 enable = b->type == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	u64 base = pci_get32(fn->config, bar_reg(bar)) & ~(b->size - 1);

	if (!b->type || !(fn->config[PCI_COMMAND] & enable))
		return PCI_BAR_OFF;
	if (b->type == PCI_BAR_IO)
		return range_inside(base, b->size, win->io.base, win->io.size) ? base : PCI_BAR_OFF;
	if (b->type == PCI_BAR_MEM64)
		base |= ((u64)pci_get32(fn->config, bar_reg(bar) + 4) << 32) & ~(b->size - 1);
	if (range_inside(base, b->size, win->mem32.base, win->mem32.size) ||
	    range_inside(base, b->size, win->mem64.base, win->mem64.size))
		return base;
	return PCI_BAR_OFF;
}

/* Puts it into the list; false when another has part of that place. */
static bool insert(struct pci_bus *bus, const struct pci_decoded *d)
{
	u32 at = bus->nr_decoded;
	const struct pci_decoded *list = bus->decoded;

	while (at > 0 && list[at - 1].base > d->base)
		at--;
	if ((at > 0 && d->base - list[at - 1].base < list[at - 1].size) ||
	    (at < bus->nr_decoded && list[at].base - d->base < d->size))
		return false;
	memmove(&bus->decoded[at + 1], &bus->decoded[at], (bus->nr_decoded - at) * sizeof(*d));
	bus->decoded[at] = *d;
	bus->nr_decoded++;
	return true;
}

static void decode_function(struct pci_bus *bus, struct pci_function *fn)
{
	for (u32 bar = 0; bar < PCI_MAX_BARS; bar++) {
		struct pci_bar *b = &fn->bar[bar];
		u64 base = wanted(fn, bar);
		const struct pci_decoded d = {.base = b->type == PCI_BAR_IO ? base | PORTS : base,
					      .size = b->size,
					      .fn = fn,
					      .bar = bar};

		b->next = base != PCI_BAR_OFF && insert(bus, &d) ? base : PCI_BAR_OFF;
	}
}

/* Where the CPU has it. */
static u64 cpu_address(const struct pci_bus *bus, const struct pci_bar *b, u64 base)
{
	const struct pci_windows *win = &bus->win;

	if (b->type == PCI_BAR_IO || base == PCI_BAR_OFF || !win->mem32_at ||
	    !range_inside(base, b->size, win->mem32.base, win->mem32.size))
		return base;
	return base - win->mem32.base + win->mem32_at;
}

static void tell_moved(struct pci_function *fn, bool arrived)
{
	for (u32 bar = 0; bar < PCI_MAX_BARS; bar++) {
		struct pci_bar *b = &fn->bar[bar];
		u64 base = arrived ? b->next : PCI_BAR_OFF;

		if (!b->type || b->base == b->next || b->base == base)
			continue;
		b->base = base;
		if (fn->bar_moved)
			fn->bar_moved(fn, bar, cpu_address(fn->bus, b, base));
	}
}

void pci_decode(struct pci_bus *bus)
{
	bus->nr_decoded = 0;
	for (u32 i = 0; i < PCI_MAX_FUNCTIONS; i++)
		if (bus->function[i])
			decode_function(bus, bus->function[i]);
	/* All who leave a place do so before anybody comes to it: KVM takes an ioeventfd's address but once.
	 */
	for (u32 arrived = 0; arrived < 2; arrived++)
		for (u32 i = 0; i < PCI_MAX_FUNCTIONS; i++)
			if (bus->function[i])
				tell_moved(bus->function[i], arrived);
}

/* --- accesses ------------------------------------------------------------------------------------------- */

static bool find(struct pci_bus *bus, u64 addr, struct pci_decoded *found)
{
	u32 low = 0, high;
	bool hit = false;

	pthread_mutex_lock(&bus->lock);
	high = bus->nr_decoded;
	while (low < high && !hit) {
		u32 mid = low + (high - low) / 2;

		*found = bus->decoded[mid];
		hit = addr >= found->base && addr - found->base < found->size;
		if (addr < found->base)
			high = mid;
		else
			low = mid + 1;
	}
	pthread_mutex_unlock(&bus->lock);
	return hit;
}

static void bar_io(struct pci_function *fn, u32 bar, struct io *io)
{
	device_lock(fn->dev);
	fn->bar[bar].fn(fn->dev, io, fn->bar[bar].arg);
	device_unlock(fn->dev);
}

void pci_bar_access(struct pci_function *fn, u32 bar, u64 offset, u8 *data, u32 len, bool write)
{
	struct io io = {.offset = offset, .data = data, .len = len, .write = write};

	if (bar < PCI_MAX_BARS && fn->bar[bar].type && range_inside(offset, len, 0, fn->bar[bar].size))
		bar_io(fn, bar, &io);
}

/* An access that leaves the BAR it begins in, or begins outside of any, goes on byte by byte. */
static bool bus_io(struct pci_bus *bus, u64 addr, const struct io *io)
{
	struct pci_decoded d;
	struct io part = *io;
	bool claimed = false;

	if (find(bus, addr, &d) && io->len <= d.size - (addr - d.base)) {
		part.offset = addr - d.base;
		bar_io(d.fn, d.bar, &part);
		return true;
	}
	part.len = 1;
	for (u32 i = 0; io->len > 1 && i < io->len; i++) {
		if (!find(bus, addr + i, &d))
			continue;
		part.offset = addr + i - d.base;
		part.data = io->data + i;
		bar_io(d.fn, d.bar, &part);
		claimed = true;
	}
	return claimed;
}

bool pci_bus_mem(struct pci_bus *bus, u64 addr, struct io *io)
{
	return bus_io(bus, addr, io);
}

bool pci_bus_port(struct pci_bus *bus, u64 port, struct io *io)
{
	return bus_io(bus, port | PORTS, io);
}

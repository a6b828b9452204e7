/* SPDX-License-Identifier: MIT */
/*
 * The e500 board's PCI host bridge as Freescale's parts have it (MPC8544E reference manual, "PCI bus
 * interface"; Linux's bindings/pci/fsl,pci.txt): the registers by which a guest gets to configuration space,
 * and those of its address windows. The bus behind it is hw/pci-host.c's.
 *
 *   0x000          PCI_CONFIG_ADDR   big-endian word
 *   0x004          PCI_CONFIG_DATA   any width; bytes as on the bus, so little-endian
 *   0xc00 - 0xc9f  outbound windows  five: translation, base, attributes
 *   0xda0 - 0xdff  inbound windows   three, likewise
 *
 * A guest sets the windows up as the device tree tells it, which is how they are anyhow: what is written
 * stands there to be read, and moves nothing. Devices go to guest-physical addresses. All other registers, of
 * errors and their capture, say that there are none; so does the block's revision, which parts of PCI do not
 * have.
 *
 * Accesses come from vCPU threads; dev->lock guards the registers, none the functions (pci.h).
 */
#include "e500-layout.h"
#include "e500.h"
#include <errno.h>
#include <lkvm/endian.h>
#include <lkvm/hw.h>
#include <lkvm/pci.h>
#include <string.h>

enum { REG_ADDRESS = 0, REG_DATA = 4, REG_DATA_END = 8 };

#define ADDRESS_MASK   0x80fffffcu
#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BUS    0x00ff0000u

/* Offsets from 0xc00. A window is of 32 bytes. */
#define WINDOWS	     0xc00u
#define WINDOWS_SIZE 0x200u
#define WINDOW_STEP  0x20u

struct e500_pci {
	struct device dev;
	struct pci_bus *bus;
	u32 address;		      /* dev->lock, as all that follows */
	u32 window[WINDOWS_SIZE / 4]; /* registers that a window does not have stay 0 */
};

static struct e500_pci *to_pci(struct device *dev)
{
	return container_of(dev, struct e500_pci, dev);
}

/* The bits that the register at an offset from WINDOWS has: 0, it is none. */
static u32 window_mask(u32 offset)
{
	bool out = offset < 5 * WINDOW_STEP, in = offset >= 0x1a0;

	switch (offset % WINDOW_STEP) {
	case 0x00: /* translation address */
		return out || in ? 0x00ffffff : 0;
	case 0x04: /* translation extended address */
		return out ? 0x000fffff : 0;
	case 0x08: /* base address; the first outbound window is what no other takes, and has none */
		return (out && offset >= WINDOW_STEP) || in ? 0x00ffffff : 0;
	case 0x0c: /* base extended address */
		return in ? 0x000fffff : 0;
	case 0x10: /* attributes */
		return out || in ? 0xffffffff : 0;
	default:
		return 0;
	}
}

static void register_io(struct e500_pci *pci, struct io *io)
{
	u32 offset = (u32)io->offset, *reg = NULL, mask = ADDRESS_MASK;

	if (offset == REG_ADDRESS) {
		reg = &pci->address;
	} else if (offset >= WINDOWS && offset < WINDOWS + WINDOWS_SIZE) {
		mask = window_mask(offset - WINDOWS);
		reg = &pci->window[(offset - WINDOWS) / 4];
	}
	if (!io->write)
		put_be(io->data, io->len, reg && io->len == 4 ? *reg : 0);
	else if (reg && io->len == 4)
		*reg = get_be32(io->data) & mask;
}

static void config_io(struct e500_pci *pci, u32 address, struct io *io)
{
	u32 reg = (address & 0xfc) + (u32)io->offset - REG_DATA;
	u8 devfn = (u8)(address >> 8);

	if (!io->write)
		memset(io->data, 0xff, io->len);
	if (!(address & ADDRESS_ENABLE) || address & ADDRESS_BUS)
		return;
	if (io->write)
		pci_config_write(pci->bus, devfn, reg, io->data, io->len);
	else
		pci_config_read(pci->bus, devfn, reg, io->data, io->len);
}

static void pci_io(struct device *dev, struct io *io, void *arg)
{
	struct e500_pci *pci = to_pci(dev);
	u32 address;

	device_lock(dev);
	address = pci->address;
	if (io->offset < REG_DATA || io->offset >= REG_DATA_END)
		register_io(pci, io);
	device_unlock(dev);
	if (range_inside(io->offset, io->len, REG_DATA, REG_DATA_END - REG_DATA))
		config_io(pci, address, io);
}

static int pci_create(struct device *dev, const void *params)
{
	struct e500_pci *pci = to_pci(dev);

	pci->bus = pci_host_bus(dev->kvm);
	if (!pci->bus)
		return -ENODEV;
	return bus_map(dev, BUS_MMIO, dev->board->mmio, E500_PCI_SIZE, pci_io, NULL, BUS_NO_LOCK);
}

static void pci_reset(struct device *dev)
{
	struct e500_pci *pci = to_pci(dev);

	pci->address = 0;
	memset(pci->window, 0, sizeof(pci->window));
}

static int pci_describe(const struct device *dev, struct fdt *fdt)
{
	dt_device(fdt, "pci", "fsl,mpc8540-pci", dev->board->mmio, E500_PCI_SIZE);
	pci_host_describe_bus(dev->kvm, fdt);
	if (dt_has(fdt, DT_MSI))
		dt_u32(fdt, "fsl,msi", DT_MSI);
	dt_end(fdt);
	return fdt->err;
}

static int pci_state(struct device *dev, struct state *s)
{
	struct e500_pci *pci = to_pci(dev);

	state_begin(s, dev->name, 1);
	state_u32(s, "address", &pci->address);
	pci->address &= ADDRESS_MASK;
	for (u32 at = 0; at < WINDOWS_SIZE; at += 4) {
		u32 mask = window_mask(at), *reg = &pci->window[at / 4];

		if (!mask || (state_printing(s) && !*reg))
			continue;
		state_u32(s, "window", reg);
		*reg &= mask;
	}
	state_end(s);
	return s->err;
}

const struct device_ops e500_pci_ops = {
	.name = "pci",
	.size = sizeof(struct e500_pci),
	.create = pci_create,
	.reset = pci_reset,
	.describe = pci_describe,
	.state = pci_state,
};

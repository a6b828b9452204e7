/* SPDX-License-Identifier: MIT */
/*
 * The PCI host bridge in the device tree (PAPR B.6.11; IEEE 1275's PCI binding 2.1), with each function on
 * its bus: Linux looks at no other on this machine. It takes ids, addresses and numbers of messages from
 * there.
 *
 * Main thread, in the `boot` step.
 */
#include "phb.h"
#include <lkvm/fdt.h>
#include <lkvm/kvm.h>

/* An address's first cell: n, p, t and the space; function and register. */
enum {
	ADDR_FIXED = 0x80000000, /* not relocatable: where it is */
	ADDR_PREFETCH = 0x40000000,
	ADDR_IO = 0x01000000,
	ADDR_MEM32 = 0x02000000,
	ADDR_MEM64 = 0x03000000,
};

static u32 space_of(const struct pci_bar *b)
{
	switch (b->type) {
	case PCI_BAR_IO:
		return ADDR_IO;
	case PCI_BAR_MEM32:
		return ADDR_MEM32;
	default:
		return ADDR_MEM64 | ADDR_PREFETCH;
	}
}

/* Five cells for each BAR: in "reg" its size, in "assigned-addresses" its place too. */
static void describe_bars(const struct pci_function *fn, struct fdt *fdt)
{
	u32 reg[5 * (PCI_MAX_BARS + 1)] = {(u32)fn->devfn << 8}, placed[5 * PCI_MAX_BARS], n = 0;

	for (u32 bar = 0; bar < PCI_MAX_BARS; bar++) {
		const struct pci_bar *b = &fn->bar[bar];
		u32 at = PCI_BASE_ADDRESS_0 + 4 * bar, *r = &reg[5 * (n + 1)], *p = &placed[5 * n];
		u64 base = pci_get32(fn->config, at) & ~(b->size - 1);

		if (!b->type)
			continue;
		if (b->type == PCI_BAR_MEM64)
			base |= (u64)pci_get32(fn->config, at + 4) << 32;
		r[0] = space_of(b) | (u32)fn->devfn << 8 | at;
		r[1] = r[2] = 0;
		p[0] = r[0] | ADDR_FIXED;
		p[1] = (u32)(base >> 32);
		p[2] = (u32)base;
		r[3] = p[3] = (u32)(b->size >> 32);
		r[4] = p[4] = (u32)b->size;
		n++;
	}
	dt_cells(fdt, "reg", reg, 5 * (n + 1));
	if (n)
		dt_cells(fdt, "assigned-addresses", placed, 5 * n);
}

/* Generic names of the binding. */
static const char *kind_of(u32 class)
{
	switch (class >> 16) {
	case 1:
		return "scsi";
	case 2:
		return "ethernet";
	case 6:
		return "host";
	default:
		return "pci";
	}
}

static void describe_function(struct pci_bus *bus, const struct pci_function *fn, struct fdt *fdt)
{
	u32 class = pci_get32(fn->config, PCI_CLASS_REVISION) >> 8, slot = PCI_SLOT(fn->devfn);
	struct phb_caps caps;

	phb_caps_of(bus, fn->devfn, &caps);
	if (fn->devfn & 7)
		dt_begin(fdt, "%s@%x,%x", kind_of(class), slot, fn->devfn & 7);
	else
		dt_begin_at(fdt, kind_of(class), slot);
	describe_bars(fn, fdt);
	dt_u32(fdt, "vendor-id", pci_get16(fn->config, PCI_VENDOR_ID));
	dt_u32(fdt, "device-id", pci_get16(fn->config, PCI_DEVICE_ID));
	dt_u32(fdt, "revision-id", fn->config[PCI_REVISION_ID]);
	dt_u32(fdt, "class-code", class);
	if (pci_get16(fn->config, PCI_SUBSYSTEM_VENDOR_ID)) {
		dt_u32(fdt, "subsystem-vendor-id", pci_get16(fn->config, PCI_SUBSYSTEM_VENDOR_ID));
		dt_u32(fdt, "subsystem-id", pci_get16(fn->config, PCI_SUBSYSTEM_ID));
	}
	if (fn->config[PCI_INTERRUPT_PIN])
		dt_u32(fdt, "interrupts", fn->config[PCI_INTERRUPT_PIN]);
	if (caps.msi64)
		dt_u32(fdt, "ibm,req#msi", caps.nr_msi);
	if (caps.msix)
		dt_u32(fdt, "ibm,req#msi-x", caps.nr_msix);
	dt_end(fdt);
}

int phb_describe(const struct device *dev, struct fdt *fdt)
{
	static const u64 reg[][2] = {{PHB_BUID, 0}};
	/* The table's name, then the window: address and size. */
	static const u32 window[] = {PHB_LIOBN, 0, 0, (u32)(PHB_DMA_WINDOW >> 32), (u32)PHB_DMA_WINDOW};
	const struct phb *phb = container_of(dev, struct phb, dev);

	dt_begin_at(fdt, "pci", PHB_BUID);
	dt_str(fdt, "compatible", "IBM,Logical_PHB");
	dt_reg(fdt, reg, 1);
	pci_host_describe_bus(dev->kvm, fdt);
	dt_u32(fdt, "ibm,pe-total-#msi", PHB_MSIS);
	dt_u32(fdt, "ibm,#dma-address-cells", 2);
	dt_u32(fdt, "ibm,#dma-size-cells", 2);
	dt_cells(fdt, "ibm,dma-window", window, ARRAY_SIZE(window));
	for (u32 devfn = 0; devfn < PCI_MAX_FUNCTIONS; devfn++)
		if (phb->bus->function[devfn])
			describe_function(phb->bus, phb->bus->function[devfn], fdt);
	dt_end(fdt);
	return fdt->err;
}

/* SPDX-License-Identifier: MIT */
/*
 * The PCI host bridge: the guest's two ways to the configuration space of bus 0, and the bridge itself as
 * function 00:00.0.
 *
 *   base + 0   CONFIG_ADDRESS, double words only (PCI Local Bus 3.0, 3.2.2.3.2)
 *   base + 1   as a byte it is the reset control register, 0xcf9 of every PC chipset
 *   base + 4   CONFIG_DATA, any width
 *   mmio       ECAM of bus 0, 1 MiB (PCI Express Base, 7.2.2; PCI Firmware 3.3, 4.1.2)
 *
 * The windows that are PCI's (machine->pci_windows()) are regions of the buses, too: what decodes there is
 * devices/pci-bar.c's to know.
 *
 * The ACPI description gives bus 0 alone and says which windows there are, so that a kernel scans 32 slots
 * and no more. It grants the system every PCI Express feature that it asks for: we keep none for ourselves. A
 * motherboard device reserves the ECAM range, or Linux would not use it.
 *
 * board->line is the first of PCI_INTX_LINES interrupt lines for INTA to INTD (IRQ_NONE: none are wired). All
 * functions share them.
 *
 * Accesses come from vCPU threads. Those to functions hold no lock of the bridge's: configuration space and
 * BARs have their own (pci.h).
 */
#include <errno.h>
#include <lkvm/acpi.h>
#include <lkvm/device.h>
#include <lkvm/fdt.h>
#include <lkvm/hw.h>
#include <lkvm/irq.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <lkvm/machine.h>
#include <lkvm/pci.h>
#include <lkvm/state.h>

#define HOST_PORTS   8
#define HOST_ECAM    MiB(1) /* bus 0: 256 functions of 4 KiB */
#define HOST_VENDOR  0x1b36
#define HOST_DEVICE  0x0008 /* the generic PCI Express host bridge */
#define HOST_ADDRESS 0x80fffffcu

enum { HOST_CF8 = 0, HOST_CF9 = 1, HOST_CFC = 4 };

/* Reset control: bit 2 going up resets, the other bits say how thoroughly. */
enum { CF9_SYSTEM = 0x02, CF9_RESET = 0x04, CF9_FULL = 0x08 };

/* AML (20.2.5): opcodes that acpi.h has no function for. */
enum {
	AML_ARG0 = 0x68,
	AML_ARG1 = 0x69,
	AML_ARG3 = 0x6b,
	AML_OR = 0x7d,
	AML_CREATE_DWORD_FIELD = 0x8a,
	AML_NOT = 0x92,
	AML_EQUAL = 0x93,
	AML_RETURN = 0xa4,
};

struct pci_host {
	struct device dev;
	struct pci_bus bus;
	struct pci_function fn;
	bool bus_up;
	u32 address;	  /* CONFIG_ADDRESS; dev.lock */
	u8 reset_control; /* dev.lock */
};

struct pci_bus *pci_host_bus(struct kvm *kvm)
{
	struct device *dev = device_find(kvm, &pci_host_ops, 0);

	return dev ? &container_of(dev, struct pci_host, dev)->bus : NULL;
}

static void host_config(struct pci_host *host, u8 devfn, u32 reg, struct io *io)
{
	if (io->write)
		pci_config_write(&host->bus, devfn, reg, io->data, io->len);
	else
		pci_config_read(&host->bus, devfn, reg, io->data, io->len);
}

static void host_reset_control(struct pci_host *host, struct io *io)
{
	u8 old = host->reset_control;

	if (!io->write) {
		io->data[0] = old;
		return;
	}
	host->reset_control = io->data[0] & (CF9_SYSTEM | CF9_RESET | CF9_FULL);
	if (host->reset_control & ~old & CF9_RESET)
		kvm_end(host->dev.kvm, VM_RESET, 0);
}

static void host_address(struct pci_host *host, struct io *io)
{
	if (io->write)
		host->address = (u32)io_value(io) & HOST_ADDRESS;
	else
		io_reply(io, host->address);
}

/* CONFIG_ADDRESS and the reset control register are the bridge's own; what is behind CONFIG_DATA is not. */
static void host_port_io(struct device *dev, struct io *io, void *arg)
{
	struct pci_host *host = container_of(dev, struct pci_host, dev);
	u32 offset = (u32)io->offset, address;

	device_lock(dev);
	address = host->address;
	if (offset == HOST_CF8 && io->len == 4)
		host_address(host, io);
	else if (offset == HOST_CF9 && io->len == 1)
		host_reset_control(host, io);
	device_unlock(dev);
	/* Enabled, and bus 0. Within the double word: the range ends with it. */
	if (offset >= HOST_CFC && (address & 0x80ff0000) == 0x80000000)
		host_config(host, (u8)(address >> 8), (address & 0xfc) + offset - HOST_CFC, io);
}

static void host_ecam_io(struct device *dev, struct io *io, void *arg)
{
	struct pci_host *host = container_of(dev, struct pci_host, dev);

	host_config(host, (u8)(io->offset >> 12), (u32)(io->offset & 0xfff), io);
}

/* --- windows -------------------------------------------------------------------------------------------- */

static void host_mem_io(struct device *dev, struct io *io, void *arg)
{
	struct pci_host *host = container_of(dev, struct pci_host, dev);
	const struct pci_window *win = arg;
	u64 addr = win->base + io->offset;

	if (!pci_bus_mem(&host->bus, addr, io))
		bus_unclaimed(dev->kvm, BUS_MMIO, addr, io->data, io->len, io->write);
}

static void host_io_io(struct device *dev, struct io *io, void *arg)
{
	struct pci_host *host = container_of(dev, struct pci_host, dev);
	u64 port = host->bus.win.io.base + io->offset;

	if (!pci_bus_port(&host->bus, port, io))
		bus_unclaimed(dev->kvm, BUS_PIO, port, io->data, io->len, io->write);
}

static u64 mem32_at(const struct pci_windows *win)
{
	return win->mem32_at ? win->mem32_at : win->mem32.base;
}

static int host_map_windows(struct pci_host *host)
{
	struct pci_windows *win = &host->bus.win;
	struct pci_window *const mem[] = {&win->mem32, &win->mem64};
	const u64 at[] = {mem32_at(win), win->mem64.base};
	int err = 0;

	for (u32 i = 0; i < ARRAY_SIZE(mem) && !err; i++)
		if (mem[i]->size)
			err = bus_map(&host->dev, BUS_MMIO, at[i], mem[i]->size, host_mem_io, mem[i],
				      BUS_NO_LOCK);
	if (win->io.size && !err)
		err = bus_map(&host->dev, win->io_bus, win->io_at, win->io.size, host_io_io, NULL,
			      BUS_NO_LOCK);
	return err;
}

static int host_claim_lines(struct device *dev)
{
	u32 line = dev->board->line;

	/* device.c has claimed the first. */
	for (u32 i = 0; line != IRQ_NONE && i < PCI_INTX_LINES; i++) {
		int err = i ? irq_claim(dev->kvm, line + i) : 0;

		if (err) {
			log_error("%s: interrupt line %u for INTx is not to be had", dev->name, line + i);
			return err;
		}
		irq_share(dev->kvm, line + i);
	}
	return 0;
}

static int host_create(struct device *dev, const void *params)
{
	static const struct pci_ident generic = {
		.vendor = HOST_VENDOR, .device = HOST_DEVICE, .class = 0x060000};
	struct pci_host *host = container_of(dev, struct pci_host, dev);
	const struct board_device *board = dev->board;
	struct pci_windows win = {0};
	int err;

	if (dev->kvm->machine->pci_windows)
		dev->kvm->machine->pci_windows(dev->kvm, &win);
	pci_bus_init(&host->bus, &win, board->line);
	host->bus_up = true;
	pci_function_init(&host->fn, dev, win.bridge ? win.bridge : &generic);
	if (win.bridge_bar)
		pci_put32(host->fn.write, PCI_BASE_ADDRESS_0, ~(win.bridge_bar - 1));
	err = pci_register(&host->bus, &host->fn, PCI_DEVFN(0, 0));
	if (!err)
		err = host_claim_lines(dev);
	if (!err && board->bus == BUS_PIO)
		err = bus_map(dev, BUS_PIO, board->base, HOST_PORTS, host_port_io, NULL, BUS_NO_LOCK);
	if (!err && board->mmio)
		err = bus_map(dev, BUS_MMIO, board->mmio, HOST_ECAM, host_ecam_io, NULL, BUS_NO_LOCK);
	return err ? err : host_map_windows(host);
}

static void host_reset(struct device *dev)
{
	struct pci_host *host = container_of(dev, struct pci_host, dev);

	host->address = 0;
	host->reset_control = 0;
	pci_function_reset(&host->fn);
}

/* --- ACPI ----------------------------------------------------------------------------------------------- */

/* _CRS: the bus, the ports it decodes itself, and the windows it passes on. */
static void host_resources(const struct pci_host *host, struct aml *aml)
{
	const struct board_device *board = host->dev.board;
	const struct pci_windows *win = &host->bus.win;

	aml_name(aml, "_CRS");
	aml_resources_begin(aml);
	aml_res_bus_range(aml, 0, 0);
	if (board->bus == BUS_PIO)
		aml_res_io(aml, (u16)board->base, 1, HOST_PORTS);
	if (win->io.size && win->io_bus == BUS_PIO)
		aml_res_io_range(aml, (u16)win->io.base, (u16)(win->io.base + win->io.size - 1));
	if (win->mem32.size)
		aml_res_mem32_range(aml, (u32)win->mem32.base, (u32)(win->mem32.base + win->mem32.size - 1),
				    false);
	if (win->mem64.size)
		aml_res_mem64_range(aml, win->mem64.base, win->mem64.base + win->mem64.size - 1, false);
	aml_resources_end(aml);
}

/* _PRT (6.2.13): for each slot and pin, the GSI. */
static void host_routing(const struct device *dev, struct aml *aml)
{
	u32 slots = PCI_MAX_FUNCTIONS / 8;

	if (dev->board->line == IRQ_NONE)
		return;
	aml_name(aml, "_PRT");
	aml_package_begin(aml, slots * 4);
	for (u32 slot = 0; slot < slots; slot++)
		for (u8 pin = 1; pin <= 4; pin++) {
			aml_package_begin(aml, 4);
			aml_int(aml, slot << 16 | 0xffff); /* any function */
			aml_int(aml, pin - 1u);
			aml_int(aml, 0); /* no link device: */
			aml_int(aml, dev->board->line + pci_intx_line(PCI_DEVFN(slot, 0), pin));
			aml_end(aml);
		}
	aml_end(aml);
}

/* If (LNot (LEqual (arg, the caller's next term))) { CDW1 |= bit: osc_fail() } */
static void osc_if_not_equal(struct aml *aml, u8 arg)
{
	aml_if_begin(aml);
	aml_op(aml, AML_NOT);
	aml_op(aml, AML_EQUAL);
	aml_op(aml, arg);
}

static void osc_fail(struct aml *aml, u8 bit)
{
	aml_op(aml, AML_OR);
	aml_path(aml, "CDW1");
	aml_int(aml, bit);
	aml_path(aml, "CDW1");
	aml_end(aml);
}

/*
 * _OSC (6.2.11; PCI Firmware 3.3, 4.5.1): returns what the system asked for, all of it granted, or says in
 * the first double word that the UUID (bit 2) or the revision (bit 3) is not known.
 */
static void host_osc(struct aml *aml)
{
	/* 33db4d5b-1ff7-401c-9657-7441c03dd766, as ToUUID lays it out */
	static const u8 uuid[16] = {0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
				    0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66};

	aml_method_begin(aml, "_OSC", 4, true);
	aml_op(aml, AML_CREATE_DWORD_FIELD);
	aml_op(aml, AML_ARG3);
	aml_int(aml, 0);
	aml_path(aml, "CDW1");
	osc_if_not_equal(aml, AML_ARG0);
	aml_buffer(aml, uuid, sizeof(uuid));
	osc_fail(aml, 0x4);
	osc_if_not_equal(aml, AML_ARG1);
	aml_int(aml, 1);
	osc_fail(aml, 0x8);
	aml_op(aml, AML_RETURN);
	aml_op(aml, AML_ARG3);
	aml_end(aml);
}

static void host_describe_acpi(const struct device *dev, struct aml *aml)
{
	u64 ecam = dev->board->mmio;

	aml_device_begin(aml, "PCI0");
	aml_name(aml, "_HID");
	aml_eisaid(aml, "PNP0A08");
	aml_name(aml, "_CID");
	aml_eisaid(aml, "PNP0A03");
	aml_name(aml, "_UID");
	aml_int(aml, 0);
	aml_name(aml, "_SEG");
	aml_int(aml, 0);
	aml_name(aml, "_BBN");
	aml_int(aml, 0);
	host_resources(container_of(dev, struct pci_host, dev), aml);
	host_routing(dev, aml);
	host_osc(aml);
	aml_end(aml);

	if (!ecam)
		return;
	aml_device_begin(aml, "ECAM");
	aml_name(aml, "_HID");
	aml_eisaid(aml, "PNP0C02");
	aml_name(aml, "_UID");
	aml_int(aml, 0);
	aml_name(aml, "_CRS");
	aml_resources_begin(aml);
	if (ecam + HOST_ECAM <= GiB(4))
		aml_res_memory32(aml, (u32)ecam, HOST_ECAM, true);
	else
		aml_res_mem64_range(aml, ecam, ecam + HOST_ECAM - 1, false);
	aml_resources_end(aml);
	aml_end(aml);
}

/* --- device tree ---------------------------------------------------------------------------------------- */

/*
 * bindings/pci: the space that a range or an address is of, in its first cell. The 64-bit window is for
 * prefetchable memory: Linux warns of any other that is larger than 4 GiB.
 */
enum { DT_PCI_IO = 0x01000000, DT_PCI_MEM32 = 0x02000000, DT_PCI_MEM64 = 0x43000000 };
/* Of an address, the slots that begin differently with their INTA; of an interrupt, the pin. */
#define DT_MAP_SLOTS   PCI_INTX_LINES
#define DT_MAP_MASK    ((DT_MAP_SLOTS - 1u) << 11)
#define DT_MAP_ENTRIES (DT_MAP_SLOTS * 4)

static u32 *put_range(u32 *c, u32 space, u64 pci, u64 cpu, u64 size)
{
	if (!size)
		return c;
	*c++ = space;
	*c++ = (u32)(pci >> 32);
	*c++ = (u32)pci;
	*c++ = (u32)(cpu >> 32);
	*c++ = (u32)cpu;
	*c++ = (u32)(size >> 32);
	*c++ = (u32)size;
	return c;
}

static void host_describe_ranges(const struct pci_windows *win, struct fdt *fdt)
{
	u32 cells[3 * 7], *c = cells;

	if (win->io_bus == BUS_MMIO)
		c = put_range(c, DT_PCI_IO, win->io.base, win->io_at, win->io.size);
	c = put_range(c, DT_PCI_MEM32, win->mem32.base, mem32_at(win), win->mem32.size);
	c = put_range(c, DT_PCI_MEM64, win->mem64.base, win->mem64.base, win->mem64.size);
	dt_cells(fdt, "ranges", cells, (size_t)(c - cells));
}

/* For each slot, as far as it matters, and pin: the irqchip and a line of it. */
static void host_describe_intx(const struct device *dev, struct fdt *fdt)
{
	static const u32 mask[] = {DT_MAP_MASK, 0, 0, 7};
	const struct irqchip *chip = &dev->kvm->irqchip;
	u32 cells[DT_MAP_ENTRIES * (5 + DT_IRQCHIP_ADDRESS_CELLS + DT_IRQ_CELLS_MAX)] = {0}, *c = cells;

	if (dev->board->line == IRQ_NONE)
		return;
	for (u32 slot = 0; slot < DT_MAP_SLOTS; slot++)
		for (u8 pin = 1; pin <= 4; pin++) {
			u32 line = dev->board->line + pci_intx_line(PCI_DEVFN(slot, 0), pin);

			c[0] = slot << 11;
			c[3] = pin;
			c[4] = DT_IRQCHIP;
			c += 5 + DT_IRQCHIP_ADDRESS_CELLS;
			c += chip->ops->irq_cells(chip, line, true, c);
		}
	dt_u32(fdt, "#interrupt-cells", 1);
	dt_cells(fdt, "interrupt-map-mask", mask, ARRAY_SIZE(mask));
	dt_cells(fdt, "interrupt-map", cells, (size_t)(c - cells));
}

void pci_host_describe_bus(const struct kvm *kvm, struct fdt *fdt)
{
	static const u32 buses[] = {0, 0};
	const struct device *dev = device_find((struct kvm *)kvm, &pci_host_ops, 0);

	if (!dev)
		return;
	dt_str(fdt, "device_type", "pci");
	dt_u32(fdt, "#address-cells", 3);
	dt_u32(fdt, "#size-cells", 2);
	dt_cells(fdt, "bus-range", buses, ARRAY_SIZE(buses));
	host_describe_ranges(&container_of(dev, struct pci_host, dev)->bus.win, fdt);
	host_describe_intx(dev, fdt);
}

/* bindings/pci/host-generic-pci.yaml. A bridge without ECAM is its machine's to describe. */
static int host_describe(const struct device *dev, struct fdt *fdt)
{
	/* Requester ids as they are. */
	static const u32 msi_map[] = {0, DT_MSI, 0, 0x10000};

	if (!dev->board->mmio)
		return 0;
	dt_device(fdt, "pcie", "pci-host-ecam-generic", dev->board->mmio, HOST_ECAM);
	pci_host_describe_bus(dev->kvm, fdt);
	if (dt_has(fdt, DT_MSI))
		dt_cells(fdt, "msi-map", msi_map, ARRAY_SIZE(msi_map));
	dt_empty(fdt, "dma-coherent");
	dt_end(fdt);
	return fdt->err;
}

static int host_state(struct device *dev, struct state *s)
{
	struct pci_host *host = container_of(dev, struct pci_host, dev);

	state_begin(s, dev->name, 2);
	state_u32(s, "address", &host->address);
	state_u8(s, "reset_control", &host->reset_control);
	pci_function_state(&host->fn, s);
	state_end(s);
	host->address &= HOST_ADDRESS;
	return s->err;
}

static void host_destroy(struct device *dev)
{
	struct pci_host *host = container_of(dev, struct pci_host, dev);

	if (!host->bus_up)
		return;
	pci_unregister(&host->fn);
	pci_bus_destroy(&host->bus);
}

const struct device_ops pci_host_ops = {
	.name = "pci-host",
	.size = sizeof(struct pci_host),
	.create = host_create,
	.reset = host_reset,
	.describe = host_describe,
	.describe_acpi = host_describe_acpi,
	.state = host_state,
	.destroy = host_destroy,
};

/* SPDX-License-Identifier: MIT */
/*
 * The PCI host bridge of the pseries machine, as PAPR has it: configuration space by RTAS calls (PAPR 7.3.5),
 * and messages by RTAS calls as well (7.3.10.5): the platform chooses the interrupt sources and programs the
 * function's messages itself; the guest asks how many it got, and which sources they are. The bus behind it
 * is hw/pci-host.c's.
 *
 * A message's address is a doorbell that nobody answers at, its data the source (pseries-irq.h).
 *
 * RTAS calls come on vCPU threads. dev->lock guards which sources a function has; a function's own table is
 * programmed without it, for that takes the lock of the function's device.
 */
#include "phb.h"
#include "pseries.h"
#include "rtas.h"
#include <errno.h>
#include <lkvm/endian.h>
#include <lkvm/kvm.h>
#include <lkvm/state.h>
#include <string.h>

/* ibm,change-msi's functions. */
enum { MSI_CHANGE = 1, MSI_RESET = 2, MSI_MSI = 3, MSI_MSIX = 4, MSI_MSI32 = 5 };
/* What it says the messages are, in its fourth result. */
enum { TYPE_NONE = 0, TYPE_MSI = 1, TYPE_MSIX = 2 };
#define TRIGGER_EDGE 1

#define CONFIG_SIZE 256u

static struct phb *phb_of(const struct kvm *kvm)
{
	struct device *dev = device_find((struct kvm *)kvm, &phb_ops, 0);

	return dev ? container_of(dev, struct phb, dev) : NULL;
}

/* ---- configuration space ----------------------------------------------------------------------------- */

/*
 * A configuration address: bits 23 to 16 the bus, 15 to 8 the function, 7 to 0 the register, whose upper bits
 * (of extended space, which no function here has) are in 31 to 28. NULL: there is no such function.
 */
static struct pci_bus *config_bus(const struct rtas_call *call, u64 buid, u32 addr)
{
	struct phb *phb = buid == PHB_BUID ? phb_of(call->vcpu->kvm) : NULL;

	if (!phb || addr & 0xf0ff0000 || !phb->bus->function[addr >> 8 & 0xff])
		return NULL;
	return phb->bus;
}

static void read_config(struct rtas_call *call, u64 buid, u32 addr, u32 size)
{
	struct pci_bus *bus = config_bus(call, buid, addr);
	u8 data[4] = {0xff, 0xff, 0xff, 0xff};

	if (!bus || (size != 1 && size != 2 && size != 4) || addr & (size - 1)) {
		rtas_status(call, RTAS_PARAMETER);
		return;
	}
	pci_config_read(bus, (u8)(addr >> 8), addr & 0xff, data, size);
	/* Configuration space is little-endian, a cell a number. */
	call->ret[1] = (u32)get_le(data, size);
}

static void write_config(struct rtas_call *call, u64 buid, u32 addr, u32 size, u32 v)
{
	struct pci_bus *bus = config_bus(call, buid, addr);
	u8 data[4];

	if (!bus || (size != 1 && size != 2 && size != 4) || addr & (size - 1)) {
		rtas_status(call, RTAS_PARAMETER);
		return;
	}
	put_le(data, size, v);
	pci_config_write(bus, (u8)(addr >> 8), addr & 0xff, data, size);
}

static void ibm_read_pci_config(struct rtas_call *call)
{
	read_config(call, rtas_arg64(call, 1), call->arg[0], call->arg[3]);
}

static void ibm_write_pci_config(struct rtas_call *call)
{
	write_config(call, rtas_arg64(call, 1), call->arg[0], call->arg[3], call->arg[4]);
}

/* The older pair, of machines with one bridge. */
static void read_pci_config(struct rtas_call *call)
{
	read_config(call, PHB_BUID, call->arg[0], call->arg[1]);
}

static void write_pci_config(struct rtas_call *call)
{
	write_config(call, PHB_BUID, call->arg[0], call->arg[1], call->arg[2]);
}

/* ---- messages ---------------------------------------------------------------------------------------- */

static u32 config_get(struct pci_bus *bus, u8 devfn, u32 reg, u32 size)
{
	u8 data[4] = {0};

	pci_config_read(bus, devfn, reg, data, size);
	return (u32)get_le(data, size);
}

/* One capability's. */
static void read_cap(struct pci_bus *bus, u8 devfn, u32 at, struct phb_caps *out)
{
	u32 flags = config_get(bus, devfn, at + PCI_MSIX_FLAGS, 2), table; /* the same place in both */

	switch (config_get(bus, devfn, at + PCI_CAP_LIST_ID, 1)) {
	case PCI_CAP_ID_MSIX:
		table = config_get(bus, devfn, at + PCI_MSIX_TABLE, 4);
		out->msix = at;
		out->bar = table & PCI_MSIX_TABLE_BIR;
		out->offset = table & PCI_MSIX_TABLE_OFFSET;
		out->nr_msix = (flags & PCI_MSIX_FLAGS_QSIZE) + 1;
		break;
	case PCI_CAP_ID_MSI:
		out->msi = at;
		out->nr_msi = 1u << ((flags & PCI_MSI_FLAGS_QMASK) >> 1);
		out->msi64 = flags & PCI_MSI_FLAGS_64BIT;
		break;
	default:
		break;
	}
}

void phb_caps_of(struct pci_bus *bus, u8 devfn, struct phb_caps *out)
{
	u32 at = config_get(bus, devfn, PCI_CAPABILITY_LIST, 1);

	memset(out, 0, sizeof(*out));
	if (!(config_get(bus, devfn, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return;
	/* The list is ours, and ends; a bound all the same. */
	for (u32 i = 0; at && i < CONFIG_SIZE / 4; i++) {
		read_cap(bus, devfn, at, out);
		at = config_get(bus, devfn, at + PCI_CAP_LIST_NEXT, 1);
	}
}

/* Writes the table as firmware does; whether a vector is masked stays as it is. */
static void program_msix(struct pci_function *fn, const struct phb_caps *caps, struct phb_msi msi)
{
	for (u32 i = 0; i < caps->nr_msix; i++) {
		bool used = i < msi.nr;
		u64 address = used ? PSERIES_MSI_DOORBELL : 0, at = caps->offset + i * PCI_MSIX_ENTRY_SIZE;
		u8 word[4];

		put_le32(word, (u32)address);
		pci_bar_access(fn, caps->bar, at + PCI_MSIX_ENTRY_LOWER_ADDR, word, 4, true);
		put_le32(word, (u32)(address >> 32));
		pci_bar_access(fn, caps->bar, at + PCI_MSIX_ENTRY_UPPER_ADDR, word, 4, true);
		put_le32(word, used ? msi.first + i : 0);
		pci_bar_access(fn, caps->bar, at + PCI_MSIX_ENTRY_DATA, word, 4, true);
	}
}

/* The same in configuration space. A function puts a message's number into the lowest bits of the data. */
static void program_msi(struct pci_function *fn, const struct phb_caps *caps, struct phb_msi msi)
{
	u64 address = msi.nr ? PSERIES_MSI_DOORBELL : 0;
	u32 at = caps->msi, flags = config_get(fn->bus, fn->devfn, at + PCI_MSI_FLAGS, 2);
	u8 word[4];

	put_le32(word, (u32)address);
	pci_config_write(fn->bus, fn->devfn, at + PCI_MSI_ADDRESS_LO, word, 4);
	put_le32(word, (u32)(address >> 32));
	pci_config_write(fn->bus, fn->devfn, at + PCI_MSI_ADDRESS_HI, word, 4);
	put_le32(word, msi.nr ? msi.first : 0);
	pci_config_write(fn->bus, fn->devfn, at + PCI_MSI_DATA_64, word, 2);
	flags &= ~(u32)PCI_MSI_FLAGS_QSIZE;
	for (u32 n = 1; n < msi.nr; n *= 2)
		flags += 1u << 4;
	put_le32(word, flags);
	pci_config_write(fn->bus, fn->devfn, at + PCI_MSI_FLAGS, word, 2);
}

static bool line_taken(const struct phb *phb, u32 line)
{
	for (u32 i = 0; i < PCI_MAX_FUNCTIONS; i++)
		if (line >= phb->msi[i].first && line - phb->msi[i].first < phb->msi[i].nr)
			return true;
	return false;
}

/* The first of nr free lines in a row, at a multiple of a power of two, or -ENOSPC. With dev->lock held. */
static int find_lines(const struct phb *phb, u32 nr, u32 align)
{
	for (u32 first = PSERIES_FIRST_MSI; first + nr <= PSERIES_NR_LINES; first += align) {
		u32 n = 0;

		while (n < nr && !line_taken(phb, first + n))
			n++;
		if (n == nr)
			return (int)first;
	}
	return -ENOSPC;
}

/* Gives a function nr lines for those that it has. 0, or -errno: it has none. With dev->lock held. */
static int change_lines(struct phb *phb, u8 devfn, u32 nr, u32 align)
{
	struct phb_msi *msi = &phb->msi[devfn];
	int first;

	*msi = (struct phb_msi){0};
	if (!nr)
		return 0;
	first = find_lines(phb, nr, align);
	for (u32 i = 0; first >= 0 && i < nr; i++) {
		int err = pseries_irq_use(&phb->dev.kvm->irqchip, (u32)first + i);

		if (err)
			first = err;
	}
	if (first < 0)
		return first;
	*msi = (struct phb_msi){.first = (u16)first, .nr = (u16)nr};
	return 0;
}

/* How many of what kind the guest can have of what it asks for. 0: none, or none of that kind. */
static u32 messages_of(const struct phb_caps *caps, u32 function, u32 nr)
{
	u32 most = caps->msi64 ? caps->nr_msi : 0, n = 1;

	if (function == MSI_MSIX)
		return (u32)min_u64(nr, caps->nr_msix);
	/* The doorbell's address has more than 32 bits. */
	if (function != MSI_CHANGE && function != MSI_MSI)
		return 0;
	/* MSIs come in powers of two. */
	while (n * 2 <= min_u64(nr, most))
		n *= 2;
	return nr && most ? n : 0;
}

/*
 * Function, how many, sequence number: how many there are now (fewer than asked for if there are no more:
 * half as often as need be), the sequence number of the next call of this change, which there is none of, and
 * of which kind they are.
 */
static void change_msi(struct rtas_call *call)
{
	u32 addr = call->arg[0], function = call->arg[3], nr = call->arg[4], seq = call->arg[5];
	struct pci_bus *bus = config_bus(call, rtas_arg64(call, 1), addr);
	u8 devfn = (u8)(addr >> 8);
	struct phb_caps caps;
	struct phb_msi msi;
	struct phb *phb;
	int err = 0;

	if (!bus || function < MSI_CHANGE || function > MSI_MSI32) {
		rtas_status(call, RTAS_PARAMETER);
		return;
	}
	phb = phb_of(call->vcpu->kvm);
	phb_caps_of(bus, devfn, &caps);
	if (function == MSI_RESET)
		nr = 0;
	if (nr && !messages_of(&caps, function, nr)) {
		rtas_status(call, RTAS_PARAMETER);
		return;
	}
	nr = nr ? messages_of(&caps, function, nr) : 0;
	device_lock(&phb->dev);
	do {
		err = change_lines(phb, devfn, nr, function == MSI_MSIX || !nr ? 1 : nr);
	} while (err == -ENOSPC && (nr /= 2));
	msi = phb->msi[devfn];
	device_unlock(&phb->dev);
	/* What it has of the other kind is forgotten. */
	if (caps.msix)
		program_msix(bus->function[devfn], &caps, function == MSI_MSIX ? msi : (struct phb_msi){0});
	if (caps.msi64)
		program_msi(bus->function[devfn], &caps, function == MSI_MSIX ? (struct phb_msi){0} : msi);
	if (err) {
		log_debug(phb->dev.kvm->log, "phb: %u messages for function %02x.%x: %s", nr, devfn >> 3,
			  devfn & 7, strerror(-err));
		rtas_status(call, RTAS_HARDWARE);
		return;
	}
	call->ret[1] = msi.nr;
	call->ret[2] = seq;
	if (call->nr_rets > 3)
		call->ret[3] = !msi.nr ? TYPE_NONE : function == MSI_MSIX ? TYPE_MSIX : TYPE_MSI;
}

static void query_source(struct rtas_call *call)
{
	u32 addr = call->arg[0], index = call->arg[3];
	struct pci_bus *bus = config_bus(call, rtas_arg64(call, 1), addr);
	struct phb *phb = bus ? phb_of(call->vcpu->kvm) : NULL;
	struct phb_msi msi = {0};

	if (phb) {
		device_lock(&phb->dev);
		msi = phb->msi[addr >> 8 & 0xff];
		device_unlock(&phb->dev);
	}
	if (index >= msi.nr) {
		rtas_status(call, RTAS_PARAMETER);
		return;
	}
	call->ret[1] = msi.first + index;
	call->ret[2] = TRIGGER_EDGE;
}

const struct rtas_service rtas_pci_services[] = {
	{"read-pci-config", 2, 2, 2, 2, read_pci_config, NULL},
	{"write-pci-config", 3, 3, 1, 1, write_pci_config, NULL},
	{"ibm,read-pci-config", 4, 4, 2, 2, ibm_read_pci_config, NULL},
	{"ibm,write-pci-config", 5, 5, 1, 1, ibm_write_pci_config, NULL},
	{"ibm,change-msi", 6, 6, 3, 4, change_msi, NULL},
	{"ibm,query-interrupt-source-number", 4, 4, 3, 3, query_source, NULL},
	{NULL, 0, 0, 0, 0, NULL, NULL},
};

/* ---- the translation table ---------------------------------------------------------------------- */

enum { H_GET_TCE = 0x1c, H_PUT_TCE = 0x20, H_PUT_TCE_INDIRECT = 0x138, H_STUFF_TCE = 0x13c };
#define TCES_OF_PAGE 512u

/* [ioba, ioba + n pages) is of the window. */
static bool in_window(u64 ioba, u64 n)
{
	return n <= PHB_DMA_WINDOW >> PHB_TCE_SHIFT &&
	       range_inside(ioba, n << PHB_TCE_SHIFT, 0, PHB_DMA_WINDOW);
}

/* Nothing looks into the table, so nothing is kept of it (PHB_DMA_WINDOW). PAPR 14.5.4.2. */
bool phb_hcall(struct vcpu *vcpu, u64 nr, const u64 *arg, u64 *ret, long *status)
{
	u64 n;

	switch (nr) {
	case H_GET_TCE:
	case H_PUT_TCE:
		n = 1;
		break;
	case H_PUT_TCE_INDIRECT:
	case H_STUFF_TCE:
		n = arg[3];
		break;
	default:
		return false;
	}
	if (arg[0] != PHB_LIOBN || (nr == H_PUT_TCE_INDIRECT && n > TCES_OF_PAGE))
		*status = H_PARAMETER;
	else if (!in_window(arg[1], n))
		*status = nr == H_PUT_TCE || nr == H_GET_TCE ? H_PARAMETER : H_P2;
	else
		*status = H_SUCCESS;
	if (nr == H_GET_TCE && *status == H_SUCCESS)
		ret[0] = 0;
	return true;
}

/* ---- the device --------------------------------------------------------------------------------- */

static int phb_create(struct device *dev, const void *params)
{
	struct phb *phb = container_of(dev, struct phb, dev);
	int err = 0;

	phb->bus = pci_host_bus(dev->kvm);
	if (!phb->bus)
		return -ENODEV;
	/* All messages' lines are ours to give. */
	for (u32 line = PSERIES_FIRST_MSI; line < PSERIES_NR_LINES && !err; line++)
		err = irq_claim(dev->kvm, line);
	if (err)
		log_error("%s: an interrupt line of its messages is taken", dev->name);
	return err;
}

static void phb_reset(struct device *dev)
{
	struct phb *phb = container_of(dev, struct phb, dev);

	memset(phb->msi, 0, sizeof(phb->msi));
}

/* What was saved is checked: no line twice, all of them messages'. */
static int take_lines(struct phb *phb, u8 devfn, struct phb_msi msi)
{
	phb->msi[devfn] = (struct phb_msi){0};
	if (msi.nr && (msi.first < PSERIES_FIRST_MSI || msi.first + msi.nr > PSERIES_NR_LINES))
		return -EINVAL;
	for (u32 i = 0; i < msi.nr; i++) {
		int err = line_taken(phb, msi.first + i) ? -EINVAL : 0;

		if (!err)
			err = pseries_irq_use(&phb->dev.kvm->irqchip, msi.first + i);
		if (err)
			return err;
	}
	phb->msi[devfn] = msi;
	return 0;
}

static int phb_state(struct device *dev, struct state *s)
{
	struct phb *phb = container_of(dev, struct phb, dev);

	state_begin(s, dev->name, 1);
	if (state_reading(s))
		phb_reset(dev);
	for (u32 devfn = 0; devfn < PCI_MAX_FUNCTIONS; devfn++) {
		struct phb_msi msi = phb->msi[devfn];
		u8 number = (u8)devfn;
		int err = 0;

		if (!phb->bus->function[devfn])
			continue;
		if (state_printing(s)) {
			if (msi.nr)
				state_note(s, phb->bus->function[devfn]->dev->name, "messages %u to %u",
					   msi.first, msi.first + msi.nr - 1u);
			continue;
		}
		state_u8(s, "function", &number);
		state_u16(s, "first", &msi.first);
		state_u16(s, "messages", &msi.nr);
		if (!state_reading(s) || s->err)
			continue;
		err = number == devfn ? take_lines(phb, (u8)devfn, msi) : -EINVAL;
		if (err)
			state_fail(s, err, "function", "%02x.%x: not as in this VM", number >> 3, number & 7);
	}
	state_end(s);
	return s->err;
}

const struct device_ops phb_ops = {
	.name = "phb",
	.size = sizeof(struct phb),
	.create = phb_create,
	.reset = phb_reset,
	.describe = phb_describe,
	.state = phb_state,
};

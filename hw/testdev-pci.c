/* SPDX-License-Identifier: MIT */
/*
 * The test device on the PCI bus (--testdev): a function with every kind of BAR and of interrupt, for tests
 * of what devices/ makes of them. 1af4:10f0, of the ids that anybody may use for experiments.
 *
 *   BAR 0   memory below 4 GiB, 4 KiB; 32-bit registers, which take accesses of 32 bits alone
 *     0x00  reads back what was written
 *     0x04  level of the interrupt pin: 0 or 1
 *     0x08  written: signals that vector of MSI
 *     0x0c  written: signals that vector of MSI-X
 *     0x10  written: signals that vector of MSI-X through its eventfd, as vhost would; reads 0 when the last
 * one could be had, else an errno BAR 1   ports, 16; the first 4 are register 0 BAR 2   64 bits: the test
 * device's 64 KiB of memory BAR 4   MSI-X, 4 vectors
 *
 * Accesses come from vCPU threads under dev->lock.
 */
#include "testdev-pci.h"
#include <errno.h>
#include <lkvm/device.h>
#include <lkvm/pci.h>
#include <lkvm/state.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define TESTDEV_VENDOR	0x1af4
#define TESTDEV_DEVICE	0x10f0
#define TESTDEV_CLASS	0xff0000
#define TESTDEV_VECTORS 4
#define REGS_SIZE	0x1000
#define PORTS		16

enum { BAR_REGS = 0, BAR_PORTS = 1, BAR_MEM = 2, BAR_MSIX = 4 };
enum { REG_ECHO = 0x00, REG_PIN = 0x04, REG_MSI = 0x08, REG_MSIX = 0x0c, REG_EVENTFD = 0x10 };

struct testdev_pci {
	struct pci_function fn;
	struct msi *msi;
	struct msix *msix;
	u8 *mem;
	u32 mem_size;
	/* dev->lock */
	u32 echo, pin, eventfd_result;
};

/* Never more than the irqfd can take at once: an eventfd counts. */
static u32 signal_eventfd(struct testdev_pci *p, u32 vector)
{
	int fd = msix_fd(p->msix, vector);

	return fd < 0 ? (u32)-fd : eventfd_write(fd, 1) ? (u32)errno : 0;
}

static void regs_write(struct testdev_pci *p, u64 offset, u32 v)
{
	switch (offset) {
	case REG_ECHO:
		p->echo = v;
		break;
	case REG_PIN:
		p->pin = v & 1;
		pci_set_intx(&p->fn, p->pin);
		break;
	case REG_MSI:
		msi_signal(p->msi, v);
		break;
	case REG_MSIX:
		msix_signal(p->msix, v);
		break;
	case REG_EVENTFD:
		p->eventfd_result = signal_eventfd(p, v);
		break;
	}
}

static void regs_io(struct device *dev, struct io *io, void *arg)
{
	struct testdev_pci *p = arg;

	if (io->len != 4 || io->offset % 4)
		return;
	if (io->write)
		regs_write(p, io->offset, (u32)io_value(io));
	else if (io->offset == REG_ECHO)
		io_reply(io, p->echo);
	else if (io->offset == REG_PIN)
		io_reply(io, p->pin);
	else if (io->offset == REG_EVENTFD)
		io_reply(io, p->eventfd_result);
}

static void ports_io(struct device *dev, struct io *io, void *arg)
{
	if (io->offset == REG_ECHO)
		regs_io(dev, io, arg);
}

static void mem_io(struct device *dev, struct io *io, void *arg)
{
	struct testdev_pci *p = arg;

	if (!range_inside(io->offset, io->len, 0, p->mem_size))
		return;
	if (io->write)
		memcpy(p->mem + io->offset, io->data, io->len);
	else
		memcpy(io->data, p->mem + io->offset, io->len);
}

int testdev_pci_create(struct testdev_pci **out, struct device *dev, u8 *mem, u32 size)
{
	static const struct pci_ident ident = {.vendor = TESTDEV_VENDOR,
					       .device = TESTDEV_DEVICE,
					       .subsystem_vendor = TESTDEV_VENDOR,
					       .class = TESTDEV_CLASS,
					       .pin = 1};
	struct pci_bus *bus = pci_host_bus(dev->kvm);
	struct testdev_pci *p;
	int err;

	if (!bus)
		return 0;
	p = *out = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->mem = mem;
	p->mem_size = size;
	pci_function_init(&p->fn, dev, &ident);
	err = pci_bar_add(&p->fn, BAR_REGS, PCI_BAR_MEM32, REGS_SIZE, regs_io, p);
	if (!err && bus->win.io.size)
		err = pci_bar_add(&p->fn, BAR_PORTS, PCI_BAR_IO, PORTS, ports_io, p);
	if (!err)
		err = pci_bar_add(&p->fn, BAR_MEM, PCI_BAR_MEM64, size, mem_io, p);
	if (!err)
		err = msi_create(&p->msi, &p->fn, TESTDEV_VECTORS);
	if (!err)
		err = msix_create(&p->msix, &p->fn, BAR_MSIX, TESTDEV_VECTORS);
	return err ? err : pci_register(bus, &p->fn, PCI_ANY_SLOT);
}

void testdev_pci_destroy(struct testdev_pci *p)
{
	if (!p)
		return;
	pci_unregister(&p->fn);
	msi_destroy(p->msi);
	msix_destroy(p->msix);
	free(p);
}

void testdev_pci_reset(struct testdev_pci *p)
{
	if (!p)
		return;
	p->echo = p->pin = p->eventfd_result = 0;
	pci_function_reset(&p->fn);
	msix_reset(p->msix);
}

void testdev_pci_state(struct testdev_pci *p, struct state *s)
{
	if (!p)
		return;
	state_u32(s, "pci_echo", &p->echo);
	state_u32(s, "pci_pin", &p->pin);
	state_u32(s, "pci_eventfd", &p->eventfd_result);
	pci_function_state(&p->fn, s);
	msi_state(p->msi, s);
	msix_state(p->msix, s);
}

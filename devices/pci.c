/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space: the functions of one bus, and what a guest may read and change of each. A
 * register's behaviour is three bytes a byte: its contents, which of its bits take what is written, and which
 * are cleared by a written 1; so an access of any width at any place is the same loop.
 *
 * Called by the host bridge (hw/pci-host.c) on vCPU threads, and by the functions' owners while the VM is
 * built. bus->lock guards configuration space. PCI Local Bus 3.0, chapter 6.
 */
#include <errno.h>
#include <lkvm/device.h>
#include <lkvm/pci.h>
#include <lkvm/state.h>
#include <string.h>

#define HEADER_MULTI_FUNCTION 0x80 /* of the header type; older kernel headers have no name for it */

void pci_bus_init(struct pci_bus *bus)
{
	memset(bus->function, 0, sizeof(bus->function));
	pthread_mutex_init(&bus->lock, NULL);
}

void pci_bus_destroy(struct pci_bus *bus)
{
	pthread_mutex_destroy(&bus->lock);
}

void pci_function_init(struct pci_function *fn, struct device *dev, const struct pci_ident *ident)
{
	memset(fn, 0, sizeof(*fn));
	fn->dev = dev;
	fn->config_size = PCI_CFG_SPACE_SIZE;
	pci_put16(fn->config, PCI_VENDOR_ID, ident->vendor);
	pci_put16(fn->config, PCI_DEVICE_ID, ident->device);
	pci_put32(fn->config, PCI_CLASS_REVISION, ident->class << 8 | ident->revision);
	pci_put16(fn->config, PCI_SUBSYSTEM_VENDOR_ID, ident->subsystem_vendor);
	pci_put16(fn->config, PCI_SUBSYSTEM_ID, ident->subsystem);
	fn->config[PCI_INTERRUPT_PIN] = ident->pin;
	pci_put16(fn->write, PCI_COMMAND,
		  PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
			  PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	pci_put16(fn->clear, PCI_STATUS,
		  PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT |
			  PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR |
			  PCI_STATUS_DETECTED_PARITY);
	fn->write[PCI_CACHE_LINE_SIZE] = 0xff;
	fn->write[PCI_LATENCY_TIMER] = 0xff;
	fn->write[PCI_INTERRUPT_LINE] = 0xff;
}

static int pci_free_slot(const struct pci_bus *bus)
{
	for (u32 slot = 1; slot < PCI_MAX_FUNCTIONS / 8; slot++)
		if (!bus->function[PCI_DEVFN(slot, 0)])
			return PCI_DEVFN(slot, 0);
	return -ENOSPC;
}

int pci_register(struct pci_bus *bus, struct pci_function *fn, int devfn)
{
	if (devfn == PCI_ANY_SLOT)
		devfn = pci_free_slot(bus);
	if (devfn < 0)
		return devfn;
	if (devfn >= PCI_MAX_FUNCTIONS || fn->bus || fn->config_size > PCI_CFG_SPACE_EXP_SIZE)
		return -EINVAL;
	if (bus->function[devfn])
		return -EBUSY;
	/* A guest looks for functions 1 to 7 only where function 0 says that there are some. */
	if (devfn & 7) {
		struct pci_function *first = bus->function[devfn & ~7];

		if (!first)
			return -EINVAL;
		first->config[PCI_HEADER_TYPE] |= HEADER_MULTI_FUNCTION;
		first->power_on[PCI_HEADER_TYPE] |= HEADER_MULTI_FUNCTION;
	}
	memcpy(fn->power_on, fn->config, sizeof(fn->power_on));
	fn->bus = bus;
	fn->devfn = (u8)devfn;
	bus->function[devfn] = fn;
	return 0;
}

void pci_unregister(struct pci_function *fn)
{
	if (!fn->bus)
		return;
	fn->bus->function[fn->devfn] = NULL;
	fn->bus = NULL;
}

void pci_function_reset(struct pci_function *fn)
{
	pthread_mutex_lock(&fn->bus->lock);
	memcpy(fn->config, fn->power_on, sizeof(fn->config));
	pthread_mutex_unlock(&fn->bus->lock);
}

/* Saved is what a guest can change; the rest is what this lkvm's device is, and must not come out of a file.
 */
void pci_function_state(struct pci_function *fn, struct state *s)
{
	u8 saved[PCI_CFG_SPACE_EXP_SIZE];

	pthread_mutex_lock(&fn->bus->lock);
	memcpy(saved, fn->config, sizeof(saved));
	state_bytes(s, "config", saved, fn->config_size);
	if (state_reading(s) && !s->err)
		for (u32 i = 0; i < fn->config_size; i++) {
			u8 mask = fn->write[i] | fn->clear[i];

			fn->config[i] = (u8)((fn->config[i] & ~mask) | (saved[i] & mask));
		}
	pthread_mutex_unlock(&fn->bus->lock);
}

void pci_config_read(struct pci_bus *bus, u8 devfn, u32 reg, u8 *data, u32 len)
{
	struct pci_function *fn = bus->function[devfn];

	if (!fn)
		return;
	pthread_mutex_lock(&bus->lock);
	for (u32 i = 0; i < len && range_inside(reg, i + 1, 0, fn->config_size); i++)
		data[i] = fn->config[reg + i];
	pthread_mutex_unlock(&bus->lock);
}

void pci_config_write(struct pci_bus *bus, u8 devfn, u32 reg, const u8 *data, u32 len)
{
	struct pci_function *fn = bus->function[devfn];

	if (!fn)
		return;
	pthread_mutex_lock(&bus->lock);
	for (u32 i = 0; i < len && range_inside(reg, i + 1, 0, fn->config_size); i++) {
		u8 *v = &fn->config[reg + i];

		*v = (u8)((*v & ~fn->write[reg + i]) | (data[i] & fn->write[reg + i]));
		*v &= (u8) ~(data[i] & fn->clear[reg + i]);
	}
	pthread_mutex_unlock(&bus->lock);
}

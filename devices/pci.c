/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space: the functions of one bus, and what a guest may read and change of each. A
 * register's behaviour is three bytes a byte: its contents, which of its bits take what is written, and which
 * are cleared by a written 1; so an access of any width at any place is the same loop. What BARs decode is
 * pci-bar.c's; whoever else has something behind a register watches it (pci_watch()).
 *
 * Called by the host bridge (hw/pci-host.c) on vCPU threads, and by the functions' owners while the VM is
 * built. bus->lock guards configuration space. PCI Local Bus 3.0, chapter 6.
 */
#include "pci-bar.h"
#include <assert.h>
#include <errno.h>
#include <lkvm/device.h>
#include <lkvm/irq.h>
#include <lkvm/log.h>
#include <lkvm/state.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_MULTI_FUNCTION 0x80 /* of the header type; older kernel headers have no name for it */

void pci_bus_init(struct pci_bus *bus, const struct pci_windows *win, u32 line)
{
	memset(bus, 0, sizeof(*bus));
	bus->line = line;
	if (win)
		bus->win = bus->left = *win;
	pthread_mutex_init(&bus->lock, NULL);
}

void pci_bus_destroy(struct pci_bus *bus)
{
	free(bus->decoded);
	pthread_mutex_destroy(&bus->lock);
}

void pci_function_init(struct pci_function *fn, struct device *dev, const struct pci_ident *ident)
{
	memset(fn, 0, sizeof(*fn));
	fn->dev = dev;
	fn->next_cap = PCI_STD_HEADER_SIZEOF;
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

int pci_cap_add(struct pci_function *fn, u8 id, u8 len)
{
	u32 at = fn->next_cap, link = PCI_CAPABILITY_LIST;

	assert(!fn->bus && len >= PCI_CAP_SIZEOF);
	if (len > PCI_CFG_SPACE_SIZE - at)
		return -ENOSPC;
	while (fn->config[link])
		link = fn->config[link] + PCI_CAP_LIST_NEXT;
	fn->config[link] = (u8)at;
	fn->config[at] = id;
	fn->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	fn->next_cap = (u32)align_up(at + len, 4);
	return (int)at;
}

void pci_watch(struct pci_function *fn, u32 reg, u32 len, void (*changed)(void *arg), void *arg)
{
	assert(!fn->bus && fn->nr_watches < PCI_MAX_WATCHES);
	fn->watch[fn->nr_watches++] =
		(struct pci_watch){.reg = reg, .len = len, .changed = changed, .arg = arg};
}

static int pci_free_slot(const struct pci_bus *bus)
{
	for (u32 slot = 1; slot < PCI_MAX_FUNCTIONS / 8; slot++)
		if (!bus->function[PCI_DEVFN(slot, 0)])
			return PCI_DEVFN(slot, 0);
	return -ENOSPC;
}

/* A guest looks for functions 1 to 7 only where function 0 says that there are some. */
static void pci_say_multi_function(struct pci_function *first)
{
	first->config[PCI_HEADER_TYPE] |= HEADER_MULTI_FUNCTION;
	first->power_on[PCI_HEADER_TYPE] |= HEADER_MULTI_FUNCTION;
}

int pci_register(struct pci_bus *bus, struct pci_function *fn, int devfn)
{
	const char *name = fn->dev->name;
	int err;

	if (devfn == PCI_ANY_SLOT)
		devfn = pci_free_slot(bus);
	if (devfn == -ENOSPC)
		return devfn;
	if (devfn < 0 || devfn >= PCI_MAX_FUNCTIONS || fn->bus) {
		log_error("%s: %d is no place on the PCI bus, or it has one already", name, devfn);
		return -EINVAL;
	}
	if (bus->function[devfn]) {
		log_error("%s: PCI function %02x.%x is taken by %s", name, PCI_SLOT(devfn), devfn & 7,
			  bus->function[devfn]->dev->name);
		return -EBUSY;
	}
	if ((devfn & 7) && !bus->function[devfn & ~7]) {
		log_error("%s: PCI function %02x.%x: its slot has no function 0", name, PCI_SLOT(devfn),
			  devfn & 7);
		return -EINVAL;
	}
	err = pci_bars_place(bus, fn);
	if (err)
		return err;
	if (devfn & 7)
		pci_say_multi_function(bus->function[devfn & ~7]);
	memcpy(fn->power_on, fn->config, sizeof(fn->power_on));
	fn->bus = bus;
	fn->devfn = (u8)devfn;
	bus->function[devfn] = fn;
	return 0;
}

void pci_unregister(struct pci_function *fn)
{
	struct pci_bus *bus = fn->bus;

	if (!bus)
		return;
	pthread_mutex_lock(&bus->lock);
	fn->config[PCI_COMMAND] = 0;
	pci_decode(bus);
	bus->function[fn->devfn] = NULL;
	fn->bus = NULL;
	pthread_mutex_unlock(&bus->lock);
}

/* --- the pin -------------------------------------------------------------------------------------------- */

/* PCI_STATUS_INTERRUPT is what the function wants, whether or not the guest lets it (6.2.3). bus->lock held.
 */
static void pci_drive_pin(struct pci_function *fn)
{
	bool level = fn->intx && !(pci_get16(fn->config, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
	u8 pin = fn->config[PCI_INTERRUPT_PIN];

	if (fn->intx)
		fn->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	else
		fn->config[PCI_STATUS] &= (u8)~PCI_STATUS_INTERRUPT;
	if (level == fn->intx_line)
		return;
	fn->intx_line = level;
	if (pin && fn->bus->line != IRQ_NONE)
		irq_set_line(fn->dev->kvm, fn->bus->line + pci_intx_line(fn->devfn, pin), level);
}

void pci_set_intx(struct pci_function *fn, bool level)
{
	pthread_mutex_lock(&fn->bus->lock);
	fn->intx = level;
	pci_drive_pin(fn);
	pthread_mutex_unlock(&fn->bus->lock);
}

/* --- changes -------------------------------------------------------------------------------------------- */

/* What follows from a change of [reg, reg + len). bus->lock held. */
static void pci_changed(struct pci_function *fn, u32 reg, u32 len)
{
	fn->master = fn->config[PCI_COMMAND] & PCI_COMMAND_MASTER;
	if (pci_decides_decode(reg, len))
		pci_decode(fn->bus);
	pci_drive_pin(fn);
	for (u32 i = 0; i < fn->nr_watches; i++)
		if (ranges_overlap(reg, len, fn->watch[i].reg, fn->watch[i].len))
			fn->watch[i].changed(fn->watch[i].arg);
}

void pci_function_reset(struct pci_function *fn)
{
	pthread_mutex_lock(&fn->bus->lock);
	memcpy(fn->config, fn->power_on, sizeof(fn->config));
	fn->intx = false;
	pci_changed(fn, 0, sizeof(fn->config));
	pthread_mutex_unlock(&fn->bus->lock);
}

/*
 * Saved is what a guest can change; the rest is what this lkvm's device is, and must not come out of a file.
 */
void pci_function_state(struct pci_function *fn, struct state *s)
{
	u8 saved[PCI_CFG_SPACE_SIZE];
	bool intx;

	pthread_mutex_lock(&fn->bus->lock);
	memcpy(saved, fn->config, sizeof(saved));
	intx = fn->intx;
	state_bytes(s, "config", saved, PCI_CFG_SPACE_SIZE);
	state_bool(s, "intx", &intx);
	if (state_reading(s) && !s->err) {
		for (u32 i = 0; i < PCI_CFG_SPACE_SIZE; i++) {
			u8 mask = fn->write[i] | fn->clear[i];

			fn->config[i] = (u8)((fn->config[i] & ~mask) | (saved[i] & mask));
		}
		fn->intx = intx;
		pci_changed(fn, 0, sizeof(fn->config));
	}
	pthread_mutex_unlock(&fn->bus->lock);
}

/* --- accesses ------------------------------------------------------------------------------------------- */

/* As much of an access as the function's space has. */
static u32 pci_clip(const struct pci_function *fn, u32 reg, u32 len)
{
	return reg < PCI_CFG_SPACE_SIZE ? (u32)min_u64(len, PCI_CFG_SPACE_SIZE - reg) : 0;
}

void pci_config_set(struct pci_function *fn, u32 reg, const u8 *data, u32 len)
{
	assert(range_inside(reg, len, 0, PCI_CFG_SPACE_SIZE));
	pthread_mutex_lock(&fn->bus->lock);
	memcpy(fn->config + reg, data, len);
	pthread_mutex_unlock(&fn->bus->lock);
}

void pci_config_read(struct pci_bus *bus, u8 devfn, u32 reg, u8 *data, u32 len)
{
	struct pci_function *fn = bus->function[devfn];

	len = fn ? pci_clip(fn, reg, len) : 0;
	if (!len)
		return;
	if (fn->config_access)
		fn->config_access(fn, reg, len, false);
	pthread_mutex_lock(&bus->lock);
	memcpy(data, fn->config + reg, len);
	pthread_mutex_unlock(&bus->lock);
}

void pci_config_write(struct pci_bus *bus, u8 devfn, u32 reg, const u8 *data, u32 len)
{
	struct pci_function *fn = bus->function[devfn];

	len = fn ? pci_clip(fn, reg, len) : 0;
	if (!len)
		return;
	pthread_mutex_lock(&bus->lock);
	for (u32 i = 0; i < len; i++) {
		u8 *v = &fn->config[reg + i];

		*v = (u8)((*v & ~fn->write[reg + i]) | (data[i] & fn->write[reg + i]));
		*v &= (u8) ~(data[i] & fn->clear[reg + i]);
	}
	pci_changed(fn, reg, len);
	pthread_mutex_unlock(&bus->lock);
	if (fn->config_access)
		fn->config_access(fn, reg, len, true);
}

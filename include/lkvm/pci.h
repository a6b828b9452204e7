/* SPDX-License-Identifier: MIT */
/*
 * PCI: functions on the one bus of a machine, and their configuration space (PCI Local Bus 3.0, chapter 6).
 * Register names are those of <linux/pci_regs.h>.
 *
 * devices/pci.c owns configuration space; hw/pci-host.c is the way the guest gets there, and says to the
 * guest which windows of the address map belong to PCI.
 *
 * Functions are registered while the VM is built. From then on the bus's lock guards every function's
 * configuration space; in the lock order it is `pci`, after any dev->lock.
 */
#ifndef LKVM_PCI_H
#define LKVM_PCI_H

#include <linux/pci_regs.h>
#include <lkvm/types.h>
#include <pthread.h>

struct device;
struct kvm;
struct pci_bus;
struct state;

#define PCI_MAX_FUNCTIONS	  256
#define PCI_INTX_LINES		  8 /* pins INTA to INTD of all devices share so many lines, in turns */
#define PCI_DEVFN(slot, function) ((u8)((slot) << 3 | (function)))
#define PCI_SLOT(devfn)		  ((devfn) >> 3)
#define PCI_ANY_SLOT		  (-1)

/* What a function is, for pci_function_init(). */
struct pci_ident {
	u16 vendor, device;
	u16 subsystem_vendor, subsystem;
	u32 class; /* base class, sub-class and programming interface: 0x060000 */
	u8 revision;
	u8 pin; /* 1 .. 4: INTA .. INTD; 0: no interrupt pin */
};

/* One function, embedded in its device. Type 0 header. */
struct pci_function {
	struct device *dev;
	struct pci_bus *bus; /* NULL while not registered */
	u8 devfn;
	u16 config_size; /* 256; 4096 with extended configuration space. Beyond it reads give all ones */
	/* Under bus->lock once the VM runs. */
	u8 config[PCI_CFG_SPACE_EXP_SIZE];
	u8 power_on[PCI_CFG_SPACE_EXP_SIZE]; /* what config holds after a reset; from pci_register() on */
	u8 write[PCI_CFG_SPACE_EXP_SIZE];    /* bits that take what is written */
	u8 clear[PCI_CFG_SPACE_EXP_SIZE];    /* bits that a written 1 clears */
};

struct pci_bus {
	pthread_mutex_t lock;
	struct pci_function *function[PCI_MAX_FUNCTIONS]; /* by devfn; frozen when the VM runs */
};

/* What of the address map a machine gives to PCI. Sizes of 0: there is no such window. */
struct pci_windows {
	struct {
		u64 base, size;
	} mem32, mem64;
	bool io; /* all ports that no one else claimed */
};

void pci_bus_init(struct pci_bus *bus);
void pci_bus_destroy(struct pci_bus *bus);
/* The bus behind the machine's host bridge; NULL where the board has none (hw/pci-host.c). */
struct pci_bus *pci_host_bus(struct kvm *kvm);

/* Fills in a function's header and masks. The owner then adds what is its own, and registers it. */
void pci_function_init(struct pci_function *fn, struct device *dev, const struct pci_ident *ident);
/*
 * Puts fn on the bus: function 0 of the first free slot from 1 up for PCI_ANY_SLOT, else at that devfn. 0,
 * -EBUSY (taken), -ENOSPC, -EINVAL. Only while the VM is built.
 */
int __must_check pci_register(struct pci_bus *bus, struct pci_function *fn, int devfn);
void pci_unregister(struct pci_function *fn);
/* Configuration space as after power-on. */
void pci_function_reset(struct pci_function *fn);
/* Fields of fn's configuration space, inside a section of the owner's. */
void pci_function_state(struct pci_function *fn, struct state *s);

/*
 * The guest's accesses: len bytes at reg, any length and alignment. What no function or no register answers
 * to is left in data as it came (all ones), or goes nowhere. Any thread.
 */
void pci_config_read(struct pci_bus *bus, u8 devfn, u32 reg, u8 *data, u32 len);
void pci_config_write(struct pci_bus *bus, u8 devfn, u32 reg, const u8 *data, u32 len);

/* Which of the PCI_INTX_LINES a function's pin (1 .. 4) is wired to: each slot begins one further on. */
static inline u32 pci_intx_line(u8 devfn, u8 pin)
{
	return (PCI_SLOT(devfn) + pin - 1u) % PCI_INTX_LINES;
}

/* For owners that build or change their own configuration space: little-endian, at a register's offset. */
static inline void pci_put16(u8 *space, u32 reg, u16 v)
{
	space[reg] = (u8)v;
	space[reg + 1] = (u8)(v >> 8);
}

static inline void pci_put32(u8 *space, u32 reg, u32 v)
{
	pci_put16(space, reg, (u16)v);
	pci_put16(space, reg + 2, (u16)(v >> 16));
}

#endif

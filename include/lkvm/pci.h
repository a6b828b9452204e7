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
#include <lkvm/bus.h>
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

#define PCI_MAX_BARS 6
#define PCI_BAR_OFF  UINT64_MAX /* where a BAR is that is not decoded */

enum pci_bar_type { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

struct pci_bar {
	enum pci_bar_type type;
	u64 size; /* a power of 2 */
	io_fn fn; /* as on a bus: offsets, with dev->lock of the function's device held */
	void *arg;
	u64 base; /* where it is decoded now, or PCI_BAR_OFF; bus->lock */
};

/* One function, embedded in its device. Type 0 header. */
struct pci_function {
	struct device *dev;
	struct pci_bar bar[PCI_MAX_BARS];
	/*
	 * A BAR is decoded elsewhere from now on, or no more (base PCI_BAR_OFF): ioeventfds follow it. Also
	 * at a reset. On the thread of the guest's write, with bus->lock held; or NULL.
	 */
	void (*bar_moved)(struct pci_function *fn, u32 bar, u64 base);
	/* The guest wrote config space [reg, reg + len), which holds it already. bus->lock held; or NULL. */
	void (*config_written)(struct pci_function *fn, u32 reg, u32 len);
	u8 next_cap;	     /* where the next capability goes */
	bool intx;	     /* the function drives its pin; bus->lock */
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
/*
 * Adds a BAR, before pci_register(), which gives it a place in the host's windows that stands until the guest
 * chooses another; nothing is decoded before the guest says so. -EINVAL: taken, or no such size.
 */
int __must_check pci_bar_add(struct pci_function *fn, u32 bar, enum pci_bar_type type, u64 size, io_fn io,
			     void *arg);
/* Appends a capability of len bytes, id and next pointer included: its offset, or -ENOSPC. */
int __must_check pci_cap_add(struct pci_function *fn, u8 id, u8 len);
/*
 * Drives the function's interrupt pin, unless the guest disabled it (PCI_COMMAND_INTX_DISABLE). Any thread,
 * dev->lock or a virtqueue's held or not.
 */
void pci_set_intx(struct pci_function *fn, bool level);
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

/* --- MSI-X (devices/msix.c; PCI Local Bus 3.0, 6.8.2): table and pending bits in a BAR of their own ---- */

struct msix;
/* Adds capability and BAR for `vectors` (1 .. 2048) before pci_register(). -ENOMEM, -ENOSPC, -EINVAL. */
int __must_check msix_create(struct msix **msix, struct pci_function *fn, u32 bar, u32 vectors);
void msix_destroy(struct msix *msix); /* NULL: nothing */
void msix_reset(struct msix *msix);
/* The guest switched MSI-X on: then the pin is not to be used. Any thread. */
bool msix_enabled(const struct msix *msix);
/*
 * Sends a vector's message, or notes it as pending while it is masked. Nothing when MSI-X is off or there is
 * no such vector. Any thread.
 */
void msix_signal(struct msix *msix, u32 vector);
/*
 * For whom the kernel is to send a vector's messages (vhost): an eventfd of msix's that does so when
 * signalled, also over masking and changes of the message. The fd, or -errno. Main thread or a vCPU's.
 */
int __must_check msix_fd(struct msix *msix, u32 vector);
void msix_state(struct msix *msix, struct state *s);

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

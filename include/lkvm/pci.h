/* SPDX-License-Identifier: MIT */
/*
 * PCI: functions on the one bus of a machine, and their configuration space (PCI Local Bus 3.0, chapter 6).
 * Register names are those of <linux/pci_regs.h>.
 *
 * devices/pci.c owns configuration space and devices/pci-bar.c what BARs decode; hw/pci-host.c is the way the
 * guest gets there, and says to the guest which windows of the address map belong to PCI.
 *
 * Functions are registered while the VM is built. From then on the bus's lock guards every function's
 * configuration space and what its BARs decode; in the lock order it is `pci`, after any dev->lock. A
 * vector's own lock (msix.c, msi.c) comes right after it.
 */
#ifndef LKVM_PCI_H
#define LKVM_PCI_H

#include <linux/pci_regs.h>
#include <lkvm/bus.h>
#include <lkvm/endian.h>
#include <lkvm/types.h>
#include <pthread.h>

struct device;
struct fdt;
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

/* What is in a 64-bit BAR is prefetchable: reading it has no effect (PCI Local Bus 3.0, 6.2.5.1). */
enum pci_bar_type { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

struct pci_bar {
	enum pci_bar_type type;
	u64 size; /* a power of 2 */
	io_fn fn; /* as on a bus: offsets, with dev->lock of the function's device held */
	void *arg;
	u64 base; /* where it is decoded now, or PCI_BAR_OFF; bus->lock */
	u64 next; /* the same, while bus->lock is held to change it */
};

/* Someone who wants to know when registers [reg, reg + len) have changed: by the guest, a reset, a restore.
 */
struct pci_watch {
	u32 reg, len;
	void (*changed)(void *arg); /* bus->lock held */
	void *arg;
};
#define PCI_MAX_WATCHES 4

/* One function, embedded in its device. Type 0 header. */
struct pci_function {
	struct device *dev;
	struct pci_bar bar[PCI_MAX_BARS];
	/*
	 * A BAR is decoded elsewhere from now on, where the CPU has it, or no more (base PCI_BAR_OFF):
	 * ioeventfds follow it. Also at a reset. On the thread of the guest's write, with bus->lock held; or
	 * NULL.
	 */
	void (*bar_moved)(struct pci_function *fn, u32 bar, u64 base);
	/*
	 * The guest is about to read config space [reg, reg + len), or has written it. With no lock held, so
	 * that what is behind a register, a window to a BAR, can be reached; or NULL.
	 */
	void (*config_access)(struct pci_function *fn, u32 reg, u32 len, bool write);
	struct pci_watch watch[PCI_MAX_WATCHES];
	u32 nr_watches;
	u32 next_cap;	     /* where the next capability goes */
	bool intx;	     /* the function wants its pin driven; bus->lock */
	bool intx_line;	     /* it is; bus->lock */
	_Atomic bool master; /* the guest lets it reach memory and send messages (PCI_COMMAND_MASTER) */
	struct pci_bus *bus; /* NULL while not registered */
	u8 devfn;
	/* Under bus->lock once the VM runs. */
	u8 config[PCI_CFG_SPACE_SIZE];	 /* none has extended space: beyond, reads give all ones */
	u8 power_on[PCI_CFG_SPACE_SIZE]; /* what config holds after a reset; from pci_register() on */
	u8 write[PCI_CFG_SPACE_SIZE];	 /* bits that take what is written */
	u8 clear[PCI_CFG_SPACE_SIZE];	 /* bits that a written 1 clears */
};

/* A range of addresses as BARs have them. Size 0: there is none. */
struct pci_window {
	u64 base, size;
};

/* What of the address map a machine gives to PCI, as addresses on the bus. */
struct pci_windows {
	struct pci_window mem32, mem64, io;
	u64 mem32_at; /* where the CPU finds mem32; 0: where it is on the bus, as mem64 always is */
	/* Where the CPU finds the ports: BUS_PIO at io.base, or on a machine without ports in memory. */
	enum bus_id io_bus;
	u64 io_at;
	/*
	 * What the bridge is as function 00:00.0; NULL: a generic one. bridge_bar: bytes, a power of 2, of a
	 * BAR 0 by which registers of the machine's are on the bus, for a guest to say where. Nothing is
	 * decoded.
	 */
	const struct pci_ident *bridge;
	u32 bridge_bar;
};

/* A BAR that is decoded now. Ports stand behind all memory (devices/pci-bar.c). */
struct pci_decoded {
	u64 base, size;
	struct pci_function *fn;
	u32 bar;
};

struct pci_bus {
	pthread_mutex_t lock;
	struct pci_function *function[PCI_MAX_FUNCTIONS]; /* by devfn; frozen when the VM runs */
	u32 line;		     /* the first of PCI_INTX_LINES; IRQ_NONE: none are wired */
	struct pci_windows win;	     /* constant */
	struct pci_windows left;     /* what no BAR was given yet; while the VM is built */
	struct pci_decoded *decoded; /* sorted by address, room for every BAR; bus->lock */
	u32 nr_decoded, nr_bars;
};

/* line: see there. win NULL: no windows, so no function can have a BAR. */
void pci_bus_init(struct pci_bus *bus, const struct pci_windows *win, u32 line);
void pci_bus_destroy(struct pci_bus *bus);
/* The bus behind the machine's host bridge; NULL where the board has none (hw/pci-host.c). */
struct pci_bus *pci_host_bus(struct kvm *kvm);
/*
 * What a device tree says of the bus whatever the way to its configuration space, in the node of the host
 * bridge, which the caller has begun: cells, bus numbers, windows, interrupts.
 */
void pci_host_describe_bus(const struct kvm *kvm, struct fdt *fdt);

/* Fills in a function's header and masks. The owner then adds what is its own, and registers it. */
void pci_function_init(struct pci_function *fn, struct device *dev, const struct pci_ident *ident);
/*
 * Puts fn on the bus: function 0 of the first free slot from 1 up for PCI_ANY_SLOT, else at that devfn. 0,
 * -EBUSY (taken) and -EINVAL after one logged line, -ENOSPC (no free slot, no room for a BAR) and -ENOMEM
 * without, for they are device_ops.create()'s. Only while the VM is built.
 */
int __must_check pci_register(struct pci_bus *bus, struct pci_function *fn, int devfn);
/* Its BARs are decoded no more, says bar_moved(). Nothing for one that is on no bus. */
void pci_unregister(struct pci_function *fn);
/*
 * Adds a BAR, before pci_register(), which gives it a place in the host's windows that stands until the guest
 * chooses another; nothing is decoded before the guest says so. -EINVAL: taken, or no such size.
 */
int __must_check pci_bar_add(struct pci_function *fn, u32 bar, enum pci_bar_type type, u64 size, io_fn io,
			     void *arg);
/* Appends a capability of len bytes, id and next pointer included: its offset, or -ENOSPC. */
int __must_check pci_cap_add(struct pci_function *fn, u8 id, u8 len);
/* Before pci_register(); there is room for what a function has (PCI_MAX_WATCHES). */
void pci_watch(struct pci_function *fn, u32 reg, u32 len, void (*changed)(void *arg), void *arg);
/*
 * One access of len bytes at an offset into a BAR, wherever that is decoded, as if the guest had made it.
 * Only what lies inside the BAR is passed on. No lock held.
 */
void pci_bar_access(struct pci_function *fn, u32 bar, u64 offset, u8 *data, u32 len, bool write);
/* An access to a window: true when a BAR took any of it. The io's offset is of no meaning. No lock held. */
bool pci_bus_mem(struct pci_bus *bus, u64 addr, struct io *io);
bool pci_bus_port(struct pci_bus *bus, u64 port, struct io *io);
/* Changes config space as the function itself, not through the guest's masks. Takes bus->lock. */
void pci_config_set(struct pci_function *fn, u32 reg, const u8 *data, u32 len);
/*
 * Drives the function's interrupt pin, unless the guest disabled it (PCI_COMMAND_INTX_DISABLE). Any thread,
 * dev->lock or a virtqueue's held or not.
 */
void pci_set_intx(struct pci_function *fn, bool level);
/* Configuration space as after power-on; the pin is not driven. */
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
 * Sends a vector's message, or notes it as pending while it is masked or the function may not send
 * (PCI_COMMAND_MASTER). Nothing when MSI-X is off or there is no such vector. Any thread.
 */
void msix_signal(struct msix *msix, u32 vector);
/*
 * For whom the kernel is to send a vector's messages (vhost): an eventfd of msix's that does so when
 * signalled, also over masking and changes of the message. The fd, or -errno. Main thread or a vCPU's.
 */
int __must_check msix_fd(struct msix *msix, u32 vector);
/* Inside a section of the owner's, after pci_function_state(). */
void msix_state(struct msix *msix, struct state *s);

/*
 * --- MSI (devices/msi.c; PCI Local Bus 3.0, 6.8.1), for functions that want it beside or instead of MSI-X:
 * the same, with up to 32 vectors, a power of 2. pci_function_reset() resets it as well. ---
 */

struct msi;
int __must_check msi_create(struct msi **msi, struct pci_function *fn, u32 vectors);
void msi_destroy(struct msi *msi); /* NULL: nothing */
bool msi_enabled(const struct msi *msi);
/* Vectors that the guest granted no message of their own share one. Any thread that does not hold bus->lock.
 */
void msi_signal(struct msi *msi, u32 vector);
void msi_state(struct msi *msi, struct state *s);

/* Which of the PCI_INTX_LINES a function's pin (1 .. 4) is wired to: each slot begins one further on. */
static inline u32 pci_intx_line(u8 devfn, u8 pin)
{
	return (PCI_SLOT(devfn) + pin - 1u) % PCI_INTX_LINES;
}

/* For owners that build or change their own configuration space: little-endian, at a register's offset. */
static inline void pci_put16(u8 *space, u32 reg, u16 v)
{
	put_le16(space + reg, v);
}

static inline void pci_put32(u8 *space, u32 reg, u32 v)
{
	put_le32(space + reg, v);
}

static inline u32 pci_get16(const u8 *space, u32 reg)
{
	return get_le16(space + reg);
}

static inline u32 pci_get32(const u8 *space, u32 reg)
{
	return get_le32(space + reg);
}

#endif

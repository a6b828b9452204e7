/* SPDX-License-Identifier: MIT */
/*
 * A PCI host on a board, with one function of the test's own behind it: for tests of what functions share.
 * Which BARs and capabilities it has is up to the test, between bed_init() and bed_register().
 */
#ifndef LKVM_TEST_PCI_BED_H
#define LKVM_TEST_PCI_BED_H

#include "board.h"
#include <lkvm/pci.h>

#define BED_ECAM  0xe0000000ull
#define BED_LINE  16
#define BED_MEM32 0xc1000000ull
#define BED_MEM64 (1ull << 38)
#define BED_IO	  0xc000

static const struct board_device bed_table[] = {
	{.ops = &pci_host_ops, .bus = BUS_PIO, .base = 0xcf8, .mmio = BED_ECAM, .line = BED_LINE},
	{.ops = NULL},
};

static void bed_windows(const struct kvm *kvm, struct pci_windows *win)
{
	*win = (struct pci_windows){.mem32 = {BED_MEM32, BED_ECAM - BED_MEM32},
				    .mem64 = {BED_MEM64, BED_MEM64},
				    .io = {BED_IO, 0x4000},
				    .io_bus = BUS_PIO,
				    .io_at = BED_IO};
}

static inline struct pci_bus *bed_bus(void)
{
	return pci_host_bus(&board.kvm);
}

static inline void bed_up(void)
{
	board_init(bed_table);
	board.machine.pci_windows = bed_windows;
	board_up();
}

/* A device to whom functions can belong, which is on no list; fn is its only function. */
static inline void bed_function(struct device *dev, struct pci_function *fn, const char *name, u8 pin)
{
	const struct pci_ident ident = {.vendor = 0x1af4, .device = 0x1234, .class = 0xff0000, .pin = pin};

	*dev = (struct device){.kvm = &board.kvm};
	strcpy(dev->name, name);
	pthread_mutex_init(&dev->lock, NULL);
	pci_function_init(fn, dev, &ident);
}

static inline u32 conf(const struct pci_function *fn, u32 reg, u32 len)
{
	return (u32)board_read(BUS_MMIO, BED_ECAM + ((u64)fn->devfn << 12) + reg, len);
}

static inline void conf_set(const struct pci_function *fn, u32 reg, u32 v, u32 len)
{
	board_write(BUS_MMIO, BED_ECAM + ((u64)fn->devfn << 12) + reg, v, len);
}

static inline void command(const struct pci_function *fn, u32 bits)
{
	conf_set(fn, PCI_COMMAND, bits, 2);
}

/* The capability's place, walked as a guest does; 0: there is none. */
static inline u32 find_cap(const struct pci_function *fn, u8 id)
{
	u32 at = conf(fn, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST ? conf(fn, PCI_CAPABILITY_LIST, 1) : 0;

	for (u32 left = 48; at && left--; at = conf(fn, at + PCI_CAP_LIST_NEXT, 1)) {
		assert_true(at >= PCI_STD_HEADER_SIZEOF && at % 4 == 0);
		if (conf(fn, at, 1) == id)
			return at;
	}
	return 0;
}

/* A function's whole state in a section of its own, or back. */
static inline int bed_state(struct state *s, void (*walk)(struct state *s))
{
	state_begin(s, "bed", 1);
	walk(s);
	state_end(s);
	return state_finish(s, "bed");
}

static inline void bed_save(struct buf *out, enum state_mode mode, void (*walk)(struct state *s))
{
	struct state s;

	state_init_out(&s, mode, out);
	assert_int_equal(bed_state(&s, walk), 0);
	assert_int_equal(out->err, 0);
}

static inline int bed_restore(const void *data, size_t len, void (*walk)(struct state *s))
{
	struct state s;

	state_init_in(&s, data, len);
	return bed_state(&s, walk);
}

#endif

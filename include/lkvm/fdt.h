/* SPDX-License-Identifier: MIT */
/*
 * Writing a flattened device tree (Devicetree Specification 0.4, chapter 5) by libfdt's sequential calls. The
 * first failure sticks in `err`, later calls do nothing, and whoever began the tree looks once at its end.
 *
 * A machine begins the tree, writes what is its own, and lets each device describe itself
 * (device_ops.describe) with the root node open: #address-cells and #size-cells are 2 there, and
 * interrupt-parent is the irqchip, which has been described already.
 *
 * Main thread, while the VM is built.
 */
#ifndef LKVM_FDT_H
#define LKVM_FDT_H

#include <lkvm/types.h>

struct kvm;

/* The most cells that describe one interrupt. */
#define DT_IRQ_CELLS_MAX 4
/* #address-cells of the irqchip's node: so many zeroes lead an interrupt in an interrupt-map. */
#define DT_IRQCHIP_ADDRESS_CELLS 2

/* Nodes that others point to. */
enum dt_phandle { DT_NONE, DT_IRQCHIP, DT_MSI, DT_CLOCK, DT_GPIO, DT_SYSCON };

struct fdt {
	const struct kvm *kvm;
	void *blob; /* malloc'd; grows */
	size_t room, max;
	int err;     /* -errno, once anything has failed */
	u32 handles; /* a bit for each enum dt_phandle that a node has by now */
};

/* Begins a tree of no more than `max` bytes (it fails with -E2BIG beyond), its root node open. */
void dt_init(struct fdt *fdt, const struct kvm *kvm, size_t max);
/* Closes the root node and finishes: fdt->err. From then on fdt->blob is a tree of dt_size() bytes. */
int __must_check dt_finish(struct fdt *fdt);
size_t dt_size(const struct fdt *fdt);
/* Writes the finished tree into a file, for --dump-dtb: -errno after one logged line. */
int __must_check dt_dump(const struct fdt *fdt, const char *path);
void dt_free(struct fdt *fdt);

/* A node: "timer"; "serial", 0x1000000 for serial@1000000; and what neither can say. */
void dt_begin_node(struct fdt *fdt, const char *name);
void dt_begin_at(struct fdt *fdt, const char *name, u64 unit);
void dt_begin(struct fdt *fdt, const char *fmt, ...) __printf(2, 3);
void dt_end(struct fdt *fdt);
void dt_empty(struct fdt *fdt, const char *name);
void dt_u32(struct fdt *fdt, const char *name, u32 v);
void dt_u64(struct fdt *fdt, const char *name, u64 v);
void dt_str(struct fdt *fdt, const char *name, const char *v);
/* A list of strings, n of them. */
void dt_strs(struct fdt *fdt, const char *name, const char *const *v, size_t n);
void dt_cells(struct fdt *fdt, const char *name, const u32 *cells, size_t n);
void dt_bytes(struct fdt *fdt, const char *name, const void *data, size_t len);
/* Pairs of base and size, n pairs, each as two cells. */
void dt_reg(struct fdt *fdt, const u64 (*range)[2], size_t n);
/* A device's node "NAME@BASE" with compatible and reg; to be closed by dt_end(). */
void dt_device(struct fdt *fdt, const char *name, const char *compatible, u64 base, u64 size);
/* "interrupts": one line of the irqchip, level-triggered (active high) or rising edge. */
void dt_interrupt(struct fdt *fdt, u32 line, bool level);
/*
 * --- what every machine's tree has (devices/fdt-board.c) -----------------------------------------------
 */

struct dt_chosen {
	size_t cmdline_max; /* bytes that the kernel takes, without the NUL */
	const char *stdout_path;
	gpa_t initrd;
	u64 initrd_size; /* 0: none */
	bool kaslr;	 /* the kernel takes a seed for its own place from here */
};
/*
 * The node "chosen" with command line, console, initrd and seeds; to be closed by dt_end(). -errno after one
 * logged line: then it has not been begun.
 */
int __must_check dt_chosen(struct fdt *fdt, struct kvm *kvm, const struct dt_chosen *chosen);
/* The node of all RAM, which begins at gpa. */
void dt_memory(struct fdt *fdt, const struct kvm *kvm, gpa_t gpa);
/* The nodes of all devices that describe themselves: 0 or a describer's -errno. */
int __must_check dt_devices(struct fdt *fdt, struct kvm *kvm);
/*
 * Ends a tree of which describing came to err: 0 when it is whole and written to --dump-dtb if that is asked
 * for, else -errno; what nobody has said yet is logged.
 */
int __must_check dt_complete(struct fdt *fdt, int err);

static inline void dt_phandle(struct fdt *fdt, enum dt_phandle handle)
{
	dt_u32(fdt, "phandle", handle);
	fdt->handles |= 1u << handle;
}
static inline bool dt_has(const struct fdt *fdt, enum dt_phandle handle)
{
	return fdt->handles >> handle & 1;
}

#endif

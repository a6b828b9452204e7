/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM: banks of memory at guest physical addresses, each one memslot. The banks are laid out by
 * machine->mem_layout() and never change after the `devices` step, so readers take no lock.
 *
 * The guest is hostile: every access names a length, every check is by the bank's own size, and what is
 * read once is not read again (the guest may have changed it).
 */
#ifndef LKVM_MEM_H
#define LKVM_MEM_H

#include <lkvm/types.h>
#include <sys/uio.h>

struct kvm;

#define MEM_MAX_BANKS 8

struct mem_bank {
	gpa_t gpa;
	u64 size;
	void *hva;
	u32 slot;
	bool readonly; /* a ROM or flash: guest writes come out as MMIO exits */
	bool foreign;  /* by mem_add_slot(): no part of the guest's RAM */
	bool device;   /* by mem_add_device(): no memory at all */
};

struct guest_mem {
	struct mem_bank bank[MEM_MAX_BANKS]; /* ascending gpa */
	u32 nr_banks;
	void *base;   /* where RAM begins, which all RAM banks are parts of */
	void *map;    /* the host mapping that it lies in */
	u64 map_size; /* bytes of that mapping */
	int fd;	      /* behind it, for shared memory and hugetlbfs; else -1 */
	u64 page;     /* bytes of the pages that the host is sure to back RAM with */
};

/*
 * Adds RAM of `size` bytes at `gpa`; only from machine->mem_layout(), in ascending order, before
 * mem_create(). Both are multiples of the host's page size. -EINVAL (logged) when it overlaps or is full.
 */
int __must_check mem_add_ram(struct kvm *kvm, gpa_t gpa, u64 size);
/* The `memory` step: lays out, maps and registers all banks. Undone by mem_destroy(). */
int __must_check mem_create(struct kvm *kvm);
void mem_destroy(struct kvm *kvm);
/*
 * Registers one more memslot over host memory of the caller's (flash, ROM, a page shared with the kernel).
 * From machine->vm_init() on, before `run`; after the irqchip is made it costs a grace period.
 */
int __must_check mem_add_slot(struct kvm *kvm, gpa_t gpa, u64 size, void *hva, bool readonly);
/*
 * Registers pages of a device's that the kernel has mapped at hva (XIVE's): the guest reaches them, the
 * accessors below never do, for an access does things. Otherwise as mem_add_slot().
 */
int __must_check mem_add_device(struct kvm *kvm, gpa_t gpa, u64 size, void *hva);
/*
 * Takes the memslot of the readonly bank that begins at gpa away from the guest, whose reads then come out as
 * MMIO exits too, or gives it back. Any thread, while the VM runs; calls for one bank come one after another.
 * The bank stays in the table, and the accessors below never hand out a readonly one, so nobody sees it go.
 * -errno, silent.
 */
int __must_check mem_slot_enable(struct kvm *kvm, gpa_t gpa, bool on);

/* Copy out of or into guest RAM; a range may cross adjoining banks. -EFAULT when any byte is not RAM. */
int __must_check guest_read(const struct guest_mem *mem, gpa_t gpa, void *buf, size_t len);
int __must_check guest_write(const struct guest_mem *mem, gpa_t gpa, const void *buf, size_t len);
/* The host address of a range that lies wholly in one bank, or NULL. len 0 gives NULL. */
void *guest_ptr(const struct guest_mem *mem, gpa_t gpa, u64 len);
/* A range as host pieces: how many of `max` were filled, or -EFAULT, or -E2BIG when max is too few. */
int __must_check guest_iov(const struct guest_mem *mem, gpa_t gpa, u64 len, struct iovec *iov, int max);
/* Bytes of RAM: of all banks but those of mem_add_slot(). */
u64 guest_ram_size(const struct guest_mem *mem);
/*
 * The highest gpa at which `size` bytes fit into one RAM bank, aligned down to `align`, at or above `low` and
 * ending at or below `high`; 0 when there is none. For placing an initrd or a table.
 */
gpa_t guest_fit_high(const struct guest_mem *mem, u64 size, u64 align, gpa_t low, gpa_t high);

#endif

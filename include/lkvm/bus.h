/* SPDX-License-Identifier: MIT */
/*
 * The two buses on which a vCPU's accesses come out: memory-mapped (MMIO) and, on x86, port I/O.
 *
 * Devices claim ranges with bus_map() while the VM is being built, which keeps them sorted and apart; after
 * bus_freeze() look-ups take no lock and write nothing that is shared: a binary search, with the vCPU's own
 * last hit tried first.
 */
#ifndef LKVM_BUS_H
#define LKVM_BUS_H

#include <lkvm/endian.h>
#include <lkvm/types.h>

struct device;
struct kvm;
struct vcpu;

enum bus_id { BUS_NONE, BUS_MMIO, BUS_PIO, BUS_COUNT };

/*
 * One access, as a device sees it: offset into its own range, never an address. data holds len bytes (1, 2, 4
 * or 8; any from 1 to 8 for the odd guest), as they lie in guest memory before a copy there or after one. All
 * our devices' registers are little-endian, on every architecture. A read fills data; it comes in as all
 * ones, so a handler that knows nothing of an offset just returns.
 */
struct io {
	u64 offset;
	u8 *data;
	u32 len;
	bool write;
	struct vcpu *vcpu; /* who did it; NULL when drained from the coalesced ring */
};

/*
 * Called with dev->lock held (but see BUS_NO_LOCK), on a vCPU thread or on whichever drains the coalesced
 * ring.
 */
typedef void (*io_fn)(struct device *dev, struct io *io, void *arg);

enum {
	BUS_BYTES = 0x1,   /* an 8-bit device: wider accesses reach it byte by byte, lowest offset first */
	BUS_NO_LOCK = 0x2, /* the handler takes what locks it needs: behind it are other devices */
};

struct bus_region {
	u64 base, len;
	struct device *dev;
	io_fn fn;
	void *arg;
	u32 flags;
};

struct bus {
	struct bus_region *region;
	u32 count, room;
	bool frozen;
};

/*
 * Claims [base, base + len) for dev. Only before the `run` step, from the main thread. -EBUSY after one
 * logged line naming both owners when it overlaps another region or (MMIO) RAM; -ENOMEM.
 */
int __must_check bus_map(struct device *dev, enum bus_id bus, u64 base, u64 len, io_fn fn, void *arg,
			 u32 flags);
void bus_freeze(struct kvm *kvm);
void bus_destroy(struct kvm *kvm);

/*
 * Hands one access to whoever claimed it; an access that leaves a region goes on byte by byte. Unclaimed
 * reads give all ones, unclaimed writes vanish; both are printed with --debug-ioport and --debug-mmio.
 * Returns false when no byte of it was claimed. On any thread that holds no device lock.
 */
bool bus_access(struct kvm *kvm, struct vcpu *vcpu, enum bus_id bus, u64 addr, u8 *data, u32 len, bool write);
/* Prints an access that nobody claimed, where the user asked for it; for regions with holes. */
void bus_unclaimed(struct kvm *kvm, enum bus_id bus, u64 addr, const u8 *data, u32 len, bool write);
/* The region that holds addr, or NULL; for --dry-run and tests. */
const struct bus_region *bus_find(const struct bus *bus, u64 addr);

/* Little-endian values in and out of struct io. */
static inline u64 io_value(const struct io *io)
{
	return get_le(io->data, io->len);
}

static inline void io_reply(struct io *io, u64 v)
{
	put_le(io->data, io->len, v);
}

#endif

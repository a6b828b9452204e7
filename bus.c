/* SPDX-License-Identifier: MIT */
/*
 * The buses. bus_map() keeps the regions sorted and free of overlap while the VM is built on the main thread;
 * afterwards nothing changes, so vCPU threads search without a lock. Each vCPU remembers the region it hit
 * last on each bus (its own field, so no cache line is shared), which answers most accesses at once.
 */
#include <errno.h>
#include <inttypes.h>
#include <lkvm/bus.h>
#include <lkvm/device.h>
#include <lkvm/endian.h>
#include <lkvm/kvm.h>
#include <stdlib.h>
#include <string.h>

static const char *const bus_name[BUS_COUNT] = {"none", "mmio", "port"};

static const char *owner(const struct bus_region *r)
{
	return r->dev ? r->dev->name : "?";
}

int bus_map(struct device *dev, enum bus_id id, u64 base, u64 len, io_fn fn, void *arg, u32 flags)
{
	struct kvm *kvm = dev->kvm;
	struct bus *bus = &kvm->bus[id];
	struct bus_region *r;
	u64 end;
	u32 at;

	if (!len || add_overflow(base, len - 1, &end)) {
		log_error("%s: %s range at 0x%" PRIx64 " of 0x%" PRIx64 " bytes is none", dev->name,
			  bus_name[id], base, len);
		return -EINVAL;
	}
	for (u32 i = 0; id == BUS_MMIO && i < kvm->mem.nr_banks; i++) {
		const struct mem_bank *bank = &kvm->mem.bank[i];

		/* What is written to a readonly one comes out here: its owner claims the same range. */
		if (!bank->readonly && ranges_overlap(base, len, bank->gpa, bank->size)) {
			log_error("%s: its range at 0x%" PRIx64 " overlaps guest memory", dev->name, base);
			return -EBUSY;
		}
	}
	for (at = bus->count; at > 0 && bus->region[at - 1].base > base; at--)
		;
	for (u32 i = at ? at - 1 : 0; i <= at && i < bus->count; i++) {
		r = &bus->region[i];
		if (ranges_overlap(base, len, r->base, r->len)) {
			log_error("%s: its %s range at 0x%" PRIx64 " overlaps that of %s at 0x%" PRIx64,
				  dev->name, bus_name[id], base, owner(r), r->base);
			return -EBUSY;
		}
	}
	if (bus->count == bus->room) {
		u32 room = bus->room ? bus->room * 2 : 16;

		r = realloc(bus->region, room * sizeof(*r));
		if (!r)
			return -ENOMEM;
		bus->region = r;
		bus->room = room;
	}
	r = &bus->region[at];
	memmove(r + 1, r, (bus->count - at) * sizeof(*r));
	*r = (struct bus_region){.base = base, .len = len, .dev = dev, .fn = fn, .arg = arg, .flags = flags};
	bus->count++;
	return 0;
}

void bus_freeze(struct kvm *kvm)
{
	for (u32 id = 0; id < BUS_COUNT; id++)
		kvm->bus[id].frozen = true;
}

void bus_destroy(struct kvm *kvm)
{
	for (u32 id = 0; id < BUS_COUNT; id++)
		free(kvm->bus[id].region);
	memset(kvm->bus, 0, sizeof(kvm->bus));
}

static bool holds(const struct bus_region *r, u64 addr)
{
	return addr >= r->base && addr - r->base < r->len;
}

const struct bus_region *bus_find(const struct bus *bus, u64 addr)
{
	u32 low = 0, high = bus->count;

	while (low < high) {
		u32 mid = low + (high - low) / 2;
		const struct bus_region *r = &bus->region[mid];

		if (holds(r, addr))
			return r;
		if (addr < r->base)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

static const struct bus_region *find_hinted(const struct bus *bus, struct vcpu *vcpu, enum bus_id id,
					    u64 addr)
{
	const struct bus_region *r;

	if (!vcpu)
		return bus_find(bus, addr);
	if (vcpu->hint[id] < bus->count) {
		r = &bus->region[vcpu->hint[id]];
		if (holds(r, addr))
			return r;
	}
	r = bus_find(bus, addr);
	if (r)
		vcpu->hint[id] = (u32)(r - bus->region);
	return r;
}

static void hand_over(const struct bus_region *r, struct vcpu *vcpu, u64 addr, u8 *data, u32 len, bool write)
{
	u32 step = r->flags & BUS_BYTES ? 1 : len;
	bool lock = !(r->flags & BUS_NO_LOCK);

	if (lock)
		device_lock(r->dev);
	for (u32 i = 0; i < len; i += step) {
		struct io io = {.offset = addr - r->base + i,
				.data = data + i,
				.len = step,
				.write = write,
				.vcpu = vcpu};

		r->fn(r->dev, &io, r->arg);
	}
	if (lock)
		device_unlock(r->dev);
}

void bus_unclaimed(struct kvm *kvm, enum bus_id id, u64 addr, const u8 *data, u32 len, bool write)
{
	if (!(id == BUS_PIO ? kvm->cfg->debug_ioport : kvm->cfg->debug_mmio))
		return;
	if (write)
		log_warn(kvm->log, "unclaimed %s write: 0x%" PRIx64 ", %u bytes: 0x%" PRIx64, bus_name[id],
			 addr, len, get_le(data, (u32)min_u64(len, 8)));
	else
		log_warn(kvm->log, "unclaimed %s read: 0x%" PRIx64 ", %u bytes", bus_name[id], addr, len);
}

bool bus_access(struct kvm *kvm, struct vcpu *vcpu, enum bus_id id, u64 addr, u8 *data, u32 len, bool write)
{
	const struct bus *bus = &kvm->bus[id];
	const struct bus_region *r = find_hinted(bus, vcpu, id, addr);
	bool claimed = false;

	if (!write)
		memset(data, 0xff, len);
	if (r && len <= r->len - (addr - r->base)) {
		hand_over(r, vcpu, addr, data, len, write);
		return true;
	}
	/*
	 * It starts outside of any region, or leaves the one it starts in: each byte finds its own way, and
	 * nothing is behind the last address.
	 */
	for (u32 i = 0; len > 1 && i < len && addr + i >= addr; i++) {
		r = find_hinted(bus, vcpu, id, addr + i);
		if (!r)
			continue;
		hand_over(r, vcpu, addr + i, data + i, 1, write);
		claimed = true;
	}
	if (!claimed)
		bus_unclaimed(kvm, id, addr, data, len, write);
	return claimed;
}

/* SPDX-License-Identifier: MIT */
/*
 * LPIs for `lkvm debug`: which message of which device becomes which interrupt of which vCPU, and whether it
 * is enabled and pends. The kernel is told to write what it caches into the guest's tables, and these are
 * read: device table, translation tables and collections in the layout of
 * Documentation/virt/kvm/devices/arm-vgic-its.rst ("ITS Table ABI REV0"), properties and pending bits in that
 * of Arm IHI 0069H, 5.1.1 and 5.1.2.
 *
 * The tables are the guest's, who may have put anything there: each entry is copied before it is looked at,
 * what lies outside RAM is not there, and the number of entries that are looked at or printed has a bound.
 *
 * Called with all vCPUs parked.
 */
#include "gic.h"
#include "layout.h"
#include <lkvm/endian.h>
#include <lkvm/kvm.h>
#include <lkvm/mem.h>
#include <stdio.h>

#define GITS_BASER	0x0100
#define GICR_PROPBASER	0x0070
#define GICR_PENDBASER	0x0078
#define VALID		(1ull << 63)
#define BASER_INDIRECT	(1ull << 62)
#define TABLE_PAGE	0x10000u /* of device table and collections: KVM has but one size */
#define ENTRY		8u
#define FIRST_LPI	8192u
#define ID_BITS		16 /* of a device, an event, a collection, and an interrupt, in GITS_TYPER */
#define MAX_LOOKS	(1u << 18)
#define MAX_LINES	1024u
#define BASE_ADDRESS(v) ((v)&0x000ffffffffff000ull)

/* One walk. A number that is out of a field's reach is one that KVM has not written. */
struct lpis {
	struct irqchip *chip;
	struct state *s;
	u64 devices, collections; /* GITS_BASERn */
	u64 propbaser;
	u32 looks, lines;
	bool pending_known;
	u32 device; /* of the translation table at hand */
};

/* What an entry says: how many further the next one is, 0 when it is the last. */
typedef u64 (*entry_fn)(struct lpis *l, u64 id, u64 entry);

static bool read_entry(struct lpis *l, u64 gpa, u64 *entry)
{
	u8 raw[ENTRY];

	if (l->looks == MAX_LOOKS || guest_read(&l->chip->kvm->mem, gpa, raw, sizeof(raw)))
		return false;
	l->looks++;
	*entry = get_le64(raw);
	return true;
}

/* Entries `first` and up of a table, which is at base and has n. False once one was the last. */
static bool scan(struct lpis *l, u64 base, u64 first, u64 n, entry_fn fn)
{
	u64 entry, next;

	for (u64 i = 0; i < n; i += next) {
		if (!read_entry(l, base + i * ENTRY, &entry))
			return false;
		next = fn(l, first + i, entry);
		if (!next)
			return false;
	}
	return true;
}

static u64 baser_address(u64 baser)
{
	return (baser & 0x0000ffffffff0000ull) | (baser >> 12 & 0xf) << 48;
}

static u64 baser_entries(u64 baser)
{
	u64 n = ((baser & 0xff) + 1) * TABLE_PAGE / ENTRY;

	return baser & VALID ? n : 0;
}

/* The vCPU of a collection, or NULL. */
static const struct vcpu *target(struct lpis *l, u32 collection)
{
	struct kvm *kvm = l->chip->kvm;
	u64 base = baser_address(l->collections), n = baser_entries(l->collections), entry;

	/* KVM writes those there are one after the other, and an invalid one behind them. */
	for (u64 i = 0; i < n && read_entry(l, base + i * ENTRY, &entry) && entry & VALID; i++) {
		u64 cpu = entry >> 16 & 0xfffffffffull;

		if ((entry & 0xffff) == collection)
			return cpu < kvm->nr_vcpus ? &kvm->vcpu[cpu] : NULL;
	}
	return NULL;
}

static bool is_pending(struct lpis *l, const struct vcpu *vcpu, u32 lpi)
{
	u64 base;
	u8 byte;

	if (!l->pending_known || gicv3_redist_base(l->chip, vcpu, GICR_PENDBASER, &base) ||
	    guest_read(&l->chip->kvm->mem, (BASE_ADDRESS(base) & ~0xffffull) + lpi / 8, &byte, 1))
		return false;
	return byte >> (lpi % 8) & 1;
}

static void print_lpi(struct lpis *l, u32 event, u32 lpi, u32 collection)
{
	const struct vcpu *vcpu = target(l, collection);
	const char *pending = vcpu && is_pending(l, vcpu, lpi) ? " pending" : "";
	char name[16], cpu[32] = "none", what[40] = "unknown";
	u64 affinity, ids = 1ull << ((l->propbaser & 31) + 1);
	u8 config;

	if (vcpu && !arm_vcpu_affinity(vcpu, &affinity))
		gic_affinity(cpu, sizeof(cpu), affinity);
	if (lpi < ids &&
	    !guest_read(&l->chip->kvm->mem, BASE_ADDRESS(l->propbaser) + lpi - FIRST_LPI, &config, 1))
		snprintf(what, sizeof(what), "%s group 1 priority 0x%02x",
			 config & 1 ? "enabled" : "disabled", config & 0xfc);
	snprintf(name, sizeof(name), "lpi%u", lpi);
	state_note(l->s, name, "intid %u %s edge cpu %s device %02x:%02x.%u event %u%s", lpi, what, cpu,
		   l->device >> 8, l->device >> 3 & 31, l->device & 7, event, pending);
}

static u64 event_entry(struct lpis *l, u64 event, u64 entry)
{
	u32 lpi = (u32)(entry >> 16);

	if (!lpi)
		return 1;
	if (lpi < FIRST_LPI || lpi >> ID_BITS)
		return 0;
	if (l->lines++ < MAX_LINES)
		print_lpi(l, (u32)event, lpi, entry & 0xffff);
	return entry >> 48;
}

static u64 device_entry(struct lpis *l, u64 device, u64 entry)
{
	u32 bits = (entry & 31) + 1;

	if (!(entry & VALID))
		return 1;
	if (device >> ID_BITS || bits > ID_BITS)
		return 0;
	l->device = (u32)device;
	scan(l, (entry >> 5 & 0xfffffffffffull) << 8, 0, 1ull << bits, event_entry);
	return entry >> 49 & 0x3fff;
}

/* A table of tables, each of one page: the last device of one is not the last of all. */
static u64 page_entry(struct lpis *l, u64 page, u64 entry)
{
	const u64 n = TABLE_PAGE / ENTRY;

	if (entry & VALID && !scan(l, entry & 0x000fffffffff0000ull, page * n, n, device_entry))
		return 0;
	return (page + 1) * n >> ID_BITS ? 0 : 1;
}

/* Has KVM write the tables, and finds them. */
static int tables_written(struct lpis *l)
{
	const struct gic *gic = gic_of(l->chip);
	const u32 ctrl = KVM_DEV_ARM_VGIC_GRP_CTRL, regs = KVM_DEV_ARM_VGIC_GRP_ITS_REGS;
	int err = kvm_attr_set(gic->its_fd, ctrl, KVM_DEV_ARM_ITS_SAVE_TABLES, NULL);

	if (!err)
		err = kvm_attr_get(gic->its_fd, regs, GITS_BASER, &l->devices);
	if (!err)
		err = kvm_attr_get(gic->its_fd, regs, GITS_BASER + 8, &l->collections);
	if (!err)
		err = gicv3_redist_base(l->chip, &l->chip->kvm->vcpu[0], GICR_PROPBASER, &l->propbaser);
	return err;
}

void its_print_lpis(struct irqchip *chip, struct state *s)
{
	struct lpis l = {.chip = chip, .s = s};
	int err = tables_written(&l), lost;

	state_begin(s, "lpis", 1);
	lost = kvm_attr_set(gic_of(chip)->fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES,
			    NULL);
	l.pending_known = !lost;
	if (err)
		state_note(s, "not_shown", "KVM cannot write the guest's tables: %s", kvm_attr_errstr(err));
	else if (lost)
		state_note(s, "pending_not_shown", "KVM cannot write it to the guest's tables: %s",
			   kvm_attr_errstr(lost));
	if (!err)
		scan(&l, baser_address(l.devices), 0, baser_entries(l.devices),
		     l.devices & BASER_INDIRECT ? page_entry : device_entry);
	if (l.lines > MAX_LINES)
		state_note(s, "more", "%u LPIs are not shown", l.lines - MAX_LINES);
	else if (l.looks == MAX_LOOKS)
		state_note(s, "more", "the guest's tables go on for longer than lkvm looks");
	state_end(s);
}

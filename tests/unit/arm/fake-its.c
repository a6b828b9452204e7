/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's ITS: its frame, its registers, and its tables saved into guest memory and read back from
 * there. The guest's commands are not carried out; fake_its_map() stands for those that map an event to an
 * LPI.
 *
 * Rules and the layout of the tables (revision 0) of devices/arm-vgic-its.rst, with the errnos of Linux 6.1;
 * registers of Arm IHI 0069H, 12.19. Called by fake-kvm-device.c and fake-kvm-arm.c with the fake's lock
 * held.
 */
#include "fake-arm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ITS_SIZE  0x20000u
#define MAX_LPIS  32u
#define MAX_LOOKS 0x4000u
#define VALID	  (1ull << 63)

#define GITS_CTLR    0x0000
#define GITS_IIDR    0x0004
#define GITS_TYPER   0x0008
#define GITS_CBASER  0x0080
#define GITS_CWRITER 0x0088
#define GITS_CREADR  0x0090
#define GITS_BASER   0x0100
#define GITS_IDREGS  0xffd0

#define CTLR_ENABLE    1u
#define CTLR_QUIESCENT (1u << 31)
#define TYPER_VALUE    0x000000000001ef71ull /* 16 bits of device and event, 8 bytes an entry, LPIs */
#define BASER_FIXED    0x071f000000000000ull /* entry size, type */
#define BASER_INDIRECT (1ull << 62)
#define BASER_64K      (2ull << 8)
#define OFFSET_BITS    0x00000000000fffe0ull /* of CWRITER and CREADR */

enum { DEVICES, COLLECTIONS, TABLES };

static const u64 baser_fixed[TABLES] = {
	[DEVICES] = 0x0107000000000000ull, [COLLECTIONS] = 0x0407000000000000ull};

struct its {
	u64 base;
	bool enabled;
	u64 cbaser, cwriter, creadr, baser[TABLES];
	struct fake_lpi lpi[MAX_LPIS];
	u32 nr_lpis;
};

static int create(struct fake_device *dev)
{
	struct its *its = calloc(1, sizeof(*its));

	if (!its)
		abort();
	its->base = FAKE_GIC_UNDEF;
	for (u32 i = 0; i < TABLES; i++)
		its->baser[i] = baser_fixed[i] | BASER_64K;
	dev->priv = its;
	fake_arm(dev->obj.vm)->gic.has_its = true;
	return 0;
}

static void destroy(struct fake_device *dev)
{
	free(dev->priv);
}

/* The VM's ITS at that address, or its first when any will do. */
static struct its *its_at(struct fake_vm *vm, u64 address, bool any)
{
	for (struct fake_device *d = vm->devices; d; d = d->next) {
		struct its *its = d->priv;

		if (d->type == &fake_its &&
		    (any || (its->base != FAKE_GIC_UNDEF && range_inside(address, 4, its->base, ITS_SIZE))))
			return its;
	}
	return NULL;
}

/* ---- messages and LPIs ------------------------------------------------------------------------------ */

static struct fake_lpi *find(struct its *its, u32 device, u32 event)
{
	for (u32 i = 0; its && i < its->nr_lpis; i++)
		if (its->lpi[i].device == device && its->lpi[i].event == event)
			return &its->lpi[i];
	return NULL;
}

void fake_its_map(struct fake_vm *vm, const struct fake_lpi *lpi)
{
	struct its *its;

	fake_lock();
	its = its_at(vm, 0, true);
	if (!its || its->nr_lpis == MAX_LPIS || find(its, lpi->device, lpi->event))
		abort();
	its->lpi[its->nr_lpis++] = *lpi;
	fake_unlock();
}

struct fake_lpi *fake_its_find(struct fake_vm *vm, u32 device, u32 event)
{
	struct fake_lpi *lpi;

	fake_lock();
	lpi = find(its_at(vm, 0, true), device, event);
	fake_unlock();
	return lpi;
}

int fake_its_msi(struct fake_vm *vm, const struct kvm_msi *msi)
{
	struct its *its;
	struct fake_lpi *lpi;

	if (!fake_arm(vm)->gic.has_its)
		return -ENODEV;
	if (!(msi->flags & KVM_MSI_VALID_DEVID))
		return -EINVAL;
	its = its_at(vm, (u64)msi->address_hi << 32 | msi->address_lo, false);
	if (!its)
		return -EINVAL;
	if (!its->enabled)
		return -EBUSY;
	lpi = find(its, msi->devid, msi->data);
	if (!lpi || lpi->vcpu >= vm->nr_vcpus)
		return 0;
	if (!fake_arm_cpu(vm->vcpu[lpi->vcpu])->gic.lpis)
		return -EBUSY;
	lpi->pending = true;
	return 1;
}

/* The byte of a vCPU's pending table that has the LPI's bit; NULL when there is no memory. */
static u8 *pending_byte(struct fake_vm *vm, const struct fake_lpi *lpi)
{
	u64 base = fake_arm_cpu(vm->vcpu[lpi->vcpu])->gic.pendbaser & 0x000fffffffff0000ull;

	return fake_vm_mem(vm, base + lpi->lpi / 8, 1);
}

int fake_its_save_pending(struct fake_vm *vm)
{
	struct its *its = its_at(vm, 0, true);

	for (u32 i = 0; its && i < its->nr_lpis; i++) {
		const struct fake_lpi *lpi = &its->lpi[i];
		u8 *byte = pending_byte(vm, lpi), bit = (u8)(1u << (lpi->lpi % 8));

		if (!byte)
			return -EFAULT;
		*byte = (u8)(lpi->pending ? *byte | bit : *byte & ~bit);
	}
	return 0;
}

/* ---- tables in guest memory -------------------------------------------------------------------------- */

static u64 table_base(u64 baser)
{
	return baser & 0x0000ffffffff0000ull;
}

static u64 table_size(u64 baser)
{
	return ((baser & 0xff) + 1) * 0x10000;
}

static int entry_put(struct fake_vm *vm, u64 gpa, u64 val)
{
	void *at = fake_vm_mem(vm, gpa, sizeof(val));

	if (!at)
		return -EFAULT;
	memcpy(at, &val, sizeof(val));
	return 0;
}

static int entry_get(struct fake_vm *vm, u64 gpa, u64 *val)
{
	const void *at = fake_vm_mem(vm, gpa, sizeof(*val));

	if (!at)
		return -EFAULT;
	memcpy(val, at, sizeof(*val));
	return 0;
}

/* The distance to the next entry of a kind, 0 when there is none: entries are linked by it. */
static u32 next_after(const struct its *its, const struct fake_lpi *lpi, bool event, u32 max)
{
	u32 next = 0;

	for (u32 i = 0; i < its->nr_lpis; i++) {
		const struct fake_lpi *o = &its->lpi[i];
		u32 here = event ? lpi->event : lpi->device, there = event ? o->event : o->device;

		if ((event && o->device != lpi->device) || there <= here)
			continue;
		if (!next || there - here < next)
			next = there - here;
	}
	return next < max ? next : max;
}

static int save_tables(struct fake_vm *vm, const struct its *its)
{
	u64 devices = its->baser[DEVICES], at = table_base(its->baser[COLLECTIONS]);
	int err = 0;

	for (u32 i = 0; devices & VALID && i < its->nr_lpis && !err; i++) {
		const struct fake_lpi *lpi = &its->lpi[i];
		u64 dte = table_base(devices) + lpi->device * 8ull;

		if (lpi->device >= table_size(devices) / 8 || !fake_vm_mem(vm, dte, 8))
			return -EINVAL;
		err = entry_put(vm, lpi->itt + lpi->event * 8ull,
				(u64)next_after(its, lpi, true, 0xffff) << 48 | (u64)lpi->lpi << 16 |
					lpi->collection);
		if (!err)
			err = entry_put(vm, dte,
					VALID | (u64)next_after(its, lpi, false, 0x3fff) << 49 |
						lpi->itt >> 8 << 5 | (lpi->bits - 1));
	}
	if (err || !(its->baser[COLLECTIONS] & VALID))
		return err;
	for (u32 i = 0; i < its->nr_lpis && !err; i++) {
		const struct fake_lpi *lpi = &its->lpi[i];
		bool seen = false;

		for (u32 k = 0; k < i; k++)
			seen |= its->lpi[k].collection == lpi->collection;
		if (seen)
			continue;
		err = entry_put(vm, at, VALID | (u64)lpi->vcpu << 16 | lpi->collection);
		at += 8;
	}
	return err ? err : entry_put(vm, at, 0);
}

/* The vCPU of a collection by the table in guest memory: its index, or -errno. */
static int collection_cpu(struct fake_vm *vm, const struct its *its, u32 id)
{
	u64 at = table_base(its->baser[COLLECTIONS]), end = at + table_size(its->baser[COLLECTIONS]), cte;

	for (; its->baser[COLLECTIONS] & VALID && at < end; at += 8) {
		int err = entry_get(vm, at, &cte);

		if (err)
			return err;
		if (!(cte & VALID))
			break;
		if ((u32)(cte >> 16) >= vm->nr_vcpus)
			return -EINVAL;
		if ((cte & 0xffff) == id)
			return (int)(cte >> 16 & 0xffffffff);
	}
	return -EINVAL;
}

/*
 * A table that the guest has filled: entries from the first on, each of which says how far the next is.
 * *looks is how many may still be read: the kernel goes on for as long as there is memory.
 */
struct scan {
	struct fake_vm *vm;
	struct its *its;
	u32 device, bits; /* of the translation table at hand */
	u64 itt;
	u32 looks;
};

/* The distance to the next entry, 0 for the last, or -errno. */
typedef int (*scan_fn)(struct scan *scan, u64 id, u64 entry);

static int scan_table(struct scan *scan, u64 base, u64 entries, scan_fn fn)
{
	u64 id = 0, entry;

	while (id < entries) {
		int next = scan->looks ? entry_get(scan->vm, base + id * 8, &entry) : -ENOMEM;

		if (next)
			return next;
		scan->looks--;
		next = fn(scan, id, entry);
		if (next <= 0)
			return next;
		id += (u64)next;
	}
	return 0;
}

static int restore_event(struct scan *scan, u64 event, u64 ite)
{
	struct fake_lpi lpi = {.device = scan->device,
			       .event = (u32)event,
			       .lpi = (u32)(ite >> 16),
			       .collection = ite & 0xffff,
			       .itt = scan->itt,
			       .bits = scan->bits};
	int next = (int)(ite >> 48), cpu;
	const u8 *byte;

	if (!lpi.lpi)
		return 1;
	if (lpi.lpi < FAKE_LPI_MIN || event + (u64)next >= 1ull << scan->bits)
		return -EINVAL;
	cpu = collection_cpu(scan->vm, scan->its, lpi.collection);
	if (cpu < 0)
		return -EINVAL;
	if (scan->its->nr_lpis == MAX_LPIS)
		return -ENOMEM;
	lpi.vcpu = (u32)cpu;
	byte = pending_byte(scan->vm, &lpi);
	lpi.pending = byte && *byte >> (lpi.lpi % 8) & 1;
	scan->its->lpi[scan->its->nr_lpis++] = lpi;
	return next;
}

static int restore_device(struct scan *scan, u64 device, u64 dte)
{
	int err;

	if (!(dte & VALID))
		return 1;
	scan->device = (u32)device;
	scan->bits = (u32)(dte & 31) + 1;
	if (scan->bits > 16)
		return -EINVAL;
	scan->itt = (dte >> 5 & 0xfffffffffffull) << 8;
	err = scan_table(scan, scan->itt, 1ull << scan->bits, restore_event);
	return err ? err : (int)(dte >> 49 & 0x3fff);
}

static int restore_tables(struct fake_vm *vm, struct its *its)
{
	struct scan scan = {.vm = vm, .its = its, .looks = MAX_LOOKS};
	u64 devices = its->baser[DEVICES];
	int err;

	if (its->nr_lpis)
		return -EEXIST;
	if (!(devices & VALID))
		return 0;
	err = scan_table(&scan, table_base(devices), table_size(devices) / 8, restore_device);
	if (err)
		its->nr_lpis = 0;
	return err;
}

static void reset(struct its *its)
{
	its->baser[DEVICES] &= ~VALID;
	its->baser[COLLECTIONS] &= ~VALID;
	its->cbaser = its->cwriter = its->creadr = 0;
	its->enabled = false;
	its->nr_lpis = 0;
}

static int command(struct fake_vm *vm, struct its *its, u64 attr)
{
	if (attr == KVM_DEV_ARM_VGIC_CTRL_INIT)
		return 0; /* there is nothing that it does */
	if (fake_arm_running(vm))
		return -EBUSY;
	switch (attr) {
	case KVM_DEV_ARM_ITS_SAVE_TABLES:
		return save_tables(vm, its);
	case KVM_DEV_ARM_ITS_RESTORE_TABLES:
		return restore_tables(vm, its);
	case KVM_DEV_ARM_ITS_CTRL_RESET:
		reset(its);
		return 0;
	default:
		return -ENXIO;
	}
}

/* ---- registers ----------------------------------------------------------------------------------------- */

static int reg_check(u64 offset)
{
	u64 align = offset < GITS_TYPER || offset >= GITS_IDREGS ? 3 : 7;

	if (offset & align)
		return -EINVAL;
	if (offset <= GITS_TYPER || (offset >= GITS_CBASER && offset <= GITS_CREADR) ||
	    (offset >= GITS_BASER && offset < GITS_BASER + 0x40) ||
	    (offset >= GITS_IDREGS && offset < 0x10000))
		return 0;
	return -ENXIO;
}

static u64 reg_read(const struct its *its, u64 offset)
{
	switch (offset) {
	case GITS_CTLR:
		return (its->creadr == its->cwriter ? CTLR_QUIESCENT : 0) | (its->enabled ? CTLR_ENABLE : 0);
	case GITS_IIDR:
		return 0x4b00043b;
	case GITS_TYPER:
		return TYPER_VALUE;
	case GITS_CBASER:
		return its->cbaser;
	case GITS_CWRITER:
		return its->cwriter;
	case GITS_CREADR:
		return its->creadr;
	case GITS_BASER:
	case GITS_BASER + 8:
		return its->baser[(offset - GITS_BASER) / 8];
	case 0xffe8:
		return 0x3b;
	default:
		return 0;
	}
}

static u64 queue_size(const struct its *its)
{
	return ((its->cbaser & 0xff) + 1) * 0x1000;
}

/* Commands are there to be done: the fake does nothing about them but to have done them. */
static void run_queue(struct its *its)
{
	if (its->enabled)
		its->creadr = its->cwriter;
}

static void write_baser(struct its *its, u32 i, u64 val)
{
	if (its->enabled || i >= TABLES)
		return;
	if (i == COLLECTIONS)
		val &= ~BASER_INDIRECT;
	its->baser[i] = (val & ~(BASER_FIXED | 3ull << 8)) | baser_fixed[i] | BASER_64K;
	if (!(val & VALID))
		its->nr_lpis = 0;
}

static int reg_write(struct its *its, u64 offset, u64 val)
{
	switch (offset) {
	case GITS_CTLR:
		/* It is not to be switched on without its tables and its queue. */
		if (!its->enabled && (val & CTLR_ENABLE) &&
		    !(its->baser[DEVICES] & its->baser[COLLECTIONS] & its->cbaser & VALID))
			return 0;
		its->enabled = val & CTLR_ENABLE;
		run_queue(its);
		return 0;
	case GITS_IIDR:
		return val & 0xf000 ? -EINVAL : 0;
	case GITS_CBASER:
		if (its->enabled)
			return 0;
		its->cbaser = val & ~0xf000ull;
		its->creadr = its->cwriter = 0;
		return 0;
	case GITS_CWRITER:
		if ((val & OFFSET_BITS) < queue_size(its))
			its->cwriter = val & OFFSET_BITS;
		run_queue(its);
		return 0;
	case GITS_CREADR:
		if (its->enabled)
			return -EBUSY;
		if ((val & OFFSET_BITS) >= queue_size(its))
			return -EINVAL;
		its->creadr = val & OFFSET_BITS;
		return 0;
	default:
		if (offset >= GITS_BASER && offset < GITS_BASER + 0x40)
			write_baser(its, (u32)(offset - GITS_BASER) / 8, val);
		return 0;
	}
}

static int access_reg(struct fake_device *dev, const struct kvm_device_attr *attr, bool write)
{
	struct its *its = dev->priv;
	u64 val = 0;
	int err;

	if (write && fake_copy_from(&val, attr->addr, sizeof(val)))
		return -EFAULT;
	err = reg_check(attr->attr);
	if (err == -EINVAL)
		return err;
	if (fake_arm_running(dev->obj.vm))
		return -EBUSY;
	if (err || its->base == FAKE_GIC_UNDEF)
		return -ENXIO;
	if (write)
		return reg_write(its, attr->attr, val);
	val = reg_read(its, attr->attr);
	return fake_copy_to(attr->addr, &val, sizeof(val));
}

/* ---- attributes ------------------------------------------------------------------------------------------
 */

static int has(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	bool there = false;

	switch (attr->group) {
	case KVM_DEV_ARM_VGIC_GRP_ADDR:
		there = attr->attr == KVM_VGIC_ITS_ADDR_TYPE;
		break;
	case KVM_DEV_ARM_VGIC_GRP_CTRL:
		there = attr->attr == KVM_DEV_ARM_VGIC_CTRL_INIT ||
			attr->attr == KVM_DEV_ARM_ITS_CTRL_RESET ||
			attr->attr == KVM_DEV_ARM_ITS_SAVE_TABLES ||
			attr->attr == KVM_DEV_ARM_ITS_RESTORE_TABLES;
		break;
	case KVM_DEV_ARM_VGIC_GRP_ITS_REGS:
		return reg_check(attr->attr);
	default:
		break;
	}
	return there ? 0 : -ENXIO;
}

static int set(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	struct its *its = dev->priv;
	u64 base;
	int err;

	switch (attr->group) {
	case KVM_DEV_ARM_VGIC_GRP_ADDR:
		if (attr->attr != KVM_VGIC_ITS_ADDR_TYPE)
			return -ENODEV;
		if (fake_copy_from(&base, attr->addr, sizeof(base)))
			return -EFAULT;
		err = fake_gic_place(dev->obj.vm, its->base, base, 0x10000, ITS_SIZE);
		if (!err)
			its->base = base;
		return err;
	case KVM_DEV_ARM_VGIC_GRP_CTRL:
		return command(dev->obj.vm, its, attr->attr);
	case KVM_DEV_ARM_VGIC_GRP_ITS_REGS:
		return access_reg(dev, attr, true);
	default:
		return -ENXIO;
	}
}

static int get(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	const struct its *its = dev->priv;

	switch (attr->group) {
	case KVM_DEV_ARM_VGIC_GRP_ADDR:
		if (attr->attr != KVM_VGIC_ITS_ADDR_TYPE)
			return -ENODEV;
		return fake_copy_to(attr->addr, &its->base, sizeof(its->base));
	case KVM_DEV_ARM_VGIC_GRP_ITS_REGS:
		return access_reg(dev, attr, false);
	default:
		return -ENXIO;
	}
}

const struct fake_device_type fake_its = {
	.type = KVM_DEV_TYPE_ARM_VGIC_ITS,
	.name = "its",
	.create = create,
	.destroy = destroy,
	.has = has,
	.get = get,
	.set = set,
};

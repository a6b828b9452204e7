/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's GICv3: distributor, redistributors and the regions that they lie in, CPU system registers,
 * line levels. LPIs are the ITS's (fake-its.c).
 *
 * Rules of devices/arm-vgic-v3.rst, with the errnos of Linux 6.1; registers of Arm IHI 0069H, 12.2 to 12.11.
 * Called by fake-kvm-device.c, fake-gic.c and fake-kvm-arm.c with the fake's lock held.
 */
#include "fake-arm.h"

#include <errno.h>

#define DIST_SIZE   0x10000u
#define REDIST_SIZE 0x20000u
#define SGI_BASE    0x10000u

/* ---- regions and frames --------------------------------------------------------------------------- */

static u64 region_size(const struct fake_vm *vm, const struct fake_region *r)
{
	return (u64)(r->count ? r->count : vm->nr_vcpus) * REDIST_SIZE;
}

/* No region beyond what the guest can address, none over the distributor. */
static bool bases_ok(const struct fake_vm *vm)
{
	const struct fake_gic *gic = &fake_arm(vm)->gic;

	for (u32 i = 0; i < gic->nr_regions; i++) {
		const struct fake_region *r = &gic->region[i];
		u64 size = region_size(vm, r);

		if (fake_gic_place(vm, FAKE_GIC_UNDEF, r->base, 0x10000, size))
			return false;
		if (gic->dist != FAKE_GIC_UNDEF && ranges_overlap(r->base, size, gic->dist, DIST_SIZE))
			return false;
	}
	return true;
}

static struct fake_region *free_region(struct fake_gic *gic, u32 *index)
{
	for (*index = 0; *index < gic->nr_regions; ++*index) {
		struct fake_region *r = &gic->region[*index];

		if (!r->count || r->used < r->count)
			return r;
	}
	return NULL;
}

int fake_gicv3_vcpu_check(const struct fake_vm *vm)
{
	u32 index;

	return free_region(&fake_arm(vm)->gic, &index) && !bases_ok(vm) ? -EINVAL : 0;
}

void fake_gicv3_vcpu_place(struct fake_vcpu *vcpu)
{
	struct fake_gic_cpu *cpu = &fake_arm_cpu(vcpu)->gic;
	struct fake_region *r = free_region(&fake_arm(vcpu->obj.vm)->gic, &cpu->region);

	if (!r || cpu->redist != FAKE_GIC_UNDEF)
		return;
	cpu->index = r->used++;
	cpu->redist = r->base + (u64)cpu->index * REDIST_SIZE;
}

static int add_region(struct fake_vm *vm, u32 index, u64 base, u32 count)
{
	struct fake_gic *gic = &fake_arm(vm)->gic;
	u64 size = (u64)(count ? count : vm->nr_vcpus) * REDIST_SIZE, end;
	const struct fake_region *last = gic->nr_regions ? &gic->region[gic->nr_regions - 1] : NULL;
	int err;

	if (add_overflow(base, size, &end))
		return -EINVAL;
	if (!last && index)
		return -EINVAL;
	if (last && !count)
		return last->count ? -EINVAL : -EEXIST;
	if (last && index != gic->nr_regions)
		return -EINVAL;
	if (!count && gic->dist != FAKE_GIC_UNDEF && base < gic->dist + DIST_SIZE && end > gic->dist)
		return -EINVAL;
	for (u32 i = 0; i < gic->nr_regions; i++)
		if (end > gic->region[i].base &&
		    base < gic->region[i].base + region_size(vm, &gic->region[i]))
			return -EINVAL;
	err = fake_gic_place(vm, FAKE_GIC_UNDEF, base, 0x10000, size);
	if (err)
		return err;
	if (gic->nr_regions == FAKE_GIC_REGIONS)
		return -ENOMEM;
	gic->region[gic->nr_regions++] = (struct fake_region){.base = base, .count = count};
	/* vCPUs that are there already take their places. */
	for (u32 i = 0; i < vm->nr_vcpus; i++) {
		if (fake_arm_cpu(vm->vcpu[i])->gic.redist != FAKE_GIC_UNDEF)
			continue;
		if (!bases_ok(vm)) {
			gic->nr_regions--;
			return -EINVAL;
		}
		fake_gicv3_vcpu_place(vm->vcpu[i]);
	}
	return 0;
}

int fake_gicv3_map(struct fake_vm *vm)
{
	const struct fake_gic *gic = &fake_arm(vm)->gic;

	for (u32 i = 0; i < vm->nr_vcpus; i++)
		if (fake_arm_cpu(vm->vcpu[i])->gic.redist == FAKE_GIC_UNDEF)
			return -ENXIO;
	if (gic->dist == FAKE_GIC_UNDEF)
		return -ENXIO;
	if (!bases_ok(vm))
		return -EINVAL;
	return gic->initialized ? 0 : -EBUSY;
}

static int set_addr(struct fake_vm *vm, const struct kvm_device_attr *attr)
{
	struct fake_gic *gic = &fake_arm(vm)->gic;
	u64 val;
	int err;

	if (fake_copy_from(&val, attr->addr, sizeof(val)))
		return -EFAULT;
	switch (attr->attr) {
	case KVM_VGIC_V3_ADDR_TYPE_DIST:
		err = fake_gic_place(vm, gic->dist, val, 0x10000, DIST_SIZE);
		if (!err)
			gic->dist = val;
		return err;
	case KVM_VGIC_V3_ADDR_TYPE_REDIST:
		return add_region(vm, 0, val, 0);
	case KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION:
		if (!(val >> 52) || (val >> 12 & 15))
			return -EINVAL;
		return add_region(vm, val & 0xff, val & 0xfffffffff0000ull, (u32)(val >> 52));
	default:
		return -ENXIO;
	}
}

static int get_addr(struct fake_vm *vm, const struct kvm_device_attr *attr)
{
	const struct fake_gic *gic = &fake_arm(vm)->gic;
	u64 val = FAKE_GIC_UNDEF;

	switch (attr->attr) {
	case KVM_VGIC_V3_ADDR_TYPE_DIST:
		val = gic->dist;
		break;
	case KVM_VGIC_V3_ADDR_TYPE_REDIST:
		if (gic->nr_regions)
			val = gic->region[0].base;
		break;
	case KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION:
		/* The index comes in by the place that the answer goes to. */
		if (fake_copy_from(&val, attr->addr, sizeof(val)))
			return -EFAULT;
		val &= 0xff;
		if (val >= gic->nr_regions)
			return -ENOENT;
		val |= gic->region[val].base | (u64)gic->region[val].count << 52;
		break;
	default:
		return -ENXIO;
	}
	return fake_copy_to(attr->addr, &val, sizeof(val));
}

/* ---- distributor ----------------------------------------------------------------------------------- */

#define GICD_CTLR   0x0000
#define GICD_TYPER  0x0004
#define GICD_IIDR   0x0008
#define GICD_TYPER2 0x000c
#define GICD_STATUS 0x0010
#define IDREGS	    0xffd0
#define PIDR2	    0xffe8
#define PIDR2_GICV3 0x3b

static bool dist_has(const struct fake_gic *gic, u32 offset)
{
	u32 first;

	return offset <= GICD_STATUS || (offset >= IDREGS && offset < 0x10000) ||
	       fake_gic_field(gic, offset, &first);
}

static u32 dist_read(struct fake_vm *vm, u32 offset)
{
	const struct fake_gic *gic = &fake_arm(vm)->gic;
	u32 first;

	switch (offset) {
	case GICD_CTLR:
		return (gic->enabled ? 2 : 0) | 0x50; /* EnableGrp1; ARE, DS */
	case GICD_TYPER:
		return (gic->nr_spis + FAKE_GIC_PRIVATE) / 32 - 1 +
		       (gic->has_its ? 15u << 19 | 1u << 17 : 9u << 19);
	case GICD_IIDR:
		return fake_gic_iidr(gic);
	case GICD_TYPER2:
		return 0;
	case GICD_STATUS:
		return ~0u;
	case PIDR2:
		return PIDR2_GICV3;
	default:
		/* Private interrupts have their registers in the redistributors. */
		if (!fake_gic_field(gic, offset, &first) || first < FAKE_GIC_PRIVATE)
			return 0;
		return fake_gic_read(vm, NULL, offset);
	}
}

static int dist_write(struct fake_vm *vm, u32 offset, u32 val)
{
	struct fake_gic *gic = &fake_arm(vm)->gic;
	u32 first;

	switch (offset) {
	case GICD_CTLR:
		gic->enabled = val & 2;
		return 0;
	case GICD_IIDR:
		return fake_gic_set_iidr(gic, val);
	case GICD_TYPER2:
		return val ? -EINVAL : 0;
	default:
		if (fake_gic_field(gic, offset, &first) && first >= FAKE_GIC_PRIVATE)
			fake_gic_write(vm, NULL, offset, val);
		return 0;
	}
}

/* ---- redistributor --------------------------------------------------------------------------------- */

#define GICR_CTLR      0x0000
#define GICR_IIDR      0x0004
#define GICR_TYPER     0x0008
#define GICR_STATUSR   0x0010
#define GICR_WAKER     0x0014
#define GICR_PROPBASER 0x0070
#define GICR_PENDBASER 0x0078
#define GICR_INVLPIR   0x00a0
#define GICR_INVALLR   0x00b0
#define GICR_SYNCR     0x00c0
#define GICR_NSACR     0x10e00
#define CTLR_LPIS      0x1u
#define CTLR_CES_IR    0x6u
#define PENDBASER_PTZ  (1ull << 62)
#define PENDBASER_BITS 0x070fffffffff0f80ull /* with what KVM keeps of the attributes */
#define PROPBASER_BITS 0x070fffffffffff9full

/* The frame's second half: offset within it when it is one of the private interrupts' registers. */
static bool sgi_field(const struct fake_gic *gic, u32 offset, u32 *field)
{
	u32 first;

	if (offset < SGI_BASE)
		return false;
	*field = offset - SGI_BASE;
	return *field < 0xe00 && !(*field >= 0x800 && *field < 0xc00) &&
	       fake_gic_field(gic, *field, &first) && first < FAKE_GIC_PRIVATE;
}

static bool redist_has(const struct fake_gic *gic, u32 offset)
{
	u32 field;

	return offset <= GICR_WAKER || (offset >= GICR_PROPBASER && offset < GICR_PENDBASER + 8) ||
	       (offset >= GICR_INVLPIR && offset < GICR_INVLPIR + 8) ||
	       (offset >= GICR_INVALLR && offset < GICR_INVALLR + 8) || offset == GICR_SYNCR ||
	       (offset >= IDREGS && offset < SGI_BASE) || offset == GICR_NSACR ||
	       sgi_field(gic, offset, &field);
}

/* No other redistributor follows where this one ends. */
static bool is_last(const struct fake_vcpu *vcpu)
{
	const struct fake_gic_cpu *cpu = &fake_arm_cpu(vcpu)->gic;
	const struct fake_gic *gic = &fake_arm(vcpu->obj.vm)->gic;
	const struct fake_region *r = &gic->region[cpu->region];

	if (cpu->redist == FAKE_GIC_UNDEF || cpu->index + 1 < r->used)
		return false;
	if (!r->count || cpu->index != r->count - 1)
		return true;
	for (u32 i = 0; i < gic->nr_regions; i++)
		if (gic->region[i].base == r->base + (u64)r->count * REDIST_SIZE && gic->region[i].used)
			return false;
	return true;
}

static u64 redist_typer(const struct fake_vcpu *vcpu)
{
	return fake_arm_affinity(vcpu) << 32 | (u64)(vcpu->obj.id & 0xffff) << 8 | (u64)is_last(vcpu) << 4 |
	       fake_arm(vcpu->obj.vm)->gic.has_its;
}

static u32 half(u64 val, u32 offset)
{
	return (u32)(offset & 4 ? val >> 32 : val);
}

static u64 with_half(u64 old, u32 offset, u32 val)
{
	return offset & 4 ? (old & 0xffffffff) | (u64)val << 32 : (old & ~0xffffffffull) | val;
}

static u32 redist_read(struct fake_vcpu *vcpu, u32 offset)
{
	const struct fake_gic_cpu *cpu = &fake_arm_cpu(vcpu)->gic;
	struct fake_vm *vm = vcpu->obj.vm;
	const struct fake_gic *gic = &fake_arm(vm)->gic;
	u32 field;

	if (sgi_field(gic, offset, &field))
		return fake_gic_read(vm, vcpu, field);
	switch (offset & ~4u) {
	case GICR_CTLR:
		if (offset == GICR_IIDR)
			return 0x4b00043b;
		return (cpu->lpis ? CTLR_LPIS : 0) | (gic->revision >= 3 ? CTLR_CES_IR : 0);
	case GICR_TYPER:
		return half(redist_typer(vcpu), offset);
	case GICR_PROPBASER:
		return half(gic->propbaser, offset);
	case GICR_PENDBASER:
		return half(cpu->pendbaser & ~PENDBASER_PTZ, offset);
	case PIDR2:
		return offset == PIDR2 ? PIDR2_GICV3 : 0;
	default:
		return 0;
	}
}

static void redist_write(struct fake_vcpu *vcpu, u32 offset, u32 val)
{
	struct fake_gic_cpu *cpu = &fake_arm_cpu(vcpu)->gic;
	struct fake_gic *gic = &fake_arm(vcpu->obj.vm)->gic;
	u32 field;

	if (sgi_field(gic, offset, &field)) {
		fake_gic_write(vcpu->obj.vm, vcpu, field, val);
		return;
	}
	if (offset == GICR_CTLR && gic->has_its)
		cpu->lpis = val & CTLR_LPIS;
	/* Once LPIs are on, where their tables are is not to be changed. */
	else if ((offset & ~4u) == GICR_PROPBASER && !cpu->lpis)
		gic->propbaser = with_half(gic->propbaser, offset, val) & PROPBASER_BITS;
	else if ((offset & ~4u) == GICR_PENDBASER && !cpu->lpis)
		cpu->pendbaser = with_half(cpu->pendbaser, offset, val) & (PENDBASER_BITS | PENDBASER_PTZ);
}

/* ---- attributes ----------------------------------------------------------------------------------- */

struct fake_vcpu *fake_gicv3_cpu_of(struct fake_vm *vm, u64 affinity)
{
	for (u32 i = 0; i < vm->nr_vcpus; i++)
		if (fake_arm_affinity(vm->vcpu[i]) == affinity)
			return vm->vcpu[i];
	return NULL;
}

static struct fake_vcpu *cpu_of(struct fake_vm *vm, const struct kvm_device_attr *attr)
{
	if (attr->group == KVM_DEV_ARM_VGIC_GRP_DIST_REGS)
		return vm->nr_vcpus ? vm->vcpu[0] : NULL;
	return fake_gicv3_cpu_of(vm, attr->attr >> 32);
}

static int line_levels(struct fake_vm *vm, struct fake_vcpu *vcpu, u64 attr, bool write, u32 *val)
{
	u32 first = attr & KVM_DEV_ARM_VGIC_LINE_LEVEL_INTID_MASK;
	u32 info =
		(u32)(attr & KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_MASK) >> KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT;

	if (info != VGIC_LEVEL_INFO_LINE_LEVEL || first % 32)
		return -EINVAL;
	if (!write)
		*val = 0;
	for (u32 i = 0; i < 32; i++) {
		struct fake_irq *irq = first + i < 16 ? NULL : fake_gic_irq(vm, vcpu, first + i);

		if (!irq)
			continue;
		if (write)
			irq->level = *val >> i & 1;
		else if (!irq->edge && irq->level)
			*val |= 1u << i;
	}
	return 0;
}

/* The kernel takes accesses to nowhere: they read as zero and write nothing. Only `has` tells. */
static int access_reg(struct fake_vm *vm, const struct kvm_device_attr *attr, bool write)
{
	struct fake_vcpu *vcpu = cpu_of(vm, attr);
	u32 offset = (u32)attr->attr, val = 0;
	bool sysreg = attr->group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS;
	int err = 0;

	if (!vcpu)
		return -EINVAL;
	if (write && !sysreg && fake_copy_from(&val, attr->addr, sizeof(val)))
		return -EFAULT;
	if (fake_arm_running(vm) || !fake_arm(vm)->gic.initialized)
		return -EBUSY;
	if (sysreg)
		return fake_gicv3_sysreg(&fake_arm_cpu(vcpu)->gic, attr, write);
	if (attr->group == KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO)
		err = line_levels(vm, vcpu, attr->attr, write, &val);
	else if (attr->group == KVM_DEV_ARM_VGIC_GRP_DIST_REGS && write)
		err = dist_write(vm, offset, val);
	else if (attr->group == KVM_DEV_ARM_VGIC_GRP_DIST_REGS)
		val = dist_read(vm, offset);
	else if (write)
		redist_write(vcpu, offset, val);
	else
		val = redist_read(vcpu, offset);
	return err || write ? err : fake_copy_to(attr->addr, &val, sizeof(val));
}

static bool is_register(u32 group)
{
	return group == KVM_DEV_ARM_VGIC_GRP_DIST_REGS || group == KVM_DEV_ARM_VGIC_GRP_REDIST_REGS ||
	       group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS || group == KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO;
}

static int has_reg(struct fake_vm *vm, const struct kvm_device_attr *attr)
{
	const struct fake_gic *gic = &fake_arm(vm)->gic;
	u32 offset = (u32)attr->attr;
	bool there;

	if (attr->group == KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO)
		return (attr->attr & KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_MASK) ? -ENXIO : 0;
	if (!cpu_of(vm, attr))
		return -EINVAL;
	if (attr->group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS)
		return fake_gicv3_has_sysreg(attr->attr) ? 0 : -ENXIO;
	there = attr->group == KVM_DEV_ARM_VGIC_GRP_DIST_REGS ? dist_has(gic, offset)
							      : redist_has(gic, offset);
	return there && !(offset & 3) ? 0 : -ENXIO;
}

static int has(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	bool there = false;

	if (is_register(attr->group))
		return has_reg(dev->obj.vm, attr);
	switch (attr->group) {
	case KVM_DEV_ARM_VGIC_GRP_ADDR:
		there = attr->attr == KVM_VGIC_V3_ADDR_TYPE_DIST ||
			attr->attr == KVM_VGIC_V3_ADDR_TYPE_REDIST ||
			attr->attr == KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION;
		break;
	case KVM_DEV_ARM_VGIC_GRP_NR_IRQS:
		there = true;
		break;
	case KVM_DEV_ARM_VGIC_GRP_CTRL:
		there = attr->attr == KVM_DEV_ARM_VGIC_CTRL_INIT ||
			attr->attr == KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES;
		break;
	default:
		break;
	}
	return there ? 0 : -ENXIO;
}

static int set(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	if (attr->group == KVM_DEV_ARM_VGIC_GRP_ADDR)
		return set_addr(dev->obj.vm, attr);
	return is_register(attr->group) ? access_reg(dev->obj.vm, attr, true)
					: fake_gic_set_common(dev, attr);
}

static int get(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	if (attr->group == KVM_DEV_ARM_VGIC_GRP_ADDR)
		return get_addr(dev->obj.vm, attr);
	return is_register(attr->group) ? access_reg(dev->obj.vm, attr, false)
					: fake_gic_get_common(dev, attr);
}

static int create(struct fake_device *dev)
{
	return fake_gic_create(dev->obj.vm, KVM_DEV_TYPE_ARM_VGIC_V3);
}

const struct fake_device_type fake_gicv3 = {
	.type = KVM_DEV_TYPE_ARM_VGIC_V3,
	.name = "gicv3",
	.create = create,
	.has = has,
	.get = get,
	.set = set,
};

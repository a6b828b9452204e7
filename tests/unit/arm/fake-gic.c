/* SPDX-License-Identifier: MIT */
/*
 * What the fake KVM's GICv2 and GICv3 have in common: making one, its size and INIT, where a frame may lie,
 * interrupts and how they are raised, and the registers with a field for each interrupt.
 *
 * Rules of devices/arm-vgic.rst, arm-vgic-v3.rst and api.rst, with the errnos of Linux 6.1; registers of Arm
 * IHI 0048B (GICv2) 4.3 and IHI 0069H (GICv3) 12.9 to 12.11. Called with the fake's lock held.
 */
#include "fake-arm.h"

#include <errno.h>
#include <string.h>

#define NR_IRQS_DEFAULT 256u
#define NR_IRQS_MAX	1023u
#define REVISION	3u /* what Linux 6.1 makes when nobody asks for another */
#define IIDR_KVM	0x4b00043bu
#define IIDR_REVISION	0x0000f000u
#define HOST_PRI_BITS	5u
#define HOST_ID_BITS	1u

/* ---- making ------------------------------------------------------------------------------------ */

void fake_gic_cpu_init(struct fake_gic_cpu *cpu)
{
	*cpu = (struct fake_gic_cpu){
		.redist = FAKE_GIC_UNDEF, .pri_bits = HOST_PRI_BITS, .id_bits = HOST_ID_BITS};
	for (u32 i = 0; i < 16; i++) {
		cpu->irq[i].enabled = true;
		cpu->irq[i].edge = true;
	}
}

int fake_gic_create(struct fake_vm *vm, u32 type)
{
	struct fake_gic *gic = &fake_arm(vm)->gic;

	if (fake_arm_running(vm))
		return -EBUSY;
	if (gic->type)
		return -EEXIST;
	for (u32 i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpu[i]->ran)
			return -EBUSY;
	if (type == KVM_DEV_TYPE_ARM_VGIC_V2 && vm->nr_vcpus > 8)
		return -E2BIG;
	gic->type = type;
	gic->dist = gic->cpu = FAKE_GIC_UNDEF;
	vm->irqchip = true;
	return 0;
}

int fake_gic_init(struct fake_vm *vm)
{
	struct fake_gic *gic = &fake_arm(vm)->gic;
	bool v3 = gic->type == KVM_DEV_TYPE_ARM_VGIC_V3;

	if (gic->initialized)
		return 0;
	if (!gic->nr_spis)
		gic->nr_spis = NR_IRQS_DEFAULT - FAKE_GIC_PRIVATE;
	for (u32 i = 0; i < gic->nr_spis; i++)
		gic->spi[i] = (struct fake_irq){.group = v3};
	for (u32 i = 0; i < vm->nr_vcpus; i++) {
		struct fake_irq *irq = fake_arm_cpu(vm->vcpu[i])->gic.irq;

		for (u32 n = 0; n < FAKE_GIC_PRIVATE; n++) {
			irq[n].group = v3;
			irq[n].targets = v3 ? 0 : (u8)(1u << i);
		}
	}
	/* The kernel's own table replaces whatever was set before. */
	for (u32 i = 0; i < gic->nr_spis; i++)
		vm->route[i] = (struct kvm_irq_routing_entry){
			.gsi = i, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip.pin = i};
	vm->nr_routes = gic->nr_spis;
	if (!gic->revision)
		gic->revision = REVISION;
	gic->initialized = true;
	return 0;
}

int fake_gic_place(const struct fake_vm *vm, u64 old, u64 base, u64 align, u64 size)
{
	u64 limit = 1ull << fake_arm(vm)->ipa_bits, end;

	if (old != FAKE_GIC_UNDEF)
		return -EEXIST;
	if (base % align || size % align || add_overflow(base, size, &end))
		return -EINVAL;
	return base >= limit || end > limit ? -E2BIG : 0;
}

static int gicv2_map(struct fake_vm *vm)
{
	struct fake_gic *gic = &fake_arm(vm)->gic;

	if (gic->dist == FAKE_GIC_UNDEF || gic->cpu == FAKE_GIC_UNDEF)
		return -ENXIO;
	if (ranges_overlap(gic->dist, 0x1000, gic->cpu, 0x2000))
		return -EINVAL;
	return fake_gic_init(vm);
}

int fake_gic_map(struct fake_vm *vm)
{
	struct fake_gic *gic = &fake_arm(vm)->gic;
	int err;

	if (gic->ready || !gic->type)
		return 0;
	err = gic->type == KVM_DEV_TYPE_ARM_VGIC_V2 ? gicv2_map(vm) : fake_gicv3_map(vm);
	gic->ready = !err;
	if (!err)
		return 0;
	vm->dead = true;
	for (u32 i = 0; i < vm->nr_vcpus; i++)
		fake_vcpu_wake(vm->vcpu[i]);
	return err;
}

/* ---- attributes of both ------------------------------------------------------------------------ */

static int set_nr_irqs(struct fake_vm *vm, u64 addr)
{
	struct fake_gic *gic = &fake_arm(vm)->gic;
	u32 val;

	if (fake_copy_from(&val, addr, sizeof(val)))
		return -EFAULT;
	if (val < FAKE_GIC_PRIVATE + 32 || val > NR_IRQS_MAX || val % 32)
		return -EINVAL;
	if (gic->ready || gic->nr_spis)
		return -EBUSY;
	gic->nr_spis = val - FAKE_GIC_PRIVATE;
	return 0;
}

int fake_gic_set_common(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	struct fake_vm *vm = dev->obj.vm;

	switch (attr->group) {
	case KVM_DEV_ARM_VGIC_GRP_NR_IRQS:
		return set_nr_irqs(vm, attr->addr);
	case KVM_DEV_ARM_VGIC_GRP_CTRL:
		if (attr->attr == KVM_DEV_ARM_VGIC_CTRL_INIT)
			return fake_gic_init(vm);
		if (attr->attr != KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES ||
		    fake_arm(vm)->gic.type != KVM_DEV_TYPE_ARM_VGIC_V3)
			return -ENXIO;
		if (fake_arm_running(vm))
			return -EBUSY;
		return fake_arm(vm)->gic.initialized ? fake_its_save_pending(vm) : -ENXIO;
	default:
		return -ENXIO;
	}
}

int fake_gic_get_common(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	u32 val = fake_arm(dev->obj.vm)->gic.nr_spis + FAKE_GIC_PRIVATE;

	return attr->group == KVM_DEV_ARM_VGIC_GRP_NR_IRQS ? fake_copy_to(attr->addr, &val, sizeof(val))
							   : -ENXIO;
}

u32 fake_gic_iidr(const struct fake_gic *gic)
{
	return IIDR_KVM | gic->revision << 12;
}

int fake_gic_set_iidr(struct fake_gic *gic, u32 val)
{
	u32 revision = (val & IIDR_REVISION) >> 12;

	if (((val ^ fake_gic_iidr(gic)) & ~IIDR_REVISION) || revision < 2 || revision > REVISION)
		return -EINVAL;
	gic->revision = revision;
	return 0;
}

/* ---- interrupts -------------------------------------------------------------------------------- */

struct fake_irq *fake_gic_irq(struct fake_vm *vm, struct fake_vcpu *vcpu, u32 intid)
{
	struct fake_gic *gic = &fake_arm(vm)->gic;

	if (intid < FAKE_GIC_PRIVATE)
		return vcpu ? &fake_arm_cpu(vcpu)->gic.irq[intid] : NULL;
	intid -= FAKE_GIC_PRIVATE;
	return intid < gic->nr_spis ? &gic->spi[intid] : NULL;
}

int fake_gic_inject(struct fake_vm *vm, struct fake_vcpu *vcpu, u32 intid, bool level, u8 owner)
{
	struct fake_gic *gic = &fake_arm(vm)->gic;
	struct fake_irq *irq;

	if (!gic->initialized) {
		if (gic->type != KVM_DEV_TYPE_ARM_VGIC_V2)
			return -EBUSY;
		if (fake_gic_init(vm))
			return -EBUSY;
	}
	irq = fake_gic_irq(vm, vcpu, intid);
	if (!irq)
		return -EINVAL;
	if (irq->owner != owner)
		return 0;
	if (!irq->edge)
		irq->level = level;
	else if (level)
		irq->pending = true;
	return 0;
}

int fake_gic_own(struct fake_vm *vm, struct fake_vcpu *vcpu, u32 intid, u8 owner)
{
	struct fake_irq *irq = fake_gic_irq(vm, vcpu, intid);

	if (!fake_arm(vm)->gic.initialized)
		return -EAGAIN;
	if (intid < 16 || !irq)
		return -EINVAL;
	if (irq->owner != FAKE_NOBODY && irq->owner != owner)
		return -EEXIST;
	irq->owner = owner;
	return 0;
}

/* ---- registers with a field for each interrupt ---------------------------------------------------- */

enum field {
	GROUP,
	SET_ENABLE,
	CLEAR_ENABLE,
	SET_PENDING,
	CLEAR_PENDING,
	SET_ACTIVE,
	CLEAR_ACTIVE,
	PRIORITY,
	TARGET,
	CONFIG,
	NOTHING, /* GICD_IGRPMODR: it reads as zero */
	ROUTE,
};

static const struct {
	u32 offset, bits; /* of one interrupt's field */
	bool v3_only;
} fields[] = {
	[GROUP] = {0x080, 1, false},	     [SET_ENABLE] = {0x100, 1, false},
	[CLEAR_ENABLE] = {0x180, 1, false},  [SET_PENDING] = {0x200, 1, false},
	[CLEAR_PENDING] = {0x280, 1, false}, [SET_ACTIVE] = {0x300, 1, false},
	[CLEAR_ACTIVE] = {0x380, 1, false},  [PRIORITY] = {0x400, 8, false},
	[TARGET] = {0x800, 8, false},	     [CONFIG] = {0xc00, 2, false},
	[NOTHING] = {0xd00, 1, true},	     [ROUTE] = {0x6000, 64, true},
};

static bool field_at(const struct fake_gic *gic, u32 offset, enum field *field, u32 *first)
{
	for (u32 i = 0; i < ARRAY_SIZE(fields); i++) {
		if (offset < fields[i].offset || offset - fields[i].offset >= fields[i].bits * 128 ||
		    (fields[i].v3_only && gic->type == KVM_DEV_TYPE_ARM_VGIC_V2))
			continue;
		*field = i;
		*first = (offset - fields[i].offset) * 8 / fields[i].bits;
		return *first < gic->nr_spis + FAKE_GIC_PRIVATE;
	}
	return false;
}

bool fake_gic_field(const struct fake_gic *gic, u32 offset, u32 *first)
{
	enum field field;

	return !(offset & 3) && field_at(gic, offset, &field, first);
}

/* How many interrupts a word is about. */
static u32 field_count(enum field field)
{
	return field == ROUTE ? 1 : 32 / fields[field].bits;
}

u32 fake_gic_read(struct fake_vm *vm, struct fake_vcpu *vcpu, u32 offset)
{
	const struct fake_gic *gic = &fake_arm(vm)->gic;
	bool v3 = gic->type == KVM_DEV_TYPE_ARM_VGIC_V3;
	enum field field;
	u32 first, val = 0;

	if (!field_at(gic, offset, &field, &first))
		return 0;
	for (u32 i = 0; i < field_count(field); i++) {
		const struct fake_irq *irq = fake_gic_irq(vm, vcpu, first + i);
		bool bit = false;

		if (!irq)
			continue;
		switch (field) {
		case GROUP:
			bit = irq->group;
			break;
		case SET_ENABLE:
		case CLEAR_ENABLE:
			bit = irq->enabled;
			break;
		case SET_PENDING:
			/* GICv3 shows the latch alone. */
			bit = irq->pending || (!v3 && !irq->edge && irq->level);
			break;
		case CLEAR_PENDING:
			bit = !v3 && (irq->pending || (!irq->edge && irq->level));
			break;
		case SET_ACTIVE:
		case CLEAR_ACTIVE:
			bit = irq->active;
			break;
		case PRIORITY:
			val |= (u32)irq->priority << (8 * i);
			break;
		case TARGET:
			val |= v3 ? 0 : (u32)irq->targets << (8 * i);
			break;
		case CONFIG:
			val |= (irq->edge ? 2u : 0) << (2 * i);
			break;
		case NOTHING:
			break;
		case ROUTE:
			val = offset & 4 ? 0 : irq->route;
			break;
		}
		val |= (u32)bit << i;
	}
	return val;
}

static void irq_write(struct fake_vm *vm, struct fake_vcpu *vcpu, u32 intid, enum field field, u32 offset,
		      u32 part)
{
	struct fake_gic *gic = &fake_arm(vm)->gic;
	struct fake_irq *irq = fake_gic_irq(vm, vcpu, intid);
	bool v3 = gic->type == KVM_DEV_TYPE_ARM_VGIC_V3, private = intid < FAKE_GIC_PRIVATE;

	if (!irq)
		return;
	switch (field) {
	case GROUP:
		if (v3 || gic->groups_writable)
			irq->group = part & 1;
		break;
	case SET_ENABLE:
		irq->enabled |= part & 1;
		break;
	case CLEAR_ENABLE:
		irq->enabled &= !(part & 1);
		break;
	case SET_PENDING:
		if (v3) {
			irq->pending = part & 1;
		} else if (part & 1) {
			irq->pending = true;
			if (intid < 16)
				irq->source |= (u8)(1u << vcpu->obj.id);
		}
		break;
	case CLEAR_PENDING:
		if (!v3 && (part & 1)) {
			irq->pending = false;
			irq->source = 0;
		}
		break;
	case SET_ACTIVE:
		irq->active |= part & 1;
		break;
	case CLEAR_ACTIVE:
		irq->active &= !(part & 1);
		break;
	case PRIORITY:
		irq->priority = part & 0xf8; /* five bits are kept */
		break;
	case TARGET:
		if (!v3 && !private)
			irq->targets = (u8)(part & ((1u << vm->nr_vcpus) - 1));
		break;
	case CONFIG:
		if (!private)
			irq->edge = part & 2;
		break;
	case NOTHING:
		break;
	case ROUTE:
		if (!(offset & 4))
			irq->route = part & 0xffffff;
		break;
	}
}

void fake_gic_write(struct fake_vm *vm, struct fake_vcpu *vcpu, u32 offset, u32 val)
{
	enum field field;
	u32 first;

	if (!field_at(&fake_arm(vm)->gic, offset, &field, &first))
		return;
	for (u32 i = 0; i < field_count(field); i++) {
		u32 bits = fields[field].bits;
		u32 part = field == ROUTE ? val : val >> (i * bits) & ((1u << bits) - 1);

		irq_write(vm, vcpu, first + i, field, offset, part);
	}
}

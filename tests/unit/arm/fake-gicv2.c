/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's GICv2: where its frames lie, and its registers as KVM shows them to user space.
 *
 * Rules of devices/arm-vgic.rst, with the errnos of Linux 6.1; registers of Arm IHI 0048B, 4.3 and 4.4.
 * Called by fake-kvm-device.c with the fake's lock held.
 */
#include "fake-arm.h"

#include <errno.h>

#define GICD_CTLR      0x000
#define GICD_TYPER     0x004
#define GICD_IIDR      0x008
#define GICD_SGIR      0xf00
#define GICD_CPENDSGIR 0xf10
#define GICD_SPENDSGIR 0xf20
#define GICD_SGI_END   0xf30

#define GICC_CTLR  0x00
#define GICC_PMR   0x04
#define GICC_BPR   0x08
#define GICC_ABPR  0x1c
#define GICC_APR   0xd0
#define GICC_IIDR  0xfc
#define CTLR_BITS  0x21f /* both group enables, AckCtl, FIQEn, CBPR, EOImodeNS */
#define GICC_IDENT 0x4b02043b

static int create(struct fake_device *dev)
{
	return fake_gic_create(dev->obj.vm, KVM_DEV_TYPE_ARM_VGIC_V2);
}

static u64 *frame(struct fake_gic *gic, u64 attr)
{
	if (attr == KVM_VGIC_V2_ADDR_TYPE_DIST)
		return &gic->dist;
	return attr == KVM_VGIC_V2_ADDR_TYPE_CPU ? &gic->cpu : NULL;
}

static int set_addr(struct fake_vm *vm, const struct kvm_device_attr *attr)
{
	u64 *at = frame(&fake_arm(vm)->gic, attr->attr), base;
	int err;

	if (fake_copy_from(&base, attr->addr, sizeof(base)))
		return -EFAULT;
	if (!at)
		return -ENXIO;
	err = fake_gic_place(vm, *at, base, 0x1000, at == &fake_arm(vm)->gic.dist ? 0x1000 : 0x2000);
	if (!err)
		*at = base;
	return err;
}

/* ---- registers ----------------------------------------------------------------------------------- */

static struct fake_vcpu *cpu_of(struct fake_vm *vm, u64 attr)
{
	return fake_kvm_vcpu(vm, (attr & KVM_DEV_ARM_VGIC_CPUID_MASK) >> KVM_DEV_ARM_VGIC_CPUID_SHIFT);
}

static bool is_sgi_reg(u32 offset)
{
	return offset >= GICD_CPENDSGIR && offset < GICD_SGI_END;
}

static bool dist_has(const struct fake_gic *gic, u32 offset)
{
	u32 first;

	return offset <= GICD_IIDR || offset == GICD_SGIR || is_sgi_reg(offset) ||
	       fake_gic_field(gic, offset, &first);
}

static bool cpu_has(u32 offset)
{
	return offset == GICC_CTLR || offset == GICC_PMR || offset == GICC_BPR || offset == GICC_ABPR ||
	       (offset >= GICC_APR && offset < GICC_APR + 16) || offset == GICC_IIDR;
}

static void send_sgi(struct fake_vm *vm, const struct fake_vcpu *from, u32 val)
{
	u32 self = 1u << from->obj.id, targets = val >> 16 & 0xff;

	if ((val >> 24 & 3) == 1)
		targets = ~self;
	else if ((val >> 24 & 3) == 2)
		targets = self;
	for (u32 i = 0; i < vm->nr_vcpus; i++) {
		struct fake_irq *irq = fake_gic_irq(vm, vm->vcpu[i], val & 15);

		if (!(targets >> i & 1))
			continue;
		irq->pending = true;
		irq->source |= (u8)self;
	}
}

static u32 dist_read(struct fake_vm *vm, struct fake_vcpu *vcpu, u32 offset)
{
	const struct fake_gic *gic = &fake_arm(vm)->gic;
	u32 val = 0;

	switch (offset) {
	case GICD_CTLR:
		return gic->enabled;
	case GICD_TYPER:
		return (gic->nr_spis + FAKE_GIC_PRIVATE) / 32 - 1 + ((vm->nr_vcpus - 1) << 5);
	case GICD_IIDR:
		return fake_gic_iidr(gic);
	default:
		break;
	}
	if (!is_sgi_reg(offset))
		return fake_gic_read(vm, vcpu, offset);
	for (u32 i = 0; i < 4; i++)
		val |= (u32)fake_gic_irq(vm, vcpu, (offset & 0xc) + i)->source << (8 * i);
	return val;
}

static int dist_write(struct fake_vm *vm, struct fake_vcpu *vcpu, u32 offset, u32 val)
{
	struct fake_gic *gic = &fake_arm(vm)->gic;
	int err;

	switch (offset) {
	case GICD_CTLR:
		gic->enabled = val & 1;
		return 0;
	case GICD_TYPER:
		return 0;
	case GICD_IIDR:
		err = fake_gic_set_iidr(gic, val);
		gic->groups_writable |= !err;
		return err;
	case GICD_SGIR:
		send_sgi(vm, vcpu, val);
		return 0;
	default:
		break;
	}
	if (!is_sgi_reg(offset)) {
		fake_gic_write(vm, vcpu, offset, val);
		return 0;
	}
	for (u32 i = 0; i < 4; i++) {
		struct fake_irq *irq = fake_gic_irq(vm, vcpu, (offset & 0xc) + i);
		u8 part = (u8)(val >> (8 * i));

		if (offset < GICD_SPENDSGIR) {
			irq->source &= (u8)~part;
			irq->pending &= irq->source != 0;
		} else {
			irq->source |= part;
			irq->pending |= irq->source != 0;
		}
	}
	return 0;
}

static u32 cpu_read(const struct fake_gic_cpu *cpu, u32 offset)
{
	switch (offset) {
	case GICC_CTLR:
		return cpu->ctlr;
	case GICC_PMR:
		return cpu->pmr;
	case GICC_BPR:
		return cpu->bpr0;
	case GICC_ABPR:
		return cpu->bpr1;
	case GICC_APR:
		return (u32)cpu->apr1;
	case GICC_IIDR:
		return GICC_IDENT;
	default:
		return 0;
	}
}

static void cpu_write(struct fake_gic_cpu *cpu, u32 offset, u32 val)
{
	switch (offset) {
	case GICC_CTLR:
		cpu->ctlr = val & CTLR_BITS;
		break;
	case GICC_PMR:
		cpu->pmr = val & 0x1f; /* the ABI has the five bits at the lower end */
		break;
	case GICC_BPR:
		cpu->bpr0 = val & 7;
		break;
	case GICC_ABPR:
		cpu->bpr1 = val & 7;
		break;
	case GICC_APR: /* with five bits of priority there is but one */
		cpu->apr1 = val;
		break;
	default:
		break;
	}
}

/* The kernel takes accesses to nowhere: they read as zero and write nothing. Only `has` tells. */
static int access_reg(struct fake_vm *vm, const struct kvm_device_attr *attr, bool write)
{
	struct fake_vcpu *vcpu = cpu_of(vm, attr->attr);
	u32 offset = (u32)(attr->attr & KVM_DEV_ARM_VGIC_OFFSET_MASK), val = 0;
	bool dist = attr->group == KVM_DEV_ARM_VGIC_GRP_DIST_REGS;
	int err = 0;

	if (!vcpu)
		return -EINVAL;
	if (write && fake_copy_from(&val, attr->addr, sizeof(val)))
		return -EFAULT;
	if (fake_arm_running(vm))
		return -EBUSY;
	err = fake_gic_init(vm);
	if (err)
		return err;
	if (write && dist)
		return dist_write(vm, vcpu, offset, val);
	if (write) {
		cpu_write(&fake_arm_cpu(vcpu)->gic, offset, val);
		return 0;
	}
	val = dist ? dist_read(vm, vcpu, offset) : cpu_read(&fake_arm_cpu(vcpu)->gic, offset);
	return fake_copy_to(attr->addr, &val, sizeof(val));
}

/* ---- attributes ---------------------------------------------------------------------------------- */

static int has(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	struct fake_vm *vm = dev->obj.vm;
	u32 offset = (u32)(attr->attr & KVM_DEV_ARM_VGIC_OFFSET_MASK);
	bool there = false;

	switch (attr->group) {
	case KVM_DEV_ARM_VGIC_GRP_ADDR:
		there = frame(&fake_arm(vm)->gic, attr->attr);
		break;
	case KVM_DEV_ARM_VGIC_GRP_NR_IRQS:
		there = true;
		break;
	case KVM_DEV_ARM_VGIC_GRP_CTRL:
		there = attr->attr == KVM_DEV_ARM_VGIC_CTRL_INIT;
		break;
	case KVM_DEV_ARM_VGIC_GRP_DIST_REGS:
	case KVM_DEV_ARM_VGIC_GRP_CPU_REGS:
		if (!cpu_of(vm, attr->attr))
			return -EINVAL;
		there = attr->group == KVM_DEV_ARM_VGIC_GRP_CPU_REGS ? cpu_has(offset)
								     : dist_has(&fake_arm(vm)->gic, offset);
		there &= !(offset & 3);
		break;
	default:
		break;
	}
	return there ? 0 : -ENXIO;
}

static int set(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	switch (attr->group) {
	case KVM_DEV_ARM_VGIC_GRP_ADDR:
		return set_addr(dev->obj.vm, attr);
	case KVM_DEV_ARM_VGIC_GRP_DIST_REGS:
	case KVM_DEV_ARM_VGIC_GRP_CPU_REGS:
		return access_reg(dev->obj.vm, attr, true);
	default:
		return fake_gic_set_common(dev, attr);
	}
}

static int get(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	const u64 *at;

	switch (attr->group) {
	case KVM_DEV_ARM_VGIC_GRP_ADDR:
		at = frame(&fake_arm(dev->obj.vm)->gic, attr->attr);
		return at ? fake_copy_to(attr->addr, at, sizeof(*at)) : -ENXIO;
	case KVM_DEV_ARM_VGIC_GRP_DIST_REGS:
	case KVM_DEV_ARM_VGIC_GRP_CPU_REGS:
		return access_reg(dev->obj.vm, attr, false);
	default:
		return fake_gic_get_common(dev, attr);
	}
}

const struct fake_device_type fake_gicv2 = {
	.type = KVM_DEV_TYPE_ARM_VGIC_V2,
	.name = "gicv2",
	.create = create,
	.has = has,
	.get = get,
	.set = set,
};

/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's arm64 part: what the host has, VMs, their attributes, interrupt lines and messages, the
 * irqchip that KVM_CREATE_IRQCHIP makes. vCPUs: fake-arm-vcpu.c; interrupt controllers: fake-gic*.c,
 * fake-its.c.
 *
 * Rules of api.rst, with the errnos of Linux 6.1 on a host with a GICv3 that can be a GICv2 to guests, no
 * SVE, no AArch32 at EL1. Called by the other files of the fake with its lock held.
 */
#include "fake-arm.h"

#include <errno.h>
#include <stdlib.h>

#define IPA_DEFAULT 40u
#define IPA_MIN	    32u
#define NUM_PINS    988u /* SPIs, 32 to 1019 */

/* Attributes of a VM, which Linux 6.1's headers do not know. */
#define VM_SMCCC_CTRL	0u
#define VM_SMCCC_FILTER 0u
struct smccc_filter {
	u32 base, n;
	u8 action, pad[15];
};

const struct fake_cap fake_arch_caps[] = {
	{KVM_CAP_IRQCHIP, 1},
	{KVM_CAP_USER_MEMORY, 1},
	{KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1},
	{KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1},
	{KVM_CAP_SYNC_MMU, 1},
	{KVM_CAP_NR_VCPUS, 4},
	{KVM_CAP_MAX_VCPUS, FAKE_MAX_VCPUS},
	{KVM_CAP_MAX_VCPU_ID, FAKE_MAX_VCPUS},
	{KVM_CAP_NR_MEMSLOTS, 32767},
	{KVM_CAP_MP_STATE, 1},
	{KVM_CAP_COALESCED_MMIO, KVM_COALESCED_MMIO_PAGE_OFFSET},
	{KVM_CAP_COALESCED_PIO, 1},
	{KVM_CAP_IRQ_ROUTING, FAKE_MAX_ROUTES},
	{KVM_CAP_IRQFD, 1},
	{KVM_CAP_IRQFD_RESAMPLE, 1},
	{KVM_CAP_IOEVENTFD, 1},
	{KVM_CAP_IOEVENTFD_ANY_LENGTH, 1},
	{KVM_CAP_INTERNAL_ERROR_DATA, 1},
	{KVM_CAP_VCPU_EVENTS, 1},
	{KVM_CAP_ONE_REG, 1},
	{KVM_CAP_SIGNAL_MSI, 1},
	{KVM_CAP_READONLY_MEM, 1},
	{KVM_CAP_ARM_PSCI, 1},
	{KVM_CAP_ARM_PSCI_0_2, 1},
	{KVM_CAP_ARM_SET_DEVICE_ADDR, 1},
	{KVM_CAP_DEVICE_CTRL, 1},
	{KVM_CAP_ENABLE_CAP_VM, 1},
	{KVM_CAP_CHECK_EXTENSION_VM, 1},
	{KVM_CAP_VCPU_ATTRIBUTES, 1},
	{KVM_CAP_SET_GUEST_DEBUG, 1},
	{KVM_CAP_ARM_PMU_V3, 1},
	{KVM_CAP_IMMEDIATE_EXIT, 1},
	{KVM_CAP_ARM_USER_IRQ, 1},
	{KVM_CAP_ARM_INJECT_SERROR_ESR, 1},
	{KVM_CAP_ARM_INJECT_EXT_DABT, 1},
	{KVM_CAP_ARM_VM_IPA_SIZE, 48},
	{KVM_CAP_ARM_IRQ_LINE_LAYOUT_2, 1},
	{KVM_CAP_ARM_NISV_TO_USER, 1},
	{KVM_CAP_STEAL_TIME, 1},
	{KVM_CAP_PTP_KVM, 1},
	{KVM_CAP_ARM_SYSTEM_SUSPEND, 1},
	{0, -1},
};

#define N(req)                                                                                               \
	{                                                                                                    \
		req, #req                                                                                    \
	}

const struct fake_name fake_arch_names[] = {
	N(KVM_ARM_PREFERRED_TARGET), N(KVM_ARM_VCPU_INIT),   N(KVM_ARM_VCPU_FINALIZE),
	N(KVM_GET_VCPU_EVENTS),	     N(KVM_SET_VCPU_EVENTS), {0, NULL},
};

const struct fake_device_type *const fake_arch_types[] = {&fake_gicv2, &fake_gicv3, &fake_its, NULL};

int fake_arch_system_ioctl(unsigned long req, void *arg, bool *known)
{
	*known = false;
	return 0;
}

int fake_arch_vm_type(unsigned long type)
{
	u32 limit = (u32)fake_cap(KVM_CAP_ARM_VM_IPA_SIZE), bits = type & 0xff;

	if (type & ~0xfful)
		return -EINVAL;
	if (!bits)
		return limit && limit < IPA_DEFAULT ? -EINVAL : 0;
	return bits < IPA_MIN || bits > limit ? -EINVAL : 0;
}

/* ---- VMs ------------------------------------------------------------------------------------------ */

void fake_arch_vm_init(struct fake_vm *vm)
{
	struct fake_arm_vm *arm = calloc(1, sizeof(*arm));

	if (!arm)
		abort();
	arm->ipa_bits = vm->type & 0xff ? vm->type & 0xff : IPA_DEFAULT;
	vm->arch = arm;
}

void fake_arch_vm_free(struct fake_vm *vm)
{
	free(vm->arch);
}

int fake_arch_slot(const struct fake_vm *vm, const struct kvm_userspace_memory_region *r)
{
	return range_inside(r->guest_phys_addr, r->memory_size, 0, 1ull << fake_arm(vm)->ipa_bits) ? 0
												   : -EFAULT;
}

/* With a GICv2, a VM has no more than eight vCPUs. */
int fake_arch_vm_cap(const struct fake_vm *vm, u32 cap)
{
	const struct fake_gic *gic = &fake_arm(vm)->gic;

	switch (cap) {
	case KVM_CAP_MAX_VCPUS:
	case KVM_CAP_MAX_VCPU_ID:
		return gic->type == KVM_DEV_TYPE_ARM_VGIC_V2 ? 8 : fake_cap(cap);
	case KVM_CAP_MSI_DEVID:
		return gic->has_its;
	default:
		return fake_cap(cap);
	}
}

int fake_arch_vcpu_precreate(const struct fake_vm *vm, u32 id)
{
	const struct fake_gic *gic = &fake_arm(vm)->gic;
	u32 max = (u32)fake_arch_vm_cap(vm, KVM_CAP_MAX_VCPUS);

	if (gic->type && gic->initialized)
		return -EBUSY;
	if (id >= max || vm->nr_vcpus >= max)
		return -EINVAL;
	return gic->type == KVM_DEV_TYPE_ARM_VGIC_V3 ? fake_gicv3_vcpu_check(vm) : 0;
}

int fake_arch_enable_cap(struct fake_vm *vm, const struct kvm_enable_cap *cap)
{
	switch (cap->cap) {
	case KVM_CAP_ARM_NISV_TO_USER:
	case KVM_CAP_ARM_SYSTEM_SUSPEND:
		return fake_cap(cap->cap) ? 0 : -EINVAL;
	case KVM_CAP_ARM_MTE:
		return fake_cap(cap->cap) && !vm->nr_vcpus ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

int fake_arch_vcpu_run(struct fake_vcpu *vcpu)
{
	const struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	int err;

	if (!cpu->initialized)
		return -ENOEXEC;
	if (fake_arm_feature(vcpu, KVM_ARM_VCPU_SVE) && !cpu->sve_final)
		return -EPERM;
	if (vcpu->ran)
		return 0;
	err = fake_gic_map(vcpu->obj.vm);
	if (!err)
		err = fake_arm_vcpu_ready(vcpu);
	fake_arm(vcpu->obj.vm)->ran |= !err;
	return err;
}

/* ---- attributes of a VM: only where KVM_CAP_VM_ATTRIBUTES is, since Linux 6.4 ------------------------- */

static int set_smccc_filter(struct fake_arm_vm *arm, u64 addr)
{
	struct smccc_filter f;
	u64 end;

	if (fake_copy_from(&f, addr, sizeof(f)))
		return -EFAULT;
	for (u32 i = 0; i < sizeof(f.pad); i++)
		if (f.pad[i])
			return -EINVAL;
	if (!f.n || add_overflow(f.base, f.n - 1, &end) || end >> 32 || f.action > 2)
		return -EINVAL;
	if (arm->ran)
		return -EBUSY;
	for (u32 i = 0; i < arm->nr_smccc; i++)
		if (ranges_overlap(f.base, f.n, arm->smccc[i].base, arm->smccc[i].n))
			return -EEXIST;
	if (arm->nr_smccc == ARRAY_SIZE(arm->smccc))
		return -ENOMEM;
	arm->smccc[arm->nr_smccc].base = f.base;
	arm->smccc[arm->nr_smccc].n = f.n;
	arm->smccc[arm->nr_smccc++].action = f.action;
	return 0;
}

static int vm_attr(struct fake_vm *vm, unsigned long req, const void *arg)
{
	struct kvm_device_attr attr;

	if (!fake_cap(KVM_CAP_VM_ATTRIBUTES) || req == KVM_GET_DEVICE_ATTR)
		return -EINVAL;
	if (fake_copy_from(&attr, (uintptr_t)arg, sizeof(attr)))
		return -EFAULT;
	if (attr.group != VM_SMCCC_CTRL || attr.attr != VM_SMCCC_FILTER)
		return -ENXIO;
	return req == KVM_HAS_DEVICE_ATTR ? 0 : set_smccc_filter(fake_arm(vm), attr.addr);
}

/* ---- the irqchip without the device control API ---------------------------------------------------------
 */

/* The test took the type away: the host's GICv3 cannot be a GICv2 to a guest. */
static bool has_gicv2(struct fake_vm *vm)
{
	struct kvm_create_device cd = {.type = KVM_DEV_TYPE_ARM_VGIC_V2, .flags = KVM_CREATE_DEVICE_TEST};

	return !fake_device_create(vm, &cd);
}

static int set_device_addr(struct fake_vm *vm, const void *arg)
{
	struct fake_gic *gic = &fake_arm(vm)->gic;
	struct kvm_arm_device_addr a;
	u64 *at, size;
	int err;

	if (fake_copy_from(&a, (uintptr_t)arg, sizeof(a)))
		return -EFAULT;
	if ((a.id >> KVM_ARM_DEVICE_ID_SHIFT & 0xffff) != KVM_ARM_DEVICE_VGIC_V2 ||
	    gic->type != KVM_DEV_TYPE_ARM_VGIC_V2)
		return -ENODEV;
	switch (a.id & 0xffff) {
	case KVM_VGIC_V2_ADDR_TYPE_DIST:
		at = &gic->dist;
		size = KVM_VGIC_V2_DIST_SIZE;
		break;
	case KVM_VGIC_V2_ADDR_TYPE_CPU:
		at = &gic->cpu;
		size = KVM_VGIC_V2_CPU_SIZE;
		break;
	default:
		return -ENODEV;
	}
	err = fake_gic_place(vm, *at, a.addr, 0x1000, size);
	if (!err)
		*at = a.addr;
	return err;
}

int fake_arch_vm_ioctl(struct fake_vm *vm, unsigned long req, void *arg, bool *known)
{
	const struct kvm_vcpu_init preferred = {.target = KVM_ARM_TARGET_GENERIC_V8};

	switch (req) {
	case KVM_CREATE_IRQCHIP:
		if (!fake_cap(KVM_CAP_IRQCHIP))
			return -ENXIO;
		return has_gicv2(vm) ? fake_gic_create(vm, KVM_DEV_TYPE_ARM_VGIC_V2) : -ENODEV;
	case KVM_ARM_SET_DEVICE_ADDR:
		return set_device_addr(vm, arg);
	case KVM_ARM_PREFERRED_TARGET:
		return fake_copy_to((uintptr_t)arg, &preferred, sizeof(preferred));
	case KVM_HAS_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		return vm_attr(vm, req, arg);
	default:
		return -EINVAL; /* as Linux 6.1 says it on arm64 */
	}
}

/* ---- interrupts -----------------------------------------------------------------------------------------
 */

int fake_arch_irq_line(struct fake_vm *vm, u32 irq, bool level, u32 *line)
{
	u32 type = irq >> KVM_ARM_IRQ_TYPE_SHIFT & KVM_ARM_IRQ_TYPE_MASK;
	u32 intid = irq >> KVM_ARM_IRQ_NUM_SHIFT & KVM_ARM_IRQ_NUM_MASK;
	u32 cpu = (irq >> KVM_ARM_IRQ_VCPU_SHIFT & KVM_ARM_IRQ_VCPU_MASK) +
		  (irq >> KVM_ARM_IRQ_VCPU2_SHIFT & KVM_ARM_IRQ_VCPU2_MASK) * (KVM_ARM_IRQ_VCPU_MASK + 1);

	*line = ~0u;
	if (type > KVM_ARM_IRQ_TYPE_PPI)
		return -EINVAL;
	/* The CPU's own input is there only without an irqchip, the others only with one. */
	if ((type == KVM_ARM_IRQ_TYPE_CPU) == (fake_arm(vm)->gic.type != 0))
		return -ENXIO;
	if (type != KVM_ARM_IRQ_TYPE_SPI && cpu >= vm->nr_vcpus)
		return -EINVAL;
	switch (type) {
	case KVM_ARM_IRQ_TYPE_CPU:
		return intid > KVM_ARM_IRQ_CPU_FIQ ? -EINVAL : 0;
	case KVM_ARM_IRQ_TYPE_PPI:
		if (intid < 16 || intid >= FAKE_GIC_PRIVATE)
			return -EINVAL;
		return fake_gic_inject(vm, vm->vcpu[cpu], intid, level, FAKE_NOBODY);
	default:
		if (intid < FAKE_GIC_PRIVATE)
			return -EINVAL;
		*line = intid - FAKE_GIC_PRIVATE;
		return fake_gic_inject(vm, NULL, intid, level, FAKE_NOBODY);
	}
}

bool fake_arch_can_route(const struct fake_vm *vm)
{
	return fake_arm(vm)->gic.type;
}

bool fake_arch_pin_ok(const struct kvm_irq_routing_entry *e)
{
	return !e->u.irqchip.irqchip && e->u.irqchip.pin < NUM_PINS;
}

int fake_arch_irqfd_ready(const struct fake_vm *vm)
{
	return fake_arm(vm)->gic.initialized ? 0 : -EAGAIN;
}

/* What an irqfd's GSI leads to: a level-triggered SPI is up for a moment only. */
void fake_arch_irqfd(struct fake_vm *vm, u32 gsi)
{
	for (u32 i = 0; i < vm->nr_routes; i++) {
		const struct kvm_irq_routing_entry *e = &vm->route[i];
		const struct kvm_msi msi = {.address_lo = e->u.msi.address_lo,
					    .address_hi = e->u.msi.address_hi,
					    .data = e->u.msi.data,
					    .flags = e->flags,
					    .devid = e->u.msi.devid};
		u32 intid = e->u.irqchip.pin + FAKE_GIC_PRIVATE;

		if (e->gsi != gsi)
			continue;
		if (e->type == KVM_IRQ_ROUTING_MSI)
			fake_its_msi(vm, &msi);
		else if (!fake_gic_inject(vm, NULL, intid, true, FAKE_NOBODY))
			fake_gic_inject(vm, NULL, intid, false, FAKE_NOBODY);
	}
}

int fake_arch_signal_msi(struct fake_vm *vm, const struct kvm_msi *msi)
{
	if (!fake_arm(vm)->gic.type || (msi->flags & ~KVM_MSI_VALID_DEVID))
		return -EINVAL;
	return fake_its_msi(vm, msi);
}

/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's x86 part: capabilities, CPUID, MSRs, the structures that are set and read back, the irqchip
 * and PIT, and attributes on /dev/kvm and vCPU fds. Rules from api.rst; the host it makes believe is a small
 * 4-core processor with AVX2, invariant TSC and everything that KVM itself emulates.
 * Called by the other files of the fake with its lock held.
 */
#include "fake-kvm-priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TSC_KHZ 2400000

const struct fake_cap fake_arch_caps[] = {
	{KVM_CAP_IRQCHIP, 1},
	{KVM_CAP_HLT, 1},
	{KVM_CAP_USER_MEMORY, 1},
	{KVM_CAP_SET_TSS_ADDR, 1},
	{KVM_CAP_EXT_CPUID, 1},
	{KVM_CAP_NR_VCPUS, 4},
	{KVM_CAP_MAX_VCPUS, 288},
	{KVM_CAP_MAX_VCPU_ID, 4096},
	{KVM_CAP_NR_MEMSLOTS, 32764},
	{KVM_CAP_NOP_IO_DELAY, 1},
	{KVM_CAP_MP_STATE, 1},
	{KVM_CAP_COALESCED_MMIO, 2},
	{KVM_CAP_COALESCED_PIO, 1},
	{KVM_CAP_SYNC_MMU, 1},
	{KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1},
	{KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1},
	{KVM_CAP_IRQ_ROUTING, FAKE_MAX_ROUTES},
	{KVM_CAP_IRQFD, 1},
	{KVM_CAP_IRQFD_RESAMPLE, 1},
	{KVM_CAP_SET_BOOT_CPU_ID, 1},
	{KVM_CAP_PIT2, 1},
	{KVM_CAP_PIT_STATE2, 1},
	{KVM_CAP_IOEVENTFD, 1},
	{KVM_CAP_IOEVENTFD_ANY_LENGTH, 1},
	{KVM_CAP_SET_IDENTITY_MAP_ADDR, 1},
	{KVM_CAP_ADJUST_CLOCK, 2},
	{KVM_CAP_VCPU_EVENTS, 1},
	{KVM_CAP_DEBUGREGS, 1},
	{KVM_CAP_ENABLE_CAP, 1},
	{KVM_CAP_ENABLE_CAP_VM, 1},
	{KVM_CAP_XSAVE, 1},
	{KVM_CAP_XSAVE2, 4096},
	{KVM_CAP_XCRS, 1},
	{KVM_CAP_TSC_CONTROL, 1},
	{KVM_CAP_GET_TSC_KHZ, 1},
	{KVM_CAP_TSC_DEADLINE_TIMER, 1},
	{KVM_CAP_SIGNAL_MSI, 1},
	{KVM_CAP_READONLY_MEM, 1},
	{KVM_CAP_DEVICE_CTRL, 1},
	{KVM_CAP_SPLIT_IRQCHIP, 1},
	{KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK},
	{KVM_CAP_IMMEDIATE_EXIT, 1},
	{KVM_CAP_CHECK_EXTENSION_VM, 1},
	{KVM_CAP_SET_GUEST_DEBUG, 1},
	{KVM_CAP_MSI_DEVID, 0},
	{KVM_CAP_X86_DISABLE_EXITS, 0xf},
	{KVM_CAP_EXCEPTION_PAYLOAD, 1},
	{KVM_CAP_GET_MSR_FEATURES, 1},
	{KVM_CAP_SYS_ATTRIBUTES, 1},
	{KVM_CAP_VCPU_ATTRIBUTES, 1},
	{0, -1},
};

const struct fake_device_type *const fake_arch_types[] = {NULL};

/* ---- the processor ----------------------------------------------------------------------------------- */

#define SUB KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static const struct kvm_cpuid_entry2 supported[] = {
	/* "GenuineIntel": ebx, edx, ecx */
	{.function = 0, .eax = 0x1f, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69},
	{.function = 1, .eax = 0x000306f2, .ebx = 0x00040800, .ecx = 0xfffa3203, .edx = 0x178bfbff},
	{.function = 2, .eax = 0x76036301, .ebx = 0x00f0b5ff, .edx = 0x00c30000},
	{.function = 4, .index = 0, .flags = SUB, .eax = 0x0c000121, .ebx = 0x01c0003f, .ecx = 0x3f},
	{.function = 4, .index = 1, .flags = SUB, .eax = 0x0c000122, .ebx = 0x01c0003f, .ecx = 0x3f},
	{.function = 4, .index = 2, .flags = SUB, .eax = 0x0c000143, .ebx = 0x01c0003f, .ecx = 0x1ff},
	{.function = 4,
	 .index = 3,
	 .flags = SUB,
	 .eax = 0x0c00c163,
	 .ebx = 0x03c0003f,
	 .ecx = 0x1fff,
	 .edx = 6},
	{.function = 4, .index = 4, .flags = SUB},
	{.function = 6, .eax = 4},
	{.function = 7, .index = 0, .flags = SUB, .eax = 0, .ebx = 0x000027ab, .ecx = 0, .edx = 0xac000400},
	{.function = 0xa},
	{.function = 0xb, .index = 0, .flags = SUB, .edx = 0},
	{.function = 0xd, .index = 0, .flags = SUB, .eax = 7, .ebx = 0x340, .ecx = 0x340},
	{.function = 0xd, .index = 1, .flags = SUB, .eax = 1},
	{.function = 0xd, .index = 2, .flags = SUB, .eax = 0x100, .ebx = 0x240},
	{.function = 0x14, .index = 0, .flags = SUB},
	{.function = 0x15},
	{.function = 0x16},
	{.function = 0x1f, .index = 0, .flags = SUB},
	/* "KVMKVMKVM": clocksource 2, async page faults, steal time, EOI, stable clock ... */
	{.function = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b, .ecx = 0x564b4d56, .edx = 0x4d},
	{.function = 0x40000001, .eax = 0x0100fefb},
	{.function = 0x80000000, .eax = 0x80000008},
	{.function = 0x80000001, .ecx = 0x00000121, .edx = 0x2c100800},
	{.function = 0x80000002, .eax = 0x656b6146}, /* "Fake" */
	{.function = 0x80000003},
	{.function = 0x80000004},
	{.function = 0x80000005},
	{.function = 0x80000006, .ecx = 0x01006040},
	{.function = 0x80000007, .edx = 0x100},
	{.function = 0x80000008, .eax = 0x3027}, /* 39 physical, 48 linear address bits */
};

static const u32 msrs[] = {
	0x10,	    0x1b,	0x3a,	    0x3b,	0x48,	    0x8b,	0x174,	    0x175,
	0x176,	    0x179,	0x17a,	    0x1a0,	0x1d9,	    0x277,	0x2ff,	    0x6e0,
	0xda0,	    0xfe,	0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03, 0x4b564d04, 0x4b564d05,
	0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102, 0xc0000103,
};

static bool msr_known(u32 index)
{
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
		if (msrs[i] == index)
			return true;
	/* MTRRs and x2APIC registers, which the kernel takes and does not list. */
	return (index >= 0x200 && index <= 0x26f) || (index >= 0x800 && index <= 0x8ff);
}

static int get_cpuid(struct kvm_cpuid2 *out)
{
	if (out->nent < ARRAY_SIZE(supported))
		return -E2BIG;
	memcpy(out->entries, supported, sizeof(supported));
	out->nent = ARRAY_SIZE(supported);
	return 0;
}

static int msr_list(struct kvm_msr_list *list)
{
	u32 room = list->nmsrs;

	list->nmsrs = ARRAY_SIZE(msrs);
	if (room < ARRAY_SIZE(msrs))
		return -E2BIG;
	memcpy(list->indices, msrs, sizeof(msrs));
	return 0;
}

/* ---- /dev/kvm ---------------------------------------------------------------------------------------- */

static int system_attr(unsigned long req, const void *arg)
{
	struct kvm_device_attr attr;
	u64 xcr0 = 7;

	if (!fake_cap(KVM_CAP_SYS_ATTRIBUTES) || req == KVM_SET_DEVICE_ATTR)
		return -EINVAL;
	if (fake_copy_from(&attr, (uintptr_t)arg, sizeof(attr)))
		return -EFAULT;
	if (attr.group || attr.attr) /* KVM_X86_XCOMP_GUEST_SUPP alone */
		return -ENXIO;
	return req == KVM_HAS_DEVICE_ATTR ? 0 : fake_copy_to(attr.addr, &xcr0, sizeof(xcr0));
}

int fake_arch_system_ioctl(unsigned long req, void *arg, bool *known)
{
	switch (req) {
	case KVM_GET_SUPPORTED_CPUID:
		return arg ? get_cpuid(arg) : -EFAULT;
	case KVM_GET_MSR_INDEX_LIST:
		return arg ? msr_list(arg) : -EFAULT;
	case KVM_GET_MSRS:
		return 0; /* no feature MSR is known */
	case KVM_HAS_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		return system_attr(req, arg);
	default:
		*known = false;
		return 0;
	}
}

int fake_arch_vm_type(unsigned long type)
{
	return type ? -EINVAL : 0;
}

int fake_arch_vm_cap(const struct fake_vm *vm, u32 cap)
{
	return fake_cap(cap);
}

/* ---- VMs ------------------------------------------------------------------------------------------- */

void fake_arch_vm_init(struct fake_vm *vm)
{
}

void fake_arch_vm_free(struct fake_vm *vm)
{
}

int fake_arch_slot(const struct fake_vm *vm, const struct kvm_userspace_memory_region *r)
{
	return 0;
}

int fake_arch_enable_cap(struct fake_vm *vm, const struct kvm_enable_cap *cap)
{
	u64 x2apic = KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;

	switch (cap->cap) {
	case KVM_CAP_SPLIT_IRQCHIP:
		if (!fake_cap(cap->cap) || cap->args[0] > 256 || vm->nr_vcpus)
			return -EINVAL;
		if (vm->irqchip || vm->split)
			return -EEXIST;
		vm->split = true;
		return 0;
	case KVM_CAP_X2APIC_API:
		return cap->args[0] & ~x2apic ? -EINVAL : 0;
	case KVM_CAP_X86_DISABLE_EXITS:
		return cap->args[0] & ~(u64)fake_cap(cap->cap) || vm->nr_vcpus ? -EINVAL : 0;
	case KVM_CAP_EXCEPTION_PAYLOAD:
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
	case KVM_CAP_DISABLE_QUIRKS:
	case KVM_CAP_DISABLE_QUIRKS2:
	case KVM_CAP_X86_USER_SPACE_MSR:
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
	case KVM_CAP_MAX_VCPU_ID:
		return fake_cap(cap->cap) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

/* A GSI without a route goes nowhere, and that is no error. */
int fake_arch_irq_line(struct fake_vm *vm, u32 irq, bool level, u32 *line)
{
	*line = irq;
	return vm->irqchip || vm->split ? 0 : -ENXIO;
}

void fake_arch_irqfd(struct fake_vm *vm, u32 gsi)
{
}

int fake_arch_irqfd_ready(const struct fake_vm *vm)
{
	return 0;
}

int fake_arch_signal_msi(struct fake_vm *vm, const struct kvm_msi *msi)
{
	return vm->irqchip || vm->split ? 1 : -ENXIO;
}

bool fake_arch_can_route(const struct fake_vm *vm)
{
	return vm->irqchip || vm->split;
}

bool fake_arch_pin_ok(const struct kvm_irq_routing_entry *e)
{
	switch (e->u.irqchip.irqchip) {
	case KVM_IRQCHIP_PIC_MASTER:
	case KVM_IRQCHIP_PIC_SLAVE:
		return e->u.irqchip.pin < 8;
	case KVM_IRQCHIP_IOAPIC:
		return e->u.irqchip.pin < KVM_IOAPIC_NUM_PINS;
	default:
		return false;
	}
}

static int create_irqchip(struct fake_vm *vm)
{
	if (vm->irqchip || vm->split)
		return -EEXIST;
	if (vm->nr_vcpus || !fake_cap(KVM_CAP_IRQCHIP))
		return -EINVAL;
	vm->irqchip = true;
	return 0;
}

static int create_pit(struct fake_vm *vm)
{
	if (vm->pit)
		return -EEXIST;
	if (!vm->irqchip)
		return -ENOENT;
	vm->pit = true;
	return 0;
}

static int irqchip_state(struct fake_vm *vm, bool set, struct kvm_irqchip *chip)
{
	void *kept;

	if (!vm->irqchip)
		return -ENXIO;
	if (chip->chip_id > KVM_IRQCHIP_IOAPIC)
		return -EINVAL;
	kept = fake_blob(&vm->blobs, KVM_GET_IRQCHIP, chip->chip_id, sizeof(chip->chip));
	memcpy(set ? kept : &chip->chip, set ? (void *)&chip->chip : kept, sizeof(chip->chip));
	return 0;
}

static int vm_blob(struct fake_vm *vm, bool set, unsigned long get, void *arg, size_t size)
{
	void *kept = fake_blob(&vm->blobs, get, 0, size);

	if (!arg)
		return -EFAULT;
	memcpy(set ? kept : arg, set ? arg : kept, size);
	return 0;
}

int fake_arch_vm_ioctl(struct fake_vm *vm, unsigned long req, void *arg, bool *known)
{
	u64 addr;

	switch (req) {
	case KVM_CREATE_IRQCHIP:
		return create_irqchip(vm);
	case KVM_CREATE_PIT2:
		return arg ? create_pit(vm) : -EFAULT;
	case KVM_SET_TSS_ADDR:
		return (uintptr_t)arg > 0xffffffffu - 3 * FAKE_PAGE ? -EINVAL : 0;
	case KVM_SET_IDENTITY_MAP_ADDR:
		if (fake_copy_from(&addr, (uintptr_t)arg, sizeof(addr)))
			return -EFAULT;
		return vm->nr_vcpus || addr % FAKE_PAGE ? -EINVAL : 0;
	case KVM_SET_BOOT_CPU_ID:
		return vm->nr_vcpus ? -EBUSY : 0;
	case KVM_GET_IRQCHIP:
	case KVM_SET_IRQCHIP:
		return arg ? irqchip_state(vm, req == KVM_SET_IRQCHIP, arg) : -EFAULT;
	case KVM_GET_PIT2:
	case KVM_SET_PIT2:
		if (!vm->pit)
			return -ENXIO;
		return vm_blob(vm, req == KVM_SET_PIT2, KVM_GET_PIT2, arg, sizeof(struct kvm_pit_state2));
	case KVM_GET_CLOCK:
	case KVM_SET_CLOCK:
		return vm_blob(vm, req == KVM_SET_CLOCK, KVM_GET_CLOCK, arg, sizeof(struct kvm_clock_data));
	case KVM_REINJECT_CONTROL:
		return vm->pit ? 0 : -ENXIO;
	case KVM_GET_TSC_KHZ:
		return TSC_KHZ;
	case KVM_SET_TSC_KHZ:
		return 0;
	default:
		*known = false;
		return 0;
	}
}

/* ---- vCPUs ------------------------------------------------------------------------------------------ */

#define EFER_LME 0x100u
#define EFER_LMA 0x400u

/* The checks that KVM makes of a set of system registers. */
static bool sregs_ok(const struct kvm_sregs *s)
{
	if ((s->efer & EFER_LME) && (s->cr0 & 0x80000000u))
		return (s->cr4 & 0x20) && (s->efer & EFER_LMA);
	return !(s->efer & EFER_LMA) && !s->cs.l;
}

int fake_arch_vcpu_precreate(const struct fake_vm *vm, u32 id)
{
	if (id >= (u32)fake_cap(KVM_CAP_MAX_VCPU_ID) || vm->nr_vcpus >= (u32)fake_cap(KVM_CAP_MAX_VCPUS))
		return -EINVAL;
	return 0;
}

int fake_arch_vcpu_run(struct fake_vcpu *vcpu)
{
	return 0;
}

bool fake_arch_mp_state_ok(u32 mp_state)
{
	return true;
}

bool fake_arch_stopped(struct fake_vcpu *vcpu)
{
	return false;
}

void fake_arch_vcpu_free(struct fake_vcpu *vcpu)
{
	free(vcpu->cpuid);
	free(vcpu->msr);
}

void fake_arch_vcpu_init(struct fake_vcpu *vcpu)
{
	struct kvm_mp_state *mp = fake_blob(&vcpu->blobs, KVM_GET_MP_STATE, 0, sizeof(*mp));
	struct kvm_sregs *sregs = fake_blob(&vcpu->blobs, KVM_GET_SREGS, 0, sizeof(*sregs));
	struct kvm_regs *regs = fake_blob(&vcpu->blobs, KVM_GET_REGS, 0, sizeof(*regs));

	/* The reset state: the boot processor runs, all others wait for INIT. */
	mp->mp_state = vcpu->obj.id ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE;
	sregs->cr0 = 0x60000010;
	sregs->cs = (struct kvm_segment){
		.base = 0xffff0000, .limit = 0xffff, .selector = 0xf000, .type = 11, .present = 1, .s = 1};
	sregs->apic_base = 0xfee00800 | (vcpu->obj.id ? 0 : 0x100);
	regs->rip = 0xfff0;
	regs->rflags = 2;
}

static int set_cpuid(struct fake_vcpu *vcpu, const struct kvm_cpuid2 *cpuid)
{
	size_t size = cpuid->nent * sizeof(cpuid->entries[0]);

	if (cpuid->nent > 256)
		return -E2BIG;
	/* Once it ran, a vCPU's CPUID is what it is. */
	if (vcpu->ran && (cpuid->nent != vcpu->nr_cpuid || memcmp(cpuid->entries, vcpu->cpuid, size)))
		return -EINVAL;
	free(vcpu->cpuid);
	vcpu->cpuid = malloc(size + 1);
	if (!vcpu->cpuid)
		abort();
	memcpy(vcpu->cpuid, cpuid->entries, size);
	vcpu->nr_cpuid = cpuid->nent;
	return 0;
}

/* How many entries were taken: up to the first that is unknown. */
static int set_msrs(struct fake_vcpu *vcpu, const struct kvm_msrs *m)
{
	if (m->nmsrs > 256)
		return -E2BIG;
	for (u32 i = 0; i < m->nmsrs; i++) {
		u32 k;

		if (!msr_known(m->entries[i].index))
			return (int)i;
		for (k = 0; k < vcpu->nr_msrs && vcpu->msr[k].index != m->entries[i].index; k++)
			;
		if (k == vcpu->nr_msrs) {
			vcpu->msr = realloc(vcpu->msr, (k + 1) * sizeof(*vcpu->msr));
			if (!vcpu->msr)
				abort();
			vcpu->nr_msrs++;
		}
		vcpu->msr[k] = m->entries[i];
	}
	return (int)m->nmsrs;
}

static int get_msrs(struct fake_vcpu *vcpu, struct kvm_msrs *m)
{
	if (m->nmsrs > 256)
		return -E2BIG;
	for (u32 i = 0; i < m->nmsrs; i++) {
		if (!msr_known(m->entries[i].index))
			return (int)i;
		m->entries[i].data = 0;
		for (u32 k = 0; k < vcpu->nr_msrs; k++)
			if (vcpu->msr[k].index == m->entries[i].index)
				m->entries[i].data = vcpu->msr[k].data;
	}
	return (int)m->nmsrs;
}

static int vcpu_attr(struct fake_vcpu *vcpu, unsigned long req, const void *arg)
{
	struct kvm_device_attr attr;

	if (!fake_cap(KVM_CAP_VCPU_ATTRIBUTES))
		return -EINVAL;
	if (fake_copy_from(&attr, (uintptr_t)arg, sizeof(attr)))
		return -EFAULT;
	if (attr.group || attr.attr) /* KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET */
		return -ENXIO;
	switch (req) {
	case KVM_GET_DEVICE_ATTR:
		return fake_copy_to(attr.addr, &vcpu->tsc_offset, sizeof(vcpu->tsc_offset));
	case KVM_SET_DEVICE_ATTR:
		return fake_copy_from(&vcpu->tsc_offset, attr.addr, sizeof(vcpu->tsc_offset));
	default:
		return 0;
	}
}

/* Plain structures of a vCPU. */
static const struct {
	unsigned long get, set;
	size_t size;
	bool lapic; /* only with local APICs in the kernel */
} blobs[] = {
	{KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs), false},
	{KVM_GET_SREGS, KVM_SET_SREGS, sizeof(struct kvm_sregs), false},
	{KVM_GET_FPU, KVM_SET_FPU, sizeof(struct kvm_fpu), false},
	{KVM_GET_XSAVE, KVM_SET_XSAVE, 4096, false},
	{KVM_GET_XCRS, KVM_SET_XCRS, sizeof(struct kvm_xcrs), false},
	{KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs), false},
	{KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events), false},
	{KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(struct kvm_lapic_state), true},
};

static int vcpu_blob(struct fake_vcpu *vcpu, unsigned long req, void *arg, bool *known)
{
	for (size_t i = 0; i < ARRAY_SIZE(blobs); i++) {
		void *kept;

		if (blobs[i].get != req && blobs[i].set != req)
			continue;
		if (blobs[i].lapic && !vcpu->obj.vm->irqchip && !vcpu->obj.vm->split)
			return -EINVAL;
		if (!arg)
			return -EFAULT;
		if (req == KVM_SET_SREGS && !sregs_ok(arg))
			return -EINVAL;
		kept = fake_blob(&vcpu->blobs, blobs[i].get, 0, blobs[i].size);
		memcpy(req == blobs[i].set ? kept : arg, req == blobs[i].set ? arg : kept, blobs[i].size);
		return 0;
	}
	*known = false;
	return 0;
}

/* With the PICs in user space; one vector waits until the guest takes it, which the next KVM_RUN does. */
static int interrupt(struct fake_vcpu *vcpu, const struct kvm_interrupt *irq)
{
	if (vcpu->obj.vm->irqchip)
		return -ENXIO;
	if (irq->irq > 255)
		return -EINVAL;
	if (vcpu->vector_waits)
		return -EEXIST;
	vcpu->vector_waits = true;
	vcpu->vector = irq->irq;
	vcpu->obj.vm->interrupts++;
	fake_vcpu_wake(vcpu);
	return 0;
}

int fake_arch_vcpu_ioctl(struct fake_vcpu *vcpu, unsigned long req, void *arg, bool *known)
{
	switch (req) {
	case KVM_SET_CPUID2:
		return arg ? set_cpuid(vcpu, arg) : -EFAULT;
	case KVM_SET_MSRS:
		return arg ? set_msrs(vcpu, arg) : -EFAULT;
	case KVM_GET_MSRS:
		return arg ? get_msrs(vcpu, arg) : -EFAULT;
	case KVM_GET_XSAVE2:
		return vcpu_blob(vcpu, KVM_GET_XSAVE, arg, known);
	case KVM_NMI:
		vcpu->nmis++;
		fake_vcpu_wake(vcpu);
		return 0;
	case KVM_INTERRUPT:
		return arg ? interrupt(vcpu, arg) : -EFAULT;
	case KVM_SET_GUEST_DEBUG:
	case KVM_KVMCLOCK_CTRL:
	case KVM_SET_TSC_KHZ:
		return 0;
	case KVM_GET_TSC_KHZ:
		return TSC_KHZ;
	case KVM_TRANSLATE:
		if (!arg)
			return -EFAULT;
		((struct kvm_translation *)arg)->physical_address =
			((struct kvm_translation *)arg)->linear_address;
		((struct kvm_translation *)arg)->valid = 1;
		return 0;
	case KVM_HAS_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		return vcpu_attr(vcpu, req, arg);
	default:
		return vcpu_blob(vcpu, req, arg, known);
	}
}

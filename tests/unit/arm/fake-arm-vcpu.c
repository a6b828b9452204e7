/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's arm64 vCPUs: KVM_ARM_VCPU_INIT and its features, KVM_ARM_VCPU_FINALIZE, attributes (PMU,
 * timers, stolen time), events, power, and what the first KVM_RUN asks for. Registers: fake-arm-regs.c.
 *
 * Rules of api.rst (4.82, 4.119), devices/vcpu.rst and arm/pvtime.rst, with the errnos of Linux 6.1, and the
 * one of 6.5 that all vCPUs of a VM have the same features. Called with the fake's lock held.
 */
#include "fake-arm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FEATURES 7u
#define VTIMER_IRQ   27
#define PTIMER_IRQ   30
#define HOST_PMU     8 /* its number in /sys/bus/event_source/devices/armv8_pmuv3_0/type */
#define PMU_EVENTS   0x10000u
#define MAX_PMU	     1000
#define SERROR_ISS   0x1ffffffull

bool fake_arm_running(const struct fake_vm *vm)
{
	for (u32 i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpu[i]->in_run)
			return true;
	return false;
}

void fake_arch_vcpu_init(struct fake_vcpu *vcpu)
{
	struct fake_arm_vcpu *cpu = calloc(1, sizeof(*cpu));

	if (!cpu)
		abort();
	cpu->vtimer_irq = VTIMER_IRQ;
	cpu->ptimer_irq = PTIMER_IRQ;
	cpu->pvtime = FAKE_GIC_UNDEF;
	vcpu->arch = cpu;
	fake_gic_cpu_init(&cpu->gic);
	if (fake_arm(vcpu->obj.vm)->gic.type == KVM_DEV_TYPE_ARM_VGIC_V3)
		fake_gicv3_vcpu_place(vcpu);
}

void fake_arch_vcpu_free(struct fake_vcpu *vcpu)
{
	struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);

	free(cpu->reg);
	free(cpu->values);
	free(cpu);
}

/* ---- power ---------------------------------------------------------------------------------------- */

static struct kvm_mp_state *mp_state(struct fake_vcpu *vcpu)
{
	return fake_blob(&vcpu->blobs, KVM_GET_MP_STATE, 0, sizeof(struct kvm_mp_state));
}

bool fake_arch_mp_state_ok(u32 state)
{
	return state == KVM_MP_STATE_RUNNABLE || state == KVM_MP_STATE_STOPPED ||
	       state == KVM_MP_STATE_SUSPENDED;
}

/* One that is suspended goes on with its script: when it wakes, and by what exit, is there. */
bool fake_arch_stopped(struct fake_vcpu *vcpu)
{
	return mp_state(vcpu)->mp_state == KVM_MP_STATE_STOPPED;
}

void fake_arm_power(struct fake_vcpu *vcpu, bool on)
{
	fake_lock();
	mp_state(vcpu)->mp_state = on ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_STOPPED;
	fake_vcpu_wake(vcpu);
	fake_unlock();
}

/* ---- KVM_ARM_VCPU_INIT ------------------------------------------------------------------------------ */

static int feature_check(u32 features)
{
	static const struct {
		u32 feature, cap;
	} caps[] = {
		{KVM_ARM_VCPU_EL1_32BIT, KVM_CAP_ARM_EL1_32BIT},
		{KVM_ARM_VCPU_PMU_V3, KVM_CAP_ARM_PMU_V3},
		{KVM_ARM_VCPU_SVE, KVM_CAP_ARM_SVE},
		{KVM_ARM_VCPU_PTRAUTH_ADDRESS, KVM_CAP_ARM_PTRAUTH_ADDRESS},
		{KVM_ARM_VCPU_PTRAUTH_GENERIC, KVM_CAP_ARM_PTRAUTH_GENERIC},
	};
	u32 ptrauth = 1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC;

	for (u32 i = 0; i < ARRAY_SIZE(caps); i++)
		if ((features >> caps[i].feature & 1) && !fake_cap(caps[i].cap))
			return -EINVAL;
	/* Both or none; and no vectors for AArch32. */
	if ((features & ptrauth) && (features & ptrauth) != ptrauth)
		return -EINVAL;
	return (features >> KVM_ARM_VCPU_EL1_32BIT & 1) && (features >> KVM_ARM_VCPU_SVE & 1) ? -EINVAL : 0;
}

static int vcpu_init(struct fake_vcpu *vcpu, const struct kvm_vcpu_init *init)
{
	struct fake_arm_vm *vm = fake_arm(vcpu->obj.vm);
	struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	u32 features = init->features[0], common = features & ~(1u << KVM_ARM_VCPU_POWER_OFF);
	int err;

	if (init->target != KVM_ARM_TARGET_GENERIC_V8)
		return -EINVAL;
	if (features >> MAX_FEATURES)
		return -ENOENT;
	for (u32 i = 1; i < ARRAY_SIZE(init->features); i++)
		if (init->features[i])
			return -ENOENT;
	if (cpu->initialized && cpu->features != features)
		return -EINVAL;
	err = feature_check(features);
	if (err)
		return err;
	if (vm->features_known && vm->features != common)
		return -EINVAL;
	vm->features_known = true;
	vm->features = common;
	cpu->initialized = true;
	cpu->features = features;
	fake_arm_regs_reset(vcpu);
	mp_state(vcpu)->mp_state =
		features >> KVM_ARM_VCPU_POWER_OFF & 1 ? KVM_MP_STATE_STOPPED : KVM_MP_STATE_RUNNABLE;
	return 0;
}

static int finalize(struct fake_vcpu *vcpu, int what)
{
	struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);

	if (!cpu->initialized)
		return -ENOEXEC;
	if (what != KVM_ARM_VCPU_SVE || !fake_arm_feature(vcpu, KVM_ARM_VCPU_SVE))
		return -EINVAL;
	if (cpu->sve_final)
		return -EPERM;
	cpu->sve_final = true;
	return 0;
}

/* ---- attributes ------------------------------------------------------------------------------------ */

static bool is_ppi(int irq)
{
	return irq >= 16 && irq < 32;
}

/* One PPI for all, or for each an SPI of its own. */
static bool pmu_irq_fits(const struct fake_vm *vm, int irq)
{
	for (u32 i = 0; i < vm->nr_vcpus; i++) {
		int other = fake_arm_cpu(vm->vcpu[i])->pmu_irq;

		if (other && (other == irq) != is_ppi(irq))
			return false;
	}
	return true;
}

static int pmu_set_irq(struct fake_vcpu *vcpu, u64 addr)
{
	struct fake_vm *vm = vcpu->obj.vm;
	struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	int irq;

	if (!fake_arm(vm)->gic.type)
		return -EINVAL;
	if (fake_copy_from(&irq, addr, sizeof(irq)))
		return -EFAULT;
	if (irq < 16 || irq > 1019 || !pmu_irq_fits(vm, irq))
		return -EINVAL;
	if (cpu->pmu_irq)
		return -EBUSY;
	cpu->pmu_irq = irq;
	return 0;
}

static int pmu_init(struct fake_vcpu *vcpu)
{
	struct fake_vm *vm = vcpu->obj.vm;
	struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	int err;

	if (fake_arm(vm)->gic.type) {
		if (!fake_arm(vm)->gic.initialized)
			return -ENODEV;
		if (!cpu->pmu_irq)
			return -ENXIO;
		err = fake_gic_own(vm, vcpu, (u32)cpu->pmu_irq, FAKE_PMU);
		if (err)
			return err;
	}
	cpu->pmu_made = true;
	return 0;
}

static int pmu_filter(struct fake_arm_vm *vm, u64 addr)
{
	struct kvm_pmu_event_filter filter;

	if (fake_copy_from(&filter, addr, sizeof(filter)))
		return -EFAULT;
	if ((u32)filter.base_event + filter.nevents > PMU_EVENTS || filter.action > KVM_PMU_EVENT_DENY)
		return -EINVAL;
	if (vm->ran)
		return -EBUSY;
	if (vm->nr_filters < ARRAY_SIZE(vm->filter))
		vm->filter[vm->nr_filters++] = filter;
	return 0;
}

/* Any number up to MAX_PMU is a PMU here, for lkvm takes it from this machine's /sys. */
static int pmu_choose(struct fake_arm_vm *vm, u64 addr)
{
	int pmu;

	if (fake_copy_from(&pmu, addr, sizeof(pmu)))
		return -EFAULT;
	if (pmu < 0 || pmu > MAX_PMU)
		return -ENXIO;
	if (vm->ran || (vm->nr_filters && vm->pmu != pmu))
		return -EBUSY;
	vm->pmu = pmu;
	return 0;
}

static int pmu_attr(struct fake_vcpu *vcpu, unsigned long req, const struct kvm_device_attr *attr)
{
	struct fake_arm_vm *vm = fake_arm(vcpu->obj.vm);
	const struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	bool there = fake_arm_feature(vcpu, KVM_ARM_VCPU_PMU_V3);

	if (req == KVM_HAS_DEVICE_ATTR)
		return there && attr->attr <= KVM_ARM_VCPU_PMU_V3_SET_PMU ? 0 : -ENXIO;
	if (req == KVM_GET_DEVICE_ATTR) {
		if (attr->attr != KVM_ARM_VCPU_PMU_V3_IRQ)
			return -ENXIO;
		if (!vm->gic.type)
			return -EINVAL;
		if (!there)
			return -ENODEV;
		return cpu->pmu_irq ? fake_copy_to(attr->addr, &cpu->pmu_irq, sizeof(cpu->pmu_irq)) : -ENXIO;
	}
	if (!there)
		return -ENODEV;
	if (cpu->pmu_made)
		return -EBUSY;
	switch (attr->attr) {
	case KVM_ARM_VCPU_PMU_V3_IRQ:
		return pmu_set_irq(vcpu, attr->addr);
	case KVM_ARM_VCPU_PMU_V3_INIT:
		return pmu_init(vcpu);
	case KVM_ARM_VCPU_PMU_V3_FILTER:
		return pmu_filter(vm, attr->addr);
	case KVM_ARM_VCPU_PMU_V3_SET_PMU:
		return pmu_choose(vm, attr->addr);
	default:
		return -ENXIO;
	}
}

/* Set on one vCPU, it holds for all that are there. */
static int timer_attr(struct fake_vcpu *vcpu, unsigned long req, const struct kvm_device_attr *attr)
{
	struct fake_vm *vm = vcpu->obj.vm;
	struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	bool v = attr->attr == KVM_ARM_VCPU_TIMER_IRQ_VTIMER;
	int irq;

	if (req != KVM_SET_DEVICE_ATTR) {
		if (attr->attr > KVM_ARM_VCPU_TIMER_IRQ_PTIMER)
			return -ENXIO;
		irq = v ? cpu->vtimer_irq : cpu->ptimer_irq;
		return req == KVM_HAS_DEVICE_ATTR ? 0 : fake_copy_to(attr->addr, &irq, sizeof(irq));
	}
	if (!fake_arm(vm)->gic.type)
		return -EINVAL;
	if (fake_copy_from(&irq, attr->addr, sizeof(irq)))
		return -EFAULT;
	if (!is_ppi(irq))
		return -EINVAL;
	if (cpu->timers_on)
		return -EBUSY;
	if (attr->attr > KVM_ARM_VCPU_TIMER_IRQ_PTIMER)
		return -ENXIO;
	for (u32 i = 0; i < vm->nr_vcpus; i++)
		*(v ? &fake_arm_cpu(vm->vcpu[i])->vtimer_irq : &fake_arm_cpu(vm->vcpu[i])->ptimer_irq) = irq;
	return 0;
}

static int pvtime_attr(struct fake_vcpu *vcpu, unsigned long req, const struct kvm_device_attr *attr)
{
	struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	u64 gpa;

	if (!fake_cap(KVM_CAP_STEAL_TIME) || attr->attr != KVM_ARM_VCPU_PVTIME_IPA)
		return -ENXIO;
	if (req == KVM_HAS_DEVICE_ATTR)
		return 0;
	if (req == KVM_GET_DEVICE_ATTR)
		return fake_copy_to(attr->addr, &cpu->pvtime, sizeof(cpu->pvtime));
	if (fake_copy_from(&gpa, attr->addr, sizeof(gpa)))
		return -EFAULT;
	if (gpa % 64)
		return -EINVAL;
	if (cpu->pvtime != FAKE_GIC_UNDEF)
		return -EEXIST;
	if (!fake_vm_mem(vcpu->obj.vm, gpa, 64))
		return -EINVAL;
	cpu->pvtime = gpa;
	return 0;
}

static int vcpu_attr(struct fake_vcpu *vcpu, unsigned long req, const void *arg)
{
	struct kvm_device_attr attr;

	if (!fake_cap(KVM_CAP_VCPU_ATTRIBUTES))
		return -EINVAL;
	if (fake_copy_from(&attr, (uintptr_t)arg, sizeof(attr)))
		return -EFAULT;
	switch (attr.group) {
	case KVM_ARM_VCPU_PMU_V3_CTRL:
		return pmu_attr(vcpu, req, &attr);
	case KVM_ARM_VCPU_TIMER_CTRL:
		return timer_attr(vcpu, req, &attr);
	case KVM_ARM_VCPU_PVTIME_CTRL:
		return pvtime_attr(vcpu, req, &attr);
	default:
		return -ENXIO;
	}
}

/* ---- the first KVM_RUN ------------------------------------------------------------------------------- */

static int timers_ready(struct fake_vcpu *vcpu)
{
	struct fake_vm *vm = vcpu->obj.vm;
	struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);

	if (cpu->timers_on)
		return 0;
	if (fake_arm(vm)->gic.type) {
		if (fake_gic_own(vm, vcpu, (u32)cpu->vtimer_irq, FAKE_VTIMER) ||
		    fake_gic_own(vm, vcpu, (u32)cpu->ptimer_irq, FAKE_PTIMER))
			return -EINVAL;
		for (u32 i = 0; i < vm->nr_vcpus; i++)
			if (fake_arm_cpu(vm->vcpu[i])->vtimer_irq != cpu->vtimer_irq ||
			    fake_arm_cpu(vm->vcpu[i])->ptimer_irq != cpu->ptimer_irq)
				return -EINVAL;
	}
	cpu->timers_on = true;
	return 0;
}

int fake_arm_vcpu_ready(struct fake_vcpu *vcpu)
{
	struct fake_vm *vm = vcpu->obj.vm;
	const struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	int err = timers_ready(vcpu);

	if (err || !fake_arm_feature(vcpu, KVM_ARM_VCPU_PMU_V3))
		return err;
	if (!cpu->pmu_made)
		return -EINVAL;
	if (!fake_arm(vm)->gic.type)
		return cpu->pmu_irq ? -EINVAL : 0;
	return fake_gic_irq(vm, vcpu, (u32)cpu->pmu_irq) ? 0 : -EINVAL;
}

/* ---- events, and all the ioctls ---------------------------------------------------------------------- */

static int set_events(struct fake_arm_vcpu *cpu, u64 addr)
{
	static const struct kvm_vcpu_events none;
	struct kvm_vcpu_events e;

	if (fake_copy_from(&e, addr, sizeof(e)))
		return -EFAULT;
	if (memcmp(e.reserved, none.reserved, sizeof(e.reserved)) ||
	    memcmp(e.exception.pad, none.exception.pad, sizeof(e.exception.pad)))
		return -EINVAL;
	if (e.exception.serror_pending && e.exception.serror_has_esr &&
	    (!fake_cap(KVM_CAP_ARM_INJECT_SERROR_ESR) || (e.exception.serror_esr & ~SERROR_ISS)))
		return -EINVAL;
	cpu->events = none;
	/* An abort is taken at once and never seen as pending. */
	cpu->events.exception.serror_pending = e.exception.serror_pending != 0;
	if (e.exception.serror_pending && e.exception.serror_has_esr)
		cpu->events.exception.serror_esr = e.exception.serror_esr;
	return 0;
}

static int get_events(const struct fake_arm_vcpu *cpu, u64 addr)
{
	struct kvm_vcpu_events e = cpu->events;

	e.exception.serror_has_esr = fake_cap(KVM_CAP_ARM_INJECT_SERROR_ESR) != 0;
	return fake_copy_to(addr, &e, sizeof(e));
}

int fake_arch_vcpu_ioctl(struct fake_vcpu *vcpu, unsigned long req, void *arg, bool *known)
{
	struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	struct kvm_vcpu_init init;
	int what;

	switch (req) {
	case KVM_ARM_VCPU_INIT:
		return fake_copy_from(&init, (uintptr_t)arg, sizeof(init)) ? -EFAULT : vcpu_init(vcpu, &init);
	case KVM_ARM_VCPU_FINALIZE:
		return fake_copy_from(&what, (uintptr_t)arg, sizeof(what)) ? -EFAULT : finalize(vcpu, what);
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
		return fake_arm_one_reg(vcpu, req == KVM_SET_ONE_REG, arg);
	case KVM_GET_REG_LIST:
		return fake_arm_reg_list(vcpu, arg);
	case KVM_HAS_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		return vcpu_attr(vcpu, req, arg);
	case KVM_GET_VCPU_EVENTS:
		return cpu->initialized ? get_events(cpu, (uintptr_t)arg) : -ENOEXEC;
	case KVM_SET_VCPU_EVENTS:
		return cpu->initialized ? set_events(cpu, (uintptr_t)arg) : -ENOEXEC;
	case KVM_SET_GUEST_DEBUG:
		return 0;
	default:
		/* KVM_GET_REGS and its like: there, and of no use on arm64. */
		*known = false;
		return 0;
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * An arm64 vCPU: what it can do (KVM_ARM_VCPU_INIT, api.rst 4.82, and KVM_ARM_VCPU_FINALIZE, 4.119), its
 * registers for the start, and the exits that only arm64 has. Power states are the kernel's business (PSCI,
 * Arm DEN 0022), but for the suspension of the whole system, which it leaves to us.
 */
#include "arm.h"
#include "layout.h"
#include <errno.h>
#include <inttypes.h>
#include <lkvm/config.h>
#include <string.h>

/* PSTATE of a 32-bit kernel that starts: the mode, interrupts masked, and Thumb code where the entry says so.
 */
#define PSTATE32_SVC 0x13ull
#define PSTATE32_AIF 0x1c0ull
#define PSTATE32_T   0x20ull

#define CORE_REG(field)                                                                                      \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.field))
#define REG_MPIDR ARM64_SYS_REG(3, 0, 0, 0, 5)

u32 arm_vcpu_id(const struct kvm *kvm, u32 index)
{
	return index;
}

int arm_get_reg(int vcpu_fd, u64 id, void *value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};
	int err = kvm_ioctl(vcpu_fd, KVM_GET_ONE_REG, &reg);

	return err < 0 ? err : 0;
}

int arm_set_reg(int vcpu_fd, u64 id, const void *value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};
	int err = kvm_ioctl(vcpu_fd, KVM_SET_ONE_REG, &reg);

	return err < 0 ? err : 0;
}

int arm_vcpu_affinity(const struct vcpu *vcpu, u64 *affinity)
{
	int err = arm_get_reg(vcpu->fd, REG_MPIDR, affinity);

	if (!err)
		*affinity &= 0xff00ffffffull;
	return err;
}

/* ---- what it can do ------------------------------------------------------------------------------ */

static void add_feature(struct kvm_vcpu_init *init, u32 feature)
{
	init->features[feature / 32] |= 1u << (feature % 32);
}

static int need_cap(const struct kvm *kvm, u32 cap, const char *option, const char *what)
{
	if (kvm_cap(kvm, cap))
		return 0;
	log_error("%s: this host cannot give a guest %s; leave the option out", option, what);
	return -ENOTSUP;
}

/* The same for all vCPUs of a VM. */
static int choose_features(struct kvm *kvm)
{
	struct arm_machine *m = arm_of(kvm);
	const struct vm_config *cfg = kvm->cfg;
	int err = kvm_ioctl(kvm->vm_fd, KVM_ARM_PREFERRED_TARGET, &m->init);

	if (err < 0) {
		log_error("KVM_ARM_PREFERRED_TARGET: %s: this host's processor is not one that KVM can "
			  "virtualise",
			  strerror(-err));
		return err;
	}
	memset(m->init.features, 0, sizeof(m->init.features));
	add_feature(&m->init, KVM_ARM_VCPU_PSCI_0_2);
	if (cfg->aarch32) {
		err = need_cap(kvm, KVM_CAP_ARM_EL1_32BIT, "--aarch32", "a 32-bit kernel");
		if (err)
			return err;
		add_feature(&m->init, KVM_ARM_VCPU_EL1_32BIT);
	}
	if (cfg->pmu) {
		err = need_cap(kvm, KVM_CAP_ARM_PMU_V3, "--pmu", "performance counters");
		if (err)
			return err;
		add_feature(&m->init, KVM_ARM_VCPU_PMU_V3);
	}
	if (cfg->pmu_filter && !cfg->pmu) {
		log_error("--pmu-filter: there are no events to filter without --pmu; give both");
		return -EINVAL;
	}
	if (cfg->sve_max_vl && (cfg->aarch32 || cfg->sve_max_vl % 128)) {
		log_error(cfg->aarch32 ? "--sve-max-vl: 32-bit guests have no SVE; leave the option out"
				       : "--sve-max-vl: vector lengths are multiples of 128 bits");
		return -EINVAL;
	}
	if (cfg->sve_max_vl) {
		err = need_cap(kvm, KVM_CAP_ARM_SVE, "--sve-max-vl", "SVE");
		if (err)
			return err;
	}
	/* What 64-bit guests have where the host has it. */
	if (!cfg->aarch32 && kvm_cap(kvm, KVM_CAP_ARM_SVE))
		add_feature(&m->init, KVM_ARM_VCPU_SVE);
	if (!cfg->aarch32 && kvm_cap(kvm, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
	    kvm_cap(kvm, KVM_CAP_ARM_PTRAUTH_GENERIC)) {
		add_feature(&m->init, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
		add_feature(&m->init, KVM_ARM_VCPU_PTRAUTH_GENERIC);
	}
	m->init_known = true;
	return 0;
}

static int vcpu_init_ioctl(struct vcpu *vcpu, bool off)
{
	struct kvm_vcpu_init init = arm_of(vcpu->kvm)->init;
	int err;

	if (off)
		add_feature(&init, KVM_ARM_VCPU_POWER_OFF);
	err = kvm_ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init);
	if (err < 0)
		log_error("vcpu %u: KVM_ARM_VCPU_INIT with features 0x%x: %s", vcpu->index, init.features[0],
			  strerror(-err));
	return err < 0 ? err : 0;
}

/* Takes the vector lengths above --sve-max-vl out of the set; bit n stands for (n + 1) * 128 bits. */
static int limit_sve(struct vcpu *vcpu)
{
	u64 limit = vcpu->kvm->cfg->sve_max_vl / 128;
	u64 vls[KVM_ARM64_SVE_VLS_WORDS];
	bool any = false;
	int err;

	if (!limit)
		return 0;
	err = arm_get_reg(vcpu->fd, KVM_REG_ARM64_SVE_VLS, vls);
	for (u64 vq = 1; vq <= 64 * ARRAY_SIZE(vls) && !err; vq++) {
		u64 bit = 1ull << ((vq - 1) % 64);

		if (vq > limit)
			vls[(vq - 1) / 64] &= ~bit;
		else
			any = any || vls[(vq - 1) / 64] & bit;
	}
	if (!err && !any) {
		log_error("--sve-max-vl %" PRIu64 ": this host has no vector length so short",
			  vcpu->kvm->cfg->sve_max_vl);
		return -EINVAL;
	}
	if (!err)
		err = arm_set_reg(vcpu->fd, KVM_REG_ARM64_SVE_VLS, vls);
	if (err)
		log_error("vcpu %u: its SVE vector lengths: %s", vcpu->index, strerror(-err));
	return err;
}

static int finalize_sve(struct vcpu *vcpu)
{
	int feature = KVM_ARM_VCPU_SVE, err;

	if (!arm_has_feature(vcpu->kvm, KVM_ARM_VCPU_SVE))
		return 0;
	err = limit_sve(vcpu);
	if (err)
		return err;
	err = kvm_ioctl(vcpu->fd, KVM_ARM_VCPU_FINALIZE, &feature);
	if (err < 0)
		log_error("vcpu %u: KVM_ARM_VCPU_FINALIZE of SVE: %s", vcpu->index, strerror(-err));
	return err < 0 ? err : 0;
}

int arm_vcpu_init(struct vcpu *vcpu)
{
	int err = arm_of(vcpu->kvm)->init_known ? 0 : choose_features(vcpu->kvm);

	if (!err)
		err = vcpu_init_ioctl(vcpu, vcpu->index);
	return err ? err : finalize_sve(vcpu);
}

void arm_vcpu_free(struct vcpu *vcpu)
{
	/* Nothing of its own. */
}

/* With a PMU, if there is one: an attribute is there only on a vCPU that has the feature. */
int arm_vcpu_scratch(int vm_fd, int vcpu_fd)
{
	struct kvm_vcpu_init init;
	int err = kvm_ioctl(vm_fd, KVM_ARM_PREFERRED_TARGET, &init);

	if (err < 0)
		return err;
	memset(init.features, 0, sizeof(init.features));
	add_feature(&init, KVM_ARM_VCPU_PSCI_0_2);
	if (kvm_ioctl_val(vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_PMU_V3) > 0)
		add_feature(&init, KVM_ARM_VCPU_PMU_V3);
	err = kvm_ioctl(vcpu_fd, KVM_ARM_VCPU_INIT, &init);
	return err < 0 ? err : 0;
}

/* ---- the start ------------------------------------------------------------------------------------ */

static int set_core(struct vcpu *vcpu, u64 number, u64 value, const char *name)
{
	int err = arm_set_reg(vcpu->fd, number, &value);

	if (err)
		log_error("vcpu %u: cannot set %s: %s", vcpu->index, name, strerror(-err));
	return err;
}

#define SET_CORE(vcpu, field, value) set_core(vcpu, CORE_REG(field), value, #field)

/*
 * Linux's booting.rst: x0 the device tree, x1 to x3 zero; its 32-bit Booting: r0 zero, r1 no machine, r2 it.
 * KVM_ARM_VCPU_INIT has left all others zero, and PSTATE with the mode of a kernel and interrupts masked.
 */
static int set_arguments(struct vcpu *vcpu)
{
	const struct arm_machine *m = arm_of(vcpu->kvm);
	int err = SET_CORE(vcpu, pc, m->entry);

	if (err)
		return err;
	if (!vcpu->kvm->cfg->aarch32)
		return SET_CORE(vcpu, regs[0], m->dtb);
	err = SET_CORE(vcpu, regs[1], 0xffffffff);
	return err ? err : SET_CORE(vcpu, regs[2], m->dtb);
}

int arm_vcpu_reset(struct vcpu *vcpu)
{
	struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP};
	/* The others wait, powered off, for PSCI's CPU_ON. */
	int err = vcpu->index ? 0 : set_arguments(vcpu);

	if (err || !vcpu->kvm->cfg->debug_single_step)
		return err;
	err = kvm_ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
	if (err < 0)
		log_error("vcpu %u: --debug-single-step: %s", vcpu->index, strerror(-err));
	return err < 0 ? err : 0;
}

/* ---- exits ------------------------------------------------------------------------------------------ */

/*
 * An access to no memory by an instruction that does not say which register and width it means: nobody can
 * carry it out. The guest gets what hardware gives for a bad address, an external abort.
 */
static int no_syndrome(struct vcpu *vcpu)
{
	struct kvm_vcpu_events events = {.exception.ext_dabt_pending = 1};
	int err = kvm_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);

	log_debug(vcpu->kvm->log, "vcpu %u: access to 0x%" PRIx64 " by an instruction without syndrome",
		  vcpu->index, (u64)vcpu->run->arm_nisv.fault_ipa);
	return err < 0 ? err : 1;
}

static int set_mp_state(struct vcpu *vcpu, u32 state)
{
	struct kvm_mp_state mp = {.mp_state = state};
	int err = kvm_ioctl(vcpu->fd, KVM_SET_MP_STATE, &mp);

	return err < 0 ? err : 1;
}

/*
 * PSCI SYSTEM_SUSPEND (5.20). KVM_RUN sleeps until an interrupt would wake the vCPU; x1 and x2 still hold
 * where to go on, and with what. That every other vCPU is off is the caller's duty: a guest that breaks it
 * has some of its vCPUs go on beside the sleeper, and hurts nobody else.
 */
static int system_suspend(struct vcpu *vcpu)
{
	return set_mp_state(vcpu, KVM_MP_STATE_SUSPENDED);
}

static int system_wakeup(struct vcpu *vcpu)
{
	u64 entry, context;
	int err = arm_get_reg(vcpu->fd, CORE_REG(regs[1]), &entry);
	bool thumb = vcpu->kvm->cfg->aarch32 && !err && (entry & 1);

	if (!err)
		err = arm_get_reg(vcpu->fd, CORE_REG(regs[2]), &context);
	if (!err)
		/* With the features it was made with, POWER_OFF among them, or older kernels refuse. */
		err = vcpu_init_ioctl(vcpu, vcpu->index);
	if (!err)
		err = SET_CORE(vcpu, pc, entry & ~(u64)thumb);
	if (!err)
		err = SET_CORE(vcpu, regs[0], context);
	if (!err && thumb)
		err = SET_CORE(vcpu, pstate, PSTATE32_SVC | PSTATE32_AIF | PSTATE32_T);
	return err ? err : set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
}

static void single_step(struct vcpu *vcpu)
{
	struct buf out = {0};

	arm_vcpu_dump(vcpu, &out);
	log_print(NULL, LOG_WARN, "vcpu %u: step\n%s", vcpu->index, out.data ? (const char *)out.data : "");
	buf_free(&out);
}

int arm_vcpu_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_ARM_NISV:
		return no_syndrome(vcpu);
	case KVM_EXIT_DEBUG:
		single_step(vcpu);
		return 1;
	case KVM_EXIT_SYSTEM_EVENT:
		if (vcpu->run->system_event.type == KVM_SYSTEM_EVENT_SUSPEND)
			return system_suspend(vcpu);
		if (vcpu->run->system_event.type == KVM_SYSTEM_EVENT_WAKEUP)
			return system_wakeup(vcpu);
		break;
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The registers of the fake KVM's arm64 vCPUs: KVM_GET_ONE_REG, KVM_SET_ONE_REG, KVM_GET_REG_LIST. What is
 * set is what is read; clocks stand still.
 *
 * Register ids of api.rst 4.68; rules and errnos of Linux 6.1; the processor is one of Armv8.2 with, where
 * the test says so, SVE of 128 to 512 bits. Called by fake-arm-vcpu.c with the fake's lock held.
 */
#include "fake-arm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOST_VQ	       4u /* SVE: 128, 256 and 512 bits; not 384 */
#define HOST_VQS       0x0bu
#define ID_LOW	       0xffffull
#define MIDR	       ARM64_SYS_REG(3, 0, 0, 0, 0)
#define MPIDR	       ARM64_SYS_REG(3, 0, 0, 0, 5)
#define CORE(field)    (KVM_REG_ARM64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))
#define CORE_U64(f)    (CORE(f) | KVM_REG_SIZE_U64)
#define CORE_U32(f)    (CORE(f) | KVM_REG_SIZE_U32)
#define CORE_U128(f)   (CORE(f) | KVM_REG_SIZE_U128)
#define FW_PSCI	       KVM_REG_ARM_FW_REG(0)
#define DEMUX_CCSIDR   (KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX | KVM_REG_ARM_DEMUX_ID_CCSIDR)
#define MPIDR_RES1     0x80000000ull
#define FW_FEATURES    KVM_REG_ARM_FW_FEAT_BMAP_REG(0)
#define FW_FEATURES_NR 3u

static u32 reg_bytes(u64 id)
{
	return 1u << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

/* ---- the processor ------------------------------------------------------------------------------ */

struct sysreg {
	u64 id, value;
	bool fixed;
};

static const struct sysreg sysregs[] = {
	{MIDR, 0x410fd0c1, true},			   /* MIDR_EL1 */
	{MPIDR, 0, false},				   /* MPIDR_EL1 */
	{ARM64_SYS_REG(3, 0, 0, 0, 6), 0, true},	   /* REVIDR_EL1 */
	{ARM64_SYS_REG(3, 0, 0, 4, 0), 0x11112222, true},  /* ID_AA64PFR0_EL1 */
	{ARM64_SYS_REG(3, 0, 0, 4, 1), 0, true},	   /* ID_AA64PFR1_EL1 */
	{ARM64_SYS_REG(3, 0, 0, 5, 0), 0x10305408, true},  /* ID_AA64DFR0_EL1 */
	{ARM64_SYS_REG(3, 0, 0, 6, 0), 0x10211120, true},  /* ID_AA64ISAR0_EL1 */
	{ARM64_SYS_REG(3, 0, 0, 6, 1), 0x100001, true},	   /* ID_AA64ISAR1_EL1 */
	{ARM64_SYS_REG(3, 0, 0, 7, 0), 0x101125, true},	   /* ID_AA64MMFR0_EL1 */
	{ARM64_SYS_REG(3, 0, 0, 7, 1), 0x10212122, true},  /* ID_AA64MMFR1_EL1 */
	{ARM64_SYS_REG(3, 0, 0, 7, 2), 0x1011, true},	   /* ID_AA64MMFR2_EL1 */
	{ARM64_SYS_REG(2, 0, 0, 2, 2), 0, false},	   /* MDSCR_EL1 */
	{ARM64_SYS_REG(3, 0, 1, 0, 0), 0x00c50078, false}, /* SCTLR_EL1 */
	{ARM64_SYS_REG(3, 0, 1, 0, 1), 0, true},	   /* ACTLR_EL1 */
	{ARM64_SYS_REG(3, 0, 1, 0, 2), 0, false},	   /* CPACR_EL1 */
	{ARM64_SYS_REG(3, 0, 2, 0, 0), 0, false},	   /* TTBR0_EL1 */
	{ARM64_SYS_REG(3, 0, 2, 0, 1), 0, false},	   /* TTBR1_EL1 */
	{ARM64_SYS_REG(3, 0, 2, 0, 2), 0, false},	   /* TCR_EL1 */
	{ARM64_SYS_REG(3, 0, 5, 1, 0), 0, false},	   /* AFSR0_EL1 */
	{ARM64_SYS_REG(3, 0, 5, 1, 1), 0, false},	   /* AFSR1_EL1 */
	{ARM64_SYS_REG(3, 0, 5, 2, 0), 0, false},	   /* ESR_EL1 */
	{ARM64_SYS_REG(3, 0, 6, 0, 0), 0, false},	   /* FAR_EL1 */
	{ARM64_SYS_REG(3, 0, 7, 4, 0), 0, false},	   /* PAR_EL1 */
	{ARM64_SYS_REG(3, 0, 10, 2, 0), 0, false},	   /* MAIR_EL1 */
	{ARM64_SYS_REG(3, 0, 10, 3, 0), 0, false},	   /* AMAIR_EL1 */
	{ARM64_SYS_REG(3, 0, 12, 0, 0), 0, false},	   /* VBAR_EL1 */
	{ARM64_SYS_REG(3, 0, 13, 0, 1), 0, false},	   /* CONTEXTIDR_EL1 */
	{ARM64_SYS_REG(3, 0, 13, 0, 4), 0, false},	   /* TPIDR_EL1 */
	{ARM64_SYS_REG(3, 0, 14, 1, 0), 0, false},	   /* CNTKCTL_EL1 */
	{ARM64_SYS_REG(3, 1, 0, 0, 1), 0x0a200023, true},  /* CLIDR_EL1 */
	{ARM64_SYS_REG(3, 1, 0, 0, 7), 0, true},	   /* AIDR_EL1 */
	{ARM64_SYS_REG(3, 2, 0, 0, 0), 0, false},	   /* CSSELR_EL1 */
	{ARM64_SYS_REG(3, 3, 0, 0, 1), 0x8444c004, true},  /* CTR_EL0 */
	{ARM64_SYS_REG(3, 3, 13, 0, 2), 0, false},	   /* TPIDR_EL0 */
	{ARM64_SYS_REG(3, 3, 13, 0, 3), 0, false},	   /* TPIDRRO_EL0 */
	{ARM64_SYS_REG(3, 3, 14, 2, 1), 0, false},	   /* CNTP_CTL_EL0 */
	{ARM64_SYS_REG(3, 3, 14, 2, 2), 0, false},	   /* CNTP_CVAL_EL0 */
};

/* ---- the set of registers a vCPU has -------------------------------------------------------------- */

static struct fake_reg *find(const struct fake_arm_vcpu *cpu, u64 id)
{
	for (u32 i = 0; i < cpu->nr_regs; i++)
		if (cpu->reg[i].id == id)
			return &cpu->reg[i];
	return NULL;
}

static void *value_of(const struct fake_arm_vcpu *cpu, const struct fake_reg *reg)
{
	return cpu->values + reg->offset;
}

static void add(struct fake_arm_vcpu *cpu, u64 id, u64 value, bool fixed)
{
	u32 bytes = reg_bytes(id), at = cpu->value_bytes;

	/* In steps that both arrays grow by: a vCPU has some 120 registers, with SVE 170. */
	if (cpu->nr_regs % 64 == 0)
		cpu->reg = realloc(cpu->reg, (cpu->nr_regs + 64) * sizeof(*cpu->reg));
	cpu->values = realloc(cpu->values, at + bytes);
	if (!cpu->reg || !cpu->values)
		abort();
	memset(cpu->values + at, 0, bytes);
	memcpy(cpu->values + at, &value, bytes < 8 ? bytes : 8);
	cpu->reg[cpu->nr_regs++] = (struct fake_reg){.id = id, .offset = at, .fixed = fixed};
	cpu->value_bytes = at + bytes;
}

static void add_core(struct fake_arm_vcpu *cpu, u64 pstate, bool sve)
{
	u32 step;

	for (u32 i = 0; i < 31; i++)
		add(cpu, CORE_U64(regs.regs[0]) + 2 * i, 0, false);
	add(cpu, CORE_U64(regs.sp), 0, false);
	add(cpu, CORE_U64(regs.pc), 0, false);
	add(cpu, CORE_U64(regs.pstate), pstate, false);
	add(cpu, CORE_U64(sp_el1), 0, false);
	add(cpu, CORE_U64(elr_el1), 0, false);
	for (u32 i = 0; i < KVM_NR_SPSR; i++)
		add(cpu, CORE_U64(spsr[0]) + 2 * i, 0, false);
	step = sizeof(__uint128_t) / 4;
	for (u32 i = 0; i < 32 && !sve; i++)
		add(cpu, CORE_U128(fp_regs.vregs[0]) + step * i, 0, false);
	add(cpu, CORE_U32(fp_regs.fpsr), 0, false);
	add(cpu, CORE_U32(fp_regs.fpcr), 0, false);
}

static void add_sve(struct fake_arm_vcpu *cpu)
{
	add(cpu, KVM_REG_ARM64_SVE_VLS, HOST_VQS, false);
	for (u32 i = 0; i < KVM_ARM64_SVE_NUM_ZREGS; i++)
		add(cpu, KVM_REG_ARM64_SVE_ZREG(i, 0), 0, false);
	for (u32 i = 0; i < KVM_ARM64_SVE_NUM_PREGS; i++)
		add(cpu, KVM_REG_ARM64_SVE_PREG(i, 0), 0, false);
	add(cpu, KVM_REG_ARM64_SVE_FFR(0), 0, false);
}

static u64 mpidr_of(u32 id)
{
	return MPIDR_RES1 | (id & 0xf) | (u64)(id >> 4 & 0xff) << 8 | (u64)(id >> 12 & 0xff) << 16;
}

static void build(struct fake_vcpu *vcpu)
{
	struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	bool sve = fake_arm_feature(vcpu, KVM_ARM_VCPU_SVE);

	add_core(cpu, fake_arm_feature(vcpu, KVM_ARM_VCPU_EL1_32BIT) ? FAKE_PSTATE_SVC : FAKE_PSTATE_EL1H,
		 sve);
	if (sve)
		add_sve(cpu);
	add(cpu, FW_PSCI, fake_arm_feature(vcpu, KVM_ARM_VCPU_PSCI_0_2) ? 0x10001 : 1, false);
	for (u32 i = 1; i < 4; i++) /* workarounds: not needed */
		add(cpu, KVM_REG_ARM_FW_REG(i), 2, true);
	for (u32 i = 0; i < FW_FEATURES_NR; i++)
		add(cpu, FW_FEATURES + i, i == 2 ? 3 : 1, false);
	add(cpu, KVM_REG_ARM_TIMER_CTL, 0, false);
	add(cpu, KVM_REG_ARM_TIMER_CNT, 0x123456789aull, false);
	add(cpu, KVM_REG_ARM_TIMER_CVAL, 0, false);
	for (u32 i = 0; i < ARRAY_SIZE(sysregs); i++)
		add(cpu, sysregs[i].id, sysregs[i].id == MPIDR ? mpidr_of(vcpu->obj.id) : sysregs[i].value,
		    sysregs[i].fixed);
	for (u32 i = 0; i < 3; i++)
		add(cpu, DEMUX_CCSIDR | i, 0x701fe00a + i, true);
}

/* KVM_ARM_VCPU_INIT; a second one puts back what the first gave, SVE's lengths and the clock apart. */
void fake_arm_regs_reset(struct fake_vcpu *vcpu)
{
	struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	u64 cnt = 0, vls = 0;
	bool again = cpu->nr_regs, sve = fake_arm_feature(vcpu, KVM_ARM_VCPU_SVE);

	if (again) {
		memcpy(&cnt, fake_arm_reg(vcpu, KVM_REG_ARM_TIMER_CNT), sizeof(cnt));
		if (sve)
			memcpy(&vls, fake_arm_reg(vcpu, KVM_REG_ARM64_SVE_VLS), sizeof(vls));
	}
	cpu->nr_regs = cpu->value_bytes = 0;
	build(vcpu);
	if (again) {
		memcpy(fake_arm_reg(vcpu, KVM_REG_ARM_TIMER_CNT), &cnt, sizeof(cnt));
		if (sve)
			memcpy(fake_arm_reg(vcpu, KVM_REG_ARM64_SVE_VLS), &vls, sizeof(vls));
	}
}

void *fake_arm_reg(const struct fake_vcpu *vcpu, u64 id)
{
	const struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	const struct fake_reg *reg = find(cpu, id);

	return reg ? value_of(cpu, reg) : NULL;
}

u64 fake_arm_affinity(const struct fake_vcpu *vcpu)
{
	const void *at = fake_arm_reg(vcpu, MPIDR);
	u64 val = 0;

	if (at)
		memcpy(&val, at, sizeof(val));
	/* Aff3 follows Aff2 in the attributes' encoding. */
	return (val & 0xffffff) | (val >> 8 & 0xff000000);
}

/* ---- access ----------------------------------------------------------------------------------------- */

/* Why there is no such register: the kernel says it differently by the register's kind. */
static int not_there(u64 id)
{
	u32 words = sizeof(struct kvm_regs) / 4;

	if ((id & ~KVM_REG_SIZE_MASK) >> 32 != KVM_REG_ARM64 >> 32)
		return -EINVAL;
	switch (id & KVM_REG_ARM_COPROC_MASK) {
	case KVM_REG_ARM_CORE:
		return (id & ID_LOW) + reg_bytes(id) / 4 >= words ? -ENOENT : -EINVAL;
	default:
		return -ENOENT;
	}
}

static int set_pstate(const struct fake_vcpu *vcpu, u64 val)
{
	bool narrow = fake_arm_feature(vcpu, KVM_ARM_VCPU_EL1_32BIT);

	switch (val & 0x1f) {
	case 0x00: /* EL0t */
	case 0x04: /* EL1t */
	case 0x05: /* EL1h */
		return narrow ? -EINVAL : 0;
	case 0x10: /* of AArch32: user; FIQ, IRQ, SVC, abort, undefined, system */
		return fake_cap(KVM_CAP_ARM_EL1_32BIT) ? 0 : -EINVAL;
	case 0x11:
	case 0x12:
	case 0x13:
	case 0x17:
	case 0x1b:
	case 0x1f:
		return narrow ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

/* The lengths of a guest are those of the host up to its longest, without gaps of its own. */
static int set_sve_lengths(struct fake_arm_vcpu *cpu, const u64 *vqs)
{
	u32 max = 0;

	if (cpu->sve_final)
		return -EPERM;
	for (u32 i = 0; i < KVM_ARM64_SVE_VLS_WORDS * 64; i++)
		if (vqs[i / 64] >> (i % 64) & 1)
			max = i + 1;
	if (!max || max > HOST_VQ || vqs[0] != (HOST_VQS & ((1u << max) - 1)))
		return -EINVAL;
	cpu->sve_vq = max;
	return 0;
}

static int set_check(struct fake_vcpu *vcpu, const struct fake_reg *reg, const u64 *val)
{
	struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);

	if (reg->fixed)
		return memcmp(value_of(cpu, reg), val, reg_bytes(reg->id)) ? -EINVAL : 0;
	if (reg->id == CORE_U64(regs.pstate))
		return set_pstate(vcpu, *val);
	if (reg->id == KVM_REG_ARM64_SVE_VLS)
		return set_sve_lengths(cpu, val);
	if (reg->id == FW_PSCI) {
		if (!fake_arm_feature(vcpu, KVM_ARM_VCPU_PSCI_0_2))
			return *val == 1 ? 0 : -EINVAL;
		return *val == 2 || *val == 0x10000 || *val == 0x10001 ? 0 : -EINVAL;
	}
	if (reg->id >= FW_FEATURES && reg->id < FW_FEATURES + FW_FEATURES_NR) {
		if (*val & ~(reg->id == FW_FEATURES + 2 ? 3ull : 1ull))
			return -EINVAL;
		if (fake_arm(vcpu->obj.vm)->ran && memcmp(value_of(cpu, reg), val, sizeof(*val)))
			return -EBUSY;
	}
	return 0;
}

static bool is_sve_vector(u64 id)
{
	return (id & KVM_REG_ARM_COPROC_MASK) == KVM_REG_ARM64_SVE && id != KVM_REG_ARM64_SVE_VLS;
}

int fake_arm_one_reg(struct fake_vcpu *vcpu, bool set, const void *arg)
{
	struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	u64 val[256 / sizeof(u64)];
	struct kvm_one_reg one;
	struct fake_reg *reg;
	int err;

	if (!cpu->initialized)
		return -ENOEXEC;
	if (fake_copy_from(&one, (uintptr_t)arg, sizeof(one)))
		return -EFAULT;
	reg = find(cpu, one.id);
	if (!reg)
		return not_there(one.id);
	if (is_sve_vector(one.id) && !cpu->sve_final)
		return -EPERM;
	if (!set)
		return fake_copy_to(one.addr, value_of(cpu, reg), reg_bytes(one.id));
	if (fake_copy_from(val, one.addr, reg_bytes(one.id)))
		return -EFAULT;
	err = set_check(vcpu, reg, val);
	if (!err)
		memcpy(value_of(cpu, reg), val, reg_bytes(one.id));
	return err;
}

int fake_arm_reg_list(struct fake_vcpu *vcpu, void *arg)
{
	const struct fake_arm_vcpu *cpu = fake_arm_cpu(vcpu);
	u64 room, n = cpu->nr_regs;

	if (!cpu->initialized)
		return -ENOEXEC;
	if (fake_arm_feature(vcpu, KVM_ARM_VCPU_SVE) && !cpu->sve_final)
		return -EPERM;
	if (fake_copy_from(&room, (uintptr_t)arg, sizeof(room)) ||
	    fake_copy_to((uintptr_t)arg, &n, sizeof(n)))
		return -EFAULT;
	if (room < n)
		return -E2BIG;
	for (u64 i = 0; i < n; i++)
		if (fake_copy_to((uintptr_t)arg + 8 + 8 * i, &cpu->reg[i].id, 8))
			return -EFAULT;
	return 0;
}

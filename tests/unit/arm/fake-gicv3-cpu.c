/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's GICv3 CPU interface: its system registers as KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS has them.
 *
 * Rules of devices/arm-vgic-v3.rst, with the errnos of Linux 6.1; registers of Arm IHI 0069H, 12.2. Called by
 * fake-gicv3.c with the fake's lock held.
 */
#include "fake-arm.h"

#include <errno.h>

#define ICC(crn, crm, op2) (3u << 14 | 0u << 11 | (crn) << 7 | (crm) << 3 | (op2))
#define ICC_PMR		   ICC(4u, 6u, 0u)
#define ICC_BPR0	   ICC(12u, 8u, 3u)
#define ICC_AP0R0	   ICC(12u, 8u, 4u) /* to 7 */
#define ICC_AP1R0	   ICC(12u, 9u, 0u) /* to 3 */
#define ICC_BPR1	   ICC(12u, 12u, 3u)
#define ICC_CTLR	   ICC(12u, 12u, 4u)
#define ICC_SRE		   ICC(12u, 12u, 5u)
#define ICC_IGRPEN0	   ICC(12u, 12u, 6u)
#define ICC_IGRPEN1	   ICC(12u, 12u, 7u)
#define SYSREG_MASK	   0xffffu
#define CTLR_CBPR	   1u

static bool has(u32 reg)
{
	return reg == ICC_PMR || reg == ICC_BPR0 || (reg >= ICC_AP0R0 && reg < ICC_AP0R0 + 4) ||
	       (reg >= ICC_AP1R0 && reg < ICC_AP1R0 + 4) || reg == ICC_BPR1 || reg == ICC_CTLR ||
	       reg == ICC_SRE || reg == ICC_IGRPEN0 || reg == ICC_IGRPEN1;
}

static int read_reg(const struct fake_gic_cpu *cpu, u32 reg, u64 *val)
{
	switch (reg) {
	case ICC_PMR:
		*val = cpu->pmr;
		return 0;
	case ICC_BPR0:
		*val = cpu->bpr0;
		return 0;
	case ICC_BPR1:
		*val = cpu->bpr1;
		if (cpu->ctlr & CTLR_CBPR)
			*val = cpu->bpr0 < 7 ? cpu->bpr0 + 1 : 7;
		return 0;
	case ICC_AP0R0:
		*val = cpu->apr0;
		return 0;
	case ICC_AP1R0:
		*val = cpu->apr1;
		return 0;
	case ICC_CTLR:
		*val = cpu->ctlr | (cpu->pri_bits - 1) << 8 | cpu->id_bits << 11;
		return 0;
	case ICC_SRE:
		*val = 7;
		return 0;
	case ICC_IGRPEN0:
		*val = cpu->grpen0;
		return 0;
	case ICC_IGRPEN1:
		*val = cpu->grpen1;
		return 0;
	default:
		/* Those of more priority bits than this host has. */
		return has(reg) ? -EINVAL : -ENOENT;
	}
}

static int write_reg(struct fake_gic_cpu *cpu, u32 reg, u64 val)
{
	u32 pri_bits = (u32)(val >> 8 & 7) + 1, id_bits = (u32)(val >> 11 & 7);

	switch (reg) {
	case ICC_PMR:
		cpu->pmr = val & 0xf8;
		return 0;
	case ICC_BPR0:
		cpu->bpr0 = val & 7;
		return 0;
	case ICC_BPR1:
		if (!(cpu->ctlr & CTLR_CBPR))
			cpu->bpr1 = val & 7;
		return 0;
	case ICC_AP0R0:
		cpu->apr0 = (u32)val;
		return 0;
	case ICC_AP1R0:
		cpu->apr1 = (u32)val;
		return 0;
	case ICC_CTLR:
		/* Nothing that this host's GIC lacks; and it has neither SEIS nor A3V. */
		if (pri_bits > cpu->pri_bits || id_bits > cpu->id_bits || (val & 0xc000))
			return -EINVAL;
		cpu->pri_bits = pri_bits;
		cpu->id_bits = id_bits;
		cpu->ctlr = val & 3;
		return 0;
	case ICC_SRE:
		return val & 1 ? 0 : -EINVAL;
	case ICC_IGRPEN0:
		cpu->grpen0 = val & 1;
		return 0;
	case ICC_IGRPEN1:
		cpu->grpen1 = val & 1;
		return 0;
	default:
		return has(reg) ? -EINVAL : -ENOENT;
	}
}

int fake_gicv3_sysreg(struct fake_gic_cpu *cpu, const struct kvm_device_attr *attr, bool write)
{
	u32 reg = attr->attr & SYSREG_MASK;
	u64 val = 0;
	int err;

	if (write) {
		if (fake_copy_from(&val, attr->addr, sizeof(val)))
			return -EFAULT;
		return write_reg(cpu, reg, val);
	}
	err = read_reg(cpu, reg, &val);
	return err ? err : fake_copy_to(attr->addr, &val, sizeof(val));
}

bool fake_gicv3_has_sysreg(u64 attr)
{
	return has(attr & SYSREG_MASK);
}

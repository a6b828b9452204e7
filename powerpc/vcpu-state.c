/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's registers as one walk that prints, saves and restores them. KVM on powerpc lists no registers
 * (KVM_GET_REG_LIST is not there): a table names those of api.rst 4.68 that a guest's state consists of, of
 * both machines, and those that this KVM does not have are left out.
 *
 * The vCPU is parked, or has crashed.
 */
#include "powerpc.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reg_name {
	const char *name; /* with a number behind it where there are several */
	u64 id;
	u32 count;
};

/*
 * Of Book3S processors. In the order in which they may be restored: a VPA before what hangs on it, the clock
 * before its alarm.
 */
static const struct reg_name book3s[] = {
	{"arch_compat", KVM_REG_PPC_ARCH_COMPAT, 1},
	{"lpcr", KVM_REG_PPC_LPCR_64, 1},
	{"tb_offset", KVM_REG_PPC_TB_OFFSET, 1},
	{"dec_expiry", KVM_REG_PPC_DEC_EXPIRY, 1},
	{"vtb", KVM_REG_PPC_VTB, 1},
	{"purr", KVM_REG_PPC_PURR, 1},
	{"spurr", KVM_REG_PPC_SPURR, 1},
	{"ic", KVM_REG_PPC_IC, 1},
	{"vpa", KVM_REG_PPC_VPA_ADDR, 1},
	{"vpa_slb", KVM_REG_PPC_VPA_SLB, 1},
	{"vpa_dtl", KVM_REG_PPC_VPA_DTL, 1},
	{"dar", KVM_REG_PPC_DAR, 1},
	{"dsisr", KVM_REG_PPC_DSISR, 1},
	{"dscr", KVM_REG_PPC_DSCR, 1},
	{"ppr", KVM_REG_PPC_PPR, 1},
	{"pspb", KVM_REG_PPC_PSPB, 1},
	{"fscr", KVM_REG_PPC_FSCR, 1},
	{"tar", KVM_REG_PPC_TAR, 1},
	{"pidr", KVM_REG_PPC_PID, 1},
	{"tidr", KVM_REG_PPC_TIDR, 1},
	{"psscr", KVM_REG_PPC_PSSCR, 1},
	{"amr", KVM_REG_PPC_AMR, 1},
	{"iamr", KVM_REG_PPC_IAMR, 1},
	{"uamor", KVM_REG_PPC_UAMOR, 1},
	{"dpdes", KVM_REG_PPC_DPDES, 1},
	{"acop", KVM_REG_PPC_ACOP, 1},
	{"wort", KVM_REG_PPC_WORT, 1},
	{"csigr", KVM_REG_PPC_CSIGR, 1},
	{"tacr", KVM_REG_PPC_TACR, 1},
	{"tcscr", KVM_REG_PPC_TCSCR, 1},
	{"ebbhr", KVM_REG_PPC_EBBHR, 1},
	{"ebbrr", KVM_REG_PPC_EBBRR, 1},
	{"bescr", KVM_REG_PPC_BESCR, 1},
	{"ciabr", KVM_REG_PPC_CIABR, 1},
	{"dabr", KVM_REG_PPC_DABR, 1},
	{"dabrx", KVM_REG_PPC_DABRX, 1},
	{"dawr0", KVM_REG_PPC_DAWR, 1},
	{"dawrx0", KVM_REG_PPC_DAWRX, 1},
	{"dawr1", KVM_REG_PPC_DAWR1, 1},
	{"dawrx1", KVM_REG_PPC_DAWRX1, 1},
	{"mmcr0", KVM_REG_PPC_MMCR0, 1},
	{"mmcr1", KVM_REG_PPC_MMCR1, 1},
	{"mmcr2", KVM_REG_PPC_MMCR2, 1},
	{"mmcra", KVM_REG_PPC_MMCRA, 1},
	{"mmcrs", KVM_REG_PPC_MMCRS, 1},
	{"pmc", KVM_REG_PPC_PMC1, 8},
	{"spmc", KVM_REG_PPC_SPMC1, 2},
	{"siar", KVM_REG_PPC_SIAR, 1},
	{"sdar", KVM_REG_PPC_SDAR, 1},
	{"sier", KVM_REG_PPC_SIER, 1},
	{"sier2", KVM_REG_PPC_SIER2, 1},
	{"sier3", KVM_REG_PPC_SIER3, 1},
	{"fpscr", KVM_REG_PPC_FPSCR, 1},
	{"fpr", KVM_REG_PPC_FPR0, 32},
	{"vsr", KVM_REG_PPC_VSR0, 32},
	{"vscr", KVM_REG_PPC_VSCR, 1},
	{"vrsave", KVM_REG_PPC_VRSAVE, 1},
	{"vr", KVM_REG_PPC_VR0, 32},
	{"tfhar", KVM_REG_PPC_TFHAR, 1},
	{"tfiar", KVM_REG_PPC_TFIAR, 1},
	{"texasr", KVM_REG_PPC_TEXASR, 1},
	{"tm_gpr", KVM_REG_PPC_TM_GPR0, 32},
	{"tm_vsr", KVM_REG_PPC_TM_VSR0, 64},
	{"tm_cr", KVM_REG_PPC_TM_CR, 1},
	{"tm_lr", KVM_REG_PPC_TM_LR, 1},
	{"tm_ctr", KVM_REG_PPC_TM_CTR, 1},
	{"tm_fpscr", KVM_REG_PPC_TM_FPSCR, 1},
	{"tm_amr", KVM_REG_PPC_TM_AMR, 1},
	{"tm_ppr", KVM_REG_PPC_TM_PPR, 1},
	{"tm_vrsave", KVM_REG_PPC_TM_VRSAVE, 1},
	{"tm_vscr", KVM_REG_PPC_TM_VSCR, 1},
	{"tm_dscr", KVM_REG_PPC_TM_DSCR, 1},
	{"tm_tar", KVM_REG_PPC_TM_TAR, 1},
	{"tm_xer", KVM_REG_PPC_TM_XER, 1},
};

/* Of Book E processors, beside what KVM_GET_SREGS has. */
static const struct reg_name booke[] = {
	{"iac", KVM_REG_PPC_IAC1, 4},	 {"dac", KVM_REG_PPC_DAC1, 2},	{"dbsr", KVM_REG_PPC_DBSR, 1},
	{"sprg9", KVM_REG_PPC_SPRG9, 1}, {"epcr", KVM_REG_PPC_EPCR, 1},
};

/* Of 4, 8 or 16 bytes; the words of a long one are in the host's byte order, the first being the first. */
union value {
	u32 w;
	u64 d[2];
};

static u32 reg_size(u64 id)
{
	return 1u << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

static void walk_value(struct state *s, const char *name, u64 id, union value *v)
{
	char second[24];

	if (reg_size(id) == 4) {
		state_u32(s, name, &v->w);
		return;
	}
	state_u64(s, name, &v->d[0]);
	if (reg_size(id) > 8) {
		snprintf(second, sizeof(second), "%s_2", name);
		state_u64(s, second, &v->d[1]);
	}
}

static void walk_out(struct vcpu *vcpu, struct state *s, const char *name, u64 id)
{
	union value v = {.d = {0}};
	int err = ppc_get_reg(vcpu->fd, id, &v);
	bool there = !err;

	/* EINVAL: this KVM has no such register; ENXIO: this processor. */
	if (err && err != -EINVAL && err != -ENXIO) {
		state_fail(s, err, name, "KVM_GET_ONE_REG: %s", strerror(-err));
		return;
	}
	if (!state_printing(s))
		state_bool(s, name, &there);
	if (there)
		walk_value(s, name, id, &v);
}

/* A register that is what it has to be is left alone: some take no value, not even their own. */
static void walk_in(struct vcpu *vcpu, struct state *s, const char *name, u64 id)
{
	union value v = {.d = {0}}, now = {.d = {0}};
	bool there = false;
	int err;

	state_bool(s, name, &there);
	if (s->err || !there)
		return;
	walk_value(s, name, id, &v);
	if (s->err)
		return;
	err = ppc_get_reg(vcpu->fd, id, &now);
	if (!err && memcmp(&now, &v, sizeof(v)))
		err = ppc_set_reg(vcpu->fd, id, &v);
	if (err)
		state_fail(s, err, name, "this host's vCPU does not take it: %s", strerror(-err));
}

static void walk_table(struct vcpu *vcpu, struct state *s, const struct reg_name *table, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		for (u32 j = 0; j < table[i].count && !s->err; j++) {
			char name[20];

			if (table[i].count > 1)
				snprintf(name, sizeof(name), "%s%u", table[i].name, j);
			else
				snprintf(name, sizeof(name), "%s", table[i].name);
			if (state_reading(s))
				walk_in(vcpu, s, name, table[i].id + j);
			else
				walk_out(vcpu, s, name, table[i].id + j);
		}
	}
}

/* KVM's structure has them without names for the most part. */
void ppc_regs_state(struct state *s, struct kvm_regs *regs)
{
	struct {
		const char *name;
		__u64 *reg;
	} named[] = {
		{"pc", &regs->pc},	 {"msr", &regs->msr},	  {"cr", &regs->cr},
		{"lr", &regs->lr},	 {"ctr", &regs->ctr},	  {"xer", &regs->xer},
		{"srr0", &regs->srr0},	 {"srr1", &regs->srr1},	  {"pid", &regs->pid},
		{"sprg0", &regs->sprg0}, {"sprg1", &regs->sprg1}, {"sprg2", &regs->sprg2},
		{"sprg3", &regs->sprg3}, {"sprg4", &regs->sprg4}, {"sprg5", &regs->sprg5},
		{"sprg6", &regs->sprg6}, {"sprg7", &regs->sprg7},
	};
	char name[8];
	u64 v;

	for (u32 i = 0; i < ARRAY_SIZE(named); i++) {
		v = *named[i].reg;
		state_u64(s, named[i].name, &v);
		*named[i].reg = v;
	}
	for (u32 i = 0; i < ARRAY_SIZE(regs->gpr); i++) {
		snprintf(name, sizeof(name), "r%u", i);
		v = regs->gpr[i];
		state_u64(s, name, &v);
		regs->gpr[i] = v;
	}
}

static void walk_regs(struct vcpu *vcpu, struct state *s)
{
	struct kvm_regs regs;
	int err = kvm_ioctl(vcpu->fd, KVM_GET_REGS, &regs);

	if (err < 0) {
		state_fail(s, err, "registers", "KVM_GET_REGS: %s", strerror(-err));
		return;
	}
	ppc_regs_state(s, &regs);
	if (!state_reading(s) || s->err)
		return;
	err = kvm_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
	if (err < 0)
		state_fail(s, err, "registers", "KVM_SET_REGS: %s", strerror(-err));
}

int ppc_vcpu_state(struct vcpu *vcpu, struct state *s)
{
	state_begin(s, "registers", 1);
	walk_regs(vcpu, s);
	if (!s->err)
		walk_table(vcpu, s, book3s, ARRAY_SIZE(book3s));
	state_end(s);
	return s->err;
}

void ppc_booke_state(struct vcpu *vcpu, struct state *s)
{
	walk_table(vcpu, s, booke, ARRAY_SIZE(booke));
}

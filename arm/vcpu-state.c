/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's registers, printed for people, and as one walk that prints, saves and restores all that the kernel
 * lists (KVM_GET_REG_LIST, api.rst 4.84; the numbers of registers, 4.68).
 *
 * The vCPU is parked, or has crashed.
 */
#include "arm.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REG_BYTES_MAX 256 /* a Z register's slice */
#define REGS_MAX      4096
#define CORE(field)   (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))
#define SCTLR_M	      1u
#define CODE_WORDS    8

static const struct {
	const char *name;
	u64 id;
} named[] = {
	{"sp_el0", CORE(regs.sp)},
	{"pc", CORE(regs.pc)},
	{"pstate", CORE(regs.pstate)},
	{"sp_el1", CORE(sp_el1)},
	{"elr_el1", CORE(elr_el1)},
	{"spsr_el1", CORE(spsr[KVM_SPSR_EL1])},
	{"mpidr_el1", ARM64_SYS_REG(3, 0, 0, 0, 5)},
	{"sctlr_el1", ARM64_SYS_REG(3, 0, 1, 0, 0)},
	{"cpacr_el1", ARM64_SYS_REG(3, 0, 1, 0, 2)},
	{"ttbr0_el1", ARM64_SYS_REG(3, 0, 2, 0, 0)},
	{"ttbr1_el1", ARM64_SYS_REG(3, 0, 2, 0, 1)},
	{"tcr_el1", ARM64_SYS_REG(3, 0, 2, 0, 2)},
	{"esr_el1", ARM64_SYS_REG(3, 0, 5, 2, 0)},
	{"far_el1", ARM64_SYS_REG(3, 0, 6, 0, 0)},
	{"par_el1", ARM64_SYS_REG(3, 0, 7, 4, 0)},
	{"mair_el1", ARM64_SYS_REG(3, 0, 10, 2, 0)},
	{"vbar_el1", ARM64_SYS_REG(3, 0, 12, 0, 0)},
	{"contextidr_el1", ARM64_SYS_REG(3, 0, 13, 0, 1)},
	{"tpidr_el1", ARM64_SYS_REG(3, 0, 13, 0, 4)},
	{"tpidr_el0", ARM64_SYS_REG(3, 3, 13, 0, 2)},
	{"cntv_ctl_el0", KVM_REG_ARM_TIMER_CTL},
	{"cntv_cval_el0", KVM_REG_ARM_TIMER_CVAL},
	{"cntvct_el0", KVM_REG_ARM_TIMER_CNT},
};

/* ---- for people --------------------------------------------------------------------------------------- */

static u64 reg_of(const struct vcpu *vcpu, u64 id)
{
	u64 v = 0;

	return arm_get_reg(vcpu->fd, id, &v) ? 0 : v;
}

/* While the MMU is off, what pc says is a physical address. */
static void dump_code(const struct vcpu *vcpu, struct buf *out)
{
	u64 pc = reg_of(vcpu, CORE(regs.pc));
	u32 word;

	if (reg_of(vcpu, ARM64_SYS_REG(3, 0, 1, 0, 0)) & SCTLR_M)
		return;
	buf_printf(out, "code at pc");
	for (u32 i = 0; i < CODE_WORDS; i++) {
		if (guest_read(&vcpu->kvm->mem, pc + 4 * i, &word, sizeof(word)))
			break;
		buf_printf(out, " %08" PRIx32, word);
	}
	buf_printf(out, "\n");
}

void arm_vcpu_dump(struct vcpu *vcpu, struct buf *out)
{
	const u32 per_line = 3;
	u32 n = 0;

	for (u32 i = 0; i < 31; i++)
		buf_printf(out, "  x%-2u %016" PRIx64 "%s", i, reg_of(vcpu, CORE(regs.regs[0]) + 2 * i),
			   ++n % per_line ? "" : "\n");
	buf_printf(out, "\n");
	n = 0;
	for (u32 i = 0; i < ARRAY_SIZE(named); i++)
		buf_printf(out, "  %-14s %016" PRIx64 "%s", named[i].name, reg_of(vcpu, named[i].id),
			   ++n % per_line ? "" : "\n");
	buf_printf(out, "%s", n % per_line ? "\n" : "");
	dump_code(vcpu, out);
}

/* ---- the walk --------------------------------------------------------------------------------------------
 */

static u32 reg_size(u64 id)
{
	return 1u << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

/* "x17", "sctlr_el1", and the number itself for what has no name here. */
static void reg_name(u64 id, char *out, size_t room)
{
	u64 first = CORE(regs.regs[0]);

	for (u32 i = 0; i < ARRAY_SIZE(named); i++) {
		if (named[i].id == id) {
			snprintf(out, room, "%s", named[i].name);
			return;
		}
	}
	if (id >= first && id < first + 62 && !((id - first) & 1))
		snprintf(out, room, "x%u", (u32)(id - first) / 2);
	else if ((id & KVM_REG_ARM_COPROC_MASK) == KVM_REG_ARM64_SYSREG)
		snprintf(out, room, "s%u_%u_c%u_c%u_%u", (u32)(id >> 14 & 3), (u32)(id >> 11 & 7),
			 (u32)(id >> 7 & 15), (u32)(id >> 3 & 15), (u32)(id & 7));
	else
		snprintf(out, room, "reg_%" PRIx64, id & 0xfffffff);
}

/* All registers that the kernel lists: malloc'd, or NULL with the failure in s. */
static struct kvm_reg_list *list_regs(const struct vcpu *vcpu, struct state *s)
{
	struct kvm_reg_list probe = {.n = 0}, *list;
	int err = kvm_ioctl(vcpu->fd, KVM_GET_REG_LIST, &probe);

	if (err != -E2BIG || probe.n > REGS_MAX) {
		state_fail(s, err < 0 ? err : -EINVAL, "registers", "KVM_GET_REG_LIST: %s",
			   err < 0 ? strerror(-err) : "an odd count");
		return NULL;
	}
	list = calloc(1, sizeof(*list) + probe.n * sizeof(list->reg[0]));
	if (!list) {
		state_fail(s, -ENOMEM, "registers", "out of memory");
		return NULL;
	}
	list->n = probe.n;
	err = kvm_ioctl(vcpu->fd, KVM_GET_REG_LIST, list);
	if (err < 0) {
		state_fail(s, err, "registers", "KVM_GET_REG_LIST: %s", strerror(-err));
		free(list);
		return NULL;
	}
	return list;
}

static void walk_out(struct vcpu *vcpu, struct state *s)
{
	struct kvm_reg_list *list = list_regs(vcpu, s);
	u32 n = list ? (u32)list->n : 0;

	if (!list)
		return;
	if (!state_printing(s))
		state_u32(s, "count", &n);
	for (u32 i = 0; i < n && !s->err; i++) {
		u8 value[REG_BYTES_MAX] = {0};
		u64 id = list->reg[i], word;
		char name[32];
		int err;

		reg_name(id, name, sizeof(name));
		err = arm_get_reg(vcpu->fd, id, value);
		if (err) {
			state_fail(s, err, name, "KVM_GET_ONE_REG: %s", strerror(-err));
		} else if (state_printing(s) && reg_size(id) <= sizeof(word)) {
			memcpy(&word, value, sizeof(word));
			state_u64(s, name, &word);
		} else {
			if (!state_printing(s))
				state_u64(s, "id", &id);
			state_bytes(s, name, value, reg_size(id));
		}
	}
	free(list);
}

/* A register that is what it has to be is left alone: some take no value, not even their own. */
static void restore_reg(struct vcpu *vcpu, struct state *s)
{
	u8 value[REG_BYTES_MAX], now[REG_BYTES_MAX];
	char name[32];
	u64 id = 0;
	int err;

	state_u64(s, "id", &id);
	if (s->err)
		return;
	reg_name(id, name, sizeof(name));
	if (reg_size(id) > sizeof(value)) {
		state_fail(s, -EBADMSG, name, "a register of %u bytes", reg_size(id));
		return;
	}
	state_bytes(s, name, value, reg_size(id));
	if (s->err)
		return;
	err = arm_get_reg(vcpu->fd, id, now);
	if (!err && !memcmp(now, value, reg_size(id)))
		return;
	if (!err)
		err = arm_set_reg(vcpu->fd, id, value);
	if (err)
		state_fail(s, err, name, "this host's vCPU does not take it: %s", strerror(-err));
}

static void walk_in(struct vcpu *vcpu, struct state *s)
{
	u32 n = 0;

	state_u32(s, "count", &n);
	if (n > REGS_MAX)
		state_fail(s, -EBADMSG, "count", "%u registers", n);
	for (u32 i = 0; i < n && !s->err; i++)
		restore_reg(vcpu, s);
}

/* Whether it is powered on, and what exceptions wait for it. */
static void walk_events(struct vcpu *vcpu, struct state *s)
{
	struct kvm_vcpu_events ev = {0};
	struct kvm_mp_state mp = {0};
	int err = kvm_ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp);

	if (err >= 0)
		err = kvm_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &ev);
	if (err >= 0) {
		u64 esr = ev.exception.serror_esr;

		state_u32(s, "mp_state", &mp.mp_state);
		state_u8(s, "serror_pending", &ev.exception.serror_pending);
		state_u8(s, "serror_has_esr", &ev.exception.serror_has_esr);
		state_u64(s, "serror_esr", &esr);
		state_u8(s, "ext_dabt_pending", &ev.exception.ext_dabt_pending);
		ev.exception.serror_esr = esr;
	}
	if (err >= 0 && state_reading(s) && !s->err) {
		err = kvm_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &ev);
		if (err >= 0)
			err = kvm_ioctl(vcpu->fd, KVM_SET_MP_STATE, &mp);
	}
	if (err < 0)
		state_fail(s, err, "events", "%s", strerror(-err));
}

int arm_vcpu_state(struct vcpu *vcpu, struct state *s)
{
	state_begin(s, "registers", 1);
	if (state_reading(s))
		walk_in(vcpu, s);
	else
		walk_out(vcpu, s);
	walk_events(vcpu, s);
	state_end(s);
	return s->err;
}

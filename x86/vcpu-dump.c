/* SPDX-License-Identifier: MIT */
/*
 * An x86 vCPU's registers: as text for people (a crash, SIGUSR1, `lkvm debug`), and as a state walk. The vCPU
 * is parked, or it is its own thread that asks.
 */
#include "x86.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define CODE_BEFORE 16
#define CODE_AFTER  48

static void dump_segment(struct buf *out, const char *name, const struct kvm_segment *s)
{
	buf_printf(out,
		   "  %s  %04x  base %016" PRIx64
		   "  limit %08x  type %x s %u dpl %u p %u avl %u l %u db %u g %u\n",
		   name, s->selector, (u64)s->base, s->limit, s->type, s->s, s->dpl, s->present, s->avl, s->l,
		   s->db, s->g);
}

/* The bytes around the instruction pointer, the one at it in brackets; absent ones are left out. */
static void dump_code(struct vcpu *vcpu, struct buf *out, u64 linear)
{
	const struct guest_mem *mem = &vcpu->kvm->mem;
	u64 before = min_u64(linear, CODE_BEFORE), after = min_u64(UINT64_MAX - linear, CODE_AFTER - 1);

	buf_printf(out, "  code");
	for (u64 i = 0; i <= before + after; i++) {
		u64 at = linear - before + i;
		struct kvm_translation tr = {.linear_address = at};
		u8 byte;

		if (kvm_ioctl(vcpu->fd, KVM_TRANSLATE, &tr) < 0 || !tr.valid ||
		    guest_read(mem, tr.physical_address, &byte, 1))
			buf_printf(out, at == linear ? " <-->" : " --");
		else
			buf_printf(out, at == linear ? " <%02x>" : " %02x", byte);
	}
	buf_printf(out, "\n");
}

static void dump_emulation_failure(const struct kvm_run *run, struct buf *out)
{
	u32 size;

	if (run->exit_reason != KVM_EXIT_INTERNAL_ERROR ||
	    run->emulation_failure.suberror != KVM_INTERNAL_ERROR_EMULATION ||
	    run->emulation_failure.ndata < 1 ||
	    !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		return;
	size = run->emulation_failure.insn_size;
	buf_printf(out, "  instruction that failed:");
	for (u32 i = 0; i < size && i < sizeof(run->emulation_failure.insn_bytes); i++)
		buf_printf(out, " %02x", run->emulation_failure.insn_bytes[i]);
	buf_printf(out, "\n");
}

void x86_vcpu_dump(struct vcpu *vcpu, struct buf *out)
{
	struct kvm_regs r;
	struct kvm_sregs s;
	int err = kvm_ioctl(vcpu->fd, KVM_GET_REGS, &r);

	if (err >= 0)
		err = kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &s);
	if (err < 0) {
		buf_printf(out, "  its registers cannot be read: %s\n", strerror(-err));
		return;
	}
	buf_printf(out,
		   "  rip %016" PRIx64 "  rsp %016" PRIx64 "  rflags %08" PRIx64 "\n"
		   "  rax %016" PRIx64 "  rbx %016" PRIx64 "  rcx %016" PRIx64 "  rdx %016" PRIx64 "\n"
		   "  rsi %016" PRIx64 "  rdi %016" PRIx64 "  rbp %016" PRIx64 "  r8  %016" PRIx64 "\n"
		   "  r9  %016" PRIx64 "  r10 %016" PRIx64 "  r11 %016" PRIx64 "  r12 %016" PRIx64 "\n"
		   "  r13 %016" PRIx64 "  r14 %016" PRIx64 "  r15 %016" PRIx64 "\n",
		   (u64)r.rip, (u64)r.rsp, (u64)r.rflags, (u64)r.rax, (u64)r.rbx, (u64)r.rcx, (u64)r.rdx,
		   (u64)r.rsi, (u64)r.rdi, (u64)r.rbp, (u64)r.r8, (u64)r.r9, (u64)r.r10, (u64)r.r11,
		   (u64)r.r12, (u64)r.r13, (u64)r.r14, (u64)r.r15);
	buf_printf(out,
		   "  cr0 %08" PRIx64 "  cr2 %016" PRIx64 "  cr3 %016" PRIx64 "  cr4 %08" PRIx64
		   "  cr8 %" PRIx64 "  efer %" PRIx64 "  apic base %" PRIx64 "\n",
		   (u64)s.cr0, (u64)s.cr2, (u64)s.cr3, (u64)s.cr4, (u64)s.cr8, (u64)s.efer, (u64)s.apic_base);
	dump_segment(out, "cs", &s.cs);
	dump_segment(out, "ss", &s.ss);
	dump_segment(out, "ds", &s.ds);
	dump_segment(out, "es", &s.es);
	dump_segment(out, "fs", &s.fs);
	dump_segment(out, "gs", &s.gs);
	dump_segment(out, "tr", &s.tr);
	dump_segment(out, "ldt", &s.ldt);
	buf_printf(out, "  gdt  base %016" PRIx64 "  limit %04x    idt  base %016" PRIx64 "  limit %04x\n",
		   (u64)s.gdt.base, s.gdt.limit, (u64)s.idt.base, s.idt.limit);
	dump_emulation_failure(vcpu->run, out);
	/* In 64-bit code segment bases do not count. */
	dump_code(vcpu, out, s.cs.l ? r.rip : s.cs.base + r.rip);
}

/* ---- state ---------------------------------------------------------------------------------- */

static void state_segment(struct state *st, const char *name, struct kvm_segment *s)
{
	u64 base = s->base;

	state_begin(st, name, 1);
	state_u16(st, "selector", &s->selector);
	state_u64(st, "base", &base);
	s->base = base;
	state_u32(st, "limit", &s->limit);
	state_u8(st, "type", &s->type);
	state_u8(st, "present", &s->present);
	state_u8(st, "dpl", &s->dpl);
	state_u8(st, "db", &s->db);
	state_u8(st, "s", &s->s);
	state_u8(st, "l", &s->l);
	state_u8(st, "g", &s->g);
	state_u8(st, "avl", &s->avl);
	state_u8(st, "unusable", &s->unusable);
	state_end(st);
}

static void walk_regs(struct state *st, struct kvm_regs *r)
{
	static const char *const names[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8",
					    "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rflags"};
	u64 value[ARRAY_SIZE(names)];

	/* struct kvm_regs is these eighteen, in this order. */
	_Static_assert(sizeof(*r) == sizeof(value), "struct kvm_regs");
	memcpy(value, r, sizeof(value));
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		state_u64(st, names[i], &value[i]);
	memcpy(r, value, sizeof(value));
}

static void walk_sregs(struct state *st, struct kvm_sregs *s)
{
	struct {
		const char *name;
		__u64 *v;
	} control[] = {{"cr0", &s->cr0},
		       {"cr2", &s->cr2},
		       {"cr3", &s->cr3},
		       {"cr4", &s->cr4},
		       {"cr8", &s->cr8},
		       {"efer", &s->efer},
		       {"apic_base", &s->apic_base},
		       {"gdt_base", &s->gdt.base},
		       {"idt_base", &s->idt.base}};

	for (u32 i = 0; i < ARRAY_SIZE(control); i++) {
		u64 v = *control[i].v;

		state_u64(st, control[i].name, &v);
		*control[i].v = v;
	}
	state_u16(st, "gdt_limit", &s->gdt.limit);
	state_u16(st, "idt_limit", &s->idt.limit);
	state_segment(st, "cs", &s->cs);
	state_segment(st, "ss", &s->ss);
	state_segment(st, "ds", &s->ds);
	state_segment(st, "es", &s->es);
	state_segment(st, "fs", &s->fs);
	state_segment(st, "gs", &s->gs);
	state_segment(st, "tr", &s->tr);
	state_segment(st, "ldt", &s->ldt);
}

/* General and system registers and the run state. */
int x86_vcpu_state(struct vcpu *vcpu, struct state *st)
{
	struct kvm_regs regs = {0};
	struct kvm_sregs sregs = {0};
	struct kvm_mp_state mp = {0};
	int err = kvm_ioctl(vcpu->fd, KVM_GET_REGS, &regs);

	if (err >= 0)
		err = kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs);
	if (err >= 0)
		err = kvm_ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp);
	if (err < 0)
		return err;
	state_begin(st, "registers", 1);
	walk_regs(st, &regs);
	walk_sregs(st, &sregs);
	state_u32(st, "mp_state", &mp.mp_state);
	state_end(st);
	if (!state_reading(st) || st->err)
		return st->err;
	err = kvm_ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
	if (err >= 0)
		err = kvm_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
	if (err >= 0)
		err = kvm_ioctl(vcpu->fd, KVM_SET_MP_STATE, &mp);
	return err < 0 ? err : 0;
}

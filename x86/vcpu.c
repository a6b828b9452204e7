/* SPDX-License-Identifier: MIT */
/*
 * An x86 vCPU: its CPUID and model-specific registers when it is made, its registers for the start that the
 * boot protocol asks for, and the exits that only x86 has. SDM volume 3A, chapters 3, 9 and 11.
 */
#include "layout.h"
#include "x86.h"
#include <errno.h>
#include <inttypes.h>
#include <lkvm/config.h>
#include <string.h>

#define MSR_IA32_MISC_ENABLE  0x1a0
#define MISC_FAST_STRINGS     0x1
#define MSR_MTRR_DEF_TYPE     0x2ff
#define MTRR_ENABLE_WRITEBACK 0x806

#define CR0_PE	 0x1ull
#define CR0_ET	 0x10ull
#define CR0_PG	 0x80000000ull
#define CR4_PAE	 0x20ull
#define EFER_LME 0x100ull
#define EFER_LMA 0x400ull

#define APIC_BASE_X2APIC 0x400ull
#define APIC_BASE_ENABLE 0x800ull
#define APIC_LVT0	 0x350
#define APIC_LVT1	 0x360
#define APIC_MODE_NMI	 0x400u
#define APIC_MODE_EXTINT 0x700u

/* GDT slots of the boot GDT: __BOOT_CS and __BOOT_DS of the Linux boot protocol. */
#define SEL_CODE 0x10
#define SEL_DATA 0x18
#define SEL_TSS	 0x20

u32 x86_vcpu_id(const struct kvm *kvm, u32 index)
{
	return index;
}

static int set_msrs(struct vcpu *vcpu)
{
	static const struct kvm_msr_entry entries[] = {
		{.index = MSR_IA32_MISC_ENABLE, .data = MISC_FAST_STRINGS},
		/* Memory is write-back by default: Linux complains of firmware that leaves MTRRs off. */
		{.index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE_WRITEBACK},
	};
	u64 room[(sizeof(struct kvm_msrs) + sizeof(entries)) / sizeof(u64)];
	struct kvm_msrs *msrs = (void *)room;
	int done;

	*msrs = (struct kvm_msrs){.nmsrs = ARRAY_SIZE(entries)};
	memcpy(msrs->entries, entries, sizeof(entries));
	done = kvm_ioctl(vcpu->fd, KVM_SET_MSRS, msrs);
	if (done == ARRAY_SIZE(entries))
		return 0;
	log_error("vcpu %u: KVM_SET_MSRS: %s", vcpu->index,
		  done < 0 ? strerror(-done) : "a register is unknown");
	return done < 0 ? done : -EINVAL;
}

static void lapic_set(struct kvm_lapic_state *lapic, u32 reg, u32 value)
{
	memcpy(lapic->regs + reg, &value, sizeof(value));
}

/* Virtual wire mode, as firmware leaves it: the PIC on LINT0, NMI on LINT1. MP specification 3.6.2.2. */
static int set_lints(struct vcpu *vcpu)
{
	struct kvm_lapic_state lapic;
	int err = kvm_ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic);

	if (err >= 0) {
		lapic_set(&lapic, APIC_LVT0, APIC_MODE_EXTINT);
		lapic_set(&lapic, APIC_LVT1, APIC_MODE_NMI);
		err = kvm_ioctl(vcpu->fd, KVM_SET_LAPIC, &lapic);
	}
	if (err < 0)
		log_error("vcpu %u: its local APIC: %s", vcpu->index, strerror(-err));
	return err < 0 ? err : 0;
}

int x86_vcpu_init(struct vcpu *vcpu)
{
	int err = 0;

	if (!x86_of(vcpu->kvm)->cpuid) {
		int khz = kvm_ioctl(vcpu->fd, KVM_GET_TSC_KHZ, NULL);

		x86_of(vcpu->kvm)->tsc_khz = khz > 0 ? (u32)khz : 0;
		err = x86_cpuid_init(vcpu->kvm);
	}
	if (!err)
		err = x86_cpuid_apply(vcpu);
	if (!err)
		err = set_msrs(vcpu);
	return err;
}

void x86_vcpu_free(struct vcpu *vcpu)
{
	/* Nothing of its own. */
}

/* ---- the start ------------------------------------------------------------------------------ */

static struct kvm_segment segment(u16 selector, u64 base, u32 limit, u8 type, bool s, bool db, bool l, bool g)
{
	return (struct kvm_segment){.selector = selector,
				    .base = base,
				    .limit = limit,
				    .type = type,
				    .present = 1,
				    .s = s,
				    .db = db,
				    .l = l,
				    .g = g};
}

static void set_segments(struct kvm_sregs *sregs, const struct kvm_segment *code,
			 const struct kvm_segment *data)
{
	sregs->cs = *code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = *data;
}

static void start_real(struct kvm_sregs *sregs, const struct x86_start *start)
{
	u64 base = (u64)start->selector << 4;
	struct kvm_segment code = segment(start->selector, base, 0xffff, 11, true, false, false, false);
	struct kvm_segment data = segment(start->selector, base, 0xffff, 3, true, false, false, false);

	set_segments(sregs, &code, &data);
	sregs->ss = segment(start->stack, (u64)start->stack << 4, 0xffff, 3, true, false, false, false);
}

static void start_flat(struct kvm_sregs *sregs, bool long_mode)
{
	struct kvm_segment code = segment(SEL_CODE, 0, 0xffffffff, 11, true, !long_mode, long_mode, true);
	struct kvm_segment data = segment(SEL_DATA, 0, 0xffffffff, 3, true, true, false, true);

	set_segments(sregs, &code, &data);
	sregs->tr = segment(SEL_TSS, 0, 0x67, 11, false, false, false, false);
	sregs->gdt.base = X86_BOOT_GDT;
	sregs->gdt.limit = 5 * 8 - 1;
	sregs->idt.base = 0;
	sregs->idt.limit = 0;
	sregs->cr0 = CR0_PE | CR0_ET;
	if (long_mode) {
		sregs->cr3 = X86_BOOT_PGTABLE;
		sregs->cr4 = CR4_PAE;
		sregs->efer = EFER_LME | EFER_LMA;
		sregs->cr0 |= CR0_PG;
	}
}

/*
 * Where some APIC id does not fit into 8 bits, firmware switches every local APIC to x2APIC mode before it
 * hands over: Linux ignores such processors otherwise. SDM volume 3A, 11.12.1.
 */
static int enable_x2apic(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;
	int err = kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs);

	if (err >= 0) {
		sregs.apic_base |= APIC_BASE_ENABLE | APIC_BASE_X2APIC;
		err = kvm_ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
	}
	if (err < 0)
		log_error("vcpu %u: cannot switch its local APIC to x2APIC mode: %s", vcpu->index,
			  strerror(-err));
	return err < 0 ? err : 0;
}

int x86_vcpu_reset(struct vcpu *vcpu)
{
	const struct x86_start *start = &x86_of(vcpu->kvm)->start;
	struct kvm_regs regs = {.rflags = 2,
				.rip = start->ip,
				.rsp = start->sp,
				.rax = start->ax,
				.rbx = start->bx,
				.rsi = start->si};
	struct kvm_sregs sregs;
	int err;

	/* The others wait for INIT and SIPI, as KVM makes them. */
	if (vcpu->index)
		return x86_of(vcpu->kvm)->x2apic_ids ? enable_x2apic(vcpu) : 0;
	err = set_lints(vcpu);
	if (!err && x86_of(vcpu->kvm)->x2apic_ids)
		err = enable_x2apic(vcpu);
	if (err)
		return err;
	err = kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs);
	if (err >= 0) {
		if (start->mode == X86_START_REAL)
			start_real(&sregs, start);
		else
			start_flat(&sregs, start->mode == X86_START_LONG64);
		err = kvm_ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
	}
	if (err >= 0)
		err = kvm_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
	if (err >= 0 && vcpu->kvm->cfg->debug_single_step) {
		struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP};

		err = kvm_ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
	}
	if (err < 0)
		log_error("vcpu %u: cannot set its registers: %s", vcpu->index, strerror(-err));
	return err < 0 ? err : 0;
}

/* ---- exits ---------------------------------------------------------------------------------- */

static void single_step(struct vcpu *vcpu)
{
	struct buf out = {0};

	x86_vcpu_dump(vcpu, &out);
	log_print(NULL, LOG_WARN, "vcpu %u: step at 0x%" PRIx64 "\n%s", vcpu->index,
		  (u64)vcpu->run->debug.arch.pc, out.data ? (const char *)out.data : "");
	buf_free(&out);
}

int x86_vcpu_exit(struct vcpu *vcpu)
{
	const struct irqchip_ops *chip = vcpu->kvm->irqchip.ops;

	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IOAPIC_EOI:
		if (chip->eoi)
			chip->eoi(&vcpu->kvm->irqchip, vcpu->run->eoi.vector);
		return 1;
	case KVM_EXIT_DEBUG:
		single_step(vcpu);
		return 1;
	case KVM_EXIT_SET_TPR:
		return 1;
	}
	return 0;
}

int x86_vcpu_nmi(struct vcpu *vcpu)
{
	int err = kvm_ioctl(vcpu->fd, KVM_NMI, NULL);

	return err < 0 ? err : 0;
}

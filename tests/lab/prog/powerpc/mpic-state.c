/* SPDX-License-Identifier: MIT */
/*
 * mpic-state CHIP: the state of the MPIC on the real KVM. In VM A sources are set up and triggered in the
 * guest's place, by registers; A's MPIC is saved, twice, and must give the same bytes. In VM B, of the same
 * config, they are restored and saved again, and must be the same; and what pended in A pends in B: each vCPU
 * takes its interrupts there, in the order of their priorities, and no more than those. State of another
 * number of vCPUs is refused.
 *
 * Says "ok TEXT", "not ok TEXT", "# TEXT", and "done" at the end, as payloads do.
 */
#include "chip.h"

#include <errno.h>
#include <lkvm/kvm-device.h>
#include <powerpc/e500-layout.h>

enum {
	REG_SPURIOUS = 0x10e0,
	REG_IPI = 0x10a0,
	REG_MSIIR = 0x1740,
	REG_SOURCE = 0x10000, /* 0x20 each: vector and priority; at 0x10 the destination */
	REG_CPU = 0x20000,    /* 0x1000 each */
	CPU_IPI = 0x40,
	CPU_PRIORITY = 0x80,
	CPU_TAKE = 0xa0,
	CPU_END = 0xb0,
};

#define MASKED	   0x80000000u
#define LEVEL	   E500_IRQ_TESTDEV
#define EDGE	   3u /* an external pin, by edge until a guest says otherwise */
#define NOT_HEARD  E500_IRQ_SCRATCH
#define MSI_GROUP  5u
#define MSI_SOURCE (E500_IRQ_MSI + MSI_GROUP)
#define SPURIOUS   0xfffeu

/* ---- the guest's place --------------------------------------------------------------------------------- */

static int device_fd(struct kvm *kvm)
{
	/* struct mpic begins with it. */
	return *(const int *)kvm->irqchip.priv;
}

static u32 reg_get(struct kvm *kvm, u32 offset)
{
	u32 v = 0;

	if (kvm_attr_get(device_fd(kvm), KVM_DEV_MPIC_GRP_REGISTER, offset, &v))
		result(false, "register 0x%x can be read", offset);
	return v;
}

static void reg_set(struct kvm *kvm, u32 offset, u32 v)
{
	if (kvm_attr_set(device_fd(kvm), KVM_DEV_MPIC_GRP_REGISTER, offset, &v))
		result(false, "register 0x%x can be written", offset);
}

static void source(struct kvm *kvm, u32 n, u32 cpu, u32 priority, u32 flags)
{
	reg_set(kvm, REG_SOURCE + n * 0x20 + 0x10, 1u << cpu);
	reg_set(kvm, REG_SOURCE + n * 0x20, flags | priority << 16 | n);
}

static void message(struct kvm *kvm, u32 bit)
{
	reg_set(kvm, REG_MSIIR, MSI_GROUP << 29 | bit << 24);
}

static void work(struct kvm *kvm)
{
	reg_set(kvm, REG_SPURIOUS, SPURIOUS);
	reg_set(kvm, REG_IPI, 9 << 16 | 0x300);
	for (u32 cpu = 0; cpu < 2; cpu++)
		reg_set(kvm, REG_CPU + cpu * 0x1000 + CPU_PRIORITY, 0);
	source(kvm, LEVEL, 1, 5, 0);
	source(kvm, EDGE, 0, 6, 0);
	source(kvm, NOT_HEARD, 0, 7, MASKED);
	source(kvm, MSI_SOURCE, 0, 8, 0);
	chip_line(kvm, LEVEL, true);
	chip_line(kvm, EDGE, true);
	chip_line(kvm, EDGE, false);
	chip_line(kvm, NOT_HEARD, true);
	message(kvm, 3);
	message(kvm, 17);
	/* To both. */
	reg_set(kvm, REG_CPU + CPU_IPI, 3);
}

/* Takes the next interrupt, which must be that one, and is done with it. */
static void takes(struct kvm *kvm, u32 cpu, u32 vector)
{
	u32 at = REG_CPU + cpu * 0x1000, got = reg_get(kvm, at + CPU_TAKE);

	result(got == vector, "CPU %u takes interrupt 0x%x: 0x%x", cpu, vector, got);
	if (got == LEVEL)
		chip_line(kvm, LEVEL, false);
	if (got == MSI_SOURCE) {
		u32 bits = reg_get(kvm, 0x1600 + MSI_GROUP * 0x10);

		result(bits == (1u << 3 | 1u << 17), "its messages are those that were sent: 0x%x", bits);
	}
	if (got != SPURIOUS)
		reg_set(kvm, at + CPU_END, 0);
}

static void goes_on(struct kvm *kvm)
{
	takes(kvm, 0, 0x300);
	takes(kvm, 0, MSI_SOURCE);
	takes(kvm, 0, EDGE);
	takes(kvm, 0, SPURIOUS);
	takes(kvm, 1, 0x300);
	takes(kvm, 1, LEVEL);
	takes(kvm, 1, SPURIOUS);
	/* High all the time: it comes when it is let. */
	source(kvm, NOT_HEARD, 0, 7, 0);
	takes(kvm, 0, NOT_HEARD);
	chip_line(kvm, NOT_HEARD, false);
	takes(kvm, 0, SPURIOUS);
}

int main(int argc, char **argv)
{
	struct buf first, again, after;
	struct kvm *a, *b, *other;
	const char *chip;

	if (argc != 2)
		return 2;
	chip = argv[1];
	a = chip_vm(chip, "a", "2");
	work(a);
	chip_print(a);
	first = chip_save(a);
	again = chip_save(a);
	result(chip_same(&first, &again), "saved twice, it is the same");
	b = chip_vm(chip, "b", "2");
	kvm_down(a);
	result(!chip_restore(b, &first), "it is restored into another VM");
	after = chip_save(b);
	result(chip_same(&first, &after), "saved from there, it is the same");
	chip_print(b);
	goes_on(b);
	/* A VM that has interrupts of its own on their way forgets them. */
	work(b);
	source(b, EDGE + 1, 1, 9, 0);
	chip_line(b, EDGE + 1, true);
	result(!chip_restore(b, &first), "it is restored over others");
	goes_on(b);
	kvm_down(b);
	other = chip_vm(chip, "other", "1");
	result(chip_restore(other, &first) == -EINVAL, "a VM of one vCPU does not take it");
	kvm_down(other);
	return finish();
}

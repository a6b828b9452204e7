// SPDX-License-Identifier: MIT
/* What the vectors call: interrupts go to their handler, faults that were expected back to where they were.
 */
#include "guest.h"

#define VECTOR_SYNC 4 /* from EL1 with its own stack pointer */
#define VECTOR_IRQ  5

/* rt/vectors.S */
struct way_back {
	u64 pc, sp;
};
bool probe(void (*access)(ulong arg), ulong arg, struct way_back *back);
void exception(struct frame *frame, u32 vector);

void (*irq_handler)(void);

/* Of the one vCPU that is in faults(). */
static struct way_back back;
static volatile bool expected;
static u64 last_esr, last_far;

void exception(struct frame *frame, u32 vector)
{
	static const char *const kind[] = {"synchronous exception", "interrupt", "fast interrupt", "SError"};

	if (vector == VECTOR_IRQ && irq_handler) {
		irq_handler();
		return;
	}
	if (vector == VECTOR_SYNC && expected) {
		expected = false;
		/* KVM's own aborts have the upper half set (Linux 6.1), which is reserved there. */
		last_esr = (u32)read_sysreg("esr_el1");
		last_far = read_sysreg("far_el1");
		frame->elr = back.pc;
		frame->x[0] = back.sp;
		return;
	}
	printf("not ok no exception\n# vCPU %u: %s (vector %u): esr 0x%lx, far 0x%lx, pc 0x%lx, lr 0x%lx\n",
	       cpu_index(), kind[vector & 3], vector, read_sysreg("esr_el1"), read_sysreg("far_el1"),
	       frame->elr, frame->x[30]);
	exit_with(99);
}

bool faults(void (*access)(ulong arg), ulong arg, u64 *esr, u64 *far)
{
	bool faulted;

	expected = true;
	faulted = probe(access, arg, &back);
	expected = false;
	*esr = last_esr;
	*far = last_far;
	return faulted;
}

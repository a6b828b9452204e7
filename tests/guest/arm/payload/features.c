// SPDX-License-Identifier: MIT
/*
 * What the processor can do beyond Armv8.0, tried: SVE's longest vector, pointer authentication, memory tags,
 * and whether the performance counters count cycles. Words say which there must be ("sve", "pauth",
 * "mte", "pmu"); facts say the numbers, for the case to compare with the options. Instructions are given as
 * numbers, so that any assembler takes them.
 */
#include "guest.h"

#define FIELD(reg, shift) ((u32)(read_sysreg(reg) >> (shift)) & 0xf)

#define CPU_CYCLES 0x11

static void sve(void)
{
	u64 bytes;

	check_eq(FIELD("id_aa64pfr0_el1", 32) != 0, has_word("sve"), "SVE is there as it should be");
	if (!has_word("sve"))
		return;
	write_sysreg("cpacr_el1", read_sysreg("cpacr_el1") | 3ul << 16 | 3ul << 20);
	write_sysreg("s3_0_c1_c2_0", 0xf); /* ZCR_EL1.LEN: as long as there are */
	asm volatile(".inst 0x04bf5020\n\tmov %0, x0" : "=r"(bytes) : : "x0"); /* rdvl x0, #1 */
	printf("= vector %lu\n", bytes * 8);
	asm volatile(".inst 0x25d8e3e0" : : : "memory"); /* ptrue p0.d */
}

static u64 sign(u64 pointer, u64 context)
{
	register u64 x0 asm("x0") = pointer;
	register u64 x1 asm("x1") = context;

	asm volatile(".inst 0xdac10020" : "+r"(x0) : "r"(x1)); /* pacia x0, x1 */
	return x0;
}

static u64 strip(u64 pointer, u64 context)
{
	register u64 x0 asm("x0") = pointer;
	register u64 x1 asm("x1") = context;

	asm volatile(".inst 0xdac11020" : "+r"(x0) : "r"(x1)); /* autia x0, x1 */
	return x0;
}

static void pauth(void)
{
	u64 pointer = RAM + 0x1230, once, moved = 0;

	check_eq((read_sysreg("id_aa64isar1_el1") & 0xff0) != 0, has_word("pauth"),
		 "pointer authentication is there as it should be");
	if (!has_word("pauth"))
		return;
	write_sysreg("tcr_el1", 25); /* 39 bits of address; the others are free for a signature */
	write_sysreg("s3_0_c2_c1_0", 0x0123456789abcdeful);
	write_sysreg("s3_0_c2_c1_1", 0xfedcba9876543210ul);
	write_sysreg("sctlr_el1", read_sysreg("sctlr_el1") | 1ul << 31); /* EnIA */
	once = sign(pointer, 1);
	for (u64 i = 2; i < 10; i++)
		moved += sign(pointer, i) != once;
	check((once & 0x7ffffffffful) == pointer && moved, "a signature lies in the upper bits, by context");
	check_eq(strip(once, 1), pointer, "and is taken off again");
	check(strip(once ^ 1ul << 50, 1) != pointer, "which a wrong one is not");
	write_sysreg("s3_0_c2_c1_0", 1);
	check(sign(pointer, 1) != once, "another key signs otherwise");
}

static void mte(void)
{
	check_eq(((read_sysreg("id_aa64pfr1_el1") >> 8) & 0xf) >= 2, has_word("mte"),
		 "memory tagging is there as it should be");
	if (!has_word("mte"))
		return;
	write_sysreg("s3_0_c1_c0_6", 0xffff); /* GCR_EL1 can be written at all: HCR_EL2.ATA */
	check_eq(read_sysreg("s3_0_c1_c0_6") & 0xffff, 0xffff, "and its control register keeps a value");
}

/* Event counter 0 over a loop. */
static u64 count(u32 event)
{
	write_sysreg("pmcr_el0", 7); /* E, P, C: on, and all from 0 */
	write_sysreg("pmevtyper0_el0", event);
	write_sysreg("pmcntenset_el0", 1);
	for (u32 i = 0; i < 100000; i++)
		asm volatile("" : : : "memory");
	write_sysreg("pmcntenclr_el0", 1);
	return read_sysreg("pmevcntr0_el0");
}

static void pmu(void)
{
	u32 version = FIELD("id_aa64dfr0_el1", 8);

	check_eq(version != 0 && version != 0xf, has_word("pmu"),
		 "performance counters are there as they should be");
	if (!has_word("pmu"))
		return;
	printf("= cycles %s %s\n", read_sysreg("pmceid0_el0") >> CPU_CYCLES & 1 ? "named" : "hidden",
	       count(CPU_CYCLES) ? "counted" : "resting");
}

void main(void)
{
	sve();
	mte();
	pmu();
	/* Last, for it leaves its keys and the address size as they are. */
	pauth();
	finish();
}

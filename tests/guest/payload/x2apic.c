// SPDX-License-Identifier: MIT
/*
 * More CPUs than 8-bit APIC ids can tell apart ("cpus=N"): every local APIC is in x2APIC mode from the
 * start, as firmware leaves them then, and each CPU has a 32-bit id of its own.
 */
#include "smp.h"

#define MAX_CPUS 320

static volatile u32 id_seen[MAX_CPUS], not_x2apic, ids_wrong, done;

static bool in_x2apic_mode(void)
{
	return (rdmsr(0x1b) & 0xc00) == 0xc00;
}

static void look(void)
{
	u32 a, b, c, id;

	if (!in_x2apic_mode()) {
		atomic_add(&not_x2apic, 1);
		return;
	}
	cpuid(0x0b, 1, &a, &b, &c, &id);
	if (id != (u32)rdmsr(0x802) || id >= MAX_CPUS || atomic_add(&id_seen[id], 1))
		atomic_add(&ids_wrong, 1);
}

static void ap(u32 index)
{
	look();
	atomic_add(&done, 1);
}

void main(void)
{
	u32 cpus = option("cpus", 300), seen = 0;

	irq_init();
	check(in_x2apic_mode(), "our local APIC is in x2APIC mode");
	look();
	smp_start_x2apic(ap);
	for (u32 i = 0; i < 100 && done < cpus - 1; i++)
		smp_wait(cpus - 1);
	check_eq(done, cpus - 1, "all other CPUs start by one broadcast");
	check_eq(not_x2apic, 0, "each is in x2APIC mode");
	check_eq(ids_wrong, 0, "each has an id of its own, by CPUID and by its local APIC");
	for (u32 id = 0; id < MAX_CPUS; id++)
		seen += id_seen[id];
	check_eq(seen, cpus, "as many ids as CPUs");
	finish();
}

// SPDX-License-Identifier: MIT
/*
 * The other CPUs: started by INIT and start-up IPI, one by one or ("broadcast") all at once; "cpus=N" in all.
 * Each tells its APIC id, takes part in a locked count, and wakes from a halt by an IPI.
 */
#include "smp.h"

#define ROUNDS 500

static volatile u32 id_seen[16], ids_wrong, counted, halted, woken, go;

static void on_ipi(u32 vector)
{
	atomic_add(&woken, 1);
}

static void ap(u32 index)
{
	u32 id = smp_id();

	if (id != lapic_id() || id >= 16 || atomic_add(&id_seen[id], 1))
		atomic_add(&ids_wrong, 1);
	while (!go)
		cpu_relax();
	for (u32 i = 0; i < ROUNDS; i++)
		atomic_add(&counted, 1);
	lapic_enable();
	atomic_add(&halted, 1);
	safe_halt();
}

static bool wait_for(volatile u32 *what, u32 n)
{
	for (u32 i = 0; i < 2000000 && *what < n; i++)
		cpu_relax();
	return *what == n;
}

void main(void)
{
	u32 cpus = option("cpus", 2);
	bool one_by_one = true;

	irq_init();
	irq_eoi = EOI_LAPIC;
	irq_hook[0x31] = on_ipi;
	lapic_enable();
	check_eq(lapic_id(), 0, "we run on the CPU with APIC id 0");
	check_eq(rdmsr(0x1b) & 0x900, 0x900, "the bootstrap processor, its local APIC enabled");
	if (has_word("broadcast")) {
		smp_start(0xff, ap);
		check(smp_wait(cpus - 1), "all other CPUs start by one broadcast");
	} else {
		for (u32 id = 1; id < cpus; id++) {
			smp_start(id, ap);
			one_by_one = one_by_one && smp_wait(id);
			one_by_one = one_by_one && ap_count == id;
		}
		check(one_by_one, "each CPU starts when it is told, and no other");
	}
	go = 1;
	for (u32 i = 0; i < ROUNDS; i++)
		atomic_add(&counted, 1);
	check(wait_for(&counted, cpus * ROUNDS), "a locked count comes out right");
	check_eq(ids_wrong, 0, "each has an APIC id of its own, by CPUID and by its local APIC");
	check(wait_for(&halted, cpus - 1), "all are about to halt");
	for (u32 id = 1; id < cpus; id++)
		smp_send(id, 0x4031);
	check(wait_for(&woken, cpus - 1), "an IPI wakes each");
	check_eq(ap_count, cpus - 1, "as many CPUs as there should be");
	finish();
}

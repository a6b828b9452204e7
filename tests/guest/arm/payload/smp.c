// SPDX-License-Identifier: MIT
/*
 * PSCI's part for vCPUs (Arm DEN 0022): on, off, on again, and what is told of each; a locked count by all.
 */
#include "smp.h"

#define ROUNDS 2000
#define ON     0
#define OFF    1

static volatile u32 wrong, counted, holding, go, lives[MAX_CPUS];

static void once(u32 index)
{
	if (cpu_affinity() != boot.affinity[index] || read_sysreg("currentel") != 1 << 2 ||
	    (read_sysreg("daif") & 0x80) == 0)
		atomic_add(&wrong, 1);
	atomic_add(&lives[index], 1);
	atomic_add(&holding, 1);
	wait_for(go);
	for (u32 i = 0; i < ROUNDS; i++)
		atomic_add(&counted, 1);
	atomic_add(&holding, (u32)-1);
}

static long affinity_info(u32 index)
{
	return psci(PSCI_AFFINITY_INFO, boot.affinity[index], 0, 0);
}

static bool all_are(long state)
{
	for (u32 i = 1; i < boot.nr_cpus; i++)
		if (affinity_info(i) != state)
			return false;
	return true;
}

static void one_life(u32 life)
{
	bool each = true, states = true;

	holding = go = counted = 0;
	for (u32 i = 1; i < boot.nr_cpus; i++) {
		each = each && smp_start(i, once) == PSCI_SUCCESS;
		each = each && wait_for(holding == i);
		states = states && affinity_info(i) == ON;
		for (u32 j = i + 1; j < boot.nr_cpus; j++)
			states = states && affinity_info(j) == OFF;
	}
	check(each, "each vCPU starts when it is told, and no other");
	check(states, "AFFINITY_INFO tells those that are on from those that are off");
	check_eq((u64)smp_start(boot.nr_cpus - 1, once), (u64)(boot.nr_cpus > 1 ? PSCI_ALREADY_ON : -4),
		 "a vCPU that is on cannot be switched on");
	go = 1;
	for (u32 i = 0; i < ROUNDS; i++)
		atomic_add(&counted, 1);
	check(wait_for(counted == boot.nr_cpus * ROUNDS), "a locked count comes out right");
	check(wait_for(all_are(OFF)), "each switches itself off");
	for (u32 i = 1; i < boot.nr_cpus; i++)
		each = each && lives[i] == life;
	check(each, "each has run as often as it was started");
}

void main(void)
{
	long version = psci(PSCI_VERSION, 0, 0, 0);

	printf("= psci 0x%lx\n= cpus %u\n", (u64)version, boot.nr_cpus);
	check(version >= 0x10000, "PSCI is 1.0 or later");
	check_eq((u64)psci(PSCI_FEATURES, PSCI_CPU_ON, 0, 0), 0, "PSCI_FEATURES knows CPU_ON");
	check_eq((u64)psci(PSCI_FEATURES, PSCI_SYSTEM_RESET, 0, 0), 0, "and SYSTEM_RESET");
	check_eq((u64)psci(PSCI_FEATURES, 0x84001234, 0, 0), (u64)PSCI_NOT_SUPPORTED,
		 "and not what there is not");
	check_eq((u64)psci(0x84001234, 0, 0, 0), (u64)PSCI_NOT_SUPPORTED,
		 "which is not supported when called either");
	check_eq((u64)psci(PSCI_MIGRATE_TYPE, 0, 0, 0), 2, "no trusted OS is to be migrated");
	check(all_are(OFF), "all other vCPUs are off at first");
	check_eq((u64)affinity_info(0), ON, "and this one is on");
	check_eq((u64)psci(PSCI_AFFINITY_INFO, 0x00ff0000, 0, 0), (u64)PSCI_INVALID,
		 "of one that is not there: invalid");
	check_eq((u64)psci(PSCI_CPU_ON, 0x00ff0000, RAM, 0), (u64)PSCI_INVALID, "nor can it be switched on");
	check_eq((u64)psci(PSCI_CPU_ON, boot.affinity[0], RAM, 0), (u64)PSCI_ALREADY_ON,
		 "nor this one, for it is on");
	for (u32 life = 1; life <= 3; life++)
		one_life(life);
	check_eq(wrong, 0, "each found itself at EL1, with its own affinity, interrupts masked");
	finish();
}

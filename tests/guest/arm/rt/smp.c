// SPDX-License-Identifier: MIT
#include "smp.h"

/* rt/start.S */
void secondary_entry(void);
void secondary_main(u32 index);

volatile u32 smp_started;
static void (*volatile smp_fn)(u32 index);

void secondary_main(u32 index)
{
	void (*fn)(u32 index) = smp_fn;

	atomic_add(&smp_started, 1);
	fn(index);
	psci(PSCI_CPU_OFF, 0, 0, 0);
	halt();
}

long smp_start(u32 index, void (*fn)(u32 index))
{
	smp_fn = fn;
	dsb();
	return psci(PSCI_CPU_ON, boot.affinity[index], (ulong)secondary_entry, index);
}

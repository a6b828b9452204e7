// SPDX-License-Identifier: MIT
/*
 * SGIs between all vCPUs, two to eight: from each to each, itself included, from each to all others; pending
 * ones of several senders; a hundred there and back with both ends asleep. Counted exactly.
 */
#include "gic.h"
#include "smp.h"

#define MAX	 8
#define ORDER_ID 14 /* not counted: wakes a vCPU for an order */

static volatile u32 order[MAX]; /* 0: none; else 1 + the target, or ALL */
#define ALL 0x100
static volatile u32 order_id, senders_seen[MAX];
static volatile u32 online;
static volatile bool stop;

static u32 count(u32 cpu, u32 id)
{
	return irq_count[cpu][id];
}

static void obey(u32 cpu)
{
	u32 what = order[cpu];

	if (!what)
		return;
	if (what == ALL)
		gic->sgi_others(order_id);
	else
		gic->sgi(what - 1, order_id);
	order[cpu] = 0;
}

static void other_cpu(u32 index)
{
	gic_init_cpu();
	atomic_add(&online, 1);
	while (!stop) {
		safe_halt();
		obey(index);
	}
}

/* Has that vCPU send, and waits until it has. */
static bool command(u32 cpu, u32 what, u32 id)
{
	order_id = id;
	order[cpu] = what;
	if (cpu == 0)
		obey(0);
	else
		gic->sgi(cpu, ORDER_ID);
	return wait_irq(!order[cpu]);
}

static void from_each_to_each(void)
{
	bool all = true, exact = true;

	for (u32 from = 0; from < boot.nr_cpus; from++) {
		for (u32 to = 0; to < boot.nr_cpus; to++) {
			u32 id = (from + to) % 8, before[MAX];

			for (u32 cpu = 0; cpu < boot.nr_cpus; cpu++)
				before[cpu] = count(cpu, id);
			all = all && command(from, 1 + to, id) && wait_irq(count(to, id) == before[to] + 1);
			irq_settle();
			for (u32 cpu = 0; cpu < boot.nr_cpus; cpu++)
				if (count(cpu, id) != before[cpu] + (cpu == to)) {
					exact = false;
					printf("# %u to %u, SGI %u: %u on vCPU %u\n", from, to, id,
					       count(cpu, id) - before[cpu], cpu);
				}
		}
	}
	check(all, "an SGI from each vCPU to each, itself included");
	check(exact, "comes there and only there, once");
}

static void broadcasts(void)
{
	bool all = true, exact = true;

	for (u32 from = 0; from < boot.nr_cpus; from++) {
		u32 before[MAX];

		for (u32 cpu = 0; cpu < boot.nr_cpus; cpu++)
			before[cpu] = count(cpu, 9);
		all = all && command(from, ALL, 9);
		for (u32 cpu = 0; cpu < boot.nr_cpus; cpu++)
			if (cpu != from)
				all = all && wait_irq(count(cpu, 9) == before[cpu] + 1);
		irq_settle();
		for (u32 cpu = 0; cpu < boot.nr_cpus; cpu++)
			exact = exact && count(cpu, 9) == before[cpu] + (cpu != from);
	}
	check(all, "an SGI from each vCPU to all others");
	check(exact, "comes to each of them once, and not to its sender");
}

static void note_sender(u32 id, u32 ack)
{
	if (cpu_index() == 0)
		senders_seen[ack >> 10 & 7]++;
}

/* A GICv2 keeps an SGI pending for each sender; a GICv3 has one state for all. */
static void senders(void)
{
	u32 before = count(0, 11), seen = 0;

	irq_hook[11] = note_sender;
	gic->mask(0);
	for (u32 from = 0; from < boot.nr_cpus; from++)
		command(from, 1, 11);
	irq_settle();
	check_eq(count(0, 11), before, "the priority mask holds SGIs back");
	gic->mask(0xff);
	irq_settle();
	for (u32 cpu = 0; cpu < MAX; cpu++)
		seen += senders_seen[cpu] == 1;
	if (gic->version == 2) {
		check_eq(count(0, 11) - before, boot.nr_cpus, "GICv2: one for each sender");
		check_eq(seen, boot.nr_cpus, "GICv2: and each sender is told");
	} else {
		check_eq(count(0, 11) - before, 1, "GICv3: one, whoever and how many sent it");
		line_disable(11);
		gic->sgi(0, 11);
		irq_settle();
		check_eq(count(0, 11) - before, 1, "GICv3: a disabled SGI is silent");
		line_enable(11);
		irq_settle();
		check_eq(count(0, 11) - before, 2, "GICv3: and comes when it is enabled");
	}
	irq_hook[11] = NULL;
}

static void answer(u32 id, u32 ack)
{
	gic->sgi(0, 13);
}

static void ping_pong(void)
{
	u32 last = boot.nr_cpus - 1, there = count(last, 12), here = count(0, 13);

	irq_hook[12] = answer;
	for (u32 i = 1; i <= 100; i++) {
		gic->sgi(last, 12);
		while (count(0, 13) - here < i)
			safe_halt();
	}
	irq_settle();
	check_eq(count(last, 12) - there, 100, "100 SGIs there, each to a vCPU that sleeps");
	check_eq(count(0, 13) - here, 100, "and 100 back");
}

void main(void)
{
	gic_init();
	printf("= cpus %u\n", boot.nr_cpus);
	for (u32 cpu = 1; cpu < boot.nr_cpus; cpu++)
		smp_start(cpu, other_cpu);
	check(wait_for(online == boot.nr_cpus - 1), "all vCPUs are up");
	from_each_to_each();
	broadcasts();
	senders();
	ping_pong();
	stop = true;
	gic->sgi_others(ORDER_ID);
	for (u32 cpu = 1; cpu < boot.nr_cpus; cpu++)
		wait_for(psci(PSCI_AFFINITY_INFO, boot.affinity[cpu], 0, 0) == 1);
	check_eq(irq_spurious[0], 0, "no interrupt was spurious");
	finish();
}

// SPDX-License-Identifier: MIT
/*
 * More vCPUs than one region of redistributors holds: each finds its own redistributor by its affinity, wakes
 * it, and takes SGIs: one sent to it alone, and one sent to all. "cpus=N" in all; "first=N" is how many the
 * first region has room for.
 */
#include "gic.h"
#include "smp.h"

static volatile u32 online, numbers_wrong;
static volatile bool stop;

static void other_cpu(u32 index)
{
	gic_init_cpu();
	if (gicr_number() != index)
		atomic_add(&numbers_wrong, 1);
	atomic_add(&online, 1);
	while (!stop)
		safe_halt();
}

static u32 regions_used(u32 *second)
{
	u64 base, size;
	u32 regions = 0, cell = fdt_cell(gic_node, "#redistributor-regions", 0, 1);

	for (u32 i = 0; i < cell && fdt_reg(gic_node, 1 + i, &base, &size); i++) {
		printf("= region%u 0x%lx 0x%lx\n", i, base, size);
		if (i == 1)
			*second = (u32)(size / GICR_STRIDE);
		regions++;
	}
	return regions;
}

static u32 others_with(u32 id, u32 n)
{
	u32 cpus = 0;

	for (u32 cpu = 1; cpu < boot.nr_cpus; cpu++)
		cpus += irq_count[cpu][id] == n;
	return cpus;
}

void main(void)
{
	u32 cpus = option("cpus", 130), first = option("first", 123), second = 0;
	bool each = true;

	check_eq(boot.nr_cpus, cpus, "the tree has the vCPUs that were asked for");
	gic_init();
	check_eq(regions_used(&second), cpus > first ? 2 : 1,
		 "as many regions of redistributors as they need");
	if (cpus > first)
		check(second >= cpus - first, "the second is large enough");
	check_eq(gicr_number(), 0, "the first redistributor is ours");
	for (u32 cpu = 1; cpu < boot.nr_cpus; cpu++)
		each = smp_start(cpu, other_cpu) == PSCI_SUCCESS && each;
	check(each, "each vCPU is started");
	check(wait_for(online == cpus - 1), "each comes up, and has found and woken its redistributor");
	printf("= online %u\n", online + 1);
	check_eq(numbers_wrong, 0, "vCPU n has redistributor n");

	for (u32 cpu = 1; cpu < boot.nr_cpus; cpu++)
		gic->sgi(cpu, 3);
	check(wait_for(others_with(3, 1) == cpus - 1), "an SGI to each comes once");
	gic->sgi_others(4);
	check(wait_for(others_with(4, 1) == cpus - 1), "an SGI to all others comes to each");
	check_eq(irqs(3) + irqs(4), 0, "and none to ourselves");
	for (u32 cpu = 1; cpu < boot.nr_cpus; cpu += 7)
		gic->sgi(cpu, 5);
	check(wait_for(others_with(5, 1) == (cpus - 2) / 7 + 1), "an SGI to every seventh");
	stop = true;
	gic->sgi_others(6);
	each = true;
	for (u32 cpu = 1; cpu < boot.nr_cpus; cpu++)
		each = wait_for(psci(PSCI_AFFINITY_INFO, boot.affinity[cpu], 0, 0) == 1) && each;
	check(each, "each switches itself off");
	check_eq(others_with(3, 1), cpus - 1, "and has had one SGI of the first kind, no more");
	check_eq(others_with(4, 1), cpus - 1, "and one of the second");
	finish();
}

// SPDX-License-Identifier: MIT
/* What GICv2 and GICv3 have in common: choosing one, the distributor's tables, counting. */
#include "gic.h"

const struct gic_ops *gic;
ulong gic_dist;
struct node gic_node;
volatile u32 irq_count[MAX_CPUS][NR_SLOTS], irq_spurious[MAX_CPUS];
void (*volatile irq_hook[NR_SLOTS])(u32 id, u32 ack);

static void gic_interrupt(void)
{
	u32 cpu = cpu_index(), ack = gic->ack();
	u32 id = gic->version == 2 ? ack & 0x3ff : ack;
	u32 slot = irq_slot(id);
	void (*hook)(u32 id, u32 ack);

	if (id >= 1020 && id < 1024) {
		irq_spurious[cpu]++;
		return;
	}
	if (slot < NR_SLOTS) {
		irq_count[cpu][slot]++;
		hook = irq_hook[slot];
		if (hook)
			hook(id, ack);
	}
	gic->eoi(ack);
}

static void tables_init(u32 nr_lines)
{
	for (u32 id = FIRST_SPI; id < nr_lines; id += 32) {
		write32(gic_dist + GICD_ICENABLER + id / 8, ~0u);
		write32(gic_dist + GICD_ICPENDR + id / 8, ~0u);
		write32(gic_dist + GICD_ICACTIVER + id / 8, ~0u);
	}
	for (u32 id = FIRST_SPI; id < nr_lines; id += 4)
		write32(gic_dist + GICD_IPRIORITYR + id, 0xa0a0a0a0);
}

/* Those of SGIs and PPIs are this vCPU's own. */
void gic_init_cpu(void)
{
	gic->init_cpu();
	write32(gic->reg(0, GICD_ICENABLER), ~0u);
	write32(gic->reg(0, GICD_ICPENDR), ~0u);
	write32(gic->reg(0, GICD_ICACTIVER), ~0u);
	for (u32 id = 0; id < 32; id += 4)
		write32(gic->reg(0, GICD_IPRIORITYR + id), 0xa0a0a0a0);
	write32(gic->reg(0, GICD_ISENABLER), 0xffff);
	gic->mask(0xff);
}

void gic_init(void)
{
	static const struct {
		const char *compatible;
		const struct gic_ops *ops;
	} known[] = {{"arm,gic-v3", &gicv3},
		     {"arm,cortex-a15-gic", &gicv2},
		     {"arm,cortex-a7-gic", &gicv2},
		     {"arm,gic-400", &gicv2}};
	u64 base = 0;

	for (u32 i = 0; i < ARRAY_SIZE(known) && !gic; i++) {
		gic_node = fdt_compatible(fdt_root(), known[i].compatible);
		if (gic_node.at && fdt_reg(gic_node, 0, &base, NULL))
			gic = known[i].ops;
	}
	gic_dist = base;
	if (!gic || !gic->init()) {
		printf("not ok the device tree has an interrupt controller that we know\n");
		exit_with(97);
	}
	tables_init(32 * ((read32(gic_dist + GICD_TYPER) & 31) + 1));
	gic_init_cpu();
	irq_handler = gic_interrupt;
}

u32 irq_total(void)
{
	u32 total = 0;

	for (u32 cpu = 0; cpu < boot.nr_cpus; cpu++)
		for (u32 slot = 0; slot < NR_SLOTS; slot++)
			total += irq_count[cpu][slot];
	return total;
}

void irq_reset(void)
{
	for (u32 cpu = 0; cpu < boot.nr_cpus; cpu++) {
		for (u32 slot = 0; slot < NR_SLOTS; slot++)
			irq_count[cpu][slot] = 0;
		irq_spurious[cpu] = 0;
	}
}

void irq_settle(void)
{
	for (u32 i = 0; i < 20; i++)
		irq_window();
}

void line_bit(u32 offset, u32 id)
{
	write32(gic->reg(id, offset + id / 32 * 4), 1u << id % 32);
}

bool line_is(u32 offset, u32 id)
{
	return read32(gic->reg(id, offset + id / 32 * 4)) >> id % 32 & 1;
}

void line_enable(u32 id)
{
	line_bit(GICD_ISENABLER, id);
}

void line_disable(u32 id)
{
	line_bit(GICD_ICENABLER, id);
}

void line_edge(u32 id, bool edge)
{
	ulong reg = gic->reg(id, GICD_ICFGR + id / 16 * 4);
	u32 bit = 2u << id % 16 * 2, v = read32(reg);

	write32(reg, edge ? v | bit : v & ~bit);
}

void line_priority(u32 id, u32 priority)
{
	write8(gic->reg(id, GICD_IPRIORITYR + id), (u8)priority);
}

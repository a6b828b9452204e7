// SPDX-License-Identifier: MIT
/* A GICv3's own part: redistributors, CPU interface by system registers, affinity routing (Arm IHI 0069). */
#include "gic.h"

/* GICD_CTLR, as a GIC with one security state (DS) has it: affinity routing, group 1. */
#define GICD_CTLR_ON  0x12
#define GICD_CTLR_RWP 0x80000000u
#define GICR_CTLR_RWP 0x8
#define TYPER_LAST    0x10
#define WAKER_SLEEP   0x2
#define WAKER_ASLEEP  0x4
#define SGI_OTHERS    (1ull << 40)

static struct {
	ulong base;
	u32 number;
} redist[MAX_CPUS];

ulong gicr_base(void)
{
	return redist[cpu_index()].base;
}

u32 gicr_number(void)
{
	return redist[cpu_index()].number;
}

/* Region by region, frame by frame, until GICR_TYPER has our affinity. */
static bool redist_find(void)
{
	u32 regions = fdt_cell(gic_node, "#redistributor-regions", 0, 1), cpu = cpu_index(), number = 0;
	u64 affinity = cpu_affinity(), base, size, typer;

	affinity = (affinity >> 8 & 0xff000000) | (affinity & 0xffffff);
	for (u32 i = 0; i < regions && fdt_reg(gic_node, 1 + i, &base, &size); i++) {
		do {
			typer = read64(base + GICR_TYPER);
			if (typer >> 32 == affinity) {
				redist[cpu].base = base;
				redist[cpu].number = number;
				return true;
			}
			number++;
			base += GICR_STRIDE;
			size -= GICR_STRIDE;
		} while (size >= GICR_STRIDE && !(typer & TYPER_LAST));
	}
	return false;
}

static bool gicv3_init(void)
{
	write32(gic_dist + GICD_CTLR, GICD_CTLR_ON);
	wait_for(!(read32(gic_dist + GICD_CTLR) & GICD_CTLR_RWP));
	for (u32 id = FIRST_SPI; id < NR_LINES; id += 32)
		write32(gic_dist + GICD_IGROUPR + id / 8, ~0u);
	for (u32 id = FIRST_SPI; id < NR_LINES; id++)
		write64(gic_dist + GICD_IROUTER + 8 * id, cpu_affinity());
	return true;
}

static void gicv3_init_cpu(void)
{
	ulong base;

	if (!redist_find()) {
		printf("not ok vCPU %u has a redistributor\n# affinity 0x%lx\n", cpu_index(), cpu_affinity());
		exit_with(96);
	}
	base = gicr_base();
	write32(base + GICR_WAKER, read32(base + GICR_WAKER) & ~(u32)WAKER_SLEEP);
	wait_for(!(read32(base + GICR_WAKER) & WAKER_ASLEEP));
	write32(base + GICR_SGI + GICD_IGROUPR, ~0u);
	write_sysreg("icc_sre_el1", 7);
	write_sysreg("icc_bpr1_el1", 0);
	write_sysreg("icc_ctlr_el1", 0);
	write_sysreg("icc_igrpen1_el1", 1);
}

static u32 gicv3_ack(void)
{
	u32 ack = (u32)read_sysreg("icc_iar1_el1");

	dsb();
	return ack;
}

static void gicv3_eoi(u32 ack)
{
	dsb();
	write_sysreg("icc_eoir1_el1", ack);
}

static void gicv3_deactivate(u32 ack)
{
	dsb();
	write_sysreg("icc_dir_el1", ack);
}

static void gicv3_split_eoi(bool on)
{
	write_sysreg("icc_ctlr_el1", on ? 2 : 0);
}

static void gicv3_mask(u32 priority)
{
	write_sysreg("icc_pmr_el1", priority);
}

static u32 gicv3_running(void)
{
	return (u32)read_sysreg("icc_rpr_el1") & 0xff;
}

u64 gicv3_sgi_value(u64 affinity, u32 id)
{
	u64 aff0 = affinity & 0xff, aff1 = affinity >> 8 & 0xff, aff2 = affinity >> 16 & 0xff;
	u64 aff3 = affinity >> 32 & 0xff;

	return aff3 << 48 | (aff0 >> 4) << 44 | aff2 << 32 | (u64)id << 24 | aff1 << 16 | 1ull << (aff0 & 15);
}

static void gicv3_sgi(u32 cpu, u32 id)
{
	dsb();
	write_sysreg("icc_sgi1r_el1", gicv3_sgi_value(boot.affinity[cpu], id));
}

static void gicv3_sgi_others(u32 id)
{
	dsb();
	write_sysreg("icc_sgi1r_el1", SGI_OTHERS | (u64)id << 24);
}

static void gicv3_route(u32 id, u32 cpu)
{
	write64(gic_dist + GICD_IROUTER + 8 * id, boot.affinity[cpu]);
}

static ulong gicv3_reg(u32 id, u32 offset)
{
	return id < FIRST_SPI ? gicr_base() + GICR_SGI + offset : gic_dist + offset;
}

const struct gic_ops gicv3 = {
	.version = 3,
	.init = gicv3_init,
	.init_cpu = gicv3_init_cpu,
	.ack = gicv3_ack,
	.eoi = gicv3_eoi,
	.deactivate = gicv3_deactivate,
	.split_eoi = gicv3_split_eoi,
	.mask = gicv3_mask,
	.running = gicv3_running,
	.sgi = gicv3_sgi,
	.sgi_others = gicv3_sgi_others,
	.route = gicv3_route,
	.reg = gicv3_reg,
};

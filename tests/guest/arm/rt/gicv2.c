// SPDX-License-Identifier: MIT
/* A GICv2's own part: CPU interface, SGIs by GICD_SGIR, targets as bits (Arm IHI 0048B). */
#include "gic.h"

#define GICC_CTLR 0x0000
#define GICC_PMR  0x0004
#define GICC_BPR  0x0008
#define GICC_IAR  0x000c
#define GICC_EOIR 0x0010
#define GICC_RPR  0x0014
#define GICC_DIR  0x1000

#define GICC_ENABLE 0x001
#define GICC_SPLIT  0x200

static ulong gicc;

static bool gicv2_init(void)
{
	u64 base;

	if (!fdt_reg(gic_node, 1, &base, NULL))
		return false;
	gicc = base;
	write32(gic_dist + GICD_CTLR, 1);
	for (u32 id = FIRST_SPI; id < NR_LINES; id += 4)
		write32(gic_dist + GICD_ITARGETSR + id, 0x01010101);
	return true;
}

static void gicv2_init_cpu(void)
{
	write32(gicc + GICC_BPR, 0);
	write32(gicc + GICC_CTLR, GICC_ENABLE);
}

static u32 gicv2_ack(void)
{
	u32 ack = read32(gicc + GICC_IAR);

	dsb();
	return ack;
}

static void gicv2_eoi(u32 ack)
{
	dsb();
	write32(gicc + GICC_EOIR, ack);
	dsb();
}

static void gicv2_deactivate(u32 ack)
{
	dsb();
	write32(gicc + GICC_DIR, ack);
	dsb();
}

static void gicv2_split_eoi(bool on)
{
	write32(gicc + GICC_CTLR, GICC_ENABLE | (on ? GICC_SPLIT : 0));
}

static void gicv2_mask(u32 priority)
{
	write32(gicc + GICC_PMR, priority);
}

static u32 gicv2_running(void)
{
	return read32(gicc + GICC_RPR);
}

static void gicv2_sgi(u32 cpu, u32 id)
{
	dsb();
	write32(gic_dist + GICD_SGIR, 1u << (16 + cpu) | id);
}

static void gicv2_sgi_others(u32 id)
{
	dsb();
	write32(gic_dist + GICD_SGIR, 1u << 24 | id);
}

static void gicv2_route(u32 id, u32 cpu)
{
	write8(gic_dist + GICD_ITARGETSR + id, (u8)(1 << cpu));
}

static ulong gicv2_reg(u32 id, u32 offset)
{
	return gic_dist + offset;
}

const struct gic_ops gicv2 = {
	.version = 2,
	.init = gicv2_init,
	.init_cpu = gicv2_init_cpu,
	.ack = gicv2_ack,
	.eoi = gicv2_eoi,
	.deactivate = gicv2_deactivate,
	.split_eoi = gicv2_split_eoi,
	.mask = gicv2_mask,
	.running = gicv2_running,
	.sgi = gicv2_sgi,
	.sgi_others = gicv2_sgi_others,
	.route = gicv2_route,
	.reg = gicv2_reg,
};

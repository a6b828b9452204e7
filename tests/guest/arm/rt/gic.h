/* SPDX-License-Identifier: MIT */
/*
 * The interrupt controller, a GICv2 or a GICv3, at the places that the device tree names (Arm IHI 0048B and
 * IHI 0069). Interrupts are counted for each vCPU; a hook sees each between its acknowledgement and its end.
 *
 * SGIs and PPIs are those of the vCPU that calls.
 */
#ifndef GIC_H
#define GIC_H

#include "fdt.h"

#define GICD_CTLR	0x0000
#define GICD_TYPER	0x0004
#define GICD_IIDR	0x0008
#define GICD_IGROUPR	0x0080
#define GICD_ISENABLER	0x0100
#define GICD_ICENABLER	0x0180
#define GICD_ISPENDR	0x0200
#define GICD_ICPENDR	0x0280
#define GICD_ISACTIVER	0x0300
#define GICD_ICACTIVER	0x0380
#define GICD_IPRIORITYR 0x0400
#define GICD_ITARGETSR	0x0800
#define GICD_ICFGR	0x0c00
#define GICD_SGIR	0x0f00
#define GICD_CPENDSGIR	0x0f10
#define GICD_SPENDSGIR	0x0f20
#define GICD_IROUTER	0x6000
#define GICD_PIDR2	0xffe8

#define GICR_CTLR      0x00000
#define GICR_TYPER     0x00008
#define GICR_WAKER     0x00014
#define GICR_PROPBASER 0x00070
#define GICR_PENDBASER 0x00078
#define GICR_SGI       0x10000
#define GICR_STRIDE    0x20000

#define PPI_VTIMER 27
#define PPI_PTIMER 30
#define FIRST_SPI  32
#define NR_LINES   256 /* SGIs, PPIs, SPIs that are counted */
#define FIRST_LPI  8192
#define NR_LPIS	   64
#define NR_SLOTS   (NR_LINES + NR_LPIS)
/* Where an interrupt is in the tables below; NR_SLOTS: nowhere. */
static inline u32 irq_slot(u32 id)
{
	if (id < NR_LINES)
		return id;
	return id >= FIRST_LPI && id < FIRST_LPI + NR_LPIS ? NR_LINES + id - FIRST_LPI : NR_SLOTS;
}

/* What the two versions do each in its own way. `ack` is what ack() returned. */
struct gic_ops {
	u32 version;
	bool (*init)(void);
	void (*init_cpu)(void);
	u32 (*ack)(void);
	void (*eoi)(u32 ack);
	void (*deactivate)(u32 ack);
	/* Priority drop and deactivation apart: eoi() does the one, deactivate() the other. This vCPU's. */
	void (*split_eoi)(bool on);
	void (*mask)(u32 priority); /* only what is more urgent than this comes through; 0xff: all */
	u32 (*running)(void);	    /* the running priority; 0xff: idle */
	void (*sgi)(u32 cpu, u32 id);
	void (*sgi_others)(u32 id);
	void (*route)(u32 id, u32 cpu);
	/* A distributor register, or the one in its place that an SGI or PPI has. */
	ulong (*reg)(u32 id, u32 offset);
};
extern const struct gic_ops gicv2, gicv3;
/* The one we have. */
extern const struct gic_ops *gic;
extern ulong gic_dist;
extern struct node gic_node;

/* Distributor, this vCPU's interface, the handler: all interrupts disabled, priority 0xa0. */
void gic_init(void);
/* Another vCPU's interface, on that vCPU. */
void gic_init_cpu(void);

extern volatile u32 irq_count[MAX_CPUS][NR_SLOTS], irq_spurious[MAX_CPUS];
extern void (*volatile irq_hook[NR_SLOTS])(u32 id, u32 ack);
static inline u32 irqs(u32 id)
{
	return irq_count[cpu_index()][irq_slot(id)];
}
/* All interrupts of all vCPUs so far. */
u32 irq_total(void);
void irq_reset(void);
/* Lets in whatever may still come. */
void irq_settle(void);

void line_enable(u32 id);
void line_disable(u32 id);
void line_edge(u32 id, bool edge);
void line_priority(u32 id, u32 priority);
bool line_is(u32 offset, u32 id);  /* a bit of GICD_ISENABLER, GICD_ISPENDR, GICD_ISACTIVER ... */
void line_bit(u32 offset, u32 id); /* writes that bit alone */

/* GICv3: this vCPU's redistributor, found by its affinity; and its number, 0 for the first of the first
 * region. */
ulong gicr_base(void);
u32 gicr_number(void);
/* ICC_SGI1R_EL1 for one vCPU. */
u64 gicv3_sgi_value(u64 affinity, u32 id);

#endif

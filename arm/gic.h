/* SPDX-License-Identifier: MIT */
/*
 * What the irqchips of arm/ share: lines, routes, device-tree cells, and the walk over a block of 32
 * interrupts. Arm IHI 0048B (GICv2), IHI 0069H (GICv3), Documentation/virt/kvm/devices/arm-vgic*.rst.
 */
#ifndef LKVM_ARM_GIC_H
#define LKVM_ARM_GIC_H

#include "arm.h"
#include <lkvm/irq.h>

/* irqchip->priv of every GIC. */
struct gic {
	int fd;		   /* the in-kernel GIC; -1 when it was made without the device control API */
	int its_fd;	   /* -1: no ITS */
	struct device v2m; /* the GICv2m frame, for the bus: never in kvm->devices */
	bool has_v2m;
	bool v2; /* a GICv2: it wants to hear which CPUs a PPI is wired to */
};

static inline struct gic *gic_of(const struct irqchip *chip)
{
	return chip->priv;
}

/* gic.c */
int __must_check gic_alloc(struct irqchip *chip);
void gic_destroy(struct irqchip *chip);
int gic_set_line(struct irqchip *chip, u32 line, bool level);
int gic_routes(struct irqchip *chip);
int gic_no_msi(struct irqchip *chip, const struct msi_msg *msg, struct kvm_irq_routing_entry *entry);
u32 gic_irq_cells(const struct irqchip *chip, u32 line, bool level, u32 *cells);
/* The three cells of a private peripheral interrupt, by its INTID; level-triggered. */
void gic_ppi_cells(const struct irqchip *chip, u32 intid, u32 cells[3]);
/* Opens the controller's node with what all have; reg and the rest are the caller's, and dt_end(). */
void gic_dt_begin(struct fdt *fdt, const char *const *compatible, size_t n);

/* gicv2m.c: the frame that turns messages into SPIs */
int __must_check v2m_create(struct irqchip *chip);
int v2m_msi_route(struct irqchip *chip, const struct msi_msg *msg, struct kvm_irq_routing_entry *entry);
void v2m_describe(struct fdt *fdt);

/* its.c */
int __must_check its_create(struct irqchip *chip);
int __must_check its_finalize(struct irqchip *chip);
int its_msi_route(struct irqchip *chip, const struct msi_msg *msg, struct kvm_irq_routing_entry *entry);
void its_describe(struct fdt *fdt);
void its_state(struct irqchip *chip, struct state *s);

/* its-lpi.c: a line for each message that the guest's tables make an interrupt of; vCPUs parked */
void its_print_lpis(struct irqchip *chip, struct state *s);

/* gicv3.c: GICR_PROPBASER or GICR_PENDBASER of a vCPU; 0 or -errno, silent */
int __must_check gicv3_redist_base(const struct irqchip *chip, const struct vcpu *vcpu, u32 offset, u64 *val);

/* gic-state.c */

/* Where a block's registers are: the attribute of a register is `attr` plus its offset. */
struct gic_frame {
	int fd;
	u32 group;	/* KVM_DEV_ARM_VGIC_GRP_* */
	u64 attr;	/* upper bits: the vCPU; lower: what precedes GICD_IGROUPR & co. */
	u32 first;	/* INTID of the block's first interrupt */
	bool has_level; /* KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO is there (GICv3) */
	u64 level_attr; /* its vCPU bits */
	bool targets;	/* GICv2: GICD_ITARGETSR */
	bool routes;	/* GICv3: GICD_IROUTER */
};

/* What 32 interrupts are like. Walks save, restore and print it as a whole. */
struct gic_block {
	u32 group, enable, pending, active, level;
	u32 config[2];	 /* 2 bits each: 2 is edge-triggered */
	u32 priority[8]; /* 8 bits each, lowest INTID first */
	u32 target[8];	 /* GICv2: 8 bits each, a bit a CPU */
	u64 route[32];	 /* GICv3: MPIDR affinity */
};

/* An affinity as it is printed: "0.0.0.1", the highest level first. */
void gic_affinity(char *out, size_t room, u64 affinity);
/* One walk over the block: prints the interrupts that are of interest, saves or restores all. */
void gic_block_walk(struct state *s, const struct gic_frame *frame);
/* One register of 32 or 64 bits behind an attribute: printed, saved, restored. */
void gic_reg32(struct state *s, int fd, u32 group, u64 attr, const char *name);
/*
 * The same, but not written with what it has already: some registers are changed by that (the kernel fills in
 * fields that were reserved), while others (IIDR) want to be written whatever they have.
 */
void gic_reg32_change(struct state *s, int fd, u32 group, u64 attr, const char *name);
void gic_reg64(struct state *s, int fd, u32 group, u64 attr, const char *name);
/* A command attribute (SAVE_TABLES ...), its failure noted in s. */
void gic_command(struct state *s, int fd, u64 command, const char *name);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The pseries machine's interrupt controllers, XICS and XIVE, both made by KVM_CREATE_DEVICE. What they have
 * in common: a line is an interrupt source of the same number, and in KVM the GSI of that number as well, for
 * these controllers have no routing table (arch/powerpc/kvm/book3s.c, kvm_irq_map_gsi()). So an irqfd is one
 * of a line, and a message is an edge of one.
 *
 *   0 .. 15     nobody's: XICS in KVM begins with 16, and 2 is its IPI
 *   16 .. 63    level-triggered: what the board's devices drive
 *   64 .. 255   edge-triggered: messages (PSERIES_FIRST_MSI)
 *   256 ..      XIVE only: the guest's own, a vCPU each, for IPIs
 *
 * A vCPU's server number is its id.
 */
#ifndef LKVM_POWERPC_PSERIES_IRQ_H
#define LKVM_POWERPC_PSERIES_IRQ_H

#include "powerpc.h"
#include "pseries-layout.h"
#include <lkvm/irq.h>
#include <lkvm/kvm-device.h>

#define PSERIES_FIRST_LINE 16u
#define PSERIES_FIRST_MSI  64u
#define PSERIES_NR_LINES   256u

struct line_set {
	u64 bits[PSERIES_NR_LINES / 64];
};

static inline bool line_set_has(const struct line_set *set, u32 line)
{
	return set->bits[line / 64] >> (line % 64) & 1;
}

/* irqchip->priv of both begins with it. */
struct pseries_irq {
	int fd; /* the VM's to close */
	/* The sources that there are. Filled in at finalize; then of MSIs, under the PCI host's lock. */
	struct line_set used;
	/* Makes one more source, or masks one that there is: 0 or -errno, logged. */
	int (*source_init)(struct irqchip *chip, u32 line);
};

static inline struct pseries_irq *pseries_irq_of(const struct irqchip *chip)
{
	return chip->priv;
}

static inline bool pseries_line_is_level(u32 line)
{
	return line < PSERIES_FIRST_MSI;
}

/* pseries-irq.c */
/* Takes the lines that nobody may have. */
int __must_check pseries_irq_reserve(struct irqchip *chip);
/* The number of servers: the highest vCPU id and one. */
u32 pseries_nr_servers(const struct kvm *kvm);
/* Makes a source of each level-triggered line that was claimed by now. */
int __must_check pseries_irq_init_claimed(struct irqchip *chip);
/* A source for a message, in use from now on: 0 or -errno, logged. Once; the line is the caller's. */
int __must_check pseries_irq_use(struct irqchip *chip, u32 line);
/* Connects a vCPU's presenter to the controller: cap is KVM_CAP_IRQ_XICS or KVM_CAP_PPC_IRQ_XIVE. */
int __must_check pseries_irq_connect(struct irqchip *chip, struct vcpu *vcpu, u32 cap);
int pseries_irq_set_line(struct irqchip *chip, u32 line, bool level);
int pseries_irq_msi_route(struct irqchip *chip, const struct msi_msg *msg,
			  struct kvm_irq_routing_entry *entry);
u32 pseries_irq_cells(const struct irqchip *chip, u32 line, bool level, u32 *cells);
void pseries_irq_destroy(struct irqchip *chip);
/*
 * Which sources there are: of the board's, those of this VM; of messages', more or fewer. *set is what the
 * state is about. A source cannot be taken away: one too many is masked.
 */
void pseries_irq_walk_set(struct irqchip *chip, struct state *s, struct line_set *set);
/* What the root node has to say of the controller, before it has any node. */
void pseries_irq_describe_root(const struct kvm *kvm, struct fdt *fdt);

extern const struct irqchip_ops ppc_xics, ppc_xive;
extern const struct kvm_attr_table ppc_xics_attrs, ppc_xive_attrs;

#endif

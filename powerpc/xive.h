/* SPDX-License-Identifier: MIT */
/*
 * XIVE as the guest's own controller ("native exploitation"): what its files share.
 *
 * The guest reaches two kinds of pages of the device without leaving: of each source two (Event State Buffer,
 * ESB: one to trigger it, one to manage its bits P and Q), and of each vCPU its thread area (TIMA). What the
 * pages cannot do, the configuration of sources and event queues, are hypercalls (xive-hcall.c), which become
 * attributes of the device.
 */
#ifndef LKVM_POWERPC_XIVE_H
#define LKVM_POWERPC_XIVE_H

#include "pseries-irq.h"
#include <pthread.h>
#include <stdatomic.h>

#define XIVE_FIRST_IPI	 PSERIES_NR_LINES /* a source for each vCPU, by which they interrupt each other */
#define XIVE_PRIORITIES	 7u		  /* 0 to 6: KVM keeps 7 for itself */
#define XIVE_NO_PRIORITY 0xffull	  /* in hypercalls: masked */
#define XIVE_QUEUE_SHIFT 16u		  /* the one size of queues that KVM takes: log2 of bytes */

/* Offsets in a source's management page; a load sets P and Q, or not, and gives what they were. */
enum {
	ESB_LOAD_EOI = 0x000,
	ESB_GET = 0x800,
	ESB_SET_PQ = 0xc00, /* and 0x100 times what they are to be */
};
#define ESB_P	2u
#define ESB_Q	1u
#define ESB_OFF 1u /* Q alone: nothing comes through */

struct xive {
	struct pseries_irq irq;
	u32 page; /* bytes of a page of the device's: the host's pages */
	u8 *esb, *tima;
	size_t esb_size, tima_size;
	u32 nr_sources;
	_Atomic u64 high[PSERIES_FIRST_MSI / 64]; /* level-triggered lines that are high */
	pthread_mutex_t lock; /* guards config[], and orders its changes with the kernel's */
	u64 config[];	      /* of each source, as KVM_DEV_XIVE_GRP_SOURCE_CONFIG has it */
};

static inline struct xive *xive_of(const struct irqchip *chip)
{
	return container_of(pseries_irq_of(chip), struct xive, irq);
}

/* The sources that there are; the guest knows of each. */
static inline bool xive_has_source(const struct xive *xive, u64 source)
{
	return source >= PSERIES_FIRST_LINE && source < xive->nr_sources;
}

static inline u64 xive_esb_gpa(const struct xive *xive, u32 source, bool management)
{
	return PSERIES_XIVE_ESB + (2ull * source + management) * xive->page;
}

static inline u8 *xive_esb_page(const struct xive *xive, u32 source, bool management)
{
	return xive->esb + (2ull * source + management) * xive->page;
}

/* xive-esb.c: accesses that do something. offset: 8-byte aligned, within the page. */
u64 xive_esb_load(const u8 *page, u32 offset);
void xive_esb_store(u8 *page, u32 offset, u64 val);

/* xive.c */
/* One attribute that a hypercall became: 0 or -errno, silent. With xive->lock held. */
int __must_check xive_set_config(struct xive *xive, u32 source, u64 config);
/* Forgets all configuration; the kernel's is the caller's. With xive->lock held. */
void xive_forget_config(struct xive *xive);
/* A level-triggered source that is high comes again once the guest is done with it. */
void xive_retrigger(struct irqchip *chip, u32 source);

/* xive-state.c */
int xive_state(struct irqchip *chip, struct state *s);

/* xive-hcall.c: whether nr is one of XIVE's; then *status is what the hypercall returns, ret its results. */
bool xive_hcall(struct vcpu *vcpu, u64 nr, const u64 *arg, u64 *ret, long *status);

#endif

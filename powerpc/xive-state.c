/* SPDX-License-Identifier: MIT */
/*
 * The state of XIVE (Documentation/virt/kvm/devices/xive.rst, "Migration"): the flow of events is stopped at
 * the sources, what is on its way arrives in the queues, which lie in guest RAM, and then source, queue and
 * vCPU contexts are read. To be restored in the order queues, sources' targets, contexts, sources' bits.
 *
 * To stop a source, P is set: an event that comes meanwhile sets Q, by which it is known and triggered again
 * afterwards. (With Q alone, as the document has it, it would be lost to a VM that goes on.)
 *
 * With all vCPUs parked; devices may go on.
 */
#include "pseries.h"
#include "xive.h"
#include <errno.h>
#include <lkvm/config.h>
#include <lkvm/kvm.h>
#include <stdio.h>
#include <stdlib.h>

static u8 esb_get(const struct xive *xive, u32 source)
{
	return (u8)(xive_esb_load(xive_esb_page(xive, source, true), ESB_GET) & (ESB_P | ESB_Q));
}

/* What they were. */
static u8 esb_set(const struct xive *xive, u32 source, u8 pq)
{
	return (u8)(xive_esb_load(xive_esb_page(xive, source, true), ESB_SET_PQ + 0x100u * pq) &
		    (ESB_P | ESB_Q));
}

static void stop_sources(const struct xive *xive, u8 *pq)
{
	for (u32 i = PSERIES_FIRST_LINE; i < xive->nr_sources; i++) {
		pq[i] = esb_get(xive, i);
		if (pq[i] != ESB_OFF)
			pq[i] = esb_set(xive, i, ESB_P);
	}
}

static void start_sources(const struct xive *xive, const u8 *pq)
{
	for (u32 i = PSERIES_FIRST_LINE; i < xive->nr_sources; i++)
		if (pq[i] != ESB_OFF && (esb_set(xive, i, pq[i]) & ESB_Q))
			xive_esb_store(xive_esb_page(xive, i, false), 0, 0);
}

/* ---- queues ------------------------------------------------------------------------------------------ */

static int get_queue(const struct xive *xive, u64 attr, struct kvm_ppc_xive_eq *eq)
{
	/* The kernel writes nothing when there is no queue. */
	*eq = (struct kvm_ppc_xive_eq){0};
	return kvm_attr_get(xive->irq.fd, KVM_DEV_XIVE_GRP_EQ_CONFIG, attr, eq);
}

static int set_queue(const struct xive *xive, u64 attr, const struct kvm_ppc_xive_eq *eq)
{
	struct kvm_ppc_xive_eq now;
	int err = eq->qshift ? 0 : get_queue(xive, attr, &now);

	/* None now, and none then. */
	if (err || (!eq->qshift && !now.qshift))
		return err;
	return kvm_attr_set(xive->irq.fd, KVM_DEV_XIVE_GRP_EQ_CONFIG, attr, eq);
}

static void walk_queue(struct irqchip *chip, struct state *s, u32 server, u32 priority)
{
	const struct xive *xive = xive_of(chip);
	u64 attr = (u64)server << KVM_XIVE_EQ_SERVER_SHIFT | priority;
	struct kvm_ppc_xive_eq eq = {0};
	int err = s->err || state_reading(s) ? 0 : get_queue(xive, attr, &eq);
	char name[32];

	snprintf(name, sizeof(name), "queue%u.%u", server, priority);
	if (state_printing(s)) {
		if (!err && eq.qshift)
			state_note(s, name, "at 0x%llx, %u bytes, index %u toggle %u%s",
				   (unsigned long long)eq.qaddr, 1u << eq.qshift, eq.qindex, eq.qtoggle,
				   eq.flags & KVM_XIVE_EQ_ALWAYS_NOTIFY ? ", notifies always" : "");
	} else if (!err) {
		state_u32(s, "flags", &eq.flags);
		state_u32(s, "shift", &eq.qshift);
		state_u64(s, "address", (u64 *)&eq.qaddr);
		state_u32(s, "toggle", &eq.qtoggle);
		state_u32(s, "index", &eq.qindex);
	}
	if (state_reading(s) && !s->err) {
		/* The kernel is to write into RAM and nowhere else. */
		bool fits = !eq.qshift || (eq.qshift == XIVE_QUEUE_SHIFT &&
					   guest_ptr(&chip->kvm->mem, eq.qaddr, 1u << XIVE_QUEUE_SHIFT));

		err = fits ? set_queue(xive, attr, &eq) : -EINVAL;
	}
	if (err)
		state_fail(s, err, name, "%s", kvm_attr_errstr(err));
}

/* ---- vCPU contexts ------------------------------------------------------------------------------------- */

static void walk_context(struct state *s, const struct vcpu *vcpu)
{
	/* As the thread area has them: the first of two double words, of which KVM uses no more. */
	enum { NSR, CPPR, IPB, LSMFB, ACK, INC, AGE, PIPR, BYTES };
	u8 v[2 * BYTES] = {0};
	int err = s->err || state_reading(s) ? 0 : ppc_get_reg(vcpu->fd, KVM_REG_PPC_VP_STATE, v);
	char name[16];

	snprintf(name, sizeof(name), "server%u", vcpu->id);
	if (state_printing(s) && !err)
		state_note(s, name, "CPPR 0x%02x pending priorities 0x%02x (PIPR 0x%02x) NSR 0x%02x", v[CPPR],
			   v[IPB], v[PIPR], v[NSR]);
	else if (!err)
		state_bytes(s, name, v, BYTES);
	if (state_reading(s) && !s->err)
		err = ppc_set_reg(vcpu->fd, KVM_REG_PPC_VP_STATE, v);
	if (err)
		state_fail(s, err, name, "KVM_REG_PPC_VP_STATE: %s", kvm_attr_errstr(err));
}

/* ---- sources ------------------------------------------------------------------------------------ */

static void print_sources(struct irqchip *chip, struct state *s)
{
	const struct xive *xive = xive_of(chip);

	for (u32 i = PSERIES_FIRST_LINE; i < xive->nr_sources; i++) {
		u64 c = xive->config[i];
		u8 pq = esb_get(xive, i);
		bool high = pseries_line_is_level(i) && atomic_load(&xive->high[i / 64]) >> (i % 64) & 1;
		char name[24];

		/* One that the guest has not set up is of no interest. */
		if (c & KVM_XIVE_SOURCE_MASKED_MASK && !high)
			continue;
		snprintf(name, sizeof(name), "source%u", i);
		state_note(s, name, "server %llu priority %llu event 0x%llx %s%s%s%s%s",
			   (unsigned long long)(c & KVM_XIVE_SOURCE_SERVER_MASK) >>
				   KVM_XIVE_SOURCE_SERVER_SHIFT,
			   (unsigned long long)(c & KVM_XIVE_SOURCE_PRIORITY_MASK),
			   (unsigned long long)(c >> KVM_XIVE_SOURCE_EISN_SHIFT),
			   pseries_line_is_level(i) ? "level" : "edge",
			   c & KVM_XIVE_SOURCE_MASKED_MASK ? " masked" : "", high ? " high" : "",
			   pq == ESB_OFF ? " off"
			   : pq & ESB_P	 ? " pending"
					 : "",
			   pq == (ESB_P | ESB_Q) ? " queued" : "");
	}
}

/* A masked source has none. */
static bool fits(const struct kvm *kvm, u64 config)
{
	u64 server = (config & KVM_XIVE_SOURCE_SERVER_MASK) >> KVM_XIVE_SOURCE_SERVER_SHIFT;

	return config & KVM_XIVE_SOURCE_MASKED_MASK ||
	       (pseries_vcpu_by_id(kvm, server) &&
		(config & KVM_XIVE_SOURCE_PRIORITY_MASK) < XIVE_PRIORITIES);
}

static void walk_targets(struct irqchip *chip, struct state *s)
{
	struct xive *xive = xive_of(chip);
	u64 high = atomic_load(&xive->high[0]);

	state_u64(s, "high", &high);
	for (u32 i = PSERIES_FIRST_LINE; i < xive->nr_sources; i++) {
		u64 c = xive->config[i];
		int err = 0;

		state_u64(s, "config", &c);
		if (state_reading(s) && !s->err)
			err = fits(chip->kvm, c) ? xive_set_config(xive, i, c) : -EINVAL;
		if (err)
			state_fail(s, err, "config", "source %u: %s", i, kvm_attr_errstr(err));
	}
	if (state_reading(s) && !s->err)
		atomic_store(&xive->high[0], high);
}

static void walk_bits(const struct xive *xive, struct state *s, u8 *pq)
{
	for (u32 i = PSERIES_FIRST_LINE; i < xive->nr_sources; i++) {
		state_u8(s, "pq", &pq[i]);
		if (state_reading(s) && !s->err)
			esb_set(xive, i, pq[i] & (ESB_P | ESB_Q));
	}
}

/* ---- all of it ---------------------------------------------------------------------------------- */

static void walk(struct irqchip *chip, struct state *s, u8 *pq)
{
	struct kvm *kvm = chip->kvm;
	struct xive *xive = xive_of(chip);
	struct line_set set;

	state_begin(s, "xive", 1);
	state_must_match(s, "servers", pseries_nr_servers(kvm));
	state_must_match(s, "sources", xive->nr_sources);
	pseries_irq_walk_set(chip, s, &set);
	if (state_printing(s))
		print_sources(chip, s);
	state_end(s);
	state_begin(s, "queues", 1);
	for (u32 i = 0; i < kvm->nr_vcpus; i++)
		for (u32 priority = 0; priority < XIVE_PRIORITIES; priority++)
			walk_queue(chip, s, kvm->vcpu[i].id, priority);
	state_end(s);
	if (!state_printing(s)) {
		state_begin(s, "targets", 1);
		walk_targets(chip, s);
		state_end(s);
	}
	state_begin(s, "presentation", 1);
	for (u32 i = 0; i < kvm->nr_vcpus; i++)
		walk_context(s, &kvm->vcpu[i]);
	state_end(s);
	if (!state_printing(s)) {
		state_begin(s, "bits", 1);
		walk_bits(xive, s, pq);
		state_end(s);
	}
}

int xive_state(struct irqchip *chip, struct state *s)
{
	struct xive *xive = xive_of(chip);
	u8 *pq = calloc(1, xive->nr_sources);
	int err = 0;

	if (!pq) {
		state_fail(s, -ENOMEM, "xive", "out of memory");
		return s->err;
	}
	pthread_mutex_lock(&xive->lock);
	if (s->mode == STATE_SAVE) {
		stop_sources(xive, pq);
		err = kvm_attr_set(xive->irq.fd, KVM_DEV_XIVE_GRP_CTRL, KVM_DEV_XIVE_EQ_SYNC, NULL);
	} else if (state_reading(s)) {
		for (u32 i = PSERIES_FIRST_LINE; i < xive->nr_sources; i++)
			esb_set(xive, i, ESB_OFF);
	}
	if (err)
		state_fail(s, err, "EQ_SYNC", "%s", kvm_attr_errstr(err));
	walk(chip, s, pq);
	if (s->mode == STATE_SAVE)
		start_sources(xive, pq);
	pthread_mutex_unlock(&xive->lock);
	free(pq);
	return s->err;
}

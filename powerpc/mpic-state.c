/* SPDX-License-Identifier: MIT */
/*
 * The state of the in-kernel MPIC, one walk that prints it decoded, saves or restores it. Called with all
 * vCPUs parked.
 *
 * Registers are read and written by attribute as a guest would, side effects and all, which has consequences:
 * - Reading a message register clears it, so saving puts back what it has read, and printing only looks at
 *   the summary (MSISR).
 * - Whether an interrupt is in service nobody can read. One that was, when its handler's end of interrupt
 *   comes after a restore, is in service no more, which the MPIC ignores; if its line is still high, it comes
 *   again.
 * - Of an inter-processor interrupt one sees that some vCPU has not taken it yet, not which: all get it
 *   again. One more of these tells a guest to look for work that is not there.
 * - The timers do not count in KVM, and their registers read as their neighbours': they are left out.
 */
#include "e500-layout.h"
#include "e500.h"
#include <errno.h>
#include <stdio.h>

enum {
	MPIC_BRR1 = 0x0000,
	MPIC_FRR = 0x1000,
	MPIC_GCR = 0x1020,
	MPIC_IPI_IVPR = 0x10a0, /* and three more, 0x10 apart */
	MPIC_SVR = 0x10e0,
	MPIC_TFRR = 0x10f0,
	MPIC_MSIR = 0x1600, /* and seven more, 0x10 apart */
	MPIC_MSISR = 0x1720,
	MPIC_MSIIR = 0x1740,
	MPIC_EIVPR = 0x10000, /* and 255 more, 0x20 apart */
	MPIC_EIDR = 0x10010,
	MPIC_EILR = 0x10018,
	MPIC_CPU = 0x20000, /* each vCPU's own, 0x1000 apart */
	MPIC_CPU_IPIDR = 0x40,
	MPIC_CPU_CTPR = 0x80,
};

#define NR_SOURCES 256
#define NR_IPIS	   4

#define GCR_RESET	 0x80000000u
#define CTPR_NONE	 15u /* no interrupt is of a higher priority */
#define IVPR_MASK	 0x80000000u
#define IVPR_ACTIVITY	 0x40000000u
#define IVPR_POLARITY	 0x00800000u
#define IVPR_SENSE	 0x00400000u
#define IVPR_PRIORITY(v) ((v) >> 16 & 15)
#define IVPR_VECTOR(v)	 ((v)&0xffff)
#define IDR_CRITICAL(v)	 ((v) >> 16 & 0x7fff) /* of an MPIC 2.0; besides the CPUs in bits 15:0 */
#define ILR_TARGET(v)	 ((v)&0xff)

/* A walk under way: after the first failure nothing more is asked of the kernel. */
struct walk {
	struct state *s;
	int fd;
};

static u32 get(struct walk *w, u32 group, u32 attr, const char *name)
{
	u32 v = 0;
	int err = w->s->err ? 0 : kvm_attr_get(w->fd, group, attr, &v);

	if (err)
		state_fail(w->s, err, name, "%s", kvm_attr_errstr(err));
	return v;
}

static void set(struct walk *w, u32 group, u32 attr, u32 v, const char *name)
{
	int err = w->s->err ? 0 : kvm_attr_set(w->fd, group, attr, &v);

	if (err)
		state_fail(w->s, err, name, "%s", kvm_attr_errstr(err));
}

static u32 get_reg(struct walk *w, u32 offset, const char *name)
{
	return get(w, KVM_DEV_MPIC_GRP_REGISTER, offset, name);
}

static void set_reg(struct walk *w, u32 offset, u32 v, const char *name)
{
	set(w, KVM_DEV_MPIC_GRP_REGISTER, offset, v, name);
}

static void walk_reg(struct walk *w, u32 offset, const char *name)
{
	u32 v = state_reading(w->s) ? 0 : get_reg(w, offset, name);

	state_u32(w->s, name, &v);
	if (state_reading(w->s))
		set_reg(w, offset, v, name);
}

/* What the chip is: printed, and what it must be. */
static void walk_version(struct walk *w, u32 offset, const char *name)
{
	u32 v = get_reg(w, offset, name);

	if (state_printing(w->s))
		state_u32(w->s, name, &v);
	else
		state_must_match(w->s, name, v);
}

/* ---- sources ---------------------------------------------------------------------------------------- */

struct source {
	u32 ivpr, idr, ilr;
	u32 active; /* the line's level, or an edge that no vCPU has taken */
};

static void source_get(struct walk *w, u32 n, bool v4, struct source *src)
{
	src->ivpr = get_reg(w, MPIC_EIVPR + n * 0x20, "ivpr");
	src->idr = get_reg(w, MPIC_EIDR + n * 0x20, "idr");
	src->ilr = v4 ? get_reg(w, MPIC_EILR + n * 0x20, "ilr") : 0;
	src->active = get(w, KVM_DEV_MPIC_GRP_IRQ_ACTIVE, n, "active");
}

/*
 * Masked until all of it is there. An edge that this VM has pending of its own can only be taken back while
 * the source is one by level.
 */
static void source_set(struct walk *w, u32 n, bool v4, const struct source *src)
{
	u32 ivpr = src->ivpr & ~IVPR_ACTIVITY;

	set_reg(w, MPIC_EIVPR + n * 0x20, IVPR_MASK | IVPR_SENSE, "ivpr");
	set(w, KVM_DEV_MPIC_GRP_IRQ_ACTIVE, n, 0, "active");
	set_reg(w, MPIC_EIVPR + n * 0x20, ivpr | IVPR_MASK, "ivpr");
	set_reg(w, MPIC_EIDR + n * 0x20, src->idr, "idr");
	if (v4)
		set_reg(w, MPIC_EILR + n * 0x20, src->ilr, "ilr");
	if (src->active)
		set(w, KVM_DEV_MPIC_GRP_IRQ_ACTIVE, n, 1, "active");
	set_reg(w, MPIC_EIVPR + n * 0x20, ivpr, "ivpr");
}

static const char *output_name(const struct source *src, bool v4)
{
	if (v4)
		return ILR_TARGET(src->ilr) ? " to a critical output" : "";
	return IDR_CRITICAL(src->idr) ? " to a critical output" : "";
}

static void source_print(struct walk *w, u32 n, bool v4, const struct source *src)
{
	char name[16];

	/* One that nobody listens to and that is silent is of no interest; Linux sets them all up. */
	if ((!src->active && src->ivpr & IVPR_MASK) || w->s->err)
		return;
	snprintf(name, sizeof(name),
		 n >= E500_IRQ_MSI && n < E500_IRQ_MSI + E500_NR_MSI_GROUPS ? "msi%u" : "source%u",
		 n >= E500_IRQ_MSI && n < E500_IRQ_MSI + E500_NR_MSI_GROUPS ? n - E500_IRQ_MSI : n);
	state_note(w->s, name, "source %u vector %u priority %u %s %s cpus 0x%x%s%s%s", n,
		   IVPR_VECTOR(src->ivpr), IVPR_PRIORITY(src->ivpr),
		   src->ivpr & IVPR_MASK ? "masked" : "enabled",
		   n >= 16 || src->ivpr & IVPR_SENSE ? "level" : "edge", src->idr & 0xffff,
		   output_name(src, v4), src->active ? " line high" : "",
		   src->ivpr & IVPR_ACTIVITY ? " pending" : "");
}

static void walk_source(struct walk *w, u32 n, bool v4)
{
	struct source src = {0};

	if (!state_reading(w->s))
		source_get(w, n, v4, &src);
	if (state_printing(w->s)) {
		source_print(w, n, v4, &src);
		return;
	}
	state_u32(w->s, "ivpr", &src.ivpr);
	state_u32(w->s, "idr", &src.idr);
	state_u32(w->s, "ilr", &src.ilr);
	state_u32(w->s, "active", &src.active);
	if (state_reading(w->s))
		source_set(w, n, v4, &src);
}

/* ---- messages ----------------------------------------------------------------------------------------- */

static void send_messages(struct walk *w, u32 group, u32 bits)
{
	for (u32 bit = 0; bit < 32; bit++)
		if (bits >> bit & 1)
			set_reg(w, MPIC_MSIIR, group << 29 | bit << 24, "msiir");
}

static void walk_messages(struct walk *w)
{
	u32 summary = state_reading(w->s) ? 0 : get_reg(w, MPIC_MSISR, "msisr");

	if (state_printing(w->s)) {
		state_u32(w->s, "msisr", &summary);
		return;
	}
	for (u32 i = 0; i < E500_NR_MSI_GROUPS; i++) {
		u32 bits = 0;

		/* Also on restoring: what this VM has pending of its own goes by being read. */
		if (state_reading(w->s) || summary >> i & 1)
			bits = get_reg(w, MPIC_MSIR + i * 0x10, "msir");
		state_u32(w->s, "msir", &bits);
		send_messages(w, i, w->s->err ? 0 : bits);
	}
}

/* ---- what is a vCPU's ------------------------------------------------------------------------------------
 */

static void walk_ipi(struct walk *w, const struct kvm *kvm, u32 n)
{
	u32 offset = MPIC_IPI_IVPR + n * 0x10;
	u32 v = state_reading(w->s) ? 0 : get_reg(w, offset, "ipi");
	char name[8];

	snprintf(name, sizeof(name), "ipi%u", n);
	if (state_printing(w->s)) {
		state_note(w->s, name, "vector %u priority %u %s%s", IVPR_VECTOR(v), IVPR_PRIORITY(v),
			   v & IVPR_MASK ? "masked" : "enabled", v & IVPR_ACTIVITY ? " pending" : "");
		return;
	}
	state_u32(w->s, name, &v);
	if (!state_reading(w->s))
		return;
	set_reg(w, offset, v & ~IVPR_ACTIVITY, name);
	if (v & IVPR_ACTIVITY)
		set_reg(w, MPIC_CPU + MPIC_CPU_IPIDR + n * 0x10, (u32)((1ull << kvm->nr_vcpus) - 1), name);
}

/* The last of all: from here on vCPUs are interrupted. */
static void walk_priority(struct walk *w, u32 cpu)
{
	char name[16];

	snprintf(name, sizeof(name), "ctpr%u", cpu);
	walk_reg(w, MPIC_CPU + cpu * 0x1000 + MPIC_CPU_CTPR, name);
}

int mpic_state(const struct kvm *kvm, int fd, bool v4, struct state *s)
{
	struct walk w = {.s = s, .fd = fd};

	if (state_reading(s)) {
		set_reg(&w, MPIC_GCR, GCR_RESET, "gcr");
		for (u32 i = 0; i < kvm->nr_vcpus; i++)
			set_reg(&w, MPIC_CPU + i * 0x1000 + MPIC_CPU_CTPR, CTPR_NONE, "ctpr");
	}
	state_begin(s, "mpic", 1);
	walk_version(&w, MPIC_BRR1, "brr1");
	walk_version(&w, MPIC_FRR, "frr");
	state_must_match(s, "nr_vcpus", kvm->nr_vcpus);
	walk_reg(&w, MPIC_GCR, "gcr");
	walk_reg(&w, MPIC_SVR, "spurious_vector");
	walk_reg(&w, MPIC_TFRR, "tfrr");
	state_end(s);
	state_begin(s, "sources", 1);
	for (u32 n = 0; n < NR_SOURCES && !s->err; n++)
		walk_source(&w, n, v4);
	state_end(s);
	state_begin(s, "messages", 1);
	walk_messages(&w);
	state_end(s);
	state_begin(s, "processors", 1);
	for (u32 n = 0; n < NR_IPIS; n++)
		walk_ipi(&w, kvm, n);
	for (u32 i = 0; i < kvm->nr_vcpus; i++)
		walk_priority(&w, i);
	state_end(s);
	return s->err;
}

// SPDX-License-Identifier: MIT
/*
 * The guest of tests/lab/prog/state-roundtrip.c. It brings four vCPUs and all kinds of interrupts into all
 * kinds of states, says in a mailbox that it is ready, and holds still. There it is saved; what goes on when
 * the mailbox says "go" is another VM, and it must find everything as it was: registers, what is pending,
 * what is active, what is masked. Each interrupt must come once, and new ones must work.
 *
 * vCPU 0 holds with interrupts masked, so does vCPU 1; 2 sleeps; 3 is off.
 */
#include "its.h"
#include "smp.h"

/* Known to the program: beyond the image, in RAM of 64 MiB. */
struct mailbox {
	u32 ready, go;
};
#define MAILBOX ((volatile struct mailbox *)(RAM + 0x3000000))

#define DRIVE	   (TESTDEV + 0x1000)
#define IRQFD	   (TESTDEV + 8)
#define MSI_LOW	   (TESTDEV + 0x10)
#define MSI_HIGH   (TESTDEV + 0x14)
#define MSI_DATA   (TESTDEV + 0x18)
#define MSI_DEV	   (TESTDEV + 0x1c)
#define MSI_SEND   (TESTDEV + 0x20)
#define MSI_ROUTE  (TESTDEV + 0x24)
#define MSI_IRQFD  (TESTDEV + 0x28)
#define V2M_SETSPI 0x040

#define SPI(line) (FIRST_SPI + (line))
#define LPI(n)	  (FIRST_LPI + (n))
#define DEVICE	  40

/* Lines of the test device, by what becomes of them. */
enum {
	L_EDGE = 20,	/* edge, pending */
	L_LEVEL,	/* level, high */
	L_HELD,		/* level, high; served three times before it is lowered */
	L_OFF_EDGE,	/* edge, pending, disabled */
	L_OFF_LEVEL,	/* level, high, disabled */
	L_ACTIVE,	/* edge, active */
	L_BOTH,		/* edge, active and pending */
	L_ACTIVE_LEVEL, /* level, active, high */
	L_SOFT,		/* level, low, made pending by GICD_ISPENDR */
	L_CLEARED,	/* edge, was pending, cleared */
	L_SERVED,	/* edge, served */
	L_GONE,		/* level, high, disabled; lowered before it is enabled */
	L_OTHER,	/* edge, pending, vCPU 1's */
	L_LAST
};

u32 hold(const volatile u32 *go);

static volatile u32 online, held_wrong[2] = {1, 1}, done, late_ok, replies;
static volatile bool quit;
static bool its;
static u64 v2m_base, late;
static u32 v2m_first;

static void drive(u32 line, u8 level)
{
	write8(DRIVE + line, level);
}

static void pulse(u32 line)
{
	drive(line, 1);
	drive(line, 0);
}

static void lower(u32 id, u32 ack)
{
	drive(id - FIRST_SPI, 0);
}

static void lower_third(u32 id, u32 ack)
{
	if (irqs(id) % 3 == 0)
		drive(id - FIRST_SPI, 0);
}

static void stop_timer(u32 id, u32 ack)
{
	if (cpu_index() == 1)
		late_ok = ticks() >= late;
	write_sysreg("cntv_ctl_el0", 3);
}

static void message(u64 address, u32 data)
{
	write32(MSI_LOW, (u32)address);
	write32(MSI_HIGH, (u32)(address >> 32));
	write32(MSI_DATA, data);
	write32(MSI_DEV, DEVICE);
}

static void send_event(u32 event)
{
	message(its_base + GITS_TRANSLATER, event);
	write32(MSI_SEND, 1);
}

/* --- the other vCPUs ------------------------------------------------------------------------- */

static void second(void)
{
	gic_init_cpu();
	if (its)
		its_init_cpu();
	line_enable(PPI_VTIMER);
	gic->sgi(0, 5);
	late = ticks() + ticks_of_ms(300);
	write_sysreg("cntv_cval_el0", late);
	online = 1;
	held_wrong[1] = hold(&MAILBOX->go);
	/* When vCPU 0 has looked at what is pending. */
	wait_for(done);
	/* Set before the VM was saved, masked until now: the interrupt comes in this life. */
	write_sysreg("cntv_ctl_el0", 1);
	while (!quit)
		irq_window();
}

static void sleeper(u32 index)
{
	gic_init_cpu();
	online = 2;
	while (!quit)
		safe_halt();
}

static void starter(u32 index)
{
	gic_init_cpu();
	atomic_add(&replies, 1);
	while (!quit)
		irq_window();
}

static void reply(u32 id, u32 ack)
{
	atomic_add(&replies, 1);
}

static void other_cpu(u32 index)
{
	if (index == 1)
		second();
	else if (index == 2)
		sleeper(index);
	else
		starter(index);
}

/* --- before ---------------------------------------------------------------------------------- */

static void line_init(u32 line, bool edge, u32 priority, bool enable)
{
	line_edge(SPI(line), edge);
	line_priority(SPI(line), priority);
	if (enable)
		line_enable(SPI(line));
}

/* Acknowledged, and not ended: it stays active. */
static void activate(u32 line)
{
	u32 ack = gic->ack();

	check_eq(ack, SPI(line), "the most urgent interrupt is acknowledged");
}

static void make_active(void)
{
	line_init(L_SERVED, true, 0xa0, true);
	pulse(L_SERVED);
	gic->eoi(gic->ack());

	line_init(L_ACTIVE, true, 0x80, true);
	pulse(L_ACTIVE);
	activate(L_ACTIVE);
	line_init(L_BOTH, true, 0x40, true);
	pulse(L_BOTH);
	activate(L_BOTH);
	pulse(L_BOTH);
	line_init(L_ACTIVE_LEVEL, false, 0x20, true);
	drive(L_ACTIVE_LEVEL, 1);
	activate(L_ACTIVE_LEVEL);
}

static void make_pending(void)
{
	line_init(L_EDGE, true, 0xa0, true);
	pulse(L_EDGE);
	line_init(L_LEVEL, false, 0xa8, true);
	drive(L_LEVEL, 1);
	line_init(L_HELD, false, 0xb0, true);
	drive(L_HELD, 1);
	line_init(L_OFF_EDGE, true, 0xa0, false);
	pulse(L_OFF_EDGE);
	line_init(L_OFF_LEVEL, false, 0xa0, false);
	drive(L_OFF_LEVEL, 1);
	line_init(L_GONE, false, 0xa0, false);
	drive(L_GONE, 1);
	line_init(L_SOFT, false, 0xb8, true);
	line_bit(GICD_ISPENDR, SPI(L_SOFT));
	line_init(L_CLEARED, true, 0xa0, true);
	pulse(L_CLEARED);
	line_bit(GICD_ICPENDR, SPI(L_CLEARED));
	line_init(L_OTHER, true, 0xa0, true);
	gic->route(SPI(L_OTHER), 1);
	pulse(L_OTHER);

	gic->sgi(0, 3);
	gic->sgi(1, 4);
	gic->sgi(0, 5);
	if (gic->version == 3) {
		line_disable(6);
		gic->sgi(0, 6);
	}
	line_enable(PPI_VTIMER);
	write_sysreg("cntv_cval_el0", ticks());
	write_sysreg("cntv_ctl_el0", 1);
}

static void make_messages(void)
{
	struct node n = fdt_compatible(fdt_root(), "arm,gic-v2m-frame");

	if (n.at && fdt_reg(n, 0, &v2m_base, NULL)) {
		v2m_first = read32(v2m_base + 8) >> 16 & 0x3ff;
		for (u32 i = 0; i < 4; i++) {
			line_edge(v2m_first + i, true);
			line_enable(v2m_first + i);
		}
		write32(v2m_base + V2M_SETSPI, v2m_first);
		message(v2m_base + V2M_SETSPI, v2m_first + 1);
		write32(MSI_ROUTE, 1);
	}
	if (!its)
		return;
	its_mapd(DEVICE, 1, true);
	for (u32 event = 0; event < 9; event++) {
		its_mapti(DEVICE, event, LPI(event), event == 8);
		if (event != 4)
			lpi_enable(LPI(event), 0xa0);
	}
	for (u32 event = 0; event < 9; event++)
		its_inv(DEVICE, event);
	its_sync(0);
	its_sync(1);
	send_event(3);
	send_event(4);
	send_event(8);
	/* Pending, and taken back. */
	send_event(2);
	its_clear(DEVICE, 2);
	its_discard(DEVICE, 7);
	message(its_base + GITS_TRANSLATER, 5);
	write32(MSI_ROUTE, 1);
}

/* --- what must be the same after ------------------------------------------------------------- */

/* All that a guest can read of the GIC without changing it, in an order of its own. */
struct look {
	u32 n;
	struct {
		const char *what;
		u32 index;
		u64 value;
	} at[512];
};

static void see(struct look *l, const char *what, u32 index, u64 value)
{
	if (l->n == ARRAY_SIZE(l->at)) {
		printf("not ok there is room for all registers\n");
		exit_with(94);
	}
	l->at[l->n].what = what;
	l->at[l->n].index = index;
	l->at[l->n++].value = value;
}

static void look_at_v3(struct look *l)
{
	see(l, "ICC_PMR", 0, read_sysreg("icc_pmr_el1"));
	see(l, "ICC_BPR1", 0, read_sysreg("icc_bpr1_el1"));
	see(l, "ICC_CTLR", 0, read_sysreg("icc_ctlr_el1"));
	see(l, "ICC_IGRPEN1", 0, read_sysreg("icc_igrpen1_el1"));
	see(l, "GICR_CTLR", 0, read32(gicr_base() + GICR_CTLR));
	see(l, "GICR_WAKER", 0, read32(gicr_base() + GICR_WAKER));
	see(l, "GICR_TYPER", 0, read64(gicr_base() + GICR_TYPER));
	see(l, "GICR_PROPBASER", 0, read64(gicr_base() + GICR_PROPBASER));
	see(l, "GICR_PENDBASER", 0, read64(gicr_base() + GICR_PENDBASER));
	if (!its)
		return;
	see(l, "GITS_CTLR", 0, read32(its_base + GITS_CTLR));
	see(l, "GITS_TYPER", 0, read64(its_base + GITS_TYPER));
	see(l, "GITS_IIDR", 0, read32(its_base + GITS_IIDR));
	see(l, "GITS_CBASER", 0, read64(its_base + GITS_CBASER));
	see(l, "GITS_CREADR", 0, read64(its_base + GITS_CREADR));
	see(l, "GITS_CWRITER", 0, read64(its_base + GITS_CWRITER));
	for (u32 i = 0; i < 8; i++)
		see(l, "GITS_BASER", i, read64(its_base + GITS_BASER(i)));
}

static void look(struct look *l)
{
	static const struct {
		const char *name;
		u32 offset, ids; /* a register */
	} table[] = {{"GICD_IGROUPR", GICD_IGROUPR, 32},      {"GICD_ISENABLER", GICD_ISENABLER, 32},
		     {"GICD_ISPENDR", GICD_ISPENDR, 32},      {"GICD_ISACTIVER", GICD_ISACTIVER, 32},
		     {"GICD_IPRIORITYR", GICD_IPRIORITYR, 4}, {"GICD_ICFGR", GICD_ICFGR, 16}};

	see(l, "GICD_CTLR", 0, read32(gic_dist + GICD_CTLR));
	see(l, "GICD_TYPER", 0, read32(gic_dist + GICD_TYPER));
	see(l, "GICD_IIDR", 0, read32(gic_dist + GICD_IIDR));
	for (u32 i = 0; i < ARRAY_SIZE(table); i++)
		for (u32 id = 0; id < NR_LINES; id += table[i].ids) {
			u32 v = read32(gic->reg(id, table[i].offset + id / table[i].ids * 4));

			/* While vCPU 1 runs, what is pending for it may be in its list registers, and not
			 * show here. */
			if (table[i].offset == GICD_ISPENDR && id == SPI(L_OTHER) / 32 * 32)
				v &= ~(1u << SPI(L_OTHER) % 32);
			see(l, table[i].name, id, v);
		}
	for (u32 id = FIRST_SPI; id < NR_LINES; id++)
		see(l, "target", id,
		    gic->version == 2 ? read8(gic_dist + GICD_ITARGETSR + id)
				      : read64(gic_dist + GICD_IROUTER + 8 * id));
	see(l, "running priority", 0, gic->running());
	for (u32 id = 0; id < 16 && gic->version == 2; id += 4)
		see(l, "GICD_SPENDSGIR", id, read32(gic_dist + GICD_SPENDSGIR + id));
	if (gic->version == 3)
		look_at_v3(l);
}

static void same_looks(const struct look *a, const struct look *b)
{
	bool same = a->n == b->n;

	for (u32 i = 0; i < a->n; i++) {
		if (a->at[i].value == b->at[i].value)
			continue;
		same = false;
		printf("# %s from %u on: 0x%lx, now 0x%lx\n", a->at[i].what, a->at[i].index, a->at[i].value,
		       b->at[i].value);
	}
	check(same, "the registers of the GIC read as they did");
}

/* --- after ----------------------------------------------------------------------------------- */

static void expect(u32 cpu, u32 id, u32 n, const char *what)
{
	u32 got = irq_count[cpu][irq_slot(id)];

	check_eq(got, n, what);
	if (got != n)
		printf("# vCPU %u, interrupt %u\n", cpu, id);
}

static void end_active(void)
{
	check(line_is(GICD_ISACTIVER, SPI(L_ACTIVE)) && line_is(GICD_ISACTIVER, SPI(L_BOTH)) &&
		      line_is(GICD_ISACTIVER, SPI(L_ACTIVE_LEVEL)),
	      "what was active is active");
	check_eq(gic->running() & 0xf8, 0x20, "the running priority is what it was");
	irq_settle();
	check_eq(irq_total(), 0, "and holds everything back");
	gic->eoi(SPI(L_ACTIVE_LEVEL));
	check_eq(gic->running() & 0xf8, 0x40, "and falls, end by end");
	gic->eoi(SPI(L_BOTH));
	gic->eoi(SPI(L_ACTIVE));
	check_eq(gic->running() & 0xf8, 0xf8, "to nothing");
}

static void each_once(void)
{
	check(wait_irq(irq_count[0][irq_slot(SPI(L_SOFT))]), "unmasked, the interrupts come");
	irq_settle();
	expect(0, SPI(L_EDGE), 1, "edge, pending: once");
	expect(0, SPI(L_LEVEL), 1, "level, high: once, for it is lowered then");
	expect(0, SPI(L_HELD), 3, "level, high: again and again until it is lowered");
	expect(0, SPI(L_OFF_EDGE), 0, "edge, pending, disabled: not");
	expect(0, SPI(L_OFF_LEVEL), 0, "level, high, disabled: not");
	expect(0, SPI(L_ACTIVE), 0, "edge, was active: not again");
	expect(0, SPI(L_BOTH), 1, "edge, was active and pending: once");
	expect(0, SPI(L_ACTIVE_LEVEL), 1, "level, was active, high: once more, for it is lowered then");
	expect(0, SPI(L_SOFT), 1, "made pending by software: once");
	expect(0, SPI(L_CLEARED), 0, "pending was cleared: not");
	expect(0, SPI(L_SERVED), 0, "edge, served: not again");
	expect(0, SPI(L_OTHER), 0, "edge, pending for the other vCPU: not here");
	expect(0, 3, 1, "an SGI from itself: once");
	expect(0, 5, gic->version == 2 ? 2 : 1, "an SGI of two senders: twice by a GICv2, once by a GICv3");
	expect(0, 6, 0, "a disabled SGI: not");
	expect(0, PPI_VTIMER, 1, "the timer that had run out: once");
	if (v2m_base)
		expect(0, v2m_first, 1, "GICv2m message, pending: once");
	if (!its)
		return;
	expect(0, LPI(3), 1, "LPI, pending: once");
	expect(0, LPI(4), 0, "LPI, pending, disabled: not");
	expect(0, LPI(2), 0, "LPI, pending was cleared: not");
	expect(0, LPI(8), 0, "LPI, pending for the other vCPU: not here");
}

static void each_once_there(void)
{
	done = 1;
	check(wait_irq(irq_count[1][PPI_VTIMER]), "the other vCPU's timer runs out");
	irq_settle();
	check(late_ok, "not before its time");
	expect(1, SPI(L_OTHER), 1, "edge, pending for the other vCPU: once there");
	expect(1, 4, 1, "an SGI to the other vCPU: once");
	expect(1, PPI_VTIMER, 1, "its timer: once");
	if (its)
		expect(1, LPI(8), 1, "LPI, pending for the other vCPU: once there");
}

/* What was disabled is enabled. */
static void enabled_now(void)
{
	u32 before = irq_total();

	line_enable(SPI(L_OFF_EDGE));
	line_enable(SPI(L_OFF_LEVEL));
	if (its) {
		lpi_enable(LPI(4), 0xa0);
		its_inv(DEVICE, 4);
		its_sync(0);
	}
	if (gic->version == 3)
		line_enable(6);
	irq_settle();
	expect(0, SPI(L_OFF_EDGE), 1, "edge, pending: once, when it is enabled");
	expect(0, SPI(L_OFF_LEVEL), 1, "level, high: once, when it is enabled");
	if (its)
		expect(0, LPI(4), 1, "LPI, pending: once, when it is enabled");
	if (gic->version == 3)
		expect(0, 6, 1, "an SGI: once, when it is enabled");
	check_eq(irq_total() - before, 2u + its + (gic->version == 3), "and no other");
}

/*
 * A GICv2 of KVM's tells levels and latches as one, so what is restored is a latch, and outlives the level. A
 * GICv3 has them apart.
 */
static void gone_before(void)
{
	drive(L_GONE, 0);
	line_enable(SPI(L_GONE));
	irq_settle();
	if (gic->version == 3)
		expect(0, SPI(L_GONE), 0, "level, high, lowered before it is enabled: not");
	else
		printf("= level_became_latch %s\n", irqs(SPI(L_GONE)) ? "yes" : "no");
}

static void new_ones(void)
{
	u32 before = irq_total(), more = 6;

	pulse(L_EDGE);
	irq_settle();
	expect(0, SPI(L_EDGE), 2, "a new edge");
	drive(L_HELD, 1);
	irq_settle();
	expect(0, SPI(L_HELD), 6, "a new level, held three times");
	pulse(L_SERVED);
	irq_settle();
	expect(0, SPI(L_SERVED), 1, "a new edge of the line that had been served");
	line_edge(SPI(10), true);
	line_enable(SPI(10));
	write8(IRQFD, 10);
	check(wait_irq(irqs(SPI(10))), "an irqfd");
	if (v2m_base) {
		write32(v2m_base + V2M_SETSPI, v2m_first + 2);
		irq_settle();
		expect(0, v2m_first + 2, 1, "a new GICv2m message");
		write8(MSI_IRQFD, 1);
		check(wait_irq(irqs(v2m_first + 1)), "the GICv2m message of the route from before");
		more += 2;
	}
	if (its) {
		send_event(3);
		irq_settle();
		expect(0, LPI(3), 2, "a new message of an event");
		write8(MSI_IRQFD, 1);
		check(wait_irq(irqs(LPI(5))), "the message of the route from before");
		send_event(7);
		irq_settle();
		expect(0, LPI(7), 0, "a discarded event stays discarded");
		its_mapti(DEVICE, 7, LPI(20), 0);
		lpi_enable(LPI(20), 0xa0);
		its_inv(DEVICE, 7);
		its_sync(0);
		send_event(7);
		irq_settle();
		expect(0, LPI(20), 1, "and is mapped anew");
		more += 3;
	}
	irq_settle();
	check_eq(irq_total() - before, more, "and no other");
}

static void others(void)
{
	irq_hook[7] = reply;
	gic->sgi(2, 7);
	check(wait_for(replies == 1), "the vCPU that slept wakes by an SGI");
	check_eq((u64)psci(PSCI_AFFINITY_INFO, boot.affinity[3], 0, 0), 1, "the one that was off is off");
	check_eq((u64)smp_start(3, other_cpu), 0, "and can be switched on");
	check(wait_for(replies == 2), "and runs");
	quit = true;
	gic->sgi_others(8);
	for (u32 cpu = 1; cpu < 4; cpu++)
		check(wait_for(psci(PSCI_AFFINITY_INFO, boot.affinity[cpu], 0, 0) == 1),
		      "each switches itself off");
}

void main(void)
{
	static struct look before, after;
	u32 spsr;

	gic_init();
	its = its_init();
	if (its)
		its_init_cpu();
	for (u32 line = L_EDGE; line < L_LAST; line++)
		irq_hook[SPI(line)] = line == L_HELD ? lower_third
				      : line == L_LEVEL || line == L_OFF_LEVEL || line == L_ACTIVE_LEVEL
					      ? lower
					      : NULL;
	irq_hook[PPI_VTIMER] = stop_timer;
	MAILBOX->ready = MAILBOX->go = 0;
	make_active();
	smp_start(1, other_cpu);
	check(wait_for(online == 1), "vCPU 1 is up");
	smp_start(2, other_cpu);
	check(wait_for(online == 2), "vCPU 2 is up");
	make_pending();
	make_messages();
	irq_settle();
	check_eq(irq_total(), 0, "the running priority holds everything back");
	write_sysreg("spsr_el1", 0x600003c5);
	look(&before);
	printf("ready\n");
	MAILBOX->ready = 1;
	held_wrong[0] = hold(&MAILBOX->go);

	look(&after);
	spsr = (u32)read_sysreg("spsr_el1");
	printf("go\n");
	check_eq(held_wrong[0], 0, "general and vector registers are what they were");
	check_eq(spsr, 0x600003c5, "and SPSR_EL1");
	same_looks(&before, &after);
	check(wait_for(held_wrong[1] == 0), "general and vector registers of vCPU 1 are what they were");
	end_active();
	each_once();
	each_once_there();
	enabled_now();
	gone_before();
	new_ones();
	others();
	check_eq(irq_spurious[0] + irq_spurious[1] + irq_spurious[2], 0, "no interrupt was spurious");
	finish();
}

// SPDX-License-Identifier: MIT
/*
 * Interrupt lines: --testdev drives line n, which is SPI n. By edge and by level, masked, by priority, all at
 * once, handed to the other vCPU, by irqfd; each interrupt is counted, and none may be lost or come twice.
 */
#include "gic.h"
#include "smp.h"

#define LINES	   64u
#define DRIVE	   (TESTDEV + 0x1000)
#define IRQFD	   (TESTDEV + 8)
#define IRQFD_LINE 10
#define SPI(line)  (FIRST_SPI + (line))

static u32 order[LINES], nr_order;
static volatile u32 lower_at;
static volatile bool stop;

static void drive(u32 line, u8 level)
{
	write8(DRIVE + line, level);
}

static void pulse(u32 line)
{
	drive(line, 1);
	drive(line, 0);
}

static void note_order(u32 id, u32 ack)
{
	if (nr_order < ARRAY_SIZE(order))
		order[nr_order++] = id - FIRST_SPI;
}

/* Holds the line up until it has interrupted lower_at times. */
static void lower(u32 id, u32 ack)
{
	if (irqs(id) >= lower_at)
		drive(id - FIRST_SPI, 0);
}

static void hook_all(void (*hook)(u32 id, u32 ack))
{
	for (u32 line = 0; line < LINES; line++)
		irq_hook[SPI(line)] = hook;
}

static void edges(void)
{
	bool each = true;

	irq_reset();
	for (u32 line = 0; line < LINES; line++) {
		line_edge(SPI(line), true);
		line_enable(SPI(line));
		for (u32 i = 1; i <= 3; i++) {
			pulse(line);
			irq_settle();
			each = each && irqs(SPI(line)) == i;
		}
		if (!each)
			printf("# line %u: %u interrupts\n", line, irqs(SPI(line)));
		line_disable(SPI(line));
	}
	check(each, "an edge on each line is one interrupt");
	check_eq(irq_total(), 3 * LINES, "and there is no other interrupt");

	line_enable(SPI(40));
	drive(40, 1);
	irq_settle();
	irq_settle();
	check_eq(irqs(SPI(40)), 4, "edge: a line that stays high is one interrupt");
	drive(40, 0);
	irq_settle();
	check_eq(irqs(SPI(40)), 4, "edge: its fall is none");
	line_disable(SPI(40));
}

static void levels(void)
{
	bool each = true, held = true, idle = true;

	irq_reset();
	hook_all(lower);
	for (u32 line = 0; line < LINES; line++) {
		line_edge(SPI(line), false);
		line_enable(SPI(line));
		lower_at = 1;
		drive(line, 1);
		irq_settle();
		each = each && irqs(SPI(line)) == 1;
		lower_at = 4;
		drive(line, 1);
		irq_settle();
		held = held && irqs(SPI(line)) == 4;
		idle = idle && !line_is(GICD_ISPENDR, SPI(line)) && !line_is(GICD_ISACTIVER, SPI(line));
		if (!each || !held)
			printf("# line %u: %u interrupts\n", line, irqs(SPI(line)));
		line_disable(SPI(line));
	}
	check(each, "a level that the handler lowers is one interrupt, on each line");
	check(held, "a level that stays comes again after each end, on each line");
	check(idle, "and is neither pending nor active after that");
	check_eq(irq_total(), 4 * LINES, "and there is no other interrupt");
	hook_all(NULL);
}

static void masked(void)
{
	u32 id = SPI(21);

	irq_reset();
	line_edge(id, true);
	pulse(21);
	pulse(21);
	irq_settle();
	check_eq(irqs(id), 0, "edge: a disabled line is silent");
	check(line_is(GICD_ISPENDR, id), "edge: but pending");
	line_enable(id);
	irq_settle();
	check_eq(irqs(id), 1, "edge: and comes when it is enabled, once for two edges");
	line_disable(id);
	pulse(21);
	line_bit(GICD_ICPENDR, id);
	line_enable(id);
	irq_settle();
	check_eq(irqs(id), 1, "edge: what was pending can be cleared");
	line_bit(GICD_ISPENDR, id);
	irq_settle();
	check_eq(irqs(id), 2, "software can make an interrupt pending");
	line_disable(id);

	line_edge(id, false);
	drive(21, 1);
	drive(21, 0);
	line_enable(id);
	irq_settle();
	check_eq(irqs(id), 2, "level: a disabled line that fell again is forgotten");
	line_disable(id);
	irq_hook[id] = lower;
	lower_at = 3;
	drive(21, 1);
	line_bit(GICD_ICPENDR, id);
	check(line_is(GICD_ISPENDR, id), "level: what the line holds up cannot be cleared");
	line_enable(id);
	irq_settle();
	check_eq(irqs(id), 3, "level: a disabled line that is still high comes when it is enabled");
	irq_hook[id] = NULL;

	line_edge(id, true);
	write32(gic_dist + GICD_CTLR, read32(gic_dist + GICD_CTLR) & ~3u);
	pulse(21);
	irq_settle();
	check_eq(irqs(id), 3, "a distributor that is off forwards nothing");
	write32(gic_dist + GICD_CTLR, read32(gic_dist + GICD_CTLR) | (gic->version == 2 ? 1 : 2));
	/* Linux 6.1 forwards it only when something else makes it look at the interrupt again. */
	irq_settle();
	printf("= forwarded_when_on_again %s\n", irqs(id) == 4 ? "yes" : "no");
	line_enable(id);
	irq_settle();
	check_eq(irqs(id), 4, "but keeps it, and it comes once when the distributor is on again");
	line_disable(id);
}

/* More lines at once than the GIC has list registers, at most 16. */
static void crowd(void)
{
	bool ordered = true, once = true;

	irq_reset();
	nr_order = 0;
	hook_all(note_order);
	for (u32 line = 0; line < LINES; line++) {
		line_edge(SPI(line), true);
		/* The higher the line, the more urgent; two share a priority. */
		line_priority(SPI(line), 0xf0 - line / 2 * 8 % 0xf0);
		line_enable(SPI(line));
	}
	for (u32 line = 0; line < 58; line++)
		pulse(line);
	irq_settle();
	for (u32 line = 0; line < 58; line++)
		once = once && irqs(SPI(line)) == 1;
	check(once, "58 lines at once: each is one interrupt");
	check_eq(nr_order, 58, "and there is no other");
	for (u32 i = 1; i < nr_order; i++)
		ordered = ordered && order[i] / 2 <= order[i - 1] / 2;
	check(ordered, "and they come by priority");
	if (!ordered)
		for (u32 i = 0; i < nr_order; i++)
			printf("# %u\n", order[i]);
	for (u32 line = 0; line < LINES; line++) {
		line_disable(SPI(line));
		line_priority(SPI(line), 0xa0);
	}
	hook_all(NULL);
}

/* Serves line 50, and lets 51 in while it does. */
static void nested(u32 id, u32 ack)
{
	printf("= running_inside 0x%x\n", gic->running());
	pulse(51);
	pulse(52);
	irq_settle();
	order[0] = irqs(SPI(51));
	order[1] = irqs(SPI(52));
}

static void priorities(void)
{
	irq_reset();
	for (u32 line = 50; line <= 52; line++) {
		line_edge(SPI(line), true);
		line_enable(SPI(line));
	}
	line_priority(SPI(50), 0x80);
	line_priority(SPI(51), 0x40);
	line_priority(SPI(52), 0xc0);
	gic->mask(0x80);
	pulse(50);
	pulse(52);
	irq_settle();
	check_eq(irqs(SPI(50)), 0, "the priority mask holds back its own priority");
	pulse(51);
	irq_settle();
	check_eq(irqs(SPI(51)), 1, "and lets a more urgent one in");
	gic->mask(0xff);
	irq_settle();
	check_eq(irqs(SPI(50)) + irqs(SPI(52)), 2, "what was held back comes when the mask opens");

	irq_reset();
	irq_hook[SPI(50)] = nested;
	pulse(50);
	irq_settle();
	check_eq(order[0], 1, "a more urgent interrupt comes in the middle of another");
	check_eq(order[1], 0, "a less urgent one waits");
	irq_settle();
	check_eq(irqs(SPI(52)), 1, "and comes after its end");
	check_eq(gic->running() & 0xf8, 0xf8, "nothing is running after that");
	irq_hook[SPI(50)] = NULL;

	/* With five bits of priority, as KVM's guests have, the open mask is 0xf8. */
	line_priority(SPI(50), 0xf0);
	pulse(50);
	irq_settle();
	check_eq(irqs(SPI(50)), 2, "the least urgent priority there is comes through an open mask");
	for (u32 line = 50; line <= 52; line++) {
		line_disable(SPI(line));
		line_priority(SPI(line), 0xa0);
	}
}

static u32 kept_ack;

static void keep_ack(u32 id, u32 ack)
{
	kept_ack = ack;
}

static void deactivation(void)
{
	u32 id = SPI(30);

	irq_reset();
	irq_hook[id] = keep_ack;
	line_edge(id, true);
	line_enable(id);
	gic->split_eoi(true);
	pulse(30);
	irq_settle();
	check(irqs(id) == 1 && line_is(GICD_ISACTIVER, id),
	      "split EOI: an interrupt stays active after its end");
	pulse(30);
	irq_settle();
	check_eq(irqs(id), 1, "split EOI: and does not come again while it is active");
	gic->deactivate(kept_ack);
	irq_settle();
	check_eq(irqs(id), 2, "split EOI: but after its deactivation");
	gic->deactivate(kept_ack);
	check(!line_is(GICD_ISACTIVER, id), "split EOI: which is what it says");
	gic->split_eoi(false);
	irq_hook[id] = NULL;

	line_bit(GICD_ISACTIVER, id);
	pulse(30);
	irq_settle();
	check_eq(irqs(id), 2, "an interrupt that software made active does not come");
	line_bit(GICD_ICACTIVER, id);
	irq_settle();
	check_eq(irqs(id), 3, "until it is inactive again");
	line_disable(id);
}

static void irqfd(void)
{
	u32 id = SPI(IRQFD_LINE);

	irq_reset();
	line_edge(id, true);
	line_enable(id);
	write8(IRQFD, IRQFD_LINE);
	check(wait_irq(irqs(id) >= 1), "irqfd: a write that an ioeventfd takes is an interrupt");
	irq_settle();
	check_eq(irqs(id), 1, "irqfd: one");
	write8(IRQFD, IRQFD_LINE + 1);
	irq_settle();
	check_eq(irqs(id), 1, "irqfd: not of another value");
	line_disable(id);
	write8(IRQFD, IRQFD_LINE);
	irq_settle();
	check_eq(irqs(id), 1, "irqfd: a disabled line is silent");
	line_enable(id);
	check(wait_irq(irqs(id) >= 2), "irqfd: and comes when it is enabled");
	for (u32 i = 3; i <= 50; i++) {
		write8(IRQFD, IRQFD_LINE);
		wait_irq(irqs(id) >= i);
	}
	irq_settle();
	check_eq(irqs(id), 50, "irqfd: 50 in all");
	line_disable(id);
}

static void other_cpu(u32 index)
{
	gic_init_cpu();
	while (!stop)
		safe_halt();
}

static u32 there(u32 id)
{
	return irq_count[1][irq_slot(id)];
}

static void routes(void)
{
	u32 id = SPI(33);
	bool each = true;

	irq_reset();
	smp_start(1, other_cpu);
	check(wait_for(smp_started), "the other vCPU starts");
	/* It takes this when its interface is up. */
	check(wait_for((gic->sgi(1, 1), irq_count[1][1])), "and takes an SGI");
	line_edge(id, true);
	line_enable(id);
	gic->route(id, 1);
	for (u32 i = 1; i <= 20; i++) {
		pulse(33);
		each = each && wait_for(there(id) == i);
	}
	irq_settle();
	check(each && there(id) == 20,
	      "a line that is routed to the other vCPU: each edge is an interrupt there");
	check_eq(irqs(id), 0, "and none here");
	line_disable(id);
	pulse(33);
	gic->route(id, 0);
	line_enable(id);
	irq_settle();
	check_eq(irqs(id), 1, "what is pending goes where the route now leads");
	check_eq(there(id), 20, "and not where it led");

	/* The level is lowered there. */
	line_edge(id, false);
	irq_hook[id] = lower;
	lower_at = 25;
	gic->route(id, 1);
	drive(33, 1);
	check(wait_for(there(id) >= 25), "level: it comes there until it is lowered there");
	irq_settle();
	check_eq(there(id), 25, "and not once more");
	irq_hook[id] = NULL;
	line_disable(id);
	stop = true;
	gic->sgi(1, 2);
	check(wait_for(psci(PSCI_AFFINITY_INFO, boot.affinity[1], 0, 0) == 1), "the other vCPU is off");
}

void main(void)
{
	gic_init();
	printf("= gic_version %u\n= gic_lines %u\n", gic->version,
	       32 * ((read32(gic_dist + GICD_TYPER) & 31) + 1));
	edges();
	levels();
	masked();
	crowd();
	priorities();
	deactivation();
	irqfd();
	if (boot.nr_cpus > 1)
		routes();
	check_eq(irq_spurious[0] + irq_spurious[1], 0, "no interrupt was spurious");
	finish();
}

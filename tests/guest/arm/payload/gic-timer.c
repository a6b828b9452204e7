// SPDX-License-Identifier: MIT
/*
 * The two timers that a guest has (Arm ARM, D11): the virtual one, PPI 27, and the physical one, PPI 30, on
 * each vCPU: in time, once, again and again, masked, and out of sleep.
 */
#include "gic.h"
#include "smp.h"

#define CTL_ENABLE 1
#define CTL_IMASK  2
#define CTL_STATUS 4

struct timer {
	const char *name;
	u32 id;
	void (*set_ctl)(u64 v);
	u64 (*ctl)(void);
	void (*set_compare)(u64 v);
	u64 (*now)(void);
};

#define DEFINE_TIMER(t, c)                                                                                   \
	static void t##_set_ctl(u64 v)                                                                       \
	{                                                                                                    \
		write_sysreg(#t "_ctl_el0", v);                                                              \
	}                                                                                                    \
	static u64 t##_ctl(void)                                                                             \
	{                                                                                                    \
		isb();                                                                                       \
		return read_sysreg(#t "_ctl_el0");                                                           \
	}                                                                                                    \
	static void t##_set_compare(u64 v)                                                                   \
	{                                                                                                    \
		write_sysreg(#t "_cval_el0", v);                                                             \
	}                                                                                                    \
	static u64 t##_now(void)                                                                             \
	{                                                                                                    \
		isb();                                                                                       \
		return read_sysreg(c);                                                                       \
	}
DEFINE_TIMER(cntv, "cntvct_el0")
DEFINE_TIMER(cntp, "cntpct_el0")

static const struct timer timers[] = {
	{"virtual timer", PPI_VTIMER, cntv_set_ctl, cntv_ctl, cntv_set_compare, cntv_now},
	{"physical timer", PPI_PTIMER, cntp_set_ctl, cntp_ctl, cntp_set_compare, cntp_now},
};

static const struct timer *current;
static u64 period, compare, fired_at;
static volatile u32 ticks_wanted;
/* What a vCPU found, told by the first: only that one speaks. */
static struct {
	bool once, in_time, status, silent, late, past, periodic, sleep;
} result[8];
static volatile u32 nr_done;

static void on_timer(u32 id, u32 ack)
{
	fired_at = current->now();
	if (ticks_wanted && --ticks_wanted) {
		compare += period;
		current->set_compare(compare);
	} else {
		current->set_ctl(CTL_ENABLE | CTL_IMASK);
	}
}

static void arm(u64 in)
{
	compare = current->now() + in;
	current->set_compare(compare);
	current->set_ctl(CTL_ENABLE);
}

static void test(const struct timer *t)
{
	u32 cpu = cpu_index(), n;
	bool came;

	current = t;
	irq_hook[irq_slot(t->id)] = on_timer;
	line_enable(t->id);
	n = irqs(t->id);

	arm(ticks_of_ms(20));
	came = wait_irq(irqs(t->id) != n);
	irq_settle();
	result[cpu].once = came && irqs(t->id) == ++n;
	result[cpu].in_time = fired_at >= compare;
	result[cpu].status = t->ctl() == (CTL_ENABLE | CTL_IMASK | CTL_STATUS);

	t->set_ctl(CTL_ENABLE | CTL_IMASK);
	compare = t->now() + ticks_of_ms(5);
	t->set_compare(compare);
	wait_irq(t->ctl() & CTL_STATUS);
	irq_settle();
	result[cpu].silent = irqs(t->id) == n;
	/* Unmasked when it has long run out. */
	t->set_ctl(CTL_ENABLE);
	irq_settle();
	result[cpu].late = irqs(t->id) == ++n;

	t->set_ctl(0);
	/* Not by subtraction: a time before the counter's zero is one far ahead, and QEMU 7.2 hangs on it. */
	t->set_compare(t->now() / 2);
	irq_settle();
	result[cpu].past = irqs(t->id) == n;
	t->set_ctl(CTL_ENABLE);
	irq_settle();
	result[cpu].past = result[cpu].past && irqs(t->id) == ++n;

	ticks_wanted = 20;
	period = ticks_of_ms(3);
	arm(period);
	came = wait_irq(!ticks_wanted);
	irq_settle();
	n += 20;
	result[cpu].periodic = came && irqs(t->id) == n;

	/* Nothing but the timer could end these. */
	for (u32 i = 0; i < 5; i++) {
		arm(ticks_of_ms(10));
		while (irqs(t->id) == n)
			safe_halt();
		n++;
	}
	irq_settle();
	result[cpu].sleep = irqs(t->id) == n;
	t->set_ctl(0);
	line_disable(t->id);
	irq_hook[irq_slot(t->id)] = NULL;
}

static void other_cpu(u32 index)
{
	gic_init_cpu();
	test(current);
	nr_done++;
}

static void report(const struct timer *t, u32 cpu)
{
	printf("# vCPU %u, %s\n", cpu, t->name);
	check(result[cpu].once, "it runs out, and is one interrupt");
	check(result[cpu].in_time, "not before its time");
	check(result[cpu].status, "its status says so");
	check(result[cpu].silent, "masked, it is silent");
	check(result[cpu].late, "unmasked after its time, it comes at once");
	check(result[cpu].past, "off, it is silent; set into the past and on, it comes at once");
	check(result[cpu].periodic, "20 periods are 20 interrupts");
	check(result[cpu].sleep, "it ends a sleep, five times");
}

void main(void)
{
	u64 a, b;

	gic_init();
	a = cntv_now();
	b = cntv_now();
	check(b >= a, "the counter does not run backwards");
	for (u32 i = 0; i < ARRAY_SIZE(timers); i++) {
		if ((has_word("virtual") && i == 1) || (has_word("physical") && i == 0))
			continue;
		test(&timers[i]);
		report(&timers[i], 0);
		for (u32 cpu = 1; cpu < boot.nr_cpus && cpu < ARRAY_SIZE(result); cpu++) {
			nr_done = 0;
			/* It has just switched itself off, after a test before this one. */
			wait_for(psci(PSCI_AFFINITY_INFO, boot.affinity[cpu], 0, 0) == 1);
			smp_start(cpu, other_cpu);
			wait_for(nr_done);
			report(&timers[i], cpu);
		}
	}
	check_eq(irq_spurious[0], 0, "no interrupt was spurious");
	finish();
}

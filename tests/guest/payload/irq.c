// SPDX-License-Identifier: MIT
/*
 * Interrupt delivery: --testdev's ports 0x2000 + GSI drive the lines. By the two PICs, by the I/O APIC (edge
 * and level), by the local APIC's timer and by a self IPI; the PIT through both. "pins=N" lowers the number
 * of lines that the test device drives.
 */
#include "guest.h"

#define PULSE(line)                                                                                          \
	do {                                                                                                 \
		outb((u16)(0x2000 + (line)), 1);                                                             \
		outb((u16)(0x2000 + (line)), 0);                                                             \
	} while (0)

static u32 order[32], nr_order;
static u32 level_line, level_lower_at, irr_seen;

static void let_in(void)
{
	for (u32 i = 0; i < 20; i++)
		irq_window();
}

static void note_order(u32 vector)
{
	if (nr_order < ARRAY_SIZE(order))
		order[nr_order++] = vector;
}

static void pic(void)
{
	static const u8 lines[] = {3, 5, 6, 7, 10, 11, 12, 13, 14, 15};
	bool each = true, others = true;

	irq_eoi = EOI_PIC;
	lapic_write(0x350, 0x700); /* LINT0: as the PIC says */
	pic_init(0);
	/* Nothing but the line under test: the PIT is silent until it is set. */
	for (u32 i = 0; i < ARRAY_SIZE(lines); i++) {
		u32 line = lines[i], before = irq_count[0x20 + line];

		pic_init((u16) ~(1 << line | 1 << 2));
		PULSE(line);
		let_in();
		if (irq_count[0x20 + line] != before + 1) {
			each = false;
			printf("# line %u: %u interrupts\n", line, irq_count[0x20 + line] - before);
		}
	}
	check(each, "PIC: an edge on each line is one interrupt");
	for (u32 v = 0x20; v < 0x30; v++)
		if (irq_count[v] > 1)
			others = false;
	check(others, "PIC: and no other");

	pic_init(0xffff);
	outb(0x2005, 1);
	let_in();
	check_eq(irq_count[0x25], 1, "PIC: a masked line is silent");
	outb(0x2005, 0);

	pic_init((u16) ~(1 << 3 | 1 << 5 | 1 << 10 | 1 << 2));
	for (u32 v = 0x20; v < 0x30; v++)
		irq_hook[v] = note_order;
	PULSE(5);
	PULSE(3);
	PULSE(10);
	let_in();
	check(nr_order == 3 && order[0] == 0x2a && order[1] == 0x23 && order[2] == 0x25,
	      "PIC: pending lines come by priority");
	for (u32 v = 0x20; v < 0x30; v++)
		irq_hook[v] = NULL;
	outb(0x20, 0x0b);
	check_eq(inb(0x20), 0, "PIC: nothing is left in service");
	pic_init(0xffff);
}

static void lower_by_pic(u32 vector)
{
	if (irq_count[vector] >= level_lower_at)
		outb((u16)(0x2000 + level_line), 0);
}

static void pic_levels(void)
{
	outb(0x4d0, 0);
	outb(0x4d1, 1 << 3); /* 11 */
	check_eq(inb(0x4d1), 1 << 3, "PIC: the edge/level register reads back");
	pic_init((u16) ~(1 << 11 | 1 << 2));
	level_line = 11;
	level_lower_at = irq_count[0x2b] + 3;
	irq_hook[0x2b] = lower_by_pic;
	outb(0x200b, 1);
	let_in();
	check_eq(irq_count[0x2b], level_lower_at, "PIC: a level that stays comes again after each end");
	irq_hook[0x2b] = NULL;
	outb(0x4d1, 0);
}

static void pit_program(u32 hz)
{
	u32 count = 1193182 / hz;

	outb(0x43, 0x34);
	outb(0x40, (u8)count);
	outb(0x40, (u8)(count >> 8));
}

static void pit_stop(void)
{
	outb(0x43, 0x30);
}

static void pit(void)
{
	irq_eoi = EOI_PIC;
	pic_init((u16)~1);
	pit_program(1000);
	check(irq_wait(0x20, 5), "PIT: ticks by the PIC, IRQ 0");
	pit_stop();
	pic_init(0xffff);

	irq_eoi = EOI_LAPIC;
	ioapic_route(0, 0x48, 0);
	pit_program(1000);
	check(irq_wait(0x48, 5), "PIT: ticks by the I/O APIC, pin 0");
	pit_stop();
	ioapic_write(0x10, 1 << 16);

	outb(0x61, (inb(0x61) & ~2) | 1);
	outb(0x43, 0xb0);
	outb(0x42, 0xff);
	outb(0x42, 0x0f);
	for (u32 i = 0; i < 200000 && !(inb(0x61) & 0x20); i++)
		cpu_relax();
	check(inb(0x61) & 0x20, "PIT: channel 2 runs out, as port 0x61 shows");
}

/*
 * 10 ms by channel 2, measured by the TSC, whose frequency KVM says (cpuid.rst, 0x40000010). As Linux does,
 * the shortest of some tries counts: the others were interrupted.
 */
static void pit_against_tsc(void)
{
	u32 khz, top, b, c, d, best = ~0u;

	cpuid(0x40000000, 0, &top, &b, &c, &d);
	if (b != 0x4b4d564b || top < 0x40000010)
		return;
	cpuid(0x40000010, 0, &khz, &b, &c, &d);
	for (u32 i = 0; i < 5; i++) {
		u64 begin;

		outb(0x61, (inb(0x61) & ~2) | 1);
		outb(0x43, 0xb0);
		outb(0x42, 11932 & 0xff);
		outb(0x42, 11932 >> 8);
		begin = rdtsc();
		while (!(inb(0x61) & 0x20))
			cpu_relax();
		begin = rdtsc() - begin;
		if (begin < best)
			best = (u32)begin;
	}
	printf("= tsc_khz %u\n= tsc_by_pit %u\n", khz, best / 10);
	check(best / 10 > khz - khz / 50 && best / 10 < khz + khz / 20,
	      "PIT: 10 ms by channel 2 are 10 ms by the TSC");
}

/* Each tick ends a halt, with nothing else that could. */
static void pit_one_shot(void)
{
	u32 before;

	/* A tick that came by the I/O APIC while the PIT was being stopped would end a halt too. */
	irq_eoi = EOI_LAPIC;
	let_in();
	irq_eoi = EOI_PIC;
	pic_init((u16)~1);
	outb(0x43, 0x38);
	before = irq_count[0x20];
	for (u32 i = 0; i < 20; i++) {
		outb(0x40, 0x54);
		outb(0x40, 0x02); /* half a millisecond */
		safe_halt();
	}
	check_eq(irq_count[0x20] - before, 20, "PIT: one shot after another, each ends a halt");
	pit_stop();
	pic_init(0xffff);
}

/* LINT0 is the only way from the PIC to the CPU. */
static void virtual_wire_off(void)
{
	u32 before;

	pic_init((u16) ~(1 << 5));
	before = irq_count[0x25];
	lapic_write(0x350, 0x10700);
	PULSE(5);
	let_in();
	check_eq(irq_count[0x25], before, "PIC: with LINT0 masked the CPU hears nothing");
	lapic_write(0x350, 0x700);
	check(irq_wait(0x25, before + 1), "PIC: and hears it when LINT0 is open again");
	let_in();
	check_eq(irq_count[0x25], before + 1, "PIC: once");
	pic_init(0xffff);
}

static void lower_when_told(u32 vector)
{
	irr_seen |= ioapic_read(0x10 + 2 * level_line) >> 14 & 1;
	if (irq_count[vector] >= level_lower_at)
		outb((u16)(0x2000 + level_line), 0);
}

static void ioapic(void)
{
	bool each = true;
	u32 extra;

	irq_eoi = EOI_LAPIC;
	check_eq(ioapic_read(1) >> 16 & 0xff, 23, "I/O APIC: 24 pins");
	printf("= ioapic_version 0x%x\n", ioapic_read(1));
	ioapic_write(0x10 + 2 * 5, 0x10000 | 0x55);
	check_eq(ioapic_read(0x10 + 2 * 5), 0x10055, "I/O APIC: a redirection entry reads back");
	for (u32 line = 3; line < option("pins", 24); line++) {
		u32 vector = 0x60 + line;

		ioapic_route(line, vector, 0);
		PULSE(line);
		let_in();
		if (irq_count[vector] != 1) {
			each = false;
			printf("# pin %u: %u interrupts\n", line, irq_count[vector]);
		}
		ioapic_write(0x10 + 2 * line, 1 << 16);
	}
	check(each, "I/O APIC: an edge on each pin is one interrupt");

	ioapic_route(10, 0x4b, 0);
	outb(0xe8, 10);
	check(irq_wait(0x4b, 1), "irqfd: a port write that an ioeventfd takes is an interrupt");
	let_in();
	check_eq(irq_count[0x4b], 1, "irqfd: one");
	outb(0xe8, 11);
	let_in();
	check_eq(irq_count[0x4b], 1, "irqfd: not of another value");
	ioapic_write(0x10 + 2 * 10, 1 << 16);
	outb(0xe8, 10);
	let_in();
	check_eq(irq_count[0x4b], 1, "irqfd: a masked pin is silent");

	ioapic_write(0x10 + 2 * 5, 0x10000 | 0x65);
	PULSE(5);
	let_in();
	check_eq(irq_count[0x65], 1, "I/O APIC: a masked pin is silent");

	level_line = 10;
	level_lower_at = 1;
	irq_hook[0x4a] = lower_when_told;
	ioapic_route(10, 0x4a, 1 << 15);
	outb(0x200a, 1);
	let_in();
	/* One KVM that has only an emulator for a CPU was seen to deliver a level once more than there is
	 * cause for. */
	extra = irq_count[0x4a] - 1;
	check(extra <= 1, "I/O APIC: a level that the handler lowers is one interrupt");
	printf("= extra_level_interrupts %u\n", extra);
	check(irr_seen, "I/O APIC: remote IRR is set while it is served");
	check_eq(ioapic_read(0x10 + 2 * 10) >> 14 & 1, 0, "I/O APIC: remote IRR is clear after the end");
	level_lower_at = irq_count[0x4a] + 3;
	outb(0x200a, 1);
	let_in();
	check_eq(irq_count[0x4a], level_lower_at + extra,
		 "I/O APIC: a level that stays comes again after each end");
	irq_hook[0x4a] = NULL;
	ioapic_write(0x10 + 2 * 10, 1 << 16);
}

static void lapic(void)
{
	printf("= lapic_version 0x%x\n", lapic_read(0x30));
	lapic_write(0x310, 0);
	lapic_write(0x300, 0x40000 | 0x45); /* to self, fixed */
	check(irq_wait(0x45, 1), "local APIC: an IPI to itself");
	lapic_write(0x3e0, 0x0b);
	lapic_write(0x320, 0x46);
	lapic_write(0x380, 100000);
	check(irq_wait(0x46, 1), "local APIC: the timer fires");
	let_in();
	check_eq(irq_count[0x46], 1, "local APIC: once, in one-shot mode");
	lapic_write(0x320, 0x20000 | 0x46);
	lapic_write(0x380, 100000);
	check(irq_wait(0x46, 4), "local APIC: again and again in periodic mode");
	lapic_write(0x380, 0);
	lapic_write(0x320, 0x10000);
	/* The task priority holds back what is below it. */
	lapic_write(0x80, 0x60);
	lapic_write(0x300, 0x40000 | 0x47);
	let_in();
	check_eq(irq_count[0x47], 0, "local APIC: the task priority holds a lower vector back");
	lapic_write(0x80, 0);
	check(irq_wait(0x47, 1), "local APIC: and lets it in when lowered");
	lapic_write(0x3e0, 0x0b);
	lapic_write(0x320, 0x46);
	lapic_write(0x380, 1000000);
	safe_halt();
	check(irq_count[0x46] > 0, "a halted CPU wakes by an interrupt");
}

void main(void)
{
	irq_init();
	lapic_enable();
	pic();
	pic_levels();
	pic_init(0xffff);
	ioapic();
	lapic();
	pit();
	pit_against_tsc();
	pit_one_shot();
	virtual_wire_off();
	finish();
}

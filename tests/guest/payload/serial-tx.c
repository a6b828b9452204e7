// SPDX-License-Identifier: MIT
/*
 * Serial output, three ways. "irq=pic" or "irq=ioapic" would not fit option(): the words are "pic" and
 * "ioapic": interrupt-driven, with FIFO, 16 bytes an interrupt. "blind": 200 bytes straight into the transmit
 * register with no status read between, and after the last one no exit ever again: "hlt" or "spin" says how.
 */
#include "guest.h"

#define TOTAL 2000

static volatile u32 sent, odd;

static char byte_at(u32 i)
{
	return i % 64 == 63 ? '\n' : (char)('0' + i / 64 % 10);
}

static void on_irq(u32 vector)
{
	u8 iir = inb(COM1 + 2);

	if (iir & 1)
		odd++;
	else if ((iir & 0x0f) == 2) {
		for (u32 i = 0; i < 16 && sent < TOTAL; i++)
			outb(COM1, (u8)byte_at(sent++));
		if (sent == TOTAL)
			outb(COM1 + 1, 0);
	}
}

static void by_interrupt(bool pic)
{
	u32 vector = pic ? 0x24 : 0x30;

	irq_init();
	irq_hook[vector] = on_irq;
	if (pic) {
		irq_eoi = EOI_PIC;
		pic_init((u16) ~(1 << 4));
	} else {
		irq_eoi = EOI_LAPIC;
		lapic_enable();
		pic_init(0xffff);
		ioapic_route(4, vector, 0);
	}
	outb(COM1 + 2, 0x07);
	outb(COM1 + 4, 0x0b);
	printf("<<<");
	outb(COM1 + 1, 2);
	while (sent < TOTAL)
		safe_halt();
	printf(">>>\n");
	check_eq(sent, TOTAL, "all bytes were asked for by interrupts");
	check(irq_count[vector] >= TOTAL / 16, "as many interrupts as it takes");
	check(odd <= 2, "no interrupt without a reason");
	finish();
}

void main(void)
{
	if (has_word("pic"))
		by_interrupt(true);
	if (has_word("ioapic"))
		by_interrupt(false);
	outb(COM1 + 2, 0x07);
	for (u32 i = 0; i < 200; i++)
		outb(COM1, (u8)('a' + i % 26));
	if (has_word("spin"))
		for (;;)
			cpu_relax();
	halt();
}

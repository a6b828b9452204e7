// SPDX-License-Identifier: MIT
/*
 * Serial input, byte-exact: receives "n=COUNT" bytes on COM1 and tells their checksum. "irq" takes them by
 * interrupt (I/O APIC, GSI 4) and not by polling; "fifo=VALUE" goes to FCR; "slow" dawdles after each byte,
 * so that the sender is always ahead; "back" sends each byte back as it comes, between two markers.
 */
#include "guest.h"

#define MAX 0x20000

static u8 data[MAX];
static volatile u32 got;
static u32 wanted;
static bool slow, back;

static void dawdle(void)
{
	for (volatile u32 i = 0; i < 200; i++)
		cpu_relax();
}

static void take(void)
{
	u8 v = inb(COM1);

	if (got < wanted)
		data[got] = v;
	got++;
	if (slow)
		dawdle();
	if (back)
		putch((char)v);
}

static void on_irq(u32 vector)
{
	for (;;) {
		u8 iir = inb(COM1 + 2);

		if (iir & 1)
			return;
		while (inb(COM1 + 5) & 1)
			take();
	}
}

void main(void)
{
	bool irq = has_word("irq");

	wanted = option("n", 1024);
	slow = has_word("slow");
	back = has_word("back");
	if (wanted > MAX)
		wanted = MAX;
	outb(COM1 + 2, (u8)option("fifo", 0xc7));
	outb(COM1 + 4, 0x0b);
	printf("ready\n");
	if (back)
		printf("<<<");
	if (irq) {
		irq_init();
		irq_eoi = EOI_LAPIC;
		irq_hook[0x30] = on_irq;
		lapic_enable();
		pic_init(0xffff);
		ioapic_route(4, 0x30, 0);
		outb(COM1 + 1, 1);
		while (got < wanted)
			safe_halt();
		outb(COM1 + 1, 0);
	} else {
		while (got < wanted)
			if (inb(COM1 + 5) & 1)
				take();
	}
	if (back)
		printf(">>>\n");
	check_eq(got, wanted, "as many bytes as were sent");
	check_eq(inb(COM1 + 5) & 0x02, 0, "no overrun");
	printf("= cksum %u\n", cksum(data, wanted));
	finish();
}

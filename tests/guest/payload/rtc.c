// SPDX-License-Identifier: MIT
/* The CMOS real-time clock, an MC146818 (Motorola data sheet): registers, time of day, RAM, interrupt. */
#include "guest.h"

static u8 cmos(u8 reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void set_cmos(u8 reg, u8 v)
{
	outb(0x70, reg);
	outb(0x71, v);
}

static u32 from_bcd(u8 v)
{
	return (u32)(v >> 4) * 10 + (v & 15);
}

static bool is_bcd(u8 v)
{
	return (v & 15) < 10 && v < 0xa0;
}

/* The time between two updates, as a kernel reads it. */
static void tell_time(void)
{
	u8 sec, min, hour, day, month, year, century;

	do {
		while (cmos(0x0a) & 0x80)
			cpu_relax();
		sec = cmos(0x00);
		min = cmos(0x02);
		hour = cmos(0x04);
		day = cmos(0x07);
		month = cmos(0x08);
		year = cmos(0x09);
		century = cmos(0x32);
	} while (sec != cmos(0x00));
	check(is_bcd(sec) && is_bcd(min) && is_bcd(hour) && is_bcd(day) && is_bcd(month) && is_bcd(year),
	      "the time is in BCD");
	printf("= time %02u%02u-%02u-%02uT%02u:%02u:%02uZ\n", from_bcd(century), from_bcd(year),
	       from_bcd(month), from_bcd(day), from_bcd(hour), from_bcd(min), from_bcd(sec));
}

void main(void)
{
	bool held = true;

	check_eq(cmos(0x0d), 0x80, "register D: RAM and time are valid");
	check_eq(cmos(0x0b) & 0x06, 0x02, "register B: 24 hours, BCD");
	check_eq(cmos(0x0a) & 0x7f, 0x26, "register A: 32768 Hz divider, 1024 Hz rate");
	tell_time();
	cmos(0x0c);
	check_eq(cmos(0x0c) & 0x80, 0, "register C: no interrupt pending");
	for (u32 reg = 0x40; reg < 0x70; reg++)
		set_cmos((u8)reg, (u8)(reg * 7));
	for (u32 reg = 0x40; reg < 0x70; reg++)
		held = held && cmos((u8)reg) == (u8)(reg * 7);
	check(held, "CMOS RAM holds what was written");
	set_cmos(0x0d, 0);
	check_eq(cmos(0x0d), 0x80, "register D cannot be written");
	outb(0x70, 0x8d);
	check_eq(inb(0x71), 0x80, "bit 7 of the index is not part of it");

	/* The update-ended flag is set once a second; with its interrupt on, the line is raised. */
	irq_init();
	irq_eoi = EOI_PIC;
	if (!has_word("nopic")) {
		pic_init((u16) ~(1 << 8 | 1 << 2));
		set_cmos(0x0b, (u8)(cmos(0x0b) | 0x10));
		cmos(0x0c);
		for (u32 i = 0; i < 3000000 && !irq_count[0x28]; i++) {
			irq_window();
		}
		check(irq_count[0x28] > 0, "update-ended interrupt on IRQ 8 within a second or so");
		check_eq(cmos(0x0c) & 0x90, 0x90, "register C says why");
		/* The periodic flag, bit 6, comes and goes 1024 times a second, wanted or not. */
		check_eq(cmos(0x0c) & 0x90, 0, "and is clear when read");
		set_cmos(0x0b, (u8)(cmos(0x0b) & ~0x10));
	}
	finish();
}

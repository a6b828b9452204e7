// SPDX-License-Identifier: MIT
/* The keyboard controller and its keyboard: what kernels ask when they probe; every answer comes at once. */
#include "guest.h"

static u8 status(void)
{
	return inb(0x64);
}

static u8 answer(const char *what)
{
	if (!(status() & 1)) {
		check(false, what);
		printf("# no answer\n");
		return 0;
	}
	return inb(0x60);
}

void main(void)
{
	check_eq(status() & 0x03, 0, "both buffers are empty at first");
	check(status() & 0x10, "the keyboard is not locked");
	outb(0x64, 0xaa);
	check_eq(answer("self test"), 0x55, "self test");
	outb(0x64, 0xab);
	check_eq(answer("interface test"), 0x00, "keyboard interface test");
	outb(0x64, 0x20);
	printf("= command_byte 0x%x\n", answer("command byte"));
	outb(0x64, 0x60);
	outb(0x60, 0x74); /* keyboard disabled, no interrupt */
	outb(0x64, 0x20);
	check_eq(answer("command byte"), 0x74, "the command byte reads back");
	outb(0x64, 0xd2);
	outb(0x60, 0x5a);
	check_eq(answer("loop"), 0x5a, "a byte written to the output buffer comes back");
	outb(0x64, 0xd0);
	check(answer("output port") & 0x02, "A20 is on");
	outb(0x64, 0x60);
	outb(0x60, 0x04); /* enabled, untranslated */
	outb(0x60, 0xff);
	check_eq(answer("keyboard reset"), 0xfa, "keyboard reset is acknowledged");
	check_eq(answer("keyboard test"), 0xaa, "keyboard self test");
	outb(0x60, 0xf2);
	check_eq(answer("identify"), 0xfa, "identify is acknowledged");
	check_eq(answer("identify"), 0xab, "an MF2 keyboard, first byte");
	check_eq(answer("identify"), 0x83, "an MF2 keyboard, second byte");
	outb(0x60, 0xee);
	check_eq(answer("echo"), 0xee, "echo");
	check_eq(status() & 0x01, 0, "nothing is left");

	/* The line: a byte in the output buffer, with the interrupt on, is an edge on IRQ 1. */
	if (!has_word("nopic")) {
		irq_init();
		irq_eoi = EOI_PIC;
		pic_init((u16) ~(1 << 1));
		outb(0x64, 0x60);
		outb(0x60, 0x05);
		outb(0x60, 0xee);
		check(irq_wait(0x21, 1), "a byte raises IRQ 1");
		check_eq(answer("echo"), 0xee, "and is there");
	}
	finish();
}

// SPDX-License-Identifier: MIT
/*
 * Where nobody is: ports and addresses without a device read as all ones, and writes to them do nothing. Ends
 * with a look at the whole port space.
 */
#include "guest.h"

static const struct {
	u16 from, to;
} ports[] = {
	{0x0100, 0x02e7}, {0x02f0, 0x02f7}, {0x0300, 0x03e7}, {0x0410, 0x04cf},
	{0x0510, 0x05ff}, {0x0700, 0x0cf7}, {0x0d00, 0x1fff}, {0x2100, 0xffff},
};

static const struct {
	u32 from, to, step;
} holes[] = {
	{0xc0002000, 0xc1000000, 0x10000},  {0xc1000000, 0xe0000000, 0x400000},
	{0xe0100000, 0xfec00000, 0x200000}, {0xfec10000, 0xfee00000, 0x10000},
	{0xfef00000, 0xff000000, 0x10000},  {0xff100000, 0xfffb0000, 0x10000},
};

void main(void)
{
	u32 wrong = 0, n = 0, claimed = 0;

	for (u32 i = 0; i < ARRAY_SIZE(ports); i++)
		for (u32 p = ports[i].from; p <= ports[i].to; p++, n++) {
			/* Words and dwords now and then: they may not reach into the next range. */
			u32 v = p % 7 == 0 && p + 4 <= ports[i].to   ? inl((u16)p)
				: p % 5 == 0 && p + 2 <= ports[i].to ? inw((u16)p) | 0xffff0000
								     : inb((u16)p) | 0xffffff00;

			if (v != 0xffffffff && wrong++ < 5)
				printf("# port 0x%x reads 0x%x\n", p, v);
		}
	check_eq(wrong, 0, "unclaimed ports read as all ones");
	for (u32 i = 0; i < ARRAY_SIZE(ports); i++)
		for (u32 p = ports[i].from; p <= ports[i].to; p += p % 3 + 1)
			outb((u16)p, (u8)p);
	check(true, "writes to them do nothing");
	printf("= ports %u\n", n);

	wrong = 0;
	for (u32 i = 0; i < ARRAY_SIZE(holes); i++)
		for (u32 a = holes[i].from; a < holes[i].to; a += holes[i].step) {
			u32 v = read32(a);

			write32(a, 0x5a5a5a5a);
			if ((v & read32(a) & read16(a + 6) & 0xffff) != 0xffff || v != 0xffffffff)
				if (wrong++ < 5)
					printf("# address 0x%x reads 0x%x\n", a, v);
		}
	check_eq(wrong, 0, "unclaimed addresses read as all ones, and stay so");
	check_eq(read8(0xffffffff), 0xff, "the last byte below 4 GiB");

	for (u32 p = 0; p < 0x10000; p++)
		if (inb((u16)p) != 0xff)
			claimed++;
	/* At the least: PIC, PIT, i8042, RTC, four serial ports, PCI. */
	check(claimed >= 32, "a read of every port is survived, and finds devices");
	printf("= claimed %u\n", claimed);
	finish();
}

// SPDX-License-Identifier: MIT
/* PCI configuration space: mechanism #1 (PCI 3.0, 3.2.2.3.2), and ECAM (PCI Express 3.0, 7.2.2). */
#include "guest.h"

#define ECAM 0xe0000000ul

static u32 cf8(u32 dev, u32 fn, u32 reg)
{
	outl(0xcf8, 0x80000000 | dev << 11 | fn << 8 | (reg & 0xfc));
	return inl(0xcfc);
}

static u32 ecam(u32 dev, u32 fn, u32 reg)
{
	return read32(ECAM + (dev << 15 | fn << 12 | reg));
}

void main(void)
{
	bool same = true, absent = true, other_bus = true;
	u32 present = 0;

	outl(0xcf8, 0x80000000);
	check_eq(inl(0xcf8), 0x80000000, "CF8 reads back");
	outb(0xcfb, 0x00);
	check_eq(inl(0xcf8), 0x80000000, "a byte write is none to CF8");
	outw(0xcf8, 0x1234);
	check_eq(inl(0xcf8), 0x80000000, "nor is a 16-bit write");
	outl(0xcf8, 0);
	check_eq(inl(0xcfc), 0xffffffff, "disabled: CFC gives all ones");

	check(cf8(0, 0, 0) != 0xffffffff && (cf8(0, 0, 0) & 0xffff) != 0, "a host bridge at 00:00.0");
	check_eq(cf8(0, 0, 8) >> 16, 0x0600, "of class host bridge");
	check_eq(cf8(0, 0, 0xc) >> 16 & 0x7f, 0, "header type 0");
	printf("= host_bridge 0x%x\n", cf8(0, 0, 0));

	cf8(0, 0, 0);
	check_eq(inw(0xcfc), cf8(0, 0, 0) & 0xffff, "16 bits of CFC");
	check_eq(inw(0xcfe), cf8(0, 0, 0) >> 16, "16 bits of CFE");
	check_eq(inb(0xcfd), cf8(0, 0, 0) >> 8 & 0xff, "8 bits of CFD");
	check_eq(read16(ECAM + 2), cf8(0, 0, 0) >> 16, "16 bits of ECAM");
	check_eq(read8(ECAM + 3), cf8(0, 0, 0) >> 24, "8 bits of ECAM");

	for (u32 dev = 0; dev < 32; dev++)
		for (u32 fn = 0; fn < 8; fn += 7) {
			u32 id = cf8(dev, fn, 0);

			same = same && id == ecam(dev, fn, 0) && cf8(dev, fn, 8) == ecam(dev, fn, 8);
			if (id == 0xffffffff)
				absent = absent && cf8(dev, fn, 0x3c) == 0xffffffff;
			else
				present++;
		}
	check(same, "both mechanisms show the same");
	check(absent, "an absent function gives all ones everywhere");
	check(present >= 1, "something is there");
	printf("= present %u\n", present);
	for (u32 bus = 1; bus < 256; bus += 127) {
		outl(0xcf8, 0x80000000 | bus << 16);
		other_bus = other_bus && inl(0xcfc) == 0xffffffff;
	}
	check(other_bus, "no other bus");
	check(ecam(0, 0, 0x100) == 0 || ecam(0, 0, 0x100) == 0xffffffff,
	      "extended space of the host bridge: no capability");
	check_eq(read32(ECAM + 0x100000 - 4), 0xffffffff, "the last register of bus 0");

	/* The id cannot be written; nothing can that is read-only. */
	present = cf8(0, 0, 0);
	outl(0xcfc, 0x12345678);
	check_eq(cf8(0, 0, 0), present, "vendor and device are read-only");
	write32(ECAM, 0);
	check_eq(ecam(0, 0, 0), present, "by ECAM too");
	cf8(0, 0, 0x10);
	outl(0xcfc, 0xffffffff);
	printf("= bar0 0x%x\n", cf8(0, 0, 0x10));
	finish();
}

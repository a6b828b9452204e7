// SPDX-License-Identifier: MIT
/* The MP table (MultiProcessor Specification 1.4, chapter 4), found as a kernel without ACPI finds it.
 * "cpus=N". */
#include "guest.h"

static const u8 *scan(ulong from, ulong len)
{
	for (ulong at = from; at < from + len; at += 16)
		if (!memcmp((const void *)at, "_MP_", 4) && !sum8((const void *)at, 16))
			return (const u8 *)at;
	return NULL;
}

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, 4);
	return v;
}

static u32 get16(const u8 *p)
{
	return p[0] | (u32)p[1] << 8;
}

void main(void)
{
	/* The EBDA's segment is at 40:0e. Behind a barrier, or gcc knows better than to read address 0x40e.
	 */
	ulong bda = 0x40e;
	const u8 *mp, *table, *e, *end;
	u32 cpus = 0, bsps = 0, buses = 0, ioapics = 0, ints = 0, lints = 0, isa = 0xff;
	bool known = true, isa_routes = true;

	asm("" : "+r"(bda));
	mp = scan((ulong)read16(bda) << 4, 1024);
	if (!mp)
		mp = scan(639 * 1024, 1024);
	if (!mp)
		mp = scan(0xf0000, 0x10000);
	check(mp != NULL, "a floating pointer in one of its three places");
	if (!mp)
		finish();
	check_eq(mp[9], 4, "specification 1.4");
	check_eq(mp[11], 0, "no default configuration");
	table = (const u8 *)(ulong)get32(mp + 4);
	check(!memcmp(table, "PCMP", 4), "the table's signature");
	check_eq(sum8(table, get16(table + 4)), 0, "the table's checksum");
	check_eq(get32(table + 36), LAPIC, "the local APICs' address");
	end = table + get16(table + 4);
	for (e = table + 44; e < end; e += e[0] == 0 ? 20 : 8) {
		switch (e[0]) {
		case 0:
			cpus += e[3] & 1;
			bsps += e[3] >> 1 & 1;
			break;
		case 1:
			buses++;
			if (!memcmp(e + 2, "ISA   ", 6))
				isa = e[1];
			break;
		case 2:
			ioapics++;
			check_eq(get32(e + 4), IOAPIC, "the I/O APIC's address");
			check_eq(e[3] & 1, 1, "the I/O APIC is enabled");
			break;
		case 3:
			ints++;
			if (e[4] == isa && e[5] != 0 && e[5] != 2 && e[5] < 16 && e[7] != e[5])
				isa_routes = false;
			break;
		case 4:
			lints++;
			break;
		default:
			known = false;
			break;
		}
	}
	check(known && e == end, "entries of known types, up to the table's end");
	check_eq(cpus, option("cpus", 1), "as many CPUs as there are");
	check_eq(bsps, 1, "one bootstrap processor");
	check(isa != 0xff, "an ISA bus");
	check_eq(ioapics, 1, "one I/O APIC");
	check(ints >= 15, "the ISA interrupts");
	check(isa_routes, "ISA interrupts go to the pin of the same number");
	check_eq(lints, 2, "two local interrupts: ExtINT and NMI");
	printf("= buses %u\n", buses);
	finish();
}

// SPDX-License-Identifier: MIT
/*
 * ACPI tables as an operating system finds them (ACPI 6.4, 5.2): the RSDP by a scan, every table by the XSDT,
 * every checksum; FADT, MADT and MCFG against the machine they describe. "cpus=N" CPUs are expected. With the
 * word "off" the guest powers itself off by what the tables say, with "reset" it resets.
 */
#include "guest.h"

static const u8 *find_rsdp(void)
{
	for (ulong at = 0xe0000; at < 0x100000; at += 16)
		if (!memcmp((const void *)at, "RSD PTR ", 8) && !sum8((const void *)at, 20))
			return (const u8 *)at;
	return NULL;
}

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, 4);
	return v;
}

static u64 get64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, 8);
	return v;
}

static const u8 *table(const u8 *xsdt, const char *signature)
{
	for (u32 i = 36; i + 8 <= get32(xsdt + 4); i += 8) {
		const u8 *t = (const u8 *)(ulong)get64(xsdt + i);

		if (!memcmp(t, signature, 4))
			return t;
	}
	return NULL;
}

/* A generic address: space, width, offset, access size, address. */
static void check_madt(const u8 *madt)
{
	u32 cpus = 0, ioapics = 0, overrides = 0, len = get32(madt + 4), next_id = 0;
	bool well_formed = true, ids = true;
	u64 ioapic = 0;

	check_eq(get32(madt + 36), LAPIC, "MADT: the local APICs' address");
	for (u32 i = 44; i < len; i += madt[i + 1]) {
		const u8 *e = madt + i;

		if (e[1] < 2 || i + e[1] > len) {
			well_formed = false;
			break;
		}
		if (e[0] == 0 && e[4] & 1) {
			ids = ids && e[3] == next_id++;
			cpus++;
		} else if (e[0] == 9 && get32(e + 8) & 1) {
			cpus++;
		} else if (e[0] == 1) {
			ioapics++;
			ioapic = get32(e + 4);
			check_eq(get32(e + 8), 0, "MADT: the I/O APIC's first GSI");
		} else if (e[0] == 2) {
			overrides++;
		}
	}
	check(well_formed, "MADT: every entry lies inside");
	check_eq(cpus, option("cpus", 1), "MADT: as many CPUs as there are");
	check(ids, "MADT: APIC ids ascend from 0");
	check_eq(ioapics, 1, "MADT: one I/O APIC");
	check_eq(ioapic, IOAPIC, "MADT: the I/O APIC's address");
	printf("= overrides %u\n", overrides);
}

static void sleep_or_reset(const u8 *fadt)
{
	/* Reset register 116 (GAS), value 128; sleep control 244 (GAS). S5's type is in the DSDT, told by the
	 * script. */
	if (has_word("reset"))
		outb((u16)get64(fadt + 120), fadt[128]);
	if (has_word("off"))
		outb((u16)get64(fadt + 248), (u8)(option("s5", 5) << 2 | 0x20));
}

void main(void)
{
	const u8 *rsdp = find_rsdp(), *xsdt, *fadt, *madt, *mcfg, *dsdt;
	bool sums = true;

	check(rsdp != NULL, "an RSDP between 0xe0000 and 0xfffff");
	if (!rsdp)
		finish();
	printf("= rsdp 0x%x\n", (u32)(ulong)rsdp);
	check_eq(rsdp[15], 2, "RSDP: revision 2");
	check_eq(get32(rsdp + 20), 36, "RSDP: length");
	check_eq(sum8(rsdp, 36), 0, "RSDP: extended checksum");
	xsdt = (const u8 *)(ulong)get64(rsdp + 24);
	check(!memcmp(xsdt, "XSDT", 4) && !sum8(xsdt, get32(xsdt + 4)), "XSDT: signature and checksum");
	for (u32 i = 36; i + 8 <= get32(xsdt + 4); i += 8) {
		const u8 *t = (const u8 *)(ulong)get64(xsdt + i);

		printf("= table %c%c%c%c %u\n", t[0], t[1], t[2], t[3], get32(t + 4));
		sums = sums && !sum8(t, get32(t + 4));
	}
	check(sums, "every table's checksum");

	fadt = table(xsdt, "FACP");
	check(fadt != NULL, "FADT");
	if (!fadt)
		finish();
	sleep_or_reset(fadt);
	dsdt = (const u8 *)(ulong)get64(fadt + 140);
	check(!memcmp(dsdt, "DSDT", 4) && !sum8(dsdt, get32(dsdt + 4)), "DSDT: by X_DSDT, with its checksum");
	check(get32(fadt + 112) & 1 << 10, "FADT: the reset register is supported");
	check_eq(fadt[116], 1, "FADT: it is a port");
	check_eq(get64(fadt + 120), 0x602, "FADT: its address");
	check_eq(fadt[128], 0x42, "FADT: its value");
	check(get32(fadt + 112) & 1 << 20, "FADT: hardware-reduced ACPI");
	check_eq(get64(fadt + 248), 0x600, "FADT: the sleep control register");
	check_eq(get64(fadt + 260), 0x601, "FADT: the sleep status register");
	check_eq(inb(0x601) & 0x80, 0, "no wake status");

	madt = table(xsdt, "APIC");
	check(madt != NULL, "MADT");
	if (madt)
		check_madt(madt);
	mcfg = table(xsdt, "MCFG");
	check(mcfg != NULL, "MCFG");
	if (mcfg) {
		check_eq(get64(mcfg + 44), 0xe0000000, "MCFG: ECAM's address");
		check_eq(mcfg[54], 0, "MCFG: first bus");
		check_eq(mcfg[55], 0, "MCFG: last bus");
	}
	finish();
}

// SPDX-License-Identifier: MIT
/*
 * What a loader hands over, whatever its protocol: tells the facts, for the script to compare with what it
 * asked for, and checks what must hold always. Runs as multiboot, PVH, ELF64 and bzImage.
 */
#include "guest.h"

extern u8 image_end[];
static u32 bss_was_cleared[64];
static u32 data_was_loaded = 0x600dda7a;

static bool in_ram(u64 addr, u64 size)
{
	for (u32 i = 0; i < boot.nr_map; i++)
		if (boot.map[i].type == 1 && addr >= boot.map[i].addr &&
		    addr + size <= boot.map[i].addr + boot.map[i].size)
			return true;
	return false;
}

static void check_map(void)
{
	u64 end = 0, ram = 0;
	bool ascending = true, legacy_hole_free = true;

	for (u32 i = 0; i < boot.nr_map; i++) {
		const struct mem_range *r = &boot.map[i];

		printf("= map%u 0x%llx 0x%llx %u\n", i, (unsigned long long)r->addr,
		       (unsigned long long)r->size, r->type);
		if (r->addr < end || !r->size)
			ascending = false;
		end = r->addr + r->size;
		if (r->type != 1)
			continue;
		ram += r->size;
		if (r->addr < 0x100000 && end > 0xa0000)
			legacy_hole_free = false;
	}
	check(boot.nr_map > 0, "there is a memory map");
	check(ascending, "the map ascends and nothing overlaps");
	check(legacy_hole_free, "no RAM between 640 KiB and 1 MiB");
	check(!in_ram(0xc0000000, 1), "no RAM where devices are");
	printf("= ram 0x%llx\n", (unsigned long long)ram);
}

static void check_multiboot(void)
{
	const u32 *info = (const u32 *)boot.raw;

	check_eq(boot.raw_magic, 0x2badb002, "eax has the multiboot magic");
	check(info[0] & 0x1, "mem_lower and mem_upper are given");
	check(info[1] >= 512 && info[1] <= 640, "mem_lower is below 640 KiB");
	printf("= mem_upper 0x%x\n", info[2]);
	check(info[0] & 0x40, "the memory map is given");
	check(in_ram(boot.raw, 64), "the information structure is in RAM");
}

static void check_pvh(void)
{
	const u32 *info = (const u32 *)boot.raw;

	check_eq(boot.raw_magic, 0x336ec578, "the start info has its magic");
	check(info[1] >= 1, "the start info has a memory map");
	check_eq(info[2] & ~3u, 0, "no unknown flags");
	check(in_ram(boot.raw, 56), "the start info is in RAM");
}

static void check_linux(void)
{
	const u8 *zero_page = (const u8 *)boot.raw;

	check(zero_page[0x210] != 0, "type_of_loader is set");
	check_eq(zero_page[0x1ef], 0,
		 "the sentinel is cleared: the zero page was made by a loader that knows it");
	check(in_ram(boot.raw, 4096), "the zero page is in RAM");
#ifdef __x86_64__
	u64 cr0, cr4, flags;

	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	asm volatile("pushf; pop %0" : "=r"(flags));
	check((cr0 & 0x80000001) == 0x80000001, "paging and protection are on");
	check(cr4 & 0x20, "PAE is on");
	check((rdmsr(0xc0000080) & 0x500) == 0x500, "long mode is active");
	check(!(flags & 0x200), "interrupts are off");
#endif
}

void main(void)
{
	u32 set = 0;

	for (u32 i = 0; i < ARRAY_SIZE(bss_was_cleared); i++)
		set |= bss_was_cleared[i];
	check_eq(set, 0, "bss is zero");
	check_eq(data_was_loaded, 0x600dda7a, "data is loaded");
	printf("= protocol %s\n", boot.protocol);
	printf("= cmdline [%s]\n", boot.cmdline ? boot.cmdline : "(null)");
	printf("= cmdline_length %u\n", boot.cmdline ? (u32)strlen(boot.cmdline) : 0);
	if (!strcmp(boot.protocol, "multiboot"))
		check_multiboot();
	else if (!strcmp(boot.protocol, "pvh"))
		check_pvh();
	else
		check_linux();
	check_map();
	check(in_ram((ulong)image_end - 1, 1), "the image is in RAM");
	for (u32 i = 0; i < boot.nr_modules; i++) {
		const struct module *m = &boot.module[i];

		printf("= module%u %u %u %s\n", i, m->size, cksum((const u8 *)m->addr, m->size),
		       m->cmdline ? m->cmdline : "");
		check(in_ram(m->addr, m->size), "the module is in RAM");
		check(m->addr >= (ulong)image_end || m->addr + m->size <= 0x100000,
		      "the module does not overlap the image");
		check_eq(m->addr & 0xfff, 0, "the module starts on a page");
	}
	printf("= modules %u\n", boot.nr_modules);
	if (boot.rsdp)
		check(!memcmp((const void *)(ulong)boot.rsdp, "RSD PTR ", 8), "rsdp points to an RSDP");
	printf("= rsdp 0x%llx\n", (unsigned long long)boot.rsdp);
	finish();
}

// SPDX-License-Identifier: MIT
/* What a PVH loader gave (xen/include/public/arch-x86/hvm/start_info.h describes it), into struct boot. */
#include "guest.h"

struct start_info {
	u32 magic, version, flags, nr_modules;
	u64 modlist, cmdline, rsdp, memmap;
	u32 memmap_entries, reserved;
};

struct modlist_entry {
	u64 paddr, size, cmdline, reserved;
};

struct memmap_entry {
	u64 addr, size;
	u32 type, reserved;
};

void boot_pvh(const struct start_info *info);

void boot_pvh(const struct start_info *info)
{
	const struct modlist_entry *mod = (const void *)(ulong)info->modlist;
	const struct memmap_entry *map = (const void *)(ulong)info->memmap;

	boot.protocol = "pvh";
	boot.raw_magic = info->magic;
	boot.raw = (ulong)info;
	if (info->magic != 0x336ec578)
		return;
	boot.cmdline = (const char *)(ulong)info->cmdline;
	boot.rsdp = info->rsdp;
	for (u32 i = 0; i < info->nr_modules && i < ARRAY_SIZE(boot.module); i++)
		boot.module[boot.nr_modules++] = (struct module){
			.addr = (ulong)mod[i].paddr,
			.size = (u32)mod[i].size,
		};
	if (info->version < 1)
		return;
	for (u32 i = 0; i < info->memmap_entries && i < ARRAY_SIZE(boot.map); i++)
		boot.map[boot.nr_map++] = (struct mem_range){map[i].addr, map[i].size, map[i].type};
}

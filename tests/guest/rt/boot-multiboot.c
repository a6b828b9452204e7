// SPDX-License-Identifier: MIT
/* What a multiboot loader gave (specification 0.6.96, section 3.3), into struct boot. */
#include "guest.h"

struct multiboot_info {
	u32 flags;
	u32 mem_lower, mem_upper; /* KiB */
	u32 boot_device;
	u32 cmdline;
	u32 mods_count, mods_addr;
	u32 syms[4];
	u32 mmap_length, mmap_addr;
	u32 drives_length, drives_addr;
	u32 config_table;
	u32 boot_loader_name;
};

struct multiboot_mod {
	u32 start, end, string, reserved;
};

void boot_multiboot(u32 magic, const struct multiboot_info *info);

void boot_multiboot(u32 magic, const struct multiboot_info *info)
{
	boot.protocol = "multiboot";
	boot.raw_magic = magic;
	boot.raw = (ulong)info;
	if (magic != 0x2badb002)
		return;
	if (info->flags & 0x4)
		boot.cmdline = (const char *)info->cmdline;
	if (info->flags & 0x8) {
		const struct multiboot_mod *mod = (const void *)info->mods_addr;

		for (u32 i = 0; i < info->mods_count && i < ARRAY_SIZE(boot.module); i++, mod++)
			boot.module[boot.nr_modules++] = (struct module){
				.addr = mod->start,
				.size = mod->end - mod->start,
				.cmdline = (const char *)mod->string,
			};
	}
	if (info->flags & 0x40) {
		u32 at = info->mmap_addr, end = at + info->mmap_length;

		/* An entry's size does not count the size field itself. */
		while (at < end && boot.nr_map < ARRAY_SIZE(boot.map)) {
			memcpy(&boot.map[boot.nr_map++], (void *)(at + 4), 20);
			at += *(u32 *)at + 4;
		}
	}
}

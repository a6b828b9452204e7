// SPDX-License-Identifier: MIT
/* What a Linux loader gave (Documentation/x86/zero-page.rst: offsets in the boot_params), into struct boot.
 */
#include "guest.h"

void boot_linux(const u8 *zero_page);

static u32 field32(const u8 *zero_page, u32 offset)
{
	u32 v;

	memcpy(&v, zero_page + offset, 4);
	return v;
}

void boot_linux(const u8 *zero_page)
{
	u64 initrd = field32(zero_page, 0x218) | (u64)field32(zero_page, 0x0c0) << 32;
	u64 size = field32(zero_page, 0x21c) | (u64)field32(zero_page, 0x0c4) << 32;
	u64 cmdline = field32(zero_page, 0x228) | (u64)field32(zero_page, 0x0c8) << 32;

	boot.protocol = "linux";
	boot.raw_magic = field32(zero_page, 0x202);
	boot.raw = (ulong)zero_page;
	boot.cmdline = (const char *)(ulong)cmdline;
	boot.rsdp = field32(zero_page, 0x070) | (u64)field32(zero_page, 0x074) << 32;
	if (size)
		boot.module[boot.nr_modules++] = (struct module){.addr = (ulong)initrd, .size = (u32)size};
	for (u32 i = 0; i < zero_page[0x1e8] && i < ARRAY_SIZE(boot.map); i++)
		memcpy(&boot.map[boot.nr_map++], zero_page + 0x2d0 + 20 * i, 20);
}

// SPDX-License-Identifier: MIT
/* The edges of RAM: the first and last bytes of each range of the map hold what is written; behind RAM is
 * nobody. */
#include "guest.h"

static bool holds(ulong addr)
{
	u32 old = read32(addr);
	bool ok;

	write32(addr, 0xa5a55a5a);
	ok = read32(addr) == 0xa5a55a5a;
	write32(addr, 0x5a5aa5a5);
	ok = ok && read32(addr) == 0x5a5aa5a5;
	write32(addr, old);
	return ok;
}

static bool mapped(u64 addr)
{
	for (u32 i = 0; i < boot.nr_map; i++)
		if (addr >= boot.map[i].addr && addr < boot.map[i].addr + boot.map[i].size)
			return true;
	return false;
}

void main(void)
{
	bool edges = true, legacy = true;
	u64 top = 0;

	for (u32 i = 0; i < boot.nr_map; i++) {
		const struct mem_range *r = &boot.map[i];
		u64 end = r->addr + r->size;

		if (end > 0xc0000000)
			continue;
		if (end > top)
			top = end;
		if (r->type != 1)
			continue;
		if (!holds((ulong)r->addr) || !holds((ulong)end - 4)) {
			edges = false;
			printf("# range 0x%llx to 0x%llx\n", (unsigned long long)r->addr,
			       (unsigned long long)end);
		}
	}
	check(edges, "the first and the last word of each range hold what is written");
	/* RAM is behind the legacy hole too, for those who know. */
	for (ulong a = 0xa0000; a < 0xe0000; a += 0x8000)
		legacy = legacy && (holds(a) || read32(a) == 0xffffffff);
	check(legacy, "the legacy hole is RAM or nobody");
	printf("= top 0x%llx\n", (unsigned long long)top);
	if (top < 0xc0000000) {
		check_eq(read32((ulong)top), 0xffffffff, "behind the top of RAM is nobody");
		write32((ulong)top, 0);
		check_eq(read32((ulong)top), 0xffffffff, "and a write there does nothing");
		write16((ulong)top - 2, 0x1234);
		check_eq(read32((ulong)top - 2), 0xffff1234, "a read across the top of RAM");
		write32((ulong)top - 2, 0x55667788);
		check_eq(read16((ulong)top - 2), 0x7788, "a write across the top of RAM");
	}
	check(!mapped(0xc0000000), "the map leaves the devices' hole free");
	finish();
}

// SPDX-License-Identifier: MIT
/*
 * RAM from 4 GiB up, in 64 bits: the loader's identity map ends at 4 GiB, so page tables of our own map the
 * first and last 2 MiB page of each range there. All edges get a mark of their own before any is read back:
 * no two addresses may be the same memory.
 */
#include "guest.h"

static u64 directory[8][512] __attribute__((aligned(4096)));
static u32 nr_directories;

static u64 *pdpt_entry(u64 addr)
{
	u64 *pml4, *pdpt;

	asm volatile("mov %%cr3, %0" : "=r"(pml4));
	pml4 = (u64 *)((u64)pml4 & ~0xfffull);
	pdpt = (u64 *)(pml4[addr >> 39 & 511] & 0xffffffffff000ull);
	return pdpt ? &pdpt[addr >> 30 & 511] : NULL;
}

static bool map(u64 addr)
{
	u64 *entry = pdpt_entry(addr), *pd;

	if (!entry)
		return false;
	if (!(*entry & 1)) {
		if (nr_directories == ARRAY_SIZE(directory))
			return false;
		*entry = (u64)directory[nr_directories++] | 3;
	}
	pd = (u64 *)(*entry & 0xffffffffff000ull);
	pd[addr >> 21 & 511] = (addr & ~0x1fffffull) | 0x83;
	asm volatile("invlpg (%0)" : : "r"(addr) : "memory");
	return true;
}

void main(void)
{
	u64 edge[32];
	u32 n = 0;
	bool all = true;
	u64 high = 0, end = 0;

	for (u32 i = 0; i < boot.nr_map; i++) {
		const struct mem_range *r = &boot.map[i];

		if (r->type != 1 || r->addr < 0x100000000 || n + 2 > ARRAY_SIZE(edge))
			continue;
		high += r->size;
		end = r->addr + r->size;
		edge[n++] = r->addr;
		for (u64 a = r->addr + 0x40000000; a < end && n + 2 < ARRAY_SIZE(edge); a += 0x40000000)
			edge[n++] = a;
		edge[n++] = end - 8;
	}
	printf("= high 0x%llx\n", (unsigned long long)high);
	check(n >= 2, "there is RAM above 4 GiB");
	for (u32 i = 0; i < n; i++)
		all = all && map(edge[i]);
	check(all, "it can be mapped");
	if (!all)
		finish();
	for (u32 i = 0; i < n; i++)
		write64(edge[i], 0x1111111111111111ull * (i + 1));
	for (u32 i = 0; i < n; i++)
		if (read64(edge[i]) != 0x1111111111111111ull * (i + 1)) {
			all = false;
			printf("# 0x%llx reads 0x%llx\n", (unsigned long long)edge[i],
			       (unsigned long long)read64(edge[i]));
		}
	check(all, "its edges hold what is written, each its own");
	check(map(end), "what is behind it can be mapped");
	check_eq(read64(end), ~0ull, "behind it is nobody");
	write64(end, 0);
	check_eq(read64(end), ~0ull, "and a write there does nothing");
	/* The last page below 3 GiB, and the first above 4 GiB, are neighbours only in the host's memory. */
	write64(0xbffffff8, 0xa1a2a3a4a5a6a7a8);
	check_eq(read64(0xbffffff8), 0xa1a2a3a4a5a6a7a8, "the end of low RAM");
	check_eq(read64(0x100000000), 0x1111111111111111, "is not the beginning of high RAM");
	check_eq(read32(0xc1000000), 0xffffffff, "between them are the devices");
	finish();
}

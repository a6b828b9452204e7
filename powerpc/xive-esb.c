/* SPDX-License-Identifier: MIT */
/*
 * Accesses to a XIVE source's pages, which KVM maps from the hardware: big-endian, 8 bytes at a time, in
 * program order. A file of their own, so that a test can put itself in their place. Any thread.
 */
#include "xive.h"
#include <endian.h>

u64 xive_esb_load(const u8 *page, u32 offset)
{
	u64 v = be64toh(*(const volatile u64 *)(const void *)(page + offset));

	atomic_thread_fence(memory_order_seq_cst);
	return v;
}

void xive_esb_store(u8 *page, u32 offset, u64 val)
{
	atomic_thread_fence(memory_order_seq_cst);
	*(volatile u64 *)(void *)(page + offset) = htobe64(val);
	atomic_thread_fence(memory_order_seq_cst);
}

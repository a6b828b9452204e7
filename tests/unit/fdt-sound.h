/* SPDX-License-Identifier: MIT */
/*
 * Whether a device tree is sound, asked in place of libfdt's fdt_check_full(), which the kernel's copy of
 * libfdt is without; big-endian builds have that one.
 */
#ifndef LKVM_TEST_FDT_SOUND_H
#define LKVM_TEST_FDT_SOUND_H

#include <libfdt.h>
#include <lkvm/types.h>

/* Header, reservations, and each tag, name and property up to the end: 0 or libfdt's error. */
static inline int fdt_sound(const void *fdt, size_t size)
{
	int err = fdt_check_header(fdt), offset = 0, next, depth = 0;
	u64 addr, len;

	if (err)
		return err;
	if (fdt_totalsize(fdt) > size)
		return -FDT_ERR_TRUNCATED;
	for (int i = 0; i < fdt_num_mem_rsv(fdt) && !err; i++)
		err = fdt_get_mem_rsv(fdt, i, &addr, &len);
	for (u32 tag = FDT_NOP; tag != FDT_END && !err; offset = next) {
		tag = fdt_next_tag(fdt, offset, &next);
		if (next < 0)
			return next;
		switch (tag) {
		case FDT_BEGIN_NODE:
			depth++;
			fdt_get_name(fdt, offset, &err);
			err = err < 0 ? err : 0;
			break;
		case FDT_END_NODE:
			err = --depth < 0 ? -FDT_ERR_BADSTRUCTURE : 0;
			break;
		case FDT_PROP: {
			const char *name;

			if (!fdt_getprop_by_offset(fdt, offset, &name, &err))
				break;
			err = 0;
			break;
		}
		default:
			break;
		}
	}
	if (!err && depth)
		err = -FDT_ERR_BADSTRUCTURE;
	return err;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A zImage as arch/powerpc/boot/wrapper of Linux makes it: the sections of its zImage.lds.S around what is
 * attached, pages apart, in one segment; ET_DYN at 0 for little-endian kernels, 32 bits at 64 MiB for others.
 */
#ifndef LKVM_TEST_ZIMAGE_BUILD_H
#define LKVM_TEST_ZIMAGE_BUILD_H

#include "image-build.h"
#include <zlib.h>

struct zimage_part {
	const void *data;
	size_t size; /* 0: as an empty one is in such a file */
};

/* Into *b, whose is64 and big are chosen. */
static inline struct boot_image zimage(struct elf_build *b, struct zimage_part kernel,
				       struct zimage_part initrd, struct zimage_part tree)
{
	struct elf_sec sec[] = {
		{".text", SHT_PROGBITS, 0x1000, 0x100},
		{".data", SHT_PROGBITS, 0x1100, 0x80},
		{".dynamic", SHT_DYNAMIC, 0x1180, 0x40},
		{".kernel:dtb", SHT_PROGBITS, 0x11c0, tree.size},
		{".kernel:vmlinux.strip", SHT_PROGBITS, 0, kernel.size},
		{".kernel:initrd", SHT_PROGBITS, 0, initrd.size},
		{".kernel:esm_blob", SHT_PROGBITS, 0, 0},
		{".bss", SHT_NOBITS, 0, 0x2000},
	};
	u64 link = b->big ? 0x4000000 : 0;
	struct boot_image img;

	sec[4].offset = align_up(sec[3].offset + tree.size, 0x400);
	sec[5].offset = align_up(sec[4].offset + kernel.size, 0x400);
	sec[6].offset = sec[7].offset = align_up(sec[5].offset + initrd.size, 0x400);
	if (!b->machine)
		b->machine = b->is64 ? EM_PPC64 : EM_PPC;
	b->type = b->big ? ET_EXEC : ET_DYN;
	b->entry = link + 0x10;
	b->phnum = 2;
	b->ph[0].type = PT_LOAD;
	b->ph[0].offset = 0x1000;
	b->ph[0].vaddr = b->ph[0].paddr = link;
	b->ph[0].filesz = sec[6].offset - 0x1000;
	b->ph[0].memsz = b->ph[0].filesz + 0x2000;
	b->ph[1].type = PT_DYNAMIC;
	assert_true(sec[6].offset + 0x800 <= sizeof(b->file));
	img = elf_image(b);
	if (tree.size)
		memcpy(b->file + sec[3].offset, tree.data, tree.size);
	memcpy(b->file + sec[4].offset, kernel.data, kernel.size);
	if (initrd.size)
		memcpy(b->file + sec[5].offset, initrd.data, initrd.size);
	img.size = elf_put_sections(b, (size_t)sec[6].offset, sec, ARRAY_SIZE(sec));
	return img;
}

static inline size_t packed_into(u8 *out, size_t room, const void *data, size_t len)
{
	z_stream z = {.next_in = (void *)(uintptr_t)data,
		      .avail_in = (uInt)len,
		      .next_out = out,
		      .avail_out = (uInt)room};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

#endif

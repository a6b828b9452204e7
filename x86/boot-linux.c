/* SPDX-License-Identifier: MIT */
/*
 * Linux by its 64-bit entry: bzImage, and ELF vmlinux. The kernel's Documentation/x86/boot.rst, sections "The
 * Real-Mode Kernel Header" and "64-bit Boot Protocol".
 *
 * Every field of a bzImage's header is a claim of the file's: sizes are checked against it, and the memory
 * that the kernel says it needs against the guest's.
 */
#include "layout.h"
#include "x86.h"
#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <lkvm/boot.h>
#include <lkvm/config.h>
#include <stdlib.h>
#include <string.h>

#define SETUP_HEADER   0x1f1
#define SETUP_MAGIC    "HdrS"
#define PROTOCOL_64    0x020c /* xloadflags came with it */
#define SECTOR	       512ull
#define ENTRY64	       0x200
#define LOADER_UNKNOWN 0xff
#define HEAP_END       0xe000
#define HEAP_BASE      0x200 /* heap_end_ptr counts from the end of the boot sector */
#define VIDEO_NORMAL   0xffff

bool bzimage_is(const struct boot_image *img)
{
	return img->size > SETUP_HEADER + sizeof(struct setup_header) &&
	       !memcmp(img->data + 0x202, SETUP_MAGIC, 4);
}

static int set_cmdline(struct kvm *kvm, struct boot_params *bp, size_t max)
{
	char *line;
	int err = boot_cmdline(kvm, (size_t)min_u64(max, X86_CMDLINE_MAX - 1), &line);

	if (err)
		return err;
	err = guest_write(&kvm->mem, X86_CMDLINE, line, strlen(line) + 1);
	free(line);
	bp->hdr.cmd_line_ptr = (u32)X86_CMDLINE;
	return err;
}

static int set_initrd(struct kvm *kvm, struct boot_params *bp, gpa_t low, gpa_t high)
{
	gpa_t gpa;
	u64 size;
	int err = boot_load_initrd(kvm, low, high, &gpa, &size);

	bp->hdr.ramdisk_image = (u32)gpa;
	bp->hdr.ramdisk_size = (u32)size;
	bp->ext_ramdisk_image = (u32)(gpa >> 32);
	bp->ext_ramdisk_size = (u32)(size >> 32);
	return err;
}

static void set_memory_map(const struct kvm *kvm, struct boot_params *bp)
{
	struct x86_e820 map[X86_E820_MAX];
	u32 n = x86_e820(kvm, map);

	for (u32 i = 0; i < n; i++) {
		bp->e820_table[i].addr = map[i].addr;
		bp->e820_table[i].size = map[i].size;
		bp->e820_table[i].type = map[i].type;
	}
	bp->e820_entries = (u8)n;
	bp->acpi_rsdp_addr = x86_of(kvm)->rsdp;
}

/* Hands the zero page over and records the start: RSI is its address. */
static int finish(struct kvm *kvm, const struct boot_params *bp, gpa_t entry)
{
	int err = guest_write(&kvm->mem, X86_ZERO_PAGE, bp, sizeof(*bp));

	x86_of(kvm)->start = (struct x86_start){
		.mode = X86_START_LONG64, .ip = entry, .sp = X86_BOOT_STACK, .si = X86_ZERO_PAGE};
	return err ? err : x86_long_mode_tables(kvm);
}

/* Where the kernel goes: its preferred address, or for a relocatable one anywhere that fits. */
static int place(struct kvm *kvm, const struct boot_image *img, const struct setup_header *hdr, u64 need,
		 gpa_t *at)
{
	u64 align = hdr->kernel_alignment ? hdr->kernel_alignment : 0x200000;
	u64 room = x86_low_end(kvm) - X86_HIGH_MEM;

	if (align & (align - 1))
		return boot_image_bad(img, "its kernel_alignment is no power of two");
	*at = hdr->pref_address;
	if (range_inside(*at, need, X86_HIGH_MEM, room))
		return 0;
	if (hdr->relocatable_kernel) {
		*at = align_up(X86_HIGH_MEM, align);
		if (range_inside(*at, need, X86_HIGH_MEM, room))
			return 0;
	}
	log_error("%s: needs %llu MiB at 0x%llx to unpack itself; give the guest more memory (-m)", img->path,
		  (unsigned long long)(align_up(need, MiB(1)) >> 20), (unsigned long long)*at);
	return -ENOSPC;
}

int bzimage_load(struct kvm *kvm, const struct boot_image *img)
{
	struct boot_params bp = {0};
	struct setup_header hdr;
	u64 setup, payload, need;
	size_t header_len;
	gpa_t at = 0;
	int err;

	if (!bzimage_is(img))
		return boot_image_bad(img, "not a bzImage");
	memcpy(&hdr, img->data + SETUP_HEADER, sizeof(hdr));
	if (hdr.version < PROTOCOL_64 || !(hdr.loadflags & LOADED_HIGH) || !(hdr.xloadflags & XLF_KERNEL_64))
		return boot_image_bad(
			img,
			"a bzImage without a 64-bit entry; lkvm needs a 64-bit kernel of Linux 3.8 or later");
	setup = ((hdr.setup_sects ? hdr.setup_sects : 4) + 1) * SECTOR;
	if (setup >= img->size)
		return boot_image_bad(img, "truncated within its setup sectors");
	payload = img->size - setup;
	/* syssize counts in 16 bytes; the file may have a signature behind it, but not less. */
	if ((u64)hdr.syssize * 16 > align_up(payload, 16))
		return boot_image_bad(img, "truncated: its header says that there is more");
	need = max_u64(hdr.init_size, payload);
	err = place(kvm, img, &hdr, need, &at);
	if (err)
		return err;
	if (payload <= ENTRY64)
		return boot_image_bad(img, "truncated before its 64-bit entry");

	/* The header's length is the target of the jump at 0x200. */
	header_len = 0x202 + img->data[0x201] - SETUP_HEADER;
	memcpy(&bp.hdr, img->data + SETUP_HEADER, (size_t)min_u64(header_len, sizeof(bp.hdr)));
	bp.hdr.type_of_loader = LOADER_UNKNOWN;
	bp.hdr.loadflags |= CAN_USE_HEAP;
	bp.hdr.heap_end_ptr = HEAP_END - HEAP_BASE;
	bp.hdr.vid_mode = VIDEO_NORMAL;
	bp.hdr.setup_data = 0;
	bp.hdr.code32_start = (u32)at;
	err = set_cmdline(kvm, &bp, hdr.cmdline_size ? hdr.cmdline_size : 255);
	if (!err)
		err = set_initrd(kvm, &bp, at + need,
				 min_u64((u64)hdr.initrd_addr_max + 1, x86_low_end(kvm)));
	if (!err)
		err = boot_image_load(kvm, at, img, setup, payload);
	if (err)
		return err;
	set_memory_map(kvm, &bp);
	return finish(kvm, &bp, at + ENTRY64);
}

int elf64_load(struct kvm *kvm, const struct boot_image *img)
{
	struct boot_params bp = {0};
	struct elf_info info;
	int err = elf_parse(img, &info);

	if (err)
		return err;
	if (!info.is64 || info.big_endian || info.machine != EM_X86_64)
		return boot_image_bad(img, "an ELF file, but not for 64-bit x86");
	err = x86_check_place(kvm, img, info.low, info.high);
	if (!err)
		err = elf_load(kvm, img, &info, 0);
	if (err)
		return err;
	/* What a kernel built without a setup part would find in its own header. */
	bp.hdr.boot_flag = 0xaa55;
	memcpy(&bp.hdr.header, SETUP_MAGIC, 4);
	bp.hdr.version = 0x020f;
	bp.hdr.type_of_loader = LOADER_UNKNOWN;
	bp.hdr.loadflags = LOADED_HIGH;
	bp.hdr.kernel_alignment = 0x200000;
	bp.hdr.cmdline_size = 2047; /* COMMAND_LINE_SIZE of x86, less the NUL */
	err = set_cmdline(kvm, &bp, bp.hdr.cmdline_size);
	if (!err)
		err = set_initrd(kvm, &bp, align_up(info.high, 4096), x86_low_end(kvm));
	if (err)
		return err;
	set_memory_map(kvm, &bp);
	return finish(kvm, &bp, info.entry_gpa);
}

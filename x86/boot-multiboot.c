/* SPDX-License-Identifier: MIT */
/*
 * Multiboot, version 1 (specification 0.6.96): ELF32 images, and any file whose header carries its own
 * addresses. Each -i is one module, whose string is its path as given. For bare-metal tests and small
 * kernels.
 */
#include "layout.h"
#include "x86.h"
#include <elf.h>
#include <errno.h>
#include <lkvm/boot.h>
#include <lkvm/config.h>
#include <stdlib.h>
#include <string.h>

#define SEARCH	     8192
#define HEADER_MAGIC 0x1badb002u
#define LOADER_MAGIC 0x2badb002u

#define WANT_ALIGNED  0x1u
#define WANT_MEMORY   0x2u
#define WANT_VIDEO    0x4u
#define HAS_ADDRESSES 0x10000u
#define WANT_KNOWN    (WANT_ALIGNED | WANT_MEMORY | WANT_VIDEO)

#define INFO_MEMORY  0x1u
#define INFO_CMDLINE 0x4u
#define INFO_MODULES 0x8u
#define INFO_MMAP    0x40u
#define INFO_LOADER  0x200u

struct mb_header {
	u32 magic, flags, checksum;
	u32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr; /* HAS_ADDRESSES */
};

struct mb_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	u32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name, apm_table;
};

struct mb_module {
	u32 start, end, string, reserved;
};

struct mb_mmap {
	u32 size; /* of what follows */
	u64 addr, len;
	u32 type;
} __packed;

/* Information structures and strings are written one after another in the page at X86_PVH_INFO. */
struct area {
	struct kvm *kvm;
	gpa_t next, end;
	int err;
};

static u32 put(struct area *a, const void *data, size_t len)
{
	gpa_t at = align_up(a->next, 8);

	if (a->err)
		return 0;
	if (at > a->end || len > a->end - at) {
		log_error("multiboot: command line and module names are too long");
		a->err = -E2BIG;
		return 0;
	}
	a->err = guest_write(&a->kvm->mem, at, data, len);
	a->next = at + len;
	return (u32)at;
}

/* The header's offset, or -1. */
static s64 find_header(const struct boot_image *img, struct mb_header *hdr)
{
	for (size_t at = 0; at < SEARCH && at + 12 <= img->size; at += 4) {
		memset(hdr, 0, sizeof(*hdr));
		memcpy(hdr, img->data + at, 12);
		if (hdr->magic != HEADER_MAGIC || hdr->magic + hdr->flags + hdr->checksum)
			continue;
		if (hdr->flags & HAS_ADDRESSES) {
			if (at + sizeof(*hdr) > img->size)
				continue;
			memcpy(hdr, img->data + at, sizeof(*hdr));
		}
		return (s64)at;
	}
	return -1;
}

bool multiboot_is(const struct boot_image *img)
{
	struct mb_header hdr;

	return find_header(img, &hdr) >= 0;
}

/* An image that says itself where its parts go. *end is the first byte behind it. */
static int load_addressed(struct kvm *kvm, const struct boot_image *img, const struct mb_header *hdr, u64 at,
			  gpa_t *end)
{
	u64 skip, len, bss_end;
	int err;

	if (hdr->load_addr > hdr->header_addr || hdr->header_addr - hdr->load_addr > at)
		return boot_image_bad(img, "its multiboot header's addresses contradict each other");
	skip = at - (hdr->header_addr - hdr->load_addr);
	len = hdr->load_end_addr ? (u64)hdr->load_end_addr - hdr->load_addr : img->size - skip;
	if (hdr->load_end_addr && hdr->load_end_addr < hdr->load_addr)
		return boot_image_bad(img, "its multiboot header's addresses contradict each other");
	if (!range_inside(skip, len, 0, img->size))
		return boot_image_bad(img, "truncated: its multiboot header says that there is more");
	bss_end = hdr->bss_end_addr ? hdr->bss_end_addr : hdr->load_addr + len;
	if (bss_end < hdr->load_addr + len)
		return boot_image_bad(img, "its multiboot header's addresses contradict each other");
	if (hdr->entry_addr < hdr->load_addr || hdr->entry_addr >= bss_end)
		return boot_image_bad(img,
				      "the entry in its multiboot header lies outside of what is loaded");
	*end = bss_end;
	x86_of(kvm)->start.ip = hdr->entry_addr;
	err = x86_check_place(kvm, img, hdr->load_addr, bss_end);
	return err ? err : boot_image_load(kvm, hdr->load_addr, img, skip, len);
}

static int load_elf(struct kvm *kvm, const struct boot_image *img, gpa_t *end)
{
	struct elf_info info;
	int err = elf_parse(img, &info);

	if (err)
		return err;
	if (info.is64 || info.big_endian || info.machine != EM_386)
		return boot_image_bad(
			img, "a multiboot image must be ELF32 for x86, or carry its addresses in its header");
	err = x86_check_place(kvm, img, info.low, info.high);
	if (!err)
		err = elf_load(kvm, img, &info, 0);
	x86_of(kvm)->start.ip = info.entry_gpa;
	*end = info.high;
	return err;
}

static int load_module(struct kvm *kvm, const char *path, gpa_t *next, struct mb_module *mod)
{
	struct boot_image img;
	int err = boot_image_open_raw(&img, path);
	gpa_t at = align_up(*next, 4096);

	if (err)
		return err;
	if (!guest_ptr(&kvm->mem, at, img.size) || at + img.size > x86_low_end(kvm)) {
		log_error("%s: the module does not fit behind the kernel; give the guest more memory (-m)",
			  path);
		err = -ENOSPC;
	} else {
		err = boot_image_load(kvm, at, &img, 0, img.size);
		*mod = (struct mb_module){.start = (u32)at, .end = (u32)(at + img.size)};
		*next = at + img.size;
	}
	boot_image_close(&img);
	return err;
}

static int add_modules(struct area *area, struct mb_info *info, gpa_t end)
{
	const struct str_list *list = &area->kvm->cfg->initrd;
	struct mb_module *mod;
	int err = 0;

	if (!list->count)
		return 0;
	mod = calloc(list->count, sizeof(*mod));
	if (!mod) {
		log_error("%s: out of memory", list->item[0]);
		return -ENOMEM;
	}
	for (size_t i = 0; i < list->count && !err; i++) {
		err = load_module(area->kvm, list->item[i], &end, &mod[i]);
		if (!err)
			mod[i].string = put(area, list->item[i], strlen(list->item[i]) + 1);
	}
	info->flags |= INFO_MODULES;
	info->mods_count = (u32)list->count;
	info->mods_addr = put(area, mod, list->count * sizeof(*mod));
	free(mod);
	return err;
}

static void add_memory(struct area *area, struct mb_info *info)
{
	struct x86_e820 map[X86_E820_MAX];
	struct mb_mmap out[X86_E820_MAX];
	u32 n = x86_e820(area->kvm, map);

	for (u32 i = 0; i < n; i++)
		out[i] = (struct mb_mmap){.size = sizeof(out[i]) - sizeof(out[i].size),
					  .addr = map[i].addr,
					  .len = map[i].size,
					  .type = map[i].type};
	info->flags |= INFO_MEMORY | INFO_MMAP;
	info->mem_lower = (u32)(X86_EBDA >> 10);
	info->mem_upper = (u32)((x86_of(area->kvm)->low_ram - X86_HIGH_MEM) >> 10);
	info->mmap_length = n * (u32)sizeof(out[0]);
	info->mmap_addr = put(area, out, n * sizeof(out[0]));
}

static int add_strings(struct area *area, struct mb_info *info, const char *path)
{
	static const char loader[] = "lkvm";
	struct buf line = {0};
	char *params;
	int err = boot_cmdline(area->kvm, X86_CMDLINE_MAX, &params);

	if (err)
		return err;
	/* The first word is the image, as GRUB gives it. */
	buf_printf(&line, "%s%s%s", path, *params ? " " : "", params);
	free(params);
	if (!line.err) {
		info->flags |= INFO_CMDLINE | INFO_LOADER;
		info->cmdline = put(area, line.data, line.len + 1);
		info->boot_loader_name = put(area, loader, sizeof(loader));
	}
	err = line.err;
	if (err)
		log_error("multiboot: command line: %s", strerror(-err));
	buf_free(&line);
	return err;
}

int multiboot_load(struct kvm *kvm, const struct boot_image *img)
{
	struct area area = {.kvm = kvm, .next = X86_PVH_INFO, .end = X86_EBDA};
	struct mb_info info = {0};
	struct mb_header hdr;
	s64 at = find_header(img, &hdr);
	gpa_t end = 0;
	u32 info_at;
	int err;

	if (at < 0)
		return boot_image_bad(img, "has no multiboot header");
	if (hdr.flags & 0xffff & ~WANT_KNOWN)
		return boot_image_bad(img, "its multiboot header asks for something that lkvm does not have");
	err = hdr.flags & HAS_ADDRESSES ? load_addressed(kvm, img, &hdr, (u64)at, &end)
					: load_elf(kvm, img, &end);
	if (!err)
		err = add_modules(&area, &info, end);
	if (!err)
		err = add_strings(&area, &info, img->path);
	if (err)
		return err;
	add_memory(&area, &info);
	info_at = put(&area, &info, sizeof(info));
	if (!area.err)
		area.err = x86_boot_gdt(kvm, false);
	x86_of(kvm)->start.mode = X86_START_PROT32;
	x86_of(kvm)->start.ax = LOADER_MAGIC;
	x86_of(kvm)->start.bx = info_at;
	x86_of(kvm)->start.sp = X86_BOOT_STACK;
	return area.err;
}

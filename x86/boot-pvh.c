/* SPDX-License-Identifier: MIT */
/*
 * PVH: an ELF image whose note (owner "Xen", type 18) names a 32-bit entry; EBX points to the start info.
 * Xen's docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h.
 */
#include "layout.h"
#include "x86.h"
#include <elf.h>
#include <errno.h>
#include <lkvm/boot.h>
#include <lkvm/config.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_OWNER	  "Xen"
#define NOTE_PHYS32_ENTRY 18
#define START_MAGIC	  0x336ec578

struct start_info {
	u32 magic, version, flags, nr_modules;
	u64 modlist, cmdline, rsdp, memmap;
	u32 memmap_entries, reserved;
};

struct module_entry {
	u64 paddr, size, cmdline, reserved;
};

struct memmap_entry {
	u64 addr, size;
	u32 type, reserved;
};

/* All of it at X86_PVH_INFO. */
struct pvh_page {
	struct start_info info;
	struct module_entry module;
	struct memmap_entry map[X86_E820_MAX];
};

static const u8 *entry_note(const struct boot_image *img, const struct elf_info *info, u32 *len)
{
	const u8 *note = elf_note(img, info, NOTE_OWNER, NOTE_PHYS32_ENTRY, len);

	return note && (*len == 4 || *len == 8) ? note : NULL;
}

bool pvh_is(const struct boot_image *img)
{
	struct elf_info info;
	u32 len;

	/* elf_parse() would speak of what is wrong; the loader that is chosen then does. */
	if (!elf_is(img) || img->size < sizeof(Elf64_Ehdr))
		return false;
	return elf_check(img, &info) == NULL && entry_note(img, &info, &len);
}

static int write_info(struct kvm *kvm, gpa_t low)
{
	const gpa_t at = X86_PVH_INFO;
	struct pvh_page page = {0};
	struct x86_e820 map[X86_E820_MAX];
	char *cmdline;
	int err;

	err = boot_load_initrd(kvm, low, x86_low_end(kvm), &page.module.paddr, &page.module.size);
	if (!err)
		err = boot_cmdline(kvm, X86_CMDLINE_MAX - 1, &cmdline);
	if (err)
		return err;
	err = guest_write(&kvm->mem, X86_CMDLINE, cmdline, strlen(cmdline) + 1);
	free(cmdline);
	page.info = (struct start_info){
		.magic = START_MAGIC,
		.version = 1,
		.nr_modules = page.module.size ? 1 : 0,
		.modlist = page.module.size ? at + offsetof(struct pvh_page, module) : 0,
		.cmdline = X86_CMDLINE,
		.rsdp = x86_of(kvm)->rsdp,
		.memmap = at + offsetof(struct pvh_page, map),
		.memmap_entries = x86_e820(kvm, map),
	};
	for (u32 i = 0; i < page.info.memmap_entries; i++)
		page.map[i] =
			(struct memmap_entry){.addr = map[i].addr, .size = map[i].size, .type = map[i].type};
	return err ? err : guest_write(&kvm->mem, at, &page, sizeof(page));
}

int pvh_load(struct kvm *kvm, const struct boot_image *img)
{
	struct elf_info info;
	const u8 *note;
	u64 entry = 0;
	u32 len;
	int err = elf_parse(img, &info);

	if (err)
		return err;
	note = entry_note(img, &info, &len);
	if (!note || info.big_endian || (info.machine != EM_X86_64 && info.machine != EM_386)) {
		log_error("%s: has no PVH entry note for x86", img->path);
		return -ENOEXEC;
	}
	memcpy(&entry, note, len);
	err = x86_check_place(kvm, img, info.low, info.high);
	if (err)
		return err;
	if (entry < info.low || entry >= info.high) {
		log_error("%s: its PVH entry 0x%llx lies outside its segments", img->path,
			  (unsigned long long)entry);
		return -ENOEXEC;
	}
	err = elf_load(kvm, img, &info, 0);
	if (!err)
		err = write_info(kvm, align_up(info.high, 4096));
	if (!err)
		err = x86_boot_gdt(kvm, false);
	x86_of(kvm)->start = (struct x86_start){
		.mode = X86_START_PROT32, .ip = entry, .sp = X86_BOOT_STACK, .bx = X86_PVH_INFO};
	return err;
}

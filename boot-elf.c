/* SPDX-License-Identifier: MIT */
/*
 * ELF executables (System V ABI, chapters 4 and 5), both classes and both byte orders: headers, segments,
 * sections and notes, checked against the file before a byte of the guest's memory is written. Called by the
 * machines' loaders on the main thread.
 */
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <lkvm/boot.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <string.h>

/* A program header in host terms. */
struct segment {
	u32 type;
	u64 offset, vaddr, paddr, filesz, memsz;
};

static u64 field(const u8 *p, u32 len, bool big)
{
	u64 v = 0;

	for (u32 i = 0; i < len; i++)
		v = v << 8 | p[big ? i : len - 1 - i];
	return v;
}

#define FIELD(p, type, member, big)                                                                          \
	field((const u8 *)(p) + offsetof(type, member), sizeof(((type *)0)->member), big)
/* The same member of either class's structure. */
#define EITHER(p, name, member, info)                                                                        \
	((info)->is64 ? FIELD(p, Elf64_##name, member, (info)->big_endian)                                   \
		      : FIELD(p, Elf32_##name, member, (info)->big_endian))

bool elf_is(const struct boot_image *img)
{
	return img->size > EI_NIDENT && !memcmp(img->data, ELFMAG, SELFMAG);
}

static u32 nr_segments(const struct boot_image *img, const struct elf_info *info)
{
	return (u32)EITHER(img->data, Ehdr, e_phnum, info);
}

static struct segment segment_at(const struct boot_image *img, const struct elf_info *info, u32 i)
{
	u64 phoff = EITHER(img->data, Ehdr, e_phoff, info), size = EITHER(img->data, Ehdr, e_phentsize, info);
	const u8 *p = img->data + phoff + i * size;

	return (struct segment){
		.type = (u32)EITHER(p, Phdr, p_type, info),
		.offset = EITHER(p, Phdr, p_offset, info),
		.vaddr = EITHER(p, Phdr, p_vaddr, info),
		.paddr = EITHER(p, Phdr, p_paddr, info),
		.filesz = EITHER(p, Phdr, p_filesz, info),
		.memsz = EITHER(p, Phdr, p_memsz, info),
	};
}

static const char *check_table(const struct boot_image *img, const struct elf_info *info)
{
	u64 phoff = EITHER(img->data, Ehdr, e_phoff, info), size = EITHER(img->data, Ehdr, e_phentsize, info);
	u64 want = info->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	u32 count = nr_segments(img, info);

	if (!count || size < want)
		return "an ELF file with no program headers";
	if (!range_inside(phoff, count * size, 0, img->size))
		return "truncated: its ELF program headers lie outside the file";
	if (boot_image_need(img, phoff, count * size))
		return "cannot be read where its ELF program headers are";
	return NULL;
}

const char *elf_check(const struct boot_image *img, struct elf_info *info)
{
	const char *wrong;
	bool any = false;

	memset(info, 0, sizeof(*info));
	if (!elf_is(img))
		return "not an ELF file";
	info->is64 = img->data[EI_CLASS] == ELFCLASS64;
	info->big_endian = img->data[EI_DATA] == ELFDATA2MSB;
	if (img->size < (info->is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)))
		return "truncated within its ELF header";
	info->machine = (u16)EITHER(img->data, Ehdr, e_machine, info);
	info->type = (u16)EITHER(img->data, Ehdr, e_type, info);
	info->entry = info->entry_gpa = EITHER(img->data, Ehdr, e_entry, info);
	if (info->type != ET_EXEC && info->type != ET_DYN)
		return "an ELF file, but not an executable";
	wrong = check_table(img, info);
	if (wrong)
		return wrong;
	for (u32 i = 0; i < nr_segments(img, info); i++) {
		struct segment s = segment_at(img, info, i);
		u64 end;

		if (s.type != PT_LOAD || !s.memsz)
			continue;
		if (!range_inside(s.offset, s.filesz, 0, img->size))
			return "truncated: an ELF segment lies outside the file";
		if (s.filesz > s.memsz || add_overflow(s.paddr, s.memsz, &end))
			return "an ELF segment's sizes contradict each other";
		info->low = any ? min_u64(info->low, s.paddr) : s.paddr;
		info->high = any ? max_u64(info->high, end) : end;
		any = true;
		/* Linux's e_entry is physical already; a linked-high image's lies in a segment's virtual
		 * range. */
		if (info->entry >= s.vaddr && info->entry - s.vaddr < s.memsz && s.vaddr != s.paddr)
			info->entry_gpa = info->entry - s.vaddr + s.paddr;
	}
	if (!any)
		return "an ELF file with nothing to load";
	if (info->entry_gpa < info->low || info->entry_gpa >= info->high)
		return "an ELF file whose entry lies outside its segments";
	return NULL;
}

int elf_parse(const struct boot_image *img, struct elf_info *info)
{
	const char *wrong = elf_check(img, info);

	return wrong ? boot_image_bad(img, wrong) : 0;
}

static int clear(struct kvm *kvm, gpa_t gpa, u64 len)
{
	struct iovec iov[MEM_MAX_BANKS];
	int n = guest_iov(&kvm->mem, gpa, len, iov, MEM_MAX_BANKS);

	for (int i = 0; i < n; i++)
		memset(iov[i].iov_base, 0, iov[i].iov_len);
	return n < 0 ? -EFAULT : 0;
}

int elf_load(struct kvm *kvm, const struct boot_image *img, const struct elf_info *info, u64 offset)
{
	struct iovec iov[MEM_MAX_BANKS];
	int err;

	for (int pass = 0; pass < 2; pass++) {
		for (u32 i = 0; i < nr_segments(img, info); i++) {
			struct segment s = segment_at(img, info, i);
			gpa_t at = s.paddr + offset;

			if (s.type != PT_LOAD || !s.memsz)
				continue;
			if (!pass) {
				/* First all of it is checked, then any of it is written. */
				if (guest_iov(&kvm->mem, at, s.memsz, iov, MEM_MAX_BANKS) < 0)
					return boot_image_bad(
						img,
						"does not fit into guest memory; give the guest more (-m)");
				continue;
			}
			err = boot_image_load(kvm, at, img, s.offset, s.filesz);
			if (err && err != -EFAULT)
				return err;
			if (err || clear(kvm, at + s.filesz, s.memsz - s.filesz))
				return boot_image_bad(
					img, "does not fit into guest memory; give the guest more (-m)");
		}
	}
	return 0;
}

/* One PT_NOTE segment's notes: names and descriptors are each padded to 4 bytes. */
static const u8 *note_in(const u8 *p, u64 len, bool big, const char *owner, u32 type, u32 *desc_len)
{
	u64 want = strlen(owner) + 1;

	while (len >= sizeof(Elf64_Nhdr)) {
		u64 namesz = FIELD(p, Elf64_Nhdr, n_namesz, big),
		    descsz = FIELD(p, Elf64_Nhdr, n_descsz, big);
		u32 ntype = (u32)FIELD(p, Elf64_Nhdr, n_type, big);
		u64 name = align_up(namesz, 4), desc = align_up(descsz, 4);

		p += sizeof(Elf64_Nhdr);
		len -= sizeof(Elf64_Nhdr);
		if (name > len || descsz > len - name)
			return NULL;
		if (ntype == type && namesz == want && !memcmp(p, owner, want)) {
			*desc_len = (u32)descsz;
			return p + name;
		}
		if (desc > len - name)
			return NULL;
		p += name + desc;
		len -= name + desc;
	}
	return NULL;
}

const u8 *elf_note(const struct boot_image *img, const struct elf_info *info, const char *owner, u32 type,
		   u32 *len)
{
	for (u32 i = 0; i < nr_segments(img, info); i++) {
		struct segment s = segment_at(img, info, i);
		const u8 *found;

		if (s.type != PT_NOTE || !range_inside(s.offset, s.filesz, 0, img->size) ||
		    boot_image_need(img, s.offset, s.filesz))
			continue;
		found = note_in(img->data + s.offset, s.filesz, info->big_endian, owner, type, len);
		if (found)
			return found;
	}
	return NULL;
}

/* ---- sections -------------------------------------------------------------------------------------- */

/* A section header in host terms. */
struct section {
	u32 name, type;
	u64 offset, size;
};

static struct section section_at(const struct boot_image *img, const struct elf_info *info, u32 i)
{
	u64 shoff = EITHER(img->data, Ehdr, e_shoff, info), size = EITHER(img->data, Ehdr, e_shentsize, info);
	const u8 *p = img->data + shoff + i * size;

	return (struct section){
		.name = (u32)EITHER(p, Shdr, sh_name, info),
		.type = (u32)EITHER(p, Shdr, sh_type, info),
		.offset = EITHER(p, Shdr, sh_offset, info),
		.size = EITHER(p, Shdr, sh_size, info),
	};
}

/* The table and its names are in the file, and have been read. */
static const char *check_sections(const struct boot_image *img, const struct elf_info *info, u32 count,
				  struct section *names)
{
	u64 shoff = EITHER(img->data, Ehdr, e_shoff, info), size = EITHER(img->data, Ehdr, e_shentsize, info);
	u32 index = (u32)EITHER(img->data, Ehdr, e_shstrndx, info);

	if (size < (info->is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)))
		return "an ELF file whose section headers are too short";
	if (!range_inside(shoff, count * size, 0, img->size))
		return "truncated: its ELF section headers lie outside the file";
	if (boot_image_need(img, shoff, count * size))
		return "cannot be read where its ELF section headers are";
	*names = section_at(img, info, index < count ? index : 0);
	if (names->type != SHT_STRTAB || !range_inside(names->offset, names->size, 0, img->size))
		return "truncated: the names of its ELF sections lie outside the file";
	if (boot_image_need(img, names->offset, names->size))
		return "cannot be read where the names of its ELF sections are";
	return NULL;
}

const char *elf_section(const struct boot_image *img, const struct elf_info *info, const char *name,
			size_t *offset, size_t *size)
{
	u32 count = (u32)EITHER(img->data, Ehdr, e_shnum, info);
	u64 len = strlen(name) + 1;
	struct section names;
	const char *wrong;

	*offset = *size = 0;
	/* Without names (0, SHN_UNDEF) there is none of this one. */
	if (!count || !EITHER(img->data, Ehdr, e_shstrndx, info))
		return NULL;
	wrong = check_sections(img, info, count, &names);
	for (u32 i = 1; i < count && !wrong; i++) {
		struct section s = section_at(img, info, i);

		if (!range_inside(s.name, len, 0, names.size) ||
		    memcmp(img->data + names.offset + s.name, name, len))
			continue;
		if (s.type == SHT_NOBITS)
			break;
		if (!range_inside(s.offset, s.size, 0, img->size))
			return "truncated: an ELF section lies outside the file";
		*offset = (size_t)s.offset;
		*size = (size_t)s.size;
		break;
	}
	return wrong;
}

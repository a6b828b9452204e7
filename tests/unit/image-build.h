/* SPDX-License-Identifier: MIT */
/*
 * ELF images for the loaders' tests, of either class and byte order, header by header; each field of a header
 * can be made a lie afterwards.
 */
#ifndef LKVM_TEST_IMAGE_BUILD_H
#define LKVM_TEST_IMAGE_BUILD_H

#include <elf.h>
#include <endian.h>
#include <lkvm/boot.h>
#include <string.h>

struct elf_build {
	bool is64, big;
	u16 machine, type;
	u64 entry;
	u32 phnum;
	struct {
		u32 type;
		u64 offset, vaddr, paddr, filesz, memsz;
	} ph[8];
	u8 file[16384];
	size_t size; /* of the file; 0: all headers and what the segments need */
};

/* A section; its bytes are the caller's to put. */
struct elf_sec {
	const char *name;
	u32 type;
	u64 offset, size;
};

static inline void put_field(u8 *p, u32 len, bool big, u64 v)
{
	for (u32 i = 0; i < len; i++, v >>= 8)
		p[big ? len - 1 - i : i] = (u8)v;
}

#define PUT(b, base, type, member, v)                                                                        \
	put_field((b)->file + (base) + offsetof(type, member), sizeof(((type *)0)->member), (b)->big, v)
/* A member of either class's structure at a file offset. */
#define ELF_PUT(b, base, name, member, v)                                                                    \
	do {                                                                                                 \
		if ((b)->is64)                                                                               \
			PUT(b, base, Elf64_##name, member, v);                                               \
		else                                                                                         \
			PUT(b, base, Elf32_##name, member, v);                                               \
	} while (0)

static inline size_t elf_ehsize(const struct elf_build *b)
{
	return b->is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
}

static inline size_t elf_phsize(const struct elf_build *b)
{
	return b->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
}

/* File offset of the i-th program header. */
static inline size_t elf_ph(const struct elf_build *b, u32 i)
{
	return elf_ehsize(b) + i * elf_phsize(b);
}

/* Writes the headers; the segments' bytes are put into b->file by the caller, after this. */
static inline struct boot_image elf_image(struct elf_build *b)
{
	size_t end = elf_ph(b, b->phnum);

	memset(b->file, 0, sizeof(b->file));
	memcpy(b->file, ELFMAG, SELFMAG);
	b->file[EI_CLASS] = b->is64 ? ELFCLASS64 : ELFCLASS32;
	b->file[EI_DATA] = b->big ? ELFDATA2MSB : ELFDATA2LSB;
	b->file[EI_VERSION] = EV_CURRENT;
	ELF_PUT(b, 0, Ehdr, e_type, b->type ? b->type : ET_EXEC);
	ELF_PUT(b, 0, Ehdr, e_machine, b->machine);
	ELF_PUT(b, 0, Ehdr, e_version, EV_CURRENT);
	ELF_PUT(b, 0, Ehdr, e_entry, b->entry);
	ELF_PUT(b, 0, Ehdr, e_phoff, elf_ehsize(b));
	ELF_PUT(b, 0, Ehdr, e_ehsize, elf_ehsize(b));
	ELF_PUT(b, 0, Ehdr, e_phentsize, elf_phsize(b));
	ELF_PUT(b, 0, Ehdr, e_phnum, b->phnum);
	for (u32 i = 0; i < b->phnum; i++) {
		ELF_PUT(b, elf_ph(b, i), Phdr, p_type, b->ph[i].type);
		ELF_PUT(b, elf_ph(b, i), Phdr, p_offset, b->ph[i].offset);
		ELF_PUT(b, elf_ph(b, i), Phdr, p_vaddr, b->ph[i].vaddr);
		ELF_PUT(b, elf_ph(b, i), Phdr, p_paddr, b->ph[i].paddr);
		ELF_PUT(b, elf_ph(b, i), Phdr, p_filesz, b->ph[i].filesz);
		ELF_PUT(b, elf_ph(b, i), Phdr, p_memsz, b->ph[i].memsz);
		if (b->ph[i].filesz && range_inside(b->ph[i].offset, b->ph[i].filesz, 0, sizeof(b->file)))
			end = (size_t)max_u64(end, b->ph[i].offset + b->ph[i].filesz);
	}
	return (struct boot_image){.path = "image", .data = b->file, .size = b->size ? b->size : end};
}

static inline size_t elf_shsize(const struct elf_build *b)
{
	return b->is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
}

static inline void elf_put_section(struct elf_build *b, size_t at, u32 name, const struct elf_sec *sec)
{
	ELF_PUT(b, at, Shdr, sh_name, name);
	ELF_PUT(b, at, Shdr, sh_type, sec->type);
	ELF_PUT(b, at, Shdr, sh_offset, sec->offset);
	ELF_PUT(b, at, Shdr, sh_size, sec->size);
}

/*
 * The table of these n sections at a file offset, of none before them, as each table begins, and of their
 * names behind them. Where it ends; to be called after elf_image(), whose size it is then.
 */
static inline size_t elf_put_sections(struct elf_build *b, size_t at, const struct elf_sec *sec, u32 n)
{
	size_t names = at + (n + 2) * elf_shsize(b), end = names + 1;
	struct elf_sec last = {".shstrtab", SHT_STRTAB, names, 0};

	ELF_PUT(b, 0, Ehdr, e_shoff, at);
	ELF_PUT(b, 0, Ehdr, e_shentsize, elf_shsize(b));
	ELF_PUT(b, 0, Ehdr, e_shnum, n + 2);
	ELF_PUT(b, 0, Ehdr, e_shstrndx, n + 1);
	for (u32 i = 0; i < n; i++) {
		elf_put_section(b, at + (i + 1) * elf_shsize(b), (u32)(end - names), &sec[i]);
		memcpy(b->file + end, sec[i].name, strlen(sec[i].name) + 1);
		end += strlen(sec[i].name) + 1;
	}
	memcpy(b->file + end, last.name, sizeof(".shstrtab"));
	last.size = end + sizeof(".shstrtab") - names;
	elf_put_section(b, at + (n + 1) * elf_shsize(b), (u32)(end - names), &last);
	return names + (size_t)last.size;
}

/* A note at a file offset: its end, padded. */
static inline size_t elf_put_note(struct elf_build *b, size_t at, const char *owner, u32 type,
				  const void *desc, u32 len)
{
	u32 namesz = (u32)strlen(owner) + 1;

	put_field(b->file + at, 4, b->big, namesz);
	put_field(b->file + at + 4, 4, b->big, len);
	put_field(b->file + at + 8, 4, b->big, type);
	memcpy(b->file + at + 12, owner, namesz);
	at += 12 + (size_t)align_up(namesz, 4);
	if (len)
		memcpy(b->file + at, desc, len);
	return at + (size_t)align_up(len, 4);
}

#endif

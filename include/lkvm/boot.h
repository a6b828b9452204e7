/* SPDX-License-Identifier: MIT */
/*
 * Kernel and initrd images on their way into guest RAM. boot.c opens, sizes and decompresses; the machine's
 * boot() decides what the image is and where it goes. Every offset and size in an image is a claim to be
 * checked against img->size. Main thread, before `run`.
 */
#ifndef LKVM_BOOT_H
#define LKVM_BOOT_H

#include <lkvm/mem.h>
#include <lkvm/types.h>

struct kvm;

struct boot_image {
	const char *path; /* for messages */
	/*
	 * The image, as the file has it or decompressed. Of a lazy one it holds the first BOOT_IMAGE_HEAD
	 * bytes and what boot_image_need() was asked for, zeroes in the place of the rest. Never written by
	 * others.
	 */
	const u8 *data;
	size_t size;
	bool was_gzip; /* data is what came out of it */
	bool lazy;     /* the rest is in fd */
	int fd;
};

/* Where the headers lie that say what an image is. */
#define BOOT_IMAGE_HEAD KiB(64)

/* -errno after one logged line ("PATH: is a directory"). A gzip file comes out decompressed (2 GiB at most).
 */
int __must_check boot_image_open(struct boot_image *img, const char *path);
/* The same, but what the file holds is taken as it is. */
int __must_check boot_image_open_raw(struct boot_image *img, const char *path);
/*
 * Replaces the image by what the gzip data at [offset, offset + len) of it, which must lie inside, decompress
 * to. -errno after one logged line; the image is then as it was.
 */
int __must_check boot_image_gunzip(struct boot_image *img, size_t offset, size_t len);
/* Replaces the image by that part of itself, which must lie inside. -errno after one logged line; it is then
 * as it was. */
int __must_check boot_image_cut(struct boot_image *img, size_t offset, size_t len);
/* That part, which must lie inside, as an image of its own under the same name. As boot_image_cut(). */
int __must_check boot_image_part(const struct boot_image *img, size_t offset, size_t len,
				 struct boot_image *part);
/* Logs the line "PATH: WHAT". -ENOEXEC. */
int boot_image_bad(const struct boot_image *img, const char *what);
/* Makes sure that data has [offset, offset + len), which lies inside. -EIO (cut short meanwhile), -errno;
 * silent. */
int __must_check boot_image_need(const struct boot_image *img, size_t offset, size_t len);
/*
 * Copies len bytes of the image from `offset` on, which lie inside, to gpa. -EFAULT, silent, when there is no
 * RAM; -EIO and others after one logged line.
 */
int __must_check boot_image_load(struct kvm *kvm, gpa_t gpa, const struct boot_image *img, size_t offset,
				 size_t len);
void boot_image_close(struct boot_image *img);
/* The `boot` step: opens cfg->kernel (or cfg->firmware), calls machine->boot(), then machine->vcpu_reset()
 * for each vCPU. */
int __must_check boot_load(struct kvm *kvm);

/*
 * Loads all initrds, each padded to 4 bytes, one after another, as high as they fit between low and high.
 * *gpa and *size are 0 when there are none. -errno after one logged line.
 */
int __must_check boot_load_initrd(struct kvm *kvm, gpa_t low, gpa_t high, gpa_t *gpa, u64 *size);
/* The same for images that are open, in the place of those that --initrd names. */
int __must_check boot_place_initrds(struct kvm *kvm, const struct boot_image *img, size_t count, gpa_t low,
				    gpa_t high, gpa_t *gpa, u64 *size);

/*
 * The kernel command line: default_params (unless nodefaults) and every -p piece, joined by blanks. malloc'd.
 * -E2BIG after one logged line when it is longer than max bytes, its NUL not counted.
 */
int __must_check boot_cmdline(struct kvm *kvm, size_t max, char **out);

/* ELF, 32 and 64 bits, of the byte order given. Everything is checked before anything is written. */
struct elf_info {
	bool is64, big_endian;
	u16 machine, type;
	u64 entry;
	u64 entry_gpa;	 /* entry as the physical address of the segment that holds it */
	gpa_t low, high; /* what the PT_LOAD segments cover, [low, high) */
};
bool elf_is(const struct boot_image *img);
/* NULL when the file is a sound ELF executable, and *info filled in; else what is wrong with it. */
const char *elf_check(const struct boot_image *img, struct elf_info *info);
/* elf_check() for those who need it to be one: -ENOEXEC after one logged line. */
int __must_check elf_parse(const struct boot_image *img, struct elf_info *info);
/* Copies the PT_LOAD segments to their physical addresses plus offset; clears the rest of memsz. */
int __must_check elf_load(struct kvm *kvm, const struct boot_image *img, const struct elf_info *info,
			  u64 offset);
/*
 * Where in the file the first section of that name has its bytes; *size is 0 when there is none, or it has
 * none. NULL, or what is wrong with the file. info: of elf_check().
 */
const char *elf_section(const struct boot_image *img, const struct elf_info *info, const char *name,
			size_t *offset, size_t *size);
/* The note of that owner and type in any PT_NOTE: its descriptor and length, or NULL. */
const u8 *elf_note(const struct boot_image *img, const struct elf_info *info, const char *owner, u32 type,
		   u32 *len);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The boot wrapper of Linux's arch/powerpc/boot (zImage): an ELF file, of 32 or 64 bits whatever the kernel
 * has, whose code unpacks the kernel for a board's firmware. What it carries lies in sections that its linker
 * script, zImage.lds.S, names: the stripped vmlinux, most often as gzip, and perhaps an initrd and a device
 * tree. We are the firmware, and the quicker at unpacking: the kernel is taken out, and none of the wrapper's
 * code ever runs.
 *
 * Main thread, in the `boot` step.
 */
#include "powerpc.h"
#include <errno.h>
#include <lkvm/boot.h>
#include <lkvm/config.h>
#include <string.h>

#define KERNEL_SECTION ".kernel:vmlinux.strip"
#define INITRD_SECTION ".kernel:initrd"
#define TREE_SECTION   ".kernel:dtb"
#define MAGIC_MAX      32 /* what tells one way of compression from another lies within */

/* The other ways of compression that the wrapper script has (-Z). */
static const char *other_compression(const u8 *p, size_t size)
{
	static const struct {
		const char *name;
		u8 len, magic[6];
	} known[] = {
		{"xz", 6, {0xfd, '7', 'z', 'X', 'Z', 0}},
		{"lzma", 3, {0x5d, 0, 0}},
		{"lzo", 4, {0x89, 'L', 'Z', 'O'}},
	};

	for (u32 i = 0; i < ARRAY_SIZE(known); i++)
		if (size >= known[i].len && !memcmp(p, known[i].magic, known[i].len))
			return known[i].name;
	return NULL;
}

static int take_kernel(struct boot_image *img, size_t at, size_t size)
{
	const char *other;

	if (boot_image_need(img, at, (size_t)min_u64(size, MAGIC_MAX)))
		return boot_image_bad(img, "cannot be read where the kernel in it is");
	if (size > 18 && img->data[at] == 0x1f && img->data[at + 1] == 0x8b)
		return boot_image_gunzip(img, at, size);
	other = other_compression(img->data + at, size);
	if (other) {
		log_error("%s: a zImage whose kernel is compressed by %s, which lkvm does not know (it takes "
			  "gzip); give the vmlinux that it was made of",
			  img->path, other);
		return -ENOEXEC;
	}
	return boot_image_cut(img, at, size);
}

static int take_initrd(struct kvm *kvm, const struct boot_image *img, const struct elf_info *info,
		       struct boot_image *initrd)
{
	size_t at, size;
	const char *wrong = elf_section(img, info, INITRD_SECTION, &at, &size);

	if (wrong)
		return boot_image_bad(img, wrong);
	if (!size)
		return 0;
	if (!kvm->cfg->initrd.count)
		return boot_image_part(img, at, size, initrd);
	log_warn(kvm->log, "%s: the initrd that is attached to it is not used, for --initrd names another",
		 img->path);
	return 0;
}

/*
 * Replaces the image by the kernel in it when it is such a wrapper; an ELF file. *initrd is the one that is
 * attached, or has no data; to be closed. -errno after one logged line.
 */
static int unwrap(struct kvm *kvm, struct boot_image *img, struct boot_image *initrd)
{
	struct elf_info info;
	size_t at, size, tree_at, tree;
	const char *wrong;
	int err;

	*initrd = (struct boot_image){.path = img->path};
	/* What is wrong with it the machine's loader says. */
	if (!elf_is(img) || elf_check(img, &info))
		return 0;
	wrong = elf_section(img, &info, KERNEL_SECTION, &at, &size);
	if (wrong)
		return boot_image_bad(img, wrong);
	if (!size)
		return 0;
	/* A tree that the wrapper has is of a board that we are not. */
	if (!elf_section(img, &info, TREE_SECTION, &tree_at, &tree) && tree)
		log_warn(kvm->log,
			 "%s: the device tree that is attached to it is not used: lkvm's machine has its own",
			 img->path);
	err = take_initrd(kvm, img, &info, initrd);
	if (!err)
		err = take_kernel(img, at, size);
	if (!err && !elf_is(img))
		err = boot_image_bad(img,
				     "a zImage with no ELF file in it; give the vmlinux that it was made of");
	if (err)
		boot_image_close(initrd);
	return err;
}

int ppc_load_initrd(struct kvm *kvm, const struct boot_image *attached, gpa_t low, gpa_t high)
{
	struct ppc_machine *m = ppc_of(kvm);

	if (kvm->cfg->initrd.count || !attached->data)
		return boot_load_initrd(kvm, low, high, &m->initrd, &m->initrd_size);
	return boot_place_initrds(kvm, attached, 1, low, high, &m->initrd, &m->initrd_size);
}

int ppc_boot(struct kvm *kvm, struct boot_image *img, ppc_load_fn load)
{
	struct boot_image initrd;
	int err;

	if (kvm->cfg->boot != BOOT_AUTO) {
		log_error("--boot: the %s machine takes auto alone", kvm->machine->name);
		return -EINVAL;
	}
	err = unwrap(kvm, img, &initrd);
	if (err)
		return err;
	err = load(kvm, img, &initrd);
	boot_image_close(&initrd);
	return err;
}

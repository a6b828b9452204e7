/* SPDX-License-Identifier: MIT */
/*
 * Which boot protocol an image wants, and flat 16-bit images. The tables that every protocol's guest may look
 * for (ACPI, MP) are written first, so that the loaders know where they are.
 */
#include "layout.h"
#include "x86.h"
#include <errno.h>
#include <lkvm/boot.h>
#include <lkvm/config.h>

#define FLAT_SELECTOR 0x1000
#define FLAT_STACK    0x8000
#define FLAT_ROOM     0x1000
#define FLAT_MAX      (X86_EBDA - (FLAT_SELECTOR << 4))

static enum boot_protocol recognise(const struct boot_image *img)
{
	if (bzimage_is(img))
		return BOOT_BZIMAGE;
	if (pvh_is(img))
		return BOOT_PVH;
	if (multiboot_is(img))
		return BOOT_MULTIBOOT;
	/* A damaged ELF file is named as one by its loader. */
	return elf_is(img) ? BOOT_ELF64 : BOOT_AUTO;
}

/*
 * In the image's own segment, as a program of one segment has it, as long as that leaves FLAT_ROOM: in its
 * middle, or at its end (sp wraps to fffe). Right below the image for one that fills its segment.
 */
static void flat_stack(struct x86_start *start, size_t size)
{
	start->sp = size <= FLAT_STACK - FLAT_ROOM ? FLAT_STACK : 0;
	start->stack = size <= KiB(64) - FLAT_ROOM ? FLAT_SELECTOR : 0;
}

int flat_load(struct kvm *kvm, const struct boot_image *img)
{
	struct x86_start *start = &x86_of(kvm)->start;

	if (kvm->cfg->initrd.count) {
		log_error("%s: a flat image takes no initrd (-i)", img->path);
		return -EINVAL;
	}
	if (img->size > FLAT_MAX) {
		log_error("%s: %zu bytes are too many for a flat 16-bit image (%llu at the most)", img->path,
			  img->size, (unsigned long long)FLAT_MAX);
		return -EFBIG;
	}
	*start = (struct x86_start){.mode = X86_START_REAL, .selector = FLAT_SELECTOR};
	flat_stack(start, img->size);
	return boot_image_load(kvm, FLAT_SELECTOR << 4, img, 0, img->size);
}

int x86_boot(struct kvm *kvm, struct boot_image *img)
{
	enum boot_protocol protocol = (enum boot_protocol)kvm->cfg->boot;
	int err = x86_acpi_write(kvm);

	if (!err)
		err = x86_mptable_write(kvm);
	if (!err)
		err = x86_reset_vector(kvm);
	if (err)
		return err;
	if (protocol == BOOT_AUTO)
		protocol = recognise(img);
	switch (protocol) {
	case BOOT_BZIMAGE:
		return bzimage_load(kvm, img);
	case BOOT_PVH:
		return pvh_load(kvm, img);
	case BOOT_MULTIBOOT:
		return multiboot_load(kvm, img);
	case BOOT_ELF64:
		return elf64_load(kvm, img);
	case BOOT_FLAT:
		return flat_load(kvm, img);
	case BOOT_AUTO:
		break;
	}
	log_error(
		"%s: no kernel that lkvm knows: no bzImage, x86 ELF or multiboot header (--boot=flat takes any file as a 16-bit image)",
		img->path);
	return -ENOEXEC;
}

/* SPDX-License-Identifier: MIT */
/*
 * Loading what is to run: a Linux Image (Documentation/arm64/booting.rst), also inside an EFI zboot wrapper,
 * a 32-bit zImage (Documentation/arm/booting.rst), an image without a header, or firmware. Gzip files come
 * decompressed (boot.c at the top). Every number in an image is a claim to be checked.
 *
 *   RAM + 0        Image at its text_offset (0 today), or firmware
 *   RAM + 0x8000   zImage
 *   RAM + 0x80000  an image that has no header; it is entered there
 *   then           the device tree, right behind an Image, else as high as it goes; initrd at the end of RAM
 *
 * Main thread, in the `boot` step.
 */
#include "arm.h"
#include "layout.h"
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <lkvm/boot.h>
#include <lkvm/config.h>
#include <stdio.h>
#include <string.h>

#define FLAT_OFFSET   0x80000ull
#define ZIMAGE_OFFSET 0x8000ull
#define ZIMAGE_MAGIC  0x016f2818u
/* A zImage finds its device tree and initrd in low memory, wherever the split of its address space is. */
#define LOW_MEMORY MiB(512)
/* An initrd lies in a window of 32 GiB with the kernel. */
#define INITRD_WINDOW GiB(32)
/* How much a zImage that says nothing of it may grow to when it decompresses itself. */
#define ZIMAGE_GROWTH 6

/* booting.rst, section 4. */
struct image_header {
	u32 code0, code1;
	u64 text_offset, image_size, flags;
	u64 res2, res3, res4;
	u32 magic, res5;
};
#define IMAGE_MAGIC	 0x644d5241u /* "ARM\x64" */
#define IMAGE_BIG_ENDIAN 0x1ull
/* Kernels before 3.17 say nothing of their size. */
#define IMAGE_OLD_OFFSET 0x80000ull
#define IMAGE_OLD_BSS	 MiB(16)

/* Linux's drivers/firmware/efi/libstub/zboot-header.S describes it. */
struct zboot_header {
	u32 mz;
	u8 type[4]; /* "zimg" */
	u32 offset, size;
	u32 reserved[2];
	char compression[32];
};

static bool image_is(const struct boot_image *img)
{
	struct image_header h;

	if (img->size < sizeof(h))
		return false;
	memcpy(&h, img->data, sizeof(h));
	return le32toh(h.magic) == IMAGE_MAGIC;
}

static bool zboot_is(const struct boot_image *img)
{
	struct zboot_header h;

	if (img->size < sizeof(h))
		return false;
	memcpy(&h, img->data, sizeof(h));
	return !memcmp(&h.mz, "MZ", 2) && !memcmp(h.type, "zimg", 4);
}

static bool zimage_is(const struct boot_image *img)
{
	u32 magic;

	if (img->size < 0x30)
		return false;
	memcpy(&magic, img->data + 0x24, sizeof(magic));
	return le32toh(magic) == ZIMAGE_MAGIC;
}

static int zboot_unwrap(struct boot_image *img)
{
	struct zboot_header h;

	memcpy(&h, img->data, sizeof(h));
	if (strncmp(h.compression, "gzip", sizeof(h.compression))) {
		log_error("%s: an EFI zboot image compressed by %.16s, where lkvm knows gzip; give "
			  "arch/arm64/boot/Image",
			  img->path, h.compression);
		return -ENOEXEC;
	}
	if (!range_inside(le32toh(h.offset), le32toh(h.size), 0, img->size)) {
		log_error("%s: a damaged EFI zboot image: its payload lies outside the file", img->path);
		return -ENOEXEC;
	}
	return boot_image_gunzip(img, le32toh(h.offset), le32toh(h.size));
}

/* Copies the image to gpa, and says what it takes there: at least its own size. */
static int place(struct kvm *kvm, const struct boot_image *img, gpa_t gpa, u64 takes)
{
	struct arm_machine *m = arm_of(kvm);
	u64 ram = guest_ram_size(&kvm->mem);

	takes = max_u64(takes, img->size);
	if (!range_inside(gpa, takes, ARM_RAM, ram)) {
		log_error("%s: takes %" PRIu64 " KiB of memory from 0x%" PRIx64
			  " on, the guest has it up to 0x%" PRIx64 "; give it more (-m)",
			  img->path, (takes + 1023) >> 10, gpa, (u64)(ARM_RAM + ram));
		return -ENOSPC;
	}
	m->entry = gpa;
	m->kernel_end = gpa + takes;
	return boot_image_load(kvm, gpa, img, 0, img->size);
}

static int load_image(struct kvm *kvm, const struct boot_image *img)
{
	struct image_header h;
	u64 offset, size;

	memcpy(&h, img->data, sizeof(h));
	offset = le64toh(h.text_offset);
	size = le64toh(h.image_size);
	if (le64toh(h.flags) & IMAGE_BIG_ENDIAN) {
		log_error("%s: a big-endian kernel, which lkvm does not run", img->path);
		return -ENOEXEC;
	}
	arm_of(kvm)->kernel_size_known = size;
	if (!size) {
		offset = IMAGE_OLD_OFFSET;
		size = img->size + IMAGE_OLD_BSS;
	}
	/* Beyond any memory; and a sum with it must not wrap. */
	if (offset > GiB(1) || size > GiB(2)) {
		log_error("%s: a damaged Image: it asks for 0x%" PRIx64 " bytes at 0x%" PRIx64, img->path,
			  size, offset);
		return -ENOEXEC;
	}
	return place(kvm, img, ARM_RAM + offset, size);
}

static int load_kernel(struct kvm *kvm, struct boot_image *img)
{
	int err;

	if (kvm->cfg->boot == BOOT_FLAT)
		return place(kvm, img, ARM_RAM + FLAT_OFFSET, 0);
	if (zboot_is(img)) {
		err = zboot_unwrap(img);
		if (err)
			return err;
	}
	if (kvm->cfg->aarch32) {
		if (image_is(img)) {
			log_error("%s: a 64-bit kernel; leave --aarch32 out", img->path);
			return -ENOEXEC;
		}
		if (zimage_is(img))
			return place(kvm, img, ARM_RAM + ZIMAGE_OFFSET, img->size * ZIMAGE_GROWTH);
	} else if (image_is(img)) {
		return load_image(kvm, img);
	} else if (zimage_is(img)) {
		log_error("%s: a 32-bit kernel; give --aarch32", img->path);
		return -ENOEXEC;
	}
	if (elf_is(img)) {
		log_error("%s: an ELF file: a kernel is started by its arch/arm64/boot/Image", img->path);
		return -ENOEXEC;
	}
	return place(kvm, img, ARM_RAM + FLAT_OFFSET, 0);
}

int arm_boot(struct kvm *kvm, struct boot_image *img)
{
	struct arm_machine *m = arm_of(kvm);
	u64 ram_end = ARM_RAM + guest_ram_size(&kvm->mem), high;
	int err;

	switch (kvm->cfg->boot) {
	case BOOT_AUTO:
	case BOOT_FLAT:
		break;
	default:
		log_error("--boot: the arm64 machine takes auto and flat");
		return -EINVAL;
	}
	err = kvm->cfg->firmware ? place(kvm, img, ARM_RAM, 0) : load_kernel(kvm, img);
	if (err)
		return err;
	high = min_u64(ram_end, ARM_RAM + (kvm->cfg->aarch32 ? LOW_MEMORY : INITRD_WINDOW));
	err = boot_load_initrd(kvm, m->kernel_end, high, &m->initrd, &m->initrd_size);
	if (!err)
		err = arm_vcpus_finalize(kvm);
	return err ? err : arm_fdt_write(kvm, m->kernel_end, m->initrd ? m->initrd : high);
}

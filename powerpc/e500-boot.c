/* SPDX-License-Identifier: MIT */
/*
 * Loading what is to run on the e500 machine: a vmlinux (ELF of 32 bits, big-endian), by itself or in the
 * wrapper of a zImage (zimage.c), or a legacy U-Boot image around a flat kernel. Gzip files come decompressed
 * (boot.c at the top).
 *
 *   0        the kernel, at the addresses its image asks for
 *   then     the device tree, within the first 64 MiB, which is what a kernel maps at first
 *   highest  the initrd, below 768 MiB: what a 32-bit kernel reaches at any time
 *
 * Main thread, in the `boot` step.
 */
#include "e500-layout.h"
#include "e500.h"
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <lkvm/boot.h>
#include <string.h>
#include <zlib.h>

#define FIRST_MAPPED MiB(64)
#define LOW_MEMORY   MiB(768)

/* The legacy image format of U-Boot (include/image.h there describes it): all big-endian. */
struct uimage_header {
	u32 magic, hcrc, time, size, load, entry, dcrc;
	u8 os, arch, type, comp;
	char name[32];
};
#define UIMAGE_MAGIC	   0x27051956u
#define UIMAGE_OS_LINUX	   5
#define UIMAGE_ARCH_PPC	   7
#define UIMAGE_TYPE_KERNEL 2
#define UIMAGE_COMP_NONE   0
#define UIMAGE_COMP_GZIP   1
/* A flat kernel does not say how much it clears behind itself. */
#define FLAT_BSS MiB(8)

static int check_elf(const struct boot_image *img, const struct elf_info *info)
{
	if (info->machine == EM_PPC && info->big_endian && !info->is64)
		return 0;
	if (info->machine == EM_PPC64)
		return boot_image_bad(
			img, info->big_endian
				     ? "a 64-bit kernel: the e500 machine runs 32-bit ones (ARCH=powerpc, "
				       "CONFIG_PPC_85xx)"
				     : "a 64-bit little-endian kernel: it is for a pseries host; the e500 "
				       "machine runs 32-bit big-endian ones (CONFIG_PPC_85xx)");
	if (info->machine == EM_PPC)
		return boot_image_bad(img, "a little-endian kernel: the e500 machine runs big-endian ones "
					   "(CONFIG_PPC_85xx)");
	return boot_image_bad(
		img, "a kernel of another architecture: the e500 machine runs 32-bit big-endian PowerPC "
		     "ones (CONFIG_PPC_85xx)");
}

static int load_elf(struct kvm *kvm, const struct boot_image *img)
{
	struct ppc_machine *m = ppc_of(kvm);
	struct elf_info info;
	int err = elf_parse(img, &info);

	if (!err)
		err = check_elf(img, &info);
	if (!err)
		err = elf_load(kvm, img, &info, 0);
	if (err)
		return err;
	m->entry = info.entry_gpa;
	m->kernel_end = info.high;
	return 0;
}

static bool uimage_is(const struct boot_image *img)
{
	struct uimage_header h;

	if (img->size < sizeof(h))
		return false;
	memcpy(&h, img->data, sizeof(h));
	return be32toh(h.magic) == UIMAGE_MAGIC;
}

/* Its CRC is of the header with zeroes in the CRC's place. */
static bool uimage_header_is_whole(struct uimage_header h)
{
	u32 want = be32toh(h.hcrc);

	h.hcrc = 0;
	return crc32(0, (const Bytef *)&h, sizeof(h)) == want;
}

/*
 * A cuImage has a wrapper, flat, around a vmlinux: it lies above where that goes, and its code wants what
 * U-Boot leaves of its board. vmlinux begins a page in it.
 */
static bool is_cuimage(const struct boot_image *img, size_t offset, size_t size, u64 load)
{
	for (size_t at = 0; load >= MiB(1) && at < size; at += 4096) {
		struct boot_image in = {.data = img->data + offset + at, .size = size - at};
		struct elf_info info;

		/* The kernel's own vDSO is one as well, but a small one. */
		if (elf_is(&in) && !elf_check(&in, &info) && info.machine == EM_PPC && info.high >= MiB(1) &&
		    info.high <= load)
			return true;
	}
	return false;
}

static int load_uimage(struct kvm *kvm, struct boot_image *img)
{
	struct ppc_machine *m = ppc_of(kvm);
	struct uimage_header h;
	u64 load, size, offset = sizeof(h);
	int err;

	memcpy(&h, img->data, sizeof(h));
	if (!uimage_header_is_whole(h))
		return boot_image_bad(
			img, "a U-Boot image with a damaged header (its CRC says so); make it again");
	load = be32toh(h.load);
	size = be32toh(h.size);
	if (h.os != UIMAGE_OS_LINUX || h.arch != UIMAGE_ARCH_PPC || h.type != UIMAGE_TYPE_KERNEL)
		return boot_image_bad(img, "a U-Boot image, but not of a Linux kernel for 32-bit PowerPC");
	if (!range_inside(offset, size, 0, img->size) || !size)
		return boot_image_bad(img, "a truncated U-Boot image");
	if (h.comp == UIMAGE_COMP_GZIP) {
		err = boot_image_gunzip(img, offset, size);
		if (err)
			return err;
		offset = 0;
		size = img->size;
		if (is_cuimage(img, offset, size, load))
			return boot_image_bad(
				img, "a cuImage, whose wrapper works under U-Boot alone; give the vmlinux "
				     "that it was made of, or a uImage");
	} else if (h.comp != UIMAGE_COMP_NONE) {
		return boot_image_bad(
			img, "a U-Boot image compressed in a way that lkvm does not know (it takes gzip); "
			     "give vmlinux");
	}
	if (be32toh(h.entry) < load || be32toh(h.entry) - load >= size)
		return boot_image_bad(img, "a U-Boot image whose entry lies outside it");
	if (!range_inside(load, size + FLAT_BSS, 0, guest_ram_size(&kvm->mem))) {
		log_error("%s: does not fit into guest memory at 0x%" PRIx64 "; give the guest more (-m)",
			  img->path, load);
		return -ENOSPC;
	}
	m->entry = be32toh(h.entry);
	m->kernel_end = load + size + FLAT_BSS;
	err = boot_image_load(kvm, load, img, offset, size);
	/* What was gzip has been judged by its own CRC. */
	if (!err && h.comp == UIMAGE_COMP_NONE &&
	    crc32(0, guest_ptr(&kvm->mem, load, size), (uInt)size) != be32toh(h.dcrc))
		return boot_image_bad(img,
				      "a U-Boot image with damaged data (its CRC says so); make it again");
	return err;
}

static int load_kernel(struct kvm *kvm, struct boot_image *img)
{
	if (uimage_is(img))
		return load_uimage(kvm, img);
	if (elf_is(img))
		return load_elf(kvm, img);
	return boot_image_bad(
		img, "neither an ELF file nor a U-Boot image; the e500 machine starts vmlinux, zImage or "
		     "uImage");
}

/* One that begins elsewhere would meet a TLB miss at its first instruction, and nobody to see to it. */
static int check_entry(const struct kvm *kvm, const struct boot_image *img)
{
	u64 entry = ppc_of(kvm)->entry, mapped = e500_mapped_at_start(kvm);

	if (entry < mapped)
		return 0;
	log_error("%s: begins at 0x%" PRIx64
		  ", beyond the first %llu MiB of memory, which are what is mapped at the start; give a "
		  "kernel that is linked lower",
		  img->path, entry, (unsigned long long)(mapped >> 20));
	return -ENOEXEC;
}

static int load(struct kvm *kvm, struct boot_image *img, const struct boot_image *attached)
{
	struct ppc_machine *m = ppc_of(kvm);
	u64 ram = guest_ram_size(&kvm->mem);
	int err = load_kernel(kvm, img);

	if (!err)
		err = check_entry(kvm, img);
	if (err)
		return err;
	err = ppc_load_initrd(kvm, attached, m->kernel_end + PPC_FDT_MAX, min_u64(ram, LOW_MEMORY));
	return err ? err
		   : e500_fdt_write(kvm, m->kernel_end, min_u64(m->initrd ? m->initrd : ram, FIRST_MAPPED));
}

int e500_boot(struct kvm *kvm, struct boot_image *img)
{
	return ppc_boot(kvm, img, load);
}

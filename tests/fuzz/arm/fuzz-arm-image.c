/* SPDX-License-Identifier: MIT */
/*
 * The arm64 machine's image loaders (arm/boot.c) on any bytes at all: Image, EFI zboot, zImage, an image
 * without a header, firmware; each input as all of these, and decompressed where it is gzip, as opening a
 * file does it.
 *
 * What must hold after a load that succeeded: the image is in RAM where the CPU starts; the device tree is
 * sound, at an address that Linux takes; nothing lies over anything else.
 */
#include "tests/fuzz/fuzz-vm.h"
#include <arm/arm.h>
#include <arm/layout.h>
#include <libfdt.h>
#include <lkvm/boot.h>
#include <sys/mman.h>
#include <unistd.h>

#define INITRD_SIZE 5000
#define IMAGE_MAGIC 0x644d5241u /* "ARM\x64" */

static struct kvm *kvm;
static u8 initrd[INITRD_SIZE];

static void make(void)
{
	int fd = memfd_create("initrd", 0);
	char path[32];
	/* What a vCPU is given only once is left out: each input finalizes it again. */
	const char *const more[] = {"--no-pvtime", "-i", path, NULL};

	for (u32 i = 0; i < INITRD_SIZE; i++)
		initrd[i] = (u8)(i * 13 + 1);
	if (fd < 0 || write(fd, initrd, INITRD_SIZE) != INITRD_SIZE)
		exit(1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fake_kvm_reset();
	kvm = fuzz_vm_make("irqchip-finalize", more);
	/* An option's text is the command line's. */
	kvm->cfg->initrd.item[0] = strdup(path);
}

/* What a 64-bit Image asks for in its header: booting.rst, section 4. */
static u64 asks_for(const struct boot_image *img)
{
	u64 size = 0;
	u32 magic = 0;

	if (kvm->cfg->boot == BOOT_FLAT || kvm->cfg->aarch32 || kvm->cfg->firmware || img->size < 64)
		return 0;
	memcpy(&magic, img->data + 56, sizeof(magic));
	memcpy(&size, img->data + 16, sizeof(size));
	return magic == IMAGE_MAGIC ? size : 0;
}

static void check(const struct boot_image *img)
{
	const struct arm_machine *m = arm_of(kvm);
	const void *dtb = guest_ptr(&kvm->mem, m->dtb, m->dtb_size);
	const void *kernel = guest_ptr(&kvm->mem, m->entry, img->size);
	const void *ramdisk = guest_ptr(&kvm->mem, m->initrd, INITRD_SIZE);
	u64 takes = m->kernel_end - m->entry;

	fuzz_assert(kernel && img->size <= takes && !memcmp(kernel, img->data, img->size),
		    "the image is where it is entered");
	fuzz_assert(takes >= asks_for(img), "an Image has what it asks for");
	fuzz_assert(guest_ptr(&kvm->mem, m->entry, takes), "the kernel's memory is RAM");
	fuzz_assert(ramdisk && !memcmp(ramdisk, initrd, INITRD_SIZE), "the initrd is there");
	fuzz_assert(dtb && !fdt_check_full(dtb, m->dtb_size), "the device tree is sound");
	fuzz_assert(m->dtb % 8 == 0 && m->dtb / MiB(2) == (m->dtb + m->dtb_size - 1) / MiB(2),
		    "the device tree is aligned and within 2 MiB");
	fuzz_assert(!ranges_overlap(m->dtb, m->dtb_size, m->entry, takes), "tree and kernel apart");
	fuzz_assert(!ranges_overlap(m->dtb, m->dtb_size, m->initrd, m->initrd_size), "tree and initrd apart");
	fuzz_assert(!ranges_overlap(m->initrd, m->initrd_size, m->entry, takes), "initrd and kernel apart");
}

static void load(const u8 *data, size_t size, enum boot_protocol boot, bool aarch32, const char *firmware)
{
	struct vm_config *cfg = (struct vm_config *)(uintptr_t)kvm->cfg;
	struct boot_image img = {.path = "fuzz", .size = size};
	struct arm_machine *m = arm_of(kvm);
	u8 *copy = malloc(size);

	/* A block just as long: whoever reads past it is found. */
	memcpy(copy, data, size);
	img.data = copy;
	cfg->boot = boot;
	cfg->aarch32 = aarch32;
	cfg->firmware = firmware;
	m->entry = m->kernel_end = m->dtb = m->dtb_size = m->initrd = m->initrd_size = 0;
	m->kernel_size_known = false;
	if (!(size > 18 && data[0] == 0x1f && data[1] == 0x8b && boot_image_gunzip(&img, 0, size)) &&
	    !arm_boot(kvm, &img))
		check(&img);
	boot_image_close(&img);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (!kvm)
		make();
	/* boot.c opens no empty file. */
	if (!size)
		return 0;
	load(data, size, BOOT_AUTO, false, NULL);
	load(data, size, BOOT_AUTO, true, NULL);
	load(data, size, BOOT_FLAT, false, NULL);
	load(data, size, BOOT_AUTO, false, "fuzz");
	fake_kvm_forget_calls();
	return 0;
}

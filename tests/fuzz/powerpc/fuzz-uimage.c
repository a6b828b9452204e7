/* SPDX-License-Identifier: MIT */
/*
 * The e500 machine's image loaders (powerpc/e500-boot.c) on any bytes at all: U-Boot images, with gzip in
 * them or not, and ELF files of 32-bit big-endian kernels; each input as it is, and decompressed where it is
 * gzip, as opening a file does it.
 *
 * An image's CRCs are made right first, or next to none would be taken; but not where its time is odd.
 *
 * What must hold after a load that succeeded: the vCPU begins in the image, where its TLB maps; the device
 * tree is sound, and where Linux finds it; nothing lies over anything else.
 */
#include "tests/unit/powerpc/fake-ppc.h"

#include "tests/fuzz/fuzz-vm.h"
#include "tests/unit/fdt-sound.h"
#include <endian.h>
#include <lkvm/boot.h>
#include <powerpc/e500.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#define INITRD_SIZE   5000
#define UIMAGE_HEADER 64

static struct kvm *kvm;
static u8 initrd[INITRD_SIZE];

static void make(void)
{
	int fd = memfd_create("initrd", 0);
	char path[32];
	const char *const more[] = {"-i", path, NULL};

	for (u32 i = 0; i < INITRD_SIZE; i++)
		initrd[i] = (u8)(i * 13 + 1);
	if (fd < 0 || write(fd, initrd, INITRD_SIZE) != INITRD_SIZE)
		exit(1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fake_kvm_reset();
	fake_ppc_host(FAKE_E500);
	kvm = fuzz_vm_make("irqchip-finalize", more);
	/* An option's text is the command line's. */
	kvm->cfg->initrd.item[0] = strdup(path);
}

static u32 word(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

/* Of a U-Boot image that is not compressed one knows what is to be where. */
static void check_flat(const u8 *data, size_t size)
{
	const u8 *kernel;

	if (size < UIMAGE_HEADER || word(data) != 0x27051956 || data[31])
		return;
	kernel = guest_ptr(&kvm->mem, word(data + 16), word(data + 12));
	fuzz_assert(word(data + 12) <= size - UIMAGE_HEADER, "the image is as long as it says");
	fuzz_assert(kernel && !memcmp(kernel, data + UIMAGE_HEADER, word(data + 12)),
		    "the image is where it asks to be");
	fuzz_assert(ppc_of(kvm)->entry == word(data + 20) &&
			    ppc_of(kvm)->entry - word(data + 16) < word(data + 12),
		    "the entry is its own, and in it");
}

static void check(void)
{
	const struct ppc_machine *m = ppc_of(kvm);
	const void *dtb = guest_ptr(&kvm->mem, m->dtb, m->dtb_size);
	const void *ramdisk = guest_ptr(&kvm->mem, m->initrd, INITRD_SIZE);

	fuzz_assert(m->entry < m->kernel_end && m->entry < e500_mapped_at_start(kvm),
		    "the vCPU begins in the kernel, and where it is mapped");
	fuzz_assert(m->kernel_end <= guest_ram_size(&kvm->mem), "the kernel's memory is RAM");
	fuzz_assert(ramdisk && !memcmp(ramdisk, initrd, INITRD_SIZE), "the initrd is there");
	fuzz_assert(dtb && !fdt_sound(dtb, m->dtb_size), "the device tree is sound");
	fuzz_assert(m->dtb % 8 == 0 && m->dtb + m->dtb_size <= MiB(64),
		    "the device tree is where it is read");
	fuzz_assert(m->dtb >= m->kernel_end, "tree and kernel apart");
	fuzz_assert(m->initrd >= m->kernel_end, "initrd and kernel apart");
	fuzz_assert(!ranges_overlap(m->dtb, m->dtb_size, m->initrd, m->initrd_size), "tree and initrd apart");
}

static void put_word(u8 *p, u32 v)
{
	for (u32 i = 0; i < 4; i++)
		p[i] = (u8)(v >> (24 - 8 * i));
}

static void mend(u8 *data, size_t size)
{
	size_t len;

	if (size < UIMAGE_HEADER || word(data) != 0x27051956 || data[11] & 1)
		return;
	len = size - UIMAGE_HEADER;
	if (word(data + 12) < len)
		len = word(data + 12);
	put_word(data + 24, (u32)crc32(0, data + UIMAGE_HEADER, (uInt)len));
	put_word(data + 4, 0);
	put_word(data + 4, (u32)crc32(0, data, UIMAGE_HEADER));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct boot_image img = {.path = "fuzz", .size = size};
	struct ppc_machine *m;
	u8 *copy;

	if (!kvm)
		make();
	/* boot.c opens no empty file. */
	if (!size)
		return 0;
	/* A block just as long: whoever reads past it is found. */
	copy = malloc(size);
	memcpy(copy, data, size);
	mend(copy, size);
	img.data = copy;
	m = ppc_of(kvm);
	m->entry = m->kernel_end = m->dtb = m->dtb_size = m->initrd = m->initrd_size = 0;
	if (!(size > 18 && data[0] == 0x1f && data[1] == 0x8b && boot_image_gunzip(&img, 0, size)) &&
	    !e500_boot(kvm, &img)) {
		check();
		check_flat(data, size);
	}
	boot_image_close(&img);
	fake_kvm_forget_calls();
	return 0;
}

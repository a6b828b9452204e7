/* SPDX-License-Identifier: MIT */
/*
 * Loading what is to run: a Linux kernel for 64-bit Power as an ELF file, vmlinux, or taken out of the
 * wrapper that arch/powerpc/boot puts around it (zImage: zimage.c); also gzip of either, which boot.c at the
 * top decompresses. There is no firmware: the kernel is entered at once, with a flat device tree (head_64.S).
 *
 *   0          vmlinux, at the physical addresses of its segments
 *   then       RTAS, the device tree; initrd at the end of RAM
 *
 * Main thread, in the `boot` step.
 */
#include "pseries-layout.h"
#include "pseries.h"
#include "rtas.h"
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <lkvm/boot.h>
#include <lkvm/config.h>
#include <string.h>

/* RTAS is 32-bit code, and Linux wants it, and the tree, in memory that it has from its first moment on. */
#define LOW_MEMORY     MiB(512)
#define HASH_ORDER_MIN 18u
#define HASH_ORDER_MAX 46u

/* What it is for, said in one line if it is not for us. */
static int check_kernel(const struct boot_image *img, struct elf_info *info)
{
	int err;

	if (!elf_is(img))
		return boot_image_bad(
			img, "not a kernel for this machine, which takes an ELF file: vmlinux, or a zImage "
			     "of it");
	err = elf_parse(img, info);
	if (err)
		return err;
	if (info->machine == EM_PPC && !info->is64)
		return boot_image_bad(img, "a 32-bit PowerPC file; give the vmlinux of a 64-bit kernel");
	if (info->machine != EM_PPC64)
		return boot_image_bad(img,
				      "a kernel for another processor; give a powerpc64 or powerpc64le one");
	return 0;
}

static int load_kernel(struct kvm *kvm, const struct boot_image *img)
{
	struct ppc_machine *m = ppc_of(kvm);
	u64 ram = guest_ram_size(&kvm->mem);
	struct elf_info info;
	int err = check_kernel(img, &info);

	if (err)
		return err;
	if (info.high > ram) {
		log_error("%s: takes memory up to %" PRIu64 " MiB, the guest has %" PRIu64
			  "; give it more (-m)",
			  img->path, (u64)(info.high >> 20) + 1, ram >> 20);
		return -ENOSPC;
	}
	m->entry = info.entry_gpa;
	m->kernel_end = info.high;
	return elf_load(kvm, img, &info, 0);
}

/* PAPR's rule of thumb: a 128th of memory, a power of two; KVM may have less in one piece. */
static int make_hash_table(struct kvm *kvm)
{
	struct pseries *p = pseries_of(kvm);
	u32 order = HASH_ORDER_MIN;
	int err;

	if (p->radix)
		return 0;
	while (order < HASH_ORDER_MAX && 1ull << order < guest_ram_size(&kvm->mem) / 128)
		order++;
	p->hpt_order = order;
	do {
		u32 got = p->hpt_order;

		err = kvm_ioctl(kvm->vm_fd, KVM_PPC_ALLOCATE_HTAB, &got);
	} while (err == -ENOMEM && --p->hpt_order >= HASH_ORDER_MIN);
	if (err < 0) {
		log_error("a hash table of %llu KiB for the guest's MMU: %s", 1ull << order >> 10,
			  strerror(-err));
		return err;
	}
	return 0;
}

static int load(struct kvm *kvm, struct boot_image *img, const struct boot_image *attached)
{
	struct ppc_machine *m = ppc_of(kvm);
	u64 ram = guest_ram_size(&kvm->mem), low;
	int err = load_kernel(kvm, img);

	if (err)
		return err;
	low = align_up(m->kernel_end, PSERIES_PAGE_MAX);
	if (!range_inside(low, RTAS_SIZE, 0, min_u64(ram, LOW_MEMORY)) || rtas_load(kvm, low)) {
		log_error("%s: leaves no memory for RTAS; give the guest more (-m)", img->path);
		return -ENOSPC;
	}
	low += RTAS_SIZE;
	err = ppc_load_initrd(kvm, attached, low, ram);
	if (!err)
		err = make_hash_table(kvm);
	if (!err)
		err = rtas_define_tokens(kvm);
	return err ? err : pseries_fdt_write(kvm, low, min_u64(m->initrd ? m->initrd : ram, LOW_MEMORY));
}

int pseries_boot(struct kvm *kvm, struct boot_image *img)
{
	return ppc_boot(kvm, img, load);
}

/* SPDX-License-Identifier: MIT */
/*
 * What the device trees of both machines have in common beyond what all architectures' do
 * (devices/fdt-board.c).
 *
 * Main thread, in the `boot` step.
 */
#include "powerpc.h"
#include <errno.h>
#include <inttypes.h>

#define CMDLINE_MAX 2047    /* COMMAND_LINE_SIZE of powerpc is 2048, with its NUL */
#define FDT_ALIGN   KiB(64) /* a page of any kernel */

int ppc_dt_chosen(struct kvm *kvm, struct fdt *fdt, const char *stdout_path)
{
	const struct ppc_machine *m = ppc_of(kvm);
	const struct dt_chosen chosen = {.cmdline_max = CMDLINE_MAX,
					 .stdout_path = stdout_path,
					 .initrd = m->initrd,
					 .initrd_size = m->initrd_size};

	return dt_chosen(fdt, kvm, &chosen);
}

static int place(struct kvm *kvm, const struct fdt *fdt, gpa_t low, gpa_t high)
{
	struct ppc_machine *m = ppc_of(kvm);

	m->dtb_size = dt_size(fdt);
	m->dtb = align_up(low, FDT_ALIGN);
	if (high < low || !range_inside(m->dtb, m->dtb_size, low, high - low)) {
		log_error("a device tree of %" PRIu64
			  " KiB does not fit beside the kernel; give the guest more memory (-m)",
			  (m->dtb_size + 1023) >> 10);
		return -ENOSPC;
	}
	return guest_write(&kvm->mem, m->dtb, fdt->blob, m->dtb_size);
}

int ppc_fdt_write(struct kvm *kvm, gpa_t low, gpa_t high, int (*describe)(struct kvm *, struct fdt *))
{
	struct fdt fdt;
	int err;

	dt_init(&fdt, kvm, PPC_FDT_MAX);
	err = dt_complete(&fdt, describe(kvm, &fdt));
	if (!err)
		err = place(kvm, &fdt, low, high);
	dt_free(&fdt);
	return err;
}

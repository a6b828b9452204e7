/* SPDX-License-Identifier: MIT */
/*
 * The two machines of powerpc. Which one this host's KVM can run, their probes say: none can run both. They
 * share one table of options, for `run` knows the options of all.
 */
#include "powerpc.h"
#include <inttypes.h>
#include <lkvm/config.h>

const struct cli_option ppc_options[] = {
	{.kind = OPT_GROUP, .help = "powerpc"},
	{.name = "irqchip",
	 .kind = OPT_STRING,
	 .arg = "KIND",
	 .offset = offsetof(struct vm_config, irqchip),
	 .help = "auto; pseries: xive or xics; e500: mpic-4.2 or mpic-2.0"},
	{.name = "mmu",
	 .kind = OPT_STRING,
	 .arg = "KIND",
	 .offset = offsetof(struct vm_config, mmu),
	 .help = "auto, radix or hash: the guest's page tables (pseries)"},
	{.name = "dump-dtb",
	 .kind = OPT_STRING,
	 .arg = "FILE",
	 .offset = offsetof(struct vm_config, dump_dtb),
	 .help = "write the device tree into FILE"},
	{.kind = OPT_END},
};

void ppc_describe(const struct kvm *kvm, struct buf *out)
{
	const struct ppc_machine *m = ppc_of(kvm);

	buf_printf(out, "dtb     0x%" PRIx64 ", %" PRIu64 " bytes\n", m->dtb, m->dtb_size);
	if (m->initrd_size)
		buf_printf(out, "initrd  0x%" PRIx64 ", %" PRIu64 " bytes\n", m->initrd, m->initrd_size);
}

const struct machine_ops *const machines[] = {&ppc_pseries, &ppc_e500, NULL};

/* SPDX-License-Identifier: MIT */
/*
 * The pseries machine (PAPR, 64 bits, paravirtual): its options, devices and their places (pseries-layout.h),
 * memory layout and what it needs of KVM.
 */
#include "pseries.h"
#include "epow.h"
#include "phb.h"
#include "pseries-irq.h"
#include "pseries-layout.h"
#include <errno.h>
#include <inttypes.h>
#include <lkvm/config.h>
#include <lkvm/hw.h>
#include <stdlib.h>
#include <string.h>

static const struct board_device pseries_board[] = {
	{.ops = &vterm_ops, .base = PSERIES_VTERM(0), .line = PSERIES_IRQ_VTERM(0), .index = 0},
	{.ops = &vterm_ops, .base = PSERIES_VTERM(1), .line = PSERIES_IRQ_VTERM(1), .index = 1},
	{.ops = &vterm_ops, .base = PSERIES_VTERM(2), .line = PSERIES_IRQ_VTERM(2), .index = 2},
	{.ops = &vterm_ops, .base = PSERIES_VTERM(3), .line = PSERIES_IRQ_VTERM(3), .index = 3},
	{.ops = &epow_ops, .line = PSERIES_IRQ_EPOW},
	{.ops = &pci_host_ops, .line = PSERIES_IRQ_PCI},
	{.ops = &phb_ops, .line = IRQ_NONE},
	{.ops = &exit_ops, .mmio = PSERIES_EXIT, .line = IRQ_NONE},
	{.ops = &testdev_ops,
	 .bus = BUS_MMIO,
	 .base = PSERIES_TESTDEV,
	 .mmio = PSERIES_TESTDEV_MEM,
	 .line = IRQ_NONE},
	{.ops = &boot_timer_ops, .mmio = PSERIES_BOOT_TIMER, .line = IRQ_NONE},
	{.ops = NULL},
};

static const struct kvm_cap pseries_caps[] = {
	{KVM_CAP_PPC_ENABLE_HCALL, "KVM_CAP_PPC_ENABLE_HCALL"},
	{KVM_CAP_PPC_GET_SMMU_INFO, "KVM_CAP_PPC_GET_SMMU_INFO"},
	{KVM_CAP_PPC_RTAS, "KVM_CAP_PPC_RTAS"},
	{0, NULL},
};

static const struct kvm_cap pseries_used_caps[] = {
	{KVM_CAP_PPC_PAPR, "KVM_CAP_PPC_PAPR"},
	{KVM_CAP_PPC_MMU_RADIX, "KVM_CAP_PPC_MMU_RADIX"},
	{KVM_CAP_PPC_MMU_HASH_V3, "KVM_CAP_PPC_MMU_HASH_V3"},
	{KVM_CAP_PPC_ALLOC_HTAB, "KVM_CAP_PPC_ALLOC_HTAB"},
	{KVM_CAP_PPC_SMT, "KVM_CAP_PPC_SMT"},
	{KVM_CAP_PPC_HTM, "KVM_CAP_PPC_HTM"},
	{KVM_CAP_PPC_DAWR1, "KVM_CAP_PPC_DAWR1"},
	{KVM_CAP_PPC_GET_CPU_CHAR, "KVM_CAP_PPC_GET_CPU_CHAR"},
	{KVM_CAP_IRQ_XICS, "KVM_CAP_IRQ_XICS"},
	{KVM_CAP_PPC_IRQ_XIVE, "KVM_CAP_PPC_IRQ_XIVE"},
	{0, NULL},
};

static const struct irqchip_ops *const pseries_irqchips[] = {&ppc_xive, &ppc_xics, NULL};

static const struct kvm_attr_table *const pseries_attr_tables[] = {&ppc_xive_attrs, &ppc_xics_attrs, NULL};

static const char *const pseries_kernel_paths[] = {"vmlinux", "vmlinux.gz", "arch/powerpc/boot/zImage", NULL};

/* KVM's module kvm says that it knows PAPR also when none that could run such a guest is loaded. */
static int pseries_probe(const struct vm_config *cfg, int sys_fd, unsigned long *vm_type)
{
	*vm_type = KVM_VM_PPC_HV;
	if (kvm_ioctl_val(sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_PPC_PAPR) <= 0)
		return -ENODEV;
	if (kvm_ioctl_val(sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_PPC_MMU_RADIX) > 0 ||
	    kvm_ioctl_val(sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_PPC_ALLOC_HTAB) > 0)
		return 0;
	log_error(
		"%s: this KVM lacks its part for pseries guests: load the module kvm-hv (modprobe kvm-hv); on "
		"a host that is a guest itself it loads where that one's VMM has nested KVM switched on "
		"(cap-nested-hv=on of QEMU)",
		cfg->dev);
	return -ENOTSUP;
}

/* ---- the MMU ------------------------------------------------------------------------------------------ */

/* Radix where the host has it, as on every POWER9 and later; with a hash table elsewhere. */
static int choose_mmu(struct kvm *kvm)
{
	const char *want = kvm->cfg->mmu ? kvm->cfg->mmu : "auto";
	bool radix = kvm_cap(kvm, KVM_CAP_PPC_MMU_RADIX);
	/* Before POWER9 there was nothing else. */
	bool hash = kvm_cap(kvm, KVM_CAP_PPC_ALLOC_HTAB) && (!radix || kvm_cap(kvm, KVM_CAP_PPC_MMU_HASH_V3));
	struct pseries *p = pseries_of(kvm);

	if (strcmp(want, "auto") && strcmp(want, "radix") && strcmp(want, "hash")) {
		log_error("--mmu %s: auto, radix and hash are known", want);
		return -EINVAL;
	}
	p->radix = strcmp(want, "hash") && radix;
	if (p->radix || (strcmp(want, "radix") && hash))
		return 0;
	log_error("--mmu %s: this host's KVM cannot run such guests; leave the option out", want);
	return -ENOTSUP;
}

/* ---- the VM as a whole -------------------------------------------------------------------------- */

/* From POWER10 on. A guest knows of it by its device tree, and sets it by H_SET_MODE, which is KVM's. */
static int enable_dawr1(struct kvm *kvm)
{
	int err = kvm_cap(kvm, KVM_CAP_PPC_DAWR1) ? kvm_enable_cap(kvm, KVM_CAP_PPC_DAWR1, 0, 0) : -ENODEV;

	pseries_of(kvm)->dawr1 = !err;
	if (!err || err == -ENODEV)
		return 0;
	log_error("KVM_CAP_PPC_DAWR1: %s", strerror(-err));
	return err;
}

static int pseries_vm_init(struct kvm *kvm)
{
	struct pseries *p = calloc(1, sizeof(*p));
	int err;

	kvm->arch = p;
	if (!p) {
		log_error("out of memory");
		return -ENOMEM;
	}
	p->smt = (u32)max_u64((u64)kvm_cap(kvm, KVM_CAP_PPC_SMT), 1);
	err = choose_mmu(kvm);
	if (!err)
		err = enable_dawr1(kvm);
	return err ? err : pseries_hcalls_enable(kvm);
}

static void pseries_destroy(struct kvm *kvm)
{
	free(kvm->arch);
	kvm->arch = NULL;
}

static int pseries_mem_layout(struct kvm *kvm)
{
	u64 size = align_down(kvm->cfg->mem_size, PSERIES_PAGE_MAX);

	if (size > PSERIES_RAM_MAX) {
		log_error("--mem: the pseries machine has room for %llu GiB; give less",
			  PSERIES_RAM_MAX >> 30);
		return -E2BIG;
	}
	return mem_add_ram(kvm, 0, size);
}

static void pseries_pci_windows(const struct kvm *kvm, struct pci_windows *win)
{
	*win = (struct pci_windows){.mem32 = {PSERIES_PCI_MEM32_BUS, PSERIES_PCI_MEM32_SIZE},
				    .mem32_at = PSERIES_PCI_MEM32,
				    .mem64 = {PSERIES_PCI_MEM64, PSERIES_PCI_MEM64_SIZE},
				    .io = {0, PSERIES_PCI_IO_SIZE},
				    .io_bus = BUS_MMIO,
				    .io_at = PSERIES_PCI_IO};
}

/* One thread a core: where a core's threads have numbers in a row, each vCPU has the first of them. */
static u32 pseries_vcpu_id(const struct kvm *kvm, u32 index)
{
	return index * pseries_of(kvm)->smt;
}

static int pseries_power_button(struct kvm *kvm)
{
	return epow_press(kvm) ? 0 : -ENOTSUP;
}

static void pseries_describe(const struct kvm *kvm, struct buf *out)
{
	const struct pseries *p = pseries_of(kvm);

	buf_printf(out, "entry   0x%" PRIx64 ", %s MMU\n", p->m.entry, p->radix ? "radix" : "hash");
	buf_printf(out, "rtas    0x%" PRIx64 "\n", p->rtas);
	ppc_describe(kvm, out);
}

const struct machine_ops ppc_pseries = {
	.name = "pseries",
	.options = ppc_options,
	.probe = pseries_probe,
	.irqchips = pseries_irqchips,
	.board = pseries_board,
	.required_caps = pseries_caps,
	.used_caps = pseries_used_caps,
	.attr_tables = pseries_attr_tables,
	.vm_init = pseries_vm_init,
	.mem_layout = pseries_mem_layout,
	.pci_windows = pseries_pci_windows,
	.vcpu_init = pseries_vcpu_init,
	.vcpu_free = pseries_vcpu_free,
	.vcpu_reset = pseries_vcpu_reset,
	.vcpu_enter = pseries_vcpu_enter,
	.vcpu_exit = pseries_vcpu_exit,
	.vcpu_dump = ppc_vcpu_dump,
	.vcpu_state = pseries_vcpu_state,
	.vcpu_nmi = pseries_vcpu_nmi,
	.vcpu_id = pseries_vcpu_id,
	.boot = pseries_boot,
	.power_button = pseries_power_button,
	.describe = pseries_describe,
	.kernel_paths = pseries_kernel_paths,
	.default_params = "console=hvc0 panic=-1",
	.destroy = pseries_destroy,
};

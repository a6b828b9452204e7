/* SPDX-License-Identifier: MIT */
/*
 * The arm64 board: its options, devices and their places (layout.h), memory layout and what it needs of KVM.
 */
#include "arm.h"
#include "layout.h"
#include <errno.h>
#include <inttypes.h>
#include <lkvm/boot.h>
#include <lkvm/config.h>
#include <lkvm/hw.h>
#include <lkvm/pci.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What KVM gives where it cannot be asked (api.rst 4.2), and what is enough for most. */
#define IPA_DEFAULT 40u
#define IPA_MAX	    52u

static const struct cli_option arm_options[] = {
	{.kind = OPT_GROUP, .help = "arm64"},
	{.name = "irqchip",
	 .kind = OPT_STRING,
	 .arg = "KIND",
	 .offset = offsetof(struct vm_config, irqchip),
	 .help = "auto, gicv3-its, gicv3, gicv2m (GICv2 with MSIs) or gicv2"},
	{.name = "aarch32",
	 .kind = OPT_FLAG,
	 .offset = offsetof(struct vm_config, aarch32),
	 .help = "the guest's kernel is a 32-bit one"},
	{.name = "pmu",
	 .kind = OPT_FLAG,
	 .offset = offsetof(struct vm_config, pmu),
	 .help = "give the guest performance counters (PMUv3)"},
	{.name = "pmu-filter",
	 .kind = OPT_CALL,
	 .arg = "LIST",
	 .parse = arm_pmu_filter_option,
	 .help = "events it may count: allow:EVENT[-EVENT] or deny:..., with commas"},
	{.name = "sve-max-vl",
	 .kind = OPT_INT,
	 .arg = "BITS",
	 .offset = offsetof(struct vm_config, sve_max_vl),
	 .min = 128,
	 .max = 2048,
	 .help = "longest SVE vector of the guest (the host's)"},
	{.name = "no-pvtime",
	 .kind = OPT_FLAG,
	 .offset = offsetof(struct vm_config, no_pvtime),
	 .help = "do not tell the guest of stolen time"},
	{.name = "disable-mte",
	 .kind = OPT_FLAG,
	 .offset = offsetof(struct vm_config, disable_mte),
	 .help = "leave memory tagging out"},
	{.name = "firmware",
	 .kind = OPT_STRING,
	 .arg = "FILE",
	 .offset = offsetof(struct vm_config, firmware),
	 .help = "start this image, at the beginning of RAM, in a kernel's place"},
	{.name = "dump-dtb",
	 .kind = OPT_STRING,
	 .arg = "FILE",
	 .offset = offsetof(struct vm_config, dump_dtb),
	 .help = "write the device tree into FILE"},
	{.kind = OPT_END},
};

static const struct board_device arm_board[] = {
	{.ops = &serial_8250_ops, .bus = BUS_MMIO, .base = ARM_UART(0), .line = ARM_IRQ_UART(0), .index = 0},
	{.ops = &serial_8250_ops, .bus = BUS_MMIO, .base = ARM_UART(1), .line = ARM_IRQ_UART(1), .index = 1},
	{.ops = &serial_8250_ops, .bus = BUS_MMIO, .base = ARM_UART(2), .line = ARM_IRQ_UART(2), .index = 2},
	{.ops = &serial_8250_ops, .bus = BUS_MMIO, .base = ARM_UART(3), .line = ARM_IRQ_UART(3), .index = 3},
	{.ops = &rtc_pl031_ops, .bus = BUS_MMIO, .base = ARM_RTC, .line = ARM_IRQ_RTC},
	{.ops = &gpio_pl061_ops, .bus = BUS_MMIO, .base = ARM_GPIO, .line = ARM_IRQ_GPIO},
	{.ops = &pvpanic_ops, .bus = BUS_MMIO, .base = ARM_PVPANIC, .line = IRQ_NONE},
	{.ops = &exit_ops, .mmio = ARM_EXIT, .line = IRQ_NONE},
	{.ops = &pci_host_ops, .mmio = ARM_ECAM, .line = ARM_IRQ_PCI},
	{.ops = &testdev_ops,
	 .bus = BUS_MMIO,
	 .base = ARM_TESTDEV,
	 .mmio = ARM_TESTDEV_MEM,
	 .line = IRQ_NONE},
	{.ops = &boot_timer_ops, .mmio = ARM_BOOT_TIMER, .line = IRQ_NONE},
	{.ops = &cfi_flash_ops, .bus = BUS_MMIO, .base = ARM_FLASH, .line = IRQ_NONE},
	{.ops = NULL},
};

/* Nothing of the map lies over something else, nor on part of a page that a host or a guest may have. */
#define APART(low, size, high)                                                                               \
	_Static_assert((low) + (size) <= (high) && (high) % ARM_PAGE_MAX == 0, #low " and " #high)
APART(ARM_UART(3), 0x1000, ARM_RTC);
APART(ARM_RTC, ARM_PAGE_MAX, ARM_PVPANIC);
APART(ARM_PVPANIC, ARM_PAGE_MAX, ARM_EXIT);
APART(ARM_EXIT, ARM_PAGE_MAX, ARM_TESTDEV);
APART(ARM_TESTDEV, ARM_PAGE_MAX, ARM_TESTDEV_MEM);
APART(ARM_TESTDEV_MEM, ARM_PAGE_MAX, ARM_GPIO);
APART(ARM_GPIO, ARM_PAGE_MAX, ARM_PVTIME);
APART(ARM_PVTIME, ARM_PVTIME_SIZE, ARM_FLASH);
APART(ARM_FLASH, CFI_FLASH_MAX, ARM_GIC_DIST);
APART(ARM_GIC_DIST, ARM_GIC_DIST_SIZE, ARM_GIC_CPU);
APART(ARM_GIC_CPU, ARM_GIC_CPU_SIZE, ARM_GIC_V2M);
APART(ARM_GIC_V2M, ARM_GIC_V2M_SIZE, ARM_GIC_ITS);
APART(ARM_GIC_ITS, ARM_GIC_ITS_SIZE, ARM_GIC_REDIST);
APART(ARM_GIC_REDIST, ARM_GIC_REDIST_MAX *ARM_GIC_REDIST_SIZE, ARM_GIC_REDIST2);
APART(ARM_GIC_REDIST2, ARM_GIC_REDIST2_MAX *ARM_GIC_REDIST_SIZE, ARM_BOOT_TIMER);
APART(ARM_BOOT_TIMER, ARM_PAGE_MAX, ARM_PCI_IO);
APART(ARM_PCI_IO, ARM_PCI_IO_SIZE, ARM_VIRTIO_MMIO);
APART(ARM_VIRTIO_MMIO, ARM_VIRTIO_MMIO_MAX *VIRTIO_MMIO_STEP, ARM_ECAM);
APART(ARM_ECAM, ARM_ECAM_SIZE, ARM_PCI_MEM);
APART(ARM_PCI_MEM, ARM_PCI_MEM_SIZE, ARM_RAM);
_Static_assert(ARM_PVTIME_SIZE >= 64ull * (ARM_GIC_REDIST_MAX + ARM_GIC_REDIST2_MAX),
	       "stolen time, 64 bytes a vCPU");

static const struct virtio_mmio_window arm_virtio_mmio = {.base = ARM_VIRTIO_MMIO,
							  .count = ARM_VIRTIO_MMIO_MAX,
							  .line = ARM_IRQ_VIRTIO,
							  .nr_lines = ARM_VIRTIO_MMIO_MAX};

/* What every KVM of arm64 has that the core's own demands let through. An irqchip is found, or not, by
 * itself. */
static const struct kvm_cap arm_caps[] = {
	{0, NULL},
};

static const struct kvm_cap arm_used_caps[] = {
	{KVM_CAP_ARM_VM_IPA_SIZE, "KVM_CAP_ARM_VM_IPA_SIZE"},
	{KVM_CAP_ARM_EL1_32BIT, "KVM_CAP_ARM_EL1_32BIT"},
	{KVM_CAP_ARM_PMU_V3, "KVM_CAP_ARM_PMU_V3"},
	{KVM_CAP_ARM_SVE, "KVM_CAP_ARM_SVE"},
	{KVM_CAP_ARM_PTRAUTH_ADDRESS, "KVM_CAP_ARM_PTRAUTH_ADDRESS"},
	{KVM_CAP_ARM_PTRAUTH_GENERIC, "KVM_CAP_ARM_PTRAUTH_GENERIC"},
	{KVM_CAP_ARM_MTE, "KVM_CAP_ARM_MTE"},
	{KVM_CAP_STEAL_TIME, "KVM_CAP_STEAL_TIME"},
	{KVM_CAP_ARM_NISV_TO_USER, "KVM_CAP_ARM_NISV_TO_USER"},
	{KVM_CAP_ARM_INJECT_EXT_DABT, "KVM_CAP_ARM_INJECT_EXT_DABT"},
	{KVM_CAP_ARM_SYSTEM_SUSPEND, "KVM_CAP_ARM_SYSTEM_SUSPEND"},
	{KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM"},
	{0, NULL},
};

/* Newest first. */
static const struct irqchip_ops *const arm_irqchips[] = {&arm_gicv3_its, &arm_gicv3, &arm_gicv2m, &arm_gicv2,
							 NULL};

static const struct kvm_attr_table *const arm_attr_tables[] = {
	&arm_vm_attrs, &arm_vcpu_attrs, &arm_gicv2_attrs, &arm_gicv3_attrs, &arm_its_attrs, NULL,
};

static const char *const arm_kernel_paths[] = {"Image",
					       "Image.gz",
					       "vmlinuz.efi",
					       "arch/arm64/boot/Image",
					       "arch/arm64/boot/Image.gz",
					       "arch/arm64/boot/vmlinuz.efi",
					       NULL};

/* ---- the address space -------------------------------------------------------------------------- */

static u32 bits_for(u64 end)
{
	u32 bits = 32;

	while (bits < 63 && end > 1ull << bits)
		bits++;
	return bits;
}

/* As wide as the guest's RAM asks for, and no less than what KVM gives by itself, as far as the host goes. */
static int arm_probe(const struct vm_config *cfg, int sys_fd, unsigned long *vm_type)
{
	int host = kvm_ioctl_val(sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);
	u64 want = max_u64(bits_for(ARM_RAM + cfg->mem_size), IPA_DEFAULT);

	*vm_type = 0;
	if (host > 0)
		*vm_type = KVM_VM_TYPE_ARM_IPA_SIZE(min_u64(want, min_u64((u64)host, IPA_MAX)));
	return 0;
}

/* 0 in the type is the default. */
static u32 ipa_bits(const struct kvm *kvm)
{
	u32 bits = kvm->vm_type & KVM_VM_TYPE_ARM_IPA_SIZE_MASK;

	return bits ? bits : IPA_DEFAULT;
}

static int arm_mem_layout(struct kvm *kvm)
{
	const struct arm_machine *m = arm_of(kvm);
	u64 size = align_down(kvm->cfg->mem_size, ARM_PAGE_MAX), limit = 1ull << m->ipa_bits;

	if (ARM_RAM + size > limit) {
		log_error("--mem: guests of this host address %u bits, which leaves %" PRIu64
			  " MiB for memory; give less",
			  m->ipa_bits, (u64)(limit - ARM_RAM) >> 20);
		return -E2BIG;
	}
	return mem_add_ram(kvm, ARM_RAM, size);
}

/* ---- what the VM as a whole is given ---------------------------------------------------------------- */

/* Where each vCPU finds how long it was kept waiting: memory of its own, for it is no RAM of the guest's. */
static int add_pvtime(struct kvm *kvm)
{
	struct arm_machine *m = arm_of(kvm);

	if (kvm->cfg->no_pvtime || kvm->cfg->aarch32 || !kvm_cap(kvm, KVM_CAP_STEAL_TIME))
		return 0;
	m->pvtime_mem =
		mmap(NULL, ARM_PVTIME_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->pvtime_mem == MAP_FAILED) {
		m->pvtime_mem = NULL;
		log_error("stolen time: out of memory");
		return -ENOMEM;
	}
	return mem_add_slot(kvm, ARM_PVTIME, ARM_PVTIME_SIZE, m->pvtime_mem, false);
}

static int enable(struct kvm *kvm, u32 cap, const char *name)
{
	int err = kvm_enable_cap(kvm, cap, 0, 0);

	/* Asked only now: most hosts have it, or do not, and that is one call. */
	if (err && !kvm_cap(kvm, cap))
		return 0;
	if (err)
		log_error("KVM_ENABLE_CAP of %s: %s", name, strerror(-err));
	return err;
}

/* Tags are kept beside anonymous pages that are the VM's alone: KVM refuses other memslots of a VM with MTE.
 */
static bool can_tag(const struct vm_config *cfg)
{
	for (size_t i = 0; i < cfg->nr_requests; i++)
		if (cfg->request[i].ops == &cfi_flash_ops)
			return false;
	return !cfg->disable_mte && !cfg->aarch32 && !cfg->shared_mem && !cfg->hugetlbfs;
}

static int arm_vm_init(struct kvm *kvm)
{
	struct arm_machine *m;
	int err;

	m = kvm->arch = calloc(1, sizeof(*m));
	if (!m) {
		log_error("out of memory");
		return -ENOMEM;
	}
	m->ipa_bits = ipa_bits(kvm);
	err = enable(kvm, KVM_CAP_ARM_NISV_TO_USER, "KVM_CAP_ARM_NISV_TO_USER");
	if (!err)
		err = enable(kvm, KVM_CAP_ARM_SYSTEM_SUSPEND, "KVM_CAP_ARM_SYSTEM_SUSPEND");
	if (!err && can_tag(kvm->cfg) && kvm_cap(kvm, KVM_CAP_ARM_MTE))
		err = enable(kvm, KVM_CAP_ARM_MTE, "KVM_CAP_ARM_MTE (see --disable-mte)");
	return err ? err : add_pvtime(kvm);
}

static void arm_destroy(struct kvm *kvm)
{
	struct arm_machine *m = arm_of(kvm);

	if (m && m->pvtime_mem)
		munmap(m->pvtime_mem, ARM_PVTIME_SIZE);
	free(m);
	kvm->arch = NULL;
}

static void arm_pci_windows(const struct kvm *kvm, struct pci_windows *win)
{
	u64 top = 1ull << arm_of(kvm)->ipa_bits, window = top - top / 4;

	*win = (struct pci_windows){.mem32 = {ARM_PCI_MEM, ARM_PCI_MEM_SIZE},
				    .io = {0, ARM_PCI_IO_SIZE},
				    .io_bus = BUS_MMIO,
				    .io_at = ARM_PCI_IO};
	if (!kvm->cfg->aarch32 && window >= GiB(4) && ARM_RAM + guest_ram_size(&kvm->mem) <= window)
		win->mem64 = (struct pci_window){window, top / 4};
}

static int arm_power_button(struct kvm *kvm)
{
	struct device *dev = device_find(kvm, &gpio_pl061_ops, 0);

	if (!dev)
		return -ENOTSUP;
	gpio_power_button_press(dev);
	return 0;
}

static void arm_describe(const struct kvm *kvm, struct buf *out)
{
	const struct arm_machine *m = arm_of(kvm);

	buf_printf(out, "entry   0x%" PRIx64 " in AArch%s state, %u-bit addresses\n", m->entry,
		   kvm->cfg->aarch32 ? "32" : "64", m->ipa_bits);
	buf_printf(out, "dtb     0x%" PRIx64 ", %" PRIu64 " bytes\n", m->dtb, m->dtb_size);
	if (m->initrd_size)
		buf_printf(out, "initrd  0x%" PRIx64 ", %" PRIu64 " bytes\n", m->initrd, m->initrd_size);
	buf_printf(out, "cpu    %s%s%s%s\n", arm_has_feature(kvm, KVM_ARM_VCPU_SVE) ? " SVE" : "",
		   arm_has_feature(kvm, KVM_ARM_VCPU_PTRAUTH_ADDRESS) ? " pointer-authentication" : "",
		   arm_has_feature(kvm, KVM_ARM_VCPU_PMU_V3) ? " PMUv3" : "",
		   m->pvtime_mem ? " stolen-time" : "");
}

static const struct machine_ops arm_machine = {
	.name = "arm64",
	.options = arm_options,
	.probe = arm_probe,
	.irqchips = arm_irqchips,
	.board = arm_board,
	.virtio_mmio = &arm_virtio_mmio,
	.pci_windows = arm_pci_windows,
	.required_caps = arm_caps,
	.used_caps = arm_used_caps,
	.attr_tables = arm_attr_tables,
	.vm_init = arm_vm_init,
	.mem_layout = arm_mem_layout,
	.vcpu_init = arm_vcpu_init,
	.vcpu_free = arm_vcpu_free,
	.vcpu_reset = arm_vcpu_reset,
	.vcpu_exit = arm_vcpu_exit,
	.vcpu_dump = arm_vcpu_dump,
	.vcpu_state = arm_vcpu_state,
	.vcpu_scratch = arm_vcpu_scratch,
	.vcpu_id = arm_vcpu_id,
	.boot = arm_boot,
	.power_button = arm_power_button,
	.describe = arm_describe,
	.kernel_paths = arm_kernel_paths,
	.default_params = "console=ttyS0 panic=-1",
	.destroy = arm_destroy,
};

const struct machine_ops *const machines[] = {&arm_machine, NULL};

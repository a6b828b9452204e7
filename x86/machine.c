/* SPDX-License-Identifier: MIT */
/*
 * The x86-64 board: its options, devices and their places (layout.h), memory layout and what it needs of KVM.
 */
#include "layout.h"
#include "x86.h"
#include <errno.h>
#include <inttypes.h>
#include <lkvm/boot.h>
#include <lkvm/config.h>
#include <lkvm/hw.h>
#include <lkvm/pci.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_option x86_options[] = {
	{.kind = OPT_GROUP, .help = "x86"},
	{.name = "irqchip",
	 .kind = OPT_STRING,
	 .arg = "KIND",
	 .offset = offsetof(struct vm_config, irqchip),
	 .help = "auto, split (local APICs in the kernel) or full (PIC, I/O APIC, PIT too)"},
	{.name = "cpu",
	 .kind = OPT_CALL,
	 .arg = "LIST",
	 .parse = x86_cpu_option,
	 .help = "CPU features: host,-avx512f,+invtsc ('--cpu help' lists their names)"},
	{.name = "dump-acpi",
	 .kind = OPT_STRING,
	 .arg = "DIR",
	 .offset = offsetof(struct vm_config, dump_acpi),
	 .help = "write the ACPI tables into DIR"},
	{.kind = OPT_END},
};

static const struct board_device x86_board[] = {
	{.ops = &serial_8250_ops, .bus = BUS_PIO, .base = 0x3f8, .line = 4, .index = 0},
	{.ops = &serial_8250_ops, .bus = BUS_PIO, .base = 0x2f8, .line = 3, .index = 1},
	{.ops = &serial_8250_ops, .bus = BUS_PIO, .base = 0x3e8, .line = 4, .index = 2},
	{.ops = &serial_8250_ops, .bus = BUS_PIO, .base = 0x2e8, .line = 3, .index = 3},
	{.ops = &rtc_mc146818_ops, .bus = BUS_PIO, .base = 0x70, .line = 8},
	{.ops = &i8042_ops, .bus = BUS_PIO, .base = 0x60, .line = 1},
	{.ops = &pvpanic_ops, .bus = BUS_PIO, .base = X86_PORT_PVPANIC, .line = IRQ_NONE},
	{.ops = &exit_ops, .bus = BUS_PIO, .base = X86_PORT_EXIT, .mmio = X86_EXIT_MMIO, .line = IRQ_NONE},
	{.ops = &pci_host_ops, .bus = BUS_PIO, .base = X86_PORT_PCI, .mmio = X86_ECAM, .line = X86_IRQ_PCI},
	{.ops = &testdev_ops, .bus = BUS_PIO, .base = 0xe0, .mmio = X86_TESTDEV_MEM, .line = IRQ_NONE},
	{.ops = &boot_timer_ops, .bus = BUS_PIO, .base = 0x3f0, .mmio = X86_BOOT_TIMER, .line = IRQ_NONE},
	{.ops = &post_port_ops, .bus = BUS_PIO, .base = 0x80, .line = IRQ_NONE},
	{.ops = &debugcon_ops, .bus = BUS_PIO, .base = 0xe9, .line = IRQ_NONE, .index = 0},
	{.ops = &debugcon_ops, .bus = BUS_PIO, .base = 0x402, .line = IRQ_NONE, .index = 1},
	{.ops = &power_ops, .bus = BUS_PIO, .base = X86_PORT_POWER, .line = X86_IRQ_POWER},
	{.ops = NULL},
};

static const struct kvm_cap x86_caps[] = {
	{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
	{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
	{KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
	{KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
	{0, NULL},
};

static const struct irqchip_ops *const x86_irqchips[] = {&x86_irqchip_split, &x86_irqchip_full, NULL};

static const struct kvm_attr_table *const x86_attr_tables[] = {
	&x86_system_attrs,
	&x86_vcpu_attrs,
	&x86_vfio_attrs,
	NULL,
};

static const char *const x86_kernel_paths[] = {"bzImage", "arch/x86/boot/bzImage", NULL};

static int x86_probe(const struct vm_config *cfg, int sys_fd, unsigned long *vm_type)
{
	/* An absent vmx or svm flag means nothing: /dev/kvm is there, so KVM can run a VM in some way. */
	*vm_type = 0;
	return 0;
}

static int x86_vm_init(struct kvm *kvm)
{
	u64 identity = X86_IDENTITY_MAP;
	int err;

	kvm->arch = calloc(1, sizeof(struct x86_machine));
	if (!kvm->arch)
		return -ENOMEM;
	/* For Intel processors that cannot run real mode by themselves; before any vCPU. */
	if (kvm_cap(kvm, KVM_CAP_SET_IDENTITY_MAP_ADDR)) {
		err = kvm_ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
		if (err < 0) {
			log_error("KVM_SET_IDENTITY_MAP_ADDR: %s", strerror(-err));
			return err;
		}
	}
	if (kvm_cap(kvm, KVM_CAP_SET_TSS_ADDR)) {
		err = kvm_ioctl_val(kvm->vm_fd, KVM_SET_TSS_ADDR, X86_TSS);
		if (err < 0) {
			log_error("KVM_SET_TSS_ADDR: %s", strerror(-err));
			return err;
		}
	}
	return 0;
}

static void x86_destroy(struct kvm *kvm)
{
	if (kvm->arch)
		free(x86_of(kvm)->cpuid);
	free(kvm->arch);
	kvm->arch = NULL;
}

static int x86_mem_layout(struct kvm *kvm)
{
	struct x86_machine *m = x86_of(kvm);
	u64 size = align_down(kvm->cfg->mem_size, 4096);
	int err;

	if (size < X86_HIGH_MEM) {
		log_error("--mem: %" PRIu64 " KiB are too little, a PC has 1 MiB at least",
			  kvm->cfg->mem_size >> 10);
		return -EINVAL;
	}
	m->low_ram = min_u64(size, X86_RAM_HOLE);
	m->high_ram = size - m->low_ram;
	err = mem_add_ram(kvm, 0, m->low_ram);
	if (!err && m->high_ram)
		err = mem_add_ram(kvm, X86_RAM_HIGH, m->high_ram);
	return err;
}

static const struct virtio_mmio_window x86_virtio_mmio = {
	.base = X86_VIRTIO_MMIO, .count = 32, .line = X86_IRQ_PCI, .nr_lines = X86_NR_LINES - X86_IRQ_PCI};
_Static_assert(X86_VIRTIO_MMIO + 32 * VIRTIO_MMIO_STEP <= X86_PCI_MEM,
	       "virtio-mmio devices below the window");

static void x86_pci_windows(const struct kvm *kvm, struct pci_windows *win)
{
	const struct x86_machine *m = x86_of(kvm);
	u64 top = 1ull << m->phys_bits;

	win->io.base = win->io_at = X86_PCI_IO;
	win->io.size = 0x10000 - X86_PCI_IO;
	win->io_bus = BUS_PIO;
	win->mem32.base = X86_PCI_MEM;
	win->mem32.size = X86_PCI_MEM_END - X86_PCI_MEM;
	/* The last quarter of what the processor can address, when RAM ends below it. */
	if (m->phys_bits > 32 && X86_RAM_HIGH + m->high_ram <= top - top / 4) {
		win->mem64.base = top - top / 4;
		win->mem64.size = top / 4;
	}
}

static int x86_power_button(struct kvm *kvm)
{
	struct device *dev = device_find(kvm, &power_ops, 0);

	if (!dev)
		return -ENOTSUP;
	power_button_press(dev);
	return 0;
}

static void x86_describe(const struct kvm *kvm, struct buf *out)
{
	static const char *const how[] = {[X86_START_REAL] = "real mode",
					  [X86_START_PROT32] = "protected mode",
					  [X86_START_LONG64] = "long mode"};
	const struct x86_machine *m = x86_of(kvm);
	struct x86_e820 map[X86_E820_MAX];
	u32 n = x86_e820(kvm, map);

	buf_printf(out, "entry   0x%" PRIx64 " in %s\n", m->start.ip, how[m->start.mode]);
	buf_printf(out, "acpi    RSDP at 0x%" PRIx64 "\n", m->rsdp);
	buf_printf(out, "e820\n");
	for (u32 i = 0; i < n; i++)
		buf_printf(out, "  %012" PRIx64 "-%012" PRIx64 "  %s\n", map[i].addr,
			   map[i].addr + map[i].size - 1,
			   map[i].type == 1   ? "usable"
			   : map[i].type == 3 ? "ACPI data"
					      : "reserved");
}

static const struct machine_ops x86_machine = {
	.name = "x86",
	.options = x86_options,
	.probe = x86_probe,
	.irqchips = x86_irqchips,
	.board = x86_board,
	.required_caps = x86_caps,
	.attr_tables = x86_attr_tables,
	.vm_init = x86_vm_init,
	.mem_layout = x86_mem_layout,
	.vcpu_init = x86_vcpu_init,
	.vcpu_free = x86_vcpu_free,
	.vcpu_reset = x86_vcpu_reset,
	.vcpu_enter = x86_vcpu_enter,
	.vcpu_exit = x86_vcpu_exit,
	.vcpu_dump = x86_vcpu_dump,
	.vcpu_state = x86_vcpu_state,
	.vcpu_nmi = x86_vcpu_nmi,
	.vcpu_id = x86_vcpu_id,
	.boot = x86_boot,
	.power_button = x86_power_button,
	.describe = x86_describe,
	.dump_acpi = x86_acpi_dump,
	.pci_windows = x86_pci_windows,
	.virtio_mmio = &x86_virtio_mmio,
	.kernel_paths = x86_kernel_paths,
	.default_params = "console=ttyS0 panic=-1",
	.destroy = x86_destroy,
	.pio_size = 0x10000,
};

const struct machine_ops *const machines[] = {&x86_machine, NULL};

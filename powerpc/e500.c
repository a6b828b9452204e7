/* SPDX-License-Identifier: MIT */
/*
 * The e500 machine: a board around an e500v2 (32-bit, big-endian; Book E), described by its device tree
 * alone. Here are its devices and their places (e500-layout.h), and what it needs of KVM.
 */
#include "e500.h"
#include "e500-layout.h"
#include <errno.h>
#include <inttypes.h>
#include <lkvm/config.h>
#include <lkvm/hw.h>
#include <lkvm/pci.h>
#include <stdlib.h>

static const struct board_device e500_board[] = {
	{.ops = &serial_8250_ops,
	 .bus = BUS_MMIO,
	 .base = E500_UART(0),
	 .line = E500_IRQ_UART(0),
	 .index = 0},
	{.ops = &serial_8250_ops,
	 .bus = BUS_MMIO,
	 .base = E500_UART(1),
	 .line = E500_IRQ_UART(1),
	 .index = 1},
	{.ops = &serial_8250_ops,
	 .bus = BUS_MMIO,
	 .base = E500_UART(2),
	 .line = E500_IRQ_UART(2),
	 .index = 2},
	{.ops = &serial_8250_ops,
	 .bus = BUS_MMIO,
	 .base = E500_UART(3),
	 .line = E500_IRQ_UART(3),
	 .index = 3},
	{.ops = &e500_guts_ops, .mmio = E500_GUTS, .line = IRQ_NONE},
	{.ops = &e500_spin_ops, .mmio = E500_SPIN, .line = IRQ_NONE},
	{.ops = &pci_host_ops, .line = E500_IRQ_PCI},
	{.ops = &e500_pci_ops, .mmio = E500_PCI, .line = IRQ_NONE},
	{.ops = &pvpanic_ops, .bus = BUS_MMIO, .base = E500_PVPANIC, .line = IRQ_NONE},
	{.ops = &exit_ops, .mmio = E500_EXIT, .line = IRQ_NONE},
	{.ops = &testdev_ops,
	 .bus = BUS_MMIO,
	 .base = E500_TESTDEV,
	 .mmio = E500_TESTDEV_MEM,
	 .line = IRQ_NONE},
	{.ops = &boot_timer_ops, .mmio = E500_BOOT_TIMER, .line = IRQ_NONE},
	{.ops = NULL},
};

/* Nothing of the map lies over something else. */
#define APART(low, size, high) _Static_assert((low) + (size) <= (high), #low " and " #high)
APART(E500_PCI_MEM, E500_PCI_MEM_SIZE, E500_VIRTIO_MMIO);
APART(E500_VIRTIO_MMIO, E500_VIRTIO_MMIO_MAX *VIRTIO_MMIO_STEP, E500_PCI_IO);
APART(E500_PCI_IO, E500_PCI_IO_SIZE, E500_CCSR);
APART(E500_UART(3), 0x100, E500_PCI);
APART(E500_PCI, E500_PCI_SIZE, E500_MPIC);
APART(E500_MPIC, E500_MPIC_SIZE, E500_GUTS);
APART(E500_GUTS, E500_GUTS_SIZE, E500_CCSR + E500_CCSR_SIZE);
APART(E500_CCSR, E500_CCSR_SIZE, E500_PVPANIC);
APART(E500_PVPANIC, 0x10000, E500_EXIT);
APART(E500_EXIT, 0x10000, E500_TESTDEV);
APART(E500_TESTDEV, 0x10000, E500_TESTDEV_MEM);
APART(E500_TESTDEV_MEM, 0x10000, E500_BOOT_TIMER);
APART(E500_BOOT_TIMER, 0x10000, E500_SPIN);
APART(E500_SPIN, 0x10000, E500_BOARD_END);
APART(E500_BOARD_END, 0, 1ull << 36);
_Static_assert(E500_MPIC % E500_MPIC_SIZE == 0, "KVM takes the MPIC on a multiple of its size");
_Static_assert(E500_IRQ_PCI + PCI_INTX_LINES <= E500_IRQ_VIRTIO, "PCI has its own lines");
_Static_assert(E500_IRQ_VIRTIO + E500_VIRTIO_MMIO_MAX <= E500_IRQ_SCRATCH, "virtio-mmio has its own lines");

static const struct virtio_mmio_window e500_virtio_mmio = {.base = E500_VIRTIO_MMIO,
							   .count = E500_VIRTIO_MMIO_MAX,
							   .line = E500_IRQ_VIRTIO,
							   .nr_lines = E500_VIRTIO_MMIO_MAX};

/* The bridge is that of an MPC8544; its BAR 0 is how CCSR, with the MPIC's message register, is on the bus.
 */
static const struct pci_ident e500_bridge = {.vendor = 0x1957, .device = 0x0032, .class = 0x0b2000};

static void e500_pci_windows(const struct kvm *kvm, struct pci_windows *win)
{
	*win = (struct pci_windows){.mem32 = {E500_PCI_MEM_BUS, E500_PCI_MEM_SIZE},
				    .mem32_at = E500_PCI_MEM,
				    .io = {0, E500_PCI_IO_SIZE},
				    .io_bus = BUS_MMIO,
				    .io_at = E500_PCI_IO,
				    .bridge = &e500_bridge,
				    .bridge_bar = E500_CCSR_SIZE};
}

static const struct kvm_cap e500_caps[] = {
	{KVM_CAP_SW_TLB, "KVM_CAP_SW_TLB"},
	{KVM_CAP_IRQ_MPIC, "KVM_CAP_IRQ_MPIC"},
	{KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
	{0, NULL},
};

static const struct kvm_cap e500_used_caps[] = {
	{KVM_CAP_PPC_GET_PVINFO, "KVM_CAP_PPC_GET_PVINFO"},
	{KVM_CAP_PPC_BOOKE_WATCHDOG, "KVM_CAP_PPC_BOOKE_WATCHDOG"},
	{0, NULL},
};

/* Newest first. */
static const struct irqchip_ops *const e500_irqchips[] = {&ppc_mpic_42, &ppc_mpic_20, NULL};

static const struct kvm_attr_table *const e500_attr_tables[] = {&ppc_mpic_42_attrs, &ppc_mpic_20_attrs, NULL};

static const char *const e500_kernel_paths[] = {"vmlinux", "uImage", "arch/powerpc/boot/uImage", NULL};

static int e500_probe(const struct vm_config *cfg, int sys_fd, unsigned long *vm_type)
{
	*vm_type = 0;
	return kvm_ioctl_val(sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_SW_TLB) > 0 ? 0 : -ENODEV;
}

static int e500_vm_init(struct kvm *kvm)
{
	kvm->arch = calloc(1, sizeof(struct ppc_machine));
	if (kvm->arch)
		return 0;
	log_error("out of memory");
	return -ENOMEM;
}

static void e500_destroy(struct kvm *kvm)
{
	free(kvm->arch);
	kvm->arch = NULL;
}

static int e500_mem_layout(struct kvm *kvm)
{
	if (kvm->cfg->mem_size > E500_PCI_MEM) {
		log_error("--mem: the e500 machine has room for %llu GiB; give less", E500_PCI_MEM >> 30);
		return -E2BIG;
	}
	return mem_add_ram(kvm, E500_RAM, kvm->cfg->mem_size);
}

static void e500_describe(const struct kvm *kvm, struct buf *out)
{
	buf_printf(out, "entry   0x%" PRIx64 "\n", ppc_of(kvm)->entry);
	ppc_describe(kvm, out);
}

const struct machine_ops ppc_e500 = {
	.name = "e500",
	.options = ppc_options,
	.probe = e500_probe,
	.irqchips = e500_irqchips,
	.board = e500_board,
	.virtio_mmio = &e500_virtio_mmio,
	.pci_windows = e500_pci_windows,
	.required_caps = e500_caps,
	.used_caps = e500_used_caps,
	.attr_tables = e500_attr_tables,
	.vm_init = e500_vm_init,
	.mem_layout = e500_mem_layout,
	.vcpu_init = e500_vcpu_init,
	.vcpu_free = e500_vcpu_free,
	.vcpu_reset = e500_vcpu_reset,
	.vcpu_enter = e500_vcpu_enter,
	.vcpu_exit = e500_vcpu_exit,
	.vcpu_dump = ppc_vcpu_dump,
	.vcpu_state = e500_vcpu_state,
	.vcpu_id = ppc_vcpu_id,
	.boot = e500_boot,
	.describe = e500_describe,
	.kernel_paths = e500_kernel_paths,
	.default_params = "console=ttyS0 panic=-1",
	.destroy = e500_destroy,
};

/* SPDX-License-Identifier: MIT */
/*
 * The device tree: what Linux and firmware learn the machine from (Devicetree Specification 0.4; bindings in
 * Linux's Documentation/devicetree/bindings). CPUs, memory, timer and PSCI are described here, each irqchip
 * and each device by itself.
 *
 * Main thread, in the `boot` step; vCPUs, devices and irqchip are all there.
 */
#include "arm.h"
#include "gic.h"
#include "layout.h"
#include <errno.h>
#include <inttypes.h>
#include <lkvm/boot.h>
#include <lkvm/config.h>
#include <stdio.h>
#include <string.h>

/* The most that a command line may have: COMMAND_LINE_SIZE of arm64 is 2048, with its NUL. */
#define CMDLINE_MAX    2047
#define CMDLINE_MAX_32 1023

static int describe_chosen(struct kvm *kvm, struct fdt *fdt)
{
	const struct arm_machine *m = arm_of(kvm);
	char path[32];
	const struct dt_chosen chosen = {.cmdline_max = kvm->cfg->aarch32 ? CMDLINE_MAX_32 : CMDLINE_MAX,
					 .stdout_path = path,
					 .initrd = m->initrd,
					 .initrd_size = m->initrd_size,
					 .kaslr = true};
	int err;

	snprintf(path, sizeof(path), "/serial@%llx", ARM_UART(0));
	err = dt_chosen(fdt, kvm, &chosen);
	if (!err)
		dt_end(fdt);
	return err;
}

static int describe_cpus(struct kvm *kvm, struct fdt *fdt)
{
	dt_begin_node(fdt, "cpus");
	dt_u32(fdt, "#address-cells", 2);
	dt_u32(fdt, "#size-cells", 0);
	for (u32 i = 0; i < kvm->nr_vcpus; i++) {
		u64 affinity;
		int err = arm_vcpu_affinity(&kvm->vcpu[i], &affinity);

		if (err) {
			log_error("vcpu %u: its MPIDR_EL1: %s", i, strerror(-err));
			return err;
		}
		dt_begin_at(fdt, "cpu", affinity);
		dt_str(fdt, "device_type", "cpu");
		dt_str(fdt, "compatible", "arm,armv8");
		if (kvm->nr_vcpus > 1)
			dt_str(fdt, "enable-method", "psci");
		dt_u64(fdt, "reg", affinity);
		dt_end(fdt);
	}
	dt_end(fdt);
	return 0;
}

static void describe_psci(struct fdt *fdt)
{
	static const char *const compatible[] = {"arm,psci-1.0", "arm,psci-0.2"};

	dt_begin_node(fdt, "psci");
	dt_strs(fdt, "compatible", compatible, ARRAY_SIZE(compatible));
	dt_str(fdt, "method", "hvc");
	dt_end(fdt);
}

/* bindings/timer/arm,arch_timer.yaml: secure, non-secure, virtual and hypervisor timer, in this order. */
static void describe_timer(const struct kvm *kvm, struct fdt *fdt)
{
	static const u32 ppi[] = {ARM_PPI_SEC_TIMER, ARM_PPI_PTIMER, ARM_PPI_VTIMER, ARM_PPI_HYP_TIMER};
	static const char *const name64[] = {"arm,armv8-timer", "arm,armv7-timer"};
	static const char *const name32[] = {"arm,armv7-timer"};
	u32 cells[3 * ARRAY_SIZE(ppi)];

	for (u32 i = 0; i < ARRAY_SIZE(ppi); i++)
		gic_ppi_cells(&kvm->irqchip, ppi[i], &cells[3 * i]);
	dt_begin_node(fdt, "timer");
	if (kvm->cfg->aarch32)
		dt_strs(fdt, "compatible", name32, 1);
	else
		dt_strs(fdt, "compatible", name64, 2);
	dt_cells(fdt, "interrupts", cells, ARRAY_SIZE(cells));
	dt_empty(fdt, "always-on");
	dt_end(fdt);
}

static void describe_pmu(const struct kvm *kvm, struct fdt *fdt)
{
	u32 cells[3];

	if (!arm_has_feature(kvm, KVM_ARM_VCPU_PMU_V3))
		return;
	gic_ppi_cells(&kvm->irqchip, ARM_PPI_PMU, cells);
	dt_begin_node(fdt, "pmu");
	dt_str(fdt, "compatible", kvm->cfg->aarch32 ? "arm,cortex-a15-pmu" : "arm,armv8-pmuv3");
	dt_cells(fdt, "interrupts", cells, 3);
	dt_end(fdt);
}

/* What PrimeCell devices (RTC, GPIO) name as their clock. */
static void describe_clock(struct fdt *fdt)
{
	dt_begin_node(fdt, "apb-pclk");
	dt_phandle(fdt, DT_CLOCK);
	dt_str(fdt, "compatible", "fixed-clock");
	dt_u32(fdt, "#clock-cells", 0);
	dt_u32(fdt, "clock-frequency", 24000000);
	dt_str(fdt, "clock-output-names", "clk24mhz");
	dt_end(fdt);
}

static int describe(struct kvm *kvm, struct fdt *fdt)
{
	int err;

	dt_str(fdt, "compatible", "linux,dummy-virt");
	dt_str(fdt, "model", "lkvm");
	dt_u32(fdt, "#address-cells", 2);
	dt_u32(fdt, "#size-cells", 2);
	dt_u32(fdt, "interrupt-parent", DT_IRQCHIP);
	err = describe_chosen(kvm, fdt);
	if (err)
		return err;
	dt_memory(fdt, kvm, ARM_RAM);
	err = describe_cpus(kvm, fdt);
	if (err)
		return err;
	describe_psci(fdt);
	describe_timer(kvm, fdt);
	describe_pmu(kvm, fdt);
	describe_clock(fdt);
	err = kvm->irqchip.ops->describe(&kvm->irqchip, fdt);
	return err ? err : dt_devices(fdt, kvm);
}

/*
 * It must not cross a boundary of 2 MiB, says booting.rst. Behind a kernel whose header says what it takes,
 * the tree goes right there, into a huge page that is there already. Others may use what is behind their
 * image before they look at the tree: it goes as high as it can.
 */
static int place(struct kvm *kvm, const struct fdt *fdt, gpa_t low, gpa_t high)
{
	struct arm_machine *m = arm_of(kvm);
	u64 align;

	m->dtb_size = dt_size(fdt);
	align = m->dtb_size <= KiB(64) ? KiB(64) : MiB(2);
	m->dtb = align_up(low, align);
	if (!m->kernel_size_known || !range_inside(m->dtb, m->dtb_size, low, high - low))
		m->dtb = guest_fit_high(&kvm->mem, m->dtb_size, align, low, high);
	if (!m->dtb) {
		log_error("a device tree of %" PRIu64
			  " KiB does not fit beside the kernel; give the guest more "
			  "memory (-m)",
			  (m->dtb_size + 1023) >> 10);
		return -ENOSPC;
	}
	return guest_write(&kvm->mem, m->dtb, fdt->blob, m->dtb_size);
}

int arm_fdt_write(struct kvm *kvm, gpa_t low, gpa_t high)
{
	struct fdt fdt;
	int err;

	dt_init(&fdt, kvm, ARM_FDT_MAX);
	err = dt_complete(&fdt, describe(kvm, &fdt));
	if (!err)
		err = place(kvm, &fdt, low, high);
	dt_free(&fdt);
	return err;
}

/* SPDX-License-Identifier: MIT */
/*
 * The e500 machine's device tree (ePAPR 1.1; Devicetree Specification 0.4; Linux's
 * Documentation/devicetree/bindings/powerpc/fsl): CPUs, memory, the hypervisor and the bus are described
 * here, the irqchip and each device by itself.
 *
 * Simple devices are children of one bus, for Linux makes devices of such a bus's children only. Its ranges
 * are one to one, so that a device's reg is its address; the first of them is CCSR, as Linux expects.
 *
 * Main thread, in the `boot` step; vCPUs, devices and irqchip are all there.
 */
#include "e500-layout.h"
#include "e500.h"
#include <lkvm/hw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE	32u
#define CACHE_BYTES	0x8000u
#define TIMEBASE_HZ	400000000ull /* of a host that does not say */
#define CLOCK_HZ	400000000ull
#define VIRTIO_BUS_SIZE (E500_VIRTIO_MMIO_MAX * VIRTIO_MMIO_STEP)

static int describe_chosen(struct kvm *kvm, struct fdt *fdt)
{
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/soc@%llx/serial@%llx", E500_CCSR, E500_UART(0));
	err = ppc_dt_chosen(kvm, fdt, path);
	if (!err)
		dt_end(fdt);
	return err;
}

/* A number behind "key  : " in /proc/cpuinfo; what follows it, a fraction or a unit, is left out. */
static u64 cpuinfo_number(const char *key, u64 otherwise)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	size_t len = strlen(key);
	char line[256];
	u64 v = 0;

	while (f && !v && fgets(line, sizeof(line), f)) {
		size_t gap = strncmp(line, key, len) ? 0 : strspn(line + len, " \t");

		if (gap && line[len + gap] == ':')
			v = strtoull(line + len + gap + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	return v ? v : otherwise;
}

static void describe_cpus(const struct kvm *kvm, struct fdt *fdt)
{
	/* The guest's time base is the host's own. */
	u32 timebase = (u32)cpuinfo_number("timebase", TIMEBASE_HZ);
	u64 mhz = cpuinfo_number("clock", CLOCK_HZ / 1000000);

	dt_begin_node(fdt, "cpus");
	dt_u32(fdt, "#address-cells", 1);
	dt_u32(fdt, "#size-cells", 0);
	for (u32 i = 0; i < kvm->nr_vcpus; i++) {
		dt_begin_at(fdt, "cpu", kvm->vcpu[i].id);
		dt_str(fdt, "device_type", "cpu");
		dt_u32(fdt, "reg", kvm->vcpu[i].id);
		dt_str(fdt, "status", i ? "disabled" : "okay");
		if (i) {
			dt_str(fdt, "enable-method", "spin-table");
			dt_u64(fdt, "cpu-release-addr", E500_SPIN + (u64)i * E500_SPIN_ENTRY);
		}
		dt_u32(fdt, "timebase-frequency", timebase);
		dt_u32(fdt, "clock-frequency", (u32)(mhz * 1000000));
		dt_u32(fdt, "bus-frequency", 0);
		dt_u32(fdt, "d-cache-line-size", CACHE_LINE);
		dt_u32(fdt, "i-cache-line-size", CACHE_LINE);
		dt_u32(fdt, "d-cache-size", CACHE_BYTES);
		dt_u32(fdt, "i-cache-size", CACHE_BYTES);
		dt_end(fdt);
	}
	dt_end(fdt);
}

/* How the guest calls KVM (Documentation/virt/kvm/ppc-pv.rst). */
static int describe_hypervisor(struct kvm *kvm, struct fdt *fdt)
{
	static const char *const compatible[] = {"linux,kvm", "epapr,hypervisor-0.2"};
	struct kvm_ppc_pvinfo info;
	int err;

	if (!kvm_cap(kvm, KVM_CAP_PPC_GET_PVINFO))
		return 0;
	memset(&info, 0, sizeof(info));
	err = kvm_ioctl(kvm->vm_fd, KVM_PPC_GET_PVINFO, &info);
	if (err < 0) {
		log_error("KVM_PPC_GET_PVINFO: %s", strerror(-err));
		return err;
	}
	dt_begin_node(fdt, "hypervisor");
	dt_strs(fdt, "compatible", compatible, ARRAY_SIZE(compatible));
	/* Big-endian instructions, as the kernel gives them. */
	dt_bytes(fdt, "hcall-instructions", info.hcall, sizeof(info.hcall));
	if (info.flags & KVM_PPC_PVINFO_FLAGS_EV_IDLE)
		dt_empty(fdt, "has-idle");
	dt_end(fdt);
	return 0;
}

static void cells64(u32 **cell, u64 v)
{
	*(*cell)++ = (u32)(v >> 32);
	*(*cell)++ = (u32)v;
}

static void describe_windows(struct fdt *fdt)
{
	static const u64 window[][2] = {{E500_CCSR, E500_BOARD_END - E500_CCSR},
					{E500_VIRTIO_MMIO, VIRTIO_BUS_SIZE},
					{E500_PCI_MEM, E500_PCI_MEM_SIZE},
					{E500_PCI_IO, E500_PCI_IO_SIZE}};
	u32 cells[ARRAY_SIZE(window) * 6], *cell = cells;

	for (u32 i = 0; i < ARRAY_SIZE(window); i++) {
		cells64(&cell, window[i][0]);
		cells64(&cell, window[i][0]);
		cells64(&cell, window[i][1]);
	}
	dt_cells(fdt, "ranges", cells, ARRAY_SIZE(cells));
}

static int describe_soc(struct kvm *kvm, struct fdt *fdt)
{
	static const char *const compatible[] = {"fsl,mpc8544-immr", "simple-bus"};
	int err;

	dt_begin_at(fdt, "soc", E500_CCSR);
	dt_str(fdt, "device_type", "soc");
	dt_strs(fdt, "compatible", compatible, ARRAY_SIZE(compatible));
	dt_u32(fdt, "#address-cells", 2);
	dt_u32(fdt, "#size-cells", 2);
	describe_windows(fdt);
	err = kvm->irqchip.ops->describe(&kvm->irqchip, fdt);
	if (!err)
		err = dt_devices(fdt, kvm);
	dt_end(fdt);
	return err;
}

static int describe(struct kvm *kvm, struct fdt *fdt)
{
	int err;

	/* Linux has one machine for boards whose devices the tree alone says. */
	dt_str(fdt, "compatible", "fsl,qemu-e500");
	dt_str(fdt, "model", "lkvm e500");
	dt_u32(fdt, "#address-cells", 2);
	dt_u32(fdt, "#size-cells", 2);
	dt_u32(fdt, "interrupt-parent", DT_IRQCHIP);
	err = describe_chosen(kvm, fdt);
	if (err)
		return err;
	dt_memory(fdt, kvm, E500_RAM);
	describe_cpus(kvm, fdt);
	err = describe_hypervisor(kvm, fdt);
	return err ? err : describe_soc(kvm, fdt);
}

int e500_fdt_write(struct kvm *kvm, gpa_t low, gpa_t high)
{
	return ppc_fdt_write(kvm, low, high, describe);
}

/* SPDX-License-Identifier: MIT */
/*
 * The device tree of the pseries machine (PAPR's appendices B and C; Devicetree Specification 0.4). There is
 * no firmware between us and the kernel, so what firmware would add to the tree, and negotiate with the
 * kernel (ibm,client-architecture-support), is in it from the start.
 *
 * Main thread, in the `boot` step; vCPUs, devices and irqchip are all there.
 */
#include "pseries-irq.h"
#include "pseries-layout.h"
#include "pseries.h"
#include "rtas.h"
#include <stdio.h>

/* Of option vector 5 (PAPR, table 244), by byte: what the platform gives. Byte 0 is the length. */
enum {
	OV5_PARTITION = 2,
	OV5_LPAR = 0x80,
	OV5_SHARED = 0x40,
	OV5_LARGE_PAGES = 0x10,
	OV5_MSI = 0x01,
	OV5_XIVE = 23,
	OV5_XIVE_EXPLOITATION = 0x40,
	OV5_MMU = 24,
	OV5_MMU_RADIX = 0x40,
	OV5_RADIX = 26,
	OV5_RADIX_GTSE = 0x40,
	OV5_BYTES = 27,
};

static void describe_vector5(const struct kvm *kvm, struct fdt *fdt)
{
	u8 v[OV5_BYTES] = {[0] = OV5_BYTES - 1};

	v[OV5_PARTITION] = OV5_LPAR | OV5_SHARED | OV5_LARGE_PAGES | OV5_MSI;
	if (kvm->irqchip.ops == &ppc_xive)
		v[OV5_XIVE] = OV5_XIVE_EXPLOITATION;
	if (pseries_of(kvm)->radix) {
		v[OV5_MMU] = OV5_MMU_RADIX;
		v[OV5_RADIX] = OV5_RADIX_GTSE;
	}
	dt_bytes(fdt, "ibm,architecture-vec-5", v, sizeof(v));
}

static int describe_chosen(struct kvm *kvm, struct fdt *fdt)
{
	char path[32];
	int err;

	snprintf(path, sizeof(path), "/vdevice/vty@%x", PSERIES_VTERM(0));
	err = ppc_dt_chosen(kvm, fdt, path);
	if (err)
		return err;
	describe_vector5(kvm, fdt);
	dt_end(fdt);
	return 0;
}

static void describe_rtas_memory(const struct kvm *kvm, struct fdt *fdt)
{
	const u64 rtas[1][2] = {{pseries_of(kvm)->rtas, RTAS_SIZE}};

	dt_begin_node(fdt, "reserved-memory");
	dt_u32(fdt, "#address-cells", 2);
	dt_u32(fdt, "#size-cells", 2);
	dt_empty(fdt, "ranges");
	/* Not "rtas": Linux looks for that by the name alone. */
	dt_begin_at(fdt, "firmware", rtas[0][0]);
	dt_reg(fdt, rtas, 1);
	dt_end(fdt);
	dt_end(fdt);
}

/* Devices that hypercalls drive, by unit address. */
static void describe_vdevice(struct kvm *kvm, struct fdt *fdt)
{
	struct device *dev;

	dt_begin_node(fdt, "vdevice");
	dt_str(fdt, "device_type", "vdevice");
	dt_str(fdt, "compatible", "IBM,vdevice");
	dt_u32(fdt, "#address-cells", 1);
	dt_u32(fdt, "#size-cells", 0);
	list_for_each (dev, &kvm->devices, link)
		if (dev->ops == &vterm_ops)
			vterm_describe(dev, fdt);
	dt_end(fdt);
}

/* Where H_RANDOM is said to be. */
static void describe_facilities(struct fdt *fdt)
{
	dt_begin_node(fdt, "ibm,platform-facilities");
	dt_str(fdt, "device_type", "ibm,platform-facilities");
	dt_str(fdt, "compatible", "ibm,platform-facilities");
	dt_begin_node(fdt, "ibm,random-v1");
	dt_str(fdt, "compatible", "ibm,random");
	dt_end(fdt);
	dt_end(fdt);
}

static void describe_hypervisor(struct fdt *fdt)
{
	dt_begin_node(fdt, "hypervisor");
	dt_str(fdt, "compatible", "linux,kvm");
	dt_end(fdt);
}

static int describe(struct kvm *kvm, struct fdt *fdt)
{
	int err;

	dt_str(fdt, "device_type", "chrp");
	dt_str(fdt, "compatible", "linux,kvm-pseries");
	dt_str(fdt, "model", "lkvm pseries");
	dt_u32(fdt, "#address-cells", 2);
	dt_u32(fdt, "#size-cells", 2);
	dt_u32(fdt, "interrupt-parent", DT_IRQCHIP);
	pseries_irq_describe_root(kvm, fdt);
	err = describe_chosen(kvm, fdt);
	if (err)
		return err;
	/* One block: what of it Linux may use before it has page tables is up to KVM, not to the tree. */
	dt_memory(fdt, kvm, 0);
	describe_rtas_memory(kvm, fdt);
	err = pseries_describe_cpus(kvm, fdt);
	if (err)
		return err;
	rtas_describe(kvm, fdt);
	describe_hypervisor(fdt);
	err = kvm->irqchip.ops->describe(&kvm->irqchip, fdt);
	if (err)
		return err;
	describe_vdevice(kvm, fdt);
	describe_facilities(fdt);
	return dt_devices(fdt, kvm);
}

int pseries_fdt_write(struct kvm *kvm, gpa_t low, gpa_t high)
{
	return ppc_fdt_write(kvm, low, high, describe);
}

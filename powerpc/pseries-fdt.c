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
#include <errno.h>
#include <inttypes.h>
#include <lkvm/boot.h>
#include <lkvm/config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* COMMAND_LINE_SIZE of powerpc is 2048, with its NUL. */
#define CMDLINE_MAX    2047
#define RNG_SEED_BYTES 64
#define FDT_MAX	       MiB(1)

extern const struct device_ops vterm_ops;

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
	if (!strcmp(kvm->irqchip.ops->name, "xive"))
		v[OV5_XIVE] = OV5_XIVE_EXPLOITATION;
	if (pseries_of(kvm)->radix) {
		v[OV5_MMU] = OV5_MMU_RADIX;
		v[OV5_RADIX] = OV5_RADIX_GTSE;
	}
	dt_bytes(fdt, "ibm,architecture-vec-5", v, sizeof(v));
}

static int describe_chosen(struct kvm *kvm, struct fdt *fdt)
{
	const struct ppc_machine *m = ppc_of(kvm);
	u8 rng[RNG_SEED_BYTES];
	char path[32];
	char *cmdline;
	int err = boot_cmdline(kvm, CMDLINE_MAX, &cmdline);

	if (err)
		return err;
	dt_begin(fdt, "chosen");
	dt_str(fdt, "bootargs", cmdline ? cmdline : "");
	free(cmdline);
	snprintf(path, sizeof(path), "/vdevice/vty@%x", PSERIES_VTERM(0));
	dt_str(fdt, "stdout-path", path);
	if (m->initrd_size) {
		dt_u64(fdt, "linux,initrd-start", m->initrd);
		dt_u64(fdt, "linux,initrd-end", m->initrd + m->initrd_size);
	}
	/* Linux erases it as soon as it has read it. Without entropy the guest does as it can. */
	if (getrandom(rng, sizeof(rng), 0) == sizeof(rng))
		dt_bytes(fdt, "rng-seed", rng, sizeof(rng));
	describe_vector5(kvm, fdt);
	dt_end(fdt);
	return 0;
}

/* One block: what of it Linux may use before it has page tables is up to KVM, not to the tree. */
static void describe_memory(const struct kvm *kvm, struct fdt *fdt)
{
	const u64 ram[1][2] = {{0, guest_ram_size(&kvm->mem)}};
	const u64 rtas[1][2] = {{pseries_of(kvm)->rtas, RTAS_SIZE}};

	dt_begin(fdt, "memory@0");
	dt_str(fdt, "device_type", "memory");
	dt_reg(fdt, ram, 1);
	dt_end(fdt);
	dt_begin(fdt, "reserved-memory");
	dt_u32(fdt, "#address-cells", 2);
	dt_u32(fdt, "#size-cells", 2);
	dt_empty(fdt, "ranges");
	/* Not "rtas": Linux looks for that by the name alone. */
	dt_begin(fdt, "firmware@%" PRIx64, rtas[0][0]);
	dt_reg(fdt, rtas, 1);
	dt_end(fdt);
	dt_end(fdt);
}

/* Devices that hypercalls drive, by unit address. */
static void describe_vdevice(struct kvm *kvm, struct fdt *fdt)
{
	struct device *dev;

	dt_begin(fdt, "vdevice");
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
	dt_begin(fdt, "ibm,platform-facilities");
	dt_str(fdt, "device_type", "ibm,platform-facilities");
	dt_str(fdt, "compatible", "ibm,platform-facilities");
	dt_begin(fdt, "ibm,random-v1");
	dt_str(fdt, "compatible", "ibm,random");
	dt_end(fdt);
	dt_end(fdt);
}

static void describe_hypervisor(struct fdt *fdt)
{
	dt_begin(fdt, "hypervisor");
	dt_str(fdt, "compatible", "linux,kvm");
	dt_end(fdt);
}

static int describe_devices(struct kvm *kvm, struct fdt *fdt)
{
	struct device *dev;
	int err = 0;

	list_for_each (dev, &kvm->devices, link)
		if (dev->ops->describe && !err)
			err = dev->ops->describe(dev, fdt);
	return err;
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
	describe_memory(kvm, fdt);
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
	return describe_devices(kvm, fdt);
}

static int place(struct kvm *kvm, const struct fdt *fdt, gpa_t low, gpa_t high)
{
	struct ppc_machine *m = ppc_of(kvm);

	m->dtb_size = dt_size(fdt);
	m->dtb = align_up(low, PSERIES_PAGE_MAX);
	if (high < low || !range_inside(m->dtb, m->dtb_size, low, high - low)) {
		log_error("a device tree of %" PRIu64
			  " KiB does not fit beside the kernel; give the guest more memory (-m)",
			  (m->dtb_size + 1023) >> 10);
		return -ENOSPC;
	}
	return guest_write(&kvm->mem, m->dtb, fdt->blob, m->dtb_size);
}

int pseries_fdt_write(struct kvm *kvm, gpa_t low, gpa_t high)
{
	struct fdt fdt;
	int err, end;

	dt_init(&fdt, kvm, FDT_MAX);
	err = describe(kvm, &fdt);
	end = dt_finish(&fdt);
	/* What a describer of nodes returns is the tree's own failure; others have said theirs. */
	if (end && (!err || err == end)) {
		err = end;
		log_error("device tree: %s",
			  err == -E2BIG ? "larger than 1 MiB; give the guest fewer vCPUs or devices"
					: strerror(-err));
	}
	if (!err && kvm->cfg->dump_dtb)
		err = dt_dump(&fdt, kvm->cfg->dump_dtb);
	if (!err)
		err = place(kvm, &fdt, low, high);
	dt_free(&fdt);
	return err;
}

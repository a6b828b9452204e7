/* SPDX-License-Identifier: MIT */
/*
 * What every machine's device tree has (fdt.h): /chosen, memory, the devices' own nodes, and its end.
 *
 * Main thread, in the `boot` step; vCPUs, devices and irqchip are all there.
 */
#include <errno.h>
#include <lkvm/boot.h>
#include <lkvm/config.h>
#include <lkvm/device.h>
#include <lkvm/fdt.h>
#include <lkvm/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RNG_SEED_BYTES 64

int dt_chosen(struct fdt *fdt, struct kvm *kvm, const struct dt_chosen *chosen)
{
	struct {
		u64 kaslr;
		u8 rng[RNG_SEED_BYTES];
	} seed;
	char *cmdline;
	int err = boot_cmdline(kvm, chosen->cmdline_max, &cmdline);

	if (err)
		return err;
	dt_begin_node(fdt, "chosen");
	dt_str(fdt, "bootargs", cmdline ? cmdline : "");
	free(cmdline);
	dt_str(fdt, "stdout-path", chosen->stdout_path);
	if (chosen->initrd_size) {
		dt_u64(fdt, "linux,initrd-start", chosen->initrd);
		dt_u64(fdt, "linux,initrd-end", chosen->initrd + chosen->initrd_size);
	}
	/* Linux erases both as soon as it has read them. Without entropy the guest does as it can. */
	if (getrandom(&seed, sizeof(seed), 0) == sizeof(seed)) {
		if (chosen->kaslr)
			dt_u64(fdt, "kaslr-seed", seed.kaslr);
		dt_bytes(fdt, "rng-seed", seed.rng, sizeof(seed.rng));
	}
	return 0;
}

void dt_memory(struct fdt *fdt, const struct kvm *kvm, gpa_t gpa)
{
	const u64 ram[1][2] = {{gpa, guest_ram_size(&kvm->mem)}};

	dt_begin_at(fdt, "memory", gpa);
	dt_str(fdt, "device_type", "memory");
	dt_reg(fdt, ram, 1);
	dt_end(fdt);
}

int dt_devices(struct fdt *fdt, struct kvm *kvm)
{
	struct device *dev;
	int err = 0;

	list_for_each (dev, &kvm->devices, link)
		if (dev->ops->describe && !err)
			err = dev->ops->describe(dev, fdt);
	return err;
}

int dt_complete(struct fdt *fdt, int err)
{
	const char *path = fdt->kvm->cfg->dump_dtb;
	int end = dt_finish(fdt);

	/* What a describer of nodes returns is the tree's own failure; others have said theirs. */
	if (end && (!err || err == end)) {
		err = end;
		if (err == -E2BIG)
			log_error(
				"the device tree is larger than %llu MiB, the most that a kernel takes; give "
				"the guest fewer vCPUs or devices",
				(unsigned long long)(fdt->max >> 20));
		else
			log_error("device tree: %s", strerror(-err));
	}
	return err || !path ? err : dt_dump(fdt, path);
}

/* SPDX-License-Identifier: MIT */
/*
 * What a VM consists of, as text: for --dry-run, before anything runs. Main thread; the VM is built up to and
 * with the `boot` step.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lkvm/device.h>
#include <lkvm/irq.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void describe_memory(const struct kvm *kvm, struct buf *out)
{
	buf_printf(out, "memory (%" PRIu64 " MiB)\n", guest_ram_size(&kvm->mem) >> 20);
	for (u32 i = 0; i < kvm->mem.nr_banks; i++) {
		const struct mem_bank *bank = &kvm->mem.bank[i];

		buf_printf(out, "  %012" PRIx64 "-%012" PRIx64 "  slot %u  %s\n", bank->gpa,
			   bank->gpa + bank->size - 1, bank->slot, bank->readonly ? "rom" : "ram");
	}
}

static void describe_bus(const struct bus *bus, const char *title, int digits, struct buf *out)
{
	if (!bus->count)
		return;
	buf_printf(out, "%s\n", title);
	for (u32 i = 0; i < bus->count; i++) {
		const struct bus_region *r = &bus->region[i];

		buf_printf(out, "  %0*" PRIx64 "-%0*" PRIx64 "  %s\n", digits, r->base, digits,
			   r->base + r->len - 1, r->dev->name);
	}
}

static void describe_lines(const struct kvm *kvm, struct buf *out)
{
	buf_printf(out, "interrupt lines (%s, %u lines)\n", kvm->irqchip.ops->name,
		   kvm->irqchip.ops->nr_lines);
	for (u32 line = 0; line < kvm->irqchip.ops->nr_lines; line++) {
		const char *sep = "";
		struct device *dev;
		bool any = false;

		list_for_each (dev, &kvm->devices, link) {
			if (!dev->board || dev->board->line != line)
				continue;
			if (!any)
				buf_printf(out, "  %3u  ", line);
			any = true;
			buf_printf(out, "%s%s", sep, dev->name);
			sep = ", ";
		}
		if (any)
			buf_printf(out, "\n");
	}
}

void kvm_describe(struct kvm *kvm, struct buf *out)
{
	const struct vm_config *cfg = kvm->cfg;
	struct device *dev;

	buf_printf(out, "machine %s, %u vCPU%s, irqchip %s\n", kvm->machine->name, kvm->nr_vcpus,
		   kvm->nr_vcpus == 1 ? "" : "s", kvm->irqchip.ops->name);
	buf_printf(out, "%s %s\n", cfg->firmware ? "firmware" : "kernel ",
		   cfg->firmware ? cfg->firmware : cfg->kernel);
	for (size_t i = 0; i < cfg->initrd.count; i++)
		buf_printf(out, "initrd  %s\n", cfg->initrd.item[i]);
	if (kvm->machine->describe)
		kvm->machine->describe(kvm, out);
	describe_memory(kvm, out);
	describe_bus(&kvm->bus[BUS_MMIO], "mmio", 12, out);
	describe_bus(&kvm->bus[BUS_PIO], "ports", 4, out);
	describe_lines(kvm, out);
	buf_printf(out, "devices\n");
	list_for_each (dev, &kvm->devices, link)
		buf_printf(out, "  %s\n", dev->name);
}

int kvm_dump_acpi(struct kvm *kvm)
{
	const char *path = kvm->cfg->dump_acpi;
	int dirfd, err;

	if (!kvm->machine->dump_acpi) {
		log_error("--dump-acpi: the %s machine has no ACPI tables", kvm->machine->name);
		return -ENOTSUP;
	}
	if (mkdir(path, 0777) < 0 && errno != EEXIST) {
		err = -errno;
		log_error("--dump-acpi %s: %s", path, strerror(-err));
		return err;
	}
	dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0) {
		err = -errno;
		log_error("--dump-acpi %s: %s", path, strerror(-err));
		return err;
	}
	err = kvm->machine->dump_acpi(kvm, dirfd);
	close(dirfd);
	return err;
}

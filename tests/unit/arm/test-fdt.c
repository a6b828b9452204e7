/* SPDX-License-Identifier: MIT */
/* WRAP: getrandom */
/*
 * The arm64 machine's device tree: dtc must take it without a word of complaint, for each irqchip and with
 * everything that options add; and what it says must be what KVM and the board have.
 */
#include "arm-vm.h" /* first */
#include "dt-read.h"
#include <fcntl.h>
#include <lkvm/hw.h>
#include <lkvm/pci.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>

/* ---- entropy ----------------------------------------------------------------------------------------------
 */

static enum { REAL, COUNTED, SCARCE, NONE } entropy;

ssize_t __real_getrandom(void *buf, size_t len, unsigned int flags);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags)
{
	switch (entropy) {
	case COUNTED:
		for (size_t i = 0; i < len; i++)
			((u8 *)buf)[i] = (u8)(i + 1);
		return (ssize_t)len;
	case SCARCE:
		return (ssize_t)len - 1;
	case NONE:
		errno = ENOSYS;
		return -1;
	default:
		return __real_getrandom(buf, len, flags);
	}
}

static int setup(void **state)
{
	entropy = REAL;
	return vm_setup(state);
}

/* A VM whose tree is in `fdt` and in the file `dump`. */
static void tree(const char *const *more)
{
	const char *all[20];

	dump_options(all, more);
	assert_int_equal(arm_up("boot", all), 0);
	take_tree(&vm.kvm.mem, arm_of(&vm.kvm)->dtb, arm_of(&vm.kvm)->dtb_size);
	assert_int_equal(fdt_check_full(fdt, arm_of(&vm.kvm)->dtb_size), 0);
}

static u32 cells(int at, const char *name)
{
	int len = -1;

	fdt_getprop(fdt, at, name, &len);
	return len < 0 ? 0 : (u32)len / 4;
}

static int compatible(const char *name)
{
	int at = fdt_node_offset_by_compatible(fdt, -1, name);

	if (at < 0)
		fail_msg("no node is compatible with %s", name);
	return at;
}

/* ---- dtc -------------------------------------------------------------------------------------------------
 */

static void test_dtc(void **state)
{
	static const char *const cpus[] = {"1", "2", "8"};
	struct vm_file f = vm_file("", 0);
	const char *const all[] = {"--pmu", "--testdev", "--boot-timer", "--flash", f.path, NULL};

	if (!have_dtc())
		skip();
	assert_int_equal(ftruncate(f.fd, MiB(1)), 0);
	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++)
		for (u32 k = 0; k < ARRAY_SIZE(cpus); k++) {
			const char *const more[] = {"--irqchip", arm_chips[i].name, "-c", cpus[k], NULL};

			vm_down();
			fake_kvm_reset();
			tree(more);
			assert_dtc();
		}
	tree(all);
	assert_int_equal(cell64(compatible("cfi-flash"), "reg", 0), ARM_FLASH);
	assert_int_equal(cell64(compatible("cfi-flash"), "reg", 1), MiB(1));
	assert_dtc();
	close(f.fd);
}

/* Two regions of redistributors beside an ITS, an initrd, virtio devices each with a node; firmware. */
static void test_dtc_more(void **state)
{
	struct vm_file f = vm_file("initrd", 6);
	const char *const more[] = {"-c",   "130",   "-i",     f.path, "--virtio-transport",
				    "mmio", "--rng", "--disk", f.path, NULL};
	const char *argv[] = {"run", "--name", "core", "--firmware", f.path, "--dump-dtb", dump};
	u32 mmio = 0;
	bool help;

	if (!have_dtc())
		skip();
	assert_int_equal(ftruncate(f.fd, 1024), 0);
	tree(more);
	assert_dtc();
	assert_int_equal(cell(compatible("arm,gic-v3"), "#redistributor-regions", 0), 2);
	assert_true(compatible("arm,gic-v3-its") > 0);
	assert_int_equal(cell64(node("/chosen"), "linux,initrd-end", 0) -
				 cell64(node("/chosen"), "linux,initrd-start", 0),
			 1024);
	for (int at = -1; (at = fdt_node_offset_by_compatible(fdt, at, "virtio,mmio")) >= 0; mmio++)
		assert_true(range_inside(cell64(at, "reg", 0), cell64(at, "reg", 1), ARM_VIRTIO_MMIO,
					 ARM_VIRTIO_MMIO_MAX * 0x1000));
	assert_int_equal(mmio, 2);

	vm_down();
	fake_kvm_reset();
	assert_int_equal(config_parse(&vm.cfg, ARRAY_SIZE(argv), (char **)(uintptr_t)argv, &help), 0);
	vm.cfg.mem_size = ARM_MEM;
	vm.configured = vm.up = true;
	assert_int_equal(kvm_up(&vm.kvm, &vm.cfg, "boot"), 0);
	take_tree(&vm.kvm.mem, arm_of(&vm.kvm)->dtb, arm_of(&vm.kvm)->dtb_size);
	assert_dtc();
	close(f.fd);
}

static void test_dtc_aarch32(void **state)
{
	static const char *const more[] = {"--aarch32", "--boot=flat", "--pmu", NULL};

	if (!have_dtc())
		skip();
	fake_kvm_set_cap(KVM_CAP_ARM_EL1_32BIT, 1);
	tree(more);
	assert_dtc();
}

/* What --dump-dtb writes is what the guest gets. */
static void test_dump(void **state)
{
	u64 size;
	u8 *data;
	int fd;

	tree(NULL);
	size = arm_of(&vm.kvm)->dtb_size;
	data = malloc(size + 1);
	assert_non_null(data);
	fd = open(dump, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, data, size + 1), (ssize_t)size);
	assert_memory_equal(data, fdt, size);
	close(fd);
	free(data);
}

static void test_dump_fails(void **state)
{
	static const char *const more[] = {"--dump-dtb", "/dev/full", NULL};
	static const char *const nowhere[] = {"--dump-dtb", "/nonexistent/file", NULL};
	int err;

	capture_begin(STDERR_FILENO);
	err = arm_up("boot", more);
	assert_one_line(capture_end(), "--dump-dtb /dev/full: ");
	assert_int_equal(err, -ENOSPC);
	capture_begin(STDERR_FILENO);
	err = arm_up("boot", nowhere);
	assert_one_line(capture_end(), "--dump-dtb /nonexistent/file: ");
	assert_int_equal(err, -ENOENT);
}

/* ---- what all have ---------------------------------------------------------------------------------------
 */

static void test_root(void **state)
{
	int at;

	tree(NULL);
	assert_int_equal(cell(0, "#address-cells", 0), 2);
	assert_int_equal(cell(0, "#size-cells", 0), 2);
	assert_int_equal(fdt_node_offset_by_phandle(fdt, cell(0, "interrupt-parent", 0)),
			 compatible("arm,gic-v3"));
	at = node("/memory@80000000");
	assert_string_equal(text(at, "device_type"), "memory");
	assert_int_equal(cells(at, "reg"), 4);
	assert_int_equal(cell64(at, "reg", 0), ARM_RAM);
	assert_int_equal(cell64(at, "reg", 1), ARM_MEM);
	at = node("/chosen");
	assert_string_equal(text(at, "bootargs"), "console=ttyS0 panic=-1");
	assert_int_equal(fdt_path_offset(fdt, text(at, "stdout-path")),
			 fdt_path_offset(fdt, "/serial@1000000"));
	assert_false(has(at, "linux,initrd-start"));
	prop(at, "kaslr-seed", 8);
	prop(at, "rng-seed", 64);
	at = node("/psci");
	assert_string_equal(text(at, "method"), "hvc");
	assert_int_equal(fdt_node_check_compatible(fdt, at, "arm,psci-0.2"), 0);
}

/* Both are getrandom()'s bytes; kaslr-seed as a number of 64 bits. */
static void test_seeds_known(void **state)
{
	u8 bytes[72];
	u64 kaslr;

	for (u32 i = 0; i < sizeof(bytes); i++)
		bytes[i] = (u8)(i + 1);
	memcpy(&kaslr, bytes, sizeof(kaslr));
	entropy = COUNTED;
	tree(NULL);
	assert_int_equal(cell64(node("/chosen"), "kaslr-seed", 0), kaslr);
	assert_memory_equal(prop(node("/chosen"), "rng-seed", 64), bytes + 8, 64);
}

/* Where there is none, or too little, a guest is told of none: a seed that is known is worse. */
static void test_no_entropy(void **state)
{
	for (entropy = SCARCE; entropy <= NONE; entropy++) {
		vm_down();
		tree(NULL);
		assert_false(has(node("/chosen"), "kaslr-seed"));
		assert_false(has(node("/chosen"), "rng-seed"));
		if (have_dtc())
			assert_dtc();
	}
}

/* No two VMs begin with the same entropy. */
static void test_seeds(void **state)
{
	u8 first[64];
	u64 kaslr;

	tree(NULL);
	memcpy(first, prop(node("/chosen"), "rng-seed", 64), sizeof(first));
	kaslr = cell64(node("/chosen"), "kaslr-seed", 0);
	assert_true(kaslr != 0);
	tree(NULL);
	assert_true(kaslr != cell64(node("/chosen"), "kaslr-seed", 0));
	assert_memory_not_equal(first, prop(node("/chosen"), "rng-seed", 64), sizeof(first));
}

/* As many as there are, each by its MPIDR, as KVM has it. */
static void test_cpus(void **state)
{
	static const char *const counts[] = {"1", "2", "17"};

	for (u32 k = 0; k < ARRAY_SIZE(counts); k++) {
		const char *const more[] = {"--irqchip", "gicv3", "-c", counts[k], NULL};
		u32 n = 0;
		int cpus, at;

		vm_down();
		fake_kvm_reset();
		tree(more);
		cpus = node("/cpus");
		assert_int_equal(cell(cpus, "#address-cells", 0), 2);
		assert_int_equal(cell(cpus, "#size-cells", 0), 0);
		fdt_for_each_subnode(at, fdt, cpus)
		{
			char name[32];
			u64 want = arm_reg64(n, ARM64_SYS_REG(3, 0, 0, 0, 5)) & 0xff00ffffffull;

			assert_int_equal(cell64(at, "reg", 0), want);
			snprintf(name, sizeof(name), "cpu@%" PRIx64, want);
			assert_string_equal(fdt_get_name(fdt, at, NULL), name);
			assert_string_equal(text(at, "device_type"), "cpu");
			assert_int_equal(has(at, "enable-method"), vm.cfg.cpus > 1);
			n++;
		}
		assert_int_equal(n, vm.cfg.cpus);
	}
}

/* Four interrupts: secure and non-secure physical, virtual, hypervisor. */
static void test_timer(void **state)
{
	static const u32 ppi[] = {13, 14, 11, 10};

	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++) {
		const char *const more[] = {"--irqchip", arm_chips[i].name, "-c", "3", "--pmu", NULL};
		u32 mask = arm_chips[i].type == KVM_DEV_TYPE_ARM_VGIC_V2 ? 0x700 : 0;
		int at;

		vm_down();
		fake_kvm_reset();
		tree(more);
		at = compatible("arm,armv8-timer");
		assert_int_equal(cells(at, "interrupts"), 12);
		for (u32 k = 0; k < 4; k++) {
			assert_int_equal(cell(at, "interrupts", 3 * k), 1);
			assert_int_equal(cell(at, "interrupts", 3 * k + 1), ppi[k]);
			assert_int_equal(cell(at, "interrupts", 3 * k + 2), 4 | mask);
		}
		/* KVM has been told the same. */
		assert_int_equal(fake_arm_cpu(fake_kvm_vcpu(fake_kvm_newest(), 1))->vtimer_irq, 16 + 11);
		assert_int_equal(fake_arm_cpu(fake_kvm_vcpu(fake_kvm_newest(), 1))->ptimer_irq, 16 + 14);
		at = compatible("arm,armv8-pmuv3");
		assert_int_equal(cell(at, "interrupts", 0), 1);
		assert_int_equal(cell(at, "interrupts", 1) + 16,
				 (u32)fake_arm_cpu(fake_kvm_vcpu(fake_kvm_newest(), 0))->pmu_irq);
		assert_int_equal(cell(at, "interrupts", 2), 4 | mask);
	}
	tree(NULL);
	assert_int_equal(fdt_node_offset_by_compatible(fdt, -1, "arm,armv8-pmuv3"), -FDT_ERR_NOTFOUND);
}

/* ---- irqchips --------------------------------------------------------------------------------------------
 */

static void assert_gic(int at, u32 pairs)
{
	assert_true(has(at, "interrupt-controller"));
	assert_int_equal(cell(at, "#interrupt-cells", 0), 3);
	assert_int_equal(cells(at, "reg"), 4 * pairs);
	assert_int_equal(cell64(at, "reg", 0), arm_fake_gic()->dist);
}

static void test_gicv2(void **state)
{
	static const char *const plain[] = {"--irqchip", "gicv2", NULL}, *const v2m[] = {"--irqchip",
											 "gicv2m", NULL};
	int at, frame;

	tree(plain);
	at = compatible("arm,cortex-a15-gic");
	assert_gic(at, 2);
	assert_int_equal(cell64(at, "reg", 1), 0x1000);
	assert_int_equal(cell64(at, "reg", 2), arm_fake_gic()->cpu);
	assert_int_equal(cell64(at, "reg", 3), 0x2000);
	assert_int_equal(fdt_first_subnode(fdt, at), -FDT_ERR_NOTFOUND);
	tree(v2m);
	at = compatible("arm,cortex-a15-gic");
	frame = fdt_first_subnode(fdt, at);
	assert_int_equal(fdt_node_check_compatible(fdt, frame, "arm,gic-v2m-frame"), 0);
	assert_true(has(frame, "msi-controller"));
	assert_int_equal(cell64(frame, "reg", 0), ARM_GIC_V2M);
	assert_int_equal(cell(frame, "arm,msi-base-spi", 0), 32 + ARM_V2M_LINE);
	assert_int_equal(cell(frame, "arm,msi-num-spis", 0), ARM_V2M_LINES);
	/* All of them are there. */
	assert_true(ARM_V2M_LINE + ARM_V2M_LINES <= arm_fake_gic()->nr_spis);
}

static void test_gicv3(void **state)
{
	static const char *const plain[] = {"--irqchip", "gicv3", "-c", "3", NULL};
	static const char *const many[] = {"--irqchip", "gicv3", "-c", "130", NULL};
	static const char *const with_its[] = {"--irqchip", "gicv3-its", NULL};
	int at, its;

	tree(plain);
	at = compatible("arm,gic-v3");
	assert_gic(at, 2);
	assert_int_equal(cell64(at, "reg", 1), 0x10000);
	assert_int_equal(cell64(at, "reg", 2), arm_fake_gic()->region[0].base);
	assert_int_equal(cell64(at, "reg", 3), 3 * 0x20000);
	assert_int_equal(cell(at, "#redistributor-regions", 0), 1);
	assert_int_equal(fdt_first_subnode(fdt, at), -FDT_ERR_NOTFOUND);
	tree(many);
	at = compatible("arm,gic-v3");
	assert_gic(at, 3);
	for (u32 i = 0; i < 2; i++) {
		const struct fake_region *r = &arm_fake_gic()->region[i];

		assert_int_equal(cell64(at, "reg", 2 + 2 * i), r->base);
		assert_int_equal(cell64(at, "reg", 3 + 2 * i), r->count * 0x20000ull);
	}
	assert_int_equal(cell(at, "#redistributor-regions", 0), 2);
	if (have_dtc())
		assert_dtc();
	tree(with_its);
	at = compatible("arm,gic-v3");
	its = fdt_first_subnode(fdt, at);
	assert_int_equal(fdt_node_check_compatible(fdt, its, "arm,gic-v3-its"), 0);
	assert_true(has(its, "msi-controller"));
	assert_int_equal(cell(its, "#msi-cells", 0), 1);
	assert_int_equal(cell64(its, "reg", 0), ARM_GIC_ITS);
	assert_int_equal(cell64(its, "reg", 1), 0x20000);
}

/* ---- devices
 * ----------------------------------------------------------------------------------------------- */

/* Each device node's frame is its own, and within the map; each line is one device's and one of the chip's.
 */
static void test_devices(void **state)
{
	struct {
		u64 base, size;
	} seen[32];
	u64 lines = 0;
	u32 n = 0;
	int at;

	tree(NULL);
	fdt_for_each_subnode(at, fdt, 0)
	{
		const char *name = fdt_get_name(fdt, at, NULL);

		if (!strncmp(name, "cpus", 4) || !has(at, "reg"))
			continue;
		for (u32 i = 0; i < cells(at, "reg") / 4; i++) {
			u64 base = cell64(at, "reg", 2 * i), size = cell64(at, "reg", 2 * i + 1);

			assert_true(size);
			for (u32 k = 0; k < n; k++)
				if (ranges_overlap(base, size, seen[k].base, seen[k].size))
					fail_msg("%s lies on another", name);
			assert_true(n < ARRAY_SIZE(seen));
			seen[n].base = base;
			seen[n++].size = size;
		}
		if (cells(at, "interrupts") == 3 && !cell(at, "interrupts", 0)) {
			u32 line = cell(at, "interrupts", 1);

			assert_true(line < ARM_NR_LINES);
			assert_false(lines >> line & 1);
			lines |= 1ull << line;
		}
	}
	assert_true(n > 8);
	/* Four UARTs, RTC, GPIO at the least. */
	assert_true(__builtin_popcountll(lines) >= 6);
	assert_int_equal(cell(node("/serial@1000000"), "interrupts", 1), ARM_IRQ_UART(0));
	assert_int_equal(cell64(node("/serial@1003000"), "reg", 0), ARM_UART(3));
	assert_int_equal(cell64(compatible("arm,pl031"), "reg", 0), ARM_RTC);
	assert_int_equal(cell64(compatible("arm,pl061"), "reg", 0), ARM_GPIO);
	/* Its clock, and the button's line, are nodes that are there. */
	assert_true(fdt_node_offset_by_phandle(fdt, cell(compatible("arm,pl031"), "clocks", 0)) > 0);
	at = fdt_first_subnode(fdt, compatible("gpio-keys"));
	assert_int_equal(fdt_node_offset_by_phandle(fdt, cell(at, "gpios", 0)), compatible("arm,pl061"));
	assert_int_equal(cell(at, "linux,code", 0), 116);
}

static bool range_is(int at, u32 i, u32 space, u64 pci, u64 cpu, u64 size)
{
	return cell(at, "ranges", 7 * i) == space && cell(at, "ranges", 7 * i + 1) == (u32)(pci >> 32) &&
	       cell(at, "ranges", 7 * i + 2) == (u32)pci &&
	       cell(at, "ranges", 7 * i + 3) == (u32)(cpu >> 32) &&
	       cell(at, "ranges", 7 * i + 4) == (u32)cpu &&
	       ((u64)cell(at, "ranges", 7 * i + 5) << 32 | cell(at, "ranges", 7 * i + 6)) == size;
}

/* Where its accesses come out, where its messages go, and which line each pin of each slot has. */
static void test_pci(void **state)
{
	static const char *const guest32[] = {"--aarch32", "--boot=flat", NULL};
	u64 window = 3ull << 38; /* of 40 bits the last quarter */
	u32 found = 0;
	int at;

	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++) {
		const char *name = arm_chips[i].name;
		const char *const more[] = {"--irqchip", name, NULL};
		bool msi = !strcmp(name, "gicv3-its") || !strcmp(name, "gicv2m");

		vm_down();
		fake_kvm_reset();
		tree(more);
		at = compatible("pci-host-ecam-generic");
		assert_int_equal(has(at, "msi-map"), msi);
		if (!msi)
			continue;
		found++;
		assert_true(has(fdt_node_offset_by_phandle(fdt, cell(at, "msi-map", 1)), "msi-controller"));
		assert_int_equal(cell(at, "msi-map", 0), 0);
		assert_int_equal(cell(at, "msi-map", 2), 0);
		assert_true(cell(at, "msi-map", 3) >= 256);
	}
	assert_int_equal(found, 2);
	tree(NULL);
	at = compatible("pci-host-ecam-generic");
	assert_int_equal(cell64(at, "reg", 0), ARM_ECAM);
	assert_int_equal(cell64(at, "reg", 1), ARM_ECAM_SIZE);
	assert_int_equal(cell64(at, "bus-range", 0), 0);
	assert_true(has(at, "dma-coherent"));
	assert_int_equal(cells(at, "ranges"), 21);
	assert_true(range_is(at, 0, 0x01000000, 0, ARM_PCI_IO, ARM_PCI_IO_SIZE));
	assert_true(range_is(at, 1, 0x02000000, ARM_PCI_MEM, ARM_PCI_MEM, ARM_PCI_MEM_SIZE));
	assert_true(range_is(at, 2, 0x43000000, window, window, 1ull << 38));
	assert_ptr_equal(bus_find(&vm.kvm.bus[BUS_MMIO], ARM_PCI_MEM)->dev,
			 device_find(&vm.kvm, &pci_host_ops, 0));
	assert_ptr_equal(bus_find(&vm.kvm.bus[BUS_MMIO], window)->dev,
			 device_find(&vm.kvm, &pci_host_ops, 0));
	assert_ptr_equal(bus_find(&vm.kvm.bus[BUS_MMIO], ARM_PCI_IO + 0xffff)->dev,
			 device_find(&vm.kvm, &pci_host_ops, 0));
	assert_int_equal(cells(at, "interrupt-map"), 32 * 10);
	for (u32 slot = 0; slot < 32; slot++)
		for (u8 pin = 1; pin <= 4; pin++) {
			u32 i = 0;

			while (cell(at, "interrupt-map", i) !=
				       (slot << 11 & cell(at, "interrupt-map-mask", 0)) ||
			       cell(at, "interrupt-map", i + 3) != (pin & cell(at, "interrupt-map-mask", 3)))
				i += 10;
			assert_int_equal(fdt_node_offset_by_phandle(fdt, cell(at, "interrupt-map", i + 4)),
					 compatible("arm,gic-v3"));
			assert_int_equal(cell(at, "interrupt-map", i + 7), 0); /* an SPI */
			assert_int_equal(cell(at, "interrupt-map", i + 8),
					 ARM_IRQ_PCI + pci_intx_line(PCI_DEVFN(slot, 0), pin));
			assert_int_equal(cell(at, "interrupt-map", i + 9), 4); /* level, active high */
		}
	/* A 32-bit guest is told of nothing that it may not reach. */
	vm_down();
	fake_kvm_reset();
	fake_kvm_set_cap(KVM_CAP_ARM_EL1_32BIT, 1);
	tree(guest32);
	assert_int_equal(cells(compatible("pci-host-ecam-generic"), "ranges"), 14);
}

static u32 extra; /* bytes of a device's property */

static int describe_much(const struct device *dev, struct fdt *f)
{
	u8 *bytes = calloc(1, extra);

	assert_non_null(bytes);
	dt_begin(f, "much");
	dt_bytes(f, "bytes", bytes, extra);
	dt_end(f);
	free(bytes);
	return f->err;
}

/* A tree of the machine, with so much of a device's in it: written, or refused by one line. */
static int write_much(u32 bytes)
{
	static const struct device_ops much = {.name = "much", .describe = describe_much};
	struct device dev = {.ops = &much, .kvm = &vm.kvm};
	int err;

	extra = bytes;
	list_add_tail(&vm.kvm.devices, &dev.link);
	err = arm_fdt_write(&vm.kvm, ARM_RAM + MiB(16), ARM_RAM + ARM_MEM);
	list_del(&dev.link);
	return err;
}

/* What a kernel takes is 2 MiB. A tree beyond that is dumped nowhere. */
static void test_limit(void **state)
{
	const char *all[20];
	struct stat st;
	u64 rest;
	int err;

	dump_options(all, NULL);
	assert_int_equal(truncate(dump, 0), 0);
	assert_int_equal(arm_up("devices", all), 0);
	assert_int_equal(write_much(1000), 0);
	rest = arm_of(&vm.kvm)->dtb_size - 1000;
	assert_int_equal(write_much(MiB(2) - (u32)rest - 64), 0);
	assert_int_equal(stat(dump, &st), 0);
	assert_int_equal(st.st_size, arm_of(&vm.kvm)->dtb_size);
	assert_true((u64)st.st_size > MiB(2) - 256 && (u64)st.st_size <= MiB(2));
	assert_int_equal(unlink(dump), 0);
	capture_begin(STDERR_FILENO);
	err = write_much(MiB(2) - (u32)rest + 64);
	assert_one_line(capture_end(),
			"the device tree is larger than 2 MiB, the most that a kernel takes; give "
			"the guest fewer vCPUs or devices\n");
	assert_int_equal(err, -E2BIG);
	assert_int_equal(stat(dump, &st), -1);
	assert_int_equal(make_bed(state), 0);
}

/* It grows beyond its first buffer, up to the size that it was given. */
static void test_too_large(void **state)
{
	u32 tiny = 6000;
	struct fdt f;

	assert_int_equal(arm_up("devices", NULL), 0);
	dt_init(&f, &vm.kvm, tiny);
	for (u32 i = 0; i < 400; i++) {
		dt_begin(&f, "n%u", i);
		dt_u32(&f, "v", i);
		dt_end(&f);
	}
	assert_int_equal(dt_finish(&f), -E2BIG);
	dt_free(&f);
	dt_init(&f, &vm.kvm, 1 << 20);
	for (u32 i = 0; i < 4000; i++) {
		dt_begin(&f, "n%u", i);
		dt_u32(&f, "v", i);
		dt_end(&f);
	}
	assert_int_equal(dt_finish(&f), 0);
	fdt = f.blob;
	assert_int_equal(fdt_check_full(fdt, dt_size(&f)), 0);
	assert_int_equal(cell(node("/n3999"), "v", 0), 3999);
	dt_free(&f);
}

#define FDT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, vm_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FDT_TEST(test_dtc),   FDT_TEST(test_dtc_more),	  FDT_TEST(test_dtc_aarch32),
		FDT_TEST(test_dump),  FDT_TEST(test_dump_fails),  FDT_TEST(test_root),
		FDT_TEST(test_seeds), FDT_TEST(test_seeds_known), FDT_TEST(test_no_entropy),
		FDT_TEST(test_cpus),  FDT_TEST(test_timer),	  FDT_TEST(test_gicv2),
		FDT_TEST(test_gicv3), FDT_TEST(test_devices),	  FDT_TEST(test_pci),
		FDT_TEST(test_limit), FDT_TEST(test_too_large),
	};

	return cmocka_run_group_tests(tests, make_bed, remove_bed);
}

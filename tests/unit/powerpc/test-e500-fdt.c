/* SPDX-License-Identifier: MIT */
/*
 * The e500 machine's device tree: dtc must take it without a word of complaint, and what it says must be what
 * KVM and the board have, in the words that Linux's early code looks for.
 */
#include "e500-boot-vm.h"

#include "dt-read.h"
#include <sys/stat.h>

/* A VM whose tree is in `fdt` and in the file `dump`. */
static void tree(const char *const *more)
{
	const char *all[20];

	dump_options(all, more);
	assert_int_equal(e500_booted(all), 0);
	take_tree(&vm.kvm.mem, ppc_of(&vm.kvm)->dtb, ppc_of(&vm.kvm)->dtb_size);
}

/* A node of the bus, by its name before the @. */
static int on_soc(const char *name, u64 addr)
{
	char path[64];

	snprintf(path, sizeof(path), "/soc@fe0000000/%s@%" PRIx64, name, addr);
	return node(path);
}

static void test_dtc(void **state)
{
	static const char *const cpus[] = {"1", "2", "17"}, *const chips[] = {"mpic-4.2", "mpic-2.0"};

	if (!have_dtc())
		skip();
	for (u32 i = 0; i < ARRAY_SIZE(chips); i++)
		for (u32 k = 0; k < ARRAY_SIZE(cpus); k++) {
			const char *const more[] = {"--irqchip", chips[i], "-c", cpus[k], "--testdev", NULL};

			e500_again();
			tree(more);
			assert_dtc();
		}
}

static void test_root(void **state)
{
	int at;

	tree(NULL);
	/* By this, Linux knows the platform (CONFIG_PPC_QEMU_E500). */
	assert_true(has_string(0, "compatible", "fsl,qemu-e500"));
	assert_int_equal(cell(0, "#address-cells", 0), 2);
	assert_int_equal(cell(0, "#size-cells", 0), 2);
	assert_int_equal(fdt_boot_cpuid_phys(fdt), 0);
	at = node("/memory@0");
	assert_string_equal(text(at, "device_type"), "memory");
	assert_int_equal(cell64(at, "reg", 0), 0);
	assert_int_equal(cell64(at, "reg", 1), E500_MEM);
	at = node("/chosen");
	assert_string_equal(text(at, "bootargs"), "console=ttyS0 panic=-1");
	assert_int_equal(fdt_path_offset(fdt, text(at, "stdout-path")), on_soc("serial", E500_UART(0)));
	assert_false(has(at, "linux,initrd-start"));
	prop(at, "rng-seed", 64);
}

static void test_initrd(void **state)
{
	struct vm_file f = vm_file("initrd", 6);
	const char *const more[] = {"-i", f.path, NULL};
	const struct ppc_machine *m;

	tree(more);
	m = ppc_of(&vm.kvm);
	assert_int_equal(cell64(node("/chosen"), "linux,initrd-start", 0), m->initrd);
	assert_int_equal(cell64(node("/chosen"), "linux,initrd-end", 0), m->initrd + m->initrd_size);
	assert_guest(m->initrd, "initrd\0\0", 8);
	assert_true(m->dtb + m->dtb_size <= m->initrd);
	close(f.fd);
}

/* One node a vCPU: the first runs, the others wait for a write that the spin table takes. */
static void test_cpus(void **state)
{
	static const char *const more[] = {"-c", "3", NULL};
	u32 n = 0;
	int at;

	tree(more);
	fdt_for_each_subnode(at, fdt, node("/cpus"))
	{
		u32 id = n++;

		assert_string_equal(text(at, "device_type"), "cpu");
		assert_int_equal(cell(at, "reg", 0), id);
		assert_true(cell(at, "timebase-frequency", 0) > 0);
		assert_true(cell(at, "clock-frequency", 0) > 0);
		assert_int_equal(cell(at, "d-cache-line-size", 0), 32);
		assert_int_equal(cell(at, "i-cache-line-size", 0), 32);
		assert_string_equal(text(at, "status"), id ? "disabled" : "okay");
		assert_int_equal(has(at, "enable-method"), id > 0);
		assert_int_equal(has(at, "cpu-release-addr"), id > 0);
		if (!id)
			continue;
		assert_string_equal(text(at, "enable-method"), "spin-table");
		guest_store(cell64(at, "cpu-release-addr", 0), 8, 0x4000);
		vm.kvm.machine->vcpu_enter(&vm.kvm.vcpu[id]);
		assert_int_equal(e500_fake_cpu(id)->regs.pc, 0x4000);
	}
	assert_int_equal(n, 3);
}

static void test_hypervisor(void **state)
{
	/* "KVM!" into r0, and a system call. */
	static const u8 code[16] = {0x3c, 0x00, 0x4b, 0x56, 0x60, 0x00, 0x4d, 0x21,
				    0x44, 0x00, 0x00, 0x02, 0x60, 0x00, 0x00, 0x00};
	int at;

	tree(NULL);
	at = node("/hypervisor");
	assert_true(has_string(at, "compatible", "linux,kvm"));
	assert_memory_equal(prop(at, "hcall-instructions", 16), code, 16);
	assert_true(has(at, "has-idle"));
	/* A kernel without paravirtual calls, which then has none to tell of. */
	fake_kvm_set_cap(KVM_CAP_PPC_GET_PVINFO, 0);
	tree(NULL);
	assert_true(fdt_path_offset(fdt, "/hypervisor") < 0);
}

/* ---- the bus ---------------------------------------------------------------------------------------- */

static void test_soc(void **state)
{
	int at, len;

	tree(NULL);
	at = node("/soc@fe0000000");
	/* get_immrbase() of Linux: the first of the ranges is CCSR, whatever else is there. */
	assert_string_equal(text(at, "device_type"), "soc");
	assert_true(has_string(at, "compatible", "simple-bus"));
	assert_int_equal(cell64(at, "ranges", 1), E500_CCSR);
	assert_non_null(fdt_getprop(fdt, at, "ranges", &len));
	/* One to one. */
	for (u32 i = 0; i < (u32)len / 24; i++)
		assert_int_equal(cell64(at, "ranges", 3 * i), cell64(at, "ranges", 3 * i + 1));
}

/* Every device of the bus is within the ranges that are handed down, and answers where it is said to be. */
static void test_reachable(void **state)
{
	static const char *const more[] = {"--testdev", NULL};
	int soc, at, len;
	u32 n = 0;

	tree(more);
	soc = node("/soc@fe0000000");
	fdt_for_each_subnode(at, fdt, soc)
	{
		u64 base = cell64(at, "reg", 0), size = cell64(at, "reg", 1);
		bool inside = false;

		fdt_getprop(fdt, soc, "ranges", &len);
		for (u32 i = 0; i < (u32)len / 24; i++)
			inside |= range_inside(base, size, cell64(soc, "ranges", 3 * i),
					       cell64(soc, "ranges", 3 * i + 2));
		if (!inside)
			fail_msg("%s lies outside the bus", fdt_get_name(fdt, at, NULL));
		/* The MPIC is the kernel's, and so are its registers of messages. */
		if (!range_inside(base, size, E500_MPIC, E500_MPIC_SIZE))
			guest_load(base, 1);
		n++;
	}
	/* Four UARTs, MPIC, global utilities, pvpanic. */
	assert_true(n >= 7);
}

static void test_uarts(void **state)
{
	tree(NULL);
	for (u32 i = 0; i < 4; i++) {
		int at = on_soc("serial", E500_UART(i));

		assert_true(has_string(at, "compatible", "ns16550a"));
		assert_string_equal(text(at, "device_type"), "serial");
		assert_true(cell(at, "clock-frequency", 0) > 0);
		assert_int_equal(cell(at, "interrupts", 0), E500_IRQ_UART(i));
		assert_int_equal(cell(at, "interrupts", 1), 2);
	}
}

static void test_irqchip(void **state)
{
	int at;

	tree(NULL);
	at = on_soc("pic", E500_MPIC);
	assert_int_equal(cell(0, "interrupt-parent", 0), fdt_get_phandle(fdt, at));
	assert_int_equal(cell64(at, "reg", 0), mpic()->base);
}

/* What it says of reset and power-off does so. */
static void test_power(void **state)
{
	int guts, off;
	u64 base;

	tree(NULL);
	guts = on_soc("global-utilities", E500_GUTS);
	assert_true(has_string(guts, "compatible", "fsl,mpc8548-guts"));
	assert_true(has_string(guts, "compatible", "syscon"));
	assert_true(has(guts, "fsl,has-rstcr"));
	assert_true(has(guts, "big-endian"));
	off = fdt_subnode_offset(fdt, guts, "power-off");
	assert_string_equal(text(off, "compatible"), "syscon-poweroff");
	assert_int_equal(cell(off, "regmap", 0), fdt_get_phandle(fdt, guts));
	base = cell64(guts, "reg", 0);
	guest_store(base + cell(off, "offset", 0), 4, cell(off, "value", 0));
	assert_int_equal(atomic_load(&vm.kvm.end), VM_POWEROFF);
	tree(NULL);
	/* fsl_rstcr_restart() of Linux. */
	guest_store(base + 0xb0, 4, 2);
	assert_int_equal(atomic_load(&vm.kvm.end), VM_RESET);
}

static void test_virtio(void **state)
{
	static u8 disk[4096];
	struct vm_file f = vm_file(disk, sizeof(disk));
	const char *const more[] = {"-d", f.path, "--virtio-transport", "mmio", NULL};
	int at;

	tree(more);
	at = fdt_node_offset_by_compatible(fdt, -1, "virtio,mmio");
	assert_true(at > 0);
	assert_int_equal(fdt_parent_offset(fdt, at), node("/soc@fe0000000"));
	assert_true(cell64(at, "reg", 0) >= E500_VIRTIO_MMIO);
	assert_true(cell(at, "interrupts", 0) >= E500_IRQ_VIRTIO);
	assert_true(cell(at, "interrupts", 0) < E500_IRQ_VIRTIO + E500_VIRTIO_MMIO_MAX);
	/* "virt", little-endian as all of virtio is. */
	assert_int_equal(guest_load(cell64(at, "reg", 0), 4), 0x76697274);
	close(f.fd);
}

static void test_dump(void **state)
{
	static const char *const nowhere[] = {"--dump-dtb", "/nonexistent/file", NULL};
	u64 size;
	struct stat st;
	int err;

	tree(NULL);
	size = ppc_of(&vm.kvm)->dtb_size;
	assert_int_equal(stat(dump, &st), 0);
	assert_int_equal(st.st_size, size);
	capture_begin(STDERR_FILENO);
	err = e500_booted(nowhere);
	assert_one_line(capture_end(), "--dump-dtb /nonexistent/file: ");
	assert_int_equal(err, -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		E500_TEST(test_dtc),	   E500_TEST(test_root),       E500_TEST(test_initrd),
		E500_TEST(test_cpus),	   E500_TEST(test_hypervisor), E500_TEST(test_soc),
		E500_TEST(test_reachable), E500_TEST(test_uarts),      E500_TEST(test_irqchip),
		E500_TEST(test_power),	   E500_TEST(test_virtio),     E500_TEST(test_dump),
	};

	return cmocka_run_group_tests(tests, make_bed, remove_bed);
}

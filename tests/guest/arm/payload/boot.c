// SPDX-License-Identifier: MIT
/*
 * What the loader hands over (Documentation/arm64/booting.rst): registers, the device tree and what it says
 * of RAM, command line and initrd. Tells the facts, for the case to compare with what it asked for, and
 * checks what must hold always. "flat": the image has no header, and lies 512 KiB into RAM. "initrd=N": how
 * long it must be.
 */
#include "fdt.h"

extern u8 image_start[], image_end[];
static u32 bss_was_cleared[64];
static volatile u32 data_was_loaded = 0x600dda7a;

static bool in_ram(u64 addr, u64 size)
{
	return addr >= boot.ram && addr + size <= boot.ram + boot.ram_size;
}

static bool apart(u64 a, u64 a_end, u64 b, u64 b_end)
{
	return a_end <= b || b_end <= a;
}

static void registers(void)
{
	const struct entry *e = &boot.entry;

	check_eq(e->pc, (ulong)image_start, "entered at the image's first byte");
	check_eq(e->pc, RAM + (has_word("flat") ? 0x80000 : 0), "which is where the boot protocol has it");
	check_eq(e->x1 | e->x2 | e->x3, 0, "x1, x2 and x3 are 0");
	check_eq(e->el, 1 << 2, "exception level 1");
	check_eq(e->daif, 0xf << 6, "debug exceptions, SErrors, IRQs and FIQs are masked");
	check_eq(e->sctlr & 5, 0, "MMU and data cache are off");
	check_eq(cpu_affinity(), 0, "the first vCPU's affinity is 0.0.0.0");
	check(read_sysreg("cntfrq_el0") != 0, "the counter has a frequency");
	printf("= cntfrq %lu\n= midr 0x%lx\n", read_sysreg("cntfrq_el0"), read_sysreg("midr_el1"));
}

static void cpus(void)
{
	bool ascending = true, psci = true;

	for (struct node n = fdt_next(fdt_root()); n.at; n = fdt_next(n))
		if (fdt_has_string(n, "device_type", "cpu"))
			psci = psci && fdt_has_string(n, "enable-method", "psci");
	for (u32 i = 1; i < boot.nr_cpus; i++)
		ascending = ascending && boot.affinity[i] > boot.affinity[i - 1];
	check(boot.nr_cpus > 0, "the tree has a vCPU");
	check_eq(boot.affinity[0], cpu_affinity(), "the first of the tree is the one we run on");
	check(ascending, "each has an affinity of its own");
	check(psci || boot.nr_cpus == 1, "each is started by PSCI");
	check(fdt_has_string(fdt_child("psci"), "method", "hvc"), "PSCI is called by HVC");
	check(fdt_has_string(fdt_child("psci"), "compatible", "arm,psci-0.2"), "PSCI is 0.2 or later");
	printf("= cpus %u\n", boot.nr_cpus);
}

static void tree(void)
{
	u64 at = boot.entry.x0, end = at + fdt_size((const void *)at);
	u64 console = 0;
	struct node uart = fdt_compatible(fdt_root(), "ns16550a"), timer;

	check_eq(at & 7, 0, "the device tree is 8-byte aligned");
	check(end - at <= 2 << 20, "and not larger than 2 MiB");
	check(at >> 21 == (end - 1) >> 21,
	      "and within one block of 2 MiB, which is all a kernel maps at first");
	check(in_ram(at, end - at), "and in RAM");
	check(apart(at, end, (ulong)image_start, (ulong)image_end), "and not in the image, its BSS included");
	check_eq(fdt_cell(fdt_root(), "#address-cells", 0, 0), 2, "the root's addresses have two cells");
	check_eq(fdt_cell(fdt_root(), "#size-cells", 0, 0), 2, "and its sizes");
	check_eq(boot.ram, RAM, "RAM begins where it should");
	printf("= ram 0x%lx\n", boot.ram_size);
	check(in_ram((ulong)image_start, (u64)(image_end - image_start)), "the image is in RAM");
	check(uart.at && fdt_reg(uart, 0, &console, NULL), "there is a serial port");
	check_eq(console, UART, "and it is the one this line comes by");
	timer = fdt_compatible(fdt_root(), "arm,armv8-timer");
	check(timer.at, "there is a timer");
	check_eq(fdt_cell(timer, "interrupts", 4, 0), 14, "the physical timer is PPI 14");
	check_eq(fdt_cell(timer, "interrupts", 7, 0), 11, "the virtual timer is PPI 11");
	cpus();
}

static void initrd(void)
{
	u64 at = boot.initrd, end = boot.initrd_end, tree_at = boot.entry.x0;

	printf("= initrd %lu %u\n", end - at, end > at ? crc32((const u8 *)at, end - at) : 0);
	if (!at)
		return;
	check(end > at, "the initrd ends behind its begin");
	check(in_ram(at, end - at), "the initrd is in RAM");
	check(apart(at, end, (ulong)image_start, (ulong)image_end), "and not in the image, its BSS included");
	check(apart(at, end, tree_at, tree_at + fdt_size((const void *)tree_at)),
	      "and not in the device tree");
	/* booting.rst: all of both within 32 GiB, and within 1 GiB where they can. */
	check((end - 1 - RAM) >> 35 == 0, "and within 32 GiB of the image");
}

void main(void)
{
	u32 set = 0;

	for (u32 i = 0; i < ARRAY_SIZE(bss_was_cleared); i++)
		set |= bss_was_cleared[i];
	check_eq(set, 0, "BSS is zero");
	check_eq(data_was_loaded, 0x600dda7a, "data is loaded");
	printf("= cmdline [%s]\n= cmdline_length %lu\n", boot.cmdline, (u64)strlen(boot.cmdline));
	registers();
	tree();
	initrd();
	finish();
}

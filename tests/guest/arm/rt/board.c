// SPDX-License-Identifier: MIT
/*
 * The board as every payload needs it: console (8250), exit register, PSCI, and what the device tree says
 * of RAM, vCPUs and of what we were started with.
 */
#include "fdt.h"

#define UART_THR  (UART + 0)
#define UART_LSR  (UART + 5)
#define LSR_EMPTY 0x20

void putch(char c)
{
	while (!(read8(UART_LSR) & LSR_EMPTY))
		cpu_relax();
	write8(UART_THR, (u8)c);
}

void exit_with(u32 code)
{
	write32(EXIT, code);
	halt();
}

void halt(void)
{
	for (;;)
		asm volatile("msr daifset, #15\n\twfi" : : : "memory");
}

long psci(u64 function, u64 a, u64 b, u64 c)
{
	register u64 x0 asm("x0") = function;
	register u64 x1 asm("x1") = a;
	register u64 x2 asm("x2") = b;
	register u64 x3 asm("x3") = c;

	/* SMCCC 1.0: x4 to x17 are not kept. */
	asm volatile("hvc #0"
		     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
		     :
		     : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
		       "x17", "memory");
	return (long)x0;
}

/* An address, as one cell or two. */
static u64 chosen_address(struct node chosen, const char *name)
{
	u32 len = 0;

	if (!fdt_prop(chosen, name, &len))
		return 0;
	if (len == 4)
		return fdt_cell(chosen, name, 0, 0);
	return (u64)fdt_cell(chosen, name, 0, 0) << 32 | fdt_cell(chosen, name, 1, 0);
}

static void note_cpu(struct node cpu, u32 cells)
{
	u64 reg = fdt_cell(cpu, "reg", 0, 0);

	if (cells == 2)
		reg = reg << 32 | fdt_cell(cpu, "reg", 1, 0);
	if (boot.nr_cpus < MAX_CPUS)
		boot.affinity[boot.nr_cpus++] = reg;
}

void boot_init(void)
{
	struct node n;

	boot.cmdline = "";
	if (!fdt_valid((const void *)boot.entry.x0)) {
		printf("not ok x0 is a device tree\n# x0 is 0x%lx\n", boot.entry.x0);
		exit_with(98);
	}
	n = fdt_child("chosen");
	if (n.at) {
		const char *args = fdt_prop(n, "bootargs", NULL);

		if (args)
			boot.cmdline = args;
		boot.initrd = chosen_address(n, "linux,initrd-start");
		boot.initrd_end = chosen_address(n, "linux,initrd-end");
	}
	for (n = fdt_next(fdt_root()); n.at; n = fdt_next(n)) {
		if (fdt_has_string(n, "device_type", "memory") && !boot.ram_size)
			fdt_reg(n, 0, &boot.ram, &boot.ram_size);
		if (fdt_has_string(n, "device_type", "cpu"))
			note_cpu(n, fdt_cell(fdt_child("cpus"), "#address-cells", 0, 1));
	}
}

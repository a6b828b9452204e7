/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* devices/pci.c and hw/pci-host.c: configuration space by both its ways, and the bridge's ACPI description.
 */
/* WRAP: irq_set_line irq_claim kvm_end kvm_guest_panicked */
#include "board.h"
#include <lkvm/pci.h>

#define CF8  0xcf8
#define CFC  0xcfc
#define ECAM 0xe0000000ull
#define LINE 16

static const struct board_device table[] = {
	{.ops = &pci_host_ops, .bus = BUS_PIO, .base = CF8, .mmio = ECAM, .line = LINE},
	{.ops = NULL},
};

/* A function of the tests' own. */
static struct pci_function extra;

static void windows(const struct kvm *kvm, struct pci_windows *win)
{
	*win = (struct pci_windows){.mem32 = {0xc1000000, 0x1f000000},
				    .mem64 = {1ull << 38, 1ull << 38},
				    .io = {0xc000, 0x4000},
				    .io_bus = BUS_PIO,
				    .io_at = 0xc000};
}

static int setup(void **state)
{
	static const struct pci_ident ident = {
		.vendor = 0x1af4,
		.device = 0x1042,
		.subsystem_vendor = 0x1af4,
		.subsystem = 2,
		.class = 0x018000,
		.revision = 1,
		.pin = 1,
	};

	board_init(table);
	board.machine.pci_windows = windows;
	board_up();
	pci_function_init(&extra, board_device(&pci_host_ops), &ident);
	assert_int_equal(pci_register(pci_host_bus(&board.kvm), &extra, PCI_ANY_SLOT), 0);
	return 0;
}

static int teardown(void **state)
{
	pci_unregister(&extra);
	board_down();
	return 0;
}

static void select_reg(u8 devfn, u8 reg)
{
	board_write(BUS_PIO, CF8, 0x80000000u | (u32)devfn << 8 | (reg & 0xfc), 4);
}

static u32 conf_read(u8 devfn, u8 reg, u32 len)
{
	select_reg(devfn, reg);
	return (u32)board_read(BUS_PIO, CFC + (reg & 3), len);
}

static void conf_write(u8 devfn, u8 reg, u32 v, u32 len)
{
	select_reg(devfn, reg);
	board_write(BUS_PIO, CFC + (reg & 3), v, len);
}

static u64 ecam_at(u8 devfn, u32 reg)
{
	return ECAM + ((u64)devfn << 12) + reg;
}

static void test_host_bridge(void **state)
{
	assert_int_equal(conf_read(0, PCI_VENDOR_ID, 4), 0x00081b36);
	assert_int_equal(conf_read(0, PCI_CLASS_REVISION, 4), 0x06000000);
	assert_int_equal(conf_read(0, PCI_CLASS_DEVICE, 2), 0x0600);
	assert_int_equal(conf_read(0, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(conf_read(0, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(conf_read(0, PCI_STATUS, 2), 0);
	for (u8 reg = PCI_BASE_ADDRESS_0; reg <= PCI_BASE_ADDRESS_5; reg += 4) {
		conf_write(0, reg, UINT32_MAX, 4); /* no BARs */
		assert_int_equal(conf_read(0, reg, 4), 0);
	}
	/* No extended space: a conventional function. */
	assert_int_equal(board_read(BUS_MMIO, ecam_at(0, 0x100), 4), UINT32_MAX);
	assert_int_equal(board_read(BUS_MMIO, ecam_at(0, 0xfc), 8) >> 32, UINT32_MAX);
}

static void test_config_address(void **state)
{
	/* How Linux finds this mechanism (pci_check_type1). */
	outb(0xcfb, 0x01);
	board_write(BUS_PIO, CF8, 0x80000000, 4);
	assert_int_equal(board_read(BUS_PIO, CF8, 4), 0x80000000);
	board_write(BUS_PIO, CF8, UINT32_MAX, 4);
	assert_int_equal(board_read(BUS_PIO, CF8, 4), 0x80fffffc);
	/* Only double words. */
	board_write(BUS_PIO, CF8, 0x1234, 2);
	outb(CF8, 0x12);
	assert_int_equal(board_read(BUS_PIO, CF8, 4), 0x80fffffc);
	assert_int_equal(board_read(BUS_PIO, CF8, 2), 0xffff);
	assert_int_equal(inb(0xcfa), 0xff);
	assert_int_equal(board_read(BUS_PIO, 0xcfa, 4), UINT32_MAX); /* across both registers */
	/* Not enabled; another bus. */
	board_write(BUS_PIO, CF8, 0, 4);
	assert_int_equal(board_read(BUS_PIO, CFC, 4), UINT32_MAX);
	board_write(BUS_PIO, CF8, 0x80010000, 4);
	assert_int_equal(board_read(BUS_PIO, CFC, 4), UINT32_MAX);
	board_write(BUS_PIO, CF8, 0x80000000, 4);
	assert_int_equal(board_read(BUS_PIO, CFC, 4), 0x00081b36);
}

static void test_absent_functions(void **state)
{
	u32 found = 0;

	for (u32 devfn = 0; devfn < 256; devfn++) {
		u32 id = conf_read((u8)devfn, 0, 4);

		assert_int_equal(board_read(BUS_MMIO, ecam_at((u8)devfn, 0), 4), id);
		found += id != UINT32_MAX;
		if (id == UINT32_MAX)
			conf_write((u8)devfn, PCI_COMMAND, 7, 2);
	}
	assert_int_equal(found, 2);
	assert_int_equal(conf_read(PCI_DEVFN(1, 0), 0, 4), 0x10421af4);
	assert_int_equal(extra.devfn, PCI_DEVFN(1, 0));
}

static void test_widths(void **state)
{
	u8 devfn = extra.devfn;

	for (u32 i = 0; i < PCI_CFG_SPACE_SIZE; i++)
		extra.config[i] = (u8)(i * 7);
	for (u32 reg = 0; reg < 256; reg++)
		for (u32 len = 1; len <= 4 - (reg & 3); len++)
			for (u32 i = 0; i < len; i++)
				assert_int_equal(conf_read(devfn, (u8)reg, len) >> 8 * i & 0xff,
						 extra.config[reg + i]);
	for (u32 reg = 0; reg < PCI_CFG_SPACE_SIZE; reg += 3)
		for (u32 len = 1; len <= 8 && reg + len <= PCI_CFG_SPACE_SIZE; len++)
			for (u32 i = 0; i < len; i++)
				assert_int_equal(board_read(BUS_MMIO, ecam_at(devfn, reg), len) >> 8 * i &
							 0xff,
						 extra.config[reg + i]);
	/* Over the end of the function's space: nothing is there. */
	assert_int_equal(board_read(BUS_MMIO, ecam_at(devfn, 0xfe), 4) >> 16, 0xffff);
	assert_int_equal(board_read(BUS_MMIO, ecam_at(0, 0xffc), 8), UINT64_MAX);
}

static void test_masks(void **state)
{
	u8 devfn = extra.devfn;

	conf_write(devfn, PCI_VENDOR_ID, 0, 4);
	conf_write(devfn, PCI_CLASS_REVISION, 0, 4);
	assert_int_equal(conf_read(devfn, PCI_VENDOR_ID, 4), 0x10421af4);
	assert_int_equal(conf_read(devfn, PCI_CLASS_REVISION, 4), 0x01800001);
	assert_int_equal(conf_read(devfn, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x00021af4);
	conf_write(devfn, PCI_COMMAND, 0xffff, 2);
	assert_int_equal(conf_read(devfn, PCI_COMMAND, 2), 0x0547);
	conf_write(devfn, PCI_INTERRUPT_LINE, 0x1110, 2);
	assert_int_equal(conf_read(devfn, PCI_INTERRUPT_LINE, 2), 0x0110);
	/* Status bits go away by a written 1, and by nothing else. */
	pci_put16(extra.config, PCI_STATUS, PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_CAP_LIST);
	conf_write(devfn, PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
	assert_int_equal(conf_read(devfn, PCI_STATUS, 2), PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_CAP_LIST);
	conf_write(devfn, PCI_COMMAND, 0xffff0002, 4);
	assert_int_equal(conf_read(devfn, PCI_COMMAND, 4), PCI_STATUS_CAP_LIST << 16 | 2);
	pci_function_reset(&extra);
	assert_int_equal(conf_read(devfn, PCI_COMMAND, 4), 0);
	assert_int_equal(conf_read(devfn, PCI_INTERRUPT_LINE, 1), 0);
	/* By ECAM, at any width. */
	board_write(BUS_MMIO, ecam_at(devfn, PCI_COMMAND), 0x6, 1);
	assert_int_equal(conf_read(devfn, PCI_COMMAND, 2), 6);
}

static void test_register(void **state)
{
	static const struct pci_ident ident = {.vendor = 1, .device = 2};
	static struct pci_function fn[40];
	struct pci_bus *bus = pci_host_bus(&board.kvm);
	struct device *dev = board_device(&pci_host_ops);
	u32 made = 0;

	pci_function_init(&fn[0], dev, &ident);
	assert_int_equal(pci_register(bus, &fn[0], extra.devfn), -EBUSY);
	assert_int_equal(pci_register(bus, &fn[0], 256), -EINVAL);
	assert_int_equal(pci_register(bus, &fn[0], PCI_DEVFN(9, 1)), -EINVAL); /* without function 0 */
	assert_int_equal(pci_register(bus, &fn[0], PCI_DEVFN(1, 3)), 0);
	assert_int_equal(conf_read(extra.devfn, PCI_HEADER_TYPE, 1), 0x80); /* multi-function now */
	assert_int_equal(pci_register(bus, &fn[0], PCI_ANY_SLOT), -EINVAL); /* registered already */
	for (made = 1; made < 40; made++) {
		pci_function_init(&fn[made], dev, &ident);
		if (pci_register(bus, &fn[made], PCI_ANY_SLOT))
			break;
	}
	assert_int_equal(made, 31); /* slots 2 to 31 */
	assert_int_equal(pci_register(bus, &fn[made], PCI_ANY_SLOT), -ENOSPC);
	while (made--)
		pci_unregister(&fn[made]);
	assert_int_equal(conf_read(PCI_DEVFN(2, 0), 0, 4), UINT32_MAX);
}

static void test_reset_control(void **state)
{
	/* How Linux resets by it (reboot=p). */
	u8 old = inb(0xcf9) & (u8)~0x0e;

	outb(0xcf9, old | 2);
	assert_int_equal(board.ends, 0);
	assert_int_equal(inb(0xcf9), 2);
	outb(0xcf9, old | 0x0e);
	assert_int_equal(board.ends, 1);
	assert_int_equal(board.end, VM_RESET);
	board_reset(&pci_host_ops);
	assert_int_equal(inb(0xcf9), 0);
	outb(0xcf9, 0x06);
	assert_int_equal(board.ends, 2);
	/* No other width or port resets. */
	board_reset(&pci_host_ops);
	board_write(BUS_PIO, 0xcf9, 0x0606, 2);
	board_write(BUS_PIO, CF8, 0x06060606, 4);
	board_write(BUS_PIO, CF8, 0x0606, 2);
	outb(0xcfa, 6);
	assert_int_equal(board.ends, 2);
}

static void test_hostile(void **state)
{
	board_hammer(BUS_PIO, CF8, 8, 50000);
	board_hammer(BUS_MMIO, ECAM, MiB(1), 50000);
	board_hammer(BUS_MMIO, ecam_at(extra.devfn, 0), 4096, 50000);
	assert_int_equal(conf_read(0, 0, 4), 0x00081b36);
	assert_int_equal(conf_read(extra.devfn, 0, 4), 0x10421af4);
}

static void test_state(void **state)
{
	struct buf saved = {0};

	conf_write(0, PCI_COMMAND, 0x0006, 2);
	select_reg(0, PCI_INTERRUPT_LINE);
	board_save(&pci_host_ops, STATE_SAVE, &saved);
	board_reset(&pci_host_ops);
	assert_int_equal(conf_read(0, PCI_COMMAND, 2), 0);
	assert_int_equal(board_restore(&pci_host_ops, saved.data, saved.len), 0);
	assert_int_equal(board_read(BUS_PIO, CF8, 4), 0x8000003c);
	assert_int_equal(conf_read(0, PCI_COMMAND, 2), 6);
	buf_free(&saved);
	board_restore_hostile(&pci_host_ops);
	/* What a device is does not come out of a file. */
	assert_int_equal(conf_read(0, 0, 4), 0x00081b36);
}

static void test_acpi(void **state)
{
	static const u8 ecam[] = {0x86, 9, 0, 1, 0, 0, 0, 0xe0, 0, 0, 0x10, 0};
	static const u8 mem32[] = {0, 0, 0, 0xc1, 0xff, 0xff, 0xff, 0xdf, 0, 0, 0, 0, 0, 0, 0, 0x1f};
	/* Slot 1, INTA: GSI 17. Slot 31, INTD: (31 + 3) % 8 = 2, so 18. */
	static const u8 slot1[] = {0x0c, 0xff, 0xff, 1, 0, 0, 0, 0x0a, 17};
	static const u8 slot31[] = {0x0c, 0xff, 0xff, 31, 0, 0x0a, 3, 0, 0x0a, 18};
	struct buf aml = {0};

	board_aml(&pci_host_ops, &aml);
	assert_true(buf_holds(&aml, ecam, sizeof(ecam)));
	assert_true(buf_holds(&aml, mem32, sizeof(mem32)));
	assert_true(buf_holds(&aml, slot1, sizeof(slot1)));
	assert_true(buf_holds(&aml, slot31, sizeof(slot31)));
	assert_true(buf_holds(&aml, "_OSC", 4));
	buf_free(&aml);
	for (u32 i = 0; i < BOARD_LINES; i++)
		assert_int_equal(board.claimed[i], i >= LINE && i < LINE + PCI_INTX_LINES);
}

/* A board that wires no INTx and has ECAM alone. */
static void test_no_ports(void **state)
{
	static const struct board_device bare[] = {
		{.ops = &pci_host_ops, .bus = BUS_NONE, .mmio = 0x4010000000, .line = IRQ_NONE},
		{.ops = NULL},
	};
	struct buf aml = {0};

	board_init(bare);
	board_up();
	assert_int_equal(board_read(BUS_MMIO, 0x4010000000, 4), 0x00081b36);
	board_aml(&pci_host_ops, &aml);
	assert_false(buf_holds(&aml, "_PRT", 4));
	buf_free(&aml);
	board_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_host_bridge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absent_functions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_widths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_masks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_register, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_control, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_acpi, setup, teardown),
		cmocka_unit_test(test_no_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

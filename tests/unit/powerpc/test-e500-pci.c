/* SPDX-License-Identifier: MIT */
/*
 * The PCI host bridge of the e500 board: configuration space by its two registers, its windows, interrupts of
 * either kind through to the MPIC; what the device tree says of it; its state, and what a hostile guest does.
 */
#include "e500-boot-vm.h"

#include "dt-read.h"
#include <linux/pci_regs.h>
#include <lkvm/pci.h>
#include <lkvm/state.h>

#define ADDRESS	 E500_PCI
#define DATA	 (E500_PCI + 4)
#define ENABLE	 0x80000000u
#define TESTDEV	 1 /* its slot */
#define RNG	 2
#define BAR_AT	 0xc4000000u
#define MSIX_AT	 0xc5000000u
#define SPURIOUS 0xffffu

static void up(void)
{
	static const char *const more[] = {"--testdev", "--rng", NULL};

	assert_int_equal(e500_booted(more), 0);
}

/* ---- the guest: the address is big-endian, data is little-endian as the bus is ------------------------- */

static u32 little(u64 v, u32 len)
{
	return len == 4 ? __builtin_bswap32((u32)v) : len == 2 ? __builtin_bswap16((u16)v) : (u32)v;
}

static u32 config_read(u32 slot, u32 reg, u32 len)
{
	guest_store(ADDRESS, 4, ENABLE | slot << 11 | (reg & ~3u));
	return little(guest_load(DATA + (reg & 3), len), len);
}

static void config_write(u32 slot, u32 reg, u32 len, u32 v)
{
	guest_store(ADDRESS, 4, ENABLE | slot << 11 | (reg & ~3u));
	guest_store(DATA + (reg & 3), len, little(v, len));
}

/* A register of the test device's, by the CPU's window. */
static u32 reg_load(u32 bus_addr)
{
	return little(guest_load(E500_PCI_MEM + (bus_addr - E500_PCI_MEM_BUS), 4), 4);
}

static void reg_store(u32 bus_addr, u32 v)
{
	guest_store(E500_PCI_MEM + (bus_addr - E500_PCI_MEM_BUS), 4, little(v, 4));
}

static void place_testdev(void)
{
	config_write(TESTDEV, PCI_BASE_ADDRESS_0, 4, BAR_AT);
	config_write(TESTDEV, PCI_BASE_ADDRESS_4, 4, MSIX_AT);
	config_write(TESTDEV, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* ---- configuration space ------------------------------------------------------------------------------- */

static void test_config(void **state)
{
	up();
	/* The bridge is Freescale's. */
	assert_int_equal(config_read(0, PCI_VENDOR_ID, 2), 0x1957);
	assert_int_equal(config_read(RNG, PCI_VENDOR_ID, 4), 0x10441af4);
	assert_int_equal(config_read(RNG, PCI_DEVICE_ID, 2), 0x1044);
	assert_int_equal(config_read(RNG, PCI_VENDOR_ID + 1, 1), 0x1a);
	config_write(RNG, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(config_read(RNG, PCI_COMMAND, 2), 6);
	config_write(RNG, PCI_INTERRUPT_LINE, 1, 0x77);
	assert_int_equal(config_read(RNG, PCI_INTERRUPT_LINE, 1), 0x77);
	/* The address reads back, without the bits that it does not have. */
	guest_store(ADDRESS, 4, 0xffffffff);
	assert_int_equal(guest_load(ADDRESS, 4), 0x80fffffc);
}

/* Nobody there: all ones, and writes go nowhere. */
static void test_nobody(void **state)
{
	static const u32 addresses[] = {
		ENABLE | 9u << 11,		  /* an empty slot */
		ENABLE | 1u << 16 | RNG << 11,	  /* another bus */
		ENABLE | 0xffu << 16 | RNG << 11, /* likewise */
		ENABLE | RNG << 11 | 1u << 8,	  /* a function that is not there */
		RNG << 11,			  /* not enabled */
	};

	up();
	for (u32 i = 0; i < ARRAY_SIZE(addresses); i++) {
		guest_store(ADDRESS, 4, addresses[i] | PCI_INTERRUPT_LINE);
		guest_store(DATA, 1, 0x55);
		assert_int_equal(guest_load(DATA, 4), 0xffffffff);
		assert_int_equal(guest_load(DATA, 1), 0xff);
	}
	assert_int_not_equal(config_read(RNG, PCI_INTERRUPT_LINE, 1), 0x55);
	/* Accesses that hang over the register's end, or are of a width that nobody has. */
	config_write(RNG, PCI_INTERRUPT_LINE, 1, 0x11);
	guest_store(ADDRESS, 4, ENABLE | RNG << 11 | PCI_INTERRUPT_LINE);
	guest_store(DATA + 2, 4, ~0u);
	guest_store(ADDRESS + 2, 4, 0);
	guest_store(DATA, 8, ~0ull);
	assert_int_equal(config_read(RNG, PCI_INTERRUPT_LINE, 1), 0x11);
	/* The rest of the page. */
	for (u32 at = 8; at < E500_PCI_SIZE; at += 4)
		guest_load(E500_PCI + at, 4);
	assert_int_equal(guest_load(E500_PCI + 0xbf8, 4), 0);
}

/* ---- windows
 * ------------------------------------------------------------------------------------------------ */

/* Its registers stand there; a BAR is where the bus has it, by the CPU's window, and nowhere else. */
static void test_windows(void **state)
{
	/* Translation, its extension, base, its extension, attributes. */
	static const struct {
		u32 at, bits;
	} regs[] = {
		/* What no other window takes has no base. */
		{0xc00, 0xffffff},
		{0xc04, 0xfffff},
		{0xc08, 0},
		{0xc0c, 0},
		{0xc10, 0xffffffff},
		{0xc20, 0xffffff},
		{0xc24, 0xfffff},
		{0xc28, 0xffffff},
		{0xc2c, 0},
		{0xc30, 0xffffffff},
		{0xc88, 0xffffff},
		{0xc90, 0xffffffff},
		{0xc14, 0},
		{0xca0, 0},
		{0xd80, 0},
		/* Inbound ones. */
		{0xda0, 0xffffff},
		{0xda4, 0},
		{0xda8, 0xffffff},
		{0xdac, 0xfffff},
		{0xdb0, 0xffffffff},
		{0xde0, 0xffffff},
		{0xdf0, 0xffffffff},
		{0xe00, 0},
	};
	u8 data[4] = {0};

	up();
	for (u32 i = 0; i < ARRAY_SIZE(regs); i++) {
		guest_store(E500_PCI + regs[i].at, 4, 0xffffffff);
		assert_int_equal(guest_load(E500_PCI + regs[i].at, 4), regs[i].bits);
	}
	place_testdev();
	reg_store(BAR_AT, 0x12345678);
	assert_int_equal(reg_load(BAR_AT), 0x12345678);
	config_write(TESTDEV, PCI_BASE_ADDRESS_0, 4, BAR_AT + 0x100000);
	assert_int_equal(reg_load(BAR_AT + 0x100000), 0x12345678);
	assert_int_equal(reg_load(BAR_AT), ~0u);
	/* At its bus address there is memory, or nothing. */
	bus_access(&vm.kvm, &vm.kvm.vcpu[0], BUS_MMIO, BAR_AT + 0x100000, data, 4, false);
	assert_memory_not_equal(data, "\x78\x56\x34\x12", 4);
	config_write(TESTDEV, PCI_COMMAND, 2, 0);
	assert_int_equal(reg_load(BAR_AT + 0x100000), ~0u);
}

/* ---- interrupts
 * --------------------------------------------------------------------------------------------- */

static void test_intx(void **state)
{
	const u8 *map;
	int at, len;
	u32 line = 0;

	up();
	take_tree(&vm.kvm.mem, ppc_of(&vm.kvm)->dtb, ppc_of(&vm.kvm)->dtb_size);
	at = fdt_node_offset_by_compatible(fdt, -1, "fsl,mpc8540-pci");
	map = fdt_getprop(fdt, at, "interrupt-map", &len);
	assert_non_null(map);
	/* The slot's pin A, as the guest finds it: unit address, pin, controller, its cells. */
	for (u32 i = 0; i < (u32)len / 4 && !line; i += 5 + DT_IRQCHIP_ADDRESS_CELLS + 2)
		if (cell(at, "interrupt-map", i) == TESTDEV << 11 && cell(at, "interrupt-map", i + 3) == 1)
			line = cell(at, "interrupt-map", i + 5 + DT_IRQCHIP_ADDRESS_CELLS);
	assert_true(line >= E500_IRQ_PCI && line < E500_IRQ_VIRTIO);
	place_testdev();
	guest_enables(line, VECTOR(8, line), 1);
	fake_mpic_write(fake_kvm_newest(), CTPR(0), 0);
	reg_store(BAR_AT + 4, 1);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), line);
	reg_store(BAR_AT + 4, 0);
	fake_mpic_eoi(fake_kvm_newest(), 0);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), SPURIOUS);
}

static void test_msix(void **state)
{
	u32 cap;

	up();
	place_testdev();
	cap = config_read(TESTDEV, PCI_CAPABILITY_LIST, 1);
	while (cap && config_read(TESTDEV, cap, 1) != PCI_CAP_ID_MSIX)
		cap = config_read(TESTDEV, cap + 1, 1);
	assert_int_not_equal(cap, 0);
	/* As Linux's fsl_msi.c numbers them: bit 5 of the first register but one, at CCSR's place on the bus.
	 */
	reg_store(MSIX_AT, 0x00041740);
	reg_store(MSIX_AT + 4, 0);
	reg_store(MSIX_AT + 8, 1 << 5 | 5);
	reg_store(MSIX_AT + 12, 0);
	config_write(TESTDEV, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	guest_enables(E500_IRQ_MSI + 1, VECTOR(8, 0xe1), 1);
	fake_mpic_write(fake_kvm_newest(), CTPR(0), 0);
	reg_store(BAR_AT + 0xc, 0);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), 0xe1);
	assert_int_equal(fake_mpic_read(fake_kvm_newest(), MSIR(1)), 1u << 5);
	/* Through an irqfd. */
	fake_mpic_eoi(fake_kvm_newest(), 0);
	reg_store(BAR_AT + 0x10, 0);
	fake_kvm_irqfds(fake_kvm_newest());
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), 0xe1);
}

/* ---- the device tree, state ------------------------------------------------------------------------------
 */

static void test_describe(void **state)
{
	int pci, msi;

	up();
	take_tree(&vm.kvm.mem, ppc_of(&vm.kvm)->dtb, ppc_of(&vm.kvm)->dtb_size);
	pci = fdt_node_offset_by_compatible(fdt, -1, "fsl,mpc8540-pci");
	assert_true(pci > 0);
	assert_int_equal(cell64(pci, "reg", 0), E500_PCI);
	/* Seven cells a range: ports, then memory. */
	assert_int_equal(cell(pci, "ranges", 0), 0x01000000);
	assert_int_equal((u64)cell(pci, "ranges", 3) << 32 | cell(pci, "ranges", 4), E500_PCI_IO);
	assert_int_equal(cell(pci, "ranges", 7), 0x02000000);
	assert_int_equal(cell(pci, "ranges", 9), (u32)E500_PCI_MEM_BUS);
	assert_int_equal((u64)cell(pci, "ranges", 10) << 32 | cell(pci, "ranges", 11), E500_PCI_MEM);
	msi = fdt_node_offset_by_compatible(fdt, -1, "fsl,mpic-msi");
	assert_true(msi > 0);
	assert_int_equal(cell(pci, "fsl,msi", 0), fdt_get_phandle(fdt, msi));
	assert_int_equal(cell64(msi, "reg", 0), E500_MPIC + 0x1600);
	assert_int_equal(cell64(msi, "reg", 2), E500_MPIC + 0x1740);
	assert_int_equal(cell(msi, "msi-available-ranges", 1), 256);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(cell(msi, "interrupts", 2 * i), 224 + i);
}

static struct device *bridge(void)
{
	struct device *dev;

	list_for_each (dev, &vm.kvm.devices, link)
		if (dev->ops == &e500_pci_ops)
			return dev;
	fail_msg("no bridge");
	return NULL;
}

static void test_state(void **state)
{
	struct buf saved = {0};
	struct state s;

	up();
	guest_store(ADDRESS, 4, ENABLE | RNG << 11);
	guest_store(E500_PCI + 0xc28, 4, 0xabcdef);
	guest_store(E500_PCI + 0xdf0, 4, 0xa0f5501e);
	state_init_out(&s, STATE_SAVE, &saved);
	assert_int_equal(e500_pci_ops.state(bridge(), &s), 0);
	assert_int_equal(state_finish(&s, "pci"), 0);
	up();
	assert_int_equal(guest_load(ADDRESS, 4), 0);
	state_init_in(&s, saved.data, saved.len);
	e500_pci_ops.state(bridge(), &s);
	assert_int_equal(state_finish(&s, "pci"), 0);
	assert_int_equal(guest_load(DATA, 2), 0xf41a);
	assert_int_equal(guest_load(E500_PCI + 0xc28, 4), 0xabcdef);
	assert_int_equal(guest_load(E500_PCI + 0xdf0, 4), 0xa0f5501e);
	e500_pci_ops.reset(bridge());
	assert_int_equal(guest_load(ADDRESS, 4), 0);
	assert_int_equal(guest_load(E500_PCI + 0xc28, 4), 0);
	/* Bits that the registers do not have are not put there by a state either. */
	memset(saved.data + saved.len - 4, 0xff, 4);
	state_init_in(&s, saved.data, saved.len);
	e500_pci_ops.state(bridge(), &s);
	assert_int_equal(state_finish(&s, "pci"), 0);
	buf_free(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		E500_TEST(test_config), E500_TEST(test_nobody), E500_TEST(test_windows),
		E500_TEST(test_intx),	E500_TEST(test_msix),	E500_TEST(test_describe),
		E500_TEST(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

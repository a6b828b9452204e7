/* SPDX-License-Identifier: MIT */
/*
 * The PCI host bridge of the pseries machine: configuration space and messages by RTAS, well-meant and not;
 * where the CPU finds its windows; what the device tree says of it and of each function; its state.
 */
#include "pseries-boot-vm.h"

#include "chip-state.h"
#include "dt-read.h"
#include <lkvm/bus.h>
#include <lkvm/device.h>
#include <lkvm/pci.h>
#include <powerpc/phb.h>

#define SLOT(n)	    ((u32)(n) << 11)
#define HI	    (u32)(PHB_BUID >> 32)
#define LO	    (u32) PHB_BUID
#define FIRST	    PSERIES_FIRST_MSI
#define TESTDEV	    1 /* its slot: MSI of four, MSI-X of four */
#define RNG	    2
#define H_PUT_TCE   0x20
#define H_STUFF_TCE 0x13c

enum { F_CHANGE = 1, F_RESET, F_MSI, F_MSIX, F_MSI32 };

static void up(void)
{
	static const char *const more[] = {"--testdev", "--rng", NULL};

	assert_int_equal(pseries_booted(more), 0);
}

/* ---- the guest ---------------------------------------------------------------------------------- */

static u32 config_read(u32 addr, u32 size, s32 status)
{
	const u32 args[] = {addr, HI, LO, size};

	assert_int_equal(rtas("ibm,read-pci-config", 4, args, 2), H_SUCCESS);
	assert_int_equal((s32)rets[0], status);
	return rets[1];
}

static void config_write(u32 addr, u32 size, u32 v, s32 status)
{
	const u32 args[] = {addr, HI, LO, size, v};

	assert_int_equal(rtas("ibm,write-pci-config", 5, args, 1), H_SUCCESS);
	assert_int_equal((s32)rets[0], status);
}

/* The status; how many there are now is in rets[1]. */
static s32 change(u32 addr, u32 function, u32 nr)
{
	const u32 args[] = {addr, HI, LO, function, nr, 1};

	assert_int_equal(rtas("ibm,change-msi", 6, args, 4), H_SUCCESS);
	return (s32)rets[0];
}

static s32 query(u32 addr, u32 index)
{
	const u32 args[] = {addr, HI, LO, index};

	assert_int_equal(rtas("ibm,query-interrupt-source-number", 4, args, 3), H_SUCCESS);
	return (s32)rets[0];
}

static u32 source_of(u32 addr, u32 index)
{
	assert_int_equal(query(addr, index), 0);
	assert_int_equal(rets[2], 1); /* an edge */
	return rets[1];
}

static struct pci_function *function_in(u32 slot)
{
	struct pci_function *fn = pci_host_bus(&vm.kvm)->function[slot << 3];

	assert_non_null(fn);
	return fn;
}

static u32 cap_of(u32 slot, u8 id)
{
	u32 at = config_read(SLOT(slot) | PCI_CAPABILITY_LIST, 1, 0);

	while (at && config_read(SLOT(slot) | at, 1, 0) != id)
		at = config_read(SLOT(slot) | (at + 1), 1, 0);
	assert_int_not_equal(at, 0);
	return at;
}

/* An entry of a function's MSI-X table. */
static void msix_entry(u32 slot, u32 i, u64 *address, u32 *data)
{
	u32 cap = cap_of(slot, PCI_CAP_ID_MSIX),
	    table = config_read(SLOT(slot) | (cap + PCI_MSIX_TABLE), 4, 0);
	u8 e[16];

	for (u32 k = 0; k < 16; k += 4)
		pci_bar_access(function_in(slot), table & 7, (table & ~7u) + 16 * i + k, e + k, 4, false);
	*address = 0;
	for (u32 k = 8; k-- > 0;)
		*address = *address << 8 | e[k];
	*data = e[8] | (u32)e[9] << 8 | (u32)e[10] << 16 | (u32)e[11] << 24;
}

/* ---- configuration space ------------------------------------------------------------------------ */

static void test_config(void **state)
{
	const u32 old[] = {SLOT(RNG) | PCI_VENDOR_ID, 4};

	up();
	assert_int_equal(config_read(SLOT(RNG) | PCI_VENDOR_ID, 2, 0), 0x1af4);
	assert_int_equal(config_read(SLOT(RNG) | PCI_VENDOR_ID, 4, 0), 0x10441af4);
	assert_int_equal(config_read(SLOT(RNG) | (PCI_VENDOR_ID + 1), 1, 0), 0x1a);
	assert_int_equal(rtas("read-pci-config", 2, old, 2), H_SUCCESS);
	assert_true(rets[0] == 0 && rets[1] == 0x10441af4);
	config_write(SLOT(RNG) | PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	assert_int_equal(config_read(SLOT(RNG) | PCI_COMMAND, 2, 0), 6);
	config_write(SLOT(RNG) | PCI_INTERRUPT_LINE, 1, 0x1ff, 0);
	assert_int_equal(config_read(SLOT(RNG) | PCI_INTERRUPT_LINE, 4, 0) & 0xffff, 0x1ff);
}

static void test_hostile_config(void **state)
{
	static const u32 addrs[] = {
		SLOT(9),    1u << 16 | SLOT(RNG), 0xffu << 16, SLOT(RNG) | 1u << 8, 1u << 28 | SLOT(RNG),
		0xf0000000u};
	static const u32 sizes[] = {0, 3, 5, 8, ~0u};
	u32 args[] = {SLOT(RNG), HI, LO, 4, 0};

	up();
	for (u32 i = 0; i < ARRAY_SIZE(addrs); i++) {
		config_read(addrs[i], 4, -3);
		config_write(addrs[i], 4, 0, -3);
		assert_int_equal(change(addrs[i], F_MSIX, 1), -3);
		assert_int_equal(query(addrs[i], 0), -3);
	}
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		config_read(SLOT(RNG), sizes[i], -3);
		config_write(SLOT(RNG), sizes[i], 0, -3);
	}
	config_read(SLOT(RNG) | 1, 2, -3);
	config_read(SLOT(RNG) | 2, 4, -3);
	/* Another bridge's name. */
	args[1]++;
	assert_int_equal(rtas("ibm,read-pci-config", 4, args, 2), H_SUCCESS);
	assert_int_equal((s32)rets[0], -3);
	assert_int_equal(rtas("ibm,write-pci-config", 5, args, 1), H_SUCCESS);
	assert_int_equal((s32)rets[0], -3);
}

/* ---- windows ------------------------------------------------------------------------------------ */

static u64 moved_to;

static void record_move(struct pci_function *fn, u32 bar, u64 base)
{
	if (!bar)
		moved_to = base;
}

/* A 32-bit BAR has a bus address; the CPU finds it elsewhere, and so do ioeventfds, which go where it goes.
 */
static void test_windows(void **state)
{
	u8 data[4] = {1};
	u32 bar;
	u64 cpu;

	up();
	bar = config_read(SLOT(RNG) | PCI_BASE_ADDRESS_0, 4, 0) & ~0xfu;
	assert_true(bar >= PSERIES_PCI_MEM32_BUS);
	cpu = PSERIES_PCI_MEM32 + (bar - PSERIES_PCI_MEM32_BUS);
	function_in(RNG)->bar_moved = record_move;
	config_write(SLOT(RNG) | PCI_COMMAND, 2, PCI_COMMAND_MEMORY, 0);
	assert_int_equal(moved_to, cpu);
	/* device_feature_select is what was written. */
	bus_access(&vm.kvm, &vm.kvm.vcpu[0], BUS_MMIO, cpu, data, 4, true);
	memset(data, 0, sizeof(data));
	bus_access(&vm.kvm, &vm.kvm.vcpu[0], BUS_MMIO, cpu, data, 4, false);
	assert_int_equal(data[0], 1);
	config_write(SLOT(RNG) | PCI_BASE_ADDRESS_0, 4, bar + MiB(512), 0);
	assert_int_equal(moved_to, cpu + MiB(512));
	memset(data, 0, sizeof(data));
	bus_access(&vm.kvm, &vm.kvm.vcpu[0], BUS_MMIO, cpu + MiB(512), data, 4, false);
	assert_int_equal(data[0], 1);
	/* At its bus address there is no PCI. */
	memset(data, 0x77, sizeof(data));
	bus_access(&vm.kvm, &vm.kvm.vcpu[0], BUS_MMIO, bar + MiB(512), data, 4, false);
	assert_int_not_equal(data[0], 1);
	config_write(SLOT(RNG) | PCI_COMMAND, 2, 0, 0);
	assert_true(moved_to == PCI_BAR_OFF);
}

/* ---- messages -------------------------------------------------------------------------------------- */

static void test_msix(void **state)
{
	u64 address;
	u32 data;

	up();
	assert_int_equal(query(SLOT(RNG), 0), -3);
	assert_int_equal(change(SLOT(RNG), F_MSIX, 2), 0);
	assert_true(rets[1] == 2 && rets[3] == 2);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(source_of(SLOT(RNG), i), FIRST + i);
		msix_entry(RNG, i, &address, &data);
		assert_int_equal(address, PSERIES_MSI_DOORBELL);
		assert_int_equal(data, FIRST + i);
		assert_true(fake_xive_of(fake_kvm_newest())->source[FIRST + i].valid);
	}
	assert_int_equal(query(SLOT(RNG), 2), -3);
	assert_int_equal(query(SLOT(RNG), ~0u), -3);
	/* Another function has others; the first that is free again is given again. */
	assert_int_equal(change(SLOT(TESTDEV), F_MSIX, 3), 0);
	assert_int_equal(source_of(SLOT(TESTDEV), 0), FIRST + 2);
	assert_int_equal(change(SLOT(RNG), F_MSI, 0), 0);
	assert_int_equal(rets[1], 0);
	assert_int_equal(query(SLOT(RNG), 0), -3);
	msix_entry(RNG, 0, &address, &data);
	assert_true(!address && !data);
	assert_int_equal(change(SLOT(RNG), F_MSIX, 1), 0);
	assert_int_equal(source_of(SLOT(RNG), 0), FIRST);
	/* More than it has: as many as it has. Linux asks again for fewer then. */
	assert_int_equal(change(SLOT(TESTDEV), F_MSIX, 4096), 0);
	assert_int_equal(rets[1], 4);
	assert_int_equal(change(SLOT(TESTDEV), F_RESET, 7), 0);
	assert_int_equal(rets[1], 0);
}

static void test_msi(void **state)
{
	u32 cap, flags;

	up();
	assert_int_equal(change(SLOT(RNG), F_MSIX, 1), 0);
	cap = cap_of(TESTDEV, PCI_CAP_ID_MSI);
	assert_int_equal(change(SLOT(TESTDEV), F_MSI, 4), 0);
	assert_true(rets[1] == 4 && rets[3] == 1);
	/* The function puts the message's number into the data's lowest bits. */
	assert_int_equal(source_of(SLOT(TESTDEV), 0), FIRST + 4);
	assert_int_equal(source_of(SLOT(TESTDEV), 3), FIRST + 7);
	assert_int_equal(config_read(SLOT(TESTDEV) | (cap + PCI_MSI_ADDRESS_LO), 4, 0),
			 (u32)PSERIES_MSI_DOORBELL);
	assert_int_equal(config_read(SLOT(TESTDEV) | (cap + PCI_MSI_ADDRESS_HI), 4, 0),
			 (u32)(PSERIES_MSI_DOORBELL >> 32));
	assert_int_equal(config_read(SLOT(TESTDEV) | (cap + PCI_MSI_DATA_64), 2, 0), FIRST + 4);
	flags = config_read(SLOT(TESTDEV) | (cap + PCI_MSI_FLAGS), 2, 0);
	assert_int_equal((flags & PCI_MSI_FLAGS_QSIZE) >> 4, 2);
	/* Three are not to be had: two. */
	assert_int_equal(change(SLOT(TESTDEV), F_CHANGE, 3), 0);
	assert_int_equal(rets[1], 2);
	assert_int_equal(source_of(SLOT(TESTDEV), 0), FIRST + 2);
	/* The other kind takes their place. */
	assert_int_equal(change(SLOT(TESTDEV), F_MSIX, 1), 0);
	assert_int_equal(config_read(SLOT(TESTDEV) | (cap + PCI_MSI_ADDRESS_HI), 4, 0), 0);
	/* The doorbell is beyond 32 bits; the generator has no MSI at all. */
	assert_int_equal(change(SLOT(TESTDEV), F_MSI32, 1), -3);
	assert_int_equal(change(SLOT(RNG), F_MSI, 1), -3);
	assert_int_equal(change(SLOT(RNG), 0, 1), -3);
	assert_int_equal(change(SLOT(RNG), 6, 1), -3);
	assert_int_equal(change(SLOT(RNG), ~0u, 0), -3);
	/* What is refused changes nothing. */
	assert_int_equal(source_of(SLOT(RNG), 0), FIRST);
}

/* A source that KVM will not make: none is given, and the call fails. */
static struct phb *phb(void)
{
	struct device *dev;

	list_for_each (dev, &vm.kvm.devices, link)
		if (dev->ops == &phb_ops)
			return container_of(dev, struct phb, dev);
	fail_msg("no PHB");
	return NULL;
}

/* Lines run out: fewer, or none and a status that says so; a function's own are its to have again. */
static void test_no_more_lines(void **state)
{
	static const struct {
		u32 taken, function, nr, have;
	} cases[] = {
		{PHB_MSIS - 4, F_MSIX, 4, 4}, {PHB_MSIS - 3, F_MSIX, 4, 2}, {PHB_MSIS - 1, F_MSIX, 4, 1},
		{PHB_MSIS - 1, F_MSIX, 3, 1}, {PHB_MSIS - 3, F_MSI, 4, 2},  {PHB_MSIS - 1, F_MSI, 4, 1},
	};
	struct phb_msi *other;

	up();
	other = &phb()->msi[31 << 3];
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		other->first = FIRST;
		other->nr = (u16)cases[i].taken;
		assert_int_equal(change(SLOT(TESTDEV), cases[i].function, cases[i].nr), 0);
		assert_int_equal(rets[1], cases[i].have);
		assert_true(source_of(SLOT(TESTDEV), 0) >= FIRST + cases[i].taken);
		assert_int_equal(query(SLOT(TESTDEV), cases[i].have), -3);
		/* The same once more. */
		assert_int_equal(change(SLOT(TESTDEV), cases[i].function, cases[i].nr), 0);
		assert_int_equal(rets[1], cases[i].have);
	}
	other->nr = PHB_MSIS;
	assert_int_equal(change(SLOT(TESTDEV), F_MSIX, 4), -1);
	assert_int_equal(query(SLOT(TESTDEV), 0), -3);
	other->nr = 0;
	assert_int_equal(change(SLOT(TESTDEV), F_MSIX, 4), 0);
	assert_int_equal(rets[1], 4);
}

static void test_source_fails(void **state)
{
	static const char *const more[] = {"--testdev", "--rng", "--irqchip", "xics", NULL};

	assert_int_equal(pseries_booted(more), 0);
	fake_kvm_fail_arg(KVM_SET_DEVICE_ATTR, FAKE_ATTR(KVM_DEV_XICS_GRP_SOURCES, FIRST + 1), ENOMEM);
	capture_begin(STDERR_FILENO);
	assert_int_equal(change(SLOT(RNG), F_MSIX, 2), -1);
	assert_one_line(capture_end(), "GRP_SOURCES");
	assert_int_equal(query(SLOT(RNG), 0), -3);
	assert_int_equal(change(SLOT(RNG), F_MSIX, 1), 0);
	assert_int_equal(source_of(SLOT(RNG), 0), FIRST);
	assert_true(fake_xics_of(fake_kvm_newest())->source[FIRST].exists);
	assert_false(fake_xics_of(fake_kvm_newest())->source[FIRST].lsi);
}

/* ---- the translation table ---------------------------------------------------------------------- */

static void test_tce(void **state)
{
	up();
	assert_int_equal(hcall(H_PUT_TCE, PHB_LIOBN, 0x1000, 3, 0), H_SUCCESS);
	assert_int_equal(hcall(H_STUFF_TCE, PHB_LIOBN, 0, 0, PHB_DMA_WINDOW >> 12), H_SUCCESS);
	assert_int_equal(hcall(H_PUT_TCE, PHB_LIOBN + 1, 0x1000, 3, 0), H_PARAMETER);
	assert_int_equal(hcall(H_PUT_TCE, PHB_LIOBN, PHB_DMA_WINDOW, 3, 0), H_PARAMETER);
	assert_int_equal(hcall(H_PUT_TCE, PHB_LIOBN, ~0ull, 3, 0), H_PARAMETER);
	assert_int_equal(hcall(H_STUFF_TCE, PHB_LIOBN, 0x1000, 0, PHB_DMA_WINDOW >> 12), H_P2);
	assert_int_equal(hcall(H_STUFF_TCE, PHB_LIOBN, 0, 0, ~0ull), H_P2);
	assert_int_equal(hcall(H_STUFF_TCE, PHB_LIOBN, 0, 0, 1ull << 52), H_P2);
	assert_int_equal(hcall(0x138, PHB_LIOBN, 0, 0, 513), H_PARAMETER);
}

/* ---- the device tree ---------------------------------------------------------------------------- */

static void test_describe(void **state)
{
	int phb, rng, len;

	up();
	fdt = guest_ptr(&vm.kvm.mem, ppc_of(&vm.kvm)->dtb, ppc_of(&vm.kvm)->dtb_size);
	phb = fdt_node_offset_by_compatible(fdt, -1, "IBM,Logical_PHB");
	assert_true(phb > 0);
	assert_true(cell(phb, "reg", 0) == HI && cell(phb, "reg", 1) == LO);
	assert_int_equal(cell(phb, "ibm,pe-total-#msi", 0), PHB_MSIS);
	assert_int_equal(cell(phb, "ibm,dma-window", 0), PHB_LIOBN);
	/* Seven cells a range: ports, 32-bit memory, 64-bit memory. */
	assert_int_equal(cell(phb, "ranges", 7), 0x02000000);
	assert_int_equal(cell(phb, "ranges", 9), (u32)PSERIES_PCI_MEM32_BUS);
	assert_int_equal((u64)cell(phb, "ranges", 10) << 32 | cell(phb, "ranges", 11), PSERIES_PCI_MEM32);
	rng = fdt_subnode_offset(fdt, phb, "pci@2");
	assert_true(rng > 0);
	assert_int_equal(cell(rng, "reg", 0), SLOT(RNG));
	assert_int_equal(cell(rng, "vendor-id", 0), 0x1af4);
	assert_int_equal(cell(rng, "device-id", 0), 0x1044);
	assert_int_equal(cell(rng, "interrupts", 0), 1);
	assert_int_equal(cell(rng, "ibm,req#msi-x", 0), 2);
	assert_null(fdt_getprop(fdt, rng, "ibm,req#msi", &len));
	/* Where its BARs are is what configuration space says. */
	assert_int_equal(cell(rng, "assigned-addresses", 0), 0x82000000 | SLOT(RNG) | PCI_BASE_ADDRESS_0);
	assert_int_equal(cell(rng, "assigned-addresses", 2),
			 config_read(SLOT(RNG) | PCI_BASE_ADDRESS_0, 4, 0) & ~0xfu);
	assert_int_equal(cell(fdt_subnode_offset(fdt, phb, "pci@1"), "ibm,req#msi", 0), 4);
}

/* ---- state -------------------------------------------------------------------------------------- */

static struct device *phb_device(void)
{
	struct device *dev = device_find(&vm.kvm, &phb_ops, 0);

	assert_non_null(dev);
	return dev;
}

static struct buf save_phb(void)
{
	struct buf out = {0};
	struct state s;

	state_init_out(&s, STATE_SAVE, &out);
	assert_int_equal(phb_ops.state(phb_device(), &s), 0);
	assert_int_equal(state_finish(&s, "phb"), 0);
	return out;
}

static int restore_phb(const void *data, size_t len)
{
	struct state s;

	state_init_in(&s, data, len);
	phb_ops.state(phb_device(), &s);
	return state_finish(&s, "phb");
}

static void test_state(void **state)
{
	struct buf first, again;

	up();
	assert_int_equal(change(SLOT(RNG), F_MSIX, 2), 0);
	assert_int_equal(change(SLOT(TESTDEV), F_MSI, 4), 0);
	first = save_phb();
	up();
	assert_int_equal(change(SLOT(TESTDEV), F_MSIX, 2), 0);
	assert_int_equal(restore_phb(first.data, first.len), 0);
	again = save_phb();
	assert_same(&first, &again);
	assert_int_equal(source_of(SLOT(RNG), 1), FIRST + 1);
	assert_int_equal(source_of(SLOT(TESTDEV), 3), FIRST + 7);
	buf_free(&again);
	/* Any byte of it may be anything: what is taken is lines of messages, each once. */
	for (size_t i = 0; i < first.len; i++) {
		u8 was = first.data[i];

		first.data[i] ^= 0x55;
		capture_begin(STDERR_FILENO);
		(void)!restore_phb(first.data, first.len);
		capture_end();
		first.data[i] = was;
		for (u32 slot = TESTDEV; slot <= RNG; slot++)
			for (u32 k = 0; k < 8; k++)
				if (!query(SLOT(slot), k))
					assert_true(rets[1] >= FIRST && rets[1] < PSERIES_NR_LINES);
	}
	for (size_t len = 0; len < first.len; len++) {
		capture_begin(STDERR_FILENO);
		assert_true(restore_phb(first.data, len) < 0);
		assert_one_line(capture_end(), "phb");
	}
	buf_free(&first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PSERIES_TEST(test_config),	 PSERIES_TEST(test_hostile_config),
		PSERIES_TEST(test_windows),	 PSERIES_TEST(test_msix),
		PSERIES_TEST(test_msi),		 PSERIES_TEST(test_no_more_lines),
		PSERIES_TEST(test_source_fails), PSERIES_TEST(test_tce),
		PSERIES_TEST(test_describe),	 PSERIES_TEST(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

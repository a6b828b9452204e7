/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* devices/pci-bar.c, and of devices/pci.c what functions have besides: capabilities, the pin, watches. */
/* WRAP: irq_set_line irq_claim kvm_end kvm_guest_panicked */
#include "pci-bed.h"

#define REG(bar)   (PCI_BASE_ADDRESS_0 + 4 * (bar))
#define MEM	   PCI_COMMAND_MEMORY
#define IO	   PCI_COMMAND_IO
#define MEM64_SIZE MiB(64)

/* What a BAR was asked. */
struct trace {
	u32 count;
	u64 offset;
	u32 len;
	bool write;
	u64 value;
};

/* BARs 0: memory below 4 GiB; 1: ports; 2 and 3: 64-bit, small; 4 and 5: 64-bit, large. */
static struct owner {
	struct device dev;
	struct pci_function fn;
	struct trace trace[PCI_MAX_BARS];
	u32 moves;
	u64 moved_to[PCI_MAX_BARS];
} one, two;

static void owner_io(struct device *dev, struct io *io, void *arg)
{
	struct trace *t = arg;

	/* With its own lock, and without the bus's or the bridge's. */
	assert_int_not_equal(pthread_mutex_trylock(&dev->lock), 0);
	assert_int_equal(pthread_mutex_trylock(&bed_bus()->lock), 0);
	pthread_mutex_unlock(&bed_bus()->lock);
	assert_int_equal(pthread_mutex_trylock(&board_device(&pci_host_ops)->lock), 0);
	pthread_mutex_unlock(&board_device(&pci_host_ops)->lock);
	t->count++;
	t->offset = io->offset;
	t->len = io->len;
	t->write = io->write;
	if (io->write)
		t->value = io_value(io);
	else
		io_reply(io, 0x1122334455667788 + (u64)(t - (dev == &one.dev ? one.trace : two.trace)));
}

static void owner_moved(struct pci_function *fn, u32 bar, u64 base)
{
	struct owner *o = container_of(fn, struct owner, fn);

	assert_int_not_equal(pthread_mutex_trylock(&bed_bus()->lock), 0);
	/* Never two of them at one place, not even on the way. */
	for (u32 i = 0; i < PCI_MAX_BARS && base != PCI_BAR_OFF; i++)
		for (u32 other = 0; other < 2; other++) {
			struct owner *p = other ? &two : &one;

			if (p->fn.bus && p->fn.bar[i].type == fn->bar[bar].type && (p != o || i != bar))
				assert_int_not_equal(p->moved_to[i], base);
		}
	o->moves++;
	o->moved_to[bar] = base;
	assert_int_equal(fn->bar[bar].base, base);
}

static void owner_init(struct owner *o, const char *name)
{
	memset(o, 0, sizeof(*o));
	for (u32 i = 0; i < PCI_MAX_BARS; i++)
		o->moved_to[i] = PCI_BAR_OFF;
	bed_function(&o->dev, &o->fn, name, 1);
	o->fn.bar_moved = owner_moved;
}

static void owner_bars(struct owner *o)
{
	assert_int_equal(pci_bar_add(&o->fn, 0, PCI_BAR_MEM32, 0x1000, owner_io, &o->trace[0]), 0);
	assert_int_equal(pci_bar_add(&o->fn, 1, PCI_BAR_IO, 0x40, owner_io, &o->trace[1]), 0);
	assert_int_equal(pci_bar_add(&o->fn, 2, PCI_BAR_MEM64, 0x4000, owner_io, &o->trace[2]), 0);
	assert_int_equal(pci_bar_add(&o->fn, 4, PCI_BAR_MEM64, MEM64_SIZE, owner_io, &o->trace[4]), 0);
}

static int setup(void **state)
{
	bed_up();
	owner_init(&one, "one");
	owner_init(&two, "two");
	owner_bars(&one);
	owner_bars(&two);
	assert_int_equal(pci_register(bed_bus(), &one.fn, PCI_ANY_SLOT), 0);
	assert_int_equal(pci_register(bed_bus(), &two.fn, PCI_ANY_SLOT), 0);
	return 0;
}

static int teardown(void **state)
{
	pci_unregister(&one.fn);
	pci_unregister(&two.fn);
	board_down();
	return 0;
}

static u64 bar_value(const struct owner *o, u32 bar)
{
	u64 v = conf(&o->fn, REG(bar), 4);

	if (o->fn.bar[bar].type == PCI_BAR_MEM64)
		v |= (u64)conf(&o->fn, REG(bar + 1), 4) << 32;
	return v & ~(o->fn.bar[bar].type == PCI_BAR_IO ? 3ull : 15ull);
}

static void bar_set(const struct owner *o, u32 bar, u64 v)
{
	conf_set(&o->fn, REG(bar), (u32)v, 4);
	if (o->fn.bar[bar].type == PCI_BAR_MEM64)
		conf_set(&o->fn, REG(bar + 1), (u32)(v >> 32), 4);
}

/* How often that BAR is asked by a read of 4 bytes at addr. */
static u32 hits(struct owner *o, u32 bar, enum bus_id bus, u64 addr)
{
	u32 before = o->trace[bar].count;

	board_read(bus, addr, 4);
	return o->trace[bar].count - before;
}

static void test_places(void **state)
{
	static const u32 bars[] = {0, 1, 2, 4};

	/* Two functions, given places that are apart, aligned, inside the windows. */
	for (u32 i = 0; i < ARRAY_SIZE(bars); i++) {
		u64 size = one.fn.bar[bars[i]].size, a = bar_value(&one, bars[i]),
		    b = bar_value(&two, bars[i]);

		assert_int_equal(a % size, 0);
		assert_int_equal(b % size, 0);
		assert_false(ranges_overlap(a, size, b, size));
	}
	assert_true(range_inside(bar_value(&one, 0), 0x1000, BED_MEM32, BED_ECAM - BED_MEM32));
	assert_true(range_inside(bar_value(&two, 2), 0x4000, BED_MEM32, BED_ECAM - BED_MEM32));
	assert_true(range_inside(bar_value(&two, 4), MEM64_SIZE, BED_MEM64, BED_MEM64));
	assert_true(range_inside(bar_value(&two, 1), 0x40, BED_IO, 0x4000));
	/* What they are. */
	assert_int_equal(conf(&one.fn, REG(0), 1) & 0xf, 0);
	assert_int_equal(conf(&one.fn, REG(1), 1) & 0x3, 1);
	assert_int_equal(conf(&one.fn, REG(2), 1) & 0xf, 0xc);
	/* Nothing is decoded until the guest says so. */
	assert_int_equal(one.moves + two.moves, 0);
	assert_int_equal(hits(&one, 0, BUS_MMIO, bar_value(&one, 0)), 0);
	assert_int_equal(board_read(BUS_MMIO, bar_value(&one, 0), 4), UINT32_MAX);
}

static void test_sizing(void **state)
{
	command(&one.fn, MEM | IO);
	bar_set(&one, 0, UINT64_MAX);
	bar_set(&one, 1, UINT64_MAX);
	bar_set(&one, 2, UINT64_MAX);
	bar_set(&one, 4, UINT64_MAX);
	assert_int_equal(conf(&one.fn, REG(0), 4), 0xfffff000);
	assert_int_equal(conf(&one.fn, REG(1), 4), 0xffffffc1);
	assert_int_equal(conf(&one.fn, REG(2), 4), 0xffffc00c);
	assert_int_equal(conf(&one.fn, REG(3), 4), 0xffffffff);
	assert_int_equal(conf(&one.fn, REG(4), 4), 0xfc00000c);
	assert_int_equal(conf(&one.fn, REG(5), 4), 0xffffffff);
	/* All of them outside of the windows now. */
	for (u32 i = 0; i < PCI_MAX_BARS; i++)
		assert_int_equal(one.fn.bar[i].type ? one.fn.bar[i].base : PCI_BAR_OFF, PCI_BAR_OFF);
	/* Byte by byte is as good. */
	for (u32 i = 0; i < 4; i++)
		conf_set(&one.fn, REG(0) + i, (u32)(BED_MEM32 + 0x7000) >> 8 * i, 1);
	assert_int_equal(hits(&one, 0, BUS_MMIO, BED_MEM32 + 0x7ffc), 1);
}

static void test_decode(void **state)
{
	u64 mem = bar_value(&one, 0), io = bar_value(&one, 1), large = bar_value(&one, 4);

	command(&one.fn, MEM);
	assert_int_equal(one.moved_to[0], mem);
	assert_int_equal(one.moved_to[1], PCI_BAR_OFF);
	assert_int_equal(one.moved_to[4], large);
	assert_int_equal(hits(&one, 0, BUS_MMIO, mem), 1);
	assert_int_equal(hits(&one, 0, BUS_MMIO, mem + 0xffc), 1);
	assert_int_equal(one.trace[0].offset, 0xffc);
	assert_int_equal(hits(&one, 0, BUS_MMIO, mem + 0x1000), 0);
	assert_int_equal(hits(&one, 0, BUS_MMIO, mem - 4), 0);
	assert_int_equal(hits(&one, 4, BUS_MMIO, large + MEM64_SIZE - 4), 1);
	assert_int_equal(hits(&one, 1, BUS_PIO, io), 0);
	command(&one.fn, IO);
	assert_int_equal(one.moved_to[0], PCI_BAR_OFF);
	assert_int_equal(one.moved_to[1], io);
	assert_int_equal(hits(&one, 0, BUS_MMIO, mem), 0);
	assert_int_equal(hits(&one, 1, BUS_PIO, io + 0x3c), 1);
	assert_int_equal(one.trace[1].offset, 0x3c);
	/* Memory at the ports' number is no port. */
	assert_int_equal(hits(&one, 1, BUS_MMIO, io), 0);
	command(&one.fn, MEM | IO);
	board_write(BUS_MMIO, mem + 8, 0x1020304050607080, 8);
	assert_true(one.trace[0].write);
	assert_int_equal(one.trace[0].len, 8);
	assert_int_equal(one.trace[0].value, 0x1020304050607080);
	assert_int_equal(board_read(BUS_MMIO, mem, 8), 0x1122334455667788);
	assert_int_equal(two.moves, 0);
	/* Nothing of it is two's, whose command register is another. */
	assert_int_equal(hits(&two, 0, BUS_MMIO, bar_value(&two, 0)), 0);
}

static void test_moves(void **state)
{
	u64 was = bar_value(&one, 0), now = BED_MEM32 + 0x800000;

	command(&one.fn, MEM);
	one.moves = 0;
	bar_set(&one, 0, now);
	assert_int_equal(one.moves, 2); /* gone, and there */
	assert_int_equal(one.moved_to[0], now);
	assert_int_equal(hits(&one, 0, BUS_MMIO, was), 0);
	assert_int_equal(hits(&one, 0, BUS_MMIO, now + 4), 1);
	bar_set(&one, 0, now); /* where it is already */
	command(&one.fn, MEM | PCI_COMMAND_MASTER);
	assert_int_equal(one.moves, 2);
	/* The halves of a 64-bit one are two writes. */
	bar_set(&one, 2, BED_MEM64 + GiB(9));
	assert_int_equal(one.moved_to[2], BED_MEM64 + GiB(9));
	assert_int_equal(hits(&one, 2, BUS_MMIO, BED_MEM64 + GiB(9) + 0x3ffc), 1);
	bar_set(&one, 2, BED_MEM32 + 0x10000000);
	assert_int_equal(hits(&one, 2, BUS_MMIO, BED_MEM32 + 0x10000000), 1);
	/* A reset puts all back, and decodes nothing. */
	pci_function_reset(&one.fn);
	assert_int_equal(bar_value(&one, 0), was);
	assert_int_equal(one.moved_to[0], PCI_BAR_OFF);
	assert_int_equal(one.moved_to[4], PCI_BAR_OFF);
	assert_int_equal(hits(&one, 0, BUS_MMIO, now), 0);
	command(&one.fn, MEM);
	assert_int_equal(hits(&one, 0, BUS_MMIO, was), 1);
	/* Off the bus. */
	pci_unregister(&one.fn);
	assert_int_equal(one.moved_to[0], PCI_BAR_OFF);
	assert_int_equal(hits(&one, 0, BUS_MMIO, was), 0);
}

static void test_outside(void **state)
{
	static const u64 nowhere[] = {0,
				      0x1000,
				      BED_MEM32 - 0x1000,
				      BED_ECAM,
				      BED_ECAM - 0x800,
				      0xfee00000,
				      UINT32_MAX & ~0xfffull};
	u64 places[] = {BED_MEM64 - 0x4000, 2 * BED_MEM64, 0xffffffffffffc000, 1ull << 63,
			BED_IO | 1ull << 63};

	command(&one.fn, MEM | IO);
	for (u32 i = 0; i < ARRAY_SIZE(nowhere); i++) {
		bar_set(&one, 0, nowhere[i]);
		if (nowhere[i] == BED_ECAM - 0x800) /* its low bits are none: the last page of the window */
			assert_int_equal(one.fn.bar[0].base, BED_ECAM - 0x1000);
		else
			assert_int_equal(one.fn.bar[0].base, PCI_BAR_OFF);
	}
	for (u32 i = 0; i < ARRAY_SIZE(places); i++) {
		bar_set(&one, 2, places[i]);
		assert_int_equal(one.fn.bar[2].base, PCI_BAR_OFF);
		board_read(BUS_MMIO, places[i], 4);
	}
	bar_set(&one, 1, BED_IO - 0x40);
	assert_int_equal(one.fn.bar[1].base, PCI_BAR_OFF);
	bar_set(&one, 1, 0x10000 | BED_IO);
	assert_int_equal(one.fn.bar[1].base, PCI_BAR_OFF);
	bar_set(&one, 1, 0x10000 - 0x40);
	assert_int_equal(one.fn.bar[1].base, 0x10000 - 0x40);
	assert_int_equal(hits(&one, 1, BUS_PIO, 0xfffc), 1);
	/* The bridge's own space is where it was. */
	assert_int_equal(board_read(BUS_MMIO, BED_ECAM, 4), 0x00081b36);
}

static void test_overlap(void **state)
{
	u64 at = BED_MEM32 + 0x400000, own = bar_value(&two, 0);

	command(&one.fn, MEM);
	command(&two.fn, MEM);
	/* Whoever has the lower number has it, whoever came first. */
	bar_set(&two, 0, at);
	assert_int_equal(hits(&two, 0, BUS_MMIO, at), 1);
	bar_set(&one, 0, at);
	assert_int_equal(two.moved_to[0], PCI_BAR_OFF);
	assert_int_equal(hits(&one, 0, BUS_MMIO, at), 1);
	assert_int_equal(hits(&two, 0, BUS_MMIO, at), 0);
	/* A large one over a small one, of the same function. */
	bar_set(&one, 2, at);
	assert_int_equal(one.fn.bar[2].base, PCI_BAR_OFF);
	bar_set(&two, 2, at - 0x4000);
	assert_int_equal(two.fn.bar[2].base, at - 0x4000);
	/* Who was in the way has gone: the others come back by themselves. */
	command(&one.fn, 0);
	assert_int_equal(two.moved_to[0], at);
	assert_int_equal(hits(&two, 0, BUS_MMIO, at), 1);
	/* They change places. */
	pci_function_reset(&one.fn);
	command(&one.fn, MEM);
	bar_set(&one, 0, at);
	bar_set(&two, 0, own);
	bar_set(&two, 0, at);
	bar_set(&one, 0, own);
	assert_int_equal(hits(&one, 0, BUS_MMIO, own), 1);
	assert_int_equal(hits(&two, 0, BUS_MMIO, at), 1);
}

/* From one BAR into the next, and into nothing. */
static void test_straddle(void **state)
{
	u64 at = BED_MEM32 + 0x400000;
	u32 before;

	bar_set(&one, 0, at);
	bar_set(&two, 0, at + 0x1000);
	command(&one.fn, MEM);
	command(&two.fn, MEM);
	board_write(BUS_MMIO, at + 0xffe, 0x44332211, 4);
	assert_int_equal(one.trace[0].count, 2);
	assert_int_equal(one.trace[0].len, 1);
	assert_int_equal(one.trace[0].offset, 0xfff);
	assert_int_equal(one.trace[0].value, 0x22);
	assert_int_equal(two.trace[0].count, 2);
	assert_int_equal(two.trace[0].value, 0x44);
	assert_int_equal(two.trace[0].offset, 1);
	before = two.trace[0].count;
	assert_int_equal(board_read(BUS_MMIO, at + 0x1ffe, 4) >> 16, 0xffff);
	assert_int_equal(two.trace[0].count, before + 2);
	assert_int_equal(board_read(BUS_MMIO, at - 2, 4) & 0xffff, 0xffff);
}

static void test_bar_access(void **state)
{
	u8 data[4] = {1, 2, 3, 4};

	/* Decoded or not. */
	pci_bar_access(&one.fn, 2, 0x3ffc, data, 4, true);
	assert_int_equal(one.trace[2].value, 0x04030201);
	pci_bar_access(&one.fn, 2, 0x3ffd, data, 4, true);
	pci_bar_access(&one.fn, 2, UINT64_MAX, data, 4, true);
	pci_bar_access(&one.fn, 3, 0, data, 4, true); /* the upper half of 2 */
	pci_bar_access(&one.fn, 6, 0, data, 4, true);
	pci_bar_access(&one.fn, UINT32_MAX, 0, data, 4, true);
	assert_int_equal(one.trace[2].count, 1);
	pci_bar_access(&one.fn, 0, 0, data, 4, false);
	assert_int_equal(data[0], 0x88);
}

static void test_refused(void **state)
{
	struct owner o;
	struct pci_function *fn = &o.fn;

	owner_init(&o, "o");
	assert_int_equal(pci_bar_add(fn, 6, PCI_BAR_MEM32, 0x1000, owner_io, NULL), -EINVAL);
	assert_int_equal(pci_bar_add(fn, 5, PCI_BAR_MEM64, 0x1000, owner_io, NULL), -EINVAL);
	assert_int_equal(pci_bar_add(fn, 0, PCI_BAR_NONE, 0x1000, owner_io, NULL), -EINVAL);
	assert_int_equal(pci_bar_add(fn, 0, PCI_BAR_MEM32, 0, owner_io, NULL), -EINVAL);
	assert_int_equal(pci_bar_add(fn, 0, PCI_BAR_MEM32, 0x1800, owner_io, NULL), -EINVAL);
	assert_int_equal(pci_bar_add(fn, 0, PCI_BAR_MEM32, 8, owner_io, NULL), -EINVAL);
	assert_int_equal(pci_bar_add(fn, 0, PCI_BAR_MEM32, GiB(4), owner_io, NULL), -EINVAL);
	assert_int_equal(pci_bar_add(fn, 0, PCI_BAR_IO, 512, owner_io, NULL), -EINVAL);
	assert_int_equal(pci_bar_add(fn, 0, PCI_BAR_MEM64, 1ull << 63, owner_io, NULL), -EINVAL);
	assert_int_equal(pci_bar_add(fn, 1, PCI_BAR_MEM64, GiB(1024), owner_io, NULL), 0);
	assert_int_equal(pci_bar_add(fn, 1, PCI_BAR_IO, 16, owner_io, NULL), -EINVAL);
	assert_int_equal(pci_bar_add(fn, 2, PCI_BAR_IO, 16, owner_io, NULL), -EINVAL);
	assert_int_equal(pci_bar_add(fn, 0, PCI_BAR_MEM64, 0x1000, owner_io, NULL), -EINVAL);
	/* There is no room for it; and nothing is taken by the attempt. */
	assert_int_equal(pci_bar_add(fn, 0, PCI_BAR_MEM32, 0x1000, owner_io, NULL), 0);
	assert_int_equal(pci_register(bed_bus(), fn, PCI_ANY_SLOT), -ENOSPC);
	owner_init(&o, "o");
	assert_int_equal(pci_bar_add(fn, 0, PCI_BAR_MEM32, 0x1000, owner_io, NULL), 0);
	assert_int_equal(pci_register(bed_bus(), fn, PCI_ANY_SLOT), 0);
	assert_int_equal(pci_bar_add(fn, 1, PCI_BAR_MEM32, 0x1000, owner_io, NULL), -EINVAL); /* too late */
	pci_unregister(fn);
}

/* A machine that gives PCI no windows has functions without BARs alone. */
static void test_no_windows(void **state)
{
	struct owner o;

	board_init(bed_table);
	board_up();
	owner_init(&o, "o");
	assert_int_equal(pci_register(bed_bus(), &o.fn, PCI_ANY_SLOT), 0);
	pci_unregister(&o.fn);
	owner_init(&o, "o");
	assert_int_equal(pci_bar_add(&o.fn, 0, PCI_BAR_IO, 4, owner_io, NULL), 0);
	assert_int_equal(pci_register(bed_bus(), &o.fn, PCI_ANY_SLOT), -ENOSPC);
	board_down();
}

/* Ports in memory, from 0 up, as where there is no port bus. */
static void ports_in_memory(const struct kvm *kvm, struct pci_windows *win)
{
	*win = (struct pci_windows){.io = {0, 0x10000}, .io_bus = BUS_MMIO, .io_at = 0x41000000};
}

static void test_ports_in_memory(void **state)
{
	board_init(bed_table);
	board.machine.pci_windows = ports_in_memory;
	board_up();
	owner_init(&one, "one");
	assert_int_equal(pci_bar_add(&one.fn, 0, PCI_BAR_IO, 0x20, owner_io, &one.trace[0]), 0);
	assert_int_equal(pci_register(bed_bus(), &one.fn, PCI_ANY_SLOT), 0);
	assert_true(bar_value(&one, 0) >= 0x1000); /* a guest takes port 0 for none */
	command(&one.fn, IO);
	assert_int_equal(hits(&one, 0, BUS_MMIO, 0x41000000 + bar_value(&one, 0) + 4), 1);
	assert_int_equal(one.trace[0].offset, 4);
	bar_set(&one, 0, 0);
	assert_int_equal(hits(&one, 0, BUS_MMIO, 0x41000000), 1);
	pci_unregister(&one.fn);
	board_down();
}

static void test_caps(void **state)
{
	struct owner o;
	int a, b;

	owner_init(&o, "o");
	a = pci_cap_add(&o.fn, PCI_CAP_ID_VNDR, 13);
	b = pci_cap_add(&o.fn, PCI_CAP_ID_MSIX, 12);
	assert_int_equal(a, 0x40);
	assert_int_equal(b, 0x50);
	assert_int_equal(pci_cap_add(&o.fn, PCI_CAP_ID_VNDR, 0xb0), -ENOSPC);
	assert_int_equal(pci_cap_add(&o.fn, PCI_CAP_ID_PM, 0xa4), 0x5c);
	assert_int_equal(pci_cap_add(&o.fn, PCI_CAP_ID_VNDR, 4), -ENOSPC); /* full to the last byte */
	assert_int_equal(pci_register(bed_bus(), &o.fn, PCI_ANY_SLOT), 0);
	assert_int_equal(find_cap(&o.fn, PCI_CAP_ID_VNDR), a);
	assert_int_equal(find_cap(&o.fn, PCI_CAP_ID_MSIX), b);
	assert_int_equal(find_cap(&o.fn, PCI_CAP_ID_PM), 0x5c);
	assert_int_equal(find_cap(&o.fn, PCI_CAP_ID_MSI), 0);
	assert_int_equal(find_cap(&one.fn, PCI_CAP_ID_VNDR), 0);
	conf_set(&o.fn, PCI_CAPABILITY_LIST, 0, 1);
	conf_set(&o.fn, 0x40, 0, 4);
	assert_int_equal(find_cap(&o.fn, PCI_CAP_ID_VNDR), a);
	pci_unregister(&o.fn);
}

static void test_intx(void **state)
{
	u32 line = BED_LINE + pci_intx_line(one.fn.devfn, 1);

	assert_int_equal(line, BED_LINE + 1);
	pci_set_intx(&one.fn, true);
	pci_set_intx(&one.fn, true);
	assert_true(board.level[line]);
	assert_int_equal(board.rises[line], 1);
	assert_int_equal(conf(&one.fn, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
	command(&one.fn, PCI_COMMAND_INTX_DISABLE);
	assert_false(board.level[line]);
	assert_int_equal(conf(&one.fn, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
	conf_set(&one.fn, PCI_STATUS, 0xffff, 2); /* the guest cannot clear it */
	assert_int_equal(conf(&one.fn, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
	command(&one.fn, 0);
	assert_int_equal(board.rises[line], 2);
	command(&one.fn, PCI_COMMAND_INTX_DISABLE);
	pci_set_intx(&one.fn, false);
	command(&one.fn, 0);
	assert_false(board.level[line]);
	assert_int_equal(conf(&one.fn, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0);
	pci_set_intx(&two.fn, true);
	assert_true(board.level[BED_LINE + 2]);
	pci_function_reset(&two.fn);
	assert_false(board.level[BED_LINE + 2]);
	/* Without a pin there is nothing to drive. */
	pci_unregister(&two.fn);
	bed_function(&two.dev, &two.fn, "two", 0);
	assert_int_equal(pci_register(bed_bus(), &two.fn, PCI_ANY_SLOT), 0);
	pci_set_intx(&two.fn, true);
	for (u32 i = 0; i < BOARD_LINES; i++)
		assert_false(board.level[i]);
}

static struct {
	u32 changes, reads, writes, reg, len;
} seen;

static void changed(void *arg)
{
	assert_ptr_equal(arg, &seen);
	seen.changes++;
}

static void config_access(struct pci_function *fn, u32 reg, u32 len, bool write)
{
	u8 now[4] = {0x11, 0x22, 0x33, 0x44};

	seen.reg = reg;
	seen.len = len;
	if (write)
		seen.writes++;
	else
		seen.reads++;
	/* What it reads is what is behind. */
	if (!write && reg <= 0x50 && reg + len > 0x50)
		pci_config_set(fn, 0x50, now, sizeof(now));
}

static void test_watches(void **state)
{
	struct owner o;

	memset(&seen, 0, sizeof(seen));
	owner_init(&o, "o");
	o.fn.config_access = config_access;
	pci_watch(&o.fn, 0x48, 2, changed, &seen);
	assert_int_equal(pci_register(bed_bus(), &o.fn, PCI_ANY_SLOT), 0);
	conf_set(&o.fn, 0x44, 1, 4);
	conf_set(&o.fn, 0x4a, 1, 2);
	assert_int_equal(seen.changes, 0);
	conf_set(&o.fn, 0x49, 1, 1);
	conf_set(&o.fn, 0x44, 1, 8);
	assert_int_equal(seen.changes, 2);
	pci_function_reset(&o.fn);
	assert_int_equal(seen.changes, 3);
	assert_int_equal(seen.writes, 4);
	assert_int_equal(conf(&o.fn, 0x50, 4), 0x44332211);
	assert_int_equal(seen.reads, 1);
	assert_int_equal(seen.reg, 0x50);
	assert_int_equal(seen.len, 4);
	/* Not beyond the function's space. */
	conf_set(&o.fn, 0xfc, 1, 8);
	assert_int_equal(seen.len, 4);
	conf_set(&o.fn, 0x100, 1, 4);
	assert_int_equal(seen.writes, 5);
	pci_unregister(&o.fn);
}

static void walk(struct state *s)
{
	pci_function_state(&one.fn, s);
}

static void test_state(void **state)
{
	u64 at = BED_MEM32 + 0x123000;
	struct buf saved = {0}, again = {0}, text = {0};

	board.lenient = true;
	command(&one.fn, MEM | PCI_COMMAND_MASTER);
	bar_set(&one, 0, at);
	pci_set_intx(&one.fn, true);
	bed_save(&saved, STATE_SAVE, walk);
	pci_function_reset(&one.fn);
	assert_false(board.level[BED_LINE + 1]);
	assert_false(one.fn.master);
	assert_int_equal(bed_restore(saved.data, saved.len, walk), 0);
	assert_int_equal(one.moved_to[0], at);
	assert_int_equal(hits(&one, 0, BUS_MMIO, at), 1);
	assert_true(board.level[BED_LINE + 1]);
	assert_true(one.fn.master);
	bed_save(&again, STATE_SAVE, walk);
	assert_int_equal(saved.len, again.len);
	assert_memory_equal(saved.data, again.data, saved.len);
	bed_save(&text, STATE_TEXT, walk);
	/* Whatever is in there, the function is what it was. */
	for (u32 i = 0; i < 2000; i++) {
		u8 *b = (u8 *)saved.data + board_random() % saved.len, was = *b;

		*b = (u8)board_random();
		if (!bed_restore(saved.data, saved.len, walk))
			assert_int_equal(conf(&one.fn, 0, 4), 0x12341af4);
		*b = was;
	}
	buf_free(&saved);
	buf_free(&again);
	buf_free(&text);
}

/* A guest that does anything to both functions' configuration space, and accesses all over the windows. */
static void test_hostile(void **state)
{
	board.lenient = true;
	for (u32 i = 0; i < 200; i++) {
		for (u32 k = 0; k < 20; k++) {
			struct owner *o = board_random() & 1 ? &one : &two;
			u32 bar = board_random() % PCI_MAX_BARS;

			if (board_random() & 1)
				conf_set(&o->fn, REG(bar),
					 (u32)(board_random() & 1 ? BED_MEM32 + board_random() % MiB(1)
								  : board_random()),
					 4);
			command(&o->fn, (u32)board_random());
		}
		board_hammer(BUS_MMIO, BED_MEM32, MiB(1), 200);
		board_hammer(BUS_MMIO, BED_MEM64, MiB(1), 20);
		board_hammer(BUS_PIO, BED_IO, 0x4000, 100);
		board_hammer(BUS_MMIO, BED_ECAM, MiB(1), 100);
		for (u32 a = 0; a + 1 < bed_bus()->nr_decoded; a++)
			assert_true(bed_bus()->decoded[a].base + bed_bus()->decoded[a].size <=
				    bed_bus()->decoded[a + 1].base);
	}
	assert_int_equal(conf(&one.fn, 0, 4), 0x12341af4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(places),
		TEST(sizing),
		TEST(decode),
		TEST(moves),
		TEST(outside),
		TEST(overlap),
		TEST(straddle),
		TEST(bar_access),
		TEST(refused),
		TEST(caps),
		TEST(intx),
		TEST(watches),
		TEST(state),
		TEST(hostile),
		cmocka_unit_test(test_no_windows),
		cmocka_unit_test(test_ports_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

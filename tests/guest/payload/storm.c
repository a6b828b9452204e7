// SPDX-License-Identifier: MIT
/*
 * A hostile guest: "n=COUNT" accesses at random to every device, of every width, at and across every edge,
 * reads and writes, on "cpus=N" CPUs at once; "seed=S". What would end the VM by design (exit code, sleep,
 * reset, panic) is left out. The VM must live, and its devices work as ever when they are put in order.
 */
#include "smp.h"

static const struct range {
	u32 base, len;
	bool mem;
} ranges[] = {
	{0x60, 5, false},
	{0x70, 2, false},
	{0x80, 1, false},
	{0xe0, 8, false},
	{0xe9, 1, false},
	{0x3f8, 8, false},
	{0x2f8, 8, false},
	{0x3e8, 8, false},
	{0x2e8, 8, false},
	{0x402, 1, false},
	{0x505, 1, false},
	{0x600, 8, false},
	{0xcf8, 8, false},
	{0x2000, 24, false},
	{0x3f0, 1, false},
	{0, 0x10000, false},
	{0xe0000000, 0x100000, true},
	{0xff000000, 0x10000, true},
	{0xc0000000, 0x1000, true},
	{0xc0001000, 0x1000, true},
	{0xc1000000, 0x1f000000, true},
};

/* Writes that touch these are not made. */
static const struct range deadly[] = {
	{0xf4, 4, false},
	{0x505, 1, false},
	{0x600, 3, false},
	{0x64, 1, false},
	{0x92, 1, false},
	{0xcf9, 1, false},
	/* In the kernel, and not under test: the PICs, the PIT; a storm of interrupts would drown the rest.
	 */
	{0x20, 2, false},
	{0x40, 4, false},
	{0xa0, 2, false},
	{0xc0001000, 0x1000, true},
};

static volatile u32 finished, done_writes;
static u32 count, seed;

static u32 random(u32 *state)
{
	u32 x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

static bool kills(const struct range *r, u32 at, u32 len)
{
	for (u32 i = 0; i < ARRAY_SIZE(deadly); i++) {
		const struct range *d = &deadly[i];

		if (d->mem == r->mem && at < d->base + d->len && d->base < at + len)
			return true;
	}
	return false;
}

static void one(u32 *state)
{
	const struct range *r = &ranges[random(state) % ARRAY_SIZE(ranges)];
	u32 len = 1u << random(state) % 3;
	u32 at = r->base + random(state) % r->len;
	bool write = random(state) & 1;
	u32 v = random(state);

	/* Every fourth at an edge, across it when wide. */
	if (random(state) % 4 == 0)
		at = random(state) & 1 ? r->base - random(state) % len : r->base + r->len - 1;
	if (!r->mem)
		at &= 0xffff;
	if (write && kills(r, at, len))
		write = false;
	if (!r->mem && write && len == 1)
		outb((u16)at, (u8)v);
	else if (!r->mem && write && len == 2)
		outw((u16)at, (u16)v);
	else if (!r->mem && write)
		outl((u16)at, v);
	else if (!r->mem && len == 1)
		inb((u16)at);
	else if (!r->mem && len == 2)
		inw((u16)at);
	else if (!r->mem)
		inl((u16)at);
	else if (write && len == 1)
		write8(at, (u8)v);
	else if (write && len == 2)
		write16(at, (u16)v);
	else if (write)
		write32(at, v);
	else if (len == 1)
		read8(at);
	else if (len == 2)
		read16(at);
	else
		read32(at);
}

static void storm(u32 index)
{
	u32 state = seed * 2654435761u + index * 40503u + 1;

	for (u32 i = 0; i < count; i++)
		one(&state);
	atomic_add(&finished, 1);
}

void main(void)
{
	u32 cpus = option("cpus", 1);
	static const u16 com[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};

	count = option("n", 2000);
	seed = option("seed", 1);
	irq_init();
	lapic_enable();
	pic_init(0xffff);
	if (cpus > 1)
		smp_start(0xff, storm);
	storm(cpus);
	for (u32 i = 0; i < 100000000 && finished < cpus; i++)
		cpu_relax();
	for (u32 i = 0; i < ARRAY_SIZE(com); i++) {
		outb(com[i] + 3, 0x03);
		outb(com[i] + 1, 0);
		outb(com[i] + 4, 0x03);
		outb(com[i] + 2, 0x07);
	}
	printf("\n<storm is over>\n");
	check_eq(finished, cpus, "every CPU came through");
	outl(0xe0, 0x12345678);
	check_eq(inl(0xe0), 0x12345678, "the test device works");
	outb(0x80, 0x99);
	check_eq(inb(0x80), 0x99, "the POST port works");
	outb(0x3ff, 0x5a);
	check_eq(inb(0x3ff), 0x5a, "the serial port works");
	outl(0xcf8, 0x80000008);
	check_eq(inl(0xcfc) >> 16, 0x0600, "the PCI host bridge works");
	outb(0x70, 0x0d);
	check_eq(inb(0x71), 0x80, "the clock works");
	check_eq(inb(0xe9), 0xe9, "the debug console works");
	finish();
}

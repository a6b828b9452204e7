/* SPDX-License-Identifier: MIT */
/*
 * The spin table (ePAPR 1.1, 5.5.2): where the guest says at which address a secondary vCPU is to begin, 32
 * bytes for each. Here it is a device's memory, so nobody has to spin: the vCPU sleeps until the write that
 * gives the address comes.
 *
 * Fields are big-endian; of the address the low half is written last, or both at once. Accesses come from
 * vCPU threads under dev->lock.
 */
#include "e500-layout.h"
#include "e500.h"
#include <lkvm/endian.h>
#include <lkvm/hw.h>
#include <string.h>

#define SPIN_SIZE 0x1000
/* Offsets in an entry. */
#define SPIN_ADDR      0x0 /* 64 bits; bit 0 set: not to begin */
#define SPIN_ADDR_LAST 0x7
#define SPIN_R3	       0x8 /* 64 bits */
#define SPIN_PIR       0x14

struct spin_table {
	struct device dev;
	u8 byte[E500_MAX_CPUS * E500_SPIN_ENTRY]; /* under dev.lock */
	u32 released;				  /* a bit for each vCPU; likewise */
};

static struct spin_table *to_spin(struct device *dev)
{
	return container_of(dev, struct spin_table, dev);
}

static void look(struct spin_table *t, u32 cpu)
{
	const u8 *entry = &t->byte[cpu * E500_SPIN_ENTRY];
	u64 addr = get_be64(entry + SPIN_ADDR);

	if (addr & 1 || t->released >> cpu & 1 || cpu >= t->dev.kvm->nr_vcpus)
		return;
	t->released |= 1u << cpu;
	e500_vcpu_release(&t->dev.kvm->vcpu[cpu], addr, get_be64(entry + SPIN_R3));
}

static void spin_io(struct device *dev, struct io *io, void *arg)
{
	struct spin_table *t = to_spin(dev);
	u32 first = (u32)io->offset % E500_SPIN_ENTRY;

	if (!range_inside(io->offset, io->len, 0, sizeof(t->byte)))
		return;
	if (!io->write) {
		memcpy(io->data, &t->byte[io->offset], io->len);
		return;
	}
	memcpy(&t->byte[io->offset], io->data, io->len);
	if (first <= SPIN_ADDR_LAST && first + io->len > SPIN_ADDR_LAST)
		look(t, (u32)io->offset / E500_SPIN_ENTRY);
}

static void spin_reset(struct device *dev)
{
	struct spin_table *t = to_spin(dev);

	memset(t->byte, 0, sizeof(t->byte));
	for (u32 i = 0; i < E500_MAX_CPUS; i++) {
		t->byte[i * E500_SPIN_ENTRY + SPIN_ADDR_LAST] = 1;
		t->byte[i * E500_SPIN_ENTRY + SPIN_PIR + 3] = (u8)i;
	}
	t->released = 1; /* the first runs from the start */
}

static int spin_create(struct device *dev, const void *params)
{
	spin_reset(dev);
	return bus_map(dev, BUS_MMIO, dev->board->mmio, SPIN_SIZE, spin_io, NULL, 0);
}

static int spin_state(struct device *dev, struct state *s)
{
	struct spin_table *t = to_spin(dev);

	state_begin(s, dev->name, 1);
	state_u32(s, "released", &t->released);
	if (!state_printing(s))
		state_bytes(s, "table", t->byte, sizeof(t->byte));
	state_end(s);
	return s->err;
}

const struct device_ops e500_spin_ops = {
	.name = "spin-table",
	.size = sizeof(struct spin_table),
	.create = spin_create,
	.reset = spin_reset,
	.state = spin_state,
};

/* SPDX-License-Identifier: MIT */
/*
 * The global utilities of the e500 board (MPC8548E reference manual, chapter 18), of which two registers are
 * there: the reset control register, and one of our own at an offset that the real ones leave free, by which
 * the guest powers off ("syscon-poweroff" in Linux's bindings).
 *
 * Registers are big-endian words. Accesses come from vCPU threads under dev->lock; there is no state.
 */
#include "e500-layout.h"
#include "e500.h"
#include <lkvm/endian.h>
#include <lkvm/hw.h>

enum {
	GUTS_RSTCR = 0x0b0,
	GUTS_POWER = 0x0f0, /* ours */
};

#define RSTCR_HRESET_REQ 0x2
#define POWER_OFF	 0x1

static void guts_io(struct device *dev, struct io *io, void *arg)
{
	u64 v = get_be(io->data, io->len);

	if (!io->write)
		put_be(io->data, io->len, 0);
	else if (io->len != 4)
		return;
	else if (io->offset == GUTS_RSTCR && v & RSTCR_HRESET_REQ)
		kvm_end(dev->kvm, VM_RESET, 0);
	else if (io->offset == GUTS_POWER && v & POWER_OFF)
		kvm_end(dev->kvm, VM_POWEROFF, 0);
}

static int guts_create(struct device *dev, const void *params)
{
	return bus_map(dev, BUS_MMIO, dev->board->mmio, E500_GUTS_SIZE, guts_io, NULL, 0);
}

/* Linux makes devices of this node's children only if it is an MPC8548's. */
static int guts_describe(const struct device *dev, struct fdt *fdt)
{
	static const char *const compatible[] = {"fsl,mpc8548-guts", "syscon"};
	const u64 reg[1][2] = {{dev->board->mmio, E500_GUTS_SIZE}};

	dt_begin_at(fdt, "global-utilities", dev->board->mmio);
	dt_strs(fdt, "compatible", compatible, ARRAY_SIZE(compatible));
	dt_reg(fdt, reg, 1);
	dt_phandle(fdt, DT_SYSCON);
	dt_empty(fdt, "big-endian");
	dt_empty(fdt, "fsl,has-rstcr");
	dt_begin_node(fdt, "power-off");
	dt_str(fdt, "compatible", "syscon-poweroff");
	dt_u32(fdt, "regmap", DT_SYSCON);
	dt_u32(fdt, "offset", GUTS_POWER);
	dt_u32(fdt, "value", POWER_OFF);
	dt_end(fdt);
	dt_end(fdt);
	return fdt->err;
}

const struct device_ops e500_guts_ops = {
	.name = "guts",
	.size = sizeof(struct device),
	.create = guts_create,
	.describe = guts_describe,
};

/* SPDX-License-Identifier: MIT */
/*
 * What ARM's PrimeCell peripherals have in common: one page of 32-bit registers whose last eight name the
 * part (chapter 3 of their manuals, ARM DDI 0190 and 0224), and the device tree properties by which Linux's
 * AMBA bus finds it.
 *
 * An access to the first byte of a register, of whatever width, is one to all of it: drivers use bytes for
 * registers of eight bits. Accesses elsewhere find nothing.
 */
#ifndef LKVM_HW_PRIMECELL_H
#define LKVM_HW_PRIMECELL_H

#include <lkvm/bus.h>
#include <lkvm/device.h>
#include <lkvm/fdt.h>

#define PRIMECELL_SIZE 0x1000
#define PRIMECELL_IDS  0xfe0 /* the first of the eight */

/* PeriphID0 .. 3 and PCellID0 .. 3 of the part 0x031, 0x061 ..., of ARM's (0x41), revision 0. */
static inline u32 primecell_id(u32 part, u64 offset)
{
	const u8 ids[8] = {(u8)part, (u8)(part >> 8 | 0x10), 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

	return ids[(offset - PRIMECELL_IDS) / 4 % 8];
}

/* The head of the device's node, "NAME@BASE", to be closed by dt_end(). part: "arm,pl031". */
static inline void primecell_describe(const struct device *dev, struct fdt *fdt, const char *name,
				      const char *part)
{
	const u64 range[1][2] = {{dev->board->base, PRIMECELL_SIZE}};
	const char *const compatible[] = {part, "arm,primecell"};
	const u32 clock = DT_CLOCK;

	dt_begin_at(fdt, name, dev->board->base);
	dt_strs(fdt, "compatible", compatible, ARRAY_SIZE(compatible));
	dt_reg(fdt, range, 1);
	if (dev->board->line != IRQ_NONE)
		dt_interrupt(fdt, dev->board->line, true);
	dt_cells(fdt, "clocks", &clock, 1);
	dt_str(fdt, "clock-names", "apb_pclk");
}

#endif

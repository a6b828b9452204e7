/* SPDX-License-Identifier: MIT */
/*
 * What the devices of a board (board.h) say of themselves in a device tree: a tree around them as a machine
 * makes it, with an interrupt controller whose lines are three cells, and a clock.
 */
#ifndef LKVM_TEST_BOARD_DT_H
#define LKVM_TEST_BOARD_DT_H

#include "board.h"

#include "capture.h"
#include "fdt-sound.h"
#include <lkvm/fdt.h>
#include <stdio.h>
#include <sys/wait.h>

static u32 board_irq_cells(const struct irqchip *chip, u32 line, bool level, u32 *cells)
{
	cells[0] = 0;
	cells[1] = line;
	cells[2] = level ? 4 : 1;
	return 3;
}

/* The tree of all devices that describe themselves; dt_free() it. */
static inline void board_dt(struct fdt *fdt)
{
	struct device *dev;

	board.chip.irq_cells = board_irq_cells;
	dt_init(fdt, &board.kvm, 0x10000);
	dt_u32(fdt, "#address-cells", 2);
	dt_u32(fdt, "#size-cells", 2);
	dt_u32(fdt, "interrupt-parent", DT_IRQCHIP);
	dt_device(fdt, "interrupt-controller", "arm,gic-v3", 0x8000000, 0x10000);
	dt_empty(fdt, "interrupt-controller");
	dt_u32(fdt, "#interrupt-cells", 3);
	dt_u32(fdt, "#address-cells", 0);
	dt_phandle(fdt, DT_IRQCHIP);
	dt_end(fdt);
	dt_begin_node(fdt, "apb-pclk");
	dt_str(fdt, "compatible", "fixed-clock");
	dt_u32(fdt, "#clock-cells", 0);
	dt_u32(fdt, "clock-frequency", 24000000);
	dt_phandle(fdt, DT_CLOCK);
	dt_end(fdt);
	list_for_each (dev, &board.kvm.devices, link)
		if (dev->ops->describe)
			assert_int_equal(dev->ops->describe(dev, fdt), 0);
	assert_int_equal(dt_finish(fdt), 0);
	assert_int_equal(fdt_sound(fdt->blob, dt_size(fdt)), 0);
}

/* The property of the node at that path is exactly these bytes. */
static inline void assert_dt(const struct fdt *fdt, const char *path, const char *name, const void *want,
			     size_t len)
{
	int node = fdt_path_offset(fdt->blob, path), have;
	const void *data;

	if (node < 0)
		fail_msg("no node %s", path);
	data = fdt_getprop(fdt->blob, node, name, &have);
	if (!data)
		fail_msg("no %s in %s", name, path);
	assert_int_equal(have, len);
	if (len)
		assert_memory_equal(data, want, len);
}

#define assert_dt_str(fdt, path, name, str) assert_dt(fdt, path, name, str, sizeof(str))

static inline void assert_dt_cells(const struct fdt *fdt, const char *path, const char *name, const u32 *want,
				   u32 n)
{
	fdt32_t cells[16];

	assert_true(n <= ARRAY_SIZE(cells));
	for (u32 i = 0; i < n; i++)
		cells[i] = cpu_to_fdt32(want[i]);
	assert_dt(fdt, path, name, cells, n * 4);
}

#define assert_dt_u32s(fdt, path, name, ...)                                                                 \
	assert_dt_cells(fdt, path, name, (const u32[]){__VA_ARGS__}, sizeof((const u32[]){__VA_ARGS__}) / 4)

/* dtc reads the tree, and has nothing to say about it. Skips where there is no dtc. */
static inline void board_dtc(const struct fdt *fdt)
{
	char line[128];
	int mem, ret;

	if (system("dtc --version >/dev/null 2>&1"))
		skip();
	mem = memfd_create("dtb", 0);
	assert_true(mem >= 0);
	assert_int_equal(write(mem, fdt->blob, dt_size(fdt)), (ssize_t)dt_size(fdt));
	snprintf(line, sizeof(line), "dtc -I dtb -O dts -o /dev/null /proc/self/fd/%d", mem);
	capture_begin(STDERR_FILENO);
	ret = system(line);
	assert_string_equal(capture_end(), "");
	assert_int_equal(ret, 0);
	close(mem);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * pvpanic: the guest's kernel says that it panicked. One register, a port or a byte of memory (of two, the
 * second of which is nothing) as the board has it: reading gives the events we understand, writing reports
 * them (the guest's side is drivers/misc/pvpanic of Linux, which finds us by ACPI or by the device tree;
 * QEMU's docs/specs/pvpanic.rst and the kernel's binding qemu,pvpanic-mmio are the specification).
 *
 * A panic gives the guest a moment to finish its report and then ends the VM (kvm_guest_panicked()). A panic
 * with a crash kernel loaded does not: that kernel is about to write a dump.
 *
 * Accesses come from vCPU threads under dev->lock.
 */
#include <lkvm/acpi.h>
#include <lkvm/device.h>
#include <lkvm/fdt.h>
#include <lkvm/hw.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <lkvm/state.h>

enum {
	PVPANIC_PANICKED = 0x1,
	PVPANIC_CRASH_LOADED = 0x2,
	PVPANIC_EVENTS = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED,
};

#define PVPANIC_MMIO_SIZE 2

struct pvpanic {
	struct device dev;
	/* Under dev.lock. */
	u8 reported; /* every event the guest has reported so far */
	struct ratelimit rl;
};

static void pvpanic_io(struct device *dev, struct io *io, void *arg)
{
	struct pvpanic *p = container_of(dev, struct pvpanic, dev);
	u8 events;

	if (io->offset)
		return;
	if (!io->write) {
		io->data[0] = PVPANIC_EVENTS;
		return;
	}
	events = io->data[0] & PVPANIC_EVENTS;
	p->reported |= events;
	if (events & PVPANIC_PANICKED)
		kvm_guest_panicked(dev->kvm);
	else if (events & PVPANIC_CRASH_LOADED && ratelimit_ok(&p->rl))
		log_warn(dev->kvm->log, "the guest panicked and starts its crash kernel");
}

static int pvpanic_create(struct device *dev, const void *params)
{
	const struct board_device *board = dev->board;
	u32 size = board->bus == BUS_MMIO ? PVPANIC_MMIO_SIZE : 1;

	return bus_map(dev, board->bus, board->base, size, pvpanic_io, NULL, BUS_BYTES);
}

static void pvpanic_reset(struct device *dev)
{
	container_of(dev, struct pvpanic, dev)->reported = 0;
}

static int pvpanic_describe(const struct device *dev, struct fdt *fdt)
{
	const struct board_device *board = dev->board;

	/* There is no binding for one that is a port. */
	if (board->bus != BUS_MMIO)
		return fdt->err;
	dt_device(fdt, "pvpanic", "qemu,pvpanic-mmio", board->base, PVPANIC_MMIO_SIZE);
	dt_end(fdt);
	return fdt->err;
}

static void pvpanic_describe_acpi(const struct device *dev, struct aml *aml)
{
	const struct board_device *board = dev->board;

	aml_device_begin(aml, "PEVT");
	aml_name(aml, "_HID");
	aml_string(aml, "QEMU0001");
	aml_name(aml, "_UID");
	aml_int(aml, board->index);
	aml_name(aml, "_STA");
	aml_int(aml, 0xf);
	aml_name(aml, "_CRS");
	aml_resources_begin(aml);
	if (board->bus == BUS_PIO)
		aml_res_io(aml, (u16)board->base, 1, 1);
	else
		aml_res_memory32(aml, (u32)board->base, PVPANIC_MMIO_SIZE, true);
	aml_resources_end(aml);
	aml_end(aml);
}

static int pvpanic_state(struct device *dev, struct state *s)
{
	struct pvpanic *p = container_of(dev, struct pvpanic, dev);

	state_begin(s, dev->name, 1);
	state_u8(s, "reported", &p->reported);
	state_end(s);
	return s->err;
}

const struct device_ops pvpanic_ops = {
	.name = "pvpanic",
	.size = sizeof(struct pvpanic),
	.create = pvpanic_create,
	.reset = pvpanic_reset,
	.describe = pvpanic_describe,
	.describe_acpi = pvpanic_describe_acpi,
	.state = pvpanic_state,
};

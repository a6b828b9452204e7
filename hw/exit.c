/* SPDX-License-Identifier: MIT */
/*
 * The guest's exit code: a write of any width to one of four ports, or to one page of memory, ends the VM,
 * and the low byte of the value becomes lkvm's own exit status, as it is: 0 is success, and 32 cannot be told
 * from a reset (docs/exit-status.md has the table).
 *
 * With --testdev the status is (value << 1 | 1) & 0xff, as QEMU's isa-debug-exit has it: test suites made for
 * that device write 0 for success and expect 1.
 *
 * Reads give all ones. Accesses come from vCPU threads under dev->lock; there is no state.
 */
#include <lkvm/device.h>
#include <lkvm/hw.h>
#include <lkvm/kvm.h>

#define EXIT_PORTS     4
#define EXIT_MMIO_SIZE 0x1000

struct guest_exit {
	struct device dev;
};

static void exit_io(struct device *dev, struct io *io, void *arg)
{
	u8 code;

	if (!io->write)
		return;
	code = io->data[0];
	if (dev->kvm->cfg->testdev)
		code = (u8)(code << 1 | 1);
	kvm_end(dev->kvm, VM_CODE, code);
}

static int exit_create(struct device *dev, const void *params)
{
	const struct board_device *board = dev->board;
	int err = 0;

	if (board->bus != BUS_NONE)
		err = bus_map(dev, board->bus, board->base, EXIT_PORTS, exit_io, NULL, 0);
	if (!err && board->mmio)
		err = bus_map(dev, BUS_MMIO, board->mmio, EXIT_MMIO_SIZE, exit_io, NULL, 0);
	return err;
}

const struct device_ops exit_ops = {
	.name = "exit",
	.size = sizeof(struct guest_exit),
	.create = exit_create,
};

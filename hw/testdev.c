/* SPDX-License-Identifier: MIT */
/*
 * The test device (--testdev), register-compatible with QEMU's pc-testdev as kvm-unit-tests and other
 * bare-metal suites use it:
 *
 *   base + 0 .. 3      a 32-bit register that reads back what was written, in whole or in parts
 *   base + 4 .. 7      "flush this page": taken and ignored, for our memory needs no flushing
 *   base + 8           ours: the byte 10 raises line 10 without leaving the guest, by an ioeventfd that is an
 *                      irqfd as well; so that tests reach both
 *   0x2000 + line      a byte: the level to which that interrupt line is driven
 *   mmio, 64 KiB       memory behind exits, for accesses of every width and alignment
 *
 * (--testdev also changes what hw/exit.c makes of an exit code.)
 *
 * Accesses come from vCPU threads under dev->lock.
 */
#include <errno.h>
#include <lkvm/device.h>
#include <lkvm/hw.h>
#include <lkvm/irq.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <lkvm/state.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TESTDEV_ECHO_SIZE  4
#define TESTDEV_FLUSH_SIZE 4
#define TESTDEV_IRQFD_PORT 8
#define TESTDEV_IRQFD_LINE 10ull
#define TESTDEV_IRQ_PORT   0x2000
#define TESTDEV_IRQS	   24
#define TESTDEV_MEM_SIZE   0x10000

struct testdev {
	struct device dev;
	/* All under dev.lock. */
	u8 echo[TESTDEV_ECHO_SIZE];
	u32 high; /* lines that we drive high, a bit each */
	u8 *mem;
	int irqfd; /* from start() to stop(); else -1 */
};

static void testdev_echo_io(struct device *dev, struct io *io, void *arg)
{
	struct testdev *t = container_of(dev, struct testdev, dev);

	if (!range_inside(io->offset, io->len, 0, sizeof(t->echo)))
		return;
	if (io->write)
		memcpy(t->echo + io->offset, io->data, io->len);
	else
		memcpy(io->data, t->echo + io->offset, io->len);
}

static void testdev_flush_io(struct device *dev, struct io *io, void *arg)
{
}

/* Any other value than the one the kernel matches. */
static void testdev_irqfd_io(struct device *dev, struct io *io, void *arg)
{
}

static void testdev_drive(struct testdev *t, u32 line, bool level)
{
	u32 bit = 1u << line;

	if (!(t->high & bit) == !level)
		return;
	t->high ^= bit;
	irq_set_line(t->dev.kvm, line, level);
}

static void testdev_irq_io(struct device *dev, struct io *io, void *arg)
{
	struct testdev *t = container_of(dev, struct testdev, dev);

	if (io->write && io->offset < TESTDEV_IRQS)
		testdev_drive(t, (u32)io->offset, io->data[0]);
}

static void testdev_mem_io(struct device *dev, struct io *io, void *arg)
{
	struct testdev *t = container_of(dev, struct testdev, dev);

	if (!range_inside(io->offset, io->len, 0, TESTDEV_MEM_SIZE))
		return;
	if (io->write)
		memcpy(t->mem + io->offset, io->data, io->len);
	else
		memcpy(io->data, t->mem + io->offset, io->len);
}

static int testdev_create(struct device *dev, const void *params)
{
	struct testdev *t = container_of(dev, struct testdev, dev);
	const struct board_device *board = dev->board;
	const struct irqchip_ops *chip = dev->kvm->irqchip.ops;
	u64 lines = min_u64(TESTDEV_IRQS, chip ? chip->nr_lines : 0);
	int err;

	if (!board || board->bus != BUS_PIO) {
		log_error("--testdev: this machine has no place for it");
		return -ENOTSUP;
	}
	t->irqfd = -1;
	t->mem = calloc(1, TESTDEV_MEM_SIZE);
	if (!t->mem)
		return -ENOMEM;
	err = bus_map(dev, BUS_PIO, board->base, TESTDEV_ECHO_SIZE, testdev_echo_io, NULL, 0);
	if (!err)
		err = bus_map(dev, BUS_PIO, board->base + TESTDEV_ECHO_SIZE, TESTDEV_FLUSH_SIZE,
			      testdev_flush_io, NULL, 0);
	if (!err)
		err = bus_map(dev, BUS_PIO, board->base + TESTDEV_IRQFD_PORT, 1, testdev_irqfd_io, NULL, 0);
	if (!err && lines)
		err = bus_map(dev, BUS_PIO, TESTDEV_IRQ_PORT, lines, testdev_irq_io, NULL, BUS_BYTES);
	if (!err && board->mmio)
		err = bus_map(dev, BUS_MMIO, board->mmio, TESTDEV_MEM_SIZE, testdev_mem_io, NULL, 0);
	return err;
}

static int testdev_start(struct device *dev)
{
	struct testdev *t = container_of(dev, struct testdev, dev);
	const u64 line = TESTDEV_IRQFD_LINE;
	u64 port = dev->board->base + TESTDEV_IRQFD_PORT;
	int err;

	t->irqfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->irqfd < 0)
		return -errno;
	err = irq_fd_assign(dev->kvm, (u32)line, t->irqfd, -1);
	if (err >= 0) {
		err = ioeventfd_assign(dev->kvm, BUS_PIO, port, 1, &line, t->irqfd);
		if (err < 0)
			irq_fd_deassign(dev->kvm, (u32)line, t->irqfd);
	}
	if (err < 0) {
		close(t->irqfd);
		t->irqfd = -1;
	}
	return err < 0 ? err : 0;
}

static void testdev_stop(struct device *dev)
{
	struct testdev *t = container_of(dev, struct testdev, dev);
	const u64 line = TESTDEV_IRQFD_LINE;

	ioeventfd_deassign(dev->kvm, BUS_PIO, dev->board->base + TESTDEV_IRQFD_PORT, 1, &line, t->irqfd);
	irq_fd_deassign(dev->kvm, (u32)line, t->irqfd);
	close(t->irqfd);
	t->irqfd = -1;
}

static void testdev_reset(struct device *dev)
{
	struct testdev *t = container_of(dev, struct testdev, dev);

	memset(t->echo, 0, sizeof(t->echo));
	memset(t->mem, 0, TESTDEV_MEM_SIZE);
	for (u32 i = 0; i < TESTDEV_IRQS; i++)
		testdev_drive(t, i, false);
}

static int testdev_state(struct device *dev, struct state *s)
{
	struct testdev *t = container_of(dev, struct testdev, dev);

	state_begin(s, dev->name, 1);
	state_bytes(s, "echo", t->echo, sizeof(t->echo));
	state_u32(s, "high", &t->high);
	if (state_reading(s))
		t->high &= (1u << TESTDEV_IRQS) - 1;
	/* 64 KiB of test data are of no use to a reader. */
	if (!state_printing(s))
		state_bytes(s, "mem", t->mem, TESTDEV_MEM_SIZE);
	state_end(s);
	return s->err;
}

static void testdev_destroy(struct device *dev)
{
	free(container_of(dev, struct testdev, dev)->mem);
}

const struct device_ops testdev_ops = {
	.name = "testdev",
	.size = sizeof(struct testdev),
	.option = {.name = "testdev",
		   .kind = OPT_FLAG,
		   .help = "test device: ports 0xe0 and 0x2000, memory, exit codes as isa-debug-exit"},
	.create = testdev_create,
	.start = testdev_start,
	.stop = testdev_stop,
	.reset = testdev_reset,
	.state = testdev_state,
	.destroy = testdev_destroy,
};

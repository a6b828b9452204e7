/* SPDX-License-Identifier: MIT */
/*
 * The test device (--testdev). Where there are ports it is register-compatible with QEMU's pc-testdev, as
 * kvm-unit-tests and other bare-metal suites use it:
 *
 *   base + 0 .. 3      a 32-bit register that reads back what was written, in whole or in parts
 *   base + 4 .. 7      "flush this page": taken and ignored, for our memory needs no flushing
 *   base + 8           ours: the byte 10 raises line 10 without leaving the guest, by an ioeventfd that is an
 *                      irqfd as well; so that tests reach both
 *   0x2000 + line      a byte: the level to which that interrupt line is driven, of lines 0 .. 23
 *   mmio, 64 KiB       memory behind exits, for accesses of every width and alignment
 *
 * Elsewhere base is memory: the same at 0 .. 8, and registers of 32 bits, which take accesses of 32 bits
 * alone:
 *
 *   base + 0x10        a message's address, lower half
 *   base + 0x14        upper half
 *   base + 0x18        its data
 *   base + 0x1c        its device id
 *   base + 0x20        written with anything: sends the message; read: 0 when the last went, else an errno
 *
 *   base + 0x24        written with anything: the message becomes that of the doorbell, a GSI with an MSI
 *                      route; read: 0 when that worked the last time, else an errno
 *   base + 0x28        the doorbell: a byte, of any value, sends its message without leaving the guest
 *   base + 0x1000 + line  a byte: the level of that interrupt line, of lines 0 .. 63
 *
 * On a machine with PCI it is a function there, too (testdev-pci.c).
 *
 * (--testdev also changes what hw/exit.c makes of an exit code.)
 *
 * Accesses come from vCPU threads under dev->lock.
 */
#include "testdev-pci.h"
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
#define TESTDEV_IRQFD	   8
#define TESTDEV_IRQFD_LINE 10ull
#define TESTDEV_IRQ_PORT   0x2000
#define TESTDEV_PIO_LINES  24
#define TESTDEV_MSI	   0x10
#define TESTDEV_DOORBELL   0x28
#define TESTDEV_IRQ	   0x1000
#define TESTDEV_LINES	   64
#define TESTDEV_MEM_SIZE   0x10000

/* The registers from TESTDEV_MSI up. */
enum { MSI_ADDRESS, MSI_ADDRESS_HIGH, MSI_DATA, MSI_DEVICE, MSI_SEND, MSI_ROUTE, MSI_REGS };

struct testdev {
	struct device dev;
	u32 lines; /* that we drive */
	/* All under dev.lock. */
	u8 echo[TESTDEV_ECHO_SIZE];
	u64 high; /* lines that we drive high, a bit each */
	u8 *mem;
	int irqfd;	   /* from start() to stop(); else -1 */
	u32 msi[MSI_REGS]; /* as they read */
	/* The doorbell: its message and, while it has one, the GSI and the eventfd; else -1. */
	struct msi_msg message;
	int gsi, doorbell;
	struct ratelimit rl;
	struct testdev_pci *pci; /* NULL: there is no PCI */
};

static struct testdev *to_testdev(struct device *dev)
{
	return container_of(dev, struct testdev, dev);
}

/* An eventfd that a write to addr signals, and that injects the GSI: the fd, or -errno. */
static int testdev_wire(struct testdev *t, u32 gsi, u64 addr, const u64 *match)
{
	struct kvm *kvm = t->dev.kvm;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	err = irq_fd_assign(kvm, gsi, fd, -1);
	if (err >= 0) {
		err = ioeventfd_assign(kvm, t->dev.board->bus, addr, 1, match, fd);
		if (err < 0)
			irq_fd_deassign(kvm, gsi, fd);
	}
	if (err >= 0)
		return fd;
	close(fd);
	return err;
}

static void testdev_unwire(struct testdev *t, u32 gsi, u64 addr, const u64 *match, int fd)
{
	ioeventfd_deassign(t->dev.kvm, t->dev.board->bus, addr, 1, match, fd);
	irq_fd_deassign(t->dev.kvm, gsi, fd);
	close(fd);
}

/* --- messages ------------------------------------------------------------------------------------------ */

static u64 doorbell_addr(const struct testdev *t)
{
	return t->dev.board->base + TESTDEV_DOORBELL;
}

/* Whether the irqchip takes messages at all. */
static bool testdev_has_msi(const struct testdev *t)
{
	const struct irqchip_ops *chip = t->dev.kvm->irqchip.ops;

	return chip && chip->msi_route;
}

static int testdev_route(struct testdev *t, const struct msi_msg *msg)
{
	struct kvm *kvm = t->dev.kvm;
	int gsi, fd, err;

	if (!testdev_has_msi(t))
		return -ENOTSUP;
	if (t->gsi >= 0) {
		err = irq_msi_update(kvm, (u32)t->gsi, msg);
		if (!err)
			t->message = *msg;
		return err;
	}
	gsi = irq_msi_add(kvm, msg);
	if (gsi < 0)
		return gsi;
	fd = testdev_wire(t, (u32)gsi, doorbell_addr(t), NULL);
	if (fd < 0) {
		irq_msi_remove(kvm, (u32)gsi);
		return fd;
	}
	t->message = *msg;
	t->gsi = gsi;
	t->doorbell = fd;
	return 0;
}

static void testdev_unroute(struct testdev *t)
{
	if (t->gsi < 0)
		return;
	testdev_unwire(t, (u32)t->gsi, doorbell_addr(t), NULL, t->doorbell);
	irq_msi_remove(t->dev.kvm, (u32)t->gsi);
	t->gsi = t->doorbell = -1;
}

/* What a guest asked for and did not get is its own fault: the errno for its register. */
static u32 testdev_result(struct testdev *t, const char *what, int err)
{
	if (err >= 0)
		return 0;
	if (ratelimit_ok(&t->rl))
		log_debug(t->dev.kvm->log, "%s: %s: %s", t->dev.name, what, strerror(-err));
	return (u32)-err;
}

static void testdev_msi_io(struct device *dev, struct io *io, void *arg)
{
	struct testdev *t = to_testdev(dev);
	u64 reg = io->offset / 4;
	struct msi_msg msg = {
		.address = (u64)t->msi[MSI_ADDRESS_HIGH] << 32 | t->msi[MSI_ADDRESS],
		.data = t->msi[MSI_DATA],
		.devid = t->msi[MSI_DEVICE],
	};

	if (io->len != 4 || io->offset % 4 || reg >= MSI_REGS)
		return;
	if (!io->write)
		io_reply(io, t->msi[reg]);
	else if (reg == MSI_SEND)
		t->msi[reg] = testdev_result(t, "message",
					     testdev_has_msi(t) ? irq_msi_send(dev->kvm, &msg) : -ENOTSUP);
	else if (reg == MSI_ROUTE)
		t->msi[reg] = testdev_result(t, "doorbell", testdev_route(t, &msg));
	else
		t->msi[reg] = (u32)io_value(io);
}

/* --- the rest ------------------------------------------------------------------------------------------ */

static void testdev_echo_io(struct device *dev, struct io *io, void *arg)
{
	struct testdev *t = to_testdev(dev);

	if (!range_inside(io->offset, io->len, 0, sizeof(t->echo)))
		return;
	if (io->write)
		memcpy(t->echo + io->offset, io->data, io->len);
	else
		memcpy(io->data, t->echo + io->offset, io->len);
}

/* Also for any other value of the irqfd's byte than the one the kernel matches. */
static void testdev_ignore_io(struct device *dev, struct io *io, void *arg)
{
}

static void testdev_drive(struct testdev *t, u32 line, bool level)
{
	u64 bit = 1ull << line;

	if (!(t->high & bit) == !level)
		return;
	t->high ^= bit;
	irq_set_line(t->dev.kvm, line, level);
}

static void testdev_irq_io(struct device *dev, struct io *io, void *arg)
{
	struct testdev *t = to_testdev(dev);

	if (io->write && io->offset < t->lines)
		testdev_drive(t, (u32)io->offset, io->data[0]);
}

static void testdev_mem_io(struct device *dev, struct io *io, void *arg)
{
	struct testdev *t = to_testdev(dev);

	if (!range_inside(io->offset, io->len, 0, TESTDEV_MEM_SIZE))
		return;
	if (io->write)
		memcpy(t->mem + io->offset, io->data, io->len);
	else
		memcpy(io->data, t->mem + io->offset, io->len);
}

/* --- life ---------------------------------------------------------------------------------------------- */

static int testdev_create(struct device *dev, const void *params)
{
	struct testdev *t = to_testdev(dev);
	const struct board_device *board = dev->board;
	const struct irqchip_ops *chip = dev->kvm->irqchip.ops;
	bool mmio = board && board->bus == BUS_MMIO;
	u64 base;
	int err;

	t->irqfd = t->gsi = t->doorbell = -1;
	if (!board || board->bus == BUS_NONE) {
		log_error("--testdev: this machine has no place for it");
		return -ENOTSUP;
	}
	base = board->base;
	t->lines = (u32)min_u64(mmio ? TESTDEV_LINES : TESTDEV_PIO_LINES, chip ? chip->nr_lines : 0);
	t->mem = calloc(1, TESTDEV_MEM_SIZE);
	if (!t->mem)
		return -ENOMEM;
	err = bus_map(dev, board->bus, base, TESTDEV_ECHO_SIZE, testdev_echo_io, NULL, 0);
	if (!err)
		err = bus_map(dev, board->bus, base + TESTDEV_ECHO_SIZE, TESTDEV_FLUSH_SIZE,
			      testdev_ignore_io, NULL, 0);
	if (!err)
		err = bus_map(dev, board->bus, base + TESTDEV_IRQFD, 1, testdev_ignore_io, NULL, 0);
	/* With the doorbell's word, which is nothing until it has a route. */
	if (!err && mmio)
		err = bus_map(dev, BUS_MMIO, base + TESTDEV_MSI, TESTDEV_DOORBELL + 4 - TESTDEV_MSI,
			      testdev_msi_io, NULL, 0);
	if (!err && t->lines)
		err = bus_map(dev, board->bus, mmio ? base + TESTDEV_IRQ : TESTDEV_IRQ_PORT, t->lines,
			      testdev_irq_io, NULL, BUS_BYTES);
	if (!err && board->mmio)
		err = bus_map(dev, BUS_MMIO, board->mmio, TESTDEV_MEM_SIZE, testdev_mem_io, NULL, 0);
	return err ? err : testdev_pci_create(&t->pci, dev, t->mem, TESTDEV_MEM_SIZE);
}

static int testdev_start(struct device *dev)
{
	struct testdev *t = to_testdev(dev);
	const u64 line = TESTDEV_IRQFD_LINE;

	t->irqfd = testdev_wire(t, (u32)line, dev->board->base + TESTDEV_IRQFD, &line);
	return t->irqfd < 0 ? t->irqfd : 0;
}

static void testdev_stop(struct device *dev)
{
	struct testdev *t = to_testdev(dev);
	const u64 line = TESTDEV_IRQFD_LINE;

	testdev_unroute(t);
	testdev_unwire(t, (u32)line, dev->board->base + TESTDEV_IRQFD, &line, t->irqfd);
	t->irqfd = -1;
}

static void testdev_reset(struct device *dev)
{
	struct testdev *t = to_testdev(dev);

	testdev_unroute(t);
	memset(t->msi, 0, sizeof(t->msi));
	memset(t->echo, 0, sizeof(t->echo));
	memset(t->mem, 0, TESTDEV_MEM_SIZE);
	for (u32 i = 0; i < t->lines; i++)
		testdev_drive(t, i, false);
	testdev_pci_reset(t->pci);
}

static int testdev_state(struct device *dev, struct state *s)
{
	static const char *const names[MSI_REGS] = {"msi_address", "msi_address_high", "msi_data",
						    "msi_device",  "msi_sent",	       "msi_routed"};
	struct testdev *t = to_testdev(dev);
	struct msi_msg msg = t->message;
	bool routed = t->gsi >= 0;
	u64 was = t->high, high = was;
	int err;

	state_begin(s, dev->name, 3);
	state_bytes(s, "echo", t->echo, sizeof(t->echo));
	state_u64(s, "high", &high);
	for (u32 i = 0; i < MSI_REGS; i++)
		state_u32(s, names[i], &t->msi[i]);
	state_bool(s, "doorbell", &routed);
	state_u64(s, "doorbell_address", &msg.address);
	state_u32(s, "doorbell_data", &msg.data);
	state_u32(s, "doorbell_device", &msg.devid);
	/* 64 KiB of test data are of no use to a reader. */
	if (!state_printing(s))
		state_bytes(s, "mem", t->mem, TESTDEV_MEM_SIZE);
	testdev_pci_state(t->pci, s);
	state_end(s);
	if (!state_reading(s))
		return s->err;
	/* It is what the lines are: none is set on the way to a failure. */
	if (s->err)
		return s->err;
	t->high = t->lines < 64 ? high & ((1ull << t->lines) - 1) : high;
	/* The irqchip was restored before us, and some do not keep the level of a line. */
	for (u32 i = 0; i < t->lines; i++)
		if ((was ^ t->high) >> i & 1)
			irq_set_line(dev->kvm, i, t->high >> i & 1);
	routed &= dev->board->bus == BUS_MMIO;
	err = routed ? testdev_route(t, &msg) : 0;
	/* Else its register says what it said: what became of the last write, which may not be the route. */
	if (err)
		t->msi[MSI_ROUTE] = testdev_result(t, "doorbell", err);
	if (err || !routed)
		testdev_unroute(t);
	return 0;
}

static void testdev_destroy(struct device *dev)
{
	testdev_pci_destroy(to_testdev(dev)->pci);
	free(to_testdev(dev)->mem);
}

const struct device_ops testdev_ops = {
	.name = "testdev",
	.size = sizeof(struct testdev),
	.option = {.name = "testdev",
		   .kind = OPT_FLAG,
		   .help = "test device: registers, interrupts, memory; exit codes as isa-debug-exit"},
	.create = testdev_create,
	.start = testdev_start,
	.stop = testdev_stop,
	.reset = testdev_reset,
	.state = testdev_state,
	.destroy = testdev_destroy,
};

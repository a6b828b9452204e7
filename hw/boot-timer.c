/* SPDX-License-Identifier: MIT */
/*
 * The boot timer (--boot-timer): a guest writes a number to a port, or to a page of memory, when it has come
 * to a point of its start, by custom 123 for "user space runs"; lkvm prints how long that took since the
 * process started: wall time, and CPU time of all its threads.
 *
 * Reads give all ones. Accesses come from vCPU threads under dev->lock.
 */
#include <errno.h>
#include <inttypes.h>
#include <lkvm/device.h>
#include <lkvm/hw.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <sys/resource.h>
#include <time.h>

#define BOOT_TIMER_PAGE 0x1000

struct boot_timer {
	struct device dev;
	struct ratelimit rl; /* dev.lock */
};

static u64 wall_ns(const struct kvm *kvm)
{
	struct timespec ts;
	u64 now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
	return now > kvm->start_ns ? now - kvm->start_ns : 0;
}

static u64 cpu_us(void)
{
	struct rusage ru;

	if (getrusage(RUSAGE_SELF, &ru))
		return 0;
	return (u64)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000 +
	       (u64)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
}

static void boot_timer_io(struct device *dev, struct io *io, void *arg)
{
	struct boot_timer *timer = container_of(dev, struct boot_timer, dev);
	u64 wall, cpu;

	if (!io->write)
		return;
	wall = wall_ns(dev->kvm) / 100000;
	cpu = cpu_us() / 100;
	if (!ratelimit_ok(&timer->rl))
		return;
	/* No error, but what the user asked for: printed whatever the log level. */
	log_print(NULL, LOG_ERROR,
		  "boot timer: guest reports %" PRIu64 " after %" PRIu64 ".%" PRIu64 " ms wall, %" PRIu64
		  ".%" PRIu64 " ms CPU",
		  io_value(io), wall / 10, wall % 10, cpu / 10, cpu % 10);
}

static int boot_timer_create(struct device *dev, const void *params)
{
	const struct board_device *board = dev->board;
	int err = 0;

	if (!board) {
		log_error("--boot-timer: this machine has no place for it");
		return -ENOTSUP;
	}
	if (board->bus != BUS_NONE)
		err = bus_map(dev, board->bus, board->base, 1, boot_timer_io, NULL, 0);
	if (!err && board->mmio)
		err = bus_map(dev, BUS_MMIO, board->mmio, BOOT_TIMER_PAGE, boot_timer_io, NULL, 0);
	return err;
}

const struct device_ops boot_timer_ops = {
	.name = "boot-timer",
	.size = sizeof(struct boot_timer),
	.option = {.name = "boot-timer",
		   .kind = OPT_FLAG,
		   .help = "print wall and CPU time when the guest writes to a port or page of its own"},
	.create = boot_timer_create,
};

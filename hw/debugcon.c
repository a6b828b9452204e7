/* SPDX-License-Identifier: MIT */
/*
 * A debug console: one port, at 0xe9 (as Bochs has it) and at 0x402 (where SeaBIOS and OVMF look). It reads
 * as 0xe9, by which a guest finds it; what is written goes to lkvm's stderr, apart from the guest's console
 * on stdout.
 *
 * Bytes gather up to a newline or a full buffer and go out by one write, so lines of two vCPUs or of lkvm's
 * own do not mix. A stderr that takes nothing costs the guest DEBUGCON_STALL_MS, once for each line, and the
 * line.
 *
 * Accesses come from vCPU threads under dev->lock; stop() from the main thread.
 */
#include <errno.h>
#include <lkvm/device.h>
#include <lkvm/hw.h>
#include <lkvm/state.h>
#include <poll.h>
#include <unistd.h>

#define DEBUGCON_PRESENT  0xe9
#define DEBUGCON_LINE	  256
#define DEBUGCON_STALL_MS 100

struct debugcon {
	struct device dev;
	/* All under dev.lock. */
	u8 line[DEBUGCON_LINE];
	u32 len;
	bool tty; /* stderr is a terminal, maybe in raw mode: a newline needs its carriage return */
	u64 written;
};

static bool debugcon_can_write(void)
{
	struct pollfd pfd = {.fd = STDERR_FILENO, .events = POLLOUT};

	/* A pipe that polls writable takes PIPE_BUF bytes, more than we ever write at a time. */
	return poll(&pfd, 1, DEBUGCON_STALL_MS) == 1 && pfd.revents & POLLOUT;
}

static void debugcon_flush(struct debugcon *con)
{
	u8 out[2 * DEBUGCON_LINE];
	size_t len = 0, done = 0;

	for (u32 i = 0; i < con->len; i++) {
		if (con->tty && con->line[i] == '\n')
			out[len++] = '\r';
		out[len++] = con->line[i];
	}
	con->len = 0;
	while (done < len && debugcon_can_write()) {
		ssize_t n = write(STDERR_FILENO, out + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EINTR && errno != EAGAIN)
			break;
	}
}

static void debugcon_io(struct device *dev, struct io *io, void *arg)
{
	struct debugcon *con = container_of(dev, struct debugcon, dev);

	if (!io->write) {
		io->data[0] = DEBUGCON_PRESENT;
		return;
	}
	con->written++;
	con->line[con->len++] = io->data[0];
	if (con->len == DEBUGCON_LINE || io->data[0] == '\n')
		debugcon_flush(con);
}

static int debugcon_create(struct device *dev, const void *params)
{
	struct debugcon *con = container_of(dev, struct debugcon, dev);

	con->tty = isatty(STDERR_FILENO);
	return bus_map(dev, dev->board->bus, dev->board->base, 1, debugcon_io, NULL, BUS_BYTES);
}

/* A last line without its newline still counts: it may be the one that tells what went wrong. */
static void debugcon_finish(struct device *dev)
{
	debugcon_flush(container_of(dev, struct debugcon, dev));
}

static int debugcon_state(struct device *dev, struct state *s)
{
	struct debugcon *con = container_of(dev, struct debugcon, dev);

	state_begin(s, dev->name, 1);
	state_u64(s, "written", &con->written);
	state_end(s);
	return s->err;
}

const struct device_ops debugcon_ops = {
	.name = "debugcon",
	.size = sizeof(struct debugcon),
	.create = debugcon_create,
	.stop = debugcon_finish,
	.reset = debugcon_finish,
	.state = debugcon_state,
	.destroy = debugcon_finish,
};

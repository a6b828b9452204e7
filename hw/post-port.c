/* SPDX-License-Identifier: MIT */
/*
 * The POST code port (0x80 on a PC): firmware and early kernels write their progress to it, and Linux writes
 * to it for the sake of the delay. The last code is kept, can be read back, and shows up in `lkvm debug`.
 *
 * Accesses come from vCPU threads under dev->lock.
 */
#include <lkvm/device.h>
#include <lkvm/hw.h>
#include <lkvm/state.h>

struct post_port {
	struct device dev;
	u8 code; /* dev.lock */
};

static void post_io(struct device *dev, struct io *io, void *arg)
{
	struct post_port *post = container_of(dev, struct post_port, dev);

	if (io->write)
		post->code = io->data[0];
	else
		io->data[0] = post->code;
}

static int post_create(struct device *dev, const void *params)
{
	return bus_map(dev, dev->board->bus, dev->board->base, 1, post_io, NULL, BUS_BYTES);
}

static void post_reset(struct device *dev)
{
	container_of(dev, struct post_port, dev)->code = 0;
}

static int post_state(struct device *dev, struct state *s)
{
	struct post_port *post = container_of(dev, struct post_port, dev);

	state_begin(s, dev->name, 1);
	state_u8(s, "code", &post->code);
	state_end(s);
	return s->err;
}

const struct device_ops post_port_ops = {
	.name = "post",
	.size = sizeof(struct post_port),
	.create = post_create,
	.reset = post_reset,
	.state = post_state,
};

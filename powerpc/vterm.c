/* SPDX-License-Identifier: MIT */
/*
 * Virtual terminals (PAPR 16.6.1, "hvterm1"): a console without registers. The guest writes and reads up to
 * 16 characters by a hypercall; an interrupt tells of characters that came.
 *
 * Hypercalls come on vCPU threads, the console's callbacks on the main thread; dev->lock guards everything.
 *
 * Output is all or nothing for the guest: what the console does not take of a call waits here, and while
 * something waits the next call is answered by H_BUSY. The interrupt is an edge at each arrival: Linux reads
 * until nothing is left, or polls when its buffer was full.
 */
#include "pseries-layout.h"
#include "pseries.h"
#include <errno.h>
#include <lkvm/console.h>
#include <lkvm/endian.h>
#include <string.h>

#define CALL_MAX 16
#define RX_SIZE	 256

struct vterm {
	struct device dev;
	struct console *con;
	/* All below under dev.lock. */
	u8 rx[RX_SIZE]; /* oldest first */
	u32 rx_count;
	bool waiting;	 /* the console was told that there is no room */
	u8 tx[CALL_MAX]; /* not yet taken by the console */
	u32 tx_count;
};

static struct vterm *to_vterm(struct device *dev)
{
	return container_of(dev, struct vterm, dev);
}

/* NULL: no terminal has that unit address. */
static struct vterm *vterm_of(struct kvm *kvm, u64 unit)
{
	struct device *dev = NULL;

	if (unit >= PSERIES_VTERM(0) && unit < PSERIES_VTERM(CONSOLE_MAX))
		dev = device_find(kvm, &vterm_ops, (u32)unit - PSERIES_VTERM(0));
	return dev ? to_vterm(dev) : NULL;
}

/* ---- the guest's side ------------------------------------------------------------------------------ */

long vterm_put(struct kvm *kvm, u64 unit, u64 len, const u64 word[2])
{
	struct vterm *t = vterm_of(kvm, unit);
	u8 data[CALL_MAX];
	long status = H_SUCCESS;
	u32 n;

	if (!t || len > CALL_MAX)
		return H_PARAMETER;
	put_be64(data, word[0]);
	put_be64(data + 8, word[1]);
	device_lock(&t->dev);
	if (t->tx_count) {
		status = H_BUSY;
	} else {
		n = (u32)console_write(t->con, data, (size_t)len);
		t->tx_count = (u32)len - n;
		memcpy(t->tx, data + n, t->tx_count);
	}
	device_unlock(&t->dev);
	return status;
}

long vterm_get(struct kvm *kvm, u64 unit, u64 *len, u64 word[2])
{
	struct vterm *t = vterm_of(kvm, unit);
	u8 data[CALL_MAX] = {0};
	bool ready;
	u32 n;

	if (!t)
		return H_PARAMETER;
	device_lock(&t->dev);
	n = (u32)min_u64(t->rx_count, CALL_MAX);
	memcpy(data, t->rx, n);
	t->rx_count -= n;
	memmove(t->rx, t->rx + n, t->rx_count);
	/* Half a buffer at a time, or the main thread wakes for each call. */
	ready = t->waiting && t->rx_count <= RX_SIZE / 2;
	if (ready) {
		t->waiting = false;
		console_input_ready(t->con);
	}
	device_unlock(&t->dev);
	word[0] = get_be64(data);
	word[1] = get_be64(data + 8);
	*len = n;
	return H_SUCCESS;
}

/* ---- the console's side ------------------------------------------------------------------------------ */

static size_t vterm_room(struct device *dev)
{
	struct vterm *t = to_vterm(dev);
	size_t room;

	device_lock(dev);
	room = RX_SIZE - t->rx_count;
	t->waiting = !room;
	device_unlock(dev);
	return room;
}

static void vterm_input(struct device *dev, const u8 *data, size_t len)
{
	struct vterm *t = to_vterm(dev);
	u32 n;

	device_lock(dev);
	n = (u32)min_u64(len, RX_SIZE - t->rx_count);
	memcpy(t->rx + t->rx_count, data, n);
	t->rx_count += n;
	irq_set_line(dev->kvm, dev->board->line, true);
	irq_set_line(dev->kvm, dev->board->line, false);
	device_unlock(dev);
}

static void vterm_output_ready(struct device *dev)
{
	struct vterm *t = to_vterm(dev);
	u32 n;

	device_lock(dev);
	if (t->tx_count) {
		n = (u32)console_write(t->con, t->tx, t->tx_count);
		t->tx_count -= n;
		memmove(t->tx, t->tx + n, t->tx_count);
	}
	device_unlock(dev);
}

static const struct console_client vterm_client = {
	.room = vterm_room,
	.input = vterm_input,
	.output_ready = vterm_output_ready,
};

/* ---- life ------------------------------------------------------------------------------------------ */

static int vterm_create(struct device *dev, const void *params)
{
	return console_attach(dev->kvm, dev->board->index, dev, &vterm_client, &to_vterm(dev)->con);
}

static void vterm_destroy(struct device *dev)
{
	if (to_vterm(dev)->con)
		console_detach(to_vterm(dev)->con);
}

void vterm_describe(const struct device *dev, struct fdt *fdt)
{
	u32 unit = (u32)dev->board->base;

	dt_begin_at(fdt, "vty", unit);
	dt_str(fdt, "device_type", "serial");
	dt_str(fdt, "compatible", "hvterm1");
	dt_u32(fdt, "reg", unit);
	dt_interrupt(fdt, dev->board->line, false);
	dt_end(fdt);
}

static int vterm_state(struct device *dev, struct state *s)
{
	struct vterm *t = to_vterm(dev);

	state_begin(s, dev->name, 1);
	state_u32(s, "rx_count", &t->rx_count);
	if (t->rx_count > RX_SIZE)
		state_fail(s, -EBADMSG, "rx_count", "%u bytes, there is room for %u", t->rx_count, RX_SIZE);
	else
		state_bytes(s, "rx", t->rx, t->rx_count);
	state_u32(s, "tx_count", &t->tx_count);
	if (t->tx_count > CALL_MAX)
		state_fail(s, -EBADMSG, "tx_count", "%u bytes, a call has %u", t->tx_count, CALL_MAX);
	else
		state_bytes(s, "tx", t->tx, t->tx_count);
	state_end(s);
	if (s->err && state_reading(s))
		t->rx_count = t->tx_count = 0;
	return s->err;
}

const struct device_ops vterm_ops = {
	.name = "vterm",
	.size = sizeof(struct vterm),
	.create = vterm_create,
	.state = vterm_state,
	.destroy = vterm_destroy,
};

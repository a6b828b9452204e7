/* SPDX-License-Identifier: MIT */
/*
 * A PrimeCell PL061 (ARM DDI 0190, chapter 3): eight GPIO pins, of which one is wired. Pin 3 is the power
 * button of boards without ACPI; the device tree has a "gpio-keys" node that makes a KEY_POWER of it.
 *
 * A press holds the pin high until the guest has read it so, and for BUTTON_TICK_NS at the least: a guest's
 * driver gets its interrupt, waits until contacts would have come to rest, and then looks at the pin, which
 * may take long where the guest is slow. Whoever never looks has the button back after BUTTON_TICKS.
 *
 * Interrupts come from pins that are inputs: by level, or latched by an edge until GPIOIC clears them.
 *
 * Register accesses come from vCPU threads under dev->lock; a press from any thread and the timer from the
 * main thread, which take it.
 */
#include "primecell.h"
#include <lkvm/event.h>
#include <lkvm/hw.h>
#include <lkvm/irq.h>
#include <lkvm/kvm.h>
#include <lkvm/state.h>

#define BUTTON_PIN     3
#define BUTTON	       (1u << BUTTON_PIN)
#define BUTTON_TICK_NS 100000000ull
#define BUTTON_TICKS   30

#define KEY_POWER 116 /* input-event-codes.h of Linux, of which a device tree speaks */

enum {
	GPIO_DATA_END = 0x400, /* GPIODATA below: address bits 9:2 say which pins an access is to */
	GPIO_DIR = 0x400,      /* 1: output */
	GPIO_IS = 0x404,       /* 1: by level */
	GPIO_IBE = 0x408,      /* 1: by both edges */
	GPIO_IEV = 0x40c,      /* 1: high, or rising */
	GPIO_IE = 0x410,
	GPIO_RIS = 0x414,
	GPIO_MIS = 0x418,
	GPIO_IC = 0x41c,
	GPIO_AFSEL = 0x420,
};

struct gpio {
	struct device dev;
	/* All under dev.lock. */
	u8 data;  /* what was written to pins, for those that are outputs */
	u8 input; /* what the board drives pins to */
	u8 dir, is, ibe, iev, ie, afsel;
	u8 edges;  /* latched */
	bool line; /* what was last told to the irqchip */
	bool seen; /* the guest has read the button as pressed */
	u32 ticks; /* while it is pressed: how many are left */
	struct event_timer timer;
};

static struct gpio *to_gpio(struct device *dev)
{
	return container_of(dev, struct gpio, dev);
}

static u8 gpio_pins(const struct gpio *g)
{
	return (g->data & g->dir) | (g->input & (u8)~g->dir);
}

static u8 gpio_raw(const struct gpio *g)
{
	u8 level = (u8) ~(g->input ^ g->iev) & (u8)~g->dir;

	return (g->edges & (u8)~g->is) | (level & g->is);
}

static void gpio_update(struct gpio *g)
{
	bool level = gpio_raw(g) & g->ie;

	if (level == g->line)
		return;
	g->line = level;
	irq_set_line(g->dev.kvm, g->dev.board->line, level);
}

static void gpio_drive(struct gpio *g, u8 input)
{
	u8 changed = (g->input ^ input) & (u8)~g->dir;

	g->edges |= changed & (u8)~g->is & (g->ibe | (u8) ~(input ^ g->iev));
	g->input = input;
	gpio_update(g);
}

/* --- the button ----------------------------------------------------------------------------------- */

static void button_release(struct gpio *g)
{
	g->ticks = 0;
	event_timer_set(&g->timer, 0, 0);
	gpio_drive(g, g->input & (u8)~BUTTON);
}

static void button_on_timer(struct event_timer *timer)
{
	struct gpio *g = timer->arg;

	device_lock(&g->dev);
	if (g->ticks && (g->seen || !--g->ticks))
		button_release(g);
	device_unlock(&g->dev);
}

static void button_hold(struct gpio *g, u32 ticks)
{
	g->seen = false;
	g->ticks = ticks;
	event_timer_set(&g->timer, BUTTON_TICK_NS, BUTTON_TICK_NS);
}

void gpio_power_button_press(struct device *dev)
{
	struct gpio *g = to_gpio(dev);

	device_lock(dev);
	/* Pressed already: whoever leans on it as well makes no difference. */
	if (!g->ticks) {
		button_hold(g, BUTTON_TICKS);
		gpio_drive(g, g->input | BUTTON);
	}
	device_unlock(dev);
}

/* --- registers ------------------------------------------------------------------------------------ */

static u8 gpio_read(struct gpio *g, u64 offset)
{
	if (offset < GPIO_DATA_END) {
		u8 pins = gpio_pins(g) & (u8)(offset >> 2);

		g->seen |= pins & (u8)~g->dir & BUTTON;
		return pins;
	}
	switch (offset) {
	case GPIO_DIR:
		return g->dir;
	case GPIO_IS:
		return g->is;
	case GPIO_IBE:
		return g->ibe;
	case GPIO_IEV:
		return g->iev;
	case GPIO_IE:
		return g->ie;
	case GPIO_RIS:
		return gpio_raw(g);
	case GPIO_MIS:
		return gpio_raw(g) & g->ie;
	case GPIO_AFSEL:
		return g->afsel;
	}
	return offset >= PRIMECELL_IDS ? (u8)primecell_id(0x061, offset) : 0;
}

static void gpio_write(struct gpio *g, u64 offset, u8 v)
{
	u8 mask = (u8)(offset >> 2);

	if (offset < GPIO_DATA_END) {
		g->data = (g->data & (u8)~mask) | (v & mask);
		return;
	}
	switch (offset) {
	case GPIO_DIR:
		g->dir = v;
		break;
	case GPIO_IS:
		g->is = v;
		break;
	case GPIO_IBE:
		g->ibe = v;
		break;
	case GPIO_IEV:
		g->iev = v;
		break;
	case GPIO_IE:
		g->ie = v;
		break;
	case GPIO_IC:
		g->edges &= (u8)~v;
		break;
	case GPIO_AFSEL:
		g->afsel = v; /* nothing but the pins is there to select */
		break;
	}
	gpio_update(g);
}

static void gpio_io(struct device *dev, struct io *io, void *arg)
{
	if (io->offset % 4)
		return;
	if (io->write)
		gpio_write(to_gpio(dev), io->offset, io->data[0]);
	else
		io_reply(io, gpio_read(to_gpio(dev), io->offset));
}

/* --- life ----------------------------------------------------------------------------------------- */

static int gpio_create(struct device *dev, const void *params)
{
	struct gpio *g = to_gpio(dev);
	int err = event_timer_init(&dev->kvm->loop, &g->timer, button_on_timer, g);

	if (err)
		return err;
	return bus_map(dev, dev->board->bus, dev->board->base, PRIMECELL_SIZE, gpio_io, NULL, 0);
}

static void gpio_reset(struct device *dev)
{
	struct gpio *g = to_gpio(dev);

	g->data = g->dir = g->is = g->ibe = g->iev = g->ie = g->afsel = 0;
	button_release(g);
	g->edges = 0;
	gpio_update(g);
}

static int gpio_describe(const struct device *dev, struct fdt *fdt)
{
	const u32 button[] = {DT_GPIO, BUTTON_PIN, 0 /* GPIO_ACTIVE_HIGH */};

	primecell_describe(dev, fdt, "gpio", "arm,pl061");
	dt_phandle(fdt, DT_GPIO);
	dt_empty(fdt, "gpio-controller");
	dt_u32(fdt, "#gpio-cells", 2);
	dt_empty(fdt, "interrupt-controller");
	dt_u32(fdt, "#interrupt-cells", 2);
	dt_u32(fdt, "#address-cells", 0); /* newer dtc wants it of every interrupt controller */
	dt_end(fdt);

	dt_begin_node(fdt, "gpio-keys");
	dt_str(fdt, "compatible", "gpio-keys");
	dt_begin_node(fdt, "poweroff");
	dt_str(fdt, "label", "power button");
	dt_u32(fdt, "linux,code", KEY_POWER);
	dt_cells(fdt, "gpios", button, ARRAY_SIZE(button));
	dt_empty(fdt, "wakeup-source");
	dt_end(fdt);
	dt_end(fdt);
	return fdt->err;
}

static int gpio_state(struct device *dev, struct state *s)
{
	struct gpio *g = to_gpio(dev);

	state_begin(s, dev->name, 1);
	state_u8(s, "data", &g->data);
	state_u8(s, "dir", &g->dir);
	state_u8(s, "is", &g->is);
	state_u8(s, "ibe", &g->ibe);
	state_u8(s, "iev", &g->iev);
	state_u8(s, "ie", &g->ie);
	state_u8(s, "afsel", &g->afsel);
	state_u8(s, "edges", &g->edges);
	state_u32(s, "ticks", &g->ticks);
	state_note(s, "button", "%s", g->ticks ? "pressed" : "released");
	state_note(s, "line", "%s", g->line ? "high" : "low");
	state_end(s);
	if (!state_reading(s) || s->err)
		return s->err;
	/* A press that was under way goes on. */
	g->ticks = (u32)min_u64(g->ticks, BUTTON_TICKS);
	g->input = g->ticks ? BUTTON : 0;
	if (g->ticks)
		button_hold(g, g->ticks);
	else
		event_timer_set(&g->timer, 0, 0);
	gpio_update(g);
	return 0;
}

static void gpio_destroy(struct device *dev)
{
	event_timer_destroy(&dev->kvm->loop, &to_gpio(dev)->timer);
}

const struct device_ops gpio_pl061_ops = {
	.name = "gpio",
	.size = sizeof(struct gpio),
	.create = gpio_create,
	.reset = gpio_reset,
	.describe = gpio_describe,
	.state = gpio_state,
	.destroy = gpio_destroy,
};

/* SPDX-License-Identifier: MIT */
/*
 * Power: the registers by which a hardware-reduced ACPI guest turns the machine off (ACPI 6.4, 4.8.3.7: sleep
 * control and status registers) and resets it (4.8.3.6: reset register), and the power button.
 *
 * The button is an event register and a level-triggered line behind a Generic Event Device (5.6.9): pressing
 * sets a pending bit and raises the line; the device's _EVT method reads the register, which clears it and
 * lowers the line, and notifies \_SB.PWRB. The guest may act on it or not.
 *
 * Register accesses come from vCPU threads under dev->lock, a button press from any thread.
 */
#include <errno.h>
#include <lkvm/acpi.h>
#include <lkvm/device.h>
#include <lkvm/hw.h>
#include <lkvm/irq.h>
#include <lkvm/kvm.h>
#include <lkvm/state.h>

#define POWER_PORTS 8

enum {
	SLEEP_ENABLE = 0x20,
	SLEEP_TYPE_SHIFT = 2,
	SLEEP_TYPE_MASK = 0x7,
	EVENT_BUTTON = 0x1,
};

/* AML (20.2.5): opcodes that acpi.h has no function for. */
enum { AML_LOCAL0 = 0x60, AML_STORE = 0x70, AML_AND = 0x7b };

struct power {
	struct device dev;
	u8 events; /* pending; dev.lock. The line is high while any is. */
};

static void power_set_events(struct power *p, u8 events)
{
	bool was = p->events;

	p->events = events;
	if (p->dev.board->line != IRQ_NONE && was != !!events)
		irq_set_line(p->dev.kvm, p->dev.board->line, !was);
}

static void power_write(struct power *p, u64 offset, u8 v)
{
	switch (offset) {
	case POWER_SLEEP_CONTROL:
		if (v & SLEEP_ENABLE && (v >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK) == POWER_S5_TYPE)
			kvm_end(p->dev.kvm, VM_POWEROFF, 0);
		break;
	case POWER_RESET:
		if (v == POWER_RESET_VALUE)
			kvm_end(p->dev.kvm, VM_RESET, 0);
		break;
	}
}

static u8 power_read(struct power *p, u64 offset)
{
	u8 events = p->events;

	if (offset != POWER_EVENT)
		return 0; /* no state is ever left (WAK_STS), and the other registers hold nothing */
	power_set_events(p, 0);
	return events;
}

static void power_io(struct device *dev, struct io *io, void *arg)
{
	struct power *p = container_of(dev, struct power, dev);

	if (io->write)
		power_write(p, io->offset, io->data[0]);
	else
		io->data[0] = power_read(p, io->offset);
}

void power_button_press(struct device *dev)
{
	struct power *p = container_of(dev, struct power, dev);

	device_lock(dev);
	power_set_events(p, p->events | EVENT_BUTTON);
	device_unlock(dev);
}

static int power_create(struct device *dev, const void *params)
{
	return bus_map(dev, dev->board->bus, dev->board->base, POWER_PORTS, power_io, NULL, BUS_BYTES);
}

static void power_reset(struct device *dev)
{
	power_set_events(container_of(dev, struct power, dev), 0);
}

static void power_describe_acpi(const struct device *dev, struct aml *aml)
{
	const struct board_device *board = dev->board;

	/* The registers are reached by SystemIO; a board that has them in memory describes them by its FDT.
	 */
	if (board->line == IRQ_NONE || board->bus != BUS_PIO)
		return;

	aml_device_begin(aml, "PWRB");
	aml_name(aml, "_HID");
	aml_eisaid(aml, "PNP0C0C");
	aml_end(aml);

	aml_device_begin(aml, "GED");
	aml_name(aml, "_HID");
	aml_string(aml, "ACPI0013");
	aml_name(aml, "_UID");
	aml_int(aml, 0);
	aml_name(aml, "_CRS");
	aml_resources_begin(aml);
	aml_res_irq(aml, board->line, true, false);
	aml_resources_end(aml);
	aml_opregion_io(aml, "REGS", board->base + POWER_EVENT, 1);
	aml_field_begin(aml, "REGS", 8);
	aml_field_unit(aml, "EVNT", 8);
	aml_end(aml);

	/* Read once: reading clears. Local0 = EVNT; If (Local0 & 1) { Notify (\_SB.PWRB, 0x80) } */
	aml_method_begin(aml, "_EVT", 1, true);
	aml_op(aml, AML_STORE);
	aml_path(aml, "EVNT");
	aml_op(aml, AML_LOCAL0);
	aml_if_begin(aml);
	aml_op(aml, AML_AND);
	aml_op(aml, AML_LOCAL0);
	aml_int(aml, EVENT_BUTTON);
	aml_op(aml, 0); /* And's target: none */
	aml_notify(aml, "\\_SB.PWRB", 0x80);
	aml_end(aml);
	aml_end(aml);

	aml_end(aml);
}

static int power_state(struct device *dev, struct state *s)
{
	struct power *p = container_of(dev, struct power, dev);

	state_begin(s, dev->name, 1);
	state_u8(s, "events", &p->events);
	state_end(s);
	return s->err;
}

const struct device_ops power_ops = {
	.name = "power",
	.size = sizeof(struct power),
	.create = power_create,
	.reset = power_reset,
	.describe_acpi = power_describe_acpi,
	.state = power_state,
};

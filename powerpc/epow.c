/* SPDX-License-Identifier: MIT */
/*
 * The power button of a machine that has RTAS: an environmental and power warning (EPOW, PAPR 10.2.2) of the
 * kind "the system is to be shut down", which is an interrupt, and a report that the guest takes by
 * check-exception (PAPR 7.3.3). Linux then shuts itself down in order (its platforms/pseries/ras.c).
 *
 * The line is high from the press until the report is taken, so a guest that unmasks it late hears of it as
 * well. RTAS calls come on vCPU threads, presses on the main thread; dev->lock guards everything.
 */
#include "epow.h"
#include "pseries.h"
#include "rtas.h"
#include <endian.h>
#include <string.h>

/* check-exception's first argument, and the class of events in its third, that are ours. */
#define VECTOR_EXTERNAL 0x500u
#define CLASS_EPOW	0x40000000u
#define NO_EVENT	1 /* its status */

/* get-sensor-state (PAPR 7.3.8.2): the sensor, and what it reads. */
#define SENSOR_EPOW    9u
#define SENSOR_NO_SUCH (-3)
enum { EPOW_NORMAL = 0, EPOW_SHUTDOWN = 3 };

/* A report: its head (10.3.2.1), the extension of version 6 (10.3.2.2) and in it one section (10.3.2.2.15).
 */
struct epow_report {
	u8 version, flags, source, type;
	u32 extended_len;
	u8 valid, reserved1, format, reserved2;
	u8 reserved3[8];
	char company[4];
	u16 section, section_len;
	u8 section_version, subtype;
	u16 creator;
	u8 sensor_value, modifier, extended_modifier, reserved4;
	u8 reason[8];
} __packed;

#define REPORT_VERSION	6
#define REPORT_FLAGS	(3 << 5 | 1 << 2) /* severity: a warning; extended */
#define REPORT_SOURCE	(8 << 4)	  /* the power subsystem */
#define REPORT_EPOW	64
#define EXTENDED_VALID	0x86 /* valid, new, big-endian */
#define EXTENDED_FORMAT 0x8e /* of the platform's sections */
#define EPOW_SECTION	('E' << 8 | 'P')
#define EPOW_ACTION	0xd3 /* an event of the whole system; shut it down */
#define EPOW_ON_REQUEST 1    /* because somebody wants it so */

struct epow {
	struct device dev;
	bool pressed; /* under dev.lock */
};

static struct epow *to_epow(struct device *dev)
{
	return container_of(dev, struct epow, dev);
}

static struct epow *epow_of(struct kvm *kvm)
{
	struct device *dev = device_find(kvm, &epow_ops, 0);

	return dev ? to_epow(dev) : NULL;
}

/* With dev->lock held. */
static void set_pressed(struct epow *e, bool pressed)
{
	if (e->pressed == pressed)
		return;
	e->pressed = pressed;
	irq_set_line(e->dev.kvm, e->dev.board->line, pressed);
}

bool epow_press(struct kvm *kvm)
{
	struct epow *e = epow_of(kvm);

	if (!e)
		return false;
	device_lock(&e->dev);
	set_pressed(e, true);
	device_unlock(&e->dev);
	return true;
}

/* ---- what the guest calls -------------------------------------------------------------------------- */

static int report(struct kvm *kvm, gpa_t gpa, u32 room)
{
	const struct epow_report r = {
		.version = REPORT_VERSION,
		.flags = REPORT_FLAGS,
		.source = REPORT_SOURCE,
		.type = REPORT_EPOW,
		.extended_len = htobe32(sizeof(r) - offsetof(struct epow_report, valid)),
		.valid = EXTENDED_VALID,
		.format = EXTENDED_FORMAT,
		.company = "IBM",
		.section = htobe16(EPOW_SECTION),
		.section_len = htobe16(sizeof(r) - offsetof(struct epow_report, section)),
		.section_version = 2,
		.sensor_value = EPOW_ACTION,
		.modifier = EPOW_ON_REQUEST,
	};

	return guest_write(&kvm->mem, gpa, &r, min_u64(room, sizeof(r)));
}

/* Vector, what it was about, classes of events, whether time presses, buffer and its length. */
static void check_exception(struct rtas_call *call)
{
	struct kvm *kvm = call->vcpu->kvm;
	struct epow *e = epow_of(kvm);

	if (call->arg[0] != VECTOR_EXTERNAL || !(call->arg[2] & CLASS_EPOW) || !e) {
		rtas_status(call, NO_EVENT);
		return;
	}
	device_lock(&e->dev);
	if (!e->pressed)
		rtas_status(call, NO_EVENT);
	else if (report(kvm, call->arg[4], call->arg[5]))
		rtas_status(call, RTAS_PARAMETER);
	else
		set_pressed(e, false);
	device_unlock(&e->dev);
}

static void get_sensor_state(struct rtas_call *call)
{
	struct epow *e = epow_of(call->vcpu->kvm);

	if (call->arg[0] != SENSOR_EPOW || call->arg[1] || !e) {
		rtas_status(call, SENSOR_NO_SUCH);
		return;
	}
	device_lock(&e->dev);
	call->ret[1] = e->pressed ? EPOW_SHUTDOWN : EPOW_NORMAL;
	device_unlock(&e->dev);
}

const struct rtas_service rtas_epow_services[] = {
	{"check-exception", 6, 6, 1, 1, check_exception, NULL},
	{"get-sensor-state", 2, 2, 2, 2, get_sensor_state, NULL},
	{NULL, 0, 0, 0, 0, NULL, NULL},
};

/* ---- life -------------------------------------------------------------------------------------------- */

static int epow_create(struct device *dev, const void *params)
{
	return 0;
}

static void epow_reset(struct device *dev)
{
	set_pressed(to_epow(dev), false);
}

static int epow_describe(const struct device *dev, struct fdt *fdt)
{
	dt_begin_node(fdt, "event-sources");
	dt_begin_node(fdt, "epow-events");
	dt_interrupt(fdt, dev->board->line, true);
	dt_end(fdt);
	dt_end(fdt);
	return fdt->err;
}

static int epow_state(struct device *dev, struct state *s)
{
	struct epow *e = to_epow(dev);
	bool pressed = e->pressed;

	state_begin(s, dev->name, 1);
	state_bool(s, "pressed", &pressed);
	state_end(s);
	/* The line is the controller's to restore. */
	if (!s->err)
		e->pressed = pressed;
	return s->err;
}

const struct device_ops epow_ops = {
	.name = "epow",
	.size = sizeof(struct epow),
	.create = epow_create,
	.reset = epow_reset,
	.describe = epow_describe,
	.state = epow_state,
};

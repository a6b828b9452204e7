/* SPDX-License-Identifier: MIT */
/*
 * The devices that a command-line option can add, in the order in which they are made (device.h). To add a
 * device is one line here; those of every board are in machine->board instead.
 */
#include <lkvm/device.h>
#include <lkvm/hw.h>

const struct device_ops *const device_table[] = {
	&testdev_ops,
	&boot_timer_ops,
	NULL,
};

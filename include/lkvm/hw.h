/* SPDX-License-Identifier: MIT */
/* The board devices of hw/, for the machines' board tables. One file each, of the same name. */
#ifndef LKVM_HW_H
#define LKVM_HW_H

#include <lkvm/device.h>

extern const struct device_ops serial_8250_ops;	 /* base (8 ports), line, index = console */
extern const struct device_ops rtc_mc146818_ops; /* base (2 ports), line */
extern const struct device_ops i8042_ops;	 /* base (ports base and base + 4), line */
extern const struct device_ops pvpanic_ops;	 /* bus, base (1 port or byte) */
extern const struct device_ops exit_ops;	 /* base (4 ports), mmio: guest exit code */
extern const struct device_ops testdev_ops;	 /* --testdev: base (8 ports), 0x2000.., memory at mmio */
extern const struct device_ops boot_timer_ops;	 /* --boot-timer: base (1 port), mmio (one page) */
extern const struct device_ops post_port_ops;	 /* base (1 port) */
extern const struct device_ops debugcon_ops;	 /* base (1 port) */
extern const struct device_ops pci_host_ops;	 /* base (8 ports: CF8/CFC), mmio: ECAM, line: first INTx */
extern const struct device_ops power_ops;	 /* base (8 ports), line: sleep, reset, power button */

/* Offsets of power_ops' registers, for the tables that tell the guest of them. */
enum {
	POWER_SLEEP_CONTROL = 0, /* ACPI 4.8.3.7: SLP_TYP << 2 | SLP_EN */
	POWER_SLEEP_STATUS = 1,
	POWER_RESET = 2, /* POWER_RESET_VALUE resets */
	POWER_EVENT = 4, /* read: events pending (bit 0: power button); reading clears them and the line */
};
#define POWER_RESET_VALUE 0x42
#define POWER_S5_TYPE	  5

/* Presses the power button: an event the guest may act on or not. Any thread, no device lock held. */
void power_button_press(struct device *dev);

#endif

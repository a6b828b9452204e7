/* SPDX-License-Identifier: MIT */
/* The board devices of hw/, for the machines' board tables. One file each, of the same name. */
#ifndef LKVM_HW_H
#define LKVM_HW_H

#include <lkvm/device.h>

extern const struct device_ops serial_8250_ops;	 /* base (8 ports), line, index = console */
extern const struct device_ops rtc_mc146818_ops; /* base (2 ports), line */
extern const struct device_ops rtc_pl031_ops;	 /* base (MMIO, 4 KiB), line */
extern const struct device_ops i8042_ops;	 /* base (ports base and base + 4), line */
extern const struct device_ops pvpanic_ops;	 /* bus, base (1 port or 2 bytes) */
extern const struct device_ops exit_ops;	 /* base (4 ports), mmio (4 KiB): guest exit code */
extern const struct device_ops testdev_ops;	 /* --testdev: bus, base, memory of 64 KiB at mmio */
extern const struct device_ops boot_timer_ops;	 /* --boot-timer: base (1 port), mmio (4 KiB) */
extern const struct device_ops post_port_ops;	 /* base (1 port) */
extern const struct device_ops debugcon_ops;	 /* base (1 port) */
extern const struct device_ops pci_host_ops;	 /* base (8 ports: CF8/CFC), mmio: ECAM, line: first INTx */
extern const struct device_ops power_ops;	 /* base (8 ports), line: sleep, reset, power button */
extern const struct device_ops gpio_pl061_ops;	 /* base (MMIO, 4 KiB), line: power button */
extern const struct device_ops cfi_flash_ops;	 /* --flash: base (MMIO, CFI_FLASH_MAX at the most) */

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
/* The same for the button of gpio_pl061_ops. */
void gpio_power_button_press(struct device *dev);

/* Bytes of the largest flash. */
#define CFI_FLASH_MAX MiB(64)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The devices that a command-line option can add, in the order in which they are made (device.h). To add a
 * device is its declaration and its entry here; those of every board are in machine->board instead.
 */
#include <lkvm/device.h>

/* Not from a header of hw/ or virtio/: devices/ is the layer below them and knows their names alone. */
extern const struct device_ops testdev_ops;
extern const struct device_ops boot_timer_ops;
extern const struct device_ops cfi_flash_ops;
extern const struct device_ops virtio_rng_ops;
extern const struct device_ops virtio_blk_ops;
extern const struct device_ops virtio_net_ops;

const struct device_ops *const device_table[] = {
	&testdev_ops,	 &boot_timer_ops, &cfi_flash_ops, &virtio_rng_ops,
	&virtio_blk_ops, &virtio_net_ops, NULL,
};

/* SPDX-License-Identifier: MIT */
/*
 * A VM of the real core with one virtio device, and the driver's side of its registers over either transport,
 * for tests of devices. Goes with core-vm.h: vm_setup and vm_teardown around each test. Queues are served
 * when the test says so (bed_serve()), unless the device has workers.
 */
#ifndef LKVM_TEST_VIRTIO_BED_H
#define LKVM_TEST_VIRTIO_BED_H

#include "core-vm.h"
#include "virtio/transport.h"
#include <linux/virtio_mmio.h>
#include <lkvm/machine.h>
#include <lkvm/state.h>

/*
 * The machine of this host, and a place for virtio-mmio devices where it has none: "WRAP: machines".
 */
extern const struct machine_ops *const __real_machines[], *const __wrap_machines[];
static struct machine_ops bed_machine;
static const struct virtio_mmio_window bed_window = {
	.base = 0xff000000, .count = 8, .line = 40, .nr_lines = 4};

static int bed_probe(const struct vm_config *cfg, int sys_fd, unsigned long *vm_type)
{
	int err = -ENODEV;

	for (u32 i = 0; __real_machines[i] && err; i++) {
		bed_machine = *__real_machines[i];
		err = bed_machine.probe(cfg, sys_fd, vm_type);
	}
	bed_machine.probe = bed_probe;
	if (!bed_machine.virtio_mmio)
		bed_machine.virtio_mmio = &bed_window;
	return err;
}

static struct machine_ops bed_machine = {.name = "bed", .probe = bed_probe};
const struct machine_ops *const __wrap_machines[] = {&bed_machine, NULL};

#define BED_RAM	  MiB(32)
#define BED_RINGS MiB(16) /* from the beginning of RAM: rings and buffers of tests */

static struct {
	struct virtio_device *vdev;
	u64 base; /* of the MMIO registers */
	gpa_t ram;
} bed;

static inline u64 bed_access(u64 addr, u32 len, bool write, u64 value)
{
	u8 data[8];
	u64 v = 0;

	for (u32 i = 0; i < 8; i++)
		data[i] = (u8)(value >> 8 * i);
	bus_access(&vm.kvm, NULL, BUS_MMIO, addr, data, len, write);
	for (u32 i = len; i-- > 0;)
		v = v << 8 | data[i];
	return v;
}

static inline u32 bed_reg(u32 reg)
{
	return (u32)bed_access(bed.base + reg, 4, false, 0);
}

static inline void bed_set(u32 reg, u32 v)
{
	bed_access(bed.base + reg, 4, true, v);
}

/* The VM with these options, one of which makes the device of that ops, up to and with that step. */
__unused static void bed_up(const struct device_ops *ops, const char *step, const char *const *more)
{
	const char *argv[16] = {"--virtio-transport", "mmio"};
	u32 n = 2;

	while (more && *more)
		argv[n++] = *more++;
	assert_int_equal(vm_up("/proc/self/exe", BED_RAM, step, argv), 0);
	bed.vdev = virtio_of(device_find(&vm.kvm, ops, 0));
	bed.base = vm.kvm.machine->virtio_mmio->base;
	/* Not a bank of the machine's own, which on arm64 comes first. */
	for (u32 i = vm.kvm.mem.nr_banks; i-- > 0;)
		if (!vm.kvm.mem.bank[i].foreign)
			bed.ram = vm.kvm.mem.bank[i].gpa;
	assert_ptr_equal(bed.vdev->dev.ops, ops);
}

/* What the queue's loop does when it is notified. */
__unused static void bed_serve(u16 index)
{
	struct event_source *src = &bed.vdev->source[index].src;

	src->fn(src, EPOLLIN);
}

/* Whether the queue's eventfd was signalled, and takes that. */
__unused static bool bed_kicked(u16 index)
{
	u64 count;

	return read(bed.vdev->source[index].src.fd, &count, sizeof(count)) == sizeof(count);
}

__unused static u64 bed_offered(void)
{
	u64 low;

	bed_set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	low = bed_reg(VIRTIO_MMIO_DEVICE_FEATURES);
	bed_set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	return low | (u64)bed_reg(VIRTIO_MMIO_DEVICE_FEATURES) << 32;
}

/* From reset to FEATURES_OK; false: refused. */
__unused static bool bed_negotiate(u64 features)
{
	bed_set(VIRTIO_MMIO_STATUS, 0);
	bed_set(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	bed_set(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (u32 sel = 0; sel < 2; sel++) {
		bed_set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, sel);
		bed_set(VIRTIO_MMIO_DRIVER_FEATURES, (u32)(features >> 32 * sel));
	}
	bed_set(VIRTIO_MMIO_STATUS,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
	return bed_reg(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK;
}

/* Queue `index` with rings at bed_ring(index), enabled. */
__unused static gpa_t bed_ring(u16 index)
{
	return bed.ram + BED_RINGS + index * 0x10000u;
}

__unused static void bed_queue(u16 index, u16 size)
{
	const gpa_t at = bed_ring(index);

	bed_set(VIRTIO_MMIO_QUEUE_SEL, index);
	bed_set(VIRTIO_MMIO_QUEUE_NUM, size);
	bed_set(VIRTIO_MMIO_QUEUE_DESC_LOW, (u32)at);
	bed_set(VIRTIO_MMIO_QUEUE_DESC_HIGH, (u32)(at >> 32));
	bed_set(VIRTIO_MMIO_QUEUE_AVAIL_LOW, (u32)at + 0x8000);
	bed_set(VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (u32)(at >> 32));
	bed_set(VIRTIO_MMIO_QUEUE_USED_LOW, (u32)at + 0xc000);
	bed_set(VIRTIO_MMIO_QUEUE_USED_HIGH, (u32)(at >> 32));
	bed_set(VIRTIO_MMIO_QUEUE_READY, 1);
}

__unused static void bed_driver_ok(void)
{
	bed_set(VIRTIO_MMIO_STATUS, bed_reg(VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* Saves the device's state, or puts one into it. */
__unused static void bed_save(struct buf *out)
{
	struct device *dev = &bed.vdev->dev;
	struct state s;

	state_init_out(&s, STATE_SAVE, out);
	device_lock(dev);
	assert_int_equal(dev->ops->state(dev, &s), 0);
	device_unlock(dev);
	assert_int_equal(state_finish(&s, dev->name), 0);
}

__unused static int bed_restore(const void *data, size_t len)
{
	struct device *dev = &bed.vdev->dev;
	struct state s;

	state_init_in(&s, data, len);
	device_lock(dev);
	dev->ops->state(dev, &s);
	device_unlock(dev);
	return state_finish(&s, dev->name);
}

#endif

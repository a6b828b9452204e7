/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: machines */
/*
 * The core of virtio devices and the MMIO transport, by the registers that a driver sees, with the random
 * number generator as the device: status, features, queues, interrupts, resets, state.
 */
#include "virtio-bed.h"
#include <linux/virtio_ids.h>

extern const struct device_ops virtio_rng_ops;

static const char *const rng[] = {"--rng", NULL};

#define USUAL (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC))
enum { MMIO_QUEUE_RESET = 0xc0 };

static void up(const char *step)
{
	bed_up(&virtio_rng_ops, step, rng);
}

/* One buffer of 64 bytes in queue 0's split ring. */
static void offer(u16 avail)
{
	const struct vring_desc d = {
		.addr = htole64(bed.ram + MiB(8)), .len = htole32(64), .flags = htole16(VRING_DESC_F_WRITE)};
	const u16 ring[] = {0, htole16((u16)(avail + 1))}, head = 0;

	assert_int_equal(guest_write(&vm.kvm.mem, bed_ring(0), &d, sizeof(d)), 0);
	assert_int_equal(guest_write(&vm.kvm.mem, bed_ring(0) + 0x8000 + 4 + avail % 8 * 2, &head, 2), 0);
	assert_int_equal(guest_write(&vm.kvm.mem, bed_ring(0) + 0x8000, ring, 4), 0);
}

static u16 used(void)
{
	u16 index;

	assert_int_equal(guest_read(&vm.kvm.mem, bed_ring(0) + 0xc002, &index, 2), 0);
	return le16toh(index);
}

static void begin(void)
{
	assert_true(bed_negotiate(USUAL));
	bed_queue(0, 8);
	bed_driver_ok();
}

static void test_identity(void **state)
{
	up("irqchip-finalize");
	assert_int_equal(bed_reg(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(bed_reg(VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(bed_reg(VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_RNG);
	assert_int_equal(bed_reg(VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(bed_reg(VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
	/* Registers are words: nothing else is one. */
	assert_int_equal(bed_access(bed.base, 1, false, 0), 0xff);
	assert_int_equal(bed_access(bed.base, 8, false, 0), UINT64_MAX);
	/* It has no configuration space. */
	assert_int_equal(bed_reg(VIRTIO_MMIO_CONFIG), UINT32_MAX);
}

static void test_negotiation(void **state)
{
	u64 offered;

	up("irqchip-finalize");
	offered = bed_offered();
	assert_true(offered >> VIRTIO_F_VERSION_1 & 1);
	assert_true(offered >> VIRTIO_F_RING_PACKED & 1);
	bed_set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(bed_reg(VIRTIO_MMIO_DEVICE_FEATURES), 0);
	assert_false(bed_negotiate(0));
	assert_false(bed_negotiate(USUAL | 1)); /* never offered */
	assert_false(bed_negotiate(UINT64_MAX));
	bed_driver_ok();
	assert_false(bed_reg(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_DRIVER_OK);
	assert_true(bed_negotiate(USUAL));
	assert_int_equal(bed.vdev->accepted, USUAL);
	/* Later writes change nothing. */
	bed_set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	bed_set(VIRTIO_MMIO_DRIVER_FEATURES, 0);
	bed_set(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_FEATURES_OK);
	assert_int_equal(bed.vdev->accepted, USUAL);
	assert_true(bed_reg(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_DRIVER);
	assert_true(bed_negotiate(offered));
	assert_int_equal(bed.vdev->accepted, offered);
}

static void test_split_only(void **state)
{
	static const char *const more[] = {"--rng", "--virtio-ring", "split", NULL};

	bed_up(&virtio_rng_ops, "irqchip-finalize", more);
	assert_false(bed_offered() >> VIRTIO_F_RING_PACKED & 1);
}

static void test_queue(void **state)
{
	struct fake_vm *fake;
	u32 kicks;

	up("irqchip-finalize");
	fake = fake_kvm_vm(0);
	bed_set(VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(bed_reg(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	bed_set(VIRTIO_MMIO_QUEUE_READY, 1); /* of no queue */
	bed_set(VIRTIO_MMIO_QUEUE_SEL, 0);
	assert_int_equal(bed_reg(VIRTIO_MMIO_QUEUE_NUM_MAX), 64);
	assert_int_equal(bed_reg(VIRTIO_MMIO_QUEUE_READY), 0);
	/* Not before features are agreed on. */
	bed_queue(0, 8);
	assert_int_equal(bed_reg(VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(fake->nr_ioeventfds, 0);
	assert_true(bed_negotiate(USUAL));
	bed_queue(0, 8);
	assert_int_equal(bed_reg(VIRTIO_MMIO_QUEUE_READY), 1);
	assert_int_equal(bed.vdev->queue[0].size, 8);
	/* While it is in use it does not change. */
	bed_set(VIRTIO_MMIO_QUEUE_NUM, 16);
	assert_int_equal(bed.vdev->queue[0].size, 8);
	kicks = fake->nr_ioeventfds;
	assert_int_equal(kicks, 1);
	assert_int_equal(fake->ioeventfd[0].addr, bed.base + VIRTIO_MMIO_QUEUE_NOTIFY);
	assert_int_equal(fake->ioeventfd[0].datamatch, 0);
	assert_int_equal(fake->ioeventfd[0].fd, bed.vdev->source[0].src.fd);
	/* It comes once, whatever becomes of the queue. */
	begin();
	assert_int_equal(fake->nr_ioeventfds, 1);
}

static void test_requests_and_interrupts(void **state)
{
	static const u8 none[64];
	u8 bytes[64];
	struct fake_vm *fake;
	u32 line;

	up("irqchip-finalize");
	fake = fake_kvm_vm(0);
	line = vm.kvm.machine->virtio_mmio->line;
	assert_true(bed_negotiate(USUAL));
	bed_queue(0, 8);
	offer(0);
	bed_serve(0); /* not before DRIVER_OK */
	assert_int_equal(used(), 0);
	bed_driver_ok();
	assert_true(bed_kicked(0)); /* but then by itself */
	bed_serve(0);
	assert_int_equal(used(), 1);
	assert_int_equal(guest_read(&vm.kvm.mem, bed.ram + MiB(8), bytes, sizeof(bytes)), 0);
	assert_memory_not_equal(bytes, none, sizeof(bytes));
	assert_int_equal(bed_reg(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	if (line < ARRAY_SIZE(fake->level) && fake->irqchip && !fake->split)
		assert_true(fake->level[line]);
	bed_set(VIRTIO_MMIO_INTERRUPT_ACK, 2);
	assert_int_equal(bed_reg(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	bed_set(VIRTIO_MMIO_INTERRUPT_ACK, 1);
	assert_int_equal(bed_reg(VIRTIO_MMIO_INTERRUPT_STATUS), 0);

	/* A notification that no ioeventfd took. */
	offer(1);
	assert_false(bed_kicked(0));
	bed_set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_true(bed_kicked(0));
	bed_serve(0);
	assert_int_equal(used(), 2);
	bed_set(VIRTIO_MMIO_QUEUE_NOTIFY, 7); /* of no queue */
}

static void test_needs_reset(void **state)
{
	const struct vring_desc bad = {
		.addr = UINT64_MAX, .len = htole32(64), .flags = htole16(VRING_DESC_F_WRITE)};

	up("irqchip-finalize");
	begin();
	offer(0);
	assert_int_equal(guest_write(&vm.kvm.mem, bed_ring(0), &bad, sizeof(bad)), 0);
	bed_serve(0);
	assert_int_equal(used(), 0);
	assert_true(bed_reg(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(bed_reg(VIRTIO_MMIO_INTERRUPT_STATUS), 2); /* the configuration changed */
	offer(0);
	bed_serve(0);
	assert_int_equal(used(), 0);
	/* The driver cannot take the bit away but by a reset. */
	bed_set(VIRTIO_MMIO_STATUS, 0xf);
	assert_true(bed_reg(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	bed_set(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(bed_reg(VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(bed_reg(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	memset(guest_ptr(&vm.kvm.mem, bed_ring(0), 0x10000), 0, 0x10000);
	begin();
	offer(0);
	bed_serve(0);
	assert_int_equal(used(), 1);
}

/* A ring that is not in memory. */
static void test_bad_ring(void **state)
{
	up("irqchip-finalize");
	assert_true(bed_negotiate(USUAL));
	bed_set(VIRTIO_MMIO_QUEUE_SEL, 0);
	bed_set(VIRTIO_MMIO_QUEUE_DESC_HIGH, 0xffffffff);
	bed_set(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(bed_reg(VIRTIO_MMIO_QUEUE_READY), 0);
	assert_true(bed_reg(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	/* No interrupt: the driver is not there yet. */
	assert_int_equal(bed_reg(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void test_ring_reset(void **state)
{
	up("irqchip-finalize");
	begin();
	bed_set(VIRTIO_MMIO_QUEUE_SEL, 0);
	bed_set(MMIO_QUEUE_RESET, 1); /* not agreed on */
	assert_int_equal(bed_reg(VIRTIO_MMIO_QUEUE_READY), 1);

	assert_true(bed_negotiate(USUAL | VIRTIO_BIT(VIRTIO_F_RING_RESET)));
	bed_queue(0, 8);
	bed_driver_ok();
	bed_kicked(0);
	bed_set(MMIO_QUEUE_RESET, 1);
	assert_int_equal(bed_reg(VIRTIO_MMIO_QUEUE_READY), 0);
	offer(0);
	bed_serve(0);
	assert_int_equal(used(), 0);
	bed_queue(0, 8);
	assert_true(bed_kicked(0)); /* it may have buffers already */
	bed_serve(0);
	assert_int_equal(used(), 1);
}

static void test_reset(void **state)
{
	up("irqchip-finalize");
	begin();
	offer(0);
	bed_serve(0);
	assert_int_equal(bed_reg(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	device_lock(&bed.vdev->dev);
	bed.vdev->dev.ops->reset(&bed.vdev->dev);
	device_unlock(&bed.vdev->dev);
	assert_int_equal(bed_reg(VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(bed_reg(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(bed_reg(VIRTIO_MMIO_QUEUE_READY), 0);
	offer(1);
	bed_serve(0);
	assert_int_equal(used(), 1);
}

/* ---- state ---------------------------------------------------------------------------------------- */

static void test_state(void **state)
{
	struct buf once = {0}, twice = {0};

	up("irqchip-finalize");
	begin();
	offer(0);
	bed_serve(0);
	offer(1);
	bed_save(&once);
	/* As another VM would be: nothing is set up. */
	bed_set(VIRTIO_MMIO_STATUS, 0);
	bed_kicked(0);
	assert_int_equal(bed_restore(once.data, once.len), 0);
	bed_save(&twice);
	assert_int_equal(once.len, twice.len);
	assert_memory_equal(once.data, twice.data, once.len);
	/* The interrupt that was pending is, and the buffer that waited is served. */
	assert_int_equal(bed_reg(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	assert_true(bed_kicked(0));
	bed_serve(0);
	assert_int_equal(used(), 2);
	buf_free(&once);
	buf_free(&twice);
}

/* Every truncation is refused, and no byte can do harm. What was refused leaves the device as after a reset.
 */
static void test_hostile_state(void **state)
{
	struct buf good = {0};
	u32 seed = 7;

	up("irqchip-finalize");
	begin();
	bed_save(&good);
	for (size_t len = 0; len < good.len; len++) {
		assert_true(bed_restore(good.data, len) < 0);
		assert_int_equal(bed_reg(VIRTIO_MMIO_STATUS), 0);
	}
	for (u32 i = 0; i < 3000; i++) {
		size_t at;
		u8 was;

		seed = seed * 1103515245 + 12345;
		at = (seed >> 8) % good.len;
		was = good.data[at];
		good.data[at] = (u8)(seed >> 3);
		if (bed_restore(good.data, good.len) == 0)
			bed_serve(0);
		good.data[at] = was;
	}
	assert_int_equal(bed_restore(good.data, good.len), 0);
	buf_free(&good);
}

static void test_print(void **state)
{
	struct buf out = {0};
	struct state s;

	up("irqchip-finalize");
	begin();
	state_init_out(&s, STATE_TEXT, &out);
	bed.vdev->dev.ops->state(&bed.vdev->dev, &s);
	assert_int_equal(state_finish(&s, "rng0"), 0);
	buf_u8(&out, 0);
	assert_non_null(strstr((char *)out.data, "rng0"));
	assert_non_null(strstr((char *)out.data, "queue0"));
	buf_free(&out);
}

/* ---- many ----------------------------------------------------------------------------------------- */

static void test_start_and_stop(void **state)
{
	up("irqchip-finalize");
	assert_int_equal(devices_start(&vm.kvm), 0);
	assert_true(bed.vdev->source[0].src.added);
	devices_stop(&vm.kvm);
	assert_false(bed.vdev->source[0].src.added);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_negotiation, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_split_only, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_queue, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_requests_and_interrupts, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_needs_reset, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_bad_ring, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_ring_reset, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_reset, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_state, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_hostile_state, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_print, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_start_and_stop, vm_setup, vm_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: machines net_open net_close */
/*
 * The network device's control queue: filters, addresses, pairs of queues, offloads; and the state that they
 * make.
 */
#include "net-bed.h"

/* ---- the control queue
 * ---------------------------------------------------------------------------------------- */

static bool passes(const char *to, u16 vlan)
{
	u64 before = net_of(bed.vdev)->pair[0]->rx_count.frames;
	u32 used;

	nb_frame(frame, 100, to);
	if (vlan) {
		frame[12] = 0x81;
		frame[14] = (u8)(0x20 | vlan >> 8);
		frame[15] = (u8)vlan;
	}
	nb.next = bed.ram + MiB(9);
	nb_offer(0, 1526);
	nb_arrive(0, frame, 100);
	nb_poll(0, EPOLLIN);
	while (rd_used(nb.ring[0], &used) != UINT16_MAX)
		;
	return net_of(bed.vdev)->pair[0]->rx_count.frames > before;
}

static int rx_mode(u8 cmd, u8 on)
{
	const u8 data[] = {VIRTIO_NET_CTRL_RX, cmd, on};

	return nb_command(2, data, sizeof(data));
}

static void test_filter(void **state)
{
	static const u8 table[] = {VIRTIO_NET_CTRL_MAC,
				   VIRTIO_NET_CTRL_MAC_TABLE_SET,
				   1,
				   0,
				   0,
				   0,
				   2,
				   1,
				   2,
				   3,
				   4,
				   6,
				   1,
				   0,
				   0,
				   0,
				   0x33,
				   0x33,
				   0,
				   0,
				   0,
				   1};

	nb_up("irqchip-finalize", NULL);
	nb_drive(CTRL, 128);
	assert_true(passes(OTHER, 0)); /* until the driver has said what it wants */
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
	assert_true(passes(OURS, 0));
	assert_true(passes(ALL, 0));
	assert_false(passes(OTHER, 0));
	assert_false(passes(MULTI, 0));
	assert_int_equal(nb_command(2, table, sizeof(table)), VIRTIO_NET_OK);
	assert_true(passes(OTHER, 0));
	assert_true(passes(MULTI, 0));
	assert_false(passes("\x33\x33\0\0\0\2", 0));
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_ALLMULTI, 1), VIRTIO_NET_OK);
	assert_true(passes("\x33\x33\0\0\0\2", 0));
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_NOMULTI, 1), VIRTIO_NET_OK);
	assert_false(passes(MULTI, 0));
	assert_true(passes(ALL, 0));
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_NOBCAST, 1), VIRTIO_NET_OK);
	assert_false(passes(ALL, 0));
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_ALLUNI, 1), VIRTIO_NET_OK);
	assert_true(passes("\x06\0\0\0\0\1", 0));
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_NOUNI, 1), VIRTIO_NET_OK);
	assert_false(passes(OURS, 0));
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 1), VIRTIO_NET_OK);
	assert_true(passes(ALL, 0));
	assert_int_equal(rx_mode(6, 1), VIRTIO_NET_ERR);
	/* All is forgotten. */
	nb_drive(CTRL, 64);
	assert_true(passes(OURS, 0));
}

static void test_vlan(void **state)
{
	const u8 add[] = {VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 0x05, 0x01};
	const u8 del[] = {VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, 0x05, 0x01};
	const u8 none[] = {VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 0x00, 0x10};

	nb_up("irqchip-finalize", NULL);
	nb_drive(CTRL | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VLAN), 64);
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
	assert_false(passes(OURS, 0x105));
	assert_true(passes(OURS, 0));
	assert_int_equal(nb_command(2, add, sizeof(add)), VIRTIO_NET_OK);
	assert_true(passes(OURS, 0x105));
	assert_false(passes(OURS, 0x106));
	assert_int_equal(nb_command(2, del, sizeof(del)), VIRTIO_NET_OK);
	assert_false(passes(OURS, 0x105));
	assert_int_equal(nb_command(2, none, sizeof(none)), VIRTIO_NET_ERR);
}

static void test_tables(void **state)
{
	u8 many[2 + 4 + 70 * 6 + 4] = {VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 70};
	u8 wrong[] = {
		VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 2, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0};
	u8 huge[] = {VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};

	nb_up("irqchip-finalize", NULL);
	nb_drive(CTRL, 64);
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
	assert_int_equal(nb_command(2, wrong, sizeof(wrong)), VIRTIO_NET_ERR);
	assert_int_equal(nb_command(2, huge, sizeof(huge)), VIRTIO_NET_ERR);
	assert_int_equal(nb_command(2, many, 5), VIRTIO_NET_ERR);
	assert_false(passes(OTHER, 0));
	/* More than we keep: all of the kind. */
	assert_int_equal(nb_command(2, many, sizeof(many)), VIRTIO_NET_OK);
	assert_true(passes(OTHER, 0));
	assert_false(passes(MULTI, 0));
}

static void test_mac(void **state)
{
	const u8 set[] = {VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 2, 1, 2, 3, 4, 6};

	nb_up("irqchip-finalize", NULL);
	nb_drive(CTRL, 64);
	assert_int_equal(nb_command(2, set, sizeof(set)), VIRTIO_NET_ERR); /* not agreed on */
	nb_drive(CTRL | VIRTIO_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR), 64);
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
	assert_int_equal(nb_command(2, set, 7), VIRTIO_NET_ERR);
	assert_int_equal(nb_command(2, set, sizeof(set)), VIRTIO_NET_OK);
	assert_true(passes(OTHER, 0));
	assert_false(passes(OURS, 0));
	assert_int_equal(bed_access(bed.base + VIRTIO_MMIO_CONFIG + 5, 1, false, 0), 6);
	nb_drive(CTRL, 64);
	assert_int_equal(bed_access(bed.base + VIRTIO_MMIO_CONFIG + 5, 1, false, 0), 5);
}

static void test_pairs(void **state)
{
	const u8 two[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0};
	const u8 none[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 0, 0};
	const u8 four[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 4, 0};
	const u8 promisc[] = {VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1};

	nb.pairs = 3;
	nb_up("irqchip-finalize", NULL);
	assert_int_equal(bed_access(bed.base + VIRTIO_MMIO_CONFIG + 8, 2, false, 0), 3);
	nb_drive(CTRL | VIRTIO_BIT(VIRTIO_NET_F_MQ), 64);
	assert_int_equal(nb.queues, 1);
	assert_int_equal(nb_command(6, two, sizeof(two)), VIRTIO_NET_OK);
	assert_int_equal(nb.queues, 2);
	assert_int_equal(nb_command(6, none, sizeof(none)), VIRTIO_NET_ERR);
	assert_int_equal(nb_command(6, four, sizeof(four)), VIRTIO_NET_ERR);
	assert_int_equal(nb.queues, 2);
	/* The second pair carries frames of its own. */
	nb_frame(frame, 200, OTHER);
	nb_transmit(3, &no_header, frame, 200, 2);
	bed_serve(3);
	assert_int_equal(nb_wire(0, got, sizeof(got)), -1);
	assert_int_equal(nb_wire(1, got, sizeof(got)), 212);
	nb_offer(2, 1526);
	nb_arrive(1, frame, 200);
	nb_poll(1, EPOLLIN);
	take(2, frame, 200);
	/* Without MQ the control queue is the third, whatever the device has. */
	nb_drive(CTRL, 64);
	assert_int_equal(nb.queues, 1);
	assert_int_equal(nb_command(2, promisc, sizeof(promisc)), VIRTIO_NET_OK);
	assert_int_equal(nb_command(2, two, sizeof(two)), VIRTIO_NET_ERR);
	bed_serve(6);
	assert_true(virtio_is_ready(bed.vdev));
}

static void test_offloads(void **state)
{
	const u64 all = VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) |
			VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN);
	u8 set[10] = {VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET};

	nb_up("irqchip-finalize", NULL);
	nb_drive(CTRL | all | VIRTIO_BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS), 64);
	assert_int_equal(nb.offload, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN);
	assert_int_equal(nb_command(2, set, sizeof(set)), VIRTIO_NET_OK);
	assert_int_equal(nb.offload, 0);
	set[2] = 1 << VIRTIO_NET_F_GUEST_CSUM;
	assert_int_equal(nb_command(2, set, sizeof(set)), VIRTIO_NET_OK);
	assert_int_equal(nb.offload, TUN_F_CSUM);
	set[9] = 1;
	assert_int_equal(nb_command(2, set, sizeof(set)), VIRTIO_NET_ERR);
	assert_int_equal(nb_command(2, set, 9), VIRTIO_NET_ERR);
	/* What the driver did not accept is off; segments never come without checksums. */
	nb_drive(CTRL | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4), 64);
	assert_int_equal(nb.offload, 0);
}

/* ---- state ------------------------------------------------------------------------------------------------
 */

static void test_state(void **state)
{
	static const u8 table[] = {
		VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 1, 0, 0, 0, 2, 1, 2, 3, 4, 6, 0, 0, 0, 0};
	struct buf out = {0}, again = {0};

	nb_up("irqchip-finalize", NULL);
	nb_drive(CTRL | MRG, 64);
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
	assert_int_equal(nb_command(2, table, sizeof(table)), VIRTIO_NET_OK);
	bed_save(&out);
	bed_set(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(bed_restore(out.data, out.len), 0);
	bed_save(&again);
	assert_int_equal(out.len, again.len);
	assert_memory_equal(out.data, again.data, out.len);
	assert_true(passes(OTHER, 0));
	assert_false(passes(MULTI, 0));
	capture_begin(STDERR_FILENO);
	for (size_t len = 0; len < out.len; len += 7)
		assert_true(bed_restore(out.data, len) < 0);
	capture_end();
	buf_free(&out);
	buf_free(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_filter), T(test_vlan),	  T(test_tables), T(test_mac),
		T(test_pairs),	T(test_offloads), T(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

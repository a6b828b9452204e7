/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* TSAN */
/* WRAP: machines net_open net_close */
/*
 * The network device: frames of every size out and in, on each kind of ring; buffers that run out; a driver
 * that breaks the rules; workers. The control queue is test-virtio-net-ctrl.c's.
 */
#include "net-bed.h"
#include <linux/virtio_ids.h>

static void test_config(void **state)
{
	u64 offered;

	nb_up("irqchip-finalize", NULL);
	assert_int_equal(bed_reg(VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_NET);
	assert_int_equal(bed_access(bed.base + VIRTIO_MMIO_CONFIG, 4, false, 0), 0x03020102);
	assert_int_equal(bed_access(bed.base + VIRTIO_MMIO_CONFIG + 4, 2, false, 0), 0x0504);
	assert_int_equal(bed_access(bed.base + VIRTIO_MMIO_CONFIG + 6, 2, false, 0), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(bed_access(bed.base + VIRTIO_MMIO_CONFIG + 10, 2, false, 0), 1500);
	offered = bed_offered();
	assert_true(offered >> VIRTIO_NET_F_GUEST_TSO6 & 1);
	assert_true(offered >> VIRTIO_NET_F_HOST_TSO4 & 1);
	assert_false(offered >> VIRTIO_NET_F_MQ & 1);
	assert_false(offered >> VIRTIO_NET_F_GUEST_USO4 & 1);
	assert_int_equal(virtio_net_ops.link(&bed.vdev->dev, DEVICE_LINK_ASK), DEVICE_LINK_UP);
	assert_int_equal(virtio_net_ops.link(&bed.vdev->dev, DEVICE_LINK_DOWN), DEVICE_LINK_DOWN);
	assert_int_equal(bed_access(bed.base + VIRTIO_MMIO_CONFIG + 6, 2, false, 0), 0);
	assert_int_equal(virtio_net_ops.link(&bed.vdev->dev, DEVICE_LINK_UP), DEVICE_LINK_UP);
	/* The driver writes none of it. */
	bed_access(bed.base + VIRTIO_MMIO_CONFIG, 4, true, 0);
	assert_int_equal(bed_access(bed.base + VIRTIO_MMIO_CONFIG, 4, false, 0), 0x03020102);
}

static void test_features(void **state)
{
	u64 offered;

	nb.bare = true;
	nb.offloads = 0;
	nb.mtu = 0;
	nb.pairs = 2;
	nb_up("irqchip-finalize", NULL);
	offered = bed_offered();
	assert_false(offered >> VIRTIO_NET_F_CSUM & 1);
	assert_false(offered >> VIRTIO_NET_F_HOST_TSO4 & 1);
	assert_false(offered >> VIRTIO_NET_F_MTU & 1);
	assert_true(offered >> VIRTIO_NET_F_MQ & 1);
	vm_down();
	nb.bare = false;
	nb.offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6;
	nb_up("irqchip-finalize", NULL);
	offered = bed_offered();
	assert_true(offered >> VIRTIO_NET_F_GUEST_USO6 & 1 && offered >> VIRTIO_NET_F_HOST_USO & 1);
	vm_down();
	nb_up("irqchip-finalize", "mode=user,no-offload");
	assert_false(bed_offered() >> VIRTIO_NET_F_CSUM & 1);
	vm_down();
	/* A made-up address, and one that has to be used. */
	nb_up("irqchip-finalize", "mode=user");
	assert_int_equal(bed_access(bed.base + VIRTIO_MMIO_CONFIG, 1, false, 0) & 3, 2);
	vm_down();
	nb.has_mac = true;
	memcpy(nb.mac, OTHER, 6);
	nb_up("irqchip-finalize", "mode=user");
	assert_int_equal(bed_access(bed.base + VIRTIO_MMIO_CONFIG + 5, 1, false, 0), 6);
}

/* ---- out --------------------------------------------------------------------------------------------------
 */

static void out_frames(u64 features)
{
	nb_up("irqchip-finalize", NULL);
	nb_drive(features, 64);
	for (u32 i = 0; i < 200; i++) {
		u32 len = NET_ETH_HLEN + i * 37 % 1500, used;
		u16 id;

		nb_frame(frame, len, OTHER);
		id = nb_transmit(1, &no_header, frame, len, (u16)(1 + i % 9));
		bed_serve(1);
		assert_int_equal(rd_used(nb.ring[1], &used), id);
		assert_int_equal(used, 0);
		if (nb.bare) {
			assert_int_equal(nb_wire(0, got, sizeof(got)), len);
			assert_memory_equal(got, frame, len);
		} else {
			assert_int_equal(nb_wire(0, got, sizeof(got)), NET_HDR_LEN + len);
			assert_memory_equal(got, &no_header, NET_HDR_LEN);
			assert_memory_equal(got + NET_HDR_LEN, frame, len);
		}
	}
	vm_down();
}

static void test_out(void **state)
{
	out_frames(0);
	out_frames(PACKED);
	nb.bare = true;
	out_frames(0);
	out_frames(PACKED);
}

static void test_out_large(void **state)
{
	u32 len = 65535 + NET_ETH_HLEN;
	struct virtio_net_hdr_v1 h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID,
				      .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				      .gso_size = 1448,
				      .num_buffers = 7};

	nb_up("irqchip-finalize", NULL);
	nb_drive(VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4), 64);
	nb_frame(frame, len, OTHER);
	nb_transmit(1, &h, frame, len, 16);
	bed_serve(1);
	assert_int_equal(nb_wire(0, got, sizeof(got)), NET_HDR_LEN + len);
	/* What the driver may not say is not said. */
	h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h.num_buffers = 0;
	assert_memory_equal(got, &h, NET_HDR_LEN);
	assert_memory_equal(got + NET_HDR_LEN, frame, len);
}

/* Dropped, given back, and the device goes on. */
static void dropped(const struct virtio_net_hdr_v1 *h, u32 len, u16 pieces)
{
	u64 before = net_of(bed.vdev)->pair[0]->tx_count.dropped;
	u16 id = nb_transmit(1, h, frame, len, pieces);
	u32 used;

	bed_serve(1);
	assert_int_equal(rd_used(nb.ring[1], &used), id);
	assert_int_equal(nb_wire(0, got, sizeof(got)), -1);
	assert_int_equal(net_of(bed.vdev)->pair[0]->tx_count.dropped, before + 1);
	assert_true(virtio_is_ready(bed.vdev));
}

static void test_out_dropped(void **state)
{
	struct virtio_net_hdr_v1 h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};

	nb_up("irqchip-finalize", NULL);
	nb_drive(0, 64);
	nb_frame(frame, sizeof(frame), OTHER);
	dropped(&no_header, NET_ETH_HLEN - 1, 2);
	dropped(&no_header, NET_MAX_FRAME + 1, 3);
	dropped(&h, 100, 1); /* checksums were not agreed on */
	h.flags = 0;
	for (u8 type = 1; type; type++) {
		h.gso_type = type;
		dropped(&h, 100, 1);
	}
	net_set_link(net_of(bed.vdev), false);
	dropped(&no_header, 100, 1);
	net_set_link(net_of(bed.vdev), true);
	nb_transmit(1, &no_header, frame, 100, 1);
	bed_serve(1);
	assert_int_equal(nb_wire(0, got, sizeof(got)), 112);
}

static void test_out_blocked(void **state)
{
	u32 used, sent = 0, back = 0, len = 20000;

	nb_up("irqchip-finalize", NULL);
	nb_drive(0, 64);
	nb_frame(frame, len, OTHER);
	for (u32 i = 0; i < 40; i++)
		nb_transmit(1, &no_header, frame, len, 1);
	bed_serve(1);
	while (rd_used(nb.ring[1], &used) != UINT16_MAX)
		back++;
	assert_true(back && back < 40);
	/* Room is made, and told. */
	while (sent < 40) {
		while (nb_wire(0, got, sizeof(got)) > 0) {
			assert_memory_equal(got + NET_HDR_LEN, frame, len);
			sent++;
		}
		nb_poll(0, EPOLLOUT);
	}
	while (rd_used(nb.ring[1], &used) != UINT16_MAX)
		back++;
	assert_int_equal(back, 40);
	assert_int_equal(nb_wire(0, got, sizeof(got)), -1);
}

/* ---- in ---------------------------------------------------------------------------------------------------
 */

static void in_frames(u64 features, u32 size)
{
	nb_up("irqchip-finalize", NULL);
	nb_drive(features, 128);
	for (u32 i = 0; i < 128; i++)
		nb_offer(0, size);
	for (u32 i = 0; i < 60; i++) {
		u32 len = NET_ETH_HLEN +
			  i * i * 131 % (features & MRG ? 20000 : size - NET_HDR_LEN - NET_ETH_HLEN);
		u32 most = (size - 1 + NET_HDR_LEN + len) / size;

		nb_frame(frame, len, OTHER);
		nb_arrive(0, frame, len);
		nb_poll(0, EPOLLIN);
		take(0, frame, len);
		for (u32 k = 0; k < most; k++)
			nb_offer(0, size);
	}
	assert_int_equal(net_of(bed.vdev)->pair[0]->rx_count.frames, 60);
	assert_int_equal(bed.vdev->queue[0].inflight, 0);
	vm_down();
}

static void test_in(void **state)
{
	for (u32 bare = 0; bare < 2; bare++) {
		nb.bare = bare;
		in_frames(MRG, 1526);
		in_frames(MRG | PACKED, 1526);
		in_frames(MRG | PACKED, 4096);
		in_frames(0, 2048);
		in_frames(PACKED, 2048);
	}
}

/* A burst, one interrupt's worth; buffers of odd shapes. */
static void in_burst(u64 features)
{
	nb_up("irqchip-finalize", NULL);
	nb_drive(features, 64);
	for (u32 i = 0; i < 16; i++) {
		gpa_t at = nb_alloc(4096);
		struct rd_buf buf[] = {{at, 7, true}, {at + 7, 9, true}, {at + 16, 2000, true}};

		assert_int_not_equal(rd_add(nb.ring[0], buf, 3, 0), UINT16_MAX);
	}
	for (u32 i = 0; i < 16; i++) {
		nb_frame(frame, 60 + i, OTHER);
		nb_arrive(0, frame, 60 + i);
	}
	nb_poll(0, EPOLLIN);
	for (u32 i = 0; i < 16; i++) {
		u32 used;

		assert_int_not_equal(rd_used(nb.ring[0], &used), UINT16_MAX);
		assert_int_equal(used, NET_HDR_LEN + 60 + i);
		nb_frame(frame, 60 + i, OTHER);
		assert_memory_equal(nb_ptr(bed.ram + MiB(8) + i * 4096 + NET_HDR_LEN), frame, 60 + i);
	}
	vm_down();
}

static void test_in_burst(void **state)
{
	for (u32 bare = 0; bare < 2; bare++) {
		nb.bare = bare;
		in_burst(0);
		in_burst(MRG);
		in_burst(MRG | PACKED);
	}
}

static void test_in_dropped(void **state)
{
	nb_up("irqchip-finalize", NULL);
	nb_drive(0, 8);
	for (u32 i = 0; i < 4; i++)
		nb_offer(0, 1526);
	nb_frame(frame, 4000, OTHER);
	nb_arrive(0, frame, 1515); /* a byte too many for a buffer */
	nb_arrive(0, frame, 13);   /* no frame */
	nb_arrive(0, frame, 1514);
	nb_poll(0, EPOLLIN);
	take(0, frame, 1514);
	assert_int_equal(net_of(bed.vdev)->pair[0]->rx_count.dropped, 2);
	/* The cable is out. */
	net_set_link(net_of(bed.vdev), false);
	nb_arrive(0, frame, 100);
	nb_poll(0, EPOLLIN);
	assert_int_equal(net_of(bed.vdev)->pair[0]->rx_count.dropped, 3);
	assert_int_equal(bed_access(bed.base + VIRTIO_MMIO_CONFIG + 6, 2, false, 0), 0);
}

/* No buffers: frames stay on the wire. Too few for one: it waits for the next notification, once. */
static void in_short(u64 features)
{
	u32 used;

	nb_up("irqchip-finalize", NULL);
	nb_drive(features, 16);
	nb_frame(frame, 5000, OTHER);
	nb_arrive(0, frame, 5000);
	nb_poll(0, EPOLLIN);
	assert_int_equal(net_of(bed.vdev)->pair[0]->rx_count.frames, 0);
	nb_offer(0, 1526);
	assert_true(rd_wants_kick(nb.ring[0]));
	bed_serve(0);
	assert_int_equal(net_of(bed.vdev)->pair[0]->rx_count.frames, 0);
	assert_int_equal(rd_used(nb.ring[0], &used), UINT16_MAX);
	assert_int_equal(bed.vdev->queue[0].inflight, 0);
	for (u32 i = 0; i < 4; i++)
		nb_offer(0, 1526);
	assert_true(rd_wants_kick(nb.ring[0]));
	bed_serve(0);
	take(0, frame, 5000);
	/* It waits but once. */
	nb_arrive(0, frame, 5000);
	nb_arrive(0, frame, 300);
	nb_poll(0, EPOLLIN);
	assert_int_equal(net_of(bed.vdev)->pair[0]->rx_count.dropped, 0);
	bed_serve(0);
	assert_int_equal(net_of(bed.vdev)->pair[0]->rx_count.dropped, 1);
	take(0, frame, 300);
	vm_down();
}

static void test_in_short(void **state)
{
	in_short(MRG);
	in_short(MRG | PACKED);
	nb.bare = true;
	in_short(MRG);
}

/* ---- a bad driver
 * ------------------------------------------------------------------------------------------- */

static void asks_for_reset(u16 index, struct rd_buf *buf, u16 n, u64 features)
{
	nb_up("irqchip-finalize", NULL);
	nb_drive(features, 16);
	for (u16 i = 0; i < n; i++)
		buf[i].gpa = nb_alloc(buf[i].len);
	rd_add(nb.ring[index], buf, n, 0);
	nb_frame(frame, 100, OTHER);
	if (!index)
		nb_arrive(0, frame, 100);
	capture_begin(STDERR_FILENO);
	bed_serve(index);
	if (!index)
		nb_poll(0, EPOLLIN);
	assert_one_line(capture_end(), "waits to be reset");
	assert_true(bed_reg(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	/* And works after it. */
	nb_drive(features, 16);
	nb_transmit(1, &no_header, frame, 100, 2);
	bed_serve(1);
	assert_int_equal(nb_wire(0, got, sizeof(got)), 112);
	vm_down();
}

static void test_bad_buffers(void **state)
{
	struct rd_buf tx_in[] = {{.len = 100}, {.len = 10, .in = true}};
	struct rd_buf tx_short[] = {{.len = 5}, {.len = 6}};
	struct rd_buf rx_out[] = {{.len = 100}, {.len = 2000, .in = true}};
	struct rd_buf rx_short[] = {{.len = 11, .in = true}};
	struct rd_buf ctrl_no_ack[] = {{.len = 3}};
	struct rd_buf ctrl_short[] = {{.len = 1}, {.len = 1, .in = true}};

	for (u32 i = 0; i < 2; i++) {
		u64 ring = i ? PACKED : 0;

		asks_for_reset(1, tx_in, 2, ring);
		asks_for_reset(1, tx_short, 2, ring);
		asks_for_reset(0, rx_out, 2, ring | MRG);
		asks_for_reset(0, rx_short, 1, ring | MRG);
		asks_for_reset(0, rx_out, 2, ring);
		asks_for_reset(2, ctrl_no_ack, 1, ring | CTRL);
		asks_for_reset(2, ctrl_short, 2, ring | CTRL);
	}
}

/* With its workers, both ways at once: every frame comes, in order. */
static void workers(u64 features)
{
	u32 sent = 0, returned = 0, taken = 0, out = 0, in = 0, used, want = 2000;

	nb_up("irqchip-finalize", NULL);
	nb_drive(features, 64);
	for (u32 i = 0; i < 64; i++)
		nb_offer(0, 1526);
	assert_int_equal(devices_start(&vm.kvm), 0);
	bed_set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	while (out < want || in < want || returned < want) {
		bool idle = true;

		nb.next = sent % 64 ? nb.next : bed.ram + MiB(10);
		if (sent < want && sent - returned < 64) {
			nb_frame(frame, 64, OTHER);
			memcpy(frame + 20, &sent, 4);
			nb_transmit(1, &no_header, frame, 64, 1);
			sent++;
			if (rd_wants_kick(nb.ring[1]))
				bed_set(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
			idle = false;
		}
		while (rd_used(nb.ring[1], &used) != UINT16_MAX)
			returned++;
		if (nb_wire(0, got, sizeof(got)) > 0) {
			assert_memory_equal(got + NET_HDR_LEN + 20, &out, 4);
			out++;
			idle = false;
		}
		if (taken < want && taken - in < 32) {
			nb_frame(frame, 64, OTHER);
			memcpy(frame + 20, &taken, 4);
			nb_arrive(0, frame, 64);
			taken++;
			idle = false;
		}
		for (;;) {
			struct ring_driver *d = nb.ring[0];
			struct vring_desc desc;
			u32 slot = d->used;
			u16 id = rd_used(d, &used);
			struct rd_buf buf = {.len = 1526, .in = true};

			if (id == UINT16_MAX)
				break;
			memcpy(&desc,
			       (u8 *)rd_ptr(d, d->vq.desc_gpa) + (d->packed ? slot : id) * sizeof(desc),
			       sizeof(desc));
			assert_memory_equal(nb_ptr(le64toh(desc.addr)) + NET_HDR_LEN + 20, &in, 4);
			in++;
			buf.gpa = le64toh(desc.addr);
			rd_add(d, &buf, 1, 0);
			if (rd_wants_kick(d))
				bed_set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
			idle = false;
		}
		if (idle)
			sched_yield();
	}
	/* A reset while frames come. */
	nb_arrive(0, frame, 64);
	bed_set(VIRTIO_MMIO_STATUS, 0);
	devices_stop(&vm.kvm);
	vm_down();
}

static void test_workers(void **state)
{
	workers(MRG);
	workers(PACKED);
}

/* ---- a host that is gone ------------------------------------------------------------------------------ */

static void on_tick(struct event_timer *timer)
{
	struct virtio_net *net = timer->arg;

	if (!atomic_load(&net->link_up) || (!atomic_load(&net->lost) && !nb_is_watched()))
		event_stop(timer->loop);
}

/* The main loop until the link is down, or at once where nothing was lost. */
static void main_loop(void)
{
	struct event_timer tick;

	assert_int_equal(event_timer_init(&vm.kvm.loop, &tick, on_tick, net_of(bed.vdev)), 0);
	event_timer_set(&tick, 1, 1000000);
	assert_int_equal(event_run(&vm.kvm.loop), 0);
	event_timer_destroy(&vm.kvm.loop, &tick);
}

static u16 link_status(void)
{
	return (u16)bed_access(bed.base + VIRTIO_MMIO_CONFIG + 6, 2, false, 0);
}

/* By a frame in or out, or found by the worker: told once; the driver hears that its link is down. */
static void lost(int err, bool out, bool worker)
{
	u32 used;

	nb_up("irqchip-finalize", NULL);
	nb_drive(0, 16);
	nb_frame(frame, 100, OTHER);
	for (u32 i = 0; i < 4; i++)
		nb_offer(0, 1526);
	nb.wire_err = err;
	capture_begin(STDERR_FILENO);
	if (worker) {
		assert_int_equal(devices_start(&vm.kvm), 0);
		bed_set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		while (!atomic_load(&net_of(bed.vdev)->lost))
			sched_yield();
	}
	for (u32 i = 0; out && i < 2; i++) {
		nb_transmit(1, &no_header, frame, 100, 2);
		bed_serve(1);
		assert_int_not_equal(rd_used(nb.ring[1], &used), UINT16_MAX);
	}
	for (u32 i = 0; !out && !worker && i < 2; i++)
		nb_poll(0, EPOLLIN | EPOLLHUP);
	assert_int_equal(link_status(), VIRTIO_NET_S_LINK_UP);
	main_loop();
	if (err == -EIO)
		assert_string_equal(capture_end(), "");
	else
		assert_one_line(capture_end(), "the guest's link is down: mend it");
	assert_int_equal(link_status(), err == -EIO ? VIRTIO_NET_S_LINK_UP : 0);
	assert_int_equal(bed_reg(VIRTIO_MMIO_INTERRUPT_STATUS) >> 1 & 1, err != -EIO);
	/* Nobody plugs it in again. */
	assert_int_equal(virtio_net_ops.link(&bed.vdev->dev, DEVICE_LINK_UP),
			 err == -EIO ? DEVICE_LINK_UP : DEVICE_LINK_DOWN);
	assert_true(virtio_is_ready(bed.vdev));
	if (worker)
		devices_stop(&vm.kvm);
	vm_down();
	nb.wire_err = 0;
}

static void test_lost(void **state)
{
	static const int gone[] = {-EPIPE, -ECONNRESET, -EPROTO, -EBADFD, -EIO};

	for (u32 i = 0; i < ARRAY_SIZE(gone); i++) {
		lost(gone[i], false, false);
		lost(gone[i], true, false);
	}
	lost(-EPIPE, false, true);
}

/* Nobody sends or receives, but the host's interfaces changed: ours, the second time. */
static void test_watched(void **state)
{
	static const u8 fates[] = {0, ENOLINK};

	nb_up("irqchip-finalize", NULL);
	assert_int_equal(devices_start(&vm.kvm), 0);
	for (u32 i = 0; i < ARRAY_SIZE(fates); i++)
		assert_int_equal(write(nb.watch[1], &fates[i], 1), 1);
	capture_begin(STDERR_FILENO);
	main_loop();
	assert_one_line(capture_end(), "the guest's link is down: mend it");
	assert_int_equal(nb.checked, 2);
	assert_int_equal(link_status(), 0);
	devices_stop(&vm.kvm);
	vm_down();
}

static void test_no_host(void **state)
{
	static const char *const more[] = {"-n", "mode=user", NULL};

	nb.open_err = -EPERM;
	assert_int_equal(vm_up("/proc/self/exe", BED_RAM, "irqchip-finalize", more), -EPERM);
	vm_down();
	/* Taken back. */
	static const char *const none[] = {"-n", "mode=user", "-n", "none", NULL};
	assert_int_equal(vm_up("/proc/self/exe", BED_RAM, "irqchip-finalize", none), 0);
	assert_null(device_find(&vm.kvm, &virtio_net_ops, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_config),	     T(test_features),	  T(test_out),	       T(test_out_large),
		T(test_out_dropped), T(test_out_blocked), T(test_in),	       T(test_in_burst),
		T(test_in_dropped),  T(test_in_short),	  T(test_bad_buffers), T(test_workers),
		T(test_lost),	     T(test_watched),	  T(test_no_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

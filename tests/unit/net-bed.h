/* SPDX-License-Identifier: MIT */
/*
 * A network device on a host of the test's: frames in a pair of packet sockets a queue. And its driver: rings
 * by ring-driver.h, registers by virtio-bed.h. WRAP: net_open net_close.
 */
#ifndef LKVM_TEST_NET_BED_H
#define LKVM_TEST_NET_BED_H

#include "ring-driver.h"
#include "virtio-bed.h"
#include "virtio/net.h"
#include <sched.h>
#include <sys/socket.h>

#define MRG VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF)
#define CTRL                                                                                                 \
	(VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) |                               \
	 VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX_EXTRA))
#define PACKED VIRTIO_BIT(VIRTIO_F_RING_PACKED)
#define OURS   "\x02\x01\x02\x03\x04\x05"
#define OTHER  "\x02\x01\x02\x03\x04\x06"
#define MULTI  "\x33\x33\x00\x00\x00\x01"
#define ALL    "\xff\xff\xff\xff\xff\xff"

__unused static u8 frame[NET_MAX_FRAME + 16], got[NET_HDR_LEN + NET_MAX_FRAME + 16];
__unused static const struct virtio_net_hdr_v1 no_header;

#define T(f) cmocka_unit_test_setup_teardown(f, nb_setup, nb_teardown)

#define NET_BED_PAIRS  3
#define NET_BED_QUEUES (2 * NET_BED_PAIRS + 1)

extern const struct device_ops virtio_net_ops;

static struct {
	/* Before net_bed_up(): what host there is. */
	bool bare;
	u32 pairs, offloads, mtu;
	u8 mac[6];
	bool has_mac;
	int open_err;
	int wire_err; /* of each send and receive */
	int watch[2]; /* a byte into [1]: the interfaces changed, and this errno says what became of ours */
	/* What the device did with it. */
	u32 offload, queues, closed, checked;
	int wire[NET_BED_PAIRS]; /* the test's ends */
	struct net host;
	/* The driver. */
	struct ring_driver *ring[NET_BED_QUEUES];
	gpa_t next; /* memory not yet given out */
} nb;

static ssize_t nb_send(struct net_queue *q, const struct iovec *iov, u32 n)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n};
	ssize_t len;

	if (nb.wire_err)
		return nb.wire_err;
	len = sendmsg(q->fd, &msg, MSG_DONTWAIT);
	return len < 0 ? -errno : len;
}

static ssize_t nb_recv(struct net_queue *q, const struct iovec *iov, u32 n)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n};
	ssize_t len;

	if (nb.wire_err)
		return nb.wire_err;
	len = recvmsg(q->fd, &msg, MSG_DONTWAIT);
	return len < 0 ? -errno : len;
}

static int nb_set_offload(struct net *net, u32 offload)
{
	nb.offload = offload;
	return 0;
}

static int nb_set_queues(struct net *net, u32 n)
{
	nb.queues = n;
	return 0;
}

static int nb_check(struct net *net)
{
	u8 fate;

	assert_int_equal(recv(net->watch, &fate, 1, MSG_DONTWAIT), 1);
	nb.checked++;
	return -fate;
}

/* There is news that nobody has read. */
__unused static bool nb_is_watched(void)
{
	u8 fate;

	return recv(nb.watch[0], &fate, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
}

static const struct net_ops nb_ops = {
	.name = "wire",
	.gone = "mend it",
	.send = nb_send,
	.recv = nb_recv,
	.set_offload = nb_set_offload,
	.set_queues = nb_set_queues,
	.check = nb_check,
};

int __wrap_net_open(struct net **out, const struct net_config *cfg, const char *who);
int __wrap_net_open(struct net **out, const struct net_config *cfg, const char *who)
{
	if (nb.open_err)
		return nb.open_err;
	nb.host = (struct net){.ops = &nb_ops,
			       .vnet_hdr = !nb.bare,
			       .offload = nb.offloads,
			       .mtu = nb.mtu,
			       .has_mac = nb.has_mac,
			       .nr_queues = nb.pairs ?: 1};
	memcpy(nb.host.mac, nb.mac, 6);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, nb.watch))
		abort();
	nb.host.watch = nb.watch[0];
	for (u32 i = 0; i < nb.host.nr_queues; i++) {
		int pair[2], bytes = 1 << 18;

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
			abort();
		setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
		setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
		nb.host.queue[i] = (struct net_queue){.net = &nb.host, .fd = pair[0]};
		nb.wire[i] = pair[1];
	}
	*out = &nb.host;
	return 0;
}

void __wrap_net_close(struct net *net);
void __wrap_net_close(struct net *net)
{
	for (u32 i = 0; net && i < net->nr_queues; i++) {
		close(net->queue[i].fd);
		close(nb.wire[i]);
	}
	for (u32 i = 0; net && i < 2; i++)
		close(nb.watch[i]);
	nb.closed++;
}

/* ---- the driver -------------------------------------------------------------------------------------------
 */

#define NB_USUAL                                                                                             \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) |                          \
	 VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX))

__unused static int nb_setup(void **state)
{
	memset(&nb, 0, sizeof(nb));
	nb.offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	nb.mtu = 1500;
	return vm_setup(state);
}

__unused static int nb_teardown(void **state)
{
	for (u32 i = 0; i < NET_BED_QUEUES; i++) {
		free(nb.ring[i]);
		nb.ring[i] = NULL;
	}
	return vm_teardown(state);
}

__unused static void nb_up(const char *step, const char *arg)
{
	const char *const more[] = {"-n", arg ?: "mode=user,mac=02:01:02:03:04:05", NULL};

	bed_up(&virtio_net_ops, step, more);
}

/* Queue `index` of that size, with a driver of its own. */
__unused static void nb_queue(u16 index, u16 size, u64 features)
{
	struct ring_driver *d = calloc(1, sizeof(*d));

	bed_queue(index, size);
	free(nb.ring[index]);
	nb.ring[index] = d;
	d->kvm.mem = vm.kvm.mem;
	d->size = size;
	d->packed = features >> VIRTIO_F_RING_PACKED & 1;
	d->avail_wrap = d->used_wrap = true;
	d->vq.event_idx = features >> VIRTIO_RING_F_EVENT_IDX & 1;
	d->vq.desc_gpa = bed_ring(index);
	d->vq.avail_gpa = bed_ring(index) + 0x8000;
	d->vq.used_gpa = bed_ring(index) + 0xc000;
	memset(rd_ptr(d, d->vq.desc_gpa), 0, 0x10000);
}

/* All queues up, DRIVER_OK. */
__unused static void nb_drive(u64 features, u16 size)
{
	assert_true(bed_negotiate(NB_USUAL | features));
	for (u16 i = 0; i < 2 * nb.host.nr_queues + 1; i++)
		nb_queue(i, size, NB_USUAL | features);
	bed_driver_ok();
	nb.next = bed.ram + MiB(8);
}

__unused static gpa_t nb_alloc(u32 len)
{
	gpa_t at = nb.next;

	nb.next += align_up(len, 8);
	assert_true(nb.next <= bed.ram + BED_RINGS);
	return at;
}

__unused static u8 *nb_ptr(gpa_t gpa)
{
	return guest_ptr(&vm.kvm.mem, gpa, 1);
}

/* A receive buffer of one piece: its address. */
__unused static gpa_t nb_offer(u16 index, u32 len)
{
	struct rd_buf buf = {.gpa = nb_alloc(len), .len = len, .in = true};

	assert_int_not_equal(rd_add(nb.ring[index], &buf, 1, 0), UINT16_MAX);
	return buf.gpa;
}

/* A transmit buffer: header and frame in so many pieces. */
__unused static u16 nb_transmit(u16 index, const void *hdr, const void *data, u32 len, u16 pieces)
{
	struct rd_buf buf[16];
	u32 done = 0;
	gpa_t at = nb_alloc(NET_HDR_LEN + len);

	memcpy(nb_ptr(at), hdr, NET_HDR_LEN);
	memcpy(nb_ptr(at) + NET_HDR_LEN, data, len);
	len += NET_HDR_LEN;
	for (u16 i = 0; i < pieces; i++) {
		u32 part = i + 1 == pieces ? len - done : len / pieces;

		buf[i] = (struct rd_buf){.gpa = at + done, .len = part};
		done += part;
	}
	return rd_add(nb.ring[index], buf, pieces, 0);
}

/* What the device put on the wire: its length, or -1. */
__unused static ssize_t nb_wire(u32 pair, void *buf, size_t room)
{
	return recv(nb.wire[pair], buf, room, MSG_DONTWAIT);
}

/* A frame onto the wire, behind a header if the host has them. */
__unused static void nb_arrive(u32 pair, const void *data, u32 len)
{
	struct virtio_net_hdr_v1 h = {.num_buffers = 0x5a5a}; /* the same in either order */
	struct iovec iov[] = {{&h, sizeof(h)}, {(void *)(uintptr_t)data, len}};
	struct msghdr msg = {.msg_iov = iov + nb.bare, .msg_iovlen = 2 - nb.bare};

	assert_true(sendmsg(nb.wire[pair], &msg, MSG_DONTWAIT) > 0);
}

/* The pair's worker sees that its host queue is ready. */
__unused static void nb_poll(u32 pair, u32 events)
{
	struct net_pair *p = net_of(bed.vdev)->pair[pair];

	net_host_ready(&p->src, events);
}

/* A frame to that address, with bytes of a pattern. */
__unused static void nb_frame(u8 *data, u32 len, const char *to)
{
	for (u32 i = 0; i < len; i++)
		data[i] = (u8)(i * 7 + i / 256);
	memcpy(data, to, 6);
	data[12] = 8;
	data[13] = 0;
}

/* Takes a frame out of used buffers of `size` bytes each at at[]; in the order of at, as ids are. */
__unused static void take(u16 index, const u8 *want, u32 len)
{
	struct ring_driver *d = nb.ring[index];
	u32 total = 0, buffers = 0, num = 1;

	while (buffers < num) {
		struct vring_desc desc;
		u32 used, slot = d->used;
		u16 id;

		/* Packed: the descriptor is overwritten when it is used; its address stays. */
		id = rd_used(d, &used);
		assert_int_not_equal(id, UINT16_MAX);
		memcpy(&desc, (u8 *)rd_ptr(d, d->vq.desc_gpa) + (d->packed ? slot : id) * sizeof(desc),
		       sizeof(desc));
		memcpy(got + total, nb_ptr(le64toh(desc.addr)), used);
		total += used;
		if (!buffers++)
			num = le16toh(((struct virtio_net_hdr_v1 *)(void *)got)->num_buffers);
	}
	assert_int_equal(total, NET_HDR_LEN + len);
	assert_memory_equal(got + NET_HDR_LEN, want, len);
	assert_int_equal(le16toh(((struct virtio_net_hdr_v1 *)(void *)got)->num_buffers), num);
}

/* A command on the control queue: the device's answer, or -1. */
__unused static int nb_command(u16 index, const void *data, u32 len)
{
	gpa_t at = nb_alloc(len + 1);
	struct rd_buf buf[] = {{.gpa = at, .len = len}, {.gpa = at + len, .len = 1, .in = true}};
	u32 written;

	memcpy(nb_ptr(at), data, len);
	nb_ptr(at)[len] = 0xee;
	rd_add(nb.ring[index], buf, 2, 0);
	bed_serve(index);
	if (rd_used(nb.ring[index], &written) == UINT16_MAX || written != 1)
		return -1;
	return nb_ptr(at)[len];
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The network device's own (virtio 1.2, 5.1): net.c has its life and its agreement with the driver,
 * net-queue.c moves frames, net-filter.c is the control queue and what it decides about.
 *
 * A pair of queues, receive and transmit, is served by a worker of its own, which also polls the host's
 * queue. Locks: vq->lock, then net->filter_lock. Whether frames go through a pair or not is seen from rings
 * and host alone, so nothing is in flight when no one holds the queue's lock, and there is nothing to drain.
 */
#ifndef LKVM_VIRTIO_NET_PRIV_H
#define LKVM_VIRTIO_NET_PRIV_H

#include <lkvm/net.h>
#include <lkvm/virtio.h>
#include <lkvm/worker.h>

/* Newer than some kernel headers. */
#ifndef VIRTIO_NET_F_GUEST_USO4
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO	56
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define NET_QUEUE_SIZE 256
/* A chain is no longer than its queue; two pieces more where ranges cross banks of memory. */
#define NET_PIECES	(NET_QUEUE_SIZE + 2)
#define NET_STOCK	64 /* buffers taken for one frame at the most: more than 64 KiB in pages */
#define NET_RX_IOV	(2 * NET_PIECES + NET_STOCK)
#define NET_FILTER_MACS 64

struct net_filter {
	u8 mac[NET_MAC_LEN];
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	bool many_uni, many_multi; /* more than the table holds: then all */
	bool vlans_on;
	u32 nr_uni, nr_multi; /* in table, in this order */
	u8 table[NET_FILTER_MACS][NET_MAC_LEN];
	u8 vlan[4096 / 8];
};

struct virtio_net;

struct net_counts {
	u64 frames, bytes, dropped;
};

struct net_pair {
	struct virtio_net *net;
	struct virtqueue *rx, *tx;
	struct net_queue *host;
	struct event_source src; /* the host's queue */
	struct worker worker;
	bool tx_blocked; /* the host had no room; worker's */

	/* rx->lock. Buffers taken from the ring and not yet filled: stock[first .. end), their pieces
	 * rx_iov[piece
	 * ..  piece_end), in that order. Empty whenever the lock is free. */
	struct vq_chain stock[NET_STOCK];
	u32 first, end, piece, piece_end;
	u32 stock_bytes;
	u32 want; /* buffers that frames of late have needed */
	struct iovec rx_iov[NET_RX_IOV + 1];
	/* What of a frame the stock had no room for, and a whole frame that waits for more buffers. */
	u8 spill[NET_HDR_LEN + NET_MAX_FRAME + 1];
	u32 held;
	struct net_counts rx_count;

	/* tx->lock. */
	struct iovec tx_iov[NET_PIECES], tx_out[NET_PIECES + 1];
	struct net_counts tx_count;
};

struct virtio_net {
	struct virtio_device vdev;
	struct net *host;
	u32 nr_pairs;
	u8 mac[NET_MAC_LEN]; /* at power-on */
	atomic_bool link_up;
	atomic_bool lost;	       /* the host's side is gone for good; the link stays down */
	struct event_timer lost_timer; /* and the main loop is to tell the driver so */
	struct event_source watch;     /* host->watch, on the main loop */
	struct net_pair *pair[NET_MAX_QUEUES];
	struct vhost_net *vhost; /* NULL: frames are moved here */

	pthread_mutex_t filter_lock;
	/* filter_lock. */
	struct net_filter filter;
	u64 guest_offloads; /* of the features that the driver accepted */
	u16 pairs_used;
};

static inline struct virtio_net *net_of(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_net, vdev);
}

/* The index of the control queue, which depends on what the driver accepted (5.1.2). */
static inline u32 net_ctrl_index(const struct virtio_net *net)
{
	return virtio_has(&net->vdev, VIRTIO_NET_F_MQ) ? 2 * net->nr_pairs : 2;
}

/* Moves frames until there are none, or others have their turn; vq->lock held. On the pair's worker. */
void net_receive(struct net_pair *p);
void net_transmit(struct net_pair *p);
/* The host's queue can be read or written again. */
void net_host_ready(struct event_source *src, u32 events);

/* The control queue; vq->lock held. */
void net_control(struct virtio_net *net, struct virtqueue *vq);
void net_filter_reset(struct virtio_net *net);
/* Whether the guest wants a frame, by its first NET_FILTER_HEAD bytes; filter_lock held. */
#define NET_FILTER_HEAD 16
bool net_filter_takes(const struct net_filter *f, const u8 head[NET_FILTER_HEAD]);
/* What the host may leave to the guest, by features accepted; -errno, silent. filter_lock held. */
int __must_check net_apply_offloads(struct virtio_net *net, u64 offloads);
/* The guest's features that TUN_F_* stand for. */
u64 net_guest_offloads(u32 tun);
/* The cable in or out, told to the driver. dev->lock held. One to a host's side that is lost stays out. */
void net_set_link(struct virtio_net *net, bool up);
/* The host's side said err, for which net_is_gone(): one line, and the main loop pulls the cable. Any thread.
 */
void net_lost(struct virtio_net *net, int err);

/* ---- vhost (net-vhost.c); dev->lock held where the VM runs --------------------------------------------- */

/* net->vhost as the user wants it, `how` being an enum net_vhost. -errno after one logged line. */
int __must_check net_vhost_create(struct virtio_net *net, u32 how);
int __must_check net_vhost_rings(struct virtio_net *net); /* when there are queues; as above */
u64 net_vhost_features(const struct virtio_net *net);
int __must_check net_vhost_listen(struct virtio_net *net); /* main thread; -errno, silent */
void net_vhost_destroy(struct virtio_net *net);		   /* also where there is none */
/* Queues that are ready become the kernel's; -errno, silent: then none is. */
int __must_check net_vhost_start(struct virtio_net *net);
void net_vhost_drain(struct virtio_net *net, u32 index);
void net_vhost_link(struct virtio_net *net, bool up);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Frames between a pair of queues and the host (virtio 1.2, 5.1.6): on the pair's worker, with the queue's
 * lock.
 *
 * A frame goes from guest memory to the host, or the other way, by one system call over the pieces of the
 * driver's buffers, without a copy of ours. How long the next frame is, is not known before it is there. So
 * the receiver takes as many buffers as frames of late have needed, has the host fill them, and what does not
 * fit go into memory of ours (spill), from which it is copied into more buffers. Where the ring has no more
 * the frame is held until the driver's next notification. Buffers not needed go back into the ring before the
 * lock is free.
 *
 * Both directions stop after a number of frames and let the loop look at everything else first.
 */
#include "net.h"
#include <endian.h>
#include <errno.h>
#include <lkvm/kvm.h>
#include <string.h>

#define BUDGET 128 /* frames */

/* ---- to the host ----------------------------------------------------------------------------------------
 */

/* Whether the driver may ask for that, by what it accepted. */
static bool gso_allowed(const struct virtio_device *vdev, u8 type)
{
	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return type == VIRTIO_NET_HDR_GSO_NONE;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return virtio_has(vdev, VIRTIO_NET_F_HOST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return virtio_has(vdev, VIRTIO_NET_F_HOST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return virtio_has(vdev, VIRTIO_NET_F_HOST_USO);
	default:
		return false;
	}
}

/* Our copy of the driver's header, with nothing in it that was not agreed on. False: not to be sent. */
static bool header_ok(const struct net_pair *p, struct virtio_net_hdr_v1 *h)
{
	const struct virtio_device *vdev = &p->net->vdev;

	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->num_buffers = 0;
	if (!p->net->host->vnet_hdr)
		return !h->flags && h->gso_type == VIRTIO_NET_HDR_GSO_NONE;
	if (h->flags && !virtio_has(vdev, VIRTIO_NET_F_CSUM))
		return false;
	return gso_allowed(vdev, h->gso_type);
}

/* One frame. -EAGAIN: the host has no room; -EPROTO: no buffer of a driver that keeps to the rules. */
static int send_frame(struct net_pair *p, const struct vq_chain *chain)
{
	struct virtio_net_hdr_v1 h;
	bool bare = !p->net->host->vnet_hdr;
	ssize_t len = -EINVAL;
	int n;

	if (chain->nr_in || chain_read(chain, 0, &h, sizeof(h)) != sizeof(h))
		return -EPROTO;
	if (atomic_load(&p->net->link_up) && header_ok(p, &h) && chain->out_len >= sizeof(h) + NET_ETH_HLEN &&
	    chain->out_len <= sizeof(h) + NET_MAX_FRAME) {
		p->tx_out[0] = (struct iovec){&h, sizeof(h)};
		n = iov_slice(chain->iov, chain->nr_out, sizeof(h), chain->out_len - sizeof(h), p->tx_out + 1,
			      NET_PIECES);
		if (n > 0)
			len = net_send(p->host, p->tx_out + bare, (u32)n + !bare);
	}
	if (len == -EAGAIN)
		return -EAGAIN;
	if (net_is_gone(len))
		net_lost(p->net, (int)len);
	p->tx_count.dropped += len < 0;
	p->tx_count.frames += len >= 0;
	p->tx_count.bytes += len >= 0 ? (u64)len : 0;
	return 0;
}

void net_transmit(struct net_pair *p)
{
	struct virtqueue *vq = p->tx;
	struct vq_chain chain = {.iov = p->tx_iov, .room = NET_PIECES};
	u32 left = BUDGET;
	int n, err = 0;

	do {
		vq_quiet(vq);
		while (!err && (n = left ? vq_pop(vq, &chain) : 0) > 0) {
			err = send_frame(p, &chain);
			if (err == -EAGAIN)
				vq_unpop(vq, &chain);
			else
				vq_push(vq, &chain, 0);
			left--;
		}
		vq_flush(vq);
	} while (!err && n == 0 && left && vq_listen(vq));
	if (err == -EPROTO)
		virtio_needs_reset(&p->net->vdev, "a transmit buffer that is none");
	p->tx_blocked = err == -EAGAIN;
	if (!err && !left)
		virtio_queue_again(vq);
}

/* ---- from the host --------------------------------------------------------------------------------------
 */

static bool mergeable(const struct net_pair *p)
{
	return virtio_has(&p->net->vdev, VIRTIO_NET_F_MRG_RXBUF);
}

/* Moves what is in stock to the front, when the pieces of another buffer might not fit behind. */
static void stock_compact(struct net_pair *p)
{
	u32 pieces = p->piece_end - p->piece;

	if (p->end < NET_STOCK && p->piece_end + NET_PIECES <= NET_RX_IOV)
		return;
	memmove(p->stock, p->stock + p->first, (p->end - p->first) * sizeof(p->stock[0]));
	memmove(p->rx_iov, p->rx_iov + p->piece, pieces * sizeof(p->rx_iov[0]));
	p->end -= p->first;
	p->piece_end = pieces;
	p->first = p->piece = 0;
}

/* One more buffer: 1; 0: the ring has none, or the stock is full; -EPROTO. */
static int stock_add(struct net_pair *p)
{
	struct vq_chain *chain;
	int n;

	stock_compact(p);
	if (p->end == NET_STOCK || p->piece_end + NET_PIECES > NET_RX_IOV)
		return 0;
	chain = &p->stock[p->end];
	chain->iov = &p->rx_iov[p->piece_end];
	chain->room = NET_PIECES;
	n = vq_pop(p->rx, chain);
	if (n <= 0)
		return n;
	if (chain->nr_out || chain->in_len < NET_HDR_LEN) {
		vq_unpop(p->rx, chain);
		virtio_needs_reset(&p->net->vdev, "a receive buffer that is none");
		return -EPROTO;
	}
	p->end++;
	p->piece_end += chain->nr_in;
	p->stock_bytes += chain->in_len;
	return 1;
}

/* All back into the ring, in the order in which a ring takes things back. */
static void stock_return(struct net_pair *p)
{
	while (p->end > p->first)
		vq_unpop(p->rx, &p->stock[--p->end]);
	p->first = p->end = p->piece = p->piece_end = 0;
	p->stock_bytes = 0;
}

/* Bytes of stock that one frame may take. */
static u32 stock_room(const struct net_pair *p)
{
	return mergeable(p) ? p->stock_bytes : p->stock[p->first].in_len;
}

/* Copies to or from the stock's bytes from `offset` on. */
static void stock_copy(struct net_pair *p, size_t offset, void *buf, size_t len, bool write)
{
	struct vq_chain all = {.iov = &p->rx_iov[p->piece]};

	if (write) {
		all.nr_in = p->piece_end - p->piece;
		chain_write(&all, offset, buf, len);
	} else {
		all.nr_out = p->piece_end - p->piece;
		chain_read(&all, offset, buf, len);
	}
}

/*
 * Has the host put a frame behind a header into the stock and, as far as it does not fit, into the spill: its
 * length with header, or -EAGAIN and the like.
 */
static ssize_t fill(struct net_pair *p)
{
	u32 room = stock_room(p), n = mergeable(p) ? p->piece_end - p->piece : p->stock[p->first].nr_in;
	struct iovec *iov = &p->rx_iov[p->piece], first = *iov, saved = iov[n];
	u32 skip = p->net->host->vnet_hdr ? 0 : NET_HDR_LEN;
	ssize_t len;

	iov[n] = (struct iovec){p->spill, sizeof(p->spill)};
	if (!skip) {
		len = net_recv(p->host, iov, n + 1);
	} else if (first.iov_len >= skip) {
		/* A piece of no bytes is none that is in the way. */
		iov->iov_base = (u8 *)first.iov_base + skip;
		iov->iov_len = first.iov_len - skip;
		len = net_recv(p->host, iov, n + 1);
		*iov = first;
	} else {
		/* A header in small pieces: nobody's fast path. The frame comes by way of the spill. */
		len = net_recv(p->host, &iov[n], 1);
		if (len > 0) {
			u32 part = (u32)min_u64((u64)len, room - skip);

			iov[n] = saved;
			stock_copy(p, skip, p->spill, part, true);
			memmove(p->spill, p->spill + part, (size_t)len - part);
		}
	}
	iov[n] = saved;
	if (len < 0)
		return len;
	if (skip) {
		struct virtio_net_hdr_v1 h = {.num_buffers = 0};

		stock_copy(p, 0, &h, sizeof(h), true);
	}
	return len + skip;
}

/* Puts the first `len` bytes of the stock aside, in front of what was spilt: a whole frame, to be held. */
static void hold(struct net_pair *p, u32 len, u32 in_stock)
{
	memmove(p->spill + in_stock, p->spill, len - in_stock);
	stock_copy(p, 0, p->spill, in_stock, false);
	p->held = len;
}

/* Gives the frame of len bytes at the stock's head to the driver. */
static void deliver(struct net_pair *p, u32 len)
{
	u32 left = len, used = 0, pieces = 0;
	u16 num;

	while (left) {
		const struct vq_chain *chain = &p->stock[p->first + used];
		u32 part = (u32)min_u64(left, chain->in_len);

		vq_push(p->rx, chain, part);
		p->stock_bytes -= chain->in_len;
		pieces += chain->nr_in;
		left -= part;
		used++;
	}
	num = htole16((u16)used);
	stock_copy(p, offsetof(struct virtio_net_hdr_v1, num_buffers), &num, sizeof(num), true);
	p->first += used;
	p->piece += pieces;
	/* At once more, slowly less. */
	p->want = used >= p->want ? used : p->want - (p->want - used + 7) / 8;
	p->rx_count.frames++;
	p->rx_count.bytes += len;
}

/* The stock has room for len bytes, or gets it. -EAGAIN: the ring has no more; -EMSGSIZE: no buffers could.
 */
static int stock_reach(struct net_pair *p, u32 len)
{
	int n = 1;

	if (!mergeable(p))
		return stock_room(p) >= len ? 0 : -EMSGSIZE;
	while (p->stock_bytes < len && n > 0)
		n = stock_add(p);
	if (p->stock_bytes >= len)
		return 0;
	if (n < 0)
		return n;
	return p->end - p->first == NET_STOCK ? -EMSGSIZE : -EAGAIN;
}

/* The frame that has just come, of which the stock has the first `room` bytes. */
static bool wanted(struct net_pair *p, u32 room)
{
	struct virtio_net *net = p->net;
	u8 head[NET_FILTER_HEAD];
	u32 part = (u32)min_u64(room - NET_HDR_LEN, sizeof(head));
	bool takes;

	stock_copy(p, NET_HDR_LEN, head, part, false);
	memcpy(head + part, p->spill, sizeof(head) - part);
	pthread_mutex_lock(&net->filter_lock);
	takes = atomic_load(&net->link_up) && net_filter_takes(&net->filter, head);
	pthread_mutex_unlock(&net->filter_lock);
	return takes;
}

/* One frame from the host into the stock and on. 0, or what net_recv() says; -ENOBUFS: it is held. */
static int receive_frame(struct net_pair *p)
{
	ssize_t len = fill(p);
	u32 room = stock_room(p);
	int err;

	if (net_is_gone(len))
		net_lost(p->net, (int)len);
	if (len < 0)
		return (int)len;
	if (len < NET_HDR_LEN + NET_ETH_HLEN || len > NET_HDR_LEN + NET_MAX_FRAME || !wanted(p, room)) {
		p->rx_count.dropped++;
		return 0;
	}
	if ((u32)len > room) {
		err = stock_reach(p, (u32)len);
		if (err == -EAGAIN) {
			hold(p, (u32)len, room);
			return -ENOBUFS;
		}
		if (err) {
			p->rx_count.dropped++;
			return err == -EMSGSIZE ? 0 : err;
		}
		stock_copy(p, room, p->spill, (u32)len - room, true);
	}
	deliver(p, (u32)len);
	return 0;
}

/* The frame that waited. It waits once: a driver that has even now not enough will never have. */
static int deliver_held(struct net_pair *p)
{
	u32 len = p->held;
	int err = stock_reach(p, len);

	p->held = 0;
	if (err) {
		p->rx_count.dropped++;
		return err == -EPROTO ? err : 0;
	}
	stock_copy(p, 0, p->spill, len, true);
	deliver(p, len);
	return 0;
}

/* Buffers for the next frame. False: there are none, and a notification will tell of more. */
static bool stock_up(struct net_pair *p, int *err)
{
	int n = 1;

	do {
		while (n > 0 && p->end - p->first < max_u64(p->want, 1))
			n = stock_add(p);
		if (n < 0) {
			*err = n;
			return false;
		}
		if (p->end > p->first)
			return true;
		vq_flush(p->rx);
		n = 1;
	} while (vq_listen(p->rx));
	return false;
}

void net_receive(struct net_pair *p)
{
	struct virtqueue *vq = p->rx;
	u32 left = BUDGET;
	int err = 0;

	vq_quiet(vq);
	while (!err && left) {
		if (!stock_up(p, &err))
			break;
		err = p->held ? deliver_held(p) : receive_frame(p);
		left--;
		/* Asked for before the stock goes back: of buffers beyond those there are. */
		if (err == -ENOBUFS && (vq_flush(vq), vq_listen(vq)))
			err = 0;
	}
	stock_return(p);
	vq_flush(vq);
	if (!err && !left)
		virtio_queue_again(vq);
}

void net_host_ready(struct event_source *src, u32 events)
{
	struct net_pair *p = src->arg;
	struct virtio_device *vdev = &p->net->vdev;

	if (events & EPOLLOUT) {
		net_writable(p->host);
		if (p->tx_blocked && virtio_is_ready(vdev)) {
			pthread_mutex_lock(&p->tx->lock);
			if (p->tx->ready)
				net_transmit(p);
			pthread_mutex_unlock(&p->tx->lock);
		}
	}
	if (events & ~(u32)EPOLLOUT && virtio_is_ready(vdev)) {
		pthread_mutex_lock(&p->rx->lock);
		if (p->rx->ready)
			net_receive(p);
		pthread_mutex_unlock(&p->rx->lock);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * The control queue of a network device (virtio 1.2, 5.1.6.5), and what the driver says by it: which frames
 * it wants, how many pairs of queues it uses, what the host may leave to it.
 *
 * Commands are carried out on the loop of the control queue, with its lock and then filter_lock held; workers
 * look at the filter for each frame.
 */
#include "net.h"
#include <endian.h>
#include <errno.h>
#include <string.h>

/* ---- the filter -----------------------------------------------------------------------------------------
 */

void net_filter_reset(struct virtio_net *net)
{
	struct net_filter *f = &net->filter;

	memset(f, 0, sizeof(*f));
	memcpy(f->mac, net->mac, NET_MAC_LEN);
	/* Until the driver knows of filters. */
	f->promisc = true;
	net->pairs_used = 1;
	net->guest_offloads = UINT64_MAX;
}

static bool in_table(const struct net_filter *f, u32 from, u32 n, const u8 *mac)
{
	for (u32 i = from; i < from + n; i++)
		if (!memcmp(f->table[i], mac, NET_MAC_LEN))
			return true;
	return false;
}

bool net_filter_takes(const struct net_filter *f, const u8 head[NET_FILTER_HEAD])
{
	static const u8 broadcast[NET_MAC_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	u32 vid = (head[14] << 8 | head[15]) & 0xfff;

	if (f->promisc)
		return true;
	if (f->vlans_on && head[12] == 0x81 && !head[13] && !(f->vlan[vid / 8] >> vid % 8 & 1))
		return false;
	if (!memcmp(head, broadcast, NET_MAC_LEN))
		return !f->nobcast;
	if (head[0] & 1)
		return !f->nomulti &&
		       (f->allmulti || f->many_multi || in_table(f, f->nr_uni, f->nr_multi, head));
	return !f->nouni && (f->alluni || f->many_uni || !memcmp(head, f->mac, NET_MAC_LEN) ||
			     in_table(f, 0, f->nr_uni, head));
}

/* ---- offloads -------------------------------------------------------------------------------------------
 */

static const struct {
	u32 tun;
	u8 feature;
} offload_map[] = {
	{TUN_F_CSUM, VIRTIO_NET_F_GUEST_CSUM}, {TUN_F_TSO4, VIRTIO_NET_F_GUEST_TSO4},
	{TUN_F_TSO6, VIRTIO_NET_F_GUEST_TSO6}, {TUN_F_TSO_ECN, VIRTIO_NET_F_GUEST_ECN},
	{TUN_F_USO4, VIRTIO_NET_F_GUEST_USO4}, {TUN_F_USO6, VIRTIO_NET_F_GUEST_USO6},
};

u64 net_guest_offloads(u32 tun)
{
	u64 features = 0;

	for (u32 i = 0; i < ARRAY_SIZE(offload_map); i++)
		if (tun & offload_map[i].tun)
			features |= VIRTIO_BIT(offload_map[i].feature);
	return features;
}

int net_apply_offloads(struct virtio_net *net, u64 offloads)
{
	u32 tun = 0;
	int err;

	offloads &= net_guest_offloads(net->host->offload);
	for (u32 i = 0; i < ARRAY_SIZE(offload_map); i++)
		if (offloads >> offload_map[i].feature & 1)
			tun |= offload_map[i].tun;
	/* No segments without checksums, whatever the driver thinks it accepted. */
	if (!(tun & TUN_F_CSUM))
		tun = 0;
	if (!(tun & (TUN_F_TSO4 | TUN_F_TSO6)))
		tun &= ~(u32)TUN_F_TSO_ECN;
	/* The kernel knows the two of UDP together alone. */
	if ((tun & (TUN_F_USO4 | TUN_F_USO6)) != (TUN_F_USO4 | TUN_F_USO6))
		tun &= ~(u32)(TUN_F_USO4 | TUN_F_USO6);
	err = net_set_offload(net->host, tun);
	if (!err)
		net->guest_offloads = offloads;
	return err;
}

/* ---- commands: 0, or -errno, which the driver sees as VIRTIO_NET_ERR
 * --------------------------------------- */

static int rx_mode(struct net_filter *f, u8 cmd, const struct vq_chain *chain)
{
	bool *const field[] = {
		[VIRTIO_NET_CTRL_RX_PROMISC] = &f->promisc, [VIRTIO_NET_CTRL_RX_ALLMULTI] = &f->allmulti,
		[VIRTIO_NET_CTRL_RX_ALLUNI] = &f->alluni,   [VIRTIO_NET_CTRL_RX_NOMULTI] = &f->nomulti,
		[VIRTIO_NET_CTRL_RX_NOUNI] = &f->nouni,	    [VIRTIO_NET_CTRL_RX_NOBCAST] = &f->nobcast,
	};
	u8 on;

	if (cmd >= ARRAY_SIZE(field) || chain_read(chain, 2, &on, 1) != 1)
		return -EINVAL;
	*field[cmd] = on;
	return 0;
}

/* One of the two lists of MAC_TABLE_SET at *offset; those that fit go into the table from `from` on. */
static int mac_list(struct net_filter *f, const struct vq_chain *chain, size_t *offset, u32 from, u32 *nr,
		    bool *many)
{
	u32 n;

	if (chain_read(chain, *offset, &n, sizeof(n)) != sizeof(n))
		return -EINVAL;
	n = le32toh(n);
	*offset += sizeof(n);
	if (n > (chain->out_len - *offset) / NET_MAC_LEN)
		return -EINVAL;
	*many = n > NET_FILTER_MACS - from;
	*nr = *many ? 0 : n;
	chain_read(chain, *offset, f->table[from], *nr * NET_MAC_LEN);
	*offset += (size_t)n * NET_MAC_LEN;
	return 0;
}

static int mac_table_set(struct net_filter *f, const struct vq_chain *chain)
{
	struct net_filter new = *f;
	size_t offset = 2;
	int err = mac_list(&new, chain, &offset, 0, &new.nr_uni, &new.many_uni);

	if (!err)
		err = mac_list(&new, chain, &offset, new.nr_uni, &new.nr_multi, &new.many_multi);
	if (!err)
		*f = new;
	return err;
}

static int mac_set(struct virtio_net *net, const struct vq_chain *chain)
{
	u8 mac[NET_MAC_LEN];

	if (chain_read(chain, 2, mac, sizeof(mac)) != sizeof(mac))
		return -EINVAL;
	/* The wire below a macvtap takes no other. */
	if (net->host->has_mac && memcmp(mac, net->host->mac, NET_MAC_LEN))
		return -EPERM;
	memcpy(net->filter.mac, mac, NET_MAC_LEN);
	pthread_mutex_lock(&net->vdev.isr_lock);
	memcpy(net->vdev.config + offsetof(struct virtio_net_config, mac), mac, NET_MAC_LEN);
	pthread_mutex_unlock(&net->vdev.isr_lock);
	return 0;
}

static int vlan(struct net_filter *f, u8 cmd, const struct vq_chain *chain)
{
	u16 vid;

	if (chain_read(chain, 2, &vid, sizeof(vid)) != sizeof(vid))
		return -EINVAL;
	vid = le16toh(vid);
	if (vid >= 4096 || cmd > VIRTIO_NET_CTRL_VLAN_DEL)
		return -EINVAL;
	if (cmd == VIRTIO_NET_CTRL_VLAN_ADD)
		f->vlan[vid / 8] |= (u8)(1 << vid % 8);
	else
		f->vlan[vid / 8] &= (u8) ~(1 << vid % 8);
	return 0;
}

static int set_pairs(struct virtio_net *net, const struct vq_chain *chain)
{
	u16 n;
	int err;

	if (chain_read(chain, 2, &n, sizeof(n)) != sizeof(n))
		return -EINVAL;
	n = le16toh(n);
	if (!n || n > net->nr_pairs)
		return -EINVAL;
	err = net_set_queues(net->host, n);
	if (err)
		return err;
	net->pairs_used = n;
	/* What came to a queue before its pair was in use. */
	for (u32 i = 1; i < n; i++)
		virtio_queue_again(net->pair[i]->rx);
	return 0;
}

static int set_offloads(struct virtio_net *net, const struct vq_chain *chain)
{
	u64 offloads;

	if (chain_read(chain, 2, &offloads, sizeof(offloads)) != sizeof(offloads))
		return -EINVAL;
	offloads = le64toh(offloads);
	if (offloads & ~(net->vdev.accepted & net_guest_offloads(net->host->offload)))
		return -EINVAL;
	return net_apply_offloads(net, offloads);
}

static int command(struct virtio_net *net, const struct vq_chain *chain, const u8 head[2])
{
	const struct virtio_device *vdev = &net->vdev;
	u8 cmd = head[1];

	switch (head[0]) {
	case VIRTIO_NET_CTRL_RX:
		if (!virtio_has(vdev, VIRTIO_NET_F_CTRL_RX))
			return -EINVAL;
		if (cmd > VIRTIO_NET_CTRL_RX_ALLMULTI && !virtio_has(vdev, VIRTIO_NET_F_CTRL_RX_EXTRA))
			return -EINVAL;
		return rx_mode(&net->filter, cmd, chain);
	case VIRTIO_NET_CTRL_MAC:
		if (cmd == VIRTIO_NET_CTRL_MAC_TABLE_SET && virtio_has(vdev, VIRTIO_NET_F_CTRL_RX))
			return mac_table_set(&net->filter, chain);
		if (cmd == VIRTIO_NET_CTRL_MAC_ADDR_SET && virtio_has(vdev, VIRTIO_NET_F_CTRL_MAC_ADDR))
			return mac_set(net, chain);
		return -EINVAL;
	case VIRTIO_NET_CTRL_VLAN:
		return virtio_has(vdev, VIRTIO_NET_F_CTRL_VLAN) ? vlan(&net->filter, cmd, chain) : -EINVAL;
	case VIRTIO_NET_CTRL_MQ:
		return cmd == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET && virtio_has(vdev, VIRTIO_NET_F_MQ)
			       ? set_pairs(net, chain)
			       : -EINVAL;
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return cmd == VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET &&
				       virtio_has(vdev, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)
			       ? set_offloads(net, chain)
			       : -EINVAL;
	default:
		return -EINVAL;
	}
}

void net_control(struct virtio_net *net, struct virtqueue *vq)
{
	struct iovec iov[NET_PIECES];
	struct vq_chain chain = {.iov = iov, .room = NET_PIECES};
	u32 left = vq->size;
	int n;

	do {
		vq_quiet(vq);
		while ((n = left ? vq_pop(vq, &chain) : 0) > 0) {
			u8 head[2], ack = VIRTIO_NET_OK;

			if (chain_read(&chain, 0, head, sizeof(head)) != sizeof(head) || !chain.in_len) {
				vq_push(vq, &chain, 0);
				virtio_needs_reset(&net->vdev, "a command that is none");
				left = 0;
				break;
			}
			pthread_mutex_lock(&net->filter_lock);
			if (command(net, &chain, head))
				ack = VIRTIO_NET_ERR;
			pthread_mutex_unlock(&net->filter_lock);
			chain_write(&chain, 0, &ack, sizeof(ack));
			vq_push(vq, &chain, sizeof(ack));
			left--;
		}
		vq_flush(vq);
	} while (n == 0 && left && vq_listen(vq));
	if (!left)
		virtio_queue_again(vq);
}

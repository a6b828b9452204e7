/* SPDX-License-Identifier: MIT */
/*
 * The network device (virtio 1.2, 5.1): what it offers, its configuration space, its pairs of queues and
 * their workers. Frames are net-queue.c's, the control queue is net-filter.c's, the host's side is
 * host/net.c's.
 *
 * Made, started, stopped and destroyed on the main thread.
 */
#include "net.h"
#include "vhost.h"
#include <endian.h>
#include <errno.h>
#include <lkvm/config.h>
#include <lkvm/kvm.h>
#include <lkvm/state.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static u16 config_status(const struct virtio_net *net)
{
	return htole16(atomic_load(&net->link_up) ? VIRTIO_NET_S_LINK_UP : 0);
}

void net_set_link(struct virtio_net *net, bool up)
{
	u16 status;

	up &= !atomic_load(&net->lost);
	atomic_store(&net->link_up, up);
	if (net->vhost)
		net_vhost_link(net, up);
	status = config_status(net);
	virtio_config_set(&net->vdev, offsetof(struct virtio_net_config, status), &status, sizeof(status));
}

static void on_lost(struct event_timer *timer)
{
	struct virtio_net *net = timer->arg;

	device_lock(&net->vdev.dev);
	net_set_link(net, false);
	device_unlock(&net->vdev.dev);
}

void net_lost(struct virtio_net *net, int err)
{
	const struct net *host = net->host;

	if (atomic_exchange(&net->lost, true))
		return;
	log_error("%s: %s%s%s: %s: the guest's link is down: %s", net->vdev.dev.name, host->ops->name,
		  host->ifname[0] ? " " : "", host->ifname, strerror(-err), host->ops->gone);
	/* A worker takes no dev->lock. */
	event_timer_set(&net->lost_timer, 1, 0);
}

static void on_watch(struct event_source *src, u32 events)
{
	struct virtio_net *net = src->arg;
	int err = net_check(net->host);

	if (err)
		net_lost(net, err);
}

/* ---- the driver -----------------------------------------------------------------------------------------
 */

static void net_notify(struct virtio_device *vdev, struct virtqueue *vq)
{
	struct virtio_net *net = net_of(vdev);
	struct net_pair *p;

	if (vq->index == net_ctrl_index(net)) {
		if (virtio_has(vdev, VIRTIO_NET_F_CTRL_VQ))
			net_control(net, vq);
		return;
	}
	/* The control queue's place, where the driver has no use for it; or the kernel's queues. */
	if (vq->index >= 2 * net->nr_pairs || net->vhost)
		return;
	p = net->pair[vq->index / 2];
	if (vq == p->rx)
		net_receive(p);
	else
		net_transmit(p);
}

static void net_ready(struct virtio_device *vdev)
{
	struct virtio_net *net = net_of(vdev);
	int err;

	pthread_mutex_lock(&net->filter_lock);
	net->filter.vlans_on = virtio_has(vdev, VIRTIO_NET_F_CTRL_VLAN);
	/* All that was agreed on, or what of it the driver left on in a state that was restored. */
	err = net_apply_offloads(net, net->guest_offloads & vdev->accepted);
	if (!err)
		err = net_set_queues(net->host, net->pairs_used);
	pthread_mutex_unlock(&net->filter_lock);
	if (!err && net->vhost)
		err = net_vhost_start(net);
	if (err)
		log_warn(vdev->dev.kvm->log, "%s: %s: %s", vdev->dev.name, net->host->ops->name,
			 strerror(-err));
}

static void net_drain(struct virtio_device *vdev, struct virtqueue *vq)
{
	struct virtio_net *net = net_of(vdev);

	if (net->vhost)
		net_vhost_drain(net, vq->index);
}

static void net_reset(struct virtio_device *vdev)
{
	struct virtio_net *net = net_of(vdev);

	for (u32 i = 0; i < net->nr_pairs; i++) {
		struct net_pair *p = net->pair[i];

		pthread_mutex_lock(&p->rx->lock);
		p->held = 0;
		p->want = 1;
		pthread_mutex_unlock(&p->rx->lock);
	}
	pthread_mutex_lock(&net->filter_lock);
	net_filter_reset(net);
	pthread_mutex_unlock(&net->filter_lock);
	pthread_mutex_lock(&vdev->isr_lock);
	memcpy(vdev->config + offsetof(struct virtio_net_config, mac), net->mac, NET_MAC_LEN);
	pthread_mutex_unlock(&vdev->isr_lock);
}

static void note_counts(struct state *s, const char *name, u32 index, const struct net_counts *c)
{
	char text[16];

	snprintf(text, sizeof(text), "%s%u", name, index);
	state_note(s, text, "%llu frames, %llu bytes, %llu dropped", (unsigned long long)c->frames,
		   (unsigned long long)c->bytes, (unsigned long long)c->dropped);
}

static void filter_state(struct net_filter *f, struct state *s)
{
	state_bytes(s, "mac", f->mac, sizeof(f->mac));
	state_bool(s, "promisc", &f->promisc);
	state_bool(s, "allmulti", &f->allmulti);
	state_bool(s, "alluni", &f->alluni);
	state_bool(s, "nomulti", &f->nomulti);
	state_bool(s, "nouni", &f->nouni);
	state_bool(s, "nobcast", &f->nobcast);
	state_bool(s, "many_uni", &f->many_uni);
	state_bool(s, "many_multi", &f->many_multi);
	state_u32(s, "nr_uni", &f->nr_uni);
	state_u32(s, "nr_multi", &f->nr_multi);
	state_bytes(s, "table", f->table, sizeof(f->table));
	state_bytes(s, "vlan", f->vlan, sizeof(f->vlan));
}

static void net_state(struct virtio_device *vdev, struct state *s)
{
	struct virtio_net *net = net_of(vdev);
	bool up = atomic_load(&net->link_up);
	u16 status;

	pthread_mutex_lock(&net->filter_lock);
	filter_state(&net->filter, s);
	state_u16(s, "pairs_used", &net->pairs_used);
	state_u64(s, "guest_offloads", &net->guest_offloads);
	state_bool(s, "link_up", &up);
	if (state_reading(s) && !s->err &&
	    (net->filter.nr_uni > NET_FILTER_MACS ||
	     net->filter.nr_multi > NET_FILTER_MACS - net->filter.nr_uni || !net->pairs_used ||
	     net->pairs_used > net->nr_pairs))
		state_fail(s, -EBADMSG, "filter", "no state that this device could have");
	if (state_reading(s) && s->err)
		net_filter_reset(net);
	if (state_reading(s) && !s->err) {
		atomic_store(&net->link_up, up && !atomic_load(&net->lost));
		status = config_status(net);
		memcpy(vdev->config + offsetof(struct virtio_net_config, status), &status, sizeof(status));
		memcpy(vdev->config + offsetof(struct virtio_net_config, mac), net->filter.mac, NET_MAC_LEN);
	}
	pthread_mutex_unlock(&net->filter_lock);
	/* Saving took the queues from the kernel. */
	if (!state_reading(s) && net->vhost && virtio_is_ready(vdev) && net_vhost_start(net))
		virtio_needs_reset(vdev, "vhost: queues that it no longer takes");
	if (!state_printing(s))
		return;
	state_note(s, "host", "%s %s%s", net->host->ops->name, net->host->ifname,
		   net->vhost ? ", vhost" : "");
	for (u32 i = 0; i < net->nr_pairs; i++) {
		struct net_counts rx, tx;

		pthread_mutex_lock(&net->pair[i]->rx->lock);
		rx = net->pair[i]->rx_count;
		pthread_mutex_unlock(&net->pair[i]->rx->lock);
		pthread_mutex_lock(&net->pair[i]->tx->lock);
		tx = net->pair[i]->tx_count;
		pthread_mutex_unlock(&net->pair[i]->tx->lock);
		note_counts(s, "rx", i, &rx);
		note_counts(s, "tx", i, &tx);
	}
}

static enum device_link net_link(struct device *dev, enum device_link want)
{
	struct virtio_net *net = net_of(virtio_of(dev));

	if (want != DEVICE_LINK_ASK)
		net_set_link(net, want == DEVICE_LINK_UP);
	return atomic_load(&net->link_up) ? DEVICE_LINK_UP : DEVICE_LINK_DOWN;
}

static const struct virtio_ops net_virtio_ops = {
	.id = VIRTIO_ID_NET,
	.class = 0x020000, /* Ethernet */
	.notify = net_notify,
	.ready = net_ready,
	.drain = net_drain,
	.reset = net_reset,
	.state = net_state,
};

/* ---- life -------------------------------------------------------------------------------------------------
 */

static int net_parse(const char *arg, void **params)
{
	struct net_config *cfg = NULL;
	int err;

	/* What a run file asked for may be taken back. */
	if (!strcmp(arg, "none") || !strcmp(arg, "mode=none"))
		return -ECANCELED;
	err = net_config_parse(arg, &cfg);
	*params = cfg;
	return err;
}

static u64 features_of(const struct virtio_net *net, const struct net_config *cfg)
{
	u64 f = VIRTIO_BIT(VIRTIO_NET_F_MAC) | VIRTIO_BIT(VIRTIO_NET_F_STATUS) |
		VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) |
		VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |
		VIRTIO_BIT(VIRTIO_NET_F_CTRL_VLAN) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);

	/* The kernel passes every frame. */
	if (net->vhost)
		f &= ~(VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |
		       VIRTIO_BIT(VIRTIO_NET_F_CTRL_VLAN));
	if (net->vhost && !(net_vhost_features(net) >> VIRTIO_NET_F_MRG_RXBUF & 1))
		f &= ~VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
	if (net->host->mtu >= NET_MIN_MTU)
		f |= VIRTIO_BIT(VIRTIO_NET_F_MTU);
	if (net->nr_pairs > 1)
		f |= VIRTIO_BIT(VIRTIO_NET_F_MQ);
	if (!net->host->vnet_hdr || cfg->no_offload)
		return f;
	/* A tap takes these from us whatever it is. */
	f |= VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) |
	     VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_HOST_ECN);
	if (net->host->offload & TUN_F_USO4)
		f |= VIRTIO_BIT(VIRTIO_NET_F_HOST_USO);
	if (net->host->offload)
		f |= net_guest_offloads(net->host->offload) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	return f;
}

static int make_pair(struct virtio_net *net, u32 i)
{
	struct virtio_device *vdev = &net->vdev;
	struct net_pair *p = calloc(1, sizeof(*p));
	char name[24];
	int err;

	if (!p)
		return -ENOMEM;
	net->pair[i] = p;
	p->net = net;
	p->rx = &vdev->queue[2 * i];
	p->tx = &vdev->queue[2 * i + 1];
	p->host = &net->host->queue[i];
	p->want = 1;
	p->src = (struct event_source){.fd = p->host->fd, .fn = net_host_ready, .arg = p};
	snprintf(name, sizeof(name), "%.8s-%u", vdev->dev.name, i);
	/* The third queue may turn out to be the control queue, which is the main loop's. */
	for (u32 q = 2 * i; net->vhost && q < 2 * i + 2; q++)
		if (q != 2)
			vdev->source[q].loop = NULL;
	if (net->vhost)
		return 0;
	err = worker_init(&p->worker, name);
	if (err) {
		log_error("%s: a worker for queue %u: %s", vdev->dev.name, i, strerror(-err));
		return err;
	}
	vdev->source[2 * i].loop = &p->worker.loop;
	vdev->source[2 * i + 1].loop = &p->worker.loop;
	return 0;
}

static int net_create(struct device *dev, const void *params)
{
	struct virtio_net *net = net_of(virtio_of(dev));
	const struct net_config *cfg = params;
	struct virtio_net_config config = {0};
	struct virtio_setup setup = {
		.ops = &net_virtio_ops,
		.queue_size = NET_QUEUE_SIZE,
		.config = &config,
		.config_size = offsetof(struct virtio_net_config, mtu) + sizeof(config.mtu),
	};
	u32 index = (u32)strtoul(dev->name + strlen(dev->ops->name), NULL, 10);
	int err = net_open(&net->host, cfg, dev->name);

	if (err)
		return err;
	net->nr_pairs = net->host->nr_queues;
	if (net->host->has_mac)
		memcpy(net->mac, net->host->mac, NET_MAC_LEN);
	else if (cfg->mac_given)
		memcpy(net->mac, cfg->mac, NET_MAC_LEN);
	else
		net_mac_of(net->mac, dev->kvm->cfg->name, index);
	pthread_mutex_init(&net->filter_lock, NULL);
	atomic_store(&net->link_up, true);
	net_filter_reset(net);
	err = event_timer_init(&dev->kvm->loop, &net->lost_timer, on_lost, net);
	if (err)
		return err;

	memcpy(config.mac, net->mac, NET_MAC_LEN);
	config.status = config_status(net);
	config.max_virtqueue_pairs = htole16((u16)net->nr_pairs);
	config.mtu = htole16((u16)net->host->mtu);
	err = net_vhost_create(net, cfg->vhost);
	if (err)
		return err;
	if (net->vhost)
		setup.without = VHOST_WITHOUT;
	setup.features = features_of(net, cfg);
	setup.nr_queues = 2 * net->nr_pairs + 1;
	err = virtio_device_create(&net->vdev, &setup);
	for (u32 i = 0; i < net->nr_pairs && !err; i++)
		err = make_pair(net, i);
	if (!err && net->vhost)
		err = net_vhost_rings(net);
	return err;
}

static int net_start(struct device *dev)
{
	struct virtio_net *net = net_of(virtio_of(dev));
	int err = virtio_device_start(dev);

	if (!err && net->host->watch >= 0) {
		net->watch = (struct event_source){.fd = net->host->watch, .fn = on_watch, .arg = net};
		err = event_add(&dev->kvm->loop, &net->watch, EPOLLIN);
	}
	if (net->vhost)
		return err ? err : net_vhost_listen(net);
	for (u32 i = 0; i < net->nr_pairs && !err; i++) {
		struct net_pair *p = net->pair[i];

		err = event_add(&p->worker.loop, &p->src, EPOLLIN | EPOLLOUT | EPOLLET);
		if (!err)
			err = worker_start(&p->worker);
	}
	return err;
}

static void net_stop(struct device *dev)
{
	struct virtio_net *net = net_of(virtio_of(dev));

	event_del(&dev->kvm->loop, &net->watch);
	/* What the vCPUs left running. */
	for (u32 i = 0; net->vhost && i < 2 * net->nr_pairs; i++)
		net_vhost_drain(net, i);
	for (u32 i = 0; !net->vhost && i < net->nr_pairs; i++) {
		worker_stop(&net->pair[i]->worker);
		event_del(&net->pair[i]->worker.loop, &net->pair[i]->src);
	}
	virtio_device_stop(dev);
}

static void net_destroy(struct device *dev)
{
	struct virtio_net *net = net_of(virtio_of(dev));

	/* create() came no further. */
	if (!net->host)
		return;
	for (u32 i = 0; i < net->nr_pairs; i++) {
		if (net->pair[i])
			worker_destroy(&net->pair[i]->worker);
		free(net->pair[i]);
	}
	net_vhost_destroy(net);
	event_timer_destroy(&dev->kvm->loop, &net->lost_timer);
	virtio_device_destroy(dev);
	pthread_mutex_destroy(&net->filter_lock);
	net_close(net->host);
}

const struct device_ops virtio_net_ops = {
	.name = "net",
	.size = sizeof(struct virtio_net),
	.option = {.name = "network",
		   .letter = 'n',
		   .kind = OPT_STRING,
		   .flags = OPT_REPEAT,
		   .arg = "mode=user|tap|macvtap|none,...",
		   .help = "a network card; lkvm-run(1) has the keys"},
	.parse = net_parse,
	.create = net_create,
	.start = net_start,
	.stop = net_stop,
	.reset = virtio_device_reset,
	.link = net_link,
	.describe = virtio_device_describe,
	.describe_acpi = virtio_device_describe_acpi,
	.state = virtio_device_state,
	.destroy = net_destroy,
};

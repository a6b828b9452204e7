/* SPDX-License-Identifier: MIT */
/*
 * vhost-net: the kernel moves the frames between a pair's rings and the tap; what is left here is the control
 * queue. A kernel device (/dev/vhost-net) a pair, whose ring 0 is the receive queue and ring 1 the transmit
 * queue, bound to the tap by VHOST_NET_SET_BACKEND.
 *
 * It passes each frame that comes, so the device offers no filters. With dev->lock held, or while the VM is
 * built.
 */
#include "net.h"
#include "vhost.h"
#include <errno.h>
#include <lkvm/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define NODE "/dev/vhost-net"

struct vhost_net {
	struct vhost pair[NET_MAX_QUEUES];
	struct vhost_ring ring[2 * NET_MAX_QUEUES];
};

static void say(const struct virtio_net *net, int err)
{
	const char *what = strerror(-err);

	if (err == -ENOENT || err == -ENODEV)
		what = "is not there: modprobe vhost_net";
	else if (err == -EACCES || err == -EPERM)
		what = "no permission: become a member of its group, or take vhost=off";
	log_error("%s: " NODE ": %s", net->vdev.dev.name, what);
}

int net_vhost_create(struct virtio_net *net, u32 how)
{
	struct vhost_net *v;
	int err = 0;

	if (how == NET_VHOST_OFF || net->host->ops->no_vhost || !net->host->vnet_hdr) {
		if (how != NET_VHOST_ON)
			return 0;
		log_error("%s: vhost=on takes a tap with a virtio header (IFF_VNET_HDR)", net->vdev.dev.name);
		return -EINVAL;
	}
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (u32 i = 0; i < NET_MAX_QUEUES; i++)
		v->pair[i].fd = -1;
	net->vhost = v;
	for (u32 i = 0; i < net->nr_pairs && !err; i++)
		err = vhost_open(&v->pair[i], &net->vdev, NODE);
	if (!err)
		return 0;
	net_vhost_destroy(net);
	if (how == NET_VHOST_AUTO)
		return 0;
	say(net, err);
	return err;
}

int net_vhost_rings(struct virtio_net *net)
{
	int err = 0;

	for (u32 i = 0; i < 2 * net->nr_pairs && !err; i++)
		err = vhost_ring_create(&net->vhost->ring[i], &net->vhost->pair[i / 2], &net->vdev.queue[i],
					i % 2);
	if (err)
		log_error("%s: eventfds for vhost: %s", net->vdev.dev.name, strerror(-err));
	return err;
}

u64 net_vhost_features(const struct virtio_net *net)
{
	return net->vhost->pair[0].features;
}

void net_vhost_destroy(struct virtio_net *net)
{
	struct vhost_net *v = net->vhost;

	if (!v)
		return;
	for (u32 i = 0; i < 2 * NET_MAX_QUEUES; i++)
		vhost_ring_destroy(&v->ring[i]);
	for (u32 i = 0; i < NET_MAX_QUEUES; i++)
		vhost_close(&v->pair[i]);
	free(v);
	net->vhost = NULL;
}

int net_vhost_listen(struct virtio_net *net)
{
	int err = 0;

	for (u32 i = 0; i < 2 * net->nr_pairs && !err; i++)
		err = vhost_ring_listen(&net->vhost->ring[i]);
	return err;
}

/* fd -1: the ring has no backend, and the kernel is done with it. */
static int set_backend(const struct vhost_ring *ring, int fd)
{
	struct vhost_vring_file file = {.index = ring->index, .fd = fd};

	return ioctl(ring->vhost->fd, VHOST_NET_SET_BACKEND, &file) < 0 ? -errno : 0;
}

static int start_pair(struct virtio_net *net, u32 i)
{
	struct vhost_ring *ring = &net->vhost->ring[2 * i];
	int err = vhost_set_up(&net->vhost->pair[i]);

	for (u32 k = 0; k < 2 && !err; k++)
		err = vhost_ring_start(&ring[k]);
	for (u32 k = 0; k < 2 && !err; k++)
		err = set_backend(&ring[k], net->host->queue[i].fd);
	return err;
}

int net_vhost_start(struct virtio_net *net)
{
	int err = 0;

	for (u32 i = 0; i < net->nr_pairs && !err; i++)
		/* Without MQ the third queue is for control. */
		if (net->vdev.queue[2 * i].ready && net->vdev.queue[2 * i + 1].ready &&
		    net_ctrl_index(net) > 2 * i && !net->vhost->ring[2 * i].live)
			err = start_pair(net, i);
	for (u32 i = 0; err && i < 2 * net->nr_pairs; i++)
		net_vhost_drain(net, i);
	return err;
}

void net_vhost_drain(struct virtio_net *net, u32 index)
{
	struct vhost_ring *ring = &net->vhost->ring[index];

	if (index >= 2 * net->nr_pairs || !ring->live)
		return;
	/* It cannot fail but for a ring that is not there. */
	if (set_backend(ring, VHOST_FILE_UNBIND))
		log_warn(net->vdev.dev.kvm->log, "%s: vhost keeps queue %u: %m", net->vdev.dev.name, index);
	vhost_ring_stop(ring);
}

void net_vhost_link(struct virtio_net *net, bool up)
{
	for (u32 i = 0; i < 2 * net->nr_pairs; i++)
		if (net->vhost->ring[i].live &&
		    set_backend(&net->vhost->ring[i], up ? net->host->queue[i / 2].fd : -1))
			log_warn(net->vdev.dev.kvm->log, "%s: queue %u: %m", net->vdev.dev.name, i);
}

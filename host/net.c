/* SPDX-License-Identifier: MIT */
/*
 * Network backends: choosing one, opening and closing it. Main thread; see lkvm/net.h.
 */
#include "net-priv.h"
#include <errno.h>
#include <lkvm/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void net_mac_of(u8 mac[NET_MAC_LEN], const char *vm, u32 index)
{
	u64 h = 0xcbf29ce484222325; /* FNV-1a */

	for (; *vm; vm++)
		h = (h ^ (u8)*vm) * 0x100000001b3;
	h = (h ^ (index + 1)) * 0x100000001b3;
	h ^= h >> 32;
	for (u32 i = 0; i < NET_MAC_LEN; i++)
		mac[i] = (u8)(h >> 8 * i);
	mac[0] = (u8)((mac[0] & 0xfc) | 0x02); /* locally administered, one station */
}

/* The ops of mode=user; NULL after one logged line. */
static const struct net_ops *user_ops(const struct net_config *cfg, const char *who)
{
	char path[256];

	if (cfg->backend != NET_BACKEND_PASST && net_slirp_present())
		return &net_slirp_ops;
	if (cfg->backend == NET_BACKEND_SLIRP) {
		log_error(
			"%s: this lkvm has no libslirp: install libslirp0, build with libslirp-dev, or take "
			"backend=passt",
			who);
		return NULL;
	}
	if (net_passt_find(path, sizeof(path)))
		return &net_passt_ops;
	if (cfg->backend == NET_BACKEND_PASST)
		log_error("%s: there is no program passt in PATH: apt-get install passt", who);
	else
		log_error(
			"%s: mode=user takes libslirp (apt-get install libslirp0) or passt (apt-get install passt), "
			"and neither is here: there is mode=tap only",
			who);
	return NULL;
}

int net_open(struct net **out, const struct net_config *cfg, const char *who)
{
	const struct net_ops *ops;
	struct net *net;
	int err;

	switch (cfg->mode) {
	case NET_TAP:
		ops = &net_tap_ops;
		break;
	case NET_MACVTAP:
		ops = &net_macvtap_ops;
		break;
	default:
		ops = user_ops(cfg, who);
		break;
	}
	if (!ops)
		return -ENOENT;
	net = calloc(1, sizeof(*net));
	if (!net)
		return -ENOMEM;
	snprintf(net->who, sizeof(net->who), "%s", who);
	net->ops = ops;
	net->watch = -1;
	for (u32 i = 0; i < NET_MAX_QUEUES; i++)
		net->queue[i] = (struct net_queue){.net = net, .fd = -1};
	err = ops->open(net, cfg);
	if (err)
		net_close(net);
	else
		*out = net;
	return err;
}

void net_close(struct net *net)
{
	if (!net)
		return;
	net->ops->close(net);
	free(net);
}

int net_set_offload(struct net *net, u32 offload)
{
	if (offload & ~net->offload)
		return -EINVAL;
	return net->ops->set_offload ? net->ops->set_offload(net, offload) : 0;
}

int net_set_queues(struct net *net, u32 n)
{
	if (!n || n > net->nr_queues)
		return -EINVAL;
	return net->ops->set_queues ? net->ops->set_queues(net, n) : 0;
}

int net_check(struct net *net)
{
	return net->ops->check ? net->ops->check(net) : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Network by a tap or a macvtap (Linux Documentation/networking/tuntap.rst): an fd a queue, a read or a write
 * a frame, straight from and into guest memory, checksums and segmentation left to the other side where both
 * can.
 *
 * A tap exists already (tap=), is made here and goes when we go (needs CAP_NET_ADMIN), or was opened by
 * whoever started us (fd=). A macvtap always exists, and is opened by its own node, /dev/tapN of interface
 * index N. Its frames go to the wire below it: guest and host do not hear each other, and the guest has to
 * use its address.
 *
 * Opened and closed on the main thread, before and after the VM runs; send and recv are the queue's thread's.
 */
#include "net-priv.h"
#include <errno.h>
#include <fcntl.h>
#include <lkvm/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TUN_NODE  "/dev/net/tun"
#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

struct tap {
	const struct net_config *cfg;
	u32 attached; /* queues that take part */
	bool multi_queue;
	bool scripted; /* the up script ran: the down script's turn comes */
};

/* ---- what went wrong, and whom to ask -------------------------------------------------------------- */

/* The group's name by /etc/group; getgrgid() would bring shared libraries into the static lkvm. */
static bool group_name(gid_t gid, char *name, size_t room)
{
	FILE *f = fopen("/etc/group", "re");
	char line[1024];
	bool found = false;

	/* NAME:PASSWORD:ID:MEMBERS. sscanf() would bring floating point into the static lkvm, 100 KiB of it.
	 */
	while (f && !found && fgets(line, sizeof(line), f)) {
		size_t len = strcspn(line, ":");
		const char *id = line[len] ? strchr(line + len + 1, ':') : NULL;

		found = id && len < room && strtoul(id + 1, NULL, 10) == gid;
		if (found)
			snprintf(name, room, "%.*s", (int)len, line);
	}
	if (f)
		fclose(f);
	return found;
}

static void say_node(const struct net *net, const char *node, int err)
{
	struct stat st;
	char group[64];

	switch (err) {
	case -ENOENT:
		log_error("%s: %s: is not there: %s", net->who, node,
			  strcmp(node, TUN_NODE)
				  ? "udev makes it; in a container let it in, with mknod by the numbers in "
				    "/sys/class/net/*/tap*/dev"
				  : "modprobe tun, and in a container let the node in");
		break;
	case -ENODEV:
	case -ENXIO:
		log_error("%s: %s: the kernel has no driver for it: modprobe %s", net->who, node,
			  strcmp(node, TUN_NODE) ? "macvtap" : "tun");
		break;
	case -EACCES:
	case -EPERM:
		if (stat(node, &st) < 0) {
			log_error("%s: %s: %s", net->who, node, strerror(-err));
			break;
		}
		if (st.st_mode & S_IWGRP && st.st_gid && group_name(st.st_gid, group, sizeof(group)))
			log_error("%s: %s: may be used by group %s only: become a member of it", net->who,
				  node, group);
		else
			log_error("%s: %s: may be used by its owner (user %u) only: chmod or chown it",
				  net->who, node, st.st_uid);
		break;
	default:
		log_error("%s: %s: %s", net->who, node, strerror(-err));
		break;
	}
}

/* A number of /sys/class/net/NAME/KEY; -1: none. */
static long link_number(const char *ifname, const char *key)
{
	char path[96], text[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", ifname, key);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = 0;
	return strtol(text, NULL, 0);
}

/* TUNSETIFF failed. */
static void say_attach(const struct net *net, const char *ifname, bool exists, int err)
{
	long owner = exists ? link_number(ifname, "owner") : -1,
	     group = exists ? link_number(ifname, "group") : -1;
	u32 queues = (u32)((const struct tap *)net->priv)->cfg->queues;

	if (err == -EPERM && !exists)
		log_error(
			"%s: making a tap takes CAP_NET_ADMIN: have one made (ip tuntap add dev tap0 mode tap user "
			"%u) and give tap=tap0, or take mode=user",
			net->who, geteuid());
	else if (err == -EPERM && (owner >= 0 || group >= 0))
		log_error("%s: tap %s: belongs to %s %ld: be that, or have CAP_NET_ADMIN", net->who, ifname,
			  owner >= 0 ? "user" : "group", owner >= 0 ? owner : group);
	else if (err == -EPERM)
		log_error(
			"%s: tap %s: belongs to another user, so it takes CAP_NET_ADMIN: ip tuntap add dev %s mode tap user %u",
			net->who, ifname, ifname, geteuid());
	else if (err == -EBUSY)
		log_error("%s: tap %s: is in use by another process", net->who, ifname);
	else if (err == -EINVAL && queues > 1)
		log_error(
			"%s: interface %s: is no tap, or one for a single queue: ip tuntap add dev %s mode tap "
			"multi_queue, or leave queues= out",
			net->who, ifname, ifname);
	else if (err == -EINVAL)
		log_error("%s: interface %s: is no tap", net->who, ifname);
	else if (err == -E2BIG || err == -ENFILE)
		log_error("%s: tap %s: takes no more than the queues it has: give a smaller queues=",
			  net->who, ifname);
	else
		log_error("%s: tap %s: %s", net->who, ifname, strerror(-err));
}

/* ---- opening ------------------------------------------------------------------------------------------ */

static int open_node(const struct net *net, const char *node)
{
	int fd = open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return fd;
	fd = -errno;
	say_node(net, node, fd);
	return fd;
}

static int attach(struct net *net, int fd, const char *ifname)
{
	struct tap *tap = net->priv;
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	ifr.ifr_flags = (short)(TAP_FLAGS | (tap->multi_queue ? IFF_MULTI_QUEUE : 0));
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	snprintf(net->ifname, sizeof(net->ifname), "%s", ifr.ifr_name);
	return 0;
}

/* Opens queue i of the tap `ifname` ("" or with %d in it: one that is to be made). */
static int open_queue(struct net *net, u32 i, const char *ifname, bool exists)
{
	struct tap *tap = net->priv;
	int fd = open_node(net, TUN_NODE), err;

	if (fd < 0)
		return fd;
	err = attach(net, fd, ifname);
	if (err == -EINVAL && !i && exists && !tap->multi_queue) {
		/* One made for several queues is to be opened so even for one. */
		tap->multi_queue = true;
		err = attach(net, fd, ifname);
	}
	if (err) {
		say_attach(net, ifname, exists, err);
		close(fd);
		return err;
	}
	net->queue[i].fd = fd;
	net->nr_queues = i + 1;
	return 0;
}

static int open_tap(struct net *net, const struct net_config *cfg)
{
	struct tap *tap = net->priv;
	const char *ifname = cfg->tap ?: cfg->ifname ?: "lkvm%d";
	int err = 0;

	if (cfg->tap && !if_nametoindex(cfg->tap)) {
		log_error(
			"%s: tap %s: there is no such interface: ip tuntap add dev %s mode tap user %u, or leave "
			"tap= out to have one made",
			net->who, cfg->tap, cfg->tap, geteuid());
		return -ENODEV;
	}
	if (!cfg->tap && cfg->ifname && if_nametoindex(cfg->ifname)) {
		log_error("%s: interface %s: exists already: give tap=%s to use it", net->who, cfg->ifname,
			  cfg->ifname);
		return -EEXIST;
	}
	tap->multi_queue = cfg->queues > 1;
	for (u32 i = 0; i < cfg->queues && !err; i++)
		err = open_queue(net, i, i ? net->ifname : ifname, cfg->tap || i);
	return err;
}

static int open_macvtap(struct net *net, const struct net_config *cfg)
{
	char node[64];
	u32 index = if_nametoindex(cfg->ifname);
	struct tap *tap = net->priv;
	int err = 0;

	if (!index) {
		log_error(
			"%s: macvtap %s: there is no such interface: ip link add link eth0 name %s type macvtap",
			net->who, cfg->ifname, cfg->ifname);
		return -ENODEV;
	}
	/* Where /sys is that of another network namespace the index says so, and the node will tell. */
	snprintf(node, sizeof(node), "/sys/class/net/%.15s/tap%u", cfg->ifname, index);
	if (link_number(cfg->ifname, "ifindex") == (long)index && access(node, F_OK) < 0) {
		log_error("%s: interface %s: is no macvtap", net->who, cfg->ifname);
		return -ENODEV;
	}
	snprintf(node, sizeof(node), "/dev/tap%u", index);
	tap->multi_queue = true;
	for (u32 i = 0; i < cfg->queues && !err; i++) {
		int fd = open_node(net, node);

		if (fd < 0)
			return fd;
		net->queue[i].fd = fd;
		net->nr_queues = i + 1;
		err = attach(net, fd, cfg->ifname);
		if (err)
			say_attach(net, cfg->ifname, true, err);
	}
	snprintf(net->ifname, sizeof(net->ifname), "%s", cfg->ifname);
	return err;
}

/* fd=: they are what their opener made of them. */
static int adopt(struct net *net, const struct net_config *cfg)
{
	for (u32 i = 0; i < cfg->nr_fds; i++) {
		struct ifreq ifr = {0};
		int fd = cfg->fd[i], flags = fcntl(fd, F_GETFL);

		if (flags < 0) {
			log_error("%s: fd %d: is not open", net->who, fd);
			return -EBADF;
		}
		if (ioctl(fd, TUNGETIFF, &ifr) < 0 || !(ifr.ifr_flags & IFF_TAP) ||
		    !(ifr.ifr_flags & IFF_NO_PI)) {
			log_error("%s: fd %d: is no tap set up with IFF_TAP and IFF_NO_PI", net->who, fd);
			return -EINVAL;
		}
		/* One of our own, for the VM may be built again (--on-reboot=restart). */
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
			return -errno;
		net->queue[i].fd = fd;
		net->nr_queues = i + 1;
		net->vnet_hdr = ifr.ifr_flags & IFF_VNET_HDR && (!i || net->vnet_hdr);
		snprintf(net->ifname, sizeof(net->ifname), "%s", ifr.ifr_name);
	}
	return 0;
}

/* The header's size and order, and what the kernel lets itself be told of offloads. */
static int set_up_queue(struct net *net, int fd)
{
	int size = NET_HDR_LEN, little = 1;

	if (!net->vnet_hdr)
		return 0;
	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0) {
		log_error("%s: %s: this kernel knows no virtio header of 12 bytes: %m", net->who,
			  net->ifname);
		return -errno;
	}
	/* Only a big-endian host needs to be told. */
	if (ioctl(fd, TUNSETVNETLE, &little) < 0 && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) {
		log_error("%s: %s: this kernel knows no little-endian virtio header: %m", net->who,
			  net->ifname);
		return -errno;
	}
	return 0;
}

static void probe_offloads(struct net *net)
{
	static const u32 sets[] = {
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
		TUN_F_CSUM,
	};

	if (!net->vnet_hdr)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(sets) && !net->offload; i++)
		if (ioctl(net->queue[0].fd, TUNSETOFFLOAD, sets[i]) == 0)
			net->offload = sets[i];
	ioctl(net->queue[0].fd, TUNSETOFFLOAD, 0);
}

static int set_up_link(struct net *net, const struct net_config *cfg)
{
	struct tap *tap = net->priv;
	bool made = cfg->mode == NET_TAP && !cfg->tap && !cfg->nr_fds;
	int err;

	if (cfg->mtu && made) {
		err = net_link_set_mtu(net->ifname, (u32)cfg->mtu);
		if (err) {
			log_error("%s: tap %s: mtu=%llu: %s", net->who, net->ifname,
				  (unsigned long long)cfg->mtu, strerror(-err));
			return err;
		}
	}
	/* Not visible when the tap came as an fd out of another network namespace: then it is not known. */
	if (net_link_get_mtu(net->ifname, &net->mtu))
		net->mtu = 0;
	if (cfg->mtu && net->mtu && cfg->mtu > net->mtu) {
		log_error("%s: mtu=%llu: %s has %u: raise it there first", net->who,
			  (unsigned long long)cfg->mtu, net->ifname, net->mtu);
		return -EINVAL;
	}
	if (cfg->mtu)
		net->mtu = (u32)cfg->mtu;
	if (cfg->script) {
		err = net_script_run(net->who, cfg->script, net->ifname);
		if (err)
			return err;
		tap->scripted = true;
	}
	if (!made)
		return 0;
	err = net_link_up(net->ifname);
	if (err)
		log_error("%s: tap %s: cannot be brought up: %s", net->who, net->ifname, strerror(-err));
	return err;
}

static int tap_start(struct net *net, const struct net_config *cfg,
		     int (*open_link)(struct net *, const struct net_config *))
{
	struct tap *tap = calloc(1, sizeof(*tap));
	int err;

	if (!tap)
		return -ENOMEM;
	net->priv = tap;
	tap->cfg = cfg;
	net->vnet_hdr = true;
	err = cfg->nr_fds ? adopt(net, cfg) : open_link(net, cfg);
	for (u32 i = 0; i < net->nr_queues && !err; i++)
		err = set_up_queue(net, net->queue[i].fd);
	if (err)
		return err;
	tap->attached = net->nr_queues;
	/* Without it, only who sends and receives hears of an interface that goes. */
	net->watch = net_link_watch();
	if (!cfg->no_offload)
		probe_offloads(net);
	return set_up_link(net, cfg);
}

static int tap_open(struct net *net, const struct net_config *cfg)
{
	return tap_start(net, cfg, open_tap);
}

static int macvtap_open(struct net *net, const struct net_config *cfg)
{
	int err = tap_start(net, cfg, open_macvtap);

	if (err)
		return err;
	net->has_mac = net_link_get_mac(net->ifname, net->mac) == 0;
	if (net->has_mac && cfg->mac_given && memcmp(cfg->mac, net->mac, NET_MAC_LEN)) {
		log_error(
			"%s: macvtap %s: has the address %02x:%02x:%02x:%02x:%02x:%02x, and lets no other through: "
			"leave mac= out, or ip link set it there",
			net->who, net->ifname, net->mac[0], net->mac[1], net->mac[2], net->mac[3],
			net->mac[4], net->mac[5]);
		return -EINVAL;
	}
	return 0;
}

static void tap_close(struct net *net)
{
	struct tap *tap = net->priv;

	if (tap && tap->scripted && tap->cfg->downscript)
		(void)!net_script_run(net->who, tap->cfg->downscript, net->ifname);
	for (u32 i = 0; i < net->nr_queues; i++)
		close(net->queue[i].fd);
	if (net->watch >= 0)
		close(net->watch);
	free(tap);
}

/* ---- frames ------------------------------------------------------------------------------------------- */

static ssize_t tap_send(struct net_queue *q, const struct iovec *iov, u32 n)
{
	ssize_t len = writev(q->fd, iov, (int)n);

	return len < 0 ? -errno : len;
}

static ssize_t tap_recv(struct net_queue *q, const struct iovec *iov, u32 n)
{
	ssize_t len = readv(q->fd, iov, (int)n);

	return len < 0 ? -errno : len;
}

static int tap_set_offload(struct net *net, u32 offload)
{
	/* It is the interface's, not the queue's. */
	return ioctl(net->queue[0].fd, TUNSETOFFLOAD, offload) < 0 ? -errno : 0;
}

static int tap_set_queues(struct net *net, u32 n)
{
	struct tap *tap = net->priv;

	while (tap->attached != n) {
		bool attach_it = tap->attached < n;
		struct ifreq ifr = {.ifr_flags = attach_it ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};
		u32 i = attach_it ? tap->attached : tap->attached - 1;

		if (ioctl(net->queue[i].fd, TUNSETQUEUE, &ifr) < 0)
			return -errno;
		tap->attached = attach_it ? i + 1 : i;
	}
	return 0;
}

/*
 * The fd itself is asked, whatever the news was: a DELLINK is said also of an interface that only moved to
 * another network namespace. A tap's fd has no file any more (EBADFD), a macvtap's no link (ENOLINK).
 */
static int tap_check(struct net *net)
{
	struct ifreq ifr = {0};

	net_link_drain(net->watch);
	return ioctl(net->queue[0].fd, TUNGETIFF, &ifr) < 0 ? -errno : 0;
}

const struct net_ops net_tap_ops = {
	.name = "tap",
	.gone = "the interface was deleted: make it again, and start the VM again",
	.open = tap_open,
	.send = tap_send,
	.recv = tap_recv,
	.set_offload = tap_set_offload,
	.set_queues = tap_set_queues,
	.check = tap_check,
	.close = tap_close,
};

const struct net_ops net_macvtap_ops = {
	.name = "macvtap",
	.gone = "the interface was deleted: make it again, and start the VM again",
	.open = macvtap_open,
	.send = tap_send,
	.recv = tap_recv,
	.set_offload = tap_set_offload,
	.set_queues = tap_set_queues,
	.check = tap_check,
	.close = tap_close,
};

/* SPDX-License-Identifier: MIT */
/*
 * The host's side of a network device: a tap, a macvtap, or a user-mode network stack. Knows nothing of VMs;
 * sees fds and iovecs (host/net.c, host/net-*.c).
 *
 *	net_config_parse() -> net_open() -> net_set_queues(), net_set_offload(), net_send(), net_recv() ->
 *net_close()
 *
 * Threads: each queue belongs to one thread, which polls its fd and alone calls send and recv on it.
 *Everything else is called by one thread at a time, and may run beside send and recv.
 */
#ifndef LKVM_NET_H
#define LKVM_NET_H

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <lkvm/types.h>
#include <net/if.h>
#include <sys/uio.h>

#define NET_MAC_LEN	 6
#define NET_MAX_QUEUES	 32
#define NET_MAX_FORWARDS 32
#define NET_HDR_LEN	 12 /* struct virtio_net_hdr_v1 */
#define NET_ETH_HLEN	 14
#define NET_MIN_MTU	 68 /* RFC 791; what the kernel takes for an Ethernet device */
#define NET_MAX_MTU	 65535
#define NET_MAX_FRAME	 65549 /* with segmentation offload: 65535 and the Ethernet header */

/* Newer than some kernel headers. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum net_mode { NET_USER, NET_TAP, NET_MACVTAP };
enum net_backend { NET_BACKEND_AUTO, NET_BACKEND_SLIRP, NET_BACKEND_PASST };
enum net_vhost { NET_VHOST_AUTO, NET_VHOST_ON, NET_VHOST_OFF };

/* A port of the host's that leads to one of the guest's. Addresses as in struct in_addr; 0: any, the guest.
 */
struct net_forward {
	bool udp;
	u32 host_addr, guest_addr;
	u16 host_port, guest_port;
};

/* What one --network asked for. One allocation: strings point into `text`. */
struct net_config {
	u32 mode;		/* enum net_mode */
	u32 backend;		/* enum net_backend */
	u32 vhost;		/* enum net_vhost */
	const char *tap;	/* an interface that exists; NULL: one is made */
	const char *ifname;	/* of the one to be made, or of the macvtap; NULL: the kernel chooses */
	const char *script;	/* run with the interface's name when it is there, or NULL */
	const char *downscript; /* and before it goes */
	u64 queues;		/* pairs */
	u64 mtu;		/* 0: the host's */
	bool no_offload;	/* no checksums and no segments left to the other side */
	bool restricted;	/* user mode: no way out but forwards */
	bool mac_given;
	u8 mac[NET_MAC_LEN];
	u32 nr_fds; /* taps that are open already */
	int fd[NET_MAX_QUEUES];
	u32 nr_forwards;
	struct net_forward forward[NET_MAX_FORWARDS];
	char text[];
};

struct net;
struct net_queue {
	struct net *net;
	int fd; /* to poll: EPOLLIN when there is something to receive, EPOLLOUT when send would not be
		   -EAGAIN */
	void *priv;
};

struct net_ops {
	const char *name; /* "tap" */
	const char *gone; /* what to do about a link for which net_is_gone() */
	bool no_vhost;	  /* its fds are nothing that the kernel's vhost-net knows */
	int (*open)(struct net *net, const struct net_config *cfg);
	ssize_t (*send)(struct net_queue *q, const struct iovec *iov, u32 n);
	ssize_t (*recv)(struct net_queue *q, const struct iovec *iov, u32 n);
	void (*writable)(struct net_queue *q);		  /* NULL: nothing is ever held back */
	int (*set_offload)(struct net *net, u32 offload); /* NULL: there is none */
	int (*set_queues)(struct net *net, u32 n);	  /* NULL: there is one */
	int (*check)(struct net *net);			  /* NULL where there is no `watch` */
	void (*close)(struct net *net);			  /* also after an open() that failed */
};

struct net {
	const struct net_ops *ops;
	void *priv;
	char who[24];	       /* whose it is, for messages: "net0" */
	char ifname[IFNAMSIZ]; /* of the interface, or "" */
	u32 nr_queues;
	struct net_queue queue[NET_MAX_QUEUES];
	int watch; /* to poll: at EPOLLIN, net_check() may have something to tell; -1: nothing to watch */
	/*
	 * Each frame begins with a struct virtio_net_hdr_v1 (12 bytes) in both directions; of a received one
	 * num_buffers is not set. Else frames are bare.
	 */
	bool vnet_hdr;
	u32 offload;  /* TUN_F_* that net_set_offload() takes; 0 without vnet_hdr */
	u32 mtu;      /* of the link; 0: not known */
	bool has_mac; /* the interface has an address that the guest has to use (macvtap) */
	u8 mac[NET_MAC_LEN];
};

/*
 * Takes "mode=tap,tap=NAME,..." apart. -EINVAL after one logged line, -ENOMEM. *out is freed by free().
 * Called before a VM exists.
 */
int __must_check net_config_parse(const char *arg, struct net_config **out);
/* The address of a VM's network device number `index`, the same each time: locally administered. */
void net_mac_of(u8 mac[NET_MAC_LEN], const char *vm, u32 index);

/* Opens what cfg says; cfg is to live as long. -errno after one logged line, -ENOMEM without. */
int __must_check net_open(struct net **out, const struct net_config *cfg, const char *who);
void net_close(struct net *net); /* NULL: nothing */
/* Frames received from now on may rely on the guest for these (TUN_F_*, a subset of net->offload). -errno,
 * silent. */
int __must_check net_set_offload(struct net *net, u32 offload);
/* The first n queues are used, the others neither receive nor are asked. -errno, silent. */
int __must_check net_set_queues(struct net *net, u32 n);

/*
 * Whether what send or recv gave back says that the host's side is gone and will not come back. Anything else
 * is one frame's, or passes: a tap that is down (-EIO) may be brought up.
 */
static inline bool net_is_gone(ssize_t err)
{
	return err == -EPIPE || err == -ECONNRESET || err == -EPROTO || err == -EBADFD;
}

/*
 * Reads off what `watch` has to say. 0: the host's side is there; or why it is gone for good, as send and
 * recv may never tell: those of a macvtap do not, and of a tap that vhost serves nobody calls them.
 */
int __must_check net_check(struct net *net);

/*
 * One frame out. -EAGAIN: no room, poll for EPOLLOUT; else it is gone, sent or not: what comes back negative
 * is for statistics.
 */
static inline ssize_t net_send(struct net_queue *q, const struct iovec *iov, u32 n)
{
	return q->net->ops->send(q, iov, n);
}

/* The fd is writable: sends the rest of what was taken and held back. To be called on each EPOLLOUT. */
static inline void net_writable(struct net_queue *q)
{
	if (q->net->ops->writable)
		q->net->ops->writable(q);
}

/*
 * One frame in: its length, header included, or -EAGAIN: none is there. A frame longer than the iovecs is
 * cut, and all the room is what comes back: give one byte more than a frame may have, to tell. Other -errno:
 * see net_is_gone().
 */
static inline ssize_t net_recv(struct net_queue *q, const struct iovec *iov, u32 n)
{
	return q->net->ops->recv(q, iov, n);
}

/* libslirp can be loaded. */
bool net_slirp_present(void);

#endif

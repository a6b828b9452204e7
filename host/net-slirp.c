/* SPDX-License-Identifier: MIT */
/*
 * User-mode network by libslirp: a TCP/IP stack inside of lkvm that turns what the guest sends into sockets
 * of this process. The guest gets 10.0.2.15 by DHCP; 10.0.2.2 is gateway and host, 10.0.2.3 the name server.
 *
 * libslirp runs on one thread of its own, which alone calls it from slirp_run() on. Between it and the
 * device's thread is a pair of packet sockets, one packet a frame: bounded, and each side can poll it. When
 * the guest does not take its frames, libslirp's thread waits until it does; the hosts at the other ends feel
 * that as a window that closes, and nothing is dropped.
 *
 * Opened and closed on the main thread.
 */
#include "net-priv.h"
#include <lkvm/log.h>

#if LKVM_HAVE_LIBSLIRP
#include "net-slirp.h"
#include <arpa/inet.h>
#include <errno.h>
#include <lkvm/list.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_BYTES (1 << 20)
#define MTU_DEFAULT  1500
#define MTU_MAX	     65521 /* libslirp's */
#define BATCH	     64
#define OWN_POLLS    2

struct user_timer {
	struct list link;
	SlirpTimerCb fn;
	void *arg;
	s64 expire_ms; /* CLOCK_MONOTONIC; -1: not set */
};

struct user {
	struct slirp_api api;
	Slirp *slirp;
	int device, own; /* the sockets' ends */
	int stop;	 /* eventfd */
	bool running;
	pthread_t thread;
	/* libslirp's thread. */
	struct list timers;
	struct pollfd *poll; /* [0] stop, [1] own; the rest are libslirp's */
	u32 nr_polls, room;
	u8 frame[NET_MAX_FRAME];
};

static s64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (s64)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- what libslirp asks of us, on its thread (and while it is made) --------------------------------------
 */

static ssize_t on_send_packet(const void *buf, size_t len, void *opaque)
{
	struct user *u = opaque;

	for (;;) {
		struct pollfd wait[] = {{.fd = u->stop, .events = POLLIN}, {.fd = u->own, .events = POLLOUT}};

		if (send(u->own, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return (ssize_t)len;
		/* Lost, as on a wire: libslirp would write a message of its own about an error. */
		if (errno != EAGAIN && errno != EINTR)
			return (ssize_t)len;
		if (poll(wait, 2, -1) > 0 && wait[0].revents)
			return (ssize_t)len;
	}
}

static void on_guest_error(const char *msg, void *opaque)
{
}

static s64 on_clock(void *opaque)
{
	return now_ns();
}

static void *on_timer_new(SlirpTimerCb fn, void *arg, void *opaque)
{
	struct user *u = opaque;
	struct user_timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		abort(); /* as GLib does: libslirp knows no other way */
	timer->fn = fn;
	timer->arg = arg;
	timer->expire_ms = -1;
	list_add_tail(&u->timers, &timer->link);
	return timer;
}

static void on_timer_free(void *arg, void *opaque)
{
	struct user_timer *timer = arg;

	list_del(&timer->link);
	free(timer);
}

static void on_timer_mod(void *arg, s64 expire_ms, void *opaque)
{
	struct user_timer *timer = arg;

	timer->expire_ms = expire_ms;
}

static void on_poll_fd(int fd, void *opaque)
{
}

static void on_notify(void *opaque)
{
}

static const SlirpCb callbacks = {
	.send_packet = on_send_packet,
	.guest_error = on_guest_error,
	.clock_get_ns = on_clock,
	.timer_new = on_timer_new,
	.timer_free = on_timer_free,
	.timer_mod = on_timer_mod,
	.register_poll_fd = on_poll_fd,
	.unregister_poll_fd = on_poll_fd,
	.notify = on_notify,
};

static int add_poll(int fd, int events, void *opaque)
{
	struct user *u = opaque;

	if (u->nr_polls == u->room) {
		struct pollfd *more = realloc(u->poll, 2 * u->room * sizeof(*more));

		if (!more)
			return -1; /* this socket waits until there is memory */
		u->poll = more;
		u->room *= 2;
	}
	u->poll[u->nr_polls] = (struct pollfd){
		.fd = fd,
		.events = (short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
				  (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
				  (events & SLIRP_POLL_PRI ? POLLPRI : 0)),
	};
	return (int)u->nr_polls++;
}

static int get_revents(int index, void *opaque)
{
	const struct user *u = opaque;
	short r;

	if (index < OWN_POLLS || (u32)index >= u->nr_polls)
		return 0;
	r = u->poll[index].revents;
	return (r & POLLIN ? SLIRP_POLL_IN : 0) | (r & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (r & POLLPRI ? SLIRP_POLL_PRI : 0) | (r & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (r & POLLHUP ? SLIRP_POLL_HUP : 0);
}

/* ---- its thread -----------------------------------------------------------------------------------------
 */

/* Runs what is due and tells how long it may sleep then, at most `timeout` ms. */
static u32 run_timers(struct user *u, u32 timeout)
{
	struct user_timer *timer;
	s64 now = now_ns() / 1000000;
	bool again;

	/* A callback may make and free timers: the walk begins anew after each. */
	do {
		again = false;
		list_for_each (timer, &u->timers, link) {
			if (timer->expire_ms < 0 || timer->expire_ms > now)
				continue;
			timer->expire_ms = -1;
			timer->fn(timer->arg);
			again = true;
			break;
		}
	} while (again);
	list_for_each (timer, &u->timers, link)
		if (timer->expire_ms >= 0)
			timeout = (u32)min_u64(timeout, (u64)max_u64(0, (u64)(timer->expire_ms - now)));
	return timeout;
}

/* Frames of the guest. False: the device closed its end. */
static bool take_frames(struct user *u)
{
	for (u32 i = 0; i < BATCH; i++) {
		ssize_t n = recv(u->own, u->frame, sizeof(u->frame), MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (!n)
			return false;
		u->api.input(u->slirp, u->frame, (int)n);
	}
	return true;
}

static void *slirp_run(void *arg)
{
	struct user *u = arg;
	bool live = true;

	while (live) {
		u32 timeout = UINT32_MAX;
		int n;

		u->poll[0] = (struct pollfd){.fd = u->stop, .events = POLLIN};
		u->poll[1] = (struct pollfd){.fd = u->own, .events = POLLIN};
		u->nr_polls = OWN_POLLS;
		u->api.pollfds_fill(u->slirp, &timeout, add_poll, u);
		timeout = run_timers(u, timeout);
		n = poll(u->poll, u->nr_polls, timeout > INT32_MAX ? -1 : (int)timeout);
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0 && u->poll[0].revents)
			break;
		u->api.pollfds_poll(u->slirp, n < 0, get_revents, u);
		if (n > 0 && u->poll[1].revents)
			live = take_frames(u);
	}
	/* What the device's thread reads of it is that there will be no more. */
	shutdown(u->own, SHUT_RDWR);
	return NULL;
}

/* ---- life -----------------------------------------------------------------------------------------------
 */

static int add_forwards(struct net *net, const struct net_config *cfg)
{
	struct user *u = net->priv;

	for (u32 i = 0; i < cfg->nr_forwards; i++) {
		const struct net_forward *f = &cfg->forward[i];
		struct in_addr host = {f->host_addr}, guest = {f->guest_addr};

		errno = 0;
		if (u->api.add_hostfwd(u->slirp, f->udp, host, f->host_port, guest, f->guest_port) < 0) {
			int err = errno ? -errno : -EINVAL;

			log_error("%s: forward=%s:%u: the host's port: %s", net->who, f->udp ? "udp" : "tcp",
				  f->host_port, strerror(-err));
			return err;
		}
	}
	return 0;
}

static int start_thread(struct user *u)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&u->thread, NULL, slirp_run, u);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return err;
	u->running = true;
	pthread_setname_np(u->thread, "net-slirp");
	return 0;
}

static int make_sockets(struct user *u)
{
	int pair[2], bytes = SOCKET_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	u->device = pair[0];
	u->own = pair[1];
	/* As much as net.core.wmem_max lets. */
	setsockopt(u->device, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	setsockopt(u->own, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	u->stop = eventfd(0, EFD_CLOEXEC);
	return u->stop < 0 ? -errno : 0;
}

static int make_slirp(struct net *net, const struct net_config *cfg)
{
	struct user *u = net->priv;
	SlirpConfig sc = {
		.version = 1,
		.restricted = cfg->restricted,
		.in_enabled = true,
		.in6_enabled = true,
		.vprefix_len = 64,
		.if_mtu = cfg->mtu ?: MTU_DEFAULT,
		.if_mru = cfg->mtu ?: MTU_DEFAULT,
	};

	if (cfg->mtu > MTU_MAX) {
		log_error("%s: mtu=%llu: libslirp has %d at the most", net->who, (unsigned long long)cfg->mtu,
			  MTU_MAX);
		return -EINVAL;
	}
	inet_pton(AF_INET, "10.0.2.0", &sc.vnetwork);
	inet_pton(AF_INET, "255.255.255.0", &sc.vnetmask);
	inet_pton(AF_INET, "10.0.2.2", &sc.vhost);
	inet_pton(AF_INET, "10.0.2.15", &sc.vdhcp_start);
	inet_pton(AF_INET, "10.0.2.3", &sc.vnameserver);
	inet_pton(AF_INET6, "fec0::", &sc.vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &sc.vhost6);
	inet_pton(AF_INET6, "fec0::3", &sc.vnameserver6);
	u->slirp = u->api.new(&sc, &callbacks, u);
	if (!u->slirp) {
		log_error("%s: libslirp could not be set up", net->who);
		return -EINVAL;
	}
	net->mtu = (u32)sc.if_mtu;
	return add_forwards(net, cfg);
}

static int user_open(struct net *net, const struct net_config *cfg)
{
	struct user *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	net->priv = u;
	u->device = u->own = u->stop = -1;
	list_init(&u->timers);
	u->room = 64;
	u->poll = calloc(u->room, sizeof(*u->poll));
	if (!u->poll)
		return -ENOMEM;
	err = slirp_load(&u->api);
	if (!err)
		err = make_sockets(u);
	if (!err)
		err = make_slirp(net, cfg);
	if (!err)
		err = start_thread(u);
	net->queue[0].fd = u->device;
	net->nr_queues = 1;
	return err;
}

static void user_close(struct net *net)
{
	struct user *u = net->priv;
	u64 one = 1;

	if (!u)
		return;
	if (u->running) {
		(void)!write(u->stop, &one, sizeof(one));
		pthread_join(u->thread, NULL);
	}
	if (u->slirp)
		u->api.cleanup(u->slirp);
	while (!list_empty(&u->timers))
		on_timer_free(list_entry(u->timers.next, struct user_timer, link), u);
	slirp_unload(&u->api);
	if (u->device >= 0)
		close(u->device);
	if (u->own >= 0)
		close(u->own);
	if (u->stop >= 0)
		close(u->stop);
	free(u->poll);
	free(u);
}

/* ---- frames, on the device's thread ---------------------------------------------------------------------
 */

static ssize_t user_send(struct net_queue *q, const struct iovec *iov, u32 n)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n};
	ssize_t len = sendmsg(q->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

	return len < 0 ? -errno : len;
}

static ssize_t user_recv(struct net_queue *q, const struct iovec *iov, u32 n)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n};
	ssize_t len = recvmsg(q->fd, &msg, MSG_DONTWAIT);

	if (len <= 0)
		return len ? -errno : -EPIPE;
	return len;
}

const struct net_ops net_slirp_ops = {
	.name = "slirp",
	.gone = "libslirp's thread ended: start the VM again",
	.no_vhost = true,
	.open = user_open,
	.send = user_send,
	.recv = user_recv,
	.close = user_close,
};

bool net_slirp_present(void)
{
	struct slirp_api api;

	if (!slirp_load || slirp_load(&api))
		return false;
	slirp_unload(&api);
	return true;
}

#else

const struct net_ops net_slirp_ops = {.name = "slirp"};

bool net_slirp_present(void)
{
	return false;
}

#endif

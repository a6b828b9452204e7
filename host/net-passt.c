/* SPDX-License-Identifier: MIT */
/*
 * User-mode network by passt, a program of its own (passt(1)), spawned and talked to over a stream socket:
 * each frame is preceded by its length, four bytes, big-endian. passt checks its arguments, binds its ports
 * and then leaves its first process, whose exit status so tells how it went; it ends when our end of the
 * socket does.
 *
 * The guest gets the addresses that it has by libslirp too: 10.0.2.15, and the gateway 10.0.2.2, which is the
 * host. Name servers are the host's own; one on the host's loopback is told as the gateway. An address of our
 * choice there (-D, --dns-forward) has the passt of Debian 12 answer from another one than was asked.
 *
 * Opened and closed on the main thread; send and recv are the queue's thread's, and nothing else runs here.
 */
#include "net-priv.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <lkvm/endian.h>
#include <lkvm/log.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEN_SIZE    4
#define TX_ROOM	    (LEN_SIZE + NET_MAX_FRAME)
#define RX_ROOM	    (4 * TX_ROOM)
#define ARGS_MAX    (24 + 2 * NET_MAX_FORWARDS)
#define MTU_MAX	    65520
#define SEND_PIECES 64
/* What passt calls the socket: as good as any number, for it has no other files of ours but 0 to 2. */
#define PASST_FD 3

struct passt {
	int fd;
	/* Received and not yet taken: buf[from .. to). */
	u32 rx_from, rx_to;
	/* The rest of a frame that the socket had no room for: goes out before any other. */
	u32 tx_from, tx_to;
	u8 rx[RX_ROOM];
	u8 tx[TX_ROOM];
};

bool net_passt_find(char *path, size_t room)
{
	const char *dir = getenv("PATH") ?: "/usr/local/bin:/usr/bin:/bin";

	while (*dir) {
		size_t len = strcspn(dir, ":");
		int n = snprintf(path, room, "%.*s/passt", (int)len, dir);

		if (len && n > 0 && (size_t)n < room && access(path, X_OK) == 0)
			return true;
		dir += len + (dir[len] == ':');
	}
	return false;
}

/* ---- starting it -------------------------------------------------------------------------------------- */

struct args {
	char *argv[ARGS_MAX];
	char text[NET_MAX_FORWARDS + 1][64]; /* those of argv that are made here */
	u32 n, texts;
};

static void add(struct args *a, const char *word)
{
	a->argv[a->n++] = (char *)(uintptr_t)word; /* exec writes none of them */
}

/* "HOSTADDR/HPORT:GPORT" */
static int add_forward(struct net *net, struct args *a, const struct net_forward *f)
{
	char *text = a->text[a->texts++], addr[INET_ADDRSTRLEN];
	struct in_addr in = {f->host_addr};
	const u32 guest = inet_addr("10.0.2.15");

	if (f->guest_addr && f->guest_addr != guest) {
		log_error("%s: forward= to another address than the guest's takes backend=slirp", net->who);
		return -EINVAL;
	}
	if (f->host_addr)
		snprintf(text, sizeof(a->text[0]), "%s/%u:%u", inet_ntop(AF_INET, &in, addr, sizeof(addr)),
			 f->host_port, f->guest_port);
	else
		snprintf(text, sizeof(a->text[0]), "%u:%u", f->host_port, f->guest_port);
	add(a, f->udp ? "-u" : "-t");
	add(a, text);
	return 0;
}

/* passt lets a port that another process has pass. */
static int check_port(struct net *net, const struct net_forward *f)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_port = htons(f->host_port), .sin_addr = {f->host_addr}};
	int fd = socket(AF_INET, (f->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0), on = 1, err;

	if (fd < 0)
		return -errno;
	if (!f->udp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	err = bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 || (!f->udp && listen(fd, 1) < 0) ? -errno
												   : 0;
	close(fd);
	if (err)
		log_error("%s: forward=%s:%u: the host's port: %s", net->who, f->udp ? "udp" : "tcp",
			  f->host_port, strerror(-err));
	return err;
}

static int make_args(struct net *net, const struct net_config *cfg, const char *path, struct args *a)
{
	int err = 0;

	if (cfg->restricted) {
		log_error("%s: restrict takes backend=slirp: passt knows no such thing", net->who);
		return -EINVAL;
	}
	if (cfg->mtu > MTU_MAX) {
		log_error("%s: mtu=%llu: passt has %d at the most", net->who, (unsigned long long)cfg->mtu,
			  MTU_MAX);
		return -EINVAL;
	}
	add(a, path);
	add(a, "-q");
	add(a, "-F");
	add(a, "3");
	add(a, "-a");
	add(a, "10.0.2.15");
	add(a, "-n");
	add(a, "24");
	add(a, "-g");
	add(a, "10.0.2.2");
	if (cfg->mtu) {
		char *text = a->text[a->texts++];

		snprintf(text, sizeof(a->text[0]), "%u", (u32)cfg->mtu);
		add(a, "-m");
		add(a, text);
	}
	for (u32 i = 0; i < cfg->nr_forwards && !err; i++) {
		err = check_port(net, &cfg->forward[i]);
		if (!err)
			err = add_forward(net, a, &cfg->forward[i]);
	}
	add(a, NULL);
	return err;
}

/* passt's last words, of what it wrote to `fd`. */
static void say_failure(const struct net *net, int fd)
{
	char text[2048], *line = NULL;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n"))
		if (strncmp(p, "Failed to send", 14)) /* to a syslog that is not there */
			line = p;
	log_error("%s: passt did not start%s%s", net->who, line ? ": " : "", line ?: "");
}

static int spawn(struct net *net, char **argv, int sock)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int out[2], err, status = 0;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, out[1], STDERR_FILENO);
	posix_spawn_file_actions_adddup2(&files, sock, PASST_FD);
	err = -posix_spawn(&pid, argv[0], &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	if (err) {
		log_error("%s: %s: cannot be run: %s", net->who, argv[0], strerror(-err));
		goto out;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		say_failure(net, out[0]);
		err = -ECHILD;
	}
out:
	close(out[0]);
	close(out[1]);
	return err;
}

static int passt_open(struct net *net, const struct net_config *cfg)
{
	struct passt *p = malloc(sizeof(*p));
	struct args a = {.n = 0};
	char path[256];
	int pair[2], err;

	if (!p)
		return -ENOMEM;
	net->priv = p;
	p->fd = -1;
	p->rx_from = p->rx_to = p->tx_from = p->tx_to = 0;
	if (!net_passt_find(path, sizeof(path)))
		return -ENOENT;
	err = make_args(net, cfg, path, &a);
	if (err)
		return err;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	p->fd = pair[0];
	/* Two that are the same number would stay close-on-exec. */
	if (pair[1] == PASST_FD) {
		pair[1] = fcntl(PASST_FD, F_DUPFD_CLOEXEC, PASST_FD + 1);
		close(PASST_FD);
		if (pair[1] < 0)
			return -errno;
	}
	err = spawn(net, a.argv, pair[1]);
	close(pair[1]);
	if (err)
		return err;
	/* Ours alone: passt has an open file of its own at the other end. */
	if (fcntl(p->fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	net->queue[0].fd = p->fd;
	net->nr_queues = 1;
	net->mtu = cfg->mtu ? (u32)cfg->mtu : MTU_MAX;
	return 0;
}

static void passt_close(struct net *net)
{
	struct passt *p = net->priv;

	if (p && p->fd >= 0)
		close(p->fd);
	free(p);
}

/* ---- frames ------------------------------------------------------------------------------------------- */

/* Copies the pieces from `skip` bytes on to `to`: how many. */
static u32 copy_rest(u8 *to, const struct iovec *iov, u32 n, size_t skip)
{
	u32 done = 0;

	for (u32 i = 0; i < n; i++) {
		size_t cut = skip < iov[i].iov_len ? skip : iov[i].iov_len;

		skip -= cut;
		memcpy(to + done, (u8 *)iov[i].iov_base + cut, iov[i].iov_len - cut);
		done += (u32)(iov[i].iov_len - cut);
	}
	return done;
}

static int send_pending(struct passt *p)
{
	while (p->tx_from < p->tx_to) {
		ssize_t n = send(p->fd, p->tx + p->tx_from, p->tx_to - p->tx_from, MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		p->tx_from += (u32)n;
	}
	return 0;
}

static ssize_t passt_send(struct net_queue *q, const struct iovec *iov, u32 n)
{
	struct passt *p = q->net->priv;
	u8 head[LEN_SIZE];
	struct iovec out[SEND_PIECES + 1] = {{head, LEN_SIZE}};
	struct msghdr msg = {.msg_iov = out};
	size_t len = 0;
	ssize_t sent;
	int err = send_pending(p);

	if (err)
		return err;
	for (u32 i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (len > NET_MAX_FRAME)
		return -EMSGSIZE;
	put_be32(head, (u32)len);
	if (n > SEND_PIECES) {
		/* As if the socket had taken nothing. */
		memcpy(p->tx, head, LEN_SIZE);
		p->tx_from = 0;
		p->tx_to = LEN_SIZE + copy_rest(p->tx + LEN_SIZE, iov, n, 0);
		err = send_pending(p);
		return err && err != -EAGAIN ? err : (ssize_t)len;
	}
	memcpy(out + 1, iov, n * sizeof(*iov));
	msg.msg_iovlen = n + 1;
	sent = sendmsg(p->fd, &msg, MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	if ((size_t)sent < LEN_SIZE + len) {
		p->tx_from = 0;
		p->tx_to = copy_rest(p->tx, out, n + 1, (size_t)sent);
	}
	return (ssize_t)len;
}

/* The length of the frame at the head of what was received; 0: it is not whole yet; -EPROTO. */
static ssize_t frame_len(const struct passt *p)
{
	u32 have = p->rx_to - p->rx_from, len;

	if (have < LEN_SIZE)
		return 0;
	len = get_be32(p->rx + p->rx_from);
	if (!len || len > NET_MAX_FRAME)
		return -EPROTO;
	return have - LEN_SIZE < len ? 0 : (ssize_t)len;
}

static ssize_t passt_recv(struct net_queue *q, const struct iovec *iov, u32 n)
{
	struct passt *p = q->net->priv;
	size_t done = 0;
	const u8 *from;
	ssize_t len;

	while (!(len = frame_len(p))) {
		ssize_t got;

		/* What is left of a frame goes to the front; a whole one fits behind. */
		if (p->rx_from && RX_ROOM - p->rx_from < TX_ROOM) {
			memmove(p->rx, p->rx + p->rx_from, p->rx_to - p->rx_from);
			p->rx_to -= p->rx_from;
			p->rx_from = 0;
		}
		got = recv(p->fd, p->rx + p->rx_to, RX_ROOM - p->rx_to, 0);
		if (got <= 0)
			return got ? -errno : -EPIPE;
		p->rx_to += (u32)got;
	}
	if (len < 0)
		return len;
	from = p->rx + p->rx_from + LEN_SIZE;
	for (u32 i = 0; i < n && done < (size_t)len; i++) {
		size_t part = min_u64(iov[i].iov_len, (size_t)len - done);

		memcpy(iov[i].iov_base, from + done, part);
		done += part;
	}
	p->rx_from += LEN_SIZE + (u32)len;
	if (p->rx_from == p->rx_to)
		p->rx_from = p->rx_to = 0;
	return (ssize_t)done;
}

static void passt_writable(struct net_queue *q)
{
	/* What fails here fails again at the next frame, and is told then. */
	if (send_pending(q->net->priv))
		return;
}

const struct net_ops net_passt_ops = {
	.name = "passt",
	.gone = "passt ended, and the system's log may say why: start the VM again",
	.no_vhost = true,
	.open = passt_open,
	.send = passt_send,
	.recv = passt_recv,
	.writable = passt_writable,
	.close = passt_close,
};

/* SPDX-License-Identifier: MIT */
/*
 * Consoles: between a guest's serial port and a host terminal.
 *
 *   guest -> console_write() -> host fd           when the host takes it at once
 *                            -> ring -> host fd   else; EPOLLOUT on the main loop empties the ring
 *   host fd -> [pending ->] client->input()       as much as client->room() allows, on the main thread
 *
 * Input that the guest does not take stays on the host side, where a pipe's or terminal's own flow control
 * holds the sender. stdin as a terminal is the exception: it is read ahead, for Ctrl-a x must work with a
 * guest that takes nothing any more.
 *
 * Whatever epoll cannot watch (regular files, /dev/null) is always ready, and is read when the guest has
 * room. Sources are one-shot: a hung-up fd reports EPOLLHUP for ever, whether asked for or not.
 *
 * Input and the event sources belong to the main thread. con->lock guards the output side, which any thread
 * writes to, and comes after the device's lock; no callback is called under it.
 */
#include <errno.h>
#include <limits.h>
#include <lkvm/console.h>
#include <lkvm/kvm.h>
#include <lkvm/tty.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RING_SIZE    KiB(256)
#define PENDING_SIZE KiB(64)
#define READ_MAX     4096
#define TURNS_MAX    64		   /* reads or writes in one callback; then others get their turn */
#define RECHECK_NS   500000000ull  /* how often a pty with nobody at it is looked at */
#define FLUSH_NS     1000000000ull /* how long consoles_destroy() waits for a slow reader */

/* How output is kept from blocking. */
enum out_kind {
	OUT_NONBLOCK, /* O_NONBLOCK is set: the fd is our own */
	OUT_SOCKET,   /* MSG_DONTWAIT */
	OUT_POLL,     /* poll(), then no more than what cannot block */
	OUT_ALWAYS,   /* a regular file, /dev/null */
};

struct console {
	struct kvm *kvm;
	u32 index;
	struct tty tty;
	struct device *dev; /* with client: set by console_attach(), before vCPUs run */
	const struct console_client *client;

	/* Input, main thread. */
	struct event_source in_src;
	struct event_timer kick;    /* due at once: console_input_ready() */
	struct event_timer recheck; /* of a pty whose slave side nobody has open */
	bool in_open;		    /* there is an input, and it has not ended */
	bool in_armed;		    /* in_src will report */
	bool escapes;
	struct tty_escape escape;
	u8 *pending; /* PENDING_SIZE: read, and not yet taken by the client */
	size_t pending_start, pending_len;

	/* Output. */
	struct event_source out_src;
	enum out_kind out_kind;
	size_t out_max; /* bytes of one write */
	pthread_mutex_t lock;
	/* Under lock from here on. */
	u8 *ring; /* RING_SIZE, made when first needed */
	size_t ring_start, ring_len;
	bool out_armed; /* out_src will report */
	bool out_dead;	/* output vanishes */
	bool starved;	/* console_write() took less than it was given */
	bool unplugged; /* a pty that nobody has open: the ring keeps the newest output for who comes */
};

/* --- output ------------------------------------------------------------------------------------- */

static bool fd_ready(int fd, short events, int timeout_ms)
{
	struct pollfd pfd = {.fd = fd, .events = events};

	return poll(&pfd, 1, timeout_ms) > 0;
}

/* Nobody has the slave side open. */
static bool pty_left(int fd)
{
	struct pollfd pfd = {.fd = fd};

	return poll(&pfd, 1, 0) > 0 && pfd.revents & POLLHUP;
}

/* Hands bytes to the host; returns how many are done with, 0 when it takes none now. con->lock held. */
static size_t host_write(struct console *con, const u8 *data, size_t len)
{
	ssize_t n;

	if (con->out_dead)
		return len;
	/* The kernel would take some 20 KB all the same, and show them to whoever comes years later. */
	if (con->tty.pty && pty_left(con->tty.in)) {
		con->unplugged = true;
		event_timer_set(&con->recheck, RECHECK_NS, RECHECK_NS);
		return 0;
	}
	if (con->out_kind == OUT_POLL && !fd_ready(con->tty.out, POLLOUT, 0))
		return 0;
	do {
		if (con->out_kind == OUT_SOCKET)
			n = send(con->tty.out, data, min_u64(len, con->out_max), MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			n = write(con->tty.out, data, min_u64(len, con->out_max));
	} while (n < 0 && errno == EINTR && con->out_kind != OUT_POLL);
	if (n >= 0)
		return (size_t)n;
	/* What never reports that it is ready again is not waited for. */
	if (errno == EAGAIN || errno == EINTR)
		return con->out_kind == OUT_ALWAYS ? len : 0;
	log_error("console %u: %s: %m; the guest's output goes nowhere from here on", con->index,
		  con->tty.pty ? con->tty.path : "stdout");
	con->out_dead = true;
	return len;
}

static size_t ring_add(struct console *con, const u8 *data, size_t len)
{
	size_t end, first;

	if (!con->ring)
		con->ring = malloc(RING_SIZE);
	if (!con->ring)
		return 0;
	if (!con->ring_len)
		con->ring_start = 0; /* the pages that are in use already */
	len = min_u64(len, RING_SIZE - con->ring_len);
	end = (con->ring_start + con->ring_len) % RING_SIZE;
	first = min_u64(len, RING_SIZE - end);
	memcpy(con->ring + end, data, first);
	memcpy(con->ring, data + first, len - first);
	con->ring_len += len;
	return len;
}

/* Drops the oldest bytes for len newer ones; returns how many of those are too many even so. */
static size_t ring_make_room(struct console *con, size_t len)
{
	size_t excess = len > RING_SIZE ? len - RING_SIZE : 0, room = RING_SIZE - con->ring_len;
	size_t drop = len - excess > room ? len - excess - room : 0;

	con->ring_start = (con->ring_start + drop) % RING_SIZE;
	con->ring_len -= drop;
	return excess;
}

/* Writes one piece out of the ring: false when there is none, or the host would block. con->lock held. */
static bool ring_flush_some(struct console *con)
{
	size_t n;

	if (!con->ring_len)
		return false;
	n = host_write(con, con->ring + con->ring_start, min_u64(con->ring_len, RING_SIZE - con->ring_start));
	con->ring_start = (con->ring_start + n) % RING_SIZE;
	con->ring_len -= n;
	return n;
}

/* con->lock held. */
static void out_arm(struct console *con)
{
	if (con->ring_len && !con->out_armed && !con->unplugged && con->out_src.added)
		con->out_armed = !event_modify(&con->kvm->loop, &con->out_src, EPOLLOUT | EPOLLONESHOT);
}

size_t console_write(struct console *con, const u8 *data, size_t len)
{
	size_t done = 0, n = 1;

	/* The answer never changes while devices run. */
	if (con->tty.out < 0)
		return len;
	pthread_mutex_lock(&con->lock);
	/* A short count says "full" of all but a file, which nothing would make us write to again. */
	for (int i = 0; !con->ring_len && n && done < len && (!i || con->out_kind == OUT_ALWAYS); i++) {
		n = host_write(con, data + done, len - done);
		done += n;
	}
	if (con->unplugged)
		done += ring_make_room(con, len - done);
	if (done < len)
		done += ring_add(con, data + done, len - done);
	if (done < len)
		con->starved = true;
	out_arm(con);
	pthread_mutex_unlock(&con->lock);
	return done;
}

static void on_out(struct event_source *src, u32 events)
{
	struct console *con = src->arg;
	bool ready;

	pthread_mutex_lock(&con->lock);
	con->out_armed = false;
	for (int i = 0; i < TURNS_MAX && ring_flush_some(con); i++)
		;
	out_arm(con);
	ready = con->starved && (!con->ring_len || con->unplugged);
	if (ready)
		con->starved = false;
	pthread_mutex_unlock(&con->lock);
	if (ready && con->client)
		con->client->output_ready(con->dev);
}

/* What is still in the ring at the end gets FLUSH_NS of the reader's time. */
static void flush_last(struct console *con)
{
	struct timespec ts;
	u64 now, end = 0;

	pthread_mutex_lock(&con->lock);
	while (con->ring_len && !con->out_dead && !con->unplugged) {
		if (ring_flush_some(con))
			continue;
		clock_gettime(CLOCK_MONOTONIC, &ts);
		now = (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
		if (!end)
			end = now + FLUSH_NS;
		if (now >= end || !fd_ready(con->tty.out, POLLOUT, (int)((end - now) / 1000000) + 1))
			break;
	}
	pthread_mutex_unlock(&con->lock);
}

/* --- input -------------------------------------------------------------------------------------- */

void console_input_ready(struct console *con)
{
	/* The answer never changes while devices run. */
	if (con->tty.in >= 0)
		event_timer_set(&con->kick, 1, 0);
}

static void in_arm(struct console *con)
{
	if (!con->in_armed && con->in_src.added)
		con->in_armed = !event_modify(&con->kvm->loop, &con->in_src, EPOLLIN | EPOLLONESHOT);
}

/* The end of input. A pty's slave side may be opened again; anything else is over, and the VM goes on. */
static void in_end(struct console *con)
{
	if (con->tty.pty) {
		event_timer_set(&con->recheck, RECHECK_NS, RECHECK_NS);
		return;
	}
	event_del(&con->kvm->loop, &con->in_src);
	con->in_open = false;
}

static void do_actions(struct console *con, u32 actions)
{
	static const char help[] = "\r\nCtrl-a x  end the VM\r\n"
				   "Ctrl-a a  send Ctrl-a to the guest\r\n"
				   "Ctrl-a h  this help\r\n";

	if (actions & TTY_HELP && write(STDERR_FILENO, help, sizeof(help) - 1) < 0)
		log_debug(con->kvm->log, "console %u: the help could not be shown: %m", con->index);
	if (actions & TTY_QUIT)
		kvm_end(con->kvm, VM_STOPPED, 0);
}

/* Gives the client what it has room for; returns the room that is left. */
static size_t give_pending(struct console *con)
{
	size_t room = con->client ? con->client->room(con->dev) : 0;

	while (room && con->pending_len) {
		size_t n = min_u64(room, con->pending_len);

		con->client->input(con->dev, con->pending + con->pending_start, n);
		con->pending_start += n;
		con->pending_len -= n;
		room = con->client->room(con->dev);
	}
	if (!con->pending_len)
		con->pending_start = 0;
	return room;
}

/* Reads up to max bytes into `pending`: false when the fd has none now, or none any more. */
static bool read_some(struct console *con, size_t max)
{
	u32 actions = 0;
	ssize_t n;
	u8 *to;

	if (PENDING_SIZE - con->pending_start - con->pending_len < max) {
		memmove(con->pending, con->pending + con->pending_start, con->pending_len);
		con->pending_start = 0;
	}
	to = con->pending + con->pending_start + con->pending_len;
	if (!con->tty.own_in && !fd_ready(con->tty.in, POLLIN, 0)) {
		in_arm(con);
		return false;
	}
	n = read(con->tty.in, to, max);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		in_arm(con);
		return false;
	}
	if (n <= 0) {
		if (n < 0 && errno != EIO)
			log_warn(con->kvm->log, "console %u: input: %m; the guest gets none from here on",
				 con->index);
		in_end(con);
		return false;
	}
	if (con->escapes) {
		n = (ssize_t)tty_filter(&con->escape, to, (size_t)n, &actions);
		if (actions)
			do_actions(con, actions);
	}
	con->pending_len += (size_t)n;
	return true;
}

/*
 * Moves input until the host has none, or the client takes none: then its console_input_ready() calls us
 * again.
 */
static void pump(struct console *con)
{
	for (int i = 0; i < TURNS_MAX; i++) {
		size_t room = give_pending(con), max;

		if (!con->in_open)
			return;
		if (con->escapes)
			max = PENDING_SIZE - con->pending_len;
		else
			max = con->pending_len ? 0 : room;
		max = min_u64(max, READ_MAX);
		if (!max || !read_some(con, max))
			return;
	}
	console_input_ready(con);
}

static void on_in(struct event_source *src, u32 events)
{
	struct console *con = src->arg;

	con->in_armed = false;
	pump(con);
}

static void on_kick(struct event_timer *timer)
{
	pump(timer->arg);
}

static void on_recheck(struct event_timer *timer)
{
	struct console *con = timer->arg;

	if (pty_left(con->tty.in))
		return;
	event_timer_set(&con->recheck, 0, 0);
	pthread_mutex_lock(&con->lock);
	con->unplugged = false;
	out_arm(con);
	pthread_mutex_unlock(&con->lock);
	pump(con);
}

/* --- life --------------------------------------------------------------------------------------- */

static void init_out(struct console *con)
{
	struct stat st;

	con->out_max = RING_SIZE;
	con->out_kind = OUT_NONBLOCK;
	if (con->tty.own_out)
		return;
	/* A pipe that polls writable has a page free; a terminal need not have more than one byte. */
	con->out_kind = OUT_POLL;
	con->out_max = 1;
	if (fstat(con->tty.out, &st) < 0)
		return;
	if (S_ISSOCK(st.st_mode)) {
		con->out_kind = OUT_SOCKET;
		con->out_max = RING_SIZE;
	} else if (S_ISFIFO(st.st_mode)) {
		con->out_max = PIPE_BUF;
	}
}

/* A source that reports nothing yet. What epoll does not take (EPERM) is always ready. */
static int add_source(struct console *con, struct event_source *src, int fd, event_fn fn)
{
	*src = (struct event_source){.fd = fd, .fn = fn, .arg = con};
	return event_add(&con->kvm->loop, src, EPOLLONESHOT);
}

static int open_sources(struct console *con)
{
	bool pty = con->kvm->cfg->tty[con->index];
	int err;

	err = pty ? tty_open_pty(&con->tty) : tty_open_stdio(&con->tty);
	if (err)
		return err;
	con->escapes = con->tty.terminal;
	if (con->tty.out >= 0) {
		init_out(con);
		err = add_source(con, &con->out_src, con->tty.out, on_out);
		if (err == -EPERM) {
			con->out_kind = OUT_ALWAYS;
			con->out_max = RING_SIZE;
		} else if (err) {
			return err;
		}
	}
	if (con->tty.in < 0)
		return 0;
	con->pending = malloc(PENDING_SIZE);
	if (!con->pending)
		return -ENOMEM;
	err = event_timer_init(&con->kvm->loop, &con->kick, on_kick, con);
	if (!err && pty)
		err = event_timer_init(&con->kvm->loop, &con->recheck, on_recheck, con);
	if (err)
		return err;
	con->in_open = true;
	err = add_source(con, &con->in_src, con->tty.in, on_in);
	return err == -EPERM ? 0 : err;
}

static int open_host_side(struct console *con)
{
	int err = open_sources(con);

	if (err)
		log_error("console %u: its host side cannot be opened: %s", con->index, strerror(-err));
	return err;
}

int consoles_create(struct kvm *kvm)
{
	for (u32 i = 0; i < CONSOLE_MAX; i++) {
		struct console *con = calloc(1, sizeof(*con));
		int err;

		if (!con)
			return -ENOMEM;
		kvm->console[i] = con;
		con->kvm = kvm;
		con->index = i;
		con->tty.in = con->tty.out = -1;
		pthread_mutex_init(&con->lock, NULL);
		/* stdin and stdout are left alone where no device wants them. */
		err = kvm->cfg->tty[i] ? open_host_side(con) : 0;
		if (err)
			return err;
	}
	return 0;
}

int consoles_start(struct kvm *kvm)
{
	for (u32 i = 0; i < CONSOLE_MAX; i++) {
		struct console *con = kvm->console[i];
		int err;

		/* Whatever the log level is: there is no other way to learn it. */
		if (con->tty.pty)
			dprintf(STDERR_FILENO, "lkvm: console %u is %s\n", i, con->tty.path);
		err = tty_raw(&con->tty);
		if (err) {
			log_error("console %u: the terminal cannot be put into raw mode: %s", i,
				  strerror(-err));
			return err;
		}
		if (con->in_open)
			pump(con);
	}
	return 0;
}

void consoles_destroy(struct kvm *kvm)
{
	for (u32 i = 0; i < CONSOLE_MAX; i++) {
		struct console *con = kvm->console[i];

		if (!con)
			continue;
		flush_last(con);
		event_del(&kvm->loop, &con->in_src);
		event_del(&kvm->loop, &con->out_src);
		event_timer_destroy(&kvm->loop, &con->kick);
		event_timer_destroy(&kvm->loop, &con->recheck);
		tty_close(&con->tty);
		pthread_mutex_destroy(&con->lock);
		free(con->pending);
		free(con->ring);
		free(con);
		kvm->console[i] = NULL;
	}
}

int console_attach(struct kvm *kvm, u32 index, struct device *dev, const struct console_client *client,
		   struct console **out)
{
	struct console *con;
	int err;

	if (index >= CONSOLE_MAX) {
		log_error("console %u: there are %d; leave the device out", index, CONSOLE_MAX);
		return -EINVAL;
	}
	con = kvm->console[index];
	if (con->client) {
		log_error("console %u: another device has it; leave one of them out", index);
		return -EBUSY;
	}
	err = !index && con->tty.in < 0 && con->tty.out < 0 ? open_host_side(con) : 0;
	if (err)
		return err;
	con->dev = dev;
	con->client = client;
	*out = con;
	return 0;
}

void console_detach(struct console *con)
{
	con->client = NULL;
	con->dev = NULL;
}

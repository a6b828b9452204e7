/* SPDX-License-Identifier: MIT */
/*
 * The VM's end of the control socket (include/lkvm/control.h has the protocol).
 *
 * Everything runs on the VM's main thread, from the event loop; no lock. Callers of this socket are other
 * processes of the same user, so they are trusted with the VM but not with its time or memory: sockets never
 * block, a request and an answer are capped, a client that neither sends nor takes anything for IDLE_NS is
 * dropped, and there are at most CLIENTS_MAX. While an answer is on its way nothing more is read.
 */
#include <errno.h>
#include <lkvm/control.h>
#include <lkvm/kvm.h>
#include <lkvm/verb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 16
#define BACKLOG	    16
#define READ_CHUNK  4096
#define IDLE_NS	    5000000000ull
#define TICK_NS	    500000000ull

struct client {
	struct control *ctl;
	struct event_source src;
	struct list link;
	struct buf in, out;
	size_t sent;  /* bytes of `out` gone */
	u64 last_ns;  /* when it last sent or took something */
	bool no_more; /* it has closed its sending side */
};

struct control {
	struct kvm *kvm;
	struct event_source listen;
	bool listening;		 /* EPOLLIN is asked for: not while descriptors are short */
	struct event_timer tick; /* made with the first client, armed while there is one */
	bool tick_made;
	struct list clients;
	u32 nr_clients;
	int dirfd;
	char file[64]; /* in dirfd; empty when it is not ours to remove */
};

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000ull + (u64)ts.tv_nsec;
}

/* --- one client ------------------------------------------------------------------------------------ */

static void client_drop(struct client *c)
{
	struct control *ctl = c->ctl;

	event_del(&ctl->kvm->loop, &c->src);
	close(c->src.fd);
	list_del(&c->link);
	ctl->nr_clients--;
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
	if (!ctl->nr_clients && ctl->listening)
		event_timer_set(&ctl->tick, 0, 0);
}

static void reply_error(struct buf *out, const char *why)
{
	struct json j = {.out = out};

	json_begin(&j, NULL, '{');
	json_bool(&j, "ok", false);
	json_str(&j, "error", why);
	json_end(&j, '}');
	buf_u8(out, '\n');
}

/* One request line, without its newline. The answer is the whole of `out`. */
static void serve_line(struct kvm *kvm, const char *line, size_t len, struct buf *out)
{
	struct json j = {.out = out};
	struct json_value *request = NULL;
	const struct verb *verb = NULL;
	const char *why = NULL, *name;
	int err = json_parse(line, len, &request);

	if (!err) {
		name = json_get_str(request, "verb", NULL);
		verb = name ? verb_find(name) : NULL;
		if (!name)
			why = "a request is an object with a \"verb\"";
		else if (!verb || !verb->serve)
			why = "a VM knows no such verb";
		if (why)
			err = -EINVAL;
	} else {
		why = err == -ENOMEM ? "out of memory" : "not JSON";
	}
	if (!err) {
		json_begin(&j, NULL, '{');
		json_bool(&j, "ok", true);
		err = verb->serve(kvm, request, &j, &why);
		json_end(&j, '}');
		buf_u8(out, '\n');
	}
	if (!err && out->err) {
		err = out->err;
		why = err == -ENOMEM ? "out of memory" : "the answer is too long";
	}
	if (err) {
		buf_free(out);
		out->cap = CONTROL_MAX_REPLY;
		reply_error(out, why ? why : strerror(-err));
	}
	json_free(request);
}

/* True while the client stays. */
static bool client_send(struct client *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->src.fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		c->sent += (size_t)n;
		c->last_ns = now_ns();
	}
	buf_free(&c->out);
	c->sent = 0;
	return true;
}

/* Serves the lines that have arrived, one answer at a time. True while the client stays. */
static bool client_serve(struct client *c)
{
	while (!c->out.len) {
		u8 *end = c->in.len ? memchr(c->in.data, '\n', c->in.len) : NULL;
		size_t len, left;

		if (!end && c->in.len <= CONTROL_MAX_REQUEST)
			break;
		c->out.cap = CONTROL_MAX_REPLY;
		if (!end || (size_t)(end - c->in.data) > CONTROL_MAX_REQUEST) {
			reply_error(&c->out, "the request is too long");
			c->no_more = true;
			buf_free(&c->in);
		} else {
			len = (size_t)(end - c->in.data);
			serve_line(c->ctl->kvm, (const char *)c->in.data, len, &c->out);
			left = c->in.len - len - 1;
			memmove(c->in.data, end + 1, left);
			c->in.len = left;
		}
		if (c->out.err || !client_send(c))
			return false;
	}
	return true;
}

static bool client_receive(struct client *c)
{
	u8 chunk[READ_CHUNK];
	ssize_t n = recv(c->src.fd, chunk, sizeof(chunk), 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!n) {
		c->no_more = true;
		return true;
	}
	c->last_ns = now_ns();
	buf_add(&c->in, chunk, (size_t)n);
	return !c->in.err;
}

static void on_client(struct event_source *src, u32 events)
{
	struct client *c = src->arg;
	bool stays = true;

	if (c->out.len)
		stays = client_send(c);
	else if (!c->no_more)
		stays = client_receive(c);
	if (stays)
		stays = client_serve(c);
	/* Its last answer is out and no request can follow; half a line is none. */
	if (stays && c->no_more && !c->out.len)
		stays = false;
	/* Both ways closed: nothing that is written can arrive. */
	if (stays && (events & (EPOLLHUP | EPOLLERR)) && c->no_more)
		stays = false;
	if (!stays)
		client_drop(c);
	else
		event_modify(&c->ctl->kvm->loop, src, c->out.len ? EPOLLOUT : EPOLLIN);
}

/* --- accepting --------------------------------------------------------------------------------------- */

static void on_tick(struct event_timer *timer)
{
	struct control *ctl = timer->arg;
	u64 now = now_ns();
	struct list *at = ctl->clients.next;

	if (!ctl->listening && !event_modify(&ctl->kvm->loop, &ctl->listen, EPOLLIN))
		ctl->listening = true;
	while (at != &ctl->clients) {
		struct client *c = list_entry(at, struct client, link);

		at = at->next;
		if (now - c->last_ns > IDLE_NS)
			client_drop(c);
	}
	if (!ctl->nr_clients && ctl->listening)
		event_timer_set(timer, 0, 0);
}

static int tick_start(struct control *ctl)
{
	int err = ctl->tick_made ? 0 : event_timer_init(&ctl->kvm->loop, &ctl->tick, on_tick, ctl);

	if (err)
		return err;
	ctl->tick_made = true;
	event_timer_set(&ctl->tick, TICK_NS, TICK_NS);
	return 0;
}

/* Before the first byte is read: who is it? */
static const char *refuse_why(const struct control *ctl, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || (cred.uid && cred.uid != geteuid()))
		return "the VM is another user's";
	if (ctl->nr_clients >= CLIENTS_MAX)
		return "too many clients: try again";
	return NULL;
}

static int client_add(struct control *ctl, int fd)
{
	struct client *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->ctl = ctl;
	c->in.cap = CONTROL_MAX_REQUEST + READ_CHUNK;
	c->last_ns = now_ns();
	c->src = (struct event_source){.fd = fd, .fn = on_client, .arg = c};
	err = tick_start(ctl);
	if (!err)
		err = event_add(&ctl->kvm->loop, &c->src, EPOLLIN);
	if (err) {
		free(c);
		return err;
	}
	list_add_tail(&ctl->clients, &c->link);
	ctl->nr_clients++;
	return 0;
}

static void on_listen(struct event_source *src, u32 events)
{
	struct control *ctl = src->arg;
	struct buf out = {0};
	const char *why;

	for (u32 i = 0; i < BACKLOG; i++) {
		int fd = accept4(src->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			/* Out of descriptors, the socket would stay readable and the loop spin: rest a tick.
			 */
			if ((errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) &&
			    !tick_start(ctl) && !event_modify(&ctl->kvm->loop, src, 0))
				ctl->listening = false;
			return;
		}
		why = refuse_why(ctl, fd);
		if (!why && !client_add(ctl, fd))
			continue;
		reply_error(&out, why ? why : "out of memory");
		if (!out.err && send(fd, out.data, out.len, MSG_NOSIGNAL) < 0)
			log_debug(ctl->kvm->log, "control socket: a refused client is gone already: %m");
		buf_free(&out);
		close(fd);
	}
}

/* --- the step ---------------------------------------------------------------------------------------- */

/* Binds to the path, in place of a socket that nobody listens on. Under the directory's lock. */
static int bind_socket(struct control *ctl, const char *dir, int fd, const struct sockaddr_un *addr)
{
	const char *name = ctl->kvm->cfg->name;
	int err, probe;

	if (!bind(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		return 0;
	err = -errno;
	if (err == -EADDRINUSE) {
		probe = control_connect(dir, name);
		if (probe >= 0)
			close(probe);
		if (probe >= 0 || probe == -EAGAIN) {
			log_error("--name %s: a VM of that name is running: give another, or lkvm stop -n %s",
				  name, name);
			return -EEXIST;
		}
		/* Only a refusal tells that nobody listens; being short of descriptors, say, does not. */
		if (probe == -ECONNREFUSED && unlink(addr->sun_path) < 0 && errno != ENOENT)
			err = -errno;
		else if (probe != -ECONNREFUSED && probe != -ENOENT)
			err = probe;
		else if (!bind(fd, (const struct sockaddr *)addr, sizeof(*addr)))
			return 0;
		else
			err = -errno;
	}
	log_error("%s: control socket: %s", addr->sun_path, strerror(-err));
	return err;
}

static int control_listen(struct control *ctl)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char dir[CONTROL_PATH_MAX], file[sizeof(ctl->file)];
	int err = control_dir_path(0, dir, sizeof(dir));
	int n;

	snprintf(file, sizeof(file), "%s.sock", ctl->kvm->cfg->name);
	n = err ? -1 : snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", dir, file);
	if (n < 0 || (size_t)n >= sizeof(addr.sun_path)) {
		log_error(
			"control socket of %s: XDG_RUNTIME_DIR is too long: set a shorter one, %zu bytes at most",
			ctl->kvm->cfg->name, sizeof(addr.sun_path) - 7 - strlen(file));
		return -ENAMETOOLONG;
	}
	ctl->dirfd = control_dir_open(dir, true);
	if (ctl->dirfd < 0)
		return ctl->dirfd;

	ctl->listen.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	err = ctl->listen.fd < 0 ? -errno : control_dir_lock(ctl->dirfd);
	if (err) {
		log_error("%s: control socket: %s", addr.sun_path, strerror(-err));
		return err;
	}
	err = bind_socket(ctl, dir, ctl->listen.fd, &addr);
	if (err)
		return err;
	memcpy(ctl->file, file, sizeof(file));
	if (listen(ctl->listen.fd, BACKLOG) < 0) {
		err = -errno;
		log_error("%s: control socket: %s", addr.sun_path, strerror(-err));
	}
	flock(ctl->dirfd, LOCK_UN); /* the directory stays open for the removal at the end */
	return err;
}

int control_create(struct kvm *kvm)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	int err;

	if (!ctl)
		return -ENOMEM;
	ctl->kvm = kvm;
	ctl->dirfd = -1;
	ctl->listening = true;
	ctl->listen = (struct event_source){.fd = -1, .fn = on_listen, .arg = ctl};
	list_init(&ctl->clients);
	kvm->control = ctl;
	err = control_listen(ctl);
	if (!err) {
		err = event_add(&kvm->loop, &ctl->listen, EPOLLIN);
		if (err)
			log_error("%s: control socket: %s", kvm->cfg->name, strerror(-err));
	}
	if (err)
		control_destroy(kvm);
	return err;
}

void control_close(struct kvm *kvm)
{
	struct control *ctl = kvm->control;

	if (!ctl)
		return;
	while (!list_empty(&ctl->clients))
		client_drop(list_entry(ctl->clients.next, struct client, link));
	if (ctl->tick_made)
		event_timer_destroy(&kvm->loop, &ctl->tick);
	ctl->tick_made = false;
	event_del(&kvm->loop, &ctl->listen);
}

void control_destroy(struct kvm *kvm)
{
	struct control *ctl = kvm->control;

	if (!ctl)
		return;
	control_close(kvm);
	kvm->control = NULL;
	/* Removed while it still listens, so that nobody takes it for stale and puts his own in its place
	 * before. */
	if (ctl->file[0])
		unlinkat(ctl->dirfd, ctl->file, 0);
	if (ctl->listen.fd >= 0)
		close(ctl->listen.fd);
	if (ctl->dirfd >= 0)
		close(ctl->dirfd);
	free(ctl);
}

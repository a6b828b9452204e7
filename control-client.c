/* SPDX-License-Identifier: MIT */
/*
 * The verbs' end of the control socket: which VMs there are, and one request with its answer. Main thread of
 * a client process; no state. Every wait has a bound: a VM may be stopped, hung or malicious.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lkvm/control.h>
#include <lkvm/log.h>
#include <lkvm/option.h>
#include <lkvm/verb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RETRY_MS 5

/* --- which VMs there are ---------------------------------------------------------------------------- */

/* Removes a socket that nobody listens on, unless a VM has come up on it in the meantime. */
static void remove_stale(const char *dir, int dirfd, const char *name)
{
	char file[CONTROL_PATH_MAX + 8];
	int fd, lock = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* An open of its own: closing it lets go of the lock. */
	if (lock < 0)
		return;
	if (!control_dir_lock(lock)) {
		fd = control_connect(dir, name);
		snprintf(file, sizeof(file), "%s.sock", name);
		if (fd >= 0)
			close(fd);
		else if (fd == -ECONNREFUSED)
			unlinkat(dirfd, file, 0);
	}
	close(lock);
}

static int add_name(struct str_list *names, const char *name)
{
	char *copy;
	int err;

	for (size_t i = 0; i < names->count; i++)
		if (!strcmp(names->item[i], name))
			return 0;
	copy = strdup(name);
	err = copy ? str_list_add(names, copy) : -ENOMEM;
	if (err)
		free(copy);
	return err;
}

static int list_directory(const char *path, struct str_list *names)
{
	char name[CONTROL_PATH_MAX];
	struct dirent *entry;
	int err = 0, fd = control_dir_open(path, false);
	DIR *dir;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		err = -errno;
		close(fd);
		return err;
	}
	while (!err && (entry = readdir(dir))) {
		int probe;

		if (!control_name_of(entry->d_name, name))
			continue;
		probe = control_connect(path, name);
		if (probe >= 0)
			close(probe);
		if (probe >= 0 || probe == -EAGAIN)
			err = add_name(names, name);
		else if (probe == -ECONNREFUSED)
			remove_stale(path, fd, name);
	}
	closedir(dir);
	return err;
}

static int by_name(const void *a, const void *b)
{
	return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

int control_list(struct str_list *names)
{
	char path[CONTROL_PATH_MAX];
	int err = 0;

	for (u32 i = 0; i < CONTROL_DIRS && !err; i++) {
		err = control_dir_path(i, path, sizeof(path));
		if (err == -ENOENT)
			err = 0;
		else if (!err)
			err = list_directory(path, names);
		/* What concerns a directory was logged where it is opened. */
		if (err == -ENOMEM || err == -ENAMETOOLONG)
			log_error("the VMs of %s: %s", err == -ENOMEM ? "this user" : "XDG_RUNTIME_DIR",
				  strerror(-err));
	}
	if (err)
		control_names_free(names);
	else if (names->count > 1)
		qsort(names->item, names->count, sizeof(names->item[0]), by_name);
	return err;
}

void control_names_free(struct str_list *names)
{
	for (size_t i = 0; i < names->count; i++)
		free((void *)(uintptr_t)names->item[i]);
	str_list_free(names);
}

/* --- one request ------------------------------------------------------------------------------------- */

static s64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/* Until fd is ready for `events` or the deadline: 0 or -ETIMEDOUT. */
static int wait_fd(int fd, short events, s64 deadline)
{
	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = events};
		s64 left = deadline - now_ms();

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&pfd, 1, (int)left) > 0)
			return 0;
	}
}

static int connect_any(const char *name, s64 deadline)
{
	char path[CONTROL_PATH_MAX];
	int ret = -ENOENT;

	for (u32 i = 0; i < CONTROL_DIRS;) {
		int fd, err = control_dir_path(i, path, sizeof(path));

		if (err)
			return err == -ENOENT ? ret : err;
		fd = control_dir_open(path, false);
		if (fd >= 0) {
			close(fd);
			fd = control_connect(path, name);
		}
		if (fd >= 0)
			return fd;
		if (fd == -EAGAIN) {
			/* Its backlog is full: there is no readiness to wait for. */
			if (now_ms() >= deadline)
				return -ETIMEDOUT;
			poll(NULL, 0, RETRY_MS);
			continue;
		}
		if (fd != -ENOENT)
			ret = fd;
		i++;
	}
	return ret;
}

static int send_line(int fd, const char *request, s64 deadline)
{
	struct buf line = {0};
	size_t sent = 0;
	int err;

	buf_printf(&line, "%s\n", request);
	err = line.err;
	while (!err && sent < line.len) {
		ssize_t n = send(fd, line.data + sent, line.len - sent, MSG_NOSIGNAL);

		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN)
			err = wait_fd(fd, POLLOUT, deadline);
		else if (errno != EINTR)
			err = -errno;
	}
	buf_free(&line);
	/* A VM that refuses us answers at once and closes: its reason is there to be read. */
	return err == -EPIPE || err == -ECONNRESET ? 0 : err;
}

/* Reads one line; its newline is cut off. */
static int receive_line(int fd, struct buf *in, s64 deadline)
{
	char chunk[16384];

	for (;;) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
		const char *end;

		if (n < 0 && errno == EAGAIN) {
			int err = wait_fd(fd, POLLIN, deadline);

			if (err)
				return err;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		end = memchr(chunk, '\n', (size_t)n);
		buf_add(in, chunk, end ? (size_t)(end - chunk) : (size_t)n);
		if (in->err)
			return in->err;
		if (end)
			return 0;
	}
}

int control_call(const char *name, const char *request, int timeout_ms, struct json_value **reply)
{
	s64 deadline = now_ms() + timeout_ms;
	struct buf in = {.cap = CONTROL_MAX_REPLY};
	int err, fd;

	if (!*name || strchr(name, '/'))
		return -ENOENT;
	fd = connect_any(name, deadline);
	if (fd < 0)
		return fd;
	err = send_line(fd, request, deadline);
	if (!err)
		err = receive_line(fd, &in, deadline);
	if (!err)
		err = json_parse((const char *)in.data, in.len, reply);
	if (!err && (*reply)->type != JSON_OBJECT) {
		json_free(*reply);
		err = -EBADMSG;
	}
	buf_free(&in);
	close(fd);
	return err;
}

/* --- what the verbs share ----------------------------------------------------------------------------- */

static const char *call_error(int err)
{
	switch (err) {
	case -ENOENT:
	case -ECONNREFUSED:
		return "no VM of that name is running: \"lkvm list\" shows which are";
	case -ETIMEDOUT:
		return "does not answer: is it stopped?";
	case -ECONNRESET:
		return "ended before it answered";
	case -EBADMSG:
		return "answers what is no JSON object";
	case -EFBIG:
		return "answers more than can be read";
	case -EPERM:
		return "its control socket is not ours to use";
	default:
		return strerror(-err);
	}
}

int control_failed(const char *name, struct json *j, const char *why)
{
	log_error("%s: %s", name, why);
	json_begin(j, NULL, '{');
	json_str(j, "name", name);
	json_bool(j, "ok", false);
	json_str(j, "error", why);
	json_end(j, '}');
	return EXIT_HOST_ERROR;
}

int control_ask(const char *name, const char *request, struct json *j, struct json_value **reply)
{
	struct json_value *got = NULL;
	int err = control_call(name, request, CONTROL_CALL_MS, &got);
	const char *why = NULL;

	if (err)
		why = call_error(err);
	else if (!json_get_bool(got, "ok", false))
		why = json_get_str(got, "error", "failed, and does not say why");
	if (!why) {
		*reply = got;
		return 0;
	}
	control_failed(name, j, why);
	json_free(got);
	return EXIT_HOST_ERROR;
}

int control_ask_buf(const char *name, struct buf *request, struct json *j, struct json_value **reply)
{
	int status = request->err ? control_failed(name, j, "out of memory")
				  : control_ask(name, (const char *)request->data, j, reply);

	buf_free(request);
	return status;
}

/* The one VM there is, when none was named. */
static int check_single(const struct str_list *names, const char *verb)
{
	struct buf all = {.cap = 512};

	if (names->count == 1)
		return 0;
	for (size_t i = 0; i < names->count; i++)
		buf_printf(&all, "%s%s", i ? ", " : "", names->item[i]);
	log_error("%s: which VM? Give -n NAME or -a: %s", verb, all.data ? (const char *)all.data : "");
	buf_free(&all);
	return EXIT_USAGE;
}

int control_each(const struct control_target *target, const char *verb, control_each_fn one,
		 int (*finish)(struct json *j, void *arg), void *arg)
{
	struct buf out = {0};
	struct json j = {.out = &out};
	struct str_list names = {0};
	int status = 0, err = 0;

	if (target->name && target->all) {
		log_error("%s: --name and --all exclude each other: leave one of them out", verb);
		return EXIT_USAGE;
	}
	json_begin(&j, NULL, '[');
	if (target->name) {
		status = one(target->name, &j, arg);
	} else {
		err = control_list(&names);
		if (err) {
			status = EXIT_HOST_ERROR; /* logged, or out of memory */
		} else if (!names.count) {
			log_error("%s: no VM is running", verb);
			status = EXIT_HOST_ERROR;
		} else if (!target->all) {
			status = check_single(&names, verb);
		}
		for (size_t i = 0; i < names.count && !err && status != EXIT_USAGE; i++) {
			int ret = one(names.item[i], &j, arg);

			status = ret > status ? ret : status;
		}
		control_names_free(&names);
	}
	if (finish && status != EXIT_USAGE) {
		int ret = finish(&j, arg);

		status = ret > status ? ret : status;
	}
	json_end(&j, ']');
	if (target->json && status != EXIT_USAGE) {
		buf_u8(&out, '\n');
		if (out.err || fwrite(out.data, 1, out.len, stdout) != out.len)
			status = EXIT_HOST_ERROR;
	}
	if (fflush(stdout))
		status = EXIT_HOST_ERROR;
	buf_free(&out);
	return status;
}

static int simple_one(const char *name, struct json *j, void *arg)
{
	const struct control_simple *simple = arg;
	struct json_value *reply = NULL;
	int status = control_ask(name, simple->request, j, &reply);

	if (status)
		return status;
	if (!simple->target.json)
		printf("%s: %s\n", name, simple->done);
	json_begin(j, NULL, '{');
	json_str(j, "name", name);
	json_bool(j, "ok", true);
	json_end(j, '}');
	json_free(reply);
	return 0;
}

int control_simple_run(const struct verb *verb, const struct cli_option *table, struct control_simple *simple,
		       int argc, char **argv)
{
	int err = verb_options(verb, table, simple, argc, argv);

	if (err)
		return err < 0 ? EXIT_USAGE : 0;
	return control_each(&simple->target, verb->name, simple_one, NULL, simple);
}

/* SPDX-License-Identifier: MIT */
/*
 * The control socket: one Unix stream socket per VM, named NAME.sock, in a directory of mode 0700:
 * $XDG_RUNTIME_DIR/lkvm, else /run/lkvm for root and /tmp/lkvm-UID for others. A request is one line of JSON,
 * {"verb":"pause", ...}, at most CONTROL_MAX_REQUEST bytes; the answer is one line, {"ok":true, ...} or
 * {"ok":false,"error":"..."}. Only the same uid or root is served (SO_PEERCRED). A slow or silent client is
 * dropped and never blocks the VM.
 */
#ifndef LKVM_CONTROL_H
#define LKVM_CONTROL_H

#include <lkvm/buf.h>
#include <lkvm/json.h>
#include <lkvm/types.h>

struct cli_option;
struct kvm;
struct verb;

#define CONTROL_MAX_REQUEST KiB(64)
#define CONTROL_MAX_REPLY   MiB(16)

/* The `control` step. A VM of that name that lives: -EEXIST, logged. A stale socket is replaced. */
int __must_check control_create(struct kvm *kvm);
/* Nobody is served any more, but the socket stays: to others the VM is there until control_destroy(). */
void control_close(struct kvm *kvm);
void control_destroy(struct kvm *kvm);

/* --- where the sockets are (control-dir.c) ------------------------------------------------------- */

#define CONTROL_DIRS	 2   /* a VM is made in the first; root looks into /run/lkvm too */
#define CONTROL_PATH_MAX 108 /* sockaddr_un's */
/* The i-th directory's path. -ENOENT when there is no i-th, -ENAMETOOLONG. Silent. */
int __must_check control_dir_path(u32 i, char *out, size_t room);
/*
 * Opens the directory of that path, made before when `create`. A directory that is another's, a symbolic link
 * or open to others is refused. The fd, or -errno: logged, but for -ENOENT.
 */
int __must_check control_dir_open(const char *path, bool create);
/* One holder at a time makes or removes sockets; closing the fd lets go. -EBUSY after a second. Silent. */
int __must_check control_dir_lock(int dirfd);
/* A connected non-blocking socket: the fd, or -errno (-ENOENT, -ECONNREFUSED: nobody listens any more).
 * Silent. */
int __must_check control_connect(const char *dir, const char *name);
/* Whether the file name is NAME.sock of a possible VM; name has room for CONTROL_PATH_MAX. */
bool control_name_of(const char *file, char *name);

/* --- the client's side (control-client.c) --------------------------------------------------------- */

struct str_list;
/* Names of the VMs that listen, sorted; stale sockets are removed. Free with control_names_free(). */
int __must_check control_list(struct str_list *names);
void control_names_free(struct str_list *names);
/*
 * Sends one request and parses the answer; waits timeout_ms at the most. -errno silent (-ENOENT no such VM,
 * -ECONNREFUSED stale, -ETIMEDOUT, -EBADMSG, -EPERM not ours to control).
 */
int __must_check control_call(const char *name, const char *request, int timeout_ms,
			      struct json_value **reply);

#define CONTROL_CALL_MS 5000 /* what a verb waits for a VM that listens */

/* What the verbs have in common: -n NAME, -a, --json. The first member of a verb's own struct. */
struct control_target {
	const char *name;
	bool all;
	bool json;
};
#define CONTROL_TARGET_OPTIONS(type, target)                                                                 \
	{.name = "name",                                                                                     \
	 .letter = 'n',                                                                                      \
	 .kind = OPT_STRING,                                                                                 \
	 .arg = "NAME",                                                                                      \
	 .help = "the VM of that name; may be left out when only one runs",                                  \
	 .offset = offsetof(type, target.name)},                                                             \
		{.name = "all",                                                                              \
		 .letter = 'a',                                                                              \
		 .kind = OPT_FLAG,                                                                           \
		 .help = "every VM",                                                                         \
		 .offset = offsetof(type, target.all)},                                                      \
	{                                                                                                    \
		.name = "json", .kind = OPT_FLAG, .help = "answer as JSON",                                  \
		.offset = offsetof(type, target.json)                                                        \
	}

/*
 * Calls `one` for each VM that the target means, collecting what it adds to j (an open array, printed at the
 * end when target->json), and `finish`, which may be NULL, after the last. Both log their own failures and
 * return an exit status. The exit status: the highest of all, EXIT_HOST_ERROR when there is no VM, EXIT_USAGE
 * when the target is not clear.
 */
typedef int (*control_each_fn)(const char *name, struct json *j, void *arg);
int control_each(const struct control_target *target, const char *verb, control_each_fn one,
		 int (*finish)(struct json *j, void *arg), void *arg);
/*
 * For `one`: a call whose failure, the VM's own "error" included, is logged ("NAME: ...") and put into j as
 * {"name", "ok": false, "error"}. 0 and the reply, or an exit status.
 */
int __must_check control_ask(const char *name, const char *request, struct json *j,
			     struct json_value **reply);
/* The same with a request that was built; frees it. */
int __must_check control_ask_buf(const char *name, struct buf *request, struct json *j,
				 struct json_value **reply);

/* The same failure for other reasons than a call's. EXIT_HOST_ERROR. */
int control_failed(const char *name, struct json *j, const char *why);
/*
 * The whole of a verb that asks and says "NAME: DONE" on success: its `one`. arg is a struct control_simple.
 */
struct control_simple {
	struct control_target target;
	const char *request, *done;
};
int control_simple_run(const struct verb *verb, const struct cli_option *table, struct control_simple *simple,
		       int argc, char **argv);

#endif

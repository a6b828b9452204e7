/* SPDX-License-Identifier: MIT */
/*
 * Where control sockets live: the directory, its checks, its lock, and connecting. Called by control.c in the
 * VM's process and by control-client.c in the verbs'; main thread, no state.
 *
 * A socket is made (bind, then listen) and a stale one is removed (connect refused, then unlink) only under
 * the directory's lock: without it, one process could take another's socket for stale between its bind and
 * its listen, and two processes of one name could each remove the other's.
 */
#include <errno.h>
#include <fcntl.h>
#include <lkvm/control.h>
#include <lkvm/log.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK_TRIES   200
#define LOCK_WAIT_MS 5

int control_dir_path(u32 i, char *out, size_t room)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	uid_t uid = geteuid();
	struct stat st;
	int n;

	/* After `su` it may still be somebody else's: that is not ours to make sockets in. */
	if (xdg && (xdg[0] != '/' || stat(xdg, &st) < 0 || st.st_uid != uid))
		xdg = NULL;
	if (i == 0 && xdg)
		n = snprintf(out, room, "%s/lkvm", xdg);
	else if (uid == 0 && i == (xdg ? 1 : 0))
		n = snprintf(out, room, "/run/lkvm");
	else if (i == 0)
		n = snprintf(out, room, "/tmp/lkvm-%u", (unsigned)uid);
	else
		return -ENOENT;
	return n >= 0 && (size_t)n < room ? 0 : -ENAMETOOLONG;
}

int control_dir_open(const char *path, bool create)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int err, fd = open(path, flags);
	struct stat st;

	if (fd < 0 && errno == ENOENT && create) {
		/* Another lkvm may be making it too. */
		if (mkdir(path, 0700) < 0 && errno != EEXIST) {
			err = -errno;
			log_error("%s: cannot be made: %s", path, strerror(-err));
			return err;
		}
		fd = open(path, flags);
	}
	if (fd < 0) {
		err = -errno;
		if (err == -ELOOP || err == -ENOTDIR)
			log_error("%s: is no directory of its own: remove it", path);
		else if (err != -ENOENT || create)
			log_error("%s: %s", path, strerror(-err));
		return err;
	}
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid()) {
		log_error("%s: belongs to somebody else: remove it, or set XDG_RUNTIME_DIR", path);
		close(fd);
		return -EPERM;
	}
	if (st.st_mode & 077) {
		log_error("%s: is open to others: chmod 700 it", path);
		close(fd);
		return -EPERM;
	}
	return fd;
}

int control_dir_lock(int dirfd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (!flock(dirfd, LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		poll(NULL, 0, LOCK_WAIT_MS);
	}
	return -EBUSY;
}

int control_connect(const char *dir, const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s.sock", dir, name);
	int fd, err;

	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

bool control_name_of(const char *file, char *name)
{
	size_t len = strlen(file);

	if (len <= 5 || len - 5 >= CONTROL_PATH_MAX || file[0] == '.' || strcmp(file + len - 5, ".sock"))
		return false;
	memcpy(name, file, len - 5);
	name[len - 5] = 0;
	return true;
}

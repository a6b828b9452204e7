/* SPDX-License-Identifier: MIT */
/*
 * The host side of a console: lkvm's own stdin and stdout, or a pseudo-terminal of our making; raw mode and
 * the way back from it; the Ctrl-a escapes. Called by console.c on the main thread, with no lock.
 *
 * stdin and stdout are open files shared with the shell that started us, so O_NONBLOCK set on them would stay
 * behind and confuse it. Where the kernel lets us we open the same terminal or pipe once more, through
 * /proc/self/fd: that is an open file of our own, and may be non-blocking.
 *
 * Raw mode is full: with OPOST left on, the terminal would turn the bare line feed by which a full-screen
 * program moves the cursor down into a new line. A guest's own tty layer sends CR LF where it means it.
 */
#include <errno.h>
#include <fcntl.h>
#include <lkvm/tty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ESCAPE 0x01 /* Ctrl-a */

/* An open file of our own for what fd is; fd itself where that cannot be had; -1 where there is nothing. */
static int open_again(int fd, int flags, bool *own, bool *terminal)
{
	struct stat st;
	char path[32];
	int again;

	*own = *terminal = false;
	if (fstat(fd, &st) < 0)
		return -1;
	/* Nothing ever comes from /dev/null nor arrives there: no calls need be spent on it. */
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
		return -1;
	*terminal = S_ISCHR(st.st_mode) && isatty(fd);
	/* A regular file never blocks, and a second open file of it would have a position of its own. */
	if (!S_ISFIFO(st.st_mode) && !*terminal)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	*own = again >= 0;
	return *own ? again : fd;
}

/* A terminal that is not the controlling one knows no job control: it counts as ours. */
static bool in_foreground(int fd)
{
	pid_t group = tcgetpgrp(fd);

	return group < 0 || group == getpgrp();
}

/* Should we have become a background job since the check, SIGTTOU would stop us within the call. */
static int set_termios(int fd, const struct termios *t)
{
	sigset_t ttou, old;
	int err;

	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &old);
	err = tcsetattr(fd, TCSANOW, t) < 0 ? -errno : 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

int tty_open_stdio(struct tty *tty)
{
	bool terminal, out_terminal;

	memset(tty, 0, sizeof(*tty));
	tty->in = open_again(STDIN_FILENO, O_RDONLY, &tty->own_in, &terminal);
	tty->out = open_again(STDOUT_FILENO, O_WRONLY, &tty->own_out, &out_terminal);
	if (!terminal)
		return 0;
	tty->terminal = in_foreground(tty->in);
	if (!tty->terminal) {
		/* Reading would stop us by SIGTTIN. */
		if (tty->own_in)
			close(tty->in);
		tty->in = -1;
		tty->own_in = false;
	}
	return 0;
}

int tty_open_pty(struct tty *tty)
{
	struct termios t;
	int err, peer;

	memset(tty, 0, sizeof(*tty));
	tty->pty = true;
	tty->out = -1;
	tty->in = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (tty->in < 0)
		return -errno;
	tty->own_in = true;
	/* Two fds, for the event loop knows one fd only once. */
	tty->out = fcntl(tty->in, F_DUPFD_CLOEXEC, 0);
	tty->own_out = tty->out >= 0;
	if (tty->out < 0 || grantpt(tty->in) < 0 || unlockpt(tty->in) < 0 || tcgetattr(tty->in, &t) < 0) {
		err = -errno;
		goto fail;
	}
	err = -ptsname_r(tty->in, tty->path, sizeof(tty->path));
	if (err)
		goto fail;
	/* Or else the slave side echoes the guest's output, and the guest gets it as input. */
	cfmakeraw(&t);
	err = set_termios(tty->in, &t);
	if (err)
		goto fail;
	/* Only a slave side that was open once tells by EIO and POLLHUP that it no longer is. */
	peer = ioctl(tty->in, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (peer >= 0)
		close(peer);
	return 0;
fail:
	tty_close(tty);
	return err;
}

int tty_raw(struct tty *tty)
{
	struct termios t;
	int err;

	if (!tty->terminal || tty->raw)
		return 0;
	if (tcgetattr(tty->in, &tty->saved) < 0)
		return -errno;
	t = tty->saved;
	cfmakeraw(&t);
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	err = set_termios(tty->in, &t);
	tty->raw = !err;
	return err;
}

void tty_close(struct tty *tty)
{
	/* As a background job we would take the mode away from whoever is in the foreground now. */
	if (tty->raw && in_foreground(tty->in))
		set_termios(tty->in, &tty->saved);
	if (tty->own_in)
		close(tty->in);
	if (tty->own_out)
		close(tty->out);
	tty->in = tty->out = -1;
	tty->raw = tty->own_in = tty->own_out = tty->terminal = false;
}

size_t tty_filter(struct tty_escape *esc, u8 *buf, size_t len, u32 *actions)
{
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		u8 c = buf[i];

		if (!esc->prefix) {
			if (c == ESCAPE)
				esc->prefix = true;
			else
				buf[out++] = c;
			continue;
		}
		esc->prefix = false;
		switch (c) {
		case 'x':
			*actions |= TTY_QUIT;
			break;
		case 'h':
			*actions |= TTY_HELP;
			break;
		case 'a':
		case ESCAPE:
			buf[out++] = ESCAPE;
			break;
		}
	}
	return out;
}

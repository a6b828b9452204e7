/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/*
 * host/tty.c: the escape filter, however its input is cut; the terminal's mode there and back; and what is
 * never done to the stdin and stdout that we share with a shell.
 */
#include <errno.h>
#include <fcntl.h>
#include <lkvm/tty.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Filters text in two pieces, cut at every place, and in single bytes. */
static void check_filter(const char *text, const char *want, u32 want_actions)
{
	size_t len = strlen(text);

	for (size_t cut = 0; cut <= len + 1; cut++) {
		struct tty_escape esc = {0};
		u32 actions = 0;
		u8 got[64];
		size_t n = 0;

		for (size_t i = 0; i < len;) {
			size_t step = cut > len ? 1 : i < cut ? cut - i : len - i;

			memcpy(got + n, text + i, step);
			n += tty_filter(&esc, got + n, step, &actions);
			i += step;
		}
		assert_int_equal(n, strlen(want));
		assert_memory_equal(got, want, n);
		assert_int_equal(actions, want_actions);
	}
}

static void test_filter(void **state)
{
	check_filter("", "", 0);
	check_filter("plain\r\n\x02\x03\xff", "plain\r\n\x02\x03\xff", 0);
	check_filter("a\001xb", "ab", TTY_QUIT);
	check_filter("\001h", "", TTY_HELP);
	check_filter("\001h\001x", "", TTY_HELP | TTY_QUIT);
	check_filter("1\001a2", "1\0012", 0);
	check_filter("1\001\0012x", "1\0012x", 0);
	check_filter("1\001q2", "12", 0);
	check_filter("\001\001\001x", "\001", TTY_QUIT);
	check_filter("x\001", "x", 0);
}

/* Runs check() with stdin and stdout on these, in a child; its exit status is 0 when all is well. */
static int in_child(int in, int out, bool background, int (*check)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		/* A session of its own, whose controlling terminal is `in` when that is one. */
		setsid();
		if (isatty(in) && ioctl(in, TIOCSCTTY, 0))
			_exit(100);
		dup2(in, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		if (background) {
			pid = fork();
			if (!pid) {
				setpgid(0, 0);
				_exit(check());
			}
			waitpid(pid, &status, WUNTRACED);
			if (WIFSTOPPED(status)) {
				kill(pid, SIGKILL);
				waitpid(pid, NULL, 0);
			}
			_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 101);
		}
		_exit(check());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 102;
}

#define CHECK(cond)                                                                                          \
	do {                                                                                                 \
		if (!(cond))                                                                                 \
			return (dprintf(2, "line %d: %s\n", __LINE__, #cond), 1);                            \
	} while (0)

static bool same_mode(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
	       a->c_lflag == b->c_lflag && !memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc));
}

static int foreground(void)
{
	struct termios before, t;
	struct tty tty;

	CHECK(!tcgetattr(0, &before));
	CHECK(before.c_lflag & ICANON);
	CHECK(!tty_open_stdio(&tty));
	CHECK(tty.terminal && !tty.pty);
	/* Our own open files may be non-blocking; the shared ones stay as they were. */
	CHECK(tty.own_in && tty.own_out);
	CHECK(fcntl(tty.in, F_GETFL) & O_NONBLOCK && fcntl(tty.out, F_GETFL) & O_NONBLOCK);
	CHECK(!(fcntl(0, F_GETFL) & O_NONBLOCK) && !(fcntl(1, F_GETFL) & O_NONBLOCK));
	CHECK(!tcgetattr(0, &t) && same_mode(&before, &t));
	CHECK(!tty_raw(&tty));
	CHECK(!tcgetattr(0, &t));
	CHECK(!(t.c_lflag & (ICANON | ECHO | ISIG)) && !(t.c_oflag & OPOST) && !(t.c_iflag & (IXON | ICRNL)));
	CHECK(t.c_cc[VMIN] == 1 && t.c_cc[VTIME] == 0);
	CHECK(!tty_raw(&tty)); /* a second time must not save the raw mode */
	tty_close(&tty);
	CHECK(!tcgetattr(0, &t) && same_mode(&before, &t));
	tty_close(&tty);
	CHECK(tty.in == -1 && tty.out == -1);
	return 0;
}

static int background(void)
{
	struct termios before, t;
	struct tty tty;

	CHECK(!tcgetattr(0, &before));
	CHECK(!tty_open_stdio(&tty));
	CHECK(!tty.terminal && tty.in == -1 && tty.out >= 0);
	CHECK(!tty_raw(&tty));
	CHECK(!tcgetattr(0, &t) && same_mode(&before, &t));
	tty_close(&tty);
	return 0;
}

static int pipes(void)
{
	struct tty tty;

	CHECK(!tty_open_stdio(&tty));
	CHECK(!tty.terminal && tty.own_in && tty.own_out);
	CHECK(!(fcntl(0, F_GETFL) & O_NONBLOCK) && !(fcntl(1, F_GETFL) & O_NONBLOCK));
	CHECK(write(tty.out, "x", 1) == 1);
	CHECK(!tty_raw(&tty));
	tty_close(&tty);
	/* The pipes themselves are not ours to close. */
	CHECK(fcntl(0, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0);
	return 0;
}

static int closed(void)
{
	struct tty tty;

	close(0);
	close(1);
	CHECK(!tty_open_stdio(&tty));
	CHECK(tty.in == -1 && tty.out == -1);
	CHECK(!tty_raw(&tty));
	tty_close(&tty);
	return 0;
}

static void test_stdio(void **state)
{
	int master, slave, in[2], out[2];
	char c;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(in_child(slave, slave, false, foreground), 0);
	close(master);
	close(slave);
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(in_child(slave, slave, true, background), 0);
	close(master);
	close(slave);

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(in_child(in[0], out[1], false, pipes), 0);
	assert_int_equal(read(out[0], &c, 1), 1);
	assert_int_equal(in_child(in[0], out[1], false, closed), 0);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

static void test_pty(void **state)
{
	struct termios t;
	struct tty tty;
	char c = 0;
	int slave;

	assert_int_equal(tty_open_pty(&tty), 0);
	assert_true(tty.pty && tty.in != tty.out);
	slave = open(tty.path, O_RDWR | O_NOCTTY | O_NONBLOCK);
	assert_true(slave >= 0);
	assert_int_equal(tcgetattr(slave, &t), 0);
	assert_false(t.c_lflag & ECHO);
	assert_int_equal(write(tty.out, "g", 1), 1);
	assert_int_equal(read(tty.in, &c, 1), -1); /* no echo */
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(read(slave, &c, 1), 1);
	assert_int_equal(c, 'g');
	close(slave);
	tty_close(&tty);
	tty_close(&tty);
	assert_int_equal(tty.in, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_stdio),
		cmocka_unit_test(test_pty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

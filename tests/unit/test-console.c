/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: kvm_end log_print epoll_wait open open64 */
/*
 * console.c on a real event loop, with stdin and stdout made of everything people start lkvm on: pipes,
 * sockets, files, /dev/null, a terminal; and pseudo-terminals that come and go. Each byte once and in order,
 * nothing blocks, nothing spins.
 */
#include <errno.h>
#include <fcntl.h>
#include <lkvm/console.h>
#include <lkvm/endian.h>
#include <lkvm/kvm.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define GOT_MAX KiB(64)

struct fixture {
	struct kvm kvm;
	struct vm_config cfg;
	struct event_timer tick;
	bool (*until)(struct fixture *);
	u64 ticks, bound;
	int saved[2];
	int host_in, host_out; /* the far ends of stdin and stdout */

	struct device dev; /* the client */
	struct console *con;
	u8 got[GOT_MAX];
	size_t got_len, room, slice; /* room grows by slice at each tick */
	u32 ready;
	size_t want;  /* for until() */
	bool endless; /* room never ends */
	int slave;
	size_t left;
	u32 last;
};

static bool no_open; /* /proc is not there: open_again() fails */
static u32 ended, waits, logged;

void __wrap_kvm_end(struct kvm *kvm, enum vm_end why, int code)
{
	assert_int_equal(why, VM_STOPPED);
	ended++;
}

void __wrap_log_print(const struct log *log, enum log_level level, const char *fmt, ...)
{
	logged++;
}

int __real_epoll_wait(int epfd, struct epoll_event *ev, int n, int timeout);
int __wrap_epoll_wait(int epfd, struct epoll_event *ev, int n, int timeout)
{
	waits++;
	return __real_epoll_wait(epfd, ev, n, timeout);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	errno = EACCES;
	return no_open && !strncmp(path, "/proc/", 6) ? -1 : __real_open(path, flags, 0600);
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	errno = EACCES;
	return no_open && !strncmp(path, "/proc/", 6) ? -1 : __real_open64(path, flags, 0600);
}

static struct fixture *of(struct device *dev)
{
	return container_of(dev, struct fixture, dev);
}

static size_t client_room(struct device *dev)
{
	return of(dev)->room;
}

static void client_input(struct device *dev, const u8 *data, size_t len)
{
	struct fixture *f = of(dev);

	assert_true(len <= f->room && f->got_len + len <= GOT_MAX);
	memcpy(f->got + f->got_len, data, len);
	f->got_len += len;
	f->room = f->endless ? 16 : f->room - len;
}

static void client_output_ready(struct device *dev)
{
	of(dev)->ready++;
}

static const struct console_client client = {
	.room = client_room,
	.input = client_input,
	.output_ready = client_output_ready,
};

static void on_tick(struct event_timer *timer)
{
	struct fixture *f = timer->arg;

	f->ticks++;
	if (f->slice && !f->room) {
		f->room = f->slice;
		console_input_ready(f->con);
	}
	if (f->until(f) || f->ticks >= f->bound)
		f->kvm.loop.stop = true;
}

/* Runs the loop until then, for 10 s at the most. */
static void run_until(struct fixture *f, bool (*until)(struct fixture *))
{
	f->until = until;
	f->bound = f->ticks + 10000;
	f->kvm.loop.stop = false;
	event_timer_set(&f->tick, 1000000, 1000000);
	assert_int_equal(event_run(&f->kvm.loop), 0);
	event_timer_set(&f->tick, 0, 0);
	assert_true(until(f));
}

static bool after_20_ticks(struct fixture *f)
{
	return f->ticks + 10000 - f->bound >= 20;
}

/* With nothing to do the loop wakes for the tick alone. */
static void assert_quiet(struct fixture *f)
{
	u64 ticks;

	run_until(f, after_20_ticks); /* what is under way still */
	waits = 0;
	ticks = f->ticks;
	run_until(f, after_20_ticks);
	assert_in_range(waits, 1, f->ticks - ticks + 4);
}

static bool got_all(struct fixture *f)
{
	return f->got_len >= f->want;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	signal(SIGPIPE, SIG_IGN);
	ended = logged = 0;
	no_open = false;
	for (int i = 0; i < 2; i++)
		f->saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
	f->host_in = f->host_out = -1;
	f->kvm.cfg = &f->cfg;
	*state = f;
	return event_init(&f->kvm.loop) || event_timer_init(&f->kvm.loop, &f->tick, on_tick, f);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->con)
		console_detach(f->con);
	consoles_destroy(&f->kvm);
	event_timer_destroy(&f->kvm.loop, &f->tick);
	event_destroy(&f->kvm.loop);
	for (int i = 0; i < 2; i++) {
		dup2(f->saved[i], i);
		close(f->saved[i]);
	}
	if (f->host_in >= 0)
		close(f->host_in);
	if (f->host_out >= 0 && f->host_out != f->host_in)
		close(f->host_out);
	free(f);
	return 0;
}

static void be_fd(int fd, int as)
{
	assert_int_equal(dup2(fd, as), as);
	close(fd);
}

static void use_pipes(struct fixture *f)
{
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	be_fd(in[0], 0);
	be_fd(out[1], 1);
	f->host_in = in[1];
	f->host_out = out[0];
}

static void start(struct fixture *f, u32 index)
{
	assert_int_equal(consoles_create(&f->kvm), 0);
	assert_int_equal(console_attach(&f->kvm, index, &f->dev, &client, &f->con), 0);
	assert_int_equal(consoles_start(&f->kvm), 0);
}

static void fill(u8 *data, size_t len, u32 salt)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (u8)(i * 5 + (i >> 8) + salt);
}

static void test_attach(void **state)
{
	struct fixture *f = *state;
	struct console *con;

	use_pipes(f);
	start(f, 0);
	assert_int_equal(console_attach(&f->kvm, 0, &f->dev, &client, &con), -EBUSY);
	assert_int_equal(console_attach(&f->kvm, CONSOLE_MAX, &f->dev, &client, &con), -EINVAL);
	/* A console without a host side swallows output, and never has input. */
	assert_int_equal(console_attach(&f->kvm, 3, &f->dev, &client, &con), 0);
	assert_int_equal(console_write(con, (const u8 *)"abc", 3), 3);
	console_input_ready(con);
	console_detach(con);
}

/* 20 KiB through a pipe to a client that takes 16 bytes a time; then the writer goes away, and the VM does
 * not. */
static void paste(struct fixture *f)
{
	u8 *data = malloc(20000);
	int waiting;

	use_pipes(f);
	f->room = 16;
	start(f, 0);
	assert_quiet(f); /* nothing there to read */
	f->room = 0;
	fill(data, 20000, 1);
	assert_int_equal(write(f->host_in, data, 20000), 20000);
	assert_quiet(f); /* the client has no room at all */
	assert_int_equal(f->got_len, 0);
	assert_int_equal(ioctl(0, FIONREAD, &waiting), 0);
	assert_int_equal(waiting, 20000); /* for the sender to see */
	close(f->host_in);
	f->host_in = -1;
	assert_quiet(f); /* hung up, with bytes left that nobody takes */
	f->slice = 160;
	f->want = 20000;
	run_until(f, got_all);
	assert_int_equal(f->got_len, 20000);
	assert_memory_equal(f->got, data, 20000);
	f->slice = 0;
	f->room = 16;
	console_input_ready(f->con);
	assert_quiet(f);
	assert_int_equal(console_write(f->con, (const u8 *)"on", 2), 2);
	assert_int_equal(read(f->host_out, data, 10), 2);
	free(data);
}

static void test_paste(void **state)
{
	paste(*state);
}

static void test_paste_shared(void **state)
{
	no_open = true;
	paste(*state);
}

static bool drained(struct fixture *f)
{
	u8 buf[3000], want[3000];
	ssize_t n;

	while (poll(&(struct pollfd){.fd = f->host_out, .events = POLLIN}, 1, 0) == 1) {
		n = read(f->host_out, buf, sizeof(buf));
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++) {
			size_t at = f->want + (size_t)i;

			want[i] = (u8)(at * 5 + (at >> 8) + 2);
		}
		assert_memory_equal(buf, want, n);
		f->want += (size_t)n;
	}
	return f->ready;
}

/* A reader that reads nothing: console_write() takes what fits and no more; later all of it comes out. */
static void slow_reader(struct fixture *f)
{
	size_t len = KiB(1024), taken = 0, n;
	u8 *data = malloc(len);

	start(f, 0);
	fill(data, len, 2);
	do {
		n = console_write(f->con, data + taken, min_u64(1 + taken % 5000, len - taken));
		taken += n;
	} while (n);
	assert_in_range(taken, KiB(256), len - 1);
	assert_quiet(f);
	assert_int_equal(f->ready, 0);
	f->want = 0;
	run_until(f, drained);
	assert_int_equal(f->ready, 1);
	(void)drained(f);
	assert_int_equal(f->want, taken);
	free(data);
}

static void test_slow_pipe(void **state)
{
	use_pipes(*state);
	slow_reader(*state);
}

static void test_slow_pipe_shared(void **state)
{
	no_open = true;
	use_pipes(*state);
	slow_reader(*state);
}

static void test_slow_socket(void **state)
{
	struct fixture *f = *state;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	dup2(pair[0], 0);
	be_fd(pair[0], 1);
	f->host_in = f->host_out = pair[1];
	slow_reader(f);
}

static void test_reader_gone(void **state)
{
	struct fixture *f = *state;
	u8 data[4096] = {0};

	use_pipes(f);
	start(f, 0);
	while (console_write(f->con, data, sizeof(data)) == sizeof(data))
		;
	close(f->host_out);
	f->host_out = -1;
	assert_quiet(f);
	assert_int_equal(f->ready, 1); /* the guest is not held up for ever */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(console_write(f->con, data, sizeof(data)), sizeof(data));
	assert_quiet(f);
	assert_int_equal(logged, 1);
}

/* What the guest said last gets out, though its reader comes late. */
static void test_last_words(void **state)
{
	struct fixture *f = *state;
	u8 data[4096] = {0};
	size_t len = 0;
	int status;
	pid_t pid;

	use_pipes(f);
	start(f, 0);
	while (console_write(f->con, data, sizeof(data)) == sizeof(data))
		len += sizeof(data);
	pid = fork();
	if (!pid) {
		size_t got = 0;
		ssize_t n;

		/* All of the writing end's fds must go, or the end of it never comes. */
		dup2(f->host_out, 0);
		close(1);
		close_range(3, ~0u, 0);
		while ((n = read(0, data, sizeof(data))) > 0)
			got += (size_t)n;
		_exit(got < len);
	}
	consoles_destroy(&f->kvm);
	f->con = NULL;
	dup2(f->saved[1], 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_files(void **state)
{
	struct fixture *f = *state;
	char in_name[] = "/tmp/test-console-XXXXXX", out_name[] = "/tmp/test-console-XXXXXX";
	int in = mkostemp(in_name, O_CLOEXEC), out = mkostemp(out_name, O_CLOEXEC);
	u8 data[10000], back[10000];

	unlink(in_name);
	unlink(out_name);
	fill(data, sizeof(data), 3);
	assert_int_equal(write(in, data, sizeof(data)), sizeof(data));
	lseek(in, 0, SEEK_SET);
	assert_int_equal(write(out, "head", 4), 4);
	be_fd(in, 0);
	be_fd(out, 1);
	start(f, 0);
	assert_quiet(f);
	f->slice = 1000;
	f->want = 3000;
	run_until(f, got_all);
	f->slice = 0;
	f->room = 16;
	f->endless = true;
	console_input_ready(f->con);
	f->want = sizeof(data);
	run_until(f, got_all);
	assert_memory_equal(f->got, data, sizeof(data));
	f->room = 100;
	console_input_ready(f->con);
	assert_quiet(f); /* the end of the file */
	assert_int_equal(console_write(f->con, data, sizeof(data)), sizeof(data));
	assert_int_equal(pread(1, back, sizeof(back), 4), sizeof(data)); /* behind what was there */
	assert_memory_equal(back, data, sizeof(data));
}

static void test_dev_null(void **state)
{
	struct fixture *f = *state;
	u8 data[100] = {0};

	be_fd(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
	be_fd(open("/dev/full", O_WRONLY | O_CLOEXEC), 1);
	f->room = 10;
	start(f, 0);
	assert_quiet(f);
	for (int i = 0; i < 10; i++)
		assert_int_equal(console_write(f->con, data, sizeof(data)), sizeof(data));
	assert_int_equal(logged, 1); /* ENOSPC, once */
}

static bool quit(struct fixture *f)
{
	return ended;
}

/* Ctrl-a x gets through to us, whatever lies unread before it; the rest is the guest's. */
static void test_escapes(void **state)
{
	struct fixture *f = *state;
	struct termios before, t;
	int slave;

	assert_int_equal(openpty(&f->host_in, &slave, NULL, NULL, NULL), 0);
	f->host_out = f->host_in;
	dup2(slave, 0);
	be_fd(slave, 1);
	assert_int_equal(tcgetattr(0, &before), 0);
	start(f, 0);
	assert_int_equal(tcgetattr(0, &t), 0);
	assert_false(t.c_lflag & ICANON);
	assert_int_equal(write(f->host_in, "ls\r\001a\001", 6), 6);
	assert_quiet(f);
	assert_int_equal(ended, 0);
	assert_int_equal(write(f->host_in, "x!", 2), 2);
	run_until(f, quit);
	assert_int_equal(f->got_len, 0);
	f->slice = 2;
	f->want = 5;
	run_until(f, got_all);
	assert_memory_equal(f->got, "ls\r\001!", 5);
	assert_quiet(f);
	consoles_destroy(&f->kvm);
	f->con = NULL;
	assert_int_equal(tcgetattr(0, &t), 0);
	assert_int_equal(t.c_lflag, before.c_lflag);
	assert_int_equal(t.c_oflag, before.c_oflag);
}

/* Reads f->left bytes from the slave side; the last four stay in f->last. */
static bool slave_read(struct fixture *f)
{
	u8 byte;

	while (f->left && read(f->slave, &byte, 1) == 1) {
		f->last = f->last >> 8 | (u32)byte << 24;
		f->left--;
	}
	return !f->left;
}

/* A pty that nobody has open, that somebody opens, leaves, and opens again. */
static void test_pty(void **state)
{
	struct fixture *f = *state;
	u8 data[300];
	char path[64];
	int slave, number;

	f->cfg.tty[1] = true;
	use_pipes(f);
	/* Its path goes to stderr, for people; we find it as the newest. */
	start(f, 1);
	f->room = 16;
	assert_quiet(f);
	/* Output is kept for who comes, the newest 256 KiB; the guest is never held up. */
	for (u32 i = 0; i < 100000; i++) {
		put_le32(data, i);
		assert_int_equal(console_write(f->con, data, sizeof(i)), sizeof(i));
	}
	fill(data, sizeof(data), 4);
	assert_quiet(f);
	assert_int_equal(f->ready, 0);
	number = -1;
	for (int fd = 3; fd < 64 && number < 0; fd++)
		if (isatty(fd) && ptsname(fd))
			number = fd;
	assert_true(number >= 0);
	assert_int_equal(ptsname_r(number, path, sizeof(path)), 0);
	for (u32 round = 1; round <= 3; round++) {
		char line[16];

		slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
		assert_true(slave >= 0);
		f->slave = slave;
		f->left = round == 1 ? KiB(256) : sizeof(data);
		run_until(f, slave_read);
		if (round == 1)
			assert_int_equal(f->last, 99999);
		assert_int_equal(write(slave, "hello", 5), 5);
		f->want = 5 * round;
		f->slice = 16;
		run_until(f, got_all);
		assert_memory_equal(f->got + 5 * (round - 1), "hello", 5);
		assert_int_equal(console_write(f->con, (const u8 *)"world", 5), 5);
		assert_int_equal(poll(&(struct pollfd){.fd = slave, .events = POLLIN}, 1, 5000), 1);
		assert_int_equal(read(slave, line, sizeof(line)), 5);
		close(slave);
		assert_quiet(f);
		assert_int_equal(console_write(f->con, data, sizeof(data)), sizeof(data));
		assert_quiet(f);
	}
	/* Who is there and does not read holds the guest up, until he goes. */
	slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	f->slave = slave;
	f->left = sizeof(data);
	run_until(f, slave_read);
	while (console_write(f->con, data, sizeof(data)) == sizeof(data))
		;
	assert_quiet(f);
	assert_int_equal(f->ready, 0);
	close(slave);
	assert_quiet(f);
	assert_int_equal(f->ready, 1);
	assert_int_equal(console_write(f->con, data, sizeof(data)), sizeof(data));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_attach, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paste, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paste_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_pipe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_pipe_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dev_null, setup, teardown),
		cmocka_unit_test_setup_teardown(test_escapes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pty, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Lines for the person who runs lkvm, on stderr. See log.h for who logs what.
 *
 * Called by everybody, on any thread, without a lock: a line goes out by one write(2), which the kernel does
 * not mix with another on a terminal, and on a pipe not up to PIPE_BUF bytes. errno is left as it was.
 */
#include <errno.h>
#include <lkvm/log.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LINE_ROOM     1024   /* longer ones (register dumps) come from malloc */
#define LINE_MAX_ROOM MiB(1) /* and beyond this the rest is cut off */
#define STALL_MS      100    /* how long a stderr that takes nothing may hold us up */
#define WINDOW_NS     5000000000ull
#define WINDOW_COUNT  10

static const char *const level_name[] = {
	[LOG_ERROR] = "error", [LOG_WARN] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

/* In raw mode the terminal moves down on '\n' and does not go back to the first column. */
static bool stderr_is_raw(void)
{
	struct termios t;

	return !tcgetattr(STDERR_FILENO, &t) && !(t.c_oflag & OPOST);
}

static void write_all(const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			/* stderr may share its open file, and with it O_NONBLOCK, with a console. */
			struct pollfd pfd = {.fd = STDERR_FILENO, .events = POLLOUT};

			if (poll(&pfd, 1, STALL_MS) <= 0)
				return;
		} else if (n >= 0 || errno != EINTR) {
			return; /* nowhere to say so */
		}
	}
}

/*
 * Copies text to out for the terminal: control bytes, which a file's or a VM's name may well contain, become
 * '?', and each '\n' gets its '\r' when wanted. out has room for twice len.
 */
static size_t line_clean(char *out, const char *text, size_t len, bool cr)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '\n' && cr)
			out[n++] = '\r';
		if (((u8)c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			c = '?';
		out[n++] = c;
	}
	return n;
}

static __printf(2, 0) void line_print(const char *prefix, const char *fmt, va_list ap)
{
	char small_text[LINE_ROOM], small_out[2 * LINE_ROOM];
	char *text = small_text, *out = small_out, *big = NULL;
	size_t room = sizeof(small_text), len;
	va_list again;
	int need;

	va_copy(again, ap);
	len = (size_t)snprintf(text, room, "%s", prefix);
	need = vsnprintf(text + len, room - len - 1, fmt, ap);
	if (need < 0)
		need = 0;
	if ((size_t)need >= room - len - 1 && (size_t)need < LINE_MAX_ROOM) {
		room = len + (size_t)need + 2;
		big = malloc(3 * room);
		if (big) {
			text = big;
			out = big + room;
			memcpy(text, prefix, len);
			vsnprintf(text + len, room - len - 1, fmt, again);
		}
	}
	va_end(again);

	len = strlen(text);
	if (!len || text[len - 1] != '\n')
		text[len++] = '\n';
	write_all(out, line_clean(out, text, len, stderr_is_raw()));
	free(big);
}

void log_print(const struct log *log, enum log_level level, const char *fmt, ...)
{
	static const char *const prefix[] = {[LOG_ERROR] = "lkvm: ",
					     [LOG_WARN] = "lkvm: warning: ",
					     [LOG_INFO] = "lkvm: ",
					     [LOG_DEBUG] = "lkvm: debug: "};
	int saved = errno;
	va_list ap;

	if (level > (log ? log->level : LOG_WARN))
		return;
	va_start(ap, fmt);
	line_print(prefix[level], fmt, ap);
	va_end(ap);
	errno = saved;
}

int log_level_parse(const char *word, enum log_level *level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_name); i++) {
		if (!strcmp(word, level_name[i])) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool ratelimit_ok(struct ratelimit *rl)
{
	struct timespec ts;
	u64 now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (u64)ts.tv_sec * 1000000000ull + (u64)ts.tv_nsec;
	if (!rl->window_ns || now - rl->window_ns >= WINDOW_NS) {
		rl->window_ns = now;
		rl->count = 0;
	}
	if (rl->count >= WINDOW_COUNT)
		return false;
	rl->count++;
	return true;
}

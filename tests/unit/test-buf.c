/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: realloc */
/* The growing buffer: its cap, its NUL, what sticks after a failure. */
#include "capture.h"
#include <errno.h>
#include <fcntl.h>
#include <lkvm/buf.h>
#include <lkvm/log.h>
#include <pthread.h>
#include <stdio.h>
#include <termios.h>

static bool realloc_fails;
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size)
{
	return realloc_fails ? NULL : __real_realloc(p, size);
}

static void test_grows(void **state)
{
	struct buf b = {0};

	for (u32 i = 0; i < 100000; i++)
		buf_u8(&b, (u8)(i * 7));
	assert_int_equal(b.err, 0);
	assert_int_equal(b.len, 100000);
	for (u32 i = 0; i < 100000; i++)
		assert_int_equal(b.data[i], (u8)(i * 7));
	assert_int_equal(b.data[b.len], 0);
	buf_free(&b);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
}

static void test_little_endian(void **state)
{
	static const u8 want[] = {1, 3, 2, 7, 6, 5, 4, 0xf, 0xe, 0xd, 0xc, 0xb, 0xa, 9, 8, 0, 0, 0};
	struct buf b = {0};

	buf_u8(&b, 1);
	buf_le16(&b, 0x0203);
	buf_le32(&b, 0x04050607);
	buf_le64(&b, 0x08090a0b0c0d0e0f);
	buf_zero(&b, 3);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
	buf_free(&b);
}

static void test_empty_add(void **state)
{
	struct buf b = {0};

	buf_add(&b, NULL, 0);
	assert_int_equal(b.err, 0);
	assert_int_equal(b.len, 0);
	assert_non_null(b.data);
	assert_int_equal(b.data[0], 0);
	buf_free(&b);
}

/* Every cap from 0 bytes of room to more than the first allocation, filled to the byte in several ways. */
static void test_cap(void **state)
{
	for (size_t cap = 1; cap < 700; cap++) {
		struct buf b = {.cap = cap};

		for (size_t i = 0; i < cap; i++)
			buf_u8(&b, 'x');
		assert_int_equal(b.err, 0);
		assert_int_equal(b.len, cap);
		buf_u8(&b, 'y');
		assert_int_equal(b.err, -EFBIG);
		assert_int_equal(b.len, cap);
		buf_free(&b);

		b = (struct buf){.cap = cap};
		buf_printf(&b, "%*s", (int)cap, "");
		assert_int_equal(b.err, 0);
		assert_int_equal(b.len, cap);
		buf_printf(&b, "%s", "");
		assert_int_equal(b.err, 0);
		buf_printf(&b, "z");
		assert_int_equal(b.err, -EFBIG);
		assert_int_equal(b.len, cap);
		assert_int_equal(strlen((char *)b.data), cap);
		buf_free(&b);

		b = (struct buf){.cap = cap};
		buf_zero(&b, cap + 1);
		assert_int_equal(b.err, -EFBIG);
		assert_int_equal(b.len, 0);
		buf_free(&b);
	}
}

static void test_cap_16m_without_one(void **state)
{
	struct buf b = {0};

	buf_zero(&b, MiB(16));
	assert_int_equal(b.err, 0);
	buf_u8(&b, 1);
	assert_int_equal(b.err, -EFBIG);
	assert_int_equal(b.len, MiB(16));
	buf_free(&b);
}

static void test_huge_length(void **state)
{
	struct buf b = {0};

	buf_u8(&b, 1);
	buf_zero(&b, SIZE_MAX);
	assert_int_equal(b.err, -EFBIG);
	buf_free(&b);
}

static void test_printf(void **state)
{
	struct buf b = {0};
	char line[32];
	size_t want = 0;

	for (int i = 0; i < 2000; i++) {
		buf_printf(&b, "%d:%s;", i, "abc");
		want += (size_t)snprintf(line, sizeof(line), "%d:%s;", i, "abc");
		assert_int_equal(b.len, want);
		assert_memory_equal(b.data + b.len - strlen(line), line, strlen(line) + 1);
	}
	buf_free(&b);
}

static void test_no_memory_sticks(void **state)
{
	struct buf b = {0};

	buf_add(&b, "abc", 3);
	realloc_fails = true;
	buf_zero(&b, 100000);
	realloc_fails = false;
	assert_int_equal(b.err, -ENOMEM);
	buf_u8(&b, 'd');
	buf_printf(&b, "%s", "e");
	assert_int_equal(b.len, 3);
	assert_string_equal((char *)b.data, "abc");
	buf_free(&b);

	realloc_fails = true;
	buf_printf(&b, "%d", 1);
	realloc_fails = false;
	assert_int_equal(b.err, -ENOMEM);
	assert_null(b.data);
	buf_free(&b);
}

/* --- log.c ------------------------------------------------------------------------------------- */

static void test_log_prefixes(void **state)
{
	struct log all = {LOG_DEBUG}, few = {LOG_ERROR};

	capture_begin(STDERR_FILENO);
	log_error("a %d", 1);
	log_warn(NULL, "b");
	log_info(NULL, "not without a struct log");
	log_warn(&all, "c");
	log_info(&all, "d");
	log_debug(&all, "e\n");
	log_warn(&few, "not at this level");
	assert_string_equal(capture_end(), "lkvm: a 1\nlkvm: warning: b\nlkvm: warning: c\nlkvm: d\n"
					   "lkvm: debug: e\n");
}

static void test_log_control_bytes(void **state)
{
	capture_begin(STDERR_FILENO);
	log_error("x\033[2Jy\rz\177\tt \xc3\xa4");
	assert_string_equal(capture_end(), "lkvm: x?[2Jy?z?\tt \xc3\xa4\n");
}

/* Lines around the size of the buffer on the stack, and far beyond it. */
static void test_log_long_lines(void **state)
{
	static char text[40000];

	for (size_t len = 900; len < sizeof(text); len = len < 1200 ? len + 1 : len * 2) {
		const char *said;

		memset(text, 'q', len);
		text[len] = 0;
		capture_begin(STDERR_FILENO);
		log_error("%s", text);
		said = capture_end();
		assert_int_equal(strlen(said), len + 7);
		assert_memory_equal(said + 6, text, len);
		assert_int_equal(said[len + 6], '\n');
	}
}

/* In raw mode each line ends in CR LF; otherwise the terminal itself sees to that. */
static void test_log_raw_terminal(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, saved = dup(STDERR_FILENO);
	struct termios t;
	char got[64];
	ssize_t n;

	assert_true(master >= 0 && saved >= 0);
	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	assert_int_equal(tcgetattr(slave, &t), 0);
	for (int raw = 0; raw < 2; raw++) {
		if (raw)
			cfmakeraw(&t);
		else
			t.c_oflag = OPOST; /* and no ONLCR: what is written is what is read */
		assert_int_equal(tcsetattr(slave, TCSANOW, &t), 0);
		dup2(slave, STDERR_FILENO);
		log_error("a\nb");
		dup2(saved, STDERR_FILENO);
		n = read(master, got, sizeof(got) - 1);
		assert_true(n > 0);
		got[n] = 0;
		assert_string_equal(got, raw ? "lkvm: a\r\nb\r\n" : "lkvm: a\nb\n");
	}
	close(saved);
	close(slave);
	close(master);
}

static void test_log_keeps_errno(void **state)
{
	capture_begin(STDERR_FILENO);
	errno = EXDEV;
	log_error("x");
	capture_end();
	assert_int_equal(errno, EXDEV);
}

static void *log_many(void *arg)
{
	for (int i = 0; i < 100; i++)
		log_error("thread %c line %03d ........................................", *(char *)arg, i);
	return NULL;
}

static void test_log_lines_do_not_mix(void **state)
{
	char names[] = "abcd";
	pthread_t thread[4];
	const char *said, *line;
	u32 lines = 0;

	capture_begin(STDERR_FILENO);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, log_many, &names[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	said = capture_end();
	for (line = said; *line; line = strchr(line, '\n') + 1) {
		assert_int_equal(strncmp(line, "lkvm: thread ", 13), 0);
		assert_int_equal(strcspn(line, "\n"), 64);
		lines++;
	}
	assert_int_equal(lines, 400);
}

static void test_log_levels(void **state)
{
	enum log_level level;

	assert_int_equal(log_level_parse("warning", &level), 0);
	assert_int_equal(level, LOG_WARN);
	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_DEBUG);
	assert_int_equal(log_level_parse("Debug", &level), -EINVAL);
	assert_int_equal(log_level_parse("", &level), -EINVAL);
}

static void test_ratelimit(void **state)
{
	struct ratelimit rl = {0};
	u32 passed = 0;

	for (int i = 0; i < 1000; i++)
		passed += ratelimit_ok(&rl);
	assert_int_equal(passed, 10);
	rl.window_ns -= 5000000000ull;
	assert_true(ratelimit_ok(&rl));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_little_endian),
		cmocka_unit_test(test_empty_add),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_cap_16m_without_one),
		cmocka_unit_test(test_huge_length),
		cmocka_unit_test(test_printf),
		cmocka_unit_test(test_no_memory_sticks),
		cmocka_unit_test(test_log_prefixes),
		cmocka_unit_test(test_log_control_bytes),
		cmocka_unit_test(test_log_long_lines),
		cmocka_unit_test(test_log_raw_terminal),
		cmocka_unit_test(test_log_keeps_errno),
		cmocka_unit_test(test_log_lines_do_not_mix),
		cmocka_unit_test(test_log_levels),
		cmocka_unit_test(test_ratelimit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

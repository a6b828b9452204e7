/* SPDX-License-Identifier: MIT */
/* What a piece of code says on stderr (or another fd), for tests of messages. One capture at a time. */
#ifndef LKVM_TEST_CAPTURE_H
#define LKVM_TEST_CAPTURE_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

static struct {
	int target, saved, mem;
	char text[65536];
} capture;

static inline void capture_begin(int fd)
{
	capture.target = fd;
	capture.saved = dup(fd);
	capture.mem = memfd_create("capture", MFD_CLOEXEC);
	assert_true(capture.saved >= 0 && capture.mem >= 0);
	/* As a log file is opened: each line goes to the end, whichever thread's it is. */
	assert_int_equal(fcntl(capture.mem, F_SETFL, O_APPEND), 0);
	assert_int_equal(dup2(capture.mem, fd), fd);
}

/* What was said since; good until the next capture. */
static inline const char *capture_end(void)
{
	ssize_t n;

	dup2(capture.saved, capture.target);
	close(capture.saved);
	n = pread(capture.mem, capture.text, sizeof(capture.text) - 1, 0);
	close(capture.mem);
	capture.text[n > 0 ? n : 0] = 0;
	return capture.text;
}

/* Exactly one line of lkvm's, with `part` in it. */
static inline void assert_one_line(const char *text, const char *part)
{
	const char *end = strchr(text, '\n');

	if (strncmp(text, "lkvm: ", 6) || !end || end[1] || !strstr(text, part))
		fail_msg("wanted one line with \"%s\", got: %s", part, text);
}

#endif

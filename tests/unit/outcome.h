/* SPDX-License-Identifier: MIT */
/*
 * `lkvm run` from its words to its exit status, in this process, with stdin empty and the other two caught;
 * and what must be left of it afterwards: nothing. One at a time, on the test's main thread.
 */
#ifndef LKVM_TEST_OUTCOME_H
#define LKVM_TEST_OUTCOME_H

#include "fake-kvm.h"
#include <fcntl.h>
#include <lkvm/config.h>
#include <lkvm/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct outcome {
	int status; /* 2 where the words are wrong */
	char out[4096], err[16384];
};

static inline void outcome_take(int fd, char *text, size_t room)
{
	ssize_t n = pread(fd, text, room - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	close(fd);
}

static inline void outcome_run(struct outcome *o, int argc, const char *const *argv)
{
	struct vm_config cfg;
	int old[3], new[3];
	bool help;

	fflush(NULL);
	new[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	new[1] = memfd_create("out", MFD_CLOEXEC);
	new[2] = memfd_create("err", MFD_CLOEXEC);
	fcntl(new[2], F_SETFL, O_APPEND);
	for (int i = 0; i < 3; i++) {
		old[i] = dup(i);
		dup2(new[i], i);
	}
	o->status = config_parse(&cfg, argc, (char **)(uintptr_t)argv, &help) ? 2 : kvm_session(&cfg);
	config_free(&cfg);
	for (int i = 0; i < 3; i++) {
		dup2(old[i], i);
		close(old[i]);
	}
	close(new[0]);
	outcome_take(new[1], o->out, sizeof(o->out));
	outcome_take(new[2], o->err, sizeof(o->err));
}

static inline u32 outcome_lines(const char *text)
{
	u32 n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* Neither a KVM fd nor any other one is left over `fds`; what the fake itself holds goes with the reset. */
static inline void outcome_nothing_left(u32 fds)
{
	struct buf left = {0};
	u32 n = fake_kvm_open_fds(&left);

	if (n)
		print_error("left open: %s\n", (const char *)left.data);
	buf_free(&left);
	assert_int_equal(n, 0);
	fake_kvm_reset();
	assert_int_equal(fake_count_fds(), fds);
}

#endif

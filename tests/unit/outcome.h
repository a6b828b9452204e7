/* SPDX-License-Identifier: MIT */
/*
 * `lkvm run` from its words to its exit status, in this process, with stdin empty and the other two caught;
 * and what must be left of it afterwards: nothing. One at a time, on the test's main thread.
 */
#ifndef LKVM_TEST_OUTCOME_H
#define LKVM_TEST_OUTCOME_H

#include "fake-kvm.h"
#include <fcntl.h>
#include <inttypes.h>
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

/*
 * A VM whose start outcome_each_failure() takes apart: its guest's part, which ends with status 7; a session
 * of it; and the calls, besides those that any host may lack, without which it may go on (NULL at the end).
 */
struct outcome_vm {
	const struct fake_exit *script;
	u32 len;
	void (*session)(struct outcome *o, const char *const *options);
	const char *const *optional;
	u32 fds;
	/* Makes the fake host what it is once more, after a reset; NULL: there is nothing to do. */
	void (*host)(void);
};

/* Whether lkvm may take the failure for "this host lacks it" and go on. */
static inline bool outcome_may_fail(const struct outcome_vm *start, const struct fake_call *c)
{
	static const char *const names[] = {"KVM_CHECK_EXTENSION", "KVM_HAS_DEVICE_ATTR", "KVM_CREATE_DEVICE",
					    "KVM_REGISTER_COALESCED_MMIO", "KVM_IRQ_LINE"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], c->name))
			return true;
	for (const char *const *name = start->optional; name && *name; name++)
		if (!strcmp(*name, c->name))
			return true;
	/* A second vCPU that fails races with what the first one does. */
	return !strcmp(c->name, "KVM_RUN") && c->id;
}

/* Each call up to the guest's first exits fails in turn: status 1, one line, nothing left, no hang. */
__unused static void outcome_each_failure(const struct outcome_vm *start, const char *const *options, int err)
{
	struct outcome o;
	u32 n, failed = 0;
	int run;

	fake_kvm_script(0, start->script, start->len);
	start->session(&o, options);
	assert_int_equal(o.status, 7);
	run = fake_kvm_first("KVM_RUN");
	assert_true(run > 10);
	outcome_nothing_left(start->fds);
	for (n = 1; n <= (u32)run + 1; n++) {
		struct fake_call c;

		fake_kvm_reset();
		if (start->host)
			start->host();
		fake_kvm_script(0, start->script, start->len);
		fake_kvm_fail_nth(n, err);
		start->session(&o, options);
		c = fake_kvm_call(n - 1);
		assert_true(c.injected);
		if (o.status != 1 && !(outcome_may_fail(start, &c) && o.status == 7))
			fail_msg("call %u, %s(0x%" PRIx64 "), failed: status %d\n%s", n, c.name, c.arg,
				 o.status, o.err);
		if (o.status == 1) {
			failed++;
			/* One line; a vCPU that cannot run shows its registers behind it. */
			if (outcome_lines(o.err) != 1 && strcmp(c.name, "KVM_RUN"))
				fail_msg("call %u, %s(0x%" PRIx64 "), failed: %u lines\n%s", n, c.name, c.arg,
					 outcome_lines(o.err), o.err);
		}
		outcome_nothing_left(start->fds);
	}
	assert_true(failed > 10);
}

#endif

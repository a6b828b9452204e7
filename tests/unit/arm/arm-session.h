/* SPDX-License-Identifier: MIT */
/*
 * A whole arm64 VM from kvm_session() to its exit status, its output caught. The guest's part is played by
 * the fake's script. One at a time, on the test's main thread; session_setup() and session_teardown() go
 * around each test.
 */
#ifndef LKVM_TEST_ARM_SESSION_H
#define LKVM_TEST_ARM_SESSION_H

#include "arm-vm.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

struct outcome {
	int status;
	char out[4096], err[16384];
};

static struct {
	char dir[64];
	u32 fds;
} bed;

/* A guest that says "hi" and ends with status 7. */
static u64 line_status;
static const struct fake_exit greet[] = {
	{.kind = FAKE_WRITE, .addr = ARM_UART(0), .len = 1, .value = 'h'},
	{.kind = FAKE_WRITE, .addr = ARM_UART(0), .len = 1, .value = 'i'},
	{.kind = FAKE_READ, .addr = ARM_UART(0) + 5, .len = 1, .result = &line_status},
	{.kind = FAKE_WRITE, .addr = ARM_UART(0), .len = 1, .value = '\n'},
	{.kind = FAKE_WRITE, .addr = ARM_EXIT, .len = 4, .value = 7},
};

static inline int session_make_bed(void **state)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(bed.dir, sizeof(bed.dir), "%.40s/lkvm-arm-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(bed.dir))
		return -1;
	return setenv("XDG_RUNTIME_DIR", bed.dir, 1);
}

/* Only locks may be in it: a socket left behind fails the rmdir. */
static inline int session_remove_bed(void **state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/lkvm/lock", bed.dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lkvm/.lock", bed.dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lkvm", bed.dir);
	if (rmdir(path) < 0 || rmdir(bed.dir) < 0) {
		print_error("%s: not left empty\n", bed.dir);
		return -1;
	}
	return 0;
}

static inline int session_setup(void **state)
{
	fake_kvm_reset();
	bed.fds = fake_count_fds();
	alarm(VM_BOUND_S);
	return 0;
}

static inline int session_teardown(void **state)
{
	alarm(0);
	fake_kvm_reset();
	return 0;
}

static inline void session_take(int fd, char *text, size_t room)
{
	ssize_t n = pread(fd, text, room - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	close(fd);
}

static inline void session(struct outcome *o, const char *const *more)
{
	const struct arm_image img = arm_image(0, MiB(1));
	struct vm_file f = vm_file(&img, sizeof(img));
	const char *argv[24] = {"run", "-k", f.path, "--name", "arm", "-m", "64M"};
	int argc = 7, old[3], new[3];
	struct vm_config cfg;
	bool help;

	for (; more && *more; more++)
		argv[argc++] = *more;
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
	close(f.fd);
	session_take(new[1], o->out, sizeof(o->out));
	session_take(new[2], o->err, sizeof(o->err));
}

static inline u32 session_lines(const char *text)
{
	u32 n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* Neither a KVM fd nor any other one is left over; what the fake itself holds goes with the reset. */
static inline void session_nothing_left(void)
{
	struct buf left = {0};
	u32 n = fake_kvm_open_fds(&left);

	if (n)
		print_error("left open: %s\n", (const char *)left.data);
	buf_free(&left);
	assert_int_equal(n, 0);
	fake_kvm_reset();
	assert_int_equal(fake_count_fds(), bed.fds);
}

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, session_setup, session_teardown)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A whole arm64 VM from kvm_session() to its exit status, its output caught. The guest's part is played by
 * the fake's script. One at a time, on the test's main thread; session_setup() and session_teardown() go
 * around each test.
 */
#ifndef LKVM_TEST_ARM_SESSION_H
#define LKVM_TEST_ARM_SESSION_H

#include "arm-vm.h"
#include "outcome.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

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

static inline void session(struct outcome *o, const char *const *more)
{
	const struct arm_image img = arm_image(0, MiB(1));
	struct vm_file f = vm_file(&img, sizeof(img));
	const char *argv[24] = {"run", "-k", f.path, "--name", "arm", "-m", "64M"};
	int argc = 7;

	for (; more && *more; more++)
		argv[argc++] = *more;
	outcome_run(o, argc, argv);
	close(f.fd);
}

static inline void session_nothing_left(void)
{
	outcome_nothing_left(bed.fds);
}

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, session_setup, session_teardown)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A VM of the real core on the fake KVM, up to a step of the test's choice, for the tests of the core's parts
 * and of the loaders. One at a time, on the test's main thread; vm_setup() and vm_teardown() go around each
 * test, and the latter fails when an fd was left open.
 */
#ifndef LKVM_TEST_CORE_VM_H
#define LKVM_TEST_CORE_VM_H

#include "capture.h"
#include "fake-kvm.h"
#include <errno.h>
#include <lkvm/boot.h>
#include <lkvm/config.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <stdio.h>
#include <unistd.h>

#define VM_BOUND_S 120 /* for one test, under sanitizers on a loaded machine */

static struct {
	struct kvm kvm;
	struct vm_config cfg;
	bool configured, up;
	u32 fds;
} vm;

/* Ends the VM when there is one. */
static inline void vm_down(void)
{
	if (vm.up)
		kvm_down(&vm.kvm);
	if (vm.configured)
		config_free(&vm.cfg);
	vm.up = vm.configured = false;
}

/*
 * `lkvm run -k KERNEL ...more` with mem bytes, of which nothing is touched, so that they may be more than the
 * host has; up to and with that step: what kvm_up() gives. more ends with NULL.
 */
static inline int vm_up(const char *kernel, u64 mem, const char *step, const char *const *more)
{
	const char *argv[24] = {"run", "--name", "core", "-k", kernel};
	int argc = 5, err;
	bool help;

	for (; more && *more; more++)
		argv[argc++] = *more;
	vm_down();
	vm.configured = true;
	err = config_parse(&vm.cfg, argc, (char **)(uintptr_t)argv, &help);
	assert_int_equal(err, 0);
	vm.cfg.mem_size = mem;
	vm.cfg.log.level = LOG_WARN;
	vm.up = true;
	return kvm_up(&vm.kvm, &vm.cfg, step);
}

/* Everything but an image in its memory. */
static inline void vm_empty(u64 mem, const char *const *more)
{
	assert_int_equal(vm_up("/proc/self/exe", mem, "irqchip-finalize", more), 0);
}

static inline int vm_setup(void **state)
{
	fake_kvm_reset();
	vm.fds = fake_count_fds();
	alarm(VM_BOUND_S);
	return 0;
}

static inline int vm_teardown(void **state)
{
	u32 left;

	vm_down();
	alarm(0);
	left = fake_kvm_open_fds(NULL);
	fake_kvm_reset();
	if (left || fake_count_fds() != vm.fds)
		print_error("%u KVM fds left open, %u fds in all where there were %u\n", left,
			    fake_count_fds(), vm.fds);
	return left || fake_count_fds() != vm.fds;
}

/* A file that needs no name: its path is good as long as fd is open. */
struct vm_file {
	int fd;
	char path[32];
};

static inline struct vm_file vm_file(const void *data, size_t len)
{
	struct vm_file f = {.fd = memfd_create("file", MFD_CLOEXEC)};

	assert_true(f.fd >= 0);
	assert_int_equal(write(f.fd, data, len), (ssize_t)len);
	snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.fd);
	return f;
}

/* What guest memory holds at gpa. */
static inline void assert_guest(gpa_t gpa, const void *want, size_t len)
{
	const void *have = guest_ptr(&vm.kvm.mem, gpa, len);

	assert_non_null(have);
	assert_memory_equal(have, want, len);
}

#endif

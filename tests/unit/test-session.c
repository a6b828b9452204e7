/* SPDX-License-Identifier: MIT */
/* WRAP: pthread_create kvm_end kvm_resume vcpus_start vcpus_stop event_init event_run */
/* TSAN */
/*
 * How a session ends when two things happen at once: signals that come while the VM is taken down or between
 * two VMs, a reset while the last step still goes up, the timeout over restarts.
 */
#include "core-vm.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#define RESET 32

/* ---- when what happens --------------------------------------------------------------------------------- */

static struct {
	int at_stop, at_init; /* a signal that comes when vCPUs are to stop, or when the second VM's loop is
				 made */
	int run_error;	      /* what event_run() fails with */
	bool end_at_resume;
	u32 inits, stops;
	int fail_thread; /* its making fails, the n-th vCPU's thread of a VM, once the guest has its end */
	int threads;
	_Atomic bool ended;
} plan;

void __real_kvm_end(struct kvm *kvm, enum vm_end why, int code);
void __wrap_kvm_end(struct kvm *kvm, enum vm_end why, int code);
void __wrap_kvm_end(struct kvm *kvm, enum vm_end why, int code)
{
	__real_kvm_end(kvm, why, code);
	atomic_store(&plan.ended, true);
}

void __real_kvm_resume(struct kvm *kvm);
void __wrap_kvm_resume(struct kvm *kvm);
void __wrap_kvm_resume(struct kvm *kvm)
{
	__real_kvm_resume(kvm);
	if (plan.end_at_resume)
		kvm_end(kvm, VM_STOPPED, 0);
}

void __real_vcpus_stop(struct kvm *kvm);
void __wrap_vcpus_stop(struct kvm *kvm);
void __wrap_vcpus_stop(struct kvm *kvm)
{
	if (!plan.stops++ && plan.at_stop)
		kill(getpid(), plan.at_stop);
	__real_vcpus_stop(kvm);
}

int __real_event_init(struct event_loop *loop);
int __wrap_event_init(struct event_loop *loop);
int __wrap_event_init(struct event_loop *loop)
{
	if (plan.inits++ == 1 && plan.at_init)
		kill(getpid(), plan.at_init);
	return __real_event_init(loop);
}

int __real_vcpus_start(struct kvm *kvm);
int __wrap_vcpus_start(struct kvm *kvm);
int __wrap_vcpus_start(struct kvm *kvm)
{
	plan.threads = 0; /* whoever else makes threads has done so by now */
	return __real_vcpus_start(kvm);
}

int __real_event_run(struct event_loop *loop);
int __wrap_event_run(struct event_loop *loop);
int __wrap_event_run(struct event_loop *loop)
{
	return plan.run_error ? plan.run_error : __real_event_run(loop);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	if (plan.fail_thread && ++plan.threads == plan.fail_thread) {
		while (!atomic_load(&plan.ended))
			sched_yield();
		return EAGAIN;
	}
	return __real_pthread_create(thread, attr, fn, arg);
}

/* ---- sessions -------------------------------------------------------------------------------------------
 */

/* Multiboot by its header's addresses; the fake's vCPU does not look at it. */
static const u32 image[] = {0x1badb002, 0x10001,   0u - 0x1badb002u - 0x10001u, 0x100000, 0x100000, 0, 0,
			    0x100020,	0xf4f4f4f4};

static const struct fake_exit reset[] = {{.kind = FAKE_OUT, .addr = 0x64, .len = 1, .value = 0xfe}};

static int setup(void **state)
{
	memset(&plan, 0, sizeof(plan));
	/* The default of what is to end or dump the VM is to kill the process: nobody ignores it for us. */
	signal(SIGUSR1, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	return vm_setup(state);
}

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
}

/* `lkvm run ...more`: the status; what it said is in *err. It began ago_s seconds before. */
static int session(const char *const *more, u64 ago_s, const char **err)
{
	struct vm_file file = vm_file(image, sizeof(image));
	const char *argv[24] = {"run", "--name", "session", "-k", file.path, "-m", "4"};
	int argc = 7, status, in = dup(STDIN_FILENO), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct vm_config cfg;
	bool help;

	for (; more && *more; more++)
		argv[argc++] = *more;
	assert_int_equal(config_parse(&cfg, argc, (char **)(uintptr_t)argv, &help), 0);
	cfg.start_ns = now_ns() - ago_s * 1000000000;
	dup2(null, STDIN_FILENO);
	capture_begin(STDERR_FILENO);
	status = kvm_session(&cfg);
	*err = capture_end();
	dup2(in, STDIN_FILENO);
	close(in);
	close(null);
	close(file.fd);
	config_free(&cfg);
	return status;
}

static const char *const restart[] = {"--on-reboot=restart", NULL};

/* A reset and a signal that are heard in the same breath, in either order: it is the signal that counts. */
static void test_end_replaces_reset(void **state)
{
	static const char *const more[][2] = {{NULL}, {"--on-reboot=restart", NULL}};

	for (u32 i = 0; i < 2; i++) {
		bool again = i == 1;

		assert_int_equal(vm_up("/proc/self/exe", MiB(4), "host", more[i]), 0);
		kvm_end(&vm.kvm, VM_RESET, 0);
		kvm_end(&vm.kvm, VM_SIGNAL, SIGTERM);
		assert_int_equal(kvm_exit_status(&vm.kvm), again ? 128 + SIGTERM : RESET);
		kvm_end(&vm.kvm, VM_STOPPED, 0);
		kvm_end(&vm.kvm, VM_RESET, 0);
		assert_int_equal(kvm_exit_status(&vm.kvm), again ? 128 + SIGTERM : RESET);
		assert_int_equal(vm_up("/proc/self/exe", MiB(4), "host", more[i]), 0);
		kvm_end(&vm.kvm, VM_RESET, 0);
		kvm_end(&vm.kvm, VM_POWEROFF, 0);
		kvm_end(&vm.kvm, VM_CODE, 3);
		assert_int_equal(kvm_exit_status(&vm.kvm), RESET);
		kvm_end(&vm.kvm, VM_STOPPED, 0);
		assert_int_equal(kvm_exit_status(&vm.kvm), again ? 35 : RESET);
	}
}

/* A SIGUSR1 that nobody has time for any more is dropped; it does not kill. */
static void test_usr1_at_end(void **state)
{
	const char *err;

	plan.at_stop = SIGUSR1;
	fake_kvm_script(0, reset, 1);
	assert_int_equal(session(NULL, 0, &err), RESET);
	assert_string_equal(err, "");
}

/* The first reason stands. */
static void test_term_at_end(void **state)
{
	const char *err;

	plan.at_stop = SIGTERM;
	fake_kvm_script(0, reset, 1);
	assert_int_equal(session(NULL, 0, &err), RESET);
	assert_string_equal(err, "");
}

/* ... but not so far that what was to end lkvm starts another VM. */
static void test_term_at_restart(void **state)
{
	const char *err;

	plan.at_stop = SIGTERM;
	fake_kvm_script(0, reset, 1);
	assert_int_equal(session(restart, 0, &err), 128 + SIGTERM);
	assert_string_equal(err, "");
	assert_int_equal(fake_kvm_count("KVM_CREATE_VM"), 1);
}

static void test_term_between(void **state)
{
	static const struct fake_exit first[] = {{.kind = FAKE_OUT, .addr = 0x64, .len = 1, .value = 0xfe}};
	const char *err;

	/* Both VMs reset at once; the second has the signal as well, whichever it hears first. */
	plan.at_init = SIGTERM;
	fake_kvm_script(0, first, 1);
	assert_int_equal(session(restart, 0, &err), 128 + SIGTERM);
	assert_string_equal(err, "");
	assert_int_equal(fake_kvm_count("KVM_CREATE_VM"), 2);
}

/* The mask is as it was, and nothing waits behind it. */
static void test_mask(void **state)
{
	sigset_t before, after;
	const char *err;

	plan.at_stop = SIGUSR1;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	fake_kvm_script(0, reset, 1);
	session(NULL, 0, &err);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < 32; sig++)
		assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
	sigpending(&after);
	assert_int_equal(sigismember(&after, SIGUSR1), 0);
}

static void send_usr1(struct fake_vcpu *vcpu, void *arg)
{
	kill(getpid(), SIGUSR1);
}

/* While it runs: the registers of each vCPU, and the guest goes on. */
static void test_usr1(void **state)
{
	static const char *const two[] = {"-c", "2", NULL};
	static const struct fake_exit script[] = {{.kind = FAKE_CALL, .call = send_usr1}};
	const char *err;

	plan.end_at_resume = true;
	fake_kvm_script(0, script, 1);
	assert_int_equal(session(two, 0, &err), 35);
	assert_non_null(strstr(err, "lkvm: vcpu 0:\n  rip "));
	assert_non_null(strstr(err, "lkvm: vcpu 1:\n  rip "));
}

/* The guest resets while the last vCPU's thread cannot be made: the failure counts, not the reset. */
static void test_reset_while_failing(void **state)
{
	static const char *const two[] = {"-c", "2", "--on-reboot=restart", NULL};
	const char *err;

	plan.fail_thread = 2;
	fake_kvm_script(0, reset, 1);
	assert_int_equal(session(two, 0, &err), 1);
	assert_one_line(err, "vcpu 1: cannot start its thread");
	assert_int_equal(fake_kvm_count("KVM_CREATE_VM"), 1);
}

static void test_loop_fails(void **state)
{
	const char *err;

	plan.run_error = -EIO;
	assert_int_equal(session(NULL, 0, &err), 1);
	assert_one_line(err, "event loop: Input/output error");
}

/* Counted from the start of the process: a guest that resets for ever is not given the time again. */
static void test_timeout_over_restarts(void **state)
{
	static const char *const bound[] = {"--on-reboot=restart", "--timeout", "5", NULL};
	const char *err;

	fake_kvm_script(0, reset, 1);
	assert_int_equal(session(bound, 6, &err), 124);
	assert_one_line(err, "session: still running after 5 s (--timeout)");
	assert_int_equal(fake_kvm_count("KVM_CREATE_VM"), 1);
	/* And in the middle of it: some restarts, then the end. */
	fake_kvm_script(0, reset, 1);
	assert_int_equal(session(bound, 4, &err), 124);
	assert_one_line(err, "still running after 5 s");
	assert_true(fake_kvm_count("KVM_CREATE_VM") > 2);
}

/* The sessions have control sockets: away from where a user's VMs have theirs. */
static char sockets[] = "/tmp/lkvm-test-session-XXXXXX";

static int group_setup(void **state)
{
	return mkdtemp(sockets) ? setenv("XDG_RUNTIME_DIR", sockets, 1) : -1;
}

static int group_teardown(void **state)
{
	char dir[sizeof(sockets) + 8];

	snprintf(dir, sizeof(dir), "%s/lkvm", sockets);
	return rmdir(dir) | rmdir(sockets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_end_replaces_reset, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_usr1_at_end, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_term_at_end, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_term_at_restart, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_term_between, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_mask, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_usr1, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_reset_while_failing, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_loop_fails, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_timeout_over_restarts, setup, vm_teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

/* SPDX-License-Identifier: MIT */
/* BIG-ENDIAN */
/* WRAP: pthread_create */
/* TSAN */
/*
 * vCPU threads on the fake KVM: what each exit and error becomes, and the requests: pausing between two
 * instructions, stopping from any state, kicks out of any sleep, none of them lost.
 */
#include "core-vm.h"

#include <lkvm/state.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#define PORT 0x5c00
#define MMIO 0xe8000000ull

/* ---- threads that cannot be made ------------------------------------------------------------------- */

static _Atomic int creates_to_failure; /* 1: the next one; 0: none */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	if (atomic_load(&creates_to_failure) && atomic_fetch_sub(&creates_to_failure, 1) == 1) {
		/* At the worst moment: while the first vCPU leaves. */
		while (atomic_load(&vm.kvm.end) == VM_RUNNING)
			sched_yield();
		return EAGAIN;
	}
	return __real_pthread_create(thread, attr, fn, arg);
}

/* ---- a VM and a device --------------------------------------------------------------------------------- */

static struct {
	struct device dev;
	struct machine_ops machine; /* that of the VM, for a test to change */
	_Atomic u32 accesses, enters;
	_Atomic bool entered;
	struct {
		u64 value;
		u32 len;
		bool write;
	} seen[64];
	void (*then)(struct io *io);
} bed;

static void on_io(struct device *dev, struct io *io, void *arg)
{
	u32 i = atomic_fetch_add(&bed.accesses, 1) % ARRAY_SIZE(bed.seen);

	bed.seen[i].value = io->write ? io_value(io) : 0;
	bed.seen[i].len = io->len;
	bed.seen[i].write = io->write;
	if (!io->write)
		io_reply(io, 0x1122334455667788);
	if (bed.then)
		bed.then(io);
}

static void begin(const char *cpus)
{
	const char *const more[] = {"-c", cpus, NULL};

	memset(&bed, 0, sizeof(bed));
	atomic_store(&creates_to_failure, 0);
	vm_empty(MiB(4), more);
	bed.machine = *vm.kvm.machine;
	bed.machine.vcpu_enter = NULL; /* where a vCPU that nobody has booted would wait */
	vm.kvm.machine = &bed.machine;
	bed.dev.kvm = &vm.kvm;
	snprintf(bed.dev.name, sizeof(bed.dev.name), "dev");
	pthread_mutex_init(&bed.dev.lock, NULL);
	assert_int_equal(bus_map(&bed.dev, BUS_PIO, PORT, 16, on_io, NULL, 0), 0);
	assert_int_equal(bus_map(&bed.dev, BUS_MMIO, MMIO, 16, on_io, NULL, 0), 0);
}

static int setup(void **state)
{
	if (vm_setup(state))
		return -1;
	begin("2");
	return 0;
}

static int teardown(void **state)
{
	vcpus_stop(&vm.kvm);
	assert_int_equal(vm.kvm.pause.nr_running, 0);
	assert_int_equal(vm.kvm.pause.nr_parked, 0);
	return vm_teardown(state);
}

static void start(void)
{
	assert_int_equal(vcpus_start(&vm.kvm), 0);
}

/* The whole life of a guest whose vCPU 0 does that. */
static void run(const struct fake_exit *script, u32 n)
{
	fake_kvm_script(0, script, n);
	start();
	assert_int_equal(event_run(&vm.kvm.loop), 0);
	vcpus_stop(&vm.kvm);
}

static void power_off(struct fake_vcpu *vcpu, void *arg)
{
	kvm_end(&vm.kvm, VM_POWEROFF, 0);
}

/* ---- exits -----------------------------------------------------------------------------------------------
 */

static void test_io(void **state)
{
	static u64 in, in8, rd;
	static const struct fake_exit script[] = {
		{.kind = FAKE_OUT, .addr = PORT, .len = 2, .value = 0xabcd, .count = 5},
		{.kind = FAKE_IN, .addr = PORT, .len = 4, .result = &in, .count = 3},
		{.kind = FAKE_IN, .addr = PORT + 1, .len = 1, .result = &in8},
		{.kind = FAKE_WRITE, .addr = MMIO, .len = 8, .value = 0x123456789},
		{.kind = FAKE_READ, .addr = MMIO, .len = 8, .result = &rd},
		{.kind = FAKE_READ, .addr = MMIO, .len = 3, .result = &in8},
		{.kind = FAKE_CALL, .call = power_off},
	};

	run(script, ARRAY_SIZE(script));
	assert_int_equal(atomic_load(&bed.accesses), 5 + 3 + 1 + 1 + 1 + 1);
	for (u32 i = 0; i < 5; i++) {
		assert_true(bed.seen[i].write && bed.seen[i].len == 2);
		assert_int_equal(bed.seen[i].value, 0xabcd);
	}
	assert_int_equal(bed.seen[5].len, 4);
	assert_int_equal(bed.seen[9].value, 0x123456789);
	assert_int_equal(in, 0x55667788);
	assert_int_equal(rd, 0x1122334455667788);
	assert_int_equal(in8, 0x667788);
	assert_int_equal(atomic_load(&vm.kvm.vcpu[0].counts.io), 3);
	assert_int_equal(atomic_load(&vm.kvm.vcpu[0].counts.mmio), 3);
	assert_int_equal(atomic_load(&vm.kvm.vcpu[0].counts.exits), 6);
}

struct ending {
	struct fake_exit exit;
	enum vm_end end;
	const char *says; /* NULL: not a word */
	u32 arg;	  /* put to where the exit's first word is */
};

static void fill(struct fake_vcpu *vcpu, void *arg)
{
	const struct ending *e = arg;

	/* system_event.type, internal.suberror: the first word of the union */
	vcpu->run->internal.suberror = e->arg;
	if (e->exit.value == KVM_EXIT_INTERNAL_ERROR)
		vcpu->run->internal.ndata = 0;
	if (e->exit.value == KVM_EXIT_FAIL_ENTRY)
		vcpu->run->fail_entry.hardware_entry_failure_reason = 0x80000021;
}

#define EXIT(reason)                                                                                         \
	{                                                                                                    \
		.kind = FAKE_EXIT, .value = reason, .call = fill                                             \
	}
#define ERRNO(err)                                                                                           \
	{                                                                                                    \
		.kind = FAKE_ERRNO, .value = err                                                             \
	}

static struct ending endings[] = {
	{EXIT(KVM_EXIT_SHUTDOWN), VM_CRASH, "triple fault", 0},
	{EXIT(KVM_EXIT_SYSTEM_EVENT), VM_POWEROFF, NULL, KVM_SYSTEM_EVENT_SHUTDOWN},
	{EXIT(KVM_EXIT_SYSTEM_EVENT), VM_RESET, NULL, KVM_SYSTEM_EVENT_RESET},
	{EXIT(KVM_EXIT_SYSTEM_EVENT), VM_CRASH, "system event 77 is unknown", 77},
	{EXIT(KVM_EXIT_INTERNAL_ERROR), VM_CRASH, "cannot emulate", KVM_INTERNAL_ERROR_EMULATION},
	{EXIT(KVM_EXIT_INTERNAL_ERROR), VM_CRASH, "simultaneous", KVM_INTERNAL_ERROR_SIMUL_EX},
	{EXIT(KVM_EXIT_INTERNAL_ERROR), VM_CRASH, "event was being delivered",
	 KVM_INTERNAL_ERROR_DELIVERY_EV},
	{EXIT(KVM_EXIT_INTERNAL_ERROR), VM_CRASH, "suberror 99", 99},
	{EXIT(KVM_EXIT_FAIL_ENTRY), VM_CRASH, "hardware reason 0x80000021", 0},
	{EXIT(KVM_EXIT_HLT), VM_CRASH, "KVM_EXIT_HLT (5)", 0},
	{EXIT(KVM_EXIT_UNKNOWN), VM_CRASH, "KVM_EXIT_UNKNOWN (0)", 0},
	{EXIT(KVM_EXIT_HYPERCALL), VM_CRASH, "KVM_EXIT_HYPERCALL (3)", 0},
	{EXIT(12345), VM_CRASH, "unknown to this lkvm (12345)", 0},
	{ERRNO(EFAULT), VM_CRASH, "KVM_RUN: Bad address (EFAULT)", 0},
	{ERRNO(EIO), VM_HOST_ERROR, "(EIO)", 0},
	{ERRNO(ENOMEM), VM_HOST_ERROR, "(ENOMEM)", 0},
};

/* Each is said once, with the vCPU's name in front; registers follow a crash. */
static void test_endings(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		struct ending *e = &endings[i];
		const char *err;

		vm_down();
		fake_kvm_reset();
		begin("1");
		e->exit.arg = e;
		capture_begin(STDERR_FILENO);
		run(&e->exit, 1);
		err = capture_end();
		if (atomic_load(&vm.kvm.end) != e->end || (e->says ? !strstr(err, e->says) : *err))
			fail_msg("exit %zu ended with %u: %s", i, atomic_load(&vm.kvm.end), err);
		if (e->says && e->exit.value != KVM_EXIT_SYSTEM_EVENT) {
			assert_ptr_equal(strstr(err, "lkvm: vcpu 0: "), err);
			assert_non_null(strstr(err, "\n  "));
			assert_null(strstr(err + 1, "lkvm: "));
		}
	}
}

static int no_exit(struct vcpu *vcpu)
{
	return -EREMOTEIO;
}

/* The machine cannot go on: that is the host's failure, not the guest's. */
static void test_machine_fails(void **state)
{
	static const struct fake_exit script[] = {{.kind = FAKE_EXIT, .value = KVM_EXIT_WATCHDOG}};
	const char *err;

	bed.machine.vcpu_exit = no_exit;
	capture_begin(STDERR_FILENO);
	run(script, 1);
	err = capture_end();
	assert_non_null(strstr(err, "lkvm: vcpu 0: KVM_EXIT_WATCHDOG: Remote I/O error"));
	assert_int_equal(atomic_load(&vm.kvm.end), VM_HOST_ERROR);
}

static void test_panic_by_event(void **state)
{
	static struct ending crash = {EXIT(KVM_EXIT_SYSTEM_EVENT), VM_PANIC, NULL, KVM_SYSTEM_EVENT_CRASH};
	struct fake_exit script[] = {crash.exit, {.kind = FAKE_CALL, .call = power_off}};

	script[0].arg = &crash;
	run(script, 2);
	/* It goes on to the end of its report; whatever ends it then, it was a panic. */
	assert_int_equal(atomic_load(&vm.kvm.end), VM_PANIC);
}

static void test_exit_names(void **state)
{
	assert_string_equal(kvm_exit_name(KVM_EXIT_IO), "KVM_EXIT_IO");
	assert_string_equal(kvm_exit_name(KVM_EXIT_SYSTEM_EVENT), "KVM_EXIT_SYSTEM_EVENT");
	assert_non_null(strstr(kvm_exit_name(13), "unknown"));
	assert_non_null(strstr(kvm_exit_name(UINT32_MAX), "unknown"));
}

/* ---- pausing ---------------------------------------------------------------------------------------------
 */

static _Atomic u32 calls;

static void count_call(struct fake_vcpu *vcpu, void *arg)
{
	atomic_fetch_add(&calls, 1);
}

/* On the vCPU's thread: stays in the access until the pause has been asked for. */
static void wait_for_pause(struct io *io)
{
	atomic_store(&bed.entered, true);
	while (!(atomic_load(&io->vcpu->requests) & VCPU_PAUSE))
		sched_yield();
}

static void wait_until(_Atomic bool *what)
{
	while (!atomic_load(what))
		sched_yield();
}

/* The access in which it comes is completed, its result in the guest's register; nothing more is done. */
static void test_pause_completes(void **state)
{
	static u64 in;
	static const struct fake_exit script[] = {
		{.kind = FAKE_IN, .addr = PORT, .len = 4, .result = &in},
		{.kind = FAKE_CALL, .call = count_call},
		{.kind = FAKE_CALL, .call = power_off},
	};

	in = 0;
	atomic_store(&calls, 0);
	bed.then = wait_for_pause;
	fake_kvm_script(0, script, ARRAY_SIZE(script));
	start();
	wait_until(&bed.entered);
	assert_true(kvm_pause(&vm.kvm));
	assert_int_equal(in, 0x55667788);
	assert_int_equal(atomic_load(&calls), 0);
	kvm_resume(&vm.kvm);
	assert_int_equal(event_run(&vm.kvm.loop), 0);
	assert_int_equal(atomic_load(&calls), 1);
	/* It parked once: the request has been taken. */
	assert_int_equal(atomic_load(&vm.kvm.vcpu[0].requests), 0);
}

static void assert_all_parked(void)
{
	pthread_mutex_lock(&vm.kvm.pause.lock);
	assert_int_equal(vm.kvm.pause.nr_parked, vm.kvm.pause.nr_running);
	assert_int_equal(vm.kvm.pause.nr_running, vm.kvm.nr_vcpus);
	pthread_mutex_unlock(&vm.kvm.pause.lock);
}

static void test_pause_nests(void **state)
{
	start(); /* both sleep in KVM_RUN */
	assert_true(kvm_pause(&vm.kvm));
	assert_true(kvm_pause(&vm.kvm));
	kvm_resume(&vm.kvm);
	assert_all_parked();
	assert_true(kvm_pause(&vm.kvm));
	kvm_resume(&vm.kvm);
	kvm_resume(&vm.kvm);
	kvm_resume(&vm.kvm); /* one too many is none */
	assert_int_equal(vm.kvm.pause.depth, 0);
	/* Off and on again before anybody has woken up. */
	assert_true(kvm_pause(&vm.kvm));
	kvm_resume(&vm.kvm);
	assert_true(kvm_pause(&vm.kvm));
	assert_all_parked();
	kvm_resume(&vm.kvm);
}

static void *inject_often(void *arg)
{
	while (!atomic_load((_Atomic bool *)arg)) {
		for (u32 i = 0; i < 2; i++)
			vcpu_request(&vm.kvm.vcpu[i], VCPU_INJECT);
		sched_yield();
	}
	return NULL;
}

/* Two busy vCPUs, kicked all the time, and paused often: while they are, nothing happens. */
static void test_pause_storm(void **state)
{
	static const struct fake_exit script[] = {
		{.kind = FAKE_OUT, .addr = PORT, .len = 1, .repeat = UINT32_MAX},
	};
	_Atomic bool end = false;
	pthread_t thread;

	fake_kvm_script(0, script, 1);
	fake_kvm_script(1, script, 1);
	start();
	assert_int_equal(pthread_create(&thread, NULL, inject_often, &end), 0);
	for (u32 i = 0; i < 300; i++) {
		u32 before;

		assert_true(kvm_pause(&vm.kvm));
		before = atomic_load(&bed.accesses);
		assert_all_parked();
		for (u32 k = 0; k < 10; k++)
			sched_yield();
		assert_int_equal(atomic_load(&bed.accesses), before);
		kvm_resume(&vm.kvm);
		/* They do go on. */
		while (atomic_load(&bed.accesses) == before)
			sched_yield();
	}
	atomic_store(&end, true);
	pthread_join(thread, NULL);
}

static void test_pause_after_end(void **state)
{
	static const struct fake_exit script[] = {{.kind = FAKE_CALL, .call = power_off}};

	fake_kvm_script(1, script, 1);
	start();
	assert_int_equal(event_run(&vm.kvm.loop), 0);
	/* vCPU 1 has left or is leaving, vCPU 0 still sleeps. */
	assert_false(kvm_pause(&vm.kvm));
	kvm_resume(&vm.kvm);
}

static void test_pause_before_start(void **state)
{
	assert_true(kvm_pause(&vm.kvm));
	start();
	/* They were asked before there was a thread, and park as soon as there is. */
	pthread_mutex_lock(&vm.kvm.pause.lock);
	while (vm.kvm.pause.nr_parked < vm.kvm.pause.nr_running)
		pthread_cond_wait(&vm.kvm.pause.parked, &vm.kvm.pause.lock);
	pthread_mutex_unlock(&vm.kvm.pause.lock);
	assert_all_parked();
	kvm_resume(&vm.kvm);
}

/* ---- stopping --------------------------------------------------------------------------------------------
 */

static void test_stop_asleep(void **state)
{
	start();
	vcpus_stop(&vm.kvm);
	assert_int_equal(vm.kvm.pause.nr_running, 0);
	vcpus_stop(&vm.kvm); /* once more is nothing */
}

static void test_stop_paused(void **state)
{
	start();
	assert_true(kvm_pause(&vm.kvm));
	vcpus_stop(&vm.kvm);
	assert_int_equal(vm.kvm.pause.nr_running, 0);
}

static void test_end_while_paused(void **state)
{
	start();
	assert_true(kvm_pause(&vm.kvm));
	kvm_end(&vm.kvm, VM_SIGNAL, SIGTERM);
	assert_int_equal(event_run(&vm.kvm.loop), 0);
	vcpus_stop(&vm.kvm);
	assert_int_equal(kvm_exit_status(&vm.kvm), 128 + SIGTERM);
}

/* A thread that cannot be made: the ones before are stopped, one of them at its own end already. */
static void test_thread_fails(void **state)
{
	static const struct fake_exit script[] = {{.kind = FAKE_CALL, .call = power_off}};

	for (u32 round = 0; round < 8; round++) {
		int err;

		vm_down();
		fake_kvm_reset();
		fake_kvm_script(0, script, 1);
		begin("3");
		atomic_store(&creates_to_failure, 2 + (int)(round & 1));
		capture_begin(STDERR_FILENO);
		err = vcpus_start(&vm.kvm);
		assert_one_line(capture_end(), "cannot start its thread");
		assert_int_equal(err, -EAGAIN);
		vcpus_stop(&vm.kvm);
		assert_int_equal(vm.kvm.pause.nr_running, 0);
	}
}

/* ---- --vcpu-affinity ------------------------------------------------------------------------------- */

static struct {
	cpu_set_t cpus[2];
	_Atomic u32 told;
} bound;

static void tell_cpus(struct fake_vcpu *vcpu, void *arg)
{
	assert_int_equal(sched_getaffinity(0, sizeof(cpu_set_t), &bound.cpus[vcpu->obj.id]), 0);
	atomic_fetch_add(&bound.told, 1);
	while (atomic_load(&bound.told) < 2)
		sched_yield();
}

/* vCPU threads keep to the last of the CPUs that this test may run on, and its own thread to none. */
static void test_affinity(void **state)
{
	static const struct fake_exit script[] = {{.kind = FAKE_CALL, .call = tell_cpus},
						  {.kind = FAKE_CALL, .call = power_off}};
	cpu_set_t before, after, want;
	char list[32];
	u32 last = 0;

	vm_down();
	fake_kvm_reset();
	atomic_store(&bound.told, 0);
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	for (u32 i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &before))
			last = i;
	fake_kvm_script(0, script, 2);
	fake_kvm_script(1, script, 1);
	begin("2");
	/* The others of the list are not to be had. */
	snprintf(list, sizeof(list), "%u-%u", last, CPU_SETSIZE - 1);
	vm.cfg.vcpu_affinity = list;
	start();
	assert_int_equal(event_run(&vm.kvm.loop), 0);
	vcpus_stop(&vm.kvm);
	CPU_ZERO(&want);
	CPU_SET(last, &want);
	for (u32 i = 0; i < 2; i++)
		assert_true(CPU_EQUAL(&bound.cpus[i], &want));
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
}

static void test_affinity_refused(void **state)
{
	cpu_set_t cpus;
	char list[32];
	u32 none = 0;
	int err;

	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	while (CPU_ISSET(none, &cpus))
		none++;
	snprintf(list, sizeof(list), "%u", none);
	vm.cfg.vcpu_affinity = list;
	capture_begin(STDERR_FILENO);
	err = vcpus_start(&vm.kvm);
	assert_one_line(capture_end(), ": none of these CPUs is one that lkvm may run on\n");
	assert_int_equal(err, -EINVAL);
	assert_int_equal(vm.kvm.pause.nr_running, 0);
}

/* ---- kicks
 * ------------------------------------------------------------------------------------------------- */

static void count_enter(struct vcpu *vcpu)
{
	if (!vcpu->index)
		atomic_fetch_add(&bed.enters, 1);
}

/* Each request brings a sleeping vCPU out of KVM_RUN and back to vcpu_enter(), wherever it meets it. */
static void test_inject(void **state)
{
	bed.machine.vcpu_enter = count_enter;
	start();
	for (u32 i = 0; i < 3000; i++) {
		u32 before = atomic_load(&bed.enters);

		vcpu_request(&vm.kvm.vcpu[0], VCPU_INJECT);
		while (atomic_load(&bed.enters) == before)
			sched_yield();
	}
}

static void ask_self(struct io *io)
{
	vcpu_request(io->vcpu, VCPU_INJECT);
}

/* Its own request needs no kick and costs no interrupted KVM_RUN. */
static void test_inject_self(void **state)
{
	static const struct fake_exit script[] = {
		{.kind = FAKE_OUT, .addr = PORT, .len = 1, .repeat = 50},
		{.kind = FAKE_CALL, .call = power_off},
	};

	bed.machine.vcpu_enter = count_enter;
	bed.then = ask_self;
	run(script, 2);
	assert_int_equal(atomic_load(&bed.accesses), 50);
	assert_in_range(atomic_load(&bed.enters), 50, 52);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_io, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_machine_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_panic_by_event, setup, teardown),
		cmocka_unit_test(test_exit_names),
		cmocka_unit_test_setup_teardown(test_pause_completes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause_nests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause_storm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause_after_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause_before_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_asleep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_paused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_while_paused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_thread_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_affinity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_affinity_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inject, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inject_self, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

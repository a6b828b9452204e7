/* SPDX-License-Identifier: MIT */
/* ARM-TSAN */
/*
 * Whole arm64 VMs, from kvm_session() to the exit status: the order of what is asked of KVM, with each
 * irqchip; how guests end by PSCI and otherwise; and each call made to fail in turn: status 1, one line that
 * says so, nothing left behind, no hang.
 */
#include "arm-session.h"
#include <signal.h>

/* ---- starts ------------------------------------------------------------------------------------------ */

static void assert_greeted(const char *const *more)
{
	struct outcome o;

	fake_kvm_script(0, greet, ARRAY_SIZE(greet));
	session(&o, more);
	assert_string_equal(o.err, "");
	assert_string_equal(o.out, "hi\n");
	assert_int_equal(o.status, 7);
	assert_int_equal(line_status & 0x60, 0x60);
}

static void assert_order(const char *const *name)
{
	int last = -1;

	for (; *name; name++) {
		int at = fake_kvm_first(*name);

		if (at <= last) {
			fake_kvm_print_log();
			fail_msg("%s is at %d, after %d", *name, at, last);
		}
		last = at;
	}
}

static void test_order(void **state)
{
	static const char *const order[] = {"open",
					    "KVM_GET_API_VERSION",
					    "KVM_CREATE_VM",
					    "KVM_SET_USER_MEMORY_REGION",
					    "KVM_CREATE_DEVICE",
					    "KVM_CREATE_VCPU",
					    "mmap",
					    "KVM_ARM_VCPU_INIT",
					    "KVM_SET_ONE_REG",
					    "KVM_RUN",
					    NULL};
	static const char *const two[] = {"-c", "2", NULL};
	const struct fake_vm *f;

	assert_greeted(two);
	assert_order(order);
	f = fake_kvm_newest();
	/* 40 bits of addresses, which is what KVM gives when nothing is said. */
	assert_int_equal(f->type, 40);
	/* RAM, and the page of stolen time. Both before the irqchip, which makes memslots slow. */
	assert_int_equal(f->nr_slots, 2);
	assert_true(fake_kvm_find("KVM_SET_USER_MEMORY_REGION", ARM_RAM) >= 0);
	assert_true(fake_kvm_find("KVM_SET_USER_MEMORY_REGION", ARM_PVTIME) >= 0);
	assert_true(fake_kvm_last("KVM_SET_USER_MEMORY_REGION") <
		    fake_kvm_find("KVM_CREATE_DEVICE", KVM_DEV_TYPE_ARM_VGIC_V3));
	assert_int_equal(fake_kvm_count("KVM_CREATE_VM"), 1);
	assert_int_equal(fake_kvm_count("KVM_ARM_VCPU_INIT"), 2);
	assert_true(fake_kvm_vcpu(fake_kvm_newest(), 0)->ran);
	session_nothing_left();
}

/* Nothing that a start does may fail in the kernel: a call that is refused is a call not understood. */
static void test_no_refusals(void **state)
{
	for (u32 k = 0; k < ARRAY_SIZE(arm_chips); k++) {
		const char *const more[] = {"--irqchip", arm_chips[k].name, "-c", "4", "--pmu", NULL};
		u32 n;

		assert_greeted(more);
		n = fake_kvm_nr_calls();
		for (u32 i = 0; i < n; i++) {
			struct fake_call c = fake_kvm_call(i);

			if (c.ret < 0 && c.ret != -EINTR)
				fail_msg("%s: %s(0x%" PRIx64 "): %d", arm_chips[k].name, c.name, c.arg,
					 c.ret);
		}
		session_nothing_left();
	}
}

static void test_memory(void **state)
{
	static const struct {
		u64 mem;
		u32 bits;
	} cases[] = {{MiB(64), 40},
		     {GiB(1022), 40},
		     {GiB(1022) + MiB(1), 41},
		     {GiB(60 << 10), 46},
		     {GiB(255 << 10), 48}};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(vm_up("/proc/self/exe", cases[i].mem, "vm", NULL), 0);
		assert_int_equal(fake_kvm_newest()->type, cases[i].bits);
		vm_down();
		fake_kvm_reset();
	}
}

/* The host's address space is what bounds the guest's memory. */
static void test_too_much_memory(void **state)
{
	static const struct {
		int cap;
		unsigned long type;
		u64 max;
	} cases[] = {{0, 0, (1ull << 40) - GiB(2)},
		     {36, 36, (1ull << 36) - GiB(2)},
		     {40, 40, (1ull << 40) - GiB(2)},
		     {48, 48, (1ull << 48) - GiB(2)}};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
		for (u32 over = 0; over < 2; over++) {
			int err;

			fake_kvm_reset();
			fake_kvm_set_cap(KVM_CAP_ARM_VM_IPA_SIZE, cases[i].cap);
			capture_begin(STDERR_FILENO);
			err = vm_up("/proc/self/exe", cases[i].max + (over ? MiB(1) : 0), "vm", NULL);
			if (!err && over)
				err = vm.kvm.machine->mem_layout(&vm.kvm);
			vm_down();
			if (over) {
				assert_one_line(capture_end(), "--mem: guests of this host address ");
				assert_int_equal(err, -E2BIG);
			} else {
				assert_string_equal(capture_end(), "");
				assert_int_equal(err, 0);
				assert_int_equal(fake_kvm_newest()->type, cases[i].type);
			}
		}
}

/* ---- how guests end ---------------------------------------------------------------------------------- */

static void event(struct fake_vcpu *vcpu, void *arg)
{
	memset(&vcpu->run->system_event, 0, sizeof(vcpu->run->system_event));
	vcpu->run->system_event.type = *(const u32 *)arg;
}

#define EVENT(type_)                                                                                         \
	{                                                                                                    \
		.kind = FAKE_EXIT, .value = KVM_EXIT_SYSTEM_EVENT, .call = event, .arg = (void *)(type_)     \
	}

static const u32 off = KVM_SYSTEM_EVENT_SHUTDOWN, reset_ = KVM_SYSTEM_EVENT_RESET,
		 crash = KVM_SYSTEM_EVENT_CRASH, suspend = KVM_SYSTEM_EVENT_SUSPEND,
		 wakeup = KVM_SYSTEM_EVENT_WAKEUP, odd = 77;

static void assert_end(const struct fake_exit *script, u32 n, const char *const *more, int status,
		       const char *says)
{
	struct outcome o;

	fake_kvm_script(0, script, n);
	session(&o, more);
	if (o.status != status || (says ? !strstr(o.err, says) : o.err[0]))
		print_error("%s", o.err);
	assert_int_equal(o.status, status);
	if (says)
		assert_non_null(strstr(o.err, says));
	else
		assert_string_equal(o.err, "");
	session_nothing_left();
}

static void test_psci(void **state)
{
	static const char *const exits[] = {"--on-reboot=exit", NULL};
	const struct fake_exit shutdown[] = {EVENT(&off)}, again[] = {EVENT(&reset_)},
			       panic[] = {EVENT(&crash)}, unknown[] = {EVENT(&odd)};

	assert_end(shutdown, 1, NULL, 0, NULL);
	assert_end(again, 1, exits, 32, NULL);
	assert_end(panic, 1, NULL, 34, NULL);
	assert_end(unknown, 1, NULL, 33, "77");
}

static void test_psci_restart(void **state)
{
	static const char *const restart[] = {"--on-reboot=restart", NULL};
	const struct fake_exit script[] = {{.kind = FAKE_WRITE, .addr = ARM_UART(0), .len = 1, .value = '.'},
					   EVENT(&reset_)};
	struct outcome o;

	fake_kvm_script(0, script, ARRAY_SIZE(script));
	/* The third VM cannot be made: that ends it. */
	fake_kvm_fail(KVM_CREATE_VM, 3, ENOMEM);
	session(&o, restart);
	assert_int_equal(o.status, 1);
	assert_string_equal(o.out, "..");
	assert_int_equal(fake_kvm_count("KVM_CREATE_VM"), 3);
	session_nothing_left();
}

static void switch_on(struct fake_vcpu *vcpu, void *arg)
{
	fake_arm_power(fake_kvm_vcpu(vcpu->obj.vm, 1), true);
}

/* The second vCPU sleeps in KVM_RUN until PSCI's CPU_ON, and may be the one that ends the VM. */
static void test_cpu_on(void **state)
{
	static const char *const two[] = {"-c", "2", NULL};
	static const struct fake_exit second[] = {
		{.kind = FAKE_WRITE, .addr = ARM_EXIT, .len = 4, .value = 11}};
	static const struct fake_exit first[] = {{.kind = FAKE_CALL, .call = switch_on}};

	fake_kvm_script(1, second, ARRAY_SIZE(second));
	assert_end(first, ARRAY_SIZE(first), two, 11, NULL);
}

static void suspended(struct fake_vcpu *vcpu, void *arg)
{
	struct kvm_mp_state *mp = fake_blob(&vcpu->blobs, KVM_GET_MP_STATE, 0, sizeof(*mp));
	u64 entry = ARM_RAM + 0x1000, context = 0x1234;

	assert_int_equal(mp->mp_state, KVM_MP_STATE_SUSPENDED);
	memcpy(fake_arm_reg(vcpu, ARM_CORE_REG(regs[1])), &entry, sizeof(entry));
	memcpy(fake_arm_reg(vcpu, ARM_CORE_REG(regs[2])), &context, sizeof(context));
}

static void awake(struct fake_vcpu *vcpu, void *arg)
{
	struct kvm_mp_state *mp = fake_blob(&vcpu->blobs, KVM_GET_MP_STATE, 0, sizeof(*mp));
	u64 pc, x0, x1;

	assert_int_equal(mp->mp_state, KVM_MP_STATE_RUNNABLE);
	memcpy(&pc, fake_arm_reg(vcpu, ARM_CORE_REG(pc)), sizeof(pc));
	memcpy(&x0, fake_arm_reg(vcpu, ARM_CORE_REG(regs[0])), sizeof(x0));
	memcpy(&x1, fake_arm_reg(vcpu, ARM_CORE_REG(regs[1])), sizeof(x1));
	assert_int_equal(pc, ARM_RAM + 0x1000);
	assert_int_equal(x0, 0x1234);
	assert_int_equal(x1, 0);
	*(bool *)arg = true;
}

/* SYSTEM_SUSPEND by vCPU n, the only one that is on: it wakes where it asked to, its registers new. */
static void assert_suspends(u32 n)
{
	static const char *const two[] = {"-c", "2", NULL};
	bool done = false;
	const struct fake_exit script[] = {
		EVENT(&suspend),
		{.kind = FAKE_CALL, .call = suspended},
		EVENT(&wakeup),
		{.kind = FAKE_CALL, .call = awake, .arg = &done},
		{.kind = FAKE_WRITE, .addr = ARM_EXIT, .len = 4, .value = 3},
	};
	static const struct fake_exit first[] = {{.kind = FAKE_CALL, .call = switch_on}};
	struct outcome o;

	fake_kvm_script(0, first, ARRAY_SIZE(first));
	fake_kvm_script(n, script, ARRAY_SIZE(script));
	session(&o, two);
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 3);
	assert_true(done);
	session_nothing_left();
}

static void test_suspend(void **state)
{
	assert_suspends(0);
}

static void test_suspend_of_another(void **state)
{
	assert_suspends(1);
}

static void send_term(struct fake_vcpu *vcpu, void *arg)
{
	kill(getpid(), SIGTERM);
}

static void test_sigterm_while_halted(void **state)
{
	static const char *const four[] = {"-c", "4", NULL};
	static const struct fake_exit script[] = {{.kind = FAKE_CALL, .call = send_term}, {.kind = FAKE_HLT}};

	assert_end(script, ARRAY_SIZE(script), four, 128 + SIGTERM, NULL);
}

/* ---- every failure ------------------------------------------------------------------------------------- */

static void each_failure(const char *const *options, int err)
{
	const struct outcome_vm start = {greet, ARRAY_SIZE(greet), session, NULL, bed.fds, NULL};

	outcome_each_failure(&start, options, err);
}

static void test_each_failure_v3_its(void **state)
{
	static const char *const more[] = {"--irqchip", "gicv3-its", "-c", "2", "--pmu", NULL};

	each_failure(more, EIO);
}

static void test_each_failure_v3(void **state)
{
	static const char *const more[] = {"--irqchip", "gicv3", NULL};

	each_failure(more, EINVAL);
}

static void test_each_failure_v2m(void **state)
{
	static const char *const more[] = {"--irqchip", "gicv2m", "-c", "2", NULL};

	each_failure(more, ENOMEM);
}

static void test_each_failure_v2(void **state)
{
	static const char *const more[] = {"--irqchip", "gicv2", NULL};

	each_failure(more, EBUSY);
}

/* Without the device control API; caps are the test's from then on. */
static void test_each_failure_legacy(void **state)
{
	const struct outcome_vm start = {0};
	struct outcome o;
	int run;

	fake_kvm_set_cap(KVM_CAP_DEVICE_CTRL, 0);
	fake_kvm_script(0, greet, ARRAY_SIZE(greet));
	session(&o, NULL);
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 7);
	run = fake_kvm_first("KVM_RUN");
	for (u32 n = 1; n <= (u32)run; n++) {
		struct fake_call c;

		fake_kvm_reset();
		fake_kvm_set_cap(KVM_CAP_DEVICE_CTRL, 0);
		fake_kvm_script(0, greet, ARRAY_SIZE(greet));
		fake_kvm_fail_nth(n, EINVAL);
		session(&o, NULL);
		c = fake_kvm_call(n - 1);
		if (o.status != 1 && !(outcome_may_fail(&start, &c) && o.status == 7))
			fail_msg("call %u, %s(0x%" PRIx64 "): status %d\n%s", n, c.name, c.arg, o.status,
				 o.err);
		assert_true(o.status == 7 || outcome_lines(o.err) == 1);
		session_nothing_left();
	}
}

/* Whatever a host lacks, lkvm says so or does without: it never crashes or hangs. */
static void test_each_capability_absent(void **state)
{
	for (u32 cap = 0; cap < 256; cap++) {
		struct outcome o;

		fake_kvm_reset();
		fake_kvm_script(0, greet, ARRAY_SIZE(greet));
		fake_kvm_set_cap(cap, 0);
		session(&o, NULL);
		if (o.status != 7 && (o.status != 1 || outcome_lines(o.err) != 1))
			fail_msg("without capability %u: status %d\n%s", cap, o.status, o.err);
		session_nothing_left();
	}
}

/* And with all that newer hosts have. */
static void test_everything(void **state)
{
	static const char *const more[] = {"-c", "2", "--pmu", "--sve-max-vl", "256", NULL};
	static const u32 caps[] = {KVM_CAP_ARM_SVE, KVM_CAP_ARM_PTRAUTH_ADDRESS, KVM_CAP_ARM_PTRAUTH_GENERIC,
				   KVM_CAP_ARM_MTE, KVM_CAP_VM_ATTRIBUTES};

	for (u32 i = 0; i < ARRAY_SIZE(caps); i++)
		fake_kvm_set_cap(caps[i], 1);
	assert_greeted(more);
	session_nothing_left();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SESSION_TEST(test_order),
		SESSION_TEST(test_no_refusals),
		ARM_TEST(test_memory),
		ARM_TEST(test_too_much_memory),
		SESSION_TEST(test_psci),
		SESSION_TEST(test_psci_restart),
		SESSION_TEST(test_cpu_on),
		SESSION_TEST(test_suspend),
		SESSION_TEST(test_suspend_of_another),
		SESSION_TEST(test_sigterm_while_halted),
		SESSION_TEST(test_each_failure_v3_its),
		SESSION_TEST(test_each_failure_v3),
		SESSION_TEST(test_each_failure_v2m),
		SESSION_TEST(test_each_failure_v2),
		SESSION_TEST(test_each_failure_legacy),
		SESSION_TEST(test_each_capability_absent),
		SESSION_TEST(test_everything),
	};

	return cmocka_run_group_tests(tests, session_make_bed, session_remove_bed);
}

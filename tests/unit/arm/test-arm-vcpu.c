/* SPDX-License-Identifier: MIT */
/*
 * The arm64 machine's vCPUs: what they are made with on which host and by which options, their attributes,
 * the registers that they start with, their own exits, and their state as text, saved and restored.
 */
#include "arm-session.h"
#include "vcpu-state.h"

#define BIT(n) (1u << (n))
#define PSCI   BIT(KVM_ARM_VCPU_PSCI_0_2)
#define PMU    BIT(KVM_ARM_VCPU_PMU_V3)
#define SVE    BIT(KVM_ARM_VCPU_SVE)
#define NARROW BIT(KVM_ARM_VCPU_EL1_32BIT)
#define AUTH   (BIT(KVM_ARM_VCPU_PTRAUTH_ADDRESS) | BIT(KVM_ARM_VCPU_PTRAUTH_GENERIC))

static struct fake_arm_vcpu *cpu(u32 i)
{
	return fake_arm_cpu(fake_kvm_vcpu(fake_kvm_newest(), i));
}

/* ---- features ----------------------------------------------------------------------------------------- */

static void test_features(void **state)
{
	static const struct {
		u32 cap[3];
		const char *option;
		u32 features;
	} cases[] = {
		{{0}, NULL, PSCI},
		{{0}, "--pmu", PSCI | PMU},
		{{KVM_CAP_ARM_SVE}, NULL, PSCI | SVE},
		{{KVM_CAP_ARM_PTRAUTH_ADDRESS, KVM_CAP_ARM_PTRAUTH_GENERIC}, NULL, PSCI | AUTH},
		/* One of the two is none: KVM takes both or neither. */
		{{KVM_CAP_ARM_PTRAUTH_ADDRESS}, NULL, PSCI},
		{{KVM_CAP_ARM_PTRAUTH_GENERIC}, NULL, PSCI},
		{{KVM_CAP_ARM_EL1_32BIT}, NULL, PSCI},
		{{KVM_CAP_ARM_EL1_32BIT}, "--aarch32", PSCI | NARROW},
		{{KVM_CAP_ARM_EL1_32BIT, KVM_CAP_ARM_SVE}, "--aarch32", PSCI | NARROW},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *const more[] = {"-c", "3", cases[i].option, NULL};

		vm_down();
		fake_kvm_reset();
		for (u32 k = 0; k < 3 && cases[i].cap[k]; k++)
			fake_kvm_set_cap(cases[i].cap[k], 1);
		assert_int_equal(arm_up("vcpus", more), 0);
		assert_int_equal(cpu(0)->features, cases[i].features);
		/* All but the first wait for PSCI. */
		assert_int_equal(cpu(1)->features, cases[i].features | BIT(KVM_ARM_VCPU_POWER_OFF));
		assert_int_equal(cpu(2)->features, cases[i].features | BIT(KVM_ARM_VCPU_POWER_OFF));
		assert_int_equal(cpu(2)->sve_final, !!(cases[i].features & SVE));
	}
}

static void test_refused(void **state)
{
	static const struct {
		u32 cap;
		const char *option[3], *says;
	} cases[] = {
		{KVM_CAP_ARM_PMU_V3, {"--pmu"}, "--pmu: this host cannot give a guest performance counters"},
		{KVM_CAP_ARM_EL1_32BIT,
		 {"--aarch32"},
		 "--aarch32: this host cannot give a guest a 32-bit kernel"},
		{KVM_CAP_ARM_SVE, {"--sve-max-vl", "256"}, "--sve-max-vl: this host cannot give a guest SVE"},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		int err;

		vm_down();
		fake_kvm_reset();
		fake_kvm_set_cap(cases[i].cap, 0);
		capture_begin(STDERR_FILENO);
		err = arm_up("vcpus", cases[i].option);
		assert_one_line(capture_end(), cases[i].says);
		assert_int_equal(err, -ENOTSUP);
	}
}

/* Options that would do nothing are mistakes, and named. */
static void test_misused(void **state)
{
	static const struct {
		const char *option[4], *says;
	} cases[] = {
		{{"--pmu-filter", "deny:0x11"}, "--pmu-filter: there are no events to filter without --pmu"},
		{{"--sve-max-vl", "200"}, "--sve-max-vl: vector lengths are multiples of 128 bits"},
		{{"--sve-max-vl", "256", "--aarch32"}, "--sve-max-vl: 32-bit guests have no SVE"},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		int err;

		vm_down();
		fake_kvm_reset();
		fake_kvm_set_cap(KVM_CAP_ARM_EL1_32BIT, 1);
		fake_kvm_set_cap(KVM_CAP_ARM_SVE, 1);
		capture_begin(STDERR_FILENO);
		err = arm_up("vcpus", cases[i].option);
		assert_one_line(capture_end(), cases[i].says);
		assert_int_equal(err, -EINVAL);
	}
}

static void test_caps(void **state)
{
	static const char *const no_mte[] = {"--disable-mte", NULL}, *const shared[] = {"--shared-mem", NULL};

	assert_int_equal(arm_up("vm", NULL), 0);
	assert_true(fake_kvm_find("KVM_ENABLE_CAP", KVM_CAP_ARM_NISV_TO_USER) >= 0);
	assert_true(fake_kvm_find("KVM_ENABLE_CAP", KVM_CAP_ARM_SYSTEM_SUSPEND) >= 0);
	assert_int_equal(fake_kvm_find("KVM_ENABLE_CAP", KVM_CAP_ARM_MTE), -1);
	for (u32 i = 0; i < 3; i++) {
		vm_down();
		fake_kvm_reset();
		fake_kvm_set_cap(KVM_CAP_ARM_MTE, 1);
		assert_int_equal(arm_up("vm", i == 1 ? no_mte : i == 2 ? shared : NULL), 0);
		assert_int_equal(fake_kvm_find("KVM_ENABLE_CAP", KVM_CAP_ARM_MTE) >= 0, !i);
	}
}

/* The fake host has vectors of 128, 256 and 512 bits. */
static void test_sve(void **state)
{
	static const struct {
		const char *bits;
		u64 vls;
	} cases[] = {{"128", 1}, {"256", 3}, {"384", 3}, {"512", 0xb}, {"2048", 0xb}};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *const more[] = {"-c", "2", "--sve-max-vl", cases[i].bits, NULL};

		vm_down();
		fake_kvm_reset();
		fake_kvm_set_cap(KVM_CAP_ARM_SVE, 1);
		assert_int_equal(arm_up("boot", more), 0);
		assert_int_equal(fake_kvm_count("KVM_ARM_VCPU_FINALIZE"), 2);
		for (u32 k = 0; k < 2; k++) {
			assert_true(cpu(k)->sve_final);
			assert_int_equal(arm_reg64(k, KVM_REG_ARM64_SVE_VLS), cases[i].vls);
		}
	}
}

/* ---- attributes --------------------------------------------------------------------------------------- */

static void test_timers(void **state)
{
	static const char *const more[] = {"-c", "2", NULL};
	static const unsigned long calls[] = {KVM_HAS_DEVICE_ATTR, KVM_SET_DEVICE_ATTR};

	assert_int_equal(arm_up("boot", more), 0);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(cpu(i)->vtimer_irq, ARM_PPI_VTIMER);
		assert_int_equal(cpu(i)->ptimer_irq, ARM_PPI_PTIMER);
	}
	assert_true(arm_vcpu_attr_set_at(KVM_ARM_VCPU_TIMER_CTRL, KVM_ARM_VCPU_TIMER_IRQ_VTIMER) >= 0);
	vm_down();
	fake_kvm_reset();
	/* Kernels before 4.13 have them where they are; before 4.8 a vCPU takes no attributes at all. */
	fake_kvm_set_cap(KVM_CAP_STEAL_TIME, 0);
	for (u32 i = 0; i < ARRAY_SIZE(calls); i++) {
		fake_kvm_fail_arg(calls[i],
				  FAKE_VCPU_ATTR(KVM_ARM_VCPU_TIMER_CTRL, KVM_ARM_VCPU_TIMER_IRQ_VTIMER),
				  ENXIO);
		fake_kvm_fail_arg(calls[i],
				  FAKE_VCPU_ATTR(KVM_ARM_VCPU_TIMER_CTRL, KVM_ARM_VCPU_TIMER_IRQ_PTIMER),
				  ENXIO);
	}
	assert_int_equal(arm_up("boot", NULL), 0);
	assert_int_equal(fake_kvm_count("KVM_HAS_DEVICE_ATTR"), 2);
	vm_down();
	fake_kvm_reset();
	fake_kvm_set_cap(KVM_CAP_STEAL_TIME, 0);
	fake_kvm_set_cap(KVM_CAP_VCPU_ATTRIBUTES, 0);
	assert_int_equal(arm_up("boot", NULL), 0);
}

static void test_pvtime(void **state)
{
	static const char *const three[] = {"-c", "3", NULL}, *const none[] = {"--no-pvtime", NULL};

	assert_int_equal(arm_up("boot", three), 0);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(cpu(i)->pvtime, ARM_PVTIME + 64 * i);
	assert_non_null(fake_kvm_mem(fake_kvm_newest(), ARM_PVTIME, ARM_PVTIME_SIZE));
	/* It is no RAM of the guest's. */
	assert_int_equal(guest_ram_size(&vm.kvm.mem), ARM_MEM);
	for (u32 i = 0; i < 2; i++) {
		vm_down();
		fake_kvm_reset();
		fake_kvm_set_cap(KVM_CAP_STEAL_TIME, !i);
		assert_int_equal(arm_up("boot", i ? NULL : none), 0);
		assert_int_equal(cpu(0)->pvtime, ~0ull);
		assert_null(fake_kvm_mem(fake_kvm_newest(), ARM_PVTIME, 1));
	}
}

static void test_pmu(void **state)
{
	static const char *const more[] = {"-c", "2", "--pmu", NULL};
	const u32 group = KVM_ARM_VCPU_PMU_V3_CTRL;
	int init, irq;

	assert_int_equal(arm_up("boot", more), 0);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(cpu(i)->pmu_irq, ARM_PPI_PMU);
		assert_true(cpu(i)->pmu_made);
	}
	irq = arm_vcpu_attr_set_at(group, KVM_ARM_VCPU_PMU_V3_IRQ);
	init = arm_vcpu_attr_set_at(group, KVM_ARM_VCPU_PMU_V3_INIT);
	assert_true(irq >= 0 && init > irq);
	assert_true(irq > arm_attr_set_at(KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT));
	assert_int_equal(fake_kvm_newest()->arch ? fake_arm(fake_kvm_newest())->nr_filters : 1, 0);
	vm_down();
	fake_kvm_reset();
	assert_int_equal(arm_up("boot", NULL), 0);
	assert_int_equal(arm_vcpu_attr_set_at(group, KVM_ARM_VCPU_PMU_V3_INIT), -1);
}

static void test_pmu_filter(void **state)
{
	static const char *const more[] = {
		"-c", "2", "--pmu", "--pmu-filter", "allow:0x11,deny:3-0x7,allow:0xffff", NULL};
	static const struct kvm_pmu_event_filter want[] = {

		{0x11, 1, KVM_PMU_EVENT_ALLOW, {0}},
		{3, 5, KVM_PMU_EVENT_DENY, {0}},
		{0xffff, 1, KVM_PMU_EVENT_ALLOW, {0}}};
	const struct fake_arm_vm *f;

	assert_int_equal(arm_up("boot", more), 0);
	f = fake_arm(fake_kvm_newest());
	/* Each vCPU sets what holds for all of them: the same once more. */
	assert_int_equal(f->nr_filters % 3, 0);
	for (u32 i = 0; i < f->nr_filters; i++)
		assert_memory_equal(&f->filter[i], &want[i % 3], sizeof(want[0]));
	assert_true(f->nr_filters >= 3);
	assert_true(arm_vcpu_attr_set_at(KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_FILTER) <
		    arm_vcpu_attr_set_at(KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT));
}

static void test_bad_filters(void **state)
{
	static const char *const bad[] = {
		"",	    "0x11",    "allow",		"allow:",	   "allow:x",  "deny:1-",
		"deny:5-4", "deny:-5", "allow:0x10000", "allow:1,,deny:2", "permit:1", "allow:1-0x10000",
		"allow:1 ", ",allow:1"};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *argv[] = {"run", "-k", "/proc/self/exe", "--pmu", "--pmu-filter", bad[i]};
		struct vm_config cfg;
		bool help;
		int err;

		capture_begin(STDERR_FILENO);
		err = config_parse(&cfg, ARRAY_SIZE(argv), (char **)(uintptr_t)argv, &help);
		config_free(&cfg);
		if (!err)
			print_error("--pmu-filter '%s' was taken\n", bad[i]);
		assert_one_line(capture_end(), "--pmu-filter");
		assert_int_equal(err, -EINVAL);
	}
}

static void assert_attr_fails(u32 group, u64 attr, int err, const char *says)
{
	static const char *const more[] = {"-c", "2", "--pmu", "--pmu-filter", "deny:1", NULL};
	int got;

	vm_down();
	fake_kvm_reset();
	fake_kvm_fail_arg(KVM_SET_DEVICE_ATTR, FAKE_VCPU_ATTR(group, attr), err);
	capture_begin(STDERR_FILENO);
	got = arm_up("boot", more);
	assert_one_line(capture_end(), says);
	assert_int_equal(got, -err);
}

static void test_attributes_fail(void **state)
{
	assert_attr_fails(KVM_ARM_VCPU_TIMER_CTRL, KVM_ARM_VCPU_TIMER_IRQ_PTIMER, EBUSY,
			  "set TIMER_CTRL/TIMER_IRQ_PTIMER = 0x1e: EBUSY: ");
	assert_attr_fails(KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, EEXIST,
			  "vcpu 0: set PVTIME_CTRL/PVTIME_IPA = 0x1070000: EEXIST: ");
	assert_attr_fails(KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, EINVAL,
			  "vcpu 0: set PMU_V3_CTRL/PMU_V3_IRQ = 0x17: EINVAL: ");
	assert_attr_fails(KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, ENXIO,
			  "vcpu 0: set PMU_V3_CTRL/PMU_V3_INIT: ENXIO: ");
	assert_attr_fails(KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_FILTER, EBUSY,
			  "--pmu-filter: vcpu 0");
}

/* ---- the start ------------------------------------------------------------------------------------------
 */

static void test_registers(void **state)
{
	static const char *const two[] = {"-c", "2", NULL};
	const struct arm_machine *m;

	assert_int_equal(arm_up("boot", two), 0);
	m = arm_of(&vm.kvm);
	assert_int_equal(arm_reg64(0, ARM_CORE_REG(pc)), ARM_RAM);
	assert_int_equal(arm_reg64(0, ARM_CORE_REG(pc)), m->entry);
	assert_int_equal(arm_reg64(0, ARM_CORE_REG(regs[0])), m->dtb);
	for (u32 i = 1; i < 4; i++)
		assert_int_equal(arm_reg64(0, ARM_CORE_REG(regs[0]) + 2 * i), 0);
	/* EL1h, everything masked. */
	assert_int_equal(arm_reg64(0, ARM_CORE_REG(pstate)), 0x3c5);
	/* The other one's come with its CPU_ON. */
	assert_int_equal(arm_reg64(1, ARM_CORE_REG(pc)), 0);
	assert_int_equal(arm_reg64(1, ARM_CORE_REG(regs[0])), 0);
}

static void test_registers_aarch32(void **state)
{
	const char *const narrow[] = {"--aarch32", "--boot=flat", NULL};

	fake_kvm_set_cap(KVM_CAP_ARM_EL1_32BIT, 1);
	assert_int_equal(arm_up("boot", narrow), 0);
	assert_int_equal(arm_reg64(0, ARM_CORE_REG(regs[0])), 0);
	assert_int_equal(arm_reg64(0, ARM_CORE_REG(regs[1])), 0xffffffff);
	assert_int_equal(arm_reg64(0, ARM_CORE_REG(regs[2])), arm_of(&vm.kvm)->dtb);
	assert_int_equal(arm_reg64(0, ARM_CORE_REG(pstate)), 0x1d3);
}

/* ---- exits ------------------------------------------------------------------------------------------------
 */

static void nisv(struct fake_vcpu *vcpu, void *arg)
{
	vcpu->run->arm_nisv.fault_ipa = 0x12345678;
}

/* An access that says nothing of itself gives the guest an abort, and goes on. */
static void test_no_syndrome(void **state)
{
	static const struct fake_exit script[] = {
		{.kind = FAKE_EXIT, .value = KVM_EXIT_ARM_NISV, .call = nisv},
		{.kind = FAKE_WRITE, .addr = ARM_EXIT, .len = 4, .value = 5},
	};
	struct outcome o;

	fake_kvm_script(0, script, ARRAY_SIZE(script));
	session(&o, NULL);
	assert_int_equal(o.status, 5);
	assert_int_equal(fake_kvm_count("KVM_SET_VCPU_EVENTS"), 1);
	session_nothing_left();
}

static void test_abort_fails(void **state)
{
	static const struct fake_exit script[] = {
		{.kind = FAKE_EXIT, .value = KVM_EXIT_ARM_NISV, .call = nisv}};
	struct outcome o;

	fake_kvm_script(0, script, ARRAY_SIZE(script));
	fake_kvm_fail(KVM_SET_VCPU_EVENTS, 1, EINVAL);
	session(&o, NULL);
	assert_int_equal(o.status, 1);
	assert_non_null(strstr(o.err, "KVM_EXIT_ARM_NISV"));
	session_nothing_left();
}

static void test_single_step(void **state)
{
	static const char *const more[] = {"--debug-single-step", NULL};
	static const struct fake_exit script[] = {
		{.kind = FAKE_EXIT, .value = KVM_EXIT_DEBUG, .repeat = 3},
		{.kind = FAKE_WRITE, .addr = ARM_EXIT, .len = 4, .value = 5},
	};
	struct outcome o;
	const char *at;

	fake_kvm_script(0, script, ARRAY_SIZE(script));
	session(&o, more);
	assert_int_equal(o.status, 5);
	assert_int_equal(fake_kvm_count("KVM_SET_GUEST_DEBUG"), 1);
	at = o.err;
	for (u32 i = 0; i < 3; i++, at++) {
		at = strstr(at, "step");
		assert_non_null(at);
	}
	assert_non_null(strstr(o.err, "  pc             0000000080000000"));
	session_nothing_left();
}

/* An exit that nobody knows shows the registers, and the code while the MMU is off. */
static void test_crash(void **state)
{
	static const struct fake_exit script[] = {{.kind = FAKE_EXIT, .value = 250}};
	struct outcome o;

	fake_kvm_script(0, script, ARRAY_SIZE(script));
	session(&o, NULL);
	assert_int_equal(o.status, 33);
	assert_non_null(strstr(o.err, "  x0  "));
	assert_non_null(strstr(o.err, "  x30 0000000000000000"));
	assert_non_null(strstr(o.err, "pstate         00000000000003c5"));
	assert_non_null(strstr(o.err, "code at pc d503201f 14000000 "));
	session_nothing_left();
}

/* ---- state ------------------------------------------------------------------------------------------------
 */

/* Every register that can be written, and every byte of it, to something that it takes. */
static void scramble(u32 i)
{
	struct fake_arm_vcpu *c = cpu(i);

	for (u32 k = 0; k < c->nr_regs; k++) {
		u64 id = c->reg[k].id;
		u32 size = 1u << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);

		if (c->reg[k].fixed || id == ARM_CORE_REG(pstate) || id == KVM_REG_ARM64_SVE_VLS ||
		    id == ARM64_SYS_REG(3, 0, 0, 0, 5) || (id & KVM_REG_ARM_COPROC_MASK) == KVM_REG_ARM_FW ||
		    (id & KVM_REG_ARM_COPROC_MASK) == KVM_REG_ARM_FW_FEAT_BMAP)
			continue;
		for (u32 n = 0; n < size; n++)
			c->values[c->reg[k].offset + n] = (u8)(0x5a + 7 * k + n);
	}
}

static void assert_round_trip(const char *const *more)
{
	struct buf first, again;
	u8 *values;
	u32 bytes;

	assert_int_equal(arm_up("boot", more), 0);
	scramble(0);
	fake_arm_power(fake_kvm_vcpu(fake_kvm_newest(), 0), false);
	cpu(0)->events.exception.serror_pending = 1;
	cpu(0)->events.exception.serror_esr = 0x123;
	first = save(0);
	bytes = cpu(0)->value_bytes;
	values = malloc(bytes);
	assert_non_null(values);
	memcpy(values, cpu(0)->values, bytes);

	/* Into one that is new. */
	assert_int_equal(arm_up("boot", more), 0);
	assert_memory_not_equal(values, cpu(0)->values, bytes);
	assert_int_equal(restore(0, first.data, first.len), 0);
	assert_int_equal(cpu(0)->value_bytes, bytes);
	assert_memory_equal(values, cpu(0)->values, bytes);
	assert_true(fake_arch_stopped(fake_kvm_vcpu(fake_kvm_newest(), 0)));
	assert_int_equal(cpu(0)->events.exception.serror_pending, 1);
	assert_int_equal(cpu(0)->events.exception.serror_esr, 0x123);
	again = save(0);
	assert_int_equal(again.len, first.len);
	assert_memory_equal(again.data, first.data, first.len);
	free(values);
	buf_free(&first);
	buf_free(&again);
}

static void test_state(void **state)
{
	assert_round_trip(NULL);
}

static void test_state_sve(void **state)
{
	static const char *const more[] = {"--sve-max-vl", "256", NULL};

	fake_kvm_set_cap(KVM_CAP_ARM_SVE, 1);
	assert_round_trip(more);
}

/* Of another version, cut short, with a register that this host does not have. */
static void test_bad_state(void **state)
{
	struct buf s;
	u64 id = ARM64_SYS_REG(3, 7, 15, 15, 7);

	assert_int_equal(arm_up("boot", NULL), 0);
	s = save(0);
	capture_begin(STDERR_FILENO);
	for (size_t n = 0; n < s.len; n += n < 64 ? 1 : 37)
		assert_true(restore(0, s.data, n) < 0);
	/* Name length and name, then the version. */
	s.data[1 + s.data[0]]++;
	assert_int_equal(restore(0, s.data, s.len), -EPROTONOSUPPORT);
	s.data[1 + s.data[0]]--;
	assert_int_equal(restore(0, s.data, s.len), 0);
	/* The first register's id lies behind version, length and count. */
	memcpy(s.data + 1 + s.data[0] + 12, &id, sizeof(id));
	capture_end();
	capture_begin(STDERR_FILENO);
	assert_true(restore(0, s.data, s.len) < 0);
	assert_one_line(capture_end(), "s3_7_c15_c15_7");
	buf_free(&s);
}

static void test_state_text(void **state)
{
	static const char *const words[] = {"\"pc\"", "\"x30\"", "\"sctlr_el1\"", "\"mp_state\""};
	struct buf out;

	assert_int_equal(arm_up("boot", NULL), 0);
	out = assert_says(0, words, ARRAY_SIZE(words));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARM_TEST(test_features),
		ARM_TEST(test_refused),
		ARM_TEST(test_misused),
		ARM_TEST(test_caps),
		ARM_TEST(test_sve),
		ARM_TEST(test_timers),
		ARM_TEST(test_pvtime),
		ARM_TEST(test_pmu),
		ARM_TEST(test_pmu_filter),
		ARM_TEST(test_bad_filters),
		ARM_TEST(test_attributes_fail),
		ARM_TEST(test_registers),
		ARM_TEST(test_registers_aarch32),
		SESSION_TEST(test_no_syndrome),
		SESSION_TEST(test_abort_fails),
		SESSION_TEST(test_single_step),
		SESSION_TEST(test_crash),
		ARM_TEST(test_state),
		ARM_TEST(test_state_sve),
		ARM_TEST(test_bad_state),
		ARM_TEST(test_state_text),
	};

	return cmocka_run_group_tests(tests, session_make_bed, session_remove_bed);
}

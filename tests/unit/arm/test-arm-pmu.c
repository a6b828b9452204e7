/* SPDX-License-Identifier: MIT */
/* WRAP: glob64 sched_getaffinity */
/*
 * The PMU that a guest's counters are of, on a host with two kinds of CPU: perf's number of the one that
 * counts on each CPU where vCPUs may run, from a /sys of the test's own.
 */
#include "arm-vm.h" /* first */
#include <glob.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct {
	char dir[64];
	cpu_set_t cpus; /* where lkvm may run */
} host;

int __real_glob64(const char *pattern, int flags, int (*fail)(const char *, int), glob_t *g);
int __wrap_glob64(const char *pattern, int flags, int (*fail)(const char *, int), glob_t *g);
int __wrap_glob64(const char *pattern, int flags, int (*fail)(const char *, int), glob_t *g)
{
	char mine[80];

	assert_string_equal(pattern, "/sys/bus/event_source/devices/*");
	snprintf(mine, sizeof(mine), "%s/*", host.dir);
	return __real_glob64(mine, flags, fail, g);
}

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	assert_int_equal(pid, 0);
	assert_int_equal(size, sizeof(*set));
	*set = host.cpus;
	return 0;
}

static void put_file(const char *pmu, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", host.dir, pmu);
	assert_true(!mkdir(path, 0700) || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/%s/%s", host.dir, pmu, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static const char *const pmus[] = {"armv8_a53", "armv8_a72", "breakpoint", "odd"};

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(host.dir, sizeof(host.dir), "%.40s/lkvm-pmu-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(host.dir))
		return -1;
	put_file("armv8_a53", "cpus", "0-3\n");
	put_file("armv8_a53", "type", "8\n");
	put_file("armv8_a72", "cpus", "4-7\n");
	put_file("armv8_a72", "type", "9\n");
	/* What is no PMU of CPUs, and what nobody can make sense of. */
	put_file("breakpoint", "type", "5\n");
	put_file("odd", "cpus", "0-7\n");
	put_file("odd", "type", "eleven\n");
	CPU_ZERO(&host.cpus);
	for (u32 i = 0; i < 8; i++)
		CPU_SET(i, &host.cpus);
	return vm_setup(state);
}

static int teardown(void **state)
{
	static const char *const files[] = {"cpus", "type"};
	char path[128];

	for (u32 i = 0; i < ARRAY_SIZE(pmus); i++) {
		for (u32 k = 0; k < ARRAY_SIZE(files); k++) {
			snprintf(path, sizeof(path), "%s/%s/%s", host.dir, pmus[i], files[k]);
			unlink(path);
		}
		snprintf(path, sizeof(path), "%s/%s", host.dir, pmus[i]);
		rmdir(path);
	}
	rmdir(host.dir);
	return vm_teardown(state);
}

static int up(const char *affinity)
{
	const char *const more[] = {"--pmu", "-c", "2", affinity ? "--vcpu-affinity" : NULL, affinity, NULL};

	return arm_up("boot", more);
}

/* pmu 0: none fits, and the kernel takes its own. */
static void assert_pmu(const char *affinity, int pmu)
{
	fake_kvm_forget_calls();
	assert_int_equal(up(affinity), 0);
	assert_int_equal(fake_arm(fake_kvm_newest())->pmu, pmu);
	assert_int_equal(arm_vcpu_attr_set_at(KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_SET_PMU) >= 0,
			 pmu != 0);
	for (u32 i = 0; i < 2; i++)
		assert_true(fake_arm_cpu(fake_kvm_vcpu(fake_kvm_newest(), i))->pmu_made);
}

static void test_two_kinds(void **state)
{
	assert_pmu("0-3", 8);
	assert_pmu("2", 8);
	assert_pmu("5,6", 9);
	assert_pmu("7-20", 9);
	assert_pmu("3-4", 0);
	assert_pmu(NULL, 0);
}

/* By what lkvm itself was bound to. */
static void test_bound(void **state)
{
	CPU_ZERO(&host.cpus);
	CPU_SET(1, &host.cpus);
	CPU_SET(2, &host.cpus);
	assert_pmu(NULL, 8);
	/* Of this list only CPU 2 is left. */
	assert_pmu("2-5", 8);
	CPU_ZERO(&host.cpus);
	CPU_SET(6, &host.cpus);
	assert_pmu(NULL, 9);
}

static void test_refused(void **state)
{
	int err;

	capture_begin(STDERR_FILENO);
	err = up("8-9");
	assert_one_line(capture_end(),
			"--vcpu-affinity 8-9: none of these CPUs is one that lkvm may run on\n");
	assert_int_equal(err, -EINVAL);
	/* A kernel of before there was a choice. */
	fake_kvm_fail_arg(KVM_HAS_DEVICE_ATTR,
			  FAKE_VCPU_ATTR(KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_SET_PMU), ENXIO);
	assert_int_equal(up("0-3"), 0);
	assert_int_equal(fake_arm(fake_kvm_newest())->pmu, 0);
}

#define PMU_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PMU_TEST(test_two_kinds),
		PMU_TEST(test_bound),
		PMU_TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

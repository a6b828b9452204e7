/* SPDX-License-Identifier: MIT */
/* WRAP: x86_supported_cpuid */
/*
 * CPUID as each vCPU gets it: topology for any number of them, features switched by --cpu, clocks, and hosts
 * whose CPUID is odd: other vendors, leaves that are not there, a table that is full.
 */
#include "core-vm.h"
#include "x86/layout.h"
#include "x86/x86.h"

#include <lkvm/pci.h>

static void (*odd_host)(struct kvm_cpuid2 *cpuid); /* what the host's CPUID has of its own */
static struct buf told;				   /* what the start said */

int __real_x86_supported_cpuid(struct kvm *kvm, struct kvm_cpuid2 *cpuid);
int __wrap_x86_supported_cpuid(struct kvm *kvm, struct kvm_cpuid2 *cpuid);
int __wrap_x86_supported_cpuid(struct kvm *kvm, struct kvm_cpuid2 *cpuid)
{
	int err = __real_x86_supported_cpuid(kvm, cpuid);

	if (!err && odd_host)
		odd_host(cpuid);
	return err;
}

static int setup(void **state)
{
	odd_host = NULL;
	return vm_setup(state);
}

static int teardown(void **state)
{
	buf_free(&told);
	return vm_teardown(state);
}

/* Up to the vCPUs; what it said is in told. */
static int start(const char *cpus, const char *list, u64 mem)
{
	const char *more[] = {"-c", cpus, list ? "--cpu" : NULL, list, NULL};
	const char *text;
	int err;

	vm_down();
	fake_kvm_reset();
	capture_begin(STDERR_FILENO);
	err = vm_up("/proc/self/exe", mem, "vcpus", more);
	text = capture_end();
	buf_free(&told);
	buf_printf(&told, "%s", text);
	return err;
}

static const struct kvm_cpuid_entry2 *leaf_of(u32 cpu, u32 function, u32 index)
{
	const struct fake_vcpu *vcpu = fake_kvm_vcpu(fake_kvm_vm(0), cpu);

	for (u32 i = 0; i < vcpu->nr_cpuid; i++)
		if (vcpu->cpuid[i].function == function &&
		    (!(vcpu->cpuid[i].flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) ||
		     vcpu->cpuid[i].index == index))
			return &vcpu->cpuid[i];
	return NULL;
}

static const struct kvm_cpuid_entry2 *leaf(u32 cpu, u32 function, u32 index)
{
	const struct kvm_cpuid_entry2 *e = leaf_of(cpu, function, index);

	if (!e)
		fail_msg("vCPU %u has no leaf 0x%x.%u", cpu, function, index);
	return e;
}

static void starts(const char *cpus, const char *list)
{
	assert_int_equal(start(cpus, list, MiB(4)), 0);
	assert_string_equal((char *)told.data, "");
}

/* ---- topology ------------------------------------------------------------------------------------------ */

static void test_topology(void **state)
{
	static const struct {
		const char *cpus;
		u32 nr, bits, ids;
	} cases[] = {{"1", 1, 0, 1}, {"2", 2, 1, 2},	   {"3", 3, 2, 4},
		     {"8", 8, 3, 8}, {"255", 255, 8, 255}, {"288", 288, 9, 255}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u32 nr = cases[i].nr, mask = (1u << cases[i].bits) - 1;

		starts(cases[i].cpus, NULL);
		for (u32 cpu = 0; cpu<nr; cpu += nr> 8 ? 57 : 1) {
			assert_int_equal(leaf(cpu, 1, 0)->ebx >> 24, cpu & 0xff);
			assert_int_equal(leaf(cpu, 1, 0)->ebx >> 16 & 0xff, cases[i].ids);
			assert_int_equal(leaf(cpu, 1, 0)->edx >> 28 & 1, nr > 1);
			for (u32 level = 0; level < 3; level++)
				assert_int_equal(leaf(cpu, 0xb, level)->edx, cpu);
			assert_int_equal(leaf(cpu, 0xb, 0)->ebx, 1);
			assert_int_equal(leaf(cpu, 0xb, 0)->ecx, 0x100);
			assert_int_equal(leaf(cpu, 0xb, 1)->eax, cases[i].bits);
			assert_int_equal(leaf(cpu, 0xb, 1)->ebx, nr);
			assert_int_equal(leaf(cpu, 0xb, 1)->ecx, 0x201);
			assert_int_equal(leaf(cpu, 0xb, 2)->ebx, 0);
			assert_int_equal(leaf(cpu, 0xb, 2)->ecx, 2);
			assert_null(leaf_of(cpu, 0x1f, 0));
			/* Level 1 and 2 are a core's own, level 3 all share. */
			assert_int_equal(leaf(cpu, 4, 0)->eax >> 14 & 0xfff, 0);
			assert_int_equal(leaf(cpu, 4, 2)->eax >> 14 & 0xfff, 0);
			assert_int_equal(leaf(cpu, 4, 3)->eax >> 14 & 0xfff, mask);
			assert_int_equal(leaf(cpu, 4, 3)->eax >> 26, mask & 0x3f);
			assert_int_equal(leaf(cpu, 4, 4)->eax, 0);
			assert_int_equal(leaf(cpu, 0x80000008, 0)->ecx,
					 cases[i].bits << 12 | ((nr - 1) & 0xff));
		}
	}
}

/* ---- features -------------------------------------------------------------------------------------------
 */

static void test_features(void **state)
{
	starts("1", NULL);
	assert_true(leaf(0, 1, 0)->ecx >> 31);	   /* hypervisor */
	assert_true(leaf(0, 1, 0)->ecx >> 21 & 1); /* x2apic */
	assert_true(leaf(0, 1, 0)->ecx >> 24 & 1); /* deadline timer */
	assert_false(leaf(0, 1, 0)->ecx >> 3 & 1); /* monitor */
	assert_true(leaf(0, 7, 0)->ebx >> 5 & 1);  /* avx2, the host's */
	starts("2", "host,-avx2,-x2apic,-hypervisor,+invtsc,+monitor");
	for (u32 cpu = 0; cpu < 2; cpu++) {
		assert_false(leaf(cpu, 7, 0)->ebx >> 5 & 1);
		assert_false(leaf(cpu, 1, 0)->ecx >> 21 & 1);
		assert_false(leaf(cpu, 1, 0)->ecx >> 31);
		assert_true(leaf(cpu, 1, 0)->ecx >> 3 & 1);
		assert_true(leaf(cpu, 0x80000007, 0)->edx >> 8 & 1);
	}
	/* The last word counts; with or without "host". */
	starts("1", "-avx2,+avx2");
	assert_true(leaf(0, 7, 0)->ebx >> 5 & 1);
	starts("1", "+avx512f,-avx512f");
	assert_false(leaf(0, 7, 0)->ebx >> 16 & 1);
}

static void test_absent_leaf(void **state)
{
	/* The fake's processor has no leaf 7.1 and no 0x8000000a. */
	assert_int_equal(start("1", "host,+npt", MiB(4)), 0);
	assert_one_line((char *)told.data, "--cpu: +npt: this host's CPUID has no leaf 0x8000000a");
	starts("1", "host,-npt");
}

static void test_bad_words(void **state)
{
	static const struct {
		const char *list, *says;
	} bad[] = {
		{"", "''"},
		{"host,", "''"},
		{",host", "''"},
		{"hos", "'hos'"},
		{"hosts", "'hosts'"},
		{"host,avx2", "'avx2': expected"},
		{"+", "''"},
		{"-", "''"},
		{"+avx", NULL}, /* a prefix of others, and a word of its own */
		{"-av", "'av'"},
		{"-avx22", "'avx22'"},
		{"host,-AVX2", "'AVX2'"},
		{"host -avx2", "'host -avx2'"},
		{"help", "takes a list"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vm_config cfg = {0};
		const char *text;
		int err;

		capture_begin(STDERR_FILENO);
		err = x86_cpu_option(&cfg, NULL, bad[i].list);
		text = capture_end();
		if ((bad[i].says && (err != -EINVAL || !strstr(text, bad[i].says))) || (!bad[i].says && err))
			fail_msg("--cpu '%s': %d, %s", bad[i].list, err, text);
	}
}

static void test_list(void **state)
{
	struct buf out = {0};

	x86_cpu_list(&out);
	assert_non_null(strstr((char *)out.data, " avx2 "));
	assert_non_null(strstr((char *)out.data, "kvmclock_stable\n"));
	for (const char *line = (char *)out.data; *line; line = strchr(line, '\n') + 1)
		assert_true(strchr(line, '\n') - line <= 80);
	buf_free(&out);
}

/* ---- clocks ---------------------------------------------------------------------------------------------
 */

static void test_clocks(void **state)
{
	starts("1", NULL);
	/* 1 MHz * 2400000 / 1000000 * 1000 */
	assert_int_equal((u64)leaf(0, 0x15, 0)->ecx * leaf(0, 0x15, 0)->ebx / leaf(0, 0x15, 0)->eax,
			 2400000000ull);
	assert_int_equal(leaf(0, 0x16, 0)->eax, 2400);
	assert_int_equal(leaf(0, 0x40000010, 0)->eax, 2400000);
	assert_int_equal(leaf(0, 0x40000000, 0)->eax, 0x40000010);
}

static void test_no_clock(void **state)
{
	const char *const none[] = {NULL};

	fake_kvm_fail(KVM_GET_TSC_KHZ, 0, EIO);
	assert_int_equal(vm_up("/proc/self/exe", MiB(4), "vcpus", none), 0);
	assert_null(leaf_of(0, 0x40000010, 0));
	assert_int_equal(leaf(0, 0x15, 0)->ebx, 0); /* as the host has it */
}

/* ---- odd hosts -------------------------------------------------------------------------------------------
 */

static struct kvm_cpuid_entry2 *host_leaf(struct kvm_cpuid2 *cpuid, u32 function)
{
	for (u32 i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function)
			return &cpuid->entries[i];
	fail_msg("no leaf 0x%x", function);
	return NULL;
}

static void amd(struct kvm_cpuid2 *cpuid)
{
	struct kvm_cpuid_entry2 *e = host_leaf(cpuid, 0);

	e->eax = 0x10;
	memcpy(&e->ebx, "Auth", 4);
	memcpy(&e->edx, "enti", 4);
	memcpy(&e->ecx, "cAMD", 4);
	host_leaf(cpuid, 0x80000000)->eax = 0x8000001e;
	cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
		.function = 0x8000001d, .index = 3, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 0x163};
	cpuid->entries[cpuid->nent++] =
		(struct kvm_cpuid_entry2){.function = 0x8000001e, .eax = 77, .ebx = 0x177, .ecx = 0x305};
}

static void test_amd(void **state)
{
	odd_host = amd;
	starts("4", NULL);
	for (u32 cpu = 0; cpu < 4; cpu++) {
		assert_true(leaf(cpu, 0x80000001, 0)->ecx >> 1 & 1); /* cmp_legacy */
		assert_int_equal(leaf(cpu, 0x8000001d, 3)->eax, 0x163 | 3 << 14);
		assert_int_equal(leaf(cpu, 0x8000001e, 0)->eax, cpu);
		assert_int_equal(leaf(cpu, 0x8000001e, 0)->ebx, cpu);
		assert_int_equal(leaf(cpu, 0x8000001e, 0)->ecx, 0);
	}
	/* Not Intel: its clock leaves are left alone, the highest leaf stays. */
	assert_int_equal(leaf(0, 0x15, 0)->ebx, 0);
	assert_int_equal(leaf(0, 0, 0)->eax, 0x10);
	starts("1", NULL);
	assert_false(leaf(0, 0x80000001, 0)->ecx >> 1 & 1);
}

static u32 wanted_bits;

static void phys_bits(struct kvm_cpuid2 *cpuid)
{
	host_leaf(cpuid, 0x80000008)->eax = 0x3000 | wanted_bits;
}

static void test_phys_bits(void **state)
{
	static const u32 said[] = {0, 31, 32, 36, 39, 46, 52, 57, 64, 255};
	static const u32 taken[] = {36, 36, 32, 36, 39, 46, 52, 52, 52, 52};
	struct pci_windows win;

	odd_host = phys_bits;
	for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
		wanted_bits = said[i];
		starts("1", NULL);
		assert_int_equal(x86_of(&vm.kvm)->phys_bits, taken[i]);
		/* And what is made of it: no shift beyond the width (the sanitizer's to say). */
		memset(&win, 0, sizeof(win));
		vm.kvm.machine->pci_windows(&vm.kvm, &win);
	}
	/* RAM to the last address it has, and a page more. */
	wanted_bits = 36;
	assert_int_equal(start("1", NULL, GiB(63)), 0);
	assert_int_equal(start("1", NULL, GiB(63) + 4096), -EINVAL);
	assert_one_line((char *)told.data, "more than this processor's 36 physical address bits reach");
}

static void bare(struct kvm_cpuid2 *cpuid)
{
	cpuid->nent = 0;
}

/* A host that says nothing at all is no crash. */
static void test_bare(void **state)
{
	odd_host = bare;
	assert_int_equal(start("2", "host,-avx2,-fpu", MiB(4)), 0);
	assert_int_equal(x86_of(&vm.kvm)->phys_bits, 36);
}

/* As many entries as KVM ever gives: all of ours still find a place. */
static void full(struct kvm_cpuid2 *cpuid)
{
	struct kvm_cpuid_entry2 *e;

	for (u32 i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 0x15 || cpuid->entries[i].function == 0x16 ||
		    cpuid->entries[i].function == 0xb || cpuid->entries[i].function == 0x1f)
			cpuid->entries[i].function = 0x80000005;
	while (cpuid->nent < 256) {
		e = &cpuid->entries[cpuid->nent++];
		*e = (struct kvm_cpuid_entry2){
			.function = 0x17, .index = cpuid->nent, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX};
	}
}

static void test_full(void **state)
{
	odd_host = full;
	/* KVM takes no more than it gives; that is said. */
	assert_int_equal(start("1", NULL, MiB(4)), -E2BIG);
	assert_one_line((char *)told.data, "vcpu 0: KVM_SET_CPUID2");
	assert_int_equal(x86_of(&vm.kvm)->cpuid->nent, 256 + 6);
}

static void test_failures(void **state)
{
	const char *const more[] = {"--cpu", "host", NULL};
	int err;

	fake_kvm_fail(KVM_GET_SUPPORTED_CPUID, 1, EIO);
	capture_begin(STDERR_FILENO);
	err = vm_up("/proc/self/exe", MiB(4), "vcpus", NULL);
	assert_one_line(capture_end(), "KVM_GET_SUPPORTED_CPUID");
	assert_int_equal(err, -EIO);
	vm_down();
	fake_kvm_fail(KVM_SET_CPUID2, 1, EINVAL);
	capture_begin(STDERR_FILENO);
	err = vm_up("/proc/self/exe", MiB(4), "vcpus", more);
	assert_one_line(capture_end(), "KVM_SET_CPUID2: Invalid argument (see --cpu)");
	assert_int_equal(err, -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_topology, setup, teardown),
		cmocka_unit_test_setup_teardown(test_features, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absent_leaf, setup, teardown),
		cmocka_unit_test(test_bad_words),
		cmocka_unit_test(test_list),
		cmocka_unit_test_setup_teardown(test_clocks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_clock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_amd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_phys_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bare, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

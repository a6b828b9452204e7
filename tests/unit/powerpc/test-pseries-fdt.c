/* SPDX-License-Identifier: MIT */
/*
 * The pseries machine's device tree: dtc must take it without a word of complaint, and what it says must be
 * what KVM and the board have, in the words that Linux's early code looks for.
 */
#include "pseries-boot-vm.h"

#include "dt-read.h"
#include <lkvm/verb.h>
#include <stdlib.h>
#include <sys/stat.h>

/* A VM whose tree is in `fdt` and in the file `dump`. */
static void tree(const char *const *more)
{
	const char *all[20];

	dump_options(all, more);
	assert_int_equal(pseries_booted(all), 0);
	take_tree(&vm.kvm.mem, ppc_of(&vm.kvm)->dtb, ppc_of(&vm.kvm)->dtb_size);
}

/* ---- dtc ------------------------------------------------------------------------------------------ */

static void test_dtc(void **state)
{
	static const char *const cpus[] = {"1", "2", "17"}, *const mmu[] = {"radix", "hash"};

	if (!have_dtc())
		skip();
	for (u32 i = 0; i < ARRAY_SIZE(mmu); i++)
		for (u32 k = 0; k < ARRAY_SIZE(cpus); k++) {
			const char *const more[] = {"--mmu", mmu[i], "-c", cpus[k], "--testdev", NULL};

			vm_down();
			fake_kvm_reset();
			tree(more);
			assert_dtc();
		}
}

/* ---- what it says ---------------------------------------------------------------------------------- */

static void test_root(void **state)
{
	int at;

	tree(NULL);
	/* By this, Linux knows the platform. */
	assert_string_equal(text(0, "device_type"), "chrp");
	assert_int_equal(cell(0, "#address-cells", 0), 2);
	assert_int_equal(fdt_boot_cpuid_phys(fdt), 0);
	at = node("/memory@0");
	assert_string_equal(text(at, "device_type"), "memory");
	assert_int_equal(cell64(at, "reg", 0), 0);
	assert_int_equal(cell64(at, "reg", 1), PSERIES_MEM);
	at = node("/chosen");
	assert_string_equal(text(at, "bootargs"), "console=hvc0 panic=-1");
	assert_int_equal(fdt_path_offset(fdt, text(at, "stdout-path")), node("/vdevice/vty@30000000"));
	assert_false(has(at, "linux,initrd-start"));
	prop(at, "rng-seed", 64);
	assert_string_equal(text(node("/hypervisor"), "compatible"), "linux,kvm");
	/* Linux takes the first node of that name, and it must be that of the services. */
	at = fdt_subnode_offset(fdt, 0, "reserved-memory");
	at = fdt_first_subnode(fdt, at);
	assert_true(at >= 0);
	assert_null(strstr(fdt_get_name(fdt, at, NULL), "rtas"));
	assert_int_equal(cell64(at, "reg", 0), pseries_of(&vm.kvm)->rtas);
	assert_int_equal(cell64(at, "reg", 1), cell(node("/rtas"), "rtas-size", 0));
}

static void test_initrd(void **state)
{
	struct vm_file f = vm_file("initrd", 6);
	const char *const more[] = {"-i", f.path, NULL};
	const struct ppc_machine *m;

	tree(more);
	m = ppc_of(&vm.kvm);
	assert_int_equal(cell64(node("/chosen"), "linux,initrd-start", 0), m->initrd);
	assert_int_equal(cell64(node("/chosen"), "linux,initrd-end", 0), m->initrd + m->initrd_size);
	assert_guest(m->initrd, "initrd\0\0", 8);
	assert_true(m->dtb + m->dtb_size <= m->initrd);
	close(f.fd);
}

static void test_vector5(void **state)
{
	static const char *const hash[] = {"--mmu", "hash", NULL}, *const xics[] = {"--irqchip", "xics",
										    NULL};
	const u8 *v;

	tree(NULL);
	v = prop(node("/chosen"), "ibm,architecture-vec-5", 27);
	assert_int_equal(v[23], 0x40);
	tree(xics);
	v = prop(node("/chosen"), "ibm,architecture-vec-5", 27);
	assert_int_equal(v[0], 26);
	assert_int_equal(v[2] & 0x80, 0x80);
	assert_int_equal(v[23], 0);
	assert_int_equal(v[24], 0x40);
	assert_int_equal(v[26], 0x40);
	tree(hash);
	v = prop(node("/chosen"), "ibm,architecture-vec-5", 27);
	assert_int_equal(v[24], 0);
	assert_int_equal(v[26], 0);
}

static bool pa_feature(int at, u32 bit)
{
	const u8 *p = prop(at, "ibm,pa-features", -1);

	return bit / 8 < p[0] && p[2 + bit / 8] >> (7 - bit % 8) & 1;
}

/* One node a vCPU; ids that are a core's first thread's where KVM says that cores have several. */
static void test_cpus(void **state)
{
	static const int smt[] = {1, 8};

	for (u32 k = 0; k < ARRAY_SIZE(smt); k++) {
		static const char *const more[] = {"-c", "3", NULL};
		u32 n = 0;
		int cpus, at;

		vm_down();
		fake_kvm_reset();
		fake_kvm_set_cap(KVM_CAP_PPC_SMT, smt[k]);
		tree(more);
		cpus = node("/cpus");
		fdt_for_each_subnode(at, fdt, cpus)
		{
			u32 id = n++ * (u32)smt[k];

			assert_non_null(fake_kvm_vcpu(fake_kvm_newest(), id));
			assert_int_equal(cell(at, "reg", 0), id);
			assert_string_equal(text(at, "device_type"), "cpu");
			assert_int_equal(cell(at, "ibm,ppc-interrupt-server#s", 0), id);
			assert_true(cell(at, "timebase-frequency", 0) > 0);
			assert_true(cell(at, "d-cache-block-size", 0) >= 16);
			assert_int_equal(prop(at, "ibm,pa-features", -1)[1], 0);
			assert_true(pa_feature(at, 40 * 8)); /* radix */
			assert_true(pa_feature(at, 5 * 8));  /* little-endian */
			assert_false(pa_feature(at, 22 * 8));
			assert_int_equal(cell(at, "ibm,processor-radix-AP-encodings", 1), 5u << 29 | 16);
			assert_false(has(at, "ibm,segment-page-sizes"));
		}
		assert_int_equal(n, 3);
	}
}

static void test_transactions(void **state)
{
	fake_kvm_set_cap(KVM_CAP_PPC_HTM, 1);
	tree(NULL);
	assert_true(pa_feature(fdt_first_subnode(fdt, node("/cpus")), 22 * 8));
}

static void test_hash(void **state)
{
	static const char *const more[] = {"--mmu", "hash", NULL};
	/* None larger than the host's own: it has larger ones at times only. */
	static const u32 of_4k[] = {12, 0, 1, 12, 0},
			 of_64k[] = {12, 0, 2, 12, 0, 16, 7, 16, 0x110, 1, 16, 1};
	bool small = sysconf(_SC_PAGESIZE) < 0x10000;
	const u32 *sizes = small ? of_4k : of_64k;
	u32 size = small ? sizeof(of_4k) : sizeof(of_64k);
	int at;

	tree(more);
	at = fdt_first_subnode(fdt, node("/cpus"));
	assert_false(pa_feature(at, 40 * 8));
	assert_false(has(at, "ibm,processor-radix-AP-encodings"));
	assert_int_equal(cell(at, "ibm,slb-size", 0), 32);
	assert_int_equal(cell(at, "ibm,processor-segment-sizes", 1), 40);
	prop(at, "ibm,segment-page-sizes", (int)size);
	for (u32 i = 0; i < size / 4; i++)
		assert_int_equal(cell(at, "ibm,segment-page-sizes", i), sizes[i]);
	/* 256 MiB have a table of a 128th. */
	assert_int_equal(cell(at, "ibm,pft-size", 1), 21);
	assert_int_equal(fake_kvm_count("KVM_PPC_ALLOCATE_HTAB"), 1);
	assert_true(has_string(node("/rtas"), "ibm,hypertas-functions", "hcall-pft"));
	tree(NULL);
	assert_false(has_string(node("/rtas"), "ibm,hypertas-functions", "hcall-pft"));
}

static void test_hash_memory_short(void **state)
{
	static const char *const more[] = {"--mmu", "hash", NULL};
	int err;

	fake_kvm_fail(KVM_PPC_ALLOCATE_HTAB, 1, ENOMEM);
	tree(more);
	assert_int_equal(cell(fdt_first_subnode(fdt, node("/cpus")), "ibm,pft-size", 1), 20);
	vm_down();
	fake_kvm_fail(KVM_PPC_ALLOCATE_HTAB, 0, ENOMEM);
	capture_begin(STDERR_FILENO);
	err = pseries_booted(more);
	assert_one_line(capture_end(), "a hash table of 2048 KiB");
	assert_int_equal(err, -ENOMEM);
}

/* What processor it is, the guest sees by PVR and, in the tree, by name. */
static void test_cpu_names(void **state)
{
	static const struct {
		u32 pvr;
		const char *node;
	} cases[] = {
		{0x004b0201, "/cpus/PowerPC,POWER8@0"},	 {0x004c0100, "/cpus/PowerPC,POWER8@0"},
		{0x004d0200, "/cpus/PowerPC,POWER8@0"},	 {0x004e1203, "/cpus/PowerPC,POWER9@0"},
		{0x00800200, "/cpus/PowerPC,POWER10@0"}, {0x00820101, "/cpus/PowerPC,POWER11@0"},
		{0x004f0000, "/cpus/PowerPC,Power@0"},	 {0, "/cpus/PowerPC,Power@0"},
	};

	tree(NULL);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ppc_machine *m = ppc_of(&vm.kvm);

		pseries_of(&vm.kvm)->pvr = cases[i].pvr;
		assert_int_equal(pseries_fdt_write(&vm.kvm, m->kernel_end + MiB(1), PSERIES_MEM), 0);
		take_tree(&vm.kvm.mem, m->dtb, m->dtb_size);
		assert_int_equal(cell(node(cases[i].node), "cpu-version", 0), cases[i].pvr);
	}
}

/* The second watchpoint, where KVM has it: told of, and switched on. */
static void test_dawr1(void **state)
{
	int err;

	for (u32 i = 0; i < 2; i++) {
		vm_down();
		fake_kvm_reset();
		fake_kvm_set_cap(KVM_CAP_PPC_DAWR1, (int)i);
		tree(NULL);
		assert_int_equal(pa_feature(fdt_first_subnode(fdt, node("/cpus")), 64 * 8), i);
		assert_int_equal(fake_ppc(fake_kvm_newest())->dawr1, i);
	}
	fake_kvm_fail_arg(KVM_ENABLE_CAP, KVM_CAP_PPC_DAWR1, EIO);
	capture_begin(STDERR_FILENO);
	err = pseries_booted(NULL);
	assert_one_line(capture_end(), "KVM_CAP_PPC_DAWR1: ");
	assert_int_equal(err, -EIO);
}

/* What a host cannot, said by the option that asks for it. */
static void test_mmu_refused(void **state)
{
	static const struct {
		u32 without[3];
		const char *mmu, *says;
		int err;
	} cases[] = {
		{{KVM_CAP_PPC_MMU_RADIX}, "radix", "--mmu radix: this host's KVM cannot", -ENOTSUP},
		{{KVM_CAP_PPC_MMU_HASH_V3}, "hash", "--mmu hash: this host's KVM cannot", -ENOTSUP},
		{{KVM_CAP_PPC_MMU_RADIX, KVM_CAP_PPC_ALLOC_HTAB}, "auto", "(modprobe kvm-hv)", -ENOTSUP},
		{{0}, "both", "--mmu both: auto, radix and hash are known", -EINVAL},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *const more[] = {"--mmu", cases[i].mmu, NULL};
		int err;

		vm_down();
		fake_kvm_reset();
		for (u32 k = 0; k < 3 && cases[i].without[k]; k++)
			fake_kvm_set_cap(cases[i].without[k], 0);
		capture_begin(STDERR_FILENO);
		err = pseries_booted(more);
		assert_one_line(capture_end(), cases[i].says);
		assert_int_equal(err, cases[i].err);
	}
	/* A POWER8: no radix, and hash without a third version. */
	vm_down();
	fake_kvm_reset();
	fake_kvm_set_cap(KVM_CAP_PPC_MMU_RADIX, 0);
	fake_kvm_set_cap(KVM_CAP_PPC_MMU_HASH_V3, 0);
	tree(NULL);
	assert_false(pseries_of(&vm.kvm)->radix);
}

/* kvm-hv is not loaded: `devices` says what `run` does. */
static void test_devices_refused(void **state)
{
	char *argv[] = {(char *)(uintptr_t) "devices", NULL};
	int status;

	fake_kvm_set_cap(KVM_CAP_PPC_MMU_RADIX, 0);
	fake_kvm_set_cap(KVM_CAP_PPC_ALLOC_HTAB, 0);
	capture_begin(STDERR_FILENO);
	status = verb_find("devices")->run(1, argv);
	assert_one_line(capture_end(), "(modprobe kvm-hv); on a host that is a guest itself");
	assert_int_equal(status, 1);
	assert_int_equal(fake_kvm_count("KVM_CREATE_VM"), 0);
}

static void test_terminals(void **state)
{
	tree(NULL);
	assert_string_equal(text(node("/vdevice"), "device_type"), "vdevice");
	for (u32 i = 0; i < CONSOLE_MAX; i++) {
		char path[40];
		int at;

		snprintf(path, sizeof(path), "/vdevice/vty@%x", PSERIES_VTERM(i));
		at = node(path);
		assert_string_equal(text(at, "device_type"), "serial");
		assert_string_equal(text(at, "compatible"), "hvterm1");
		assert_int_equal(cell(at, "reg", 0), PSERIES_VTERM(i));
		assert_int_equal(cell(at, "interrupts", 0), PSERIES_IRQ_VTERM(i));
		assert_int_equal(cell(at, "interrupts", 1), 0);
	}
}

static void test_rtas(void **state)
{
	static const char *const services[] = {"power-off",
					       "system-reboot",
					       "start-cpu",
					       "stop-self",
					       "query-cpu-stopped-state",
					       "get-time-of-day",
					       "set-time-of-day",
					       "ibm,os-term",
					       "ibm,set-xive",
					       "ibm,get-xive",
					       "display-character",
					       "ibm,int-on",
					       "ibm,int-off",
					       "ibm,get-system-parameter"};
	static const char *const xics[] = {"--irqchip", "xics", NULL};
	int at;

	tree(xics);
	at = node("/rtas");
	for (u32 i = 0; i < ARRAY_SIZE(services); i++) {
		assert_true(cell(at, services[i], 0) > 0);
		for (u32 k = 0; k < i; k++)
			assert_int_not_equal(cell(at, services[i], 0), cell(at, services[k], 0));
	}
	/* Without it Linux does not say that it panicked. */
	assert_true(has(at, "ibm,extended-os-term"));
	assert_true(has_string(at, "ibm,hypertas-functions", "hcall-splpar"));
	assert_true(has_string(at, "ibm,hypertas-functions", "hcall-set-mode"));
}

/* ---- its end --------------------------------------------------------------------------------------- */

static void test_calls_fail(void **state)
{
	static const struct {
		unsigned long req;
		const char *mmu, *says;
	} cases[] = {
		{KVM_PPC_GET_RMMU_INFO, "radix", "KVM_PPC_GET_RMMU_INFO: "},
		{KVM_PPC_GET_SMMU_INFO, "hash", "KVM_PPC_GET_SMMU_INFO: "},
		{KVM_PPC_RTAS_DEFINE_TOKEN, "radix", "KVM_PPC_RTAS_DEFINE_TOKEN of ibm,set-xive: "},
		{KVM_GET_SREGS, "radix", "vcpu 0: KVM_GET_SREGS: "},
		{KVM_GET_REGS, "radix", "vcpu 0: its registers: "},
		{KVM_SET_REGS, "radix", "vcpu 0: its registers: "},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *const more[] = {"--mmu", cases[i].mmu, "--irqchip", "xics", NULL};
		int err;

		vm_down();
		fake_kvm_reset();
		fake_kvm_fail(cases[i].req, 1, EIO);
		capture_begin(STDERR_FILENO);
		err = pseries_booted(more);
		assert_one_line(capture_end(), cases[i].says);
		assert_int_equal(err, -EIO);
	}
}

static void test_dump(void **state)
{
	static const char *const nowhere[] = {"--dump-dtb", "/nonexistent/file", NULL};
	u64 size;
	struct stat st;
	int err;

	tree(NULL);
	size = ppc_of(&vm.kvm)->dtb_size;
	assert_int_equal(stat(dump, &st), 0);
	assert_int_equal(st.st_size, size);
	capture_begin(STDERR_FILENO);
	err = pseries_booted(nowhere);
	assert_one_line(capture_end(), "--dump-dtb /nonexistent/file: ");
	assert_int_equal(err, -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PSERIES_TEST(test_dtc),		PSERIES_TEST(test_root),
		PSERIES_TEST(test_initrd),	PSERIES_TEST(test_vector5),
		PSERIES_TEST(test_cpus),	PSERIES_TEST(test_transactions),
		PSERIES_TEST(test_hash),	PSERIES_TEST(test_hash_memory_short),
		PSERIES_TEST(test_mmu_refused), PSERIES_TEST(test_cpu_names),
		PSERIES_TEST(test_dawr1),	PSERIES_TEST(test_devices_refused),
		PSERIES_TEST(test_terminals),	PSERIES_TEST(test_rtas),
		PSERIES_TEST(test_calls_fail),	PSERIES_TEST(test_dump),
	};

	return cmocka_run_group_tests(tests, make_bed, remove_bed);
}

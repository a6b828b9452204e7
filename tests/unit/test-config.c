/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: glob64 sysinfo */
/*
 * Command line and run file to struct vm_config: defaults, who wins, every refusal and its one line, and the
 * search for a kernel. Host facts (memory, /boot) are made up.
 */
#include "capture.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <lkvm/config.h>
#include <lkvm/machine.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

static u64 host_ram = GiB(8), host_swap = GiB(1);
static char boot_dir[64]; /* in place of /boot; empty: none */
static char work_dir[48];

/* What glob() is with 64-bit file offsets. */
int __real_glob64(const char *pattern, int flags, int (*err)(const char *, int), glob_t *g);
int __wrap_glob64(const char *pattern, int flags, int (*err)(const char *, int), glob_t *g);
int __wrap_glob64(const char *pattern, int flags, int (*err)(const char *, int), glob_t *g)
{
	char other[128];

	assert_int_equal(strncmp(pattern, "/boot/", 6), 0);
	if (!boot_dir[0])
		return GLOB_NOMATCH;
	snprintf(other, sizeof(other), "%s/%s", boot_dir, pattern + 6);
	return __real_glob64(other, flags, err, g);
}

int __wrap_sysinfo(struct sysinfo *si);
int __wrap_sysinfo(struct sysinfo *si)
{
	memset(si, 0, sizeof(*si));
	si->mem_unit = 4096;
	si->totalram = host_ram / 4096;
	si->totalswap = host_swap / 4096;
	return 0;
}

/* --- helpers ------------------------------------------------------------------------------------- */

static char line_copy[1024];
static char *line_argv[64];

static int split(const char *line)
{
	int argc = 0;

	snprintf(line_copy, sizeof(line_copy), "run %s", line);
	for (char *w = strtok(line_copy, " "); w; w = strtok(NULL, " "))
		line_argv[argc++] = strcmp(w, "''") ? w : w + 2;
	return argc;
}

static int parse(struct vm_config *cfg, const char *line)
{
	bool help;
	int argc = split(line), err;

	capture_begin(STDERR_FILENO);
	err = config_parse(cfg, argc, line_argv, &help);
	capture_end();
	assert_false(help);
	return err;
}

static void parse_ok(struct vm_config *cfg, const char *line)
{
	int err = parse(cfg, line);

	if (err)
		fail_msg("%s: %d: %s", line, err, capture.text);
	assert_string_equal(capture.text, "");
}

static void parse_bad(const char *line, const char *said)
{
	struct vm_config cfg;
	int err = parse(&cfg, line);

	config_free(&cfg);
	if (err != -EINVAL)
		fail_msg("%s: %d", line, err);
	assert_one_line(capture.text, said);
}

static void file_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
	snprintf(work_dir, sizeof(work_dir), "/tmp/lkvm-test-config-XXXXXX");
	boot_dir[0] = 0;
	host_ram = GiB(8);
	host_swap = GiB(1);
	return mkdtemp(work_dir) && !chdir(work_dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", work_dir);
	return chdir("/") || system(command);
}

/* --- the command line ------------------------------------------------------------------------------ */

static void test_defaults(void **state)
{
	struct vm_config cfg;
	char name[32];

	parse_ok(&cfg, "-k x");
	assert_string_equal(cfg.kernel, "x");
	assert_false(cfg.kernel_found);
	assert_int_equal(cfg.cpus, 1);
	assert_int_equal(cfg.mem_size, MiB(256));
	assert_string_equal(cfg.dev, "/dev/kvm");
	assert_string_equal(cfg.console, "serial");
	assert_int_equal(cfg.boot, BOOT_AUTO);
	assert_int_equal(cfg.on_reboot, ON_REBOOT_EXIT);
	assert_int_equal(cfg.timeout, 0);
	assert_int_equal(cfg.log.level, LOG_INFO);
	assert_int_equal(cfg.nr_requests, 0);
	assert_false(cfg.testdev || cfg.boot_timer || cfg.dry_run || cfg.nodefaults || cfg.shared_mem);
	snprintf(name, sizeof(name), "lkvm-%d", (int)getpid());
	assert_string_equal(cfg.name, name);
	config_free(&cfg);
}

static void test_everything(void **state)
{
	struct vm_config cfg;

	parse_ok(&cfg, "-k vmlinux -i a -i b --initrd=c -p quiet --params root=x -c 4 -m 1G --name web.1_a-b "
		       "--console serial --tty 1 --tty 3 --dev /dev/other --shared-mem --loglevel debug "
		       "--nodefaults --debug-ioport --debug-mmio --debug-single-step --timeout 30 "
		       "--on-reboot=restart --dry-run --boot pvh --testdev --boot-timer");
	assert_string_equal(cfg.kernel, "vmlinux");
	assert_int_equal(cfg.initrd.count, 3);
	assert_string_equal(cfg.initrd.item[2], "c");
	assert_int_equal(cfg.params.count, 2);
	assert_string_equal(cfg.params.item[1], "root=x");
	assert_int_equal(cfg.cpus, 4);
	assert_int_equal(cfg.mem_size, GiB(1));
	assert_string_equal(cfg.name, "web.1_a-b");
	assert_false(cfg.tty[0] || cfg.tty[2]);
	assert_true(cfg.tty[1] && cfg.tty[3]);
	assert_string_equal(cfg.dev, "/dev/other");
	assert_true(cfg.shared_mem && cfg.nodefaults && cfg.dry_run);
	assert_true(cfg.debug_ioport && cfg.debug_mmio && cfg.debug_single_step);
	assert_int_equal(cfg.log.level, LOG_DEBUG);
	assert_int_equal(cfg.timeout, 30);
	assert_int_equal(cfg.on_reboot, ON_REBOOT_RESTART);
	assert_int_equal(cfg.boot, BOOT_PVH);
	/* The devices' own options, in the order given. */
	assert_true(cfg.testdev && cfg.boot_timer);
	assert_int_equal(cfg.nr_requests, 2);
	assert_string_equal(cfg.request[0].ops->option.name, "testdev");
	assert_string_equal(cfg.request[1].ops->option.name, "boot-timer");
	config_free(&cfg);
}

static void test_kernel_as_a_word(void **state)
{
	struct vm_config cfg;

	parse_ok(&cfg, "vmlinux");
	assert_string_equal(cfg.kernel, "vmlinux");
	config_free(&cfg);
	parse_ok(&cfg, "-m 64 vmlinux -c 2");
	assert_string_equal(cfg.kernel, "vmlinux");
	assert_int_equal(cfg.cpus, 2);
	config_free(&cfg);
	parse_ok(&cfg, "-m 64 -- -odd-name");
	assert_string_equal(cfg.kernel, "-odd-name");
	config_free(&cfg);

	parse_bad("a b", "\"b\": one kernel only, and \"a\" is it");
	parse_bad("a -m 64 b", "\"b\": one kernel only");
	parse_bad("-- a b", "\"b\": one kernel only");
	parse_bad("-k a b", "\"b\": the kernel is named already by --kernel a");
	parse_bad("b -k a", "\"b\": the kernel is named already");
	parse_bad("''", "an empty word");
}

static void test_refusals(void **state)
{
	static const struct {
		const char *line, *said;
	} cases[] = {
		{"-k x -m 0", "-m 0: too small"},
		{"-k x -m 512K", "-m 512K: too small: the least is 1M"},
		{"-k x -m 1025K", "--mem 1025K: not a multiple of the host's page"},
		{"-k x -m 10G", "--mem 10G: more than this host has, 9G with swap"},
		{"-k x -m 5000T", "too large"},
		{"-k x -c 0", "-c 0: too small"},
		{"-k x -c 4097", "-c 4097: too large: the most is 4096"},
		{"-k x --frobnicate", "unknown option --frobnicate"},
		{"-k x -k y", "-k is given twice"},
		{"-k x --testdev --testdev", "--testdev is given twice"},
		{"-k", "-k needs an argument"},
		{"-k x --name ''", "no name for a VM"},
		{"-k x --name .hidden", "no name for a VM"},
		{"-k x --name a/b", "no name for a VM"},
		{"-k x --name \xc3\xa4", "no name for a VM"},
		{"-k x --name 0123456789012345678901234567890123456789012345678", "no name for a VM"},
		{"-k x --console hv", "--console hv: no such console"},
		{"-k x --tty 4", "--tty 4: no such console: give 0 to 3"},
		{"-k x --tty x", "--tty x: no such console"},
		{"-k x --loglevel loud", "--loglevel loud: give"},
		{"-k x --on-reboot never", "--on-reboot never: give exit or restart"},
		{"-k x --boot efi", "--boot efi: give auto, "},
		{"-k x --timeout 0", "--timeout 0: too small"},
		{"-k x --timeout 1000000001", "too large"},
		{"-k x --hugetlbfs /h --shared-mem", "exclude each other"},
		{"-k x --dry-run=yes", "--dry-run takes no argument"},
		{"-k x --config nowhere", "--config nowhere: No such file"},
		{"-k x --config .", "--config .: is a directory"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		parse_bad(cases[i].line, cases[i].said);
}

static void test_more_memory_than_the_host_has(void **state)
{
	int fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
	struct vm_config cfg;
	char mode = '0';

	assert_true(fd < 0 || read(fd, &mode, 1) == 1);
	close(fd);
	if (mode != '1') {
		parse_bad("-k x -m 9217M", "--mem 9217M: more than this host has, 9G with swap");
		return;
	}
	/* This host promises whatever it is asked for. */
	parse_ok(&cfg, "-k x -m 9217M");
	config_free(&cfg);
}

static void test_limits_allowed(void **state)
{
	struct vm_config cfg;

	parse_ok(&cfg, "-k x -c 4096 -m 9G --name 012345678901234567890123456789012345678901234567");
	assert_int_equal(cfg.mem_size, GiB(9));
	config_free(&cfg);
	/* hugetlbfs has a pool of its own. */
	parse_ok(&cfg, "-k x -m 10G --hugetlbfs /h");
	config_free(&cfg);
	parse_ok(&cfg, "-k x -m 1M");
	assert_int_equal(cfg.mem_size, MiB(1));
	config_free(&cfg);
}

static void test_default_memory_of_a_small_host(void **state)
{
	struct vm_config cfg;

	host_ram = MiB(301);
	parse_ok(&cfg, "-k x");
	assert_int_equal(cfg.mem_size, MiB(150));
	config_free(&cfg);
}

static void test_help(void **state)
{
	struct vm_config cfg;
	bool help = false;

	assert_int_equal(config_parse(&cfg, split("-k x -m 0 --help"), line_argv, &help), 0);
	assert_true(help);
	config_free(&cfg);
	assert_int_equal(config_parse(&cfg, split("-h"), line_argv, &help), 0);
	assert_true(help);
	config_free(&cfg);

	capture_begin(STDOUT_FILENO);
	config_help(STDOUT_FILENO);
	capture_end();
	for (const struct cli_option *o = run_options; o->kind != OPT_END; o++)
		if (o->name && !strstr(capture.text, o->name))
			fail_msg("--%s is not in the help", o->name);
	assert_non_null(strstr(capture.text, "\nDevices:\n"));
	assert_non_null(strstr(capture.text, "--testdev"));
}

/* --- the run file ------------------------------------------------------------------------------------- */

static void test_file_forms(void **state)
{
	struct vm_config cfg;

	file_write("vm", "# a comment\n"
			 "\n"
			 "kernel bzImage\n"
			 "  mem=64   # MiB\n"
			 "\tcpus = 2\r\n"
			 "name   =   web\n"
			 "params console=ttyS0 x=#y\n"
			 "params=root=/dev/vda  # trailing\n"
			 "params == odd\n"
			 "dry-run\n"
			 "testdev\n"
			 "timeout 7");
	parse_ok(&cfg, "--config vm");
	assert_string_equal(cfg.kernel, "bzImage");
	assert_int_equal(cfg.mem_size, MiB(64));
	assert_int_equal(cfg.cpus, 2);
	assert_string_equal(cfg.name, "web");
	assert_int_equal(cfg.params.count, 3);
	assert_string_equal(cfg.params.item[0], "console=ttyS0 x=#y");
	assert_string_equal(cfg.params.item[1], "root=/dev/vda");
	assert_string_equal(cfg.params.item[2], "= odd");
	assert_true(cfg.dry_run && cfg.testdev);
	assert_int_equal(cfg.timeout, 7);
	config_free(&cfg);
}

static void test_command_line_wins(void **state)
{
	struct vm_config cfg;

	file_write("vm", "kernel a\nmem 64\nname file\nparams p1\ninitrd i1\ntestdev\ncpus 2\ntty 1\n"
			 "loglevel error\n");
	parse_ok(&cfg, "-m 128 --config vm --name line -p p2 -i i2 --testdev --tty 1");
	assert_string_equal(cfg.kernel, "a");
	assert_int_equal(cfg.mem_size, MiB(128));
	assert_int_equal(cfg.cpus, 2);
	assert_string_equal(cfg.name, "line");
	assert_int_equal(cfg.log.level, LOG_ERROR);
	assert_int_equal(cfg.params.count, 2);
	assert_string_equal(cfg.params.item[0], "p1");
	assert_string_equal(cfg.params.item[1], "p2");
	assert_string_equal(cfg.initrd.item[1], "i2");
	assert_int_equal(cfg.nr_requests, 1);
	config_free(&cfg);
	/* The word wins over the file's kernel as -k does. */
	parse_ok(&cfg, "--config=vm b");
	assert_string_equal(cfg.kernel, "b");
	config_free(&cfg);
}

static void test_file_refusals(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"kernel x\nmemm 3\n", "vm:2: unknown option memm: did you mean mem?"},
		{"--mem 3\n", "vm:1: unknown option --mem: did you mean mem?"},
		{"\n\nmem\n", "vm:3: mem needs an argument: mem SIZE"},
		{"mem =\n", "vm:1: mem needs an argument that is not empty"},
		{"mem 3\nmem 4\n", "vm:2: mem is given twice"},
		{"mem 0\n", "vm:1: mem 0: too small"},
		{"dry-run yes\n", "vm:1: dry-run takes no argument"},
		{"config other\n", "vm:1: config belongs on the command line only"},
		{"help\n", "vm:1: help belongs on the command line only"},
		{"= 3\n", "vm:1: unknown option "},
	};
	FILE *f;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		file_write("vm", cases[i].text);
		parse_bad("-k x --config vm", cases[i].said);
	}
	f = fopen("vm", "w");
	assert_int_equal(fwrite("mem 3\0\n", 1, 7, f), 7);
	fclose(f);
	parse_bad("-k x --config vm", "zero bytes");
	f = fopen("vm", "w");
	for (u32 i = 0; i < 200000; i++)
		fputs("#####\n", f);
	fclose(f);
	parse_bad("-k x --config vm", "longer than 1 MiB");
}

static void test_file_from_a_pipe(void **state)
{
	struct vm_config cfg;
	char line[64];
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], "mem 32\nkernel y\n", 16), 16);
	close(fd[1]);
	snprintf(line, sizeof(line), "--config /dev/fd/%d", fd[0]);
	parse_ok(&cfg, line);
	assert_int_equal(cfg.mem_size, MiB(32));
	config_free(&cfg);
	close(fd[0]);
}

/* --- looking for a kernel ----------------------------------------------------------------------------- */

static void boot_file(const char *name, mode_t mode)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", boot_dir, name);
	file_write(path, "x");
	assert_int_equal(chmod(path, mode), 0);
}

static void test_no_kernel(void **state)
{
	parse_bad("-m 64", "no kernel: none named by -k, and none to be read at ");
	assert_non_null(strstr(capture.text, machines[0]->kernel_paths[0]));
	assert_non_null(strstr(capture.text, "/boot/vmlinuz*"));
}

static void find_one(const char *want)
{
	struct vm_config cfg;

	if (parse(&cfg, "-m 64"))
		fail_msg("wanted %s: %s", want, capture.text);
	assert_true(cfg.kernel_found);
	if (strlen(cfg.kernel) < strlen(want) || strcmp(cfg.kernel + strlen(cfg.kernel) - strlen(want), want))
		fail_msg("wanted %s, got %s", want, cfg.kernel);
	assert_one_line(capture.text, cfg.kernel);
	config_free(&cfg);
}

static void test_finds_a_kernel(void **state)
{
	/* A directory of that name is none. */
	assert_int_equal(mkdir(machines[0]->kernel_paths[0], 0755), 0);
	snprintf(boot_dir, sizeof(boot_dir), "%s/b", work_dir);
	assert_int_equal(mkdir(boot_dir, 0755), 0);
	parse_bad("-m 64", "no kernel");

	boot_file("vmlinuz-6.1.0-9-amd64", 0644);
	find_one("/vmlinuz-6.1.0-9-amd64");
	boot_file("vmlinuz-6.1.0-38-amd64", 0644);
	boot_file("vmlinuz-5.10.0-99-amd64", 0644);
	boot_file("vmlinuz-6.2.0.old", 0644);
	boot_file("vmlinuz.bak", 0644);
	boot_file("initrd.img-7.0", 0644);
	find_one("/vmlinuz-6.1.0-38-amd64");
	if (geteuid()) {
		boot_file("vmlinuz-7.0", 0);
		find_one("/vmlinuz-6.1.0-38-amd64");
	}

	/* What is in the current directory comes before all of those. */
	assert_int_equal(rmdir(machines[0]->kernel_paths[0]), 0);
	file_write(machines[0]->kernel_paths[0], "x");
	find_one(machines[0]->kernel_paths[0]);
}

/* At --loglevel error the choice is made in silence. */
static void test_finds_a_kernel_quietly(void **state)
{
	struct vm_config cfg;

	file_write(machines[0]->kernel_paths[0], "x");
	parse_ok(&cfg, "--loglevel error");
	assert_true(cfg.kernel_found);
	config_free(&cfg);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_defaults),
		T(test_everything),
		T(test_kernel_as_a_word),
		T(test_refusals),
		T(test_more_memory_than_the_host_has),
		T(test_limits_allowed),
		T(test_default_memory_of_a_small_host),
		T(test_help),
		T(test_file_forms),
		T(test_command_line_wins),
		T(test_file_refusals),
		T(test_file_from_a_pipe),
		T(test_no_kernel),
		T(test_finds_a_kernel),
		T(test_finds_a_kernel_quietly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

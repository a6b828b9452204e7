/* SPDX-License-Identifier: MIT */
/* TSAN */
/*
 * A whole VM, from kvm_session() to its exit status, on the fake KVM: the order of its ioctls, how guests
 * end, and each call to KVM made to fail in turn: status 1, one line that says so, nothing left behind, no
 * hang.
 *
 * The image is a multiboot file of this test's own; the guest's part is played by the fake's script.
 */
#include "fake-kvm.h"
#include "outcome.h"

#include <lkvm/config.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SERIAL	  0x3f8
#define EXIT_PORT 0xf4
#define BOUND_S	  120 /* for one test, under sanitizers on a loaded machine */

/* ---- a place for files, an image -------------------------------------------------------------- */

static struct {
	char dir[64], image[96], sockets[96];
	u32 fds; /* before a session */
} bed;

static const u32 image[] = {
	0x1badb002,
	0x10001,
	0u - 0x1badb002u - 0x10001u, /* magic, flags: addresses, modules aligned; checksum */
	0x100000,
	0x100000,
	0, /* header, load, load end: all of it */
	0,
	0x100020,   /* no bss; entry */
	0xf4f4f4f4, /* hlt */
};

static int make_bed(void **state)
{
	const char *tmp = getenv("TMPDIR");
	int fd;

	snprintf(bed.dir, sizeof(bed.dir), "%.40s/lkvm-start-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(bed.dir))
		return -1;
	snprintf(bed.image, sizeof(bed.image), "%s/image", bed.dir);
	snprintf(bed.sockets, sizeof(bed.sockets), "%s/lkvm", bed.dir);
	setenv("XDG_RUNTIME_DIR", bed.dir, 1);
	fd = open(bed.image, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, image, sizeof(image)) != sizeof(image))
		return -1;
	close(fd);
	return 0;
}

static int remove_bed(void **state)
{
	char lock[128];

	unlink(bed.image);
	/* Only the directory's own lock may still be there: a socket left behind fails the rmdir. */
	snprintf(lock, sizeof(lock), "%s/lock", bed.sockets);
	unlink(lock);
	snprintf(lock, sizeof(lock), "%s/.lock", bed.sockets);
	unlink(lock);
	if (rmdir(bed.sockets) < 0 || rmdir(bed.dir) < 0) {
		print_error("%s: not left empty\n", bed.dir);
		return -1;
	}
	return 0;
}

static int setup(void **state)
{
	fake_kvm_reset();
	bed.fds = fake_count_fds();
	alarm(BOUND_S);
	return 0;
}

static int teardown(void **state)
{
	alarm(0);
	fake_kvm_reset();
	return 0;
}

/* ---- one session -------------------------------------------------------------------------------- */

/* `run -k IMAGE -m MEM ...more`: how many words. */
static int words(const char **argv, const char *mem, const char *const *more)
{
	const char *const first[] = {"run", "-k", bed.image, "--name", "start", "-m", mem};
	int argc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		argv[argc++] = first[i];
	for (; more && *more; more++)
		argv[argc++] = *more;
	return argc;
}

/* Their config: 0 or -errno. */
static int configure(struct vm_config *cfg, const char *mem, const char *const *more)
{
	const char *argv[24];
	int argc = words(argv, mem, more);
	bool help;

	return config_parse(cfg, argc, (char **)(uintptr_t)argv, &help);
}

/* `lkvm run -k IMAGE ...more`, as far as it gets. */
static void session(struct outcome *o, const char *const *more)
{
	const char *argv[24];

	outcome_run(o, words(argv, "4M", more), argv);
}

static void assert_nothing_left(void)
{
	outcome_nothing_left(bed.fds);
}

static u64 lsr;
static const struct fake_exit greet[] = {
	{.kind = FAKE_OUT, .addr = SERIAL, .len = 1, .value = 'h'},
	{.kind = FAKE_OUT, .addr = SERIAL, .len = 1, .value = 'i'},
	{.kind = FAKE_IN, .addr = SERIAL + 5, .len = 1, .result = &lsr},
	{.kind = FAKE_OUT, .addr = SERIAL, .len = 1, .value = '\n'},
	{.kind = FAKE_OUT, .addr = EXIT_PORT, .len = 1, .value = 7},
};

/* ---- starts that succeed ---------------------------------------------------------------------------- */

/* Each of these comes after the one before it. */
static void assert_order(const char *const *name)
{
	int last = -1;

	for (; *name; name++) {
		int at = fake_kvm_first(*name);

		if (at < 0)
			fake_kvm_print_log();
		assert_true(at >= 0);
		if (at <= last)
			print_error("%s comes too early\n", *name);
		assert_true(at > last);
		last = at;
	}
}

static void test_order(void **state)
{
	static const char *const order[] = {
		"open",		  "KVM_GET_API_VERSION", "KVM_CREATE_VM", "KVM_SET_USER_MEMORY_REGION",
		"KVM_ENABLE_CAP", "KVM_CREATE_VCPU",	 "mmap",	  "KVM_SET_CPUID2",
		"KVM_SET_SREGS",  "KVM_SET_REGS",	 "KVM_RUN",	  NULL,
	};
	struct fake_vm *vm;
	struct outcome o;

	fake_kvm_script(0, greet, ARRAY_SIZE(greet));
	session(&o, NULL);
	assert_string_equal(o.err, "");
	assert_string_equal(o.out, "hi\n");
	assert_int_equal(o.status, 7);
	assert_int_equal(lsr & 0x60, 0x60);
	assert_order(order);
	/* What a later memslot would cost is in docs/design.md. */
	assert_true(fake_kvm_last("KVM_SET_USER_MEMORY_REGION") < fake_kvm_first("KVM_ENABLE_CAP"));
	assert_true(fake_kvm_first("KVM_SET_TSS_ADDR") < fake_kvm_first("KVM_CREATE_VCPU"));
	assert_true(fake_kvm_first("KVM_SET_IDENTITY_MAP_ADDR") < fake_kvm_first("KVM_CREATE_VCPU"));
	assert_int_equal(fake_kvm_count("KVM_CREATE_VM"), 1);
	assert_int_equal(fake_kvm_count("KVM_CREATE_VCPU"), 1);
	assert_int_equal(fake_kvm_count("open"), 1);
	vm = fake_kvm_vm(0);
	assert_int_equal(vm->nr_slots, 1);
	assert_int_equal(vm->slot[0].gpa, 0);
	assert_int_equal(vm->slot[0].size, MiB(4));
	assert_true(vm->split && !vm->irqchip && !vm->pit);
	assert_nothing_left();
}

/* Nothing that a start does may fail in the kernel: a call that is refused is a call not understood. */
static void test_no_refusals(void **state)
{
	struct outcome o;
	u32 n;

	fake_kvm_script(0, greet, ARRAY_SIZE(greet));
	session(&o, NULL);
	n = fake_kvm_nr_calls();
	for (u32 i = 0; i < n; i++) {
		struct fake_call c = fake_kvm_call(i);

		if (c.ret < 0 && c.ret != -EINTR)
			print_error("%s(0x%" PRIx64 "): %d\n", c.name, c.arg, c.ret);
		assert_true(c.ret >= 0 || c.ret == -EINTR);
	}
	assert_nothing_left();
}

static void start_state(struct fake_vcpu *vcpu, void *arg)
{
	struct fake_blob *b;

	for (b = vcpu->blobs; b; b = b->next)
		if (b->req == KVM_GET_REGS)
			memcpy(arg, b->data, sizeof(struct kvm_regs));
}

/* The image is where its header wants it, and the vCPU starts as the multiboot specification has it. */
static void test_image_and_registers(void **state)
{
	struct kvm_regs regs = {0};
	u8 loaded[sizeof(image)] = {0};
	struct fake_exit script[] = {
		{.kind = FAKE_CALL, .call = start_state, .arg = &regs},
		{.kind = FAKE_OUT, .addr = EXIT_PORT, .len = 1, .value = 0},
	};
	struct vm_config cfg;
	struct kvm *kvm = calloc(1, sizeof(*kvm));

	fake_kvm_script(0, script, ARRAY_SIZE(script));
	assert_int_equal(configure(&cfg, "4M", NULL), 0);
	assert_int_equal(kvm_up(kvm, &cfg, "boot"), 0);
	assert_int_equal(fake_kvm_first("KVM_RUN"), -1);
	assert_int_equal(guest_read(&kvm->mem, 0x100000, loaded, sizeof(loaded)), 0);
	assert_memory_equal(loaded, image, sizeof(image));
	assert_ptr_equal(fake_kvm_mem(fake_kvm_vm(0), 0x100000, 4), guest_ptr(&kvm->mem, 0x100000, 4));
	start_state(fake_kvm_vcpu(fake_kvm_vm(0), 0), &regs);
	assert_int_equal(regs.rip, 0x100020);
	assert_int_equal(regs.rax, 0x2badb002);
	kvm_down(kvm);
	config_free(&cfg);
	free(kvm);
	assert_nothing_left();
}

static void test_four_vcpus(void **state)
{
	static const char *const four[] = {"-c", "4", NULL};
	struct outcome o;

	fake_kvm_script(0, greet, ARRAY_SIZE(greet));
	session(&o, four);
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 7);
	assert_int_equal(fake_kvm_count("KVM_CREATE_VCPU"), 4);
	assert_true(fake_kvm_last("KVM_CREATE_VCPU") < fake_kvm_first("KVM_RUN"));
	assert_int_equal(fake_kvm_vm(0)->nr_vcpus, 4);
	for (u32 i = 0; i < 4; i++)
		assert_true(fake_kvm_vcpu(fake_kvm_vm(0), i)->nr_cpuid > 0);
	assert_nothing_left();
}

static void assert_full(const char *const *options)
{
	static const char *const order[] = {"KVM_SET_USER_MEMORY_REGION",
					    "KVM_CREATE_IRQCHIP",
					    "KVM_CREATE_PIT2",
					    "KVM_CREATE_VCPU",
					    "KVM_RUN",
					    NULL};
	struct outcome o;

	fake_kvm_script(0, greet, ARRAY_SIZE(greet));
	session(&o, options);
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 7);
	assert_order(order);
	assert_true(fake_kvm_last("KVM_SET_USER_MEMORY_REGION") < fake_kvm_first("KVM_CREATE_IRQCHIP"));
	assert_int_equal(fake_kvm_find("KVM_ENABLE_CAP", KVM_CAP_SPLIT_IRQCHIP), -1);
	assert_true(fake_kvm_vm(0)->irqchip && fake_kvm_vm(0)->pit && !fake_kvm_vm(0)->split);
	assert_nothing_left();
}

/* By its name, and where KVM has no other. */
static void test_full_irqchip(void **state)
{
	static const char *const full[] = {"--irqchip", "full", NULL};

	assert_full(full);
	fake_kvm_reset();
	fake_kvm_set_cap(KVM_CAP_SPLIT_IRQCHIP, 0);
	assert_full(NULL);
}

/*
 * Ticks of the PIT by the PIC: the host's timer on the main thread kicks the vCPU out of its sleep, its own
 * accesses do not; each HLT ends by an injected vector.
 */
static void test_ticks(void **state)
{
#define PORT(p, v)                                                                                           \
	{                                                                                                    \
		.kind = FAKE_OUT, .addr = p, .len = 1, .value = v                                            \
	}
#define TICK {.kind = FAKE_HLT}, PORT(0x20, 0x20)
	static const char *const split[] = {"--irqchip", "split", "-c", "2", NULL};
	static const struct fake_exit script[] = {
		PORT(0x20, 0x11),
		PORT(0x21, 0x30),
		PORT(0x21, 4),
		PORT(0x21, 1),
		PORT(0x21, 0xfe),
		PORT(0x43, 0x34),
		PORT(0x40, 0),
		PORT(0x40, 0x10), /* 291 Hz */
		TICK,
		TICK,
		TICK,
		TICK,
		TICK,
		TICK,
		TICK,
		TICK,
		TICK,
		TICK,
		PORT(EXIT_PORT, 7),
	};
#undef TICK
#undef PORT
	struct outcome o;

	fake_kvm_script(0, script, ARRAY_SIZE(script));
	session(&o, split);
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 7);
	assert_in_range(fake_kvm_count("KVM_INTERRUPT"), 10, 11);
	assert_int_equal(fake_kvm_vcpu(fake_kvm_vm(0), 0)->vector, 0x30);
	assert_nothing_left();
}

/* RAM on both sides of the 32-bit hole; nothing touches it, so 6 GiB cost nothing. */
static void test_memory_above_4g(void **state)
{
	struct kvm *kvm = calloc(1, sizeof(*kvm));
	struct vm_config cfg;
	struct fake_vm *vm;

	assert_int_equal(configure(&cfg, "6G", NULL), 0);
	assert_int_equal(kvm_up(kvm, &cfg, "memory"), 0);
	vm = fake_kvm_vm(0);
	assert_int_equal(vm->nr_slots, 2);
	assert_true(vm->slot[0].gpa == 0 && vm->slot[0].size == GiB(3));
	assert_true(vm->slot[1].gpa == GiB(4) && vm->slot[1].size == GiB(3));
	kvm_down(kvm);
	config_free(&cfg);
	free(kvm);
	assert_nothing_left();
}

/* ---- how guests end --------------------------------------------------------------------------------- */

static void fail_emulation(struct fake_vcpu *vcpu, void *arg)
{
	vcpu->run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	vcpu->run->internal.ndata = 0;
}

static void assert_end(const struct fake_exit *script, u32 n, int status, const char *says)
{
	struct outcome o;

	fake_kvm_script(0, script, n);
	session(&o, NULL);
	assert_int_equal(o.status, status);
	if (says && !strstr(o.err, says))
		print_error("%s", o.err);
	assert_true(!says || strstr(o.err, says));
	assert_nothing_left();
}

static void test_triple_fault(void **state)
{
	static const struct fake_exit script[] = {{.kind = FAKE_EXIT, .value = KVM_EXIT_SHUTDOWN}};

	assert_end(script, ARRAY_SIZE(script), 33, "triple fault");
}

static void test_internal_error(void **state)
{
	static const struct fake_exit script[] = {
		{.kind = FAKE_EXIT, .value = KVM_EXIT_INTERNAL_ERROR, .call = fail_emulation},
	};

	assert_end(script, ARRAY_SIZE(script), 33, "cannot emulate");
}

static void test_unknown_exit(void **state)
{
	static const struct fake_exit script[] = {{.kind = FAKE_EXIT, .value = 250}};

	assert_end(script, ARRAY_SIZE(script), 33, "250");
}

static void test_run_fails(void **state)
{
	static const struct fake_exit script[] = {{.kind = FAKE_ERRNO, .value = EIO}};

	assert_end(script, ARRAY_SIZE(script), 1, "EIO");
}

static void test_interrupted_run(void **state)
{
	static const struct fake_exit script[] = {
		{.kind = FAKE_ERRNO, .value = EINTR, .repeat = 3},
		{.kind = FAKE_ERRNO, .value = EAGAIN},
		{.kind = FAKE_OUT, .addr = EXIT_PORT, .len = 1, .value = 9},
	};

	assert_end(script, ARRAY_SIZE(script), 9, NULL);
}

/* The reset register, the keyboard controller's too. */
static void test_reset(void **state)
{
	static const struct fake_exit script[] = {{.kind = FAKE_OUT, .addr = 0x64, .len = 1, .value = 0xfe}};

	assert_end(script, ARRAY_SIZE(script), 32, NULL);
}

static void send_term(struct fake_vcpu *vcpu, void *arg)
{
	kill(getpid(), SIGTERM);
}

/* The signal comes while the vCPU sleeps in KVM_RUN for ever: it must be kicked out. */
static void test_sigterm_while_halted(void **state)
{
	static const struct fake_exit script[] = {
		{.kind = FAKE_CALL, .call = send_term},
		{.kind = FAKE_HLT},
	};

	assert_end(script, ARRAY_SIZE(script), 128 + SIGTERM, NULL);
}

static void test_timeout_while_halted(void **state)
{
	static const char *const timeout[] = {"--timeout", "1", NULL};
	struct outcome o;

	session(&o, timeout);
	assert_int_equal(o.status, 124);
	assert_nothing_left();
}

/* A reset is followed by a second start, in the same process, from nothing. */
static void test_restart(void **state)
{
	static const char *const restart[] = {"--on-reboot=restart", NULL};
	struct outcome o;
	/* It begins anew with each VM. */
	static const struct fake_exit script[] = {
		{.kind = FAKE_OUT, .addr = SERIAL, .len = 1, .value = '.'},
		{.kind = FAKE_OUT, .addr = 0x64, .len = 1, .value = 0xfe},
	};

	fake_kvm_script(0, script, ARRAY_SIZE(script));
	/* The third VM cannot be made: that ends it. */
	fake_kvm_fail(KVM_CREATE_VM, 3, ENOMEM);
	session(&o, restart);
	assert_int_equal(o.status, 1);
	assert_string_equal(o.out, "..");
	assert_int_equal(fake_kvm_count("KVM_CREATE_VM"), 3);
	assert_nothing_left();
}

/* ---- every failure ------------------------------------------------------------------------------------- */

/* What may fail here besides what may on every machine. */
static const char *const optional[] = {"KVM_GET_TSC_KHZ", NULL};

static void each_failure(const char *const *options, int err)
{
	const struct outcome_vm vm = {greet, ARRAY_SIZE(greet), session, optional, bed.fds};

	outcome_each_failure(&vm, options, err);
}

static void test_each_failure(void **state)
{
	each_failure(NULL, EIO);
}

static void test_each_failure_no_memory(void **state)
{
	each_failure(NULL, ENOMEM);
}

static void test_each_failure_full(void **state)
{
	static const char *const full[] = {"--irqchip", "full", "-c", "2", NULL};

	each_failure(full, EINVAL);
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
			print_error("without capability %u: status %d\n%s", cap, o.status, o.err);
		assert_true(o.status == 7 || (o.status == 1 && outcome_lines(o.err) == 1));
		assert_nothing_left();
	}
}

static void test_no_kvm(void **state)
{
	static const struct {
		int err;
		const char *says;
	} cases[] = {
		{ENOENT, "/dev/kvm: there is none"},
		{EACCES, "kvm"},
		{EPERM, "no permission"},
		{ENODEV, "/dev/kvm: "},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct outcome o;

		fake_kvm_fail(FAKE_OPEN, 1, cases[i].err);
		session(&o, NULL);
		assert_int_equal(o.status, 1);
		assert_int_equal(outcome_lines(o.err), 1);
		assert_non_null(strstr(o.err, cases[i].says));
		assert_nothing_left();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_image_and_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_four_vcpus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_irqchip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ticks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_above_4g, setup, teardown),
		cmocka_unit_test_setup_teardown(test_triple_fault, setup, teardown),
		cmocka_unit_test_setup_teardown(test_internal_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_exit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_run_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupted_run, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sigterm_while_halted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeout_while_halted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_failure_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_failure_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_capability_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_kvm, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make_bed, remove_bed);
}

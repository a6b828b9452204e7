/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: accept4 clock_gettime kvm_end */
/* TSAN */
/* The verbs that talk to a running VM, both sides: list, pause, resume, stop, debug. */
#include "paper-vm.h"

/* A verb as its command line would be; what it said on stdout and stderr is in capture.text. */
static int verb(int fd, const char *line)
{
	char copy[256], *argv[16];
	int argc = 0, status;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	capture_begin(fd);
	status = verb_find(argv[0])->run(argc, argv);
	capture_end();
	return status;
}

static void verb_says(const char *line, int status, const char *out)
{
	int got = verb(STDOUT_FILENO, line);

	if (got != status || strcmp(capture.text, out))
		fail_msg("%s: status %d, said: %s", line, got, capture.text);
}

static void verb_fails(const char *line, int status, const char *err)
{
	int got = verb(STDERR_FILENO, line);

	if (got != status)
		fail_msg("%s: status %d", line, got);
	assert_one_line(capture.text, err);
}

/* --- the verbs --------------------------------------------------------------------------------- */

static void test_list(void **state)
{
	struct vm *one, *two;
	char want[128];

	verb_says("list", 0, "");
	verb_says("list --json", 0, "[]\n");
	verb_fails("list -n one", 1, "one: no VM of that name is running");
	one = vm_start("one");
	two = vm_start("two-2.x_long");
	ask("one", "{\"verb\":\"pause\"}", "{\"ok\":true}");
	/* No start time was set: the uptime is the host's. */
	assert_int_equal(verb(STDOUT_FILENO, "list"), 0);
	assert_int_equal(
		strncmp(capture.text, "NAME              PID  STATE      VCPUS   MEMORY   UPTIME\n", 58), 0);
	snprintf(want, sizeof(want), "\none           %7d  paused         2      64M  ", (int)getpid());
	assert_non_null(strstr(capture.text, want));
	snprintf(want, sizeof(want), "\ntwo-2.x_long  %7d  running        2      64M  ", (int)getpid());
	assert_non_null(strstr(capture.text, want));
	assert_int_equal(verb(STDOUT_FILENO, "list --json -n one"), 0);
	snprintf(want, sizeof(want),
		 "[{\"name\":\"one\",\"pid\":%d,\"state\":\"paused\",\"machine\":\"paper\",\"vcpus\":2,"
		 "\"memory\":67108864,\"uptime_ms\":",
		 (int)getpid());
	assert_int_equal(strncmp(capture.text, want, strlen(want)), 0);
	verb_fails("list two", 2, "list: \"two\": takes no such word");
	vm_stop(two);
	vm_stop(one);
}

static void test_vm_that_does_not_answer(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/mute.sock", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) | listen(fd, 8), 0);
	verb_says("list", 0, "NAME      PID  STATE      VCPUS   MEMORY   UPTIME\nmute        -  no answer\n");
	verb_says("list --json", 0, "[{\"name\":\"mute\",\"state\":\"no answer\"}]\n");
	verb_fails("pause", 1, "mute: does not answer: is it stopped?");
	close(fd);
}

static void test_pause_and_resume(void **state)
{
	struct vm *one, *two;

	verb_fails("pause", 1, "pause: no VM is running");
	verb_fails("pause -n one", 1, "one: no VM of that name is running");
	one = vm_start("one");
	verb_says("pause", 0, "one: paused\n");
	assert_int_equal(one->kvm.pause.depth, 1);
	verb_fails("pause", 1, "one: is paused already");
	verb_says("resume -n one --json", 0, "[{\"name\":\"one\",\"ok\":true}]\n");
	assert_int_equal(one->kvm.pause.depth, 0);
	verb_fails("resume", 1, "one: is not paused");
	two = vm_start("two");
	verb_fails("pause", 2, "pause: which VM? Give -n NAME or -a: one, two");
	verb_fails("pause -n one -a", 2, "exclude each other");
	verb_says("pause -a", 0, "one: paused\ntwo: paused\n");
	verb_says("resume --name=two", 0, "two: resumed\n");
	/* One of them fails; the other is dealt with all the same. */
	verb_says(
		"resume -a --json", 1,
		"[{\"name\":\"one\",\"ok\":true},{\"name\":\"two\",\"ok\":false,\"error\":\"is not paused\"}]\n");
	vm_stop(two);
	vm_stop(one);
}

static void *die_soon(void *arg)
{
	struct vm *vm = arg;
	struct pollfd none = {.fd = -1};

	while (!atomic_load(&vm->buttons) && !atomic_load(&vm->ended))
		poll(&none, 1, 1);
	event_stop(&vm->kvm.loop);
	pthread_join(vm->thread, NULL);
	control_destroy(&vm->kvm);
	return NULL;
}

/* Runs `stop` with a guest that heeds its button, or an end that is forced. */
static void stop_case(const char *line, int button_result, const char *out, u32 buttons, enum vm_end end)
{
	struct vm *vm = vm_start("one");
	pthread_t dying;

	vm->button_result = button_result;
	assert_int_equal(pthread_create(&dying, NULL, die_soon, vm), 0);
	verb_says(line, 0, out);
	pthread_join(dying, NULL);
	assert_int_equal(atomic_load(&vm->buttons), buttons);
	assert_int_equal(atomic_load(&vm->ended), end);
	vm_free(vm);
}

static void test_stop(void **state)
{
	struct vm *vm;

	stop_case("stop", 0, "one: powered off\n", 1, VM_RUNNING);
	stop_case("stop --json", 0, "[{\"name\":\"one\",\"ok\":true,\"forced\":false}]\n", 1, VM_RUNNING);
	stop_case("stop --force --timeout 0", 0, "one: ended\n", 0, VM_STOPPED);
	stop_case("stop --force", -ENOTSUP, "one: ended\n", 1, VM_STOPPED);

	vm = vm_start("one");
	vm->button_result = -ENOTSUP;
	verb_fails("stop", 1, "one: its board has no power button: give --force");
	vm->button_result = 0;
	verb_fails("stop --timeout 0", 1, "one: did not power off within 0 s: wait longer, or give --force");
	verb_says("pause", 0, "one: paused\n");
	verb_fails("stop", 1, "one: is paused and cannot react");
	assert_int_equal(atomic_load(&vm->ended), VM_RUNNING);
	vm_stop(vm);
}

static void test_debug(void **state)
{
	struct vm *vm = vm_start("one");

	verb_says("debug", 0,
		  "one:\n"
		  "vCPU 0 (id 0): 0 exits (0 port I/O, 0 MMIO, 0 other), 0 interruptions\n"
		  "  registers of 0\n"
		  "vCPU 1 (id 1): 30 exits (20 port I/O, 0 MMIO, 0 other), 0 interruptions\n"
		  "  registers of 1\n"
		  "irqchip: chip\n"
		  "ioapic:\n  irr: 0x7\n"
		  "serial0:\n  ier: 0x9\n");
	verb_says("debug --vcpu 1 --irqchip", 0,
		  "one:\n"
		  "vCPU 1 (id 1): 30 exits (20 port I/O, 0 MMIO, 0 other), 0 interruptions\n"
		  "  registers of 1\n"
		  "irqchip: chip\n"
		  "ioapic:\n  irr: 0x7\n");
	verb_says("debug --json", 0,
		  "[{\"name\":\"one\",\"ok\":true,\"vcpus\":["
		  "{\"index\":0,\"id\":0,\"exits\":{\"all\":0,\"io\":0,\"mmio\":0,\"other\":0},"
		  "\"interruptions\":0,\"state\":{\"registers\":{\"rip\":\"0x10\"}}},"
		  "{\"index\":1,\"id\":1,\"exits\":{\"all\":30,\"io\":20,\"mmio\":0,\"other\":0},"
		  "\"interruptions\":0,\"state\":{\"registers\":{\"rip\":\"0x11\"}}}],"
		  "\"irqchip\":{\"name\":\"chip\",\"ioapic\":{\"irr\":\"0x7\"}},"
		  "\"devices\":{\"serial0\":{\"ier\":\"0x9\"}}}]\n");
	verb_fails("debug --vcpu 2", 1, "one: it has no such vCPU");
	verb_fails("debug --nmi 1 --vcpu 1", 2, "--nmi prints nothing");
	verb_says("debug --nmi 1", 0, "one: vCPU 1 got an NMI\n");
	assert_int_equal(atomic_load(&vm->nmis), 1);
	assert_int_equal(atomic_load(&vm->nmi_vcpu), 1);
	assert_int_equal(vm->kvm.pause.depth, 0);
	vm_stop(vm);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_list),  T(test_vm_that_does_not_answer), T(test_pause_and_resume), T(test_stop),
		T(test_debug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

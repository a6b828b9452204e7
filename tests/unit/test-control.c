/* SPDX-License-Identifier: MIT */
/* WRAP: accept4 clock_gettime kvm_end */
/* TSAN */
/*
 * The control socket from both ends, in one process: a thread plays the VM's main thread with a struct kvm
 * that has an event loop, two vCPUs that never run, one device and a machine of ours; the test is the client.
 */
#include "capture.h"
#include <errno.h>
#include <fcntl.h>
#include <lkvm/control.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <lkvm/state.h>
#include <lkvm/verb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define WAIT_MS 5000 /* for what is to happen at once */

/* --- what is made up ------------------------------------------------------------------------------- */

static _Atomic int accepts_to_fail, accepts_failed;
static _Atomic s64 clock_offset_s;

int __real_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	if (atomic_load(&accepts_to_fail)) {
		atomic_fetch_sub(&accepts_to_fail, 1);
		atomic_fetch_add(&accepts_failed, 1);
		errno = EMFILE;
		return -1;
	}
	return __real_accept4(fd, addr, len, flags);
}

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int ret = __real_clock_gettime(id, ts);

	ts->tv_sec += atomic_load(&clock_offset_s);
	return ret;
}

/* --- the VM ------------------------------------------------------------------------------------------- */

struct vm {
	struct kvm kvm;
	struct vm_config cfg;
	struct machine_ops machine;
	struct irqchip_ops chip;
	struct device_ops dev_ops;
	struct device dev;
	struct vcpu vcpu[2];
	struct kvm_run run[2];
	pthread_t thread;
	_Atomic u32 buttons, nmis, nmi_vcpu, ended;
	int button_result;
};

static struct vm *vm_of(const struct kvm *kvm)
{
	return container_of(kvm, struct vm, kvm);
}

void __wrap_kvm_end(struct kvm *kvm, enum vm_end why, int code);
void __wrap_kvm_end(struct kvm *kvm, enum vm_end why, int code)
{
	atomic_store(&vm_of(kvm)->ended, (u32)why);
	event_stop(&kvm->loop);
}

static int power_button(struct kvm *kvm)
{
	atomic_fetch_add(&vm_of(kvm)->buttons, 1);
	return vm_of(kvm)->button_result;
}

static int vcpu_nmi(struct vcpu *vcpu)
{
	atomic_fetch_add(&vm_of(vcpu->kvm)->nmis, 1);
	atomic_store(&vm_of(vcpu->kvm)->nmi_vcpu, vcpu->index);
	return 0;
}

static void dump_vcpu(struct vcpu *vcpu, struct buf *out)
{
	buf_printf(out, "  registers of %u\n", vcpu->index);
}

static int vcpu_state(struct vcpu *vcpu, struct state *s)
{
	u64 v = 0x10 + vcpu->index;

	state_begin(s, "registers", 1);
	state_u64(s, "rip", &v);
	state_end(s);
	return s->err;
}

static int chip_state(struct irqchip *chip, struct state *s)
{
	u8 v = 7;

	state_begin(s, "ioapic", 1);
	state_u8(s, "irr", &v);
	state_end(s);
	return 0;
}

static int dev_state(struct device *dev, struct state *s)
{
	u8 v = 9;

	/* "With dev->lock held." */
	assert_int_equal(pthread_mutex_trylock(&dev->lock), EBUSY);
	state_begin(s, dev->name, 1);
	state_u8(s, "ier", &v);
	state_end(s);
	return 0;
}

static void *vm_main(void *arg)
{
	struct vm *vm = arg;

	assert_int_equal(event_run(&vm->kvm.loop), 0);
	return NULL;
}

static struct vm *vm_new(const char *name)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	struct kvm *kvm = &vm->kvm;

	vm->machine = (struct machine_ops){.name = "paper",
					   .power_button = power_button,
					   .vcpu_nmi = vcpu_nmi,
					   .vcpu_dump = dump_vcpu,
					   .vcpu_state = vcpu_state};
	vm->chip = (struct irqchip_ops){.name = "chip", .state = chip_state};
	vm->dev_ops = (struct device_ops){.name = "dev", .state = dev_state};
	vm->cfg.name = name;
	vm->cfg.log.level = LOG_DEBUG;
	kvm->cfg = &vm->cfg;
	kvm->log = &vm->cfg.log;
	kvm->machine = &vm->machine;
	kvm->irqchip = (struct irqchip){.ops = &vm->chip, .kvm = kvm};
	kvm->vcpu = vm->vcpu;
	kvm->nr_vcpus = 2;
	for (u32 i = 0; i < 2; i++)
		vm->vcpu[i] = (struct vcpu){.kvm = kvm, .index = i, .id = i, .fd = -1, .run = &vm->run[i]};
	vm->vcpu[1].counts.exits = 30;
	vm->vcpu[1].counts.io = 20;
	kvm->mem.nr_banks = 1;
	kvm->mem.bank[0].size = MiB(64);
	list_init(&kvm->devices);
	vm->dev.ops = &vm->dev_ops;
	vm->dev.kvm = kvm;
	snprintf(vm->dev.name, sizeof(vm->dev.name), "serial0");
	pthread_mutex_init(&vm->dev.lock, NULL);
	list_add_tail(&kvm->devices, &vm->dev.link);
	pthread_mutex_init(&kvm->pause.lock, NULL);
	pthread_cond_init(&kvm->pause.parked, NULL);
	pthread_cond_init(&kvm->pause.resumed, NULL);
	assert_int_equal(event_init(&kvm->loop), 0);
	return vm;
}

static void vm_free(struct vm *vm)
{
	struct kvm *kvm = &vm->kvm;

	control_destroy(kvm);
	assert_true(kvm->loop.sources.next == &kvm->loop.wake.link); /* nothing but the loop's own */
	event_destroy(&kvm->loop);
	pthread_cond_destroy(&kvm->pause.resumed);
	pthread_cond_destroy(&kvm->pause.parked);
	pthread_mutex_destroy(&kvm->pause.lock);
	pthread_mutex_destroy(&vm->dev.lock);
	free(vm);
}

static struct vm *vm_start(const char *name)
{
	struct vm *vm = vm_new(name);

	assert_int_equal(control_create(&vm->kvm), 0);
	assert_int_equal(pthread_create(&vm->thread, NULL, vm_main, vm), 0);
	return vm;
}

static void vm_stop(struct vm *vm)
{
	event_stop(&vm->kvm.loop);
	pthread_join(vm->thread, NULL);
	vm_free(vm);
}

/* --- the client ----------------------------------------------------------------------------------------- */

static char base[64], dir[80];

static int setup(void **state)
{
	snprintf(base, sizeof(base), "/tmp/lkvm-test-control-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(dir, sizeof(dir), "%s/lkvm", base);
	atomic_store(&clock_offset_s, 0);
	atomic_store(&accepts_failed, 0);
	return setenv("XDG_RUNTIME_DIR", base, 1);
}

static int teardown(void **state)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -rf %s", base);
	return system(command);
}

static int raw_connect(const char *name)
{
	int fd = control_connect(dir, name);

	assert_true(fd >= 0);
	return fd;
}

static void raw_send(int fd, const char *text, size_t len)
{
	while (len) {
		struct pollfd pfd = {.fd = fd, .events = POLLOUT};
		ssize_t n;

		assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
		n = send(fd, text, len, MSG_NOSIGNAL);
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return; /* refused on the way: the answer says why */
		assert_true(n > 0);
		text += n;
		len -= (size_t)n;
	}
}

/* One line, newline cut off; "" at the end. */
static const char *raw_line(int fd)
{
	static char line[65536];
	size_t len = 0;

	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
		n = recv(fd, line + len, 1, 0);
		if (n <= 0 || line[len] == '\n')
			break;
		len++;
		assert_true(len < sizeof(line) - 1);
	}
	line[len] = 0;
	return line;
}

static void ask(const char *name, const char *request, const char *want)
{
	int fd = raw_connect(name);

	raw_send(fd, request, strlen(request));
	raw_send(fd, "\n", 1);
	assert_string_equal(raw_line(fd), want);
	close(fd);
}

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

/* --- the protocol ------------------------------------------------------------------------------------------
 */

static void test_place(void **state)
{
	struct vm *vm = vm_start("one");
	char path[128];
	struct stat st;

	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s/one.sock", dir);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	vm_stop(vm);
	assert_int_equal(lstat(path, &st), -1);
}

static void test_requests(void **state)
{
	static const struct {
		const char *request, *reply;
	} cases[] = {
		{"", "{\"ok\":false,\"error\":\"not JSON\"}"},
		{"pause", "{\"ok\":false,\"error\":\"not JSON\"}"},
		{"[]", "{\"ok\":false,\"error\":\"a request is an object with a \\\"verb\\\"\"}"},
		{"{\"verb\":1}", "{\"ok\":false,\"error\":\"a request is an object with a \\\"verb\\\"\"}"},
		{"{\"verb\":\"fly\"}", "{\"ok\":false,\"error\":\"a VM knows no such verb\"}"},
		{"{\"verb\":\"run\"}", "{\"ok\":false,\"error\":\"a VM knows no such verb\"}"},
		{"{\"verb\":\"pause\"}", "{\"ok\":true}"},
		{"{\"verb\":\"pause\"}", "{\"ok\":false,\"error\":\"is paused already\"}"},
		{"{\"verb\":\"resume\"}", "{\"ok\":true}"},
		{"{\"verb\":\"resume\"}", "{\"ok\":false,\"error\":\"is not paused\"}"},
		{"{\"verb\":\"debug\",\"vcpu\":2}", "{\"ok\":false,\"error\":\"it has no such vCPU\"}"},
		{"{\"verb\":\"debug\",\"vcpu\":-1}", "{\"ok\":false,\"error\":\"it has no such vCPU\"}"},
		{"{\"verb\":\"debug\",\"vcpu\":0.5}", "{\"ok\":false,\"error\":\"it has no such vCPU\"}"},
		{"{\"verb\":\"debug\",\"nmi\":\"0\"}", "{\"ok\":false,\"error\":\"it has no such vCPU\"}"},
	};
	struct vm *vm = vm_start("one");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ask("one", cases[i].request, cases[i].reply);
	vm_stop(vm);
}

/* Several requests in one packet, one request in many, and a client that stops sending but reads on. */
static void test_framing(void **state)
{
	static const char two[] = "{\"verb\":\"pause\"}\n{\"verb\":\"resume\"}\n{\"verb\":\"pa";
	static const char rest[] = "use\"}\n{\"verb\":\"resume\"}\n";
	struct vm *vm = vm_start("one");
	int fd = raw_connect("one");

	raw_send(fd, two, strlen(two));
	assert_string_equal(raw_line(fd), "{\"ok\":true}");
	assert_string_equal(raw_line(fd), "{\"ok\":true}");
	for (size_t i = 0; i < strlen(rest); i++)
		raw_send(fd, rest + i, 1);
	shutdown(fd, SHUT_WR);
	assert_string_equal(raw_line(fd), "{\"ok\":true}");
	assert_string_equal(raw_line(fd), "{\"ok\":true}");
	assert_string_equal(raw_line(fd), "");
	close(fd);
	vm_stop(vm);
}

static void test_request_size(void **state)
{
	struct vm *vm = vm_start("one");
	size_t len = CONTROL_MAX_REQUEST;
	char *text = malloc(len + 2);
	int fd = raw_connect("one");

	/* The largest that is taken ... */
	memset(text, ' ', len);
	memcpy(text, "{\"verb\":\"pause\"}", 16);
	text[len] = '\n';
	raw_send(fd, text, len + 1);
	assert_string_equal(raw_line(fd), "{\"ok\":true}");
	/* ... one byte more, with its newline and without. */
	text[len] = ' ';
	text[len + 1] = '\n';
	raw_send(fd, text, len + 2);
	assert_string_equal(raw_line(fd), "{\"ok\":false,\"error\":\"the request is too long\"}");
	assert_string_equal(raw_line(fd), "");
	close(fd);
	fd = raw_connect("one");
	raw_send(fd, text, len + 1);
	assert_string_equal(raw_line(fd), "{\"ok\":false,\"error\":\"the request is too long\"}");
	assert_string_equal(raw_line(fd), "");
	close(fd);
	free(text);
	ask("one", "{\"verb\":\"resume\"}", "{\"ok\":true}");
	vm_stop(vm);
}

static void test_silent_client_is_dropped(void **state)
{
	struct vm *vm = vm_start("one");
	int silent = raw_connect("one"), half = raw_connect("one");

	raw_send(half, "{\"verb\"", 7);
	ask("one", "{\"verb\":\"pause\"}", "{\"ok\":true}"); /* both were accepted before this one */
	atomic_fetch_add(&clock_offset_s, 6);
	assert_string_equal(raw_line(silent), "");
	assert_string_equal(raw_line(half), "");
	close(silent);
	close(half);
	ask("one", "{\"verb\":\"resume\"}", "{\"ok\":true}");
	vm_stop(vm);
}

/* A client that asks and asks and reads nothing blocks nobody, and is dropped for it. */
static void test_client_that_never_reads(void **state)
{
	static const char request[] = "{\"verb\":\"debug\",\"json\":true}\n";
	struct vm *vm = vm_start("one");
	int fd = raw_connect("one");
	bool full = false;

	for (u32 i = 0; i < 100000 && !full; i++) {
		struct pollfd pfd = {.fd = fd, .events = POLLOUT};

		full = poll(&pfd, 1, 200) == 0;
		if (!full && send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
			assert_int_equal(errno, EAGAIN);
	}
	assert_true(full);
	ask("one", "{\"verb\":\"pause\"}", "{\"ok\":true}");
	atomic_fetch_add(&clock_offset_s, 6);
	for (u32 i = 0; i < WAIT_MS / 10 && full; i++) {
		struct pollfd pfd = {.fd = fd};

		poll(&pfd, 1, 10);
		full = !(pfd.revents & POLLHUP);
	}
	assert_false(full);
	close(fd);
	vm_stop(vm);
}

static void test_too_many_clients(void **state)
{
	struct vm *vm = vm_start("one");
	int fd[17];

	for (u32 i = 0; i < 17; i++)
		fd[i] = raw_connect("one");
	assert_string_equal(raw_line(fd[16]), "{\"ok\":false,\"error\":\"too many clients: try again\"}");
	assert_string_equal(raw_line(fd[16]), "");
	for (u32 i = 0; i < 16; i++) {
		raw_send(fd[i], "{}\n", 3);
		assert_true(strlen(raw_line(fd[i])) > 0);
	}
	for (u32 i = 0; i < 17; i++)
		close(fd[i]);
	/* The closed ones are dropped in the order of events; this one may still come too early. */
	for (u32 i = 0; i < 100; i++) {
		int again = raw_connect("one");
		bool served;

		raw_send(again, "{}\n", 3);
		served = !strstr(raw_line(again), "too many");
		close(again);
		if (served)
			break;
		assert_true(i < 99);
	}
	vm_stop(vm);
}

static void test_out_of_descriptors(void **state)
{
	struct vm *vm = vm_start("one");

	atomic_store(&accepts_to_fail, 2);
	ask("one", "{\"verb\":\"pause\"}", "{\"ok\":true}");
	/* Each failure made it rest for a tick: it did not spin. */
	assert_int_equal(atomic_load(&accepts_failed), 2);
	vm_stop(vm);
}

static void test_vm_ends_under_its_clients(void **state)
{
	struct vm *vm = vm_start("one");
	int idle = raw_connect("one"), half = raw_connect("one");

	raw_send(half, "{\"ve", 4);
	ask("one", "{\"verb\":\"list\"", "{\"ok\":false,\"error\":\"not JSON\"}");
	vm_stop(vm);
	assert_string_equal(raw_line(idle), "");
	assert_string_equal(raw_line(half), "");
	close(idle);
	close(half);
}

static void test_other_user(void **state)
{
	struct vm *vm;
	char path[128];
	int status;
	pid_t pid;

	if (geteuid())
		skip(); /* only root can be another user */
	vm = vm_start("one");
	snprintf(path, sizeof(path), "%s/one.sock", dir);
	/* What the modes keep away already is let through here. */
	assert_int_equal(chmod(base, 0755) | chmod(dir, 0755) | chmod(path, 0777), 0);
	pid = fork();
	if (!pid) {
		int fd;

		if (setgid(65534) || setuid(65534))
			_exit(9);
		fd = control_connect(dir, "one");
		_exit(fd < 0 ? 8
			     : strcmp(raw_line(fd),
				      "{\"ok\":false,\"error\":\"the VM is another user's\"}") != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	vm_stop(vm);
}

/* --- names and places
 * --------------------------------------------------------------------------------------- */

static void create_fails(const char *name, int err, const char *said)
{
	struct vm *vm = vm_new(name);
	int got;

	capture_begin(STDERR_FILENO);
	got = control_create(&vm->kvm);
	capture_end();
	assert_int_equal(got, err);
	assert_null(vm->kvm.control);
	assert_one_line(capture.text, said);
	vm_free(vm);
}

static void test_name_in_use(void **state)
{
	struct vm *vm = vm_start("one");

	create_fails("one", -EEXIST, "--name one: a VM of that name is running");
	/* The first one is as it was. */
	ask("one", "{\"verb\":\"pause\"}", "{\"ok\":true}");
	vm_stop(vm);
}

static void stale_socket(const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s.sock", dir, name);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
}

static void test_stale_socket_is_replaced(void **state)
{
	struct vm *vm;

	assert_int_equal(mkdir(dir, 0700), 0);
	stale_socket("one");
	vm = vm_start("one");
	ask("one", "{\"verb\":\"pause\"}", "{\"ok\":true}");
	vm_stop(vm);
}

static void test_stale_socket_is_cleaned_up(void **state)
{
	struct vm *vm = vm_start("live");
	struct str_list names = {0};
	char path[128];

	stale_socket("stale");
	snprintf(path, sizeof(path), "%s/other.txt", dir);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(control_list(&names), 0);
	assert_int_equal(names.count, 1);
	assert_string_equal(names.item[0], "live");
	control_names_free(&names);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/stale.sock", dir);
	assert_int_equal(access(path, F_OK), -1);
	vm_stop(vm);
}

static void test_bad_directories(void **state)
{
	char other[128];

	assert_int_equal(mkdir(dir, 0700) | chmod(dir, 0750), 0);
	create_fails("one", -EPERM, "is open to others: chmod 700 it");
	assert_int_equal(rmdir(dir), 0);

	snprintf(other, sizeof(other), "%s/other", base);
	assert_int_equal(mkdir(other, 0700) | symlink(other, dir), 0);
	create_fails("one", -ENOTDIR, "is no directory of its own: remove it");
	assert_int_equal(unlink(dir), 0);

	close(open(dir, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	create_fails("one", -ENOTDIR, "is no directory of its own");
	assert_int_equal(unlink(dir), 0);

	if (!geteuid()) {
		assert_int_equal(mkdir(dir, 0700) | chown(dir, 65534, 65534), 0);
		create_fails("one", -EPERM, "belongs to somebody else");
	}
}

static void test_long_directory(void **state)
{
	char longer[128];

	snprintf(longer, sizeof(longer), "%s/%060d", base, 0);
	assert_int_equal(mkdir(longer, 0700) | setenv("XDG_RUNTIME_DIR", longer, 1), 0);
	create_fails("one-of-a-long-name", -ENAMETOOLONG, "XDG_RUNTIME_DIR is too long");
}

static void test_call_failures(void **state)
{
	struct json_value *reply;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	assert_int_equal(control_call("none", "{}", 100, &reply), -ENOENT);
	assert_int_equal(control_call("../none", "{}", 100, &reply), -ENOENT);
	assert_int_equal(control_call("", "{}", 100, &reply), -ENOENT);
	assert_int_equal(mkdir(dir, 0700), 0);
	stale_socket("stale");
	assert_int_equal(control_call("stale", "{}", 100, &reply), -ECONNREFUSED);

	/* One that listens and never answers, as a stopped VM does. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/mute.sock", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) | listen(fd, 1), 0);
	for (u32 i = 0; i < 4; i++) /* the last ones find its backlog full */
		assert_int_equal(control_call("mute", "{}", 50, &reply), -ETIMEDOUT);
	assert_int_equal(verb(STDOUT_FILENO, "list"), 0);
	assert_non_null(strstr(capture.text, "no answer"));
	close(fd);
}

/* --- the verbs
 * -------------------------------------------------------------------------------------------------- */

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
		T(test_place),
		T(test_requests),
		T(test_framing),
		T(test_request_size),
		T(test_silent_client_is_dropped),
		T(test_client_that_never_reads),
		T(test_too_many_clients),
		T(test_out_of_descriptors),
		T(test_vm_ends_under_its_clients),
		T(test_other_user),
		T(test_name_in_use),
		T(test_stale_socket_is_replaced),
		T(test_stale_socket_is_cleaned_up),
		T(test_bad_directories),
		T(test_long_directory),
		T(test_call_failures),
		T(test_list),
		T(test_pause_and_resume),
		T(test_stop),
		T(test_debug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

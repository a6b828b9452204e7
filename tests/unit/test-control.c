/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: accept4 clock_gettime kvm_end */
/* TSAN */
/* The control socket: framing, bounds, who is served, names and places. */
#include "paper-vm.h"

/* --- the protocol ------------------------------------------------------------------------------ */

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

/* --- names and places -------------------------------------------------------------------------- */

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
	close(fd);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

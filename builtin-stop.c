/* SPDX-License-Identifier: MIT */
/*
 * `lkvm stop`: the power button, and with --force the end for a guest that does not react to it. The client's
 * side runs in its own process and does the waiting: every button first, then every wait against one
 * deadline. serve() runs on the VM's main thread, presses or ends, and returns at once.
 */
#include <errno.h>
#include <lkvm/control.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <lkvm/machine.h>
#include <lkvm/verb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STOP_TIMEOUT_S 10
#define FORCED_WAIT_MS 10000 /* for the process to close its devices */
#define POLL_FIRST_MS  2
#define POLL_MAX_MS    100
#define POLL_CALL_MS   500

extern const struct verb verb_stop;

/* A VM whose button was pressed, or which was ended. */
struct stopping {
	char *name;
	double pid; /* another VM may take the name */
	bool forced;
};

struct stop {
	struct control_target target;
	bool force;
	u64 timeout;
	struct stopping *vm;
	size_t nr_vms;
};

static const struct cli_option stop_options[] = {
	CONTROL_TARGET_OPTIONS(struct stop, target),
	{.name = "force",
	 .letter = 'f',
	 .kind = OPT_FLAG,
	 .help = "end a VM that has not powered off in time",
	 .offset = offsetof(struct stop, force)},
	{.name = "timeout",
	 .letter = 't',
	 .kind = OPT_INT,
	 .arg = "SECONDS",
	 .help = "how long the guest has for its power-off (10)",
	 .offset = offsetof(struct stop, timeout),
	 .max = 86400},
	VERB_HELP_OPTION,
	{.kind = OPT_END},
};

static void stop_help(int fd)
{
	verb_options_help(&verb_stop, stop_options, fd,
			  "Usage: lkvm stop [-n NAME | -a] [--force] [--timeout SECONDS] [--json]\n"
			  "Presses the power button and waits for the VM to end.\n\n");
}

static s64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/* --- the client ------------------------------------------------------------------------------------- */

static int stop_press(const char *name, struct json *j, void *arg)
{
	struct stop *stop = arg;
	struct json_value *reply = NULL;
	struct stopping *all;
	int status;

	if (!stop->force)
		status = control_ask(name, "{\"verb\":\"stop\"}", j, &reply);
	else if (stop->timeout)
		status = control_ask(name, "{\"verb\":\"stop\",\"force\":true}", j, &reply);
	else
		status = control_ask(name, "{\"verb\":\"stop\",\"force\":true,\"now\":true}", j, &reply);
	if (status)
		return status;
	all = realloc(stop->vm, (stop->nr_vms + 1) * sizeof(*all));
	if (all) {
		stop->vm = all;
		all += stop->nr_vms;
		all->name = strdup(name);
		all->pid = json_get_num(reply, "pid", 0);
		all->forced = json_get_bool(reply, "ended", false);
		stop->nr_vms += !!all->name;
	}
	json_free(reply);
	return all && all->name ? 0 : control_failed(name, j, "out of memory");
}

/* Whether that VM is gone; one of the same name and another pid is not it. */
static bool vm_gone(const struct stopping *vm)
{
	struct json_value *reply = NULL;
	int err = control_call(vm->name, "{\"verb\":\"list\"}", POLL_CALL_MS, &reply);
	bool gone = err == -ENOENT || err == -ECONNREFUSED;

	if (!err) {
		gone = json_get_num(reply, "pid", 0) != vm->pid;
		json_free(reply);
	}
	return gone;
}

static bool wait_gone(const struct stopping *vm, s64 deadline)
{
	int pause = POLL_FIRST_MS;

	for (;;) {
		s64 left;

		if (vm_gone(vm))
			return true;
		left = deadline - now_ms();
		if (left <= 0)
			return false;
		poll(NULL, 0, pause < left ? pause : (int)left);
		pause = pause * 2 < POLL_MAX_MS ? pause * 2 : POLL_MAX_MS;
	}
}

static int stop_wait_one(struct stop *stop, struct stopping *vm, s64 deadline, struct json *j)
{
	struct json_value *reply = NULL;
	char why[96];
	bool gone = wait_gone(vm, vm->forced ? now_ms() + FORCED_WAIT_MS : deadline);

	if (!gone && stop->force && !vm->forced) {
		vm->forced = true;
		/* It may come to its end just now: what counts is whether it is gone. */
		if (!control_call(vm->name, "{\"verb\":\"stop\",\"force\":true,\"now\":true}",
				  CONTROL_CALL_MS, &reply))
			json_free(reply);
		gone = wait_gone(vm, now_ms() + FORCED_WAIT_MS);
	}
	if (!gone) {
		if (vm->forced)
			snprintf(why, sizeof(why), "does not end: kill process %.0f", vm->pid);
		else
			snprintf(why, sizeof(why),
				 "did not power off within %llu s: wait longer, or give --force",
				 (unsigned long long)stop->timeout);
		return control_failed(vm->name, j, why);
	}
	if (!stop->target.json)
		printf("%s: %s\n", vm->name, vm->forced ? "ended" : "powered off");
	json_begin(j, NULL, '{');
	json_str(j, "name", vm->name);
	json_bool(j, "ok", true);
	json_bool(j, "forced", vm->forced);
	json_end(j, '}');
	return 0;
}

static int stop_wait(struct json *j, void *arg)
{
	struct stop *stop = arg;
	s64 deadline = now_ms() + (s64)stop->timeout * 1000;
	int status = 0;

	for (size_t i = 0; i < stop->nr_vms; i++) {
		int ret = stop_wait_one(stop, &stop->vm[i], deadline, j);

		status = ret > status ? ret : status;
	}
	return status;
}

static int stop_run(int argc, char **argv)
{
	struct stop stop = {.timeout = STOP_TIMEOUT_S};
	int status, err = verb_options(&verb_stop, stop_options, &stop, argc, argv);

	if (err)
		return err < 0 ? EXIT_USAGE : 0;
	status = control_each(&stop.target, "stop", stop_press, stop_wait, &stop);
	for (size_t i = 0; i < stop.nr_vms; i++)
		free(stop.vm[i].name);
	free(stop.vm);
	return status;
}

/* --- the VM ------------------------------------------------------------------------------------------- */

static int stop_serve(struct kvm *kvm, const struct json_value *request, struct json *reply, const char **why)
{
	bool force = json_get_bool(request, "force", false);
	bool end = force && json_get_bool(request, "now", false);
	int err = 0;

	if (kvm->pause.by_user && !force) {
		*why = "is paused and cannot react: resume it first, or give --force";
		return -EBUSY;
	}
	/* A paused guest, or one without a button, will not react: no use in waiting for it. */
	end = end || kvm->pause.by_user;
	if (!end) {
		err = kvm->machine->power_button ? kvm->machine->power_button(kvm) : -ENOTSUP;
		if (err == -ENOTSUP && !force)
			*why = "its board has no power button: give --force";
		if (err && !force)
			return err;
		end = err != 0;
	}
	if (end)
		kvm_end(kvm, VM_STOPPED, 0);
	json_u64(reply, "pid", (u64)getpid());
	json_bool(reply, "ended", end);
	return 0;
}

const struct verb verb_stop = {
	.name = "stop",
	.summary = "power a virtual machine off",
	.run = stop_run,
	.help = stop_help,
	.serve = stop_serve,
};

/* SPDX-License-Identifier: MIT */
/* `lkvm list`: the VMs of this user. The client's side runs in its own process, serve() on the VM's main
 * thread. */
#include <lkvm/control.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <lkvm/machine.h>
#include <lkvm/verb.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LIST_CALL_MS 1000 /* one VM that hangs must not hide the others for long */

extern const struct verb verb_list;

struct list_options {
	const char *name;
	bool all; /* so it is anyway: taken for the sake of scripts */
	bool json;
};

static const struct cli_option list_options[] = {
	{.name = "name",
	 .letter = 'n',
	 .kind = OPT_STRING,
	 .arg = "NAME",
	 .help = "that VM only",
	 .offset = offsetof(struct list_options, name)},
	{.name = "all",
	 .letter = 'a',
	 .kind = OPT_FLAG,
	 .help = "every VM, as without it",
	 .offset = offsetof(struct list_options, all)},
	{.name = "json",
	 .kind = OPT_FLAG,
	 .help = "answer as JSON",
	 .offset = offsetof(struct list_options, json)},
	VERB_HELP_OPTION,
	{.kind = OPT_END},
};

static void list_help(int fd)
{
	verb_options_help(&verb_list, list_options, fd,
			  "Usage: lkvm list [-n NAME] [--json]\nLists the running VMs.\n\n");
}

/* "12s", "3m05s", "2h10m", "4d03h" */
static const char *uptime_text(char out[24], u64 s)
{
	if (s < 60)
		snprintf(out, 24, "%us", (unsigned)s);
	else if (s < 3600)
		snprintf(out, 24, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
	else if (s < 86400)
		snprintf(out, 24, "%uh%02um", (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
	else
		snprintf(out, 24, "%ud%02uh", (unsigned)(s / 86400 % 100000), (unsigned)(s / 3600 % 24));
	return out;
}

/* A count from a VM's answer, which may be anything. */
static u64 count_of(const struct json_value *reply, const char *key)
{
	double v = json_get_num(reply, key, 0);

	return v > 0 && v < 0x1p63 ? (u64)v : 0;
}

static void print_row(const char *name, int width, const struct json_value *vm)
{
	char memory[SIZE_TEXT_ROOM], uptime[24];

	if (!vm) {
		printf("%-*s  %7s  %s\n", width, name, "-", "no answer");
		return;
	}
	printf("%-*s  %7llu  %-9.9s  %5llu  %7s  %7s\n", width, name, (unsigned long long)count_of(vm, "pid"),
	       json_get_str(vm, "state", "?"), (unsigned long long)count_of(vm, "vcpus"),
	       size_text(memory, count_of(vm, "memory")),
	       uptime_text(uptime, count_of(vm, "uptime_ms") / 1000));
}

static void add_json(struct json *j, const char *name, const struct json_value *vm)
{
	json_begin(j, NULL, '{');
	json_str(j, "name", name);
	for (const struct json_value *v = vm ? vm->child : NULL; v; v = v->next)
		if (strcmp(v->key, "ok") && strcmp(v->key, "name"))
			json_copy(j, v->key, v);
	if (!vm)
		json_str(j, "state", "no answer");
	json_end(j, '}');
}

static bool wanted(const struct list_options *opts, const char *name)
{
	return !opts->name || !strcmp(opts->name, name);
}

static int list_print(const struct list_options *opts, const struct str_list *names)
{
	struct buf out = {0};
	struct json j = {.out = &out};
	int width = 4, found = 0, status = 0;

	for (size_t i = 0; i < names->count; i++)
		if (wanted(opts, names->item[i]) && (int)strlen(names->item[i]) > width)
			width = (int)strlen(names->item[i]);
	json_begin(&j, NULL, '[');
	for (size_t i = 0; i < names->count; i++) {
		const char *name = names->item[i];
		struct json_value *vm = NULL;

		if (!wanted(opts, name))
			continue;
		if (control_call(name, "{\"verb\":\"list\"}", LIST_CALL_MS, &vm))
			vm = NULL;
		if (!opts->json && !found)
			printf("%-*s  %7s  %-9s  %5s  %7s  %7s\n", width, "NAME", "PID", "STATE", "VCPUS",
			       "MEMORY", "UPTIME");
		if (opts->json)
			add_json(&j, name, vm);
		else
			print_row(name, width, vm);
		found++;
		json_free(vm);
	}
	json_end(&j, ']');
	if (opts->json)
		printf("%s\n", out.err ? "" : (const char *)out.data);
	if (out.err || fflush(stdout))
		status = EXIT_HOST_ERROR;
	if (opts->name && !found) {
		log_error("%s: no VM of that name is running", opts->name);
		status = EXIT_HOST_ERROR;
	}
	buf_free(&out);
	return status;
}

static int list_run(int argc, char **argv)
{
	struct list_options opts = {0};
	struct str_list names = {0};
	int status, err = verb_options(&verb_list, list_options, &opts, argc, argv);

	if (err)
		return err < 0 ? EXIT_USAGE : 0;
	if (control_list(&names))
		return EXIT_HOST_ERROR;
	status = list_print(&opts, &names);
	control_names_free(&names);
	return status;
}

static int list_serve(struct kvm *kvm, const struct json_value *request, struct json *reply, const char **why)
{
	struct timespec ts;
	u64 now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (u64)ts.tv_sec * 1000000000ull + (u64)ts.tv_nsec;
	json_str(reply, "name", kvm->cfg->name);
	json_u64(reply, "pid", (u64)getpid());
	json_str(reply, "state", kvm->pause.by_user ? "paused" : "running");
	json_str(reply, "machine", kvm->machine->name);
	json_u64(reply, "vcpus", kvm->nr_vcpus);
	json_u64(reply, "memory", guest_ram_size(&kvm->mem));
	json_u64(reply, "uptime_ms", (now - kvm->start_ns) / 1000000);
	return 0;
}

const struct verb verb_list = {
	.name = "list",
	.summary = "list the running virtual machines",
	.run = list_run,
	.help = list_help,
	.serve = list_serve,
};

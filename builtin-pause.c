/* SPDX-License-Identifier: MIT */
/* `lkvm pause`: see lkvm(1). The client's side runs in its own process, serve() on the VM's main thread. */
#include <errno.h>
#include <lkvm/control.h>
#include <lkvm/kvm.h>
#include <lkvm/verb.h>

extern const struct verb verb_pause;

static const struct cli_option pause_options[] = {
	CONTROL_TARGET_OPTIONS(struct control_simple, target),
	VERB_HELP_OPTION,
	{.kind = OPT_END},
};

static void pause_help(int fd)
{
	verb_options_help(&verb_pause, pause_options, fd,
			  "Usage: lkvm pause [-n NAME | -a] [--json]\n"
			  "Parks the vCPUs of running VMs; \"lkvm resume\" lets them go on.\n\n");
}

static int pause_run(int argc, char **argv)
{
	struct control_simple simple = {.request = "{\"verb\":\"pause\"}", .done = "paused"};

	return control_simple_run(&verb_pause, pause_options, &simple, argc, argv);
}

static int pause_serve(struct kvm *kvm, const struct json_value *request, struct json *reply,
		       const char **why)
{
	if (kvm->pause.by_user) {
		*why = "is paused already";
		return -EALREADY;
	}
	if (!kvm_pause(kvm)) {
		kvm_resume(kvm);
		*why = "is ending";
		return -ESHUTDOWN;
	}
	kvm->pause.by_user = true;
	return 0;
}

const struct verb verb_pause = {
	.name = "pause",
	.summary = "park its vCPUs until \"lkvm resume\"",
	.run = pause_run,
	.help = pause_help,
	.serve = pause_serve,
};

/* SPDX-License-Identifier: MIT */
/* `lkvm resume`: see lkvm(1). The client's side runs in its own process, serve() on the VM's main thread. */
#include <errno.h>
#include <lkvm/control.h>
#include <lkvm/device.h>
#include <lkvm/kvm.h>
#include <lkvm/verb.h>

extern const struct verb verb_resume;

static const struct cli_option resume_options[] = {
	CONTROL_TARGET_OPTIONS(struct control_simple, target),
	VERB_HELP_OPTION,
	{.kind = OPT_END},
};

static void resume_help(int fd)
{
	verb_options_help(&verb_resume, resume_options, fd,
			  "Usage: lkvm resume [-n NAME | -a] [--json]\n"
			  "Lets VMs that \"lkvm pause\" has paused go on.\n\n");
}

static int resume_run(int argc, char **argv)
{
	struct control_simple simple = {.request = "{\"verb\":\"resume\"}", .done = "resumed"};

	return control_simple_run(&verb_resume, resume_options, &simple, argc, argv);
}

static int resume_serve(struct kvm *kvm, const struct json_value *request, struct json *reply,
			const char **why)
{
	if (!kvm->pause.by_user) {
		*why = "is not paused";
		return -EALREADY;
	}
	kvm->pause.by_user = false;
	kvm_resume(kvm);
	devices_resumed(kvm);
	return 0;
}

const struct verb verb_resume = {
	.name = "resume",
	.summary = "let a paused VM go on",
	.run = resume_run,
	.help = resume_help,
	.serve = resume_serve,
};

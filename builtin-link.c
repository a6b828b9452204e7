/* SPDX-License-Identifier: MIT */
/*
 * `lkvm link`: see lkvm(1). The client's side runs in its own process, serve() on the VM's main thread. It
 * names a device as `lkvm debug` does.
 */
#include <errno.h>
#include <lkvm/control.h>
#include <lkvm/device.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <lkvm/verb.h>
#include <stdio.h>
#include <string.h>

extern const struct verb verb_link;

struct link_request {
	struct control_target target;
	const char *card;
	bool up, down;
};

static const struct cli_option link_options[] = {
	CONTROL_TARGET_OPTIONS(struct link_request, target),
	{.name = "network",
	 .kind = OPT_STRING,
	 .arg = "CARD",
	 .help = "which one: net0 is the first (net0)",
	 .offset = offsetof(struct link_request, card)},
	{.name = "up",
	 .kind = OPT_FLAG,
	 .help = "plug the cable in",
	 .offset = offsetof(struct link_request, up)},
	{.name = "down",
	 .kind = OPT_FLAG,
	 .help = "pull it out; without either: look how it is",
	 .offset = offsetof(struct link_request, down)},
	VERB_HELP_OPTION,
	{.kind = OPT_END},
};

static void link_help(int fd)
{
	verb_options_help(&verb_link, link_options, fd,
			  "Usage: lkvm link [-n NAME] [--network CARD] [--up | --down] [--json]\n"
			  "Plugs a network card's cable in or out, as the guest sees it.\n\n");
}

/* --- the client ------------------------------------------------------------------------------------- */

static int link_one(const char *name, struct json *j, void *arg)
{
	struct link_request *link = arg;
	struct json_value *reply = NULL;
	struct buf request = {0};
	struct json q = {.out = &request};
	int status;
	bool up;

	json_begin(&q, NULL, '{');
	json_str(&q, "verb", "link");
	json_str(&q, "network", link->card);
	if (link->up || link->down)
		json_bool(&q, "up", link->up);
	json_end(&q, '}');
	status = control_ask_buf(name, &request, j, &reply);
	if (status)
		return status;
	up = json_get_bool(reply, "up", false);
	json_free(reply);
	if (!link->target.json)
		printf("%s: %s is %s\n", name, link->card, up ? "up" : "down");
	json_begin(j, NULL, '{');
	json_str(j, "name", name);
	json_bool(j, "ok", true);
	json_str(j, "network", link->card);
	json_bool(j, "up", up);
	json_end(j, '}');
	return 0;
}

static int link_run(int argc, char **argv)
{
	struct link_request link = {.card = "net0"};
	int err = verb_options(&verb_link, link_options, &link, argc, argv);

	if (err)
		return err < 0 ? EXIT_USAGE : 0;
	if (link.up && link.down) {
		log_error("link: --up and --down exclude each other");
		return EXIT_USAGE;
	}
	return control_each(&link.target, "link", link_one, NULL, &link);
}

/* --- the VM ------------------------------------------------------------------------------------------- */

static int link_serve(struct kvm *kvm, const struct json_value *request, struct json *reply, const char **why)
{
	const char *name = json_get_str(request, "network", "");
	struct device *found = device_named(kvm, name);
	enum device_link want = DEVICE_LINK_ASK;

	if (!found || !found->ops->link) {
		*why = found ? "that device has no cable" : "it has no such card";
		return -ENODEV;
	}
	if (json_get(request, "up"))
		want = json_get_bool(request, "up", false) ? DEVICE_LINK_UP : DEVICE_LINK_DOWN;
	device_lock(found);
	want = found->ops->link(found, want);
	device_unlock(found);
	if (want == DEVICE_LINK_DOWN && json_get_bool(request, "up", false)) {
		*why = "the host's side of it is gone (lkvm said so): start the VM again";
		return -ENOLINK;
	}
	json_bool(reply, "up", want == DEVICE_LINK_UP);
	return 0;
}

const struct verb verb_link = {
	.name = "link",
	.summary = "plug a network card's cable in or out",
	.run = link_run,
	.help = link_help,
	.serve = link_serve,
};

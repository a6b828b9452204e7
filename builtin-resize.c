/* SPDX-License-Identifier: MIT */
/*
 * `lkvm resize`: see lkvm(1). The client's side runs in its own process, serve() on the VM's main thread. It
 * names a device as `lkvm debug` does, and any device whose ops can be resized will do.
 */
#include <errno.h>
#include <lkvm/control.h>
#include <lkvm/device.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <lkvm/verb.h>
#include <stdio.h>
#include <string.h>

extern const struct verb verb_resize;

struct resize {
	struct control_target target;
	const char *disk;
	u64 size;
};

static const struct cli_option resize_options[] = {
	CONTROL_TARGET_OPTIONS(struct resize, target),
	{.name = "disk",
	 .letter = 'd',
	 .kind = OPT_STRING,
	 .arg = "DISK",
	 .help = "which one: disk0 is the first (disk0)",
	 .offset = offsetof(struct resize, disk)},
	{.name = "size",
	 .letter = 's',
	 .kind = OPT_SIZE,
	 .arg = "SIZE",
	 .help = "grow it to so many MiB, or with K, M, G or T; without: look how large it is by now",
	 .offset = offsetof(struct resize, size)},
	VERB_HELP_OPTION,
	{.kind = OPT_END},
};

static void resize_help(int fd)
{
	verb_options_help(&verb_resize, resize_options, fd,
			  "Usage: lkvm resize [-n NAME] [--disk DISK] [--size SIZE] [--json]\n"
			  "Grows a disk of a running VM, or has the guest see what became of a device.\n\n");
}

/* --- the client ------------------------------------------------------------------------------------- */

static int resize_one(const char *name, struct json *j, void *arg)
{
	struct resize *resize = arg;
	struct json_value *reply = NULL;
	struct buf request = {0};
	struct json q = {.out = &request};
	double size;
	int status;

	json_begin(&q, NULL, '{');
	json_str(&q, "verb", "resize");
	json_str(&q, "disk", resize->disk);
	json_u64(&q, "size", resize->size);
	json_end(&q, '}');
	status = control_ask_buf(name, &request, j, &reply);
	if (status)
		return status;
	size = json_get_num(reply, "size", 0);
	json_free(reply);
	if (!resize->target.json)
		printf("%s: %s has %.0f bytes\n", name, resize->disk, size);
	json_begin(j, NULL, '{');
	json_str(j, "name", name);
	json_bool(j, "ok", true);
	json_str(j, "disk", resize->disk);
	json_u64(j, "size", (u64)size);
	json_end(j, '}');
	return 0;
}

static int resize_run(int argc, char **argv)
{
	struct resize resize = {.disk = "disk0"};
	int err = verb_options(&verb_resize, resize_options, &resize, argc, argv);

	if (err)
		return err < 0 ? EXIT_USAGE : 0;
	return control_each(&resize.target, "resize", resize_one, NULL, &resize);
}

/* --- the VM ------------------------------------------------------------------------------------------- */

static int resize_serve(struct kvm *kvm, const struct json_value *request, struct json *reply,
			const char **why)
{
	const char *name = json_get_str(request, "disk", "");
	double wanted = json_get_num(request, "size", 0);
	struct device *found = device_named(kvm, name);
	u64 size;
	int err;

	if (!found || !found->ops->resize) {
		*why = found ? "that device has no size" : "it has no such disk";
		return -ENODEV;
	}
	if (!(wanted >= 0 && wanted < 9e15)) {
		*why = "that is no size";
		return -EINVAL;
	}
	size = (u64)wanted;
	err = found->ops->resize(found, &size, why);
	if (!err)
		json_u64(reply, "size", size);
	return err;
}

const struct verb verb_resize = {
	.name = "resize",
	.summary = "grow a disk of a running VM",
	.run = resize_run,
	.help = resize_help,
	.serve = resize_serve,
};

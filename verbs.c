/* SPDX-License-Identifier: MIT */
/*
 * The verbs, in the order of `lkvm help`, and what their command lines have in common. Called by main.c, the
 * builtin-*.c and control.c; the table is constant, and the helpers run on the main thread of a client.
 */
#include <errno.h>
#include <lkvm/log.h>
#include <lkvm/verb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern const struct verb verb_run, verb_list, verb_pause, verb_resume, verb_stop, verb_resize, verb_link,
	verb_debug, verb_devices, verb_help, verb_version;

const struct verb *const verbs[] = {
	&verb_run,  &verb_list,	 &verb_pause,	&verb_resume, &verb_stop,    &verb_resize,
	&verb_link, &verb_debug, &verb_devices, &verb_help,   &verb_version, NULL,
};

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; verbs[i]; i++)
		if (!strcmp(verbs[i]->name, name))
			return verbs[i];
	return NULL;
}

int verb_unknown(const char *name)
{
	struct nearest near = {.word = name};

	for (size_t i = 0; verbs[i]; i++)
		nearest_try(&near, verbs[i]->name);
	if (near.name)
		log_error("%s: no such verb: did you mean \"lkvm %s\"?", name, near.name);
	else
		log_error("%s: no such verb: \"lkvm help\" lists them all", name);
	return EXIT_USAGE;
}

int verb_options(const struct verb *verb, const struct cli_option *table, void *target, int argc, char **argv)
{
	const struct cli_option *tables[] = {table, NULL};
	struct option_parser p = {.verb = verb->name, .tables = tables, .target = target};
	int rest = 0, err = 0;

	if (argc > 1 && options_find(&p, argc - 1, argv + 1, "help")) {
		verb->help(STDOUT_FILENO);
		return 1;
	}
	if (argc > 1)
		err = options_parse(&p, argc - 1, argv + 1, &rest);
	options_done(&p);
	if (!err && rest < argc - 1) {
		log_error("%s: \"%s\": takes no such word: \"lkvm help %s\" lists what it takes", verb->name,
			  argv[rest + 1], verb->name);
		err = -EINVAL;
	}
	return err;
}

void verb_options_help(const struct verb *verb, const struct cli_option *table, int fd, const char *usage)
{
	const struct cli_option *tables[] = {table, NULL};
	struct option_parser p = {.verb = verb->name, .tables = tables};

	dprintf(fd, "%s", usage);
	options_help(&p, fd);
}

int verb_parse_nothing(void *target, const struct cli_option *opt, const char *arg)
{
	return 0;
}

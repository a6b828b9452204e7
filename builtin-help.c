/* SPDX-License-Identifier: MIT */
/* `lkvm help [VERB]`: the verbs, or one verb's own help. */
#include <lkvm/log.h>
#include <lkvm/verb.h>
#include <stdio.h>
#include <unistd.h>

extern const struct verb verb_help;

static void help_help(int fd)
{
	dprintf(fd, "Usage: lkvm VERB [OPTION]...\n"
		    "Runs virtual machines on Linux KVM.\n\n");
	for (size_t i = 0; verbs[i]; i++)
		dprintf(fd, "  %-10s%s\n", verbs[i]->name, verbs[i]->summary);
	dprintf(fd, "\n\"lkvm help VERB\" says more of one.\n");
}

static int help_run(int argc, char **argv)
{
	const struct verb *verb;

	if (argc < 2) {
		help_help(STDOUT_FILENO);
		return 0;
	}
	if (argc > 2) {
		log_error("help: \"%s\": one verb at a time", argv[2]);
		return EXIT_USAGE;
	}
	if (argv[1][0] == '-') {
		help_help(STDOUT_FILENO);
		return 0;
	}
	verb = verb_find(argv[1]);
	if (!verb)
		return verb_unknown(argv[1]);
	verb->help(STDOUT_FILENO);
	return 0;
}

const struct verb verb_help = {
	.name = "help",
	.summary = "list the verbs, or say more of one",
	.run = help_run,
	.help = help_help,
};

/* SPDX-License-Identifier: MIT */
/*
 * Verbs: each is one builtin-X.c that exports one struct verb, and one line in verbs.c. A verb may have a
 * client side (what the command line does) and a server side (what a running VM does when asked by its
 * control socket); control.c finds the server side by the verb's name.
 */
#ifndef LKVM_VERB_H
#define LKVM_VERB_H

#include <lkvm/json.h>
#include <lkvm/option.h>
#include <lkvm/types.h>

struct kvm;

/* Exit statuses of lkvm itself; those of `run` are in docs/exit-status.md. */
enum { EXIT_HOST_ERROR = 1, EXIT_USAGE = 2 };

struct verb {
	const char *name;
	const char *summary; /* one line for `lkvm help` */
	/* argv[0] is the verb. Returns the exit status. */
	int (*run)(int argc, char **argv);
	void (*help)(int fd);
	/*
	 * On the VM's main thread: answers one request. Adds members to the open JSON object `reply`; 0, or
	 * -errno with *why set to one static line. NULL: not for the socket.
	 */
	int (*serve)(struct kvm *kvm, const struct json_value *request, struct json *reply, const char **why);
};

extern const struct verb *const verbs[]; /* in the order of `lkvm help`, NULL at the end */
const struct verb *verb_find(const char *name);
/* One line that says so, with the nearest verb there is; EXIT_USAGE. */
int verb_unknown(const char *name);

/*
 * A verb whose command line is options and nothing else: parses it into target. 1 when help was asked for,
 * and printed; -EINVAL after one logged line. VERB_HELP_OPTION belongs into the table.
 */
int __must_check verb_options(const struct verb *verb, const struct cli_option *table, void *target, int argc,
			      char **argv);
/* The usage lines as they are, then the table. */
void verb_options_help(const struct verb *verb, const struct cli_option *table, int fd, const char *usage);
int verb_parse_nothing(void *target, const struct cli_option *opt, const char *arg);
#define VERB_HELP_OPTION                                                                                     \
	{                                                                                                    \
		.name = "help", .letter = 'h', .kind = OPT_CALL, .flags = OPT_NOARG | OPT_REPEAT,            \
		.help = "print this", .parse = verb_parse_nothing,                                           \
	}

#endif

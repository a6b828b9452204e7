/* SPDX-License-Identifier: MIT */
/*
 * Option tables: a table of struct cli_option describes a command line; the same table parses it, prints
 * its help and reads a run file (one option a line, without the dashes). Several tables may be joined
 * by struct option_parser. An entry writes into the field at `offset` of the target struct.
 *
 * Main thread, before a VM exists.
 */
#ifndef LKVM_OPTION_H
#define LKVM_OPTION_H

#include <lkvm/types.h>

enum opt_kind {
	OPT_END,    /* closes a table */
	OPT_GROUP,  /* a heading in the help; only `help` counts */
	OPT_FLAG,   /* bool: present or not; takes no argument */
	OPT_STRING, /* const char *: points into the arguments, which outlive the target */
	OPT_INT,    /* u64 between min and max, decimal or 0x */
	OPT_SIZE,   /* u64 bytes: digits with K, M, G or T; a bare number counts MiB; between min and max */
	OPT_LIST,   /* struct str_list: may be repeated, order kept */
	OPT_CALL,   /* parse(target, entry, arg) decides; may be repeated when OPT_REPEAT is set */
};

#define OPT_REPEAT 0x1 /* giving the option twice is not an error (OPT_LIST implies it) */
#define OPT_NOARG  0x2 /* OPT_CALL that takes no argument */

struct cli_option {
	const char *name; /* long name, without dashes */
	char letter;	  /* short name, or 0 */
	u8 kind;	  /* enum opt_kind */
	u8 flags;	  /* OPT_* bits */
	const char *arg;  /* what the help calls the argument: "FILE", "MIB" */
	const char *help; /* one line, no full stop */
	size_t offset;	  /* of the field in the target */
	u64 min, max;	  /* OPT_INT and OPT_SIZE; both 0: no bound */
	/* OPT_CALL: 0, or -errno after having logged one line. `opt` is this entry; arg is NULL for
	 * OPT_NOARG. */
	int (*parse)(void *target, const struct cli_option *opt, const char *arg);
	const void *data; /* for parse */
};

struct str_list {
	const char **item;
	size_t count;
};
int __must_check str_list_add(struct str_list *list, const char *s);
void str_list_free(struct str_list *list); /* the strings themselves are not the list's */

struct option_parser {
	const char *verb;			/* for messages: "run" */
	const struct cli_option *const *tables; /* NULL-terminated */
	void *target;
	const char **seen; /* names given so far, to refuse a repeated one; owned by the parser */
	size_t nr_seen;
};

/*
 * Parses argv[0..argc). Accepts -c 2, -c2, --cpus 2, --cpus=2 and "--" (the rest is left over). On success
 * *rest is the index of the first argument that is no option. -EINVAL after one logged line that names the
 * option and, for a near miss, the nearest known name.
 */
int __must_check options_parse(struct option_parser *p, int argc, char **argv, int *rest);

/* One run-file line's worth: option `name` (long, no dashes) with `arg` or NULL. `where` prefixes messages.
 */
int __must_check options_apply(struct option_parser *p, const char *where, const char *name, const char *arg);
/*
 * The argument of the option `name` if the command line has it ("" when it takes none), else NULL. Applies
 * nothing and says nothing: for an option that has to be known before the others are applied.
 */
const char *options_find(const struct option_parser *p, int argc, char **argv, const char *name);
void options_help(const struct option_parser *p, int fd);
void options_done(struct option_parser *p);

/* OPT_CALL: `data` is a NULL-terminated array of words; the u64 at `offset` becomes the index of the one
 * given. */
int __must_check option_choice(void *target, const struct cli_option *opt, const char *arg);

/* The known name that a mistyped word is nearest to: start with {word}, try each; name is NULL for none near.
 */
struct nearest {
	const char *word;
	const char *name;
	u32 distance;
};
void nearest_try(struct nearest *n, const char *name);

/* Digits with an optional K, M, G or T (binary); a bare number is multiplied by `unit`. -EINVAL, -ERANGE. */
int __must_check parse_size(const char *s, u64 unit, u64 *out);
/* Decimal, or hexadecimal with 0x; nothing may follow. -EINVAL, -ERANGE. */
int __must_check parse_u64(const char *s, u64 *out);
/* Bytes in the largest unit that holds them exactly, as parse_size() reads it with unit 1: "512M". */
#define SIZE_TEXT_ROOM 24
const char *size_text(char out[SIZE_TEXT_ROOM], u64 bytes);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The option parser: one walk over the words of a command line, driven by tables, which also print the help
 * and read a run file's lines.
 *
 * Called by config.c for `run` and by the builtin-*.c of the other verbs; main thread, no lock. Every message
 * is one line that names the option as the person wrote it.
 */
#include <errno.h>
#include <lkvm/buf.h>
#include <lkvm/log.h>
#include <lkvm/option.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELP_COLUMN_MAX 32 /* a longer left side gets its help on a line of its own */
#define NEAREST_MAX	31 /* no option or verb is longer */

int str_list_add(struct str_list *list, const char *s)
{
	const char **item = realloc(list->item, (list->count + 1) * sizeof(*item));

	if (!item)
		return -ENOMEM;
	list->item = item;
	item[list->count++] = s;
	return 0;
}

void str_list_free(struct str_list *list)
{
	free(list->item);
	list->item = NULL;
	list->count = 0;
}

/* Optimal string alignment distance: insertions, deletions, replacements, swaps of neighbours. */
static u32 word_distance(const char *a, size_t alen, const char *b, size_t blen)
{
	u32 row[3][NEAREST_MAX + 1];

	for (size_t j = 0; j <= blen; j++)
		row[0][j] = (u32)j;
	for (size_t i = 1; i <= alen; i++) {
		u32 *now = row[i % 3], *up = row[(i + 2) % 3], *upup = row[(i + 1) % 3];

		now[0] = (u32)i;
		for (size_t j = 1; j <= blen; j++) {
			u32 d = up[j - 1] + (a[i - 1] != b[j - 1]);

			d = d < up[j] + 1 ? d : up[j] + 1;
			d = d < now[j - 1] + 1 ? d : now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && upup[j - 2] < d)
				d = upup[j - 2] + 1;
			now[j] = d;
		}
	}
	return row[alen % 3][blen];
}

void nearest_try(struct nearest *n, const char *name)
{
	size_t wlen = strlen(n->word), len = strlen(name);
	u32 distance;

	if (!wlen || wlen > NEAREST_MAX || len > NEAREST_MAX)
		return;
	if (wlen >= 3 && !strncmp(n->word, name, wlen))
		distance = 1; /* an abbreviation */
	else
		distance = word_distance(n->word, wlen, name, len);
	if (distance > (wlen + 2) / 3 || distance >= len || (n->name && distance >= n->distance))
		return;
	n->name = name;
	n->distance = distance;
}

static bool takes_arg(const struct cli_option *opt)
{
	return opt->kind != OPT_FLAG && !(opt->flags & OPT_NOARG);
}

/* By long name (name[0..len)) or, when name is NULL, by letter. */
static const struct cli_option *option_lookup(const struct option_parser *p, const char *name, size_t len,
					      char letter)
{
	for (const struct cli_option *const *table = p->tables; *table; table++) {
		for (const struct cli_option *opt = *table; opt->kind != OPT_END; opt++) {
			if (opt->kind == OPT_GROUP)
				continue;
			if (name ? !strncmp(opt->name, name, len) && !opt->name[len] : opt->letter == letter)
				return opt;
		}
	}
	return NULL;
}

static void unknown_option(const struct option_parser *p, const char *where, const char *dashes,
			   const char *name, size_t len)
{
	char word[NEAREST_MAX + 1];
	struct nearest near = {.word = word};

	snprintf(word, sizeof(word), "%.*s", (int)(len < sizeof(word) ? len : 0), name);
	for (const struct cli_option *const *table = p->tables; *table; table++)
		for (const struct cli_option *opt = *table; opt->kind != OPT_END; opt++)
			if (opt->kind != OPT_GROUP)
				nearest_try(&near, opt->name);
	if (near.name)
		log_error("%s: unknown option %s%.*s: did you mean %s%s?", where, dashes, (int)len, name,
			  *dashes ? "--" : "", near.name);
	else
		log_error("%s: unknown option %s%.*s: \"lkvm help %s\" lists them all", where, dashes,
			  (int)len, name, p->verb);
}

/* --- the words of a command line -------------------------------------------------------------- */

struct walk {
	int argc;
	char **argv;
	int i;		     /* the next word */
	const char *cluster; /* what is left of a word like -ab, or NULL */
	bool quiet;
	/* The option found, its argument (NULL: none) and how the person wrote it. */
	const struct cli_option *opt;
	const char *arg;
	char shown[40];
};

/* Into w->shown; no printf, for every option of a start passes here, and nearly none is ever shown. */
static void walk_show(struct walk *w, const char *dashes, const char *name, size_t len)
{
	size_t n = strlen(dashes);

	len = len < sizeof(w->shown) - n ? len : sizeof(w->shown) - n - 1;
	memcpy(w->shown, dashes, n);
	memcpy(w->shown + n, name, len);
	w->shown[n + len] = '\0';
}

/* True when the word is certainly an option of ours, and so not the argument of the one before it. */
static bool is_option_word(const struct option_parser *p, const char *word)
{
	if (!strcmp(word, "--"))
		return true;
	if (!strncmp(word, "--", 2))
		return option_lookup(p, word + 2, strcspn(word + 2, "="), 0);
	return word[0] == '-' && word[1] && !word[2] && option_lookup(p, NULL, 0, word[1]);
}

static int walk_argument(const struct option_parser *p, struct walk *w, const char *attached)
{
	if (!takes_arg(w->opt)) {
		if (!attached)
			return 1;
		if (!w->quiet)
			log_error("%s: %s takes no argument: leave out \"%s\"", p->verb, w->shown, attached);
		return -EINVAL;
	}
	if (attached) {
		w->arg = attached;
	} else if (w->i < w->argc && !is_option_word(p, w->argv[w->i])) {
		w->arg = w->argv[w->i++];
	} else {
		if (!w->quiet)
			log_error("%s: %s needs an argument: %s %s", p->verb, w->shown, w->shown,
				  w->opt->arg ? w->opt->arg : "VALUE");
		return -EINVAL;
	}
	return 1;
}

/* 1: the next option is in *w. 0: no more, w->i is the first word that is none. -EINVAL: logged unless quiet.
 */
static int walk_next(const struct option_parser *p, struct walk *w)
{
	const char *word, *attached;
	size_t len;

	w->arg = NULL;
	if (!w->cluster) {
		if (w->i >= w->argc)
			return 0;
		word = w->argv[w->i];
		if (word[0] != '-' || !word[1])
			return 0;
		w->i++;
		if (!strcmp(word, "--"))
			return 0;
		if (word[1] == '-') {
			word += 2;
			len = strcspn(word, "=");
			attached = word[len] ? word + len + 1 : NULL;
			w->opt = option_lookup(p, word, len, 0);
			if (!w->opt) {
				if (!w->quiet)
					unknown_option(p, p->verb, "--", word, len);
				return -EINVAL;
			}
			walk_show(w, "--", w->opt->name, len);
			return walk_argument(p, w, attached);
		}
		/* -mem for --mem is the usual slip; taken by its letters it would be "-m em". */
		if (word[2] && option_lookup(p, word + 1, strcspn(word + 1, "="), 0)) {
			if (!w->quiet)
				unknown_option(p, p->verb, "-", word + 1, strcspn(word + 1, "="));
			return -EINVAL;
		}
		w->cluster = word + 1;
	}

	w->opt = option_lookup(p, NULL, 0, w->cluster[0]);
	if (!w->opt) {
		if (!w->quiet)
			unknown_option(p, p->verb, "-", w->cluster, strlen(w->cluster));
		return -EINVAL;
	}
	walk_show(w, "-", w->cluster, 1);
	attached = w->cluster[1] ? w->cluster + 1 : NULL;
	if (takes_arg(w->opt)) {
		w->cluster = NULL;
		return walk_argument(p, w, attached);
	}
	w->cluster = attached;
	return 1;
}

/* --- into the target ---------------------------------------------------------------------------- */

static int number_apply(const char *where, const char *shown, const struct cli_option *opt, const char *arg,
			u64 *field)
{
	bool size = opt->kind == OPT_SIZE;
	char low[SIZE_TEXT_ROOM], high[SIZE_TEXT_ROOM];
	u64 v = 0;
	int err = size ? parse_size(arg, MiB(1), &v) : parse_u64(arg, &v);

	if (err == -EINVAL) {
		log_error("%s: %s %s: %s", where, shown, arg,
			  size ? "not a size: give digits and K, M, G or T (M when there is none)"
			       : "not a number: give digits, or 0x and hexadecimal ones");
		return err;
	}
	if (!err && ((!opt->min && !opt->max) || (v >= opt->min && (!opt->max || v <= opt->max)))) {
		*field = v;
		return 0;
	}
	if (size) {
		size_text(low, opt->min);
		size_text(high, opt->max ? opt->max : ~0ull);
	} else {
		snprintf(low, sizeof(low), "%llu", (unsigned long long)opt->min);
		snprintf(high, sizeof(high), "%llu", (unsigned long long)(opt->max ? opt->max : ~0ull));
	}
	if (!err && v < opt->min)
		log_error("%s: %s %s: too small: the least is %s", where, shown, arg, low);
	else
		log_error("%s: %s %s: too large: the most is %s", where, shown, arg, high);
	return -EINVAL;
}

int option_choice(void *target, const struct cli_option *opt, const char *arg)
{
	const char *const *words = opt->data;
	char all[160] = "";

	for (size_t i = 0; words[i]; i++) {
		size_t len = strlen(all);

		if (!strcmp(words[i], arg)) {
			*(u64 *)(void *)((char *)target + opt->offset) = i;
			return 0;
		}
		snprintf(all + len, sizeof(all) - len, "%s%s",
			 !i		? ""
			 : words[i + 1] ? ", "
					: " or ",
			 words[i]);
	}
	log_error("--%s %s: give %s", opt->name, arg, all);
	return -EINVAL;
}

static int seen_add(struct option_parser *p, const char *where, const char *shown,
		    const struct cli_option *opt)
{
	const char **seen;

	if (opt->kind == OPT_LIST || (opt->flags & OPT_REPEAT))
		return 0;
	for (size_t i = 0; i < p->nr_seen; i++) {
		if (!strcmp(p->seen[i], opt->name)) {
			log_error("%s: %s is given twice: leave one of them out", where, shown);
			return -EINVAL;
		}
	}
	seen = realloc(p->seen, (p->nr_seen + 1) * sizeof(*seen));
	if (!seen)
		return -ENOMEM;
	p->seen = seen;
	seen[p->nr_seen++] = opt->name;
	return 0;
}

static int option_apply(struct option_parser *p, const char *where, const char *shown,
			const struct cli_option *opt, const char *arg)
{
	void *field = (char *)p->target + opt->offset;
	int err = seen_add(p, where, shown, opt);

	if (err)
		return err;
	if (arg && !*arg && (opt->kind == OPT_STRING || opt->kind == OPT_INT || opt->kind == OPT_SIZE)) {
		log_error("%s: %s needs an argument that is not empty: %s", where, shown,
			  opt->arg ? opt->arg : "VALUE");
		return -EINVAL;
	}
	switch ((enum opt_kind)opt->kind) {
	case OPT_FLAG:
		*(bool *)field = true;
		return 0;
	case OPT_STRING:
		*(const char **)field = arg;
		return 0;
	case OPT_LIST:
		return str_list_add(field, arg);
	case OPT_INT:
	case OPT_SIZE:
		return number_apply(where, shown, opt, arg, field);
	case OPT_CALL:
		return opt->parse(p->target, opt, arg);
	case OPT_END:
	case OPT_GROUP:
		break;
	}
	return -EINVAL;
}

int options_parse(struct option_parser *p, int argc, char **argv, int *rest)
{
	struct walk w = {.argc = argc, .argv = argv};
	int more;

	while ((more = walk_next(p, &w)) > 0) {
		int err = option_apply(p, p->verb, w.shown, w.opt, w.arg);

		if (err)
			return err;
	}
	*rest = w.i;
	return more;
}

const char *options_find(const struct option_parser *p, int argc, char **argv, const char *name)
{
	struct walk w = {.argc = argc, .argv = argv, .quiet = true};

	while (w.i < argc) {
		int more = walk_next(p, &w);

		if (more < 0 || (!more && w.i && !strcmp(argv[w.i - 1], "--")))
			return NULL;
		if (!more)
			w.i++; /* a word between options */
		else if (!strcmp(w.opt->name, name))
			return w.arg ? w.arg : "";
	}
	return NULL;
}

int options_apply(struct option_parser *p, const char *where, const char *name, const char *arg)
{
	const struct cli_option *opt = option_lookup(p, name, strlen(name), 0);

	if (!opt) {
		unknown_option(p, where, "", name, strlen(name));
		return -EINVAL;
	}
	if (takes_arg(opt) && !arg) {
		log_error("%s: %s needs an argument: %s %s", where, name, name,
			  opt->arg ? opt->arg : "VALUE");
		return -EINVAL;
	}
	if (!takes_arg(opt) && arg) {
		log_error("%s: %s takes no argument: leave out \"%s\"", where, name, arg);
		return -EINVAL;
	}
	return option_apply(p, where, name, opt, arg);
}

/* --- help ------------------------------------------------------------------------------------------ */

static int help_left(char *out, size_t room, const struct cli_option *opt)
{
	char letter[8] = "    ";

	if (opt->letter)
		snprintf(letter, sizeof(letter), "-%c, ", opt->letter);
	return snprintf(out, room, "  %s--%s%s%s", letter, opt->name, takes_arg(opt) ? " " : "",
			!takes_arg(opt) ? ""
			: opt->arg	? opt->arg
					: "VALUE");
}

void options_help(const struct option_parser *p, int fd)
{
	struct buf out = {0};
	char left[96];
	int column = 0;

	for (const struct cli_option *const *table = p->tables; *table; table++) {
		for (const struct cli_option *opt = *table; opt->kind != OPT_END; opt++) {
			int n = opt->kind == OPT_GROUP ? 0 : help_left(left, sizeof(left), opt);

			if (n > column && n <= HELP_COLUMN_MAX)
				column = n;
		}
	}
	for (const struct cli_option *const *table = p->tables; *table; table++) {
		for (const struct cli_option *opt = *table; opt->kind != OPT_END; opt++) {
			if (opt->kind == OPT_GROUP) {
				buf_printf(&out, "\n%s:\n", opt->help);
				continue;
			}
			if (help_left(left, sizeof(left), opt) > column)
				buf_printf(&out, "%s\n%*s  %s\n", left, column, "", opt->help);
			else
				buf_printf(&out, "%-*s  %s\n", column, left, opt->help);
		}
	}
	for (size_t at = 0; at < out.len && !out.err;) {
		ssize_t n = write(fd, out.data + at, out.len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	buf_free(&out);
}

void options_done(struct option_parser *p)
{
	free(p->seen);
	p->seen = NULL;
	p->nr_seen = 0;
}

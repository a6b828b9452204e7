/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* The option parser: every way to write an option, every message, the help's columns; numbers and sizes. */
#include "capture.h"
#include <errno.h>
#include <lkvm/option.h>
#include <stdio.h>

struct target {
	bool flag, other;
	const char *text;
	u64 num, free_num, size, choice;
	struct str_list list;
	char calls[64];
};

static int on_call(void *target, const struct cli_option *opt, const char *arg)
{
	struct target *t = target;

	strncat(t->calls, arg ? arg : opt->data, sizeof(t->calls) - strlen(t->calls) - 1);
	return 0;
}

static const char *const choices[] = {"red", "green", "blue", NULL};

#define AT(f) .offset = offsetof(struct target, f)
static const struct cli_option first[] = {
	{.kind = OPT_GROUP, .help = "First"},
	{.name = "flag", .letter = 'f', .kind = OPT_FLAG, .help = "a flag", AT(flag)},
	{.name = "other", .letter = 'o', .kind = OPT_FLAG, .help = "another", AT(other)},
	{.name = "text", .letter = 't', .kind = OPT_STRING, .arg = "WORD", .help = "a text", AT(text)},
	{.name = "cpus", .letter = 'c', .kind = OPT_INT, .help = "a number", AT(num), .min = 1, .max = 8},
	{.name = "free", .kind = OPT_INT, .arg = "N", .help = "any number", AT(free_num)},
	{.name = "mem",
	 .letter = 'm',
	 .kind = OPT_SIZE,
	 .arg = "SIZE",
	 .help = "a size",
	 AT(size),
	 .min = MiB(1),
	 .max = GiB(4)},
	{.kind = OPT_END},
};
static const struct cli_option second[] = {
	{.kind = OPT_GROUP, .help = "Second"},
	{.name = "list", .letter = 'l', .kind = OPT_LIST, .arg = "ITEM", .help = "a list", AT(list)},
	{.name = "call",
	 .kind = OPT_CALL,
	 .flags = OPT_REPEAT,
	 .arg = "X",
	 .help = "a call",
	 .parse = on_call},
	{.name = "once", .kind = OPT_CALL, .arg = "X", .help = "one call", .parse = on_call},
	{.name = "bare",
	 .letter = 'b',
	 .kind = OPT_CALL,
	 .flags = OPT_NOARG,
	 .help = "without an argument",
	 .parse = on_call,
	 .data = "!"},
	{.name = "color",
	 .kind = OPT_CALL,
	 .arg = "COLOR",
	 .help = "a choice",
	 AT(choice),
	 .parse = option_choice,
	 .data = choices},
	{.name = "a-name-that-is-rather-long",
	 .kind = OPT_STRING,
	 .arg = "ARGUMENT",
	 .help = "help on its own line",
	 AT(text)},
	{.kind = OPT_END},
};
static const struct cli_option *const tables[] = {first, second, NULL};

/* The words of `line`, by blanks; "" and '' are empty words. Kept until the next call. */
static int split(const char *line, char **argv)
{
	static char copy[512];
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
		argv[argc++] = strcmp(w, "''") ? w : w + 2;
	return argc;
}

static int run(struct target *t, const char *line, int *rest)
{
	struct option_parser p = {.verb = "verb", .tables = tables, .target = t};
	char *argv[32];
	int err, ignored;

	memset(t, 0, sizeof(*t));
	err = options_parse(&p, split(line, argv), argv, rest ? rest : &ignored);
	options_done(&p);
	return err;
}

static void test_forms(void **state)
{
	static const char *const forms[] = {"-c 5", "-c5", "--cpus 5", "--cpus=5", "-fc5", "-fc 5", "-c 0x5"};
	struct target t;
	int rest;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		assert_int_equal(run(&t, forms[i], &rest), 0);
		assert_int_equal(t.num, 5);
		assert_int_equal(t.flag, forms[i][1] == 'f');
	}
	assert_int_equal(run(&t, "-fo", NULL), 0);
	assert_true(t.flag && t.other);
	assert_int_equal(run(&t, "--text=a=b", NULL), 0);
	assert_string_equal(t.text, "a=b");
	assert_int_equal(run(&t, "-t -x", NULL), 0); /* no option of ours: it is the argument */
	assert_string_equal(t.text, "-x");
	assert_int_equal(run(&t, "--text=-f", NULL), 0);
	assert_string_equal(t.text, "-f");
	assert_int_equal(run(&t, "-t -", NULL), 0);
	assert_string_equal(t.text, "-");
}

static void test_rest(void **state)
{
	static const struct {
		const char *line;
		int rest;
	} cases[] = {{"", 0},	    {"-f", 1},	     {"-f word -o", 1}, {"word", 0}, {"-f -- -o", 2},
		     {"-c 2 x", 2}, {"-c2 -- x", 2}, {"-", 0},		{"--", 1}};
	struct target t;
	int rest;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(run(&t, cases[i].line, &rest), 0);
		assert_int_equal(rest, cases[i].rest);
		assert_false(t.other);
	}
}

static void test_lists_and_calls(void **state)
{
	struct target t;

	assert_int_equal(run(&t, "-l a --list=b -lc -l ''", NULL), 0);
	assert_int_equal(t.list.count, 4);
	assert_string_equal(t.list.item[0], "a");
	assert_string_equal(t.list.item[1], "b");
	assert_string_equal(t.list.item[2], "c");
	assert_string_equal(t.list.item[3], "");
	str_list_free(&t.list);
	assert_int_equal(t.list.count, 0);

	assert_int_equal(run(&t, "--call x -b --call=y --once z", NULL), 0);
	assert_string_equal(t.calls, "x!yz");
	assert_int_equal(run(&t, "--color blue", NULL), 0);
	assert_int_equal(t.choice, 2);
}

static void test_messages(void **state)
{
	static const struct {
		const char *line, *said;
	} cases[] = {
		{"--memm 3", "verb: unknown option --memm: did you mean --mem?"},
		{"--cpsu=3", "verb: unknown option --cpsu: did you mean --cpus?"},
		{"-mem 3", "verb: unknown option -mem: did you mean --mem?"},
		{"-cpus=3", "verb: unknown option -cpus: did you mean --cpus?"},
		{"--zzzzzz", "verb: unknown option --zzzzzz: \"lkvm help verb\" lists them all"},
		{"-z", "verb: unknown option -z: \"lkvm help verb\""},
		{"--", NULL},
		{"--=3", "verb: unknown option --: "},
		{"-t", "verb: -t needs an argument: -t WORD"},
		{"--cpus", "verb: --cpus needs an argument: --cpus VALUE"},
		{"--text --mem 3", "verb: --text needs an argument"},
		{"--text -f", "verb: --text needs an argument"},
		{"--text --", "verb: --text needs an argument"},
		{"--text=", "verb: --text needs an argument that is not empty: WORD"},
		{"-t ''", "verb: -t needs an argument that is not empty: WORD"},
		{"--flag=1", "verb: --flag takes no argument: leave out \"1\""},
		{"--bare=1", "verb: --bare takes no argument"},
		{"-f -f", "verb: -f is given twice: leave one of them out"},
		{"-c 1 --cpus 2", "verb: --cpus is given twice"},
		{"--once 1 --once 2", "verb: --once is given twice"},
		{"-c 0", "verb: -c 0: too small: the least is 1"},
		{"-c 9", "verb: -c 9: too large: the most is 8"},
		{"-c 99999999999999999999", "too large: the most is 8"},
		{"-c two", "verb: -c two: not a number"},
		{"-c 2x", "not a number"},
		{"-c=2", "verb: -c =2: not a number"},
		{"--cpus -1", "not a number"},
		{"--free 18446744073709551616", "too large"},
		{"-m 0", "verb: -m 0: too small: the least is 1M"},
		{"-m 5G", "verb: -m 5G: too large: the most is 4G"},
		{"-m 99999999999T", "too large: the most is 4G"},
		{"-m 1x", "verb: -m 1x: not a size"},
		{"-m 1.5G", "not a size"},
		{"--color pink", "--color pink: give red, green or blue"},
	};
	struct target t;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int err;

		capture_begin(STDERR_FILENO);
		err = run(&t, cases[i].line, NULL);
		capture_end();
		if (!cases[i].said) {
			assert_int_equal(err, 0);
			assert_string_equal(capture.text, "");
			continue;
		}
		if (err != -EINVAL)
			fail_msg("%s: %d", cases[i].line, err);
		assert_one_line(capture.text, cases[i].said);
	}
}

static void test_apply(void **state)
{
	struct target t = {0};
	struct option_parser p = {.verb = "verb", .tables = tables, .target = &t};

	assert_int_equal(options_apply(&p, "f:1", "mem", "2G"), 0);
	assert_int_equal(t.size, GiB(2));
	assert_int_equal(options_apply(&p, "f:2", "flag", NULL), 0);
	assert_true(t.flag);

	capture_begin(STDERR_FILENO);
	assert_int_equal(options_apply(&p, "f:3", "mem", "1G"), -EINVAL);
	assert_one_line(capture_end(), "f:3: mem is given twice");
	capture_begin(STDERR_FILENO);
	assert_int_equal(options_apply(&p, "f:4", "flag", "yes"), -EINVAL);
	assert_one_line(capture_end(), "f:4: flag takes no argument");
	capture_begin(STDERR_FILENO);
	assert_int_equal(options_apply(&p, "f:5", "text", NULL), -EINVAL);
	assert_one_line(capture_end(), "f:5: text needs an argument: text WORD");
	capture_begin(STDERR_FILENO);
	assert_int_equal(options_apply(&p, "f:6", "--other", NULL), -EINVAL);
	assert_one_line(capture_end(), "f:6: unknown option --other: did you mean other?");
	capture_begin(STDERR_FILENO);
	assert_int_equal(options_apply(&p, "f:7", "", NULL), -EINVAL);
	assert_one_line(capture_end(), "f:7: unknown option ");
	options_done(&p);
}

static void test_find(void **state)
{
	static const struct {
		const char *line, *text;
	} cases[] = {
		{"-t a", "a"},	       {"-f word --text=b", "b"},
		{"-f -- -t a", NULL},  {"-c bad -t a", "a"}, /* applies nothing */
		{"-z -t a", NULL},     {"", NULL},
		{"word", NULL},	       {"-t", NULL},
		{"x -- y -t z", NULL},
	};
	struct option_parser p = {.verb = "verb", .tables = tables};
	char *argv[32];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *found;

		capture_begin(STDERR_FILENO);
		found = options_find(&p, split(cases[i].line, argv), argv, "text");
		capture_end();
		assert_string_equal(capture.text, "");
		if (!cases[i].text)
			assert_null(found);
		else
			assert_string_equal(found, cases[i].text);
	}
	assert_string_equal(options_find(&p, split("-f", argv), argv, "flag"), "");
}

static void test_help(void **state)
{
	struct option_parser p = {.verb = "verb", .tables = tables};

	capture_begin(STDOUT_FILENO);
	options_help(&p, STDOUT_FILENO);
	assert_string_equal(capture_end(), "\nFirst:\n"
					   "  -f, --flag         a flag\n"
					   "  -o, --other        another\n"
					   "  -t, --text WORD    a text\n"
					   "  -c, --cpus VALUE   a number\n"
					   "      --free N       any number\n"
					   "  -m, --mem SIZE     a size\n"
					   "\nSecond:\n"
					   "  -l, --list ITEM    a list\n"
					   "      --call X       a call\n"
					   "      --once X       one call\n"
					   "  -b, --bare         without an argument\n"
					   "      --color COLOR  a choice\n"
					   "      --a-name-that-is-rather-long ARGUMENT\n"
					   "                     help on its own line\n");
}

static void test_nearest(void **state)
{
	static const char *const names[] = {"run",   "list",	  "pause", "resume", "stop",
					    "debug", "hugetlbfs", "cpus",  "cpu"};
	static const struct {
		const char *word, *name;
	} cases[] = {{"rnu", "run"},	    {"lists", "list"},
		     {"huge", "hugetlbfs"}, {"cpuss", "cpus"},
		     {"stpo", "stop"},	    {"resmue", "resume"},
		     {"x", NULL},	    {"", NULL},
		     {"qqqq", NULL},	    {"averyveryverylongwordthatnobodywouldeverwrite", NULL}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nearest n = {.word = cases[i].word};

		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			nearest_try(&n, names[k]);
		if (cases[i].name)
			assert_string_equal(n.name, cases[i].name);
		else
			assert_null(n.name);
	}
}

static void test_numbers(void **state)
{
	u64 v = 42;

	assert_int_equal(parse_u64("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(parse_u64("010", &v), 0);
	assert_int_equal(v, 10);
	assert_int_equal(parse_u64("0xfFf", &v), 0);
	assert_int_equal(v, 0xfff);
	assert_int_equal(parse_u64("18446744073709551615", &v), 0);
	assert_true(v == ~0ull);
	assert_int_equal(parse_u64("18446744073709551616", &v), -ERANGE);
	assert_int_equal(parse_u64("0x10000000000000000", &v), -ERANGE);
	assert_true(v == ~0ull); /* untouched */
	assert_int_equal(parse_u64("", &v), -EINVAL);
	assert_int_equal(parse_u64("0x", &v), -EINVAL);
	assert_int_equal(parse_u64("-1", &v), -EINVAL);
	assert_int_equal(parse_u64("+1", &v), -EINVAL);
	assert_int_equal(parse_u64(" 1", &v), -EINVAL);
	assert_int_equal(parse_u64("1 ", &v), -EINVAL);
	assert_int_equal(parse_u64("1a", &v), -EINVAL);
}

static void test_sizes(void **state)
{
	char text[SIZE_TEXT_ROOM];
	u64 v;

	assert_int_equal(parse_size("3", MiB(1), &v), 0);
	assert_int_equal(v, MiB(3));
	assert_int_equal(parse_size("3", 1, &v), 0);
	assert_int_equal(v, 3);
	assert_int_equal(parse_size("3k", MiB(1), &v), 0);
	assert_int_equal(v, KiB(3));
	assert_int_equal(parse_size("3T", MiB(1), &v), 0);
	assert_int_equal(v, GiB(3072));
	assert_int_equal(parse_size("16777215T", 1, &v), 0);
	assert_int_equal(parse_size("16777216T", 1, &v), -ERANGE);
	assert_int_equal(parse_size("17592186044416", MiB(1), &v), -ERANGE);
	assert_int_equal(parse_size("", 1, &v), -EINVAL);
	assert_int_equal(parse_size("K", 1, &v), -EINVAL);
	assert_int_equal(parse_size("1KB", 1, &v), -EINVAL);
	assert_int_equal(parse_size("1P", 1, &v), -EINVAL);
	assert_int_equal(parse_size("0x10", 1, &v), -EINVAL);

	assert_string_equal(size_text(text, 0), "0");
	assert_string_equal(size_text(text, 1023), "1023");
	assert_string_equal(size_text(text, KiB(1)), "1K");
	assert_string_equal(size_text(text, MiB(1) + KiB(1)), "1025K");
	assert_string_equal(size_text(text, GiB(6)), "6G");
	assert_string_equal(size_text(text, GiB(1024) * 1024), "1024T");
	assert_string_equal(size_text(text, ~0ull), "18446744073709551615");
	for (u64 n = 1; n; n <<= 1) {
		assert_int_equal(parse_size(size_text(text, n), 1, &v), 0);
		assert_true(v == n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_lists_and_calls),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

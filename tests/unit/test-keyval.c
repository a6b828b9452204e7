/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* Comma lists: every kind of key, doubled commas, and every message. */
#include "capture.h"
#include <errno.h>
#include <lkvm/keyval.h>
#include <lkvm/log.h>
#include <stdio.h>

struct target {
	const char *file, *text;
	bool ro;
	u64 num, size;
	u32 color;
	char calls[32];
};

static int on_call(void *target, const char *what, const char *value)
{
	struct target *t = target;

	if (!strcmp(value, "bad")) {
		log_error("%s: call=bad: not that", what);
		return -ERANGE;
	}
	strncat(t->calls, value, sizeof(t->calls) - strlen(t->calls) - 1);
	return 0;
}

static const char *const colors[] = {"red", "green", "blue", NULL};

#define AT(f) .offset = offsetof(struct target, f)
static const struct keyval table[] = {
	{"FILE", KV_FIRST, AT(file)},
	{"ro", KV_FLAG, AT(ro)},
	{"serial", KV_STRING, AT(text)},
	{"queues", KV_INT, AT(num), .min = 1, .max = 8},
	{"mtu", KV_SIZE, AT(size), .min = KiB(1), .max = MiB(1)},
	{"color", KV_CHOICE, AT(color), .words = colors},
	{"call", KV_CALL, .parse = on_call},
	{.kind = KV_END},
};

static int parse(struct target *t, const char *text)
{
	static char copy[256];

	memset(t, 0, sizeof(*t));
	snprintf(copy, sizeof(copy), "%s", text);
	return keyval_parse("--disk", copy, table, t);
}

static void test_kinds(void **state)
{
	struct target t;

	assert_int_equal(parse(&t, "a=b.img,ro,serial=x=y,queues=0x8,mtu=2K,color=blue,call=1,call=2"), 0);
	assert_string_equal(t.file, "a=b.img");
	assert_true(t.ro);
	assert_string_equal(t.text, "x=y");
	assert_int_equal(t.num, 8);
	assert_int_equal(t.size, 2048);
	assert_int_equal(t.color, 2);
	assert_string_equal(t.calls, "12");
	assert_int_equal(parse(&t, "ro"), 0);
	assert_string_equal(t.file, "ro");
	assert_false(t.ro);
	assert_int_equal(parse(&t, "f,ro=off"), 0);
	assert_false(t.ro);
	assert_int_equal(parse(&t, "f,ro=on"), 0);
	assert_true(t.ro);
}

static void test_commas(void **state)
{
	struct target t;

	assert_int_equal(parse(&t, "a,,b,,,ro,serial=,,"), 0);
	assert_string_equal(t.file, "a,b,");
	assert_true(t.ro);
	assert_string_equal(t.text, ",");
}

static void test_no_first(void **state)
{
	static const struct keyval only[] = {{"ro", KV_FLAG, AT(ro)}, {.kind = KV_END}};
	char text[] = "ro";
	struct target t = {0};

	assert_int_equal(keyval_parse("--net", text, only, &t), 0);
	assert_true(t.ro);
}

static const struct {
	const char *text, *says;
} bad[] = {
	{"", "lkvm: --disk: begins with no FILE: give one\n"},
	{",ro", "lkvm: --disk: begins with no FILE: give one\n"},
	{"f,serail=1", "lkvm: --disk: no such key \"serail\": did you mean serial?\n"},
	{"f,zzz", "lkvm: --disk: no such key \"zzz\": there are ro, serial, queues, mtu, color, call\n"},
	{"f,", "lkvm: --disk: no such key \"\": there are ro, serial, queues, mtu, color, call\n"},
	{"f,FILE=x", "lkvm: --disk: no such key \"FILE\": there are ro, serial, queues, mtu, color, call\n"},
	{"f,ro,ro", "lkvm: --disk: ro is given twice: leave one out\n"},
	{"f,ro=maybe", "lkvm: --disk: ro=maybe: give ro, or ro=off\n"},
	{"f,serial", "lkvm: --disk: serial: has no value: give serial=\n"},
	{"f,serial=", "lkvm: --disk: serial: has no value: give serial=\n"},
	{"f,queues=many", "lkvm: --disk: queues=many: give a number\n"},
	{"f,queues=9", "lkvm: --disk: queues=9: out of range: give 1 to 8\n"},
	{"f,queues=99999999999999999999",
	 "lkvm: --disk: queues=99999999999999999999: out of range: give 1 to 8\n"},
	{"f,mtu=x", "lkvm: --disk: mtu=x: give a size in bytes, or with K, M, G or T\n"},
	{"f,mtu=1023", "lkvm: --disk: mtu=1023: out of range: give 1K to 1M\n"},
	{"f,color=pink", "lkvm: --disk: color=pink: give red, green or blue\n"},
};

static void test_messages(void **state)
{
	struct target t;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		capture_begin(STDERR_FILENO);
		assert_int_equal(parse(&t, bad[i].text), -EINVAL);
		assert_string_equal(capture_end(), bad[i].says);
	}
	capture_begin(STDERR_FILENO);
	assert_int_equal(parse(&t, "f,call=bad"), -ERANGE);
	assert_string_equal(capture_end(), "lkvm: --disk: call=bad: not that\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_commas),
		cmocka_unit_test(test_no_first),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

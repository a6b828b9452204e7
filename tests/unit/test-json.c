/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: calloc */
/* JSON: the writer's escapes and commas, and what the reader takes and refuses (RFC 8259). */
#include "capture.h"
#include <errno.h>
#include <lkvm/json.h>
#include <stdio.h>

static bool calloc_fails;
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return calloc_fails ? NULL : __real_calloc(n, size);
}

/* --- the writer ---------------------------------------------------------------------------------- */

static void test_writer(void **state)
{
	struct buf b = {0};
	struct json j = {.out = &b};

	json_begin(&j, NULL, '{');
	json_str(&j, "s", "a\"b\\c\n\x01\x7f/");
	json_u64(&j, "u", ~0ull);
	json_s64(&j, "i", -5);
	json_hex(&j, "h", 0x1f);
	json_bool(&j, "t", true);
	json_null(&j, "n");
	json_begin(&j, "a", '[');
	json_u64(&j, NULL, 1);
	json_begin(&j, NULL, '{');
	json_end(&j, '}');
	json_begin(&j, NULL, '[');
	json_end(&j, ']');
	json_bool(&j, NULL, false);
	json_end(&j, ']');
	json_strn(&j, "k\"", "abcdef", 3);
	json_end(&j, '}');
	assert_string_equal((char *)b.data,
			    "{\"s\":\"a\\\"b\\\\c\\n\\u0001\\u007f/\",\"u\":18446744073709551615,\"i\":-5,"
			    "\"h\":\"0x1f\",\"t\":true,\"n\":null,\"a\":[1,{},[],false],\"k\\\"\":\"abc\"}");
	assert_int_equal(j.depth, 0);
	buf_free(&b);
}

static void test_writer_utf8(void **state)
{
	struct buf b = {0};
	struct json j = {.out = &b};

	/* Good ones pass; a stray continuation, an overlong slash, a surrogate and half a sequence do not. */
	json_str(&j, NULL, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 \x80 \xc0\xaf \xed\xa0\x80 \xe2\x82");
	assert_string_equal((char *)b.data, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 \\ufffd \\ufffd\\ufffd "
					    "\\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\"");
	buf_free(&b);
}

/* --- the reader ---------------------------------------------------------------------------------- */

/* Parsed from memory that ends where the text does, so that ASan sees a read beyond it; then printed again.
 */
static int parse(const char *text, size_t len, char *out, size_t room)
{
	struct json_value *v = NULL;
	struct buf b = {0};
	struct json j = {.out = &b};
	char *exact = malloc(len ? len : 1);
	int err;

	memcpy(exact, text, len);
	err = json_parse(exact, len, &v);
	free(exact);
	if (!err) {
		json_copy(&j, NULL, v);
		assert_int_equal(b.err, 0);
		snprintf(out, room, "%s", (char *)b.data);
		json_free(v);
	}
	buf_free(&b);
	return err;
}

static void test_good(void **state)
{
	static const struct {
		const char *text, *again;
	} good[] = {
		{"null", "null"},
		{" \t\r\n true \n", "true"},
		{"false", "false"},
		{"0", "0"},
		{"-0", "0"},
		{"-12", "-12"},
		{"1.5", "1.5"},
		{"1e3", "1000"},
		{"1E+3", "1000"},
		{"25e-1", "2.5"},
		{"9007199254740991", "9007199254740991"},
		{"1e300", "1.0000000000000001e+300"},
		{"\"\"", "\"\""},
		{"\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"a\\\"\\\\/\\b\\f\\n\\r\\t\""},
		{"\"\\u0041\\u00e4\\u20AC\"", "\"A\xc3\xa4\xe2\x82\xac\""},
		{"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
		{"\"\xf0\x9f\x98\x80\"", "\"\xf0\x9f\x98\x80\""},
		{"[]", "[]"},
		{"[ ]", "[]"},
		{"[1 , 2]", "[1,2]"},
		{"{}", "{}"},
		{"{\"a\":1,\"b\":{\"c\":[null,{}]},\"\":\"x\"}",
		 "{\"a\":1,\"b\":{\"c\":[null,{}]},\"\":\"x\"}"},
		{" { \"a\" : [ ] } ", "{\"a\":[]}"},
		{"[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"},
	};
	char out[256];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (parse(good[i].text, strlen(good[i].text), out, sizeof(out)))
			fail_msg("refused: %s", good[i].text);
		assert_string_equal(out, good[i].again);
	}
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"nul",
		"nulll",
		"True",
		"+1",
		"01",
		"-",
		"-a",
		".5",
		"1.",
		"1e",
		"1e+",
		"0x1",
		"1e999",
		"NaN",
		"Infinity",
		"1 2",
		"\"",
		"\"a",
		"\"\\",
		"\"\\x\"",
		"\"\\u\"",
		"\"\\u12\"",
		"\"\\u12g4\"",
		"\"\\u0000\"",
		"\"\\ud800\"",
		"\"\\ud800x\"",
		"\"\\ud800\\n\"",
		"\"\\ud800\\u0041\"",
		"\"\\udc00\"",
		"\"\x01\"",
		"\"\n\"",
		"\"\x80\"",
		"\"\xc0\xaf\"",
		"\"\xed\xa0\x80\"",
		"\"\xf5\x80\x80\x80\"",
		"\"\xe2\x82\"",
		"'a'",
		"[",
		"]",
		"[1",
		"[1,",
		"[1,]",
		"[,1]",
		"[1 2]",
		"[1}",
		"{",
		"}",
		"{1:2}",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{\"a\":1 \"b\":2}",
		"{\"a\" 1}",
		"{a:1}",
		"{\"a\":1]",
		"{}x",
		"[] []",
		"\xef\xbb\xbf{}",
		"// c\n1",
		"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
		"11111111111111111111111111111111111111111111111111111111111111111111",
	};
	char out[256];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse(bad[i], strlen(bad[i]), out, sizeof(out)) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(parse("{}\0", 3, out, sizeof(out)), -EBADMSG);
	assert_int_equal(parse("\"a\0b\"", 5, out, sizeof(out)), -EBADMSG);
}

/* No beginning of a good text is good, and none is read beyond its end. */
static void test_truncated(void **state)
{
	static const char text[] =
		"{\"verb\":\"de\\u0062ug\",\"vcpu\":1.5e1,\"a\":[true,false,null,\"\\ud83d\\ude00\"]}";
	char out[256];

	for (size_t len = 0; len < strlen(text); len++)
		assert_int_equal(parse(text, len, out, sizeof(out)), -EBADMSG);
	assert_int_equal(parse(text, strlen(text), out, sizeof(out)), 0);
}

static void test_get(void **state)
{
	static const char text[] = "{\"s\":\"x\",\"n\":2.5,\"t\":true,\"o\":{\"s\":\"y\"},\"z\":null}";
	struct json_value *v;
	const struct json_value *o;

	assert_int_equal(json_parse(text, strlen(text), &v), 0);
	assert_string_equal(json_get_str(v, "s", "-"), "x");
	assert_string_equal(json_get_str(v, "n", "-"), "-");
	assert_string_equal(json_get_str(v, "none", "-"), "-");
	assert_true(json_get_num(v, "n", 0) == 2.5);
	assert_true(json_get_num(v, "s", -1) == -1);
	assert_true(json_get_bool(v, "t", false));
	assert_true(json_get_bool(v, "z", true));
	o = json_get(v, "o");
	assert_non_null(o);
	assert_string_equal(json_get_str(o, "s", "-"), "y");
	assert_null(json_get(json_get(v, "s"), "s"));
	assert_null(json_get(NULL, "s"));
	json_free(v);
	json_free(NULL);
}

static void test_no_memory(void **state)
{
	struct json_value *v;
	int err;

	calloc_fails = true;
	err = json_parse("{}", 2, &v);
	calloc_fails = false;
	assert_int_equal(err, -ENOMEM);
}

/* What the writer makes, the reader takes: every byte value in a string, as far as it is UTF-8. */
static void test_round_trip(void **state)
{
	char text[3] = "";

	for (int c = 1; c < 128; c++) {
		struct buf b = {0};
		struct json j = {.out = &b};
		struct json_value *v;

		text[0] = (char)c;
		text[1] = 'x';
		json_str(&j, NULL, text);
		assert_int_equal(json_parse((char *)b.data, b.len, &v), 0);
		assert_string_equal(v->string, text);
		json_free(v);
		buf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writer),	  cmocka_unit_test(test_writer_utf8),
		cmocka_unit_test(test_good),	  cmocka_unit_test(test_bad),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_get),
		cmocka_unit_test(test_no_memory), cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

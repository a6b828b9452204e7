/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/*
 * The state visitor: one walk in all four modes, and hostile saved state: cut at every byte, every byte
 * changed, lengths that lie, names and versions that lkvm does not know. Nothing may be read beyond the input
 * (ASan) and nothing written to a field that was not wholly there.
 */
#include <lkvm/json.h>
#include <lkvm/state.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct chip {
	u8 a;
	u16 b;
	u32 c;
	u64 d;
	bool on, off;
	u8 fifo[20], id[4];
	u32 inner;
};

static const struct chip sample = {
	.a = 0x12,
	.b = 0x3456,
	.c = 0x789abcde,
	.d = 0xf123456789abcdefull,
	.on = true,
	.fifo = {1, 2, 3, [16] = 0xee, [19] = 0xff},
	.id = {0xde, 0xad, 0xbe, 0xef},
	.inner = 7,
};

static void walk(struct state *s, struct chip *c)
{
	state_begin(s, "chip", 3);
	state_u8(s, "a", &c->a);
	state_u16(s, "b", &c->b);
	state_u32(s, "c", &c->c);
	state_u64(s, "d", &c->d);
	state_bool(s, "on", &c->on);
	state_bool(s, "off", &c->off);
	state_note(s, "mood", "%s, %d", c->on ? "awake" : "asleep", 5);
	state_bytes(s, "fifo", c->fifo, sizeof(c->fifo));
	state_bytes(s, "id", c->id, sizeof(c->id));
	state_bytes(s, "none", NULL, 0);
	state_begin(s, "sub", 1);
	state_u32(s, "inner", &c->inner);
	state_end(s);
	state_end(s);
}

/* state_finish() with what it logs caught. */
static int finish(struct state *s, const char *what, char *text, size_t room)
{
	FILE *tmp = tmpfile();
	int old = dup(STDERR_FILENO), err;
	size_t n;

	fflush(stderr);
	dup2(fileno(tmp), STDERR_FILENO);
	err = state_finish(s, what);
	dup2(old, STDERR_FILENO);
	close(old);
	rewind(tmp);
	n = fread(text, 1, room - 1, tmp);
	text[n] = '\0';
	fclose(tmp);
	return err;
}

static void save(struct buf *out)
{
	struct chip c = sample;
	struct state s;

	state_init_out(&s, STATE_SAVE, out);
	walk(&s, &c);
	assert_int_equal(state_finish(&s, "test"), 0);
}

/* Restores from a copy that ends where the input ends, so that ASan sees any read beyond. */
static int restore(const u8 *data, size_t len, struct chip *c, char *text, size_t room)
{
	u8 *exact = malloc(len ? len : 1);
	struct state s;
	int err;

	memcpy(exact, data, len);
	state_init_in(&s, len ? exact : NULL, len);
	assert_true(state_reading(&s) && !state_printing(&s));
	walk(&s, c);
	err = finish(&s, "test", text, room);
	free(exact);
	return err;
}

static void test_saved_form(void **state)
{
	static const u8 want[] = {
		4,    'c',  'h',  'i',	'p',  3,    0,	  0,	0, 57, 0, 0, 0, /* head */
		0x12, 0x56, 0x34, 0xde, 0xbc, 0x9a, 0x78,			/* a b c */
		0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0xf1, 1, 0,		/* d on off */
		1,    2,    3,	  0,	0,    0,    0,	  0,	0, 0,  0, 0, 0, 0, 0, 0,
		0xee, 0,    0,	  0xff,							 /* fifo */
		0xde, 0xad, 0xbe, 0xef,							 /* id */
		3,    's',  'u',  'b',	1,    0,    0,	  0,	4, 0,  0, 0, 7, 0, 0, 0, /* sub */
	};
	struct buf out = {0};

	save(&out);
	assert_int_equal(out.len, sizeof(want));
	assert_memory_equal(out.data, want, sizeof(want));
	buf_free(&out);
}

static void test_round_trip(void **state)
{
	struct buf out = {0};
	struct chip c;
	char text[256];

	memset(&c, 0xa5, sizeof(c));
	c.on = c.off = true;
	save(&out);
	assert_int_equal(restore(out.data, out.len, &c, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	assert_int_equal(c.a, sample.a);
	assert_int_equal(c.b, sample.b);
	assert_int_equal(c.c, sample.c);
	assert_true(c.d == sample.d);
	assert_true(c.on && !c.off);
	assert_memory_equal(c.fifo, sample.fifo, sizeof(c.fifo));
	assert_memory_equal(c.id, sample.id, sizeof(c.id));
	assert_int_equal(c.inner, 7);
	buf_free(&out);
}

static void test_text(void **state)
{
	struct buf out = {0};
	struct chip c = sample;
	struct state s;

	state_init_out(&s, STATE_TEXT, &out);
	assert_true(state_printing(&s) && !state_reading(&s));
	walk(&s, &c);
	assert_int_equal(state_finish(&s, "test"), 0);
	assert_string_equal((const char *)out.data,
			    "chip:\n"
			    "  a: 0x12\n"
			    "  b: 0x3456\n"
			    "  c: 0x789abcde\n"
			    "  d: 0xf123456789abcdef\n"
			    "  on: yes\n"
			    "  off: no\n"
			    "  mood: awake, 5\n"
			    "  fifo:\n"
			    "    0000: 01 02 03 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
			    "    0010: ee 00 00 ff\n"
			    "  id: de ad be ef\n"
			    "  none:\n"
			    "  sub:\n"
			    "    inner: 0x7\n");
	assert_memory_equal(&c, &sample, sizeof(c));
	buf_free(&out);
}

static const char json_chip[] =
	"\"chip\":{\"a\":\"0x12\",\"b\":\"0x3456\",\"c\":\"0x789abcde\",\"d\":\"0xf123456789abcdef\",\"on\":true,"
	"\"off\":false,\"mood\":\"awake, 5\",\"fifo\":\"01020300000000000000000000000000ee0000ff\",\"id\":\"deadbeef\","
	"\"none\":\"\",\"sub\":{\"inner\":\"0x7\"}}";

static void test_json(void **state)
{
	struct buf out = {0};
	struct chip c = sample;
	struct json_value *v;
	struct state s;

	state_init_out(&s, STATE_JSON, &out);
	walk(&s, &c);
	state_begin(&s, "second", 1);
	state_end(&s);
	assert_int_equal(state_finish(&s, "test"), 0);
	assert_int_equal(json_parse((const char *)out.data, out.len, &v), 0);
	assert_string_equal(json_get_str(json_get(v, "chip"), "d", ""), "0xf123456789abcdef");
	assert_non_null(json_get(v, "second"));
	assert_non_null(strstr((const char *)out.data, json_chip));
	json_free(v);
	buf_free(&out);
}

/* Into an object that a verb's answer has open already. */
static void test_json_inside(void **state)
{
	struct buf out = {0};
	struct json j = {.out = &out};
	struct chip c = sample;
	char want[1024];
	struct state s;

	json_begin(&j, NULL, '{');
	json_bool(&j, "ok", true);
	state_init_out(&s, STATE_JSON, &out);
	s.json = j;
	walk(&s, &c);
	assert_int_equal(state_finish(&s, "test"), 0);
	j = s.json;
	json_u64(&j, "last", 1);
	json_end(&j, '}');
	snprintf(want, sizeof(want), "{\"ok\":true,%s,\"last\":1}", json_chip);
	assert_string_equal((const char *)out.data, want);
	buf_free(&out);
}

/* Cut anywhere: refused, with one line that says where, and no field is half written. */
static void test_truncated(void **state)
{
	struct buf out = {0};
	char text[256];

	save(&out);
	for (size_t len = 0; len < out.len; len++) {
		struct chip c;

		memset(&c, 0, sizeof(c));
		assert_int_equal(restore(out.data, len, &c, text, sizeof(text)), -EBADMSG);
		assert_non_null(strstr(text, "test: state: "));
		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
		assert_true(c.d == 0 || c.d == sample.d);
		assert_int_equal(c.inner, 0);
	}
	buf_free(&out);
}

/* Every value in every byte: either refused, or the same walk saves it back to the same bytes. */
static void test_every_byte_changed(void **state)
{
	struct buf out = {0};
	size_t taken = 0;
	char text[256];

	save(&out);
	for (size_t at = 0; at < out.len; at++) {
		for (u32 v = 0; v < 256; v++) {
			u8 was = out.data[at];
			struct chip c = {0};

			out.data[at] = (u8)v;
			if (restore(out.data, out.len, &c, text, sizeof(text)) == 0) {
				struct buf again = {0};
				struct state s;

				taken++;
				state_init_out(&s, STATE_SAVE, &again);
				walk(&s, &c);
				assert_int_equal(state_finish(&s, "test"), 0);
				assert_int_equal(again.len, out.len);
				assert_memory_equal(again.data, out.data, out.len);
				buf_free(&again);
			}
			out.data[at] = was;
		}
	}
	/* Fields of 15 + 24 + 4 bytes take any value, 2 booleans two each, and each of the other bytes its
	 * own. */
	assert_int_equal(taken, 43 * 256 + 2 * 2 + (out.len - 45));
	buf_free(&out);
}

static void test_reasons(void **state)
{
	struct buf out = {0};
	struct chip c;
	char text[256];

	save(&out);
	out.data[5] = 7; /* version */
	assert_int_equal(restore(out.data, out.len, &c, text, sizeof(text)), -EPROTONOSUPPORT);
	assert_non_null(strstr(text, "test: state: chip: saved as version 7, this lkvm reads 3"));
	out.data[5] = 3;
	out.data[1] = 27; /* not printable */
	assert_int_equal(restore(out.data, out.len, &c, text, sizeof(text)), -ENOENT);
	assert_non_null(strstr(text, "test: state: chip: the saved state has '?hip' in its place"));
	out.data[1] = 'c';
	memset(out.data + 9, 0xff, 4); /* body length */
	assert_int_equal(restore(out.data, out.len, &c, text, sizeof(text)), -EBADMSG);
	assert_non_null(strstr(text, "4294967295 bytes announced, 57 left"));
	out.data[9] = 56;
	memset(out.data + 10, 0, 3); /* the inner section would reach beyond it */
	assert_int_equal(restore(out.data, out.len, &c, text, sizeof(text)), -EBADMSG);
	assert_non_null(strstr(text, "test: state: sub: 4 bytes announced, 3 left"));
	out.data[9] = 57;
	out.data[out.len - 8] = 3; /* the inner section is shorter than its field */
	assert_int_equal(restore(out.data, out.len, &c, text, sizeof(text)), -EBADMSG);
	assert_non_null(strstr(text, "test: state: inner: 4 bytes wanted, 3 left"));
	out.data[out.len - 8] = 4;
	buf_u8(&out, 0); /* behind it all */
	assert_int_equal(restore(out.data, out.len, &c, text, sizeof(text)), -EBADMSG);
	assert_non_null(strstr(text, "end of the saved state: 1 bytes too many"));
	out.len--;
	buf_free(&out);
}

static void test_section_too_long(void **state)
{
	struct buf out = {0};
	struct state s;
	u32 a = 1, b = 2;
	char text[256];

	state_init_out(&s, STATE_SAVE, &out);
	state_begin(&s, "x", 1);
	state_u32(&s, "a", &a);
	state_u32(&s, "b", &b);
	state_end(&s);
	assert_int_equal(state_finish(&s, "test"), 0);
	state_init_in(&s, out.data, out.len);
	state_begin(&s, "x", 1);
	state_u32(&s, "a", &a);
	state_end(&s);
	assert_int_equal(finish(&s, "test", text, sizeof(text)), -EBADMSG);
	assert_non_null(strstr(text, "4 bytes more than this lkvm knows of"));
	buf_free(&out);
}

/* The buffer's bound, in every mode that writes. */
static void test_full_buffer(void **state)
{
	static const enum state_mode modes[] = {STATE_TEXT, STATE_JSON, STATE_SAVE};

	for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
		for (size_t cap = 1; cap < 60; cap++) {
			struct buf out = {.cap = cap};
			struct chip c = sample;
			struct state s;
			char text[256];

			state_init_out(&s, modes[m], &out);
			walk(&s, &c);
			assert_int_equal(finish(&s, "test", text, sizeof(text)), -EFBIG);
			assert_non_null(strstr(text, "test: state: output: larger than its bound"));
			buf_free(&out);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_saved_form),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_inside),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_every_byte_changed),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_section_too_long),
		cmocka_unit_test(test_full_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

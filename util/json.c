/* SPDX-License-Identifier: MIT */
/*
 * JSON (RFC 8259) for the control socket and --json. Called by control.c and control-client.c, by the verbs
 * and by state.c; any thread, no state, no lock.
 *
 * The reader's input comes from another process. It walks the text twice: first checking everything and
 * adding up what the values and strings need, then, with one allocation of that size, filling it in. So
 * memory is bounded by the text (which its caller bounds) and the second walk meets nothing that the first
 * has not seen.
 */
#include <errno.h>
#include <lkvm/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX_LEN 64 /* characters of a number; a double needs 24 */

/* --- UTF-8 --------------------------------------------------------------------------------------- */

/* Bytes of the well-formed sequence at s (Unicode 15, table 3-7), or 0. */
static size_t utf8_len(const u8 *s, size_t left)
{
	u8 low = 0x80, high = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		len = 2;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		len = 3;
		low = s[0] == 0xe0 ? 0xa0 : 0x80;
		high = s[0] == 0xed ? 0x9f : 0xbf; /* no surrogates */
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		len = 4;
		low = s[0] == 0xf0 ? 0x90 : 0x80;
		high = s[0] == 0xf4 ? 0x8f : 0xbf;
	} else {
		return 0;
	}
	if (left < len || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}

static size_t utf8_put(char *out, u32 c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* --- the writer ---------------------------------------------------------------------------------- */

/* Bytes that are no UTF-8 (a file's name may be anything) become U+FFFD, so that the output always parses. */
static void put_string(struct buf *out, const char *val, size_t len)
{
	static const char short_escape[] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
					    ['\n'] = 'n', ['\r'] = 'r',	 ['\t'] = 't'};
	const u8 *s = (const u8 *)val;

	buf_u8(out, '"');
	for (size_t i = 0; i < len;) {
		size_t plain = i;

		while (i < len && s[i] >= 0x20 && s[i] < 0x7f && s[i] != '"' && s[i] != '\\')
			i++;
		buf_add(out, s + plain, i - plain);
		if (i == len)
			break;
		if (s[i] >= 0x80) {
			size_t n = utf8_len(s + i, len - i);

			if (n)
				buf_add(out, s + i, n);
			else
				buf_printf(out, "\\ufffd");
			i += n ? n : 1;
		} else {
			if (s[i] < sizeof(short_escape) && short_escape[s[i]])
				buf_printf(out, "\\%c", short_escape[s[i]]);
			else
				buf_printf(out, "\\u%04x", s[i]);
			i++;
		}
	}
	buf_u8(out, '"');
}

static void put_key(struct json *j, const char *key)
{
	if (j->comma)
		buf_u8(j->out, ',');
	j->comma = true;
	if (key) {
		put_string(j->out, key, strlen(key));
		buf_u8(j->out, ':');
	}
}

void json_begin(struct json *j, const char *key, char bracket)
{
	put_key(j, key);
	buf_u8(j->out, (u8)bracket);
	j->depth++;
	j->comma = false;
}

void json_end(struct json *j, char bracket)
{
	buf_u8(j->out, (u8)bracket);
	j->depth--;
	j->comma = j->depth > 0;
}

void json_str(struct json *j, const char *key, const char *val)
{
	json_strn(j, key, val, strlen(val));
}

void json_strn(struct json *j, const char *key, const char *val, size_t len)
{
	put_key(j, key);
	put_string(j->out, val, len);
}

void json_u64(struct json *j, const char *key, u64 val)
{
	put_key(j, key);
	buf_printf(j->out, "%llu", (unsigned long long)val);
}

void json_s64(struct json *j, const char *key, s64 val)
{
	put_key(j, key);
	buf_printf(j->out, "%lld", (long long)val);
}

void json_hex(struct json *j, const char *key, u64 val)
{
	put_key(j, key);
	buf_printf(j->out, "\"0x%llx\"", (unsigned long long)val);
}

void json_bool(struct json *j, const char *key, bool val)
{
	put_key(j, key);
	buf_printf(j->out, "%s", val ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	put_key(j, key);
	buf_printf(j->out, "null");
}

void json_copy(struct json *j, const char *key, const struct json_value *val)
{
	switch (val->type) {
	case JSON_NULL:
		json_null(j, key);
		break;
	case JSON_BOOL:
		json_bool(j, key, val->boolean);
		break;
	case JSON_NUMBER:
		put_key(j, key);
		/* Whole numbers without an exponent; 17 digits bring back any double. */
		if (fabs(val->number) < 0x1p53 && val->number == (double)(s64)val->number)
			buf_printf(j->out, "%lld", (long long)val->number);
		else
			buf_printf(j->out, "%.17g", val->number);
		break;
	case JSON_STRING:
		json_str(j, key, val->string);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		json_begin(j, key, val->type == JSON_ARRAY ? '[' : '{');
		for (const struct json_value *v = val->child; v; v = v->next)
			json_copy(j, v->key, v);
		json_end(j, val->type == JSON_ARRAY ? ']' : '}');
		break;
	}
}

/* --- the reader ------------------------------------------------------------------------------------ */

struct reader {
	const char *p, *end;
	u32 depth;
	size_t nr_values, text_len; /* counted by the first walk, used up by the second */
	struct json_value *value;   /* NULL in the first walk */
	char *text;
};

static void skip_blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool take(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->p >= r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static void text_put(struct reader *r, const char *s, size_t len)
{
	if (r->text)
		memcpy(r->text + r->text_len, s, len);
	r->text_len += len;
}

static int read_hex4(struct reader *r, u32 *out)
{
	u32 v = 0;

	if (r->end - r->p < 4)
		return -EBADMSG;
	for (int i = 0; i < 4; i++) {
		char c = *r->p++;

		if (c >= '0' && c <= '9')
			v = v << 4 | (u32)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | (u32)((c | 0x20) - 'a' + 10);
		else
			return -EBADMSG;
	}
	*out = v;
	return 0;
}

/* Behind the backslash. */
static int read_escape(struct reader *r)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;
	char utf8[4];
	u32 c, low;

	if (r->p >= r->end)
		return -EBADMSG;
	if (*r->p != 'u') {
		at = *r->p ? strchr(from, *r->p) : NULL;
		if (!at)
			return -EBADMSG;
		text_put(r, &to[at - from], 1);
		r->p++;
		return 0;
	}
	r->p++;
	if (read_hex4(r, &c) || !c || (c >= 0xdc00 && c <= 0xdfff))
		return -EBADMSG;
	if (c >= 0xd800 && c <= 0xdbff) {
		if (r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u')
			return -EBADMSG;
		r->p += 2;
		if (read_hex4(r, &low) || low < 0xdc00 || low > 0xdfff)
			return -EBADMSG;
		c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
	}
	text_put(r, utf8, utf8_put(utf8, c));
	return 0;
}

/* A string, its opening quote next; *out is set in the second walk. */
static int read_string(struct reader *r, const char **out)
{
	size_t start = r->text_len;

	if (!take(r, '"'))
		return -EBADMSG;
	for (;;) {
		size_t len;

		if (r->p >= r->end)
			return -EBADMSG;
		if (*r->p == '"')
			break;
		if (*r->p == '\\') {
			r->p++;
			if (read_escape(r))
				return -EBADMSG;
			continue;
		}
		len = (u8)*r->p < 0x20 ? 0 : utf8_len((const u8 *)r->p, (size_t)(r->end - r->p));
		if (!len)
			return -EBADMSG;
		text_put(r, r->p, len);
		r->p += len;
	}
	r->p++;
	text_put(r, "", 1);
	if (r->text)
		*out = r->text + start;
	return 0;
}

static bool skip_digits(struct reader *r)
{
	const char *start = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > start;
}

static int read_number(struct reader *r, double *out)
{
	const char *start = r->p, *first;
	char copy[NUMBER_MAX_LEN + 1];
	size_t len;

	if (*r->p == '-')
		r->p++;
	first = r->p;
	if (!skip_digits(r) || (*first == '0' && r->p > first + 1))
		return -EBADMSG;
	if (r->p < r->end && *r->p == '.') {
		r->p++;
		if (!skip_digits(r))
			return -EBADMSG;
	}
	if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
		r->p++;
		if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
			r->p++;
		if (!skip_digits(r))
			return -EBADMSG;
	}
	len = (size_t)(r->p - start);
	if (len > NUMBER_MAX_LEN)
		return -EBADMSG;
	memcpy(copy, start, len);
	copy[len] = 0;
	*out = strtod(copy, NULL);
	return isfinite(*out) ? 0 : -EBADMSG;
}

static int read_word(struct reader *r, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len))
		return -EBADMSG;
	r->p += len;
	return 0;
}

static int read_value(struct reader *r, const char *key, struct json_value **out);

static int read_members(struct reader *r, bool object, struct json_value **tail)
{
	char close = object ? '}' : ']';
	int err = 0;

	if (r->depth >= JSON_MAX_DEPTH)
		return -EBADMSG;
	r->depth++;
	r->p++;
	if (!take(r, close)) {
		do {
			const char *key = NULL;

			if (object && (read_string(r, &key) || !take(r, ':')))
				return -EBADMSG;
			err = read_value(r, key, tail);
			if (err)
				return err;
			if (*tail)
				tail = &(*tail)->next;
		} while (take(r, ','));
		if (!take(r, close))
			return -EBADMSG;
	}
	r->depth--;
	return 0;
}

/* One value. In the second walk *out gets it; in the first *out is left NULL. */
static int read_value(struct reader *r, const char *key, struct json_value **out)
{
	struct json_value scratch = {0}, *v = r->value ? &r->value[r->nr_values] : &scratch;
	int err;

	r->nr_values++;
	skip_blanks(r);
	if (r->p >= r->end)
		return -EBADMSG;
	v->key = key;
	switch (*r->p) {
	case '{':
	case '[':
		v->type = *r->p == '{' ? JSON_OBJECT : JSON_ARRAY;
		err = read_members(r, v->type == JSON_OBJECT, &v->child);
		break;
	case '"':
		v->type = JSON_STRING;
		err = read_string(r, &v->string);
		break;
	case 't':
	case 'f':
		v->type = JSON_BOOL;
		v->boolean = *r->p == 't';
		err = read_word(r, v->boolean ? "true" : "false");
		break;
	case 'n':
		v->type = JSON_NULL;
		err = read_word(r, "null");
		break;
	default:
		v->type = JSON_NUMBER;
		err = read_number(r, &v->number);
	}
	if (!err && r->value)
		*out = v;
	return err;
}

static int read_text(struct reader *r, const char *text, size_t len, struct json_value **out)
{
	r->p = text;
	r->end = text + len;
	r->nr_values = r->text_len = 0;
	if (read_value(r, NULL, out))
		return -EBADMSG;
	skip_blanks(r);
	return r->p == r->end ? 0 : -EBADMSG;
}

int json_parse(const char *text, size_t len, struct json_value **out)
{
	struct json_value *first = NULL;
	struct reader r = {0};
	int err = read_text(&r, text, len, &first);

	if (err)
		return err;
	/* The values first: json_free() frees the first one, which is the outermost, and all is gone. */
	r.value = calloc(1, r.nr_values * sizeof(*r.value) + r.text_len + 1);
	if (!r.value)
		return -ENOMEM;
	r.text = (char *)(r.value + r.nr_values);
	err = read_text(&r, text, len, out);
	if (err)
		free(r.value);
	return err;
}

void json_free(struct json_value *v)
{
	free(v);
}

const struct json_value *json_get(const struct json_value *obj, const char *key)
{
	if (!obj || obj->type != JSON_OBJECT)
		return NULL;
	for (const struct json_value *v = obj->child; v; v = v->next)
		if (!strcmp(v->key, key))
			return v;
	return NULL;
}

const char *json_get_str(const struct json_value *obj, const char *key, const char *otherwise)
{
	const struct json_value *v = json_get(obj, key);

	return v && v->type == JSON_STRING ? v->string : otherwise;
}

bool json_get_bool(const struct json_value *obj, const char *key, bool otherwise)
{
	const struct json_value *v = json_get(obj, key);

	return v && v->type == JSON_BOOL ? v->boolean : otherwise;
}

double json_get_num(const struct json_value *obj, const char *key, double otherwise)
{
	const struct json_value *v = json_get(obj, key);

	return v && v->type == JSON_NUMBER ? v->number : otherwise;
}

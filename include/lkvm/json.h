/* SPDX-License-Identifier: MIT */
/*
 * JSON (RFC 8259), as much as the control socket needs: a writer into a struct buf, and a reader of one
 * object, bounded in size and depth, that trusts nothing.
 */
#ifndef LKVM_JSON_H
#define LKVM_JSON_H

#include <lkvm/buf.h>

/* The writer puts commas and escapes by itself. key is NULL inside an array and for the outermost value. */
struct json {
	struct buf *out;
	u32 depth;
	bool comma;
};
void json_begin(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_end(struct json *j, char bracket);			/* '}' or ']' */
void json_str(struct json *j, const char *key, const char *val);
void json_u64(struct json *j, const char *key, u64 val);
void json_s64(struct json *j, const char *key, s64 val);
void json_hex(struct json *j, const char *key, u64 val); /* as a string: "0x1f" */
void json_bool(struct json *j, const char *key, bool val);
void json_null(struct json *j, const char *key);
void json_strn(struct json *j, const char *key, const char *val, size_t len);

struct json_value;
void json_copy(struct json *j, const char *key, const struct json_value *val); /* a parsed value as it is */

/* A parsed value; strings are unescaped UTF-8 with a NUL after. All of it lives in one allocation. */
enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
struct json_value {
	enum json_type type;
	bool boolean;
	double number;
	const char *string;		 /* JSON_STRING */
	const char *key;		 /* inside an object, else NULL */
	struct json_value *child, *next; /* first child of an array or object; next sibling */
};
/*
 * 0, -EBADMSG, -ENOMEM. *out is freed by json_free. Not JSON here: bytes after the value, more than
 * JSON_MAX_DEPTH open brackets, text that is not UTF-8, a NUL or half a surrogate pair in a string, a number
 * beyond a double.
 */
#define JSON_MAX_DEPTH 16
int __must_check json_parse(const char *text, size_t len, struct json_value **out);
void json_free(struct json_value *v);
/* NULL when obj is no object or has no such key. */
const struct json_value *json_get(const struct json_value *obj, const char *key);
const char *json_get_str(const struct json_value *obj, const char *key, const char *otherwise);
bool json_get_bool(const struct json_value *obj, const char *key, bool otherwise);
double json_get_num(const struct json_value *obj, const char *key, double otherwise);

#endif

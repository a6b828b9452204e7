/* SPDX-License-Identifier: MIT */
/* Comma lists as arguments of options; see keyval.h. Main thread, no state. */
#include <errno.h>
#include <lkvm/keyval.h>
#include <lkvm/log.h>
#include <lkvm/option.h>
#include <stdio.h>
#include <string.h>

/* Ends the item at `s` with a NUL, undoubles its commas; the next item, or NULL. */
static char *item_end(char *s)
{
	char *to = s;

	for (; *s; *to++ = *s++) {
		if (*s != ',')
			continue;
		if (s[1] != ',') {
			*to = 0;
			return s + 1;
		}
		s++;
	}
	*to = 0;
	return NULL;
}

static int no_such_key(const char *what, const char *key, const struct keyval *table)
{
	struct nearest near = {.word = key};
	char known[256] = "";
	size_t n = 0;

	for (; table->kind; table++) {
		if (table->kind == KV_FIRST)
			continue;
		nearest_try(&near, table->key);
		if (n < sizeof(known))
			n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s", n ? ", " : "",
					      table->key);
	}
	if (near.name)
		log_error("%s: no such key \"%s\": did you mean %s?", what, key, near.name);
	else
		log_error("%s: no such key \"%s\": there are %s", what, key, known);
	return -EINVAL;
}

static int parse_number(const char *what, const struct keyval *kv, const char *value, u64 *out)
{
	bool size = kv->kind == KV_SIZE;
	int err = size ? parse_size(value, 1, out) : parse_u64(value, out);
	char low[SIZE_TEXT_ROOM], high[SIZE_TEXT_ROOM];

	if (err == -EINVAL) {
		log_error("%s: %s=%s: give a %s", what, kv->key, value,
			  size ? "size in bytes, or with K, M, G or T" : "number");
	} else if (err || ((kv->min || kv->max) && (*out < kv->min || *out > kv->max))) {
		log_error("%s: %s=%s: out of range: give %s to %s", what, kv->key, value,
			  size_text(low, kv->min), size_text(high, kv->max));
		err = -EINVAL;
	}
	return err;
}

static int parse_choice(const char *what, const struct keyval *kv, const char *value, u32 *out)
{
	char known[128] = "";
	size_t n = 0;

	for (u32 i = 0; kv->words[i]; i++) {
		if (!strcmp(kv->words[i], value)) {
			*out = i;
			return 0;
		}
		if (n < sizeof(known))
			n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s",
					      !n		 ? ""
					      : kv->words[i + 1] ? ", "
								 : " or ",
					      kv->words[i]);
	}
	log_error("%s: %s=%s: give %s", what, kv->key, value, known);
	return -EINVAL;
}

static int parse_flag(const char *what, const struct keyval *kv, const char *value, bool *out)
{
	*out = !value || !strcmp(value, "on");
	if (*out || !strcmp(value, "off"))
		return 0;
	log_error("%s: %s=%s: give %s, or %s=off", what, kv->key, value, kv->key, kv->key);
	return -EINVAL;
}

static int parse_item(const char *what, const struct keyval *kv, char *value, void *target)
{
	void *field = (char *)target + kv->offset;

	if (kv->kind == KV_FLAG)
		return parse_flag(what, kv, value, field);
	if (!value || !*value) {
		log_error("%s: %s: has no value: give %s=", what, kv->key, kv->key);
		return -EINVAL;
	}
	switch (kv->kind) {
	case KV_INT:
	case KV_SIZE:
		return parse_number(what, kv, value, field);
	case KV_CHOICE:
		return parse_choice(what, kv, value, field);
	case KV_CALL:
		return kv->parse(target, what, value);
	}
	*(const char **)field = value;
	return 0;
}

int keyval_parse(const char *what, char *text, const struct keyval *table, void *target)
{
	const struct keyval *kv;
	u64 seen = 0;
	char *next;

	for (kv = table; kv->kind && kv->kind != KV_FIRST; kv++)
		;
	if (kv->kind == KV_FIRST) {
		next = item_end(text);
		if (!*text) {
			log_error("%s: begins with no %s: give one", what, kv->key);
			return -EINVAL;
		}
		*(const char **)(void *)((char *)target + kv->offset) = text;
		text = next;
	}
	for (; text; text = next) {
		char *value;
		int err;

		next = item_end(text);
		value = strchr(text, '=');
		if (value)
			*value++ = 0;
		for (kv = table; kv->kind && (kv->kind == KV_FIRST || strcmp(kv->key, text)); kv++)
			;
		if (!kv->kind)
			return no_such_key(what, text, table);
		if (kv->kind != KV_CALL && (seen >> (kv - table) & 1)) {
			log_error("%s: %s is given twice: leave one out", what, text);
			return -EINVAL;
		}
		seen |= 1ull << (kv - table);
		err = parse_item(what, kv, value, target);
		if (err)
			return err;
	}
	return 0;
}

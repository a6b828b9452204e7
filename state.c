/* SPDX-License-Identifier: MIT */
/*
 * The state visitor: one walk over an object's fields prints them as text or JSON, saves them, or reads them
 * back (include/lkvm/state.h has the contract and the saved form). Called by the `state` operations of
 * devices, irqchips and vCPUs, for `lkvm debug` and for saving and restoring.
 *
 * A struct state belongs to the one thread that walks; the walked object's own lock is its walker's business.
 * Saved data is hostile: every byte is counted against the innermost open section before it is used, a field
 * is written only when all of it was there, and nothing is ever allocated by what the data says.
 */
#include <lkvm/endian.h>
#include <lkvm/log.h>
#include <lkvm/state.h>

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void state_init_out(struct state *s, enum state_mode mode, struct buf *out)
{
	assert(mode != STATE_RESTORE);
	*s = (struct state){.mode = mode, .out = out};
	s->json.out = out;
}

void state_init_in(struct state *s, const void *data, size_t len)
{
	/* Not NULL, so that the pointer arithmetic below is defined for an empty image too. */
	static const u8 none;

	*s = (struct state){.mode = STATE_RESTORE, .in = len ? data : &none};
	s->end = s->in + len;
}

void state_fail(struct state *s, int err, const char *what, const char *fmt, ...)
{
	va_list ap;

	if (s->err)
		return;
	s->err = err;
	/* A copy: names of sections that are numbered do not outlive their walker. */
	snprintf(s->what, sizeof(s->what), "%s", what);
	s->err_what = s->what;
	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
}

/* Bytes that the innermost open section still has. */
static size_t state_left(const struct state *s)
{
	size_t after = s->depth ? s->start[s->depth - 1] : 0;

	return (size_t)(s->end - s->in) - after;
}

/* The next len bytes, or NULL with the failure noted. */
static const u8 *state_take(struct state *s, const char *what, size_t len)
{
	const u8 *p = s->in;

	if (s->err)
		return NULL;
	if (state_left(s) < len) {
		state_fail(s, -EBADMSG, what, "%zu bytes wanted, %zu left", len, state_left(s));
		return NULL;
	}
	s->in += len;
	return p;
}

static void text_indent(struct state *s)
{
	buf_printf(s->out, "%*s", (int)(2 * s->depth), "");
}

static void save_begin(struct state *s, const char *name, u32 version)
{
	size_t len = strlen(name);

	assert(len <= UINT8_MAX);
	buf_u8(s->out, (u8)len);
	buf_add(s->out, name, len);
	buf_le32(s->out, version);
	s->start[s->depth] = s->out->len;
	buf_le32(s->out, 0);
}

/* A saved name, as fit to print: what is in a hostile file is not fit for a terminal. */
static void printable(char *out, size_t room, const u8 *name, size_t len)
{
	size_t i;

	for (i = 0; i < len && i + 1 < room; i++)
		out[i] = name[i] > ' ' && name[i] < 0x7f ? (char)name[i] : '?';
	out[i] = '\0';
}

static void restore_begin(struct state *s, const char *name, u32 version)
{
	size_t want = strlen(name);
	const u8 *p = state_take(s, name, 1);
	const u8 *found = p ? state_take(s, name, *p) : NULL;
	const u8 *head = found ? state_take(s, name, 8) : NULL;
	u32 saved, len;

	if (!head)
		return;
	if (*p != want || memcmp(found, name, want)) {
		char other[32];

		printable(other, sizeof(other), found, *p);
		state_fail(s, -ENOENT, name, "the saved state has '%s' in its place", other);
		return;
	}
	saved = get_le32(head);
	if (saved != version) {
		state_fail(s, -EPROTONOSUPPORT, name,
			   "saved as version %" PRIu32 ", this lkvm reads %" PRIu32, saved, version);
		return;
	}
	len = get_le32(head + 4);
	if (len > state_left(s)) {
		state_fail(s, -EBADMSG, name, "%" PRIu32 " bytes announced, %zu left", len, state_left(s));
		return;
	}
	/* Kept as what follows the section, to compare with what follows the reading position. */
	s->start[s->depth] = (size_t)(s->end - s->in) - len;
}

void state_begin(struct state *s, const char *name, u32 version)
{
	if (s->err)
		return;
	assert(s->depth < ARRAY_SIZE(s->start));
	switch (s->mode) {
	case STATE_TEXT:
		text_indent(s);
		buf_printf(s->out, "%s:\n", name);
		break;
	case STATE_JSON:
		if (s->depth == 0 && s->json.depth == 0) {
			json_begin(&s->json, NULL, '{');
			s->braces = true;
		}
		json_begin(&s->json, name, '{');
		break;
	case STATE_SAVE:
		save_begin(s, name, version);
		break;
	case STATE_RESTORE:
		restore_begin(s, name, version);
		if (s->err)
			return;
		break;
	}
	s->depth++;
}

void state_end(struct state *s)
{
	if (s->err)
		return;
	assert(s->depth > 0);
	switch (s->mode) {
	case STATE_TEXT:
		break;
	case STATE_JSON:
		json_end(&s->json, '}');
		break;
	case STATE_SAVE: {
		size_t at = s->start[s->depth - 1];

		if (s->out->err) /* the length word may not be there */
			break;
		assert(s->out->len - at - 4 <= UINT32_MAX);
		put_le32(s->out->data + at, (u32)(s->out->len - at - 4));
		break;
	}
	case STATE_RESTORE:
		if (state_left(s)) {
			state_fail(s, -EBADMSG, "end of a section", "%zu bytes more than this lkvm knows of",
				   state_left(s));
			return;
		}
		break;
	}
	s->depth--;
}

/* One integer of len bytes. False, with *v as it was, unless a value was read into it. */
static bool state_int(struct state *s, const char *name, u64 *v, u32 len)
{
	const u8 *p;

	if (s->err)
		return false;
	switch (s->mode) {
	case STATE_TEXT:
		text_indent(s);
		buf_printf(s->out, "%s: 0x%" PRIx64 "\n", name, *v);
		break;
	case STATE_JSON:
		json_hex(&s->json, name, *v);
		break;
	case STATE_SAVE: {
		u8 le[8];

		put_le64(le, *v);
		buf_add(s->out, le, len);
		break;
	}
	case STATE_RESTORE:
		p = state_take(s, name, len);
		if (p)
			*v = get_le(p, len);
		return p;
	}
	return false;
}

void state_u8(struct state *s, const char *name, u8 *v)
{
	u64 wide = *v;

	if (state_int(s, name, &wide, 1))
		*v = (u8)wide;
}

void state_u16(struct state *s, const char *name, u16 *v)
{
	u64 wide = *v;

	if (state_int(s, name, &wide, 2))
		*v = (u16)wide;
}

void state_u32(struct state *s, const char *name, u32 *v)
{
	u64 wide = *v;

	if (state_int(s, name, &wide, 4))
		*v = (u32)wide;
}

void state_u64(struct state *s, const char *name, u64 *v)
{
	u64 wide = *v;

	if (state_int(s, name, &wide, 8))
		*v = wide;
}

void state_bool(struct state *s, const char *name, bool *v)
{
	u64 wide = *v;

	if (s->err)
		return;
	switch (s->mode) {
	case STATE_TEXT:
		text_indent(s);
		buf_printf(s->out, "%s: %s\n", name, *v ? "yes" : "no");
		break;
	case STATE_JSON:
		json_bool(&s->json, name, *v);
		break;
	case STATE_SAVE:
	case STATE_RESTORE:
		if (!state_int(s, name, &wide, 1))
			break;
		if (wide > 1)
			state_fail(s, -EBADMSG, name, "0x%" PRIx64 " where 0 or 1 belongs", wide);
		else
			*v = wide;
		break;
	}
}

/* Up to 16 bytes go on the field's own line, more on lines of their own, 16 each, with their offset. */
static void text_bytes(struct state *s, const char *name, const u8 *data, size_t len)
{
	text_indent(s);
	buf_printf(s->out, "%s:", name);
	for (size_t i = 0; i < len; i++) {
		if (len > 16 && i % 16 == 0) {
			buf_printf(s->out, "\n");
			text_indent(s);
			buf_printf(s->out, "  %04zx:", i);
		}
		buf_printf(s->out, " %02x", data[i]);
	}
	buf_printf(s->out, "\n");
}

static void json_bytes(struct state *s, const char *name, const u8 *data, size_t len)
{
	struct buf hex = {0};

	for (size_t i = 0; i < len; i++)
		buf_printf(&hex, "%02x", data[i]);
	if (hex.err)
		state_fail(s, hex.err, name, "%zu bytes", len);
	else
		json_str(&s->json, name, hex.data ? (const char *)hex.data : "");
	buf_free(&hex);
}

void state_bytes(struct state *s, const char *name, void *data, size_t len)
{
	const u8 *p;

	if (s->err)
		return;
	switch (s->mode) {
	case STATE_TEXT:
		text_bytes(s, name, data, len);
		break;
	case STATE_JSON:
		json_bytes(s, name, data, len);
		break;
	case STATE_SAVE:
		if (len)
			buf_add(s->out, data, len);
		break;
	case STATE_RESTORE:
		p = state_take(s, name, len);
		if (p && len)
			memcpy(data, p, len);
		break;
	}
}

void state_must_match(struct state *s, const char *name, u64 now)
{
	u64 v = now;

	if (state_printing(s))
		return;
	state_u64(s, name, &v);
	if (!s->err && v != now)
		state_fail(s, -EINVAL, name, "saved with 0x%" PRIx64 ", this VM has 0x%" PRIx64, v, now);
}

void state_note(struct state *s, const char *name, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (s->err || !state_printing(s))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (s->mode == STATE_JSON) {
		json_str(&s->json, name, text);
		return;
	}
	text_indent(s);
	buf_printf(s->out, "%s: %s\n", name, text);
}

int state_finish(struct state *s, const char *what)
{
	if (!s->err) {
		assert(s->depth == 0);
		if (s->braces)
			json_end(&s->json, '}');
		s->braces = false;
		if (s->mode == STATE_RESTORE && s->in != s->end)
			state_fail(s, -EBADMSG, "end of the saved state", "%zu bytes too many",
				   state_left(s));
		else if (s->mode != STATE_RESTORE && s->out->err)
			state_fail(s, s->out->err, "output",
				   s->out->err == -ENOMEM ? "out of memory" : "larger than its bound");
	}
	if (s->err)
		log_error("%s: state: %s: %s", what, s->err_what, s->why);
	return s->err;
}

/* SPDX-License-Identifier: MIT */
/*
 * State is one visitor: a walk names each field once, and the mode decides whether it is printed, written out
 * or read back. So `lkvm debug`, saving and restoring can never disagree.
 *
 * Saved form: sections of { name length u8, name, version u32, body length u32, body }, fields little-endian
 * in the walk's order, without names. Reading checks name, version and length and refuses what it does not
 * know.
 */
#ifndef LKVM_STATE_H
#define LKVM_STATE_H

#include <lkvm/buf.h>
#include <lkvm/json.h>
#include <lkvm/types.h>

enum state_mode { STATE_TEXT, STATE_JSON, STATE_SAVE, STATE_RESTORE };

struct state {
	enum state_mode mode;
	struct buf *out;      /* TEXT, JSON, SAVE */
	struct json json;     /* JSON */
	const u8 *in, *end;   /* RESTORE */
	u32 depth;	      /* sections open */
	size_t start[4];      /* SAVE: where the open sections' length words are; RESTORE: their ends */
	int err;	      /* first failure: -EBADMSG, -ENOMEM ...; later calls do nothing */
	const char *err_what; /* the section or field it happened in */
	char what[32];	      /* where err_what points when state_fail() was the one to tell */
	char why[96];	      /* more of it: "version 7, this lkvm reads 2" */
	bool braces;	      /* JSON: the outermost object is ours to close */
};

/*
 * JSON: sections become members of one outermost object. To put them into an object that is open already,
 * copy the writer in (s.json = *j) after this and back after state_finish().
 */
void state_init_out(struct state *s, enum state_mode mode, struct buf *out);
void state_init_in(struct state *s, const void *data, size_t len);
static inline bool state_reading(const struct state *s)
{
	return s->mode == STATE_RESTORE;
}
static inline bool state_printing(const struct state *s)
{
	return s->mode == STATE_TEXT || s->mode == STATE_JSON;
}
/*
 * Opens a section. Sections nest up to four deep and are closed in reverse. On RESTORE a name other than the
 * saved one is refused with -ENOENT, another version with -EPROTONOSUPPORT, and a section with more or fewer
 * bytes than the walk takes with -EBADMSG.
 */
void state_begin(struct state *s, const char *name, u32 version);
void state_end(struct state *s);
void state_u8(struct state *s, const char *name, u8 *v);
void state_u16(struct state *s, const char *name, u16 *v);
void state_u32(struct state *s, const char *name, u32 *v);
void state_u64(struct state *s, const char *name, u64 *v);
void state_bool(struct state *s, const char *name, bool *v);
void state_bytes(struct state *s, const char *name, void *data, size_t len);
/*
 * A value that must be what it was when it was saved, or the state is refused (-EINVAL): a count, a version.
 * Not printed.
 */
void state_must_match(struct state *s, const char *name, u64 now);
/* A derived, human-readable value: printed, never saved. */
void state_note(struct state *s, const char *name, const char *fmt, ...) __printf(3, 4);
/*
 * The walker's own failure: err (negative) at `what`, and why. The first one stands; later calls do nothing.
 */
void state_fail(struct state *s, int err, const char *what, const char *fmt, ...) __printf(4, 5);
/* Ends the walk: s->err, logged once with the place. On RESTORE bytes left over are -EBADMSG. */
int __must_check state_finish(struct state *s, const char *what);

#endif

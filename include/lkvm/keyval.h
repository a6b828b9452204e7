/* SPDX-License-Identifier: MIT */
/*
 * Comma lists, the arguments of options like --disk: "FILE,ro,format=raw,serial=S". A table of struct keyval
 * describes the keys; each writes into the field at `offset` of the target struct. "key" alone is for flags,
 * "key=value" for the rest; a comma that belongs to a value is written twice.
 *
 * Main thread, before a VM exists.
 */
#ifndef LKVM_KEYVAL_H
#define LKVM_KEYVAL_H

#include <lkvm/types.h>

enum keyval_kind {
	KV_END,	   /* closes a table */
	KV_FIRST,  /* const char *: the first item, whatever it is; has to be there and not be empty */
	KV_FLAG,   /* bool: "key", "key=on" or "key=off" */
	KV_STRING, /* const char *: points into the text; not empty */
	KV_INT,	   /* u64 between min and max, decimal or 0x */
	KV_SIZE,   /* u64 bytes: a bare number counts bytes; K, M, G or T; between min and max */
	KV_CHOICE, /* u32: the index of the word in `words` */
	KV_CALL,   /* parse() decides; the key may be given several times */
};

struct keyval {
	const char *key; /* of KV_FIRST: what messages call it, "FILE" */
	u8 kind;
	size_t offset;
	u64 min, max;		  /* KV_INT, KV_SIZE; both 0: no bound */
	const char *const *words; /* KV_CHOICE, NULL-terminated */
	/* KV_CALL: 0, or -errno after having logged one line, with `what` in front. */
	int (*parse)(void *target, const char *what, const char *value);
};

/*
 * Takes `text` apart, in place: strings of the target point into it, so it lives as long as they do. `what`
 * is the option's name in messages: "--disk". -EINVAL after one logged line.
 */
int __must_check keyval_parse(const char *what, char *text, const struct keyval *table, void *target);

#endif

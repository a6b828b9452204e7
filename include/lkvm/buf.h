/* SPDX-License-Identifier: MIT */
/*
 * A growing byte buffer with a cap. The first failure (out of memory, over the cap) sticks in `err`, later
 * calls do nothing, and the caller checks once at the end.
 */
#ifndef LKVM_BUF_H
#define LKVM_BUF_H

#include <lkvm/types.h>

struct buf {
	u8 *data; /* always followed by a NUL that len does not count, once anything was added */
	size_t len, room;
	size_t cap; /* 0: 16 MiB */
	int err;    /* 0, -ENOMEM or -EFBIG */
};

void buf_add(struct buf *b, const void *data, size_t len);
void buf_u8(struct buf *b, u8 v);
void buf_le16(struct buf *b, u16 v);
void buf_le32(struct buf *b, u32 v);
void buf_le64(struct buf *b, u64 v);
void buf_zero(struct buf *b, size_t len);
void buf_printf(struct buf *b, const char *fmt, ...) __printf(2, 3);
void buf_free(struct buf *b);

#endif

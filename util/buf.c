/* SPDX-License-Identifier: MIT */
/*
 * The growing byte buffer behind ACPI tables, JSON answers, dumps and saved state.
 *
 * Called by everybody, on any thread; a buffer belongs to one thread at a time and takes no lock. The first
 * failure sticks in b->err and what was there before it stays whole, so a caller adds as much as it likes and
 * looks once at the end.
 */
#include <errno.h>
#include <lkvm/buf.h>
#include <lkvm/endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_ROOM	  256
#define BUF_CAP_OTHERWISE MiB(16)

/* Makes room for len more bytes and the NUL behind them. False, with b->err set, when that cannot be. */
static bool buf_reserve(struct buf *b, size_t len)
{
	size_t cap = b->cap ? b->cap : BUF_CAP_OTHERWISE;
	size_t room;
	u8 *data;

	if (b->err)
		return false;
	if (b->len > cap || len > cap - b->len) {
		b->err = -EFBIG;
		return false;
	}
	if (b->data && len < b->room - b->len)
		return true;

	room = b->room ? b->room : BUF_FIRST_ROOM;
	while (room - b->len <= len)
		room = room > cap / 2 ? cap + 1 : room * 2;
	data = realloc(b->data, room);
	if (!data) {
		b->err = -ENOMEM;
		return false;
	}
	b->data = data;
	b->room = room;
	return true;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (!buf_reserve(b, len))
		return;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = 0;
}

void buf_u8(struct buf *b, u8 v)
{
	buf_add(b, &v, 1);
}

void buf_le16(struct buf *b, u16 v)
{
	u8 le[2] = {(u8)v, (u8)(v >> 8)};

	buf_add(b, le, sizeof(le));
}

void buf_le32(struct buf *b, u32 v)
{
	u8 le[4];

	put_le32(le, v);
	buf_add(b, le, sizeof(le));
}

void buf_le64(struct buf *b, u64 v)
{
	u8 le[8];

	put_le64(le, v);
	buf_add(b, le, sizeof(le));
}

void buf_zero(struct buf *b, size_t len)
{
	if (!buf_reserve(b, len))
		return;
	memset(b->data + b->len, 0, len + 1);
	b->len += len;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int need;

	if (!buf_reserve(b, 0))
		return;

	va_start(ap, fmt);
	need = vsnprintf((char *)b->data + b->len, b->room - b->len, fmt, ap);
	va_end(ap);
	if (need < 0) {
		/* Only a fault of ours or of the locale's comes here: wide characters are never printed. */
		b->err = -ENOMEM;
	} else if ((size_t)need < b->room - b->len) {
		size_t cap = b->cap ? b->cap : BUF_CAP_OTHERWISE;

		if ((size_t)need > cap - b->len) /* the room may be more than the cap allows */
			b->err = -EFBIG;
		else
			b->len += (size_t)need;
	} else if (buf_reserve(b, (size_t)need)) {
		va_start(ap, fmt);
		vsnprintf((char *)b->data + b->len, b->room - b->len, fmt, ap);
		va_end(ap);
		b->len += (size_t)need;
	}
	b->data[b->len] = 0; /* also takes back what a failed print left there */
}

void buf_free(struct buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

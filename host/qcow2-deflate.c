/* SPDX-License-Identifier: MIT */
/*
 * Compressed clusters of a qcow2 image, which are only ever read: raw deflate with a window of 4 KiB, or zstd
 * where lkvm was built with it. Output never goes beyond one cluster, and input is bounded by what an entry
 * can say. The cluster that was read last is kept, for a guest reads one in many pieces.
 */
#include "qcow2.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#if LKVM_HAVE_LIBZSTD
#include <zstd.h>
/* The static lkvm is linked without it, being a seventh smaller so: then these are not there. */
#pragma weak ZSTD_createDCtx
#pragma weak ZSTD_freeDCtx
#pragma weak ZSTD_decompressStream
#pragma weak ZSTD_isError
#endif

bool block_reads_zstd(void)
{
#if LKVM_HAVE_LIBZSTD
	return ZSTD_createDCtx != NULL;
#else
	return false;
#endif
}

bool qcow2_can_inflate(u8 compression)
{
	return !compression || (compression == 1 && block_reads_zstd());
}

struct qextent qcow2_compressed_extent(const struct qcow2 *q, u64 entry)
{
	u32 x = 62 - (q->cluster_bits - 8);
	u64 offset = entry & ((1ull << x) - 1) & 0x00ffffffffffffffull;
	u64 sectors = ((entry & ~QCOW2_COPIED & ~QCOW2_COMPRESSED) >> x) + 1;
	u64 start = align_down(offset, 512);

	return (struct qextent){start, sectors * 512};
}

static int inflate_zlib(const u8 *in, size_t len, u8 *out, size_t room)
{
	z_stream z = {.next_in = (u8 *)(uintptr_t)in,
		      .avail_in = (uInt)len,
		      .next_out = out,
		      .avail_out = (uInt)room};
	int ret;

	/* 12 would do for what is written to the specification; a larger window reads the same and more. */
	if (inflateInit2(&z, -15) != Z_OK)
		return -ENOMEM;
	ret = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	return (ret == Z_STREAM_END || ret == Z_BUF_ERROR || ret == Z_OK) && !z.avail_out ? 0 : -EIO;
}

static int inflate_zstd(const u8 *in, size_t len, u8 *out, size_t room)
{
#if LKVM_HAVE_LIBZSTD
	ZSTD_inBuffer from = {in, len, 0};
	ZSTD_outBuffer to = {out, room, 0};
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	int err = ctx ? 0 : -ENOMEM;

	while (!err && to.pos < to.size) {
		size_t before = to.pos, used = from.pos;
		size_t ret = ZSTD_decompressStream(ctx, &to, &from);

		if (ZSTD_isError(ret) || (to.pos == before && from.pos == used))
			err = -EIO;
	}
	ZSTD_freeDCtx(ctx);
	return err;
#else
	return -EOPNOTSUPP;
#endif
}

static int inflate_into(struct qcow2 *q, u64 entry, u8 *out)
{
	struct qextent x = qcow2_compressed_extent(q, entry);
	u32 bits = 62 - (q->cluster_bits - 8);
	u64 skip = (entry & ((1ull << bits) - 1)) % 512;
	u8 *in = malloc(x.len);
	int err = in ? blk_file_read(q->file, x.offset, in, x.len) : -ENOMEM;

	if (!err)
		err = q->compression ? inflate_zstd(in + skip, x.len - skip, out, q->cluster_size)
				     : inflate_zlib(in + skip, x.len - skip, out, q->cluster_size);
	free(in);
	return err;
}

int qcow2_inflate(struct qcow2 *q, u64 entry, u64 offset, void *buf, u64 len)
{
	int err = 0;

	pthread_mutex_lock(&q->inflated_lock);
	if (!q->inflated) {
		q->inflated = malloc(q->cluster_size);
		err = q->inflated ? 0 : -ENOMEM;
	}
	if (!err && q->inflated_entry != entry) {
		q->inflated_entry = 0;
		err = inflate_into(q, entry, q->inflated);
		if (!err)
			q->inflated_entry = entry;
	}
	if (!err)
		memcpy(buf, q->inflated + offset, len);
	pthread_mutex_unlock(&q->inflated_lock);
	if (err == -EIO) {
		pthread_mutex_lock(&q->b->lock);
		if (ratelimit_ok(&q->b->rl))
			log_error("disk %s: the compressed cluster at %llu cannot be decompressed",
				  q->file->path,
				  (unsigned long long)qcow2_compressed_extent(q, entry).offset);
		pthread_mutex_unlock(&q->b->lock);
	}
	return err;
}

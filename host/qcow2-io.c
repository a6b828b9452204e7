/* SPDX-License-Identifier: MIT */
/*
 * Requests to a qcow2 image. qcow2_map_fast() runs on the queues' threads and takes what is in place and
 * mapped by a table in memory; the rest runs here on pool threads, from start to end, with q->lock held for
 * the mapping and not for the data.
 */
#include "qcow2.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK KiB(64)

/* --- in flight -------------------------------------------------------------------------------------------
 */

/* With q->lock held. */
static u8 enter(struct qcow2 *q)
{
	u8 epoch = q->epoch & 1;

	q->inflight[epoch]++;
	return epoch;
}

bool qcow2_map_fast(struct block *b, struct block_req *req)
{
	struct qcow2 *q = b->priv;
	struct qrun run = {.kind = QK_NONE};
	u64 cluster = req->offset >> q->cluster_bits, i = cluster / qcow2_l2_entries(q), l2;
	bool write = req->op == BLOCK_WRITE, ok = false;

	if (pthread_mutex_trylock(&q->lock))
		return false;
	l2 = i < q->l1_size ? q->l1[i] & QCOW2_OFFSET_MASK : 0;
	if (l2 && qcache_peek(q, &q->l2, l2) &&
	    !(write && (q->corrupt || q->autoclear || !(q->l1[i] & QCOW2_COPIED)))) {
		int err = write ? qcow2_map_own(q, req->offset, req->len, &run)
				: qcow2_map_read(q, req->offset, req->len, &run);

		ok = !err && run.kind == QK_PLAIN && run.len == req->len;
	}
	if (ok) {
		req->file_offset = run.host;
		req->epoch = enter(q);
	}
	pthread_mutex_unlock(&q->lock);
	return ok;
}

void qcow2_unmap(struct block *b, struct block_req *req)
{
	struct qcow2 *q = b->priv;

	q->inflight[req->epoch]--;
}

/* --- reading ---------------------------------------------------------------------------------------------
 */

/* What is not in the file as it is: piece by piece from `from` on, of a compressed cluster or (0) the backing
 * file. */
static int read_pieces(struct qcow2 *q, u64 compressed, u64 from, struct iov_at *at, u64 len)
{
	int err = 0;

	while (len && !err) {
		struct iovec piece;
		u64 got;

		if (!iov_take(at, len, &piece, 1, &got))
			return -EINVAL;
		err = compressed ? qcow2_inflate(q, compressed, from, piece.iov_base, got)
				 : blk_read_sync(q->b->backing, from, piece.iov_base, got);
		from += got;
		len -= got;
	}
	return err;
}

static int read_run(struct qcow2 *q, const struct qrun *run, u64 offset, struct iov_at *at)
{
	switch (run->kind) {
	case QK_PLAIN:
		return blk_file_at(q->file, run->host, at, run->len, false);
	case QK_COMPRESSED:
		return read_pieces(q, run->host, offset & (q->cluster_size - 1), at, run->len);
	case QK_NONE:
		if (q->b->backing)
			return read_pieces(q, 0, offset, at, run->len);
		break;
	default:
		break;
	}
	iov_set_zero(at, run->len);
	return 0;
}

static int read_all(struct qcow2 *q, u64 offset, u64 len, struct iov_at *at)
{
	int err = 0;

	while (len && !err) {
		struct qrun run;

		pthread_mutex_lock(&q->lock);
		err = qcow2_map_read(q, offset, len, &run);
		pthread_mutex_unlock(&q->lock);
		if (!err)
			err = read_run(q, &run, offset, at);
		offset += run.len;
		len -= run.len;
	}
	return err;
}

/* --- writing ---------------------------------------------------------------------------------------------
 */

/* The part of a new cluster that a write does not cover, from what was there before. */
static int fill(struct qcow2 *q, u64 old, bool fresh, u64 guest, u64 host, u64 len)
{
	struct qrun run = {.kind = qcow2_kind(q, old), .len = len};
	struct iovec iov;
	struct iov_at at = {&iov, 1, 0};
	int err;

	if (!len || (fresh && (run.kind == QK_ZERO || (run.kind == QK_NONE && !q->b->backing))))
		return 0;
	run.host =
		run.kind == QK_COMPRESSED ? old : (old & QCOW2_OFFSET_MASK) + (guest & (q->cluster_size - 1));
	iov = (struct iovec){NULL, (size_t)len};
	if (posix_memalign(&iov.iov_base, 4096, len))
		return -ENOMEM;
	err = read_run(q, &run, guest, &at);
	if (!err)
		err = blk_file_write(q->file, host, iov.iov_base, len);
	free(iov.iov_base);
	return err;
}

static int write_run(struct qcow2 *q, const struct qrun *run, u64 offset, struct iov_at *at)
{
	u64 in = offset & (q->cluster_size - 1), end = offset + run->len;
	u64 tail = run->kind == QK_ALLOC ? (run->alloc.nr << q->cluster_bits) - in - run->len : 0;
	int err;

	if (run->kind == QK_PLAIN)
		return blk_file_at(q->file, run->host, at, run->len, true);
	err = fill(q, run->old_first, run->fresh, offset - in, run->host, in);
	if (!err)
		err = fill(q, run->old_last, run->fresh, end, run->host + in + run->len, tail);
	return err ? err : blk_file_at(q->file, run->host + in, at, run->len, true);
}

static int write_all(struct qcow2 *q, u64 offset, u64 len, struct iov_at *at)
{
	int err = 0;

	while (len && !err) {
		struct qrun run = {.len = 0};

		pthread_mutex_lock(&q->lock);
		err = qcow2_map_write(q, offset, len, &run);
		pthread_mutex_unlock(&q->lock);
		if (err)
			return err;
		err = write_run(q, &run, offset, at);
		if (run.kind == QK_ALLOC) {
			int err2;

			pthread_mutex_lock(&q->lock);
			err2 = qcow2_map_done(q, &run, !err);
			pthread_mutex_unlock(&q->lock);
			err = err ? err : err2;
		}
		offset += run.len;
		len -= run.len;
	}
	return err;
}

/* --- zeroes, and no more need ----------------------------------------------------------------------------
 */

static bool reads_zero(struct qcow2 *q, u64 offset, u64 len)
{
	struct qrun run;
	bool zero;

	pthread_mutex_lock(&q->lock);
	zero = !qcow2_map_read(q, offset, len, &run) && run.len == len &&
	       (run.kind == QK_ZERO || (run.kind == QK_NONE && !q->b->backing));
	pthread_mutex_unlock(&q->lock);
	return zero;
}

static int write_zeroes(struct qcow2 *q, u64 offset, u64 len)
{
	static const u8
		zero[CHUNK / 16]; /* the same again and again: the program is not to carry 64 KiB of it */
	struct iovec iov[16];
	int err = 0;

	for (u32 i = 0; i < ARRAY_SIZE(iov); i++)
		iov[i] = (struct iovec){(void *)(uintptr_t)zero, sizeof(zero)};
	while (len && !err) {
		u64 in_cluster = q->cluster_size - (offset & (q->cluster_size - 1));
		u64 now = min_u64(len, min_u64(in_cluster, CHUNK));
		struct iov_at at = {iov, ARRAY_SIZE(iov), 0};

		if (!reads_zero(q, offset, now))
			err = write_all(q, offset, now, &at);
		offset += now;
		len -= now;
	}
	return err;
}

/* Whole clusters by their entries, the rest at both ends by writing. */
static int zero_all(struct qcow2 *q, u64 offset, u64 len, bool unmap, bool discard)
{
	u64 end = offset + len, from = align_up(offset, q->cluster_size),
	    to = align_down(end, q->cluster_size);
	bool by_entry = q->version >= 3 || (!q->b->backing && unmap);
	int err = 0;

	/* The last cluster may be one that the disk has only a part of. */
	if (end == q->b->size)
		to = align_up(end, q->cluster_size);
	if (from >= to || !by_entry)
		return discard ? 0 : write_zeroes(q, offset, len);
	if (!discard && from > offset)
		err = write_zeroes(q, offset, from - offset);
	for (u64 at = from; at < to && !err;) {
		u64 done;

		pthread_mutex_lock(&q->lock);
		err = qcow2_map_zero(q, at >> q->cluster_bits, (to - at) >> q->cluster_bits, unmap, discard,
				     &done);
		pthread_mutex_unlock(&q->lock);
		at += done << q->cluster_bits;
	}
	if (!err && !discard && end > to)
		err = write_zeroes(q, to, end - to);
	return err;
}

/* --- flushing --------------------------------------------------------------------------------------------
 */

int qcow2_flush(struct qcow2 *q)
{
	bool meta;
	int err;

	if (q->ro)
		return 0;
	pthread_mutex_lock(&q->flush_lock);
	/* Most of the data, while others go on. */
	err = blk_file_sync(q->file);
	pthread_mutex_lock(&q->lock);
	meta = q->l2.nr_dirty || q->l1_dirty_from != q->l1_dirty_to || q->pending[0].nr || q->pending[1].nr;
	if (!err && q->corrupt)
		err = -EIO;
	if (!err && meta)
		err = qcow2_write_back(q);
	if (!err)
		qcow2_stage_free(q);
	pthread_mutex_unlock(&q->lock);
	if (!err && meta) {
		err = blk_file_sync(q->file);
		pthread_mutex_lock(&q->lock);
		if (!err)
			qcow2_release(q);
		pthread_mutex_unlock(&q->lock);
	}
	pthread_mutex_unlock(&q->flush_lock);
	return err;
}

int qcow2_run(struct block *b, struct block_req *req)
{
	struct qcow2 *q = b->priv;
	struct iov_at at = {req->iov, req->nr_iov, 0};
	bool unmap = req->may_unmap || req->op == BLOCK_DISCARD;
	int err = -EOPNOTSUPP;
	u8 epoch;

	if (req->op == BLOCK_FLUSH)
		return qcow2_flush(q);
	pthread_mutex_lock(&q->lock);
	epoch = enter(q);
	pthread_mutex_unlock(&q->lock);
	switch (req->op) {
	case BLOCK_READ:
		err = read_all(q, req->offset, req->len, &at);
		break;
	case BLOCK_WRITE:
		err = write_all(q, req->offset, req->len, &at);
		break;
	case BLOCK_DISCARD:
	case BLOCK_ZEROES:
		err = zero_all(q, req->offset, req->len, unmap, req->op == BLOCK_DISCARD);
		break;
	case BLOCK_FLUSH:
		break;
	}
	q->inflight[epoch]--;
	/* What is to be freed does not pile up because nobody flushes. */
	if (!err && q->nr_pending > QCOW2_PENDING_MAX)
		err = qcow2_flush(q);
	return err;
}

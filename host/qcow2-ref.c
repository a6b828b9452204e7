/* SPDX-License-Identifier: MIT */
/*
 * Refcounts of a qcow2 image: allocating clusters, freeing them, and growing the two-level table that counts
 * them. Changes of counts go to the file at once. All with q->lock held.
 *
 * A new refcount block lies in the range that it counts, and counts itself: a range without a block is free
 * throughout. A bigger refcount table is laid behind all that the old one can count, together with the
 * blocks for its own place, and becomes valid by one write to the header.
 */
#include "qcow2.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROW_AHEAD MiB(16) /* the file is made larger in steps of that */
#define HOST_MAX   (1ull << 56)

static u64 block_entries(const struct qcow2 *q)
{
	return q->cluster_size * 8 >> q->refcount_order;
}

static u64 count_max(const struct qcow2 *q)
{
	u32 bits = 1u << q->refcount_order;

	return bits == 64 ? ~0ull : (1ull << bits) - 1;
}

/* An entry of a block: big-endian from a byte on, below that from the lowest bit up. */
static u64 entry_get(const struct qcow2 *q, const u8 *block, u64 i)
{
	u32 bits = 1u << q->refcount_order, bytes = bits / 8;
	u64 v = 0;

	if (bits < 8)
		return block[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
	for (u32 k = 0; k < bytes; k++)
		v = v << 8 | block[i * bytes + k];
	return v;
}

static void entry_set(const struct qcow2 *q, u8 *block, u64 i, u64 v)
{
	u32 bits = 1u << q->refcount_order, bytes = bits / 8;

	if (bits < 8) {
		u8 mask = (u8)(((1u << bits) - 1) << (i * bits % 8));
		u8 *at = &block[i * bits / 8];

		*at = (u8)((*at & ~mask) | (v << (i * bits % 8) & mask));
		return;
	}
	for (u32 k = bytes; k--; v >>= 8)
		block[i * bytes + k] = (u8)v;
}

/* --- blocks and the table --------------------------------------------------------------------------------
 */

static u64 round_clusters(const struct qcow2 *q, u64 bytes)
{
	return align_up(bytes, q->cluster_size) >> q->cluster_bits;
}

/* Fills entries of a table that is not in the file yet: blocks from `first` on, at clusters from `at` on. */
static int write_new_blocks(struct qcow2 *q, u64 *rt, u64 first, u64 nr, u64 at, u64 used_from, u64 used_to)
{
	u64 per = block_entries(q);
	u8 *block = malloc(q->cluster_size);
	int err = block ? 0 : -ENOMEM;

	for (u64 i = 0; i < nr && !err; i++) {
		memset(block, 0, q->cluster_size);
		for (u64 c = used_from; c < used_to; c++)
			if (c / per == first + i)
				entry_set(q, block, c % per, 1);
		err = blk_file_write(q->file, (at + i) << q->cluster_bits, block, q->cluster_size);
		rt[first + i] = (at + i) << q->cluster_bits;
	}
	free(block);
	return err;
}

static int switch_table(struct qcow2 *q, const u64 *rt, u64 offset, u64 clusters)
{
	u64 size = clusters << q->cluster_bits;
	u8 *raw = malloc(size), where[12];
	int err = raw ? 0 : -ENOMEM;

	if (!err) {
		for (u64 i = 0; i < size / 8; i++)
			put_be64(raw + 8 * i, rt[i]);
		err = blk_file_write(q->file, offset, raw, size);
	}
	if (!err)
		err = blk_file_sync(q->file);
	if (!err) {
		put_be64(where, offset);
		put_be32(where + 8, (u32)clusters);
		err = blk_file_write(q->file, QCOW2_AT_REFTABLE, where, sizeof(where));
	}
	if (!err)
		err = blk_file_sync(q->file);
	free(raw);
	return err;
}

/* The file is as long as its clusters, so that what was not written in one reads as zeroes. */
static int extend_file(struct qcow2 *q, u64 end)
{
	if (end <= q->file->size)
		return 0;
	if (q->file->device)
		return -ENOSPC;
	return blk_file_truncate(q->file, align_up(end, max_u64(q->cluster_size, GROW_AHEAD)));
}

/* Makes the table count `cluster`, too. */
static int table_grow(struct qcow2 *q, u64 cluster)
{
	u64 per = block_entries(q), start = max_u64((u64)q->rt_size * per, q->used_end >> q->cluster_bits);
	u64 need = max_u64(cluster / per + 1, q->rt_size + q->rt_size / 2 + 1), clusters = 1, blocks = 1;
	u64 end, known = 0, *rt;
	int err;

	/* Table and blocks count themselves, too: both grow until they are enough. */
	for (;;) {
		u64 b, c, last;

		end = start + clusters + blocks;
		b = (end - 1) / per - start / per + 1;
		last = max_u64((end - 1) / per, start / per + blocks - 1);
		c = round_clusters(q, max_u64(need, last + 1) * 8);
		if (b <= blocks && c <= clusters)
			break;
		blocks = max_u64(b, blocks);
		clusters = max_u64(c, clusters);
	}
	if (clusters << q->cluster_bits > QCOW2_REFTABLE_MAX)
		return -EFBIG;
	rt = calloc(clusters, q->cluster_size);
	if (!rt)
		return -ENOMEM;
	memcpy(rt, q->rt, (size_t)q->rt_size * sizeof(*rt));
	err = extend_file(q, end << q->cluster_bits);
	while (!err && start + known < end) {
		err = qset_add(&q->meta, start + known);
		known += !err;
	}
	if (!err)
		err = write_new_blocks(q, rt, start / per, blocks, start + clusters, start, end);
	if (!err)
		err = switch_table(q, rt, start << q->cluster_bits, clusters);
	if (err) {
		while (known--)
			qset_del(&q->meta, start + known);
		free(rt);
		return err == -EEXIST
			       ? qcow2_corrupted(q, "the refcount of metadata", start << q->cluster_bits)
			       : err;
	}
	qcow2_free_meta(q, q->rt_offset, align_up((u64)q->rt_size * 8, q->cluster_size));
	free(q->rt);
	q->rt = rt;
	q->rt_offset = start << q->cluster_bits;
	q->rt_size = (u32)((clusters << q->cluster_bits) / 8);
	q->used_end = max_u64(q->used_end, end << q->cluster_bits);
	q->zero_from = max_u64(q->zero_from, q->used_end);
	return 0;
}

/* Makes the block of range i at the cluster `at`, which is free. In its own range, it counts itself. */
static int block_create(struct qcow2 *q, u64 i, u64 at)
{
	u64 per = block_entries(q), offset = at << q->cluster_bits;
	struct qtable *t;
	int err;

	if (!at)
		return qcow2_corrupted(q, "the header's refcount, for there is no refcount block", 0);
	err = qset_add(&q->meta, at);
	if (err)
		return err == -EEXIST ? qcow2_corrupted(q, "the refcount of metadata", offset) : err;
	err = extend_file(q, offset + q->cluster_size);
	if (!err)
		err = qcache_new(q, &q->rb, offset, &t);
	if (!err) {
		if (at / per == i)
			entry_set(q, t->data, at % per, 1);
		err = blk_file_write(q->file, offset, t->data, q->cluster_size);
	}
	/* The block before what leads to it. */
	if (!err)
		err = blk_file_sync(q->file);
	if (!err)
		err = qcow2_write_be64(q, q->rt_offset + 8 * i, offset);
	if (err) {
		qcache_forget(&q->rb, offset, q->cluster_size);
		qset_del(&q->meta, at);
		return err;
	}
	q->rt[i] = offset;
	q->used_end = max_u64(q->used_end, offset + q->cluster_size);
	q->zero_from = max_u64(q->zero_from, q->used_end);
	return 0;
}

/* NULL in *out: the range has no block. */
static int block_get(struct qcow2 *q, u64 cluster, struct qtable **out)
{
	u64 i = cluster / block_entries(q);

	*out = NULL;
	if (i >= q->rt_size || !q->rt[i])
		return 0;
	return qcache_get(q, &q->rb, q->rt[i], out);
}

int qcow2_ref_get(struct qcow2 *q, u64 cluster, u64 *count)
{
	struct qtable *t;
	int err = block_get(q, cluster, &t);

	*count = t ? entry_get(q, t->data, cluster % block_entries(q)) : 0;
	return err;
}

int qcow2_ref_set(struct qcow2 *q, u64 cluster, u64 nr, u64 count)
{
	u64 per = block_entries(q);
	u32 bits = 1u << q->refcount_order;

	if (count > count_max(q))
		return -EOVERFLOW;
	while (nr) {
		u64 i = cluster % per, now = min_u64(nr, per - i), from, to;
		struct qtable *t;
		int err = block_get(q, cluster, &t);

		if (!err && !t) {
			err = cluster / per >= q->rt_size ? table_grow(q, cluster) : 0;
			if (!err && !q->rt[cluster / per])
				err = block_create(q, cluster / per, cluster);
			if (!err)
				err = block_get(q, cluster, &t);
		}
		if (err)
			return err;
		for (u64 k = 0; k < now; k++)
			entry_set(q, t->data, i + k, count);
		from = i * bits / 8;
		to = ((i + now) * bits + 7) / 8;
		err = blk_file_write(q->file, t->offset + from, t->data + from, to - from);
		if (err)
			return err;
		cluster += now;
		nr -= now;
	}
	return 0;
}

int qcow2_ref_cover(struct qcow2 *q, u64 cluster)
{
	u64 per = block_entries(q), i = cluster / per;
	int err = i >= q->rt_size ? table_grow(q, cluster) : 0;

	while (!err && !q->rt[i]) {
		u64 at = q->used_end >> q->cluster_bits;

		if (at / per >= q->rt_size) {
			err = table_grow(q, at);
		} else if (!q->rt[at / per]) {
			err = block_create(q, at / per, at);
		} else {
			err = qcow2_ref_set(q, at, 1, 1);
			if (!err)
				err = block_create(q, i, at);
		}
	}
	return err;
}

/* --- allocating ------------------------------------------------------------------------------------------
 */

/* The first free cluster from *at on, and how many behind it are free too, up to nr. */
static int find_free(struct qcow2 *q, u64 *at, u64 nr, u64 *run)
{
	u64 per = block_entries(q);

	*run = 0;
	while (*run < nr) {
		u64 cluster = *at + *run, i = cluster % per;
		struct qtable *t;
		int err = block_get(q, cluster, &t);

		if (err)
			return err;
		if (cluster >= HOST_MAX >> q->cluster_bits)
			return -EFBIG;
		if (!t) {
			/* No block: it is to be made first, and takes a place of the range. */
			if (*run)
				return 0;
			err = cluster / per >= q->rt_size ? table_grow(q, cluster)
							  : block_create(q, cluster / per, cluster);
			if (err)
				return err;
			continue;
		}
		for (; i < per && *run < nr; i++) {
			if (!entry_get(q, t->data, i)) {
				++*run;
			} else if (*run) {
				return 0;
			} else {
				++*at;
			}
		}
	}
	return 0;
}

static int take(struct qcow2 *q, u64 nr, u64 *offset, u64 *got)
{
	u64 at = q->hint;
	int err = find_free(q, &at, nr, got);

	for (u64 i = 0; i < *got && !err; i++)
		if (!(at + i) || qset_has(&q->meta, at + i))
			err = qcow2_corrupted(q, "the refcount of metadata", (at + i) << q->cluster_bits);
	if (!err)
		err = extend_file(q, (at + *got) << q->cluster_bits);
	if (!err)
		err = qcow2_ref_set(q, at, *got, 1);
	if (err)
		return err;
	*offset = at << q->cluster_bits;
	q->hint = at + *got;
	q->used_end = max_u64(q->used_end, (at + *got) << q->cluster_bits);
	return 0;
}

int qcow2_alloc(struct qcow2 *q, u64 nr, u64 *offset, u64 *got)
{
	int err = q->corrupt ? -EIO : qcow2_begin_change(q);

	return err ? err : take(q, nr, offset, got);
}

int qcow2_alloc_meta(struct qcow2 *q, u64 nr, u64 *offset)
{
	u64 got, hint = q->hint;
	int err = qcow2_alloc(q, nr, offset, &got);

	/* What was too short is given back, and found by the next who needs less. */
	for (u64 tries = 0; !err && got < nr; tries++) {
		qcow2_unalloc(q, *offset, got);
		q->hint = (*offset >> q->cluster_bits) + got;
		if (tries == 1u << 20)
			return -ENOSPC;
		err = qcow2_alloc(q, nr, offset, &got);
	}
	if (nr > 1)
		q->hint = hint;
	for (u64 i = 0; i < nr && !err; i++)
		err = qset_add(&q->meta, (*offset >> q->cluster_bits) + i);
	if (!err)
		q->zero_from = max_u64(q->zero_from, *offset + (nr << q->cluster_bits));
	return err;
}

/* --- freeing ---------------------------------------------------------------------------------------------
 */

void qcow2_unalloc(struct qcow2 *q, u64 offset, u64 nr)
{
	u64 cluster = offset >> q->cluster_bits;
	int err = qcow2_ref_set(q, cluster, nr, 0);

	/* What cannot be written is a leak, no more. */
	if (err)
		log_debug(q->b->log, "disk %s: clusters leaked: %s", q->file->path, strerror(-err));
	else if (cluster < q->hint)
		q->hint = cluster;
}

void qcow2_free_later(struct qcow2 *q, u64 offset, u64 len)
{
	struct qpending *p = &q->pending[q->epoch & 1];
	struct qextent *last = p->nr ? &p->extent[p->nr - 1] : NULL;

	if (!len)
		return;
	/* What a flush has counted stays as it is. */
	if (p->nr > p->staged && last->offset + last->len == offset) {
		last->len += len;
		return;
	}
	if (p->nr == p->room) {
		u32 room = p->room ? p->room * 2 : 64;
		struct qextent *more = realloc(p->extent, room * sizeof(*more));

		if (!more)
			return; /* a leak */
		p->extent = more;
		p->room = room;
	}
	p->extent[p->nr++] = (struct qextent){offset, len};
	q->nr_pending++;
}

void qcow2_free_meta(struct qcow2 *q, u64 offset, u64 len)
{
	for (u64 at = offset; at < offset + len; at += q->cluster_size) {
		qset_del(&q->meta, at >> q->cluster_bits);
		qcache_forget(&q->l2, at, q->cluster_size);
	}
	qcow2_free_later(q, offset, len);
}

void qcow2_free_entry(struct qcow2 *q, u64 entry)
{
	u64 offset = entry & QCOW2_OFFSET_MASK;
	struct qextent x;
	u64 from, to;

	if (!(entry & QCOW2_COMPRESSED)) {
		if (offset)
			qcow2_free_later(q, offset, q->cluster_size);
		return;
	}
	/* Of each cluster that its data touches it counts once. Two in one cluster are not to be joined. */
	x = qcow2_compressed_extent(q, entry);
	from = align_down(x.offset, q->cluster_size);
	to = align_up(x.offset + x.len, q->cluster_size);
	qcow2_free_later(q, from, to - from);
}

/* One reference less for each cluster; space of those that are free then goes back to the host. */
static int put(struct qcow2 *q, u64 offset, u64 len)
{
	u64 first = offset >> q->cluster_bits, nr = len >> q->cluster_bits, free_from = 0, free_nr = 0;
	int err = 0;

	for (u64 i = 0; i <= nr && !err; i++) {
		u64 cluster = first + i, count = 0;

		if (i < nr)
			err = qcow2_ref_get(q, cluster, &count);
		/* An entry that led to metadata, or two to one cluster that is something else by now. */
		if (i < nr && !err && (!cluster || !count || qset_has(&q->meta, cluster)))
			err = qcow2_corrupted(q, "the refcount of what was data", cluster << q->cluster_bits);
		if (!err && i < nr && count == 1) {
			free_from = free_nr ? free_from : cluster;
			free_nr++;
			continue;
		}
		if (free_nr) {
			int err2 = qcow2_ref_set(q, free_from, free_nr, 0);

			if (!err2)
				blk_file_discard(q->file, free_from << q->cluster_bits,
						 free_nr << q->cluster_bits);
			q->hint = min_u64(q->hint, free_from);
			err = err ? err : err2;
			free_nr = 0;
		}
		if (!err && i < nr)
			err = qcow2_ref_set(q, cluster, 1, count - 1);
	}
	return err;
}

static void put_staged(struct qcow2 *q, struct qpending *p)
{
	for (u32 i = 0; i < p->staged; i++) {
		int err = put(q, p->extent[i].offset, p->extent[i].len);

		if (err)
			log_debug(q->b->log, "disk %s: clusters leaked: %s", q->file->path, strerror(-err));
	}
	p->nr -= p->staged;
	q->nr_pending -= p->staged;
	if (p->nr)
		memmove(p->extent, p->extent + p->staged, p->nr * sizeof(*p->extent));
	p->staged = 0;
}

void qcow2_stage_free(struct qcow2 *q)
{
	q->pending[0].staged = q->pending[0].nr;
	q->pending[1].staged = q->pending[1].nr;
}

void qcow2_release(struct qcow2 *q)
{
	u32 now = q->epoch & 1;

	if (q->corrupt || q->inflight[!now])
		return;
	/* Freed in the epoch before this one: requests of that one, and of none since, may know them. */
	put_staged(q, &q->pending[!now]);
	if (!q->inflight[now])
		put_staged(q, &q->pending[now]);
	/* What was freed since the flush staged goes over to the next epoch, or a slot would be used twice.
	 */
	if (!q->pending[!now].nr)
		q->epoch++;
}

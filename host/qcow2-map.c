/* SPDX-License-Identifier: MIT */
/*
 * The mapping of a qcow2 image: L1 and L2 tables, what guest clusters are and become, and how that reaches
 * the file. All with q->lock held, by pool threads and, for what is in memory, the queues' own.
 */
#include "qcow2.h"
#include <errno.h>
#include <string.h>

/* --- entries ---------------------------------------------------------------------------------------------
 */

enum qkind qcow2_kind(const struct qcow2 *q, u64 entry)
{
	if (entry & QCOW2_COMPRESSED)
		return QK_COMPRESSED;
	if (q->version >= 3 && (entry & QCOW2_ZERO))
		return QK_ZERO;
	return entry & QCOW2_OFFSET_MASK ? QK_PLAIN : QK_NONE;
}

int qcow2_entry_valid(struct qcow2 *q, u64 entry)
{
	u64 offset = entry & QCOW2_OFFSET_MASK;

	if (entry & QCOW2_COMPRESSED) {
		struct qextent x = qcow2_compressed_extent(q, entry);

		return x.offset >= q->cluster_size && x.offset < q->file->size ? 0 : -EIO;
	}
	if (!offset)
		return 0;
	return (offset & (q->cluster_size - 1)) || offset >= q->file->size ? -EIO : 0;
}

static u64 l1_index(const struct qcow2 *q, u64 cluster)
{
	return cluster / qcow2_l2_entries(q);
}

static void l1_set(struct qcow2 *q, u64 i, u64 entry)
{
	q->l1[i] = entry;
	if (q->l1_dirty_from == q->l1_dirty_to) {
		q->l1_dirty_from = (u32)i;
		q->l1_dirty_to = (u32)i + 1;
	}
	q->l1_dirty_from = (u32)min_u64(q->l1_dirty_from, i);
	q->l1_dirty_to = (u32)max_u64(q->l1_dirty_to, i + 1);
}

static u64 entry_at(const struct qtable *t, u64 i)
{
	return get_be64(t->data + 8 * i);
}

static void entry_put(struct qcow2 *q, struct qtable *t, u64 i, u64 entry)
{
	put_be64(t->data + 8 * i, entry);
	qtable_dirty(&q->l2, t, (u32)(8 * i), 8);
}

/* The L2 table that describes the cluster; NULL in *out: there is none. */
static int l2_get(struct qcow2 *q, u64 cluster, struct qtable **out)
{
	u64 i = l1_index(q, cluster), offset;

	*out = NULL;
	if (i >= q->l1_size)
		return -EIO;
	offset = q->l1[i] & QCOW2_OFFSET_MASK;
	return offset ? qcache_get(q, &q->l2, offset, out) : 0;
}

/* One that may be changed: new where there is none, a copy where a snapshot has it too. */
static int l2_get_own(struct qcow2 *q, u64 cluster, struct qtable **out)
{
	u64 i = l1_index(q, cluster), old, offset;
	struct qtable *from = NULL;
	int err;

	if (i >= q->l1_size)
		return -EIO;
	old = q->l1[i] & QCOW2_OFFSET_MASK;
	if (old && (q->l1[i] & QCOW2_COPIED))
		return l2_get(q, cluster, out);
	err = qcow2_alloc_meta(q, 1, &offset);
	if (err)
		return err;
	err = qcache_new(q, &q->l2, offset, out);
	if (!err && old)
		/* The new one is clean yet, but younger: it stays in its place. */
		err = qcache_get(q, &q->l2, old, &from);
	if (!err && from)
		memcpy((*out)->data, from->data, q->cluster_size);
	if (err) {
		qcache_forget(&q->l2, offset, q->cluster_size);
		qset_del(&q->meta, offset >> q->cluster_bits);
		qcow2_unalloc(q, offset, 1);
		return err;
	}
	qtable_dirty(&q->l2, *out, 0, (u32)q->cluster_size);
	l1_set(q, i, offset | QCOW2_COPIED);
	qcow2_free_meta(q, old, old ? q->cluster_size : 0);
	return 0;
}

/* --- reading ---------------------------------------------------------------------------------------------
 */

static u64 entries_left(const struct qcow2 *q, u64 cluster)
{
	return qcow2_l2_entries(q) - cluster % qcow2_l2_entries(q);
}

/* How many bytes from `offset` on are like the entry's, as far as one table goes. */
static u64 run_length(struct qcow2 *q, const struct qtable *t, u64 offset, u64 len, bool own)
{
	u64 cluster = offset >> q->cluster_bits, i = cluster % qcow2_l2_entries(q);
	u64 first = entry_at(t, i), in = offset & (q->cluster_size - 1);
	u64 max = min_u64(entries_left(q, cluster), (in + len + q->cluster_size - 1) >> q->cluster_bits), n;
	enum qkind kind = qcow2_kind(q, first);

	for (n = 1; n < max && kind != QK_COMPRESSED; n++) {
		u64 e = entry_at(t, i + n);

		if (qcow2_kind(q, e) != kind)
			break;
		if (kind == QK_PLAIN &&
		    (e & QCOW2_OFFSET_MASK) != (first & QCOW2_OFFSET_MASK) + (n << q->cluster_bits))
			break;
		if (own && !(e & QCOW2_COPIED))
			break;
	}
	return min_u64(len, (n << q->cluster_bits) - in);
}

int qcow2_map_read(struct qcow2 *q, u64 offset, u64 len, struct qrun *run)
{
	u64 cluster = offset >> q->cluster_bits, in = offset & (q->cluster_size - 1), entry;
	struct qtable *t;
	int err = l2_get(q, cluster, &t);

	if (err)
		return err;
	run->kind = QK_NONE;
	if (!t) {
		run->len = min_u64(len, (entries_left(q, cluster) << q->cluster_bits) - in);
		return 0;
	}
	entry = entry_at(t, cluster % qcow2_l2_entries(q));
	run->kind = qcow2_kind(q, entry);
	run->len = run_length(q, t, offset, len, false);
	run->host = run->kind == QK_COMPRESSED ? entry : (entry & QCOW2_OFFSET_MASK) + in;
	return 0;
}

/* --- writing ---------------------------------------------------------------------------------------------
 */

/* The first cluster at or behind `cluster` that a request is filling; ~0: none up to `end`. */
static u64 filling(const struct qcow2 *q, u64 cluster, u64 end)
{
	struct qalloc *a;
	u64 first = ~0ull;

	list_for_each (a, &q->allocs, link)
		if (ranges_overlap(cluster, end - cluster, a->first, a->nr))
			first = min_u64(first, max_u64(cluster, a->first));
	return first;
}

/* No write of a guest's goes to metadata, whatever tables say. */
static int check_target(struct qcow2 *q, u64 host, u64 len)
{
	u64 first = host >> q->cluster_bits, last = (host + len - 1) >> q->cluster_bits;

	for (u64 c = first; c <= last; c++)
		if (!c || qset_has(&q->meta, c))
			return qcow2_corrupted(q, "an L2 entry, for metadata", c << q->cluster_bits);
	return 0;
}

static int map_plain(struct qcow2 *q, struct qtable *t, u64 offset, u64 len, struct qrun *run)
{
	u64 i = (offset >> q->cluster_bits) % qcow2_l2_entries(q);

	run->kind = QK_PLAIN;
	run->len = run_length(q, t, offset, len, true);
	run->host = (entry_at(t, i) & QCOW2_OFFSET_MASK) + (offset & (q->cluster_size - 1));
	return check_target(q, run->host, run->len);
}

static bool is_own(const struct qcow2 *q, u64 entry)
{
	return qcow2_kind(q, entry) == QK_PLAIN && (entry & QCOW2_COPIED);
}

int qcow2_map_own(struct qcow2 *q, u64 offset, u64 len, struct qrun *run)
{
	u64 cluster = offset >> q->cluster_bits;
	struct qtable *t;
	int err = l2_get(q, cluster, &t);

	if (err)
		return err;
	if (!t || !is_own(q, entry_at(t, cluster % qcow2_l2_entries(q))))
		return -ENOENT;
	return map_plain(q, t, offset, len, run);
}

int qcow2_map_write(struct qcow2 *q, u64 offset, u64 len, struct qrun *run)
{
	u64 cluster = offset >> q->cluster_bits, i = cluster % qcow2_l2_entries(q);
	u64 in = offset & (q->cluster_size - 1), nr, n, busy;
	struct qtable *t;
	int err;

	nr = min_u64(entries_left(q, cluster), (in + len + q->cluster_size - 1) >> q->cluster_bits);
	while ((busy = filling(q, cluster, cluster + 1)) == cluster)
		pthread_cond_wait(&q->alloc_done, &q->lock);
	if (q->corrupt)
		return -EIO;
	err = qcow2_begin_write(q);
	if (!err)
		err = l2_get_own(q, cluster, &t);
	if (err)
		return err;
	if (is_own(q, entry_at(t, i)))
		return map_plain(q, t, offset, len, run);
	busy = filling(q, cluster, cluster + nr);
	for (n = 1; n < nr && cluster + n != busy && !is_own(q, entry_at(t, i + n)); n++)
		;
	run->old_first = entry_at(t, i);
	err = qcow2_alloc(q, n, &run->host, &n);
	if (err)
		return err;
	/* Allocation has a cache of its own: the table is still there. */
	run->old_last = entry_at(t, i + n - 1);
	run->kind = QK_ALLOC;
	run->len = min_u64(len, (n << q->cluster_bits) - in);
	run->fresh = run->host >= q->zero_from;
	q->zero_from = max_u64(q->zero_from, run->host + (n << q->cluster_bits));
	run->alloc.first = cluster;
	run->alloc.nr = n;
	list_add_tail(&q->allocs, &run->alloc.link);
	return 0;
}

int qcow2_map_done(struct qcow2 *q, struct qrun *run, bool written)
{
	u64 i = run->alloc.first % qcow2_l2_entries(q);
	struct qtable *t;
	int err = 0;

	if (written) {
		err = l2_get_own(q, run->alloc.first, &t);
		for (u64 n = 0; n < run->alloc.nr && !err; n++) {
			u64 old = entry_at(t, i + n);

			entry_put(q, t, i + n, (run->host + (n << q->cluster_bits)) | QCOW2_COPIED);
			qcow2_free_entry(q, old);
		}
	}
	if (!written || err)
		qcow2_unalloc(q, run->host, run->alloc.nr);
	list_del(&run->alloc.link);
	pthread_cond_broadcast(&q->alloc_done);
	return err;
}

/* --- zeroes ----------------------------------------------------------------------------------------------
 */

/* What an entry becomes. */
static u64 zero_entry(const struct qcow2 *q, u64 entry, bool unmap, bool discard)
{
	bool none = qcow2_kind(q, entry) == QK_NONE;

	if (none && (discard || !q->b->backing))
		return entry;
	if (q->version < 3)
		return 0;
	if (!unmap && is_own(q, entry))
		return entry | QCOW2_ZERO;
	if (qcow2_kind(q, entry) == QK_ZERO && !unmap)
		return entry;
	return q->b->backing ? QCOW2_ZERO : 0;
}

int qcow2_map_zero(struct qcow2 *q, u64 first, u64 nr, bool unmap, bool discard, u64 *done)
{
	struct qtable *t;
	u64 i = first % qcow2_l2_entries(q);
	int err;

	*done = nr = min_u64(nr, entries_left(q, first));
	while (filling(q, first, first + nr) != ~0ull)
		pthread_cond_wait(&q->alloc_done, &q->lock);
	err = q->corrupt ? -EIO : l2_get(q, first, &t);
	if (err || (!t && (discard || !q->b->backing)))
		return err;
	err = qcow2_begin_change(q);
	if (!err)
		err = l2_get_own(q, first, &t);
	for (u64 n = 0; n < nr && !err; n++) {
		u64 old = entry_at(t, i + n), now = zero_entry(q, old, unmap, discard);

		if (now == old)
			continue;
		entry_put(q, t, i + n, now);
		if (!(now & QCOW2_OFFSET_MASK))
			qcow2_free_entry(q, old);
	}
	return err;
}

/* --- to the file -----------------------------------------------------------------------------------------
 */

int qcow2_write_back(struct qcow2 *q)
{
	u32 from = q->l1_dirty_from, to = q->l1_dirty_to;
	u8 raw[512];
	int err;

	if (!q->l2.nr_dirty && from == to)
		return 0;
	if (q->corrupt)
		return -EIO;
	err = blk_file_sync(q->file);
	if (!err)
		err = qcache_write_dirty(q, &q->l2);
	if (!err && from != to)
		err = blk_file_sync(q->file);
	while (!err && from < to) {
		u32 n = (u32)min_u64(to - from, sizeof(raw) / 8);

		for (u32 i = 0; i < n; i++)
			put_be64(raw + 8 * i, q->l1[from + i]);
		err = blk_file_write(q->file, q->l1_offset + 8ull * from, raw, 8ull * n);
		from += n;
	}
	if (!err)
		q->l1_dirty_from = q->l1_dirty_to = 0;
	return err;
}

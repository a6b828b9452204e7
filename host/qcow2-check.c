/* SPDX-License-Identifier: MIT */
/*
 * Walks all that leads to clusters of a qcow2 image, its snapshots' tables included, counts, and sets the
 * refcounts right by it: too low ones, that a crash of who postpones them leaves, and leaks. Then the
 * "copied" flags that follow from them. Main thread, when an image is opened that was not closed.
 */
#include "qcow2.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLUSTERS_MAX (1ull << 28)
#define COUNT_MAX    0xffff

struct walk {
	struct qcow2 *q;
	u16 *count;
	u64 nr;	    /* clusters of the file */
	u64 budget; /* L2 tables that may be looked at: images that lead to one table over and over */
	u8 *table;
};

static int count(struct walk *w, u64 offset, u64 len, const char *what)
{
	struct qcow2 *q = w->q;
	u64 first = offset >> q->cluster_bits, last = (offset + len - 1) >> q->cluster_bits;

	for (u64 c = first; len && c <= last; c++) {
		if (c >= w->nr) {
			log_error(
				"disk %s: is shorter than its metadata says: %s at %llu: was it copied in full?",
				q->file->path, what, (unsigned long long)offset);
			return -EIO;
		}
		if (w->count[c] < COUNT_MAX)
			w->count[c]++;
	}
	return 0;
}

static int count_entry(struct walk *w, u64 entry)
{
	struct qcow2 *q = w->q;
	struct qextent x = {entry & QCOW2_OFFSET_MASK, q->cluster_size};

	if (entry & QCOW2_COMPRESSED) {
		x = qcow2_compressed_extent(q, entry);
		/* Its last sectors need not be there. */
		if (x.offset < q->file->size)
			x.len = min_u64(x.len, align_up(q->file->size, q->cluster_size) - x.offset);
	}
	return x.offset ? count(w, x.offset, x.len, "data") : 0;
}

static int count_l2(struct walk *w, u64 offset)
{
	struct qcow2 *q = w->q;
	int err;

	if (!w->budget--) {
		log_error("disk %s: corrupt: its snapshots lead to more tables than it can have",
			  q->file->path);
		return -EIO;
	}
	err = count(w, offset, q->cluster_size, "an L2 table");
	if (!err)
		err = blk_file_read(q->file, offset, w->table, q->cluster_size);
	for (u64 i = 0; i < qcow2_l2_entries(q) && !err; i++)
		err = count_entry(w, get_be64(w->table + 8 * i));
	return err;
}

static int count_l1(struct walk *w, const u64 *l1, u64 nr)
{
	int err = 0;

	for (u64 i = 0; i < nr && !err; i++)
		if (l1[i] & QCOW2_OFFSET_MASK)
			err = count_l2(w, l1[i] & QCOW2_OFFSET_MASK);
	return err;
}

static int count_snapshot(struct walk *w, u64 offset, u64 nr)
{
	struct qcow2 *q = w->q;
	u64 *l1;
	int err;

	if (nr > QCOW2_L1_MAX / 8 ||
	    !range_inside(offset, nr * 8, 0, align_up(q->file->size, q->cluster_size))) {
		log_error("disk %s: is shorter than its metadata says: a snapshot's L1 table at %llu",
			  q->file->path, (unsigned long long)offset);
		return -EIO;
	}
	l1 = calloc(nr ? nr : 1, sizeof(*l1));
	err = l1 ? blk_file_read(q->file, offset, l1, nr * 8) : -ENOMEM;
	for (u64 i = 0; i < nr && !err; i++)
		l1[i] = get_be64(&l1[i]);
	if (!err)
		err = count(w, offset, nr * 8, "a snapshot's L1 table");
	if (!err)
		err = count_l1(w, l1, nr);
	free(l1);
	return err;
}

static int count_snapshots(struct walk *w)
{
	struct qcow2 *q = w->q;
	u64 at = q->snapshots_offset;
	int err = 0;

	for (u32 i = 0; i < q->nr_snapshots && !err; i++) {
		u8 raw[40];
		u64 len;

		if (!range_inside(at, sizeof(raw), q->cluster_size, q->file->size)) {
			log_error("disk %s: is shorter than its metadata says: the snapshot table",
				  q->file->path);
			return -EIO;
		}
		err = blk_file_read(q->file, at, raw, sizeof(raw));
		if (!err)
			err = count_snapshot(w, get_be64(raw) & QCOW2_OFFSET_MASK, get_be32(raw + 8));
		len = sizeof(raw) + (u64)get_be32(raw + 36) + get_be16(raw + 12) + (raw[14] << 8 | raw[15]);
		at += align_up(len, 8);
	}
	return err ? err : count(w, q->snapshots_offset, at - q->snapshots_offset, "the snapshot table");
}

static int count_all(struct walk *w)
{
	struct qcow2 *q = w->q;
	int err = count(w, 0, q->cluster_size, "the header");

	if (!err)
		err = count(w, q->rt_offset, (u64)q->rt_size * 8, "the refcount table");
	for (u32 i = 0; i < q->rt_size && !err; i++)
		if (q->rt[i])
			err = count(w, q->rt[i], q->cluster_size, "a refcount block");
	if (!err)
		err = count(w, q->l1_offset, (u64)q->l1_size * 8, "the L1 table");
	if (!err)
		err = count_l1(w, q->l1, q->l1_size);
	return err ? err : count_snapshots(w);
}

/* --- setting right ---------------------------------------------------------------------------------------
 */

static int set_counts(struct walk *w, u64 *mended)
{
	struct qcow2 *q = w->q;
	u64 per = q->cluster_size * 8 >> q->refcount_order, end = (u64)q->rt_size * per;
	int err = 0;

	/* Blocks that are missing come behind the end of the file: there, nothing leads. */
	for (u64 c = 0; c < w->nr && !err; c++)
		if (w->count[c])
			err = qcow2_ref_cover(q, c);
	for (u64 c = 0; c < max_u64(end, w->nr) && !err; c++) {
		u64 have, want = c < w->nr ? w->count[c] : 0;

		if (c / per >= q->rt_size || !q->rt[c / per]) {
			c |= per - 1;
			continue;
		}
		/* Blocks made just now are none of what was counted. */
		if (c >= w->nr && qset_has(&q->meta, c))
			continue;
		err = qcow2_ref_get(q, c, &have);
		if (err || have == want || (q->has_bitmaps && have > want))
			continue;
		err = qcow2_ref_set(q, c, 1, want);
		++*mended;
	}
	return err;
}

static bool alone(const struct walk *w, u64 offset)
{
	u64 c = offset >> w->q->cluster_bits;

	return c < w->nr && w->count[c] == 1;
}

static int set_copied_l2(struct walk *w, u64 offset)
{
	struct qcow2 *q = w->q;
	bool changed = false;
	int err = blk_file_read(q->file, offset, w->table, q->cluster_size);

	for (u64 i = 0; i < qcow2_l2_entries(q) && !err; i++) {
		u64 e = get_be64(w->table + 8 * i), now = e & ~QCOW2_COPIED;

		if (!(e & QCOW2_COMPRESSED) && (e & QCOW2_OFFSET_MASK) && alone(w, e & QCOW2_OFFSET_MASK))
			now |= QCOW2_COPIED;
		if (now == e)
			continue;
		put_be64(w->table + 8 * i, now);
		changed = true;
	}
	if (!err && changed) {
		qcache_forget(&q->l2, offset, q->cluster_size);
		err = blk_file_write(q->file, offset, w->table, q->cluster_size);
	}
	return err;
}

static int set_copied(struct walk *w)
{
	struct qcow2 *q = w->q;
	int err = 0;

	for (u32 i = 0; i < q->l1_size && !err; i++) {
		u64 offset = q->l1[i] & QCOW2_OFFSET_MASK, now = offset;

		if (!offset)
			continue;
		if (alone(w, offset)) {
			now |= QCOW2_COPIED;
			err = set_copied_l2(w, offset);
		}
		if (!err && now != q->l1[i])
			err = qcow2_write_be64(q, q->l1_offset + 8ull * i, now);
		q->l1[i] = now;
	}
	return err;
}

int qcow2_check(struct qcow2 *q, bool repair)
{
	struct walk w = {.q = q, .nr = align_up(q->file->size, q->cluster_size) >> q->cluster_bits};
	u64 mended = 0;
	int err;

	if (w.nr > CLUSTERS_MAX) {
		log_error("disk %s: too large to be checked here: run qemu-img check -r all", q->file->path);
		return -EFBIG;
	}
	w.budget = 4 * w.nr + 1024;
	w.count = calloc(w.nr, sizeof(*w.count));
	w.table = NULL;
	if (!w.count || posix_memalign((void **)&w.table, 4096, q->cluster_size)) {
		free(w.count);
		return -ENOMEM;
	}
	err = count_all(&w);
	if (!err && repair) {
		err = qcow2_begin_write(q);
		if (!err)
			err = set_counts(&w, &mended);
		if (!err)
			err = set_copied(&w);
		if (!err)
			err = blk_file_sync(q->file);
		if (err)
			log_error(
				"disk %s: its refcounts could not be set right: %s: run qemu-img check -r all",
				q->file->path, strerror(-err));
		else
			log_debug(q->b->log, "disk %s: %llu refcounts were not right", q->file->path,
				  (unsigned long long)mended);
	}
	free(w.table);
	free(w.count);
	return err;
}

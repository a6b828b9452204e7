/* SPDX-License-Identifier: MIT */
/*
 * Opening a qcow2 image: the header, field by field as the specification has them, and what is refused for
 * it; backing files; the dirty and the corrupt bit; growing. Main thread, but for qcow2_corrupted(),
 * qcow2_begin_change() and resizing.
 */
#include "qcow2.h"
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_BYTES MiB(8)
#define CACHE_RB    MiB(1)
#define CLUSTER_MIN 9
#define CLUSTER_MAX 21
#define BACKING_MAX 1023
#define EXT_BACKING 0xe2792acau
#define EXT_BITMAPS 0x23852875u

struct header {
	u8 *raw; /* the first cluster, or what there is of it */
	u64 len;
	u64 backing_offset;
	u32 backing_size, l1_size, rt_clusters, length;
	char backing_format[16];
};

int qcow2_write_be64(struct qcow2 *q, u64 offset, u64 v)
{
	u8 raw[8];

	put_be64(raw, v);
	return blk_file_write(q->file, offset, raw, sizeof(raw));
}

int qcow2_corrupted(struct qcow2 *q, const char *what, u64 offset)
{
	if (q->corrupt)
		return -EIO;
	q->corrupt = true;
	log_error(
		"disk %s: corrupt: %s at %llu is not right: nothing is written any more; qemu-img check -r all "
		"may mend it",
		q->file->path, what, (unsigned long long)offset);
	if (q->version >= 3 && !q->ro) {
		q->incompatible |= QCOW2_CORRUPT;
		if (qcow2_write_be64(q, QCOW2_AT_INCOMPATIBLE, q->incompatible) || blk_file_sync(q->file))
			log_debug(q->b->log, "disk %s: could not be marked as corrupt", q->file->path);
	}
	return -EIO;
}

int qcow2_begin_write(struct qcow2 *q)
{
	int err;

	if (!q->autoclear)
		return 0;
	err = qcow2_write_be64(q, QCOW2_AT_AUTOCLEAR, 0);
	if (!err)
		err = blk_file_sync(q->file);
	if (!err)
		q->autoclear = 0;
	return err;
}

int qcow2_begin_change(struct qcow2 *q)
{
	int err = qcow2_begin_write(q);

	if (err || q->dirty)
		return err;
	if (q->version >= 3) {
		err = qcow2_write_be64(q, QCOW2_AT_INCOMPATIBLE, q->incompatible | QCOW2_DIRTY);
		if (!err)
			err = blk_file_sync(q->file);
		if (err)
			return err;
		q->incompatible |= QCOW2_DIRTY;
	}
	q->dirty = true;
	return 0;
}

/* --- the header ------------------------------------------------------------------------------------------
 */

static int refuse(struct qcow2 *q, const char *why)
{
	log_error("disk %s: %s", q->file->path, why);
	return -EINVAL;
}

static int check_features(struct qcow2 *q, const struct block_config *cfg)
{
	u64 known = QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_COMPRESSION;

	if (q->incompatible & QCOW2_EXTERNAL)
		return refuse(q, "keeps its data in another file (external data file), which lkvm cannot do");
	if (q->incompatible & QCOW2_EXTENDED_L2)
		return refuse(q,
			      "has extended L2 entries, which lkvm cannot do: qemu-img convert makes a copy "
			      "without");
	if (q->incompatible & ~known) {
		log_error("disk %s: needs features that this lkvm does not know (incompatible bits 0x%llx)",
			  q->file->path, (unsigned long long)(q->incompatible & ~known));
		return -EOPNOTSUPP;
	}
	if (!!(q->incompatible & QCOW2_COMPRESSION) != !!q->compression)
		return refuse(q, "its header contradicts itself about the compression");
	if (!qcow2_can_inflate(q->compression)) {
		log_error("disk %s: its clusters are compressed with %s, which this lkvm was built without",
			  q->file->path, q->compression == 1 ? "zstd" : "something unknown");
		return -EOPNOTSUPP;
	}
	if ((q->incompatible & QCOW2_CORRUPT) && !cfg->ro)
		return refuse(
			q,
			"is marked as corrupt: qemu-img check -r all may mend it; \"ro\" reads it as it is");
	return 0;
}

static int parse_extensions(struct qcow2 *q, struct header *h)
{
	u64 at = h->length, end = h->backing_offset ? min_u64(h->backing_offset, h->len) : h->len;

	while (at + 8 <= end) {
		u32 type = get_be32(h->raw + at), len = get_be32(h->raw + at + 4);

		at += 8;
		if (!type)
			return 0;
		if (len > end - at)
			return refuse(q, "a header extension is longer than the header");
		if (type == EXT_BACKING) {
			size_t n = len < sizeof(h->backing_format) ? len : sizeof(h->backing_format) - 1;

			memcpy(h->backing_format, h->raw + at, n);
			h->backing_format[n] = 0;
		}
		if (type == EXT_BITMAPS)
			q->has_bitmaps = true;
		at += align_up(len, 8);
	}
	return 0;
}

static int parse_v3(struct qcow2 *q, struct header *h)
{
	h->length = QCOW2_HEADER_V2;
	q->refcount_order = 4;
	if (q->version == 2)
		return 0;
	q->incompatible = get_be64(h->raw + QCOW2_AT_INCOMPATIBLE);
	q->autoclear = get_be64(h->raw + QCOW2_AT_AUTOCLEAR);
	q->refcount_order = get_be32(h->raw + 96);
	h->length = get_be32(h->raw + 100);
	if (h->length < QCOW2_HEADER_V3 || h->length > h->len || h->length % 8)
		return refuse(q, "its header has an impossible length");
	if (q->refcount_order > 6)
		return refuse(q, "its refcounts have an impossible width");
	if (h->length > 104)
		q->compression = h->raw[104];
	return 0;
}

static int parse_header(struct qcow2 *q, struct header *h, const struct block_config *cfg)
{
	const u8 *raw = h->raw;
	u64 size = get_be64(raw + QCOW2_AT_SIZE);
	int err;

	if (memcmp(raw, qcow2_magic, sizeof(qcow2_magic)))
		return refuse(q, "is no qcow2 image: give format=raw if it is raw");
	q->version = get_be32(raw + 4);
	h->backing_offset = get_be64(raw + 8);
	h->backing_size = get_be32(raw + 16);
	q->cluster_bits = get_be32(raw + 20);
	h->l1_size = get_be32(raw + QCOW2_AT_L1);
	q->l1_offset = get_be64(raw + QCOW2_AT_L1 + 4);
	q->rt_offset = get_be64(raw + QCOW2_AT_REFTABLE);
	h->rt_clusters = get_be32(raw + QCOW2_AT_REFTABLE + 8);
	q->nr_snapshots = get_be32(raw + 60);
	q->snapshots_offset = get_be64(raw + 64);
	if (q->version != 2 && q->version != 3) {
		log_error("disk %s: is qcow2 of version %u: lkvm knows 2 and 3", q->file->path, q->version);
		return -EOPNOTSUPP;
	}
	if (q->cluster_bits < CLUSTER_MIN || q->cluster_bits > CLUSTER_MAX)
		return refuse(q, "its clusters have an impossible size");
	q->cluster_size = 1ull << q->cluster_bits;
	h->len = min_u64(h->len, q->cluster_size);
	err = parse_v3(q, h);
	if (!err)
		err = check_features(q, cfg);
	if (err)
		return err;
	if (get_be32(raw + 32))
		return refuse(q, "is encrypted, which lkvm cannot do");
	if (!size || size > INT64_MAX - q->cluster_size || size % BLOCK_SECTOR)
		return refuse(q, "its size is 0, too large, or not a multiple of 512");
	if (h->backing_size > BACKING_MAX ||
	    (h->backing_offset && !range_inside(h->backing_offset, h->backing_size, 0, h->len)))
		return refuse(q, "the name of its backing file lies outside of the header");
	if (q->file->direct && q->cluster_size < q->file->align)
		return refuse(q, "its clusters are smaller than a block of the disk: leave \"direct\" out");
	q->b->size = size;
	return parse_extensions(q, h);
}

/* --- tables ----------------------------------------------------------------------------------------------
 */

static int too_short(struct qcow2 *q, const char *what, u64 offset)
{
	log_error("disk %s: is shorter than its metadata says: %s at %llu: was it copied in full?",
		  q->file->path, what, (unsigned long long)offset);
	return -EIO;
}

/* A table of `len` bytes. */
static int check_place(struct qcow2 *q, const char *what, u64 offset, u64 len)
{
	u64 end = align_up(q->file->size, q->cluster_size);

	if (!offset || (offset & (q->cluster_size - 1)))
		return refuse(q, "a table lies across clusters: its header is damaged");
	return range_inside(offset, len, 0, end) && offset < q->file->size ? 0 : too_short(q, what, offset);
}

static int known_meta(struct qcow2 *q, u64 offset, u64 len, const char *what)
{
	for (u64 at = offset; at < offset + len; at += q->cluster_size) {
		int err = qset_add(&q->meta, at >> q->cluster_bits);

		if (err == -EEXIST) {
			log_error(
				"disk %s: corrupt: %s at %llu overlaps other metadata: qemu-img check -r all may "
				"mend it",
				q->file->path, what, (unsigned long long)at);
			return -EIO;
		}
		if (err)
			return err;
	}
	return 0;
}

/* Reads a table of 8-byte entries, and knows where it and what its entries lead to are. */
static int read_table(struct qcow2 *q, u64 offset, u64 nr, u64 mask, const char *names[2], u64 **out)
{
	u64 *table = calloc(nr ? nr : 1, sizeof(u64));
	int err = table ? check_place(q, names[0], offset, nr * 8) : -ENOMEM;

	*out = table;
	if (!err)
		err = known_meta(q, offset, nr * 8, names[0]);
	if (!err)
		err = blk_file_read(q->file, offset, table, nr * 8);
	for (u64 i = 0; i < nr && !err; i++) {
		u64 to;

		/* Reserved bits are no part of a place. */
		table[i] = get_be64(&table[i]) & (mask | QCOW2_COPIED);
		to = table[i] & mask;
		if (!to)
			continue;
		err = check_place(q, names[1], to, q->cluster_size);
		if (!err)
			err = known_meta(q, to, q->cluster_size, names[1]);
	}
	return err;
}

static int read_tables(struct qcow2 *q, const struct header *h)
{
	static const char *l1_names[] = {"the L1 table", "an L2 table"};
	static const char *rt_names[] = {"the refcount table", "a refcount block"};
	u64 rt_bytes = (u64)h->rt_clusters << q->cluster_bits, per_l2 = q->cluster_size * qcow2_l2_entries(q);
	int err;

	if (h->l1_size > QCOW2_L1_MAX / 8 || (q->b->size + per_l2 - 1) / per_l2 > h->l1_size)
		return refuse(q, "its L1 table is too large, or too small for its size");
	if (!rt_bytes || rt_bytes > QCOW2_REFTABLE_MAX)
		return refuse(q, "its refcount table is empty or too large");
	q->l1_size = h->l1_size;
	q->rt_size = (u32)(rt_bytes / 8);
	err = read_table(q, q->rt_offset, q->rt_size, ~511ull, rt_names, &q->rt);
	if (!err)
		err = read_table(q, q->l1_offset, q->l1_size, QCOW2_OFFSET_MASK, l1_names, &q->l1);
	return err;
}

/* Where the last cluster in use ends, as the refcounts have it. */
static int find_used_end(struct qcow2 *q)
{
	u64 per = q->cluster_size * 8 >> q->refcount_order;

	q->used_end = q->cluster_size;
	for (u64 i = q->rt_size; i--;) {
		if (!q->rt[i])
			continue;
		for (u64 c = (i + 1) * per; c-- > i * per;) {
			u64 count;
			int err = qcow2_ref_get(q, c, &count);

			if (err)
				return err;
			if (!count)
				continue;
			q->used_end = (c + 1) << q->cluster_bits;
			return 0;
		}
	}
	return 0;
}

/* --- backing files ---------------------------------------------------------------------------------------
 */

static bool inside_dir(const char *dir, const char *file)
{
	char *real_dir = realpath(dir, NULL), *real = realpath(file, NULL);
	size_t len = real_dir ? strlen(real_dir) : 0;
	/* What is not there is reported when it is to be opened. */
	bool inside = !real || (real_dir && !strncmp(real, real_dir, len) && (real[len] == '/' || len == 1));

	free(real_dir);
	free(real);
	return inside;
}

static int open_backing(struct qcow2 *q, const struct header *h, const struct block_config *cfg)
{
	char name[BACKING_MAX + 1], path[PATH_MAX], *copy;
	const char *dir, *format = *h->backing_format ? h->backing_format : NULL;
	u8 magic[sizeof(qcow2_magic)];
	int err = 0;

	if (!h->backing_offset || !h->backing_size)
		return 0;
	memcpy(name, h->raw + h->backing_offset, h->backing_size);
	name[h->backing_size] = 0;
	copy = strdup(cfg->path);
	if (!copy)
		return -ENOMEM;
	dir = dirname(copy);
	if (snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : dir, name[0] == '/' ? "" : "/",
		     name) >= (int)sizeof(path))
		err = refuse(q, "the name of its backing file is too long");
	if (!err && !cfg->backing_anywhere && !inside_dir(dir, path)) {
		log_error(
			"disk %s: its backing file %s is outside of its directory: give backing=any if that is "
			"meant to be",
			cfg->path, path);
		err = -EPERM;
	}
	free(copy);
	if (!err)
		err = blk_open_backing(q->b, path, format ? format : "raw", cfg);
	if (err || format)
		return err;
	/* A guest may have written the magic into what was raw when it was its disk. */
	err = blk_file_read(&q->b->backing->file, 0, magic, sizeof(magic));
	if (err) {
		log_error("disk %s: cannot be read: %s", path, strerror(-err));
	} else if (!memcmp(magic, qcow2_magic, sizeof(magic))) {
		log_error("disk %s: says no format for its backing file %s, which looks like qcow2: "
			  "qemu-img rebase -u -b %s -F qcow2 (or raw) %s",
			  cfg->path, path, name, cfg->path);
		err = -EINVAL;
	}
	return err;
}

/* --- opening and closing ---------------------------------------------------------------------------------
 */

static int load(struct qcow2 *q, const struct block_config *cfg)
{
	struct header h = {.len = min_u64(q->file->size, 1ull << CLUSTER_MAX)};
	int err;

	if (h.len < QCOW2_HEADER_V3 + 8)
		return too_short(q, "the header", 0);
	h.raw = malloc(h.len);
	err = h.raw ? blk_file_read(q->file, 0, h.raw, h.len) : -ENOMEM;
	if (!err)
		err = parse_header(q, &h, cfg);
	if (!err)
		err = qcache_init(&q->l2, q->cluster_size, CACHE_BYTES);
	if (!err)
		err = qcache_init(&q->rb, q->cluster_size, CACHE_RB);
	if (!err)
		err = read_tables(q, &h);
	if (!err)
		err = open_backing(q, &h, cfg);
	free(h.raw);
	return err;
}

/* What a crash left behind is put right, and what the file is too short for found. */
static int check(struct qcow2 *q)
{
	bool repair = !q->ro && (q->incompatible & QCOW2_DIRTY);
	int err = 0;

	if (repair)
		log_info(q->b->log, "disk %s: was not closed properly: setting its refcounts right",
			 q->file->path);
	q->used_end = align_up(q->file->size, q->cluster_size);
	q->dirty = repair;
	if (repair)
		err = qcow2_check(q, true);
	if (!err)
		err = find_used_end(q);
	/* Clusters behind the end may be in use by their refcounts alone, after a crash. */
	if (!err && q->used_end >= q->file->size + q->cluster_size)
		err = qcow2_check(q, false);
	return err;
}

static int qcow2_open(struct block *b, const struct block_config *cfg)
{
	struct qcow2 *q = calloc(1, sizeof(*q));
	int err;

	if (!q) {
		log_error("disk %s: out of memory", cfg->path);
		return -ENOMEM;
	}
	b->priv = q;
	q->b = b;
	q->file = &b->file;
	q->ro = cfg->ro;
	q->hint = 1;
	list_init(&q->allocs);
	pthread_mutex_init(&q->flush_lock, NULL);
	pthread_mutex_init(&q->lock, NULL);
	pthread_mutex_init(&q->inflated_lock, NULL);
	pthread_cond_init(&q->alloc_done, NULL);
	err = load(q, cfg);
	if (!err) {
		q->opened_size = b->file.size;
		q->zero_from = b->file.device ? ~0ull : align_up(b->file.size, q->cluster_size);
		err = check(q);
	}
	if (err == -ENOMEM)
		log_error("disk %s: out of memory", cfg->path);
	b->block_size = b->file.block_size;
	b->discard_size = (u32)q->cluster_size;
	b->can_discard = true;
	q->opened = !err;
	return err;
}

static int finish(struct qcow2 *q)
{
	int err = qcow2_flush(q);

	if (!err)
		err = blk_file_sync(q->file);
	if (!err && q->version >= 3) {
		q->incompatible &= ~QCOW2_DIRTY;
		err = qcow2_write_be64(q, QCOW2_AT_INCOMPATIBLE, q->incompatible);
		if (!err)
			err = blk_file_sync(q->file);
	}
	/* What it was made larger ahead of need. */
	if (!err && !q->file->device && q->used_end < q->file->size && q->used_end >= q->opened_size)
		err = blk_file_truncate(q->file, q->used_end);
	return err;
}

static void qcow2_close(struct block *b)
{
	struct qcow2 *q = b->priv;
	int err;

	if (!q)
		return;
	if (q->opened && !q->ro && q->dirty && !q->corrupt) {
		err = finish(q);
		if (err && !b->file.lost)
			log_error("disk %s: what was written last may be lost: %s", b->file.path,
				  strerror(-err));
	}
	qcache_free(&q->l2);
	qcache_free(&q->rb);
	free(q->meta.slot);
	free(q->l1);
	free(q->rt);
	free(q->pending[0].extent);
	free(q->pending[1].extent);
	free(q->inflated);
	pthread_cond_destroy(&q->alloc_done);
	pthread_mutex_destroy(&q->inflated_lock);
	pthread_mutex_destroy(&q->lock);
	pthread_mutex_destroy(&q->flush_lock);
	free(q);
	b->priv = NULL;
}

/* --- growing ---------------------------------------------------------------------------------------------
 */

/* A larger L1 table, in another place. With q->lock held. */
static int l1_grow(struct qcow2 *q, u64 entries)
{
	u64 bytes = align_up(entries * 8, q->cluster_size), offset, *l1;
	u32 size = (u32)(bytes / 8);
	u8 *raw, where[12];
	int err;

	if (bytes > QCOW2_L1_MAX)
		return -EFBIG;
	l1 = calloc(size, sizeof(*l1));
	raw = calloc(1, bytes);
	err = l1 && raw ? qcow2_write_back(q) : -ENOMEM;
	if (!err)
		err = qcow2_alloc_meta(q, bytes >> q->cluster_bits, &offset);
	if (!err) {
		memcpy(l1, q->l1, (size_t)q->l1_size * sizeof(*l1));
		for (u32 i = 0; i < q->l1_size; i++)
			put_be64(raw + 8ull * i, l1[i]);
		err = blk_file_write(q->file, offset, raw, bytes);
	}
	if (!err)
		err = blk_file_sync(q->file);
	if (!err) {
		put_be32(where, size);
		put_be64(where + 4, offset);
		err = blk_file_write(q->file, QCOW2_AT_L1, where, sizeof(where));
	}
	free(raw);
	if (err) {
		free(l1);
		return err;
	}
	qcow2_free_meta(q, q->l1_offset, align_up((u64)q->l1_size * 8, q->cluster_size));
	free(q->l1);
	q->l1 = l1;
	q->l1_size = size;
	q->l1_offset = offset;
	return 0;
}

static int qcow2_resize(struct block *b, u64 size, const char **why)
{
	struct qcow2 *q = b->priv;
	u64 per_l2 = q->cluster_size * qcow2_l2_entries(q), old = b->size, need;
	struct block_req zero = {.op = BLOCK_ZEROES, .may_unmap = true, .offset = old};
	int err = 0;

	if (!size || size == old)
		return 0;
	*why = size < old	      ? "only grows"
	       : size > INT64_MAX / 2 ? "cannot become that large"
	       : q->nr_snapshots      ? "has snapshots, and cannot be resized with them"
				      : NULL;
	if (*why)
		return -EINVAL;
	need = (size + per_l2 - 1) / per_l2;
	pthread_mutex_lock(&q->lock);
	if (q->corrupt)
		err = -EIO;
	if (!err)
		err = qcow2_begin_change(q);
	if (!err && need > q->l1_size)
		err = l1_grow(q, need);
	pthread_mutex_unlock(&q->lock);
	/* What the backing file has there was no part of the disk, and does not become one. */
	if (!err && b->backing && b->backing->size > old) {
		zero.len = min_u64(size, align_up(b->backing->size, BLOCK_SECTOR)) - old;
		err = qcow2_run(b, &zero);
	}
	if (!err)
		err = qcow2_flush(q);
	if (!err)
		err = qcow2_write_be64(q, QCOW2_AT_SIZE, size);
	if (!err)
		err = blk_file_sync(q->file);
	if (err)
		*why = err == -EFBIG ? "cannot become that large" : *why;
	else
		b->size = size;
	return err;
}

const struct block_ops blk_qcow2_ops = {
	.name = "qcow2",
	.open = qcow2_open,
	.close = qcow2_close,
	.map = qcow2_map_fast,
	.unmap = qcow2_unmap,
	.run = qcow2_run,
	.resize = qcow2_resize,
};

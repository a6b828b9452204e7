/* SPDX-License-Identifier: MIT */
/*
 * qcow2 images, versions 2 and 3, after the specification that QEMU publishes (docs/interop/qcow2.txt). What
 * the files host/qcow2-*.c share:
 *
 *	qcow2-open.c	the header: what is taken and what is refused; growing an image
 *	qcow2-table.c	L2 tables and refcount blocks in memory; the set of all metadata's clusters
 *	qcow2-ref.c	refcounts: allocating and freeing clusters
 *	qcow2-map.c	from guest offsets to what is there; the order in which metadata reaches the disk
 *	qcow2-io.c	requests
 *	qcow2-check.c	walks all of an image, and sets refcounts right
 *	qcow2-deflate.c	compressed clusters
 *
 * Nothing in the file is trusted. Offsets are looked at when a table is read, and a guest's write never goes
 * to a cluster that is known to hold metadata, the header above all.
 *
 * Threads: q->lock guards everything below it. The fast path (map) only tries to take it, and I/O on data is
 * done without it. Pool threads allocate: clusters that are being filled are on q->allocs, and who wants to
 * change the same ones waits for that.
 *
 * Order on the disk: refcounts of new clusters are written at once. L2 and L1 entries stay in memory until a
 * flush, which writes them only when data and refcounts are on the disk, L2 tables before the L1 entries that
 * lead to them. A cluster's refcount goes down only when no entry on the disk leads there any more and no
 * request that may still use it is in flight (epochs). So an lkvm that is killed at any moment leaves leaked
 * clusters at worst; those the dirty bit, set while an image of version 3 is being changed, has us free when
 * it is opened next.
 */
#ifndef HOST_QCOW2_H
#define HOST_QCOW2_H

#include "blk.h"
#include <lkvm/endian.h>

#define QCOW2_L1_MAX	   MiB(32) /* bytes of an L1 table; the limits are QEMU's */
#define QCOW2_REFTABLE_MAX MiB(8)
#define QCOW2_OFFSET_MASK  0x00fffffffffffe00ull
#define QCOW2_COPIED	   (1ull << 63)
#define QCOW2_COMPRESSED   (1ull << 62)
#define QCOW2_ZERO	   1ull
#define QCOW2_DIRTY	   1ull
#define QCOW2_CORRUPT	   2ull
#define QCOW2_EXTERNAL	   4ull
#define QCOW2_COMPRESSION  8ull
#define QCOW2_EXTENDED_L2  16ull
#define QCOW2_PENDING_MAX  65536

enum {
	QCOW2_AT_SIZE = 24,
	QCOW2_AT_L1 = 36, /* l1_size, l1_table_offset */
	QCOW2_AT_REFTABLE = 48,
	QCOW2_AT_INCOMPATIBLE = 72,
	QCOW2_AT_AUTOCLEAR = 88,
	QCOW2_HEADER_V2 = 72,
	QCOW2_HEADER_V3 = 104,
};

/* One cluster of metadata in memory, as in the file. */
struct qtable {
	u64 offset; /* 0: none */
	u64 used;
	u32 dirty_from, dirty_to; /* bytes; equal: clean */
	u8 *data;
};

struct qcache {
	struct qtable *table;
	u32 nr; /* a multiple of QCACHE_WAYS */
	u32 nr_dirty;
	u64 clock;
};
#define QCACHE_WAYS 4u

/* A set of cluster numbers (not 0): open addressing. */
struct qset {
	u64 *slot;
	size_t nr, room; /* room: a power of two */
};

struct qextent {
	u64 offset, len;
};

/* Clusters whose refcounts are to go down. */
struct qpending {
	struct qextent *extent;
	u32 nr, room;
	u32 staged; /* the first so many: no entry on the disk leads there once the flush at hand is done */
};

/* Clusters that a request is filling: guest cluster numbers. */
struct qalloc {
	u64 first, nr;
	struct list link;
};

struct qcow2 {
	struct block *b;
	struct blk_file *file;
	/* Constant. */
	u32 version, cluster_bits, refcount_order;
	u64 cluster_size;
	u32 nr_snapshots;
	u64 snapshots_offset;
	u8 compression;
	bool has_bitmaps, ro, opened;
	u64 opened_size; /* of the file */

	pthread_mutex_t flush_lock; /* one flush at a time; taken before `lock` */
	pthread_mutex_t lock;
	pthread_cond_t alloc_done;
	struct list allocs;
	u64 incompatible, autoclear;
	bool corrupt, dirty;
	u64 l1_offset, *l1; /* entries in the host's byte order */
	u32 l1_size, l1_dirty_from, l1_dirty_to;
	u64 rt_offset, *rt;
	u32 rt_size; /* entries */
	struct qcache l2, rb;
	struct qset meta;
	u64 hint;      /* cluster at which to look for a free one */
	u64 zero_from; /* file offset behind which nobody has ever written */
	u64 used_end;  /* behind the last cluster given out or found in use */
	u32 epoch;
	struct qpending pending[2]; /* of the epoch and of the one before */
	_Atomic u32 inflight[2], nr_pending;

	/* The compressed cluster that was read last. */
	pthread_mutex_t inflated_lock;
	u64 inflated_entry;
	u8 *inflated;
};

/* What the bytes at a guest offset are. */
enum qkind { QK_NONE, QK_ZERO, QK_PLAIN, QK_COMPRESSED, QK_ALLOC };
struct qrun {
	enum qkind kind;
	u64 host; /* QK_PLAIN: of the first byte; QK_ALLOC: of the first new cluster; QK_COMPRESSED: the entry
		   */
	u64 len;
	/* QK_ALLOC */
	struct qalloc alloc;
	u64 old_first, old_last; /* entries of the first and the last cluster */
	bool fresh;		 /* the new clusters are holes */
};

static inline u64 qcow2_l2_entries(const struct qcow2 *q)
{
	return q->cluster_size / sizeof(u64);
}

/* --- qcow2-open.c --------------------------------------------------------------------------------------- */

/* Says so once, and marks the image as corrupt if it can be written. -EIO. With q->lock held, or at open. */
int qcow2_corrupted(struct qcow2 *q, const char *what, u64 offset);
/*
 * Before the first write of any kind: what of the image we do not know, and do not keep right, is forgotten
 * on the disk (autoclear bits; one is that dirty bitmaps are right).
 */
int __must_check qcow2_begin_write(struct qcow2 *q);
/* Before the first change of metadata: the dirty bit is there besides. */
int __must_check qcow2_begin_change(struct qcow2 *q);
int __must_check qcow2_write_be64(struct qcow2 *q, u64 offset, u64 v);

/* --- qcow2-table.c: with q->lock held --------------------------------------------------------------------
 */

int __must_check qcache_init(struct qcache *c, u64 cluster_size, u64 bytes);
void qcache_free(struct qcache *c);
/* The table if it is in memory, else NULL. */
struct qtable *qcache_peek(struct qcow2 *q, struct qcache *c, u64 offset);
/* From the file, if need be; good until the next qcache_get() of the same cache. */
int __must_check qcache_get(struct qcow2 *q, struct qcache *c, u64 offset, struct qtable **out);
/* A place for a table that is new: zeroes, clean. */
int __must_check qcache_new(struct qcow2 *q, struct qcache *c, u64 offset, struct qtable **out);
void qtable_dirty(struct qcache *c, struct qtable *t, u32 from, u32 len);
int __must_check qcache_write_dirty(struct qcow2 *q, struct qcache *c);
void qcache_forget(struct qcache *c, u64 offset, u64 cluster_size);

int __must_check qset_add(struct qset *s, u64 cluster); /* -EEXIST when it is in it */
bool qset_has(const struct qset *s, u64 cluster);
void qset_del(struct qset *s, u64 cluster);

/* --- qcow2-ref.c: with q->lock held -----------------------------------------------------------------------
 */

int __must_check qcow2_ref_get(struct qcow2 *q, u64 cluster, u64 *count);
/* Of `nr` clusters in a row; written to the file at once. Makes refcount blocks as they are needed. */
int __must_check qcow2_ref_set(struct qcow2 *q, u64 cluster, u64 nr, u64 count);
/* Makes the block that counts `cluster`, behind all that is in use, if there is none. When an image is
 * opened. */
int __must_check qcow2_ref_cover(struct qcow2 *q, u64 cluster);
/* Up to `nr` free clusters in a row: *got of them, from file offset *offset on; refcount 1. */
int __must_check qcow2_alloc(struct qcow2 *q, u64 nr, u64 *offset, u64 *got);
/* Exactly `nr`, for metadata that needs them in a row; known as metadata from then on. */
int __must_check qcow2_alloc_meta(struct qcow2 *q, u64 nr, u64 *offset);
/* Clusters that were never led to: free at once. */
void qcow2_unalloc(struct qcow2 *q, u64 offset, u64 nr);
/* Down with their refcounts, once that is safe. */
void qcow2_free_later(struct qcow2 *q, u64 offset, u64 len);
/* The same for what was metadata, and is none any more. */
void qcow2_free_meta(struct qcow2 *q, u64 offset, u64 len);
/* Of what an L2 entry leads to. */
void qcow2_free_entry(struct qcow2 *q, u64 entry);
/* L2 and L1 entries are in the file: what was freed by now may go when they are on the disk. */
void qcow2_stage_free(struct qcow2 *q);
/* They are: frees what was staged and no request in flight can know of. */
void qcow2_release(struct qcow2 *q);

/* --- qcow2-map.c: with q->lock held -----------------------------------------------------------------------
 */

enum qkind qcow2_kind(const struct qcow2 *q, u64 entry);
int __must_check qcow2_entry_valid(struct qcow2 *q, u64 entry);
/* What the up to `len` bytes at `offset` are for a reader. */
int __must_check qcow2_map_read(struct qcow2 *q, u64 offset, u64 len, struct qrun *run);
/* The same for a writer, of what is in place and not shared; -ENOENT: it is not. */
int __must_check qcow2_map_own(struct qcow2 *q, u64 offset, u64 len, struct qrun *run);
/*
 * Where the up to `len` bytes at `offset` are to be written: QK_PLAIN, or QK_ALLOC for clusters that are new;
 * then qcow2_map_done() has to follow. May wait, with the lock given up meanwhile.
 */
int __must_check qcow2_map_write(struct qcow2 *q, u64 offset, u64 len, struct qrun *run);
int __must_check qcow2_map_done(struct qcow2 *q, struct qrun *run, bool written);
/* Whole clusters become zeroes, or go: up to `nr` from `first` on, *done of them. May wait. */
int __must_check qcow2_map_zero(struct qcow2 *q, u64 first, u64 nr, bool unmap, bool discard, u64 *done);
/* Dirty L2 and L1 entries go to the file in their order. What they lead to goes to the disk before. */
int __must_check qcow2_write_back(struct qcow2 *q);

/* --- the rest ---------------------------------------------------------------------------------------------
 */

/* qcow2-io.c */
bool qcow2_map_fast(struct block *b, struct block_req *req);
void qcow2_unmap(struct block *b, struct block_req *req);
int qcow2_run(struct block *b, struct block_req *req);
int __must_check qcow2_flush(struct qcow2 *q);

/* qcow2-check.c: at open, before there are requests. 0, or -errno after one logged line. */
int __must_check qcow2_check(struct qcow2 *q, bool repair);

/* qcow2-deflate.c: a part of a compressed cluster. Without q->lock. */
int __must_check qcow2_inflate(struct qcow2 *q, u64 entry, u64 offset, void *buf, u64 len);
/* The file's bytes that an entry's compressed data lies in, whole sectors of 512. */
struct qextent qcow2_compressed_extent(const struct qcow2 *q, u64 entry);
bool qcow2_can_inflate(u8 compression);

#endif

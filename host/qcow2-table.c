/* SPDX-License-Identifier: MIT */
/*
 * Metadata in memory: a cache of clusters that hold L2 tables or refcount blocks, as they are in the file,
 * bounded, with four places for each; and the set of all clusters that are known to hold metadata. All with
 * q->lock held.
 */
#include "qcow2.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- the cache -------------------------------------------------------------------------------------------
 */

int qcache_init(struct qcache *c, u64 cluster_size, u64 bytes)
{
	u64 nr = bytes / cluster_size;

	nr = nr < 2 * QCACHE_WAYS ? 2 * QCACHE_WAYS : nr > 1024 ? 1024 : nr;
	c->nr = (u32)(nr - nr % QCACHE_WAYS);
	c->table = calloc(c->nr, sizeof(*c->table));
	return c->table ? 0 : -ENOMEM;
}

void qcache_free(struct qcache *c)
{
	for (u32 i = 0; c->table && i < c->nr; i++)
		free(c->table[i].data);
	free(c->table);
	c->table = NULL;
}

static struct qtable *set_of(struct qcow2 *q, struct qcache *c, u64 offset)
{
	return &c->table[(offset >> q->cluster_bits) % (c->nr / QCACHE_WAYS) * QCACHE_WAYS];
}

struct qtable *qcache_peek(struct qcow2 *q, struct qcache *c, u64 offset)
{
	struct qtable *set = set_of(q, c, offset);

	for (u32 i = 0; i < QCACHE_WAYS; i++)
		if (set[i].offset == offset) {
			set[i].used = ++c->clock;
			return &set[i];
		}
	return NULL;
}

/* A free place of the set, by putting out the table that was not used for longest. */
static int place(struct qcow2 *q, struct qcache *c, u64 offset, struct qtable **out)
{
	struct qtable *set = set_of(q, c, offset), *t = set;
	int err;

	for (u32 i = 1; i < QCACHE_WAYS; i++)
		if (set[i].used < t->used)
			t = &set[i];
	if (t->dirty_from != t->dirty_to) {
		err = qcow2_write_back(q);
		if (err)
			return err;
	}
	t->offset = 0;
	t->used = 0;
	if (!t->data && posix_memalign((void **)&t->data, 4096, q->cluster_size)) {
		t->data = NULL;
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

static int l2_valid(struct qcow2 *q, const struct qtable *t, u64 offset)
{
	for (u64 i = 0; i < qcow2_l2_entries(q); i++)
		if (qcow2_entry_valid(q, get_be64(t->data + 8 * i)))
			return qcow2_corrupted(q, "an entry of the L2 table", offset);
	return 0;
}

int qcache_get(struct qcow2 *q, struct qcache *c, u64 offset, struct qtable **out)
{
	int err;

	*out = qcache_peek(q, c, offset);
	if (*out)
		return 0;
	err = place(q, c, offset, out);
	if (!err)
		err = blk_file_read(q->file, offset, (*out)->data, q->cluster_size);
	if (!err && c == &q->l2)
		err = l2_valid(q, *out, offset);
	if (err)
		return err;
	(*out)->offset = offset;
	(*out)->used = ++c->clock;
	return 0;
}

int qcache_new(struct qcow2 *q, struct qcache *c, u64 offset, struct qtable **out)
{
	int err;

	qcache_forget(c, offset, q->cluster_size);
	err = place(q, c, offset, out);
	if (err)
		return err;
	memset((*out)->data, 0, q->cluster_size);
	(*out)->offset = offset;
	(*out)->used = ++c->clock;
	return 0;
}

void qtable_dirty(struct qcache *c, struct qtable *t, u32 from, u32 len)
{
	if (t->dirty_from == t->dirty_to) {
		t->dirty_from = from;
		t->dirty_to = from + len;
		c->nr_dirty++;
		return;
	}
	if (from < t->dirty_from)
		t->dirty_from = from;
	if (from + len > t->dirty_to)
		t->dirty_to = from + len;
}

int qcache_write_dirty(struct qcow2 *q, struct qcache *c)
{
	for (u32 i = 0; i < c->nr && c->nr_dirty; i++) {
		struct qtable *t = &c->table[i];
		int err;

		if (t->dirty_from == t->dirty_to)
			continue;
		err = blk_file_write(q->file, t->offset + t->dirty_from, t->data + t->dirty_from,
				     t->dirty_to - t->dirty_from);
		if (err)
			return err;
		t->dirty_from = t->dirty_to = 0;
		c->nr_dirty--;
	}
	return 0;
}

void qcache_forget(struct qcache *c, u64 offset, u64 cluster_size)
{
	for (u32 i = 0; i < c->nr; i++) {
		struct qtable *t = &c->table[i];

		if (t->offset != offset)
			continue;
		if (t->dirty_from != t->dirty_to)
			c->nr_dirty--;
		t->offset = t->used = 0;
		t->dirty_from = t->dirty_to = 0;
	}
}

/* --- the set ---------------------------------------------------------------------------------------------
 */

static size_t home(const struct qset *s, u64 cluster)
{
	return (size_t)(cluster * 0x9e3779b97f4a7c15ull >> 32) & (s->room - 1);
}

static size_t find(const struct qset *s, u64 cluster)
{
	size_t i = home(s, cluster);

	while (s->slot[i] && s->slot[i] != cluster)
		i = (i + 1) & (s->room - 1);
	return i;
}

bool qset_has(const struct qset *s, u64 cluster)
{
	return s->nr && s->slot[find(s, cluster)] == cluster;
}

static int grow(struct qset *s)
{
	struct qset more = {.room = s->room ? s->room * 2 : 64, .nr = s->nr};

	more.slot = calloc(more.room, sizeof(*more.slot));
	if (!more.slot)
		return -ENOMEM;
	for (size_t i = 0; i < s->room; i++)
		if (s->slot[i])
			more.slot[find(&more, s->slot[i])] = s->slot[i];
	free(s->slot);
	*s = more;
	return 0;
}

int qset_add(struct qset *s, u64 cluster)
{
	size_t i;
	int err = s->nr * 2 >= s->room ? grow(s) : 0;

	if (err)
		return err;
	i = find(s, cluster);
	if (s->slot[i])
		return -EEXIST;
	s->slot[i] = cluster;
	s->nr++;
	return 0;
}

void qset_del(struct qset *s, u64 cluster)
{
	size_t gap, i;

	if (!qset_has(s, cluster))
		return;
	gap = find(s, cluster);
	/* What stands behind the gap and would be looked for before it moves up. */
	for (i = (gap + 1) & (s->room - 1); s->slot[i]; i = (i + 1) & (s->room - 1)) {
		size_t want = home(s, s->slot[i]);

		if (((i - want) & (s->room - 1)) >= ((i - gap) & (s->room - 1))) {
			s->slot[gap] = s->slot[i];
			gap = i;
		}
	}
	s->slot[gap] = 0;
	s->nr--;
}

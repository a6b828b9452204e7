/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing disks: which format an image has, its chain of backing files, its threads. Main thread;
 * block_resize() from any.
 */
#include "blk.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHAIN_MAX 64

static const struct block_ops *const formats[] = {&blk_raw_ops, &blk_qcow2_ops};

static int find_format(struct block *b, const struct block_config *cfg)
{
	u8 magic[sizeof(qcow2_magic)];
	int err;

	for (size_t i = 0; cfg->format && i < ARRAY_SIZE(formats); i++)
		if (!strcmp(cfg->format, formats[i]->name))
			b->ops = formats[i];
	if (cfg->format && !b->ops) {
		log_error("disk %s: format %s: lkvm knows raw and qcow2", cfg->path, cfg->format);
		return -EINVAL;
	}
	if (b->ops)
		return 0;
	err = blk_file_read(&b->file, 0, magic, sizeof(magic));
	if (err) {
		log_error("disk %s: cannot be read: %s", cfg->path, strerror(-err));
		return err;
	}
	b->ops = memcmp(magic, qcow2_magic, sizeof(magic)) ? &blk_raw_ops : &blk_qcow2_ops;
	b->guard_magic = b->ops == &blk_raw_ops;
	log_info(b->log, "disk %s: no format was given: taking it for %s", cfg->path, b->ops->name);
	return 0;
}

/* One image, without a pool. */
static int open_image(const struct block_config *cfg, struct block **out)
{
	struct block *b = calloc(1, sizeof(*b));
	int err;

	if (!b) {
		log_error("disk %s: out of memory", cfg->path);
		return -ENOMEM;
	}
	*out = b;
	b->log = cfg->log;
	b->ro = cfg->ro;
	b->direct = cfg->direct;
	b->engine = cfg->engine;
	b->engine_name = "none";
	pthread_mutex_init(&b->lock, NULL);
	err = blk_file_open(&b->file, cfg->path, cfg->ro, cfg->direct, cfg->log);
	if (!err)
		err = find_format(b, cfg);
	return err ? err : b->ops->open(b, cfg);
}

static void close_image(struct block *b)
{
	while (b) {
		struct block *backing = b->backing;

		if (b->ops)
			b->ops->close(b);
		blk_file_close(&b->file);
		pthread_mutex_destroy(&b->lock);
		free(b);
		b = backing;
	}
}

int block_open(const struct block_config *cfg, struct block **out)
{
	struct block *b = NULL;
	int err = open_image(cfg, &b);

	if (!err) {
		err = blk_pool_create(b, &b->pool);
		if (err)
			log_error("disk %s: its threads: %s", cfg->path, strerror(-err));
	}
	if (err)
		block_close(b);
	else
		*out = b;
	return err;
}

void block_close(struct block *b)
{
	if (!b)
		return;
	blk_pool_destroy(b->pool);
	close_image(b);
}

int blk_open_backing(struct block *parent, const char *path, const char *format,
		     const struct block_config *cfg)
{
	struct block_config back = {
		.path = path,
		.format = format,
		.ro = true,
		.direct = cfg->direct,
		.backing_anywhere = cfg->backing_anywhere,
		.backing_of = cfg,
		.log = cfg->log,
	};
	struct stat st, up;
	u32 depth = 1;

	for (const struct block_config *c = cfg; c; c = c->backing_of, depth++) {
		if (depth > CHAIN_MAX) {
			log_error("disk %s: more than %d images behind each other", path, CHAIN_MAX);
			return -ELOOP;
		}
		if (!stat(path, &st) && !stat(c->path, &up) && st.st_dev == up.st_dev &&
		    st.st_ino == up.st_ino) {
			log_error("disk %s: its backing file %s is itself, or has it as a backing file: the "
				  "chain is a loop",
				  cfg->path, path);
			return -ELOOP;
		}
	}
	return open_image(&back, &parent->backing);
}

int blk_read_sync(struct block *b, u64 offset, void *buf, u64 len)
{
	struct iovec one = {buf, (size_t)len};
	struct block_req req = {.op = BLOCK_READ, .offset = offset, .iov = &one, .nr_iov = 1};
	u64 size = b->size;

	req.len = offset < size ? min_u64(len, size - offset) : 0;
	one.iov_len = (size_t)req.len;
	memset((char *)buf + req.len, 0, (size_t)(len - req.len));
	return req.len ? b->ops->run(b, &req) : 0;
}

void block_get_info(const struct block *b, struct block_info *info)
{
	*info = (struct block_info){
		.path = b->file.path,
		.format = b->ops->name,
		.engine = b->engine_name,
		.size = b->size,
		.block_size = b->block_size,
		.physical_size = b->file.physical_size,
		.discard_size = b->discard_size,
		.ro = b->ro,
		.can_discard = b->can_discard && !b->ro,
	};
}

bool block_lost(const struct block *b)
{
	return b->file.lost;
}

int block_resize(struct block *b, u64 size, const char **why)
{
	int err;

	*why = NULL;
	if (size % b->block_size) {
		*why = "the size is not a multiple of the disk's block size";
		return -EINVAL;
	}
	if (size && b->ro) {
		*why = "is read-only";
		return -EROFS;
	}
	pthread_mutex_lock(&b->lock);
	err = b->ops->resize(b, size, why);
	pthread_mutex_unlock(&b->lock);
	if (err && !*why)
		*why = strerror(-err);
	return err;
}

/* SPDX-License-Identifier: MIT */
/*
 * Raw images: the disk is the file, or the host's block device, as it is.
 *
 * When nobody said that an image is raw and it was only found to have no magic of another format, a guest
 * that writes such a magic at its start would have it taken for something else at the next start, and could
 * name backing files of its choice. So then a write that would leave qcow2's magic there fails; it is looked
 * at in a copy, for the guest's memory may change meanwhile.
 */
#include "blk.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const u8 qcow2_magic[4] = {'Q', 'F', 'I', 0xfb};

static int raw_open(struct block *b, const struct block_config *cfg)
{
	u64 size = b->file.size, unit = b->file.block_size;

	/* Of a backing file all is wanted, and who reads it asks for no blocks. */
	if (cfg->backing_of)
		unit = 1;
	if (size % unit)
		log_warn(b->log,
			 "disk %s: its size is not a multiple of %llu: the last %llu bytes are left out",
			 b->file.path, (unsigned long long)unit, (unsigned long long)(size % unit));
	b->size = size - size % unit;
	b->block_size = b->file.block_size;
	b->discard_size = b->file.discard_size;
	b->can_discard = true;
	return 0;
}

static void raw_close(struct block *b)
{
	/* It says itself what is wrong. */
	if (!b->ro && b->file.fd >= 0 && blk_file_sync(&b->file))
		log_debug(b->log, "disk %s: closed with a loss", b->file.path);
}

static bool guarded(const struct block *b, const struct block_req *req)
{
	return b->guard_magic && req->op == BLOCK_WRITE && req->offset < sizeof(qcow2_magic);
}

static bool raw_map(struct block *b, struct block_req *req)
{
	req->file_offset = req->offset;
	return !guarded(b, req);
}

static int write_guarded(struct block *b, struct block_req *req)
{
	struct iov_at at = {req->iov, req->nr_iov, 0};
	u8 *copy = malloc(b->block_size);
	int err;

	if (!copy)
		return -ENOMEM;
	iov_copy_from(&at, copy, b->block_size);
	if (!memcmp(copy, qcow2_magic, sizeof(qcow2_magic))) {
		pthread_mutex_lock(&b->lock);
		if (ratelimit_ok(&b->rl))
			log_error(
				"disk %s: the guest may not make it a qcow2 image: give format=raw if it is to",
				b->file.path);
		pthread_mutex_unlock(&b->lock);
		err = -EPERM;
	} else {
		err = blk_file_write(&b->file, req->offset, copy, b->block_size);
		if (!err)
			err = blk_file_at(&b->file, req->offset + b->block_size, &at,
					  req->len - b->block_size, true);
	}
	free(copy);
	return err;
}

static int raw_run(struct block *b, struct block_req *req)
{
	switch (req->op) {
	case BLOCK_READ:
		return blk_file_readv(&b->file, req->offset, req->iov, req->nr_iov, req->len);
	case BLOCK_WRITE:
		if (guarded(b, req))
			return write_guarded(b, req);
		return blk_file_writev(&b->file, req->offset, req->iov, req->nr_iov, req->len);
	case BLOCK_FLUSH:
		return blk_file_sync(&b->file);
	case BLOCK_DISCARD:
		blk_file_discard(&b->file, req->offset, req->len);
		return 0;
	case BLOCK_ZEROES:
		return blk_file_zero(&b->file, req->offset, req->len, req->may_unmap);
	}
	return -EOPNOTSUPP;
}

static int raw_resize(struct block *b, u64 size, const char **why)
{
	int err = blk_file_measure(&b->file);

	if (err)
		return err;
	if (size && size != b->file.size) {
		*why = b->file.device	     ? "is a block device: resize that, and then leave the size out"
		       : size < b->file.size ? "only grows"
					     : NULL;
		if (*why)
			return -EINVAL;
		err = blk_file_truncate(&b->file, size);
		if (err)
			return err;
	}
	b->size = b->file.size - b->file.size % b->block_size;
	return 0;
}

const struct block_ops blk_raw_ops = {
	.name = "raw",
	.open = raw_open,
	.close = raw_close,
	.map = raw_map,
	.run = raw_run,
	.resize = raw_resize,
};

/* SPDX-License-Identifier: MIT */
/*
 * A queue: one thread's way to a disk. What the format maps to plain bytes of its file goes to io_uring, in
 * batches; all else, and everything where there is no io_uring, to the disk's pool, whose threads put what
 * they have done on q->done. The queue's thread alone touches the rest. See block.h.
 */
#include "blk.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int block_queue_open(struct block *b, u32 depth, struct block_queue **out)
{
	struct block_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->b = b;
	list_init(&q->staged);
	list_init(&q->local);
	list_init(&q->done);
	pthread_mutex_init(&q->lock, NULL);
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0) {
		int err = -errno;

		block_queue_close(q);
		return err;
	}
	if (b->engine != BLOCK_THREADS)
		q->ring = blk_uring_open(q->fd, depth);
	b->engine_name = q->ring ? "io_uring" : "threads";
	*out = q;
	return 0;
}

void block_queue_close(struct block_queue *q)
{
	if (!q)
		return;
	assert(!q->inflight);
	blk_uring_close(q->ring);
	if (q->fd >= 0)
		close(q->fd);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

int block_queue_fd(const struct block_queue *q)
{
	return q->fd;
}

/* done() is never called from here: whoever submits may hold what it takes. */
static void finish_later(struct block_queue *q, struct block_req *req, int err)
{
	req->err = err;
	list_add_tail(&q->local, &req->link);
	q->nr_local++;
}

static bool req_valid(const struct block *b, const struct block_req *req)
{
	u64 mask = b->block_size - 1, sum = 0;

	if (req->op == BLOCK_FLUSH)
		return true;
	if (!range_inside(req->offset, req->len, 0, b->size) || ((req->offset | req->len) & mask))
		return false;
	if (req->op == BLOCK_READ || req->op == BLOCK_WRITE) {
		for (u32 i = 0; i < req->nr_iov; i++)
			if (add_overflow(sum, req->iov[i].iov_len, &sum))
				return false;
		return sum == req->len;
	}
	return true;
}

static void submit_rw(struct block_queue *q, struct block_req *req)
{
	struct block *b = q->b;

	if (q->ring && req->nr_iov <= BLK_IOV_MAX && b->ops->map(b, req)) {
		if (blk_file_fits(&b->file, req->file_offset, req->iov, req->nr_iov) &&
		    blk_uring_stage(q->ring, b->file.fd, req))
			return;
		if (b->ops->unmap)
			b->ops->unmap(b, req);
	}
	list_add_tail(&q->staged, &req->link);
}

void block_submit(struct block_queue *q, struct block_req *req)
{
	struct block *b = q->b;

	req->queue = q;
	list_init(&req->link);
	q->inflight++;
	if (!req_valid(b, req))
		finish_later(q, req, -EINVAL);
	else if (b->ro && req->op != BLOCK_READ && req->op != BLOCK_FLUSH)
		finish_later(q, req, -EROFS);
	else if (!req->len && req->op != BLOCK_FLUSH)
		finish_later(q, req, 0);
	else if (req->op == BLOCK_FLUSH && b->ro)
		finish_later(q, req, 0);
	else if (req->op == BLOCK_READ || req->op == BLOCK_WRITE)
		submit_rw(q, req);
	else
		list_add_tail(&q->staged, &req->link);
}

/* What is staged in the ring goes to the kernel; where that will have none of it, to the pool. */
static void kick_ring(struct block_queue *q)
{
	struct block *b = q->b;
	struct list back;
	int err = blk_uring_kick(q->ring, &back);

	q->refused = err > 0;
	if (err >= 0)
		return;
	log_warn(b->log, "disk %s: io_uring: %s: goes on with threads", b->file.path, strerror(-err));
	while (!list_empty(&back)) {
		struct block_req *req = list_entry(back.next, struct block_req, link);

		list_del(&req->link);
		if (b->ops->unmap)
			b->ops->unmap(b, req);
		list_add_tail(&q->staged, &req->link);
	}
	blk_uring_close(q->ring);
	q->ring = NULL;
	b->engine_name = "threads";
}

void block_kick(struct block_queue *q)
{
	u64 one = 1;

	if (q->ring)
		kick_ring(q);
	if (!list_empty(&q->staged))
		blk_pool_add(q->b->pool, &q->staged);
	if (q->nr_local && write(q->fd, &one, sizeof(one)) < 0)
		log_debug(q->b->log, "disk %s: eventfd: %m", q->b->file.path);
}

/* What io_uring did of it. True when it is done; else the pool has the rest. */
static bool ring_result(struct block_queue *q, struct block_req *req, int res)
{
	struct block *b = q->b;

	if (b->ops->unmap)
		b->ops->unmap(b, req);
	if (res >= 0 && (u64)res == req->len) {
		req->err = 0;
		return true;
	}
	/* Short, or of a kind the ring does not do: once more, from the start, and with all the care. */
	if (res >= 0 || res == -EINTR || res == -EAGAIN || res == -EOPNOTSUPP || res == -ECANCELED) {
		list_add_tail(&q->staged, &req->link);
		return false;
	}
	req->err = res;
	return true;
}

static void finish(struct block_queue *q, struct block_req *req)
{
	q->inflight--;
	req->done(req, req->err);
}

static u32 finish_list(struct block_queue *q, struct list *head)
{
	u32 n = 0;

	while (!list_empty(head)) {
		struct block_req *req = list_entry(head->next, struct block_req, link);

		list_del(&req->link);
		finish(q, req);
		n++;
	}
	return n;
}

u32 block_poll(struct block_queue *q)
{
	struct block_req *req;
	struct list done;
	u32 n = 0;
	int res;

	/* As many as there are now, or requests that are answered at once would keep us here. */
	list_move(&q->local, &done);
	q->nr_local = 0;
	n += finish_list(q, &done);
	for (u32 left = q->inflight; q->ring && left && (req = blk_uring_reap(q->ring, &res)); left--) {
		if (ring_result(q, req, res)) {
			finish(q, req);
			n++;
		}
	}
	pthread_mutex_lock(&q->lock);
	list_move(&q->done, &done);
	pthread_mutex_unlock(&q->lock);
	n += finish_list(q, &done);
	if (!list_empty(&q->staged) || q->refused)
		block_kick(q);
	return n;
}

void block_drain(struct block_queue *q)
{
	while (q->inflight) {
		struct pollfd pfd = {.fd = q->fd, .events = POLLIN};
		u64 count;

		block_kick(q);
		if (block_poll(q))
			continue;
		/* The event first, then another look, then the wait: what comes between them wakes us. */
		if (read(q->fd, &count, sizeof(count)) < 0 && errno == EAGAIN && !block_poll(q))
			poll(&pfd, 1, -1);
	}
}

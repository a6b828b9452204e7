/* SPDX-License-Identifier: MIT */
/*
 * io_uring for a queue's reads and writes: staged without a system call, handed over by one, with an eventfd
 * for completions. On the queue's thread alone. Where the kernel has no io_uring, or a filter forbids it, or
 * lkvm was built without liburing, blk_uring_open() gives NULL and the pool does the work.
 */
#include "blk.h"
#include <errno.h>
#include <stdlib.h>

#if LKVM_HAVE_LIBURING
#include <liburing.h>

struct ring {
	struct io_uring uring;
	struct list staged;
	u32 in_kernel; /* taken by the kernel and not reaped */
};

void *blk_uring_open(int event_fd, u32 depth)
{
	struct ring *r = calloc(1, sizeof(*r));
	u32 entries = 1;

	if (!r)
		return NULL;
	list_init(&r->staged);
	while (entries < depth)
		entries *= 2;
	if (io_uring_queue_init(entries, &r->uring, IORING_SETUP_CLAMP)) {
		free(r);
		return NULL;
	}
	/* What is complete when it is handed over needs no event: the queue looks then anyway. */
	if (io_uring_register_eventfd(&r->uring, event_fd)) {
		io_uring_queue_exit(&r->uring);
		free(r);
		return NULL;
	}
	return r;
}

void blk_uring_close(void *ring)
{
	struct ring *r = ring;

	if (!r)
		return;
	io_uring_queue_exit(&r->uring);
	free(r);
}

bool blk_uring_stage(void *ring, int fd, struct block_req *req)
{
	struct ring *r = ring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);

	if (!sqe)
		return false;
	if (req->op == BLOCK_READ)
		io_uring_prep_readv(sqe, fd, req->iov, req->nr_iov, req->file_offset);
	else
		io_uring_prep_writev(sqe, fd, req->iov, req->nr_iov, req->file_offset);
	io_uring_sqe_set_data(sqe, req);
	list_add_tail(&r->staged, &req->link);
	return true;
}

int blk_uring_kick(void *ring, struct list *back)
{
	struct ring *r = ring;
	int n = 0;

	while (!list_empty(&r->staged)) {
		n = io_uring_submit(&r->uring);
		if (n <= 0 && n != -EINTR)
			break;
		/* It takes them in their order. */
		for (; n > 0 && !list_empty(&r->staged); n--) {
			list_del(r->staged.next);
			r->in_kernel++;
		}
	}
	if (list_empty(&r->staged))
		return 0;
	if (r->in_kernel)
		return 1;
	list_move(&r->staged, back);
	return n ? n : -EIO;
}

struct block_req *blk_uring_reap(void *ring, int *res)
{
	struct ring *r = ring;
	struct io_uring_cqe *cqe;
	struct block_req *req;

	if (io_uring_peek_cqe(&r->uring, &cqe) || !cqe)
		return NULL;
	req = io_uring_cqe_get_data(cqe);
	*res = cqe->res;
	io_uring_cqe_seen(&r->uring, cqe);
	r->in_kernel--;
	return req;
}

#else

void *blk_uring_open(int event_fd, u32 depth)
{
	return NULL;
}

void blk_uring_close(void *ring)
{
}

bool blk_uring_stage(void *ring, int fd, struct block_req *req)
{
	return false;
}

int blk_uring_kick(void *ring, struct list *back)
{
	return 0;
}

struct block_req *blk_uring_reap(void *ring, int *res)
{
	return NULL;
}

#endif

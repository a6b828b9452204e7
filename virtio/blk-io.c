/* SPDX-License-Identifier: MIT */
/*
 * What a disk's queues do (virtio 1.2, 5.2.6): requests of any framing become requests to the image, and
 * their ends answers. One function, queue_work(), is all of it, whether the driver notified or the disk has
 * finished something: take what is done, pop what is there, hand that over at once, and tell the driver once.
 *
 * On the queue's worker, with vq->lock held, which so guards the block_queue and all requests as well: a
 * reset drains on its own thread by taking the lock.
 */
#include "blk.h"
#include <endian.h>
#include <errno.h>
#include <lkvm/kvm.h>
#include <string.h>
#include <unistd.h>

/* ---- requests --------------------------------------------------------------------------------- */

static void answer(struct blk_request *r, u8 status)
{
	struct blk_queue *q = r->queue;

	*r->status = status;
	vq_push(q->vq, &r->chain, r->chain.in_len);
	r->next = q->free;
	q->free = r;
}

static const char *op_name(const struct blk_request *r)
{
	static const char *const name[] = {"read", "write", "flush", "discard", "zeroes"};

	return name[r->req.op];
}

/* Another start at it once the VM is resumed. True: it was kept. */
static bool hold(struct blk_request *r, int err)
{
	struct virtio_blk *blk = r->queue->blk;
	u64 one = 1;

	if (!blk->stop_on_error || (err != -ENOSPC && err != -EDQUOT && err != -EIO))
		return false;
	/* What the host has lost no other try brings back. */
	if (block_lost(blk->block))
		return false;
	r->next = r->queue->held;
	r->queue->held = r;
	if (!atomic_exchange(&blk->stopped, true)) {
		struct block_info info;

		block_get_info(blk->block, &info);
		log_error("disk %s: %s: %s: the VM is paused: mend that, then lkvm resume -n %s", info.path,
			  op_name(r), strerror(-err), blk->vdev.dev.kvm->cfg->name);
		if (write(blk->stop.fd, &one, sizeof(one)) < 0)
			return true;
	}
	return true;
}

static void report(struct blk_request *r, int err)
{
	struct virtio_blk *blk = r->queue->blk;
	struct block_info info;
	bool say;

	r->queue->count[BLK_ERRORS]++;
	/* The guest's own mistakes are its own, and of a flush that cannot succeed the image has said it. */
	if (err == -EINVAL || err == -EROFS || err == -EPERM ||
	    (r->req.op == BLOCK_FLUSH && block_lost(blk->block)))
		return;
	pthread_mutex_lock(&blk->lock);
	say = ratelimit_ok(&blk->rl);
	pthread_mutex_unlock(&blk->lock);
	block_get_info(blk->block, &info);
	if (say)
		log_warn(blk->vdev.dev.kvm->log, "disk %s: %s: %s: the guest was told", info.path, op_name(r),
			 strerror(-err));
}

static bool write_through(struct virtio_device *vdev)
{
	bool on;

	if (!virtio_has(vdev, VIRTIO_BLK_F_CONFIG_WCE))
		return !virtio_has(vdev, VIRTIO_BLK_F_FLUSH);
	pthread_mutex_lock(&vdev->isr_lock);
	on = !vdev->config[offsetof(struct virtio_blk_config, wce)];
	pthread_mutex_unlock(&vdev->isr_lock);
	return on;
}

static void on_done(struct block_req *req, int err)
{
	struct blk_request *r = container_of(req, struct blk_request, req);
	struct blk_queue *q = r->queue;

	if (!err && (req->op == BLOCK_WRITE || req->op == BLOCK_ZEROES) && write_through(&q->blk->vdev)) {
		req->op = BLOCK_FLUSH;
		block_submit(q->bq, req);
		return;
	}
	if (err && hold(r, err))
		return;
	if (err)
		report(r, err);
	answer(r, err ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
}

/* Takes `len` bytes off the front, or the back, of the pieces; they are that long. */
static void iov_skip(struct iovec **iov, u32 *n, size_t len)
{
	while (*n && len >= (*iov)->iov_len) {
		len -= (*iov)->iov_len;
		++*iov;
		--*n;
	}
	if (len) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + len;
		(*iov)->iov_len -= len;
	}
}

static void submit(struct blk_request *r, enum block_op op, u64 sector, u64 len, struct iovec *iov, u32 n)
{
	r->req.op = op;
	r->req.len = len;
	r->req.iov = iov;
	r->req.nr_iov = n;
	r->req.done = on_done;
	/* What does not fit is beyond any disk's end, and fails there. */
	if (mul_overflow(sector, BLOCK_SECTOR, &r->req.offset))
		r->req.offset = ~0ull - (BLOCK_SECTOR - 1);
	block_submit(r->queue->bq, &r->req);
}

/* Data goes into the guest's memory, all of the writable part but the status. */
static void begin_read(struct blk_request *r, u64 sector)
{
	struct vq_chain *c = &r->chain;
	struct blk_queue *q = r->queue;
	u32 n = c->nr_in;

	if (!--c->iov[c->nr_out + n - 1].iov_len)
		n--;
	q->count[BLK_READS]++;
	q->bytes[0] += c->in_len - 1;
	submit(r, BLOCK_READ, sector, c->in_len - 1, c->iov + c->nr_out, n);
}

static void begin_write(struct blk_request *r, u64 sector)
{
	struct vq_chain *c = &r->chain;
	struct blk_queue *q = r->queue;
	struct iovec *iov = c->iov;
	u32 n = c->nr_out;

	iov_skip(&iov, &n, sizeof(struct virtio_blk_outhdr));
	q->count[BLK_WRITES]++;
	q->bytes[1] += c->out_len - sizeof(struct virtio_blk_outhdr);
	submit(r, BLOCK_WRITE, sector, c->out_len - sizeof(struct virtio_blk_outhdr), iov, n);
}

/* One range a request, as configuration space says. */
static void begin_range(struct blk_request *r, u32 type)
{
	bool zeroes = type == VIRTIO_BLK_T_WRITE_ZEROES;
	struct virtio_blk_discard_write_zeroes range;
	u32 sectors, flags;

	if (!virtio_has(&r->queue->blk->vdev, zeroes ? VIRTIO_BLK_F_WRITE_ZEROES : VIRTIO_BLK_F_DISCARD)) {
		answer(r, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	if (r->chain.out_len != sizeof(struct virtio_blk_outhdr) + sizeof(range)) {
		answer(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	chain_read(&r->chain, sizeof(struct virtio_blk_outhdr), &range, sizeof(range));
	sectors = le32toh(range.num_sectors);
	flags = le32toh(range.flags);
	/* Unmap is for zeroes alone, and there is no other flag (5.2.6.2). */
	if (flags & ~(zeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0)) {
		answer(r, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	if (sectors > BLK_RANGE_MAX) {
		answer(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	r->queue->count[zeroes ? BLK_ZERO : BLK_DISCARDS]++;
	r->req.may_unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	submit(r, zeroes ? BLOCK_ZEROES : BLOCK_DISCARD, le64toh(range.sector), (u64)sectors * BLOCK_SECTOR,
	       NULL, 0);
}

/* False: there is no place for an answer. */
static bool begin(struct blk_request *r)
{
	struct vq_chain *c = &r->chain;
	struct virtio_blk_outhdr hdr;
	struct iovec *last;
	u32 type;

	if (!c->in_len || chain_read(c, 0, &hdr, sizeof(hdr)) != sizeof(hdr))
		return false;
	/* Pieces are never empty. */
	last = &c->iov[c->nr_out + c->nr_in - 1];
	r->status = (u8 *)last->iov_base + last->iov_len - 1;
	type = le32toh(hdr.type);
	switch (type) {
	/* Data in the wrong direction is none that could be meant. */
	case VIRTIO_BLK_T_IN:
		if (c->out_len == sizeof(hdr))
			begin_read(r, le64toh(hdr.sector));
		else
			answer(r, VIRTIO_BLK_S_IOERR);
		break;
	case VIRTIO_BLK_T_OUT:
		if (c->in_len == 1)
			begin_write(r, le64toh(hdr.sector));
		else
			answer(r, VIRTIO_BLK_S_IOERR);
		break;
	case VIRTIO_BLK_T_FLUSH:
		r->queue->count[BLK_FLUSHES]++;
		submit(r, BLOCK_FLUSH, 0, 0, NULL, 0);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		begin_range(r, type);
		break;
	case VIRTIO_BLK_T_GET_ID:
		/* The status, which is the last byte, is written behind it. */
		chain_write(c, 0, r->queue->blk->serial, BLK_SERIAL);
		answer(r, c->in_len > BLK_SERIAL ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
		break;
	default:
		answer(r, VIRTIO_BLK_S_UNSUPP);
	}
	return true;
}

/* ---- a queue's work --------------------------------------------------------------------------- */

static struct blk_request *take(struct blk_request **head)
{
	struct blk_request *r = *head;

	if (r)
		*head = r->next;
	return r;
}

static void try_held(struct blk_queue *q)
{
	struct blk_request *r, *again = q->held;

	q->held = NULL;
	while ((r = take(&again)))
		block_submit(q->bq, &r->req);
}

/* Pops until the ring is empty or `left` is used up. 0; 1: more may be there; -EPROTO. */
static int pop_all(struct blk_queue *q, u32 left)
{
	struct blk_request *r;
	int n = 0;

	while (left && (r = q->free)) {
		r->chain = (struct vq_chain){.iov = r->iov, .room = BLK_PIECES};
		n = vq_pop(q->vq, &r->chain);
		if (n <= 0)
			return n;
		take(&q->free);
		left--;
		if (!begin(r)) {
			r->next = q->free;
			q->free = r;
			return -EPROTO;
		}
	}
	return 1;
}

/* vq->lock held. */
static void queue_work(struct blk_queue *q)
{
	struct virtqueue *vq = q->vq;
	int n;

	if (q->held && !atomic_load(&q->blk->stopped))
		try_held(q);
	do {
		vq_quiet(vq);
		block_poll(q->bq);
		n = pop_all(q, BLK_QUEUE_SIZE);
		block_kick(q->bq);
		/* What the page cache has is there already. */
		block_poll(q->bq);
		vq_flush(vq);
	} while (n == 0 && vq_listen(vq));
	if (n == -EPROTO) {
		vq->broken = true;
		virtio_needs_reset(&q->blk->vdev, "a request that is none");
	} else if (n > 0) {
		virtio_queue_again(vq);
	}
}

void blk_notify(struct virtio_device *vdev, struct virtqueue *vq)
{
	queue_work(&blk_of(vdev)->queue[vq->index]);
}

void blk_on_disk(struct event_source *src, u32 events)
{
	struct blk_queue *q = src->arg;

	pthread_mutex_lock(&q->vq->lock);
	/* Also of a queue that is being drained: pops give nothing then. */
	queue_work(q);
	pthread_mutex_unlock(&q->vq->lock);
}

void blk_drain(struct virtio_device *vdev, struct virtqueue *vq)
{
	struct blk_queue *q = &blk_of(vdev)->queue[vq->index];
	struct blk_request *r;

	pthread_mutex_lock(&vq->lock);
	block_drain(q->bq);
	while ((r = take(&q->held)))
		answer(r, VIRTIO_BLK_S_IOERR);
	vq_flush(vq);
	pthread_mutex_unlock(&vq->lock);
}

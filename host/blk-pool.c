/* SPDX-License-Identifier: MIT */
/*
 * The threads of a disk that may wait: for allocation in a qcow2 image, for fdatasync(2) and fallocate(2),
 * and for reads and writes where there is no io_uring. All of a disk's queues share them; they come as they
 * are needed and stay until the disk is closed.
 */
#include "blk.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#define THREADS_MAX 16
#define STACK_SIZE  KiB(512)

struct blk_pool {
	struct block *b;
	pthread_mutex_t lock;
	pthread_cond_t work;
	/* All below under lock. */
	struct list jobs;
	u32 nr_jobs, nr_busy, nr_threads;
	bool stop;
	pthread_t thread[THREADS_MAX];
};

static void give_back(struct block_req *req)
{
	struct block_queue *q = req->queue;
	u64 one = 1;
	bool first;

	pthread_mutex_lock(&q->lock);
	first = list_empty(&q->done);
	list_add_tail(&q->done, &req->link);
	/* With the lock held: once it is free, the queue may be gone. */
	if (first && write(q->fd, &one, sizeof(one)) < 0)
		log_debug(q->b->log, "disk %s: eventfd: %m", q->b->file.path);
	pthread_mutex_unlock(&q->lock);
}

static void *pool_main(void *arg)
{
	struct blk_pool *pool = arg;

	prctl(PR_SET_NAME, "disk-io");
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct block_req *req;

		while (list_empty(&pool->jobs) && !pool->stop)
			pthread_cond_wait(&pool->work, &pool->lock);
		if (list_empty(&pool->jobs))
			break;
		req = list_entry(pool->jobs.next, struct block_req, link);
		list_del(&req->link);
		pool->nr_jobs--;
		pool->nr_busy++;
		pthread_mutex_unlock(&pool->lock);
		req->err = pool->b->ops->run(pool->b, req);
		give_back(req);
		pthread_mutex_lock(&pool->lock);
		pool->nr_busy--;
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* With pool->lock held. */
static int thread_add(struct blk_pool *pool)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int err;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	err = -pthread_create(&pool->thread[pool->nr_threads], &attr, pool_main, pool);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (!err)
		pool->nr_threads++;
	return err;
}

/* The first thread is made at once, so that there is always one. */
int blk_pool_create(struct block *b, struct blk_pool **out)
{
	struct blk_pool *pool = calloc(1, sizeof(*pool));
	int err;

	if (!pool)
		return -ENOMEM;
	pool->b = b;
	list_init(&pool->jobs);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_mutex_lock(&pool->lock);
	err = thread_add(pool);
	pthread_mutex_unlock(&pool->lock);
	*out = pool;
	if (err) {
		blk_pool_destroy(pool);
		*out = NULL;
	}
	return err;
}

void blk_pool_destroy(struct blk_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (u32 i = 0; i < pool->nr_threads; i++)
		pthread_join(pool->thread[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void blk_pool_add(struct blk_pool *pool, struct list *reqs)
{
	pthread_mutex_lock(&pool->lock);
	while (!list_empty(reqs)) {
		struct list *link = reqs->next;

		list_del(link);
		list_add_tail(&pool->jobs, link);
		pool->nr_jobs++;
		pthread_cond_signal(&pool->work);
	}
	/* A failure leaves the work to those there are. */
	while (pool->nr_threads < pool->nr_jobs + pool->nr_busy && pool->nr_threads < THREADS_MAX)
		if (thread_add(pool))
			break;
	pthread_mutex_unlock(&pool->lock);
}

/* SPDX-License-Identifier: MIT */
/*
 * A thread with an event loop of its own, for a device whose queues are worth one. Sources are added after
 * worker_init() and before worker_start(), or by the worker's own callbacks.
 */
#ifndef LKVM_WORKER_H
#define LKVM_WORKER_H

#include <lkvm/event.h>
#include <pthread.h>

struct worker {
	struct event_loop loop;
	pthread_t thread;
	bool made, running;
	char name[16]; /* of the thread, as ps -L shows it */
};

/* The loop, without a thread yet. -errno, silent. Undone by worker_destroy(). */
int __must_check worker_init(struct worker *w, const char *name);
/* All signals are blocked in the thread. -errno, silent. */
int __must_check worker_start(struct worker *w);
/* Ends the loop and joins the thread; nothing of w's runs from then on. Nothing when it never started. */
void worker_stop(struct worker *w);
void worker_destroy(struct worker *w); /* after worker_stop(); also of one that is all zeroes */

#endif

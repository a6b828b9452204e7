/* SPDX-License-Identifier: MIT */
/*
 * The one epoll loop. Callbacks run on the main thread, one at a time, with no lock held. Sources are added
 * and removed on the main thread; event_modify() may be called from any.
 */
#ifndef LKVM_EVENT_H
#define LKVM_EVENT_H

#include <lkvm/list.h>
#include <lkvm/types.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

struct event_source;
typedef void (*event_fn)(struct event_source *src, u32 events);

/* Embedded in its owner; lives at least until event_del(). */
struct event_source {
	int fd; /* stays the owner's */
	event_fn fn;
	void *arg;
	bool added;
};

struct event_loop {
	int epfd;
	struct event_source *pending[16]; /* of the batch at hand; event_del() takes a source out */
	int nr_pending;
	u32 nr_sources; /* added now, the loop's own timerfd included; main thread */
	_Atomic bool stop;

	/*
	 * All timers share one timerfd, which is set to the earliest deadline, or to one long gone when the
	 * loop is to stop.
	 */
	struct event_source timer_fd;
	pthread_mutex_t timer_lock; /* guards the timers and the timerfd's setting; taken last of all locks */
	struct list timers;	    /* those that are armed, in no order */
	u64 timer_next;		    /* what the timerfd is set to; 0: disarmed */
};

int __must_check event_init(struct event_loop *loop);
void event_destroy(struct event_loop *loop);
/* events: EPOLLIN, EPOLLOUT ... fd, fn and arg of src are filled in by the caller. 0 or -errno, silent. */
int __must_check event_add(struct event_loop *loop, struct event_source *src, u32 events);
int event_modify(struct event_loop *loop, struct event_source *src, u32 events);
void event_del(struct event_loop *loop, struct event_source *src);
/* Runs until event_stop(). */
int __must_check event_run(struct event_loop *loop);
/* From any thread (async-signal-safe too). */
void event_stop(struct event_loop *loop);

/* A one-shot or periodic timer on the loop (CLOCK_MONOTONIC). Costs no system call until it is set. */
struct event_timer {
	struct event_loop *loop; /* NULL: not initialised */
	void (*fn)(struct event_timer *timer);
	void *arg;
	/* Under loop->timer_lock. */
	struct list link; /* in loop->timers while armed */
	u64 deadline;	  /* 0: not armed */
	u64 period;
};
/* 0; it takes nothing that could fail. Main thread or the one that makes the owner. */
int __must_check event_timer_init(struct event_loop *loop, struct event_timer *timer,
				  void (*fn)(struct event_timer *), void *arg);
/* first_ns 0 disarms; period_ns 0: once. Ticks that were missed come as one. Any thread. */
void event_timer_set(struct event_timer *timer, u64 first_ns, u64 period_ns);
/* Main thread; fn is not called any more. Nothing for a timer that was never initialised. */
void event_timer_destroy(struct event_loop *loop, struct event_timer *timer);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The epoll loop of the main thread. A callback may remove any source, its own included: sources of the batch
 * at hand are kept in `pending`, and event_del() takes its source out of there too.
 */
#include <errno.h>
#include <lkvm/event.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* On a 32-bit host too: the Makefile asks for it. */
_Static_assert(sizeof(time_t) == 8 && sizeof(off_t) == 8, "times end in 2038, files at 2 GiB");

int event_add(struct event_loop *loop, struct event_source *src, u32 events)
{
	struct epoll_event ev = {.events = events, .data.ptr = src};

	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, src->fd, &ev) < 0)
		return -errno;
	src->added = true;
	loop->nr_sources++;
	return 0;
}

int event_modify(struct event_loop *loop, struct event_source *src, u32 events)
{
	struct epoll_event ev = {.events = events, .data.ptr = src};

	return epoll_ctl(loop->epfd, EPOLL_CTL_MOD, src->fd, &ev) < 0 ? -errno : 0;
}

void event_del(struct event_loop *loop, struct event_source *src)
{
	if (!src->added)
		return;
	epoll_ctl(loop->epfd, EPOLL_CTL_DEL, src->fd, NULL);
	src->added = false;
	loop->nr_sources--;
	for (int i = 0; i < loop->nr_pending; i++)
		if (loop->pending[i] == src)
			loop->pending[i] = NULL;
}

int event_run(struct event_loop *loop)
{
	while (!loop->stop) {
		struct epoll_event ev[ARRAY_SIZE(loop->pending)];
		int n = epoll_wait(loop->epfd, ev, ARRAY_SIZE(ev), -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		loop->nr_pending = n < 0 ? 0 : n;
		for (int i = 0; i < loop->nr_pending; i++)
			loop->pending[i] = ev[i].data.ptr;
		for (int i = 0; i < loop->nr_pending && !loop->stop; i++) {
			struct event_source *src = loop->pending[i];

			if (src)
				src->fn(src, ev[i].events);
		}
		loop->nr_pending = 0;
	}
	return 0;
}

/* Has the timerfd expire at once. */
static void wake(struct event_loop *loop)
{
	const struct itimerspec past = {.it_value = {.tv_nsec = 1}};

	timerfd_settime(loop->timer_fd.fd, TFD_TIMER_ABSTIME, &past, NULL);
}

/* Without the lock, for a signal handler may call us: timers_arm() looks at `stop` after it has set the fd.
 */
void event_stop(struct event_loop *loop)
{
	atomic_store(&loop->stop, true);
	wake(loop);
}

/* ---- timers ----------------------------------------------------------------------------------- */

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
}

/* Sets the timerfd to the earliest deadline. With timer_lock held. */
static void timers_arm(struct event_loop *loop)
{
	struct itimerspec when = {.it_interval = {0}};
	struct event_timer *timer;
	u64 next = 0;

	list_for_each (timer, &loop->timers, link)
		if (!next || timer->deadline < next)
			next = timer->deadline;
	if (next == loop->timer_next)
		return;
	loop->timer_next = next;
	when.it_value.tv_sec = (time_t)(next / 1000000000);
	when.it_value.tv_nsec = (long)(next % 1000000000);
	timerfd_settime(loop->timer_fd.fd, TFD_TIMER_ABSTIME, &when, NULL);
	if (atomic_load(&loop->stop))
		wake(loop);
}

/* Takes the earliest timer that is due by `now`, and arms it for its next period. With timer_lock held. */
static struct event_timer *timer_due(struct event_loop *loop, u64 now)
{
	struct event_timer *timer, *due = NULL;

	list_for_each (timer, &loop->timers, link)
		if (timer->deadline <= now && (!due || timer->deadline < due->deadline))
			due = timer;
	if (!due)
		return NULL;
	if (due->period) {
		due->deadline += ((now - due->deadline) / due->period + 1) * due->period;
	} else {
		due->deadline = 0;
		list_del(&due->link);
	}
	return due;
}

static void on_timers(struct event_source *src, u32 events)
{
	struct event_loop *loop = src->arg;
	u64 ticks, now = now_ns();
	struct event_timer *timer;

	if (read(src->fd, &ticks, sizeof(ticks)) != sizeof(ticks))
		return;
	pthread_mutex_lock(&loop->timer_lock);
	loop->timer_next = 0;
	/* What a callback arms is due later than `now`, so this ends. */
	while ((timer = timer_due(loop, now))) {
		pthread_mutex_unlock(&loop->timer_lock);
		timer->fn(timer);
		pthread_mutex_lock(&loop->timer_lock);
	}
	timers_arm(loop);
	pthread_mutex_unlock(&loop->timer_lock);
}

static int timers_init(struct event_loop *loop)
{
	int err;

	loop->timer_fd = (struct event_source){.fn = on_timers, .arg = loop};
	loop->timer_fd.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->timer_fd.fd < 0)
		return -errno;
	err = event_add(loop, &loop->timer_fd, EPOLLIN);
	if (err) {
		close(loop->timer_fd.fd);
		loop->timer_fd.fd = -1;
	}
	return err;
}

int event_timer_init(struct event_loop *loop, struct event_timer *timer, void (*fn)(struct event_timer *),
		     void *arg)
{
	*timer = (struct event_timer){.loop = loop, .fn = fn, .arg = arg};
	list_init(&timer->link);
	return 0;
}

void event_timer_set(struct event_timer *timer, u64 first_ns, u64 period_ns)
{
	struct event_loop *loop = timer->loop;

	pthread_mutex_lock(&loop->timer_lock);
	if (timer->deadline)
		list_del(&timer->link);
	timer->deadline = 0;
	if (first_ns) {
		/* Centuries ahead is never: no sum may wrap. */
		timer->deadline = now_ns() + min_u64(first_ns, UINT64_MAX / 4);
		timer->period = period_ns;
		list_add_tail(&loop->timers, &timer->link);
	}
	timers_arm(loop);
	pthread_mutex_unlock(&loop->timer_lock);
}

void event_timer_destroy(struct event_loop *loop, struct event_timer *timer)
{
	if (!timer->loop)
		return;
	event_timer_set(timer, 0, 0);
	timer->loop = NULL;
}

/* ---- life ------------------------------------------------------------------------------------- */

int event_init(struct event_loop *loop)
{
	int err;

	memset(loop, 0, sizeof(*loop));
	list_init(&loop->timers);
	loop->timer_fd.fd = -1;
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0)
		return -errno;
	pthread_mutex_init(&loop->timer_lock, NULL);
	err = timers_init(loop);
	if (err)
		event_destroy(loop);
	return err;
}

void event_destroy(struct event_loop *loop)
{
	if (loop->epfd < 0)
		return;
	event_del(loop, &loop->timer_fd);
	if (loop->timer_fd.fd >= 0)
		close(loop->timer_fd.fd);
	close(loop->epfd);
	loop->epfd = loop->timer_fd.fd = -1;
	pthread_mutex_destroy(&loop->timer_lock);
}

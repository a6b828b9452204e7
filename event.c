/* SPDX-License-Identifier: MIT */
/*
 * The epoll loop of the main thread. A callback may remove any source, its own included: sources of the batch
 * at hand are kept in `pending`, and event_del() takes its source out of there too.
 */
#include <errno.h>
#include <lkvm/event.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void on_wake(struct event_source *src, u32 events)
{
	struct event_loop *loop = src->arg;

	/* Not read: once the loop is to stop, it stays stopped. */
	loop->stop = true;
}

int event_init(struct event_loop *loop)
{
	int err;

	memset(loop, 0, sizeof(*loop));
	list_init(&loop->sources);
	loop->wake_fd = -1;
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0)
		return -errno;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0) {
		err = -errno;
		event_destroy(loop);
		return err;
	}
	loop->wake = (struct event_source){.fd = loop->wake_fd, .fn = on_wake, .arg = loop};
	err = event_add(loop, &loop->wake, EPOLLIN);
	if (err)
		event_destroy(loop);
	return err;
}

void event_destroy(struct event_loop *loop)
{
	if (loop->wake.added)
		event_del(loop, &loop->wake);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	if (loop->epfd >= 0)
		close(loop->epfd);
	loop->wake_fd = loop->epfd = -1;
}

int event_add(struct event_loop *loop, struct event_source *src, u32 events)
{
	struct epoll_event ev = {.events = events, .data.ptr = src};

	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, src->fd, &ev) < 0)
		return -errno;
	list_add_tail(&loop->sources, &src->link);
	src->added = true;
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
	list_del(&src->link);
	src->added = false;
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

void event_stop(struct event_loop *loop)
{
	u64 one = 1;

	/* Cannot fail but by a full counter, which wakes the loop just as well. */
	if (write(loop->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static void on_timer(struct event_source *src, u32 events)
{
	struct event_timer *timer = src->arg;
	u64 ticks;

	if (read(src->fd, &ticks, sizeof(ticks)) == sizeof(ticks))
		timer->fn(timer);
}

int event_timer_init(struct event_loop *loop, struct event_timer *timer, void (*fn)(struct event_timer *),
		     void *arg)
{
	int err;

	timer->fn = fn;
	timer->arg = arg;
	timer->src = (struct event_source){.fn = on_timer, .arg = timer};
	timer->src.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer->src.fd < 0)
		return -errno;
	err = event_add(loop, &timer->src, EPOLLIN);
	if (err) {
		close(timer->src.fd);
		timer->src.fd = -1;
	}
	return err;
}

static struct timespec to_timespec(u64 ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
}

void event_timer_set(struct event_timer *timer, u64 first_ns, u64 period_ns)
{
	struct itimerspec when = {.it_value = to_timespec(first_ns), .it_interval = to_timespec(period_ns)};

	timerfd_settime(timer->src.fd, 0, &when, NULL);
}

void event_timer_destroy(struct event_loop *loop, struct event_timer *timer)
{
	if (!timer->src.added)
		return;
	event_del(loop, &timer->src);
	close(timer->src.fd);
	timer->src.fd = -1;
}

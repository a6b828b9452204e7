/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: epoll_create1 eventfd timerfd_create epoll_ctl */
/* TSAN */
/*
 * The epoll loop: sources that go while their batch is at hand, stops from anywhere, timers, and each system
 * call of its making that fails.
 */
#include <errno.h>
#include <lkvm/event.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MS	1000000ull
#define BOUND_S 60

/* ---- what fails ---------------------------------------------------------------------------------- */

static int calls_to_failure; /* 1: the next one; 0: none */

static bool fails(void)
{
	if (!calls_to_failure || --calls_to_failure)
		return false;
	errno = EMFILE;
	return true;
}

int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags)
{
	return fails() ? -1 : __real_epoll_create1(flags);
}

int __real_eventfd(unsigned int v, int flags);
int __wrap_eventfd(unsigned int v, int flags)
{
	return fails() ? -1 : __real_eventfd(v, flags);
}

int __real_timerfd_create(int clock, int flags);
int __wrap_timerfd_create(int clock, int flags)
{
	return fails() ? -1 : __real_timerfd_create(clock, flags);
}

int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	return op == EPOLL_CTL_ADD && fails() ? -1 : __real_epoll_ctl(epfd, op, fd, ev);
}

/* ---- a loop and some sources ------------------------------------------------------------------------ */

#define NR 20 /* more than one batch takes */

static struct {
	struct event_loop loop;
	struct event_source src[NR];
	u32 calls[NR], order[64], nr_calls;
	u32 stop_at;				       /* nr_calls that ends the loop */
	void (*then)(struct event_source *src, u32 i); /* what a callback does besides */
} bed;

static void on_source(struct event_source *src, u32 events)
{
	u32 i = (u32)(src - bed.src);
	u64 n;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(src->fd, &n, sizeof(n)), sizeof(n));
	bed.calls[i]++;
	bed.order[bed.nr_calls++ % 64] = i;
	if (bed.then)
		bed.then(src, i);
	if (bed.nr_calls == bed.stop_at)
		event_stop(&bed.loop);
}

static int setup(void **state)
{
	memset(&bed, 0, sizeof(bed));
	calls_to_failure = 0;
	alarm(BOUND_S);
	if (event_init(&bed.loop))
		return -1;
	for (u32 i = 0; i < NR; i++) {
		bed.src[i] = (struct event_source){.fd = eventfd(0, EFD_NONBLOCK), .fn = on_source};
		if (event_add(&bed.loop, &bed.src[i], EPOLLIN))
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	for (u32 i = 0; i < NR; i++) {
		event_del(&bed.loop, &bed.src[i]);
		close(bed.src[i].fd);
	}
	event_destroy(&bed.loop);
	alarm(0);
	return 0;
}

static void kick(u32 i)
{
	u64 one = 1;

	assert_int_equal(write(bed.src[i].fd, &one, sizeof(one)), sizeof(one));
}

static void run(u32 stop_at)
{
	bed.stop_at = stop_at;
	assert_int_equal(event_run(&bed.loop), 0);
}

/* ---- sources --------------------------------------------------------------------------------------------
 */

static void test_all_are_called(void **state)
{
	for (u32 i = 0; i < NR; i++)
		kick(i);
	run(NR);
	for (u32 i = 0; i < NR; i++)
		assert_int_equal(bed.calls[i], 1);
}

/* The first to be called takes all others out: none of them is called, though all were ready with it. */
static void delete_others(struct event_source *src, u32 i)
{
	for (u32 k = 0; k < NR; k++)
		if (k != i)
			event_del(&bed.loop, &bed.src[k]);
	event_stop(&bed.loop);
}

static void test_delete_pending(void **state)
{
	bed.then = delete_others;
	for (u32 i = 0; i < 8; i++)
		kick(i);
	run(0);
	assert_int_equal(bed.nr_calls, 1);
}

static void delete_self(struct event_source *src, u32 i)
{
	event_del(&bed.loop, src);
	event_del(&bed.loop, src); /* once more does no harm */
	kick(i);
	if (i == 0)
		kick(1);
}

static void test_delete_self(void **state)
{
	bed.then = delete_self;
	kick(0);
	run(2);
	assert_int_equal(bed.calls[0], 1);
	assert_int_equal(bed.calls[1], 1);
}

/* Its place taken by another source while the event is at hand: the event is not the new one's. */
static void replace(struct event_source *src, u32 i)
{
	u32 other = i == 2 ? 3 : 2;

	bed.then = NULL;
	event_del(&bed.loop, &bed.src[other]);
	assert_int_equal(event_add(&bed.loop, &bed.src[other], 0), 0);
	kick(5);
}

static void test_replace_pending(void **state)
{
	bed.then = replace;
	kick(2);
	kick(3);
	run(2);
	assert_int_equal(bed.calls[2] + bed.calls[3], 1);
	assert_int_equal(bed.calls[5], 1);
}

static void *modify(void *arg)
{
	assert_int_equal(event_modify(&bed.loop, &bed.src[0], EPOLLIN), 0);
	return NULL;
}

static pthread_t modifier;

static void start_modify(struct event_source *src, u32 i)
{
	if (i == 1)
		assert_int_equal(pthread_create(&modifier, NULL, modify, NULL), 0);
}

/* What is ready and not asked for waits, until another thread asks while the loop sleeps. */
static void test_modify(void **state)
{
	assert_int_equal(event_modify(&bed.loop, &bed.src[0], 0), 0);
	bed.then = start_modify;
	kick(0);
	kick(1);
	run(2);
	pthread_join(modifier, NULL);
	assert_int_equal(bed.order[0], 1);
	assert_int_equal(bed.order[1], 0);
	assert_int_equal(event_modify(&bed.loop, &(struct event_source){.fd = -1}, EPOLLIN), -EBADF);
}

/* ---- stops ------------------------------------------------------------------------------------------------
 */

static void test_stop_before(void **state)
{
	event_stop(&bed.loop);
	event_stop(&bed.loop);
	assert_int_equal(event_run(&bed.loop), 0);
	assert_int_equal(event_run(&bed.loop), 0); /* once stopped, it stays stopped */
}

static void *stop(void *arg)
{
	event_stop(&bed.loop);
	return NULL;
}

static void test_stop_by_thread(void **state)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, stop, NULL), 0);
	assert_int_equal(event_run(&bed.loop), 0);
	pthread_join(thread, NULL);
}

static void *stop_and_arm(void *arg)
{
	struct event_timer *timer = arg;

	event_stop(timer->loop);
	event_timer_set(timer, 3600 * 1000 * MS, 0);
	return NULL;
}

/* A timer that is set just after a stop must not have the loop sleep until it is due. */
static void test_stop_then_arm(void **state)
{
	for (int i = 0; i < 300; i++) {
		struct event_timer timer;
		struct event_loop loop;
		pthread_t thread;

		assert_int_equal(event_init(&loop), 0);
		assert_int_equal(event_timer_init(&loop, &timer, NULL, NULL), 0);
		assert_int_equal(pthread_create(&thread, NULL, stop_and_arm, &timer), 0);
		assert_int_equal(event_run(&loop), 0);
		pthread_join(thread, NULL);
		event_timer_destroy(&loop, &timer);
		event_destroy(&loop);
	}
}

/* ---- timers
 * ------------------------------------------------------------------------------------------------ */

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
}

static struct {
	struct event_timer timer[4];
	u32 fired[4], order[32], nr;
	u64 at[4];
	u32 stop_at;
	void (*then)(struct event_timer *timer, u32 i);
} clocks;

static void on_timer(struct event_timer *timer)
{
	u32 i = (u32)(timer - clocks.timer);

	clocks.fired[i]++;
	clocks.at[i] = now_ns();
	clocks.order[clocks.nr++ % 32] = i;
	if (clocks.then)
		clocks.then(timer, i);
	if (clocks.nr == clocks.stop_at)
		event_stop(&bed.loop);
}

static int timer_setup(void **state)
{
	memset(&clocks, 0, sizeof(clocks));
	if (setup(state))
		return -1;
	for (u32 i = 0; i < 4; i++)
		if (event_timer_init(&bed.loop, &clocks.timer[i], on_timer, NULL))
			return -1;
	return 0;
}

static int timer_teardown(void **state)
{
	for (u32 i = 0; i < 4; i++) {
		event_timer_destroy(&bed.loop, &clocks.timer[i]);
		event_timer_destroy(&bed.loop, &clocks.timer[i]);
	}
	return teardown(state);
}

static void run_timers(u32 stop_at)
{
	clocks.stop_at = stop_at;
	assert_int_equal(event_run(&bed.loop), 0);
}

static void test_once_in_order(void **state)
{
	u64 begin = now_ns();

	event_timer_set(&clocks.timer[0], 30 * MS, 0);
	event_timer_set(&clocks.timer[1], 10 * MS, 0);
	event_timer_set(&clocks.timer[2], 20 * MS, 0);
	event_timer_set(&clocks.timer[3], 5 * MS, 0);
	event_timer_set(&clocks.timer[3], 0, 0); /* not after all */
	run_timers(3);
	assert_int_equal(clocks.order[0], 1);
	assert_int_equal(clocks.order[1], 2);
	assert_int_equal(clocks.order[2], 0);
	assert_int_equal(clocks.fired[3], 0);
	for (u32 i = 0; i < 3; i++) /* late it may be, never early */
		assert_true(clocks.at[i] - begin >= (i == 0 ? 30 : i == 1 ? 10 : 20) * MS);
}

static void test_periodic(void **state)
{
	u64 begin = now_ns();

	event_timer_set(&clocks.timer[0], 1, 2 * MS);
	run_timers(5);
	assert_true(clocks.fired[0] >= 5);
	assert_true(clocks.at[0] - begin >= 8 * MS);
}

/* Ticks that nobody took come as one, and the next keep their places. */
static void test_missed(void **state)
{
	u64 first;

	event_timer_set(&clocks.timer[0], 5 * MS, 5 * MS);
	first = clocks.timer[0].deadline;
	while (now_ns() < first + 23 * MS)
		;
	event_timer_set(&clocks.timer[1], 1, 0); /* behind the one that waits */
	run_timers(3);
	assert_int_equal(clocks.order[0], 0);
	assert_int_equal(clocks.order[1], 1);
	assert_int_equal(clocks.order[2], 0);
	assert_int_equal((clocks.timer[0].deadline - first) % (5 * MS), 0);
}

/* From its own callback: again, later, and the end of another. */
static void rearm(struct event_timer *timer, u32 i)
{
	event_timer_set(timer, 1, 0);
	event_timer_set(&clocks.timer[1], 0, 0);
}

static void test_rearm(void **state)
{
	clocks.then = rearm;
	event_timer_set(&clocks.timer[1], 1, 0);
	event_timer_set(&clocks.timer[1], 3600000 * MS, 0);
	event_timer_set(&clocks.timer[0], 1, 0);
	run_timers(10);
	assert_true(clocks.fired[0] >= 10);
	assert_int_equal(clocks.fired[1], 0);
}

/* A callback destroys a periodic timer, its own: it is never called again. */
static void destroy_self(struct event_timer *timer, u32 i)
{
	if (i == 0)
		event_timer_destroy(&bed.loop, timer);
}

static void test_destroy_in_callback(void **state)
{
	clocks.then = destroy_self;
	event_timer_set(&clocks.timer[0], 1, 1);
	event_timer_set(&clocks.timer[1], MS, MS);
	run_timers(4);
	assert_int_equal(clocks.fired[0], 1);
	assert_true(clocks.fired[1] >= 3);
}

static void test_far_future(void **state)
{
	event_timer_set(&clocks.timer[0], UINT64_MAX, 0);
	event_timer_set(&clocks.timer[1], UINT64_MAX / 2, UINT64_MAX);
	event_timer_set(&clocks.timer[2], 1, 0);
	run_timers(1);
	assert_int_equal(clocks.order[0], 2);
	assert_true(clocks.timer[0].deadline > now_ns());
}

#define SETS 3000

static _Atomic u32 done;

static void *set_often(void *arg)
{
	for (u32 i = 0; i < SETS; i++)
		event_timer_set(arg, i % 3 ? 1 + i % 50000 : 0, 0);
	event_timer_set(arg, 1, 0);
	atomic_fetch_add(&done, 1);
	return NULL;
}

static void look(struct event_timer *timer, u32 i)
{
	if (i == 3 && atomic_load(&done) == 3 && !clocks.timer[0].deadline && !clocks.timer[1].deadline &&
	    !clocks.timer[2].deadline)
		event_stop(&bed.loop);
}

/* Set by other threads while the loop takes them: the last setting of each is heard. */
static void test_set_by_threads(void **state)
{
	pthread_t thread[3];

	atomic_store(&done, 0);
	clocks.then = look;
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, set_often, &clocks.timer[i]), 0);
	event_timer_set(&clocks.timer[3], MS, MS);
	run_timers(0);
	for (u32 i = 0; i < 3; i++) {
		pthread_join(thread[i], NULL);
		assert_true(clocks.fired[i] > 0);
	}
}

/* ---- failures
 * ----------------------------------------------------------------------------------------------- */

static u32 open_fds(void)
{
	u32 n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += lseek(fd, 0, SEEK_CUR) >= 0 || errno != EBADF;
	return n;
}

static void test_init_fails(void **state)
{
	u32 before = open_fds();
	struct event_loop loop;
	int n, err = -1;

	for (n = 1; err; n++) {
		calls_to_failure = n;
		err = event_init(&loop);
		if (err)
			assert_int_equal(err, -EMFILE);
		event_destroy(&loop);
		event_destroy(&loop); /* the step's down() follows a failed up() */
		assert_int_equal(open_fds(), before);
		assert_true(n < 20);
	}
	assert_true(n > 3);
	calls_to_failure = 0;
}

static void test_add_fails(void **state)
{
	struct event_source src = {.fd = -1, .fn = on_source};

	assert_int_equal(event_add(&bed.loop, &src, EPOLLIN), -EBADF);
	assert_false(src.added);
	event_del(&bed.loop, &src);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_are_called, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delete_pending, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delete_self, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace_pending, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modify, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_by_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_then_arm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_once_in_order, timer_setup, timer_teardown),
		cmocka_unit_test_setup_teardown(test_periodic, timer_setup, timer_teardown),
		cmocka_unit_test_setup_teardown(test_missed, timer_setup, timer_teardown),
		cmocka_unit_test_setup_teardown(test_rearm, timer_setup, timer_teardown),
		cmocka_unit_test_setup_teardown(test_destroy_in_callback, timer_setup, timer_teardown),
		cmocka_unit_test_setup_teardown(test_far_future, timer_setup, timer_teardown),
		cmocka_unit_test_setup_teardown(test_set_by_threads, timer_setup, timer_teardown),
		cmocka_unit_test(test_init_fails),
		cmocka_unit_test_setup_teardown(test_add_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

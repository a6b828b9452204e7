/* SPDX-License-Identifier: MIT */
/*
 * The host's clock, and the one timer that a device has on the event loop, in a test's hand. For a test with
 * WRAP: clock_gettime event_timer_init event_timer_set event_timer_destroy.
 */
#ifndef LKVM_TEST_ONE_TIMER_H
#define LKVM_TEST_ONE_TIMER_H

#include <lkvm/event.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SEC 1000000000ull

static u64 now_ns;
static u64 look_ns; /* how long it takes to look at the clock */
static struct event_timer *timer;
static u64 timer_ns;   /* after which it fires; 0: disarmed */
static u32 timer_sets; /* since it was made */

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	ts->tv_sec = (time_t)(now_ns / SEC);
	ts->tv_nsec = (long)(now_ns % SEC);
	now_ns += look_ns;
	return 0;
}

int __wrap_event_timer_init(struct event_loop *loop, struct event_timer *t, void (*fn)(struct event_timer *),
			    void *arg)
{
	t->fn = fn;
	t->arg = arg;
	timer = t;
	timer_ns = 0;
	timer_sets = 0;
	return 0;
}

void __wrap_event_timer_set(struct event_timer *t, u64 first_ns, u64 period_ns)
{
	assert_ptr_equal(t, timer);
	assert_int_equal(period_ns, 0);
	timer_ns = first_ns;
	timer_sets++;
}

void __wrap_event_timer_destroy(struct event_loop *loop, struct event_timer *t)
{
	assert_ptr_equal(t, timer);
	timer = NULL;
}

static void timer_fires(void)
{
	assert_true(timer_ns);
	now_ns += timer_ns;
	timer_ns = 0;
	timer->fn(timer);
}

#endif

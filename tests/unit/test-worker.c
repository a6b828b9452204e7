/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* TSAN */
/* Worker threads: they serve their loop, stop at once, and leave nothing behind. */
#include "capture.h"
#include "fake-kvm.h"
#include <lkvm/worker.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>

static struct {
	struct worker w;
	struct event_source src;
	_Atomic u32 served;
	sem_t seen;
	sigset_t mask; /* of the worker's thread */
	char name[16];
} t;

static void on_event(struct event_source *src, u32 events)
{
	atomic_fetch_add(&t.served, 1);
	pthread_sigmask(SIG_SETMASK, NULL, &t.mask);
	pthread_getname_np(pthread_self(), t.name, sizeof(t.name));
	sem_post(&t.seen);
}

static void make(void)
{
	memset(&t, 0, sizeof(t));
	sem_init(&t.seen, 0, 0);
	assert_int_equal(worker_init(&t.w, "lkvm-worker-of-a-long-name"), 0);
	t.src = (struct event_source){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .fn = on_event};
	assert_true(t.src.fd >= 0);
	assert_int_equal(event_add(&t.w.loop, &t.src, EPOLLIN | EPOLLET), 0);
}

static void unmake(void)
{
	event_del(&t.w.loop, &t.src);
	close(t.src.fd);
	worker_destroy(&t.w);
	sem_destroy(&t.seen);
}

static void signal_it(void)
{
	u64 one = 1;

	assert_int_equal(write(t.src.fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(sem_wait(&t.seen), 0);
}

static void test_serves(void **state)
{
	u32 fds = fake_count_fds();

	alarm(60);
	make();
	assert_int_equal(worker_start(&t.w), 0);
	/* Edge-triggered: each signal wakes it, though the count is never read. */
	for (u32 i = 1; i <= 1000; i++) {
		signal_it();
		assert_int_equal(atomic_load(&t.served), i);
	}
	worker_stop(&t.w);
	assert_int_equal(strlen(t.name), 15);
	assert_int_equal(sigismember(&t.mask, SIGTERM), 1);
	assert_int_equal(sigismember(&t.mask, SIGINT), 1);
	unmake();
	assert_int_equal(fake_count_fds(), fds);
	alarm(0);
}

static void test_stops_while_busy(void **state)
{
	alarm(60);
	for (u32 i = 0; i < 200; i++) {
		u64 one = 1;

		make();
		assert_int_equal(worker_start(&t.w), 0);
		assert_int_equal(write(t.src.fd, &one, sizeof(one)), sizeof(one));
		worker_stop(&t.w);
		worker_stop(&t.w); /* once more is nothing */
		unmake();
	}
	alarm(0);
}

/* One that never started, and one that was never made. */
static void test_never_started(void **state)
{
	struct worker none = {0};

	make();
	worker_stop(&t.w);
	unmake();
	worker_stop(&none);
	worker_destroy(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serves),
		cmocka_unit_test(test_stops_while_busy),
		cmocka_unit_test(test_never_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

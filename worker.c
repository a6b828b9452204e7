/* SPDX-License-Identifier: MIT */
/*
 * Worker threads: an event loop on a thread of its own, for devices. Made, started and stopped on the main
 * thread.
 */
#include <errno.h>
#include <lkvm/worker.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#define WORKER_STACK KiB(256)

int worker_init(struct worker *w, const char *name)
{
	int err = event_init(&w->loop);

	if (err)
		return err;
	w->made = true;
	snprintf(w->name, sizeof(w->name), "%s", name);
	return 0;
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;

	prctl(PR_SET_NAME, w->name);
	/* It fails for a bad epoll fd alone, which is a bug; the device then stands still, the VM does not.
	 */
	if (event_run(&w->loop))
		return w;
	return NULL;
}

int worker_start(struct worker *w)
{
	pthread_attr_t attr;
	sigset_t all;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	sigfillset(&all);
	pthread_attr_setsigmask_np(&attr, &all);
	err = -pthread_create(&w->thread, &attr, worker_run, w);
	pthread_attr_destroy(&attr);
	w->running = !err;
	return err;
}

void worker_stop(struct worker *w)
{
	if (!w->running)
		return;
	event_stop(&w->loop);
	pthread_join(w->thread, NULL);
	w->running = false;
}

void worker_destroy(struct worker *w)
{
	if (!w->made)
		return;
	worker_stop(w);
	event_destroy(&w->loop);
	w->made = false;
}

/* SPDX-License-Identifier: MIT */
/*
 * diskload DISK: loads a guest's disk and says what it gives, for `make bench` (the lab's case disk-bench
 *runs it under lkvm and under its peer). By the kernel's own asynchronous calls (io_submit) and O_DIRECT, so
 *that what is measured is the disk's queue and not this program:
 *
 *	for each load:	print "LOAD NAME", wait for a line on the console, work for SECONDS, print
 *			"LOADED NAME REQUESTS MICROSECONDS", wait for a line
 *
 * The waits let who counts exits read the counters on both sides.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 32
#define SECONDS	  4

static const struct load {
	const char *name;
	unsigned depth, size;
	int write, random;
} loads[] = {
	{"read-4k-1", 1, 4096, 0, 1},	 {"read-4k-32", 32, 4096, 0, 1}, {"write-4k-1", 1, 4096, 1, 1},
	{"write-4k-32", 32, 4096, 1, 1}, {"read-1m", 4, 1 << 20, 0, 0},	 {"write-1m", 4, 1 << 20, 1, 0},
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void wait_line(void)
{
	char c = 0;

	while (read(0, &c, 1) == 1 && c != '\n')
		;
}

static void die(const char *what)
{
	printf("LOAD-FAULT %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t place(const struct load *l, uint64_t size, uint64_t *next)
{
	static uint64_t seed = 1;
	uint64_t at = *next;

	if (l->random) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		return (seed >> 20) % (size / l->size) * l->size;
	}
	*next = at + 2 * l->size > size ? 0 : at + l->size;
	return at;
}

static void submit(aio_context_t ctx, struct iocb **cb, long n)
{
	while (n) {
		long done = syscall(SYS_io_submit, ctx, n, cb);

		if (done < 0 && errno != EAGAIN)
			die("io_submit");
		if (done > 0) {
			cb += done;
			n -= done;
		}
	}
}

static void run(const struct load *l, int fd, uint64_t size, char *buf)
{
	struct io_event ev[DEPTH_MAX];
	struct iocb cb[DEPTH_MAX], *list[DEPTH_MAX];
	uint64_t next = 0, done = 0, begin = now_us(), end = begin + SECONDS * 1000000ull, now = begin;
	aio_context_t ctx = 0;
	unsigned flying = l->depth;

	if (syscall(SYS_io_setup, DEPTH_MAX, &ctx) < 0)
		die("io_setup");
	memset(cb, 0, sizeof(cb));
	for (unsigned i = 0; i < l->depth; i++) {
		cb[i].aio_fildes = (uint32_t)fd;
		cb[i].aio_lio_opcode = l->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
		cb[i].aio_buf = (uint64_t)(uintptr_t)(buf + (size_t)i * l->size);
		cb[i].aio_nbytes = l->size;
		cb[i].aio_offset = (int64_t)place(l, size, &next);
		list[i] = &cb[i];
	}
	submit(ctx, list, l->depth);
	while (flying) {
		long n = syscall(SYS_io_getevents, ctx, 1, DEPTH_MAX, ev, NULL), again = 0;

		if (n < 0 && errno != EINTR)
			die("io_getevents");
		now = now_us();
		for (long i = 0; i < n; i++) {
			struct iocb *c = (struct iocb *)(uintptr_t)ev[i].obj;

			if (ev[i].res != (int64_t)l->size)
				die("a request");
			done++;
			if (now >= end) {
				flying--;
				continue;
			}
			c->aio_offset = (int64_t)place(l, size, &next);
			list[again++] = c;
		}
		if (again)
			submit(ctx, list, again);
	}
	syscall(SYS_io_destroy, ctx);
	printf("LOADED %s %llu %llu\n", l->name, (unsigned long long)done, (unsigned long long)(now - begin));
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_DIRECT) : -1;
	uint64_t size;
	char *buf;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (fd < 0)
		die("the disk");
	size = (uint64_t)lseek(fd, 0, SEEK_END);
	buf = aligned_alloc(4096, (size_t)DEPTH_MAX << 20 >> 3);
	if (!buf)
		die("memory");
	memset(buf, 0x5a, (size_t)DEPTH_MAX << 20 >> 3);
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		printf("LOAD %s\n", loads[i].name);
		wait_line();
		run(&loads[i], fd, size, buf);
		wait_line();
	}
	return 0;
}

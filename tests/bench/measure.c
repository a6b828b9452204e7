// SPDX-License-Identifier: MIT
/*
 * Times commands against each other, for tests/bench/run. Each round runs every command once, in turn, so
 * that a machine that speeds up or slows down does so for all of them; the medians are printed, in
 * microseconds, one a command, in order.
 *
 *   measure first|life ROUNDS COMMAND... [-- COMMAND...]...
 *
 * "first" stops the clock at the command's first byte on stderr, "life" when it has ended; both start it
 * before the fork. A command that ends with a status other than that of its first run, or by a signal, ends
 * us.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_COMMANDS 8
#define MAX_ROUNDS   1000
#define BOUND_MS     60000

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void child(char **argv, int err)
{
	int null = open("/dev/null", O_RDWR);

	/* The bound on what hangs. */
	alarm(BOUND_MS / 1000);
	dup2(null, 0);
	dup2(null, 1);
	dup2(err >= 0 ? err : null, 2);
	execv(argv[0], argv);
	_exit(127);
}

/* Microseconds, or -1. *status is the exit status. */
static int64_t once(char **argv, bool first, int *status)
{
	struct pollfd pfd;
	uint64_t begin, end = 0;
	int pipes[2] = {-1, -1}, wstatus;
	char junk[4096];
	pid_t pid;

	if (first && pipe2(pipes, O_CLOEXEC))
		return -1;
	begin = now_us();
	pid = vfork();
	if (pid < 0)
		return -1;
	if (!pid)
		child(argv, pipes[1]);
	if (first) {
		close(pipes[1]);
		pfd = (struct pollfd){.fd = pipes[0], .events = POLLIN};
		if (poll(&pfd, 1, BOUND_MS) == 1 && pfd.revents & POLLIN)
			end = now_us();
		while (read(pipes[0], junk, sizeof(junk)) > 0)
			;
		close(pipes[0]);
	}
	while (waitpid(pid, &wstatus, 0) < 0)
		if (errno != EINTR)
			return -1;
	if (!first)
		end = now_us();
	if (!WIFEXITED(wstatus) || !end)
		return -1;
	*status = WEXITSTATUS(wstatus);
	return (int64_t)(end - begin);
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static int64_t us[MAX_COMMANDS][MAX_ROUNDS];
	char **command[MAX_COMMANDS];
	int status[MAX_COMMANDS], n = 0, rounds;
	bool first;

	if (argc < 4) {
		fprintf(stderr, "usage: measure first|life ROUNDS COMMAND... [-- COMMAND...]...\n");
		return 2;
	}
	first = !strcmp(argv[1], "first");
	rounds = atoi(argv[2]);
	if (rounds < 1 || rounds > MAX_ROUNDS)
		return 2;
	command[n++] = argv + 3;
	for (int i = 3; i < argc; i++) {
		if (strcmp(argv[i], "--"))
			continue;
		argv[i] = NULL;
		if (n == MAX_COMMANDS || i + 1 == argc)
			return 2;
		command[n++] = argv + i + 1;
	}
	/* The first round warms the caches and says what each command's status is. */
	for (int r = -1; r < rounds; r++)
		for (int i = 0; i < n; i++) {
			int st;
			int64_t t = once(command[i], first, &st);

			if (r < 0)
				status[i] = st;
			if (t < 0 || st != status[i] || st == 127) {
				fprintf(stderr, "measure: %s: did not end as it should (status %d)\n",
					command[i][0], t < 0 ? -1 : st);
				return 1;
			}
			if (r >= 0)
				us[i][r] = t;
		}
	for (int i = 0; i < n; i++) {
		qsort(us[i], (size_t)rounds, sizeof(us[i][0]), by_value);
		printf("%lld\n", (long long)us[i][rounds / 2]);
	}
	return 0;
}

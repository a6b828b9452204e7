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
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_COMMANDS 8
#define MAX_ROUNDS   1000
#define BOUND_MS     60000
#define SETTLE_NS    30000000

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Microseconds, or -1. *status is the exit status. */
static int64_t once(char **argv, bool first, int *status)
{
	posix_spawn_file_actions_t files;
	int pipes[2] = {-1, -1}, wstatus, pidfd, err;
	struct pollfd pfd = {.events = POLLIN};
	uint64_t begin, end = 0;
	char junk[4096];
	pid_t pid;

	if (first && pipe2(pipes, O_CLOEXEC))
		return -1;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	if (first)
		posix_spawn_file_actions_adddup2(&files, pipes[1], 2);
	else
		posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	begin = now_us();
	err = posix_spawn(&pid, argv[0], &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (first)
		close(pipes[1]);
	if (!err && first) {
		pfd.fd = pipes[0];
		if (poll(&pfd, 1, BOUND_MS) == 1 && pfd.revents & POLLIN)
			end = now_us();
		while (poll(&pfd, 1, BOUND_MS) == 1 && read(pipes[0], junk, sizeof(junk)) > 0)
			;
	}
	if (first)
		close(pipes[0]);
	if (err)
		return -1;
	/* What hangs is killed. */
	pidfd = pidfd_open(pid, 0);
	pfd.fd = pidfd;
	if (pidfd < 0 || poll(&pfd, 1, BOUND_MS) != 1)
		kill(pid, SIGKILL);
	while (waitpid(pid, &wstatus, 0) < 0)
		if (errno != EINTR)
			return -1;
	if (!first)
		end = now_us();
	close(pidfd);
	if (!WIFEXITED(wstatus) || !end)
		return -1;
	/* What the kernel still has to do for a VM that is gone is not to be paid by the command that
	 * follows. */
	nanosleep(&(struct timespec){.tv_nsec = SETTLE_NS}, NULL);
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

/* SPDX-License-Identifier: MIT */
/*
 * The process: makes the standard descriptors and SIGPIPE safe, and hands over to the verb. Main thread,
 * before anything else. The exit status is the verb's.
 */
#include <fcntl.h>
#include <lkvm/log.h>
#include <lkvm/verb.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Started with 0, 1 or 2 closed, the next open() would become "stdout" and guest output land in a disk image.
 */
static bool std_fds_open(void)
{
	struct pollfd std[] = {{.fd = STDIN_FILENO}, {.fd = STDOUT_FILENO}, {.fd = STDERR_FILENO}};
	int fd;

	/* One call says that all are open, as nearly always. */
	if (poll(std, ARRAY_SIZE(std), 0) >= 0 &&
	    !((std[0].revents | std[1].revents | std[2].revents) & POLLNVAL))
		return true;
	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return fcntl(STDERR_FILENO, F_GETFD) >= 0;
	close(fd);
	return true;
}

int main(int argc, char **argv)
{
	const struct verb *verb;
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!std_fds_open())
		return EXIT_HOST_ERROR;
	/* A reader that goes away is an error of write() where it happens, and no end of the VM. */
	signal(SIGPIPE, SIG_IGN);

	if (!name) {
		verb_find("help")->help(STDERR_FILENO);
		return EXIT_USAGE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h"))
		name = "help";
	else if (!strcmp(name, "--version") || !strcmp(name, "-V"))
		name = "version";
	verb = verb_find(name);
	return verb ? verb->run(argc - 1, argv + 1) : verb_unknown(name);
}

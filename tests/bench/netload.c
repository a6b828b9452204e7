/* SPDX-License-Identifier: MIT */
/*
 * Loads a guest's network card and says what it gives, for `make bench` (the lab's case net-bench runs it
 *under lkvm and under its peer).
 *
 *	netload PORT		in L1: the other end, for as many connections as come
 *	netload HOST PORT	in the guest; for each load: print "LOAD NAME", wait for a line on the
 *console, work for SECONDS, print "LOADED NAME UNITS MICROSECONDS", wait for a line
 *
 * Units are bytes of a TCP stream into the guest or out of it, or requests of one byte with an answer of one
 *byte.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECONDS 2

static const char *const loads[] = {"stream-in", "stream-out", "requests"};
static char buf[1 << 17];

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void die(const char *what)
{
	printf("LOAD-FAULT %s: %s\n", what, strerror(errno));
	exit(1);
}

static void wait_line(void)
{
	char c = 0;

	while (read(0, &c, 1) == 1 && c != '\n')
		;
}

/* The first byte of a connection says which load it is. */
static void serve(int fd)
{
	uint64_t end = now_us() + SECONDS * 1000000ull;
	char what = 0;

	if (read(fd, &what, 1) != 1)
		return;
	if (what == '0') {
		while (now_us() < end && write(fd, buf, sizeof(buf)) > 0)
			;
		return;
	}
	for (;;) {
		ssize_t n = read(fd, buf, what == '2' ? 1 : sizeof(buf));

		if (n <= 0)
			break;
		if (what == '2' && write(fd, buf, 1) != 1)
			break;
	}
	/* All is here. */
	if (write(fd, "", 1) != 1)
		return;
}

static _Noreturn void server(const char *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(fd, 4) < 0)
		die("the port");
	for (;;) {
		int c = accept(fd, NULL, NULL);

		if (c < 0)
			die("accept");
		setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		serve(c);
		close(c);
	}
}

static uint64_t load(int fd, int what, uint64_t end)
{
	uint64_t units = 0;
	ssize_t n;

	if (what == 0)
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			units += (uint64_t)n;
	while (what == 1 && now_us() < end) {
		n = write(fd, buf, sizeof(buf));
		if (n < 0)
			die("write");
		units += (uint64_t)n;
	}
	while (what == 2 && now_us() < end) {
		if (write(fd, buf, 1) != 1 || read(fd, buf, 1) != 1)
			die("a request");
		units++;
	}
	shutdown(fd, SHUT_WR);
	if (what == 1 && read(fd, buf, 1) != 1)
		die("the end");
	return units;
}

int main(int argc, char **argv)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2)
		server(argv[1]);
	if (argc != 3 || inet_pton(AF_INET, argv[1], &sin.sin_addr) != 1)
		return 2;
	sin.sin_port = htons((uint16_t)atoi(argv[2]));
	for (int i = 0; i < 3; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
		char what = (char)('0' + i);
		uint64_t begin, units;

		printf("LOAD %s\n", loads[i]);
		wait_line();
		if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
			die("connect");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		begin = now_us();
		if (write(fd, &what, 1) != 1)
			die("write");
		units = load(fd, i, begin + SECONDS * 1000000ull);
		printf("LOADED %s %llu %llu\n", loads[i], (unsigned long long)units,
		       (unsigned long long)(now_us() - begin));
		close(fd);
		wait_line();
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * UDP for the lab's cases, whose busybox has none: in L1 and in guests.
 *
 *	datagram names ADDR NAME IP	a name server (RFC 1035) that knows NAME, at IP, and no other
 *	datagram echo PORT		the next datagram to that port goes back, "heard " before it
 *	datagram ask HOST PORT TEXT	say TEXT until there is an answer, for 30 s; print it
 *
 * `names` runs until it is killed. "datagram: ..." and status 1 when something fails.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HEAD	 12 /* bytes of a message's header */
#define QUESTION 4  /* bytes of type and class, behind the name */
#define ANSWER	 16 /* of one address: a pointer to the name, type, class, time to live, length, address */

static void die(const char *what)
{
	fprintf(stderr, "datagram: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

	errno = EINVAL;
	if (!inet_pton(AF_INET, host, &sin.sin_addr))
		die(host);
	return sin;
}

static int bound(const char *host, const char *port)
{
	struct sockaddr_in sin = address(host, port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		die(port);
	return fd;
}

/* The dotted name at p, up to `end`: bytes taken, or 0. */
static size_t take_name(const uint8_t *p, const uint8_t *end, char *name, size_t room)
{
	const uint8_t *at = p;
	size_t len = 0;

	while (at < end && *at) {
		size_t part = *at++;

		if (part > 63 || part > (size_t)(end - at) || len + part + 2 > room)
			return 0;
		if (len)
			name[len++] = '.';
		memcpy(name + len, at, part);
		len += part;
		at += part;
	}
	name[len] = 0;
	return at < end ? (size_t)(at + 1 - p) : 0;
}

static void names(const char *host, const char *known, const char *ip)
{
	struct sockaddr_in what = address(ip, "0");
	int fd = bound(host, "53");

	for (;;) {
		static const uint8_t head[] = {0xc0, HEAD, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4};
		uint8_t m[512];
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		char name[256];
		ssize_t n = recvfrom(fd, m, sizeof(m) - ANSWER, 0, (struct sockaddr *)&from, &from_len);
		size_t len, q;
		bool here;

		if (n < 0)
			die("recvfrom");
		q = n > HEAD ? take_name(m + HEAD, m + n, name, sizeof(name)) : 0;
		len = HEAD + q + QUESTION;
		if (!q || m[2] & 0x80 || m[5] != 1 || (size_t)n < len)
			continue;
		here = !strcasecmp(name, known);
		m[2] = (uint8_t)(0x84 | (m[2] & 1)); /* an answer, with authority */
		m[3] = here ? 0x80 : 0x83;	     /* recursion is no matter; or: no such name */
		memset(m + 6, 0, 6);
		if (here && m[len - 3] == 1) { /* type A */
			m[7] = 1;
			memcpy(m + len, head, sizeof(head));
			memcpy(m + len + sizeof(head), &what.sin_addr, 4);
			len += ANSWER;
		}
		if (sendto(fd, m, len, 0, (struct sockaddr *)&from, from_len) < 0)
			die("sendto");
	}
}

static void echo(const char *port)
{
	char buf[1500] = "heard ";
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	int fd = bound("0.0.0.0", port);
	ssize_t n;

	puts("LAB-ECHOES");
	fflush(stdout);
	n = recvfrom(fd, buf + 6, sizeof(buf) - 6, 0, (struct sockaddr *)&from, &len);
	if (n < 0 || sendto(fd, buf, (size_t)n + 6, 0, (struct sockaddr *)&from, len) < 0)
		die("echo");
}

static void ask(const char *host, const char *port, const char *text)
{
	struct sockaddr_in to = address(host, port);
	struct pollfd p = {.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), .events = POLLIN};
	char buf[1500];
	ssize_t n = -1;

	if (p.fd < 0 || connect(p.fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die(host);
	/* A datagram may get lost; a port that nobody listens on yet is an error of recv(). */
	for (int i = 0; i < 60 && n < 0; i++) {
		if (send(p.fd, text, strlen(text), 0) < 0 && errno != ECONNREFUSED)
			die("send");
		if (poll(&p, 1, 500) > 0)
			n = recv(p.fd, buf, sizeof(buf), 0);
		else
			errno = ETIMEDOUT;
	}
	if (n < 0)
		die("recv");
	printf("%.*s\n", (int)n, buf);
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "names"))
		names(argv[2], argv[3], argv[4]);
	else if (argc == 3 && !strcmp(argv[1], "echo"))
		echo(argv[2]);
	else if (argc == 5 && !strcmp(argv[1], "ask"))
		ask(argv[2], argv[3], argv[4]);
	else
		return 2;
	return 0;
}

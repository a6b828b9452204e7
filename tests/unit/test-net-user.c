/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: poll slirp_load */
/*
 * User-mode networks, libslirp's and passt's, as far as this machine has them: a guest of a few frames asks
 * for an address, knows its neighbour, and is reached by a forwarded port; what is wrong is refused, and what
 * ends while it is in use is told.
 */
#include "capture.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <lkvm/net.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#define WAIT_S 20 /* for what has to come, on a busy machine */

static const u8 guest_mac[6] = {2, 0, 0, 0, 0, 1};

struct frame {
	size_t len;
	u8 data[2048];
};

static struct {
	struct net *net;
	struct net_config *cfg;
	u8 peer[6]; /* of the gateway */
	struct frame in;
} guest;

/* ---- faults ------------------------------------------------------------------------------------------- */

static pthread_t test_thread;
static atomic_int poll_err; /* of each poll() but the test's own */
static bool no_library;

int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	int err = atomic_load(&poll_err);

	if (!err || pthread_equal(pthread_self(), test_thread))
		return __real_poll(fds, n, timeout);
	errno = err;
	return -1;
}

struct slirp_api;
int __real_slirp_load(struct slirp_api *api) __attribute__((weak));
int __wrap_slirp_load(struct slirp_api *api);
int __wrap_slirp_load(struct slirp_api *api)
{
	return no_library || !__real_slirp_load ? -ENOENT : __real_slirp_load(api);
}

static bool have(const char *backend)
{
	struct net_config *cfg;
	struct net *net = NULL;
	char arg[64];
	int err;

	snprintf(arg, sizeof(arg), "mode=user,backend=%s", backend);
	assert_int_equal(net_config_parse(arg, &cfg), 0);
	capture_begin(STDERR_FILENO);
	err = net_open(&net, cfg, "net0");
	capture_end();
	net_close(net);
	free(cfg);
	return !err;
}

static void up(const char *backend, const char *more)
{
	char arg[256];

	snprintf(arg, sizeof(arg), "mode=user,backend=%s%s", backend, more);
	assert_int_equal(net_config_parse(arg, &guest.cfg), 0);
	assert_int_equal(net_open(&guest.net, guest.cfg, "net0"), 0);
	assert_int_equal(guest.net->nr_queues, 1);
	assert_false(guest.net->vnet_hdr);
}

static void down(void)
{
	net_close(guest.net);
	free(guest.cfg);
	guest.net = NULL;
}

static void send_frame(const struct frame *f)
{
	/* In three pieces, one of them empty. */
	struct iovec iov[] = {{(void *)(uintptr_t)f->data, 20},
			      {NULL, 0},
			      {(void *)(uintptr_t)(f->data + 20), f->len - 20}};

	assert_int_equal(net_send(&guest.net->queue[0], iov, 3), (ssize_t)f->len);
}

/* The next frame within the bound; false: none came. */
static bool next_frame(int timeout_ms)
{
	struct iovec iov[] = {{guest.in.data, 14}, {guest.in.data + 14, sizeof(guest.in.data) - 14}};
	struct pollfd p = {.fd = guest.net->queue[0].fd, .events = POLLIN};
	struct timespec ts;
	s64 end;
	ssize_t n;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	end = ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + timeout_ms;
	for (;;) {
		n = net_recv(&guest.net->queue[0], iov, 2);
		if (n != -EAGAIN)
			break;
		clock_gettime(CLOCK_MONOTONIC, &ts);
		timeout_ms = (int)(end - ts.tv_sec * 1000 - ts.tv_nsec / 1000000);
		if (timeout_ms <= 0 || poll(&p, 1, timeout_ms) == 0)
			return false;
	}
	assert_true(n > 14);
	guest.in.len = (size_t)n;
	return true;
}

static struct frame ether(u16 type, const u8 *to)
{
	struct frame f = {.len = 14};

	memcpy(f.data, to, 6);
	memcpy(f.data + 6, guest_mac, 6);
	f.data[12] = (u8)(type >> 8);
	f.data[13] = (u8)type;
	return f;
}

static void add(struct frame *f, const void *data, size_t len)
{
	memcpy(f->data + f->len, data, len);
	f->len += len;
}

static void send_arp(u16 op, const u8 *to, const char *target)
{
	struct frame f = ether(ETHERTYPE_ARP, to);
	struct ether_arp a = {
		.ea_hdr = {htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), 6, 4, htons(op)},
	};
	u32 me = inet_addr("10.0.2.15"), it = inet_addr(target);

	memcpy(a.arp_sha, guest_mac, 6);
	memcpy(a.arp_spa, &me, 4);
	if (op == ARPOP_REPLY)
		memcpy(a.arp_tha, to, 6);
	memcpy(a.arp_tpa, &it, 4);
	add(&f, &a, sizeof(a));
	send_frame(&f);
}

static u16 sum(const void *data, size_t len, u32 s)
{
	const u8 *p = data;

	for (size_t i = 0; i < len; i++)
		s += i & 1 ? p[i] : (u32)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (u16)s;
}

/* An IPv4 packet of that protocol to `to`; its transport header has its sum at `sum_at`. */
static void send_ip(u8 proto, const char *to, u8 *payload, size_t len, size_t sum_at)
{
	struct iphdr ip = {
		.ihl = 5, .version = 4, .ttl = 64, .protocol = proto, .tot_len = htons((u16)(20 + len))};
	struct frame f = ether(ETHERTYPE_IP, guest.peer);
	u16 s;

	ip.saddr = inet_addr("10.0.2.15");
	ip.daddr = inet_addr(to);
	ip.check = htons((u16)~sum(&ip, 20, 0));
	s = proto == IPPROTO_ICMP ? 0 : sum(&ip.saddr, 8, (u32)(proto + len));
	s = (u16)~sum(payload, len, s);
	payload[sum_at] = (u8)(s >> 8);
	payload[sum_at + 1] = (u8)s;
	add(&f, &ip, 20);
	add(&f, payload, len);
	send_frame(&f);
}

/* The next IPv4 packet of that protocol; ARP questions on the way are answered. NULL: none comes. */
static u8 *next_ip(u8 proto, size_t *len, int timeout_ms)
{
	static const u8 me[] = {10, 0, 2, 15};

	while (next_frame(timeout_ms)) {
		u8 *f = guest.in.data;

		if (f[12] == 8 && f[13] == 6 && f[21] == 1 && !memcmp(f + 38, me, 4)) {
			char from[16];

			snprintf(from, sizeof(from), "%u.%u.%u.%u", f[28], f[29], f[30], f[31]);
			send_arp(ARPOP_REPLY, f + 6, from);
		}
		if (f[12] == 8 && !f[13] && f[23] == proto && f[14] == 0x45) {
			*len = (size_t)(f[16] << 8 | f[17]) - 20;
			assert_true(34 + *len <= guest.in.len);
			return f + 34;
		}
	}
	return NULL;
}

static void learn_gateway(void)
{
	static const u8 all[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	send_arp(ARPOP_REQUEST, all, "10.0.2.2");
	while (next_frame(WAIT_S * 1000)) {
		const u8 *f = guest.in.data;

		if (f[12] == 8 && f[13] == 6 && f[21] == 2 && f[31] == 2) {
			memcpy(guest.peer, f + 6, 6);
			return;
		}
	}
	fail_msg("no answer to ARP");
}

/* ---- TCP, as much as three segments need ------------------------------------------------------------------
 */

struct tcp {
	u16 port, peer_port;
	u32 seq, ack;
};

static void send_tcp(struct tcp *t, const char *to, u8 flags, const char *data)
{
	struct tcphdr h = {.source = htons(t->port),
			   .dest = htons(t->peer_port),
			   .seq = htonl(t->seq),
			   .ack_seq = htonl(t->ack),
			   .doff = 5,
			   .window = htons(8192)};
	u8 payload[256];

	memcpy(payload, &h, 20);
	payload[13] = flags;
	strcpy((char *)payload + 20, data);
	send_ip(IPPROTO_TCP, to, payload, 20 + strlen(data), 16);
	t->seq += (u32)strlen(data) + (flags & TH_SYN ? 1 : 0);
}

/* The next segment with one of these flags and, if want, with data. */
static const u8 *next_tcp(struct tcp *t, u8 flags, bool want, size_t *data_len, int timeout_ms)
{
	size_t len;
	u8 *s;

	while ((s = next_ip(IPPROTO_TCP, &len, timeout_ms))) {
		struct tcphdr h;

		memcpy(&h, s, 20);
		*data_len = len - h.doff * 4u;
		if (!(s[13] & flags) || (want && !*data_len))
			continue;
		t->peer_port = ntohs(h.source);
		t->ack = ntohl(h.seq) + (u32)*data_len + (s[13] & TH_SYN ? 1 : 0);
		return s + h.doff * 4;
	}
	return NULL;
}

/* A socket that listens on 127.0.0.1, and its port. */
static int listener(u16 *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
	return fd;
}

/* ---- tests ------------------------------------------------------------------------------------------------
 */

static void check_dhcp(bool names)
{
	static const u8 all[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
			cookie[] = {99, 130, 83, 99, 53, 1, 1, 255};
	static const u8 offered[] = {10, 0, 2, 15};
	struct frame f = ether(ETHERTYPE_IP, all);
	struct iphdr ip = {
		.ihl = 5, .version = 4, .ttl = 64, .protocol = IPPROTO_UDP, .tot_len = htons(20 + 8 + 300)};
	struct udphdr udp = {.source = htons(68), .dest = htons(67), .len = htons(8 + 300)};
	u8 bootp[300] = {1, 1, 6, 0, 1, 2, 3, 4};
	size_t len;
	const u8 *reply;

	ip.daddr = 0xffffffff;
	ip.check = htons((u16)~sum(&ip, 20, 0));
	memcpy(bootp + 28, guest_mac, 6);
	memcpy(bootp + 236, cookie, sizeof(cookie));
	add(&f, &ip, 20);
	add(&f, &udp, 8);
	add(&f, bootp, sizeof(bootp));
	send_frame(&f);
	reply = next_ip(IPPROTO_UDP, &len, WAIT_S * 1000);
	assert_non_null(reply);
	assert_true(len > 8 + 240);
	assert_memory_equal(reply + 8 + 16, offered, 4);
	/* Options: router, and libslirp's name server (passt has the host's, if it has one). */
	assert_non_null(memmem(reply + 8 + 240, len - 248, "\x03\x04\x0a\x00\x02\x02", 6));
	if (names)
		assert_non_null(memmem(reply + 8 + 240, len - 248, "\x06\x04\x0a\x00\x02\x03", 6));
}

static void check_ping(void)
{
	u8 echo[24] = {8, 0, 0, 0, 1, 2, 3, 4};
	size_t len;
	const u8 *reply;

	send_ip(IPPROTO_ICMP, "10.0.2.2", echo, sizeof(echo), 2);
	reply = next_ip(IPPROTO_ICMP, &len, WAIT_S * 1000);
	assert_non_null(reply);
	assert_int_equal(reply[0], 0);
	assert_memory_equal(reply + 4, echo + 4, 20);
}

/* A host's client on the forwarded port is the guest's: both say something. */
static void check_forward(u16 port)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval bound = {.tv_sec = WAIT_S};
	struct tcp t = {.port = 7, .seq = 1000};
	const u8 *data;
	char buf[16];
	size_t len;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_non_null(next_tcp(&t, TH_SYN, false, &len, WAIT_S * 1000));
	send_tcp(&t, "10.0.2.2", TH_SYN | TH_ACK, "");
	assert_int_equal(write(fd, "hello", 5), 5);
	data = next_tcp(&t, TH_ACK, true, &len, WAIT_S * 1000);
	assert_non_null(data);
	assert_int_equal(len, 5);
	assert_memory_equal(data, "hello", 5);
	send_tcp(&t, "10.0.2.2", TH_ACK | TH_PUSH, "world!");
	assert_int_equal(recv(fd, buf, 6, MSG_WAITALL), 6);
	assert_memory_equal(buf, "world!", 6);
	close(fd);
}

/* Whether the guest gets to a server of the host's. */
static bool gets_out(u16 port)
{
	struct tcp t = {.port = 3000, .peer_port = port, .seq = 5000};
	size_t len;

	send_tcp(&t, "10.0.2.2", TH_SYN, "");
	return next_tcp(&t, TH_SYN, false, &len, 2000);
}

static void all_of(const char *backend)
{
	char more[64];
	u16 port, server;
	int fd, srv = listener(&server);

	if (!have(backend)) {
		print_message("no %s here\n", backend);
		close(srv);
		skip();
	}
	fd = listener(&port);
	snprintf(more, sizeof(more), ",forward=tcp:127.0.0.1:%u:7", port);
	/* In use by somebody else: refused by name. */
	{
		char arg[128];
		int err;

		snprintf(arg, sizeof(arg), "mode=user,backend=%s%s", backend, more);
		assert_int_equal(net_config_parse(arg, &guest.cfg), 0);
		capture_begin(STDERR_FILENO);
		err = net_open(&guest.net, guest.cfg, "net0");
		assert_one_line(capture_end(), "the host's port: Address already in use");
		assert_int_equal(err, -EADDRINUSE);
		free(guest.cfg);
	}
	close(fd);
	up(backend, more);
	check_dhcp(!strcmp(backend, "slirp"));
	learn_gateway();
	if (!strcmp(backend, "slirp"))
		check_ping();
	check_forward(port);
	assert_true(gets_out(server));
	down();
	close(srv);
}

static void test_slirp(void **state)
{
	all_of("slirp");
}

static void test_passt(void **state)
{
	all_of("passt");
}

static void test_restrict(void **state)
{
	u16 server;
	int srv = listener(&server);

	if (!have("slirp")) {
		close(srv);
		skip();
	}
	up("slirp", ",restrict");
	learn_gateway();
	assert_false(gets_out(server));
	down();
	close(srv);
}

/* Many frames that nobody takes: libslirp's thread waits, and can be stopped all the same. */
static void test_full(void **state)
{
	u8 echo[1400] = {8, 0, 0, 0, 1, 2, 3, 4};
	u32 sent = 0;

	if (!have("slirp"))
		skip();
	up("slirp", "");
	learn_gateway();
	for (u32 i = 0; i < 20000; i++) {
		struct frame f = ether(ETHERTYPE_IP, guest.peer);
		struct iphdr ip = {.ihl = 5, .version = 4, .ttl = 64, .protocol = 1, .tot_len = htons(1420)};
		struct iovec iov = {f.data, 0};

		ip.saddr = inet_addr("10.0.2.15");
		ip.daddr = inet_addr("10.0.2.2");
		ip.check = htons((u16)~sum(&ip, 20, 0));
		echo[2] = echo[3] = 0;
		echo[2] = (u8)((u16)~sum(echo, sizeof(echo), 0) >> 8);
		echo[3] = (u8)~sum(echo, sizeof(echo), 0);
		add(&f, &ip, 20);
		add(&f, echo, sizeof(echo));
		iov.iov_len = f.len;
		if (net_send(&guest.net->queue[0], &iov, 1) == -EAGAIN)
			break;
		sent++;
	}
	assert_true(sent < 20000);
	down();
}

/* ---- what ends --------------------------------------------------------------------------------------------
 */

/* What there is of frames is taken, until the link is gone: why. */
static ssize_t end_of_link(void)
{
	struct pollfd p = {.fd = guest.net->queue[0].fd, .events = POLLIN};
	struct iovec iov = {guest.in.data, sizeof(guest.in.data)};
	ssize_t n;

	while ((n = net_recv(&guest.net->queue[0], &iov, 1)) >= 0 || n == -EAGAIN)
		if (n == -EAGAIN && poll(&p, 1, WAIT_S * 1000) != 1)
			fail_msg("nothing tells that the link is gone");
	assert_true(net_is_gone(n));
	/* It stays so. */
	assert_int_equal(net_recv(&guest.net->queue[0], &iov, 1), n);
	return n;
}

static ssize_t send_anything(void)
{
	struct iovec iov = {guest.in.data, 60};

	return net_send(&guest.net->queue[0], &iov, 1);
}

/* The process that has `word` in its command line, and passt as its name; 0: none. */
static pid_t passt_with(const char *word)
{
	DIR *proc = opendir("/proc");
	pid_t found = 0;

	assert_non_null(proc);
	for (struct dirent *d = readdir(proc); d && !found; d = readdir(proc)) {
		pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);
		char path[64], line[1024];
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
		fd = pid ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		if (fd < 0)
			continue;
		n = read(fd, line, sizeof(line));
		close(fd);
		if (n > 0 && memmem(line, (size_t)n, "passt", 5) &&
		    memmem(line, (size_t)n, word, strlen(word)))
			found = pid;
	}
	closedir(proc);
	return found;
}

static void test_passt_killed(void **state)
{
	char more[64];
	ssize_t sent;
	u16 port;
	pid_t pid;

	if (!have("passt"))
		skip();
	close(listener(&port));
	snprintf(more, sizeof(more), ",forward=tcp:127.0.0.1:%u:7", port);
	up("passt", more);
	snprintf(more, sizeof(more), "127.0.0.1/%u:7", port);
	pid = passt_with(more);
	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(end_of_link(), -EPIPE);
	sent = send_anything();
	assert_true(net_is_gone(sent));
	down();
}

/* A passt of a few words, which says `text` to us and ends. */
static void with_passt(const char *text, ssize_t why)
{
	char dir[] = "/tmp/lkvm-passt-XXXXXX", path[64], *old = strdup(getenv("PATH")), both[4096];
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/passt", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\nprintf '%s' >&3\n", text);
	fclose(f);
	chmod(path, 0700);
	snprintf(both, sizeof(both), "%s:%s", dir, old);
	setenv("PATH", both, 1);
	up("passt", "");
	assert_int_equal(end_of_link(), why);
	down();
	setenv("PATH", old, 1);
	free(old);
	unlink(path);
	rmdir(dir);
}

static void test_passt_ends(void **state)
{
	with_passt("", -EPIPE);
	/* Lengths that no frame has: none at all, and too many bytes by one. */
	with_passt("\\000\\000\\000\\000frame", -EPROTO);
	with_passt("\\000\\001\\000\\016frame", -EPROTO);
	/* Half a frame. */
	with_passt("\\000\\000\\000\\100half", -EPIPE);
}

static void test_slirp_ends(void **state)
{
	static const u8 all[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	if (!have("slirp"))
		skip();
	up("slirp", "");
	atomic_store(&poll_err, ENOMEM);
	/* Has its thread come by. */
	send_arp(ARPOP_REQUEST, all, "10.0.2.2");
	assert_int_equal(end_of_link(), -EPIPE);
	assert_int_equal(send_anything(), -EPIPE);
	atomic_store(&poll_err, 0);
	down();
}

static void refused(const char *arg, const char *part)
{
	struct net_config *cfg;
	struct net *net = NULL;

	assert_int_equal(net_config_parse(arg, &cfg), 0);
	capture_begin(STDERR_FILENO);
	assert_true(net_open(&net, cfg, "net0") < 0);
	assert_one_line(capture_end(), part);
	assert_null(net);
	free(cfg);
}

static void test_refused(void **state)
{
	char *path = strdup(getenv("PATH"));

	if (have("passt")) {
		refused("mode=user,backend=passt,restrict", "restrict takes backend=slirp");
		refused("mode=user,backend=passt,mtu=65535", "passt has 65520");
		refused("mode=user,backend=passt,forward=tcp:9:10.0.2.16:9", "takes backend=slirp");
	}
	if (have("slirp"))
		refused("mode=user,backend=slirp,mtu=65535", "libslirp has 65521");
	setenv("PATH", "/nowhere:", 1);
	refused("mode=user,backend=passt", "no program passt");
	/* Neither: a tap is what is left, and it says so. */
	no_library = true;
	refused("mode=user", "and neither is here: there is mode=tap only");
	refused("mode=user,backend=slirp", "this lkvm has no libslirp");
	setenv("PATH", "", 1);
	refused("mode=user", "and neither is here: there is mode=tap only");
	no_library = false;
	setenv("PATH", path, 1);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slirp),	     cmocka_unit_test(test_passt),
		cmocka_unit_test(test_restrict),     cmocka_unit_test(test_full),
		cmocka_unit_test(test_passt_killed), cmocka_unit_test(test_passt_ends),
		cmocka_unit_test(test_slirp_ends),   cmocka_unit_test(test_refused),
	};

	test_thread = pthread_self();

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* The argument of --network: every key, what goes together, each message one line. */
#include "capture.h"
#include <arpa/inet.h>
#include <errno.h>
#include <lkvm/net.h>
#include <stdio.h>

static struct net_config *good(const char *arg)
{
	struct net_config *cfg = NULL;

	if (net_config_parse(arg, &cfg))
		fail_msg("%s: refused", arg);
	return cfg;
}

static void bad(const char *arg, const char *part)
{
	struct net_config *cfg = NULL;
	int err;

	capture_begin(STDERR_FILENO);
	err = net_config_parse(arg, &cfg);
	assert_one_line(capture_end(), part);
	assert_int_equal(err, -EINVAL);
	assert_null(cfg);
}

static void test_defaults(void **state)
{
	struct net_config *cfg = good("mode=user");

	assert_int_equal(cfg->mode, NET_USER);
	assert_int_equal(cfg->queues, 1);
	assert_false(cfg->mac_given || cfg->restricted || cfg->no_offload);
	assert_int_equal(cfg->nr_forwards + cfg->nr_fds, 0);
	free(cfg);
}

static void test_tap(void **state)
{
	const u8 mac[] = {0x02, 0, 0xab, 0xCD, 0x5, 0xff};
	struct net_config *cfg = good("mode=tap,tap=tap7,queues=4,mac=02:0:ab:CD:5:ff,mtu=9000,vhost=off,"
				      "script=/etc/up,,down,downscript=/bin/true,no-offload");

	assert_int_equal(cfg->mode, NET_TAP);
	assert_string_equal(cfg->tap, "tap7");
	assert_int_equal(cfg->queues, 4);
	assert_int_equal(cfg->mtu, 9000);
	assert_int_equal(cfg->vhost, NET_VHOST_OFF);
	assert_memory_equal(cfg->mac, mac, sizeof(mac));
	assert_string_equal(cfg->script, "/etc/up,down");
	assert_string_equal(cfg->downscript, "/bin/true");
	assert_true(cfg->mac_given && cfg->no_offload);
	free(cfg);

	cfg = good("mode=tap,fd=5:16:7");
	assert_int_equal(cfg->queues, 3);
	assert_int_equal(cfg->fd[1], 16);
	free(cfg);
	cfg = good("mode=macvtap,ifname=macvtap0,queues=2");
	assert_int_equal(cfg->mode, NET_MACVTAP);
	assert_string_equal(cfg->ifname, "macvtap0");
	free(cfg);
}

static void assert_forward(const struct net_forward *f, bool udp, const char *host, u16 hport,
			   const char *guest, u16 gport)
{
	assert_int_equal(f->udp, udp);
	assert_int_equal(f->host_addr, inet_addr(host));
	assert_int_equal(f->host_port, hport);
	assert_int_equal(f->guest_addr, inet_addr(guest));
	assert_int_equal(f->guest_port, gport);
}

static void test_forwards(void **state)
{
	struct net_config *cfg =
		good("mode=user,forward=tcp:2222:22,forward=udp:127.0.0.1:53:10.0.2.15:5353,"
		     "forward=tcp::80:8080,forward=tcp:1:10.0.2.16:65535,backend=slirp,restrict");

	assert_int_equal(cfg->nr_forwards, 4);
	assert_forward(&cfg->forward[0], false, "0.0.0.0", 2222, "0.0.0.0", 22);
	assert_forward(&cfg->forward[1], true, "127.0.0.1", 53, "10.0.2.15", 5353);
	assert_forward(&cfg->forward[2], false, "0.0.0.0", 80, "0.0.0.0", 8080);
	assert_forward(&cfg->forward[3], false, "0.0.0.0", 1, "10.0.2.16", 65535);
	assert_int_equal(cfg->backend, NET_BACKEND_SLIRP);
	assert_true(cfg->restricted);
	free(cfg);
}

static void test_refused(void **state)
{
	static const char *const forwards[] = {
		"tcp",
		"tcp:",
		"tcp:22",
		"tcp:0:22",
		"tcp:22:65536",
		"icmp:1:2",
		"tcp:a:22",
		"tcp:22:22:3",
		"tcp:1.2.3:1:2",
		"tcp:1.2.3.4:1",
		"tcp:1.2.3.4:1:x.y:2",
		"tcp:22:-1",
		"tcp:1.2.3.4:22:1.2.3.4:22:5",
	};
	static const char *const macs[] = {"02:00:00:00:00",	 "02:00:00:00:00:00:00", "02-00-00-00-00-00",
					   "02:00:00:00:00:123", "02:00:00:00:00:0g",	 ":00:00:00:00:00",
					   "02:00:00:00:00: 1",	 "+2:00:00:00:00:00"};
	char arg[128];

	for (size_t i = 0; i < ARRAY_SIZE(forwards); i++) {
		snprintf(arg, sizeof(arg), "mode=user,forward=%s", forwards[i]);
		bad(arg, "give tcp:[HOSTADDR:]PORT");
	}
	for (size_t i = 0; i < ARRAY_SIZE(macs); i++) {
		snprintf(arg, sizeof(arg), "mode=user,mac=%s", macs[i]);
		bad(arg, "six hexadecimal numbers");
	}
	bad("mode=user,mac=01:00:00:00:00:00", "multicast");
	bad("mode=user,mac=00:00:00:00:00:00", "none");
	bad("mode=bridge", "give user, tap or macvtap");
	bad("mod=tap", "did you mean mode");
	bad("mode=tap,queues=0", "queues=0");
	bad("mode=tap,queues=33", "queues=33");
	bad("mode=tap,mtu=67", "mtu=67");
	bad("mode=tap,mtu=65536", "mtu=65536");
	bad("mode=tap,fd=x", "number of an open tap");
	bad("mode=tap,fd=5:", "number of an open tap");
	bad("mode=tap,fd=-1", "number of an open tap");
	bad("mode=tap,fd=99999999999", "number of an open tap");
	bad("mode=tap,fd=5:6,queues=3", "leave queues= out");
	bad("mode=tap,fd=5,tap=tap0", "each say which interface");
	bad("mode=tap,tap=a/b", "no name of an interface");
	bad("mode=tap,tap=0123456789abcdef", "no name of an interface");
	bad("mode=tap,ifname=..", "no name of an interface");
	bad("mode=tap,forward=tcp:1:2", "forward= goes with mode=user");
	bad("mode=tap,restrict", "restrict= goes with mode=user");
	bad("mode=tap,backend=passt", "backend= goes with mode=user");
	bad("mode=user,tap=tap0", "tap= goes with mode=tap");
	bad("mode=user,fd=3", "fd= goes with mode=tap");
	bad("mode=user,script=/x", "script= goes with mode=tap");
	bad("mode=macvtap,ifname=m,downscript=/x", "downscript= goes with mode=tap");
	bad("mode=user,ifname=x", "ifname= goes with");
	bad("mode=user,queues=2", "queues= goes with");
	bad("mode=user,vhost=on", "vhost=on= goes with");
	bad("mode=macvtap", "takes ifname=");
}

static void test_many(void **state)
{
	char arg[2048] = "mode=user";

	for (u32 i = 0; i < NET_MAX_FORWARDS; i++)
		snprintf(arg + strlen(arg), sizeof(arg) - strlen(arg), ",forward=tcp:%u:22", 1000 + i);
	free(good(arg));
	strcat(arg, ",forward=tcp:1:22");
	bad(arg, "more than 32");
	strcpy(arg, "mode=tap,fd=3");
	for (u32 i = 0; i < NET_MAX_QUEUES - 1; i++)
		strcat(arg, ":4");
	free(good(arg));
	strcat(arg, ":4");
	bad(arg, "more than 32");
}

static void test_mac_of(void **state)
{
	u8 a[NET_MAC_LEN], b[NET_MAC_LEN];

	net_mac_of(a, "vm", 0);
	net_mac_of(b, "vm", 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(a[0] & 3, 2);
	net_mac_of(b, "vm", 1);
	assert_memory_not_equal(a, b, sizeof(a));
	net_mac_of(b, "vn", 0);
	assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_tap),  cmocka_unit_test(test_forwards),
		cmocka_unit_test(test_refused),	 cmocka_unit_test(test_many), cmocka_unit_test(test_mac_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

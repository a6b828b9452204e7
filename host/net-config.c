/* SPDX-License-Identifier: MIT */
/*
 * The argument of --network, taken apart and checked: which keys there are, and which go together. Main
 * thread, before a VM exists; opens nothing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <lkvm/keyval.h>
#include <lkvm/log.h>
#include <lkvm/net.h>
#include <lkvm/option.h>
#include <stdlib.h>
#include <string.h>

static const char *const mode_words[] = {
	[NET_USER] = "user", [NET_TAP] = "tap", [NET_MACVTAP] = "macvtap", NULL};
static const char *const backend_words[] = {
	[NET_BACKEND_AUTO] = "auto", [NET_BACKEND_SLIRP] = "slirp", [NET_BACKEND_PASST] = "passt", NULL};
static const char *const vhost_words[] = {
	[NET_VHOST_AUTO] = "auto", [NET_VHOST_ON] = "on", [NET_VHOST_OFF] = "off", NULL};

static int parse_mac(void *target, const char *what, const char *value)
{
	struct net_config *cfg = target;
	const char *p = value;

	for (u32 i = 0; i < NET_MAC_LEN; i++) {
		char *end;

		/* strtoul() alone would take blanks and signs. */
		if (!strchr("0123456789abcdefABCDEF", *p) || !*p)
			goto bad;
		cfg->mac[i] = (u8)strtoul(p, &end, 16);
		if (end > p + 2 || *end != (i == NET_MAC_LEN - 1 ? 0 : ':'))
			goto bad;
		p = end + 1;
	}
	if (cfg->mac[0] & 1 || !memcmp(cfg->mac, "\0\0\0\0\0", NET_MAC_LEN)) {
		log_error("%s: mac=%s: a multicast address or none: the first number is to be even: 02:...",
			  what, value);
		return -EINVAL;
	}
	cfg->mac_given = true;
	return 0;
bad:
	log_error("%s: mac=%s: no address: give six hexadecimal numbers, 02:00:00:12:34:56", what, value);
	return -EINVAL;
}

static int parse_fds(void *target, const char *what, const char *value)
{
	struct net_config *cfg = target;
	const char *p = value;

	for (;;) {
		char *end;
		unsigned long fd = strtoul(p, &end, 10);

		if (end == p || *p < '0' || *p > '9' || fd > INT32_MAX || (*end && *end != ':'))
			break;
		if (cfg->nr_fds == NET_MAX_QUEUES) {
			log_error("%s: fd=%s: more than %d", what, value, NET_MAX_QUEUES);
			return -EINVAL;
		}
		cfg->fd[cfg->nr_fds++] = (int)fd;
		if (!*end)
			return 0;
		p = end + 1;
	}
	log_error("%s: fd=%s: give the number of an open tap, or one a queue: 5:6:7", what, value);
	return -EINVAL;
}

/* The next field of *s up to a colon, or NULL. */
static char *field(char **s)
{
	char *begin = *s, *colon;

	if (!begin)
		return NULL;
	colon = strchr(begin, ':');
	if (colon)
		*colon++ = 0;
	*s = colon;
	return begin;
}

static bool parse_port(const char *s, u16 *port)
{
	u64 n;

	if (!s || parse_u64(s, &n) || !n || n > 65535)
		return false;
	*port = (u16)n;
	return true;
}

static bool parse_addr(const char *s, u32 *addr)
{
	struct in_addr in;

	if (!*s)
		return true; /* as if left out */
	if (inet_pton(AF_INET, s, &in) != 1)
		return false;
	*addr = in.s_addr;
	return true;
}

static bool is_addr(const char *s)
{
	return !*s || strchr(s, '.');
}

/* tcp:[HOSTADDR:]HPORT:[GUESTADDR:]GPORT */
static int parse_forward(void *target, const char *what, const char *value)
{
	struct net_config *cfg = target;
	struct net_forward *f = &cfg->forward[cfg->nr_forwards];
	char text[96], *rest = text, *proto, *p;

	if (cfg->nr_forwards == NET_MAX_FORWARDS) {
		log_error("%s: more than %d times forward=", what, NET_MAX_FORWARDS);
		return -EINVAL;
	}
	if (strlen(value) >= sizeof(text))
		goto bad;
	strcpy(text, value);
	memset(f, 0, sizeof(*f));
	proto = field(&rest);
	f->udp = !strcmp(proto, "udp");
	if (!f->udp && strcmp(proto, "tcp"))
		goto bad;
	p = field(&rest);
	if (p && is_addr(p)) {
		if (!parse_addr(p, &f->host_addr))
			goto bad;
		p = field(&rest);
	}
	if (!parse_port(p, &f->host_port))
		goto bad;
	p = field(&rest);
	if (p && is_addr(p)) {
		if (!parse_addr(p, &f->guest_addr))
			goto bad;
		p = field(&rest);
	}
	if (!parse_port(p, &f->guest_port) || rest)
		goto bad;
	cfg->nr_forwards++;
	return 0;
bad:
	log_error("%s: forward=%s: give tcp:[HOSTADDR:]PORT:[GUESTADDR:]PORT, or udp: tcp:2222:22", what,
		  value);
	return -EINVAL;
}

#define FIELD(f) .offset = offsetof(struct net_config, f)
static const struct keyval keys[] = {
	{.key = "mode", .kind = KV_CHOICE, FIELD(mode), .words = mode_words},
	{.key = "tap", .kind = KV_STRING, FIELD(tap)},
	{.key = "ifname", .kind = KV_STRING, FIELD(ifname)},
	{.key = "fd", .kind = KV_CALL, .parse = parse_fds},
	{.key = "script", .kind = KV_STRING, FIELD(script)},
	{.key = "downscript", .kind = KV_STRING, FIELD(downscript)},
	{.key = "queues", .kind = KV_INT, FIELD(queues), .min = 1, .max = NET_MAX_QUEUES},
	{.key = "mac", .kind = KV_CALL, .parse = parse_mac},
	{.key = "mtu", .kind = KV_INT, FIELD(mtu), .min = NET_MIN_MTU, .max = NET_MAX_MTU},
	{.key = "no-offload", .kind = KV_FLAG, FIELD(no_offload)},
	{.key = "vhost", .kind = KV_CHOICE, FIELD(vhost), .words = vhost_words},
	{.key = "backend", .kind = KV_CHOICE, FIELD(backend), .words = backend_words},
	{.key = "forward", .kind = KV_CALL, .parse = parse_forward},
	{.key = "restrict", .kind = KV_FLAG, FIELD(restricted)},
	{.kind = KV_END},
};

static int misplaced(const char *key, const char *mode)
{
	log_error("--network: %s= goes with mode=%s only", key, mode);
	return -EINVAL;
}

static int check_ifname(const char *key, const char *name)
{
	if (!name ||
	    (strlen(name) < IFNAMSIZ && !strpbrk(name, "/ ") && strcmp(name, ".") && strcmp(name, "..")))
		return 0;
	log_error("--network: %s=%s: no name of an interface: give 1 to %d characters", key, name,
		  IFNAMSIZ - 1);
	return -EINVAL;
}

static int check(struct net_config *cfg)
{
	bool tap = cfg->mode == NET_TAP, user = cfg->mode == NET_USER;

	if (cfg->tap && !tap)
		return misplaced("tap", "tap");
	if (cfg->nr_fds && user)
		return misplaced("fd", "tap or mode=macvtap");
	if ((cfg->script || cfg->downscript) && !tap)
		return misplaced(cfg->script ? "script" : "downscript", "tap");
	if (cfg->ifname && user)
		return misplaced("ifname", "tap or mode=macvtap");
	if (cfg->queues > 1 && user)
		return misplaced("queues", "tap or mode=macvtap");
	if (cfg->vhost == NET_VHOST_ON && user)
		return misplaced("vhost=on", "tap or mode=macvtap");
	if (!user && cfg->backend)
		return misplaced("backend", "user");
	if (!user && cfg->nr_forwards)
		return misplaced("forward", "user");
	if (!user && cfg->restricted)
		return misplaced("restrict", "user");
	if (cfg->mode == NET_MACVTAP && !cfg->ifname && !cfg->nr_fds) {
		log_error(
			"--network: mode=macvtap takes ifname=, a macvtap that exists: ip link add link eth0 name "
			"macvtap0 type macvtap");
		return -EINVAL;
	}
	if (!!cfg->tap + !!cfg->ifname + !!cfg->nr_fds > 1) {
		log_error("--network: tap=, ifname= and fd= each say which interface: give one");
		return -EINVAL;
	}
	if (cfg->nr_fds && cfg->queues && cfg->queues != cfg->nr_fds) {
		log_error("--network: queues=%llu, and fd= has %u: leave queues= out",
			  (unsigned long long)cfg->queues, cfg->nr_fds);
		return -EINVAL;
	}
	if (!cfg->queues)
		cfg->queues = cfg->nr_fds ? cfg->nr_fds : 1;
	return check_ifname("tap", cfg->tap) ?: check_ifname("ifname", cfg->ifname);
}

int net_config_parse(const char *arg, struct net_config **out)
{
	size_t len = strlen(arg) + 1;
	struct net_config *cfg = calloc(1, sizeof(*cfg) + len);
	int err;

	if (!cfg)
		return -ENOMEM;
	memcpy(cfg->text, arg, len);
	err = keyval_parse("--network", cfg->text, keys, cfg);
	if (!err)
		err = check(cfg);
	if (err)
		free(cfg);
	else
		*out = cfg;
	return err;
}

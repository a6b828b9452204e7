/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: open64 stat64 ioctl */
/*
 * Networks by a tap, with the kernel's own taps in a network namespace of the test's. Where a process may
 * have none, or there is no /dev/net/tun, they are skipped. Who may not open a tap is told what is missing:
 * on nodes, and a kernel, that refuse as the test says.
 */
#include "capture.h"
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <lkvm/net.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static bool usable;
static char dir[64];

/* ---- a host that refuses ------------------------------------------------------------------------------ */

static struct {
	int node_err;	/* of opening a tap's node */
	int attach_err; /* of TUNSETIFF, on a node that opens */
	mode_t mode;	/* of the node */
	uid_t uid;
	gid_t gid;
	const char *owner, *group, *ifindex; /* what /sys/class/net/NAME has; owner NULL: the real ones */
} no;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	bool node = !strncmp(path, "/dev/net/tun", 12) || !strncmp(path, "/dev/tap", 8);
	const char *key = strrchr(path, '/'), *text;
	va_list ap;
	int mode, fd;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	if (node && no.node_err) {
		errno = no.node_err;
		return -1;
	}
	if (node && no.attach_err)
		return __real_open64("/dev/null", flags, mode);
	if (!no.owner || strncmp(path, "/sys/class/net/", 15))
		return __real_open64(path, flags, mode);
	text = !strcmp(key, "/owner") ? no.owner : !strcmp(key, "/group") ? no.group : no.ifindex;
	fd = memfd_create("number", MFD_CLOEXEC);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

int __real_stat64(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st)
{
	if (!no.mode || strncmp(path, "/dev/", 5))
		return __real_stat64(path, st);
	*st = (struct stat){.st_mode = S_IFCHR | no.mode, .st_uid = no.uid, .st_gid = no.gid};
	return 0;
}

int __real_ioctl(int fd, unsigned long req, ...);
int __wrap_ioctl(int fd, unsigned long req, ...);
int __wrap_ioctl(int fd, unsigned long req, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (req == TUNSETIFF && no.attach_err) {
		errno = no.attach_err;
		return -1;
	}
	return __real_ioctl(fd, req, arg);
}

static struct net_config *config(const char *arg)
{
	struct net_config *cfg = NULL;

	assert_int_equal(net_config_parse(arg, &cfg), 0);
	return cfg;
}

static int refused(const char *arg, const char *part)
{
	struct net_config *cfg = config(arg);
	struct net *net = NULL;
	int err;

	capture_begin(STDERR_FILENO);
	err = net_open(&net, cfg, "net0");
	assert_one_line(capture_end(), part);
	assert_true(err < 0);
	free(cfg);
	return err;
}

/* A tap of that name, kept alive by the fd. */
static int make_tap(const char *name, short flags)
{
	struct ifreq ifr = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags)};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static int interface(const char *name, unsigned long req)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	err = ioctl(fd, req, &ifr);
	close(fd);
	return err < 0 ? -1 : req == SIOCGIFMTU ? ifr.ifr_mtu : ifr.ifr_flags;
}

/* Frames on the interface, as the host's network sees them. */
static int packet_socket(const char *name)
{
	struct sockaddr_ll sll = {.sll_family = AF_PACKET,
				  .sll_protocol = htons(0x88b5),
				  .sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x88b5));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sll, sizeof(sll)), 0);
	return fd;
}

/* The next frame of the test's own protocol. */
static ssize_t receive(struct net_queue *q, u8 *buf, size_t room)
{
	struct pollfd p = {.fd = q->fd, .events = POLLIN};
	u32 at = q->net->vnet_hdr ? NET_HDR_LEN + 12 : 12;

	for (;;) {
		struct iovec iov[] = {{buf, 5}, {buf + 5, room - 5}};
		ssize_t n = net_recv(q, iov, 2);

		if (n == -EAGAIN) {
			if (poll(&p, 1, 20000) != 1)
				return -1;
			continue;
		}
		if (n < 0 || (buf[at] == 0x88 && buf[at + 1] == 0xb5))
			return n;
	}
}

static void exchange(struct net *net, u32 queue)
{
	u8 frame[100] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x88, 0xb5, 'h', 'i'}, buf[2048] = {0};
	u32 skip = net->vnet_hdr ? NET_HDR_LEN : 0;
	int fd = packet_socket(net->ifname);
	struct iovec iov[] = {{buf, skip + 10}, {buf + skip + 10, sizeof(frame) - 10}};

	assert_int_equal(send(fd, frame, sizeof(frame), 0), sizeof(frame));
	assert_int_equal(receive(&net->queue[queue], buf, sizeof(buf)), skip + sizeof(frame));
	assert_memory_equal(buf + skip, frame, sizeof(frame));
	memset(buf, 0, skip);
	buf[skip + 15] = 'o';
	assert_int_equal(net_send(&net->queue[queue], iov, 2), skip + sizeof(frame));
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), sizeof(frame));
	assert_int_equal(buf[15], 'o');
	close(fd);
}

static struct net *open_net(struct net_config *cfg)
{
	struct net *net = NULL;

	assert_int_equal(net_open(&net, cfg, "net0"), 0);
	return net;
}

static void test_made(void **state)
{
	struct net_config *cfg;
	struct net *net;

	if (!usable)
		skip();
	cfg = config("mode=tap,mtu=1400,ifname=made0");
	net = open_net(cfg);
	assert_string_equal(net->ifname, "made0");
	assert_true(net->vnet_hdr);
	assert_int_equal(net->mtu, 1400);
	assert_int_equal(interface("made0", SIOCGIFMTU), 1400);
	assert_true(interface("made0", SIOCGIFFLAGS) & IFF_UP);
	assert_true(net->offload & TUN_F_TSO4);
	assert_int_equal(net_set_offload(net, net->offload), 0);
	assert_int_equal(net_set_offload(net, 0), 0);
	assert_int_equal(net_set_offload(net, 1u << 31), -EINVAL);
	exchange(net, 0);
	/* A second one of that name is refused. */
	refused("mode=tap,ifname=made0", "exists already: give tap=made0");
	net_close(net);
	assert_int_equal(if_nametoindex("made0"), 0);
	free(cfg);
	/* The kernel chooses a name. */
	cfg = config("mode=tap,no-offload");
	net = open_net(cfg);
	assert_true(!strncmp(net->ifname, "lkvm", 4));
	assert_int_equal(net->offload, 0);
	net_close(net);
	free(cfg);
}

static void test_existing(void **state)
{
	static const short kinds[] = {0, IFF_VNET_HDR, IFF_MULTI_QUEUE, IFF_MULTI_QUEUE | IFF_VNET_HDR};

	if (!usable)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct net_config *cfg = config("mode=tap,tap=there0");
		int fd = make_tap("there0", kinds[i]), on = 1;
		struct net *net;

		assert_int_equal(ioctl(fd, TUNSETPERSIST, on), 0);
		close(fd);
		net = open_net(cfg);
		assert_int_equal(net->mtu, 1500);
		/* It is brought up by whoever made it. */
		assert_false(interface("there0", SIOCGIFFLAGS) & IFF_UP);
		if (!(kinds[i] & IFF_MULTI_QUEUE))
			refused("mode=tap,tap=there0", "in use by another process");
		refused("mode=tap,tap=there0,mtu=9000",
			kinds[i] & IFF_MULTI_QUEUE ? "there0 has 1500" : "in use");
		net_close(net);
		if (!(kinds[i] & IFF_MULTI_QUEUE))
			refused("mode=tap,tap=there0,queues=2", "multi_queue, or leave queues= out");
		fd = make_tap("there0", kinds[i]);
		ioctl(fd, TUNSETPERSIST, 0);
		close(fd);
		free(cfg);
	}
}

static void test_queues(void **state)
{
	struct net_config *cfg;
	struct net *net;

	if (!usable)
		skip();
	cfg = config("mode=tap,queues=4");
	net = open_net(cfg);
	assert_int_equal(net->nr_queues, 4);
	assert_int_equal(net_set_queues(net, 1), 0);
	exchange(net, 0);
	assert_int_equal(net_set_queues(net, 3), 0);
	assert_int_equal(net_set_queues(net, 4), 0);
	assert_int_equal(net_set_queues(net, 2), 0);
	assert_int_equal(net_set_queues(net, 0), -EINVAL);
	assert_int_equal(net_set_queues(net, 5), -EINVAL);
	assert_int_equal(net_set_queues(net, 1), 0);
	exchange(net, 0);
	net_close(net);
	free(cfg);
}

static void test_fds(void **state)
{
	struct net_config *cfg;
	char arg[64];
	struct net *net;
	int fd, other;

	if (!usable)
		skip();
	for (u32 vnet = 0; vnet < 2; vnet++) {
		fd = make_tap("given0", vnet ? IFF_VNET_HDR : 0);
		assert_true(fd >= 0);
		snprintf(arg, sizeof(arg), "mode=tap,fd=%d", fd);
		cfg = config(arg);
		/* Twice, as a VM that is built again does. */
		for (u32 i = 0; i < 2; i++) {
			net = open_net(cfg);
			assert_string_equal(net->ifname, "given0");
			assert_int_equal(net->vnet_hdr, vnet);
			assert_int_equal(!!net->offload, vnet);
			net_close(net);
		}
		free(cfg);
		close(fd);
	}
	refused("mode=tap,fd=999", "is not open");
	other = open("/dev/null", O_RDWR | O_CLOEXEC);
	snprintf(arg, sizeof(arg), "mode=tap,fd=%d", other);
	refused(arg, "is no tap set up");
	close(other);
}

static const char *script(const char *name, const char *text)
{
	static char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", text);
	fclose(f);
	chmod(path, 0700);
	return path;
}

static void test_scripts(void **state)
{
	struct net_config *cfg;
	char arg[512], file[128];
	struct stat st;
	struct net *net;

	if (!usable)
		skip();
	snprintf(file, sizeof(file), "%s/marks", dir);
	snprintf(arg, sizeof(arg), "echo \"up $1\" >>%s", file);
	script("up", arg);
	snprintf(arg, sizeof(arg), "echo \"down $1\" >>%s", file);
	script("down", arg);
	snprintf(arg, sizeof(arg), "mode=tap,ifname=marked0,script=%s/up,downscript=%s/down", dir, dir);
	cfg = config(arg);
	net = open_net(cfg);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_size, strlen("up marked0\n"));
	net_close(net);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_size, strlen("up marked0\ndown marked0\n"));
	free(cfg);
	script("fails", "exit 3");
	snprintf(arg, sizeof(arg), "mode=tap,ifname=marked0,script=%s/fails,downscript=%s/down", dir, dir);
	refused(arg, "failed with status 3");
	script("dies", "kill -9 $$");
	snprintf(arg, sizeof(arg), "mode=tap,script=%s/dies", dir);
	refused(arg, "ended by signal 9");
	refused("mode=tap,script=/nowhere/script", "cannot be run: No such file");
	/* The down script of a tap that never came up does not run. */
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_size, strlen("up marked0\ndown marked0\n"));
	assert_int_equal(if_nametoindex("marked0"), 0);
}

/* As somebody who may not: in a child. */
static void without_rights(const char *arg, const char *part)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
		struct __user_cap_data_struct none[2] = {0};

		if (syscall(SYS_capset, &head, none) < 0)
			_exit(99);
		refused(arg, part);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 99) {
		print_message("capset is refused here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_refused(void **state)
{
	int fd;

	if (!usable)
		skip();
	refused("mode=tap,tap=gone0", "there is no such interface");
	refused("mode=tap,tap=lo", "is no tap");
	refused("mode=macvtap,ifname=gone0", "there is no such interface");
	/* lo has index 1 everywhere, so that another namespace's /sys does as well. */
	refused("mode=macvtap,ifname=lo", "lo: is no macvtap");
	fd = make_tap("owned0", 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	assert_int_equal(ioctl(fd, TUNSETOWNER, 12345), 0);
	close(fd);
	without_rights("mode=tap", "takes CAP_NET_ADMIN");
	without_rights("mode=tap,tap=owned0", "CAP_NET_ADMIN");
	fd = make_tap("owned0", 0);
	ioctl(fd, TUNSETPERSIST, 0);
	close(fd);
}

/* A node that cannot be opened: what it lacks, or who may use it. */
static void test_node(void **state)
{
	struct group *group = NULL;
	char part[128];

	no.node_err = ENOENT;
	refused("mode=tap", "/dev/net/tun: is not there: modprobe tun");
	no.owner = "-1"; /* an index that /sys does not know: not this namespace's */
	no.ifindex = "77";
	refused("mode=macvtap,ifname=lo", "/dev/tap1: is not there: udev makes it");
	no.node_err = ENODEV;
	refused("mode=macvtap,ifname=lo", "/dev/tap1: the kernel has no driver for it: modprobe macvtap");
	refused("mode=tap", "/dev/net/tun: the kernel has no driver for it: modprobe tun");
	no.node_err = ENXIO;
	refused("mode=tap", "modprobe tun");
	no.node_err = EIO;
	refused("mode=tap", "/dev/net/tun: Input/output error");

	setgrent();
	while (!group || !group->gr_gid)
		if (!(group = getgrent()))
			skip();
	no.gid = group->gr_gid;
	no.uid = 4711;
	snprintf(part, sizeof(part), "may be used by group %s only: become a member of it", group->gr_name);
	endgrent();
	no.node_err = EACCES;
	no.mode = 0660;
	refused("mode=tap", part);
	no.node_err = EPERM;
	refused("mode=macvtap,ifname=lo", part);
	/* Its group is nobody's, or may not either. */
	no.gid = 0;
	refused("mode=tap", "may be used by its owner (user 4711) only");
	no.gid = 999999;
	refused("mode=tap", "may be used by its owner (user 4711) only");
	no.mode = 0600;
	no.gid = 1;
	refused("mode=tap", "may be used by its owner (user 4711) only");
}

/* A tap that is somebody else's, or used. */
static void test_attach(void **state)
{
	no.attach_err = EPERM;
	refused("mode=tap", "making a tap takes CAP_NET_ADMIN");
	no.owner = "12345\n";
	no.group = "-1\n";
	refused("mode=tap,tap=lo", "belongs to user 12345: be that, or have CAP_NET_ADMIN");
	no.owner = "-1\n";
	no.group = "54321\n";
	refused("mode=tap,tap=lo", "belongs to group 54321: be that, or have CAP_NET_ADMIN");
	no.group = "-1\n";
	refused("mode=tap,tap=lo", "belongs to another user");
	no.attach_err = EBUSY;
	refused("mode=tap,tap=lo", "is in use by another process");
	no.attach_err = E2BIG;
	refused("mode=tap,tap=lo,queues=2", "give a smaller queues=");
}

static int nothing_refused(void **state)
{
	memset(&no, 0, sizeof(no));
	return 0;
}

/* Whoever has the right deletes a tap that is in use. */
static void delete_link(const char *name)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} ask = {
		.head = {.nlmsg_len = sizeof(ask),
			 .nlmsg_type = RTM_DELLINK,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)if_nametoindex(name)},
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr err;
		u8 more[256];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	assert_int_equal(send(fd, &ask, sizeof(ask), 0), sizeof(ask));
	assert_true(recv(fd, &answer, sizeof(answer), 0) >= (ssize_t)(sizeof(answer) - sizeof(answer.more)));
	assert_int_equal(answer.head.nlmsg_type, NLMSG_ERROR);
	assert_int_equal(answer.err.error, 0);
	close(fd);
}

/* There is news of interfaces, and this is what it means for our own. */
static void watched(struct net *net, int err)
{
	struct pollfd p = {.fd = net->watch, .events = POLLIN};

	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(net_check(net), err);
	assert_int_equal(poll(&p, 1, 0), 0);
}

static void test_deleted(void **state)
{
	struct net_config *cfg;
	struct net *net;
	u8 buf[256] = {0};
	struct iovec iov = {buf, sizeof(buf)};
	struct pollfd p;
	ssize_t n;

	if (!usable)
		skip();
	cfg = config("mode=tap,ifname=brief0");
	net = open_net(cfg);
	/* Down, it sends nothing, but that may change. */
	assert_int_equal(interface("brief0", SIOCSIFFLAGS), 0);
	assert_int_equal(net_send(&net->queue[0], &iov, 1), -EIO);
	assert_false(net_is_gone(-EIO));
	watched(net, 0);
	delete_link("brief0");
	watched(net, -EBADFD);
	p = (struct pollfd){.fd = net->queue[0].fd, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_true(p.revents & POLLERR);
	n = net_recv(&net->queue[0], &iov, 1);
	assert_int_equal(n, -EBADFD);
	assert_true(net_is_gone(n));
	assert_int_equal(net_send(&net->queue[0], &iov, 1), -EBADFD);
	net_close(net);
	free(cfg);
}

static int group_setup(void **state)
{
	int fd;

	snprintf(dir, sizeof(dir), "/tmp/lkvm-tap-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		print_message("no network namespace for this test: %s\n", strerror(errno));
		return 0;
	}
	fd = make_tap("probe0", 0);
	usable = fd >= 0;
	if (usable)
		close(fd);
	else
		print_message("no tap for this test: %s\n", strerror(errno));
	return 0;
}

static int group_teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made),
		cmocka_unit_test(test_existing),
		cmocka_unit_test(test_queues),
		cmocka_unit_test(test_fds),
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_refused),
		cmocka_unit_test_teardown(test_node, nothing_refused),
		cmocka_unit_test_teardown(test_attach, nothing_refused),
		cmocka_unit_test(test_deleted),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

/* SPDX-License-Identifier: MIT */
/*
 * Small services for interfaces of the host: netdevice(7) ioctls by name, word of changes by rtnetlink(7),
 * and the scripts that people have for a tap. Main thread.
 */
#include "net-priv.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <lkvm/log.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int link_ioctl(const char *ifname, unsigned long req, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", ifname);
	err = ioctl(fd, req, ifr) < 0 ? -errno : 0;
	close(fd);
	return err;
}

int net_link_get_mtu(const char *ifname, u32 *mtu)
{
	struct ifreq ifr = {0};
	int err = link_ioctl(ifname, SIOCGIFMTU, &ifr);

	if (!err)
		*mtu = (u32)ifr.ifr_mtu;
	return err;
}

int net_link_set_mtu(const char *ifname, u32 mtu)
{
	struct ifreq ifr = {.ifr_mtu = (int)mtu};

	return link_ioctl(ifname, SIOCSIFMTU, &ifr);
}

int net_link_get_mac(const char *ifname, u8 mac[NET_MAC_LEN])
{
	struct ifreq ifr = {0};
	int err = link_ioctl(ifname, SIOCGIFHWADDR, &ifr);

	if (!err)
		memcpy(mac, ifr.ifr_hwaddr.sa_data, NET_MAC_LEN);
	return err;
}

int net_link_up(const char *ifname)
{
	struct ifreq ifr = {0};
	int err = link_ioctl(ifname, SIOCGIFFLAGS, &ifr);

	if (err || ifr.ifr_flags & IFF_UP)
		return err;
	ifr.ifr_flags |= IFF_UP;
	return link_ioctl(ifname, SIOCSIFFLAGS, &ifr);
}

int net_link_watch(void)
{
	struct sockaddr_nl links = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE), err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&links, sizeof(links)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

void net_link_drain(int fd)
{
	char text[64];

	/* The rest of each message is cut off. Too many of them (ENOBUFS) are word enough. */
	while (recv(fd, text, sizeof(text), 0) >= 0 || errno == EINTR || errno == ENOBUFS)
		;
}

int net_script_run(const char *who, const char *script, const char *ifname)
{
	char *argv[] = {(char *)(uintptr_t)script, (char *)(uintptr_t)ifname, NULL};
	posix_spawnattr_t attr;
	sigset_t none, all;
	int err, status;
	pid_t pid;

	/* Our signals are blocked and taken by a signalfd: a script starts as from a shell. */
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	/* Asked first: some emulators of user space give no other word of it than the child's status. */
	err = access(script, X_OK) ? -errno : -posix_spawn(&pid, script, NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	if (err) {
		log_error("%s: script %s: cannot be run: %s", who, script, strerror(-err));
		return err;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (WIFEXITED(status))
		log_error("%s: script %s %s: failed with status %d", who, script, ifname,
			  WEXITSTATUS(status));
	else
		log_error("%s: script %s %s: ended by signal %d", who, script, ifname, WTERMSIG(status));
	return -ECHILD;
}

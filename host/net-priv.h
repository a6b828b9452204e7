/* SPDX-License-Identifier: MIT */
/* What the files of host/net*.c share; see lkvm/net.h. */
#ifndef HOST_NET_PRIV_H
#define HOST_NET_PRIV_H

#include <lkvm/net.h>

extern const struct net_ops net_tap_ops, net_macvtap_ops, net_slirp_ops, net_passt_ops;

/* The path of the passt program, by PATH; false when there is none. */
bool net_passt_find(char *path, size_t room);

/* runs "script ifname" and waits for it. -errno or -ECHILD (it failed), after one logged line. */
int __must_check net_script_run(const char *who, const char *script, const char *ifname);

/* ioctls of an interface by name, on a socket of their own (host/net-link.c). All -errno, silent. */
int __must_check net_link_get_mtu(const char *ifname, u32 *mtu);
int __must_check net_link_set_mtu(const char *ifname, u32 mtu);
int __must_check net_link_get_mac(const char *ifname, u8 mac[NET_MAC_LEN]);
int __must_check net_link_up(const char *ifname);

/*
 * An fd that is readable after something changed of this network namespace's interfaces; -errno, silent. The
 * drain takes what it has.
 */
int __must_check net_link_watch(void);
void net_link_drain(int fd);

#endif

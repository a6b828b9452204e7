/* SPDX-License-Identifier: MIT */
/*
 * libslirp's functions, looked up in the library when there is a network that needs it: other VMs neither
 * wait for it (and for the GLib below it) at their start nor have it in their memory.
 */
#ifndef HOST_NET_SLIRP_H
#define HOST_NET_SLIRP_H

#include <lkvm/types.h>
#include <slirp/libslirp.h>

struct slirp_api {
	void *library;
	__typeof__(slirp_new) *new;
	__typeof__(slirp_cleanup) *cleanup;
	__typeof__(slirp_pollfds_fill) *pollfds_fill;
	__typeof__(slirp_pollfds_poll) *pollfds_poll;
	__typeof__(slirp_input) *input;
	__typeof__(slirp_add_hostfwd) *add_hostfwd;
};

/* host/slirp-load.c, which the static lkvm is linked without: then slirp_load is NULL. */
int __must_check slirp_load(struct slirp_api *api) __attribute__((weak)); /* -ENOENT, silent */
void slirp_unload(struct slirp_api *api) __attribute__((weak));

#endif

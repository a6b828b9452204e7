/* SPDX-License-Identifier: MIT */
/*
 * Brings libslirp into the process when it is needed (net-slirp.h). Not part of the static lkvm: a library of
 * the system's would bring a second libc along. Main thread.
 */
#if LKVM_HAVE_LIBSLIRP
#include "net-slirp.h"
#include <dlfcn.h>
#include <errno.h>

#define SLIRP_LIBRARY "libslirp.so.0"

int slirp_load(struct slirp_api *api)
{
	struct {
		const char *name;
		void **at;
	} function[] = {
		{"slirp_new", (void **)&api->new},
		{"slirp_cleanup", (void **)&api->cleanup},
		{"slirp_pollfds_fill", (void **)&api->pollfds_fill},
		{"slirp_pollfds_poll", (void **)&api->pollfds_poll},
		{"slirp_input", (void **)&api->input},
		{"slirp_add_hostfwd", (void **)&api->add_hostfwd},
	};

	api->library = dlopen(SLIRP_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!api->library)
		return -ENOENT;
	for (size_t i = 0; i < ARRAY_SIZE(function); i++) {
		*function[i].at = dlsym(api->library, function[i].name);
		if (!*function[i].at) {
			slirp_unload(api);
			return -ENOENT;
		}
	}
	return 0;
}

void slirp_unload(struct slirp_api *api)
{
	if (api->library)
		dlclose(api->library);
	api->library = NULL;
}
#endif

/* SPDX-License-Identifier: MIT */
/*
 * `lkvm run`: options to a struct vm_config, and that to kvm_session(). The exit statuses are in
 * docs/exit-status.md.
 */
#include <errno.h>
#include <lkvm/config.h>
#include <lkvm/kvm.h>
#include <lkvm/verb.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern const struct verb verb_run;

static int run_run(int argc, char **argv)
{
	struct vm_config cfg;
	struct timespec ts;
	bool help;
	int err, status;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	err = config_parse(&cfg, argc, argv, &help);
	cfg.start_ns = (u64)ts.tv_sec * 1000000000ull + (u64)ts.tv_nsec;
	if (err == -ENOMEM)
		log_error("run: %s", strerror(-err));
	if (err) {
		status = err == -EINVAL ? EXIT_USAGE : EXIT_HOST_ERROR;
	} else if (help) {
		config_help(STDOUT_FILENO);
		status = 0;
	} else {
		status = kvm_session(&cfg);
	}
	config_free(&cfg);
	return status;
}

const struct verb verb_run = {
	.name = "run",
	.summary = "run a virtual machine",
	.run = run_run,
	.help = config_help,
};

/* SPDX-License-Identifier: MIT */
/* `lkvm version [--build-options]`: which lkvm this is and what it was built with. */
#include <lkvm/block.h>
#include <lkvm/machine.h>
#include <lkvm/net.h>
#include <lkvm/verb.h>
#include <stdio.h>

extern const struct verb verb_version;

struct version_options {
	bool build;
};

static const struct cli_option version_options[] = {
	{"build-options", 0, OPT_FLAG, 0, NULL, "also machines, compiler, sanitizers and optional libraries",
	 .offset = offsetof(struct version_options, build)},
	VERB_HELP_OPTION,
	{.kind = OPT_END},
};

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

#ifdef __has_feature
#define FEATURE(x) __has_feature(x)
#else
#define FEATURE(x) 0
#endif

static void print_build(void)
{
	const struct {
		const char *name;
		bool there;
	} library[] = {
		{"liburing", LKVM_HAVE_LIBURING},
		{"libslirp", net_slirp_present()},
		{"libseccomp", LKVM_HAVE_LIBSECCOMP},
		{"libzstd", block_reads_zstd()},
	};
	const char *sanitizer = "none";

#if defined(__SANITIZE_ADDRESS__) || FEATURE(address_sanitizer)
	sanitizer = "address";
#elif defined(__SANITIZE_THREAD__) || FEATURE(thread_sanitizer)
	sanitizer = "thread";
#endif
	printf("machines:");
	for (size_t i = 0; machines[i]; i++)
		printf(" %s", machines[i]->name);
	printf("\ncompiler: %s\nsanitizer: %s\n", COMPILER, sanitizer);
	for (size_t i = 0; i < ARRAY_SIZE(library); i++)
		printf("%s: %s\n", library[i].name, library[i].there ? "yes" : "no");
}

static void version_help(int fd)
{
	verb_options_help(&verb_version, version_options, fd,
			  "Usage: lkvm version [--build-options]\nPrints the version.\n\n");
}

static int version_run(int argc, char **argv)
{
	struct version_options opts = {0};
	int err = verb_options(&verb_version, version_options, &opts, argc, argv);

	if (err)
		return err < 0 ? EXIT_USAGE : 0;
	printf("lkvm %s\n", LKVM_VERSION);
	if (opts.build)
		print_build();
	return fflush(stdout) ? EXIT_HOST_ERROR : 0;
}

const struct verb verb_version = {
	.name = "version",
	.summary = "print the version, and what it was built with",
	.run = version_run,
	.help = version_help,
};

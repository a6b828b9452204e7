/* SPDX-License-Identifier: MIT */
/*
 * The command line of `lkvm run`: each line of the input is one word. Whatever is taken must be within the
 * bounds that the rest of lkvm relies on; what is refused must be refused as a mistake of usage.
 */
#include <assert.h>
#include <errno.h>
#include <lkvm/config.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	char *text = malloc(size + 1), *argv[WORDS_MAX + 1] = {(char[]){"run"}};
	struct vm_config cfg;
	int argc = 1, err;
	bool help;

	memcpy(text, data, size);
	text[size] = 0;
	for (char *line = text, *next; line && argc < WORDS_MAX; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		/* What is in a file is fuzz-runfile's matter, and the host's files are nobody's. */
		if (!strstr(line, "conf"))
			argv[argc++] = line;
	}
	err = config_parse(&cfg, argc, argv, &help);
	assert(!err || err == -EINVAL);
	if (!err && !help) {
		assert(cfg.kernel && *cfg.kernel);
		assert(cfg.name && *cfg.name && *cfg.name != '.' && strlen(cfg.name) <= 48 &&
		       !strchr(cfg.name, '/'));
		assert(cfg.cpus >= 1 && cfg.cpus <= 4096);
		assert(cfg.mem_size >= MiB(1) && cfg.mem_size % (u64)sysconf(_SC_PAGESIZE) == 0);
		assert(cfg.boot <= BOOT_FLAT && cfg.on_reboot <= ON_REBOOT_RESTART);
		assert(cfg.timeout <= 1000000000);
		assert(cfg.dev && *cfg.dev && cfg.console);
	}
	config_free(&cfg);
	free(text);
	return 0;
}

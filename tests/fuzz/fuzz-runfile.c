/* SPDX-License-Identifier: MIT */
/* The run file of --config, by lkvm's own table of options. */
#include <assert.h>
#include <errno.h>
#include <lkvm/config.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	const struct cli_option *const tables[] = {run_options, NULL};
	struct vm_config cfg = {0};
	struct option_parser p = {.verb = "run", .tables = tables, .target = &cfg};
	char *text = malloc(size + 1);
	int err;

	memcpy(text, data, size);
	text[size] = 0;
	err = config_apply_text(&p, "file", text);
	assert(!err || err == -EINVAL);
	/* Every string that was taken lies in the text. */
	for (size_t i = 0; i < cfg.params.count; i++)
		assert(cfg.params.item[i] > text && cfg.params.item[i] <= text + size);
	if (cfg.kernel)
		assert(cfg.kernel > text && cfg.kernel + strlen(cfg.kernel) <= text + size);
	assert(cfg.cpus <= 4096);
	options_done(&p);
	free(text);
	config_free(&cfg);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Verdicts and configs of the lab's programs (prog.h). Main thread. */
#include "prog.h"

#include <lkvm/kvm-device.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ARGUMENTS_MAX 32

u32 failures;

static void line(const char *what, const char *fmt, va_list ap)
{
	printf("%s ", what);
	vprintf(fmt, ap);
	printf("\n");
	/* What guests write goes past stdio. */
	fflush(stdout);
}

void result(bool ok, const char *fmt, ...)
{
	va_list ap;

	failures += !ok;
	va_start(ap, fmt);
	line(ok ? "ok" : "not ok", fmt, ap);
	va_end(ap);
}

void result_err(int got, int want, const char *fmt, ...)
{
	va_list ap;

	failures += got != want;
	va_start(ap, fmt);
	line(got == want ? "ok" : "not ok", fmt, ap);
	va_end(ap);
	if (got != want)
		diag("got %s, expected %s", got ? errno_name(got) : "0", want ? errno_name(want) : "0");
}

void diag(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("#", fmt, ap);
	va_end(ap);
}

int finish(void)
{
	printf("done\n");
	return failures ? 1 : 0;
}

void configure(struct vm_config *cfg, const char *const *arguments)
{
	const char *argv[ARGUMENTS_MAX] = {"run"};
	int argc = 1;
	bool help;

	while (*arguments && argc < ARGUMENTS_MAX)
		argv[argc++] = *arguments++;
	if (config_parse(cfg, argc, (char **)(uintptr_t)argv, &help)) {
		diag("the command line was refused");
		exit(2);
	}
}

/* SPDX-License-Identifier: MIT */
/* Lists of host CPUs (cpulist.h), from options and from files of sysfs. Any thread; no state. */
#include <errno.h>
#include <lkvm/cpulist.h>
#include <stdlib.h>

/* Digits at *p, which moves behind them. */
static bool number(const char **p, unsigned long *n)
{
	char *end;

	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	*n = strtoul(*p, &end, 10);
	*p = end;
	return !errno && *n < CPU_SETSIZE;
}

int cpulist_parse(const char *text, cpu_set_t *set)
{
	const char *p = text;

	CPU_ZERO(set);
	for (;;) {
		unsigned long first, last;

		if (!number(&p, &first))
			return -EINVAL;
		last = first;
		if (*p == '-' && (p++, !number(&p, &last) || last < first))
			return -EINVAL;
		for (; first <= last; first++)
			CPU_SET(first, set);
		if (!*p)
			return 0;
		if (*p++ != ',')
			return -EINVAL;
	}
}

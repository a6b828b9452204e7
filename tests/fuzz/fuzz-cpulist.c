/* SPDX-License-Identifier: MIT */
/*
 * Lists of CPUs (util/cpulist.c), as options and sysfs have them. A list that is taken has a CPU at least,
 * and written out again it is the same set.
 */
#include "fuzz-vm.h"
#include <errno.h>
#include <lkvm/cpulist.h>

static void write_out(const cpu_set_t *set, struct buf *out)
{
	for (u32 first = 0, last; first < CPU_SETSIZE; first++) {
		if (!CPU_ISSET(first, set))
			continue;
		for (last = first; last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set); last++)
			;
		buf_printf(out, "%s%u", out->len ? "," : "", first);
		if (last > first)
			buf_printf(out, "-%u", last);
		first = last;
	}
	buf_u8(out, 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	char *text = malloc(size + 1);
	struct buf out = {0};
	cpu_set_t set, again;
	int err;

	memcpy(text, data, size);
	text[size] = 0;
	err = cpulist_parse(text, &set);
	fuzz_assert(!err || err == -EINVAL, "a list is taken or is a mistake");
	if (!err) {
		fuzz_assert(CPU_COUNT(&set), "a list has a CPU");
		fuzz_assert(strspn(text, "0123456789,-") == strlen(text), "a list is digits, commas, dashes");
		write_out(&set, &out);
		fuzz_assert(!cpulist_parse((const char *)out.data, &again) && CPU_EQUAL(&set, &again),
			    "a set is its list");
	}
	buf_free(&out);
	free(text);
	return 0;
}

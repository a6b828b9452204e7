/* SPDX-License-Identifier: MIT */
/*
 * Reading the device tree of a VM that is up (core-vm.h): it is in `fdt`, and --dump-dtb has put it into the
 * file `dump`, which make_bed() makes and remove_bed() removes (cmocka's group setup and teardown).
 */
#ifndef LKVM_TEST_DT_READ_H
#define LKVM_TEST_DT_READ_H

#include "fdt-sound.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const void *fdt;
static __unused char dump[96];

static __unused int make_bed(void **state)
{
	const char *tmp = getenv("TMPDIR");
	int fd;

	snprintf(dump, sizeof(dump), "%.40s/lkvm-dtb-XXXXXX", tmp ? tmp : "/tmp");
	fd = mkstemp(dump);
	return fd < 0 ? -1 : close(fd);
}

static __unused int remove_bed(void **state)
{
	return unlink(dump);
}

/* The options of a VM whose tree goes into `dump`: these, ending with NULL, behind that one. */
static __unused void dump_options(const char *all[20], const char *const *more)
{
	u32 n = 0;

	all[n++] = "--dump-dtb";
	all[n++] = dump;
	for (; more && *more; more++) {
		assert_true(n < 19);
		all[n++] = *more;
	}
	all[n] = NULL;
}

/* The tree that boot() left there is sound. */
static __unused void take_tree(const struct guest_mem *mem, gpa_t gpa, u64 size)
{
	fdt = guest_ptr(mem, gpa, size);
	assert_non_null(fdt);
	assert_int_equal(fdt_sound(fdt, size), 0);
}

static __unused int node(const char *path)
{
	int at = fdt_path_offset(fdt, path);

	if (at < 0)
		fail_msg("%s: %s", path, fdt_strerror(at));
	return at;
}

/* Of any length for want -1. */
static __unused const u8 *prop(int at, const char *name, int want)
{
	int len;
	const void *p = fdt_getprop(fdt, at, name, &len);

	if (!p || (want >= 0 && len != want))
		fail_msg("%s/%s: %d bytes, wanted %d", fdt_get_name(fdt, at, NULL), name, len, want);
	return p;
}

static __unused const char *text(int at, const char *name)
{
	return (const char *)prop(at, name, -1);
}

static __unused bool has_string(int at, const char *name, const char *want)
{
	return fdt_stringlist_search(fdt, at, name, want) >= 0;
}

static __unused u32 cell(int at, const char *name, u32 i)
{
	int len;
	const u8 *p = fdt_getprop(fdt, at, name, &len);

	if (!p || (int)(4 * i + 4) > len)
		fail_msg("%s/%s: no cell %u", fdt_get_name(fdt, at, NULL), name, i);
	return fdt32_ld((const void *)(p + 4 * i));
}

static __unused u64 cell64(int at, const char *name, u32 i)
{
	return (u64)cell(at, name, 2 * i) << 32 | cell(at, name, 2 * i + 1);
}

static __unused bool has(int at, const char *name)
{
	return fdt_getprop(fdt, at, name, NULL);
}

static __unused bool have_dtc(void)
{
	return !system("command -v dtc >/dev/null 2>&1");
}

/* dtc reads `dump`, and has nothing to say about it. */
static __unused void assert_dtc(void)
{
	char command[160], said[1024];
	FILE *f;
	size_t n;

	snprintf(command, sizeof(command), "dtc -I dtb -O dts -o /dev/null %s 2>&1", dump);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(said, 1, sizeof(said) - 1, f);
	said[n] = '\0';
	assert_int_equal(pclose(f), 0);
	assert_string_equal(said, "");
}

#endif

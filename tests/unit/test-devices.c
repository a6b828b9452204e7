/* SPDX-License-Identifier: MIT */
/*
 * `lkvm devices` on fake hosts: what it says of types and attributes that are there, absent, unknown or
 * broken, in both forms; its errors; and that it leaves nothing behind, whichever call fails.
 */
#include "fake-kvm.h"

#include <lkvm/json.h>
#include <lkvm/kvm-device.h>
#include <lkvm/machine.h>
#include <lkvm/verb.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
	u32 fds;
	char out[32768], err[4096];
} bed;

static int setup(void **state)
{
	fake_kvm_reset();
	bed.fds = fake_count_fds();
	return 0;
}

static int teardown(void **state)
{
	u32 left = fake_kvm_open_fds(NULL);

	fake_kvm_reset();
	return left || fake_count_fds() != bed.fds;
}

static void take(FILE *f, char *text, size_t room)
{
	size_t n;

	rewind(f);
	n = fread(text, 1, room - 1, f);
	text[n] = '\0';
	fclose(f);
}

static int devices(const char *const *more)
{
	const char *argv[8] = {"devices"};
	int argc = 1, old_out = dup(STDOUT_FILENO), old_err = dup(STDERR_FILENO), status;
	FILE *out = tmpfile(), *err = tmpfile();

	for (; more && *more; more++)
		argv[argc++] = *more;
	fflush(stdout);
	fflush(stderr);
	dup2(fileno(out), STDOUT_FILENO);
	dup2(fileno(err), STDERR_FILENO);
	status = verb_find("devices")->run(argc, (char **)(uintptr_t)argv);
	fflush(stdout);
	dup2(old_out, STDOUT_FILENO);
	dup2(old_err, STDERR_FILENO);
	close(old_out);
	close(old_err);
	take(out, bed.out, sizeof(bed.out));
	take(err, bed.err, sizeof(bed.err));
	return status;
}

static const char *const as_json[] = {"--json", NULL};

static struct json_value *devices_json(void)
{
	struct json_value *v = NULL;

	assert_int_equal(devices(as_json), 0);
	assert_string_equal(bed.err, "");
	assert_int_equal(json_parse(bed.out, strlen(bed.out), &v), 0);
	return v;
}

/* The first object of array `list` whose `key` is `name`. */
static const struct json_value *find(const struct json_value *v, const char *list, const char *key,
				     const char *name)
{
	const struct json_value *array = json_get(v, list);

	assert_non_null(array);
	for (const struct json_value *item = array->child; item; item = item->next)
		if (!strcmp(json_get_str(item, key, ""), name))
			return item;
	return NULL;
}

static u32 count(const struct json_value *array)
{
	u32 n = 0;

	for (const struct json_value *item = array->child; item; item = item->next)
		n++;
	return n;
}

/* ---- what is there -------------------------------------------------------------------------------- */

static void test_text(void **state)
{
	assert_int_equal(devices(NULL), 0);
	assert_string_equal(bed.err, "");
	assert_non_null(strstr(bed.out, "/dev/kvm: KVM API version 12, machine "));
	assert_non_null(strstr(bed.out, "\n  yes      4  vfio "));
	assert_non_null(strstr(bed.out, "\n  no       7  arm-vgic-v3 "));
	assert_non_null(strstr(bed.out, "KVM_CAP_IRQ_ROUTING"));
	for (const char *line = bed.out; *line; line = strchr(line, '\n') + 1)
		assert_true(strchr(line, '\n') && strchr(line, '\n')[-1] != ' ');
}

static void test_json(void **state)
{
	struct json_value *v = devices_json();
	const struct json_value *item;

	assert_string_equal(json_get_str(v, "device", ""), "/dev/kvm");
	assert_true(json_get_num(v, "api_version", 0) == 12);
	assert_string_equal(json_get_str(v, "machine", ""), machines[0]->name);
	assert_int_equal(count(json_get(v, "types")), kvm_nr_device_infos);
	item = find(v, "types", "name", "vfio");
	assert_true(json_get_num(item, "type", 0) == 4);
	assert_true(json_get_bool(item, "available", false) && json_get_bool(item, "known", false));
	item = find(v, "types", "name", "xive");
	assert_true(json_get_num(item, "type", 0) == 9);
	assert_false(json_get_bool(item, "available", true));
	item = find(v, "capabilities", "name", "KVM_CAP_IRQ_ROUTING");
	assert_true(json_get_num(item, "value", 0) == 4096);
	for (const struct kvm_cap *cap = machines[0]->required_caps; cap->name; cap++) {
		item = find(v, "capabilities", "name", cap->name);
		assert_true(json_get_bool(item, "required", false));
		assert_true(json_get_num(item, "number", 0) == cap->cap);
	}
	assert_false(
		json_get_bool(find(v, "capabilities", "name", "KVM_CAP_SYS_ATTRIBUTES"), "required", true));
	json_free(v);
}

/* Every attribute of the tables comes out as its table has it. */
static void test_attributes(void **state)
{
	static const char *const on[] = {[KVM_ON_DEVICE] = "device",
					 [KVM_ON_VCPU] = "vcpu",
					 [KVM_ON_VM] = "vm",
					 [KVM_ON_SYSTEM] = "system"};
	struct json_value *v = devices_json();
	const struct json_value *item;
	u32 n = 0;

	for (const struct kvm_attr_table *const *t = machines[0]->attr_tables; *t; t++) {
		if ((*t)->on == KVM_ON_DEVICE && (*t)->type != KVM_DEV_TYPE_VFIO)
			continue;
		for (size_t i = 0; i < (*t)->count; i++, n++) {
			const struct kvm_attr *a = &(*t)->attrs[i];

			item = find(v, "attributes", "name", a->name);
			assert_non_null(item);
			assert_string_equal(json_get_str(item, "on", ""), on[(*t)->on]);
			assert_string_equal(json_get_str(item, "owner", ""), (*t)->owner);
			assert_true(json_get_num(item, "group", -1) == a->group);
			assert_true(json_get_num(item, "size", -1) == a->size);
			assert_true(json_get_bool(item, "readable", false) == !!(a->flags & KVM_ATTR_R));
			assert_true(json_get_bool(item, "writable", false) == !!(a->flags & KVM_ATTR_W));
		}
	}
	assert_int_equal(count(json_get(v, "attributes")), n);
	item = find(v, "attributes", "name", "KVM_X86_XCOMP_GUEST_SUPP");
	assert_true(json_get_bool(item, "available", false));
	assert_string_equal(json_get_str(item, "value", ""), "0x7");
	item = find(v, "attributes", "name", "KVM_X86_SNP_POLICY_BITS");
	assert_false(json_get_bool(item, "available", true));
	assert_null(json_get(item, "value"));
	item = find(v, "attributes", "name", "KVM_VCPU_TSC_OFFSET");
	assert_string_equal(json_get_str(item, "value", ""), "0x0");
	assert_string_equal(json_get_str(item, "attr", ""), "0x0");
	item = find(v, "attributes", "name", "KVM_DEV_VFIO_FILE_ADD");
	assert_true(json_get_num(item, "type", 0) == 4 && json_get_bool(item, "available", false));
	json_free(v);
}

static const struct fake_device_type newer = {.type = 23, .name = "newer"};

static void test_unknown_type(void **state)
{
	const struct json_value *item;
	struct json_value *v;

	fake_kvm_add_type(&newer);
	assert_int_equal(devices(NULL), 0);
	assert_non_null(strstr(bed.out, "type 23 (unknown to this lkvm)"));
	v = devices_json();
	item = find(v, "types", "name", "unknown");
	assert_true(json_get_num(item, "type", 0) == 23);
	assert_false(json_get_bool(item, "known", true));
	assert_int_equal(count(json_get(v, "types")), kvm_nr_device_infos + 1);
	json_free(v);
	/* It was asked for and not made. */
	for (u32 i = 0; fake_kvm_vm(i); i++)
		for (struct fake_device *d = fake_kvm_vm(i)->devices; d; d = d->next)
			assert_int_not_equal(d->obj.id, 23);
}

/* ---- what is not ------------------------------------------------------------------------------------- */

static void test_no_attributes(void **state)
{
	struct json_value *v;

	fake_kvm_set_cap(KVM_CAP_SYS_ATTRIBUTES, 0);
	fake_kvm_set_cap(KVM_CAP_VCPU_ATTRIBUTES, 0);
	fake_kvm_remove_type(KVM_DEV_TYPE_VFIO);
	v = devices_json();
	assert_null(find(v, "attributes", "on", "device"));
	for (const struct json_value *a = json_get(v, "attributes")->child; a; a = a->next) {
		assert_false(json_get_bool(a, "available", true));
		assert_null(json_get(a, "value"));
	}
	json_free(v);
	assert_int_equal(devices(NULL), 0);
	assert_null(strstr(bed.out, "KVM_DEV_VFIO_FILE"));
	assert_non_null(strstr(bed.out, "no       4  vfio"));
}

/* An attribute that is there and cannot be read now says why in the value's place. */
static void test_unreadable(void **state)
{
	const struct json_value *item;
	struct json_value *v;

	fake_kvm_fail(KVM_GET_DEVICE_ATTR, 0, EBUSY);
	assert_int_equal(devices(NULL), 0);
	assert_non_null(strstr(bed.out, "(EBUSY)"));
	v = devices_json();
	item = find(v, "attributes", "name", "KVM_VCPU_TSC_OFFSET");
	assert_true(json_get_bool(item, "available", false));
	assert_string_equal(json_get_str(item, "error", ""), "EBUSY");
	assert_null(json_get(item, "value"));
	json_free(v);
}

static void test_missing_capability(void **state)
{
	fake_kvm_set_cap(machines[0]->required_caps[0].cap, 0);
	assert_int_equal(devices(NULL), 0);
	assert_non_null(strstr(bed.out, "lkvm run cannot do without"));
}

/* ---- errors ---------------------------------------------------------------------------------------------
 */

static void assert_one_line(const char *part)
{
	assert_int_equal(strncmp(bed.err, "lkvm: ", 6), 0);
	assert_ptr_equal(strchr(bed.err, '\n'), bed.err + strlen(bed.err) - 1);
	if (!strstr(bed.err, part))
		print_error("%s", bed.err);
	assert_non_null(strstr(bed.err, part));
	assert_string_equal(bed.out, "");
}

static void test_errors(void **state)
{
	static const char *const other[] = {"--dev", "/dev/other", NULL};
	static const char *const wrong[] = {"--jsn", NULL};
	static const char *const word[] = {"vfio", NULL};
	static const char *const help[] = {"--help", NULL};

	fake_kvm_fail(FAKE_OPEN, 1, ENOENT);
	assert_int_equal(devices(other), 1);
	assert_one_line("/dev/other: there is none");
	fake_kvm_fail(FAKE_OPEN, 1, EACCES);
	assert_int_equal(devices(NULL), 1);
	assert_one_line("/dev/kvm: no permission; add yourself to the group that owns it (usually kvm)");
	fake_kvm_fail(KVM_GET_API_VERSION, 1, ENOTTY);
	assert_int_equal(devices(NULL), 1);
	assert_one_line("/dev/kvm: not a KVM device");
	assert_int_equal(devices(wrong), 2);
	assert_one_line("--jsn");
	assert_int_equal(devices(word), 2);
	assert_one_line("vfio");
	assert_int_equal(devices(help), 0);
	assert_non_null(strstr(bed.out, "--json"));
}

/* Every call fails in turn: a report or one line, and nothing left over. */
static void test_each_failure(void **state)
{
	u32 calls, failed = 0;

	assert_int_equal(devices(as_json), 0);
	calls = fake_kvm_nr_calls();
	assert_true(calls > 40);
	for (u32 n = 1; n <= calls; n++) {
		struct json_value *v;
		int status;

		fake_kvm_reset();
		fake_kvm_fail_nth(n, EIO);
		status = devices(as_json);
		assert_true(fake_kvm_call(n - 1).injected);
		if (status) {
			failed++;
			assert_int_equal(status, 1);
			assert_one_line("");
		} else {
			assert_int_equal(json_parse(bed.out, strlen(bed.out), &v), 0);
			json_free(v);
		}
		assert_int_equal(fake_kvm_open_fds(NULL), 0);
	}
	assert_int_equal(failed, 4); /* open, API version, and a scratch VM two times */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_json, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_type, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_attributes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_capability, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_failure, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * `lkvm devices` on an arm64 host: every attribute of the machine's tables is asked for where it can be
 * there, on a vCPU and in VMs that never run, and what newer kernels have besides is said to be missing.
 */
#include "arm-session.h"
#include <lkvm/json.h>
#include <lkvm/verb.h>

static struct json_value *devices(void)
{
	char *argv[] = {(char *)(uintptr_t) "devices", (char *)(uintptr_t) "--json"};
	struct json_value *v = NULL;
	const char *text;
	int status;

	capture_begin(STDOUT_FILENO);
	status = verb_find("devices")->run(2, argv);
	fflush(stdout);
	text = capture_end();
	assert_int_equal(status, 0);
	assert_int_equal(json_parse(text, strlen(text), &v), 0);
	return v;
}

static const struct json_value *find(const struct json_value *v, const char *owner, const char *name)
{
	const struct json_value *list = json_get(v, "attributes");

	for (const struct json_value *item = list ? list->child : NULL; item; item = item->next)
		if (!strcmp(json_get_str(item, "owner", ""), owner) &&
		    !strcmp(json_get_str(item, "name", ""), name))
			return item;
	return NULL;
}

static bool newer(const char *name)
{
	static const char *const names[] = {"MAINT_IRQ", "TIMER_IRQ_HVTIMER", "TIMER_IRQ_HPTIMER",
					    "PMU_V3_SET_NR_COUNTERS", "SMCCC_FILTER"};

	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static void assert_attributes(const struct json_value *v, bool pmu)
{
	u32 here = 0;

	for (const struct kvm_attr_table *const *t = machines[0]->attr_tables; *t; t++)
		for (size_t i = 0; i < (*t)->count; i++) {
			const struct kvm_attr *a = &(*t)->attrs[i];
			const struct json_value *item = find(v, (*t)->owner, a->name);
			bool want = !newer(a->name) && (pmu || strncmp(a->name, "PMU_", 4));

			if (!item || json_get_bool(item, "available", !want) != want)
				fail_msg("%s: %s: not as it should be", (*t)->owner, a->name);
			here += want;
		}
	assert_true(here > 20);
}

/* How many attributes are said to be there that no table has. */
static u32 unknown(const struct json_value *v)
{
	const struct json_value *list = json_get(v, "attributes");
	u32 n = 0;

	for (const struct json_value *item = list ? list->child : NULL; item; item = item->next)
		n += !json_get_bool(item, "known", true);
	return n;
}

static void test_attributes(void **state)
{
	struct json_value *v = devices();

	assert_attributes(v, true);
	assert_int_equal(unknown(v), 0);
	assert_int_equal(fake_kvm_count("KVM_RUN"), 0);
	json_free(v);
	session_nothing_left();
	fake_kvm_set_cap(KVM_CAP_ARM_PMU_V3, 0);
	v = devices();
	assert_attributes(v, false);
	json_free(v);
	session_nothing_left();
}

static void test_newer(void **state)
{
	struct json_value *v;

	fake_kvm_set_cap(KVM_CAP_VM_ATTRIBUTES, 1);
	v = devices();
	assert_true(json_get_bool(find(v, "vm", "SMCCC_FILTER"), "available", false));
	json_free(v);
	session_nothing_left();
}

static int newer_has(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	bool there = attr->group == KVM_DEV_ARM_VGIC_GRP_CTRL && attr->attr == 9;

	return there ? 0 : fake_gicv3.has(dev, attr);
}

/* What no table has and the kernel has all the same, beside an attribute that is there by any number. */
static void test_unknown(void **state)
{
	struct fake_device_type newer_gic = fake_gicv3;
	const struct json_value *item;
	struct json_value *v;

	newer_gic.has = newer_has;
	fake_kvm_add_type(&newer_gic);
	v = devices();
	assert_int_equal(unknown(v), 1);
	item = find(v, "gicv3", "unknown");
	assert_non_null(item);
	assert_true(json_get_bool(item, "available", false));
	assert_int_equal(json_get(item, "group")->number, KVM_DEV_ARM_VGIC_GRP_CTRL);
	assert_string_equal(json_get_str(item, "attr", ""), "0x9");
	json_free(v);
	session_nothing_left();
}

/* A host with a GICv2 only. */
static void test_v2_host(void **state)
{
	struct json_value *v;

	fake_kvm_remove_type(KVM_DEV_TYPE_ARM_VGIC_V3);
	fake_kvm_remove_type(KVM_DEV_TYPE_ARM_VGIC_ITS);
	v = devices();
	assert_true(json_get_bool(find(v, "gicv2", "V2_ADDR_TYPE_DIST"), "available", false));
	assert_int_equal(unknown(v), 0);
	assert_true(!find(v, "gicv3", "V3_ADDR_TYPE_DIST") ||
		    !json_get_bool(find(v, "gicv3", "V3_ADDR_TYPE_DIST"), "available", true));
	json_free(v);
	session_nothing_left();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SESSION_TEST(test_attributes),
		SESSION_TEST(test_newer),
		SESSION_TEST(test_unknown),
		SESSION_TEST(test_v2_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * LPIs as `lkvm debug --irqchip` prints them: from tables in the guest's memory, which the kernel is told to
 * write first, and which a guest may have filled with anything.
 */
#include "its-tables.h" /* first */
#include <lkvm/json.h>
#include <stdlib.h>

#define VALID	 (1ull << 63)
#define INDIRECT (1ull << 62)
#define OUTSIDE	 ((u64)ARM_UART(0) & ~0xffffull)
#define LEAVES	 (DEVICES + 0x100000)

static void put(u64 gpa, u64 entry)
{
	u8 raw[8];

	put_le64(raw, entry);
	assert_int_equal(guest_write(&vm.kvm.mem, gpa, raw, sizeof(raw)), 0);
}

static u64 device_entry(u64 itt, u32 bits, u32 next)
{
	return VALID | (u64)next << 49 | itt >> 8 << 5 | (bits - 1);
}

static u64 event_entry(u32 lpi, u32 collection, u32 next)
{
	return (u64)next << 48 | (u64)lpi << 16 | collection;
}

static void property(u32 lpi, u8 config)
{
	assert_int_equal(guest_write(&vm.kvm.mem, PROPERTIES + lpi - 8192, &config, 1), 0);
}

static void printed(struct buf *out)
{
	*out = walk(STATE_TEXT, 0);
	buf_u8(out, 0);
}

static void assert_line(const struct buf *out, const char *line)
{
	if (!strstr((const char *)out->data, line))
		fail_msg("no '%s' in\n%s", line, strstr((const char *)out->data, "its:"));
}

static u32 lines(const struct buf *out)
{
	u32 n = 0;

	for (const char *p = (const char *)out->data; (p = strstr(p, "  lpi")) != NULL; p++)
		n++;
	return n;
}

/* What was printed has this line, and that many LPIs. */
static void assert_printed(const char *line, u32 lpis)
{
	struct buf out;

	printed(&out);
	assert_line(&out, line);
	assert_int_equal(lines(&out), lpis);
	buf_free(&out);
}

static void test_lines(void **state)
{
	struct json_value *v = NULL;
	struct buf out;

	up_with("gicv3-its", "2");
	msis_in_use();
	property(8192, 0xa1);
	property(8200, 0xb0);
	property(8300, 0x43);
	printed(&out);
	assert_line(&out, "lpi8192: intid 8192 enabled group 1 priority 0xa0 edge cpu 0.0.0.0 device 00:01.0 "
			  "event 0\n");
	assert_line(&out,
		    "lpi8200: intid 8200 disabled group 1 priority 0xb0 edge cpu 0.0.0.1 device 00:01.0 "
		    "event 7 pending\n");
	assert_line(&out, "lpi8300: intid 8300 enabled group 1 priority 0x40 edge cpu 0.0.0.1 device 00:03.0 "
			  "event 2\n");
	assert_int_equal(lines(&out), 3);
	buf_free(&out);

	/* What became of them since then is not in the tables before it is asked for. */
	fake_its_find(fake_kvm_newest(), 8, 7)->pending = false;
	fake_its_find(fake_kvm_newest(), 24, 2)->pending = true;
	printed(&out);
	assert_line(&out, "device 00:01.0 event 7\n");
	assert_line(&out, "device 00:03.0 event 2 pending\n");
	buf_free(&out);

	out = walk(STATE_JSON, 0);
	assert_int_equal(json_parse((const char *)out.data, out.len, &v), 0);
	assert_non_null(strstr(json_get_str(json_get(v, "lpis"), "lpi8192", ""), "event 0"));
	json_free(v);
	buf_free(&out);
}

static void test_none(void **state)
{
	struct buf out;

	up_with("gicv3-its", "2");
	assert_printed("lpis:\n", 0);
	up_with("gicv3", "2");
	printed(&out);
	assert_null(strstr((const char *)out.data, "lpis"));
	buf_free(&out);
}

/* A kernel that cannot write the tables has the rest shown all the same. The failures stay, and add up. */
static void test_not_written(void **state)
{
	static const struct {
		u64 command;
		const char *says;
		u32 lpis;
	} cases[] = {
		{KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES, "pending_not_shown: KVM cannot write it", 3},
		{KVM_DEV_ARM_ITS_SAVE_TABLES, "not_shown: KVM cannot write the guest's tables: the guest's",
		 0},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		up_with("gicv3-its", "2");
		msis_in_use();
		fake_kvm_fail_arg(KVM_SET_DEVICE_ATTR, FAKE_ATTR(KVM_DEV_ARM_VGIC_GRP_CTRL, cases[i].command),
				  EACCES);
		assert_printed(cases[i].says, cases[i].lpis);
	}
}

/* A device table of two levels, as Linux has it: a device of the second page, one of the third, none between.
 */
static void test_two_levels(void **state)
{
	up_with("gicv3-its", "2");
	its_on(DEVICES | INDIRECT);
	put(DEVICES + 8, VALID | LEAVES);
	put(DEVICES + 16, VALID | (LEAVES + 0x10000));
	put(LEAVES + 5 * 8, device_entry(ITT, 2, 0x2000));
	put(LEAVES + 0x10000 + 5 * 8, device_entry(ITT + 0x1000, 1, 0));
	put(LEAVES + 0x10000 + 6 * 8, device_entry(ITT, 1, 0));
	put(ITT + 3 * 8, event_entry(8195, 6, 0));
	put(ITT + 0x1000, event_entry(8196, 7, 0));
	/* For its collection; its device's entry lies where no page of devices is told of any more. */
	fake_its_map(fake_kvm_newest(), &(struct fake_lpi){.device = 100,
							   .lpi = 8192,
							   .collection = 6,
							   .vcpu = 1,
							   .itt = LEAVES + 0x20000,
							   .bits = 1});
	assert_printed("lpi8195: intid 8195 disabled group 1 priority 0x00 edge cpu 0.0.0.1 device 20:00.5 "
		       "event 3\n",
		       2);
	assert_printed(
		"lpi8196: intid 8196 disabled group 1 priority 0x00 edge cpu none device 40:00.5 event 0\n",
		2);
}

/* What no kernel has written. */
static void test_spoilt(void **state)
{
	static const struct {
		u64 device, event, collection;
		u32 lpis;
	} cases[] = {
		{VALID | OUTSIDE >> 8 << 5 | 4, 0, 0, 0},
		{VALID | ~0ull >> 20 << 5 | 4, 0, 0, 0},
		{VALID | ITT >> 8 << 5 | 16, 8192ull << 16, VALID, 0}, /* 2^17 events */
		{VALID | ITT >> 8 << 5 | 4, 8191ull << 16, VALID, 0},
		{VALID | ITT >> 8 << 5 | 4, 65536ull << 16, VALID, 0},
		{VALID | ITT >> 8 << 5 | 4, 8192ull << 16 | 9, VALID, 1},
		{VALID | ITT >> 8 << 5 | 4, 8192ull << 16, VALID | 2ull << 16, 1},
		{VALID | ITT >> 8 << 5 | 4, 8192ull << 16, VALID | 0xfffffffffull << 16, 1},
		{VALID | ITT >> 8 << 5 | 4, 0xffffull << 48 | 8192ull << 16, VALID | 2ull << 16, 1},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		up_with("gicv3-its", "2");
		its_on(DEVICES);
		put(DEVICES + 8 * 8, cases[i].device);
		put(ITT, cases[i].event);
		put(COLLECTIONS, cases[i].collection);
		assert_printed(cases[i].lpis
				       ? "lpi8192: intid 8192 disabled group 1 priority 0x00 edge cpu none"
				       : "lpis:\n",
			       cases[i].lpis);
	}
	up_with("gicv3-its", "2");
	its_on(OUTSIDE);
	assert_printed("lpis:\n", 0);
	up_with("gicv3-its", "2");
	its_on(DEVICES | INDIRECT);
	put(DEVICES, VALID | OUTSIDE);
	put(DEVICES + 8, VALID | 0x000fffffffff0000ull);
	assert_printed("lpis:\n", 0);
}

/* Neither properties nor pending bits are where the guest says. */
static void test_no_properties(void **state)
{
	static const u32 lpi[] = {8192, 16383, 16384};

	up_with("gicv3-its", "1");
	for (u32 reg = 0x70; reg <= 0x7c; reg += 4)
		redist_set(0, reg, reg == 0x70 ? (u32)OUTSIDE | 15 : reg == 0x78 ? (u32)OUTSIDE : 0);
	its_set(0x100, VALID | DEVICES);
	its_set(0x108, VALID | COLLECTIONS);
	for (u32 i = 0; i < 3; i++)
		fake_its_map(fake_kvm_newest(),
			     &(struct fake_lpi){.event = i, .lpi = lpi[i], .itt = ITT, .bits = 2});
	assert_printed("pending_not_shown: ", 3);
	assert_printed("lpi8192: intid 8192 unknown edge cpu 0.0.0.0 device 00:00.0 event 0\n", 3);
	/* Of 2^14 interrupts, those that have properties are 8192. */
	redist_set(0, 0x70, (u32)PROPERTIES | 13);
	redist_set(0, 0x74, (u32)(PROPERTIES >> 32));
	assert_printed("lpi16383: intid 16383 disabled group 1", 3);
	assert_printed("lpi16384: intid 16384 unknown edge", 3);
}

/* However much a guest maps, and however long its tables are. */
static void test_bounds(void **state)
{
	up_with("gicv3-its", "2");
	its_on(DEVICES);
	put(DEVICES, device_entry(LEAVES, 16, 0));
	for (u32 i = 0; i < 1026; i++)
		put(LEAVES + i * 8, event_entry(8192 + i, 0, i < 1025));
	assert_printed("more: 2 LPIs are not shown\n", 1024);
	for (u32 i = 0; i < 64; i++)
		put(DEVICES + i * 8, device_entry(LEAVES + 0x10000, 16, 1));
	assert_printed("more: the guest's tables go on for longer than lkvm looks\n", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARM_TEST(test_lines),	   ARM_TEST(test_none),	  ARM_TEST(test_not_written),
		ARM_TEST(test_two_levels), ARM_TEST(test_spoilt), ARM_TEST(test_no_properties),
		ARM_TEST(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The state of the arm64 machine's ITS: what the kernel caches of the guest's tables is in the guest's memory
 * when it is saved, comes back from there into a new VM, and is restored in the order that the kernel asks
 * for.
 */
#include "its-tables.h" /* first */
#include <stdlib.h>

/* What the kernel caches of the guest's tables is in the guest's memory afterwards, and comes back from
 * there. */
static void test_its(void **state)
{
	struct buf first, again;
	u8 *tables = malloc(TABLES_SIZE);

	assert_non_null(tables);
	up_with("gicv3-its", "2");
	msis_in_use();
	first = save();
	assert_int_equal(guest_read(&vm.kvm.mem, DEVICES, tables, TABLES_SIZE), 0);

	up_with("gicv3-its", "2");
	assert_int_equal(guest_write(&vm.kvm.mem, DEVICES, tables, TABLES_SIZE), 0);
	assert_int_equal(restore(first.data, first.len), 0);
	assert_int_equal(fake_its_find(fake_kvm_newest(), 8, 0)->lpi, 8192);
	assert_false(fake_its_find(fake_kvm_newest(), 8, 0)->pending);
	assert_int_equal(fake_its_find(fake_kvm_newest(), 8, 7)->lpi, 8200);
	assert_int_equal(fake_its_find(fake_kvm_newest(), 8, 7)->vcpu, 1);
	assert_true(fake_its_find(fake_kvm_newest(), 8, 7)->pending);
	assert_int_equal(fake_its_find(fake_kvm_newest(), 24, 2)->lpi, 8300);
	assert_int_equal(its_get(0) & 1, 1);
	assert_int_equal(its_get(0x88), 0x60);
	/* No command is done twice. */
	assert_int_equal(its_get(0x90), 0x60);
	assert_true(fake_arm_cpu(fake_kvm_vcpu(fake_kvm_newest(), 1))->gic.lpis);
	again = save();
	assert_same(&first, &again);
	buf_free(&again);
	buf_free(&first);
	free(tables);
}

/* The ITS's registers in the order that the kernel's documentation asks for, after all redistributors. */
static void test_its_order(void **state)
{
	const u32 regs = KVM_DEV_ARM_VGIC_GRP_ITS_REGS, ctrl = KVM_DEV_ARM_VGIC_GRP_CTRL;
	struct buf saved;
	int cbaser, creadr, baser, tables, ctlr, redist;

	up_with("gicv3-its", "2");
	msis_in_use();
	fake_kvm_forget_calls();
	saved = save();
	assert_true(arm_attr_set_at(ctrl, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES) >= 0);
	assert_true(arm_attr_set_at(ctrl, KVM_DEV_ARM_ITS_SAVE_TABLES) >= 0);
	up_with("gicv3-its", "2");
	fake_kvm_forget_calls();
	assert_int_equal(restore(saved.data, saved.len), 0);
	cbaser = arm_attr_set_at(regs, 0x80);
	creadr = arm_attr_set_at(regs, 0x90);
	baser = arm_attr_set_at(regs, 0x108);
	tables = arm_attr_set_at(ctrl, KVM_DEV_ARM_ITS_RESTORE_TABLES);
	ctlr = arm_attr_set_at(regs, 0);
	redist = arm_attr_set_at(KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, 1ull << 32);
	assert_true(redist >= 0 && redist < cbaser);
	assert_true(cbaser >= 0 && cbaser < creadr && cbaser < baser);
	assert_true(creadr < tables && baser < tables && arm_attr_set_at(regs, 4) < tables);
	assert_true(tables < ctlr);
	buf_free(&saved);
}

/* Tables that the guest, or whoever had its memory, has spoilt. */
static void test_its_refused(void **state)
{
	static const struct {
		u64 at, entry;
		int err;
	} cases[] = {
		{DEVICES + 8 * 8, 1ull << 63 | (1ull << 44) >> 8 << 5 | 4, -EFAULT},
		{DEVICES + 8 * 8, 1ull << 63 | ITT >> 8 << 5 | 16, -EINVAL}, /* 2^17 events */
		{ITT, 8191ull << 16, -EINVAL},				     /* no LPI */
		{ITT, 8192ull << 16 | 9, -EINVAL},			     /* of no collection */
		{COLLECTIONS, 1ull << 63 | 77ull << 16, -EINVAL},	     /* of no vCPU */
	};
	u8 *tables = malloc(TABLES_SIZE);
	struct buf saved;
	u64 outside = 1ull << 63 | ARM_UART(0);

	assert_non_null(tables);
	up_with("gicv3-its", "2");
	msis_in_use();
	saved = save();
	assert_int_equal(guest_read(&vm.kvm.mem, DEVICES, tables, TABLES_SIZE), 0);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		int err;

		up_with("gicv3-its", "2");
		assert_int_equal(guest_write(&vm.kvm.mem, DEVICES, tables, TABLES_SIZE), 0);
		assert_int_equal(guest_write(&vm.kvm.mem, cases[i].at, &cases[i].entry, 8), 0);
		capture_begin(STDERR_FILENO);
		err = restore(saved.data, saved.len);
		assert_one_line(capture_end(), "ITS_RESTORE_TABLES");
		assert_int_equal(err, cases[i].err);
	}
	buf_free(&saved);
	free(tables);

	up_with("gicv3-its", "2");
	msis_in_use();
	its_set(0, 0);
	its_set(0x100, outside);
	fake_its_map(fake_kvm_newest(), &(struct fake_lpi){.device = 1, .lpi = 8193, .itt = ITT, .bits = 1});
	capture_begin(STDERR_FILENO);
	saved = walk(STATE_SAVE, -EINVAL);
	assert_one_line(capture_end(), "ITS_SAVE_TABLES");
	buf_free(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARM_TEST(test_its),
		ARM_TEST(test_its_order),
		ARM_TEST(test_its_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

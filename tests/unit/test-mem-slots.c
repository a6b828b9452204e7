/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM as memslots on the fake KVM, where x86's board puts it; a slot that goes and comes.
 */
#include "core-vm.h"

#define PAGE 4096

static void test_slots(void **state)
{
	struct fake_vm *fake;

	/* Just below, at and above the hole: the part above 3 GiB goes to 4 GiB. */
	assert_int_equal(vm_up("/proc/self/exe", GiB(3), "memory", NULL), 0);
	assert_int_equal(fake_kvm_vm(0)->nr_slots, 1);
	assert_int_equal(fake_kvm_vm(0)->slot[0].size, GiB(3));
	assert_int_equal(vm_up("/proc/self/exe", MiB(3076), "memory", NULL), 0);
	fake = fake_kvm_vm(1);
	assert_int_equal(fake->nr_slots, 2);
	assert_int_equal(fake->slot[1].gpa, GiB(4));
	assert_int_equal(fake->slot[1].size, MiB(4));
	/* Huge pages need the same offset into them on both sides. */
	for (u32 i = 0; i < fake->nr_slots; i++)
		assert_int_equal(fake->slot[i].hva % MiB(2), fake->slot[i].gpa % MiB(2));
	assert_int_equal(guest_ram_size(&vm.kvm.mem), MiB(3076));
	assert_int_equal(vm.kvm.mem.fd, -1);
	assert_null(guest_ptr(&vm.kvm.mem, GiB(3) - 1, 2));
	assert_non_null(guest_ptr(&vm.kvm.mem, GiB(4) + MiB(4) - 1, 1));
}

static void test_failures(void **state)
{
	for (u32 n = 1; n <= 2; n++) {
		int ret;

		fake_kvm_fail(KVM_SET_USER_MEMORY_REGION, n, EINVAL);
		capture_begin(STDERR_FILENO);
		ret = vm_up("/proc/self/exe", GiB(4), "memory", NULL);
		assert_one_line(capture_end(), "KVM_SET_USER_MEMORY_REGION");
		assert_int_equal(ret, -EINVAL);
		vm_down();
	}
}

/* A readonly slot goes and comes while the VM runs, and is no memory to devices either way. */
static void test_slot_enable(void **state)
{
	static const char *const none[] = {NULL};
	static u8 rom[2 * PAGE] __attribute__((aligned(PAGE)));
	const gpa_t gpa = GiB(8);
	struct fake_vm *fake;
	struct mem_bank before[MEM_MAX_BANKS];

	assert_int_equal(vm_up("/proc/self/exe", MiB(4), "irqchip", none), 0);
	fake = fake_kvm_vm(0);
	assert_int_equal(mem_add_slot(&vm.kvm, gpa, sizeof(rom), rom, true), 0);
	assert_int_equal(fake->nr_slots, 2);
	assert_int_equal(fake->slot[1].flags, KVM_MEM_READONLY);
	memcpy(before, vm.kvm.mem.bank, sizeof(before));
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(mem_slot_enable(&vm.kvm, gpa, false), 0);
		assert_int_equal(fake->nr_slots, 1);
		assert_null(fake_kvm_mem(fake, gpa, 1));
		assert_null(guest_ptr(&vm.kvm.mem, gpa, 1));
		assert_int_equal(mem_slot_enable(&vm.kvm, gpa, true), 0);
		assert_int_equal(fake->nr_slots, 2);
		assert_ptr_equal(fake_kvm_mem(fake, gpa, sizeof(rom)), rom);
		assert_int_equal(fake->slot[1].flags, KVM_MEM_READONLY);
		assert_null(guest_ptr(&vm.kvm.mem, gpa, 1));
	}
	assert_memory_equal(before, vm.kvm.mem.bank, sizeof(before));
	/* The caller knows what it was for, and says so. */
	fake_kvm_fail(KVM_SET_USER_MEMORY_REGION, 1, ENOMEM);
	capture_begin(STDERR_FILENO);
	assert_int_equal(mem_slot_enable(&vm.kvm, gpa, false), -ENOMEM);
	assert_string_equal(capture_end(), "");
	assert_int_equal(mem_slot_enable(&vm.kvm, gpa, false), 0);
	/* Without the capability there is none. */
	fake_kvm_set_cap(KVM_CAP_READONLY_MEM, 0);
	capture_begin(STDERR_FILENO);
	assert_int_equal(mem_add_slot(&vm.kvm, GiB(9), sizeof(rom), rom, true), -ENOTSUP);
	assert_one_line(capture_end(), "KVM_CAP_READONLY_MEM");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_slots, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_failures, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_slot_enable, vm_setup, vm_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

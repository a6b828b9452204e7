/* SPDX-License-Identifier: MIT */
/* WRAP: kvm_ioctl */
/*
 * A vCPU's registers as people read them after a crash: the code bytes at any instruction pointer, the first
 * and the last address among them; what cannot be read; the instruction that KVM could not emulate.
 */
#include "core-vm.h"
#include "x86/x86.h"

static struct {
	u64 rip;
	bool long_mode, unmapped;
	u64 asked[128]; /* addresses that were translated */
	u32 nr_asked;
} guest;

int __real_kvm_ioctl(int fd, unsigned long req, void *arg);
int __wrap_kvm_ioctl(int fd, unsigned long req, void *arg);
int __wrap_kvm_ioctl(int fd, unsigned long req, void *arg)
{
	int ret = __real_kvm_ioctl(fd, req, arg);
	struct kvm_translation *tr = arg;

	if (req == KVM_GET_REGS) {
		((struct kvm_regs *)arg)->rip = guest.rip;
	} else if (req == KVM_GET_SREGS) {
		((struct kvm_sregs *)arg)->cs.l = guest.long_mode;
		((struct kvm_sregs *)arg)->cs.base = guest.long_mode ? 0 : 0x1000;
	} else if (req == KVM_TRANSLATE) {
		assert_true(guest.nr_asked < ARRAY_SIZE(guest.asked));
		guest.asked[guest.nr_asked++] = tr->linear_address;
		/* All of the address space is the same page, over and over. */
		tr->physical_address = MiB(1) + tr->linear_address % 4096;
		tr->valid = !guest.unmapped;
	}
	return ret;
}

static int setup(void **state)
{
	u8 *page;

	memset(&guest, 0, sizeof(guest));
	if (vm_setup(state))
		return -1;
	vm_empty(MiB(4), NULL);
	page = guest_ptr(&vm.kvm.mem, MiB(1), 4096);
	for (u32 i = 0; i < 4096; i++)
		page[i] = (u8)i;
	return 0;
}

static struct buf dump(u64 rip, bool long_mode)
{
	struct buf out = {0};

	guest.rip = rip;
	guest.long_mode = long_mode;
	guest.nr_asked = 0;
	vcpu_dump(&vm.kvm.vcpu[0], &out);
	return out;
}

static void assert_says(struct buf *out, const char *part)
{
	if (!strstr((char *)out->data, part))
		fail_msg("wanted \"%s\" in\n%s", part, (char *)out->data);
}

static void test_code(void **state)
{
	struct buf out = dump(0x123456789a80, true);

	assert_says(&out, "  rip 0000123456789a80  rsp ");
	assert_says(&out, "\n  code 70 71 72 73 74 75 76 77 78 79 7a 7b 7c 7d 7e 7f <80> 81 82 ");
	assert_says(&out, " ad ae af\n");
	assert_int_equal(guest.nr_asked, 64);
	buf_free(&out);
	/* Outside of 64-bit code the segment's base counts. */
	out = dump(0xf0, false);
	assert_int_equal(guest.asked[16], 0x10f0);
	buf_free(&out);
}

/* At both ends of the address space: what there is, and no turn around the corner. */
static void test_ends(void **state)
{
	struct buf out = dump(0, true);

	assert_says(&out, "\n  code <00> 01 02");
	assert_int_equal(guest.nr_asked, 48);
	buf_free(&out);
	out = dump(5, true);
	assert_says(&out, "\n  code 00 01 02 03 04 <05> 06");
	assert_int_equal(guest.nr_asked, 5 + 48);
	buf_free(&out);
	out = dump(UINT64_MAX, true);
	assert_says(&out, " fe <ff>\n");
	assert_int_equal(guest.nr_asked, 17);
	assert_int_equal(guest.asked[0], UINT64_MAX - 16);
	buf_free(&out);
	out = dump(UINT64_MAX - 15, true);
	assert_says(&out, " ef <f0> f1 f2 f3 f4 f5 f6 f7 f8 f9 fa fb fc fd fe ff\n");
	buf_free(&out);
}

static void test_unmapped(void **state)
{
	struct buf out;

	guest.unmapped = true;
	out = dump(0x1000, true);
	assert_says(&out, "\n  code -- -- ");
	assert_says(&out, " <--> -- ");
	buf_free(&out);
}

static void test_no_registers(void **state)
{
	struct buf out;

	fake_kvm_fail(KVM_GET_SREGS, 1, EIO);
	out = dump(0, true);
	assert_string_equal((char *)out.data, "  its registers cannot be read: Input/output error\n");
	buf_free(&out);
}

static void test_failed_instruction(void **state)
{
	struct kvm_run *run = vm.kvm.vcpu[0].run;
	struct buf out;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.ndata = 4;
	run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = 3;
	memcpy(run->emulation_failure.insn_bytes, "\x0f\xae\x28\xcc", 4);
	out = dump(0x1000, true);
	assert_says(&out, "\n  instruction that failed: 0f ae 28\n");
	buf_free(&out);
	/* A length that cannot be is cut off. */
	run->emulation_failure.insn_size = 255;
	out = dump(0x1000, true);
	assert_says(&out, "instruction that failed: 0f ae 28 cc 00");
	buf_free(&out);
	/* An older KVM gives no bytes. */
	run->emulation_failure.ndata = 0;
	out = dump(0x1000, true);
	assert_null(strstr((char *)out.data, "that failed"));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_code, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_ends, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_unmapped, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_no_registers, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_failed_instruction, setup, vm_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

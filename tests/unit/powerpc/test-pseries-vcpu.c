/* SPDX-License-Identifier: MIT */
/*
 * The pseries machine's vCPUs: whole VMs from `lkvm run` to the exit status, in which processors start one
 * another, are paused and ended while they wait; an NMI; and their state, saved and restored.
 */
#include "pseries-boot-vm.h"

#include "outcome.h"
#include "vcpu-state.h"
#include <stdatomic.h>
#include <stdlib.h>

#define MESSAGE	    0x10000ull /* where vCPU n calls RTAS from, n * 256 on */
#define BIG_WORD(s) be64toh(*(const u64 *)(const void *)(s))

static _Atomic bool asked; /* vCPU 0 has called start-cpu */
static _Atomic u32 too_early, ran;

/* ---- what the guest does ---- */

static void fill(struct kvm_run *run, u64 nr, u64 a0, u64 a1, u64 a2)
{
	run->papr_hcall.nr = nr;
	run->papr_hcall.args[0] = a0;
	run->papr_hcall.args[1] = a1;
	run->papr_hcall.args[2] = a2;
}

static void put_call(struct fake_vcpu *vcpu, const u32 *word, u32 n)
{
	u8 *at = fake_kvm_mem(vcpu->obj.vm, MESSAGE + vcpu->obj.id * 256, 64);

	for (u32 i = 0; i < n; i++) {
		u32 be = htobe32(word[i]);

		memcpy(at + 4 * i, &be, sizeof(be));
	}
}

/* Tokens are where the base table has them, which test-pseries-fdt.c compares with the tree. */
enum { POWER_OFF = 0x100, REBOOT, OS_TERM, START, STOP_SELF };

static void want_start(struct fake_vcpu *vcpu, void *arg)
{
	put_call(vcpu, (const u32[]){START, 3, 1, 1, 0x4000, 1}, 6);
	atomic_store(&asked, true);
}

static void want_stop(struct fake_vcpu *vcpu, void *arg)
{
	put_call(vcpu, (const u32[]){STOP_SELF, 0, 1}, 3);
}

static void want_power_off(struct fake_vcpu *vcpu, void *arg)
{
	put_call(vcpu, (const u32[]){POWER_OFF, 2, 1, ~0u, ~0u}, 5);
}

static void call_rtas(struct fake_vcpu *vcpu, void *arg)
{
	fill(vcpu->run, 0xf000, MESSAGE + vcpu->obj.id * 256, 0, 0);
}

static void say(struct fake_vcpu *vcpu, void *arg)
{
	fill(vcpu->run, 0x58, PSERIES_VTERM(0), strlen(arg), BIG_WORD(arg));
}

static void second_runs(struct fake_vcpu *vcpu, void *arg)
{
	atomic_fetch_add(&ran, 1);
	if (!atomic_load(&asked))
		atomic_fetch_add(&too_early, 1);
}

#define HCALL(fn, what)                                                                                      \
	{                                                                                                    \
		.kind = FAKE_EXIT, .value = KVM_EXIT_PAPR_HCALL, .call = fn,                                 \
		.arg = (void *)(uintptr_t)(what)                                                             \
	}
#define CALL(fn)                                                                                             \
	{                                                                                                    \
		.kind = FAKE_CALL, .call = fn                                                                \
	}

static void run_vm(struct outcome *o, const char *const *more)
{
	struct elf_build b = pseries_kernel();
	struct boot_image img = elf_image(&b);
	struct vm_file f = vm_file(b.file, img.size);
	const char *argv[16] = {"run", "-k", f.path, "--name", "pseries", "-m", "64M"};
	int argc = 7;

	atomic_store(&asked, false);
	atomic_store(&too_early, 0);
	atomic_store(&ran, 0);
	for (; more && *more; more++)
		argv[argc++] = *more;
	outcome_run(o, argc, argv);
	close(f.fd);
}

/* ---- starting and stopping ---- */

/* The second waits for start-cpu; then it speaks and ends the VM. */
static void test_start(void **state)
{
	static const char *const more[] = {"-c", "2", NULL};
	static const struct fake_exit first[] = {HCALL(say, "one, two"), CALL(want_start),
						 HCALL(call_rtas, NULL)};
	static const struct fake_exit second[] = {
		CALL(second_runs),
		HCALL(say, "three\n\0"),
		{.kind = FAKE_WRITE, .addr = PSERIES_EXIT, .len = 4, .value = 7}};
	struct outcome o;

	fake_kvm_script(0, first, ARRAY_SIZE(first));
	fake_kvm_script(1, second, ARRAY_SIZE(second));
	run_vm(&o, more);
	assert_string_equal(o.err, "");
	assert_string_equal(o.out, "one, twothree\n");
	assert_int_equal(o.status, 7);
	assert_int_equal(atomic_load(&ran), 1);
	assert_int_equal(atomic_load(&too_early), 0);
}

/* Nobody starts the others: they hold up neither the guest nor its end. */
static void test_never_started(void **state)
{
	static const char *const more[] = {"-c", "4", NULL};
	static const struct fake_exit first[] = {CALL(want_power_off), HCALL(call_rtas, NULL)};
	static const struct fake_exit second[] = {CALL(second_runs)};
	struct outcome o;

	fake_kvm_script(0, first, ARRAY_SIZE(first));
	for (u32 i = 1; i < 4; i++)
		fake_kvm_script(i, second, ARRAY_SIZE(second));
	run_vm(&o, more);
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 0);
	assert_int_equal(atomic_load(&ran), 0);
}

/* All have stopped themselves; then time is up. */
static void test_all_stopped(void **state)
{
	static const char *const more[] = {"-c", "2", "--timeout", "1", NULL};
	static const struct fake_exit first[] = {CALL(want_stop), HCALL(call_rtas, NULL), CALL(second_runs)};
	struct outcome o;

	fake_kvm_script(0, first, ARRAY_SIZE(first));
	run_vm(&o, more);
	assert_int_equal(o.status, 124);
	assert_int_equal(atomic_load(&ran), 0);
}

/* ---- pausing ---- */

/* A pause waits for all, those that are stopped included, and they come to rest. */
static void test_pause(void **state)
{
	static const char *const more[] = {"-c", "3", NULL};

	assert_int_equal(pseries_booted(more), 0);
	assert_int_equal(vcpus_start(&vm.kvm), 0);
	for (u32 i = 0; i < 20; i++) {
		assert_true(kvm_pause(&vm.kvm));
		assert_int_equal(vm.kvm.pause.nr_parked, 3);
		kvm_resume(&vm.kvm);
	}
	vcpus_stop(&vm.kvm);
}

/* ---- NMI ---- */

static void test_nmi(void **state)
{
	static const char *const more[] = {"-c", "2", NULL};
	struct kvm_regs regs = {.pc = 0x1234, .msr = 0x8000000000009033};

	assert_int_equal(pseries_booted(more), 0);
	assert_int_equal(kvm_ioctl(vm.kvm.vcpu[0].fd, KVM_SET_REGS, &regs), 0);
	assert_int_equal(vm.kvm.machine->vcpu_nmi(&vm.kvm.vcpu[0]), 0);
	assert_int_equal(kvm_ioctl(vm.kvm.vcpu[0].fd, KVM_GET_REGS, &regs), 0);
	assert_int_equal(regs.pc, 0x100);
	assert_int_equal(regs.srr0, 0x1234);
	assert_int_equal(regs.srr1, 0x8000000000009033);
	assert_int_equal(regs.msr, MSR_SF | MSR_ME);
	/* In the byte order that the guest takes interrupts in. */
	assert_int_equal(hcall(0x31c, 1, 4, 0, 0), H_SUCCESS);
	assert_int_equal(vm.kvm.machine->vcpu_nmi(&vm.kvm.vcpu[0]), 0);
	assert_int_equal(kvm_ioctl(vm.kvm.vcpu[0].fd, KVM_GET_REGS, &regs), 0);
	assert_int_equal(regs.msr, MSR_SF | MSR_ME | MSR_LE);
	/* One that is stopped has nothing to interrupt. */
	assert_int_equal(vm.kvm.machine->vcpu_nmi(&vm.kvm.vcpu[1]), -EAGAIN);
}

/* ---- state ---- */

/* Every register, and every byte of it. */
static void scramble(u32 cpu)
{
	struct fake_ppc_vcpu *c = fake_ppc_cpu(pseries_fake_cpu(cpu));
	struct kvm_regs regs;
	struct buf all = save(cpu); /* makes them known */

	buf_free(&all);
	for (u32 i = 0; i < c->nr_regs; i++)
		for (u32 k = 0; k < 1u << ((c->reg[i].id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT); k++)
			c->reg[i].val[k] = (u8)(0x5a + 7 * i + k);
	for (u32 k = 0; k < sizeof(regs); k++)
		((u8 *)&regs)[k] = (u8)(k * 3 + 1);
	assert_int_equal(kvm_ioctl(vm.kvm.vcpu[cpu].fd, KVM_SET_REGS, &regs), 0);
}

static void test_round_trip(void **state)
{
	static const char *const more[] = {"-c", "2", NULL};
	struct buf first[2], again;
	struct fake_ppc_vcpu was;

	assert_int_equal(pseries_booted(more), 0);
	assert_int_equal(hcall(0x31c, 1, 4, 0, 0), H_SUCCESS);
	assert_int_equal(hcall(0x37c, 0x1d, 0x1000000, 0, 4), H_SUCCESS);
	assert_int_equal(pseries_vcpu_start(&vm.kvm.vcpu[1], 0x4000, 5), 0);
	for (u32 i = 0; i < 2; i++) {
		scramble(i);
		first[i] = save(i);
	}
	was = *fake_ppc_cpu(pseries_fake_cpu(0));

	/* Into a VM that is new. */
	assert_int_equal(pseries_booted(more), 0);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(restore(i, first[i].data, first[i].len), 0);
		again = save(i);
		assert_int_equal(again.len, first[i].len);
		assert_memory_equal(again.data, first[i].data, first[i].len);
		buf_free(&again);
		buf_free(&first[i]);
	}
	for (u32 i = 0; i < was.nr_regs; i++)
		assert_memory_equal(fake_ppc_reg(pseries_fake_cpu(0), was.reg[i].id), was.reg[i].val, 16);
	assert_int_equal(fake_ppc(fake_kvm_newest())->mmu.process_table, 1ull << 63 | 0x1000000 | 4);
	assert_int_equal(atomic_load(&pseries_of(&vm.kvm)->lpcr), LPCR_ILE);
	/* What was on its way to start does. */
	atomic_store(&vm.kvm.vcpu[1].requests, 0);
	vm.kvm.machine->vcpu_enter(&vm.kvm.vcpu[1]);
	assert_int_equal(pseries_power_of(&vm.kvm.vcpu[1]), POWER_ON);
}

/* Registers that this KVM does not have are left out, and no host gets some that it lacks. */
static void test_missing_registers(void **state)
{
	struct buf all, fewer;
	int err;

	assert_int_equal(pseries_booted(NULL), 0);
	all = save(0);
	fake_kvm_fail_arg(KVM_GET_ONE_REG, KVM_REG_PPC_DAWR1, EINVAL);
	fewer = save(0);
	assert_int_equal(fewer.len, all.len - 8);
	assert_int_equal(restore(0, fewer.data, fewer.len), 0);
	capture_begin(STDERR_FILENO);
	err = restore(0, all.data, all.len);
	assert_one_line(capture_end(), "dawr1");
	assert_int_equal(err, -EINVAL);
	fake_kvm_fail_arg(KVM_GET_ONE_REG, KVM_REG_PPC_DAR, EIO);
	capture_begin(STDERR_FILENO);
	err = restore(0, fewer.data, fewer.len);
	assert_one_line(capture_end(), "dar");
	assert_int_equal(err, -EIO);
	buf_free(&all);
	buf_free(&fewer);
}

static void test_bad_state(void **state)
{
	struct buf s;

	assert_int_equal(pseries_booted(NULL), 0);
	s = save(0);
	capture_begin(STDERR_FILENO);
	for (size_t n = 0; n < s.len; n += n < 64 ? 1 : 37)
		assert_true(restore(0, s.data, n) < 0);
	/* Name length and name, then the version, the body's length and how it stands. */
	s.data[1 + s.data[0]]++;
	assert_int_equal(restore(0, s.data, s.len), -EPROTONOSUPPORT);
	s.data[1 + s.data[0]]--;
	s.data[1 + s.data[0] + 8] = 77;
	assert_int_equal(restore(0, s.data, s.len), -EBADMSG);
	capture_end();
	buf_free(&s);
}

/* A guest's page tables are of one kind for life: neither the other's state nor a flag makes them of another.
 */
static void test_other_mmu(void **state)
{
	static const char *const mmu[] = {"radix", "hash"};

	for (u32 i = 0; i < 2; i++) {
		const char *const this[] = {"--mmu", mmu[i], NULL}, *const other[] = {"--mmu", mmu[!i], NULL};
		size_t flags;
		struct buf s;
		int err;

		assert_int_equal(pseries_booted(this), 0);
		assert_int_equal(hcall(0x37c, i ? 0x19 : 0x1d, 0x1000000, 0, 4), H_SUCCESS);
		s = save(0);
		assert_int_equal(restore(0, s.data, s.len), 0);
		/* Behind the section's head: power, start_pc, start_arg, radix, lpcr_guest, process_table. */
		flags = 1 + s.data[0] + 8 + 4 + 5 * 8;
		s.data[flags] ^= KVM_PPC_MMUV3_RADIX;
		fake_kvm_forget_calls();
		capture_begin(STDERR_FILENO);
		err = restore(0, s.data, s.len);
		assert_one_line(capture_end(), i ? "in a hash guest" : "in a radix guest");
		assert_int_equal(err, -EBADMSG);
		s.data[flags] ^= KVM_PPC_MMUV3_RADIX;
		assert_int_equal(pseries_booted(other), 0);
		fake_kvm_forget_calls();
		capture_begin(STDERR_FILENO);
		err = restore(0, s.data, s.len);
		assert_one_line(capture_end(), i ? "radix: saved with 0x0, this VM has 0x1"
						 : "radix: saved with 0x1, this VM has 0x0");
		assert_int_equal(err, -EINVAL);
		assert_int_equal(fake_kvm_count("KVM_PPC_CONFIGURE_V3_MMU"), 0);
		buf_free(&s);
	}
}

static void test_text(void **state)
{
	static const char *const words[] = {"\"pc\"",	"\"msr\"",   "\"r31\"",	  "\"lpcr\"",
					    "\"fpr0\"", "\"vsr31\"", "\"power\"", "\"pvr\""};
	struct buf out;

	assert_int_equal(pseries_booted(NULL), 0);
	out = assert_says(0, words, ARRAY_SIZE(words));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PSERIES_TEST(test_start),	PSERIES_TEST(test_never_started),
		PSERIES_TEST(test_all_stopped), PSERIES_TEST(test_pause),
		PSERIES_TEST(test_nmi),		PSERIES_TEST(test_round_trip),
		PSERIES_TEST(test_text),	PSERIES_TEST(test_missing_registers),
		PSERIES_TEST(test_bad_state),	PSERIES_TEST(test_other_mmu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

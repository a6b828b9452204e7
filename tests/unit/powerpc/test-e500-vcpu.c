/* SPDX-License-Identifier: MIT */
/*
 * The e500 machine's vCPUs: the spin table, and how it lets the others go (ePAPR 1.1, 5.5.2); the ends that
 * the guest's global utilities and its watchdog bring; whole VMs from `lkvm run` to the exit status; a vCPU's
 * state, saved and restored.
 */
#include "e500-boot-vm.h"

#include "outcome.h"
#include "vcpu-state.h"
#include <stdatomic.h>
#include <stdlib.h>

#define ENTRY(cpu) (E500_SPIN + (cpu)*0x20ull)
#define MSR_WE	   (1ull << 18)
#define RSTCR	   (E500_GUTS + 0xb0)
#define POWER	   (E500_GUTS + 0xf0)

static void up(const char *cpus)
{
	const char *const more[] = {"-c", cpus, NULL};

	assert_int_equal(e500_booted(more), 0);
}

static struct kvm_regs regs_of(u32 cpu)
{
	struct kvm_regs regs;

	assert_int_equal(kvm_ioctl(vm.kvm.vcpu[cpu].fd, KVM_GET_REGS, &regs), 0);
	return regs;
}

/* As its own thread does it, if it has been let go. */
static bool enters(u32 cpu)
{
	vm.kvm.machine->vcpu_enter(&vm.kvm.vcpu[cpu]);
	return !(regs_of(cpu).msr & MSR_WE);
}

/* ---- the spin table --------------------------------------------------------------------------------- */

static void test_table(void **state)
{
	up("3");
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(guest_load(ENTRY(i), 8), 1);
		assert_int_equal(guest_load(ENTRY(i) + 8, 8), 0);
		assert_int_equal(guest_load(ENTRY(i) + 0x14, 4), i);
	}
	for (u32 i = 1; i < 3; i++) {
		struct kvm_regs regs = regs_of(i);

		assert_int_equal(regs.msr, MSR_WE);
		assert_false(enters(i));
	}
	assert_int_equal(regs_of(0).msr, 0);
	/* It holds what is written, of any width. */
	guest_store(ENTRY(1) + 8, 4, 0x12345678);
	guest_store(ENTRY(1) + 0xe, 2, 0xabcd);
	assert_int_equal(guest_load(ENTRY(1) + 8, 8), 0x123456780000abcd);
	assert_int_equal(guest_load(ENTRY(1) + 0xf, 1), 0xcd);
	assert_false(enters(1));
}

/* Behind the last entry there is nothing, and an access that hangs over the end is none. */
static void test_table_end(void **state)
{
	up("2");
	guest_store(ENTRY(31) + 0x18, 8, 0x1122334455667788);
	assert_int_equal(guest_load(ENTRY(31) + 0x18, 8), 0x1122334455667788);
	guest_store(ENTRY(32), 8, 0);
	guest_store(ENTRY(31) + 0x1c, 8, 0);
	assert_int_equal(guest_load(ENTRY(31) + 0x18, 8), 0x1122334455667788);
	guest_store(E500_SPIN + 0xff8, 8, 0);
	guest_load(E500_SPIN + 0xff8, 8);
	/* Entries that no vCPU has. */
	guest_store(ENTRY(2), 8, 0x4000);
	guest_store(ENTRY(31), 8, 0x4000);
}

static void assert_begun(u32 cpu, u64 entry, u64 r3)
{
	struct kvm_regs regs = regs_of(cpu);
	const struct fake_ppc_vcpu *c = e500_fake_cpu(cpu);
	u64 base = entry & ~(MiB(64) - 1);

	assert_int_equal(regs.pc, entry - base);
	assert_int_equal(regs.msr, 0);
	assert_int_equal(regs.gpr[3], r3);
	assert_int_equal(regs.gpr[7], MiB(64));
	for (u32 i = 0; i < 32; i++)
		assert_true(i == 3 || i == 7 || !regs.gpr[i]);
	/* 64 MiB that the entry is in. */
	assert_int_equal(c->tlb[512].mas1, 0xc0000000 | 16 << 7);
	assert_int_equal(c->tlb[512].mas7_3, base | 0x3f);
}

static void test_release(void **state)
{
	u32 dirtied;

	up("4");
	/* As Linux does it: r3, then the upper half, then the lower one. */
	dirtied = e500_fake_cpu(1)->dirtied;
	guest_store(ENTRY(1) + 8, 8, 1);
	guest_store(ENTRY(1), 4, 0);
	assert_false(enters(1));
	assert_int_equal(atomic_load(&vm.kvm.vcpu[1].requests), 0);
	guest_store(ENTRY(1) + 4, 4, 0x4120);
	assert_int_not_equal(atomic_load(&vm.kvm.vcpu[1].requests), 0);
	assert_true(enters(1));
	assert_begun(1, 0x4120, 1);
	assert_int_equal(e500_fake_cpu(1)->dirtied, dirtied + 1);
	/* In one go, also above 4 GiB. */
	guest_store(ENTRY(2) + 8, 8, 0xfedcba9876543210);
	guest_store(ENTRY(2), 8, 0);
	assert_true(enters(2));
	assert_begun(2, 0, 0xfedcba9876543210);
	guest_store(ENTRY(3), 8, 0x123456780ull);
	assert_true(enters(3));
	assert_begun(3, 0x123456780ull, 0);
	assert_int_equal(atomic_load(&vm.kvm.end), VM_RUNNING);
}

/* Bit 0 says that it is not to begin; it begins once, and the first never by the table. */
static void test_not_released(void **state)
{
	up("2");
	guest_store(ENTRY(1), 8, 0x4121);
	assert_false(enters(1));
	guest_store(ENTRY(1), 8, 0x4120);
	assert_true(enters(1));
	guest_store(ENTRY(1), 8, 0x8000);
	assert_true(enters(1));
	assert_begun(1, 0x4120, 0);
	guest_store(ENTRY(0), 8, 0x8000);
	enters(0);
	assert_int_equal(regs_of(0).pc, 0);
	assert_int_equal(regs_of(0).gpr[6], 0x45504150);
}

/* A vCPU that cannot be given its registers ends the VM. */
static void test_release_fails(void **state)
{
	up("2");
	fake_kvm_fail(KVM_SET_REGS, 1, EIO);
	guest_store(ENTRY(1), 8, 0x4000);
	capture_begin(STDERR_FILENO);
	vm.kvm.machine->vcpu_enter(&vm.kvm.vcpu[1]);
	assert_one_line(capture_end(), "vcpu 1: its registers for the start: ");
	assert_int_equal(atomic_load(&vm.kvm.end), VM_HOST_ERROR);
}

/* After a reset all is as it was at the start. */
static void test_reset(void **state)
{
	struct device *dev;

	up("2");
	guest_store(ENTRY(1) + 8, 8, 77);
	guest_store(ENTRY(1), 8, 0x4000);
	list_for_each (dev, &vm.kvm.devices, link)
		if (dev->ops->reset)
			dev->ops->reset(dev);
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(vm.kvm.machine->vcpu_reset(&vm.kvm.vcpu[i]), 0);
	assert_int_equal(guest_load(ENTRY(1), 8), 1);
	assert_int_equal(guest_load(ENTRY(1) + 8, 8), 0);
	/* Also what was on its way. */
	assert_false(enters(1));
	guest_store(ENTRY(1), 8, 0x8000);
	assert_true(enters(1));
	assert_begun(1, 0x8000, 0);
}

static struct device *spin_table(void)
{
	struct device *dev;

	list_for_each (dev, &vm.kvm.devices, link)
		if (dev->ops == &e500_spin_ops)
			return dev;
	fail_msg("no spin table");
	return NULL;
}

static void test_table_state(void **state)
{
	struct buf saved = {0}, again = {0};
	struct state s;

	up("3");
	guest_store(ENTRY(1) + 8, 8, 77);
	guest_store(ENTRY(1), 8, 0x4000);
	state_init_out(&s, STATE_SAVE, &saved);
	assert_int_equal(e500_spin_ops.state(spin_table(), &s), 0);
	assert_int_equal(state_finish(&s, "spin"), 0);
	up("3");
	state_init_in(&s, saved.data, saved.len);
	e500_spin_ops.state(spin_table(), &s);
	assert_int_equal(state_finish(&s, "spin"), 0);
	assert_int_equal(guest_load(ENTRY(1) + 8, 8), 77);
	/* It has begun, and does not begin once more; the other one may. */
	guest_store(ENTRY(1), 8, 0x8000);
	assert_false(enters(1));
	guest_store(ENTRY(2), 8, 0x8000);
	assert_true(enters(2));
	state_init_out(&s, STATE_TEXT, &again);
	assert_int_equal(e500_spin_ops.state(spin_table(), &s), 0);
	assert_int_equal(state_finish(&s, "spin"), 0);
	buf_add(&again, "", 1);
	assert_non_null(strstr((char *)again.data, "released: 0x7"));
	buf_free(&again);
	buf_free(&saved);
}

/* ---- global utilities, watchdog --------------------------------------------------------------------- */

static void assert_ends(u64 addr, u32 len, u64 v, int end)
{
	up("1");
	guest_store(addr, len, v);
	assert_int_equal(atomic_load(&vm.kvm.end), end);
}

static void test_guts(void **state)
{
	assert_ends(RSTCR, 4, 2, VM_RESET);
	assert_ends(POWER, 4, 1, VM_POWEROFF);
	/* Other bits, other registers, other widths. */
	assert_ends(RSTCR, 4, ~2u, VM_RUNNING);
	assert_ends(POWER, 4, ~1u, VM_RUNNING);
	assert_ends(RSTCR, 4, 0x02000000, VM_RUNNING);
	assert_ends(E500_GUTS + 0xe0, 4, ~0u, VM_RUNNING);
	assert_ends(RSTCR, 1, 2, VM_RUNNING);
	assert_ends(RSTCR, 8, 0x200000002, VM_RUNNING);
	assert_ends(E500_GUTS + 0xffc, 4, ~0u, VM_RUNNING);
	for (u32 at = 0; at < E500_GUTS_SIZE; at += 4)
		assert_int_equal(guest_load(E500_GUTS + at, 4), 0);
	assert_int_equal(atomic_load(&vm.kvm.end), VM_RUNNING);
}

static void test_watchdog(void **state)
{
	up("2");
	assert_true(e500_fake_cpu(0)->watchdog && e500_fake_cpu(1)->watchdog);
	vm.kvm.vcpu[1].run->exit_reason = KVM_EXIT_WATCHDOG;
	capture_begin(STDERR_FILENO);
	assert_int_equal(vm.kvm.machine->vcpu_exit(&vm.kvm.vcpu[1]), 1);
	assert_one_line(capture_end(), "vcpu 1: the guest's watchdog expired");
	assert_int_equal(atomic_load(&vm.kvm.end), VM_RESET);
	vm.kvm.vcpu[1].run->exit_reason = KVM_EXIT_DCR;
	assert_int_equal(vm.kvm.machine->vcpu_exit(&vm.kvm.vcpu[1]), 0);
	/* A kernel without it is one on which nothing waits for a watchdog. */
	e500_again();
	fake_kvm_set_cap(KVM_CAP_PPC_BOOKE_WATCHDOG, 0);
	up("1");
	assert_false(e500_fake_cpu(0)->watchdog);
}

/* ---- whole VMs -------------------------------------------------------------------------------------- */

static _Atomic bool let_go;
static _Atomic u32 ran, too_early;

/* A store of the guest's, in its byte order. */
struct store {
	u64 addr;
	u32 len;
	u64 v;
};

static void do_store(struct fake_vcpu *vcpu, void *arg)
{
	const struct store *st = arg;

	vcpu->run->mmio.phys_addr = st->addr;
	vcpu->run->mmio.len = st->len;
	vcpu->run->mmio.is_write = 1;
	put_field(vcpu->run->mmio.data, st->len, true, st->v);
}

#define STORE(where, width, what)                                                                            \
	{                                                                                                    \
		.kind = FAKE_EXIT, .value = KVM_EXIT_MMIO, .call = do_store, .arg = &(struct store)          \
		{                                                                                            \
			where, width, what                                                                   \
		}                                                                                            \
	}
#define CALL(fn)                                                                                             \
	{                                                                                                    \
		.kind = FAKE_CALL, .call = fn                                                                \
	}

static void lets_go(struct fake_vcpu *vcpu, void *arg)
{
	atomic_store(&let_go, true);
}

static void second_runs(struct fake_vcpu *vcpu, void *arg)
{
	atomic_fetch_add(&ran, 1);
	if (!atomic_load(&let_go) || fake_ppc_cpu(vcpu)->regs.pc != 0x4120)
		atomic_fetch_add(&too_early, 1);
}

static void run_vm(struct outcome *o, const char *const *more)
{
	struct elf_build b = e500_kernel();
	struct boot_image img = elf_image(&b);
	struct vm_file f = vm_file(b.file, img.size);
	const char *argv[16] = {"run", "-k", f.path, "--name", "e500", "-m", "64M"};
	int argc = 7;

	atomic_store(&let_go, false);
	atomic_store(&ran, 0);
	atomic_store(&too_early, 0);
	for (; more && *more; more++)
		argv[argc++] = *more;
	outcome_run(o, argc, argv);
	close(f.fd);
}

/* The first speaks and lets the second go, which ends the VM; the third never begins. */
static void test_run(void **state)
{
	static const char *const more[] = {"-c", "3", NULL};
	const struct fake_exit first[] = {STORE(E500_UART(0), 1, 'h'), STORE(E500_UART(0), 1, 'i'),
					  STORE(E500_UART(0), 1, '\n'), CALL(lets_go),
					  STORE(ENTRY(1), 8, 0x4120)};
	const struct fake_exit second[] = {CALL(second_runs), STORE(E500_EXIT, 1, 7)};
	const struct fake_exit third[] = {CALL(second_runs), STORE(E500_EXIT, 1, 8)};
	struct outcome o;

	fake_kvm_script(0, first, ARRAY_SIZE(first));
	fake_kvm_script(1, second, ARRAY_SIZE(second));
	fake_kvm_script(2, third, ARRAY_SIZE(third));
	run_vm(&o, more);
	assert_string_equal(o.err, "");
	assert_string_equal(o.out, "hi\n");
	assert_int_equal(o.status, 7);
	assert_int_equal(atomic_load(&ran), 1);
	assert_int_equal(atomic_load(&too_early), 0);
}

static void test_power_off(void **state)
{
	static const char *const more[] = {"-c", "4", NULL};
	const struct fake_exit first[] = {STORE(POWER, 4, 1)};
	struct outcome o;

	fake_kvm_script(0, first, ARRAY_SIZE(first));
	run_vm(&o, more);
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 0);
}

static void test_reboot(void **state)
{
	static const char *const exit[] = {"--on-reboot", "exit", NULL};
	const struct fake_exit first[] = {STORE(RSTCR, 4, 2)};
	struct outcome o;

	fake_kvm_script(0, first, ARRAY_SIZE(first));
	run_vm(&o, exit);
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 32);
}

static void host(void)
{
	fake_ppc_host(FAKE_E500);
}

/* Each call of a whole VM fails in turn: status 1, one line, and nothing is left. */
static void test_each_call_fails(void **state)
{
	const struct fake_exit script[] = {STORE(E500_EXIT, 1, 7)};
	const struct outcome_vm start = {
		.script = script, .len = ARRAY_SIZE(script), .session = run_vm, .fds = vm.fds, .host = host};

	outcome_each_failure(&start, NULL, ENOSPC);
}

/* A pause waits for all, those that never began included, and they come to rest. */
static void test_pause(void **state)
{
	up("3");
	assert_int_equal(vcpus_start(&vm.kvm), 0);
	for (u32 i = 0; i < 20; i++) {
		assert_true(kvm_pause(&vm.kvm));
		assert_int_equal(vm.kvm.pause.nr_parked, 3);
		kvm_resume(&vm.kvm);
	}
	vcpus_stop(&vm.kvm);
}

/* ---- state --------------------------------------------------------------------------------------------- */

/* Those that KVM has by number alone. */
static const u64 debug_regs[] = {KVM_REG_PPC_IAC1, KVM_REG_PPC_IAC4, KVM_REG_PPC_DAC1,
				 KVM_REG_PPC_DAC2, KVM_REG_PPC_DBSR, KVM_REG_PPC_SPRG9};

/* All registers that there are, each byte another, and a TLB with something in it everywhere. */
static void scramble(u32 cpu)
{
	struct fake_ppc_vcpu *c = e500_fake_cpu(cpu);
	struct e500_vcpu *e = e500_vcpu_of(&vm.kvm.vcpu[cpu]);
	__typeof__(&c->sregs.u.e) r = &c->sregs.u.e;

	for (u32 k = 0; k < sizeof(c->regs); k++)
		((u8 *)&c->regs)[k] = (u8)(k * 3 + 1 + cpu);
	c->regs.msr &= ~MSR_WE;
	r->csrr0 = 0x101;
	r->csrr1 = 0x102;
	r->mcsrr0 = 0x103;
	r->mcsrr1 = 0x104;
	r->mcsr = 0x105;
	r->esr = 0x106;
	r->dear = 0x107;
	r->ivpr = 0x108;
	r->tsr = 0x109;
	r->tcr = 0x10a;
	r->dec = 0x10b;
	r->decar = 0x10c;
	r->vrsave = 0x10d;
	r->mas0 = 0x10e;
	r->mas1 = 0x10f;
	r->mas2 = 0x110;
	r->mas7_3 = 0xf00000111;
	r->mas4 = 0x112;
	r->mas6 = 0x113;
	assert_int_equal(ppc_set_reg(vm.kvm.vcpu[cpu].fd, KVM_REG_PPC_EPR, &(u32){0x7fb}), 0);
	for (u32 i = 0; i < ARRAY_SIZE(debug_regs); i++)
		memset(fake_ppc_reg(fake_kvm_vcpu(fake_kvm_newest(), cpu), debug_regs[i]), (int)(0x41 + i),
		       4);
	for (u32 i = 0; i < 16; i++)
		r->ivor_low[i] = 0x200 + i;
	for (u32 i = 0; i < 4; i++)
		r->ivor_high[i] = 0x300 + i;
	for (u32 i = 0; i < E500_TLB_SIZE; i++)
		e->tlb[i] = (struct kvm_book3e_206_tlb_entry){.mas1 = 0x80000000 | i << 16,
							      .mas2 = 0x1000ull * i,
							      .mas7_3 = 0xf00000000 | 0x1000ull * i | 0x3f,
							      .mas8 = i};
}

static void test_round_trip(void **state)
{
	struct kvm_book3e_206_tlb_entry tlb[E500_TLB_SIZE];
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct buf first, again;
	u32 epr;

	up("2");
	scramble(1);
	regs = e500_fake_cpu(1)->regs;
	sregs = e500_fake_cpu(1)->sregs;
	memcpy(tlb, e500_vcpu_of(&vm.kvm.vcpu[1])->tlb, sizeof(tlb));
	first = save(1);
	/* Into a VM that is new. */
	up("2");
	assert_int_equal(restore(1, first.data, first.len), 0);
	again = save(1);
	assert_int_equal(again.len, first.len);
	assert_memory_equal(again.data, first.data, first.len);
	sregs.u.e.update_special = e500_fake_cpu(1)->sregs.u.e.update_special;
	assert_memory_equal(&e500_fake_cpu(1)->sregs, &sregs, sizeof(sregs));
	assert_memory_equal(&e500_fake_cpu(1)->regs, &regs, sizeof(regs));
	/* An interrupt that KVM has taken for the guest (the external proxy) is not lost. */
	assert_int_equal(ppc_get_reg(vm.kvm.vcpu[1].fd, KVM_REG_PPC_EPR, &epr), 0);
	assert_int_equal(epr, 0x7fb);
	for (u32 i = 0; i < ARRAY_SIZE(debug_regs); i++) {
		const u8 *val = fake_ppc_reg(fake_kvm_vcpu(fake_kvm_newest(), 1), debug_regs[i]);

		assert_true(val[0] == 0x41 + i && val[3] == 0x41 + i);
	}
	/* The kernel was told. */
	assert_memory_equal(e500_fake_cpu(1)->tlb, tlb, sizeof(tlb));
	buf_free(&again);
	buf_free(&first);
}

/* One that waits waits on; one that was let go and had not heard of it yet begins. */
static void test_state_of_waiting(void **state)
{
	struct buf waits, goes;

	up("3");
	guest_store(ENTRY(2) + 8, 8, 77);
	guest_store(ENTRY(2), 8, 0x4120);
	waits = save(1);
	goes = save(2);
	up("3");
	assert_int_equal(restore(1, waits.data, waits.len), 0);
	assert_int_equal(restore(2, goes.data, goes.len), 0);
	assert_false(enters(1));
	assert_true(enters(2));
	assert_begun(2, 0x4120, 77);
	buf_free(&waits);
	buf_free(&goes);
}

static void test_bad_state(void **state)
{
	struct buf s;

	up("1");
	s = save(0);
	capture_begin(STDERR_FILENO);
	for (size_t n = 0; n < s.len; n += n < 64 ? 1 : 337)
		assert_true(restore(0, s.data, n) < 0);
	/* Name length and name, then the version, the body's length and how it stands. */
	s.data[1 + s.data[0]]++;
	assert_int_equal(restore(0, s.data, s.len), -EPROTONOSUPPORT);
	s.data[1 + s.data[0]]--;
	s.data[1] = 'x';
	assert_int_equal(restore(0, s.data, s.len), -ENOENT);
	s.data[1] = 'r';
	capture_end();
	assert_int_equal(restore(0, s.data, s.len), 0);
	buf_free(&s);
}

static void test_state_fails(void **state)
{
	static const unsigned long reqs[] = {KVM_SET_SREGS, KVM_SET_REGS, KVM_DIRTY_TLB};
	struct buf s, none;
	int err;

	up("1");
	s = save(0);
	for (u32 i = 0; i < ARRAY_SIZE(reqs); i++) {
		e500_again();
		up("1");
		fake_kvm_fail(reqs[i], 1, EINVAL);
		capture_begin(STDERR_FILENO);
		err = restore(0, s.data, s.len);
		assert_one_line(capture_end(), "registers: this host's vCPU does not take them");
		assert_int_equal(err, -EINVAL);
	}
	/* What could not be read is not told of as if it had been. */
	for (u32 i = 0; i < 3; i++) {
		e500_again();
		up("1");
		if (i < 2)
			fake_kvm_fail(i ? KVM_GET_SREGS : KVM_GET_REGS, 1, EIO);
		else
			fake_kvm_fail_arg(KVM_GET_ONE_REG, KVM_REG_PPC_EPR, EIO);
		capture_begin(STDERR_FILENO);
		none = vcpu_walk(0, STATE_TEXT, -EIO);
		assert_one_line(capture_end(), "registers");
		assert_int_equal(none.len, 0);
		buf_free(&none);
	}
	buf_free(&s);
}

static void test_text(void **state)
{
	static const char *const words[] = {"\"pc\"",	  "\"msr\"",	"\"r31\"",    "\"mas7_3\"",
					    "\"ivor15\"", "\"ivor35\"", "\"tlb1_0\"", "\"released\"",
					    "\"iac3\"",	  "\"dac1\"",	"\"dbsr\""};
	struct buf out;

	up("1");
	out = assert_says(0, words, ARRAY_SIZE(words));
	/* Of the TLB, those that map something. */
	assert_null(strstr((char *)out.data, "\"tlb0_"));
	assert_null(strstr((char *)out.data, "\"tlb1_1\""));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		E500_TEST(test_table),
		E500_TEST(test_table_end),
		E500_TEST(test_release),
		E500_TEST(test_not_released),
		E500_TEST(test_release_fails),
		E500_TEST(test_reset),
		E500_TEST(test_table_state),
		E500_TEST(test_guts),
		E500_TEST(test_watchdog),
		E500_TEST(test_run),
		E500_TEST(test_power_off),
		E500_TEST(test_reboot),
		E500_TEST(test_each_call_fails),
		E500_TEST(test_pause),
		E500_TEST(test_round_trip),
		E500_TEST(test_state_of_waiting),
		E500_TEST(test_bad_state),
		E500_TEST(test_state_fails),
		E500_TEST(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls and RTAS calls of the pseries machine: what each does, what it answers to arguments that are
 * wrong, and that a hostile guest's pointers lead nowhere. No vCPU runs: the test hands over the exits.
 */
#include "pseries-boot-vm.h"

#include <errno.h>
#include <lkvm/console.h>
#include <time.h>

enum {
	PUT_TERM = 0x58,
	GET_TERM = 0x54,
	CI_LOAD = 0x3c,
	CI_STORE = 0x40,
	CHARACTERISTICS = 0x1c8,
	RANDOM = 0x300,
	SET_MODE = 0x31c,
	PROC_TBL = 0x37c,
	RTAS = 0xf000,
};

#define NOWHERE 0x7000000000ull
#define TABLE	0x1000000ull

static u64 lpcr(u32 cpu)
{
	u64 v;

	memcpy(&v, fake_ppc_reg(pseries_fake_cpu(cpu), KVM_REG_PPC_LPCR_64), sizeof(v));
	return v;
}

static void up(const char *cpus)
{
	const char *const more[] = {"-c", cpus, NULL};

	assert_int_equal(pseries_booted(more), 0);
}

/* ---- hypercalls ------------------------------------------------------------------------------------ */

static void test_unknown(void **state)
{
	static const u64 nrs[] = {0, 0x1, 0x4, 0x298, 0x470, 0xf001, 0xffffffff, ~0ull};

	up("1");
	for (u32 i = 0; i < ARRAY_SIZE(nrs); i++)
		assert_int_equal(hcall(nrs[i], 1, 2, 3, 4), H_FUNCTION);
}

/* Those that KVM answers were handed to it; and one that it does not know is no reason not to start. */
static void test_enabled(void **state)
{
	static const u32 want[] = {0x10, 0x14, 0x2c, 0x3c, 0x40, 0x31c};
	const struct fake_ppc_vm *ppc;

	up("1");
	ppc = fake_ppc(fake_kvm_newest());
	assert_int_equal(ppc->nr_hcalls, ARRAY_SIZE(want));
	for (u32 i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(ppc->hcall[i], want[i]);
	vm_down();
	fake_kvm_fail_arg(KVM_ENABLE_CAP, KVM_CAP_PPC_ENABLE_HCALL, EINVAL);
	up("1");
	vm_down();
	fake_kvm_fail_arg(KVM_ENABLE_CAP, KVM_CAP_PPC_ENABLE_HCALL, EIO);
	capture_begin(STDERR_FILENO);
	assert_int_equal(pseries_booted(NULL), -EIO);
	assert_one_line(capture_end(), "KVM_CAP_PPC_ENABLE_HCALL of 0x10: ");
}

static void test_process_table(void **state)
{
	static const struct {
		u64 flags, base, page_size, size;
		long want;
	} bad[] = {
		{0x20, TABLE, 0, 4, H_PARAMETER}, {~0ull, TABLE, 0, 4, H_PARAMETER},
		{0x18, TABLE, 0, 4, H_PARAMETER}, /* a hash table's */
		{0x1e, TABLE, 0, 4, H_PARAMETER}, {0x0d, TABLE, 0, 4, H_PARAMETER},
		{0x1d, TABLE + 1, 0, 4, H_P2},	  {0x1d, PSERIES_MEM, 0, 0, H_P2},
		{0x1d, TABLE, 0, 24, H_P2},	  {0x1d, ~0xfffull, 0, 4, H_P2},
		{0x1d, TABLE, 12, 4, H_P3},	  {0x1d, TABLE, 0, 25, H_P4},
		{0x1d, TABLE, 0, ~0ull, H_P4},
	};
	const struct fake_ppc_vm *ppc;

	up("1");
	ppc = fake_ppc(fake_kvm_newest());
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(hcall(PROC_TBL, bad[i].flags, bad[i].base, bad[i].page_size, bad[i].size),
				 bad[i].want);
		assert_false(ppc->mmu_set);
	}
	assert_int_equal(hcall(PROC_TBL, 0x1d, TABLE, 0, 4), H_SUCCESS);
	assert_int_equal(ppc->mmu.flags, KVM_PPC_MMUV3_RADIX | KVM_PPC_MMUV3_GTSE);
	assert_int_equal(ppc->mmu.process_table, 1ull << 63 | TABLE | 4);
	assert_int_equal(hcall(PROC_TBL, 0x1c, TABLE, 0, 4), H_SUCCESS);
	assert_int_equal(ppc->mmu.flags, KVM_PPC_MMUV3_RADIX);
	/* Gone again. */
	assert_int_equal(hcall(PROC_TBL, 0x14, 0, 0, 0), H_SUCCESS);
	assert_int_equal(ppc->mmu.process_table, 1ull << 63);
	fake_kvm_fail(KVM_PPC_CONFIGURE_V3_MMU, 1, EINVAL);
	assert_int_equal(hcall(PROC_TBL, 0x1d, TABLE, 0, 4), H_PARAMETER);
}

/* The caller has it at once, the others before they run on. */
static void test_set_mode(void **state)
{
	up("3");
	assert_int_equal(hcall(SET_MODE, 1, 4, 0, 0), H_SUCCESS);
	assert_int_equal(lpcr(0), LPCR_ILE);
	assert_int_equal(lpcr(1), 0);
	assert_int_equal(hcall(SET_MODE, 3, 3, 0, 0), H_SUCCESS);
	assert_int_equal(lpcr(0), LPCR_ILE | LPCR_AIL);
	vm.kvm.vcpu[0].run->immediate_exit = 0;
	vm.kvm.machine->vcpu_enter(&vm.kvm.vcpu[0]);
	atomic_store(&vm.kvm.vcpu[2].requests, VCPU_INJECT);
	vm.kvm.machine->vcpu_enter(&vm.kvm.vcpu[2]);
	assert_int_equal(lpcr(2), LPCR_ILE | LPCR_AIL);
	assert_int_equal(lpcr(1), 0);
	assert_int_equal(hcall(SET_MODE, 0, 4, 0, 0), H_SUCCESS);
	assert_int_equal(lpcr(0), LPCR_AIL);

	assert_int_equal(hcall(SET_MODE, 2, 4, 0, 0), H_PARAMETER);
	assert_int_equal(hcall(SET_MODE, 4, 3, 0, 0), H_PARAMETER);
	assert_int_equal(hcall(SET_MODE, 1, 4, 1, 0), H_P3);
	assert_int_equal(hcall(SET_MODE, 1, 4, 0, 1), H_P4);
	assert_int_equal(hcall(SET_MODE, 0, 99, 0, 0), H_P2);
	fake_kvm_fail_arg(KVM_SET_ONE_REG, KVM_REG_PPC_LPCR_64, EIO);
	assert_int_equal(hcall(SET_MODE, 1, 4, 0, 0), H_HARDWARE);
	assert_int_equal(atomic_load(&pseries_of(&vm.kvm)->lpcr), LPCR_AIL);
}

static void test_characteristics(void **state)
{
	up("1");
	assert_int_equal(hcall(CHARACTERISTICS, 0, 0, 0, 0), H_SUCCESS);
	/* No bit that KVM does not vouch for. */
	assert_int_equal(result[0], 0xc3ull << 56);
	assert_int_equal(result[1], 0xa4ull << 56);
	fake_kvm_fail(KVM_PPC_GET_CPU_CHAR, 0, ENOTTY);
	assert_int_equal(hcall(CHARACTERISTICS, 0, 0, 0, 0), H_FUNCTION);
}

static void test_random(void **state)
{
	u64 first;

	up("1");
	assert_int_equal(hcall(RANDOM, 0, 0, 0, 0), H_SUCCESS);
	first = result[0];
	assert_int_equal(hcall(RANDOM, 0, 0, 0, 0), H_SUCCESS);
	assert_int_not_equal(first, result[0]);
}

/* Device memory without a mapping of it. */
static void test_ci(void **state)
{
	const char *const more[] = {"--testdev", NULL};

	assert_int_equal(pseries_booted(more), 0);
	assert_int_equal(hcall(CI_STORE, 4, PSERIES_TESTDEV_MEM, 0xffffffff11223344, 0), H_SUCCESS);
	assert_int_equal(hcall(CI_LOAD, 4, PSERIES_TESTDEV_MEM, 0, 0), H_SUCCESS);
	assert_int_equal(result[0], 0x11223344);
	/* The bytes are where a big-endian processor puts them. */
	assert_int_equal(hcall(CI_LOAD, 1, PSERIES_TESTDEV_MEM, 0, 0), H_SUCCESS);
	assert_int_equal(result[0], 0x11);
	assert_int_equal(hcall(CI_LOAD, 8, NOWHERE, 0, 0), H_SUCCESS);
	assert_int_equal(result[0], ~0ull);
	assert_int_equal(hcall(CI_STORE, 3, PSERIES_TESTDEV_MEM, 0, 0), H_PARAMETER);
	assert_int_equal(hcall(CI_LOAD, 0, PSERIES_TESTDEV_MEM, 0, 0), H_PARAMETER);
	assert_int_equal(hcall(CI_LOAD, ~0ull, PSERIES_TESTDEV_MEM, 0, 0), H_PARAMETER);
}

static void test_terminal(void **state)
{
	static const u64 nobodys[] = {0, PSERIES_VTERM(0) - 1, PSERIES_VTERM(CONSOLE_MAX),
				      1ull << 32 | PSERIES_VTERM(0), ~0ull};

	up("1");
	for (u32 i = 0; i < ARRAY_SIZE(nobodys); i++) {
		assert_int_equal(hcall(PUT_TERM, nobodys[i], 1, 0, 0), H_PARAMETER);
		assert_int_equal(hcall(GET_TERM, nobodys[i], 0, 0, 0), H_PARAMETER);
	}
	assert_int_equal(hcall(PUT_TERM, PSERIES_VTERM(1), 17, 0, 0), H_PARAMETER);
	assert_int_equal(hcall(PUT_TERM, PSERIES_VTERM(1), ~0ull, 0, 0), H_PARAMETER);
	assert_int_equal(hcall(PUT_TERM, PSERIES_VTERM(1), 16, 0, 0), H_SUCCESS);
	assert_int_equal(hcall(GET_TERM, PSERIES_VTERM(1), 0, 0, 0), H_SUCCESS);
	assert_int_equal(result[0], 0);
}

/* ---- RTAS ---- */

/* The instructions are where the tree says, and nobody else's memory. */
static void test_rtas_code(void **state)
{
	static const u8 code[] = {0x7c, 0x64, 0x1b, 0x78, 0x3c, 0x60, 0,    0,	  0x60, 0x63,
				  0xf0, 0,    0x44, 0,	  0,	0x22, 0x4e, 0x80, 0,	0x20};
	const struct ppc_machine *m;

	up("1");
	m = ppc_of(&vm.kvm);
	assert_int_equal(rtas_token("linux,rtas-base"), pseries_of(&vm.kvm)->rtas);
	assert_int_equal(rtas_token("linux,rtas-entry"), pseries_of(&vm.kvm)->rtas);
	assert_guest(pseries_of(&vm.kvm)->rtas, code, sizeof(code));
	assert_true(pseries_of(&vm.kvm)->rtas >= m->kernel_end);
	assert_true(pseries_of(&vm.kvm)->rtas + rtas_token("rtas-size") <= m->dtb);
}

static void test_rtas_pointers(void **state)
{
	/* Nowhere, across the end of RAM, wrapped round. */
	static const u64 gpa[] = {NOWHERE, PSERIES_MEM, PSERIES_MEM - 4, ~0ull, ~0ull - 3, 1ull << 63};
	const u32 head[3] = {htobe32(1), htobe32(16), htobe32(16)};

	up("1");
	for (u32 i = 0; i < ARRAY_SIZE(gpa); i++)
		assert_int_equal(hcall(RTAS, gpa[i], 0, 0, 0), H_PARAMETER);
	/* The head is there, the rest is not. */
	assert_int_equal(guest_write(&vm.kvm.mem, PSERIES_MEM - sizeof(head), head, sizeof(head)), 0);
	assert_int_equal(hcall(RTAS, PSERIES_MEM - sizeof(head), 0, 0, 0), H_PARAMETER);
	/* The arguments are, the results have no place: the call is not made. */
	{
		u32 call[5] = {htobe32(rtas_token("power-off")), htobe32(2), htobe32(1)};

		assert_int_equal(guest_write(&vm.kvm.mem, PSERIES_MEM - sizeof(call), call, sizeof(call)), 0);
		assert_int_equal(hcall(RTAS, PSERIES_MEM - sizeof(call), 0, 0, 0), H_PARAMETER);
		assert_int_equal(atomic_load(&vm.kvm.end), VM_RUNNING);
	}
}

static void test_rtas_counts(void **state)
{
	static const u32 counts[][2] = {{17, 1}, {1, 17}, {~0u, 1}, {1, ~0u}, {0x40000000, 0x40000000}};
	u32 args[16] = {0}, word[3];

	up("1");
	for (u32 i = 0; i < ARRAY_SIZE(counts); i++) {
		word[0] = htobe32(rtas_token("power-off"));
		word[1] = htobe32(counts[i][0]);
		word[2] = htobe32(counts[i][1]);
		assert_int_equal(guest_write(&vm.kvm.mem, RTAS_BUFFER, word, sizeof(word)), 0);
		assert_int_equal(hcall(RTAS, RTAS_BUFFER, 0, 0, 0), H_PARAMETER);
	}
	/* Too few and too many for that service; the answer says so where there is room for one. */
	assert_int_equal(rtas("power-off", 1, args, 1), H_SUCCESS);
	assert_int_equal(rets[0], (u32)-3);
	assert_int_equal(rtas("power-off", 3, args, 1), H_SUCCESS);
	assert_int_equal(rets[0], (u32)-3);
	assert_int_equal(rtas("power-off", 2, args, 0), H_SUCCESS);
	assert_int_equal(rtas("get-time-of-day", 0, args, 9), H_SUCCESS);
	assert_int_equal(rets[0], (u32)-3);
	assert_int_equal(atomic_load(&vm.kvm.end), VM_RUNNING);
}

static void test_rtas_tokens(void **state)
{
	static const u32 tokens[] = {0, 1, 0xff, 0x1ff, 0x8000, ~0u};

	up("1");
	for (u32 i = 0; i < ARRAY_SIZE(tokens); i++) {
		assert_int_equal(rtas_of(&vm.kvm.vcpu[0], tokens[i], 0, NULL, 1), H_SUCCESS);
		assert_int_equal(rets[0], (u32)-3);
	}
}

/* The kernel has been told its four, by the tokens that the tree has. */
static void test_rtas_kernel(void **state)
{
	static const char *const names[] = {"ibm,set-xive", "ibm,get-xive", "ibm,int-on", "ibm,int-off"};
	static const char *const xics[] = {"--irqchip", "xics", NULL};
	const struct fake_ppc_vm *ppc;

	assert_int_equal(pseries_booted(xics), 0);
	ppc = fake_ppc(fake_kvm_newest());
	assert_int_equal(ppc->nr_tokens, ARRAY_SIZE(names));
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		u32 found = 0;

		for (u32 k = 0; k < ppc->nr_tokens; k++)
			if (!strcmp(ppc->token[k].name, names[i]))
				found = (u32)ppc->token[k].token;
		assert_int_not_equal(found, 0);
		assert_int_equal(found, rtas_token(names[i]));
	}
	/* One that came out all the same is an error, and no crash. */
	assert_int_equal(rtas("ibm,int-on", 1, (u32[]){16}, 1), H_SUCCESS);
	assert_int_equal(rets[0], (u32)-1);
}

static void test_rtas_ends(void **state)
{
	static const u32 minus[2] = {~0u, ~0u};

	up("1");
	assert_int_equal(rtas("ibm,os-term", 1, (u32[]){0xffffffff}, 1), H_SUCCESS);
	assert_int_equal(rets[0], 0);
	assert_true(atomic_load(&vm.kvm.panicked));
	assert_int_equal(atomic_load(&vm.kvm.end), VM_RUNNING);
	assert_int_equal(rtas("system-reboot", 0, NULL, 1), H_SUCCESS);
	assert_int_equal(kvm_exit_status(&vm.kvm), 34);
	up("1");
	assert_int_equal(rtas("system-reboot", 0, NULL, 1), H_SUCCESS);
	assert_int_equal(kvm_exit_status(&vm.kvm), 32);
	up("1");
	assert_int_equal(rtas("power-off", 2, minus, 1), H_SUCCESS);
	assert_int_equal(kvm_exit_status(&vm.kvm), 0);
	assert_int_equal(atomic_load(&vm.kvm.end), VM_POWEROFF);
}

static void test_rtas_clock(void **state)
{
	static const u32 bad[][7] = {{1969, 1, 1},	  {2024, 0, 1},		  {2024, 13, 1},
				     {2024, 1, 0},	  {2024, 1, 32},	  {2024, 1, 1, 24},
				     {2024, 1, 1, 0, 60}, {2024, 1, 1, 0, 0, 61}, {~0u, 1, 1}};
	static const u32 good[7] = {2031, 2, 28, 23, 59, 30, 0};
	struct tm tm;
	time_t now, then;

	up("1");
	assert_int_equal(rtas("get-time-of-day", 0, NULL, 8), H_SUCCESS);
	assert_int_equal(rets[0], 0);
	tm = (struct tm){.tm_year = (int)rets[1] - 1900,
			 .tm_mon = (int)rets[2] - 1,
			 .tm_mday = (int)rets[3],
			 .tm_hour = (int)rets[4],
			 .tm_min = (int)rets[5],
			 .tm_sec = (int)rets[6]};
	now = time(NULL);
	then = timegm(&tm);
	assert_true(then <= now && now - then < VM_BOUND_S);
	assert_true(rets[7] < 1000000000);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(rtas("set-time-of-day", 7, bad[i], 1), H_SUCCESS);
		assert_int_equal(rets[0], (u32)-3);
	}
	assert_int_equal(rtas("set-time-of-day", 7, good, 1), H_SUCCESS);
	assert_int_equal(rets[0], 0);
	assert_int_equal(rtas("get-time-of-day", 0, NULL, 8), H_SUCCESS);
	assert_int_equal(rets[1], 2031);
	assert_in_range(rets[2], 2, 3);
}

static void test_rtas_parameter(void **state)
{
	char text[160] = "";

	up("2");
	assert_int_equal(rtas("ibm,get-system-parameter", 3, (u32[]){44, 0x6000000, 64}, 1), H_SUCCESS);
	assert_int_equal(rets[0], (u32)-3);
	assert_int_equal(rtas("ibm,get-system-parameter", 3, (u32[]){20, 0xfffffff0, 64}, 1), H_SUCCESS);
	assert_int_equal(rets[0], (u32)-3);
	assert_int_equal(rtas("ibm,get-system-parameter", 3, (u32[]){20, 0x6000000, 128}, 1), H_SUCCESS);
	assert_int_equal(rets[0], 0);
	assert_int_equal(guest_read(&vm.kvm.mem, 0x6000000, text, 128), 0);
	assert_string_equal(text + 2, "MaxEntCap=2,DesMem=256,DesProcs=2,MaxPlatProcs=2");
	assert_int_equal(text[1], strlen(text + 2) + 1);
	/* No more than there is room for. */
	memset(text, 'x', sizeof(text));
	assert_int_equal(guest_write(&vm.kvm.mem, 0x6000000, text, 32), 0);
	assert_int_equal(rtas("ibm,get-system-parameter", 3, (u32[]){20, 0x6000000, 5}, 1), H_SUCCESS);
	assert_int_equal(guest_read(&vm.kvm.mem, 0x6000000, text, 32), 0);
	assert_memory_equal(text + 2, "Maxxxx", 6);
}

/* ---- the power button ---- */

#define REPORT 0x6000000ull

static u32 sensor(void)
{
	assert_int_equal(rtas("get-sensor-state", 2, (u32[]){9, 0}, 2), H_SUCCESS);
	return rets[0] ? rets[0] : rets[1];
}

static u32 check_exception(u32 vector, u32 classes, u32 gpa, u32 room)
{
	const u32 args[] = {vector, PSERIES_IRQ_EPOW, classes, 0, gpa, room};

	assert_int_equal(rtas("check-exception", 6, args, 1), H_SUCCESS);
	return rets[0];
}

static bool line_high(void)
{
	return fake_kvm_newest()->level[PSERIES_IRQ_EPOW];
}

/* The report as Linux's get_pseries_errorlog() looks through it. */
static void test_button(void **state)
{
	u8 log[64];
	u32 len;

	up("1");
	assert_int_equal(sensor(), 0);
	assert_int_equal(check_exception(0x500, 0x40000000, REPORT, 2048), 1);
	assert_int_equal(vm.kvm.machine->power_button(&vm.kvm), 0);
	assert_int_equal(vm.kvm.machine->power_button(&vm.kvm), 0);
	assert_true(line_high());
	assert_int_equal(sensor(), 3);
	/* Not what was asked for; nowhere to put it: it stays. */
	assert_int_equal(check_exception(0x200, 0x40000000, REPORT, 2048), 1);
	assert_int_equal(check_exception(0x500, 0x80000000, REPORT, 2048), 1);
	assert_int_equal(check_exception(0x500, 0x40000000, 0xfffffff0, 2048), (u32)-3);
	assert_true(line_high());

	memset(log, 0xaa, sizeof(log));
	assert_int_equal(guest_write(&vm.kvm.mem, REPORT, log, sizeof(log)), 0);
	assert_int_equal(check_exception(0x500, 0x40000000, REPORT, 2048), 0);
	assert_false(line_high());
	assert_int_equal(guest_read(&vm.kvm.mem, REPORT, log, sizeof(log)), 0);
	assert_int_equal(log[0], 6);
	assert_int_equal(log[1] >> 2 & 1, 1);
	len = (u32)log[4] << 24 | (u32)log[5] << 16 | (u32)log[6] << 8 | log[7];
	assert_int_equal(log[8] & 0x80, 0x80);
	assert_int_equal(log[10] & 0xf, 14);
	assert_memory_equal(log + 20, "IBM", 4);
	assert_memory_equal(log + 24, "EP", 2);
	assert_int_equal(24 + (log[26] << 8 | log[27]), 8 + len);
	assert_int_equal(log[32] & 0xf, 3);
	assert_int_equal(log[33] & 0xf, 1);
	assert_int_equal(log[8 + len], 0xaa);
	/* It is taken once. */
	assert_int_equal(check_exception(0x500, 0x40000000, REPORT, 2048), 1);
	assert_int_equal(sensor(), 0);
	assert_int_equal(rtas("get-sensor-state", 2, (u32[]){9, 1}, 2), H_SUCCESS);
	assert_int_equal(rets[0], (u32)-3);
	/* No more of it than there is room for. */
	assert_int_equal(vm.kvm.machine->power_button(&vm.kvm), 0);
	memset(log, 0xaa, sizeof(log));
	assert_int_equal(guest_write(&vm.kvm.mem, REPORT, log, sizeof(log)), 0);
	assert_int_equal(check_exception(0x500, 0x40000000, REPORT, 4), 0);
	assert_int_equal(guest_read(&vm.kvm.mem, REPORT, log, sizeof(log)), 0);
	assert_int_equal(log[3], 64);
	assert_int_equal(log[4], 0xaa);
}

/* ---- processors ---- */

static u32 stopped_state(u32 id)
{
	assert_int_equal(rtas("query-cpu-stopped-state", 1, &id, 2), H_SUCCESS);
	return rets[0] ? rets[0] : rets[1];
}

static u32 start(u32 id, u32 pc)
{
	assert_int_equal(rtas("start-cpu", 3, (u32[]){id, pc, 0x77}, 1), H_SUCCESS);
	return rets[0];
}

static void test_start_and_stop(void **state)
{
	struct kvm_regs regs;
	struct vcpu *second;

	up("2");
	second = &vm.kvm.vcpu[1];
	assert_int_equal(stopped_state(0), 2);
	assert_int_equal(stopped_state(1), 0);
	assert_int_equal(stopped_state(2), (u32)-3);
	assert_int_equal(stopped_state(~0u), (u32)-3);
	assert_int_equal(start(2, 0x1000), (u32)-3);
	assert_int_equal(start(0, 0x1000), (u32)-1);
	/* One that is stopped runs nothing, whoever wants it out of KVM_RUN. */
	atomic_store(&second->requests, VCPU_PAUSE);
	vm.kvm.machine->vcpu_enter(second);
	assert_int_equal(second->run->immediate_exit, 1);
	atomic_store(&second->requests, 0);
	second->run->immediate_exit = 0;

	assert_int_equal(start(1, 0x1234560), 0);
	assert_int_equal(stopped_state(1), 2);
	assert_int_equal(start(1, 0x1000), (u32)-1);
	atomic_store(&second->requests, 0);
	vm.kvm.machine->vcpu_enter(second);
	assert_int_equal(second->run->immediate_exit, 0);
	assert_int_equal(kvm_ioctl(second->fd, KVM_GET_REGS, &regs), 0);
	assert_int_equal(regs.pc, 0x1234560);
	assert_int_equal(regs.gpr[3], 0x77);
	assert_int_equal(regs.msr, MSR_SF | MSR_ME);
	assert_int_equal(regs.gpr[4], 0);

	/* It stops itself: its hypercall is completed first, or its results would go into the new registers.
	 */
	assert_int_equal(rtas_of(second, rtas_token("stop-self"), 0, NULL, 1), H_SUCCESS);
	assert_int_equal(stopped_state(1), 0);
	assert_int_equal(start(1, 0x2000), 0);
	fake_kvm_forget_calls();
	atomic_store(&second->requests, 0);
	vm.kvm.machine->vcpu_enter(second);
	assert_true(fake_kvm_first("KVM_RUN") >= 0);
	assert_true(fake_kvm_first("KVM_RUN") < fake_kvm_first("KVM_SET_REGS"));
	assert_int_equal(second->run->immediate_exit, 0);
}

/* A processor that is started takes interrupts as the guest chose meanwhile. */
static void test_start_mode(void **state)
{
	up("2");
	assert_int_equal(hcall(SET_MODE, 1, 4, 0, 0), H_SUCCESS);
	assert_int_equal(start(1, 0x1000), 0);
	atomic_store(&vm.kvm.vcpu[1].requests, 0);
	vm.kvm.machine->vcpu_enter(&vm.kvm.vcpu[1]);
	assert_int_equal(lpcr(1), LPCR_ILE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PSERIES_TEST(test_unknown),
		PSERIES_TEST(test_enabled),
		PSERIES_TEST(test_process_table),
		PSERIES_TEST(test_set_mode),
		PSERIES_TEST(test_characteristics),
		PSERIES_TEST(test_random),
		PSERIES_TEST(test_ci),
		PSERIES_TEST(test_terminal),
		PSERIES_TEST(test_rtas_code),
		PSERIES_TEST(test_rtas_pointers),
		PSERIES_TEST(test_rtas_counts),
		PSERIES_TEST(test_rtas_tokens),
		PSERIES_TEST(test_rtas_kernel),
		PSERIES_TEST(test_rtas_ends),
		PSERIES_TEST(test_rtas_clock),
		PSERIES_TEST(test_rtas_parameter),
		PSERIES_TEST(test_button),
		PSERIES_TEST(test_start_and_stop),
		PSERIES_TEST(test_start_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

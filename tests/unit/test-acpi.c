/* SPDX-License-Identifier: MIT */
/* WRAP: x86_vcpu_id realloc */
/*
 * The x86 board's ACPI tables as a guest finds them: RSDP in guest RAM, XSDT, tables, MADT entries, walked by
 * a parser of the test's own. Also where they go, and what happens when they do not fit.
 */
#include "acpi-vm.h"
#include <fcntl.h>

static int realloc_fails_in; /* the n-th call from now on; 0: none */

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n)
{
	if (realloc_fails_in && --realloc_fails_in == 0) {
		errno = ENOMEM;
		return NULL;
	}
	return __real_realloc(p, n);
}

static void test_fadt(void **state)
{
	struct vm *vm = vm_new(1, RAM);
	const u8 *fadt, *dsdt;

	assert_int_equal(x86_acpi_write(&vm->kvm), 0);
	assert_int_equal(vm->machine.acpi_high_size, 0);
	fadt = find_table(vm, "FACP");
	assert_non_null(fadt);
	assert_int_equal(le(fadt + 4, 4), 276);
	assert_int_equal(fadt[8], 6);
	assert_int_equal(fadt[131], 4);
	assert_int_equal(le(fadt + 36, 4), 0); /* FACS */
	assert_int_equal(le(fadt + 132, 8), 0);
	assert_int_equal(le(fadt + 40, 4), le(fadt + 140, 8));
	assert_int_equal(fadt[108], 0x32);
	assert_int_equal(le(fadt + 109, 2), 0x5); /* legacy devices, no 8042, no VGA, a CMOS RTC */
	assert_int_equal(le(fadt + 112, 4), 0x100475);
	for (u32 i = 148; i < 244; i++) /* no PM1, PM2, PM timer, GPE */
		assert_int_equal(fadt[i], 0);
	for (u32 i = 48; i < 108; i++)
		assert_int_equal(fadt[i], 0);
	/* Reset, sleep control and sleep status: bytes in I/O space. */
	assert_memory_equal(fadt + 116, ((u8[]){1, 8, 0, 1, 0x02, 0x06, 0, 0, 0, 0, 0, 0}), 12);
	assert_int_equal(fadt[128], POWER_RESET_VALUE);
	assert_memory_equal(fadt + 244, ((u8[]){1, 8, 0, 1, 0x00, 0x06, 0, 0, 0, 0, 0, 0}), 12);
	assert_memory_equal(fadt + 256, ((u8[]){1, 8, 0, 1, 0x01, 0x06, 0, 0, 0, 0, 0, 0}), 12);

	dsdt = table_at(vm, le(fadt + 140, 8));
	assert_memory_equal(dsdt, "DSDT", 4);
	assert_true(dsdt[8] >= 2); /* 64-bit integers */
	assert_memory_equal(dsdt + 36, "\x08_S5_\x12\x07\x04\x0a\x05\0\0\0", 13);
	assert_null(find_table(vm, "MCFG"));
	vm_free(vm);
}

static void test_mcfg(void **state)
{
	struct vm *vm = vm_new(1, RAM);
	const u8 *mcfg;

	vm_add_board(vm);
	assert_int_equal(x86_acpi_write(&vm->kvm), 0);
	mcfg = find_table(vm, "MCFG");
	assert_non_null(mcfg);
	assert_int_equal(le(mcfg + 4, 4), 60);
	assert_int_equal(le(mcfg + 44, 8), X86_ECAM);
	assert_int_equal(le(mcfg + 52, 4), 0); /* segment 0, buses 0 to 0 */
	vm_free(vm);
}

struct madt {
	u32 lapics, x2apics, ioapics, overrides, nmis, x2nmis;
};

/* Counts the entries and checks every one; ids come out in order of the vCPUs. */
static struct madt read_madt(const struct vm *vm)
{
	const u8 *t = find_table(vm, "APIC"), *end, *e;
	struct madt n = {0};
	u32 cpu = 0;

	assert_non_null(t);
	end = t + le(t + 4, 4);
	assert_int_equal(le(t + 36, 4), X86_LAPIC);
	for (e = t + 44; e < end; e += e[1]) {
		static const u8 lengths[] = {8, 12, 10, 0, 6, 0, 0, 0, 0, 16, 12};

		assert_true(end - e >= 2 && e[1] && e[0] < sizeof(lengths) && e[1] == lengths[e[0]]);
		switch (e[0]) {
		case 0:
			n.lapics++;
			assert_int_equal(e[2], cpu);
			assert_int_equal(e[3], vcpu_id ? vcpu_id(cpu) : cpu);
			assert_true(e[3] < 255);
			assert_int_equal(le(e + 4, 4), 1);
			cpu++;
			break;
		case 9:
			n.x2apics++;
			assert_int_equal(le(e + 2, 2), 0);
			assert_int_equal(le(e + 4, 4), vcpu_id ? vcpu_id(cpu) : cpu);
			assert_true(le(e + 4, 4) >= 255);
			assert_int_equal(le(e + 8, 4), 1);
			assert_int_equal(le(e + 12, 4), cpu);
			cpu++;
			break;
		case 1:
			n.ioapics++;
			assert_int_equal(e[2], X86_IOAPIC_ID(vm->cfg.cpus));
			assert_int_equal(le(e + 4, 4), X86_IOAPIC);
			assert_int_equal(le(e + 8, 4), 0);
			break;
		case 2:
			n.overrides++;
			break;
		case 4:
			n.nmis++;
			assert_memory_equal(e + 2, "\xff\0\0\1", 4);
			break;
		case 10:
			n.x2nmis++;
			assert_memory_equal(e + 2, "\0\0\xff\xff\xff\xff\1\0\0\0", 10);
			break;
		}
	}
	assert_ptr_equal(e, end);
	assert_int_equal(cpu, vm->cfg.cpus);
	assert_int_equal(n.ioapics, 1);
	assert_int_equal(n.nmis, 1);
	return n;
}

/* Three threads a core in a place for four: ids leave 254 behind long before the 255th vCPU. */
static u32 sparse_id(u32 index)
{
	return index / 3 * 4 + index % 3;
}

static void test_madt(void **state)
{
	static const struct {
		u32 cpus, lapics;
		u32 (*id)(u32 index);
	} cases[] = {
		{1, 1, NULL},	       {2, 2, NULL},	      {254, 254, NULL},	     {255, 255, NULL},
		{256, 255, NULL},      {300, 255, NULL},      {4096, 255, NULL},     {191, 191, sparse_id},
		{192, 192, sparse_id}, {193, 192, sparse_id}, {300, 192, sparse_id},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vm *vm = vm_new(cases[i].cpus, RAM);
		struct madt n;

		vcpu_id = cases[i].id;
		assert_int_equal(x86_acpi_write(&vm->kvm), 0);
		assert_int_equal(le(find_table(vm, "APIC") + 40, 4), 1); /* PCAT_COMPAT */
		n = read_madt(vm);
		assert_int_equal(n.lapics, cases[i].lapics);
		assert_int_equal(n.x2apics, cases[i].cpus - cases[i].lapics);
		assert_int_equal(n.x2nmis, n.x2apics != 0);
		assert_int_equal(n.overrides, 0);
		vm_free(vm);
	}
}

static void test_split_irqchip(void **state)
{
	struct vm *vm = vm_new(2, RAM);

	vm->kvm.irqchip.ops = &x86_irqchip_split;
	assert_int_equal(x86_acpi_write(&vm->kvm), 0);
	assert_int_equal(le(find_table(vm, "APIC") + 40, 4), 1); /* it has the 8259s too */
	assert_int_equal(read_madt(vm).overrides, 0);
	vm_free(vm);
}

/* ---- where they go --------------------------------------------------------------------------------- */

static void test_placing(void **state)
{
	u64 last_size = 0;
	bool high = false;

	for (u64 cpus = 1000; cpus <= 2400; cpus += 100) {
		struct vm *vm = vm_new(cpus, RAM);
		const struct x86_machine *m = &vm->machine;

		vm_add_board(vm);
		assert_int_equal(x86_acpi_write(&vm->kvm), 0);
		read_madt(vm);
		if (m->acpi_high_size) {
			high = true;
			assert_int_equal(m->acpi_high % 4096, 0);
			assert_int_equal(m->acpi_high + m->acpi_high_size, RAM);
			assert_true(m->acpi_high_size >= last_size);
			last_size = m->acpi_high_size;
			/* The RSDP alone is in the low area. */
			for (u32 i = 36; i < 4096; i++)
				assert_int_equal(*at_gpa(vm, X86_ACPI + i, 1), 0);
		} else {
			assert_false(high);
			assert_int_equal(m->acpi_high, 0);
		}
		vm_free(vm);
	}
	assert_true(high);
}

static void test_no_room(void **state)
{
	struct vm *vm = vm_new(4096, X86_HIGH_MEM);

	assert_int_equal(x86_acpi_write(&vm->kvm), -ENOSPC);
	vm_free(vm);

	vm = vm_new(1, X86_ACPI);
	assert_int_equal(x86_acpi_write(&vm->kvm), -EFAULT);
	vm_free(vm);
}

/* A usual VM needs one allocation; when there is none, an error comes of it and nothing is left behind. */
static void test_no_memory(void **state)
{
	struct vm *vm = vm_new(4, RAM);

	vm_add_board(vm);
	realloc_fails_in = 1;
	assert_int_equal(x86_acpi_write(&vm->kvm), -ENOMEM);
	assert_int_equal(realloc_fails_in, 0);
	realloc_fails_in = 2;
	assert_int_equal(x86_acpi_write(&vm->kvm), 0);
	assert_int_equal(realloc_fails_in, 1);
	realloc_fails_in = 1;
	assert_int_equal(x86_acpi_dump(&vm->kvm, AT_FDCWD), -ENOMEM);
	realloc_fails_in = 0;
	vm_free(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fadt),	  cmocka_unit_test(test_mcfg),
		cmocka_unit_test(test_madt),	  cmocka_unit_test(test_split_irqchip),
		cmocka_unit_test(test_placing),	  cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("acpi", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* WRAP: x86_vcpu_id realloc */
/*
 * The MP table as a kernel without ACPI finds it: floating pointer by a scan, header, every entry, sums.
 */
#include "acpi-vm.h"
#include <lkvm/pci.h>

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

/* MP specification 4: the places that a kernel searches, on 16-byte boundaries. */
static const u8 *find_floating(const struct vm *vm)
{
	static const struct {
		u64 from, to;
	} area[] = {{0x9fc00, 0xa0000}, {0xf0000, 0x100000}};

	for (u32 i = 0; i < ARRAY_SIZE(area); i++)
		for (u64 gpa = area[i].from; gpa < area[i].to; gpa += 16)
			if (!memcmp(at_gpa(vm, gpa, 16), "_MP_", 4))
				return at_gpa(vm, gpa, 16);
	return NULL;
}

struct mp {
	u32 cpus, buses, ioapics, isa, pci, local;
	u8 isa_pin[16], pci_pin[128]; /* 0xff: no entry */
	u8 ioapic_version;
	bool extint, nmi;
};

static void read_interrupt(const u8 *e, struct mp *mp)
{
	assert_int_equal(le(e + 2, 2), 0);
	if (e[0] == 4) {
		mp->local++;
		assert_int_equal(e[6], 0xff);
		if (e[1] == 3 && e[7] == 0)
			mp->extint = true;
		else if (e[1] == 1 && e[7] == 1)
			mp->nmi = true;
		else
			fail_msg("local interrupt of type %u on LINT%u", e[1], e[7]);
		return;
	}
	assert_int_equal(e[1], 0); /* INT */
	assert_true(e[7] < X86_NR_LINES);
	if (e[4] == 1) { /* the ISA bus's id */
		assert_true(e[5] < 16 && mp->isa_pin[e[5]] == 0xff);
		mp->isa_pin[e[5]] = e[7];
		mp->isa++;
	} else {
		assert_int_equal(e[4], 0);
		assert_true(e[5] < 128 && mp->pci_pin[e[5]] == 0xff);
		mp->pci_pin[e[5]] = e[7];
		mp->pci++;
	}
}

static struct mp read_mp(const struct vm *vm)
{
	const u8 *floating = find_floating(vm), *t, *e, *end;
	struct mp mp = {0};
	u8 last = 0, ioapic = X86_IOAPIC_ID(vm->cfg.cpus);
	u32 len, entries;

	memset(mp.isa_pin, 0xff, sizeof(mp.isa_pin));
	memset(mp.pci_pin, 0xff, sizeof(mp.pci_pin));
	assert_non_null(floating);
	assert_sum(floating, 16);
	assert_memory_equal(floating + 8, "\1\4", 2);
	assert_memory_equal(floating + 11, "\0\0\0\0\0", 5);
	len = (u32)le(at_gpa(vm, le(floating + 4, 4), 44) + 4, 2);
	assert_true(range_inside(le(floating + 4, 4), len, X86_MPTABLE, X86_MPTABLE_SIZE));
	t = at_gpa(vm, le(floating + 4, 4), len);
	assert_sum(t, len);
	assert_memory_equal(t, "PCMP", 4);
	assert_int_equal(t[6], 4);
	assert_memory_equal(t + 8, "LKVM    LKVM X86    ", 20);
	assert_int_equal(le(t + 36, 4), X86_LAPIC);
	assert_int_equal(le(t + 40, 4), 0);
	entries = (u32)le(t + 34, 2);
	end = t + len;
	for (e = t + 44; e < end; e += e[0] ? 8 : 20, entries--) {
		assert_true(e[0] >= last && e[0] <= 4); /* 4.3: in order of their types */
		assert_true(end - e >= (e[0] ? 8 : 20));
		last = e[0];
		switch (e[0]) {
		case 0:
			assert_int_equal(e[2], 0x14);
			assert_int_equal(e[3], mp.cpus ? 1 : 3);
			assert_int_equal(e[1], vcpu_id ? vcpu_id(mp.cpus) : mp.cpus);
			assert_int_equal(le(e + 4, 4), vm->machine.cpuid ? 0xf61 : 0x600);
			assert_int_equal(le(e + 8, 4), vm->machine.cpuid ? 0x1783fbff : 0x201);
			mp.cpus++;
			break;
		case 1:
			assert_memory_equal(e + 1, mp.buses ? "\1ISA   " : "\0PCI   ", 7);
			mp.buses++;
			break;
		case 2:
			mp.ioapics++;
			mp.ioapic_version = e[2];
			assert_int_equal(e[1], ioapic);
			assert_int_equal(e[3], 1);
			assert_int_equal(le(e + 4, 4), X86_IOAPIC);
			break;
		case 3:
			assert_int_equal(e[6], ioapic);
			read_interrupt(e, &mp);
			break;
		case 4:
			read_interrupt(e, &mp);
			break;
		}
	}
	assert_ptr_equal(e, end);
	assert_int_equal(entries, 0);
	assert_int_equal(mp.buses, 2);
	assert_int_equal(mp.ioapics, 1);
	assert_true(mp.nmi);
	return mp;
}

static void test_full(void **state)
{
	struct vm *vm = vm_new(1, RAM);
	struct mp mp;

	assert_int_equal(x86_mptable_write(&vm->kvm), 0);
	mp = read_mp(vm);
	assert_int_equal(mp.cpus, 1);
	assert_int_equal(mp.ioapic_version, 0x11);
	assert_true(mp.extint);
	for (u32 irq = 0; irq < 16; irq++)
		assert_int_equal(mp.isa_pin[irq], irq == 2 ? 0xff : irq);
	assert_int_equal(mp.pci, 0); /* there is no PCI host */
	vm_free(vm);
}

static void test_split(void **state)
{
	struct vm *vm = vm_new(2, RAM);
	struct mp mp;

	vm->kvm.irqchip.ops = &x86_irqchip_split;
	assert_int_equal(x86_mptable_write(&vm->kvm), 0);
	mp = read_mp(vm);
	assert_int_equal(mp.ioapic_version, 0x20);
	assert_true(mp.extint);
	for (u32 irq = 0; irq < 16; irq++)
		assert_int_equal(mp.isa_pin[irq], irq == 2 ? 0xff : irq);
	vm_free(vm);
}

static void test_cpus(void **state)
{
	static const u32 counts[] = {1, 2, 64, 253, 254};

	for (u32 i = 0; i < ARRAY_SIZE(counts); i++) {
		struct vm *vm = vm_new(counts[i], RAM);

		assert_int_equal(x86_mptable_write(&vm->kvm), 0);
		assert_int_equal(read_mp(vm).cpus, counts[i]);
		vm_free(vm);
	}
	for (u32 cpus = 255; cpus <= 4096; cpus = cpus * 4 + 1) {
		struct vm *vm = vm_new(cpus, RAM);

		assert_int_equal(x86_mptable_write(&vm->kvm), 0);
		assert_null(find_floating(vm));
		vm_free(vm);
	}
}

static u32 sparse_id(u32 index)
{
	return index / 3 * 4 + index % 3;
}

/* vCPUs whose APIC id takes more than 8 bits, or is the one that means all, are left out. */
static void test_sparse_ids(void **state)
{
	struct vm *vm = vm_new(200, RAM);

	vcpu_id = sparse_id;
	assert_int_equal(x86_mptable_write(&vm->kvm), 0);
	assert_int_equal(read_mp(vm).cpus, 192);
	vm_free(vm);
}

static void test_cpuid(void **state)
{
	struct vm *vm = vm_new(3, RAM);

	vm->machine.cpuid = calloc(1, sizeof(struct kvm_cpuid2) + 2 * sizeof(struct kvm_cpuid_entry2));
	assert_non_null(vm->machine.cpuid);
	vm->machine.cpuid->nent = 2;
	vm->machine.cpuid->entries[1] =
		(struct kvm_cpuid_entry2){.function = 1, .eax = 0x00a00f61, .edx = 0x1783fbff};
	assert_int_equal(x86_mptable_write(&vm->kvm), 0);
	assert_int_equal(read_mp(vm).cpus, 3);
	free(vm->machine.cpuid);
	vm_free(vm);
}

static void test_pci(void **state)
{
	static const struct board_device wired = {.ops = &pci_host_ops, .line = X86_IRQ_PCI};
	static const struct board_device unwired = {.ops = &pci_host_ops, .line = IRQ_NONE};
	struct vm *vm = vm_new(1, RAM);
	struct mp mp;

	vm_add(vm, &pci_host_ops, &wired);
	assert_int_equal(x86_mptable_write(&vm->kvm), 0);
	mp = read_mp(vm);
	assert_int_equal(mp.pci, 128);
	for (u32 i = 0; i < 128; i++)
		assert_int_equal(mp.pci_pin[i], X86_IRQ_PCI + (i / 4 + i % 4) % PCI_INTX_LINES);
	vm_free(vm);

	vm = vm_new(1, RAM);
	vm_add(vm, &pci_host_ops, &unwired);
	assert_int_equal(x86_mptable_write(&vm->kvm), 0);
	assert_int_equal(read_mp(vm).pci, 0);
	vm_free(vm);
}

static void test_errors(void **state)
{
	struct vm *vm = vm_new(254, RAM);

	realloc_fails_in = 1;
	assert_int_equal(x86_mptable_write(&vm->kvm), -ENOMEM);
	assert_null(find_floating(vm));
	realloc_fails_in = 2; /* one allocation is enough */
	assert_int_equal(x86_mptable_write(&vm->kvm), 0);
	assert_int_equal(realloc_fails_in, 1);
	realloc_fails_in = 0;
	vm_free(vm);

	vm = vm_new(1, X86_MPTABLE);
	assert_int_equal(x86_mptable_write(&vm->kvm), -EFAULT);
	vm_free(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),	   cmocka_unit_test(test_split), cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_sparse_ids), cmocka_unit_test(test_cpuid), cmocka_unit_test(test_pci),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests_name("mptable", tests, NULL, NULL);
}

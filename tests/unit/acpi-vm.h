/* SPDX-License-Identifier: MIT */
/*
 * A VM of just what the x86 board's tables (ACPI, MP) are made from: vCPUs in number, RAM, devices with a
 * place. And the reading of tables, done here anew. The test wraps x86_vcpu_id.
 */
#ifndef LKVM_TEST_ACPI_VM_H
#define LKVM_TEST_ACPI_VM_H

#include "x86/layout.h"
#include "x86/x86.h"
#include <errno.h>
#include <lkvm/acpi.h>
#include <lkvm/config.h>
#include <lkvm/device.h>
#include <lkvm/hw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RAM MiB(4)

static u32 (*vcpu_id)(u32 index); /* NULL: the index itself */

u32 __wrap_x86_vcpu_id(const struct kvm *kvm, u32 index);
u32 __wrap_x86_vcpu_id(const struct kvm *kvm, u32 index)
{
	return vcpu_id ? vcpu_id(index) : index;
}

struct vm {
	struct kvm kvm;
	struct vm_config cfg;
	struct x86_machine machine;
	struct device *device[64];
	u32 nr_devices;
};

static inline struct vm *vm_new(u64 cpus, u64 ram)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	assert_non_null(vm);
	vm->cfg.cpus = cpus;
	vm->kvm.cfg = &vm->cfg;
	vm->kvm.machine = machines[0];
	vm->kvm.arch = &vm->machine;
	vm->machine.low_ram = ram;
	vm->machine.phys_bits = 46;
	vm->kvm.irqchip.ops = &x86_irqchip_full;
	vm->kvm.mem.nr_banks = 1;
	vm->kvm.mem.bank[0] = (struct mem_bank){.gpa = 0, .size = ram, .hva = calloc(1, ram)};
	assert_non_null(vm->kvm.mem.bank[0].hva);
	list_init(&vm->kvm.devices);
	return vm;
}

static inline void vm_add(struct vm *vm, const struct device_ops *ops, const struct board_device *board)
{
	struct device *dev = calloc(1, ops->size);

	assert_non_null(dev);
	assert_true(vm->nr_devices < ARRAY_SIZE(vm->device));
	dev->ops = ops;
	dev->board = board;
	dev->kvm = &vm->kvm;
	list_add_tail(&vm->kvm.devices, &dev->link);
	vm->device[vm->nr_devices++] = dev;
}

/* The stock board. Its devices are not created: what they say of themselves hangs on their places alone. */
static inline void vm_add_board(struct vm *vm)
{
	for (const struct board_device *b = machines[0]->board; b->ops; b++)
		vm_add(vm, b->ops, b);
}

static inline void vm_free(struct vm *vm)
{
	for (u32 i = 0; i < vm->nr_devices; i++)
		free(vm->device[i]);
	free(vm->kvm.mem.bank[0].hva);
	free(vm);
	vcpu_id = NULL;
}

/* ---- reading tables as a guest does ------------------------------------------------------------ */

static inline u64 le(const u8 *p, u32 bytes)
{
	u64 v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static inline void assert_sum(const u8 *p, size_t len)
{
	u8 sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (u8)(sum + p[i]);
	assert_int_equal(sum, 0);
}

static inline const u8 *at_gpa(const struct vm *vm, u64 gpa, size_t len)
{
	const u8 *p = guest_ptr(&vm->kvm.mem, gpa, len);

	assert_non_null(p);
	return p;
}

/* A table at gpa: its checksum is right, and it lies wholly where the e820 map will say that tables are. */
static inline const u8 *table_at(const struct vm *vm, u64 gpa)
{
	const struct x86_machine *m = &vm->machine;
	u32 len = (u32)le(at_gpa(vm, gpa, 36) + 4, 4);
	const u8 *t = at_gpa(vm, gpa, len);

	assert_true(len >= 36);
	assert_int_equal(gpa % 8, 0);
	assert_true(range_inside(gpa, len, X86_ACPI, X86_ACPI_SIZE) ||
		    range_inside(gpa, len, m->acpi_high, m->acpi_high_size));
	assert_sum(t, len);
	assert_memory_equal(t + 10, "LKVM  ", 6);
	return t;
}

static inline const u8 *find_xsdt(const struct vm *vm)
{
	const u8 *rsdp = at_gpa(vm, vm->machine.rsdp, 36);

	assert_int_equal(vm->machine.rsdp, X86_ACPI);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_sum(rsdp, 20);
	assert_sum(rsdp, 36);
	assert_int_equal(rsdp[15], 2);
	assert_int_equal(le(rsdp + 16, 4), 0);
	assert_int_equal(le(rsdp + 20, 4), 36);
	return table_at(vm, le(rsdp + 24, 8));
}

static inline const u8 *find_table(const struct vm *vm, const char *signature)
{
	const u8 *xsdt = find_xsdt(vm), *found = NULL;
	u32 len = (u32)le(xsdt + 4, 4);

	assert_memory_equal(xsdt, "XSDT", 4);
	assert_int_equal((len - 36) % 8, 0);
	for (u32 i = 36; i < len; i += 8) {
		const u8 *t = table_at(vm, le(xsdt + i, 8));

		if (!memcmp(t, signature, 4)) {
			assert_null(found);
			found = t;
		}
	}
	return found;
}

#endif

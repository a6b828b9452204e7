/* SPDX-License-Identifier: MIT */
/* VMs of the e500 machine on the fake KVM, for this folder's tests (core-vm.h). */
#ifndef LKVM_TEST_E500_VM_H
#define LKVM_TEST_E500_VM_H

#include "fake-ppc.h" /* first: core-vm.h has a `vm` for all to see */

#include "core-vm.h"
#include <inttypes.h>
#include <powerpc/e500-layout.h>
#include <powerpc/e500.h>

#define E500_MEM MiB(128)

/* As vm_setup(), on a host with an e500v2. */
static inline int e500_setup(void **state)
{
	int err = vm_setup(state);

	fake_ppc_host(FAKE_E500);
	return err;
}

/* Such a host once more, on which nothing has happened yet. */
static inline void e500_again(void)
{
	vm_down();
	fake_kvm_reset();
	fake_ppc_host(FAKE_E500);
}

/* Up to a step before `boot`, which would want a kernel. */
static inline int e500_up(const char *irqchip, const char *cpus, const char *step)
{
	const char *const more[] = {"--irqchip", irqchip, "-c", cpus, NULL};

	return vm_up("/proc/self/exe", E500_MEM, step, more);
}

static inline struct fake_ppc_vcpu *e500_fake_cpu(u32 id)
{
	return fake_ppc_cpu(fake_kvm_vcpu(fake_kvm_newest(), id));
}

static inline struct fake_mpic *mpic(void)
{
	return fake_mpic_of(fake_kvm_newest());
}

/* A guest that sets a source up: its registers IVPR and IDR. */
#define IVPR(n)		      (0x10000u + (n)*0x20u)
#define IDR(n)		      (0x10010u + (n)*0x20u)
#define VECTOR(priority, num) ((u32)(priority) << 16 | (num))
#define MASKED		      0x80000000u
#define LEVEL		      0x00400000u
#define ACTIVE		      0x40000000u
#define CTPR(cpu)	      (0x20080u + (cpu)*0x1000u)
#define IPIDR(cpu, n)	      (0x20040u + (cpu)*0x1000u + (n)*0x10u)
#define IPI_IVPR(n)	      (0x10a0u + (n)*0x10u)
#define MSIR(n)		      (0x1600u + (n)*0x10u)
#define GCR		      0x1020u
#define GCR_RESET	      0x80000000u

static inline void guest_enables(u32 source, u32 ivpr, u32 cpus)
{
	fake_mpic_write(fake_kvm_newest(), IDR(source), cpus);
	fake_mpic_write(fake_kvm_newest(), IVPR(source), ivpr);
}

#define E500_TEST(name) cmocka_unit_test_setup_teardown(name, e500_setup, vm_teardown)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A VM with the split irqchip on the fake KVM, its clock and its IRQ 0's timer the test's own: the guest's,
 * the devices' and the vCPU's side, for the tests of x86/irqchip-split.c. The program that includes this has
 * the linker wrap clock_gettime and event_timer_set.
 */
#ifndef SPLIT_VM_H
#define SPLIT_VM_H

#include "fake-kvm.h"

#include <errno.h>
#include <lkvm/config.h>
#include <lkvm/irq.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <lkvm/state.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MS     1000000ull
#define IOAPIC 0xfec00000ull

enum { REMOTE_IRR = 1 << 14, LEVEL = 1 << 15, MASKED = 1 << 16, LOW_ACTIVE = 1 << 13 };

static struct kvm *kvm;
static struct vm_config cfg;
static struct vcpu *bsp;
static u64 now;
static struct event_timer *timer;
static u64 timer_ns; /* after which it fires; 0: disarmed */
static u32 timer_sets;

int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	ts->tv_sec = (time_t)(now / (1000 * MS));
	ts->tv_nsec = (long)(now % (1000 * MS));
	return 0;
}

void __wrap_event_timer_set(struct event_timer *t, u64 first_ns, u64 period_ns);
void __wrap_event_timer_set(struct event_timer *t, u64 first_ns, u64 period_ns)
{
	if (t == &kvm->panic_grace || t == &kvm->timeout)
		return;
	assert_true(!timer || timer == t);
	assert_int_equal(period_ns, 0);
	timer = t;
	timer_ns = first_ns;
	timer_sets++;
}

static inline int setup(void **state)
{
	static const char *const argv[] = {"run", "-k", "/dev/null", "-m",	  "4M",
					   "-c",  "2",	"--testdev", "--irqchip", "split"};
	bool help;

	fake_kvm_reset();
	now = 1000000 * MS;
	timer = NULL;
	timer_ns = timer_sets = 0;
	kvm = calloc(1, sizeof(*kvm));
	if (config_parse(&cfg, ARRAY_SIZE(argv), (char **)(uintptr_t)argv, &help) ||
	    kvm_up(kvm, &cfg, "irqchip-finalize"))
		return -1;
	bsp = &kvm->vcpu[0];
	return 0;
}

static inline int teardown(void **state)
{
	kvm_down(kvm);
	config_free(&cfg);
	free(kvm);
	fake_kvm_reset();
	return 0;
}

/* ---- the guest's and the devices' side ------------------------------------------------------ */

static inline void outb(u16 port, u8 v)
{
	bus_access(kvm, NULL, BUS_PIO, port, &v, 1, true);
}

static inline u8 inb(u16 port)
{
	u8 v;

	bus_access(kvm, NULL, BUS_PIO, port, &v, 1, false);
	return v;
}

static inline void mmio(u64 addr, u32 *v, bool write)
{
	bus_access(kvm, NULL, BUS_MMIO, addr, (u8 *)v, 4, write);
}

static inline u32 ioapic_read(u32 reg)
{
	u32 v;

	mmio(IOAPIC, &reg, true);
	mmio(IOAPIC + 0x10, &v, false);
	return v;
}

static inline void ioapic_write(u32 reg, u32 v)
{
	mmio(IOAPIC, &reg, true);
	mmio(IOAPIC + 0x10, &v, true);
}

static inline u32 entry(u32 pin)
{
	return ioapic_read(0x10 + 2 * pin);
}

static inline void set_entry(u32 pin, u32 v)
{
	ioapic_write(0x10 + 2 * pin, v);
}

static inline void up(u32 line)
{
	irq_set_line(kvm, line, true);
}

static inline void down(u32 line)
{
	irq_set_line(kvm, line, false);
}

static inline void eoi(u32 vector)
{
	kvm->irqchip.ops->eoi(&kvm->irqchip, vector);
}

static inline u32 msis(void)
{
	return fake_kvm_vm(0)->nr_msis;
}

static inline u32 last_vector(void)
{
	return fake_kvm_vm(0)->msi[msis() - 1].data & 0xff;
}

static inline u32 routes(void)
{
	return fake_kvm_vm(0)->nr_routes;
}

static inline void pic_init(u16 mask)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, 0x30);
	outb(0xa1, 0x38);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, (u8)mask);
	outb(0xa1, (u8)(mask >> 8));
}

static inline void pit_program(u32 count)
{
	outb(0x43, 0x34);
	outb(0x40, (u8)count);
	outb(0x40, (u8)(count >> 8));
}

/* The vCPU comes out of KVM_RUN, able to take an interrupt or not, and is about to go in again. */
static inline void enter(bool ready)
{
	bsp->run->ready_for_interrupt_injection = bsp->run->if_flag = ready;
	kvm->machine->vcpu_enter(bsp);
}

/* What was injected since the last call: a vector, or -1. */
static inline int injected(void)
{
	struct fake_vcpu *v = fake_kvm_vcpu(fake_kvm_vm(0), 0);

	if (!v->vector_waits)
		return -1;
	v->vector_waits = false;
	return (int)v->vector;
}

static inline int take(void)
{
	enter(true);
	return injected();
}

static inline void fire(void)
{
	assert_true(timer && timer_ns);
	now += timer_ns;
	timer_ns = 0;
	timer->fn(timer);
}

#endif

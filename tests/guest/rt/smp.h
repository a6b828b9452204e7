/* SPDX-License-Identifier: MIT */
/* The other CPUs, for 32-bit payloads: at most 320 of them, on stacks of 2 KiB. */
#ifndef SMP_H
#define SMP_H

#include "guest.h"

/* How many have come up so far. */
extern volatile u32 ap_count;

/*
 * Sends INIT and two start-up IPIs to the CPU of that APIC id, or with 0xff to all others at once; each that
 * starts runs fn(its index in order of arrival) on a stack of its own, with interrupts off and our IDT
 * loaded.
 */
void smp_start(u32 apic_id, void (*fn)(u32 index));
/* The same for all others at once, with our local APIC in x2APIC mode. */
void smp_start_x2apic(void (*fn)(u32 index));
/* Waits until n have come up; false after many turns. */
bool smp_wait(u32 n);
void smp_send(u32 apic_id, u32 command);
u32 smp_id(void);

static inline u32 atomic_add(volatile u32 *p, u32 v)
{
	asm volatile("lock xaddl %0, %1" : "+r"(v), "+m"(*p) : : "memory");
	return v;
}

#endif

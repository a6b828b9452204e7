/* SPDX-License-Identifier: MIT */
/* The other vCPUs: each is started by PSCI CPU_ON, on a stack of its own, with the MMU on and interrupts off.
 */
#ifndef SMP_H
#define SMP_H

#include "guest.h"

/*
 * Starts the vCPU with this number, which calls fn(number), and CPU_OFF when that returns. What PSCI answers.
 * fn must be the same for all that are starting.
 */
long smp_start(u32 index, void (*fn)(u32 index));
/* How many have come up so far. */
extern volatile u32 smp_started;

#endif

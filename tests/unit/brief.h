/* SPDX-License-Identifier: MIT */
/* How often a test is to do again what it did: less where each time is slow, as under an emulator
 * (tests/check). */
#ifndef LKVM_TEST_BRIEF_H
#define LKVM_TEST_BRIEF_H

#include <lkvm/types.h>
#include <stdlib.h>

static inline u32 rounds(u32 n)
{
	return getenv("LKVM_TEST_BRIEF") ? 1 + n / 20 : n;
}

/* The step of a loop over all places of something. */
static inline u32 stride(u32 n)
{
	return getenv("LKVM_TEST_BRIEF") ? 16 * n + 1 : n;
}

#endif

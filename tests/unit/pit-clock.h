/* SPDX-License-Identifier: MIT */
/* A PIT (x86/pit.c) on a clock of the test's own, and the guest's side of it. */
#ifndef PIT_CLOCK_H
#define PIT_CLOCK_H

#include <lkvm/buf.h>
#include <lkvm/state.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <x86/pit.h>

#include <cmocka.h>

#define SEC 1000000000ull

enum { OUT = 0x80, NULL_COUNT = 0x40 };

static struct pit pit;
static u64 now;

static inline int setup(void **state)
{
	now = 123456789012345ull;
	pit_reset(&pit, now);
	return 0;
}

static inline void out(u32 reg, u8 v)
{
	pit_write(&pit, now, reg, v);
}

static inline u8 in(u32 reg)
{
	return pit_read(&pit, now, reg);
}

/* The control word and the count, low byte first. */
static inline void program(u32 ch, u8 mode, u16 count)
{
	out(3, (u8)(ch << 6 | 0x30 | mode << 1));
	out(ch, (u8)count);
	out(ch, (u8)(count >> 8));
}

/* To the middle of the nth clock after `from`: what rounding does to its ends is not what is tested. */
static inline void at(u64 from, u64 n)
{
	now = from + n / PIT_HZ * SEC + (n % PIT_HZ * 2 + 1) * SEC / 2 / PIT_HZ;
}

static inline u16 both(u32 ch)
{
	u16 low = in(ch);

	return (u16)(low | in(ch) << 8);
}

static inline u16 latched(u32 ch)
{
	out(3, (u8)(ch << 6));
	return both(ch);
}

static inline u8 status(u32 ch)
{
	out(3, (u8)(0xe0 | 2 << ch));
	return in(ch);
}

static inline bool output(u32 ch)
{
	return status(ch) & OUT;
}

static inline void gate2(bool on)
{
	pit_write_port61(&pit, now, on);
}

static inline void assert_edges(u64 n)
{
	assert_int_equal(pit_take_edges(&pit, now), n);
}

#endif

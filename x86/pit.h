/* SPDX-License-Identifier: MIT */
/*
 * The 8254 interval timer of a PC and port 61 (pit.c), without a thread, a lock or a clock of its own: its
 * owner (irqchip-split.c) has the lock, tells the time (`now`, CLOCK_MONOTONIC in nanoseconds, never less
 * than it was), and asks for the rising edges of channel 0, which are IRQ 0.
 */
#ifndef LKVM_X86_PIT_H
#define LKVM_X86_PIT_H

#include <lkvm/types.h>

struct state;

#define PIT_HZ 1193182

struct pit_channel {
	u32 count;	 /* the counter's period or start, 1 .. 65536 (10000 in BCD); 0: not written yet */
	u32 next;	 /* written while a period runs (modes 2 and 3): from its end on; 0: nothing */
	bool running;	 /* counts: d = base + clocks from `start` to now */
	u64 start;	 /* ns */
	s64 base;	 /* clocks */
	u64 edges;	 /* rising edges of OUT that nobody has asked for yet */
	u64 seen;	 /* d up to which they are in `edges` */
	u16 latched;	 /* what a latch command caught */
	u8 latched_left; /* how many bytes of it are still to be read: 0, 1, 2 */
	u8 status;	 /* caught by a read-back command */
	bool status_latched;
	bool null_count;		       /* the count written last is not in the counter yet */
	u8 mode, access;		       /* 0 - 5; enum pit_access */
	bool bcd, gate, read_high, write_high; /* which byte comes next, with PIT_BOTH */
	u8 low;				       /* written low byte, waiting for the high one */
};

struct pit {
	struct pit_channel channel[3];
	u8 speaker; /* port 61, bits 1 to 3 */
};

/* As firmware leaves it: 18.2 Hz, memory refresh, speaker off. */
void pit_reset(struct pit *pit, u64 now);
/* reg: 0 - 2 a channel, 3 the control word. */
void pit_write(struct pit *pit, u64 now, u32 reg, u8 v);
u8 pit_read(struct pit *pit, u64 now, u32 reg);
void pit_write_port61(struct pit *pit, u64 now, u8 v);
u8 pit_read_port61(struct pit *pit, u64 now);
/* How often channel 0's output rose since the last call. */
u64 pit_take_edges(struct pit *pit, u64 now);
/* Nanoseconds to its next rise, at least 1; 0: there will be none. */
u64 pit_next_edge(struct pit *pit, u64 now);
/* Nanoseconds from one rise to the next; 0 when they do not repeat. */
u64 pit_period(const struct pit *pit);
void pit_state(struct pit *pit, u64 now, struct state *s);

#endif

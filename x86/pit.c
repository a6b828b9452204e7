/* SPDX-License-Identifier: MIT */
/*
 * The 8254 programmable interval timer of a PC: Intel's 8254 datasheet (order number 231164), and port 61 of
 * the PC/AT around channel 2. Called by irqchip-split.c, on any thread, under its lock.
 *
 * Nothing ticks: a channel is the time at which it began to count, and its counter, its output and the edges
 * of it that passed are computed when somebody asks. A count is taken at once where the chip takes it with
 * the next clock. A control word that moves an output from low to high by itself makes no edge here.
 *
 * The gates of channels 0 and 1 are tied high; that of channel 2 is bit 0 of port 61.
 */
#include "pit.h"
#include <lkvm/state.h>
#include <string.h>

#define NSEC_PER_SEC 1000000000ull

enum pit_access { PIT_LATCH, PIT_LOW, PIT_HIGH, PIT_BOTH };

/* The datasheet's names of the modes. */
enum pit_mode { TERMINAL_COUNT, HARDWARE_ONE_SHOT, RATE, SQUARE, SOFTWARE_STROBE, HARDWARE_STROBE };

enum {
	CONTROL = 3, /* the register beside the three channels */
	READ_BACK = 3,
	READ_BACK_NO_COUNT = 0x20,
	READ_BACK_NO_STATUS = 0x10,
	STATUS_OUT = 0x80,
	STATUS_NULL = 0x40,
	P61_GATE2 = 0x01,
	P61_WRITABLE = 0x0e, /* of which bit 1 lets OUT 2 through to the speaker */
	P61_REFRESH = 0x10,
	P61_OUT2 = 0x20,
};

/* Clocks for one half of the refresh bit's cycle: it follows channel 1, whose count firmware sets to 18. */
#define REFRESH_CLOCKS 18

static u64 clocks(u64 ns)
{
	return ns / NSEC_PER_SEC * PIT_HZ + ns % NSEC_PER_SEC * PIT_HZ / NSEC_PER_SEC;
}

/* After how many nanoseconds so many clocks have passed. */
static u64 nanoseconds(u64 n)
{
	return n / PIT_HZ * NSEC_PER_SEC + (n % PIT_HZ * NSEC_PER_SEC + PIT_HZ - 1) / PIT_HZ;
}

static bool periodic(const struct pit_channel *ch)
{
	return ch->mode == RATE || ch->mode == SQUARE;
}

/* A rising gate starts these anew; the gate's level then means nothing to modes 1 and 5. */
static bool triggered(const struct pit_channel *ch)
{
	return ch->mode == HARDWARE_ONE_SHOT || ch->mode == HARDWARE_STROBE;
}

static u32 modulus(const struct pit_channel *ch)
{
	return ch->bcd ? 10000 : 65536;
}

/* ---- counting ------------------------------------------------------------------------------- */

/* d: clocks counted since the count was taken, or, in a periodic mode, since a period began. */
static u64 counted(const struct pit_channel *ch, u64 now)
{
	return (u64)(ch->base + (ch->running ? (s64)clocks(now - ch->start) : 0));
}

static void stop(struct pit_channel *ch, u64 now)
{
	ch->base = (s64)counted(ch, now);
	ch->running = false;
}

static void go_on(struct pit_channel *ch, u64 now)
{
	ch->start = now;
	ch->running = true;
}

static void begin(struct pit_channel *ch, u64 now)
{
	ch->base = 0;
	ch->seen = 0;
	ch->next = 0;
	ch->null_count = false;
	go_on(ch, now);
}

/* Brings edges and `next` up to date; afterwards d of a periodic mode is below the count. */
static void sync(struct pit_channel *ch, u64 now)
{
	u64 d = counted(ch, now), rise, whole;

	if (!ch->running)
		return;
	if (periodic(ch)) {
		if (ch->next && d >= ch->count) {
			ch->edges++;
			ch->base -= ch->count;
			d -= ch->count;
			ch->count = ch->next;
			ch->next = 0;
			ch->null_count = false;
		}
		whole = d / ch->count;
		ch->edges += whole;
		ch->base -= (s64)(whole * ch->count);
		return;
	}
	/* OUT rises once: at the end of the count, or of the strobe that follows it. */
	rise = ch->count + (ch->mode == SOFTWARE_STROBE || ch->mode == HARDWARE_STROBE);
	ch->edges += ch->seen < rise && d >= rise;
	ch->seen = d;
}

/* The counting element. */
static u32 counter(const struct pit_channel *ch, u64 now)
{
	u64 d = counted(ch, now), high;

	if (!ch->count)
		return 0;
	switch ((enum pit_mode)ch->mode) {
	case RATE:
		return (u32)(ch->count - d % ch->count) % modulus(ch);
	case SQUARE:
		/* By twos, through the count once for each half; the high half of an odd one is longer. */
		d %= ch->count;
		high = (ch->count + 1) / 2;
		return (u32)((ch->count & ~1u) - 2 * (d < high ? d : d - high)) % modulus(ch);
	default:
		/* It goes on below 0. */
		return (u32)(ch->count + modulus(ch) - d % modulus(ch)) % modulus(ch);
	}
}

static bool output(const struct pit_channel *ch, u64 now)
{
	u64 d = counted(ch, now);

	switch ((enum pit_mode)ch->mode) {
	case TERMINAL_COUNT:
		return ch->count && d >= ch->count;
	case HARDWARE_ONE_SHOT:
		return !ch->running || d >= ch->count;
	case RATE:
		return !ch->running || ch->count == 1 || d % ch->count != ch->count - 1;
	case SQUARE:
		return !ch->running || d % ch->count < (ch->count + 1) / 2;
	default:
		return !ch->running || d != ch->count;
	}
}

static u16 to_bcd(u32 v)
{
	return (u16)(v / 1000 % 10 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10);
}

static u32 from_bcd(u16 v)
{
	return (v >> 12) * 1000u + (v >> 8 & 0xf) * 100u + (v >> 4 & 0xf) * 10u + (v & 0xf);
}

/* As the guest reads it. */
static u16 counter_value(const struct pit_channel *ch, u64 now)
{
	u32 v = counter(ch, now);

	return ch->bcd ? to_bcd(v) : (u16)v;
}

/* A whole count was written. */
static void take_count(struct pit_channel *ch, u64 now, u16 value)
{
	u32 count = ch->bcd ? from_bcd(value) % 10000 : value;
	bool counting = ch->running;

	if (!count)
		count = modulus(ch);
	if (periodic(ch) && counting) {
		ch->next = count;
		ch->null_count = true;
		return;
	}
	if (triggered(ch)) {
		/* For the next trigger; a shot that is under way goes on. */
		*(counting ? &ch->next : &ch->count) = count;
		ch->null_count = true;
		return;
	}
	ch->count = count;
	begin(ch, now);
	if (!ch->gate)
		stop(ch, now);
}

static void set_gate(struct pit_channel *ch, u64 now, bool gate)
{
	bool was = ch->gate;

	sync(ch, now);
	ch->gate = gate;
	if (was == gate || !ch->count)
		return;
	if (gate && (triggered(ch) || periodic(ch))) {
		if (ch->next)
			ch->count = ch->next;
		begin(ch, now);
	} else if (gate) {
		/* Between the two bytes of a count mode 0 stands still. */
		if (ch->mode != TERMINAL_COUNT || !ch->write_high)
			go_on(ch, now);
	} else if (!triggered(ch)) {
		stop(ch, now);
	}
}

/* ---- registers ------------------------------------------------------------------------------ */

static void latch_count(struct pit_channel *ch, u64 now)
{
	/* A second latch before the first was read is ignored. */
	if (ch->latched_left)
		return;
	ch->latched = counter_value(ch, now);
	ch->latched_left = ch->access == PIT_BOTH ? 2 : 1;
}

static void latch_status(struct pit_channel *ch, u64 now)
{
	if (ch->status_latched)
		return;
	ch->status = (u8)((output(ch, now) ? STATUS_OUT : 0) | (ch->null_count ? STATUS_NULL : 0) |
			  ch->access << 4 | ch->mode << 1 | ch->bcd);
	ch->status_latched = true;
}

static void write_control(struct pit *pit, u64 now, u8 v)
{
	u32 select = v >> 6, access = v >> 4 & 3, mode = v >> 1 & 7;
	struct pit_channel *ch;

	if (select == READ_BACK) {
		for (u32 i = 0; i < 3; i++) {
			if (!(v >> (i + 1) & 1))
				continue;
			sync(&pit->channel[i], now);
			if (!(v & READ_BACK_NO_COUNT))
				latch_count(&pit->channel[i], now);
			if (!(v & READ_BACK_NO_STATUS))
				latch_status(&pit->channel[i], now);
		}
		return;
	}
	ch = &pit->channel[select];
	sync(ch, now);
	if (access == PIT_LATCH) {
		latch_count(ch, now);
		return;
	}
	*ch = (struct pit_channel){
		.mode = (u8)(mode > HARDWARE_STROBE ? mode - 4 : mode), /* bit 2 means nothing to 2 and 3 */
		.access = (u8)access,
		.bcd = v & 1,
		.gate = ch->gate,
		.null_count = true,
	};
}

static void write_channel(struct pit_channel *ch, u64 now, u8 v)
{
	sync(ch, now);
	if (ch->access == PIT_LOW) {
		take_count(ch, now, v);
	} else if (ch->access == PIT_HIGH) {
		take_count(ch, now, (u16)(v << 8));
	} else if (!ch->write_high) {
		ch->low = v;
		ch->write_high = true;
		/* In mode 0 the first byte stops the counter and takes OUT low. */
		if (ch->mode == TERMINAL_COUNT) {
			stop(ch, now);
			ch->base = 0;
			ch->null_count = true;
		}
	} else {
		ch->write_high = false;
		take_count(ch, now, (u16)(v << 8 | ch->low));
	}
}

void pit_write(struct pit *pit, u64 now, u32 reg, u8 v)
{
	if (reg == CONTROL)
		write_control(pit, now, v);
	else if (reg < CONTROL)
		write_channel(&pit->channel[reg], now, v);
}

static u8 read_latched(struct pit_channel *ch)
{
	/* Of two bytes the low one comes first; of one, the one that the access mode names. */
	bool high = ch->access == PIT_BOTH ? ch->latched_left == 1 : ch->access == PIT_HIGH;

	ch->latched_left--;
	return (u8)(ch->latched >> (high ? 8 : 0));
}

u8 pit_read(struct pit *pit, u64 now, u32 reg)
{
	struct pit_channel *ch;
	bool high;

	if (reg >= CONTROL)
		return 0xff; /* the control word cannot be read */
	ch = &pit->channel[reg];
	sync(ch, now);
	if (ch->status_latched) {
		ch->status_latched = false;
		return ch->status;
	}
	if (ch->latched_left)
		return read_latched(ch);
	high = ch->access == PIT_HIGH;
	if (ch->access == PIT_BOTH) {
		high = ch->read_high;
		ch->read_high = !high;
	}
	return (u8)(counter_value(ch, now) >> (high ? 8 : 0));
}

void pit_write_port61(struct pit *pit, u64 now, u8 v)
{
	pit->speaker = v & P61_WRITABLE;
	set_gate(&pit->channel[2], now, v & P61_GATE2);
}

u8 pit_read_port61(struct pit *pit, u64 now)
{
	struct pit_channel *ch = &pit->channel[2];

	sync(ch, now);
	return (u8)(pit->speaker | (ch->gate ? P61_GATE2 : 0) | (output(ch, now) ? P61_OUT2 : 0) |
		    (clocks(now) / REFRESH_CLOCKS & 1 ? P61_REFRESH : 0));
}

/* ---- IRQ 0 ---------------------------------------------------------------------------------- */

u64 pit_take_edges(struct pit *pit, u64 now)
{
	struct pit_channel *ch = &pit->channel[0];
	u64 edges;

	sync(ch, now);
	edges = ch->edges;
	ch->edges = 0;
	return edges;
}

u64 pit_next_edge(struct pit *pit, u64 now)
{
	struct pit_channel *ch = &pit->channel[0];
	u64 rise, at;

	sync(ch, now);
	if (!ch->running)
		return 0;
	rise = ch->count + (ch->mode == SOFTWARE_STROBE);
	if (counted(ch, now) >= rise)
		return 0;
	at = ch->start + nanoseconds((u64)((s64)rise - ch->base));
	return at > now ? at - now : 1;
}

u64 pit_period(const struct pit *pit)
{
	const struct pit_channel *ch = &pit->channel[0];

	return periodic(ch) && ch->running ? nanoseconds(ch->count) : 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

void pit_reset(struct pit *pit, u64 now)
{
	static const struct {
		u8 mode, access;
		u32 count;
	} firmware[] = {
		{SQUARE, PIT_BOTH, 65536}, {RATE, PIT_LOW, REFRESH_CLOCKS}, {SQUARE, PIT_BOTH, 65536}};

	memset(pit, 0, sizeof(*pit));
	for (u32 i = 0; i < 3; i++) {
		struct pit_channel *ch = &pit->channel[i];

		ch->mode = firmware[i].mode;
		ch->access = firmware[i].access;
		ch->count = firmware[i].count;
		ch->gate = i != 2;
		begin(ch, now);
		if (!ch->gate)
			stop(ch, now);
	}
}

/* Counting goes on from where it was: times of this host's clock mean nothing to another. */
static void walk(struct pit_channel *ch, u64 now, struct state *s, const char *name)
{
	u64 d;

	sync(ch, now);
	d = counted(ch, now);
	state_begin(s, name, 1);
	state_u32(s, "count", &ch->count);
	state_u32(s, "next_count", &ch->next);
	state_bool(s, "counting", &ch->running);
	state_u64(s, "counted", &d);
	state_u16(s, "latched_count", &ch->latched);
	state_u8(s, "count_latched", &ch->latched_left);
	state_bool(s, "status_latched", &ch->status_latched);
	state_u8(s, "status", &ch->status);
	state_bool(s, "null_count", &ch->null_count);
	state_bool(s, "read_state", &ch->read_high);
	state_bool(s, "write_state", &ch->write_high);
	state_u8(s, "write_latch", &ch->low);
	state_u8(s, "rw_mode", &ch->access);
	state_u8(s, "mode", &ch->mode);
	state_bool(s, "bcd", &ch->bcd);
	state_bool(s, "gate", &ch->gate);
	if (state_printing(s))
		state_note(s, "output", "%s", output(ch, now) ? "high" : "low");
	state_end(s);
	if (!state_reading(s))
		return;
	/* Whatever it was, the rest of the file may rely on this. */
	if (ch->mode > HARDWARE_STROBE)
		ch->mode = TERMINAL_COUNT;
	if (!ch->access || ch->access > PIT_BOTH)
		ch->access = PIT_BOTH;
	if (ch->latched_left > 2)
		ch->latched_left = 0;
	ch->count = (u32)min_u64(ch->count, modulus(ch));
	ch->next = (u32)min_u64(ch->next, modulus(ch));
	ch->running = ch->running && ch->count;
	ch->base = (s64)min_u64(d, 1ull << 48);
	ch->start = now;
	ch->edges = 0;
	ch->seen = (u64)ch->base;
}

void pit_state(struct pit *pit, u64 now, struct state *s)
{
	static const char *const names[] = {"channel0", "channel1", "channel2"};

	state_begin(s, "pit", 2);
	for (u32 i = 0; i < 3; i++)
		walk(&pit->channel[i], now, s, names[i]);
	state_u8(s, "speaker", &pit->speaker);
	state_end(s);
	if (state_reading(s))
		pit->speaker &= P61_WRITABLE;
}

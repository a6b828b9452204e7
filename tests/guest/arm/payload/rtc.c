// SPDX-License-Identifier: MIT
/* The real-time clock, a PL031 (Arm DDI 0224): identity, seconds, setting, alarm and its interrupt. */
#include "gic.h"

#define RTCDR	0x000
#define RTCMR	0x004
#define RTCLR	0x008
#define RTCCR	0x00c
#define RTCIMSC 0x010
#define RTCRIS	0x014
#define RTCMIS	0x018
#define RTCICR	0x01c
#define RTC_ID	0xfe0

static ulong rtc;

static void clear_alarm(u32 id, u32 ack)
{
	write32(rtc + RTCICR, 1);
}

static void identity(void)
{
	static const u8 want[8] = {0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
	u32 right = 0;

	for (u32 i = 0; i < 8; i++)
		right += (read32(rtc + RTC_ID + 4 * i) & 0xff) == want[i];
	check_eq(right, 8, "the eight bytes of its identity");
	check_eq(read32(rtc + RTCCR), 1, "it is on, from the start");
}

static void seconds(void)
{
	u32 now = read32(rtc + RTCDR), later;
	u64 begin, gone;
	bool goes;

	printf("= rtc %u\n", now);
	goes = wait_for((later = read32(rtc + RTCDR)) != now);
	begin = ticks();
	now = later;
	goes = goes && wait_for((later = read32(rtc + RTCDR)) >= now + 3);
	gone = (ticks() - begin) * 1000 / ticks_per_second();
	printf("= seconds %u\n= seconds_ms %lu\n", later - now, gone);
	check(goes, "it goes on");
	/* How late we saw the first of these seconds begin, nobody knows; on an idle machine not at all. */
	check(gone > (later - now - 1) * 1000 && gone < (later - now + 10) * 1000, "second by second");
	now = read32(rtc + RTCDR);
	write32(rtc + RTCDR, 12345);
	check(read32(rtc + RTCDR) - now <= 2, "what shows the time cannot be written");
}

static void alarm(u32 id)
{
	u32 now;

	line_edge(id, false);
	line_enable(id);
	irq_hook[id] = clear_alarm;
	now = read32(rtc + RTCDR);
	write32(rtc + RTCMR, now + 2);
	write32(rtc + RTCIMSC, 1);
	check_eq(read32(rtc + RTCRIS), 0, "no alarm before its time");
	check(wait_irq(irqs(id) >= 1), "the alarm is an interrupt");
	check(read32(rtc + RTCDR) >= now + 2, "in its time");
	irq_settle();
	check_eq(irqs(id), 1, "one");
	check_eq(read32(rtc + RTCRIS) | read32(rtc + RTCMIS), 0, "and is over when it is cleared");

	irq_hook[id] = NULL;
	write32(rtc + RTCIMSC, 0);
	write32(rtc + RTCMR, read32(rtc + RTCDR) + 1);
	check(wait_irq(read32(rtc + RTCRIS) & 1), "a masked alarm shows in RTCRIS");
	check_eq(read32(rtc + RTCMIS), 0, "and not in RTCMIS");
	check_eq(irqs(id), 1, "and is no interrupt");
	irq_hook[id] = clear_alarm;
	write32(rtc + RTCIMSC, 1);
	irq_settle();
	check_eq(irqs(id), 2, "until it is unmasked");
	line_disable(id);
}

static void setting(void)
{
	u32 v;

	write32(rtc + RTCLR, 0xfffffff0);
	v = read32(rtc + RTCDR);
	check(v >= 0xfffffff0, "it can be set");
	check_eq(read32(rtc + RTCLR), 0xfffffff0, "and what was set is remembered");
	check(wait_for(read32(rtc + RTCDR) != v), "and goes on from there");
}

void main(void)
{
	struct node n = fdt_compatible(fdt_root(), "arm,pl031");
	u64 base = 0;

	check(n.at && fdt_reg(n, 0, &base, NULL), "the device tree has a PL031");
	if (!base)
		finish();
	rtc = base;
	gic_init();
	identity();
	seconds();
	alarm(FIRST_SPI + fdt_cell(n, "interrupts", 1, 0));
	setting();
	finish();
}

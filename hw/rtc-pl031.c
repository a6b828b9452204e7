/* SPDX-License-Identifier: MIT */
/*
 * The real-time clock of ARM boards: a PrimeCell PL031 (ARM DDI 0224, chapter 3), a counter of seconds with a
 * match register.
 *
 * Nothing ticks. The counter is the host's clock (UTC) plus an offset that the guest changes when it loads
 * the counter, modulo 2^32 as the counter is. Each access works out whether the match has come since the one
 * before (rtc_sync()). A host timer runs only while the guest has the interrupt enabled and it is not pending
 * yet.
 *
 * The clock runs from the start and cannot be stopped: RTCCR reads 1, as after the firmware of a board.
 *
 * Register accesses come from vCPU threads under dev->lock; the timer from the main thread, which takes it.
 */
#include "primecell.h"
#include <lkvm/event.h>
#include <lkvm/hw.h>
#include <lkvm/irq.h>
#include <lkvm/kvm.h>
#include <lkvm/state.h>
#include <time.h>

#define NSEC_PER_SEC 1000000000ull
/* The host's clock may be set meanwhile: it is looked at so often while a match is waited for. */
#define RECHECK_S 60

enum {
	RTC_DATA = 0x00,
	RTC_MATCH = 0x04,
	RTC_LOAD = 0x08,
	RTC_CONTROL = 0x0c,
	RTC_MASK = 0x10, /* RTCIMSC */
	RTC_RAW = 0x14,
	RTC_MASKED = 0x18,
	RTC_CLEAR = 0x1c,
	RTC_START = 0x1, /* RTCCR */
	RTC_INT = 0x1,	 /* the one interrupt, in RTCIMSC, RTCRIS, RTCMIS and RTCICR */
};

struct rtc {
	struct device dev;
	/* All under dev.lock. */
	u32 offset; /* the counter is the host's seconds plus this */
	u32 match, load;
	bool enabled, raw;
	u64 synced; /* second of the host's up to which `raw` is accounted for */
	bool line;  /* what was last told to the irqchip */
	struct event_timer timer;
};

static struct rtc *to_rtc(struct device *dev)
{
	return container_of(dev, struct rtc, dev);
}

static struct timespec host_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts;
}

static u64 host_s(void)
{
	return (u64)host_time().tv_sec;
}

/* The first second of the host's after `s` in which the counter equals the match register. */
static u64 rtc_next_match(const struct rtc *rtc, u64 s)
{
	return s + 1 + (u32)(rtc->match - rtc->offset - (u32)(s + 1));
}

/* Brings the raw interrupt up to now: before it is looked at. */
static void rtc_sync(struct rtc *rtc)
{
	u64 now = host_s();

	if (rtc_next_match(rtc, rtc->synced) <= now)
		rtc->raw = true;
	rtc->synced = now; /* which goes back when the host's clock was set back */
}

/* After the guest changed what the match depends on: equal counts from this second on. */
static void rtc_resync(struct rtc *rtc)
{
	rtc->synced = host_s() - 1;
	rtc_sync(rtc);
}

/* Drives the line, and has the timer come when there is something to wait for. */
static void rtc_update(struct rtc *rtc)
{
	bool level = rtc->enabled && rtc->raw;
	u64 ns = 0;

	if (level != rtc->line) {
		rtc->line = level;
		irq_set_line(rtc->dev.kvm, rtc->dev.board->line, level);
	}
	if (rtc->enabled && !rtc->raw) {
		struct timespec now = host_time();
		u64 s = rtc_next_match(rtc, rtc->synced) - (u64)now.tv_sec;

		/* A second that has come since rtc_sync() makes s 0 or, by wrapping, huge. */
		if ((s64)s <= 0)
			ns = 1;
		else
			ns = min_u64(s, RECHECK_S) * NSEC_PER_SEC - (u64)now.tv_nsec;
	}
	event_timer_set(&rtc->timer, ns, 0);
}

static void rtc_on_timer(struct event_timer *timer)
{
	struct rtc *rtc = timer->arg;

	device_lock(&rtc->dev);
	rtc_sync(rtc);
	rtc_update(rtc);
	device_unlock(&rtc->dev);
}

static u32 rtc_read(struct rtc *rtc, u64 offset)
{
	rtc_sync(rtc);
	switch (offset) {
	case RTC_DATA:
		return (u32)rtc->synced + rtc->offset;
	case RTC_MATCH:
		return rtc->match;
	case RTC_LOAD:
		return rtc->load;
	case RTC_CONTROL:
		return RTC_START;
	case RTC_MASK:
		return rtc->enabled ? RTC_INT : 0;
	case RTC_RAW:
		return rtc->raw ? RTC_INT : 0;
	case RTC_MASKED:
		return rtc->raw && rtc->enabled ? RTC_INT : 0;
	}
	return offset >= PRIMECELL_IDS ? primecell_id(0x031, offset) : 0;
}

static void rtc_write(struct rtc *rtc, u64 offset, u32 v)
{
	rtc_sync(rtc);
	switch (offset) {
	case RTC_MATCH:
		rtc->match = v;
		rtc_resync(rtc);
		break;
	case RTC_LOAD:
		rtc->load = v;
		rtc->offset = v - (u32)rtc->synced;
		rtc_resync(rtc);
		break;
	case RTC_MASK:
		rtc->enabled = v & RTC_INT;
		break;
	case RTC_CLEAR:
		if (v & RTC_INT)
			rtc->raw = false;
		break;
	default:
		return;
	}
	rtc_update(rtc);
}

static void rtc_io(struct device *dev, struct io *io, void *arg)
{
	if (io->offset % 4)
		return;
	if (io->write)
		rtc_write(to_rtc(dev), io->offset, (u32)io_value(io));
	else
		io_reply(io, rtc_read(to_rtc(dev), io->offset));
}

static int rtc_create(struct device *dev, const void *params)
{
	struct rtc *rtc = to_rtc(dev);
	int err;

	rtc->synced = host_s();
	err = event_timer_init(&dev->kvm->loop, &rtc->timer, rtc_on_timer, rtc);
	if (err)
		return err;
	return bus_map(dev, dev->board->bus, dev->board->base, PRIMECELL_SIZE, rtc_io, NULL, 0);
}

/* Time goes on through a reset, as by a battery. */
static void rtc_reset(struct device *dev)
{
	struct rtc *rtc = to_rtc(dev);

	rtc->match = rtc->load = 0;
	rtc->enabled = rtc->raw = false;
	rtc->synced = host_s();
	rtc_update(rtc);
}

static int rtc_describe(const struct device *dev, struct fdt *fdt)
{
	primecell_describe(dev, fdt, "rtc", "arm,pl031");
	dt_end(fdt);
	return fdt->err;
}

static int rtc_state(struct device *dev, struct state *s)
{
	struct rtc *rtc = to_rtc(dev);
	char text[64];
	struct tm tm;
	time_t t;

	if (!state_reading(s))
		rtc_sync(rtc);
	t = (time_t)(u32)((u32)rtc->synced + rtc->offset);
	state_begin(s, dev->name, 1);
	if (state_printing(s) && gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		state_note(s, "time", "%s", text);
	state_u32(s, "offset", &rtc->offset);
	state_u32(s, "match", &rtc->match);
	state_u32(s, "load", &rtc->load);
	state_bool(s, "enabled", &rtc->enabled);
	state_bool(s, "raw", &rtc->raw);
	state_u64(s, "synced", &rtc->synced);
	state_end(s);
	if (!state_reading(s) || s->err)
		return s->err;
	/* Seconds of any clock that there is; sums stay far from overflow. A match in between has come. */
	rtc->synced = min_u64(rtc->synced, UINT64_MAX / 4);
	rtc_sync(rtc);
	rtc_update(rtc);
	return 0;
}

static void rtc_destroy(struct device *dev)
{
	event_timer_destroy(&dev->kvm->loop, &to_rtc(dev)->timer);
}

const struct device_ops rtc_pl031_ops = {
	.name = "rtc",
	.size = sizeof(struct rtc),
	.create = rtc_create,
	.reset = rtc_reset,
	.describe = rtc_describe,
	.state = rtc_state,
	.destroy = rtc_destroy,
};

/* SPDX-License-Identifier: MIT */
/*
 * The PC's real-time clock and CMOS memory: a Motorola MC146818A (its datasheet has the registers and their
 * timing) as Linux's rtc_cmos and any PC kernel expect it, with 128 bytes of which 14 are the clock's own.
 *
 * Nothing ticks. The clock is the host's (UTC) plus an offset that the guest changes when it sets the time,
 * and each access computes what the registers hold now: time, update-in-progress, and the flags of register C
 * (rtc_sync()). A host timer runs only while the guest has enabled an interrupt that is not pending yet, so a
 * guest that never acknowledges costs nothing.
 *
 * The divider chain runs in phase with the clock's seconds. Time registers are held (and read back as
 * written) while the guest sets them: register B's SET, or the divider in reset.
 *
 * Register accesses come from vCPU threads under dev->lock; the timer from the main thread, which takes it.
 */
#include <errno.h>
#include <lkvm/acpi.h>
#include <lkvm/device.h>
#include <lkvm/event.h>
#include <lkvm/hw.h>
#include <lkvm/irq.h>
#include <lkvm/kvm.h>
#include <lkvm/state.h>
#include <string.h>
#include <time.h>

#define NSEC_PER_SEC   1000000000ll
#define RTC_HZ	       32768
#define RTC_OFFSET_MAX (1ll << 40) /* seconds */

enum {
	RTC_SECONDS = 0x00,
	RTC_SECONDS_ALARM = 0x01,
	RTC_MINUTES = 0x02,
	RTC_MINUTES_ALARM = 0x03,
	RTC_HOURS = 0x04,
	RTC_HOURS_ALARM = 0x05,
	RTC_DAY_OF_WEEK = 0x06, /* Sunday is 1; follows the date, whatever is written */
	RTC_DAY_OF_MONTH = 0x07,
	RTC_MONTH = 0x08,
	RTC_YEAR = 0x09,
	RTC_A = 0x0a,
	RTC_B = 0x0b,
	RTC_C = 0x0c,
	RTC_D = 0x0d,
	RTC_CENTURY = 0x32, /* told to the guest by the FADT */
	RTC_NVRAM = 0x0e,
	RTC_SIZE = 0x80,
};

enum {
	A_UIP = 0x80,
	A_DIVIDER = 0x70,
	A_DIVIDER_RESET = 0x60, /* 11x: held in reset */
	A_RATE = 0x0f,
	A_DEFAULT = 0x26, /* 32,768 Hz, periodic rate 1,024 Hz */
	B_SET = 0x80,
	B_PIE = 0x40,
	B_AIE = 0x20,
	B_UIE = 0x10,
	B_SQWE = 0x08,
	B_BINARY = 0x04,
	B_24H = 0x02,
	B_IRQ_ENABLES = B_PIE | B_AIE | B_UIE,
	C_IRQF = 0x80,
	C_PF = 0x40,
	C_AF = 0x20,
	C_UF = 0x10,
	D_VALID = 0x80,
	HOURS_PM = 0x80,
	ALARM_ANY = 0xc0, /* both top bits: don't care */
	INDEX_NMI_MASK = 0x80,
};

/* UIP is up from tBUC before an update to the end of the update cycle, tUC; the new second shows at its end.
 */
#define RTC_UIP_NS ((244 + 1984) * 1000ll)

/* CMOS memory, as PC firmware leaves it. */
enum {
	CMOS_EQUIPMENT = 0x14,
	CMOS_BASE_MEM = 0x15, /* KiB below 640 KiB, 2 bytes */
	CMOS_EXT_MEM = 0x17,  /* KiB above 1 MiB, 64 MiB - 1 KiB at the most, 2 bytes */
	CMOS_CHECKSUM = 0x2e, /* of 0x10 .. 0x2d, high byte first */
	CMOS_EXT_MEM2 = 0x30, /* CMOS_EXT_MEM again */
	CMOS_MEM_16M = 0x34,  /* 64 KiB units above 16 MiB and below 4 GiB, 2 bytes */
	CMOS_MEM_4G = 0x5b,   /* 64 KiB units above 4 GiB, 3 bytes */
	EQUIPMENT_FPU = 0x02,
};

struct rtc {
	struct device dev;
	/* All under dev.lock. */
	u8 index;
	bool nmi_masked;   /* kept for show: KVM takes NMIs from nobody but us */
	u8 cmos[RTC_SIZE]; /* the time registers in it are good only while held */
	s64 offset_s;	   /* our clock is CLOCK_REALTIME plus these two */
	s64 offset_ns;	   /* 0 .. NSEC_PER_SEC - 1 */
	s64 synced_s;	   /* second up to which UF and AF are accounted for */
	s64 synced_period; /* same for PF */
	bool line, armed;  /* what was last told to the irqchip, and whether the timer runs */
	struct event_timer timer;
};

struct rtc_now {
	s64 s, ns;
};

static struct rtc_now rtc_now(const struct rtc *rtc)
{
	struct timespec ts;
	struct rtc_now now;

	clock_gettime(CLOCK_REALTIME, &ts);
	now.s = ts.tv_sec + rtc->offset_s;
	now.ns = ts.tv_nsec + rtc->offset_ns;
	if (now.ns >= NSEC_PER_SEC) {
		now.ns -= NSEC_PER_SEC;
		now.s++;
	}
	return now;
}

/* Makes the clock show `want` at this moment. */
static void rtc_set_now(struct rtc *rtc, struct rtc_now want)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	rtc->offset_s = want.s - ts.tv_sec;
	rtc->offset_ns = want.ns - ts.tv_nsec;
	if (rtc->offset_ns < 0) {
		rtc->offset_ns += NSEC_PER_SEC;
		rtc->offset_s--;
	}
}

static bool rtc_divider_reset(const struct rtc *rtc)
{
	return (rtc->cmos[RTC_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

static bool rtc_held(const struct rtc *rtc)
{
	return rtc->cmos[RTC_B] & B_SET || rtc_divider_reset(rtc);
}

static bool rtc_is_time(u8 reg)
{
	switch (reg) {
	case RTC_SECONDS:
	case RTC_MINUTES:
	case RTC_HOURS:
	case RTC_DAY_OF_WEEK ... RTC_YEAR:
	case RTC_CENTURY:
		return true;
	default:
		return false;
	}
}

/* Values to register contents and back, by register B's data mode. */

static u8 rtc_encode(const struct rtc *rtc, u32 v)
{
	return (u8)(rtc->cmos[RTC_B] & B_BINARY ? v : v / 10 % 10 << 4 | v % 10);
}

static u32 rtc_decode(const struct rtc *rtc, u8 v)
{
	return rtc->cmos[RTC_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 0xf);
}

static u8 rtc_encode_hour(const struct rtc *rtc, u32 hour)
{
	if (rtc->cmos[RTC_B] & B_24H)
		return rtc_encode(rtc, hour);
	return rtc_encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOURS_PM : 0);
}

static u32 rtc_decode_hour(const struct rtc *rtc, u8 v)
{
	if (rtc->cmos[RTC_B] & B_24H)
		return rtc_decode(rtc, v);
	return rtc_decode(rtc, v & (u8)~HOURS_PM) % 12 + (v & HOURS_PM ? 12 : 0);
}

/* Fills the time registers with the present second. */
static void rtc_latch(struct rtc *rtc)
{
	time_t s = rtc_now(rtc).s;
	struct tm tm;
	u32 year;

	if (!gmtime_r(&s, &tm))
		return;
	year = (u32)tm.tm_year + 1900;
	rtc->cmos[RTC_SECONDS] = rtc_encode(rtc, (u32)tm.tm_sec);
	rtc->cmos[RTC_MINUTES] = rtc_encode(rtc, (u32)tm.tm_min);
	rtc->cmos[RTC_HOURS] = rtc_encode_hour(rtc, (u32)tm.tm_hour);
	rtc->cmos[RTC_DAY_OF_WEEK] = rtc_encode(rtc, (u32)tm.tm_wday + 1);
	rtc->cmos[RTC_DAY_OF_MONTH] = rtc_encode(rtc, (u32)tm.tm_mday);
	rtc->cmos[RTC_MONTH] = rtc_encode(rtc, (u32)tm.tm_mon + 1);
	rtc->cmos[RTC_YEAR] = rtc_encode(rtc, year % 100);
	rtc->cmos[RTC_CENTURY] = rtc_encode(rtc, year / 100);
}

/* The second that the held time registers stand for. Nonsense in them becomes some other, valid time. */
static s64 rtc_latched(const struct rtc *rtc)
{
	struct tm tm = {
		.tm_sec = (int)rtc_decode(rtc, rtc->cmos[RTC_SECONDS]),
		.tm_min = (int)rtc_decode(rtc, rtc->cmos[RTC_MINUTES]),
		.tm_hour = (int)rtc_decode_hour(rtc, rtc->cmos[RTC_HOURS]),
		.tm_mday = (int)rtc_decode(rtc, rtc->cmos[RTC_DAY_OF_MONTH]),
		.tm_mon = (int)rtc_decode(rtc, rtc->cmos[RTC_MONTH]) - 1,
		.tm_year = (int)(rtc_decode(rtc, rtc->cmos[RTC_CENTURY]) * 100 +
				 rtc_decode(rtc, rtc->cmos[RTC_YEAR])) -
			   1900,
	};

	return timegm(&tm);
}

/* Ticks of the 32,768 Hz divider between two periodic events; 0: none. */
static u32 rtc_period_ticks(const struct rtc *rtc)
{
	u32 rate = rtc->cmos[RTC_A] & A_RATE;

	if (!rate || rtc_divider_reset(rtc))
		return 0;
	return 1u << (rate <= 2 ? rate + 6 : rate - 1);
}

static s64 rtc_period_index(struct rtc_now now, u32 ticks)
{
	return ticks ? now.s * (RTC_HZ / ticks) + now.ns * RTC_HZ / NSEC_PER_SEC / ticks : 0;
}

static bool rtc_alarm_field(u8 reg, u8 now)
{
	return (reg & ALARM_ANY) == ALARM_ANY || reg == now;
}

/*
 * The first second after `s`, within a day, that the alarm registers match; 0 when none does. Steps over
 * hours and minutes that cannot match: about 150 steps at the most.
 */
static s64 rtc_next_alarm(const struct rtc *rtc, s64 s)
{
	s64 end = s + 24 * 3600;

	for (s++; s <= end;) {
		s64 day_s = ((s % 86400) + 86400) % 86400;

		if (!rtc_alarm_field(rtc->cmos[RTC_HOURS_ALARM], rtc_encode_hour(rtc, (u32)(day_s / 3600))))
			s += 3600 - day_s % 3600;
		else if (!rtc_alarm_field(rtc->cmos[RTC_MINUTES_ALARM],
					  rtc_encode(rtc, (u32)(day_s / 60 % 60))))
			s += 60 - day_s % 60;
		else if (!rtc_alarm_field(rtc->cmos[RTC_SECONDS_ALARM], rtc_encode(rtc, (u32)(day_s % 60))))
			s++;
		else
			return s;
	}
	return 0;
}

/* Flags count from now on: after the guest changed what they depend on. */
static void rtc_resync(struct rtc *rtc)
{
	struct rtc_now now = rtc_now(rtc);

	rtc->synced_s = now.s;
	rtc->synced_period = rtc_period_index(now, rtc_period_ticks(rtc));
}

/* Brings register C's flags up to now: before they are read, or what they depend on changes. */
static void rtc_sync(struct rtc *rtc)
{
	struct rtc_now now = rtc_now(rtc);

	if (!rtc_held(rtc) && now.s > rtc->synced_s) {
		s64 alarm = rtc_next_alarm(rtc, rtc->synced_s);

		rtc->cmos[RTC_C] |= C_UF;
		if (alarm && alarm <= now.s)
			rtc->cmos[RTC_C] |= C_AF;
	}
	if (rtc_period_index(now, rtc_period_ticks(rtc)) > rtc->synced_period)
		rtc->cmos[RTC_C] |= C_PF;
	rtc_resync(rtc); /* may go back, when the host's clock was set back */
}

/* Nanoseconds to the next event of an enabled interrupt; UINT64_MAX: none. */
static u64 rtc_next_event(const struct rtc *rtc)
{
	struct rtc_now now = rtc_now(rtc);
	u8 enabled = rtc->cmos[RTC_B] & B_IRQ_ENABLES;
	u32 ticks = rtc_period_ticks(rtc);
	u64 ns = UINT64_MAX;

	if (enabled & B_PIE && ticks) {
		u64 period = (u64)ticks * NSEC_PER_SEC; /* in units of 1 / RTC_HZ ns */

		ns = (period - (u64)now.ns * RTC_HZ % period) / RTC_HZ + 1;
	}
	if (rtc_held(rtc))
		return ns;
	if (enabled & B_UIE)
		ns = min_u64(ns, (u64)(NSEC_PER_SEC - now.ns));
	if (enabled & B_AIE) {
		s64 alarm = rtc_next_alarm(rtc, now.s);

		if (alarm)
			ns = min_u64(ns, (u64)((alarm - now.s) * NSEC_PER_SEC - now.ns));
	}
	return ns;
}

/* Drives the line by register C's flags, and arms the timer for the next one that may raise it. */
static void rtc_update_irq(struct rtc *rtc)
{
	bool level = rtc->cmos[RTC_B] & rtc->cmos[RTC_C] & B_IRQ_ENABLES;
	u64 ns;

	rtc->cmos[RTC_C] = (u8)((rtc->cmos[RTC_C] & ~C_IRQF) | (level ? C_IRQF : 0));
	if (level != rtc->line) {
		rtc->line = level;
		if (rtc->dev.board->line != IRQ_NONE)
			irq_set_line(rtc->dev.kvm, rtc->dev.board->line, level);
	}
	/* With the line up nothing more can be seen of us before the guest reads register C. */
	ns = level ? UINT64_MAX : rtc_next_event(rtc);
	if (ns == UINT64_MAX && !rtc->armed)
		return;
	rtc->armed = ns != UINT64_MAX;
	/* An alarm is looked at again each minute: the host's clock may be set in the meantime. */
	event_timer_set(&rtc->timer, rtc->armed ? min_u64(ns, 60 * NSEC_PER_SEC) : 0, 0);
}

static void rtc_on_timer(struct event_timer *timer)
{
	struct rtc *rtc = timer->arg;

	device_lock(&rtc->dev);
	rtc_sync(rtc);
	rtc_update_irq(rtc);
	device_unlock(&rtc->dev);
}

/* The clock goes on from what the time registers say. */
static void rtc_commit(struct rtc *rtc)
{
	struct rtc_now now = rtc_now(rtc);

	now.s = rtc_latched(rtc);
	rtc_set_now(rtc, now);
}

/* Writes register A or B, either of which may hold or release the clock. */
static void rtc_write_control(struct rtc *rtc, u8 reg, u8 v)
{
	bool was_held = rtc_held(rtc), was_reset = rtc_divider_reset(rtc);
	u8 old = rtc->cmos[reg];

	if (!was_held)
		rtc_latch(rtc); /* in the data mode that was in force */
	if (reg == RTC_A)
		v &= (u8)~A_UIP;
	else if (v & B_SET)
		v &= (u8)~B_UIE; /* datasheet: SET clears UIE */
	rtc->cmos[reg] = v;
	if (was_reset && !rtc_divider_reset(rtc)) {
		/* Datasheet: out of reset, the first update comes half a second later. */
		struct rtc_now now = rtc_now(rtc);

		now.ns = NSEC_PER_SEC / 2;
		rtc_set_now(rtc, now);
	}
	if (was_held && !rtc_held(rtc))
		rtc_commit(rtc);
	if (reg == RTC_A || (old ^ v) & B_SET)
		rtc_resync(rtc);
}

static void rtc_write(struct rtc *rtc, u8 reg, u8 v)
{
	if (reg >= RTC_NVRAM && !rtc_is_time(reg)) {
		rtc->cmos[reg] = v;
		return;
	}
	rtc_sync(rtc);
	if (rtc_is_time(reg)) {
		if (!rtc_held(rtc))
			rtc_latch(rtc);
		rtc->cmos[reg] = v;
		if (!rtc_held(rtc)) {
			rtc_commit(rtc);
			rtc_resync(rtc);
		}
	} else if (reg == RTC_A || reg == RTC_B) {
		rtc_write_control(rtc, reg, v);
	} else if (reg < RTC_A) {
		rtc->cmos[reg] = v; /* an alarm register */
	}
	rtc_update_irq(rtc);
}

static bool rtc_updating(const struct rtc *rtc)
{
	return !rtc_held(rtc) && rtc_now(rtc).ns >= NSEC_PER_SEC - RTC_UIP_NS;
}

static u8 rtc_read(struct rtc *rtc, u8 reg)
{
	u8 v;

	if (rtc_is_time(reg) && !rtc_held(rtc))
		rtc_latch(rtc);
	v = rtc->cmos[reg];
	switch (reg) {
	case RTC_A:
		v |= rtc_updating(rtc) ? A_UIP : 0;
		break;
	case RTC_C:
		rtc_sync(rtc);
		v = rtc->cmos[RTC_C] & (u8)~C_IRQF;
		v |= rtc->cmos[RTC_B] & v & B_IRQ_ENABLES ? C_IRQF : 0;
		rtc->cmos[RTC_C] = 0;
		rtc_update_irq(rtc);
		break;
	case RTC_D:
		v = D_VALID;
		break;
	}
	return v;
}

static void rtc_io(struct device *dev, struct io *io, void *arg)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	if (io->offset == 0) {
		/* The index port cannot be read back. */
		if (io->write) {
			rtc->nmi_masked = io->data[0] & INDEX_NMI_MASK;
			rtc->index = io->data[0] & (u8)~INDEX_NMI_MASK;
		}
	} else if (io->write) {
		rtc_write(rtc, rtc->index, io->data[0]);
	} else {
		io->data[0] = rtc_read(rtc, rtc->index);
	}
}

static void cmos_put(struct rtc *rtc, u32 at, u64 v, u32 bytes, u64 max)
{
	v = min_u64(v, max);
	for (u32 i = 0; i < bytes; i++, v >>= 8)
		rtc->cmos[at + i] = (u8)v;
}

/* Guest RAM's size, in the places where PC firmware keeps it for those who ask the CMOS. */
static void rtc_fill_cmos(struct rtc *rtc)
{
	const struct guest_mem *mem = &rtc->dev.kvm->mem;
	u64 low = 0, high = 0;
	u32 sum = 0;

	for (u32 i = 0; i < mem->nr_banks; i++) {
		const struct mem_bank *bank = &mem->bank[i];

		if (bank->readonly)
			continue;
		if (bank->gpa < GiB(4))
			low = max_u64(low, bank->gpa + bank->size);
		else
			high += bank->size;
	}
	low = min_u64(low, GiB(4));
	rtc->cmos[CMOS_EQUIPMENT] = EQUIPMENT_FPU;
	cmos_put(rtc, CMOS_BASE_MEM, low / KiB(1), 2, 640);
	cmos_put(rtc, CMOS_EXT_MEM, low > MiB(1) ? (low - MiB(1)) / KiB(1) : 0, 2, 0xfc00);
	cmos_put(rtc, CMOS_EXT_MEM2, low > MiB(1) ? (low - MiB(1)) / KiB(1) : 0, 2, 0xfc00);
	cmos_put(rtc, CMOS_MEM_16M, low > MiB(16) ? (low - MiB(16)) / KiB(64) : 0, 2, 0xffff);
	cmos_put(rtc, CMOS_MEM_4G, high / KiB(64), 3, 0xffffff);
	for (u32 i = 0x10; i < CMOS_CHECKSUM; i++)
		sum += rtc->cmos[i];
	rtc->cmos[CMOS_CHECKSUM] = (u8)(sum >> 8);
	rtc->cmos[CMOS_CHECKSUM + 1] = (u8)sum;
}

static int rtc_create(struct device *dev, const void *params)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);
	int err;

	rtc->cmos[RTC_A] = A_DEFAULT;
	rtc->cmos[RTC_B] = B_24H;
	rtc_fill_cmos(rtc);
	rtc_resync(rtc);
	err = event_timer_init(&dev->kvm->loop, &rtc->timer, rtc_on_timer, rtc);
	if (err)
		return err;
	return bus_map(dev, dev->board->bus, dev->board->base, 2, rtc_io, NULL, BUS_BYTES);
}

/* The battery keeps time and memory through a reset; the datasheet's RESET clears these. */
static void rtc_reset(struct device *dev)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	rtc->index = 0;
	rtc->nmi_masked = false;
	rtc->cmos[RTC_B] &= (u8) ~(B_IRQ_ENABLES | B_SQWE);
	rtc->cmos[RTC_C] = 0;
	rtc_resync(rtc);
	rtc_update_irq(rtc);
}

static void rtc_describe_acpi(const struct device *dev, struct aml *aml)
{
	const struct board_device *board = dev->board;

	if (board->bus != BUS_PIO)
		return;
	aml_device_begin(aml, "RTC0");
	aml_name(aml, "_HID");
	aml_eisaid(aml, "PNP0B00");
	aml_name(aml, "_CRS");
	aml_resources_begin(aml);
	aml_res_io(aml, (u16)board->base, 1, 2);
	if (board->line != IRQ_NONE)
		aml_res_irq_legacy(aml, board->line);
	aml_resources_end(aml);
	aml_end(aml);
}

static void rtc_note_time(const struct rtc *rtc, struct state *s)
{
	time_t t = rtc_held(rtc) ? rtc_latched(rtc) : rtc_now(rtc).s;
	char text[64];
	struct tm tm;

	if (gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		state_note(s, "time", "%s%s", text, rtc_held(rtc) ? " (held)" : "");
}

static int rtc_state(struct device *dev, struct state *s)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);
	u64 offset_s = (u64)rtc->offset_s, offset_ns = (u64)rtc->offset_ns;
	u64 synced_s = (u64)rtc->synced_s, synced_period = (u64)rtc->synced_period;

	state_begin(s, dev->name, 1);
	if (state_printing(s))
		rtc_note_time(rtc, s);
	state_u8(s, "index", &rtc->index);
	state_bool(s, "nmi_masked", &rtc->nmi_masked);
	state_bytes(s, "cmos", rtc->cmos, sizeof(rtc->cmos));
	state_u64(s, "offset_s", &offset_s);
	state_u64(s, "offset_ns", &offset_ns);
	state_u64(s, "synced_s", &synced_s);
	state_u64(s, "synced_period", &synced_period);
	state_bool(s, "line", &rtc->line);
	state_end(s);
	if (!state_reading(s) || s->err)
		return s->err;
	rtc->index &= (u8)~INDEX_NMI_MASK;
	/* No guest can set an offset of more than some 25,000 years; sums stay far from overflow. */
	if ((s64)offset_s > -RTC_OFFSET_MAX && (s64)offset_s < RTC_OFFSET_MAX && offset_ns < NSEC_PER_SEC) {
		rtc->offset_s = (s64)offset_s;
		rtc->offset_ns = (s64)offset_ns;
	}
	rtc->synced_s = (s64)min_u64(synced_s, RTC_OFFSET_MAX);
	rtc->synced_period = (s64)synced_period;
	rtc_update_irq(rtc);
	return 0;
}

static void rtc_destroy(struct device *dev)
{
	event_timer_destroy(&dev->kvm->loop, &container_of(dev, struct rtc, dev)->timer);
}

const struct device_ops rtc_mc146818_ops = {
	.name = "rtc",
	.size = sizeof(struct rtc),
	.create = rtc_create,
	.reset = rtc_reset,
	.describe_acpi = rtc_describe_acpi,
	.state = rtc_state,
	.destroy = rtc_destroy,
};

/* SPDX-License-Identifier: MIT */
/* WRAP: event_timer_init irq_set_line */
/*
 * A guest's accesses to the devices of ARM boards (hw/rtc-pl031.c, hw/gpio-pl061.c) and to the test device in
 * memory and at ports (hw/testdev.c), of any width at any place; the power button, timers that come when they
 * like, resets, and states put into them.
 *
 * What must hold: an interrupt line is what the device's masked status says, and is only told when it
 * changes.
 */
#include "device-vm.h"
#include <lkvm/event.h>
#include <lkvm/irq.h>

#define RTC	 0xd0000000ull
#define GPIO	 0xd0010000ull
#define TEST	 0xd0020000ull
#define TEST_MEM 0xd0030000ull
#define TEST_PIO 0xe0ull
#define RTC_LINE 5
#define PIN_LINE 6
#define LINES	 24
#define OPS_MAX	 4096

static const struct board_device table[] = {
	{.ops = &rtc_pl031_ops, .bus = BUS_MMIO, .base = RTC, .line = RTC_LINE},
	{.ops = &gpio_pl061_ops, .bus = BUS_MMIO, .base = GPIO, .line = PIN_LINE},
	{.ops = &testdev_ops, .bus = BUS_MMIO, .base = TEST, .mmio = TEST_MEM, .line = IRQ_NONE, .index = 0},
	{.ops = &testdev_ops, .bus = BUS_PIO, .base = TEST_PIO, .line = IRQ_NONE, .index = 1},
	{.ops = NULL},
};

/* Where accesses go; a window begins 8 bytes before its range and ends 8 behind it. */
static const struct {
	enum bus_id bus;
	u64 base, size;
} window[] = {
	{BUS_MMIO, RTC, 0x1000},       {BUS_MMIO, GPIO, 0x1000},      {BUS_MMIO, TEST, 0x40},
	{BUS_MMIO, TEST + 0x1000, 64}, {BUS_MMIO, TEST_MEM, 0x10000}, {BUS_PIO, TEST_PIO, 16},
	{BUS_PIO, 0x2000, LINES},      {BUS_MMIO, RTC, 0x20},	      {BUS_MMIO, GPIO + 0x400, 0x24},
};

static struct {
	struct kvm *kvm;
	struct device *dev[4];
	struct event_timer *timer[16]; /* the VM's, and among them the clock's and the button's */
	u32 nr_timers;
	bool others; /* it is the test device's turn, which drives anybody's line */
	bool level[LINES];
} bed;

int __real_event_timer_init(struct event_loop *loop, struct event_timer *t, void (*fn)(struct event_timer *),
			    void *arg);
int __wrap_event_timer_init(struct event_loop *loop, struct event_timer *t, void (*fn)(struct event_timer *),
			    void *arg);
int __wrap_event_timer_init(struct event_loop *loop, struct event_timer *t, void (*fn)(struct event_timer *),
			    void *arg)
{
	if (bed.nr_timers < ARRAY_SIZE(bed.timer))
		bed.timer[bed.nr_timers++] = t;
	return __real_event_timer_init(loop, t, fn, arg);
}

void __real_irq_set_line(struct kvm *kvm, u32 line, bool level);
void __wrap_irq_set_line(struct kvm *kvm, u32 line, bool level);
void __wrap_irq_set_line(struct kvm *kvm, u32 line, bool level)
{
	fuzz_assert(line < LINES, "a device drives a line that there is");
	if (!bed.others) {
		fuzz_assert(bed.level[line] != level, "a line is told only when it changes");
		bed.level[line] = level;
	}
	__real_irq_set_line(kvm, line, level);
}

static void make(void)
{
	static struct device_request request = {.ops = &testdev_ops};

	fake_kvm_reset();
	bed.kvm = fuzz_device_vm(table, &request, 1);
	bed.dev[0] = device_find(bed.kvm, &rtc_pl031_ops, 0);
	bed.dev[1] = device_find(bed.kvm, &gpio_pl061_ops, 0);
	bed.dev[2] = device_find(bed.kvm, &testdev_ops, 0);
	bed.dev[3] = device_find(bed.kvm, &testdev_ops, 1);
}

static void fire(struct device *dev)
{
	for (u32 i = 0; i < bed.nr_timers; i++)
		if (range_inside((uintptr_t)bed.timer[i], sizeof(*bed.timer[i]), (uintptr_t)dev,
				 dev->ops->size))
			bed.timer[i]->fn(bed.timer[i]);
}

static u32 get(u64 addr)
{
	return (u32)fuzz_access(bed.kvm, BUS_MMIO, addr, 4, false, 0);
}

/* The clock's raw interrupt may have come since its line was told; its timer is about to tell. */
static void check_lines(void)
{
	u32 clock = get(RTC + 0x18), pins = get(GPIO + 0x418);

	fuzz_assert(clock || !bed.level[RTC_LINE], "the clock's line is its masked status");
	fuzz_assert(!pins == !bed.level[PIN_LINE], "the pins' line is their masked status");
}

static void step(struct fuzz_in *in)
{
	u8 op = (u8)fuzz_take(in, 1);
	u32 len, at;
	u64 addr;

	if (op >= 0xf0) {
		at = op % 4;
		bed.others = (op & 0x8) == 0 && at >= 2;
		switch (op >> 2 & 3) {
		case 0:
			fuzz_device_restore(bed.dev[at], in);
			return;
		case 1:
			fuzz_device_reset(bed.dev[at]);
			return;
		case 2:
			gpio_power_button_press(bed.dev[1]);
			return;
		case 3:
			fire(bed.dev[at & 1]);
			return;
		}
	}
	at = op % ARRAY_SIZE(window);
	bed.others = at >= 2 && at <= 6;
	len = (u32)fuzz_take(in, 1);
	addr = window[at].base - 8 + fuzz_take(in, 3) % (window[at].size + 16);
	if (len & 0x80)
		addr &= ~3ull;
	fuzz_access(bed.kvm, window[at].bus, addr, (len & 7) + 1, len & 0x40,
		    len & 0x40 ? fuzz_take(in, (len & 7) + 1) : 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = {data, data + size};

	if (!bed.kvm)
		make();
	for (u32 i = 0; i < OPS_MAX && in.at < in.end; i++) {
		step(&in);
		check_lines();
	}
	for (u32 i = 0; i < ARRAY_SIZE(bed.dev); i++) {
		bed.others = i >= 2;
		fuzz_device_reset(bed.dev[i]);
	}
	fake_kvm_forget_calls();
	return 0;
}

// SPDX-License-Identifier: MIT
#include "smp.h"

#ifndef __x86_64__

#define AP_PAGE 0x70000

extern const u8 ap_start[], ap_end[];
static void (*volatile ap_fn)(u32 index);
void ap_main(u32 index);

void ap_main(u32 index)
{
	irq_load();
	ap_fn(index);
}

void smp_send(u32 apic_id, u32 command)
{
	lapic_write(0x310, apic_id << 24);
	lapic_write(0x300, command | (apic_id == 0xff ? 0xc0000 : 0));
	while (lapic_read(0x300) & 0x1000)
		cpu_relax();
}

static void prepare(void (*fn)(u32 index))
{
	ap_fn = fn;
	memcpy((void *)AP_PAGE, ap_start, (size_t)(ap_end - ap_start));
}

/* ICR, to all but ourselves (SDM volume 3, 11.12.9). */
void smp_start_x2apic(void (*fn)(u32 index))
{
	prepare(fn);
	wrmsr(0x830, 0xc4500);
	wrmsr(0x830, 0xc4600 | AP_PAGE >> 12);
	wrmsr(0x830, 0xc4600 | AP_PAGE >> 12);
}

void smp_start(u32 apic_id, void (*fn)(u32 index))
{
	prepare(fn);
	smp_send(apic_id, 0x4500);
	smp_send(apic_id, 0x4600 | AP_PAGE >> 12);
	smp_send(apic_id, 0x4600 | AP_PAGE >> 12);
}

bool smp_wait(u32 n)
{
	for (u32 i = 0; i < 2000000; i++) {
		if (ap_count >= n)
			return true;
		cpu_relax();
	}
	return false;
}

u32 smp_id(void)
{
	u32 a, b, c, d;

	cpuid(1, 0, &a, &b, &c, &d);
	return b >> 24;
}

#endif

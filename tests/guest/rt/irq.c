// SPDX-License-Identifier: MIT
/*
 * Interrupts for payloads: an IDT, the two 8259A (Intel 8259A data sheet), the I/O APIC (82093AA data sheet)
 * and the local APIC (Intel SDM volume 3, chapter 11).
 */
#include "guest.h"

volatile u32 irq_count[256];
void (*volatile irq_hook[256])(u32 vector);
volatile enum irq_eoi irq_eoi;

struct gate {
	u16 low;
	u16 selector;
	u8 ist;
	u8 type;
	u16 mid;
#ifdef __x86_64__
	u32 high;
	u32 zero;
#endif
} __attribute__((packed));

static struct gate idt[256] __attribute__((aligned(16)));
/* rt/vectors.S: one stub a vector, all of the same size. */
extern u8 vector_stubs[];
extern const u32 vector_stub_size;

/* Called by the stubs: the vector, the error code or 0, and where it happened. */
void interrupt(u32 vector, u32 error, ulong ip);

void interrupt(u32 vector, u32 error, ulong ip)
{
	if (vector < 0x20) {
		printf("not ok no exception\n# exception %u, error code 0x%x, at 0x%lx\n", vector, error,
		       (unsigned long)ip);
		exit_with(99);
	}
	irq_count[vector]++;
	if (irq_hook[vector])
		irq_hook[vector](vector);
	if (irq_eoi == EOI_PIC) {
		if (vector >= 0x28)
			outb(0xa0, 0x20);
		outb(0x20, 0x20);
	} else if (irq_eoi == EOI_LAPIC) {
		lapic_write(0xb0, 0);
	}
}

void irq_load(void)
{
	struct {
		u16 limit;
		ulong base;
	} __attribute__((packed)) idtr = {sizeof(idt) - 1, (ulong)idt};

	asm volatile("lidt %0" : : "m"(idtr));
}

void irq_init(void)
{
	u16 cs;

	asm("mov %%cs, %0" : "=r"(cs));
	for (u32 i = 0; i < 256; i++) {
		ulong stub = (ulong)vector_stubs + (ulong)i * vector_stub_size;

		idt[i] = (struct gate){
			.low = (u16)stub,
			.selector = cs,
			.type = 0x8e,
			.mid = (u16)(stub >> 16),
#ifdef __x86_64__
			.high = (u32)(stub >> 32),
#endif
		};
	}
	irq_load();
}

void pic_init(u16 mask)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, 0x20);
	outb(0xa1, 0x28);
	outb(0x21, 0x04);
	outb(0xa1, 0x02);
	outb(0x21, 0x01);
	outb(0xa1, 0x01);
	outb(0x21, (u8)mask);
	outb(0xa1, (u8)(mask >> 8));
}

u32 ioapic_read(u32 reg)
{
	write32(IOAPIC, reg);
	return read32(IOAPIC + 0x10);
}

void ioapic_write(u32 reg, u32 v)
{
	write32(IOAPIC, reg);
	write32(IOAPIC + 0x10, v);
}

void ioapic_route(u32 gsi, u32 vector, u32 flags)
{
	/* Masked while it is half changed. */
	ioapic_write(0x10 + 2 * gsi, 1 << 16);
	ioapic_write(0x11 + 2 * gsi, lapic_id() << 24);
	ioapic_write(0x10 + 2 * gsi, vector | flags);
}

u32 lapic_id(void)
{
	return lapic_read(0x20) >> 24;
}

void lapic_enable(void)
{
	lapic_write(0xf0, 0x1ff);
	lapic_write(0x80, 0);
}

bool irq_wait(u32 vector, u32 n)
{
	for (u32 i = 0; i < 200000; i++) {
		irq_window();
		if (irq_count[vector] >= n)
			return true;
	}
	return false;
}

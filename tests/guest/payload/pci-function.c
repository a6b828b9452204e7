// SPDX-License-Identifier: MIT
/*
 * A PCI function with everything (--testdev, hw/testdev-pci.c): its BARs sized and moved about, its
 * interrupts by pin, MSI and MSI-X, with masks and pending bits, and by an eventfd that the kernel listens
 * to.
 */
#include "guest.h"

#define ECAM	  0xe0000000ul
#define ELSEWHERE 0xc8000000u /* in the memory window, where nothing is */

#define COMMAND	  0x04
#define STATUS	  0x06
#define BAR(n)	  (0x10 + 4 * (n))
#define CAPS	  0x34
#define INTERRUPT 0x3c
enum { CMD_IO = 1, CMD_MEM = 2, CMD_MASTER = 4, CMD_INTX_OFF = 0x400, STATUS_INTX = 8 };

/* Registers of BAR 0. */
enum { ECHO = 0x00, PIN = 0x04, MSI_SEND = 0x08, MSIX_SEND = 0x0c, FD_SEND = 0x10 };

enum { V_PIN = 0x21, V_MSI = 0x28, V_MSIX = 0x30, V_OTHER = 0x40 };

static ulong conf; /* the function's configuration space */
static ulong regs; /* BAR 0 */
static u32 slot, status_seen;

static void command(u32 bits)
{
	write16(conf + COMMAND, (u16)bits);
}

static u32 find_cap(u8 id)
{
	u32 at = read16(conf + STATUS) & 0x10 ? read8(conf + CAPS) : 0;

	for (u32 i = 0; i < 48 && at; i++, at = read8(conf + at + 1))
		if (read8(conf + at) == id)
			return at;
	return 0;
}

static u32 size_of(u32 bar)
{
	u32 was = read32(conf + BAR(bar)), size;

	write32(conf + BAR(bar), 0xffffffff);
	size = read32(conf + BAR(bar));
	write32(conf + BAR(bar), was);
	return size;
}

static void bars(void)
{
	u32 home = read32(conf + BAR(0)), port = read32(conf + BAR(1)) & ~3u,
	    mem = read32(conf + BAR(2)) & ~15u;
	volatile u32 *ram = (volatile u32 *)0x400000;
	bool memory = true;

	check_eq(size_of(0), 0xfffff000, "BAR 0: 4 KiB of memory");
	check_eq(size_of(1), 0xfffffff1, "BAR 1: 16 ports");
	check_eq(size_of(2), 0xffff000c, "BAR 2: 64 KiB, 64 bits, prefetchable");
	check_eq(size_of(3), 0xffffffff, "its upper half");
	check_eq(size_of(5), 0, "BAR 5: none");
	check(home % 0x1000 == 0 && home >= 0xc1000000 && home < 0xe0000000, "BAR 0 has a place");
	check_eq(read32(home), 0xffffffff, "nothing is decoded at first");

	command(CMD_MEM | CMD_IO);
	write32(home + ECHO, 0x12345678);
	check_eq(read32(home + ECHO), 0x12345678, "BAR 0 is decoded");
	check_eq(inl((u16)port), 0x12345678, "so are the ports");
	outl((u16)port, 0x9abcdef0);
	check_eq(read32(home + ECHO), 0x9abcdef0, "both are one register");
	for (u32 i = 0; i < 0x10000; i += 0xffc)
		write32(mem + i, ~i);
	for (u32 i = 0; i < 0x10000; i += 0xffc)
		memory = memory && read32(mem + i) == ~i;
	check(memory, "BAR 2 is memory to its end");

	write32(conf + BAR(0), ELSEWHERE);
	check_eq(read32(ELSEWHERE + ECHO), 0x9abcdef0, "BAR 0 moved");
	check_eq(read32(home + ECHO), 0xffffffff, "and left its place");
	write32(conf + BAR(2), ELSEWHERE);
	check_eq(read32(ELSEWHERE + ECHO), 0x9abcdef0, "of two that overlap the lower has it");
	write32(conf + BAR(0), home);
	check_eq(read32(ELSEWHERE), ~0u, "when it goes the other one comes");
	write32(ELSEWHERE, 0x55);
	write32(conf + BAR(2), mem);
	check_eq(read32(mem), 0x55, "with its memory");
	write32(conf + BAR(3), 0x40);
	check_eq(read32(mem), 0xffffffff, "64 bits decide");
	write32(conf + BAR(3), 0);

	*ram = 0x600dcafe;
	write32(conf + BAR(0), 0x400000);
	check_eq(*ram, 0x600dcafe, "a BAR over RAM changes nothing");
	write32(conf + BAR(0), (u32)LAPIC);
	check_eq(lapic_read(0x20) >> 24, lapic_id(), "nor does one over the local APIC");
	write32(conf + BAR(0), home);
	check_eq(read32(home + ECHO), 0x9abcdef0, "and back");
	command(0);
	check_eq(inl((u16)port), 0xffffffff, "not decoded, the ports are gone");
	command(CMD_MEM | CMD_MASTER);
	regs = home;
}

static void lower_pin(u32 vector)
{
	status_seen |= read16(conf + STATUS);
	write32(regs + PIN, 0);
}

/*
 * What was let in since `before`, when that is not what it should be. One KVM that has only an emulator for a
 * CPU was seen to deliver a level once more than there is cause for: that one comes in here, too.
 */
static u32 pins_since(u32 before)
{
	for (u32 i = 0; i < 20; i++)
		irq_window();
	return irq_count[V_PIN] - before;
}

static void pin(void)
{
	u32 gsi = 16 + slot % 8, n;

	check_eq(read8(conf + INTERRUPT + 1), 1, "pin INTA");
	irq_hook[V_PIN] = lower_pin;
	ioapic_route(gsi, V_PIN, 1 << 15 | 1 << 13);
	write32(regs + PIN, 1);
	check(irq_wait(V_PIN, 1), "the pin interrupts");
	check(pins_since(1) <= 1, "once");
	check(status_seen & STATUS_INTX, "and the status register says so");
	check(!(read16(conf + STATUS) & STATUS_INTX), "no more when it is low");
	n = irq_count[V_PIN];
	command(CMD_MEM | CMD_MASTER | CMD_INTX_OFF);
	write32(regs + PIN, 1);
	check_eq(pins_since(n), 0, "a pin that is disabled is silent");
	check(read16(conf + STATUS) & STATUS_INTX, "but the status register has it");
	command(CMD_MEM | CMD_MASTER);
	check(irq_wait(V_PIN, n + 1), "enabled, it interrupts");
	check(pins_since(n + 1) <= 1, "once");
	ioapic_route(gsi, V_PIN, 1 << 16);
}

static u32 message_address(void)
{
	return (u32)LAPIC | lapic_id() << 12;
}

static void msi(void)
{
	u32 cap = find_cap(5);

	check(cap, "a capability for MSI");
	check_eq(read16(conf + cap + 2), 0x184, "4 messages, 64 bits, with masks");
	write32(regs + MSI_SEND, 0);
	write32(conf + cap + 4, message_address());
	write32(conf + cap + 8, 0);
	write16(conf + cap + 12, V_MSI);
	write16(conf + cap + 2, 2 << 4 | 1);
	irq_window();
	check_eq(irq_count[V_MSI], 0, "MSI: what was signalled before it was on is gone");
	write32(regs + MSI_SEND, 3);
	check(irq_wait(V_MSI + 3, 1), "MSI: a message");
	write32(conf + cap + 16, 1 << 1);
	write32(regs + MSI_SEND, 1);
	irq_window();
	check_eq(irq_count[V_MSI + 1], 0, "MSI: a masked one waits");
	check_eq(read32(conf + cap + 20), 1 << 1, "MSI: and is pending");
	write32(conf + cap + 16, 0);
	check(irq_wait(V_MSI + 1, 1), "MSI: unmasked, it comes");
	check_eq(read32(conf + cap + 20), 0, "MSI: and is pending no more");
	write16(conf + cap + 2, 0);
}

static void entry(ulong at, u32 vector, u32 ctrl)
{
	write32(at, message_address());
	write32(at + 4, 0);
	write32(at + 8, vector);
	write32(at + 12, ctrl);
}

/* send: the register by which vectors are signalled. */
static void msix(u32 send, const char *how)
{
	u32 cap = find_cap(0x11);
	ulong table = read32(conf + BAR(4)) & ~15u, pba = table + (read32(conf + cap + 8) & ~7u);
	u32 before[4], other = irq_count[V_OTHER];

	printf("# MSI-X, %s\n", how);
	for (u32 i = 0; i < 4; i++)
		before[i] = irq_count[V_MSIX + i];
	check(cap && (read16(conf + cap + 2) & 0x7ff) == 3, "MSI-X: 4 vectors");
	write16(conf + cap + 2, 0xc000);
	for (u32 i = 0; i < 4; i++)
		entry(table + 16 * i, V_MSIX + i, 0);
	write32(regs + send, 0);
	irq_window();
	check_eq(irq_count[V_MSIX], before[0], "MSI-X: the function's mask holds it");
	check_eq(read32(pba), 1, "MSI-X: it is pending");
	write16(conf + cap + 2, 0x8000);
	check(irq_wait(V_MSIX, before[0] + 1), "MSI-X: unmasked, it comes");
	for (u32 i = 1; i < 4; i++)
		write32(regs + send, i);
	check(irq_wait(V_MSIX + 1, before[1] + 1) && irq_wait(V_MSIX + 2, before[2] + 1) &&
		      irq_wait(V_MSIX + 3, before[3] + 1),
	      "MSI-X: each vector's message");
	write32(table + 16 * 2 + 12, 1);
	write32(regs + send, 2);
	irq_window();
	check_eq(irq_count[V_MSIX + 2], before[2] + 1, "MSI-X: a masked vector waits");
	check_eq(read32(pba), 1 << 2, "MSI-X: its bit says so");
	entry(table + 16 * 2, V_OTHER, 0);
	check(irq_wait(V_OTHER, other + 1), "MSI-X: unmasked, it comes by its new message");
	check_eq(read32(pba), 0, "MSI-X: nothing is pending");
	check_eq(irq_count[V_MSIX], before[0] + 1, "MSI-X: none came twice");
	check_eq(read32(regs + FD_SEND), 0, "MSI-X: no error of the host's");
	command(CMD_MEM);
	write32(regs + send, 1);
	irq_window();
	check_eq(irq_count[V_MSIX + 1], before[1] + 1, "MSI-X: who is no master sends nothing");
	command(CMD_MEM | CMD_MASTER);
	check(irq_wait(V_MSIX + 1, before[1] + 2), "MSI-X: until it is one");
	write16(conf + cap + 2, 0);
}

void main(void)
{
	for (slot = 1; slot < 32 && !conf; slot++)
		if (read32(ECAM + (slot << 15)) == 0x10f01af4)
			conf = ECAM + (slot << 15);
	slot--;
	check(conf, "the test device's function is there");
	if (!conf)
		finish();
	irq_init();
	irq_eoi = EOI_LAPIC;
	pic_init(0xffff);
	lapic_enable();
	bars();
	pin();
	msi();
	msix(MSIX_SEND, "by KVM_SIGNAL_MSI");
	msix(FD_SEND, "by an irqfd");
	finish();
}

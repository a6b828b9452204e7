// SPDX-License-Identifier: MIT
/*
 * Message signalled interrupts: by the GICv2m frame and by the ITS, whichever the device tree has; from a
 * vCPU, from --testdev by KVM_SIGNAL_MSI or what stands for it, and by a route with an irqfd.
 */
#include "its.h"
#include "smp.h"

#define V2M_TYPER  0x008
#define V2M_SETSPI 0x040

#define MSI_LOW	   (TESTDEV + 0x10)
#define MSI_HIGH   (TESTDEV + 0x14)
#define MSI_DATA   (TESTDEV + 0x18)
#define MSI_DEVICE (TESTDEV + 0x1c)
#define MSI_SEND   (TESTDEV + 0x20)
#define MSI_ROUTE  (TESTDEV + 0x24)
#define MSI_IRQFD  (TESTDEV + 0x28)

#define DEVICE 40
#define LPI(n) (FIRST_LPI + (n))
#define TIMES  25

static volatile bool stop;
static volatile u32 online;

static void message(u64 address, u32 data, u32 device)
{
	write32(MSI_LOW, (u32)address);
	write32(MSI_HIGH, (u32)(address >> 32));
	write32(MSI_DATA, data);
	write32(MSI_DEVICE, device);
}

static void send(u64 address, u32 data, u32 device)
{
	message(address, data, device);
	write32(MSI_SEND, 1);
}

/* Points the irqfd at a message: whether that worked. */
static bool route(u64 address, u32 data, u32 device)
{
	message(address, data, device);
	write32(MSI_ROUTE, 1);
	return read32(MSI_ROUTE) == 0;
}

/* Injects the message that was routed last, `times` times; whether each was one interrupt on that vCPU. */
static bool inject(u32 cpu, u32 id, u32 times)
{
	u32 before = irq_count[cpu][irq_slot(id)];
	bool each = true;

	for (u32 i = 1; i <= times && each; i++) {
		write8(MSI_IRQFD, 1);
		each = wait_irq(irq_count[cpu][irq_slot(id)] >= before + i) && each;
	}
	irq_settle();
	return each && irq_count[cpu][irq_slot(id)] == before + times;
}

static void v2m(void)
{
	struct node n = fdt_compatible(fdt_root(), "arm,gic-v2m-frame");
	u32 typer, first, lines, total = irq_total();
	bool each = true;
	u64 base = 0;

	check(fdt_reg(n, 0, &base, NULL), "v2m: the frame has a place");
	typer = read32(base + V2M_TYPER);
	first = typer >> 16 & 0x3ff;
	lines = typer & 0x3ff;
	printf("= v2m_first %u\n= v2m_lines %u\n", first, lines);
	check(first >= FIRST_SPI && lines > 0 && first + lines <= NR_LINES,
	      "v2m: MSI_TYPER names SPIs that there are");
	for (u32 id = first; id < first + lines; id++) {
		line_edge(id, true);
		line_enable(id);
		write32(base + V2M_SETSPI, id);
		irq_settle();
		if (irqs(id) != 1) {
			each = false;
			printf("# SPI %u: %u interrupts\n", id, irqs(id));
		}
	}
	check(each, "v2m: a write of each SPI's number is one interrupt");
	check_eq(irq_total(), total + lines, "v2m: and no other");
	for (u32 i = 0; i < TIMES; i++) {
		write32(base + V2M_SETSPI, first + 3);
		irq_settle();
	}
	check_eq(irqs(first + 3), 1 + TIMES, "v2m: again and again");

	total = irq_total();
	line_edge(FIRST_SPI + 20, true);
	line_enable(FIRST_SPI + 20);
	line_enable(first - 1);
	write32(base + V2M_SETSPI, FIRST_SPI + 20);
	write32(base + V2M_SETSPI, first - 1);
	write32(base + V2M_SETSPI, first + lines);
	write32(base + V2M_SETSPI, 0);
	write32(base + V2M_SETSPI, 0xffffffff);
	irq_settle();
	check_eq(irq_total(), total, "v2m: a number that is not the frame's is no interrupt");

	send(base + V2M_SETSPI, first + 7, 0);
	check(wait_irq(irqs(first + 7) >= 2), "v2m: a device's message is an interrupt");
	irq_settle();
	check_eq(irqs(first + 7), 2, "v2m: one");
	check(route(base + V2M_SETSPI, first + lines - 1, 0) && inject(0, first + lines - 1, TIMES),
	      "v2m: a route and an irqfd, again and again");
	check(route(base + V2M_SETSPI, first + 1, 0) && inject(0, first + 1, 2),
	      "v2m: a route that was changed");
	line_disable(first + 1);
	write8(MSI_IRQFD, 1);
	irq_settle();
	check_eq(irqs(first + 1), 3, "v2m: a disabled SPI is silent");
	line_enable(first + 1);
	irq_settle();
	check_eq(irqs(first + 1), 4, "v2m: and comes when it is enabled");
	total = irq_total();
	send(base + V2M_SETSPI, first - 1, 0);
	send(base + V2M_SETSPI, first + lines, 0);
	send(base + V2M_SETSPI + 4, first, 0);
	send(0xdead0000, first, 0);
	irq_settle();
	check_eq(irq_total(), total, "v2m: a message with another number or another address is no interrupt");
}

static void other_cpu(u32 index)
{
	gic_init_cpu();
	its_init_cpu();
	online = 1;
	while (!stop)
		safe_halt();
}

static void its_map(void)
{
	its_mapd(DEVICE, 0, true);
	for (u32 event = 0; event < ITS_EVENTS; event++) {
		its_mapti(DEVICE, event, LPI(event), 0);
		lpi_enable(LPI(event), 0xa0);
	}
	its_sync(0);
	its_invall(0);
	its_sync(0);
}

static void its_messages(u64 address)
{
	u32 total = irq_total();
	bool each = true;

	for (u32 event = 0; event < ITS_EVENTS && each; event++) {
		send(address, event, DEVICE);
		if (!wait_irq(irqs(LPI(event)) >= 1)) {
			each = false;
			printf("# event %u: %u interrupts\n", event, irqs(LPI(event)));
		}
	}
	irq_settle();
	check(each, "ITS: a device's message of each event is an LPI");
	check_eq(irq_total(), total + ITS_EVENTS, "ITS: one each, and no other");
	for (u32 i = 1; i <= TIMES && each; i++) {
		send(address, 5, DEVICE);
		each = wait_irq(irqs(LPI(5)) >= 1 + i);
	}
	irq_settle();
	check_eq(irqs(LPI(5)), 1 + TIMES, "ITS: again and again");

	check(route(address, 9, DEVICE) && inject(0, LPI(9), TIMES),
	      "ITS: a route and an irqfd, again and again");
	check(route(address, 10, DEVICE) && inject(0, LPI(10), 2), "ITS: a route that was changed");

	total = irq_total();
	send(address, ITS_EVENTS, DEVICE);
	send(address, 1, DEVICE + 1);
	send(address, 1, 0xffff);
	send(address + 0x1000, 1, DEVICE);
	send(0xdead0000, 1, DEVICE);
	irq_settle();
	check_eq(irq_total(), total, "ITS: a message of an unknown event, device or address is no interrupt");
}

static void its_commands(u64 address)
{
	u32 id = LPI(12), n = irqs(id);

	its_int(DEVICE, 12);
	irq_settle();
	check_eq(irqs(id), ++n, "ITS: INT is an interrupt");
	lpi_disable(id);
	its_inv(DEVICE, 12);
	its_sync(0);
	send(address, 12, DEVICE);
	irq_settle();
	check_eq(irqs(id), n, "ITS: a disabled LPI is silent");
	lpi_enable(id, 0xa0);
	its_inv(DEVICE, 12);
	its_sync(0);
	irq_settle();
	check_eq(irqs(id), ++n, "ITS: and comes when it is enabled");
	lpi_disable(id);
	its_inv(DEVICE, 12);
	send(address, 12, DEVICE);
	its_clear(DEVICE, 12);
	lpi_enable(id, 0xa0);
	its_inv(DEVICE, 12);
	its_sync(0);
	irq_settle();
	check_eq(irqs(id), n, "ITS: CLEAR takes back what is pending");

	its_discard(DEVICE, 12);
	its_sync(0);
	send(address, 12, DEVICE);
	irq_settle();
	check_eq(irqs(id), n, "ITS: a discarded event is no interrupt");
	its_mapti(DEVICE, 12, LPI(40), 0);
	lpi_enable(LPI(40), 0xa0);
	its_inv(DEVICE, 12);
	its_sync(0);
	send(address, 12, DEVICE);
	irq_settle();
	check_eq(irqs(LPI(40)), 1, "ITS: mapped to another LPI, it is that one");
	check_eq(irqs(id), n, "ITS: and not the old one");
}

static u32 there(u32 id)
{
	return irq_count[1][irq_slot(id)];
}

static void its_other_cpu(u64 address)
{
	u32 id = LPI(20), here = irqs(id);

	smp_start(1, other_cpu);
	check(wait_for(online), "ITS: the other vCPU has its collection");
	its_movi(DEVICE, 20, 1);
	its_sync(0);
	its_sync(1);
	send(address, 20, DEVICE);
	check(wait_for(there(id) == 1), "ITS: an event that was moved comes to the other vCPU");
	check(route(address, 20, DEVICE) && inject(1, id, TIMES), "ITS: by an irqfd as well");
	check_eq(irqs(id), here, "ITS: and no more to this one");
	its_movall(1, 0);
	its_movi(DEVICE, 20, 0);
	its_sync(0);
	send(address, 20, DEVICE);
	irq_settle();
	check_eq(irqs(id), here + 1, "ITS: moved back, it comes here");
	check_eq(there(id), 1 + TIMES, "ITS: and not there");
	stop = true;
	gic->sgi(1, 1);
	wait_for(psci(PSCI_AFFINITY_INFO, boot.affinity[1], 0, 0) == 1);
}

static void its(void)
{
	u64 address = its_base + GITS_TRANSLATER;
	u32 total;

	printf("= gits_typer 0x%lx\n= gits_iidr 0x%x\n", read64(its_base + GITS_TYPER),
	       read32(its_base + GITS_IIDR));
	its_init_cpu();
	its_map();
	its_messages(address);
	its_commands(address);
	if (boot.nr_cpus > 1)
		its_other_cpu(address);
	total = irq_total();
	its_mapd(DEVICE, 0, false);
	its_sync(0);
	send(address, 3, DEVICE);
	write8(MSI_IRQFD, 1);
	irq_settle();
	check_eq(irq_total(), total, "ITS: a device that was unmapped has no interrupt");
}

void main(void)
{
	bool any = false;

	gic_init();
	if (fdt_compatible(fdt_root(), "arm,gic-v2m-frame").at) {
		any = true;
		v2m();
	}
	if (its_init()) {
		any = true;
		its();
	}
	if (!any) {
		u32 total = irq_total();

		send(0x08020040, 100, 0);
		check(read32(MSI_SEND) != 0, "no MSIs: a device's message is refused");
		check(!route(0x08020040, 100, 0), "no MSIs: and so is a route");
		irq_settle();
		check_eq(irq_total(), total, "no MSIs: there is no interrupt");
	}
	printf("= msi %s\n", any ? "yes" : "no");
	check_eq(irq_spurious[0] + irq_spurious[1], 0, "no interrupt was spurious");
	finish();
}

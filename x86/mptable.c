/* SPDX-License-Identifier: MIT */
/*
 * The MP table, for kernels that do not speak ACPI (or are told acpi=off). Others find it too, look at the
 * floating pointer and leave it; it is written for every VM as it costs next to nothing.
 *
 * Floating pointer and table lie together at X86_MPTABLE, in the ROM area that a kernel searches. Main
 * thread, called by x86_boot(); no lock.
 *
 * Intel MultiProcessor Specification 1.4: 4.1 (floating pointer), 4.2 (header), 4.3.1 processors, 4.3.2
 * buses, 4.3.3 I/O APICs, 4.3.4 I/O interrupts, 4.3.5 local interrupts.
 */
#include "layout.h"
#include "x86.h"
#include <assert.h>
#include <errno.h>
#include <lkvm/buf.h>
#include <lkvm/device.h>
#include <lkvm/hw.h>
#include <lkvm/pci.h>
#include <string.h>

#define PCI_SLOTS	32
#define MP_CPU_MAX	254 /* with 8-bit APIC ids of which 255 means all, and one for the I/O APIC */
#define MP_FLOATING_LEN 16
#define MP_HEADER_LEN	44
#define MP_ENTRIES_LEN                                                                                       \
	(8 * (2 + 1 + 15 + PCI_SLOTS * 4 + 2)) /* all but the processors: buses, I/O APIC, interrupts */

#define LAPIC_VERSION	     0x14
#define IOAPIC_VERSION	     0x11
#define IOAPIC_SPLIT_VERSION 0x20

enum { MP_PROCESSOR, MP_BUS, MP_IOAPIC, MP_IO_INTERRUPT, MP_LOCAL_INTERRUPT };
enum { MP_CPU_ENABLED = 0x1, MP_CPU_BOOT = 0x2 };
enum { MP_INT, MP_NMI, MP_SMI, MP_EXTINT };
enum { BUS_ID_PCI, BUS_ID_ISA }; /* bus ids; a PCI bus's is its number */

struct mp_table {
	struct buf out;
	u32 entries;
};

static void mp_entry(struct mp_table *t, u8 type)
{
	t->entries++;
	buf_u8(&t->out, type);
}

/* Leaf 1's EAX and EDX, or those of a plain P6 when nobody has made a CPUID template. */
static void cpu_signature(const struct kvm *kvm, u32 *signature, u32 *features)
{
	const struct x86_machine *m = x86_of(kvm);

	*signature = 0x600;
	*features = 1u << 9 | 1u << 0; /* APIC, FPU */
	for (u32 i = 0; m->cpuid && i < m->cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &m->cpuid->entries[i];

		if (e->function == 1) {
			*signature = e->eax & 0xfff; /* family, model and stepping, of four bits each */
			*features = e->edx;
			return;
		}
	}
}

static void mp_processors(struct mp_table *t, const struct kvm *kvm)
{
	u32 signature, features;

	cpu_signature(kvm, &signature, &features);
	for (u32 i = 0; i < kvm->cfg->cpus; i++) {
		u32 id = x86_vcpu_id(kvm, i);

		if (id >= 255)
			continue;
		mp_entry(t, MP_PROCESSOR);
		buf_u8(&t->out, (u8)id);
		buf_u8(&t->out, LAPIC_VERSION);
		buf_u8(&t->out, MP_CPU_ENABLED | (i == 0 ? MP_CPU_BOOT : 0));
		buf_le32(&t->out, signature);
		buf_le32(&t->out, features);
		buf_zero(&t->out, 8);
	}
}

static void mp_bus(struct mp_table *t, u8 id, const char *type)
{
	mp_entry(t, MP_BUS);
	buf_u8(&t->out, id);
	buf_add(&t->out, type, 6);
}

/* Polarity and trigger are left as the source's bus has them. */
static void mp_interrupt(struct mp_table *t, u8 entry, u8 type, u8 bus, u8 irq, u8 apic, u8 pin)
{
	mp_entry(t, entry);
	buf_u8(&t->out, type);
	buf_le16(&t->out, 0);
	buf_u8(&t->out, bus);
	buf_u8(&t->out, irq);
	buf_u8(&t->out, apic);
	buf_u8(&t->out, pin);
}

/* A PCI source's irq is its slot and its pin, INTA# being 0; nothing where the board wires no lines to PCI.
 */
static void mp_pci_interrupts(struct mp_table *t, const struct kvm *kvm, u8 ioapic)
{
	const struct device *dev;
	u32 line = IRQ_NONE;

	list_for_each (dev, &kvm->devices, link)
		if (dev->ops == &pci_host_ops)
			line = dev->board->line;
	if (line == IRQ_NONE)
		return;
	for (u8 slot = 0; slot < PCI_SLOTS; slot++)
		for (u8 pin = 0; pin < 4; pin++)
			mp_interrupt(t, MP_IO_INTERRUPT, MP_INT, BUS_ID_PCI, (u8)(slot << 2 | pin), ioapic,
				     (u8)(line + pci_intx_line(PCI_DEVFN(slot, 0), pin + 1)));
}

static void mp_interrupts(struct mp_table *t, const struct kvm *kvm, u8 ioapic)
{
	/* ISA lines are pins of the same number, as in the MADT; line 2 is the cascade of the two PICs. */
	for (u8 irq = 0; irq < 16; irq++)
		if (irq != 2)
			mp_interrupt(t, MP_IO_INTERRUPT, MP_INT, BUS_ID_ISA, irq, ioapic, irq);
	mp_pci_interrupts(t, kvm, ioapic);
	mp_interrupt(t, MP_LOCAL_INTERRUPT, MP_EXTINT, BUS_ID_ISA, 0, 0xff, 0);
	mp_interrupt(t, MP_LOCAL_INTERRUPT, MP_NMI, BUS_ID_ISA, 0, 0xff, 1);
}

static void mp_floating(struct mp_table *t)
{
	struct buf *out = &t->out;

	buf_add(out, "_MP_", 4);
	buf_le32(out, X86_MPTABLE + MP_FLOATING_LEN);
	buf_u8(out, MP_FLOATING_LEN / 16);
	buf_u8(out, 4);	  /* specification 1.4 */
	buf_u8(out, 0);	  /* checksum */
	buf_zero(out, 5); /* there is a table; virtual wire mode, no IMCR */
}

static void mp_header(struct mp_table *t)
{
	struct buf *out = &t->out;

	buf_add(out, "PCMP", 4);
	buf_le16(out, 0); /* length, written at the end */
	buf_u8(out, 4);	  /* specification 1.4 */
	buf_u8(out, 0);	  /* checksum */
	buf_add(out, "LKVM    ", 8);
	buf_add(out, "LKVM X86    ", 12);
	buf_le32(out, 0); /* no OEM table */
	buf_le16(out, 0);
	buf_le16(out, 0); /* entry count */
	buf_le32(out, (u32)X86_LAPIC);
	buf_le32(out, 0); /* no extended entries */
}

static u8 mp_sum(const u8 *p, size_t len)
{
	u8 sum = 0;

	while (len--)
		sum = (u8)(sum + *p++);
	return sum;
}

/* What was unknown before: length, entry count, address and checksums. */
static void mp_finish(struct mp_table *t)
{
	u8 *floating = t->out.data, *header = floating + MP_FLOATING_LEN;
	size_t len = t->out.len - MP_FLOATING_LEN;

	header[4] = (u8)len;
	header[5] = (u8)(len >> 8);
	header[34] = (u8)t->entries;
	header[35] = (u8)(t->entries >> 8);
	header[7] = (u8)-mp_sum(header, len);
	floating[10] = (u8)-mp_sum(floating, MP_FLOATING_LEN);
}

int x86_mptable_write(struct kvm *kvm)
{
	bool split = kvm->irqchip.ops == &x86_irqchip_split;
	u8 ioapic = X86_IOAPIC_ID(kvm->cfg->cpus);
	struct mp_table t = {.entries = 0};
	int r;

	if (kvm->cfg->cpus > MP_CPU_MAX)
		return 0; /* such guests are not for kernels without ACPI */

	/* One allocation: every CPU's 20 bytes, and 8 for each of the rest. */
	buf_zero(&t.out, MP_FLOATING_LEN + MP_HEADER_LEN + 20 * kvm->cfg->cpus + MP_ENTRIES_LEN);
	t.out.len = 0;
	mp_floating(&t);
	mp_header(&t);
	mp_processors(&t, kvm);
	mp_bus(&t, BUS_ID_PCI, "PCI   ");
	mp_bus(&t, BUS_ID_ISA, "ISA   ");
	mp_entry(&t, MP_IOAPIC);
	buf_u8(&t.out, ioapic);
	buf_u8(&t.out, split ? IOAPIC_SPLIT_VERSION : IOAPIC_VERSION);
	buf_u8(&t.out, 1); /* enabled */
	buf_le32(&t.out, (u32)X86_IOAPIC);
	mp_interrupts(&t, kvm, ioapic);

	r = t.out.err;
	if (!r) {
		mp_finish(&t);
		assert(t.out.len <= X86_MPTABLE_SIZE);
		r = guest_write(&kvm->mem, X86_MPTABLE, t.out.data, t.out.len);
	}
	if (r)
		log_error("MP table at 0x%llx: %s%s", X86_MPTABLE, strerror(-r),
			  r == -EFAULT ? ": give the VM more memory (-m)" : "");
	buf_free(&t.out);
	return r;
}

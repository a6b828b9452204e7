/* SPDX-License-Identifier: MIT */
/*
 * The split irqchip: local APICs in the kernel, the I/O APIC here (82093AA datasheet; version 0x20 with its
 * EOI register), no PIC and no PIT. For more than 255 vCPUs, and for keeping the kernel's part small.
 *
 * A pin's redirection entry is an MSI to be. The kernel learns it by an MSI route of the pin's GSI: that
 * serves irqfds, and tells it of which level-triggered vectors it must report the end (KVM_EXIT_IOAPIC_EOI).
 *
 * The registers are under the lock of the embedded device: the bus holds it for accesses, set_line() and
 * eoi() take it. Order: a device's lock, then this one, then irq.lock.
 */
#include "layout.h"
#include "x86.h"
#include <errno.h>
#include <lkvm/config.h>
#include <stdlib.h>
#include <string.h>

#define NR_PINS X86_NR_LINES

#define IOREGSEL 0x00
#define IOWIN	 0x10
#define IOEOI	 0x40

#define REG_ID	    0x00
#define REG_VERSION 0x01
#define REG_ARB	    0x02
#define REG_TABLE   0x10

#define RTE_STATUS     (1ull << 12) /* read-only: always 0 here, sending takes no time */
#define RTE_REMOTE_IRR (1ull << 14) /* read-only: sent and not yet ended */
#define RTE_LEVEL      (1ull << 15)
#define RTE_MASKED     (1ull << 16)
#define RTE_WRITABLE   (0xffff00000001ffffull & ~(RTE_STATUS | RTE_REMOTE_IRR))

struct ioapic {
	struct device dev; /* for the bus: never in kvm->devices */
	u32 select, id;
	u64 entry[NR_PINS];
	u32 lines; /* levels of the pins now */
};

static struct ioapic *ioapic_of(const struct irqchip *chip)
{
	return chip->priv;
}

/* The message of a redirection entry: same fields, other places (SDM volume 3A, 11.11). */
static struct msi_msg message(u64 entry)
{
	u32 mode = entry >> 8 & 7;

	return (struct msi_msg){
		.address = 0xfee00000ull | (entry >> 56) << 12 | /* destination */
			   (entry >> 49 & 0x7f) << 5 |		 /* its extension, bits 8-14 */
			   (mode == 1) << 3 |			 /* redirection hint: lowest priority */
			   (entry >> 11 & 1) << 2,		 /* logical */
		.data = (u32)((entry & 0xff) | mode << 8 | (entry >> 15 & 1) << 15 | 1 << 14),
	};
}

static void deliver(struct ioapic *io, u32 pin)
{
	struct msi_msg msg = message(io->entry[pin]);

	if (io->entry[pin] & RTE_MASKED)
		return;
	if (io->entry[pin] & RTE_LEVEL) {
		if (io->entry[pin] & RTE_REMOTE_IRR)
			return;
		io->entry[pin] |= RTE_REMOTE_IRR;
	}
	if (irq_msi_send(io->dev.kvm, &msg) < 0)
		log_debug(io->dev.kvm->log, "ioapic: pin %u: its message was not taken", pin);
}

static void end_of_interrupt(struct ioapic *io, u32 vector)
{
	for (u32 pin = 0; pin < NR_PINS; pin++) {
		u64 entry = io->entry[pin];

		if ((entry & 0xff) != vector || !(entry & RTE_LEVEL) || !(entry & RTE_REMOTE_IRR))
			continue;
		io->entry[pin] &= ~RTE_REMOTE_IRR;
		if (io->lines >> pin & 1)
			deliver(io, pin);
	}
}

static void write_entry(struct ioapic *io, u32 pin, u64 value)
{
	struct msi_msg msg;
	u64 old = io->entry[pin];
	int err;

	io->entry[pin] = (value & RTE_WRITABLE) | (old & RTE_REMOTE_IRR);
	if (!(io->entry[pin] & RTE_LEVEL))
		io->entry[pin] &= ~RTE_REMOTE_IRR;
	msg = message(io->entry[pin]);
	err = irq_pin_msi(io->dev.kvm, pin, io->entry[pin] & RTE_MASKED ? NULL : &msg);
	if (err)
		log_debug(io->dev.kvm->log, "ioapic: pin %u: no route: %s", pin, strerror(-err));
	/* A level that rose while masked counts; an edge that passed does not. */
	if (io->entry[pin] & RTE_LEVEL && io->lines >> pin & 1)
		deliver(io, pin);
}

static u32 read_register(const struct ioapic *io)
{
	u32 reg = io->select;

	if (reg == REG_ID || reg == REG_ARB)
		return io->id << 24;
	if (reg == REG_VERSION)
		return (NR_PINS - 1) << 16 | 0x20;
	if (reg >= REG_TABLE && reg < REG_TABLE + 2 * NR_PINS)
		return (u32)(io->entry[(reg - REG_TABLE) / 2] >> (reg & 1 ? 32 : 0));
	return 0;
}

static void write_register(struct ioapic *io, u32 value)
{
	u32 reg = io->select, pin;
	u64 entry;

	if (reg == REG_ID)
		io->id = value >> 24 & 0xf;
	if (reg < REG_TABLE || reg >= REG_TABLE + 2 * NR_PINS)
		return;
	pin = (reg - REG_TABLE) / 2;
	entry = io->entry[pin];
	entry = reg & 1 ? (entry & 0xffffffff) | (u64)value << 32 : (entry & ~0xffffffffull) | value;
	write_entry(io, pin, entry);
}

static void ioapic_access(struct device *dev, struct io *io, void *arg)
{
	struct ioapic *chip = arg;
	u32 value = (u32)io_value(io);

	switch (io->offset) {
	case IOREGSEL:
		if (io->write)
			chip->select = value & 0xff;
		else
			io_reply(io, chip->select);
		break;
	case IOWIN:
		if (io->write)
			write_register(chip, value);
		else
			io_reply(io, read_register(chip));
		break;
	case IOEOI:
		if (io->write)
			end_of_interrupt(chip, value & 0xff);
		break;
	}
}

static const struct device_ops ioapic_device = {.name = "ioapic", .size = sizeof(struct ioapic)};

static int split_probe(const struct kvm *kvm)
{
	return kvm_cap(kvm, KVM_CAP_SPLIT_IRQCHIP) && kvm_cap(kvm, KVM_CAP_X2APIC_API) ? 0 : -ENODEV;
}

static int split_create(struct irqchip *chip)
{
	struct kvm *kvm = chip->kvm;
	struct ioapic *io;
	int err = kvm_enable_cap(kvm, KVM_CAP_SPLIT_IRQCHIP, NR_PINS, 0);

	if (!err)
		err = kvm_enable_cap(kvm, KVM_CAP_X2APIC_API,
				     KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
				     0);
	if (err) {
		log_error("irqchip split: KVM_ENABLE_CAP: %s", strerror(-err));
		return err;
	}
	io = calloc(1, sizeof(*io));
	if (!io)
		return -ENOMEM;
	chip->priv = io;
	io->dev.ops = &ioapic_device;
	io->dev.kvm = kvm;
	memcpy(io->dev.name, "ioapic", sizeof("ioapic"));
	list_init(&io->dev.link);
	pthread_mutex_init(&io->dev.lock, NULL);
	io->id = X86_IOAPIC_ID(kvm->cfg->cpus) & 0xf;
	for (u32 pin = 0; pin < NR_PINS; pin++)
		io->entry[pin] = RTE_MASKED;
	x86_of(kvm)->ext_dest_id = true;
	x86_of(kvm)->x2apic_ids = kvm->cfg->cpus > 255;
	return bus_map(&io->dev, BUS_MMIO, X86_IOAPIC, 0x1000, ioapic_access, io, 0);
}

static int split_set_line(struct irqchip *chip, u32 line, bool level)
{
	struct ioapic *io = ioapic_of(chip);
	u32 bit = 1u << line;

	device_lock(&io->dev);
	/* Lines are described to the guest as active high: an entry of the other polarity sees them inverted.
	 */
	if (level && !(io->lines & bit)) {
		io->lines |= bit;
		deliver(io, line);
	} else if (!level) {
		io->lines &= ~bit;
	}
	device_unlock(&io->dev);
	return 0;
}

static void split_eoi(struct irqchip *chip, u32 vector)
{
	struct ioapic *io = ioapic_of(chip);

	device_lock(&io->dev);
	end_of_interrupt(io, vector);
	device_unlock(&io->dev);
}

static int split_state(struct irqchip *chip, struct state *s)
{
	struct ioapic *io = ioapic_of(chip);

	device_lock(&io->dev);
	state_begin(s, "ioapic", 1);
	state_u32(s, "select", &io->select);
	state_u32(s, "id", &io->id);
	state_u32(s, "lines", &io->lines);
	for (u32 pin = 0; pin < NR_PINS; pin++) {
		state_u64(s, "redirection", &io->entry[pin]);
		x86_redirection_note(s, pin, io->entry[pin]);
	}
	state_end(s);
	for (u32 pin = 0; pin < NR_PINS && state_reading(s) && !s->err; pin++)
		write_entry(io, pin, io->entry[pin]);
	device_unlock(&io->dev);
	return s->err ? s->err : x86_lapics_state(chip, s);
}

static void split_destroy(struct irqchip *chip)
{
	struct ioapic *io = ioapic_of(chip);

	if (!io)
		return;
	pthread_mutex_destroy(&io->dev.lock);
	free(io);
	chip->priv = NULL;
}

const struct irqchip_ops x86_irqchip_split = {
	.name = "split",
	.probe = split_probe,
	.create = split_create,
	.set_line = split_set_line,
	.msi_route = x86_msi_route,
	.state = split_state,
	.eoi = split_eoi,
	.destroy = split_destroy,
	.nr_lines = NR_PINS,
};

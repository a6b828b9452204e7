/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel irqchip: two 8259A PICs, the I/O APIC, the local APICs (KVM_CREATE_IRQCHIP, api.rst 4.24) and
 * the 8254 PIT (KVM_CREATE_PIT2, 4.71). x86 has no KVM_CREATE_DEVICE type for it; the ops are those of every
 * chip.
 *
 * The kernel's own routing sends GSI n to I/O APIC pin n and, below 16, to PIC pin n as well. The same routes
 * are the head of our table, which goes down only with the first MSI.
 */
#include "layout.h"
#include "pic.h"
#include "x86.h"
#include <errno.h>
#include <lkvm/config.h>
#include <stdio.h>
#include <string.h>

#define MSI_ADDRESS_BASE 0xfee00000ull
#define MSI_ADDRESS_MASK 0xfff00000ull

static int full_probe(const struct kvm *kvm)
{
	return kvm_cap(kvm, KVM_CAP_PIT2) ? 0 : -ENODEV;
}

static int full_create(struct irqchip *chip)
{
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	int err = kvm_ioctl(chip->kvm->vm_fd, KVM_CREATE_IRQCHIP, NULL);

	if (err < 0) {
		log_error("irqchip full: KVM_CREATE_IRQCHIP: %s", strerror(-err));
		return err;
	}
	err = kvm_ioctl(chip->kvm->vm_fd, KVM_CREATE_PIT2, &pit);
	if (err < 0)
		log_error("irqchip full: KVM_CREATE_PIT2: %s", strerror(-err));
	return err < 0 ? err : 0;
}

static int full_routes(struct irqchip *chip)
{
	int err = 0;

	for (u32 gsi = 0; gsi < X86_NR_LINES && !err; gsi++) {
		if (gsi < 16)
			err = irq_route_pin(chip->kvm, gsi,
					    gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
					    gsi % 8);
		if (!err)
			err = irq_route_pin(chip->kvm, gsi, KVM_IRQCHIP_IOAPIC, gsi);
	}
	return err;
}

static int full_set_line(struct irqchip *chip, u32 line, bool level)
{
	struct kvm_irq_level irq = {.irq = line, .level = level};

	return kvm_ioctl(chip->kvm->vm_fd, KVM_IRQ_LINE, &irq);
}

int x86_msi_route(struct irqchip *chip, const struct msi_msg *msg, struct kvm_irq_routing_entry *entry)
{
	u32 low = (u32)msg->address;

	if ((msg->address & MSI_ADDRESS_MASK) != MSI_ADDRESS_BASE)
		return -EINVAL;
	entry->type = KVM_IRQ_ROUTING_MSI;
	entry->u.msi.address_lo = low;
	entry->u.msi.address_hi = (u32)(msg->address >> 32);
	entry->u.msi.data = msg->data;
	/* Extended destination: bits 5-11 of the address are bits 8-14 of the APIC id, which KVM wants up
	 * here. */
	if (x86_of(chip->kvm)->ext_dest_id) {
		entry->u.msi.address_hi |= (low & 0xfe0) << 3;
		entry->u.msi.address_lo = low & ~0xfe0u;
	}
	return 0;
}

/* ---- state ---------------------------------------------------------------------------------- */

void x86_redirection_walk(struct state *s, u32 pin, u64 *bits)
{
	/* They outlive the walk, for its complaints. */
	static const char *const name[X86_NR_LINES] = {
		"redirection0",	 "redirection1",  "redirection2",  "redirection3",  "redirection4",
		"redirection5",	 "redirection6",  "redirection7",  "redirection8",  "redirection9",
		"redirection10", "redirection11", "redirection12", "redirection13", "redirection14",
		"redirection15", "redirection16", "redirection17", "redirection18", "redirection19",
		"redirection20", "redirection21", "redirection22", "redirection23"};
	static const char *const mode[8] = {"fixed", "lowest", "SMI", "3", "NMI", "INIT", "6", "ExtINT"};
	char pin_name[8];
	u64 entry;

	state_u64(s, name[pin], bits);
	if (!state_printing(s))
		return;
	entry = *bits;
	snprintf(pin_name, sizeof(pin_name), "pin%u", pin);
	state_note(s, pin_name, "vector %02x %s %s %s %s dest %02x%s%s", (u32)(entry & 0xff),
		   mode[entry >> 8 & 7], entry >> 11 & 1 ? "logical" : "physical",
		   entry >> 15 & 1 ? "level" : "edge", entry >> 13 & 1 ? "low" : "high", (u32)(entry >> 56),
		   entry >> 16 & 1 ? " masked" : "", entry >> 14 & 1 ? " in service" : "");
}

static void walk_ioapic(struct state *s, struct kvm_ioapic_state *io, const char *name)
{
	u64 base = io->base_address;

	state_begin(s, name, 1);
	state_u64(s, "base", &base);
	io->base_address = base;
	state_u32(s, "ioregsel", &io->ioregsel);
	state_u32(s, "id", &io->id);
	state_u32(s, "irr", &io->irr);
	for (u32 pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++) {
		u64 entry = io->redirtbl[pin].bits;

		x86_redirection_walk(s, pin, &entry);
		io->redirtbl[pin].bits = entry;
	}
	state_end(s);
}

static int walk_chip(struct irqchip *irqchip, struct state *s, u32 id, const char *name)
{
	struct kvm_irqchip chip = {.chip_id = id};
	int err = kvm_ioctl(irqchip->kvm->vm_fd, KVM_GET_IRQCHIP, &chip);

	if (err < 0)
		return err;
	if (id == KVM_IRQCHIP_IOAPIC)
		walk_ioapic(s, &chip.chip.ioapic, name);
	else
		pic_walk(&chip.chip.pic, s, name);
	if (state_reading(s) && !s->err)
		err = kvm_ioctl(irqchip->kvm->vm_fd, KVM_SET_IRQCHIP, &chip);
	return err < 0 ? err : s->err;
}

static int walk_pit(struct irqchip *irqchip, struct state *s)
{
	static const char *const name[] = {"channel0", "channel1", "channel2"};
	struct kvm_pit_state2 pit;
	int err = kvm_ioctl(irqchip->kvm->vm_fd, KVM_GET_PIT2, &pit);

	if (err < 0)
		return err;
	state_begin(s, "pit", 1);
	for (u32 i = 0; i < ARRAY_SIZE(pit.channels); i++) {
		struct kvm_pit_channel_state *ch = &pit.channels[i];
		u64 loaded = (u64)ch->count_load_time;

		state_begin(s, name[i], 1);
		state_u32(s, "count", &ch->count);
		state_u16(s, "latched_count", &ch->latched_count);
		state_u8(s, "count_latched", &ch->count_latched);
		state_u8(s, "status_latched", &ch->status_latched);
		state_u8(s, "status", &ch->status);
		state_u8(s, "read_state", &ch->read_state);
		state_u8(s, "write_state", &ch->write_state);
		state_u8(s, "write_latch", &ch->write_latch);
		state_u8(s, "rw_mode", &ch->rw_mode);
		state_u8(s, "mode", &ch->mode);
		state_u8(s, "bcd", &ch->bcd);
		state_u8(s, "gate", &ch->gate);
		state_u64(s, "count_load_time", &loaded);
		ch->count_load_time = (s64)loaded;
		state_end(s);
	}
	state_u32(s, "flags", &pit.flags);
	state_end(s);
	if (state_reading(s) && !s->err)
		err = kvm_ioctl(irqchip->kvm->vm_fd, KVM_SET_PIT2, &pit);
	return err < 0 ? err : s->err;
}

/* A local APIC's 256-bit register, printed as the vectors that are set. */
static void note_vectors(struct state *s, const char *name, const u8 *regs, u32 reg)
{
	struct buf list = {0};

	for (u32 vector = 0; vector < 256; vector++)
		if (regs[reg + vector / 32 * 16 + vector % 32 / 8] >> (vector % 8) & 1)
			buf_printf(&list, "%s%02x", list.len ? " " : "", vector);
	state_note(s, name, "%s", list.len ? (const char *)list.data : "none");
	buf_free(&list);
}

static int walk_lapic(struct vcpu *vcpu, struct state *s)
{
	static const struct {
		const char *name;
		u32 reg;
	} regs[] = {{"id", 0x20},
		    {"version", 0x30},
		    {"tpr", 0x80},
		    {"ldr", 0xd0},
		    {"dfr", 0xe0},
		    {"svr", 0xf0},
		    {"esr", 0x280},
		    {"icr", 0x300},
		    {"icr2", 0x310},
		    {"lvt_timer", 0x320},
		    {"lvt_thermal", 0x330},
		    {"lvt_perf", 0x340},
		    {"lvt_lint0", 0x350},
		    {"lvt_lint1", 0x360},
		    {"lvt_error", 0x370},
		    {"timer_initial", 0x380},
		    {"timer_current", 0x390},
		    {"timer_divide", 0x3e0}};
	struct kvm_lapic_state lapic;
	char name[24];
	int err = kvm_ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic);

	if (err < 0)
		return err;
	snprintf(name, sizeof(name), "lapic%u", vcpu->index);
	state_begin(s, name, 1);
	for (u32 i = 0; i < ARRAY_SIZE(regs) && state_printing(s); i++) {
		u32 value;

		memcpy(&value, lapic.regs + regs[i].reg, sizeof(value));
		state_u32(s, regs[i].name, &value);
	}
	if (state_printing(s)) {
		note_vectors(s, "isr", (const u8 *)lapic.regs, 0x100);
		note_vectors(s, "irr", (const u8 *)lapic.regs, 0x200);
	} else {
		state_bytes(s, "registers", lapic.regs, sizeof(lapic.regs));
	}
	state_end(s);
	if (state_reading(s) && !s->err)
		err = kvm_ioctl(vcpu->fd, KVM_SET_LAPIC, &lapic);
	return err < 0 ? err : s->err;
}

int x86_lapics_state(struct irqchip *chip, struct state *s)
{
	int err = 0;

	for (u32 i = 0; i < chip->kvm->nr_vcpus && !err; i++)
		err = walk_lapic(&chip->kvm->vcpu[i], s);
	return err;
}

static int full_state(struct irqchip *chip, struct state *s)
{
	int err = walk_chip(chip, s, KVM_IRQCHIP_PIC_MASTER, "pic0");

	if (!err)
		err = walk_chip(chip, s, KVM_IRQCHIP_PIC_SLAVE, "pic1");
	if (!err)
		err = walk_chip(chip, s, KVM_IRQCHIP_IOAPIC, "ioapic");
	if (!err)
		err = walk_pit(chip, s);
	return err ? err : x86_lapics_state(chip, s);
}

const struct irqchip_ops x86_irqchip_full = {
	.name = "full",
	.probe = full_probe,
	.create = full_create,
	.routes = full_routes,
	.set_line = full_set_line,
	.msi_route = x86_msi_route,
	.state = full_state,
	.nr_lines = X86_NR_LINES,
	/* The kernel's I/O APIC has 8-bit destinations, of which 255 is everybody. */
	.max_cpus = 255,
};

/* SPDX-License-Identifier: MIT */
/*
 * The split irqchip: local APICs in the kernel, the rest of a PC's interrupt hardware here: the I/O APIC
 * (82093AA datasheet; version 0x20 with its EOI register), the two PICs (pic.c) and the PIT (pit.c). A VM
 * with it ends some ten times faster than one with the kernel's own, each of whose devices on the kernel's
 * I/O buses waits for a grace period; and it may have more than 255 vCPUs.
 *
 * As in KVM's default routing, line n drives I/O APIC pin n and, below 16, input n of the PICs.
 *
 * A pin's redirection entry is an MSI to be. The kernel learns it by an MSI route of the pin's GSI: that
 * serves irqfds, and tells it of which level-triggered vectors it must report the end (KVM_EXIT_IOAPIC_EOI).
 * An irqfd on a line so reaches the I/O APIC alone, as an edge: devices that a PIC has to hear, or that drive
 * a level, call irq_set_line().
 *
 * The PICs' INT goes to vCPU 0, whose local APIC takes it while LINT0 is ExtINT or the APIC is off: api.rst
 * 4.16 (KVM_INTERRUPT) and, in 5, ready_for_interrupt_injection. Whoever makes INT rise asks that vCPU for
 * VCPU_INJECT; before each KVM_RUN x86_vcpu_enter() either injects the vector or asks KVM for an exit as soon
 * as the guest can take one. A vector that KVM has and the guest does not yet is not part of the saved state:
 * it gets there with the next KVM_RUN.
 *
 * IRQ 0's ticks are computed, not counted (pit.c). A host timer runs only while the next tick would get
 * somewhere. Ticks that the guest was too slow for are made up for, a bounded number of them.
 *
 * All of it is under the lock of the one embedded device: the bus holds it for accesses, the rest takes it.
 * Order: a device's lock, then this one, then irq.lock or vcpu.kick.
 */
#include "layout.h"
#include "pic.h"
#include "pit.h"
#include "x86.h"
#include <errno.h>
#include <lkvm/config.h>
#include <lkvm/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PORT_PIC0   0x20
#define PORT_PIT    0x40
#define PORT_61	    0x61
#define PORT_PIC1   0xa0
#define PORT_ELCR   0x4d0
#define TICKS_MAX   64u	      /* how many late ticks are made up for */
#define TICK_MIN_NS 200000ull /* between two of them */

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

struct split {
	struct device dev; /* for the bus: never in kvm->devices */

	/* The I/O APIC. */
	u32 select, id;
	u64 entry[NR_PINS];
	u32 lines; /* levels of the pins now */

	struct pic pic;
	struct vcpu *bsp;  /* whom INT reaches */
	_Atomic bool intr; /* INT; set under the lock, read by the vCPU without */

	struct pit pit;
	struct event_timer timer;
	u64 timer_at;  /* when it will fire; 0: not at all */
	u64 last_tick; /* when IRQ 0 last rose */
	u64 ticks;     /* how many are due */
};

static struct split *split_of(const struct irqchip *chip)
{
	return chip->priv;
}

/* ---- I/O APIC ------------------------------------------------------------------------------- */

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

static void deliver(struct split *chip, u32 pin)
{
	u64 *entry = &chip->entry[pin];
	struct msi_msg msg = message(*entry);
	int taken;

	if (*entry & RTE_MASKED || (*entry & RTE_LEVEL && *entry & RTE_REMOTE_IRR))
		return;
	taken = irq_msi_send(chip->dev.kvm, &msg);
	/* What no local APIC took will not be ended by one. */
	if (taken <= 0)
		log_debug(chip->dev.kvm->log, "ioapic: pin %u: its message was not taken", pin);
	else if (*entry & RTE_LEVEL)
		*entry |= RTE_REMOTE_IRR;
}

/* The level is the logical one: whether the line is active. So an entry's polarity means nothing. */
static void set_pin(struct split *chip, u32 pin, bool level)
{
	u32 bit = 1u << pin;

	if (!level) {
		chip->lines &= ~bit;
	} else if (!(chip->lines & bit)) {
		chip->lines |= bit;
		deliver(chip, pin);
	}
}

static void end_of_interrupt(struct split *chip, u32 vector)
{
	for (u32 pin = 0; pin < NR_PINS; pin++) {
		u64 entry = chip->entry[pin];

		if ((entry & 0xff) != vector || !(entry & RTE_LEVEL) || !(entry & RTE_REMOTE_IRR))
			continue;
		chip->entry[pin] &= ~RTE_REMOTE_IRR;
		if (chip->lines >> pin & 1)
			deliver(chip, pin);
	}
}

static void write_entry(struct split *chip, u32 pin, u64 value)
{
	u64 entry = (value & RTE_WRITABLE) | (chip->entry[pin] & RTE_REMOTE_IRR);
	struct msi_msg msg;
	bool route;
	int err;

	/* To edge and back is how a kernel clears it where there is no EOI register. */
	if (!(entry & RTE_LEVEL))
		entry &= ~RTE_REMOTE_IRR;
	chip->entry[pin] = entry;
	msg = message(entry);
	/*
	 * Without the route KVM would not report the end of an interrupt that is being served, which a kernel
	 * may mask meanwhile; its route stays until the entry is next written.
	 */
	route = !(entry & RTE_MASKED) || entry & RTE_REMOTE_IRR;
	err = irq_pin_msi(chip->dev.kvm, pin, route ? &msg : NULL);
	if (err)
		log_debug(chip->dev.kvm->log, "ioapic: pin %u: no route: %s", pin, strerror(-err));
	/* A level that rose while masked counts; an edge that passed does not. */
	if (entry & RTE_LEVEL && chip->lines >> pin & 1)
		deliver(chip, pin);
}

static u32 read_register(const struct split *chip)
{
	u32 reg = chip->select;

	if (reg == REG_ID || reg == REG_ARB)
		return chip->id << 24;
	if (reg == REG_VERSION)
		return (NR_PINS - 1) << 16 | 0x20;
	if (reg >= REG_TABLE && reg < REG_TABLE + 2 * NR_PINS)
		return (u32)(chip->entry[(reg - REG_TABLE) / 2] >> (reg & 1 ? 32 : 0));
	return 0;
}

static void write_register(struct split *chip, u32 value)
{
	u32 reg = chip->select, pin;
	u64 entry;

	if (reg == REG_ID)
		chip->id = value >> 24 & 0xf;
	if (reg < REG_TABLE || reg >= REG_TABLE + 2 * NR_PINS)
		return;
	pin = (reg - REG_TABLE) / 2;
	entry = chip->entry[pin];
	entry = reg & 1 ? (entry & 0xffffffff) | (u64)value << 32 : (entry & ~0xffffffffull) | value;
	write_entry(chip, pin, entry);
}

/* ---- PIC and PIT ---------------------------------------------------------------------------- */

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
}

/* After whatever may have changed the PICs' INT. */
static void update_intr(struct split *chip)
{
	bool level = pic_output(&chip->pic);

	if (level == atomic_load_explicit(&chip->intr, memory_order_relaxed))
		return;
	atomic_store(&chip->intr, level);
	if (level && chip->bsp)
		vcpu_request(chip->bsp, VCPU_INJECT);
}

static bool ioapic_wants_timer(const struct split *chip)
{
	return !(chip->entry[0] & RTE_MASKED);
}

/* The PICs take a tick when they have none pending, the I/O APIC at any time. */
static bool wants_timer(const struct split *chip)
{
	return pic_wants_timer(&chip->pic) || ioapic_wants_timer(chip);
}

static void tick(struct split *chip, u64 now)
{
	chip->last_tick = now;
	pic_set_line(&chip->pic, 0, true);
	pic_set_line(&chip->pic, 0, false);
	set_pin(chip, 0, true);
	set_pin(chip, 0, false);
}

/*
 * Gives IRQ 0 the ticks that are due. Before masks or the PIT change, so that what is past meets what there
 * was then; and, by update_timer(), after.
 */
static void take_ticks(struct split *chip, u64 now)
{
	u64 period = pit_period(&chip->pit), edges = pit_take_edges(&chip->pit, now);

	chip->ticks = min_u64(chip->ticks + min_u64(edges, TICKS_MAX), period ? TICKS_MAX : 1);
	if (!chip->ticks)
		return;
	if (wants_timer(chip)) {
		/* Late ones follow each other at twice their rate. */
		if (now - chip->last_tick < max_u64(period / 2, TICK_MIN_NS))
			return;
		tick(chip, now);
		chip->ticks--;
	} else if (chip->pic.chip[0].imr & 1 || chip->pic.chip[0].init_state) {
		/* The edge detector is before the mask. Nobody counts what is masked. */
		tick(chip, now);
		chip->ticks = 0;
	}
}

static void update_timer(struct split *chip)
{
	u64 now = now_ns(), earliest, at = 0;

	take_ticks(chip, now);
	if (wants_timer(chip)) {
		earliest = chip->last_tick + max_u64(pit_period(&chip->pit) / 2, TICK_MIN_NS);
		at = pit_next_edge(&chip->pit, now);
		at = at ? now + at : 0;
		if (chip->ticks)
			at = earliest;
		else if (at)
			at = max_u64(at, earliest);
	}
	if (at != chip->timer_at)
		event_timer_set(&chip->timer, !at ? 0 : at > now ? at - now : 1, 0);
	chip->timer_at = at;
	update_intr(chip);
}

static void on_timer(struct event_timer *timer)
{
	struct split *chip = timer->arg;

	device_lock(&chip->dev);
	chip->timer_at = 0;
	update_timer(chip);
	device_unlock(&chip->dev);
}

/* Injects what the PICs have, or asks for an exit once the guest can take it. */
static void inject(struct split *chip, struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct kvm_interrupt irq;
	bool any = false;
	int err = 0;

	if (run->ready_for_interrupt_injection && run->if_flag) {
		device_lock(&chip->dev);
		any = pic_output(&chip->pic);
		if (any) {
			take_ticks(chip, now_ns());
			irq.irq = pic_acknowledge(&chip->pic);
			update_timer(chip);
		}
		device_unlock(&chip->dev);
	}
	if (any) {
		err = kvm_ioctl(vcpu->fd, KVM_INTERRUPT, &irq);
		run->ready_for_interrupt_injection = 0;
	}
	if (err < 0)
		log_debug(vcpu->kvm->log, "vcpu %u: KVM_INTERRUPT: %s", vcpu->index, strerror(-err));
	run->request_interrupt_window = atomic_load(&chip->intr);
}

void x86_vcpu_enter(struct vcpu *vcpu)
{
	struct split *chip = vcpu->arch;

	if (!chip)
		return;
	if (atomic_load(&chip->intr))
		inject(chip, vcpu);
	else if (vcpu->run->request_interrupt_window)
		vcpu->run->request_interrupt_window = 0;
}

/* ---- accesses ------------------------------------------------------------------------------- */

/* Pin 0's entry is one of the timer's two masks. */
static void write_ioapic(struct split *chip, u32 value)
{
	bool timer = chip->select == REG_TABLE;

	if (timer)
		take_ticks(chip, now_ns());
	write_register(chip, value);
	if (timer)
		update_timer(chip);
}

static void ioapic_access(struct device *dev, struct io *io, void *arg)
{
	struct split *chip = arg;
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
			write_ioapic(chip, value);
		else
			io_reply(io, read_register(chip));
		break;
	case IOEOI:
		if (io->write)
			end_of_interrupt(chip, value & 0xff);
		break;
	}
}

static void pic_access(struct split *chip, struct io *io, u32 which)
{
	enum pic_port port = io->offset ? PIC_DATA : PIC_COMMAND;

	take_ticks(chip, now_ns());
	if (io->write)
		pic_write(&chip->pic, which, port, (u8)io_value(io));
	else
		io_reply(io, pic_read(&chip->pic, which, port));
	update_timer(chip);
}

static void pic0_access(struct device *dev, struct io *io, void *arg)
{
	pic_access(arg, io, 0);
}

static void pic1_access(struct device *dev, struct io *io, void *arg)
{
	pic_access(arg, io, 1);
}

static void elcr_access(struct device *dev, struct io *io, void *arg)
{
	struct split *chip = arg;
	u32 which = io->offset & 1;

	if (!io->write) {
		io_reply(io, chip->pic.chip[which].elcr);
		return;
	}
	pic_write_elcr(&chip->pic, which, (u8)io_value(io));
	update_intr(chip);
}

static void pit_access(struct device *dev, struct io *io, void *arg)
{
	struct split *chip = arg;
	u64 now = now_ns();

	if (!io->write) {
		io_reply(io, pit_read(&chip->pit, now, (u32)io->offset));
		return;
	}
	take_ticks(chip, now);
	pit_write(&chip->pit, now, (u32)io->offset, (u8)io_value(io));
	/* What was late is of the old rate. */
	if (!pit_period(&chip->pit))
		chip->ticks = 0;
	update_timer(chip);
}

static void port61_access(struct device *dev, struct io *io, void *arg)
{
	struct split *chip = arg;

	if (io->write)
		pit_write_port61(&chip->pit, now_ns(), (u8)io_value(io));
	else
		io_reply(io, pit_read_port61(&chip->pit, now_ns()));
}

/* ---- the irqchip's operations --------------------------------------------------------------- */

static const struct device_ops split_device = {.name = "irqchip", .size = sizeof(struct split)};

static int split_probe(const struct kvm *kvm)
{
	return kvm_cap(kvm, KVM_CAP_SPLIT_IRQCHIP) && kvm_cap(kvm, KVM_CAP_X2APIC_API) ? 0 : -ENODEV;
}

static int map_ports(struct split *chip)
{
	static const struct {
		u16 port, len;
		io_fn fn;
	} ports[] = {
		{PORT_PIC0, 2, pic0_access}, {PORT_PIC1, 2, pic1_access}, {PORT_ELCR, 2, elcr_access},
		{PORT_PIT, 4, pit_access},   {PORT_61, 1, port61_access},
	};
	int err = bus_map(&chip->dev, BUS_MMIO, X86_IOAPIC, 0x1000, ioapic_access, chip, 0);

	for (u32 i = 0; i < ARRAY_SIZE(ports) && !err; i++)
		err = bus_map(&chip->dev, BUS_PIO, ports[i].port, ports[i].len, ports[i].fn, chip, BUS_BYTES);
	return err;
}

static int split_create(struct irqchip *irqchip)
{
	struct kvm *kvm = irqchip->kvm;
	struct split *chip;
	int err = kvm_enable_cap(kvm, KVM_CAP_SPLIT_IRQCHIP, NR_PINS, 0);

	if (!err)
		err = kvm_enable_cap(kvm, KVM_CAP_X2APIC_API,
				     KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
				     0);
	if (err) {
		log_error("irqchip split: KVM_ENABLE_CAP: %s", strerror(-err));
		return err;
	}
	chip = calloc(1, sizeof(*chip));
	if (!chip)
		return -ENOMEM;
	irqchip->priv = chip;
	chip->dev.ops = &split_device;
	chip->dev.kvm = kvm;
	memcpy(chip->dev.name, "irqchip", sizeof("irqchip"));
	list_init(&chip->dev.link);
	pthread_mutex_init(&chip->dev.lock, NULL);
	chip->id = X86_IOAPIC_ID(kvm->cfg->cpus) & 0xf;
	for (u32 pin = 0; pin < NR_PINS; pin++)
		chip->entry[pin] = RTE_MASKED;
	pic_reset(&chip->pic);
	pit_reset(&chip->pit, now_ns());
	x86_of(kvm)->ext_dest_id = true;
	x86_of(kvm)->x2apic_ids = kvm->cfg->cpus > 255;
	err = event_timer_init(&kvm->loop, &chip->timer, on_timer, chip);
	if (err) {
		log_error("irqchip split: timer: %s", strerror(-err));
		return err;
	}
	return map_ports(chip);
}

static int split_attach_vcpu(struct irqchip *irqchip, struct vcpu *vcpu)
{
	if (vcpu->index)
		return 0;
	vcpu->arch = split_of(irqchip);
	split_of(irqchip)->bsp = vcpu;
	return 0;
}

static int split_set_line(struct irqchip *irqchip, u32 line, bool level)
{
	struct split *chip = split_of(irqchip);

	if (line >= NR_PINS)
		return -EINVAL;
	device_lock(&chip->dev);
	set_pin(chip, line, level);
	if (line < PIC_LINES) {
		pic_set_line(&chip->pic, line, level);
		update_intr(chip);
	}
	device_unlock(&chip->dev);
	return 0;
}

static void split_eoi(struct irqchip *irqchip, u32 vector)
{
	struct split *chip = split_of(irqchip);

	device_lock(&chip->dev);
	end_of_interrupt(chip, vector);
	device_unlock(&chip->dev);
}

static void ioapic_state(struct split *chip, struct state *s)
{
	state_begin(s, "ioapic", 2);
	state_u32(s, "select", &chip->select);
	state_u32(s, "id", &chip->id);
	state_u32(s, "lines", &chip->lines);
	for (u32 pin = 0; pin < NR_PINS; pin++)
		x86_redirection_walk(s, pin, &chip->entry[pin]);
	state_end(s);
	if (!state_reading(s) || s->err)
		return;
	chip->select &= 0xff;
	chip->id &= 0xf;
	for (u32 pin = 0; pin < NR_PINS; pin++)
		write_entry(chip, pin, chip->entry[pin]);
}

static int split_state(struct irqchip *irqchip, struct state *s)
{
	struct split *chip = split_of(irqchip);

	device_lock(&chip->dev);
	/* In the order of the kernel's own, which begins with the PICs. */
	pic_state(&chip->pic, s);
	ioapic_state(chip, s);
	pit_state(&chip->pit, now_ns(), s);
	if (state_reading(s) && !s->err)
		update_timer(chip);
	device_unlock(&chip->dev);
	return s->err ? s->err : x86_lapics_state(irqchip, s);
}

static void split_destroy(struct irqchip *irqchip)
{
	struct split *chip = split_of(irqchip);

	if (!chip)
		return;
	event_timer_destroy(&irqchip->kvm->loop, &chip->timer);
	pthread_mutex_destroy(&chip->dev.lock);
	free(chip);
	irqchip->priv = NULL;
}

const struct irqchip_ops x86_irqchip_split = {
	.name = "split",
	.probe = split_probe,
	.create = split_create,
	.attach_vcpu = split_attach_vcpu,
	.set_line = split_set_line,
	.msi_route = x86_msi_route,
	.state = split_state,
	.eoi = split_eoi,
	.destroy = split_destroy,
	.nr_lines = NR_PINS,
};

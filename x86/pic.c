/* SPDX-License-Identifier: MIT */
/*
 * The pair of 8259A programmable interrupt controllers of a PC: Intel's 8259A datasheet (order number
 * 231468), with the edge/level registers (ELCR) of the EISA and ISA bridges after it. Called by
 * irqchip-split.c, on any thread, under its lock.
 *
 * Where a chip's freedom matters:
 * - An edge is latched until it is acknowledged or the chip is initialised, even if its line drops before:
 *   short pulses count. (A real chip would make a spurious interrupt of it.)
 * - The master's cascade input follows the slave's INT as a level.
 * - During initialisation, from ICW1 to the last ICW, INT is low.
 * - ICW1's level mode is the ELCR's to say, buffered mode and the 8080's vectors mean nothing on a PC, and
 * the wiring of the cascade is not ICW3's to change.
 */
#include "pic.h"
#include <lkvm/state.h>
#include <string.h>

/* What the next write to PIC_DATA is. */
enum pic_init { INIT_DONE, INIT_ICW2, INIT_ICW3, INIT_ICW4, INIT_ICW2_SINGLE };

enum {
	ICW1 = 0x10,
	ICW1_IC4 = 0x01,
	ICW1_SINGLE = 0x02,
	ICW4_AUTO_EOI = 0x02,
	ICW4_SPECIAL_NESTED = 0x10,
	OCW3 = 0x08,
	OCW3_READ_ISR = 0x01,
	OCW3_READ = 0x02,
	OCW3_POLL = 0x04,
	OCW3_SPECIAL_MASK = 0x20,
	OCW3_SET_SPECIAL_MASK = 0x40,
	POLL_INTERRUPT = 0x80,
};

/* OCW2's commands, its upper three bits. */
enum ocw2 {
	OCW2_AUTO_ROTATE_OFF,
	OCW2_EOI,
	OCW2_NOTHING,
	OCW2_SPECIFIC_EOI,
	OCW2_AUTO_ROTATE_ON,
	OCW2_ROTATE_EOI,
	OCW2_SET_PRIORITY,
	OCW2_ROTATE_SPECIFIC_EOI,
};

#define SPURIOUS 7
#define NOBODY	 8 /* the rank of no input at all, below all of them */

static u32 input_of(const struct kvm_pic_state *c, u32 rank)
{
	return (c->priority_add + rank) & 7;
}

/* The rank, 0 the highest, of the first of these inputs; NOBODY when there is none. */
static u32 first_rank(const struct kvm_pic_state *c, u8 inputs)
{
	u32 rank = 0;

	while (rank < NOBODY && !(inputs >> input_of(c, rank) & 1))
		rank++;
	return rank;
}

/* The input that the chip asks service for, or -1. */
static int request(const struct kvm_pic_state *c)
{
	u8 serving = c->special_mask ? c->isr & (u8)~c->imr : c->isr;
	u32 rank, busy;

	if (c->init_state != INIT_DONE)
		return -1;
	rank = first_rank(c, c->irr & (u8)~c->imr);
	busy = first_rank(c, serving);
	if (rank < busy)
		return (int)input_of(c, rank);
	/* Special fully nested: the slave that is being served may ask again, it knows its own priorities. */
	if (c->special_fully_nested_mode && rank == busy && rank < NOBODY && input_of(c, rank) == PIC_CASCADE)
		return PIC_CASCADE;
	return -1;
}

static void set_bit(u8 *reg, u32 bit, bool on)
{
	*reg = (u8)(on ? *reg | 1u << bit : *reg & ~(1u << bit));
}

static void update_cascade(struct pic *pic)
{
	bool level = request(&pic->chip[1]) >= 0;

	set_bit(&pic->chip[0].irr, PIC_CASCADE, level);
	set_bit(&pic->chip[0].last_irr, PIC_CASCADE, level);
}

static void set_input(struct kvm_pic_state *c, u32 input, bool level)
{
	if (c->elcr >> input & 1)
		set_bit(&c->irr, input, level);
	else if (level && !(c->last_irr >> input & 1))
		set_bit(&c->irr, input, true);
	set_bit(&c->last_irr, input, level);
}

void pic_set_line(struct pic *pic, u32 line, bool level)
{
	if (line >= PIC_LINES || line == PIC_CASCADE)
		return;
	set_input(&pic->chip[line >> 3], line & 7, level);
	update_cascade(pic);
}

/* The chip's part of an acknowledge cycle. */
static void serve(struct kvm_pic_state *c, u32 input)
{
	if (!(c->elcr >> input & 1))
		set_bit(&c->irr, input, false);
	if (!c->auto_eoi)
		set_bit(&c->isr, input, true);
	else if (c->rotate_on_auto_eoi)
		c->priority_add = (input + 1) & 7;
}

bool pic_output(const struct pic *pic)
{
	return request(&pic->chip[0]) >= 0;
}

u8 pic_acknowledge(struct pic *pic)
{
	struct kvm_pic_state *c = &pic->chip[0];
	int input = request(c);

	if (input >= 0)
		serve(c, (u32)input);
	if (input == PIC_CASCADE) {
		c = &pic->chip[1];
		input = request(c);
		if (input >= 0)
			serve(c, (u32)input);
	}
	update_cascade(pic);
	return (u8)(c->irq_base + (input < 0 ? SPURIOUS : input));
}

bool pic_wants_timer(const struct pic *pic)
{
	const struct kvm_pic_state *c = &pic->chip[0];

	return c->init_state == INIT_DONE && !((c->imr | c->irr) & 1);
}

/* ---- registers ------------------------------------------------------------------------------ */

static void initialise(struct kvm_pic_state *c, u8 icw1)
{
	/* The edge detectors start anew: a line that is high now has to fall first. */
	c->irr = c->last_irr & c->elcr;
	c->imr = 0;
	c->isr = 0;
	c->priority_add = 0;
	c->special_mask = 0;
	c->read_reg_select = 0;
	c->poll = 0;
	c->rotate_on_auto_eoi = 0;
	c->init4 = icw1 & ICW1_IC4;
	if (!c->init4) {
		c->auto_eoi = 0;
		c->special_fully_nested_mode = 0;
	}
	c->init_state = icw1 & ICW1_SINGLE ? INIT_ICW2_SINGLE : INIT_ICW2;
}

static void end_of_interrupt(struct kvm_pic_state *c, u32 input, bool rotate)
{
	set_bit(&c->isr, input, false);
	if (rotate)
		c->priority_add = (input + 1) & 7;
}

static void write_ocw2(struct kvm_pic_state *c, u8 v)
{
	enum ocw2 command = v >> 5;
	u32 rank;

	switch (command) {
	case OCW2_AUTO_ROTATE_OFF:
	case OCW2_AUTO_ROTATE_ON:
		c->rotate_on_auto_eoi = command == OCW2_AUTO_ROTATE_ON;
		break;
	case OCW2_EOI:
	case OCW2_ROTATE_EOI:
		/* In special mask mode it passes over what is masked. */
		rank = first_rank(c, c->special_mask ? c->isr & (u8)~c->imr : c->isr);
		if (rank < NOBODY)
			end_of_interrupt(c, input_of(c, rank), command == OCW2_ROTATE_EOI);
		break;
	case OCW2_SPECIFIC_EOI:
	case OCW2_ROTATE_SPECIFIC_EOI:
		end_of_interrupt(c, v & 7, command == OCW2_ROTATE_SPECIFIC_EOI);
		break;
	case OCW2_SET_PRIORITY:
		c->priority_add = (v + 1) & 7;
		break;
	case OCW2_NOTHING:
		break;
	}
}

static void write_ocw3(struct kvm_pic_state *c, u8 v)
{
	if (v & OCW3_SET_SPECIAL_MASK)
		c->special_mask = !!(v & OCW3_SPECIAL_MASK);
	if (v & OCW3_POLL)
		c->poll = 1;
	else if (v & OCW3_READ)
		c->read_reg_select = v & OCW3_READ_ISR;
}

static void write_data(struct kvm_pic_state *c, u8 v)
{
	switch ((enum pic_init)c->init_state) {
	case INIT_DONE:
		c->imr = v;
		break;
	case INIT_ICW2:
		c->irq_base = v & 0xf8;
		c->init_state = INIT_ICW3;
		break;
	case INIT_ICW2_SINGLE:
		c->irq_base = v & 0xf8;
		c->init_state = c->init4 ? INIT_ICW4 : INIT_DONE;
		break;
	case INIT_ICW3:
		c->init_state = c->init4 ? INIT_ICW4 : INIT_DONE;
		break;
	case INIT_ICW4:
		c->auto_eoi = !!(v & ICW4_AUTO_EOI);
		c->special_fully_nested_mode = !!(v & ICW4_SPECIAL_NESTED);
		c->init_state = INIT_DONE;
		break;
	}
}

void pic_write(struct pic *pic, u32 chip, enum pic_port port, u8 v)
{
	struct kvm_pic_state *c = &pic->chip[chip & 1];

	if (port == PIC_DATA)
		write_data(c, v);
	else if (v & ICW1)
		initialise(c, v);
	else if (v & OCW3)
		write_ocw3(c, v);
	else
		write_ocw2(c, v);
	update_cascade(pic);
}

/* A poll is an acknowledge cycle of this chip alone. */
static u8 poll(struct kvm_pic_state *c)
{
	int input = request(c);

	c->poll = 0;
	if (input < 0)
		return 0;
	serve(c, (u32)input);
	return (u8)(POLL_INTERRUPT | input);
}

u8 pic_read(struct pic *pic, u32 chip, enum pic_port port)
{
	struct kvm_pic_state *c = &pic->chip[chip & 1];
	u8 v;

	if (c->poll) {
		v = poll(c);
		update_cascade(pic);
		return v;
	}
	if (port == PIC_DATA)
		return c->imr;
	return c->read_reg_select ? c->isr : c->irr;
}

void pic_write_elcr(struct pic *pic, u32 chip, u8 v)
{
	struct kvm_pic_state *c = &pic->chip[chip & 1];

	/* Of the edges only those of inputs that stay edge-triggered are kept. */
	c->irr &= (u8) ~(c->elcr | v);
	c->elcr = v & c->elcr_mask;
	c->irr |= c->last_irr & c->elcr;
	update_cascade(pic);
}

/* ---- life ----------------------------------------------------------------------------------- */

void pic_reset(struct pic *pic)
{
	memset(pic, 0, sizeof(*pic));
	for (u32 i = 0; i < 2; i++)
		pic->chip[i].imr = 0xff;
	/* Timer, keyboard, cascade, clock and coprocessor are edge-triggered for good. */
	pic->chip[0].elcr_mask = 0xf8;
	pic->chip[1].elcr_mask = 0xde;
}

void pic_walk(struct kvm_pic_state *chip, struct state *s, const char *name)
{
	state_begin(s, name, 1);
	state_u8(s, "irr", &chip->irr);
	state_u8(s, "imr", &chip->imr);
	state_u8(s, "isr", &chip->isr);
	state_u8(s, "last_irr", &chip->last_irr);
	state_u8(s, "elcr", &chip->elcr);
	state_u8(s, "irq_base", &chip->irq_base);
	state_u8(s, "priority_add", &chip->priority_add);
	state_u8(s, "read_reg_select", &chip->read_reg_select);
	state_u8(s, "poll", &chip->poll);
	state_u8(s, "special_mask", &chip->special_mask);
	state_u8(s, "init_state", &chip->init_state);
	state_u8(s, "auto_eoi", &chip->auto_eoi);
	state_u8(s, "rotate_on_auto_eoi", &chip->rotate_on_auto_eoi);
	state_u8(s, "special_fully_nested_mode", &chip->special_fully_nested_mode);
	state_u8(s, "init4", &chip->init4);
	state_u8(s, "elcr_mask", &chip->elcr_mask);
	state_end(s);
}

static void make_sane(struct kvm_pic_state *c, u8 elcr_mask)
{
	c->elcr_mask = elcr_mask;
	c->elcr &= elcr_mask;
	c->irq_base &= 0xf8;
	c->priority_add &= 7;
	if (c->init_state > INIT_ICW2_SINGLE)
		c->init_state = INIT_DONE;
}

void pic_state(struct pic *pic, struct state *s)
{
	pic_walk(&pic->chip[0], s, "pic0");
	pic_walk(&pic->chip[1], s, "pic1");
	if (!state_reading(s))
		return;
	make_sane(&pic->chip[0], 0xf8);
	make_sane(&pic->chip[1], 0xde);
	update_cascade(pic);
}

/* SPDX-License-Identifier: MIT */
/*
 * The pair of 8259A interrupt controllers of a PC (pic.c), without a thread, a lock or a way to the CPU of
 * its own: its owner (irqchip-split.c) has the lock, and after each call looks at pic_output().
 */
#ifndef LKVM_X86_PIC_H
#define LKVM_X86_PIC_H

#include <linux/kvm.h>
#include <lkvm/types.h>

struct state;

#define PIC_CASCADE 2 /* the master's input that the slave drives */
#define PIC_LINES   16

struct pic {
	/*
	 * The kernel's own structure, of which these fields have a meaning here: irr, imr, isr, elcr,
	 * elcr_mask, irq_base, poll, special_mask, auto_eoi, rotate_on_auto_eoi, special_fully_nested_mode,
	 * init4; last_irr: the inputs' levels now; priority_add: the input of highest priority;
	 * read_reg_select: 1 for ISR; init_state: enum pic_init.
	 */
	struct kvm_pic_state chip[2]; /* master, slave */
};

enum pic_port { PIC_COMMAND, PIC_DATA };

/* As firmware leaves it: all masked. */
void pic_reset(struct pic *pic);
/* One byte to or from a chip, 0 or 1. */
void pic_write(struct pic *pic, u32 chip, enum pic_port port, u8 v);
u8 pic_read(struct pic *pic, u32 chip, enum pic_port port);
/* Edge or level, a bit for each of the chip's inputs. */
void pic_write_elcr(struct pic *pic, u32 chip, u8 v);
/* line: 0-15, except PIC_CASCADE. */
void pic_set_line(struct pic *pic, u32 line, bool level);
/* The master's INT. */
bool pic_output(const struct pic *pic);
/* The CPU's acknowledge cycle: the vector. Without a cause, that of a spurious interrupt. */
u8 pic_acknowledge(struct pic *pic);
/* Whether a new edge on line 0 makes a difference: its last one was taken, and it is not masked. */
bool pic_wants_timer(const struct pic *pic);
/* Sections "pic0" and "pic1"; what was read back is made sane. */
void pic_state(struct pic *pic, struct state *s);
/* One chip's section, the same for KVM's PICs (irqchip.c). */
void pic_walk(struct kvm_pic_state *chip, struct state *s, const char *name);

#endif

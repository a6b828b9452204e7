/* SPDX-License-Identifier: MIT */
/*
 * x86/pic.c: the pair of 8259As by its registers, as Linux, other kernels and the datasheet use them;
 * priorities, ends of interrupts, polls and levels; and any accesses at all, after which a kernel still gets
 * its interrupts.
 */
#include <lkvm/buf.h>
#include <lkvm/state.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <x86/pic.h>

#include <cmocka.h>

#define MASTER 0
#define SLAVE  1

static struct pic pic;

static int setup(void **state)
{
	pic_reset(&pic);
	return 0;
}

static void cmd(u32 chip, u8 v)
{
	pic_write(&pic, chip, PIC_COMMAND, v);
}

static void data(u32 chip, u8 v)
{
	pic_write(&pic, chip, PIC_DATA, v);
}

static void raise(u32 line)
{
	pic_set_line(&pic, line, true);
}

static void lower(u32 line)
{
	pic_set_line(&pic, line, false);
}

static void pulse(u32 line)
{
	raise(line);
	lower(line);
}

static u8 mask_of(u32 chip)
{
	return pic_read(&pic, chip, PIC_DATA);
}

static u8 irr(u32 chip)
{
	cmd(chip, 0x0a);
	return pic_read(&pic, chip, PIC_COMMAND);
}

static u8 isr(u32 chip)
{
	cmd(chip, 0x0b);
	return pic_read(&pic, chip, PIC_COMMAND);
}

/* ICW1 to ICW4 of both, and the masks: vectors 0x30 to 0x3f. */
static void init(u8 icw4, u16 mask)
{
	for (u32 chip = 0; chip < 2; chip++) {
		cmd(chip, 0x11);
		data(chip, (u8)(0x30 + 8 * chip));
		data(chip, chip ? PIC_CASCADE : 1 << PIC_CASCADE);
		data(chip, icw4);
		data(chip, (u8)(mask >> 8 * chip));
	}
}

static void assert_vector(u8 vector)
{
	assert_true(pic_output(&pic));
	assert_int_equal(pic_acknowledge(&pic), vector);
}

static void assert_silent(void)
{
	assert_false(pic_output(&pic));
}

/* ---- how kernels use it --------------------------------------------------------------------- */

/* Linux's probe_8259A() and init_8259A(), the end of an interrupt by mask_and_ack_8259A(). */
static void test_linux(void **state)
{
	data(SLAVE, 0xff);
	data(MASTER, (u8) ~(1 << PIC_CASCADE));
	assert_int_equal(mask_of(MASTER), 0xfb);
	data(MASTER, 0xff);
	cmd(MASTER, 0x11);
	data(MASTER, 0x30);
	data(MASTER, 1 << PIC_CASCADE);
	data(MASTER, 0x01);
	cmd(SLAVE, 0x11);
	data(SLAVE, 0x38);
	data(SLAVE, PIC_CASCADE);
	data(SLAVE, 0x01);
	data(MASTER, 0xfb);
	data(SLAVE, 0xff);
	assert_silent();

	/* unmask IRQ 4, an edge, mask and acknowledge by a specific EOI */
	data(MASTER, 0xeb);
	raise(4);
	assert_vector(0x34);
	assert_silent();
	assert_int_equal(mask_of(MASTER), 0xeb);
	data(MASTER, 0xfb);
	cmd(MASTER, 0x60 + 4);
	data(MASTER, 0xeb);
	assert_silent(); /* still high, but no new edge */
	lower(4);
	raise(4);
	assert_vector(0x34);
	cmd(MASTER, 0x64);
	lower(4);

	/* IRQ 12: two of them */
	data(SLAVE, 0xef);
	raise(12);
	assert_vector(0x3c);
	assert_int_equal(isr(MASTER), 1 << PIC_CASCADE);
	assert_int_equal(isr(SLAVE), 1 << 4);
	data(SLAVE, 0xff);
	cmd(SLAVE, 0x60 + 4);
	cmd(MASTER, 0x60 + PIC_CASCADE);
	data(SLAVE, 0xef);
	assert_int_equal(isr(MASTER) | isr(SLAVE), 0);
	assert_silent();
	/* i8259A_irq_real() looks whether the IRQ is real, and leaves IRR selected. */
	lower(12);
	raise(12);
	assert_vector(0x3c);
	cmd(SLAVE, 0x0b);
	assert_int_equal(pic_read(&pic, SLAVE, PIC_COMMAND) & 1 << 4, 1 << 4);
	cmd(SLAVE, 0x0a);
	assert_int_equal(pic_read(&pic, SLAVE, PIC_COMMAND), 0);
}

/* As a BIOS or an old kernel: both chips in step, plain EOIs, the slave's first. */
static void test_plain_eoi(void **state)
{
	cmd(MASTER, 0x11);
	cmd(SLAVE, 0x11);
	data(MASTER, 0x08);
	data(SLAVE, 0x70);
	data(MASTER, 0x04);
	data(SLAVE, 0x02);
	data(MASTER, 0x01);
	data(SLAVE, 0x01);
	/* ICW1 has cleared the masks: all are open. */
	assert_int_equal(mask_of(MASTER) | mask_of(SLAVE), 0);
	pulse(0);
	assert_vector(0x08);
	pulse(8);
	assert_silent(); /* below the timer that is being served */
	cmd(MASTER, 0x20);
	assert_vector(0x70);
	cmd(SLAVE, 0x20);
	cmd(MASTER, 0x20);
	assert_silent();
	/* One EOI ends the highest in service. */
	pulse(5);
	assert_vector(0x0d);
	pulse(1);
	assert_vector(0x09);
	assert_int_equal(isr(MASTER), 0x22);
	cmd(MASTER, 0x20);
	assert_int_equal(isr(MASTER), 0x20);
	cmd(MASTER, 0x20);
	assert_int_equal(isr(MASTER), 0);
	cmd(MASTER, 0x20); /* one too many: nothing */
	assert_silent();
}

/* A kernel that starts after another: whatever was pending or in service is gone, levels apart. */
static void test_init_again(void **state)
{
	init(0x01, 0);
	pic_write_elcr(&pic, SLAVE, 0x08);
	raise(11);
	raise(3);
	pulse(6);
	assert_vector(0x3b);
	cmd(MASTER, 0xc3); /* the priorities begin at 4 */
	cmd(MASTER, 0x11);
	/* Between ICW1 and the last ICW there is no INT, and vectors are not made of halves. */
	assert_silent();
	data(MASTER, 0x50);
	data(MASTER, 0x04);
	assert_silent();
	data(MASTER, 0x01);
	assert_int_equal(isr(MASTER), 0);
	assert_int_equal(irr(MASTER), 0); /* edges are gone; the slave still serves */
	cmd(SLAVE, 0x11);
	data(SLAVE, 0x58);
	data(SLAVE, 0x02);
	data(SLAVE, 0x01);
	/* Line 3 has to fall before it counts again; 11 is a level. */
	assert_vector(0x5b);
	cmd(SLAVE, 0x20);
	cmd(MASTER, 0x20);
	lower(11);
	assert_silent();
	raise(3);
	assert_silent();
	lower(3);
	raise(3);
	pulse(4);
	assert_vector(0x53);
}

/* ---- inputs --------------------------------------------------------------------------------- */

static void test_each_line(void **state)
{
	init(0x01, 0);
	for (u32 line = 0; line < PIC_LINES; line++) {
		pulse(line);
		if (line == PIC_CASCADE) {
			assert_silent(); /* nobody but the slave drives it */
			continue;
		}
		assert_vector((u8)(0x30 + line));
		if (line >= 8)
			cmd(SLAVE, 0x60 | (line & 7));
		cmd(MASTER, line >= 8 ? 0x62 : (u8)(0x60 | line));
		assert_silent();
		assert_int_equal(isr(MASTER) | isr(SLAVE) | irr(MASTER) | irr(SLAVE), 0);
	}
	pulse(16);
	pulse(~0u);
	assert_silent();
}

static void test_masks(void **state)
{
	init(0x01, 0xffff);
	pulse(7);
	pulse(9);
	assert_silent();
	/* The edge detectors are before the masks. */
	assert_int_equal(irr(MASTER), 0x80);
	assert_int_equal(irr(SLAVE), 0x02);
	data(SLAVE, 0xfd);
	assert_silent(); /* the cascade is masked */
	assert_int_equal(irr(MASTER), 0x84);
	data(SLAVE, 0xff);
	assert_int_equal(irr(MASTER), 0x80); /* and follows the slave's INT */
	data(SLAVE, 0xfd);
	data(MASTER, 0x7b);
	assert_vector(0x39);
	cmd(SLAVE, 0x20);
	cmd(MASTER, 0x20);
	assert_vector(0x37);
	cmd(MASTER, 0x20);
	assert_silent();
}

static void test_levels(void **state)
{
	init(0x01, 0);
	pic_write_elcr(&pic, MASTER, 0xff);
	pic_write_elcr(&pic, SLAVE, 0xff);
	assert_int_equal(pic.chip[MASTER].elcr, 0xf8); /* not timer, keyboard, cascade */
	assert_int_equal(pic.chip[SLAVE].elcr, 0xde);  /* not clock, coprocessor */
	raise(5);
	assert_vector(0x35);
	assert_silent();
	cmd(MASTER, 0x20);
	assert_vector(0x35); /* still high */
	lower(5);
	cmd(MASTER, 0x20);
	assert_silent();
	/* A level that goes before it is acknowledged was none. */
	raise(10);
	assert_true(pic_output(&pic));
	lower(10);
	assert_silent();
	raise(10);
	assert_vector(0x3a);
	cmd(SLAVE, 0x20);
	cmd(MASTER, 0x20);
	assert_vector(0x3a);
	/* Made edge-triggered while high: what it asked for is forgotten. */
	cmd(SLAVE, 0x20);
	cmd(MASTER, 0x20);
	pic_write_elcr(&pic, SLAVE, 0);
	assert_silent();
	pic_write_elcr(&pic, SLAVE, 0x04);
	assert_vector(0x3a);
}

static void test_spurious(void **state)
{
	init(0x01, 0);
	/* Nothing at all: IRQ 7 of the master, and not in service. */
	assert_int_equal(pic_acknowledge(&pic), 0x37);
	assert_int_equal(isr(MASTER), 0);
	/* An edge that the guest masks in the last moment. */
	raise(3);
	data(MASTER, 0x08);
	assert_int_equal(pic_acknowledge(&pic), 0x37);
	data(MASTER, 0);
	assert_vector(0x33);
}

/* ---- priorities ----------------------------------------------------------------------------- */

static void test_rotation(void **state)
{
	init(0x01, 0);
	for (u32 line = 3; line < 8; line++)
		raise(line);
	assert_vector(0x33);
	cmd(MASTER, 0xa0); /* rotate on EOI: 3 is now the lowest */
	lower(3);
	raise(3);
	assert_vector(0x34);
	cmd(MASTER, 0xe0 | 4); /* rotate on a specific EOI */
	assert_vector(0x35);
	cmd(MASTER, 0x60 | 5);
	cmd(MASTER, 0xc0 | 6); /* 6 the lowest: 7, 0, 1 ... 6 */
	assert_vector(0x37);
	raise(0);
	assert_silent();
	cmd(MASTER, 0x67);
	assert_vector(0x30);
	cmd(MASTER, 0x60);
	assert_vector(0x33);
	cmd(MASTER, 0x63);
	assert_vector(0x36);
	cmd(MASTER, 0x66);
	assert_silent();
}

static void test_auto_eoi(void **state)
{
	init(0x03, 0);
	raise(4);
	raise(12);
	assert_vector(0x3c);
	assert_int_equal(isr(MASTER) | isr(SLAVE), 0);
	assert_vector(0x34);
	assert_silent();
	/* Two of the slave's, one after the other and with no EOI between. */
	pulse(9);
	pulse(10);
	assert_vector(0x39);
	assert_vector(0x3a);
	assert_silent();
	/* Rotating, the one that was served goes last. */
	cmd(MASTER, 0x80);
	pulse(0);
	assert_vector(0x30);
	pulse(1);
	pulse(0);
	assert_vector(0x31);
	assert_vector(0x30);
	cmd(MASTER, 0x00);
	cmd(MASTER, 0xc7);
	pulse(0);
	assert_vector(0x30);
	pulse(1);
	pulse(0);
	assert_vector(0x30);
	assert_vector(0x31);
}

/* The slave is heard again while one of its own is served, if it is of higher priority there. */
static void test_special_fully_nested(void **state)
{
	init(0x11, 0);
	pulse(12);
	assert_vector(0x3c);
	pulse(13);
	assert_silent();
	pulse(9);
	assert_vector(0x39);
	pulse(3);
	assert_silent(); /* still below the cascade */
	pulse(1);
	assert_vector(0x31);
	cmd(MASTER, 0x20);
	cmd(SLAVE, 0x20);
	cmd(SLAVE, 0x20);
	assert_true(pic_output(&pic)); /* 13, now that the slave serves nobody */
	assert_vector(0x3d);
	cmd(SLAVE, 0x20);
	assert_int_equal(isr(SLAVE), 0);
	cmd(MASTER, 0x20);
	assert_vector(0x33);

	init(0x01, 0); /* and not so without */
	pulse(12);
	assert_vector(0x3c);
	pulse(9);
	assert_silent();
}

static void test_special_mask(void **state)
{
	init(0x01, 0);
	pulse(3);
	assert_vector(0x33);
	pulse(6);
	assert_silent();
	cmd(MASTER, 0x68);
	data(MASTER, 0x08); /* the one in service */
	assert_vector(0x36);
	/* A plain EOI passes over what is masked. */
	cmd(MASTER, 0x20);
	assert_int_equal(isr(MASTER), 0x08);
	cmd(MASTER, 0x20);
	assert_int_equal(isr(MASTER), 0x08);
	cmd(MASTER, 0x63);
	assert_int_equal(isr(MASTER), 0);
	cmd(MASTER, 0x48);
	data(MASTER, 0);
	pulse(3);
	assert_vector(0x33);
	data(MASTER, 0x08);
	pulse(6);
	assert_silent(); /* the mode is off again */
}

static void test_poll(void **state)
{
	init(0x01, 0);
	cmd(MASTER, 0x0c);
	assert_int_equal(pic_read(&pic, MASTER, PIC_COMMAND), 0);
	assert_int_equal(pic_read(&pic, MASTER, PIC_DATA), 0); /* one poll, one answer: this is the mask */
	pulse(5);
	cmd(MASTER, 0x0c);
	assert_int_equal(pic_read(&pic, MASTER, PIC_DATA), 0x85);
	assert_int_equal(isr(MASTER), 0x20);
	assert_silent();
	cmd(MASTER, 0x20);
	/* The slave's: first the master, then it. */
	pulse(14);
	cmd(MASTER, 0x0c);
	assert_int_equal(pic_read(&pic, MASTER, PIC_COMMAND), 0x82);
	cmd(SLAVE, 0x0c);
	assert_int_equal(pic_read(&pic, SLAVE, PIC_COMMAND), 0x86);
	cmd(SLAVE, 0x20);
	cmd(MASTER, 0x20);
	assert_silent();
}

static void test_short_initialisation(void **state)
{
	/* Without ICW4: not of the kind that went before either. */
	init(0x13, 0);
	cmd(MASTER, 0x10);
	data(MASTER, 0x45); /* the lower three bits are the line's */
	data(MASTER, 0x04);
	data(MASTER, 0xef);
	assert_int_equal(mask_of(MASTER), 0xef);
	raise(4);
	assert_vector(0x44);
	assert_int_equal(isr(MASTER), 0x10);
	/* A single chip has no ICW3. */
	cmd(MASTER, 0x13);
	data(MASTER, 0x20);
	data(MASTER, 0x01);
	assert_int_equal(mask_of(MASTER), 0);
	data(MASTER, 0xdf);
	assert_int_equal(mask_of(MASTER), 0xdf);
	cmd(MASTER, 0x12);
	data(MASTER, 0x20);
	assert_int_equal(mask_of(MASTER), 0);
	pulse(6);
	assert_vector(0x26);
}

static void test_timer(void **state)
{
	assert_false(pic_wants_timer(&pic));
	init(0x01, 0xffff);
	assert_false(pic_wants_timer(&pic));
	data(MASTER, 0xfe);
	assert_true(pic_wants_timer(&pic));
	pulse(0);
	assert_false(pic_wants_timer(&pic));
	assert_vector(0x30);
	assert_true(pic_wants_timer(&pic)); /* it can latch the next while this one is served */
	cmd(MASTER, 0x11);
	assert_false(pic_wants_timer(&pic));
}

/* ---- state, and whatever may come ----------------------------------------------------------- */

static void save(struct buf *out)
{
	struct state s;

	state_init_out(&s, STATE_SAVE, out);
	pic_state(&pic, &s);
	assert_int_equal(state_finish(&s, "pic"), 0);
}

static int restore(const void *bytes, size_t len)
{
	struct state s;

	state_init_in(&s, bytes, len);
	pic_state(&pic, &s);
	return s.err;
}

static void test_state(void **state)
{
	struct buf saved = {0}, again = {0};

	init(0x01, 0xfa00);
	pulse(1);
	assert_vector(0x31);
	pulse(8);
	raise(4);
	save(&saved);
	pic_reset(&pic);
	assert_int_equal(restore(saved.data, saved.len), 0);
	save(&again);
	assert_int_equal(saved.len, again.len);
	assert_memory_equal(saved.data, again.data, saved.len);
	cmd(MASTER, 0x20);
	assert_vector(0x38);
	cmd(SLAVE, 0x20);
	cmd(MASTER, 0x20);
	assert_vector(0x34);
	for (size_t len = 0; len < saved.len; len++)
		assert_true(restore(saved.data, len) < 0);
	buf_free(&saved);
	buf_free(&again);
}

static u64 rnd(void)
{
	static u64 x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static void storm_one(void)
{
	u64 r = rnd();
	u32 chip = r & 1;
	enum pic_port port = r >> 1 & 1;

	switch (r >> 2 & 7) {
	case 0 ... 2:
		pic_write(&pic, chip, port, (u8)(r >> 8));
		break;
	case 3:
		pic_read(&pic, chip, port);
		break;
	case 4:
		pic_write_elcr(&pic, chip, (u8)(r >> 8));
		break;
	case 5:
		if (pic_output(&pic))
			pic_acknowledge(&pic);
		break;
	default:
		pic_set_line(&pic, r >> 8 & 31, r >> 16 & 1);
	}
}

static void test_storm(void **state)
{
	for (u32 round = 0; round < 200; round++) {
		bool level[PIC_LINES] = {false};

		for (u32 i = 0; i < 1000; i++)
			storm_one();
		for (u32 i = 0; i < PIC_LINES; i++)
			level[i] = pic.chip[i >> 3].last_irr >> (i & 7) & 1;
		for (u32 i = 0; i < PIC_LINES; i++)
			if (level[i])
				lower(i);
		pic_write_elcr(&pic, MASTER, 0);
		pic_write_elcr(&pic, SLAVE, 0);
		/* A kernel that starts now finds what it wants. */
		test_each_line(NULL);
	}
}

static void test_hostile_state(void **state)
{
	struct buf saved = {0};

	init(0x01, 0);
	save(&saved);
	for (u32 i = 0; i < 3000; i++) {
		size_t at = rnd() % saved.len;
		u8 was = saved.data[at];

		saved.data[at] = (u8)rnd();
		restore(saved.data, saved.len);
		for (u32 k = 0; k < 50; k++)
			storm_one();
		saved.data[at] = was;
	}
	buf_free(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_linux, setup),
		cmocka_unit_test_setup(test_plain_eoi, setup),
		cmocka_unit_test_setup(test_init_again, setup),
		cmocka_unit_test_setup(test_each_line, setup),
		cmocka_unit_test_setup(test_masks, setup),
		cmocka_unit_test_setup(test_levels, setup),
		cmocka_unit_test_setup(test_spurious, setup),
		cmocka_unit_test_setup(test_rotation, setup),
		cmocka_unit_test_setup(test_auto_eoi, setup),
		cmocka_unit_test_setup(test_special_fully_nested, setup),
		cmocka_unit_test_setup(test_special_mask, setup),
		cmocka_unit_test_setup(test_poll, setup),
		cmocka_unit_test_setup(test_short_initialisation, setup),
		cmocka_unit_test_setup(test_timer, setup),
		cmocka_unit_test_setup(test_state, setup),
		cmocka_unit_test_setup(test_storm, setup),
		cmocka_unit_test_setup(test_hostile_state, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

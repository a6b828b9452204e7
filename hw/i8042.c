/* SPDX-License-Identifier: MIT */
/*
 * The PS/2 keyboard controller of a PC (i8042; IBM AT Technical Reference, and the "8042" chapter of any
 * chipset's datasheet) with a keyboard that nobody types on, and no auxiliary (mouse) port.
 *
 * ACPI says that there is no such controller (FADT, IAPC_BOOT_ARCH) and no PnP device names it, so a stock
 * kernel does not look for it. It is here for what people do all the same: `reboot=k` (command 0xfe), and
 * kernels and boot code that probe the ports regardless. Those get each answer at once: nothing is ever busy,
 * no reply takes time, and what would time out on hardware (the auxiliary port) answers with its failure.
 *
 * The A20 bit can be set and read back; it does nothing, as KVM has no A20 mask: all address lines are on.
 *
 * Accesses come from vCPU threads under dev->lock.
 */
#include <lkvm/device.h>
#include <lkvm/hw.h>
#include <lkvm/irq.h>
#include <lkvm/kvm.h>
#include <lkvm/state.h>
#include <string.h>

enum {
	STATUS_OBF = 0x01,
	STATUS_SYS = 0x04,
	STATUS_CMD = 0x08,
	STATUS_UNLOCKED = 0x10,
	STATUS_AUX = 0x20,
	STATUS_TIMEOUT = 0x40
};

/* The command byte, RAM byte 0. */
enum { CTR_KBD_INT = 0x01, CTR_SYS = 0x04, CTR_KBD_DISABLE = 0x10, CTR_AUX_DISABLE = 0x20, CTR_XLATE = 0x40 };
#define CTR_DEFAULT (CTR_KBD_INT | CTR_SYS | CTR_AUX_DISABLE | CTR_XLATE)

/* The output port. Bit 0 low resets the machine. */
enum { OUT_NO_RESET = 0x01, OUT_A20 = 0x02, OUT_KBD_OBF = 0x10, OUT_AUX_OBF = 0x20, OUT_KBD_LINES = 0xc0 };

#define INPUT_PORT 0xb0 /* keyboard not locked, manufacturing jumper off, RAM on board */

enum {
	CMD_READ_RAM = 0x20,  /* ..0x3f */
	CMD_WRITE_RAM = 0x60, /* ..0x7f */
	CMD_TEST_PASSWORD = 0xa4,
	CMD_AUX_DISABLE = 0xa7,
	CMD_AUX_ENABLE = 0xa8,
	CMD_AUX_TEST = 0xa9,
	CMD_SELF_TEST = 0xaa,
	CMD_KBD_TEST = 0xab,
	CMD_KBD_DISABLE = 0xad,
	CMD_KBD_ENABLE = 0xae,
	CMD_READ_INPUT = 0xc0,
	CMD_READ_OUTPUT = 0xd0,
	CMD_WRITE_OUTPUT = 0xd1,
	CMD_WRITE_KBD_OBF = 0xd2,
	CMD_WRITE_AUX_OBF = 0xd3,
	CMD_WRITE_AUX = 0xd4,
	CMD_A20_OFF = 0xdd,
	CMD_A20_ON = 0xdf,
	CMD_READ_TEST = 0xe0,
	CMD_PULSE = 0xf0, /* ..0xff: output port bits 0-3 whose command bit is 0 go low for a moment */
};

enum {
	KBD_SET_LEDS = 0xed,
	KBD_ECHO = 0xee,
	KBD_SCANCODE_SET = 0xf0,
	KBD_IDENTIFY = 0xf2,
	KBD_TYPEMATIC = 0xf3,
	KBD_ENABLE = 0xf4,
	KBD_DISABLE = 0xf5,
	KBD_DEFAULTS = 0xf6,
	KBD_ALL_FIRST = 0xf7, /* ..0xfa: set 3, all keys' type */
	KBD_ALL_LAST = 0xfa,
	KBD_KEY_FIRST = 0xfb, /* ..0xfd: set 3, one key's type; the key follows */
	KBD_KEY_LAST = 0xfd,
	KBD_RESEND = 0xfe,
	KBD_RESET = 0xff,
	KBD_ACK = 0xfa,
	KBD_NAK = 0xfe,
	KBD_BAT_OK = 0xaa,
};

#define I8042_QUEUE 16

/* A reply on its way to the output buffer: the byte, and the status bits that go with it. */
struct i8042_byte {
	u8 value, status;
};

struct i8042 {
	struct device dev;
	/* All under dev.lock. */
	u8 ram[32];	/* [0] is the command byte */
	u8 out_port;	/* OUT_NO_RESET is always set, the OBF bits are made when it is read */
	u8 command;	/* of the controller, waiting for its data byte; 0: none */
	u8 kbd_command; /* of the keyboard, likewise */
	u8 scancode_set, leds, last_reply;
	bool scanning;
	bool last_was_command; /* STATUS_CMD */
	struct i8042_byte out; /* the output buffer */
	bool full;	       /* STATUS_OBF */
	bool line;
	u8 queue[I8042_QUEUE]; /* what the keyboard has not been able to send yet, oldest first */
	u32 queued;
};

static void i8042_update_line(struct i8042 *c)
{
	bool level = c->full && !(c->out.status & STATUS_AUX) && c->ram[0] & CTR_KBD_INT;

	if (c->dev.board->line == IRQ_NONE || level == c->line)
		return;
	c->line = level;
	irq_set_line(c->dev.kvm, c->dev.board->line, level);
}

/* Translation of scan code set 2 into set 1, of those bytes that a keyboard sends with no key pressed. */
static u8 i8042_translate(u8 v)
{
	switch (v) {
	case 0x01:
		return 0x43;
	case 0x02:
		return 0x41;
	case 0x03:
		return 0x3f;
	case 0x83:
		return 0x41;
	default:
		return v;
	}
}

/* Moves the keyboard's next byte into an empty output buffer, unless the controller holds its clock line. */
static void i8042_pump(struct i8042 *c)
{
	if (!c->full && c->queued && !(c->ram[0] & CTR_KBD_DISABLE)) {
		u8 v = c->queue[0];

		memmove(c->queue, c->queue + 1, --c->queued);
		c->out = (struct i8042_byte){.value = c->ram[0] & CTR_XLATE ? i8042_translate(v) : v};
		c->full = true;
	}
	i8042_update_line(c);
}

/* A reply of the controller's own: it takes the output buffer at once, over whatever is in it. */
static void i8042_reply(struct i8042 *c, u8 value, u8 status)
{
	c->out = (struct i8042_byte){.value = value, .status = status};
	c->full = false; /* a new byte is a new edge */
	i8042_update_line(c);
	c->full = true;
	i8042_update_line(c);
}

static void kbd_send(struct i8042 *c, u8 v)
{
	if (c->queued < I8042_QUEUE)
		c->queue[c->queued++] = v;
	c->last_reply = v;
	i8042_pump(c);
}

static void kbd_defaults(struct i8042 *c)
{
	c->scancode_set = 2;
	c->leds = 0;
	c->kbd_command = 0;
	c->scanning = true;
}

static void kbd_data(struct i8042 *c, u8 command, u8 v)
{
	switch (command) {
	case KBD_SET_LEDS:
		c->leds = v & 0x7;
		break;
	case KBD_SCANCODE_SET:
		if (v > 3) {
			kbd_send(c, KBD_NAK);
			return;
		}
		kbd_send(c, KBD_ACK);
		if (v)
			c->scancode_set = v;
		else
			kbd_send(c, c->scancode_set);
		return;
	}
	kbd_send(c, KBD_ACK);
}

static void kbd_write(struct i8042 *c, u8 v)
{
	u8 command = c->kbd_command;

	/* A byte for the keyboard needs its clock: the controller enables the interface by itself. */
	c->ram[0] &= (u8)~CTR_KBD_DISABLE;
	c->kbd_command = 0;
	/* Data bytes are below the commands; a command in their place begins anew. */
	if (command && v < KBD_SET_LEDS) {
		kbd_data(c, command, v);
		return;
	}
	switch (v) {
	case KBD_SET_LEDS:
	case KBD_SCANCODE_SET:
	case KBD_TYPEMATIC:
	case KBD_KEY_FIRST ... KBD_KEY_LAST:
		c->kbd_command = v;
		kbd_send(c, KBD_ACK);
		break;
	case KBD_ECHO:
		kbd_send(c, KBD_ECHO);
		break;
	case KBD_IDENTIFY:
		kbd_send(c, KBD_ACK);
		kbd_send(c, 0xab);
		kbd_send(c, 0x83);
		break;
	case KBD_ENABLE:
		c->scanning = true;
		kbd_send(c, KBD_ACK);
		break;
	case KBD_DISABLE:
		kbd_defaults(c);
		c->scanning = false;
		kbd_send(c, KBD_ACK);
		break;
	case KBD_DEFAULTS:
		kbd_defaults(c);
		kbd_send(c, KBD_ACK);
		break;
	case KBD_ALL_FIRST ... KBD_ALL_LAST:
		kbd_send(c, KBD_ACK);
		break;
	case KBD_RESEND:
		kbd_send(c, c->last_reply);
		break;
	case KBD_RESET:
		c->queued = 0;
		kbd_defaults(c);
		kbd_send(c, KBD_ACK);
		kbd_send(c, KBD_BAT_OK);
		break;
	default:
		kbd_send(c, KBD_NAK);
	}
}

static void i8042_write_output(struct i8042 *c, u8 v)
{
	if (!(v & OUT_NO_RESET))
		kvm_end(c->dev.kvm, VM_RESET, 0);
	c->out_port = v | OUT_NO_RESET;
}

static void i8042_write_data(struct i8042 *c, u8 v)
{
	u8 command = c->command;

	c->command = 0;
	c->last_was_command = false;
	switch (command) {
	case 0:
		kbd_write(c, v);
		break;
	case CMD_WRITE_RAM ... CMD_WRITE_RAM + 0x1f:
		c->ram[command - CMD_WRITE_RAM] = v;
		i8042_pump(c);
		break;
	case CMD_WRITE_OUTPUT:
		i8042_write_output(c, v);
		break;
	case CMD_WRITE_KBD_OBF:
		i8042_reply(c, v, 0);
		break;
	case CMD_WRITE_AUX_OBF:
		/* Comes back as the keyboard's: by that Linux knows in one step that there is no AUX port. */
		i8042_reply(c, v, 0);
		break;
	case CMD_WRITE_AUX:
		/* Nobody answers there. */
		i8042_reply(c, KBD_NAK, STATUS_AUX | STATUS_TIMEOUT);
		break;
	}
}

static void i8042_write_command(struct i8042 *c, u8 v)
{
	c->command = 0;
	c->last_was_command = true;
	switch (v) {
	case CMD_READ_RAM ... CMD_READ_RAM + 0x1f:
		i8042_reply(c, c->ram[v - CMD_READ_RAM], 0);
		break;
	case CMD_WRITE_RAM ... CMD_WRITE_RAM + 0x1f:
	case CMD_WRITE_OUTPUT:
	case CMD_WRITE_KBD_OBF:
	case CMD_WRITE_AUX_OBF:
	case CMD_WRITE_AUX:
		c->command = v;
		break;
	case CMD_TEST_PASSWORD:
		i8042_reply(c, 0xf1, 0); /* none is set */
		break;
	case CMD_AUX_DISABLE:
		c->ram[0] |= CTR_AUX_DISABLE;
		break;
	case CMD_AUX_ENABLE:
		c->ram[0] &= (u8)~CTR_AUX_DISABLE;
		break;
	case CMD_AUX_TEST:
		i8042_reply(c, 0x02, 0); /* its clock line is stuck high: nothing there */
		break;
	case CMD_SELF_TEST:
		c->ram[0] |= CTR_SYS;
		i8042_reply(c, 0x55, 0);
		break;
	case CMD_KBD_TEST:
		i8042_reply(c, 0x00, 0);
		break;
	case CMD_KBD_DISABLE:
		c->ram[0] |= CTR_KBD_DISABLE;
		break;
	case CMD_KBD_ENABLE:
		c->ram[0] &= (u8)~CTR_KBD_DISABLE;
		i8042_pump(c);
		break;
	case CMD_READ_INPUT:
		i8042_reply(c, INPUT_PORT, 0);
		break;
	case CMD_READ_OUTPUT:
		v = c->out_port & (u8) ~(OUT_KBD_OBF | OUT_AUX_OBF);
		if (c->full)
			v |= c->out.status & STATUS_AUX ? OUT_AUX_OBF : OUT_KBD_OBF;
		i8042_reply(c, v, 0);
		break;
	case CMD_A20_OFF:
		c->out_port &= (u8)~OUT_A20;
		break;
	case CMD_A20_ON:
		c->out_port |= OUT_A20;
		break;
	case CMD_READ_TEST:
		i8042_reply(c, 0x00, 0);
		break;
	case CMD_PULSE ... 0xff:
		if (!(v & OUT_NO_RESET))
			kvm_end(c->dev.kvm, VM_RESET, 0);
		break;
	}
}

static void i8042_data_io(struct device *dev, struct io *io, void *arg)
{
	struct i8042 *c = container_of(dev, struct i8042, dev);

	if (io->write) {
		i8042_write_data(c, io->data[0]);
		return;
	}
	io->data[0] = c->out.value; /* an empty buffer gives its last byte again */
	c->full = false;
	i8042_update_line(c); /* low between two bytes: each is an edge of its own */
	i8042_pump(c);
}

static void i8042_command_io(struct device *dev, struct io *io, void *arg)
{
	struct i8042 *c = container_of(dev, struct i8042, dev);
	u8 status;

	if (io->write) {
		i8042_write_command(c, io->data[0]);
		return;
	}
	status = STATUS_UNLOCKED;
	if (c->full)
		status |= STATUS_OBF | c->out.status;
	if (c->ram[0] & CTR_SYS)
		status |= STATUS_SYS;
	if (c->last_was_command)
		status |= STATUS_CMD;
	io->data[0] = status;
}

static void i8042_reset(struct device *dev)
{
	struct i8042 *c = container_of(dev, struct i8042, dev);

	memset(c->ram, 0, sizeof(c->ram));
	c->ram[0] = CTR_DEFAULT;
	c->out_port = OUT_NO_RESET | OUT_A20 | OUT_KBD_LINES;
	c->command = 0;
	c->last_reply = 0;
	c->last_was_command = false;
	c->out = (struct i8042_byte){0};
	c->full = false;
	c->queued = 0;
	kbd_defaults(c);
	i8042_update_line(c);
}

static int i8042_create(struct device *dev, const void *params)
{
	const struct board_device *board = dev->board;
	int err;

	i8042_reset(dev);
	err = bus_map(dev, board->bus, board->base, 1, i8042_data_io, NULL, BUS_BYTES);
	if (!err)
		err = bus_map(dev, board->bus, board->base + 4, 1, i8042_command_io, NULL, BUS_BYTES);
	return err;
}

static int i8042_state(struct device *dev, struct state *s)
{
	struct i8042 *c = container_of(dev, struct i8042, dev);

	state_begin(s, dev->name, 1);
	state_bytes(s, "ram", c->ram, sizeof(c->ram));
	state_u8(s, "out_port", &c->out_port);
	state_u8(s, "command", &c->command);
	state_u8(s, "kbd_command", &c->kbd_command);
	state_u8(s, "scancode_set", &c->scancode_set);
	state_u8(s, "leds", &c->leds);
	state_u8(s, "last_reply", &c->last_reply);
	state_bool(s, "scanning", &c->scanning);
	state_bool(s, "last_was_command", &c->last_was_command);
	state_u8(s, "out", &c->out.value);
	state_u8(s, "out_status", &c->out.status);
	state_bool(s, "full", &c->full);
	state_bool(s, "line", &c->line);
	state_bytes(s, "queue", c->queue, sizeof(c->queue));
	state_u32(s, "queued", &c->queued);
	if (state_reading(s) && c->queued > I8042_QUEUE)
		c->queued = I8042_QUEUE;
	state_end(s);
	return s->err;
}

const struct device_ops i8042_ops = {
	.name = "i8042",
	.size = sizeof(struct i8042),
	.create = i8042_create,
	.reset = i8042_reset,
	.state = i8042_state,
};

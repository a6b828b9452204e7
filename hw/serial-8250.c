/* SPDX-License-Identifier: MIT */
/*
 * A 16550A UART (TI PC16550D / National NS16550AF data sheet; section numbers are the data sheet's). Four of
 * them sit on the x86 board; other boards map it as memory.
 *
 * Registers are reached from vCPU threads (or from whoever drains the coalesced ring), the console's
 * callbacks and the idle timer come on the main thread; dev->lock guards everything.
 *
 * Transmitter: a byte is sent the moment it is written, so THRE and TEMT read 1, unless the console has no
 * room. Then bytes wait in `tx`, THRE reads 0, and the THRE interrupt comes when the last of them has gone.
 *
 * Receiver: the host's bytes are taken only when they have a place and the guest says that it listens (RTS,
 * or DTR from a guest that never raised RTS), which makes a paste of any length safe. Drivers clear the
 * receiver when they open a port, and real lines lose what was typed too early by that; here bytes of the
 * host's that a clear would drop are held back until the guest asks for input. See rx_clear().
 *
 * Interrupt: the line's level is worked out anew after each access. The ISA line is edge-triggered: events
 * that on hardware fall and rise again (the THR was written and is empty once more; part of the FIFO was
 * read, and the timeout comes for the rest) get a fresh edge here as well. See settle(). Elsewhere the line
 * is level-triggered, and asks again by itself.
 *
 * Coalesced I/O: a guest that prints a lot has its writes to THR queued by the kernel, which saves one of two
 * exits a byte. The zone costs a wake-up each 10 ms, so it goes again when the port falls silent.
 */
#include <errno.h>
#include <linux/serial_reg.h>
#include <lkvm/acpi.h>
#include <lkvm/console.h>
#include <lkvm/fdt.h>
#include <lkvm/hw.h>
#include <lkvm/kvm.h>
#include <lkvm/state.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define REG_COUNT 8
#define CLOCK_HZ  1843200
#define IER_MASK  0x0f
#define FCR_MASK  0xc9 /* bits that stay: enable, DMA mode, trigger level */
#define MCR_MASK  0x1f
#define IIR_FIFO  0xc0 /* the FIFO is on */
#define MSR_LINES 0xf0

#define FIFO_SIZE 16
#define TX_SIZE	  64 /* what a guest may write in spite of THRE reading 0, before it loses bytes */

#define HOLD_POLLS  64		  /* LSR reads after which a guest without RDI counts as polling for input */
#define EDGE_CREDIT 16		  /* events that one edge may stand for: a FIFO's worth */
#define BURST_FIRST 64		  /* bytes in one burst that make output worth a coalescing zone */
#define BURST_AGAIN 1024	  /* the same once a zone came and went: it costs milliseconds each way */
#define BURST_NS    2000000000ull /* a burst's window; silence for as long ends the zone */

struct serial {
	struct device dev;
	struct console *con;

	/* All below under dev.lock. Registers; lsr_oe is the one bit of LSR that is stored. */
	u8 ier, fcr, lcr, mcr, msr, scr, dll, dlm;
	bool lsr_oe;
	bool thre; /* THR became empty, and no read of IIR has reported it */

	u8 rx[FIFO_SIZE]; /* RBR or FIFO, oldest first */
	u32 rx_count;
	bool rx_loop;	    /* some of them came by loopback */
	u8 held[FIFO_SIZE]; /* the host's bytes that outlived a clear; they go before any newer ones */
	u32 held_count;
	u32 hold;     /* LSR reads before input flows again without RDI */
	bool waiting; /* the console was told that there is no room */
	bool rts_used;

	u8 tx[TX_SIZE]; /* not yet taken by the console */
	u32 tx_count;

	bool level;	 /* of our interrupt line */
	bool reads_iir;	 /* the guest's interrupt handler reads IIR */
	u32 edge_credit; /* events that the last edge still covers */

	struct event_timer idle;
	bool can_coalesce, zone;
	u32 burst, burst_need; /* bytes in the present burst, and how many make a zone */
	u64 burst_start_ns;
	u32 sent, sent_at_timer; /* bytes ever, and at the timer's last tick */
};

static struct serial *to_serial(struct device *dev)
{
	return container_of(dev, struct serial, dev);
}

/* --- interrupt ---------------------------------------------------------------------------------- */

static u32 fifo_room(const struct serial *s)
{
	return s->fcr & UART_FCR_ENABLE_FIFO ? FIFO_SIZE : 1;
}

static u32 rx_trigger(const struct serial *s)
{
	static const u8 trigger[4] = {1, 4, 8, 14};

	return s->fcr & UART_FCR_ENABLE_FIFO ? trigger[s->fcr >> 6] : 1;
}

/* 8.6, table IV: the cause of the highest priority. */
static u8 pending_cause(const struct serial *s)
{
	if (s->ier & UART_IER_RLSI && s->lsr_oe)
		return UART_IIR_RLSI;
	if (s->ier & UART_IER_RDI && s->rx_count)
		return s->rx_count >= rx_trigger(s) ? UART_IIR_RDI : UART_IIR_RX_TIMEOUT;
	if (s->ier & UART_IER_THRI && s->thre)
		return UART_IIR_THRI;
	if (s->ier & UART_IER_MSI && s->msr & UART_MSR_ANY_DELTA)
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

static void set_level(struct serial *s, bool level)
{
	s->level = level;
	if (s->dev.board->line != IRQ_NONE)
		irq_set_line(s->dev.kvm, s->dev.board->line, level);
}

/*
 * Makes the line what it has to be. With `fresh` something happened that is an edge of its own.
 *
 * Each edge costs two ioctls, and a driver that fills the FIFO makes 16 such events in a row. When its
 * handler is known to read IIR, it will do so after the last edge it got, and find what came since: that edge
 * is good for EDGE_CREDIT events. A handler that never looks at IIR gets all its edges.
 */
static void update_line(struct serial *s, bool fresh)
{
	bool isa = s->dev.board->bus == BUS_PIO;
	/* On a PC the OUT2 pin opens the gate between the UART and the bus. */
	bool gate = !isa || s->mcr & UART_MCR_OUT2;
	bool level = gate && pending_cause(s) != UART_IIR_NO_INT;

	if (level && s->level && fresh && isa) {
		if (s->reads_iir && s->edge_credit) {
			s->edge_credit--;
			return;
		}
		set_level(s, false);
	}
	if (level == s->level)
		return;
	set_level(s, level);
	s->edge_credit = EDGE_CREDIT;
}

/* --- receiver ----------------------------------------------------------------------------------- */

/* Whether the host's bytes may come in now. */
static bool rx_open(const struct serial *s)
{
	u8 ready = s->rts_used ? UART_MCR_RTS : UART_MCR_DTR;

	return s->mcr & ready && !(s->mcr & UART_MCR_LOOP) && (s->ier & UART_IER_RDI || !s->hold);
}

static void rx_refill(struct serial *s)
{
	u32 n;

	if (!s->held_count || !rx_open(s) || s->rx_count >= fifo_room(s))
		return;
	n = min_u64(s->held_count, fifo_room(s) - s->rx_count);
	memcpy(s->rx + s->rx_count, s->held, n);
	s->rx_count += n;
	s->held_count -= n;
	memmove(s->held, s->held + n, s->held_count);
}

/* After every access and callback: held bytes, interrupt line, and the console when it waits for room. */
static void settle(struct serial *s, bool fresh)
{
	rx_refill(s);
	update_line(s, fresh);
	/* Half a FIFO at a time, or the main thread wakes for each byte that is read. */
	if (s->waiting && rx_open(s) && !s->held_count && s->rx_count <= fifo_room(s) / 2) {
		s->waiting = false;
		console_input_ready(s->con);
	}
}

/* Puts bytes that came from the host, and cannot go back there, behind those that are held. */
static void rx_hold(struct serial *s, const u8 *data, u32 len)
{
	/* room() promised no more than there is place for here. */
	len = min_u64(len, FIFO_SIZE - s->held_count);
	memcpy(s->held + s->held_count, data, len);
	s->held_count += len;
}

/*
 * Empties the receiver. Linux does so several times as it opens a port, and reads RBR once for good measure,
 * long after it raised DTR and RTS for its console. A script piped into lkvm would lose its first bytes by
 * it. What came from the host thus only steps back, as if it had not been sent yet, until the guest enables
 * the interrupt or polls LSR for a while. A guest that has the interrupt on and asks to clear (not just
 * toggles the FIFO, as setting its trigger level does) means it: those bytes are gone.
 */
static void rx_clear(struct serial *s, bool asked)
{
	if (!s->rx_loop && !(asked && s->ier & UART_IER_RDI)) {
		u8 held[FIFO_SIZE];
		u32 count = s->held_count;

		memcpy(held, s->held, sizeof(held));
		s->held_count = 0;
		rx_hold(s, s->rx, s->rx_count);
		rx_hold(s, held, count);
		s->hold = HOLD_POLLS;
	}
	s->rx_count = 0;
	s->rx_loop = false;
}

/* 8.4, bit 1: in FIFO mode the byte in the shift register is lost, without one the byte in RBR. */
static void rx_loopback(struct serial *s, u8 byte)
{
	s->rx_loop = true;
	if (s->rx_count < fifo_room(s)) {
		s->rx[s->rx_count++] = byte;
		return;
	}
	s->lsr_oe = true;
	if (!(s->fcr & UART_FCR_ENABLE_FIFO))
		s->rx[0] = byte;
}

static u8 rx_read(struct serial *s, bool *fresh)
{
	u8 byte = s->rx[0];

	if (!s->rx_count)
		return 0;
	s->rx_count--;
	memmove(s->rx, s->rx + 1, s->rx_count);
	if (!s->rx_count)
		s->rx_loop = false;
	rx_refill(s);
	/* Reading ends the timeout, and it comes again for what is left; RBR without a FIFO is filled anew.
	 */
	*fresh = s->rx_count && s->ier & UART_IER_RDI &&
		 (!(s->fcr & UART_FCR_ENABLE_FIFO) || s->rx_count < rx_trigger(s));
	return byte;
}

/* --- transmitter -------------------------------------------------------------------------------- */

/* Called when a byte went to THR. Adding the zone waits for a grace period of the kernel's. */
static void consider_zone(struct serial *s)
{
	struct timespec ts;
	u64 now;
	int err;

	s->sent++;
	if (!s->can_coalesce || s->zone)
		return;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	now = (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
	if (now - s->burst_start_ns > BURST_NS) {
		s->burst_start_ns = now;
		s->burst = 0;
	}
	if (++s->burst < s->burst_need)
		return;
	err = coalesced_add(s->dev.kvm, s->dev.board->bus, s->dev.board->base + UART_TX, 1);
	if (err < 0) {
		log_debug(s->dev.kvm->log, "%s: output is not coalesced: %s", s->dev.name, strerror(-err));
		s->can_coalesce = false;
		return;
	}
	s->zone = true;
	s->burst_need = BURST_AGAIN;
	s->sent_at_timer = s->sent;
	event_timer_set(&s->idle, BURST_NS, 0);
}

/* Main thread: away with the zone, once a whole gap has passed without output. */
static void on_idle(struct event_timer *timer)
{
	struct serial *s = timer->arg;

	device_lock(&s->dev);
	if (s->zone && s->sent != s->sent_at_timer) {
		s->sent_at_timer = s->sent;
		event_timer_set(&s->idle, BURST_NS, 0);
	} else if (s->zone) {
		coalesced_remove(s->dev.kvm, s->dev.board->bus, s->dev.board->base + UART_TX, 1);
		s->zone = false;
		s->burst = 0;
	}
	device_unlock(&s->dev);
}

static void tx_flush(struct serial *s)
{
	u32 n;

	if (!s->tx_count)
		return;
	n = (u32)console_write(s->con, s->tx, s->tx_count);
	s->tx_count -= n;
	memmove(s->tx, s->tx + n, s->tx_count);
	s->thre |= !s->tx_count;
}

static void tx_write(struct serial *s, u8 byte, bool *fresh)
{
	s->thre = false;
	if (s->mcr & UART_MCR_LOOP) {
		rx_loopback(s, byte);
		s->thre = !s->tx_count;
	} else {
		if (!s->tx_count && console_write(s->con, &byte, 1) == 1)
			s->thre = true;
		else if (s->tx_count < TX_SIZE)
			s->tx[s->tx_count++] = byte;
		consider_zone(s);
	}
	*fresh = s->thre && s->ier & UART_IER_THRI;
}

/* --- modem lines -------------------------------------------------------------------------------- */

/* The far end is always there and always ready; in loopback (8.8, bit 4) MCR's outputs are MSR's inputs. */
static u8 modem_lines(u8 mcr)
{
	if (!(mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	return (mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) | (mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
	       (mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) | (mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0);
}

static void modem_update(struct serial *s)
{
	u8 old = s->msr & MSR_LINES, now = modem_lines(s->mcr);
	u8 delta = (u8)((old ^ now) >> 4) & ~UART_MSR_TERI;

	/* RI tells of its trailing edge only. */
	if (old & ~now & UART_MSR_RI)
		delta |= UART_MSR_TERI;
	s->msr = now | (s->msr & UART_MSR_ANY_DELTA) | delta;
}

/* --- registers ---------------------------------------------------------------------------------- */

static u8 reg_read(struct serial *s, u32 reg, bool *fresh)
{
	u8 v = 0;

	switch (reg) {
	case UART_RX:
		return s->lcr & UART_LCR_DLAB ? s->dll : rx_read(s, fresh);
	case UART_IER:
		return s->lcr & UART_LCR_DLAB ? s->dlm : s->ier;
	case UART_IIR:
		v = pending_cause(s);
		if (v == UART_IIR_THRI)
			s->thre = false;
		if (v != UART_IIR_NO_INT) {
			s->reads_iir = true;
			s->edge_credit = 0;
		}
		return v | (s->fcr & UART_FCR_ENABLE_FIFO ? IIR_FIFO : 0);
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		v = (s->rx_count ? UART_LSR_DR : 0) | (s->lsr_oe ? UART_LSR_OE : 0) |
		    (s->tx_count ? 0 : UART_LSR_THRE | UART_LSR_TEMT);
		s->lsr_oe = false;
		if (s->hold)
			s->hold--;
		return v;
	case UART_MSR:
		v = s->msr;
		s->msr &= MSR_LINES;
		return v;
	case UART_SCR:
		return s->scr;
	}
	return v;
}

/* 8.5. Bits other than enable count only when that is written as 1 too. */
static void fcr_write(struct serial *s, u8 v)
{
	bool toggled = (v ^ s->fcr) & UART_FCR_ENABLE_FIFO;

	if (!(v & UART_FCR_ENABLE_FIFO))
		v = 0;
	if (toggled || v & UART_FCR_CLEAR_RCVR)
		rx_clear(s, v & UART_FCR_CLEAR_RCVR);
	if ((toggled || v & UART_FCR_CLEAR_XMIT) && s->tx_count) {
		s->tx_count = 0;
		s->thre = true;
	}
	s->fcr = v & FCR_MASK;
	/* Somebody takes the port over: we know nothing of his interrupt handler. */
	s->reads_iir = false;
}

static void reg_write(struct serial *s, u32 reg, u8 v, bool *fresh)
{
	switch (reg) {
	case UART_TX:
		if (s->lcr & UART_LCR_DLAB)
			s->dll = v;
		else
			tx_write(s, v, fresh);
		break;
	case UART_IER:
		if (s->lcr & UART_LCR_DLAB) {
			s->dlm = v;
			break;
		}
		/* Enabling the interrupt with THR empty raises it: Linux tests for that, and relies on it. */
		if (v & ~s->ier & UART_IER_THRI && !s->tx_count)
			s->thre = true;
		s->ier = v & IER_MASK;
		break;
	case UART_FCR:
		fcr_write(s, v);
		break;
	case UART_LCR:
		s->lcr = v;
		break;
	case UART_MCR:
		s->mcr = v & MCR_MASK;
		if (v & UART_MCR_RTS && !(v & UART_MCR_LOOP))
			s->rts_used = true;
		modem_update(s);
		break;
	case UART_SCR:
		s->scr = v;
		break;
	}
}

static void serial_io(struct device *dev, struct io *io, void *arg)
{
	struct serial *s = to_serial(dev);

	/* The bus brings single bytes; anything else is as many accesses. */
	for (u32 i = 0; i < io->len && i < REG_COUNT && io->offset < REG_COUNT - i; i++) {
		u32 reg = (u32)io->offset + i;
		bool fresh = false;

		if (io->write)
			reg_write(s, reg, io->data[i], &fresh);
		else
			io->data[i] = reg_read(s, reg, &fresh);
		settle(s, fresh);
	}
}

/* --- the console's side ------------------------------------------------------------------------- */

static size_t serial_room(struct device *dev)
{
	struct serial *s = to_serial(dev);
	size_t room = 0;

	device_lock(dev);
	if (rx_open(s) && !s->held_count && s->rx_count < fifo_room(s))
		room = fifo_room(s) - s->rx_count;
	s->waiting = !room;
	device_unlock(dev);
	return room;
}

static void serial_input(struct device *dev, const u8 *data, size_t len)
{
	struct serial *s = to_serial(dev);
	u32 n = 0;

	device_lock(dev);
	/* A vCPU may have closed the receiver since serial_room(); what no longer fits waits with the held
	 * bytes. */
	if (rx_open(s) && !s->held_count && s->rx_count < fifo_room(s)) {
		n = min_u64(len, fifo_room(s) - s->rx_count);
		memcpy(s->rx + s->rx_count, data, n);
		s->rx_count += n;
	}
	rx_hold(s, data + n, min_u64(len - n, FIFO_SIZE));
	settle(s, false);
	device_unlock(dev);
}

static void serial_output_ready(struct device *dev)
{
	struct serial *s = to_serial(dev);

	device_lock(dev);
	tx_flush(s);
	settle(s, false);
	device_unlock(dev);
}

static const struct console_client serial_client = {
	.room = serial_room,
	.input = serial_input,
	.output_ready = serial_output_ready,
};

/* --- life --------------------------------------------------------------------------------------- */

/* Table I; what the host sent stays, and so does what the console has not taken yet. */
static void serial_reset(struct device *dev)
{
	struct serial *s = to_serial(dev);

	rx_clear(s, false);
	s->ier = s->fcr = s->lcr = s->mcr = s->scr = 0;
	s->dll = 1; /* 115200: the latch is undefined after a reset, but some guests read it */
	s->dlm = 0;
	s->lsr_oe = s->thre = s->rts_used = s->reads_iir = false;
	s->msr = modem_lines(0);
	update_line(s, false);
}

static int serial_create(struct device *dev, const void *params)
{
	const struct board_device *board = dev->board;
	struct serial *s = to_serial(dev);
	int err;

	err = console_attach(dev->kvm, board->index, dev, &serial_client, &s->con);
	if (!err)
		err = bus_map(dev, board->bus, board->base, REG_COUNT, serial_io, NULL, BUS_BYTES);
	if (!err)
		err = event_timer_init(&dev->kvm->loop, &s->idle, on_idle, s);
	s->can_coalesce = !err;
	s->burst_need = BURST_FIRST;
	serial_reset(dev);
	return err;
}

static void serial_destroy(struct device *dev)
{
	struct serial *s = to_serial(dev);

	event_timer_destroy(&dev->kvm->loop, &s->idle);
	if (s->con)
		console_detach(s->con);
}

static int serial_describe(const struct device *dev, struct fdt *fdt)
{
	const struct board_device *board = dev->board;

	if (board->bus != BUS_MMIO)
		return fdt->err;
	dt_device(fdt, "serial", "ns16550a", board->base, REG_COUNT);
	dt_str(fdt, "device_type", "serial"); /* Linux on powerpc has its early console by this */
	dt_u32(fdt, "clock-frequency", CLOCK_HZ);
	if (board->line != IRQ_NONE)
		dt_interrupt(fdt, board->line, true);
	dt_end(fdt);
	return fdt->err;
}

static void serial_describe_acpi(const struct device *dev, struct aml *a)
{
	const struct board_device *board = dev->board;
	char name[8];

	if (board->bus != BUS_PIO)
		return;
	snprintf(name, sizeof(name), "COM%u", (board->index + 1) % 10);
	aml_device_begin(a, name);
	aml_name(a, "_HID");
	aml_eisaid(a, "PNP0501");
	aml_name(a, "_UID");
	aml_int(a, board->index + 1);
	aml_name(a, "_CRS");
	aml_resources_begin(a);
	aml_res_io(a, (u16)board->base, 1, REG_COUNT);
	if (board->line != IRQ_NONE)
		aml_res_irq_legacy(a, board->line);
	aml_resources_end(a);
	aml_end(a);
}

static int serial_state(struct device *dev, struct state *st)
{
	struct serial *s = to_serial(dev);

	state_begin(st, dev->name, 1);
	state_u8(st, "ier", &s->ier);
	state_u8(st, "fcr", &s->fcr);
	state_u8(st, "lcr", &s->lcr);
	state_u8(st, "mcr", &s->mcr);
	state_bool(st, "lsr_oe", &s->lsr_oe);
	state_u8(st, "msr", &s->msr);
	state_u8(st, "scr", &s->scr);
	state_u8(st, "dll", &s->dll);
	state_u8(st, "dlm", &s->dlm);
	state_bool(st, "thre", &s->thre);
	state_u32(st, "rx_count", &s->rx_count);
	state_bytes(st, "rx", s->rx, sizeof(s->rx));
	state_bool(st, "rx_loop", &s->rx_loop);
	state_u32(st, "held_count", &s->held_count);
	state_bytes(st, "held", s->held, sizeof(s->held));
	state_u32(st, "hold", &s->hold);
	state_bool(st, "rts_used", &s->rts_used);
	state_u32(st, "tx_count", &s->tx_count);
	state_bytes(st, "tx", s->tx, sizeof(s->tx));
	state_note(st, "iir", "%#x", pending_cause(s));
	state_note(st, "line", "%s", s->level ? "high" : "low");
	state_note(st, "coalesced", "%s", s->zone ? "on" : "off");
	state_end(st);
	if (!state_reading(st))
		return st->err;
	if (!st->err && (s->rx_count > FIFO_SIZE || s->held_count > FIFO_SIZE || s->tx_count > TX_SIZE)) {
		state_fail(st, -EBADMSG, "rx_count, held_count or tx_count", "more than there is room for");
	}
	if (st->err) {
		s->rx_count = s->held_count = s->tx_count = 0;
		return st->err;
	}
	s->ier &= IER_MASK;
	s->fcr &= FCR_MASK;
	s->mcr &= MCR_MASK;
	s->reads_iir = false;
	tx_flush(s);
	settle(s, false);
	return 0;
}

const struct device_ops serial_8250_ops = {
	.name = "serial",
	.size = sizeof(struct serial),
	.create = serial_create,
	.reset = serial_reset,
	.describe = serial_describe,
	.describe_acpi = serial_describe_acpi,
	.state = serial_state,
	.destroy = serial_destroy,
};

/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: bus_map irq_set_line coalesced_add coalesced_remove */
/* WRAP: console_attach console_detach console_write console_input_ready */
/* WRAP: event_timer_init event_timer_set event_timer_destroy */
/*
 * hw/serial-8250.c under Linux's 8250 driver: the accesses of its probing, start-up and interrupt handler,
 * each with the checks by which the driver chooses a way round a defect.
 */
#include "serial-harness.h"

struct driver {
	u8 ier;
	const u8 *tx;
	size_t tx_len;
	u8 rx[OUT_MAX];
	size_t rx_len;
	u32 irqs, spurious;
};

/* Linux's serial8250_do_startup() and _do_set_termios(), with their checks. */
static void startup(struct driver *d)
{
	u8 iir1, iir;

	clear_fifos();
	in(UART_LSR);
	in(UART_RX);
	in(UART_IIR);
	in(UART_MSR);
	assert_int_not_equal(in(UART_LSR), 0xff);
	/* UART_BUG_THRE: does the THRE interrupt come again? */
	assert_true(in(UART_LSR)&UART_LSR_THRE);
	out(UART_IER, UART_IER_THRI);
	iir1 = in(UART_IIR);
	out(UART_IER, 0);
	out(UART_IER, UART_IER_THRI);
	iir = in(UART_IIR);
	out(UART_IER, 0);
	assert_false(iir1 & UART_IIR_NO_INT);
	assert_false(iir & UART_IIR_NO_INT);
	assert_false(now->latch); /* OUT2 is low still */
	out(UART_LCR, UART_LCR_WLEN8);
	out(UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	/* UART_BUG_TXEN: does enabling THRI alone raise it? */
	out(UART_IER, UART_IER_THRI);
	assert_true(in(UART_LSR)&UART_LSR_TEMT);
	assert_false(in(UART_IIR)&UART_IIR_NO_INT);
	out(UART_IER, 0);
	in(UART_LSR);
	in(UART_RX);
	in(UART_IIR);
	in(UART_MSR);
	d->ier = UART_IER_RLSI | UART_IER_RDI;
	out(UART_IER, d->ier);
	out(UART_LCR, UART_LCR_WLEN8 | UART_LCR_DLAB);
	out(UART_DLL, 1);
	out(UART_DLM, 0);
	out(UART_LCR, UART_LCR_WLEN8);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_R_TRIG_10);
	now->latch = false; /* the test of TXEN */
}

/* serial8250_do_shutdown() of a port that stays the console. */
static void shutdown_port(void)
{
	out(UART_IER, 0);
	out(UART_MCR, UART_MCR_DTR | UART_MCR_RTS);
	out(UART_LCR, in(UART_LCR) & (u8)~UART_LCR_SBC);
	clear_fifos();
	in(UART_RX);
}

static void start_tx(struct driver *d, const void *data, size_t len)
{
	d->tx = data;
	d->tx_len = len;
	d->ier |= UART_IER_THRI;
	out(UART_IER, d->ier);
}

/* serial8250_handle_irq(): false when IIR says that it was not us. */
static bool handle_irq(struct driver *d)
{
	u8 lsr;

	if (in(UART_IIR)&UART_IIR_NO_INT)
		return false;
	lsr = in(UART_LSR);
	assert_false(lsr & UART_LSR_OE);
	while (lsr & UART_LSR_DR) {
		assert_true(d->rx_len < sizeof(d->rx));
		d->rx[d->rx_len++] = in(UART_RX);
		lsr = in(UART_LSR);
	}
	in(UART_MSR);
	if (!(lsr & UART_LSR_THRE) || !(d->ier & UART_IER_THRI))
		return true;
	for (int i = 0; i < 16 && d->tx_len; i++, d->tx++, d->tx_len--)
		out(UART_TX, *d->tx);
	if (!d->tx_len) {
		d->ier &= (u8)~UART_IER_THRI;
		out(UART_IER, d->ier);
	}
	return true;
}

/* The interrupt controller and serial8250_interrupt(), to rest; the host's side runs in between. */
static void run(struct driver *d)
{
	for (int i = 0; i < 1000000; i++) {
		if (now->latch) {
			now->latch = false;
			d->irqs++;
			if (!handle_irq(d))
				d->spurious++;
			else
				while (handle_irq(d))
					;
		} else if (now->kicked) {
			pump();
		} else {
			return;
		}
	}
	fail_msg("the device never comes to rest");
}

static void test_autoconfig(void **state)
{
	struct fake *f = *state;
	static struct driver d;

	autoconfig();
	assert_int_equal(f->out_len, 0);
	assert_int_equal(f->line_calls, 0);
	assert_int_equal(f->zone_adds, 0); /* loopback is no output */
	startup(&d);
	assert_int_equal(f->out_len, 0);
}

static void test_transmit(void **state)
{
	struct fake *f = *state;
	static u8 data[5000];
	struct driver *d = calloc(1, sizeof(*d));
	u32 before;

	fill(data, sizeof(data));
	startup(d);
	before = f->line_calls;
	start_tx(d, data, sizeof(data));
	run(d);
	assert_int_equal(f->out_len, sizeof(data));
	assert_memory_equal(f->out, data, sizeof(data));
	assert_false(f->level);
	/* Two ioctls for each FIFO of 16 bytes, not for each byte. */
	assert_in_range(f->line_calls - before, 1, sizeof(data) / 16 * 2 + 8);
	assert_in_range(d->spurious, 0, 1);
	free(d);
}

static void test_paste(void **state)
{
	static u8 data[10240];
	struct fake *f = *state;

	fill(data, sizeof(data));
	for (u32 t = 0; t < 4; t++) {
		struct driver *d = calloc(1, sizeof(*d));

		startup(d);
		out(UART_FCR, (u8)(UART_FCR_ENABLE_FIFO | t << 6));
		f->in = data;
		f->in_len = sizeof(data);
		pump();
		run(d);
		assert_int_equal(d->rx_len, sizeof(data));
		assert_memory_equal(d->rx, data, sizeof(data));
		shutdown_port();
		free(d);
	}
}

/* What is piped in before the guest opens its port: through probing, console output, opening and reopening.
 */
static void test_early_input(void **state)
{
	static u8 data[1000];
	struct fake *f = *state;
	struct driver *d = calloc(1, sizeof(*d));

	fill(data, sizeof(data));
	f->in = data;
	f->in_len = sizeof(data);
	pump();
	assert_int_equal(f->in_len, sizeof(data)); /* nobody listens yet */
	autoconfig();
	out(UART_MCR, UART_MCR_DTR | UART_MCR_RTS);
	for (int i = 0; i < 1000; i++) {
		in(UART_LSR);
		out(UART_TX, 'c');
		if (f->kicked)
			pump();
	}
	assert_true(f->in_len < sizeof(data)); /* or else this test tests nothing */
	for (int open = 0; open < 3; open++) {
		startup(d);
		/* Between two opens the console goes on. */
		if (open < 2) {
			shutdown_port();
			for (int i = 0; i < 200; i++)
				in(UART_LSR);
		}
		if (f->kicked)
			pump();
	}
	f->latch = f->level;
	run(d);
	assert_int_equal(d->rx_len, sizeof(data));
	assert_memory_equal(d->rx, data, sizeof(data));
	free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_autoconfig, setup, teardown),
		cmocka_unit_test_setup_teardown(test_transmit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paste, setup, teardown),
		cmocka_unit_test_setup_teardown(test_early_input, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * A 16550A port, register by register (National Semiconductor PC16550D data sheet, section 8): "base=PORT".
 * Most of it in loopback, where nothing needs a far end. COM1 may be under test itself, so verdicts are kept
 * until the port is as it was.
 */
#include "guest.h"

enum {
	RBR = 0,
	THR = 0,
	DLL = 0,
	IER = 1,
	DLM = 1,
	IIR = 2,
	FCR = 2,
	LCR = 3,
	MCR = 4,
	LSR = 5,
	MSR = 6,
	SCR = 7
};

static struct {
	const char *what;
	u32 got, want;
} verdict[128];
static u32 nr_verdicts;
static u16 base;

static void expect(const char *what, u32 got, u32 want)
{
	/* A loop's verdicts are one, the first wrong one if there is any. */
	if (nr_verdicts && verdict[nr_verdicts - 1].what == what) {
		if (verdict[nr_verdicts - 1].got != verdict[nr_verdicts - 1].want)
			return;
		nr_verdicts--;
	}
	verdict[nr_verdicts].what = what;
	verdict[nr_verdicts].got = got;
	verdict[nr_verdicts++].want = want;
}

static u8 rd(u16 reg)
{
	return inb((u16)(base + reg));
}

static void wr(u16 reg, u8 v)
{
	outb((u16)(base + reg), v);
}

static void registers(void)
{
	u8 lsr;

	for (u32 v = 0; v < 256; v += 15) {
		wr(SCR, (u8)v);
		expect("scratch register holds what was written", rd(SCR), v);
	}
	wr(IER, 0xff);
	expect("IER has four bits", rd(IER), 0x0f);
	wr(IER, 0);
	wr(LCR, 0x83);
	wr(DLL, 0x34);
	wr(DLM, 0x12);
	expect("divisor latch, low", rd(DLL), 0x34);
	expect("divisor latch, high", rd(DLM), 0x12);
	wr(DLL, 1);
	wr(DLM, 0);
	wr(LCR, 0x1b);
	expect("LCR reads back", rd(LCR), 0x1b);
	expect("IER is not the divisor latch", rd(IER), 0);
	wr(LCR, 0x03);
	for (u32 i = 0; i < 100000 && (rd(LSR) & 0x60) != 0x60; i++)
		cpu_relax();
	lsr = rd(LSR);
	expect("the transmitter runs empty: THRE and TEMT", lsr & 0x60, 0x60);
	wr(LSR, 0);
	expect("LSR's transmitter bits cannot be written", rd(LSR) & 0x60, 0x60);
	wr(MCR, 0xff);
	expect("MCR has five bits", rd(MCR), 0x1f);
	wr(MCR, 0x10);
	wr(FCR, 0);
	expect("IIR without FIFO", rd(IIR), 0x01);
	wr(FCR, 0x01);
	expect("IIR with FIFO says 16550A", rd(IIR), 0xc1);
}

static void modem(void)
{
	for (u32 v = 0; v < 16; v++) {
		u32 want = (v & 1) << 5 | (v & 2) << 3 | (v & 4) << 4 | (v & 8) << 4;

		wr(MCR, (u8)(0x10 | v));
		expect("loopback: DTR, RTS, OUT1, OUT2 come in as DSR, CTS, RI, DCD", rd(MSR) & 0xf0, want);
	}
	wr(MCR, 0x10);
	rd(MSR);
	expect("reading MSR clears its deltas", rd(MSR) & 0x0f, 0);
	wr(MCR, 0x12);
	expect("delta CTS", rd(MSR), 0x11);
	wr(MCR, 0x1f);
	expect("delta DSR and DCD, no trailing edge of RI yet", rd(MSR), 0xfa);
	wr(MCR, 0x10);
	expect("all deltas, RI's trailing edge among them", rd(MSR), 0x0f);
	wr(IER, 0x08);
	wr(MCR, 0x12);
	expect("modem status interrupt", rd(IIR) & 0x0f, 0x00);
	rd(MSR);
	expect("gone when MSR was read", rd(IIR) & 0x0f, 0x01);
	wr(IER, 0);
	wr(MCR, 0x10);
	rd(MSR);
}

static void loopback(void)
{
	wr(MCR, 0x10);
	wr(FCR, 0x07);
	expect("nothing is received yet", rd(LSR) & 0x01, 0);
	for (u32 i = 0; i < 256; i += 5) {
		wr(THR, (u8)i);
		expect("loopback: a byte sent is a byte received", (u32)(rd(LSR) & 1) << 8 | rd(RBR),
		       0x100 | i);
	}
	expect("nothing is left", rd(LSR) & 0x01, 0);
	for (u32 i = 0; i < 16; i++)
		wr(THR, (u8)(0x40 + i));
	expect("16 bytes fit the FIFO", rd(LSR) & 0x03, 0x01);
	wr(THR, 0xee);
	expect("the 17th is an overrun", rd(LSR) & 0x03, 0x03);
	expect("which reading LSR clears", rd(LSR) & 0x03, 0x01);
	for (u32 i = 0; i < 16; i++)
		expect("the FIFO keeps the order", rd(RBR), 0x40 + i);
	expect("the FIFO is empty again", rd(LSR) & 0x01, 0);
	for (u32 i = 0; i < 5; i++)
		wr(THR, (u8)i);
	wr(FCR, 0x03);
	expect("FCR bit 1 empties the receiver", rd(LSR) & 0x01, 0);
	wr(FCR, 0);
	wr(THR, 0x11);
	wr(THR, 0x22);
	expect("without FIFO the second byte is an overrun", rd(LSR) & 0x03, 0x03);
	expect("and takes the place of the first", rd(RBR), 0x22);
	expect("one byte only", rd(LSR) & 0x01, 0);
}

static void interrupts(void)
{
	wr(MCR, 0x10);
	wr(FCR, 0x07);
	wr(IER, 0x00);
	rd(LSR);
	rd(MSR);
	expect("no interrupt pending", rd(IIR), 0xc1);
	wr(IER, 0x02);
	expect("THRE interrupt as soon as it is enabled", rd(IIR), 0xc2);
	expect("reading IIR takes it back", rd(IIR), 0xc1);
	wr(IER, 0x00);
	wr(IER, 0x02);
	expect("enabling it once more brings it back", rd(IIR), 0xc2);
	wr(THR, 0x55);
	expect("and so does a byte that has been sent", rd(IIR) & 0x0f, 0x02);
	wr(IER, 0x00);
	rd(RBR);

	wr(FCR, 0x47); /* trigger at 4 bytes */
	wr(IER, 0x01);
	for (u32 i = 0; i < 4; i++)
		wr(THR, (u8)i);
	expect("received data at the trigger level", rd(IIR), 0xc4);
	for (u32 i = 0; i < 4; i++)
		rd(RBR);
	expect("gone when they were read", rd(IIR), 0xc1);
	wr(THR, 0x77);
	for (u32 i = 0; i < 1000000 && rd(IIR) == 0xc1; i++)
		cpu_relax();
	expect("a byte below the trigger level comes by time-out", rd(IIR), 0xcc);
	rd(RBR);
	expect("gone when it was read", rd(IIR), 0xc1);

	/* Line status before data before THRE before modem status. */
	wr(FCR, 0x07);
	wr(IER, 0x00);
	for (u32 i = 0; i < 17; i++)
		wr(THR, (u8)i);
	wr(MCR, 0x12);
	wr(IER, 0x0f);
	expect("priority: line status first", rd(IIR), 0xc6);
	rd(LSR);
	expect("then received data", rd(IIR), 0xc4);
	for (u32 i = 0; i < 16; i++)
		rd(RBR);
	expect("then the transmitter", rd(IIR), 0xc2);
	expect("then modem status", rd(IIR), 0xc0);
	rd(MSR);
	expect("then none", rd(IIR), 0xc1);
	wr(IER, 0);
}

void main(void)
{
	u8 lcr, mcr;

	base = (u16)option("base", COM1);
	lcr = rd(LCR);
	mcr = rd(MCR);
	registers();
	wr(MCR, 0x10);
	modem();
	loopback();
	interrupts();
	wr(IER, 0);
	wr(FCR, 0x07);
	wr(LCR, lcr);
	wr(MCR, mcr);
	rd(MSR);
	expect("CTS, DSR and DCD are on: whoever wants flow control may send", rd(MSR) & 0xb0, 0xb0);
	for (u32 i = 0; i < nr_verdicts; i++)
		check_eq(verdict[i].got, verdict[i].want, verdict[i].what);
	finish();
}

/* SPDX-License-Identifier: MIT */
/*
 * The host side of a console: a pair of fds, put into raw mode when they are a terminal, and always put back.
 * Knows nothing of VMs (host/tty.c).
 */
#ifndef LKVM_TTY_H
#define LKVM_TTY_H

#include <lkvm/types.h>
#include <termios.h>

struct tty {
	int in, out; /* -1: none */
	/* The fd is ours to close, and non-blocking; else it is shared with whoever started us and is
	 * neither. */
	bool own_in, own_out;
	bool terminal; /* `in` is a terminal and we are in its foreground: keys and its mode are for us */
	bool pty;      /* we made it: in and out are its master side */
	bool raw;      /* `saved` is to be put back */
	struct termios saved;
	char path[64]; /* of a pty's slave side */
};

/* stdin and stdout as they are. A terminal in whose background we are is not read: tty->in is -1. */
int __must_check tty_open_stdio(struct tty *tty);
/* A new pseudo-terminal, in raw mode; tty->path names the side to open with a terminal program. */
int __must_check tty_open_pty(struct tty *tty);
/* Puts tty->in into raw mode when it is a terminal; nothing to do otherwise. */
int __must_check tty_raw(struct tty *tty);
/* Puts the terminal back and closes what we opened. Safe to call twice. */
void tty_close(struct tty *tty);

/*
 * The escape prefix, Ctrl-a: x quits, a (or Ctrl-a again) sends one Ctrl-a, h prints help; with any other key
 * it is dropped. Filters buf in place and returns the bytes that remain; what was asked for is or'ed into
 * *actions. state persists between calls.
 */
enum tty_action { TTY_QUIT = 0x1, TTY_HELP = 0x2 };
struct tty_escape {
	bool prefix; /* Ctrl-a was the last byte */
};
size_t tty_filter(struct tty_escape *esc, u8 *buf, size_t len, u32 *actions);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Consoles: between a guest's serial port (or virtio console) and a host terminal, with flow control both
 * ways, so that neither a paste nor a slow reader loses a byte.
 *
 * Console 0 is lkvm's own stdin and stdout; --tty N gives console N a pseudo-terminal; any other console has
 * no host side: its output vanishes and it never gets input.
 *
 * The device's lock comes before the console's own; the console calls its client with no lock held.
 */
#ifndef LKVM_CONSOLE_H
#define LKVM_CONSOLE_H

#include <lkvm/types.h>

struct console;
struct device;
struct kvm;

#define CONSOLE_MAX 4

/* What the guest's device does for its console. Called on the main thread with no lock held. */
struct console_client {
	/* How many bytes the device can take now. */
	size_t (*room)(struct device *dev);
	void (*input)(struct device *dev, const u8 *data, size_t len); /* len <= what room() said */
	/* The output buffer has emptied again after console_write() took less than it was given. */
	void (*output_ready)(struct device *dev);
};

/* Part of the `devices` step, before any device: opens the pseudo-terminals. Undone by consoles_destroy(). */
int __must_check consoles_create(struct kvm *kvm);
/* Part of the `run` step: raw mode, input starts flowing. */
int __must_check consoles_start(struct kvm *kvm);
void consoles_destroy(struct kvm *kvm); /* flushes what is still buffered, for 1 s at the most */

/*
 * Attaches dev to console `index`, and opens stdin and stdout for number 0. One client each: -EBUSY. index >=
 * CONSOLE_MAX: -EINVAL. Each after one logged line.
 */
int __must_check console_attach(struct kvm *kvm, u32 index, struct device *dev,
				const struct console_client *client, struct console **out);
void console_detach(struct console *con);
/* Takes as many of len bytes as there is room for, and returns how many. Any thread. Never blocks. */
size_t console_write(struct console *con, const u8 *data, size_t len);
/* The device has room again: input that waits on the host side flows. Any thread. */
void console_input_ready(struct console *con);

#endif

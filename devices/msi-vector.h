/* SPDX-License-Identifier: MIT */
/*
 * One vector of MSI or MSI-X: its message, whether that may go out, and whether it waits to (PCI Local
 * Bus 3.0, 6.8.3). What msi.c and msix.c share; nobody outside devices/ includes it.
 *
 * A vector that was signalled goes out by KVM_SIGNAL_MSI, which needs no route: a change of the routing table
 * costs a grace period of the kernel's, and guests change messages whenever they move an interrupt to another
 * CPU. Only a vector that somebody else signals, by the eventfd of vector_fd(), has a route and an irqfd. The
 * irqfd is taken off while the vector is masked: events gather in the eventfd, and KVM looks at it when the
 * irqfd comes back, so none is lost.
 *
 * v->lock guards all of it, and is held while a message is sent: none goes out after a guest's masking of it
 * has returned. In the lock order it comes after pci; irq comes later.
 */
#ifndef LKVM_DEVICES_MSI_VECTOR_H
#define LKVM_DEVICES_MSI_VECTOR_H

#include <lkvm/irq.h>
#include <lkvm/pci.h>

/* What the function as a whole lets its vectors do. */
enum msi_mode {
	MSI_OFF,    /* it has another kind of interrupt: nothing is sent, nothing waits */
	MSI_MASKED, /* all wait */
	MSI_ON,	    /* those that are not masked go out */
};

struct msi_vector {
	pthread_mutex_t lock;
	u64 address;
	u32 data;
	bool masked;
	enum msi_mode mode;
	bool pending; /* signalled, and not gone out */
	/* For vector_fd(). */
	int fd, gsi; /* -1: none yet */
	bool wired;  /* fd is an irqfd of gsi */
};

void vector_init(struct msi_vector *v);
void vector_destroy(const struct pci_function *fn, struct msi_vector *v);
/* Forgets message and events, as after power-on; masked or not. */
void vector_reset(const struct pci_function *fn, struct msi_vector *v, bool masked);
void vector_set_mode(const struct pci_function *fn, struct msi_vector *v, enum msi_mode mode);
/* After a change of address, data, masked, mode or pending: sends what waits and may go. v->lock held. */
void vector_update(const struct pci_function *fn, struct msi_vector *v);
void vector_signal(const struct pci_function *fn, struct msi_vector *v);
/* Whether it waits, in the eventfd too. v->lock held. */
bool vector_waits(const struct msi_vector *v);
/* No event waits any more. v->lock held. */
void vector_forget(struct msi_vector *v);
int __must_check vector_fd(const struct pci_function *fn, struct msi_vector *v);

#endif

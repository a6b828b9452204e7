/* SPDX-License-Identifier: MIT */
/*
 * MSI-X (PCI Local Bus 3.0, 6.8.2): the capability, and in a BAR of its own the table of messages, then the
 * array of pending bits.
 *
 *   0                    16 bytes a vector: address, upper address, data, control (bit 0: masked)
 *   table_end            a bit a vector: it waits. Begins at a multiple of 2 KiB
 *
 * The guest's accesses to the BAR come on vCPU threads with dev->lock held, its changes of the capability
 * with bus->lock held, signals from any thread; what they share is each vector's, under its own lock
 * (msi-vector.h).
 */
#include "msi-vector.h"
#include "pci-bar.h"
#include <errno.h>
#include <lkvm/device.h>
#include <lkvm/state.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MSIX_MAX  2048
#define PBA_ALIGN 0x800
#define BAR_MIN	  0x1000

enum { ENTRY_ADDRESS = 0, ENTRY_ADDRESS_HIGH = 4, ENTRY_DATA = 8, ENTRY_CTRL = 12 };

struct msix {
	struct pci_function *fn;
	u32 cap; /* where the capability is */
	u32 nr;
	u32 pba;	      /* offset of the pending bits */
	_Atomic bool enabled; /* by the capability's control word */
	struct msi_vector vector[];
};

/* --- the BAR -------------------------------------------------------------------------------------------- */

static void put_entry(const struct msi_vector *v, u8 *entry)
{
	pci_put32(entry, ENTRY_ADDRESS, (u32)v->address);
	pci_put32(entry, ENTRY_ADDRESS_HIGH, (u32)(v->address >> 32));
	pci_put32(entry, ENTRY_DATA, v->data);
	pci_put32(entry, ENTRY_CTRL, v->masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

static void get_entry(struct msi_vector *v, const u8 *entry)
{
	v->address = pci_get32(entry, ENTRY_ADDRESS) | (u64)pci_get32(entry, ENTRY_ADDRESS_HIGH) << 32;
	v->data = pci_get32(entry, ENTRY_DATA);
	v->masked = pci_get32(entry, ENTRY_CTRL) & PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

static void table_io(struct msix *msix, struct io *io)
{
	struct msi_vector *v = &msix->vector[io->offset / PCI_MSIX_ENTRY_SIZE];
	u8 entry[PCI_MSIX_ENTRY_SIZE], *at = entry + io->offset % PCI_MSIX_ENTRY_SIZE;

	pthread_mutex_lock(&v->lock);
	put_entry(v, entry);
	if (io->write) {
		memcpy(at, io->data, io->len);
		get_entry(v, entry);
		vector_update(msix->fn, v);
	} else {
		memcpy(io->data, at, io->len);
	}
	pthread_mutex_unlock(&v->lock);
}

/* Only read: first is the vector of the access's first bit. What is behind the last vector's is 0. */
static void pba_read(struct msix *msix, u64 first, struct io *io)
{
	memset(io->data, 0, io->len);
	for (u64 i = first; i < first + 8ull * io->len && i < msix->nr; i++) {
		struct msi_vector *v = &msix->vector[i];

		pthread_mutex_lock(&v->lock);
		if (vector_waits(v))
			io->data[(i - first) / 8] |= (u8)(1u << i % 8);
		pthread_mutex_unlock(&v->lock);
	}
}

static void msix_io(struct device *dev, struct io *io, void *arg)
{
	struct msix *msix = arg;

	/* Other accesses than naturally aligned ones are undefined, and nothing here. */
	if ((io->len & (io->len - 1)) || io->offset & (io->len - 1))
		return;
	if (io->offset < (u64)msix->nr * PCI_MSIX_ENTRY_SIZE)
		table_io(msix, io);
	else if (io->offset >= msix->pba && !io->write)
		pba_read(msix, (io->offset - msix->pba) * 8, io);
	else if (!io->write)
		memset(io->data, 0, io->len);
}

/* --- the capability ------------------------------------------------------------------------------------- */

/* bus->lock held. */
static void msix_changed(void *arg)
{
	struct msix *msix = arg;
	u32 control = pci_get16(msix->fn->config, msix->cap + PCI_MSIX_FLAGS);
	bool enabled = control & PCI_MSIX_FLAGS_ENABLE;
	enum msi_mode mode = MSI_ON;

	if (!enabled)
		mode = MSI_OFF;
	else if ((control & PCI_MSIX_FLAGS_MASKALL) || !msix->fn->master)
		mode = MSI_MASKED;
	atomic_store(&msix->enabled, enabled);
	for (u32 i = 0; i < msix->nr; i++)
		vector_set_mode(msix->fn, &msix->vector[i], mode);
}

int msix_create(struct msix **out, struct pci_function *fn, u32 bar, u32 vectors)
{
	u32 pba = (u32)align_up(vectors * PCI_MSIX_ENTRY_SIZE, PBA_ALIGN);
	u64 size = BAR_MIN;
	struct msix *msix;
	int cap, err;

	if (!vectors || vectors > MSIX_MAX)
		return -EINVAL;
	while (size < pba + (vectors + 63) / 64 * 8)
		size *= 2;
	msix = calloc(1, sizeof(*msix) + vectors * sizeof(msix->vector[0]));
	if (!msix)
		return -ENOMEM;
	err = pci_bar_add(fn, bar, PCI_BAR_MEM32, size, msix_io, msix);
	cap = err ? err : pci_cap_add(fn, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	if (cap < 0) {
		free(msix);
		return cap;
	}
	msix->fn = fn;
	msix->cap = (u32)cap;
	msix->nr = vectors;
	msix->pba = pba;
	for (u32 i = 0; i < vectors; i++) {
		vector_init(&msix->vector[i]);
		msix->vector[i].masked = true;
	}
	pci_put16(fn->config, msix->cap + PCI_MSIX_FLAGS, (u16)(vectors - 1));
	pci_put16(fn->write, msix->cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pci_put32(fn->config, msix->cap + PCI_MSIX_TABLE, bar);
	pci_put32(fn->config, msix->cap + PCI_MSIX_PBA, pba | bar);
	pci_watch(fn, msix->cap + PCI_MSIX_FLAGS, 2, msix_changed, msix);
	pci_watch(fn, PCI_COMMAND, 2, msix_changed, msix);
	*out = msix;
	return 0;
}

void msix_destroy(struct msix *msix)
{
	if (!msix)
		return;
	for (u32 i = 0; i < msix->nr; i++)
		vector_destroy(msix->fn, &msix->vector[i]);
	free(msix);
}

void msix_reset(struct msix *msix)
{
	for (u32 i = 0; i < msix->nr; i++)
		vector_reset(msix->fn, &msix->vector[i], true);
}

bool msix_enabled(const struct msix *msix)
{
	return atomic_load(&msix->enabled);
}

void msix_signal(struct msix *msix, u32 vector)
{
	if (vector < msix->nr)
		vector_signal(msix->fn, &msix->vector[vector]);
}

int msix_fd(struct msix *msix, u32 vector)
{
	return vector < msix->nr ? vector_fd(msix->fn, &msix->vector[vector]) : -EINVAL;
}

/* --- state ---------------------------------------------------------------------------------------------- */

/* Those that the guest has done anything with. v->lock held. */
static void print_vector(struct state *s, const struct msi_vector *v, u32 index)
{
	bool waits = vector_waits(v);
	char name[24];

	if (v->masked && !v->address && !v->data && !waits)
		return;
	snprintf(name, sizeof(name), "vector%u", index);
	state_note(s, name, "0x%llx, 0x%x%s%s%s", (unsigned long long)v->address, v->data,
		   v->masked ? ", masked" : "", waits ? ", pending" : "", v->wired ? ", by irqfd" : "");
}

static void walk_vector(struct state *s, struct msix *msix, struct msi_vector *v)
{
	u8 entry[PCI_MSIX_ENTRY_SIZE];
	bool waits = vector_waits(v);

	put_entry(v, entry);
	state_bytes(s, "entry", entry, sizeof(entry));
	state_bool(s, "pending", &waits);
	if (!state_reading(s) || s->err)
		return;
	get_entry(v, entry);
	vector_forget(v);
	v->pending = waits;
	vector_update(msix->fn, v);
}

/*
 * Whether MSI-X is on is configuration space's to keep, and must be known: a vector of a function that has it
 * off forgets what waits.
 */
void msix_state(struct msix *msix, struct state *s)
{
	u32 nr = msix->nr;

	state_u32(s, "vectors", &nr);
	if (nr != msix->nr)
		state_fail(s, -EINVAL, "vectors", "%u MSI-X vectors, this device has %u", nr, msix->nr);
	for (u32 i = 0; i < msix->nr; i++) {
		struct msi_vector *v = &msix->vector[i];

		pthread_mutex_lock(&v->lock);
		if (state_printing(s))
			print_vector(s, v, i);
		else
			walk_vector(s, msix, v);
		pthread_mutex_unlock(&v->lock);
	}
}

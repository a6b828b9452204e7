/* SPDX-License-Identifier: MIT */
/*
 * MSI (PCI Local Bus 3.0, 6.8.1): up to 32 messages that differ in the low bits of their data, with a mask
 * and a pending bit each, all in configuration space. The guest grants fewer than there are when it likes: a
 * function's vectors then share those there are.
 *
 * bus->lock guards it all; the vectors' own locks come after (msi-vector.h).
 */
#include "msi-vector.h"
#include "pci-bar.h"
#include <errno.h>
#include <lkvm/device.h>
#include <lkvm/state.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MSI_MAX	  32
#define MSI_SIZE  24 /* with 64-bit addresses and mask bits */
#define MSI_ALIGN 4  /* of a message's address */

struct msi {
	struct pci_function *fn;
	u32 cap; /* where the capability is */
	u32 nr;
	u32 granted; /* a power of 2 */
	_Atomic bool enabled;
	struct msi_vector vector[];
};

static u32 log2_of(u32 v)
{
	return 31u - (u32)__builtin_clz(v);
}

/* The pending bits as configuration space has them. */
static void show_pending(struct msi *msi)
{
	u32 pending = 0;

	for (u32 i = 0; i < msi->nr; i++)
		pending |= msi->vector[i].pending ? 1u << i : 0;
	pci_put32(msi->fn->config, msi->cap + PCI_MSI_PENDING_64, pending);
}

static void msi_changed(void *arg)
{
	struct msi *msi = arg;
	const u8 *cap = msi->fn->config + msi->cap;
	u32 flags = pci_get16(cap, PCI_MSI_FLAGS), mask = pci_get32(cap, PCI_MSI_MASK_64);
	u32 log2_granted = (flags & PCI_MSI_FLAGS_QSIZE) >> 4;
	u64 address = (u64)pci_get32(cap, PCI_MSI_ADDRESS_HI) << 32 | pci_get32(cap, PCI_MSI_ADDRESS_LO);
	u32 data = pci_get16(cap, PCI_MSI_DATA_64);
	bool enabled = flags & PCI_MSI_FLAGS_ENABLE;

	msi->granted = 1u << min_u64(log2_granted, log2_of(msi->nr));
	atomic_store(&msi->enabled, enabled);
	for (u32 i = 0; i < msi->nr; i++) {
		struct msi_vector *v = &msi->vector[i];

		pthread_mutex_lock(&v->lock);
		v->address = address;
		v->data = (data & ~(msi->granted - 1)) | (i & (msi->granted - 1));
		v->masked = mask >> i & 1;
		v->mode = !enabled ? MSI_OFF : msi->fn->master ? MSI_ON : MSI_MASKED;
		vector_update(msi->fn, v);
		pthread_mutex_unlock(&v->lock);
	}
	show_pending(msi);
}

int msi_create(struct msi **out, struct pci_function *fn, u32 vectors)
{
	struct msi *msi;
	int cap;

	if (!vectors || vectors > MSI_MAX || (vectors & (vectors - 1)))
		return -EINVAL;
	msi = calloc(1, sizeof(*msi) + vectors * sizeof(msi->vector[0]));
	if (!msi)
		return -ENOMEM;
	cap = pci_cap_add(fn, PCI_CAP_ID_MSI, MSI_SIZE);
	if (cap < 0) {
		free(msi);
		return cap;
	}
	msi->fn = fn;
	msi->cap = (u32)cap;
	msi->nr = vectors;
	msi->granted = 1;
	for (u32 i = 0; i < vectors; i++)
		vector_init(&msi->vector[i]);
	pci_put16(fn->config, msi->cap + PCI_MSI_FLAGS,
		  (u16)(PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT | log2_of(vectors) << 1));
	pci_put16(fn->write, msi->cap + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	pci_put32(fn->write, msi->cap + PCI_MSI_ADDRESS_LO, (u32) ~(MSI_ALIGN - 1));
	pci_put32(fn->write, msi->cap + PCI_MSI_ADDRESS_HI, UINT32_MAX);
	pci_put16(fn->write, msi->cap + PCI_MSI_DATA_64, UINT16_MAX);
	pci_put32(fn->write, msi->cap + PCI_MSI_MASK_64, (u32)((1ull << vectors) - 1));
	pci_watch(fn, msi->cap, MSI_SIZE, msi_changed, msi);
	pci_watch(fn, PCI_COMMAND, 2, msi_changed, msi);
	*out = msi;
	return 0;
}

void msi_destroy(struct msi *msi)
{
	if (!msi)
		return;
	for (u32 i = 0; i < msi->nr; i++)
		vector_destroy(msi->fn, &msi->vector[i]);
	free(msi);
}

bool msi_enabled(const struct msi *msi)
{
	return atomic_load(&msi->enabled);
}

void msi_signal(struct msi *msi, u32 vector)
{
	struct pci_bus *bus = msi->fn->bus;

	if (vector >= msi->nr)
		return;
	pthread_mutex_lock(&bus->lock);
	vector_signal(msi->fn, &msi->vector[vector & (msi->granted - 1)]);
	show_pending(msi);
	pthread_mutex_unlock(&bus->lock);
}

void msi_state(struct msi *msi, struct state *s)
{
	struct pci_bus *bus = msi->fn->bus;
	u32 pending;

	pthread_mutex_lock(&bus->lock);
	pending = pci_get32(msi->fn->config, msi->cap + PCI_MSI_PENDING_64);
	state_u32(s, "msi_pending", &pending);
	if (state_reading(s) && !s->err) {
		for (u32 i = 0; i < msi->nr; i++)
			msi->vector[i].pending = pending >> i & 1;
		msi_changed(msi);
	}
	pthread_mutex_unlock(&bus->lock);
}

/* SPDX-License-Identifier: MIT */
/* The PCI host bridge of the pseries machine (phb.c, phb-fdt.c): what its files share. */
#ifndef LKVM_POWERPC_PHB_H
#define LKVM_POWERPC_PHB_H

#include "pseries-irq.h"
#include <lkvm/device.h>
#include <lkvm/pci.h>

/* Its name in RTAS calls, the "bus unit id". */
#define PHB_BUID 0x800000020000000ull
/* The name of its translation table, in hypercalls. */
#define PHB_LIOBN 0x80000000u
/*
 * Bytes of the window of bus addresses that the table is for. Devices here go to guest-physical addresses and
 * look into no table, but Linux wants one, and fills it with nothing when it starts: so it is small.
 */
#define PHB_DMA_WINDOW 0x100000ull
#define PHB_TCE_SHIFT  12
#define PHB_MSIS       (PSERIES_NR_LINES - PSERIES_FIRST_MSI)

/* Lines in a row that a function's messages have; nr 0: none. */
struct phb_msi {
	u16 first, nr;
};

struct phb {
	struct device dev;
	struct pci_bus *bus;
	struct phb_msi msi[PCI_MAX_FUNCTIONS]; /* by devfn; dev.lock */
};

extern const struct device_ops phb_ops;

/* What messages a function can send: its capabilities for it. */
struct phb_caps {
	u32 msix; /* of MSI-X: where it is, 0 for none; its table, which BAR and where in that, how long */
	u32 bar, offset, nr_msix;
	u32 msi, nr_msi; /* of MSI */
	bool msi64;	 /* with 64-bit addresses, as the doorbell's is */
};
void phb_caps_of(struct pci_bus *bus, u8 devfn, struct phb_caps *out);

/* phb-fdt.c */
int phb_describe(const struct device *dev, struct fdt *fdt);

/* H_PUT_TCE and its kin: whether nr is one of them; then *status is what the hypercall returns. */
bool phb_hcall(struct vcpu *vcpu, u64 nr, const u64 *arg, u64 *ret, long *status);

#endif

/* SPDX-License-Identifier: MIT */
/* What pci.c needs of pci-bar.c. Nobody outside devices/ includes it. */
#ifndef LKVM_DEVICES_PCI_BAR_H
#define LKVM_DEVICES_PCI_BAR_H

#include <lkvm/pci.h>

/* Gives each of fn's BARs a place and makes room for them to be decoded. -ENOSPC, -ENOMEM: nothing is given.
 */
int __must_check pci_bars_place(struct pci_bus *bus, struct pci_function *fn);
/* Commands or BARs changed: decides anew what is decoded where. bus->lock held. */
void pci_decode(struct pci_bus *bus);

/* Whether an access to [reg, reg + len) can change what is decoded. */
static inline bool pci_decides_decode(u32 reg, u32 len)
{
	return ranges_overlap(reg, len, PCI_COMMAND, 2) ||
	       ranges_overlap(reg, len, PCI_BASE_ADDRESS_0, PCI_MAX_BARS * 4);
}

#endif

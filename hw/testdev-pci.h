/* SPDX-License-Identifier: MIT */
/* The test device's function on the PCI bus, for testdev.c alone. With dev->lock held but for its making. */
#ifndef LKVM_HW_TESTDEV_PCI_H
#define LKVM_HW_TESTDEV_PCI_H

#include <lkvm/types.h>

struct device;
struct state;
struct testdev_pci;

/* mem: what BAR 2 shows, size bytes. 0 and NULL on a machine without PCI. */
int __must_check testdev_pci_create(struct testdev_pci **p, struct device *dev, u8 *mem, u32 size);
void testdev_pci_destroy(struct testdev_pci *p); /* NULL: nothing, as below */
void testdev_pci_reset(struct testdev_pci *p);
void testdev_pci_state(struct testdev_pci *p, struct state *s);

#endif

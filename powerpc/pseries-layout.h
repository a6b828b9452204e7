/* SPDX-License-Identifier: MIT */
/*
 * The pseries machine's address map. Nobody outside powerpc/ includes this: the guest learns all of it from
 * the device tree.
 *
 *   0000_0000_0000  +------------------+  RAM, as much as there is
 *                   |                  |
 *   2000_0000_0000  | PCI I/O          |  64 KiB
 *   2000_0001_0000  | MSI doorbell     |  an address that messages have; nobody answers there
 *   2000_8000_0000  | PCI memory       |  2 GiB, which are 8000_0000 to ffff_ffff on the bus
 *   2100_0000_0000  | PCI 64-bit memory|  1 TiB
 *   3000_0000_0000  | XIVE sources     |  two pages of the host's size each
 *   3000_8000_0000  | XIVE thread area |  four pages
 *                   +------------------+
 *
 * All below 2^46, which every guest can map.
 */
#ifndef LKVM_POWERPC_PSERIES_LAYOUT_H
#define LKVM_POWERPC_PSERIES_LAYOUT_H

#include <lkvm/types.h>

#define PSERIES_PCI_IO	       0x200000000000ull
#define PSERIES_PCI_IO_SIZE    0x10000ull
#define PSERIES_MSI_DOORBELL   0x200000010000ull
#define PSERIES_PCI_MEM32      0x200080000000ull
#define PSERIES_PCI_MEM32_BUS  0x80000000ull
#define PSERIES_PCI_MEM32_SIZE 0x80000000ull
#define PSERIES_PCI_MEM64      0x210000000000ull
#define PSERIES_PCI_MEM64_SIZE 0x10000000000ull
#define PSERIES_XIVE_ESB       0x300000000000ull
#define PSERIES_XIVE_TIMA      0x300080000000ull

/* Lines (pseries-irq.h): level-triggered ones. */
#define PSERIES_IRQ_PCI 16u /* INTx: 16 .. 23 */

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The pseries machine's address map and interrupt lines. Nobody outside powerpc/ includes this: devices learn
 * their places from the board table in pseries.c, the guest from the device tree.
 *
 *   0000_0000_0000  +------------------+  RAM, as much as there is: kernel, RTAS,
 *                   |                  |  device tree; initrd at its end
 *   2000_0000_0000  | PCI I/O          |  64 KiB
 *   2000_0001_0000  | MSI doorbell     |  an address that messages have; nobody answers there
 *   2000_0010_0000  | exit code        |
 *   2000_0011_0000  | boot timer       |
 *   2000_0012_0000  | --testdev        |  registers
 *   2000_0013_0000  | --testdev memory |
 *   2000_8000_0000  | PCI memory       |  2 GiB, which are 8000_0000 to ffff_ffff on the bus
 *   2100_0000_0000  | PCI 64-bit memory|  1 TiB
 *   3000_0000_0000  | XIVE sources     |  two pages of the host's size each
 *   3000_8000_0000  | XIVE thread area |  four pages
 *                   +------------------+
 *
 * All below 2^46, which every guest can map, and on multiples of 64 KiB, the largest page that a host or a
 * guest has.
 */
#ifndef LKVM_POWERPC_PSERIES_LAYOUT_H
#define LKVM_POWERPC_PSERIES_LAYOUT_H

#include <lkvm/types.h>

#define PSERIES_PAGE_MAX       0x10000ull
#define PSERIES_RAM_MAX	       0x200000000000ull
#define PSERIES_PCI_IO	       0x200000000000ull
#define PSERIES_PCI_IO_SIZE    0x10000ull
#define PSERIES_MSI_DOORBELL   0x200000010000ull
#define PSERIES_EXIT	       0x200000100000ull
#define PSERIES_BOOT_TIMER     0x200000110000ull
#define PSERIES_TESTDEV	       0x200000120000ull
#define PSERIES_TESTDEV_MEM    0x200000130000ull
#define PSERIES_PCI_MEM32      0x200080000000ull
#define PSERIES_PCI_MEM32_BUS  0x80000000ull
#define PSERIES_PCI_MEM32_SIZE 0x80000000ull
#define PSERIES_PCI_MEM64      0x210000000000ull
#define PSERIES_PCI_MEM64_SIZE 0x10000000000ull
#define PSERIES_XIVE_ESB       0x300000000000ull
#define PSERIES_XIVE_TIMA      0x300080000000ull

/* Lines (pseries-irq.h): level-triggered ones. */
#define PSERIES_IRQ_PCI	     16u /* INTx: 16 .. 23 */
#define PSERIES_IRQ_VTERM(n) (24u + (n))
#define PSERIES_IRQ_EPOW     28u

/* The unit address of a virtual terminal, which is its name in hypercalls too. */
#define PSERIES_VTERM(n) (0x30000000u + (n))

#endif

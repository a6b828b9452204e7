/* SPDX-License-Identifier: MIT */
/*
 * The e500 board's address map, of 36 bits. Only the e500 files include this: devices learn their places from
 * the board table in e500.c, guests from the device tree.
 *
 *   0_0000_0000  +----------------------+  RAM: kernel, device tree; the initrd at the end
 *                |                      |  of what a 32-bit kernel reaches at any time
 *   c_0000_0000  | PCI memory window    |  c000_0000 to dfff_ffff on the bus
 *   e_0000_0000  | virtio-mmio devices  |  one page each
 *   e_1000_0000  | PCI I/O              |  64 KiB
 *   f_e000_0000  | CCSR                 |  1 MiB: the registers of the system on a chip
 *        0_4500  |   UARTs 0 to 3       |  0x100 each
 *        0_8000  |   PCI host           |
 *        4_0000  |   MPIC               |  256 KiB, in the kernel; of messages at 4_1600
 *        e_0000  |   global utilities   |  reset, power-off
 *   f_e010_0000  | pvpanic              |
 *   f_e011_0000  | exit code            |
 *   f_e012_0000  | --testdev registers  |
 *   f_e013_0000  | --testdev memory     |
 *   f_e014_0000  | boot timer           |
 *   f_e015_0000  | spin table           |  one page, 32 bytes a vCPU
 *                +----------------------+  f_ffff_ffff
 */
#ifndef LKVM_POWERPC_E500_LAYOUT_H
#define LKVM_POWERPC_E500_LAYOUT_H

#include <lkvm/types.h>

#define E500_RAM	     0x000000000ull
#define E500_PCI_MEM	     0xc00000000ull
#define E500_PCI_MEM_BUS     0xc0000000ull
#define E500_PCI_MEM_SIZE    0x20000000ull
#define E500_VIRTIO_MMIO     0xe00000000ull
#define E500_VIRTIO_MMIO_MAX 16u
#define E500_PCI_IO	     0xe10000000ull
#define E500_PCI_IO_SIZE     0x10000ull
#define E500_CCSR	     0xfe0000000ull
#define E500_CCSR_SIZE	     0x100000ull
#define E500_UART(n)	     (E500_CCSR + 0x4500 + (n)*0x100ull)
#define E500_PCI	     (E500_CCSR + 0x8000)
#define E500_PCI_SIZE	     0x1000ull
#define E500_MPIC	     (E500_CCSR + 0x40000)
#define E500_MPIC_SIZE	     0x40000ull
#define E500_MSI	     (E500_MPIC + 0x1600)
#define E500_MSI_READ_SIZE   0x80ull
#define E500_MSIIR	     (E500_MSI + 0x140)
#define E500_GUTS	     (E500_CCSR + 0xe0000)
#define E500_GUTS_SIZE	     0x1000ull
#define E500_PVPANIC	     0xfe0100000ull
#define E500_EXIT	     0xfe0110000ull
#define E500_TESTDEV	     0xfe0120000ull
#define E500_TESTDEV_MEM     0xfe0130000ull
#define E500_BOOT_TIMER	     0xfe0140000ull
#define E500_SPIN	     0xfe0150000ull
#define E500_SPIN_ENTRY	     0x20u
#define E500_BOARD_END	     0xfe0160000ull

/*
 * Interrupt line n is source n of the MPIC: 0 to 11 are external pins, those from 16 up internal ones, always
 * by level. An MPIC 2.0 has 80. Sources from E500_IRQ_MSI up are its message registers'.
 */
#define E500_IRQ_UART(n)   (40u + (n)) /* 40 .. 43 */
#define E500_IRQ_TESTDEV   44
#define E500_IRQ_PCI	   48 /* INTx: 48 .. 55 */
#define E500_IRQ_VIRTIO	   56 /* virtio-mmio devices: 56 .. 71 */
#define E500_IRQ_SCRATCH   72 /* nobody's: to try things on */
#define E500_NR_LINES	   80
#define E500_IRQ_MSI	   224
#define E500_NR_MSI_GROUPS 8

#define E500_MAX_CPUS 32

#endif

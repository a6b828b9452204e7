/* SPDX-License-Identifier: MIT */
/*
 * The arm64 board's address map. Nobody outside arm/ includes this: devices learn their places from the board
 * table in machine.c, guests from the device tree.
 *
 *   0000_0000  +-----------------------+  nothing: a guest's null pointers come out as accesses to nowhere
 *   0100_0000  | UARTs 0 to 3          |  one page each
 *   0101_0000  | RTC                   |
 *   0102_0000  | pvpanic               |
 *   0103_0000  | exit code             |
 *   0104_0000  | --testdev registers   |
 *   0105_0000  | --testdev memory      |
 *   0106_0000  | GPIO: power button    |
 *   0107_0000  | stolen time           |  RAM of 64 KiB that is in no memory node, 64 bytes a vCPU
 *   0200_0000  | CFI flash             |  64 MiB at the most
 *   0800_0000  | GIC distributor       |
 *   0801_0000  | GICv2 CPU interface   |
 *   0802_0000  | GICv2m frame          |
 *   0808_0000  | GICv3 ITS             |
 *   080a_0000  | GICv3 redistributors  |  of vCPUs 0 to 122
 *   1000_0000  | further ones          |  of vCPUs 123 to 511
 *   4000_0000  | boot timer            |
 *   4100_0000  | PCI I/O               |
 *   4180_0000  | virtio-mmio devices   |  one page each
 *   4200_0000  | PCI ECAM, bus 0       |
 *   5000_0000  | PCI memory window     |
 *   8000_0000  +-----------------------+  RAM: kernel, device tree, initrd at its end
 *              |                       |
 *              | PCI 64-bit window     |  the last 1/4 of the guest's physical address space, where RAM ends
 * below
 *
 * Everything that KVM maps lies on multiples of 64 KiB, the largest page that a host or a guest may have.
 */
#ifndef LKVM_ARM_LAYOUT_H
#define LKVM_ARM_LAYOUT_H

#include <lkvm/types.h>

#define ARM_PAGE_MAX 0x10000ull

#define ARM_UART(n)	    (0x01000000ull + (n)*0x1000ull)
#define ARM_RTC		    0x01010000ull
#define ARM_PVPANIC	    0x01020000ull
#define ARM_EXIT	    0x01030000ull
#define ARM_TESTDEV	    0x01040000ull
#define ARM_TESTDEV_MEM	    0x01050000ull
#define ARM_GPIO	    0x01060000ull
#define ARM_PVTIME	    0x01070000ull
#define ARM_PVTIME_SIZE	    0x10000ull
#define ARM_FLASH	    0x02000000ull
#define ARM_GIC_DIST	    0x08000000ull
#define ARM_GIC_DIST_SIZE   0x10000ull
#define ARM_GIC_CPU	    0x08010000ull
#define ARM_GIC_CPU_SIZE    0x2000ull
#define ARM_GIC_V2M	    0x08020000ull
#define ARM_GIC_V2M_SIZE    0x1000ull
#define ARM_GIC_ITS	    0x08080000ull
#define ARM_GIC_ITS_SIZE    0x20000ull
#define ARM_GIC_REDIST	    0x080a0000ull
#define ARM_GIC_REDIST_MAX  123u /* vCPUs of the first region */
#define ARM_GIC_REDIST2	    0x10000000ull
#define ARM_GIC_REDIST2_MAX 389u
#define ARM_GIC_REDIST_SIZE 0x20000ull /* one vCPU's */
#define ARM_BOOT_TIMER	    0x40000000ull
#define ARM_PCI_IO	    0x41000000ull
#define ARM_PCI_IO_SIZE	    0x10000ull
#define ARM_VIRTIO_MMIO	    0x41800000ull
#define ARM_VIRTIO_MMIO_MAX 32u
#define ARM_ECAM	    0x42000000ull
#define ARM_ECAM_SIZE	    0x100000ull
#define ARM_PCI_MEM	    0x50000000ull
#define ARM_PCI_MEM_SIZE    0x30000000ull
#define ARM_RAM		    0x80000000ull

/*
 * Interrupt line n is SPI n, INTID 32 + n. Lines from ARM_V2M_LINE up belong to the GICv2m frame's messages;
 * the other GICs leave them unused.
 */
#define ARM_IRQ_UART(n) (1u + (n)) /* 1 .. 4 */
#define ARM_IRQ_RTC	5
#define ARM_IRQ_GPIO	6
#define ARM_IRQ_TESTDEV 10
#define ARM_IRQ_PCI	16 /* INTx: 16 .. 23 */
#define ARM_IRQ_VIRTIO	24 /* virtio-mmio devices: 24 .. 55 */
#define ARM_NR_LINES	64
#define ARM_V2M_LINE	64
#define ARM_V2M_LINES	160
#define ARM_NR_IRQS	(32 + ARM_V2M_LINE + ARM_V2M_LINES) /* INTIDs that the GIC has: a multiple of 32 */
#define ARM_FIRST_SPI	32

/* Private peripheral interrupts, as INTIDs; in the device tree they count from 16. */
#define ARM_PPI_GIC_MAINT 25
#define ARM_PPI_HYP_TIMER 26
#define ARM_PPI_VTIMER	  27
#define ARM_PPI_SEC_TIMER 29
#define ARM_PPI_PTIMER	  30
#define ARM_PPI_PMU	  23

#endif

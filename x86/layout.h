/* SPDX-License-Identifier: MIT */
/*
 * The x86 board's address map. Nobody outside x86/ includes this: devices learn their places from the board
 * table in machine.c.
 *
 *   0000_0000  +-----------------------+  RAM, low part
 *              |  0500 boot GDT        |
 *              |  7000 boot_params     |  the real-mode "zero page", or PVH start info
 *              |  9000 page tables     |  identity map of 4 GiB, 6 pages, gone once the kernel has its own
 *              | 2_0000 command line   |
 *              | 9_fc00 EBDA           |  reserved in the e820 map, as on every PC
 *   000a_0000  |  legacy hole          |  RAM behind it, but reserved in the e820 map
 *              |  e_0000 ACPI tables   |  RSDP first, within the area a BIOS scan covers
 *              |  f_fff0 reset vector  |
 *              |  f_0000 MP table      |  floating pointer first, likewise
 *   0010_0000  |  kernel, initrd       |
 *   c000_0000  +-----------------------+  end of low RAM at the most
 *   c000_0000  | boot timer, exit code |  one page each
 *   c080_0000  | virtio-mmio devices   |  one page each
 *   c100_0000  | PCI memory window     |
 *   e000_0000  | ECAM, bus 0           |  1 MiB
 *   fec0_0000  | I/O APIC              |
 *   fee0_0000  | local APICs           |
 *   ff00_0000  | --testdev memory      |  64 KiB
 *   fffb_c000  | KVM's own pages       |  Intel real-mode identity map and TSS
 *   1_0000_0000+-----------------------+  RAM, high part
 *              |                       |
 *              | PCI 64-bit window     |  the last 1/4 of the guest's physical address space
 *
 * Ports: 020 0a0 4d0 PIC, 040 061 PIT, 060 064 i8042, 070 RTC, 080 POST, 0e0.. --testdev, 0e9 debug,
 * 0f4 exit code, 2e8 2f8 3e8 3f8 serial, 3f0 boot timer, 402 debug, 505 pvpanic, 600 sleep and reset and
 * event registers, cf8 PCI, c000.. BARs.
 */
#ifndef LKVM_X86_LAYOUT_H
#define LKVM_X86_LAYOUT_H

#include <lkvm/types.h>

#define X86_BOOT_GDT	 0x500ull
#define X86_ZERO_PAGE	 0x7000ull
#define X86_BOOT_STACK	 0x8ff0ull
#define X86_BOOT_PGTABLE 0x9000ull  /* PML4, PDPT, 4 PDs */
#define X86_PVH_INFO	 0x10000ull /* start info, module list, memory map */
#define X86_CMDLINE	 0x20000ull
#define X86_CMDLINE_MAX	 0x10000ull
#define X86_EBDA	 0x9fc00ull
#define X86_MPTABLE	 0xf0000ull /* floating pointer, then the table */
#define X86_MPTABLE_SIZE 0xff00ull
#define X86_RESET_VECTOR 0xffff0ull /* f000:fff0, with a stub that resets (boot-tables.c) */
#define X86_LOW_HOLE	 0xa0000ull
#define X86_ACPI	 0xe0000ull /* RSDP at its start; tables that do not fit go below the top of RAM */
#define X86_ACPI_SIZE	 0x10000ull
#define X86_HIGH_MEM	 0x100000ull

#define X86_RAM_HOLE	 0xc0000000ull /* RAM goes on at 4 GiB */
#define X86_BOOT_TIMER	 0xc0000000ull
#define X86_EXIT_MMIO	 0xc0001000ull
#define X86_VIRTIO_MMIO	 0xc0800000ull
#define X86_PCI_MEM	 0xc1000000ull
#define X86_PCI_MEM_END	 0xe0000000ull
#define X86_ECAM	 0xe0000000ull
#define X86_ECAM_SIZE	 0x100000ull /* bus 0 */
#define X86_IOAPIC	 0xfec00000ull
#define X86_LAPIC	 0xfee00000ull
#define X86_TESTDEV_MEM	 0xff000000ull
#define X86_IDENTITY_MAP 0xfffbc000ull
#define X86_TSS		 0xfffbd000ull /* 3 pages */
#define X86_RAM_HIGH	 0x100000000ull

#define X86_PORT_POWER	 0x600 /* +0 sleep control, +1 sleep status, +2 reset, +4 event (hw/power.c) */
#define X86_PORT_PVPANIC 0x505
#define X86_PORT_EXIT	 0xf4
#define X86_PORT_PCI	 0xcf8
#define X86_PCI_IO	 0xc000 /* and up: what BARs may have */

/* I/O APIC input lines (GSIs). PCI INTx and virtio-mmio devices share those from 16 up. */
#define X86_IRQ_POWER 9 /* the generic event device: power button */
#define X86_IRQ_PCI   16
#define X86_NR_LINES  24

#define X86_IOAPIC_ID(nr_cpus) ((u8)((nr_cpus) < 255 ? (nr_cpus) : 0))

#endif

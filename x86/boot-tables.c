/* SPDX-License-Identifier: MIT */
/*
 * What several boot protocols need: the memory map as the guest is told it, the boot GDT, and the identity
 * map for those that start in long mode.
 */
#include "layout.h"
#include "x86.h"
#include <errno.h>
#include <lkvm/boot.h>
#include <lkvm/hw.h>

#define E820_RAM      1
#define E820_RESERVED 2
#define E820_ACPI     3

#define PTE_PRESENT 0x1ull
#define PTE_WRITE   0x2ull
#define PTE_LARGE   0x80ull

static u32 add(struct x86_e820 *map, u32 n, u64 start, u64 end, u32 type)
{
	if (end > start)
		map[n++] = (struct x86_e820){.addr = start, .size = end - start, .type = type};
	return n;
}

u32 x86_e820(const struct kvm *kvm, struct x86_e820 *map)
{
	const struct x86_machine *m = x86_of(kvm);
	u64 acpi = m->acpi_high, acpi_end = m->acpi_high + m->acpi_high_size;
	u32 n = 0;

	n = add(map, n, 0, X86_EBDA, E820_RAM);
	n = add(map, n, X86_EBDA, X86_LOW_HOLE, E820_RESERVED);
	n = add(map, n, X86_ACPI, X86_HIGH_MEM, E820_RESERVED);
	if (m->acpi_high_size) {
		n = add(map, n, X86_HIGH_MEM, acpi, E820_RAM);
		n = add(map, n, acpi, acpi_end, E820_ACPI);
		n = add(map, n, acpi_end, m->low_ram, E820_RAM);
	} else {
		n = add(map, n, X86_HIGH_MEM, m->low_ram, E820_RAM);
	}
	n = add(map, n, X86_ECAM, X86_ECAM + X86_ECAM_SIZE, E820_RESERVED);
	n = add(map, n, X86_TSS & ~0xffffull, X86_RAM_HIGH, E820_RESERVED);
	return add(map, n, X86_RAM_HIGH, X86_RAM_HIGH + m->high_ram, E820_RAM);
}

gpa_t x86_low_end(const struct kvm *kvm)
{
	const struct x86_machine *m = x86_of(kvm);

	return m->acpi_high_size ? m->acpi_high : m->low_ram;
}

int x86_check_place(const struct kvm *kvm, const struct boot_image *img, gpa_t low, gpa_t high)
{
	if (low < X86_HIGH_MEM) {
		log_error("%s: wants to be loaded below 1 MiB, where the boot tables are", img->path);
		return -ENOEXEC;
	}
	if (high > x86_low_end(kvm)) {
		log_error(
			"%s: does not fit into guest memory, which ends for it at 0x%llx; give the guest more (-m)",
			img->path, (unsigned long long)x86_low_end(kvm));
		return -ENOSPC;
	}
	return 0;
}

/* The GDT that the boot protocols ask for: __BOOT_CS at 0x10, __BOOT_DS at 0x18, a TSS behind them. */
int x86_boot_gdt(struct kvm *kvm, bool long_mode)
{
	const u64 gdt[5] = {
		0,
		0,
		long_mode ? 0x00af9b000000ffffull : 0x00cf9b000000ffffull,
		0x00cf93000000ffffull,
		0x00008b0000000067ull,
	};

	return guest_write(&kvm->mem, X86_BOOT_GDT, gdt, sizeof(gdt));
}

/*
 * A kernel may reset by jumping to where a BIOS begins. Linux does so when ACPI is hardware-reduced and there
 * is no EFI: it leaves the ACPI reset register aside (efi_reboot_required()). What it finds there is this.
 */
int x86_reset_vector(struct kvm *kvm)
{
	static const u8 stub[] = {
		0xba,
		(X86_PORT_POWER + POWER_RESET) & 0xff,
		(X86_PORT_POWER + POWER_RESET) >> 8, /* mov dx, reset */
		0xb0,
		POWER_RESET_VALUE, /* mov al, value */
		0xee,		   /* out dx, al */
		0xf4,		   /* hlt */
		0xeb,
		0xfd, /* jmp to the hlt */
	};

	return guest_write(&kvm->mem, X86_RESET_VECTOR, stub, sizeof(stub));
}

/* Identity map of the first 4 GiB by 2 MiB pages: PML4, one PDPT, four page directories. */
int x86_long_mode_tables(struct kvm *kvm)
{
	u64 *table = guest_ptr(&kvm->mem, X86_BOOT_PGTABLE, 6 * 4096);

	if (!table)
		return -EFAULT;
	table[0] = (X86_BOOT_PGTABLE + 0x1000) | PTE_PRESENT | PTE_WRITE;
	for (u64 i = 0; i < 4; i++)
		table[512 + i] = (X86_BOOT_PGTABLE + 0x2000 + i * 0x1000) | PTE_PRESENT | PTE_WRITE;
	for (u64 i = 0; i < 4 * 512; i++)
		table[1024 + i] = i << 21 | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
	return x86_boot_gdt(kvm, true);
}

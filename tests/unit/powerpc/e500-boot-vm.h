/* SPDX-License-Identifier: MIT */
/*
 * VMs of the e500 machine that have booted, on the fake KVM: with a kernel in memory, ELF or in a U-Boot
 * image, and a device tree.
 */
#ifndef LKVM_TEST_E500_BOOT_VM_H
#define LKVM_TEST_E500_BOOT_VM_H

#include "e500-vm.h"

#include "zimage-build.h"

#define KERNEL_VIRT 0xc0000000u
#define KERNEL_SIZE MiB(4) /* in memory; most of it is BSS */
#define KERNEL_FILE 0x1000u

/* As Linux's vmlinux is: one segment, linked high, entered at its beginning. */
static inline struct elf_build e500_kernel(void)
{
	return (struct elf_build){
		.big = true,
		.machine = EM_PPC,
		.entry = KERNEL_VIRT,
		.phnum = 1,
		.ph = {{PT_LOAD, 0x1000, KERNEL_VIRT, 0, KERNEL_FILE, KERNEL_SIZE}},
	};
}

/* `lkvm run -k THAT -m MEM ...more` up to a step. */
static inline int e500_up_file(const void *data, size_t size, u64 mem, const char *const *more)
{
	struct vm_file f = vm_file(data, size);
	int err = vm_up(f.path, mem, "boot", more);

	close(f.fd);
	return err;
}

static inline int e500_up_image(struct elf_build *b, u64 mem, const char *const *more)
{
	struct boot_image img = elf_image(b);

	for (u32 i = 0; i < KERNEL_FILE; i++)
		b->file[0x1000 + i] = (u8)(i * 7);
	return e500_up_file(b->file, img.size, mem, more);
}

static inline int e500_booted(const char *const *more)
{
	struct elf_build b = e500_kernel();

	return e500_up_image(&b, E500_MEM, more);
}

/* A legacy U-Boot image; each field of its header can be made a lie afterwards. */
struct uimage {
	u8 file[16384];
	size_t size;
};

static inline u32 uimage_header_crc(const u8 *header)
{
	u8 copy[64];

	memcpy(copy, header, sizeof(copy));
	memset(copy + 4, 0, 4);
	return (u32)crc32(0, copy, sizeof(copy));
}

enum uimage_field {
	UIMAGE_MAGIC = 0,
	UIMAGE_HCRC = 4,
	UIMAGE_SIZE = 12,
	UIMAGE_LOAD = 16,
	UIMAGE_ENTRY = 20,
	UIMAGE_DCRC = 24,
	UIMAGE_OS = 28, /* these four: one byte each */
	UIMAGE_ARCH = 29,
	UIMAGE_TYPE = 30,
	UIMAGE_COMP = 31,
	UIMAGE_NAME = 32,
	UIMAGE_HEADER = 64,
};

/* The header's CRC is right after it, unless that is what was put. */
static inline void uimage_put(struct uimage *u, enum uimage_field at, u32 v)
{
	put_field(u->file + at, at < UIMAGE_OS ? 4 : 1, true, v);
	if (at != UIMAGE_HCRC)
		uimage_put(u, UIMAGE_HCRC, uimage_header_crc(u->file));
}

static inline struct uimage uimage(const void *data, size_t len, u32 load, u32 entry, u8 comp)
{
	struct uimage u = {.size = UIMAGE_HEADER + len};

	assert_true(u.size <= sizeof(u.file));
	uimage_put(&u, UIMAGE_MAGIC, 0x27051956);
	uimage_put(&u, UIMAGE_SIZE, (u32)len);
	uimage_put(&u, UIMAGE_LOAD, load);
	uimage_put(&u, UIMAGE_ENTRY, entry);
	uimage_put(&u, UIMAGE_OS, 5);
	uimage_put(&u, UIMAGE_ARCH, 7);
	uimage_put(&u, UIMAGE_TYPE, 2);
	uimage_put(&u, UIMAGE_COMP, comp);
	memcpy(u.file + UIMAGE_NAME, "a kernel", 8);
	if (len)
		memcpy(u.file + UIMAGE_HEADER, data, len);
	uimage_put(&u, UIMAGE_DCRC, (u32)crc32(0, u.file + UIMAGE_HEADER, (uInt)len));
	return u;
}

/* An access as a big-endian guest makes it, of len bytes. */
static inline void guest_store(u64 addr, u32 len, u64 v)
{
	u8 data[8];

	put_field(data, len, true, v);
	assert_true(bus_access(&vm.kvm, &vm.kvm.vcpu[0], BUS_MMIO, addr, data, len, true));
}

static inline u64 guest_load(u64 addr, u32 len)
{
	u8 data[8] = {0};
	u64 v = 0;

	assert_true(bus_access(&vm.kvm, &vm.kvm.vcpu[0], BUS_MMIO, addr, data, len, false));
	for (u32 i = 0; i < len; i++)
		v = v << 8 | data[i];
	return v;
}

#endif

// SPDX-License-Identifier: MIT
/*
 * Accesses of every width, kind and alignment, as KVM hands them out, against --testdev's echo ports (0xe0 to
 * 0xe3) and memory (64 KiB at 0xff000000), and past both ends of each. Runs in 32 and in 64 bits.
 */
#include "guest.h"

#define ECHO	0xe0
#define MEM	0xff000000ul
#define MEM_END (MEM + 0x10000)

static u8 buffer[0x3000] __attribute__((aligned(4096)));

static void ports(void)
{
	bool bytes = true;

	outl(ECHO, 0x12345678);
	check_eq(inl(ECHO), 0x12345678, "port, 4 bytes");
	for (u32 i = 0; i < 4; i++)
		bytes = bytes && inb((u16)(ECHO + i)) == (u8)(0x12345678 >> 8 * i);
	check(bytes, "port, each byte of 4");
	check_eq(inw(ECHO), 0x5678, "port, 2 bytes");
	check_eq(inw(ECHO + 2), 0x1234, "port, 2 more bytes");
	check_eq(inw(ECHO + 1), 0x3456, "port, 2 bytes off their alignment");
	outb(ECHO + 1, 0xaa);
	check_eq(inl(ECHO), 0x1234aa78, "port, a byte written among 4");
	outw(ECHO + 2, 0xbbcc);
	check_eq(inl(ECHO), 0xbbccaa78, "port, 2 bytes written among 4");

	outl(ECHO, 0x12345678);
	check_eq(inl(ECHO + 2) & 0xffff, 0x1234, "port, a read across the end of a device");
	check_eq(inl(ECHO - 1), 0x345678ff, "port, a read across its beginning, nobody before it");
	check_eq(inw(ECHO - 1), 0x78ff, "port, 2 bytes across its beginning");
	outl(ECHO + 2, 0xa1b2c3d4);
	check_eq(inl(ECHO), 0xc3d45678, "port, a write across the end");
	outl(ECHO - 2, 0xa1b2c3d4);
	check_eq(inl(ECHO), 0xc3d4a1b2, "port, a write across the beginning");
	check_eq(inb(0xffff), 0xff, "the last port");
	outl(0xffff, 0);
	outw(0xffff, 0);
	check_eq(inl(0xffff) & 0xff, 0xff, "4 bytes at the last port");
}

static void strings(void)
{
	bool same = true;

	for (u32 i = 0; i < sizeof(buffer); i++)
		buffer[i] = (u8)(i * 31 >> 3);
	outsb(ECHO, buffer, 100);
	check_eq(inb(ECHO), buffer[99], "rep outsb: the last of 100 bytes stays");
	outsw(ECHO, buffer, 50);
	check_eq(inw(ECHO), buffer[98] | (u32)buffer[99] << 8, "rep outsw");
	/* Across a page of the guest's memory, and more than a page's worth. */
	outsl(ECHO, buffer + 0xffe, 0x600);
	check_eq(inb(ECHO), buffer[0xffe + 4 * 0x5ff], "rep outsl across pages");
	outl(ECHO, 0x89abcdef);
	memset(buffer, 0, sizeof(buffer));
	insl(ECHO, buffer + 0xffa, 0x500);
	for (u32 i = 0; i < 4 * 0x500; i++)
		same = same && buffer[0xffa + i] == (u8)(0x89abcdef >> 8 * (i % 4));
	check(same && !buffer[0xff9] && !buffer[0xffa + 4 * 0x500],
	      "rep insl across pages, and no byte beyond");
	memset(buffer, 0, 64);
	insw(ECHO + 2, buffer, 8);
	check(buffer[0] == 0xab && buffer[1] == 0x89 && buffer[15] == 0x89 && !buffer[16], "rep insw");
	memset(buffer, 0, 64);
	insb(ECHO + 3, buffer, 9);
	check(buffer[0] == 0x89 && buffer[8] == 0x89 && !buffer[9], "rep insb");
	/* A line by string output, as a kernel's early console has it. */
	outsb(COM1, "ok rep outsb to the serial port\r\n", 33);
}

static void memory(void)
{
	bool bytes = true;
	u32 v = 0x01020304;

	write32(MEM, 0x12345678);
	check_eq(read32(MEM), 0x12345678, "memory, 4 bytes");
	for (u32 i = 0; i < 4; i++)
		bytes = bytes && read8(MEM + i) == (u8)(0x12345678 >> 8 * i);
	check(bytes, "memory, each byte of 4");
	check_eq(read16(MEM + 1), 0x3456, "memory, 2 bytes off their alignment");
	write8(MEM + 1, 0xaa);
	write16(MEM + 2, 0xbbcc);
	check_eq(read32(MEM), 0xbbccaa78, "memory, bytes written among 4");
	write32(MEM + 0x1ffe, 0xcafef00d);
	check_eq(read32(MEM + 0x1ffe), 0xcafef00d, "memory, across a page");
	check_eq(read16(MEM + 0x2000), 0xcafe, "memory, the half behind it");
#ifdef __x86_64__
	write64(MEM + 8, 0x1122334455667788);
	check_eq(read64(MEM + 8), 0x1122334455667788, "memory, 8 bytes");
	check_eq(read32(MEM + 12), 0x11223344, "memory, the upper 4 of 8");
	write64(MEM + 0x2ffd, 0x1122334455667788);
	check_eq(read64(MEM + 0x2ffd), 0x1122334455667788, "memory, 8 bytes across a page");
	check_eq(read64(MEM_END - 4) >> 32, 0xffffffff, "memory, 8 bytes across the end");
	check_eq(read64(MEM - 5) & 0xffffffffff, 0xffffffffff, "memory, 8 bytes across the beginning");
#endif
	write32(MEM_END - 4, 0x0badf00d);
	check_eq(read32(MEM_END - 4), 0x0badf00d, "memory, the last 4 bytes");
	check_eq(read8(MEM_END - 1), 0x0b, "memory, the last byte");
	check_eq(read32(MEM_END - 2), 0xffff0bad, "memory, a read across the end");
	write32(MEM_END - 2, 0x55667788);
	check_eq(read32(MEM_END - 4), 0x7788f00d, "memory, a write across the end");
	check_eq(read32(MEM_END), 0xffffffff, "memory, nobody behind it");
	write32(MEM, 0x12345678);
	check_eq(read32(MEM - 2), 0x5678ffff, "memory, a read across the beginning");
	write32(MEM - 1, 0xaabbccdd);
	check_eq(read32(MEM), 0x12aabbcc, "memory, a write across the beginning");

	/* Read, change and write in one instruction. */
	write32(MEM + 0x100, 41);
	asm volatile("lock incl %0" : "+m"(*(volatile u32 *)(MEM + 0x100)) : : "memory");
	check_eq(read32(MEM + 0x100), 42, "lock inc of a device's memory");
	asm volatile("orl %1, %0" : "+m"(*(volatile u32 *)(MEM + 0x100)) : "r"(0x100) : "memory");
	check_eq(read32(MEM + 0x100), 0x12a, "or into a device's memory");
	asm volatile("xchgl %0, %1" : "+r"(v), "+m"(*(volatile u32 *)(MEM + 0x100)) : : "memory");
	check(v == 0x12a && read32(MEM + 0x100) == 0x01020304, "xchg with a device's memory");

	/* Strings to and from it. */
	for (u32 i = 0; i < 256; i++)
		buffer[i] = (u8)(i ^ 0x5a);
	memcpy((void *)(MEM + 0x3ff0), buffer, 256);
	memset(buffer + 0x1000, 0, 256);
	memcpy(buffer + 0x1000, (void *)(MEM + 0x3ff0), 256);
	check(!memcmp(buffer, buffer + 0x1000, 256), "rep movsb there and back");
	memcpy((void *)(MEM + 0x5000), (void *)(MEM + 0x3ff0), 64);
	check_eq(read32(MEM + 0x503c), read32(MEM + 0x402c), "rep movsb from device to device");
}

void main(void)
{
	ports();
	strings();
	memory();
	finish();
}

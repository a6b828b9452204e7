// SPDX-License-Identifier: MIT
/* The payloads' console and memory; more is in ../common.c. 32 and 64 bits, so no 64-bit division. */
#include "guest.h"
#include <stdarg.h>

struct boot boot;

void putch(char c)
{
	while (!(inb(COM1 + 5) & 0x20))
		cpu_relax();
	outb(COM1, (u8)c);
}

static void put_number(u64 v, bool hex, int width, char fill)
{
	char digits[24];
	int n = 0;

	do {
		if (hex) {
			digits[n++] = "0123456789abcdef"[v & 15];
			v >>= 4;
		} else {
			/* Decimal numbers that matter here fit 32 bits; larger ones are told in hex. */
			digits[n++] = (char)('0' + (u32)v % 10);
			v = (u32)v / 10;
		}
	} while (v);
	while (width-- > n)
		putch(fill);
	while (n)
		putch(digits[--n]);
}

void printf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		int width = 0, longs = 0;
		char fill = ' ';

		if (*fmt != '%') {
			if (*fmt == '\n')
				putch('\r');
			putch(*fmt);
			continue;
		}
		if (*++fmt == '0')
			fill = '0';
		while (*fmt >= '0' && *fmt <= '9')
			width = width * 10 + *fmt++ - '0';
		while (*fmt == 'l') {
			longs++;
			fmt++;
		}
		switch (*fmt) {
		case 'd': {
			int v = va_arg(ap, int);

			if (v < 0)
				putch('-');
			put_number((u32)(v < 0 ? -v : v), false, width, fill);
			break;
		}
		case 'u':
		case 'x': {
			u64 v = longs == 2   ? va_arg(ap, u64)
				: longs == 1 ? va_arg(ap, unsigned long)
					     : va_arg(ap, unsigned int);

			put_number(v, *fmt == 'x', width, fill);
			break;
		}
		case 's': {
			const char *s = va_arg(ap, const char *);

			while (*s)
				putch(*s++);
			break;
		}
		case 'c':
			putch((char)va_arg(ap, int));
			break;
		default:
			putch(*fmt);
			break;
		}
	}
	va_end(ap);
}

void exit_with(u32 code)
{
	outb(EXIT_PORT, (u8)code);
	halt();
}

void halt(void)
{
	for (;;)
		asm volatile("cli; hlt" : : : "memory");
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *ret = to;

	asm volatile("cld; rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return ret;
}

void *memset(void *to, int c, size_t n)
{
	void *ret = to;

	asm volatile("cld; rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return ret;
}

static u32 cksum_byte(u32 crc, u8 byte)
{
	crc ^= (u32)byte << 24;
	for (int i = 0; i < 8; i++)
		crc = crc & 0x80000000 ? crc << 1 ^ 0x04c11db7 : crc << 1;
	return crc;
}

u32 cksum(const u8 *data, u32 len)
{
	u32 crc = 0;

	for (u32 i = 0; i < len; i++)
		crc = cksum_byte(crc, data[i]);
	for (u32 n = len; n; n >>= 8)
		crc = cksum_byte(crc, (u8)n);
	return ~crc;
}

u8 sum8(const void *data, u32 len)
{
	const u8 *p = data;
	u8 sum = 0;

	while (len--)
		sum = (u8)(sum + *p++);
	return sum;
}

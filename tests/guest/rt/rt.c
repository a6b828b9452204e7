// SPDX-License-Identifier: MIT
/* The payloads' console, checks, strings. 32 and 64 bits; no 64-bit division (there is no libgcc). */
#include "guest.h"
#include <stdarg.h>

struct boot boot;
static u32 failures;

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

void check_at(bool ok, const char *what, const char *file, int line)
{
	if (ok) {
		printf("ok %s\n", what);
		return;
	}
	failures++;
	printf("not ok %s\n# at %s:%d\n", what, file, line);
}

void check_eq_at(u64 got, u64 want, const char *what, const char *file, int line)
{
	check_at(got == want, what, file, line);
	if (got != want)
		printf("# got 0x%llx, expected 0x%llx\n", (unsigned long long)got, (unsigned long long)want);
}

void exit_with(u32 code)
{
	outb(EXIT_PORT, (u8)code);
	halt();
}

void finish(void)
{
	printf("done\n");
	exit_with(failures ? 1 : 0);
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

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *p = a, *q = b;

	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

/* Where `word` stands in the command line as a word of its own, or in front of '='; what follows it. */
static const char *find_word(const char *word)
{
	size_t n = strlen(word);
	const char *s = boot.cmdline;

	while (s && *s) {
		while (*s == ' ')
			s++;
		if (!memcmp(s, word, n < strlen(s) ? n : strlen(s)) && strlen(s) >= n &&
		    (s[n] == 0 || s[n] == ' ' || s[n] == '='))
			return s + n;
		while (*s && *s != ' ')
			s++;
	}
	return NULL;
}

bool has_word(const char *word)
{
	return find_word(word) != NULL;
}

u32 option(const char *name, u32 otherwise)
{
	const char *s = find_word(name);
	u32 v = 0;

	if (!s || *s != '=')
		return otherwise;
	s++;
	if (s[0] == '0' && s[1] == 'x') {
		for (s += 2; *s && *s != ' '; s++)
			v = v << 4 | (u32)(*s <= '9' ? *s - '0' : (*s | 32) - 'a' + 10);
	} else {
		for (; *s >= '0' && *s <= '9'; s++)
			v = v * 10 + (u32)(*s - '0');
	}
	return v;
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

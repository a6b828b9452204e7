// SPDX-License-Identifier: MIT
/* The payloads' output, checks, strings and command line: nothing here knows the machine. */
#include "guest.h"
#include <stdarg.h>

struct boot boot;
static u32 failures;

static void put_number(u64 v, u32 base, int width, char fill)
{
	char digits[24];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (width-- > n)
		putch(fill);
	while (n)
		putch(digits[--n]);
}

static void put_string(const char *s)
{
	while (*s)
		putch(*s++);
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
		for (; *fmt == 'l'; fmt++)
			longs++;
		switch (*fmt) {
		case 'd': {
			int v = va_arg(ap, int);

			if (v < 0)
				putch('-');
			put_number(v < 0 ? 0u - (u32)v : (u32)v, 10, width, fill);
			break;
		}
		case 'u':
		case 'x': {
			u64 v = longs ? va_arg(ap, unsigned long) : va_arg(ap, unsigned int);

			put_number(v, *fmt == 'x' ? 16 : 10, width, fill);
			break;
		}
		case 's':
			put_string(va_arg(ap, const char *));
			break;
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
		printf("# got 0x%lx, expected 0x%lx\n", got, want);
}

void finish(void)
{
	printf("done\n");
	exit_with(failures ? 1 : 0);
}

void *memcpy(void *to, const void *from, size_t n)
{
	u8 *t = to;
	const u8 *f = from;

	while (n--)
		*t++ = *f++;
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	u8 *t = to;
	const u8 *f = from;

	if (t <= f)
		return memcpy(to, from, n);
	while (n--)
		t[n] = f[n];
	return to;
}

void *memset(void *to, int c, size_t n)
{
	u8 *t = to;

	while (n--)
		*t++ = (u8)c;
	return to;
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

	while (*s) {
		while (*s == ' ')
			s++;
		if (strlen(s) >= n && !memcmp(s, word, n) && (s[n] == 0 || s[n] == ' ' || s[n] == '='))
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

u32 crc32(const u8 *data, u64 len)
{
	u32 crc = ~0u;

	for (u64 i = 0; i < len; i++) {
		crc ^= data[i];
		for (u32 bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	}
	return ~crc;
}

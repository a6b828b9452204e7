/* SPDX-License-Identifier: MIT */
/*
 * What payloads of every architecture share: verdicts, strings, the words of the command line. Each runtime
 * has a guest.h of its own, which declares them, and printf(), exit_with() and boot.cmdline, which they use.
 */
#include "guest.h"

static u32 failures;

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

void finish(void)
{
	printf("done\n");
	exit_with(failures ? 1 : 0);
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

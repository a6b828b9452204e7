/* SPDX-License-Identifier: MIT */
/*
 * Numbers and sizes as people write them. Called by the option parser and by devices that parse an argument
 * of their own; any thread, no state.
 */
#include <ctype.h>
#include <errno.h>
#include <lkvm/option.h>
#include <stdio.h>
#include <string.h>

static const char units[] = "KMGT";

/* The digits at s in `base`; *end is the first character behind them. At least one digit, no sign, no blank.
 */
static int parse_digits(const char *s, u32 base, u64 *out, const char **end)
{
	const char *p = s;
	u64 v = 0;

	for (;; p++) {
		u32 digit;

		if (*p >= '0' && *p <= '9')
			digit = (u32)(*p - '0');
		else if (base == 16 && isxdigit((u8)*p))
			digit = (u32)(tolower((u8)*p) - 'a' + 10);
		else
			break;
		if (mul_overflow(v, base, &v) || add_overflow(v, digit, &v))
			return -ERANGE;
	}
	if (p == s)
		return -EINVAL;
	*out = v;
	*end = p;
	return 0;
}

int parse_u64(const char *s, u64 *out)
{
	bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	const char *end;
	u64 v;
	int err = parse_digits(hex ? s + 2 : s, hex ? 16 : 10, &v, &end);

	if (err)
		return err;
	if (*end)
		return -EINVAL;
	*out = v;
	return 0;
}

int parse_size(const char *s, u64 unit, u64 *out)
{
	const char *end, *u;
	u64 v;
	int err = parse_digits(s, 10, &v, &end);

	if (err)
		return err;
	if (*end) {
		u = strchr(units, toupper((u8)*end));
		if (!u || end[1])
			return -EINVAL;
		unit = 1ull << (10 * (u - units + 1));
	}
	if (mul_overflow(v, unit, &v))
		return -ERANGE;
	*out = v;
	return 0;
}

const char *size_text(char out[SIZE_TEXT_ROOM], u64 bytes)
{
	u32 u = 0;

	while (u < 4 && bytes && !(bytes & 1023)) {
		bytes >>= 10;
		u++;
	}
	snprintf(out, SIZE_TEXT_ROOM, "%llu%.1s", (unsigned long long)bytes, u ? &units[u - 1] : "");
	return out;
}

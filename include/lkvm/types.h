/* SPDX-License-Identifier: MIT */
/*
 * The small words that every file uses: fixed-width integers, array sizes,
 * alignment and arithmetic that reports overflow. Includes nobody of ours.
 */
#ifndef LKVM_TYPES_H
#define LKVM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

/* A guest physical address. */
typedef u64 gpa_t;

#define __must_check	    __attribute__((warn_unused_result))
#define __printf(fmt, args) __attribute__((format(printf, fmt, args)))
#define __unused	    __attribute__((unused))
#define __packed	    __attribute__((packed))

#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define KiB(n) ((u64)(n) << 10)
#define MiB(n) ((u64)(n) << 20)
#define GiB(n) ((u64)(n) << 30)

/* align: a power of two. align_up wraps to 0 past the end of u64: check first where that can be. */
static inline u64 align_up(u64 v, u64 align)
{
	return (v + align - 1) & ~(align - 1);
}

static inline u64 align_down(u64 v, u64 align)
{
	return v & ~(align - 1);
}

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* True when the sum or the product does not fit; *out is then not to be used. */
static inline bool __must_check add_overflow(u64 a, u64 b, u64 *out)
{
	return __builtin_add_overflow(a, b, out);
}

static inline bool __must_check mul_overflow(u64 a, u64 b, u64 *out)
{
	return __builtin_mul_overflow(a, b, out);
}

/* True when [start, start + len) lies inside [base, base + size); no sum is ever formed that could wrap. */
static inline bool range_inside(u64 start, u64 len, u64 base, u64 size)
{
	return start >= base && start - base <= size && len <= size - (start - base);
}

static inline bool ranges_overlap(u64 a, u64 alen, u64 b, u64 blen)
{
	return alen && blen && (a <= b ? b - a < alen : a - b < blen);
}

#endif

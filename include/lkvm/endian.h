/* SPDX-License-Identifier: MIT */
/*
 * Integers as bytes at any address: little-endian where virtio, PCI, devices' registers and saved state are
 * concerned, big-endian in qcow2 images. The one place where lkvm turns bytes round; structures of the
 * kernel's headers are turned field by field by <endian.h>. Any thread. Includes types.h only.
 */
#ifndef LKVM_ENDIAN_H
#define LKVM_ENDIAN_H

#include <endian.h>
#include <lkvm/types.h>

#define ENDIAN_ACCESSORS(order, bits)                                                                        \
	static inline u##bits get_##order##bits(const void *p)                                               \
	{                                                                                                    \
		u##bits v;                                                                                   \
                                                                                                             \
		__builtin_memcpy(&v, p, sizeof(v));                                                          \
		return order##bits##toh(v);                                                                  \
	}                                                                                                    \
	static inline void put_##order##bits(void *p, u##bits v)                                             \
	{                                                                                                    \
		v = hto##order##bits(v);                                                                     \
		__builtin_memcpy(p, &v, sizeof(v));                                                          \
	}

ENDIAN_ACCESSORS(le, 16)
ENDIAN_ACCESSORS(le, 32)
ENDIAN_ACCESSORS(le, 64)
ENDIAN_ACCESSORS(be, 16)
ENDIAN_ACCESSORS(be, 32)
ENDIAN_ACCESSORS(be, 64)
#undef ENDIAN_ACCESSORS

/* Of len bytes, 0 to 8. */
static inline u64 get_le(const u8 *p, u32 len)
{
	u64 v = 0;

	while (len-- > 0)
		v = v << 8 | p[len];
	return v;
}

/* The lowest len bytes of v. */
static inline void put_le(u8 *p, u32 len, u64 v)
{
	for (u32 i = 0; i < len; i++, v >>= 8)
		p[i] = (u8)v;
}

/* The same in big-endian. */
static inline u64 get_be(const u8 *p, u32 len)
{
	u64 v = 0;

	for (u32 i = 0; i < len; i++)
		v = v << 8 | p[i];
	return v;
}

static inline void put_be(u8 *p, u32 len, u64 v)
{
	for (; len-- > 0; v >>= 8)
		p[len] = (u8)v;
}

/*
 * What a load of len bytes (1, 2, 4 or 8) by this host gives where v lies in memory in little-endian: how the
 * kernel looks at what a guest stored.
 */
static inline u64 le_as_native(u64 v, u32 len)
{
	switch (len) {
	case 2:
		return htole16((u16)v);
	case 4:
		return htole32((u32)v);
	case 8:
		return htole64(v);
	default:
		return v;
	}
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * AML byte code as a writer: the terms and resource descriptors that our machine descriptions use.
 *
 * Called by a board's table writer and by the devices' describe_acpi(), on the main thread while the VM is
 * being built; takes no lock. Errors stick in the buffer behind it (lkvm/buf.h), so nothing here returns any.
 * What a caller can get wrong (a name of five characters, an end without a begin) is a bug of ours: an
 * assert.
 *
 * A package's length stands in front of its contents and takes 1 to 4 bytes. One byte is reserved at begin; a
 * longer form makes room at end by moving the contents. So every length is the shortest there is, as a
 * compiler makes it.
 *
 * ACPI specification 6.4: 20.2 (AML grammar), 6.4 (resource data types), 19.3.4 (EISA identifiers).
 */
#include <assert.h>
#include <lkvm/acpi.h>
#include <string.h>

enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_VAR_PACKAGE = 0x13,
	OP_METHOD = 0x14,
	OP_DUAL_NAME = 0x2e,
	OP_MULTI_NAME = 0x2f,
	OP_EXT = 0x5b,
	OP_EXT_OPREGION = 0x80,
	OP_EXT_FIELD = 0x81,
	OP_EXT_DEVICE = 0x82,
	OP_NOTIFY = 0x86,
	OP_IF = 0xa0,
	OP_RETURN = 0xa4,
	OP_ONES = 0xff,
};

enum {
	RES_IRQ = 0x22, /* small items: the length is in the low three bits */
	RES_IO = 0x47,
	RES_END = 0x79,
	RES_MEMORY32_FIXED = 0x86, /* large items: a 16-bit length follows */
	RES_DWORD_SPACE = 0x87,
	RES_WORD_SPACE = 0x88,
	RES_EXTENDED_IRQ = 0x89,
	RES_QWORD_SPACE = 0x8a,
};

enum { SPACE_MEMORY, SPACE_IO, SPACE_BUS }; /* of an address-space descriptor */
enum { REGION_IO = 1 };			    /* of an operation region */

#define SPACE_FIXED	   0x0c /* _MIF and _MAF: both ends are fixed; a producer, positive decode */
#define SPACE_IO_ENTIRE	   0x03 /* _RNG: ISA and non-ISA addresses */
#define SPACE_MEM_RW	   0x01 /* _RW */
#define SPACE_MEM_PREFETCH 0x06 /* _MEM: prefetchable */

/* Opens n bytes at offset `at`. */
static void insert_gap(struct buf *b, size_t at, size_t n)
{
	buf_zero(b, n);
	if (n && !b->err)
		memmove(b->data + at + n, b->data + at, b->len - n - at);
}

/*
 * 20.2.4: a length takes one byte of six bits, or a first byte that says how many follow and holds the low
 * four bits. `extra`: how many follow.
 */
static void encode_length(u8 *p, size_t len, u32 extra)
{
	assert(len < 1u << 28);
	if (!extra) {
		p[0] = (u8)len;
		return;
	}
	p[0] = (u8)(extra << 6 | (len & 0xf));
	for (u32 i = 1; i <= extra; i++)
		p[i] = (u8)(len >> (8 * i - 4));
}

static void package_begin(struct aml *a)
{
	assert(a->depth < ARRAY_SIZE(a->open));
	a->open[a->depth++] = a->out->len;
	buf_u8(a->out, 0);
}

static void package_end(struct aml *a)
{
	struct buf *b = a->out;
	size_t at, len;
	u32 extra;

	assert(a->depth > 0);
	at = a->open[--a->depth];
	if (b->err)
		return;
	len = b->len - at; /* contents and one byte of length: a package's length counts its own bytes */
	extra = len < 1u << 6 ? 0 : len + 1 < 1u << 12 ? 1 : len + 2 < 1u << 20 ? 2 : 3;
	insert_gap(b, at, extra);
	if (!b->err)
		encode_length(b->data + at, len + extra, extra);
}

/* 20.2.2. An empty path after the prefixes is the NullName. */
static void name_string(struct aml *a, const char *path)
{
	u32 segments = *path != 0;

	while (*path == '\\' || *path == '^')
		buf_u8(a->out, (u8)*path++);
	if (!*path) {
		buf_u8(a->out, OP_ZERO);
		return;
	}
	for (const char *p = path; *p; p++)
		segments += *p == '.';
	assert(segments < 256);
	if (segments == 2) {
		buf_u8(a->out, OP_DUAL_NAME);
	} else if (segments > 2) {
		buf_u8(a->out, OP_MULTI_NAME);
		buf_u8(a->out, (u8)segments);
	}
	while (segments--) {
		char segment[4] = {'_', '_', '_', '_'};
		size_t len = strcspn(path, ".");

		assert(len >= 1 && len <= sizeof(segment));
		memcpy(segment, path, len);
		buf_add(a->out, segment, sizeof(segment));
		path += len + 1;
	}
}

void aml_scope_begin(struct aml *a, const char *name)
{
	buf_u8(a->out, OP_SCOPE);
	package_begin(a);
	name_string(a, name);
}

void aml_device_begin(struct aml *a, const char *name)
{
	buf_u8(a->out, OP_EXT);
	buf_u8(a->out, OP_EXT_DEVICE);
	package_begin(a);
	name_string(a, name);
}

void aml_method_begin(struct aml *a, const char *name, u32 args, bool serialized)
{
	assert(args <= 7);
	buf_u8(a->out, OP_METHOD);
	package_begin(a);
	name_string(a, name);
	buf_u8(a->out, (u8)(args | (serialized ? 0x08 : 0)));
}

void aml_package_begin(struct aml *a, u32 elements)
{
	buf_u8(a->out, elements < 256 ? OP_PACKAGE : OP_VAR_PACKAGE);
	package_begin(a);
	if (elements < 256)
		buf_u8(a->out, (u8)elements);
	else
		aml_int(a, elements);
}

void aml_if_begin(struct aml *a)
{
	buf_u8(a->out, OP_IF);
	package_begin(a);
}

void aml_end(struct aml *a)
{
	package_end(a);
}

void aml_name(struct aml *a, const char *name)
{
	buf_u8(a->out, OP_NAME);
	name_string(a, name);
}

void aml_path(struct aml *a, const char *path)
{
	name_string(a, path);
}

/* All ones is one byte too: integers are of 64 bits in a table of revision 2 and above. */
void aml_int(struct aml *a, u64 v)
{
	if (v <= 1) {
		buf_u8(a->out, v ? OP_ONE : OP_ZERO);
	} else if (v <= UINT8_MAX) {
		buf_u8(a->out, OP_BYTE);
		buf_u8(a->out, (u8)v);
	} else if (v <= UINT16_MAX) {
		buf_u8(a->out, OP_WORD);
		buf_le16(a->out, (u16)v);
	} else if (v <= UINT32_MAX) {
		buf_u8(a->out, OP_DWORD);
		buf_le32(a->out, (u32)v);
	} else if (v == UINT64_MAX) {
		buf_u8(a->out, OP_ONES);
	} else {
		buf_u8(a->out, OP_QWORD);
		buf_le64(a->out, v);
	}
}

void aml_string(struct aml *a, const char *s)
{
	buf_u8(a->out, OP_STRING);
	buf_add(a->out, s, strlen(s) + 1);
}

static u8 hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (u8)(c - '0');
	assert((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
	return (u8)((c | 0x20) - 'a' + 10);
}

/* Three letters of five bits each, then four hexadecimal digits, most significant byte first. */
void aml_eisaid(struct aml *a, const char *id)
{
	u32 letters = 0;

	assert(strlen(id) == 7);
	for (int i = 0; i < 3; i++) {
		assert(id[i] >= 'A' && id[i] <= 'Z');
		letters = letters << 5 | (u32)(id[i] - '@');
	}
	buf_u8(a->out, OP_DWORD);
	buf_u8(a->out, (u8)(letters >> 8));
	buf_u8(a->out, (u8)letters);
	buf_u8(a->out, (u8)(hex_digit(id[3]) << 4 | hex_digit(id[4])));
	buf_u8(a->out, (u8)(hex_digit(id[5]) << 4 | hex_digit(id[6])));
}

void aml_return_int(struct aml *a, u64 v)
{
	buf_u8(a->out, OP_RETURN);
	aml_int(a, v);
}

void aml_op(struct aml *a, u8 op)
{
	buf_u8(a->out, op);
}

void aml_buffer(struct aml *a, const void *data, u32 len)
{
	buf_u8(a->out, OP_BUFFER);
	package_begin(a);
	aml_int(a, len);
	buf_add(a->out, data, len);
	package_end(a);
}

void aml_notify(struct aml *a, const char *path, u64 val)
{
	buf_u8(a->out, OP_NOTIFY);
	name_string(a, path);
	aml_int(a, val);
}

void aml_opregion_io(struct aml *a, const char *name, u64 base, u64 len)
{
	buf_u8(a->out, OP_EXT);
	buf_u8(a->out, OP_EXT_OPREGION);
	name_string(a, name);
	buf_u8(a->out, REGION_IO);
	aml_int(a, base);
	aml_int(a, len);
}

void aml_field_begin(struct aml *a, const char *region, u32 width)
{
	assert(width == 8 || width == 16 || width == 32);
	buf_u8(a->out, OP_EXT);
	buf_u8(a->out, OP_EXT_FIELD);
	package_begin(a);
	name_string(a, region);
	/* The access type: 1, 2 or 3 for bytes, words and double words. */
	buf_u8(a->out, width == 8 ? 1 : width == 16 ? 2 : 3);
}

/* A unit's width is encoded as package lengths are, but does not count its own bytes. */
void aml_field_unit(struct aml *a, const char *name, u32 bits)
{
	u32 extra = bits < 1u << 6 ? 0 : bits < 1u << 12 ? 1 : bits < 1u << 20 ? 2 : 3;
	u8 len[4];

	if (name)
		name_string(a, name);
	else
		buf_u8(a->out, 0);
	encode_length(len, bits, extra);
	buf_add(a->out, len, 1 + extra);
}

/*
 * The buffer's size stands between its package length and its bytes. The end tag makes it at least 2, so it
 * is a byte constant unless the template is very long.
 */
void aml_resources_begin(struct aml *a)
{
	buf_u8(a->out, OP_BUFFER);
	package_begin(a);
	buf_u8(a->out, OP_BYTE);
	buf_u8(a->out, 0);
}

void aml_resources_end(struct aml *a)
{
	struct buf *b = a->out;
	size_t size_at, len;

	buf_u8(b, RES_END);
	buf_u8(b, 0); /* no checksum: 6.4.2.9 takes 0 as a good one */
	if (!b->err) {
		assert(a->depth > 0);
		size_at = a->open[a->depth - 1] + 1;
		len = b->len - size_at - 2;
		assert(len <= UINT16_MAX);
		if (len > UINT8_MAX) {
			insert_gap(b, size_at + 2, 1);
			if (!b->err) {
				b->data[size_at] = OP_WORD;
				b->data[size_at + 2] = (u8)(len >> 8);
			}
		}
		b->data[size_at + 1] = (u8)len;
	}
	package_end(a);
}

void aml_res_io(struct aml *a, u16 base, u16 align, u8 len)
{
	buf_u8(a->out, RES_IO);
	buf_u8(a->out, 1); /* decodes 16 bits */
	buf_le16(a->out, base);
	buf_le16(a->out, base);
	buf_u8(a->out, (u8)align);
	buf_u8(a->out, len);
}

/* A consumer's interrupt, exclusive. */
void aml_res_irq(struct aml *a, u32 gsi, bool level, bool active_low)
{
	buf_u8(a->out, RES_EXTENDED_IRQ);
	buf_le16(a->out, 6);
	buf_u8(a->out, (u8)(0x01 | (level ? 0 : 0x02) | (active_low ? 0x04 : 0)));
	buf_u8(a->out, 1);
	buf_le32(a->out, gsi);
}

/*
 * The small ISA descriptor without flags. Hardware-reduced x86 kernels have no ISA identity mapping and take
 * its number for a GSI, with an interrupt source override's attributes if there is one: the same line either
 * way.
 */
void aml_res_irq_legacy(struct aml *a, u32 irq)
{
	if (irq >= 16) {
		aml_res_irq(a, irq, false, false);
		return;
	}
	buf_u8(a->out, RES_IRQ);
	buf_le16(a->out, (u16)(1u << irq));
}

void aml_res_memory32(struct aml *a, u32 base, u32 len, bool writable)
{
	buf_u8(a->out, RES_MEMORY32_FIXED);
	buf_le16(a->out, 9);
	buf_u8(a->out, writable);
	buf_le32(a->out, base);
	buf_le32(a->out, len);
}

/* 6.4.3.5: an address-space descriptor in the narrowest form whose fields hold the length as well. */
static void address_space(struct aml *a, u8 type, u8 type_flags, u32 bytes, u64 min, u64 max)
{
	u64 len = max - min + 1;

	assert(min <= max && len);
	while (bytes < 8 && len >> (8 * bytes))
		bytes *= 2;
	buf_u8(a->out, bytes == 2 ? RES_WORD_SPACE : bytes == 4 ? RES_DWORD_SPACE : RES_QWORD_SPACE);
	buf_le16(a->out, (u16)(3 + 5 * bytes));
	buf_u8(a->out, type);
	buf_u8(a->out, SPACE_FIXED);
	buf_u8(a->out, type_flags);
	for (int field = 0; field < 5; field++) { /* granularity, minimum, maximum, translation, length */
		u64 v = field == 1 ? min : field == 2 ? max : field == 4 ? len : 0;

		if (bytes == 2)
			buf_le16(a->out, (u16)v);
		else if (bytes == 4)
			buf_le32(a->out, (u32)v);
		else
			buf_le64(a->out, v);
	}
}

void aml_res_bus_range(struct aml *a, u16 min, u16 max)
{
	address_space(a, SPACE_BUS, 0, 2, min, max);
}

void aml_res_io_range(struct aml *a, u16 min, u16 max)
{
	address_space(a, SPACE_IO, SPACE_IO_ENTIRE, 2, min, max);
}

void aml_res_mem32_range(struct aml *a, u32 min, u32 max, bool prefetch)
{
	address_space(a, SPACE_MEMORY, SPACE_MEM_RW | (prefetch ? SPACE_MEM_PREFETCH : 0), 4, min, max);
}

void aml_res_mem64_range(struct aml *a, u64 min, u64 max, bool prefetch)
{
	address_space(a, SPACE_MEMORY, SPACE_MEM_RW | (prefetch ? SPACE_MEM_PREFETCH : 0), 8, min, max);
}

// SPDX-License-Identifier: MIT
#include "fdt.h"

#define FDT_MAGIC      0xd00dfeed
#define FDT_BEGIN_NODE 1
#define FDT_END_NODE   2
#define FDT_PROP       3
#define FDT_NOP	       4

static const u32 *structure;
static const char *strings;

static u32 be32(const void *p)
{
	const u8 *b = p;

	return (u32)b[0] << 24 | (u32)b[1] << 16 | (u32)b[2] << 8 | b[3];
}

bool fdt_valid(const void *tree)
{
	const u32 *head = tree;

	if (!tree || ((ulong)tree & 7) || be32(head) != FDT_MAGIC)
		return false;
	structure = (const u32 *)((const u8 *)tree + be32(head + 2));
	strings = (const char *)tree + be32(head + 3);
	return true;
}

u32 fdt_size(const void *tree)
{
	return be32((const u32 *)tree + 1);
}

/* Behind the token at p and all that belongs to it. */
static const u32 *skip(const u32 *p)
{
	switch (be32(p)) {
	case FDT_BEGIN_NODE:
		return p + 1 + strlen((const char *)(p + 1)) / 4 + 1;
	case FDT_PROP:
		return p + 3 + (be32(p + 1) + 3) / 4;
	default:
		return p + 1;
	}
}

struct node fdt_root(void)
{
	const u32 *p = structure;

	while (be32(p) == FDT_NOP)
		p++;
	return (struct node){.at = p};
}

struct node fdt_next(struct node n)
{
	u32 depth = n.depth;

	for (const u32 *p = skip(n.at);; p = skip(p)) {
		switch (be32(p)) {
		case FDT_BEGIN_NODE:
			return (struct node){.at = p, .depth = depth + 1};
		case FDT_END_NODE:
			if (!depth--)
				return (struct node){0};
			break;
		case FDT_PROP:
		case FDT_NOP:
			break;
		default:
			return (struct node){0};
		}
	}
}

const char *fdt_name(struct node n)
{
	return (const char *)(n.at + 1);
}

const void *fdt_prop(struct node n, const char *name, u32 *len)
{
	for (const u32 *p = skip(n.at); be32(p) == FDT_PROP || be32(p) == FDT_NOP; p = skip(p)) {
		if (be32(p) == FDT_NOP || strcmp(strings + be32(p + 2), name))
			continue;
		if (len)
			*len = be32(p + 1);
		return p + 3;
	}
	return NULL;
}

u32 fdt_cell(struct node n, const char *name, u32 index, u32 otherwise)
{
	u32 len;
	const u32 *cell = fdt_prop(n, name, &len);

	return cell && len >= 4 * (index + 1) ? be32(cell + index) : otherwise;
}

bool fdt_has_string(struct node n, const char *name, const char *what)
{
	u32 len = 0;
	const char *s = fdt_prop(n, name, &len), *end = s + len;

	for (; s && s < end; s += strlen(s) + 1)
		if (!strcmp(s, what))
			return true;
	return false;
}

struct node fdt_compatible(struct node n, const char *what)
{
	do {
		n = fdt_next(n);
	} while (n.at && !fdt_has_string(n, "compatible", what));
	return n;
}

struct node fdt_child(const char *name)
{
	struct node n = fdt_root();

	do {
		n = fdt_next(n);
	} while (n.at && (n.depth != 1 || strcmp(fdt_name(n), name)));
	return n;
}

bool fdt_reg(struct node n, u32 index, u64 *base, u64 *size)
{
	u32 len;
	const u32 *reg = fdt_prop(n, "reg", &len);

	if (!reg || len < 16 * (index + 1))
		return false;
	reg += 4 * index;
	*base = (u64)be32(reg) << 32 | be32(reg + 1);
	if (size)
		*size = (u64)be32(reg + 2) << 32 | be32(reg + 3);
	return true;
}

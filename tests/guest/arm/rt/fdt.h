/* SPDX-License-Identifier: MIT */
/*
 * A reader of flattened device trees (Devicetree Specification 0.4, chapter 5). It takes the tree to be well
 * formed: lkvm made it. A node is found by walking; nothing is copied.
 */
#ifndef FDT_H
#define FDT_H

#include "guest.h"

struct node {
	const u32 *at; /* its FDT_BEGIN_NODE token; NULL: none */
	u32 depth;     /* 0: the root */
};

/* Whether there is a tree at x0. */
bool fdt_valid(const void *tree);
u32 fdt_size(const void *tree);
/* The root. */
struct node fdt_root(void);
/* The node after n, children before siblings; at NULL behind the last. */
struct node fdt_next(struct node n);
const char *fdt_name(struct node n);
/* The first node after n that is compatible with `what`; the root stands for "from the beginning". */
struct node fdt_compatible(struct node n, const char *what);
/* A node by the path from the root, "chosen" or "cpus"; only one level deep. */
struct node fdt_child(const char *name);
/* A property's bytes and their number; NULL when the node has none of that name. */
const void *fdt_prop(struct node n, const char *name, u32 *len);
/* One cell of a property; `otherwise` when it is not there. */
u32 fdt_cell(struct node n, const char *name, u32 index, u32 otherwise);
/* Whether a property's list of strings has this one. */
bool fdt_has_string(struct node n, const char *name, const char *what);
/* The index'th pair of "reg", of two cells each, as everywhere on this board but below /cpus. */
bool fdt_reg(struct node n, u32 index, u64 *base, u64 *size);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The state of 32 interrupts at a time, which GICv2 and GICv3 keep in registers of the same layout (Arm IHI
 * 0069H, 12.9): read into a struct gic_block, printed decoded, saved, or restored from it.
 *
 * Attributes of the register groups differ from a guest's accesses: reading changes nothing; GICD_ISPENDR has
 * the latch alone on a GICv3, whose line levels are LEVEL_INFO; and what is written there is what pends
 * afterwards, where a guest's write only adds. Bits of the others still need their clearing register.
 *
 * Called with all vCPUs parked.
 */
#include "gic.h"
#include "layout.h"
#include <errno.h>
#include <stdio.h>

/* Offsets for interrupts 0 to 31; the same in a GICv3's SGI frame. */
#define GICD_IGROUPR	0x080
#define GICD_ISENABLER	0x100
#define GICD_ICENABLER	0x180
#define GICD_ISPENDR	0x200
#define GICD_ICPENDR	0x280
#define GICD_ISACTIVER	0x300
#define GICD_ICACTIVER	0x380
#define GICD_IPRIORITYR 0x400
#define GICD_ITARGETSR	0x800
#define GICD_ICFGR	0xc00
#define GICD_IROUTER	0x6000 /* of interrupt 0, which has none */

#define ICFGR_EDGE 2u

static void reg32(struct state *s, int fd, u32 group, u64 attr, const char *name, bool only_change)
{
	u32 v = 0, now;
	int err = s->err || state_reading(s) ? 0 : kvm_attr_get(fd, group, attr, &v);

	if (!err)
		state_u32(s, name, &v);
	if (!err && state_reading(s) && !s->err) {
		if (only_change)
			err = kvm_attr_get(fd, group, attr, &now);
		if (!err && !(only_change && now == v))
			err = kvm_attr_set(fd, group, attr, &v);
	}
	if (err)
		state_fail(s, err, name, "%s", kvm_attr_errstr(err));
}

void gic_reg32(struct state *s, int fd, u32 group, u64 attr, const char *name)
{
	reg32(s, fd, group, attr, name, false);
}

void gic_reg32_change(struct state *s, int fd, u32 group, u64 attr, const char *name)
{
	reg32(s, fd, group, attr, name, true);
}

void gic_reg64(struct state *s, int fd, u32 group, u64 attr, const char *name)
{
	u64 v = 0;
	int err = s->err || state_reading(s) ? 0 : kvm_attr_get(fd, group, attr, &v);

	if (!err)
		state_u64(s, name, &v);
	if (!err && state_reading(s) && !s->err)
		err = kvm_attr_set(fd, group, attr, &v);
	if (err)
		state_fail(s, err, name, "%s", kvm_attr_errstr(err));
}

void gic_command(struct state *s, int fd, u64 command, const char *name)
{
	int err = s->err ? 0 : kvm_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_CTRL, command, NULL);

	if (err)
		state_fail(s, err, name, "%s", kvm_attr_errstr(err));
}

/* ---- a block and its registers ------------------------------------------------------------------- */

/* One direction of the exchange between a block and the kernel. */
struct transfer {
	const struct gic_frame *frame;
	bool set;
	int err;
};

static void reg(struct transfer *t, u32 base, u32 index, u32 *v)
{
	const struct gic_frame *f = t->frame;
	u64 attr = f->attr | (base + 4 * index);

	if (!t->err)
		t->err = t->set ? kvm_attr_set(f->fd, f->group, attr, v)
				: kvm_attr_get(f->fd, f->group, attr, v);
}

/* A pair of registers that set and clear the same bits. */
static void bits(struct transfer *t, u32 setting, u32 clearing, u32 *v)
{
	u32 word = t->frame->first / 32, rest = ~*v;

	if (t->set)
		reg(t, clearing, word, &rest);
	reg(t, setting, word, v);
}

static void level(struct transfer *t, u32 *v)
{
	const struct gic_frame *f = t->frame;
	u64 attr = f->level_attr | (u64)VGIC_LEVEL_INFO_LINE_LEVEL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT |
		   f->first;

	if (!t->err && f->has_level)
		t->err = t->set ? kvm_attr_set(f->fd, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, attr, v)
				: kvm_attr_get(f->fd, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, attr, v);
}

static void route(struct transfer *t, u32 index, u64 *v)
{
	u32 low = (u32)*v, high = (u32)(*v >> 32);

	reg(t, GICD_IROUTER, 2 * index, &low);
	reg(t, GICD_IROUTER, 2 * index + 1, &high);
	*v = (u64)high << 32 | low;
}

/* What an interrupt is comes before what state it is in. */
static int transfer(const struct gic_frame *f, struct gic_block *b, bool set)
{
	struct transfer t = {.frame = f, .set = set};
	u32 word = f->first / 32;

	reg(&t, GICD_IGROUPR, word, &b->group);
	for (u32 i = 0; i < 8; i++)
		reg(&t, GICD_IPRIORITYR, 8 * word + i, &b->priority[i]);
	for (u32 i = 0; i < 2; i++)
		reg(&t, GICD_ICFGR, 2 * word + i, &b->config[i]);
	for (u32 i = 0; i < 8 && f->targets; i++)
		reg(&t, GICD_ITARGETSR, 8 * word + i, &b->target[i]);
	for (u32 i = 0; i < 32 && f->routes; i++)
		route(&t, f->first + i, &b->route[i]);
	bits(&t, GICD_ISENABLER, GICD_ICENABLER, &b->enable);
	level(&t, &b->level);
	if (f->has_level)
		reg(&t, GICD_ISPENDR, word, &b->pending);
	else
		bits(&t, GICD_ISPENDR, GICD_ICPENDR, &b->pending);
	bits(&t, GICD_ISACTIVER, GICD_ICACTIVER, &b->active);
	return t.err;
}

/* ---- saving and printing -------------------------------------------------------------------------- */

static void save_block(struct state *s, const struct gic_frame *f, struct gic_block *b)
{
	state_u32(s, "group", &b->group);
	state_u32(s, "enable", &b->enable);
	state_u32(s, "pending", &b->pending);
	state_u32(s, "active", &b->active);
	if (f->has_level)
		state_u32(s, "level", &b->level);
	for (u32 i = 0; i < 2; i++)
		state_u32(s, "config", &b->config[i]);
	for (u32 i = 0; i < 8; i++)
		state_u32(s, "priority", &b->priority[i]);
	for (u32 i = 0; i < 8 && f->targets; i++)
		state_u32(s, "target", &b->target[i]);
	for (u32 i = 0; i < 32 && f->routes; i++)
		state_u64(s, "route", &b->route[i]);
}

static u32 field(const u32 *words, u32 index, u32 width)
{
	u32 per = 32 / width;

	return words[index / per] >> (index % per * width) & (u32)((1ull << width) - 1);
}

void gic_affinity(char *out, size_t room, u64 affinity)
{
	snprintf(out, room, "%u.%u.%u.%u", (u32)(affinity >> 32 & 0xff), (u32)(affinity >> 16 & 0xff),
		 (u32)(affinity >> 8 & 0xff), (u32)(affinity & 0xff));
}

static void where(char *out, size_t room, const struct gic_frame *f, const struct gic_block *b, u32 i)
{
	u64 r = b->route[i];
	char cpu[16];

	out[0] = '\0';
	gic_affinity(cpu, sizeof(cpu), r);
	if (f->targets)
		snprintf(out, room, " cpus 0x%02x", field(b->target, i, 8));
	else if (f->routes && r >> 31 & 1)
		snprintf(out, room, " any cpu");
	else if (f->routes)
		snprintf(out, room, " cpu %s", cpu);
}

static void print_block(struct state *s, const struct gic_frame *f, const struct gic_block *b)
{
	/* One that was never touched is of no interest. */
	u32 seen = b->enable | b->pending | b->active | b->level;

	for (u32 i = 0; i < 32; i++) {
		u32 intid = f->first + i, bit = 1u << i;
		char name[16], target[32];

		if (!(seen & bit))
			continue;
		snprintf(name, sizeof(name), "%s%u",
			 intid < 16   ? "sgi"
			 : intid < 32 ? "ppi"
				      : "spi",
			 intid < 16   ? intid
			 : intid < 32 ? intid - 16
				      : intid - ARM_FIRST_SPI);
		where(target, sizeof(target), f, b, i);
		state_note(s, name, "intid %u %s group %u priority 0x%02x %s%s%s%s%s", intid,
			   b->enable & bit ? "enabled" : "disabled", !!(b->group & bit),
			   field(b->priority, i, 8), field(b->config, i, 2) & ICFGR_EDGE ? "edge" : "level",
			   target, b->level & bit ? " line high" : "", b->pending & bit ? " pending" : "",
			   b->active & bit ? " active" : "");
	}
}

void gic_block_walk(struct state *s, const struct gic_frame *frame)
{
	struct gic_block b = {0};
	int err = 0;

	if (s->err)
		return;
	if (!state_reading(s))
		err = transfer(frame, &b, false);
	if (!err && state_printing(s))
		print_block(s, frame, &b);
	else if (!err)
		save_block(s, frame, &b);
	if (!err && state_reading(s) && !s->err)
		err = transfer(frame, &b, true);
	if (err)
		state_fail(s, err, "interrupts", "%u to %u: %s", frame->first, frame->first + 31,
			   kvm_attr_errstr(err));
}

/* SPDX-License-Identifier: MIT */
/* A virtio driver for payloads: virtio.h. Transports after virtio 1.2, 4.1 and 4.2, rings after 2.7 and 2.8.
 */
#include "virtio.h"

/* ---- registers ------------------------------------------------------------------------------------ */

enum {
	M_MAGIC = 0x00,
	M_VERSION = 0x04,
	M_TYPE = 0x08,
	M_FEATURES = 0x10,
	M_FEATURES_SEL = 0x14,
	M_WANT = 0x20,
	M_WANT_SEL = 0x24,
	M_QUEUE_SEL = 0x30,
	M_QUEUE_MAX = 0x34,
	M_QUEUE_SIZE = 0x38,
	M_QUEUE_READY = 0x44,
	M_NOTIFY = 0x50,
	M_STATUS = 0x70,
	M_DESC = 0x80,
	M_DRIVER = 0x90,
	M_DEVICE = 0xa0,
	M_RING_RESET = 0xc0,
	M_CONFIG = 0x100,
};

enum {
	P_FEATURES_SEL = 0,
	P_FEATURES = 4,
	P_WANT_SEL = 8,
	P_WANT = 12,
	P_STATUS = 20,
	P_QUEUE_SEL = 22,
	P_QUEUE_SIZE = 24,
	P_QUEUE_READY = 28,
	P_NOTIFY_OFF = 30,
	P_DESC = 32,
	P_DRIVER = 40,
	P_DEVICE = 48,
	P_RING_RESET = 58,
};

bool vio_mmio(struct vio *v, ulong base)
{
	*v = (struct vio){.base = base, .config = base + M_CONFIG};
	if (read32(base + M_MAGIC) != 0x74726976 || read32(base + M_VERSION) != 2)
		return false;
	v->type = read32(base + M_TYPE);
	return v->type != 0;
}

bool vio_pci(struct vio *v, ulong ecam, u32 slot)
{
	ulong fn = ecam + (slot << 15);
	u32 id = read32(fn);
	u8 cap;

	*v = (struct vio){.pci = true, .function = fn};
	if ((id & 0xffff) != 0x1af4 || id >> 16 < 0x1040)
		return false;
	v->type = (id >> 16) - 0x1040;
	write16(fn + 4, read16(fn + 4) | 6); /* memory, bus master */
	for (cap = read8(fn + 0x34); cap; cap = read8(fn + cap + 1)) {
		u32 bar;
		ulong at;

		if (read8(fn + cap) != 9)
			continue;
		bar = read8(fn + cap + 4);
		if (bar > 5)
			continue;
		at = (read32(fn + 0x10 + 4 * bar) & ~0xful) + read32(fn + cap + 8);
		switch (read8(fn + cap + 3)) {
		case 1:
			v->common = at;
			break;
		case 2:
			v->notify = at;
			v->notify_step = read32(fn + cap + 16);
			break;
		case 3:
			v->isr = at;
			break;
		case 4:
			v->config = at;
			break;
		}
	}
	return v->common && v->notify;
}

u8 vio_status(struct vio *v)
{
	return v->pci ? read8(v->common + P_STATUS) : (u8)read32(v->base + M_STATUS);
}

void vio_set_status(struct vio *v, u8 status)
{
	if (v->pci)
		write8(v->common + P_STATUS, status);
	else
		write32(v->base + M_STATUS, status);
}

void vio_reset(struct vio *v)
{
	vio_set_status(v, 0);
	while (vio_status(v))
		cpu_relax();
}

u64 vio_offered(struct vio *v)
{
	ulong sel = v->pci ? v->common + P_FEATURES_SEL : v->base + M_FEATURES_SEL;
	ulong bits = v->pci ? v->common + P_FEATURES : v->base + M_FEATURES;
	u64 features;

	write32(sel, 0);
	features = read32(bits);
	write32(sel, 1);
	return features | (u64)read32(bits) << 32;
}

void vio_want(struct vio *v, u64 features)
{
	ulong sel = v->pci ? v->common + P_WANT_SEL : v->base + M_WANT_SEL;
	ulong bits = v->pci ? v->common + P_WANT : v->base + M_WANT;

	write32(sel, 0);
	write32(bits, (u32)features);
	write32(sel, 1);
	write32(bits, (u32)(features >> 32));
}

bool vio_negotiate(struct vio *v, u64 features)
{
	vio_reset(v);
	vio_set_status(v, VIO_ACKNOWLEDGE);
	vio_set_status(v, VIO_ACKNOWLEDGE | VIO_DRIVER);
	vio_want(v, features);
	vio_set_status(v, VIO_ACKNOWLEDGE | VIO_DRIVER | VIO_FEATURES_OK);
	v->features = features;
	return vio_status(v) & VIO_FEATURES_OK;
}

u8 vio_config8(struct vio *v, u32 offset)
{
	return read8(v->config + offset);
}

void vio_config_put8(struct vio *v, u32 offset, u8 value)
{
	write8(v->config + offset, value);
}

/* ---- queues ----------------------------------------------------------------------------------------- */

static void queue_select(struct vio *v, u16 index)
{
	if (v->pci)
		write16(v->common + P_QUEUE_SEL, index);
	else
		write32(v->base + M_QUEUE_SEL, index);
}

u16 vio_queue_max(struct vio *v, u16 index)
{
	queue_select(v, index);
	return v->pci ? read16(v->common + P_QUEUE_SIZE) : (u16)read32(v->base + M_QUEUE_MAX);
}

void vio_queue_at(struct vio *v, u16 index, u16 size, u64 desc, u64 driver, u64 device)
{
	ulong base = v->pci ? v->common : v->base;
	const struct {
		ulong reg;
		u64 value;
	} area[] = {
		{v->pci ? P_DESC : M_DESC, desc},
		{v->pci ? P_DRIVER : M_DRIVER, driver},
		{v->pci ? P_DEVICE : M_DEVICE, device},
	};

	queue_select(v, index);
	if (v->pci)
		write16(base + P_QUEUE_SIZE, size);
	else
		write32(base + M_QUEUE_SIZE, size);
	for (u32 i = 0; i < ARRAY_SIZE(area); i++) {
		write32(base + area[i].reg, (u32)area[i].value);
		write32(base + area[i].reg + 4, (u32)(area[i].value >> 32));
	}
	if (v->pci)
		write16(base + P_QUEUE_READY, 1);
	else
		write32(base + M_QUEUE_READY, 1);
}

/* Rings, each with a page a part. */
static struct {
	struct vio_desc desc[VIO_SIZE_MAX];
	u16 driver[2048], device[2048];
} rings[3] __attribute__((aligned(4096)));

void vio_ring(struct vio *v, struct vio_ring *r, u16 index, u16 size, u32 which)
{
	memset(&rings[which], 0, sizeof(rings[which]));
	*r = (struct vio_ring){
		.index = index,
		.size = size,
		.packed = v->features >> VIO_F_PACKED & 1,
		.avail_wrap = true,
		.used_wrap = true,
		.desc = rings[which].desc,
		.driver = rings[which].driver,
		.device = rings[which].device,
	};
	vio_queue_at(v, index, size, (ulong)r->desc, (ulong)r->driver, (ulong)r->device);
}

void vio_ring_reset(struct vio *v, u16 index)
{
	queue_select(v, index);
	if (v->pci)
		write16(v->common + P_RING_RESET, 1);
	else
		write32(v->base + M_RING_RESET, 1);
}

static u16 available(const struct vio_ring *r)
{
	return r->avail_wrap ? VIO_AVAIL : VIO_USED;
}

void vio_put(struct vio_ring *r, struct vio_desc *table, u16 i, u64 addr, u32 len, u16 flags, u16 next_or_id)
{
	struct vio_desc *d = (table ? table : r->desc) + i;

	d->addr = addr;
	d->len = len;
	d->a = r->packed ? next_or_id : flags;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	d->b = r->packed ? flags : next_or_id;
}

void vio_expose(struct vio_ring *r, u16 head, u16 entries)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!r->packed) {
		r->driver[2 + r->avail % r->size] = head;
		r->avail++;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		r->driver[1] = r->avail;
		return;
	}
	r->desc[r->avail].b = (u16)((r->desc[r->avail].b & ~(VIO_AVAIL | VIO_USED)) | available(r));
	r->avail = (u16)(r->avail + entries);
	if (r->avail >= r->size) {
		r->avail = (u16)(r->avail - r->size);
		r->avail_wrap = !r->avail_wrap;
	}
}

void vio_add(struct vio_ring *r, const struct vio_desc *pieces, u16 n, u16 out)
{
	bool wrap = r->avail_wrap;

	for (u16 i = 0; i < n; i++) {
		u16 flags = (u16)((i + 1 < n ? VIO_NEXT : 0) | (i >= out ? VIO_WRITE : 0));
		u16 at = r->packed ? (u16)((r->avail + i) % r->size) : i;

		if (r->packed && i && !at)
			wrap = !wrap;
		/* The first one stays unavailable until vio_expose(). */
		if (r->packed)
			flags |= (wrap != !i) ? VIO_AVAIL : VIO_USED;
		vio_put(r, NULL, at, pieces[i].addr, pieces[i].len, flags, r->packed ? 0 : (u16)(i + 1));
	}
	vio_expose(r, 0, n);
}

void vio_kick(struct vio *v, struct vio_ring *r)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!v->pci) {
		write32(v->base + M_NOTIFY, r->index);
		return;
	}
	queue_select(v, r->index);
	write16(v->notify + read16(v->common + P_NOTIFY_OFF) * v->notify_step, r->index);
}

/* Waits end what is stuck; an emulated CPU is slow, and the device's thread may wait for its turn. */
#define WAITS 30000000

static bool used_one(struct vio_ring *r, int64_t *written)
{
	const volatile struct vio_desc *d = &r->desc[r->used];
	u32 at;

	if (r->packed) {
		if ((d->b & (VIO_AVAIL | VIO_USED)) != (r->used_wrap ? VIO_AVAIL | VIO_USED : 0))
			return false;
		/* Ours are taken one at a time: the next one comes where the next was made available. */
		r->used = r->avail;
		r->used_wrap = r->avail_wrap;
		*written = d->len;
		return true;
	}
	if (r->device[1] == r->used)
		return false;
	at = 2 + 4 * (r->used % r->size);
	r->used++;
	*written = r->device[at + 2] | (u32)r->device[at + 3] << 16;
	return true;
}

int64_t vio_wait(struct vio_ring *r)
{
	int64_t written;

	for (u32 i = 0; i < WAITS; i++) {
		if (used_one(r, &written))
			return written;
		cpu_relax();
	}
	return -1;
}

int64_t vio_answer(struct vio *v, struct vio_ring *r)
{
	int64_t written;

	for (u32 i = 0; i < WAITS / 100; i++) {
		if (used_one(r, &written))
			return written;
		if (vio_status(v) & VIO_NEEDS_RESET)
			return -2;
	}
	return -1;
}

bool vio_needs_reset(struct vio *v)
{
	for (u32 i = 0; i < WAITS / 100; i++)
		if (vio_status(v) & VIO_NEEDS_RESET)
			return true;
	return false;
}

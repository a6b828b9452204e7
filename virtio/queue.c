/* SPDX-License-Identifier: MIT */
/*
 * Virtqueues: what split and packed rings share (virtqueue.h says how a device uses them). On the thread that
 * serves the queue, with vq->lock held.
 */
#include "packed.h"
#include "split.h"
#include "transport.h"
#include <lkvm/state.h>
#include <lkvm/virtio.h>

int walk_slow(struct virtqueue *vq, u64 addr, u32 len, struct iovec *iov, int room)
{
	int n = guest_iov(vq->mem, addr, len, iov, room);

	if (n < 0)
		return -EPROTO;
	for (u32 i = 0; n == 1 && i < vq->mem->nr_banks; i++) {
		const struct mem_bank *bank = &vq->mem->bank[i];

		if (!range_inside(addr, len, bank->gpa, bank->size))
			continue;
		vq->bank_gpa = bank->gpa;
		vq->bank_size = bank->size;
		vq->bank_hva = bank->hva;
	}
	return n;
}

static u64 area_size(const struct virtqueue *vq, u32 area)
{
	const u64 split[] = {16ull * vq->size, 6 + 2ull * vq->size, 6 + 8ull * vq->size};
	const u64 packed[] = {16ull * vq->size, 4, 4};

	return vq->packed ? packed[area] : split[area];
}

int vq_setup(struct virtqueue *vq, const struct guest_mem *mem)
{
	const u64 gpa[] = {vq->desc_gpa, vq->avail_gpa, vq->used_gpa};
	const u64 align[] = {16, vq->packed ? 4 : 2, 4};
	void **area[] = {&vq->desc, &vq->avail, &vq->used};

	/* A split ring's size is a power of 2 (2.7), for its indices run on over it. */
	if (!vq->size || vq->size > vq->size_max || (!vq->packed && vq->size & (vq->size - 1)))
		return -EINVAL;
	if (vq->packed && (vq->next_avail >= vq->size || vq->next_used >= vq->size))
		return -EINVAL;
	for (u32 i = 0; i < ARRAY_SIZE(gpa); i++) {
		*area[i] = gpa[i] & (align[i] - 1) ? NULL : guest_ptr(mem, gpa[i], area_size(vq, i));
		if (!*area[i])
			return -EINVAL;
	}
	vq->mem = mem;
	vq->bank_size = 0;
	vq->avail_seen = vq->next_avail;
	vq->staged = vq->inflight = 0;
	vq->ready = true;
	return 0;
}

void vq_reset(struct virtqueue *vq)
{
	vq->ready = vq->broken = false;
	vq->packed = vq->indirect = vq->event_idx = false;
	vq->size = vq->size_max;
	vq->vector = VIRTIO_NO_VECTOR;
	vq->desc_gpa = vq->avail_gpa = vq->used_gpa = 0;
	vq->desc = vq->avail = vq->used = NULL;
	vq->mem = NULL;
	vq->bank_size = 0;
	vq->next_avail = vq->next_used = vq->avail_seen = 0;
	vq->avail_wrap = vq->used_wrap = true;
	vq->staged = vq->inflight = 0;
}

static int pop_failed(struct virtqueue *vq)
{
	vq->broken = true;
	virtio_needs_reset(vq->vdev, "bad ring or descriptor");
	return -EPROTO;
}

int vq_pop(struct virtqueue *vq, struct vq_chain *chain)
{
	int ret;

	if (unlikely(!vq->ready || vq->broken))
		return 0;
	ret = vq->packed ? packed_pop(vq, chain) : split_pop(vq, chain);
	if (unlikely(ret <= 0))
		return ret ? pop_failed(vq) : 0;
	/* More buffers out than the ring has entries: the driver reuses what was not given back. */
	if (unlikely(vq->inflight >= vq->size))
		return pop_failed(vq);
	vq->inflight++;
	return 1;
}

void vq_unpop(struct virtqueue *vq, const struct vq_chain *chain)
{
	vq->inflight--;
	if (vq->packed)
		packed_unpop(vq, chain);
	else
		vq->next_avail--;
}

void vq_push(struct virtqueue *vq, const struct vq_chain *chain, u32 written)
{
	vq->inflight--;
	if (vq->packed)
		packed_push(vq, chain, written);
	else
		split_push(vq, chain, written);
}

void vq_flush(struct virtqueue *vq)
{
	bool wanted;

	if (!vq->staged)
		return;
	wanted = vq->packed ? packed_publish(vq) : split_publish(vq);
	vq->staged = 0;
	if (wanted)
		virtio_interrupt(vq->vdev, vq);
}

void vq_quiet(struct virtqueue *vq)
{
	if (!vq->ready)
		return;
	if (vq->packed)
		packed_quiet(vq);
	else
		split_quiet(vq);
}

bool vq_listen(struct virtqueue *vq)
{
	if (!vq->ready || vq->broken)
		return false;
	return vq->packed ? packed_listen(vq) : split_listen(vq);
}

void vq_state(struct virtqueue *vq, struct state *s)
{
	state_u16(s, "size", &vq->size);
	state_u16(s, "vector", &vq->vector);
	state_u64(s, "desc", &vq->desc_gpa);
	state_u64(s, "avail", &vq->avail_gpa);
	state_u64(s, "used", &vq->used_gpa);
	state_bool(s, "ready", &vq->ready);
	state_bool(s, "broken", &vq->broken);
	state_u16(s, "next_avail", &vq->next_avail);
	state_u16(s, "next_used", &vq->next_used);
	state_bool(s, "avail_wrap", &vq->avail_wrap);
	state_bool(s, "used_wrap", &vq->used_wrap);
	if (state_printing(s))
		state_note(s, "inflight", "%u", vq->inflight);
}

/* SPDX-License-Identifier: MIT */
/*
 * A virtqueue whose driver is the input: rings, descriptors and indirect tables hold what it says, and change
 * between our steps. Whatever they hold, what is popped lies in guest memory, is no longer than it says and
 * no more than the queue has entries, and nothing but the rings and the buffers is ever written.
 */
#include "fuzz-vm.h"
#include "ring-driver.h"

#define ROOM 48

/* Memory of the banks beyond what the input fills in; a ring's writes end in front of it. */
static void check_chain(struct ring_driver *d, const struct vq_chain *c)
{
	u64 out = 0, in = 0;

	fuzz_assert(c->nr_out + c->nr_in <= ROOM, "a chain keeps to its room");
	fuzz_assert(!d->packed || (c->slots && c->slots <= d->vq.size), "a chain is no longer than the ring");
	for (u32 i = 0; i < c->nr_out + c->nr_in; i++) {
		u8 *p = c->iov[i].iov_base;
		size_t len = c->iov[i].iov_len;
		bool inside = false;

		for (u32 b = 0; b < RD_BANKS; b++) {
			u8 *hva = d->kvm.mem.bank[b].hva;

			inside |= p >= hva && len <= RD_BANK_SIZE && (size_t)(p - hva) <= RD_BANK_SIZE - len;
		}
		fuzz_assert(inside && len, "a piece lies in memory");
		*(i < c->nr_out ? &out : &in) += len;
	}
	fuzz_assert(out == c->out_len && in == c->in_len, "the pieces are as long as the chain");
}

/* { place u16, length u8, bytes }: where rings and tables are, the low 64 KiB in steps of 2. */
static void poke(struct ring_driver *d, struct fuzz_in *in)
{
	u32 at = (u32)fuzz_take(in, 2) * 2, len = (u32)fuzz_take(in, 1) % 64;

	for (u32 i = 0; i < len && in->at < in->end && at + i < RD_BANK_SIZE; i++)
		((u8 *)d->kvm.mem.bank[0].hva)[at + i] = (u8)fuzz_take(in, 1);
}

/* { where in the ring u16, address u32, length u16, flags u16, id u16 }: a descriptor that has a chance. */
static void descriptor(struct ring_driver *d, struct fuzz_in *in)
{
	u16 i = (u16)(fuzz_take(in, 2) % d->size);
	gpa_t gpa = RD_GPA - 8 + fuzz_take(in, 4) % (2 * RD_BANK_SIZE + 16);
	u32 len = (u32)fuzz_take(in, 2);
	u16 flags = (u16)fuzz_take(in, 2), id = (u16)(fuzz_take(in, 2) % (d->size + 1u));

	rd_desc(d, d->vq.desc_gpa, i, gpa, len, flags, id);
	if (!d->packed) {
		u16 *avail = rd_avail_ring(d);

		avail[2 + avail[1] % d->size] = i;
		avail[1]++;
	}
}

static void set_up(struct ring_driver *d, struct fuzz_in *in)
{
	u8 how = (u8)fuzz_take(in, 1);

	vq_reset(&d->vq);
	d->packed = d->vq.packed = how & 1;
	d->vq.event_idx = how & 2;
	d->vq.indirect = how & 4;
	d->vq.size = how & 8 ? (u16)fuzz_take(in, 2) : (u16)(1u << (how >> 5));
	d->vq.desc_gpa = RD_GPA + (how & 16 ? fuzz_take(in, 3) : 0);
	d->vq.avail_gpa = RD_GPA + 0x8000;
	d->vq.used_gpa = RD_GPA + 0xc000;
	d->size = d->vq.size ? d->vq.size : 1;
	atomic_store(&d->vdev.status, VIRTIO_CONFIG_S_DRIVER_OK);
	if (vq_setup(&d->vq, &d->kvm.mem)) {
		vq_reset(&d->vq);
		d->vq.desc_gpa = RD_GPA;
		d->vq.avail_gpa = RD_GPA + 0x8000;
		d->vq.used_gpa = RD_GPA + 0xc000;
		d->packed = false;
		d->size = d->vq.size = 4;
		fuzz_assert(!vq_setup(&d->vq, &d->kvm.mem), "a plain ring is taken");
	}
}

struct out {
	struct iovec iov[ROOM];
	struct vq_chain chain;
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct ring_driver *d = rd_create(256, false, false);
	struct fuzz_in in = {.at = data, .end = data + size};
	struct out *out = calloc(d->vq.size_max, sizeof(*out));
	u32 n = 0;

	set_up(d, &in);
	while (in.at < in.end) {
		u8 op = (u8)fuzz_take(&in, 1);
		struct out *o = &out[n];
		int ret;

		switch (op % 8) {
		case 0:
			set_up(d, &in);
			n = 0;
			break;
		case 1:
			poke(d, &in);
			break;
		case 2:
			descriptor(d, &in);
			break;
		case 3:
		case 4:
			fuzz_assert(n <= d->vq.size_max, "no more chains than entries");
			o = n < d->vq.size_max ? o : &out[0];
			o->chain.iov = o->iov;
			o->chain.room = 1 + (op >> 3) % ROOM;
			ret = vq_pop(&d->vq, &o->chain);
			fuzz_assert(ret == 1 || !ret || ret == -EPROTO, "vq_pop's answer");
			if (ret != 1)
				break;
			fuzz_assert(n < d->vq.size, "no more chains out than entries");
			check_chain(d, &o->chain);
			if (op & 0x80)
				vq_unpop(&d->vq, &o->chain);
			else
				n++;
			break;
		case 5: {
			u32 which = n ? (op >> 3) % n : 0;

			if (!n)
				break;
			chain_write(&out[which].chain, 0, "written!", 8);
			vq_push(&d->vq, &out[which].chain, out[which].chain.in_len);
			out[which] = out[--n];
			out[which].chain.iov = out[which].iov;
			break;
		}
		case 6:
			vq_flush(&d->vq);
			break;
		default:
			if (op & 8)
				vq_quiet(&d->vq);
			else if (vq_listen(&d->vq))
				break;
		}
	}
	free(out);
	rd_destroy(d);
	return 0;
}

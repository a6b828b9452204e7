/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/*
 * Virtqueues and a bad driver: whatever it does to the ring, it gets no further than NEEDS_RESET, once, and
 * after a reset the queue works.
 */
#include "capture.h"
#include "ring-driver.h"
#include <stdatomic.h>
#include <stdio.h>

typedef void (*spoil_fn)(struct ring_driver *d);

static struct rd_buf good[] = {{RD_DATA, 16, false}, {RD_DATA + 16, 16, true}};

static void spoil_index_ahead(struct ring_driver *d)
{
	rd_avail_ring(d)[1] = (u16)(d->avail + d->size + 1);
}

static void spoil_head(struct ring_driver *d)
{
	rd_avail_ring(d)[2] = d->size;
	rd_avail_ring(d)[1] = 1;
}

static void spoil_next(struct ring_driver *d)
{
	rd_desc(d, d->vq.desc_gpa, 0, RD_DATA, 16, VRING_DESC_F_NEXT, d->size);
	rd_expose(d, 0, 1, 0);
}

static void spoil_loop(struct ring_driver *d)
{
	rd_desc(d, d->vq.desc_gpa, 0, RD_DATA, 16, VRING_DESC_F_NEXT, 1);
	rd_desc(d, d->vq.desc_gpa, 1, RD_DATA, 16, VRING_DESC_F_NEXT, 0);
	rd_expose(d, 0, 1, 0);
}

static void spoil_order(struct ring_driver *d)
{
	static const struct rd_buf buf[] = {{RD_DATA, 16, true}, {RD_DATA, 16, false}};

	rd_add(d, buf, 2, 0);
}

static void spoil_length_sum(struct ring_driver *d)
{
	/* Each is more than there is; if it were not, the sum would not fit in 32 bits. */
	static const struct rd_buf buf[] = {{RD_DATA, UINT32_MAX, true}, {RD_DATA, UINT32_MAX, true}};

	rd_add(d, buf, 2, 0);
}

static void spoil_long_ring(struct ring_driver *d)
{
	/* Every entry says that another follows. */
	for (u16 i = 0; i < d->size; i++)
		rd_desc(d, d->vq.desc_gpa, i, RD_DATA, 1,
			(u16)(VRING_DESC_F_NEXT | (d->packed ? rd_avail_flags(d) : 0)),
			(u16)((i + 1) % d->size));
	if (!d->packed)
		rd_expose(d, 0, 1, 0);
}

static void indirect(struct ring_driver *d, gpa_t table, u32 len, u16 flags)
{
	rd_desc(d, d->vq.desc_gpa, 0, table, len, d->packed ? 0 : (u16)(VRING_DESC_F_INDIRECT | flags), 1);
	rd_expose(d, 0, 1, (u16)(VRING_DESC_F_INDIRECT | flags));
}

static void spoil_indirect_length(struct ring_driver *d)
{
	indirect(d, RD_DATA, 17, 0);
}

static void spoil_indirect_empty(struct ring_driver *d)
{
	indirect(d, RD_DATA, 0, 0);
}

static void spoil_indirect_huge(struct ring_driver *d)
{
	indirect(d, RD_DATA, (d->size + 1u) * 16, 0);
}

static void spoil_indirect_place(struct ring_driver *d)
{
	indirect(d, RD_HOLE, 16, 0);
}

static void spoil_indirect_next(struct ring_driver *d)
{
	rd_desc(d, RD_DATA, 0, RD_DATA, 16, 0, 0);
	rd_desc(d, d->vq.desc_gpa, 1, RD_DATA, 16, d->packed ? rd_avail_flags(d) : 0, 1);
	indirect(d, RD_DATA, 16, VRING_DESC_F_NEXT);
}

static void spoil_indirect_twice(struct ring_driver *d)
{
	rd_desc(d, RD_DATA, 0, RD_DATA + 256, 16, VRING_DESC_F_INDIRECT, 0);
	rd_desc(d, RD_DATA + 256, 0, RD_DATA, 16, 0, 0);
	indirect(d, RD_DATA, 16, 0);
}

static void spoil_indirect_not_offered(struct ring_driver *d)
{
	d->vq.indirect = false;
	rd_add(d, good, 2, RD_DATA + 0x100);
}

static void spoil_indirect_loop(struct ring_driver *d)
{
	rd_desc(d, RD_DATA, 0, RD_DATA, 16, VRING_DESC_F_NEXT, 1);
	rd_desc(d, RD_DATA, 1, RD_DATA, 16, VRING_DESC_F_NEXT, 0);
	indirect(d, RD_DATA, 32, 0);
}

static void spoil_too_many_pieces(struct ring_driver *d)
{
	struct rd_buf buf[RD_ROOM + 1];

	for (u32 i = 0; i < RD_ROOM + 1; i++)
		buf[i] = (struct rd_buf){RD_DATA + 0x8000, 1, true};
	rd_add(d, buf, RD_ROOM + 1, RD_DATA);
}

static const struct {
	const char *name;
	spoil_fn fn;
	bool split, packed;
	u16 size;
} spoils[] = {
	{"avail index ahead of the ring", spoil_index_ahead, true, false, 8},
	{"head outside", spoil_head, true, false, 8},
	{"next outside", spoil_next, true, false, 8},
	{"loop", spoil_loop, true, false, 8},
	{"readable behind writable", spoil_order, true, true, 8},
	{"sum of lengths", spoil_length_sum, true, true, 8},
	{"no end", spoil_long_ring, true, true, 8},
	{"indirect table of odd length", spoil_indirect_length, true, true, 8},
	{"indirect table of nothing", spoil_indirect_empty, true, true, 8},
	{"indirect table longer than the queue", spoil_indirect_huge, true, true, 8},
	{"indirect table nowhere", spoil_indirect_place, true, true, 8},
	{"indirect and next", spoil_indirect_next, true, true, 8},
	{"indirect in indirect", spoil_indirect_twice, true, false, 8},
	{"indirect not agreed on", spoil_indirect_not_offered, true, true, 8},
	{"loop in an indirect table", spoil_indirect_loop, true, false, 8},
	{"more pieces than room", spoil_too_many_pieces, true, true, 128},
};

static void test_bad_drivers(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(spoils); i++)
		for (u32 packed = 0; packed < 2; packed++) {
			const struct rd_kind k = {spoils[i].size, packed, true};
			struct ring_driver *d;
			struct rd_popped p;
			u16 id;
			u32 len;

			if (packed ? !spoils[i].packed : !spoils[i].split)
				continue;
			d = rd_ready(&k);
			spoils[i].fn(d);
			if (rd_pop(d, &p) != -EPROTO)
				fail_msg("%s (%s) went through", spoils[i].name, packed ? "packed" : "split");
			assert_true(atomic_load(&d->vdev.status) & VIRTIO_CONFIG_S_NEEDS_RESET);
			assert_int_equal(d->config_changes, 1);
			/* From here on nothing more comes out of it, and it is told once. */
			assert_int_equal(rd_pop(d, &p), 0);
			assert_false(vq_listen(&d->vq));
			assert_int_equal(d->config_changes, 1);

			/* After a reset it works. */
			pthread_mutex_lock(&d->vq.lock);
			vq_reset(&d->vq);
			pthread_mutex_unlock(&d->vq.lock);
			d->vq.packed = packed;
			d->vq.event_idx = true;
			d->vq.desc_gpa = RD_GPA;
			d->vq.avail_gpa = RD_GPA + 0x8000;
			d->vq.used_gpa = RD_GPA + 0xc000;
			memset(d->kvm.mem.bank[0].hva, 0, RD_BANK_SIZE);
			memset(d->slots, 0, sizeof(d->slots));
			d->avail = d->used = 0;
			d->avail_wrap = d->used_wrap = true;
			assert_int_equal(vq_setup(&d->vq, &d->kvm.mem), 0);
			id = rd_add(d, good, 2, 0);
			assert_int_equal(rd_pop(d, &p), 1);
			vq_push(&d->vq, &p.chain, 16);
			vq_flush(&d->vq);
			assert_int_equal(rd_used(d, &len), id);
			rd_destroy(d);
		}
}

/* More buffers than the ring has entries: the driver gives again what it has not got back. */
static void test_more_than_the_ring(void **state)
{
	for (u32 packed = 0; packed < 2; packed++) {
		const struct rd_kind k = {4, packed, false};
		struct ring_driver *d = rd_ready(&k);
		struct rd_popped p;
		int ret = 1;

		for (u32 i = 0; i < 5 && ret == 1; i++) {
			memset(d->slots, 0, sizeof(d->slots));
			rd_add(d, good, 1, 0);
			ret = rd_pop(d, &p);
			assert_int_equal(ret, i < 4 ? 1 : -EPROTO);
		}
		rd_destroy(d);
	}
}

/* ---- a driver that changes its mind ------------------------------------------------------------- */

static struct {
	struct ring_driver *d;
	_Atomic bool stop;
} changing;

/* Flips bits of the ring's descriptors and of what makes them available, as fast as it can. */
static void *change_memory(void *arg)
{
	volatile u16 *mem = rd_ptr(changing.d, RD_GPA);
	u32 x = 1;

	while (!atomic_load(&changing.stop)) {
		u32 at;

		x = x * 1664525 + 1013904223;
		at = x >> 8 & 63; /* a word of the 8 descriptors */
		if (x >> 30)
			mem[at] ^= (u16)(1u << (x >> 16 & 15));
		else
			mem[0x4000 + (x >> 8 & 15)] ^= (u16)(1u << (x >> 16 & 3));
	}
	return NULL;
}

static void check_inside(struct ring_driver *d, const struct vq_chain *c)
{
	for (u32 i = 0; i < c->nr_out + c->nr_in; i++) {
		u8 *p = c->iov[i].iov_base;
		bool inside = false;

		for (u32 b = 0; b < RD_BANKS; b++) {
			u8 *hva = d->kvm.mem.bank[b].hva;

			inside |= p >= hva && p < hva + RD_BANK_SIZE &&
				  c->iov[i].iov_len <= (size_t)(hva + RD_BANK_SIZE - p);
		}
		assert_true(inside);
	}
}

/* Both sides begin anew. */
static void begin_again(struct ring_driver *d)
{
	vq_reset(&d->vq);
	d->vq.packed = d->packed;
	d->vq.indirect = d->vq.event_idx = true;
	d->vq.desc_gpa = RD_GPA;
	d->vq.avail_gpa = RD_GPA + 0x8000;
	d->vq.used_gpa = RD_GPA + 0xc000;
	d->vq.size = d->size;
	atomic_store(&d->vdev.status, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(vq_setup(&d->vq, &d->kvm.mem), 0);
	memset(rd_ptr(d, RD_GPA), 0, 0x10000);
	memset(d->slots, 0, sizeof(d->slots));
	d->avail = d->used = 0;
	d->avail_wrap = d->used_wrap = true;
}

/* What was checked is what is used: a piece never leaves memory, whatever is written meanwhile. */
static void test_changing_memory(void **state)
{
	for (u32 packed = 0; packed < 2; packed++) {
		const struct rd_kind k = {8, packed, true};
		struct ring_driver *d = rd_ready(&k);
		u32 popped = 0, refused = 0;
		pthread_t thread;

		alarm(120);
		changing.d = d;
		atomic_store(&changing.stop, false);
		pthread_create(&thread, NULL, change_memory, NULL);
		while (popped < 2000 || refused < 100) {
			struct rd_popped p;
			int ret;

			begin_again(d);
			rd_add(d, good, 2, popped & 1 ? RD_DATA + 256 : 0);
			ret = rd_pop(d, &p);
			refused += ret < 0;
			if (ret != 1)
				continue;
			check_inside(d, &p.chain);
			vq_push(&d->vq, &p.chain, (u32)chain_write(&p.chain, 0, "changed", 7));
			vq_flush(&d->vq);
			popped++;
		}
		atomic_store(&changing.stop, true);
		pthread_join(thread, NULL);
		alarm(0);
		rd_destroy(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_drivers),
		cmocka_unit_test(test_more_than_the_ring),
		cmocka_unit_test(test_changing_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

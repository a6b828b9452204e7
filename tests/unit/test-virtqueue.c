/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* TSAN */
/*
 * Virtqueues: what a driver adds comes out, and back, whatever the kind of ring, its size, the shape of the
 * chain and the order.
 */
#include "capture.h"
#include "ring-driver.h"
#include <lkvm/state.h>
#include <sched.h>
#include <stdio.h>

static const struct rd_kind kinds[] = {
	{1, false, false}, {1, true, false},  {2, false, true},	 {2, true, true},    {8, false, false},
	{8, false, true},  {8, true, false},  {8, true, true},	 {5, true, true},    {64, true, true},
	{64, false, true}, {64, true, false}, {256, true, true}, {256, false, true},
};

/* ---- a good driver -------------------------------------------------------------------------------- */

/* Many laps, chains of every shape, each byte where it belongs. */
static void laps(const struct rd_kind *k, u32 indirect_every)
{
	struct ring_driver *d = rd_ready(k);
	struct rd_popped p;
	u32 seed = 1;

	for (u32 turn = 0; turn < 5u * k->size + 40; turn++) {
		struct rd_buf buf[6];
		u16 n, id;
		u32 len, in_len = 0, out_len = 0;
		gpa_t at = RD_DATA + 0x1000, table = 0;

		if (indirect_every && turn % indirect_every == 0)
			table = RD_DATA + 2 * (turn % 3);	   /* of no alignment */
		n = (u16)(1 + turn % (k->size > 6 ? 6 : k->size)); /* no chain is longer than the queue */
		for (u16 i = 0; i < n; i++) {
			seed = seed * 1103515245 + 12345;
			buf[i] = (struct rd_buf){.gpa = at, .len = 1 + (seed >> 16) % 5000, .in = i >= n / 2};
			if (buf[i].in)
				in_len += buf[i].len;
			else
				out_len += buf[i].len;
			at += buf[i].len;
		}
		memset(rd_ptr(d, buf[0].gpa), (int)turn, 1);
		id = rd_add(d, buf, n, table);
		assert_int_not_equal(id, UINT16_MAX);
		assert_int_equal(rd_pop(d, &p), 1);
		assert_int_equal(p.chain.out_len, out_len);
		assert_int_equal(p.chain.in_len, in_len);
		assert_int_equal(p.chain.nr_out, n / 2);
		assert_int_equal(p.chain.nr_in, n - n / 2);
		for (u16 i = 0; i < n; i++) {
			assert_ptr_equal(p.iov[i].iov_base, rd_ptr(d, buf[i].gpa));
			assert_int_equal(p.iov[i].iov_len, buf[i].len);
		}
		assert_int_equal(rd_pop(d, &p), 0);
		assert_int_equal(rd_used(d, &len), UINT16_MAX);
		vq_push(&d->vq, &p.chain, turn);
		assert_int_equal(rd_used(d, &len), UINT16_MAX); /* not before the flush */
		vq_flush(&d->vq);
		assert_int_equal(rd_used(d, &len), id);
		assert_int_equal(len, turn);
		assert_int_equal(rd_used(d, &len), UINT16_MAX);
	}
	assert_true(virtio_is_ready(&d->vdev));
	rd_destroy(d);
}

static void test_laps(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		laps(&kinds[i], 0);
}

static void test_laps_indirect(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		laps(&kinds[i], 1);
		laps(&kinds[i], 3);
	}
}

/* A full ring, given back in another order, by one flush. */
static void test_out_of_order(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct ring_driver *d = rd_ready(&kinds[i]);
		struct rd_popped *p = calloc(d->size, sizeof(*p));

		for (u32 turn = 0; turn < 7; turn++) {
			u32 seen = 0, len;
			u16 id;

			for (u16 b = 0; b < d->size; b++) {
				struct rd_buf buf = {RD_DATA + b * 16u, 16, true};

				assert_int_not_equal(rd_add(d, &buf, 1, 0), UINT16_MAX);
			}
			for (u16 b = 0; b < d->size; b++)
				assert_int_equal(rd_pop(d, &p[b]), 1);
			assert_int_equal(rd_pop(d, &p[0]), 0);
			for (u16 b = d->size; b-- > 0;)
				vq_push(&d->vq, &p[b].chain, 100u + p[b].chain.id);
			vq_flush(&d->vq);
			while ((id = rd_used(d, &len)) != UINT16_MAX) {
				assert_int_equal(len, 100 + id);
				seen++;
			}
			assert_int_equal(seen, d->size);
		}
		free(p);
		rd_destroy(d);
	}
}

static void test_unpop(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct ring_driver *d = rd_ready(&kinds[i]);

		for (u32 turn = 0; turn < 3u * d->size; turn++) {
			struct rd_buf buf = {RD_DATA, 16, true};
			struct rd_popped p, again;
			u32 len;
			u16 id = rd_add(d, &buf, 1, 0);

			assert_int_equal(rd_pop(d, &p), 1);
			vq_unpop(&d->vq, &p.chain);
			assert_int_equal(rd_pop(d, &again), 1);
			assert_int_equal(again.chain.id, p.chain.id);
			assert_ptr_equal(again.iov[0].iov_base, p.iov[0].iov_base);
			vq_push(&d->vq, &again.chain, 1);
			vq_flush(&d->vq);
			assert_int_equal(rd_used(d, &len), id);
		}
		rd_destroy(d);
	}
}

/* An interrupt for each flush while the driver wants them, none while it does not. */
static void test_interrupts(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct ring_driver *d = rd_ready(&kinds[i]);
		struct rd_buf buf = {RD_DATA, 16, true};

		for (u32 turn = 0; turn < 4u * d->size; turn++) {
			u32 before = d->interrupts, len;
			bool on = turn % 3 != 1;
			struct rd_popped p;

			rd_interrupts(d, on);
			rd_add(d, &buf, 1, 0);
			assert_int_equal(rd_pop(d, &p), 1);
			vq_push(&d->vq, &p.chain, 0);
			vq_flush(&d->vq);
			assert_int_equal(d->interrupts - before, on);
			vq_flush(&d->vq); /* of nothing */
			assert_int_equal(d->interrupts - before, on);
			rd_used(d, &len);
		}
		rd_destroy(d);
	}
}

/* With the event index an interrupt comes when the entry asked for is among those of the flush. */
static void test_event_index(void **state)
{
	for (u32 packed = 0; packed < 2; packed++) {
		const struct rd_kind k = {8, packed, true};
		struct ring_driver *d = rd_ready(&k);
		u16 *avail = rd_avail_ring(d);

		for (u32 lap = 0; lap < 6; lap++) {
			u16 target = (u16)(d->used + 2);
			bool wrap = d->used_wrap;
			u32 before = d->interrupts, len;

			if (packed && target >= d->size) {
				target = (u16)(target - d->size);
				wrap = !wrap;
			}
			if (packed)
				avail[0] = htole16((u16)(target | wrap << 15));
			else
				avail[2 + d->size] = htole16(target);
			for (u32 b = 0; b < 5; b++) {
				struct rd_buf buf = {RD_DATA, 16, true};
				struct rd_popped p;

				rd_add(d, &buf, 1, 0);
				assert_int_equal(rd_pop(d, &p), 1);
				vq_push(&d->vq, &p.chain, 0);
				vq_flush(&d->vq);
				assert_int_equal(d->interrupts - before, b >= 2);
			}
			while (rd_used(d, &len) != UINT16_MAX)
				;
		}
		rd_destroy(d);
	}
}

static void test_notifications(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct ring_driver *d = rd_ready(&kinds[i]);
		struct rd_buf buf = {RD_DATA, 16, true};
		struct rd_popped p;
		u32 len;

		for (u32 turn = 0; turn < 3u * d->size; turn++) {
			assert_false(vq_listen(&d->vq));
			rd_add(d, &buf, 1, 0);
			assert_true(rd_wants_kick(d));
			assert_true(vq_listen(&d->vq)); /* it is there already */
			assert_int_equal(rd_pop(d, &p), 1);
			vq_push(&d->vq, &p.chain, 0);
			vq_flush(&d->vq);
			rd_used(d, &len);
			vq_quiet(&d->vq);
			rd_add(d, &buf, 1, 0);
			/* A split ring's event index is quiet from the entry on that was asked for last. */
			if (d->packed || !d->vq.event_idx)
				assert_false(rd_wants_kick(d));
			d->since = 0;
			assert_int_equal(rd_pop(d, &p), 1);
			vq_push(&d->vq, &p.chain, 0);
			vq_flush(&d->vq);
			rd_used(d, &len);
		}
		rd_destroy(d);
	}
}

/* ---- memory --------------------------------------------------------------------------------------- */

static void test_edges_of_memory(void **state)
{
	static const struct {
		gpa_t gpa;
		u32 len;
		int pieces; /* -1: refused */
	} range[] = {
		{RD_GPA + RD_BANK_SIZE - 16, 16, 1},
		{RD_GPA + RD_BANK_SIZE - 16, 32, 2},
		{RD_GPA + RD_BANK_SIZE, 16, 1},
		{RD_GPA + 2 * RD_BANK_SIZE - 16, 16, 1},
		{RD_GPA + 2 * RD_BANK_SIZE - 16, 17, -1},
		{RD_GPA + 2 * RD_BANK_SIZE, 1, -1},
		{RD_GPA - 1, 2, -1},
		{RD_HOLE, 1, -1},
		{0, 1, -1},
		{UINT64_MAX, 1, -1},
		{UINT64_MAX - 3, 8, -1},
		{RD_GPA, UINT32_MAX, -1},
	};

	for (u32 packed = 0; packed < 2; packed++)
		for (size_t i = 0; i < ARRAY_SIZE(range); i++) {
			const struct rd_kind k = {8, packed, true};
			struct ring_driver *d = rd_ready(&k);
			struct rd_buf buf = {range[i].gpa, range[i].len, true};
			struct rd_popped p;
			int ret;

			rd_add(d, &buf, 1, 0);
			ret = rd_pop(d, &p);
			assert_int_equal(ret, range[i].pieces < 0 ? -EPROTO : 1);
			if (ret == 1)
				assert_int_equal(p.chain.nr_in, range[i].pieces);
			assert_int_equal(d->config_changes, ret < 0);
			rd_destroy(d);
		}
}

static void test_readonly_memory(void **state)
{
	const struct rd_kind k = {8, false, false};
	struct ring_driver *d = rd_ready(&k);
	struct rd_buf buf = {RD_GPA + RD_BANK_SIZE, 16, true};
	struct rd_popped p;

	/* The bank that answered last must not go unasked. */
	rd_add(d, &buf, 1, 0);
	assert_int_equal(rd_pop(d, &p), 1);
	vq_push(&d->vq, &p.chain, 0);
	d->kvm.mem.bank[1].readonly = true;
	d->vq.bank_size = 0;
	rd_add(d, &buf, 1, 0);
	assert_int_equal(rd_pop(d, &p), -EPROTO);
	rd_destroy(d);
}

static void test_rings_outside(void **state)
{
	for (u32 packed = 0; packed < 2; packed++)
		for (u32 area = 0; area < 3; area++) {
			static const u64 bad[] = {0,
						  RD_HOLE,
						  UINT64_MAX - 15,
						  RD_GPA + 2 * RD_BANK_SIZE - 4 - 16,
						  RD_GPA + RD_BANK_SIZE - 16,
						  RD_GPA + 1};

			for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
				struct ring_driver *d = rd_create(64, packed, true);
				u64 *gpa[] = {&d->vq.desc_gpa, &d->vq.avail_gpa, &d->vq.used_gpa};

				*gpa[area] = bad[i];
				/* The small areas of a packed ring do fit there. */
				if (!packed || !area || i < 3 || i == 5)
					assert_int_equal(vq_setup(&d->vq, &d->kvm.mem), -EINVAL);
				rd_destroy(d);
			}
		}
}

static void test_sizes(void **state)
{
	static const u16 sizes[] = {0, 3, 65, 128, 0x8000, 0xffff};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct ring_driver *d = rd_create(64, false, true);

		d->vq.size = sizes[i];
		assert_int_equal(vq_setup(&d->vq, &d->kvm.mem), -EINVAL);
		d->vq.packed = true;
		assert_int_equal(vq_setup(&d->vq, &d->kvm.mem), sizes[i] == 3 ? 0 : -EINVAL);
		rd_destroy(d);
	}
}

/* ---- two threads ---------------------------------------------------------------------------------- */

#define RACE_BUFFERS 20000

struct race {
	struct ring_driver *d;
	int kick[2];
};

/* The device's loop as virtqueue.h has it; a byte in the pipe is a notification. */
static void *race_device(void *arg)
{
	struct race *r = arg;
	struct virtqueue *vq = &r->d->vq;
	u32 done = 0;
	char c;

	while (done < RACE_BUFFERS && read(r->kick[0], &c, 1) == 1) {
		struct rd_popped p = {.chain = {.iov = p.iov, .room = RD_ROOM}};
		int n;

		do {
			vq_quiet(vq);
			while ((n = vq_pop(vq, &p.chain)) > 0) {
				u32 v = 0;

				chain_read(&p.chain, 0, &v, sizeof(v));
				v ^= 0x5a5a5a5a;
				vq_push(vq, &p.chain, (u32)chain_write(&p.chain, 0, &v, sizeof(v)));
				done++;
			}
			vq_flush(vq);
		} while (n == 0 && vq_listen(vq));
		if (n < 0)
			break;
	}
	return NULL;
}

/* No notification is lost: if one were, both would wait for ever, and the alarm ends that. */
static void race(const struct rd_kind *k)
{
	struct race r = {.d = rd_ready(k)};
	struct ring_driver *d = r.d;
	u32 added = 0, back = 0, len;
	pthread_t thread;

	assert_int_equal(pipe(r.kick), 0);
	pthread_create(&thread, NULL, race_device, &r);
	alarm(120);
	while (back < RACE_BUFFERS) {
		u16 id;

		while (added < RACE_BUFFERS && added - back < d->size / 2) {
			gpa_t gpa = RD_DATA + added % d->size * 64;
			struct rd_buf buf[] = {{gpa, 4, false}, {gpa + 32, 4, true}};

			*(u32 *)rd_ptr(d, gpa) = added;
			*(u32 *)rd_ptr(d, gpa + 32) = 0;
			if (rd_add(d, buf, 2, 0) == UINT16_MAX)
				break;
			added++;
		}
		if (rd_wants_kick(d))
			assert_int_equal(write(r.kick[1], "k", 1), 1);
		while ((id = rd_used(d, &len)) != UINT16_MAX) {
			assert_int_equal(*(u32 *)rd_ptr(d, RD_DATA + back % d->size * 64 + 32),
					 back ^ 0x5a5a5a5a);
			assert_int_equal(len, 4);
			back++;
		}
		if (added - back >= d->size / 2)
			sched_yield();
	}
	pthread_join(thread, NULL);
	alarm(0);
	assert_true(virtio_is_ready(&d->vdev));
	close(r.kick[0]);
	close(r.kick[1]);
	rd_destroy(d);
}

static void test_race(void **state)
{
	static const struct rd_kind k[] = {
		{16, false, false}, {16, false, true}, {16, true, false}, {16, true, true}, {15, true, true}};

	for (size_t i = 0; i < ARRAY_SIZE(k); i++)
		race(&k[i]);
}

/* ---- state ---------------------------------------------------------------------------------------- */

static void test_state(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct ring_driver *d = rd_ready(&kinds[i]);
		struct virtqueue saved;
		struct buf out = {0};
		struct rd_buf buf = {RD_DATA, 16, true};
		struct rd_popped p;
		struct state s;
		u32 len;

		for (u32 turn = 0; turn < d->size * 3u / 2; turn++) {
			rd_add(d, &buf, 1, 0);
			assert_int_equal(rd_pop(d, &p), 1);
			vq_push(&d->vq, &p.chain, 0);
			vq_flush(&d->vq);
			rd_used(d, &len);
		}
		rd_add(d, &buf, 1, 0);
		state_init_out(&s, STATE_SAVE, &out);
		state_begin(&s, "q", 1);
		vq_state(&d->vq, &s);
		state_end(&s);
		assert_int_equal(state_finish(&s, "q"), 0);
		saved = d->vq;
		vq_reset(&d->vq);
		state_init_in(&s, out.data, out.len);
		state_begin(&s, "q", 1);
		vq_state(&d->vq, &s);
		state_end(&s);
		assert_int_equal(state_finish(&s, "q"), 0);
		d->vq.packed = saved.packed;
		d->vq.indirect = saved.indirect;
		d->vq.event_idx = saved.event_idx;
		assert_int_equal(vq_setup(&d->vq, &d->kvm.mem), 0);
		/* The buffer that was there comes out, and the next ones. */
		for (u32 turn = 0; turn < 2u * d->size; turn++) {
			assert_int_equal(rd_pop(d, &p), 1);
			vq_push(&d->vq, &p.chain, 7);
			vq_flush(&d->vq);
			assert_int_not_equal(rd_used(d, &len), UINT16_MAX);
			assert_int_equal(len, 7);
			rd_add(d, &buf, 1, 0);
		}
		buf_free(&out);
		rd_destroy(d);
	}
}

/* ---- pieces --------------------------------------------------------------------------------------- */

static void test_pieces(void **state)
{
	char a[] = "abc", b[] = "", c[] = "defgh";
	struct iovec iov[] = {{a, 3}, {b, 0}, {c, 5}}, out[3];
	struct vq_chain chain = {.iov = iov, .room = 3, .nr_out = 3, .out_len = 8};
	char text[9] = "";

	assert_int_equal(chain_read(&chain, 2, text, 4), 4);
	assert_string_equal(text, "cdef");
	assert_int_equal(chain_read(&chain, 6, text, 8), 2);
	assert_int_equal(chain_read(&chain, 8, text, 1), 0);
	chain.nr_in = 3;
	chain.nr_out = 0;
	assert_int_equal(chain_write(&chain, 1, "XXXX", 4), 4);
	assert_memory_equal(a, "aXX", 3);
	assert_memory_equal(c, "XXfgh", 5);

	assert_int_equal(iov_slice(iov, 3, 2, 4, out, 3), 2);
	assert_ptr_equal(out[0].iov_base, a + 2);
	assert_int_equal(out[0].iov_len, 1);
	assert_ptr_equal(out[1].iov_base, c);
	assert_int_equal(out[1].iov_len, 3);
	assert_int_equal(iov_slice(iov, 3, 0, 0, out, 3), 0);
	assert_int_equal(iov_slice(iov, 3, 2, 4, out, 1), -E2BIG);
	assert_int_equal(iov_slice(iov, 3, 2, 7, out, 3), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_laps),
		cmocka_unit_test(test_laps_indirect),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_unpop),
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_event_index),
		cmocka_unit_test(test_notifications),
		cmocka_unit_test(test_edges_of_memory),
		cmocka_unit_test(test_readonly_memory),
		cmocka_unit_test(test_rings_outside),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_race),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * What a chain costs in lkvm's ring code, beside a loop written by hand for just that ring: pop, push, flush,
 * with the driver's side out of the measured time. No KVM, one thread.
 *
 *   ring ROUNDS    prints, for split and packed rings: lkvm's ns a chain, the loop's ns a chain
 *
 * The loop does what a device must do to any ring from a guest: it reads each descriptor once, checks that
 * its memory is the guest's, keeps the pieces, gives the buffer back, and looks whether an interrupt is
 * wanted. It knows one memory bank, chains of two without indirect tables, and that nobody lies about
 * anything else.
 */
#include "../unit/ring-driver.h"
#include <stdio.h>
#include <time.h>

#define SIZE  256
#define BATCH 64
#define ROOM  8

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
}

/* What a device would do with a chain, so that nothing of it is optimised away. */
static u64 sum;

static void __attribute__((noinline)) device_does(const struct iovec *iov, u32 out, u32 n)
{
	sum += out;
	for (u32 i = 0; i < n; i++)
		sum += (u64)(uintptr_t)iov[i].iov_base + iov[i].iov_len;
}

static void __attribute__((noinline)) device_interrupts(void)
{
	sum++;
}

static void lkvm_batch(struct ring_driver *d)
{
	struct iovec iov[ROOM];
	struct vq_chain chain = {.iov = iov, .room = ROOM};

	while (vq_pop(&d->vq, &chain) > 0) {
		device_does(iov, chain.nr_out, chain.nr_out + chain.nr_in);
		vq_push(&d->vq, &chain, chain.in_len);
	}
	vq_flush(&d->vq);
}

struct by_hand {
	u8 *base;
	struct vring_desc *desc;
	struct vring_packed_desc *packed;
	u16 *avail, *used;
	u16 at, wrap;
};

static u8 *memory(const struct by_hand *h, u64 gpa, u32 len)
{
	u64 off = gpa - RD_GPA;

	return off < RD_BANK_SIZE && len <= RD_BANK_SIZE - off ? h->base + off : NULL;
}

struct pieces {
	struct iovec iov[ROOM];
	u32 n, out, out_len, in_len;
};

static bool piece(const struct by_hand *h, struct pieces *p, u64 gpa, u32 len, bool in)
{
	u8 *hva = memory(h, gpa, len);

	if (!hva || p->n == ROOM || (!in && p->in_len))
		return false;
	p->iov[p->n++] = (struct iovec){.iov_base = hva, .iov_len = len};
	if (in) {
		p->in_len += len;
	} else {
		p->out_len += len;
		p->out = p->n;
	}
	return true;
}

static void split_batch(struct by_hand *h)
{
	u16 ready = __atomic_load_n(&h->avail[1], __ATOMIC_ACQUIRE), old = h->at;

	while (h->at != ready) {
		u16 head = h->avail[2 + h->at % SIZE], i = head;
		u32 *element = (u32 *)(void *)(h->used + 2) + 2 * (h->at % SIZE), max = SIZE;
		const struct vring_desc *table = h->desc;
		struct pieces p;

		p.n = p.out = p.out_len = p.in_len = 0;
		for (;;) {
			struct vring_desc d;

			if (i >= max)
				return;
			d = table[i];
			if (d.flags & VRING_DESC_F_INDIRECT) {
				if (table != h->desc || d.len % 16)
					return;
				table = (void *)memory(h, d.addr, d.len);
				if (!table)
					return;
				max = d.len / 16;
				i = 0;
				continue;
			}
			if (!piece(h, &p, d.addr, d.len, d.flags & VRING_DESC_F_WRITE))
				return;
			if (!(d.flags & VRING_DESC_F_NEXT))
				break;
			i = d.next;
		}
		device_does(p.iov, p.out, p.n);
		element[0] = head;
		element[1] = p.in_len;
		h->at++;
	}
	__atomic_store_n(&h->used[1], h->at, __ATOMIC_RELEASE);
	__sync_synchronize();
	if ((u16)(h->at - h->avail[2 + SIZE] - 1) < (u16)(h->at - old))
		device_interrupts();
}

static void packed_batch(struct by_hand *h)
{
	u16 first = h->at, first_flags = 0;
	bool any = false;

	for (;;) {
		u16 at = h->at, id, flags = __atomic_load_n(&h->packed[at].flags, __ATOMIC_ACQUIRE);
		u16 wrap = h->wrap;
		struct pieces p;

		if ((flags >> 7 & 1) != wrap || (flags >> 15) == wrap)
			break;
		p.n = p.out = p.out_len = p.in_len = 0;
		for (;;) {
			struct vring_packed_desc d = h->packed[h->at];

			if (d.flags & VRING_DESC_F_INDIRECT) {
				const struct vring_packed_desc *table = (void *)memory(h, d.addr, d.len);

				if (!table || d.len % 16 || p.n)
					return;
				for (u32 i = 0; i < d.len / 16; i++)
					if (!piece(h, &p, table[i].addr, table[i].len,
						   table[i].flags & VRING_DESC_F_WRITE))
						return;
			} else if (!piece(h, &p, d.addr, d.len, d.flags & VRING_DESC_F_WRITE)) {
				return;
			}
			id = d.id;
			if (++h->at == SIZE) {
				h->at = 0;
				h->wrap ^= 1;
			}
			if (!(d.flags & VRING_DESC_F_NEXT))
				break;
		}
		device_does(p.iov, p.out, p.n);
		flags = (u16)((wrap ? 0x8080 : 0) | VRING_DESC_F_WRITE);
		h->packed[at].len = p.in_len;
		h->packed[at].id = id;
		if (any)
			__atomic_store_n(&h->packed[at].flags, flags, __ATOMIC_RELEASE);
		else
			first_flags = flags;
		any = true;
	}
	if (!any)
		return;
	__atomic_store_n(&h->packed[first].flags, first_flags, __ATOMIC_RELEASE);
	__sync_synchronize();
	if (h->avail[1] != VRING_PACKED_EVENT_FLAG_DISABLE)
		device_interrupts();
}

/* ns a chain of one side, over so many batches. */
static double measure(bool packed, bool table, bool ours, u32 rounds)
{
	struct ring_driver *d = rd_create(SIZE, packed, true);
	struct by_hand h = {.wrap = 1};
	u64 total = 0;

	if (vq_setup(&d->vq, &d->kvm.mem))
		exit(1);
	h.base = d->kvm.mem.bank[0].hva;
	h.desc = d->vq.desc;
	h.packed = d->vq.desc;
	h.avail = d->vq.avail;
	h.used = d->vq.used;
	for (u32 r = 0; r < rounds; r++) {
		u64 begin;
		u32 len;

		rd_interrupts(d, false);
		for (u32 i = 0; i < BATCH; i++) {
			const gpa_t at = RD_DATA + i * 256;
			const struct rd_buf buf[] = {
				{at, 16, false}, {at + 16, 48, true}, {at + 64, 1, true}};

			if (rd_add(d, buf, table ? 3 : 2, table ? at + 128 : 0) == UINT16_MAX)
				exit(1);
		}
		begin = now_ns();
		if (ours)
			lkvm_batch(d);
		else if (packed)
			packed_batch(&h);
		else
			split_batch(&h);
		total += now_ns() - begin;
		for (u32 i = 0; i < BATCH; i++)
			if (rd_used(d, &len) == UINT16_MAX || len != (table ? 49 : 48)) {
				fprintf(stderr, "ring: a buffer did not come back\n");
				exit(1);
			}
	}
	rd_destroy(d);
	return (double)total / (rounds * BATCH);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 0;

	if (rounds < 1 || rounds > 1000000) {
		fprintf(stderr, "usage: ring ROUNDS\n");
		return 2;
	}
	for (u32 i = 0; i < 4; i++) {
		bool packed = i & 2, table = i & 1;
		double ns[2][9];

		/* In turns, and the median, for a machine that is not ours alone. */
		for (u32 turn = 0; turn < 9; turn++)
			for (u32 side = 0; side < 2; side++)
				ns[side][turn] = measure(packed, table, !side, (u32)rounds);
		for (u32 side = 0; side < 2; side++)
			qsort(ns[side], 9, sizeof(double), by_value);
		printf("%s-%s %.2f %.2f\n", packed ? "packed" : "split", table ? "table" : "pair", ns[0][4],
		       ns[1][4]);
	}
	return sum == 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * A guest's accesses to the flash (hw/cfi-flash.c), of any width at any place, over its edges too, and states
 * put into it. The input's first byte says whether the flash is readonly.
 *
 * What must hold: the file keeps its size; a readonly one its content; and while the memslot is there, what
 * comes out of it by an exit is what the file holds. A model of the array knows which words may have changed:
 * programming makes no ones, but an erase does, of a whole block.
 */
#include "device-vm.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BASE	0xd1000000ull
#define BLOCK	KiB(256)
#define SIZE	(2 * BLOCK)
#define OPS_MAX 4096

static const struct board_device table[] = {
	{.ops = &cfi_flash_ops, .bus = BUS_MMIO, .base = BASE, .line = IRQ_NONE},
	{.ops = NULL},
};

struct bed {
	struct kvm *kvm;
	struct device *dev;
	struct fake_vm *fake;
	struct device_request request;
	int fd;
	u8 *file, *before, *first; /* its content; what that was before the last access, and at first */
	bool written;
	bool ro;
};

/* Half of each block erased, the other half full. */
static void fill(struct bed *bed)
{
	for (u32 i = 0; i < SIZE; i++)
		bed->first[i] = (u8)(i % BLOCK < BLOCK / 2 ? 0xff : i ^ i >> 8);
}

static void again(struct bed *bed)
{
	memcpy(bed->before, bed->first, SIZE);
	memcpy(bed->file, bed->first, SIZE);
	bed->written = false;
}

static struct bed *make(bool ro)
{
	static struct bed beds[2];
	static u32 made;
	struct bed *bed = &beds[ro];
	char arg[64];

	if (bed->kvm)
		return bed;
	if (!made)
		fake_kvm_reset();
	bed->ro = ro;
	bed->fd = memfd_create("flash", MFD_CLOEXEC);
	bed->before = malloc(SIZE);
	bed->first = malloc(SIZE);
	if (bed->fd < 0 || ftruncate(bed->fd, SIZE))
		exit(1);
	bed->file = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, bed->fd, 0);
	if (bed->file == MAP_FAILED || !bed->before || !bed->first)
		exit(1);
	fill(bed);
	again(bed);
	snprintf(arg, sizeof(arg), "/proc/self/fd/%d%s", bed->fd, ro ? ",ro" : "");
	bed->request.ops = &cfi_flash_ops;
	if (cfi_flash_ops.parse(arg, &bed->request.params))
		exit(1);
	bed->kvm = fuzz_device_vm(table, &bed->request, 1);
	bed->fake = fake_kvm_vm(made++);
	bed->dev = device_find(bed->kvm, &cfi_flash_ops, 0);
	return bed;
}

/* Since the last time, nothing but what one command may do to the array has been done. */
static void check_array(struct bed *bed, bool several)
{
	struct stat st;

	fuzz_assert(!fstat(bed->fd, &st) && st.st_size == SIZE, "the file keeps its size");
	for (u32 block = 0; block < SIZE; block += BLOCK) {
		const u64 *now = (const u64 *)(bed->file + block), *was = (const u64 *)(bed->before + block);
		bool erased = true, ones = false;

		if (!memcmp(now, was, BLOCK))
			continue;
		fuzz_assert(!bed->ro, "a readonly file is not written");
		for (u32 i = 0; i < BLOCK / sizeof(*now); i++) {
			erased &= !~now[i];
			ones |= !!(now[i] & ~was[i]);
		}
		fuzz_assert(!ones || erased || several, "programming makes no ones");
		memcpy(bed->before + block, now, BLOCK);
		bed->written = true;
	}
}

/* An access over an edge comes as several, a byte each. Only a confirmed erase makes ones. */
static u64 flash_access(struct bed *bed, u64 at, u32 len, bool write, u64 v)
{
	bool several = !range_inside(at, len, 0, SIZE), confirm = write && ((u8)v == 0xd0 || several);

	if (confirm)
		check_array(bed, false);
	v = fuzz_access(bed->kvm, BUS_MMIO, BASE + at, len, write, v);
	if (confirm)
		check_array(bed, several);
	return v;
}

static void check_reads(struct bed *bed, u64 at)
{
	u32 want;

	at = min_u64(at, SIZE - 4);
	memcpy(&want, bed->file + at, 4);
	if (fake_kvm_mem(bed->fake, BASE, SIZE))
		fuzz_assert(flash_access(bed, at, 4, false, 0) == want, "the array is what the file holds");
}

/* A write to the buffer, whole: the commands around it, and words that count up. */
static void write_buffer(struct bed *bed, struct fuzz_in *in, u64 at)
{
	u32 words = (u32)fuzz_take(in, 2) % 520, v = (u32)fuzz_take(in, 4);

	flash_access(bed, at, 4, true, 0xe800e8);
	flash_access(bed, at, 4, true, (u64)words << 16 | words);
	for (u32 i = 0; i <= words; i++)
		flash_access(bed, at + 4ull * i, 4, true, v * (i + 1));
	flash_access(bed, at, 4, true, 0xd000d0);
}

static void step(struct bed *bed, struct fuzz_in *in)
{
	u8 op = (u8)fuzz_take(in, 1), cmd;
	u32 len = (op >> 3 & 7) + 1;
	u64 at = fuzz_take(in, 3);

	/* Below the first byte and above the last, too. */
	at = at % (SIZE + 16) - 8;
	switch (op & 7) {
	case 0:
	case 1:
		flash_access(bed, at, len, true, fuzz_take(in, len));
		break;
	case 2:
		flash_access(bed, at, len, false, 0);
		break;
	case 3:
	case 4:
		cmd = (u8)fuzz_take(in, 1);
		flash_access(bed, at, 4, true, (u32)cmd << 16 | cmd);
		break;
	case 5:
		write_buffer(bed, in, at);
		break;
	case 6:
		fuzz_device_restore(bed->dev, in);
		break;
	case 7:
		if (op & 0x20)
			fuzz_device_reset(bed->dev);
		break;
	}
	check_reads(bed, at + 8 < 8 ? 0 : at);
	/* Half a megabyte to look at: only where something could have been written. */
	if ((op & 7) != 2 && (op & 7) != 7)
		check_array(bed, false);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = {data, data + size};
	struct bed *bed = make(fuzz_take(&in, 1) & 1);

	for (u32 i = 0; i < OPS_MAX && in.at < in.end; i++)
		step(bed, &in);
	fuzz_device_reset(bed->dev);
	check_reads(bed, 0);
	check_array(bed, false);
	if (bed->written)
		again(bed);
	fake_kvm_forget_calls();
	return 0;
}

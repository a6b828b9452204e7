/* SPDX-License-Identifier: MIT */
/*
 * A disk's registers, configuration space and queues, as any driver may use them, with the disk's own threads
 * behind them. What must hold: no step harms anything but the disk's own sectors, no request is lost or
 * answered twice, and after a reset a good driver reads.
 */
#include "virtio-vm.h"
#include "virtio/blk.h"
#include <linux/virtio_blk.h>
#include <sys/mman.h>
#include <unistd.h>

extern const struct device_ops virtio_blk_ops;

#define SIZE KiB(64)

static const struct board_device table[] = {{.ops = NULL}};

static struct {
	struct kvm *kvm;
	struct virtio_device *vdev;
	u64 base;
	int fd;
} vm;

static void make(void)
{
	static struct device_request disk = {.ops = &virtio_blk_ops};
	char arg[64];

	if (vm.kvm)
		return;
	vm.fd = memfd_create("disk", MFD_CLOEXEC);
	snprintf(arg, sizeof(arg), "/proc/self/fd/%d,format=raw,queues=2", vm.fd);
	fuzz_assert(!ftruncate(vm.fd, SIZE) && !virtio_blk_ops.parse(arg, &disk.params), "there is a disk");
	vm.kvm = fuzz_device_vm(table, &disk, 1);
	vm.vdev = virtio_of(device_find(vm.kvm, &virtio_blk_ops, 0));
	vm.base = FUZZ_VIO_BASE(vm.kvm, 0);
	/* The queues' work is done when the input says so, or no two runs would be the same. */
	for (u32 i = 0; i < blk_of(vm.vdev)->nr_queues; i++)
		worker_stop(&blk_of(vm.vdev)->queue[i].worker);
}

/* A whole request, good but for what the input says of it. */
static void request(struct fuzz_in *in)
{
	const gpa_t gpa = vm.kvm->mem.bank[0].gpa + FUZZ_BASE;
	const u64 data = FUZZ_RING(2) + 4096, status = FUZZ_RING(2) + 64;
	struct virtio_blk_outhdr hdr = {.type = (u32)fuzz_take(in, 1) % 16, .sector = fuzz_take(in, 1)};
	u32 ring_nr = (u32)fuzz_take(in, 1) % 2, len = (u32)fuzz_take(in, 2);
	u8 *pages = fuzz_pages(vm.kvm), *ring = pages + FUZZ_RING(ring_nr);
	u16 *avail = (u16 *)(void *)(ring + 0x8000);
	u16 in_flag = hdr.type == VIRTIO_BLK_T_IN || hdr.type == VIRTIO_BLK_T_GET_ID ? VRING_DESC_F_WRITE : 0;
	const struct vring_desc d[] = {
		{.addr = gpa + FUZZ_RING(2), .len = sizeof(hdr), .flags = VRING_DESC_F_NEXT, .next = 1},
		{.addr = gpa + data, .len = len, .flags = (u16)(VRING_DESC_F_NEXT | in_flag), .next = 2},
		{.addr = gpa + status, .len = 1, .flags = VRING_DESC_F_WRITE},
	};

	if (hdr.type == VIRTIO_BLK_T_DISCARD || hdr.type == VIRTIO_BLK_T_WRITE_ZEROES)
		for (u32 i = 0; i < 16; i++)
			pages[data + i] = (u8)fuzz_take(in, 1);
	memcpy(pages + FUZZ_RING(2), &hdr, sizeof(hdr));
	memcpy(ring, d, sizeof(d));
	avail[2 + avail[1] % 8] = 0;
	avail[1]++;
	fuzz_vio_serve(vm.vdev, ring_nr);
}

static void check_works(void)
{
	static const u8 read[] = {VIRTIO_BLK_T_IN, 3, 0, 0, 2};
	struct fuzz_in in = {.at = read, .end = read + sizeof(read)};
	struct virtqueue *vq = &vm.vdev->queue[0];
	u8 *pages = fuzz_pages(vm.kvm);
	u16 *used = (u16 *)(void *)(pages + 0xc000);

	fuzz_device_reset(&vm.vdev->dev);
	memset(pages, 0, FUZZ_PAGES);
	fuzz_vio_begin(vm.kvm, vm.base, VIRTIO_BIT(VIRTIO_F_VERSION_1), 1, 8);
	pages[FUZZ_RING(2) + 64] = 0xff;
	request(&in);
	device_lock(&vm.vdev->dev);
	vm.vdev->ops->drain(vm.vdev, vq);
	device_unlock(&vm.vdev->dev);
	fuzz_assert(used[1] == 1 && pages[FUZZ_RING(2) + 64] == 0, "a good driver reads");
	fuzz_device_reset(&vm.vdev->dev);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = {.at = data, .end = data + size};

	make();
	memset(fuzz_pages(vm.kvm), 0, FUZZ_PAGES);
	for (u32 i = 0; i < 256 && in.at < in.end; i++) {
		if (*in.at >= 0xc0) {
			in.at++;
			request(&in);
		} else {
			fuzz_vio_step(vm.kvm, vm.vdev, vm.base, &in);
		}
	}
	check_works();
	fuzz_assert(lseek(vm.fd, 0, SEEK_END) == (off_t)SIZE, "the file keeps its size");
	return 0;
}

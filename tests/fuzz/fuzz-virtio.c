/* SPDX-License-Identifier: MIT */
/*
 * The core of virtio devices and their transports, with the smallest device: registers written in any order
 * and width, rings of any content, resets and states in the middle of it. What must hold: no step harms
 * anything but the device, and after a reset it works.
 */
#include "virtio-vm.h"

extern const struct device_ops virtio_rng_ops;

static const struct board_device table[] = {{.ops = NULL}};

static struct {
	struct kvm *kvm;
	struct virtio_device *vdev;
	u64 base;
} vm;

static void make(void)
{
	static struct device_request rng = {.ops = &virtio_rng_ops};

	if (vm.kvm)
		return;
	vm.kvm = fuzz_device_vm(table, &rng, 1);
	vm.vdev = virtio_of(device_find(vm.kvm, &virtio_rng_ops, 0));
	vm.base = FUZZ_VIO_BASE(vm.kvm, 0);
}

/* A good driver, at the end of each input. */
static void check_works(void)
{
	const gpa_t gpa = vm.kvm->mem.bank[0].gpa + FUZZ_BASE;
	u8 *pages = fuzz_pages(vm.kvm);
	const struct vring_desc d = {.addr = gpa + FUZZ_RING(2), .len = 16, .flags = VRING_DESC_F_WRITE};
	u16 *avail = (u16 *)(void *)(pages + 0x8000), *used = (u16 *)(void *)(pages + 0xc000);

	fuzz_device_reset(&vm.vdev->dev);
	memset(pages, 0, FUZZ_PAGES);
	fuzz_vio_begin(vm.kvm, vm.base, VIRTIO_BIT(VIRTIO_F_VERSION_1), 1, 8);
	memcpy(pages, &d, sizeof(d));
	avail[1] = 1;
	fuzz_vio_serve(vm.vdev, 0);
	fuzz_assert(used[1] == 1, "a good driver is served");
	fuzz_device_reset(&vm.vdev->dev);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = {.at = data, .end = data + size};

	make();
	memset(fuzz_pages(vm.kvm), 0, FUZZ_PAGES);
	for (u32 i = 0; i < 512 && in.at < in.end; i++)
		fuzz_vio_step(vm.kvm, vm.vdev, vm.base, &in);
	check_works();
	return 0;
}

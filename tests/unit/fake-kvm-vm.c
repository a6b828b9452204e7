/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's VMs: memslots, capabilities switched on, ioeventfds and coalesced zones. Rules from api.rst
 * and virt/kvm/kvm_main.c's documented errors (4.35 KVM_SET_USER_MEMORY_REGION, 4.59 KVM_IOEVENTFD, 4.116).
 * Called by fake-kvm.c with the fake's lock held.
 */
#include "fake-kvm-priv.h"

#include <errno.h>
#include <lkvm/endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_SLOT_PAGES ((1ull << 31) - 1)

void fake_vm_free(struct fake_vm *vm)
{
	fake_arch_vm_free(vm);
	fake_blobs_free(&vm->blobs);
	munmap(vm->ring, FAKE_PAGE);
	close(vm->ring_fd);
	free(vm);
}

/* ---- memory ------------------------------------------------------------------------------------- */

static struct fake_slot *slot_find(struct fake_vm *vm, u32 slot)
{
	for (u32 i = 0; i < vm->nr_slots; i++)
		if (vm->slot[i].slot == slot)
			return &vm->slot[i];
	return NULL;
}

static bool slot_overlaps(const struct fake_vm *vm, const struct kvm_userspace_memory_region *r)
{
	for (u32 i = 0; i < vm->nr_slots; i++)
		if (vm->slot[i].slot != r->slot &&
		    ranges_overlap(vm->slot[i].gpa, vm->slot[i].size, r->guest_phys_addr, r->memory_size))
			return true;
	return false;
}

static int set_memory(struct fake_vm *vm, const struct kvm_userspace_memory_region *r)
{
	u32 known = KVM_MEM_LOG_DIRTY_PAGES | (fake_cap(KVM_CAP_READONLY_MEM) ? KVM_MEM_READONLY : 0);
	struct fake_slot *old = slot_find(vm, r->slot);
	u64 end;
	int err;

	if ((r->flags & ~known) || (r->memory_size | r->guest_phys_addr | r->userspace_addr) % FAKE_PAGE)
		return -EINVAL;
	/* The upper half is an address space: one is all that this host has. */
	if (r->slot >> 16 || (r->slot & 0xffff) >= (u32)fake_cap(KVM_CAP_NR_MEMSLOTS))
		return -EINVAL;
	if (add_overflow(r->guest_phys_addr, r->memory_size, &end) ||
	    r->memory_size / FAKE_PAGE > MAX_SLOT_PAGES)
		return -EINVAL;
	if (!r->memory_size) {
		if (!old)
			return -EINVAL;
		*old = vm->slot[--vm->nr_slots];
		return 0;
	}
	err = fake_arch_slot(vm, r);
	if (err)
		return err;
	/* An existing slot may be moved or have its flags changed, no more. */
	if (old && (old->size != r->memory_size || old->hva != r->userspace_addr ||
		    ((old->flags ^ r->flags) & KVM_MEM_READONLY)))
		return -EINVAL;
	if (slot_overlaps(vm, r))
		return -EEXIST;
	if (!old) {
		if (vm->nr_slots == FAKE_MAX_SLOTS)
			return -ENOMEM;
		old = &vm->slot[vm->nr_slots++];
	}
	*old = (struct fake_slot){r->slot, r->flags, r->guest_phys_addr, r->memory_size, r->userspace_addr};
	return 0;
}

void *fake_vm_mem(struct fake_vm *vm, u64 gpa, u64 len)
{
	for (u32 i = 0; i < vm->nr_slots; i++)
		if (range_inside(gpa, len, vm->slot[i].gpa, vm->slot[i].size))
			return (void *)(uintptr_t)(vm->slot[i].hva + (gpa - vm->slot[i].gpa));
	return NULL;
}

void *fake_kvm_mem(struct fake_vm *vm, u64 gpa, u64 len)
{
	void *hva;

	fake_lock();
	hva = fake_vm_mem(vm, gpa, len);
	fake_unlock();
	return hva;
}

/* ---- ioeventfds and coalesced zones --------------------------------------------------------------- */

bool fake_is_eventfd(int fd)
{
	char path[32], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strstr(target, "[eventfd]");
}

static bool ioeventfd_same(const struct kvm_ioeventfd *a, const struct kvm_ioeventfd *b)
{
	u32 bus = KVM_IOEVENTFD_FLAG_PIO, match = KVM_IOEVENTFD_FLAG_DATAMATCH;

	if (((a->flags ^ b->flags) & bus) || a->addr != b->addr)
		return false;
	/* One of any length stands in the way of all others at its address. */
	if (!a->len || !b->len)
		return true;
	return a->len == b->len &&
	       (!(a->flags & match) || !(b->flags & match) || a->datamatch == b->datamatch);
}

static int ioeventfd(struct fake_vm *vm, const struct kvm_ioeventfd *e)
{
	u64 end;

	if (e->flags & ~KVM_IOEVENTFD_VALID_FLAG_MASK)
		return -EINVAL;
	if (e->len > 8 || (e->len & (e->len - 1)) || add_overflow(e->addr, e->len, &end))
		return -EINVAL;
	if (!e->len && ((e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH) || !fake_cap(KVM_CAP_IOEVENTFD_ANY_LENGTH)))
		return -EINVAL;
	if (!fake_is_eventfd(e->fd))
		return fake_fd_ino(e->fd, &(ino_t){0}) ? -EINVAL : -EBADF;
	for (u32 i = 0; i < vm->nr_ioeventfds; i++) {
		struct kvm_ioeventfd *old = &vm->ioeventfd[i];

		if (e->flags & KVM_IOEVENTFD_FLAG_DEASSIGN) {
			if (old->fd != e->fd || old->addr != e->addr || old->len != e->len ||
			    old->flags != (e->flags & ~KVM_IOEVENTFD_FLAG_DEASSIGN) ||
			    ((e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH) && old->datamatch != e->datamatch))
				continue;
			*old = vm->ioeventfd[--vm->nr_ioeventfds];
			return 0;
		}
		if (ioeventfd_same(old, e))
			return -EEXIST;
	}
	if (e->flags & KVM_IOEVENTFD_FLAG_DEASSIGN)
		return -ENOENT;
	if (vm->nr_ioeventfds == FAKE_MAX_FDS)
		return -ENOSPC;
	vm->ioeventfd[vm->nr_ioeventfds++] = *e;
	return 0;
}

static int zone_add(struct fake_vm *vm, const struct kvm_coalesced_mmio_zone *z)
{
	if (!fake_cap(KVM_CAP_COALESCED_MMIO))
		return -ENOTTY;
	if (z->pio > 1 || (z->pio && !fake_cap(KVM_CAP_COALESCED_PIO)))
		return -EINVAL;
	if (vm->nr_zones == FAKE_MAX_FDS)
		return -ENOSPC;
	vm->zone[vm->nr_zones++] = *z;
	return 0;
}

static int zone_remove(struct fake_vm *vm, const struct kvm_coalesced_mmio_zone *z)
{
	if (z->pio > 1)
		return -EINVAL;
	/* Every zone inside the given one goes; that there is none is no error. */
	for (u32 i = 0; i < vm->nr_zones;)
		if (vm->zone[i].pio == z->pio &&
		    range_inside(vm->zone[i].addr, vm->zone[i].size, z->addr, z->size))
			vm->zone[i] = vm->zone[--vm->nr_zones];
		else
			i++;
	return 0;
}

bool fake_vm_take_write(struct fake_vm *vm, bool pio, u64 addr, u32 len, u64 value)
{
	struct kvm_coalesced_mmio_ring *ring = vm->ring;
	u32 room = (FAKE_PAGE - sizeof(*ring)) / sizeof(ring->coalesced_mmio[0]);
	u32 last = ring->last, next = (last + 1) % room;

	for (u32 i = 0; i < vm->nr_ioeventfds; i++) {
		const struct kvm_ioeventfd *e = &vm->ioeventfd[i];
		u64 one = 1;

		if (!(e->flags & KVM_IOEVENTFD_FLAG_PIO) != !pio || e->addr != addr ||
		    (e->len && e->len != len) ||
		    ((e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH) && e->datamatch != le_as_native(value, len)))
			continue;
		return write(e->fd, &one, sizeof(one)) == sizeof(one);
	}
	for (u32 i = 0; i < vm->nr_zones; i++) {
		if (!vm->zone[i].pio != !pio || !range_inside(addr, len, vm->zone[i].addr, vm->zone[i].size))
			continue;
		/* Full: the guest exits after all, and user space drains. */
		if (next == __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE))
			return false;
		ring->coalesced_mmio[last].phys_addr = addr;
		ring->coalesced_mmio[last].len = len;
		ring->coalesced_mmio[last].pio = pio;
		put_le(ring->coalesced_mmio[last].data, len, value);
		__atomic_store_n(&ring->last, next, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

/* ---- ioctls ----------------------------------------------------------------------------------------- */

static int enable_cap(struct fake_vm *vm, const struct kvm_enable_cap *cap)
{
	int ret;

	if (cap->flags)
		return -EINVAL;
	ret = fake_arch_enable_cap(vm, cap);
	if (ret < 0)
		return ret;
	if (vm->nr_enabled < FAKE_MAX_ENABLE)
		vm->enabled[vm->nr_enabled++] = *cap;
	return ret;
}

int fake_vm_ioctl(struct fake_vm *vm, unsigned long req, void *arg)
{
	bool known = true;
	int ret;

	switch (req) {
	case KVM_CHECK_EXTENSION:
		return fake_arch_vm_cap(vm, (u32)(uintptr_t)arg);
	case KVM_CREATE_VCPU:
		return fake_vcpu_create(vm, (u32)(uintptr_t)arg);
	case KVM_SET_USER_MEMORY_REGION:
		return arg ? set_memory(vm, arg) : -EFAULT;
	case KVM_ENABLE_CAP:
		return arg ? enable_cap(vm, arg) : -EFAULT;
	case KVM_IOEVENTFD:
		return arg ? ioeventfd(vm, arg) : -EFAULT;
	case KVM_REGISTER_COALESCED_MMIO:
		return arg ? zone_add(vm, arg) : -EFAULT;
	case KVM_UNREGISTER_COALESCED_MMIO:
		return arg ? zone_remove(vm, arg) : -EFAULT;
	case KVM_CREATE_DEVICE:
		if (!fake_cap(KVM_CAP_DEVICE_CTRL))
			return -ENOTTY;
		return arg ? fake_device_create(vm, arg) : -EFAULT;
	default:
		break;
	}
	ret = fake_irq_ioctl(vm, req, arg, &known);
	if (!known) {
		known = true;
		ret = fake_arch_vm_ioctl(vm, req, arg, &known);
	}
	return known ? ret : -ENOTTY;
}

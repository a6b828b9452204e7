/* SPDX-License-Identifier: MIT */
/*
 * Coalesced I/O (api.rst, 4.116): the kernel puts writes to a zone into a ring, which lies in the kvm_run
 * mapping of every vCPU and is one for the whole VM, and lets the guest run on.
 *
 * Writes stay in order with everything else a vCPU does, for each exit drains the ring before it is handled.
 * A guest that writes and then does not exit is seen by a timer of COALESCED_MAX_DELAY_MS, which runs only
 * while there is a zone.
 *
 * Lock order: ring.lock, then a device's lock. coalesced_add() and _remove() are called by devices from their
 * handlers, and so take no lock at all.
 */
#include <errno.h>
#include <lkvm/kvm-device.h>
#include <lkvm/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct coalesced {
	struct kvm *kvm;
	u32 room;	      /* entries of the ring */
	pthread_mutex_t lock; /* guards taking entries out */
	_Atomic u32 zones;
	/* What the kernel has, asked when a zone is wanted. */
	_Atomic(struct kvm_coalesced_mmio_ring *) ring; /* NULL before, and then nobody looks at that page */
	_Atomic int pio;				/* 1: ports too; 0: not; -1: not asked yet */
	struct event_timer timer;
};

static void arm(struct coalesced *co)
{
	event_timer_set(&co->timer, COALESCED_MAX_DELAY_MS * 1000000, COALESCED_MAX_DELAY_MS * 1000000);
}

static void on_timer(struct event_timer *timer)
{
	struct coalesced *co = timer->arg;

	if (!atomic_load(&co->zones)) {
		event_timer_set(&co->timer, 0, 0);
		/* A zone that came in between has armed the timer before we disarmed it. */
		if (atomic_load(&co->zones))
			arm(co);
	}
	/* After the look at the count: what came before the last zone went is still taken out. */
	coalesced_drain(co->kvm);
}

int coalesced_init(struct kvm *kvm)
{
	struct coalesced *co;
	int err;

	if (!kvm->nr_vcpus)
		return 0;
	co = calloc(1, sizeof(*co));
	if (!co) {
		log_error("coalesced I/O: out of memory");
		return -ENOMEM;
	}
	co->kvm = kvm;
	co->room = (u32)(((u64)sysconf(_SC_PAGESIZE) - sizeof(struct kvm_coalesced_mmio_ring)) /
			 sizeof(struct kvm_coalesced_mmio));
	co->pio = -1;
	pthread_mutex_init(&co->lock, NULL);
	err = event_timer_init(&kvm->loop, &co->timer, on_timer, co);
	if (err) {
		log_error("coalesced I/O: timer: %s", strerror(-err));
		pthread_mutex_destroy(&co->lock);
		free(co);
		return err;
	}
	kvm->coalesced = co;
	return 0;
}

void coalesced_destroy(struct kvm *kvm)
{
	struct coalesced *co = kvm->coalesced;

	if (!co)
		return;
	event_timer_destroy(&kvm->loop, &co->timer);
	pthread_mutex_destroy(&co->lock);
	free(co);
	kvm->coalesced = NULL;
}

/* The extension's value is the ring's page within the kvm_run mapping; 0: this KVM has none. */
static bool has_ring(struct coalesced *co)
{
	long page_size = sysconf(_SC_PAGESIZE);
	int page;

	if (co->ring)
		return true;
	page = kvm_cap(co->kvm, KVM_CAP_COALESCED_MMIO);
	if (page <= 0 || (u64)(page + 1) * (u64)page_size > co->kvm->run_size)
		return false;
	/* Two threads that ask at once hear the same. */
	co->ring = (void *)((u8 *)co->kvm->vcpu[0].run + page * page_size);
	return true;
}

/* A kernel without the extension would take a port for an address. */
static bool has_pio(struct coalesced *co)
{
	if (co->pio < 0)
		co->pio = kvm_cap(co->kvm, KVM_CAP_COALESCED_PIO) > 0;
	return co->pio;
}

int coalesced_add(struct kvm *kvm, enum bus_id bus, u64 addr, u32 len)
{
	struct kvm_coalesced_mmio_zone zone = {.addr = addr, .size = len, .pio = bus == BUS_PIO};
	struct coalesced *co = kvm->coalesced;
	int err;

	if (!co || !has_ring(co) || (bus == BUS_PIO && !has_pio(co)))
		return -ENOTSUP;
	err = kvm_ioctl(kvm->vm_fd, KVM_REGISTER_COALESCED_MMIO, &zone);
	if (err < 0)
		return err;
	if (!atomic_fetch_add(&co->zones, 1))
		arm(co);
	return 0;
}

void coalesced_remove(struct kvm *kvm, enum bus_id bus, u64 addr, u32 len)
{
	struct kvm_coalesced_mmio_zone zone = {.addr = addr, .size = len, .pio = bus == BUS_PIO};

	if (!kvm->coalesced || kvm_ioctl(kvm->vm_fd, KVM_UNREGISTER_COALESCED_MMIO, &zone) < 0)
		return;
	/* The timer finds the count at zero, drains once more and disarms itself. */
	atomic_fetch_sub(&kvm->coalesced->zones, 1);
}

void coalesced_drain(struct kvm *kvm)
{
	struct coalesced *co = kvm->coalesced;
	struct kvm_coalesced_mmio_ring *ring = co ? atomic_load(&co->ring) : NULL;
	u32 first, last;

	if (!ring ||
	    __atomic_load_n(&ring->first, __ATOMIC_RELAXED) == __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE))
		return;
	pthread_mutex_lock(&co->lock);
	for (;;) {
		struct kvm_coalesced_mmio entry;

		first = ring->first;
		last = __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
		/* The page is shared with the kernel alone, yet an index is not worth trusting. */
		if (first == last || first >= co->room || last >= co->room)
			break;
		entry = ring->coalesced_mmio[first];
		if (entry.len <= sizeof(entry.data))
			bus_access(kvm, NULL, entry.pio ? BUS_PIO : BUS_MMIO, entry.phys_addr, entry.data,
				   entry.len, true);
		/*
		 * The entry leaves the ring only now that the device has had it: a vCPU that finds the ring
		 * empty, without the lock, goes on to its next access.
		 */
		__atomic_store_n(&ring->first, (first + 1) % co->room, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&co->lock);
}

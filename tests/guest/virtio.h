/* SPDX-License-Identifier: MIT */
/*
 * A virtio driver for payloads of every architecture (virtio 1.2): one device at a time, over MMIO or PCI,
 * split or packed rings, by polling. It is as good or as bad a driver as its caller wants: rings and
 * descriptors may be written freely between vio_add() and vio_kick().
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include "guest.h"

enum { VIO_ACKNOWLEDGE = 1, VIO_DRIVER = 2, VIO_DRIVER_OK = 4, VIO_FEATURES_OK = 8, VIO_NEEDS_RESET = 64 };
enum {
	VIO_F_INDIRECT = 28,
	VIO_F_EVENT_IDX = 29,
	VIO_F_VERSION_1 = 32,
	VIO_F_PACKED = 34,
	VIO_F_RING_RESET = 40
};
enum { VIO_NEXT = 1, VIO_WRITE = 2, VIO_INDIRECT = 4, VIO_AVAIL = 0x80, VIO_USED = 0x8000 };

#define VIO_SIZE_MAX 256

struct vio_desc {
	u64 addr;
	u32 len;
	u16 a, b; /* split: flags, next; packed: id, flags */
};

struct vio_ring {
	u16 index, size;
	bool packed;
	u16 avail, used; /* split: free-running; packed: positions */
	bool avail_wrap, used_wrap;
	struct vio_desc *desc;
	volatile u16 *driver, *device; /* avail and used ring; event suppression of packed rings */
};

struct vio {
	bool pci;
	ulong base;			   /* of the MMIO registers */
	ulong common, isr, config, notify; /* of the PCI structures */
	u32 notify_step;
	ulong function; /* of the PCI function's configuration space, by ECAM */
	u32 type;	/* the device type's id */
	u64 features;	/* as accepted */
};

/* False: no virtio device is there. */
bool vio_mmio(struct vio *v, ulong base);
bool vio_pci(struct vio *v, ulong ecam, u32 slot);

u8 vio_status(struct vio *v);
void vio_set_status(struct vio *v, u8 status);
void vio_reset(struct vio *v); /* and waits until it is done */
u64 vio_offered(struct vio *v);
void vio_want(struct vio *v, u64 features);
/* From reset to FEATURES_OK: false when the device refuses. */
bool vio_negotiate(struct vio *v, u64 features);
/* Reads and writes device-specific configuration space. */
u8 vio_config8(struct vio *v, u32 offset);
void vio_config_put8(struct vio *v, u32 offset, u8 value);

/* How long queue `index` may be; 0: there is none. */
u16 vio_queue_max(struct vio *v, u16 index);
/* Enables a queue at these places. */
void vio_queue_at(struct vio *v, u16 index, u16 size, u64 desc, u64 driver, u64 device);
/* A ring in memory of ours, `which` of three, enabled; what is agreed on decides its kind. */
void vio_ring(struct vio *v, struct vio_ring *r, u16 index, u16 size, u32 which);
void vio_ring_reset(struct vio *v, u16 index);

/* Writes descriptor i of the ring, or of a table; a packed ring's with the flags that make it available. */
void vio_put(struct vio_ring *r, struct vio_desc *table, u16 i, u64 addr, u32 len, u16 flags, u16 next_or_id);
/* Makes the chain that begins at `head` available, which takes so many entries of a packed ring. */
void vio_expose(struct vio_ring *r, u16 head, u16 entries);
/* A chain of n pieces, the first `out` of which are for reading, from entry 0 (split) or the next one on. */
void vio_add(struct vio_ring *r, const struct vio_desc *pieces, u16 n, u16 out);
void vio_kick(struct vio *v, struct vio_ring *r);
/* Waits for one used buffer, within a bound: the bytes written, or -1. */
int64_t vio_wait(struct vio_ring *r);
/* The same, but -2 when the device asks to be reset instead. */
int64_t vio_answer(struct vio *v, struct vio_ring *r);
/* Waits until the device asks to be reset. */
bool vio_needs_reset(struct vio *v);

/* --- virtio-bad.c: every malformation, for a device of any type ------------------------------------ */

/*
 * The whole test: registers, negotiation, rings, each way to be a bad driver. `request` makes one good
 * request on a ring of queue `index` and says whether it was answered well.
 */
struct vio_subject {
	u16 index;
	u64 features; /* that it takes beside the rings' */
	/* Other rings that a request needs, before DRIVER_OK; or NULL. */
	void (*prepare)(struct vio *v);
	bool (*request)(struct vio *v, struct vio_ring *r);
	/*
	 * Requests on a good ring that are wrong for this type of device. The device answers or asks for a
	 * reset; `refused`, when there is one, says whether an answer was a refusal.
	 */
	const struct vio_wrong {
		const char *what;
		void (*make)(struct vio_ring *r);
		bool (*refused)(int64_t written);
	} * wrong;
	u32 nr_wrong;
};
void vio_torment(struct vio *v, const struct vio_subject *subject);

/*
 * A payload's main(): the device that its words mmio=ADDRESS, or slot=N on a PCI bus with that ECAM, say,
 * which must be of type=N. With flip=1 a second vCPU changes descriptors while the device reads them.
 */
void vio_main(ulong ecam) __attribute__((noreturn));

/* The subjects, one a queue, for a device of that type; NULL: there are no more (virtio-types.c). */
const struct vio_subject *vio_subject(u32 type, u32 number);

#endif

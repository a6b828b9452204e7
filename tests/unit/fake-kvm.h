/* SPDX-License-Identifier: MIT */
/*
 * A fake of the kernel's KVM behind lkvm's ioctl seam (kvm_open, kvm_ioctl, kvm_mmap): unit tests link it in
 * place of kvm-ioctl.c and run on any host. It keeps the kernel's rules, so that a test fails where the
 * kernel would: order of creation, overlaps, alignments, errnos.
 *
 * What a test does: fake_kvm_reset() before and after; says what the host has (fake_kvm_set_cap), what the
 * guest does (fake_kvm_script), which call fails (fake_kvm_fail...); runs lkvm's code; looks at the log and
 * at the objects, all of which are kept until the next reset, closed or not.
 *
 * fds are real (memfds), so that a leaked one is a leaked one: fake_kvm_open_fds() names those still open.
 * Everything below is under one lock inside the fake; a test reads the objects when no vCPU thread runs.
 */
#ifndef FAKE_KVM_H
#define FAKE_KVM_H

#include <linux/kvm.h>
#include <lkvm/buf.h>
#include <lkvm/types.h>
#include <sys/types.h>

/* ---- objects -------------------------------------------------------------------------------- */

enum fake_on { FAKE_SYSTEM, FAKE_VM, FAKE_VCPU, FAKE_DEVICE };

struct fake_vm;

/* First in each object that has an fd. */
struct fake_obj {
	enum fake_on on;
	u32 id; /* running number of the VM, vCPU id, device type */
	int fd;
	ino_t ino; /* of the memfd: an fd number may be used again after close(2) */
	struct fake_vm *vm;
	struct fake_obj *next; /* older */
};

struct fake_slot {
	u32 slot, flags;
	u64 gpa, size, hva;
};

struct fake_irqfd {
	int fd, resample; /* -1: none */
	u32 gsi;
};

/* What was set by a KVM_SET_x and is to be read back by KVM_GET_x; key: the get request and an index. */
struct fake_blob {
	unsigned long req;
	u32 index;
	size_t size;
	void *data;
	struct fake_blob *next;
};

#define FAKE_MAX_SLOTS	64
#define FAKE_MAX_VCPUS	512
#define FAKE_MAX_ROUTES 4096
#define FAKE_MAX_FDS	256
#define FAKE_MAX_MSIS	64
#define FAKE_MAX_ENABLE 32

struct fake_vcpu;
struct fake_device;

struct fake_vm {
	struct fake_obj obj;
	unsigned long type;
	bool irqchip, split, pit; /* in the kernel; split: only the local APICs */
	bool dead;		  /* KVM_BUG: everything gives EIO */
	struct fake_slot slot[FAKE_MAX_SLOTS];
	u32 nr_slots;
	struct fake_vcpu *vcpu[FAKE_MAX_VCPUS]; /* in order of making */
	u32 nr_vcpus;
	struct fake_device *devices; /* newest first */
	struct kvm_enable_cap enabled[FAKE_MAX_ENABLE];
	u32 nr_enabled;
	struct kvm_irq_routing_entry route[FAKE_MAX_ROUTES];
	u32 nr_routes;
	u32 nr_route_sets; /* how often KVM_SET_GSI_ROUTING succeeded */
	struct fake_irqfd irqfd[FAKE_MAX_FDS];
	u32 nr_irqfds;
	struct kvm_ioeventfd ioeventfd[FAKE_MAX_FDS];
	u32 nr_ioeventfds;
	struct kvm_coalesced_mmio_zone zone[FAKE_MAX_FDS];
	u32 nr_zones;
	struct kvm_coalesced_mmio_ring *ring;
	int ring_fd;
	bool level[FAKE_MAX_ROUTES];	   /* lines as KVM_IRQ_LINE left them */
	u32 raised[FAKE_MAX_ROUTES];	   /* low-to-high changes, irqfd triggers included */
	struct kvm_msi msi[FAKE_MAX_MSIS]; /* the first ones that KVM_SIGNAL_MSI sent */
	u32 nr_msis;
	u32 interrupts; /* everything injected so far: ends a FAKE_HLT */
	struct fake_blob *blobs;
	void *arch; /* the architecture's own */
};

struct fake_vcpu {
	struct fake_obj obj;
	struct kvm_run *run;
	size_t run_size;
	int wake_fd; /* eventfd: something happened to a vCPU that sleeps */
	bool ran;    /* KVM_RUN was called */
	bool in_run; /* and has not returned */
	bool asleep;
	u32 nmis;
	bool vector_waits;  /* KVM_INTERRUPT gave a vector that no KVM_RUN has taken */
	u32 vector;	    /* the last one given */
	u32 next, repeated; /* position in the script */
	bool pending;	    /* an exit's read is to be completed by the next KVM_RUN */
	u32 seen;	    /* vm->interrupts at the last wake-up */
	struct fake_blob *blobs;
	struct kvm_cpuid_entry2 *cpuid; /* x86 */
	u32 nr_cpuid;
	struct kvm_msr_entry *msr; /* x86, those set */
	u32 nr_msrs;
	u64 tsc_offset;
	void *arch; /* the architecture's own */
};

/* ---- in-kernel devices ------------------------------------------------------------------------ */

/*
 * One type of KVM_CREATE_DEVICE. A callback that is NULL is EPERM to the caller. The rules of the type
 * (ENXIO, EEXIST, EBUSY ...) are its callbacks'; the generic ones (ENODEV, EIO, ENOTTY) are
 * fake-kvm-device.c's.
 */
struct fake_device_type {
	u32 type;
	const char *name;
	int (*create)(struct fake_device *dev); /* 0 or -errno; may be NULL */
	void (*destroy)(struct fake_device *dev);
	int (*has)(struct fake_device *dev, const struct kvm_device_attr *attr);
	int (*get)(struct fake_device *dev, const struct kvm_device_attr *attr);
	int (*set)(struct fake_device *dev, const struct kvm_device_attr *attr);
	/* kvm_mmap() of its fd: the caller's to unmap, or NULL. NULL: there is nothing to map. */
	void *(*map)(struct fake_device *dev, size_t len, u64 offset);
};

struct fake_device {
	struct fake_obj obj;
	const struct fake_device_type *type;
	void *priv; /* the type's own */
	struct fake_device *next;
};

extern const struct fake_device_type fake_vfio; /* every fake host has it */
/* Gives the fake host one more device type, until reset. */
void fake_kvm_add_type(const struct fake_device_type *type);
/* And takes one away. */
void fake_kvm_remove_type(u32 type);
/* fd counts as a VFIO group or device file from now on. */
void fake_kvm_vfio_file(int fd);
/* For callbacks: the caller's memory; 0 or -EFAULT, never a crash. */
int fake_copy_from(void *to, u64 user, size_t len);
int fake_copy_to(u64 user, const void *from, size_t len);

/* ---- the test's side -------------------------------------------------------------------------- */

/* Forgets everything: objects, log, script, faults. fds that lkvm left open stay open: that is its leak. */
void fake_kvm_reset(void);

/* The VM made index-th since the reset, or NULL. */
struct fake_vm *fake_kvm_vm(u32 index);
/* The one that was made last, or NULL. */
struct fake_vm *fake_kvm_newest(void);
struct fake_vcpu *fake_kvm_vcpu(struct fake_vm *vm, u32 id);
/* Host address of guest memory, by the VM's memslots: NULL when it is not wholly in one. */
void *fake_kvm_mem(struct fake_vm *vm, u64 gpa, u64 len);
/* Takes what waits in the eventfds of irqfds and raises their lines, as the kernel does by itself. */
void fake_kvm_irqfds(struct fake_vm *vm);
/* An interrupt from nowhere: ends every FAKE_HLT. */
void fake_kvm_wake(struct fake_vm *vm);

/* How many fds that the fake gave out are open still; their names ("vm0 vcpu1") go to out unless NULL. */
u32 fake_kvm_open_fds(struct buf *out);
/* How many fds the process has. */
u32 fake_count_fds(void);

void fake_kvm_set_cap(u32 cap, int value);

/* What the guest does on a vCPU. */
enum fake_exit_kind {
	FAKE_OUT,   /* addr, len, value */
	FAKE_IN,    /* addr, len; *result */
	FAKE_WRITE, /* MMIO: addr, len, value */
	FAKE_READ,  /* MMIO: addr, len; *result */
	FAKE_HLT,   /* sleeps until an interrupt; KVM_EXIT_HLT where no irqchip is in the kernel */
	FAKE_EXIT,  /* KVM_RUN returns 0 with exit_reason value; call() may fill in more of run */
	FAKE_ERRNO, /* KVM_RUN returns -value */
	FAKE_CALL,  /* call(vcpu, arg), without the fake's lock; no exit */
};

struct fake_exit {
	enum fake_exit_kind kind;
	u64 addr;
	u32 len;
	u32 repeat;  /* so many times; 0 counts as 1 */
	u32 count;   /* FAKE_OUT, FAKE_IN: items of a string instruction; 0 counts as 1 */
	u64 value;   /* its bytes go out, and come in, in little-endian order, whatever the host's is */
	u64 *result; /* the first item */
	void (*call)(struct fake_vcpu *vcpu, void *arg);
	void *arg;
};

/*
 * The script of each vCPU with that id, of any VM made later; copied. KVM_RUN takes it entry by entry; at its
 * end the vCPU sleeps until kicked. A write that an ioeventfd or a coalesced zone takes makes no exit.
 */
void fake_kvm_script(u32 vcpu_id, const struct fake_exit *script, u32 n);

/* kvm_open() and kvm_mmap() count as calls too, under these numbers. */
#define FAKE_OPEN 1ul
#define FAKE_MMAP 2ul

/* The n-th call from now (1: the very next) fails with err (positive), once. */
void fake_kvm_fail_nth(u32 n, int err);
/* The n-th call of req from now fails; n 0: every one from now on. Several may be set. */
void fake_kvm_fail(unsigned long req, u32 n, int err);
/*
 * As above, only for calls whose argument, as the log has it, is arg: the cap of KVM_CHECK_EXTENSION and
 * KVM_ENABLE_CAP, the type of KVM_CREATE_DEVICE, FAKE_ATTR() of the attribute calls, the id of
 * KVM_GET/SET_ONE_REG and KVM_ARM_SET_DEVICE_ADDR, the address of a memslot.
 */
#define FAKE_ATTR(group, attr)	    ((u64)(group) << 56 | ((u64)(attr)&0xffffffffffffffull))
#define FAKE_VCPU_ATTR(group, attr) (FAKE_ATTR(group, attr) | 1ull << 63)
void fake_kvm_fail_arg(unsigned long req, u64 arg, int err);

struct fake_call {
	const char *name; /* "KVM_CREATE_VM", "open", "mmap" */
	unsigned long req;
	enum fake_on on;
	u32 id;	 /* of the object, as struct fake_obj has it */
	u64 arg; /* the argument itself; of KVM_ENABLE_CAP the cap, of KVM_CREATE_DEVICE the type, ... */
	int ret;
	bool injected; /* it failed because the test wanted so */
};
/* The log begins anew; not while a vCPU is in KVM_RUN. */
void fake_kvm_forget_calls(void);
u32 fake_kvm_nr_calls(void);
struct fake_call fake_kvm_call(u32 i);
/* Index of the first or last call of that name (and argument), -1 when there is none. */
int fake_kvm_first(const char *name);
int fake_kvm_last(const char *name);
int fake_kvm_find(const char *name, u64 arg);
u32 fake_kvm_count(const char *name);
void fake_kvm_print_log(void); /* on stderr, for the person who mends a test */

const char *fake_ioctl_name(unsigned long req);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The one way to the kernel's KVM: every ioctl passes kvm_ioctl(), and every device attribute passes the
 * calls below it. Documentation/virt/kvm/api.rst (4.79 to 4.81) and virt/kvm/devices/ in the kernel's tree.
 *
 * fd is /dev/kvm, a VM, a vCPU or a device made by kvm_device_create(): attributes look the same on all.
 * Any thread; the kernel does the locking.
 */
#ifndef LKVM_KVM_DEVICE_H
#define LKVM_KVM_DEVICE_H

#include <linux/kvm.h>
#include <lkvm/buf.h>
#include <lkvm/types.h>

struct kvm;

/*
 * The only seam between lkvm and KVM: >= 0 or -errno. Lives alone in kvm-ioctl.c, so that a unit test links
 * a fake in its place. EINTR is handed up (KVM_RUN means something by it).
 */
int kvm_ioctl(int fd, unsigned long req, void *arg);
static inline int kvm_ioctl_val(int fd, unsigned long req, unsigned long val)
{
	return kvm_ioctl(fd, req, (void *)val);
}
/* Opens the KVM device node (also behind the seam): an fd or -errno. */
int kvm_open(const char *path);
/* The same for people: a failure is logged with its remedy. Not part of the seam (kvm-device.c). */
int __must_check kvm_open_system(const char *path);
/* Maps `len` bytes of a vCPU fd at `offset`: NULL when it fails. */
void *kvm_mmap(int fd, size_t len, u64 offset);

/* What one attribute entry does and what the kernel lets one do with it. */
enum {
	KVM_ATTR_R = 0x01,	  /* can be read */
	KVM_ATTR_W = 0x02,	  /* can be written; kvm_attr_apply() sets those that also have APPLY */
	KVM_ATTR_APPLY = 0x04,	  /* kvm_attr_apply() sets it to `val` */
	KVM_ATTR_OPTIONAL = 0x08, /* skipped where the kernel has no such attribute (ENXIO on has) */
	KVM_ATTR_COMMAND = 0x10,  /* no value: the set itself is the meaning (INIT, RESET, SAVE ...) */
	KVM_ATTR_PER_VCPU = 0x20, /* attr carries a vCPU's id or affinity in its upper bits */
	KVM_ATTR_RANGE = 0x40,	  /* attr is the first of a range of registers or lines */
	KVM_ATTR_INDEXED = 0x80,  /* the value itself says which of several items is meant */
	KVM_ATTR_ALONE = 0x100,	  /* the group's only one: the kernel looks at the group, not at attr */
};

struct kvm_attr {
	const char *name;
	u32 group;
	u64 attr;
	u64 val;
	u8 size; /* bytes behind the address: 0 (a command), 4 or 8; larger for a structure */
	u16 flags;
	const char *group_name;
};

/* On which fd a table's attributes are asked for. */
enum kvm_attr_on { KVM_ON_DEVICE, KVM_ON_VCPU, KVM_ON_VM, KVM_ON_SYSTEM };

/* One attribute table with its owner; the machines list those they use, `lkvm devices` prints them. */
struct kvm_attr_table {
	const char *owner; /* "gicv3", "vcpu", "vm", "/dev/kvm" */
	enum kvm_attr_on on;
	u32 type; /* KVM_DEV_TYPE_*, for KVM_ON_DEVICE */
	const struct kvm_attr *attrs;
	size_t count;
};

/* A device type by name, known to every build whatever its architecture. */
struct kvm_device_info {
	u32 type;
	const char *name;    /* "arm-vgic-v3" */
	const char *summary; /* one line */
};
extern const struct kvm_device_info kvm_device_infos[];
extern const size_t kvm_nr_device_infos;
const char *kvm_device_name(u32 type); /* "type 77" never: "unknown" when not listed */

/* 0 when this VM's KVM can make one; -ENODEV or another -errno. Creates nothing (KVM_CREATE_DEVICE_TEST). */
int __must_check kvm_device_probe(const struct kvm *kvm, u32 type);
/*
 * Makes a device: its fd or -errno, logged. The VM keeps the fd as well and closes all of them, in reverse
 * order of their making, when it goes down (kvm_devices_close()); the caller never closes it.
 */
int __must_check kvm_device_create(struct kvm *kvm, u32 type);
void kvm_devices_close(struct kvm *kvm);

bool kvm_attr_has(int fd, u32 group, u64 attr);
/* 0 or -errno, silent: val points to as many bytes as the kernel's documentation of the attribute says. */
int __must_check kvm_attr_set(int fd, u32 group, u64 attr, const void *val);
int __must_check kvm_attr_get(int fd, u32 group, u64 attr, void *val);
/*
 * Sets, in order, the entries that have KVM_ATTR_APPLY. Stops at the first that fails, logs it with
 * kvm_attr_explain()'s text and returns its -errno. `owner` names the device in that line.
 */
int __must_check kvm_attr_apply(const char *owner, int fd, const struct kvm_attr *table, size_t n);
/* The same for one entry, whatever its flags, with a value that is known only now. */
int __must_check kvm_attr_apply_val(const char *owner, int fd, const struct kvm_attr *attr, u64 val);
/*
 * One line for a failed attribute call: "gicv3: set GRP_ADDR/DIST = 0x8000000: EEXIST: it is placed already".
 * what: "create", "has", "get" or "set"; a may be NULL.
 */
void kvm_attr_explain(struct buf *out, const char *owner, const char *what, const struct kvm_attr *a,
		      int err);
/* What an errno means in the device control API: "the kernel knows no such device type" for -ENODEV. */
const char *kvm_attr_errstr(int err);
/* "ENODEV" for -ENODEV, and so on. */
const char *errno_name(int err);

#endif

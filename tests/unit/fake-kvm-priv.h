/* SPDX-License-Identifier: MIT */
/* What the files of the fake KVM share; tests include fake-kvm.h. All of it under the fake's lock. */
#ifndef FAKE_KVM_PRIV_H
#define FAKE_KVM_PRIV_H

#include "fake-kvm.h"

#include <pthread.h>

#define FAKE_PAGE      4096ul
#define FAKE_RING_PAGE KVM_COALESCED_MMIO_PAGE_OFFSET
#define FAKE_MMAP_SIZE ((FAKE_RING_PAGE + 1) * FAKE_PAGE)

struct fake_cap {
	u32 cap;
	int value;
};

struct fake_name {
	unsigned long req;
	const char *name;
};

/* fake-kvm.c */
void fake_lock(void);
void fake_unlock(void);
/* Gives obj an fd: the fd, or -errno with nothing done. */
int fake_obj_open(struct fake_obj *obj, enum fake_on on, u32 id, struct fake_vm *vm, size_t size);
int fake_cap(u32 cap);
/* Which open file an fd is; false when it is closed. */
bool fake_fd_ino(int fd, ino_t *ino);

/* fake-kvm-vm.c */
int fake_vm_create(unsigned long type);
void fake_vm_free(struct fake_vm *vm);
int fake_vm_ioctl(struct fake_vm *vm, unsigned long req, void *arg);
/* A guest's write that needs no exit: an ioeventfd's or a coalesced zone's. */
bool fake_vm_take_write(struct fake_vm *vm, bool pio, u64 addr, u32 len, u64 value);
bool fake_is_eventfd(int fd);
/* As fake_kvm_mem(), for those who hold the lock. */
void *fake_vm_mem(struct fake_vm *vm, u64 gpa, u64 len);

/* fake-kvm-irq.c */
int fake_irq_ioctl(struct fake_vm *vm, unsigned long req, void *arg, bool *known);
void fake_raise(struct fake_vm *vm, u32 gsi);

/* fake-kvm-vcpu.c */
int fake_vcpu_create(struct fake_vm *vm, u32 id);
void fake_vcpu_free(struct fake_vcpu *vcpu);
int fake_vcpu_ioctl(struct fake_vcpu *vcpu, unsigned long req, void *arg);
void *fake_vcpu_mmap(struct fake_vcpu *vcpu, size_t len, u64 offset);
void fake_vcpu_wake(struct fake_vcpu *vcpu);
void fake_script_reset(void);

/* fake-kvm-device.c */
int fake_device_create(struct fake_vm *vm, struct kvm_create_device *cd);
int fake_device_ioctl(struct fake_device *dev, unsigned long req, void *arg);
void fake_device_free(struct fake_device *dev);
void fake_device_reset(void);

/* KVM_SET_x and KVM_GET_x of plain structures: the last set, or zeros. */
void *fake_blob(struct fake_blob **list, unsigned long get, u32 index, size_t size);
void fake_blobs_free(struct fake_blob **list);

/* One file an architecture (fake-kvm-x86.c): what the generic part leaves. *known false: not its either. */
extern const struct fake_cap fake_arch_caps[];		       /* cap 0, value -1 at the end */
extern const struct fake_name fake_arch_names[];	       /* of its ioctls; name NULL at the end */
extern const struct fake_device_type *const fake_arch_types[]; /* that each host has; NULL at the end */
int fake_arch_system_ioctl(unsigned long req, void *arg, bool *known);
int fake_arch_vm_ioctl(struct fake_vm *vm, unsigned long req, void *arg, bool *known);
int fake_arch_vcpu_ioctl(struct fake_vcpu *vcpu, unsigned long req, void *arg, bool *known);
int fake_arch_vm_type(unsigned long type);
void fake_arch_vm_init(struct fake_vm *vm);
void fake_arch_vm_free(struct fake_vm *vm);
/* KVM_CHECK_EXTENSION on a VM; the number of a cap that depends on nothing is fake_cap()'s. */
int fake_arch_vm_cap(const struct fake_vm *vm, u32 cap);
/* Whether KVM_CREATE_VCPU may: 0 or -errno; then what it makes. */
int fake_arch_vcpu_precreate(const struct fake_vm *vm, u32 id);
void fake_arch_vcpu_init(struct fake_vcpu *vcpu);
void fake_arch_vcpu_free(struct fake_vcpu *vcpu);
/* Each KVM_RUN, before the guest goes on: 0, or what it returns. */
int fake_arch_vcpu_run(struct fake_vcpu *vcpu);
bool fake_arch_mp_state_ok(u32 mp_state);
bool fake_arch_stopped(struct fake_vcpu *vcpu); /* KVM_RUN only sleeps */
int fake_arch_enable_cap(struct fake_vm *vm, const struct kvm_enable_cap *cap);
/* Beyond what every architecture checks of a memslot: 0 or -errno. */
int fake_arch_slot(const struct fake_vm *vm, const struct kvm_userspace_memory_region *r);
/* KVM_IRQ_LINE: 0 and the line as vm->level[] counts it (~0: none that is counted), or -errno. */
int fake_arch_irq_line(struct fake_vm *vm, u32 irq, bool level, u32 *line);
void fake_arch_irqfd(struct fake_vm *vm, u32 gsi);	      /* an irqfd was triggered */
int fake_arch_irqfd_ready(const struct fake_vm *vm);	      /* 0, or why KVM_IRQFD cannot be yet */
bool fake_arch_pin_ok(const struct kvm_irq_routing_entry *e); /* an IRQCHIP route's pin */
bool fake_arch_can_route(const struct fake_vm *vm);	      /* KVM_SET_GSI_ROUTING works */
/* KVM_SIGNAL_MSI: 1 delivered, 0 blocked by the guest, -errno. */
int fake_arch_signal_msi(struct fake_vm *vm, const struct kvm_msi *msi);

#endif

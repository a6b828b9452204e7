/* SPDX-License-Identifier: MIT */
/*
 * An architecture's (or board's) part of lkvm: core reaches it only through machines[], an array that the
 * Makefile's ARCH folder defines, best first, ending with NULL.
 */
#ifndef LKVM_MACHINE_H
#define LKVM_MACHINE_H

#include <lkvm/device.h>
#include <lkvm/irq.h>
#include <lkvm/kvm-device.h>
#include <lkvm/types.h>

struct boot_image;
struct buf;
struct pci_windows;
struct vm_config;

struct kvm_cap {
	u32 cap;
	const char *name;
};

/* Where virtio-mmio devices go, each a step on, and the lines they take in turns. */
struct virtio_mmio_window {
	u64 base;
	u32 count; /* devices */
	u32 line, nr_lines;
};
#define VIRTIO_MMIO_STEP 0x1000

struct machine_ops {
	const char *name;		  /* "x86" */
	const struct cli_option *options; /* its own, into struct vm_config; or NULL */
	/*
	 * Whether this host's KVM can run it: 0 and *vm_type for KVM_CREATE_VM; -ENODEV, silent: it is for
	 * another machine; other -errno, after one logged line: this one it would be, but it lacks something.
	 */
	int (*probe)(const struct vm_config *cfg, int sys_fd, unsigned long *vm_type);
	const struct irqchip_ops *const *irqchips;	 /* best first, NULL at the end */
	const struct board_device *board;		 /* ops NULL at the end */
	const struct kvm_cap *required_caps;		 /* name NULL at the end */
	const struct kvm_cap *used_caps;		 /* those it does more with; likewise, or NULL */
	const struct kvm_attr_table *const *attr_tables; /* every table its code uses; NULL at the end */
	int (*vm_init)(struct kvm *kvm);		 /* right after KVM_CREATE_VM; may be NULL */
	int (*mem_layout)(struct kvm *kvm);		 /* calls mem_add_ram() */
	int (*vcpu_init)(struct vcpu *vcpu);		 /* fd and run are there */
	void (*vcpu_free)(struct vcpu *vcpu);		 /* vcpu->arch; also after a failed vcpu_init */
	int (*vcpu_reset)(struct vcpu *vcpu);		 /* registers for its start, after boot() */
	/* Right before each KVM_RUN of a vCPU's loop, on its thread; may be NULL. Every exit pays for it. */
	void (*vcpu_enter)(struct vcpu *vcpu);
	/* An exit that the core does not know: 1 handled, 0 not known, -errno: the VM cannot go on. */
	int (*vcpu_exit)(struct vcpu *vcpu);
	void (*vcpu_dump)(struct vcpu *vcpu, struct buf *out); /* parked or crashed */
	int (*vcpu_state)(struct vcpu *vcpu, struct state *s);
	int (*vcpu_nmi)(struct vcpu *vcpu); /* may be NULL */
	/* Makes a vCPU that will never run show all attributes this host has, for `lkvm devices`; or NULL. */
	int (*vcpu_scratch)(int vm_fd, int vcpu_fd);
	/* KVM_CREATE_VCPU's argument for the vCPU with this index. */
	u32 (*vcpu_id)(const struct kvm *kvm, u32 index);
	/* Loads the opened image, places tables and initrd, records the start state. */
	int (*boot)(struct kvm *kvm, struct boot_image *img);
	int (*power_button)(struct kvm *kvm);			  /* -ENOTSUP when the board has none */
	void (*describe)(const struct kvm *kvm, struct buf *out); /* for --dry-run: what only it knows */
	int (*dump_acpi)(const struct kvm *kvm, int dirfd);
	const char *const
		*kernel_paths;	    /* where `run` looks when there is no -k, in order; NULL at the end */
	const char *default_params; /* kernel command line unless --nodefaults */
	void (*destroy)(struct kvm *kvm); /* kvm->arch */
	u64 pio_size;			  /* 0x10000 where there is a port bus; else 0 */
	/* What the PCI host bridge may hand out (pci.h); NULL on a board that has none. */
	void (*pci_windows)(const struct kvm *kvm, struct pci_windows *win);
	const struct virtio_mmio_window *virtio_mmio; /* NULL: it has no place for them */
};

extern const struct machine_ops *const machines[];

#endif

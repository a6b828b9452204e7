/* SPDX-License-Identifier: MIT */
/* What the files of the e500 machine share. */
#ifndef LKVM_POWERPC_E500_H
#define LKVM_POWERPC_E500_H

#include "powerpc.h"
#include <stdatomic.h>

/* The software TLB's shape is the e500v2's own: 512 entries by 4 ways for pages of 4 KiB, and 16 of any size.
 */
#define E500_TLB0_SIZE 512u
#define E500_TLB0_WAYS 4u
#define E500_TLB1_SIZE 16u
#define E500_TLB_SIZE  (E500_TLB0_SIZE + E500_TLB1_SIZE)

/* vcpu->arch */
struct e500_vcpu {
	/* Shared with the kernel while the vCPU lives (KVM_CAP_SW_TLB, api.rst 8.12). */
	struct kvm_book3e_206_tlb_entry tlb[E500_TLB_SIZE];
	/*
	 * Where the spin table sends it; written before `released` is set, by whoever holds the spin table's
	 * lock, and read by the vCPU's own thread once it has seen it set.
	 */
	u64 entry, r3;
	_Atomic bool released;
};

static inline struct e500_vcpu *e500_vcpu_of(const struct vcpu *vcpu)
{
	return vcpu->arch;
}

/* e500-vcpu.c */
int e500_vcpu_init(struct vcpu *vcpu);
void e500_vcpu_free(struct vcpu *vcpu);
int e500_vcpu_reset(struct vcpu *vcpu);
void e500_vcpu_enter(struct vcpu *vcpu);
int e500_vcpu_exit(struct vcpu *vcpu);
int e500_vcpu_state(struct vcpu *vcpu, struct state *s);
/* Lets a vCPU that waits begin at `entry` (physical) with r3. Any thread; a second call does nothing good. */
void e500_vcpu_release(struct vcpu *vcpu, u64 entry, u64 r3);

/* How many bytes from 0 on the first vCPU's TLB maps when it begins. */
u64 e500_mapped_at_start(const struct kvm *kvm);

/* e500-boot.c, e500-fdt.c */
int e500_boot(struct kvm *kvm, struct boot_image *img);
/* Writes the device tree into guest RAM between low and high, and to --dump-dtb. Sets dtb, dtb_size. */
int __must_check e500_fdt_write(struct kvm *kvm, gpa_t low, gpa_t high);

/* Devices of this board alone. */
extern const struct device_ops e500_guts_ops; /* mmio (4 KiB): reset and power-off */
extern const struct device_ops e500_spin_ops; /* mmio (4 KiB): where secondary vCPUs are let go */
extern const struct device_ops e500_pci_ops;  /* mmio (4 KiB): the guest's way to the PCI host's bus */

/* mpic.c */
extern const struct irqchip_ops ppc_mpic_20, ppc_mpic_42;
extern const struct kvm_attr_table ppc_mpic_20_attrs, ppc_mpic_42_attrs;
/* mpic-state.c: the walk over the MPIC behind fd. */
int mpic_state(const struct kvm *kvm, int fd, bool v4, struct state *s);

#endif

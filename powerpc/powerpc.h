/* SPDX-License-Identifier: MIT */
/*
 * What the files of powerpc/ share. Nobody outside includes it. Two machines are in the folder: files of one
 * are named pseries*, or rtas, hcall, phb ..., those of the other e500*; what has neither name is for both.
 */
#ifndef LKVM_POWERPC_POWERPC_H
#define LKVM_POWERPC_POWERPC_H

#include "abi.h"
#include <lkvm/boot.h>
#include <lkvm/fdt.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <lkvm/state.h>

/* What boot() leaves for the vCPUs' start. Each machine's own structure, which kvm->arch is, begins with it.
 */
struct ppc_machine {
	gpa_t entry;
	gpa_t dtb;
	u64 dtb_size;
	gpa_t kernel_end; /* what the image takes, its BSS included */
	gpa_t initrd;
	u64 initrd_size;
};

static inline struct ppc_machine *ppc_of(const struct kvm *kvm)
{
	return kvm->arch;
}

/* vcpu.c */
u32 ppc_vcpu_id(const struct kvm *kvm, u32 index);
/* KVM_GET_ONE_REG and KVM_SET_ONE_REG: 0 or -errno. */
int __must_check ppc_get_reg(int vcpu_fd, u64 id, void *value);
int __must_check ppc_set_reg(int vcpu_fd, u64 id, const void *value);
/* KVM_ENABLE_CAP on a vCPU: 0 or -errno, silent. */
int __must_check ppc_vcpu_enable_cap(struct vcpu *vcpu, u32 cap, u64 arg0, u64 arg1);
void ppc_vcpu_dump(struct vcpu *vcpu, struct buf *out);

/* vcpu-state.c: the fields of KVM_GET_REGS, inside a section of the caller's. */
void ppc_regs_state(struct state *s, struct kvm_regs *regs);
/* The section "registers" of a Book3S vCPU: those of KVM_GET_REGS, and all others. */
int ppc_vcpu_state(struct vcpu *vcpu, struct state *s);
/* What a Book E vCPU has beside KVM_GET_REGS and KVM_GET_SREGS, inside a section of the caller's. */
void ppc_booke_state(struct vcpu *vcpu, struct state *s);

/* zimage.c: the wrapper that arch/powerpc/boot puts around a kernel. */
/* Puts a machine's kernel, and what goes with it, into memory; attached: see ppc_load_initrd(). */
typedef int (*ppc_load_fn)(struct kvm *kvm, struct boot_image *img, const struct boot_image *attached);
/*
 * A machine's boot(): takes the kernel out of its wrapper where it has one, and has it loaded. -errno after
 * one logged line.
 */
int __must_check ppc_boot(struct kvm *kvm, struct boot_image *img, ppc_load_fn load);
/* As boot_load_initrd(), into m->initrd; what --initrd names, or else what was attached. */
int __must_check ppc_load_initrd(struct kvm *kvm, const struct boot_image *attached, gpa_t low, gpa_t high);

/* fdt.c */
#define PPC_FDT_MAX MiB(1)
/* "chosen" by what boot() has found so far; to be closed by dt_end(). As dt_chosen(). */
int __must_check ppc_dt_chosen(struct kvm *kvm, struct fdt *fdt, const char *stdout_path);
/* Has a machine describe itself, and writes the tree into guest RAM at or above low, below high, and to
 * --dump-dtb. Sets dtb, dtb_size. */
int __must_check ppc_fdt_write(struct kvm *kvm, gpa_t low, gpa_t high,
			       int (*describe)(struct kvm *, struct fdt *));

/* machine.c */
extern const struct machine_ops ppc_pseries, ppc_e500;
extern const struct cli_option ppc_options[];
/* For --dry-run: where boot() put the tree and the initrd. */
void ppc_describe(const struct kvm *kvm, struct buf *out);

#endif

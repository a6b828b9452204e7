/* SPDX-License-Identifier: MIT */
/* Of arm64's programs: VMs that lkvm itself would never make. */
#ifndef LAB_RAW_VM_H
#define LAB_RAW_VM_H

#include <lkvm/kvm.h>
#include <lkvm/types.h>

/*
 * A VM that has memory and nothing else, for what lkvm itself would never do: devices and vCPUs are made by
 * the rule that is looked at, vCPUs by raw_vcpu(). One at a time; raw_vm() ends the one before.
 */
struct kvm *raw_vm(void);
struct kvm *raw_vm_now(void); /* the one there is */
void raw_vm_end(void);
/* A vCPU with these features (bits of struct kvm_vcpu_init's first word, PSCI apart): its fd, or -errno. */
int raw_vcpu(u32 id, u32 features);
/* KVM_RUN, which is to return before the first instruction: -EINTR when it would have run. */
int raw_run(int vcpu_fd);
/* KVM_RUN, which may go on until a signal. */
int raw_run_on(int vcpu_fd);
u32 raw_ipa_bits(void);

#endif

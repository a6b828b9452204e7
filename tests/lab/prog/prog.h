/* SPDX-License-Identifier: MIT */
/*
 * What the lab's programs share: each is lkvm with another main(), static, run by L1 on its real KVM. They
 * speak as the payloads do: "ok TEXT", "not ok TEXT", "# TEXT", and "done" at the end; a case makes checks of
 * that.
 */
#ifndef LAB_PROG_H
#define LAB_PROG_H

#include <lkvm/config.h>
#include <lkvm/kvm.h>
#include <lkvm/types.h>

extern u32 failures;
void result(bool ok, const char *fmt, ...) __printf(2, 3);
/* The same of an errno, with what it was when it is not the one. */
void result_err(int got, int want, const char *fmt, ...) __printf(3, 4);
void diag(const char *fmt, ...) __printf(1, 2);
/* "done"; the program's status. */
int finish(void);

/* `lkvm run ARGUMENT...` as a config; ends the program when it is refused. */
void configure(struct vm_config *cfg, const char *const *arguments);

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

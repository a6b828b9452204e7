/* SPDX-License-Identifier: MIT */
/*
 * A VM to load images into, for the loaders' fuzz targets: made once a process, on the fake KVM of
 * tests/unit, up to the step before `boot`. It stays up for all inputs: a loader writes guest RAM and the
 * start state, no more.
 */
#ifndef LKVM_FUZZ_LOADER_VM_H
#define LKVM_FUZZ_LOADER_VM_H

#include "fuzz-vm.h"

#include "x86/x86.h"
#include <lkvm/boot.h>

/* Ends the process when the VM cannot be made: that is no finding, but a broken target. */
struct kvm *fuzz_vm(void);
/* An image of just these bytes; whoever reads past them reads past a heap block. */
struct boot_image fuzz_image(const u8 *data, size_t size);
/* After a load that succeeded: the CPU starts in RAM, with its stack there. */
void fuzz_check_start(const struct kvm *kvm);

#endif

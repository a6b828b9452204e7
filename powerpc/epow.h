/* SPDX-License-Identifier: MIT */
/* The power button of the pseries machine (epow.c). */
#ifndef LKVM_POWERPC_EPOW_H
#define LKVM_POWERPC_EPOW_H

#include <lkvm/device.h>

struct kvm;

extern const struct device_ops epow_ops; /* line */
/* Presses it. False: there is none. Main thread, no device's lock held. */
bool epow_press(struct kvm *kvm);

#endif

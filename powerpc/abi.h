/* SPDX-License-Identifier: MIT */
/*
 * <linux/kvm.h> for powerpc, with what the system's headers may be too old to have: same names, same numbers
 * as the kernel's own (arch/powerpc/include/uapi/asm/kvm.h).
 */
#ifndef LKVM_POWERPC_ABI_H
#define LKVM_POWERPC_ABI_H

#include <linux/kvm.h>

#endif

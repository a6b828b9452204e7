/* SPDX-License-Identifier: MIT */
/* The two machines of powerpc. Which one this host's KVM can run, their probes say: none can run both. */
#include "powerpc.h"

const struct machine_ops *const machines[] = {&ppc_pseries, &ppc_e500, NULL};

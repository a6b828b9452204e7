/* SPDX-License-Identifier: MIT */
/* Lists of host CPUs as Linux writes them: "0-3,6". */
#ifndef LKVM_CPULIST_H
#define LKVM_CPULIST_H

#include <lkvm/types.h>
#include <sched.h>

/* 0 and *set filled in, or -EINVAL: not a list, empty, or a CPU beyond CPU_SETSIZE. Any thread. */
int __must_check cpulist_parse(const char *text, cpu_set_t *set);

#endif

/* SPDX-License-Identifier: MIT */
/* CPU features by the names Linux prints in /proc/cpuinfo, for --cpu. */
#ifndef LKVM_X86_CPUID_FEATURES_H
#define LKVM_X86_CPUID_FEATURES_H

#include <lkvm/types.h>

enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

struct cpuid_feature {
	const char *name;
	u32 function, index;
	enum cpuid_reg reg;
	u32 bit;
};

extern const struct cpuid_feature cpuid_features[];
extern const u32 cpuid_nr_features;

#endif

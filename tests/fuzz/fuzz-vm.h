/* SPDX-License-Identifier: MIT */
/*
 * What fuzz targets of all architectures share: VMs on the fake KVM of tests/unit, made once a process, and
 * the input as a stream of numbers. Where a VM cannot be made the process ends: that is no finding, but a
 * broken target.
 */
#ifndef LKVM_FUZZ_VM_H
#define LKVM_FUZZ_VM_H

#include "fake-kvm.h"
#include <lkvm/config.h>
#include <lkvm/kvm.h>
#include <lkvm/state.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_VM_MIB    32
#define FUZZ_STRING(x) #x
#define FUZZ_NUMBER(x) FUZZ_STRING(x)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* What must hold; findings are told from it by libFuzzer's own report of the abort. */
static inline void fuzz_assert(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz: not so: %s\n", what);
	abort();
}

/* `lkvm run -k ... more`, up to a step: never taken down. more ends with NULL. */
__unused static struct kvm *fuzz_vm_make(const char *step, const char *const *more)
{
	const char *argv[24] = {"run", "--nodefaults",		"-k", "/proc/self/exe",
				"-m",  FUZZ_NUMBER(FUZZ_VM_MIB)};
	struct vm_config *cfg = calloc(1, sizeof(*cfg));
	struct kvm *kvm = calloc(1, sizeof(*kvm));
	int argc = 6;
	bool help;

	for (; more && *more; more++)
		argv[argc++] = *more;
	if (!kvm || !cfg || config_parse(cfg, argc, (char **)(uintptr_t)argv, &help) ||
	    kvm_up(kvm, cfg, step)) {
		fprintf(stderr, "fuzz: the VM could not be made\n");
		exit(1);
	}
	return kvm;
}

/* ---- the input, byte by byte; zeros where it has ended -------------------------------------------- */

struct fuzz_in {
	const u8 *at, *end;
};

__unused static u64 fuzz_take(struct fuzz_in *in, u32 bytes)
{
	u64 v = 0;

	for (u32 i = 0; i < bytes && in->at < in->end; i++)
		v |= (u64)*in->at++ << 8 * i;
	return v;
}

/* Changes bytes of data as the input says: { where u16, what u8 } up to `changes` times. */
__unused static void fuzz_patch(struct fuzz_in *in, u8 *data, size_t len, u32 changes)
{
	for (u32 i = 0; i < changes && in->at < in->end && len; i++) {
		size_t at = fuzz_take(in, 2) % len;

		data[at] = (u8)fuzz_take(in, 1);
	}
}

#endif

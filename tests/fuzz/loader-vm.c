// SPDX-License-Identifier: MIT
#include "loader-vm.h"
#include "fake-kvm.h"
#include <lkvm/kvm.h>
#include <stdio.h>
#include <stdlib.h>

#define STRING(x)  #x
#define DECIMAL(x) STRING(x)

struct kvm *fuzz_vm(void)
{
	static char *argv[] = {"run", "--nodefaults",	    "-k", "/proc/self/exe",
			       "-m",  DECIMAL(FUZZ_VM_MIB), "-p", "a=1 b=2"};
	static struct vm_config cfg;
	static struct kvm *kvm;
	bool help;

	if (kvm)
		return kvm;
	fake_kvm_reset();
	kvm = calloc(1, sizeof(*kvm));
	if (!kvm || config_parse(&cfg, ARRAY_SIZE(argv), argv, &help) ||
	    kvm_up(kvm, &cfg, "irqchip-finalize")) {
		fprintf(stderr, "fuzz: the VM could not be made\n");
		exit(1);
	}
	return kvm;
}

struct boot_image fuzz_image(const u8 *data, size_t size)
{
	return (struct boot_image){.path = "fuzz", .data = data, .size = size};
}

void fuzz_check_start(const struct kvm *kvm)
{
	const struct x86_start *start = &x86_of(kvm)->start;

	if (start->mode != X86_START_REAL && !guest_ptr(&kvm->mem, start->ip, 1))
		abort();
	if (start->sp && !guest_ptr(&kvm->mem, start->sp - 1, 1))
		abort();
}

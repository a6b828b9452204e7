// SPDX-License-Identifier: MIT
#include "loader-vm.h"

struct kvm *fuzz_vm(void)
{
	static struct kvm *kvm;

	if (kvm)
		return kvm;
	fake_kvm_reset();
	kvm = fuzz_vm_make("irqchip-finalize", (const char *const[]){"-p", "a=1 b=2", NULL});
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

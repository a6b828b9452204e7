// SPDX-License-Identifier: MIT
/* libFuzzer: the multiboot loader (x86/boot-multiboot.c) on any bytes at all. */
#include "loader-vm.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct kvm *kvm = fuzz_vm();
	struct boot_image img = fuzz_image(data, size);

	(void)multiboot_is(&img);
	if (!multiboot_load(kvm, &img))
		fuzz_check_start(kvm);
	return 0;
}

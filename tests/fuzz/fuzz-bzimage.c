// SPDX-License-Identifier: MIT
/* libFuzzer: the bzImage loader (x86/boot-linux.c) on any bytes at all. */
#include "loader-vm.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct kvm *kvm = fuzz_vm();
	struct boot_image img = fuzz_image(data, size);

	/* As --boot=auto would; and as --boot=bzimage has it, whatever the file looks like. */
	(void)bzimage_is(&img);
	if (!bzimage_load(kvm, &img))
		fuzz_check_start(kvm);
	return 0;
}

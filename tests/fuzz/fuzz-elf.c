// SPDX-License-Identifier: MIT
/* libFuzzer: the ELF helper (boot-elf.c) and what is on it, the 64-bit entry and the PVH note, on any bytes
 * at all. */
#include "loader-vm.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct kvm *kvm = fuzz_vm();
	struct boot_image img = fuzz_image(data, size);
	struct elf_info info;

	if (elf_is(&img) && !elf_parse(&img, &info)) {
		u32 len = 0;
		const u8 *note = elf_note(&img, &info, "Xen", 18, &len);

		/* What it says it found must be in the image. */
		if (note && (note < data || note > data + size || len > (size_t)(data + size - note)))
			abort();
		if (info.low > info.high)
			abort();
	}
	(void)pvh_is(&img);
	if (!pvh_load(kvm, &img))
		fuzz_check_start(kvm);
	if (!elf64_load(kvm, &img))
		fuzz_check_start(kvm);
	return 0;
}

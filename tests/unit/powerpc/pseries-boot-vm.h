/* SPDX-License-Identifier: MIT */
/* VMs of the pseries machine that have booted, on the fake KVM: with a kernel in memory, and a device tree.
 */
#ifndef LKVM_TEST_PSERIES_BOOT_VM_H
#define LKVM_TEST_PSERIES_BOOT_VM_H

#include "pseries-vm.h"

#include "zimage-build.h"
#include <libfdt.h>
#include <powerpc/pseries-layout.h>
#include <powerpc/pseries.h>

#define KERNEL_VIRT 0xc000000000000000ull
#define KERNEL_SIZE MiB(4) /* in memory; most of it is BSS */

/* As Debian's vmlinux is: one segment, linked high, entered at its beginning. */
static inline struct elf_build pseries_kernel(void)
{
	return (struct elf_build){
		.is64 = true,
		.machine = EM_PPC64,
		.entry = KERNEL_VIRT,
		.phnum = 1,
		.ph = {{PT_LOAD, 0x1000, KERNEL_VIRT, 0, 0x1000, KERNEL_SIZE}},
	};
}

/* `lkvm run -k THAT -m MEM ...more` up to a step. */
static inline int pseries_up_image(struct elf_build *b, u64 mem, const char *step, const char *const *more)
{
	struct boot_image img = elf_image(b);
	struct vm_file f;
	int err;

	for (u32 i = 0; i < 0x1000; i++)
		b->file[0x1000 + i] = (u8)(i * 7);
	f = vm_file(b->file, img.size);
	err = vm_up(f.path, mem, step, more);
	close(f.fd);
	return err;
}

static inline int pseries_booted(const char *const *more)
{
	struct elf_build b = pseries_kernel();

	return pseries_up_image(&b, PSERIES_MEM, "boot", more);
}

/* A hypercall of vCPU 0 with these arguments: what it returns in r3; its results are in `result`. */
static __unused u64 result[9];

static inline long hcall_of(struct vcpu *vcpu, u64 nr, u64 a0, u64 a1, u64 a2, u64 a3)
{
	const u64 arg[4] = {a0, a1, a2, a3};

	vcpu->run->exit_reason = KVM_EXIT_PAPR_HCALL;
	vcpu->run->papr_hcall.nr = nr;
	for (u32 i = 0; i < 9; i++)
		vcpu->run->papr_hcall.args[i] = i < 4 ? arg[i] : 0;
	assert_int_equal(vm.kvm.machine->vcpu_exit(vcpu), 1);
	for (u32 i = 0; i < 9; i++)
		result[i] = vcpu->run->papr_hcall.args[i];
	return (long)vcpu->run->papr_hcall.ret;
}

static inline long hcall(u64 nr, u64 a0, u64 a1, u64 a2, u64 a3)
{
	return hcall_of(&vm.kvm.vcpu[0], nr, a0, a1, a2, a3);
}

/* The token of an RTAS service, as the device tree has it; 0: it has none. */
static inline u32 rtas_token(const char *name)
{
	const void *fdt = guest_ptr(&vm.kvm.mem, ppc_of(&vm.kvm)->dtb, ppc_of(&vm.kvm)->dtb_size);
	int len, at = fdt_path_offset(fdt, "/rtas");
	const void *p = fdt_getprop(fdt, at, name, &len);

	return p && len == 4 ? fdt32_ld(p) : 0;
}

#define RTAS_BUFFER 0x5000000ull

/* Calls RTAS as a guest does; the results are in rets[]. What the hypercall returns. */
static __unused u32 rets[16];

static inline long rtas_of(struct vcpu *vcpu, u32 token, u32 nargs, const u32 *args, u32 nrets)
{
	u32 word[3 + 16 + 16];
	long ret;

	assert_true(nargs <= 16 && nrets <= 16);
	memset(word, 0xee, sizeof(word));
	word[0] = htobe32(token);
	word[1] = htobe32(nargs);
	word[2] = htobe32(nrets);
	for (u32 i = 0; i < nargs; i++)
		word[3 + i] = htobe32(args[i]);
	assert_int_equal(guest_write(&vm.kvm.mem, RTAS_BUFFER, word, sizeof(word)), 0);
	ret = hcall_of(vcpu, 0xf000, RTAS_BUFFER, 0, 0, 0);
	assert_int_equal(guest_read(&vm.kvm.mem, RTAS_BUFFER, word, sizeof(word)), 0);
	for (u32 i = 0; i < nrets; i++)
		rets[i] = be32toh(word[3 + nargs + i]);
	/* What is behind is not RTAS's. */
	for (u32 i = nargs + nrets; i < 32; i++)
		assert_int_equal(word[3 + i], 0xeeeeeeee);
	return ret;
}

static inline long rtas(const char *name, u32 nargs, const u32 *args, u32 nrets)
{
	u32 token = rtas_token(name);

	if (!token)
		fail_msg("%s: RTAS has no such service", name);
	return rtas_of(&vm.kvm.vcpu[0], token, nargs, args, nrets);
}

#endif

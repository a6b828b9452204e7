/* SPDX-License-Identifier: MIT */
/*
 * What the pseries machine loads, and where: ELF files of 64-bit Power kernels and gzip of them; RTAS, device
 * tree and initrd beside them; everything else refused by one line.
 */
#include "pseries-boot-vm.h"

#include <zlib.h>

static const struct ppc_machine *machine(void)
{
	return ppc_of(&vm.kvm);
}

/* Nothing lies upon anything else, and vCPU 0 begins where the kernel does, with the tree. */
static void assert_placed(void)
{
	const struct ppc_machine *m = machine();
	const u64 part[][2] = {{0, m->kernel_end},
			       {pseries_of(&vm.kvm)->rtas, 0x10000},
			       {m->dtb, m->dtb_size},
			       {m->initrd, m->initrd_size}};
	struct kvm_regs regs;

	for (u32 i = 0; i < ARRAY_SIZE(part); i++) {
		assert_true(range_inside(part[i][0], part[i][1], 0, guest_ram_size(&vm.kvm.mem)));
		for (u32 k = 0; k < i; k++)
			assert_false(ranges_overlap(part[i][0], part[i][1], part[k][0], part[k][1]));
	}
	assert_int_equal(kvm_ioctl(vm.kvm.vcpu[0].fd, KVM_GET_REGS, &regs), 0);
	assert_int_equal(regs.pc, m->entry);
	assert_int_equal(regs.gpr[3], m->dtb);
	assert_int_equal(regs.gpr[4], 0);
	assert_int_equal(regs.gpr[5], 0);
	assert_int_equal(regs.msr, MSR_SF | MSR_ME);
}

static void assert_refused(struct elf_build *b, u64 mem, const char *const *more, int want, const char *says)
{
	int err;

	capture_begin(STDERR_FILENO);
	err = pseries_up_image(b, mem, "boot", more);
	assert_one_line(capture_end(), says);
	assert_int_equal(err, want);
}

static void test_vmlinux(void **state)
{
	struct elf_build b = pseries_kernel();

	assert_int_equal(pseries_up_image(&b, PSERIES_MEM, "boot", NULL), 0);
	assert_int_equal(machine()->entry, 0);
	assert_int_equal(machine()->kernel_end, KERNEL_SIZE);
	assert_guest(0, b.file + 0x1000, 0x1000);
	assert_placed();
}

/* Big-endian kernels run as well: Power's processors are both. */
static void test_big_endian(void **state)
{
	struct elf_build b = pseries_kernel();

	b.big = true;
	assert_int_equal(pseries_up_image(&b, PSERIES_MEM, "boot", NULL), 0);
	assert_placed();
}

/* A zImage: linked where it is to be, several segments, entered in its middle. */
static void test_zimage(void **state)
{
	struct elf_build b = pseries_kernel();

	b.entry = 0x4000100;
	b.phnum = 3;
	b.ph[0].vaddr = b.ph[0].paddr = 0x4000000;
	b.ph[0].memsz = 0x2000;
	b.ph[1] = b.ph[0];
	b.ph[1].vaddr = b.ph[1].paddr = 0x4010000;
	b.ph[2].type = PT_GNU_STACK;
	b.ph[2].filesz = b.ph[2].memsz = 0;
	assert_int_equal(pseries_up_image(&b, PSERIES_MEM, "boot", NULL), 0);
	assert_int_equal(machine()->entry, 0x4000100);
	assert_int_equal(machine()->kernel_end, 0x4012000);
	assert_placed();
}

static void test_gzip(void **state)
{
	struct elf_build b = pseries_kernel();
	struct boot_image img = elf_image(&b);
	u8 packed[2 * sizeof(b.file)];
	z_stream z = {0};
	struct vm_file f;

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = b.file;
	z.avail_in = (uInt)img.size;
	z.next_out = packed;
	z.avail_out = sizeof(packed);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	f = vm_file(packed, z.total_out);
	assert_int_equal(vm_up(f.path, PSERIES_MEM, "boot", NULL), 0);
	close(f.fd);
	assert_placed();
}

static void test_initrd(void **state)
{
	static u8 data[3 << 20];
	struct vm_file f = vm_file(data, sizeof(data));
	const char *const more[] = {"-i", f.path, NULL};
	struct elf_build b = pseries_kernel();

	assert_int_equal(pseries_up_image(&b, PSERIES_MEM, "boot", more), 0);
	assert_placed();
	assert_int_equal(machine()->initrd + machine()->initrd_size, PSERIES_MEM);
	assert_refused(&b, MiB(6), more, -ENOSPC, "does not fit beside the kernel");
	close(f.fd);
}

#if __SIZEOF_POINTER__ > 4 /* which no POWER host lacks */
/* The tree stays low, where 32-bit RTAS is, and the kernel looks first. */
static void test_much_memory(void **state)
{
	struct elf_build b = pseries_kernel();

	assert_int_equal(pseries_up_image(&b, GiB(5), "boot", NULL), 0);
	assert_placed();
	assert_true(machine()->dtb < MiB(512));
}
#endif

static void test_refused(void **state)
{
	static const char *const flat[] = {"--boot=flat", NULL};
	struct elf_build b = pseries_kernel();
	struct vm_file f = vm_file("a kernel that is not one at all", 31);
	int err;

	b.machine = EM_PPC;
	b.is64 = false;
	b.entry = b.ph[0].vaddr = 0;
	assert_refused(&b, PSERIES_MEM, NULL, -ENOEXEC, "a 32-bit PowerPC file");
	b = pseries_kernel();
	b.machine = EM_X86_64;
	assert_refused(&b, PSERIES_MEM, NULL, -ENOEXEC, "a kernel for another processor");
	b = pseries_kernel();
	b.type = ET_REL;
	assert_refused(&b, PSERIES_MEM, NULL, -ENOEXEC, "not an executable");
	b = pseries_kernel();
	assert_refused(&b, MiB(2), NULL, -ENOSPC, "give it more (-m)");
	assert_refused(&b, KERNEL_SIZE, NULL, -ENOSPC, "leaves no memory for RTAS; give the guest more (-m)");
	assert_refused(&b, KERNEL_SIZE + KiB(64), NULL, -ENOSPC, "a device tree of");
	assert_refused(&b, PSERIES_MEM, flat, -EINVAL, "--boot: the pseries machine takes auto alone");
	b.ph[0].paddr = PSERIES_MEM - 0x1000;
	assert_refused(&b, PSERIES_MEM, NULL, -ENOSPC, "give it more (-m)");
	b.ph[0].paddr = ~0ull - 0x1000;
	assert_refused(&b, PSERIES_MEM, NULL, -ENOEXEC, "an ELF segment's sizes contradict");
	capture_begin(STDERR_FILENO);
	err = vm_up(f.path, PSERIES_MEM, "boot", NULL);
	assert_one_line(capture_end(), "not a kernel for this machine, which takes an ELF file");
	assert_int_equal(err, -ENOEXEC);
	close(f.fd);
}

/* Beyond what fits into the map. */
static void test_memory(void **state)
{
	struct elf_build b = pseries_kernel();

	assert_refused(&b, PSERIES_RAM_MAX + MiB(1), NULL, -E2BIG, "--mem: the pseries machine has room for");
}

/* A KVM for neither of the machines. */
static void test_no_machine(void **state)
{
	struct elf_build b = pseries_kernel();

	fake_kvm_set_cap(KVM_CAP_PPC_PAPR, 0);
	assert_refused(
		&b, PSERIES_MEM, NULL, -ENODEV,
		"/dev/kvm: this KVM can run none of the machines that this lkvm has (pseries, e500); load the "
		"KVM module for one of them, or take another host\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PSERIES_TEST(test_vmlinux),
		PSERIES_TEST(test_big_endian),
		PSERIES_TEST(test_zimage),
		PSERIES_TEST(test_gzip),
		PSERIES_TEST(test_initrd),
		PSERIES_TEST(test_refused),
		PSERIES_TEST(test_memory),
		PSERIES_TEST(test_no_machine),
#if __SIZEOF_POINTER__ > 4
		PSERIES_TEST(test_much_memory),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

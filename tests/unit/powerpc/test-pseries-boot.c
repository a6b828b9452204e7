/* SPDX-License-Identifier: MIT */
/*
 * What the pseries machine loads, and where: ELF files of 64-bit Power kernels, gzip of them, and zImages
 * with what is attached to them; RTAS, device tree and initrd beside them; everything else refused by one
 * line.
 */
#include "pseries-boot-vm.h"

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

/* Several segments, entered in the last one's midst. */
static void test_segments(void **state)
{
	struct elf_build b = pseries_kernel();

	b.entry = 0x4010100;
	b.phnum = 3;
	b.ph[0].vaddr = b.ph[0].paddr = 0x4000000;
	b.ph[0].memsz = 0x2000;
	b.ph[1] = b.ph[0];
	b.ph[1].vaddr = b.ph[1].paddr = 0x4010000;
	b.ph[2].type = PT_GNU_STACK;
	b.ph[2].filesz = b.ph[2].memsz = 0;
	assert_int_equal(pseries_up_image(&b, PSERIES_MEM, "boot", NULL), 0);
	assert_int_equal(machine()->entry, 0x4010100);
	assert_int_equal(machine()->kernel_end, 0x4012000);
	assert_placed();
}

static void test_gzip(void **state)
{
	struct elf_build b = pseries_kernel();
	struct boot_image img = elf_image(&b);
	u8 packed[2 * sizeof(b.file)];
	struct vm_file f = vm_file(packed, packed_into(packed, sizeof(packed), b.file, img.size));

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

/* ---- zImages ---------------------------------------------------------------------------------------- */

#define NOTHING ((struct zimage_part){NULL, 0})

/* A kernel as a part of a zImage, gzip or as it is. */
static struct zimage_part kernel_part(bool big, bool gzip)
{
	static struct elf_build b;
	static u8 packed[sizeof(b.file)];
	struct boot_image img;

	b = pseries_kernel();
	b.big = big;
	img = elf_image(&b);
	for (u32 i = 0; i < 0x1000; i++)
		b.file[0x1000 + i] = (u8)(i * 7);
	if (!gzip)
		return (struct zimage_part){b.file, img.size};
	return (struct zimage_part){packed, packed_into(packed, sizeof(packed), b.file, img.size)};
}

static int up_zimage(struct elf_build *z, size_t size, const char *const *more)
{
	struct vm_file f = vm_file(z->file, size);
	int err = vm_up(f.path, PSERIES_MEM, "boot", more);

	close(f.fd);
	return err;
}

static void assert_zimage_refused(struct elf_build *z, size_t size, const char *says)
{
	int err;

	capture_begin(STDERR_FILENO);
	err = up_zimage(z, size, NULL);
	assert_one_line(capture_end(), says);
	assert_int_equal(err, -ENOEXEC);
}

/* Nothing of the wrapper gets into the guest: the kernel is as it is by itself. */
static void assert_kernel(void)
{
	u8 first[0x1000];

	for (u32 i = 0; i < sizeof(first); i++)
		first[i] = (u8)(i * 7);
	assert_int_equal(machine()->entry, 0);
	assert_int_equal(machine()->kernel_end, KERNEL_SIZE);
	assert_guest(0, first, sizeof(first));
	assert_placed();
}

/* A wrapper of either class around a kernel of 64 bits, compressed or not. */
static void test_zimage(void **state)
{
	for (u32 kind = 0; kind < 4; kind++) {
		bool big = kind & 1;
		struct elf_build z = {.is64 = !big, .big = big};
		struct boot_image img = zimage(&z, kernel_part(big, kind & 2), NOTHING, NOTHING);

		assert_int_equal(up_zimage(&z, img.size, NULL), 0);
		assert_kernel();
		assert_int_equal(machine()->initrd_size, 0);
	}
}

/* A zImage that is gzip as a whole, and one so large that its parts are read where they are wanted. */
static void test_zimage_far(void **state)
{
	struct elf_build z = {.is64 = true};
	struct boot_image img = zimage(&z, kernel_part(false, true), NOTHING, NOTHING);
	static u8 packed[sizeof(z.file)], large[MiB(1)];
	struct vm_file f = vm_file(packed, packed_into(packed, sizeof(packed), z.file, img.size));
	struct elf_build far;
	struct elf_sec sec[] = {{".kernel:vmlinux.strip", SHT_PROGBITS, MiB(1) - 0x8000, 0},
				{".kernel:initrd", SHT_PROGBITS, MiB(1) / 2, 5000}};
	struct zimage_part kernel = kernel_part(false, true);

	assert_int_equal(vm_up(f.path, PSERIES_MEM, "boot", NULL), 0);
	assert_kernel();
	close(f.fd);
	/* The table at the end of the file, as linkers put it. */
	far = z;
	sec[0].size = kernel.size;
	img.size = elf_put_sections(&far, 0x1800, sec, 2);
	memcpy(large + MiB(1) - 0x800, far.file + 0x1800, img.size - 0x1800);
	put_field(far.file + 0x1800 + 3 * sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, sh_offset), 8, false,
		  MiB(1) - 0x800 + 4 * sizeof(Elf64_Shdr));
	memcpy(large + MiB(1) - 0x800, far.file + 0x1800, img.size - 0x1800);
	ELF_PUT(&far, 0, Ehdr, e_shoff, MiB(1) - 0x800);
	memcpy(large, far.file, 0x1800);
	memcpy(large + sec[0].offset, kernel.data, kernel.size);
	for (u32 i = 0; i < 5000; i++)
		large[sec[1].offset + i] = (u8)(i * 13 + 1);
	f = vm_file(large, sizeof(large));
	assert_int_equal(vm_up(f.path, PSERIES_MEM, "boot", NULL), 0);
	assert_kernel();
	assert_int_equal(machine()->initrd_size, 5000);
	assert_guest(machine()->initrd, large + sec[1].offset, 5000);
	close(f.fd);
}

static void test_zimage_initrd(void **state)
{
	struct elf_build z = {.is64 = true};
	const struct zimage_part own = {"the attached initrd", 19}, tree = {"a tree", 6};
	struct boot_image img = zimage(&z, kernel_part(false, true), own, NOTHING);
	struct vm_file f = vm_file("another", 7);
	const char *const more[] = {"-i", f.path, NULL};
	int err;

	assert_int_equal(up_zimage(&z, img.size, NULL), 0);
	assert_kernel();
	assert_int_equal(machine()->initrd_size, 20); /* padded */
	assert_guest(machine()->initrd, "the attached initrd", 20);
	/* The user's goes before it, and is told so. */
	capture_begin(STDERR_FILENO);
	err = up_zimage(&z, img.size, more);
	assert_one_line(capture_end(), "the initrd that is attached to it is not used");
	assert_int_equal(err, 0);
	assert_int_equal(machine()->initrd_size, 8);
	assert_guest(machine()->initrd, "another", 8);
	/* A tree is of another machine. */
	img = zimage(&z, kernel_part(false, true), NOTHING, tree);
	capture_begin(STDERR_FILENO);
	err = up_zimage(&z, img.size, NULL);
	assert_one_line(capture_end(), "the device tree that is attached to it is not used");
	assert_int_equal(err, 0);
	assert_kernel();
	close(f.fd);
}

static void test_zimage_refused(void **state)
{
	static const struct {
		const char *start, *says;
	} other[] = {
		{"\xfd"
		 "7zXZ",
		 "compressed by xz, which lkvm does not know (it takes gzip); give the vmlinux"},
		{"\x5d\0\0\x80", "compressed by lzma"},
		{"\x89LZO", "compressed by lzo"},
		{"what is this", "a zImage with no ELF file in it; give the vmlinux"},
		{"\x1f\x8b and then not", "damaged or truncated gzip data"},
	};
	struct elf_build z = {.is64 = true}, b = pseries_kernel();
	struct zimage_part kernel = kernel_part(false, true);
	struct boot_image img;
	u8 junk[64];

	for (u32 i = 0; i < ARRAY_SIZE(other); i++) {
		memset(junk, 0, sizeof(junk));
		memcpy(junk, other[i].start, i == 1 ? 4 : strlen(other[i].start));
		img = zimage(&z, (struct zimage_part){junk, sizeof(junk)}, NOTHING, NOTHING);
		assert_zimage_refused(&z, img.size, other[i].says);
	}
	/* Gzip and an ELF file that end too soon; a kernel for another machine. */
	img = zimage(&z, (struct zimage_part){kernel.data, kernel.size - 9}, NOTHING, NOTHING);
	assert_zimage_refused(&z, img.size, "damaged or truncated gzip data");
	img = zimage(&z,
		     (struct zimage_part){"\x7f"
					  "ELF, and no more",
					  17},
		     NOTHING, NOTHING);
	assert_zimage_refused(&z, img.size, "truncated within its ELF header");
	b.machine = EM_X86_64;
	b.ph[0].filesz = 0x100;
	img = elf_image(&b);
	img = zimage(&z, (struct zimage_part){b.file, img.size}, NOTHING, NOTHING);
	assert_zimage_refused(&z, img.size, "a kernel for another processor");
	/* Wherever the file ends: the table of sections is behind all else. */
	img = zimage(&z, kernel, (struct zimage_part){"initrd", 6}, NOTHING);
	for (size_t size = 0x1000; size < img.size; size += 91) {
		int err;

		capture_begin(STDERR_FILENO);
		err = up_zimage(&z, size, NULL);
		assert_one_line(capture_end(), "truncated");
		assert_int_equal(err, -ENOEXEC);
	}
}

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
		PSERIES_TEST(test_segments),
		PSERIES_TEST(test_gzip),
		PSERIES_TEST(test_zimage),
		PSERIES_TEST(test_zimage_far),
		PSERIES_TEST(test_zimage_initrd),
		PSERIES_TEST(test_zimage_refused),
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

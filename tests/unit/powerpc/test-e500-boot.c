/* SPDX-License-Identifier: MIT */
/*
 * What the e500 machine loads, and where: ELF files of 32-bit big-endian kernels, U-Boot images, and gzip of
 * either; device tree and initrd beside them; everything else refused by one line. And how the first vCPU
 * begins: registers and TLB, as ePAPR has them (1.1, 5.4).
 */
#include "e500-boot-vm.h"

#define MAS1_VALID_IPROT 0xc0000000u
#define MAS3_ALL	 0x3fu

static const struct ppc_machine *machine(void)
{
	return ppc_of(&vm.kvm);
}

/* The one entry that a vCPU has at its start, as the kernel sees it: effective 0 is `base`. */
static void assert_tlb(u32 cpu, u64 base, u32 tsize)
{
	const struct fake_ppc_vcpu *c = e500_fake_cpu(cpu);

	assert_int_equal(c->tlb_size, 512 + 16);
	for (u32 i = 0; i < c->tlb_size; i++)
		assert_int_equal(c->tlb[i].mas1, i == 512 ? MAS1_VALID_IPROT | tsize << 7 : 0);
	assert_int_equal(c->tlb[512].mas2 & ~0xfffull, 0);
	assert_int_equal(c->tlb[512].mas7_3, base | MAS3_ALL);
	/* Told, since it was written. */
	assert_true(c->dirtied > 0);
}

/* Nothing lies upon anything else, and vCPU 0 begins where the kernel does, with the tree. */
static void assert_placed(u64 mapped, u32 tsize)
{
	const struct ppc_machine *m = machine();
	const u64 part[][2] = {{0, m->kernel_end}, {m->dtb, m->dtb_size}, {m->initrd, m->initrd_size}};
	struct kvm_regs regs;

	for (u32 i = 0; i < ARRAY_SIZE(part); i++) {
		assert_true(range_inside(part[i][0], part[i][1], 0, guest_ram_size(&vm.kvm.mem)));
		for (u32 k = 0; k < i; k++)
			assert_false(ranges_overlap(part[i][0], part[i][1], part[k][0], part[k][1]));
	}
	/* Mapped by what Linux maps before it can read the tree, and by what the vCPU has. */
	assert_true(m->dtb + m->dtb_size <= MiB(64));
	assert_true(m->entry < mapped);
	/* What a 32-bit kernel reaches without more. */
	assert_true(m->initrd + m->initrd_size <= MiB(768));
	assert_int_equal(kvm_ioctl(vm.kvm.vcpu[0].fd, KVM_GET_REGS, &regs), 0);
	assert_int_equal(regs.pc, m->entry);
	assert_int_equal(regs.msr, 0);
	assert_int_equal(regs.gpr[3], m->dtb);
	assert_int_equal(regs.gpr[6], 0x45504150); /* "EPAP" */
	assert_int_equal(regs.gpr[7], mapped);
	for (u32 i = 0; i < 32; i++)
		assert_true(i == 3 || i == 6 || i == 7 || !regs.gpr[i]);
	assert_tlb(0, 0, tsize);
}

#define SIZE_64M  MiB(64), 16
#define SIZE_256M MiB(256), 18

static void assert_file_refused(const void *data, size_t size, u64 mem, const char *const *more, int want,
				const char *says)
{
	int err;

	capture_begin(STDERR_FILENO);
	err = e500_up_file(data, size, mem, more);
	assert_one_line(capture_end(), says);
	assert_int_equal(err, want);
}

static void assert_refused(struct elf_build *b, u64 mem, const char *const *more, int want, const char *says)
{
	struct boot_image img = elf_image(b);

	assert_file_refused(b->file, img.size, mem, more, want, says);
}

/* ---- ELF -------------------------------------------------------------------------------------------- */

static void test_vmlinux(void **state)
{
	struct elf_build b = e500_kernel();

	assert_int_equal(e500_up_image(&b, E500_MEM, NULL), 0);
	assert_int_equal(machine()->entry, 0);
	assert_int_equal(machine()->kernel_end, KERNEL_SIZE);
	assert_guest(0, b.file + 0x1000, KERNEL_FILE);
	assert_placed(SIZE_64M);
}

/* Entered in the midst of a segment, which is not the first. */
static void test_segments(void **state)
{
	struct elf_build b = e500_kernel();

	b.phnum = 2;
	b.ph[1] = b.ph[0];
	b.ph[1].vaddr += MiB(8);
	b.ph[1].paddr = MiB(8);
	b.entry = KERNEL_VIRT + MiB(8) + 0x40;
	assert_int_equal(e500_up_image(&b, E500_MEM, NULL), 0);
	assert_int_equal(machine()->entry, MiB(8) + 0x40);
	assert_int_equal(machine()->kernel_end, MiB(8) + KERNEL_SIZE);
	assert_guest(MiB(8), b.file + 0x1000, KERNEL_FILE);
	assert_placed(SIZE_64M);
}

static void test_gzip(void **state)
{
	struct elf_build b = e500_kernel();
	struct boot_image img = elf_image(&b);
	static u8 packed[2 * sizeof(b.file)];
	size_t n = packed_into(packed, sizeof(packed), b.file, img.size);

	assert_int_equal(e500_up_file(packed, n, E500_MEM, NULL), 0);
	assert_placed(SIZE_64M);
	assert_file_refused(packed, n - 20, E500_MEM, NULL, -ENOEXEC, "damaged or truncated gzip data");
}

/* The mapping of the start is no larger than memory, in the sizes that the TLB has. */
static void test_mapping(void **state)
{
	struct elf_build b = e500_kernel();

	assert_int_equal(e500_up_image(&b, MiB(256), NULL), 0);
	assert_placed(SIZE_256M);
	assert_int_equal(e500_up_image(&b, GiB(2), NULL), 0);
	assert_placed(SIZE_256M);
	assert_int_equal(e500_up_image(&b, MiB(255), NULL), 0);
	assert_placed(SIZE_64M);
	assert_int_equal(e500_up_image(&b, MiB(63), NULL), 0);
	assert_placed(MiB(16), 14);
}

static void test_initrd(void **state)
{
	static u8 data[3 << 20];
	struct vm_file f = vm_file(data, sizeof(data));
	const char *const more[] = {"-i", f.path, NULL};
	struct elf_build b = e500_kernel();

	assert_int_equal(e500_up_image(&b, E500_MEM, more), 0);
	assert_placed(SIZE_64M);
	assert_int_equal(machine()->initrd_size, sizeof(data));
	assert_int_equal(machine()->initrd + machine()->initrd_size, E500_MEM);
	/* Much memory: as high as a kernel reaches, and no higher. */
	assert_int_equal(e500_up_image(&b, GiB(2), more), 0);
	assert_placed(SIZE_256M);
	assert_int_equal(machine()->initrd + machine()->initrd_size, MiB(768));
	/* Little: below it the tree finds room still. */
	assert_int_equal(e500_up_image(&b, MiB(16), more), 0);
	assert_placed(MiB(16), 14);
	assert_refused(&b, MiB(7), more, -ENOSPC, "an initrd of 3072 KiB does not fit beside the kernel");
	close(f.fd);
}

static void test_refused(void **state)
{
	static const char *const flat[] = {"--boot=flat", NULL};
	struct elf_build b = e500_kernel();

	b.big = false;
	assert_refused(&b, E500_MEM, NULL, -ENOEXEC,
		       "a little-endian kernel: the e500 machine runs big-endian");
	b = e500_kernel();
	b.is64 = true;
	b.machine = EM_PPC64;
	assert_refused(&b, E500_MEM, NULL, -ENOEXEC, "a 64-bit kernel: the e500 machine runs 32-bit ones");
	b.big = false;
	assert_refused(&b, E500_MEM, NULL, -ENOEXEC, "it is for a pseries host; the e500");
	b = e500_kernel();
	b.machine = EM_ARM;
	assert_refused(&b, E500_MEM, NULL, -ENOEXEC, "a kernel of another architecture");
	b = e500_kernel();
	b.machine = EM_X86_64;
	b.is64 = true;
	b.big = false;
	assert_refused(&b, E500_MEM, NULL, -ENOEXEC, "a kernel of another architecture");
	b = e500_kernel();
	b.type = ET_REL;
	assert_refused(&b, E500_MEM, NULL, -ENOEXEC, "not an executable");
	b = e500_kernel();
	b.ph[0].paddr = 0xffffffffu;
	assert_refused(&b, E500_MEM, NULL, -ENOEXEC, "give the guest more (-m)");
	b = e500_kernel();
	assert_refused(&b, E500_MEM, flat, -EINVAL, "--boot: the e500 machine takes auto alone");
	assert_file_refused("a kernel that is not one at all", 31, E500_MEM, NULL, -ENOEXEC,
			    "neither an ELF file nor a U-Boot image");
	/* Shorter than either's magic number. */
	assert_file_refused("\x27\x05", 2, E500_MEM, NULL, -ENOEXEC, "neither an ELF file");
}

static void test_memory(void **state)
{
	struct elf_build b = e500_kernel();

	assert_refused(&b, MiB(2), NULL, -ENOEXEC,
		       "does not fit into guest memory; give the guest more (-m)");
	assert_refused(&b, KERNEL_SIZE, NULL, -ENOSPC, "a device tree of");
	assert_refused(&b, GiB(48) + MiB(1), NULL, -E2BIG,
		       "--mem: the e500 machine has room for 48 GiB; give less");
	/* Where nothing is mapped at the start. */
	b.ph[0].paddr = MiB(70);
	assert_refused(&b, E500_MEM, NULL, -ENOEXEC, "64 MiB");
	b.ph[0].paddr = MiB(20);
	assert_refused(&b, MiB(60), NULL, -ENOEXEC, "16 MiB");
}

/* ---- zImages ---------------------------------------------------------------------------------------- */

/* As zImage.epapr is, above what a vCPU maps at its start: none of the wrapper's code runs. */
static void test_zimage(void **state)
{
	static u8 packed[16384];
	struct elf_build b = e500_kernel(), z = {.big = true};
	struct boot_image img = elf_image(&b);
	struct zimage_part none = {NULL, 0}, kernel = {packed, 0};

	for (u32 i = 0; i < KERNEL_FILE; i++)
		b.file[0x1000 + i] = (u8)(i * 7);
	kernel.size = packed_into(packed, sizeof(packed), b.file, img.size);
	img = zimage(&z, kernel, (struct zimage_part){"an initrd", 9}, none);
	assert_int_equal(e500_up_file(z.file, img.size, E500_MEM, NULL), 0);
	assert_int_equal(machine()->entry, 0);
	assert_int_equal(machine()->kernel_end, KERNEL_SIZE);
	assert_guest(0, b.file + 0x1000, KERNEL_FILE);
	assert_guest(machine()->initrd, "an initrd", 9);
	assert_placed(SIZE_64M);
	/* For the other machine of powerpc. */
	b.is64 = true;
	b.machine = EM_PPC64;
	b.ph[0].filesz = 0x100;
	img = elf_image(&b);
	img = zimage(&z, (struct zimage_part){b.file, img.size}, none, none);
	assert_file_refused(z.file, img.size, E500_MEM, NULL, -ENOEXEC, "a 64-bit kernel: the e500 machine");
}

/* ---- U-Boot images ---------------------------------------------------------------------------------- */

static u8 flat_kernel[5000];

static void fill(void)
{
	for (u32 i = 0; i < sizeof(flat_kernel); i++)
		flat_kernel[i] = (u8)(i * 11 + i / 256);
}

static void test_uimage(void **state)
{
	struct uimage u;

	fill();
	u = uimage(flat_kernel, sizeof(flat_kernel), 0, 0, 0);
	assert_int_equal(e500_up_file(u.file, u.size, E500_MEM, NULL), 0);
	assert_int_equal(machine()->entry, 0);
	assert_guest(0, flat_kernel, sizeof(flat_kernel));
	/* What it clears behind itself is left to it. */
	assert_true(machine()->kernel_end >= sizeof(flat_kernel) + MiB(8));
	assert_placed(SIZE_64M);
	/* Elsewhere, entered in its midst; what is behind its end is not its own. */
	u = uimage(flat_kernel, sizeof(flat_kernel), 0x10000, 0x10100, 0);
	memcpy(u.file + u.size, "trailer", 7);
	assert_int_equal(e500_up_file(u.file, u.size + 7, E500_MEM, NULL), 0);
	assert_int_equal(machine()->entry, 0x10100);
	assert_guest(0x10000, flat_kernel, sizeof(flat_kernel));
	assert_guest(0x10000 + sizeof(flat_kernel), "\0\0\0\0\0\0\0", 7);
	assert_placed(SIZE_64M);
}

static void test_uimage_gzip(void **state)
{
	u8 packed[8192];
	struct uimage u;
	size_t n;

	fill();
	n = packed_into(packed, sizeof(packed), flat_kernel, sizeof(flat_kernel));
	u = uimage(packed, n, 0x4000, 0x4000, 1);
	assert_int_equal(e500_up_file(u.file, u.size, E500_MEM, NULL), 0);
	assert_int_equal(machine()->entry, 0x4000);
	assert_guest(0x4000, flat_kernel, sizeof(flat_kernel));
	assert_true(machine()->kernel_end >= 0x4000 + sizeof(flat_kernel) + MiB(8));
	assert_placed(SIZE_64M);
	/* Its entry is within what it becomes, which is more than the file has, or it is outside. */
	uimage_put(&u, UIMAGE_ENTRY, 0x4000 + sizeof(flat_kernel) - 4);
	assert_int_equal(e500_up_file(u.file, u.size, E500_MEM, NULL), 0);
	uimage_put(&u, UIMAGE_ENTRY, 0x4000 + sizeof(flat_kernel));
	assert_file_refused(u.file, u.size, E500_MEM, NULL, -ENOEXEC, "entry lies outside it");
	/* Damaged, or said to be what it is not. */
	uimage_put(&u, UIMAGE_ENTRY, 0x4000);
	u.file[UIMAGE_HEADER + n / 2] ^= 0x55;
	assert_file_refused(u.file, u.size, E500_MEM, NULL, -ENOEXEC, "damaged or truncated gzip data");
	u = uimage(flat_kernel, sizeof(flat_kernel), 0, 0, 1);
	assert_file_refused(u.file, u.size, E500_MEM, NULL, -ENOEXEC, "damaged or truncated gzip data");
}

/* U-Boot's own wrapper, flat, with a vmlinux in it and that one's vDSO; not any flat kernel that has a vDSO.
 */
static void test_cuimage(void **state)
{
	static u8 flat[0x8000], packed[16384];
	struct elf_build vdso = e500_kernel(), b = e500_kernel();
	struct uimage u;
	size_t n;

	vdso.ph[0].vaddr = vdso.entry = 0;
	vdso.ph[0].filesz = vdso.ph[0].memsz = 0x800;
	memcpy(flat + 0x1000, elf_image(&vdso).data, 0x1800);
	n = packed_into(packed, sizeof(packed), flat, sizeof(flat));
	u = uimage(packed, n, MiB(8), MiB(8), 1);
	assert_int_equal(e500_up_file(u.file, u.size, E500_MEM, NULL), 0);
	memcpy(flat + 0x3000, elf_image(&b).data, 0x2000);
	n = packed_into(packed, sizeof(packed), flat, sizeof(flat));
	u = uimage(packed, n, MiB(8), MiB(8), 1);
	assert_file_refused(u.file, u.size, E500_MEM, NULL, -ENOEXEC,
			    "a cuImage, whose wrapper works under U-Boot alone; give the vmlinux");
	/* Below where its kernel would go no wrapper lies. */
	u = uimage(packed, n, MiB(3), MiB(3), 1);
	assert_int_equal(e500_up_file(u.file, u.size, E500_MEM, NULL), 0);
}

static void test_uimage_refused(void **state)
{
	static const struct {
		enum uimage_field at;
		u32 v;
		int err;
		const char *says;
	} cases[] = {
		{UIMAGE_MAGIC, 0x27051957, -ENOEXEC, "neither an ELF file nor a U-Boot image"},
		{UIMAGE_MAGIC, 0x56190527, -ENOEXEC, "neither an ELF file nor a U-Boot image"},
		{UIMAGE_OS, 4, -ENOEXEC, "not of a Linux kernel for 32-bit PowerPC"},
		{UIMAGE_ARCH, 2, -ENOEXEC, "not of a Linux kernel for 32-bit PowerPC"},
		{UIMAGE_TYPE, 3, -ENOEXEC, "not of a Linux kernel for 32-bit PowerPC"},
		{UIMAGE_COMP, 2, -ENOEXEC, "compressed in a way that lkvm does not know (it takes gzip)"},
		{UIMAGE_COMP, 0xff, -ENOEXEC, "compressed in a way"},
		{UIMAGE_SIZE, 5001, -ENOEXEC, "a truncated U-Boot image"},
		{UIMAGE_SIZE, 0xffffffff, -ENOEXEC, "a truncated U-Boot image"},
		{UIMAGE_SIZE, 0, -ENOEXEC, "a truncated U-Boot image"},
		{UIMAGE_ENTRY, 5000, -ENOEXEC, "entry lies outside it"},
		{UIMAGE_ENTRY, 0xffffffff, -ENOEXEC, "entry lies outside it"},
		{UIMAGE_LOAD, 4, -ENOEXEC, "entry lies outside it"},
	};
	struct uimage u;

	fill();
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		u = uimage(flat_kernel, sizeof(flat_kernel), 0, 0, 0);
		uimage_put(&u, cases[i].at, cases[i].v);
		assert_file_refused(u.file, u.size, E500_MEM, NULL, cases[i].err, cases[i].says);
	}
	u = uimage(flat_kernel, sizeof(flat_kernel), 0, 0, 0);
	assert_file_refused(u.file, UIMAGE_HEADER, E500_MEM, NULL, -ENOEXEC, "a truncated U-Boot image");
	assert_file_refused(u.file, UIMAGE_HEADER - 1, E500_MEM, NULL, -ENOEXEC, "neither an ELF file");
	assert_file_refused(u.file, u.size - 1, E500_MEM, NULL, -ENOEXEC, "a truncated U-Boot image");
	/* Where there is no memory, and where what it clears would have none. */
	u = uimage(flat_kernel, sizeof(flat_kernel), 0xfffff000, 0xfffff000, 0);
	assert_file_refused(u.file, u.size, E500_MEM, NULL, -ENOSPC, "give the guest more (-m)");
	u = uimage(flat_kernel, sizeof(flat_kernel), 0, 0, 0);
	assert_file_refused(u.file, u.size, MiB(8), NULL, -ENOSPC, "give the guest more (-m)");
	assert_int_equal(e500_up_file(u.file, u.size, MiB(10), NULL), 0);
}

/* One bit anywhere, that no other check would find. */
static void test_uimage_damaged(void **state)
{
	static const u32 header[] = {4, 7, 8, 24, 27, 32, 63}, data[] = {0, 1, 2500, 4999};
	struct uimage u;

	fill();
	for (u32 i = 0; i < ARRAY_SIZE(header); i++) {
		u = uimage(flat_kernel, sizeof(flat_kernel), 0, 0, 0);
		u.file[header[i]] ^= 0x10;
		assert_file_refused(u.file, u.size, E500_MEM, NULL, -ENOEXEC, "a damaged header");
	}
	for (u32 i = 0; i < ARRAY_SIZE(data); i++) {
		u = uimage(flat_kernel, sizeof(flat_kernel), 0, 0, 0);
		u.file[UIMAGE_HEADER + data[i]] ^= 0x10;
		assert_file_refused(u.file, u.size, E500_MEM, NULL, -ENOEXEC, "damaged data");
	}
}

/* ---- calls that fail -------------------------------------------------------------------------------- */

static void test_calls_fail(void **state)
{
	static const struct {
		unsigned long req;
		const char *says;
	} cases[] = {
		{KVM_PPC_GET_PVINFO, "KVM_PPC_GET_PVINFO: "},
		{KVM_DIRTY_TLB, "vcpu 0: its registers for the start: "},
		{KVM_SET_REGS, "vcpu 0: its registers for the start: "},
	};
	int err;

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		e500_again();
		fake_kvm_fail(cases[i].req, 1, EIO);
		capture_begin(STDERR_FILENO);
		err = e500_booted(NULL);
		assert_one_line(capture_end(), cases[i].says);
		assert_int_equal(err, -EIO);
	}
	e500_again();
	fake_kvm_fail_arg(KVM_ENABLE_CAP, KVM_CAP_SW_TLB, EINVAL);
	capture_begin(STDERR_FILENO);
	assert_int_equal(e500_booted(NULL), -EINVAL);
	assert_one_line(capture_end(), "vcpu 0: KVM_CAP_SW_TLB: ");
	e500_again();
	fake_kvm_fail_arg(KVM_ENABLE_CAP, KVM_CAP_PPC_BOOKE_WATCHDOG, EINVAL);
	capture_begin(STDERR_FILENO);
	assert_int_equal(e500_booted(NULL), -EINVAL);
	assert_one_line(capture_end(), "vcpu 0: KVM_CAP_PPC_BOOKE_WATCHDOG: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		E500_TEST(test_vmlinux),	E500_TEST(test_segments),	E500_TEST(test_gzip),
		E500_TEST(test_mapping),	E500_TEST(test_initrd),		E500_TEST(test_refused),
		E500_TEST(test_memory),		E500_TEST(test_uimage),		E500_TEST(test_uimage_gzip),
		E500_TEST(test_uimage_refused), E500_TEST(test_uimage_damaged), E500_TEST(test_calls_fail),
		E500_TEST(test_zimage),		E500_TEST(test_cuimage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

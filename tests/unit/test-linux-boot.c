/* SPDX-License-Identifier: MIT */
/*
 * Linux by its 64-bit entry, bzImage and ELF: where the kernel, its initrd and command line go, what the zero
 * page says, and each field of a header that lies.
 */
#include "core-vm.h"
#include "image-build.h"
#include "x86/layout.h"
#include "x86/x86.h"

#include <asm/bootparam.h>

#define SETUP	(2 * 512) /* the boot sector and one more */
#define PAYLOAD 0x3000
#define HEADER	0x1f1
#define PREF	MiB(16)
#define NEED	MiB(2)

static struct {
	u8 file[SETUP + PAYLOAD];
	struct boot_image img;
} bed;

static struct setup_header *header(void)
{
	return (struct setup_header *)(void *)(bed.file + HEADER);
}

/* A relocatable kernel of 12 KiB that wants 2 MiB at 16 MiB. */
static void make_image(void)
{
	memset(&bed, 0, sizeof(bed));
	for (u32 i = 0; i < PAYLOAD; i++)
		bed.file[SETUP + i] = (u8)(i * 5 + i / 256);
	*header() = (struct setup_header){.setup_sects = 1,
					  .syssize = PAYLOAD / 16,
					  .boot_flag = 0xaa55,
					  .jump = 0x6aeb, /* the header ends at 0x26c */
					  .header = 0x53726448,
					  .version = 0x020f,
					  .loadflags = LOADED_HIGH,
					  .setup_data = 0x1234,
					  .initrd_addr_max = 0x7fffffff,
					  .kernel_alignment = 0x200000,
					  .relocatable_kernel = 1,
					  .min_alignment = 21,
					  .xloadflags = XLF_KERNEL_64,
					  .cmdline_size = 2047,
					  .pref_address = PREF,
					  .init_size = NEED};
	bed.img = (struct boot_image){.path = "bzImage", .data = bed.file, .size = sizeof(bed.file)};
}

static int setup(void **state)
{
	if (vm_setup(state))
		return -1;
	vm_empty(MiB(32), NULL);
	make_image();
	return 0;
}

static const struct boot_params *zero_page(void)
{
	return guest_ptr(&vm.kvm.mem, X86_ZERO_PAGE, sizeof(struct boot_params));
}

static void assert_loads_at(gpa_t at)
{
	const struct x86_start *start = &x86_of(&vm.kvm)->start;

	assert_true(bzimage_is(&bed.img));
	assert_int_equal(bzimage_load(&vm.kvm, &bed.img), 0);
	assert_guest(at, bed.file + SETUP, PAYLOAD);
	assert_int_equal(start->mode, X86_START_LONG64);
	assert_int_equal(start->ip, at + 0x200);
	assert_int_equal(start->si, X86_ZERO_PAGE);
	assert_int_equal(zero_page()->hdr.code32_start, at);
}

static void assert_refused(const char *says)
{
	int err;

	capture_begin(STDERR_FILENO);
	err = bzimage_load(&vm.kvm, &bed.img);
	assert_one_line(capture_end(), says);
	assert_non_null(strstr(capture.text, "lkvm: bzImage: "));
	assert_true(err < 0);
}

/* ---- bzImage ------------------------------------------------------------------------------------------ */

static void test_sound(void **state)
{
	const struct boot_params *bp;

	assert_loads_at(PREF);
	bp = zero_page();
	assert_int_equal(bp->hdr.type_of_loader, 0xff);
	assert_int_equal(bp->hdr.loadflags, LOADED_HIGH | CAN_USE_HEAP);
	assert_int_equal(bp->hdr.setup_data, 0);
	assert_int_equal(bp->hdr.cmd_line_ptr, X86_CMDLINE);
	assert_int_equal(bp->hdr.init_size, NEED);
	assert_int_equal(bp->hdr.pref_address, PREF);
	assert_int_equal(bp->hdr.ramdisk_image, 0);
	assert_int_equal(bp->hdr.ramdisk_size, 0);
	assert_guest(X86_CMDLINE, "console=ttyS0 panic=-1", 23);
	/* RAM from 0 up, then a hole; the rest is test-acpi's. */
	assert_true(bp->e820_entries > 3);
	assert_true(bp->e820_table[0].addr == 0 && bp->e820_table[0].type == 1);
	/* The identity map and the code segment in 64 bits. */
	assert_guest(X86_BOOT_PGTABLE, "\x03\xa0\0\0", 4);
	assert_guest(X86_BOOT_GDT + 0x10, "\xff\xff\0\0\0\x9b\xaf\0", 8);
}

static void test_placement(void **state)
{
	/* RAM ends within what it wants: the lowest aligned address. */
	header()->init_size = MiB(17);
	assert_loads_at(MiB(2));
	header()->kernel_alignment = MiB(4);
	assert_loads_at(MiB(4));
	/* It fits to the byte. */
	header()->init_size = MiB(16);
	assert_loads_at(PREF);
	header()->init_size = MiB(28);
	assert_loads_at(MiB(4));
	header()->init_size++;
	assert_refused("needs 29 MiB at 0x400000 to unpack itself");
	/* Alignment 0 is the usual one; a huge one is no crash. */
	header()->init_size = MiB(17);
	header()->kernel_alignment = 0;
	assert_loads_at(MiB(2));
	header()->kernel_alignment = 0x80000000;
	assert_refused("at 0x80000000 to unpack itself");
	header()->kernel_alignment = 0x300000;
	assert_refused("no power of two");
	header()->kernel_alignment = 0x200000;
	header()->relocatable_kernel = 0;
	assert_refused("needs 17 MiB at 0x1000000");
}

/* Wherever it wants to go: never over the boot tables, never out of reach, and no sum wraps. */
static void test_pref_lies(void **state)
{
	static const u64 lies[] = {0,	    X86_ZERO_PAGE, 0x9000,     0xa0000,	    0xe0000,
				   0xf0000, MiB(1) - 1,	   MiB(32),    MiB(32) - 1, MiB(32) - NEED + 1,
				   GiB(3),  GiB(4),	   1ull << 52, UINT64_MAX,  UINT64_MAX - NEED + 1};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		header()->pref_address = lies[i];
		header()->relocatable_kernel = 1;
		assert_loads_at(MiB(2));
		header()->relocatable_kernel = 0;
		assert_refused("needs 2 MiB at 0x");
	}
	header()->pref_address = MiB(1);
	assert_loads_at(MiB(1));
	header()->pref_address = MiB(32) - NEED;
	assert_loads_at(MiB(32) - NEED);
}

/* RAM above 4 GiB is out of the identity map's reach. */
static void test_above_4g(void **state)
{
	vm_empty(GiB(5), NULL);
	header()->pref_address = GiB(4) + MiB(16);
	assert_loads_at(MiB(2));
	header()->relocatable_kernel = 0;
	assert_refused("at 0x101000000");
	header()->pref_address = GiB(3) - NEED;
	assert_loads_at(GiB(3) - NEED);
}

/* The tables at the top of low RAM are not overwritten. */
static void test_below_tables(void **state)
{
	x86_of(&vm.kvm)->acpi_high = MiB(31);
	x86_of(&vm.kvm)->acpi_high_size = MiB(1);
	header()->init_size = MiB(16);
	assert_loads_at(MiB(2));
	header()->init_size = MiB(15);
	assert_loads_at(PREF);
}

static void test_setup_lies(void **state)
{
	header()->setup_sects = 0; /* stands for 4 */
	assert_refused("truncated: its header says");
	header()->syssize = (PAYLOAD - 3 * 512) / 16;
	assert_int_equal(bzimage_load(&vm.kvm, &bed.img), 0);
	assert_guest(PREF, bed.file + 5 * 512, 16);
	header()->setup_sects = 255;
	assert_refused("truncated within its setup sectors");
	header()->setup_sects = (SETUP + PAYLOAD) / 512 - 1; /* nothing behind them */
	assert_refused("truncated within its setup sectors");
	header()->setup_sects--;
	header()->syssize = 512 / 16;
	assert_refused("truncated before its 64-bit entry");
}

static void test_size_lies(void **state)
{
	header()->syssize = PAYLOAD / 16 + 1;
	assert_refused("truncated: its header says that there is more");
	header()->syssize = UINT32_MAX;
	assert_refused("truncated: its header says that there is more");
	header()->syssize = 0; /* a signature or two behind it are no harm */
	assert_loads_at(PREF);
	/* Less than the file itself: the file counts. */
	header()->init_size = 0;
	header()->pref_address = MiB(32) - PAYLOAD;
	assert_loads_at(MiB(32) - PAYLOAD);
	header()->pref_address++;
	assert_loads_at(MiB(2));
	header()->init_size = UINT32_MAX;
	assert_refused("needs 4096 MiB");
}

static void test_no_64bit_entry(void **state)
{
	header()->version = 0x020b;
	assert_refused("without a 64-bit entry");
	header()->version = 0x020c;
	assert_loads_at(PREF);
	header()->xloadflags = 0;
	assert_refused("without a 64-bit entry");
	header()->xloadflags = XLF_KERNEL_64;
	header()->loadflags = 0;
	assert_refused("without a 64-bit entry");
	header()->header = 0;
	assert_false(bzimage_is(&bed.img));
	assert_refused("not a bzImage");
}

/* However short: a line, no crash, no byte read behind the end. */
static void test_truncated(void **state)
{
	for (size_t size = 0; size < sizeof(bed.file); size += size < 800 ? 7 : 509) {
		u8 *copy = memcpy(malloc(size + !size), bed.file, size);
		struct boot_image img = {.path = "bzImage", .data = copy, .size = size};
		int err;

		capture_begin(STDERR_FILENO);
		err = bzimage_load(&vm.kvm, &img);
		assert_one_line(capture_end(), "lkvm: bzImage: ");
		assert_int_equal(err, -ENOEXEC);
		free(copy);
	}
}

/* The part of the zero page that is the header's ends where the header says. */
static void test_header_length(void **state)
{
	bed.file[0x201] = 0x40; /* ends at 0x242: pref_address is behind it */
	assert_loads_at(PREF);
	assert_int_equal(zero_page()->hdr.pref_address, 0);
	assert_int_equal(zero_page()->hdr.version, 0x020f);
	bed.file[0x201] = 0xff;
	memset(bed.file + HEADER + sizeof(struct setup_header), 0xee, 0x100); /* longer than we know it */
	assert_loads_at(PREF);
	assert_int_equal(zero_page()->hdr.pref_address, PREF);
	assert_int_equal(zero_page()->edd_mbr_sig_buffer[0], 0);
}

/* ---- what comes with it ---------------------------------------------------------------------------------
 */

static void test_cmdline(void **state)
{
	static char words[0x10010];
	const char *const more[] = {"--nodefaults", "-p", words, NULL};

	memset(words, 'x', sizeof(words) - 1);
	words[255] = 0;
	vm_empty(MiB(32), more);
	header()->cmdline_size = 0; /* the least that every kernel takes */
	assert_loads_at(PREF);
	assert_guest(X86_CMDLINE, words, 256);
	header()->cmdline_size = 254;
	capture_begin(STDERR_FILENO);
	assert_int_equal(bzimage_load(&vm.kvm, &bed.img), -E2BIG);
	assert_one_line(capture_end(), "the command line has 255 bytes, this kernel takes 254");
}

static void test_cmdline_area(void **state)
{
	static char words[0x10000];
	const char *const more[] = {"--nodefaults", "-p", words, NULL};

	memset(words, 'x', sizeof(words) - 1);
	vm_empty(MiB(32), more);
	/* What the kernel says it takes is not what there is room for. */
	header()->cmdline_size = UINT32_MAX;
	assert_loads_at(PREF);
	assert_guest(X86_CMDLINE + 0xfffe, "x\0", 2);
}

static void test_cmdline_too_long(void **state)
{
	static char words[0x10001];
	const char *const more[] = {"--nodefaults", "-p", words, NULL};

	memset(words, 'x', sizeof(words) - 1);
	vm_empty(MiB(32), more);
	header()->cmdline_size = UINT32_MAX;
	capture_begin(STDERR_FILENO);
	assert_int_equal(bzimage_load(&vm.kvm, &bed.img), -E2BIG);
	assert_one_line(capture_end(), "this kernel takes 65535");
}

static void test_initrd(void **state)
{
	struct vm_file f = vm_file("initrd", 6);
	const char *const more[] = {"-i", f.path, NULL};
	int err;

	vm_empty(MiB(32), more);
	assert_loads_at(PREF);
	assert_int_equal(zero_page()->hdr.ramdisk_image, MiB(32) - 4096);
	assert_int_equal(zero_page()->hdr.ramdisk_size, 8);
	assert_int_equal(zero_page()->ext_ramdisk_image, 0);
	assert_guest(MiB(32) - 4096, "initrd\0\0", 8);
	/* Not above what the kernel can reach, nor over tables at the top, nor within what it unpacks itself
	 * to. */
	header()->initrd_addr_max = MiB(30) - 1;
	assert_loads_at(PREF);
	assert_int_equal(zero_page()->hdr.ramdisk_image, MiB(30) - 4096);
	header()->initrd_addr_max = UINT32_MAX;
	x86_of(&vm.kvm)->acpi_high = MiB(31);
	x86_of(&vm.kvm)->acpi_high_size = MiB(1);
	assert_loads_at(PREF);
	assert_int_equal(zero_page()->hdr.ramdisk_image, MiB(31) - 4096);
	header()->init_size = MiB(15) - 4096;
	assert_loads_at(PREF);
	assert_int_equal(zero_page()->hdr.ramdisk_image, MiB(31) - 4096);
	header()->init_size++;
	capture_begin(STDERR_FILENO);
	err = bzimage_load(&vm.kvm, &bed.img);
	assert_one_line(capture_end(), "an initrd of 1 KiB does not fit beside the kernel");
	assert_int_equal(err, -ENOSPC);
	header()->init_size = NEED;
	header()->initrd_addr_max = 0;
	capture_begin(STDERR_FILENO);
	err = bzimage_load(&vm.kvm, &bed.img);
	assert_one_line(capture_end(), "does not fit");
	assert_int_equal(err, -ENOSPC);
	close(f.fd);
}

/* ---- vmlinux
 * ----------------------------------------------------------------------------------------------- */

static struct elf_build vmlinux(void)
{
	return (struct elf_build){.is64 = true,
				  .machine = EM_X86_64,
				  .entry = PREF,
				  .phnum = 2,
				  .ph = {{PT_LOAD, 0x1000, 0xffffffff81000000, PREF, 0x100, 0x1000},
					 {PT_LOAD, 0x1100, 0, PREF + 0x1000, 0x10, 0x2000}}};
}

static int load_elf(struct elf_build *b)
{
	struct boot_image img = elf_image(b);

	img.path = "vmlinux";
	memset(b->file + 0x1000, 0xaa, 0x100);
	return elf64_load(&vm.kvm, &img);
}

static void assert_elf_refused(struct elf_build *b, const char *says)
{
	int err;

	capture_begin(STDERR_FILENO);
	err = load_elf(b);
	assert_one_line(capture_end(), says);
	assert_true(err < 0);
}

static void test_vmlinux(void **state)
{
	struct vm_file f = vm_file("initrd", 6);
	const char *const more[] = {"-i", f.path, NULL};
	struct elf_build b = vmlinux();

	vm_empty(MiB(32), more);
	assert_int_equal(load_elf(&b), 0);
	assert_int_equal(x86_of(&vm.kvm)->start.ip, PREF);
	assert_int_equal(x86_of(&vm.kvm)->start.mode, X86_START_LONG64);
	assert_guest(PREF, b.file + 0x1000, 0x100);
	assert_int_equal(zero_page()->hdr.boot_flag, 0xaa55);
	assert_int_equal(zero_page()->hdr.header, 0x53726448);
	assert_int_equal(zero_page()->hdr.ramdisk_image, MiB(32) - 4096);
	assert_guest(X86_CMDLINE, "console=ttyS0", 13);
	b.machine = EM_AARCH64;
	assert_elf_refused(&b, "not for 64-bit x86");
	b = vmlinux();
	b.big = true;
	assert_elf_refused(&b, "not for 64-bit x86");
	b = vmlinux();
	b.is64 = false;
	assert_elf_refused(&b, "not for 64-bit x86");
	b = vmlinux();
	b.ph[1].paddr = MiB(1) - 1;
	assert_elf_refused(&b, "below 1 MiB, where the boot tables are");
	b.ph[1].paddr = MiB(32) - 0x1fff;
	assert_elf_refused(&b, "does not fit into guest memory");
	b.ph[1].paddr = MiB(32) - 0x2000; /* no room for the initrd then */
	assert_elf_refused(&b, "does not fit beside the kernel");
	x86_of(&vm.kvm)->acpi_high = MiB(31);
	x86_of(&vm.kvm)->acpi_high_size = MiB(1);
	assert_elf_refused(&b, "does not fit into guest memory, which ends for it at 0x1f00000");
	b.ph[1].paddr = UINT64_MAX - 0x2000;
	assert_elf_refused(&b, "does not fit into guest memory");
	close(f.fd);
}

static void test_vmlinux_above_4g(void **state)
{
	struct elf_build b = vmlinux();

	vm_empty(GiB(5), NULL);
	b.ph[1].paddr = GiB(4);
	assert_elf_refused(&b, "does not fit into guest memory, which ends for it at 0xc0000000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sound, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_placement, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_pref_lies, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_above_4g, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_below_tables, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_setup_lies, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_size_lies, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_no_64bit_entry, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_truncated, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_header_length, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_cmdline, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_cmdline_area, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_cmdline_too_long, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_initrd, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_vmlinux, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_vmlinux_above_4g, setup, vm_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

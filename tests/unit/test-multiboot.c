/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1: finding the header, images that carry their addresses and those that are ELF, modules, the
 * information structure, and every number of the header as a lie.
 */
#include "core-vm.h"
#include "image-build.h"
#include "x86/layout.h"
#include "x86/x86.h"

#define AT	  MiB(2)
#define MAGIC	  0x1badb002u
#define ADDRESSES 0x10000u
#define SIZE	  0x3000

struct mb_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	u32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name, apm_table;
};

static struct {
	u8 file[SIZE];
	struct boot_image img;
} bed;

static void put32(size_t at, u32 v)
{
	put_field(bed.file + at, 4, false, v);
}

/* The header at that offset: flags, then header, load, load end, bss end and entry addresses. */
static void put_header(size_t at, u32 flags, u32 header, u32 load, u32 load_end, u32 bss_end, u32 entry)
{
	u32 words[] = {MAGIC, flags, 0u - MAGIC - flags, header, load, load_end, bss_end, entry};

	for (size_t i = 0; i < ARRAY_SIZE(words) && at + 4 * i + 4 <= sizeof(bed.file); i++)
		put32(at + 4 * i, words[i]);
}

static void make_image(void)
{
	for (u32 i = 0; i < SIZE; i++)
		bed.file[i] = (u8)(i * 7 + i / 256);
	bed.img = (struct boot_image){.path = "image", .data = bed.file, .size = sizeof(bed.file)};
}

static int setup(void **state)
{
	if (vm_setup(state))
		return -1;
	vm_empty(MiB(8), NULL);
	make_image();
	return 0;
}

static void assert_refused(const char *says)
{
	int err;

	capture_begin(STDERR_FILENO);
	err = multiboot_load(&vm.kvm, &bed.img);
	assert_one_line(capture_end(), says);
	assert_non_null(strstr(capture.text, "lkvm: image: "));
	assert_true(err < 0);
}

static const struct mb_info *load(void)
{
	const struct x86_start *start = &x86_of(&vm.kvm)->start;

	assert_int_equal(multiboot_load(&vm.kvm, &bed.img), 0);
	assert_int_equal(start->mode, X86_START_PROT32);
	assert_int_equal(start->ax, 0x2badb002);
	assert_true(start->bx % 4 == 0 && start->bx >= X86_PVH_INFO && start->bx < X86_EBDA);
	return guest_ptr(&vm.kvm.mem, start->bx, sizeof(struct mb_info));
}

/* ---- the header ------------------------------------------------------------------------------------------
 */

static void test_search(void **state)
{
	assert_false(multiboot_is(&bed.img));
	assert_refused("has no multiboot header");
	/* On a multiple of four, with a checksum that is right, in the first 8 KiB. */
	put_header(0x400, ADDRESSES, (u32)AT + 0x400, (u32)AT, 0, 0, (u32)AT);
	assert_true(multiboot_is(&bed.img));
	put32(0x408, 0);
	assert_false(multiboot_is(&bed.img));
	make_image();
	put_header(0x402, ADDRESSES, (u32)AT + 0x402, (u32)AT, 0, 0, (u32)AT);
	assert_false(multiboot_is(&bed.img));
	make_image();
	put_header(8188, ADDRESSES, (u32)AT + 8188, (u32)AT, 0, 0, (u32)AT);
	assert_true(multiboot_is(&bed.img));
	make_image();
	put_header(8192, ADDRESSES, (u32)AT + 8192, (u32)AT, 0, 0, (u32)AT);
	assert_false(multiboot_is(&bed.img));
	/* At the very end of the file, with the part that it says to have, and without. */
	make_image();
	bed.img.size = 0x420;
	put_header(0x400, ADDRESSES, (u32)AT + 0x400, (u32)AT, 0, 0, (u32)AT);
	assert_true(multiboot_is(&bed.img));
	bed.img.size--;
	assert_false(multiboot_is(&bed.img));
	put_header(0x400, 0, 0, 0, 0, 0, 0);
	bed.img.size = 0x40c;
	assert_true(multiboot_is(&bed.img));
	bed.img.size--;
	assert_false(multiboot_is(&bed.img));
}

static void test_unknown_wish(void **state)
{
	put_header(0, ADDRESSES | 0x8, (u32)AT, (u32)AT, 0, 0, (u32)AT);
	assert_refused("asks for something that lkvm does not have");
	/* The upper half may be ignored, and aligned modules, memory and video are fine. */
	put_header(0, ADDRESSES | 0x80000007, (u32)AT, (u32)AT, 0, 0, (u32)AT);
	load();
}

/* ---- addresses
 * --------------------------------------------------------------------------------------------- */

static void test_addressed(void **state)
{
	/* The whole file. */
	put_header(0x40, ADDRESSES, (u32)AT + 0x40, (u32)AT, 0, 0, (u32)AT + 0x80);
	load();
	assert_guest(AT, bed.file, SIZE);
	assert_int_equal(x86_of(&vm.kvm)->start.ip, AT + 0x80);
	/* From the middle of it to the middle of it. */
	put_header(0x40, ADDRESSES, (u32)AT, (u32)AT - 0x10, (u32)AT + 0x100, (u32)AT + 0x2000,
		   (u32)AT + 0x1fff);
	memset(guest_ptr(&vm.kvm.mem, AT - 0x10, 0x200), 0xee, 0x200);
	load();
	assert_guest(AT - 0x10, bed.file + 0x30, 0x110);
	assert_guest(AT + 0x100, "\xee", 1);
}

static void test_address_lies(void **state)
{
	static const struct {
		u32 header, load, load_end, bss_end, entry;
		const char *says;
	} lies[] = {
		{AT - 1, AT, 0, 0, AT, "contradict"},	 /* loaded above its own header */
		{AT + 0x41, AT, 0, 0, AT, "contradict"}, /* begins before the file */
		{UINT32_MAX, 0, 0, 0, 0, "contradict"},
		{AT, AT, AT - 1, 0, AT, "contradict"},		    /* ends before it begins */
		{AT, AT, AT + SIZE - 0x40 + 1, 0, AT, "truncated"}, /* more than there is */
		{AT, AT, UINT32_MAX, 0, AT, "truncated"},
		{AT, AT, AT + 0x100, AT + 0xff, AT, "contradict"}, /* bss ends within the data */
		{AT, AT, 0, AT, AT, "contradict"},
		{AT, AT, AT + 0x100, 0, AT + 0x100, "the entry in its multiboot header"},
		{AT, AT, AT + 0x100, 0, AT - 1, "the entry in its multiboot header"},
		{AT, AT, AT + 0x100, 0, 0, "the entry in its multiboot header"},
		{AT, AT, AT, 0, AT, "the entry in its multiboot header"}, /* nothing at all */
		{MiB(8), MiB(8), 0, 0, MiB(8), "does not fit into guest memory"},
		{MiB(8) - 0x1000, MiB(8) - 0x1000, 0, 0, MiB(8) - 0x1000, "does not fit into guest memory"},
		{AT, AT, 0, MiB(8) + 1, AT, "does not fit into guest memory"},
		{AT, AT, 0, UINT32_MAX, AT, "does not fit into guest memory"},
		{0xffffe000, 0xffffe000, 0, 0, 0xffffe000, "does not fit into guest memory"},
		{0x7000, 0x7000, 0, 0, 0x7000, "below 1 MiB, where the boot tables are"},
		{0x40, 0, 0, 0, 0, "below 1 MiB, where the boot tables are"},
		{0xf0000, 0xf0000, 0, 0, 0xf0000, "below 1 MiB, where the boot tables are"},
		{MiB(1) - 1, MiB(1) - 1, 0, 0, MiB(1), "below 1 MiB, where the boot tables are"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		put_header(0x40, ADDRESSES, lies[i].header, lies[i].load, lies[i].load_end, lies[i].bss_end,
			   lies[i].entry);
		assert_refused(lies[i].says);
	}
	/* To the last byte of memory, unless tables are there. */
	put_header(0x40, ADDRESSES, (u32)AT, (u32)AT, 0, (u32)MiB(8), (u32)AT);
	load();
	x86_of(&vm.kvm)->acpi_high = MiB(7);
	x86_of(&vm.kvm)->acpi_high_size = MiB(1);
	assert_refused("does not fit into guest memory, which ends for it at 0x700000");
}

/* ---- ELF
 * ----------------------------------------------------------------------------------------------------- */

static void elf(bool is64, u16 machine, u64 paddr)
{
	static struct elf_build b;

	b = (struct elf_build){.is64 = is64,
			       .machine = machine,
			       .entry = paddr,
			       .phnum = 1,
			       .ph = {{PT_LOAD, 0x1000, paddr, paddr, 0x100, 0x1000}}};
	elf_image(&b);
	memcpy(bed.file, b.file, 0x100);
	put_header(0x200, 0, 0, 0, 0, 0, 0);
}

static void test_elf(void **state)
{
	elf(false, EM_386, AT);
	load();
	assert_guest(AT, bed.file + 0x1000, 0x100);
	assert_int_equal(x86_of(&vm.kvm)->start.ip, AT);
	elf(true, EM_X86_64, AT);
	assert_refused("must be ELF32 for x86");
	elf(false, EM_ARM, AT);
	assert_refused("must be ELF32 for x86");
	elf(false, EM_386, MiB(1) - 0x1000);
	assert_refused("below 1 MiB");
	elf(false, EM_386, MiB(8) - 0xfff);
	assert_refused("does not fit into guest memory");
	memset(bed.file, 0, 0x100);
	assert_refused("not an ELF file");
}

/* ---- what the guest is told
 * --------------------------------------------------------------------------------- */

static void test_info(void **state)
{
	const struct mb_info *info;
	struct x86_e820 map[X86_E820_MAX];
	u32 n = x86_e820(&vm.kvm, map);

	put_header(0x40, ADDRESSES, (u32)AT + 0x40, (u32)AT, 0, 0, (u32)AT);
	info = load();
	assert_int_equal(info->flags, 0x1 | 0x4 | 0x40 | 0x200);
	assert_int_equal(info->mem_lower, 639);
	assert_int_equal(info->mem_upper, 7 * 1024);
	assert_guest(info->cmdline, "image console=ttyS0 panic=-1", 29);
	assert_guest(info->boot_loader_name, "lkvm", 5);
	assert_int_equal(info->mods_count, 0);
	assert_int_equal(info->mmap_length, 24 * n);
	for (u32 i = 0; i < n; i++) {
		assert_guest(info->mmap_addr + 24 * i, "\x14\0\0\0", 4); /* its size, itself not counted */
		assert_guest(info->mmap_addr + 24 * i + 4, &map[i].addr, 8);
		assert_guest(info->mmap_addr + 24 * i + 12, &map[i].size, 8);
		assert_guest(info->mmap_addr + 24 * i + 20, &map[i].type, 4);
	}
}

static void test_modules(void **state)
{
	struct vm_file a = vm_file("first", 5), c = vm_file("second one", 10);
	const char *const more[] = {"--nodefaults", "-i", a.path, "-i", c.path, NULL};
	const struct mb_info *info;
	u32 mod[8];

	vm_empty(MiB(8), more);
	put_header(0x40, ADDRESSES, (u32)AT + 0x40, (u32)AT, 0, (u32)AT + 0x3001, (u32)AT);
	info = load();
	assert_true(info->flags & 0x8);
	assert_int_equal(info->mods_count, 2);
	assert_int_equal(guest_read(&vm.kvm.mem, info->mods_addr, mod, sizeof(mod)), 0);
	/* Each on a page of its own, behind the kernel and its bss, one after another. */
	assert_int_equal(mod[0], AT + 0x4000);
	assert_int_equal(mod[1], AT + 0x4005);
	assert_int_equal(mod[4], AT + 0x5000);
	assert_int_equal(mod[5], AT + 0x500a);
	assert_guest(mod[0], "first", 5);
	assert_guest(mod[4], "second one", 10);
	assert_guest(mod[2], a.path, strlen(a.path) + 1);
	assert_guest(mod[6], c.path, strlen(c.path) + 1);
	assert_guest(info->cmdline, "image", 6); /* no blank behind it when there is nothing more */
	close(a.fd);
	close(c.fd);
}

static void refuse_modules(u32 bss_end, const char *says)
{
	int err;

	put_header(0x40, ADDRESSES, (u32)AT + 0x40, (u32)AT, 0, bss_end, (u32)AT);
	capture_begin(STDERR_FILENO);
	err = multiboot_load(&vm.kvm, &bed.img);
	assert_one_line(capture_end(), says);
	assert_true(err < 0);
}

static void test_module_failures(void **state)
{
	struct vm_file page = vm_file(bed.file, 4096), empty = vm_file("", 0);
	const char *const more[] = {"-i", page.path, "-i", page.path, NULL};
	const char *const none[] = {"-i", "/nonexistent", NULL};
	const char *const nothing[] = {"-i", empty.path, NULL};

	vm_empty(MiB(8), more);
	put_header(0x40, ADDRESSES, (u32)AT + 0x40, (u32)AT, 0, (u32)MiB(8) - 8192, (u32)AT);
	load();
	refuse_modules((u32)MiB(8) - 8191, "the module does not fit behind the kernel");
	refuse_modules((u32)MiB(8), "the module does not fit behind the kernel");
	x86_of(&vm.kvm)->acpi_high = MiB(7);
	x86_of(&vm.kvm)->acpi_high_size = MiB(1);
	refuse_modules((u32)MiB(7) - 4096, "the module does not fit behind the kernel");
	vm_empty(MiB(8), none);
	refuse_modules(0, "/nonexistent");
	vm_empty(MiB(8), nothing);
	refuse_modules(0, "is empty");
	close(page.fd);
	close(empty.fd);
}

static void test_too_many_words(void **state)
{
	static char words[0x8000];
	const char *more[18] = {"--nodefaults"};

	memset(words, 'x', sizeof(words) - 1);
	put_header(0x40, ADDRESSES, (u32)AT + 0x40, (u32)AT, 0, 0, (u32)AT);
	more[1] = "-p";
	more[2] = more[4] = words;
	vm_empty(MiB(8), more);
	load();
	more[3] = more[5] = "-p";
	more[6] = "y";
	vm_empty(MiB(8), more);
	capture_begin(STDERR_FILENO);
	assert_int_equal(multiboot_load(&vm.kvm, &bed.img), -E2BIG);
	assert_one_line(capture_end(), "this kernel takes 65536");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_search, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_unknown_wish, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_addressed, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_address_lies, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_elf, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_info, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_modules, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_module_failures, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_too_many_words, setup, vm_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * PVH: the note and its lies, the start info as a guest reads it, and where things go.
 */
#include "core-vm.h"
#include "image-build.h"
#include "x86/layout.h"
#include "x86/x86.h"

#define AT   MiB(2)
#define NOTE 0x1200

/* As Xen's start_info.h has them. */
struct start_info {
	u32 magic, version, flags, nr_modules;
	u64 modlist, cmdline, rsdp, memmap;
	u32 memmap_entries, reserved;
};

struct module {
	u64 paddr, size, cmdline, reserved;
};

struct map_entry {
	u64 addr, size;
	u32 type, reserved;
};

static struct elf_build b;
static struct boot_image img;

/* A kernel of one segment with its note; len 0: without. */
static void make_image(bool is64, u64 entry, u32 len)
{
	b = (struct elf_build){
		.is64 = is64,
		.machine = is64 ? EM_X86_64 : EM_386,
		.entry = AT,
		.phnum = 2,
		.ph = {{PT_LOAD, 0x1000, AT, AT, 0x100, 0x1000}, {PT_NOTE, NOTE, 0, 0, 0x40, 0x40}}};
	img = elf_image(&b);
	memset(b.file + 0x1000, 0xaa, 0x100);
	if (len)
		elf_put_note(&b, NOTE, "Xen", 18, &entry, len);
}

static int setup(void **state)
{
	if (vm_setup(state))
		return -1;
	vm_empty(MiB(8), NULL);
	return 0;
}

static void assert_refused(const char *says)
{
	int err;

	capture_begin(STDERR_FILENO);
	err = pvh_load(&vm.kvm, &img);
	assert_one_line(capture_end(), says);
	assert_non_null(strstr(capture.text, "lkvm: image: "));
	assert_true(err < 0);
}

static const struct start_info *info(void)
{
	return guest_ptr(&vm.kvm.mem, X86_PVH_INFO, sizeof(struct start_info));
}

static void test_sound(void **state)
{
	static const u32 lens[] = {4, 8, 4};

	for (u32 i = 0; i < 3; i++) {
		const struct x86_start *start = &x86_of(&vm.kvm)->start;
		const struct map_entry *map;
		struct x86_e820 e820[X86_E820_MAX];
		u32 n;

		make_image(i < 2, AT + 0x20, lens[i]);
		x86_of(&vm.kvm)->rsdp = X86_ACPI;
		assert_true(pvh_is(&img));
		assert_int_equal(pvh_load(&vm.kvm, &img), 0);
		assert_guest(AT, b.file + 0x1000, 0x100);
		assert_int_equal(start->mode, X86_START_PROT32);
		assert_int_equal(start->ip, AT + 0x20);
		assert_int_equal(start->bx, X86_PVH_INFO);
		assert_int_equal(info()->magic, 0x336ec578);
		assert_int_equal(info()->version, 1);
		assert_int_equal(info()->nr_modules, 0);
		assert_int_equal(info()->modlist, 0);
		assert_int_equal(info()->rsdp, X86_ACPI);
		assert_guest(info()->cmdline, "console=ttyS0 panic=-1", 23);
		n = x86_e820(&vm.kvm, e820);
		assert_int_equal(info()->memmap_entries, n);
		map = guest_ptr(&vm.kvm.mem, info()->memmap, n * sizeof(*map));
		for (u32 k = 0; k < n; k++)
			assert_true(map[k].addr == e820[k].addr && map[k].size == e820[k].size &&
				    map[k].type == e820[k].type && !map[k].reserved);
		/* Flat 32-bit segments. */
		assert_guest(X86_BOOT_GDT + 0x10, "\xff\xff\0\0\0\x9b\xcf\0", 8);
	}
}

static void test_modules(void **state)
{
	struct vm_file a = vm_file("abcde", 5), c = vm_file("xyz", 3);
	const char *const more[] = {"-i", a.path, "-i", c.path, NULL};
	const struct module *mod;

	vm_empty(MiB(8), more);
	make_image(true, AT, 4);
	assert_int_equal(pvh_load(&vm.kvm, &img), 0);
	/* One module, of all of them. */
	assert_int_equal(info()->nr_modules, 1);
	mod = guest_ptr(&vm.kvm.mem, info()->modlist, sizeof(*mod));
	assert_int_equal(mod->paddr, MiB(8) - 4096);
	assert_int_equal(mod->size, 12);
	assert_int_equal(mod->cmdline, 0);
	assert_guest(mod->paddr, "abcde\0\0\0xyz\0", 12);
	/* Not within the kernel: its end, to the page, is the least. */
	b.ph[0].memsz = MiB(6) - 4096 - 1;
	img = elf_image(&b);
	elf_put_note(&b, NOTE, "Xen", 18, &(u32){AT}, 4);
	assert_int_equal(pvh_load(&vm.kvm, &img), 0);
	b.ph[0].memsz = MiB(6) - 4096 + 1;
	img = elf_image(&b);
	elf_put_note(&b, NOTE, "Xen", 18, &(u32){AT}, 4);
	capture_begin(STDERR_FILENO);
	assert_int_equal(pvh_load(&vm.kvm, &img), -ENOSPC);
	assert_one_line(capture_end(), "does not fit beside the kernel");
	close(a.fd);
	close(c.fd);
}

static void test_note_lies(void **state)
{
	static const u32 lens[] = {0, 1, 3, 5, 7, 9, 16};
	static const u64 entries[] = {0, 0x7000, AT - 1, AT + 0x1000, UINT32_MAX, GiB(4) + AT, UINT64_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		make_image(true, AT, lens[i] > 8 ? 0 : lens[i]);
		if (lens[i] > 8)
			elf_put_note(&b, NOTE, "Xen", 18, "0123456789abcdef", lens[i]);
		assert_false(pvh_is(&img));
		assert_refused("has no PVH entry note for x86");
	}
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		make_image(true, entries[i], 8);
		assert_true(pvh_is(&img));
		assert_refused("lies outside its segments");
	}
	/* The first note counts, whichever is right. */
	make_image(true, 0x7000, 8);
	elf_put_note(&b, NOTE + 24, "Xen", 18, &(u32){AT}, 4);
	assert_refused("lies outside its segments");
}

static void test_other_machines(void **state)
{
	make_image(true, AT, 4);
	PUT(&b, 0, Elf64_Ehdr, e_machine, EM_AARCH64);
	assert_refused("no PVH entry note for x86");
	make_image(true, AT, 4);
	b.big = true;
	img = elf_image(&b);
	elf_put_note(&b, NOTE, "Xen", 18, &(u32){AT}, 4);
	assert_refused("no PVH entry note for x86");
	make_image(true, AT, 4);
	img.size = 20;
	assert_false(pvh_is(&img));
	assert_refused("truncated");
}

static void load_at(u64 paddr, u64 memsz)
{
	make_image(true, AT, 4);
	b.ph[0].paddr = b.ph[0].vaddr = paddr;
	b.ph[0].memsz = memsz;
	b.entry = paddr;
	img = elf_image(&b);
	elf_put_note(&b, NOTE, "Xen", 18, &paddr, 8);
}

static void test_places(void **state)
{
	static const u64 low[] = {0, 0x7000, X86_PVH_INFO, 0xa0000, X86_ACPI, MiB(1) - 1};

	for (size_t i = 0; i < ARRAY_SIZE(low); i++) {
		load_at(low[i], 0x1000);
		assert_refused("below 1 MiB, where the boot tables are");
	}
	load_at(MiB(1), MiB(7));
	assert_int_equal(pvh_load(&vm.kvm, &img), 0);
	load_at(MiB(1), MiB(7) + 1);
	assert_refused("does not fit into guest memory");
	load_at(MiB(8), 0x1000);
	assert_refused("does not fit into guest memory");
	x86_of(&vm.kvm)->acpi_high = MiB(7);
	x86_of(&vm.kvm)->acpi_high_size = MiB(1);
	load_at(MiB(1), MiB(6) + 1);
	assert_refused("does not fit into guest memory");
	/* 32-bit code does not reach what is above 4 GiB. */
	vm_empty(GiB(5), NULL);
	load_at(GiB(4), 0x1000);
	assert_refused("does not fit into guest memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sound, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_modules, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_note_lies, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_other_machines, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_places, setup, vm_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

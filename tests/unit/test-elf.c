/* SPDX-License-Identifier: MIT */
/* BIG-ENDIAN */
/*
 * ELF of both classes and byte orders: what is sound and what is said of the rest, where segments go, notes
 * and sections; every header field as a lie.
 */
#include "core-vm.h"
#include "image-build.h"

#define BASE 0x200000ull

/* Two segments of code and data, with some bytes to be cleared behind the second. */
static struct elf_build sound(bool is64, bool big)
{
	return (struct elf_build){.is64 = is64,
				  .big = big,
				  .machine = EM_X86_64,
				  .entry = BASE + 0x10,
				  .phnum = 2,
				  .ph = {{PT_LOAD, 0x1000, BASE, BASE, 0x100, 0x100},
					 {PT_LOAD, 0x1100, BASE + 0x1000, BASE + 0x1000, 0x80, 0x2000}}};
}

static struct boot_image image_of(struct elf_build *b)
{
	struct boot_image img = elf_image(b);

	for (u32 i = 0x1000; i < 0x1180; i++)
		b->file[i] = (u8)(i * 3 + 1);
	return img;
}

static void test_sound(void **state)
{
	for (u32 kind = 0; kind < 4; kind++) {
		struct elf_build b = sound(kind & 1, kind & 2);
		struct boot_image img = image_of(&b);
		struct elf_info info;

		assert_true(elf_is(&img));
		assert_null(elf_check(&img, &info));
		assert_int_equal(info.is64, b.is64);
		assert_int_equal(info.big_endian, b.big);
		assert_int_equal(info.machine, EM_X86_64);
		assert_int_equal(info.type, ET_EXEC);
		assert_int_equal(info.entry, BASE + 0x10);
		assert_int_equal(info.entry_gpa, BASE + 0x10);
		assert_int_equal(info.low, BASE);
		assert_int_equal(info.high, BASE + 0x3000);
	}
}

/* ---- what is wrong --------------------------------------------------------------------------------------
 */

static void assert_wrong(struct elf_build *b, const char *says)
{
	struct boot_image img = image_of(b);
	struct elf_info info;
	const char *wrong = elf_check(&img, &info);

	if (!wrong || !strstr(wrong, says))
		fail_msg("wanted \"%s\", got %s", says, wrong ? wrong : "nothing wrong");
}

static void test_segments(void **state)
{
	for (u32 kind = 0; kind < 4; kind++) {
		bool is64 = kind & 1, big = kind & 2;
		u64 most = is64 ? UINT64_MAX : UINT32_MAX;
		struct elf_build b;

		b = sound(is64, big);
		b.type = ET_REL;
		assert_wrong(&b, "not an executable");
		b = sound(is64, big);
		b.phnum = 0;
		assert_wrong(&b, "no program headers");
		b = sound(is64, big);
		b.ph[0].type = b.ph[1].type = PT_DYNAMIC;
		assert_wrong(&b, "nothing to load");
		b = sound(is64, big);
		b.ph[0].memsz = b.ph[1].memsz = 0;
		assert_wrong(&b, "nothing to load");
		b = sound(is64, big);
		b.ph[1].filesz = 0x2001;
		assert_wrong(&b, "contradict");
		b = sound(is64, big);
		b.size = 0x117f;
		assert_wrong(&b, "truncated: an ELF segment");
		b = sound(is64, big);
		b.ph[0].offset = most;
		assert_wrong(&b, "truncated: an ELF segment");
		b = sound(is64, big);
		b.ph[0].offset = most - 0xff;
		assert_wrong(&b, "truncated: an ELF segment");
		b = sound(is64, big);
		b.ph[0].filesz = b.ph[0].memsz = most;
		assert_wrong(&b, "truncated: an ELF segment");
		b = sound(is64, big);
		b.entry = BASE - 1;
		assert_wrong(&b, "entry lies outside");
		b = sound(is64, big);
		b.entry = BASE + 0x3000;
		assert_wrong(&b, "entry lies outside");
		b = sound(is64, big);
		b.entry = most;
		assert_wrong(&b, "entry lies outside");
	}
}

static void test_segment_wraps(void **state)
{
	struct elf_build b = sound(true, false);

	b.ph[1].paddr = UINT64_MAX - 0x1ffe;
	assert_wrong(&b, "contradict");
	b.ph[1].paddr = 0x1000;
	b.ph[1].memsz = UINT64_MAX;
	assert_wrong(&b, "contradict");
}

static void test_header_lies(void **state)
{
	struct elf_build b = sound(true, false);
	struct boot_image img = image_of(&b);
	struct elf_info info;

	PUT(&b, 0, Elf64_Ehdr, e_phnum, 0xffff);
	assert_non_null(strstr(elf_check(&img, &info), "program headers lie outside"));
	PUT(&b, 0, Elf64_Ehdr, e_phnum, 2);
	PUT(&b, 0, Elf64_Ehdr, e_phoff, UINT64_MAX - 8);
	assert_non_null(strstr(elf_check(&img, &info), "program headers lie outside"));
	PUT(&b, 0, Elf64_Ehdr, e_phoff, img.size - 2 * sizeof(Elf64_Phdr) + 1);
	assert_non_null(strstr(elf_check(&img, &info), "program headers lie outside"));
	PUT(&b, 0, Elf64_Ehdr, e_phoff, sizeof(Elf64_Ehdr));
	PUT(&b, 0, Elf64_Ehdr, e_phentsize, sizeof(Elf64_Phdr) - 1);
	assert_non_null(strstr(elf_check(&img, &info), "no program headers"));
	PUT(&b, 0, Elf64_Ehdr, e_phentsize, 0xffff);
	assert_non_null(strstr(elf_check(&img, &info), "program headers lie outside"));
	/* Of the other class: its fields lie elsewhere, and the result is nothing that loads. */
	PUT(&b, 0, Elf64_Ehdr, e_phentsize, sizeof(Elf64_Phdr));
	assert_null(elf_check(&img, &info));
	b.file[EI_CLASS] = ELFCLASS32;
	assert_non_null(elf_check(&img, &info));
}

/* However short: a verdict, and no byte read behind the end (the sanitizer's to say). */
static void test_truncated(void **state)
{
	for (u32 kind = 0; kind < 2; kind++) {
		struct elf_build b = sound(kind, false);
		struct boot_image whole = image_of(&b);

		for (size_t size = 0; size < whole.size; size += size < 300 ? 1 : 37) {
			u8 *copy = memcpy(malloc(size + !size), whole.data, size);
			struct boot_image img = {.path = "image", .data = copy, .size = size};
			struct elf_info info;
			int err;

			assert_non_null(elf_check(&img, &info));
			assert_int_equal(elf_is(&img), size > EI_NIDENT);
			capture_begin(STDERR_FILENO);
			err = elf_parse(&img, &info);
			assert_one_line(capture_end(), "lkvm: image: ");
			assert_int_equal(err, -ENOEXEC);
			free(copy);
		}
	}
}

static void test_virtual_entry(void **state)
{
	struct elf_build b = sound(true, false);
	struct boot_image img;
	struct elf_info info;

	/* Linked high: the segment that holds the entry says where it is. */
	b.ph[0].vaddr = 0xffffffff81000000;
	b.ph[1].vaddr = 0xffffffff81001000;
	b.entry = 0xffffffff81001010;
	img = image_of(&b);
	assert_null(elf_check(&img, &info));
	assert_int_equal(info.entry, 0xffffffff81001010);
	assert_int_equal(info.entry_gpa, BASE + 0x1010);
	/* Linux's is physical although its segments are high. */
	b.entry = BASE + 0x20;
	img = image_of(&b);
	assert_null(elf_check(&img, &info));
	assert_int_equal(info.entry_gpa, BASE + 0x20);
	/* Up to the last address there is. */
	b.ph[0].vaddr = UINT64_MAX - 0xff;
	b.entry = UINT64_MAX;
	img = image_of(&b);
	assert_null(elf_check(&img, &info));
	assert_int_equal(info.entry_gpa, BASE + 0xff);
}

/* ---- loading ---------------------------------------------------------------------------------------------
 */

static void test_load(void **state)
{
	for (u32 kind = 0; kind < 4; kind++) {
		struct elf_build b = sound(kind & 1, kind & 2);
		struct boot_image img = image_of(&b);
		u8 zero[0x2000 - 0x80] = {0};
		struct elf_info info;

		vm_empty(MiB(4), NULL);
		memset(guest_ptr(&vm.kvm.mem, BASE, 0x4000), 0xee, 0x4000);
		assert_int_equal(elf_parse(&img, &info), 0);
		assert_int_equal(elf_load(&vm.kvm, &img, &info, 0), 0);
		assert_guest(BASE, b.file + 0x1000, 0x100);
		assert_guest(BASE + 0xff, (u8[]){b.file[0x10ff], 0xee}, 2); /* and no more */
		assert_guest(BASE + 0x1000, b.file + 0x1100, 0x80);
		assert_guest(BASE + 0x1080, zero, sizeof(zero));
		assert_guest(BASE + 0x3000, "\xee", 1);
		assert_int_equal(elf_load(&vm.kvm, &img, &info, 0x100000), 0);
		assert_guest(BASE + 0x100000, b.file + 0x1000, 0x100);
	}
}

/* What does not fit as a whole is not loaded in part. */
static void assert_does_not_fit(struct elf_build *b, u64 offset)
{
	struct boot_image img = image_of(b);
	struct elf_info info;
	int err;

	assert_null(elf_check(&img, &info));
	memset(guest_ptr(&vm.kvm.mem, BASE, 0x100), 0xee, 0x100);
	capture_begin(STDERR_FILENO);
	err = elf_load(&vm.kvm, &img, &info, offset);
	assert_one_line(capture_end(), "image: does not fit into guest memory");
	assert_int_equal(err, -ENOEXEC);
	assert_guest(BASE, "\xee\xee", 2);
}

static void test_load_outside(void **state)
{
	struct elf_build b = sound(true, false);

	vm_empty(MiB(4), NULL);
	b.ph[1].paddr = MiB(4) - 0x1fff;
	assert_does_not_fit(&b, 0);
	b.ph[1].paddr = GiB(4);
	assert_does_not_fit(&b, 0);
	b.ph[1].paddr = UINT64_MAX - 0x2000;
	assert_does_not_fit(&b, 0);
	b = sound(true, false);
	assert_does_not_fit(&b, UINT64_MAX - BASE - 0x800);
	b.ph[1].memsz = GiB(1);
	assert_does_not_fit(&b, 0);
}

/* ---- notes
 * ------------------------------------------------------------------------------------------------- */

static struct elf_build with_notes(bool is64, bool big)
{
	struct elf_build b = sound(is64, big);

	b.phnum = 4;
	b.ph[2].type = b.ph[3].type = PT_NOTE;
	b.ph[2].offset = 0x1200;
	b.ph[3].offset = 0x1400;
	return b;
}

static const u8 *note(const struct boot_image *img, const char *owner, u32 type, u32 *len)
{
	struct elf_info info;

	assert_null(elf_check(img, &info));
	return elf_note(img, &info, owner, type, len);
}

static void test_notes(void **state)
{
	for (u32 kind = 0; kind < 4; kind++) {
		struct elf_build b = with_notes(kind & 1, kind & 2);
		struct boot_image img;
		size_t end;
		u32 len = 99;

		b.ph[2].filesz = 0x100;
		b.ph[3].filesz = 12 + 4 + 3; /* the last one's padding is not in the file */
		img = elf_image(&b);
		end = elf_put_note(&b, 0x1200, "GNU", 18, "other", 5);
		end = elf_put_note(&b, end, "Xe", 18, "short", 5);
		end = elf_put_note(&b, end, "Xen", 17, "wrong", 5);
		end = elf_put_note(&b, end, "Xen", 18, "\1\2\3\4", 4);
		elf_put_note(&b, end, "Xen", 18, "second", 6);
		elf_put_note(&b, 0x1400, "Y", 1, "abc", 3);
		assert_ptr_equal(note(&img, "Xen", 18, &len), b.file + end - 4);
		assert_int_equal(len, 4);
		assert_memory_equal(note(&img, "Y", 1, &len), "abc", 3);
		assert_int_equal(len, 3);
		assert_null(note(&img, "Xen", 19, &len));
		assert_null(note(&img, "Xenon", 18, &len));
		assert_null(note(&img, "", 18, &len));
	}
}

static void test_note_lies(void **state)
{
	static const u32 lies[] = {0x100, 0x7ffffffc, 0xfffffff0, 0xfffffffd, 0xffffffff};
	struct elf_build b = with_notes(true, false);
	struct boot_image img;
	u32 len;

	b.ph[2].filesz = 0x40;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		img = elf_image(&b);
		elf_put_note(&b, 0x1200, "Xen", 18, "\1\2\3\4", 4);
		put_field(b.file + 0x1200, 4, false, lies[i]);
		assert_null(note(&img, "Xen", 18, &len));
		img = elf_image(&b);
		elf_put_note(&b, 0x1200, "Xen", 18, "\1\2\3\4", 4);
		put_field(b.file + 0x1204, 4, false, lies[i]);
		assert_null(note(&img, "Xen", 18, &len));
	}
	/* The segment itself lies outside the file, or ends in the middle of a header. */
	b.ph[2].offset = 0x100000;
	img = elf_image(&b);
	assert_null(note(&img, "Xen", 18, &len));
	b.ph[2].offset = UINT64_MAX - 0x10;
	img = elf_image(&b);
	assert_null(note(&img, "Xen", 18, &len));
	b.ph[2].offset = 0x1200;
	b.ph[2].filesz = 11;
	img = elf_image(&b);
	elf_put_note(&b, 0x1200, "Xen", 18, "\1\2\3\4", 4);
	assert_null(note(&img, "Xen", 18, &len));
	/* A descriptor of no bytes is one. */
	b.ph[2].filesz = 0x40;
	img = elf_image(&b);
	elf_put_note(&b, 0x1200, "Xen", 18, NULL, 0);
	assert_non_null(note(&img, "Xen", 18, &len));
	assert_int_equal(len, 0);
}

/* ---- sections -------------------------------------------------------------------------------------- */

#define SECTIONS 0x1800

static const struct elf_sec sections[] = {
	{".text", SHT_PROGBITS, 0x1000, 0x100}, {".data", SHT_PROGBITS, 0x1100, 0x80},
	{".bss", SHT_NOBITS, 0x1180, 0x2000},	{".none", SHT_PROGBITS, 0x1180, 0},
	{".text", SHT_PROGBITS, 0x1200, 1},
};

static struct boot_image with_sections(struct elf_build *b)
{
	struct boot_image img = image_of(b);

	img.size = elf_put_sections(b, SECTIONS, sections, ARRAY_SIZE(sections));
	return img;
}

static const char *section(const struct boot_image *img, const char *name, size_t *offset, size_t *size)
{
	struct elf_info info;

	assert_null(elf_check(img, &info));
	return elf_section(img, &info, name, offset, size);
}

static void test_sections(void **state)
{
	static const char *const absent[] = {".bss", ".none", "", ".tex", "text", ".texts", ".shstrtab."};

	for (u32 kind = 0; kind < 4; kind++) {
		struct elf_build b = sound(kind & 1, kind & 2);
		struct boot_image img = with_sections(&b);
		size_t at = 9, size = 9;

		assert_null(section(&img, ".text", &at, &size));
		assert_int_equal(at, 0x1000);
		assert_int_equal(size, 0x100);
		assert_null(section(&img, ".data", &at, &size));
		assert_int_equal(at, 0x1100);
		assert_int_equal(size, 0x80);
		/* The last, whose name ends with the file. */
		assert_null(section(&img, ".shstrtab", &at, &size));
		assert_int_equal(at + size, img.size);
		for (u32 i = 0; i < ARRAY_SIZE(absent); i++) {
			at = size = 9;
			assert_null(section(&img, absent[i], &at, &size));
			assert_int_equal(size, 0);
		}
		/* No table, or no names. */
		ELF_PUT(&b, 0, Ehdr, e_shstrndx, 0);
		assert_null(section(&img, ".text", &at, &size));
		assert_int_equal(size, 0);
		ELF_PUT(&b, 0, Ehdr, e_shstrndx, 1);
		ELF_PUT(&b, 0, Ehdr, e_shnum, 0);
		assert_null(section(&img, ".text", &at, &size));
		assert_int_equal(size, 0);
	}
}

/* Wherever the file ends, and whatever it says of itself: a verdict, and no byte read outside it. */
static void test_section_lies(void **state)
{
	static const u64 lies[] = {1, 0x7f, 0x1900, 0x7fffffff, 0xffffffff, UINT64_MAX - 63, UINT64_MAX};

	for (u32 kind = 0; kind < 2; kind++) {
		struct elf_build b = sound(kind, kind);
		struct boot_image whole = with_sections(&b);
		size_t at, size;

		for (size_t len = 0x1180; len < whole.size; len += 7) {
			struct boot_image img = {.path = "image", .size = len};
			const char *wrong;

			img.data = memcpy(malloc(len), b.file, len);
			wrong = section(&img, ".data", &at, &size);
			assert_true(wrong && strstr(wrong, "truncated"));
			free((void *)(uintptr_t)img.data);
		}
		/* Each field of the file's header, of the first two section headers, and of the one of names.
		 */
		for (size_t k = 0; k < ARRAY_SIZE(lies); k++) {
			const size_t of[] = {0, SECTIONS + elf_shsize(&b), SECTIONS + 6 * elf_shsize(&b)};

			for (u32 i = 0; i < ARRAY_SIZE(of) * 8; i++) {
				struct boot_image img;

				whole = with_sections(&b);
				if (i < 8)
					ELF_PUT(&b, 0, Ehdr, e_shoff, i & 1 ? lies[k] : SECTIONS);
				if (i < 8 && i & 2)
					ELF_PUT(&b, 0, Ehdr, e_shentsize, lies[k]);
				if (i < 8 && i & 4)
					ELF_PUT(&b, 0, Ehdr, e_shnum, lies[k]);
				if (i >= 8 && i & 1)
					ELF_PUT(&b, of[i / 8], Shdr, sh_name, lies[k]);
				if (i >= 8 && i & 2)
					ELF_PUT(&b, of[i / 8], Shdr, sh_offset, lies[k]);
				if (i >= 8 && i & 4)
					ELF_PUT(&b, of[i / 8], Shdr, sh_size, lies[k]);
				img = whole;
				img.data = memcpy(malloc(whole.size), b.file, whole.size);
				if (!section(&img, ".text", &at, &size))
					assert_true(range_inside(at, size, 0, img.size));
				free((void *)(uintptr_t)img.data);
			}
		}
		whole = with_sections(&b);
		ELF_PUT(&b, 0, Ehdr, e_shentsize, elf_shsize(&b) - 1);
		assert_non_null(strstr(section(&whole, ".text", &at, &size), "too short"));
		ELF_PUT(&b, 0, Ehdr, e_shentsize, elf_shsize(&b));
		ELF_PUT(&b, 0, Ehdr, e_shstrndx, 7);
		assert_non_null(strstr(section(&whole, ".text", &at, &size), "names of its ELF sections"));
		ELF_PUT(&b, 0, Ehdr, e_shstrndx, 6);
		ELF_PUT(&b, SECTIONS + elf_shsize(&b), Shdr, sh_size, whole.size - 0x1000 + 1);
		assert_non_null(strstr(section(&whole, ".text", &at, &size), "truncated: an ELF section"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_segment_wraps),
		cmocka_unit_test(test_header_lies),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_virtual_entry),
		cmocka_unit_test_setup_teardown(test_load, vm_setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_load_outside, vm_setup, vm_teardown),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_note_lies),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_section_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

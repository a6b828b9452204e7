/* SPDX-License-Identifier: MIT */
/*
 * What the arm64 machine loads, and where: Images with all that their headers may say, EFI zboot wrappers,
 * 32-bit zImages, images without a header, firmware; initrd and device tree beside them; hostile headers
 * refused by one line.
 */
#include "arm-vm.h"
#include <libfdt.h>
#include <zlib.h>

static int up_image(const void *data, size_t len, u64 mem, const char *const *more)
{
	struct vm_file f = vm_file(data, len);
	int err = vm_up(f.path, mem, "boot", more);

	close(f.fd);
	return err;
}

static void assert_image_refused(const void *data, size_t len, u64 mem, const char *const *more, int want,
				 const char *says)
{
	int err;

	capture_begin(STDERR_FILENO);
	err = up_image(data, len, mem, more);
	assert_one_line(capture_end(), says);
	assert_int_equal(err, want);
}

static const struct arm_machine *machine(void)
{
	return arm_of(&vm.kvm);
}

/* The tree is sound, where booting.rst lets it be, and upon nothing else. */
static void assert_tree(void)
{
	const struct arm_machine *m = machine();
	const void *fdt = guest_ptr(&vm.kvm.mem, m->dtb, m->dtb_size);

	assert_non_null(fdt);
	assert_int_equal(fdt_check_full(fdt, m->dtb_size), 0);
	assert_int_equal(m->dtb % 8, 0);
	assert_true(m->dtb_size <= MiB(2));
	assert_int_equal(m->dtb >> 21, (m->dtb + m->dtb_size - 1) >> 21);
	assert_false(ranges_overlap(m->dtb, m->dtb_size, m->entry, m->kernel_end - m->entry));
	assert_false(ranges_overlap(m->dtb, m->dtb_size, m->initrd, m->initrd_size));
	assert_false(ranges_overlap(m->initrd, m->initrd_size, m->entry, m->kernel_end - m->entry));
	assert_int_equal(arm_reg64(0, ARM_CORE_REG(pc)), m->entry);
}

/* ---- Image --------------------------------------------------------------------------------------------- */

static void assert_image_at(const struct arm_image *img, gpa_t gpa, u64 takes)
{
	assert_guest(gpa, img, sizeof(*img));
	assert_int_equal(machine()->entry, gpa);
	assert_int_equal(machine()->kernel_end, gpa + takes);
	assert_tree();
}

static void test_image(void **state)
{
	static const struct {
		u64 offset, size, at, takes;
	} cases[] = {
		{0, MiB(32), 0, MiB(32)},
		{0x80000, MiB(32), 0x80000, MiB(32)},
		/* Less than the file is a lie, but a harmless one. */
		{0, 16, 0, sizeof(struct arm_image)},
		/* Before 3.17 nobody said how much it takes: the offset is 512 KiB whatever the header says.
		 */
		{0x1234, 0, 0x80000, sizeof(struct arm_image) + MiB(16)},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arm_image img = arm_image(cases[i].offset, cases[i].size);

		assert_int_equal(up_image(&img, sizeof(img), ARM_MEM, NULL), 0);
		assert_image_at(&img, ARM_RAM + cases[i].at, cases[i].takes);
	}
}

static void test_image_gzip(void **state)
{
	struct arm_image img = arm_image(0, MiB(2));
	u8 packed[2 * sizeof(img)];
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (void *)&img;
	z.avail_in = sizeof(img);
	z.next_out = packed;
	z.avail_out = sizeof(packed);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	assert_int_equal(up_image(packed, z.total_out, ARM_MEM, NULL), 0);
	assert_image_at(&img, ARM_RAM, MiB(2));
}

static void test_bad_images(void **state)
{
	static const struct {
		u64 offset, size, flags, mem;
		int err;
		const char *says;
	} cases[] = {
		{0, MiB(1), 1, ARM_MEM, -ENOEXEC, "big-endian"},
		{~0ull, MiB(1), 0, ARM_MEM, -ENOEXEC, "a damaged Image"},
		{0, ~0ull, 0, ARM_MEM, -ENOEXEC, "a damaged Image"},
		{~0ull - MiB(1), MiB(2), 0, ARM_MEM, -ENOEXEC, "a damaged Image"},
		{GiB(1), MiB(1), 0, ARM_MEM, -ENOSPC, "give it more (-m)"},
		{0, GiB(2), 0, ARM_MEM, -ENOSPC, "give it more (-m)"},
		{0, ARM_MEM + 1, 0, ARM_MEM, -ENOSPC, "give it more (-m)"},
		{ARM_MEM, 0x1000, 0, ARM_MEM, -ENOSPC, "give it more (-m)"},
		{0, 0, 0, MiB(16), -ENOSPC, "give it more (-m)"},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arm_image img = arm_image(cases[i].offset, cases[i].size);

		img.flags = cases[i].flags;
		assert_image_refused(&img, sizeof(img), cases[i].mem, NULL, cases[i].err, cases[i].says);
	}
}

/* It fits to the last byte, which leaves nothing for the tree. */
static void test_no_room_for_tree(void **state)
{
	struct arm_image img = arm_image(0, ARM_MEM);

	assert_image_refused(&img, sizeof(img), ARM_MEM, NULL, -ENOSPC, "does not fit beside the kernel");
}

/* ---- zboot --------------------------------------------------------------------------------------------- */

struct zboot {
	u8 mz[4], type[4];
	u32 offset, size, reserved[2];
	char compression[32];
	u8 payload[8192];
	size_t len; /* of the file */
};

static struct zboot zboot(const struct arm_image *img)
{
	struct zboot zb = {.mz = "MZ", .type = {'z', 'i', 'm', 'g'}, .compression = "gzip"};
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (void *)(uintptr_t)img;
	z.avail_in = sizeof(*img);
	z.next_out = zb.payload;
	z.avail_out = sizeof(zb.payload);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	zb.offset = offsetof(struct zboot, payload);
	zb.size = (u32)z.total_out;
	zb.len = zb.offset + zb.size;
	deflateEnd(&z);
	return zb;
}

static void test_zboot(void **state)
{
	const struct arm_image img = arm_image(0, MiB(4));
	const struct zboot zb = zboot(&img);

	assert_int_equal(up_image(&zb, zb.len, ARM_MEM, NULL), 0);
	assert_image_at(&img, ARM_RAM, MiB(4));
}

static void test_bad_zboot(void **state)
{
	const struct arm_image img = arm_image(0, MiB(4));
	const struct zboot good = zboot(&img);
	struct zboot zb = good;

	memcpy(zb.compression, "zstd22", 7);
	assert_image_refused(&zb, zb.len, ARM_MEM, NULL, -ENOEXEC, "compressed by zstd22");
	/* Not ended anywhere. */
	memset(zb.compression, 'x', sizeof(zb.compression));
	assert_image_refused(&zb, zb.len, ARM_MEM, NULL, -ENOEXEC, "compressed by xxxx");
	zb = good;
	zb.offset = ~0u;
	assert_image_refused(&zb, zb.len, ARM_MEM, NULL, -ENOEXEC, "a damaged EFI zboot image");
	zb = good;
	zb.size++;
	assert_image_refused(&zb, zb.len, ARM_MEM, NULL, -ENOEXEC, "a damaged EFI zboot image");
	zb = good;
	zb.size = ~0u;
	zb.offset = 64;
	assert_image_refused(&zb, zb.len, ARM_MEM, NULL, -ENOEXEC, "a damaged EFI zboot image");
	zb = good;
	zb.payload[zb.size / 2] ^= 0x55;
	capture_begin(STDERR_FILENO);
	assert_true(up_image(&zb, zb.len, ARM_MEM, NULL) < 0);
	assert_one_line(capture_end(), "lkvm: ");
}

/* ---- others
 * ------------------------------------------------------------------------------------------------ */

static void zimage(u8 *img, size_t len)
{
	u32 magic = 0x016f2818, end = (u32)len;

	memset(img, 0x11, len);
	memset(img + 0x24, 0, 12);
	memcpy(img + 0x24, &magic, 4);
	memcpy(img + 0x2c, &end, 4);
}

static void test_zimage(void **state)
{
	static const char *const narrow[] = {"--aarch32", NULL};
	u8 img[4096];

	zimage(img, sizeof(img));
	assert_image_refused(img, sizeof(img), ARM_MEM, NULL, -ENOEXEC, "give --aarch32");
	fake_kvm_set_cap(KVM_CAP_ARM_EL1_32BIT, 1);
	/* Its tree and initrd are to be in low memory, however much there is. */
	assert_int_equal(up_image(img, sizeof(img), GiB(2), narrow), 0);
	assert_guest(ARM_RAM + 0x8000, img, sizeof(img));
	assert_int_equal(machine()->entry, ARM_RAM + 0x8000);
	assert_true(machine()->dtb + machine()->dtb_size <= ARM_RAM + MiB(512));
	assert_tree();
}

static void test_wrong_width(void **state)
{
	static const char *const narrow[] = {"--aarch32", NULL};
	struct arm_image img = arm_image(0, MiB(1));

	fake_kvm_set_cap(KVM_CAP_ARM_EL1_32BIT, 1);
	assert_image_refused(&img, sizeof(img), ARM_MEM, narrow, -ENOEXEC, "leave --aarch32 out");
}

static void test_flat(void **state)
{
	static const char *const flat[] = {"--boot", "flat", NULL};
	struct arm_image img = arm_image(0, MiB(1));
	u8 code[777];

	memset(code, 0x5a, sizeof(code));
	assert_int_equal(up_image(code, sizeof(code), ARM_MEM, NULL), 0);
	assert_guest(ARM_RAM + 0x80000, code, sizeof(code));
	assert_int_equal(machine()->entry, ARM_RAM + 0x80000);
	assert_tree();
	/* So is one that has a header, when asked for. */
	assert_int_equal(up_image(&img, sizeof(img), ARM_MEM, flat), 0);
	assert_image_at(&img, ARM_RAM + 0x80000, sizeof(img));
	/* One byte. */
	assert_int_equal(up_image("x", 1, ARM_MEM, NULL), 0);
	assert_int_equal(machine()->entry, ARM_RAM + 0x80000);
	assert_image_refused(code, sizeof(code), 0x80000, NULL, -ENOSPC, "give it more (-m)");
}

static void test_other_boots(void **state)
{
	static const char *const pvh[] = {"--boot", "pvh", NULL};
	static const u8 elf[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
	struct arm_image img = arm_image(0, MiB(1));

	assert_image_refused(&img, sizeof(img), ARM_MEM, pvh, -EINVAL, "--boot: the arm64 machine takes");
	assert_image_refused(elf, sizeof(elf), ARM_MEM, NULL, -ENOEXEC, "arch/arm64/boot/Image");
}

static void test_firmware(void **state)
{
	const struct arm_image img = arm_image(0x80000, MiB(1));
	struct vm_file f = vm_file(&img, sizeof(img));
	const char *argv[] = {"run", "--name", "core", "--firmware", f.path};
	bool help;

	vm.configured = true;
	assert_int_equal(config_parse(&vm.cfg, ARRAY_SIZE(argv), (char **)(uintptr_t)argv, &help), 0);
	vm.cfg.mem_size = ARM_MEM;
	vm.up = true;
	assert_int_equal(kvm_up(&vm.kvm, &vm.cfg, "boot"), 0);
	/* Whatever it looks like: at the very beginning. */
	assert_image_at(&img, ARM_RAM, sizeof(img));
	close(f.fd);
}

/* ---- initrd, command line ------------------------------------------------------------------------------ */

static const char *chosen_str(const char *name)
{
	const void *fdt = guest_ptr(&vm.kvm.mem, machine()->dtb, machine()->dtb_size);

	return fdt_getprop(fdt, fdt_path_offset(fdt, "/chosen"), name, NULL);
}

static u64 chosen_u64(const char *name)
{
	const void *fdt = guest_ptr(&vm.kvm.mem, machine()->dtb, machine()->dtb_size);
	int len;
	const void *at = fdt_getprop(fdt, fdt_path_offset(fdt, "/chosen"), name, &len);

	assert_non_null(at);
	assert_int_equal(len, 8);
	return fdt64_ld(at);
}

static void test_initrd(void **state)
{
	struct vm_file a = vm_file("abc", 3), b = vm_file("defgh", 5);
	const char *const more[] = {"-i", a.path, "-i", b.path, NULL};
	static const u64 mem[] = {MiB(64), ARM_MEM, GiB(48)};

	for (u32 i = 0; i < ARRAY_SIZE(mem); i++) {
		struct arm_image img = arm_image(0, MiB(1));

		assert_int_equal(up_image(&img, sizeof(img), mem[i], more), 0);
		assert_guest(machine()->initrd, "abc\0defgh\0\0", 12);
		assert_int_equal(chosen_u64("linux,initrd-start"), machine()->initrd);
		assert_int_equal(chosen_u64("linux,initrd-end"), machine()->initrd + 12);
		/* A window of 32 GiB with the kernel. */
		assert_true(machine()->initrd + 12 <= ARM_RAM + GiB(32));
		assert_tree();
	}
	close(a.fd);
	close(b.fd);
}

static void test_initrd_too_large(void **state)
{
	static u8 data[0x20000];
	struct arm_image img = arm_image(0, ARM_MEM - 0x10000);
	struct vm_file f = vm_file(data, sizeof(data));
	const char *const more[] = {"-i", f.path, NULL};

	assert_image_refused(&img, sizeof(img), ARM_MEM, more, -ENOSPC, "does not fit beside the kernel");
	close(f.fd);
}

static void test_command_line(void **state)
{
	static const char *const more[] = {"-p", "one", "-p", "two=2", NULL};
	char longest[2049];
	const char *const room[] = {"--nodefaults", "-p", longest, NULL};
	struct arm_image img = arm_image(0, MiB(1));

	assert_int_equal(up_image(&img, sizeof(img), ARM_MEM, more), 0);
	assert_string_equal(chosen_str("bootargs"), "console=ttyS0 panic=-1 one two=2");
	memset(longest, 'x', sizeof(longest));
	longest[2047] = '\0';
	assert_int_equal(up_image(&img, sizeof(img), ARM_MEM, room), 0);
	assert_int_equal(strlen(chosen_str("bootargs")), 2047);
	longest[2047] = 'x';
	longest[2048] = '\0';
	assert_image_refused(&img, sizeof(img), ARM_MEM, room, -E2BIG, "command line");
}

/* Every byte of a header that decides something, at each of its extremes: no crash, no more than one line. */
static void test_hostile_headers(void **state)
{
	static const u8 extremes[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

	for (u32 at = 8; at < 64; at++)
		for (u32 i = 0; i < ARRAY_SIZE(extremes); i++) {
			struct arm_image img = arm_image(0, MiB(1));
			int err;

			((u8 *)&img)[at] = extremes[i];
			capture_begin(STDERR_FILENO);
			err = up_image(&img, sizeof(img), MiB(64), NULL);
			if (err)
				assert_one_line(capture_end(), "lkvm: ");
			else
				assert_string_equal(capture_end(), "");
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARM_TEST(test_image),
		ARM_TEST(test_image_gzip),
		ARM_TEST(test_bad_images),
		ARM_TEST(test_no_room_for_tree),
		ARM_TEST(test_zboot),
		ARM_TEST(test_bad_zboot),
		ARM_TEST(test_zimage),
		ARM_TEST(test_wrong_width),
		ARM_TEST(test_flat),
		ARM_TEST(test_other_boots),
		ARM_TEST(test_firmware),
		ARM_TEST(test_initrd),
		ARM_TEST(test_initrd_too_large),
		ARM_TEST(test_command_line),
		ARM_TEST(test_hostile_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

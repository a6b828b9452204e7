/* SPDX-License-Identifier: MIT */
/* WRAP: x86_vcpu_id */
/*
 * --dump-acpi, and what iasl makes of its files: it must take them apart and put them together again to the
 * same bytes without a word of complaint, for the stock board and for a device with one of everything that
 * acpi.h can write. Skipped where there is no iasl.
 */
#include "acpi-vm.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct temp_dir {
	char path[64];
	int fd;
};

static void temp_make(struct temp_dir *t)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(t->path, sizeof(t->path), "%.40s/lkvm-acpi-XXXXXX", tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
	assert_non_null(mkdtemp(t->path));
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(t->fd >= 0);
}

static void temp_remove(struct temp_dir *t)
{
	DIR *dir = fdopendir(t->fd);
	struct dirent *e;

	assert_non_null(dir);
	while ((e = readdir(dir)))
		unlinkat(t->fd, e->d_name, 0);
	closedir(dir);
	rmdir(t->path);
}

static void read_file(const struct temp_dir *t, const char *name, struct buf *out)
{
	int fd = openat(t->fd, name, O_RDONLY | O_CLOEXEC);
	char block[4096];
	ssize_t n;

	if (fd < 0)
		fail_msg("%s: %s", name, strerror(errno));
	while ((n = read(fd, block, sizeof(block))) > 0)
		buf_add(out, block, (size_t)n);
	assert_int_equal(n, 0);
	assert_int_equal(out->err, 0);
	close(fd);
}

/* The dumped files are the very bytes that a guest sees. */
static void assert_dumped(const struct temp_dir *t, const char *name, const u8 *guest)
{
	struct buf file = {0};
	struct stat st;

	assert_non_null(guest);
	read_file(t, name, &file);
	assert_int_equal(le(guest + 4, 4), file.len);
	assert_memory_equal(file.data, guest, file.len);
	assert_int_equal(fstatat(t->fd, name, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	buf_free(&file);
}

static void test_dump(void **state)
{
	struct vm *vm = vm_new(3, RAM);
	struct temp_dir t;

	vm_add_board(vm);
	temp_make(&t);
	umask(022);
	assert_int_equal(x86_acpi_dump(&vm->kvm, t.fd), 0);
	assert_int_equal(x86_acpi_dump(&vm->kvm, t.fd), 0); /* over those there are */
	assert_int_equal(x86_acpi_write(&vm->kvm), 0);
	assert_dumped(&t, "xsdt.dat", find_xsdt(vm));
	assert_dumped(&t, "facp.dat", find_table(vm, "FACP"));
	assert_dumped(&t, "apic.dat", find_table(vm, "APIC"));
	assert_dumped(&t, "mcfg.dat", find_table(vm, "MCFG"));
	assert_dumped(&t, "dsdt.dat", table_at(vm, le(find_table(vm, "FACP") + 140, 8)));
	temp_remove(&t);
	assert_int_equal(x86_acpi_dump(&vm->kvm, -1), -EBADF);
	vm_free(vm);
}

static bool have_iasl(void)
{
	return system("command -v iasl >/dev/null 2>&1") == 0;
}

/*
 * Runs iasl in the folder; what it says ends up in out. A word that begins a complaint fails the test; the
 * count of complaints that a compilation ends with must be all zeros.
 */
static void iasl(const struct temp_dir *t, const char *arguments, bool compiles)
{
	struct buf out = {0};
	char command[256];
	int status;

	snprintf(command, sizeof(command), "cd '%s' && iasl %s >log 2>&1 </dev/null", t->path, arguments);
	status = system(command);
	read_file(t, "log", &out);
	if (status || strstr((char *)out.data, "Warning  ") || strstr((char *)out.data, "Remark   ") ||
	    strstr((char *)out.data, "Error    ") || strstr((char *)out.data, "Could not") ||
	    strcasestr((char *)out.data, "invalid") || strcasestr((char *)out.data, "checksum") ||
	    strcasestr((char *)out.data, "unknown") ||
	    (compiles &&
	     !strstr((char *)out.data, "Compilation successful. 0 Errors, 0 Warnings, 0 Remarks")))
		fail_msg("iasl %s: status %d:\n%s", arguments, status, (char *)out.data);
	buf_free(&out);
}

/* Behind the header, whose compiler fields and checksum are iasl's own, the bytes must be the same. */
static void assert_same(const struct temp_dir *t, const char *name, const char *again, size_t from)
{
	struct buf a = {0}, b = {0};

	read_file(t, name, &a);
	read_file(t, again, &b);
	for (size_t i = from; i < a.len && i < b.len; i++)
		if (a.data[i] != b.data[i])
			fail_msg("%s: byte %zu is %02x, iasl makes it %02x", name, i, a.data[i], b.data[i]);
	assert_int_equal(a.len, b.len);
	buf_free(&a);
	buf_free(&b);
}

static u32 count(const char *text, const char *word)
{
	u32 n = 0;

	for (const char *p = text; (p = strstr(p, word)); p++)
		n++;
	return n;
}

/* Bytes that are no resource template come out as a plain buffer, without complaint. */
static void assert_templates(const struct temp_dir *t)
{
	struct buf dsl = {0};

	read_file(t, "dsdt.dsl", &dsl);
	assert_true(count((char *)dsl.data, "Name (_CRS") > 0);
	assert_int_equal(count((char *)dsl.data, "Name (_CRS"),
			 count((char *)dsl.data, "Name (_CRS, ResourceTemplate ()"));
	buf_free(&dsl);
}

static void round_trip(struct vm *vm)
{
	static const char *const names[] = {"dsdt", "facp", "apic", "mcfg", "xsdt"};
	struct temp_dir t;

	temp_make(&t);
	assert_int_equal(x86_acpi_dump(&vm->kvm, t.fd), 0);
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		char arguments[64], file[16], again[16];

		snprintf(file, sizeof(file), "%s.dat", names[i]);
		snprintf(again, sizeof(again), "%s.aml", names[i]);
		if (faccessat(t.fd, file, F_OK, 0))
			continue;
		snprintf(arguments, sizeof(arguments), "-d %s", file);
		iasl(&t, arguments, false);
		snprintf(arguments, sizeof(arguments), "-oa -p %s %s.dsl", names[i], names[i]);
		iasl(&t, arguments, true);
		assert_same(&t, file, again, 36);
	}
	assert_templates(&t);
	temp_remove(&t);
}

static void test_iasl_board(void **state)
{
	static const u32 cpus[] = {1, 300, 1500};

	if (!have_iasl()) {
		print_message("iasl is not installed (Debian: acpica-tools)\n");
		skip();
	}
	for (u32 i = 0; i < ARRAY_SIZE(cpus); i++) {
		struct vm *vm = vm_new(cpus[i], RAM);

		vm_add_board(vm);
		if (i == 1)
			vm->kvm.irqchip.ops = &x86_irqchip_split;
		round_trip(vm);
		vm_free(vm);
	}
}

/* A device that has one of everything that acpi.h can write. */
static void sampler_describe(const struct device *dev, struct aml *a)
{
	static const u64 ints[] = {0, 1, 2, 0xff, 0x100, 0xffff, 0x10000, UINT32_MAX, 1ull << 32, UINT64_MAX};
	char name[8];

	aml_device_begin(a, "SMPL");
	aml_name(a, "_HID");
	aml_eisaid(a, "PNP0A08");
	aml_name(a, "_CID");
	aml_eisaid(a, "PNP0A03");
	aml_name(a, "_UID");
	aml_int(a, 0);
	for (u32 i = 0; i < ARRAY_SIZE(ints); i++) {
		snprintf(name, sizeof(name), "I%u", i);
		aml_name(a, name);
		aml_int(a, ints[i]);
	}
	aml_name(a, "STR");
	aml_string(a, "");
	aml_name(a, "BUF");
	aml_buffer(a, "\1\2\3", 3);
	aml_name(a, "PKG"); /* a var-package, of more than 4095 bytes */
	aml_package_begin(a, 300);
	for (u32 i = 0; i < 300; i++) {
		aml_package_begin(a, 4);
		aml_int(a, (u64)i << 16 | 0xffff);
		aml_int(a, i & 3);
		aml_int(a, 0);
		aml_int(a, 16 + (i & 7));
		aml_end(a);
	}
	aml_end(a);

	aml_name(a, "_CRS");
	aml_resources_begin(a);
	aml_res_bus_range(a, 0, 0);
	aml_res_bus_range(a, 0, 0xff);
	aml_res_io(a, 0xcf8, 1, 8);
	aml_res_io_range(a, 0, 0xcf7);
	aml_res_io_range(a, 0xd00, 0xffff);
	aml_res_mem32_range(a, 0xc1000000, 0xdfffffff, false);
	aml_res_mem32_range(a, 0x80000000, 0xbfffffff, true);
	aml_res_mem64_range(a, 0x8000000000, 0xbfffffffff, true);
	aml_resources_end(a);

	aml_device_begin(a, "SUB");
	aml_name(a, "_HID");
	aml_string(a, "LKVM0001");
	aml_name(a, "_CRS"); /* of more than 255 bytes */
	aml_resources_begin(a);
	for (u32 i = 0; i < 16; i++) {
		aml_res_irq_legacy(a, i + 4);
		aml_res_irq(a, 16 + i, true, i & 1);
		aml_res_memory32(a, 0xc0000000 + (i << 12), 0x1000, i & 1);
	}
	aml_resources_end(a);
	aml_end(a);

	aml_opregion_io(a, "REG", 0x604, 4);
	aml_field_begin(a, "REG", 8);
	aml_field_unit(a, "EVT", 8);
	aml_field_unit(a, NULL, 8);
	aml_field_unit(a, "RST", 16);
	aml_end(a);
	aml_opregion_io(a, "BIG", 0x1000, 0x1000);
	aml_field_begin(a, "BIG", 32);
	aml_field_unit(a, NULL, 62); /* iasl does not make the shortest form of 63 */
	aml_field_unit(a, "A", 2);
	aml_field_unit(a, NULL, 64);
	aml_field_unit(a, NULL, 4096);
	aml_field_unit(a, "B", 32);
	aml_end(a);
	aml_method_begin(a, "_STA", 0, false);
	aml_if_begin(a);
	aml_path(a, "EVT");
	aml_return_int(a, 0xf);
	aml_end(a);
	aml_return_int(a, 0);
	aml_end(a);
	aml_method_begin(a, "EVNT", 0, true);
	aml_notify(a, "^SUB", 0x80);
	aml_notify(a, "\\_SB.SMPL.SUB", 0x81);
	aml_end(a);
	aml_end(a);
}

static void test_iasl_everything(void **state)
{
	static const struct device_ops ops = {
		.name = "sampler", .size = sizeof(struct device), .describe_acpi = sampler_describe};
	struct vm *vm;

	if (!have_iasl()) {
		print_message("iasl is not installed (Debian: acpica-tools)\n");
		skip();
	}
	vm = vm_new(1, RAM);
	vm_add(vm, &ops, NULL);
	round_trip(vm);
	vm_free(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_iasl_everything),
		cmocka_unit_test(test_iasl_board),
	};

	return cmocka_run_group_tests_name("acpi-iasl", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* WRAP: realloc */
/*
 * The AML writer byte by byte: package lengths at the edges of their forms, integers, names, identifiers,
 * fields and resource descriptors. Whole tables: test-acpi.c; iasl's opinion: test-acpi-iasl.c.
 */
#include <errno.h>
#include <lkvm/acpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int realloc_fails_in; /* the n-th call from now on; 0: none */

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n)
{
	if (realloc_fails_in && --realloc_fails_in == 0) {
		errno = ENOMEM;
		return NULL;
	}
	return __real_realloc(p, n);
}

struct writer {
	struct buf out;
	struct aml aml;
};

static struct aml *begin(struct writer *w)
{
	*w = (struct writer){.aml.out = &w->out};
	return &w->aml;
}

static void end(struct writer *w, const void *bytes, size_t len)
{
	assert_int_equal(w->out.err, 0);
	assert_int_equal(w->aml.depth, 0);
	assert_int_equal(w->out.len, len);
	assert_memory_equal(w->out.data, bytes, len);
	buf_free(&w->out);
}

#define END(w, ...) end(w, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

/* An If of so many bytes of contents: the length it says, and in how many bytes it says so. */
static u32 package_length(size_t contents, u32 *bytes)
{
	u8 *fill = calloc(1, contents + 1);
	struct writer w;
	struct aml *a = begin(&w);
	u32 len;

	assert_non_null(fill);
	memset(fill, 0xa3, contents); /* Noop */
	aml_if_begin(a);
	buf_add(&w.out, fill, contents);
	aml_end(a);
	assert_int_equal(w.out.err, 0);
	assert_int_equal(w.out.data[0], 0xa0);
	*bytes = (w.out.data[1] >> 6) + 1u;
	len = w.out.data[1] & (*bytes == 1 ? 0x3f : 0x0f);
	if (*bytes > 1)
		assert_int_equal(w.out.data[1] & 0x30, 0);
	for (u32 i = 1; i < *bytes; i++)
		len |= (u32)w.out.data[1 + i] << (8 * i - 4);
	assert_int_equal(w.out.len, 1 + len);
	assert_int_equal(len, *bytes + contents);
	assert_memory_equal(w.out.data + 1 + *bytes, fill, contents);
	buf_free(&w.out);
	free(fill);
	return len;
}

static void test_package_lengths(void **state)
{
	/* The longest that a form of 1, 2, 3 bytes holds, its own bytes counted. */
	static const u32 longest[] = {0x3f, 0xfff, 0xfffff};
	u32 bytes;

	assert_int_equal(package_length(0, &bytes), 1);
	for (u32 form = 1; form <= ARRAY_SIZE(longest); form++) {
		for (u32 less = 0; less < 4; less++) {
			assert_int_equal(package_length(longest[form - 1] - form - less, &bytes),
					 longest[form - 1] - less);
			assert_int_equal(bytes, form);
		}
		for (u32 more = 1; more < 4; more++) {
			package_length(longest[form - 1] - form + more, &bytes);
			assert_int_equal(bytes, form + 1);
		}
	}
}

/* What is inside moves when an outer length needs more room. */
static void test_nesting(void **state)
{
	u8 want[300], *p = want;
	struct writer w;
	struct aml *a = begin(&w);

	aml_scope_begin(a, "_SB");
	aml_device_begin(a, "DEV");
	aml_name(a, "STR");
	aml_string(a, "0123456789012345678901234567890123456789012345678901");
	aml_end(a);
	aml_method_begin(a, "MTH", 2, true);
	aml_return_int(a, 7);
	aml_end(a);
	aml_end(a);

	p = mempcpy(p, "\x10\x49\x05_SB_", 7);
	p = mempcpy(p,
		    "\x5b\x82\x41\x04"
		    "DEV_"
		    "\x08STR_\x0d",
		    14);
	p = mempcpy(p, "0123456789012345678901234567890123456789012345678901", 53);
	p = mempcpy(p, "\x14\x09MTH_\x0a\xa4\x0a\x07", 10);
	/* Device: 2 + 4 + 5 + 1 + 53 = 65 = 0x41; Scope: 2 + 4 + (2 + 65) + 10 = 83 = 0x53. */
	want[1] = 0x43;
	want[2] = 0x05;
	end(&w, want, (size_t)(p - want));
}

static void test_integers(void **state)
{
	struct writer w;

	aml_int(begin(&w), 0);
	END(&w, 0x00);
	aml_int(begin(&w), 1);
	END(&w, 0x01);
	aml_int(begin(&w), 2);
	END(&w, 0x0a, 2);
	aml_int(begin(&w), 0xff);
	END(&w, 0x0a, 0xff);
	aml_int(begin(&w), 0x100);
	END(&w, 0x0b, 0x00, 0x01);
	aml_int(begin(&w), 0xffff);
	END(&w, 0x0b, 0xff, 0xff);
	aml_int(begin(&w), 0x10000);
	END(&w, 0x0c, 0, 0, 1, 0);
	aml_int(begin(&w), 0xffffffff);
	END(&w, 0x0c, 0xff, 0xff, 0xff, 0xff);
	aml_int(begin(&w), 0x100000000);
	END(&w, 0x0e, 0, 0, 0, 0, 1, 0, 0, 0);
	aml_int(begin(&w), 0xfffffffffffffffe);
	END(&w, 0x0e, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
	aml_int(begin(&w), 0xffffffffffffffff);
	END(&w, 0xff);
	aml_return_int(begin(&w), 0x1234);
	END(&w, 0xa4, 0x0b, 0x34, 0x12);
}

static void test_names(void **state)
{
	static const struct {
		const char *path, *bytes;
		size_t len;
	} cases[] = {
		{"A", "A___", 4},
		{"ABCD", "ABCD", 4},
		{"_S5", "_S5_", 4},
		{"\\_SB", "\\_SB_", 5},
		{"\\", "\\\0", 2},
		{"^", "^\0", 2},
		{"", "\0", 1},
		{"^X", "^X___", 5},
		{"^^X.YZ", "^^\x2eX___YZ__", 11},
		{"\\_SB.PCI0", "\\\x2e_SB_PCI0", 10},
		{"_SB.PCI0.A", "\x2f\x03_SB_PCI0A___", 14},
		{"\\A.B.C.D",
		 "\\\x2f\x04"
		 "A___B___C___D___",
		 19},
	};
	struct writer w;

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		aml_path(begin(&w), cases[i].path);
		end(&w, cases[i].bytes, cases[i].len);
	}
	aml_name(begin(&w), "_HID");
	END(&w, 0x08, '_', 'H', 'I', 'D');
	aml_notify(begin(&w), "^PWRB", 0x80);
	END(&w, 0x86, '^', 'P', 'W', 'R', 'B', 0x0a, 0x80);
	aml_op(begin(&w), 0x70);
	END(&w, 0x70);
}

static void test_data(void **state)
{
	struct writer w;
	struct aml *a;

	aml_eisaid(begin(&w), "PNP0501");
	END(&w, 0x0c, 0x41, 0xd0, 0x05, 0x01);
	aml_eisaid(begin(&w), "PNP0A08");
	END(&w, 0x0c, 0x41, 0xd0, 0x0a, 0x08);
	aml_eisaid(begin(&w), "PNP0c0f");
	END(&w, 0x0c, 0x41, 0xd0, 0x0c, 0x0f);
	aml_eisaid(begin(&w), "AZBFEDC");
	END(&w, 0x0c, 0x07, 0x42, 0xfe, 0xdc);
	aml_string(begin(&w), "AB");
	END(&w, 0x0d, 'A', 'B', 0);
	aml_buffer(begin(&w), "\1\2\3", 3);
	END(&w, 0x11, 6, 0x0a, 3, 1, 2, 3);
	aml_buffer(begin(&w), NULL, 0);
	END(&w, 0x11, 2, 0);

	a = begin(&w);
	aml_package_begin(a, 2);
	aml_int(a, 1);
	aml_int(a, 0);
	aml_end(a);
	END(&w, 0x12, 4, 2, 1, 0);
	a = begin(&w);
	aml_package_begin(a, 255);
	aml_end(a);
	END(&w, 0x12, 2, 255);
	a = begin(&w);
	aml_package_begin(a, 256);
	aml_end(a);
	END(&w, 0x13, 4, 0x0b, 0, 1);
}

static void test_fields(void **state)
{
	struct writer w;
	struct aml *a;

	aml_opregion_io(begin(&w), "REG", 0x604, 4);
	END(&w, 0x5b, 0x80, 'R', 'E', 'G', '_', 0x01, 0x0b, 0x04, 0x06, 0x0a, 4);
	a = begin(&w);
	aml_field_begin(a, "REG", 8);
	aml_field_unit(a, "A", 8);
	aml_field_unit(a, NULL, 63);
	aml_field_unit(a, NULL, 64);
	aml_field_unit(a, NULL, 4095);
	aml_field_unit(a, "B", 4096);
	aml_field_unit(a, NULL, 0xfffff);
	aml_field_unit(a, NULL, 0x100000);
	aml_end(a);
	END(&w, 0x5b, 0x81, 35, 'R', 'E', 'G', '_', 1, 'A', '_', '_', '_', 8, 0, 63, 0, 0x40, 0x04, 0, 0x4f,
	    0xff, 'B', '_', '_', '_', 0x80, 0x00, 0x01, 0, 0x8f, 0xff, 0xff, 0, 0xc0, 0, 0, 1);
	for (u32 width = 16; width <= 32; width *= 2) {
		a = begin(&w);
		aml_field_begin(a, "REG", width);
		aml_end(a);
		END(&w, 0x5b, 0x81, 6, 'R', 'E', 'G', '_', width / 16 + 1);
	}
}

static void test_small_resources(void **state)
{
	struct writer w;

	aml_res_io(begin(&w), 0x3f8, 1, 8);
	END(&w, 0x47, 1, 0xf8, 0x03, 0xf8, 0x03, 1, 8);
	aml_res_irq_legacy(begin(&w), 0);
	END(&w, 0x22, 0x01, 0x00);
	aml_res_irq_legacy(begin(&w), 4);
	END(&w, 0x22, 0x10, 0x00);
	aml_res_irq_legacy(begin(&w), 15);
	END(&w, 0x22, 0x00, 0x80);
	aml_res_irq_legacy(begin(&w), 16); /* no ISA line: the extended form, edge and active high too */
	END(&w, 0x89, 6, 0, 0x03, 1, 16, 0, 0, 0);
}

static void test_large_resources(void **state)
{
	struct writer w;

	aml_res_irq(begin(&w), 0x12345, true, false);
	END(&w, 0x89, 6, 0, 0x01, 1, 0x45, 0x23, 0x01, 0);
	aml_res_irq(begin(&w), 9, true, true);
	END(&w, 0x89, 6, 0, 0x05, 1, 9, 0, 0, 0);
	aml_res_memory32(begin(&w), 0xe0000000, 0x100000, true);
	END(&w, 0x86, 9, 0, 1, 0, 0, 0, 0xe0, 0, 0, 0x10, 0);
	aml_res_memory32(begin(&w), 0xe0000000, 0x1000, false);
	END(&w, 0x86, 9, 0, 0, 0, 0, 0, 0xe0, 0, 0x10, 0, 0);
	aml_res_bus_range(begin(&w), 0, 0xff);
	END(&w, 0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0x00, 0x01);
	aml_res_io_range(begin(&w), 0xd00, 0xffff);
	END(&w, 0x88, 13, 0, 1, 0x0c, 3, 0, 0, 0x00, 0x0d, 0xff, 0xff, 0, 0, 0x00, 0xf3);
	/* All 64 Ki ports: the length takes 32 bits. */
	aml_res_io_range(begin(&w), 0, 0xffff);
	END(&w, 0x87, 23, 0, 1, 0x0c, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	aml_res_mem32_range(begin(&w), 0xc1000000, 0xdfffffff, false);
	END(&w, 0x87, 23, 0, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0, 0, 0xc1, 0xff, 0xff, 0xff, 0xdf, 0, 0, 0, 0, 0, 0,
	    0, 0x1f);
	aml_res_mem64_range(begin(&w), 0x8000000000, 0xbfffffffff, true);
	END(&w, 0x8a, 43, 0, 0, 0x0c, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0xff, 0xff, 0xff,
	    0xff, 0xbf, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0);
}

/* A template's size stands before its bytes and outgrows a byte; so does the package length around it. */
static void test_template_sizes(void **state)
{
	for (u32 items = 0; items < 1200; items++) {
		size_t len = items * 3 + 2, size_bytes = len < 256 ? 2 : 3;
		size_t package = 1 + size_bytes + len < 64 ? 1 : 2 + size_bytes + len < 4096 ? 2 : 3;
		struct writer w;
		struct aml *a = begin(&w);
		const u8 *p;

		aml_resources_begin(a);
		for (u32 i = 0; i < items; i++)
			aml_res_irq_legacy(a, i & 15);
		aml_resources_end(a);
		assert_int_equal(w.out.err, 0);
		assert_int_equal(w.out.len, 1 + package + size_bytes + len);
		p = w.out.data;
		assert_int_equal(*p, 0x11);
		p += 1 + package;
		assert_int_equal(p[0], size_bytes == 2 ? 0x0a : 0x0b);
		assert_int_equal(p[1] | (size_bytes == 3 ? p[2] << 8 : 0), len);
		p += size_bytes;
		for (u32 i = 0; i < items; i++, p += 3)
			assert_int_equal(p[0] == 0x22 ? p[1] | p[2] << 8 : -1, 1 << (i & 15));
		assert_int_equal(p[0], 0x79);
		assert_int_equal(p[1], 0);
		buf_free(&w.out);
	}
}

/* Whichever allocation fails, the writer comes through to its end and says so once. */
static void test_no_memory(void **state)
{
	for (int n = 1;; n++) {
		struct writer w;
		struct aml *a = begin(&w);
		bool failed;

		realloc_fails_in = n;
		aml_scope_begin(a, "_SB");
		for (u32 i = 0; i < 8; i++) {
			aml_device_begin(a, "DEV");
			aml_name(a, "_CRS");
			aml_resources_begin(a);
			for (u32 j = 0; j < 100; j++)
				aml_res_irq(a, j, true, true);
			aml_resources_end(a);
			aml_field_begin(a, "REG", 8);
			aml_field_unit(a, "A", 100);
			aml_end(a);
			aml_buffer(a, "x", 1);
			aml_end(a);
		}
		aml_end(a);
		failed = realloc_fails_in == 0;
		realloc_fails_in = 0;
		assert_int_equal(a->depth, 0);
		assert_int_equal(w.out.err, failed ? -ENOMEM : 0);
		buf_free(&w.out);
		if (!failed) {
			assert_true(n > 3);
			break;
		}
	}
}

static void test_table(void **state)
{
	struct buf out = {0};
	u8 sum = 0;
	size_t start;

	buf_zero(&out, 5); /* a table need not begin its buffer */
	start = acpi_table_begin(&out, "TEST", 3);
	assert_int_equal(start, 5);
	assert_int_equal(out.len, 5 + 36);
	acpi_gas(&out, 1, 8, 1, 0x1122334455667788);
	for (int again = 0; again < 2; again++) { /* ending it twice, with a change between, is right too */
		acpi_table_end(&out, start);
		assert_int_equal(out.err, 0);
		assert_memory_equal(out.data + 5, "TEST\x30\0\0\0\x03", 9);
		sum = 0;
		for (size_t i = start; i < out.len; i++)
			sum = (u8)(sum + out.data[i]);
		assert_int_equal(sum, 0);
		out.data[start + 40]++;
	}
	assert_memory_equal(out.data + start + 10, "LKVM  LKVMTEST\1\0\0\0LKVM\1\0\0\0\1\x08\0\1", 30);
	assert_memory_equal(out.data + start + 41, "\x77\x66\x55\x44\x33\x22\x11", 7);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_package_lengths),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_small_resources),
		cmocka_unit_test(test_large_resources),
		cmocka_unit_test(test_template_sizes),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests_name("aml", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* BIG-ENDIAN */
/* WRAP: mmap64 statfs64 open64 */
/*
 * Guest RAM: what lies behind it, and the accessors at every edge: of a bank, between two, at the hole below
 * 4 GiB, at the end of the address space. Memslots, with x86's layout: test-mem-slots.c.
 */
#include "core-vm.h"

#include <fcntl.h>
#include <sys/statfs.h>

#define HUGETLBFS_MAGIC 0x958458f6

/* ---- what is made up ----------------------------------------------------------------------------- */

static struct {
	bool hugetlbfs;	  /* every directory is one, with pages of 2 MiB and without O_TMPFILE */
	u64 refuse_above; /* mmap() of more than that many bytes fails; 0: none */
} host;

void *__real_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (host.refuse_above && len > host.refuse_above) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mmap64(addr, len, prot, flags, fd, off);
}

int __real_statfs64(const char *path, struct statfs *st);
int __wrap_statfs64(const char *path, struct statfs *st)
{
	if (!host.hugetlbfs)
		return __real_statfs64(path, st);
	*st = (struct statfs){.f_type = (__typeof__(st->f_type))HUGETLBFS_MAGIC, .f_bsize = MiB(2)};
	return 0;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	if (host.hugetlbfs && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return __real_open64(path, flags, 0600);
}

static int setup(void **state)
{
	memset(&host, 0, sizeof(host));
	return vm_setup(state);
}

/* ---- accessors, on banks of our own --------------------------------------------------------------- */

#define PAGE 4096

static struct {
	struct kvm kvm;
	u8 low[2 * PAGE], next[PAGE], high[PAGE], rom[PAGE];
} paper;

#define HIGH (GiB(4))

/* [0, 2 pages) and one more page adjoining; a page at 4 GiB with a ROM behind it. */
static struct guest_mem *paper_mem(void)
{
	struct guest_mem *mem = &paper.kvm.mem;

	memset(&paper, 0, sizeof(paper));
	/* In any order: they are kept sorted. */
	assert_int_equal(mem_add_ram(&paper.kvm, HIGH, PAGE), 0);
	assert_int_equal(mem_add_ram(&paper.kvm, 2 * PAGE, PAGE), 0);
	assert_int_equal(mem_add_ram(&paper.kvm, 0, 2 * PAGE), 0);
	assert_int_equal(mem_add_ram(&paper.kvm, HIGH + PAGE, PAGE), 0);
	assert_int_equal(mem->nr_banks, 4);
	mem->bank[0].hva = paper.low;
	mem->bank[1].hva = paper.next;
	mem->bank[2].hva = paper.high;
	mem->bank[3].hva = paper.rom;
	mem->bank[3].readonly = mem->bank[3].foreign = true;
	return mem;
}

static void test_banks(void **state)
{
	static const struct {
		gpa_t gpa;
		u64 size;
	} bad[] = {
		{0, PAGE},				       /* taken */
		{PAGE, PAGE},				       /* within another */
		{HIGH - PAGE, 2 * PAGE},		       /* runs into the next */
		{HIGH + PAGE, 2 * PAGE},		       /* begins where one is */
		{0, HIGH * 2},				       /* around all */
		{GiB(1), 0},				       /* nothing */
		{GiB(1) + 1, PAGE},			       /* not on a page */
		{GiB(1), PAGE + 1},			       /* nor of pages */
		{UINT64_MAX - PAGE + 1, PAGE},		       /* its end is no address */
		{UINT64_MAX - PAGE + 1, 2 * PAGE},	       /* wraps */
		{HIGH + GiB(1), (u64)INT32_MAX * PAGE + PAGE}, /* more than KVM counts in a slot */
	};
	struct guest_mem *mem = paper_mem();

	for (u32 i = 0; i < 4; i++)
		assert_true(i == 0 || mem->bank[i - 1].gpa < mem->bank[i].gpa);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		capture_begin(STDERR_FILENO);
		assert_int_equal(mem_add_ram(&paper.kvm, bad[i].gpa, bad[i].size), -EINVAL);
		assert_one_line(capture_end(), "memory at 0x");
		assert_int_equal(mem->nr_banks, 4);
	}
	for (u32 i = 4; i < MEM_MAX_BANKS; i++)
		assert_int_equal(mem_add_ram(&paper.kvm, GiB(8) + i * PAGE, PAGE), 0);
	capture_begin(STDERR_FILENO);
	assert_int_equal(mem_add_ram(&paper.kvm, GiB(1), PAGE), -EINVAL);
	assert_one_line(capture_end(), "more than 8 banks");
}

static void test_read_write(void **state)
{
	struct guest_mem *mem = paper_mem();
	u8 buf[3 * PAGE], back[3 * PAGE];

	for (u32 i = 0; i < sizeof(buf); i++)
		buf[i] = (u8)(i * 7 + i / 256);
	/* All of the low memory at once, over the edge between its banks. */
	assert_int_equal(guest_write(mem, 0, buf, sizeof(buf)), 0);
	assert_memory_equal(paper.low, buf, 2 * PAGE);
	assert_memory_equal(paper.next, buf + 2 * PAGE, PAGE);
	assert_int_equal(guest_read(mem, 2 * PAGE - 3, back, 7), 0);
	assert_memory_equal(back, buf + 2 * PAGE - 3, 7);
	/* Its last byte, and one more. */
	assert_int_equal(guest_read(mem, 3 * PAGE - 1, back, 1), 0);
	assert_int_equal(guest_read(mem, 3 * PAGE - 1, back, 2), -EFAULT);
	assert_int_equal(guest_read(mem, 3 * PAGE, back, 1), -EFAULT);
	assert_int_equal(guest_write(mem, HIGH - 1, buf, 2), -EFAULT);
	assert_int_equal(guest_write(mem, HIGH, buf, PAGE), 0);
	/* What does not fit is not written in part. */
	memset(paper.next, 0, PAGE);
	assert_int_equal(guest_write(mem, 3 * PAGE - 4, buf, 8), -EFAULT);
	assert_int_equal(paper.next[PAGE - 4], 0);
	/* A ROM is no memory to devices. */
	assert_int_equal(guest_read(mem, HIGH + PAGE, back, 1), -EFAULT);
	assert_int_equal(guest_write(mem, HIGH + PAGE - 1, buf, 2), -EFAULT);
	/* Nothing at all is fine anywhere; addresses do not wrap to 0. */
	assert_int_equal(guest_read(mem, UINT64_MAX, back, 0), 0);
	assert_int_equal(guest_read(mem, UINT64_MAX, back, 2), -EFAULT);
	assert_int_equal(guest_read(mem, 0, back, SIZE_MAX), -EFAULT);
}

static void test_pointers(void **state)
{
	struct guest_mem *mem = paper_mem();
	struct iovec iov[4];

	assert_ptr_equal(guest_ptr(mem, 0, 2 * PAGE), paper.low);
	assert_ptr_equal(guest_ptr(mem, 2 * PAGE - 1, 1), paper.low + 2 * PAGE - 1);
	assert_null(guest_ptr(mem, 2 * PAGE - 1, 2)); /* in no one piece */
	assert_null(guest_ptr(mem, 0, 0));
	assert_null(guest_ptr(mem, GiB(3), 1));
	assert_null(guest_ptr(mem, HIGH + PAGE, 1));
	assert_null(guest_ptr(mem, PAGE, SIZE_MAX));
	assert_int_equal(guest_iov(mem, PAGE, 2 * PAGE, iov, 4), 2);
	assert_ptr_equal(iov[0].iov_base, paper.low + PAGE);
	assert_int_equal(iov[0].iov_len, PAGE);
	assert_ptr_equal(iov[1].iov_base, paper.next);
	assert_int_equal(iov[1].iov_len, PAGE);
	assert_int_equal(guest_iov(mem, PAGE, 2 * PAGE, iov, 1), -E2BIG);
	assert_int_equal(guest_iov(mem, PAGE, 3 * PAGE, iov, 4), -EFAULT);
	assert_int_equal(guest_iov(mem, PAGE, 0, iov, 0), 0);
	assert_int_equal(guest_ram_size(mem), 4 * PAGE);
}

static void test_fit_high(void **state)
{
	struct guest_mem *mem = paper_mem();

	assert_int_equal(guest_fit_high(mem, 1, 1, 0, UINT64_MAX), HIGH + PAGE - 1);
	assert_int_equal(guest_fit_high(mem, 1, PAGE, 0, UINT64_MAX), HIGH);
	assert_int_equal(guest_fit_high(mem, 16, 16, 0, HIGH), 3 * PAGE - 16);
	/* Not over the edge of a bank, though RAM goes on. */
	assert_int_equal(guest_fit_high(mem, PAGE + 1, 1, 0, HIGH), PAGE - 1);
	assert_int_equal(guest_fit_high(mem, PAGE, PAGE, PAGE, 2 * PAGE), PAGE);
	assert_int_equal(guest_fit_high(mem, PAGE, PAGE, PAGE + 1, 2 * PAGE), 0);
	assert_int_equal(guest_fit_high(mem, PAGE, PAGE, PAGE, 2 * PAGE - 1), 0);
	assert_int_equal(guest_fit_high(mem, 1, PAGE, PAGE + 1, 2 * PAGE), 0); /* but for the alignment */
	assert_int_equal(guest_fit_high(mem, 0, 1, 0, HIGH), 0);
	assert_int_equal(guest_fit_high(mem, UINT64_MAX, 1, 0, UINT64_MAX), 0);
	assert_int_equal(guest_fit_high(mem, 1, 1, HIGH, PAGE), 0); /* low above high */
}

/* ---- the step ---------------------------------------------------------------------------------------- */

static void test_shared(void **state)
{
	static const char *const shared[] = {"--shared-mem", NULL};
	char c = 'x';

	assert_int_equal(vm_up("/proc/self/exe", MiB(4), "memory", shared), 0);
	assert_true(vm.kvm.mem.fd >= 0);
	assert_int_equal(guest_write(&vm.kvm.mem, 0x1234, "y", 1), 0);
	assert_int_equal(pread(vm.kvm.mem.fd, &c, 1, 0x1234), 1);
	assert_int_equal(c, 'y');
}

static void assert_refused(u64 mem, const char *const *more, int err, const char *says)
{
	int ret;

	capture_begin(STDERR_FILENO);
	ret = vm_up("/proc/self/exe", mem, "memory", more);
	assert_one_line(capture_end(), says);
	assert_int_equal(ret, err);
	vm_down();
}

static void test_failures(void **state)
{
	static const char *const no_hugetlbfs[] = {"--hugetlbfs", "/proc", NULL};
	static const char *const nowhere[] = {"--hugetlbfs", "/nonexistent", NULL};

	assert_refused(MiB(4), no_hugetlbfs, -EINVAL, "not a hugetlbfs mount point");
	assert_refused(MiB(4), nowhere, -ENOENT, "/nonexistent");
	fake_kvm_fail(KVM_SET_USER_MEMORY_REGION, 1, EINVAL);
	assert_refused(MiB(4), NULL, -EINVAL, "KVM_SET_USER_MEMORY_REGION");
	host.refuse_above = MiB(512);
	assert_refused(GiB(1), NULL, -ENOMEM, "cannot map 1024 MiB");
}

#if __SIZEOF_POINTER__ == 4
/* More than pointers reach: no part of a size is lost on the way to mmap(). */
static void test_address_space(void **state)
{
	static const u64 sizes[] = {GiB(4), GiB(4) + MiB(64), GiB(6), GiB(1024)};

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_refused(sizes[i], NULL, -ENOMEM, "more than a 32-bit lkvm can map");
	/* What would fit but for the alignment is the host's to refuse. */
	assert_refused(GiB(4) - PAGE, NULL, -ENOMEM, "cannot map 4095 MiB");
}
#endif

static void test_hugetlbfs_name(void **state)
{
	char dir[512], *p = dir;
	const char *const more[] = {"--hugetlbfs", dir, NULL};

	for (u32 i = 0; i < 126; i++)
		p += sprintf(p, "/.");
	host.hugetlbfs = true;
	assert_refused(MiB(4), more, -ENAMETOOLONG, "too long");
	host.hugetlbfs = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_banks),
		cmocka_unit_test(test_read_write),
		cmocka_unit_test(test_pointers),
		cmocka_unit_test(test_fit_high),
		cmocka_unit_test_setup_teardown(test_shared, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, vm_teardown),
#if __SIZEOF_POINTER__ == 4
		cmocka_unit_test_setup_teardown(test_address_space, setup, vm_teardown),
#endif
		cmocka_unit_test_setup_teardown(test_hugetlbfs_name, setup, vm_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

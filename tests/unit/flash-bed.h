/* SPDX-License-Identifier: MIT */
/*
 * A VM on the fake KVM with nothing but a flash (hw/cfi-flash.c) in a file without a name, and the guest's
 * accesses. The program that includes this has "pwrite64" and board.h's calls in its WRAP line.
 */
#ifndef FLASH_BED_H
#define FLASH_BED_H

#include "board.h"

#include "capture.h"
#include "fake-kvm.h"
#include <lkvm/kvm-device.h>
#include <stdio.h>
#include <sys/file.h>

#define BASE   0x2000000ull
#define BLOCK  KiB(256)
#define BUFFER KiB(2)

static const struct board_device table[] = {
	{.ops = &cfi_flash_ops, .bus = BUS_MMIO, .base = BASE, .line = IRQ_NONE},
	{.ops = NULL},
};

static struct {
	int fd; /* the file */
	char path[64];
	struct device_request request;
	bool made;
	int pwrite_errno; /* what the disk says; 0: it is fine */
	u32 pwrite_short; /* so many bytes at a time; 0: all */
} bed;

ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t at)
{
	if (bed.pwrite_errno) {
		errno = bed.pwrite_errno;
		return -1;
	}
	if (bed.pwrite_short)
		len = min_u64(len, bed.pwrite_short);
	return __real_pwrite64(fd, data, len, at);
}

__unused static u64 slots(void)
{
	return fake_kvm_vm(0)->nr_slots;
}

static void file_new(u64 size)
{
	bed.fd = memfd_create("flash", MFD_CLOEXEC);
	assert_true(bed.fd >= 0);
	assert_int_equal(ftruncate(bed.fd, (off_t)size), 0);
	snprintf(bed.path, sizeof(bed.path), "/proc/self/fd/%d", bed.fd);
}

__unused static u32 file_word(u64 at)
{
	u32 v = 0;

	assert_int_equal(pread(bed.fd, &v, 4, (off_t)at), 4);
	return v;
}

__unused static void file_put(u64 at, u32 v)
{
	assert_int_equal(__real_pwrite64(bed.fd, &v, 4, (off_t)at), 4);
}

/* devices_create() of a VM with --flash ARG; the fake KVM as it was set up. */
static int create(const char *arg)
{
	char text[128];

	board_init(table);
	snprintf(text, sizeof(text), "%s", arg);
	bed.request = (struct device_request){.ops = &cfi_flash_ops};
	assert_int_equal(cfi_flash_ops.parse(text, &bed.request.params), 0);
	board.cfg.request = &bed.request;
	board.cfg.nr_requests = 1;
	board.kvm.sys_fd = kvm_open("/dev/kvm");
	board.kvm.vm_fd = kvm_ioctl_val(board.kvm.sys_fd, KVM_CREATE_VM, 0);
	assert_true(board.kvm.vm_fd >= 0);
	bed.made = true;
	return devices_create(&board.kvm);
}

static void down(void)
{
	if (!bed.made)
		return;
	board_down();
	free(bed.request.params);
	close(board.kvm.vm_fd);
	close(board.kvm.sys_fd);
	bed.made = false;
}

static int setup(void **state)
{
	fake_kvm_reset();
	memset(&bed, 0, sizeof(bed));
	bed.fd = -1;
	return 0;
}

static int teardown(void **state)
{
	down();
	if (bed.fd >= 0)
		close(bed.fd);
	return (int)fake_kvm_open_fds(NULL);
}

/* A VM with a flash of that size. */
static void up(u64 size, const char *suffix)
{
	char arg[80];

	file_new(size);
	snprintf(arg, sizeof(arg), "%s%s", bed.path, suffix);
	assert_int_equal(create(arg), 0);
}

/* ---- the guest's side --------------------------------------------------------------------------------- */

static u32 rd(u64 at)
{
	return (u32)board_read(BUS_MMIO, BASE + at, 4);
}

static void wr(u64 at, u32 v)
{
	board_write(BUS_MMIO, BASE + at, v, 4);
}

/* A command to both chips. */
static void cmd(u64 at, u32 v)
{
	wr(at, v << 16 | v);
}

__unused static u32 status(void)
{
	u32 v;

	cmd(0, 0x70);
	v = rd(0);
	assert_int_equal(v >> 16, v & 0xffff);
	return v & 0xffff;
}

__unused static u32 query(u32 word)
{
	u32 v = rd(word * 4);

	assert_int_equal(v >> 16, v & 0xffff);
	return v & 0xffff;
}

/* Programs one word as do_write_oneword() does; the status. */
__unused static u32 program(u64 at, u32 v)
{
	u32 s;

	cmd(at, 0x40);
	wr(at, v);
	s = rd(at) & 0xffff;
	cmd(at, 0x50);
	cmd(at, 0x70);
	return s;
}

/* do_erase_oneblock() */
__unused static u32 erase(u64 at)
{
	u32 s;

	cmd(at, 0x50);
	cmd(at, 0x20);
	cmd(at, 0xd0);
	assert_int_equal(rd(at) & 0x800080, 0x800080);
	cmd(at, 0x70);
	s = rd(at) & 0xffff;
	cmd(at, 0x50);
	return s;
}

/* do_write_buffer() and NorFlashWriteBuffer(): n words that count up from v, to be confirmed. */
__unused static void buffer(u64 at, u32 n, u32 v)
{
	cmd(at, 0xe8);
	assert_int_equal(rd(at), 0x800080);
	cmd(at, n - 1);
	for (u32 i = 0; i < n; i++)
		wr(at + 4 * i, v + i);
}

__unused static u32 lock_status(u64 block)
{
	u32 v;

	cmd(block, 0x90);
	v = rd(block + 8);
	assert_int_equal(v >> 16, v & 0xffff);
	return v & 0xffff;
}

__unused static void lock(u64 block, u8 how)
{
	cmd(block, 0x60);
	cmd(block, how);
	assert_int_equal(rd(block), 0x800080);
}

#endif

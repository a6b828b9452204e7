/* SPDX-License-Identifier: MIT */
/*
 * The seam between lkvm and the kernel's KVM: three system calls and nothing else. Everything that lkvm asks
 * of KVM passes here, so that a unit test links a fake KVM (tests/unit/fake-kvm.c) in this file's place and
 * runs on any host. Any thread; no lock; no state.
 */
#include <lkvm/kvm-device.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

int kvm_ioctl(int fd, unsigned long req, void *arg)
{
	int ret = ioctl(fd, req, arg);

	return ret < 0 ? -errno : ret;
}

int kvm_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void *kvm_mmap(int fd, size_t len, u64 offset)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	return p == MAP_FAILED ? NULL : p;
}

/* SPDX-License-Identifier: MIT */
/*
 * A VM of the fake KVM made by plain ioctls, without any of lkvm's own code: for the tests of the fake
 * itself. One at a time, on the test's main thread.
 */
#ifndef LKVM_TEST_RAW_VM_H
#define LKVM_TEST_RAW_VM_H

#include "fake-arm.h"
#include <errno.h>
#include <lkvm/kvm-device.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define RAW_MAX_CPUS 16u

static struct {
	int sys, vm, cpu[RAW_MAX_CPUS], gic, its;
	u32 cpus;
} raw;

static inline int raw_vm(unsigned long type)
{
	raw.vm = kvm_ioctl_val(raw.sys, KVM_CREATE_VM, type);
	return raw.vm;
}

static inline int raw_setup(void **state)
{
	fake_kvm_reset();
	raw.sys = kvm_open("/dev/kvm");
	raw.gic = raw.its = -1;
	raw.cpus = 0;
	return raw.sys < 0 || raw_vm(0) < 0;
}

static inline int raw_teardown(void **state)
{
	for (u32 i = 0; i < raw.cpus; i++)
		close(raw.cpu[i]);
	if (raw.its >= 0)
		close(raw.its);
	if (raw.gic >= 0)
		close(raw.gic);
	close(raw.vm);
	close(raw.sys);
	fake_kvm_reset();
	return 0;
}

static inline struct fake_vm *raw_fake(void)
{
	return fake_kvm_vm(0);
}

/* KVM_CREATE_VCPU and KVM_ARM_VCPU_INIT, n times. */
static inline int raw_init(u32 cpu, u32 features)
{
	struct kvm_vcpu_init init = {.target = KVM_ARM_TARGET_GENERIC_V8, .features = {features}};

	return kvm_ioctl(raw.cpu[cpu], KVM_ARM_VCPU_INIT, &init);
}

static inline int raw_cpu(void)
{
	int fd = kvm_ioctl_val(raw.vm, KVM_CREATE_VCPU, raw.cpus);

	if (fd < 0)
		return fd;
	raw.cpu[raw.cpus++] = fd;
	return 0;
}

static inline void raw_cpus(u32 n)
{
	for (u32 i = 0; i < n; i++) {
		assert_int_equal(raw_cpu(), 0);
		assert_int_equal(raw_init(raw.cpus - 1, 1u << KVM_ARM_VCPU_PSCI_0_2), 0);
	}
}

static inline int raw_device(u32 type, int *fd)
{
	struct kvm_create_device cd = {.type = type};
	int err = kvm_ioctl(raw.vm, KVM_CREATE_DEVICE, &cd);

	if (!err)
		*fd = (int)cd.fd;
	return err;
}

static inline int raw_attr(unsigned long req, int fd, u32 group, u64 attr, void *val)
{
	struct kvm_device_attr da = {.group = group, .attr = attr, .addr = (uintptr_t)val};

	return kvm_ioctl(fd, req, &da);
}

static inline int raw_has(int fd, u32 group, u64 attr)
{
	return raw_attr(KVM_HAS_DEVICE_ATTR, fd, group, attr, NULL);
}

static inline int raw_set(int fd, u32 group, u64 attr, u64 val)
{
	return raw_attr(KVM_SET_DEVICE_ATTR, fd, group, attr, &val);
}

static inline int raw_get(int fd, u32 group, u64 attr, u64 *val)
{
	*val = 0;
	return raw_attr(KVM_GET_DEVICE_ATTR, fd, group, attr, val);
}

/* What a get of it gives; the test fails when it cannot be read. */
static inline u64 raw_val(int fd, u32 group, u64 attr)
{
	u64 val;

	assert_int_equal(raw_get(fd, group, attr, &val), 0);
	return val;
}

/* A KVM_RUN that does nothing but begin. */
static inline int raw_run(u32 cpu)
{
	static const struct fake_exit end = {.kind = FAKE_EXIT, .value = KVM_EXIT_UNKNOWN};

	fake_kvm_script(cpu, &end, 1);
	return kvm_ioctl(raw.cpu[cpu], KVM_RUN, NULL);
}

#define assert_err(call, err) assert_int_equal(call, -(err))

#endif

/* SPDX-License-Identifier: MIT */
/* WRAP: close */
/*
 * kvm-device.c against the fake KVM: making, probing and closing in-kernel devices, attributes on every kind
 * of fd, tables, and what a failure is called. A small device type of the test's own has the errors that VFIO
 * lacks.
 */
#include "fake-kvm.h"

#include <lkvm/kvm-device.h>
#include <lkvm/kvm.h>
#include <x86/x86.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a device type with rules ------------------------------------------------------------------- */

/* Group 1: attribute 0 a u32, 1 a u64 that is set once, 2 a command, 3 EPERM to all; group 2: EINVAL to has.
 */
struct toy {
	u32 a;
	u64 b;
	u32 commands;
};

static int toy_create(struct fake_device *dev)
{
	for (struct fake_device *d = dev->obj.vm->devices; d; d = d->next)
		if (d->type == dev->type)
			return -EEXIST;
	dev->priv = calloc(1, sizeof(struct toy));
	return 0;
}

static void toy_destroy(struct fake_device *dev)
{
	free(dev->priv);
}

static int toy_has(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	if (attr->group == 2)
		return -EINVAL;
	return attr->group == 1 && attr->attr <= 3 ? 0 : -ENXIO;
}

static int toy_set(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	struct toy *toy = dev->priv;

	if (attr->group != 1)
		return -ENXIO;
	switch (attr->attr) {
	case 0:
		return fake_copy_from(&toy->a, attr->addr, sizeof(toy->a));
	case 1:
		if (toy->b)
			return -EEXIST;
		return fake_copy_from(&toy->b, attr->addr, sizeof(toy->b));
	case 2:
		if (!toy->b)
			return -EBUSY;
		toy->commands++;
		return 0;
	case 3:
		return -EPERM;
	default:
		return -ENXIO;
	}
}

static int toy_get(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	struct toy *toy = dev->priv;

	if (attr->group != 1 || attr->attr > 1)
		return -ENXIO;
	return attr->attr ? fake_copy_to(attr->addr, &toy->b, sizeof(toy->b))
			  : fake_copy_to(attr->addr, &toy->a, sizeof(toy->a));
}

static const struct fake_device_type toy_type = {
	.type = 30,
	.name = "toy",
	.create = toy_create,
	.destroy = toy_destroy,
	.has = toy_has,
	.set = toy_set,
	.get = toy_get,
};

static const struct fake_device_type mute_type = {.type = 29, .name = "mute"};

static struct toy *toy_of(struct fake_vm *vm)
{
	for (struct fake_device *d = vm->devices; d; d = d->next)
		if (d->type == &toy_type)
			return d->priv;
	return NULL;
}

/* ---- a VM to try it on ----------------------------------------------------------------------------- */

struct bed {
	struct kvm kvm;
	u32 fds; /* open before */
	int null;
};

static int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	fake_kvm_reset();
	bed->fds = fake_count_fds();
	fake_kvm_add_type(&toy_type);
	fake_kvm_add_type(&mute_type);
	bed->kvm.sys_fd = kvm_open("/dev/kvm");
	bed->kvm.vm_fd = kvm_ioctl(bed->kvm.sys_fd, KVM_CREATE_VM, NULL);
	bed->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	*state = bed;
	return bed->kvm.vm_fd < 0;
}

static int teardown(void **state)
{
	struct bed *bed = *state;
	struct buf left = {0};
	u32 open_fds;

	kvm_devices_close(&bed->kvm);
	close(bed->kvm.vm_fd);
	close(bed->kvm.sys_fd);
	close(bed->null);
	open_fds = fake_kvm_open_fds(&left);
	if (open_fds)
		print_error("left open: %s\n", (const char *)left.data);
	buf_free(&left);
	fake_kvm_reset();
	open_fds += fake_count_fds() != bed->fds;
	free(bed);
	return open_fds != 0;
}

/* What goes to stderr while fn runs, as a string. */
static char *stderr_of(int (*fn)(struct bed *), struct bed *bed, int *ret)
{
	static char text[4096];
	FILE *tmp = tmpfile();
	int old = dup(STDERR_FILENO);
	size_t n;

	dup2(fileno(tmp), STDERR_FILENO);
	*ret = fn(bed);
	dup2(old, STDERR_FILENO);
	close(old);
	rewind(tmp);
	n = fread(text, 1, sizeof(text) - 1, tmp);
	text[n] = '\0';
	fclose(tmp);
	return text;
}

/* ---- devices ---------------------------------------------------------------------------------------- */

static void test_probe(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(kvm_device_probe(&bed->kvm, KVM_DEV_TYPE_VFIO), 0);
	assert_int_equal(kvm_device_probe(&bed->kvm, KVM_DEV_TYPE_ARM_VGIC_V3), -ENODEV);
	assert_int_equal(kvm_device_probe(&bed->kvm, ~0u), -ENODEV);
	assert_null(fake_kvm_vm(0)->devices);
	fake_kvm_fail(KVM_CREATE_DEVICE, 1, EIO);
	assert_int_equal(kvm_device_probe(&bed->kvm, KVM_DEV_TYPE_VFIO), -EIO);
}

static int create_toy(struct bed *bed)
{
	return kvm_device_create(&bed->kvm, toy_type.type);
}

static int create_vfio(struct bed *bed)
{
	return kvm_device_create(&bed->kvm, KVM_DEV_TYPE_VFIO);
}

static int create_its(struct bed *bed)
{
	return kvm_device_create(&bed->kvm, KVM_DEV_TYPE_ARM_VGIC_ITS);
}

static void test_create_keeps_fds(void **state)
{
	struct bed *bed = *state;
	int toy = create_toy(bed), vfio = create_vfio(bed);

	assert_true(toy >= 0 && vfio >= 0 && toy != vfio);
	assert_int_equal(bed->kvm.nr_device_fds, 2);
	assert_int_equal(bed->kvm.device_fd[0], toy);
	assert_int_equal(bed->kvm.device_fd[1], vfio);
	assert_int_equal(fake_kvm_open_fds(NULL), 4);
	kvm_devices_close(&bed->kvm);
	assert_int_equal(bed->kvm.nr_device_fds, 0);
	assert_int_equal(fake_kvm_open_fds(NULL), 2);
	kvm_devices_close(&bed->kvm); /* nothing is closed twice */
}

static int closed[16];
static u32 nr_closed;
static bool watch_close;
int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
	if (watch_close && nr_closed < ARRAY_SIZE(closed))
		closed[nr_closed++] = fd;
	return __real_close(fd);
}

static void test_close_in_reverse(void **state)
{
	struct bed *bed = *state;
	int toy = create_toy(bed), vfio = create_vfio(bed);

	nr_closed = 0;
	watch_close = true;
	kvm_devices_close(&bed->kvm);
	watch_close = false;
	assert_int_equal(nr_closed, 2);
	assert_int_equal(closed[0], vfio);
	assert_int_equal(closed[1], toy);
}

static void test_create_errors(void **state)
{
	struct bed *bed = *state;
	int ret;
	char *text = stderr_of(create_its, bed, &ret);

	assert_int_equal(ret, -ENODEV);
	assert_non_null(strstr(text, "arm-vgic-its: create: ENODEV: the kernel knows no such device type"));
	assert_non_null(strstr(text, "type 8"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); /* one line */
	assert_true(create_toy(bed) >= 0);
	text = stderr_of(create_toy, bed, &ret);
	assert_int_equal(ret, -EEXIST);
	assert_non_null(strstr(text, "unknown: create: EEXIST: the VM has one already"));
	assert_int_equal(bed->kvm.nr_device_fds, 1);
}

static void test_create_full(void **state)
{
	struct bed *bed = *state;
	u32 room = ARRAY_SIZE(bed->kvm.device_fd);
	u32 calls;
	int ret;

	for (u32 i = 0; i < room; i++)
		assert_true(kvm_device_create(&bed->kvm, mute_type.type) >= 0);
	calls = fake_kvm_nr_calls();
	stderr_of(create_toy, bed, &ret);
	assert_int_equal(ret, -ENOSPC);
	assert_int_equal(fake_kvm_nr_calls(),
			 calls); /* the kernel was not asked: there is nowhere to keep it */
}

/* ---- single attributes ---------------------------------------------------------------------------- */

static void test_attr_on_device(void **state)
{
	struct bed *bed = *state;
	int fd = create_toy(bed), mute = kvm_device_create(&bed->kvm, mute_type.type);
	u32 v32 = 0x12345678, got32 = 0;
	u64 v64 = 1ull << 40, got64 = 0;

	assert_true(kvm_attr_has(fd, 1, 0));
	assert_false(kvm_attr_has(fd, 1, 4));
	assert_false(kvm_attr_has(fd, 3, 0));
	assert_false(kvm_attr_has(mute, 1, 0));
	assert_int_equal(kvm_attr_set(fd, 1, 0, &v32), 0);
	assert_int_equal(kvm_attr_get(fd, 1, 0, &got32), 0);
	assert_int_equal(got32, v32);
	assert_int_equal(kvm_attr_set(fd, 1, 1, &v64), 0);
	assert_int_equal(kvm_attr_get(fd, 1, 1, &got64), 0);
	assert_true(got64 == v64);
	assert_int_equal(kvm_attr_set(fd, 1, 1, &v64), -EEXIST);
	assert_int_equal(kvm_attr_set(fd, 7, 0, &v32), -ENXIO);
	assert_int_equal(kvm_attr_get(fd, 1, 9, &v32), -ENXIO);
	assert_int_equal(kvm_attr_set(fd, 1, 0, NULL), -EFAULT);
	assert_int_equal(kvm_attr_set(fd, 1, 0, (void *)8), -EFAULT);
	assert_int_equal(kvm_attr_set(mute, 1, 0, &v32), -EPERM);
	assert_int_equal(kvm_attr_get(mute, 1, 0, &v32), -EPERM);
	fake_kvm_vm(0)->dead = true;
	assert_int_equal(kvm_attr_get(fd, 1, 0, &v32), -EIO);
	assert_false(kvm_attr_has(fd, 1, 0));
}

static void test_attr_on_other_fds(void **state)
{
	struct bed *bed = *state;
	int vcpu = kvm_ioctl(bed->kvm.vm_fd, KVM_CREATE_VCPU, NULL);
	u64 v = 0;

	assert_true(vcpu >= 0);
	assert_true(kvm_attr_has(bed->kvm.sys_fd, 0, 0));
	assert_int_equal(kvm_attr_get(bed->kvm.sys_fd, 0, 0, &v), 0);
	assert_true(v == 7);
	assert_int_equal(kvm_attr_set(bed->kvm.sys_fd, 0, 0, &v), -EINVAL);
	v = (u64)-1000;
	assert_int_equal(kvm_attr_set(vcpu, 0, 0, &v), 0);
	v = 0;
	assert_int_equal(kvm_attr_get(vcpu, 0, 0, &v), 0);
	assert_true(v == (u64)-1000);
	assert_int_equal(kvm_attr_get(vcpu, 1, 0, &v), -ENXIO);
	/* A VM takes none on x86. */
	assert_int_equal(kvm_attr_get(bed->kvm.vm_fd, 0, 0, &v), -ENOTTY);
	close(vcpu);
}

static int vfio_add(int dev, int fd)
{
	s32 v = fd;

	return kvm_attr_set(dev, 1, 1, &v);
}

static void test_vfio_rules(void **state)
{
	struct bed *bed = *state;
	int dev = create_vfio(bed), ret;
	s32 fd = bed->null;

	assert_int_equal(vfio_add(dev, -1), -EBADF);
	assert_int_equal(vfio_add(dev, fd), -EINVAL);
	fake_kvm_vfio_file(fd);
	assert_int_equal(vfio_add(dev, fd), 0);
	assert_int_equal(vfio_add(dev, fd), -EEXIST);
	assert_int_equal(kvm_attr_set(dev, 1, 2, &fd), 0);
	assert_int_equal(kvm_attr_set(dev, 1, 2, &fd), -ENOENT);
	assert_int_equal(kvm_attr_set(dev, 1, 3, &fd), -ENXIO);
	assert_int_equal(kvm_attr_get(dev, 1, 1, &fd), -EPERM);
	stderr_of(create_vfio, bed, &ret);
	assert_int_equal(ret, -EBUSY);
}

/* ---- tables ------------------------------------------------------------------------------------------- */

#define TOY(n, what, v, bytes, more)                                                                         \
	{                                                                                                    \
		.group = 1, .attr = n, .name = what, .group_name = "GRP_TOY", .val = v, .size = bytes,       \
		.flags = KVM_ATTR_W | KVM_ATTR_APPLY | (more)                                                \
	}

static int apply_good(struct bed *bed)
{
	static const struct kvm_attr table[] = {
		TOY(9, "NEWER", 1, 4, KVM_ATTR_OPTIONAL),
		TOY(0, "A", 0xffffffff, 4, 0),
		{.group = 1, .attr = 3, .name = "LISTED", .size = 4, .flags = KVM_ATTR_W},
		TOY(1, "B", 1ull << 33, 8, KVM_ATTR_OPTIONAL),
		TOY(2, "GO", 0, 0, KVM_ATTR_COMMAND),
	};

	return kvm_attr_apply("toy", bed->kvm.device_fd[0], table, ARRAY_SIZE(table));
}

static void test_apply(void **state)
{
	struct bed *bed = *state;
	struct toy *toy;
	u32 calls, n;
	int ret;

	assert_true(create_toy(bed) >= 0);
	toy = toy_of(fake_kvm_vm(0));
	calls = fake_kvm_nr_calls();
	assert_string_equal(stderr_of(apply_good, bed, &ret), "");
	assert_int_equal(ret, 0);
	assert_int_equal(toy->a, 0xffffffff);
	assert_true(toy->b == 1ull << 33);
	assert_int_equal(toy->commands, 1);
	/* In order, asking after an optional one only where it could not be set; what has no APPLY is left
	 * alone.
	 */
	n = fake_kvm_nr_calls() - calls;
	assert_int_equal(n, 5);
	for (u32 i = 0; i < n; i++)
		assert_string_equal(fake_kvm_call(calls + i).name,
				    i == 1 ? "KVM_HAS_DEVICE_ATTR" : "KVM_SET_DEVICE_ATTR");
}

static int apply_busy(struct bed *bed)
{
	static const struct kvm_attr table[] = {
		TOY(2, "GO", 0, 0, KVM_ATTR_COMMAND),
		TOY(0, "A", 1, 4, 0),
	};

	return kvm_attr_apply("toy0", bed->kvm.device_fd[0], table, ARRAY_SIZE(table));
}

static int apply_absent(struct bed *bed)
{
	static const struct kvm_attr table[] = {TOY(9, "NEWER", 0x55, 8, 0)};

	return kvm_attr_apply("toy0", bed->kvm.device_fd[0], table, ARRAY_SIZE(table));
}

static int apply_odd_has(struct bed *bed)
{
	static const struct kvm_attr table[] = {
		{.group = 2,
		 .attr = 0,
		 .name = "ODD",
		 .size = 4,
		 .flags = KVM_ATTR_APPLY | KVM_ATTR_OPTIONAL},
	};

	return kvm_attr_apply("toy0", bed->kvm.device_fd[0], table, ARRAY_SIZE(table));
}

static int apply_too_wide(struct bed *bed)
{
	static const struct kvm_attr table[] = {TOY(0, "A", 1ull << 32, 4, 0)};

	return kvm_attr_apply("toy0", bed->kvm.device_fd[0], table, ARRAY_SIZE(table));
}

static int apply_on_vm(struct bed *bed)
{
	static const struct kvm_attr table[] = {TOY(0, "A", 1, 4, KVM_ATTR_OPTIONAL)};

	return kvm_attr_apply("vm", bed->kvm.vm_fd, table, ARRAY_SIZE(table));
}

static void test_apply_errors(void **state)
{
	struct bed *bed = *state;
	char *text;
	int ret;

	assert_true(create_toy(bed) >= 0);
	text = stderr_of(apply_busy, bed, &ret);
	assert_int_equal(ret, -EBUSY);
	assert_non_null(strstr(text, "toy0: set GRP_TOY/GO: EBUSY: not in this state"));
	assert_int_equal(toy_of(fake_kvm_vm(0))->a, 0); /* it stopped there */
	text = stderr_of(apply_absent, bed, &ret);
	assert_int_equal(ret, -ENXIO);
	assert_non_null(strstr(text, "toy0: set GRP_TOY/NEWER = 0x55: ENXIO: "));
	/* Optional excuses absence, nothing else. */
	text = stderr_of(apply_odd_has, bed, &ret);
	assert_int_equal(ret, -EINVAL);
	assert_non_null(strstr(text, "toy0: has group 2/ODD: EINVAL: "));
	stderr_of(apply_too_wide, bed, &ret);
	assert_int_equal(ret, -EINVAL);
	assert_int_equal(toy_of(fake_kvm_vm(0))->a, 0);
	/* A fd that takes no attributes has no optional one either. */
	assert_string_equal(stderr_of(apply_on_vm, bed, &ret), "");
	assert_int_equal(ret, 0);
}

/* Every call of a table fails once: the error comes out, and the table ends there. */
static void test_apply_each_failure(void **state)
{
	struct bed *bed = *state;
	u32 calls;
	int ret;

	assert_true(create_toy(bed) >= 0);
	/* The first is to set what is not there: it fails anyhow. */
	for (u32 n = 2; n <= 5; n++) {
		calls = fake_kvm_nr_calls();
		toy_of(fake_kvm_vm(0))->b = 0;
		fake_kvm_fail_nth(n, EFAULT);
		stderr_of(apply_good, bed, &ret);
		assert_int_equal(ret, -EFAULT);
		/* The fourth sets an optional one, which is there as the fifth says. */
		assert_int_equal(fake_kvm_nr_calls() - calls, n == 4 ? 5 : n);
	}
}

/* ---- words -----------------------------------------------------------------------------------------------
 */

static void test_explain(void **state)
{
	static const int documented[] = {ENODEV, EEXIST, ENXIO,	 EPERM, EBUSY,	EFAULT,
					 EINVAL, E2BIG,	 ENOENT, EIO,	EACCES, ENOTTY};
	static const struct kvm_attr dist = {
		.group = 0, .attr = 2, .name = "DIST", .group_name = "GRP_ADDR", .val = 0x8000000, .size = 8};
	struct buf out = {0};

	kvm_attr_explain(&out, "gicv3", "set", &dist, -EEXIST);
	assert_string_equal(
		(const char *)out.data,
		"gicv3: set GRP_ADDR/DIST = 0x8000000: EEXIST: it is placed or set already, and that is final");
	out.len = 0;
	kvm_attr_explain(&out, "gicv3", "get", &dist, EPERM); /* either sign */
	assert_string_equal((const char *)out.data,
			    "gicv3: get GRP_ADDR/DIST: EPERM: the device does not let this be read");
	buf_free(&out);
	for (size_t i = 0; i < ARRAY_SIZE(documented); i++) {
		assert_string_not_equal(kvm_attr_errstr(-documented[i]), kvm_attr_errstr(-ECHILD));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(kvm_attr_errstr(-documented[i]),
						kvm_attr_errstr(-documented[k]));
	}
	assert_string_equal(errno_name(-ENODEV), "ENODEV");
	assert_string_equal(errno_name(ENXIO), "ENXIO");
	assert_string_equal(errno_name(-99999), "unknown errno");
}

static void test_names(void **state)
{
	assert_string_equal(kvm_device_name(KVM_DEV_TYPE_ARM_VGIC_V3), "arm-vgic-v3");
	assert_string_equal(kvm_device_name(14), "loongarch-pch-pic");
	assert_string_equal(kvm_device_name(77), "unknown");
	for (size_t i = 1; i < kvm_nr_device_infos; i++)
		assert_true(kvm_device_infos[i - 1].type < kvm_device_infos[i].type);
}

/* The x86 tables against the fake, which has the kernel's numbers. */
static void test_x86_tables(void **state)
{
	struct bed *bed = *state;
	int vfio = create_vfio(bed);
	u64 seen = 0;

	for (size_t i = 0; i < x86_vfio_attrs.count; i++) {
		const struct kvm_attr *a = &x86_vfio_attrs.attrs[i];

		if (kvm_attr_has(vfio, a->group, a->attr))
			seen |= 1u << a->attr;
		else
			assert_true(a->flags & KVM_ATTR_OPTIONAL);
		assert_false(a->flags & KVM_ATTR_APPLY);
	}
	assert_int_equal(seen, 0x6);
	assert_true(kvm_attr_has(bed->kvm.sys_fd, x86_system_attrs.attrs[0].group,
				 x86_system_attrs.attrs[0].attr));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_probe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_keeps_fds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_in_reverse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attr_on_device, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attr_on_other_fds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vfio_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_apply, setup, teardown),
		cmocka_unit_test_setup_teardown(test_apply_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_apply_each_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_x86_tables, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

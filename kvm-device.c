/* SPDX-License-Identifier: MIT */
/*
 * The device control API: making in-kernel devices (KVM_CREATE_DEVICE) and asking for, reading and writing
 * their attributes (KVM_HAS/GET/SET_DEVICE_ATTR), on every kind of fd that takes them: a created device, a
 * vCPU, a VM and /dev/kvm itself. Interrupt controllers and machines call this and never the ioctls.
 *
 * Documentation/virt/kvm/api.rst, 4.79 KVM_CREATE_DEVICE, 4.80 KVM_SET/GET_DEVICE_ATTR, 4.81
 * KVM_HAS_DEVICE_ATTR; the attributes themselves are in virt/kvm/devices/.
 *
 * Attribute calls: any thread, the kernel locks. kvm_device_create() and kvm_devices_close() change the VM's
 * list of fds: main thread, before and after `run`.
 */
#include <lkvm/kvm-device.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <string.h>

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

int kvm_open_system(const char *path)
{
	int fd = kvm_open(path);

	if (fd == -ENOENT)
		log_error("%s: there is none; is the kvm module for this processor loaded?", path);
	else if (fd == -EACCES || fd == -EPERM)
		log_error("%s: no permission; add yourself to the group that owns it (usually kvm)", path);
	else if (fd < 0)
		log_error("%s: %s", path, strerror(-fd));
	return fd;
}

int kvm_device_probe(const struct kvm *kvm, u32 type)
{
	struct kvm_create_device cd = {.type = type, .flags = KVM_CREATE_DEVICE_TEST};
	int ret = kvm_ioctl(kvm->vm_fd, KVM_CREATE_DEVICE, &cd);

	return ret < 0 ? ret : 0;
}

int kvm_device_create(struct kvm *kvm, u32 type)
{
	struct kvm_create_device cd = {.type = type, .fd = (u32)-1};
	struct buf why = {0};
	int ret;

	if (kvm->nr_device_fds == ARRAY_SIZE(kvm->device_fd))
		ret = -ENOSPC;
	else
		ret = kvm_ioctl(kvm->vm_fd, KVM_CREATE_DEVICE, &cd);
	if (ret < 0) {
		kvm_attr_explain(&why, kvm_device_name(type), "create", NULL, ret);
		log_error("cannot make an in-kernel device of type %" PRIu32 ": %s", type,
			  why.data ? (const char *)why.data : errno_name(ret));
		buf_free(&why);
		return ret;
	}
	kvm->device_fd[kvm->nr_device_fds++] = (int)cd.fd;
	return (int)cd.fd;
}

void kvm_devices_close(struct kvm *kvm)
{
	while (kvm->nr_device_fds)
		close(kvm->device_fd[--kvm->nr_device_fds]);
}

static int attr_ioctl(int fd, unsigned long req, u32 group, u64 attr, const void *addr)
{
	struct kvm_device_attr da = {.group = group, .attr = attr, .addr = (uintptr_t)addr};
	int ret = kvm_ioctl(fd, req, &da);

	return ret < 0 ? ret : 0;
}

bool kvm_attr_has(int fd, u32 group, u64 attr)
{
	return attr_ioctl(fd, KVM_HAS_DEVICE_ATTR, group, attr, NULL) == 0;
}

int kvm_attr_set(int fd, u32 group, u64 attr, const void *val)
{
	return attr_ioctl(fd, KVM_SET_DEVICE_ATTR, group, attr, val);
}

int kvm_attr_get(int fd, u32 group, u64 attr, void *val)
{
	return attr_ioctl(fd, KVM_GET_DEVICE_ATTR, group, attr, val);
}

/*
 * Whether an optional entry is there: 1, 0, or -errno when the kernel has it but objects. ENOTTY is an fd
 * that takes no attributes at all on this kernel, which is the same absence seen one level up.
 */
static int attr_there(int fd, const struct kvm_attr *a)
{
	int err = attr_ioctl(fd, KVM_HAS_DEVICE_ATTR, a->group, a->attr, NULL);

	if (err == -ENXIO || err == -ENOTTY)
		return 0;
	return err < 0 ? err : 1;
}

static int attr_set_val(int fd, const struct kvm_attr *a)
{
	u32 v32 = (u32)a->val;
	u64 v64 = a->val;

	switch (a->size) {
	case 0:
		return kvm_attr_set(fd, a->group, a->attr, NULL);
	case 4:
		/* A value that the attribute cannot hold would be cut silently. */
		return v32 == a->val ? kvm_attr_set(fd, a->group, a->attr, &v32) : -EINVAL;
	case 8:
		return kvm_attr_set(fd, a->group, a->attr, &v64);
	default:
		/* A structure has no place in `val`: such an entry must not carry APPLY. */
		return -EINVAL;
	}
}

int kvm_attr_apply(const char *owner, int fd, const struct kvm_attr *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct kvm_attr *a = &table[i];
		const char *what = "set";
		struct buf why = {0};
		int ret, there;

		if (!(a->flags & KVM_ATTR_APPLY))
			continue;
		ret = attr_set_val(fd, a);
		if (ret == 0)
			continue;
		/* Asked only now: what is there, and it nearly always is, takes one call. */
		there = a->flags & KVM_ATTR_OPTIONAL ? attr_there(fd, a) : 1;
		if (!there)
			continue;
		if (there < 0) {
			what = "has";
			ret = there;
		}
		kvm_attr_explain(&why, owner, what, a, ret);
		log_error("%s", why.data ? (const char *)why.data : errno_name(ret));
		buf_free(&why);
		return ret;
	}
	return 0;
}

int kvm_attr_apply_val(const char *owner, int fd, const struct kvm_attr *attr, u64 val)
{
	struct kvm_attr now = *attr;

	now.val = val;
	now.flags |= KVM_ATTR_APPLY;
	return kvm_attr_apply(owner, fd, &now, 1);
}

/* The same errno means other things to different calls; what is common to all is kvm_attr_errstr()'s. */
static const char *attr_reason(const char *what, const struct kvm_attr *a, int err)
{
	bool create = what[0] == 'c', has = what[0] == 'h';

	switch (-err) {
	case ENODEV:
		if (create)
			return "the kernel knows no such device type";
		break;
	case EEXIST:
		return create ? "the VM has one already" : "it is placed or set already, and that is final";
	case EINVAL:
		if (create)
			return "the VM has another device that excludes it, or it does not take "
			       "such devices";
		break;
	case ENOSPC:
		if (create)
			return "the VM has as many devices as lkvm keeps track of";
		break;
	case ENOTTY:
		if (create)
			return "this kernel has no device control API (KVM_CAP_DEVICE_CTRL)";
		break;
	case ENXIO:
		if (!create && a && (a->flags & KVM_ATTR_PER_VCPU) && !has)
			return "this kernel has no such attribute, or there is no such vCPU";
		break;
	case EPERM:
		if (!create)
			return has		? "the device cannot be asked what it has"
			       : what[0] == 's' ? "the device does not let this be written"
						: "the device does not let this be read";
		break;
	default:
		break;
	}
	return kvm_attr_errstr(err);
}

void kvm_attr_explain(struct buf *out, const char *owner, const char *what, const struct kvm_attr *a, int err)
{
	if (err > 0)
		err = -err;
	buf_printf(out, "%s: %s", owner, what);
	if (a) {
		if (a->group_name)
			buf_printf(out, " %s/", a->group_name);
		else
			buf_printf(out, " group %" PRIu32 "/", a->group);
		if (a->name)
			buf_printf(out, "%s", a->name);
		else
			buf_printf(out, "attribute 0x%" PRIx64, a->attr);
		if (what[0] == 's' && (a->size == 4 || a->size == 8))
			buf_printf(out, " = 0x%" PRIx64, a->val);
	}
	buf_printf(out, ": %s: %s", errno_name(err), attr_reason(what, a, err));
}

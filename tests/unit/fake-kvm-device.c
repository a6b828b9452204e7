/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's device control API: KVM_CREATE_DEVICE with its table of types, the attribute ioctls of a
 * device fd, and the one type that every host has, VFIO. A further type (a GIC, an ITS, an MPIC ...) is one
 * more file that exports a struct fake_device_type, and an entry of its architecture's fake_arch_types[], or
 * a test that gives it to the host with fake_kvm_add_type().
 *
 * Rules from api.rst (4.79 to 4.81) and devices/vfio.rst. Called by fake-kvm.c with the fake's lock held.
 */
#include "fake-kvm-priv.h"

#include <errno.h>
#include <stdlib.h>

static struct {
	const struct fake_device_type *type[16];
	u32 n;
	ino_t vfio[16];
	u32 nr_vfio;
} host = {.type = {&fake_vfio}, .n = 1};

void fake_device_reset(void)
{
	host.type[0] = &fake_vfio;
	host.n = 1;
	host.nr_vfio = 0;
	for (u32 i = 0; fake_arch_types[i]; i++)
		host.type[host.n++] = fake_arch_types[i];
}

void fake_kvm_remove_type(u32 type)
{
	fake_lock();
	for (u32 i = 0; i < host.n;)
		if (host.type[i]->type == type)
			host.type[i] = host.type[--host.n];
		else
			i++;
	fake_unlock();
}

void fake_kvm_add_type(const struct fake_device_type *type)
{
	fake_kvm_remove_type(type->type);
	fake_lock();
	if (host.n == ARRAY_SIZE(host.type))
		abort();
	host.type[host.n++] = type;
	fake_unlock();
}

void fake_device_free(struct fake_device *dev)
{
	if (dev->type->destroy)
		dev->type->destroy(dev);
	free(dev);
}

int fake_device_create(struct fake_vm *vm, struct kvm_create_device *cd)
{
	const struct fake_device_type *type = NULL;
	struct fake_device *dev;
	int ret;

	for (u32 i = 0; i < host.n; i++)
		if (host.type[i]->type == cd->type)
			type = host.type[i];
	if (!type)
		return -ENODEV;
	if (cd->flags & KVM_CREATE_DEVICE_TEST)
		return 0;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		abort();
	dev->type = type;
	dev->obj.vm = vm;
	ret = type->create ? type->create(dev) : 0;
	if (ret < 0) {
		free(dev);
		return ret;
	}
	ret = fake_obj_open(&dev->obj, FAKE_DEVICE, cd->type, vm, 0);
	if (ret < 0) {
		fake_device_free(dev);
		return ret;
	}
	dev->next = vm->devices;
	vm->devices = dev;
	cd->fd = (u32)ret;
	return 0;
}

int fake_device_ioctl(struct fake_device *dev, unsigned long req, void *arg)
{
	int (*call)(struct fake_device *, const struct kvm_device_attr *);
	struct kvm_device_attr attr;

	switch (req) {
	case KVM_SET_DEVICE_ATTR:
		call = dev->type->set;
		break;
	case KVM_GET_DEVICE_ATTR:
		call = dev->type->get;
		break;
	case KVM_HAS_DEVICE_ATTR:
		call = dev->type->has;
		break;
	default:
		return -ENOTTY;
	}
	if (!call)
		return -EPERM;
	if (fake_copy_from(&attr, (uintptr_t)arg, sizeof(attr)))
		return -EFAULT;
	return call(dev, &attr);
}

/* ---- VFIO --------------------------------------------------------------------------------------------- */

/* The numbers have other names since Linux 6.6 (KVM_DEV_VFIO_FILE, FILE_ADD, FILE_DEL). */
#define VFIO_FILE     1
#define VFIO_FILE_ADD 1
#define VFIO_FILE_DEL 2

struct vfio {
	ino_t file[16];
	u32 n;
};

void fake_kvm_vfio_file(int fd)
{
	fake_lock();
	if (host.nr_vfio == ARRAY_SIZE(host.vfio) || !fake_fd_ino(fd, &host.vfio[host.nr_vfio]))
		abort();
	host.nr_vfio++;
	fake_unlock();
}

static int vfio_create(struct fake_device *dev)
{
	for (struct fake_device *d = dev->obj.vm->devices; d; d = d->next)
		if (d->type == &fake_vfio)
			return -EBUSY; /* one a VM */
	dev->priv = calloc(1, sizeof(struct vfio));
	return dev->priv ? 0 : -ENOMEM;
}

static void vfio_destroy(struct fake_device *dev)
{
	free(dev->priv);
}

static int vfio_has(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	if (attr->group != VFIO_FILE || (attr->attr != VFIO_FILE_ADD && attr->attr != VFIO_FILE_DEL))
		return -ENXIO; /* SET_SPAPR_TCE is there only on Power */
	return 0;
}

static int vfio_set(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	struct vfio *v = dev->priv;
	bool is_vfio = false;
	ino_t ino;
	s32 fd;
	u32 i;

	if (vfio_has(dev, attr))
		return -ENXIO;
	if (fake_copy_from(&fd, attr->addr, sizeof(fd)))
		return -EFAULT;
	if (!fake_fd_ino(fd, &ino))
		return -EBADF;
	for (i = 0; i < v->n && v->file[i] != ino; i++)
		;
	if (attr->attr == VFIO_FILE_DEL) {
		if (i == v->n)
			return -ENOENT;
		v->file[i] = v->file[--v->n];
		return 0;
	}
	for (u32 k = 0; k < host.nr_vfio; k++)
		is_vfio |= host.vfio[k] == ino;
	if (!is_vfio)
		return -EINVAL;
	if (i < v->n)
		return -EEXIST;
	if (v->n == ARRAY_SIZE(v->file))
		return -ENOMEM;
	v->file[v->n++] = ino;
	return 0;
}

const struct fake_device_type fake_vfio = {
	.type = KVM_DEV_TYPE_VFIO,
	.name = "vfio",
	.create = vfio_create,
	.destroy = vfio_destroy,
	.has = vfio_has,
	.set = vfio_set,
};

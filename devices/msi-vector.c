/* SPDX-License-Identifier: MIT */
/*
 * Vectors of MSI and MSI-X; msi-vector.h has the theory. Any thread.
 */
#include "msi-vector.h"
#include <errno.h>
#include <lkvm/device.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void vector_init(struct msi_vector *v)
{
	memset(v, 0, sizeof(*v));
	pthread_mutex_init(&v->lock, NULL);
	v->fd = v->gsi = -1;
}

static struct msi_msg vector_message(const struct pci_function *fn, const struct msi_vector *v)
{
	/* On bus 0 the requester's id is the function's number. */
	return (struct msi_msg){.address = v->address, .data = v->data, .devid = fn->devfn};
}

static bool vector_open(const struct msi_vector *v)
{
	return v->mode == MSI_ON && !v->masked;
}

static bool fd_waits(const struct msi_vector *v)
{
	struct pollfd p = {.fd = v->fd, .events = POLLIN};

	return v->fd >= 0 && !v->wired && poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

bool vector_waits(const struct msi_vector *v)
{
	return v->pending || fd_waits(v);
}

void vector_forget(struct msi_vector *v)
{
	eventfd_t events;

	v->pending = false;
	if (v->fd >= 0)
		(void)!eventfd_read(v->fd, &events);
}

static void vector_unwire(const struct pci_function *fn, struct msi_vector *v)
{
	if (v->wired)
		irq_fd_deassign(fn->dev->kvm, (u32)v->gsi, v->fd);
	v->wired = false;
}

/* Route and irqfd as the message is now: 0 or -errno. */
static int vector_wire(const struct pci_function *fn, struct msi_vector *v)
{
	struct kvm *kvm = fn->dev->kvm;
	const struct msi_msg msg = vector_message(fn, v);
	int err = v->gsi < 0 ? irq_msi_add(kvm, &msg) : irq_msi_update(kvm, (u32)v->gsi, &msg);

	if (err == -EXDEV) {
		vector_unwire(fn, v);
		irq_msi_remove(kvm, (u32)v->gsi);
		v->gsi = -1;
		err = irq_msi_add(kvm, &msg);
	}
	if (err < 0) {
		vector_unwire(fn, v);
		return err;
	}
	if (v->gsi < 0)
		v->gsi = err;
	if (v->wired)
		return 0;
	err = irq_fd_assign(kvm, (u32)v->gsi, v->fd, -1);
	v->wired = err >= 0;
	return err < 0 ? err : 0;
}

/* A guest's message may lead nowhere; it is told to those who debug. */
static void vector_failed(const struct pci_function *fn, const struct msi_vector *v, int err)
{
	log_debug(fn->dev->kvm->log, "%s: message 0x%llx, 0x%x: %s", fn->dev->name,
		  (unsigned long long)v->address, v->data, strerror(-err));
}

static void vector_send(const struct pci_function *fn, struct msi_vector *v)
{
	const struct msi_msg msg = vector_message(fn, v);
	int err = irq_msi_send(fn->dev->kvm, &msg);

	v->pending = false;
	if (err < 0)
		vector_failed(fn, v, err);
}

/* vector_fd()'s half of vector_update(): 0 or -errno. */
static int vector_follow(const struct pci_function *fn, struct msi_vector *v)
{
	if (v->fd < 0)
		return 0;
	if (vector_open(v))
		return vector_wire(fn, v);
	vector_unwire(fn, v);
	return 0;
}

void vector_update(const struct pci_function *fn, struct msi_vector *v)
{
	int err = vector_follow(fn, v);

	if (err)
		vector_failed(fn, v, err);
	if (v->mode == MSI_OFF)
		vector_forget(v);
	else if (v->pending && vector_open(v))
		vector_send(fn, v);
}

void vector_set_mode(const struct pci_function *fn, struct msi_vector *v, enum msi_mode mode)
{
	pthread_mutex_lock(&v->lock);
	if (v->mode != mode) {
		v->mode = mode;
		vector_update(fn, v);
	}
	pthread_mutex_unlock(&v->lock);
}

void vector_reset(const struct pci_function *fn, struct msi_vector *v, bool masked)
{
	pthread_mutex_lock(&v->lock);
	v->address = 0;
	v->data = 0;
	v->masked = masked;
	vector_unwire(fn, v);
	vector_forget(v);
	vector_update(fn, v);
	pthread_mutex_unlock(&v->lock);
}

void vector_signal(const struct pci_function *fn, struct msi_vector *v)
{
	pthread_mutex_lock(&v->lock);
	if (vector_open(v))
		vector_send(fn, v);
	else
		v->pending = v->mode != MSI_OFF;
	pthread_mutex_unlock(&v->lock);
}

int vector_fd(const struct pci_function *fn, struct msi_vector *v)
{
	int err = 0;

	pthread_mutex_lock(&v->lock);
	if (v->fd < 0) {
		v->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		err = v->fd < 0 ? -errno : vector_follow(fn, v);
		if (err && v->fd >= 0) {
			close(v->fd);
			v->fd = -1;
		}
	}
	if (!err)
		err = v->fd;
	pthread_mutex_unlock(&v->lock);
	return err;
}

void vector_destroy(const struct pci_function *fn, struct msi_vector *v)
{
	vector_unwire(fn, v);
	if (v->gsi >= 0)
		irq_msi_remove(fn->dev->kvm, (u32)v->gsi);
	if (v->fd >= 0)
		close(v->fd);
	pthread_mutex_destroy(&v->lock);
}

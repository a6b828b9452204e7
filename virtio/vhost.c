/* SPDX-License-Identifier: MIT */
/*
 * Virtqueues that the kernel serves; see vhost.h. The interface is that of <linux/vhost.h>, in the order that
 * it asks for: owner, features, memory, then for each ring its size, its position, its addresses, its
 * eventfds.
 *
 * The kernel signals a ring's interrupt by an eventfd. Where the transport has one that becomes the vector's
 * message on its own (MSI-X), it is that; else our own, which the main loop turns into an interrupt. A driver
 * chooses vectors before DRIVER_OK, when rings start; one that changes them later gets interrupts by the old
 * ones.
 */
#include "vhost.h"
#include "transport.h"
#include <errno.h>
#include <fcntl.h>
#include <lkvm/kvm.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int vhost_ioctl(const struct vhost *vhost, unsigned long req, void *arg)
{
	return ioctl(vhost->fd, req, arg) < 0 ? -errno : 0;
}

int vhost_open(struct vhost *vhost, struct virtio_device *vdev, const char *node)
{
	int err;

	vhost->vdev = vdev;
	vhost->fd = open(node, O_RDWR | O_CLOEXEC);
	if (vhost->fd < 0)
		return -errno;
	err = vhost_ioctl(vhost, VHOST_SET_OWNER, NULL);
	if (!err)
		err = vhost_ioctl(vhost, VHOST_GET_FEATURES, &vhost->features);
	if (err)
		vhost_close(vhost);
	return err;
}

void vhost_close(struct vhost *vhost)
{
	if (vhost->fd >= 0)
		close(vhost->fd);
	vhost->fd = -1;
}

static int set_memory(struct vhost *vhost)
{
	const struct guest_mem *mem = &vhost->vdev->dev.kvm->mem;
	union {
		struct vhost_memory table;
		u8 room[sizeof(struct vhost_memory) + MEM_MAX_BANKS * sizeof(struct vhost_memory_region)];
	} m = {.table = {0}};

	for (u32 i = 0; i < mem->nr_banks; i++) {
		const struct mem_bank *bank = &mem->bank[i];

		/* As guest_ptr() sees it: no flash, no page of ours. */
		if (bank->readonly || bank->foreign)
			continue;
		m.table.regions[m.table.nregions++] = (struct vhost_memory_region){
			.guest_phys_addr = bank->gpa,
			.memory_size = bank->size,
			.userspace_addr = (uintptr_t)bank->hva,
		};
	}
	return vhost_ioctl(vhost, VHOST_SET_MEM_TABLE, &m);
}

int vhost_set_up(struct vhost *vhost)
{
	u64 features = vhost->vdev->accepted & vhost->features;
	int err = vhost_ioctl(vhost, VHOST_SET_FEATURES, &features);

	return err ? err : set_memory(vhost);
}

/* ---- rings ----------------------------------------------------------------------------------------------
 */

/* Edge-triggered, as a queue's notifications are: the count is never read. */
static void on_call(struct event_source *src, u32 events)
{
	struct vhost_ring *ring = src->arg;

	virtio_interrupt(ring->vhost->vdev, ring->vq);
}

static void on_err(struct event_source *src, u32 events)
{
	struct vhost_ring *ring = src->arg;

	virtio_needs_reset(ring->vhost->vdev, "bad ring or descriptor");
}

int vhost_ring_create(struct vhost_ring *ring, struct vhost *vhost, struct virtqueue *vq, u32 index)
{
	ring->vhost = vhost;
	ring->vq = vq;
	ring->index = index;
	ring->call = (struct event_source){.fn = on_call, .arg = ring};
	ring->err = (struct event_source){.fn = on_err, .arg = ring};
	ring->call.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->err.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return ring->call.fd < 0 || ring->err.fd < 0 ? -EMFILE : 0;
}

int vhost_ring_listen(struct vhost_ring *ring)
{
	struct event_loop *loop = &ring->vhost->vdev->dev.kvm->loop;
	int err = event_add(loop, &ring->call, EPOLLIN | EPOLLET);

	return err ? err : event_add(loop, &ring->err, EPOLLIN | EPOLLET);
}

void vhost_ring_destroy(struct vhost_ring *ring)
{
	struct event_loop *loop;

	if (!ring->vhost)
		return;
	loop = &ring->vhost->vdev->dev.kvm->loop;
	event_del(loop, &ring->call);
	event_del(loop, &ring->err);
	if (ring->call.fd >= 0)
		close(ring->call.fd);
	if (ring->err.fd >= 0)
		close(ring->err.fd);
	ring->vhost = NULL;
}

static int call_fd(const struct vhost_ring *ring)
{
	struct virtio_device *vdev = ring->vhost->vdev;
	const struct virtio_transport *t = vdev->transport;
	int fd = t->vector_fd ? t->vector_fd(vdev, ring->vq->vector) : -ENOTSUP;

	return fd >= 0 ? fd : ring->call.fd;
}

int vhost_ring_start(struct vhost_ring *ring)
{
	const struct virtqueue *vq = ring->vq;
	struct vhost *vhost = ring->vhost;
	struct vhost_vring_state num = {.index = ring->index, .num = vq->size};
	struct vhost_vring_state base = {.index = ring->index, .num = vq->next_avail};
	struct vhost_vring_addr addr = {
		.index = ring->index,
		.desc_user_addr = (uintptr_t)vq->desc,
		.avail_user_addr = (uintptr_t)vq->avail,
		.used_user_addr = (uintptr_t)vq->used,
	};
	struct vhost_vring_file kick = {.index = ring->index, .fd = vhost->vdev->source[vq->index].src.fd};
	struct vhost_vring_file call = {.index = ring->index, .fd = call_fd(ring)};
	struct vhost_vring_file fault = {.index = ring->index, .fd = ring->err.fd};
	struct {
		unsigned long req;
		void *arg;
	} steps[] = {
		{VHOST_SET_VRING_NUM, &num},   {VHOST_SET_VRING_BASE, &base}, {VHOST_SET_VRING_ADDR, &addr},
		{VHOST_SET_VRING_KICK, &kick}, {VHOST_SET_VRING_CALL, &call}, {VHOST_SET_VRING_ERR, &fault},
	};
	int err = 0;

	for (u32 i = 0; i < ARRAY_SIZE(steps) && !err; i++)
		err = vhost_ioctl(vhost, steps[i].req, steps[i].arg);
	ring->live = !err;
	return err;
}

void vhost_ring_stop(struct vhost_ring *ring)
{
	struct vhost_vring_state base = {.index = ring->index};
	struct vhost_vring_file none = {.index = ring->index, .fd = VHOST_FILE_UNBIND};
	struct virtqueue *vq = ring->vq;

	if (!ring->live)
		return;
	ring->live = false;
	if (vhost_ioctl(ring->vhost, VHOST_GET_VRING_BASE, &base) == 0) {
		pthread_mutex_lock(&vq->lock);
		/* All that it took it has given back. */
		vq->next_avail = vq->next_used = (u16)base.num;
		pthread_mutex_unlock(&vq->lock);
	}
	/* Not a wake-up more: of queues that somebody else will serve. */
	if (vhost_ioctl(ring->vhost, VHOST_SET_VRING_KICK, &none) ||
	    vhost_ioctl(ring->vhost, VHOST_SET_VRING_CALL, &none))
		return;
}

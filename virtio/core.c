/* SPDX-License-Identifier: MIT */
/*
 * The core of every virtio device (virtio 1.2, chapters 2 and 3): device status, the agreement on features,
 * configuration space, queues set up and taken down, interrupts. Registers are the transport's (transport.h),
 * what is done with buffers is the device's (virtio.h).
 */
#include "transport.h"
#include <errno.h>
#include <lkvm/kvm.h>
#include <lkvm/pci.h>
#include <lkvm/state.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RING_FEATURES                                                                                        \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) |                          \
	 VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_RING_PACKED) |                            \
	 VIRTIO_BIT(VIRTIO_F_RING_RESET))

/* ---- interrupts ------------------------------------------------------------------------------- */

static u16 config_vector(struct virtio_device *vdev)
{
	u16 vector;

	pthread_mutex_lock(&vdev->isr_lock);
	vector = vdev->config_vector;
	pthread_mutex_unlock(&vdev->isr_lock);
	return vector;
}

void virtio_interrupt(struct virtio_device *vdev, struct virtqueue *vq)
{
	const struct virtio_transport *t = vdev->transport;
	u8 old;

	if (t->message && t->message(vdev, vq ? vq->vector : config_vector(vdev)))
		return;
	pthread_mutex_lock(&vdev->isr_lock);
	old = vdev->isr;
	vdev->isr |= vq ? VIRTIO_ISR_QUEUE : VIRTIO_ISR_CONFIG;
	if (!old)
		t->set_line(vdev, true);
	pthread_mutex_unlock(&vdev->isr_lock);
}

u8 virtio_isr(struct virtio_device *vdev)
{
	return virtio_isr_ack(vdev, 0);
}

u8 virtio_isr_ack(struct virtio_device *vdev, u8 bits)
{
	u8 old;

	pthread_mutex_lock(&vdev->isr_lock);
	old = vdev->isr;
	vdev->isr &= (u8)~bits;
	if (old && !vdev->isr)
		vdev->transport->set_line(vdev, false);
	pthread_mutex_unlock(&vdev->isr_lock);
	return old;
}

void virtio_needs_reset(struct virtio_device *vdev, const char *why)
{
	u8 old = atomic_fetch_or(&vdev->status, VIRTIO_CONFIG_S_NEEDS_RESET);
	bool say;

	if (old & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	pthread_mutex_lock(&vdev->isr_lock);
	vdev->config_generation++;
	say = ratelimit_ok(&vdev->rl);
	pthread_mutex_unlock(&vdev->isr_lock);
	if (say)
		log_warn(vdev->dev.kvm->log, "%s: %s from the guest's driver: the device waits to be reset",
			 vdev->dev.name, why);
	/* Not before the driver is there to listen (2.1.2). */
	if (old & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_interrupt(vdev, NULL);
}

/* ---- configuration space ------------------------------------------------------------------------ */

void virtio_config_io(struct virtio_device *vdev, u64 offset, u8 *data, u32 len, bool write)
{
	const u8 *mask;
	u8 *config;

	if (!range_inside(offset, len, 0, vdev->config_size))
		return;
	config = vdev->config + offset;
	mask = vdev->config_mask + offset;
	pthread_mutex_lock(&vdev->isr_lock);
	for (u32 i = 0; i < len; i++) {
		if (write)
			config[i] = (u8)((config[i] & ~mask[i]) | (data[i] & mask[i]));
		else
			data[i] = config[i];
	}
	pthread_mutex_unlock(&vdev->isr_lock);
	if (write && vdev->ops->config_written)
		vdev->ops->config_written(vdev, (u32)offset, len);
}

u32 virtio_generation(struct virtio_device *vdev)
{
	u32 generation;

	pthread_mutex_lock(&vdev->isr_lock);
	generation = vdev->config_generation;
	pthread_mutex_unlock(&vdev->isr_lock);
	return generation;
}

void virtio_config_set(struct virtio_device *vdev, u32 offset, const void *data, u32 len)
{
	pthread_mutex_lock(&vdev->isr_lock);
	memcpy(vdev->config + offset, data, len);
	vdev->config_generation++;
	pthread_mutex_unlock(&vdev->isr_lock);
	if (virtio_is_ready(vdev))
		virtio_interrupt(vdev, NULL);
}

/* ---- queues ------------------------------------------------------------------------------------- */

static void kick(const struct vq_source *source)
{
	u64 one = 1;

	/* Full is as good as signalled. */
	if (write(source->src.fd, &one, sizeof(one)) < 0)
		return;
}

void virtio_queue_again(struct virtqueue *vq)
{
	kick(&vq->vdev->source[vq->index]);
}

void virtio_queue_notify(struct virtio_device *vdev, u32 index)
{
	if (index < vdev->nr_queues)
		kick(&vdev->source[index]);
}

/* Edge-triggered: each signal wakes us once, and the eventfd's count is never read. */
static void on_kick(struct event_source *src, u32 events)
{
	struct vq_source *source = src->arg;
	struct virtqueue *vq = source->vq;

	/* What comes before DRIVER_OK is looked at then. */
	if (!virtio_is_ready(vq->vdev))
		return;
	pthread_mutex_lock(&vq->lock);
	if (vq->ready)
		vq->vdev->ops->notify(vq->vdev, vq);
	pthread_mutex_unlock(&vq->lock);
}

struct virtqueue *virtio_queue(struct virtio_device *vdev)
{
	return vdev->queue_sel < vdev->nr_queues ? &vdev->queue[vdev->queue_sel] : NULL;
}

bool virtio_queue_writable(const struct virtio_device *vdev, const struct virtqueue *vq)
{
	return vq && !vq->ready && (atomic_load(&vdev->status) & VIRTIO_CONFIG_S_FEATURES_OK);
}

/* With vq->lock held. */
static int queue_setup(struct virtio_device *vdev, struct virtqueue *vq)
{
	vq->packed = virtio_has(vdev, VIRTIO_F_RING_PACKED);
	vq->indirect = virtio_has(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	vq->event_idx = virtio_has(vdev, VIRTIO_RING_F_EVENT_IDX);
	return vq_setup(vq, &vdev->dev.kvm->mem);
}

void virtio_queue_enable(struct virtio_device *vdev, struct virtqueue *vq)
{
	int err;

	if (!virtio_queue_writable(vdev, vq))
		return;
	pthread_mutex_lock(&vq->lock);
	err = queue_setup(vdev, vq);
	pthread_mutex_unlock(&vq->lock);
	if (err) {
		virtio_needs_reset(vdev, "a queue outside of memory");
		return;
	}
	vdev->transport->queue_ready(vdev, vq);
	/* One that was reset alone comes back while the device runs. */
	if (virtio_is_ready(vdev))
		virtio_queue_again(vq);
}

/* Nothing more is popped, and what was is pushed: whether the queue was ready. */
static bool queue_quiesce(struct virtio_device *vdev, struct virtqueue *vq)
{
	bool was;

	pthread_mutex_lock(&vq->lock);
	was = vq->ready;
	vq->ready = false;
	pthread_mutex_unlock(&vq->lock);
	if (was && vdev->ops->drain)
		vdev->ops->drain(vdev, vq);
	return was;
}

void virtio_queue_reset(struct virtio_device *vdev, struct virtqueue *vq)
{
	queue_quiesce(vdev, vq);
	pthread_mutex_lock(&vq->lock);
	vq_reset(vq);
	pthread_mutex_unlock(&vq->lock);
}

/* ---- status and features (2.1, 2.2, 3.1.1) ----------------------------------------------------- */

u32 virtio_offered(const struct virtio_device *vdev, u32 sel)
{
	return sel < 2 ? (u32)(vdev->offered >> 32 * sel) : 0;
}

void virtio_want(struct virtio_device *vdev, u32 sel, u32 bits)
{
	if (sel < 2 && !(atomic_load(&vdev->status) & VIRTIO_CONFIG_S_FEATURES_OK))
		virtio_half(&vdev->wanted, sel, bits);
}

static void device_reset(struct virtio_device *vdev)
{
	/* First of all, so that nobody begins anything more. */
	atomic_store(&vdev->status, 0);
	for (u32 i = 0; i < vdev->nr_queues; i++)
		virtio_queue_reset(vdev, &vdev->queue[i]);
	vdev->wanted = vdev->accepted = 0;
	vdev->features_sel = vdev->wanted_sel = vdev->queue_sel = 0;
	virtio_isr_ack(vdev, 0xff);
	pthread_mutex_lock(&vdev->isr_lock);
	vdev->config_vector = VIRTIO_NO_VECTOR;
	pthread_mutex_unlock(&vdev->isr_lock);
	if (vdev->ops->reset)
		vdev->ops->reset(vdev);
	/* A queue that found something wrong while it was being emptied. */
	atomic_store(&vdev->status, 0);
}

static bool features_ok(const struct virtio_device *vdev)
{
	return !(vdev->wanted & ~vdev->offered) && vdev->wanted >> VIRTIO_F_VERSION_1 & 1;
}

void virtio_set_status(struct virtio_device *vdev, u8 status)
{
	u8 old = atomic_load(&vdev->status), add = (u8)(status & ~old & ~VIRTIO_CONFIG_S_NEEDS_RESET);

	if (!status) {
		device_reset(vdev);
		return;
	}
	/* Bits are only ever added (2.1.1). */
	if (add & VIRTIO_CONFIG_S_FEATURES_OK) {
		if (features_ok(vdev))
			vdev->accepted = vdev->wanted;
		else
			add &= (u8)~VIRTIO_CONFIG_S_FEATURES_OK;
	}
	if (!((old | add) & VIRTIO_CONFIG_S_FEATURES_OK))
		add &= (u8)~VIRTIO_CONFIG_S_DRIVER_OK;
	if (add & VIRTIO_CONFIG_S_DRIVER_OK && vdev->ops->ready)
		vdev->ops->ready(vdev);
	atomic_fetch_or(&vdev->status, add);
	for (u32 i = 0; add & VIRTIO_CONFIG_S_DRIVER_OK && i < vdev->nr_queues; i++)
		if (vdev->queue[i].ready)
			virtio_queue_again(&vdev->queue[i]);
}

/* ---- state ---------------------------------------------------------------------------------------- */

static void queues_state(struct virtio_device *vdev, struct state *s)
{
	for (u32 i = 0; i < vdev->nr_queues; i++) {
		struct virtqueue *vq = &vdev->queue[i];
		char name[16];

		bool held = s->mode == STATE_SAVE && queue_quiesce(vdev, vq);

		snprintf(name, sizeof(name), "queue%u", i);
		state_begin(s, name, 1);
		pthread_mutex_lock(&vq->lock);
		vq->ready |= held;
		vq_state(vq, s);
		if (state_reading(s) && !s->err && vq->ready && queue_setup(vdev, vq))
			state_fail(s, -EBADMSG, name, "its ring is outside of memory");
		if (state_reading(s) && s->err)
			vq_reset(vq);
		pthread_mutex_unlock(&vq->lock);
		state_end(s);
		/* What came while it was held. */
		if (held)
			virtio_queue_again(vq);
	}
}

/* What was read is as the guest could have made it. */
static void state_check(struct virtio_device *vdev, struct state *s, u8 status)
{
	if (s->err)
		return;
	if ((vdev->accepted | vdev->wanted) & ~vdev->offered && status & VIRTIO_CONFIG_S_FEATURES_OK)
		state_fail(s, -EBADMSG, "features", "0x%llx, where this device offers 0x%llx",
			   (unsigned long long)vdev->accepted, (unsigned long long)vdev->offered);
	vdev->isr &= VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG;
}

int virtio_device_state(struct device *dev, struct state *s)
{
	struct virtio_device *vdev = virtio_of(dev);
	u8 status = atomic_load(&vdev->status), config[VIRTIO_CONFIG_MAX];

	state_begin(s, dev->name, 1);
	if (state_reading(s))
		device_reset(vdev);
	state_u8(s, "status", &status);
	state_u64(s, "wanted", &vdev->wanted);
	state_u64(s, "accepted", &vdev->accepted);
	state_u32(s, "features_sel", &vdev->features_sel);
	state_u32(s, "wanted_sel", &vdev->wanted_sel);
	state_u32(s, "queue_sel", &vdev->queue_sel);
	memcpy(config, vdev->config, sizeof(config));
	if (vdev->config_size)
		state_bytes(s, "config", config, vdev->config_size);
	state_u32(s, "config_generation", &vdev->config_generation);
	state_u16(s, "config_vector", &vdev->config_vector);
	state_u8(s, "isr", &vdev->isr);
	state_check(vdev, s, status);
	queues_state(vdev, s);
	vdev->transport->state(vdev, s);
	if (vdev->ops->state)
		vdev->ops->state(vdev, s);
	state_end(s);
	if (!state_reading(s))
		return s->err;
	if (s->err) {
		device_reset(vdev);
		return s->err;
	}
	for (u32 i = 0; i < vdev->config_size; i++)
		vdev->config[i] =
			(u8)((vdev->config[i] & ~vdev->config_mask[i]) | (config[i] & vdev->config_mask[i]));
	if (vdev->isr)
		vdev->transport->set_line(vdev, true);
	atomic_store(&vdev->status, status);
	for (u32 i = 0; i < vdev->nr_queues; i++) {
		if (!vdev->queue[i].ready)
			continue;
		vdev->transport->queue_ready(vdev, &vdev->queue[i]);
		virtio_queue_again(&vdev->queue[i]);
	}
	if (status & VIRTIO_CONFIG_S_DRIVER_OK && vdev->ops->ready)
		vdev->ops->ready(vdev);
	return 0;
}

/* ---- life ----------------------------------------------------------------------------------------- */

static int queues_create(struct virtio_device *vdev, const struct virtio_setup *setup)
{
	vdev->queue = calloc(setup->nr_queues, sizeof(vdev->queue[0]));
	vdev->source = calloc(setup->nr_queues, sizeof(vdev->source[0]));
	if (!vdev->queue || !vdev->source)
		return -ENOMEM;
	for (; vdev->nr_queues < setup->nr_queues; vdev->nr_queues++) {
		struct virtqueue *vq = &vdev->queue[vdev->nr_queues];
		struct vq_source *source = &vdev->source[vdev->nr_queues];

		source->src = (struct event_source){.fn = on_kick, .arg = source};
		source->src.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (source->src.fd < 0) {
			log_error("%s: an eventfd for each of %u queues: %m", vdev->dev.name,
				  setup->nr_queues);
			return -EMFILE;
		}
		source->loop = &vdev->dev.kvm->loop;
		source->vq = vq;
		vq->vdev = vdev;
		vq->index = (u16)vdev->nr_queues;
		vq->size_max = setup->queue_size;
		pthread_mutex_init(&vq->lock, NULL);
		vq_reset(vq);
	}
	return 0;
}

int virtio_device_create(struct virtio_device *vdev, const struct virtio_setup *setup)
{
	struct kvm *kvm = vdev->dev.kvm;
	u64 without = setup->without;
	int err;

	vdev->ops = setup->ops;
	if (kvm->cfg->virtio_ring == VIRTIO_RING_SPLIT)
		without |= VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	vdev->offered = (setup->features | RING_FEATURES) & ~without;
	vdev->config_size = setup->config_size;
	if (setup->config_size)
		memcpy(vdev->config, setup->config, setup->config_size);
	vdev->config_vector = VIRTIO_NO_VECTOR;
	pthread_mutex_init(&vdev->isr_lock, NULL);
	vdev->transport = &virtio_mmio;
	if (kvm->cfg->virtio_transport == VIRTIO_TRANSPORT_PCI ||
	    (kvm->cfg->virtio_transport == VIRTIO_TRANSPORT_AUTO && pci_host_bus(kvm)))
		vdev->transport = &virtio_pci;
	err = queues_create(vdev, setup);
	return err ? err : vdev->transport->create(vdev);
}

void virtio_device_destroy(struct device *dev)
{
	struct virtio_device *vdev = virtio_of(dev);

	/* create() failed before there was anything. */
	if (!vdev->transport)
		return;
	vdev->transport->destroy(vdev);
	for (u32 i = 0; i < vdev->nr_queues; i++) {
		close(vdev->source[i].src.fd);
		pthread_mutex_destroy(&vdev->queue[i].lock);
	}
	free(vdev->queue);
	free(vdev->source);
	pthread_mutex_destroy(&vdev->isr_lock);
}

int virtio_device_start(struct device *dev)
{
	struct virtio_device *vdev = virtio_of(dev);
	int err = 0;

	for (u32 i = 0; i < vdev->nr_queues && !err; i++)
		if (vdev->source[i].loop)
			err = event_add(vdev->source[i].loop, &vdev->source[i].src, EPOLLIN | EPOLLET);
	if (err)
		virtio_device_stop(dev);
	return err;
}

void virtio_device_stop(struct device *dev)
{
	struct virtio_device *vdev = virtio_of(dev);

	for (u32 i = 0; i < vdev->nr_queues; i++)
		if (vdev->source[i].loop)
			event_del(vdev->source[i].loop, &vdev->source[i].src);
}

void virtio_device_reset(struct device *dev)
{
	struct virtio_device *vdev = virtio_of(dev);

	device_reset(vdev);
	if (vdev->transport->reset)
		vdev->transport->reset(vdev);
}

int virtio_device_describe(const struct device *dev, struct fdt *fdt)
{
	const struct virtio_device *vdev = container_of(dev, const struct virtio_device, dev);

	return vdev->transport->describe ? vdev->transport->describe(vdev, fdt) : 0;
}

void virtio_device_describe_acpi(const struct device *dev, struct aml *aml)
{
	const struct virtio_device *vdev = container_of(dev, const struct virtio_device, dev);

	if (vdev->transport->describe_acpi)
		vdev->transport->describe_acpi(vdev, aml);
}

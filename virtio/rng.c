/* SPDX-License-Identifier: MIT */
/*
 * Entropy for the guest (virtio 1.2, 5.4): each buffer of the one queue is filled with the host's random
 * bytes. The smallest virtio device, and the one to copy for another.
 *
 * Its requests are done at once, so the main loop serves it, and it has nothing to drain.
 */
#include <lkvm/state.h>
#include <lkvm/virtio.h>
#include <sys/random.h>

#define RNG_QUEUE_SIZE 64
#define RNG_PIECES     16  /* of a buffer; Linux uses one */
#define RNG_BYTES      256 /* a buffer gets no more at a time: getrandom() gives so many without a pause */

struct virtio_rng {
	struct virtio_device vdev;
	u64 bytes; /* given so far; the queue's lock */
};

static void rng_notify(struct virtio_device *vdev, struct virtqueue *vq)
{
	struct virtio_rng *rng = container_of(vdev, struct virtio_rng, vdev);
	struct iovec iov[RNG_PIECES];
	struct vq_chain chain = {.iov = iov, .room = RNG_PIECES};
	u32 left = vq->size;
	int n;

	do {
		vq_quiet(vq);
		while ((n = left ? vq_pop(vq, &chain) : 0) > 0) {
			u8 random[RNG_BYTES];
			ssize_t got = getrandom(random, sizeof(random), 0);
			u32 put = 0;

			if (got > 0)
				put = (u32)chain_write(&chain, 0, random, (size_t)got);
			rng->bytes += put;
			vq_push(vq, &chain, put);
			left--;
		}
		vq_flush(vq);
	} while (n == 0 && vq_listen(vq) && left);
	/* A driver that never lets the queue run dry takes turns with the rest of the VM. */
	if (!left)
		virtio_queue_again(vq);
}

static void rng_state(struct virtio_device *vdev, struct state *s)
{
	struct virtio_rng *rng = container_of(vdev, struct virtio_rng, vdev);

	state_u64(s, "bytes", &rng->bytes);
}

static const struct virtio_ops rng_virtio_ops = {
	.id = VIRTIO_ID_RNG,
	.class = 0xff0000, /* of no class that PCI knows */
	.notify = rng_notify,
	.state = rng_state,
};

static int rng_create(struct device *dev, const void *params)
{
	const struct virtio_setup setup = {
		.ops = &rng_virtio_ops,
		.nr_queues = 1,
		.queue_size = RNG_QUEUE_SIZE,
	};

	return virtio_device_create(virtio_of(dev), &setup);
}

const struct device_ops virtio_rng_ops = {
	.name = "rng",
	.size = sizeof(struct virtio_rng),
	.option = {.name = "rng",
		   .kind = OPT_FLAG,
		   .help = "the host's random numbers for the guest (virtio)"},
	.create = rng_create,
	.start = virtio_device_start,
	.stop = virtio_device_stop,
	.reset = virtio_device_reset,
	.describe = virtio_device_describe,
	.describe_acpi = virtio_device_describe_acpi,
	.state = virtio_device_state,
	.destroy = virtio_device_destroy,
};

/* SPDX-License-Identifier: MIT */
/*
 * Disks for the guest (virtio 1.2, 5.2): several queues, discards and zeroes, a write cache that the driver
 * may switch off, resizing while the guest runs. What is behind is block.h's. Each queue has a worker, a
 * thread with an event loop, and a struct block_queue of its own; what they do is in blk-io.c.
 *
 * werror=stop: a request that fails for want of space, or by an I/O error, is held and the VM paused by the
 * main loop; when it is resumed, what is held is tried again. Not so once the host has lost what was written
 * (block_lost()): then the guest is told.
 */
#include "blk.h"
#include <endian.h>
#include <errno.h>
#include <lkvm/keyval.h>
#include <lkvm/kvm.h>
#include <lkvm/state.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BLK_QUEUES_MAX 16
#define BLK_QUEUES     4 /* unless there are fewer vCPUs */

enum { WERROR_REPORT, WERROR_STOP };

struct blk_params {
	const char *path, *serial;
	bool ro, direct;
	u32 format, werror, backing;
	u64 queues;
	char text[];
};

static const char *const format_words[] = {"auto", "raw", "qcow2", NULL};
static const char *const werror_words[] = {"report", "stop", NULL};
static const char *const backing_words[] = {"same-dir", "any", NULL};

/* ---- pausing for an error --------------------------------------------------------------------- */

/* On the main loop. */
static void on_stop(struct event_source *src, u32 events)
{
	struct virtio_blk *blk = src->arg;
	struct kvm *kvm = blk->vdev.dev.kvm;
	u64 count;

	if (read(src->fd, &count, sizeof(count)) < 0 || kvm->pause.by_user)
		return;
	if (kvm_pause(kvm))
		kvm->pause.by_user = true;
	else
		kvm_resume(kvm);
}

static void blk_resumed(struct device *dev)
{
	struct virtio_blk *blk = blk_of(virtio_of(dev));

	if (!atomic_exchange(&blk->stopped, false))
		return;
	for (u32 i = 0; i < blk->nr_queues; i++)
		virtio_queue_again(blk->queue[i].vq);
}

/* ---- resizing, state -------------------------------------------------------------------------- */

static int blk_resize(struct device *dev, u64 *size, const char **why)
{
	struct virtio_blk *blk = blk_of(virtio_of(dev));
	struct block_info info;
	int err = block_resize(blk->block, *size, why);
	u64 capacity;

	if (err)
		return err;
	block_get_info(blk->block, &info);
	*size = info.size;
	capacity = htole64(info.size / BLOCK_SECTOR);
	virtio_config_set(&blk->vdev, offsetof(struct virtio_blk_config, capacity), &capacity,
			  sizeof(capacity));
	return 0;
}

static void blk_state(struct virtio_device *vdev, struct state *s)
{
	static const char *const name[] = {
		[BLK_READS] = "reads",	     [BLK_WRITES] = "writes",	  [BLK_FLUSHES] = "flushes",
		[BLK_DISCARDS] = "discards", [BLK_ZERO] = "write_zeroes", [BLK_ERRORS] = "errors"};
	struct virtio_blk *blk = blk_of(vdev);
	u64 count[BLK_COUNTERS] = {0}, bytes[2] = {0};
	struct block_info info;

	if (!state_printing(s))
		return;
	for (u32 i = 0; i < blk->nr_queues; i++) {
		struct blk_queue *q = &blk->queue[i];

		pthread_mutex_lock(&q->vq->lock);
		for (u32 k = 0; k < BLK_COUNTERS; k++)
			count[k] += q->count[k];
		bytes[0] += q->bytes[0];
		bytes[1] += q->bytes[1];
		pthread_mutex_unlock(&q->vq->lock);
	}
	block_get_info(blk->block, &info);
	state_note(s, "image", "%s", info.path);
	state_note(s, "format", "%s%s", info.format, info.ro ? ", read-only" : "");
	state_note(s, "size", "%llu", (unsigned long long)info.size);
	state_note(s, "engine", "%s", info.engine);
	for (u32 k = 0; k < BLK_COUNTERS; k++)
		state_note(s, name[k], "%llu", (unsigned long long)count[k]);
	state_note(s, "bytes_read", "%llu", (unsigned long long)bytes[0]);
	state_note(s, "bytes_written", "%llu", (unsigned long long)bytes[1]);
}

/* ---- life ------------------------------------------------------------------------------------- */

static const struct virtio_ops blk_virtio_ops = {
	.id = VIRTIO_ID_BLOCK,
	.class = 0x010000, /* mass storage: SCSI, as virtio disks have always said */
	.notify = blk_notify,
	.drain = blk_drain,
	.state = blk_state,
};

static u64 blk_config(const struct virtio_blk *blk, struct virtio_blk_config *c)
{
	u64 features = VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
		       VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) |
		       VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE) | VIRTIO_BIT(VIRTIO_BLK_F_MQ);
	struct block_info info;

	block_get_info(blk->block, &info);
	memset(c, 0, sizeof(*c));
	c->capacity = htole64(info.size / BLOCK_SECTOR);
	c->seg_max = htole32(BLK_SEG_MAX);
	c->blk_size = htole32(info.block_size);
	c->physical_block_exp = (u8)__builtin_ctz(info.physical_size / info.block_size);
	c->min_io_size = htole16(1);
	c->opt_io_size = htole32(info.discard_size / info.block_size);
	c->wce = 1;
	c->num_queues = htole16((u16)blk->nr_queues);
	if (info.ro)
		return features | VIRTIO_BIT(VIRTIO_BLK_F_RO);
	c->max_write_zeroes_sectors = htole32(BLK_RANGE_MAX);
	c->max_write_zeroes_seg = htole32(1);
	c->write_zeroes_may_unmap = 1;
	features |= VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	if (!info.can_discard)
		return features;
	c->max_discard_sectors = htole32(BLK_RANGE_MAX);
	c->max_discard_seg = htole32(1);
	c->discard_sector_alignment = htole32(info.discard_size / BLOCK_SECTOR);
	return features | VIRTIO_BIT(VIRTIO_BLK_F_DISCARD);
}

static int queue_create(struct virtio_blk *blk, u32 index)
{
	struct blk_queue *q = &blk->queue[index];
	char name[sizeof(q->worker.name)];
	int err;

	q->blk = blk;
	q->vq = &blk->vdev.queue[index];
	q->request = calloc(BLK_QUEUE_SIZE, sizeof(*q->request));
	if (!q->request)
		return -ENOMEM;
	for (u32 i = BLK_QUEUE_SIZE; i--;) {
		q->request[i].queue = q;
		q->request[i].next = q->free;
		q->free = &q->request[i];
	}
	err = block_queue_open(blk->block, BLK_QUEUE_SIZE, &q->bq);
	if (!err) {
		snprintf(name, sizeof(name), "%.8s-q%u", blk->vdev.dev.name, index % BLK_QUEUES_MAX);
		err = worker_init(&q->worker, name);
	}
	if (err) {
		log_error("%s: queue %u: %s", blk->vdev.dev.name, index, strerror(-err));
		return err;
	}
	q->done = (struct event_source){.fd = block_queue_fd(q->bq), .fn = blk_on_disk, .arg = q};
	blk->vdev.source[index].loop = &q->worker.loop;
	return 0;
}

static int open_disk(struct virtio_blk *blk, const struct blk_params *p)
{
	const struct block_config cfg = {
		.path = p->path,
		.format = p->format ? format_words[p->format] : NULL,
		.ro = p->ro,
		.direct = p->direct,
		.backing_anywhere = p->backing,
		.log = blk->vdev.dev.kvm->log,
	};

	return block_open(&cfg, &blk->block);
}

static int blk_create(struct device *dev, const void *params)
{
	struct virtio_blk *blk = blk_of(virtio_of(dev));
	const struct blk_params *p = params;
	struct virtio_blk_config config;
	struct virtio_setup setup = {
		.ops = &blk_virtio_ops,
		.queue_size = BLK_QUEUE_SIZE,
		.config = &config,
		.config_size = sizeof(config),
	};
	int err;

	pthread_mutex_init(&blk->lock, NULL);
	blk->stop.fd = -1;
	blk->stop_on_error = p->werror == WERROR_STOP;
	if (p->serial)
		memcpy(blk->serial, p->serial, strlen(p->serial));
	err = open_disk(blk, p);
	if (err)
		return err == -ENOMEM || err == -ENOSPC ? -EIO : err; /* it has been said */
	blk->nr_queues = p->queues ? (u32)p->queues : (u32)min_u64(dev->kvm->cfg->cpus, BLK_QUEUES);
	setup.nr_queues = blk->nr_queues;
	setup.features = blk_config(blk, &config);
	blk->queue = calloc(blk->nr_queues, sizeof(*blk->queue));
	err = blk->queue ? virtio_device_create(&blk->vdev, &setup) : -ENOMEM;
	if (err)
		return err;
	blk->vdev.config_mask[offsetof(struct virtio_blk_config, wce)] = 1;
	for (u32 i = 0; i < blk->nr_queues && !err; i++)
		err = queue_create(blk, i);
	if (!err && blk->stop_on_error) {
		blk->stop.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		blk->stop.fn = on_stop;
		blk->stop.arg = blk;
		err = blk->stop.fd < 0 ? -errno : 0;
	}
	return err;
}

static int blk_start(struct device *dev)
{
	struct virtio_blk *blk = blk_of(virtio_of(dev));
	int err = virtio_device_start(dev);

	if (!err && blk->stop_on_error)
		err = event_add(&dev->kvm->loop, &blk->stop, EPOLLIN);
	for (u32 i = 0; i < blk->nr_queues && !err; i++) {
		err = event_add(&blk->queue[i].worker.loop, &blk->queue[i].done, EPOLLIN | EPOLLET);
		if (!err)
			err = worker_start(&blk->queue[i].worker);
	}
	return err;
}

static void blk_stop(struct device *dev)
{
	struct virtio_blk *blk = blk_of(virtio_of(dev));

	for (u32 i = 0; i < blk->nr_queues; i++)
		worker_stop(&blk->queue[i].worker);
	virtio_device_stop(dev);
	event_del(&dev->kvm->loop, &blk->stop);
}

static void blk_destroy(struct device *dev)
{
	struct virtio_blk *blk = blk_of(virtio_of(dev));

	for (u32 i = 0; blk->queue && i < blk->nr_queues; i++) {
		struct blk_queue *q = &blk->queue[i];

		/* Also of a VM whose start failed half-way. */
		worker_stop(&q->worker);
		if (q->bq)
			blk_drain(&blk->vdev, q->vq);
		block_queue_close(q->bq);
	}
	virtio_device_destroy(dev);
	for (u32 i = 0; blk->queue && i < blk->nr_queues; i++) {
		worker_destroy(&blk->queue[i].worker);
		free(blk->queue[i].request);
	}
	if (blk->stop.fd >= 0)
		close(blk->stop.fd);
	free(blk->queue);
	block_close(blk->block);
	pthread_mutex_destroy(&blk->lock);
}

#define AT(f) .offset = offsetof(struct blk_params, f)
static int blk_parse(const char *arg, void **params)
{
	static const struct keyval keys[] = {
		{.key = "FILE", .kind = KV_FIRST, AT(path)},
		{.key = "ro", .kind = KV_FLAG, AT(ro)},
		{.key = "format", .kind = KV_CHOICE, AT(format), .words = format_words},
		{.key = "serial", .kind = KV_STRING, AT(serial)},
		{.key = "direct", .kind = KV_FLAG, AT(direct)},
		{.key = "queues", .kind = KV_INT, AT(queues), .min = 1, .max = BLK_QUEUES_MAX},
		{.key = "werror", .kind = KV_CHOICE, AT(werror), .words = werror_words},
		{.key = "backing", .kind = KV_CHOICE, AT(backing), .words = backing_words},
		{.kind = KV_END},
	};
	size_t len = strlen(arg);
	struct blk_params *p = calloc(1, sizeof(*p) + len + 1);
	int err;

	*params = p;
	if (!p)
		return -ENOMEM;
	memcpy(p->text, arg, len);
	err = keyval_parse("--disk", p->text, keys, p);
	if (!err && p->serial && strlen(p->serial) > BLK_SERIAL) {
		log_error("--disk: serial=%s: longer than %d bytes", p->serial, BLK_SERIAL);
		err = -EINVAL;
	}
	return err;
}

const struct device_ops virtio_blk_ops = {
	.name = "disk",
	.size = sizeof(struct virtio_blk),
	.option = {.name = "disk",
		   .letter = 'd',
		   .kind = OPT_STRING,
		   .flags = OPT_REPEAT,
		   .arg = "FILE[,...]",
		   .help = "a disk (virtio): ro, format=, serial=, direct, queues=, werror=, backing="},
	.parse = blk_parse,
	.create = blk_create,
	.start = blk_start,
	.stop = blk_stop,
	.reset = virtio_device_reset,
	.describe = virtio_device_describe,
	.describe_acpi = virtio_device_describe_acpi,
	.state = virtio_device_state,
	.resize = blk_resize,
	.resumed = blk_resumed,
	.destroy = blk_destroy,
};

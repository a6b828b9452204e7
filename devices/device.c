/* SPDX-License-Identifier: MIT */
/*
 * The lifecycle of devices: which ones a VM has (its machine's board, then the user's options), made in that
 * order and taken down in reverse. Main thread, before and after the vCPUs run.
 */
#include <errno.h>
#include <lkvm/device.h>
#include <lkvm/irq.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct device_request *request_of(const struct kvm *kvm, const struct device_ops *ops)
{
	for (size_t i = 0; i < kvm->cfg->nr_requests; i++)
		if (kvm->cfg->request[i].ops == ops)
			return &kvm->cfg->request[i];
	return NULL;
}

static bool on_board(const struct kvm *kvm, const struct device_ops *ops)
{
	for (const struct board_device *b = kvm->machine->board; b->ops; b++)
		if (b->ops == ops)
			return true;
	return false;
}

struct device *device_find(struct kvm *kvm, const struct device_ops *ops, u32 index)
{
	struct device *dev;

	list_for_each (dev, &kvm->devices, link)
		if (dev->ops == ops && (dev->board ? dev->board->index : 0) == index)
			return dev;
	return NULL;
}

struct device *device_named(struct kvm *kvm, const char *name)
{
	struct device *dev;

	list_for_each (dev, &kvm->devices, link)
		if (!strcmp(dev->name, name))
			return dev;
	return NULL;
}

/* "rtc" for the only one of its kind, "serial2" where the board has several. */
static void name_device(struct device *dev)
{
	u32 alike = 0, before = 0;
	struct device *other;

	for (const struct board_device *b = dev->kvm->machine->board; b->ops; b++)
		alike += b->ops == dev->ops;
	list_for_each (other, &dev->kvm->devices, link)
		before += other->ops == dev->ops;
	if (dev->board ? alike > 1 : true)
		snprintf(dev->name, sizeof(dev->name), "%.16s%u", dev->ops->name,
			 dev->board ? dev->board->index : before);
	else
		snprintf(dev->name, sizeof(dev->name), "%.16s", dev->ops->name);
}

/* made: create() was called. */
static void device_free(struct device *dev, bool made)
{
	if (made && dev->ops->destroy)
		dev->ops->destroy(dev);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

static int claim_line(struct device *dev)
{
	u32 line = dev->board ? dev->board->line : IRQ_NONE;
	struct device *other;
	int err;

	if (line == IRQ_NONE)
		return 0;
	/* Devices of one kind may share a line, as PC serial ports do. */
	list_for_each (other, &dev->kvm->devices, link)
		if (other->ops == dev->ops && other->board && other->board->line == line) {
			irq_share(dev->kvm, line);
			return 0;
		}
	err = irq_claim(dev->kvm, line);
	if (err)
		log_error("%s: interrupt line %u: %s", dev->name, line,
			  err == -EBUSY ? "another device has it" : "the controller has no such line");
	return err;
}

static int device_make(struct kvm *kvm, const struct device_ops *ops, const struct board_device *board,
		       const void *params)
{
	struct device *dev = calloc(1, ops->size);
	bool made = false;
	int err;

	if (!dev) {
		log_error("%s: out of memory", ops->name);
		return -ENOMEM;
	}
	dev->ops = ops;
	dev->kvm = kvm;
	dev->board = board;
	name_device(dev);
	pthread_mutex_init(&dev->lock, NULL);
	err = claim_line(dev);
	if (!err) {
		made = true;
		err = ops->create(dev, params);
	}
	if (err) {
		/* What else can go wrong has been said by those who know more of it. */
		if (err == -ENOMEM || err == -ENOSPC)
			log_error("%s: cannot be made: %s", dev->name,
				  err == -ENOMEM ? "out of memory" : "no free place for it on its bus");
		device_free(dev, made);
		return err;
	}
	list_add_tail(&kvm->devices, &dev->link);
	return 0;
}

int devices_create(struct kvm *kvm)
{
	int err = 0;

	for (const struct board_device *b = kvm->machine->board; b->ops && !err; b++) {
		const struct device_request *req = request_of(kvm, b->ops);

		if (!b->ops->option.name || req)
			err = device_make(kvm, b->ops, b, req ? req->params : NULL);
	}
	for (size_t i = 0; i < kvm->cfg->nr_requests && !err; i++) {
		const struct device_request *req = &kvm->cfg->request[i];

		if (!on_board(kvm, req->ops))
			err = device_make(kvm, req->ops, NULL, req->params);
	}
	return err;
}

int devices_start(struct kvm *kvm)
{
	struct device *dev;

	list_for_each (dev, &kvm->devices, link) {
		int err = dev->ops->start ? dev->ops->start(dev) : 0;

		if (err) {
			log_error("%s: cannot start: %s", dev->name, strerror(-err));
			return err;
		}
		dev->started = true;
	}
	return 0;
}

void devices_stop(struct kvm *kvm)
{
	struct device *dev;

	list_for_each_reverse (dev, &kvm->devices, link) {
		if (dev->started && dev->ops->stop)
			dev->ops->stop(dev);
		dev->started = false;
	}
}

void devices_resumed(struct kvm *kvm)
{
	struct device *dev;

	list_for_each (dev, &kvm->devices, link)
		if (dev->ops->resumed)
			dev->ops->resumed(dev);
}

void devices_destroy(struct kvm *kvm)
{
	while (!list_empty(&kvm->devices)) {
		struct device *dev = list_entry(kvm->devices.prev, struct device, link);

		list_del(&dev->link);
		device_free(dev, true);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * A VM with a board of the target's own choice, for the fuzz targets of devices: real buses, real interrupt
 * lines, on the fake KVM. Made once a process; the guest's accesses, and devices' states.
 */
#ifndef LKVM_FUZZ_DEVICE_VM_H
#define LKVM_FUZZ_DEVICE_VM_H

#include "fuzz-vm.h"
#include <lkvm/device.h>
#include <lkvm/hw.h>
#include <lkvm/machine.h>

/* The machine's VM, but with these devices. request: those of the table that an option adds, or NULL. */
__unused static struct kvm *fuzz_device_vm(const struct board_device *table, struct device_request *request,
					   size_t nr_requests)
{
	struct kvm *kvm = fuzz_vm_make("vcpus", NULL);
	struct machine_ops *machine = calloc(1, sizeof(*machine));
	struct vm_config *cfg = (struct vm_config *)(uintptr_t)kvm->cfg;

	*machine = *kvm->machine;
	machine->board = table;
	kvm->machine = machine;
	cfg->request = request;
	cfg->nr_requests = nr_requests;
	if (devices_create(kvm))
		exit(1);
	bus_freeze(kvm);
	if (irqchip_finalize(kvm) || devices_start(kvm))
		exit(1);
	return kvm;
}

__unused static u64 fuzz_access(struct kvm *kvm, enum bus_id bus, u64 addr, u32 len, bool write, u64 value)
{
	/* Just as long as the access, on the heap, so that whatever lies beyond is a finding. */
	u8 *data = malloc(len);
	u64 v = 0;

	for (u32 i = 0; i < len; i++)
		data[i] = (u8)(value >> 8 * i);
	bus_access(kvm, NULL, bus, addr, data, len, write);
	for (u32 i = len; i-- > 0;)
		v = v << 8 | data[i];
	free(data);
	return v;
}

__unused static void fuzz_device_reset(struct device *dev)
{
	device_lock(dev);
	dev->ops->reset(dev);
	device_unlock(dev);
}

/* Its state in that mode; buf_free() it. */
__unused static struct buf fuzz_device_out(struct device *dev, enum state_mode mode)
{
	struct buf out = {0};
	struct state s;

	state_init_out(&s, mode, &out);
	device_lock(dev);
	dev->ops->state(dev, &s);
	device_unlock(dev);
	fuzz_assert(!state_finish(&s, dev->name), "a device's state can be had");
	return out;
}

__unused static int fuzz_device_in(struct device *dev, const u8 *data, size_t len)
{
	struct state s;

	state_init_in(&s, data, len);
	device_lock(dev);
	dev->ops->state(dev, &s);
	device_unlock(dev);
	return state_finish(&s, dev->name);
}

/*
 * The device's state as it is, with bytes changed as the input says, or bytes of the input alone, goes into
 * it. What was refused ends in a reset. What was taken can be saved and put in again, and is the same then
 * but for a clock that goes on.
 */
__unused static void fuzz_device_restore(struct device *dev, struct fuzz_in *in)
{
	u8 how = (u8)fuzz_take(in, 1);
	struct buf was = fuzz_device_out(dev, STATE_SAVE), once, twice, text;
	size_t len = was.len;
	bool taken;

	if (how & 0x40)
		len = fuzz_take(in, 2) % (was.len + 1);
	fuzz_patch(in, was.data, len, how & 0x3f);
	if (how & 0x80) {
		/* A block of its own, whose end is the input's. */
		len = (size_t)(in->end - in->at);
		buf_free(&was);
		buf_add(&was, in->at, len);
		in->at = in->end;
	}
	taken = !fuzz_device_in(dev, was.data, len);
	buf_free(&was);
	text = fuzz_device_out(dev, STATE_TEXT);
	buf_free(&text);
	if (!taken) {
		fuzz_device_reset(dev);
		return;
	}
	once = fuzz_device_out(dev, STATE_SAVE);
	fuzz_assert(!fuzz_device_in(dev, once.data, once.len), "a device takes its own state");
	twice = fuzz_device_out(dev, STATE_SAVE);
	fuzz_assert(once.len == twice.len &&
			    (dev->ops == &rtc_pl031_ops || !memcmp(once.data, twice.data, once.len)),
		    "a state is the same after a restore");
	buf_free(&once);
	buf_free(&twice);
}

#endif

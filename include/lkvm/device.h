/* SPDX-License-Identifier: MIT */
/*
 * A device: one container struct with `struct device` first, its constant ops, and a lifecycle that device.c
 * walks: parse (option) -> create -> start -> stop -> destroy. reset() brings a live device back to its
 * power-on state.
 *
 * Two tables say which devices a VM has: the machine's board (machine->board) and the options the user gave
 * (device_table[]). A board entry whose ops own an option is made only when the option was given.
 */
#ifndef LKVM_DEVICE_H
#define LKVM_DEVICE_H

#include <lkvm/bus.h>
#include <lkvm/list.h>
#include <lkvm/option.h>
#include <lkvm/types.h>
#include <pthread.h>

struct aml;
struct device;
struct fdt;
struct kvm;
struct state;

enum device_link { DEVICE_LINK_ASK, DEVICE_LINK_UP, DEVICE_LINK_DOWN };

struct device_ops {
	const char *name;
	size_t size;		  /* of the container */
	struct cli_option option; /* name NULL: no option of its own; kind OPT_FLAG or OPT_STRING */
	/*
	 * Turns the option's argument into *params (malloc'd, freed with the config); may be NULL for a flag.
	 * -ECANCELED: there is to be none of these, also of those asked for so far.
	 */
	int (*parse)(const char *arg, void **params);
	/*
	 * Claims ranges and lines, allocates. -errno after one logged line; -ENOMEM, and -ENOSPC for no free
	 * slot, without. Undone by destroy(), which also follows a failed create().
	 */
	int (*create)(struct device *dev, const void *params);
	int (*start)(struct device *dev);  /* all devices exist; threads and fds go live here */
	void (*stop)(struct device *dev);  /* after the vCPUs were joined; nothing may call into it later */
	void (*reset)(struct device *dev); /* with dev->lock held */
	int (*describe)(const struct device *dev, struct fdt *fdt);
	void (*describe_acpi)(const struct device *dev, struct aml *aml); /* inside \_SB */
	/* One section of dev's name with its own version; s->err. With dev->lock held. */
	int (*state)(struct device *dev, struct state *s);
	/* `lkvm resize`: to *size bytes, or 0 to look how large it is by now; *size becomes what it is.
	 * -errno with *why set to a static line. Main thread, no lock held. */
	int (*resize)(struct device *dev, u64 *size, const char **why);
	/* `lkvm link`: changes the cable's state, unless it only asks; what it is now. dev->lock held. */
	enum device_link (*link)(struct device *dev, enum device_link want);
	/* The user let a paused VM go on. Main thread, no lock held. */
	void (*resumed)(struct device *dev);
	void (*destroy)(struct device *dev);
};

/* Where a machine puts a device. A machine's table of these ends with an entry whose ops are NULL. */
struct board_device {
	const struct device_ops *ops;
	enum bus_id bus;
	u64 base;
	u64 mmio; /* a second, memory-mapped place for devices that have both; 0: none */
	u32 line; /* interrupt line (GSI on x86); IRQ_NONE */
	u32 index;
};

#define IRQ_NONE (~0u)

struct device {
	const struct device_ops *ops;
	struct kvm *kvm;
	const struct board_device *board; /* NULL for a device made by an option alone */
	char name[24];			  /* "serial0"; unique in the VM */
	/*
	 * Guards all that the device's accesses and callbacks share. Recursive taking is a bug.
	 * Order: pause, dev, pci, irq.
	 */
	pthread_mutex_t lock;
	struct list link; /* in kvm->devices, in order of creation */
	bool started;
};

/* Every device that an option can add, in the order in which they are made. devices/table.c */
extern const struct device_ops *const device_table[];

/* What the user asked for by a device's own option; kept in struct vm_config. */
struct device_request {
	const struct device_ops *ops;
	void *params;
};

/* The `devices` step: board first, then requests. On failure everything made so far is destroyed. */
int __must_check devices_create(struct kvm *kvm);
int __must_check devices_start(struct kvm *kvm);
void devices_stop(struct kvm *kvm);
void devices_destroy(struct kvm *kvm); /* reverse order */
void devices_resumed(struct kvm *kvm);
/* The first device of that ops with that board index, or NULL. */
struct device *device_find(struct kvm *kvm, const struct device_ops *ops, u32 index);
/* The device of that name, as `lkvm debug` has it, or NULL. */
struct device *device_named(struct kvm *kvm, const char *name);

static inline void device_lock(struct device *dev)
{
	pthread_mutex_lock(&dev->lock);
}

static inline void device_unlock(struct device *dev)
{
	pthread_mutex_unlock(&dev->lock);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Interrupts between devices and the in-kernel controller: lines (GSIs), the routing table with its MSI
 * routes, irqfds and ioeventfds. The controller itself is behind struct irqchip_ops.
 *
 * Lines are claimed while the VM is built. Routes may change while it runs: the table is under irq.lock.
 */
#ifndef LKVM_IRQ_H
#define LKVM_IRQ_H

#include <linux/kvm.h>
#include <lkvm/types.h>
#include <pthread.h>

struct fdt;
struct irqchip;
struct kvm;
struct state;
struct vcpu;

struct msi_msg {
	u64 address;
	u32 data;
	u32 devid; /* requester id, for controllers that want one (GICv3 ITS) */
};

struct irqchip_ops {
	const char *name;
	/* 0 when this host's KVM has it (nothing is created), -ENODEV or another -errno. */
	int (*probe)(const struct kvm *kvm);
	int (*create)(struct irqchip *chip); /* before vCPUs, after memory */
	int (*attach_vcpu)(struct irqchip *chip, struct vcpu *vcpu);
	int (*finalize)(struct irqchip *chip); /* lines are known */
	int (*set_line)(struct irqchip *chip, u32 line, bool level);
	int (*msi_route)(struct irqchip *chip, const struct msi_msg *msg,
			 struct kvm_irq_routing_entry *entry);
	/* Adds the routes of the chip's pins (irq_route_pin()), when a route is first wanted; may be NULL. */
	int (*routes)(struct irqchip *chip);
	int (*describe)(const struct irqchip *chip, struct fdt *fdt);
	/* How a line stands in a device tree's "interrupts": the cells and their count. */
	u32 (*irq_cells)(const struct irqchip *chip, u32 line, bool level, u32 *cells);
	int (*state)(struct irqchip *chip, struct state *s); /* one walk: dump, save, restore */
	/* A vCPU's EOI of a vector, where the I/O APIC is in user space (KVM_EXIT_IOAPIC_EOI). */
	void (*eoi)(struct irqchip *chip, u32 vector);
	void (*destroy)(struct irqchip *chip);
	/*
	 * A message is an edge of a line, the one that msi_route() gives as its pin, and KVM has no routing
	 * table for this chip: a GSI is a line.
	 */
	bool msi_is_line;
	u32 nr_lines; /* how many lines it has, 0 .. nr_lines - 1 */
	u32 max_cpus; /* vCPUs it has room for; 0: as many as KVM takes */
};

struct irqchip {
	const struct irqchip_ops *ops; /* NULL until the irqchip step */
	struct kvm *kvm;
	void *priv; /* the chip's own, from create to destroy */
};

struct irq_state {
	pthread_mutex_t lock; /* guards all below once the VM runs */
	struct kvm_irq_routing_entry *entry;
	u32 nr_entries, room;
	u32 next_gsi;	/* MSI routes take GSIs from here up */
	u64 claimed[4]; /* lines 0..255, a bit each */
	/*
	 * A line that several devices share is high while any of them drives it. Its devices call
	 * irq_set_line() only when their own level changes.
	 */
	pthread_mutex_t line_lock; /* guards drivers[]; taken before any lock of the chip */
	u64 shared[4];
	u8 drivers[256];   /* of a shared line: how many drive it high now */
	bool pins_added;   /* ops->routes was called */
	bool routing_live; /* KVM_SET_GSI_ROUTING has been called: changes go to the kernel at once */
};

int __must_check irq_init(struct kvm *kvm);
void irq_destroy(struct kvm *kvm);

/* Chooses (kvm->cfg.irqchip, or the best that probes) and makes the irqchip; the `irqchip` step. */
int __must_check irqchip_create(struct kvm *kvm);
int __must_check irqchip_finalize(struct kvm *kvm);
void irqchip_destroy(struct kvm *kvm);

/* Marks a fixed line as taken: -EBUSY when it is, -EINVAL when the chip has no such line. */
int __must_check irq_claim(struct kvm *kvm, u32 line);
/* One more device drives a line that was claimed. */
void irq_share(struct kvm *kvm, u32 line);
/* A free line at or above `first`: the line, or -ENOSPC. */
int __must_check irq_alloc(struct kvm *kvm, u32 first);
/*
 * Drives a line. Call it when the level changes, not more often. Edge-triggered lines see an edge by a low
 * and a high. Any thread, under the device's lock; a failure is a bug of ours and is only logged.
 */
void irq_set_line(struct kvm *kvm, u32 line, bool level);

/* A fixed route, of a GSI to a pin of a chip (KVM_IRQCHIP_*); from irqchip ops->routes alone. */
int __must_check irq_route_pin(struct kvm *kvm, u32 gsi, u32 chip, u32 pin);
/* Sends the whole table down; a chip whose pins have no default routes in the kernel calls it at finalize. */
int __must_check irq_routing_commit(struct kvm *kvm);
/* A new GSI routed to msg: the GSI, or -errno. */
int __must_check irq_msi_add(struct kvm *kvm, const struct msi_msg *msg);
/*
 * Points an MSI's GSI to another message. Where messages are lines (irqchip_ops.msi_is_line) that may be
 * another GSI: -EXDEV, and one is to be removed and the other added.
 */
int __must_check irq_msi_update(struct kvm *kvm, u32 gsi, const struct msi_msg *msg);
/*
 * The route of one of the chip's own pins, for a chip whose pins are in user space: msg, or NULL for none.
 * Nothing is sent down when it is what it was.
 */
int __must_check irq_pin_msi(struct kvm *kvm, u32 pin, const struct msi_msg *msg);
void irq_msi_remove(struct kvm *kvm, u32 gsi);
/* Sends a message at once (KVM_SIGNAL_MSI): >= 0 delivered or blocked, -errno. */
int __must_check irq_msi_send(struct kvm *kvm, const struct msi_msg *msg);

/* trigger (and resample for level lines, or -1) are eventfds that stay the caller's. */
int __must_check irq_fd_assign(struct kvm *kvm, u32 gsi, int trigger, int resample);
void irq_fd_deassign(struct kvm *kvm, u32 gsi, int trigger);

/*
 * fd is signalled by the kernel when the guest writes to addr on `bus`: len 0 (any), 1, 2, 4 or 8; with
 * `match` only when the value equals *match.
 */
int __must_check ioeventfd_assign(struct kvm *kvm, int bus, u64 addr, u32 len, const u64 *match, int fd);
void ioeventfd_deassign(struct kvm *kvm, int bus, u64 addr, u32 len, const u64 *match, int fd);

#endif

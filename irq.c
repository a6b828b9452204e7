/* SPDX-License-Identifier: MIT */
/*
 * Lines, routes, irqfds and ioeventfds: everything about interrupts that is the same for each controller.
 *
 * The routing table is ours; KVM_SET_GSI_ROUTING replaces the kernel's copy of it as a whole. Until the first
 * MSI route (or a chip that brings its own pins) the kernel's own table serves, and ours is empty.
 */
#include <errno.h>
#include <lkvm/device.h>
#include <lkvm/endian.h>
#include <lkvm/irq.h>
#include <lkvm/kvm-device.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <stdlib.h>
#include <string.h>

int irq_init(struct kvm *kvm)
{
	memset(&kvm->irq, 0, sizeof(kvm->irq));
	pthread_mutex_init(&kvm->irq.line_lock, NULL);
	return -pthread_mutex_init(&kvm->irq.lock, NULL);
}

void irq_destroy(struct kvm *kvm)
{
	free(kvm->irq.entry);
	pthread_mutex_destroy(&kvm->irq.line_lock);
	pthread_mutex_destroy(&kvm->irq.lock);
	memset(&kvm->irq, 0, sizeof(kvm->irq));
}

static int irqchip_try(struct kvm *kvm, const struct irqchip_ops *ops)
{
	int err;

	kvm->irqchip = (struct irqchip){.ops = ops, .kvm = kvm};
	err = ops->create(&kvm->irqchip);
	if (err) {
		if (ops->destroy)
			ops->destroy(&kvm->irqchip);
		kvm->irqchip.ops = NULL;
		return err;
	}
	kvm->irq.next_gsi = ops->nr_lines;
	return 0;
}

static bool has_room(const struct kvm *kvm, const struct irqchip_ops *ops)
{
	return !ops->max_cpus || kvm->cfg->cpus <= ops->max_cpus;
}

/* The machine's controllers as words, all or those that this VM can have: "gicv3, gicv2". */
static void list_chips(const struct kvm *kvm, struct buf *out, bool all)
{
	for (u32 i = 0; kvm->machine->irqchips[i]; i++) {
		const struct irqchip_ops *ops = kvm->machine->irqchips[i];

		if (all || (has_room(kvm, ops) && !ops->probe(kvm)))
			buf_printf(out, "%s%s", out->len ? ", " : "", ops->name);
	}
}

/* Says why there is none by that name; err is what the VM's KVM says of it. */
static int refuse_named(const struct kvm *kvm, const char *want, const struct irqchip_ops *ops, int err)
{
	struct buf list = {0};

	list_chips(kvm, &list, !ops);
	if (!ops)
		log_error("--irqchip %s: the %s machine knows no such controller; give one of %s, or leave "
			  "the option out",
			  want, kvm->machine->name, list.data ? (const char *)list.data : "its own");
	else if (err == -E2BIG)
		log_error("--irqchip %s: it has room for %u vCPUs, not %llu; give --cpus %u or less", want,
			  ops->max_cpus, (unsigned long long)kvm->cfg->cpus, ops->max_cpus);
	else if (list.len)
		log_error("--irqchip %s: this host's KVM does not have it for this VM (%s); give one of %s, "
			  "or leave the option out",
			  want, kvm_attr_errstr(err), (const char *)list.data);
	else
		log_error("--irqchip %s: this host's KVM does not have it for this VM, nor another (%s)",
			  want, kvm_attr_errstr(err));
	buf_free(&list);
	return err;
}

/* None will do: those that there are have no room, or there are none. */
static int refuse_all(const struct kvm *kvm)
{
	struct buf list = {0};
	u32 room = 0;

	for (u32 i = 0; kvm->machine->irqchips[i]; i++) {
		const struct irqchip_ops *ops = kvm->machine->irqchips[i];

		if (ops->max_cpus > room && !ops->probe(kvm))
			room = ops->max_cpus;
	}
	list_chips(kvm, &list, true);
	if (room)
		log_error("--cpus %llu: this host's interrupt controllers have room for %u vCPUs; give "
			  "--cpus %u or less",
			  (unsigned long long)kvm->cfg->cpus, room, room);
	else
		log_error("%s: this KVM has no interrupt controller that the %s machine can use (%s): take "
			  "a host that has one, or a newer kernel",
			  kvm->cfg->dev, kvm->machine->name, list.data ? (const char *)list.data : "any");
	buf_free(&list);
	return room ? -E2BIG : -ENODEV;
}

int irqchip_create(struct kvm *kvm)
{
	const char *want = kvm->cfg->irqchip ? kvm->cfg->irqchip : "auto";
	bool any = !strcmp(want, "auto");

	for (u32 i = 0; kvm->machine->irqchips[i]; i++) {
		const struct irqchip_ops *ops = kvm->machine->irqchips[i];
		int err;

		if (any ? !has_room(kvm, ops) : strcmp(want, ops->name))
			continue;
		err = ops->probe(kvm);
		if (!err && !has_room(kvm, ops))
			err = -E2BIG;
		if (!err)
			return irqchip_try(kvm, ops);
		if (!any)
			return refuse_named(kvm, want, ops, err);
	}
	return any ? refuse_all(kvm) : refuse_named(kvm, want, NULL, -ENODEV);
}

int irqchip_finalize(struct kvm *kvm)
{
	const struct irqchip_ops *ops = kvm->irqchip.ops;
	int err = ops->finalize ? ops->finalize(&kvm->irqchip) : 0;

	/* Some chips put the kernel's own table in place of ours when they are initialised. */
	if (!err && kvm->irq.routing_live)
		err = irq_routing_commit(kvm);
	return err;
}

void irqchip_destroy(struct kvm *kvm)
{
	if (kvm->irqchip.ops && kvm->irqchip.ops->destroy)
		kvm->irqchip.ops->destroy(&kvm->irqchip);
	memset(&kvm->irqchip, 0, sizeof(kvm->irqchip));
}

int irq_claim(struct kvm *kvm, u32 line)
{
	u64 *word;

	if (line >= kvm->irqchip.ops->nr_lines || line / 64 >= ARRAY_SIZE(kvm->irq.claimed))
		return -EINVAL;
	word = &kvm->irq.claimed[line / 64];
	if (*word >> (line % 64) & 1)
		return -EBUSY;
	*word |= 1ull << (line % 64);
	return 0;
}

int irq_alloc(struct kvm *kvm, u32 first)
{
	for (u32 line = first; line < kvm->irqchip.ops->nr_lines; line++)
		if (!irq_claim(kvm, line))
			return (int)line;
	return -ENOSPC;
}

void irq_share(struct kvm *kvm, u32 line)
{
	kvm->irq.shared[line / 64] |= 1ull << (line % 64);
}

/* The level of a shared line after one of its drivers changed; *change is whether it is another now. */
static bool shared_level(struct irq_state *irq, u32 line, bool level, bool *change)
{
	u8 *drivers = &irq->drivers[line];
	u8 before = *drivers;

	if (level && *drivers < UINT8_MAX)
		++*drivers;
	else if (!level && *drivers)
		--*drivers;
	*change = !before != !*drivers;
	return *drivers;
}

static bool is_shared(const struct irq_state *irq, u32 line)
{
	return line / 64 < ARRAY_SIZE(irq->shared) && irq->shared[line / 64] >> (line % 64) & 1;
}

void irq_set_line(struct kvm *kvm, u32 line, bool level)
{
	int err = 0;

	if (line == IRQ_NONE || !kvm->irqchip.ops)
		return;
	if (is_shared(&kvm->irq, line)) {
		bool change;

		/* Held over the call, so that two drivers' levels reach the chip in the order of the count.
		 */
		pthread_mutex_lock(&kvm->irq.line_lock);
		level = shared_level(&kvm->irq, line, level, &change);
		if (change)
			err = kvm->irqchip.ops->set_line(&kvm->irqchip, line, level);
		pthread_mutex_unlock(&kvm->irq.line_lock);
	} else {
		err = kvm->irqchip.ops->set_line(&kvm->irqchip, line, level);
	}
	if (err < 0)
		log_debug(kvm->log, "interrupt line %u: %s", line, strerror(-err));
}

/* With irq.lock held. */
static int routing_commit(struct kvm *kvm)
{
	struct irq_state *irq = &kvm->irq;
	size_t size = irq->nr_entries * sizeof(irq->entry[0]);
	struct kvm_irq_routing *table = calloc(1, sizeof(*table) + size);
	int err;

	if (!table)
		return -ENOMEM;
	table->nr = irq->nr_entries;
	if (size)
		memcpy(table->entries, irq->entry, size);
	err = kvm_ioctl(kvm->vm_fd, KVM_SET_GSI_ROUTING, table);
	free(table);
	if (err < 0) {
		log_error("interrupt routing, %u routes: KVM_SET_GSI_ROUTING: %s", irq->nr_entries,
			  strerror(-err));
		return err;
	}
	irq->routing_live = true;
	return 0;
}

/* With irq.lock held. */
static int entry_add(struct irq_state *irq, const struct kvm_irq_routing_entry *entry)
{
	if (irq->nr_entries == irq->room) {
		u32 room = irq->room ? irq->room * 2 : 64;
		void *grown = realloc(irq->entry, room * sizeof(*entry));

		if (!grown)
			return -ENOMEM;
		irq->entry = grown;
		irq->room = room;
	}
	irq->entry[irq->nr_entries++] = *entry;
	return 0;
}

int irq_route_pin(struct kvm *kvm, u32 gsi, u32 chip, u32 pin)
{
	struct kvm_irq_routing_entry entry = {
		.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {.irqchip = chip, .pin = pin}};

	return entry_add(&kvm->irq, &entry);
}

/* Before any other route: the chip's pins, which ours takes from the kernel's table. With irq.lock held. */
static int pins_add(struct kvm *kvm)
{
	struct irq_state *irq = &kvm->irq;
	int err;

	if (irq->pins_added || !kvm->irqchip.ops->routes)
		return 0;
	err = kvm->irqchip.ops->routes(&kvm->irqchip);
	if (err)
		irq->nr_entries = 0;
	irq->pins_added = !err;
	return err;
}

int irq_routing_commit(struct kvm *kvm)
{
	int err;

	pthread_mutex_lock(&kvm->irq.lock);
	err = pins_add(kvm);
	if (!err)
		err = routing_commit(kvm);
	pthread_mutex_unlock(&kvm->irq.lock);
	return err;
}

static int msi_entry(struct kvm *kvm, u32 gsi, const struct msi_msg *msg, struct kvm_irq_routing_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->gsi = gsi;
	return kvm->irqchip.ops->msi_route(&kvm->irqchip, msg, entry);
}

/* Of a chip that has messages for edges of lines: the line, which is the GSI, or -errno. */
static int msi_line(struct kvm *kvm, const struct msi_msg *msg)
{
	struct kvm_irq_routing_entry entry;
	int err = msi_entry(kvm, 0, msg, &entry);

	return err ? err : (int)entry.u.irqchip.pin;
}

/* The lowest GSI above the chip's lines that no route uses. With irq.lock held. */
static u32 free_gsi(const struct irq_state *irq)
{
	u32 gsi = irq->next_gsi;

	for (u32 i = 0; i < irq->nr_entries; i++) {
		if (irq->entry[i].gsi != gsi)
			continue;
		gsi++;
		i = ~0u; /* from the start again */
	}
	return gsi;
}

int irq_msi_add(struct kvm *kvm, const struct msi_msg *msg)
{
	struct irq_state *irq = &kvm->irq;
	struct kvm_irq_routing_entry entry;
	u32 gsi;
	int limit, err;

	if (kvm->irqchip.ops->msi_is_line)
		return msi_line(kvm, msg);
	limit = kvm_cap(kvm, KVM_CAP_IRQ_ROUTING);
	pthread_mutex_lock(&irq->lock);
	err = pins_add(kvm);
	gsi = free_gsi(irq);
	if (!err && limit > 0 && gsi >= (u32)limit)
		err = -ENOSPC;
	if (!err)
		err = msi_entry(kvm, gsi, msg, &entry);
	if (!err)
		err = entry_add(irq, &entry);
	if (!err) {
		err = routing_commit(kvm);
		if (err)
			irq->nr_entries--;
	}
	pthread_mutex_unlock(&irq->lock);
	return err ? err : (int)gsi;
}

/* GSIs above the chip's lines are messages, whatever they are routed to. With irq.lock held. */
static struct kvm_irq_routing_entry *msi_find(struct irq_state *irq, u32 gsi)
{
	for (u32 i = 0; i < irq->nr_entries; i++)
		if (irq->entry[i].gsi == gsi &&
		    (irq->entry[i].type == KVM_IRQ_ROUTING_MSI || gsi >= irq->next_gsi))
			return &irq->entry[i];
	return NULL;
}

/* Replaces the route that `old` points to (NULL: adds one) by *now (NULL: removes it). With irq.lock held. */
static int entry_replace(struct kvm *kvm, struct kvm_irq_routing_entry *old,
			 const struct kvm_irq_routing_entry *now)
{
	struct irq_state *irq = &kvm->irq;
	struct kvm_irq_routing_entry was = {0};
	int err = 0;

	/* Each commit costs a grace period in the kernel: guests rewrite the same message often. */
	if (old ? now && !memcmp(old, now, sizeof(*now)) : !now)
		return 0;
	if (old)
		was = *old;
	if (old && now)
		*old = *now;
	else if (old)
		*old = irq->entry[--irq->nr_entries];
	else
		err = entry_add(irq, now);
	if (err)
		return err;
	err = routing_commit(kvm);
	if (!err)
		return 0;
	/* Ours is to be what the kernel has: else the same change would not be tried again. */
	if (old && !now)
		irq->entry[irq->nr_entries++] = *old;
	if (old)
		*old = was;
	else
		irq->nr_entries--;
	return err;
}

int irq_msi_update(struct kvm *kvm, u32 gsi, const struct msi_msg *msg)
{
	struct kvm_irq_routing_entry *entry, now;
	int err;

	if (kvm->irqchip.ops->msi_is_line) {
		err = msi_line(kvm, msg);
		if (err < 0)
			return err;
		return (u32)err == gsi ? 0 : -EXDEV;
	}
	pthread_mutex_lock(&kvm->irq.lock);
	entry = msi_find(&kvm->irq, gsi);
	err = entry ? msi_entry(kvm, gsi, msg, &now) : -ENOENT;
	if (!err)
		err = entry_replace(kvm, entry, &now);
	pthread_mutex_unlock(&kvm->irq.lock);
	return err;
}

int irq_pin_msi(struct kvm *kvm, u32 pin, const struct msi_msg *msg)
{
	struct kvm_irq_routing_entry now;
	int err = msg ? msi_entry(kvm, pin, msg, &now) : 0;

	pthread_mutex_lock(&kvm->irq.lock);
	if (!err)
		err = pins_add(kvm);
	if (!err)
		err = entry_replace(kvm, msi_find(&kvm->irq, pin), msg ? &now : NULL);
	pthread_mutex_unlock(&kvm->irq.lock);
	return err;
}

void irq_msi_remove(struct kvm *kvm, u32 gsi)
{
	struct kvm_irq_routing_entry *entry;

	pthread_mutex_lock(&kvm->irq.lock);
	entry = msi_find(&kvm->irq, gsi);
	/* A failure leaves the kernel with a stale route that nothing triggers; logged there. */
	if (entry && entry_replace(kvm, entry, NULL))
		log_debug(kvm->log, "route of GSI %u stays", gsi);
	pthread_mutex_unlock(&kvm->irq.lock);
}

int irq_msi_send(struct kvm *kvm, const struct msi_msg *msg)
{
	struct kvm_irq_routing_entry entry;
	struct kvm_msi msi = {0};
	int err = msi_entry(kvm, 0, msg, &entry);

	if (err)
		return err;
	/* A chip whose messages are edges of its pins. */
	if (entry.type == KVM_IRQ_ROUTING_IRQCHIP) {
		err = kvm->irqchip.ops->set_line(&kvm->irqchip, entry.u.irqchip.pin, true);
		if (err < 0 || kvm->irqchip.ops->msi_is_line)
			return err;
		return kvm->irqchip.ops->set_line(&kvm->irqchip, entry.u.irqchip.pin, false);
	}
	msi.address_lo = entry.u.msi.address_lo;
	msi.address_hi = entry.u.msi.address_hi;
	msi.data = entry.u.msi.data;
	msi.flags = entry.flags & KVM_MSI_VALID_DEVID;
	msi.devid = entry.u.msi.devid;
	return kvm_ioctl(kvm->vm_fd, KVM_SIGNAL_MSI, &msi);
}

int irq_fd_assign(struct kvm *kvm, u32 gsi, int trigger, int resample)
{
	struct kvm_irqfd irqfd = {.fd = (u32)trigger, .gsi = gsi};

	if (resample >= 0) {
		irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
		irqfd.resamplefd = (u32)resample;
	}
	return kvm_ioctl(kvm->vm_fd, KVM_IRQFD, &irqfd);
}

void irq_fd_deassign(struct kvm *kvm, u32 gsi, int trigger)
{
	struct kvm_irqfd irqfd = {.fd = (u32)trigger, .gsi = gsi, .flags = KVM_IRQFD_FLAG_DEASSIGN};

	if (kvm_ioctl(kvm->vm_fd, KVM_IRQFD, &irqfd) < 0)
		log_debug(kvm->log, "GSI %u: no such irqfd", gsi);
}

static int ioeventfd(struct kvm *kvm, int bus, u64 addr, u32 len, const u64 *match, int fd, u32 flags)
{
	struct kvm_ioeventfd ev = {.addr = addr, .len = len, .fd = fd, .flags = flags};

	if (bus == BUS_PIO)
		ev.flags |= KVM_IOEVENTFD_FLAG_PIO;
	if (match) {
		ev.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
		ev.datamatch = le_as_native(*match, len);
	}
	return kvm_ioctl(kvm->vm_fd, KVM_IOEVENTFD, &ev);
}

int ioeventfd_assign(struct kvm *kvm, int bus, u64 addr, u32 len, const u64 *match, int fd)
{
	return ioeventfd(kvm, bus, addr, len, match, fd, 0);
}

void ioeventfd_deassign(struct kvm *kvm, int bus, u64 addr, u32 len, const u64 *match, int fd)
{
	if (ioeventfd(kvm, bus, addr, len, match, fd, KVM_IOEVENTFD_FLAG_DEASSIGN) < 0)
		log_debug(kvm->log, "0x%llx: no such ioeventfd", (unsigned long long)addr);
}

/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's interrupts: lines, the routing table, MSIs, irqfds. Nothing is delivered anywhere: what was
 * raised is counted, and a vCPU that sleeps wakes. Rules from api.rst (4.25, 4.52, 4.70, 4.75).
 * Called by fake-kvm-vm.c with the fake's lock held.
 */
#include "fake-kvm-priv.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static void interrupted(struct fake_vm *vm)
{
	vm->interrupts++;
	for (u32 i = 0; i < vm->nr_vcpus; i++)
		fake_vcpu_wake(vm->vcpu[i]);
}

void fake_raise(struct fake_vm *vm, u32 gsi)
{
	if (gsi >= FAKE_MAX_ROUTES)
		return;
	vm->raised[gsi]++;
	interrupted(vm);
}

void fake_kvm_wake(struct fake_vm *vm)
{
	fake_lock();
	interrupted(vm);
	fake_unlock();
}

/* irq and status share their place: only KVM_IRQ_LINE_STATUS gives the status back. */
static int irq_line(struct fake_vm *vm, struct kvm_irq_level *line, bool report)
{
	bool level = line->level;
	u32 gsi;
	int err = fake_arch_irq_line(vm, line->irq, level, &gsi);

	if (err)
		return err;
	if (gsi < FAKE_MAX_ROUTES) {
		if (level && !vm->level[gsi])
			fake_raise(vm, gsi);
		vm->level[gsi] = level;
	}
	if (report)
		line->status = level;
	return 0;
}

static int set_routing(struct fake_vm *vm, const struct kvm_irq_routing *table)
{
	if (!fake_arch_can_route(vm))
		return -EINVAL;
	if (table->nr > FAKE_MAX_ROUTES || table->flags)
		return -EINVAL;
	for (u32 i = 0; i < table->nr; i++) {
		const struct kvm_irq_routing_entry *e = &table->entries[i];
		u32 flags = e->type == KVM_IRQ_ROUTING_MSI ? KVM_MSI_VALID_DEVID : 0;

		if (e->gsi >= FAKE_MAX_ROUTES || (e->flags & ~flags))
			return -EINVAL;
		if (e->type != KVM_IRQ_ROUTING_MSI &&
		    (e->type != KVM_IRQ_ROUTING_IRQCHIP || !fake_arch_pin_ok(e)))
			return -EINVAL;
		/* A GSI reaches several irqchips, but each once; an MSI's GSI reaches nothing else. */
		for (u32 k = 0; k < i; k++) {
			const struct kvm_irq_routing_entry *o = &table->entries[k];

			if (o->gsi != e->gsi)
				continue;
			if (o->type != KVM_IRQ_ROUTING_IRQCHIP || e->type != KVM_IRQ_ROUTING_IRQCHIP ||
			    o->u.irqchip.irqchip == e->u.irqchip.irqchip)
				return -EINVAL;
		}
	}
	memcpy(vm->route, table->entries, table->nr * sizeof(vm->route[0]));
	vm->nr_routes = table->nr;
	vm->nr_route_sets++;
	return 0;
}

static int signal_msi(struct fake_vm *vm, const struct kvm_msi *msi)
{
	int ret = fake_arch_signal_msi(vm, msi);

	if (ret >= 0 && msi->flags & ~KVM_MSI_VALID_DEVID)
		return -EINVAL;
	if (ret <= 0)
		return ret;
	if (vm->nr_msis < FAKE_MAX_MSIS)
		vm->msi[vm->nr_msis++] = *msi;
	interrupted(vm);
	return 1;
}

static int irqfd(struct fake_vm *vm, const struct kvm_irqfd *e)
{
	bool resample = e->flags & KVM_IRQFD_FLAG_RESAMPLE;
	int fd = (int)e->fd, err;

	if (e->flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	if (!fake_is_eventfd(fd))
		return fake_fd_ino(fd, &(ino_t){0}) ? -EINVAL : -EBADF;
	if (e->flags & KVM_IRQFD_FLAG_DEASSIGN) {
		for (u32 i = 0; i < vm->nr_irqfds;)
			if (vm->irqfd[i].fd == fd && vm->irqfd[i].gsi == e->gsi)
				vm->irqfd[i] = vm->irqfd[--vm->nr_irqfds];
			else
				i++;
		return 0; /* also when there was none */
	}
	err = fake_arch_irqfd_ready(vm);
	if (err)
		return err;
	/* Resampling hears of an EOI from the I/O APIC, which must be in the kernel for that. */
	if (resample && (!fake_cap(KVM_CAP_IRQFD_RESAMPLE) || vm->split))
		return -EINVAL;
	if (resample && !fake_is_eventfd((int)e->resamplefd))
		return fake_fd_ino((int)e->resamplefd, &(ino_t){0}) ? -EINVAL : -EBADF;
	for (u32 i = 0; i < vm->nr_irqfds; i++)
		if (vm->irqfd[i].fd == fd)
			return -EBUSY;
	if (vm->nr_irqfds == FAKE_MAX_FDS)
		return -ENOMEM;
	vm->irqfd[vm->nr_irqfds++] =
		(struct fake_irqfd){.fd = fd, .resample = resample ? (int)e->resamplefd : -1, .gsi = e->gsi};
	return 0;
}

void fake_kvm_irqfds(struct fake_vm *vm)
{
	fake_lock();
	for (u32 i = 0; i < vm->nr_irqfds; i++) {
		struct pollfd p = {.fd = vm->irqfd[i].fd, .events = POLLIN};
		u64 n;

		if (poll(&p, 1, 0) == 1 && (p.revents & POLLIN) && read(p.fd, &n, sizeof(n)) == sizeof(n)) {
			fake_arch_irqfd(vm, vm->irqfd[i].gsi);
			fake_raise(vm, vm->irqfd[i].gsi);
		}
	}
	fake_unlock();
}

int fake_irq_ioctl(struct fake_vm *vm, unsigned long req, void *arg, bool *known)
{
	switch (req) {
	case KVM_IRQ_LINE:
	case KVM_IRQ_LINE_STATUS:
		return arg ? irq_line(vm, arg, req == KVM_IRQ_LINE_STATUS) : -EFAULT;
	case KVM_SET_GSI_ROUTING:
		return arg ? set_routing(vm, arg) : -EFAULT;
	case KVM_SIGNAL_MSI:
		return arg ? signal_msi(vm, arg) : -EFAULT;
	case KVM_IRQFD:
		return arg ? irqfd(vm, arg) : -EFAULT;
	default:
		*known = false;
		return 0;
	}
}

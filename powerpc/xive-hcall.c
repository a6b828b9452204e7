/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls of a guest that has a XIVE in its own hands (H_INT_*; what Linux's arch/powerpc/sysdev/xive/
 * spapr.c calls): each becomes an attribute of the in-kernel device, or is answered from what was set.
 *
 * On vCPU threads. Every argument is the guest's own word. What this process keeps is under xive->lock.
 */
#include "pseries.h"
#include "xive.h"
#include <errno.h>
#include <lkvm/kvm.h>
#include <string.h>

enum {
	H_INT_GET_SOURCE_INFO = 0x3a8,
	H_INT_SET_SOURCE_CONFIG = 0x3ac,
	H_INT_GET_SOURCE_CONFIG = 0x3b0,
	H_INT_GET_QUEUE_INFO = 0x3b4,
	H_INT_SET_QUEUE_CONFIG = 0x3b8,
	H_INT_GET_QUEUE_CONFIG = 0x3bc,
	H_INT_SET_OS_REPORTING_LINE = 0x3c0,
	H_INT_GET_OS_REPORTING_LINE = 0x3c4,
	H_INT_ESB = 0x3c8,
	H_INT_SYNC = 0x3cc,
	H_INT_RESET = 0x3d0,
};

/* Flags of what H_INT_GET_SOURCE_INFO says. */
enum { SRC_H_INT_ESB = 8, SRC_LSI = 4 };
/* And of other calls. */
enum { SET_EISN = 2, SET_MASK = 1, ALWAYS_NOTIFY = 1, ESB_STORE = 1 };

#define NO_PAGE	 (~0ull)
#define EISN_MAX 0x7fffffffull

static struct irqchip *chip_of(const struct vcpu *vcpu)
{
	return &vcpu->kvm->irqchip;
}

static bool is_server(const struct kvm *kvm, u64 target)
{
	return pseries_vcpu_by_id(kvm, target) != NULL;
}

/*
 * A source that is level-triggered has no pages for the guest: to see that it is still high when the guest is
 * done with it, we must see the guest done with it (H_INT_ESB).
 */
static long get_source_info(struct xive *xive, const u64 *arg, u64 *ret)
{
	u32 source = (u32)arg[1];
	bool level = pseries_line_is_level(source);

	if (arg[0])
		return H_PARAMETER;
	if (!xive_has_source(xive, arg[1]))
		return H_P2;
	ret[0] = level ? SRC_H_INT_ESB | SRC_LSI : 0;
	ret[1] = level ? NO_PAGE : xive_esb_gpa(xive, source, true);
	ret[2] = level ? NO_PAGE : xive_esb_gpa(xive, source, false);
	ret[3] = (u64)__builtin_ctz(xive->page);
	return H_SUCCESS;
}

static long set_source_config(struct vcpu *vcpu, struct xive *xive, const u64 *arg)
{
	u64 flags = arg[0], source = arg[1], target = arg[2], priority = arg[3], eisn = arg[4], config;
	bool masked = priority == XIVE_NO_PRIORITY;
	int err;

	if (flags & ~(u64)(SET_EISN | SET_MASK))
		return H_PARAMETER;
	if (!xive_has_source(xive, source))
		return H_P2;
	if (!masked && !is_server(vcpu->kvm, target))
		return H_P3;
	if (!masked && priority >= XIVE_PRIORITIES)
		return H_P4;
	if ((flags & SET_EISN) && eisn > EISN_MAX)
		return H_P5;
	pthread_mutex_lock(&xive->lock);
	if (!(flags & SET_EISN))
		eisn = xive->config[source] >> KVM_XIVE_SOURCE_EISN_SHIFT;
	config = eisn << KVM_XIVE_SOURCE_EISN_SHIFT;
	if (masked)
		config |= KVM_XIVE_SOURCE_MASKED_MASK;
	else
		config |= target << KVM_XIVE_SOURCE_SERVER_SHIFT | priority;
	err = xive_set_config(xive, (u32)source, config);
	pthread_mutex_unlock(&xive->lock);
	/* The target has no queue of that priority, or none with room. */
	if (err == -ENXIO || err == -EBUSY)
		return H_P3;
	return err ? H_HARDWARE : H_SUCCESS;
}

static long get_source_config(struct xive *xive, const u64 *arg, u64 *ret)
{
	u64 config;

	if (arg[0])
		return H_PARAMETER;
	if (!xive_has_source(xive, arg[1]))
		return H_P2;
	pthread_mutex_lock(&xive->lock);
	config = xive->config[arg[1]];
	pthread_mutex_unlock(&xive->lock);
	ret[0] = (config & KVM_XIVE_SOURCE_SERVER_MASK) >> KVM_XIVE_SOURCE_SERVER_SHIFT;
	ret[1] = config & KVM_XIVE_SOURCE_MASKED_MASK ? XIVE_NO_PRIORITY
						      : config & KVM_XIVE_SOURCE_PRIORITY_MASK;
	ret[2] = config >> KVM_XIVE_SOURCE_EISN_SHIFT;
	return H_SUCCESS;
}

/* What all calls about queues check: which one it is. */
static long check_queue(struct vcpu *vcpu, u64 flags, u64 known, u64 target, u64 priority)
{
	if (flags & ~known)
		return H_PARAMETER;
	if (!is_server(vcpu->kvm, target))
		return H_P2;
	return priority >= XIVE_PRIORITIES ? H_P3 : H_SUCCESS;
}

static u64 queue_attr(u64 target, u64 priority)
{
	return target << KVM_XIVE_EQ_SERVER_SHIFT | priority;
}

/* KVM's queues have no page by which a guest could be told less often. */
static long get_queue_info(struct vcpu *vcpu, const u64 *arg, u64 *ret)
{
	long status = check_queue(vcpu, arg[0], 0, arg[1], arg[2]);

	if (status == H_SUCCESS) {
		ret[0] = NO_PAGE;
		ret[1] = 0;
	}
	return status;
}

static long set_queue_config(struct vcpu *vcpu, struct xive *xive, const u64 *arg)
{
	u64 target = arg[1], priority = arg[2], page = arg[3], shift = arg[4];
	long status = check_queue(vcpu, arg[0], ALWAYS_NOTIFY, target, priority);
	struct kvm_ppc_xive_eq eq = {0};
	int err;

	if (status != H_SUCCESS)
		return status;
	if (shift && shift != XIVE_QUEUE_SHIFT)
		return H_P5;
	if (shift) {
		/* The kernel writes there as soon as it has it. */
		if (page & ((1ull << shift) - 1) || !guest_ptr(&vcpu->kvm->mem, page, 1ull << shift))
			return H_P4;
		eq = (struct kvm_ppc_xive_eq){.flags = KVM_XIVE_EQ_ALWAYS_NOTIFY,
					      .qshift = XIVE_QUEUE_SHIFT,
					      .qaddr = page,
					      .qtoggle = 1};
	}
	pthread_mutex_lock(&xive->lock);
	err = kvm_attr_set(xive->irq.fd, KVM_DEV_XIVE_GRP_EQ_CONFIG, queue_attr(target, priority), &eq);
	pthread_mutex_unlock(&xive->lock);
	if (err)
		log_debug(vcpu->kvm->log, "xive: queue %u of server %u: %s", (u32)priority, (u32)target,
			  strerror(-err));
	return err == -EINVAL ? H_P4 : err ? H_HARDWARE : H_SUCCESS;
}

static long get_queue_config(struct vcpu *vcpu, struct xive *xive, const u64 *arg, u64 *ret)
{
	long status = check_queue(vcpu, arg[0], 0, arg[1], arg[2]);
	struct kvm_ppc_xive_eq eq = {0};
	int err;

	if (status != H_SUCCESS)
		return status;
	err = kvm_attr_get(xive->irq.fd, KVM_DEV_XIVE_GRP_EQ_CONFIG, queue_attr(arg[1], arg[2]), &eq);
	if (err)
		return H_HARDWARE;
	ret[0] = eq.flags & KVM_XIVE_EQ_ALWAYS_NOTIFY ? ALWAYS_NOTIFY : 0;
	ret[1] = eq.qaddr;
	ret[2] = eq.qshift;
	return H_SUCCESS;
}

/* An access to a source's management page, in the guest's place. */
static long esb_access(struct irqchip *chip, struct xive *xive, const u64 *arg, u64 *ret)
{
	u64 flags = arg[0], source = arg[1], offset = arg[2];
	u8 *page;

	if (flags & ~(u64)ESB_STORE)
		return H_PARAMETER;
	if (!xive_has_source(xive, source))
		return H_P2;
	if (offset & 7 || offset >= xive->page)
		return H_P3;
	page = xive_esb_page(xive, (u32)source, true);
	if (flags & ESB_STORE)
		xive_esb_store(page, (u32)offset, arg[3]);
	else
		ret[0] = xive_esb_load(page, (u32)offset);
	xive_retrigger(chip, (u32)source);
	return H_SUCCESS;
}

static long sync_source(struct xive *xive, const u64 *arg)
{
	if (arg[0])
		return H_PARAMETER;
	if (!xive_has_source(xive, arg[1]))
		return H_P2;
	return kvm_attr_set(xive->irq.fd, KVM_DEV_XIVE_GRP_SOURCE_SYNC, arg[1], NULL) ? H_HARDWARE
										      : H_SUCCESS;
}

static long reset(struct xive *xive, const u64 *arg)
{
	int err;

	if (arg[0])
		return H_PARAMETER;
	pthread_mutex_lock(&xive->lock);
	err = kvm_attr_set(xive->irq.fd, KVM_DEV_XIVE_GRP_CTRL, KVM_DEV_XIVE_RESET, NULL);
	if (!err)
		xive_forget_config(xive);
	pthread_mutex_unlock(&xive->lock);
	return err ? H_HARDWARE : H_SUCCESS;
}

bool xive_hcall(struct vcpu *vcpu, u64 nr, const u64 *arg, u64 *ret, long *status)
{
	struct irqchip *chip = chip_of(vcpu);
	struct xive *xive;

	if (nr < H_INT_GET_SOURCE_INFO || nr > H_INT_RESET || chip->ops != &ppc_xive)
		return false;
	xive = xive_of(chip);
	switch (nr) {
	case H_INT_GET_SOURCE_INFO:
		*status = get_source_info(xive, arg, ret);
		return true;
	case H_INT_SET_SOURCE_CONFIG:
		*status = set_source_config(vcpu, xive, arg);
		return true;
	case H_INT_GET_SOURCE_CONFIG:
		*status = get_source_config(xive, arg, ret);
		return true;
	case H_INT_GET_QUEUE_INFO:
		*status = get_queue_info(vcpu, arg, ret);
		return true;
	case H_INT_SET_QUEUE_CONFIG:
		*status = set_queue_config(vcpu, xive, arg);
		return true;
	case H_INT_GET_QUEUE_CONFIG:
		*status = get_queue_config(vcpu, xive, arg, ret);
		return true;
	case H_INT_SET_OS_REPORTING_LINE:
	case H_INT_GET_OS_REPORTING_LINE:
		/* KVM reports nothing there. */
		*status = H_FUNCTION;
		return true;
	case H_INT_ESB:
		*status = esb_access(chip, xive, arg, ret);
		return true;
	case H_INT_SYNC:
		*status = sync_source(xive, arg);
		return true;
	case H_INT_RESET:
		*status = reset(xive, arg);
		return true;
	default:
		return false;
	}
}

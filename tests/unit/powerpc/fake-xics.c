/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's XICS (virt/kvm/devices/xics.rst): sources with their states P and Q, a presenter a vCPU with
 * the one interrupt that it presents; what the guest's calls do to them.
 *
 * Rules and errnos of Linux 6.1, of XICS by itself and of XICS on a XIVE, which has NR_SERVERS and masks all
 * sources from the first to the last one that is read. Called with the fake's lock held, but for the guest's
 * calls, which take it.
 */
#include "fake-ppc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MASKED	0xff
#define IPI	2u
#define MAX_IDS 2048u /* KVM_MAX_VCPU_IDS */

static struct fake_source *source_of(const struct fake_vm *vm, u64 irq)
{
	struct fake_xics *xics = fake_xics_of(vm);

	return xics && irq < FAKE_SOURCES ? &xics->source[irq] : NULL;
}

/* ---- delivery ----------------------------------------------------------------------------------------- */

/* To its presenter, whose less favoured interrupt it displaces; or kept until there is room for it. */
static void deliver(struct fake_vm *vm, u32 irq)
{
	struct fake_source *src = source_of(vm, irq);
	struct fake_vcpu *vcpu = fake_ppc_server(vm, src->server);
	struct fake_icp *icp = vcpu ? &fake_ppc_cpu(vcpu)->icp : NULL;
	u32 displaced;

	src->resend = false;
	if (src->priority == MASKED) {
		src->masked_pending = true;
		return;
	}
	if (!icp || src->priority >= icp->cppr || src->priority >= icp->mfrr ||
	    src->priority >= icp->pending) {
		src->resend = true;
		return;
	}
	displaced = icp->xisr;
	icp->xisr = irq;
	icp->pending = src->priority;
	fake_vcpu_wake(vcpu);
	if (displaced > IPI)
		deliver(vm, displaced);
}

/* Those that wait for room at a presenter. */
static void resend(struct fake_vm *vm)
{
	for (u32 i = 0; i < FAKE_SOURCES; i++)
		if (source_of(vm, i)->resend)
			deliver(vm, i);
}

int fake_xics_line(struct fake_vm *vm, u32 irq, bool level)
{
	struct fake_source *src = source_of(vm, irq);
	bool present;

	if (!src || !src->exists)
		return -EINVAL;
	if (!src->lsi && !level)
		return 0;
	if (src->lsi) {
		present = level && !src->p;
		src->p = level;
		src->q = false;
	} else {
		present = !src->p;
		src->q = src->p;
		src->p = true;
	}
	if (present)
		deliver(vm, irq);
	return 0;
}

void fake_xics_set_xive(struct fake_vm *vm, u32 irq, u32 server, u8 priority)
{
	struct fake_source *src;

	fake_lock();
	src = source_of(vm, irq);
	src->server = server;
	src->priority = src->saved_priority = priority;
	if ((src->masked_pending || src->resend) && priority != MASKED) {
		src->masked_pending = false;
		deliver(vm, irq);
	}
	fake_unlock();
}

void fake_xics_cppr(struct fake_vcpu *vcpu, u8 cppr)
{
	fake_lock();
	fake_ppc_cpu(vcpu)->icp.cppr = cppr;
	resend(vcpu->obj.vm);
	fake_unlock();
}

u32 fake_xics_accept(struct fake_vcpu *vcpu)
{
	struct fake_icp *icp = &fake_ppc_cpu(vcpu)->icp;
	u32 xirr;

	fake_lock();
	xirr = (u32)icp->cppr << 24 | icp->xisr;
	if (icp->xisr) {
		icp->cppr = icp->pending;
		icp->pending = MASKED;
		icp->xisr = 0;
	}
	fake_unlock();
	return xirr;
}

void fake_xics_eoi(struct fake_vcpu *vcpu, u32 xirr)
{
	u32 irq = xirr & 0xffffff;
	struct fake_source *src;

	fake_lock();
	fake_ppc_cpu(vcpu)->icp.cppr = (u8)(xirr >> 24);
	src = irq > IPI ? source_of(vcpu->obj.vm, irq) : NULL;
	if (src && !src->lsi) {
		src->p = src->q;
		src->q = false;
	}
	if (src && src->p)
		deliver(vcpu->obj.vm, irq);
	resend(vcpu->obj.vm);
	fake_unlock();
}

/* ---- vCPUs --------------------------------------------------------------------------------------------- */

int fake_xics_connect(struct fake_vcpu *vcpu, u64 fd, u64 server)
{
	struct fake_ppc_vcpu *cpu = fake_ppc_cpu(vcpu);
	struct fake_xics *xics;
	int err;

	if (!fake_ppc_device(vcpu->obj.vm, fd, &fake_xics_type, &err))
		return err;
	if (cpu->irq_cap)
		return -EBUSY;
	xics = fake_xics_of(vcpu->obj.vm);
	if (xics->on_xive && server >= xics->nr_servers)
		return -EINVAL;
	if (fake_ppc_server(vcpu->obj.vm, (u32)server))
		return -EEXIST;
	cpu->irq_cap = KVM_CAP_IRQ_XICS;
	cpu->server = (u32)server;
	cpu->icp = (struct fake_icp){.there = true, .server = (u32)server, .mfrr = MASKED, .pending = MASKED};
	xics->connected = true;
	return 0;
}

int fake_xics_get_icp(struct fake_vcpu *vcpu, u64 addr)
{
	const struct fake_icp *icp = &fake_ppc_cpu(vcpu)->icp;
	u64 val = 0;

	if (icp->there)
		val = (u64)icp->cppr << KVM_REG_PPC_ICP_CPPR_SHIFT |
		      (u64)icp->xisr << KVM_REG_PPC_ICP_XISR_SHIFT |
		      (u64)icp->mfrr << KVM_REG_PPC_ICP_MFRR_SHIFT |
		      (u64)icp->pending << KVM_REG_PPC_ICP_PPRI_SHIFT;
	return fake_copy_to(addr, &val, sizeof(val));
}

int fake_xics_set_icp(struct fake_vcpu *vcpu, u64 addr)
{
	struct fake_icp *icp = &fake_ppc_cpu(vcpu)->icp, new = *icp;
	u64 val;

	if (fake_copy_from(&val, addr, sizeof(val)))
		return -EFAULT;
	if (!icp->there)
		return -ENOENT;
	new.cppr = (u8)(val >> KVM_REG_PPC_ICP_CPPR_SHIFT);
	new.xisr = val >> KVM_REG_PPC_ICP_XISR_SHIFT &KVM_REG_PPC_ICP_XISR_MASK;
	new.mfrr = (u8)(val >> KVM_REG_PPC_ICP_MFRR_SHIFT);
	new.pending = (u8)(val >> KVM_REG_PPC_ICP_PPRI_SHIFT);
	/* It must make sense by itself, and the source be there. */
	if (!new.xisr	      ? new.pending != MASKED
	    : new.xisr == IPI ? new.pending != new.mfrr || new.pending >= new.cppr
			      : new.pending >= new.mfrr || new.pending >= new.cppr ||
					!source_of(vcpu->obj.vm, new.xisr))
		return -EINVAL;
	*icp = new;
	resend(vcpu->obj.vm);
	return 0;
}

/* ---- attributes --------------------------------------------------------------------------------- */

static int create(struct fake_device *dev)
{
	struct fake_ppc_vm *ppc = fake_ppc(dev->obj.vm);
	struct fake_xics *xics;

	if (ppc->xics || ppc->xive)
		return -EEXIST;
	xics = calloc(1, sizeof(*xics));
	if (!xics)
		abort();
	xics->on_xive = fake_cap(KVM_CAP_PPC_IRQ_XIVE);
	xics->nr_servers = FAKE_MAX_VCPUS;
	dev->priv = xics;
	ppc->xics = dev;
	return 0;
}

static void destroy(struct fake_device *dev)
{
	free(dev->priv);
}

static int get_source(struct fake_vm *vm, const struct kvm_device_attr *attr)
{
	struct fake_xics *xics = fake_xics_of(vm);
	const struct fake_source *src = source_of(vm, attr->attr);
	u64 val, exist = 0;
	u8 priority;

	if (!src || !src->exists)
		return -ENOENT;
	for (u32 i = 0; i < FAKE_SOURCES; i++)
		exist += xics->source[i].exists;
	if (++xics->reads == exist)
		xics->reads = 0;
	priority = src->priority;
	val = src->server;
	if (priority == MASKED) {
		val |= KVM_XICS_MASKED;
		priority = src->saved_priority;
	}
	val |= (u64)priority << KVM_XICS_PRIORITY_SHIFT;
	if (src->lsi)
		val |= KVM_XICS_LEVEL_SENSITIVE | (src->p ? KVM_XICS_PENDING : 0);
	else if (src->masked_pending || src->resend)
		val |= KVM_XICS_PENDING;
	val |= (src->p ? KVM_XICS_PRESENTED : 0) | (src->q ? KVM_XICS_QUEUED : 0);
	return fake_copy_to(attr->addr, &val, sizeof(val));
}

static int set_source(struct fake_vm *vm, const struct kvm_device_attr *attr)
{
	struct fake_source *src = source_of(vm, attr->attr);
	u64 val;
	u8 priority;

	if (attr->attr < FAKE_XICS_FIRST || attr->attr >= FAKE_XICS_SOURCES)
		return -ENOENT;
	if (!src)
		abort(); /* more than the fake keeps */
	if (fake_copy_from(&val, attr->addr, sizeof(val)))
		return -EFAULT;
	priority = (u8)(val >> KVM_XICS_PRIORITY_SHIFT);
	if (priority != MASKED && !fake_ppc_server(vm, (u32)val))
		return -EINVAL;
	*src = (struct fake_source){.exists = true,
				    .server = (u32)val,
				    .saved_priority = priority,
				    .priority = val & KVM_XICS_MASKED ? MASKED : priority,
				    .lsi = val & KVM_XICS_LEVEL_SENSITIVE,
				    .p = val & (KVM_XICS_PRESENTED | KVM_XICS_PENDING),
				    .q = val & KVM_XICS_QUEUED};
	if (val & KVM_XICS_PENDING)
		deliver(vm, (u32)attr->attr);
	return 0;
}

static int set_nr_servers(struct fake_xics *xics, u64 addr)
{
	u32 n;

	if (fake_copy_from(&n, addr, sizeof(n)))
		return -EFAULT;
	if (!n || n > MAX_IDS)
		return -EINVAL;
	if (xics->connected)
		return -EBUSY;
	xics->nr_servers = (u32)min_u64(n, FAKE_MAX_VCPUS);
	return 0;
}

static bool is_nr_servers(const struct fake_device *dev, const struct kvm_device_attr *attr)
{
	const struct fake_xics *xics = dev->priv;

	return xics->on_xive && attr->group == KVM_DEV_XICS_GRP_CTRL && attr->attr == KVM_DEV_XICS_NR_SERVERS;
}

static int has(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	if (is_nr_servers(dev, attr))
		return 0;
	return attr->group == KVM_DEV_XICS_GRP_SOURCES && attr->attr >= FAKE_XICS_FIRST &&
			       attr->attr < FAKE_XICS_SOURCES
		       ? 0
		       : -ENXIO;
}

static int get(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	return attr->group == KVM_DEV_XICS_GRP_SOURCES ? get_source(dev->obj.vm, attr) : -ENXIO;
}

static int set(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	if (is_nr_servers(dev, attr))
		return set_nr_servers(dev->priv, attr->addr);
	return attr->group == KVM_DEV_XICS_GRP_SOURCES ? set_source(dev->obj.vm, attr) : -ENXIO;
}

const struct fake_device_type fake_xics_type = {
	.type = KVM_DEV_TYPE_XICS,
	.name = "xics",
	.create = create,
	.destroy = destroy,
	.has = has,
	.get = get,
	.set = set,
};

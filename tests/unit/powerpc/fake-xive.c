/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's XIVE (virt/kvm/devices/xive.rst): sources with the two bits of their ESB, queues in guest
 * memory, a context a vCPU.
 *
 * Rules and errnos of Linux 6.1. The pages that are mapped are plain memory: whoever loads from one and
 * expects something of it calls fake_xive_load(). Called with the fake's lock held, but for that and the
 * other calls for tests, which take it.
 */
#include "fake-ppc.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define P	    2u
#define Q	    1u
#define MAX_IDS	    2048u
#define QUEUE_SHIFT 16u
#define VP_CPPR	    1u /* bytes of the context */
#define VP_IPB	    2u

static struct fake_xive_source *source_of(const struct fake_vm *vm, u64 source)
{
	struct fake_xive *xive = fake_xive_of(vm);

	return xive && source < FAKE_SOURCES ? &xive->source[source] : NULL;
}

/* ---- events --------------------------------------------------------------------------------------- */

/* Into the queue, whose entries have a bit that turns over with each round. */
static void notify(struct fake_vm *vm, struct fake_xive_source *src)
{
	struct fake_vcpu *vcpu = src->masked ? NULL : fake_ppc_server(vm, src->server);
	struct kvm_ppc_xive_eq *eq = vcpu ? &fake_ppc_cpu(vcpu)->eq[src->priority] : NULL;
	u32 entries, event, *at;

	if (!eq || !eq->qshift)
		return;
	src->notified++;
	entries = 1u << (eq->qshift - 2);
	at = fake_vm_mem(vm, eq->qaddr + 4ull * eq->qindex, 4);
	if (!at)
		abort();
	event = htobe32(eq->qtoggle << 31 | src->eisn);
	memcpy(at, &event, sizeof(event));
	eq->qindex = (eq->qindex + 1) % entries;
	if (!eq->qindex)
		eq->qtoggle ^= 1;
	((u8 *)fake_ppc_cpu(vcpu)->vp)[VP_IPB] |= (u8)(0x80u >> src->priority);
	fake_vcpu_wake(vcpu);
}

static void trigger(struct fake_vm *vm, struct fake_xive_source *src)
{
	if (src->pq == 0) {
		src->pq = P;
		notify(vm, src);
	} else if (src->pq == P) {
		src->pq = P | Q;
	}
}

u64 fake_xive_load(struct fake_vm *vm, u32 source, u32 offset)
{
	struct fake_xive_source *src;
	u8 was;

	fake_lock();
	src = source_of(vm, source);
	if (!src || !src->valid)
		abort(); /* a SIGBUS */
	was = src->pq;
	if (offset < 0x400) {
		src->pq = was & Q ? P : 0;
		if (was == (P | Q))
			notify(vm, src);
	} else if (offset >= 0xc00) {
		src->pq = offset >> 8 & (P | Q);
	}
	fake_unlock();
	return was;
}

void fake_xive_trigger(struct fake_vm *vm, u32 source)
{
	fake_lock();
	if (!source_of(vm, source) || !source_of(vm, source)->valid)
		abort();
	trigger(vm, source_of(vm, source));
	fake_unlock();
}

int fake_xive_line(struct fake_vm *vm, u32 irq, bool level)
{
	struct fake_xive_source *src = source_of(vm, irq);

	if (!src || !src->valid)
		return -EINVAL;
	if (src->lsi)
		src->asserted = level;
	if (level)
		trigger(vm, src);
	return 0;
}

/* ---- vCPUs ------------------------------------------------------------------------------------------ */

int fake_xive_connect(struct fake_vcpu *vcpu, u64 fd, u64 server)
{
	struct fake_ppc_vcpu *cpu = fake_ppc_cpu(vcpu);
	struct fake_xive *xive;
	int err;

	if (!fake_ppc_device(vcpu->obj.vm, fd, &fake_xive_type, &err))
		return err;
	if (cpu->irq_cap)
		return -EBUSY;
	xive = fake_xive_of(vcpu->obj.vm);
	if (server >= xive->nr_servers)
		return -EINVAL;
	if (fake_ppc_server(vcpu->obj.vm, (u32)server))
		return -EEXIST;
	cpu->irq_cap = KVM_CAP_PPC_IRQ_XIVE;
	cpu->server = (u32)server;
	cpu->vp[0] = htobe64(0xff000000);
	xive->connected = true;
	return 0;
}

/* Of the second double word the kernel writes nothing: there is whatever there was. */
int fake_xive_vp(struct fake_vcpu *vcpu, bool set, u64 addr)
{
	struct fake_ppc_vcpu *cpu = fake_ppc_cpu(vcpu);
	u64 vp[2] = {0, ++cpu->junk};

	if (cpu->irq_cap != KVM_CAP_PPC_IRQ_XIVE)
		return -EPERM;
	if (!set) {
		vp[0] = cpu->vp[0];
		return fake_copy_to(addr, vp, sizeof(vp));
	}
	if (fake_copy_from(vp, addr, sizeof(vp)))
		return -EFAULT;
	cpu->vp[0] = vp[0];
	return 0;
}

/* ---- attributes --------------------------------------------------------------------------------------- */

static int create(struct fake_device *dev)
{
	struct fake_ppc_vm *ppc = fake_ppc(dev->obj.vm);
	struct fake_xive *xive;

	if (ppc->xics || ppc->xive)
		return -EEXIST;
	xive = calloc(1, sizeof(*xive));
	if (!xive)
		abort();
	xive->nr_servers = FAKE_MAX_VCPUS;
	dev->priv = xive;
	ppc->xive = dev;
	return 0;
}

static void destroy(struct fake_device *dev)
{
	free(dev->priv);
}

static void *map(struct fake_device *dev, size_t len, u64 offset)
{
	u64 page = (u64)sysconf(_SC_PAGESIZE), first = offset / page, n = (len + page - 1) / page;
	void *p;

	if (offset % page || !n ||
	    !((first == KVM_XIVE_TIMA_PAGE_OFFSET && n <= 4) ||
	      (first == KVM_XIVE_ESB_PAGE_OFFSET && n <= 2 * FAKE_XICS_SOURCES)))
		return NULL;
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static int set_source(struct fake_vm *vm, const struct kvm_device_attr *attr)
{
	struct fake_xive_source *src = source_of(vm, attr->attr);
	u64 val;

	if (attr->attr >= FAKE_XICS_SOURCES)
		return -E2BIG;
	if (!src)
		abort(); /* more than the fake keeps */
	if (fake_copy_from(&val, attr->addr, sizeof(val)))
		return -EFAULT;
	if (val & KVM_XIVE_LEVEL_SENSITIVE) {
		src->lsi = true;
		src->asserted |= !!(val & KVM_XIVE_LEVEL_ASSERTED);
	}
	src->valid = true;
	src->masked = true;
	src->pq = Q;
	return 0;
}

static int set_config(struct fake_vm *vm, const struct kvm_device_attr *attr)
{
	struct fake_xive_source *src = source_of(vm, attr->attr);
	struct fake_vcpu *vcpu;
	u32 server;
	u8 priority;
	u64 val;

	if (!src)
		return -ENOENT;
	if (!src->valid)
		return -EINVAL;
	if (fake_copy_from(&val, attr->addr, sizeof(val)))
		return -EFAULT;
	priority = val & KVM_XIVE_SOURCE_PRIORITY_MASK;
	server = (u32)((val & KVM_XIVE_SOURCE_SERVER_MASK) >> KVM_XIVE_SOURCE_SERVER_SHIFT);
	if (priority == 7)
		return -EINVAL;
	if (val & KVM_XIVE_SOURCE_MASKED_MASK) {
		src->masked = true;
		src->server = src->eisn = 0;
		return 0;
	}
	vcpu = fake_ppc_server(vm, server);
	if (!vcpu)
		abort(); /* the kernel takes it for a fault of its own: a WARN_ON() */
	if (!fake_ppc_cpu(vcpu)->eq[priority].qshift)
		return -ENXIO;
	src->masked = false;
	src->server = server;
	src->priority = priority;
	src->eisn = (u32)(val >> KVM_XIVE_SOURCE_EISN_SHIFT);
	return 0;
}

static struct kvm_ppc_xive_eq *queue_of(struct fake_vm *vm, u64 attr, int *err)
{
	struct fake_vcpu *vcpu = fake_ppc_server(vm, (u32)((attr & KVM_XIVE_EQ_SERVER_MASK) >> 3));
	u32 priority = attr & KVM_XIVE_EQ_PRIORITY_MASK;

	*err = !vcpu ? -ENOENT : priority == 7 ? -EINVAL : 0;
	return *err ? NULL : &fake_ppc_cpu(vcpu)->eq[priority];
}

static int set_queue(struct fake_vm *vm, const struct kvm_device_attr *attr)
{
	struct kvm_ppc_xive_eq eq, *to;
	int err;

	if (fake_copy_from(&eq, attr->addr, sizeof(eq)))
		return -EFAULT;
	to = queue_of(vm, attr->attr, &err);
	if (!to)
		return err;
	if (!eq.qshift) {
		*to = (struct kvm_ppc_xive_eq){0};
		return 0;
	}
	if (eq.flags != KVM_XIVE_EQ_ALWAYS_NOTIFY || eq.qshift != QUEUE_SHIFT ||
	    eq.qaddr & ((1u << QUEUE_SHIFT) - 1) || !fake_vm_mem(vm, eq.qaddr, 1u << QUEUE_SHIFT))
		return -EINVAL;
	*to = eq;
	return 0;
}

static int get_queue(struct fake_vm *vm, const struct kvm_device_attr *attr)
{
	struct kvm_ppc_xive_eq *eq;
	int err;

	eq = queue_of(vm, attr->attr, &err);
	if (!eq || !eq->qshift)
		return err; /* nothing is written where there is no queue */
	return fake_copy_to(attr->addr, eq, sizeof(*eq));
}

static void reset(struct fake_vm *vm)
{
	struct fake_xive *xive = fake_xive_of(vm);

	xive->resets++;
	for (u32 i = 0; i < vm->nr_vcpus; i++)
		memset(fake_ppc_cpu(vm->vcpu[i])->eq, 0, sizeof(fake_ppc_cpu(vm->vcpu[i])->eq));
	for (u32 i = 0; i < FAKE_SOURCES; i++)
		if (xive->source[i].valid && !xive->source[i].masked) {
			xive->source[i].masked = true;
			xive->source[i].pq = Q;
			xive->source[i].eisn = xive->source[i].server = 0;
		}
}

static int set_nr_servers(struct fake_xive *xive, u64 addr)
{
	u32 n;

	if (fake_copy_from(&n, addr, sizeof(n)))
		return -EFAULT;
	if (!n || n > MAX_IDS)
		return -EINVAL;
	if (xive->connected)
		return -EBUSY;
	xive->nr_servers = (u32)min_u64(n, FAKE_MAX_VCPUS);
	return 0;
}

static int set_ctrl(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	struct fake_xive *xive = dev->priv;

	switch (attr->attr) {
	case KVM_DEV_XIVE_RESET:
		reset(dev->obj.vm);
		return 0;
	case KVM_DEV_XIVE_EQ_SYNC:
		xive->eq_syncs++;
		return 0;
	case KVM_DEV_XIVE_NR_SERVERS:
		return set_nr_servers(xive, attr->addr);
	default:
		return -ENXIO;
	}
}

static int sync_source(struct fake_vm *vm, u64 source)
{
	struct fake_xive_source *src = source_of(vm, source);

	if (!src || !src->valid)
		return src ? -EINVAL : -ENOENT;
	src->syncs++;
	return 0;
}

static int set(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	switch (attr->group) {
	case KVM_DEV_XIVE_GRP_CTRL:
		return set_ctrl(dev, attr);
	case KVM_DEV_XIVE_GRP_SOURCE:
		return set_source(dev->obj.vm, attr);
	case KVM_DEV_XIVE_GRP_SOURCE_CONFIG:
		return set_config(dev->obj.vm, attr);
	case KVM_DEV_XIVE_GRP_EQ_CONFIG:
		return set_queue(dev->obj.vm, attr);
	case KVM_DEV_XIVE_GRP_SOURCE_SYNC:
		return sync_source(dev->obj.vm, attr->attr);
	default:
		return -ENXIO;
	}
}

static int get(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	return attr->group == KVM_DEV_XIVE_GRP_EQ_CONFIG ? get_queue(dev->obj.vm, attr) : -ENXIO;
}

static int has(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	switch (attr->group) {
	case KVM_DEV_XIVE_GRP_CTRL:
		return attr->attr >= KVM_DEV_XIVE_RESET && attr->attr <= KVM_DEV_XIVE_NR_SERVERS ? 0 : -ENXIO;
	case KVM_DEV_XIVE_GRP_SOURCE:
	case KVM_DEV_XIVE_GRP_SOURCE_CONFIG:
	case KVM_DEV_XIVE_GRP_SOURCE_SYNC:
		return attr->attr < FAKE_XICS_SOURCES ? 0 : -ENXIO;
	case KVM_DEV_XIVE_GRP_EQ_CONFIG:
		return 0;
	default:
		return -ENXIO;
	}
}

const struct fake_device_type fake_xive_type = {
	.type = KVM_DEV_TYPE_XIVE,
	.name = "xive",
	.create = create,
	.destroy = destroy,
	.has = has,
	.get = get,
	.set = set,
	.map = map,
};

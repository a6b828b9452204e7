/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's MPIC (virt/kvm/devices/mpic.rst), 2.0 and 4.2: sources, messages, inter-processor interrupts
 * and what of them reaches a vCPU; what the guest's accesses do.
 *
 * Rules and errnos of Linux 6.1: registers by attribute have the side effects of a guest's accesses; of the
 * timers there is nothing, for they do not count. Called with the fake's lock held, but for the guest's
 * accesses, which take it.
 */
#include "fake-ppc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IVPR_MASK    0x80000000u
#define IVPR_ACTIVE  0x40000000u
#define IVPR_POL     0x00800000u
#define IVPR_SENSE   0x00400000u
#define IVPR_WRITTEN (IVPR_MASK | IVPR_POL | IVPR_SENSE | 0x000fffffu)
#define GCR_RESET    0x80000000u

static bool is_ipi(u32 n)
{
	return n >= FAKE_MPIC_IPI;
}

/* From 16 on they are internal ones, which are by level alone. */
static bool by_level(const struct fake_mpic *m, u32 n)
{
	return !is_ipi(n) && (n >= 16 || m->src[n].ivpr & IVPR_SENSE);
}

/* Those have another output, which is not modelled: nothing of them is seen. */
static bool is_critical(const struct fake_mpic *m, u32 n)
{
	return m->v4 ? m->src[n].ilr : m->src[n].idr & 0x7fff0000;
}

static bool is_active(const struct fake_mpic *m, u32 n)
{
	return m->src[n].pending && !(m->src[n].ivpr & IVPR_MASK);
}

static u32 priority(const struct fake_mpic *m, u32 n)
{
	return m->src[n].ivpr >> 16 & 15;
}

static u32 all_cpus(const struct fake_mpic *m)
{
	return (u32)((1ull << m->nr_cpus) - 1);
}

static u32 ivpr_of(const struct fake_mpic *m, u32 n)
{
	return m->src[n].ivpr | (is_active(m, n) ? IVPR_ACTIVE : 0);
}

static void write_ivpr(struct fake_mpic *m, u32 n, u32 v)
{
	v &= IVPR_WRITTEN;
	if (is_ipi(n))
		v &= ~(IVPR_POL | IVPR_SENSE);
	else if (n >= 16)
		v &= ~IVPR_SENSE;
	m->src[n].ivpr = v;
}

static void write_idr(struct fake_mpic *m, u32 n, u32 v)
{
	u32 mask = all_cpus(m);

	/* The critical outputs, from bit 30 down, and the external pin. */
	if (!m->v4)
		mask |= (m->nr_cpus < 31 ? mask << (31 - m->nr_cpus) : 0) | 1u << 31;
	m->src[n].idr = v & mask;
	m->src[n].to = v & all_cpus(m);
}

static void set_source(struct fake_mpic *m, u32 n, bool level)
{
	if (by_level(m, n))
		m->src[n].pending = level;
	else if (level)
		m->src[n].pending = true;
}

/* What is pending stays so. A destination can only be a vCPU that is there by now. */
static void reset(struct fake_mpic *m)
{
	m->resets++;
	m->gcr = 0;
	m->svr = 0xffff;
	m->tfrr = 0;
	for (u32 n = 0; n < FAKE_MPIC_ALL; n++) {
		m->src[n].ivpr = IVPR_MASK | (n >= 16 && !is_ipi(n) ? IVPR_POL : 0);
		write_idr(m, n, 1);
	}
	memset(m->in_service, 0, sizeof(m->in_service));
	memset(m->ctpr, 15, sizeof(m->ctpr));
}

/* ---- what a vCPU sees --------------------------------------------------------------------------------- */

/* The most urgent one in service, or -1. */
static int served(const struct fake_mpic *m, u32 cpu)
{
	int found = -1;

	for (u32 n = 0; n < FAKE_MPIC_ALL; n++)
		if (m->in_service[cpu][n] && (found < 0 || priority(m, n) > priority(m, (u32)found)))
			found = (int)n;
	return found;
}

/* The most urgent one that reaches the vCPU, or -1. */
static int best(const struct fake_mpic *m, u32 cpu)
{
	int serving = served(m, cpu), found = -1;
	u32 floor = m->ctpr[cpu];

	if (serving >= 0 && priority(m, (u32)serving) > floor)
		floor = priority(m, (u32)serving);
	for (u32 n = 0; n < FAKE_MPIC_ALL; n++) {
		u32 to = is_ipi(n) ? m->src[n].to : m->src[n].idr & all_cpus(m);

		if (!is_active(m, n) || !(to >> cpu & 1) || is_critical(m, n) || priority(m, n) <= floor)
			continue;
		if (found < 0 || priority(m, n) > priority(m, (u32)found))
			found = (int)n;
	}
	return found;
}

static u32 acknowledge(struct fake_mpic *m, u32 cpu)
{
	int found = best(m, cpu);
	struct fake_mpic_source *src = found < 0 ? NULL : &m->src[found];

	if (!src)
		return m->svr;
	m->in_service[cpu][found] = true;
	if (is_ipi((u32)found)) {
		src->to &= ~(1u << cpu);
		src->pending = src->to;
	} else if (!by_level(m, (u32)found)) {
		src->pending = false;
	}
	return src->ivpr & 0xffff;
}

static void end(struct fake_mpic *m, u32 cpu)
{
	int found = served(m, cpu);

	if (found >= 0)
		m->in_service[cpu][found] = false;
}

u32 fake_mpic_accept(struct fake_vm *vm, u32 cpu)
{
	u32 vector;

	fake_lock();
	vector = acknowledge(fake_mpic_of(vm), cpu);
	fake_unlock();
	return vector;
}

void fake_mpic_eoi(struct fake_vm *vm, u32 cpu)
{
	fake_lock();
	end(fake_mpic_of(vm), cpu);
	fake_unlock();
}

/* ---- registers -------------------------------------------------------------------------------------- */

/* Where in the space, as the kernel cuts it up. What lies in no part is not there (ENXIO). */
enum part { GLOBAL, TIMERS, MESSAGES, SUMMARY, SOURCES, CPUS, NOWHERE };

static enum part part_of(u64 at)
{
	static const struct {
		u32 start, size;
	} parts[] = {
		[GLOBAL] = {0, 0x10f0},
		[TIMERS] = {0x10f0, 0x220},
		[MESSAGES] = {0x1600, 0x200},
		[SUMMARY] = {0x3800, 0x800},
		[SOURCES] = {0x10000, FAKE_MPIC_SOURCES * 0x20},
		[CPUS] = {0x20000, (FAKE_MPIC_CPUS - 1) * 0x1000 + 0x100},
	};

	for (u32 i = 0; i < ARRAY_SIZE(parts); i++)
		if (range_inside(at, 1, parts[i].start, parts[i].size))
			return (enum part)i;
	return NOWHERE;
}

static u32 read_global(const struct fake_mpic *m, u32 at)
{
	switch (at) {
	case 0x0:
		return m->v4 ? 0x00400402 : 0x00400200;
	case 0x1000:
		/* With no vCPU the number runs over, as it does in the kernel. */
		return ((m->v4 ? 196u : 80u) - 1) << 16 | (m->nr_cpus - 1) << 8 | 2;
	case 0x1020:
		return m->gcr;
	case 0x1080:
	case 0x1090:
		return 0;
	case 0x10a0:
	case 0x10b0:
	case 0x10c0:
	case 0x10d0:
		return ivpr_of(m, FAKE_MPIC_IPI + ((at - 0x10a0) >> 4));
	case 0x10e0:
		return m->svr;
	default:
		return ~0u; /* also what is a vCPU's own: the caller is none */
	}
}

static int write_global(struct fake_mpic *m, u32 at, u32 v)
{
	switch (at) {
	case 0x1020:
		if (v & GCR_RESET)
			reset(m);
		else
			m->gcr = v & (m->v4 ? 0x60000000 : 0x20000000);
		return 0;
	case 0x1090:
		return -ENXIO; /* the guest resets a processor: not the kernel's affair */
	case 0x10a0:
	case 0x10b0:
	case 0x10c0:
	case 0x10d0:
		write_ivpr(m, FAKE_MPIC_IPI + ((at - 0x10a0) >> 4), v);
		return 0;
	case 0x10e0:
		m->svr = v & 0xffff;
		return 0;
	default:
		return 0;
	}
}

static int read_message(struct fake_mpic *m, u32 at, u32 *v)
{
	u32 group = (at - 0x1600) >> 4;

	*v = 0;
	if (at & 15)
		return -ENXIO;
	if (group < 8) {
		*v = m->msir[group];
		m->msir[group] = 0;
		set_source(m, FAKE_MPIC_MSI + group, false);
	} else if (at == 0x1720) {
		for (u32 i = 0; i < 8; i++)
			*v |= m->msir[i] ? 1u << i : 0;
	}
	return 0;
}

void fake_mpic_message(struct fake_vm *vm, u32 data)
{
	struct fake_mpic *m = fake_mpic_of(vm);

	m->msir[data >> 29] |= 1u << (data >> 24 & 31);
	set_source(m, FAKE_MPIC_MSI + (data >> 29), true);
}

static u32 read_source(const struct fake_mpic *m, u32 at)
{
	const u32 n = (at & 0xffff) >> 5;

	switch (at & 31) {
	case 0x0:
		return ivpr_of(m, n);
	case 0x10:
		return m->src[n].idr;
	case 0x18:
		return m->v4 ? m->src[n].ilr : ~0u;
	default:
		return ~0u;
	}
}

static void write_source(struct fake_mpic *m, u32 at, u32 v)
{
	const u32 n = (at & 0xffff) >> 5;

	if ((at & 31) == 0)
		write_ivpr(m, n, v);
	else if ((at & 31) == 0x10)
		write_idr(m, n, v);
	else if ((at & 31) == 0x18 && m->v4)
		m->src[n].ilr = v & 0xff;
}

static u32 read_cpu(struct fake_mpic *m, u32 cpu, u32 at)
{
	switch (at) {
	case 0x80:
		return m->ctpr[cpu];
	case 0x90:
		return cpu;
	case 0xa0:
		return acknowledge(m, cpu);
	case 0xb0:
		return 0;
	default:
		return ~0u;
	}
}

static void write_cpu(struct fake_mpic *m, u32 cpu, u32 at, u32 v)
{
	if (at >= 0x40 && at < 0x80) {
		struct fake_mpic_source *ipi = &m->src[FAKE_MPIC_IPI + ((at - 0x40) >> 4)];

		ipi->to |= v;
		ipi->pending = true;
	} else if (at == 0x80) {
		m->ctpr[cpu] = (u8)(v & 15);
	} else if (at == 0xb0) {
		end(m, cpu);
	}
}

static int reg_get(struct fake_mpic *m, u64 at, u32 *v)
{
	*v = ~0u;
	switch (part_of(at)) {
	case GLOBAL:
		*v = read_global(m, (u32)at);
		return 0;
	case TIMERS:
		*v = at == 0x10f0 ? m->tfrr : ~0u;
		return 0;
	case MESSAGES:
		return read_message(m, (u32)at, v);
	case SUMMARY:
		*v = 0;
		return 0;
	case SOURCES:
		*v = read_source(m, (u32)at);
		return 0;
	case CPUS:
		*v = at & 15 ? ~0u : read_cpu(m, (at >> 12) & 31, at & 0xff0);
		return 0;
	default:
		return -ENXIO;
	}
}

static int reg_set(struct fake_vm *vm, u64 at, u32 v)
{
	struct fake_mpic *m = fake_mpic_of(vm);

	switch (part_of(at)) {
	case GLOBAL:
		return write_global(m, (u32)at, v);
	case TIMERS:
		if (at == 0x10f0)
			m->tfrr = v;
		return 0;
	case MESSAGES:
		if (at == 0x1740)
			fake_mpic_message(vm, v);
		return 0;
	case SUMMARY:
		return 0;
	case SOURCES:
		write_source(m, (u32)at, v);
		return 0;
	case CPUS:
		if (!(at & 15))
			write_cpu(m, (at >> 12) & 31, at & 0xff0, v);
		return 0;
	default:
		return -ENXIO;
	}
}

void fake_mpic_write(struct fake_vm *vm, u32 at, u32 v)
{
	fake_lock();
	if (reg_set(vm, at, v))
		abort();
	fake_unlock();
}

u32 fake_mpic_read(struct fake_vm *vm, u32 at)
{
	u32 v;

	fake_lock();
	if (reg_get(fake_mpic_of(vm), at, &v))
		abort();
	fake_unlock();
	return v;
}

void fake_mpic_gsi(struct fake_vm *vm, u32 gsi, bool level)
{
	for (u32 i = 0; i < vm->nr_routes; i++) {
		const struct kvm_irq_routing_entry *e = &vm->route[i];

		if (e->gsi != gsi)
			continue;
		if (e->type == KVM_IRQ_ROUTING_IRQCHIP)
			set_source(fake_mpic_of(vm), e->u.irqchip.pin, level);
		else /* whatever the level: an irqfd's pulse sends it twice */
			fake_mpic_message(vm, e->u.msi.data);
	}
}

/* ---- the device ------------------------------------------------------------------------------------- */

int fake_mpic_connect(struct fake_vcpu *vcpu, u64 fd, u64 cpu)
{
	struct fake_ppc_vcpu *c = fake_ppc_cpu(vcpu);
	struct fake_mpic *m;
	int err;

	if (!fake_ppc_device(vcpu->obj.vm, fd, &fake_mpic_20_type, &err) &&
	    !fake_ppc_device(vcpu->obj.vm, fd, &fake_mpic_42_type, &err))
		return err;
	m = fake_mpic_of(vcpu->obj.vm);
	if (cpu >= FAKE_MPIC_CPUS)
		return -EPERM;
	if (m->connected >> cpu & 1)
		return -EEXIST;
	if (c->irq_cap)
		return -EBUSY;
	m->connected |= 1u << cpu;
	m->nr_cpus = m->nr_cpus > cpu ? m->nr_cpus : (u32)cpu + 1;
	c->irq_cap = KVM_CAP_IRQ_MPIC;
	c->mpic_cpu = (u32)cpu;
	return 0;
}

static int create(struct fake_device *dev)
{
	struct fake_ppc_vm *ppc = fake_ppc(dev->obj.vm);
	struct fake_mpic *m;

	if (ppc->mpic)
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		abort();
	m->v4 = dev->type->type == KVM_DEV_TYPE_FSL_MPIC_42;
	reset(m);
	dev->priv = m;
	ppc->mpic = dev;
	dev->obj.vm->nr_routes = 0;
	return 0;
}

static void destroy(struct fake_device *dev)
{
	free(dev->priv);
}

static int has(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	switch (attr->group) {
	case KVM_DEV_MPIC_GRP_MISC:
		return attr->attr == KVM_DEV_MPIC_BASE_ADDR ? 0 : -ENXIO;
	case KVM_DEV_MPIC_GRP_REGISTER:
		return 0;
	case KVM_DEV_MPIC_GRP_IRQ_ACTIVE:
		/* One more than there are sources: the kernel's own slip. */
		return attr->attr <= FAKE_MPIC_SOURCES ? 0 : -ENXIO;
	default:
		return -ENXIO;
	}
}

static int get(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	struct fake_mpic *m = dev->priv;
	u32 v;
	int err;

	switch (attr->group) {
	case KVM_DEV_MPIC_GRP_MISC:
		return attr->attr == KVM_DEV_MPIC_BASE_ADDR ? fake_copy_to(attr->addr, &m->base, 8) : -ENXIO;
	case KVM_DEV_MPIC_GRP_REGISTER:
		err = attr->attr & 3 ? -ENXIO : reg_get(m, attr->attr, &v);
		return err ? err : fake_copy_to(attr->addr, &v, sizeof(v));
	case KVM_DEV_MPIC_GRP_IRQ_ACTIVE:
		if (attr->attr > FAKE_MPIC_SOURCES)
			return -EINVAL;
		v = m->src[attr->attr].pending;
		return fake_copy_to(attr->addr, &v, sizeof(v));
	default:
		return -ENXIO;
	}
}

static int set_base(struct fake_mpic *m, u64 addr)
{
	u64 base;

	if (fake_copy_from(&base, addr, sizeof(base)))
		return -EFAULT;
	if (base & 0x3ffff)
		return -EINVAL;
	m->base = base; /* 0: mapped nowhere */
	return 0;
}

static int set(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	u32 v;

	if (attr->group == KVM_DEV_MPIC_GRP_MISC)
		return attr->attr == KVM_DEV_MPIC_BASE_ADDR ? set_base(dev->priv, attr->addr) : -ENXIO;
	if (attr->group == KVM_DEV_MPIC_GRP_IRQ_ACTIVE && attr->attr > FAKE_MPIC_SOURCES)
		return -EINVAL;
	if (attr->group != KVM_DEV_MPIC_GRP_REGISTER && attr->group != KVM_DEV_MPIC_GRP_IRQ_ACTIVE)
		return -ENXIO;
	if (fake_copy_from(&v, attr->addr, sizeof(v)))
		return -EFAULT;
	if (attr->group == KVM_DEV_MPIC_GRP_REGISTER)
		return attr->attr & 3 ? -ENXIO : reg_set(dev->obj.vm, attr->attr, v);
	if (v > 1)
		return -EINVAL;
	set_source(dev->priv, (u32)attr->attr, v);
	return 0;
}

#define MPIC_TYPE(kind, text)                                                                                \
	{                                                                                                    \
		.type = (kind), .name = (text), .create = create, .destroy = destroy, .has = has,            \
		.get = get, .set = set                                                                       \
	}

const struct fake_device_type fake_mpic_20_type = MPIC_TYPE(KVM_DEV_TYPE_FSL_MPIC_20, "fsl-mpic-20");
const struct fake_device_type fake_mpic_42_type = MPIC_TYPE(KVM_DEV_TYPE_FSL_MPIC_42, "fsl-mpic-42");

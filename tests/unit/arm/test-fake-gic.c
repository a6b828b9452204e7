/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's interrupt controllers against what the kernel's documentation and selftests say of the real
 * ones: which errno comes when, what is read after what was written, and what the first KVM_RUN objects to.
 */
#include "raw-vm.h"

#include <stdlib.h>
#include <sys/mman.h>

#define ADDR	KVM_DEV_ARM_VGIC_GRP_ADDR
#define DIST	KVM_DEV_ARM_VGIC_GRP_DIST_REGS
#define CPU	KVM_DEV_ARM_VGIC_GRP_CPU_REGS
#define REDIST	KVM_DEV_ARM_VGIC_GRP_REDIST_REGS
#define SYSREGS KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS
#define LEVELS	KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO
#define IRQS	KVM_DEV_ARM_VGIC_GRP_NR_IRQS
#define CTRL	KVM_DEV_ARM_VGIC_GRP_CTRL
#define ITSREGS KVM_DEV_ARM_VGIC_GRP_ITS_REGS
#define INIT	KVM_DEV_ARM_VGIC_CTRL_INIT
#define V2D	KVM_VGIC_V2_ADDR_TYPE_DIST
#define V2C	KVM_VGIC_V2_ADDR_TYPE_CPU
#define V3D	KVM_VGIC_V3_ADDR_TYPE_DIST
#define V3R	KVM_VGIC_V3_ADDR_TYPE_REDIST
#define REGION	KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION
#define ITS	KVM_VGIC_ITS_ADDR_TYPE
#define LIMIT	(1ull << 40)
#define SGI	0x10000u /* a redistributor's second frame */

static u64 region(u64 count, u64 base, u64 flags, u64 index)
{
	return count << 52 | base | flags << 12 | index;
}

static u64 on_cpu(u64 affinity)
{
	return affinity << 32;
}

/* ---- making ----------------------------------------------------------------------------------------- */

static void test_create(void **state)
{
	struct kvm_create_device cd = {.type = KVM_DEV_TYPE_ARM_VGIC_V3, .flags = KVM_CREATE_DEVICE_TEST};
	int other;

	assert_int_equal(kvm_ioctl(raw.vm, KVM_CREATE_DEVICE, &cd), 0);
	assert_false(fake_arm(raw_fake())->gic.type);
	assert_err(raw_device(KVM_DEV_TYPE_FLIC, &other), ENODEV);
	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V3, &raw.gic), 0);
	assert_err(raw_device(KVM_DEV_TYPE_ARM_VGIC_V3, &other), EEXIST);
	assert_err(raw_device(KVM_DEV_TYPE_ARM_VGIC_V2, &other), EEXIST);
	assert_err(kvm_ioctl_val(raw.vm, KVM_CREATE_IRQCHIP, 0), EEXIST);
	assert_err(kvm_ioctl(raw.gic, KVM_RUN, NULL), ENOTTY);
	assert_err(raw_has(raw.gic, 77, 0), ENXIO);
	assert_err(raw_set(raw.gic, 77, 0, 0), ENXIO);
	assert_err(raw_attr(KVM_SET_DEVICE_ATTR, raw.gic, ADDR, V3D, (void *)16), EFAULT);
}

static void test_late(void **state)
{
	raw_cpus(2);
	assert_err(raw_run(0), 0);
	assert_err(raw_device(KVM_DEV_TYPE_ARM_VGIC_V3, &raw.gic), EBUSY);
}

static void test_too_many_for_v2(void **state)
{
	raw_cpus(9);
	assert_err(raw_device(KVM_DEV_TYPE_ARM_VGIC_V2, &raw.gic), E2BIG);
}

static void test_v2_room(void **state)
{
	assert_int_equal(kvm_ioctl_val(raw.vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS), 512);
	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V2, &raw.gic), 0);
	assert_int_equal(kvm_ioctl_val(raw.vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS), 8);
	raw_cpus(8);
	assert_err(raw_cpu(), EINVAL);
}

/* ---- placing ----------------------------------------------------------------------------------------- */

static void test_v2_places(void **state)
{
	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V2, &raw.gic), 0);
	assert_int_equal(raw_val(raw.gic, ADDR, V2D), ~0ull);
	assert_err(raw_set(raw.gic, ADDR, V2D, 0x100), EINVAL);
	assert_err(raw_set(raw.gic, ADDR, V2C, LIMIT), E2BIG);
	assert_err(raw_set(raw.gic, ADDR, V2C, LIMIT - 0x1000), E2BIG);
	assert_err(raw_set(raw.gic, ADDR, V2D, ~0xfffull), EINVAL);
	assert_err(raw_set(raw.gic, ADDR, V3D, 0), ENXIO);
	assert_int_equal(raw_set(raw.gic, ADDR, V2D, 0x1000), 0);
	assert_err(raw_set(raw.gic, ADDR, V2D, 0x2000), EEXIST);
	assert_int_equal(raw_val(raw.gic, ADDR, V2D), 0x1000);
}

static void test_v3_places(void **state)
{
	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V3, &raw.gic), 0);
	raw_cpus(2);
	assert_err(raw_set(raw.gic, ADDR, V3D, 0x1000), EINVAL);
	assert_err(raw_set(raw.gic, ADDR, V3R, 0x1000), EINVAL);
	assert_err(raw_set(raw.gic, ADDR, V3D, LIMIT), E2BIG);
	assert_err(raw_set(raw.gic, ADDR, V3R, LIMIT - 0x30000), E2BIG);
	assert_err(raw_set(raw.gic, ADDR, V2D, 0), ENXIO);
	assert_int_equal(raw_set(raw.gic, ADDR, V3R, 0), 0);
	assert_err(raw_set(raw.gic, ADDR, V3R, 0xe0000), EEXIST);
	assert_err(raw_set(raw.gic, ADDR, REGION, region(2, 0x100000, 0, 0)), EINVAL);
	/* An overlap goes unnoticed until a vCPU runs; then the VM is dead. */
	assert_int_equal(raw_set(raw.gic, ADDR, V3D, 0x10000), 0);
	assert_int_equal(raw_set(raw.gic, CTRL, INIT, 0), 0);
	assert_err(raw_run(1), EINVAL);
	assert_err(raw_run(0), EIO);
	assert_err(raw_has(raw.gic, ADDR, V3D), EIO);
	assert_err(kvm_ioctl_val(raw.vm, KVM_CREATE_VCPU, 9), EIO);
}

static void test_regions(void **state)
{
	u64 val = 1;

	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V3, &raw.gic), 0);
	raw_cpus(3);
	assert_err(raw_set(raw.gic, ADDR, REGION, region(2, 0x100000, 1, 0)), EINVAL);
	assert_err(raw_set(raw.gic, ADDR, REGION, region(0, 0x100000, 0, 0)), EINVAL);
	assert_err(raw_set(raw.gic, ADDR, REGION, region(2, 0x100000, 0, 1)), EINVAL);
	assert_int_equal(raw_set(raw.gic, ADDR, REGION, region(2, 0x200000, 0, 0)), 0);
	assert_err(raw_set(raw.gic, ADDR, REGION, region(2, 0x200000, 0, 1)), EINVAL);
	assert_err(raw_set(raw.gic, ADDR, REGION, region(1, 0x220000, 0, 1)), EINVAL);
	assert_err(raw_set(raw.gic, ADDR, REGION, region(1, 0x400000, 0, 2)), EINVAL);
	assert_err(raw_set(raw.gic, ADDR, REGION, region(1, 0x400000, 0, 0)), EINVAL);
	assert_err(raw_set(raw.gic, ADDR, REGION, region(1, LIMIT, 0, 1)), E2BIG);
	assert_err(raw_set(raw.gic, ADDR, REGION, region(2, LIMIT - 0x20000, 0, 1)), E2BIG);
	assert_err(raw_set(raw.gic, ADDR, V3R, 0x800000), EINVAL);
	assert_err(raw_attr(KVM_GET_DEVICE_ATTR, raw.gic, ADDR, REGION, &val), ENOENT);
	assert_int_equal(raw_set(raw.gic, ADDR, V3D, 0x300000), 0);
	assert_err(raw_set(raw.gic, ADDR, REGION, region(1, 0x300000, 0, 1)), EINVAL);
	assert_int_equal(raw_set(raw.gic, ADDR, REGION, region(1, 0x240000, 0, 1)), 0);
	assert_int_equal(raw_attr(KVM_GET_DEVICE_ATTR, raw.gic, ADDR, REGION, &val), 0);
	assert_int_equal(val, region(1, 0x240000, 0, 1));
	assert_err(raw_run(0), EBUSY);
}

static void test_too_few_regions(void **state)
{
	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V3, &raw.gic), 0);
	raw_cpus(3);
	assert_int_equal(raw_set(raw.gic, ADDR, V3D, 0x300000), 0);
	assert_int_equal(raw_set(raw.gic, ADDR, REGION, region(2, 0x200000, 0, 0)), 0);
	assert_int_equal(raw_set(raw.gic, CTRL, INIT, 0), 0);
	assert_err(raw_run(0), ENXIO);
	assert_err(raw_run(0), EIO);
}

/* It fits when it is set, and no more with the vCPUs that come later. */
static void test_outgrown(void **state)
{
	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V3, &raw.gic), 0);
	raw_cpus(1);
	assert_int_equal(raw_set(raw.gic, ADDR, V3D, 0), 0);
	assert_int_equal(raw_set(raw.gic, ADDR, V3R, LIMIT - 0x20000), 0);
	raw_cpus(1);
	assert_int_equal(raw_set(raw.gic, CTRL, INIT, 0), 0);
	assert_err(raw_run(1), EINVAL);
}

/* Processor number and "last" of the redistributors, as the selftest vgic_init has them. */
static void test_typer(void **state)
{
	static const u64 want[] = {0x000, 0x100000100, 0x200000200, 0x300000310, 0x400000410};

	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V3, &raw.gic), 0);
	raw_cpus(5);
	assert_int_equal(raw_set(raw.gic, ADDR, V3D, 0), 0);
	assert_int_equal(raw_set(raw.gic, ADDR, REGION, region(2, 0x200000, 0, 0)), 0);
	assert_int_equal(raw_set(raw.gic, ADDR, REGION, region(2, 0x240000, 0, 1)), 0);
	assert_err(raw_set(raw.gic, REDIST, on_cpu(0) | 8, 0), EBUSY);
	assert_err(raw_set(raw.gic, REDIST, on_cpu(9) | 8, 0), EINVAL);
	assert_int_equal(raw_set(raw.gic, CTRL, INIT, 0), 0);
	assert_int_equal(raw_set(raw.gic, CTRL, INIT, 0), 0);
	assert_int_equal(raw_set(raw.gic, ADDR, REGION, region(2, 0x400000, 0, 2)), 0);
	for (u32 i = 0; i < 5; i++) {
		u64 low = raw_val(raw.gic, REDIST, on_cpu(i) | 8), high;

		high = raw_val(raw.gic, REDIST, on_cpu(i) | 12);
		assert_int_equal(high << 32 | low, want[i]);
	}
	assert_err(raw_cpu(), EBUSY);
	assert_err(raw_run(4), 0);
}

/* A region of two and one of one: vCPUs come into them by their indices, "last" is by their addresses. */
static void test_typer_layouts(void **state)
{
	static const struct {
		u64 two, one;
		u32 last;
	} cases[] = {
		{0x200000, 0x240000, 4}, /* adjacent */
		{0x400000, 0x200000, 6}, /* out of order */
		{0x220000, 0x200000, 2}, /* both */
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		u32 last = 0;

		assert_int_equal(raw_teardown(state), 0);
		assert_int_equal(raw_setup(state), 0);
		assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V3, &raw.gic), 0);
		raw_cpus(3);
		assert_int_equal(raw_set(raw.gic, ADDR, V3D, 0), 0);
		assert_int_equal(raw_set(raw.gic, ADDR, REGION, region(2, cases[i].two, 0, 0)), 0);
		assert_int_equal(raw_set(raw.gic, ADDR, REGION, region(1, cases[i].one, 0, 1)), 0);
		assert_int_equal(raw_set(raw.gic, CTRL, INIT, 0), 0);
		for (u32 k = 0; k < 3; k++)
			last |= (u32)(raw_val(raw.gic, REDIST, on_cpu(k) | 8) >> 4 & 1) << k;
		assert_int_equal(last, cases[i].last);
	}
}

static void test_nr_irqs(void **state)
{
	static const u32 bad[] = {0, 32, 65, 1024, 2048};

	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V3, &raw.gic), 0);
	raw_cpus(1);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(raw_set(raw.gic, IRQS, 0, bad[i]), EINVAL);
	assert_int_equal(raw_val(raw.gic, IRQS, 0), 32);
	assert_int_equal(raw_set(raw.gic, IRQS, 0, 96), 0);
	assert_err(raw_set(raw.gic, IRQS, 0, 96), EBUSY);
	assert_int_equal(raw_val(raw.gic, IRQS, 0), 96);
	assert_int_equal(raw_set(raw.gic, CTRL, INIT, 0), 0);
	assert_int_equal(raw_val(raw.gic, DIST, 4) & 31, 2);
	assert_int_equal(raw_has(raw.gic, DIST, 0x108), 0);
	assert_err(raw_has(raw.gic, DIST, 0x10c), ENXIO);
	/* Nothing is there, but the kernel does not say so. */
	assert_int_equal(raw_set(raw.gic, DIST, 0x10c, ~0u), 0);
	assert_int_equal(raw_val(raw.gic, DIST, 0x10c), 0);
}

/* ---- registers --------------------------------------------------------------------------------------- */

static void v3_ready(u32 cpus)
{
	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V3, &raw.gic), 0);
	raw_cpus(cpus);
	assert_int_equal(raw_set(raw.gic, ADDR, V3D, 0), 0);
	assert_int_equal(raw_set(raw.gic, ADDR, V3R, 0x200000), 0);
	assert_int_equal(raw_set(raw.gic, IRQS, 0, 128), 0);
	assert_int_equal(raw_set(raw.gic, CTRL, INIT, 0), 0);
}

static void put(u32 group, u64 attr, u64 val)
{
	assert_int_equal(raw_set(raw.gic, group, attr, val), 0);
}

static u64 get(u32 group, u64 attr)
{
	return raw_val(raw.gic, group, attr);
}

static void test_v3_registers(void **state)
{
	v3_ready(2);
	put(DIST, 0x104, 0x0f);
	put(DIST, 0x184, 0x03);
	assert_int_equal(get(DIST, 0x104), 0x0c);
	assert_int_equal(get(DIST, 0x184), 0x0c);
	put(DIST, 0x304, 0xf0);
	put(DIST, 0x384, 0x30);
	assert_int_equal(get(DIST, 0x304), 0xc0);
	/* What is written there is what pends. */
	put(DIST, 0x204, 0xff);
	put(DIST, 0x204, 0x0f);
	put(DIST, 0x284, 0xff);
	assert_int_equal(get(DIST, 0x204), 0x0f);
	assert_int_equal(get(DIST, 0x284), 0);
	put(DIST, 0x420, 0xffffffff);
	assert_int_equal(get(DIST, 0x420), 0xf8f8f8f8);
	put(DIST, 0xc08, 0xaaaaffff);
	assert_int_equal(get(DIST, 0xc08), 0xaaaaaaaa);
	put(DIST, 0x6000 + 8 * 40, 0x80010203);
	put(DIST, 0x6004 + 8 * 40, 0xff);
	assert_int_equal(get(DIST, 0x6000 + 8 * 40), 0x10203);
	assert_int_equal(get(DIST, 0x6004 + 8 * 40), 0);
	/* Private ones are not here but in each redistributor. */
	put(DIST, 0x100, 0xffff0000);
	assert_int_equal(get(DIST, 0x100), 0);
	put(REDIST, on_cpu(1) | SGI | 0x100, 0x08000000);
	assert_int_equal(get(REDIST, on_cpu(1) | SGI | 0x100), 0x0800ffff);
	assert_int_equal(get(REDIST, on_cpu(0) | SGI | 0x100), 0x0000ffff);
	assert_int_equal(get(REDIST, on_cpu(1) | 0x100), 0);
	put(REDIST, on_cpu(0) | SGI | 0xc04, 0xaaaaaaaa);
	assert_int_equal(get(REDIST, on_cpu(0) | SGI | 0xc04), 0);
	assert_int_equal(get(REDIST, on_cpu(0) | SGI | 0xc00), 0xaaaaaaaa);
	assert_int_equal(get(DIST, 0), 0x50);
	put(DIST, 0, 2);
	assert_int_equal(get(DIST, 0), 0x52);
	assert_err(raw_set(raw.gic, DIST, 8, 0x4b00143b), EINVAL);
	put(DIST, 8, 0x4b00243b);
	assert_int_equal(get(DIST, 8), 0x4b00243b);
	assert_err(raw_has(raw.gic, DIST, 2), ENXIO);
	assert_err(raw_has(raw.gic, REDIST, on_cpu(0) | 0x40), ENXIO);
}

static void test_levels(void **state)
{
	v3_ready(2);
	assert_err(raw_set(raw.gic, LEVELS, 33, 0), EINVAL);
	assert_err(raw_set(raw.gic, LEVELS, 1 << 10, 0), EINVAL);
	assert_err(raw_set(raw.gic, LEVELS, on_cpu(7), 0), EINVAL);
	put(LEVELS, 32, 0x81);
	put(LEVELS, 1023 & ~31u, ~0u);
	assert_int_equal(get(LEVELS, 1023 & ~31u), 0);
	assert_int_equal(get(LEVELS, on_cpu(1) | 32), 0x81);
	assert_int_equal(get(DIST, 0x204), 0);
	put(LEVELS, on_cpu(1), 0x8000ffff);
	assert_int_equal(get(LEVELS, on_cpu(1)), 0x80000000);
	assert_int_equal(get(LEVELS, on_cpu(0)), 0);
	/* An edge-triggered one has no level to show. */
	put(DIST, 0xc08, 2);
	assert_int_equal(get(LEVELS, 32), 0x80);
}

#define ICC(crn, crm, op2) (3u << 14 | (crn) << 7 | (crm) << 3 | (op2))

static void test_sysregs(void **state)
{
	v3_ready(2);
	put(SYSREGS, on_cpu(1) | ICC(4, 6, 0), 0xff);
	assert_int_equal(get(SYSREGS, on_cpu(1) | ICC(4, 6, 0)), 0xf8);
	assert_int_equal(get(SYSREGS, on_cpu(0) | ICC(4, 6, 0)), 0);
	assert_err(raw_has(raw.gic, SYSREGS, ICC(4, 6, 1)), ENXIO);
	assert_err(raw_set(raw.gic, SYSREGS, ICC(4, 6, 1), 0), ENOENT);
	assert_int_equal(raw_has(raw.gic, SYSREGS, ICC(12, 9, 3)), 0);
	assert_err(raw_set(raw.gic, SYSREGS, ICC(12, 9, 3), 0), EINVAL);
	assert_err(raw_set(raw.gic, SYSREGS, ICC(12, 12, 5), 0), EINVAL);
	assert_int_equal(get(SYSREGS, ICC(12, 12, 4)), 0xc00);
	assert_err(raw_set(raw.gic, SYSREGS, ICC(12, 12, 4), 0xd00), EINVAL);
	put(SYSREGS, ICC(12, 8, 3), 2);
	put(SYSREGS, ICC(12, 12, 4), 0xc01);
	put(SYSREGS, ICC(12, 12, 3), 6);
	assert_int_equal(get(SYSREGS, ICC(12, 12, 3)), 3);
}

static void test_v2_registers(void **state)
{
	u64 cpu1 = 1ull << KVM_DEV_ARM_VGIC_CPUID_SHIFT;

	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V2, &raw.gic), 0);
	assert_err(raw_set(raw.gic, CPU, 0, 0), EINVAL);
	assert_err(raw_has(raw.gic, DIST, 0), EINVAL);
	raw_cpus(2);
	/* The first access initialises it, with the default number of interrupts. */
	assert_int_equal(get(DIST, 4), 0x27);
	assert_err(raw_set(raw.gic, IRQS, 0, 64), EBUSY);
	put(DIST, cpu1 | 0x100, 0x08000000);
	assert_int_equal(get(DIST, cpu1 | 0x100), 0x0800ffff);
	assert_int_equal(get(DIST, 0x100), 0xffff);
	put(DIST, 0x204, 0xff);
	put(DIST, 0x204, 0x00);
	put(DIST, 0x284, 0x0f);
	assert_int_equal(get(DIST, cpu1 | 0x204), 0xf0);
	put(DIST, 0x820, 0xff030201);
	assert_int_equal(get(DIST, 0x820), 0x03030201);
	assert_int_equal(get(DIST, cpu1 | 0x800), 0x02020202);
	/* Groups are to be written only by those who have written the revision. */
	put(DIST, 0x84, 1);
	assert_int_equal(get(DIST, 0x84), 0);
	put(DIST, 8, get(DIST, 8));
	put(DIST, 0x84, 1);
	assert_int_equal(get(DIST, 0x84), 1);
	put(DIST, cpu1 | 0xf20, 0x0201);
	assert_int_equal(get(DIST, cpu1 | 0x200), 3);
	put(DIST, cpu1 | 0xf10, 0xffff);
	assert_int_equal(get(DIST, cpu1 | 0x200), 0);
	put(CPU, cpu1 | 4, 0xff);
	assert_int_equal(get(CPU, cpu1 | 4), 0x1f);
	assert_int_equal(get(CPU, 4), 0);
	assert_err(raw_has(raw.gic, CPU, 0xc), ENXIO);
	assert_err(raw_run(0), ENXIO);
}

/* ---- raising ------------------------------------------------------------------------------------------- */

static int line(u32 type, u32 cpu, u32 intid, bool level)
{
	struct kvm_irq_level irq = {.irq = type << KVM_ARM_IRQ_TYPE_SHIFT | cpu << KVM_ARM_IRQ_VCPU_SHIFT |
					   intid,
				    .level = level};

	return kvm_ioctl(raw.vm, KVM_IRQ_LINE, &irq);
}

static void test_lines(void **state)
{
	assert_err(line(KVM_ARM_IRQ_TYPE_SPI, 0, 33, true), ENXIO);
	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V3, &raw.gic), 0);
	raw_cpus(2);
	assert_err(line(KVM_ARM_IRQ_TYPE_CPU, 0, 0, true), ENXIO);
	assert_err(line(KVM_ARM_IRQ_TYPE_SPI, 0, 33, true), EBUSY);
	assert_int_equal(raw_set(raw.gic, IRQS, 0, 64), 0);
	assert_int_equal(raw_set(raw.gic, CTRL, INIT, 0), 0);
	assert_err(line(KVM_ARM_IRQ_TYPE_SPI, 0, 31, true), EINVAL);
	assert_err(line(KVM_ARM_IRQ_TYPE_SPI, 0, 64, true), EINVAL);
	assert_err(line(KVM_ARM_IRQ_TYPE_PPI, 0, 15, true), EINVAL);
	assert_err(line(KVM_ARM_IRQ_TYPE_PPI, 2, 20, true), EINVAL);
	assert_int_equal(line(KVM_ARM_IRQ_TYPE_SPI, 0, 33, true), 0);
	assert_int_equal(line(KVM_ARM_IRQ_TYPE_PPI, 1, 20, true), 0);
	assert_int_equal(get(LEVELS, 32), 2);
	assert_int_equal(get(LEVELS, on_cpu(1)), 1u << 20);
	assert_int_equal(raw_fake()->raised[1], 1);
	assert_int_equal(line(KVM_ARM_IRQ_TYPE_SPI, 0, 33, false), 0);
	assert_int_equal(get(LEVELS, 32), 0);
	put(DIST, 0xc08, 2u << 4);
	assert_int_equal(line(KVM_ARM_IRQ_TYPE_SPI, 0, 34, true), 0);
	assert_int_equal(get(DIST, 0x204), 4);
}

static int route(u32 gsi, u32 pin, u32 chip)
{
	struct kvm_irq_routing *table = calloc(1, sizeof(*table) + sizeof(table->entries[0]));
	int err;

	assert_non_null(table);
	table->nr = 1;
	table->entries[0].gsi = gsi;
	table->entries[0].type = KVM_IRQ_ROUTING_IRQCHIP;
	table->entries[0].u.irqchip.pin = pin;
	table->entries[0].u.irqchip.irqchip = chip;
	err = kvm_ioctl(raw.vm, KVM_SET_GSI_ROUTING, table);
	free(table);
	return err;
}

static void test_routes(void **state)
{
	assert_err(route(5, 5, 0), EINVAL);
	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_V3, &raw.gic), 0);
	raw_cpus(1);
	assert_int_equal(route(5, 987, 0), 0);
	assert_err(route(5, 988, 0), EINVAL);
	assert_err(route(5, 5, 1), EINVAL);
	/* INIT puts its own table in its place. */
	assert_int_equal(raw_set(raw.gic, CTRL, INIT, 0), 0);
	assert_int_equal(raw_fake()->nr_routes, 224);
	assert_int_equal(raw_fake()->route[5].u.irqchip.pin, 5);
}

/* While a vCPU is inside KVM_RUN, nobody looks. */
static void look(struct fake_vcpu *vcpu, void *arg)
{
	u64 val;

	assert_err(raw_get(raw.gic, DIST, 0, &val), EBUSY);
	assert_err(raw_set(raw.gic, SYSREGS, ICC(4, 6, 0), 0), EBUSY);
	assert_err(raw_set(raw.its, CTRL, KVM_DEV_ARM_ITS_SAVE_TABLES, 0), EBUSY);
	assert_err(raw_get(raw.its, ITSREGS, 0, &val), EBUSY);
	*(bool *)arg = true;
}

static void test_busy(void **state)
{
	bool seen = false;
	const struct fake_exit script[] = {{.kind = FAKE_CALL, .call = look, .arg = &seen},
					   {.kind = FAKE_EXIT, .value = KVM_EXIT_UNKNOWN}};

	v3_ready(1);
	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_ITS, &raw.its), 0);
	assert_int_equal(raw_set(raw.its, ADDR, ITS, 0x400000), 0);
	fake_kvm_script(0, script, ARRAY_SIZE(script));
	assert_int_equal(kvm_ioctl(raw.cpu[0], KVM_RUN, NULL), 0);
	assert_true(seen);
	assert_int_equal(get(DIST, 0), 0x50);
}

/* ---- the older way ---------------------------------------------------------------------------------- */

static int legacy(u64 device, u64 frame, u64 addr)
{
	struct kvm_arm_device_addr a = {.id = device << KVM_ARM_DEVICE_ID_SHIFT | frame, .addr = addr};

	return kvm_ioctl(raw.vm, KVM_ARM_SET_DEVICE_ADDR, &a);
}

static void test_legacy(void **state)
{
	struct kvm_create_device cd = {.type = KVM_DEV_TYPE_ARM_VGIC_V2};

	fake_kvm_set_cap(KVM_CAP_DEVICE_CTRL, 0);
	assert_err(kvm_ioctl(raw.vm, KVM_CREATE_DEVICE, &cd), ENOTTY);
	assert_err(legacy(0, V2D, 0x1000), ENODEV);
	assert_int_equal(kvm_ioctl_val(raw.vm, KVM_CREATE_IRQCHIP, 0), 0);
	assert_err(legacy(1, V2D, 0x1000), ENODEV);
	assert_err(legacy(0, V3D, 0x1000), ENODEV);
	assert_err(legacy(0, V2D, 0x100), EINVAL);
	assert_err(legacy(0, V2C, LIMIT), E2BIG);
	assert_int_equal(legacy(0, V2D, 0x1000), 0);
	assert_err(legacy(0, V2D, 0x1000), EEXIST);
	assert_int_equal(legacy(0, V2C, 0x2000), 0);
	raw_cpus(1);
	assert_err(raw_run(0), 0);
	assert_true(fake_arm(raw_fake())->gic.initialized);
}

static void test_no_gicv2(void **state)
{
	fake_kvm_remove_type(KVM_DEV_TYPE_ARM_VGIC_V2);
	assert_err(kvm_ioctl_val(raw.vm, KVM_CREATE_IRQCHIP, 0), ENODEV);
}

/* ---- ITS ------------------------------------------------------------------------------------------------
 */

static u8 *memory(u64 gpa, u64 size)
{
	struct kvm_userspace_memory_region r = {.guest_phys_addr = gpa, .memory_size = size};
	u8 *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(mem, MAP_FAILED);
	r.userspace_addr = (uintptr_t)mem;
	assert_int_equal(kvm_ioctl(raw.vm, KVM_SET_USER_MEMORY_REGION, &r), 0);
	return mem;
}

static int msi(u64 address, u32 flags)
{
	struct kvm_msi m = {.address_lo = (u32)address, .data = 3, .devid = 8, .flags = flags};

	return kvm_ioctl(raw.vm, KVM_SIGNAL_MSI, &m);
}

#define DEVICES	    0x10000000u
#define COLLECTIONS 0x10010000u
#define QUEUE	    0x10020000u
#define ITT	    0x10030000u
#define PENDING	    0x10040000u

static void its_tables(void)
{
	u64 valid = 1ull << 63;

	assert_int_equal(raw_set(raw.its, ITSREGS, 0x80, valid | QUEUE), 0);
	assert_int_equal(raw_set(raw.its, ITSREGS, 0x100, valid | DEVICES), 0);
	assert_int_equal(raw_set(raw.its, ITSREGS, 0x108, valid | COLLECTIONS), 0);
	put(REDIST, on_cpu(1) | 0x78, PENDING);
}

static void test_its(void **state)
{
	static const struct fake_lpi lpi = {
		.device = 8, .event = 3, .lpi = 8200, .collection = 1, .vcpu = 1, .itt = ITT, .bits = 4};
	struct fake_lpi *now;
	u8 *mem;

	v3_ready(2);
	mem = memory(DEVICES, 0x100000);
	assert_int_equal(kvm_ioctl_val(raw.vm, KVM_CHECK_EXTENSION, KVM_CAP_MSI_DEVID), 0);
	assert_err(msi(0x410040, KVM_MSI_VALID_DEVID), ENODEV);
	assert_int_equal(raw_device(KVM_DEV_TYPE_ARM_VGIC_ITS, &raw.its), 0);
	assert_int_equal(kvm_ioctl_val(raw.vm, KVM_CHECK_EXTENSION, KVM_CAP_MSI_DEVID), 1);
	assert_err(raw_set(raw.its, ITSREGS, 0x80, 0), ENXIO);
	assert_err(raw_set(raw.its, ADDR, ITS, 0x401000), EINVAL);
	assert_err(raw_set(raw.its, ADDR, ITS, LIMIT - 0x10000), E2BIG);
	assert_err(raw_set(raw.its, ADDR, V3D, 0), ENODEV);
	assert_int_equal(raw_set(raw.its, ADDR, ITS, 0x400000), 0);
	assert_err(raw_set(raw.its, ADDR, ITS, 0x400000), EEXIST);
	assert_int_equal(raw_set(raw.its, CTRL, INIT, 0), 0);
	assert_err(raw_set(raw.its, ITSREGS, 0x84, 0), EINVAL);
	assert_err(raw_set(raw.its, ITSREGS, 0x40, 0), ENXIO);
	assert_err(raw_set(raw.its, ITSREGS, 4, 0x1000), EINVAL);
	/* Without tables it stays off. */
	assert_int_equal(raw_set(raw.its, ITSREGS, 0, 1), 0);
	assert_int_equal(raw_val(raw.its, ITSREGS, 0), 1u << 31);
	assert_err(msi(0x410040, 0), EINVAL);
	assert_err(msi(0x910040, KVM_MSI_VALID_DEVID), EINVAL);
	assert_err(msi(0x410040, KVM_MSI_VALID_DEVID), EBUSY);
	its_tables();
	assert_int_equal(raw_val(raw.its, ITSREGS, 0x100), 0x8107000000000200ull | DEVICES);
	assert_int_equal(raw_set(raw.its, ITSREGS, 0, 1), 0);
	assert_err(raw_set(raw.its, ITSREGS, 0x90, 0), EBUSY);
	assert_int_equal(msi(0x410040, KVM_MSI_VALID_DEVID), 0);
	fake_its_map(raw_fake(), &lpi);
	assert_err(msi(0x410040, KVM_MSI_VALID_DEVID), EBUSY);
	put(REDIST, on_cpu(1), 1);
	assert_int_equal(msi(0x410040, KVM_MSI_VALID_DEVID), 1);
	put(REDIST, on_cpu(1) | 0x78, 0);
	assert_int_equal(get(REDIST, on_cpu(1) | 0x78), PENDING);

	/* To memory, away, and back. */
	assert_int_equal(raw_set(raw.gic, CTRL, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES, 0), 0);
	assert_int_equal(mem[PENDING - DEVICES + 8200 / 8], 1);
	assert_int_equal(raw_set(raw.its, CTRL, KVM_DEV_ARM_ITS_SAVE_TABLES, 0), 0);
	assert_int_equal(raw_set(raw.its, CTRL, KVM_DEV_ARM_ITS_CTRL_RESET, 0), 0);
	assert_null(fake_its_find(raw_fake(), 8, 3));
	its_tables();
	assert_int_equal(raw_set(raw.its, CTRL, KVM_DEV_ARM_ITS_RESTORE_TABLES, 0), 0);
	now = fake_its_find(raw_fake(), 8, 3);
	assert_non_null(now);
	assert_int_equal(now->lpi, 8200);
	assert_int_equal(now->vcpu, 1);
	assert_int_equal(now->itt, ITT);
	assert_true(now->pending);
	munmap(mem, 0x100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, raw_setup, raw_teardown)
		T(test_create),
		T(test_late),
		T(test_too_many_for_v2),
		T(test_v2_room),
		T(test_v2_places),
		T(test_v3_places),
		T(test_regions),
		T(test_too_few_regions),
		T(test_outgrown),
		T(test_typer),
		T(test_typer_layouts),
		T(test_nr_irqs),
		T(test_v3_registers),
		T(test_levels),
		T(test_sysregs),
		T(test_v2_registers),
		T(test_lines),
		T(test_routes),
		T(test_busy),
		T(test_legacy),
		T(test_no_gicv2),
		T(test_its),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

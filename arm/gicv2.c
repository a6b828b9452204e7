/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel GICv2 (Arm IHI 0048B), for eight CPUs at the most, with or without a GICv2m frame for MSIs.
 * Documentation/virt/kvm/devices/arm-vgic.rst.
 *
 * A kernel older than the device control API makes it by KVM_CREATE_IRQCHIP (api.rst 4.24) and places it by
 * KVM_ARM_SET_DEVICE_ADDR (4.84); such a GIC has no attributes, and so no state to see or save.
 *
 * Main thread, while the VM is built; state with the vCPUs parked.
 */
#include "gic.h"
#include "layout.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GICD_CTLR      0x000
#define GICD_IIDR      0x008
#define GICD_CPENDSGIR 0xf10
#define GICD_SPENDSGIR 0xf20
#define SGI_REGS       4

enum { V2_DIST, V2_CPU, V2_NR_IRQS, V2_INIT };

static const struct kvm_attr gicv2_attrs[] = {
	[V2_DIST] = {.group = KVM_DEV_ARM_VGIC_GRP_ADDR,
		     .attr = KVM_VGIC_V2_ADDR_TYPE_DIST,
		     .group_name = "GRP_ADDR",
		     .name = "V2_ADDR_TYPE_DIST",
		     .val = ARM_GIC_DIST,
		     .size = 8,
		     .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_APPLY},
	[V2_CPU] = {.group = KVM_DEV_ARM_VGIC_GRP_ADDR,
		    .attr = KVM_VGIC_V2_ADDR_TYPE_CPU,
		    .group_name = "GRP_ADDR",
		    .name = "V2_ADDR_TYPE_CPU",
		    .val = ARM_GIC_CPU,
		    .size = 8,
		    .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_APPLY},
	[V2_NR_IRQS] = {.group = KVM_DEV_ARM_VGIC_GRP_NR_IRQS,
			.group_name = "GRP_NR_IRQS",
			.name = "NR_IRQS",
			.val = ARM_NR_IRQS,
			.size = 4,
			.flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_APPLY | KVM_ATTR_ALONE},
	/* Kernels before 3.20 have no such command: there the first KVM_RUN does it. */
	[V2_INIT] = {.group = KVM_DEV_ARM_VGIC_GRP_CTRL,
		     .attr = KVM_DEV_ARM_VGIC_CTRL_INIT,
		     .group_name = "GRP_CTRL",
		     .name = "CTRL_INIT",
		     .flags = KVM_ATTR_COMMAND | KVM_ATTR_W | KVM_ATTR_APPLY | KVM_ATTR_OPTIONAL},
	/* What the walk below reads and writes. */
	{.group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS,
	 .group_name = "GRP_DIST_REGS",
	 .name = "registers",
	 .size = 4,
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_PER_VCPU | KVM_ATTR_RANGE},
	{.group = KVM_DEV_ARM_VGIC_GRP_CPU_REGS,
	 .group_name = "GRP_CPU_REGS",
	 .name = "registers",
	 .size = 4,
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_PER_VCPU | KVM_ATTR_RANGE},
};

const struct kvm_attr_table arm_gicv2_attrs = {
	.owner = "gicv2",
	.on = KVM_ON_DEVICE,
	.type = KVM_DEV_TYPE_ARM_VGIC_V2,
	.attrs = gicv2_attrs,
	.count = ARRAY_SIZE(gicv2_attrs),
};

/* ---- making it -------------------------------------------------------------------------------- */

static int gicv2_probe(const struct kvm *kvm)
{
	if (kvm_cap(kvm, KVM_CAP_DEVICE_CTRL))
		return kvm_device_probe(kvm, KVM_DEV_TYPE_ARM_VGIC_V2);
	return kvm_cap(kvm, KVM_CAP_IRQCHIP) && kvm_cap(kvm, KVM_CAP_ARM_SET_DEVICE_ADDR) ? 0 : -ENODEV;
}

static int legacy_place(struct kvm *kvm, u32 what, u64 addr)
{
	struct kvm_arm_device_addr place = {
		.id = (u64)KVM_ARM_DEVICE_VGIC_V2 << KVM_ARM_DEVICE_ID_SHIFT |
		      (u64)what << KVM_ARM_DEVICE_TYPE_SHIFT,
		.addr = addr,
	};
	int err = kvm_ioctl(kvm->vm_fd, KVM_ARM_SET_DEVICE_ADDR, &place);

	if (err < 0)
		log_error("gicv2: KVM_ARM_SET_DEVICE_ADDR of frame %u to 0x%llx: %s", what,
			  (unsigned long long)addr, strerror(-err));
	return err < 0 ? err : 0;
}

static int legacy_create(struct kvm *kvm)
{
	int err = kvm_ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, NULL);

	if (err < 0) {
		log_error("gicv2: KVM_CREATE_IRQCHIP: %s", strerror(-err));
		return err;
	}
	err = legacy_place(kvm, KVM_VGIC_V2_ADDR_TYPE_DIST, ARM_GIC_DIST);
	return err ? err : legacy_place(kvm, KVM_VGIC_V2_ADDR_TYPE_CPU, ARM_GIC_CPU);
}

static int gicv2_create(struct irqchip *chip)
{
	int err = gic_alloc(chip), fd;

	if (err)
		return err;
	gic_of(chip)->v2 = true;
	if (!kvm_cap(chip->kvm, KVM_CAP_DEVICE_CTRL))
		return legacy_create(chip->kvm);
	fd = kvm_device_create(chip->kvm, KVM_DEV_TYPE_ARM_VGIC_V2);
	if (fd < 0)
		return fd;
	gic_of(chip)->fd = fd;
	return kvm_attr_apply("gicv2", fd, &gicv2_attrs[V2_DIST], 2);
}

static int gicv2m_create(struct irqchip *chip)
{
	int err = gicv2_create(chip);

	return err ? err : v2m_create(chip);
}

static int gicv2_finalize(struct irqchip *chip)
{
	int fd = gic_of(chip)->fd;

	return fd < 0 ? 0 : kvm_attr_apply("gicv2", fd, &gicv2_attrs[V2_NR_IRQS], 2);
}

static int gicv2_describe(const struct irqchip *chip, struct fdt *fdt)
{
	static const char *const compatible[] = {"arm,cortex-a15-gic", "arm,gic-400"};
	static const u64 reg[][2] = {{ARM_GIC_DIST, 0x1000}, {ARM_GIC_CPU, ARM_GIC_CPU_SIZE}};

	gic_dt_begin(fdt, compatible, ARRAY_SIZE(compatible));
	dt_reg(fdt, reg, ARRAY_SIZE(reg));
	if (gic_of(chip)->has_v2m)
		v2m_describe(fdt);
	dt_end(fdt);
	return fdt->err;
}

/* ---- state -------------------------------------------------------------------------------------- */

static u64 cpu_attr(const struct vcpu *vcpu)
{
	return (u64)vcpu->index << KVM_DEV_ARM_VGIC_CPUID_SHIFT;
}

/* SGIs pend for each sender apart: 8 bits each, a bit a sender. */
static void walk_sgis(struct state *s, int fd, u64 cpu)
{
	static const char *const name[SGI_REGS] = {"sgi_senders0", "sgi_senders4", "sgi_senders8",
						   "sgi_senders12"};
	u32 all = ~0u;

	for (u32 i = 0; i < SGI_REGS; i++) {
		u64 clear = cpu | (GICD_CPENDSGIR + 4 * i);
		int err = 0;

		if (state_reading(s) && !s->err)
			err = kvm_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, clear, &all);
		if (err)
			state_fail(s, err, name[i], "%s", kvm_attr_errstr(err));
		gic_reg32(s, fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, cpu | (GICD_SPENDSGIR + 4 * i), name[i]);
	}
}

static void walk_cpu(struct state *s, int fd, const struct vcpu *vcpu)
{
	/* GICC_CTLR comes last: with it the interface works. Table 4-2. */
	static const struct {
		const char *name;
		u32 offset;
	} regs[] = {{"pmr", 0x04},  {"bpr", 0x08},  {"abpr", 0x1c}, {"apr0", 0xd0},
		    {"apr1", 0xd4}, {"apr2", 0xd8}, {"apr3", 0xdc}, {"ctlr", 0x00}};
	const struct gic_frame frame = {
		.fd = fd, .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS, .attr = cpu_attr(vcpu)};
	char name[24];

	snprintf(name, sizeof(name), "cpu%u", vcpu->index);
	state_begin(s, name, 1);
	gic_block_walk(s, &frame);
	walk_sgis(s, fd, cpu_attr(vcpu));
	for (u32 i = 0; i < ARRAY_SIZE(regs); i++)
		gic_reg32(s, fd, KVM_DEV_ARM_VGIC_GRP_CPU_REGS, cpu_attr(vcpu) | regs[i].offset,
			  regs[i].name);
	state_end(s);
}

static int gicv2_state(struct irqchip *chip, struct state *s)
{
	struct kvm *kvm = chip->kvm;
	int fd = gic_of(chip)->fd;

	if (fd < 0) {
		state_fail(s, -ENOTSUP, "gicv2", "this kernel has no device control API to read it by");
		return s->err;
	}
	state_begin(s, "gicv2", 1);
	state_must_match(s, "nr_vcpus", kvm->nr_vcpus);
	state_must_match(s, "nr_irqs", ARM_NR_IRQS);
	state_must_match(s, "v2m", gic_of(chip)->has_v2m);
	gic_reg32(s, fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, GICD_IIDR, "iidr");
	state_end(s);
	state_begin(s, "distributor", 1);
	gic_reg32(s, fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, GICD_CTLR, "ctlr");
	for (u32 first = ARM_FIRST_SPI; first < ARM_NR_IRQS; first += 32) {
		const struct gic_frame frame = {
			.fd = fd, .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS, .first = first, .targets = true};

		gic_block_walk(s, &frame);
	}
	state_end(s);
	for (u32 i = 0; i < kvm->nr_vcpus; i++)
		walk_cpu(s, fd, &kvm->vcpu[i]);
	return s->err;
}

const struct irqchip_ops arm_gicv2 = {
	.name = "gicv2",
	.probe = gicv2_probe,
	.create = gicv2_create,
	.finalize = gicv2_finalize,
	.set_line = gic_set_line,
	.msi_route = gic_no_msi,
	.routes = gic_routes,
	.describe = gicv2_describe,
	.irq_cells = gic_irq_cells,
	.state = gicv2_state,
	.destroy = gic_destroy,
	.nr_lines = ARM_NR_LINES,
	.max_cpus = 8,
};

const struct irqchip_ops arm_gicv2m = {
	.name = "gicv2m",
	.probe = gicv2_probe,
	.create = gicv2m_create,
	.finalize = gicv2_finalize,
	.set_line = gic_set_line,
	.msi_route = v2m_msi_route,
	.routes = gic_routes,
	.describe = gicv2_describe,
	.irq_cells = gic_irq_cells,
	.state = gicv2_state,
	.destroy = gic_destroy,
	.nr_lines = ARM_NR_LINES,
	.max_cpus = 8,
};

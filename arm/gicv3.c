/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel GICv3 (Arm IHI 0069H), alone or with an Interrupt Translation Service (its.c).
 * Documentation/virt/kvm/devices/arm-vgic-v3.rst.
 *
 * Each vCPU has a redistributor of two 64 KiB frames. Those of the first 123 lie in one region, which every
 * kernel takes; more vCPUs need the second region of layout.h, and a kernel that knows of regions (4.18).
 *
 * Main thread, while the VM is built; state with the vCPUs parked.
 */
#include "gic.h"
#include "layout.h"
#include <errno.h>
#include <lkvm/config.h>
#include <stdio.h>

#define GICD_CTLR    0x0000
#define GICD_IIDR    0x0008
#define GICD_STATUSR 0x0010

#define GICR_CTLR      0x0000
#define GICR_STATUSR   0x0010
#define GICR_WAKER     0x0014
#define GICR_PROPBASER 0x0070
#define GICR_PENDBASER 0x0078
#define GICR_SGI_FRAME 0x10000

#define ICC_CTLR_PRIBITS(v) (((v) >> 8 & 7) + 1)

enum { V3_DIST, V3_REDIST, V3_NR_IRQS, V3_INIT, V3_REGION, V3_SAVE_PENDING };

static const struct kvm_attr gicv3_attrs[] = {
	[V3_DIST] = {.group = KVM_DEV_ARM_VGIC_GRP_ADDR,
		     .attr = KVM_VGIC_V3_ADDR_TYPE_DIST,
		     .group_name = "GRP_ADDR",
		     .name = "V3_ADDR_TYPE_DIST",
		     .val = ARM_GIC_DIST,
		     .size = 8,
		     .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_APPLY},
	/* One region for as many vCPUs as there are. */
	[V3_REDIST] = {.group = KVM_DEV_ARM_VGIC_GRP_ADDR,
		       .attr = KVM_VGIC_V3_ADDR_TYPE_REDIST,
		       .group_name = "GRP_ADDR",
		       .name = "V3_ADDR_TYPE_REDIST",
		       .val = ARM_GIC_REDIST,
		       .size = 8,
		       .flags = KVM_ATTR_R | KVM_ATTR_W},
	[V3_NR_IRQS] = {.group = KVM_DEV_ARM_VGIC_GRP_NR_IRQS,
			.group_name = "GRP_NR_IRQS",
			.name = "NR_IRQS",
			.val = ARM_NR_IRQS,
			.size = 4,
			.flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_APPLY | KVM_ATTR_ALONE},
	[V3_INIT] = {.group = KVM_DEV_ARM_VGIC_GRP_CTRL,
		     .attr = KVM_DEV_ARM_VGIC_CTRL_INIT,
		     .group_name = "GRP_CTRL",
		     .name = "CTRL_INIT",
		     .flags = KVM_ATTR_COMMAND | KVM_ATTR_W | KVM_ATTR_APPLY},
	/* One of several regions; to read one, its number is in the value, so it is no value to print. */
	[V3_REGION] = {.group = KVM_DEV_ARM_VGIC_GRP_ADDR,
		       .attr = KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
		       .group_name = "GRP_ADDR",
		       .name = "V3_ADDR_TYPE_REDIST_REGION",
		       .size = 8,
		       .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_INDEXED},
	[V3_SAVE_PENDING] = {.group = KVM_DEV_ARM_VGIC_GRP_CTRL,
			     .attr = KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES,
			     .group_name = "GRP_CTRL",
			     .name = "SAVE_PENDING_TABLES",
			     .flags = KVM_ATTR_COMMAND | KVM_ATTR_W},
	/* What the walk below reads and writes. */
	{.group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS,
	 .group_name = "GRP_DIST_REGS",
	 .name = "registers",
	 .size = 4,
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_RANGE},
	{.group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS,
	 .group_name = "GRP_REDIST_REGS",
	 .name = "registers",
	 .size = 4,
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_PER_VCPU | KVM_ATTR_RANGE},
	{.group = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS,
	 .attr = 0xc230, /* ICC_PMR_EL1 */
	 .group_name = "GRP_CPU_SYSREGS",
	 .name = "registers",
	 .size = 8,
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_PER_VCPU | KVM_ATTR_RANGE},
	{.group = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO,
	 .group_name = "GRP_LEVEL_INFO",
	 .name = "LINE_LEVEL",
	 .size = 4,
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_PER_VCPU | KVM_ATTR_RANGE},
	/* Only for guests that are hypervisors. */
	{.group = KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ,
	 .group_name = "GRP_MAINT_IRQ",
	 .name = "MAINT_IRQ",
	 .size = 4,
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_OPTIONAL},
};

const struct kvm_attr_table arm_gicv3_attrs = {
	.owner = "gicv3",
	.on = KVM_ON_DEVICE,
	.type = KVM_DEV_TYPE_ARM_VGIC_V3,
	.attrs = gicv3_attrs,
	.count = ARRAY_SIZE(gicv3_attrs),
};

/* ---- making it ---------------------------------------------------------------------------------- */

static int gicv3_probe(const struct kvm *kvm)
{
	return kvm_device_probe(kvm, KVM_DEV_TYPE_ARM_VGIC_V3);
}

static int gicv3_its_probe(const struct kvm *kvm)
{
	/* A KVM has the one only beside the other. */
	return kvm_device_probe(kvm, KVM_DEV_TYPE_ARM_VGIC_ITS);
}

/* How many vCPUs have their redistributors in the first and in the second region. */
static void redists(const struct kvm *kvm, u32 count[2])
{
	u32 cpus = (u32)kvm->cfg->cpus;

	count[0] = (u32)min_u64(cpus, ARM_GIC_REDIST_MAX);
	count[1] = cpus - count[0];
}

/* arm-vgic-v3.rst, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION. */
static u64 region(u32 count, u64 base, u32 index)
{
	return (u64)count << 52 | base | index;
}

static int place_redists(struct kvm *kvm, int fd)
{
	const struct kvm_attr *a = &gicv3_attrs[V3_REGION];
	u32 count[2];
	int err;

	redists(kvm, count);
	if (!count[1])
		return kvm_attr_apply_val("gicv3", fd, &gicv3_attrs[V3_REDIST], ARM_GIC_REDIST);
	if (!kvm_attr_has(fd, a->group, a->attr)) {
		log_error("--cpus %u: this host's kernel takes one region of redistributors, for %u vCPUs; "
			  "Linux 4.18 and later take more",
			  count[0] + count[1], ARM_GIC_REDIST_MAX);
		return -ENXIO;
	}
	err = kvm_attr_apply_val("gicv3", fd, a, region(count[0], ARM_GIC_REDIST, 0));
	return err ? err : kvm_attr_apply_val("gicv3", fd, a, region(count[1], ARM_GIC_REDIST2, 1));
}

static int gicv3_create(struct irqchip *chip)
{
	int err = gic_alloc(chip), fd;

	if (err)
		return err;
	fd = kvm_device_create(chip->kvm, KVM_DEV_TYPE_ARM_VGIC_V3);
	if (fd < 0)
		return fd;
	gic_of(chip)->fd = fd;
	err = kvm_attr_apply("gicv3", fd, &gicv3_attrs[V3_DIST], 1);
	return err ? err : place_redists(chip->kvm, fd);
}

static int gicv3_its_create(struct irqchip *chip)
{
	int err = gicv3_create(chip);

	return err ? err : its_create(chip);
}

static int gicv3_finalize(struct irqchip *chip)
{
	return kvm_attr_apply("gicv3", gic_of(chip)->fd, &gicv3_attrs[V3_NR_IRQS], 2);
}

static int gicv3_its_finalize(struct irqchip *chip)
{
	int err = gicv3_finalize(chip);

	return err ? err : its_finalize(chip);
}

static int gicv3_describe(const struct irqchip *chip, struct fdt *fdt)
{
	static const char *const compatible[] = {"arm,gic-v3"};
	u64 reg[3][2] = {{ARM_GIC_DIST, ARM_GIC_DIST_SIZE}, {ARM_GIC_REDIST, 0}, {ARM_GIC_REDIST2, 0}};
	u32 count[2], cells[3];

	redists(chip->kvm, count);
	for (u32 i = 0; i < 2; i++)
		reg[1 + i][1] = count[i] * ARM_GIC_REDIST_SIZE;
	gic_dt_begin(fdt, compatible, 1);
	dt_u32(fdt, "#redistributor-regions", count[1] ? 2 : 1);
	dt_reg(fdt, reg, count[1] ? 3 : 2);
	gic_ppi_cells(chip, ARM_PPI_GIC_MAINT, cells);
	dt_cells(fdt, "interrupts", cells, 3);
	if (gic_of(chip)->its_fd >= 0)
		its_describe(fdt);
	dt_end(fdt);
	return fdt->err;
}

/* ---- state ---------------------------------------------------------------------------------------- */

/* Bits 63:32 of an attribute that is a vCPU's: its affinity, 8 bits a level. */
static u64 cpu_attr(u64 affinity)
{
	u32 packed = (u32)(affinity >> 32 & 0xff) << 24 | (u32)(affinity & 0xffffff);

	return (u64)packed << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;
}

#define ICC(op0, op1, crn, crm, op2) ((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

static void walk_sysreg(struct state *s, int fd, u64 cpu, u32 reg, const char *name)
{
	gic_reg64(s, fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, cpu | reg, name);
}

/* The active priorities of a group: as many registers as the priority bits ask for. 12.2.2, 12.2.4. */
static void walk_active(struct state *s, int fd, u64 cpu, u32 pribits, u32 group)
{
	static const char *const name[2][4] = {{"ap0r0", "ap0r1", "ap0r2", "ap0r3"},
					       {"ap1r0", "ap1r1", "ap1r2", "ap1r3"}};
	u32 n = pribits >= 7 ? 4 : pribits == 6 ? 2 : 1;

	for (u32 i = 0; i < n; i++)
		walk_sysreg(s, fd, cpu, group ? ICC(3u, 0, 12, 9, i) : ICC(3u, 0, 12, 8, 4 + i),
			    name[group][i]);
}

static void walk_interface(struct state *s, int fd, u64 cpu, const char *name)
{
	const u32 group = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, icc_ctlr = ICC(3u, 0, 12, 12, 4);
	u64 ctlr = 0;
	int err;

	state_begin(s, name, 1);
	walk_sysreg(s, fd, cpu, ICC(3u, 0, 12, 12, 5), "sre");
	walk_sysreg(s, fd, cpu, icc_ctlr, "ctlr");
	/* Also when it was just restored: it says how many registers follow. */
	err = s->err ? 0 : kvm_attr_get(fd, group, cpu | icc_ctlr, &ctlr);
	if (err)
		state_fail(s, err, "ctlr", "%s", kvm_attr_errstr(err));
	walk_sysreg(s, fd, cpu, ICC(3u, 0, 4, 6, 0), "pmr");
	walk_sysreg(s, fd, cpu, ICC(3u, 0, 12, 8, 3), "bpr0");
	walk_sysreg(s, fd, cpu, ICC(3u, 0, 12, 12, 3), "bpr1");
	walk_active(s, fd, cpu, (u32)ICC_CTLR_PRIBITS(ctlr), 0);
	walk_active(s, fd, cpu, (u32)ICC_CTLR_PRIBITS(ctlr), 1);
	walk_sysreg(s, fd, cpu, ICC(3u, 0, 12, 12, 6), "igrpen0");
	walk_sysreg(s, fd, cpu, ICC(3u, 0, 12, 12, 7), "igrpen1");
	state_end(s);
}

/* A base register, half by half: the kernel takes 32 bits at a time. */
static void walk_base(struct state *s, int fd, u64 attr, const char *low, const char *high)
{
	gic_reg32_change(s, fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, attr, low);
	gic_reg32_change(s, fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, attr + 4, high);
}

static void walk_vcpu(struct state *s, int fd, const struct vcpu *vcpu)
{
	const u32 group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS;
	struct gic_frame frame = {.fd = fd, .group = group, .has_level = true};
	char name[24];
	u64 affinity, cpu;
	int err = arm_vcpu_affinity(vcpu, &affinity);

	if (err) {
		state_fail(s, err, "affinity", "vCPU %u: MPIDR_EL1 cannot be read", vcpu->index);
		return;
	}
	cpu = frame.level_attr = cpu_attr(affinity);
	frame.attr = cpu | GICR_SGI_FRAME;
	snprintf(name, sizeof(name), "redistributor%u", vcpu->index);
	state_begin(s, name, 1);
	state_must_match(s, "affinity", affinity);
	gic_reg32(s, fd, group, cpu | GICR_STATUSR, "statusr");
	gic_reg32(s, fd, group, cpu | GICR_WAKER, "waker");
	/* Before the bit of GICR_CTLR that has the kernel look at the tables. */
	walk_base(s, fd, cpu | GICR_PROPBASER, "propbaser", "propbaser_high");
	walk_base(s, fd, cpu | GICR_PENDBASER, "pendbaser", "pendbaser_high");
	gic_block_walk(s, &frame);
	gic_reg32(s, fd, group, cpu | GICR_CTLR, "ctlr");
	state_end(s);
	snprintf(name, sizeof(name), "cpu_interface%u", vcpu->index);
	walk_interface(s, fd, cpu, name);
}

int gicv3_redist_base(const struct irqchip *chip, const struct vcpu *vcpu, u32 offset, u64 *val)
{
	const u32 group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS;
	int fd = gic_of(chip)->fd;
	u64 affinity;
	u32 low, high = 0;
	int err = arm_vcpu_affinity(vcpu, &affinity);

	if (!err)
		err = kvm_attr_get(fd, group, cpu_attr(affinity) | offset, &low);
	if (!err)
		err = kvm_attr_get(fd, group, cpu_attr(affinity) | (offset + 4), &high);
	if (!err)
		*val = (u64)high << 32 | low;
	return err;
}

static int gicv3_state(struct irqchip *chip, struct state *s)
{
	struct kvm *kvm = chip->kvm;
	int fd = gic_of(chip)->fd;

	/* What LPIs pend is the kernel's alone until it is asked to write it to the guest's tables. */
	if (s->mode == STATE_SAVE)
		gic_command(s, fd, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES, "SAVE_PENDING_TABLES");
	state_begin(s, "gicv3", 1);
	state_must_match(s, "nr_vcpus", kvm->nr_vcpus);
	state_must_match(s, "nr_irqs", ARM_NR_IRQS);
	state_must_match(s, "its", gic_of(chip)->its_fd >= 0);
	gic_reg32(s, fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, GICD_IIDR, "iidr");
	state_end(s);
	state_begin(s, "distributor", 1);
	gic_reg32(s, fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, GICD_STATUSR, "statusr");
	gic_reg32(s, fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, GICD_CTLR, "ctlr");
	for (u32 first = ARM_FIRST_SPI; first < ARM_NR_IRQS; first += 32) {
		const struct gic_frame frame = {.fd = fd,
						.group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS,
						.first = first,
						.has_level = true,
						.routes = true};

		gic_block_walk(s, &frame);
	}
	state_end(s);
	for (u32 i = 0; i < kvm->nr_vcpus; i++)
		walk_vcpu(s, fd, &kvm->vcpu[i]);
	if (gic_of(chip)->its_fd < 0)
		return s->err;
	its_state(chip, s);
	if (state_printing(s) && !s->err)
		its_print_lpis(chip, s);
	return s->err;
}

const struct irqchip_ops arm_gicv3 = {
	.name = "gicv3",
	.probe = gicv3_probe,
	.create = gicv3_create,
	.finalize = gicv3_finalize,
	.set_line = gic_set_line,
	.msi_route = gic_no_msi,
	.routes = gic_routes,
	.describe = gicv3_describe,
	.irq_cells = gic_irq_cells,
	.state = gicv3_state,
	.destroy = gic_destroy,
	.nr_lines = ARM_NR_LINES,
	.max_cpus = ARM_GIC_REDIST_MAX + ARM_GIC_REDIST2_MAX,
};

const struct irqchip_ops arm_gicv3_its = {
	.name = "gicv3-its",
	.probe = gicv3_its_probe,
	.create = gicv3_its_create,
	.finalize = gicv3_its_finalize,
	.set_line = gic_set_line,
	.msi_route = its_msi_route,
	.routes = gic_routes,
	.describe = gicv3_describe,
	.irq_cells = gic_irq_cells,
	.state = gicv3_state,
	.destroy = gic_destroy,
	.nr_lines = ARM_NR_LINES,
	.max_cpus = ARM_GIC_REDIST_MAX + ARM_GIC_REDIST2_MAX,
};

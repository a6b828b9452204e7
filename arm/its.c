/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel GICv3 Interrupt Translation Service: messages of a device become LPIs by tables that the
 * guest has in its memory (Arm IHI 0069H, chapter 5). Documentation/virt/kvm/devices/arm-vgic-its.rst.
 *
 * To save it, the kernel is told to write what it caches to the guest's tables; so RAM is to be saved after
 * the irqchip, and restored before it.
 */
#include "gic.h"
#include "layout.h"
#include <errno.h>

#define GITS_CTLR	0x0000
#define GITS_IIDR	0x0004
#define GITS_CBASER	0x0080
#define GITS_CWRITER	0x0088
#define GITS_CREADR	0x0090
#define GITS_BASER(n)	(0x0100 + 8 * (n))
#define GITS_BASERS	8
#define GITS_TRANSLATER 0x10040

enum { ITS_ADDR, ITS_INIT, ITS_SAVE, ITS_RESTORE, ITS_RESET };

static const struct kvm_attr its_attrs[] = {
	[ITS_ADDR] = {.group = KVM_DEV_ARM_VGIC_GRP_ADDR,
		      .attr = KVM_VGIC_ITS_ADDR_TYPE,
		      .group_name = "GRP_ADDR",
		      .name = "ITS_ADDR_TYPE",
		      .val = ARM_GIC_ITS,
		      .size = 8,
		      .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_APPLY},
	[ITS_INIT] = {.group = KVM_DEV_ARM_VGIC_GRP_CTRL,
		      .attr = KVM_DEV_ARM_VGIC_CTRL_INIT,
		      .group_name = "GRP_CTRL",
		      .name = "CTRL_INIT",
		      .flags = KVM_ATTR_COMMAND | KVM_ATTR_W | KVM_ATTR_APPLY},
	[ITS_SAVE] = {.group = KVM_DEV_ARM_VGIC_GRP_CTRL,
		      .attr = KVM_DEV_ARM_ITS_SAVE_TABLES,
		      .group_name = "GRP_CTRL",
		      .name = "ITS_SAVE_TABLES",
		      .flags = KVM_ATTR_COMMAND | KVM_ATTR_W},
	[ITS_RESTORE] = {.group = KVM_DEV_ARM_VGIC_GRP_CTRL,
			 .attr = KVM_DEV_ARM_ITS_RESTORE_TABLES,
			 .group_name = "GRP_CTRL",
			 .name = "ITS_RESTORE_TABLES",
			 .flags = KVM_ATTR_COMMAND | KVM_ATTR_W},
	[ITS_RESET] = {.group = KVM_DEV_ARM_VGIC_GRP_CTRL,
		       .attr = KVM_DEV_ARM_ITS_CTRL_RESET,
		       .group_name = "GRP_CTRL",
		       .name = "ITS_CTRL_RESET",
		       .flags = KVM_ATTR_COMMAND | KVM_ATTR_W | KVM_ATTR_OPTIONAL},
	{.group = KVM_DEV_ARM_VGIC_GRP_ITS_REGS,
	 .group_name = "GRP_ITS_REGS",
	 .name = "registers",
	 .size = 8,
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_RANGE},
};

const struct kvm_attr_table arm_its_attrs = {
	.owner = "its",
	.on = KVM_ON_DEVICE,
	.type = KVM_DEV_TYPE_ARM_VGIC_ITS,
	.attrs = its_attrs,
	.count = ARRAY_SIZE(its_attrs),
};

int its_create(struct irqchip *chip)
{
	int fd = kvm_device_create(chip->kvm, KVM_DEV_TYPE_ARM_VGIC_ITS);

	if (fd < 0)
		return fd;
	gic_of(chip)->its_fd = fd;
	return kvm_attr_apply("its", fd, &its_attrs[ITS_ADDR], 1);
}

int its_finalize(struct irqchip *chip)
{
	return kvm_attr_apply("its", gic_of(chip)->its_fd, &its_attrs[ITS_INIT], 1);
}

int its_msi_route(struct irqchip *chip, const struct msi_msg *msg, struct kvm_irq_routing_entry *entry)
{
	if (msg->address != ARM_GIC_ITS + GITS_TRANSLATER)
		return -EINVAL;
	entry->type = KVM_IRQ_ROUTING_MSI;
	entry->flags = KVM_MSI_VALID_DEVID;
	entry->u.msi.address_lo = (u32)msg->address;
	entry->u.msi.address_hi = (u32)(msg->address >> 32);
	entry->u.msi.data = msg->data;
	entry->u.msi.devid = msg->devid;
	return 0;
}

void its_describe(struct fdt *fdt)
{
	dt_device(fdt, "msi-controller", "arm,gic-v3-its", ARM_GIC_ITS, ARM_GIC_ITS_SIZE);
	dt_phandle(fdt, DT_MSI);
	dt_empty(fdt, "msi-controller");
	dt_u32(fdt, "#msi-cells", 1);
	dt_end(fdt);
}

static void walk_reg(struct state *s, int fd, u32 offset, const char *name)
{
	gic_reg64(s, fd, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, offset, name);
}

/* In the order in which arm-vgic-its.rst wants them restored: CBASER, the others, the tables, CTLR. */
void its_state(struct irqchip *chip, struct state *s)
{
	static const char *const baser[GITS_BASERS] = {"baser0", "baser1", "baser2", "baser3",
						       "baser4", "baser5", "baser6", "baser7"};
	int fd = gic_of(chip)->its_fd;
	const struct kvm_attr *reset = &its_attrs[ITS_RESET];

	if (s->mode == STATE_SAVE)
		gic_command(s, fd, KVM_DEV_ARM_ITS_SAVE_TABLES, "ITS_SAVE_TABLES");
	if (state_reading(s) && kvm_attr_has(fd, reset->group, reset->attr))
		gic_command(s, fd, KVM_DEV_ARM_ITS_CTRL_RESET, "ITS_CTRL_RESET");
	state_begin(s, "its", 1);
	walk_reg(s, fd, GITS_IIDR, "iidr");
	walk_reg(s, fd, GITS_CBASER, "cbaser");
	walk_reg(s, fd, GITS_CREADR, "creadr");
	walk_reg(s, fd, GITS_CWRITER, "cwriter");
	for (u32 i = 0; i < GITS_BASERS; i++)
		walk_reg(s, fd, GITS_BASER(i), baser[i]);
	if (state_reading(s))
		gic_command(s, fd, KVM_DEV_ARM_ITS_RESTORE_TABLES, "ITS_RESTORE_TABLES");
	walk_reg(s, fd, GITS_CTLR, "ctlr");
	state_end(s);
}

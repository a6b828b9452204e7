/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel MPIC (OpenPIC as Freescale has it: MPC8544E and P4080 reference manuals, "Programmable
 * Interrupt Controller"), version 2.0 or 4.2. Documentation/virt/kvm/devices/mpic.rst.
 *
 * Line n is source n. The kernel's routing table is empty until ours comes, so it is sent down at finalize.
 * A message is a write to the register MSIIR, whose value says which of 256 bits in 8 groups it sets; a group
 * that has any is a source of its own. KVM takes messages by that value and looks at no address.
 *
 * Main thread, while the VM is built; set_line and msi_route on any.
 */
#include "e500-layout.h"
#include "e500.h"
#include <errno.h>
#include <lkvm/pci.h>
#include <stdlib.h>
#include <string.h>

/* Cells of an interrupt (Linux's bindings/powerpc/fsl/mpic.txt). */
#define SENSE_RISING 0
#define SENSE_HIGH   2

struct mpic {
	int fd; /* the VM's to close */
	bool v4;
};

static struct mpic *mpic_of(const struct irqchip *chip)
{
	return chip->priv;
}

static const struct kvm_attr mpic_attrs[] = {
	{.group = KVM_DEV_MPIC_GRP_MISC,
	 .attr = KVM_DEV_MPIC_BASE_ADDR,
	 .group_name = "GRP_MISC",
	 .name = "BASE_ADDR",
	 .val = E500_MPIC,
	 .size = 8,
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_APPLY},
	{.group = KVM_DEV_MPIC_GRP_REGISTER,
	 .group_name = "GRP_REGISTER",
	 .name = "registers",
	 .size = 4,
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_RANGE},
	{.group = KVM_DEV_MPIC_GRP_IRQ_ACTIVE,
	 .group_name = "GRP_IRQ_ACTIVE",
	 .name = "sources",
	 .size = 4,
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_RANGE},
};

const struct kvm_attr_table ppc_mpic_20_attrs = {
	.owner = "mpic-2.0",
	.on = KVM_ON_DEVICE,
	.type = KVM_DEV_TYPE_FSL_MPIC_20,
	.attrs = mpic_attrs,
	.count = ARRAY_SIZE(mpic_attrs),
};

const struct kvm_attr_table ppc_mpic_42_attrs = {
	.owner = "mpic-4.2",
	.on = KVM_ON_DEVICE,
	.type = KVM_DEV_TYPE_FSL_MPIC_42,
	.attrs = mpic_attrs,
	.count = ARRAY_SIZE(mpic_attrs),
};

static int probe(const struct kvm *kvm, u32 type)
{
	return kvm_cap(kvm, KVM_CAP_IRQ_MPIC) > 0 ? kvm_device_probe(kvm, type) : -ENODEV;
}

static int probe_20(const struct kvm *kvm)
{
	return probe(kvm, KVM_DEV_TYPE_FSL_MPIC_20);
}

static int probe_42(const struct kvm *kvm)
{
	return probe(kvm, KVM_DEV_TYPE_FSL_MPIC_42);
}

static int create(struct irqchip *chip, bool v4)
{
	struct mpic *mpic = calloc(1, sizeof(*mpic));
	int fd;

	if (!mpic) {
		log_error("irqchip %s: out of memory", chip->ops->name);
		return -ENOMEM;
	}
	chip->priv = mpic;
	mpic->v4 = v4;
	fd = kvm_device_create(chip->kvm, v4 ? KVM_DEV_TYPE_FSL_MPIC_42 : KVM_DEV_TYPE_FSL_MPIC_20);
	if (fd < 0)
		return fd;
	mpic->fd = fd;
	return kvm_attr_apply(chip->ops->name, fd, mpic_attrs, ARRAY_SIZE(mpic_attrs));
}

static int create_20(struct irqchip *chip)
{
	return create(chip, false);
}

static int create_42(struct irqchip *chip)
{
	return create(chip, true);
}

static int mpic_attach_vcpu(struct irqchip *chip, struct vcpu *vcpu)
{
	int err = ppc_vcpu_enable_cap(vcpu, KVM_CAP_IRQ_MPIC, (u64)mpic_of(chip)->fd, vcpu->id);

	if (err)
		log_error("vcpu %u: KVM_CAP_IRQ_MPIC: %s", vcpu->index, strerror(-err));
	return err;
}

static int mpic_routes(struct irqchip *chip)
{
	int err = 0;

	for (u32 line = 0; line < E500_NR_LINES && !err; line++)
		err = irq_route_pin(chip->kvm, line, 0, line);
	return err;
}

static int mpic_finalize(struct irqchip *chip)
{
	return irq_routing_commit(chip->kvm);
}

static int mpic_set_line(struct irqchip *chip, u32 line, bool level)
{
	struct kvm_irq_level irq = {.irq = line, .level = level};

	return kvm_ioctl(chip->kvm->vm_fd, KVM_IRQ_LINE, &irq);
}

/*
 * A message's data is little-endian, as all of PCI is; the register is not. An MPIC 2.0 turned it round a
 * second time (the part's erratum PIC1), which Linux knows and makes up for.
 */
static int mpic_msi_route(struct irqchip *chip, const struct msi_msg *msg,
			  struct kvm_irq_routing_entry *entry)
{
	entry->type = KVM_IRQ_ROUTING_MSI;
	entry->u.msi.address_lo = (u32)msg->address;
	entry->u.msi.address_hi = (u32)(msg->address >> 32);
	entry->u.msi.data = mpic_of(chip)->v4 ? __builtin_bswap32(msg->data) : msg->data;
	return 0;
}

/* bindings/powerpc/fsl/msi-pic.txt. Registers to be read, and the one to be written. */
static void describe_messages(struct fdt *fdt)
{
	static const u64 reg[][2] = {{E500_MSI, E500_MSI_READ_SIZE}, {E500_MSIIR, 4}};
	static const u32 available[] = {0, E500_NR_MSI_GROUPS * 32};
	u32 sources[E500_NR_MSI_GROUPS * 2];

	for (u32 i = 0; i < E500_NR_MSI_GROUPS; i++) {
		sources[2 * i] = E500_IRQ_MSI + i;
		sources[2 * i + 1] = SENSE_RISING;
	}
	dt_begin_at(fdt, "msi", E500_MSI);
	dt_str(fdt, "compatible", "fsl,mpic-msi");
	dt_reg(fdt, reg, ARRAY_SIZE(reg));
	dt_phandle(fdt, DT_MSI);
	dt_cells(fdt, "msi-available-ranges", available, ARRAY_SIZE(available));
	dt_cells(fdt, "interrupts", sources, ARRAY_SIZE(sources));
	dt_end(fdt);
}

static int mpic_describe(const struct irqchip *chip, struct fdt *fdt)
{
	dt_device(fdt, "pic", "fsl,mpic", E500_MPIC, E500_MPIC_SIZE);
	dt_str(fdt, "device_type", "open-pic");
	dt_phandle(fdt, DT_IRQCHIP);
	dt_empty(fdt, "interrupt-controller");
	dt_u32(fdt, "#interrupt-cells", 2);
	dt_u32(fdt, "#address-cells", DT_IRQCHIP_ADDRESS_CELLS);
	dt_empty(fdt, "big-endian");
	dt_empty(fdt, "single-cpu-affinity");
	dt_end(fdt);
	if (pci_host_bus(chip->kvm))
		describe_messages(fdt);
	return fdt->err;
}

static u32 mpic_irq_cells(const struct irqchip *chip, u32 line, bool level, u32 *cells)
{
	cells[0] = line;
	cells[1] = level ? SENSE_HIGH : SENSE_RISING;
	return 2;
}

static int mpic_chip_state(struct irqchip *chip, struct state *s)
{
	return mpic_state(chip->kvm, mpic_of(chip)->fd, mpic_of(chip)->v4, s);
}

static void mpic_destroy(struct irqchip *chip)
{
	free(chip->priv);
	chip->priv = NULL;
}

#define MPIC_OPS(suffix, text)                                                                               \
	.name = text, .probe = probe_##suffix, .create = create_##suffix, .attach_vcpu = mpic_attach_vcpu,   \
	.routes = mpic_routes, .finalize = mpic_finalize, .set_line = mpic_set_line,                         \
	.msi_route = mpic_msi_route, .describe = mpic_describe, .irq_cells = mpic_irq_cells,                 \
	.state = mpic_chip_state, .destroy = mpic_destroy, .nr_lines = E500_NR_LINES,                        \
	.max_cpus = E500_MAX_CPUS

const struct irqchip_ops ppc_mpic_20 = {MPIC_OPS(20, "mpic-2.0")};
const struct irqchip_ops ppc_mpic_42 = {MPIC_OPS(42, "mpic-4.2")};

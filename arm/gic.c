/* SPDX-License-Identifier: MIT */
/*
 * What all GICs have in common: interrupt lines are SPIs (line n is INTID 32 + n), driven by KVM_IRQ_LINE
 * (api.rst 4.25); the routing table's pins are the same lines; a device tree names an interrupt by three
 * cells (Linux's arm,gic.yaml and arm,gic-v3.yaml).
 *
 * Lines: any thread. The rest: main thread, while the VM is built.
 */
#include "gic.h"
#include "layout.h"
#include <errno.h>
#include <lkvm/config.h>
#include <stdlib.h>

/* Cells of an interrupt: its kind, its number within the kind, its trigger. */
#define CELL_SPI	  0
#define CELL_PPI	  1
#define TRIGGER_RISING	  1
#define TRIGGER_HIGH	  4
#define FIRST_PPI	  16
#define GICV2_PPI_CPUS(n) (((1u << (n)) - 1) << 8)

int gic_alloc(struct irqchip *chip)
{
	struct gic *gic = calloc(1, sizeof(*gic));

	if (!gic) {
		log_error("irqchip %s: out of memory", chip->ops->name);
		return -ENOMEM;
	}
	gic->fd = gic->its_fd = -1;
	chip->priv = gic;
	return 0;
}

/* The fds are the VM's to close (kvm_device_create()). */
void gic_destroy(struct irqchip *chip)
{
	struct gic *gic = gic_of(chip);

	if (gic && gic->has_v2m)
		pthread_mutex_destroy(&gic->v2m.lock);
	free(gic);
	chip->priv = NULL;
}

int gic_set_line(struct irqchip *chip, u32 line, bool level)
{
	struct kvm_irq_level irq = {
		.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (ARM_FIRST_SPI + line),
		.level = level,
	};

	return kvm_ioctl(chip->kvm->vm_fd, KVM_IRQ_LINE, &irq);
}

/* KVM's own table, which ours replaces with the first MSI: GSI n is SPI n. */
int gic_routes(struct irqchip *chip)
{
	int err = 0;

	for (u32 line = 0; line < ARM_NR_LINES && !err; line++)
		err = irq_route_pin(chip->kvm, line, 0, line);
	return err;
}

int gic_no_msi(struct irqchip *chip, const struct msi_msg *msg, struct kvm_irq_routing_entry *entry)
{
	return -ENOTSUP;
}

u32 gic_irq_cells(const struct irqchip *chip, u32 line, bool level, u32 *cells)
{
	cells[0] = CELL_SPI;
	cells[1] = line;
	cells[2] = level ? TRIGGER_HIGH : TRIGGER_RISING;
	return 3;
}

void gic_ppi_cells(const struct irqchip *chip, u32 intid, u32 cells[3])
{
	cells[0] = CELL_PPI;
	cells[1] = intid - FIRST_PPI;
	cells[2] = TRIGGER_HIGH;
	if (gic_of(chip)->v2)
		cells[2] |= GICV2_PPI_CPUS(chip->kvm->cfg->cpus);
}

void gic_dt_begin(struct fdt *fdt, const char *const *compatible, size_t n)
{
	dt_begin_at(fdt, "interrupt-controller", ARM_GIC_DIST);
	dt_phandle(fdt, DT_IRQCHIP);
	dt_strs(fdt, "compatible", compatible, n);
	dt_empty(fdt, "interrupt-controller");
	dt_u32(fdt, "#interrupt-cells", 3);
	dt_u32(fdt, "#address-cells", DT_IRQCHIP_ADDRESS_CELLS);
	dt_u32(fdt, "#size-cells", 2);
	dt_empty(fdt, "ranges");
}

/* SPDX-License-Identifier: MIT */
/*
 * The GICv2m frame (Arm Server Base System Architecture 2.3, appendix E): a register at which a message's
 * write becomes the SPI that its data names. KVM has none for GICv2, so the frame is emulated here; a message
 * that goes by an irqfd never comes here, for its route leads to the SPI's pin (v2m_msi_route()).
 *
 * Accesses come from vCPU threads; there is nothing to lock.
 */
#include "gic.h"
#include "layout.h"
#include <errno.h>
#include <lkvm/kvm.h>
#include <stdio.h>

#define V2M_TYPER  0x008 /* first INTID in bits 25:16, their count in 9:0 */
#define V2M_SETSPI 0x040
#define V2M_IIDR   0xfcc
/* Implementer Arm, the frame's architecture 0. */
#define V2M_IIDR_VALUE 0x0000043b

static bool message_line(u32 data, u32 *line)
{
	*line = data - ARM_FIRST_SPI;
	return *line >= ARM_V2M_LINE && *line < ARM_V2M_LINE + ARM_V2M_LINES;
}

static void v2m_io(struct device *dev, struct io *io, void *arg)
{
	struct irqchip *chip = arg;
	const struct msi_msg msg = {.address = ARM_GIC_V2M + V2M_SETSPI, .data = (u32)io_value(io)};

	if (io->write) {
		/* An edge of the SPI. */
		if (io->offset == V2M_SETSPI && irq_msi_send(chip->kvm, &msg) < 0)
			log_debug(chip->kvm->log, "GICv2m: no SPI for the message 0x%x", msg.data);
		return;
	}
	if (io->offset == V2M_TYPER)
		io_reply(io, (ARM_FIRST_SPI + ARM_V2M_LINE) << 16 | ARM_V2M_LINES);
	else
		io_reply(io, io->offset == V2M_IIDR ? V2M_IIDR_VALUE : 0);
}

int v2m_create(struct irqchip *chip)
{
	static const struct device_ops ops = {.name = "gicv2m", .size = sizeof(struct device)};
	struct gic *gic = gic_of(chip);

	gic->v2m.ops = &ops;
	gic->v2m.kvm = chip->kvm;
	snprintf(gic->v2m.name, sizeof(gic->v2m.name), "gicv2m");
	list_init(&gic->v2m.link);
	pthread_mutex_init(&gic->v2m.lock, NULL);
	gic->has_v2m = true;
	return bus_map(&gic->v2m, BUS_MMIO, ARM_GIC_V2M, ARM_GIC_V2M_SIZE, v2m_io, chip, 0);
}

int v2m_msi_route(struct irqchip *chip, const struct msi_msg *msg, struct kvm_irq_routing_entry *entry)
{
	u32 line;

	if (msg->address != ARM_GIC_V2M + V2M_SETSPI || !message_line(msg->data, &line))
		return -EINVAL;
	entry->type = KVM_IRQ_ROUTING_IRQCHIP;
	entry->u.irqchip.irqchip = 0;
	entry->u.irqchip.pin = line;
	return 0;
}

void v2m_describe(struct fdt *fdt)
{
	dt_device(fdt, "v2m", "arm,gic-v2m-frame", ARM_GIC_V2M, ARM_GIC_V2M_SIZE);
	dt_phandle(fdt, DT_MSI);
	dt_empty(fdt, "msi-controller");
	dt_u32(fdt, "arm,msi-base-spi", ARM_FIRST_SPI + ARM_V2M_LINE);
	dt_u32(fdt, "arm,msi-num-spis", ARM_V2M_LINES);
	dt_end(fdt);
}

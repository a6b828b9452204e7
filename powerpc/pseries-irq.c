/* SPDX-License-Identifier: MIT */
/*
 * What XICS and XIVE have in common: lines as KVM's GSIs (api.rst 4.25 KVM_IRQ_LINE), messages as edges of
 * lines, the cells of an interrupt in the device tree (LoPAPR 1.1, B.6.9.2: source and trigger), and the
 * connection of a vCPU (api.rst 6.6 KVM_CAP_IRQ_XICS, 6.12 KVM_CAP_PPC_IRQ_XIVE).
 *
 * Lines: any thread. The rest: main thread, while the VM is built.
 */
#include "pseries-irq.h"
#include <errno.h>
#include <lkvm/config.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <stdlib.h>
#include <string.h>

int pseries_irq_reserve(struct irqchip *chip)
{
	int err = 0;

	for (u32 line = 0; line < PSERIES_FIRST_LINE && !err; line++)
		err = irq_claim(chip->kvm, line);
	return err;
}

u32 pseries_nr_servers(const struct kvm *kvm)
{
	return kvm->machine->vcpu_id(kvm, (u32)kvm->cfg->cpus - 1) + 1;
}

int pseries_irq_use(struct irqchip *chip, u32 line)
{
	struct pseries_irq *irq = pseries_irq_of(chip);
	int err;

	if (line < PSERIES_FIRST_LINE || line >= PSERIES_NR_LINES)
		return -EINVAL;
	if (line_set_has(&irq->used, line))
		return 0;
	err = irq->source_init(chip, line);
	if (!err)
		irq->used.bits[line / 64] |= 1ull << (line % 64);
	return err;
}

int pseries_irq_init_claimed(struct irqchip *chip)
{
	int err = 0;

	for (u32 line = PSERIES_FIRST_LINE; pseries_line_is_level(line) && !err; line++)
		if (chip->kvm->irq.claimed[line / 64] >> (line % 64) & 1)
			err = pseries_irq_use(chip, line);
	return err;
}

int pseries_irq_connect(struct irqchip *chip, struct vcpu *vcpu, u32 cap)
{
	int err = ppc_vcpu_enable_cap(vcpu, cap, (u64)pseries_irq_of(chip)->fd, vcpu->id);

	if (err)
		log_error("vcpu %u: it cannot be connected to the %s interrupt controller as server %u: %s",
			  vcpu->index, chip->ops->name, vcpu->id, strerror(-err));
	return err;
}

int pseries_irq_set_line(struct irqchip *chip, u32 line, bool level)
{
	struct kvm_irq_level irq = {.irq = line, .level = level};

	return kvm_ioctl(chip->kvm->vm_fd, KVM_IRQ_LINE, &irq);
}

/* The guest may have written anything: only what is a message's source leads anywhere. */
int pseries_irq_msi_route(struct irqchip *chip, const struct msi_msg *msg,
			  struct kvm_irq_routing_entry *entry)
{
	if (msg->address != PSERIES_MSI_DOORBELL || msg->data < PSERIES_FIRST_MSI ||
	    msg->data >= PSERIES_NR_LINES || !line_set_has(&pseries_irq_of(chip)->used, msg->data))
		return -EINVAL;
	entry->type = KVM_IRQ_ROUTING_IRQCHIP;
	entry->u.irqchip.irqchip = 0;
	entry->u.irqchip.pin = msg->data;
	return 0;
}

u32 pseries_irq_cells(const struct irqchip *chip, u32 line, bool level, u32 *cells)
{
	cells[0] = line;
	cells[1] = level;
	return 2;
}

void pseries_irq_destroy(struct irqchip *chip)
{
	free(chip->priv);
	chip->priv = NULL;
}

void pseries_irq_walk_set(struct irqchip *chip, struct state *s, struct line_set *set)
{
	struct pseries_irq *irq = pseries_irq_of(chip);

	*set = irq->used;
	if (state_printing(s))
		return;
	for (u32 i = 0; i < ARRAY_SIZE(set->bits); i++)
		state_u64(s, "sources", &set->bits[i]);
	if (!state_reading(s))
		return;
	for (u32 line = 0; line < PSERIES_NR_LINES && !s->err; line++) {
		bool now = line_set_has(&irq->used, line), saved = line_set_has(set, line);
		int err = 0;

		if (saved != now && pseries_line_is_level(line))
			err = -EINVAL;
		else if (saved != now)
			err = saved ? pseries_irq_use(chip, line) : irq->source_init(chip, line);
		if (err)
			state_fail(s, err, "sources", "source %u: this VM has it not as it was saved", line);
	}
}

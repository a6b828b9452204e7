/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel XICS (LoPAPR 1.1, chapter B.6.9; Documentation/virt/kvm/devices/xics.rst): sources, each of
 * which has a server and a priority, and for each vCPU a presenter. The guest reaches the presenters by
 * hypercalls and the sources by RTAS calls, all of which the kernel answers (H_XIRR ..., ibm,set-xive ... by
 * KVM_PPC_RTAS_DEFINE_TOKEN). On a host whose own controller is a XIVE, KVM puts the same interface on it.
 *
 * Main thread, while the VM is built; state with the vCPUs parked.
 */
#include "pseries-irq.h"
#include <errno.h>
#include <lkvm/config.h>
#include <lkvm/kvm.h>
#include <stdio.h>
#include <stdlib.h>

#define PRIORITY_NEVER 0xffull
#define XISR_IPI       2u

enum { XICS_NR_SERVERS, XICS_SOURCES };

static const struct kvm_attr xics_attrs[] = {
	/* Only where it stands on a XIVE: there it says how many of the host's virtual processors are taken.
	 */
	[XICS_NR_SERVERS] = {.group = KVM_DEV_XICS_GRP_CTRL,
			     .attr = KVM_DEV_XICS_NR_SERVERS,
			     .group_name = "GRP_CTRL",
			     .name = "NR_SERVERS",
			     .size = 4,
			     .flags = KVM_ATTR_W | KVM_ATTR_OPTIONAL},
	[XICS_SOURCES] = {.group = KVM_DEV_XICS_GRP_SOURCES,
			  .attr = PSERIES_FIRST_LINE,
			  .group_name = "GRP_SOURCES",
			  .name = "sources",
			  .size = 8,
			  .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_RANGE},
};

const struct kvm_attr_table ppc_xics_attrs = {
	.owner = "xics",
	.on = KVM_ON_DEVICE,
	.type = KVM_DEV_TYPE_XICS,
	.attrs = xics_attrs,
	.count = ARRAY_SIZE(xics_attrs),
};

/* ---- making it ---------------------------------------------------------------------------------- */

static int xics_probe(const struct kvm *kvm)
{
	return kvm_device_probe(kvm, KVM_DEV_TYPE_XICS);
}

/* Masked, as the guest finds it: it says by ibm,set-xive where each is to go. */
static int xics_source_init(struct irqchip *chip, u32 line)
{
	u64 val = PRIORITY_NEVER << KVM_XICS_PRIORITY_SHIFT | KVM_XICS_MASKED;
	struct kvm_attr attr = xics_attrs[XICS_SOURCES];

	if (pseries_line_is_level(line))
		val |= KVM_XICS_LEVEL_SENSITIVE;
	attr.attr = line;
	return kvm_attr_apply_val("xics", pseries_irq_of(chip)->fd, &attr, val);
}

static int xics_create(struct irqchip *chip)
{
	struct pseries_irq *irq = calloc(1, sizeof(*irq));
	int fd;

	if (!irq) {
		log_error("irqchip xics: out of memory");
		return -ENOMEM;
	}
	chip->priv = irq;
	irq->source_init = xics_source_init;
	fd = kvm_device_create(chip->kvm, KVM_DEV_TYPE_XICS);
	if (fd < 0)
		return fd;
	irq->fd = fd;
	fd = kvm_attr_apply_val("xics", irq->fd, &xics_attrs[XICS_NR_SERVERS], pseries_nr_servers(chip->kvm));
	return fd ? fd : pseries_irq_reserve(chip);
}

static int xics_attach_vcpu(struct irqchip *chip, struct vcpu *vcpu)
{
	return pseries_irq_connect(chip, vcpu, KVM_CAP_IRQ_XICS);
}

/*
 * One node for presentation and sources. The servers are those of the "cpu" nodes, and the guest needs no
 * register of them: reg is the first server's place in real memory on machines that have one.
 */
static int xics_describe(const struct irqchip *chip, struct fdt *fdt)
{
	const u32 servers[] = {0, pseries_nr_servers(chip->kvm)};

	dt_begin_node(fdt, "interrupt-controller");
	dt_phandle(fdt, DT_IRQCHIP);
	dt_str(fdt, "device_type", "PowerPC-External-Interrupt-Presentation");
	dt_str(fdt, "compatible", "IBM,ppc-xicp");
	dt_empty(fdt, "interrupt-controller");
	dt_cells(fdt, "ibm,interrupt-server-ranges", servers, ARRAY_SIZE(servers));
	dt_u32(fdt, "#interrupt-cells", 2);
	dt_u32(fdt, "#address-cells", DT_IRQCHIP_ADDRESS_CELLS);
	dt_end(fdt);
	return fdt->err;
}

/* ---- state ---------------------------------------------------------------------------------------- */

static void print_source(struct state *s, u32 line, u64 v)
{
	char name[16];

	snprintf(name, sizeof(name), "source%u", line);
	state_note(s, name, "server %u priority 0x%02x %s%s%s%s%s", (u32)(v & KVM_XICS_DESTINATION_MASK),
		   (u32)(v >> KVM_XICS_PRIORITY_SHIFT & KVM_XICS_PRIORITY_MASK),
		   v & KVM_XICS_LEVEL_SENSITIVE ? "level" : "edge", v & KVM_XICS_MASKED ? " masked" : "",
		   v & KVM_XICS_PENDING ? " pending" : "", v & KVM_XICS_PRESENTED ? " presented" : "",
		   v & KVM_XICS_QUEUED ? " queued" : "");
}

/*
 * Where XICS stands on a XIVE, the kernel masks all sources when the first is read and goes on when the last
 * has been: a walk reads each of them, once, also when it has failed.
 */
static void walk_sources(struct irqchip *chip, struct state *s, const struct line_set *set)
{
	int fd = pseries_irq_of(chip)->fd;

	for (u32 line = PSERIES_FIRST_LINE; line < PSERIES_NR_LINES; line++) {
		u64 v = 0;
		int err = 0;

		if (!line_set_has(set, line))
			continue;
		if (!state_reading(s))
			err = kvm_attr_get(fd, KVM_DEV_XICS_GRP_SOURCES, line, &v);
		if (state_printing(s) && !err)
			print_source(s, line, v);
		else if (!err)
			state_u64(s, "source", &v);
		if (state_reading(s) && !s->err)
			err = kvm_attr_set(fd, KVM_DEV_XICS_GRP_SOURCES, line, &v);
		if (err)
			state_fail(s, err, "source", "%u: %s", line, kvm_attr_errstr(err));
	}
}

static void walk_presenter(struct state *s, struct vcpu *vcpu)
{
	u64 v = 0;
	int err = s->err || state_reading(s) ? 0 : ppc_get_reg(vcpu->fd, KVM_REG_PPC_ICP_STATE, &v);
	char name[16];

	snprintf(name, sizeof(name), "server%u", vcpu->id);
	if (state_printing(s) && !err) {
		u32 xisr = (u32)(v >> KVM_REG_PPC_ICP_XISR_SHIFT) & KVM_REG_PPC_ICP_XISR_MASK;

		state_note(s, name, "CPPR 0x%02x XISR %u%s MFRR 0x%02x pending priority 0x%02x",
			   (u32)(v >> KVM_REG_PPC_ICP_CPPR_SHIFT), xisr, xisr == XISR_IPI ? " (IPI)" : "",
			   (u32)(v >> KVM_REG_PPC_ICP_MFRR_SHIFT) & KVM_REG_PPC_ICP_MFRR_MASK,
			   (u32)(v >> KVM_REG_PPC_ICP_PPRI_SHIFT) & KVM_REG_PPC_ICP_PPRI_MASK);
	} else if (!err) {
		state_u64(s, name, &v);
	}
	if (state_reading(s) && !s->err)
		err = ppc_set_reg(vcpu->fd, KVM_REG_PPC_ICP_STATE, &v);
	if (err)
		state_fail(s, err, name, "KVM_REG_PPC_ICP_STATE: %s", kvm_attr_errstr(err));
}

static int xics_state(struct irqchip *chip, struct state *s)
{
	struct kvm *kvm = chip->kvm;
	struct line_set set;

	state_begin(s, "xics", 1);
	state_must_match(s, "servers", pseries_nr_servers(kvm));
	pseries_irq_walk_set(chip, s, &set);
	walk_sources(chip, s, &set);
	state_end(s);
	/* A presenter refers to a source. */
	state_begin(s, "presentation", 1);
	for (u32 i = 0; i < kvm->nr_vcpus; i++)
		walk_presenter(s, &kvm->vcpu[i]);
	state_end(s);
	return s->err;
}

const struct irqchip_ops ppc_xics = {
	.name = "xics",
	.probe = xics_probe,
	.create = xics_create,
	.attach_vcpu = xics_attach_vcpu,
	.finalize = pseries_irq_init_claimed,
	.set_line = pseries_irq_set_line,
	.msi_route = pseries_irq_msi_route,
	.describe = xics_describe,
	.irq_cells = pseries_irq_cells,
	.state = xics_state,
	.destroy = pseries_irq_destroy,
	.msi_is_line = true,
	.nr_lines = PSERIES_NR_LINES,
};

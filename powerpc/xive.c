/* SPDX-License-Identifier: MIT */
/*
 * The in-kernel XIVE of POWER9 and later (Documentation/virt/kvm/devices/xive.rst), in the guest's own hands;
 * xive.h has the theory. Every source that has a page within the guest's reach is made before it runs: to
 * touch the page of one that is not there would end the VM.
 *
 * Main thread, while the VM is built; lines: any thread.
 */
#include "xive.h"
#include <errno.h>
#include <lkvm/config.h>
#include <lkvm/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pages of the thread area: the first two are the host's own, then the guest's system's, then its users'. */
enum { TIMA_OS = 2, TIMA_USER = 3, TIMA_PAGES = 4 };

enum { XIVE_NR_SERVERS, XIVE_SOURCE };

static const struct kvm_attr xive_attrs[] = {
	[XIVE_NR_SERVERS] = {.group = KVM_DEV_XIVE_GRP_CTRL,
			     .attr = KVM_DEV_XIVE_NR_SERVERS,
			     .group_name = "GRP_CTRL",
			     .name = "NR_SERVERS",
			     .size = 4,
			     .flags = KVM_ATTR_W | KVM_ATTR_OPTIONAL},
	[XIVE_SOURCE] = {.group = KVM_DEV_XIVE_GRP_SOURCE,
			 .group_name = "GRP_SOURCE",
			 .name = "sources",
			 .size = 8,
			 .flags = KVM_ATTR_W | KVM_ATTR_RANGE},
	/* What hypercalls become, and state. */
	{.group = KVM_DEV_XIVE_GRP_SOURCE_CONFIG,
	 .group_name = "GRP_SOURCE_CONFIG",
	 .name = "sources",
	 .size = 8,
	 .flags = KVM_ATTR_W | KVM_ATTR_RANGE},
	{.group = KVM_DEV_XIVE_GRP_EQ_CONFIG,
	 .group_name = "GRP_EQ_CONFIG",
	 .name = "queues",
	 .size = sizeof(struct kvm_ppc_xive_eq),
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_PER_VCPU | KVM_ATTR_RANGE},
	{.group = KVM_DEV_XIVE_GRP_SOURCE_SYNC,
	 .group_name = "GRP_SOURCE_SYNC",
	 .name = "sources",
	 .flags = KVM_ATTR_COMMAND | KVM_ATTR_W | KVM_ATTR_RANGE},
	{.group = KVM_DEV_XIVE_GRP_CTRL,
	 .attr = KVM_DEV_XIVE_EQ_SYNC,
	 .group_name = "GRP_CTRL",
	 .name = "EQ_SYNC",
	 .flags = KVM_ATTR_COMMAND | KVM_ATTR_W},
	{.group = KVM_DEV_XIVE_GRP_CTRL,
	 .attr = KVM_DEV_XIVE_RESET,
	 .group_name = "GRP_CTRL",
	 .name = "RESET",
	 .flags = KVM_ATTR_COMMAND | KVM_ATTR_W},
};

const struct kvm_attr_table ppc_xive_attrs = {
	.owner = "xive",
	.on = KVM_ON_DEVICE,
	.type = KVM_DEV_TYPE_XIVE,
	.attrs = xive_attrs,
	.count = ARRAY_SIZE(xive_attrs),
};

/* ---- making it ---------------------------------------------------------------------------------- */

static int xive_probe(const struct kvm *kvm)
{
	return kvm_device_probe(kvm, KVM_DEV_TYPE_XIVE);
}

/* They are all there; the guest masks them itself. */
static int xive_source_init(struct irqchip *chip, u32 line)
{
	return 0;
}

static struct xive *xive_alloc(struct irqchip *chip)
{
	u32 nr = XIVE_FIRST_IPI + (u32)chip->kvm->cfg->cpus;
	struct xive *xive = calloc(1, sizeof(*xive) + nr * sizeof(xive->config[0]));

	if (!xive) {
		log_error("irqchip xive: out of memory");
		return NULL;
	}
	xive->page = (u32)sysconf(_SC_PAGESIZE);
	xive->nr_sources = nr;
	xive->irq.source_init = xive_source_init;
	pthread_mutex_init(&xive->lock, NULL);
	xive_forget_config(xive);
	chip->priv = &xive->irq;
	return xive;
}

static u8 *map_pages(const struct xive *xive, const char *what, size_t len, u64 first)
{
	u8 *p = kvm_mmap(xive->irq.fd, len, first * xive->page);

	if (!p)
		log_error("irqchip xive: the pages of its %s cannot be mapped; --irqchip xics needs none",
			  what);
	return p;
}

/* Into this process, and from here into the guest. */
static int xive_map(struct irqchip *chip, struct xive *xive)
{
	u64 first = xive_esb_gpa(xive, PSERIES_FIRST_LINE, false);
	int err;

	xive->esb_size = 2ull * xive->nr_sources * xive->page;
	xive->esb = map_pages(xive, "sources", xive->esb_size, KVM_XIVE_ESB_PAGE_OFFSET);
	if (!xive->esb)
		return -ENOMEM;
	xive->tima_size = (size_t)TIMA_PAGES * xive->page;
	xive->tima = map_pages(xive, "threads", xive->tima_size, KVM_XIVE_TIMA_PAGE_OFFSET);
	if (!xive->tima)
		return -ENOMEM;
	err = mem_add_device(chip->kvm, first, xive_esb_gpa(xive, xive->nr_sources, false) - first,
			     xive_esb_page(xive, PSERIES_FIRST_LINE, false));
	if (err)
		return err;
	/* Alone: behind the others there is nothing for a guest. */
	return mem_add_device(chip->kvm, PSERIES_XIVE_TIMA + (u64)TIMA_OS * xive->page, xive->page,
			      xive->tima + (size_t)TIMA_OS * xive->page);
}

static int xive_create(struct irqchip *chip)
{
	struct xive *xive = xive_alloc(chip);
	int err;

	if (!xive)
		return -ENOMEM;
	xive->irq.fd = kvm_device_create(chip->kvm, KVM_DEV_TYPE_XIVE);
	if (xive->irq.fd < 0)
		return xive->irq.fd;
	err = kvm_attr_apply_val("xive", xive->irq.fd, &xive_attrs[XIVE_NR_SERVERS],
				 pseries_nr_servers(chip->kvm));
	if (!err)
		err = xive_map(chip, xive);
	return err ? err : pseries_irq_reserve(chip);
}

static int xive_attach_vcpu(struct irqchip *chip, struct vcpu *vcpu)
{
	return pseries_irq_connect(chip, vcpu, KVM_CAP_PPC_IRQ_XIVE);
}

static int xive_finalize(struct irqchip *chip)
{
	struct xive *xive = xive_of(chip);
	struct kvm_attr attr = xive_attrs[XIVE_SOURCE];
	int err = 0;

	for (u32 source = PSERIES_FIRST_LINE; source < xive->nr_sources && !err; source++) {
		attr.attr = source;
		err = kvm_attr_apply_val("xive", xive->irq.fd, &attr,
					 pseries_line_is_level(source) ? KVM_XIVE_LEVEL_SENSITIVE : 0);
	}
	return err ? err : pseries_irq_init_claimed(chip);
}

static void xive_destroy(struct irqchip *chip)
{
	struct xive *xive = chip->priv ? xive_of(chip) : NULL;

	if (!xive)
		return;
	if (xive->esb)
		munmap(xive->esb, xive->esb_size);
	if (xive->tima)
		munmap(xive->tima, xive->tima_size);
	pthread_mutex_destroy(&xive->lock);
	free(xive);
	chip->priv = NULL;
}

/* ---- what it does ------------------------------------------------------------------------------- */

int xive_set_config(struct xive *xive, u32 source, u64 config)
{
	int err = kvm_attr_set(xive->irq.fd, KVM_DEV_XIVE_GRP_SOURCE_CONFIG, source, &config);

	if (!err)
		xive->config[source] = config;
	return err;
}

void xive_forget_config(struct xive *xive)
{
	for (u32 i = 0; i < xive->nr_sources; i++)
		xive->config[i] = KVM_XIVE_SOURCE_MASKED_MASK | (u64)i << KVM_XIVE_SOURCE_EISN_SHIFT;
}

static int xive_set_line(struct irqchip *chip, u32 line, bool level)
{
	struct xive *xive = xive_of(chip);
	u64 bit = 1ull << (line % 64);

	if (line >= PSERIES_NR_LINES)
		return -EINVAL;
	if (pseries_line_is_level(line)) {
		if (level)
			atomic_fetch_or(&xive->high[line / 64], bit);
		else
			atomic_fetch_and(&xive->high[line / 64], ~bit);
	}
	return pseries_irq_set_line(chip, line, level);
}

/*
 * The sources that KVM has are triggered and forget: one that is level-triggered is triggered again as long
 * as it is high. Whoever raises it meanwhile has said so before he triggers, and finds P set or not.
 */
void xive_retrigger(struct irqchip *chip, u32 source)
{
	struct xive *xive = xive_of(chip);

	if (!pseries_line_is_level(source) || !(atomic_load(&xive->high[source / 64]) >> (source % 64) & 1) ||
	    xive_esb_load(xive_esb_page(xive, source, true), ESB_GET) & (ESB_P | ESB_Q))
		return;
	if (pseries_irq_set_line(chip, source, true) < 0)
		log_debug(chip->kvm->log, "xive: source %u cannot be triggered", source);
}

/* ---- the device tree ------------------------------------------------------------------------------ */

void pseries_irq_describe_root(const struct kvm *kvm, struct fdt *fdt)
{
	/* Pairs of first and count: those that the guest must leave alone. */
	static const u32 reserved[] = {XIVE_PRIORITIES, 0xff - XIVE_PRIORITIES};

	if (kvm->irqchip.ops == &ppc_xive)
		dt_cells(fdt, "ibm,plat-res-int-priorities", reserved, ARRAY_SIZE(reserved));
}

static int xive_describe(const struct irqchip *chip, struct fdt *fdt)
{
	const struct xive *xive = xive_of(chip);
	const u64 user = PSERIES_XIVE_TIMA + (u64)TIMA_USER * xive->page;
	const u64 reg[][2] = {{user, xive->page},
			      {PSERIES_XIVE_TIMA + (u64)TIMA_OS * xive->page, xive->page}};
	const u32 ipis[] = {XIVE_FIRST_IPI, xive->nr_sources - XIVE_FIRST_IPI};

	dt_begin_at(fdt, "interrupt-controller", user);
	dt_phandle(fdt, DT_IRQCHIP);
	dt_str(fdt, "device_type", "power-ivpe");
	dt_str(fdt, "compatible", "ibm,power-ivpe");
	dt_reg(fdt, reg, ARRAY_SIZE(reg));
	dt_u32(fdt, "ibm,xive-eq-sizes", XIVE_QUEUE_SHIFT);
	dt_cells(fdt, "ibm,xive-lisn-ranges", ipis, ARRAY_SIZE(ipis));
	dt_empty(fdt, "interrupt-controller");
	dt_u32(fdt, "#interrupt-cells", 2);
	dt_u32(fdt, "#address-cells", DT_IRQCHIP_ADDRESS_CELLS);
	dt_end(fdt);
	return fdt->err;
}

const struct irqchip_ops ppc_xive = {
	.name = "xive",
	.probe = xive_probe,
	.create = xive_create,
	.attach_vcpu = xive_attach_vcpu,
	.finalize = xive_finalize,
	.set_line = xive_set_line,
	.msi_route = pseries_irq_msi_route,
	.describe = xive_describe,
	.irq_cells = pseries_irq_cells,
	.state = xive_state,
	.destroy = xive_destroy,
	.msi_is_line = true,
	.nr_lines = PSERIES_NR_LINES,
};

/* SPDX-License-Identifier: MIT */
/*
 * irqchip-state CHIP: the state of XICS or XIVE on the real KVM. In VM A sources are set up and triggered, in
 * the guest's place and without one; A's irqchip is saved, twice, and must give the same bytes. In VM B, of
 * the same config and with A's memory, they are restored and saved again, and must be the same; and what
 * pended in A pends in B and goes on there. State of another number of vCPUs is refused.
 *
 * Says "ok TEXT", "not ok TEXT", "# TEXT", and "done" at the end, as payloads do.
 */
#include "chip.h"

#include <errno.h>
#include <inttypes.h>
#include <powerpc/xive.h>
#include <string.h>

#define LEVEL	      PSERIES_IRQ_PCI
#define MSI	      PSERIES_FIRST_MSI
#define MSIS	      4u
#define PRIORITY      5u
#define QUEUE(server) (0x1000000ull + (server)*0x10000ull)

enum { H_INT_SET_SOURCE_CONFIG = 0x3ac, H_INT_SET_QUEUE_CONFIG = 0x3b8, H_INT_ESB = 0x3c8 };

/* ---- XICS --------------------------------------------------------------------------------------------- */

static void source(struct kvm *kvm, u32 n, u32 server, u64 flags)
{
	u64 v = server | (u64)PRIORITY << KVM_XICS_PRIORITY_SHIFT | flags;

	if (kvm_attr_set(pseries_irq_of(&kvm->irqchip)->fd, KVM_DEV_XICS_GRP_SOURCES, n, &v))
		result(false, "source %u can be set up", n);
}

/* The presenter's word; CPPR 0xff lets everything through. */
static u64 presenter(struct kvm *kvm, u32 cpu)
{
	u64 v = 0;

	if (ppc_get_reg(kvm->vcpu[cpu].fd, KVM_REG_PPC_ICP_STATE, &v))
		result(false, "the presenter can be read");
	return v;
}

static void xics_work(struct kvm *kvm)
{
	u64 open = 0xffull << KVM_REG_PPC_ICP_CPPR_SHIFT | 0xffull << KVM_REG_PPC_ICP_MFRR_SHIFT |
		   0xffull << KVM_REG_PPC_ICP_PPRI_SHIFT;

	if (ppc_set_reg(kvm->vcpu[0].fd, KVM_REG_PPC_ICP_STATE, &open))
		result(false, "the presenter can be opened");
	source(kvm, LEVEL, 1, KVM_XICS_LEVEL_SENSITIVE);
	source(kvm, LEVEL + 1, 0, KVM_XICS_LEVEL_SENSITIVE | KVM_XICS_MASKED);
	source(kvm, MSI, 0, 0);
	source(kvm, MSI + 1, 1, 0);
	source(kvm, MSI + 2, 0, KVM_XICS_MASKED);
	chip_line(kvm, LEVEL, true);
	chip_line(kvm, LEVEL + 1, true);
	chip_line(kvm, MSI, true);
	/* Once: where XICS stands on a XIVE, one that waits twice is restored as one that waits once. */
	chip_line(kvm, MSI + 1, true);
	chip_line(kvm, MSI + 2, true);
}

static void presents(struct kvm *kvm, u32 cpu, u32 source, u32 priority)
{
	u64 v = presenter(kvm, cpu);

	result((v >> KVM_REG_PPC_ICP_XISR_SHIFT & KVM_REG_PPC_ICP_XISR_MASK) == source &&
		       (v >> KVM_REG_PPC_ICP_PPRI_SHIFT & KVM_REG_PPC_ICP_PPRI_MASK) == priority,
	       "CPU %u is presented source %u of priority %u: 0x%016" PRIx64, cpu, source, priority, v);
}

/* The presenter's CPPR and MFRR; the kernel looks for what waits when MFRR rises. */
static void open_presenter(struct kvm *kvm, u32 cpu)
{
	const u64 shut = 0xffull << KVM_REG_PPC_ICP_PPRI_SHIFT,
		  open = shut | 0xffull << KVM_REG_PPC_ICP_CPPR_SHIFT | 0xffull << KVM_REG_PPC_ICP_MFRR_SHIFT;

	if (ppc_set_reg(kvm->vcpu[cpu].fd, KVM_REG_PPC_ICP_STATE, &shut) ||
	    ppc_set_reg(kvm->vcpu[cpu].fd, KVM_REG_PPC_ICP_STATE, &open))
		result(false, "the presenter can be opened");
}

static void xics_check(struct kvm *kvm)
{
	int fd = pseries_irq_of(&kvm->irqchip)->fd;
	u64 v = presenter(kvm, 0);
	u64 s = 0;

	result(v >> KVM_REG_PPC_ICP_CPPR_SHIFT == 0xff, "CPU 0 lets interrupts through: 0x%016" PRIx64, v);
	if (kvm_attr_get(fd, KVM_DEV_XICS_GRP_SOURCES, MSI, &s))
		result(false, "a source can be read");
	result(s & (KVM_XICS_PENDING | KVM_XICS_PRESENTED), "source %u waits: 0x%016" PRIx64, MSI, s);
	/* On a XIVE the presenter is that one's, and tells of nothing until a guest asks. */
	if (kvm_attr_has(fd, KVM_DEV_XICS_GRP_CTRL, KVM_DEV_XICS_NR_SERVERS))
		return;
	presents(kvm, 0, MSI, PRIORITY);
	/* It has let nothing through so far; of those that wait, of one priority, the level-triggered one is
	 * first. */
	v = presenter(kvm, 1);
	result(!(v >> KVM_REG_PPC_ICP_CPPR_SHIFT), "CPU 1 lets nothing through: 0x%016" PRIx64, v);
	presents(kvm, 1, 0, 0xff);
	open_presenter(kvm, 1);
	presents(kvm, 1, LEVEL, PRIORITY);
}

/* ---- XIVE ---------------------------------------------------------------------------------------------- */

static void hcall(struct kvm *kvm, u64 nr, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4)
{
	const u64 arg[9] = {a0, a1, a2, a3, a4};
	u64 ret[9] = {0};
	long status = -1;

	if (!xive_hcall(&kvm->vcpu[0], nr, arg, ret, &status) || status)
		result(false, "hypercall 0x%" PRIx64 " of %" PRIu64 ": %ld", nr, a1, status);
}

static void unmask(struct kvm *kvm, u32 n, u32 server)
{
	hcall(kvm, H_INT_SET_SOURCE_CONFIG, 2, n, server, PRIORITY, 0x1000 + n);
	hcall(kvm, H_INT_ESB, 0, n, ESB_SET_PQ, 0, 0);
}

static u32 pq_of(struct kvm *kvm, u32 n)
{
	return (u32)xive_esb_load(xive_esb_page(xive_of(&kvm->irqchip), n, true), ESB_GET) & 3;
}

static void xive_work(struct kvm *kvm)
{
	for (u32 i = 0; i < 2; i++)
		hcall(kvm, H_INT_SET_QUEUE_CONFIG, 1, kvm->vcpu[i].id, PRIORITY, QUEUE(i), XIVE_QUEUE_SHIFT);
	for (u32 i = 0; i < MSIS; i++)
		unmask(kvm, MSI + i, kvm->vcpu[i % 2].id);
	unmask(kvm, LEVEL, kvm->vcpu[1].id);
	unmask(kvm, XIVE_FIRST_IPI, kvm->vcpu[0].id);
	chip_line(kvm, MSI, true);
	chip_line(kvm, MSI + 1, true);
	chip_line(kvm, MSI + 1, true);
	/* Once, and taken by the guest; and one that the guest wants to hear nothing of. */
	chip_line(kvm, MSI + 2, true);
	hcall(kvm, H_INT_ESB, 0, MSI + 2, ESB_LOAD_EOI, 0, 0);
	hcall(kvm, H_INT_ESB, 0, MSI + 3, ESB_SET_PQ + 0x100, 0, 0);
	chip_line(kvm, MSI + 3, true);
	chip_line(kvm, LEVEL, true);
	xive_esb_store(xive_esb_page(xive_of(&kvm->irqchip), XIVE_FIRST_IPI, false), 0, 0);
}

static u32 queue_index(struct kvm *kvm, u32 cpu)
{
	struct kvm_ppc_xive_eq eq = {0};
	u64 attr = (u64)kvm->vcpu[cpu].id << KVM_XIVE_EQ_SERVER_SHIFT | PRIORITY;

	if (kvm_attr_get(xive_of(&kvm->irqchip)->irq.fd, KVM_DEV_XIVE_GRP_EQ_CONFIG, attr, &eq))
		result(false, "a queue can be read");
	return eq.qindex;
}

static void xive_check(struct kvm *kvm)
{
	static const struct {
		u32 source, pq;
	} want[] = {{MSI, 2}, {MSI + 1, 3}, {MSI + 2, 0}, {MSI + 3, 1}, {LEVEL, 2}, {XIVE_FIRST_IPI, 2}};
	const u8 *entry = guest_ptr(&kvm->mem, QUEUE(0), 4);
	u32 before = queue_index(kvm, 0);

	for (u32 i = 0; i < ARRAY_SIZE(want); i++)
		result(pq_of(kvm, want[i].source) == want[i].pq, "source %u has P and Q %u: %u",
		       want[i].source, want[i].pq, pq_of(kvm, want[i].source));
	/* Of CPU 0: two messages and its IPI. */
	result(before == 3, "CPU 0's queue has three events: %u", before);
	result(entry && entry[0] == 0x80 && entry[2] == 0x10 && entry[3] == MSI,
	       "the first one is source %u's", MSI);
	/* It goes on: the guest is done with it, and it comes again. */
	hcall(kvm, H_INT_ESB, 0, MSI, ESB_LOAD_EOI, 0, 0);
	chip_line(kvm, MSI, true);
	result(queue_index(kvm, 0) == before + 1, "a further event is in the queue");
	/* High still when the guest is done with it. */
	before = queue_index(kvm, 1);
	hcall(kvm, H_INT_ESB, 0, LEVEL, ESB_LOAD_EOI, 0, 0);
	result(queue_index(kvm, 1) == before + 1, "source %u is high, and comes again", LEVEL);
	chip_line(kvm, LEVEL, false);
	hcall(kvm, H_INT_ESB, 0, LEVEL, ESB_LOAD_EOI, 0, 0);
	result(queue_index(kvm, 1) == before + 1, "low, it does not");
}

/* ---- both ------------------------------------------------------------------------------------------------
 */

int main(int argc, char **argv)
{
	struct buf first, again, after;
	struct kvm *a, *b, *other;
	const char *chip;
	bool xive;

	if (argc != 2)
		return 2;
	chip = argv[1];
	xive = !strcmp(chip, "xive");
	a = chip_vm(chip, "a", "2");
	for (u32 i = 0; i < MSIS; i++)
		if (pseries_irq_use(&a->irqchip, MSI + i))
			result(false, "source %u is made", MSI + i);
	(xive ? xive_work : xics_work)(a);
	chip_print(a);
	first = chip_save(a);
	again = chip_save(a);
	result(chip_same(&first, &again), "saved twice, it is the same");
	b = chip_vm(chip, "b", "2");
	memcpy(guest_ptr(&b->mem, 0, guest_ram_size(&b->mem)), guest_ptr(&a->mem, 0, guest_ram_size(&a->mem)),
	       guest_ram_size(&a->mem));
	kvm_down(a);
	result(!chip_restore(b, &first), "it is restored into another VM");
	after = chip_save(b);
	result(chip_same(&first, &after), "saved from there, it is the same");
	chip_print(b);
	(xive ? xive_check : xics_check)(b);
	kvm_down(b);
	other = chip_vm(chip, "other", "1");
	result(chip_restore(other, &first) == -EINVAL, "a VM of one vCPU does not take it");
	kvm_down(other);
	return finish();
}

/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's powerpc part: what the host has, VMs, interrupt lines. vCPUs: fake-ppc-vcpu.c; interrupt
 * controllers: fake-xics.c, fake-xive.c, fake-mpic.c.
 *
 * Rules of api.rst, with the errnos of Linux 6.1 on a POWER9 with kvm-hv that has a XIVE, or, where the test
 * says so, on an e500v2. Called by the other files of the fake with its lock held.
 */
#include "fake-ppc.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* By what tells lkvm as well. */
static enum fake_ppc_kind host_kind(void)
{
	return fake_cap(KVM_CAP_SW_TLB) ? FAKE_E500 : FAKE_BOOK3S;
}

/* Those of Book3S; fake_ppc_host() has the others' differences. */
const struct fake_cap fake_arch_caps[] = {
	{KVM_CAP_USER_MEMORY, 1},
	{KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1},
	{KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1},
	{KVM_CAP_SYNC_MMU, 1},
	{KVM_CAP_NR_VCPUS, 4},
	{KVM_CAP_MAX_VCPUS, FAKE_MAX_VCPUS},
	{KVM_CAP_MAX_VCPU_ID, FAKE_MAX_VCPUS},
	{KVM_CAP_NR_MEMSLOTS, 512},
	{KVM_CAP_IRQFD, 1},
	{KVM_CAP_IRQFD_RESAMPLE, 1},
	{KVM_CAP_IOEVENTFD, 1},
	{KVM_CAP_IOEVENTFD_ANY_LENGTH, 1},
	{KVM_CAP_COALESCED_MMIO, KVM_COALESCED_MMIO_PAGE_OFFSET},
	{KVM_CAP_COALESCED_PIO, 1},
	{KVM_CAP_INTERNAL_ERROR_DATA, 1},
	{KVM_CAP_ONE_REG, 1},
	{KVM_CAP_DEVICE_CTRL, 1},
	{KVM_CAP_ENABLE_CAP, 1},
	{KVM_CAP_ENABLE_CAP_VM, 1},
	{KVM_CAP_CHECK_EXTENSION_VM, 1},
	{KVM_CAP_IMMEDIATE_EXIT, 1},
	{KVM_CAP_SET_GUEST_DEBUG, 1},
	{KVM_CAP_PPC_SEGSTATE, 1},
	{KVM_CAP_PPC_UNSET_IRQ, 1},
	{KVM_CAP_PPC_IRQ_LEVEL, 1},
	{KVM_CAP_PPC_PAPR, 1},
	{KVM_CAP_PPC_RTAS, 1},
	{KVM_CAP_PPC_ENABLE_HCALL, 1},
	{KVM_CAP_PPC_FIXUP_HCALL, 1},
	{KVM_CAP_PPC_GET_CPU_CHAR, 1},
	{KVM_CAP_PPC_GET_SMMU_INFO, 1},
	{KVM_CAP_PPC_HTAB_FD, 1},
	{KVM_CAP_PPC_ALLOC_HTAB, 1},
	{KVM_CAP_PPC_MMU_RADIX, 1},
	{KVM_CAP_PPC_MMU_HASH_V3, 1},
	{KVM_CAP_PPC_SMT, 1},
	{KVM_CAP_PPC_SMT_POSSIBLE, 1},
	{KVM_CAP_PPC_FWNMI, 1},
	{KVM_CAP_SPAPR_TCE, 1},
	{KVM_CAP_SPAPR_TCE_64, 1},
	{KVM_CAP_IRQ_XICS, 1},
	{KVM_CAP_PPC_IRQ_XIVE, 1},
	{0, -1},
};

#define N(req)                                                                                               \
	{                                                                                                    \
		req, #req                                                                                    \
	}

const struct fake_name fake_arch_names[] = {
	N(KVM_PPC_GET_PVINFO),	  N(KVM_PPC_RTAS_DEFINE_TOKEN),
	N(KVM_PPC_ALLOCATE_HTAB), N(KVM_PPC_CONFIGURE_V3_MMU),
	N(KVM_PPC_GET_RMMU_INFO), N(KVM_PPC_GET_SMMU_INFO),
	N(KVM_PPC_GET_CPU_CHAR),  N(KVM_CREATE_SPAPR_TCE),
	N(KVM_DIRTY_TLB),	  {0, NULL},
};

const struct fake_device_type *const fake_arch_types[] = {&fake_xics_type, &fake_xive_type, NULL};
/* In place of these, on an e500v2. */
static const struct fake_device_type *const e500_types[] = {&fake_mpic_20_type, &fake_mpic_42_type};

void fake_ppc_host(enum fake_ppc_kind kind)
{
	static const u32 book3s[] = {
		KVM_CAP_PPC_SEGSTATE,	  KVM_CAP_PPC_PAPR,	 KVM_CAP_PPC_RTAS,
		KVM_CAP_PPC_ENABLE_HCALL, KVM_CAP_PPC_HTAB_FD,	 KVM_CAP_PPC_FIXUP_HCALL,
		KVM_CAP_PPC_GET_CPU_CHAR, KVM_CAP_PPC_MMU_RADIX, KVM_CAP_PPC_ALLOC_HTAB,
		KVM_CAP_PPC_MMU_HASH_V3,  KVM_CAP_PPC_SMT,	 KVM_CAP_PPC_SMT_POSSIBLE,
		KVM_CAP_PPC_FWNMI,	  KVM_CAP_SPAPR_TCE,	 KVM_CAP_SPAPR_TCE_64,
		KVM_CAP_IRQ_XICS,	  KVM_CAP_PPC_IRQ_XIVE,	 KVM_CAP_PPC_GET_SMMU_INFO};
	static const u32 e500[] = {
		KVM_CAP_SW_TLB,		 KVM_CAP_IRQ_MPIC,	     KVM_CAP_PPC_EPR,
		KVM_CAP_PPC_BOOKE_SREGS, KVM_CAP_PPC_BOOKE_WATCHDOG, KVM_CAP_PPC_GET_PVINFO};

	if (kind != FAKE_E500)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(book3s); i++)
		fake_kvm_set_cap(book3s[i], 0);
	for (u32 i = 0; i < ARRAY_SIZE(e500); i++)
		fake_kvm_set_cap(e500[i], 1);
	fake_kvm_set_cap(KVM_CAP_IRQ_ROUTING, FAKE_MAX_ROUTES);
	fake_kvm_set_cap(KVM_CAP_SIGNAL_MSI, 1);
	fake_kvm_remove_type(KVM_DEV_TYPE_XICS);
	fake_kvm_remove_type(KVM_DEV_TYPE_XIVE);
	for (u32 i = 0; i < ARRAY_SIZE(e500_types); i++)
		fake_kvm_add_type(e500_types[i]);
}

struct fake_device *fake_ppc_device(const struct fake_vm *vm, u64 fd, const struct fake_device_type *type,
				    int *err)
{
	ino_t ino;

	*err = -EBADF;
	if (fd > INT32_MAX || !fake_fd_ino((int)fd, &ino))
		return NULL;
	*err = -EPERM;
	for (struct fake_device *dev = vm->devices; dev; dev = dev->next)
		if (dev->obj.ino == ino && dev->type->type == type->type)
			return dev;
	return NULL;
}

int fake_arch_system_ioctl(unsigned long req, void *arg, bool *known)
{
	*known = false;
	return 0;
}

/* ---- VMs ------------------------------------------------------------------------------------------ */

/* 0: as the host likes it; of Book3S it needs kvm-hv, which these two capabilities tell of. */
int fake_arch_vm_type(unsigned long type)
{
	if (host_kind() == FAKE_E500)
		return type ? -EINVAL : 0;
	if (!fake_cap(KVM_CAP_PPC_MMU_RADIX) && !fake_cap(KVM_CAP_PPC_ALLOC_HTAB))
		return -EINVAL;
	return type > KVM_VM_PPC_HV ? -EINVAL : 0;
}

void fake_arch_vm_init(struct fake_vm *vm)
{
	struct fake_ppc_vm *ppc = calloc(1, sizeof(*ppc));

	if (!ppc)
		abort();
	ppc->kind = host_kind();
	vm->arch = ppc;
}

void fake_arch_vm_free(struct fake_vm *vm)
{
	free(vm->arch);
}

int fake_arch_slot(const struct fake_vm *vm, const struct kvm_userspace_memory_region *r)
{
	return 0;
}

int fake_arch_vm_cap(const struct fake_vm *vm, u32 cap)
{
	return fake_cap(cap);
}

int fake_arch_vcpu_precreate(const struct fake_vm *vm, u32 id)
{
	return id >= FAKE_MAX_VCPUS ? -EINVAL : 0;
}

static int enable_hcall(struct fake_ppc_vm *ppc, u64 hcall, u64 on)
{
	if (!fake_cap(KVM_CAP_PPC_ENABLE_HCALL) || hcall > 0x470 || (hcall & 3) || on > 1)
		return -EINVAL;
	if (on && ppc->nr_hcalls < ARRAY_SIZE(ppc->hcall))
		ppc->hcall[ppc->nr_hcalls++] = (u32)hcall;
	return 0;
}

int fake_arch_enable_cap(struct fake_vm *vm, const struct kvm_enable_cap *cap)
{
	switch (cap->cap) {
	case KVM_CAP_PPC_ENABLE_HCALL:
		return enable_hcall(fake_ppc(vm), cap->args[0], cap->args[1]);
	case KVM_CAP_PPC_DAWR1:
		fake_ppc(vm)->dawr1 = fake_cap(cap->cap);
		return fake_cap(cap->cap) ? 0 : -ENODEV;
	case KVM_CAP_PPC_SMT:
		return !fake_cap(cap->cap) || vm->nr_vcpus || !cap->args[0] ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static int define_token(struct fake_ppc_vm *ppc, const void *arg)
{
	/* Those that the kernel knows (book3s_rtas.c). */
	static const char *const names[] = {"ibm,set-xive", "ibm,get-xive", "ibm,int-on", "ibm,int-off"};
	struct kvm_rtas_token_args t;

	if (fake_copy_from(&t, (uintptr_t)arg, sizeof(t)))
		return -EFAULT;
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		if (strncmp(t.name, names[i], sizeof(t.name)))
			continue;
		for (u32 k = 0; t.token && k < ppc->nr_tokens; k++)
			if (ppc->token[k].token == t.token)
				return -EEXIST;
		if (ppc->nr_tokens < ARRAY_SIZE(ppc->token))
			ppc->token[ppc->nr_tokens++] = t;
		return 0;
	}
	return -ENOENT;
}

static int configure_mmu(struct fake_ppc_vm *ppc, const void *arg)
{
	struct kvm_ppc_mmuv3_cfg cfg;

	if (fake_copy_from(&cfg, (uintptr_t)arg, sizeof(cfg)))
		return -EFAULT;
	if (cfg.flags & ~(u64)(KVM_PPC_MMUV3_RADIX | KVM_PPC_MMUV3_GTSE))
		return -EINVAL;
	ppc->mmu = cfg;
	ppc->mmu_set = true;
	return 0;
}

static int smmu_info(u64 addr)
{
	const struct kvm_ppc_smmu_info info = {
		.flags = KVM_PPC_1T_SEGMENTS | KVM_PPC_PAGE_SIZES_REAL,
		.slb_size = 32,
		.sps = {{.page_shift = 12, .enc = {{12, 0}, {16, 7}, {24, 56}}},
			{.page_shift = 16, .slb_enc = 0x110, .enc = {{16, 1}, {24, 8}}},
			{.page_shift = 24, .slb_enc = 0x100, .enc = {{24, 0}}}},
	};

	return fake_copy_to(addr, &info, sizeof(info));
}

static int rmmu_info(u64 addr)
{
	const struct kvm_ppc_rmmu_info info = {
		.geometries = {{.page_shift = 12, .level_bits = {9, 9, 9, 13}},
			       {.page_shift = 16, .level_bits = {5, 9, 9, 13}}},
		.ap_encodings = {12, 5u << 29 | 16, 1u << 29 | 21, 2u << 29 | 30},
	};

	return fake_copy_to(addr, &info, sizeof(info));
}

/* How a guest calls KVM, as it does where there is no hypervisor's mode: `lis`, `ori`, `sc`, `nop`. */
static int pvinfo(u64 addr)
{
	const u32 code[4] = {0x3c004b56, 0x60004d21, 0x44000002, 0x60000000};
	struct kvm_ppc_pvinfo info = {.flags = KVM_PPC_PVINFO_FLAGS_EV_IDLE};

	for (u32 i = 0; i < 4; i++)
		info.hcall[i] = htobe32(code[i]);
	return fake_copy_to(addr, &info, sizeof(info));
}

int fake_arch_vm_ioctl(struct fake_vm *vm, unsigned long req, void *arg, bool *known)
{
	/* Bits beyond what the kernel knows of, too. */
	const struct kvm_ppc_cpu_char character = {.character = 0xf3ull << 56 | 0xabc,
						   .character_mask = 0xc7ull << 56,
						   .behaviour = 0xa5ull << 56 | 0xdef,
						   .behaviour_mask = 0xe4ull << 56};

	if (fake_ppc(vm)->kind != FAKE_BOOK3S)
		return req == KVM_PPC_GET_PVINFO ? pvinfo((uintptr_t)arg) : -ENOTTY;
	switch (req) {
	case KVM_PPC_RTAS_DEFINE_TOKEN:
		return define_token(fake_ppc(vm), arg);
	case KVM_PPC_CONFIGURE_V3_MMU:
		return configure_mmu(fake_ppc(vm), arg);
	case KVM_PPC_GET_SMMU_INFO:
		return smmu_info((uintptr_t)arg);
	case KVM_PPC_GET_RMMU_INFO:
		return rmmu_info((uintptr_t)arg);
	case KVM_PPC_GET_CPU_CHAR:
		return fake_copy_to((uintptr_t)arg, &character, sizeof(character));
	case KVM_PPC_ALLOCATE_HTAB:
		return 0;
	default:
		return -ENOTTY;
	}
}

/* ---- interrupts ------------------------------------------------------------------------------------- */

int fake_arch_irq_line(struct fake_vm *vm, u32 irq, bool level, u32 *line)
{
	*line = irq;
	if (fake_xics_of(vm))
		return fake_xics_line(vm, irq, level);
	if (fake_xive_of(vm))
		return fake_xive_line(vm, irq, level);
	if (!fake_mpic_of(vm))
		return -ENXIO;
	fake_mpic_gsi(vm, irq, level);
	return 0;
}

/* Without CONFIG_HAVE_KVM_IRQ_ROUTING there is nothing to route. */
bool fake_arch_can_route(const struct fake_vm *vm)
{
	return fake_ppc(vm)->kind == FAKE_E500;
}

bool fake_arch_pin_ok(const struct kvm_irq_routing_entry *e)
{
	return !e->u.irqchip.irqchip && e->u.irqchip.pin < FAKE_MPIC_SOURCES;
}

int fake_arch_irqfd_ready(const struct fake_vm *vm)
{
	return fake_ppc(vm)->xics || fake_ppc(vm)->xive || fake_ppc(vm)->mpic ? 0 : -EAGAIN;
}

/* An edge, as irqfd_inject() makes it. */
void fake_arch_irqfd(struct fake_vm *vm, u32 gsi)
{
	u32 line;

	if (!fake_arch_irq_line(vm, gsi, true, &line))
		(void)!fake_arch_irq_line(vm, gsi, false, &line);
}

/* The MPIC does not tell whether a message went through: it gives 0. The log of messages wants to know of it.
 */
int fake_arch_signal_msi(struct fake_vm *vm, const struct kvm_msi *msi)
{
	if (fake_ppc(vm)->kind != FAKE_E500)
		return -ENOTTY;
	if (!fake_mpic_of(vm) || msi->flags & ~KVM_MSI_VALID_DEVID)
		return -EINVAL;
	if (vm->nr_msis < FAKE_MAX_MSIS)
		vm->msi[vm->nr_msis++] = *msi;
	fake_mpic_message(vm, msi->data);
	return 0;
}

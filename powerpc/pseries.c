/* SPDX-License-Identifier: MIT */
/* The pseries machine (PAPR, 64 bits, paravirtual): its options, devices and their places, and what it needs
 * of KVM. */
#include "pseries-irq.h"
#include <errno.h>
#include <lkvm/config.h>
#include <stdlib.h>

static const struct board_device pseries_board[] = {
	{.ops = NULL},
};

static const struct kvm_cap pseries_caps[] = {
	{0, NULL},
};

static const struct irqchip_ops *const pseries_irqchips[] = {&ppc_xics, NULL};

static const struct kvm_attr_table *const pseries_attr_tables[] = {&ppc_xics_attrs, NULL};

static const char *const pseries_kernel_paths[] = {"vmlinux", NULL};

static int pseries_probe(const struct vm_config *cfg, int sys_fd, unsigned long *vm_type)
{
	*vm_type = KVM_VM_PPC_HV;
	return kvm_ioctl_val(sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_PPC_PAPR) > 0 ? 0 : -ENODEV;
}

static int pseries_vm_init(struct kvm *kvm)
{
	kvm->arch = calloc(1, sizeof(struct ppc_machine));
	return kvm->arch ? 0 : -ENOMEM;
}

static void pseries_destroy(struct kvm *kvm)
{
	free(kvm->arch);
	kvm->arch = NULL;
}

static int pseries_mem_layout(struct kvm *kvm)
{
	return mem_add_ram(kvm, 0, kvm->cfg->mem_size);
}

static int pseries_vcpu_init(struct vcpu *vcpu)
{
	return 0;
}

static void pseries_vcpu_free(struct vcpu *vcpu)
{
}

static int pseries_vcpu_reset(struct vcpu *vcpu)
{
	return -ENOTSUP;
}

static int pseries_vcpu_exit(struct vcpu *vcpu)
{
	return 0;
}

static int pseries_vcpu_state(struct vcpu *vcpu, struct state *s)
{
	return -ENOTSUP;
}

static int pseries_boot(struct kvm *kvm, struct boot_image *img)
{
	return -ENOTSUP;
}

const struct machine_ops ppc_pseries = {
	.name = "pseries",
	.options = ppc_options,
	.probe = pseries_probe,
	.irqchips = pseries_irqchips,
	.board = pseries_board,
	.required_caps = pseries_caps,
	.attr_tables = pseries_attr_tables,
	.vm_init = pseries_vm_init,
	.mem_layout = pseries_mem_layout,
	.vcpu_init = pseries_vcpu_init,
	.vcpu_free = pseries_vcpu_free,
	.vcpu_reset = pseries_vcpu_reset,
	.vcpu_exit = pseries_vcpu_exit,
	.vcpu_dump = ppc_vcpu_dump,
	.vcpu_state = pseries_vcpu_state,
	.vcpu_id = ppc_vcpu_id,
	.boot = pseries_boot,
	.kernel_paths = pseries_kernel_paths,
	.default_params = "console=hvc0 panic=-1",
	.destroy = pseries_destroy,
};

/* SPDX-License-Identifier: MIT */
/* The e500 machine (QorIQ, 32-bit big-endian or e5500): its options, devices and their places, and what it
 * needs of KVM. */
#include "powerpc.h"
#include <errno.h>
#include <lkvm/config.h>
#include <stdlib.h>

static const struct board_device e500_board[] = {
	{.ops = NULL},
};

static const struct kvm_cap e500_caps[] = {
	{0, NULL},
};

static const struct irqchip_ops *const e500_irqchips[] = {NULL};

static const struct kvm_attr_table *const e500_attr_tables[] = {NULL};

static const char *const e500_kernel_paths[] = {"vmlinux", NULL};

static int e500_probe(const struct vm_config *cfg, int sys_fd, unsigned long *vm_type)
{
	*vm_type = 0;
	return kvm_ioctl_val(sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_SW_TLB) > 0 ? 0 : -ENODEV;
}

static int e500_vm_init(struct kvm *kvm)
{
	kvm->arch = calloc(1, sizeof(struct ppc_machine));
	return kvm->arch ? 0 : -ENOMEM;
}

static void e500_destroy(struct kvm *kvm)
{
	free(kvm->arch);
	kvm->arch = NULL;
}

static int e500_mem_layout(struct kvm *kvm)
{
	return mem_add_ram(kvm, 0, kvm->cfg->mem_size);
}

static int e500_vcpu_init(struct vcpu *vcpu)
{
	return 0;
}

static void e500_vcpu_free(struct vcpu *vcpu)
{
}

static int e500_vcpu_reset(struct vcpu *vcpu)
{
	return -ENOTSUP;
}

static int e500_vcpu_exit(struct vcpu *vcpu)
{
	return 0;
}

static int e500_vcpu_state(struct vcpu *vcpu, struct state *s)
{
	return -ENOTSUP;
}

static int e500_boot(struct kvm *kvm, struct boot_image *img)
{
	return -ENOTSUP;
}

const struct machine_ops ppc_e500 = {
	.name = "e500",
	.options = ppc_options,
	.probe = e500_probe,
	.irqchips = e500_irqchips,
	.board = e500_board,
	.required_caps = e500_caps,
	.attr_tables = e500_attr_tables,
	.vm_init = e500_vm_init,
	.mem_layout = e500_mem_layout,
	.vcpu_init = e500_vcpu_init,
	.vcpu_free = e500_vcpu_free,
	.vcpu_reset = e500_vcpu_reset,
	.vcpu_exit = e500_vcpu_exit,
	.vcpu_dump = ppc_vcpu_dump,
	.vcpu_state = e500_vcpu_state,
	.vcpu_id = ppc_vcpu_id,
	.boot = e500_boot,
	.kernel_paths = e500_kernel_paths,
	.default_params = "console=ttyS0 panic=-1",
	.destroy = e500_destroy,
};

/* SPDX-License-Identifier: MIT */
/*
 * The attributes that KVM has on x86: on /dev/kvm, on a vCPU, and on the one kind of device that x86 makes
 * with KVM_CREATE_DEVICE, VFIO. machine.c lists these tables, so that its code, `lkvm devices` and the tests
 * share them.
 *
 * Documentation/virt/kvm/devices/vcpu.rst (4. KVM_VCPU_TSC_CTRL), devices/vfio.rst, api.rst 4.80 and
 * arch/x86/include/uapi/asm/kvm.h. Constant data: any thread, no lock.
 */
#include "x86.h"

/* What the system's headers may be too old to have. */
#ifndef KVM_X86_GRP_SYSTEM
#define KVM_X86_GRP_SYSTEM 0
#endif
#ifndef KVM_X86_XCOMP_GUEST_SUPP
#define KVM_X86_XCOMP_GUEST_SUPP 0
#endif
#ifndef KVM_X86_GRP_SEV
#define KVM_X86_GRP_SEV 1
#endif
#ifndef KVM_X86_SEV_VMSA_FEATURES
#define KVM_X86_SEV_VMSA_FEATURES 0
#endif
#ifndef KVM_X86_SNP_POLICY_BITS
#define KVM_X86_SNP_POLICY_BITS 1
#endif
#ifndef KVM_X86_SEV_SNP_REQ_CERTS
#define KVM_X86_SEV_SNP_REQ_CERTS 2
#endif
#ifndef KVM_VCPU_TSC_CTRL
#define KVM_VCPU_TSC_CTRL   0
#define KVM_VCPU_TSC_OFFSET 0
#endif
/* Called KVM_DEV_VFIO_GROUP and so on before Linux 6.6: same numbers. */
#ifndef KVM_DEV_VFIO_FILE
#define KVM_DEV_VFIO_FILE     1
#define KVM_DEV_VFIO_FILE_ADD 1
#define KVM_DEV_VFIO_FILE_DEL 2
#endif

/* /dev/kvm: what this host could give any VM (KVM_CAP_SYS_ATTRIBUTES). Only read. */
static const struct kvm_attr system_attrs[] = {
	{
		.group = KVM_X86_GRP_SYSTEM, /* 0 */
		.attr = KVM_X86_XCOMP_GUEST_SUPP,
		.group_name = "KVM_X86_GRP_SYSTEM",
		.name = "KVM_X86_XCOMP_GUEST_SUPP", /* XCR0 bits that a guest may be given */
		.size = 8,
		.flags = KVM_ATTR_R,
	},
	{
		.group = KVM_X86_GRP_SEV, /* 1 */
		.attr = KVM_X86_SEV_VMSA_FEATURES,
		.group_name = "KVM_X86_GRP_SEV",
		.name = "KVM_X86_SEV_VMSA_FEATURES", /* for struct kvm_sev_init */
		.size = 8,
		.flags = KVM_ATTR_R,
	},
	{
		.group = KVM_X86_GRP_SEV,
		.attr = KVM_X86_SNP_POLICY_BITS,
		.group_name = "KVM_X86_GRP_SEV",
		.name = "KVM_X86_SNP_POLICY_BITS", /* policy bits that KVM_SEV_SNP_LAUNCH_START takes */
		.size = 8,
		.flags = KVM_ATTR_R,
	},
	{
		.group = KVM_X86_GRP_SEV,
		.attr = KVM_X86_SEV_SNP_REQ_CERTS,
		.group_name = "KVM_X86_GRP_SEV",
		.name = "KVM_X86_SEV_SNP_REQ_CERTS", /* whether KVM_EXIT_SNP_REQ_CERTS can be asked for */
		.size = 8,
		.flags = KVM_ATTR_R,
	},
};

/* A vCPU (KVM_CAP_VCPU_ATTRIBUTES). */
static const struct kvm_attr vcpu_attrs[] = {
	{
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.group_name = "KVM_VCPU_TSC_CTRL",
		.name = "KVM_VCPU_TSC_OFFSET", /* guest TSC minus (scaled) host TSC */
		.size = 8,
		.flags = KVM_ATTR_R | KVM_ATTR_W,
	},
};

/* The VFIO device: told of each VFIO group or device file, so that KVM knows of its DMA. Only written. */
static const struct kvm_attr vfio_attrs[] = {
	{
		.group = KVM_DEV_VFIO_FILE,
		.attr = KVM_DEV_VFIO_FILE_ADD,
		.group_name = "KVM_DEV_VFIO_FILE",
		.name = "KVM_DEV_VFIO_FILE_ADD", /* s32: a VFIO group's or device's fd */
		.size = 4,
		.flags = KVM_ATTR_W,
	},
	{
		.group = KVM_DEV_VFIO_FILE,
		.attr = KVM_DEV_VFIO_FILE_DEL,
		.group_name = "KVM_DEV_VFIO_FILE",
		.name = "KVM_DEV_VFIO_FILE_DEL",
		.size = 4,
		.flags = KVM_ATTR_W,
	},
	{
		/* Only where the host's IOMMU is a Power sPAPR one; listed since the number is common to all.
		 */
		.group = KVM_DEV_VFIO_FILE,
		.attr = KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE,
		.group_name = "KVM_DEV_VFIO_FILE",
		.name = "KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE",
		.size = sizeof(struct kvm_vfio_spapr_tce),
		.flags = KVM_ATTR_W | KVM_ATTR_OPTIONAL,
	},
};

const struct kvm_attr_table x86_system_attrs = {
	.owner = "/dev/kvm",
	.on = KVM_ON_SYSTEM,
	.attrs = system_attrs,
	.count = ARRAY_SIZE(system_attrs),
};

const struct kvm_attr_table x86_vcpu_attrs = {
	.owner = "vcpu",
	.on = KVM_ON_VCPU,
	.attrs = vcpu_attrs,
	.count = ARRAY_SIZE(vcpu_attrs),
};

const struct kvm_attr_table x86_vfio_attrs = {
	.owner = "vfio",
	.on = KVM_ON_DEVICE,
	.type = KVM_DEV_TYPE_VFIO,
	.attrs = vfio_attrs,
	.count = ARRAY_SIZE(vfio_attrs),
};

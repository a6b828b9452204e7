/* SPDX-License-Identifier: MIT */
/*
 * What the device control API's numbers are called: every device type of the kernel (all architectures, so
 * that any build can name what any host has) and what an errno of its calls means to the person who reads it.
 *
 * Constant tables and pure functions: any thread, no lock. Numbers from include/uapi/linux/kvm.h and the
 * rules from Documentation/virt/kvm/devices/ in the kernel's tree. docs/device-control.md says the same at
 * length.
 */
#include <lkvm/kvm-device.h>

#include <errno.h>
#include <string.h>

/* What the system's headers may be too old to have. */
#ifndef KVM_DEV_TYPE_RISCV_AIA
#define KVM_DEV_TYPE_RISCV_AIA 11
#endif
#ifndef KVM_DEV_TYPE_LOONGARCH_IPI
#define KVM_DEV_TYPE_LOONGARCH_IPI 12
#endif
#ifndef KVM_DEV_TYPE_LOONGARCH_EIOINTC
#define KVM_DEV_TYPE_LOONGARCH_EIOINTC 13
#endif
#ifndef KVM_DEV_TYPE_LOONGARCH_PCHPIC
#define KVM_DEV_TYPE_LOONGARCH_PCHPIC 14
#endif
#ifndef KVM_DEV_TYPE_LOONGARCH_DMSINTC
#define KVM_DEV_TYPE_LOONGARCH_DMSINTC 15
#endif
#ifndef KVM_DEV_TYPE_ARM_VGIC_V5
#define KVM_DEV_TYPE_ARM_VGIC_V5 16
#endif

/* Ascending by type. */
const struct kvm_device_info kvm_device_infos[] = {
	{KVM_DEV_TYPE_FSL_MPIC_20, "fsl-mpic-20", "Freescale MPIC 2.0 interrupt controller (Power e500)"},
	{KVM_DEV_TYPE_FSL_MPIC_42, "fsl-mpic-42", "Freescale MPIC 4.2 interrupt controller (Power e500)"},
	{KVM_DEV_TYPE_XICS, "xics", "XICS interrupt controller (Power pseries)"},
	{KVM_DEV_TYPE_VFIO, "vfio", "KVM's side of VFIO: host devices handed to the guest"},
	{KVM_DEV_TYPE_ARM_VGIC_V2, "arm-vgic-v2", "GICv2 interrupt controller (Arm)"},
	{KVM_DEV_TYPE_FLIC, "s390-flic", "floating interrupt controller (s390)"},
	{KVM_DEV_TYPE_ARM_VGIC_V3, "arm-vgic-v3", "GICv3 interrupt controller (Arm)"},
	{KVM_DEV_TYPE_ARM_VGIC_ITS, "arm-vgic-its", "GICv3 Interrupt Translation Service: MSIs (Arm)"},
	{KVM_DEV_TYPE_XIVE, "xive", "XIVE interrupt controller (Power9 and later)"},
	{KVM_DEV_TYPE_ARM_PV_TIME, "arm-pv-time", "paravirtual time; no kernel makes one (Arm)"},
	{KVM_DEV_TYPE_RISCV_AIA, "riscv-aia", "Advanced Interrupt Architecture: APLIC and IMSICs (RISC-V)"},
	{KVM_DEV_TYPE_LOONGARCH_IPI, "loongarch-ipi", "inter-processor interrupts (LoongArch)"},
	{KVM_DEV_TYPE_LOONGARCH_EIOINTC, "loongarch-eiointc",
	 "extended I/O interrupt controller (LoongArch)"},
	{KVM_DEV_TYPE_LOONGARCH_PCHPIC, "loongarch-pch-pic", "platform interrupt controller (LoongArch)"},
	{KVM_DEV_TYPE_LOONGARCH_DMSINTC, "loongarch-dmsintc", "direct MSI controller (LoongArch)"},
	{KVM_DEV_TYPE_ARM_VGIC_V5, "arm-vgic-v5", "GICv5 interrupt controller (Arm)"},
};
const size_t kvm_nr_device_infos = ARRAY_SIZE(kvm_device_infos);

const char *kvm_device_name(u32 type)
{
	for (size_t i = 0; i < ARRAY_SIZE(kvm_device_infos); i++)
		if (kvm_device_infos[i].type == type)
			return kvm_device_infos[i].name;
	return "unknown";
}

const char *kvm_attr_errstr(int err)
{
	switch (err < 0 ? -err : err) {
	case 0:
		return "no error";
	case ENODEV:
		return "the kernel knows no such device type, or the hardware lacks it";
	case EEXIST:
		return "it is there already: made, placed or set before";
	case ENXIO:
		return "this kernel's device has no such group or attribute, or not in this state";
	case EPERM:
		return "the device does not take this kind of call";
	case EBUSY:
		return "not in this state: too early, too late, or already done";
	case EFAULT:
		return "the memory handed over cannot be read or written";
	case EINVAL:
		return "a value out of its range, misaligned, overlapping or out of order";
	case E2BIG:
		return "it reaches beyond the guest's physical address space";
	case ENOENT:
		return "there is no such item";
	case EIO:
		return "the VM is dead or belongs to another process";
	case EACCES:
		return "the guest's tables or registers for it cannot be accessed";
	case ENOTTY:
		return "this fd takes no attributes on this kernel";
	case ENOMEM:
		return "the kernel is out of memory";
	case EMFILE:
		return "too many open files in this process: raise the limit (ulimit -n)";
	case ENFILE:
		return "too many open files on this host";
	case ENOSPC:
		return "no room for one more";
	case EBADF:
		return "the file descriptor handed over is closed or of another kind";
	case EOPNOTSUPP:
		return "not supported by this kernel or its hardware";
	case EINTR:
		return "interrupted by a signal";
	default:
		return "not an error that the device control API documents";
	}
}

const char *errno_name(int err)
{
	const char *name = strerrorname_np(err < 0 ? -err : err);

	return name ? name : "unknown errno";
}

/* SPDX-License-Identifier: MIT */
/*
 * VMs of the arm64 machine on the fake KVM, for this folder's tests: images that it takes, and kvm_up() to a
 * step of the test's choice (core-vm.h).
 */
#ifndef LKVM_TEST_ARM_VM_H
#define LKVM_TEST_ARM_VM_H

#include "fake-arm.h" /* first: core-vm.h has a `vm` for all to see */

#include "core-vm.h"
#include <arm/arm.h>
#include <arm/layout.h>
#include <inttypes.h>

#define ARM_MEM MiB(256)

/* Linux's Documentation/arm64/booting.rst, section 4. */
struct arm_image {
	u32 code0, code1;
	u64 text_offset, image_size, flags, res[3];
	u32 magic, pe;
	u8 body[4032];
};
#define ARM_IMAGE_MAGIC 0x644d5241u

static inline struct arm_image arm_image(u64 text_offset, u64 image_size)
{
	struct arm_image img = {.code0 = 0xd503201f, /* nop */
				.code1 = 0x14000000, /* b . */
				.text_offset = text_offset,
				.image_size = image_size,
				.flags = 0xa,
				.magic = ARM_IMAGE_MAGIC};

	for (u32 i = 0; i < sizeof(img.body); i++)
		img.body[i] = (u8)(i * 7);
	return img;
}

/* `lkvm run -k IMAGE ...more` up to a step. */
static inline int arm_up(const char *step, const char *const *more)
{
	struct arm_image img = arm_image(0, MiB(1));
	struct vm_file f = vm_file(&img, sizeof(img));
	int err = vm_up(f.path, ARM_MEM, step, more);

	close(f.fd);
	return err;
}

static inline struct fake_gic *arm_fake_gic(void)
{
	return &fake_arm(fake_kvm_newest())->gic;
}

/* Index of the first call that set that attribute of a device or of a vCPU, or -1. */
static inline int arm_attr_set_at(u32 group, u64 attr)
{
	return fake_kvm_find("KVM_SET_DEVICE_ATTR", FAKE_ATTR(group, attr));
}

static inline int arm_vcpu_attr_set_at(u32 group, u64 attr)
{
	return fake_kvm_find("KVM_SET_DEVICE_ATTR", FAKE_VCPU_ATTR(group, attr));
}

static inline u64 arm_reg64(u32 cpu, u64 id)
{
	const void *at = fake_arm_reg(fake_kvm_vcpu(fake_kvm_newest(), cpu), id);
	u64 v;

	assert_non_null(at);
	memcpy(&v, at, sizeof(v));
	return v;
}

#define ARM_CORE_REG(field)                                                                                  \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.field))

/* The irqchips by name, and what they are made of. */
static const struct {
	const char *name;
	u32 type; /* KVM_DEV_TYPE_ARM_VGIC_V2, _V3 */
	bool its, v2m;
} arm_chips[] = {
	{"gicv3-its", KVM_DEV_TYPE_ARM_VGIC_V3, true, false},
	{"gicv3", KVM_DEV_TYPE_ARM_VGIC_V3, false, false},
	{"gicv2m", KVM_DEV_TYPE_ARM_VGIC_V2, false, true},
	{"gicv2", KVM_DEV_TYPE_ARM_VGIC_V2, false, false},
};

#define ARM_TEST(name) cmocka_unit_test_setup_teardown(name, vm_setup, vm_teardown)

#endif

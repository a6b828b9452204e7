/* SPDX-License-Identifier: MIT */
/* A guest that has set up its ITS, for the tests of the ITS's state: where its tables are, and what maps. */
#ifndef LKVM_TEST_ITS_TABLES_H
#define LKVM_TEST_ITS_TABLES_H

#include "irqchip-state.h"

#define DEVICES	    (ARM_RAM + MiB(64))
#define COLLECTIONS (DEVICES + 0x10000)
#define QUEUE	    (DEVICES + 0x20000)
#define ITT	    (DEVICES + 0x30000)
#define PROPERTIES  (DEVICES + 0x40000)
#define PENDING(n)  (DEVICES + 0x50000 + 0x10000 * (u64)(n))
#define TABLES_SIZE 0x80000u

static inline void its_set(u32 reg, u64 val)
{
	assert_int_equal(kvm_attr_set(vm.kvm.device_fd[1], KVM_DEV_ARM_VGIC_GRP_ITS_REGS, reg, &val), 0);
}

static inline u64 its_get(u32 reg)
{
	u64 val;

	assert_int_equal(kvm_attr_get(vm.kvm.device_fd[1], KVM_DEV_ARM_VGIC_GRP_ITS_REGS, reg, &val), 0);
	return val;
}

static inline void redist_set(u32 cpu, u32 reg, u32 val)
{
	assert_int_equal(kvm_attr_set(vm.kvm.device_fd[0], KVM_DEV_ARM_VGIC_GRP_REDIST_REGS,
				      (u64)cpu << 32 | reg, &val),
			 0);
}

/* devices: what GITS_BASER0 says of the device table beside that it is there. */
static inline void its_on(u64 devices)
{
	const u64 valid = 1ull << 63;

	its_set(0x80, valid | QUEUE);
	its_set(0x100, valid | devices);
	its_set(0x108, valid | COLLECTIONS);
	its_set(0, 1);
	its_set(0x88, 0x60);
	for (u32 i = 0; i < 2; i++) {
		redist_set(i, 0x70, (u32)PROPERTIES | 15);
		redist_set(i, 0x74, (u32)(PROPERTIES >> 32));
		redist_set(i, 0x78, (u32)PENDING(i));
		redist_set(i, 0x7c, (u32)(PENDING(i) >> 32));
		redist_set(i, 0, 1);
	}
}

/* Three messages of two devices; one pends. */
static inline void msis_in_use(void)
{
	static const struct fake_lpi lpi[] = {
		{.device = 8, .event = 0, .lpi = 8192, .collection = 0, .vcpu = 0, .itt = ITT, .bits = 5},
		{.device = 8, .event = 7, .lpi = 8200, .collection = 1, .vcpu = 1, .itt = ITT, .bits = 5},
		{.device = 24,
		 .event = 2,
		 .lpi = 8300,
		 .collection = 1,
		 .vcpu = 1,
		 .itt = ITT + 0x1000,
		 .bits = 3},
	};

	its_on(DEVICES);
	for (u32 i = 0; i < ARRAY_SIZE(lpi); i++)
		fake_its_map(fake_kvm_newest(), &lpi[i]);
	fake_its_find(fake_kvm_newest(), 8, 7)->pending = true;
}

#endif

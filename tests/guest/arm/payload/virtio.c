// SPDX-License-Identifier: MIT
/*
 * One virtio device and the driver from hell (../../virtio-bad.c): mmio=ADDRESS or slot=N says which, type=N
 * what it must be.
 */
#include "../../virtio.h"

#define ECAM 0x42000000ul

void main(void)
{
	u32 base = option("mmio", 0), slot = option("slot", 0), type = option("type", 0);
	const struct vio_subject *subject = vio_subject(type);
	struct vio v;

	check(base ? vio_mmio(&v, base) : vio_pci(&v, ECAM, slot), "a virtio device is there");
	check_eq(v.type, type, "of that type");
	if (v.type == type && subject)
		vio_torment(&v, subject);
	finish();
}

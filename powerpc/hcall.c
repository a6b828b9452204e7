/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls (PAPR 14.5): those that KVM answers are switched on here (KVM_CAP_PPC_ENABLE_HCALL, api.rst
 * 7.1), the others come out as KVM_EXIT_PAPR_HCALL with the number, nine arguments (r4 to r12) and a place
 * for as many results.
 *
 * On the caller's vCPU thread, no lock held. Every argument is the guest's own word and is checked; what is
 * not known is answered by H_FUNCTION.
 */
#include "phb.h"
#include "pseries.h"
#include "rtas.h"
#include "xive.h"
#include <errno.h>
#include <inttypes.h>
#include <lkvm/endian.h>
#include <string.h>
#include <sys/random.h>

enum {
	H_CLEAR_MOD = 0x10,
	H_CLEAR_REF = 0x14,
	H_PAGE_INIT = 0x2c,
	H_LOGICAL_CI_LOAD = 0x3c,
	H_LOGICAL_CI_STORE = 0x40,
	H_GET_TERM_CHAR = 0x54,
	H_PUT_TERM_CHAR = 0x58,
	H_GET_CPU_CHARACTERISTICS = 0x1c8,
	H_RANDOM = 0x300,
	H_SET_MODE = 0x31c,
	H_REGISTER_PROC_TBL = 0x37c,
	/* What the instructions of RTAS in the guest's memory do; KVM looks at it first (rtas.c). */
	H_RTAS = 0xf000,
};

/* H_SET_MODE's resources (PAPR 14.5.4.3.5). */
enum { MODE_INTERRUPT_LOCATION = 3, MODE_INTERRUPT_ENDIAN = 4 };

/* H_REGISTER_PROC_TBL's flags. */
enum {
	PROC_TABLE_GTSE = 0x1,
	PROC_TABLE_TYPE = 0x6,
	PROC_TABLE_RADIX = 0x4,
	PROC_TABLE_OP = 0x18,
	PROC_TABLE_DEREGISTER = 0x10,
	PROC_TABLE_NEW = 0x18,
	PROC_TABLE_FLAGS = 0x1f,
};
#define PROC_TABLE_SIZE_MAX 24		 /* log2 of its bytes, less 12 */
#define PATE_RADIX	    (1ull << 63) /* GR, where KVM has it in what it is given of the table */

/* ---- those that KVM answers --------------------------------------------------------------------- */

int pseries_hcalls_enable(struct kvm *kvm)
{
	static const u32 hcalls[] = {H_CLEAR_MOD,	H_CLEAR_REF,	    H_PAGE_INIT,
				     H_LOGICAL_CI_LOAD, H_LOGICAL_CI_STORE, H_SET_MODE};

	for (u32 i = 0; i < ARRAY_SIZE(hcalls); i++) {
		int err = kvm_enable_cap(kvm, KVM_CAP_PPC_ENABLE_HCALL, hcalls[i], 1);

		/* One that this KVM does not know comes out, and is answered here. */
		if (err && err != -EINVAL) {
			log_error("KVM_CAP_PPC_ENABLE_HCALL of 0x%x: %s", hcalls[i], strerror(-err));
			return err;
		}
	}
	return 0;
}

/* ---- those that come here ------------------------------------------------------------------------ */

static long h_register_proc_tbl(struct vcpu *vcpu, const u64 *arg)
{
	struct pseries *p = pseries_of(vcpu->kvm);
	u64 flags = arg[0], base = arg[1], page_size = arg[2], size = arg[3];
	struct kvm_ppc_mmuv3_cfg cfg = {0};
	bool radix = (flags & PROC_TABLE_TYPE) == PROC_TABLE_RADIX;
	int err;

	if (flags & ~(u64)PROC_TABLE_FLAGS)
		return H_PARAMETER;
	/* Each guest has the translation that its device tree says, and hash tables are in no process table.
	 */
	if (radix != p->radix || (!radix && (flags & PROC_TABLE_TYPE)))
		return H_PARAMETER;
	if ((flags & PROC_TABLE_OP) == PROC_TABLE_NEW) {
		if (size > PROC_TABLE_SIZE_MAX)
			return H_P4;
		if (base & 0xfff ||
		    !range_inside(base, 1ull << (12 + size), 0, guest_ram_size(&vcpu->kvm->mem)))
			return H_P2;
		if (page_size)
			return H_P3;
		cfg.process_table = base | size;
	} else if ((flags & PROC_TABLE_OP) && (flags & PROC_TABLE_OP) != PROC_TABLE_DEREGISTER) {
		return H_PARAMETER;
	}
	if (radix) {
		cfg.flags |= KVM_PPC_MMUV3_RADIX;
		cfg.process_table |= PATE_RADIX;
	}
	if (flags & PROC_TABLE_GTSE)
		cfg.flags |= KVM_PPC_MMUV3_GTSE;
	err = kvm_ioctl(vcpu->kvm->vm_fd, KVM_PPC_CONFIGURE_V3_MMU, &cfg);
	if (err < 0) {
		log_debug(vcpu->kvm->log, "KVM_PPC_CONFIGURE_V3_MMU: %s", strerror(-err));
		return H_PARAMETER;
	}
	atomic_store(&p->process_table, cfg.process_table);
	atomic_store(&p->process_table_flags, cfg.flags);
	return H_SUCCESS;
}

/* What KVM does not do of it: the processors as a whole. */
static long h_set_mode(struct vcpu *vcpu, const u64 *arg)
{
	u64 value = arg[0], resource = arg[1];
	int err;

	if (resource != MODE_INTERRUPT_LOCATION && resource != MODE_INTERRUPT_ENDIAN)
		return H_P2;
	if (arg[2])
		return H_P3;
	if (arg[3])
		return H_P4;
	if (resource == MODE_INTERRUPT_ENDIAN) {
		if (value > 1)
			return H_PARAMETER;
		err = pseries_set_lpcr(vcpu, LPCR_ILE, value ? LPCR_ILE : 0);
	} else {
		if (value > 3)
			return H_PARAMETER;
		err = pseries_set_lpcr(vcpu, LPCR_AIL, value << LPCR_AIL_SHIFT);
	}
	/* Linux takes H_P2 for a place that this processor does not have. */
	return err == -ENOTSUP ? H_P2 : err ? H_HARDWARE : H_SUCCESS;
}

static long h_get_cpu_characteristics(struct vcpu *vcpu, u64 *ret)
{
	struct kvm_ppc_cpu_char c = {0};

	if (kvm_ioctl(vcpu->kvm->vm_fd, KVM_PPC_GET_CPU_CHAR, &c) < 0)
		return H_FUNCTION;
	ret[0] = c.character & c.character_mask;
	ret[1] = c.behaviour & c.behaviour_mask;
	return H_SUCCESS;
}

static long h_random(u64 *ret)
{
	u64 r;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		return H_HARDWARE;
	ret[0] = r;
	return H_SUCCESS;
}

/* Loads and stores without translation, of what is no memory: bytes as a big-endian number. */
static long h_logical_ci(struct vcpu *vcpu, const u64 *arg, u64 *ret, bool store)
{
	u64 size = arg[0], addr = arg[1];
	u8 data[8];

	if (size != 1 && size != 2 && size != 4 && size != 8)
		return H_PARAMETER;
	memset(data, 0xff, sizeof(data));
	if (store)
		put_be(data, (u32)size, arg[2]);
	bus_access(vcpu->kvm, vcpu, BUS_MMIO, addr, data, (u32)size, store);
	if (!store)
		ret[0] = get_be(data, (u32)size);
	return H_SUCCESS;
}

static long dispatch(struct vcpu *vcpu, u64 nr, const u64 *arg, u64 *ret)
{
	u64 word[2];
	long status;

	switch (nr) {
	case H_RTAS:
		return rtas_hcall(vcpu, arg[0]);
	case H_PUT_TERM_CHAR:
		return vterm_put(vcpu->kvm, arg[0], arg[1], &arg[2]);
	case H_GET_TERM_CHAR:
		status = vterm_get(vcpu->kvm, arg[0], &ret[0], word);
		if (status == H_SUCCESS)
			memcpy(&ret[1], word, sizeof(word));
		return status;
	case H_REGISTER_PROC_TBL:
		return h_register_proc_tbl(vcpu, arg);
	case H_SET_MODE:
		return h_set_mode(vcpu, arg);
	case H_GET_CPU_CHARACTERISTICS:
		return h_get_cpu_characteristics(vcpu, ret);
	case H_RANDOM:
		return h_random(ret);
	case H_LOGICAL_CI_LOAD:
		return h_logical_ci(vcpu, arg, ret, false);
	case H_LOGICAL_CI_STORE:
		return h_logical_ci(vcpu, arg, ret, true);
	}
	if (xive_hcall(vcpu, nr, arg, ret, &status) || phb_hcall(vcpu, nr, arg, ret, &status))
		return status;
	log_debug(vcpu->kvm->log, "vcpu %u: hypercall 0x%" PRIx64 " is not known", vcpu->index, nr);
	return H_FUNCTION;
}

void pseries_hcall(struct vcpu *vcpu)
{
	u64 nr = vcpu->run->papr_hcall.nr, arg[9];

	/* Results go into the same registers; those that a call does not return stay as they are. */
	for (u32 i = 0; i < ARRAY_SIZE(arg); i++)
		arg[i] = vcpu->run->papr_hcall.args[i];
	vcpu->run->papr_hcall.ret = (u64)dispatch(vcpu, nr, arg, (u64 *)vcpu->run->papr_hcall.args);
}

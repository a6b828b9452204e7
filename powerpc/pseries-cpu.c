/* SPDX-License-Identifier: MIT */
/*
 * The device tree's /cpus: what the guest's processors are and can do (PAPR, appendix C.6). A guest's
 * processor is the host's: KVM lends it, PVR and all, so what there is to say is asked of KVM, of the ELF
 * auxiliary vector and of /proc/cpuinfo.
 *
 * Main thread, in the `boot` step.
 */
#include "pseries.h"
#include <errno.h>
#include <lkvm/config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

/* The upper half of PVR is the kind of processor. */
enum {
	PVR_POWER8E = 0x4b,
	PVR_POWER8NVL = 0x4c,
	PVR_POWER8 = 0x4d,
	PVR_POWER9 = 0x4e,
	PVR_POWER10 = 0x80,
	PVR_POWER11 = 0x82,
};

#define TIMEBASE_HZ 512000000ull /* of every one of them, by the architecture */
#define CLOCK_HZ    1000000000ull
#define CACHE_BLOCK 128u
#define SLB_ENTRIES 32u

/* The auxiliary vector's words for caches, which not all of the system's headers have. */
enum { AUX_L1I_SIZE = 40, AUX_L1D_SIZE = 42 };

/* ibm,pa-features, attribute type 0: byte and bit, 0 the topmost. What PAPR and Linux call them. */
enum {
	PA_BYTES = 66,
	PA_MMU = 0x00,
	PA_FPU = 0x01,
	PA_SLB = 0x02,
	PA_RUN_LATCH = 0x03,
	PA_NO_EXECUTE = 0x06,
	PA_LARGE_CI_PAGES = 0x0a,
	PA_LITTLE_ENDIAN = 0x28,
	PA_TRANSACTIONS = 0xb0,
	PA_RADIX = 0x140,
	PA_DAWR1 = 0x200,
};

static const char *cpu_name(u32 pvr)
{
	switch (pvr >> 16) {
	case PVR_POWER8:
	case PVR_POWER8E:
	case PVR_POWER8NVL:
		return "POWER8";
	case PVR_POWER9:
		return "POWER9";
	case PVR_POWER10:
		return "POWER10";
	case PVR_POWER11:
		return "POWER11";
	}
	return "Power";
}

/* "key   : 512000000" of /proc/cpuinfo, times `scale` (a decimal fraction may follow); or what else. */
static u64 cpuinfo_hz(const char *key, u64 scale, u64 otherwise)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	size_t len = strlen(key);
	char line[256];
	u64 v = 0;

	if (!f)
		return otherwise;
	while (!v && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');

		if (colon && !strncmp(line, key, len) &&
		    strspn(line + len, " \t") == (size_t)(colon - line) - len)
			v = (u64)(strtod(colon + 1, NULL) * (double)scale);
	}
	fclose(f);
	return v && v <= UINT32_MAX ? v : otherwise;
}

static void pa_set(u8 *features, u32 bit)
{
	features[2 + bit / 8] |= (u8)(0x80 >> bit % 8);
}

static void describe_features(const struct kvm *kvm, struct fdt *fdt)
{
	u8 features[2 + PA_BYTES] = {PA_BYTES, 0};

	pa_set(features, PA_MMU);
	pa_set(features, PA_FPU);
	pa_set(features, PA_SLB);
	pa_set(features, PA_RUN_LATCH);
	pa_set(features, PA_NO_EXECUTE);
	pa_set(features, PA_LARGE_CI_PAGES);
	pa_set(features, PA_LITTLE_ENDIAN);
	if (kvm_cap(kvm, KVM_CAP_PPC_HTM))
		pa_set(features, PA_TRANSACTIONS);
	if (pseries_of(kvm)->radix)
		pa_set(features, PA_RADIX);
	if (pseries_of(kvm)->dawr1)
		pa_set(features, PA_DAWR1);
	dt_bytes(fdt, "ibm,pa-features", features, sizeof(features));
}

static void describe_caches(struct fdt *fdt)
{
	u32 block = (u32)getauxval(AT_DCACHEBSIZE), d = (u32)getauxval(AUX_L1D_SIZE),
	    i = (u32)getauxval(AUX_L1I_SIZE);

	block = block ? block : CACHE_BLOCK;
	dt_u32(fdt, "d-cache-block-size", block);
	dt_u32(fdt, "i-cache-block-size", block);
	dt_u32(fdt, "d-cache-line-size", block);
	dt_u32(fdt, "i-cache-line-size", block);
	if (d)
		dt_u32(fdt, "d-cache-size", d);
	if (i)
		dt_u32(fdt, "i-cache-size", i);
}

/* Page sizes of a radix tree: the shift, and above it how tlbie has to name them. */
static int describe_radix(const struct kvm *kvm, struct fdt *fdt)
{
	struct kvm_ppc_rmmu_info info = {0};
	u32 cells[ARRAY_SIZE(info.ap_encodings)], n = 0;
	int err = kvm_ioctl(kvm->vm_fd, KVM_PPC_GET_RMMU_INFO, &info);

	if (err < 0) {
		log_error("KVM_PPC_GET_RMMU_INFO: %s", strerror(-err));
		return err;
	}
	for (u32 i = 0; i < ARRAY_SIZE(info.ap_encodings); i++)
		if (info.ap_encodings[i])
			cells[n++] = info.ap_encodings[i];
	dt_cells(fdt, "ibm,processor-radix-AP-encodings", cells, n);
	return 0;
}

/*
 * Segments' base pages, each with the pages that may be in such a segment, and how entries encode them. No
 * page of the guest's may be larger than the host's own where it must lie in one: H_ENTER would refuse it
 * whenever the host has no huge page there.
 */
static void describe_page_sizes(const struct kvm *kvm, const struct kvm_ppc_smmu_info *info, struct fdt *fdt)
{
	u32 cells[KVM_PPC_PAGE_SIZES_MAX_SZ * (3 + 2 * KVM_PPC_PAGE_SIZES_MAX_SZ)], n = 0;
	u64 largest = info->flags & KVM_PPC_PAGE_SIZES_REAL ? kvm->mem.page : ~0ull;

	for (u32 i = 0; i < KVM_PPC_PAGE_SIZES_MAX_SZ && info->sps[i].page_shift; i++) {
		const struct kvm_ppc_one_seg_page_size *seg = &info->sps[i];
		u32 count = 0, at;

		if (largest >> seg->page_shift == 0)
			continue;
		cells[n++] = seg->page_shift;
		cells[n++] = seg->slb_enc;
		at = n++;
		for (u32 j = 0; j < KVM_PPC_PAGE_SIZES_MAX_SZ && seg->enc[j].page_shift; j++) {
			if (largest >> seg->enc[j].page_shift == 0)
				continue;
			cells[n++] = seg->enc[j].page_shift;
			cells[n++] = seg->enc[j].pte_enc;
			count++;
		}
		cells[at] = count;
	}
	if (n)
		dt_cells(fdt, "ibm,segment-page-sizes", cells, n);
}

static int describe_hash(const struct kvm *kvm, struct fdt *fdt)
{
	static const u32 none = 0xffffffff;
	struct kvm_ppc_smmu_info info = {0};
	u32 cells[] = {28, none, none, none};
	u32 pft[2] = {0, pseries_of(kvm)->hpt_order};
	int err = kvm_ioctl(kvm->vm_fd, KVM_PPC_GET_SMMU_INFO, &info);

	if (err < 0) {
		log_error("KVM_PPC_GET_SMMU_INFO: %s", strerror(-err));
		return err;
	}
	if (info.flags & KVM_PPC_1T_SEGMENTS)
		cells[1] = 40;
	dt_cells(fdt, "ibm,processor-segment-sizes", cells, ARRAY_SIZE(cells));
	dt_u32(fdt, "ibm,slb-size", info.slb_size ? info.slb_size : SLB_ENTRIES);
	dt_cells(fdt, "ibm,pft-size", pft, 2);
	describe_page_sizes(kvm, &info, fdt);
	return 0;
}

static int describe_cpu(struct kvm *kvm, const struct vcpu *vcpu, struct fdt *fdt)
{
	const struct pseries *p = pseries_of(kvm);
	const u32 gserver[2] = {vcpu->id, 0};
	int err;

	dt_begin(fdt, "PowerPC,%s@%x", cpu_name(p->pvr), vcpu->id);
	dt_str(fdt, "device_type", "cpu");
	dt_u32(fdt, "reg", vcpu->id);
	dt_u32(fdt, "cpu-version", p->pvr);
	dt_u32(fdt, "ibm,ppc-interrupt-server#s", vcpu->id);
	dt_cells(fdt, "ibm,ppc-interrupt-gserver#s", gserver, 2);
	dt_u32(fdt, "timebase-frequency", (u32)cpuinfo_hz("timebase", 1, TIMEBASE_HZ));
	dt_u32(fdt, "clock-frequency", (u32)cpuinfo_hz("clock", 1000000, CLOCK_HZ));
	describe_caches(fdt);
	dt_empty(fdt, "64-bit");
	dt_u32(fdt, "ibm,vmx", 2); /* and VSX */
	dt_u32(fdt, "ibm,dfp", 1);
	dt_u32(fdt, "ibm,purr", 1);
	dt_u32(fdt, "ibm,spurr", 1);
	describe_features(kvm, fdt);
	err = p->radix ? describe_radix(kvm, fdt) : describe_hash(kvm, fdt);
	dt_end(fdt);
	return err;
}

int pseries_describe_cpus(struct kvm *kvm, struct fdt *fdt)
{
	int err = 0;

	dt_begin_node(fdt, "cpus");
	dt_u32(fdt, "#address-cells", 1);
	dt_u32(fdt, "#size-cells", 0);
	for (u32 i = 0; i < kvm->nr_vcpus && !err; i++)
		err = describe_cpu(kvm, &kvm->vcpu[i], fdt);
	dt_end(fdt);
	return err;
}

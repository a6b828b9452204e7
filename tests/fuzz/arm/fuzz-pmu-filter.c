/* SPDX-License-Identifier: MIT */
/*
 * --pmu-filter (arm/vcpu-attrs.c): a list that the option takes reaches KVM piece by piece, each a range of
 * events that there can be. The vCPU's PMU is made anew for each input, on the fake KVM, which keeps 16 of
 * the filters.
 */
#include "tests/unit/arm/fake-arm.h"

#include "tests/fuzz/fuzz-vm.h"
#include <arm/arm.h>
#include <errno.h>

static void try_filters(struct kvm *kvm, const char *text)
{
	struct vm_config *cfg = (struct vm_config *)(uintptr_t)kvm->cfg;
	struct fake_arm_vcpu *cpu = fake_arm_cpu(fake_kvm_vcpu(fake_kvm_vm(0), 0));
	struct fake_arm_vm *vm = fake_arm(fake_kvm_vm(0));
	u32 pieces = 1;
	int err;

	for (const char *at = strchr(text, ','); at && at[1]; at = strchr(at + 1, ','))
		pieces++;
	cpu->pmu_made = false;
	cpu->pmu_irq = 0;
	vm->nr_filters = 0;
	cfg->pmu_filter = text;
	err = arm_vcpus_finalize(kvm);
	cfg->pmu_filter = NULL;
	if (pieces > ARRAY_SIZE(vm->filter))
		return;
	fuzz_assert(!err, "the vCPU takes what the option took");
	fuzz_assert(vm->nr_filters == pieces, "each piece is a filter");
	for (u32 i = 0; i < pieces; i++)
		fuzz_assert(vm->filter[i].nevents &&
				    vm->filter[i].base_event + vm->filter[i].nevents <= 0x10000,
			    "a filter is of events that there can be");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct kvm *kvm;
	struct vm_config cfg = {0};
	char *text = malloc(size + 1);
	int err;

	if (!kvm) {
		fake_kvm_reset();
		kvm = fuzz_vm_make("irqchip-finalize", (const char *const[]){"--pmu", "--no-pvtime", NULL});
	}
	memcpy(text, data, size);
	text[size] = 0;
	err = arm_pmu_filter_option(&cfg, NULL, text);
	fuzz_assert(!err || err == -EINVAL, "a list is taken or is a mistake");
	if (!err)
		try_filters(kvm, text);
	fake_kvm_forget_calls();
	free(text);
	return 0;
}

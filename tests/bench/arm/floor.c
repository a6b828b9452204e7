// SPDX-License-Identifier: MIT
/*
 * The floor under lkvm's figures on arm64, as ../floor.c is on x86: makes the same kernel objects as a VM of
 * lkvm's (VM, 256 MiB of memory, GICv3 with its ITS, or the GICv2 where the host has but that, one vCPU, the
 * page of its stolen time) in the best order, loads an Image to the beginning of RAM, and runs it with no
 * device at all: every read gives 0, and the image ends by a write to the page of the exit code. On the first
 * exit a byte goes to stderr, as lkvm's boot timer has it. Not a VMM: errors end it with a number.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM	    0x80000000ul
#define RAM_SIZE    (256ul << 20)
#define HUGE	    (2ul << 20)
#define EXIT_PAGE   0x01030000ul
#define STOLEN	    0x01070000ul
#define STOLEN_SIZE 0x10000ul
#define NR_IRQS	    256

static int must(int got, int status)
{
	if (got < 0)
		_exit(status);
	return got;
}

static void attr(int fd, uint32_t group, uint64_t number, const void *value, int status)
{
	struct kvm_device_attr a = {.group = group, .attr = number, .addr = (uintptr_t)value};

	must(ioctl(fd, KVM_SET_DEVICE_ATTR, &a), status);
}

static int device(int vm, uint32_t type)
{
	struct kvm_create_device d = {.type = type};

	return ioctl(vm, KVM_CREATE_DEVICE, &d) < 0 ? -1 : (int)d.fd;
}

int main(int argc, char **argv)
{
	const uint64_t dist = 0x08000000, cpu = 0x08010000, redist = 0x080a0000, its_base = 0x08080000;
	const uint32_t nr_irqs = NR_IRQS;
	const uint64_t pc = RAM, stolen_at = STOLEN;
	struct kvm_one_reg reg = {.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
					KVM_REG_ARM_CORE_REG(regs.pc),
				  .addr = (uintptr_t)&pc};
	struct kvm_vcpu_init init;
	int kvm, vm, vcpu, image, gic, its = -1, first = 1, has_stolen = 0;
	struct kvm_run *run;
	uint8_t *ram;

	image = must(open(argc > 1 ? argv[1] : "", O_RDONLY), 101);
	kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), 102);
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0), 103);
	ram = mmap(NULL, RAM_SIZE + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (ram == MAP_FAILED)
		return 104;
	/* As any VMM has it whose guests shall have huge pages. */
	ram += -(uintptr_t)ram & (HUGE - 1);
	struct kvm_userspace_memory_region slot = {
		.guest_phys_addr = RAM, .memory_size = RAM_SIZE, .userspace_addr = (uintptr_t)ram};
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot), 105);
	if (ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_STEAL_TIME) > 0) {
		struct kvm_userspace_memory_region stolen = {
			.slot = 1,
			.guest_phys_addr = STOLEN,
			.memory_size = STOLEN_SIZE,
			.userspace_addr = (uintptr_t)mmap(NULL, STOLEN_SIZE, PROT_READ | PROT_WRITE,
							  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};

		must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &stolen), 123);
		has_stolen = 1;
	}
	gic = device(vm, KVM_DEV_TYPE_ARM_VGIC_V3);
	if (gic >= 0) {
		attr(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &dist, 106);
		attr(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &redist, 107);
		its = must(device(vm, KVM_DEV_TYPE_ARM_VGIC_ITS), 108);
		attr(its, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE, &its_base, 109);
	} else {
		gic = must(device(vm, KVM_DEV_TYPE_ARM_VGIC_V2), 106);
		attr(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_DIST, &dist, 107);
		attr(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_CPU, &cpu, 108);
	}
	vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), 110);
	must(ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init), 111);
	memset(init.features, 0, sizeof(init.features));
	init.features[0] = 1u << KVM_ARM_VCPU_PSCI_0_2;
	must(ioctl(vcpu, KVM_ARM_VCPU_INIT, &init), 112);
	run = mmap(NULL, (size_t)must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), 113), PROT_READ | PROT_WRITE,
		   MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		return 114;
	attr(gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &nr_irqs, 115);
	attr(gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL, 116);
	if (its >= 0)
		attr(its, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL, 117);
	if (has_stolen)
		attr(vcpu, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, &stolen_at, 124);
	must((int)read(image, ram, 0x10000), 118);
	must(ioctl(vcpu, KVM_SET_ONE_REG, &reg), 119);
	for (;;) {
		must(ioctl(vcpu, KVM_RUN, 0), 120);
		if (first && write(STDERR_FILENO, "\n", 1) < 0)
			return 121;
		first = 0;
		if (run->exit_reason != KVM_EXIT_MMIO)
			return 122;
		if (run->mmio.is_write && run->mmio.phys_addr == EXIT_PAGE)
			return 0;
		if (!run->mmio.is_write)
			memset(run->mmio.data, 0, run->mmio.len);
	}
}

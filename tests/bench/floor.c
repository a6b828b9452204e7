// SPDX-License-Identifier: MIT
/*
 * The floor under lkvm's figures: makes the same kernel objects as a VM of lkvm's (VM, 256 MiB of memory,
 * irqchip, PIT, one vCPU) in the best order, loads a flat 16-bit image as --boot=flat does, and runs it with
 * no device at all: every read gives 0, and the image ends by a write to port 0xf4. On the first exit a byte
 * goes to stderr, as lkvm's debug console has it. Not a VMM: errors end it with a number.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM_SIZE  (256ul << 20)
#define IMAGE	  0x10000
#define EXIT_PORT 0xf4

static int must(int got, int status)
{
	if (got < 0)
		_exit(status);
	return got;
}

int main(int argc, char **argv)
{
	struct kvm_pit_config pit = {0};
	struct kvm_sregs sregs;
	struct kvm_regs regs = {.rflags = 2};
	uint64_t identity_map = 0xfffbc000;
	int kvm, vm, vcpu, image, first = 1;
	struct kvm_run *run;
	uint8_t *ram;

	image = must(open(argc > 1 ? argv[1] : "", O_RDONLY), 101);
	kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), 102);
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0), 103);
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		   0);
	if (ram == MAP_FAILED)
		return 104;
	struct kvm_userspace_memory_region slot = {.memory_size = RAM_SIZE, .userspace_addr = (uintptr_t)ram};
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot), 105);
	must(ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map), 106);
	must(ioctl(vm, KVM_SET_TSS_ADDR, identity_map + 0x1000), 107);
	must(ioctl(vm, KVM_CREATE_IRQCHIP, 0), 108);
	must(ioctl(vm, KVM_CREATE_PIT2, &pit), 109);
	vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), 110);
	run = mmap(NULL, (size_t)must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), 111), PROT_READ | PROT_WRITE,
		   MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		return 112;
	must((int)read(image, ram + IMAGE, 0x10000), 113);
	must(ioctl(vcpu, KVM_GET_SREGS, &sregs), 114);
	sregs.cs.base = sregs.ds.base = sregs.es.base = sregs.ss.base = IMAGE;
	sregs.cs.selector = sregs.ds.selector = sregs.es.selector = sregs.ss.selector = IMAGE >> 4;
	regs.rsp = 0xfff0;
	must(ioctl(vcpu, KVM_SET_SREGS, &sregs), 115);
	must(ioctl(vcpu, KVM_SET_REGS, &regs), 116);
	for (;;) {
		must(ioctl(vcpu, KVM_RUN, 0), 117);
		if (first && write(STDERR_FILENO, "\n", 1) < 0)
			return 118;
		first = 0;
		if (run->exit_reason == KVM_EXIT_IO) {
			if (run->io.port == EXIT_PORT)
				return 0;
			if (run->io.direction == KVM_EXIT_IO_IN)
				memset((uint8_t *)run + run->io.data_offset, 0, run->io.size);
		} else if (run->exit_reason == KVM_EXIT_MMIO) {
			if (!run->mmio.is_write)
				memset(run->mmio.data, 0, run->mmio.len);
		} else {
			return 119;
		}
	}
}

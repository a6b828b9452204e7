/* SPDX-License-Identifier: MIT */
/* Raw VMs (raw-vm.h). Main thread. */
#include "raw-vm.h"

#include "prog.h"
#include <errno.h>
#include <lkvm/kvm-device.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAW_VCPUS 16

static struct vm_config raw_cfg;
static struct kvm raw;
static struct {
	int fd;
	struct kvm_run *run;
} raw_cpu[RAW_VCPUS];
static u32 raw_cpus;
static bool raw_up;

struct kvm *raw_vm(void)
{
	/* What --kernel names is opened only by a step that is never reached. */
	static const char *const arguments[] = {"-k", "/none", "--nodefaults", "-m", "64", NULL};

	raw_vm_end();
	configure(&raw_cfg, arguments);
	raw_up = true;
	if (kvm_up(&raw, &raw_cfg, "memory")) {
		diag("a VM with memory cannot be made");
		exit(2);
	}
	return &raw;
}

struct kvm *raw_vm_now(void)
{
	return &raw;
}

void raw_vm_end(void)
{
	if (!raw_up)
		return;
	for (u32 i = 0; i < raw_cpus; i++) {
		munmap(raw_cpu[i].run, (size_t)kvm_ioctl(raw.sys_fd, KVM_GET_VCPU_MMAP_SIZE, NULL));
		close(raw_cpu[i].fd);
	}
	raw_cpus = 0;
	raw_up = false;
	kvm_down(&raw);
	config_free(&raw_cfg);
}

int raw_vcpu(u32 id, u32 features)
{
	int size = kvm_ioctl(raw.sys_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	int err, fd = kvm_ioctl_val(raw.vm_fd, KVM_CREATE_VCPU, id);
	struct kvm_vcpu_init init;

	if (fd < 0)
		return fd;
	raw_cpu[raw_cpus].fd = fd;
	raw_cpu[raw_cpus].run = kvm_mmap(fd, (size_t)size, 0);
	if (!raw_cpu[raw_cpus++].run)
		exit(2);
	err = kvm_ioctl(raw.vm_fd, KVM_ARM_PREFERRED_TARGET, &init);
	memset(init.features, 0, sizeof(init.features));
	init.features[0] = features | 1u << KVM_ARM_VCPU_PSCI_0_2;
	if (err >= 0)
		err = kvm_ioctl(fd, KVM_ARM_VCPU_INIT, &init);
	return err < 0 ? err : fd;
}

static int run(int vcpu_fd, u8 immediate_exit)
{
	for (u32 i = 0; i < raw_cpus; i++) {
		if (raw_cpu[i].fd != vcpu_fd)
			continue;
		raw_cpu[i].run->immediate_exit = immediate_exit;
		return kvm_ioctl(vcpu_fd, KVM_RUN, NULL);
	}
	return -EBADF;
}

int raw_run(int vcpu_fd)
{
	return run(vcpu_fd, 1);
}

int raw_run_on(int vcpu_fd)
{
	return run(vcpu_fd, 0);
}

u32 raw_ipa_bits(void)
{
	int bits = kvm_ioctl_val(raw.sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);

	/* lkvm asks for as many as KVM gives by itself, unless RAM is large. */
	return bits > 0 && bits < 40 ? (u32)bits : 40;
}

/* SPDX-License-Identifier: MIT */
/*
 * What the user asked for: options and run file, checked, before any VM exists. Filled by config.c on the
 * main thread; const from then on. Strings point into argv or into `file_text`.
 */
#ifndef LKVM_CONFIG_H
#define LKVM_CONFIG_H

#include <lkvm/console.h>
#include <lkvm/device.h>
#include <lkvm/log.h>
#include <lkvm/option.h>
#include <lkvm/types.h>

enum boot_protocol {
	BOOT_AUTO,
	BOOT_BZIMAGE,	/* Linux boot protocol, 64-bit entry of a bzImage */
	BOOT_ELF64,	/* ELF64 vmlinux by its 64-bit entry */
	BOOT_PVH,	/* ELF by its PVH note */
	BOOT_MULTIBOOT, /* multiboot 1 */
	BOOT_FLAT,	/* 16-bit image at 0x10000, entered in real mode at 1000:0000 */
};

enum on_reboot { ON_REBOOT_EXIT, ON_REBOOT_RESTART };
enum virtio_transport_choice { VIRTIO_TRANSPORT_AUTO, VIRTIO_TRANSPORT_PCI, VIRTIO_TRANSPORT_MMIO };
enum virtio_ring_choice { VIRTIO_RING_PACKED, VIRTIO_RING_SPLIT }; /* packed: if the driver knows them */

struct vm_config {
	const char *kernel;	   /* not NULL after config_finish(), unless there is firmware */
	bool kernel_found;	   /* it was looked for, not named */
	struct str_list initrd;	   /* concatenated in order; modules for multiboot */
	struct str_list params;	   /* kernel command line pieces, in order */
	u64 cpus;		   /* 1 by default */
	u64 mem_size;		   /* bytes */
	const char *name;	   /* "lkvm-PID" by default */
	const char *console;	   /* "serial" */
	bool tty[CONSOLE_MAX];	   /* --tty N: console N on a pseudo-terminal */
	const char *dev;	   /* "/dev/kvm" */
	const char *hugetlbfs;	   /* mount point, or NULL */
	bool shared_mem;	   /* --shared-mem: guest RAM in a memfd */
	const char *irqchip;	   /* "auto" or a chip's name */
	const char *cpu;	   /* --cpu: "host,-avx512f,+invtsc" ; NULL: host */
	u64 boot;		   /* enum boot_protocol */
	u64 on_reboot;		   /* enum on_reboot */
	u64 timeout;		   /* seconds; 0: none */
	u64 virtio_transport;	   /* enum virtio_transport_choice; auto: PCI where the machine has it */
	u64 virtio_ring;	   /* enum virtio_ring_choice */
	const char *dump_acpi;	   /* directory, or NULL */
	const char *dump_dtb;	   /* file, or NULL */
	const char *firmware;	   /* started in the place of a kernel; or NULL */
	const char *vcpu_affinity; /* list of host CPUs that vCPU threads keep to; or NULL */
	bool aarch32, pmu, no_pvtime, disable_mte; /* arm64 */
	u64 sve_max_vl;				   /* bits; 0: the host's */
	const char *pmu_filter;
	const char *mmu; /* powerpc: "auto", "radix" or "hash"; or NULL */
	bool dry_run, nodefaults;
	bool debug_ioport, debug_mmio, debug_single_step;
	bool testdev, boot_timer;
	u64 start_ns; /* CLOCK_MONOTONIC at which the process started; 0: when the VM did */
	struct log log;
	struct device_request *request; /* devices by option, in the order given */
	size_t nr_requests;
	char *file_text; /* the run file, which option strings may point into */
	char name_buf[64];
	char kernel_buf[256];
};

/* The machine-independent options of `run`; machines add their own by machine->options. NULL-terminated. */
extern const struct cli_option run_options[];

/*
 * argv[0] is the verb. On 0 the config is complete and checked, host limits excepted. *help is set, and
 * nothing else done, when help was asked for. -EINVAL after one logged line. config_free() in every case.
 */
int __must_check config_parse(struct vm_config *cfg, int argc, char **argv, bool *help);
void config_help(int fd);
void config_free(struct vm_config *cfg);
/* The --config file's text (one option a line, without dashes; '#' comments), applied to p. For the fuzzer
 * too. */
int __must_check config_apply_text(struct option_parser *p, const char *file, char *text);

#endif

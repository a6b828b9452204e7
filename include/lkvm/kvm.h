/* SPDX-License-Identifier: MIT */
/*
 * One VM is one struct kvm; there are no globals, so a process may have many, one after another or side by
 * side. kvm_session() walks the step table up, runs the VM, and walks the table down.
 *
 * Frozen before `run`, and read without a lock from then on: config, memory map, buses, device list.
 */
#ifndef LKVM_KVM_H
#define LKVM_KVM_H

#include <lkvm/buf.h>
#include <lkvm/bus.h>
#include <lkvm/config.h>
#include <lkvm/event.h>
#include <lkvm/irq.h>
#include <lkvm/list.h>
#include <lkvm/log.h>
#include <lkvm/mem.h>
#include <lkvm/types.h>
#include <lkvm/vcpu.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

struct coalesced;
struct console;
struct control;
struct machine_ops;

/* Why a VM came to its end; the first reason given stands (a panic outlives the reset that follows it). */
enum vm_end {
	VM_RUNNING,
	VM_POWEROFF,   /* exit status 0 */
	VM_RESET,      /* 32 */
	VM_CRASH,      /* 33: triple fault, KVM internal error */
	VM_PANIC,      /* 34: pvpanic */
	VM_STOPPED,    /* 35: Ctrl-a x, lkvm stop --force */
	VM_TIMEOUT,    /* 124 */
	VM_SIGNAL,     /* 128 + code: SIGTERM, SIGINT, SIGHUP */
	VM_CODE,       /* code: the guest's own, through the test device */
	VM_HOST_ERROR, /* 1 */
};

struct pause {
	pthread_mutex_t lock;
	pthread_cond_t parked, resumed;
	u32 depth; /* nested kvm_pause() calls */
	u32 nr_parked, nr_running;
	bool by_user; /* held by the pause verb */
};

struct kvm {
	const struct vm_config *cfg;
	const struct machine_ops *machine;
	const struct log *log; /* &cfg->log */
	void *arch;	       /* the machine's own */

	int sys_fd, vm_fd;     /* -1 when closed */
	unsigned long vm_type; /* of KVM_CREATE_VM, as machine->probe() has it */
	u32 run_size;	       /* bytes of a vCPU's kvm_run mapping */
	struct guest_mem mem;
	u32 nr_slots;
	struct irqchip irqchip;
	struct irq_state irq;
	int device_fd[16]; /* of KVM_CREATE_DEVICE, in order of their making */
	u32 nr_device_fds;
	struct vcpu *vcpu;
	u32 nr_vcpus; /* made so far */
	struct bus bus[BUS_COUNT];
	struct list devices;
	struct console *console[CONSOLE_MAX];
	struct coalesced *coalesced;
	struct event_loop loop;
	struct control *control;
	struct pause pause;
	u32 steps_up; /* how many entries of the step table are up */

	/* How it ends. */
	_Atomic u32 end; /* enum vm_end */
	_Atomic int end_code;
	_Atomic bool panicked; /* pvpanic spoke: whatever ends the VM now, it was a panic */
	struct event_timer timeout, panic_grace;
	struct event_source signals;
	sigset_t old_mask; /* the main thread's signal mask before */
	u64 start_ns;	   /* CLOCK_MONOTONIC when the process started, for the boot timer */
};

/*
 * Runs one VM from start to end, and again when the guest reset and the config says restart. Returns the exit
 * status for the process (docs/exit-status.md). Main thread.
 */
int kvm_session(const struct vm_config *cfg);

/* The steps apart, for tests: up to and without `run`; kvm_down() walks back whatever is up. */
int __must_check kvm_up(struct kvm *kvm, const struct vm_config *cfg, const char *last_step);
void kvm_down(struct kvm *kvm);

/* Ends the VM: records why (the first reason wins) and wakes the main thread. Any thread; returns at once. */
void kvm_end(struct kvm *kvm, enum vm_end why, int code);
/* The guest's kernel says that it panicked: it gets a moment to finish its report, then the VM ends. */
void kvm_guest_panicked(struct kvm *kvm);
int kvm_exit_status(const struct kvm *kvm);
/* Text for --dry-run and --debug: memory map, buses, lines, devices (describe.c). */
void kvm_describe(struct kvm *kvm, struct buf *out);
/* --dump-acpi: writes the tables into cfg->dump_acpi. -errno after one logged line. */
int __must_check kvm_dump_acpi(struct kvm *kvm);
/* The first machine that this KVM can run, and KVM_CREATE_VM's argument for it; -errno is logged. */
int __must_check kvm_find_machine(const struct vm_config *cfg, int sys_fd, const struct machine_ops **machine,
				  unsigned long *vm_type);
/* KVM_CHECK_EXTENSION on the VM (or the system before there is one): > 0 when there, else 0. */
int kvm_cap(const struct kvm *kvm, u32 cap);
/* KVM_ENABLE_CAP on the VM. */
int __must_check kvm_enable_cap(struct kvm *kvm, u32 cap, u64 arg0, u64 arg1);

/*
 * Coalesced I/O (coalesced.c): writes to a range that the kernel queues in a ring instead of leaving KVM_RUN.
 * Every exit of every vCPU drains the ring first, so order holds; a timer drains it while any zone is on,
 * so no write is ever later than COALESCED_MAX_DELAY_MS.
 */
#define COALESCED_MAX_DELAY_MS 10
int __must_check coalesced_init(struct kvm *kvm);
void coalesced_destroy(struct kvm *kvm);
/* -ENOTSUP where KVM cannot. Any thread that holds no bus device's lock ... or the one asking for itself. */
int __must_check coalesced_add(struct kvm *kvm, enum bus_id bus, u64 addr, u32 len);
void coalesced_remove(struct kvm *kvm, enum bus_id bus, u64 addr, u32 len);
void coalesced_drain(struct kvm *kvm);

#endif

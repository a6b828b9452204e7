/* SPDX-License-Identifier: MIT */
/*
 * vCPUs: one thread each, in a loop around KVM_RUN. Others speak to a vCPU by request bits: set the bit, then
 * immediate_exit, then a signal; the vCPU clears immediate_exit before it takes the bits, so no request is
 * lost between its check and KVM_RUN.
 */
#ifndef LKVM_VCPU_H
#define LKVM_VCPU_H

#include <linux/kvm.h>
#include <lkvm/bus.h>
#include <lkvm/types.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

struct buf;
struct json;
struct kvm;
struct state;

enum vcpu_request {
	VCPU_PAUSE = 0x1,  /* park until kvm_resume() */
	VCPU_STOP = 0x2,   /* leave the thread */
	VCPU_INJECT = 0x4, /* come out of KVM_RUN and go back in: machine->vcpu_enter() has something to do */
};

/* What came out of KVM_RUN, counted for `lkvm debug`. Written by the vCPU's thread alone. */
struct vcpu_counts {
	_Atomic u64 exits, io, mmio, intr, other;
};

struct vcpu {
	struct kvm *kvm;
	u32 index; /* 0 .. nr - 1 */
	u32 id;	   /* what KVM_CREATE_VCPU got; the APIC id on x86 */
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	bool threaded;	      /* thread was made and not yet joined; main thread only */
	pthread_mutex_t kick; /* innermost of all; guards the two below */
	pthread_t self;
	bool live;	      /* self is in its run loop */
	_Atomic u32 requests; /* enum vcpu_request */
	u32 hint[BUS_COUNT];  /* last hit on each bus; its own thread only */
	struct vcpu_counts counts;
	void *arch; /* machine's own */
};

/* The `vcpus` step: fds, kvm_run mappings, machine->vcpu_init(); no threads yet. */
int __must_check vcpus_create(struct kvm *kvm);
void vcpus_destroy(struct kvm *kvm);
/* Threads: started in the `run` step; vcpus_stop() asks, kicks and joins. */
int __must_check vcpus_start(struct kvm *kvm);
void vcpus_stop(struct kvm *kvm);
/* The host CPUs that vCPU threads may run on: 0, or -errno after one logged line. Main thread. */
int __must_check vcpu_host_cpus(const struct kvm *kvm, cpu_set_t *set);
/* Sets a request and makes the vCPU see it soon. Any thread, any lock but vcpu->kick held. */
void vcpu_request(struct vcpu *vcpu, u32 bits);

/*
 * Parks every vCPU between two instructions, pending I/O completed, and waits for it; calls nest. Main
 * thread, no lock held. While parked, any thread may use the vCPUs' fds. False when the VM is ending.
 */
bool kvm_pause(struct kvm *kvm);
void kvm_resume(struct kvm *kvm);

/* Text for people: registers and code bytes of a parked or crashed vCPU. machine->vcpu_dump() does the work.
 */
void vcpu_dump(struct vcpu *vcpu, struct buf *out);
/* The name of a KVM_EXIT_* reason, "KVM_EXIT_SHUTDOWN". */
const char *kvm_exit_name(u32 reason);

#endif

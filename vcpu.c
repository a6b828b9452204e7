/* SPDX-License-Identifier: MIT */
/*
 * vCPU threads and the loop around KVM_RUN.
 *
 * How a request reaches a vCPU: the asker sets its bit, then run->immediate_exit, then sends SIG_KICK. The
 * vCPU clears immediate_exit before it looks at the bits. If the asker comes before the clearing, the look
 * sees the bit; if it comes after, KVM_RUN returns at once (or the signal ends it). Either way nothing is
 * lost. What machine->vcpu_enter() looks at is reached in the same way: it runs after the last clearing of
 * immediate_exit before KVM_RUN, so whoever first sets what it looks at and then asks for VCPU_INJECT is
 * heard. A vCPU that asks itself needs no kick: it is on its way there.
 *
 * Pausing: each vCPU first completes the access it was in (KVM_RUN with immediate_exit set does that and no
 * more), then waits under pause.lock. Lock order: pause before any device.
 */
#include <errno.h>
#include <lkvm/buf.h>
#include <lkvm/cpulist.h>
#include <lkvm/kvm-device.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <lkvm/vcpu.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SIG_KICK SIGRTMIN
/*
 * Enough for any device and any report. The usual 8 MiB hold a whole huge page, which some hosts give out at
 * the first touch: 2 MiB a vCPU, cleared for nothing.
 */
#define STACK_SIZE KiB(512)

static const char *const exit_names[] = {
	[KVM_EXIT_UNKNOWN] = "KVM_EXIT_UNKNOWN",
	[KVM_EXIT_EXCEPTION] = "KVM_EXIT_EXCEPTION",
	[KVM_EXIT_IO] = "KVM_EXIT_IO",
	[KVM_EXIT_HYPERCALL] = "KVM_EXIT_HYPERCALL",
	[KVM_EXIT_DEBUG] = "KVM_EXIT_DEBUG",
	[KVM_EXIT_HLT] = "KVM_EXIT_HLT",
	[KVM_EXIT_MMIO] = "KVM_EXIT_MMIO",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "KVM_EXIT_IRQ_WINDOW_OPEN",
	[KVM_EXIT_SHUTDOWN] = "KVM_EXIT_SHUTDOWN",
	[KVM_EXIT_FAIL_ENTRY] = "KVM_EXIT_FAIL_ENTRY",
	[KVM_EXIT_INTR] = "KVM_EXIT_INTR",
	[KVM_EXIT_SET_TPR] = "KVM_EXIT_SET_TPR",
	[KVM_EXIT_TPR_ACCESS] = "KVM_EXIT_TPR_ACCESS",
	[KVM_EXIT_NMI] = "KVM_EXIT_NMI",
	[KVM_EXIT_INTERNAL_ERROR] = "KVM_EXIT_INTERNAL_ERROR",
	[KVM_EXIT_PAPR_HCALL] = "KVM_EXIT_PAPR_HCALL",
	[KVM_EXIT_WATCHDOG] = "KVM_EXIT_WATCHDOG",
	[KVM_EXIT_EPR] = "KVM_EXIT_EPR",
	[KVM_EXIT_SYSTEM_EVENT] = "KVM_EXIT_SYSTEM_EVENT",
	[KVM_EXIT_IOAPIC_EOI] = "KVM_EXIT_IOAPIC_EOI",
	[KVM_EXIT_HYPERV] = "KVM_EXIT_HYPERV",
	[KVM_EXIT_ARM_NISV] = "KVM_EXIT_ARM_NISV",
	[KVM_EXIT_X86_RDMSR] = "KVM_EXIT_X86_RDMSR",
	[KVM_EXIT_X86_WRMSR] = "KVM_EXIT_X86_WRMSR",
	[KVM_EXIT_DIRTY_RING_FULL] = "KVM_EXIT_DIRTY_RING_FULL",
	[KVM_EXIT_X86_BUS_LOCK] = "KVM_EXIT_X86_BUS_LOCK",
	[KVM_EXIT_XEN] = "KVM_EXIT_XEN",
};

const char *kvm_exit_name(u32 reason)
{
	if (reason < ARRAY_SIZE(exit_names) && exit_names[reason])
		return exit_names[reason];
	return "an exit unknown to this lkvm";
}

static void count(_Atomic u64 *counter)
{
	/* One writer: no need of a locked increment. */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* ---- exits ---------------------------------------------------------------------------------- */

static void handle_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u8 *data = (u8 *)run + run->io.data_offset;

	for (u32 i = 0; i < run->io.count; i++, data += run->io.size)
		bus_access(vcpu->kvm, vcpu, BUS_PIO, run->io.port, data, run->io.size,
			   run->io.direction == KVM_EXIT_IO_OUT);
}

static void handle_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	bus_access(vcpu->kvm, vcpu, BUS_MMIO, run->mmio.phys_addr, run->mmio.data, run->mmio.len,
		   run->mmio.is_write);
}

static void report_crash(struct vcpu *vcpu, const char *why)
{
	struct buf out = {0};

	vcpu_dump(vcpu, &out);
	log_error("vcpu %u: %s\n%s", vcpu->index, why, out.data ? (const char *)out.data : "");
	buf_free(&out);
}

static void handle_internal_error(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	char why[96];

	switch (run->internal.suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		snprintf(why, sizeof(why), "KVM cannot emulate the instruction at its instruction pointer");
		break;
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		snprintf(why, sizeof(why), "KVM internal error: simultaneous exceptions");
		break;
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		snprintf(why, sizeof(why), "KVM internal error: an exit while an event was being delivered");
		break;
	default:
		snprintf(why, sizeof(why), "KVM internal error, suberror %u", run->internal.suberror);
	}
	report_crash(vcpu, why);
}

static void handle_system_event(struct vcpu *vcpu)
{
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		kvm_end(vcpu->kvm, VM_POWEROFF, 0);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		kvm_end(vcpu->kvm, VM_RESET, 0);
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		kvm_guest_panicked(vcpu->kvm);
		break;
	default:
		log_error("vcpu %u: system event %u is unknown to this lkvm", vcpu->index,
			  vcpu->run->system_event.type);
		kvm_end(vcpu->kvm, VM_CRASH, 0);
	}
}

static void handle_other(struct vcpu *vcpu)
{
	u32 reason = vcpu->run->exit_reason;
	char why[96];
	int handled = vcpu->kvm->machine->vcpu_exit(vcpu);

	if (handled > 0)
		return;
	if (handled < 0) {
		snprintf(why, sizeof(why), "%s: %s", kvm_exit_name(reason), strerror(-handled));
		report_crash(vcpu, why);
		kvm_end(vcpu->kvm, VM_HOST_ERROR, 0);
		return;
	}
	switch (reason) {
	case KVM_EXIT_SYSTEM_EVENT:
		handle_system_event(vcpu);
		return;
	case KVM_EXIT_SHUTDOWN:
		report_crash(vcpu, "triple fault");
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		handle_internal_error(vcpu);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(why, sizeof(why), "the processor refused its state, hardware reason 0x%llx",
			 (unsigned long long)vcpu->run->fail_entry.hardware_entry_failure_reason);
		report_crash(vcpu, why);
		break;
	default:
		snprintf(why, sizeof(why), "stopped by %s (%u), which lkvm does not handle",
			 kvm_exit_name(reason), reason);
		report_crash(vcpu, why);
	}
	kvm_end(vcpu->kvm, VM_CRASH, 0);
}

/* Whatever KVM_RUN returned 0 for. */
static void handle_exit(struct vcpu *vcpu)
{
	coalesced_drain(vcpu->kvm);
	count(&vcpu->counts.exits);
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		count(&vcpu->counts.io);
		handle_io(vcpu);
		break;
	case KVM_EXIT_MMIO:
		count(&vcpu->counts.mmio);
		handle_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		count(&vcpu->counts.intr);
		break;
	default:
		count(&vcpu->counts.other);
		handle_other(vcpu);
	}
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void set_immediate_exit(struct vcpu *vcpu, u8 v)
{
	__atomic_store_n(&vcpu->run->immediate_exit, v, __ATOMIC_SEQ_CST);
}

/* Brings the vCPU to rest between two instructions. False: it met its end on the way. */
static bool complete_access(struct vcpu *vcpu)
{
	for (;;) {
		int err;

		set_immediate_exit(vcpu, 1);
		err = kvm_ioctl(vcpu->fd, KVM_RUN, NULL);
		set_immediate_exit(vcpu, 0);
		if (err < 0)
			return true; /* EINTR: nothing was pending any more */
		handle_exit(vcpu);
		if (atomic_load(&vcpu->kvm->end) != VM_RUNNING)
			return false;
	}
}

static void park(struct vcpu *vcpu)
{
	struct pause *pause = &vcpu->kvm->pause;

	if (!complete_access(vcpu))
		return;
	coalesced_drain(vcpu->kvm);
	pthread_mutex_lock(&pause->lock);
	pause->nr_parked++;
	pthread_cond_broadcast(&pause->parked);
	while (pause->depth && !(atomic_load(&vcpu->requests) & VCPU_STOP))
		pthread_cond_wait(&pause->resumed, &pause->lock);
	pause->nr_parked--;
	pthread_mutex_unlock(&pause->lock);
}

/* False when the thread is to end. */
static bool take_requests(struct vcpu *vcpu)
{
	u32 bits;

	set_immediate_exit(vcpu, 0);
	/* VCPU_INJECT has done its work by bringing us here. */
	bits = atomic_fetch_and(&vcpu->requests, ~(u32)VCPU_INJECT);
	if (bits & VCPU_STOP)
		return false;
	if (bits & VCPU_PAUSE) {
		atomic_fetch_and(&vcpu->requests, ~(u32)VCPU_PAUSE);
		park(vcpu);
	}
	return true;
}

static void run_loop(struct vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;
	void (*enter)(struct vcpu *) = kvm->machine->vcpu_enter;

	while (atomic_load_explicit(&kvm->end, memory_order_relaxed) == VM_RUNNING) {
		int err;

		if (atomic_load(&vcpu->requests) && !take_requests(vcpu))
			return;
		if (enter)
			enter(vcpu);
		err = kvm_ioctl(vcpu->fd, KVM_RUN, NULL);
		if (!err) {
			handle_exit(vcpu);
		} else if (err == -EINTR || err == -EAGAIN) {
			count(&vcpu->counts.intr);
			coalesced_drain(kvm);
			set_immediate_exit(vcpu, 0);
		} else {
			char why[96];

			snprintf(why, sizeof(why), "KVM_RUN: %s (%s)", strerror(-err), errno_name(err));
			report_crash(vcpu, why);
			kvm_end(kvm, err == -EFAULT ? VM_CRASH : VM_HOST_ERROR, 0);
			return;
		}
	}
}

static void set_live(struct vcpu *vcpu, bool live)
{
	pthread_mutex_lock(&vcpu->kick);
	vcpu->self = pthread_self();
	vcpu->live = live;
	pthread_mutex_unlock(&vcpu->kick);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *vcpu = arg;
	struct pause *pause = &vcpu->kvm->pause;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	prctl(PR_SET_NAME, name);
	set_live(vcpu, true);
	run_loop(vcpu);
	set_live(vcpu, false);
	coalesced_drain(vcpu->kvm);
	pthread_mutex_lock(&pause->lock);
	pause->nr_running--;
	pthread_cond_broadcast(&pause->parked);
	pthread_mutex_unlock(&pause->lock);
	return NULL;
}

/* ---- requests and pausing ------------------------------------------------------------------- */

static void on_kick(int sig)
{
	/* It is enough that the signal interrupts KVM_RUN. */
}

void vcpu_request(struct vcpu *vcpu, u32 bits)
{
	atomic_fetch_or(&vcpu->requests, bits);
	pthread_mutex_lock(&vcpu->kick);
	if (!vcpu->live || !pthread_equal(vcpu->self, pthread_self())) {
		set_immediate_exit(vcpu, 1);
		/* One that is not live yet sees the bit at the head of its loop. */
		if (vcpu->live)
			pthread_kill(vcpu->self, SIG_KICK);
	}
	pthread_mutex_unlock(&vcpu->kick);
}

bool kvm_pause(struct kvm *kvm)
{
	struct pause *pause = &kvm->pause;

	pthread_mutex_lock(&pause->lock);
	if (!pause->depth++)
		for (u32 i = 0; i < kvm->nr_vcpus; i++)
			vcpu_request(&kvm->vcpu[i], VCPU_PAUSE);
	while (pause->nr_parked < pause->nr_running)
		pthread_cond_wait(&pause->parked, &pause->lock);
	pthread_mutex_unlock(&pause->lock);
	return atomic_load(&kvm->end) == VM_RUNNING;
}

void kvm_resume(struct kvm *kvm)
{
	struct pause *pause = &kvm->pause;

	pthread_mutex_lock(&pause->lock);
	if (pause->depth && !--pause->depth)
		pthread_cond_broadcast(&pause->resumed);
	pthread_mutex_unlock(&pause->lock);
}

/* ---- life ----------------------------------------------------------------------------------- */

static int vcpu_open(struct kvm *kvm, u32 index)
{
	struct vcpu *vcpu = &kvm->vcpu[index];
	int err;

	vcpu->kvm = kvm;
	vcpu->index = index;
	vcpu->id = kvm->machine->vcpu_id(kvm, index);
	vcpu->fd = kvm_ioctl_val(kvm->vm_fd, KVM_CREATE_VCPU, vcpu->id);
	if (vcpu->fd < 0) {
		log_error("vcpu %u: KVM_CREATE_VCPU: %s", index, strerror(-vcpu->fd));
		return vcpu->fd;
	}
	pthread_mutex_init(&vcpu->kick, NULL);
	kvm->nr_vcpus++;
	vcpu->run = kvm_mmap(vcpu->fd, kvm->run_size, 0);
	if (!vcpu->run) {
		log_error("vcpu %u: cannot map its kvm_run structure", index);
		return -ENOMEM;
	}
	err = kvm->machine->vcpu_init(vcpu);
	if (!err && kvm->irqchip.ops->attach_vcpu)
		err = kvm->irqchip.ops->attach_vcpu(&kvm->irqchip, vcpu);
	return err;
}

int vcpus_create(struct kvm *kvm)
{
	u64 want = kvm->cfg->cpus;
	/* Any KVM takes one. */
	int max = want > 1 ? kvm_cap(kvm, KVM_CAP_MAX_VCPUS) : 1, err = 0;
	int size = kvm_ioctl(kvm->sys_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);

	if (size < (int)sizeof(struct kvm_run)) {
		log_error("KVM_GET_VCPU_MMAP_SIZE: %s", size < 0 ? strerror(-size) : "too small");
		return size < 0 ? size : -EINVAL;
	}
	kvm->run_size = (u32)size;
	if (max <= 0)
		max = 4; /* what api.rst says to assume */
	if (want > (u64)max) {
		log_error("--cpus %llu: this host's KVM takes at most %d; give --cpus %d or less",
			  (unsigned long long)want, max, max);
		return -EINVAL;
	}
	kvm->vcpu = calloc(want, sizeof(*kvm->vcpu));
	if (!kvm->vcpu) {
		log_error("--cpus %llu: out of memory", (unsigned long long)want);
		return -ENOMEM;
	}
	for (u32 i = 0; i < want && !err; i++)
		err = vcpu_open(kvm, i);
	return err;
}

void vcpus_destroy(struct kvm *kvm)
{
	for (u32 i = kvm->nr_vcpus; i-- > 0;) {
		struct vcpu *vcpu = &kvm->vcpu[i];

		kvm->machine->vcpu_free(vcpu);
		if (vcpu->run)
			munmap(vcpu->run, kvm->run_size);
		close(vcpu->fd);
		pthread_mutex_destroy(&vcpu->kick);
	}
	free(kvm->vcpu);
	kvm->vcpu = NULL;
	kvm->nr_vcpus = 0;
}

int vcpu_host_cpus(const struct kvm *kvm, cpu_set_t *set)
{
	const char *list = kvm->cfg->vcpu_affinity;
	cpu_set_t want;

	if (sched_getaffinity(0, sizeof(*set), set) < 0) {
		int err = -errno;

		log_error("which CPUs lkvm may run on: %s", strerror(-err));
		return err;
	}
	if (!list)
		return 0;
	if (!cpulist_parse(list, &want))
		CPU_AND(set, set, &want);
	if (CPU_COUNT(set))
		return 0;
	log_error("--vcpu-affinity %s: none of these CPUs is one that lkvm may run on", list);
	return -EINVAL;
}

/*
 * What vCPU threads are made with: a small stack, --vcpu-affinity, and everything blocked but the kick, for
 * other signals are the main thread's.
 */
static int thread_attr(const struct kvm *kvm, pthread_attr_t *attr)
{
	cpu_set_t cpus;
	sigset_t all;
	int err = -pthread_attr_setstacksize(attr, STACK_SIZE);

	sigfillset(&all);
	sigdelset(&all, SIG_KICK);
	if (!err)
		err = -pthread_attr_setsigmask_np(attr, &all);
	if (err) {
		log_error("vCPU threads: a stack of %llu KiB: %s", (unsigned long long)(STACK_SIZE >> 10),
			  strerror(-err));
		return err;
	}
	if (!kvm->cfg->vcpu_affinity)
		return 0;
	err = vcpu_host_cpus(kvm, &cpus);
	return err ? err : -pthread_attr_setaffinity_np(attr, sizeof(cpus), &cpus);
}

int vcpus_start(struct kvm *kvm)
{
	struct sigaction kick = {.sa_handler = on_kick};
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	err = thread_attr(kvm, &attr);
	sigemptyset(&kick.sa_mask);
	sigaction(SIG_KICK, &kick, NULL);
	for (u32 i = 0; i < kvm->nr_vcpus && !err; i++) {
		struct vcpu *vcpu = &kvm->vcpu[i];

		pthread_mutex_lock(&kvm->pause.lock);
		kvm->pause.nr_running++;
		pthread_mutex_unlock(&kvm->pause.lock);
		err = -pthread_create(&vcpu->thread, &attr, vcpu_main, vcpu);
		if (err) {
			log_error("vcpu %u: cannot start its thread: %s", i, strerror(-err));
			pthread_mutex_lock(&kvm->pause.lock);
			kvm->pause.nr_running--;
			pthread_mutex_unlock(&kvm->pause.lock);
			break;
		}
		vcpu->threaded = true;
	}
	pthread_attr_destroy(&attr);
	return err;
}

void vcpus_stop(struct kvm *kvm)
{
	for (u32 i = 0; i < kvm->nr_vcpus; i++)
		vcpu_request(&kvm->vcpu[i], VCPU_STOP);
	pthread_mutex_lock(&kvm->pause.lock);
	pthread_cond_broadcast(&kvm->pause.resumed);
	pthread_mutex_unlock(&kvm->pause.lock);
	for (u32 i = 0; i < kvm->nr_vcpus; i++) {
		struct vcpu *vcpu = &kvm->vcpu[i];

		if (vcpu->threaded)
			pthread_join(vcpu->thread, NULL);
		vcpu->threaded = false;
	}
}

void vcpu_dump(struct vcpu *vcpu, struct buf *out)
{
	vcpu->kvm->machine->vcpu_dump(vcpu, out);
}

/* SPDX-License-Identifier: MIT */
/*
 * A VM's life: one table of steps, walked up to start and, at a failure or at the normal end, walked down
 * from wherever it stands. A step's down() undoes its up(), a half-done one included.
 *
 * Theory of operation: the main thread walks the table, then sits in the event loop; vCPU threads run the
 * guest and call kvm_end() when it comes to its end; the main thread wakes, walks the table down, and the
 * first reason given becomes the exit status. With --on-reboot=restart a reset walks the table down and up
 * again.
 *
 * Order matters for speed: a memslot set after the irqchip exists waits for a grace period of the kernel's.
 */
#include <errno.h>
#include <lkvm/boot.h>
#include <lkvm/console.h>
#include <lkvm/control.h>
#include <lkvm/kvm-device.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* How long a panicking kernel may take to finish its report. */
#define PANIC_GRACE_NS 2000000000ull

static const struct kvm_cap core_caps[] = {
	/* Linux 4.11, which has whatever else the core takes for granted: irqfds, ioeventfds. */
	{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
	{0, NULL},
};

int kvm_cap(const struct kvm *kvm, u32 cap)
{
	int ret = kvm_ioctl_val(kvm->vm_fd >= 0 ? kvm->vm_fd : kvm->sys_fd, KVM_CHECK_EXTENSION, cap);

	return ret > 0 ? ret : 0;
}

int kvm_enable_cap(struct kvm *kvm, u32 cap, u64 arg0, u64 arg1)
{
	struct kvm_enable_cap enable = {.cap = cap, .args = {arg0, arg1}};
	int err = kvm_ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &enable);

	return err < 0 ? err : 0;
}

/* ---- how it ends ---------------------------------------------------------------------------- */

void kvm_end(struct kvm *kvm, enum vm_end why, int code)
{
	bool by_user = why == VM_SIGNAL || why == VM_STOPPED, first;
	bool from_outside = by_user || why == VM_TIMEOUT;
	u32 was = VM_RUNNING;

	if (atomic_load(&kvm->panicked) && why != VM_HOST_ERROR && !by_user)
		why = VM_PANIC;
	first = atomic_compare_exchange_strong(&kvm->end, &was, why);
	/* A reset that is to be followed by another start is no end: who wants one is not to be overheard. */
	if (!first && was == VM_RESET && from_outside && kvm->cfg->on_reboot == ON_REBOOT_RESTART)
		first = atomic_compare_exchange_strong(&kvm->end, &was, why);
	/* The main thread reads the code only after it was woken below. A reset has none to write late. */
	if (first && code)
		atomic_store(&kvm->end_code, code);
	event_stop(&kvm->loop);
}

void kvm_guest_panicked(struct kvm *kvm)
{
	if (!atomic_exchange(&kvm->panicked, true))
		event_timer_set(&kvm->panic_grace, PANIC_GRACE_NS, 0);
}

static void on_panic_grace(struct event_timer *timer)
{
	kvm_end(timer->arg, VM_PANIC, 0);
}

static void on_timeout(struct event_timer *timer)
{
	struct kvm *kvm = timer->arg;

	kvm_end(kvm, VM_TIMEOUT, 0);
	/* Unless it has just met another end. */
	if (atomic_load(&kvm->end) == VM_TIMEOUT)
		log_error("%s: still running after %llu s (--timeout)", kvm->cfg->name,
			  (unsigned long long)kvm->cfg->timeout);
}

int kvm_exit_status(const struct kvm *kvm)
{
	int code = atomic_load(&kvm->end_code);

	switch ((enum vm_end)atomic_load(&kvm->end)) {
	case VM_POWEROFF:
		return 0;
	case VM_RESET:
		return 32;
	case VM_CRASH:
		return 33;
	case VM_PANIC:
		return 34;
	case VM_STOPPED:
		return 35;
	case VM_TIMEOUT:
		return 124;
	case VM_SIGNAL:
		return 128 + code;
	case VM_CODE:
		return code & 0xff;
	case VM_RUNNING:
	case VM_HOST_ERROR:
		break;
	}
	return 1;
}

/* ---- the steps ------------------------------------------------------------------------------ */

static int check_caps(const struct kvm *kvm, const struct kvm_cap *caps)
{
	for (; caps->name; caps++) {
		if (kvm_cap(kvm, caps->cap))
			continue;
		log_error("%s: this KVM lacks %s, which lkvm needs; a newer host kernel has it",
			  kvm->cfg->dev, caps->name);
		return -ENOTSUP;
	}
	return 0;
}

static void on_signal(struct event_source *src, u32 events)
{
	struct kvm *kvm = src->arg;
	struct signalfd_siginfo info;

	if (read(src->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGUSR1) {
		kvm_end(kvm, VM_SIGNAL, (int)info.ssi_signo);
		return;
	}
	kvm_pause(kvm);
	for (u32 i = 0; i < kvm->nr_vcpus; i++) {
		struct buf out = {0};

		vcpu_dump(&kvm->vcpu[i], &out);
		log_print(kvm->log, LOG_ERROR, "vcpu %u:\n%s", i, out.data ? (const char *)out.data : "");
		buf_free(&out);
	}
	kvm_resume(kvm);
}

/* Those that arrive as events; *old is what was blocked before. */
static sigset_t signals_block(sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, old);
	return set;
}

/* What was blocked before is kept, for the process may have further VMs to run. */
static int signals_up(struct kvm *kvm)
{
	sigset_t set = signals_block(&kvm->old_mask);
	int err;

	kvm->signals.fn = on_signal;
	kvm->signals.arg = kvm;
	kvm->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	err = kvm->signals.fd < 0 ? -errno : event_add(&kvm->loop, &kvm->signals, EPOLLIN);
	if (err)
		log_error("signals: %s", strerror(-err));
	return err;
}

/* Takes the signals that came when the loop had ended: once unblocked, they would kill the process. */
static void signals_rest(struct kvm *kvm)
{
	struct signalfd_siginfo info;

	while (read(kvm->signals.fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGUSR1)
			kvm_end(kvm, VM_SIGNAL, (int)info.ssi_signo);
}

static void signals_down(struct kvm *kvm)
{
	event_del(&kvm->loop, &kvm->signals);
	if (kvm->signals.fd >= 0) {
		signals_rest(kvm);
		close(kvm->signals.fd);
	}
	kvm->signals.fd = -1;
	pthread_sigmask(SIG_SETMASK, &kvm->old_mask, NULL);
}

static int host_up(struct kvm *kvm)
{
	int err;

	err = event_init(&kvm->loop);
	if (err) {
		log_error("event loop: %s", strerror(-err));
		return err;
	}
	err = signals_up(kvm);
	if (!err)
		err = event_timer_init(&kvm->loop, &kvm->panic_grace, on_panic_grace, kvm);
	if (!err && kvm->cfg->timeout)
		err = event_timer_init(&kvm->loop, &kvm->timeout, on_timeout, kvm);
	if (err)
		return err;
	kvm->sys_fd = kvm_open_system(kvm->cfg->dev);
	if (kvm->sys_fd < 0)
		return kvm->sys_fd;
	err = kvm_ioctl(kvm->sys_fd, KVM_GET_API_VERSION, NULL);
	if (err != KVM_API_VERSION) {
		log_error("%s: %s", kvm->cfg->dev,
			  err < 0 ? "not a KVM device" : "KVM of an unknown API version");
		return err < 0 ? err : -ENOTSUP;
	}
	return check_caps(kvm, core_caps);
}

static void host_down(struct kvm *kvm)
{
	if (kvm->sys_fd >= 0)
		close(kvm->sys_fd);
	kvm->sys_fd = -1;
	event_timer_destroy(&kvm->loop, &kvm->timeout);
	event_timer_destroy(&kvm->loop, &kvm->panic_grace);
	if (kvm->loop.epfd >= 0)
		signals_down(kvm);
	event_destroy(&kvm->loop);
}

int kvm_find_machine(const struct vm_config *cfg, int sys_fd, const struct machine_ops **machine,
		     unsigned long *vm_type)
{
	struct buf names = {0};
	int err = -ENODEV;

	for (u32 i = 0; machines[i] && err == -ENODEV; i++) {
		*machine = machines[i];
		err = machines[i]->probe(cfg, sys_fd, vm_type);
		if (err)
			buf_printf(&names, "%s%s", i ? ", " : "", machines[i]->name);
	}
	if (err == -ENODEV)
		log_error("%s: this KVM can run none of the machines that this lkvm has (%s); load the KVM "
			  "module for one of them, or take another host",
			  cfg->dev, names.data ? (const char *)names.data : "out of memory");
	buf_free(&names);
	return err;
}

static int vm_up(struct kvm *kvm)
{
	int err = kvm_find_machine(kvm->cfg, kvm->sys_fd, &kvm->machine, &kvm->vm_type);

	if (err)
		return err;
	/* KVM asks for EINTR to be tried again: creating a VM takes locks that a signal interrupts. */
	do {
		kvm->vm_fd = kvm_ioctl_val(kvm->sys_fd, KVM_CREATE_VM, kvm->vm_type);
	} while (kvm->vm_fd == -EINTR);
	if (kvm->vm_fd < 0) {
		log_error("%s: KVM_CREATE_VM: %s", kvm->cfg->dev, strerror(-kvm->vm_fd));
		return kvm->vm_fd;
	}
	err = check_caps(kvm, kvm->machine->required_caps);
	if (!err && kvm->machine->vm_init)
		err = kvm->machine->vm_init(kvm);
	return err ? err : irq_init(kvm);
}

static void vm_down(struct kvm *kvm)
{
	/* Here, for irqchips map what they emulate before there are devices. */
	bus_destroy(kvm);
	irq_destroy(kvm);
	kvm_devices_close(kvm);
	if (kvm->machine && kvm->machine->destroy)
		kvm->machine->destroy(kvm);
	if (kvm->vm_fd >= 0)
		close(kvm->vm_fd);
	kvm->vm_fd = -1;
}

static int vcpus_up(struct kvm *kvm)
{
	int err = vcpus_create(kvm);

	return err ? err : coalesced_init(kvm);
}

static void vcpus_down(struct kvm *kvm)
{
	coalesced_destroy(kvm);
	vcpus_destroy(kvm);
}

static int devices_up(struct kvm *kvm)
{
	int err = consoles_create(kvm);

	if (!err)
		err = devices_create(kvm);
	bus_freeze(kvm);
	return err;
}

static void devices_down(struct kvm *kvm)
{
	devices_destroy(kvm);
	/* Who waits for the socket to go, as `lkvm stop` does, may have the disks then. */
	control_destroy(kvm);
	consoles_destroy(kvm);
}

static int confine_up(struct kvm *kvm)
{
	/* Nothing that we start from here on can gain a privilege that we lack. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		log_debug(kvm->log, "PR_SET_NO_NEW_PRIVS: %m");
	return 0;
}

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
}

static int run_up(struct kvm *kvm)
{
	int err = devices_start(kvm);

	if (!err)
		err = consoles_start(kvm);
	if (kvm->cfg->timeout) {
		u64 bound = kvm->cfg->timeout * 1000000000, gone = now_ns() - kvm->start_ns;

		/* At once, not by the timer: a guest that always resets first would go on for ever. */
		if (gone < bound)
			event_timer_set(&kvm->timeout, bound - gone, 0);
		else
			on_timeout(&kvm->timeout);
	}
	return err ? err : vcpus_start(kvm);
}

static void run_down(struct kvm *kvm)
{
	vcpus_stop(kvm);
	devices_stop(kvm);
}

struct vm_step {
	const char *name;
	int (*up)(struct kvm *kvm);
	void (*down)(struct kvm *kvm); /* also after a failed up() */
};

static const struct vm_step steps[] = {
	{"host", host_up, host_down},
	{"vm", vm_up, vm_down},
	{"memory", mem_create, mem_destroy},
	{"irqchip", irqchip_create, irqchip_destroy},
	{"vcpus", vcpus_up, vcpus_down},
	{"devices", devices_up, devices_down},
	{"irqchip-finalize", irqchip_finalize, NULL},
	{"boot", boot_load, NULL},
	{"control", control_create, control_close},
	{"confine", confine_up, NULL},
	{"run", run_up, run_down},
};

int kvm_up(struct kvm *kvm, const struct vm_config *cfg, const char *last_step)
{
	int err = 0;

	memset(kvm, 0, sizeof(*kvm));
	kvm->cfg = cfg;
	kvm->log = &cfg->log;
	kvm->start_ns = cfg->start_ns ? cfg->start_ns : now_ns();
	kvm->sys_fd = kvm->vm_fd = kvm->mem.fd = -1;
	kvm->signals.fd = kvm->loop.epfd = kvm->loop.timer_fd.fd = -1;
	list_init(&kvm->devices);
	pthread_mutex_init(&kvm->pause.lock, NULL);
	pthread_cond_init(&kvm->pause.parked, NULL);
	pthread_cond_init(&kvm->pause.resumed, NULL);
	while (kvm->steps_up < ARRAY_SIZE(steps) && !err) {
		const struct vm_step *step = &steps[kvm->steps_up++];

		err = step->up(kvm);
		if (err)
			log_debug(kvm->log, "step %s: %s", step->name, strerror(-err));
		else if (last_step && !strcmp(step->name, last_step))
			break;
	}
	return err;
}

void kvm_down(struct kvm *kvm)
{
	while (kvm->steps_up) {
		const struct vm_step *step = &steps[--kvm->steps_up];

		if (step->down)
			step->down(kvm);
	}
	pthread_cond_destroy(&kvm->pause.resumed);
	pthread_cond_destroy(&kvm->pause.parked);
	pthread_mutex_destroy(&kvm->pause.lock);
}

/* ---- the session ---------------------------------------------------------------------------- */

static int dry_run(struct kvm *kvm, const struct vm_config *cfg)
{
	struct buf out = {0};
	int err = kvm_up(kvm, cfg, "boot");

	if (!err) {
		kvm_describe(kvm, &out);
		err = out.err;
	}
	if (!err && fwrite(out.data, 1, out.len, stdout) != out.len)
		err = -EIO;
	if (fflush(stdout))
		err = -EIO;
	kvm_down(kvm);
	buf_free(&out);
	return err ? 1 : 0;
}

static int run_once(struct kvm *kvm, const struct vm_config *cfg)
{
	int err = kvm_up(kvm, cfg, NULL);

	if (!err) {
		err = event_run(&kvm->loop);
		if (err)
			log_error("event loop: %s", strerror(-err));
	}
	/* Also when the guest had its end while the last step was still going up: the line is out. */
	if (err)
		atomic_store(&kvm->end, VM_HOST_ERROR);
	kvm_down(kvm);
	return kvm_exit_status(kvm);
}

int kvm_session(const struct vm_config *cfg)
{
	struct kvm *kvm = calloc(1, sizeof(*kvm));
	bool again = cfg->on_reboot == ON_REBOOT_RESTART;
	sigset_t old;
	int status;

	if (!kvm) {
		log_error("out of memory");
		return 1;
	}
	if (cfg->dry_run) {
		status = dry_run(kvm, cfg);
		free(kvm);
		return status;
	}
	/* Over all restarts: a signal that comes between two VMs waits for the second. */
	if (again)
		signals_block(&old);
	do {
		status = run_once(kvm, cfg);
	} while (again && atomic_load(&kvm->end) == VM_RESET);
	if (again)
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	free(kvm);
	return status;
}

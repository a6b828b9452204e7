/* SPDX-License-Identifier: MIT */
/*
 * A VM of paper, for the tests of the control socket: a thread plays the VM's main thread with a struct kvm
 * that has an event loop, two vCPUs that never run, one device and a machine of ours; the test is the client,
 * in the same process. Wants "WRAP: accept4 clock_gettime kvm_end".
 */
#ifndef LKVM_TEST_PAPER_VM_H
#define LKVM_TEST_PAPER_VM_H

#include "capture.h"
#include <errno.h>
#include <fcntl.h>
#include <lkvm/control.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <lkvm/state.h>
#include <lkvm/verb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define WAIT_MS 5000 /* for what is to happen at once */

/* --- what is made up --------------------------------------------------------------------------- */

static __unused _Atomic int accepts_to_fail, accepts_failed;
static __unused _Atomic s64 clock_offset_s;

int __real_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	if (atomic_load(&accepts_to_fail)) {
		atomic_fetch_sub(&accepts_to_fail, 1);
		atomic_fetch_add(&accepts_failed, 1);
		errno = EMFILE;
		return -1;
	}
	return __real_accept4(fd, addr, len, flags);
}

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int ret = __real_clock_gettime(id, ts);

	ts->tv_sec += atomic_load(&clock_offset_s);
	return ret;
}

/* --- the VM ------------------------------------------------------------------------------------------- */

struct vm {
	struct kvm kvm;
	struct vm_config cfg;
	struct machine_ops machine;
	struct irqchip_ops chip;
	struct device_ops dev_ops;
	struct device dev;
	struct vcpu vcpu[2];
	struct kvm_run run[2];
	pthread_t thread;
	_Atomic u32 buttons, nmis, nmi_vcpu, ended;
	int button_result;
};

static __unused struct vm *vm_of(const struct kvm *kvm)
{
	return container_of(kvm, struct vm, kvm);
}

void __wrap_kvm_end(struct kvm *kvm, enum vm_end why, int code);
void __wrap_kvm_end(struct kvm *kvm, enum vm_end why, int code)
{
	atomic_store(&vm_of(kvm)->ended, (u32)why);
	event_stop(&kvm->loop);
}

static __unused int power_button(struct kvm *kvm)
{
	atomic_fetch_add(&vm_of(kvm)->buttons, 1);
	return vm_of(kvm)->button_result;
}

static __unused int vcpu_nmi(struct vcpu *vcpu)
{
	atomic_fetch_add(&vm_of(vcpu->kvm)->nmis, 1);
	atomic_store(&vm_of(vcpu->kvm)->nmi_vcpu, vcpu->index);
	return 0;
}

static __unused void dump_vcpu(struct vcpu *vcpu, struct buf *out)
{
	buf_printf(out, "  registers of %u\n", vcpu->index);
}

static __unused int vcpu_state(struct vcpu *vcpu, struct state *s)
{
	u64 v = 0x10 + vcpu->index;

	state_begin(s, "registers", 1);
	state_u64(s, "rip", &v);
	state_end(s);
	return s->err;
}

static __unused int chip_state(struct irqchip *chip, struct state *s)
{
	u8 v = 7;

	state_begin(s, "ioapic", 1);
	state_u8(s, "irr", &v);
	state_end(s);
	return 0;
}

static __unused int dev_state(struct device *dev, struct state *s)
{
	u8 v = 9;

	/* "With dev->lock held." */
	assert_int_equal(pthread_mutex_trylock(&dev->lock), EBUSY);
	state_begin(s, dev->name, 1);
	state_u8(s, "ier", &v);
	state_end(s);
	return 0;
}

static __unused void *vm_main(void *arg)
{
	struct vm *vm = arg;

	assert_int_equal(event_run(&vm->kvm.loop), 0);
	return NULL;
}

static __unused struct vm *vm_new(const char *name)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	struct kvm *kvm = &vm->kvm;

	vm->machine = (struct machine_ops){.name = "paper",
					   .power_button = power_button,
					   .vcpu_nmi = vcpu_nmi,
					   .vcpu_dump = dump_vcpu,
					   .vcpu_state = vcpu_state};
	vm->chip = (struct irqchip_ops){.name = "chip", .state = chip_state};
	vm->dev_ops = (struct device_ops){.name = "dev", .state = dev_state};
	vm->cfg.name = name;
	vm->cfg.log.level = LOG_DEBUG;
	kvm->cfg = &vm->cfg;
	kvm->log = &vm->cfg.log;
	kvm->machine = &vm->machine;
	kvm->irqchip = (struct irqchip){.ops = &vm->chip, .kvm = kvm};
	kvm->vcpu = vm->vcpu;
	kvm->nr_vcpus = 2;
	for (u32 i = 0; i < 2; i++)
		vm->vcpu[i] = (struct vcpu){.kvm = kvm, .index = i, .id = i, .fd = -1, .run = &vm->run[i]};
	vm->vcpu[1].counts.exits = 30;
	vm->vcpu[1].counts.io = 20;
	kvm->mem.nr_banks = 1;
	kvm->mem.bank[0].size = MiB(64);
	list_init(&kvm->devices);
	vm->dev.ops = &vm->dev_ops;
	vm->dev.kvm = kvm;
	snprintf(vm->dev.name, sizeof(vm->dev.name), "serial0");
	pthread_mutex_init(&vm->dev.lock, NULL);
	list_add_tail(&kvm->devices, &vm->dev.link);
	pthread_mutex_init(&kvm->pause.lock, NULL);
	pthread_cond_init(&kvm->pause.parked, NULL);
	pthread_cond_init(&kvm->pause.resumed, NULL);
	assert_int_equal(event_init(&kvm->loop), 0);
	return vm;
}

static __unused void vm_free(struct vm *vm)
{
	struct kvm *kvm = &vm->kvm;

	control_destroy(kvm);
	assert_int_equal(kvm->loop.nr_sources, 1); /* nothing but the loop's own */
	event_destroy(&kvm->loop);
	pthread_cond_destroy(&kvm->pause.resumed);
	pthread_cond_destroy(&kvm->pause.parked);
	pthread_mutex_destroy(&kvm->pause.lock);
	pthread_mutex_destroy(&vm->dev.lock);
	free(vm);
}

static __unused struct vm *vm_start(const char *name)
{
	struct vm *vm = vm_new(name);

	assert_int_equal(control_create(&vm->kvm), 0);
	assert_int_equal(pthread_create(&vm->thread, NULL, vm_main, vm), 0);
	return vm;
}

static __unused void vm_stop(struct vm *vm)
{
	event_stop(&vm->kvm.loop);
	pthread_join(vm->thread, NULL);
	vm_free(vm);
}

/* --- the client -------------------------------------------------------------------------------- */

static __unused char base[64], dir[80];

static __unused int setup(void **state)
{
	snprintf(base, sizeof(base), "/tmp/lkvm-test-control-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(dir, sizeof(dir), "%s/lkvm", base);
	atomic_store(&clock_offset_s, 0);
	atomic_store(&accepts_failed, 0);
	return setenv("XDG_RUNTIME_DIR", base, 1);
}

static __unused int teardown(void **state)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -rf %s", base);
	return system(command);
}

static __unused int raw_connect(const char *name)
{
	int fd = control_connect(dir, name);

	assert_true(fd >= 0);
	return fd;
}

static __unused void raw_send(int fd, const char *text, size_t len)
{
	while (len) {
		struct pollfd pfd = {.fd = fd, .events = POLLOUT};
		ssize_t n;

		assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
		n = send(fd, text, len, MSG_NOSIGNAL);
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return; /* refused on the way: the answer says why */
		assert_true(n > 0);
		text += n;
		len -= (size_t)n;
	}
}

/* One line, newline cut off; "" at the end. */
static __unused const char *raw_line(int fd)
{
	static char line[65536];
	size_t len = 0;

	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
		n = recv(fd, line + len, 1, 0);
		if (n <= 0 || line[len] == '\n')
			break;
		len++;
		assert_true(len < sizeof(line) - 1);
	}
	line[len] = 0;
	return line;
}

static __unused void ask(const char *name, const char *request, const char *want)
{
	int fd = raw_connect(name);

	raw_send(fd, request, strlen(request));
	raw_send(fd, "\n", 1);
	assert_string_equal(raw_line(fd), want);
	close(fd);
}

#endif

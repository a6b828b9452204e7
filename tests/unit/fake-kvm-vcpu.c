/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's vCPUs: KVM_RUN plays a script, entry by entry, and sleeps where the script ends.
 *
 * As in the kernel: what an exit left to be completed is completed first; then immediate_exit ends the call
 * with EINTR; a signal ends a sleep with EINTR. A request bit, immediate_exit and a signal, in that order,
 * are never lost: signals stay blocked from the look at immediate_exit until ppoll() sleeps and unblocks in
 * one step.
 *
 * Called by fake-kvm.c with the fake's lock held, which a sleep and FAKE_CALL let go of.
 */
#include "fake-kvm-priv.h"

#include <errno.h>
#include <lkvm/endian.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_SCRIPTS 16

static struct {
	struct {
		u32 id, n;
		struct fake_exit *exit;
	} of[MAX_SCRIPTS];
	u32 n;
} scripts;

void fake_script_reset(void)
{
	for (u32 i = 0; i < scripts.n; i++)
		free(scripts.of[i].exit);
	scripts.n = 0;
}

void fake_kvm_script(u32 vcpu_id, const struct fake_exit *script, u32 n)
{
	struct fake_exit *copy = malloc(n * sizeof(*copy) + 1);
	u32 i;

	if (!copy)
		abort();
	memcpy(copy, script, n * sizeof(*copy));
	fake_lock();
	for (i = 0; i < scripts.n && scripts.of[i].id != vcpu_id; i++)
		;
	if (i == MAX_SCRIPTS)
		abort();
	if (i < scripts.n)
		free(scripts.of[i].exit);
	else
		scripts.n++;
	scripts.of[i].id = vcpu_id;
	scripts.of[i].n = n;
	scripts.of[i].exit = copy;
	fake_unlock();
}

/* The entry that vcpu is at, or NULL at the end of its script. */
static const struct fake_exit *script_at(const struct fake_vcpu *vcpu)
{
	for (u32 i = 0; i < scripts.n; i++)
		if (scripts.of[i].id == vcpu->obj.id)
			return vcpu->next < scripts.of[i].n ? &scripts.of[i].exit[vcpu->next] : NULL;
	return NULL;
}

static void script_step(struct fake_vcpu *vcpu, const struct fake_exit *e)
{
	if (++vcpu->repeated >= e->repeat) {
		vcpu->next++;
		vcpu->repeated = 0;
	}
}

/* ---- life ------------------------------------------------------------------------------------------- */

int fake_vcpu_create(struct fake_vm *vm, u32 id)
{
	struct fake_vcpu *vcpu;
	int fd;

	fd = fake_arch_vcpu_precreate(vm, id);
	if (fd < 0)
		return fd;
	if (vm->nr_vcpus == FAKE_MAX_VCPUS)
		return -EINVAL;
	for (u32 i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpu[i]->obj.id == id)
			return -EEXIST;
	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		abort();
	vcpu->run_size = FAKE_RING_PAGE * FAKE_PAGE; /* kvm_run, x86: the port data; the ring is the VM's */
	fd = fake_obj_open(&vcpu->obj, FAKE_VCPU, id, vm, vcpu->run_size);
	if (fd < 0) {
		free(vcpu);
		return fd;
	}
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	vcpu->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vcpu->run == MAP_FAILED || vcpu->wake_fd < 0)
		abort();
	vm->vcpu[vm->nr_vcpus++] = vcpu;
	fake_arch_vcpu_init(vcpu);
	return fd;
}

void fake_vcpu_free(struct fake_vcpu *vcpu)
{
	munmap(vcpu->run, vcpu->run_size);
	close(vcpu->wake_fd);
	fake_blobs_free(&vcpu->blobs);
	fake_arch_vcpu_free(vcpu);
	free(vcpu);
}

struct fake_vcpu *fake_kvm_vcpu(struct fake_vm *vm, u32 id)
{
	for (u32 i = 0; vm && i < vm->nr_vcpus; i++)
		if (vm->vcpu[i]->obj.id == id)
			return vm->vcpu[i];
	return NULL;
}

/* kvm_run, the data of port I/O where there is any, and the coalesced ring, which all vCPUs of a VM share. */
void *fake_vcpu_mmap(struct fake_vcpu *vcpu, size_t len, u64 offset)
{
	u8 *base;

	if (!len || offset % FAKE_PAGE || !range_inside(offset, len, 0, FAKE_MMAP_SIZE))
		return NULL;
	len = align_up(len, FAKE_PAGE);
	base = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	for (u64 at = 0; at < len; at += FAKE_PAGE) {
		u64 page = (offset + at) / FAKE_PAGE;
		int fd = page == FAKE_RING_PAGE ? vcpu->obj.vm->ring_fd : vcpu->obj.fd;

		if (mmap(base + at, FAKE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			 page == FAKE_RING_PAGE ? 0 : (off_t)(page * FAKE_PAGE)) == MAP_FAILED)
			abort();
	}
	return base;
}

void fake_vcpu_wake(struct fake_vcpu *vcpu)
{
	u64 one = 1;

	if (write(vcpu->wake_fd, &one, sizeof(one)) != sizeof(one))
		return; /* full: it is awake already */
}

/* ---- KVM_RUN ------------------------------------------------------------------------------------------ */

static bool immediate_exit(const struct fake_vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_SEQ_CST);
}

/* Where the data of port I/O is: x86's KVM has a page for it; others have no ports, and tests on them do. */
static const u32 io_offset = FAKE_RING_PAGE > 1 ? FAKE_PAGE : FAKE_PAGE * 3 / 4;
_Static_assert(sizeof(struct kvm_run) <= FAKE_PAGE * 3 / 4, "port I/O's data lies behind kvm_run");

static u8 *io_data(struct fake_vcpu *vcpu)
{
	return (u8 *)vcpu->run + io_offset;
}

/* The data of the last exit's read is in: the instruction ends. */
static void complete(struct fake_vcpu *vcpu)
{
	const struct fake_exit *e = script_at(vcpu);
	u64 value = 0;

	if (!vcpu->pending || !e)
		return;
	vcpu->pending = false;
	if (e->kind == FAKE_IN)
		value = get_le(io_data(vcpu), e->len);
	else if (e->kind == FAKE_READ)
		value = get_le(vcpu->run->mmio.data, e->len);
	if (e->result && (e->kind == FAKE_IN || e->kind == FAKE_READ))
		*e->result = value;
	script_step(vcpu, e);
}

enum wake_up { WAKE_INTERRUPT, WAKE_POWER, WAKE_NEVER };

static bool woken(struct fake_vcpu *vcpu, enum wake_up by)
{
	if (by == WAKE_POWER)
		return !fake_arch_stopped(vcpu);
	if (by == WAKE_NEVER || vcpu->seen == vcpu->obj.vm->interrupts)
		return false;
	vcpu->seen = vcpu->obj.vm->interrupts;
	return true;
}

/* Sleeps until an interrupt came since `seen`, or it was switched on (0), or until a signal (-EINTR). */
static int sleep_until(struct fake_vcpu *vcpu, enum wake_up by)
{
	struct pollfd p = {.fd = vcpu->wake_fd, .events = POLLIN};
	sigset_t all, old;
	int ret = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (;;) {
		u64 n;

		if (immediate_exit(vcpu)) {
			ret = -EINTR;
			break;
		}
		if (vcpu->obj.vm->dead) {
			ret = -EIO;
			break;
		}
		if (woken(vcpu, by))
			break;
		vcpu->asleep = true;
		fake_unlock();
		ret = ppoll(&p, 1, NULL, &old) < 0 ? -errno : 0;
		fake_lock();
		vcpu->asleep = false;
		if (ret < 0)
			break;
		if (read(vcpu->wake_fd, &n, sizeof(n)) < 0)
			continue;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

static void exit_io(struct fake_vcpu *vcpu, const struct fake_exit *e)
{
	struct kvm_run *run = vcpu->run;
	u32 count = e->count ? e->count : 1;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = e->kind == FAKE_OUT ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.size = (u8)e->len;
	run->io.port = (u16)e->addr;
	run->io.count = count;
	run->io.data_offset = io_offset;
	if (e->len * count > FAKE_PAGE / 4 || e->len > sizeof(e->value))
		abort();
	for (u32 i = 0; i < count; i++)
		put_le(io_data(vcpu) + i * e->len, e->len, e->value);
}

static void exit_mmio(struct fake_vcpu *vcpu, const struct fake_exit *e)
{
	struct kvm_run *run = vcpu->run;

	if (e->len > sizeof(run->mmio.data))
		abort();
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = e->addr;
	run->mmio.len = e->len;
	run->mmio.is_write = e->kind == FAKE_WRITE;
	put_le(run->mmio.data, e->len, e->value);
}

/* One entry: 1 when the guest goes on without an exit, else what KVM_RUN returns. */
static int play(struct fake_vcpu *vcpu, const struct fake_exit *e)
{
	struct fake_vm *vm = vcpu->obj.vm;
	int ret;

	switch (e->kind) {
	case FAKE_OUT:
	case FAKE_WRITE:
		if (e->count <= 1 && fake_vm_take_write(vm, e->kind == FAKE_OUT, e->addr, e->len, e->value)) {
			script_step(vcpu, e);
			return 1;
		}
		__attribute__((fallthrough));
	case FAKE_IN:
	case FAKE_READ:
		if (e->kind == FAKE_OUT || e->kind == FAKE_IN)
			exit_io(vcpu, e);
		else
			exit_mmio(vcpu, e);
		vcpu->pending = true;
		return 0;
	case FAKE_HLT:
		if (!vm->irqchip && !vm->split) {
			vcpu->run->exit_reason = KVM_EXIT_HLT;
			script_step(vcpu, e);
			return 0;
		}
		ret = sleep_until(vcpu, WAKE_INTERRUPT);
		if (ret < 0)
			return ret;
		script_step(vcpu, e);
		return 1;
	case FAKE_EXIT:
		vcpu->run->exit_reason = (u32)e->value;
		if (e->call)
			e->call(vcpu, e->arg);
		script_step(vcpu, e);
		return 0;
	case FAKE_ERRNO:
		script_step(vcpu, e);
		return -(int)e->value;
	case FAKE_CALL:
		script_step(vcpu, e);
		fake_unlock();
		e->call(vcpu, e->arg);
		fake_lock();
		return 1;
	}
	abort();
}

static int vcpu_run(struct fake_vcpu *vcpu, const void *arg)
{
	const struct fake_exit *e;
	int ret;

	if (arg)
		return -EINVAL;
	ret = fake_arch_vcpu_run(vcpu);
	if (ret)
		return ret;
	vcpu->ran = true;
	complete(vcpu);
	if (immediate_exit(vcpu))
		return -EINTR;
	/* The guest takes whatever comes at once. */
	vcpu->vector_waits = false;
	do {
		ret = fake_arch_stopped(vcpu) ? sleep_until(vcpu, WAKE_POWER) : 0;
		if (ret < 0)
			break;
		e = script_at(vcpu);
		ret = e ? play(vcpu, e) : sleep_until(vcpu, WAKE_NEVER);
	} while (ret > 0);
	vcpu->run->ready_for_interrupt_injection = 1;
	vcpu->run->if_flag = 1;
	return ret;
}

int fake_vcpu_ioctl(struct fake_vcpu *vcpu, unsigned long req, void *arg)
{
	bool known = true;
	int ret;

	switch (req) {
	case KVM_RUN:
		vcpu->in_run = true;
		ret = vcpu_run(vcpu, arg);
		vcpu->in_run = false;
		if (ret == -EINTR)
			vcpu->run->exit_reason = KVM_EXIT_INTR;
		return ret;
	case KVM_GET_MP_STATE:
		if (!arg)
			return -EFAULT;
		memcpy(arg, fake_blob(&vcpu->blobs, req, 0, sizeof(struct kvm_mp_state)),
		       sizeof(struct kvm_mp_state));
		return 0;
	case KVM_SET_MP_STATE:
		if (!arg)
			return -EFAULT;
		if (!fake_arch_mp_state_ok(((struct kvm_mp_state *)arg)->mp_state))
			return -EINVAL;
		memcpy(fake_blob(&vcpu->blobs, KVM_GET_MP_STATE, 0, sizeof(struct kvm_mp_state)), arg,
		       sizeof(struct kvm_mp_state));
		fake_vcpu_wake(vcpu);
		return 0;
	default:
		ret = fake_arch_vcpu_ioctl(vcpu, req, arg, &known);
		return known ? ret : -EINVAL;
	}
}

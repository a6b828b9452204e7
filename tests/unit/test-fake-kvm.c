/* SPDX-License-Identifier: MIT */
/* TSAN */
/*
 * The fake KVM itself: a fake that is kinder than the kernel proves nothing. Each rule that lkvm could run
 * into is broken once here, and KVM_RUN's promises about immediate_exit and signals are kept under fire.
 */
#include "fake-kvm.h"

#include <lkvm/kvm-device.h>

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
	int sys, vm;
	u32 fds;
	void *ram; /* 16 pages */
} bed;

#define PAGE 4096ull
#define RAM  (16 * PAGE)

static int setup(void **state)
{
	fake_kvm_reset();
	bed.fds = fake_count_fds();
	bed.sys = kvm_open("/dev/kvm");
	bed.vm = kvm_ioctl_val(bed.sys, KVM_CREATE_VM, 0);
	bed.ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return bed.vm < 0 || bed.ram == MAP_FAILED;
}

static int teardown(void **state)
{
	close(bed.vm);
	close(bed.sys);
	munmap(bed.ram, RAM);
	fake_kvm_reset();
	return fake_count_fds() != bed.fds;
}

/* ---- memslots ------------------------------------------------------------------------------------- */

static int slot(u32 id, u64 gpa, u64 size, u64 offset, u32 flags)
{
	struct kvm_userspace_memory_region r = {.slot = id,
						.flags = flags,
						.guest_phys_addr = gpa,
						.memory_size = size,
						.userspace_addr = (uintptr_t)bed.ram + offset};

	return kvm_ioctl(bed.vm, KVM_SET_USER_MEMORY_REGION, &r);
}

static void test_memslots(void **state)
{
	assert_int_equal(slot(0, 0, 4 * PAGE, 0, 0), 0);
	assert_int_equal(slot(0, 0, 4 * PAGE, 0, 0), 0); /* the same again */
	assert_int_equal(slot(1, 3 * PAGE, PAGE, 4 * PAGE, 0), -EEXIST);
	assert_int_equal(slot(1, 4 * PAGE, PAGE, 4 * PAGE, 0), 0);
	assert_int_equal(slot(2, 8 * PAGE + 1, PAGE, 0, 0), -EINVAL);
	assert_int_equal(slot(2, 8 * PAGE, PAGE - 1, 0, 0), -EINVAL);
	assert_int_equal(slot(2, 8 * PAGE, PAGE, 1, 0), -EINVAL);
	assert_int_equal(slot(2, 0ull - PAGE, 2 * PAGE, 0, 0), -EINVAL);
	assert_int_equal(slot(40000, 8 * PAGE, PAGE, 0, 0), -EINVAL);
	assert_int_equal(slot(1 << 16, 8 * PAGE, PAGE, 0, 0), -EINVAL);
	assert_int_equal(slot(2, 8 * PAGE, PAGE, 0, 1u << 7), -EINVAL);
	assert_int_equal(slot(1, 4 * PAGE, 2 * PAGE, 4 * PAGE, 0), -EINVAL); /* no resizing */
	assert_int_equal(slot(1, 4 * PAGE, PAGE, 4 * PAGE, KVM_MEM_READONLY), -EINVAL);
	assert_int_equal(slot(5, 0, 0, 0, 0), -EINVAL); /* nothing to delete */
	assert_int_equal(slot(0, 0, 0, 0, 0), 0);
	assert_int_equal(slot(1, 3 * PAGE, PAGE, 4 * PAGE, 0), 0); /* moved */
	assert_int_equal(fake_kvm_vm(0)->nr_slots, 1);
	assert_ptr_equal(fake_kvm_mem(fake_kvm_vm(0), 3 * PAGE + 5, 8), (u8 *)bed.ram + 4 * PAGE + 5);
	assert_null(fake_kvm_mem(fake_kvm_vm(0), 4 * PAGE - 4, 8));
	fake_kvm_set_cap(KVM_CAP_READONLY_MEM, 0);
	assert_int_equal(slot(3, 8 * PAGE, PAGE, 0, KVM_MEM_READONLY), -EINVAL);
}

/* ---- order of creation ------------------------------------------------------------------------------ */

static int vcpu(u32 id)
{
	return kvm_ioctl_val(bed.vm, KVM_CREATE_VCPU, id);
}

static void test_creation_order(void **state)
{
	struct kvm_pit_config pit = {0};
	struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {24}};
	u64 identity = 0xfffbc000;
	int fd;

	assert_int_equal(kvm_ioctl(bed.vm, KVM_CREATE_PIT2, &pit), -ENOENT);
	assert_int_equal(kvm_ioctl(bed.vm, KVM_CREATE_IRQCHIP, NULL), 0);
	assert_int_equal(kvm_ioctl(bed.vm, KVM_CREATE_IRQCHIP, NULL), -EEXIST);
	assert_int_equal(kvm_ioctl(bed.vm, KVM_ENABLE_CAP, &split), -EEXIST);
	assert_int_equal(kvm_ioctl(bed.vm, KVM_CREATE_PIT2, &pit), 0);
	assert_int_equal(kvm_ioctl(bed.vm, KVM_CREATE_PIT2, &pit), -EEXIST);
	assert_int_equal(kvm_ioctl(bed.vm, KVM_SET_IDENTITY_MAP_ADDR, &identity), 0);
	fd = vcpu(3);
	assert_true(fd >= 0);
	assert_int_equal(vcpu(3), -EEXIST);
	assert_int_equal(vcpu(4096), -EINVAL);
	assert_int_equal(kvm_ioctl(bed.vm, KVM_SET_IDENTITY_MAP_ADDR, &identity), -EINVAL);
	fake_kvm_set_cap(KVM_CAP_MAX_VCPUS, 1);
	assert_int_equal(vcpu(4), -EINVAL);
	assert_int_equal(kvm_ioctl(bed.vm, 0xae7f, NULL), -ENOTTY);
	close(fd);
	assert_int_equal(kvm_ioctl(fd, KVM_RUN, NULL), -EBADF);
}

/* An interrupt from a PIC in user space: one at a time, and only where there is none in the kernel. */
static void test_interrupt(void **state)
{
	struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {24}};
	struct kvm_interrupt irq = {.irq = 256};
	const struct fake_exit script[] = {{.kind = FAKE_HLT}, {.kind = FAKE_EXIT, .value = KVM_EXIT_INTR}};
	int vm, fd;

	fake_kvm_script(0, script, ARRAY_SIZE(script));
	vm = kvm_ioctl_val(bed.sys, KVM_CREATE_VM, 0);
	assert_int_equal(kvm_ioctl(vm, KVM_ENABLE_CAP, &split), 0);
	fd = kvm_ioctl_val(vm, KVM_CREATE_VCPU, 0);
	assert_int_equal(kvm_ioctl(fd, KVM_INTERRUPT, &irq), -EINVAL);
	irq.irq = 0x30;
	assert_int_equal(kvm_ioctl(fd, KVM_INTERRUPT, &irq), 0);
	assert_int_equal(kvm_ioctl(fd, KVM_INTERRUPT, &irq), -EEXIST);
	assert_int_equal(kvm_ioctl(fd, KVM_RUN, NULL), 0); /* it ends the HLT */
	assert_int_equal(kvm_ioctl(fd, KVM_INTERRUPT, &irq), 0);
	close(fd);
	close(vm);

	vm = kvm_ioctl_val(bed.sys, KVM_CREATE_VM, 0);
	assert_int_equal(kvm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL), 0);
	fd = kvm_ioctl_val(vm, KVM_CREATE_VCPU, 0);
	assert_int_equal(kvm_ioctl(fd, KVM_INTERRUPT, &irq), -ENXIO);
	close(fd);
	close(vm);
}

static void test_irqchip_after_vcpu(void **state)
{
	int fd = vcpu(0);

	assert_int_equal(kvm_ioctl(bed.vm, KVM_CREATE_IRQCHIP, NULL), -EINVAL);
	close(fd);
}

/* ---- interrupts --------------------------------------------------------------------------------------- */

static int routes(const struct kvm_irq_routing_entry *e, u32 n)
{
	struct kvm_irq_routing *table = calloc(1, sizeof(*table) + n * sizeof(*e));
	int ret;

	table->nr = n;
	memcpy(table->entries, e, n * sizeof(*e));
	ret = kvm_ioctl(bed.vm, KVM_SET_GSI_ROUTING, table);
	free(table);
	return ret;
}

#define PIN(g, c, p)                                                                                         \
	{                                                                                                    \
		.gsi = g, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {.irqchip = c, .pin = p }            \
	}
#define MSI(g)                                                                                               \
	{                                                                                                    \
		.gsi = g, .type = KVM_IRQ_ROUTING_MSI, .u.msi = {.address_lo = 0xfee00000 }                  \
	}

static void test_routing(void **state)
{
	static const struct kvm_irq_routing_entry good[] = {PIN(0, 0, 0), PIN(0, 2, 2), PIN(9, 2, 9),
							    MSI(24)};
	static const struct kvm_irq_routing_entry pin[] = {PIN(0, 0, 8)}, ioapic[] = {PIN(0, 2, 24)};
	static const struct kvm_irq_routing_entry twice[] = {PIN(1, 2, 1), PIN(1, 2, 2)};
	static const struct kvm_irq_routing_entry mixed[] = {PIN(1, 2, 1), MSI(1)};
	struct kvm_irq_level line = {.irq = 9, .level = 1};

	assert_int_equal(routes(good, 4), -EINVAL); /* no irqchip */
	assert_int_equal(kvm_ioctl(bed.vm, KVM_IRQ_LINE, &line), -ENXIO);
	assert_int_equal(kvm_ioctl(bed.vm, KVM_CREATE_IRQCHIP, NULL), 0);
	assert_int_equal(routes(good, 4), 0);
	assert_int_equal(routes(pin, 1), -EINVAL);
	assert_int_equal(routes(ioapic, 1), -EINVAL);
	assert_int_equal(routes(twice, 2), -EINVAL);
	assert_int_equal(routes(mixed, 2), -EINVAL);
	assert_int_equal(fake_kvm_vm(0)->nr_routes, 4);
	assert_int_equal(fake_kvm_vm(0)->nr_route_sets, 1);
	assert_int_equal(kvm_ioctl(bed.vm, KVM_IRQ_LINE, &line), 0);
	assert_int_equal(kvm_ioctl(bed.vm, KVM_IRQ_LINE, &line), 0);
	assert_int_equal(fake_kvm_vm(0)->raised[9], 1); /* it was high */
	assert_true(fake_kvm_vm(0)->level[9]);
}

static void test_irqfd(void **state)
{
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct kvm_irqfd e = {.fd = (u32)efd, .gsi = 5};
	u64 one = 1;

	assert_int_equal(kvm_ioctl(bed.vm, KVM_IRQFD, &e), 0);
	assert_int_equal(kvm_ioctl(bed.vm, KVM_IRQFD, &e), -EBUSY);
	assert_int_equal(write(efd, &one, sizeof(one)), sizeof(one));
	fake_kvm_irqfds(fake_kvm_vm(0));
	fake_kvm_irqfds(fake_kvm_vm(0));
	assert_int_equal(fake_kvm_vm(0)->raised[5], 1);
	e.flags = KVM_IRQFD_FLAG_DEASSIGN;
	assert_int_equal(kvm_ioctl(bed.vm, KVM_IRQFD, &e), 0);
	assert_int_equal(kvm_ioctl(bed.vm, KVM_IRQFD, &e), 0);
	e.flags = KVM_IRQFD_FLAG_RESAMPLE;
	e.resamplefd = (u32)bed.vm;
	assert_int_equal(kvm_ioctl(bed.vm, KVM_IRQFD, &e), -EINVAL);
	e.resamplefd = (u32)other;
	assert_int_equal(kvm_ioctl(bed.vm, KVM_IRQFD, &e), 0);
	e.flags = 8;
	assert_int_equal(kvm_ioctl(bed.vm, KVM_IRQFD, &e), -EINVAL);
	e.flags = 0;
	e.fd = 9999;
	assert_int_equal(kvm_ioctl(bed.vm, KVM_IRQFD, &e), -EBADF);
	close(efd);
	close(other);
}

static int ioeventfd(u64 addr, u32 len, u32 flags, u64 match, int fd)
{
	struct kvm_ioeventfd e = {.addr = addr, .len = len, .flags = flags, .datamatch = match, .fd = fd};

	return kvm_ioctl(bed.vm, KVM_IOEVENTFD, &e);
}

static void test_ioeventfd(void **state)
{
	const u32 match = KVM_IOEVENTFD_FLAG_DATAMATCH, gone = KVM_IOEVENTFD_FLAG_DEASSIGN;
	int efd = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(ioeventfd(0x1000, 2, match, 7, efd), 0);
	assert_int_equal(ioeventfd(0x1000, 2, match, 8, efd), 0);
	assert_int_equal(ioeventfd(0x1000, 2, match, 8, efd), -EEXIST);
	assert_int_equal(ioeventfd(0x1000, 2, 0, 0, efd), -EEXIST);
	assert_int_equal(ioeventfd(0x1000, 3, 0, 0, efd), -EINVAL);
	assert_int_equal(ioeventfd(0x1000, 16, 0, 0, efd), -EINVAL);
	assert_int_equal(ioeventfd(0x2000, 0, match, 1, efd), -EINVAL);
	assert_int_equal(ioeventfd(0x2000, 0, 0, 0, bed.vm), -EINVAL);
	assert_int_equal(ioeventfd(0x2000, 0, 0, 0, 9999), -EBADF);
	assert_int_equal(ioeventfd(0x1000, 2, match | gone, 9, efd), -ENOENT);
	assert_int_equal(ioeventfd(0x1000, 2, match | gone, 7, efd), 0);
	assert_int_equal(fake_kvm_vm(0)->nr_ioeventfds, 1);
	close(efd);
}

/* ---- KVM_RUN ------------------------------------------------------------------------------------------- */

static void test_run_accesses(void **state)
{
	int efd = eventfd(0, EFD_CLOEXEC), fd;
	struct kvm_coalesced_mmio_zone zone = {.addr = 0xe0000000, .size = 16};
	struct kvm_coalesced_mmio_ring *ring;
	u64 in = 0, read_back = 0, n;
	const struct fake_exit script[] = {
		{.kind = FAKE_WRITE, .addr = 0xd0000000, .len = 4, .value = 1}, /* an ioeventfd's */
		{.kind = FAKE_WRITE, .addr = 0xe0000004, .len = 2, .value = 0xbeef, .repeat = 2},
		{.kind = FAKE_IN, .addr = 0x60, .len = 2, .result = &in},
		{.kind = FAKE_READ, .addr = 0xd0000000, .len = 8, .result = &read_back},
		{.kind = FAKE_OUT, .addr = 0x80, .len = 1, .count = 3, .value = 0x41},
		{.kind = FAKE_ERRNO, .value = EFAULT},
	};
	struct kvm_run *run;
	u8 *map;

	fake_kvm_script(0, script, ARRAY_SIZE(script));
	fd = vcpu(0);
	map = kvm_mmap(fd, 3 * PAGE, 0);
	assert_non_null(map);
	assert_null(kvm_mmap(fd, 4 * PAGE, 0));
	run = (void *)map;
	ring = (void *)(map + 2 * PAGE);
	assert_int_equal(ioeventfd(0xd0000000, 4, 0, 0, efd), 0);
	assert_int_equal(kvm_ioctl(bed.vm, KVM_REGISTER_COALESCED_MMIO, &zone), 0);
	assert_int_equal(kvm_ioctl_val(fd, KVM_RUN, 1), -EINVAL);

	assert_int_equal(kvm_ioctl(fd, KVM_RUN, NULL), 0);
	assert_int_equal(read(efd, &n, sizeof(n)), sizeof(n));
	assert_int_equal(ring->last, 2);
	assert_int_equal(ring->coalesced_mmio[1].phys_addr, 0xe0000004);
	assert_memory_equal(ring->coalesced_mmio[1].data, "\xef\xbe", 2);
	assert_int_equal(run->exit_reason, KVM_EXIT_IO);
	assert_int_equal(run->io.port, 0x60);
	memcpy(map + run->io.data_offset, "\x34\x12", 2);
	/* immediate_exit completes the access and no more. */
	run->immediate_exit = 1;
	assert_int_equal(kvm_ioctl(fd, KVM_RUN, NULL), -EINTR);
	assert_int_equal(in, 0x1234);
	run->immediate_exit = 0;
	assert_int_equal(kvm_ioctl(fd, KVM_RUN, NULL), 0);
	assert_int_equal(run->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(run->mmio.is_write, 0);
	memset(run->mmio.data, 0x5a, 8);
	assert_int_equal(kvm_ioctl(fd, KVM_RUN, NULL), 0);
	assert_true(read_back == 0x5a5a5a5a5a5a5a5aull);
	assert_int_equal(run->io.count, 3);
	assert_memory_equal(map + run->io.data_offset, "AAA", 3);
	assert_int_equal(kvm_ioctl(fd, KVM_RUN, NULL), -EFAULT);
	munmap(map, 3 * PAGE);
	close(fd);
	close(efd);
}

struct sleeper {
	int fd;
	struct kvm_run *run;
	_Atomic bool stop;
	_Atomic u32 returns;
};

static void nothing(int sig)
{
}

/* As a vCPU thread does: clear immediate_exit, look at the request, run. */
static void *sleep_and_return(void *arg)
{
	struct sleeper *s = arg;

	for (;;) {
		__atomic_store_n(&s->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (s->stop)
			return NULL;
		if (kvm_ioctl(s->fd, KVM_RUN, NULL) != -EINTR)
			abort();
		s->returns++;
	}
}

/* However a kick falls, it is not lost: a lost one hangs here. */
static void test_kicks_are_not_lost(void **state)
{
	struct sigaction act = {.sa_handler = nothing}, old;
	struct sleeper s = {0};
	pthread_t thread;

	sigaction(SIGRTMIN, &act, &old);
	s.fd = vcpu(0);
	s.run = kvm_mmap(s.fd, PAGE, 0);
	alarm(60);
	for (u32 round = 0; round < 300; round++) {
		s.stop = false;
		assert_int_equal(pthread_create(&thread, NULL, sleep_and_return, &s), 0);
		for (u32 spin = 0; spin < round * 50; spin++)
			__asm__ volatile("" ::: "memory");
		s.stop = true;
		__atomic_store_n(&s.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(thread, SIGRTMIN);
		pthread_join(thread, NULL);
	}
	alarm(0);
	sigaction(SIGRTMIN, &old, NULL);
	munmap(s.run, PAGE);
	close(s.fd);
}

static void test_hlt_and_interrupt(void **state)
{
	static const struct fake_exit script[] = {
		{.kind = FAKE_HLT},
		{.kind = FAKE_EXIT, .value = KVM_EXIT_SHUTDOWN},
	};
	struct kvm_run *run;
	int fd;

	fake_kvm_script(0, script, ARRAY_SIZE(script));
	fake_kvm_script(1, script, ARRAY_SIZE(script));
	assert_int_equal(kvm_ioctl(bed.vm, KVM_CREATE_IRQCHIP, NULL), 0);
	fd = vcpu(0);
	run = kvm_mmap(fd, PAGE, 0);
	alarm(60);
	fake_kvm_wake(fake_kvm_vm(0)); /* what came before is pending */
	assert_int_equal(kvm_ioctl(fd, KVM_RUN, NULL), 0);
	assert_int_equal(run->exit_reason, KVM_EXIT_SHUTDOWN);
	alarm(0);
	munmap(run, PAGE);
	close(fd);
}

/* ---- the processor ---------------------------------------------------------------------------------------
 */

static void test_registers(void **state)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = {.rip = 0x1234}, got = {0};
	struct kvm_lapic_state lapic;
	struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + 3 * sizeof(msrs->entries[0]));
	struct kvm_cpuid2 small = {.nent = 1};
	int fd = vcpu(0);

	assert_int_equal(kvm_ioctl(fd, KVM_SET_REGS, &regs), 0);
	assert_int_equal(kvm_ioctl(fd, KVM_GET_REGS, &got), 0);
	assert_memory_equal(&got, &regs, sizeof(got));
	assert_int_equal(kvm_ioctl(fd, KVM_GET_SREGS, &sregs), 0);
	assert_int_equal(kvm_ioctl(fd, KVM_SET_SREGS, &sregs), 0);
	sregs.efer = 0x400; /* LMA without LME and paging */
	assert_int_equal(kvm_ioctl(fd, KVM_SET_SREGS, &sregs), -EINVAL);
	sregs.efer = 0x500;
	sregs.cr0 |= 0x80000000;
	assert_int_equal(kvm_ioctl(fd, KVM_SET_SREGS, &sregs), -EINVAL); /* no PAE */
	sregs.cr4 |= 0x20;
	assert_int_equal(kvm_ioctl(fd, KVM_SET_SREGS, &sregs), 0);
	assert_int_equal(kvm_ioctl(fd, KVM_GET_LAPIC, &lapic), -EINVAL); /* no irqchip */
	msrs->nmsrs = 3;
	msrs->entries[0].index = msrs->entries[2].index = 0x10;
	msrs->entries[1].index = 0x12345; /* unknown: it stops there */
	assert_int_equal(kvm_ioctl(fd, KVM_SET_MSRS, msrs), 1);
	free(msrs);
	assert_int_equal(kvm_ioctl(bed.sys, KVM_GET_SUPPORTED_CPUID, &small), -E2BIG);
	close(fd);
}

/* ---- faults and the log
 * ------------------------------------------------------------------------------------ */

static void test_faults(void **state)
{
	u32 calls = fake_kvm_nr_calls();

	fake_kvm_fail_nth(2, ENOMEM);
	fake_kvm_fail(KVM_GET_API_VERSION, 2, EPERM);
	fake_kvm_fail_arg(KVM_CHECK_EXTENSION, KVM_CAP_IRQFD, ENOTTY);
	assert_int_equal(kvm_ioctl_val(bed.sys, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP), 1);
	assert_int_equal(kvm_ioctl_val(bed.sys, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP), -ENOMEM);
	assert_int_equal(kvm_ioctl_val(bed.sys, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP), 1);
	assert_int_equal(kvm_ioctl_val(bed.sys, KVM_CHECK_EXTENSION, KVM_CAP_IRQFD), -ENOTTY);
	assert_int_equal(kvm_ioctl_val(bed.sys, KVM_CHECK_EXTENSION, KVM_CAP_IRQFD), -ENOTTY);
	assert_int_equal(kvm_ioctl(bed.sys, KVM_GET_API_VERSION, NULL), 12);
	assert_int_equal(kvm_ioctl(bed.sys, KVM_GET_API_VERSION, NULL), -EPERM);
	assert_int_equal(kvm_ioctl(bed.sys, KVM_GET_API_VERSION, NULL), 12);
	assert_int_equal(fake_kvm_nr_calls() - calls, 8);
	assert_string_equal(fake_kvm_call(calls).name, "KVM_CHECK_EXTENSION");
	assert_int_equal(fake_kvm_call(calls).arg, KVM_CAP_IRQCHIP);
	assert_true(fake_kvm_call(calls + 1).injected && !fake_kvm_call(calls + 2).injected);
	assert_int_equal(fake_kvm_call(calls + 1).ret, -ENOMEM);
	assert_int_equal(fake_kvm_first("KVM_GET_API_VERSION"), (int)calls + 5);
	assert_int_equal(fake_kvm_last("KVM_GET_API_VERSION"), (int)calls + 7);
}

/* An fd number that is used again after close() is another object. */
static void test_fd_reuse(void **state)
{
	struct buf names = {0};
	int fd = vcpu(0), again;

	assert_int_equal(fake_kvm_open_fds(&names), 3);
	assert_string_equal((const char *)names.data, "vcpu0 vm0 kvm0 ");
	buf_free(&names);
	close(fd);
	assert_int_equal(fake_kvm_open_fds(NULL), 2);
	again = vcpu(1);
	assert_int_equal(again, fd);
	assert_int_equal(fake_kvm_open_fds(&names), 3);
	assert_string_equal((const char *)names.data, "vcpu1 vm0 kvm0 ");
	buf_free(&names);
	close(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_memslots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_creation_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_irqchip_after_vcpu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_routing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_irqfd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ioeventfd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_run_accesses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kicks_are_not_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hlt_and_interrupt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fd_reuse, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

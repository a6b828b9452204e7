/* SPDX-License-Identifier: MIT */
/* BIG-ENDIAN */
/* TSAN */
/*
 * Coalesced I/O: the kernel's ring as the fake keeps it, and as no kernel should; the order of writes against
 * what a vCPU does next, the timer for those that a vCPU does not exit after, and handlers that switch their
 * own zone.
 */
#include "core-vm.h"

#include <lkvm/endian.h>
#include <pthread.h>
#include <stdatomic.h>

#define PORT   0x5c00
#define MMIO   0xe8000000ull
#define STATUS (PORT + 8)

static struct {
	struct device dev;
	struct machine_ops machine;
	u64 value[1024];
	_Atomic u32 nr;
	u64 seen_by_read;   /* how many writes had come when STATUS was last read */
	bool drained_first; /* an entry left the ring before its device had it */
	struct vcpu *vcpu;
	void (*then)(u64 value);
} bed;

static struct kvm_coalesced_mmio_ring *ring(void)
{
	return fake_kvm_vm(0)->ring;
}

static u32 room(void)
{
	return (u32)((4096 - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio));
}

static u32 waiting(void)
{
	return (__atomic_load_n(&ring()->last, __ATOMIC_ACQUIRE) + room() -
		__atomic_load_n(&ring()->first, __ATOMIC_ACQUIRE)) %
	       room();
}

static void on_io(struct device *dev, struct io *io, void *arg)
{
	u32 n = atomic_load(&bed.nr);

	if (!io->write) {
		bed.seen_by_read = n;
		io_reply(io, n);
		return;
	}
	assert_true(n < ARRAY_SIZE(bed.value));
	bed.value[n] = io_value(io);
	bed.vcpu = io->vcpu;
	/* "A vCPU that finds the ring empty goes on": so it must not be empty yet. */
	if (!io->vcpu && !waiting())
		bed.drained_first = true;
	if (bed.then)
		bed.then(bed.value[n]);
	atomic_store(&bed.nr, n + 1);
}

/* A VM up to before `run`, with a device of ours on both buses. */
static int setup(void **state)
{
	if (vm_setup(state))
		return -1;
	memset(&bed, 0, sizeof(bed));
	vm_empty(MiB(4), NULL);
	bed.machine = *vm.kvm.machine;
	bed.machine.vcpu_enter = NULL; /* where a vCPU that nobody has booted would wait */
	vm.kvm.machine = &bed.machine;
	bed.dev.kvm = &vm.kvm;
	snprintf(bed.dev.name, sizeof(bed.dev.name), "dev");
	pthread_mutex_init(&bed.dev.lock, NULL);
	assert_int_equal(bus_map(&bed.dev, BUS_PIO, PORT, 16, on_io, NULL, 0), 0);
	assert_int_equal(bus_map(&bed.dev, BUS_MMIO, MMIO, 16, on_io, NULL, 0), 0);
	return 0;
}

static int teardown(void **state)
{
	vm_down();
	pthread_mutex_destroy(&bed.dev.lock);
	return vm_teardown(state);
}

/* As the kernel does for a write to a zone. */
static void queue(bool pio, u64 addr, u64 value, u32 len)
{
	struct kvm_coalesced_mmio *e = &ring()->coalesced_mmio[ring()->last];

	*e = (struct kvm_coalesced_mmio){.phys_addr = addr, .len = len, .pio = pio};
	put_le64(e->data, value);
	__atomic_store_n(&ring()->last, (ring()->last + 1) % room(), __ATOMIC_RELEASE);
}

/* Nobody looks at the ring before there was a zone. */
static void with_ring(void)
{
	queue(true, PORT, 1, 1);
	coalesced_drain(&vm.kvm);
	assert_int_equal(waiting(), 1);
	assert_int_equal(coalesced_add(&vm.kvm, BUS_MMIO, MMIO, 8), 0);
	coalesced_drain(&vm.kvm);
	assert_int_equal(waiting(), 0);
	atomic_store(&bed.nr, 0);
}

/* ---- the ring ---------------------------------------------------------------------------------------- */

static void test_order(void **state)
{
	u64 want = 0;

	with_ring();
	/* Several times around it. */
	for (u32 round = 0; round < 5; round++) {
		for (u32 i = 0; i < room() - 1; i++)
			queue(i & 1, i & 1 ? PORT : MMIO, round * 1000 + i, 4);
		coalesced_drain(&vm.kvm);
		assert_int_equal(waiting(), 0);
		assert_int_equal(atomic_load(&bed.nr), room() - 1);
		for (u32 i = 0; i < room() - 1; i++, want++)
			assert_int_equal(bed.value[i], round * 1000 + i);
		atomic_store(&bed.nr, 0);
	}
	assert_null(bed.vcpu);
	assert_false(bed.drained_first);
}

static void test_lies(void **state)
{
	with_ring();
	queue(true, PORT, 1, 1);
	queue(true, PORT, 2, 9); /* longer than an entry holds */
	queue(true, PORT, 3, UINT32_MAX);
	queue(true, 0xffff, 4, 4); /* nobody's */
	queue(true, PORT, 5, 8);
	coalesced_drain(&vm.kvm);
	assert_int_equal(atomic_load(&bed.nr), 2);
	assert_int_equal(bed.value[0], 1);
	assert_int_equal(bed.value[1], 5);
	/* Indices outside of the ring: nothing is read there, and no loop is for ever. */
	ring()->first = room();
	coalesced_drain(&vm.kvm);
	ring()->first = UINT32_MAX;
	coalesced_drain(&vm.kvm);
	ring()->first = 0;
	ring()->last = room();
	coalesced_drain(&vm.kvm);
	ring()->last = UINT32_MAX;
	coalesced_drain(&vm.kvm);
	ring()->last = 0;
	assert_int_equal(atomic_load(&bed.nr), 2);
}

/* ---- zones -------------------------------------------------------------------------------------------- */

static void test_zones(void **state)
{
	const struct fake_vm *fake = fake_kvm_vm(0);

	assert_int_equal(coalesced_add(&vm.kvm, BUS_PIO, PORT, 1), 0);
	assert_int_equal(coalesced_add(&vm.kvm, BUS_MMIO, MMIO, 8), 0);
	assert_int_equal(fake->nr_zones, 2);
	assert_int_equal(fake->zone[0].pio, 1);
	assert_int_equal(fake->zone[1].pio, 0);
	assert_int_equal(fake->zone[1].addr, MMIO);
	assert_int_equal(fake->zone[1].size, 8);
	coalesced_remove(&vm.kvm, BUS_PIO, PORT, 1);
	coalesced_remove(&vm.kvm, BUS_MMIO, MMIO, 8);
	assert_int_equal(fake->nr_zones, 0);
	fake_kvm_fail(KVM_REGISTER_COALESCED_MMIO, 1, ENOSPC);
	assert_int_equal(coalesced_add(&vm.kvm, BUS_PIO, PORT, 1), -ENOSPC);
}

static void without(u32 cap)
{
	vm_down();
	fake_kvm_reset();
	fake_kvm_set_cap(cap, 0);
	vm_empty(MiB(4), NULL);
}

static void test_absent(void **state)
{
	without(KVM_CAP_COALESCED_PIO);
	assert_int_equal(coalesced_add(&vm.kvm, BUS_PIO, PORT, 1), -ENOTSUP);
	assert_int_equal(coalesced_add(&vm.kvm, BUS_MMIO, MMIO, 8), 0);
	without(KVM_CAP_COALESCED_MMIO);
	assert_int_equal(coalesced_add(&vm.kvm, BUS_PIO, PORT, 1), -ENOTSUP);
	assert_int_equal(coalesced_add(&vm.kvm, BUS_MMIO, MMIO, 8), -ENOTSUP);
	coalesced_remove(&vm.kvm, BUS_MMIO, MMIO, 8);
	coalesced_drain(&vm.kvm);
}

/* A page number that lies outside of the mapping is none. */
static void test_page_lies(void **state)
{
	vm_down();
	fake_kvm_reset();
	fake_kvm_set_cap(KVM_CAP_COALESCED_MMIO, 1000000);
	vm_empty(MiB(4), NULL);
	assert_int_equal(coalesced_add(&vm.kvm, BUS_MMIO, MMIO, 8), -ENOTSUP);
}

/* ---- guests ------------------------------------------------------------------------------------------- */

static void switch_zone(u64 value)
{
	/* Under the device's lock, while the ring is being drained. */
	if (value == 10)
		assert_int_equal(coalesced_add(&vm.kvm, BUS_PIO, PORT, 1), 0);
	if (value == 40)
		coalesced_remove(&vm.kvm, BUS_PIO, PORT, 1);
}

static struct fake_exit burst[80];

static u32 make_burst(u32 n)
{
	for (u32 i = 0; i < n; i++)
		burst[i] = (struct fake_exit){.kind = FAKE_OUT, .addr = PORT, .len = 1, .value = i};
	return n;
}

static void start(void)
{
	/* The rest of the steps; the kernel image is of no account to the fake's vCPU. */
	assert_int_equal(vcpus_start(&vm.kvm), 0);
	assert_int_equal(event_run(&vm.kvm.loop), 0);
	vcpus_stop(&vm.kvm);
}

static u64 status;

/* A zone comes after ten writes and goes after forty; whatever way each takes, they come in order. */
static void test_zone_by_handler(void **state)
{
	u32 n = make_burst(60);

	burst[n++] = (struct fake_exit){.kind = FAKE_IN, .addr = STATUS, .len = 1, .result = &status};
	burst[n++] = (struct fake_exit){.kind = FAKE_EXIT, .value = KVM_EXIT_SHUTDOWN};
	bed.then = switch_zone;
	fake_kvm_script(0, burst, n);
	capture_begin(STDERR_FILENO); /* the crash at the end */
	start();
	capture_end();
	assert_int_equal(atomic_load(&bed.nr), 60);
	for (u32 i = 0; i < 60; i++)
		assert_int_equal(bed.value[i], i);
	assert_int_equal(bed.seen_by_read, 60);
	assert_int_equal(status, 60);
	assert_int_equal(fake_kvm_vm(0)->nr_zones, 0);
	assert_false(bed.drained_first);
	/* The kernel took some of them, or this was no test. */
	assert_true(atomic_load(&vm.kvm.vcpu[0].counts.io) < 60);
}

static void end_at_five(u64 value)
{
	if (value == 4)
		kvm_end(&vm.kvm, VM_POWEROFF, 0);
}

/* A guest that writes and then sleeps: the timer brings the writes, again and again. */
static void test_timer(void **state)
{
	u32 n = make_burst(5);

	bed.then = end_at_five;
	assert_int_equal(coalesced_add(&vm.kvm, BUS_PIO, PORT, 1), 0);
	fake_kvm_script(0, burst, n);
	start();
	assert_int_equal(atomic_load(&bed.nr), 5);
	assert_int_equal(atomic_load(&vm.kvm.vcpu[0].counts.io), 0);
}

static void on_check(struct event_timer *timer)
{
	/* The loop's timers: this one, and the ring's until it finds that there is no zone any more. */
	u32 armed = 0;
	struct event_timer *t;

	pthread_mutex_lock(&vm.kvm.loop.timer_lock);
	list_for_each (t, &vm.kvm.loop.timers, link)
		armed++;
	pthread_mutex_unlock(&vm.kvm.loop.timer_lock);
	if (armed == 1)
		event_stop(&vm.kvm.loop);
}

/* The timer runs only as long as there is a zone; what came before the last went is still taken. */
static void test_timer_ends(void **state)
{
	struct event_timer check;

	assert_int_equal(coalesced_add(&vm.kvm, BUS_PIO, PORT, 1), 0);
	queue(true, PORT, 1, 1);
	coalesced_remove(&vm.kvm, BUS_PIO, PORT, 1);
	assert_int_equal(event_timer_init(&vm.kvm.loop, &check, on_check, NULL), 0);
	event_timer_set(&check, 1000000, 1000000);
	assert_int_equal(event_run(&vm.kvm.loop), 0);
	event_timer_destroy(&vm.kvm.loop, &check);
	assert_int_equal(atomic_load(&bed.nr), 1);
}

static void nothing_more(u64 value)
{
	bed.then = NULL;
}

/* What is in the ring when the VM ends comes out before the thread has gone. */
static void test_end(void **state)
{
	static const struct fake_exit script[] = {
		{.kind = FAKE_OUT, .addr = PORT, .len = 1, .value = 7},
		{.kind = FAKE_ERRNO, .value = EFAULT},
	};

	bed.then = nothing_more;
	assert_int_equal(coalesced_add(&vm.kvm, BUS_PIO, PORT, 1), 0);
	fake_kvm_script(0, script, ARRAY_SIZE(script));
	capture_begin(STDERR_FILENO);
	start();
	capture_end();
	assert_int_equal(atomic_load(&bed.nr), 1);
}

/* ---- threads ------------------------------------------------------------------------------------------- */

#define WRITES 1000

static void *drain(void *arg)
{
	while (atomic_load(&bed.nr) < WRITES)
		coalesced_drain(&vm.kvm);
	return arg;
}

static void test_threads(void **state)
{
	pthread_t thread[3];

	with_ring();
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, drain, NULL), 0);
	for (u32 i = 0; i < WRITES;) {
		u32 first = __atomic_load_n(&ring()->first, __ATOMIC_ACQUIRE);

		if ((ring()->last + 1) % room() != first)
			queue(true, PORT, i++, 4);
		/* Now and then as a vCPU that exits after its write: it is there when the drain returns. */
		if (i % 16 == 0) {
			coalesced_drain(&vm.kvm);
			assert_true(atomic_load(&bed.nr) >= i);
		}
	}
	for (u32 i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	for (u32 i = 0; i < WRITES; i++)
		assert_int_equal(bed.value[i], i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zones, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page_lies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zone_by_handler, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* TSAN */
/*
 * Lines, the routing table and its failures, irqfds and ioeventfds, on a VM whose irqchip is the kernel's.
 */
#include "core-vm.h"

#include <pthread.h>
#include <sys/eventfd.h>

#define FIRST_MSI 24 /* the GSIs above the I/O APIC's pins */

static int setup(void **state)
{
	static const char *const full[] = {"--irqchip", "full", NULL};

	if (vm_setup(state))
		return -1;
	vm_empty(MiB(4), full);
	return 0;
}

static struct msi_msg message(u32 data)
{
	return (struct msi_msg){.address = 0xfee00000, .data = data};
}

static u32 sets(void)
{
	return fake_kvm_vm(0)->nr_route_sets;
}

/* The kernel's MSI route of that GSI, or NULL. */
static const struct kvm_irq_routing_entry *route(u32 gsi)
{
	const struct fake_vm *fake = fake_kvm_vm(0);

	for (u32 i = 0; i < fake->nr_routes; i++)
		if (fake->route[i].gsi == gsi && fake->route[i].type == KVM_IRQ_ROUTING_MSI)
			return &fake->route[i];
	return NULL;
}

/* ---- lines ----------------------------------------------------------------------------------------- */

static void test_claims(void **state)
{
	struct kvm *kvm = &vm.kvm;

	assert_int_equal(irq_claim(kvm, 4), -EBUSY); /* COM1 has it */
	assert_int_equal(irq_claim(kvm, 5), 0);
	assert_int_equal(irq_claim(kvm, 5), -EBUSY);
	assert_int_equal(irq_claim(kvm, 24), -EINVAL);
	assert_int_equal(irq_claim(kvm, IRQ_NONE), -EINVAL);
	assert_int_equal(irq_alloc(kvm, 5), 6);
	assert_int_equal(irq_alloc(kvm, 10), 10);
	assert_int_equal(irq_alloc(kvm, 10), 11);
	assert_int_equal(irq_alloc(kvm, 16), -ENOSPC); /* PCI has them all */
	assert_int_equal(irq_alloc(kvm, IRQ_NONE), -ENOSPC);
}

static void test_shared_line(void **state)
{
	struct fake_vm *fake = fake_kvm_vm(0);
	u32 before;

	/* COM1 and COM3: high as long as one of them is. */
	irq_set_line(&vm.kvm, 4, true);
	assert_true(fake->level[4]);
	before = fake_kvm_count("KVM_IRQ_LINE");
	irq_set_line(&vm.kvm, 4, true);
	irq_set_line(&vm.kvm, 4, false);
	assert_true(fake->level[4]);
	assert_int_equal(fake_kvm_count("KVM_IRQ_LINE"), before);
	irq_set_line(&vm.kvm, 4, false);
	assert_false(fake->level[4]);
	irq_set_line(&vm.kvm, 4, false); /* more lows than highs do not count below nothing */
	irq_set_line(&vm.kvm, 4, true);
	assert_true(fake->level[4]);
	assert_int_equal(fake->raised[4], 2);
	irq_set_line(&vm.kvm, IRQ_NONE, true);
}

#define TOGGLES 2000

static void *toggle(void *arg)
{
	for (u32 i = 0; i < TOGGLES; i++) {
		irq_set_line(&vm.kvm, 4, true);
		irq_set_line(&vm.kvm, 4, false);
	}
	return arg;
}

/* Two drivers on two threads: the chip's level follows the count, to the end. */
static void test_shared_by_threads(void **state)
{
	pthread_t thread[2];

	for (u32 i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, toggle, NULL), 0);
	for (u32 i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(vm.kvm.irq.drivers[4], 0);
	assert_false(fake_kvm_vm(0)->level[4]);
}

/* ---- routes ------------------------------------------------------------------------------------------ */

static void test_msi(void **state)
{
	struct msi_msg a = message(0x30), b = message(0x31), c = message(0x32), odd = {.address = 0x1000};
	const struct fake_vm *fake = fake_kvm_vm(0);
	u32 before = sets();

	assert_int_equal(irq_msi_add(&vm.kvm, &a), FIRST_MSI);
	assert_int_equal(irq_msi_add(&vm.kvm, &b), FIRST_MSI + 1);
	assert_int_equal(sets(), before + 2);
	/* The chip's own pins stay. */
	assert_int_equal(fake->nr_routes, 16 + 24 + 2);
	assert_int_equal(route(FIRST_MSI)->u.msi.data, 0x30);
	assert_int_equal(irq_msi_update(&vm.kvm, FIRST_MSI, &c), 0);
	assert_int_equal(route(FIRST_MSI)->u.msi.data, 0x32);
	assert_int_equal(sets(), before + 3);
	/* The same once more costs nothing. */
	assert_int_equal(irq_msi_update(&vm.kvm, FIRST_MSI, &c), 0);
	assert_int_equal(sets(), before + 3);
	irq_msi_remove(&vm.kvm, FIRST_MSI);
	assert_null(route(FIRST_MSI));
	assert_int_equal(route(FIRST_MSI + 1)->u.msi.data, 0x31);
	/* Its GSI is free again. */
	assert_int_equal(irq_msi_add(&vm.kvm, &a), FIRST_MSI);
	assert_int_equal(irq_msi_add(&vm.kvm, &a), FIRST_MSI + 2);
	/* What is not there, what is no MSI. */
	before = sets();
	assert_int_equal(irq_msi_update(&vm.kvm, FIRST_MSI + 9, &a), -ENOENT);
	assert_int_equal(irq_msi_update(&vm.kvm, 4, &a), -ENOENT);
	irq_msi_remove(&vm.kvm, 4);
	assert_int_equal(irq_msi_add(&vm.kvm, &odd), -EINVAL);
	assert_int_equal(irq_msi_update(&vm.kvm, FIRST_MSI, &odd), -EINVAL);
	assert_int_equal(sets(), before);
}

static void test_routes_run_out(void **state)
{
	struct msi_msg msg = message(0x30);

	fake_kvm_set_cap(KVM_CAP_IRQ_ROUTING, FIRST_MSI + 100);
	for (u32 i = 0; i < 100; i++)
		assert_int_equal(irq_msi_add(&vm.kvm, &msg), FIRST_MSI + i);
	assert_int_equal(irq_msi_add(&vm.kvm, &msg), -ENOSPC);
	irq_msi_remove(&vm.kvm, FIRST_MSI + 50);
	assert_int_equal(irq_msi_add(&vm.kvm, &msg), FIRST_MSI + 50);
}

/* Expects one line about the table. */
static void refuse_next(void)
{
	fake_kvm_fail(KVM_SET_GSI_ROUTING, 1, ENOMEM);
	capture_begin(STDERR_FILENO);
}

static void refused(void)
{
	assert_one_line(capture_end(), "KVM_SET_GSI_ROUTING");
}

/* After a failure our table is still what the kernel has, and the same change goes down when tried again. */
static void test_refused(void **state)
{
	struct msi_msg a = message(0x30), b = message(0x31);
	u32 entries;
	int ret;

	assert_int_equal(irq_msi_add(&vm.kvm, &a), FIRST_MSI);
	assert_int_equal(irq_msi_add(&vm.kvm, &a), FIRST_MSI + 1);
	entries = vm.kvm.irq.nr_entries;

	refuse_next();
	ret = irq_msi_add(&vm.kvm, &b);
	refused();
	assert_int_equal(ret, -ENOMEM);
	assert_int_equal(vm.kvm.irq.nr_entries, entries);

	refuse_next();
	ret = irq_msi_update(&vm.kvm, FIRST_MSI, &b);
	refused();
	assert_int_equal(ret, -ENOMEM);
	assert_int_equal(route(FIRST_MSI)->u.msi.data, 0x30);
	assert_int_equal(irq_msi_update(&vm.kvm, FIRST_MSI, &b), 0);
	assert_int_equal(route(FIRST_MSI)->u.msi.data, 0x31);

	refuse_next();
	irq_msi_remove(&vm.kvm, FIRST_MSI);
	refused();
	assert_int_equal(vm.kvm.irq.nr_entries, entries);
	assert_non_null(route(FIRST_MSI));
	irq_msi_remove(&vm.kvm, FIRST_MSI);
	assert_null(route(FIRST_MSI));
	assert_int_equal(route(FIRST_MSI + 1)->u.msi.data, 0x30);

	refuse_next();
	ret = irq_pin_msi(&vm.kvm, 40, &b);
	refused();
	assert_int_equal(ret, -ENOMEM);
	assert_int_equal(irq_pin_msi(&vm.kvm, 40, &b), 0);
	assert_int_equal(route(40)->u.msi.data, 0x31);

	assert_int_equal(vm.kvm.irq.nr_entries, entries); /* one less, one pin more */
	assert_int_equal(vm.kvm.irq.nr_entries, fake_kvm_vm(0)->nr_routes);
}

static void test_pins(void **state)
{
	struct msi_msg a = message(0x30), b = message(0x31);
	u32 before = sets();

	assert_int_equal(irq_pin_msi(&vm.kvm, 40, NULL), 0);
	assert_int_equal(sets(), before); /* there was none */
	assert_int_equal(irq_pin_msi(&vm.kvm, 40, &a), 0);
	assert_int_equal(irq_pin_msi(&vm.kvm, 40, &a), 0);
	assert_int_equal(sets(), before + 1);
	assert_int_equal(irq_pin_msi(&vm.kvm, 40, &b), 0);
	assert_int_equal(route(40)->u.msi.data, 0x31);
	assert_int_equal(irq_pin_msi(&vm.kvm, 40, NULL), 0);
	assert_null(route(40));
	assert_int_equal(sets(), before + 3);
}

static void test_send(void **state)
{
	struct msi_msg msg = {.address = 0xfee01000, .data = 0x4041}, odd = {.address = 0xfef00000};
	const struct fake_vm *fake = fake_kvm_vm(0);

	assert_int_equal(irq_msi_send(&vm.kvm, &msg), 1);
	assert_int_equal(fake->nr_msis, 1);
	assert_int_equal(fake->msi[0].address_lo, 0xfee01000);
	assert_int_equal(fake->msi[0].data, 0x4041);
	assert_int_equal(irq_msi_send(&vm.kvm, &odd), -EINVAL);
	assert_int_equal(fake->nr_msis, 1);
}

/* Routes that come and go on several threads: each GSI is one thread's, the table stays whole. */
static void *churn(void *arg)
{
	struct msi_msg msg = message((u32)(uintptr_t)arg);
	int gsi[4];

	for (u32 round = 0; round < 100; round++) {
		for (u32 i = 0; i < 4; i++)
			gsi[i] = irq_msi_add(&vm.kvm, &msg);
		msg.data ^= 0x100;
		for (u32 i = 0; i < 4; i++)
			if (gsi[i] < FIRST_MSI || irq_msi_update(&vm.kvm, (u32)gsi[i], &msg))
				return NULL;
		for (u32 i = 0; i < 4; i++)
			irq_msi_remove(&vm.kvm, (u32)gsi[i]);
	}
	return arg;
}

static void test_routes_by_threads(void **state)
{
	pthread_t thread[3];

	for (uintptr_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, churn, (void *)(i + 0x30)), 0);
	for (uintptr_t i = 0; i < 3; i++) {
		void *ret;

		pthread_join(thread[i], &ret);
		assert_ptr_equal(ret, (void *)(i + 0x30));
	}
	assert_int_equal(vm.kvm.irq.nr_entries, 16 + 24);
	assert_int_equal(fake_kvm_vm(0)->nr_routes, 16 + 24);
}

/* ---- fds ----------------------------------------------------------------------------------------------- */

static void test_irqfd(void **state)
{
	struct fake_vm *fake = fake_kvm_vm(0);
	int trigger = eventfd(0, EFD_NONBLOCK), resample = eventfd(0, EFD_NONBLOCK);
	u64 one = 1;

	assert_int_equal(irq_fd_assign(&vm.kvm, 10, trigger, resample), 0);
	assert_int_equal(fake->irqfd[0].gsi, 10);
	assert_int_equal(fake->irqfd[0].resample, resample);
	assert_int_equal(irq_fd_assign(&vm.kvm, 11, trigger, -1), -EBUSY);
	assert_int_equal(write(trigger, &one, sizeof(one)), sizeof(one));
	fake_kvm_irqfds(fake);
	assert_int_equal(fake->raised[10], 1);
	irq_fd_deassign(&vm.kvm, 10, trigger);
	assert_int_equal(fake->nr_irqfds, 0);
	assert_int_equal(irq_fd_assign(&vm.kvm, 11, trigger, -1), 0);
	assert_int_equal(fake->irqfd[0].resample, -1);
	irq_fd_deassign(&vm.kvm, 11, trigger);
	close(trigger);
	close(resample);
}

static void test_ioeventfd(void **state)
{
	struct fake_vm *fake = fake_kvm_vm(0);
	int fd = eventfd(0, EFD_NONBLOCK);
	u64 match = 0x1234;

	assert_int_equal(ioeventfd_assign(&vm.kvm, BUS_MMIO, 0xc2000000, 4, NULL, fd), 0);
	assert_int_equal(fake->ioeventfd[0].flags, 0);
	assert_int_equal(ioeventfd_assign(&vm.kvm, BUS_PIO, 0x1000, 2, &match, fd), 0);
	assert_int_equal(fake->ioeventfd[1].flags, KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH);
	assert_int_equal(fake->ioeventfd[1].datamatch, 0x1234);
	assert_int_equal(ioeventfd_assign(&vm.kvm, BUS_MMIO, 0xc2000000, 4, NULL, fd), -EEXIST);
	ioeventfd_deassign(&vm.kvm, BUS_PIO, 0x1000, 2, &match, fd);
	ioeventfd_deassign(&vm.kvm, BUS_MMIO, 0xc2000000, 4, NULL, fd);
	ioeventfd_deassign(&vm.kvm, BUS_MMIO, 0xc2000000, 4, NULL, fd); /* not there: no harm */
	assert_int_equal(fake->nr_ioeventfds, 0);
	close(fd);
}

/* ---- the choice of a chip ----------------------------------------------------------------------------- */

static void assert_no_chip(const char *name, const char *says)
{
	const char *const more[] = {"--irqchip", name, NULL};
	int err;

	capture_begin(STDERR_FILENO);
	err = vm_up("/proc/self/exe", MiB(4), "irqchip", more);
	assert_one_line(capture_end(), says);
	assert_true(err < 0);
	vm_down();
}

static void test_choice(void **state)
{
	assert_no_chip(
		"gic",
		"--irqchip gic: the x86 machine knows no such controller; give one of split, full, or leave "
		"the option out\n");
	fake_kvm_set_cap(KVM_CAP_SPLIT_IRQCHIP, 0);
	assert_no_chip(
		"split",
		"--irqchip split: this host's KVM does not have it for this VM (the kernel knows no such "
		"device type, or the hardware lacks it); give one of full, or leave the option out\n");
	fake_kvm_set_cap(KVM_CAP_PIT2, 0);
	assert_no_chip(
		"auto",
		"/dev/kvm: this KVM has no interrupt controller that the x86 machine can use (split, full): take "
		"a host that has one, or a newer kernel\n");
	assert_no_chip("full", "does not have it for this VM, nor another (");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_claims, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_shared_line, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_shared_by_threads, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_msi, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_routes_run_out, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_pins, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_send, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_routes_by_threads, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_irqfd, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_ioeventfd, setup, vm_teardown),
		cmocka_unit_test_setup_teardown(test_choice, vm_setup, vm_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * MPIC of the e500 machine: on which hosts it is made, of which version and in which order; what the kernel
 * takes by its attributes; how lines and messages reach it; what its node says. Its state: test-mpic-state.c.
 */
#include "e500-vm.h"

#include <libfdt.h>
#include <lkvm/fdt.h>
#include <lkvm/kvm-device.h>
#include <string.h>
#include <sys/eventfd.h>

#define BASE_ADDR FAKE_ATTR(KVM_DEV_MPIC_GRP_MISC, KVM_DEV_MPIC_BASE_ADDR)
#define SPURIOUS  0xffffu

static int mpic_fd(void)
{
	return fake_ppc(fake_kvm_newest())->mpic->obj.fd;
}

static u32 nr_devices(void)
{
	u32 n = 0;

	for (struct fake_device *dev = fake_kvm_newest()->devices; dev; dev = dev->next)
		n++;
	return n;
}

/* ---- making it ----------------------------------------------------------------------------------------- */

static void test_order(void **state)
{
	assert_int_equal(e500_up("auto", "3", "irqchip-finalize"), 0);
	assert_string_equal(vm.kvm.irqchip.ops->name, "mpic-4.2");
	{
		const int at[] = {
			fake_kvm_last("KVM_SET_USER_MEMORY_REGION"),
			fake_kvm_find("KVM_CREATE_DEVICE", KVM_DEV_TYPE_FSL_MPIC_42),
			fake_kvm_last("KVM_CREATE_DEVICE"),
			fake_kvm_find("KVM_SET_DEVICE_ATTR", BASE_ADDR),
			fake_kvm_first("KVM_CREATE_VCPU"),
			fake_kvm_find("KVM_ENABLE_CAP", KVM_CAP_IRQ_MPIC),
			fake_kvm_first("KVM_SET_GSI_ROUTING"),
		};

		for (u32 i = 0; i < ARRAY_SIZE(at); i++)
			assert_true(at[i] >= 0 && (!i || at[i] > at[i - 1]));
	}
	assert_int_equal(mpic()->base, E500_MPIC);
	assert_true(mpic()->v4);
	assert_int_equal(mpic()->connected, 7);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(e500_fake_cpu(i)->irq_cap, KVM_CAP_IRQ_MPIC);
		assert_int_equal(e500_fake_cpu(i)->mpic_cpu, i);
	}
	assert_int_equal(fake_mpic_read(fake_kvm_newest(), 0x1000) >> 8 & 0x1f, 3 - 1);
}

static void test_choice(void **state)
{
	assert_int_equal(e500_up("mpic-2.0", "1", "irqchip-finalize"), 0);
	assert_false(mpic()->v4);
	assert_int_equal(mpic()->base, E500_MPIC);
	e500_again();
	fake_kvm_remove_type(KVM_DEV_TYPE_FSL_MPIC_42);
	assert_int_equal(e500_up("auto", "1", "irqchip-finalize"), 0);
	assert_string_equal(vm.kvm.irqchip.ops->name, "mpic-2.0");
	assert_false(mpic()->v4);
	vm_down();
	capture_begin(STDERR_FILENO);
	assert_int_equal(e500_up("mpic-4.2", "1", "irqchip"), -ENODEV);
	assert_one_line(capture_end(), "--irqchip mpic-4.2: this host's KVM does not have it");
	vm_down();
	fake_kvm_remove_type(KVM_DEV_TYPE_FSL_MPIC_20);
	capture_begin(STDERR_FILENO);
	assert_int_equal(e500_up("auto", "1", "irqchip"), -ENODEV);
	assert_one_line(capture_end(), "no interrupt controller that the e500 machine can use");
	vm_down();
	capture_begin(STDERR_FILENO);
	assert_true(e500_up("xics", "1", "irqchip") < 0);
	assert_one_line(capture_end(), "--irqchip xics: the e500 machine knows no such controller");
}

/* A kernel that makes the device and yet connects no vCPU to it. */
static void test_without_cap(void **state)
{
	fake_kvm_set_cap(KVM_CAP_IRQ_MPIC, 0);
	capture_begin(STDERR_FILENO);
	assert_true(e500_up("auto", "1", "irqchip-finalize") < 0);
	assert_one_line(capture_end(), "KVM_CAP_IRQ_MPIC");
	assert_int_equal(fake_kvm_count("KVM_CREATE_DEVICE"), 0);
}

/* Asking makes nothing, also where there is one already. */
static void test_probe(void **state)
{
	const char *const more[] = {NULL};

	assert_int_equal(vm_up("/proc/self/exe", E500_MEM, "memory", more), 0);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(ppc_mpic_20.probe(&vm.kvm), 0);
		assert_int_equal(ppc_mpic_42.probe(&vm.kvm), 0);
	}
	assert_int_equal(nr_devices(), 0);
	assert_null(fake_ppc(fake_kvm_newest())->mpic);
	fake_kvm_remove_type(KVM_DEV_TYPE_FSL_MPIC_20);
	assert_int_equal(ppc_mpic_20.probe(&vm.kvm), -ENODEV);
	assert_int_equal(ppc_mpic_42.probe(&vm.kvm), 0);
	assert_int_equal(e500_up("mpic-4.2", "1", "irqchip-finalize"), 0);
	assert_int_equal(ppc_mpic_42.probe(&vm.kvm), 0);
	assert_int_equal(nr_devices(), 1);
}

static void test_many_cpus(void **state)
{
	assert_int_equal(e500_up("mpic-2.0", "32", "irqchip-finalize"), 0);
	assert_int_equal(mpic()->connected, ~0u);
	vm_down();
	capture_begin(STDERR_FILENO);
	assert_int_equal(e500_up("mpic-4.2", "33", "irqchip"), -E2BIG);
	assert_one_line(capture_end(), "--irqchip mpic-4.2: it has room for 32 vCPUs, not 33");
	vm_down();
	capture_begin(STDERR_FILENO);
	assert_int_equal(e500_up("auto", "33", "irqchip"), -E2BIG);
	assert_one_line(capture_end(), "--cpus 33: this host's interrupt controllers have room for 32 vCPUs; "
				       "give --cpus 32 or less\n");
}

/* Each call that is made for it fails in turn: one line, and nothing is left of the half that was done. */
static void test_each_call_fails(void **state)
{
	u32 failures = 0;

	for (u32 n = 1;; n++) {
		const char *said;
		bool failed = false;
		int err;

		e500_again();
		fake_kvm_fail_nth(n, ENOSPC);
		capture_begin(STDERR_FILENO);
		err = e500_up("mpic-4.2", "2", "irqchip-finalize");
		said = capture_end();
		for (u32 i = 0; i < fake_kvm_nr_calls(); i++)
			failed |= fake_kvm_call(i).injected;
		if (!failed)
			break;
		/* Whether an optional capability is there may be answered with no. */
		if (err) {
			assert_one_line(said, "");
			failures++;
		}
		vm_down();
		assert_int_equal(fake_kvm_open_fds(NULL), 0);
	}
	/* The VM, its memory, the device, its base; each vCPU, its TLB and its controller; the routes. */
	assert_true(failures > 10);
	e500_again();
	assert_int_equal(e500_up("mpic-4.2", "2", "irqchip-finalize"), 0);
}

/* Placing fails when it is made already: there is one line, and its fd is closed with the VM. */
static void test_placing_fails(void **state)
{
	fake_kvm_fail_arg(KVM_SET_DEVICE_ATTR, BASE_ADDR, EINVAL);
	capture_begin(STDERR_FILENO);
	assert_int_equal(e500_up("mpic-2.0", "1", "irqchip-finalize"), -EINVAL);
	assert_one_line(capture_end(), "mpic-2.0: set GRP_MISC/BASE_ADDR = 0xfe0040000: EINVAL");
	assert_int_equal(fake_kvm_count("KVM_CREATE_VCPU"), 0);
	vm_down();
	assert_int_equal(fake_kvm_open_fds(NULL), 0);
	e500_again();
	fake_kvm_fail_arg(KVM_ENABLE_CAP, KVM_CAP_IRQ_MPIC, EBUSY);
	capture_begin(STDERR_FILENO);
	assert_int_equal(e500_up("mpic-2.0", "2", "irqchip-finalize"), -EBUSY);
	assert_one_line(capture_end(), "vcpu 0: KVM_CAP_IRQ_MPIC: ");
}

/* ---- attributes: what the kernel takes and what not -------------------------------------------------- */

static void test_attributes(void **state)
{
	const u32 misc = KVM_DEV_MPIC_GRP_MISC, reg = KVM_DEV_MPIC_GRP_REGISTER;
	const u32 active = KVM_DEV_MPIC_GRP_IRQ_ACTIVE;
	u64 base;
	u32 v;

	assert_int_equal(e500_up("mpic-4.2", "1", "irqchip-finalize"), 0);
	assert_int_equal(kvm_attr_get(mpic_fd(), misc, KVM_DEV_MPIC_BASE_ADDR, &base), 0);
	assert_int_equal(base, E500_MPIC);
	base += 0x20000;
	assert_int_equal(kvm_attr_set(mpic_fd(), misc, KVM_DEV_MPIC_BASE_ADDR, &base), -EINVAL);
	assert_int_equal(mpic()->base, E500_MPIC);
	base = 0;
	assert_int_equal(kvm_attr_set(mpic_fd(), misc, KVM_DEV_MPIC_BASE_ADDR, &base), 0);
	assert_int_equal(kvm_attr_set(mpic_fd(), misc, KVM_DEV_MPIC_BASE_ADDR, NULL), -EFAULT);
	assert_int_equal(kvm_attr_get(mpic_fd(), misc, KVM_DEV_MPIC_BASE_ADDR + 1, &base), -ENXIO);
	assert_int_equal(kvm_attr_get(mpic_fd(), 77, 0, &base), -ENXIO);
	assert_false(kvm_attr_has(mpic_fd(), 77, 0));

	assert_int_equal(kvm_attr_get(mpic_fd(), reg, 0, &v), 0);
	assert_int_equal(v, 0x00400402);
	assert_int_equal(kvm_attr_get(mpic_fd(), reg, 2, &v), -ENXIO);
	assert_int_equal(kvm_attr_get(mpic_fd(), reg, 0x1400, &v), -ENXIO);
	assert_int_equal(kvm_attr_get(mpic_fd(), reg, 1ull << 32, &v), -ENXIO);
	assert_int_equal(kvm_attr_get(mpic_fd(), reg, 0x40000, &v), -ENXIO);
	assert_int_equal(kvm_attr_get(mpic_fd(), reg, 0x1604, &v), -ENXIO);

	v = 1;
	assert_int_equal(kvm_attr_set(mpic_fd(), active, 255, &v), 0);
	assert_int_equal(kvm_attr_get(mpic_fd(), active, 255, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(kvm_attr_set(mpic_fd(), active, 257, &v), -EINVAL);
	assert_int_equal(kvm_attr_get(mpic_fd(), active, 257, &v), -EINVAL);
	assert_false(kvm_attr_has(mpic_fd(), active, 257));
	v = 2;
	assert_int_equal(kvm_attr_set(mpic_fd(), active, 255, &v), -EINVAL);
	/* A second one, of whichever version. */
	for (u32 type = KVM_DEV_TYPE_FSL_MPIC_20; type <= KVM_DEV_TYPE_FSL_MPIC_42; type++) {
		capture_begin(STDERR_FILENO);
		assert_int_equal(kvm_device_create(&vm.kvm, type), -EINVAL);
		assert_one_line(capture_end(), "create: EINVAL");
	}
}

static void test_connecting(void **state)
{
	const u32 cap = KVM_CAP_IRQ_MPIC;
	u64 fd, other;

	assert_int_equal(e500_up("mpic-4.2", "2", "irqchip-finalize"), 0);
	fd = (u64)mpic_fd();
	other = (u64)vm.kvm.vcpu[0].fd;
	assert_int_equal(ppc_vcpu_enable_cap(&vm.kvm.vcpu[0], cap, fd, 1), -EEXIST);
	assert_int_equal(ppc_vcpu_enable_cap(&vm.kvm.vcpu[0], cap, fd, 2), -EBUSY);
	assert_int_equal(ppc_vcpu_enable_cap(&vm.kvm.vcpu[0], cap, fd, 32), -EPERM);
	assert_int_equal(ppc_vcpu_enable_cap(&vm.kvm.vcpu[0], cap, other, 2), -EPERM);
	assert_int_equal(ppc_vcpu_enable_cap(&vm.kvm.vcpu[0], cap, 999999, 2), -EBADF);
}

/* What `lkvm devices` asks and prints is what there is. */
static void test_tables(void **state)
{
	assert_int_equal(e500_up("mpic-2.0", "1", "irqchip-finalize"), 0);
	for (u32 i = 0; i < ppc_mpic_20_attrs.count; i++) {
		const struct kvm_attr *a = &ppc_mpic_20_attrs.attrs[i];
		u64 v = 0;

		assert_true(kvm_attr_has(mpic_fd(), a->group, a->attr));
		assert_int_equal(kvm_attr_get(mpic_fd(), a->group, a->attr, &v), 0);
	}
	assert_ptr_equal(ppc_mpic_20_attrs.attrs, ppc_mpic_42_attrs.attrs);
	assert_int_equal(ppc_mpic_20_attrs.type, KVM_DEV_TYPE_FSL_MPIC_20);
	assert_int_equal(ppc_mpic_42_attrs.type, KVM_DEV_TYPE_FSL_MPIC_42);
}

/* ---- lines and messages ------------------------------------------------------------------------------ */

static void test_routes(void **state)
{
	const struct fake_vm *fake;

	assert_int_equal(e500_up("mpic-4.2", "1", "irqchip-finalize"), 0);
	fake = fake_kvm_newest();
	assert_int_equal(fake->nr_routes, E500_NR_LINES);
	for (u32 i = 0; i < fake->nr_routes; i++) {
		assert_int_equal(fake->route[i].type, KVM_IRQ_ROUTING_IRQCHIP);
		assert_int_equal(fake->route[i].gsi, i);
		assert_int_equal(fake->route[i].u.irqchip.irqchip, 0);
		assert_int_equal(fake->route[i].u.irqchip.pin, i);
	}
}

static void test_lines(void **state)
{
	const u32 line = E500_IRQ_SCRATCH;

	assert_int_equal(e500_up("mpic-4.2", "2", "irqchip-finalize"), 0);
	/* Until the guest has set its source up, a line is high and nobody hears of it. */
	irq_set_line(&vm.kvm, line, true);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 1), SPURIOUS);
	guest_enables(line, VECTOR(8, line), 1u << 1);
	fake_mpic_write(fake_kvm_newest(), CTPR(1), 0);
	fake_mpic_write(fake_kvm_newest(), CTPR(0), 0);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), SPURIOUS);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 1), line);
	/* In service: no second time, until its end, and then again, for it is high still. */
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 1), SPURIOUS);
	fake_mpic_eoi(fake_kvm_newest(), 1);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 1), line);
	irq_set_line(&vm.kvm, line, false);
	fake_mpic_eoi(fake_kvm_newest(), 1);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 1), SPURIOUS);
}

/* A source of the external ones may be by edge: then low is nothing. */
static void test_edges(void **state)
{
	assert_int_equal(e500_up("mpic-4.2", "1", "irqchip-finalize"), 0);
	fake_mpic_write(fake_kvm_newest(), CTPR(0), 0);
	guest_enables(3, VECTOR(8, 0x33), 1);
	irq_set_line(&vm.kvm, 3, true);
	irq_set_line(&vm.kvm, 3, false);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), 0x33);
	fake_mpic_eoi(fake_kvm_newest(), 0);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), SPURIOUS);
}

static void assert_message(u32 group, u32 bit)
{
	fake_mpic_write(fake_kvm_newest(), CTPR(0), 0);
	guest_enables(E500_IRQ_MSI + group, VECTOR(8, E500_IRQ_MSI + group), 1);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), E500_IRQ_MSI + group);
	assert_int_equal(fake_mpic_read(fake_kvm_newest(), MSIR(group)), 1u << bit);
	fake_mpic_eoi(fake_kvm_newest(), 0);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), SPURIOUS);
}

/*
 * Linux numbers them from 0 to 255, bits of a group first, and writes that number. To an MPIC 2.0 it writes
 * the number with its bytes turned round, for hardware of that version has an erratum (PIC1) and takes it so.
 */
static u32 data_of(u32 number)
{
	return mpic()->v4 ? number : __builtin_bswap32(number);
}

static void test_messages(void **state)
{
	static const char *const chips[] = {"mpic-4.2", "mpic-2.0"};

	for (u32 i = 0; i < ARRAY_SIZE(chips); i++) {
		struct msi_msg msg = {.address = E500_MSI + 0x140};
		int fd, gsi;

		e500_again();
		assert_int_equal(e500_up(chips[i], "1", "irqchip-finalize"), 0);
		msg.data = data_of(0x25);
		assert_true(irq_msi_send(&vm.kvm, &msg) >= 0);
		assert_message(1, 5);
		/* By an irqfd, behind the lines. */
		msg.data = data_of(0xff);
		gsi = irq_msi_add(&vm.kvm, &msg);
		assert_true(gsi >= (int)E500_NR_LINES);
		fd = eventfd(1, EFD_CLOEXEC);
		assert_int_equal(irq_fd_assign(&vm.kvm, (u32)gsi, fd, -1), 0);
		fake_kvm_irqfds(fake_kvm_newest());
		assert_message(7, 31);
		/* The guest rewrites it. */
		msg.data = data_of(0);
		assert_int_equal(irq_msi_update(&vm.kvm, (u32)gsi, &msg), 0);
		assert_int_equal(write(fd, &(u64){1}, 8), 8);
		fake_kvm_irqfds(fake_kvm_newest());
		assert_message(0, 0);
		irq_fd_deassign(&vm.kvm, (u32)gsi, fd);
		irq_msi_remove(&vm.kvm, (u32)gsi);
		assert_int_equal(fake_kvm_newest()->nr_routes, E500_NR_LINES);
		close(fd);
	}
}

/* An irqfd of a line by level is a pulse, too short for the guest to see; with a resample fd it is not. */
static void test_irqfd(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), resample = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(e500_up("mpic-4.2", "1", "irqchip-finalize"), 0);
	assert_int_equal(irq_fd_assign(&vm.kvm, E500_IRQ_SCRATCH, fd, resample), 0);
	assert_int_equal(fake_kvm_newest()->irqfd[0].gsi, E500_IRQ_SCRATCH);
	assert_int_equal(fake_kvm_newest()->irqfd[0].resample, resample);
	irq_fd_deassign(&vm.kvm, E500_IRQ_SCRATCH, fd);
	assert_int_equal(fake_kvm_newest()->nr_irqfds, 0);
	close(fd);
	close(resample);
}

/* ---- the device tree ---------------------------------------------------------------------------------- */

static u32 word(const struct fdt *fdt, int node, const char *name, u32 i)
{
	int len;
	const u8 *p = fdt_getprop(fdt->blob, node, name, &len);

	assert_true(p && len >= (int)(4 * i + 4));
	return fdt32_ld((const void *)(p + 4 * i));
}

static void test_describe(void **state)
{
	u32 cells[DT_IRQ_CELLS_MAX];
	struct fdt fdt;
	int node, len;

	assert_int_equal(e500_up("mpic-4.2", "1", "irqchip-finalize"), 0);
	dt_init(&fdt, &vm.kvm, MiB(1));
	assert_int_equal(vm.kvm.irqchip.ops->describe(&vm.kvm.irqchip, &fdt), 0);
	assert_int_equal(dt_finish(&fdt), 0);
	/* What arch/powerpc/sysdev/mpic.c looks for. */
	node = fdt_node_offset_by_compatible(fdt.blob, -1, "fsl,mpic");
	assert_true(node > 0);
	assert_string_equal(fdt_getprop(fdt.blob, node, "device_type", &len), "open-pic");
	assert_int_equal(fdt_get_phandle(fdt.blob, node), DT_IRQCHIP);
	assert_non_null(fdt_getprop(fdt.blob, node, "interrupt-controller", &len));
	assert_non_null(fdt_getprop(fdt.blob, node, "big-endian", &len));
	assert_non_null(fdt_getprop(fdt.blob, node, "single-cpu-affinity", &len));
	/* It is the guest that brings IDRs to life, by a reset. */
	assert_null(fdt_getprop(fdt.blob, node, "pic-no-reset", &len));
	assert_int_equal((u64)word(&fdt, node, "reg", 0) << 32 | word(&fdt, node, "reg", 1), mpic()->base);
	assert_int_equal(word(&fdt, node, "reg", 3), 0x40000);
	assert_int_equal(word(&fdt, node, "#interrupt-cells", 0), 2);
	dt_free(&fdt);
	assert_int_equal(vm.kvm.irqchip.ops->irq_cells(&vm.kvm.irqchip, 42, true, cells), 2);
	assert_int_equal(cells[0], 42);
	assert_int_equal(cells[1], 2); /* high */
	vm.kvm.irqchip.ops->irq_cells(&vm.kvm.irqchip, 3, false, cells);
	assert_int_equal(cells[1], 0); /* rising */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		E500_TEST(test_order),	       E500_TEST(test_choice),	   E500_TEST(test_without_cap),
		E500_TEST(test_probe),	       E500_TEST(test_many_cpus),  E500_TEST(test_each_call_fails),
		E500_TEST(test_placing_fails), E500_TEST(test_attributes), E500_TEST(test_connecting),
		E500_TEST(test_tables),	       E500_TEST(test_routes),	   E500_TEST(test_lines),
		E500_TEST(test_edges),	       E500_TEST(test_messages),   E500_TEST(test_irqfd),
		E500_TEST(test_describe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

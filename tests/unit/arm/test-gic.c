/* SPDX-License-Identifier: MIT */
/*
 * The irqchips of the arm64 machine: which one is made on which host and for how many vCPUs, in which order
 * it is placed, sized and initialised, and how lines and messages reach it.
 */
#include "arm-vm.h"
#include <lkvm/bus.h>
#include <lkvm/irq.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

static int up_with(const char *irqchip, const char *cpus, const char *step)
{
	const char *const more[] = {"--irqchip", irqchip, "-c", cpus, NULL};

	return arm_up(step, more);
}

/* ---- which ------------------------------------------------------------------------------------------- */

static void assert_is(u32 type, bool its, const char *name)
{
	assert_string_equal(vm.kvm.irqchip.ops->name, name);
	assert_int_equal(arm_fake_gic()->type, type);
	assert_int_equal(arm_fake_gic()->has_its, its);
}

static void test_by_name(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++) {
		vm_down();
		fake_kvm_reset();
		assert_int_equal(up_with(arm_chips[i].name, "2", "irqchip-finalize"), 0);
		assert_is(arm_chips[i].type, arm_chips[i].its, arm_chips[i].name);
		assert_int_equal(fake_kvm_open_fds(NULL), 5 + arm_chips[i].its);
	}
}

/* The best that the host has. */
static void test_auto(void **state)
{
	static const struct {
		bool no_its, no_v3, no_v2;
		const char *name;
	} hosts[] = {{false, false, false, "gicv3-its"},
		     {true, false, false, "gicv3"},
		     {true, false, true, "gicv3"},
		     {true, true, false, "gicv2m"},
		     {true, true, true, NULL}};

	for (u32 i = 0; i < ARRAY_SIZE(hosts); i++) {
		int err;

		vm_down();
		fake_kvm_reset();
		if (hosts[i].no_its)
			fake_kvm_remove_type(KVM_DEV_TYPE_ARM_VGIC_ITS);
		if (hosts[i].no_v3)
			fake_kvm_remove_type(KVM_DEV_TYPE_ARM_VGIC_V3);
		if (hosts[i].no_v2)
			fake_kvm_remove_type(KVM_DEV_TYPE_ARM_VGIC_V2);
		capture_begin(STDERR_FILENO);
		err = up_with("auto", "1", "irqchip");
		if (hosts[i].name) {
			assert_string_equal(capture_end(), "");
			assert_int_equal(err, 0);
			assert_string_equal(vm.kvm.irqchip.ops->name, hosts[i].name);
		} else {
			assert_one_line(capture_end(), "no interrupt controller");
			assert_true(err < 0);
		}
	}
}

static void assert_refused(const char *irqchip, const char *cpus, const char *says)
{
	int err;

	vm_down();
	capture_begin(STDERR_FILENO);
	err = up_with(irqchip, cpus, "irqchip-finalize");
	assert_one_line(capture_end(), says);
	assert_true(err < 0);
	/* Refused before anything was made. */
	assert_true(!fake_kvm_newest() || !arm_fake_gic()->type);
}

static void test_not_there(void **state)
{
	fake_kvm_remove_type(KVM_DEV_TYPE_ARM_VGIC_ITS);
	assert_refused(
		"gicv3-its", "1",
		"--irqchip gicv3-its: this host's KVM does not have it for this VM (the kernel "
		"knows no such device type, or the hardware lacks it); give one of gicv3, gicv2m, gicv2, or "
		"leave the option out\n");
	assert_int_equal(up_with("gicv3", "1", "irqchip-finalize"), 0);
	vm_down();
	fake_kvm_reset();
	fake_kvm_remove_type(KVM_DEV_TYPE_ARM_VGIC_V2);
	assert_refused("gicv2", "1", "--irqchip gicv2: this host's KVM does not have it");
	assert_refused("gicv2m", "1", "give one of gicv3-its, gicv3, or leave the option out\n");
	assert_refused(
		"apic", "1",
		"--irqchip apic: the arm64 machine knows no such controller; give one of gicv3-its, gicv3, "
		"gicv2m, gicv2, or leave the option out\n");
}

/* What has no room for so many vCPUs is not made, and by itself not chosen. */
static void test_too_many(void **state)
{
	assert_refused("auto", "513",
		       "--cpus 513: this host's interrupt controllers have room for 512 vCPUs");
	assert_refused("gicv2", "9",
		       "--irqchip gicv2: it has room for 8 vCPUs, not 9; give --cpus 8 or less\n");
	assert_refused("gicv2m", "9", "room for 8 vCPUs");
	assert_refused("gicv3", "513", "room for 512 vCPUs");
	assert_refused("gicv3-its", "600", "room for 512 vCPUs");
	fake_kvm_remove_type(KVM_DEV_TYPE_ARM_VGIC_V3);
	fake_kvm_remove_type(KVM_DEV_TYPE_ARM_VGIC_ITS);
	assert_refused(
		"auto", "9",
		"--cpus 9: this host's interrupt controllers have room for 8 vCPUs; give --cpus 8 or less\n");
	/* What the host does not have has no room either; nor is it of use to say that the others have none.
	 */
	assert_refused("gicv3", "9",
		       "--irqchip gicv3: this host's KVM does not have it for this VM, nor another (");
	assert_int_equal(up_with("auto", "8", "irqchip-finalize"), 0);
	assert_is(KVM_DEV_TYPE_ARM_VGIC_V2, false, "gicv2m");
}

/* ---- making and placing ------------------------------------------------------------------------------- */

static void assert_sequence(const int *at, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		if (at[i] < 0 || (i && at[i] <= at[i - 1])) {
			fake_kvm_print_log();
			fail_msg("step %u of %u is at call %d", i, n, at[i]);
		}
	}
}

/* Memory, controller, frames, vCPUs, size, INIT: each before what needs it. */
static void test_order(void **state)
{
	const u32 addr = KVM_DEV_ARM_VGIC_GRP_ADDR;

	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++) {
		bool v3 = arm_chips[i].type == KVM_DEV_TYPE_ARM_VGIC_V3;

		vm_down();
		fake_kvm_reset();
		assert_int_equal(up_with(arm_chips[i].name, "3", "boot"), 0);
		{
			const int at[] = {
				fake_kvm_first("KVM_CREATE_VM"),
				fake_kvm_last("KVM_SET_USER_MEMORY_REGION"),
				fake_kvm_find("KVM_CREATE_DEVICE", arm_chips[i].type),
				arm_attr_set_at(addr,
						v3 ? KVM_VGIC_V3_ADDR_TYPE_DIST : KVM_VGIC_V2_ADDR_TYPE_DIST),
				arm_attr_set_at(addr, v3 ? KVM_VGIC_V3_ADDR_TYPE_REDIST
							 : KVM_VGIC_V2_ADDR_TYPE_CPU),
				fake_kvm_first("KVM_CREATE_VCPU"),
				fake_kvm_last("KVM_CREATE_VCPU"),
				fake_kvm_last("KVM_ARM_VCPU_INIT"),
				arm_attr_set_at(KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0),
				arm_attr_set_at(KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT),
			};

			assert_sequence(at, ARRAY_SIZE(at));
		}
		assert_true(arm_fake_gic()->initialized);
		assert_int_equal(arm_fake_gic()->nr_spis, ARM_NR_IRQS - 32);
		assert_int_equal(arm_fake_gic()->dist, ARM_GIC_DIST);
		if (v3)
			assert_int_equal(arm_fake_gic()->region[0].base, ARM_GIC_REDIST);
		else
			assert_int_equal(arm_fake_gic()->cpu, ARM_GIC_CPU);
	}
}

static void test_its_order(void **state)
{
	assert_int_equal(up_with("gicv3-its", "2", "boot"), 0);
	{
		const int at[] = {
			fake_kvm_find("KVM_CREATE_DEVICE", KVM_DEV_TYPE_ARM_VGIC_ITS),
			fake_kvm_find("KVM_CREATE_DEVICE", KVM_DEV_TYPE_ARM_VGIC_V3),
			fake_kvm_last("KVM_CREATE_DEVICE"),
			arm_attr_set_at(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE),
		};

		/* The ITS is asked for before the GICv3 is made, and made after it. */
		assert_sequence(at, ARRAY_SIZE(at));
	}
	/* The frames do not lie on each other, nor on anything that the board has. */
	assert_true(ARM_GIC_ITS + ARM_GIC_ITS_SIZE <= ARM_GIC_REDIST);
	assert_true(ARM_GIC_DIST + ARM_GIC_DIST_SIZE <= ARM_GIC_CPU);
}

/* Every vCPU can run: KVM_RUN is what finds frames that overlap, are too few or were never initialised. */
static void assert_runs(u32 cpus)
{
	for (u32 i = 0; i<cpus; i += cpus> 8 ? cpus / 8 : 1) {
		struct vcpu *vcpu = &vm.kvm.vcpu[i];
		static const struct fake_exit end = {.kind = FAKE_EXIT, .value = KVM_EXIT_UNKNOWN};

		fake_kvm_script(vcpu->id, &end, 1);
		fake_arm_power(fake_kvm_vcpu(fake_kvm_newest(), vcpu->id), true);
		assert_int_equal(kvm_ioctl(vcpu->fd, KVM_RUN, NULL), 0);
	}
	assert_false(fake_kvm_newest()->dead);
}

static void test_runs(void **state)
{
	static const char *const cpus[] = {"1", "2", "8"};

	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++)
		for (u32 k = 0; k < ARRAY_SIZE(cpus); k++) {
			vm_down();
			fake_kvm_reset();
			assert_int_equal(up_with(arm_chips[i].name, cpus[k], "boot"), 0);
			assert_runs((u32)vm.cfg.cpus);
		}
}

static void more_files(void)
{
	struct rlimit l;

	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_cur < 2048)
		skip();
}

static void test_regions(void **state)
{
	static const struct {
		const char *cpus;
		u32 first, second; /* 0: the older attribute */
	} cases[] = {{"123", 0, 0}, {"124", 123, 1}, {"512", 123, 389}};

	more_files();
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct fake_gic *gic;

		vm_down();
		fake_kvm_reset();
		assert_int_equal(up_with("gicv3", cases[i].cpus, "boot"), 0);
		gic = arm_fake_gic();
		assert_int_equal(gic->nr_regions, cases[i].second ? 2 : 1);
		assert_int_equal(gic->region[0].count, cases[i].first);
		assert_int_equal(gic->region[0].base, ARM_GIC_REDIST);
		if (cases[i].second) {
			assert_int_equal(gic->region[1].count, cases[i].second);
			assert_int_equal(gic->region[1].base, ARM_GIC_REDIST2);
		}
		assert_runs((u32)vm.cfg.cpus);
	}
}

/* ---- lines -------------------------------------------------------------------------------------------- */

static void test_lines(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++) {
		vm_down();
		fake_kvm_reset();
		assert_int_equal(up_with(arm_chips[i].name, "1", "irqchip-finalize"), 0);
		for (u32 line = 0; line < ARM_NR_LINES; line++) {
			const struct fake_irq *irq = fake_gic_irq(fake_kvm_newest(), NULL, 32 + line);

			assert_false(irq->level);
			irq_set_line(&vm.kvm, line, true);
			assert_true(irq->level);
			irq_set_line(&vm.kvm, line, false);
			assert_false(irq->level);
		}
		assert_int_equal(fake_kvm_newest()->interrupts, ARM_NR_LINES);
	}
}

/* ---- messages ----------------------------------------------------------------------------------------- */

static struct msi_msg v2m_msg(u32 spi)
{
	return (struct msi_msg){.address = ARM_GIC_V2M + 0x40, .data = 32 + spi};
}

static void test_no_messages(void **state)
{
	const struct msi_msg msg = v2m_msg(ARM_V2M_LINE);

	assert_int_equal(up_with("gicv2", "1", "irqchip-finalize"), 0);
	assert_int_equal(irq_msi_add(&vm.kvm, &msg), -ENOTSUP);
	assert_true(irq_msi_send(&vm.kvm, &msg) < 0);
	vm_down();
	fake_kvm_reset();
	assert_int_equal(up_with("gicv3", "1", "irqchip-finalize"), 0);
	assert_int_equal(irq_msi_add(&vm.kvm, &msg), -ENOTSUP);
}

static const struct kvm_irq_routing_entry *route_of(u32 gsi)
{
	const struct fake_vm *f = fake_kvm_newest();

	for (u32 i = 0; i < f->nr_routes; i++)
		if (f->route[i].gsi == gsi)
			return &f->route[i];
	return NULL;
}

/* A message's route is to the pin of its SPI; the lines keep theirs. */
static void test_v2m_routes(void **state)
{
	struct msi_msg msg = v2m_msg(ARM_V2M_LINE + 7);
	int gsi, fd = -1;

	assert_int_equal(up_with("gicv2m", "1", "irqchip-finalize"), 0);
	gsi = irq_msi_add(&vm.kvm, &msg);
	assert_true(gsi >= ARM_NR_LINES);
	assert_int_equal(route_of((u32)gsi)->type, KVM_IRQ_ROUTING_IRQCHIP);
	assert_int_equal(route_of((u32)gsi)->u.irqchip.pin, ARM_V2M_LINE + 7);
	for (u32 line = 0; line < ARM_NR_LINES; line++)
		assert_int_equal(route_of(line)->u.irqchip.pin, line);
	/* By an irqfd it reaches the SPI, which Linux has made edge-triggered. */
	fake_gic_irq(fake_kvm_newest(), NULL, 32 + ARM_V2M_LINE + 7)->edge = true;
	fd = eventfd(1, EFD_CLOEXEC);
	assert_int_equal(irq_fd_assign(&vm.kvm, (u32)gsi, fd, -1), 0);
	fake_kvm_irqfds(fake_kvm_newest());
	assert_true(fake_gic_irq(fake_kvm_newest(), NULL, 32 + ARM_V2M_LINE + 7)->pending);
	irq_fd_deassign(&vm.kvm, (u32)gsi, fd);
	close(fd);

	msg.data = 32 + ARM_V2M_LINE - 1;
	assert_int_equal(irq_msi_add(&vm.kvm, &msg), -EINVAL);
	msg.data = 32 + ARM_V2M_LINE + ARM_V2M_LINES;
	assert_int_equal(irq_msi_add(&vm.kvm, &msg), -EINVAL);
	msg.data = 0;
	assert_int_equal(irq_msi_add(&vm.kvm, &msg), -EINVAL);
	msg = v2m_msg(ARM_V2M_LINE);
	msg.address += 4;
	assert_int_equal(irq_msi_add(&vm.kvm, &msg), -EINVAL);
}

static u32 mmio(u64 addr, bool write, u32 val)
{
	u8 data[4];

	memcpy(data, &val, sizeof(data));
	bus_access(&vm.kvm, &vm.kvm.vcpu[0], BUS_MMIO, addr, data, sizeof(data), write);
	memcpy(&val, data, sizeof(val));
	return val;
}

/* The frame itself, as the guest sees it. */
static void test_v2m_frame(void **state)
{
	struct fake_irq *irq;
	u32 interrupts;

	assert_int_equal(up_with("gicv2m", "1", "boot"), 0);
	assert_int_equal(mmio(ARM_GIC_V2M + 8, false, 0), (32 + ARM_V2M_LINE) << 16 | ARM_V2M_LINES);
	assert_int_equal(mmio(ARM_GIC_V2M + 0xfcc, false, 0) & 0xfff, 0x43b);
	assert_int_equal(mmio(ARM_GIC_V2M + 0x100, false, 0), 0);
	irq = fake_gic_irq(fake_kvm_newest(), NULL, 32 + ARM_V2M_LINE + ARM_V2M_LINES - 1);
	irq->edge = true;
	mmio(ARM_GIC_V2M + 0x40, true, 32 + ARM_V2M_LINE + ARM_V2M_LINES - 1);
	assert_true(irq->pending);
	/* What is no message of the frame's does nothing at all. */
	interrupts = fake_kvm_newest()->interrupts;
	mmio(ARM_GIC_V2M + 0x40, true, 32 + ARM_V2M_LINE - 1);
	mmio(ARM_GIC_V2M + 0x40, true, 32 + ARM_V2M_LINE + ARM_V2M_LINES);
	mmio(ARM_GIC_V2M + 0x40, true, 0);
	mmio(ARM_GIC_V2M + 0x40, true, ~0u);
	mmio(ARM_GIC_V2M + 0x44, true, 32 + ARM_V2M_LINE);
	assert_int_equal(fake_kvm_newest()->interrupts, interrupts);
}

/* The ITS wants to hear which device speaks. */
static void test_its_messages(void **state)
{
	struct msi_msg msg = {.address = ARM_GIC_ITS + 0x10040, .data = 5, .devid = 0x18};
	const struct fake_lpi lpi = {.device = 0x18, .event = 5, .lpi = 8192, .itt = ARM_RAM, .bits = 5};
	const struct kvm_irq_routing_entry *e;
	int gsi;

	assert_int_equal(up_with("gicv3-its", "1", "irqchip-finalize"), 0);
	gsi = irq_msi_add(&vm.kvm, &msg);
	assert_true(gsi >= ARM_NR_LINES);
	e = route_of((u32)gsi);
	assert_int_equal(e->type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(e->flags, KVM_MSI_VALID_DEVID);
	assert_int_equal(e->u.msi.devid, 0x18);
	assert_int_equal(e->u.msi.data, 5);
	assert_int_equal((u64)e->u.msi.address_hi << 32 | e->u.msi.address_lo, msg.address);
	fake_its_map(fake_kvm_newest(), &lpi);
	/* Off, the ITS takes none. */
	assert_int_equal(irq_msi_send(&vm.kvm, &msg), -EBUSY);
	msg.address = ARM_GIC_ITS + 0x40;
	assert_int_equal(irq_msi_add(&vm.kvm, &msg), -EINVAL);
}

static void test_its_send(void **state)
{
	const struct msi_msg msg = {.address = ARM_GIC_ITS + 0x10040, .data = 5, .devid = 0x18};
	const struct fake_lpi lpi = {.device = 0x18, .event = 5, .lpi = 8192, .itt = ARM_RAM, .bits = 5};
	u64 valid = 1ull << 63 | ARM_RAM, on = 1;
	int its, gic;

	assert_int_equal(up_with("gicv3-its", "1", "irqchip-finalize"), 0);
	gic = vm.kvm.device_fd[0];
	its = vm.kvm.device_fd[1];
	assert_int_equal(kvm_attr_set(its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0x80, &valid), 0);
	assert_int_equal(kvm_attr_set(its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0x100, &valid), 0);
	assert_int_equal(kvm_attr_set(its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0x108, &valid), 0);
	assert_int_equal(kvm_attr_set(its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0, &on), 0);
	assert_int_equal(kvm_attr_set(gic, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, 0, &on), 0);
	assert_int_equal(irq_msi_send(&vm.kvm, &msg), 0);
	fake_its_map(fake_kvm_newest(), &lpi);
	assert_int_equal(irq_msi_send(&vm.kvm, &msg), 1);
	assert_true(fake_its_find(fake_kvm_newest(), 0x18, 5)->pending);
	assert_int_equal(fake_kvm_newest()->msi[0].flags, KVM_MSI_VALID_DEVID);
}

/* A route that a device asked for before the controller was initialised is there afterwards. */
static void test_early_route(void **state)
{
	const struct msi_msg msg = v2m_msg(ARM_V2M_LINE + 9);
	int gsi;

	assert_int_equal(up_with("gicv2m", "1", "devices"), 0);
	gsi = irq_msi_add(&vm.kvm, &msg);
	assert_true(gsi >= ARM_NR_LINES);
	assert_int_equal(irqchip_finalize(&vm.kvm), 0);
	assert_non_null(route_of((u32)gsi));
	assert_int_equal(route_of((u32)gsi)->u.irqchip.pin, ARM_V2M_LINE + 9);
	assert_int_equal(route_of(3)->u.irqchip.pin, 3);
}

/* ---- without the device control API ------------------------------------------------------------------- */

/* A kernel so old has no attributes on any fd. */
static void no_device_control(void)
{
	static const u32 caps[] = {KVM_CAP_DEVICE_CTRL, KVM_CAP_VCPU_ATTRIBUTES, KVM_CAP_STEAL_TIME};

	fake_kvm_reset();
	for (u32 i = 0; i < ARRAY_SIZE(caps); i++)
		fake_kvm_set_cap(caps[i], 0);
}

static void test_legacy(void **state)
{
	static const char *const names[] = {"gicv2", "gicv2m", "auto"};

	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		vm_down();
		no_device_control();
		assert_int_equal(up_with(names[i], "2", "boot"), 0);
		assert_is(KVM_DEV_TYPE_ARM_VGIC_V2, false, i ? "gicv2m" : "gicv2");
		assert_int_equal(fake_kvm_count("KVM_CREATE_DEVICE"), i == 2 ? 2 : 0);
		{
			const int at[] = {fake_kvm_last("KVM_SET_USER_MEMORY_REGION"),
					  fake_kvm_first("KVM_CREATE_IRQCHIP"),
					  fake_kvm_first("KVM_ARM_SET_DEVICE_ADDR"),
					  fake_kvm_last("KVM_ARM_SET_DEVICE_ADDR"),
					  fake_kvm_first("KVM_CREATE_VCPU")};

			assert_sequence(at, ARRAY_SIZE(at));
		}
		assert_int_equal(arm_fake_gic()->dist, ARM_GIC_DIST);
		assert_int_equal(arm_fake_gic()->cpu, ARM_GIC_CPU);
		assert_runs(2);
		irq_set_line(&vm.kvm, 3, true);
		assert_true(fake_gic_irq(fake_kvm_newest(), NULL, 35)->level);
	}
	assert_int_equal(fake_kvm_open_fds(NULL), 4);
	/* The last SPI that the machine uses is one that such a GIC has by itself. */
	assert_true(ARM_NR_IRQS <= arm_fake_gic()->nr_spis + 32);
}

static void test_legacy_refused(void **state)
{
	no_device_control();
	assert_refused("gicv3", "1", "--irqchip gicv3: ");
	assert_refused("gicv3-its", "1", "--irqchip gicv3-its: ");
	fake_kvm_set_cap(KVM_CAP_ARM_SET_DEVICE_ADDR, 0);
	assert_refused("gicv2", "1", "--irqchip gicv2: ");
	assert_refused("auto", "1", "no interrupt controller");
}

/* ---- failures -------------------------------------------------------------------------------------------
 */

static void assert_attr_fails(const char *irqchip, const char *cpus, u32 group, u64 attr, int err,
			      const char *says)
{
	int got;

	vm_down();
	fake_kvm_reset();
	fake_kvm_fail_arg(KVM_SET_DEVICE_ATTR, FAKE_ATTR(group, attr), err);
	capture_begin(STDERR_FILENO);
	got = up_with(irqchip, cpus, "irqchip-finalize");
	assert_one_line(capture_end(), says);
	assert_int_equal(got, -err);
	vm_down();
	assert_int_equal(fake_kvm_open_fds(NULL), 0);
}

/* One line each, which names the controller, the attribute and the value. */
static void test_each_attribute_fails(void **state)
{
	const u32 addr = KVM_DEV_ARM_VGIC_GRP_ADDR, ctrl = KVM_DEV_ARM_VGIC_GRP_CTRL;
	const u32 irqs = KVM_DEV_ARM_VGIC_GRP_NR_IRQS;

	assert_attr_fails("gicv3", "1", addr, KVM_VGIC_V3_ADDR_TYPE_DIST, EEXIST,
			  "gicv3: set GRP_ADDR/V3_ADDR_TYPE_DIST = 0x8000000: EEXIST: ");
	assert_attr_fails("gicv3", "1", addr, KVM_VGIC_V3_ADDR_TYPE_REDIST, EINVAL,
			  "gicv3: set GRP_ADDR/V3_ADDR_TYPE_REDIST = 0x80a0000: EINVAL: ");
	assert_attr_fails("gicv3-its", "1", addr, KVM_VGIC_ITS_ADDR_TYPE, E2BIG,
			  "its: set GRP_ADDR/ITS_ADDR_TYPE = 0x8080000: E2BIG: ");
	assert_attr_fails("gicv3", "1", irqs, 0, EBUSY, "gicv3: set GRP_NR_IRQS/NR_IRQS = 0x100: EBUSY: ");
	assert_attr_fails("gicv3", "1", ctrl, KVM_DEV_ARM_VGIC_CTRL_INIT, ENXIO,
			  "gicv3: set GRP_CTRL/CTRL_INIT: ENXIO: ");
	assert_attr_fails("gicv2m", "1", addr, KVM_VGIC_V2_ADDR_TYPE_DIST, E2BIG,
			  "gicv2: set GRP_ADDR/V2_ADDR_TYPE_DIST = 0x8000000: E2BIG: ");
	assert_attr_fails("gicv2", "1", addr, KVM_VGIC_V2_ADDR_TYPE_CPU, EEXIST,
			  "gicv2: set GRP_ADDR/V2_ADDR_TYPE_CPU = 0x8010000: EEXIST: ");
	assert_attr_fails("gicv2", "1", irqs, 0, EINVAL, "gicv2: set GRP_NR_IRQS/NR_IRQS = 0x100: EINVAL: ");
	assert_attr_fails("gicv2", "1", ctrl, KVM_DEV_ARM_VGIC_CTRL_INIT, ENOMEM,
			  "gicv2: set GRP_CTRL/CTRL_INIT: ENOMEM");
}

static void test_no_regions(void **state)
{
	int err;

	more_files();
	fake_kvm_fail_arg(KVM_HAS_DEVICE_ATTR,
			  FAKE_ATTR(KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION), ENXIO);
	capture_begin(STDERR_FILENO);
	err = up_with("gicv3", "124", "irqchip");
	assert_one_line(capture_end(), "--cpus 124: ");
	assert_int_equal(err, -ENXIO);
	vm_down();
	assert_int_equal(fake_kvm_open_fds(NULL), 0);
}

/* A kernel older than INIT of a GICv2. */
static void test_v2_without_init(void **state)
{
	static const unsigned long calls[] = {KVM_HAS_DEVICE_ATTR, KVM_SET_DEVICE_ATTR};

	for (u32 i = 0; i < ARRAY_SIZE(calls); i++)
		fake_kvm_fail_arg(calls[i], FAKE_ATTR(KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT),
				  ENXIO);
	assert_int_equal(up_with("gicv2", "2", "boot"), 0);
	assert_false(arm_fake_gic()->initialized);
	assert_runs(2);
	assert_int_equal(arm_fake_gic()->nr_spis + 32, ARM_NR_IRQS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARM_TEST(test_by_name),	       ARM_TEST(test_auto),
		ARM_TEST(test_not_there),      ARM_TEST(test_too_many),
		ARM_TEST(test_order),	       ARM_TEST(test_its_order),
		ARM_TEST(test_runs),	       ARM_TEST(test_regions),
		ARM_TEST(test_lines),	       ARM_TEST(test_no_messages),
		ARM_TEST(test_v2m_routes),     ARM_TEST(test_v2m_frame),
		ARM_TEST(test_its_messages),   ARM_TEST(test_its_send),
		ARM_TEST(test_early_route),    ARM_TEST(test_legacy),
		ARM_TEST(test_legacy_refused), ARM_TEST(test_each_attribute_fails),
		ARM_TEST(test_no_regions),     ARM_TEST(test_v2_without_init),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * XICS of the pseries machine: on which hosts it is made and in which order, how lines and messages reach it,
 * what its node says, and its state, saved, restored and saved again.
 */
#include "pseries-vm.h"

#include "chip-state.h"
#include <libfdt.h>
#include <lkvm/fdt.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#define MASKED 0xff

static struct fake_source *source(u32 line)
{
	return &fake_xics_of(fake_kvm_newest())->source[line];
}

static struct fake_icp *icp(u32 id)
{
	return &fake_ppc_cpu(pseries_fake_cpu(id))->icp;
}

/* What this test's VMs are: with lines that a board would have claimed, and `msis` messages. */
static void up_with(const char *cpus, u32 msis)
{
	assert_int_equal(pseries_up("xics", cpus, "devices"), 0);
	for (u32 i = 0; i < 2; i++) {
		int line = irq_alloc(&vm.kvm, PSERIES_FIRST_LINE + 16);

		assert_true(line >= 0);
	}
	assert_int_equal(irqchip_finalize(&vm.kvm), 0);
	for (u32 i = 0; i < msis; i++)
		assert_int_equal(pseries_irq_use(&vm.kvm.irqchip, PSERIES_FIRST_MSI + i), 0);
}

#define LEVEL (PSERIES_FIRST_LINE + 16)
#define MSI   PSERIES_FIRST_MSI

/* ---- making it ----------------------------------------------------------------------------------------- */

static void test_order(void **state)
{
	assert_int_equal(pseries_up("xics", "3", "irqchip-finalize"), 0);
	assert_string_equal(vm.kvm.irqchip.ops->name, "xics");
	{
		const int at[] = {
			fake_kvm_last("KVM_SET_USER_MEMORY_REGION"),
			fake_kvm_find("KVM_CREATE_DEVICE", KVM_DEV_TYPE_XICS),
			fake_kvm_last("KVM_CREATE_DEVICE"),
			pseries_attr_set_at(KVM_DEV_XICS_GRP_CTRL, KVM_DEV_XICS_NR_SERVERS),
			fake_kvm_first("KVM_CREATE_VCPU"),
			fake_kvm_find("KVM_ENABLE_CAP", KVM_CAP_IRQ_XICS),
		};

		assert_sequence(at, ARRAY_SIZE(at));
	}
	assert_int_equal(fake_xics_of(fake_kvm_newest())->nr_servers, 3);
	for (u32 i = 0; i < 3; i++) {
		assert_true(icp(i)->there);
		assert_int_equal(icp(i)->server, i);
	}
	/* It has no routes. */
	assert_int_equal(fake_kvm_count("KVM_SET_GSI_ROUTING"), 0);
}

/* The XICS that stands on nothing but itself has no NR_SERVERS, which is no failure. */
static void test_without_xive(void **state)
{
	fake_kvm_set_cap(KVM_CAP_PPC_IRQ_XIVE, 0);
	capture_begin(STDERR_FILENO);
	assert_int_equal(pseries_up("xics", "2", "irqchip-finalize"), 0);
	assert_string_equal(capture_end(), "");
	assert_false(fake_xics_of(fake_kvm_newest())->on_xive);
	assert_true(icp(1)->there);
}

static void test_not_there(void **state)
{
	fake_kvm_remove_type(KVM_DEV_TYPE_XICS);
	capture_begin(STDERR_FILENO);
	assert_true(pseries_up("xics", "1", "irqchip") < 0);
	assert_one_line(capture_end(), "--irqchip xics: this host's KVM does not have it");
	vm_down();
	capture_begin(STDERR_FILENO);
	assert_true(pseries_up("gicv3", "1", "irqchip") < 0);
	assert_one_line(capture_end(), "the pseries machine knows no such controller");
}

/* Each call that is made for it fails in turn: one line, and nothing is left. */
static void test_each_call_fails(void **state)
{
	for (u32 n = 1;; n++) {
		const char *said;
		bool failed;
		int err;

		vm_down();
		fake_kvm_reset();
		fake_kvm_fail_nth(n, ENOSPC);
		capture_begin(STDERR_FILENO);
		err = pseries_up("xics", "2", "irqchip-finalize");
		said = capture_end();
		failed = false;
		for (u32 i = 0; i < fake_kvm_nr_calls(); i++)
			failed |= fake_kvm_call(i).injected;
		if (!failed)
			break;
		/* Whether an optional capability is there may be answered with no. */
		if (err)
			assert_one_line(said, "");
		vm_down();
		assert_int_equal(fake_kvm_open_fds(NULL), 0);
	}
	fake_kvm_reset();
	assert_int_equal(pseries_up("xics", "2", "irqchip-finalize"), 0);
}

/* Those that the board has are made masked, in the right kind; the rest when they are wanted. */
static void test_sources(void **state)
{
	up_with("1", 0);
	for (u32 line = 0; line < PSERIES_NR_LINES; line++) {
		bool board = vm.kvm.irq.claimed[line / 64] >> (line % 64) & 1;

		assert_int_equal(source(line)->exists,
				 board && line >= PSERIES_FIRST_LINE && pseries_line_is_level(line));
	}
	assert_true(source(LEVEL)->exists && source(LEVEL)->lsi);
	assert_int_equal(source(LEVEL)->priority, MASKED);
	assert_int_equal(pseries_irq_use(&vm.kvm.irqchip, MSI + 3), 0);
	assert_true(source(MSI + 3)->exists);
	assert_false(source(MSI + 3)->lsi);
	/* Once: the guest may have set it up by now. */
	fake_xics_set_xive(fake_kvm_newest(), MSI + 3, 0, 5);
	assert_int_equal(pseries_irq_use(&vm.kvm.irqchip, MSI + 3), 0);
	assert_int_equal(source(MSI + 3)->priority, 5);
	assert_int_equal(pseries_irq_use(&vm.kvm.irqchip, 2), -EINVAL);
	assert_int_equal(pseries_irq_use(&vm.kvm.irqchip, PSERIES_NR_LINES), -EINVAL);
	/* Nobody gets one that XICS has for itself. */
	assert_true(irq_alloc(&vm.kvm, 0) >= (int)PSERIES_FIRST_LINE);
}

/* ---- lines and messages ------------------------------------------------------------------------- */

static void test_lines(void **state)
{
	u32 xirr;

	up_with("2", 0);
	fake_xics_cppr(pseries_fake_cpu(1), 0xff);
	fake_xics_set_xive(fake_kvm_newest(), LEVEL, 1, 5);
	irq_set_line(&vm.kvm, LEVEL, true);
	assert_int_equal(icp(1)->xisr, LEVEL);
	xirr = fake_xics_accept(pseries_fake_cpu(1));
	assert_int_equal(xirr, 0xff000000 | LEVEL);
	/* High still: it comes again. */
	fake_xics_eoi(pseries_fake_cpu(1), xirr);
	assert_int_equal(icp(1)->xisr, LEVEL);
	xirr = fake_xics_accept(pseries_fake_cpu(1));
	irq_set_line(&vm.kvm, LEVEL, false);
	fake_xics_eoi(pseries_fake_cpu(1), xirr);
	assert_int_equal(icp(1)->xisr, 0);
}

static void test_messages(void **state)
{
	struct msi_msg msg = {.address = PSERIES_MSI_DOORBELL, .data = MSI + 1};
	u32 sets = 0;
	int fd;

	up_with("1", 4);
	fake_xics_cppr(pseries_fake_cpu(0), 0xff);
	fake_xics_set_xive(fake_kvm_newest(), MSI + 1, 0, 5);
	/* One call, which is an edge. */
	sets = fake_kvm_count("KVM_IRQ_LINE");
	assert_true(irq_msi_send(&vm.kvm, &msg) >= 0);
	assert_int_equal(fake_kvm_count("KVM_IRQ_LINE"), sets + 1);
	assert_int_equal(icp(0)->xisr, MSI + 1);
	fake_xics_eoi(pseries_fake_cpu(0), fake_xics_accept(pseries_fake_cpu(0)));
	assert_int_equal(icp(0)->xisr, 0);
	/* By an irqfd of its line. */
	assert_int_equal(irq_msi_add(&vm.kvm, &msg), MSI + 1);
	assert_int_equal(irq_msi_update(&vm.kvm, MSI + 1, &msg), 0);
	fd = eventfd(1, EFD_CLOEXEC);
	assert_int_equal(irq_fd_assign(&vm.kvm, MSI + 1, fd, -1), 0);
	fake_kvm_irqfds(fake_kvm_newest());
	assert_int_equal(icp(0)->xisr, MSI + 1);
	irq_fd_deassign(&vm.kvm, MSI + 1, fd);
	close(fd);
	/* Another line is another GSI. */
	msg.data = MSI + 2;
	assert_int_equal(irq_msi_update(&vm.kvm, MSI + 1, &msg), -EXDEV);
	irq_msi_remove(&vm.kvm, MSI + 1);
	assert_int_equal(irq_msi_add(&vm.kvm, &msg), MSI + 2);
	assert_int_equal(fake_kvm_count("KVM_SET_GSI_ROUTING"), 0);
	assert_int_equal(fake_kvm_count("KVM_SIGNAL_MSI"), 0);
}

/* The guest writes messages as it likes: those that are none reach nothing. */
static void test_hostile_messages(void **state)
{
	static const struct msi_msg bad[] = {
		{.address = PSERIES_MSI_DOORBELL, .data = 0},
		{.address = PSERIES_MSI_DOORBELL, .data = 2},
		{.address = PSERIES_MSI_DOORBELL, .data = LEVEL},
		{.address = PSERIES_MSI_DOORBELL, .data = MSI + 4},
		{.address = PSERIES_MSI_DOORBELL, .data = PSERIES_NR_LINES},
		{.address = PSERIES_MSI_DOORBELL, .data = ~0u},
		{.address = PSERIES_MSI_DOORBELL + 4, .data = MSI},
		{.address = 0, .data = MSI},
		{.address = ~0ull, .data = MSI},
	};
	u32 calls;

	up_with("1", 4);
	calls = fake_kvm_nr_calls();
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(irq_msi_send(&vm.kvm, &bad[i]), -EINVAL);
		assert_int_equal(irq_msi_add(&vm.kvm, &bad[i]), -EINVAL);
		assert_int_equal(irq_msi_update(&vm.kvm, MSI, &bad[i]), -EINVAL);
	}
	assert_int_equal(fake_kvm_nr_calls(), calls);
}

/* ---- the device tree ---------------------------------------------------------------------------- */

static void test_describe(void **state)
{
	struct fdt fdt;
	u32 cells[DT_IRQ_CELLS_MAX];
	const u32 *prop;
	int node, len;

	up_with("3", 0);
	dt_init(&fdt, &vm.kvm, MiB(1));
	assert_int_equal(vm.kvm.irqchip.ops->describe(&vm.kvm.irqchip, &fdt), 0);
	assert_int_equal(dt_finish(&fdt), 0);
	node = fdt_node_offset_by_compatible(fdt.blob, -1, "IBM,ppc-xicp");
	assert_true(node > 0);
	assert_int_equal(fdt_get_phandle(fdt.blob, node), DT_IRQCHIP);
	prop = fdt_getprop(fdt.blob, node, "ibm,interrupt-server-ranges", &len);
	assert_int_equal(len, 8);
	assert_int_equal(fdt32_ld(&prop[0]), 0);
	assert_int_equal(fdt32_ld(&prop[1]), 3);
	assert_non_null(fdt_getprop(fdt.blob, node, "interrupt-controller", &len));
	dt_free(&fdt);
	assert_int_equal(vm.kvm.irqchip.ops->irq_cells(&vm.kvm.irqchip, LEVEL, true, cells), 2);
	assert_int_equal(cells[0], LEVEL);
	assert_int_equal(cells[1], 1);
}

/* ---- state -------------------------------------------------------------------------------------- */

static u32 seed;

static u32 roll(void)
{
	seed = seed * 1103515245 + 12345;
	return seed >> 16;
}

/* A XICS in the middle of its work, by what a guest and devices can do to it. */
static void scramble(u32 cpus, u32 msis)
{
	static const u8 cppr[] = {0, 4, 6, 0xff};

	for (u32 i = 0; i < cpus; i++)
		fake_xics_cppr(pseries_fake_cpu(i), cppr[roll() % 4]);
	for (u32 i = 0; i < msis + 2; i++) {
		u32 line = i < 2 ? LEVEL + i : MSI + i - 2;

		fake_xics_set_xive(fake_kvm_newest(), line, roll() % cpus, roll() & 1 ? MASKED : roll() & 7);
		for (u32 k = roll() % 3; k > 0; k--)
			pseries_irq_set_line(&vm.kvm.irqchip, line, i < 2 ? roll() & 1 : true);
	}
	fake_xics_accept(pseries_fake_cpu(roll() % cpus));
}

static void assert_round_trip(const char *cpus, u32 msis)
{
	u32 n = (u32)atoi(cpus);
	struct buf first, again;

	up_with(cpus, msis);
	scramble(n, msis);
	first = save();
	/* The kernel goes on only when each source was read. */
	assert_int_equal(fake_xics_of(fake_kvm_newest())->reads, 0);
	again = save();
	assert_same(&first, &again);
	buf_free(&again);
	/* Into one that has no messages yet, */
	up_with(cpus, 0);
	assert_int_equal(restore(first.data, first.len), 0);
	again = save();
	assert_same(&first, &again);
	buf_free(&again);
	/* and over one that has been at work itself. */
	seed += 77;
	scramble(n, msis);
	assert_int_equal(restore(first.data, first.len), 0);
	again = save();
	assert_same(&first, &again);
	buf_free(&again);
	buf_free(&first);
}

static void test_round_trip(void **state)
{
	static const char *const cpus[] = {"1", "2", "8"};

	for (u32 xive = 0; xive < 2; xive++)
		for (u32 k = 0; k < ARRAY_SIZE(cpus); k++)
			for (seed = 1; seed < 9; seed++) {
				vm_down();
				fake_kvm_reset();
				fake_kvm_set_cap(KVM_CAP_PPC_IRQ_XIVE, (int)xive);
				assert_round_trip(cpus[k], seed % 5);
			}
}

/* What waits is delivered to the guest of the restored VM, once. */
static void test_pending_goes_on(void **state)
{
	struct buf saved;

	up_with("1", 1);
	fake_xics_set_xive(fake_kvm_newest(), MSI, 0, 5);
	pseries_irq_set_line(&vm.kvm.irqchip, MSI, true);
	assert_int_equal(icp(0)->xisr, 0); /* CPPR 0: nothing is let through */
	saved = save();
	up_with("1", 0);
	assert_int_equal(restore(saved.data, saved.len), 0);
	buf_free(&saved);
	fake_xics_cppr(pseries_fake_cpu(0), 0xff);
	assert_int_equal(icp(0)->xisr, MSI);
	fake_xics_eoi(pseries_fake_cpu(0), fake_xics_accept(pseries_fake_cpu(0)));
	assert_int_equal(icp(0)->xisr, 0);
	assert_false(source(MSI)->p);
}

/* A message's source that was not there when it was saved is masked again. */
static void test_one_too_many(void **state)
{
	struct buf saved;

	up_with("1", 1);
	saved = save();
	up_with("1", 2);
	fake_xics_set_xive(fake_kvm_newest(), MSI + 1, 0, 5);
	assert_int_equal(restore(saved.data, saved.len), 0);
	assert_int_equal(source(MSI + 1)->priority, MASKED);
	buf_free(&saved);
}

static void test_refused(void **state)
{
	struct buf saved, fewer;

	up_with("2", 1);
	saved = save();
	/* Another number of vCPUs. */
	up_with("1", 1);
	assert_refused(saved.data, saved.len, -EINVAL, "servers");
	/* Another board. */
	assert_int_equal(pseries_up("xics", "2", "irqchip-finalize"), 0);
	fewer = save();
	assert_refused(saved.data, saved.len, -EINVAL, "source 32");
	up_with("2", 1);
	assert_refused(fewer.data, fewer.len, -EINVAL, "source 32");
	/* Cut anywhere. */
	for (size_t len = 0; len < saved.len; len += 3) {
		capture_begin(STDERR_FILENO);
		assert_true(restore(saved.data, len) < 0);
		assert_one_line(capture_end(), "irqchip");
	}
	buf_free(&saved);
	buf_free(&fewer);
}

/* A call that fails in the midst of it: one line; all sources are read all the same. */
static void test_state_fails(void **state)
{
	struct buf none;

	up_with("2", 3);
	fake_kvm_fail_arg(KVM_GET_DEVICE_ATTR, FAKE_ATTR(KVM_DEV_XICS_GRP_SOURCES, MSI + 1), EFAULT);
	capture_begin(STDERR_FILENO);
	none = walk(STATE_SAVE, -EFAULT);
	assert_one_line(capture_end(), "source");
	assert_true(fake_kvm_find("KVM_GET_DEVICE_ATTR", FAKE_ATTR(KVM_DEV_XICS_GRP_SOURCES, MSI + 2)) >= 0);
	buf_free(&none);
	vm_down();
	fake_kvm_reset();
	up_with("2", 3);
	fake_kvm_fail_arg(KVM_GET_ONE_REG, KVM_REG_PPC_ICP_STATE, EIO);
	capture_begin(STDERR_FILENO);
	none = walk(STATE_SAVE, -EIO);
	assert_one_line(capture_end(), "server0");
	buf_free(&none);
}

static void test_print(void **state)
{
	struct buf text;

	up_with("2", 1);
	fake_xics_cppr(pseries_fake_cpu(1), 0xff);
	fake_xics_set_xive(fake_kvm_newest(), LEVEL, 1, 5);
	irq_set_line(&vm.kvm, LEVEL, true);
	text = walk(STATE_TEXT, 0);
	buf_add(&text, "", 1);
	assert_non_null(strstr((char *)text.data, "source32"));
	assert_non_null(strstr((char *)text.data, "server 1 priority 0x05 level pending presented"));
	assert_non_null(strstr((char *)text.data, "server 0 priority 0xff edge masked"));
	assert_non_null(strstr((char *)text.data, "CPPR 0xff XISR 32 MFRR 0xff pending priority 0x05"));
	buf_free(&text);
	text = walk(STATE_JSON, 0);
	assert_true(text.len > 0);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PSERIES_TEST(test_order),	    PSERIES_TEST(test_without_xive),
		PSERIES_TEST(test_not_there),	    PSERIES_TEST(test_each_call_fails),
		PSERIES_TEST(test_sources),	    PSERIES_TEST(test_lines),
		PSERIES_TEST(test_messages),	    PSERIES_TEST(test_hostile_messages),
		PSERIES_TEST(test_describe),	    PSERIES_TEST(test_round_trip),
		PSERIES_TEST(test_pending_goes_on), PSERIES_TEST(test_one_too_many),
		PSERIES_TEST(test_refused),	    PSERIES_TEST(test_state_fails),
		PSERIES_TEST(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

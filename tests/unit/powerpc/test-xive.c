/* SPDX-License-Identifier: MIT */
/* WRAP: xive_esb_load xive_esb_store */
/*
 * XIVE of the pseries machine: on which hosts it is made and in which order, the hypercalls by which a guest
 * sets it up, well-meant and not, lines and messages, and its state, saved, restored and saved again.
 */
#include "pseries-vm.h"

#include "brief.h"
#include "chip-state.h"
#include <endian.h>
#include <libfdt.h>
#include <powerpc/pseries.h>
#include <powerpc/xive.h>
#include <stdlib.h>

#define LEVEL	 32u
#define MSI	 PSERIES_FIRST_MSI
#define IPI	 XIVE_FIRST_IPI
#define QUEUE	 MiB(16) /* where the queues are: 64 KiB each */
#define PRIORITY 6

enum {
	H_INT_GET_SOURCE_INFO = 0x3a8,
	H_INT_SET_SOURCE_CONFIG = 0x3ac,
	H_INT_GET_SOURCE_CONFIG = 0x3b0,
	H_INT_GET_QUEUE_INFO = 0x3b4,
	H_INT_SET_QUEUE_CONFIG = 0x3b8,
	H_INT_GET_QUEUE_CONFIG = 0x3bc,
	H_INT_SET_OS_REPORTING_LINE = 0x3c0,
	H_INT_GET_OS_REPORTING_LINE = 0x3c4,
	H_INT_ESB = 0x3c8,
	H_INT_SYNC = 0x3cc,
	H_INT_RESET = 0x3d0,
};

/* ---- pages that do something -------------------------------------------------------------------- */

static u32 source_of_page(const u8 *page, bool management)
{
	const struct xive *xive = xive_of(&vm.kvm.irqchip);
	u64 n = (u64)(page - xive->esb) / xive->page;

	assert_int_equal((page - xive->esb) % xive->page, 0);
	assert_int_equal(n & 1, management);
	return (u32)(n / 2);
}

u64 __wrap_xive_esb_load(const u8 *page, u32 offset);
u64 __wrap_xive_esb_load(const u8 *page, u32 offset)
{
	return fake_xive_load(fake_kvm_newest(), source_of_page(page, true), offset);
}

void __wrap_xive_esb_store(u8 *page, u32 offset, u64 val);
void __wrap_xive_esb_store(u8 *page, u32 offset, u64 val)
{
	assert_int_equal(offset, 0);
	fake_xive_trigger(fake_kvm_newest(), source_of_page(page, false));
}

/* ---- the guest ---------------------------------------------------------------------------------- */

static u64 result[9];

static long hcall(u64 nr, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4)
{
	struct vcpu *vcpu = &vm.kvm.vcpu[0];
	const u64 args[] = {a0, a1, a2, a3, a4, 0, 0, 0, 0};

	vcpu->run->papr_hcall.nr = nr;
	memcpy(vcpu->run->papr_hcall.args, args, sizeof(args));
	pseries_hcall(vcpu);
	memcpy(result, vcpu->run->papr_hcall.args, sizeof(result));
	return (long)vcpu->run->papr_hcall.ret;
}

static struct fake_xive_source *source(u32 n)
{
	return &fake_xive_of(fake_kvm_newest())->source[n];
}

static struct kvm_ppc_xive_eq *queue(u32 server)
{
	return &fake_ppc_cpu(pseries_fake_cpu(server))->eq[PRIORITY];
}

static u64 queue_gpa(u32 server)
{
	return QUEUE + server * 0x10000ull;
}

static void up_with(const char *cpus)
{
	assert_int_equal(pseries_up("xive", cpus, "devices"), 0);
	assert_int_equal(irq_claim(&vm.kvm, LEVEL), 0);
	assert_int_equal(irqchip_finalize(&vm.kvm), 0);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(pseries_irq_use(&vm.kvm.irqchip, MSI + i), 0);
}

/* As Linux does it: a queue for each CPU, then sources that go there. */
static void guest_boots(u32 cpus)
{
	for (u32 i = 0; i < cpus; i++) {
		assert_int_equal(hcall(H_INT_GET_QUEUE_INFO, 0, i, PRIORITY, 0, 0), H_SUCCESS);
		assert_int_equal(hcall(H_INT_SET_QUEUE_CONFIG, 1, i, PRIORITY, queue_gpa(i), 16), H_SUCCESS);
	}
}

static void guest_unmask(u32 n, u32 server, u32 event)
{
	assert_int_equal(hcall(H_INT_SET_SOURCE_CONFIG, 2, n, server, PRIORITY, event), H_SUCCESS);
	fake_xive_load(fake_kvm_newest(), n, 0xc00);
}

static u32 queue_entry(u32 server, u32 i)
{
	u32 v;

	assert_int_equal(guest_read(&vm.kvm.mem, queue_gpa(server) + 4 * i, &v, 4), 0);
	return be32toh(v);
}

/* ---- making it ---------------------------------------------------------------------------------- */

static void test_order(void **state)
{
	assert_int_equal(pseries_up("auto", "3", "irqchip-finalize"), 0);
	assert_string_equal(vm.kvm.irqchip.ops->name, "xive");
	{
		const int at[] = {
			fake_kvm_find("KVM_CREATE_DEVICE", KVM_DEV_TYPE_XIVE),
			fake_kvm_last("KVM_CREATE_DEVICE"),
			pseries_attr_set_at(KVM_DEV_XIVE_GRP_CTRL, KVM_DEV_XIVE_NR_SERVERS),
			fake_kvm_find("mmap", (u64)KVM_XIVE_ESB_PAGE_OFFSET * xive_of(&vm.kvm.irqchip)->page),
			fake_kvm_last("KVM_SET_USER_MEMORY_REGION"),
			fake_kvm_first("KVM_CREATE_VCPU"),
			fake_kvm_find("KVM_ENABLE_CAP", KVM_CAP_PPC_IRQ_XIVE),
			pseries_attr_set_at(KVM_DEV_XIVE_GRP_SOURCE, PSERIES_FIRST_LINE),
			pseries_attr_set_at(KVM_DEV_XIVE_GRP_SOURCE, IPI + 2),
		};

		assert_sequence(at, ARRAY_SIZE(at));
	}
	assert_int_equal(fake_xive_of(fake_kvm_newest())->nr_servers, 3);
	assert_int_equal(fake_kvm_count("KVM_SET_GSI_ROUTING"), 0);
	/* Of each page that the guest reaches there is the source. */
	for (u32 i = 0; i < IPI + 4; i++) {
		assert_int_equal(source(i)->valid, i >= PSERIES_FIRST_LINE && i < IPI + 3);
		assert_int_equal(source(i)->lsi, i >= PSERIES_FIRST_LINE && i < MSI);
	}
}

/* The pages are where the hypercall says, and no device of ours gets to them. */
static void test_pages(void **state)
{
	const struct xive *xive;
	u8 byte;

	up_with("2");
	xive = xive_of(&vm.kvm.irqchip);
	assert_int_equal(hcall(H_INT_GET_SOURCE_INFO, 0, IPI + 1, 0, 0, 0), H_SUCCESS);
	assert_int_equal(result[0], 0);
	assert_int_equal(1u << result[3], xive->page);
	assert_ptr_equal(fake_kvm_mem(fake_kvm_newest(), result[1], xive->page),
			 xive_esb_page(xive, IPI + 1, true));
	assert_ptr_equal(fake_kvm_mem(fake_kvm_newest(), result[2], xive->page),
			 xive_esb_page(xive, IPI + 1, false));
	assert_null(guest_ptr(&vm.kvm.mem, result[1], 1));
	assert_int_equal(guest_read(&vm.kvm.mem, result[2], &byte, 1), -EFAULT);
	assert_int_equal(guest_write(&vm.kvm.mem, result[2], &byte, 1), -EFAULT);
	/* Beyond the last, and before the first, there is nothing. */
	assert_null(fake_kvm_mem(fake_kvm_newest(), xive_esb_gpa(xive, IPI + 2, false), 1));
	assert_null(fake_kvm_mem(fake_kvm_newest(), xive_esb_gpa(xive, PSERIES_FIRST_LINE, false) - 1, 1));
	/* Of the thread area only the page that is the guest's system's. */
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(fake_kvm_mem(fake_kvm_newest(), PSERIES_XIVE_TIMA + i * xive->page, 1) !=
					 NULL,
				 i == 2);
	/* A level-triggered source has no pages of the guest's. */
	assert_int_equal(hcall(H_INT_GET_SOURCE_INFO, 0, LEVEL, 0, 0, 0), H_SUCCESS);
	assert_int_equal(result[0], 12);
	assert_true(result[1] == ~0ull && result[2] == ~0ull);
}

static void test_which(void **state)
{
	fake_kvm_remove_type(KVM_DEV_TYPE_XIVE);
	assert_int_equal(pseries_up("auto", "1", "irqchip-finalize"), 0);
	assert_string_equal(vm.kvm.irqchip.ops->name, "xics");
	/* Its guests are not answered as if they had a XIVE. */
	assert_int_equal(hcall(H_INT_RESET, 0, 0, 0, 0, 0), H_FUNCTION);
	capture_begin(STDERR_FILENO);
	assert_true(pseries_up("xive", "1", "irqchip") < 0);
	assert_one_line(capture_end(), "--irqchip xive: this host's KVM does not have it");
}

static void test_each_call_fails(void **state)
{
	for (u32 n = 1;; n += n < 40 ? 1 : 17) {
		const char *said;
		bool failed = false;
		int err;

		vm_down();
		fake_kvm_reset();
		fake_kvm_fail_nth(n, ENOSPC);
		capture_begin(STDERR_FILENO);
		err = pseries_up("xive", "2", "irqchip-finalize");
		said = capture_end();
		for (u32 i = 0; i < fake_kvm_nr_calls(); i++)
			failed |= fake_kvm_call(i).injected;
		if (!failed)
			break;
		if (err)
			assert_one_line(said, "");
		vm_down();
		assert_int_equal(fake_kvm_open_fds(NULL), 0);
	}
}

static void test_describe(void **state)
{
	const u32 *prop;
	struct fdt fdt;
	int node, len;

	up_with("3");
	dt_init(&fdt, &vm.kvm, MiB(1));
	pseries_irq_describe_root(&vm.kvm, &fdt);
	assert_int_equal(vm.kvm.irqchip.ops->describe(&vm.kvm.irqchip, &fdt), 0);
	assert_int_equal(dt_finish(&fdt), 0);
	prop = fdt_getprop(fdt.blob, 0, "ibm,plat-res-int-priorities", &len);
	assert_int_equal(len, 8);
	assert_int_equal(fdt32_ld(&prop[0]), 7);
	assert_int_equal(fdt32_ld(&prop[1]), 0xf8);
	node = fdt_node_offset_by_compatible(fdt.blob, -1, "ibm,power-ivpe");
	assert_true(node > 0);
	prop = fdt_getprop(fdt.blob, node, "ibm,xive-lisn-ranges", &len);
	assert_int_equal(len, 8);
	assert_int_equal(fdt32_ld(&prop[0]), IPI);
	assert_int_equal(fdt32_ld(&prop[1]), 3);
	prop = fdt_getprop(fdt.blob, node, "reg", &len);
	assert_int_equal(len, 32);
	assert_int_equal(fdt64_ld((const fdt64_t *)(const void *)&prop[4]),
			 PSERIES_XIVE_TIMA + 2 * xive_of(&vm.kvm.irqchip)->page);
	dt_free(&fdt);
}

/* ---- the guest's calls -------------------------------------------------------------------------- */

static void test_set_up(void **state)
{
	up_with("2");
	guest_boots(2);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(queue(i)->qaddr, queue_gpa(i));
		assert_int_equal(queue(i)->qshift, 16);
		assert_int_equal(hcall(H_INT_GET_QUEUE_CONFIG, 0, i, PRIORITY, 0, 0), H_SUCCESS);
		assert_true(result[0] == 1 && result[1] == queue_gpa(i) && result[2] == 16);
	}
	guest_unmask(MSI + 1, 1, 0x1234);
	assert_int_equal(hcall(H_INT_GET_SOURCE_CONFIG, 0, MSI + 1, 0, 0, 0), H_SUCCESS);
	assert_true(result[0] == 1 && result[1] == PRIORITY && result[2] == 0x1234);
	irq_set_line(&vm.kvm, MSI + 1, true);
	assert_int_equal(queue_entry(1, 0), 0x80001234);
	/* Without the flag the event's number stays; masked and unmasked. */
	assert_int_equal(hcall(H_INT_SET_SOURCE_CONFIG, 0, MSI + 1, 0, 0xff, 99), H_SUCCESS);
	assert_int_equal(hcall(H_INT_GET_SOURCE_CONFIG, 0, MSI + 1, 0, 0, 0), H_SUCCESS);
	assert_int_equal(result[1], 0xff);
	assert_int_equal(hcall(H_INT_SET_SOURCE_CONFIG, 0, MSI + 1, 0, PRIORITY, 99), H_SUCCESS);
	assert_int_equal(source(MSI + 1)->eisn, 0x1234);
	assert_int_equal(source(MSI + 1)->server, 0);
	assert_int_equal(hcall(H_INT_SYNC, 0, MSI + 1, 0, 0, 0), H_SUCCESS);
	assert_int_equal(source(MSI + 1)->syncs, 1);
	assert_int_equal(hcall(H_INT_RESET, 0, 0, 0, 0, 0), H_SUCCESS);
	assert_int_equal(hcall(H_INT_GET_SOURCE_CONFIG, 0, MSI + 1, 0, 0, 0), H_SUCCESS);
	assert_int_equal(result[1], 0xff);
	assert_int_equal(hcall(H_INT_GET_QUEUE_CONFIG, 0, 0, PRIORITY, 0, 0), H_SUCCESS);
	assert_int_equal(result[2], 0);
	assert_int_equal(hcall(H_INT_SET_OS_REPORTING_LINE, 0, 0, 0, 0, 0), H_FUNCTION);
	assert_int_equal(hcall(H_INT_GET_OS_REPORTING_LINE, 0, 0, 0, 0, 0), H_FUNCTION);
}

static void test_hostile_calls(void **state)
{
	static const u64 bad_source[] = {0, 15, IPI + 2, 2048, 1ull << 20, 1ull << 32 | MSI, ~0ull};
	static const u64 bad_server[] = {2, 7, 1ull << 29, 1ull << 32, ~0ull};
	u32 sets, gets;

	up_with("2");
	guest_boots(2);
	guest_unmask(MSI, 0, 1);
	sets = fake_kvm_count("KVM_SET_DEVICE_ATTR");
	gets = fake_kvm_count("KVM_GET_DEVICE_ATTR");
	for (u32 i = 0; i < ARRAY_SIZE(bad_source); i++) {
		u64 n = bad_source[i];

		assert_int_equal(hcall(H_INT_GET_SOURCE_INFO, 0, n, 0, 0, 0), H_P2);
		assert_int_equal(hcall(H_INT_SET_SOURCE_CONFIG, 2, n, 0, PRIORITY, 1), H_P2);
		assert_int_equal(hcall(H_INT_GET_SOURCE_CONFIG, 0, n, 0, 0, 0), H_P2);
		assert_int_equal(hcall(H_INT_ESB, 0, n, 0, 0, 0), H_P2);
		assert_int_equal(hcall(H_INT_ESB, 1, n, 0, 0, 0), H_P2);
		assert_int_equal(hcall(H_INT_SYNC, 0, n, 0, 0, 0), H_P2);
	}
	for (u32 i = 0; i < ARRAY_SIZE(bad_server); i++) {
		u64 n = bad_server[i];

		assert_int_equal(hcall(H_INT_SET_SOURCE_CONFIG, 2, MSI, n, PRIORITY, 1), H_P3);
		assert_int_equal(hcall(H_INT_GET_QUEUE_INFO, 0, n, PRIORITY, 0, 0), H_P2);
		assert_int_equal(hcall(H_INT_SET_QUEUE_CONFIG, 1, n, PRIORITY, QUEUE, 16), H_P2);
		assert_int_equal(hcall(H_INT_GET_QUEUE_CONFIG, 0, n, PRIORITY, 0, 0), H_P2);
	}
	for (u64 priority = 7; priority < 1ull << 40; priority = priority * 8 + 5) {
		if (priority != 0xff)
			assert_int_equal(hcall(H_INT_SET_SOURCE_CONFIG, 2, MSI, 0, priority, 1), H_P4);
		assert_int_equal(hcall(H_INT_GET_QUEUE_INFO, 0, 0, priority, 0, 0), H_P3);
		assert_int_equal(hcall(H_INT_SET_QUEUE_CONFIG, 1, 0, priority, QUEUE, 16), H_P3);
		assert_int_equal(hcall(H_INT_GET_QUEUE_CONFIG, 0, 0, priority, 0, 0), H_P3);
	}
	/* Queues of another size, not aligned, and not in RAM: neither beyond it nor in XIVE's own pages. */
	for (u64 shift = 1; shift < 70; shift++)
		if (shift != 16)
			assert_int_equal(hcall(H_INT_SET_QUEUE_CONFIG, 1, 0, PRIORITY, QUEUE, shift), H_P5);
	assert_int_equal(hcall(H_INT_SET_QUEUE_CONFIG, 1, 0, PRIORITY, QUEUE + 0x1000, 16), H_P4);
	assert_int_equal(hcall(H_INT_SET_QUEUE_CONFIG, 1, 0, PRIORITY, PSERIES_MEM, 16), H_P4);
	assert_int_equal(hcall(H_INT_SET_QUEUE_CONFIG, 1, 0, PRIORITY, ~0xffffull, 16), H_P4);
	assert_int_equal(hcall(H_INT_SET_QUEUE_CONFIG, 1, 0, PRIORITY, PSERIES_XIVE_ESB + MiB(1), 16), H_P4);
	/* Event numbers have 31 bits. */
	assert_int_equal(hcall(H_INT_SET_SOURCE_CONFIG, 2, MSI, 0, PRIORITY, 1ull << 31), H_P5);
	/* Accesses beside the page, or not of 8 bytes. */
	assert_int_equal(hcall(H_INT_ESB, 0, MSI, 4, 0, 0), H_P3);
	assert_int_equal(hcall(H_INT_ESB, 0, MSI, xive_of(&vm.kvm.irqchip)->page, 0, 0), H_P3);
	assert_int_equal(hcall(H_INT_ESB, 1, MSI, ~7ull, 0, 0), H_P3);
	/* Flags that nobody knows. */
	for (u64 nr = H_INT_GET_SOURCE_INFO; nr <= H_INT_RESET; nr += 4)
		if (nr != H_INT_SET_OS_REPORTING_LINE && nr != H_INT_GET_OS_REPORTING_LINE)
			for (u32 bit = 2; bit < 64; bit++)
				assert_int_equal(hcall(nr, 1ull << bit, 0, 0, 0, 0), H_PARAMETER);
	/* None of it got as far as KVM. */
	assert_int_equal(fake_kvm_count("KVM_SET_DEVICE_ATTR"), sets);
	assert_int_equal(fake_kvm_count("KVM_GET_DEVICE_ATTR"), gets);
	/* A server that has no queue of that priority, which KVM refuses. */
	assert_int_equal(hcall(H_INT_SET_SOURCE_CONFIG, 2, MSI, 0, 3, 1), H_P3);
	assert_int_equal(hcall(H_INT_GET_SOURCE_CONFIG, 0, MSI, 0, 0, 0), H_SUCCESS);
	assert_int_equal(result[1], PRIORITY);
	/* KVM's failures are said to be of hardware. */
	fake_kvm_fail(KVM_SET_DEVICE_ATTR, 0, EIO);
	assert_int_equal(hcall(H_INT_SET_QUEUE_CONFIG, 1, 0, PRIORITY, QUEUE, 16), H_HARDWARE);
	assert_int_equal(hcall(H_INT_SET_SOURCE_CONFIG, 2, MSI, 1, PRIORITY, 1), H_HARDWARE);
	assert_int_equal(hcall(H_INT_RESET, 0, 0, 0, 0, 0), H_HARDWARE);
	assert_int_equal(hcall(H_INT_SYNC, 0, MSI, 0, 0, 0), H_HARDWARE);
	assert_int_equal(hcall(H_INT_GET_SOURCE_CONFIG, 0, MSI, 0, 0, 0), H_SUCCESS);
	assert_true(result[0] == 0 && result[1] == PRIORITY);
}

/* ---- lines -------------------------------------------------------------------------------------- */

static void guest_eoi(u32 n)
{
	assert_int_equal(hcall(H_INT_ESB, 0, n, 0, 0, 0), H_SUCCESS);
}

/* One that is high comes again, until it is low. */
static void test_level(void **state)
{
	up_with("1");
	guest_boots(1);
	guest_unmask(LEVEL, 0, 7);
	irq_set_line(&vm.kvm, LEVEL, true);
	assert_int_equal(source(LEVEL)->notified, 1);
	guest_eoi(LEVEL);
	assert_int_equal(source(LEVEL)->notified, 2);
	irq_set_line(&vm.kvm, LEVEL, false);
	guest_eoi(LEVEL);
	assert_int_equal(source(LEVEL)->notified, 2);
	assert_int_equal(source(LEVEL)->pq, 0);
	/* It became high while it was masked: it comes when it is unmasked, and not before. */
	assert_int_equal(hcall(H_INT_ESB, 0, LEVEL, 0xd00, 0, 0), H_SUCCESS);
	assert_int_equal(result[0], 0);
	irq_set_line(&vm.kvm, LEVEL, true);
	assert_int_equal(source(LEVEL)->notified, 2);
	assert_int_equal(hcall(H_INT_ESB, 0, LEVEL, 0xc00, 0, 0), H_SUCCESS);
	assert_int_equal(result[0], 1);
	assert_int_equal(source(LEVEL)->notified, 3);
	/* Only to look at it changes nothing. */
	assert_int_equal(hcall(H_INT_ESB, 0, LEVEL, 0x800, 0, 0), H_SUCCESS);
	assert_int_equal(result[0], 2);
	assert_int_equal(source(LEVEL)->notified, 3);
}

static void test_messages(void **state)
{
	struct msi_msg msg = {.address = PSERIES_MSI_DOORBELL, .data = MSI + 2};

	up_with("1");
	guest_boots(1);
	guest_unmask(MSI + 2, 0, 9);
	assert_true(irq_msi_send(&vm.kvm, &msg) >= 0);
	assert_int_equal(queue_entry(0, 0), 0x80000009);
	assert_int_equal(irq_msi_add(&vm.kvm, &msg), MSI + 2);
	/* The guest's own sources are no messages, nor is one that was given to nobody. */
	msg.data = IPI;
	assert_int_equal(irq_msi_send(&vm.kvm, &msg), -EINVAL);
	msg.data = MSI + 4;
	assert_int_equal(irq_msi_send(&vm.kvm, &msg), -EINVAL);
}

/* ---- state -------------------------------------------------------------------------------------- */

static u32 seed;

static u32 roll(void)
{
	seed = seed * 1103515245 + 12345;
	return seed >> 16;
}

static void scramble(u32 cpus)
{
	const u32 n[] = {LEVEL, MSI, MSI + 1, MSI + 2, MSI + 3, IPI};

	guest_boots(cpus);
	for (u32 i = 0; i < ARRAY_SIZE(n); i++) {
		if (roll() & 1)
			guest_unmask(n[i], roll() % cpus, roll());
		for (u32 k = roll() % 4; k > 0; k--) {
			if (n[i] < IPI)
				irq_set_line(&vm.kvm, n[i], n[i] == LEVEL ? roll() & 1 : true);
			else
				fake_xive_trigger(fake_kvm_newest(), n[i]);
			if (roll() & 1)
				fake_xive_load(fake_kvm_newest(), n[i], 0);
		}
		if (roll() % 4 == 0)
			fake_xive_load(fake_kvm_newest(), n[i], 0xd00);
	}
	if (roll() & 1)
		assert_int_equal(hcall(H_INT_SET_QUEUE_CONFIG, 1, 0, 3, QUEUE + MiB(2), 16), H_SUCCESS);
}

struct snapshot {
	struct fake_xive_source source[IPI + 8];
	struct kvm_ppc_xive_eq eq[8][FAKE_XIVE_QUEUES];
	u64 vp[8];
};

static struct snapshot *snapshot(void)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	for (u32 i = 0; i < ARRAY_SIZE(s->source); i++) {
		s->source[i] = *source(i);
		s->source[i].syncs = s->source[i].notified = s->source[i].asserted = 0;
		if (s->source[i].masked)
			s->source[i].priority = 0;
	}
	for (u32 i = 0; i < fake_kvm_newest()->nr_vcpus; i++) {
		memcpy(s->eq[i], fake_ppc_cpu(pseries_fake_cpu(i))->eq, sizeof(s->eq[i]));
		s->vp[i] = fake_ppc_cpu(pseries_fake_cpu(i))->vp[0];
	}
	return s;
}

static void assert_snapshot(const struct snapshot *want)
{
	struct snapshot *have = snapshot();

	for (u32 i = 0; i < ARRAY_SIZE(have->source); i++)
		if (memcmp(&have->source[i], &want->source[i], sizeof(have->source[i])))
			fail_msg("source %u: pq %u %u masked %u %u server %u %u priority %u %u event %x %x",
				 i, have->source[i].pq, want->source[i].pq, have->source[i].masked,
				 want->source[i].masked, have->source[i].server, want->source[i].server,
				 have->source[i].priority, want->source[i].priority, have->source[i].eisn,
				 want->source[i].eisn);
	assert_memory_equal(have->eq, want->eq, sizeof(have->eq));
	assert_memory_equal(have->vp, want->vp, sizeof(have->vp));
	free(have);
}

static void assert_round_trip(const char *cpus)
{
	struct snapshot *before;
	struct buf first, again;

	up_with(cpus);
	scramble((u32)atoi(cpus));
	before = snapshot();
	first = save();
	assert_int_equal(fake_xive_of(fake_kvm_newest())->eq_syncs, 1);
	/* To save is to look and no more. */
	assert_snapshot(before);
	again = save();
	assert_same(&first, &again);
	buf_free(&again);
	up_with(cpus);
	assert_int_equal(restore(first.data, first.len), 0);
	assert_snapshot(before);
	again = save();
	assert_same(&first, &again);
	buf_free(&again);
	/* Over one that has been at work itself. */
	seed += 77;
	scramble((u32)atoi(cpus));
	assert_int_equal(restore(first.data, first.len), 0);
	assert_snapshot(before);
	again = save();
	assert_same(&first, &again);
	buf_free(&again);
	buf_free(&first);
	free(before);
}

static void test_round_trip(void **state)
{
	static const char *const cpus[] = {"1", "2", "8"};

	for (u32 k = 0; k < ARRAY_SIZE(cpus); k++)
		for (seed = 1; seed <= rounds(11); seed++) {
			vm_down();
			fake_kvm_reset();
			assert_round_trip(cpus[k]);
		}
}

/* A device interrupts while the state is read: the guest hears of it afterwards, once. */
static int (*real_set)(struct fake_device *, const struct kvm_device_attr *);
static u32 during;

static int set_and_interrupt(struct fake_device *dev, const struct kvm_device_attr *attr)
{
	if (attr->group == KVM_DEV_XIVE_GRP_CTRL && attr->attr == KVM_DEV_XIVE_EQ_SYNC) {
		during = fake_xive_of(dev->obj.vm)->source[MSI].pq;
		fake_xive_line(dev->obj.vm, MSI, true);
		fake_xive_line(dev->obj.vm, MSI + 1, true);
	}
	return real_set(dev, attr);
}

static void test_event_meanwhile(void **state)
{
	static struct fake_device_type eager; /* the VM has it until after the test */
	struct buf saved;

	eager = fake_xive_type;
	real_set = eager.set;
	eager.set = set_and_interrupt;
	fake_kvm_add_type(&eager);
	assert_int_equal(pseries_up("xive", "1", "irqchip-finalize"), 0);
	assert_int_equal(pseries_irq_use(&vm.kvm.irqchip, MSI), 0);
	guest_boots(1);
	guest_unmask(MSI, 0, 1);
	guest_unmask(MSI + 1, 0, 2);
	fake_xive_load(fake_kvm_newest(), MSI + 1, 0xd00); /* the guest wants to hear nothing of this one */
	saved = save();
	buf_free(&saved);
	assert_int_equal(during, 2);
	assert_int_equal(source(MSI)->notified, 1);
	assert_int_equal(source(MSI)->pq, 2);
	assert_int_equal(queue_entry(0, 0), 0x80000001);
	assert_int_equal(source(MSI + 1)->notified, 0);
}

static void test_refused(void **state)
{
	struct buf saved, xics;

	up_with("2");
	guest_boots(2);
	guest_unmask(MSI, 1, 1);
	saved = save();
	up_with("1");
	assert_refused(saved.data, saved.len, -EINVAL, "servers");
	assert_int_equal(pseries_up("xics", "2", "irqchip-finalize"), 0);
	xics = save();
	assert_refused(saved.data, saved.len, -ENOENT, "xi");
	up_with("2");
	assert_refused(xics.data, xics.len, -ENOENT, "xi");
	for (size_t len = 0; len < saved.len; len += stride(7)) {
		capture_begin(STDERR_FILENO);
		assert_true(restore(saved.data, len) < 0);
		assert_one_line(capture_end(), "irqchip");
	}
	/* Any byte of it may be anything: refused or not, and nothing falls over. */
	for (size_t i = 0; i < saved.len; i += stride(5)) {
		u8 was = saved.data[i];

		saved.data[i] ^= 0xff;
		capture_begin(STDERR_FILENO);
		if (restore(saved.data, saved.len))
			assert_one_line(capture_end(), "");
		else
			assert_string_equal(capture_end(), "");
		saved.data[i] = was;
	}
	assert_int_equal(restore(saved.data, saved.len), 0);
	buf_free(&saved);
	buf_free(&xics);
}

static void test_print(void **state)
{
	struct buf text;

	up_with("2");
	guest_boots(2);
	guest_unmask(MSI + 1, 1, 0x99);
	irq_set_line(&vm.kvm, MSI + 1, true);
	irq_set_line(&vm.kvm, LEVEL, true);
	text = walk(STATE_TEXT, 0);
	buf_add(&text, "", 1);
	assert_non_null(strstr((char *)text.data, "server 1 priority 6 event 0x99 edge pending"));
	assert_non_null(strstr((char *)text.data, "level masked high off"));
	assert_non_null(strstr((char *)text.data, "at 0x1010000, 65536 bytes, index 1 toggle 1"));
	assert_non_null(strstr((char *)text.data, "pending priorities 0x02"));
	buf_free(&text);
	/* Only looked at: no source was stopped. */
	assert_int_equal(fake_xive_of(fake_kvm_newest())->eq_syncs, 0);
	text = walk(STATE_JSON, 0);
	assert_true(text.len > 0);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PSERIES_TEST(test_order),	    PSERIES_TEST(test_pages),
		PSERIES_TEST(test_which),	    PSERIES_TEST(test_each_call_fails),
		PSERIES_TEST(test_describe),	    PSERIES_TEST(test_set_up),
		PSERIES_TEST(test_hostile_calls),   PSERIES_TEST(test_level),
		PSERIES_TEST(test_messages),	    PSERIES_TEST(test_round_trip),
		PSERIES_TEST(test_event_meanwhile), PSERIES_TEST(test_refused),
		PSERIES_TEST(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

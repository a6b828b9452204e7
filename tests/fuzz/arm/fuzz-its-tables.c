/* SPDX-License-Identifier: MIT */
/*
 * An ITS restored over tables in guest memory that a hostile guest has filled (arm/its.c, on the fake KVM,
 * which keeps the kernel's rules about tables; Documentation/virt/kvm/devices/arm-vgic-its.rst).
 *
 * The input is entries, { table u8, index u8, entry u64 }: of the devices, the collections, a translation
 * table, or a vCPU's pending LPIs; it goes into memory which is zero else, then the good state into the VM.
 * Whatever came of it, the state can be printed and saved, or the kernel says why not; what was saved is
 * taken again, unless a table lies over another; and good tables, put in afterwards, give the good state.
 */
#include "tests/unit/arm/fake-arm.h"

#include "tests/fuzz/fuzz-vm.h"
#include <arm/arm.h>
#include <arm/layout.h>
#include <lkvm/machine.h>

#define TABLE(n)    (ARM_RAM + MiB(1) + 0x10000 * (u64)(n))
#define DEVICES	    TABLE(0)
#define COLLECTIONS TABLE(1)
#define ITT	    TABLE(2)
#define PENDING(n)  TABLE(3 + (n))
#define QUEUE	    TABLE(5)
#define PROPERTIES  TABLE(6)
#define TABLES	    5
#define VALID	    (1ull << 63)
#define CPUS	    2

static struct kvm *kvm;
static struct buf good;
static u8 good_tables[TABLES * 0x10000];

static int walk(struct state *s)
{
	kvm->irqchip.ops->state(&kvm->irqchip, s);
	return state_finish(s, "fuzz");
}

static int out(enum state_mode mode, struct buf *buf)
{
	struct state s;

	*buf = (struct buf){0};
	state_init_out(&s, mode, buf);
	return walk(&s);
}

static int in(const struct buf *buf)
{
	struct state s;

	state_init_in(&s, buf->data, buf->len);
	return walk(&s);
}

static void set(u32 device, u32 group, u64 attr, u64 val)
{
	fuzz_assert(!kvm_attr_set(kvm->device_fd[device], group, attr, &val), "a good register is taken");
}

/* A guest with two devices, three events and a pending LPI. */
static void use(struct fake_vm *fake)
{
	static const struct fake_lpi lpi[] = {
		{.device = 8, .event = 0, .lpi = 8192, .collection = 0, .vcpu = 0, .itt = ITT, .bits = 5},
		{.device = 8, .event = 7, .lpi = 8200, .collection = 1, .vcpu = 1, .itt = ITT, .bits = 5},
		{.device = 24, .event = 2, .lpi = 8300, .vcpu = 0, .itt = ITT + 0x1000, .bits = 3},
	};

	for (u32 i = 0; i < CPUS; i++) {
		set(0, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, (u64)i << 32 | 0x70, (u32)PROPERTIES | 15);
		set(0, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, (u64)i << 32 | 0x78, (u32)PENDING(i));
		set(0, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, (u64)i << 32, 1);
	}
	set(1, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0x80, VALID | QUEUE);
	set(1, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0x100, VALID | DEVICES);
	set(1, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0x108, VALID | COLLECTIONS);
	set(1, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0, 1);
	for (u32 i = 0; i < ARRAY_SIZE(lpi); i++)
		fake_its_map(fake, &lpi[i]);
	fake_its_find(fake, 8, 7)->pending = true;
}

static void make(void)
{
	const char *const more[] = {"--irqchip", "gicv3-its", "-c", FUZZ_NUMBER(CPUS), NULL};

	fake_kvm_reset();
	kvm = fuzz_vm_make("irqchip-finalize", more);
	if (arm_vcpus_finalize(kvm))
		exit(1);
	use(fake_kvm_vm(0));
	fuzz_assert(!out(STATE_SAVE, &good), "a good state can be saved");
	fuzz_assert(!guest_read(&kvm->mem, DEVICES, good_tables, sizeof(good_tables)), "with its tables");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u8 none[sizeof(good_tables)];
	struct fuzz_in input = {data, data + size};
	struct buf now;

	if (!kvm)
		make();
	fuzz_assert(!guest_write(&kvm->mem, DEVICES, none, sizeof(none)), "there is memory");
	while (input.at < input.end) {
		u64 table = fuzz_take(&input, 1) % TABLES, index = fuzz_take(&input, 1);
		u64 entry = fuzz_take(&input, 8);

		fuzz_assert(!guest_write(&kvm->mem, TABLE(table) + 8 * index, &entry, 8), "there is memory");
	}
	fuzz_assert(in(&good) <= 0, "taken, or an errno");
	fuzz_assert(!out(STATE_TEXT, &now), "and can be printed");
	buf_free(&now);
	if (!out(STATE_SAVE, &now))
		fuzz_assert(in(&now) <= 0, "what was saved is taken, or an errno");
	buf_free(&now);
	fuzz_assert(!guest_write(&kvm->mem, DEVICES, good_tables, sizeof(good_tables)), "there is memory");
	fuzz_assert(!in(&good), "a good state is taken after a bad one");
	fuzz_assert(!out(STATE_SAVE, &now), "and can be saved");
	fuzz_assert(now.len == good.len && !memcmp(now.data, good.data, now.len),
		    "a good state is what it was");
	buf_free(&now);
	fake_kvm_forget_calls();
	return 0;
}

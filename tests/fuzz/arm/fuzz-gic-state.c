/* SPDX-License-Identifier: MIT */
/*
 * Hostile state put into each irqchip of the arm64 machine and into a vCPU (arm/gic*.c, its.c,
 * vcpu-state.c), on the fake KVM, which keeps the kernel's rules about what it takes.
 *
 * The input's first byte says what into, and with bit 7 that the rest is changes to a good state, { where
 * u16, what u8 } each; else it is the saved bytes themselves. Whatever was taken or half taken: it can be
 * printed and saved, or the kernel says why not; and the good state, put in afterwards, is what is there
 * then. Each of these two is looked at unless bits 6 and 5 say not to: walks are thousands of calls of the
 * fake.
 */
#include "tests/unit/arm/fake-arm.h"

#include "tests/fuzz/fuzz-vm.h"
#include <arm/arm.h>
#include <lkvm/machine.h>

static const char *const chips[] = {"gicv2", "gicv2m", "gicv3", "gicv3-its"};
#define NR_CHIPS   ARRAY_SIZE(chips)
#define NR_TARGETS (NR_CHIPS + 1) /* and a vCPU */

static struct target {
	struct kvm *kvm;
	struct fake_vm *fake;
	u32 pri_bits, id_bits; /* the fake host's */
	bool cpu;
	struct buf good;
} targets[NR_TARGETS];

static int walk(const struct target *t, struct state *s)
{
	struct kvm *kvm = t->kvm;

	if (t->cpu)
		kvm->machine->vcpu_state(&kvm->vcpu[1], s);
	else
		kvm->irqchip.ops->state(&kvm->irqchip, s);
	return state_finish(s, "fuzz");
}

static int out(const struct target *t, enum state_mode mode, struct buf *buf)
{
	struct state s;

	*buf = (struct buf){0};
	state_init_out(&s, mode, buf);
	return walk(t, &s);
}

static int in(const struct target *t, const u8 *data, size_t len)
{
	struct state s;

	state_init_in(&s, data, len);
	return walk(t, &s);
}

/* The VMs are made together, for the fake is reset before the first. */
static void make(void)
{
	fake_kvm_reset();
	for (u32 i = 0; i < NR_TARGETS; i++) {
		struct target *t = &targets[i];
		const char *const more[] = {"--irqchip", chips[min_u64(i, NR_CHIPS - 1)], "-c", "2", "--pmu",
					    NULL};

		t->cpu = i == NR_CHIPS;
		t->kvm = fuzz_vm_make("irqchip-finalize", more);
		if (arm_vcpus_finalize(t->kvm))
			exit(1);
		for (u32 k = 0; fake_kvm_vm(k); k++)
			t->fake = fake_kvm_vm(k);
		t->pri_bits = fake_arm_cpu(t->fake->vcpu[0])->gic.pri_bits;
		t->id_bits = fake_arm_cpu(t->fake->vcpu[0])->gic.id_bits;
		fuzz_assert(!out(t, STATE_SAVE, &t->good), "a fresh state can be saved");
		fuzz_assert(!in(t, t->good.data, t->good.len), "and be put in again");
	}
}

/* It may fail, for what was put in may ask for tables where no memory is. */
static void look(const struct target *t)
{
	struct buf buf;

	(void)out(t, STATE_TEXT, &buf);
	buf_free(&buf);
	(void)out(t, STATE_SAVE, &buf);
	buf_free(&buf);
	if (t->cpu) {
		buf = (struct buf){0};
		t->kvm->machine->vcpu_dump(&t->kvm->vcpu[1], &buf);
		buf_free(&buf);
	}
}

/* As the kernel, the fake never gives back bits of ICC_CTLR_EL1 that a write took away. */
static void host_bits(const struct target *t)
{
	for (u32 i = 0; i < t->fake->nr_vcpus; i++) {
		fake_arm_cpu(t->fake->vcpu[i])->gic.pri_bits = t->pri_bits;
		fake_arm_cpu(t->fake->vcpu[i])->gic.id_bits = t->id_bits;
	}
}

static void compare(const struct target *t)
{
	struct buf now;

	fuzz_assert(!out(t, STATE_SAVE, &now), "and can be saved");
	fuzz_assert(now.len == t->good.len && !memcmp(now.data, t->good.data, now.len),
		    "a good state is what it was");
	buf_free(&now);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in input = {data, data + size};
	const struct target *t;
	u8 what, *bytes;
	size_t len;

	if (!targets[0].kvm)
		make();
	what = (u8)fuzz_take(&input, 1);
	t = &targets[(what & 0x1f) % NR_TARGETS];
	len = what & 0x80 ? t->good.len : (size_t)(input.end - input.at);
	bytes = malloc(len);
	if (what & 0x80) {
		memcpy(bytes, t->good.data, len);
		fuzz_patch(&input, bytes, len, 256);
	} else {
		memcpy(bytes, input.at, len);
	}
	fuzz_assert(in(t, bytes, len) <= 0, "taken, or an errno");
	free(bytes);
	if (!(what & 0x40))
		look(t);
	host_bits(t);
	fuzz_assert(!in(t, t->good.data, t->good.len), "a good state is taken after a bad one");
	if (!(what & 0x20))
		compare(t);
	fake_kvm_forget_calls();
	return 0;
}

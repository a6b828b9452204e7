/* SPDX-License-Identifier: MIT */
/*
 * The state of the arm64 machine's irqchips: what was saved from one VM and restored into a new one is saved
 * from there as the same bytes, and is what the fake KVM's interrupts then are; state that is not of this
 * kind, or damaged, is refused with one line; and nothing is read or written while a vCPU runs.
 */
#include "brief.h"
#include "irqchip-state.h"
#include <stdlib.h>

/* ---- a GIC in the middle of its work ------------------------------------------------------------------ */

static u32 seed;

static u32 roll(void)
{
	seed = seed * 1103515245 + 12345;
	return seed >> 16;
}

static void scramble_irq(struct fake_irq *irq, u32 intid, bool v2, u32 cpus)
{
	u32 r = roll();

	irq->group = r & 1;
	irq->enabled = r & 2;
	irq->pending = r & 4;
	irq->active = r & 8;
	irq->priority = (u8)(roll() & 0xf8);
	if (intid >= 16)
		irq->level = r & 16;
	if (intid >= 32) {
		irq->edge = r & 32;
		/* Above 16 vCPUs an affinity has a second level. */
		irq->route = roll() & (cpus > 16 ? 0x107 : 3);
		if (v2)
			irq->targets = (u8)(roll() & ((1u << cpus) - 1));
	}
	/* Neither can the line of an edge-triggered one be seen, nor that of a GICv2's apart from its latch.
	 */
	if (irq->edge || v2)
		irq->level = false;
	if (v2 && intid < 16) {
		irq->source = irq->pending ? (u8)(1u << (r % cpus)) : 0;
	}
	if (v2)
		irq->route = 0;
}

static void scramble(void)
{
	struct fake_gic *gic = arm_fake_gic();
	bool v2 = gic->type == KVM_DEV_TYPE_ARM_VGIC_V2;
	u32 cpus = fake_kvm_newest()->nr_vcpus;

	gic->enabled = true;
	/* The same as a new one's or not; in any case it is to be written back. */
	gic->revision = 2 + (seed & 1);
	gic->groups_writable = v2;
	for (u32 i = 0; i < gic->nr_spis; i++)
		scramble_irq(&gic->spi[i], 32 + i, v2, cpus);
	for (u32 k = 0; k < cpus; k++) {
		struct fake_gic_cpu *c = &fake_arm_cpu(fake_kvm_vcpu(fake_kvm_newest(), k))->gic;

		for (u32 i = 0; i < 32; i++)
			scramble_irq(&c->irq[i], i, v2, cpus);
		c->pmr = v2 ? 0x1e : 0xf0;
		c->bpr0 = 2 + k % 3;
		c->bpr1 = 3 + k % 3;
		c->ctlr = v2 ? 0x21b : 2;
		c->apr1 = 0x80u << k % 8;
		if (!v2) {
			c->apr0 = 1u << k % 32;
			c->grpen0 = k & 1;
			c->grpen1 = 1;
		}
	}
}

/* What of the fake's interrupts is to be the same afterwards: all of it. */
struct snapshot {
	struct fake_gic gic;
	struct fake_gic_cpu cpu[130];
};

static struct snapshot *snapshot(void)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->gic = *arm_fake_gic();
	for (u32 k = 0; k < fake_kvm_newest()->nr_vcpus; k++)
		s->cpu[k] = fake_arm_cpu(fake_kvm_vcpu(fake_kvm_newest(), k))->gic;
	return s;
}

static void assert_irq(const struct fake_irq *a, const struct fake_irq *b, u32 cpu, u32 intid)
{
	if (memcmp(a, b, sizeof(*a)))
		fail_msg(
			"cpu %u, interrupt %u: group %u %u enabled %u %u pending %u %u active %u %u edge %u %u "
			"level %u %u priority %x %x targets %x %x source %x %x route %x %x",
			cpu, intid, a->group, b->group, a->enabled, b->enabled, a->pending, b->pending,
			a->active, b->active, a->edge, b->edge, a->level, b->level, a->priority, b->priority,
			a->targets, b->targets, a->source, b->source, a->route, b->route);
}

static void assert_snapshot(const struct snapshot *s)
{
	const struct fake_gic *gic = arm_fake_gic();

	assert_int_equal(gic->enabled, s->gic.enabled);
	assert_int_equal(gic->revision, s->gic.revision);
	assert_int_equal(gic->propbaser, s->gic.propbaser);
	for (u32 i = 0; i < gic->nr_spis; i++)
		assert_irq(&gic->spi[i], &s->gic.spi[i], 0, 32 + i);
	for (u32 k = 0; k < fake_kvm_newest()->nr_vcpus; k++) {
		const struct fake_gic_cpu *c = &fake_arm_cpu(fake_kvm_vcpu(fake_kvm_newest(), k))->gic;

		for (u32 i = 0; i < 32; i++)
			assert_irq(&c->irq[i], &s->cpu[k].irq[i], k, i);
		assert_memory_equal((const u8 *)c + offsetof(struct fake_gic_cpu, lpis),
				    (const u8 *)&s->cpu[k] + offsetof(struct fake_gic_cpu, lpis),
				    sizeof(*c) - offsetof(struct fake_gic_cpu, lpis));
	}
}

static void assert_round_trip(const char *irqchip, const char *cpus)
{
	struct snapshot *before;
	struct buf first, again;

	up_with(irqchip, cpus);
	scramble();
	before = snapshot();
	first = save();
	/* To save is to look and no more. */
	assert_snapshot(before);
	up_with(irqchip, cpus);
	assert_int_equal(restore(first.data, first.len), 0);
	assert_snapshot(before);
	again = save();
	assert_same(&first, &again);
	buf_free(&again);
	/* Over one that has been at work itself. */
	seed += 77;
	scramble();
	assert_int_equal(restore(first.data, first.len), 0);
	again = save();
	assert_same(&first, &again);
	buf_free(&again);
	buf_free(&first);
	free(before);
}

static void test_round_trip(void **state)
{
	static const char *const cpus[] = {"1", "2", "8"};

	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++)
		for (u32 k = 0; k < ARRAY_SIZE(cpus); k++)
			for (seed = 1; seed < 4; seed++) {
				vm_down();
				fake_kvm_reset();
				assert_round_trip(arm_chips[i].name, cpus[k]);
			}
}

/* vCPUs whose affinity has a second level, and those of a second region of redistributors. */
static void test_round_trip_many(void **state)
{
	static const char *const cpus[] = {"17", "130"};

	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++)
		for (u32 k = 0; k < rounds(ARRAY_SIZE(cpus)) && arm_chips[i].type == KVM_DEV_TYPE_ARM_VGIC_V3;
		     k++) {
			vm_down();
			fake_kvm_reset();
			seed = 5;
			assert_round_trip(arm_chips[i].name, cpus[k]);
		}
}

/* A GIC that was never touched. */
static void test_fresh(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++) {
		struct buf first, again;

		vm_down();
		fake_kvm_reset();
		up_with(arm_chips[i].name, "2");
		first = save();
		assert_int_equal(restore(first.data, first.len), 0);
		again = save();
		assert_same(&first, &again);
		buf_free(&first);
		buf_free(&again);
	}
}

/* Bits that a restore must clear are cleared: nothing is or-ed into what was there. */
static void test_clears(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++) {
		struct snapshot *quiet;
		struct buf none;

		vm_down();
		fake_kvm_reset();
		up_with(arm_chips[i].name, "2");
		/* As it will be once groups and revision are written. */
		none = save();
		assert_int_equal(restore(none.data, none.len), 0);
		quiet = snapshot();
		seed = 5;
		scramble();
		arm_fake_gic()->revision = 3;
		assert_int_equal(restore(none.data, none.len), 0);
		assert_snapshot(quiet);
		buf_free(&none);
		free(quiet);
	}
}

/* ---- refused ----------------------------------------------------------------------------------------------
 */

static void test_other_cpus(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++) {
		struct buf two;

		vm_down();
		fake_kvm_reset();
		up_with(arm_chips[i].name, "2");
		two = save();
		up_with(arm_chips[i].name, "1");
		assert_refused(two.data, two.len, -EINVAL, "nr_vcpus");
		up_with(arm_chips[i].name, "4");
		assert_refused(two.data, two.len, -EINVAL, "nr_vcpus");
		buf_free(&two);
	}
}

static void test_other_controller(void **state)
{
	struct buf v2, v3, its;

	up_with("gicv2", "1");
	v2 = save();
	up_with("gicv3", "1");
	v3 = save();
	assert_refused(v2.data, v2.len, -ENOENT, "gicv");
	up_with("gicv3-its", "1");
	its = save();
	assert_refused(v3.data, v3.len, -EINVAL, "its");
	up_with("gicv3", "1");
	assert_refused(its.data, its.len, -EINVAL, "its");
	up_with("gicv2m", "1");
	assert_refused(v3.data, v3.len, -ENOENT, "gicv");
	/* The frame for messages is no part of the kernel's GIC, but the guest's drivers know of it. */
	assert_refused(v2.data, v2.len, -EINVAL, "v2m");
	buf_free(&v2);
	buf_free(&v3);
	buf_free(&its);
}

/* Each section's version is its first word after the name: one higher, it is none of ours. */
static void test_other_versions(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++) {
		struct buf s;
		u32 sections = 0;

		vm_down();
		fake_kvm_reset();
		up_with(arm_chips[i].name, "2");
		s = save();
		for (size_t at = 0; at < s.len; sections++) {
			size_t version = at + 1 + s.data[at];
			u32 body;

			s.data[version]++;
			assert_refused(s.data, s.len, -EPROTONOSUPPORT, "version");
			s.data[version]--;
			memcpy(&body, s.data + version + 4, sizeof(body));
			at = version + 8 + body;
		}
		assert_true(sections >= 4);
		assert_int_equal(restore(s.data, s.len), 0);
		buf_free(&s);
	}
}

static void test_damaged(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++) {
		struct buf s;

		vm_down();
		fake_kvm_reset();
		up_with(arm_chips[i].name, "2");
		s = save();
		capture_begin(STDERR_FILENO);
		for (size_t n = 0; n < s.len; n += stride(n < 128 ? 1 : 61))
			assert_true(restore(s.data, n) < 0);
		/* And any byte of it wrong: refused or taken, never more. */
		for (size_t n = 0; n < s.len; n += stride(n < 256 ? 1 : 131)) {
			s.data[n] ^= 0xa5;
			if (restore(s.data, s.len) > 0)
				fail();
			s.data[n] ^= 0xa5;
		}
		capture_end();
		buf_free(&s);
	}
}

/* Values that this host's GIC does not take: one line, with the register's name. */
static void test_not_taken(void **state)
{
	struct buf s;

	up_with("gicv3", "1");
	fake_arm_cpu(fake_kvm_vcpu(fake_kvm_newest(), 0))->gic.pri_bits = 7;
	fake_arm_cpu(fake_kvm_vcpu(fake_kvm_newest(), 0))->gic.apr0 = 0;
	capture_begin(STDERR_FILENO);
	/* Seven bits of priority have four registers, which the fake's GIC of five has not. */
	s = walk(STATE_SAVE, -EINVAL);
	assert_one_line(capture_end(), "ap0r1");
	buf_free(&s);
	fake_arm_cpu(fake_kvm_vcpu(fake_kvm_newest(), 0))->gic.pri_bits = 5;
	s = save();
	fake_arm_cpu(fake_kvm_vcpu(fake_kvm_newest(), 0))->gic.pri_bits = 4;
	assert_refused(s.data, s.len, -EINVAL, "ctlr");
	buf_free(&s);
}

/* While a vCPU is inside KVM_RUN the kernel refuses, and the walk says so. */
static void look(struct fake_vcpu *vcpu, void *arg)
{
	struct buf out;

	capture_begin(STDERR_FILENO);
	out = walk(STATE_JSON, -EBUSY);
	assert_one_line(capture_end(), "lkvm: ");
	buf_free(&out);
	capture_begin(STDERR_FILENO);
	out = walk(STATE_SAVE, -EBUSY);
	assert_one_line(capture_end(), "lkvm: ");
	buf_free(&out);
	*(bool *)arg = true;
}

static void test_running(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++) {
		bool seen = false;
		const struct fake_exit script[] = {{.kind = FAKE_CALL, .call = look, .arg = &seen},
						   {.kind = FAKE_EXIT, .value = KVM_EXIT_UNKNOWN}};

		vm_down();
		fake_kvm_reset();
		up_with(arm_chips[i].name, "2");
		fake_kvm_script(0, script, ARRAY_SIZE(script));
		assert_int_equal(kvm_ioctl(vm.kvm.vcpu[0].fd, KVM_RUN, NULL), 0);
		assert_true(seen);
	}
}

/* Each attribute call of the walk made to fail. */
static void assert_each_failure(unsigned long req, bool in)
{
	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++) {
		struct buf s;
		u32 before, calls;

		vm_down();
		fake_kvm_reset();
		up_with(arm_chips[i].name, "1");
		before = fake_kvm_count(fake_ioctl_name(req));
		s = save();
		if (in)
			assert_int_equal(restore(s.data, s.len), 0);
		calls = fake_kvm_count(fake_ioctl_name(req)) - before;
		assert_true(calls > (in ? 100 : 20) || req == KVM_SET_DEVICE_ATTR);
		for (u32 n = 1; n <= calls; n += n < 40 || n + 40 > calls ? 1 : stride(23)) {
			struct buf again = {0};
			struct irqchip *chip = &vm.kvm.irqchip;
			struct state st;
			int err;

			capture_begin(STDERR_FILENO);
			fake_kvm_fail(req, n, EIO);
			state_init_out(&st, STATE_SAVE, &again);
			chip->ops->state(chip, &st);
			err = state_finish(&st, "irqchip");
			if (!err && in)
				err = restore(s.data, s.len);
			assert_one_line(capture_end(), "lkvm: ");
			assert_int_equal(err, -EIO);
			buf_free(&again);
		}
		buf_free(&s);
	}
}

static void test_each_get_fails(void **state)
{
	assert_each_failure(KVM_GET_DEVICE_ATTR, false);
}

static void test_each_set_fails(void **state)
{
	assert_each_failure(KVM_SET_DEVICE_ATTR, true);
}

/* Without attributes there is nothing to see. */
static void test_legacy(void **state)
{
	struct buf out;

	fake_kvm_set_cap(KVM_CAP_DEVICE_CTRL, 0);
	up_with("gicv2", "1");
	capture_begin(STDERR_FILENO);
	out = walk(STATE_SAVE, -ENOTSUP);
	assert_one_line(capture_end(), "no device control API");
	buf_free(&out);
}

/* ---- for people
 * --------------------------------------------------------------------------------------------- */

static void test_text(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(arm_chips); i++) {
		bool v3 = arm_chips[i].type == KVM_DEV_TYPE_ARM_VGIC_V3;
		struct fake_irq *irq;
		struct buf out;
		char *at;

		vm_down();
		fake_kvm_reset();
		up_with(arm_chips[i].name, "2");
		irq = fake_gic_irq(fake_kvm_newest(), NULL, 37);
		irq->enabled = irq->pending = irq->active = irq->level = true;
		irq->priority = 0xa0;
		irq->route = 1;
		irq->targets = 2;
		fake_gic_irq(fake_kvm_newest(), fake_kvm_vcpu(fake_kvm_newest(), 1), 27)->enabled = true;
		out = walk(STATE_JSON, 0);
		buf_add(&out, "", 1);
		at = strstr((char *)out.data, "\"spi5\"");
		assert_non_null(at);
		assert_non_null(strstr(at, "intid 37 enabled"));
		assert_non_null(strstr(at, "priority 0xa0 level"));
		assert_non_null(strstr(at, v3 ? "cpu 0.0.0.1" : "cpus 0x02"));
		assert_non_null(strstr(at, "pending active"));
		if (v3)
			assert_non_null(strstr(at, " line high"));
		assert_non_null(strstr((char *)out.data, "\"ppi11\""));
		/* What was never touched is not shown. */
		assert_null(strstr((char *)out.data, "\"spi6\""));
		assert_int_equal(arm_chips[i].its, strstr((char *)out.data, "\"cbaser\"") != NULL);
		buf_free(&out);
		out = walk(STATE_TEXT, 0);
		assert_true(out.len > 200);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARM_TEST(test_round_trip),     ARM_TEST(test_round_trip_many),
		ARM_TEST(test_fresh),	       ARM_TEST(test_clears),
		ARM_TEST(test_other_cpus),     ARM_TEST(test_other_controller),
		ARM_TEST(test_other_versions), ARM_TEST(test_damaged),
		ARM_TEST(test_not_taken),      ARM_TEST(test_running),
		ARM_TEST(test_each_get_fails), ARM_TEST(test_each_set_fails),
		ARM_TEST(test_legacy),	       ARM_TEST(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The MPIC's state: saved from one in the midst of its work, restored into a fresh one and over one that is
 * at work itself, and saved again; what was pending goes on; what does not fit is refused; what is printed.
 */
#include "e500-vm.h"

#include "brief.h"
#include "chip-state.h"
#include <stdlib.h>
#include <string.h>

#define SPURIOUS 0xffffu

static const char *const chips[] = {"mpic-4.2", "mpic-2.0"};

static void up(const char *irqchip, const char *cpus)
{
	assert_int_equal(e500_up(irqchip, cpus, "irqchip-finalize"), 0);
	/* What every guest does first. */
	fake_mpic_write(fake_kvm_newest(), GCR, GCR_RESET);
}

static u32 seed;

static u32 roll(void)
{
	seed = seed * 1103515245 + 12345;
	return seed >> 16;
}

/* An MPIC in the midst of its work, by what a guest and devices can do to it. */
static void scramble(u32 cpus, bool ipis)
{
	struct fake_vm *fake = fake_kvm_newest();

	fake_mpic_write(fake, GCR, roll() << 24 & 0x60000000);
	fake_mpic_write(fake, 0x10e0, roll());
	fake_mpic_write(fake, 0x10f0, roll());
	for (u32 n = 0; n < FAKE_MPIC_SOURCES; n++) {
		if (roll() & 1)
			continue;
		guest_enables(n, roll() << 16 | roll(), roll() << 16 | roll());
		if (mpic()->v4)
			fake_mpic_write(fake, IVPR(n) + 0x18, roll() % 3);
	}
	for (u32 n = 0; n < E500_NR_LINES; n++)
		irq_set_line(&vm.kvm, n, roll() & 1);
	for (u32 n = roll() % 20; n > 0; n--)
		fake_mpic_write(fake, 0x1740, roll() << 16);
	for (u32 n = 0; n < 4; n++) {
		fake_mpic_write(fake, IPI_IVPR(n), (roll() << 16 | roll()) & ~MASKED);
		if (ipis && roll() & 1)
			fake_mpic_write(fake, IPIDR(0, n), roll() & ((1u << cpus) - 1));
	}
	for (u32 i = 0; i < cpus; i++) {
		fake_mpic_write(fake, CTPR(i), roll() & 15);
		if (roll() & 1)
			fake_mpic_accept(fake, i);
	}
}

static void assert_saved_again(const struct buf *first)
{
	struct buf again;

	assert_int_equal(restore(first->data, first->len), 0);
	again = save();
	assert_same(first, &again);
	buf_free(&again);
}

static void assert_round_trip(const char *irqchip, const char *cpus)
{
	u32 n = (u32)atoi(cpus);
	struct fake_mpic was;
	struct buf first, again;

	up(irqchip, cpus);
	scramble(n, true);
	was = *mpic();
	first = save();
	/* The VM that was saved goes on as it was: its messages too, which reading takes away. */
	assert_memory_equal(mpic(), &was, sizeof(was));
	again = save();
	assert_same(&first, &again);
	buf_free(&again);
	up(irqchip, cpus);
	assert_saved_again(&first);
	for (u32 i = 0; i < FAKE_MPIC_SOURCES; i++) {
		assert_int_equal(mpic()->src[i].ivpr, was.src[i].ivpr);
		assert_int_equal(mpic()->src[i].idr, was.src[i].idr);
		assert_int_equal(mpic()->src[i].ilr, was.src[i].ilr);
		assert_int_equal(mpic()->src[i].pending, was.src[i].pending);
	}
	assert_memory_equal(mpic()->msir, was.msir, sizeof(was.msir));
	assert_memory_equal(mpic()->ctpr, was.ctpr, n);
	assert_int_equal(mpic()->gcr, was.gcr);
	assert_int_equal(mpic()->svr, was.svr);
	assert_int_equal(mpic()->tfrr, was.tfrr);
	/* Over one that has been at work: what it has pending of its own is gone. */
	seed += 77;
	scramble(n, false);
	assert_saved_again(&first);
	buf_free(&first);
}

static void test_round_trip(void **state)
{
	static const char *const cpus[] = {"1", "2", "15"};

	for (u32 i = 0; i < ARRAY_SIZE(chips); i++)
		for (u32 k = 0; k < ARRAY_SIZE(cpus); k++)
			for (seed = 1; seed < 3; seed++) {
				e500_again();
				assert_round_trip(chips[i], cpus[k]);
			}
}

/* One that no guest has touched. */
static void test_untouched(void **state)
{
	struct buf saved;

	assert_int_equal(e500_up("mpic-4.2", "2", "irqchip-finalize"), 0);
	saved = save();
	assert_int_equal(e500_up("mpic-4.2", "2", "irqchip-finalize"), 0);
	assert_saved_again(&saved);
	buf_free(&saved);
}

/* ---- what was under way goes on ------------------------------------------------------------------------ */

static void carry_over(const char *irqchip, const char *cpus)
{
	struct buf saved = save();

	up(irqchip, cpus);
	assert_int_equal(restore(saved.data, saved.len), 0);
	buf_free(&saved);
}

static void test_edge_goes_on(void **state)
{
	up("mpic-4.2", "1");
	guest_enables(3, VECTOR(8, 0x33), 1);
	irq_set_line(&vm.kvm, 3, true);
	irq_set_line(&vm.kvm, 3, false);
	carry_over("mpic-4.2", "1");
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), SPURIOUS); /* no priority is above 15 */
	fake_mpic_write(fake_kvm_newest(), CTPR(0), 0);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), 0x33);
	fake_mpic_eoi(fake_kvm_newest(), 0);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), SPURIOUS);
}

static void test_level_goes_on(void **state)
{
	up("mpic-2.0", "2");
	fake_mpic_write(fake_kvm_newest(), CTPR(1), 0);
	guest_enables(E500_IRQ_SCRATCH, VECTOR(8, 0x77), 2);
	irq_set_line(&vm.kvm, E500_IRQ_SCRATCH, true);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 1), 0x77);
	/* In service, which nobody can read: it comes once more, and its end is taken. */
	carry_over("mpic-2.0", "2");
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), SPURIOUS);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 1), 0x77);
	irq_set_line(&vm.kvm, E500_IRQ_SCRATCH, false);
	fake_mpic_eoi(fake_kvm_newest(), 1);
	fake_mpic_eoi(fake_kvm_newest(), 1);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 1), SPURIOUS);
}

static void test_messages_go_on(void **state)
{
	up("mpic-4.2", "1");
	fake_mpic_write(fake_kvm_newest(), CTPR(0), 0);
	guest_enables(E500_IRQ_MSI + 2, VECTOR(8, 0x99), 1);
	fake_mpic_write(fake_kvm_newest(), 0x1740, 2u << 29 | 9u << 24);
	fake_mpic_write(fake_kvm_newest(), 0x1740, 2u << 29 | 30u << 24);
	carry_over("mpic-4.2", "1");
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), 0x99);
	assert_int_equal(fake_mpic_read(fake_kvm_newest(), MSIR(2)), 1u << 9 | 1u << 30);
	fake_mpic_eoi(fake_kvm_newest(), 0);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), SPURIOUS);
}

/* An inter-processor interrupt that one of two has taken: both get it, rather than none. */
static void test_ipis_go_on(void **state)
{
	up("mpic-4.2", "2");
	fake_mpic_write(fake_kvm_newest(), CTPR(0), 0);
	fake_mpic_write(fake_kvm_newest(), CTPR(1), 0);
	fake_mpic_write(fake_kvm_newest(), IPI_IVPR(1), VECTOR(10, 0xfb));
	fake_mpic_write(fake_kvm_newest(), IPI_IVPR(2), VECTOR(10, 0xfc));
	fake_mpic_write(fake_kvm_newest(), IPIDR(0, 1), 3);
	assert_int_equal(fake_mpic_accept(fake_kvm_newest(), 0), 0xfb);
	carry_over("mpic-4.2", "2");
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(fake_mpic_accept(fake_kvm_newest(), i), 0xfb);
		fake_mpic_eoi(fake_kvm_newest(), i);
		assert_int_equal(fake_mpic_accept(fake_kvm_newest(), i), SPURIOUS);
	}
}

/* No vCPU is interrupted before all is in place: the priorities are the last that is restored. */
static void test_order(void **state)
{
	const u32 reg = KVM_DEV_MPIC_GRP_REGISTER;
	struct buf saved;
	int at;

	up("mpic-4.2", "2");
	fake_mpic_write(fake_kvm_newest(), CTPR(1), 0);
	guest_enables(E500_IRQ_SCRATCH, VECTOR(8, 0x77), 2);
	saved = save();
	up("mpic-4.2", "2");
	fake_kvm_forget_calls();
	assert_int_equal(restore(saved.data, saved.len), 0);
	buf_free(&saved);
	assert_int_equal(fake_kvm_find("KVM_SET_DEVICE_ATTR", FAKE_ATTR(reg, GCR)), 0);
	at = fake_kvm_last("KVM_SET_DEVICE_ATTR");
	assert_int_equal(fake_kvm_call((u32)at).arg, FAKE_ATTR(reg, CTPR(1)));
	assert_int_equal(fake_kvm_call((u32)at - 1).arg, FAKE_ATTR(reg, CTPR(0)));
	assert_int_equal(mpic()->ctpr[1], 0);
}

/* ---- refused ------------------------------------------------------------------------------------------- */

static void test_refused(void **state)
{
	struct buf saved;

	up("mpic-4.2", "2");
	saved = save();
	up("mpic-2.0", "2");
	assert_refused(saved.data, saved.len, -EINVAL, "brr1: saved with 0x400402, this VM has 0x400200");
	up("mpic-4.2", "3");
	assert_refused(saved.data, saved.len, -EINVAL, "frr: saved with 0xc30102, this VM has 0xc30202");
	/* Another version of the state: its number follows the length and the name. */
	up("mpic-4.2", "2");
	saved.data[1 + saved.data[0]]++;
	assert_refused(saved.data, saved.len, -EPROTONOSUPPORT, "mpic");
	saved.data[1 + saved.data[0]]--;
	/* Another controller's. */
	saved.data[1] = 'x';
	assert_refused(saved.data, saved.len, -ENOENT, "mpic");
	saved.data[1] = 'm';
	/* Cut anywhere, and with something behind. */
	for (size_t len = 0; len < saved.len; len += stride(len < 64 ? 1 : 31)) {
		capture_begin(STDERR_FILENO);
		assert_true(restore(saved.data, len) < 0);
		assert_one_line(capture_end(), "irqchip");
	}
	buf_add(&saved, "x", 1);
	assert_refused(saved.data, saved.len, -EBADMSG, "irqchip");
	assert_int_equal(restore(saved.data, saved.len - 1), 0);
	buf_free(&saved);
}

/* Values that no MPIC ever had: the kernel keeps what it can, and nobody falls over. */
static void test_hostile(void **state)
{
	struct buf saved;

	up("mpic-2.0", "1");
	saved = save();
	for (size_t i = 0; i < saved.len; i += stride(i < 64 ? 1 : 257))
		for (u32 k = 0; k < 2; k++) {
			u8 was = saved.data[i];

			saved.data[i] = k ? 0xff : (u8)(was ^ 0x81);
			capture_begin(STDERR_FILENO);
			(void)!restore(saved.data, saved.len);
			capture_end();
			saved.data[i] = was;
		}
	assert_int_equal(restore(saved.data, saved.len), 0);
	buf_free(&saved);
}

/* A call that fails in the midst of it: one line. */
static void test_calls_fail(void **state)
{
	const u64 attrs[] = {FAKE_ATTR(KVM_DEV_MPIC_GRP_REGISTER, IVPR(77)),
			     FAKE_ATTR(KVM_DEV_MPIC_GRP_IRQ_ACTIVE, 200),
			     FAKE_ATTR(KVM_DEV_MPIC_GRP_REGISTER, CTPR(1))};
	static const char *const says[] = {"ivpr", "active", "ctpr1"};
	struct buf saved, none;
	u32 calls;

	up("mpic-4.2", "2");
	saved = save();
	for (u32 i = 0; i < ARRAY_SIZE(attrs); i++) {
		e500_again();
		up("mpic-4.2", "2");
		fake_kvm_fail_arg(KVM_GET_DEVICE_ATTR, attrs[i], ENXIO);
		capture_begin(STDERR_FILENO);
		none = walk(STATE_SAVE, -ENXIO);
		assert_one_line(capture_end(), says[i]);
		buf_free(&none);
		e500_again();
		up("mpic-4.2", "2");
		fake_kvm_fail_arg(KVM_SET_DEVICE_ATTR, attrs[i], EINVAL);
		assert_refused(saved.data, saved.len, -EINVAL, i == 2 ? "ctpr" : says[i]);
	}
	/* And no more is asked of the kernel after the first failure. */
	e500_again();
	up("mpic-4.2", "2");
	fake_kvm_fail_arg(KVM_SET_DEVICE_ATTR, attrs[0], EINVAL);
	fake_kvm_forget_calls();
	capture_begin(STDERR_FILENO);
	assert_int_equal(restore(saved.data, saved.len), -EINVAL);
	capture_end();
	calls = fake_kvm_nr_calls();
	assert_true(fake_kvm_call(calls - 1).injected);
	buf_free(&saved);
}

/* ---- printed ---------------------------------------------------------------------------------------- */

static void assert_says(const struct buf *text, const char *want)
{
	if (!strstr((const char *)text->data, want))
		fail_msg("\"%s\" is not in:\n%s", want, (const char *)text->data);
}

static void assert_silent(const struct buf *text, const char *want)
{
	if (strstr((const char *)text->data, want))
		fail_msg("\"%s\" is in:\n%s", want, (const char *)text->data);
}

static struct buf print(void)
{
	struct buf text = walk(STATE_TEXT, 0);

	buf_add(&text, "", 1);
	return text;
}

static void test_print(void **state)
{
	struct fake_mpic was;
	struct buf text;

	up("mpic-4.2", "2");
	fake_mpic_write(fake_kvm_newest(), CTPR(1), 7);
	guest_enables(E500_IRQ_UART(0), VECTOR(8, 0x28), 2);
	guest_enables(5, VECTOR(3, 0x55) | LEVEL | MASKED, 1);
	guest_enables(6, VECTOR(3, 0x66), 1);
	fake_mpic_write(fake_kvm_newest(), IVPR(6) + 0x18, 1);
	irq_set_line(&vm.kvm, E500_IRQ_UART(0), true);
	fake_mpic_write(fake_kvm_newest(), 0x1740, 2u << 29 | 9u << 24);
	was = *mpic();
	text = print();
	/* Looking changes nothing. */
	assert_memory_equal(mpic(), &was, sizeof(was));
	assert_says(&text, "brr1: 0x400402\n");
	assert_says(&text, "source 40 vector 40 priority 8 enabled level cpus 0x2 line high pending");
	assert_silent(&text, "source5:");
	assert_says(&text, "source 6 vector 102 priority 3 enabled edge cpus 0x1 to a critical output");
	assert_says(&text, "msi2");
	assert_says(&text, "source 226 vector 0 priority 0 masked level cpus 0x1 line high");
	assert_says(&text, "ctpr1");
	/* Sources that nobody touched. */
	assert_silent(&text, "source41");
	assert_silent(&text, "msi3");
	buf_free(&text);
	text = walk(STATE_JSON, 0);
	assert_true(text.len > 0);
	buf_free(&text);
	up("mpic-2.0", "2");
	guest_enables(7, VECTOR(3, 0x66), 1u << 30);
	text = print();
	assert_says(&text, "source 7 vector 102 priority 3 enabled edge cpus 0x0 to a critical output");
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		E500_TEST(test_round_trip),    E500_TEST(test_untouched),      E500_TEST(test_edge_goes_on),
		E500_TEST(test_level_goes_on), E500_TEST(test_messages_go_on), E500_TEST(test_ipis_go_on),
		E500_TEST(test_order),	       E500_TEST(test_refused),	       E500_TEST(test_hostile),
		E500_TEST(test_calls_fail),    E500_TEST(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

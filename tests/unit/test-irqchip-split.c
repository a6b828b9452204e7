/* SPDX-License-Identifier: MIT */
/*
 * x86/irqchip-split.c on the fake KVM: what becomes of a line at the I/O APIC and at the PICs, how the PICs'
 * INT gets into a vCPU, its state, and any accesses at all.
 */
/* WRAP: clock_gettime event_timer_set */
#include "split-vm.h"

/* ---- PICs and vCPU -------------------------------------------------------------------------- */

static void test_injection(void **state)
{
	pic_init(0);
	assert_int_equal(atomic_load(&bsp->requests) & VCPU_INJECT, 0);
	enter(true);
	assert_int_equal(injected(), -1);
	assert_false(bsp->run->request_interrupt_window);

	up(4);
	assert_true(atomic_load(&bsp->requests) & VCPU_INJECT);
	assert_true(bsp->run->immediate_exit);
	/* The guest cannot take it: tell us when. */
	enter(false);
	assert_int_equal(injected(), -1);
	assert_true(bsp->run->request_interrupt_window);
	bsp->run->ready_for_interrupt_injection = true; /* ... with interrupts off */
	kvm->machine->vcpu_enter(bsp);
	assert_int_equal(injected(), -1);
	enter(true);
	assert_int_equal(injected(), 0x34);
	assert_false(bsp->run->request_interrupt_window);
	/* It is in service; nothing more. */
	assert_int_equal(take(), -1);
	down(4);
	outb(0x20, 0x20);
	assert_int_equal(take(), -1);
}

static void test_two_and_none(void **state)
{
	pic_init(0);
	up(12);
	up(1);
	enter(true);
	assert_int_equal(injected(), 0x31);
	assert_false(bsp->run->request_interrupt_window); /* 12 is below it */
	up(0);
	enter(true);
	assert_int_equal(injected(), 0x30);
	up(3);
	outb(0x20, 0x61);
	outb(0x20, 0x60);
	enter(true);
	assert_int_equal(injected(), 0x3c);
	outb(0x20, 0x62);
	/* One is injected, and the next waits for the window. */
	outb(0x21, 0);
	outb(0x20, 0x68);
	enter(true);
	assert_int_equal(injected(), 0x33);
	down(1);
	up(1);
	enter(false);
	assert_true(bsp->run->request_interrupt_window);
	/* It goes before it is taken: nobody hears of it. */
	outb(0x21, 0x02);
	enter(true);
	assert_int_equal(injected(), -1);
	assert_false(bsp->run->request_interrupt_window);
}

static void test_other_vcpus(void **state)
{
	struct vcpu *ap = &kvm->vcpu[1];

	pic_init(0);
	up(4);
	ap->run->ready_for_interrupt_injection = ap->run->if_flag = 1;
	kvm->machine->vcpu_enter(ap);
	assert_int_equal(fake_kvm_count("KVM_INTERRUPT"), 0);
	assert_int_equal(atomic_load(&ap->requests), 0);
}

static void test_elcr(void **state)
{
	pic_init(0);
	outb(0x4d0, 0xff);
	outb(0x4d1, 0xff);
	assert_int_equal(inb(0x4d0), 0xf8);
	assert_int_equal(inb(0x4d1), 0xde);
	up(11);
	assert_int_equal(take(), 0x3b);
	outb(0xa0, 0x20);
	outb(0x20, 0x20);
	assert_int_equal(take(), 0x3b);
	down(11);
	outb(0xa0, 0x20);
	outb(0x20, 0x20);
	assert_int_equal(take(), -1);
}

/* Wider accesses reach the chips byte by byte. */
static void test_wide(void **state)
{
	u8 four[4] = {0x0a, 0x5a, 0, 0};

	bus_access(kvm, NULL, BUS_PIO, 0x20, four, 2, true);
	assert_int_equal(inb(0x21), 0x5a);
	bus_access(kvm, NULL, BUS_PIO, 0x20, four, 4, false);
	assert_int_equal(four[1], 0x5a);
	assert_int_equal(four[2] & four[3], 0xff);
}

/* ---- I/O APIC ------------------------------------------------------------------------------- */

static void test_edges(void **state)
{
	up(5);
	down(5);
	assert_int_equal(msis(), 0);
	set_entry(5, 0x55);
	assert_int_equal(routes(), 1);
	assert_int_equal(msis(), 0); /* an edge that passed while masked is gone */
	up(5);
	assert_int_equal(msis(), 1);
	assert_int_equal(last_vector(), 0x55);
	up(5);
	assert_int_equal(msis(), 1);
	down(5);
	up(5);
	assert_int_equal(msis(), 2);
	assert_int_equal(entry(5), 0x55);
	/* Unmasked while high: no edge. */
	set_entry(5, MASKED | 0x55);
	assert_int_equal(routes(), 0);
	set_entry(5, 0x55);
	assert_int_equal(msis(), 2);
	/* Either polarity: the line's level is the logical one. */
	down(5);
	set_entry(5, LOW_ACTIVE | 0x55);
	assert_int_equal(msis(), 2);
	up(5);
	assert_int_equal(msis(), 3);
}

static void test_levels(void **state)
{
	up(10);
	set_entry(10, MASKED | LEVEL | LOW_ACTIVE | 0x6a);
	assert_int_equal(msis(), 0);
	set_entry(10, LEVEL | LOW_ACTIVE | 0x6a);
	assert_int_equal(msis(), 1); /* it rose while masked */
	assert_int_equal(entry(10), REMOTE_IRR | LEVEL | LOW_ACTIVE | 0x6a);
	down(10);
	up(10);
	assert_int_equal(msis(), 1); /* being served */
	eoi(0x6b);
	assert_true(entry(10) & REMOTE_IRR);
	eoi(0x6a);
	assert_int_equal(msis(), 2); /* and still high */
	down(10);
	eoi(0x6a);
	assert_int_equal(msis(), 2);
	assert_false(entry(10) & REMOTE_IRR);
	/* By the EOI register. */
	up(10);
	assert_int_equal(msis(), 3);
	mmio(IOAPIC + 0x40, &(u32){0x6a}, true);
	assert_int_equal(msis(), 4);
	/* Remote IRR is not the guest's to set, and goes with a change to edge. */
	set_entry(10, REMOTE_IRR | MASKED | 0x6a);
	assert_int_equal(entry(10), MASKED | 0x6a);
	down(10);
	set_entry(10, REMOTE_IRR | LEVEL | 0x6a);
	assert_int_equal(entry(10), LEVEL | 0x6a);
}

/* Linux masks a threaded handler's interrupt while it is served: KVM must go on to report its end. */
static void test_masked_while_served(void **state)
{
	u32 sets;

	set_entry(10, LEVEL | 0x6a);
	up(10);
	sets = fake_kvm_vm(0)->nr_route_sets;
	set_entry(10, MASKED | LEVEL | 0x6a);
	assert_int_equal(routes(), 1);
	eoi(0x6a);
	assert_int_equal(msis(), 1);
	assert_int_equal(entry(10), MASKED | LEVEL | 0x6a);
	set_entry(10, LEVEL | 0x6a);
	assert_int_equal(msis(), 2);			       /* still high */
	assert_int_equal(fake_kvm_vm(0)->nr_route_sets, sets); /* and no grace period was paid for it */
	down(10);
	eoi(0x6a);
	set_entry(10, MASKED | LEVEL | 0x6a);
	assert_int_equal(routes(), 0);
}

static void test_not_taken(void **state)
{
	set_entry(10, LEVEL | 0x6a);
	fake_kvm_fail(KVM_SIGNAL_MSI, 1, EINVAL);
	up(10);
	assert_false(entry(10) & REMOTE_IRR); /* no end of it will ever come */
	set_entry(10, LEVEL | 0x6a);
	assert_int_equal(msis(), 1);
	assert_true(entry(10) & REMOTE_IRR);
}

static void test_both_chips(void **state)
{
	pic_init(0);
	for (u32 line = 0; line < 24; line++) {
		u32 before = msis();

		set_entry(line, 0x50 + line);
		up(line);
		down(line);
		assert_int_equal(msis(), before + 1);
		assert_int_equal(last_vector(), 0x50 + line);
		set_entry(line, MASKED);
		assert_int_equal(take(), line < 16 && line != 2 ? (int)(0x30 + line) : -1);
		outb(0xa0, 0x20);
		outb(0x20, 0x20);
	}
	irq_set_line(kvm, 24, true);
	irq_set_line(kvm, 1000, true);
}

static void test_registers(void **state)
{
	assert_int_equal(ioapic_read(0), 2u << 24);
	assert_int_equal(ioapic_read(1), 23 << 16 | 0x20);
	ioapic_write(0, 0xffffffff);
	assert_int_equal(ioapic_read(0), 0x0f000000);
	assert_int_equal(ioapic_read(2), 0x0f000000);
	for (u32 pin = 0; pin < 24; pin++) {
		assert_int_equal(entry(pin), MASKED);
		ioapic_write(0x11 + 2 * pin, 0xffffffff);
		set_entry(pin, 0xffffffff);
		assert_int_equal(ioapic_read(0x11 + 2 * pin), 0xffff0000);
		assert_int_equal(entry(pin), 0x1afff);
		set_entry(pin, MASKED);
	}
	ioapic_write(0x40, 0);
	assert_int_equal(ioapic_read(0x40), 0);
	assert_int_equal(routes(), 0);
}

/* ---- state, and whatever may come ----------------------------------------------------------- */

static void save(enum state_mode mode, struct buf *out)
{
	struct state s;

	state_init_out(&s, mode, out);
	assert_int_equal(kvm->irqchip.ops->state(&kvm->irqchip, &s), 0);
	assert_int_equal(state_finish(&s, "irqchip"), 0);
}

static int restore(const struct buf *saved)
{
	struct state s;

	state_init_in(&s, saved->data, saved->len);
	kvm->irqchip.ops->state(&kvm->irqchip, &s);
	return s.err;
}

static u32 count_of(const struct buf *b, const char *what)
{
	size_t len = strlen(what);
	u32 n = 0;

	for (size_t i = 0; i + len <= b->len; i++)
		n += !memcmp(b->data + i, what, len);
	return n;
}

static void test_state(void **state)
{
	struct buf saved = {0}, again = {0}, json = {0};

	pit_program(1193);
	pic_init(0xffee);
	set_entry(10, LEVEL | 0x6a);
	up(10);
	up(4);
	save(STATE_SAVE, &saved);
	/* Another life. */
	outb(0x43, 0x30);
	pic_init(0xffff);
	set_entry(10, MASKED);
	enter(false);
	assert_int_equal(timer_ns, 0);
	assert_int_equal(restore(&saved), 0);
	save(STATE_SAVE, &again);
	assert_int_equal(saved.len, again.len);
	assert_memory_equal(saved.data, again.data, saved.len);
	assert_true(timer_ns);
	assert_int_equal(routes(), 1);
	assert_int_equal(take(), 0x34);
	eoi(0x6a);
	assert_int_equal(msis(), 2);

	save(STATE_JSON, &json);
	for (u32 pin = 0; pin < 24; pin++) {
		char key[32];

		snprintf(key, sizeof(key), "\"redirection%u\"", pin);
		assert_int_equal(count_of(&json, key), 1);
	}
	assert_int_equal(count_of(&json, "\"pic0\""), 1);
	assert_int_equal(count_of(&json, "\"pic1\""), 1);
	assert_int_equal(count_of(&json, "\"pit\""), 1);
	buf_free(&saved);
	buf_free(&again);
	buf_free(&json);
}

static u64 rnd(void)
{
	static u64 x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static void storm_one(void)
{
	static const u16 ports[] = {0x1f, 0x20, 0x21, 0x40, 0x41, 0x42, 0x43, 0x61, 0xa0, 0xa1, 0x4d0, 0x4d1};
	u64 r = rnd();
	u8 data[8];

	memcpy(data, &r, sizeof(data));
	now += rnd() & ((1ull << (r >> 8 & 31)) - 1);
	switch (r & 7) {
	case 0 ... 2:
		bus_access(kvm, NULL, BUS_PIO, ports[(r >> 16) % ARRAY_SIZE(ports)], data, 1 + (r >> 24 & 3),
			   r >> 32 & 3);
		break;
	case 3:
		bus_access(kvm, NULL, BUS_MMIO, IOAPIC + (r >> 16 & 0x57), data, 1 + (r >> 24 & 7),
			   r >> 32 & 3);
		break;
	case 4:
		irq_set_line(kvm, r >> 16 & 31, r >> 24 & 1);
		break;
	case 5:
		eoi(r >> 16 & 0xff);
		break;
	case 6:
		if (timer && timer_ns)
			fire();
		break;
	default:
		enter(r >> 16 & 1);
		injected();
	}
}

static void test_storm(void **state)
{
	for (u32 i = 0; i < 100000; i++)
		storm_one();
	/* A kernel that starts now finds what it wants. */
	for (u32 line = 0; line < 24; line++) {
		down(line);
		set_entry(line, MASKED);
	}
	outb(0x4d0, 0);
	outb(0x4d1, 0);
	pit_program(1193);
	pic_init(0xfffe);
	outb(0x20, 0xc7);
	outb(0x20, 0x48);
	take();
	outb(0x20, 0x20);
	fire();
	assert_int_equal(take(), 0x30);
}

static void test_hostile_state(void **state)
{
	struct buf saved = {0};

	pit_program(1193);
	pic_init(0xffee);
	save(STATE_SAVE, &saved);
	for (u32 i = 0; i < 1000; i++) {
		size_t at = rnd() % saved.len;
		u8 was = saved.data[at];

		saved.data[at] = (u8)rnd();
		restore(&saved);
		for (u32 k = 0; k < 20; k++)
			storm_one();
		saved.data[at] = was;
	}
	buf_free(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_injection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_and_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_vcpus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_elcr, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wide, setup, teardown),
		cmocka_unit_test_setup_teardown(test_edges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_masked_while_served, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_both_chips, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_storm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_state, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

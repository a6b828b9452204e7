/* SPDX-License-Identifier: MIT */
/*
 * state-roundtrip [--pmu] CHIP PAYLOAD [OTHER-CHIP...]: a guest goes from one VM into another, on the real
 * KVM. The payload (tests/guest/arm/payload/state.c) brings interrupts into all kinds of states and holds
 * still; here VM A is paused and saved (devices, irqchip, vCPUs, RAM), VM B of the same config is made and
 * restored, saved again and compared byte for byte; then B runs on, and the payload checks what it finds. And
 * what must be refused is: state of another version, another number of vCPUs, another controller, damaged
 * state.
 *
 * Order: RAM before the irqchip, for an ITS finds its tables there; the irqchip before the devices, which
 * drive their lines anew: a GICv2 of KVM's does not tell the levels of lines, and must know by then which
 * have some. Saving is the other way round.
 */
#include "prog.h"

#include <errno.h>
#include <lkvm/console.h>
#include <lkvm/device.h>
#include <lkvm/kvm-device.h>
#include <lkvm/machine.h>
#include <lkvm/state.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPUS	   4
#define MAILBOX	   0x83000000ull /* as in the payload: ready, go */
#define POLL_NS	   20000000ull
#define BOUND_NS   150000000000ull
#define SECTION_AT 1u /* the name, behind its length */

struct saved {
	struct buf irqchip, vcpu[CPUS], devices;
	void *ram;
	u64 ram_size;
	u64 counter; /* of vCPU 0, when it was saved */
};

static const char *chip, *payload;
static u32 cpus = CPUS;
static bool pmu; /* vCPUs have performance counters */

/* ---- VMs ------------------------------------------------------------------------------------ */

static void make_config(struct vm_config *cfg, const char *name, const char *irqchip, u32 nr_cpus)
{
	char count[16];
	const char *const arguments[] = {"-k", payload, "--nodefaults",	      "--testdev", "-m",     "64",
					 "-c", count,	"--irqchip",	      irqchip,	   "--name", name,
					 "-p", "state", pmu ? "--pmu" : NULL, NULL};

	snprintf(count, sizeof(count), "%u", nr_cpus);
	configure(cfg, arguments);
	cfg->name = name;
}

/* A VM that is whole, but never ran; NULL ends the program. */
static struct kvm *make_vm(struct vm_config *cfg)
{
	struct kvm *kvm = calloc(1, sizeof(*kvm));

	if (!kvm || kvm_up(kvm, cfg, "boot")) {
		result(false, "a VM with %s", cfg->irqchip);
		exit(1);
	}
	return kvm;
}

static void end_vm(struct kvm *kvm)
{
	kvm_down(kvm);
	free(kvm);
}

static u32 mailbox(const struct kvm *kvm, u32 index)
{
	u32 v = 0;

	return guest_read(&kvm->mem, MAILBOX + 4 * index, &v, sizeof(v)) ? 0 : v;
}

static void look_for_ready(struct event_timer *timer)
{
	struct kvm *kvm = timer->arg;

	if (mailbox(kvm, 0))
		event_stop(&kvm->loop);
}

static void out_of_time(struct event_timer *timer)
{
	kvm_end(timer->arg, VM_TIMEOUT, 0);
}

/* The loop of a VM that runs, with a bound. */
static void run_loop(struct kvm *kvm, bool until_ready)
{
	struct event_timer bound = {0}, ready = {0};
	int err = event_timer_init(&kvm->loop, &bound, out_of_time, kvm);

	event_timer_set(&bound, BOUND_NS, 0);
	if (!err && until_ready) {
		err = event_timer_init(&kvm->loop, &ready, look_for_ready, kvm);
		event_timer_set(&ready, POLL_NS, POLL_NS);
	}
	if (err || event_run(&kvm->loop))
		result(false, "the event loop");
	event_timer_destroy(&kvm->loop, &ready);
	event_timer_destroy(&kvm->loop, &bound);
}

/* ---- saving and restoring ------------------------------------------------------------------- */

typedef int (*walk_fn)(void *object, struct state *s);

static int walk_irqchip(void *object, struct state *s)
{
	struct irqchip *c = object;

	return c->ops->state(c, s);
}

static int walk_vcpu(void *object, struct state *s)
{
	struct vcpu *vcpu = object;

	return vcpu->kvm->machine->vcpu_state(vcpu, s);
}

/* All but the clock, which says something else every second. */
static int walk_devices(void *object, struct state *s)
{
	struct kvm *kvm = object;
	struct device *dev;

	list_for_each (dev, &kvm->devices, link) {
		if (!dev->ops->state || !strncmp(dev->name, "rtc", 3))
			continue;
		device_lock(dev);
		dev->ops->state(dev, s);
		device_unlock(dev);
	}
	return s->err;
}

static int out(enum state_mode mode, walk_fn walk, void *object, struct buf *to, const char *what)
{
	struct state s;

	state_init_out(&s, mode, to);
	walk(object, &s);
	return state_finish(&s, what);
}

static int in(walk_fn walk, void *object, const struct buf *from, const char *what)
{
	struct state s;

	state_init_in(&s, from->data, from->len);
	walk(object, &s);
	return state_finish(&s, what);
}

/* The one bank that is RAM of the guest's. */
static void *ram(const struct kvm *kvm, u64 *size)
{
	for (u32 i = 0; i < kvm->mem.nr_banks; i++) {
		if (kvm->mem.bank[i].foreign)
			continue;
		*size = kvm->mem.bank[i].size;
		return kvm->mem.bank[i].hva;
	}
	return NULL;
}

static void save(struct kvm *kvm, struct saved *to)
{
	int err;

	memset(to, 0, sizeof(*to));
	for (u32 i = 0; i < kvm->nr_vcpus; i++) {
		err = out(STATE_SAVE, walk_vcpu, &kvm->vcpu[i], &to->vcpu[i], "vcpu");
		result_err(err, 0, "%s: vCPU %u is saved", kvm->cfg->name, i);
	}
	err = out(STATE_SAVE, walk_irqchip, &kvm->irqchip, &to->irqchip, "irqchip");
	result_err(err, 0, "%s: the irqchip is saved", kvm->cfg->name);
	err = out(STATE_SAVE, walk_devices, kvm, &to->devices, "devices");
	result_err(err, 0, "%s: the devices are saved", kvm->cfg->name);
	/* Last: to save an ITS is to have it write its tables. */
	to->ram = ram(kvm, &to->ram_size);
	if (to->ram) {
		void *copy = malloc(to->ram_size);

		if (copy)
			memcpy(copy, to->ram, to->ram_size);
		to->ram = copy;
	}
	result(to->ram, "%s: RAM is saved", kvm->cfg->name);
}

static void restore(struct kvm *kvm, const struct saved *from)
{
	u64 size;
	void *to = ram(kvm, &size);
	int err;

	if (!to || !from->ram || size != from->ram_size) {
		result(false, "%s: RAM is restored", kvm->cfg->name);
		exit(1);
	}
	memcpy(to, from->ram, size);
	for (u32 i = 0; i < kvm->nr_vcpus; i++) {
		err = in(walk_vcpu, &kvm->vcpu[i], &from->vcpu[i], "vcpu");
		result_err(err, 0, "%s: vCPU %u is restored", kvm->cfg->name, i);
	}
	err = in(walk_irqchip, &kvm->irqchip, &from->irqchip, "irqchip");
	result_err(err, 0, "%s: the irqchip is restored", kvm->cfg->name);
	err = in(walk_devices, kvm, &from->devices, "devices");
	result_err(err, 0, "%s: the devices are restored", kvm->cfg->name);
}

static void free_saved(struct saved *s)
{
	buf_free(&s->irqchip);
	buf_free(&s->devices);
	for (u32 i = 0; i < CPUS; i++)
		buf_free(&s->vcpu[i]);
	free(s->ram);
}

/* ---- comparing ------------------------------------------------------------------------------ */

/* Where a register's value is in a vCPU's saved ones, behind its number. */
static u64 *find_register(struct buf *b, u64 id)
{
	for (size_t i = 0; i + 16 <= b->len; i++)
		if (!memcmp(b->data + i, &id, sizeof(id)))
			return (u64 *)(void *)(b->data + i + 8);
	return NULL;
}

/*
 * Time goes on while a VM is saved: the virtual counter is taken out of a vCPU's saved registers, and whether
 * it is beyond the timer's mark (CNTV_CTL_EL0.ISTATUS). The counter, or 0.
 */
static u64 take_time(struct buf *b)
{
	u64 *counter = find_register(b, KVM_REG_ARM_TIMER_CNT),
	    *ctl = find_register(b, KVM_REG_ARM_TIMER_CTL);
	u64 value = 0;

	if (ctl) {
		memcpy(&value, ctl, sizeof(value));
		value &= ~4ull;
		memcpy(ctl, &value, sizeof(value));
	}
	if (!counter)
		return 0;
	memcpy(&value, counter, sizeof(value));
	memset(counter, 0, sizeof(value));
	return value;
}

static void compare(const struct buf *a, const struct buf *b, const char *what)
{
	size_t i = 0, least = a->len < b->len ? a->len : b->len;

	while (i < least && a->data[i] == b->data[i])
		i++;
	result(a->len == b->len && i == a->len, "%s: %zu bytes, the same when saved again", what, a->len);
	if (a->len != b->len || i != a->len)
		diag("%zu and %zu bytes, the first difference at %zu: 0x%02x, 0x%02x", a->len, b->len, i,
		     i < a->len ? a->data[i] : 0, i < b->len ? b->data[i] : 0);
}

static void compare_ram(const struct saved *a, const struct saved *b)
{
	const u8 *p = a->ram, *q = b->ram;
	u64 i = 0;

	while (i < a->ram_size && p[i] == q[i])
		i++;
	result(i == a->ram_size,
	       "RAM, with the tables that the irqchip keeps there: the same when saved again");
	if (i < a->ram_size)
		diag("the first difference at 0x%llx of RAM: 0x%02x, 0x%02x", (unsigned long long)i, p[i],
		     q[i]);
}

/* Lines of what people would read that differ. */
static void compare_text(struct kvm *a, struct kvm *b)
{
	struct buf ta = {0}, tb = {0};
	char *pa, *pb, *la, *lb;
	u32 said = 0;

	if (out(STATE_TEXT, walk_irqchip, &a->irqchip, &ta, "irqchip") ||
	    out(STATE_TEXT, walk_irqchip, &b->irqchip, &tb, "irqchip")) {
		result(false, "the irqchip as text");
	} else {
		pa = (char *)ta.data;
		pb = (char *)tb.data;
		for (;;) {
			la = strsep(&pa, "\n");
			lb = strsep(&pb, "\n");
			if (!la || !lb)
				break;
			if (strcmp(la, lb) && said++ < 20)
				diag("%s | %s", la, lb);
		}
		result(!said && !la == !lb, "the irqchip as text is the same");
	}
	buf_free(&ta);
	buf_free(&tb);
}

/* ---- the round trip ------------------------------------------------------------------------- */

static struct kvm *run_until_ready(struct vm_config *cfg)
{
	struct kvm *kvm = calloc(1, sizeof(*kvm));
	bool paused;

	if (!kvm || kvm_up(kvm, cfg, NULL)) {
		result(false, "VM A");
		exit(1);
	}
	run_loop(kvm, true);
	/* What the guest said last is out when it is paused: its lines and ours do not mix. */
	paused = kvm_pause(kvm);
	result(mailbox(kvm, 0) == 1, "the guest of VM A is ready");
	result(paused, "VM A pauses");
	return kvm;
}

/* And ends it. */
static void run_to_end(struct kvm *kvm)
{
	const u32 go = 1;
	int err = guest_write(&kvm->mem, MAILBOX + 4, &go, sizeof(go)), status;

	result_err(err, 0, "VM B goes on");
	if (!err)
		err = devices_start(kvm);
	if (!err)
		err = consoles_start(kvm);
	if (!err)
		err = vcpus_start(kvm);
	if (!err)
		run_loop(kvm, false);
	vcpus_stop(kvm);
	devices_stop(kvm);
	status = kvm_exit_status(kvm);
	end_vm(kvm);
	/* With --testdev the guest's code 0 is status 1. */
	result(!err && status == 1, "its guest comes to its end, and found everything as it was");
	if (err || status != 1)
		diag("%s, exit status %d", errno_name(err), status);
}

static void round_trip(struct saved *a)
{
	struct vm_config cfg_a, cfg_b;
	struct kvm *vm_a, *vm_b;
	struct saved again, b;

	make_config(&cfg_a, "A", chip, cpus);
	make_config(&cfg_b, "B", chip, cpus);
	vm_a = run_until_ready(&cfg_a);
	save(vm_a, a);
	save(vm_a, &again);
	vm_b = make_vm(&cfg_b);
	restore(vm_b, a);
	save(vm_b, &b);
	for (u32 i = 0; i < cpus; i++) {
		struct buf first = {0};
		char what[32];
		u64 was, now;

		snprintf(what, sizeof(what), "vCPU %u", i);
		/* What is restored has its counter still. */
		buf_add(&first, a->vcpu[i].data, a->vcpu[i].len);
		was = take_time(&first);
		now = take_time(&b.vcpu[i]);
		take_time(&again.vcpu[i]);
		compare(&first, &again.vcpu[i], what);
		compare(&first, &b.vcpu[i], what);
		result(was && now >= was && now - was < 62500000ull * 60,
		       "%s: its counter goes on from there", what);
		buf_free(&first);
	}
	compare(&a->irqchip, &again.irqchip, "irqchip, of the same VM");
	compare(&a->irqchip, &b.irqchip, "irqchip");
	compare(&a->devices, &b.devices, "devices");
	compare_ram(a, &b);
	compare_text(vm_a, vm_b);
	end_vm(vm_a);
	run_to_end(vm_b);
	free_saved(&again);
	free_saved(&b);
	config_free(&cfg_a);
	config_free(&cfg_b);
}

/* ---- what is refused ------------------------------------------------------------------------ */

/* Restores these bytes into kvm: the errno, which must be that one, told with that text. */
static void refused(walk_fn walk, void *object, const struct buf *bytes, int want, const char *why,
		    const char *what)
{
	struct state s;

	state_init_in(&s, bytes->data, bytes->len);
	walk(object, &s);
	if (!s.err && s.in != s.end)
		s.err = -EBADMSG; /* as state_finish() has it */
	result_err(s.err, want, "refused: %s", what);
	if (s.err != want || !why)
		return;
	result(strstr(s.why, why) || strstr(s.err_what, why), "and says why: %s: %s", s.err_what, s.why);
}

static struct buf copy(const struct buf *b)
{
	struct buf c = {0};

	buf_add(&c, b->data, b->len);
	return c;
}

/* Each section at the top of the saved state, with another version. */
static void other_versions(struct kvm *kvm, walk_fn walk, void *object, const struct buf *good)
{
	size_t at = 0;

	while (at + 9 < good->len) {
		struct buf bad = copy(good);
		size_t name = bad.data[at], version = at + 1 + name;
		char what[64];
		u32 v, len;

		snprintf(what, sizeof(what), "section %.*s of another version", (int)name, bad.data + at + 1);
		memcpy(&v, bad.data + version, 4);
		v++;
		memcpy(bad.data + version, &v, 4);
		refused(walk, object, &bad, -EPROTONOSUPPORT, "version", what);
		memcpy(&len, bad.data + version + 4, 4);
		at = version + 8 + len;
		buf_free(&bad);
	}
	result(at == good->len, "the sections are as long as they say");
}

static void damaged(struct kvm *kvm, walk_fn walk, void *object, const struct buf *good, const char *what)
{
	struct buf bad = copy(good);
	u32 wrong = 0, cuts = 0;

	for (size_t len = 0; len < good->len; len += 1 + good->len / 67) {
		struct state s;

		state_init_in(&s, good->data, len);
		walk(object, &s);
		wrong += s.err != -EBADMSG;
		cuts++;
	}
	result(!wrong, "%s: cut short at %u places, refused at each", what, cuts);
	buf_u8(&bad, 0);
	refused(walk, object, &bad, -EBADMSG, NULL, "one byte too many");
	buf_free(&bad);
}

/* The first section's first fields are the numbers that must match. */
static void other_numbers(struct kvm *kvm, const struct buf *good)
{
	size_t fields = 1 + good->data[0] + 8;
	struct buf bad = copy(good);

	bad.data[fields] ^= 1;
	refused(walk_irqchip, &kvm->irqchip, &bad, -EINVAL, "nr_vcpus",
		"another number of vCPUs, by its number");
	bad.data[fields] ^= 1;
	bad.data[fields + 8] ^= 32;
	refused(walk_irqchip, &kvm->irqchip, &bad, -EINVAL, "nr_irqs", "another number of interrupts");
	buf_free(&bad);
}

static void refusals(const struct saved *a, char **others)
{
	struct vm_config cfg;
	struct kvm *kvm;
	struct buf bad;

	make_config(&cfg, "C", chip, cpus);
	kvm = make_vm(&cfg);
	other_versions(kvm, walk_irqchip, &kvm->irqchip, &a->irqchip);
	other_versions(kvm, walk_vcpu, &kvm->vcpu[1], &a->vcpu[1]);
	other_numbers(kvm, &a->irqchip);
	damaged(kvm, walk_irqchip, &kvm->irqchip, &a->irqchip, "irqchip");
	damaged(kvm, walk_vcpu, &kvm->vcpu[1], &a->vcpu[1], "vCPU");
	/* "gicv2" of a host where only "gicv3" can be made, and the other way round. */
	bad = copy(&a->irqchip);
	bad.data[SECTION_AT + 4] ^= '2' ^ '3';
	refused(walk_irqchip, &kvm->irqchip, &bad, -ENOENT, "gicv", "a GIC of the other version");
	buf_free(&bad);
	end_vm(kvm);
	config_free(&cfg);

	make_config(&cfg, "D", chip, cpus - 2);
	kvm = make_vm(&cfg);
	refused(walk_irqchip, &kvm->irqchip, &a->irqchip, -EINVAL, "nr_vcpus", "another number of vCPUs");
	end_vm(kvm);
	config_free(&cfg);

	for (; *others; others++) {
		/* Those that one host has differ by what their messages go to. */
		const char *why = strncmp(chip, "gicv3", 5) ? "v2m" : "its";
		char what[64];

		snprintf(what, sizeof(what), "%s in the place of %s", *others, chip);
		make_config(&cfg, "E", *others, cpus);
		kvm = make_vm(&cfg);
		refused(walk_irqchip, &kvm->irqchip, &a->irqchip, -EINVAL, why, what);
		end_vm(kvm);
		config_free(&cfg);
	}
}

int main(int argc, char **argv)
{
	struct saved a;

	if (argc > 1 && !strcmp(argv[1], "--pmu")) {
		pmu = true;
		argc--;
		argv++;
	}
	if (argc < 3) {
		fprintf(stderr, "usage: state-roundtrip [--pmu] CHIP PAYLOAD [OTHER-CHIP...]\n");
		return 2;
	}
	chip = argv[1];
	payload = argv[2];
	round_trip(&a);
	refusals(&a, argv + 3);
	free_saved(&a);
	return finish();
}

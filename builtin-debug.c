/* SPDX-License-Identifier: MIT */
/*
 * `lkvm debug`: what a VM is doing now: registers and exit counts of its vCPUs, its interrupt controller and
 * its devices; or an NMI for one vCPU. The client's side runs in its own process. serve() runs on the VM's
 * main thread and parks the vCPUs meanwhile; each device is walked under its own lock.
 */
#include <errno.h>
#include <lkvm/control.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <lkvm/machine.h>
#include <lkvm/state.h>
#include <lkvm/verb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NO_VCPU (~0ull)

extern const struct verb verb_debug;

struct debug {
	struct control_target target;
	u64 vcpu, nmi;
	bool irqchip;
	char request[160];
};

static const struct cli_option debug_options[] = {
	CONTROL_TARGET_OPTIONS(struct debug, target),
	{.name = "vcpu",
	 .letter = 'c',
	 .kind = OPT_INT,
	 .arg = "N",
	 .help = "vCPU N only",
	 .offset = offsetof(struct debug, vcpu),
	 .max = 4095},
	{.name = "irqchip",
	 .kind = OPT_FLAG,
	 .help = "the interrupt controller only",
	 .offset = offsetof(struct debug, irqchip)},
	{.name = "nmi",
	 .kind = OPT_INT,
	 .arg = "N",
	 .help = "print nothing; send vCPU N an NMI",
	 .offset = offsetof(struct debug, nmi),
	 .max = 4095},
	VERB_HELP_OPTION,
	{.kind = OPT_END},
};

static void debug_help(int fd)
{
	verb_options_help(&verb_debug, debug_options, fd,
			  "Usage: lkvm debug [-n NAME | -a] [--vcpu N] [--irqchip] [--nmi N] [--json]\n"
			  "Prints the state of a VM's vCPUs, interrupt controller and devices.\n\n");
}

/* --- the client ------------------------------------------------------------------------------------- */

static int debug_one(const char *name, struct json *j, void *arg)
{
	const struct debug *debug = arg;
	struct json_value *reply = NULL;
	int status = control_ask(name, debug->request, j, &reply);

	if (status)
		return status;
	if (debug->target.json) {
		json_begin(j, NULL, '{');
		json_str(j, "name", name);
		for (const struct json_value *v = reply->child; v; v = v->next)
			json_copy(j, v->key, v);
		json_end(j, '}');
	} else if (debug->nmi != NO_VCPU) {
		printf("%s: vCPU %llu got an NMI\n", name, (unsigned long long)debug->nmi);
	} else {
		printf("%s:\n%s", name, json_get_str(reply, "text", ""));
	}
	json_free(reply);
	return 0;
}

static int debug_run(int argc, char **argv)
{
	struct debug debug = {.vcpu = NO_VCPU, .nmi = NO_VCPU};
	struct buf request = {.cap = sizeof(debug.request) - 1};
	struct json j = {.out = &request};
	int err = verb_options(&verb_debug, debug_options, &debug, argc, argv);

	if (err)
		return err < 0 ? EXIT_USAGE : 0;
	if (debug.nmi != NO_VCPU && (debug.vcpu != NO_VCPU || debug.irqchip)) {
		log_error("debug: --nmi prints nothing: leave --vcpu and --irqchip out");
		return EXIT_USAGE;
	}
	json_begin(&j, NULL, '{');
	json_str(&j, "verb", "debug");
	if (debug.vcpu != NO_VCPU)
		json_u64(&j, "vcpu", debug.vcpu);
	if (debug.nmi != NO_VCPU)
		json_u64(&j, "nmi", debug.nmi);
	json_bool(&j, "irqchip", debug.irqchip);
	json_bool(&j, "json", debug.target.json);
	json_end(&j, '}');
	if (request.err) {
		log_error("debug: out of memory");
		return EXIT_HOST_ERROR;
	}
	memcpy(debug.request, request.data, request.len + 1);
	buf_free(&request);
	return control_each(&debug.target, "debug", debug_one, NULL, &debug);
}

/* --- the VM ------------------------------------------------------------------------------------------- */

/* One answer being made, as text for people or as members of the reply. */
struct dump {
	struct kvm *kvm;
	struct json *reply;
	bool json;
	struct buf text;
	int err;
};

typedef int (*walk_fn)(void *object, struct state *s);

static void dump_walk(struct dump *d, walk_fn walk, void *object)
{
	struct state s;
	int err;

	state_init_out(&s, d->json ? STATE_JSON : STATE_TEXT, d->json ? d->reply->out : &d->text);
	/* Its sections become members of the object that is open in the reply. */
	if (d->json)
		s.json = *d->reply;
	err = walk(object, &s);
	if (!err)
		err = s.err;
	if (err && !d->err)
		d->err = err;
	if (d->json) {
		while (s.json.depth > d->reply->depth)
			json_end(&s.json, '}'); /* what a failed walk has left open */
		*d->reply = s.json;
	}
}

static int walk_vcpu(void *object, struct state *s)
{
	struct vcpu *vcpu = object;

	return vcpu->kvm->machine->vcpu_state(vcpu, s);
}

static int walk_irqchip(void *object, struct state *s)
{
	struct irqchip *chip = object;

	return chip->ops->state(chip, s);
}

static int walk_device(void *object, struct state *s)
{
	struct device *dev = object;
	int err;

	device_lock(dev);
	err = dev->ops->state(dev, s);
	device_unlock(dev);
	return err;
}

static void dump_vcpu(struct dump *d, struct vcpu *vcpu)
{
	const struct vcpu_counts *c = &vcpu->counts;
	u64 exits = atomic_load_explicit(&c->exits, memory_order_relaxed);
	u64 io = atomic_load_explicit(&c->io, memory_order_relaxed);
	u64 mmio = atomic_load_explicit(&c->mmio, memory_order_relaxed);
	u64 intr = atomic_load_explicit(&c->intr, memory_order_relaxed);
	u64 other = atomic_load_explicit(&c->other, memory_order_relaxed);

	if (!d->json) {
		buf_printf(&d->text,
			   "vCPU %u (id %u): %llu exits (%llu port I/O, %llu MMIO, %llu other), "
			   "%llu interruptions\n",
			   vcpu->index, vcpu->id, (unsigned long long)exits, (unsigned long long)io,
			   (unsigned long long)mmio, (unsigned long long)other, (unsigned long long)intr);
		vcpu_dump(vcpu, &d->text);
		return;
	}
	json_begin(d->reply, NULL, '{');
	json_u64(d->reply, "index", vcpu->index);
	json_u64(d->reply, "id", vcpu->id);
	json_begin(d->reply, "exits", '{');
	json_u64(d->reply, "all", exits);
	json_u64(d->reply, "io", io);
	json_u64(d->reply, "mmio", mmio);
	json_u64(d->reply, "other", other);
	json_end(d->reply, '}');
	json_u64(d->reply, "interruptions", intr);
	json_begin(d->reply, "state", '{');
	if (vcpu->kvm->machine->vcpu_state)
		dump_walk(d, walk_vcpu, vcpu);
	json_end(d->reply, '}');
	json_end(d->reply, '}');
}

static void dump_vcpus(struct dump *d, u64 only)
{
	if (d->json)
		json_begin(d->reply, "vcpus", '[');
	for (u32 i = 0; i < d->kvm->nr_vcpus; i++)
		if (only == NO_VCPU || only == i)
			dump_vcpu(d, &d->kvm->vcpu[i]);
	if (d->json)
		json_end(d->reply, ']');
}

static void dump_irqchip(struct dump *d)
{
	struct irqchip *chip = &d->kvm->irqchip;

	if (!chip->ops)
		return;
	if (d->json) {
		json_begin(d->reply, "irqchip", '{');
		json_str(d->reply, "name", chip->ops->name);
	} else {
		buf_printf(&d->text, "irqchip: %s\n", chip->ops->name);
	}
	if (chip->ops->state)
		dump_walk(d, walk_irqchip, chip);
	if (d->json)
		json_end(d->reply, '}');
}

static void dump_devices(struct dump *d)
{
	struct device *dev;

	if (d->json)
		json_begin(d->reply, "devices", '{');
	list_for_each (dev, &d->kvm->devices, link)
		if (dev->ops->state)
			dump_walk(d, walk_device, dev);
	if (d->json)
		json_end(d->reply, '}');
}

/* A vCPU's index in the request: NO_VCPU when there is none, -EINVAL when the VM has no such one. */
static int index_get(const struct kvm *kvm, const struct json_value *request, const char *key, u64 *out)
{
	const struct json_value *v = json_get(request, key);

	*out = NO_VCPU;
	if (!v)
		return 0;
	if (v->type != JSON_NUMBER || !(v->number >= 0 && v->number < kvm->nr_vcpus))
		return -EINVAL;
	*out = (u64)v->number;
	return (double)*out == v->number ? 0 : -EINVAL;
}

static int debug_nmi(struct kvm *kvm, u64 index, const char **why)
{
	int err;

	if (!kvm->machine->vcpu_nmi) {
		*why = "its machine has no NMI";
		return -ENOTSUP;
	}
	err = kvm->machine->vcpu_nmi(&kvm->vcpu[index]);
	if (err < 0)
		*why = "KVM did not take the NMI";
	return err;
}

static int debug_dump(struct kvm *kvm, const struct json_value *request, struct json *reply, u64 vcpu,
		      const char **why)
{
	struct dump d = {.kvm = kvm, .reply = reply, .json = json_get_bool(request, "json", false)};
	bool irqchip = json_get_bool(request, "irqchip", false);
	bool all = vcpu == NO_VCPU && !irqchip;
	int err;

	d.text.cap = CONTROL_MAX_REPLY / 2; /* escaping a line's end doubles it */
	if (all || vcpu != NO_VCPU)
		dump_vcpus(&d, vcpu);
	if (all || irqchip)
		dump_irqchip(&d);
	if (all)
		dump_devices(&d);
	err = d.err ? d.err : d.text.err;
	if (!d.json && !err)
		json_strn(reply, "text", d.text.data ? (const char *)d.text.data : "", d.text.len);
	if (err)
		*why = "a part of its state cannot be read";
	buf_free(&d.text);
	return err;
}

static int debug_serve(struct kvm *kvm, const struct json_value *request, struct json *reply,
		       const char **why)
{
	u64 vcpu, nmi;
	int err = index_get(kvm, request, "vcpu", &vcpu);

	if (!err)
		err = index_get(kvm, request, "nmi", &nmi);
	if (err) {
		*why = "it has no such vCPU";
		return err;
	}
	if (!kvm_pause(kvm)) {
		*why = "is ending";
		err = -ESHUTDOWN;
	} else if (nmi != NO_VCPU) {
		err = debug_nmi(kvm, nmi, why);
	} else {
		err = debug_dump(kvm, request, reply, vcpu, why);
	}
	kvm_resume(kvm);
	return err < 0 ? err : 0;
}

const struct verb verb_debug = {
	.name = "debug",
	.summary = "print a virtual machine's registers and state, or send an NMI",
	.run = debug_run,
	.help = debug_help,
	.serve = debug_serve,
};

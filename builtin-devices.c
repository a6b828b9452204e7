/* SPDX-License-Identifier: MIT */
/*
 * `lkvm devices [--json] [--dev PATH]`: what this host's KVM offers through the device control API. Needs no
 * VM: it makes scratch VMs of its own, each with one vCPU that never runs, and closes them again.
 *
 * Theory of operation: everything is first asked for and put into a struct report, then printed in one of two
 * forms, so that text and JSON never disagree. The attributes asked for are those of the machine's own tables
 * (machine->attr_tables), the ones that lkvm's code uses. Each device that has a table gets a scratch VM to
 * itself: a VM takes but one interrupt controller, and a host may have several kinds.
 *
 * docs/device-control.md documents the JSON. Main thread of a client; no lock.
 */
#include <errno.h>
#include <inttypes.h>
#include <lkvm/config.h>
#include <lkvm/kvm-device.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <lkvm/machine.h>
#include <lkvm/verb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Types, groups and attributes up to here are tried, so that a kernel newer than lkvm shows what it has. */
#define LAST_TYPE  31
#define LAST_GROUP 15
#define LAST_ATTR  15

extern const struct verb verb_devices;

struct devices_options {
	bool json;
	const char *dev;
};

static const struct cli_option devices_options[] = {
	{.name = "json",
	 .kind = OPT_FLAG,
	 .offset = offsetof(struct devices_options, json),
	 .help = "print one JSON object"},
	{.name = "dev",
	 .kind = OPT_STRING,
	 .arg = "PATH",
	 .offset = offsetof(struct devices_options, dev),
	 .help = "the KVM device node (/dev/kvm)"},
	VERB_HELP_OPTION,
	{.kind = OPT_END},
};

/* What decides how lkvm drives interrupts and attributes here; the machine's required ones come in addition.
 */
#define CAP(name)                                                                                            \
	{                                                                                                    \
		name, #name                                                                                  \
	}
static const struct kvm_cap listed_caps[] = {
	CAP(KVM_CAP_DEVICE_CTRL),
	CAP(KVM_CAP_SYS_ATTRIBUTES),
	CAP(KVM_CAP_VM_ATTRIBUTES),
	CAP(KVM_CAP_VCPU_ATTRIBUTES),
	CAP(KVM_CAP_IRQCHIP),
	CAP(KVM_CAP_SPLIT_IRQCHIP),
	CAP(KVM_CAP_IRQ_ROUTING),
	CAP(KVM_CAP_SIGNAL_MSI),
	CAP(KVM_CAP_MSI_DEVID),
	CAP(KVM_CAP_IRQFD),
	CAP(KVM_CAP_IRQFD_RESAMPLE),
	CAP(KVM_CAP_IOEVENTFD),
	CAP(KVM_CAP_IOEVENTFD_ANY_LENGTH),
	CAP(KVM_CAP_COALESCED_MMIO),
	CAP(KVM_CAP_COALESCED_PIO),
	CAP(KVM_CAP_X2APIC_API),
	CAP(KVM_CAP_IRQ_MPIC),
	CAP(KVM_CAP_IRQ_XICS),
	CAP(KVM_CAP_PPC_IRQ_XIVE),
	CAP(KVM_CAP_IMMEDIATE_EXIT),
	CAP(KVM_CAP_USER_MEMORY),
	CAP(KVM_CAP_MAX_VCPUS),
};

struct cap_row {
	const struct kvm_cap *cap;
	int value;
	bool required;
};

struct attr_row {
	const struct kvm_attr_table *table;
	const struct kvm_attr *attr; /* of the table; NULL: one that lkvm does not know, and */
	struct kvm_attr found;	     /* this is where it is */
	bool there;
	int read; /* 1: value holds what was read; 0: not tried; -errno */
	u64 value;
};

struct report {
	const char *dev;
	const struct machine_ops *machine;
	unsigned long vm_type;
	int api_version;
	bool type_there[LAST_TYPE + 1];
	struct cap_row *cap;
	size_t nr_caps;
	struct attr_row *attr;
	size_t nr_attrs;
};

/* A VM to ask, never to run. Only what kvm-device.c and kvm_cap() look at is filled in. */
struct scratch {
	struct kvm kvm;
	int vcpu_fd;  /* -errno when it could not be made: vCPU attributes are then not there */
	int vcpu_err; /* of machine->vcpu_scratch() */
};

/* ---- asking ------------------------------------------------------------------------------------- */

static int scratch_open(struct scratch *s, int sys_fd, const struct report *r)
{
	memset(s, 0, sizeof(*s));
	s->vcpu_fd = -1;
	s->kvm.sys_fd = sys_fd;
	do {
		s->kvm.vm_fd = kvm_ioctl_val(sys_fd, KVM_CREATE_VM, r->vm_type);
	} while (s->kvm.vm_fd == -EINTR);
	if (s->kvm.vm_fd < 0) {
		log_error("%s: KVM_CREATE_VM: %s", r->dev, strerror(-s->kvm.vm_fd));
		return s->kvm.vm_fd;
	}
	s->vcpu_fd = kvm_ioctl_val(s->kvm.vm_fd, KVM_CREATE_VCPU, 0);
	if (s->vcpu_fd >= 0 && r->machine->vcpu_scratch)
		s->vcpu_err = r->machine->vcpu_scratch(s->kvm.vm_fd, s->vcpu_fd);
	return 0;
}

static void scratch_close(struct scratch *s)
{
	kvm_devices_close(&s->kvm);
	if (s->vcpu_fd >= 0)
		close(s->vcpu_fd);
	close(s->kvm.vm_fd);
}

static int ask_machine(struct report *r, int sys_fd)
{
	struct vm_config cfg = {.dev = r->dev, .irqchip = "auto", .cpus = 1};

	r->api_version = kvm_ioctl(sys_fd, KVM_GET_API_VERSION, NULL);
	if (r->api_version < 0) {
		log_error("%s: not a KVM device: %s", r->dev, strerror(-r->api_version));
		return r->api_version;
	}
	return kvm_find_machine(&cfg, sys_fd, &r->machine, &r->vm_type);
}

static void add_cap(struct report *r, const struct kvm *kvm, const struct kvm_cap *cap, bool required)
{
	for (size_t i = 0; i < r->nr_caps; i++) {
		if (r->cap[i].cap->cap != cap->cap)
			continue;
		r->cap[i].required |= required;
		return;
	}
	r->cap[r->nr_caps++] =
		(struct cap_row){.cap = cap, .value = kvm_cap(kvm, cap->cap), .required = required};
}

static int ask_caps(struct report *r, const struct kvm *kvm)
{
	const struct kvm_cap *const own[] = {r->machine->used_caps, r->machine->required_caps};
	size_t n = ARRAY_SIZE(listed_caps);

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		for (const struct kvm_cap *cap = own[i]; cap && cap->name; cap++)
			n++;
	r->cap = calloc(n, sizeof(*r->cap));
	if (!r->cap)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(listed_caps); i++)
		add_cap(r, kvm, &listed_caps[i], false);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		for (const struct kvm_cap *cap = own[i]; cap && cap->name; cap++)
			add_cap(r, kvm, cap, own[i] == r->machine->required_caps);
	return 0;
}

/* A value that stands for itself: not one of many registers or vCPUs, and no structure. */
static bool attr_has_one_value(const struct kvm_attr *a)
{
	return (a->flags & KVM_ATTR_R) &&
	       !(a->flags & (KVM_ATTR_PER_VCPU | KVM_ATTR_RANGE | KVM_ATTR_INDEXED | KVM_ATTR_COMMAND)) &&
	       (a->size == 4 || a->size == 8);
}

static const struct kvm_attr *row_attr(const struct attr_row *row)
{
	return row->attr ? row->attr : &row->found;
}

static void ask_attr(struct attr_row *row, int fd)
{
	const struct kvm_attr *a = row->attr;
	u32 v32 = 0;

	row->there = fd >= 0 && kvm_attr_has(fd, a->group, a->attr);
	if (!row->there || !attr_has_one_value(a))
		return;
	row->read = kvm_attr_get(fd, a->group, a->attr, a->size == 4 ? (void *)&v32 : &row->value);
	if (a->size == 4)
		row->value = v32;
	if (!row->read)
		row->read = 1;
}

/* A row more; NULL when out of memory. */
static struct attr_row *add_row(struct report *r, const struct kvm_attr_table *table)
{
	struct attr_row *grown = realloc(r->attr, (r->nr_attrs + 1) * sizeof(*grown));

	if (!grown)
		return NULL;
	r->attr = grown;
	grown[r->nr_attrs] = (struct attr_row){.table = table};
	return &grown[r->nr_attrs++];
}

/* Whether the machine's tables for this kind of fd (and, for devices, this type) have it. */
static bool attr_known(const struct report *r, const struct kvm_attr_table *table, u32 group, u64 attr)
{
	for (const struct kvm_attr_table *const *t = r->machine->attr_tables; *t; t++) {
		for (size_t i = 0; i < (*t)->count && (*t)->on == table->on && (*t)->type == table->type;
		     i++) {
			const struct kvm_attr *a = &(*t)->attrs[i];

			if (a->group == group && (a->attr == attr || a->flags & KVM_ATTR_ALONE ||
						  (a->flags & KVM_ATTR_RANGE && attr > a->attr)))
				return true;
		}
	}
	return false;
}

/* What a newer kernel has beyond the table. */
static int ask_unknown(struct report *r, const struct kvm_attr_table *table, int fd)
{
	for (u32 group = 0; group <= LAST_GROUP && fd >= 0; group++) {
		for (u64 attr = 0; attr <= LAST_ATTR; attr++) {
			struct attr_row *row;

			if (attr_known(r, table, group, attr) || !kvm_attr_has(fd, group, attr))
				continue;
			row = add_row(r, table);
			if (!row)
				return -ENOMEM;
			row->there = true;
			row->found = (struct kvm_attr){.group = group, .attr = attr, .name = "unknown"};
		}
	}
	return 0;
}

static int ask_table(struct report *r, const struct kvm_attr_table *table, int fd)
{
	for (size_t i = 0; i < table->count; i++) {
		struct attr_row *row = add_row(r, table);

		if (!row)
			return -ENOMEM;
		row->attr = &table->attrs[i];
		ask_attr(row, fd);
	}
	return ask_unknown(r, table, fd);
}

static int ask_device_table(struct report *r, int sys_fd, const struct kvm_attr_table *table)
{
	struct scratch s;
	int err;

	if (table->type > LAST_TYPE || !r->type_there[table->type])
		return 0;
	err = scratch_open(&s, sys_fd, r);
	if (err)
		return err;
	err = kvm_device_create(&s.kvm, table->type);
	/* It was logged why; the table is shown without the device. */
	err = ask_table(r, table, err);
	scratch_close(&s);
	return err;
}

static int ask_tables(struct report *r, const struct scratch *s)
{
	const struct kvm_attr_table *const *t = r->machine->attr_tables;
	int err = 0;

	for (; t && *t && !err; t++) {
		switch ((*t)->on) {
		case KVM_ON_SYSTEM:
			err = ask_table(r, *t, s->kvm.sys_fd);
			break;
		case KVM_ON_VM:
			err = ask_table(r, *t, s->kvm.vm_fd);
			break;
		case KVM_ON_VCPU:
			err = ask_table(r, *t, s->vcpu_fd);
			break;
		case KVM_ON_DEVICE:
			err = ask_device_table(r, s->kvm.sys_fd, *t);
			break;
		}
	}
	return err;
}

static int ask(struct report *r)
{
	int sys_fd = kvm_open_system(r->dev);
	struct scratch s;
	int err;

	if (sys_fd < 0)
		return sys_fd;
	err = ask_machine(r, sys_fd);
	if (!err)
		err = scratch_open(&s, sys_fd, r);
	if (err) {
		close(sys_fd);
		return err;
	}
	if (s.vcpu_err)
		log_warn(NULL, "a scratch vCPU cannot be initialised, its attributes may be missing: %s",
			 strerror(-s.vcpu_err));
	for (u32 type = 0; type <= LAST_TYPE; type++)
		r->type_there[type] = kvm_device_probe(&s.kvm, type) == 0;
	err = ask_caps(r, &s.kvm);
	if (!err)
		err = ask_tables(r, &s);
	if (err == -ENOMEM)
		log_error("devices: out of memory");
	scratch_close(&s);
	close(sys_fd);
	return err;
}

/* ---- saying --------------------------------------------------------------------------------------- */

static const struct kvm_device_info *type_info(u32 type)
{
	for (size_t i = 0; i < kvm_nr_device_infos; i++)
		if (kvm_device_infos[i].type == type)
			return &kvm_device_infos[i];
	return NULL;
}

static const char *access_name(const struct kvm_attr *a)
{
	if (a->flags & KVM_ATTR_COMMAND)
		return "command";
	switch (a->flags & (KVM_ATTR_R | KVM_ATTR_W)) {
	case KVM_ATTR_R:
		return "r";
	case KVM_ATTR_W:
		return "w";
	case KVM_ATTR_R | KVM_ATTR_W:
		return "rw";
	default:
		return "-";
	}
}

static const char *group_label(const struct kvm_attr *a)
{
	return a->group_name ? a->group_name : "";
}

static void text_types(const struct report *r, struct buf *out)
{
	int width = 0;

	for (size_t i = 0; i < kvm_nr_device_infos; i++)
		if ((int)strlen(kvm_device_infos[i].name) > width)
			width = (int)strlen(kvm_device_infos[i].name);
	buf_printf(out, "\nDevice types that KVM_CREATE_DEVICE makes\n  %-4s  %-4s  %-*s  %s\n", "HERE",
		   "TYPE", width, "NAME", "WHAT");
	for (u32 type = 0; type <= LAST_TYPE; type++) {
		const struct kvm_device_info *info = type_info(type);

		if (info)
			buf_printf(out, "  %-4s  %4" PRIu32 "  %-*s  %s\n",
				   r->type_there[type] ? "yes" : "no", type, width, info->name,
				   info->summary);
		else if (r->type_there[type])
			buf_printf(out, "  %-4s  type %" PRIu32 " (unknown to this lkvm)\n", "yes", type);
	}
}

static void text_attrs(const struct report *r, struct buf *out)
{
	int owner = 2, group = 5, name = 4;

	buf_printf(out, "\nAttributes\n");
	for (size_t i = 0; i < r->nr_attrs; i++) {
		const struct attr_row *row = &r->attr[i];

		if ((int)strlen(row->table->owner) > owner)
			owner = (int)strlen(row->table->owner);
		if ((int)strlen(group_label(row_attr(row))) > group)
			group = (int)strlen(group_label(row_attr(row)));
		if ((int)strlen(row_attr(row)->name) > name)
			name = (int)strlen(row_attr(row)->name);
	}
	if (!r->nr_attrs) {
		buf_printf(out, "  none that this lkvm knows\n");
		return;
	}
	buf_printf(out, "  %-4s  %-*s  %3s %-*s  %4s %-*s  %4s  %-7s  %s\n", "HERE", owner, "ON", "", group,
		   "GROUP", "", name, "ATTRIBUTE", "SIZE", "ACCESS", "VALUE");
	for (size_t i = 0; i < r->nr_attrs; i++) {
		const struct attr_row *row = &r->attr[i];
		const struct kvm_attr *a = row_attr(row);

		buf_printf(out, "  %-4s  %-*s  %3" PRIu32 " %-*s  %4" PRIu64 " %-*s  %4u  ",
			   row->there ? "yes" : "no", owner, row->table->owner, a->group, group,
			   group_label(a), a->attr, name, a->name, a->size);
		if (row->read > 0)
			buf_printf(out, "%-7s  0x%" PRIx64 "\n", access_name(a), row->value);
		else if (row->read < 0)
			buf_printf(out, "%-7s  (%s)\n", access_name(a), errno_name(row->read));
		else
			buf_printf(out, "%s\n", access_name(a));
	}
}

static void text_report(const struct report *r, struct buf *out)
{
	int width = 0;

	buf_printf(out, "%s: KVM API version %d, machine %s\n", r->dev, r->api_version, r->machine->name);
	text_types(r, out);
	text_attrs(r, out);
	buf_printf(out, "\nCapabilities\n");
	for (size_t i = 0; i < r->nr_caps; i++)
		if ((int)strlen(r->cap[i].cap->name) > width)
			width = (int)strlen(r->cap[i].cap->name);
	for (size_t i = 0; i < r->nr_caps; i++)
		buf_printf(out, "  %-*s  %d%s\n", width, r->cap[i].cap->name, r->cap[i].value,
			   !r->cap[i].required ? ""
			   : r->cap[i].value   ? "  (needed)"
					       : "  (needed: lkvm run cannot do without)");
}

static void json_types(const struct report *r, struct json *j)
{
	json_begin(j, "types", '[');
	for (u32 type = 0; type <= LAST_TYPE; type++) {
		const struct kvm_device_info *info = type_info(type);

		if (!info && !r->type_there[type])
			continue;
		json_begin(j, NULL, '{');
		json_u64(j, "type", type);
		json_str(j, "name", info ? info->name : "unknown");
		json_bool(j, "known", info);
		json_bool(j, "available", r->type_there[type]);
		if (info)
			json_str(j, "summary", info->summary);
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void json_attr(const struct attr_row *row, struct json *j)
{
	static const char *const on[] = {[KVM_ON_DEVICE] = "device",
					 [KVM_ON_VCPU] = "vcpu",
					 [KVM_ON_VM] = "vm",
					 [KVM_ON_SYSTEM] = "system"};
	const struct kvm_attr *a = row_attr(row);

	json_begin(j, NULL, '{');
	json_str(j, "on", on[row->table->on]);
	json_str(j, "owner", row->table->owner);
	if (row->table->on == KVM_ON_DEVICE)
		json_u64(j, "type", row->table->type);
	json_u64(j, "group", a->group);
	json_str(j, "group_name", group_label(a));
	json_hex(j, "attr", a->attr);
	json_str(j, "name", a->name);
	json_bool(j, "known", row->attr);
	json_u64(j, "size", a->size);
	json_bool(j, "readable", a->flags & KVM_ATTR_R);
	json_bool(j, "writable", a->flags & KVM_ATTR_W);
	json_bool(j, "command", a->flags & KVM_ATTR_COMMAND);
	json_bool(j, "per_vcpu", a->flags & KVM_ATTR_PER_VCPU);
	json_bool(j, "range", a->flags & KVM_ATTR_RANGE);
	json_bool(j, "available", row->there);
	if (row->read > 0)
		json_hex(j, "value", row->value);
	else if (row->read < 0)
		json_str(j, "error", errno_name(row->read));
	json_end(j, '}');
}

static void json_report(const struct report *r, struct buf *out)
{
	struct json j = {.out = out};

	json_begin(&j, NULL, '{');
	json_str(&j, "device", r->dev);
	json_u64(&j, "api_version", (u64)r->api_version);
	json_str(&j, "machine", r->machine->name);
	json_types(r, &j);
	json_begin(&j, "attributes", '[');
	for (size_t i = 0; i < r->nr_attrs; i++)
		json_attr(&r->attr[i], &j);
	json_end(&j, ']');
	json_begin(&j, "capabilities", '[');
	for (size_t i = 0; i < r->nr_caps; i++) {
		json_begin(&j, NULL, '{');
		json_str(&j, "name", r->cap[i].cap->name);
		json_u64(&j, "number", r->cap[i].cap->cap);
		json_u64(&j, "value", (u64)r->cap[i].value);
		json_bool(&j, "required", r->cap[i].required);
		json_end(&j, '}');
	}
	json_end(&j, ']');
	json_end(&j, '}');
	buf_printf(out, "\n");
}

/* ---- the verb --------------------------------------------------------------------------------------- */

static void devices_help(int fd)
{
	verb_options_help(
		&verb_devices, devices_options, fd,
		"Usage: lkvm devices [--json] [--dev PATH]\n"
		"Prints what this host's KVM offers: in-kernel devices, their attributes, and capabilities.\n"
		"Makes scratch VMs to ask, and runs none.\n\n");
}

static int devices_run(int argc, char **argv)
{
	struct devices_options opts = {.dev = "/dev/kvm"};
	struct report r = {0};
	struct buf out = {0};
	int err = verb_options(&verb_devices, devices_options, &opts, argc, argv);

	if (err)
		return err < 0 ? EXIT_USAGE : 0;
	r.dev = opts.dev;
	err = ask(&r);
	if (!err) {
		if (opts.json)
			json_report(&r, &out);
		else
			text_report(&r, &out);
		err = out.err;
		if (!err && (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout)))
			err = -errno;
		if (err)
			log_error("devices: standard output: %s", strerror(-err));
	}
	buf_free(&out);
	free(r.attr);
	free(r.cap);
	return err ? EXIT_HOST_ERROR : 0;
}

const struct verb verb_devices = {
	.name = "devices",
	.summary = "list the devices and attributes of this host's KVM",
	.run = devices_run,
	.help = devices_help,
};

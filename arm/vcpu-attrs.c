/* SPDX-License-Identifier: MIT */
/*
 * What a vCPU and a VM are given by attributes: the interrupts of timers and performance counters, the
 * counters themselves, stolen time. Documentation/virt/kvm/devices/vcpu.rst and vm.rst.
 *
 * arm_vcpus_finalize() runs once the irqchip is initialised, which the PMU needs, and before any vCPU has
 * run, which all of them need. Main thread.
 */
#include "arm.h"
#include "layout.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <lkvm/config.h>
#include <lkvm/cpulist.h>
#include <lkvm/option.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { A_VTIMER, A_PTIMER, A_PVTIME, A_SET_PMU, A_FILTER, A_PMU_IRQ, A_PMU_INIT };

static const struct kvm_attr vcpu_attrs[] = {
	[A_VTIMER] = {.group = KVM_ARM_VCPU_TIMER_CTRL,
		      .attr = KVM_ARM_VCPU_TIMER_IRQ_VTIMER,
		      .group_name = "TIMER_CTRL",
		      .name = "TIMER_IRQ_VTIMER",
		      .val = ARM_PPI_VTIMER,
		      .size = 4,
		      .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_APPLY | KVM_ATTR_OPTIONAL},
	[A_PTIMER] = {.group = KVM_ARM_VCPU_TIMER_CTRL,
		      .attr = KVM_ARM_VCPU_TIMER_IRQ_PTIMER,
		      .group_name = "TIMER_CTRL",
		      .name = "TIMER_IRQ_PTIMER",
		      .val = ARM_PPI_PTIMER,
		      .size = 4,
		      .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_APPLY | KVM_ATTR_OPTIONAL},
	[A_PVTIME] = {.group = KVM_ARM_VCPU_PVTIME_CTRL,
		      .attr = KVM_ARM_VCPU_PVTIME_IPA,
		      .group_name = "PVTIME_CTRL",
		      .name = "PVTIME_IPA",
		      .size = 8,
		      .flags = KVM_ATTR_R | KVM_ATTR_W},
	/* Which of the host's PMUs, by the number that perf has for it; on hosts of several kinds of CPU. */
	[A_SET_PMU] = {.group = KVM_ARM_VCPU_PMU_V3_CTRL,
		       .attr = KVM_ARM_VCPU_PMU_V3_SET_PMU,
		       .group_name = "PMU_V3_CTRL",
		       .name = "PMU_V3_SET_PMU",
		       .size = 4,
		       .flags = KVM_ATTR_W | KVM_ATTR_OPTIONAL},
	[A_FILTER] = {.group = KVM_ARM_VCPU_PMU_V3_CTRL,
		      .attr = KVM_ARM_VCPU_PMU_V3_FILTER,
		      .group_name = "PMU_V3_CTRL",
		      .name = "PMU_V3_FILTER",
		      .size = sizeof(struct kvm_pmu_event_filter),
		      .flags = KVM_ATTR_W},
	[A_PMU_IRQ] = {.group = KVM_ARM_VCPU_PMU_V3_CTRL,
		       .attr = KVM_ARM_VCPU_PMU_V3_IRQ,
		       .group_name = "PMU_V3_CTRL",
		       .name = "PMU_V3_IRQ",
		       .val = ARM_PPI_PMU,
		       .size = 4,
		       .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_APPLY},
	[A_PMU_INIT] = {.group = KVM_ARM_VCPU_PMU_V3_CTRL,
			.attr = KVM_ARM_VCPU_PMU_V3_INIT,
			.group_name = "PMU_V3_CTRL",
			.name = "PMU_V3_INIT",
			.flags = KVM_ATTR_COMMAND | KVM_ATTR_W | KVM_ATTR_APPLY},
	/* Found and named; the defaults suit us. */
	{.group = KVM_ARM_VCPU_PMU_V3_CTRL,
	 .attr = KVM_ARM_VCPU_PMU_V3_SET_NR_COUNTERS,
	 .group_name = "PMU_V3_CTRL",
	 .name = "PMU_V3_SET_NR_COUNTERS",
	 .size = 4,
	 .flags = KVM_ATTR_W | KVM_ATTR_OPTIONAL},
	{.group = KVM_ARM_VCPU_TIMER_CTRL,
	 .attr = KVM_ARM_VCPU_TIMER_IRQ_HVTIMER,
	 .group_name = "TIMER_CTRL",
	 .name = "TIMER_IRQ_HVTIMER",
	 .size = 4,
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_OPTIONAL},
	{.group = KVM_ARM_VCPU_TIMER_CTRL,
	 .attr = KVM_ARM_VCPU_TIMER_IRQ_HPTIMER,
	 .group_name = "TIMER_CTRL",
	 .name = "TIMER_IRQ_HPTIMER",
	 .size = 4,
	 .flags = KVM_ATTR_R | KVM_ATTR_W | KVM_ATTR_OPTIONAL},
};

const struct kvm_attr_table arm_vcpu_attrs = {
	.owner = "vcpu",
	.on = KVM_ON_VCPU,
	.attrs = vcpu_attrs,
	.count = ARRAY_SIZE(vcpu_attrs),
};

/* Which SMC and HVC calls come out to user space: none of ours do. */
static const struct kvm_attr vm_attrs[] = {
	{.group = KVM_ARM_VM_SMCCC_CTRL,
	 .attr = KVM_ARM_VM_SMCCC_FILTER,
	 .group_name = "SMCCC_CTRL",
	 .name = "SMCCC_FILTER",
	 .size = sizeof(struct kvm_smccc_filter),
	 .flags = KVM_ATTR_W | KVM_ATTR_OPTIONAL},
};

const struct kvm_attr_table arm_vm_attrs = {
	.owner = "vm",
	.on = KVM_ON_VM,
	.attrs = vm_attrs,
	.count = ARRAY_SIZE(vm_attrs),
};

static int set_on(struct vcpu *vcpu, const struct kvm_attr *attr, u64 val)
{
	char owner[16];

	snprintf(owner, sizeof(owner), "vcpu %u", vcpu->index);
	return kvm_attr_apply_val(owner, vcpu->fd, attr, val);
}

/* ---- performance counters ---------------------------------------------------------------------------- */

static bool read_text(const char *dir, const char *file, char *text, size_t room)
{
	char path[160];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, room - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return n > 0;
}

/*
 * The host's PMU that counts on every CPU where vCPUs may run: 1, and *type is perf's number for it. 0 when
 * none fits: then the kernel takes its own default. -errno after one logged line.
 */
static int find_pmu(const struct kvm *kvm, u32 *type)
{
	cpu_set_t ours, theirs, common;
	int found = 0, err = vcpu_host_cpus(kvm, &ours);
	glob_t g;

	if (err)
		return err;
	if (glob("/sys/bus/event_source/devices/*", GLOB_NOSORT, NULL, &g))
		return 0;
	for (size_t i = 0; i < g.gl_pathc && !found; i++) {
		char cpus[256], number[32];
		u64 n;

		/* Only a PMU of CPUs has that file. */
		if (!read_text(g.gl_pathv[i], "cpus", cpus, sizeof(cpus)) || cpulist_parse(cpus, &theirs))
			continue;
		CPU_AND(&common, &ours, &theirs);
		if (!CPU_EQUAL(&common, &ours) || !read_text(g.gl_pathv[i], "type", number, sizeof(number)) ||
		    parse_u64(number, &n))
			continue;
		*type = (u32)n;
		found = 1;
	}
	globfree(&g);
	return found;
}

/* --pmu-filter "allow:0x11,deny:0x3-0x7": the next piece; 1, 0 at the end, -EINVAL. */
static int next_filter(const char **text, struct kvm_pmu_event_filter *filter)
{
	const char *p = *text;
	char piece[64], *dash;
	size_t len = strcspn(p, ",");
	u64 first, last;

	if (!*p)
		return 0;
	if (len >= sizeof(piece))
		return -EINVAL;
	memcpy(piece, p, len);
	piece[len] = '\0';
	*text = p + len + (p[len] == ',');
	*filter = (struct kvm_pmu_event_filter){.action = KVM_PMU_EVENT_ALLOW};
	p = piece;
	if (!strncmp(p, "allow:", 6)) {
		p += 6;
	} else if (!strncmp(p, "deny:", 5)) {
		p += 5;
		filter->action = KVM_PMU_EVENT_DENY;
	} else {
		return -EINVAL;
	}
	dash = strchr(piece, '-');
	if (dash)
		*dash++ = '\0';
	if (parse_u64(p, &first) || first > 0xffff)
		return -EINVAL;
	last = first;
	/* A piece is 65535 events at the most, for that is how they are counted. */
	if (dash && (parse_u64(dash, &last) || last < first || last > 0xffff || last - first >= 0xffff))
		return -EINVAL;
	filter->base_event = (u16)first;
	filter->nevents = (u16)(last - first + 1);
	return 1;
}

int arm_pmu_filter_option(void *target, const struct cli_option *opt, const char *arg)
{
	struct vm_config *cfg = target;
	struct kvm_pmu_event_filter filter;
	const char *text = arg;
	int more;

	do {
		more = next_filter(&text, &filter);
	} while (more > 0);
	if (more < 0 || !*arg) {
		log_error(
			"--pmu-filter %s: give allow:EVENT[-EVENT] or deny:EVENT[-EVENT], several with commas",
			arg);
		return -EINVAL;
	}
	cfg->pmu_filter = arg;
	return 0;
}

static int set_filters(struct vcpu *vcpu)
{
	const struct kvm_attr *a = &vcpu_attrs[A_FILTER];
	const char *text = vcpu->kvm->cfg->pmu_filter;
	struct kvm_pmu_event_filter filter;

	while (text && next_filter(&text, &filter) > 0) {
		int err = kvm_attr_set(vcpu->fd, a->group, a->attr, &filter);

		if (err) {
			log_error("--pmu-filter: vcpu %u, events 0x%x and %u more: %s", vcpu->index,
				  filter.base_event, filter.nevents - 1u, kvm_attr_errstr(err));
			return err;
		}
	}
	return 0;
}

/* type: the host's PMU, or NULL. */
static int init_pmu(struct vcpu *vcpu, const u32 *type)
{
	const struct kvm_attr *a = &vcpu_attrs[A_SET_PMU];
	int err = 0;

	if (type && kvm_attr_has(vcpu->fd, a->group, a->attr))
		err = set_on(vcpu, a, *type);
	if (!err)
		err = set_filters(vcpu);
	if (!err)
		err = set_on(vcpu, &vcpu_attrs[A_PMU_IRQ], ARM_PPI_PMU);
	return err ? err : set_on(vcpu, &vcpu_attrs[A_PMU_INIT], 0);
}

int arm_vcpus_finalize(struct kvm *kvm)
{
	bool pmu = arm_has_feature(kvm, KVM_ARM_VCPU_PMU_V3), stolen_time = arm_of(kvm)->pvtime_mem;
	u32 type;
	int found = pmu ? find_pmu(kvm, &type) : 0, err = found < 0 ? found : 0;

	for (u32 i = 0; i < kvm->nr_vcpus && !err; i++) {
		struct vcpu *vcpu = &kvm->vcpu[i];

		/*
		 * The first vCPU's are everybody's. Kernels that take no attributes here answer EINVAL; one
		 * with stolen time, an attribute itself, need not be asked.
		 */
		if (!i && (stolen_time || kvm_cap(kvm, KVM_CAP_VCPU_ATTRIBUTES)))
			err = kvm_attr_apply("vcpu 0", vcpu->fd, &vcpu_attrs[A_VTIMER], 2);
		if (!err && stolen_time)
			err = set_on(vcpu, &vcpu_attrs[A_PVTIME], ARM_PVTIME + 64ull * i);
		if (!err && pmu)
			err = init_pmu(vcpu, found ? &type : NULL);
	}
	return err;
}

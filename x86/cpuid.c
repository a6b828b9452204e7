/* SPDX-License-Identifier: MIT */
/*
 * What CPUID tells the guest: what KVM supports on this host, minus and plus what --cpu says, with a topology
 * of one package of as many cores as there are vCPUs, and the leaves that spare the guest measuring its
 * clocks. SDM volume 2A, CPUID; AMD APM volume 3, appendix E; the kernel's virt/kvm/x86/cpuid.rst.
 *
 * The template is made once a VM; each vCPU gets it with its own APIC id. Main thread.
 */
#include "cpuid-features.h"
#include "layout.h"
#include "x86.h"
#include <errno.h>
#include <lkvm/config.h>
#include <stdlib.h>
#include <string.h>

#define NR_ENTRIES_MAX 256

#define KVM_LEAF_SIGNATURE 0x40000000u
#define KVM_LEAF_FEATURES  0x40000001u
#define KVM_LEAF_TIMING	   0x40000010u /* EAX: TSC kHz, EBX: APIC bus kHz */
#define KVM_EXT_DEST_ID	   (1u << 15)
/* The in-kernel local APIC's timer counts nanoseconds. */
#define APIC_BUS_KHZ 1000000u

static struct kvm_cpuid_entry2 *find(const struct kvm_cpuid2 *cpuid, u32 function, u32 index)
{
	for (u32 i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == function &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index))
			return (struct kvm_cpuid_entry2 *)(uintptr_t)e;
	}
	return NULL;
}

static void drop(struct kvm_cpuid2 *cpuid, u32 function)
{
	u32 kept = 0;

	for (u32 i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function != function)
			cpuid->entries[kept++] = cpuid->entries[i];
	cpuid->nent = kept;
}

/* The entry, added when it is not there; the template has room (NR_ENTRIES_MAX + some). */
static struct kvm_cpuid_entry2 *need(struct kvm_cpuid2 *cpuid, u32 function, u32 index, u32 flags)
{
	struct kvm_cpuid_entry2 *e = find(cpuid, function, index);

	if (e)
		return e;
	e = &cpuid->entries[cpuid->nent++];
	*e = (struct kvm_cpuid_entry2){.function = function, .index = index, .flags = flags};
	return e;
}

static u32 vendor_is(const struct kvm_cpuid2 *cpuid, const char *name)
{
	const struct kvm_cpuid_entry2 *e = find(cpuid, 0, 0);

	return e && !memcmp(&e->ebx, name, 4) && !memcmp(&e->edx, name + 4, 4) &&
	       !memcmp(&e->ecx, name + 8, 4);
}

/* Bits that an APIC id needs for n cores. */
static u32 id_bits(u32 n)
{
	u32 bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

/* ---- --cpu ---------------------------------------------------------------------------------- */

static u32 *reg_of(struct kvm_cpuid_entry2 *e, enum cpuid_reg reg)
{
	switch (reg) {
	case CPUID_EAX:
		return &e->eax;
	case CPUID_EBX:
		return &e->ebx;
	case CPUID_ECX:
		return &e->ecx;
	case CPUID_EDX:
		break;
	}
	return &e->edx;
}

static const struct cpuid_feature *feature_find(const char *name, size_t len)
{
	for (u32 i = 0; i < cpuid_nr_features; i++)
		if (strlen(cpuid_features[i].name) == len && !memcmp(cpuid_features[i].name, name, len))
			return &cpuid_features[i];
	return NULL;
}

/* Walks the words of a --cpu list; fn (or NULL) is called for each switch. */
static int each_switch(const char *list, struct kvm_cpuid2 *cpuid,
		       void (*fn)(struct kvm_cpuid2 *, const struct cpuid_feature *, bool on))
{
	const char *word = list;

	for (;;) {
		size_t len = strcspn(word, ",");
		const struct cpuid_feature *f;

		if (len && (*word == '+' || *word == '-')) {
			f = feature_find(word + 1, len - 1);
			if (!f) {
				log_error("--cpu: '%.*s' is no feature lkvm knows ('--cpu help' lists them)",
					  (int)(len - 1), word + 1);
				return -EINVAL;
			}
			if (fn)
				fn(cpuid, f, *word == '+');
		} else if (len != 4 || memcmp(word, "host", 4)) {
			log_error("--cpu: '%.*s': expected 'host', +FEATURE or -FEATURE", (int)len, word);
			return -EINVAL;
		}
		if (!word[len])
			return 0;
		word += len + 1;
	}
}

void x86_cpu_list(struct buf *out)
{
	size_t column = 0;

	for (u32 i = 0; i < cpuid_nr_features; i++) {
		size_t len = strlen(cpuid_features[i].name) + 1;

		if (column + len > 78) {
			buf_printf(out, "\n");
			column = 0;
		}
		buf_printf(out, "%s%s", column ? " " : "", cpuid_features[i].name);
		column += len;
	}
	buf_printf(out, "\n");
}

int x86_cpu_option(void *target, const struct cli_option *opt, const char *arg)
{
	struct vm_config *cfg = target;

	if (!strcmp(arg, "help")) {
		struct buf names = {0};

		x86_cpu_list(&names);
		log_error("--cpu takes a list such as host,-avx512f,+invtsc; the features:\n%s",
			  names.data ? (const char *)names.data : "");
		buf_free(&names);
		return -EINVAL;
	}
	cfg->cpu = arg;
	return each_switch(arg, NULL, NULL);
}

static void switch_feature(struct kvm_cpuid2 *cpuid, const struct cpuid_feature *f, bool on)
{
	struct kvm_cpuid_entry2 *e = find(cpuid, f->function, f->index);

	if (e && on)
		*reg_of(e, f->reg) |= 1u << f->bit;
	else if (e)
		*reg_of(e, f->reg) &= ~(1u << f->bit);
	else if (on)
		log_warn(NULL, "--cpu: +%s: this host's CPUID has no leaf 0x%x for it", f->name, f->function);
}

/* ---- the template --------------------------------------------------------------------------- */

static void set_features(struct kvm *kvm, struct kvm_cpuid2 *cpuid)
{
	struct kvm_cpuid_entry2 *e = find(cpuid, 1, 0);

	if (e) {
		e->ecx |= 1u << 31; /* hypervisor */
		if (kvm_cap(kvm, KVM_CAP_TSC_DEADLINE_TIMER))
			e->ecx |= 1u << 24;
		e->ecx |= 1u << 21; /* x2APIC: the in-kernel local APIC always has it */
		/* Deep sleep states are KVM's to deny: MONITOR exits on most hosts. */
		e->ecx &= ~(1u << 3);
	}
	e = find(cpuid, KVM_LEAF_FEATURES, 0);
	if (e && x86_of(kvm)->ext_dest_id)
		e->eax |= KVM_EXT_DEST_ID;
	else if (e)
		e->eax &= ~KVM_EXT_DEST_ID;
}

/*
 * Leaf 0x15: TSC Hz = ECX * EBX / EAX; the crystal is the APIC timer's clock. Linux reads it on Intel only,
 * and then measures neither clock. Leaf 0x40000010 says the same to guests that know hypervisors.
 */
static void set_timing(struct kvm *kvm, struct kvm_cpuid2 *cpuid)
{
	u32 khz = x86_of(kvm)->tsc_khz;
	struct kvm_cpuid_entry2 *e, *leaf0 = find(cpuid, 0, 0);

	if (!khz)
		return;
	if (leaf0 && vendor_is(cpuid, "GenuineIntel")) {
		if (leaf0->eax < 0x16)
			leaf0->eax = 0x16;
		e = need(cpuid, 0x15, 0, 0);
		e->eax = APIC_BUS_KHZ;
		e->ebx = khz;
		e->ecx = APIC_BUS_KHZ * 1000;
		e = need(cpuid, 0x16, 0, 0);
		e->eax = khz / 1000;
		e->ebx = khz / 1000;
		e->ecx = 100;
	}
	e = find(cpuid, KVM_LEAF_SIGNATURE, 0);
	if (e && e->eax < KVM_LEAF_TIMING)
		e->eax = KVM_LEAF_TIMING;
	e = need(cpuid, KVM_LEAF_TIMING, 0, 0);
	e->eax = khz;
	e->ebx = APIC_BUS_KHZ;
}

/* Caches: first and second level belong to a core, the rest to the package. */
static void set_cache(struct kvm_cpuid_entry2 *e, u32 bits, bool intel)
{
	u32 level = e->eax >> 5 & 7, sharing = level >= 3 ? (1u << bits) - 1 : 0;

	if (!(e->eax & 0x1f))
		return;
	e->eax = (e->eax & 0x3fff) | (sharing & 0xfff) << 14;
	if (intel)
		e->eax |= (((1u << bits) - 1) & 0x3f) << 26;
}

static void set_topology(struct kvm_cpuid2 *cpuid, u32 nr)
{
	u32 bits = id_bits(nr);
	struct kvm_cpuid_entry2 *e, *leaf0 = find(cpuid, 0, 0);
	u32 significant = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;

	for (u32 i = 0; i < cpuid->nent; i++) {
		e = &cpuid->entries[i];
		if (e->function == 4 || e->function == 0x8000001d)
			set_cache(e, bits, e->function == 4);
	}
	e = find(cpuid, 1, 0);
	if (e) {
		u32 ids = nr > 1 ? 1u << bits : 1;

		e->ebx = (e->ebx & 0xffff) | (ids > 255 ? 255 : ids) << 16;
		if (nr > 1)
			e->edx |= 1u << 28; /* HTT: more than one logical processor in the package */
		else
			e->edx &= ~(1u << 28);
	}
	/* Leaf 0x0b says it all; guests that look at 0x1f first fall back to it. */
	drop(cpuid, 0x1f);
	drop(cpuid, 0x0b);
	if (leaf0) {
		if (leaf0->eax < 0x0b)
			leaf0->eax = 0x0b;
		e = need(cpuid, 0x0b, 0, significant);
		e->eax = 0;
		e->ebx = 1;
		e->ecx = 1 << 8; /* level 0 is of type SMT */
		e = need(cpuid, 0x0b, 1, significant);
		e->eax = bits;
		e->ebx = nr;
		e->ecx = 2 << 8 | 1; /* level 1 is of type core */
		e = need(cpuid, 0x0b, 2, significant);
		e->ecx = 2;
	}
	e = find(cpuid, 0x80000001, 0);
	if (e) {
		if (nr > 1 && vendor_is(cpuid, "AuthenticAMD"))
			e->ecx |= 1u << 1; /* CmpLegacy */
		else
			e->ecx &= ~(1u << 1);
	}
	e = find(cpuid, 0x80000008, 0);
	if (e)
		e->ecx = (e->ecx & ~0xf0ffu) | bits << 12 | ((nr - 1) & 0xff);
}

int x86_cpuid_init(struct kvm *kvm)
{
	struct x86_machine *m = x86_of(kvm);
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + (NR_ENTRIES_MAX + 8) * sizeof(cpuid->entries[0]));
	const struct kvm_cpuid_entry2 *e;
	int err;

	if (!cpuid) {
		log_error("CPUID: out of memory");
		return -ENOMEM;
	}
	m->cpuid = cpuid;
	cpuid->nent = NR_ENTRIES_MAX;
	err = x86_supported_cpuid(kvm, cpuid);
	if (err) {
		log_error("KVM_GET_SUPPORTED_CPUID: %s", strerror(-err));
		return err;
	}
	set_features(kvm, cpuid);
	set_timing(kvm, cpuid);
	set_topology(cpuid, (u32)kvm->cfg->cpus);
	if (kvm->cfg->cpu) {
		err = each_switch(kvm->cfg->cpu, cpuid, switch_feature);
		if (err)
			return err;
	}
	e = find(cpuid, 0x80000008, 0);
	/* 52 is the most that the architecture has, 36 what each 64-bit processor reaches. */
	m->phys_bits = e && (e->eax & 0xff) >= 32 ? (u32)min_u64(e->eax & 0xff, 52) : 36;
	if (m->high_ram && X86_RAM_HIGH + m->high_ram > 1ull << m->phys_bits) {
		log_error("--mem: %llu MiB are more than this processor's %u physical address bits reach",
			  (unsigned long long)(kvm->cfg->mem_size >> 20), m->phys_bits);
		return -EINVAL;
	}
	return 0;
}

int x86_cpuid_apply(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid = x86_of(vcpu->kvm)->cpuid;
	struct kvm_cpuid_entry2 *e;
	int err;

	for (u32 i = 0; i < cpuid->nent; i++) {
		e = &cpuid->entries[i];
		if (e->function == 1)
			e->ebx = (e->ebx & 0xffffff) | (vcpu->id & 0xff) << 24;
		else if (e->function == 0x0b)
			e->edx = vcpu->id;
		else if (e->function == 0x8000001e) {
			e->eax = vcpu->id;
			e->ebx = vcpu->id & 0xff; /* core id, one thread a core */
			e->ecx = 0;		  /* node 0, the only one */
		}
	}
	err = kvm_ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid);
	if (err < 0)
		log_error("vcpu %u: KVM_SET_CPUID2: %s%s", vcpu->index, strerror(-err),
			  vcpu->kvm->cfg->cpu ? " (see --cpu)" : "");
	return err < 0 ? err : 0;
}

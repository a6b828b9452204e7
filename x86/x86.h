/* SPDX-License-Identifier: MIT */
/* What the files of x86/ share. Nobody outside includes it. */
#ifndef LKVM_X86_X86_H
#define LKVM_X86_X86_H

#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <lkvm/state.h>

struct boot_image;

/* How a vCPU starts; the boot protocol's loader fills it in, vcpu_reset() acts on it. */
enum x86_start_mode {
	X86_START_REAL,	  /* 16-bit real mode at cs:ip */
	X86_START_PROT32, /* flat 32-bit protected mode, no paging: PVH, multiboot */
	X86_START_LONG64, /* 64-bit with the identity map: Linux 64-bit entry */
};

struct x86_start {
	enum x86_start_mode mode;
	u64 ip, sp;
	u16 selector; /* real mode: cs = ds = es */
	u16 stack;    /* real mode: ss */
	u64 ax, bx, si;
};

/* kvm->arch */
struct x86_machine {
	struct x86_start start;
	u64 low_ram, high_ram;	  /* bytes below the 32-bit hole and from 4 GiB up */
	bool x2apic_ids;	  /* some APIC id is above 254 */
	bool ext_dest_id;	  /* MSI destinations of 15 bits: the I/O APIC is in user space */
	u32 phys_bits;		  /* guest physical address width */
	struct kvm_cpuid2 *cpuid; /* the vCPUs' common template */
	u32 tsc_khz;
	gpa_t rsdp;
	gpa_t acpi_high, acpi_high_size; /* tables below the top of low RAM; 0: none */
};

static inline struct x86_machine *x86_of(const struct kvm *kvm)
{
	return kvm->arch;
}

/* cpuid.c */
int __must_check x86_cpuid_init(struct kvm *kvm);    /* template from the host's, --cpu applied */
int __must_check x86_cpuid_apply(struct vcpu *vcpu); /* its own APIC id and topology, KVM_SET_CPUID2 */
int x86_cpu_option(void *cfg, const struct cli_option *opt, const char *arg); /* checks --cpu's words */
void x86_cpu_list(struct buf *out);					      /* the names --cpu knows */

/* cpuid-cache.c: what KVM supports; cpuid->nent is the room on entry */
int __must_check x86_supported_cpuid(struct kvm *kvm, struct kvm_cpuid2 *cpuid);

/* vcpu.c */
int x86_vcpu_init(struct vcpu *vcpu);
void x86_vcpu_free(struct vcpu *vcpu);
int x86_vcpu_reset(struct vcpu *vcpu);
int x86_vcpu_exit(struct vcpu *vcpu);
int x86_vcpu_nmi(struct vcpu *vcpu);
u32 x86_vcpu_id(const struct kvm *kvm, u32 index);

/* vcpu-dump.c */
void x86_vcpu_dump(struct vcpu *vcpu, struct buf *out);
int x86_vcpu_state(struct vcpu *vcpu, struct state *s);

/* boot*.c: one a protocol; each fills in x86_of(kvm)->start */
int x86_boot(struct kvm *kvm, struct boot_image *img);
bool bzimage_is(const struct boot_image *img);
int __must_check bzimage_load(struct kvm *kvm, const struct boot_image *img);
int __must_check elf64_load(struct kvm *kvm, const struct boot_image *img);
bool pvh_is(const struct boot_image *img);
int __must_check pvh_load(struct kvm *kvm, const struct boot_image *img);
bool multiboot_is(const struct boot_image *img);
int __must_check multiboot_load(struct kvm *kvm, const struct boot_image *img);
int __must_check flat_load(struct kvm *kvm, const struct boot_image *img);
/* boot-tables.c: what several protocols need */
int __must_check x86_long_mode_tables(struct kvm *kvm); /* identity map and GDT */
int __must_check x86_reset_vector(struct kvm *kvm);
int __must_check x86_boot_gdt(struct kvm *kvm, bool long_mode);
struct x86_e820 {
	u64 addr, size;
	u32 type; /* 1 RAM, 2 reserved, 3 ACPI */
} __packed;
#define X86_E820_MAX 16
u32 x86_e820(const struct kvm *kvm, struct x86_e820 *map); /* entries filled, ascending */
/* Where what a loader places in low RAM must end: the tables at its top begin there. */
gpa_t x86_low_end(const struct kvm *kvm);
/*
 * Whether img may be loaded to [low, high): above the boot tables, below the tables at the top of low RAM,
 * and so within reach of 32-bit and identity-mapped code. -errno after one logged line.
 */
int __must_check x86_check_place(const struct kvm *kvm, const struct boot_image *img, gpa_t low, gpa_t high);

/* acpi.c, mptable.c: called by x86_boot() before the loaders; they place tables in guest RAM */
int __must_check x86_acpi_write(struct kvm *kvm);    /* sets rsdp, acpi_high, acpi_high_size */
int x86_acpi_dump(const struct kvm *kvm, int dirfd); /* facp.dat, dsdt.dat ...: for iasl -d */
int __must_check x86_mptable_write(struct kvm *kvm);

/* irqchip.c, irqchip-split.c */
extern const struct irqchip_ops x86_irqchip_full, x86_irqchip_split;
int x86_msi_route(struct irqchip *chip, const struct msi_msg *msg, struct kvm_irq_routing_entry *entry);
int __must_check x86_lapics_state(struct irqchip *chip, struct state *s);
void x86_redirection_walk(struct state *s, u32 pin, u64 *entry); /* with a decoded form, when printing */
void x86_vcpu_enter(struct vcpu *vcpu); /* gives the split chip's PIC interrupts to KVM */

/* attrs.c: the attribute tables this machine uses */
extern const struct kvm_attr_table x86_system_attrs, x86_vcpu_attrs, x86_vfio_attrs;

#endif

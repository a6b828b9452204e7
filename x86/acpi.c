/* SPDX-License-Identifier: MIT */
/*
 * The x86 board's ACPI tables: RSDP, XSDT, FADT, MADT, MCFG and DSDT. Hardware-reduced: sleep, reset and the
 * power button are a few byte registers (hw/power.c) and there is no SMI, PM timer, GPE block or FACS.
 *
 * Every byte follows from struct kvm as it is after the `devices` step, so the tables can be written into
 * guest RAM by x86_boot() and dumped by --dump-acpi in any order, also when nothing ever runs. Main thread,
 * no lock.
 *
 * They lie one after another from X86_ACPI, the RSDP first. When they are too long for that area (hundreds of
 * vCPUs) the RSDP alone stays there and the rest goes below the top of low RAM; the e820 map then says so.
 *
 * ACPI specification 6.4: 5.2.5 (RSDP), 5.2.8 (XSDT), 5.2.9 (FADT), 5.2.12 (MADT), 4.1 and 4.8.3.7
 * (hardware-reduced registers). PCI Firmware specification 3.3: 4.1.2 (MCFG).
 */
#include "layout.h"
#include "x86.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lkvm/acpi.h>
#include <lkvm/hw.h>
#include <string.h>
#include <unistd.h>

#define RSDP_LEN    36
#define TABLES_AT   64 /* where the first table lies, behind the RSDP */
#define TABLE_ALIGN 16
#define FADT_LEN    276 /* of revision 6 */
#define HEADER_LEN  36

#define CMOS_CENTURY 0x32 /* where hw/rtc-mc146818.c keeps it, as PCs do */

#define CPU_BYTES  64	/* at most: one vCPU's share of the MADT and the DSDT */
#define ROOM_BYTES 8192 /* usual size of all the rest: one allocation then */

enum {
	FADT_WBINVD = 1u << 0,
	FADT_PROC_C1 = 1u << 2,
	FADT_NO_POWER_BUTTON = 1u << 4, /* no fixed-hardware ones: the power button is a device */
	FADT_NO_SLEEP_BUTTON = 1u << 5,
	FADT_NO_FIXED_RTC = 1u << 6,
	FADT_RESET_REGISTER = 1u << 10,
	FADT_HW_REDUCED = 1u << 20,
};

enum {
	BOOT_LEGACY_DEVICES = 1u << 0,
	/* Bit 1, an 8042, is not set although ports 60h and 64h answer: nobody is to probe for a keyboard. */
	BOOT_NO_VGA = 1u << 2,
};

enum {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_LAPIC_NMI = 4,
	MADT_X2APIC = 9,
	MADT_X2APIC_NMI = 10,
};

enum { GAS_MEMORY, GAS_IO };
enum { GAS_BYTE_ACCESS = 1 };

enum table_id { TABLE_DSDT, TABLE_MADT, TABLE_MCFG, TABLE_FADT, TABLE_XSDT, TABLE_COUNT };

struct x86_acpi {
	struct buf out;
	gpa_t base; /* of out.data[0] */
	u64 room;   /* bytes kept for it, when base is at the top of low RAM */
	struct {
		size_t at, len; /* len 0: there is none */
	} table[TABLE_COUNT];
};

static void table_begin(struct x86_acpi *t, enum table_id id, const char *signature, u8 revision)
{
	buf_zero(&t->out, align_up(t->out.len, TABLE_ALIGN) - t->out.len);
	t->table[id].at = acpi_table_begin(&t->out, signature, revision);
}

static void table_end(struct x86_acpi *t, enum table_id id)
{
	t->table[id].len = t->out.len - t->table[id].at;
	acpi_table_end(&t->out, t->table[id].at);
}

static gpa_t table_gpa(const struct x86_acpi *t, enum table_id id)
{
	return t->base + t->table[id].at;
}

/* A processor device is named C000 to CFFF; its _UID ties it to its entry in the MADT. */
static void dsdt_cpus(struct aml *a, u32 nr_cpus)
{
	static const char hex[] = "0123456789ABCDEF";

	for (u32 i = 0; i < nr_cpus; i++) {
		char name[5] = {'C', hex[i >> 8 & 0xf], hex[i >> 4 & 0xf], hex[i & 0xf], 0};

		aml_device_begin(a, name);
		aml_name(a, "_HID");
		aml_string(a, "ACPI0007");
		aml_name(a, "_UID");
		aml_int(a, i);
		aml_end(a);
	}
}

static void write_dsdt(struct x86_acpi *t, const struct kvm *kvm)
{
	struct aml a = {.out = &t->out};
	const struct device *dev;

	table_begin(t, TABLE_DSDT, "DSDT", 2);
	aml_name(&a, "_S5");
	aml_package_begin(&a, 4);
	aml_int(&a, POWER_S5_TYPE);
	for (int i = 0; i < 3; i++)
		aml_int(&a, 0);
	aml_end(&a);

	aml_scope_begin(&a, "_SB");
	list_for_each (dev, &kvm->devices, link)
		if (dev->ops->describe_acpi)
			dev->ops->describe_acpi(dev, &a);
	dsdt_cpus(&a, (u32)kvm->cfg->cpus);
	aml_end(&a);
	assert(a.depth == 0);
	table_end(t, TABLE_DSDT);
}

/* APIC ids from 255 up (255 is the xAPIC's broadcast) only fit the x2APIC form. Returns whether one was. */
static bool madt_cpus(struct buf *out, const struct kvm *kvm)
{
	bool x2apic = false;

	for (u32 i = 0; i < kvm->cfg->cpus; i++) {
		u32 id = x86_vcpu_id(kvm, i);

		if (id < 255 && i < 255) {
			buf_u8(out, MADT_LAPIC);
			buf_u8(out, 8);
			buf_u8(out, (u8)i);
			buf_u8(out, (u8)id);
			buf_le32(out, 1); /* enabled */
			continue;
		}
		x2apic = true;
		buf_u8(out, MADT_X2APIC);
		buf_u8(out, 16);
		buf_le16(out, 0);
		buf_le32(out, id);
		buf_le32(out, 1); /* enabled */
		buf_le32(out, i);
	}
	return x2apic;
}

static void write_madt(struct x86_acpi *t, const struct kvm *kvm)
{
	struct buf *out = &t->out;
	bool x2apic;

	table_begin(t, TABLE_MADT, "APIC", 5);
	buf_le32(out, (u32)X86_LAPIC);
	buf_le32(out, 1); /* PCAT_COMPAT: there are 8259s */
	x2apic = madt_cpus(out, kvm);

	buf_u8(out, MADT_IOAPIC);
	buf_u8(out, 12);
	buf_u8(out, X86_IOAPIC_ID(kvm->cfg->cpus));
	buf_u8(out, 0);
	buf_le32(out, (u32)X86_IOAPIC);
	buf_le32(out, 0); /* its first GSI */

	/*
	 * No source override: each ISA line is the pin of its own number, the PIT's too. So it is in KVM's
	 * own routing, and a routing of ours would cost a grace period at start.
	 */
	buf_u8(out, MADT_LAPIC_NMI);
	buf_u8(out, 6);
	buf_u8(out, 0xff); /* every processor */
	buf_le16(out, 0);
	buf_u8(out, 1); /* LINT1 */
	if (x2apic) {
		buf_u8(out, MADT_X2APIC_NMI);
		buf_u8(out, 12);
		buf_le16(out, 0);
		buf_le32(out, UINT32_MAX);
		buf_u8(out, 1);
		buf_zero(out, 3);
	}
	table_end(t, TABLE_MADT);
}

static bool has_device(const struct kvm *kvm, const struct device_ops *ops)
{
	const struct device *dev;

	list_for_each (dev, &kvm->devices, link)
		if (dev->ops == ops)
			return true;
	return false;
}

static void write_mcfg(struct x86_acpi *t, const struct kvm *kvm)
{
	if (!has_device(kvm, &pci_host_ops))
		return;
	table_begin(t, TABLE_MCFG, "MCFG", 1);
	buf_zero(&t->out, 8);
	buf_le64(&t->out, X86_ECAM);
	buf_le16(&t->out, 0); /* segment */
	buf_u8(&t->out, 0);   /* buses 0 to 0 */
	buf_u8(&t->out, 0);
	buf_zero(&t->out, 4);
	table_end(t, TABLE_MCFG);
}

static void write_fadt(struct x86_acpi *t)
{
	struct buf *out = &t->out;
	gpa_t dsdt = table_gpa(t, TABLE_DSDT);

	table_begin(t, TABLE_FADT, "FACP", 6);
	buf_le32(out, 0); /* no FACS */
	buf_le32(out, (u32)dsdt);
	buf_u8(out, 0);
	buf_u8(out, 0); /* preferred power profile: unspecified */
	/* Hardware-reduced systems have no SCI and ignore the rest up to the boot flags. */
	buf_le16(out, X86_IRQ_POWER);
	buf_zero(out, 108 - 48);
	buf_u8(out, CMOS_CENTURY);
	buf_le16(out, BOOT_LEGACY_DEVICES | BOOT_NO_VGA);
	buf_u8(out, 0);
	buf_le32(out, FADT_WBINVD | FADT_PROC_C1 | FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON |
			      FADT_NO_FIXED_RTC | FADT_RESET_REGISTER | FADT_HW_REDUCED);
	acpi_gas(out, GAS_IO, 8, GAS_BYTE_ACCESS, X86_PORT_POWER + POWER_RESET);
	buf_u8(out, POWER_RESET_VALUE);
	buf_le16(out, 0); /* Arm's boot flags */
	buf_u8(out, 4);	  /* minor revision: 6.4 */
	buf_le64(out, 0); /* no FACS */
	buf_le64(out, dsdt);
	for (int i = 0; i < 8; i++) /* PM1a to GPE1 */
		acpi_gas(out, GAS_MEMORY, 0, 0, 0);
	acpi_gas(out, GAS_IO, 8, GAS_BYTE_ACCESS, X86_PORT_POWER + POWER_SLEEP_CONTROL);
	acpi_gas(out, GAS_IO, 8, GAS_BYTE_ACCESS, X86_PORT_POWER + POWER_SLEEP_STATUS);
	buf_add(out, "LKVM\0\0\0", 8); /* hypervisor vendor identity */
	table_end(t, TABLE_FADT);
	assert(out->err || t->table[TABLE_FADT].len == FADT_LEN);
}

static void write_xsdt(struct x86_acpi *t)
{
	static const u8 listed[] = {TABLE_FADT, TABLE_MADT, TABLE_MCFG};

	table_begin(t, TABLE_XSDT, "XSDT", 1);
	for (u32 i = 0; i < ARRAY_SIZE(listed); i++)
		if (t->table[listed[i]].len)
			buf_le64(&t->out, table_gpa(t, listed[i]));
	table_end(t, TABLE_XSDT);
}

/* Two checksums: over the first 20 bytes, as in ACPI 1.0, and over all. */
static void write_rsdp(u8 rsdp[static RSDP_LEN], gpa_t xsdt)
{
	static const struct {
		u8 len, at;
	} sums[] = {{20, 8}, {RSDP_LEN, 32}};

	memset(rsdp, 0, RSDP_LEN);
	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "LKVM  ", 6);
	rsdp[15] = 2; /* revision; there is no RSDT */
	rsdp[20] = RSDP_LEN;
	for (u32 i = 0; i < 8; i++)
		rsdp[24 + i] = (u8)(xsdt >> (8 * i));
	for (u32 s = 0; s < ARRAY_SIZE(sums); s++) {
		u8 sum = 0;

		for (u32 i = 0; i < sums[s].len; i++)
			sum = (u8)(sum + rsdp[i]);
		rsdp[sums[s].at] = (u8)-sum;
	}
}

/*
 * Builds all of it; the caller frees t->out in every case. Where it all goes depends on its length, and the
 * FADT and XSDT hold addresses: so these two come last, when only their own, fixed lengths are missing.
 */
static int acpi_build(struct x86_acpi *t, const struct kvm *kvm)
{
	size_t size;

	*t = (struct x86_acpi){.base = X86_ACPI};
	buf_zero(&t->out, ROOM_BYTES + CPU_BYTES * kvm->cfg->cpus);
	t->out.len = 0;
	buf_zero(&t->out, TABLES_AT);
	write_dsdt(t, kvm);
	write_madt(t, kvm);
	write_mcfg(t, kvm);

	size = align_up(t->out.len, TABLE_ALIGN) + align_up(FADT_LEN, TABLE_ALIGN) + HEADER_LEN +
	       8 * TABLE_COUNT;
	if (!t->out.err && size > X86_ACPI_SIZE) {
		t->room = align_up(size, 4096);
		t->base = guest_fit_high(&kvm->mem, t->room, 4096, X86_HIGH_MEM, X86_RAM_HOLE);
		if (!t->base) {
			log_error("ACPI tables: %zu bytes for %llu vCPUs do not fit into low RAM: give "
				  "more memory (-m) or fewer vCPUs (-c)",
				  size, (unsigned long long)kvm->cfg->cpus);
			return -ENOSPC;
		}
	}
	write_fadt(t);
	write_xsdt(t);
	if (t->out.err) {
		log_error("ACPI tables: %s", strerror(-t->out.err));
		return t->out.err;
	}
	assert(t->out.len <= size);
	write_rsdp(t->out.data, table_gpa(t, TABLE_XSDT));
	return 0;
}

int x86_acpi_write(struct kvm *kvm)
{
	struct x86_machine *m = x86_of(kvm);
	struct x86_acpi t;
	int r = acpi_build(&t, kvm);

	if (r)
		goto out;
	m->rsdp = X86_ACPI;
	m->acpi_high = m->acpi_high_size = 0;
	if (t.base == X86_ACPI) {
		r = guest_write(&kvm->mem, X86_ACPI, t.out.data, t.out.len);
	} else {
		m->acpi_high = t.base;
		m->acpi_high_size = t.room;
		r = guest_write(&kvm->mem, t.base, t.out.data, t.out.len);
		if (!r)
			r = guest_write(&kvm->mem, X86_ACPI, t.out.data, RSDP_LEN);
	}
	if (r)
		log_error("ACPI tables: no RAM at 0x%llx to put them: give the VM more memory (-m)",
			  (unsigned long long)t.base);
out:
	buf_free(&t.out);
	return r;
}

static int dump_file(int dirfd, const char *name, const u8 *data, size_t len)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : 0;

	while (!r && len) {
		ssize_t n = write(fd, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n == 0 || errno != EINTR) {
			r = n < 0 ? -errno : -EIO;
		}
	}
	if (fd >= 0 && close(fd) < 0 && !r)
		r = -errno;
	if (r)
		log_error("cannot write ACPI table %s: %s", name, strerror(-r));
	return r;
}

int x86_acpi_dump(const struct kvm *kvm, int dirfd)
{
	static const char *const names[TABLE_COUNT] = {
		[TABLE_DSDT] = "dsdt.dat", [TABLE_MADT] = "apic.dat", [TABLE_MCFG] = "mcfg.dat",
		[TABLE_FADT] = "facp.dat", [TABLE_XSDT] = "xsdt.dat",
	};
	struct x86_acpi t;
	int r = acpi_build(&t, kvm);

	/* Not the RSDP: it is no table with a header, and iasl takes no file of it. */
	for (u32 i = 0; !r && i < TABLE_COUNT; i++)
		if (t.table[i].len)
			r = dump_file(dirfd, names[i], t.out.data + t.table[i].at, t.table[i].len);
	buf_free(&t.out);
	return r;
}

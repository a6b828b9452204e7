/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables and AML byte code, as a writer (ACPI specification 6.4: table headers 5.2.6, AML 20.2,
 * resources 6.4). Machine-independent; which tables a board has is said by its arch folder.
 */
#ifndef LKVM_ACPI_H
#define LKVM_ACPI_H

#include <lkvm/buf.h>
#include <lkvm/types.h>

/* AML under construction: packages (Device, Method, Scope ...) are opened and closed in pairs. */
struct aml {
	struct buf *out;
	size_t open[16]; /* where each open package's length goes */
	u32 depth;
};

/* Names: one to four characters are padded with '_'; dotted and '\\' or '^' prefixed paths are taken. */
void aml_scope_begin(struct aml *a, const char *name);
void aml_device_begin(struct aml *a, const char *name);
void aml_method_begin(struct aml *a, const char *name, u32 args, bool serialized);
void aml_package_begin(struct aml *a, u32 elements);
void aml_if_begin(struct aml *a); /* the predicate is written next */
void aml_end(struct aml *a);	  /* closes whichever of the above is innermost */

void aml_name(struct aml *a, const char *name); /* Name (NAME, ... the value is written next */
void aml_path(struct aml *a, const char *path); /* a NameString as a term: a reference or a call */
void aml_int(struct aml *a, u64 v);		/* the shortest encoding */
void aml_string(struct aml *a, const char *s);
void aml_eisaid(struct aml *a, const char *id); /* "PNP0501" as an integer */
void aml_return_int(struct aml *a, u64 v);
void aml_op(struct aml *a, u8 op);			   /* a bare opcode */
void aml_buffer(struct aml *a, const void *data, u32 len); /* Buffer (len) { data } */
void aml_notify(struct aml *a, const char *path, u64 val); /* Notify (path, val) */

/*
 * A device's registers for AML: OperationRegion (name, SystemIO, base, len), then Field (region, ...) with
 * its units in order from bit 0, closed by aml_end(). width: bits of an access, 8, 16 or 32.
 */
void aml_opregion_io(struct aml *a, const char *name, u64 base, u64 len);
void aml_field_begin(struct aml *a, const char *region, u32 width);
void aml_field_unit(struct aml *a, const char *name, u32 bits); /* name NULL: reserved bits */

/* A resource template: Buffer () { ... end tag }, between begin and end. */
void aml_resources_begin(struct aml *a);
void aml_resources_end(struct aml *a);
void aml_res_io(struct aml *a, u16 base, u16 align, u8 len);
void aml_res_irq(struct aml *a, u32 gsi, bool level, bool active_low); /* extended interrupt */
void aml_res_irq_legacy(struct aml *a, u32 irq);		       /* edge, active high, exclusive */
void aml_res_memory32(struct aml *a, u32 base, u32 len, bool writable);
/* Address-space descriptors of a host bridge's windows: min to max inclusive. */
void aml_res_bus_range(struct aml *a, u16 min, u16 max);
void aml_res_io_range(struct aml *a, u16 min, u16 max);
void aml_res_mem32_range(struct aml *a, u32 min, u32 max, bool prefetch);
void aml_res_mem64_range(struct aml *a, u64 min, u64 max, bool prefetch);

/* The common way a legacy device is named: Device (name) { _HID, _UID, _CRS begin ... }: closed by two ends.
 */

/* A table: begin writes the 36-byte header and returns its offset; end fills in length and checksum. */
size_t acpi_table_begin(struct buf *out, const char *signature, u8 revision);
void acpi_table_end(struct buf *out, size_t start);
/* A Generic Address Structure: space 0 memory, 1 I/O; width in bits. */
void acpi_gas(struct buf *out, u8 space, u8 width, u8 access, u64 address);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What every ACPI table has: the 36-byte header with its length and checksum, and Generic Address Structures.
 *
 * Called by a board's table writer on the main thread while the VM is being built, or dumped; no lock. Which
 * tables there are and where they go is the board's affair (x86/acpi.c); AML is in aml.c.
 *
 * ACPI specification 6.4: 5.2.6 (system description table header), 5.2.3.2 (Generic Address Structure).
 */
#include <lkvm/acpi.h>
#include <string.h>

#define HEADER_LENGTH	4 /* offsets of what is known only at the end */
#define HEADER_CHECKSUM 9

size_t acpi_table_begin(struct buf *out, const char *signature, u8 revision)
{
	size_t start = out->len;

	buf_add(out, signature, 4);
	buf_le32(out, 0);
	buf_u8(out, revision);
	buf_u8(out, 0);
	buf_add(out, "LKVM  ", 6); /* OEM id */
	buf_add(out, "LKVM", 4);   /* OEM table id: whose, and which */
	buf_add(out, signature, 4);
	buf_le32(out, 1);	 /* OEM revision */
	buf_add(out, "LKVM", 4); /* creator id and revision */
	buf_le32(out, 1);
	return start;
}

void acpi_table_end(struct buf *out, size_t start)
{
	u32 len;
	u8 sum = 0;

	if (out->err)
		return;
	len = (u32)(out->len - start);
	for (u32 i = 0; i < 4; i++)
		out->data[start + HEADER_LENGTH + i] = (u8)(len >> (8 * i));
	for (u32 i = 0; i < len; i++)
		sum = (u8)(sum + out->data[start + i]);
	out->data[start + HEADER_CHECKSUM] = (u8)(out->data[start + HEADER_CHECKSUM] - sum);
}

void acpi_gas(struct buf *out, u8 space, u8 width, u8 access, u64 address)
{
	buf_u8(out, space);
	buf_u8(out, width);
	buf_u8(out, 0); /* bit offset */
	buf_u8(out, access);
	buf_le64(out, address);
}

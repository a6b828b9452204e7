// SPDX-License-Identifier: MIT
#include "its.h"

#define TABLE_SIZE 0x10000 /* one page of the largest size: any ITS takes it */

#define BASER_VALID	 (1ull << 63)
#define BASER_CACHED	 (7ull << 59)
#define BASER_SHARED	 (1ull << 10)
#define BASER_64K	 (2ull << 8)
#define BASER_TYPE(v)	 ((v) >> 56 & 7)
#define BASER_DEVICE	 1
#define BASER_COLLECTION 4

#define LPI_CACHED (7ull << 7)
#define LPI_SHARED (1ull << 10)
#define ID_BITS	   14 /* LPIs 8192 .. 16383 */

enum its_command {
	ITS_MOVI = 0x01,
	ITS_INT = 0x03,
	ITS_CLEAR = 0x04,
	ITS_SYNC = 0x05,
	ITS_MAPD = 0x08,
	ITS_MAPC = 0x09,
	ITS_MAPTI = 0x0a,
	ITS_INV = 0x0c,
	ITS_INVALL = 0x0d,
	ITS_MOVALL = 0x0e,
	ITS_DISCARD = 0x0f,
};

#define TABLE __attribute__((aligned(TABLE_SIZE)))
static u8 queue[TABLE_SIZE] TABLE;
static u8 devices[TABLE_SIZE] TABLE;
static u8 collections[TABLE_SIZE] TABLE;
static u8 pending[ITS_CPUS][TABLE_SIZE] TABLE;
static volatile u8 config[(1 << ID_BITS) - FIRST_LPI] __attribute__((aligned(4096)));
static u8 itt[ITS_DEVICES][ITS_EVENTS * 16] __attribute__((aligned(256)));
static u64 redist_target[ITS_CPUS];
static u32 tail;
ulong its_base;

static void its_command(u64 a, u64 b, u64 c, u64 d)
{
	u64 *slot = (u64 *)(queue + tail);

	slot[0] = a;
	slot[1] = b;
	slot[2] = c;
	slot[3] = d;
	tail = (tail + 32) % sizeof(queue);
	dsb();
	write64(its_base + GITS_CWRITER, tail);
	if (!wait_for(read64(its_base + GITS_CREADR) == tail)) {
		printf("not ok the ITS takes its commands\n# command 0x%lx, CREADR 0x%lx, CWRITER 0x%x\n", a,
		       read64(its_base + GITS_CREADR), tail);
		exit_with(95);
	}
}

bool its_init(void)
{
	struct node n = fdt_compatible(fdt_root(), "arm,gic-v3-its");
	u64 base;

	if (!n.at || !fdt_reg(n, 0, &base, NULL))
		return false;
	its_base = base;
	write64(its_base + GITS_CBASER,
		BASER_VALID | BASER_CACHED | BASER_SHARED | (ulong)queue | (TABLE_SIZE / 4096 - 1));
	write64(its_base + GITS_CWRITER, 0);
	for (u32 i = 0; i < 8; i++) {
		u64 type = BASER_TYPE(read64(its_base + GITS_BASER(i)));
		u64 table = type == BASER_DEVICE       ? (ulong)devices
			    : type == BASER_COLLECTION ? (ulong)collections
						       : 0;

		if (table)
			write64(its_base + GITS_BASER(i),
				BASER_VALID | BASER_CACHED | BASER_SHARED | BASER_64K | table);
	}
	write32(its_base + GITS_CTLR, 1);
	return true;
}

void its_init_cpu(void)
{
	u32 cpu = cpu_index();
	ulong base = gicr_base();

	write64(base + GICR_PROPBASER, (ulong)config | LPI_SHARED | LPI_CACHED | (ID_BITS - 1));
	/* All of the table is zero, and GICR_PENDBASER.PTZ says so. */
	write64(base + GICR_PENDBASER, (ulong)pending[cpu] | LPI_SHARED | LPI_CACHED | 1ull << 62);
	write32(base + GICR_CTLR, 1);
	/* GITS_TYPER.PTA: a collection's target is the redistributor's address, or else its number. */
	if (read64(its_base + GITS_TYPER) >> 19 & 1)
		redist_target[cpu] = base;
	else
		redist_target[cpu] = (read64(base + GICR_TYPER) >> 8 & 0xffff) << 16;
	its_command(ITS_MAPC, 0, BASER_VALID | redist_target[cpu] | cpu, 0);
	its_sync(cpu);
}

void lpi_enable(u32 id, u32 priority)
{
	config[id - FIRST_LPI] = (u8)((priority & 0xfc) | 2 | 1);
	dsb();
}

void lpi_disable(u32 id)
{
	config[id - FIRST_LPI] &= (u8)~1;
	dsb();
}

static void its_event(enum its_command command, u32 devid, u32 event, u64 c)
{
	its_command((u64)devid << 32 | command, event, c, 0);
}

void its_mapd(u32 devid, u32 which, bool valid)
{
	/* Log2 of ITS_EVENTS, less one. */
	its_event(ITS_MAPD, devid, 4, valid ? BASER_VALID | (ulong)itt[which] : 0);
}

void its_mapti(u32 devid, u32 event, u32 lpi, u32 cpu)
{
	its_command((u64)devid << 32 | ITS_MAPTI, (u64)lpi << 32 | event, cpu, 0);
}

void its_movi(u32 devid, u32 event, u32 cpu)
{
	its_event(ITS_MOVI, devid, event, cpu);
}

void its_inv(u32 devid, u32 event)
{
	its_event(ITS_INV, devid, event, 0);
}

void its_invall(u32 cpu)
{
	its_command(ITS_INVALL, 0, cpu, 0);
}

void its_int(u32 devid, u32 event)
{
	its_event(ITS_INT, devid, event, 0);
}

void its_clear(u32 devid, u32 event)
{
	its_event(ITS_CLEAR, devid, event, 0);
}

void its_discard(u32 devid, u32 event)
{
	its_event(ITS_DISCARD, devid, event, 0);
}

void its_movall(u32 from, u32 to)
{
	its_command(ITS_MOVALL, 0, redist_target[from], redist_target[to]);
}

void its_sync(u32 cpu)
{
	its_command(ITS_SYNC, 0, redist_target[cpu], 0);
}

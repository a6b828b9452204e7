/* SPDX-License-Identifier: MIT */
/*
 * The GICv3 ITS (Arm IHI 0069, chapter 5): tables, the command queue, and LPIs. Collection n is vCPU n's. A
 * device has ITS_EVENTS events and one ITT of ours.
 */
#ifndef ITS_H
#define ITS_H

#include "gic.h"

#define GITS_CTLR	0x00000
#define GITS_IIDR	0x00004
#define GITS_TYPER	0x00008
#define GITS_CBASER	0x00080
#define GITS_CWRITER	0x00088
#define GITS_CREADR	0x00090
#define GITS_BASER(n)	(0x00100 + 8 * (n))
#define GITS_TRANSLATER 0x10040

#define ITS_CPUS    4
#define ITS_DEVICES 4
#define ITS_EVENTS  32

/* False when the device tree has none. Then the ITS is on, with no device and no collection. */
bool its_init(void);
extern ulong its_base;
/* This vCPU's LPI tables, and its LPIs on; then its collection. */
void its_init_cpu(void);

/* The configuration byte of an LPI; takes effect by its_inv(). */
void lpi_enable(u32 id, u32 priority);
void lpi_disable(u32 id);

/* Each waits until the ITS has taken its command. */
void its_mapd(u32 devid, u32 which, bool valid); /* `which` of our ITTs, 0 .. ITS_DEVICES - 1 */
void its_mapti(u32 devid, u32 event, u32 lpi, u32 cpu);
void its_movi(u32 devid, u32 event, u32 cpu);
void its_inv(u32 devid, u32 event);
void its_invall(u32 cpu);
void its_int(u32 devid, u32 event);
void its_clear(u32 devid, u32 event);
void its_discard(u32 devid, u32 event);
void its_movall(u32 from, u32 to);
void its_sync(u32 cpu);

#endif

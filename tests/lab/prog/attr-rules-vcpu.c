/* SPDX-License-Identifier: MIT */
/*
 * attr-rules-vcpu: the rules behind the attributes of an ITS, and of vCPUs (timers, stolen time, performance
 * counters), on the real KVM and through lkvm's own layer; attr-rules.c has those of the GICs.
 * Documentation/virt/kvm/devices/arm-vgic-its.rst and vcpu.rst.
 */
#include "prog.h"
#include "raw-vm.h"

#include <errno.h>
#include <lkvm/kvm-device.h>
#include <lkvm/mem.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define CTRL  KVM_DEV_ARM_VGIC_GRP_CTRL
#define INIT  KVM_DEV_ARM_VGIC_CTRL_INIT
#define REGS  KVM_DEV_ARM_VGIC_GRP_ITS_REGS
#define TIMER KVM_ARM_VCPU_TIMER_CTRL
#define PMU   KVM_ARM_VCPU_PMU_V3_CTRL

#define RAM	    0x80000000ull
#define DIST	    0x08000000ull
#define RDIST	    0x080a0000ull
#define CPU	    0x08010000ull
#define ITS	    0x08080000ull
#define PMU_FEATURE (1u << KVM_ARM_VCPU_PMU_V3)

#define GITS_CTLR     0x00
#define GITS_CBASER   0x80
#define GITS_CWRITER  0x88
#define GITS_CREADR   0x90
#define GITS_BASER(n) (0x100u + 8 * (n))
#define VALID	      (1ull << 63)

static bool v3;
static u64 top;

static int set64(int fd, u32 group, u64 attr, u64 val)
{
	return kvm_attr_set(fd, group, attr, &val);
}

static int set32(int fd, u32 group, u64 attr, u32 val)
{
	return kvm_attr_set(fd, group, attr, &val);
}

static u64 get64(int fd, u32 group, u64 attr)
{
	u64 val = 0;

	return kvm_attr_get(fd, group, attr, &val) ? ~0ull : val;
}

static u32 get32(int fd, u32 group, u64 attr)
{
	u32 val = 0;

	return kvm_attr_get(fd, group, attr, &val) ? ~0u : val;
}

static int command(int fd, u32 group, u64 attr)
{
	return kvm_attr_set(fd, group, attr, NULL);
}

/* In the VM there is: the host's GIC, placed. */
static int add_gic(void)
{
	u32 type = v3 ? KVM_DEV_TYPE_ARM_VGIC_V3 : KVM_DEV_TYPE_ARM_VGIC_V2;
	int fd = kvm_device_create(raw_vm_now(), type);

	if (fd < 0 ||
	    set64(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, v3 ? KVM_VGIC_V3_ADDR_TYPE_DIST : KVM_VGIC_V2_ADDR_TYPE_DIST,
		  DIST) ||
	    set64(fd, KVM_DEV_ARM_VGIC_GRP_ADDR,
		  v3 ? KVM_VGIC_V3_ADDR_TYPE_REDIST : KVM_VGIC_V2_ADDR_TYPE_CPU, v3 ? RDIST : CPU))
		result(false, "a GIC that is placed");
	return fd;
}

/* ---- a vCPU that runs ----------------------------------------------------------------------- */

static volatile bool stop;

static void on_signal(int sig)
{
}

static void *run(void *arg)
{
	int fd = *(int *)arg;

	while (!stop)
		raw_run_on(fd);
	return NULL;
}

/* Whether the call gives that errno while a vCPU of the VM runs an endless loop. */
static void while_running(int cpu, int (*call)(int fd), int fd, int want, const char *what)
{
	const u32 loop = 0x14000000; /* b . */
	const u64 pc = RAM,
		  reg = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.pc);
	struct kvm_one_reg one = {.id = reg, .addr = (uintptr_t)&pc};
	struct sigaction action = {.sa_handler = on_signal};
	pthread_t thread;
	int got = 0;

	sigaction(SIGUSR2, &action, NULL);
	if (guest_write(&raw_vm_now()->mem, RAM, &loop, sizeof(loop)) ||
	    kvm_ioctl(cpu, KVM_SET_ONE_REG, &one) < 0 || pthread_create(&thread, NULL, run, &cpu)) {
		result(false, "a vCPU that runs");
		return;
	}
	/* Until it does run: five seconds at the most. */
	for (u32 i = 0; i < 500 && got != want; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
		got = call(fd);
	}
	stop = true;
	/* The signal may come just before KVM_RUN. */
	while (pthread_kill(thread, SIGUSR2) == 0 && pthread_tryjoin_np(thread, NULL))
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	stop = false;
	result_err(got, want, "%s", what);
}

/* ---- ITS ------------------------------------------------------------------------------------ */

/* A VM with one vCPU, a GICv3 that is ready, and an ITS at its place; *cpu is the vCPU. */
static int its_vm(int *cpu)
{
	int gic, its;

	raw_vm();
	*cpu = raw_vcpu(0, 0);
	gic = add_gic();
	its = kvm_device_create(raw_vm_now(), KVM_DEV_TYPE_ARM_VGIC_ITS);
	if (its < 0 || command(gic, CTRL, INIT) ||
	    set64(its, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE, ITS))
		result(false, "an ITS");
	return its;
}

static int its_ready(int *cpu)
{
	int its = its_vm(cpu);

	result_err(command(its, CTRL, INIT), 0, "ITS: INIT");
	return its;
}

static void its_addresses(void)
{
	const u32 group = KVM_DEV_ARM_VGIC_GRP_ADDR;
	const u64 attr = KVM_VGIC_ITS_ADDR_TYPE;
	int its;

	raw_vm();
	raw_vcpu(0, 0);
	add_gic();
	its = kvm_device_create(raw_vm_now(), KVM_DEV_TYPE_ARM_VGIC_ITS);
	result(its > 0, "ITS: made beside a GICv3");
	result(kvm_device_create(raw_vm_now(), KVM_DEV_TYPE_ARM_VGIC_ITS) > 0,
	       "ITS: and a second one: no EEXIST");
	result_err(set64(its, REGS, GITS_CTLR, 0), -ENXIO, "ITS: a register before there is an address");
	result_err(set64(its, group, attr, ITS + 0x8000), -EINVAL, "ITS: misaligned");
	result_err(set64(its, group, attr, top), -E2BIG, "ITS: beyond the guest's addresses");
	result_err(set64(its, group, attr, top - 0x10000), -E2BIG, "ITS: its last byte beyond");
	result_err(kvm_attr_set(its, group, attr, (void *)8), -EFAULT, "ITS: a bad pointer");
	result_err(set64(its, group, attr, ITS), 0, "ITS: placed");
	result_err(set64(its, group, attr, ITS + 0x100000), -EEXIST, "ITS: placed already");
	result(get64(its, group, attr) == ITS, "ITS: its address reads back");
	result_err(set64(its, group, 77, ITS), -ENODEV, "ITS: an unknown frame: not ENXIO");
	result(!kvm_attr_has(its, group, 77), "ITS: has of it");
}

static int save_tables(int its)
{
	return command(its, CTRL, KVM_DEV_ARM_ITS_SAVE_TABLES);
}

static void its_control(void)
{
	int cpu, its = its_ready(&cpu);

	/* Every other device gives ENXIO; only "has" tells here. */
	result_err(command(its, CTRL, 99), 0, "ITS: an unknown command is taken for one that is done");
	result(!kvm_attr_has(its, CTRL, 99), "ITS: has of it");
	result_err(command(its, 77, 0), -ENXIO, "ITS: an unknown group");
	result_err(command(its, CTRL, INIT), 0, "ITS: INIT again");
	result_err(save_tables(its), 0, "ITS: saved without tables");
	result_err(command(its, CTRL, KVM_DEV_ARM_ITS_RESTORE_TABLES), 0, "ITS: restored without tables");
	result_err(command(its, CTRL, KVM_DEV_ARM_ITS_CTRL_RESET), 0, "ITS: reset");
	result_err(set64(its, REGS, GITS_CBASER + 4, 0), -EINVAL, "ITS: half a register");
	result_err(set64(its, REGS, 0xf000, 0), -ENXIO, "ITS: a register that there is not");
	result(kvm_attr_has(its, REGS, GITS_CREADR) && !kvm_attr_has(its, REGS, 0xf000),
	       "ITS: has of registers");
	while_running(cpu, save_tables, its, -EBUSY, "ITS: saved while a vCPU runs");
	result_err(save_tables(its), 0, "ITS: and when it does not");
}

/* The order of arm-vgic-its.rst: CBASER, the others, the tables, CTLR. What goes wrong in another. */
static void its_order(void)
{
	int cpu, its = its_ready(&cpu);

	result_err(set64(its, REGS, GITS_CTLR, 1), 0, "ITS: CTLR before the tables");
	result(!(get64(its, REGS, GITS_CTLR) & 1), "ITS: does not switch it on");
	result_err(set64(its, REGS, GITS_CREADR, 64), 0, "ITS: CREADR before CBASER");
	result_err(set64(its, REGS, GITS_CBASER, VALID | (RAM + 0x100000)), 0, "ITS: CBASER");
	result(get64(its, REGS, GITS_CREADR) == 0, "ITS: which sets CREADR to 0");
	result_err(set64(its, REGS, GITS_CREADR, 64), 0, "ITS: CREADR");
	result_err(set64(its, REGS, GITS_CWRITER, 64), 0, "ITS: CWRITER");
	result(get64(its, REGS, GITS_CREADR) == 64 && get64(its, REGS, GITS_CWRITER) == 64,
	       "ITS: both read back");
	result_err(set64(its, REGS, GITS_BASER(0), VALID | (RAM + 0x200000)), 0, "ITS: the table of devices");
	result_err(set64(its, REGS, GITS_BASER(1), VALID | (RAM + 0x300000)), 0,
		   "ITS: the table of collections");
	result_err(command(its, CTRL, KVM_DEV_ARM_ITS_RESTORE_TABLES), 0, "ITS: tables that are empty");
	result_err(set64(its, REGS, GITS_CTLR, 1), 0, "ITS: CTLR");
	result(get64(its, REGS, GITS_CTLR) & 1, "ITS: switches it on now");
	result_err(set64(its, REGS, GITS_BASER(0), VALID | (RAM + 0x400000)), 0,
		   "ITS: another table, while it is on");
	result((get64(its, REGS, GITS_BASER(0)) & 0xfffffffff000) == RAM + 0x200000, "ITS: is not taken");
}

static void its_tables(void)
{
	int cpu, its = its_ready(&cpu);
	u64 entry;

	result_err(set64(its, REGS, GITS_BASER(0), VALID | 0x30000000), 0,
		   "ITS: a table of devices that is no RAM");
	result_err(command(its, CTRL, KVM_DEV_ARM_ITS_RESTORE_TABLES), -EFAULT, "ITS: restored from there");
	its = its_ready(&cpu);
	result_err(set64(its, REGS, GITS_BASER(1), VALID | (RAM + 0x300000)), 0,
		   "ITS: a table of collections");
	entry = VALID | 99ull << 16 | 3;
	if (guest_write(&raw_vm_now()->mem, RAM + 0x300000, &entry, sizeof(entry)))
		result(false, "guest memory");
	result_err(command(its, CTRL, KVM_DEV_ARM_ITS_RESTORE_TABLES), -EINVAL,
		   "ITS: a collection of a vCPU that there is not");
	its = its_ready(&cpu);
	result_err(set64(its, REGS, GITS_BASER(0), VALID | (RAM + 0x200000)), 0, "ITS: a table of devices");
	/* 32 bits of events, in a table that is no RAM. */
	entry = VALID | (0x30000000ull >> 8) << 5 | 31;
	if (guest_write(&raw_vm_now()->mem, RAM + 0x200000, &entry, sizeof(entry)))
		result(false, "guest memory");
	result_err(command(its, CTRL, KVM_DEV_ARM_ITS_RESTORE_TABLES), -EINVAL,
		   "ITS: a device of more events than there may be");
	entry = VALID | (0x30000000ull >> 8) << 5 | 4;
	if (guest_write(&raw_vm_now()->mem, RAM + 0x200000, &entry, sizeof(entry)))
		result(false, "guest memory");
	result_err(command(its, CTRL, KVM_DEV_ARM_ITS_RESTORE_TABLES), -EFAULT,
		   "ITS: a device whose table is no RAM");
	/* EACCES is for LPIs that a GICv4 delivers by itself, which this host does not have. */
}

/* ---- vCPUs ---------------------------------------------------------------------------------- */

static void stolen_time(void)
{
	const u32 group = KVM_ARM_VCPU_PVTIME_CTRL;
	int cpu;

	raw_vm();
	cpu = raw_vcpu(0, 0);
	if (!kvm_attr_has(cpu, group, KVM_ARM_VCPU_PVTIME_IPA)) {
		diag("this kernel tells no stolen time");
		return;
	}
	result_err(set64(cpu, group, 0, RAM + 32), -EINVAL, "stolen time: unaligned");
	result_err(set64(cpu, group, 0, 0x30000000), -EINVAL, "stolen time: where there is no memory");
	result_err(set64(cpu, group, 0, RAM + 64), 0, "stolen time: placed");
	result_err(set64(cpu, group, 0, RAM + 128), -EEXIST, "stolen time: placed already");
	result(get64(cpu, group, 0) == RAM + 64, "stolen time: its place reads back");
	result_err(set64(cpu, group, 1, RAM), -ENXIO, "stolen time: an unknown attribute");
	result_err(set64(cpu, 77, 0, RAM), -ENXIO, "vCPU: an unknown group");
}

static void timers(void)
{
	int cpu, gic;

	raw_vm();
	cpu = raw_vcpu(0, 0);
	result(get32(cpu, TIMER, KVM_ARM_VCPU_TIMER_IRQ_VTIMER) == 27, "timers: the virtual one's interrupt");
	result(get32(cpu, TIMER, KVM_ARM_VCPU_TIMER_IRQ_PTIMER) == 30,
	       "timers: and the physical one's, without a GIC");
	result_err(set32(cpu, TIMER, 0, 20), -EINVAL, "timers: not to be set without a GIC");
	gic = add_gic();
	result_err(set32(cpu, TIMER, 0, 40), -EINVAL, "timers: an SPI");
	result_err(set32(cpu, TIMER, 0, 5), -EINVAL, "timers: an SGI");
	result_err(set32(cpu, TIMER, 0, 20), 0, "timers: another PPI");
	result(get32(cpu, TIMER, 0) == 20, "timers: which reads back");
	result_err(kvm_attr_set(cpu, TIMER, 0, (void *)8), -EFAULT, "timers: a bad pointer");
	result(!kvm_attr_has(cpu, TIMER, 99), "timers: has of an unknown one");
	result_err(command(gic, CTRL, INIT), 0, "timers: the GIC is ready");
	result_err(raw_run(cpu), -EINTR, "timers: the vCPU runs");
	result_err(set32(cpu, TIMER, 0, 21), -EBUSY, "timers: not to be set when it has run");

	raw_vm();
	cpu = raw_vcpu(0, 0);
	gic = add_gic();
	result_err(set32(cpu, TIMER, 0, 30), 0, "timers: both on one PPI");
	result_err(command(gic, CTRL, INIT), 0, "timers: the GIC is ready");
	result_err(raw_run(cpu), -EINVAL, "timers: KVM_RUN then");
}

/* A VM with two vCPUs that have the feature, and a GIC. */
static int pmu_vm(int cpu[2], bool ready)
{
	int gic;

	raw_vm();
	cpu[0] = raw_vcpu(0, PMU_FEATURE);
	cpu[1] = raw_vcpu(1, PMU_FEATURE);
	gic = add_gic();
	if (ready && command(gic, CTRL, INIT))
		result(false, "the GIC is ready");
	return gic;
}

static void pmu_errors(void)
{
	struct kvm_pmu_event_filter filter = {.nevents = 1, .action = 7};
	int cpu[2], gic;

	raw_vm();
	cpu[0] = raw_vcpu(0, 0);
	result(!kvm_attr_has(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_INIT), "PMU: has, without the feature");
	result_err(command(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_INIT), -ENODEV, "PMU: INIT without the feature");
	gic = pmu_vm(cpu, false);
	result(kvm_attr_has(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_INIT), "PMU: has, with it");
	result_err(set32(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_IRQ, 5), -EINVAL, "PMU: an SGI");
	result_err(set32(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_IRQ, 2000), -EINVAL, "PMU: no interrupt at all");
	result_err(kvm_attr_set(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_IRQ, (void *)8), -EFAULT,
		   "PMU: a bad pointer");
	result_err(set32(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_IRQ, 23), 0, "PMU: a PPI");
	result_err(set32(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_IRQ, 23), -EBUSY, "PMU: an interrupt twice");
	result(get32(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_IRQ) == 23, "PMU: it reads back");
	result_err(set32(cpu[1], PMU, KVM_ARM_VCPU_PMU_V3_IRQ, 22), -EINVAL,
		   "PMU: another PPI for another vCPU");
	result_err(command(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_INIT), -ENODEV, "PMU: INIT before the GIC's");
	result_err(command(gic, CTRL, INIT), 0, "PMU: the GIC is ready");
	result_err(kvm_attr_set(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_FILTER, &filter), -EINVAL,
		   "PMU: a filter of no kind");
	filter = (struct kvm_pmu_event_filter){.base_event = 0xffff, .nevents = 2};
	result_err(kvm_attr_set(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_FILTER, &filter), -EINVAL,
		   "PMU: of no events");
	filter = (struct kvm_pmu_event_filter){.base_event = 0x11, .nevents = 1};
	result_err(kvm_attr_set(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_FILTER, &filter), 0, "PMU: a filter");
	result_err(command(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_INIT), 0, "PMU: INIT");
	result_err(command(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_INIT), -EBUSY, "PMU: INIT twice");
	result_err(kvm_attr_set(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_FILTER, &filter), -EBUSY,
		   "PMU: a filter after INIT");
	if (kvm_attr_has(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_SET_PMU))
		result_err(set32(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_SET_PMU, 1), -EBUSY,
			   "PMU: SET_PMU after INIT");
	result_err(raw_run(cpu[0]), -EINTR, "PMU: the vCPU runs");
	result_err(raw_run(cpu[1]), -EINVAL, "PMU: one without INIT does not");
}

static void pmu_order(void)
{
	int cpu[2];

	pmu_vm(cpu, true);
	result_err(command(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_INIT), -ENXIO, "PMU: INIT without an interrupt");
	if (kvm_attr_has(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_SET_PMU))
		result_err(set32(cpu[0], PMU, KVM_ARM_VCPU_PMU_V3_SET_PMU, 12345), -ENXIO,
			   "PMU: one of no host");
	result(!kvm_attr_has(cpu[0], PMU, 99), "PMU: has of an unknown attribute");
	result_err(command(cpu[0], PMU, 99), -ENXIO, "PMU: set of it");
}

int main(void)
{
	struct kvm *kvm = raw_vm();
	bool its, pmu = kvm_cap(kvm, KVM_CAP_ARM_PMU_V3);

	v3 = !kvm_device_probe(kvm, KVM_DEV_TYPE_ARM_VGIC_V3);
	its = !kvm_device_probe(kvm, KVM_DEV_TYPE_ARM_VGIC_ITS);
	top = 1ull << raw_ipa_bits();
	result(its == v3, "an ITS where there is a GICv3");
	if (its) {
		its_addresses();
		its_control();
		its_order();
		its_tables();
	}
	stolen_time();
	timers();
	if (pmu) {
		pmu_errors();
		pmu_order();
	} else {
		diag("this host has no performance counters to give");
	}
	raw_vm_end();
	return finish();
}

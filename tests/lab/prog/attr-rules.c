/* SPDX-License-Identifier: MIT */
/*
 * attr-rules: what the kernel checks behind KVM_CREATE_DEVICE and the attributes of a GIC, rule by rule, on
 * the real KVM and through lkvm's own layer (kvm-device.c). The fake KVM of tests/unit enforces the same
 * rules. Documentation/virt/kvm/devices/arm-vgic.rst and arm-vgic-v3.rst.
 *
 * Which GIC is there is asked of the kernel; ITS and vCPUs are attr-rules-vcpu.c's.
 */
#include "prog.h"
#include "raw-vm.h"

#include <errno.h>
#include <lkvm/kvm-device.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDR	 KVM_DEV_ARM_VGIC_GRP_ADDR
#define CTRL	 KVM_DEV_ARM_VGIC_GRP_CTRL
#define INIT	 KVM_DEV_ARM_VGIC_CTRL_INIT
#define NR_IRQS	 KVM_DEV_ARM_VGIC_GRP_NR_IRQS
#define V2_DIST	 KVM_VGIC_V2_ADDR_TYPE_DIST
#define V2_CPU	 KVM_VGIC_V2_ADDR_TYPE_CPU
#define V3_DIST	 KVM_VGIC_V3_ADDR_TYPE_DIST
#define V3_RDIST KVM_VGIC_V3_ADDR_TYPE_REDIST
#define V3_RGN	 KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION

#define DIST  0x08000000ull
#define CPU   0x08010000ull
#define RDIST 0x080a0000ull
#define FAR   0x10000000ull

static bool v3;
static u32 type;
static u64 top; /* the first address that no guest has */

static int set(int fd, u32 group, u64 attr, u64 val)
{
	u32 v32 = (u32)val;

	return kvm_attr_set(fd, group, attr, group == ADDR ? (const void *)&val : &v32);
}

static int get(int fd, u32 group, u64 attr)
{
	u64 val = 0;

	return kvm_attr_get(fd, group, attr, &val);
}

static int init(int fd)
{
	return kvm_attr_set(fd, CTRL, INIT, NULL);
}

static u64 region(u64 count, u64 base, u64 flags, u64 index)
{
	return count << 52 | base | flags << 12 | index;
}

/* A VM with the host's GIC, not placed. */
static int gic(void)
{
	int fd = kvm_device_create(raw_vm(), type);

	if (fd < 0)
		result_err(fd, 0, "a GIC");
	return fd;
}

/* The same, placed; with n vCPUs. */
static int placed(u32 n)
{
	int fd = gic();

	for (u32 i = 0; i < n; i++)
		if (raw_vcpu(i, 0) < 0)
			result(false, "vCPU %u", i);
	if (set(fd, ADDR, v3 ? V3_DIST : V2_DIST, DIST) ||
	    set(fd, ADDR, v3 ? V3_RDIST : V2_CPU, v3 ? RDIST : CPU))
		result(false, "the GIC is placed");
	return fd;
}

/* ---- KVM_CREATE_DEVICE ---------------------------------------------------------------------- */

static void creation(void)
{
	struct kvm *kvm = raw_vm();
	u32 other = v3 ? KVM_DEV_TYPE_ARM_VGIC_V2 : KVM_DEV_TYPE_ARM_VGIC_V3;
	int fd;

	result_err(kvm_device_probe(kvm, 99), -ENODEV, "TEST of an unknown type");
	result_err(kvm_device_create(kvm, 99), -ENODEV, "an unknown type");
	result_err(kvm_device_probe(kvm, type), 0, "TEST of the host's GIC");
	result_err(kvm_device_probe(kvm, type), 0, "TEST creates nothing: the same again");
	fd = kvm_device_create(kvm, type);
	result(fd > 0, "nor keeps it from being created");
	result_err(kvm_device_create(kvm, type), -EEXIST, "a second GIC of the type");
	/* This host's KVM does not have the other one at all: with both it would be EEXIST or EINVAL. */
	result_err(kvm_device_probe(kvm, other), -ENODEV, "TEST of the version that the host does not have");
	result_err(kvm_device_create(kvm, other), -ENODEV, "and making it");
}

/* ---- any device ----------------------------------------------------------------------------- */

/* In a process of its own, which has another mm: the errno of KVM_HAS_DEVICE_ATTR there. */
static int in_child(int fd)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		struct kvm_device_attr da = {.group = CTRL, .attr = INIT};
		int err = kvm_ioctl(fd, KVM_HAS_DEVICE_ATTR, &da);

		_exit(err < 0 ? -err : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	return -WEXITSTATUS(status);
}

static void any_device(void)
{
	int fd = gic(), vfio;
	u64 v = 0;

	result_err(set(fd, 77, 0, 0), -ENXIO, "set of an unknown group");
	result_err(get(fd, 77, 0), -ENXIO, "get of an unknown group");
	result(!kvm_attr_has(fd, 77, 0), "has of an unknown group");
	result_err(set(fd, CTRL, 99, 0), -ENXIO, "set of an unknown attribute");
	result(!kvm_attr_has(fd, CTRL, 99), "has of an unknown attribute");
	result(kvm_attr_has(fd, CTRL, INIT), "has of one that there is");
	result_err(set(fd, ADDR, 99, DIST), -ENXIO, "set of an unknown frame");
	result(!kvm_attr_has(fd, ADDR, 99), "has of an unknown frame");
	result_err(kvm_attr_set(fd, ADDR, v3 ? V3_DIST : V2_DIST, (void *)8), -EFAULT,
		   "set with a bad pointer");
	result_err(kvm_attr_get(fd, ADDR, v3 ? V3_DIST : V2_DIST, (void *)8), -EFAULT,
		   "get with a bad pointer");
	result_err(kvm_ioctl(fd, KVM_GET_API_VERSION, NULL), -ENOTTY, "an ioctl that is no device's");
	result_err(in_child(fd), -EIO, "another process");
	vfio = kvm_device_create(raw_vm(), KVM_DEV_TYPE_VFIO);
	if (vfio < 0) {
		diag("this kernel has no VFIO device: EPERM is not looked at");
		return;
	}
	result_err(kvm_attr_get(vfio, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, &v), -EPERM,
		   "get of a device that has no get");
}

/* ---- addresses ------------------------------------------------------------------------------ */

static void addresses(void)
{
	u64 dist = v3 ? V3_DIST : V2_DIST, second = v3 ? V3_RDIST : V2_CPU, grain = v3 ? 0x10000 : 0x1000,
	    v = 0;
	int fd = gic();

	result_err(set(fd, ADDR, dist, DIST + grain / 2), -EINVAL, "a misaligned distributor");
	result_err(set(fd, ADDR, second, RDIST + grain / 2), -EINVAL, "a misaligned second frame");
	result_err(set(fd, ADDR, dist, top), -E2BIG, "a distributor beyond the guest's addresses");
	result_err(set(fd, ADDR, dist, top - grain), 0, "and one that ends with them");
	result_err(set(fd, ADDR, dist, DIST), -EEXIST, "a distributor that is placed already");
	result(!kvm_attr_get(fd, ADDR, dist, &v) && v == top - grain, "its address reads back");
	fd = gic();
	if (!v3) {
		result_err(set(fd, ADDR, second, top - grain), -E2BIG,
			   "a CPU interface whose last byte is beyond");
		result_err(set(fd, ADDR, second, top - 2 * grain), 0, "and one that ends with them");
	} else {
		raw_vcpu(0, 0);
		result_err(set(fd, ADDR, second, top), -E2BIG, "redistributors beyond the guest's addresses");
		result_err(set(fd, ADDR, second, top - grain), -E2BIG,
			   "redistributors whose last byte is beyond");
	}
	fd = gic();
	result_err(set(fd, ADDR, second, RDIST), 0, "a second frame");
	result_err(set(fd, ADDR, second, RDIST), -EEXIST, "a second time");
}

/*
 * Distributor and second frame at one place: mostly found by the first KVM_RUN only, and then the VM is dead.
 * But redistributors of vCPUs that are there already are held against a distributor that is placed already.
 */
static void overlap(bool vcpu_first, bool dist_first)
{
	u64 dist = v3 ? V3_DIST : V2_DIST, second = v3 ? V3_RDIST : V2_CPU;
	bool at_once = v3 && vcpu_first && dist_first;
	const char *what = vcpu_first	? dist_first ? "overlap, vCPU first, distributor first"
						     : "overlap, vCPU first, distributor last"
			   : dist_first ? "overlap, GIC first, distributor first"
					: "overlap, GIC first, distributor last";
	int fd, cpu = -1;

	raw_vm();
	if (vcpu_first)
		cpu = raw_vcpu(0, 0);
	fd = kvm_device_create(raw_vm_now(), type);
	result_err(set(fd, ADDR, dist_first ? dist : second, DIST), 0, "%s: the first frame", what);
	result_err(set(fd, ADDR, dist_first ? second : dist, DIST), at_once ? -EINVAL : 0, "%s: the second",
		   what);
	if (at_once)
		return;
	if (!vcpu_first)
		cpu = raw_vcpu(0, 0);
	result_err(init(fd), 0, "%s: INIT", what);
	result_err(raw_run(cpu), -EINVAL, "%s: KVM_RUN", what);
	result_err(raw_run(cpu), -EIO, "%s: and the VM is dead", what);
	result_err(init(fd), -EIO, "%s: for its devices as well", what);
}

static void unplaced(void)
{
	int fd = gic(), cpu = raw_vcpu(0, 0);

	result_err(init(fd), 0, "INIT without an address");
	result_err(raw_run(cpu), -ENXIO, "KVM_RUN without addresses");
	fd = placed(1);
	result_err(init(fd), 0, "INIT");
	result_err(init(fd), 0, "INIT again");
	fd = gic();
	result_err(init(fd), 0, "INIT without a vCPU");
}

/* ---- GICv3: regions of redistributors ------------------------------------------------------- */

/* Over the distributor: refused only once there is a vCPU whose redistributor would be there. */
static void region_over_dist(void)
{
	int fd = gic();

	result_err(set(fd, ADDR, V3_DIST, DIST), 0, "a distributor");
	result_err(set(fd, ADDR, V3_RGN, region(1, DIST, 0, 0)), 0,
		   "a region over it, before there is a vCPU");
	fd = gic();
	raw_vcpu(0, 0);
	result_err(set(fd, ADDR, V3_DIST, DIST), 0, "a distributor");
	result_err(set(fd, ADDR, V3_RGN, region(1, DIST, 0, 0)), -EINVAL,
		   "a region over it, when there is one");
}

static void region_words(void)
{
	int fd = gic();
	u64 v;

	result_err(set(fd, ADDR, V3_DIST, DIST), 0, "a distributor");
	result_err(set(fd, ADDR, V3_RGN, region(2, RDIST, 1, 0)), -EINVAL, "a region with flags");
	result_err(set(fd, ADDR, V3_RGN, region(0, RDIST, 0, 0)), -EINVAL, "a region for no vCPU");
	result_err(set(fd, ADDR, V3_RGN, region(2, RDIST, 0, 1)), -EINVAL,
		   "a first region whose index is not 0");
	result_err(set(fd, ADDR, V3_RGN, region(2, top, 0, 0)), -E2BIG,
		   "a region beyond the guest's addresses");
	result_err(set(fd, ADDR, V3_RGN, region(2, top - 0x20000, 0, 0)), -E2BIG,
		   "a region whose end is beyond");
	result_err(set(fd, ADDR, V3_RGN, region(2, RDIST, 0, 0)), 0, "a region");
	result_err(set(fd, ADDR, V3_RGN, region(2, FAR, 0, 0)), -EINVAL, "an index that is used");
	result_err(set(fd, ADDR, V3_RGN, region(2, FAR, 0, 2)), -EINVAL, "an index that is not the next");
	result_err(set(fd, ADDR, V3_RGN, region(2, RDIST + 0x20000, 0, 1)), -EINVAL, "a region over another");
	result_err(set(fd, ADDR, V3_RGN, region(3, FAR, 0, 1)), 0, "a second region");
	result_err(set(fd, ADDR, V3_RDIST, FAR + 0x1000000), -EINVAL, "the one region of old, beside those");
	v = 1;
	result(!kvm_attr_get(fd, ADDR, V3_RGN, &v) && v == region(3, FAR, 0, 1),
	       "the second region reads back");
	v = 2;
	result_err(kvm_attr_get(fd, ADDR, V3_RGN, &v), -ENOENT, "a region that there is not");
	fd = gic();
	result_err(set(fd, ADDR, V3_RDIST, RDIST), 0, "the one region of old");
	result_err(set(fd, ADDR, V3_RGN, region(2, FAR, 0, 0)), -EINVAL, "regions beside it");
	v = 0;
	result(!kvm_attr_get(fd, ADDR, V3_RGN, &v) && v == RDIST,
	       "it reads back as region 0, for no number of vCPUs");
}

static int cpus3[3];

static int regions_vm(u64 first, u64 second)
{
	int fd = gic();

	for (u32 i = 0; i < 3; i++)
		cpus3[i] = raw_vcpu(i, 0);
	result_err(set(fd, ADDR, V3_DIST, DIST), 0, "a distributor");
	result_err(set(fd, ADDR, V3_RGN, region(first, RDIST, 0, 0)), 0, "a region for %u", (u32)first);
	if (second)
		result_err(set(fd, ADDR, V3_RGN, region(second, FAR, 0, 1)), 0, "and one for %u",
			   (u32)second);
	return fd;
}

static void region_runs(void)
{
	int fd = regions_vm(2, 0);

	result_err(init(fd), 0, "INIT with too few redistributors");
	result_err(raw_run(cpus3[0]), -ENXIO, "KVM_RUN with too few redistributors");
	fd = regions_vm(2, 1);
	result_err(raw_run(cpus3[0]), -EBUSY, "KVM_RUN with regions, before INIT");
	fd = regions_vm(2, 1);
	result_err(init(fd), 0, "INIT with enough");
	result_err(raw_run(cpus3[0]), -EINTR, "KVM_RUN with enough");
	result_err(raw_run(cpus3[2]), -EINTR, "KVM_RUN of the last");

	/* Room for two below the end of the guest's addresses, and then a third. */
	fd = gic();
	for (u32 i = 0; i < 2; i++)
		cpus3[i] = raw_vcpu(i, 0);
	result_err(set(fd, ADDR, V3_DIST, DIST), 0, "a distributor");
	result_err(set(fd, ADDR, V3_RDIST, top - 0x40000), 0, "one region of old, which fits two vCPUs");
	cpus3[2] = raw_vcpu(2, 0);
	result_err(init(fd), 0, "INIT with a third");
	result_err(raw_run(cpus3[0]), -EINVAL, "KVM_RUN, when the third does not fit");
}

static u64 vcpu_attr(u64 mpidr, u32 offset)
{
	return mpidr << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT | offset;
}

static u64 typer(int fd, u64 mpidr)
{
	u32 low = 0, high = 0;

	if (kvm_attr_get(fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, vcpu_attr(mpidr, 8), &low) ||
	    kvm_attr_get(fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, vcpu_attr(mpidr, 12), &high))
		result(false, "GICR_TYPER of vCPU %u", (u32)mpidr);
	return (u64)high << 32 | low;
}

/* Which of three vCPUs has GICR_TYPER.Last, as bits, with a region of two and one of one at these places. */
static u32 lasts(u64 two, u64 one)
{
	int fd = gic();
	u32 last = 0;

	for (u32 i = 0; i < 3; i++)
		raw_vcpu(i, 0);
	result_err(set(fd, ADDR, V3_DIST, DIST), 0, "a distributor");
	result_err(set(fd, ADDR, V3_RGN, region(2, two, 0, 0)), 0, "a region at 0x%llx",
		   (unsigned long long)two);
	result_err(set(fd, ADDR, V3_RGN, region(1, one, 0, 1)), 0, "one at 0x%llx", (unsigned long long)one);
	result_err(init(fd), 0, "INIT");
	for (u32 i = 0; i < 3; i++) {
		result((typer(fd, i) >> 8 & 0xffff) == i, "GICR_TYPER has vCPU %u's number", i);
		last |= (u32)(typer(fd, i) >> 4 & 1) << i;
	}
	return last;
}

/* By the order of indices, not of addresses, vCPUs come into regions; Last is by addresses. */
static void region_layouts(void)
{
	result(lasts(RDIST, RDIST + 0x40000) == 4, "adjacent regions: Last is the last vCPU's");
	result(lasts(FAR, RDIST) == 6, "regions out of address order: each has its Last");
	result(lasts(RDIST + 0x20000, RDIST) == 2, "adjacent and out of order: Last is vCPU 1's, at the top");
}

static void redist_regs(void)
{
	int fd = regions_vm(2, 1);
	u32 v = 0;

	result_err(kvm_attr_get(fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, vcpu_attr(0, 8), &v), -EBUSY,
		   "a redistributor's register before INIT");
	result_err(init(fd), 0, "INIT");
	result_err(kvm_attr_get(fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, vcpu_attr(9, 8), &v), -EINVAL,
		   "a register of a vCPU that there is not");
	for (u32 i = 0; i < 3; i++)
		result((typer(fd, i) >> 8 & 0xffff) == i && typer(fd, i) >> 32 == i,
		       "GICR_TYPER has vCPU %u's number and affinity", i);
	result(!(typer(fd, 0) & 0x10) && (typer(fd, 1) & 0x10) && (typer(fd, 2) & 0x10),
	       "GICR_TYPER.Last ends each region that is no neighbour of the next");
	v = 1u << 5;
	result_err(kvm_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, vcpu_attr(1, 0x10200), &v), 0,
		   "GICR_ISPENDR0 is set, 64 KiB up");
	v = 0;
	result(!kvm_attr_get(fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, vcpu_attr(1, 0x10200), &v) && v == 1u << 5,
	       "and reads back");
	v = 1u << 8;
	result_err(kvm_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x204, &v), 0, "GICD_ISPENDR1 is set");
	v = 0;
	result(!kvm_attr_get(fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x204, &v) && v == 1u << 8,
	       "and reads back");
	v = 1;
	result_err(kvm_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, 32, &v), 0, "LEVEL_INFO");
	result_err(kvm_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, 992, &v), 0,
		   "LEVEL_INFO of lines there are not");
	result_err(kvm_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, 1024, &v), -EINVAL,
		   "LEVEL_INFO beyond 1023");
	result_err(kvm_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, 33, &v), -EINVAL,
		   "LEVEL_INFO of no multiple of 32");
}

/* ---- numbers, injection --------------------------------------------------------------------- */

static void numbers(void)
{
	static const u32 bad[] = {0, 32, 63, 80, 1024, 1056};
	int fd = gic();
	u32 v = 0;

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		result_err(set(fd, NR_IRQS, 0, bad[i]), -EINVAL, "%u interrupts", bad[i]);
	result_err(set(fd, NR_IRQS, 0, 992), 0, "992 interrupts");
	result_err(set(fd, NR_IRQS, 0, 64), -EBUSY, "their number a second time");
	result(!kvm_attr_get(fd, NR_IRQS, 0, &v) && v == 992, "which reads back");
	fd = placed(1);
	result_err(init(fd), 0, "INIT");
	result_err(set(fd, NR_IRQS, 0, 64), -EBUSY, "their number after INIT");
}

static int inject(struct kvm *kvm, u32 kind, u32 vcpu, u32 id)
{
	struct kvm_irq_level irq = {
		.level = 1, .irq = kind << KVM_ARM_IRQ_TYPE_SHIFT | vcpu << KVM_ARM_IRQ_VCPU_SHIFT | id};

	return kvm_ioctl(kvm->vm_fd, KVM_IRQ_LINE, &irq);
}

static int route(struct kvm *kvm, u32 pin)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} r = {.head.nr = 1, .entry = {.gsi = 0, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip.pin = pin}};

	return kvm_ioctl(kvm->vm_fd, KVM_SET_GSI_ROUTING, &r);
}

static void injection(void)
{
	int fd = placed(1);
	struct kvm *kvm = raw_vm_now();

	result_err(set(fd, NR_IRQS, 0, 256), 0, "256 interrupts");
	result_err(inject(kvm, KVM_ARM_IRQ_TYPE_SPI, 0, 40), v3 ? -EBUSY : 0,
		   v3 ? "KVM_IRQ_LINE before INIT"
		      : "KVM_IRQ_LINE before INIT, which a GICv2 does by itself");
	fd = placed(1);
	result_err(set(fd, NR_IRQS, 0, 256), 0, "256 interrupts");
	result_err(init(fd), 0, "INIT");
	result_err(inject(kvm, KVM_ARM_IRQ_TYPE_SPI, 0, 255), 0, "the last SPI");
	result_err(inject(kvm, KVM_ARM_IRQ_TYPE_SPI, 0, 256), -EINVAL, "an SPI that there is not");
	result_err(inject(kvm, KVM_ARM_IRQ_TYPE_SPI, 0, 31), -EINVAL, "an SPI that is a PPI");
	result_err(inject(kvm, KVM_ARM_IRQ_TYPE_PPI, 0, 20), 0, "a PPI");
	result_err(inject(kvm, KVM_ARM_IRQ_TYPE_PPI, 0, 15), -EINVAL, "a PPI that is an SGI");
	result_err(inject(kvm, KVM_ARM_IRQ_TYPE_PPI, 0, 32), -EINVAL, "a PPI that is an SPI");
	result_err(inject(kvm, KVM_ARM_IRQ_TYPE_PPI, 1, 20), -EINVAL, "a PPI of a vCPU that there is not");
	result_err(inject(kvm, KVM_ARM_IRQ_TYPE_CPU, 0, KVM_ARM_IRQ_CPU_IRQ), -ENXIO,
		   "the CPU's own pin, with a GIC");
	result_err(route(kvm, 987), 0, "a route to a pin that there is not");
	result_err(route(kvm, 988), -EINVAL, "a route beyond all pins");
}

static void v2_registers(void)
{
	int fd = placed(0);
	u32 v = 0;

	result_err(kvm_attr_get(fd, KVM_DEV_ARM_VGIC_GRP_CPU_REGS, 4, &v), -EINVAL,
		   "GICv2: CPU_REGS with no vCPU");
	fd = placed(2);
	result_err(init(fd), 0, "INIT");
	result_err(kvm_attr_get(fd, KVM_DEV_ARM_VGIC_GRP_CPU_REGS, 4, &v), 0, "GICv2: CPU_REGS");
	result_err(
		kvm_attr_get(fd, KVM_DEV_ARM_VGIC_GRP_CPU_REGS, 2ull << KVM_DEV_ARM_VGIC_CPUID_SHIFT | 4, &v),
		-EINVAL, "GICv2: CPU_REGS of a vCPU that there is not");
	v = 1u << 8;
	result_err(kvm_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x204, &v), 0,
		   "GICv2: GICD_ISPENDR1 is set");
	v = 0;
	result(!kvm_attr_get(fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x204, &v) && v == 1u << 8,
	       "and reads back");
}

int main(void)
{
	struct kvm *kvm = raw_vm();

	v3 = !kvm_device_probe(kvm, KVM_DEV_TYPE_ARM_VGIC_V3);
	type = v3 ? KVM_DEV_TYPE_ARM_VGIC_V3 : KVM_DEV_TYPE_ARM_VGIC_V2;
	top = 1ull << raw_ipa_bits();
	diag("GICv%u, %u-bit addresses", v3 ? 3 : 2, raw_ipa_bits());
	creation();
	any_device();
	addresses();
	for (u32 i = 0; i < 4; i++)
		overlap(i & 1, i & 2);
	unplaced();
	if (v3) {
		region_over_dist();
		region_words();
		region_runs();
		region_layouts();
		redist_regs();
	} else {
		v2_registers();
	}
	numbers();
	injection();
	raw_vm_end();
	return finish();
}

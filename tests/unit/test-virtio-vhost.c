/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: machines net_open net_close open64 ioctl */
/*
 * A network device whose queues the kernel serves: what vhost-net is told, in which order; interrupts by its
 * eventfds; what is taken back at a reset and at a save; each call made to fail. The kernel is a fake of a
 * few lines, behind open() and ioctl().
 */
#include "net-bed.h"
#include <linux/vhost.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAX_DEVICES 4
#define FEATURES                                                                                             \
	(NB_USUAL | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | VIRTIO_BIT(27) |                                    \
	 VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM))

static struct {
	int open_err;
	int fail_at; /* the vhost ioctl that fails, from 1 on; 0: none */
	int calls;
	u32 devices;
	ino_t ino[MAX_DEVICES];
	struct {
		bool owned, memory;
		u64 features;
		u32 regions;
		struct {
			u32 num, base;
			struct vhost_vring_addr addr;
			int kick, call, err, backend;
		} ring[2];
	} dev[MAX_DEVICES];
} k;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	va_list ap;
	int mode, fd;
	struct stat st;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	if (strcmp(path, "/dev/vhost-net"))
		return __real_open64(path, flags, mode);
	if (k.open_err) {
		errno = k.open_err;
		return -1;
	}
	fd = memfd_create("vhost", MFD_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	for (u32 i = 0; i < 2; i++)
		k.dev[k.devices].ring[i].kick = k.dev[k.devices].ring[i].call =
			k.dev[k.devices].ring[i].backend = -1;
	k.ino[k.devices++] = st.st_ino;
	return fd;
}

static int device_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	for (u32 i = 0; i < k.devices; i++)
		if (k.ino[i] == st.st_ino)
			return (int)i;
	fail_msg("a vhost ioctl on something else");
	return -1;
}

/* The kernel's own rules of order. */
static int vhost(int fd, unsigned long req, void *arg)
{
	int d = device_of(fd);
	const struct vhost_vring_file *file = arg;
	struct vhost_vring_state *state = arg;
	const struct vhost_vring_addr *addr = arg;
	const struct vhost_memory *mem = arg;

	if (req != VHOST_SET_OWNER && !k.dev[d].owned)
		return EPERM;
	switch (req) {
	case VHOST_SET_OWNER:
		k.dev[d].owned = true;
		return 0;
	case VHOST_GET_FEATURES:
		*(u64 *)arg = FEATURES;
		return 0;
	case VHOST_SET_FEATURES:
		k.dev[d].features = *(u64 *)arg;
		return k.dev[d].features & ~FEATURES ? EOPNOTSUPP : 0;
	case VHOST_SET_MEM_TABLE:
		k.dev[d].memory = true;
		k.dev[d].regions = mem->nregions;
		for (u32 i = 0; i < mem->nregions; i++)
			assert_ptr_equal((void *)(uintptr_t)mem->regions[i].userspace_addr,
					 guest_ptr(&vm.kvm.mem, mem->regions[i].guest_phys_addr,
						   mem->regions[i].memory_size));
		return 0;
	case VHOST_SET_VRING_NUM:
		k.dev[d].ring[state->index].num = state->num;
		return 0;
	case VHOST_SET_VRING_BASE:
		k.dev[d].ring[state->index].base = state->num;
		return k.dev[d].ring[state->index].backend >= 0 ? EBUSY : 0;
	case VHOST_GET_VRING_BASE:
		assert_int_equal(k.dev[d].ring[state->index].backend, -1);
		state->num = k.dev[d].ring[state->index].base;
		return 0;
	case VHOST_SET_VRING_ADDR:
		k.dev[d].ring[addr->index].addr = *addr;
		return 0;
	case VHOST_SET_VRING_KICK:
		k.dev[d].ring[file->index].kick = file->fd;
		return 0;
	case VHOST_SET_VRING_CALL:
		k.dev[d].ring[file->index].call = file->fd;
		return 0;
	case VHOST_SET_VRING_ERR:
		k.dev[d].ring[file->index].err = file->fd;
		return 0;
	case VHOST_NET_SET_BACKEND:
		if (file->fd >= 0 && (!k.dev[d].memory || !k.dev[d].ring[file->index].num))
			return EFAULT;
		k.dev[d].ring[file->index].backend = file->fd;
		return 0;
	}
	fail_msg("unknown vhost ioctl 0x%lx", req);
	return ENOTTY;
}

int __real_ioctl(int fd, unsigned long req, void *arg);
int __wrap_ioctl(int fd, unsigned long req, void *arg);
int __wrap_ioctl(int fd, unsigned long req, void *arg)
{
	if (_IOC_TYPE(req) != VHOST_VIRTIO)
		return __real_ioctl(fd, req, arg);
	errno = ++k.calls == k.fail_at ? EIO : vhost(fd, req, arg);
	return errno ? -1 : 0;
}

static int setup(void **state)
{
	memset(&k, 0, sizeof(k));
	return nb_setup(state);
}

static void up(const char *arg)
{
	nb_up("irqchip-finalize", arg);
	assert_int_equal(devices_start(&vm.kvm), 0);
}

static void down(void)
{
	devices_stop(&vm.kvm);
	vm_down();
}

#define ON "mode=tap,vhost=on"

static void test_start(void **state)
{
	u64 offered;

	up(ON);
	offered = bed_offered();
	assert_false(offered >> VIRTIO_F_RING_PACKED & 1);
	assert_false(offered >> VIRTIO_F_RING_RESET & 1);
	assert_false(offered >> VIRTIO_NET_F_CTRL_RX & 1);
	assert_true(offered >> VIRTIO_NET_F_MRG_RXBUF & 1);
	nb_drive(VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | VIRTIO_BIT(VIRTIO_NET_F_CSUM), 64);
	assert_int_equal(k.devices, 1);
	assert_true(k.dev[0].features & VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF));
	assert_false(k.dev[0].features & VIRTIO_BIT(VIRTIO_NET_F_CSUM));
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(k.dev[0].ring[i].num, 64);
		assert_int_equal(k.dev[0].ring[i].base, 0);
		assert_int_equal(k.dev[0].ring[i].kick, bed.vdev->source[i].src.fd);
		assert_int_equal(k.dev[0].ring[i].backend, nb.host.queue[0].fd);
		assert_ptr_equal((void *)(uintptr_t)k.dev[0].ring[i].addr.desc_user_addr,
				 nb_ptr(bed_ring((u16)i)));
		assert_ptr_equal((void *)(uintptr_t)k.dev[0].ring[i].addr.used_user_addr,
				 nb_ptr(bed_ring((u16)i) + 0xc000));
	}
	/* The queues are the kernel's: nothing here touches them. */
	nb_offer(0, 1526);
	bed_set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(bed.vdev->queue[0].next_avail, 0);
	down();
}

/* Once round the main loop. */
static void loop_once(void)
{
	struct epoll_event ev[8];
	int n = epoll_wait(vm.kvm.loop.epfd, ev, 8, 0);

	for (int i = 0; i < n; i++) {
		struct event_source *src = ev[i].data.ptr;

		src->fn(src, ev[i].events);
	}
}

static void signal_fd(int fd)
{
	u64 one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void test_interrupts(void **state)
{
	up(ON);
	nb_drive(0, 64);
	loop_once();
	assert_int_equal(bed_reg(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	signal_fd(k.dev[0].ring[1].call);
	loop_once();
	assert_int_equal(bed_reg(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	bed_set(VIRTIO_MMIO_INTERRUPT_ACK, 1);
	/* A ring that the kernel found wrong. */
	capture_begin(STDERR_FILENO);
	signal_fd(k.dev[0].ring[0].err);
	loop_once();
	assert_one_line(capture_end(), "waits to be reset");
	assert_true(bed_reg(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	nb_drive(0, 64);
	assert_true(virtio_is_ready(bed.vdev));
	assert_true(k.dev[0].ring[0].backend >= 0);
	down();
}

static void test_reset(void **state)
{
	up(ON);
	nb_drive(0, 64);
	k.dev[0].ring[0].base = 17;
	bed_set(VIRTIO_MMIO_STATUS, 0);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(k.dev[0].ring[i].backend, -1);
		assert_int_equal(k.dev[0].ring[i].kick, -1);
		assert_int_equal(k.dev[0].ring[i].call, -1);
	}
	nb_drive(0, 64);
	assert_int_equal(k.dev[0].ring[0].base, 0);
	net_set_link(net_of(bed.vdev), false);
	assert_int_equal(k.dev[0].ring[0].backend, -1);
	net_set_link(net_of(bed.vdev), true);
	assert_true(k.dev[0].ring[0].backend >= 0);
	down();
	assert_int_equal(k.dev[0].ring[0].backend, -1);
}

static void test_state(void **state)
{
	struct buf out = {0};

	up(ON);
	nb_drive(0, 64);
	k.dev[0].ring[0].base = 17;
	k.dev[0].ring[1].base = 65535;
	bed_save(&out);
	/* It goes on from there. */
	assert_int_equal(k.dev[0].ring[0].base, 17);
	assert_true(k.dev[0].ring[0].backend >= 0);
	assert_int_equal(bed.vdev->queue[1].next_avail, 65535);
	assert_int_equal(bed.vdev->queue[1].next_used, 65535);
	k.dev[0].ring[0].base = 0;
	bed_set(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(bed_restore(out.data, out.len), 0);
	assert_int_equal(k.dev[0].ring[0].base, 17);
	assert_int_equal(k.dev[0].ring[1].base, 65535);
	assert_true(k.dev[0].ring[1].backend >= 0);
	buf_free(&out);
	down();
}

static void test_pairs(void **state)
{
	const u8 two[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0};

	nb.pairs = 2;
	up(ON);
	assert_int_equal(k.devices, 2);
	nb_drive(VIRTIO_BIT(VIRTIO_NET_F_MQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ), 64);
	assert_int_equal(k.dev[1].ring[1].backend, nb.host.queue[1].fd);
	assert_int_equal(nb_command(4, two, sizeof(two)), VIRTIO_NET_OK);
	assert_int_equal(nb.queues, 2);
	/* Without MQ the third queue is for control, and no ring of the kernel's. */
	nb_drive(VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ), 64);
	assert_int_equal(k.dev[1].ring[0].backend, -1);
	assert_int_equal(nb_command(2, two, sizeof(two)), VIRTIO_NET_ERR);
	down();
}

/* Each call in turn fails: the device asks for a reset or says so, and nothing is left behind. */
static void test_fails(void **state)
{
	int calls;

	up(ON);
	nb_drive(0, 64);
	calls = k.calls;
	down();
	for (int i = 3; i <= calls; i++) {
		memset(&k, 0, sizeof(k));
		up(ON);
		k.fail_at = i;
		capture_begin(STDERR_FILENO);
		nb_drive(0, 64);
		assert_one_line(capture_end(), "Input/output error");
		k.fail_at = 0;
		for (u32 r = 0; r < 2; r++)
			assert_int_equal(k.dev[0].ring[r].backend, -1);
		nb_drive(0, 64);
		assert_true(k.dev[0].ring[1].backend >= 0);
		down();
	}
}

static void refused(const char *arg, const char *part)
{
	const char *const more[] = {"-n", arg, NULL};

	capture_begin(STDERR_FILENO);
	assert_true(vm_up("/proc/self/exe", BED_RAM, "irqchip-finalize", more) < 0);
	assert_one_line(capture_end(), part);
	vm_down();
}

static void test_choice(void **state)
{
	k.open_err = ENOENT;
	refused(ON, "modprobe vhost_net");
	k.open_err = EACCES;
	refused(ON, "member of its group");
	/* auto: then without. */
	nb_up("irqchip-finalize", "mode=tap");
	assert_null(net_of(bed.vdev)->vhost);
	assert_true(bed_offered() >> VIRTIO_F_RING_PACKED & 1);
	vm_down();
	k.open_err = 0;
	nb_up("irqchip-finalize", "mode=tap");
	assert_non_null(net_of(bed.vdev)->vhost);
	vm_down();
	nb_up("irqchip-finalize", "mode=tap,vhost=off");
	assert_null(net_of(bed.vdev)->vhost);
	vm_down();
	nb.bare = true;
	refused(ON, "takes a tap with a virtio header");
	/* The owner cannot be set: it has one. */
	nb.bare = false;
	k.calls = 0;
	k.fail_at = 1;
	refused(ON, "/dev/vhost-net: Input/output error");
}

#define V(f) cmocka_unit_test_setup_teardown(f, setup, nb_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		V(test_start), V(test_interrupts), V(test_reset),  V(test_state),
		V(test_pairs), V(test_fails),	   V(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

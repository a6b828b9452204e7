/* SPDX-License-Identifier: MIT */
/* WRAP: net_open net_close worker_start */
/*
 * A network device's registers, configuration space, queues and commands, as any driver may use them, with
 * frames of any length coming in between. The host is a fake of a few lines, and no worker runs: queues are
 * served by the input's steps. What must hold: no step harms anything, what goes out lies in memory and keeps
 * to what was agreed on, nothing stays in flight, and after a reset a good driver sends and receives.
 */
#include "virtio-vm.h"
#include "virtio/net.h"
#include <errno.h>
#include <sys/eventfd.h>

extern const struct device_ops virtio_net_ops;

#define PAIRS 2

static const struct board_device table[] = {{.ops = NULL}};

static struct {
	struct kvm *kvm;
	struct virtio_device *vdev;
	u64 base;
	struct net host;
	u32 arrives;	/* length of the frame on the wire, header included; 0: none */
	u32 full;	/* so many frames find no room */
	u32 sent, last; /* frames out, and the length of the last one */
	u32 sum;	/* of what was sent: each byte has been read */
} vm;

static ssize_t fake_send(struct net_queue *q, const struct iovec *iov, u32 n)
{
	struct virtio_net_hdr_v1 h;
	size_t len = 0;

	if (vm.full) {
		vm.full--;
		return -EAGAIN;
	}
	fuzz_assert(n >= 2 && iov[0].iov_len == sizeof(h), "the header comes first");
	memcpy(&h, iov[0].iov_base, sizeof(h));
	fuzz_assert(!h.flags || (h.flags == VIRTIO_NET_HDR_F_NEEDS_CSUM &&
				 virtio_has(vm.vdev, VIRTIO_NET_F_CSUM)),
		    "only checksums that were agreed on");
	fuzz_assert(!h.gso_type || virtio_has(vm.vdev, VIRTIO_NET_F_HOST_TSO4) ||
			    virtio_has(vm.vdev, VIRTIO_NET_F_HOST_TSO6) ||
			    virtio_has(vm.vdev, VIRTIO_NET_F_HOST_USO),
		    "only segments that were agreed on");
	for (u32 i = 0; i < n; i++) {
		const u8 *p = iov[i].iov_base;

		for (size_t k = 0; k < iov[i].iov_len; k++)
			vm.sum += p[k];
		len += iov[i].iov_len;
	}
	fuzz_assert(len <= NET_HDR_LEN + NET_MAX_FRAME, "no frame longer than any");
	vm.sent++;
	vm.last = (u32)len;
	return (ssize_t)len;
}

static ssize_t fake_recv(struct net_queue *q, const struct iovec *iov, u32 n)
{
	u32 left = vm.arrives;
	size_t done = 0;

	if (!left)
		return -EAGAIN;
	vm.arrives = 0;
	for (u32 i = 0; i < n && left; i++) {
		size_t part = min_u64(iov[i].iov_len, left);

		memset(iov[i].iov_base, 0xff, part);
		done += part;
		left -= (u32)part;
	}
	return (ssize_t)done;
}

static int fake_set(struct net *net, u32 v)
{
	return v & 0x80 ? -EIO : 0;
}

static const struct net_ops fake_ops = {.name = "fuzz",
					.send = fake_send,
					.recv = fake_recv,
					.set_offload = fake_set,
					.set_queues = fake_set,
					.no_vhost = true};

int __wrap_net_open(struct net **out, const struct net_config *cfg, const char *who);
int __wrap_net_open(struct net **out, const struct net_config *cfg, const char *who)
{
	vm.host = (struct net){.ops = &fake_ops,
			       .watch = -1,
			       .vnet_hdr = true,
			       .nr_queues = PAIRS,
			       .mtu = 1500,
			       .offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 |
					  TUN_F_USO6};
	for (u32 i = 0; i < PAIRS; i++)
		vm.host.queue[i] = (struct net_queue){.net = &vm.host, .fd = eventfd(0, EFD_CLOEXEC)};
	*out = &vm.host;
	return 0;
}

void __wrap_net_close(struct net *net);
void __wrap_net_close(struct net *net)
{
}

int __wrap_worker_start(struct worker *w);
int __wrap_worker_start(struct worker *w)
{
	return 0;
}

static void make(void)
{
	static struct device_request nic = {.ops = &virtio_net_ops};

	if (vm.kvm)
		return;
	fuzz_assert(!virtio_net_ops.parse("mode=tap,mac=02:00:00:00:00:01", &nic.params), "there is a card");
	vm.kvm = fuzz_device_vm(table, &nic, 1);
	vm.vdev = virtio_of(device_find(vm.kvm, &virtio_net_ops, 0));
	vm.base = FUZZ_VIO_BASE(vm.kvm, 0);
}

/* { pair and what, length u24 }: a frame comes, or the host's queue is writable, or full for a while. */
static void host(struct fuzz_in *in)
{
	u8 what = (u8)fuzz_take(in, 1);
	struct net_pair *p = net_of(vm.vdev)->pair[what % PAIRS];

	if (what & 2)
		vm.full = what >> 4;
	if (what & 4)
		vm.arrives = (u32)fuzz_take(in, 3) % (NET_HDR_LEN + NET_MAX_FRAME + 1000);
	net_host_ready(&p->src, what & 8 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void check_works(void)
{
	const gpa_t gpa = vm.kvm->mem.bank[0].gpa + FUZZ_BASE;
	const struct vring_desc out = {.addr = gpa + FUZZ_RING(2), .len = 100};
	const struct vring_desc into = {.addr = gpa + FUZZ_RING(3), .len = 2000, .flags = VRING_DESC_F_WRITE};
	u8 *pages = fuzz_pages(vm.kvm);
	u32 before;

	fuzz_device_reset(&vm.vdev->dev);
	memset(pages, 0, FUZZ_PAGES);
	fuzz_vio_begin(vm.kvm, vm.base, VIRTIO_BIT(VIRTIO_F_VERSION_1), 2, 8);
	vm.full = vm.arrives = 0;
	before = vm.sent;
	memcpy(pages, &into, sizeof(into));
	memcpy(pages + FUZZ_RING(1), &out, sizeof(out));
	((u16 *)(void *)(pages + 0x8000))[1] = 1;
	((u16 *)(void *)(pages + FUZZ_RING(1) + 0x8000))[1] = 1;
	fuzz_vio_serve(vm.vdev, 1);
	fuzz_assert(vm.sent == before + 1 && vm.last == 100, "a good driver sends");
	vm.arrives = 200;
	fuzz_vio_serve(vm.vdev, 0);
	fuzz_assert(((u16 *)(void *)(pages + 0xc000))[1] == 1 && ((u32 *)(void *)(pages + 0xc000))[2] == 200,
		    "a good driver receives");
	fuzz_device_reset(&vm.vdev->dev);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_in in = {.at = data, .end = data + size};

	make();
	memset(fuzz_pages(vm.kvm), 0, FUZZ_PAGES);
	for (u32 i = 0; i < 256 && in.at < in.end; i++) {
		if (*in.at >= 0xc0) {
			in.at++;
			host(&in);
		} else {
			fuzz_vio_step(vm.kvm, vm.vdev, vm.base, &in);
		}
		for (u32 q = 0; q < vm.vdev->nr_queues; q++)
			fuzz_assert(vm.vdev->queue[q].broken || !virtio_is_ready(vm.vdev) ||
					    !vm.vdev->queue[q].inflight,
				    "nothing stays in flight");
	}
	check_works();
	return 0;
}

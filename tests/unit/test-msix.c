/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* TSAN */
/* devices/msix.c, devices/msi.c and devices/msi-vector.c: messages, masks, what waits, and eventfds. */
/* WRAP: irq_msi_send irq_msi_add irq_msi_update irq_msi_remove irq_fd_assign irq_fd_deassign */
/* WRAP: irq_set_line irq_claim kvm_end kvm_guest_panicked */
#include "pci-bed.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define VECTORS 5
#define BAR	1
#define ADDRESS 0xfee0100cull
#define GSI	24

/* The kernel: what was sent, and the one irqfd that a test has. */
static struct {
	pthread_mutex_t lock;
	u32 sent, failures;
	struct msi_msg last;
	u32 by_data[64];
	int error; /* what a call gives */
	u32 adds, updates, removes, assigns;
	struct msi_msg route;
	bool routed;
	int fd; /* the irqfd's, or -1 */
} host = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void deliver(const struct msi_msg *msg)
{
	pthread_mutex_lock(&host.lock);
	host.sent++;
	host.last = *msg;
	host.by_data[msg->data % 64]++;
	pthread_mutex_unlock(&host.lock);
}

int __wrap_irq_msi_send(struct kvm *kvm, const struct msi_msg *msg);
int __wrap_irq_msi_send(struct kvm *kvm, const struct msi_msg *msg)
{
	if (host.error) {
		host.failures++;
		return host.error;
	}
	deliver(msg);
	return 1;
}

int __wrap_irq_msi_add(struct kvm *kvm, const struct msi_msg *msg);
int __wrap_irq_msi_add(struct kvm *kvm, const struct msi_msg *msg)
{
	if (host.error)
		return host.error;
	assert_false(host.routed);
	host.adds++;
	host.routed = true;
	host.route = *msg;
	return GSI;
}

int __wrap_irq_msi_update(struct kvm *kvm, u32 gsi, const struct msi_msg *msg);
int __wrap_irq_msi_update(struct kvm *kvm, u32 gsi, const struct msi_msg *msg)
{
	assert_int_equal(gsi, GSI);
	assert_true(host.routed);
	if (host.error)
		return host.error;
	host.updates++;
	host.route = *msg;
	return 0;
}

void __wrap_irq_msi_remove(struct kvm *kvm, u32 gsi);
void __wrap_irq_msi_remove(struct kvm *kvm, u32 gsi)
{
	assert_int_equal(gsi, GSI);
	assert_int_equal(host.fd, -1); /* first the irqfd, then its route */
	host.removes++;
	host.routed = false;
}

/* KVM's irqfd takes what is in its eventfd, as soon as it is one. */
static void kernel_runs(void)
{
	eventfd_t n;

	if (host.fd >= 0 && !eventfd_read(host.fd, &n))
		deliver(&host.route);
}

int __wrap_irq_fd_assign(struct kvm *kvm, u32 gsi, int trigger, int resample);
int __wrap_irq_fd_assign(struct kvm *kvm, u32 gsi, int trigger, int resample)
{
	assert_int_equal(gsi, GSI);
	assert_int_equal(resample, -1);
	assert_int_equal(host.fd, -1);
	assert_true(host.routed);
	host.assigns++;
	host.fd = trigger;
	kernel_runs();
	return 0;
}

void __wrap_irq_fd_deassign(struct kvm *kvm, u32 gsi, int trigger);
void __wrap_irq_fd_deassign(struct kvm *kvm, u32 gsi, int trigger)
{
	assert_int_equal(trigger, host.fd);
	kernel_runs();
	host.fd = -1;
}

/* --- MSI-X ---------------------------------------------------------------------------------------------- */

static struct device dev;
static struct pci_function fn;
static struct msix *msix;
static struct msi *msi;
static u64 table, pba;
static u32 cap;

static int setup_with(u32 vectors)
{
	memset(&host.sent, 0, sizeof(host) - offsetof(typeof(host), sent));
	host.fd = -1;
	bed_up();
	bed_function(&dev, &fn, "dev", 1);
	assert_int_equal(msix_create(&msix, &fn, BAR, vectors), 0);
	assert_int_equal(pci_register(bed_bus(), &fn, PCI_ANY_SLOT), 0);
	cap = find_cap(&fn, PCI_CAP_ID_MSIX);
	assert_true(cap);
	assert_int_equal(conf(&fn, cap + PCI_MSIX_TABLE, 4), BAR);
	assert_int_equal(conf(&fn, cap + PCI_MSIX_PBA, 4) & 7, BAR);
	table = conf(&fn, PCI_BASE_ADDRESS_0 + 4 * BAR, 4);
	pba = table + (conf(&fn, cap + PCI_MSIX_PBA, 4) & ~7u);
	command(&fn, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return 0;
}

static int setup(void **state)
{
	return setup_with(VECTORS);
}

static int teardown(void **state)
{
	pci_unregister(&fn);
	msix_destroy(msix);
	assert_int_equal(host.fd, -1);
	assert_false(host.routed);
	board_down();
	return 0;
}

static void control(u32 bits)
{
	conf_set(&fn, cap + PCI_MSIX_FLAGS, bits, 2);
}

static u64 entry(u32 v)
{
	return table + 16ull * v;
}

static void mask(u32 v, bool on)
{
	board_write(BUS_MMIO, entry(v) + 12, on, 4);
}

static void set_message(u32 v, u64 address, u32 data)
{
	board_write(BUS_MMIO, entry(v), (u32)address, 4);
	board_write(BUS_MMIO, entry(v) + 4, address >> 32, 4);
	board_write(BUS_MMIO, entry(v) + 8, data, 4);
}

static bool waits(u32 v)
{
	return board_read(BUS_MMIO, pba + v / 64 * 8, 8) >> v % 64 & 1;
}

static void enable_all(void)
{
	control(PCI_MSIX_FLAGS_ENABLE);
	for (u32 v = 0; v < VECTORS; v++) {
		set_message(v, ADDRESS, 0x20 + v);
		mask(v, false);
	}
}

static void test_layout(void **state)
{
	assert_int_equal(conf(&fn, cap + PCI_MSIX_FLAGS, 2), VECTORS - 1);
	/* Only the two bits are the guest's. */
	control(0xffff);
	assert_int_equal(conf(&fn, cap + PCI_MSIX_FLAGS, 2), 0xc000 | (VECTORS - 1));
	conf_set(&fn, cap + PCI_MSIX_TABLE, 0, 8);
	assert_int_equal(conf(&fn, cap + PCI_MSIX_TABLE, 4), BAR);
	/* All masked; of the control word but one bit is there. */
	for (u32 v = 0; v < VECTORS; v++)
		assert_int_equal(board_read(BUS_MMIO, entry(v) + 12, 4), 1);
	board_write(BUS_MMIO, entry(1), 0x1122334455667788, 8);
	board_write(BUS_MMIO, entry(1) + 8, 0xfffffffeccddeeff, 8);
	assert_int_equal(board_read(BUS_MMIO, entry(1), 4), 0x55667788);
	assert_int_equal(board_read(BUS_MMIO, entry(1) + 4, 4), 0x11223344);
	assert_int_equal(board_read(BUS_MMIO, entry(1) + 8, 8), 0x00000000ccddeeff);
	assert_int_equal(board_read(BUS_MMIO, entry(1) + 9, 1), 0xee);
	assert_int_equal(board_read(BUS_MMIO, entry(1) + 10, 2), 0xccdd);
	/* Not aligned: undefined, and here nothing. */
	board_write(BUS_MMIO, entry(1) + 2, 0, 4);
	board_write(BUS_MMIO, entry(1) + 4, 0, 8);
	board_write(BUS_MMIO, entry(1), 0, 3);
	assert_int_equal(board_read(BUS_MMIO, entry(1), 8), 0x1122334455667788);
	assert_int_equal(board_read(BUS_MMIO, entry(1) + 1, 4), UINT32_MAX);
	/* Behind the table, and behind the last vector's bit. */
	assert_int_equal(board_read(BUS_MMIO, entry(VECTORS), 8), 0);
	board_write(BUS_MMIO, entry(VECTORS), 1, 8);
	board_write(BUS_MMIO, pba, UINT64_MAX, 8);
	assert_int_equal(board_read(BUS_MMIO, pba, 8), 0);
	assert_int_equal(board_read(BUS_MMIO, table + 0xff8, 8), 0);
}

static void test_signal(void **state)
{
	msix_signal(msix, 0);
	assert_int_equal(host.sent, 0); /* off: nothing, and nothing waits */
	assert_false(msix_enabled(msix));
	enable_all();
	assert_true(msix_enabled(msix));
	assert_int_equal(host.sent, 0);
	set_message(2, 0x1fee00000, 0x1234);
	msix_signal(msix, 2);
	assert_int_equal(host.sent, 1);
	assert_int_equal(host.last.address, 0x1fee00000);
	assert_int_equal(host.last.data, 0x1234);
	assert_int_equal(host.last.devid, fn.devfn);
	assert_int_equal(host.last.devid, 8);
	msix_signal(msix, VECTORS);
	msix_signal(msix, UINT32_MAX);
	assert_int_equal(host.sent, 1);
	/* A message that leads nowhere is lost, and no more. */
	host.error = -EINVAL;
	msix_signal(msix, 2);
	host.error = 0;
	assert_int_equal(host.failures, 1);
	assert_false(waits(2));
}

static void test_masks(void **state)
{
	enable_all();
	mask(1, true);
	msix_signal(msix, 1);
	msix_signal(msix, 1);
	assert_int_equal(host.sent, 0);
	assert_true(waits(1));
	assert_false(waits(0));
	assert_int_equal(board_read(BUS_MMIO, pba, 1), 2);
	set_message(1, ADDRESS, 0x31);
	mask(1, false);
	assert_int_equal(host.sent, 1); /* two events, one message: the newest */
	assert_int_equal(host.last.data, 0x31);
	assert_false(waits(1));
	/* The function's mask, and a vector's under it. */
	control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	mask(4, true);
	for (u32 v = 0; v < VECTORS; v++)
		msix_signal(msix, v);
	assert_int_equal(board_read(BUS_MMIO, pba, 8), 0x1f);
	control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(host.sent, 1 + 4);
	assert_int_equal(board_read(BUS_MMIO, pba, 8), 0x10);
	/* A function that is no master sends nothing yet. */
	command(&fn, PCI_COMMAND_MEMORY);
	msix_signal(msix, 0);
	assert_int_equal(host.sent, 5);
	assert_true(waits(0));
	command(&fn, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(host.sent, 6);
	/* Off: forgotten. */
	control(0);
	assert_false(msix_enabled(msix));
	control(PCI_MSIX_FLAGS_ENABLE);
	mask(4, false);
	assert_int_equal(host.sent, 6);
}

static void test_eventfd(void **state)
{
	int fd;

	enable_all();
	assert_int_equal(msix_fd(msix, VECTORS), -EINVAL);
	fd = msix_fd(msix, 3);
	assert_true(fd >= 0);
	assert_int_equal(msix_fd(msix, 3), fd);
	assert_int_equal(host.fd, fd);
	assert_int_equal(host.adds, 1);
	assert_int_equal(host.route.devid, 8);
	assert_int_equal(host.route.data, 0x23);
	eventfd_write(fd, 1);
	assert_false(waits(3)); /* it is on its way */
	kernel_runs();
	assert_int_equal(host.by_data[0x23], 1);
	/* Masked: the kernel has no irqfd, the event waits where it is. */
	mask(3, true);
	assert_int_equal(host.fd, -1);
	assert_false(waits(3));
	eventfd_write(fd, 1);
	kernel_runs();
	assert_int_equal(host.sent, 1);
	assert_true(waits(3));
	assert_true(waits(3)); /* looking takes nothing */
	set_message(3, ADDRESS, 0x29);
	mask(3, false);
	assert_int_equal(host.sent, 2);
	assert_int_equal(host.by_data[0x29], 1);
	assert_false(waits(3));
	assert_int_equal(host.adds, 1);
	/* One that changes while it is not masked is another for the kernel too. */
	set_message(3, ADDRESS, 0x2a);
	eventfd_write(fd, 1);
	kernel_runs();
	assert_int_equal(host.by_data[0x2a], 1);
	/* The function's mask; off, and what waited is no more; the device's own signal is as good. */
	control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	assert_int_equal(host.fd, -1);
	eventfd_write(fd, 1);
	msix_signal(msix, 3);
	control(0);
	control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(host.fd, fd);
	assert_int_equal(host.sent, 3);
	msix_signal(msix, 3);
	assert_int_equal(host.sent, 4);
	/* No route for it: not wired, so what comes waits, and goes when there is one. */
	host.error = -ENOSPC;
	set_message(3, ADDRESS, 0x2b);
	assert_int_equal(host.fd, -1);
	eventfd_write(fd, 1);
	assert_true(waits(3));
	host.error = 0;
	set_message(3, ADDRESS, 0x2c);
	assert_int_equal(host.by_data[0x2b], 1);
	/* A reset. */
	eventfd_write(fd, 1);
	pci_function_reset(&fn);
	msix_reset(msix);
	assert_int_equal(host.fd, -1);
	command(&fn, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	enable_all();
	assert_int_equal(host.fd, fd);
	assert_int_equal(host.by_data[0x23], 1);
}

/* Asked for while the vector is masked: nothing is made of it before it is open. */
static void test_eventfd_lazy(void **state)
{
	int fd = msix_fd(msix, 0);

	assert_true(fd >= 0);
	assert_int_equal(host.adds, 0);
	eventfd_write(fd, 1);
	control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(host.adds, 0);
	assert_true(waits(0));
	set_message(0, ADDRESS, 0x20);
	mask(0, false);
	assert_int_equal(host.sent, 1);
	assert_int_equal(host.adds, 1);
	/* And one that cannot be wired at once is refused. */
	host.error = -ENOSPC;
	set_message(1, ADDRESS, 0x21);
	mask(1, false);
	assert_int_equal(msix_fd(msix, 1), -ENOSPC);
	host.error = 0;
}

static void test_many(void **state)
{
	teardown(state);
	setup_with(2048);
	assert_int_equal(conf(&fn, cap + PCI_MSIX_FLAGS, 2), 2047);
	control(PCI_MSIX_FLAGS_ENABLE);
	msix_signal(msix, 2047);
	msix_signal(msix, 64);
	assert_true(waits(2047));
	assert_true(waits(64));
	assert_false(waits(63));
	assert_int_equal(board_read(BUS_MMIO, pba + 255, 1), 0x80);
	set_message(2047, ADDRESS, 0x3f);
	mask(2047, false);
	assert_int_equal(host.by_data[0x3f], 1);
}

static void test_create(void **state)
{
	struct pci_function f;
	struct device d;
	struct msix *m = NULL;

	bed_function(&d, &f, "f", 0);
	assert_int_equal(msix_create(&m, &f, BAR, 0), -EINVAL);
	assert_int_equal(msix_create(&m, &f, BAR, 2049), -EINVAL);
	assert_int_equal(msix_create(&m, &f, 6, 1), -EINVAL);
	assert_int_equal(pci_cap_add(&f, PCI_CAP_ID_VNDR, 0xc0), 0x40);
	assert_int_equal(msix_create(&m, &f, BAR, 1), -ENOSPC);
	assert_null(m);
	msix_destroy(NULL);
	msi_destroy(NULL);
}

static void walk(struct state *s)
{
	pci_function_state(&fn, s);
	if (msix)
		msix_state(msix, s);
	if (msi)
		msi_state(msi, s);
}

static void test_state(void **state)
{
	struct buf saved = {0}, again = {0}, text = {0};
	int fd;

	board.lenient = true;
	enable_all();
	mask(2, true);
	mask(3, true);
	msix_signal(msix, 2);
	fd = msix_fd(msix, 3);
	eventfd_write(fd, 1);
	bed_save(&saved, STATE_SAVE, walk);
	bed_save(&text, STATE_TEXT, walk);
	assert_true(buf_holds(&text, "masked, pending", 15));
	pci_function_reset(&fn);
	msix_reset(msix);
	assert_int_equal(bed_restore(saved.data, saved.len, walk), 0);
	bed_save(&again, STATE_SAVE, walk);
	assert_int_equal(saved.len, again.len);
	assert_memory_equal(saved.data, again.data, saved.len);
	assert_true(msix_enabled(msix));
	assert_int_equal(host.sent, 0);
	assert_int_equal(board_read(BUS_MMIO, pba, 8), 0xc);
	mask(2, false);
	mask(3, false);
	assert_int_equal(host.by_data[0x22], 1);
	assert_int_equal(host.by_data[0x23], 1);
	/* Into the live one: what waits now is what waited then, once. */
	mask(3, true);
	eventfd_write(fd, 1);
	assert_int_equal(bed_restore(saved.data, saved.len, walk), 0);
	mask(3, false);
	assert_int_equal(host.by_data[0x23], 2);
	for (u32 i = 0; i < 2000; i++) {
		u8 *b = (u8 *)saved.data + board_random() % saved.len, was = *b;

		*b = (u8)board_random();
		if (bed_restore(saved.data, saved.len, walk))
			msix_reset(msix);
		*b = was;
	}
	/* Another count of vectors is another device. */
	teardown(state);
	setup_with(VECTORS + 1);
	assert_int_equal(bed_restore(saved.data, saved.len, walk), -EINVAL);
	buf_free(&saved);
	buf_free(&again);
	buf_free(&text);
}

static void test_hostile(void **state)
{
	int fd = msix_fd(msix, 0);

	assert_true(fd >= 0);
	for (u32 i = 0; i < 200; i++) {
		control((u32)board_random());
		command(&fn, (u32)(board_random() | PCI_COMMAND_MEMORY));
		host.error = board_random() % 4 ? 0 : -EINVAL;
		board_hammer(BUS_MMIO, table, 0x1000, 100);
		board_hammer(BUS_MMIO, table, 16 * VECTORS, 100);
		eventfd_write(fd, 1);
		kernel_runs();
		msix_signal(msix, board_random() % (VECTORS + 1));
	}
	host.error = 0;
}

/* Threads that signal, and a guest that masks and unmasks: each vector's last event is never lost. */
static void *signaller(void *arg)
{
	for (u32 i = 0; i < 2000; i++)
		msix_signal(msix, (u32)(uintptr_t)arg);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t thread[2];

	enable_all();
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, signaller, (void *)(uintptr_t)i), 0);
	for (u32 i = 0; i < 500; i++) {
		mask(0, i & 1);
		control(PCI_MSIX_FLAGS_ENABLE | (i % 3 ? PCI_MSIX_FLAGS_MASKALL : 0));
		board_read(BUS_MMIO, pba, 8);
	}
	for (u32 i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	mask(0, false);
	control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(board_read(BUS_MMIO, pba, 8), 0);
	assert_true(host.by_data[0x20] > 0);
	assert_true(host.by_data[0x21] > 0);
}

/* --- MSI ------------------------------------------------------------------------------------------------ */

static int msi_setup(void **state)
{
	memset(&host.sent, 0, sizeof(host) - offsetof(typeof(host), sent));
	host.fd = -1;
	msix = NULL;
	bed_up();
	bed_function(&dev, &fn, "dev", 1);
	assert_int_equal(msi_create(&msi, &fn, 4), 0);
	assert_int_equal(pci_register(bed_bus(), &fn, PCI_ANY_SLOT), 0);
	cap = find_cap(&fn, PCI_CAP_ID_MSI);
	assert_true(cap);
	command(&fn, PCI_COMMAND_MASTER);
	conf_set(&fn, cap + PCI_MSI_ADDRESS_LO, 0xfee00003, 4);
	conf_set(&fn, cap + PCI_MSI_ADDRESS_HI, 1, 4);
	conf_set(&fn, cap + PCI_MSI_DATA_64, 0x10, 2);
	return 0;
}

static int msi_teardown(void **state)
{
	pci_unregister(&fn);
	msi_destroy(msi);
	msi = NULL;
	board_down();
	return 0;
}

static void msi_flags(u32 log2_granted, bool on)
{
	conf_set(&fn, cap + PCI_MSI_FLAGS, log2_granted << 4 | on, 2);
}

static u32 msi_pending(void)
{
	return conf(&fn, cap + PCI_MSI_PENDING_64, 4);
}

static void test_msi(void **state)
{
	/* 4 vectors, 64-bit, with masks; nothing else is the guest's. */
	assert_int_equal(conf(&fn, cap + PCI_MSI_FLAGS, 2), 0x184);
	conf_set(&fn, cap + PCI_MSI_FLAGS, 0xffff, 2);
	assert_int_equal(conf(&fn, cap + PCI_MSI_FLAGS, 2), 0x1f5);
	msi_flags(0, false);
	msi_signal(msi, 0);
	assert_false(msi_enabled(msi));
	assert_int_equal(host.sent, 0);
	/* One message for all. */
	msi_flags(0, true);
	assert_true(msi_enabled(msi));
	msi_signal(msi, 3);
	assert_int_equal(host.by_data[0x10], 1);
	assert_int_equal(host.last.address, 0x1fee00000);
	assert_int_equal(host.last.devid, 8);
	/* Two, then four, then more than there are. */
	msi_flags(1, true);
	msi_signal(msi, 3);
	assert_int_equal(host.by_data[0x11], 1);
	msi_flags(2, true);
	msi_signal(msi, 3);
	assert_int_equal(host.by_data[0x13], 1);
	msi_flags(7, true);
	msi_signal(msi, 2);
	assert_int_equal(host.by_data[0x12], 1);
	msi_signal(msi, 4);
	assert_int_equal(host.sent, 4);
	/* Masks. */
	conf_set(&fn, cap + PCI_MSI_MASK_64, 0xfffffff4, 4);
	assert_int_equal(conf(&fn, cap + PCI_MSI_MASK_64, 4), 4);
	msi_signal(msi, 2);
	msi_signal(msi, 1);
	assert_int_equal(host.sent, 5);
	assert_int_equal(msi_pending(), 4);
	conf_set(&fn, cap + PCI_MSI_PENDING_64, 0, 4);
	assert_int_equal(msi_pending(), 4);
	conf_set(&fn, cap + PCI_MSI_MASK_64, 0, 4);
	assert_int_equal(host.by_data[0x12], 2);
	assert_int_equal(msi_pending(), 0);
	command(&fn, 0);
	msi_signal(msi, 0);
	assert_int_equal(msi_pending(), 1);
	command(&fn, PCI_COMMAND_MASTER);
	assert_int_equal(host.sent, 7);
	pci_function_reset(&fn);
	assert_false(msi_enabled(msi));
	assert_int_equal(conf(&fn, cap + PCI_MSI_FLAGS, 2), 0x184);
}

static void test_msi_state(void **state)
{
	struct buf saved = {0}, again = {0};

	board.lenient = true;
	msi_flags(2, true);
	conf_set(&fn, cap + PCI_MSI_MASK_64, 2, 4);
	msi_signal(msi, 1);
	bed_save(&saved, STATE_SAVE, walk);
	pci_function_reset(&fn);
	assert_int_equal(msi_pending(), 0);
	assert_int_equal(bed_restore(saved.data, saved.len, walk), 0);
	bed_save(&again, STATE_SAVE, walk);
	assert_int_equal(saved.len, again.len);
	assert_memory_equal(saved.data, again.data, saved.len);
	assert_int_equal(msi_pending(), 2);
	conf_set(&fn, cap + PCI_MSI_MASK_64, 0, 4);
	assert_int_equal(host.by_data[0x11], 1);
	for (u32 i = 0; i < 2000; i++) {
		u8 *b = (u8 *)saved.data + board_random() % saved.len, was = *b;

		*b = (u8)board_random();
		(void)!bed_restore(saved.data, saved.len, walk);
		*b = was;
	}
	buf_free(&saved);
	buf_free(&again);
}

static void test_msi_create(void **state)
{
	struct pci_function f;
	struct device d;
	struct msi *m = NULL;

	bed_function(&d, &f, "f", 0);
	assert_int_equal(msi_create(&m, &f, 0), -EINVAL);
	assert_int_equal(msi_create(&m, &f, 3), -EINVAL);
	assert_int_equal(msi_create(&m, &f, 64), -EINVAL);
	assert_int_equal(msi_create(&m, &f, 32), 0);
	assert_int_equal(f.config[0x40 + PCI_MSI_FLAGS] & PCI_MSI_FLAGS_QMASK, 5 << 1);
	msi_destroy(m);
}

#define TEST(name)     cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
#define MSI_TEST(name) cmocka_unit_test_setup_teardown(test_##name, msi_setup, msi_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(layout),  TEST(signal),	    TEST(masks),	  TEST(eventfd), TEST(eventfd_lazy),
		TEST(many),    TEST(create),	    TEST(state),	  TEST(hostile), TEST(threads),
		MSI_TEST(msi), MSI_TEST(msi_state), MSI_TEST(msi_create),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The fake KVM's front: the three functions of the seam, fds, the log of calls, failures on demand, and the
 * ioctls of /dev/kvm itself. fake-kvm.h says what it is all for.
 *
 * Any thread. One lock guards the whole fake; only a sleeping KVM_RUN and FAKE_CALL let go of it.
 */
#include "fake-kvm-priv.h"

#include <lkvm/kvm-device.h>

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct fault {
	unsigned long req; /* 0: any */
	bool by_arg, every;
	u64 arg;
	u32 left; /* calls until it strikes; 0: it has */
	int err;
};

static struct {
	pthread_mutex_t lock;
	struct fake_obj *objs; /* newest first */
	u32 nr_vms;
	struct fake_call *log;
	u32 nr_calls, room;
	struct fault fault[16];
	u32 nr_faults;
	struct fake_cap cap[64]; /* the test's own, over the architecture's */
	u32 nr_caps;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

void fake_lock(void)
{
	pthread_mutex_lock(&fake.lock);
}

void fake_unlock(void)
{
	pthread_mutex_unlock(&fake.lock);
}

/* ---- fds ---------------------------------------------------------------------------------------- */

bool fake_fd_ino(int fd, ino_t *ino)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	*ino = st.st_ino;
	return true;
}

static bool obj_is_open(const struct fake_obj *obj)
{
	ino_t ino;

	return fake_fd_ino(obj->fd, &ino) && ino == obj->ino;
}

int fake_obj_open(struct fake_obj *obj, enum fake_on on, u32 id, struct fake_vm *vm, size_t size)
{
	static const char *const names[] = {"fake-kvm", "fake-kvm-vm", "fake-kvm-vcpu", "fake-kvm-device"};
	int fd = memfd_create(names[on], MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	*obj = (struct fake_obj){.on = on, .id = id, .fd = fd, .vm = vm, .next = fake.objs};
	fake_fd_ino(fd, &obj->ino);
	fake.objs = obj;
	return fd;
}

static struct fake_obj *obj_find(int fd)
{
	ino_t ino;

	if (!fake_fd_ino(fd, &ino))
		return NULL;
	for (struct fake_obj *obj = fake.objs; obj; obj = obj->next)
		if (obj->fd == fd && obj->ino == ino)
			return obj;
	return NULL;
}

u32 fake_kvm_open_fds(struct buf *out)
{
	static const char *const names[] = {"kvm", "vm", "vcpu", "device"};
	u32 n = 0;

	fake_lock();
	for (struct fake_obj *obj = fake.objs; obj; obj = obj->next) {
		if (!obj_is_open(obj))
			continue;
		n++;
		if (out)
			buf_printf(out, "%s%u ", names[obj->on], obj->id);
	}
	fake_unlock();
	return n;
}

u32 fake_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	u32 n = 0;

	if (!dir)
		abort();
	for (struct dirent *d = readdir(dir); d; d = readdir(dir))
		n += d->d_name[0] != '.';
	closedir(dir);
	return n - 1; /* the directory's own */
}

/*
 * An emulator of user space has no process_vm_readv(), but checks the addresses of read() and write() as the
 * kernel does: by way of a file, then.
 */
static bool copy_by_file(void *to, const void *from, size_t len)
{
	int fd = memfd_create("fake-kvm-copy", MFD_CLOEXEC);
	bool done =
		fd >= 0 && pwrite(fd, from, len, 0) == (ssize_t)len && pread(fd, to, len, 0) == (ssize_t)len;

	if (fd >= 0)
		close(fd);
	return done;
}

int fake_copy_from(void *to, u64 user, size_t len)
{
	struct iovec local = {to, len}, remote = {(void *)(uintptr_t)user, len};

	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len)
		return 0;
	return errno == ENOSYS && copy_by_file(to, remote.iov_base, len) ? 0 : -EFAULT;
}

int fake_copy_to(u64 user, const void *from, size_t len)
{
	struct iovec local = {(void *)(uintptr_t)from, len}, remote = {(void *)(uintptr_t)user, len};

	if (process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len)
		return 0;
	return errno == ENOSYS && copy_by_file(remote.iov_base, from, len) ? 0 : -EFAULT;
}

/* ---- starting over ------------------------------------------------------------------------------ */

static void obj_free(struct fake_obj *obj)
{
	switch (obj->on) {
	case FAKE_SYSTEM:
		free(obj);
		break;
	case FAKE_VM:
		fake_vm_free((struct fake_vm *)obj);
		break;
	case FAKE_VCPU:
		fake_vcpu_free((struct fake_vcpu *)obj);
		break;
	case FAKE_DEVICE:
		fake_device_free((struct fake_device *)obj);
		break;
	}
}

void fake_kvm_reset(void)
{
	fake_lock();
	/* Newest first: what belongs to a VM goes before it. */
	while (fake.objs) {
		struct fake_obj *obj = fake.objs;

		fake.objs = obj->next;
		obj_free(obj);
	}
	free(fake.log);
	fake.log = NULL;
	fake.nr_calls = fake.room = fake.nr_faults = fake.nr_caps = fake.nr_vms = 0;
	fake_script_reset();
	fake_device_reset();
	fake_unlock();
}

struct fake_vm *fake_kvm_vm(u32 index)
{
	struct fake_vm *vm = NULL;

	fake_lock();
	for (struct fake_obj *obj = fake.objs; obj; obj = obj->next)
		if (obj->on == FAKE_VM && obj->id == index)
			vm = (struct fake_vm *)obj;
	fake_unlock();
	return vm;
}

struct fake_vm *fake_kvm_newest(void)
{
	struct fake_vm *newest = NULL;

	for (u32 i = 0; fake_kvm_vm(i); i++)
		newest = fake_kvm_vm(i);
	return newest;
}

/* ---- capabilities --------------------------------------------------------------------------------- */

int fake_cap(u32 cap)
{
	for (u32 i = 0; i < fake.nr_caps; i++)
		if (fake.cap[i].cap == cap)
			return fake.cap[i].value;
	for (u32 i = 0; fake_arch_caps[i].value >= 0; i++)
		if (fake_arch_caps[i].cap == cap)
			return fake_arch_caps[i].value;
	return 0;
}

void fake_kvm_set_cap(u32 cap, int value)
{
	fake_lock();
	for (u32 i = 0; i < fake.nr_caps; i++) {
		if (fake.cap[i].cap != cap)
			continue;
		fake.cap[i].value = value;
		fake_unlock();
		return;
	}
	if (fake.nr_caps == ARRAY_SIZE(fake.cap))
		abort();
	fake.cap[fake.nr_caps++] = (struct fake_cap){cap, value};
	fake_unlock();
}

/* ---- failures on demand --------------------------------------------------------------------------- */

static void fault_add(struct fault f)
{
	u32 i;

	fake_lock();
	/* One that has struck makes room. */
	for (i = 0; i < fake.nr_faults && fake.fault[i].left; i++)
		;
	if (i == ARRAY_SIZE(fake.fault))
		abort();
	fake.fault[i] = f;
	if (i == fake.nr_faults)
		fake.nr_faults++;
	fake_unlock();
}

void fake_kvm_fail_nth(u32 n, int err)
{
	fault_add((struct fault){.left = n, .err = err});
}

void fake_kvm_fail(unsigned long req, u32 n, int err)
{
	fault_add((struct fault){.req = req, .left = n ? n : 1, .every = !n, .err = err});
}

void fake_kvm_fail_arg(unsigned long req, u64 arg, int err)
{
	fault_add(
		(struct fault){.req = req, .by_arg = true, .arg = arg, .left = 1, .every = true, .err = err});
}

/* The errno that this call is to fail with, or 0. Counts the call for every fault that is set. */
static int fault_due(unsigned long req, u64 arg)
{
	int err = 0;

	for (u32 i = 0; i < fake.nr_faults; i++) {
		struct fault *f = &fake.fault[i];

		if (!f->left || (f->req && f->req != req) || (f->by_arg && f->arg != arg))
			continue;
		if (f->left > 1) {
			f->left--;
			continue;
		}
		if (!f->every)
			f->left = 0;
		err = f->err;
	}
	return err;
}

/* ---- the log -------------------------------------------------------------------------------------- */

static u32 log_add(const char *name, unsigned long req, const struct fake_obj *obj, u64 arg, int injected)
{
	if (fake.nr_calls == fake.room) {
		fake.room = fake.room ? fake.room * 2 : 256;
		fake.log = realloc(fake.log, fake.room * sizeof(*fake.log));
		if (!fake.log)
			abort();
	}
	fake.log[fake.nr_calls] = (struct fake_call){
		.name = name,
		.req = req,
		.on = obj ? obj->on : FAKE_SYSTEM,
		.id = obj ? obj->id : 0,
		.arg = arg,
		.ret = -injected,
		.injected = injected,
	};
	return fake.nr_calls++;
}

void fake_kvm_forget_calls(void)
{
	fake_lock();
	fake.nr_calls = 0;
	fake_unlock();
}

u32 fake_kvm_nr_calls(void)
{
	u32 n;

	fake_lock();
	n = fake.nr_calls;
	fake_unlock();
	return n;
}

struct fake_call fake_kvm_call(u32 i)
{
	struct fake_call call = {.name = ""};

	fake_lock();
	if (i < fake.nr_calls)
		call = fake.log[i];
	fake_unlock();
	return call;
}

int fake_kvm_first(const char *name)
{
	u32 n = fake_kvm_nr_calls();

	for (u32 i = 0; i < n; i++)
		if (!strcmp(fake_kvm_call(i).name, name))
			return (int)i;
	return -1;
}

int fake_kvm_last(const char *name)
{
	for (u32 i = fake_kvm_nr_calls(); i-- > 0;)
		if (!strcmp(fake_kvm_call(i).name, name))
			return (int)i;
	return -1;
}

int fake_kvm_find(const char *name, u64 arg)
{
	u32 n = fake_kvm_nr_calls();

	for (u32 i = 0; i < n; i++) {
		struct fake_call call = fake_kvm_call(i);

		if (!strcmp(call.name, name) && call.arg == arg)
			return (int)i;
	}
	return -1;
}

u32 fake_kvm_count(const char *name)
{
	u32 n = fake_kvm_nr_calls(), count = 0;

	for (u32 i = 0; i < n; i++)
		count += !strcmp(fake_kvm_call(i).name, name);
	return count;
}

void fake_kvm_print_log(void)
{
	static const char *const on[] = {"system", "vm", "vcpu", "device"};
	u32 n = fake_kvm_nr_calls();

	for (u32 i = 0; i < n; i++) {
		struct fake_call c = fake_kvm_call(i);

		fprintf(stderr, "%4u %s%u %s 0x%" PRIx64 " = %d%s\n", i + 1, on[c.on], c.id, c.name, c.arg,
			c.ret, c.injected ? " (wanted)" : "");
	}
}

/* ---- the seam ------------------------------------------------------------------------------------- */

int kvm_open(const char *path)
{
	struct fake_obj *obj;
	int ret;

	fake_lock();
	ret = fault_due(FAKE_OPEN, 0);
	log_add("open", FAKE_OPEN, NULL, 0, ret);
	if (ret) {
		fake_unlock();
		return -ret;
	}
	obj = malloc(sizeof(*obj));
	if (!obj)
		abort();
	ret = fake_obj_open(obj, FAKE_SYSTEM, 0, NULL, 0);
	if (ret < 0)
		free(obj);
	fake_unlock();
	return ret;
}

void *kvm_mmap(int fd, size_t len, u64 offset)
{
	struct fake_obj *obj;
	void *p = NULL;
	int err;

	fake_lock();
	obj = obj_find(fd);
	err = fault_due(FAKE_MMAP, offset);
	log_add("mmap", FAKE_MMAP, obj, offset, err);
	if (!err && obj && obj->on == FAKE_VCPU)
		p = fake_vcpu_mmap((struct fake_vcpu *)obj, len, offset);
	if (!err && obj && obj->on == FAKE_DEVICE && ((struct fake_device *)obj)->type->map)
		p = ((struct fake_device *)obj)->type->map((struct fake_device *)obj, len, offset);
	fake_unlock();
	if (!p)
		errno = err ? err : EINVAL;
	return p;
}

static int system_ioctl(unsigned long req, void *arg)
{
	bool known = true;
	int ret;

	switch (req) {
	case KVM_GET_API_VERSION:
		return arg ? -EINVAL : KVM_API_VERSION;
	case KVM_CREATE_VM:
		ret = fake_arch_vm_type((unsigned long)arg);
		return ret ? ret : fake_vm_create((unsigned long)arg);
	case KVM_CHECK_EXTENSION:
		return fake_cap((u32)(uintptr_t)arg);
	case KVM_GET_VCPU_MMAP_SIZE:
		return arg ? -EINVAL : (int)FAKE_MMAP_SIZE;
	default:
		ret = fake_arch_system_ioctl(req, arg, &known);
		return known ? ret : -EINVAL;
	}
}

/* What the log keeps of the argument. */
static u64 log_arg(const struct fake_obj *obj, unsigned long req, const void *arg)
{
	struct kvm_device_attr attr;
	u64 id;

	switch (req) {
	case KVM_ENABLE_CAP:
		return arg ? ((const struct kvm_enable_cap *)arg)->cap : 0;
	case KVM_CREATE_DEVICE:
		return arg ? ((const struct kvm_create_device *)arg)->type : 0;
	case KVM_SET_USER_MEMORY_REGION:
		return arg ? ((const struct kvm_userspace_memory_region *)arg)->guest_phys_addr : 0;
	case KVM_HAS_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		if (fake_copy_from(&attr, (uintptr_t)arg, sizeof(attr)))
			return 0;
		return obj && obj->on == FAKE_VCPU ? FAKE_VCPU_ATTR(attr.group, attr.attr)
						   : FAKE_ATTR(attr.group, attr.attr);
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
		/* Also KVM_ARM_SET_DEVICE_ADDR, which has the same number on a VM, and its id in the same
		 * place. */
		return fake_copy_from(&id, (uintptr_t)arg, sizeof(id)) ? 0 : id;
	default:
		return (uintptr_t)arg;
	}
}

static const char *ioctl_name(const struct fake_obj *obj, unsigned long req)
{
	if (obj && obj->on == FAKE_VM && req == KVM_ARM_SET_DEVICE_ADDR)
		return "KVM_ARM_SET_DEVICE_ADDR";
	return fake_ioctl_name(req);
}

static int dispatch(struct fake_obj *obj, unsigned long req, void *arg)
{
	if (obj->vm && obj->vm->dead)
		return -EIO;
	switch (obj->on) {
	case FAKE_SYSTEM:
		return system_ioctl(req, arg);
	case FAKE_VM:
		return fake_vm_ioctl((struct fake_vm *)obj, req, arg);
	case FAKE_VCPU:
		return fake_vcpu_ioctl((struct fake_vcpu *)obj, req, arg);
	case FAKE_DEVICE:
		return fake_device_ioctl((struct fake_device *)obj, req, arg);
	}
	return -ENOTTY;
}

int kvm_ioctl(int fd, unsigned long req, void *arg)
{
	struct fake_obj *obj;
	u32 call;
	int ret;

	fake_lock();
	obj = obj_find(fd);
	ret = fault_due(req, log_arg(obj, req, arg));
	call = log_add(ioctl_name(obj, req), req, obj, log_arg(obj, req, arg), ret);
	if (ret)
		ret = -ret;
	else if (!obj)
		ret = -EBADF;
	else
		ret = dispatch(obj, req, arg);
	/* The log may have been reset while a vCPU slept: a test's mistake, but not one to crash by. */
	if (call < fake.nr_calls)
		fake.log[call].ret = ret;
	fake_unlock();
	return ret;
}

int fake_vm_create(unsigned long type)
{
	struct fake_vm *vm = calloc(1, sizeof(*vm));
	int fd;

	if (!vm)
		abort();
	vm->type = type;
	vm->ring_fd = memfd_create("fake-kvm-ring", MFD_CLOEXEC);
	if (vm->ring_fd < 0 || ftruncate(vm->ring_fd, FAKE_PAGE) < 0)
		abort();
	vm->ring = mmap(NULL, FAKE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, vm->ring_fd, 0);
	if (vm->ring == MAP_FAILED)
		abort();
	fake_arch_vm_init(vm);
	fd = fake_obj_open(&vm->obj, FAKE_VM, fake.nr_vms, vm, 0);
	if (fd < 0) {
		fake_vm_free(vm);
		return fd;
	}
	fake.nr_vms++;
	return fd;
}

/* ---- plain structures ----------------------------------------------------------------------------- */

void *fake_blob(struct fake_blob **list, unsigned long get, u32 index, size_t size)
{
	struct fake_blob *b;

	for (b = *list; b; b = b->next)
		if (b->req == get && b->index == index)
			return b->size == size ? b->data : (abort(), NULL);
	b = calloc(1, sizeof(*b));
	if (!b)
		abort();
	*b = (struct fake_blob){.req = get, .index = index, .size = size, .next = *list};
	b->data = calloc(1, size);
	if (!b->data)
		abort();
	*list = b;
	return b->data;
}

void fake_blobs_free(struct fake_blob **list)
{
	while (*list) {
		struct fake_blob *b = *list;

		*list = b->next;
		free(b->data);
		free(b);
	}
}

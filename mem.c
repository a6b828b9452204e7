/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM. One host mapping holds all of it, cut into banks at the guest physical addresses that the
 * machine's layout names; each bank is one memslot. Registered before the irqchip exists: afterwards each new
 * memslot waits for a grace period of the kernel's, some milliseconds.
 *
 * Built and torn down on the main thread. The accessors run on any thread and take no lock: banks do not
 * change while a vCPU runs.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lkvm/kvm-device.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <lkvm/mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

/* KVM counts a memslot's pages in 31 bits. */
#define SLOT_MAX_BYTES	(((u64)INT32_MAX) << 12)
#define HUGE_ALIGN	MiB(2)
#define HUGETLBFS_MAGIC 0x958458f6

static struct mem_bank *bank_add(struct kvm *kvm, gpa_t gpa, u64 size)
{
	struct guest_mem *mem = &kvm->mem;
	struct mem_bank *bank;
	u64 page = (u64)sysconf(_SC_PAGESIZE), end;
	u32 at;

	if (!size || gpa % page || size % page || size > SLOT_MAX_BYTES || add_overflow(gpa, size, &end)) {
		log_error("memory at 0x%llx, 0x%llx bytes: not a range KVM can map", (unsigned long long)gpa,
			  (unsigned long long)size);
		return NULL;
	}
	if (mem->nr_banks == MEM_MAX_BANKS) {
		log_error("memory at 0x%llx: more than %d banks", (unsigned long long)gpa, MEM_MAX_BANKS);
		return NULL;
	}
	for (at = mem->nr_banks; at > 0 && mem->bank[at - 1].gpa > gpa; at--)
		;
	if ((at > 0 && ranges_overlap(gpa, size, mem->bank[at - 1].gpa, mem->bank[at - 1].size)) ||
	    (at < mem->nr_banks && ranges_overlap(gpa, size, mem->bank[at].gpa, mem->bank[at].size))) {
		log_error("memory at 0x%llx, 0x%llx bytes: overlaps another bank", (unsigned long long)gpa,
			  (unsigned long long)size);
		return NULL;
	}
	bank = &mem->bank[at];
	memmove(bank + 1, bank, (mem->nr_banks - at) * sizeof(*bank));
	*bank = (struct mem_bank){.gpa = gpa, .size = size};
	mem->nr_banks++;
	return bank;
}

int mem_add_ram(struct kvm *kvm, gpa_t gpa, u64 size)
{
	return bank_add(kvm, gpa, size) ? 0 : -EINVAL;
}

/* size: the bank's, or 0, by which KVM forgets the slot. */
static int set_region(struct kvm *kvm, const struct mem_bank *bank, u64 size)
{
	struct kvm_userspace_memory_region region = {
		.slot = bank->slot,
		.flags = bank->readonly ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = bank->gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)bank->hva,
	};

	return kvm_ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static int register_bank(struct kvm *kvm, struct mem_bank *bank)
{
	int err = set_region(kvm, bank, bank->size);

	if (err < 0)
		log_error("memory at 0x%llx, %llu MiB: KVM_SET_USER_MEMORY_REGION: %s",
			  (unsigned long long)bank->gpa, (unsigned long long)(bank->size >> 20),
			  strerror(-err));
	return err < 0 ? err : 0;
}

/* A file in hugetlbfs, already unlinked; *page is the size of its pages. */
static int open_hugetlbfs(const char *dir, u64 *page)
{
	struct statfs st;
	int fd;

	if (statfs(dir, &st) < 0) {
		log_error("--hugetlbfs %s: %m", dir);
		return -errno;
	}
	if ((u32)st.f_type != HUGETLBFS_MAGIC) {
		log_error("--hugetlbfs %s: not a hugetlbfs mount point (mount -t hugetlbfs none DIR)", dir);
		return -EINVAL;
	}
	*page = (u64)st.f_bsize;
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) {
		/* hugetlbfs has O_TMPFILE only in newer kernels. */
		char path[256];
		int n = snprintf(path, sizeof(path), "%s/lkvm-XXXXXX", dir);

		if (n < 0 || (size_t)n >= sizeof(path)) {
			log_error("--hugetlbfs %s: the name is too long", dir);
			return -ENAMETOOLONG;
		}
		fd = mkostemp(path, O_CLOEXEC);
		if (fd < 0) {
			log_error("--hugetlbfs %s: cannot make a file there: %m", dir);
			return -errno;
		}
		unlink(path);
	}
	return fd;
}

/* Opens what lies behind the RAM: fd (or -1 for anonymous memory), its pages, and how it must be aligned. */
static int open_backing(struct kvm *kvm, u64 size, u64 *align)
{
	const struct vm_config *cfg = kvm->cfg;
	int fd = -1;

	*align = HUGE_ALIGN;
	kvm->mem.page = (u64)sysconf(_SC_PAGESIZE);
	if (cfg->hugetlbfs) {
		fd = open_hugetlbfs(cfg->hugetlbfs, align);
		if (fd < 0)
			return fd;
		kvm->mem.page = *align;
		if (size % *align) {
			log_error("--mem: not a multiple of the %llu MiB pages of %s",
				  (unsigned long long)(*align >> 20), cfg->hugetlbfs);
			close(fd);
			return -EINVAL;
		}
	} else if (cfg->shared_mem) {
		fd = memfd_create("lkvm-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (fd < 0) {
			log_error("--shared-mem: memfd_create: %m");
			return -errno;
		}
	}
	kvm->mem.fd = fd;
	if (fd >= 0 && ftruncate(fd, (off_t)size) < 0) {
		log_error("guest memory: cannot make a file of %llu MiB: %m",
			  (unsigned long long)(size >> 20));
		return -errno;
	}
	return 0;
}

/*
 * Maps size bytes at a multiple of align, so that the host can back the guest with huge pages. Anonymous
 * memory is one mapping with what lies before and behind it, which nobody touches: to cut it off would take
 * more calls. -errno.
 */
static int map_aligned(struct guest_mem *mem, u64 size, u64 align, bool reserve)
{
	const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	u64 room;
	u8 *area;

	if (add_overflow(size, align, &room) || room > SIZE_MAX)
		return -ENOMEM;
	area = mmap(NULL, room, mem->fd < 0 ? PROT_READ | PROT_WRITE : PROT_NONE, anonymous, -1, 0);
	if (area == MAP_FAILED)
		return -errno;
	mem->map = area;
	mem->map_size = room;
	mem->base = area + (align_up((uintptr_t)area, align) - (uintptr_t)area);
	if (mem->fd >= 0 &&
	    mmap(mem->base, size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED | (reserve ? 0 : MAP_NORESERVE), mem->fd, 0) == MAP_FAILED)
		return -errno;
	return 0;
}

int mem_create(struct kvm *kvm)
{
	struct guest_mem *mem = &kvm->mem;
	u64 size = 0, align, at = 0;
	int err;

	mem->fd = -1;
	err = kvm->machine->mem_layout(kvm);
	if (err)
		return err;
	size = guest_ram_size(mem);
	if (size > SIZE_MAX) {
		log_error("--mem: %llu MiB are more than a 32-bit lkvm can map; give less",
			  (unsigned long long)(size >> 20));
		return -ENOMEM;
	}
	err = open_backing(kvm, size, &align);
	if (err)
		return err;
	/* Huge pages are reserved now: one that is missing when the guest touches it would be a SIGBUS. */
	err = map_aligned(mem, size, align, kvm->cfg->hugetlbfs != NULL);
	if (err) {
		if (kvm->cfg->hugetlbfs && err == -ENOMEM) {
			log_error("--hugetlbfs %s: too few free pages for %llu MiB (see vm.nr_hugepages)",
				  kvm->cfg->hugetlbfs, (unsigned long long)(size >> 20));
			return err;
		}
		log_error("guest memory: cannot map %llu MiB: %s (see --mem)",
			  (unsigned long long)(size >> 20), strerror(-err));
		return err;
	}
	for (u32 i = 0; i < mem->nr_banks && !err; i++) {
		struct mem_bank *bank = &mem->bank[i];

		if (bank->foreign)
			continue;
		bank->hva = (u8 *)mem->base + at;
		bank->slot = kvm->nr_slots++;
		at += bank->size;
		err = register_bank(kvm, bank);
	}
	return err;
}

void mem_destroy(struct kvm *kvm)
{
	struct guest_mem *mem = &kvm->mem;

	if (mem->map)
		munmap(mem->map, mem->map_size);
	if (mem->fd >= 0)
		close(mem->fd);
	memset(mem, 0, sizeof(*mem));
	mem->fd = -1;
	kvm->nr_slots = 0;
}

static int add_foreign(struct kvm *kvm, gpa_t gpa, u64 size, void *hva, bool readonly, bool device)
{
	struct mem_bank *bank = bank_add(kvm, gpa, size);

	if (!bank)
		return -EINVAL;
	bank->hva = hva;
	bank->readonly = readonly;
	bank->device = device;
	bank->foreign = true;
	bank->slot = kvm->nr_slots++;
	return register_bank(kvm, bank);
}

int mem_add_slot(struct kvm *kvm, gpa_t gpa, u64 size, void *hva, bool readonly)
{
	if (readonly && !kvm_cap(kvm, KVM_CAP_READONLY_MEM)) {
		log_error("memory at 0x%llx: this KVM has no KVM_CAP_READONLY_MEM", (unsigned long long)gpa);
		return -ENOTSUP;
	}
	return add_foreign(kvm, gpa, size, hva, readonly, false);
}

int mem_add_device(struct kvm *kvm, gpa_t gpa, u64 size, void *hva)
{
	return add_foreign(kvm, gpa, size, hva, false, true);
}

static const struct mem_bank *bank_of(const struct guest_mem *mem, gpa_t gpa)
{
	for (u32 i = 0; i < mem->nr_banks; i++) {
		const struct mem_bank *bank = &mem->bank[i];

		if (gpa >= bank->gpa && gpa - bank->gpa < bank->size)
			return bank;
	}
	return NULL;
}

int mem_slot_enable(struct kvm *kvm, gpa_t gpa, bool on)
{
	const struct mem_bank *bank = bank_of(&kvm->mem, gpa);
	int err;

	assert(bank && bank->gpa == gpa && bank->readonly);
	err = set_region(kvm, bank, on ? bank->size : 0);
	return err < 0 ? err : 0;
}

/* As much of [gpa, gpa + len) as lies in one bank; NULL where there is no RAM. *part <= len. */
static u8 *piece(const struct guest_mem *mem, gpa_t gpa, u64 len, size_t *part)
{
	const struct mem_bank *bank = bank_of(mem, gpa);
	u64 off;

	if (!bank || bank->readonly || bank->device)
		return NULL;
	off = gpa - bank->gpa;
	*part = (size_t)min_u64(len, bank->size - off);
	return (u8 *)bank->hva + off;
}

int guest_iov(const struct guest_mem *mem, gpa_t gpa, u64 len, struct iovec *iov, int max)
{
	int n = 0;

	while (len) {
		size_t part;
		u8 *p = piece(mem, gpa, len, &part);

		if (!p)
			return -EFAULT;
		if (n == max)
			return -E2BIG;
		iov[n++] = (struct iovec){.iov_base = p, .iov_len = part};
		gpa += part;
		len -= part;
	}
	return n;
}

int guest_read(const struct guest_mem *mem, gpa_t gpa, void *buf, size_t len)
{
	struct iovec iov[MEM_MAX_BANKS];
	int n = guest_iov(mem, gpa, len, iov, MEM_MAX_BANKS);
	u8 *to = buf;

	for (int i = 0; i < n; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
	return n < 0 ? -EFAULT : 0;
}

int guest_write(const struct guest_mem *mem, gpa_t gpa, const void *buf, size_t len)
{
	struct iovec iov[MEM_MAX_BANKS];
	int n = guest_iov(mem, gpa, len, iov, MEM_MAX_BANKS);
	const u8 *from = buf;

	for (int i = 0; i < n; i++) {
		memcpy(iov[i].iov_base, from, iov[i].iov_len);
		from += iov[i].iov_len;
	}
	return n < 0 ? -EFAULT : 0;
}

void *guest_ptr(const struct guest_mem *mem, gpa_t gpa, u64 len)
{
	size_t part;
	u8 *p = len ? piece(mem, gpa, len, &part) : NULL;

	return p && part == len ? p : NULL;
}

u64 guest_ram_size(const struct guest_mem *mem)
{
	u64 size = 0;

	for (u32 i = 0; i < mem->nr_banks; i++)
		if (!mem->bank[i].foreign)
			size += mem->bank[i].size;
	return size;
}

gpa_t guest_fit_high(const struct guest_mem *mem, u64 size, u64 align, gpa_t low, gpa_t high)
{
	for (u32 i = mem->nr_banks; i-- > 0;) {
		const struct mem_bank *bank = &mem->bank[i];
		u64 start = max_u64(bank->gpa, low), end = min_u64(bank->gpa + bank->size, high);
		gpa_t at;

		if (bank->foreign || !size || end < start || end - start < size)
			continue;
		at = align_down(end - size, align);
		if (at >= start)
			return at;
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * KVM_GET_SUPPORTED_CPUID, remembered. KVM executes some sixty CPUID instructions for each call; on a host
 * that is a VM itself each of them leaves that VM, and the call takes 0.35 ms, a quarter of the whole start.
 * (To have a thread make the call beside the rest of the start gains nothing: the memslot's grace period then
 * waits for it.)
 *
 * The answer is kept beside the control sockets, in a directory that is only ours and gone with the next
 * boot. It counts for the same kvm module as loaded, known by the inode of its device in sysfs, which a
 * reload renews, and for the same processor, by leaf 1. Without sysfs, or on any doubt, KVM is asked.
 *
 * Main thread. Nothing here can fail a start.
 */
#include "x86.h"
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <lkvm/control.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CACHE_FILE  ".cpuid"
#define CACHE_MAGIC 0x44495550434d564bull /* "KVMCPUID" */
#define KVM_SYSFS   "/sys/devices/virtual/misc/kvm"
#define MISC_MAJOR  10
#define KVM_MINOR   232

#define LEAF1_OSXSAVE (1u << 27) /* in ECX; as the host's kernel has it now */

/* What an answer holds for, and how long it is. The entries follow. */
struct cache_key {
	u64 magic;
	u64 device_ino, device_dev;
	u32 signature, features_ecx, features_edx;
	u32 room; /* sizeof(struct kvm_cpuid_entry2) */
	u64 nent;
};

static bool key_now(const struct kvm *kvm, struct cache_key *key)
{
	struct stat dev, sysfs;
	u32 ebx;

	/* A fake of the tests, or another node than KVM's, has nothing to do with what KVM said. */
	if (fstat(kvm->sys_fd, &dev) < 0 || !S_ISCHR(dev.st_mode) || major(dev.st_rdev) != MISC_MAJOR ||
	    minor(dev.st_rdev) != KVM_MINOR || stat(KVM_SYSFS, &sysfs) < 0)
		return false;
	*key = (struct cache_key){
		.magic = CACHE_MAGIC,
		.device_ino = sysfs.st_ino,
		.device_dev = sysfs.st_dev,
		.room = sizeof(struct kvm_cpuid_entry2),
	};
	__cpuid(1, key->signature, ebx, key->features_ecx, key->features_edx);
	key->features_ecx &= ~LEAF1_OSXSAVE;
	return true;
}

static int open_dir(void)
{
	char path[CONTROL_PATH_MAX];

	return control_dir_path(0, path, sizeof(path)) ? -ENOENT : control_dir_open(path, true);
}

static bool read_cache(int dir, const struct cache_key *want, struct kvm_cpuid2 *cpuid, u32 room)
{
	int fd = openat(dir, CACHE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct cache_key key;
	ssize_t n, len;

	if (fd < 0)
		return false;
	n = read(fd, &key, sizeof(key));
	len = n == sizeof(key) ? read(fd, cpuid->entries, room * sizeof(cpuid->entries[0])) : -1;
	close(fd);
	if (len < 0 || !key.nent || key.nent > room || (u64)len != key.nent * sizeof(cpuid->entries[0]))
		return false;
	cpuid->nent = (u32)key.nent;
	key.nent = 0;
	return !memcmp(&key, want, sizeof(key));
}

/* A new file takes the old one's name, so nobody ever reads half of one. */
static void write_cache(int dir, struct cache_key *key, const struct kvm_cpuid2 *cpuid)
{
	ssize_t len = (ssize_t)(cpuid->nent * sizeof(cpuid->entries[0]));
	char name[32];
	int fd;

	snprintf(name, sizeof(name), CACHE_FILE ".%d", (int)getpid());
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	key->nent = cpuid->nent;
	if (write(fd, key, sizeof(*key)) != sizeof(*key) || write(fd, cpuid->entries, (size_t)len) != len ||
	    renameat(dir, name, dir, CACHE_FILE) < 0)
		unlinkat(dir, name, 0);
	close(fd);
}

/* nent of cpuid is the room on entry. */
int x86_supported_cpuid(struct kvm *kvm, struct kvm_cpuid2 *cpuid)
{
	struct cache_key key;
	u32 room = cpuid->nent;
	bool known = key_now(kvm, &key);
	int dir = known ? open_dir() : -1;
	int err;

	if (dir >= 0 && read_cache(dir, &key, cpuid, room)) {
		close(dir);
		return 0;
	}
	cpuid->nent = room;
	err = kvm_ioctl(kvm->sys_fd, KVM_GET_SUPPORTED_CPUID, cpuid);
	if (err >= 0 && dir >= 0)
		write_cache(dir, &key, cpuid);
	if (dir >= 0)
		close(dir);
	return err < 0 ? err : 0;
}

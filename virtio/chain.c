/* SPDX-License-Identifier: MIT */
/*
 * A chain's pieces as one run of bytes. On any thread. The pieces are guest memory: what is read here is a
 * copy, and is not to be read again.
 */
#include <errno.h>
#include <lkvm/virtqueue.h>
#include <string.h>

/* Copies between buf and the pieces, from `offset` on. */
static size_t pieces_copy(const struct iovec *iov, u32 n, size_t offset, u8 *buf, size_t len, bool out)
{
	size_t done = 0;

	for (u32 i = 0; i < n && done < len; i++) {
		u8 *p = iov[i].iov_base;
		size_t part = iov[i].iov_len;

		if (offset >= part) {
			offset -= part;
			continue;
		}
		part = (size_t)min_u64(part - offset, len - done);
		if (out)
			memcpy(buf + done, p + offset, part);
		else
			memcpy(p + offset, buf + done, part);
		done += part;
		offset = 0;
	}
	return done;
}

size_t chain_read(const struct vq_chain *chain, size_t offset, void *buf, size_t len)
{
	return pieces_copy(chain->iov, chain->nr_out, offset, buf, len, true);
}

size_t chain_write(const struct vq_chain *chain, size_t offset, const void *buf, size_t len)
{
	return pieces_copy(chain->iov + chain->nr_out, chain->nr_in, offset, (u8 *)(uintptr_t)buf, len,
			   false);
}

int iov_slice(const struct iovec *iov, u32 n, size_t offset, size_t len, struct iovec *out, u32 max)
{
	u32 made = 0;

	for (u32 i = 0; i < n && len; i++) {
		size_t part = iov[i].iov_len;

		if (offset >= part) {
			offset -= part;
			continue;
		}
		part = (size_t)min_u64(part - offset, len);
		if (made == max)
			return -E2BIG;
		out[made++] = (struct iovec){.iov_base = (u8 *)iov[i].iov_base + offset, .iov_len = part};
		len -= part;
		offset = 0;
	}
	return len ? -EINVAL : (int)made;
}

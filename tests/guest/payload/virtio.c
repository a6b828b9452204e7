// SPDX-License-Identifier: MIT
/* One virtio device and the driver from hell: vio_main() says which words choose it. */
#include "../virtio.h"

void main(void)
{
	vio_main(0xe0000000ul);
}

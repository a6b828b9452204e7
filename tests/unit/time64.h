/* SPDX-License-Identifier: MIT */
/*
 * Where time_t has 64 bits because we want it so (-D_TIME_BITS=64 on a 32-bit processor), the C library has
 * what takes times under other names: a test's __wrap_NAME and __real_NAME are then those of that name.
 * tests/tests.mk has the linker wrap that name. Included before anything else.
 */
#if __SIZEOF_LONG__ == 4
#define __wrap_clock_gettime __wrap___clock_gettime64
#define __real_clock_gettime __real___clock_gettime64
#define __wrap_nanosleep     __wrap___nanosleep64
#define __real_nanosleep     __real___nanosleep64
#define __wrap_ioctl	     __wrap___ioctl_time64
#define __real_ioctl	     __real___ioctl_time64
#define __wrap_glob64	     __wrap___glob64_time64
#define __real_glob64	     __real___glob64_time64
#define __wrap_stat64	     __wrap___stat64_time64
#define __real_stat64	     __real___stat64_time64
#endif

/* SPDX-License-Identifier: MIT */
/*
 * What lkvm says to the person who runs it: one line on stderr, "lkvm: ..." in front, the object named.
 * A failure is logged once, at the place where the object's name is known. There is no global level:
 * errors and warnings need none, and the rest takes the struct log of its VM.
 *
 * Any thread; a line is written by one write(2), so lines of different threads do not mix. With the
 * terminal in raw mode a carriage return is put in front of the newline.
 */
#ifndef LKVM_LOG_H
#define LKVM_LOG_H

#include <lkvm/types.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log {
	enum log_level level; /* lines above this level are not printed */
};

/* log may be NULL: then everything up to LOG_WARN is printed. */
void log_print(const struct log *log, enum log_level level, const char *fmt, ...) __printf(3, 4);

#define log_error(...)	    log_print(NULL, LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  log_print(log, LOG_WARN, __VA_ARGS__)
#define log_info(log, ...)  log_print(log, LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_print(log, LOG_DEBUG, __VA_ARGS__)

/* "error", "warning", "info" or "debug"; -EINVAL for any other word. */
int __must_check log_level_parse(const char *word, enum log_level *level);

/*
 * For messages that a guest can provoke: true for the first 10 in each 5 seconds, and then not again.
 * The owner keeps the struct beside the object, under the object's lock.
 */
struct ratelimit {
	u64 window_ns; /* CLOCK_MONOTONIC at which the present window began */
	u32 count;
};
bool ratelimit_ok(struct ratelimit *rl);

#endif

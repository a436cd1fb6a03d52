/* SPDX-License-Identifier: MIT */
/*
 * log.h - structured log lines: a constant message and keys.
 *
 * Thread:  any thread may log. A line is formatted by its caller and written by a thread of the
 *          log's own, so that a slow or blocked stderr never holds the event loop.
 * Errors:  when the reader is slower than the writers for longer than the buffer lasts (1 MiB),
 *          lines are dropped and counted, and the next line that fits says how many.
 * Units:   a value longer than 1 KiB is cut, control bytes and broken UTF-8 are escaped.
 *
 *     log_at(LOG_INFO, "call", "call finished", LOG_TEXT("code", name), LOG_INT("ms", ms));
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVELS };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_field {
    struct slice key;  /* a literal; ptr NULL ends the list */
    struct slice text; /* ptr NULL: the number */
    int64_t number;
};

#define LOG_KEY(key)           \
    {                          \
        (key), sizeof(key) - 1 \
    }
#define LOG_TEXT(key, text)   ((struct log_field){LOG_KEY(key), log_text(slice_of(text)), 0})
#define LOG_SLICE(key, slice) ((struct log_field){LOG_KEY(key), log_text(slice), 0})
#define LOG_INT(key, number)  ((struct log_field){LOG_KEY(key), {NULL, 0}, (int64_t)(number)})
#define LOG_NOTHING           ((struct log_field){{NULL, 0}, {NULL, 0}, 0})

/* An empty text is a text all the same. */
static inline struct slice log_text(struct slice text)
{
    return text.ptr ? text : (struct slice){"", 0};
}

/* At least one field; LOG_NOTHING where there is none. */
#define log_at(level, component, message, ...)                        \
    ((level) < log_threshold                                          \
         ? (void)0                                                    \
         : log_write((level), slice_of(component), slice_of(message), \
                     (const struct log_field[]){__VA_ARGS__, LOG_NOTHING}))

extern enum log_level log_threshold; /* lines below it cost one comparison */

void log_write(enum log_level level, struct slice component, struct slice message,
               const struct log_field *fields);

/* Starts the writing thread on `fd`. Before it, and after log_stop, lines are written at once. */
void log_start(int fd);
void log_set(enum log_level level, enum log_format format);
void log_stop(void); /* writes what is buffered, for at most a second */

uint64_t log_dropped(void);
bool log_level_parse(struct slice text, enum log_level *ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * check.h - reads typed values out of a configuration table, with a fault at the line for each
 * that does not fit. Only for conf/.
 *
 * Life:    on the stack of one load; `path` names the value that is being looked at.
 */
#ifndef CONF_CHECK_H
#define CONF_CHECK_H

#include "base/slice.h"
#include "resilience/bucket.h"
#include "script/fault.h"
#include "script/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECK_PATH 1024

struct check {
    const struct source *source;
    struct faults *faults;
    char path[CHECK_PATH]; /* terminated */
    size_t length;
};

void check_init(struct check *check, const struct source *source, struct faults *faults);

/* Goes into a key, or the n-th element of a list (from 1), of the current value; gives what
 * check_leave needs to go back. */
size_t check_enter(struct check *check, struct slice key);
size_t check_enter_item(struct check *check, unsigned n);
void check_leave(struct check *check, size_t entered);

/* Adds a fault at the line of the current path. The text names the value itself (check->path). */
void check_fault(const struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The fault for a value of the wrong kind: "PATH must be EXPECTED, not the string "x"".
 * `is_secret` leaves the value itself out. */
void check_mismatch(const struct check *check, const char *expected, struct slice value,
                    bool is_secret);

/* The fault for a key that nobody knows, with the nearest of the names, which are separated by
 * "|". */
void check_unknown(const struct check *check, struct slice key, const char *names);

/* Each adds a fault and gives false when the value is not what it should be. No string holds a
 * NUL, a text is not empty either; `choices` are separated by "|" and
 * counted from 0. */
bool check_string(const struct check *check, struct slice value, bool is_secret,
                  struct slice *ret);
bool check_text(const struct check *check, struct slice value, bool is_secret,
                struct slice *ret);
bool check_choice(const struct check *check, struct slice value, const char *choices,
                  unsigned *ret_index);
bool check_int(const struct check *check, struct slice value, int64_t min, int64_t max,
               int64_t *ret);
bool check_bool(const struct check *check, struct slice value, bool *ret);
bool check_rate(const struct check *check, struct slice value, struct rate_conf *ret);
bool check_map(const struct check *check, struct slice value, const char *expected);

/* Calls `each` inside each key of a table, or each element of a list (key empty). The value
 * must be a table or a list: then true. An empty table is an empty list too. */
typedef void check_each_fn(void *arg, struct check *check, struct slice key,
                           struct slice value);
bool check_each_key(struct check *check, struct slice value, check_each_fn *each, void *arg);
bool check_each_item(struct check *check, struct slice value, check_each_fn *each, void *arg);

/* How many there are in a list or table, 0 for anything else. */
uint32_t check_count(struct slice value);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * err.h - error codes, and the small error that functions hand up.
 *
 * Errors:  a function that can fail returns 0 or -ERR_x, and takes a `struct err *reterr` last
 *          where words help. reterr may be NULL and is written only on failure.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

enum err_code {
    ERR_NONE,
#define X(name, retryable, when, suggestion) ERR_##name,
#include "base/err.def"
#undef X
    ERR_COUNT
};

struct err {
    enum err_code code;
    char text[320]; /* one English sentence without a full stop: what failed and why */
};

/* Fills *reterr (unless NULL) and returns -code, so that a failure is one statement. */
int err_set(struct err *reterr, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text that is there; returns -err->code. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *err_name(enum err_code code);       /* wire name, "NONE" for ERR_NONE */
const char *err_when(enum err_code code);       /* when it is used */
const char *err_suggestion(enum err_code code); /* what to do */
bool err_is_retryable(enum err_code code);

#endif

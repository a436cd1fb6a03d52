/* SPDX-License-Identifier: MIT */
/* err.c - the table of error codes, and the words of one error. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *when;
    const char *suggestion;
    bool retryable;
} table[ERR_COUNT] = {
    [ERR_NONE] = {"NONE", "", "", false},
#define X(name, retryable, when, suggestion) \
    [ERR_##name] = {#name, when, suggestion, retryable},
#include "base/err.def"
#undef X
};

int err_set(struct err *reterr, enum err_code code, const char *format, ...)
{
    if (reterr) {
        va_list args;
        va_start(args, format);
        reterr->code = code;
        (void)vsnprintf(reterr->text, sizeof reterr->text, format, args);
        va_end(args);
    }
    return -(int)code;
}

int err_prefix(struct err *err, const char *format, ...)
{
    char text[sizeof err->text];
    if (!err) {
        return -(int)ERR_INTERNAL;
    }
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < sizeof text - 3) {
        (void)snprintf(text + length, sizeof text - (size_t)length, ": %.*s",
                       (int)(sizeof text - (size_t)length - 3), err->text);
    }
    memcpy(err->text, text, sizeof text);
    return -(int)err->code;
}

const char *err_name(enum err_code code)
{
    return code < ERR_COUNT ? table[code].name : "INTERNAL";
}

const char *err_when(enum err_code code)
{
    return code < ERR_COUNT ? table[code].when : "";
}

const char *err_suggestion(enum err_code code)
{
    return code < ERR_COUNT ? table[code].suggestion : "";
}

bool err_is_retryable(enum err_code code)
{
    return code < ERR_COUNT && table[code].retryable;
}

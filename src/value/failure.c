/* SPDX-License-Identifier: MIT */
/* failure.c - fills, copies and writes the error map of the socket. */
#include "value/failure.h"

#include "base/text.h"
#include "value/pack.h"

#include <stdarg.h>
#include <stdio.h>

/* One more than is kept, so that a cut is seen. */
#define FORMAT_BYTES (FAILURE_TEXT_BYTES + 2)

static const char *const class_names[FAILURE_CLASSES] = {
    "caller", "broker",     "network",        "process", "protocol",
    "server", "rate_limit", "authentication", "answer"};

const char *failure_class_name(enum failure_class class)
{
    return class_names[class];
}

static enum failure_class class_of(enum err_code code)
{
    switch (code) {
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_OUTCOME_UNKNOWN:
        return FAILURE_NETWORK;
    case ERR_EXTERNAL_TOOL_EXECUTION_FAILED:
        return FAILURE_PROTOCOL;
    case ERR_RATE_LIMITED:
        return FAILURE_RATE_LIMIT;
    case ERR_AUTH_FAILED:
        return FAILURE_AUTHENTICATION;
    case ERR_OVERLOADED:
    case ERR_SHUTTING_DOWN:
    case ERR_INTERNAL:
    case ERR_CIRCUIT_OPEN:
    case ERR_QUARANTINED:
        return FAILURE_OF_BROKER;
    default:
        return FAILURE_OF_CALLER;
    }
}

static void set_text(struct buf *buf, const char *text, size_t len)
{
    buf->max = FAILURE_TEXT_BYTES + 1;
    buf_clear(buf);
    buf_put_slice(buf, text_cut((struct slice){text, len}, FAILURE_TEXT_BYTES));
}

static void start(struct failure *failure, enum err_code code)
{
    failure_clear(failure);
    failure->user_message.max = FAILURE_TEXT_BYTES + 1;
    failure->code = code;
    failure->class = class_of(code);
    failure->is_retryable = err_is_retryable(code);
    const char *suggestion = err_suggestion(code);
    set_text(&failure->suggestion, suggestion, strlen(suggestion));
}

void failure_set(struct failure *failure, enum err_code code, const char *format, ...)
{
    char text[FORMAT_BYTES] = "";
    va_list args;
    start(failure, code);
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    set_text(&failure->message, text, strlen(text));
}

void failure_from_err(struct failure *failure, const struct err *err)
{
    start(failure, err->code);
    set_text(&failure->message, err->text, strlen(err->text));
}

void failure_suggest(struct failure *failure, const char *format, ...)
{
    char text[FORMAT_BYTES] = "";
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    set_text(&failure->suggestion, text, strlen(text));
}

void failure_tell_user(struct failure *failure, struct slice text)
{
    set_text(&failure->user_message, text.ptr, text.len);
}

/* Text from elsewhere (a server's words, a child's stderr) with each bad byte as U+FFFD. */
static void put_mended(struct buf *out, struct slice text)
{
    while (text.len && !out->overflow) {
        size_t step = text_utf8_step(text);
        buf_put(out, step ? text.ptr : "\xef\xbf\xbd", step ? step : 3);
        text.ptr += step ? step : 1;
        text.len -= step ? step : 1;
    }
}

/* Runs before each detail: where it would not fit, none of it is kept, and `overflow` says so. */
static bool detail_fits(struct failure *failure, const char *key, size_t value)
{
    failure->details.max = FAILURE_DETAILS_BYTES;
    size_t more = value < FAILURE_DETAILS_BYTES ? strlen(key) + value + 10 : SIZE_MAX;
    return buf_reserve(&failure->details, more);
}

/* Ends a detail: counted if it fitted, else the bytes before it stay as they were. */
static void end_detail(struct failure *failure, size_t before)
{
    if (failure->details.overflow) {
        failure->details.len = before;
        failure->details.overflow = false;
    } else {
        failure->details_count++;
    }
}

void failure_detail_str(struct failure *failure, const char *key, struct slice value)
{
    size_t before = failure->details.len;
    struct buf mended;
    buf_init(&mended, FAILURE_DETAILS_BYTES);
    if (!text_is_utf8(value)) {
        put_mended(&mended, value);
        value = buf_slice(&mended);
    }
    if (!mended.overflow && detail_fits(failure, key, value.len)) {
        pack_put_key_str(&failure->details, key, value);
    } else {
        failure->details.overflow = true;
    }
    end_detail(failure, before);
    buf_done(&mended);
}

void failure_detail_text(struct failure *failure, const char *key, const char *value)
{
    failure_detail_str(failure, key, slice_of(value));
}

void failure_detail_int(struct failure *failure, const char *key, int64_t value)
{
    size_t before = failure->details.len;
    if (detail_fits(failure, key, sizeof value)) {
        pack_put_key_int(&failure->details, key, value);
    }
    end_detail(failure, before);
}

void failure_detail_pack(struct failure *failure, const char *key, struct slice value)
{
    size_t before = failure->details.len;
    if (detail_fits(failure, key, value.len)) {
        pack_put_text(&failure->details, key);
        buf_put_slice(&failure->details, value);
    }
    end_detail(failure, before);
}

static void copy_buf(struct buf *to, const struct buf *from, size_t max)
{
    to->max = max;
    buf_clear(to);
    buf_put_slice(to, buf_slice(from));
}

void failure_copy(struct failure *to, const struct failure *from)
{
    failure_clear(to);
    to->code = from->code;
    to->class = from->class;
    to->is_nothing_done = from->is_nothing_done;
    to->is_retryable = from->is_retryable;
    to->retry_after_ms = from->retry_after_ms;
    copy_buf(&to->message, &from->message, FAILURE_TEXT_BYTES + 1);
    copy_buf(&to->suggestion, &from->suggestion, FAILURE_TEXT_BYTES + 1);
    copy_buf(&to->user_message, &from->user_message, FAILURE_TEXT_BYTES + 1);
    copy_buf(&to->details, &from->details, FAILURE_DETAILS_BYTES);
    to->details_count = to->details.overflow ? 0 : from->details_count;
}

void failure_clear(struct failure *failure)
{
    failure->code = ERR_NONE;
    failure->class = FAILURE_OF_CALLER;
    failure->is_nothing_done = false;
    failure->is_retryable = false;
    failure->retry_after_ms = -1;
    buf_clear(&failure->message);
    buf_clear(&failure->suggestion);
    buf_clear(&failure->user_message);
    buf_clear(&failure->details);
    failure->details_count = 0;
}

void failure_done(struct failure *failure)
{
    buf_done(&failure->message);
    buf_done(&failure->suggestion);
    buf_done(&failure->user_message);
    buf_done(&failure->details);
    failure_clear(failure);
}

static void put_text(struct buf *out, const char *key, struct slice text)
{
    pack_put_text(out, key);
    if (text_is_utf8(text)) {
        pack_put_str(out, text);
        return;
    }
    struct buf mended;
    buf_init(&mended, (size_t)3 * (FAILURE_TEXT_BYTES + 1));
    put_mended(&mended, text);
    pack_put_str(out, buf_slice(&mended));
    buf_done(&mended);
}

void failure_put(const struct failure *failure, struct slice request_id, struct buf *out)
{
    struct slice message = buf_slice(&failure->message);
    struct slice user = buf_slice(&failure->user_message);
    bool has_wait = failure->retry_after_ms >= 0;
    bool has_details = failure->details_count > 0;
    pack_put_map(out, 6u + has_wait + has_details);
    pack_put_key_text(out, "code", err_name(failure->code));
    put_text(out, "message", message);
    put_text(out, "user_message", user.len ? user : message);
    put_text(out, "suggestion", buf_slice(&failure->suggestion));
    pack_put_key_bool(out, "retryable", failure->is_retryable);
    if (has_wait) {
        pack_put_key_int(out, "retry_after_ms", failure->retry_after_ms);
    }
    if (has_details) {
        pack_put_text(out, "details");
        pack_put_map(out, failure->details_count);
        buf_put_slice(out, buf_slice(&failure->details));
    }
    pack_put_key_str(out, "request_id", request_id);
}

/* SPDX-License-Identifier: MIT */
/* json_text.c - strings of JSON text to MessagePack, in chunks of plain bytes where they are plain. */
#include "value/json_text.h"

#include "base/text.h"

bool json_text_begin(struct json_text *text, const unsigned char *at, size_t len,
                     struct buf *out)
{
    *text = (struct json_text){.end = at + len, .out = out, .len_before = out->len};
    text->max = out->max;
    if (out->overflow) {
        (void)json_text_fail_limit(text, at, "the output has passed its ceiling already");
        return false;
    }
    out->max = out->max > SIZE_MAX - JSON_TEXT_RAISE ? SIZE_MAX : out->max + JSON_TEXT_RAISE;
    size_t room = out->max - out->len;
    text->fault_at = at;
    /* What is written is hardly ever longer than what is read. */
    return json_text_grow(text, len + JSON_TEXT_SLACK < room ? len : 0);
}

bool json_text_end(struct json_text *text, bool is_done)
{
    struct buf *out = text->out;
    size_t len = text->data ? (size_t)(text->to - text->data) : out->len;
    out->max = text->max;
    if (text->data) {
        out->overflow = false; /* it was not set before */
    }
    if (out->cap > out->max) {
        out->cap = out->max; /* the slack is nobody else's */
    }
    if (is_done && len > out->max) {
        (void)json_text_fail_limit(text, text->end, "the value is too long");
        is_done = false;
    }
    out->len = is_done ? len : text->len_before;
    return is_done;
}

bool json_text_grow(struct json_text *text, size_t more)
{
    struct buf *out = text->out;
    if (text->data) {
        out->len = (size_t)(text->to - text->data);
    }
    if (!buf_reserve(out, more + JSON_TEXT_SLACK)) {
        bool is_too_long = out->len + more + JSON_TEXT_SLACK > out->max;
        (void)json_text_fail_limit(text, text->fault_at,
                                   is_too_long ? "the value is too long"
                                               : "there is no memory for the value");
        out->overflow = false;
        return false;
    }
    text->data = (unsigned char *)out->data;
    text->to = text->data + out->len;
    text->limit = text->data + out->cap - JSON_TEXT_SLACK;
    return true;
}

const unsigned char *json_text_fail(struct json_text *text, const unsigned char *at,
                                    const char *what)
{
    text->fault_at = at;
    text->fault = what;
    return NULL;
}

const unsigned char *json_text_fail_limit(struct json_text *text, const unsigned char *at,
                                          const char *what)
{
    text->is_limit = true;
    return json_text_fail(text, at, what);
}

static const unsigned char *fail_string(struct json_text *text, const unsigned char *at)
{
    if (at >= text->end) {
        return json_text_fail(text, text->end, "a string has no end");
    }
    return json_text_fail(
        text, at, *at < 0x20 ? "a control character must be escaped" : "this is not UTF-8");
}

/* ---- escapes ---------------------------------------------------------------------------- */

static const unsigned char escapes[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits; negative if there are none. */
static int32_t read_hex(const unsigned char *at, const unsigned char *end)
{
    int32_t value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

static unsigned char *put_utf8(unsigned char *to, uint32_t point)
{
    if (point < 0x80) {
        *to++ = (unsigned char)point;
    } else if (point < 0x800) {
        *to++ = (unsigned char)(0xc0 | point >> 6);
        *to++ = (unsigned char)(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        *to++ = (unsigned char)(0xe0 | point >> 12);
        *to++ = (unsigned char)(0x80 | (point >> 6 & 0x3f));
        *to++ = (unsigned char)(0x80 | (point & 0x3f));
    } else {
        *to++ = (unsigned char)(0xf0 | point >> 18);
        *to++ = (unsigned char)(0x80 | (point >> 12 & 0x3f));
        *to++ = (unsigned char)(0x80 | (point >> 6 & 0x3f));
        *to++ = (unsigned char)(0x80 | (point & 0x3f));
    }
    return to;
}

/* Behind "\u". */
static const unsigned char *read_code_point(struct json_text *text, const unsigned char *at)
{
    int32_t unit = read_hex(at, text->end);
    if (unit < 0) {
        return json_text_fail(text, at, "four hexadecimal digits are expected");
    }
    uint32_t point = (uint32_t)unit;
    const unsigned char *next = at + 4;
    if (point >= 0xd800 && point < 0xe000) {
        int32_t low = -1;
        if (point < 0xdc00 && text->end - next >= 2 && next[0] == '\\' && next[1] == 'u') {
            low = read_hex(next + 2, text->end);
        }
        if (low < 0xdc00 || low > 0xdfff) {
            return json_text_fail(text, at, "a surrogate stands alone");
        }
        point = 0x10000 + ((point - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
        next += 6;
    }
    text->to = put_utf8(text->to, point);
    return next;
}

/* At the backslash. */
static const unsigned char *read_escape(struct json_text *text, const unsigned char *at)
{
    if (text->end - at < 2) {
        return fail_string(text, text->end);
    }
    unsigned char plain = escapes[at[1]];
    if (plain) {
        *text->to++ = plain;
        return at + 2;
    }
    if (at[1] == 'u') {
        return read_code_point(text, at + 2);
    }
    return json_text_fail(text, at + 1, "there is no such escape");
}

/* ---- beyond ASCII ----------------------------------------------------------------------- */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

/* Length of the well-formed sequence that the word begins with, by RFC 3629 section 4; 0 if there is
 * none. */
static inline size_t sequence_length(uint32_t word)
{
    unsigned char lead = (unsigned char)word;
    unsigned char second = (unsigned char)(word >> 8);
    if ((word & 0xc0c0f0) == 0x8080e0) {
        bool is_wrong = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f);
        return is_wrong ? 0 : 3;
    }
    if ((word & 0xc0e0) == 0x80c0) {
        return lead < 0xc2 ? 0 : 2;
    }
    if ((word & 0xc0c0c0f8) == 0x808080f0) {
        bool is_wrong =
            lead > 0xf4 || (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f);
        return is_wrong ? 0 : 4;
    }
    return 0;
}

/* A run of characters beyond ASCII, while four bytes may be read at a time. */
static const unsigned char *copy_wide(struct json_text *text, const unsigned char *at)
{
    unsigned char *to = text->to;
    const unsigned char *end = text->end;
    while (end - at >= 4 && to <= text->limit) {
        uint32_t word;
        memcpy(&word, at, 4);
        size_t step = *at < 0x80 ? 0 : sequence_length(word);
        if (!step) {
            break;
        }
        memcpy(to, &word, 4);
        to += step;
        at += step;
    }
    text->to = to;
    return at;
}

#else

static const unsigned char *copy_wide(struct json_text *text, const unsigned char *at)
{
    (void)text;
    return at;
}

#endif

static const unsigned char *read_wide(struct json_text *text, const unsigned char *at)
{
    at = copy_wide(text, at);
    while (at < text->end && *at >= 0x80) {
        struct slice rest = {(const char *)at, (size_t)(text->end - at)};
        size_t step = text_utf8_step(rest);
        if (!step) {
            return fail_string(text, at);
        }
        if (text->to > text->limit && !json_text_grow(text, 0)) {
            return NULL;
        }
        memcpy(text->to, at, step);
        text->to += step;
        at = copy_wide(text, at + step);
    }
    return at;
}

/* ---- strings ---------------------------------------------------------------------------- */

/* Plain bytes up to the next special one, which is given. */
static inline const unsigned char *copy_plain(struct json_text *text, const unsigned char *at)
{
    for (;;) {
        if (text->to > text->limit && !json_text_grow(text, 0)) {
            return NULL;
        }
        chunk bytes = chunk_load_within(at, text->end);
        chunk_mask special = chunk_special(bytes);
        chunk_store(text->to, bytes);
        if (special) {
            size_t plain = chunk_first(special);
            text->to += plain;
            return at + plain;
        }
        text->to += CHUNK;
        at += CHUNK;
    }
}

/* The body of a string up to its closing quote. */
static const unsigned char *read_body(struct json_text *text, const unsigned char *at)
{
    for (;;) {
        at = copy_plain(text, at);
        if (!at) {
            return NULL;
        }
        if (at >= text->end) {
            return fail_string(text, at);
        }
        if (*at == '"') {
            return at;
        }
        if (*at == '\\') {
            at = read_escape(text, at);
        } else if (*at >= 0x80) {
            at = read_wide(text, at);
        } else {
            return fail_string(text, at);
        }
        if (!at) {
            return NULL;
        }
    }
}

/* The long way, for strings with escapes or beyond ASCII: the length is known only at the end. The
 * header is guessed, and what is behind it moved if the guess was wrong. */
static const unsigned char *read_mixed(struct json_text *text, const unsigned char *from,
                                       size_t plain)
{
    size_t opened = (size_t)(text->to - text->data);
    size_t guess = plain > UINT8_MAX ? 3 : 2;
    if (text->limit - text->to < (ptrdiff_t)plain && !json_text_grow(text, plain)) {
        return NULL;
    }
    memcpy(text->to + guess, from, plain);
    text->to += guess + plain;
    const unsigned char *at = read_body(text, from + plain);
    if (!at) {
        return NULL;
    }
    unsigned char *head = text->data + opened;
    size_t len = (size_t)(text->to - head) - guess;
    size_t needed = json_str_head_for(len);
    if (needed > guess && text->to > text->limit && !json_text_grow(text, 0)) {
        return NULL;
    }
    head = text->data + opened;
    if (needed != guess) {
        memmove(head + needed, head + guess, len);
    }
    text->to = json_put_str_head(head, len) + len;
    return at + 1;
}

const unsigned char *json_text_read_long(struct json_text *text, const unsigned char *from,
                                         size_t plain)
{
    const unsigned char *at = from + plain;
    chunk_mask special;
    while (!(special = chunk_special(chunk_load_within(at, text->end)))) {
        at += CHUNK;
    }
    at += chunk_first(special);
    size_t len = (size_t)(at - from);
    if (at >= text->end || *at != '"') {
        return read_mixed(text, from, len);
    }
    if (text->limit - text->to < (ptrdiff_t)len && !json_text_grow(text, len)) {
        return NULL;
    }
    unsigned char *to = json_put_str_head(text->to, len);
    memcpy(to, from, len);
    text->to = to + len;
    return at + 1;
}

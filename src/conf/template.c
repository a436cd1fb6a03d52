/* SPDX-License-Identifier: MIT */
/* template.c - values with ${env:NAME}, ${user} and ${agent}: cut once, expanded for each call. */
#include "conf/template.h"

#include "conf/url.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 256

/* ---- cutting ----------------------------------------------------------------------------- */

static bool is_variable(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];
        bool is_letter =
            (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
        if (!is_letter && (i == 0 || byte < '0' || byte > '9')) {
            return false;
        }
    }
    return name.len > 0 && name.len < NAME_BYTES;
}

static int unknown(struct slice name, struct err *reterr)
{
    if (is_variable(name) && name.ptr[0] >= 'A' && name.ptr[0] <= 'Z') {
        return err_set(reterr, ERR_VALIDATION_ERROR,
                       "unknown ${%.*s}, did you mean ${env:%.*s}?", SLICE_ARG(name),
                       SLICE_ARG(name));
    }
    return err_set(reterr, ERR_VALIDATION_ERROR,
                   "unknown ${%.*s}: there are ${env:NAME}, ${user} and ${agent}; a literal ${ "
                   "is written $${",
                   name.len > 60 ? 60 : (int)name.len, name.ptr);
}

/* What stands between the braces. */
static int read_piece(struct slice inner, struct template_piece *ret, struct err *reterr)
{
    if (slice_is(inner, "user")) {
        *ret = (struct template_piece){.kind = TEMPLATE_USER};
    } else if (slice_is(inner, "agent")) {
        *ret = (struct template_piece){.kind = TEMPLATE_AGENT};
    } else if (slice_starts(inner, "env:")) {
        struct slice name = {inner.ptr + 4, inner.len - 4};
        if (!is_variable(name)) {
            return err_set(reterr, ERR_VALIDATION_ERROR,
                           "${env:NAME} needs the name of an environment variable");
        }
        *ret = (struct template_piece){.kind = TEMPLATE_ENV, .text = name};
    } else if (slice_starts(inner, "secret:")) {
        return err_set(reterr, ERR_VALIDATION_ERROR,
                       "${secret:NAME} is not supported by this version, which has no store of "
                       "secrets yet: use ${env:NAME}");
    } else {
        return unknown(inner, reterr);
    }
    return 0;
}

static size_t count_pieces(struct slice source)
{
    size_t count = 1;
    for (size_t i = 0; i + 1 < source.len; i++) {
        count += source.ptr[i] == '$' && source.ptr[i + 1] == '{' ? 2 : 0;
    }
    return count;
}

static void add_text(struct template *template, struct slice source, size_t from, size_t to)
{
    if (to > from) {
        template->pieces[template->count++] =
            (struct template_piece){TEMPLATE_TEXT, {source.ptr + from, to - from}};
    }
}

int template_parse(struct slice source, enum template_place place, struct arena *arena,
                   struct template *ret, struct err *reterr)
{
    struct template template = {.source = source, .place = place};
    template.pieces = arena_take(arena, count_pieces(source) * sizeof *template.pieces);
    if (!template.pieces) {
        return err_set(reterr, ERR_OVERLOADED, "it is too long");
    }
    size_t from = 0;
    size_t at = 0;
    while (at + 1 < source.len) {
        if (source.ptr[at] != '$' || source.ptr[at + 1] != '{') {
            at++;
        } else if (at > from && source.ptr[at - 1] == '$') {
            add_text(&template, source, from, at - 1);
            from = at;
            at += 2;
        } else {
            add_text(&template, source, from, at);
            const char *close = memchr(source.ptr + at, '}', source.len - at);
            if (!close) {
                return err_set(reterr, ERR_VALIDATION_ERROR,
                               "${ is not closed by }; a literal ${ is written $${");
            }
            struct slice inner = {source.ptr + at + 2, (size_t)(close - source.ptr) - at - 2};
            int result = read_piece(inner, &template.pieces[template.count++], reterr);
            if (result) {
                return result;
            }
            from = at = (size_t)(close - source.ptr) + 1;
        }
    }
    add_text(&template, source, from, source.len);
    *ret = template;
    return 0;
}

/* ---- asking ------------------------------------------------------------------------------ */

static bool has_kind(const struct template *template, int kind)
{
    for (size_t i = 0; i < template->count; i++) {
        if ((int)template->pieces[i].kind == kind) {
            return true;
        }
    }
    return false;
}

bool template_has_user(const struct template *template)
{
    return has_kind(template, TEMPLATE_USER);
}

bool template_has_agent(const struct template *template)
{
    return has_kind(template, TEMPLATE_AGENT);
}

bool template_has_text(const struct template *template)
{
    return has_kind(template, TEMPLATE_TEXT);
}

static const char *variable(struct slice name)
{
    char text[NAME_BYTES];
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    return getenv(text);
}

struct slice template_missing_env(const struct template *template)
{
    for (size_t i = 0; i < template->count; i++) {
        if (template->pieces[i].kind == TEMPLATE_ENV) {
            const char *value = variable(template->pieces[i].text);
            if (!value || !*value) {
                return template->pieces[i].text;
            }
        }
    }
    return (struct slice){NULL, 0};
}

/* ---- expanding --------------------------------------------------------------------------- */

static bool is_url(const struct template *template)
{
    return template->place == TEMPLATE_IN_URL || template->place == TEMPLATE_IN_PLAIN_URL;
}

static void put_encoded(struct slice text, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        if (is_letter || (byte >= '0' && byte <= '9') || (byte && strchr("-._~", byte))) {
            buf_put_byte(out, byte);
        } else {
            buf_put_byte(out, '%');
            buf_put_byte(out, (uint8_t)digits[byte >> 4]);
            buf_put_byte(out, (uint8_t)digits[byte & 15]);
        }
    }
}

/* An identity is a claim from outside: in a URL it must stay one piece of data. */
static int put_identity(const struct template *template, const char *what, struct slice text,
                        struct buf *out, struct err *reterr)
{
    if (!is_url(template)) {
        buf_put_slice(out, text);
        return 0;
    }
    if (text.len == 0 || slice_is(text, ".") || slice_is(text, "..")) {
        return err_set(reterr, ERR_VALIDATION_ERROR, "${%s} is \"%.*s\", which no URL can hold",
                       what, SLICE_ARG(text));
    }
    put_encoded(text, out);
    return 0;
}

static int check_result(const struct template *template, struct slice value,
                        size_t first_identity, struct err *reterr)
{
    if (is_url(template)) {
        size_t path = 0;
        int result = url_check(value, template->place == TEMPLATE_IN_PLAIN_URL, &path, reterr);
        if (result == 0 && first_identity < path) {
            return err_set(reterr, ERR_VALIDATION_ERROR,
                           "${user} and ${agent} may stand in its path and query only");
        }
        return result;
    }
    for (size_t i = 0; i < value.len; i++) {
        unsigned char byte = (unsigned char)value.ptr[i];
        bool is_control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
        if (template->place == TEMPLATE_IN_ENV ? byte == 0 : is_control) {
            return err_set(reterr, ERR_VALIDATION_ERROR,
                           "it would hold a control character (byte 0x%02x)", byte);
        }
    }
    return 0;
}

static int put_piece(const struct template *template, const struct template_piece *piece,
                     const struct slice identity[2], struct buf *out, struct err *reterr)
{
    const char *value;
    switch (piece->kind) {
    case TEMPLATE_ENV:
        value = variable(piece->text);
        if (!value) {
            return err_set(reterr, ERR_VALIDATION_ERROR, "environment variable %.*s is not set",
                           SLICE_ARG(piece->text));
        }
        buf_put_text(out, value);
        return 0;
    case TEMPLATE_USER:
        return put_identity(template, "user", identity[0], out, reterr);
    case TEMPLATE_AGENT:
        return put_identity(template, "agent", identity[1], out, reterr);
    case TEMPLATE_TEXT:
        break;
    }
    buf_put_slice(out, piece->text);
    return 0;
}

int template_expand(const struct template *template, struct slice user, struct slice agent,
                    struct buf *out, struct err *reterr)
{
    const struct slice identity[2] = {user, agent};
    size_t before = out->len;
    size_t first_identity = SIZE_MAX;
    int result = 0;
    for (size_t i = 0; i < template->count && result == 0; i++) {
        const struct template_piece *piece = &template->pieces[i];
        bool is_identity = piece->kind == TEMPLATE_USER || piece->kind == TEMPLATE_AGENT;
        if (is_identity && first_identity == SIZE_MAX) {
            first_identity = out->len - before;
        }
        result = put_piece(template, piece, identity, out, reterr);
    }
    if (result == 0 && out->overflow) {
        result = err_set(reterr, ERR_OVERLOADED, "it is too long");
    }
    if (result == 0) {
        struct slice value = {out->len > before ? out->data + before : "", out->len - before};
        result = check_result(template, value, first_identity, reterr);
    }
    if (result != 0) {
        out->len = before;
    }
    return result;
}

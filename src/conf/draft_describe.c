/* SPDX-License-Identifier: MIT */
/*
 * draft_describe.c - the definition of a service as it may be shown: templates as written, and
 * no secret that somebody wrote into the file itself.
 */
#include "conf/draft.h"

#include "conf/template.h"
#include "value/pack.h"

#include <string.h>
#include <strings.h>

#define HIDDEN "(hidden)"

static const char *const keys[KEY_COUNT] = {
#define KEY(name, transport, form, value, text) [KEY_##name] = #name,
#define LATER(name)
#define AUTH(name, types, secret, text)
#include "conf/service.def"
#undef KEY
#undef AUTH
};

static bool is_secret_auth(struct slice key)
{
    static const struct {
        const char *name;
        bool is_secret;
    } rows[] = {
#define KEY(name, transport, form, value, text)
#define AUTH(name, types, secret, text) {#name, secret},
#include "conf/service.def"
#undef KEY
#undef LATER
#undef AUTH
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (slice_is(key, rows[i].name)) {
            return rows[i].is_secret;
        }
    }
    return true;
}

/* By the words that such names hold everywhere: API_KEY, GITHUB_TOKEN, Authorization, Cookie. */
static bool is_secret_name(struct slice name)
{
    static const char *const words[] = {"key",  "token",  "secret",  "pass",    "auth",
                                        "cred", "cookie", "private", "session", "sign"};
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        size_t length = strlen(words[w]);
        for (size_t i = 0; i + length <= name.len; i++) {
            if (strncasecmp(name.ptr + i, words[w], length) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Only templates: nothing of the text is the secret itself. */
static bool is_written_out(struct draft *draft, struct slice value)
{
    struct pack cursor = pack_over(value);
    struct slice text;
    struct template template;
    struct err err;
    return !pack_next_text(&cursor, &text) ||
           template_parse(text, TEMPLATE_IN_ENV, &draft->conf->arena, &template, &err) != 0 ||
           template_has_text(&template);
}

static void put_pairs(struct draft *draft, struct slice map, bool is_auth, struct buf *out)
{
    struct pack cursor = pack_over(map);
    struct pack_item item;
    struct slice key;
    struct slice value;
    (void)pack_next(&cursor, &item);
    pack_put_map(out, check_count(map));
    while (pack_next_text(&cursor, &key) && pack_take(&cursor, &value)) {
        bool is_secret = is_auth ? is_secret_auth(key) : is_secret_name(key);
        pack_put_str(out, key);
        if (is_secret && is_written_out(draft, value)) {
            pack_put_text(out, HIDDEN);
        } else {
            buf_put_slice(out, value);
        }
    }
}

/* One name=value of a query. */
static void put_parameter(struct draft *draft, struct slice parameter, struct buf *out)
{
    struct template template;
    struct err err;
    const char *equals = memchr(parameter.ptr, '=', parameter.len);
    size_t name = equals ? (size_t)(equals - parameter.ptr) : parameter.len;
    struct slice value = {parameter.ptr + name, parameter.len - name};
    if (equals && is_secret_name((struct slice){parameter.ptr, name})) {
        value = (struct slice){equals + 1, value.len - 1};
        bool is_template =
            template_parse(value, TEMPLATE_IN_ENV, &draft->conf->arena, &template, &err) == 0 &&
            !template_has_text(&template);
        buf_put(out, parameter.ptr, name + 1);
        buf_put_slice(out, is_template ? value : SLICE(HIDDEN));
    } else {
        buf_put_slice(out, parameter);
    }
}

/* A key that stands in the query of a URL is hidden as one in a header is. */
static void put_url(struct draft *draft, struct slice value, struct buf *out)
{
    struct pack cursor = pack_over(value);
    struct slice text;
    struct buf shown;
    const char *query = pack_next_text(&cursor, &text) ? memchr(text.ptr, '?', text.len) : NULL;
    if (!query) {
        buf_put_slice(out, value);
        return;
    }
    buf_init(&shown, out->max);
    buf_put(&shown, text.ptr, (size_t)(query + 1 - text.ptr));
    struct slice rest = {query + 1, text.len - (size_t)(query + 1 - text.ptr)};
    while (rest.len) {
        const char *end = memchr(rest.ptr, '&', rest.len);
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
        put_parameter(draft, (struct slice){rest.ptr, len}, &shown);
        if (end) {
            buf_put_byte(&shown, '&');
            len++;
        }
        rest = (struct slice){rest.ptr + len, rest.len - len};
    }
    pack_put_str(out, buf_slice(&shown));
    out->overflow |= shown.overflow;
    buf_done(&shown);
}

static void put_definition(struct draft *draft, struct buf *out)
{
    uint32_t count = 0;
    size_t opened = pack_open(out);
    for (int i = 0; i < KEY_COUNT; i++) {
        if (!draft->raw[i].ptr) {
            continue;
        }
        count++;
        pack_put_text(out, keys[i]);
        if (i == KEY_env || i == KEY_headers || i == KEY_auth) {
            put_pairs(draft, draft->raw[i], i == KEY_auth, out);
        } else if (i == KEY_url) {
            put_url(draft, draft->raw[i], out);
        } else {
            buf_put_slice(out, draft->raw[i]);
        }
    }
    pack_close_map(out, opened, count);
}

/* ---- what sessions are made of ----------------------------------------------------------- */

static bool is_of_sessions(int key)
{
    return key != KEY_retry && key != KEY_breaker && key != KEY_quarantine &&
           key != KEY_health && key != KEY_priority;
}

/* Those that a process or a wire is made with. */
static void put_limits(struct slice map, struct buf *out)
{
    struct pack cursor = pack_over(map);
    struct pack_item item;
    struct slice key;
    struct slice value;
    uint32_t count = 0;
    size_t opened = pack_open(out);
    (void)pack_next(&cursor, &item);
    while (pack_next_text(&cursor, &key) && pack_take(&cursor, &value)) {
        if (!slice_is(key, "rate") && !slice_is(key, "queue")) {
            pack_put_str(out, key);
            buf_put_slice(out, value);
            count++;
        }
    }
    pack_close_map(out, opened, count);
}

/* Limits stand there even if none are written: their absence says the same as an empty table. */
static void put_written(struct draft *draft, struct buf *out)
{
    uint32_t count = 1;
    size_t opened = pack_open(out);
    pack_put_text(out, keys[KEY_limits]);
    put_limits(draft->raw[KEY_limits], out);
    for (int i = 0; i < KEY_COUNT; i++) {
        if (draft->raw[i].ptr && i != KEY_limits && is_of_sessions(i)) {
            pack_put_text(out, keys[i]);
            buf_put_slice(out, draft->raw[i]);
            count++;
        }
    }
    pack_close_map(out, opened, count);
}

static void keep(struct draft *draft, void (*put)(struct draft *draft, struct buf *out),
                 struct slice *ret)
{
    struct buf out;
    buf_init(&out, draft->conf->arena.ceiling);
    put(draft, &out);
    if (out.overflow) {
        check_fault(draft->check, "%s: the service is too large", draft->check->path);
    } else {
        (void)draft_keep(draft, buf_slice(&out), ret);
    }
    if (out.data) {
        mem_wipe(out.data, out.len);
    }
    buf_done(&out);
}

void draft_describe(struct draft *draft)
{
    keep(draft, put_written, &draft->conf->written);
    keep(draft, put_definition, &draft->conf->definition);
}

/* SPDX-License-Identifier: MIT */
/* draft_auth.c - the credential of a service: which keys each type takes, and what they become. */
#include "conf/draft.h"

#include "conf/template.h"
#include "conf/url.h"

#include <string.h>
#include <strings.h>

enum auth_key {
#define KEY(name, transport, form, value, text)
#define LATER(name)
#define AUTH(name, types, secret, text) AUTH_##name,
#include "conf/service.def"
#undef KEY
#undef LATER
#undef AUTH
    AUTH_COUNT
};

static const struct auth_row {
    const char *name, *types;
} rows[AUTH_COUNT] = {
#define KEY(name, transport, form, value, text)
#define LATER(name)
#define AUTH(name, types, secret, text) {#name, types},
#include "conf/service.def"
#undef AUTH
};

static const char names[] = ""
#define AUTH(name, types, secret, text) #name "|"
#include "conf/service.def"
#undef KEY
#undef LATER
#undef AUTH
    ;

/* In the order of enum service_auth. */
static const char *const types[] = {"none",  "bearer", "api_key",
                                    "basic", "oauth",  "client_credentials"};
#define TYPES "none|bearer|api_key|basic|oauth|client_credentials"

struct auth {
    struct draft *draft;
    struct slice raw[AUTH_COUNT];
};

static void collect(void *arg, struct check *check, struct slice key, struct slice value)
{
    struct auth *auth = arg;
    for (int i = 0; i < AUTH_COUNT; i++) {
        if (slice_is(key, rows[i].name)) {
            auth->raw[i] = value;
            return;
        }
    }
    if (slice_is(key, "query")) {
        check_fault(check, "`%s` is not supported by this version yet: use header",
                    check->path);
        return;
    }
    check_unknown(check, key, names);
}

/* Whether the types that a key is for, separated by spaces, have this one. */
static bool has_type(const char *of_key, const char *type)
{
    size_t length = strlen(type);
    if (strcmp(of_key, "all") == 0) {
        return true;
    }
    for (const char *at = of_key; *at; at += strcspn(at, " "), at += *at == ' ') {
        if (strcspn(at, " ") == length && strncmp(at, type, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Faults for keys that do not go with the type. */
static void check_keys(const struct auth *auth, const char *type)
{
    struct check *check = auth->draft->check;
    for (int i = 0; i < AUTH_COUNT; i++) {
        if (auth->raw[i].ptr && !has_type(rows[i].types, type)) {
            size_t entered = check_enter(check, slice_of(rows[i].name));
            check_fault(check, "%s does not go with the type %s", check->path, type);
            check_leave(check, entered);
        }
    }
}

/* Reads a text that must be there; the value is never quoted. */
static bool read_text(const struct auth *auth, enum auth_key key, struct slice *ret)
{
    struct check *check = auth->draft->check;
    if (!auth->raw[key].ptr) {
        check_fault(check, "%s needs the key `%s`", check->path, rows[key].name);
        return false;
    }
    size_t entered = check_enter(check, slice_of(rows[key].name));
    bool is_text = check_text(check, auth->raw[key], true, ret);
    check_leave(check, entered);
    return is_text;
}

static void read_token(const struct auth *auth)
{
    struct check *check = auth->draft->check;
    struct slice token;
    if (read_text(auth, AUTH_token, &token)) {
        size_t entered = check_enter(check, SLICE("token"));
        (void)draft_template(auth->draft, token, TEMPLATE_IN_HEADER,
                             &auth->draft->conf->auth_token);
        check_leave(check, entered);
    }
}

static void read_api_key(const struct auth *auth)
{
    struct check *check = auth->draft->check;
    struct slice header;
    read_token(auth);
    if (!read_text(auth, AUTH_header, &header)) {
        return;
    }
    size_t entered = check_enter(check, SLICE("header"));
    if (!draft_is_token(header)) {
        check_fault(check, "%s: `%.*s` is no name of a header", check->path, SLICE_ARG(header));
    } else {
        (void)draft_keep(auth->draft, header, &auth->draft->conf->auth_header);
    }
    check_leave(check, entered);
}

/* RFC 7617: the first colon ends the user name. */
static void read_basic(const struct auth *auth)
{
    struct draft *draft = auth->draft;
    struct slice user;
    struct slice password;
    struct template parsed;
    bool has_user = read_text(auth, AUTH_user, &user);
    bool has_password = read_text(auth, AUTH_password, &password);
    if (!has_user || !has_password ||
        !draft_template(draft, user, TEMPLATE_IN_HEADER, &parsed)) {
        return;
    }
    for (size_t i = 0; i < parsed.count; i++) {
        const struct template_piece *piece = &parsed.pieces[i];
        if (piece->kind == TEMPLATE_TEXT && memchr(piece->text.ptr, ':', piece->text.len)) {
            check_fault(draft->check, "%s.user must hold no colon", draft->check->path);
            return;
        }
    }
    struct buf both;
    buf_init(&both, user.len + password.len + 1);
    buf_put_slice(&both, user);
    buf_put_byte(&both, ':');
    buf_put_slice(&both, password);
    if (both.overflow) {
        check_fault(draft->check, "%s: no memory", draft->check->path);
    } else {
        (void)draft_template(draft, buf_slice(&both), TEMPLATE_IN_HEADER,
                             &draft->conf->auth_token);
    }
    buf_done(&both);
}

/* ---- types whose credentials are obtained ---------------------------------------------------- */

static void read_scope(void *arg, struct check *check, struct slice key, struct slice value)
{
    struct slice text;
    (void)arg;
    (void)key;
    (void)check_text(check, value, false, &text);
}

static void check_issuer(const struct check *check, struct slice value)
{
    struct slice url;
    struct err err;
    size_t path = 0;
    if (check_text(check, value, false, &url) && url_check(url, false, &path, &err) != 0) {
        check_fault(check, "%s: %s", check->path, err.text);
    }
}

/* Checked and kept in the definition; obtaining the credential is not part of this version. */
static void read_oauth(const struct auth *auth)
{
    struct check *check = auth->draft->check;
    for (int i = AUTH_provider; i < AUTH_COUNT; i++) {
        struct slice text;
        struct template template;
        if (!auth->raw[i].ptr) {
            continue;
        }
        size_t entered = check_enter(check, slice_of(rows[i].name));
        if (i == AUTH_scopes) {
            (void)check_each_item(check, auth->raw[i], read_scope, NULL);
        } else if (i == AUTH_issuer || i == AUTH_client_metadata_url) {
            check_issuer(check, auth->raw[i]);
        } else if (check_text(check, auth->raw[i], true, &text)) {
            (void)draft_template(auth->draft, text, TEMPLATE_IN_HEADER, &template);
        }
        check_leave(check, entered);
    }
}

/* A header that auth writes cannot stand in headers as well. */
static void check_headers(const struct draft *draft)
{
    const struct service_conf *conf = draft->conf;
    struct slice written =
        conf->auth == SERVICE_AUTH_API_KEY ? conf->auth_header : SLICE("authorization");
    for (size_t i = 0; i < conf->header_count && conf->auth != SERVICE_AUTH_NONE; i++) {
        struct slice name = conf->headers[i].name;
        if (name.len == written.len && strncasecmp(name.ptr, written.ptr, name.len) == 0) {
            check_fault(draft->check, "%s writes the header %.*s, which stands in headers too",
                        draft->check->path, SLICE_ARG(name));
        }
    }
}

void draft_read_auth(struct draft *draft, struct slice value)
{
    struct check *check = draft->check;
    struct auth auth = {.draft = draft};
    if (!check_each_key(check, value, collect, &auth)) {
        return;
    }
    if (!auth.raw[AUTH_type].ptr) {
        check_fault(check, "%s needs the key `type`", check->path);
        return;
    }
    unsigned type = 0;
    size_t entered = check_enter(check, SLICE("type"));
    bool is_known = check_choice(check, auth.raw[AUTH_type], TYPES, &type);
    check_leave(check, entered);
    if (!is_known) {
        return;
    }
    draft->conf->auth = (enum service_auth)type;
    check_keys(&auth, types[type]);
    switch (draft->conf->auth) {
    case SERVICE_AUTH_NONE:
        break;
    case SERVICE_AUTH_BEARER:
        read_token(&auth);
        break;
    case SERVICE_AUTH_API_KEY:
        read_api_key(&auth);
        break;
    case SERVICE_AUTH_BASIC:
        read_basic(&auth);
        break;
    case SERVICE_AUTH_OAUTH:
    case SERVICE_AUTH_CLIENT_CREDENTIALS:
        read_oauth(&auth);
        break;
    }
    check_headers(draft);
}

/* SPDX-License-Identifier: MIT */
/* draft.c - reads one service: which keys there are, which go together, and the simple ones. */
#include "conf/draft.h"

#include "conf/template.h"
#include "value/pack.h"

#include <string.h>

#define ARENA_BYTES (1u << 20) /* all of one service */
#define TAGS_MAX    64u

/* ---- memory ------------------------------------------------------------------------------ */

void *draft_take(struct draft *draft, size_t size)
{
    void *memory = arena_take(&draft->conf->arena, size);
    if (!memory) {
        check_fault(draft->check, "%s: the service is too large", draft->check->path);
    }
    return memory;
}

bool draft_keep(struct draft *draft, struct slice text, struct slice *ret)
{
    char *copy = draft_take(draft, text.len + 1);
    if (!copy) {
        return false;
    }
    if (text.len) {
        memcpy(copy, text.ptr, text.len);
    }
    copy[text.len] = '\0';
    *ret = (struct slice){copy, text.len};
    return true;
}

const char *draft_keep_text(struct draft *draft, struct slice text)
{
    struct slice copy;
    return draft_keep(draft, text, &copy) ? copy.ptr : NULL;
}

bool draft_template(struct draft *draft, struct slice text, enum template_place place,
                    struct template *ret)
{
    struct err err;
    struct slice source;
    if (!draft_keep(draft, text, &source)) {
        return false;
    }
    if (template_parse(source, place, &draft->conf->arena, ret, &err) != 0) {
        check_fault(draft->check, "%s: %s", draft->check->path, err.text);
        return false;
    }
    return true;
}

/* ---- simple keys ------------------------------------------------------------------------- */

static void read_title(struct draft *draft, struct slice value)
{
    struct slice text;
    if (check_text(draft->check, value, false, &text)) {
        (void)draft_keep(draft, text, &draft->conf->title);
    }
}

static void read_description(struct draft *draft, struct slice value)
{
    struct slice text;
    if (check_text(draft->check, value, false, &text)) {
        (void)draft_keep(draft, text, &draft->conf->description);
    }
}

/* Was read before all others, because it says which of them may be there. */
static void read_transport(struct draft *draft, struct slice value)
{
    (void)draft;
    (void)value;
}

static void read_allow_insecure_http(struct draft *draft, struct slice value)
{
    (void)check_bool(draft->check, value, &draft->may_be_plain);
}

/* In the order of enum service_sharing. */
static void read_sharing(struct draft *draft, struct slice value)
{
    unsigned choice = 0;
    if (check_choice(draft->check, value, "shared|per_user|per_agent|per_call", &choice)) {
        draft->conf->sharing_is_given = true;
        draft->conf->sharing = (enum service_sharing)choice;
    }
}

/* In the order of enum service_era. */
static void read_era(struct draft *draft, struct slice value)
{
    unsigned choice = 0;
    if (check_choice(draft->check, value, "auto|legacy|modern", &choice)) {
        draft->conf->era = (enum service_era)choice;
    }
}

/* In the order of enum service_pin. */
static void read_pin(struct draft *draft, struct slice value)
{
    unsigned choice = 0;
    if (check_choice(draft->check, value, "warn|strict|off", &choice)) {
        draft->conf->pin = (enum service_pin)choice;
    }
}

static void read_trust_annotations(struct draft *draft, struct slice value)
{
    (void)check_bool(draft->check, value, &draft->conf->trust_annotations);
}

static void read_number(struct draft *draft, struct slice value, int64_t min, int64_t max,
                        uint32_t *field)
{
    int64_t number = 0;
    if (check_int(draft->check, value, min, max, &number)) {
        *field = (uint32_t)number;
    }
}

static void read_timeout_ms(struct draft *draft, struct slice value)
{
    read_number(draft, value, 1, 86400000, &draft->conf->timeout_ms);
}

static void read_connect_timeout_ms(struct draft *draft, struct slice value)
{
    read_number(draft, value, 1, 600000, &draft->conf->connect_timeout_ms);
}

static void read_idle_stop_s(struct draft *draft, struct slice value)
{
    read_number(draft, value, 0, 31536000, &draft->conf->idle_stop_s);
}

/* In this order: critical, optional. */
static void read_priority(struct draft *draft, struct slice value)
{
    unsigned choice = 0;
    if (check_choice(draft->check, value, "critical|optional", &choice)) {
        draft->conf->is_critical = choice == 0;
    }
}

static void read_tag(void *arg, struct check *check, struct slice key, struct slice value)
{
    struct draft *draft = arg;
    struct slice text;
    (void)key;
    if (check_text(check, value, false, &text) &&
        draft_keep(draft, text, &draft->conf->tags[draft->conf->tag_count])) {
        draft->conf->tag_count++;
    }
}

static void read_tags(struct draft *draft, struct slice value)
{
    uint32_t count = check_count(value);
    if (count > TAGS_MAX) {
        check_fault(draft->check, "%s has more than %u elements", draft->check->path, TAGS_MAX);
        return;
    }
    draft->conf->tags = draft_take(draft, (count + 1) * sizeof *draft->conf->tags);
    if (draft->conf->tags) {
        (void)check_each_item(draft->check, value, read_tag, draft);
    }
}

static void read_enabled(struct draft *draft, struct slice value)
{
    (void)check_bool(draft->check, value, &draft->conf->enabled);
}

#define read_command    draft_read_command
#define read_args       draft_read_args
#define read_env        draft_read_env
#define read_cwd        draft_read_cwd
#define read_url        draft_read_url
#define read_ca_file    draft_read_ca_file
#define read_headers    draft_read_headers
#define read_auth       draft_read_auth
#define read_limits     draft_read_limits
#define read_retry      draft_read_retry
#define read_breaker    draft_read_breaker
#define read_quarantine draft_read_quarantine
#define read_health     draft_read_health

/* ---- the table --------------------------------------------------------------------------- */

enum applies { BOTH, STDIO, HTTP };

static const struct service_row {
    const char *name;
    enum applies applies;
    void (*read)(struct draft *draft, struct slice value);
} rows[KEY_COUNT] = {
#define KEY(name, transport, form, value, text) {#name, transport, read_##name},
#define LATER(name)
#define AUTH(name, types, secret, text)
#include "conf/service.def"
#undef KEY
#undef LATER
};

static const char *const later[] = {
#define KEY(name, transport, form, value, text)
#define LATER(name) #name,
#include "conf/service.def"
#undef LATER
#undef KEY
};

static const char names[] = ""
#define LATER(name)
#define KEY(name, transport, form, value, text) #name "|"
#include "conf/service.def"
#undef KEY
#undef LATER
#undef AUTH
    ;

static void collect(void *arg, struct check *check, struct slice key, struct slice value)
{
    struct draft *draft = arg;
    for (int i = 0; i < KEY_COUNT; i++) {
        if (slice_is(key, rows[i].name)) {
            draft->raw[i] = value;
            return;
        }
    }
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        if (slice_is(key, later[i])) {
            check_fault(check, "`%s` is not supported by this version yet: take it out",
                        check->path);
            return;
        }
    }
    check_unknown(check, key, names);
}

/* ---- which keys go together -------------------------------------------------------------- */

/* In the order of enum service_transport. */
static bool read_named_transport(struct draft *draft)
{
    struct check *check = draft->check;
    struct slice value = draft->raw[KEY_transport];
    unsigned choice = 0;
    size_t entered = check_enter(check, SLICE("transport"));
    bool is_known = check_choice(check, value, "stdio|http|sse|auto", &choice);
    check_leave(check, entered);
    draft->conf->transport = (enum service_transport)choice;
    return is_known;
}

/* False when it stays unknown: then no key can be said not to go with it. */
static bool find_transport(struct draft *draft)
{
    const struct check *check = draft->check;
    bool has_command = draft->raw[KEY_command].ptr != NULL;
    bool has_url = draft->raw[KEY_url].ptr != NULL;
    if (draft->raw[KEY_transport].ptr) {
        if (!read_named_transport(draft)) {
            return false;
        }
    } else if (has_command == has_url) {
        check_fault(check, "%s has %s: give it a command (stdio) or a url (http)", check->path,
                    has_url ? "both a command and a url" : "neither a command nor a url");
        return false;
    } else {
        draft->conf->transport = has_command ? SERVICE_STDIO : SERVICE_HTTP;
    }
    if (draft->conf->transport == SERVICE_STDIO && !has_command) {
        check_fault(check, "%s has transport stdio but no command", check->path);
    }
    if (draft->conf->transport != SERVICE_STDIO && !has_url) {
        check_fault(check, "%s has transport %s but no url", check->path,
                    service_transport_name(draft->conf->transport));
    }
    return true;
}

static void read_rows(struct draft *draft, bool is_transport_known)
{
    struct check *check = draft->check;
    enum applies other = draft->conf->transport == SERVICE_STDIO ? HTTP : STDIO;
    for (int i = 0; i < KEY_COUNT; i++) {
        if (!draft->raw[i].ptr) {
            continue;
        }
        size_t entered = check_enter(check, slice_of(rows[i].name));
        if (is_transport_known && rows[i].applies == other) {
            check_fault(check, "%s does not go with transport %s", check->path,
                        service_transport_name(draft->conf->transport));
        } else {
            rows[i].read(draft, draft->raw[i]);
        }
        check_leave(check, entered);
    }
}

static void note_template(struct draft *draft, const struct template *template)
{
    draft->conf->needs_user |= template_has_user(template);
    draft->conf->needs_agent |= template_has_agent(template);
}

static void settle_sharing(struct draft *draft)
{
    struct service_conf *conf = draft->conf;
    note_template(draft, &conf->url);
    note_template(draft, &conf->auth_token);
    conf->has_token = !template_missing_env(&conf->auth_token).ptr;
    for (size_t i = 0; i < conf->env_count; i++) {
        note_template(draft, &conf->env[i].value);
    }
    for (size_t i = 0; i < conf->header_count; i++) {
        note_template(draft, &conf->headers[i].value);
    }
    if (!conf->sharing_is_given) {
        conf->sharing = conf->needs_user    ? SERVICE_PER_USER
                        : conf->needs_agent ? SERVICE_PER_AGENT
                                            : SERVICE_SHARED;
    } else if (conf->sharing == SERVICE_SHARED && (conf->needs_user || conf->needs_agent)) {
        size_t entered = check_enter(draft->check, SLICE("sharing"));
        check_fault(draft->check, "%s = \"shared\" contradicts ${%s} in another of its keys",
                    draft->check->path, conf->needs_user ? "user" : "agent");
        check_leave(draft->check, entered);
    }
}

/* The older transport has no modern revision. */
static void check_era(struct draft *draft)
{
    if (draft->conf->era == SERVICE_ERA_MODERN && draft->conf->transport == SERVICE_SSE) {
        size_t entered = check_enter(draft->check, SLICE("era"));
        check_fault(draft->check,
                    "%s = \"modern\" contradicts the transport sse, which has no such "
                    "revision",
                    draft->check->path);
        check_leave(draft->check, entered);
    }
}

static bool check_name(const struct check *check, struct slice name)
{
    bool is_fine = name.len >= 1 && name.len <= 64;
    for (size_t i = 0; i < name.len && is_fine; i++) {
        char byte = name.ptr[i];
        is_fine = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '_' ||
                  byte == '-';
    }
    if (!is_fine) {
        check_fault(check,
                    "`%.*s` cannot be the name of a service: it takes 1 to 64 characters of a "
                    "to z, 0 to 9, _ and -",
                    SLICE_ARG(name));
    }
    return is_fine;
}

struct service_conf *draft_service(struct check *check, struct slice name, struct slice value)
{
    unsigned before = check->faults->total;
    struct service_conf *conf = mem_new(sizeof *conf);
    conf->references = 1;
    arena_init(&conf->arena, ARENA_BYTES);
    service_conf_set_defaults(conf);
    struct draft draft = {.check = check, .conf = conf};
    (void)check_name(check, name);
    if (draft_keep(&draft, name, &conf->name)) {
        conf->title = conf->name;
        conf->description = (struct slice){"", 0};
        if (check_each_key(check, value, collect, &draft)) {
            read_rows(&draft, find_transport(&draft));
            settle_sharing(&draft);
            check_era(&draft);
            draft_describe(&draft);
        }
    }
    return check->faults->total == before ? conf : service_conf_unref(conf);
}

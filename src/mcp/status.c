/* SPDX-License-Identifier: MIT */
/* status.c - one service as the operator sees it: the map of services.status. */
#include "base/text.h"
#include "mcp/detail.h"
#include "mcp/room.h"
#include "value/pack.h"

static const struct mcp_session *ready_session(const struct mcp_service *service)
{
    list_each (link, &service->seats) {
        const struct seat *seat = LIST_ITEM(link, struct seat, link);
        if (seat->session.state == SESSION_READY || seat->session.state == SESSION_RENEWING) {
            return &seat->session;
        }
    }
    return NULL;
}

static const struct mcp_catalog *newest_catalog(const struct mcp_service *service)
{
    const struct mcp_session *newest = NULL;
    list_each (link, &service->seats) {
        const struct seat *seat = LIST_ITEM(link, struct seat, link);
        if (seat->session.catalog &&
            (!newest || seat->session.catalog_at > newest->catalog_at)) {
            newest = &seat->session;
        }
    }
    return newest ? newest->catalog : NULL;
}

/* Servers' own words may be in it, cut somewhere. */
static void put_words(const char *key, const struct buf *words, struct buf *out)
{
    char text[FAILURE_TEXT_BYTES + 1];
    text_copy(text, sizeof text, buf_slice(words));
    pack_put_key_text(out, key, text);
}

static void put_error(const struct mcp_service *service, struct buf *out)
{
    const struct failure *failure = service->last_error;
    struct slice tail;
    char time[CLOCK_TEXT];
    bool has_tail = detail_find(failure, "stderr_tail", &tail);
    clock_format(service->last_error_at, time);
    pack_put_text(out, "last_error");
    pack_put_map(out, 5u + has_tail);
    pack_put_key_text(out, "code", err_name(failure->code));
    put_words("message", &failure->message, out);
    put_words("suggestion", &failure->suggestion, out);
    pack_put_key_text(out, "time", time);
    pack_put_key_bool(out, "is_over", !service->has_failed);
    if (has_tail) {
        pack_put_text(out, "stderr_tail");
        buf_put_slice(out, tail);
    }
}

static const char *era_of(const struct mcp_service *service)
{
    enum service_era era = service->conf->era;
    if (service->known.era == KNOWN_MODERN ||
        (service->known.era == KNOWN_NOTHING && era == SERVICE_ERA_MODERN)) {
        return "modern";
    }
    bool is_legacy = service->known.era == KNOWN_LEGACY || era == SERVICE_ERA_LEGACY ||
                     service->conf->transport == SERVICE_SSE;
    return is_legacy ? "legacy" : "unknown";
}

/* What the server is, as far as it is known: the count of pairs written. */
static uint32_t put_kind(const struct mcp_service *service, bool stands, struct buf *out)
{
    pack_put_key_text(out, "era", era_of(service));
    if (service->conf->transport != SERVICE_AUTO || (!service->known.is_sse && !stands)) {
        return 1;
    }
    pack_put_key_text(out, "transport_used", service->known.is_sse ? "sse" : "http");
    return 2;
}

/* The count of pairs written. */
static uint32_t put_session(const struct mcp_session *session, struct buf *out)
{
    const struct mcp_transport *transport = session->wire ? session->wire->transport : NULL;
    uint32_t count = 0;
    int64_t pid = transport && transport->ops->pid ? transport->ops->pid(transport) : 0;
    if (pid) {
        pack_put_key_int(out, "pid", pid);
        count++;
    }
    if (session->revision) {
        pack_put_key_text(out, "protocol", session->revision->name);
        count++;
    }
    if (session->server_name) {
        pack_put_text(out, "server");
        pack_put_map(out, session->server_version ? 2 : 1);
        pack_put_key_text(out, "name", session->server_name);
        if (session->server_version) {
            pack_put_key_text(out, "version", session->server_version);
        }
        count++;
    }
    return count;
}

static void add_oddities(const struct list *seats, uint64_t *faults, uint64_t *dropped)
{
    list_each (link, seats) {
        const struct seat *seat = LIST_ITEM(link, struct seat, link);
        *faults += seat->session.faults;
        *dropped += seat->session.dropped;
    }
}

static uint32_t put_oddities(const struct mcp_service *service, struct buf *out)
{
    uint64_t faults = service->faults;
    uint64_t dropped = service->dropped;
    add_oddities(&service->seats, &faults, &dropped);
    add_oddities(&service->retired, &faults, &dropped);
    if (faults) {
        pack_put_key_int(out, "protocol_faults", (int64_t)faults);
    }
    if (dropped) {
        pack_put_key_int(out, "messages_dropped", (int64_t)dropped);
    }
    return (faults ? 1u : 0u) + (dropped ? 1u : 0u);
}

static uint32_t put_counters(const struct mcp_service *service, struct buf *out)
{
    pack_put_key_int(out, "calls", (int64_t)service->calls);
    pack_put_key_int(out, "failures", (int64_t)service->failures);
    pack_put_key_int(out, "restarts", (int64_t)service->restarts);
    return 3;
}

uint32_t mcp_service_put_status(const struct mcp_service *service, const char *state,
                                struct buf *out)
{
    const struct service_conf *conf = service->conf;
    const struct mcp_session *session = ready_session(service);
    const struct mcp_catalog *catalog = newest_catalog(service);
    const unsigned *in = service->in_state;
    char since[CLOCK_TEXT];
    uint32_t count = 7;
    clock_format(service->since, since);
    pack_put_key_str(out, "name", conf->name);
    pack_put_key_str(out, "title", conf->title);
    pack_put_key_text(out, "transport", service_transport_name(conf->transport));
    pack_put_key_bool(out, "enabled", conf->enabled);
    pack_put_key_text(out, "state", state ? state : mcp_state_name(service->state));
    pack_put_key_text(out, "since", since);
    pack_put_key_int(out, "sessions", in[SESSION_READY] + in[SESSION_RENEWING]);
    count += put_kind(service, session != NULL, out);
    if (service->reason) {
        pack_put_key_text(out, "reason", service->reason);
        count++;
    }
    if (service->last_error) {
        put_error(service, out);
        count++;
    }
    if (session) {
        count += put_session(session, out);
    }
    if (catalog) {
        pack_put_key_int(out, "tools", (int64_t)catalog->count);
        count += 1 + tools_put_status(catalog, out);
    }
    count += put_counters(service, out);
    return count + put_oddities(service, out);
}

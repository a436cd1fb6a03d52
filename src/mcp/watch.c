/* SPDX-License-Identifier: MIT */
/* watch.c - what a legacy server tells by itself: that a list is another, or a resource. */
#include "mcp/session.h"
#include "value/pack.h"

bool watches_take(struct mcp_session *session, struct slice method, struct slice params)
{
    static const struct {
        const char *method, *kind;
    } lists[] = {
        {"notifications/tools/list_changed", "tools"},
        {"notifications/prompts/list_changed", "prompts"},
        {"notifications/resources/list_changed", "resources"},
    };
    const struct session_events *events = session->events;
    struct slice uri;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (slice_is(method, lists[i].method)) {
            if (i == 0) {
                session_forget_catalog(session);
            }
            if (events && events->list_changed) {
                events->list_changed(session->arg, session, lists[i].kind);
            }
            return true;
        }
    }
    if (slice_is(method, "notifications/resources/updated") && params.ptr &&
        pack_get_text(params, "uri", &uri) && events && events->resource_updated) {
        events->resource_updated(session->arg, session, uri);
        return true;
    }
    return false;
}

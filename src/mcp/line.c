/* SPDX-License-Identifier: MIT */
/*
 * line.c - one request after the other, at sessions whose wire does not say which of them a
 * question of the server belongs to.
 */
#include "mcp/room.h"

/* Only a session that was begun with capabilities is asked anything. Over Streamable HTTP a question
 * comes on the exchange of its request. */
static bool is_one_by_one(const struct seat *seat)
{
    const struct mcp_session *session = &seat->session;
    const struct service_conf *conf = session->conf;
    if (!seat->is_own) {
        return false;
    }
    if (session->wire) {
        return !session->has_exchanges;
    }
    return conf->transport == SERVICE_STDIO || conf->transport == SERVICE_SSE ||
           session->known->is_sse || seat->is_for_one_call;
}

static void advance(void *arg)
{
    struct seat *seat = arg;
    struct list_link *link;
    while (!seat->session.holder && (link = list_first(&seat->line))) {
        struct pending *pending = LIST_ITEM(link, struct pending, link);
        list_remove(link);
        seat->service->in_line--;
        seat->session.holder = pending;
        request_admit(LIST_ITEM(pending, struct mcp_request, pending));
    }
}

void line_init(struct seat *seat)
{
    list_init(&seat->line);
    loop_task_init(&seat->advance, advance, seat);
}

bool line_take(struct mcp_request *request)
{
    struct seat *seat = request->seat;
    struct mcp_session *session = &seat->session;
    if (session->holder == &request->pending || request->is_aside || !is_one_by_one(seat)) {
        return true;
    }
    if (!session->holder && list_is_empty(&seat->line)) {
        session->holder = &request->pending;
        return true;
    }
    request_give_place(request);
    request_step(request, STEP_LINE);
    seat->service->in_line++;
    list_append(&seat->line, &request->pending.link);
    return false;
}

void line_leave(struct mcp_request *request)
{
    struct seat *seat = request->seat;
    if (request->step == STEP_LINE && list_has(&request->pending.link)) {
        list_remove(&request->pending.link);
        seat->service->in_line--;
    }
    if (seat->session.holder == &request->pending) {
        seat->session.holder = NULL;
        if (!list_is_empty(&seat->line)) {
            loop_later(seat->session.core->loop, &seat->advance);
        }
    }
}

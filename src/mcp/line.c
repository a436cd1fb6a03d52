/* SPDX-License-Identifier: MIT */
/*
 * line.c - whom a question of a server is for, where its wire does not say: the only request that
 * uses the session. There others wait in line; over Streamable HTTP a question comes on the exchange
 * of its request, and only one that comes on none is for the only request there is.
 */
#include "mcp/message.h"
#include "mcp/room.h"

#define SETTLE_TIMEOUT ((mono_us)2000000)

static bool is_one_by_one(const struct seat *seat)
{
    const struct mcp_session *session = &seat->session;
    const struct service_conf *conf = session->conf;
    if (session->wire) {
        return !session->has_exchanges;
    }
    return conf->transport == SERVICE_STDIO || conf->transport == SERVICE_SSE ||
           session->known->is_sse;
}

static void advance(void *arg)
{
    struct seat *seat = arg;
    struct list_link *link;
    while (!seat->callers && (link = list_first(&seat->line))) {
        struct pending *pending = LIST_ITEM(link, struct pending, link);
        struct mcp_request *request = LIST_ITEM(pending, struct mcp_request, pending);
        list_remove(link);
        seat->service->in_line--;
        request->is_caller = true;
        seat->callers = 1;
        seat->session.holder = pending;
        request_begin(request);
    }
}

void line_init(struct seat *seat)
{
    list_init(&seat->line);
    loop_task_init(&seat->advance, advance, seat);
}

/* The server asked when nobody was there to be asked, and may never ask again: only a listing had
 * been made of the session, so that it can as well be begun anew. */
static void begin_anew(struct seat *seat)
{
    if (seat->session.was_asked && !seat->calls && seat->users == 1 &&
        seat->session.state == SESSION_READY) {
        struct failure failure = {0};
        failure_set(&failure, ERR_UNAVAILABLE, "the session is begun anew");
        failure.class = FAILURE_OF_BROKER;
        seat_stop(seat, "begun anew for a call that can be asked", &failure);
        failure_done(&failure);
    }
}

static void hold(struct seat *seat, struct mcp_request *request)
{
    seat->session.holder = &request->pending;
    begin_anew(seat);
}

/* The server may still be at what was given up, and ask about it: that it got the word is certain
 * when it answers what was sent behind it. Until then nobody is asked anything. */
void line_settle(struct mcp_request *request)
{
    struct seat *seat = request->seat;
    const struct message_request ping = {.method = "ping"};
    bool has_next = !seat->is_for_one_call && !seat->is_retired;
    if (!request->is_caller || request->is_aside || !has_next || !is_one_by_one(seat) ||
        seat->session.state != SESSION_READY) {
        return;
    }
    seat->session.holder = NULL;
    struct mcp_request *aside = request_send_aside(seat, &ping, SETTLE_TIMEOUT);
    aside->is_caller = true;
    seat->callers++;
}

bool line_take(struct mcp_request *request)
{
    struct seat *seat = request->seat;
    struct mcp_session *session = &seat->session;
    if (!seat->is_own || request->is_aside || session->holder == &request->pending ||
        request->is_caller) {
        return true;
    }
    if (!(request->method->traits & METHOD_HAS_ROUNDS)) {
        return true; /* a server has nothing to ask about a list: it need not wait behind a call */
    }
    if (!session->holder && !seat->callers) {
        request->is_caller = true;
        seat->callers = 1;
        hold(seat, request);
        return true;
    }
    if (!is_one_by_one(seat)) {
        request->is_caller = true;
        seat->callers++;
        session->holder = NULL;
        return true;
    }
    if (seat->service->in_line >= LINE_MAX) {
        struct failure failure = {0};
        failure_set(&failure, ERR_OVERLOADED,
                    "%u calls wait for their turn at sessions of the service \"%.*s\" already",
                    LINE_MAX, SLICE_ARG(session->conf->name));
        request_fail(request, &failure, false);
        failure_done(&failure);
        return false;
    }
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
    if (!request->is_caller) {
        return;
    }
    request->is_caller = false;
    seat->callers--;
    if (seat->session.holder == &request->pending) {
        seat->session.holder = NULL;
    }
    if (!seat->callers && !list_is_empty(&seat->line)) {
        loop_later(seat->session.core->loop, &seat->advance);
    }
}

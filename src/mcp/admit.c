/* SPDX-License-Identifier: MIT */
/* admit.c - how calls and listings begin: they take a seat, and go or are refused at once. */
#include "conf/template.h"
#include "mcp/probe_internal.h"

static bool is_held(const struct mcp_request *request, struct slice bytes)
{
    return request->block && block_holds(request->block, bytes);
}

/* The caller's bytes are good until mcp_call returns. */
static void keep_options(struct mcp_request *request)
{
    struct buf *kept = &request->kept;
    struct slice *const parts[] = {&request->name,          &request->arguments,
                                   &request->meta,          &request->cursor,
                                   &request->identity.user, &request->identity.agent};
    size_t total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        total += is_held(request, *parts[i]) ? 0 : parts[i]->len;
    }
    request->is_kept = buf_reserve(kept, total + 1); /* a place to point at, also for nothing */
    for (size_t i = 0; request->is_kept && i < sizeof parts / sizeof parts[0]; i++) {
        const char *at = kept->data + kept->len;
        if (is_held(request, *parts[i])) {
            continue;
        }
        buf_put_slice(kept, *parts[i]);
        parts[i]->ptr = parts[i]->ptr ? at : NULL;
    }
}

/* It was sent, and that was all that they were good for. A tool's name is its catalogue's. */
static void forget_options(struct mcp_request *request)
{
    static const struct slice nothing = {NULL, 0};
    request->arguments = request->meta = request->cursor = nothing;
    request->identity.user = request->identity.agent = nothing;
    if (!request->tool) {
        request->name = nothing;
    }
}

/* What was not sent yet, or may have to be sent again in another form. */
static bool is_needed_later(const struct mcp_request *request)
{
    return request->step < STEP_ANSWER || !request->tool ||
           session_is_modern(&request->seat->session) || request->block ||
           (request->identity.capabilities & MCP_CAN_ELICIT_URL);
}

static void keep_if_needed(struct mcp_request *request)
{
    if (is_needed_later(request)) {
        keep_options(request);
    }
    if (request->is_kept) {
        return;
    }
    bool is_sent = request->step >= STEP_ANSWER;
    forget_options(request);
    if (!is_sent) {
        struct failure failure = {0};
        failure_set(&failure, ERR_OVERLOADED, "there is no memory for the call's arguments");
        request_withdraw(request, "no memory");
        request_fail(request, &failure, false);
        failure_done(&failure);
    }
}

/* What a URL cannot go without; it is the caller's to name it. */
static const char *missing_identity(const struct mcp_session *session)
{
    const struct template *url = &session->conf->url;
    if (session->conf->transport == SERVICE_STDIO) {
        return NULL;
    }
    return template_has_user(url) && !*session->user     ? "user"
           : template_has_agent(url) && !*session->agent ? "agent"
                                                         : NULL;
}

static bool refuse_now(const struct seat *seat, struct failure *failure)
{
    const struct mcp_service *service = seat->service;
    const char *missing = missing_identity(&seat->session);
    if (service->services->is_closing) {
        failure_set(failure, ERR_SHUTTING_DOWN, "the daemon is ending");
    } else if (!service->conf->enabled) {
        failure_set(failure, ERR_DISABLED, "the service \"%.*s\" is switched off",
                    SLICE_ARG(service->conf->name));
    } else if (missing) {
        failure_set(failure, ERR_INVALID_REQUEST,
                    "the url of the service \"%.*s\" holds ${%s}, and no %s was named",
                    SLICE_ARG(service->conf->name), missing, missing);
        failure_suggest(failure, "Name the %s for whom it is: `%s`, or --%s.", missing, missing,
                        missing);
        failure_detail_text(failure, "field", missing);
    }
    return failure->code != ERR_NONE;
}

void request_begin(struct mcp_request *request)
{
    struct failure failure = {0};
    if (refuse_now(request->seat, &failure)) {
        request_fail(request, &failure, false);
        failure_done(&failure);
    } else if (request->probe) {
        probe_go(request);
    } else {
        request_go(request);
    }
}

/* What nobody can be asked is not declared. */
static unsigned usable_capabilities(const struct mcp_identity *identity, bool can_ask)
{
    return identity->client && can_ask ? identity->capabilities
                                       : identity->capabilities & MCP_CAN_SHOW_APPS;
}

struct mcp_request *mcp_call(struct mcp_service *service, const struct mcp_identity *identity,
                             const struct mcp_call_options *options,
                             const struct mcp_call_events *events, void *arg)
{
    struct mcp_identity usable = *identity;
    usable.capabilities = usable_capabilities(identity, events->asked != NULL);
    struct mcp_request *request =
        request_new(seat_find(service, &usable, false), options->deadline, arg);
    request->call_events = events;
    request->method = method_of(options->method);
    request->name = options->name;
    request->arguments = options->arguments;
    request->block = options->block ? block_ref(options->block) : NULL;
    request->meta = options->meta;
    request->cursor = options->cursor;
    request->identity = usable;
    request->log_level = options->log_level;
    request->task_place = options->task_place;
    request->is_page = options->is_page;
    request->wants_task = options->wants_task;
    request->may_repeat = options->may_repeat;
    request->pending.is_call = true;
    request->pending.wants_progress = options->wants_progress;
    service->calls++;
    request_begin(request);
    keep_if_needed(request);
    request->is_beginning = false;
    return request;
}

struct mcp_request *mcp_list_tools(struct mcp_service *service,
                                   const struct mcp_identity *identity, mono_us deadline,
                                   const struct mcp_list_events *events, void *arg)
{
    struct mcp_identity usable = *identity;
    usable.capabilities = usable_capabilities(identity, true);
    struct mcp_request *request = request_new(seat_find(service, &usable, true), deadline, arg);
    request->list_events = events;
    request->identity = usable;
    request_begin(request);
    if (request->step < STEP_ANSWER) {
        keep_options(request);
    }
    request->is_beginning = false;
    return request;
}

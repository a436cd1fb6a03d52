/* SPDX-License-Identifier: MIT */
/* refusal.c - the failures that this room finds itself: what they say and what is in details. */
#include "mcp/refusal.h"

#include "base/text.h"
#include "mcp/catalog.h"
#include "mcp/detail.h"
#include "value/pack.h"

#define OUTPUT_PLACE "result.structuredContent"

/* A result that is not longer is shown whole with what is wrong with it. */
#define RESULT_SHOWN 32768u

void blame(const struct mcp_request *request, struct failure *failure)
{
    struct slice there;
    if (!detail_find(failure, "service", &there)) {
        failure_detail_str(failure, "service", request->seat->session.conf->name);
    }
    const char *detail = request->method ? request->method->detail : NULL;
    if (detail && !detail_find(failure, detail, &there)) {
        failure_detail_str(failure, detail, request->name);
    }
}

static void refuse_withheld(struct slice service, struct slice tool, struct failure *failure)
{
    failure_set(failure, ERR_POLICY_DENIED,
                "the tool \"%.*s\" of the service \"%.*s\" is not as it was approved",
                SLICE_ARG(tool), SLICE_ARG(service));
    failure_detail_text(failure, "rule", "pin");
    failure_suggest(failure,
                    "Ask the operator to look at it and to run `toolbroker approve %.*s/%.*s`.",
                    SLICE_ARG(service), SLICE_ARG(tool));
}

void refuse_unknown_tool(const struct mcp_request *request, struct failure *failure)
{
    const struct mcp_catalog *catalog = request->pending.session->catalog;
    struct slice service = request->seat->session.conf->name;
    struct slice best = {NULL, 0};
    unsigned distance = TEXT_FAR;
    for (size_t i = 0; i < catalog->count; i++) {
        text_nearest(request->name, catalog->tools[i].name, &best, &distance);
    }
    if (catalog_withholds(catalog, request->name)) {
        refuse_withheld(service, request->name, failure);
        return;
    }
    failure_set(failure, ERR_NOT_FOUND, "the service \"%.*s\" has no tool \"%.*s\"",
                SLICE_ARG(service), SLICE_ARG(request->name));
    if (best.len) {
        struct buf near;
        buf_init(&near, FAILURE_DETAILS_BYTES);
        pack_put_array(&near, 1);
        pack_put_str(&near, best);
        failure_detail_pack(failure, "near", buf_slice(&near));
        buf_done(&near);
        failure_suggest(failure, "Did you mean \"%.*s\"? `tools.list` gives all of them.",
                        SLICE_ARG(best));
    } else {
        failure_suggest(failure, "Call `tools.list` for the tools of this service.");
    }
}

static void put_fault(struct buf *out, const struct schema_fault *fault)
{
    pack_put_map(out, 3);
    pack_put_key_text(out, "field", fault->field);
    pack_put_key_text(out, "expected", fault->expected);
    pack_put_key_text(out, "received", fault->received);
}

/* The first fault by itself, and all of them. */
static void add_faults(struct failure *failure, const struct schema_faults *faults)
{
    const struct schema_fault *first = &faults->list[0];
    struct buf errors;
    failure_detail_text(failure, "field", first->field);
    failure_detail_text(failure, "expected", first->expected);
    failure_detail_text(failure, "received", first->received);
    buf_init(&errors, FAILURE_DETAILS_BYTES);
    pack_put_array(&errors, faults->count);
    for (unsigned i = 0; i < faults->count; i++) {
        put_fault(&errors, &faults->list[i]);
    }
    if (!errors.overflow) {
        failure_detail_pack(failure, "errors", buf_slice(&errors));
    }
    buf_done(&errors);
}

void refuse_arguments(const struct mcp_request *request, const struct schema *schema,
                      struct failure *failure)
{
    static const char empty_map = '\x80';
    struct slice arguments =
        request->arguments.len ? request->arguments : (struct slice){&empty_map, 1};
    struct schema_faults faults = {0};
    schema_explain(schema, arguments, "arguments", &faults);
    const struct schema_fault *first = &faults.list[0];
    failure_set(failure, ERR_VALIDATION_ERROR,
                "the arguments do not fit the tool \"%.*s\": %s is to be %s, and is %s",
                SLICE_ARG(request->name), first->field, first->expected, first->received);
    add_faults(failure, &faults);
}

void refuse_output(const struct mcp_request *request, const struct schema *schema,
                   struct slice result, struct failure *failure)
{
    struct schema_faults faults = {.count = 1,
                                   .list = {{.field = OUTPUT_PLACE,
                                             .expected = "what the outputSchema says",
                                             .received = "nothing"}}};
    struct slice output;
    if (schema && pack_get(result, "structuredContent", &output)) {
        schema_explain(schema, output, OUTPUT_PLACE, &faults);
    }
    const struct schema_fault *first = &faults.list[0];
    failure_set(failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                "the tool \"%.*s\" was carried out, but its result does not fit its "
                "outputSchema: %s is to be %s, and is %s",
                SLICE_ARG(request->name), first->field, first->expected, first->received);
    failure_suggest(failure, "The work is done: do not call again. The result is in "
                             "details.result unless it is too long; tell the server's author.");
    failure->class = FAILURE_ANSWER;
    failure->is_retryable = false;
    add_faults(failure, &faults);
    if (result.len <= RESULT_SHOWN) {
        failure_detail_pack(failure, "result", result);
    }
}

void refuse_method(const struct mcp_request *request, struct failure *failure)
{
    failure_set(failure, ERR_NOT_FOUND, "the service \"%.*s\" offers no %s",
                SLICE_ARG(request->seat->session.conf->name), request->method->noun);
    failure_suggest(failure,
                    "`services.status` says what the server is; other services may "
                    "offer %s.",
                    request->method->noun);
    failure_detail_text(failure, "not_offered", request->method->noun);
}

void refuse_timeout(const struct mcp_request *request, struct failure *failure)
{
    static const char *const missing[] = {
        [STEP_START] = "was not ready",
        [STEP_LIST] = "had not listed its tools",
        [STEP_LINE] = "was busy with other calls of this client",
        [STEP_ANSWER] = "did not answer",
        [STEP_CLIENT] = "had asked the client something, which was not answered",
        [STEP_TASK] = "had not finished the task",
        [STEP_TELL] = "did not answer",
    };
    struct loop *loop = request->seat->service->services->core.loop;
    mono_us waited = loop_now(loop) - request->began;
    failure_set(failure, ERR_TIMEOUT, "the service \"%.*s\" %s within %lld ms",
                SLICE_ARG(request->seat->session.conf->name), missing[request->step],
                (long long)(waited / 1000));
    if (request->step == STEP_START) {
        session_explain_silence(&request->seat->session, failure);
    }
    if (request->step == STEP_CLIENT) {
        failure->class = FAILURE_OF_CALLER;
    } else if (request->step == STEP_LINE) {
        failure->class = FAILURE_OF_BROKER;
    }
}

void refuse_back_off(const struct mcp_request *request, struct failure *failure)
{
    const struct mcp_session *session = request->pending.session;
    mono_us wait = session->not_before - loop_now(session->core->loop);
    const struct failure *last = request->seat->last_error; /* nobody else's */
    failure_set(
        failure, ERR_UNAVAILABLE,
        "the service \"%.*s\" failed %u times in a row and is not started again so soon: "
        "%.*s",
        SLICE_ARG(session->conf->name), session->failures, last ? (int)last->message.len : 0,
        last && last->message.data ? last->message.data : "");
    failure->class = FAILURE_OF_BROKER; /* what happened was counted when it did */
    failure->retry_after_ms = wait / 1000 + 1;
    struct slice tail;
    if (last && detail_find(last, "stderr_tail", &tail)) {
        failure_detail_pack(failure, "stderr_tail", tail);
    }
}

/* SPDX-License-Identifier: MIT */
/* task.c - calls as tasks: both wire forms are driven to their result inside the call. */
#include "mcp/task.h"

#include "base/mem.h"
#include "mcp/ask.h"
#include "mcp/message.h"
#include "value/pack.h"

#define MS              ((mono_us)1000)
#define POLL_FIRST      1000
#define POLL_MIN        100
#define POLL_MAX        30000
#define HANDLE_TTL_MS   ((int64_t)3600 * 1000)
#define TTL_SPARE_MS    ((int64_t)60 * 1000) /* beyond the deadline, for the last poll */
#define ID_BYTES        ((size_t)16 * 1024)
#define FAILURES_MAX    3u /* of polls, one behind the other */
#define TASK_IS_UNKNOWN (-32602)

enum task_doing { TASK_WAITS, TASK_GETS, TASK_FETCHES, TASK_UPDATES };

struct task {
    struct mcp_request *request;
    struct buf id;
    enum task_doing doing;
    bool is_modern;
    bool is_over;   /* the server has nothing to cancel */
    uint32_t epoch; /* of the session that it belongs to */
    uint64_t token; /* of its progress; 0: none */
    mono_us interval;
    unsigned failures;
    struct loop_timer poll;
    struct map answered; /* hashes of keys */
    struct buf status;   /* MCP_TASKS_GET: what is known but for the result */
};

static struct loop *loop_of(const struct mcp_request *request)
{
    return request->seat->session.core->loop;
}

/* Whether the caller asks about a task, and does not wait for its end. */
static bool is_status_wanted(const struct mcp_request *request)
{
    return (request->method->traits & METHOD_OF_TASKS) != 0;
}

/* ---- life -------------------------------------------------------------------------------- */

static void poll_now(void *arg);

static struct task *task_new(struct mcp_request *request, struct slice id)
{
    struct task *task = mem_new(sizeof *task);
    task->request = request;
    task->is_modern = session_is_modern(request->pending.session);
    task->epoch = request->pending.session->epoch;
    task->interval = POLL_FIRST * MS;
    buf_init(&task->id, ID_BYTES);
    buf_put_slice(&task->id, id);
    buf_init(&task->status, request->seat->session.core->in.max);
    map_init(&task->answered);
    loop_timer_init(&task->poll, poll_now, task);
    request->task = task;
    if (!task->is_modern && request->pending.wants_progress) {
        task->token = request->answered_id;
        map_set_id(&request->pending.session->core->by_token, task->token, &request->pending);
    }
    return task;
}

/* A new process, or a new session of an older server, knows nothing of it; and what has the same id
 * there is another one. */
static bool is_lost(const struct task *task)
{
    const struct mcp_session *session = task->request->pending.session;
    bool outlives = task->is_modern && session->has_exchanges;
    bool is_other =
        session->state == SESSION_READY && session_is_modern(session) != task->is_modern;
    return session->state == SESSION_STOPPED || is_other ||
           (session->epoch != task->epoch && !outlives);
}

static bool can_send(const struct task *task)
{
    return task->request->pending.session->state == SESSION_READY && !is_lost(task);
}

static void fail_lost(struct task *task)
{
    struct failure failure = {0};
    failure_set(&failure, ERR_UNAVAILABLE, "the server was lost while it was at the task");
    task->is_over = true;
    request_fail(task->request, &failure, true);
    failure_done(&failure);
}

static struct message_request step_message(const struct task *task, const char *method)
{
    const struct mcp_request *request = task->request;
    struct message_request whole;
    request_describe(request, &whole);
    struct message_request step = {.method = method,
                                   .name_key = "taskId",
                                   .name = buf_slice(&task->id),
                                   .envelope = whole.envelope};
    step.envelope.wants_progress = false;
    step.envelope.meta = (struct slice){NULL, 0};
    return step;
}

bool task_goes_on(const struct mcp_request *request)
{
    return request->task && !request->task->is_over;
}

void task_drop(struct mcp_request *request, bool tells)
{
    struct task *task = request->task;
    if (!task) {
        return;
    }
    if (tells && !task->is_over && can_send(task)) {
        const struct message_request message = step_message(task, "tasks/cancel");
        (void)request_send_aside(request->seat, &message, ASIDE_TIMEOUT);
        line_settle(request);
    }
    request->task = NULL;
    if (task->token) {
        (void)map_remove_id(&request->pending.session->core->by_token, task->token);
    }
    loop_timer_cancel(loop_of(request), &task->poll);
    buf_done(&task->id);
    buf_done(&task->status);
    map_done(&task->answered);
    mem_free(task);
}

/* ---- steps ------------------------------------------------------------------------------- */

static void send_step(struct task *task, enum task_doing doing, const char *method)
{
    struct mcp_request *request = task->request;
    const struct message_request message = step_message(task, method);
    task->doing = doing;
    if (request->step != STEP_TASK) {
        request_step(request, STEP_TASK);
    }
    request_send(request, &message);
}

static void poll_later(struct task *task, mono_us wait)
{
    struct mcp_request *request = task->request;
    task->doing = TASK_WAITS;
    if (request->step != STEP_TASK) {
        request_step(request, STEP_TASK);
    }
    loop_timer_set(loop_of(request), &task->poll, loop_now(loop_of(request)) + wait);
}

static void poll_now(void *arg)
{
    struct task *task = arg;
    if (can_send(task)) {
        send_step(task, TASK_GETS, "tasks/get");
    } else if (is_lost(task)) {
        fail_lost(task);
    } else {
        poll_later(task, task->interval);
    }
}

void task_send_input(struct mcp_request *request, struct slice answers)
{
    struct task *task = request->task;
    if (!can_send(task)) {
        fail_lost(task);
        return;
    }
    struct message_request message = step_message(task, "tasks/update");
    message.input_responses = answers;
    task->doing = TASK_UPDATES;
    request_step(request, STEP_TASK);
    request_send(request, &message);
}

void task_resume(struct mcp_request *request)
{
    struct task *task = request->task;
    struct message_request message = {.method = NULL};
    if (task->doing == TASK_UPDATES) {
        round_add(request, &message);
        task_send_input(request, message.input_responses);
    } else {
        poll_now(task);
    }
}

bool task_has_answered(const struct mcp_request *request, struct slice key)
{
    return map_get_id(&request->task->answered, map_hash(key.ptr, key.len)) != NULL;
}

void task_note_answered(struct mcp_request *request, struct slice key)
{
    static char answered;
    map_set_id(&request->task->answered, map_hash(key.ptr, key.len), &answered);
}

/* ---- ends -------------------------------------------------------------------------------- */

static void fail_with_error(struct task *task, struct slice error)
{
    struct mcp_request *request = task->request;
    struct failure failure = {0};
    message_error_to_failure(error, &failure);
    request_fail(request, &failure, true);
    failure_done(&failure);
}

static void fail_cancelled(struct task *task, struct slice fields)
{
    struct failure failure = {0};
    struct slice why = {"no reason given", 15};
    (void)pack_get_text(fields, "statusMessage", &why);
    failure_set(&failure, ERR_CANCELLED, "the server cancelled the task: %.*s", SLICE_ARG(why));
    failure.class = FAILURE_ANSWER;
    task->is_over = true;
    request_fail(task->request, &failure, true);
    failure_done(&failure);
}

static void complete(struct task *task, struct slice result)
{
    struct mcp_request *request = task->request;
    task->is_over = true;
    if (pack_peek(pack_over(result)) != PACK_MAP) {
        request_break(request, "the result of the task is no object");
    } else {
        request_complete(request, result);
    }
}

/* The status that was kept, with one member more. */
static void give_status(struct task *task, const char *key, struct slice value)
{
    struct mcp_request *request = task->request;
    struct pack cursor = pack_over(buf_slice(&task->status));
    struct pack_item head;
    struct buf whole;
    buf_init(&whole, task->status.max);
    if (!pack_next(&cursor, &head) || head.type != PACK_MAP) {
        head.count = 0;
    }
    pack_put_map(&whole, head.count + 1);
    buf_put(&whole, cursor.at, (size_t)(cursor.end - cursor.at));
    pack_put_text(&whole, key);
    buf_put_slice(&whole, value);
    if (whole.overflow || task->status.overflow) {
        request_lack(request, "the task's result");
    } else {
        const struct mcp_outcome outcome = {
            .result = buf_slice(&whole), .sent = true, .declined = request->declined};
        request_succeed(request, &outcome);
    }
    buf_done(&whole);
}

/* ---- status ------------------------------------------------------------------------------ */

static void note_interval(struct task *task, struct slice fields)
{
    int64_t ms = POLL_FIRST;
    (void)pack_get_int(fields, task->is_modern ? "pollIntervalMs" : "pollInterval", &ms);
    ms = ms < POLL_MIN ? POLL_MIN : ms;
    task->interval = (ms > POLL_MAX ? POLL_MAX : ms) * MS;
}

/* What only `tasks/get` tells: `tasks/call` may have given the status alone. */
static void ask_for_rest(struct task *task, const char *missing)
{
    if (task->doing == TASK_GETS) {
        request_break(task->request, "the task ended, and it gave no `%s`", missing);
    } else {
        send_step(task, TASK_GETS, "tasks/get");
    }
}

static void take_input(struct task *task, struct slice fields)
{
    struct slice questions;
    if (!task->is_modern) {
        send_step(task, TASK_FETCHES, "tasks/result"); /* it asks in the course of that */
    } else if (!pack_get(fields, "inputRequests", &questions) ||
               !round_begin_for_task(task->request, questions)) {
        poll_later(task, task->interval);
    }
}

static void take_end(struct task *task, struct slice fields, const char *key)
{
    struct slice value;
    if (!task->is_modern) {
        send_step(task, TASK_FETCHES, "tasks/result");
    } else if (!pack_get(fields, key, &value)) {
        ask_for_rest(task, key);
    } else if (slice_is(slice_of(key), "result")) {
        complete(task, value);
    } else {
        task->is_over = true;
        fail_with_error(task, value);
    }
}

static void take_status(struct task *task, struct slice fields)
{
    struct slice status = {"", 0};
    (void)pack_get_text(fields, "status", &status);
    note_interval(task, fields);
    if (slice_is(status, "working")) {
        poll_later(task, task->interval);
    } else if (slice_is(status, "input_required")) {
        take_input(task, fields);
    } else if (slice_is(status, "completed")) {
        take_end(task, fields, "result");
    } else if (slice_is(status, "failed")) {
        take_end(task, fields, "error");
    } else if (slice_is(status, "cancelled")) {
        fail_cancelled(task, fields);
    } else {
        request_break(task->request, "its task has the status \"%.*s\"",
                      (int)(status.len > 64 ? 64 : status.len), status.ptr);
    }
}

/* ---- answers ----------------------------------------------------------------------------- */

static void take_fetched(struct task *task, const struct message *message)
{
    task->is_over = true;
    if (is_status_wanted(task->request)) {
        bool is_error = message->kind == MESSAGE_ERROR;
        give_status(task, is_error ? "error" : "result",
                    is_error ? message->error : message->result);
    } else if (message->kind == MESSAGE_ERROR) {
        fail_with_error(task, message->error);
    } else {
        complete(task, message->result);
    }
}

void task_answered(struct mcp_request *request, const struct message *message)
{
    struct task *task = request->task;
    int64_t code = 0;
    task->failures = 0;
    if (task->doing == TASK_FETCHES) {
        take_fetched(task, message);
    } else if (message->kind == MESSAGE_ERROR) {
        task->is_over |= pack_get_int(message->error, "code", &code) && code == TASK_IS_UNKNOWN;
        fail_with_error(task, message->error);
    } else if (task->doing == TASK_UPDATES) {
        poll_later(task, POLL_MIN * MS);
    } else if (is_status_wanted(request)) {
        const struct mcp_outcome outcome = {
            .result = message->result, .sent = true, .declined = request->declined};
        request_succeed(request, &outcome);
    } else {
        take_status(task, message->result);
    }
}

bool task_failed(struct mcp_request *request, const struct failure *failure)
{
    struct task *task = request->task;
    bool is_lost = failure->code == ERR_UNAVAILABLE || failure->code == ERR_TIMEOUT;
    if (!is_lost || task->doing == TASK_UPDATES || !request->pending.session->has_exchanges ||
        request->pending.session->state != SESSION_READY || ++task->failures >= FAILURES_MAX) {
        return false;
    }
    poll_later(task, task->interval);
    return true;
}

/* ---- beginning --------------------------------------------------------------------------- */

int64_t task_ttl(const struct mcp_request *request)
{
    const struct mcp_session *session = request->pending.session;
    struct slice execution;
    struct slice support;
    if (session_is_modern(session) || !(session->offers & OFFERS_TASKS) ||
        !pack_get(request->tool->definition, "execution", &execution) ||
        !pack_get_text(execution, "taskSupport", &support)) {
        return 0;
    }
    bool is_wanted = request->wants_task && !request->seat->is_for_one_call;
    if (!slice_is(support, "required") && !(slice_is(support, "optional") && is_wanted)) {
        return 0;
    }
    if (is_wanted || !loop_timer_is_set(&request->deadline)) {
        return HANDLE_TTL_MS;
    }
    mono_us left = request->deadline.when - loop_now(session->core->loop);
    return (left > 0 ? left / MS : 0) + TTL_SPARE_MS;
}

static uint32_t put_field(struct buf *out, struct slice fields, const char *from,
                          const char *to)
{
    struct slice value;
    if (!pack_get(fields, from, &value)) {
        return 0;
    }
    pack_put_text(out, to);
    buf_put_slice(out, value);
    return 1;
}

/* A task of a modern server over HTTP outlives the session. */
static uint64_t place_of(const struct mcp_request *request)
{
    const struct mcp_session *session = request->pending.session;
    return session_is_modern(session) && session->has_exchanges ? request->seat->place
                                                                : session->place;
}

bool task_is_here(struct mcp_request *request)
{
    struct failure failure = {0};
    if (!(request->method->traits & METHOD_OF_TASKS) || !request->task_place ||
        request->task_place == place_of(request)) {
        return true;
    }
    failure_set(&failure, ERR_NOT_FOUND,
                "the task is gone: the server's session that it belonged to has ended");
    failure_suggest(&failure, "Call the tool again if its result is still wanted.");
    request_fail(request, &failure, false);
    failure_done(&failure);
    return false;
}

/* The same names for both wire forms. The session is kept as long as the server keeps the task. */
static void give_handle(struct mcp_request *request, struct slice fields, struct slice id)
{
    struct buf out;
    int64_t ttl = HANDLE_TTL_MS;
    bool is_modern = session_is_modern(request->pending.session);
    const char *ttl_key = is_modern ? "ttlMs" : "ttl";
    buf_init(&out, request->seat->session.core->in.max);
    size_t opened = pack_open(&out);
    pack_put_key_str(&out, "id", id);
    uint32_t count = 1;
    count += put_field(&out, fields, "status", "status");
    count += put_field(&out, fields, "statusMessage", "status_message");
    count += put_field(&out, fields, "createdAt", "created_at");
    count += put_field(&out, fields, "lastUpdatedAt", "last_updated_at");
    count += put_field(&out, fields, ttl_key, "ttl_ms");
    count += put_field(&out, fields, is_modern ? "pollIntervalMs" : "pollInterval",
                       "poll_interval_ms");
    pack_close_map(&out, opened, count);
    (void)pack_get_int(fields, ttl_key, &ttl);
    ttl = ttl < 0 || ttl > HANDLE_TTL_MS ? HANDLE_TTL_MS : ttl;
    mono_us until = loop_now(loop_of(request)) + ttl * MS;
    if (request->seat->busy_until < until) {
        request->seat->busy_until = until;
    }
    if (out.overflow) {
        request_lack(request, "its task");
    } else {
        const struct mcp_outcome outcome = {.task = buf_slice(&out),
                                            .task_place = place_of(request),
                                            .sent = true,
                                            .declined = request->declined};
        request_succeed(request, &outcome);
    }
    buf_done(&out);
}

void task_begin(struct mcp_request *request, struct slice fields)
{
    struct slice id;
    if (!pack_get_text(fields, "taskId", &id) || id.len > ID_BYTES) {
        request_break(request, "its task has no id");
    } else if (request->wants_task && !request->seat->is_for_one_call) {
        give_handle(request, fields, id);
    } else if (task_new(request, id)->id.overflow) {
        request->task->is_over = true;
        request_lack(request, "its task");
    } else {
        take_status(request->task, fields);
    }
}

bool task_continue(struct mcp_request *request, struct slice fields)
{
    struct slice status = {"", 0};
    struct slice questions;
    (void)pack_get_text(fields, "status", &status);
    bool is_modern = session_is_modern(request->pending.session);
    if (is_modern
            ? !slice_is(status, "input_required") || !request->identity.capabilities ||
                  !request->call_events->asked || !pack_get(fields, "inputRequests", &questions)
            : !slice_is(status, "completed") && !slice_is(status, "failed")) {
        return false;
    }
    struct task *task = task_new(request, request->name);
    task->is_over = true; /* to end is not what was asked for */
    if (is_modern) {
        return round_begin_for_task(request, questions);
    }
    buf_put_slice(&task->status, fields);
    send_step(task, TASK_FETCHES, "tasks/result");
    return true;
}

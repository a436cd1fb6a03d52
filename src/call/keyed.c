/* SPDX-License-Identifier: MIT */
/* keyed.c - a call with an idempotency_key: between its stages and the ids of once.c. */
#include "call/keyed.h"

#include "base/must.h"
#include "base/text.h"
#include "call/call_internal.h"

enum keyed_stage {
    KEYED_NEW,
    KEYED_WAITS, /* for an earlier call */
    KEYED_RUNS,  /* nothing is claimed yet */
    KEYED_CLAIMS,
    KEYED_LOOKS,   /* likewise, before an answer that no service gave */
    KEYED_CLAIMED, /* its attempts go out */
    KEYED_ENDS,    /* its outcome is on its way to disk */
    KEYED_OVER
};

struct keyed {
    struct once once;
    struct slice key;
    struct buf outcome;  /* as it is recorded */
    struct buf copy;     /* of a result that is not, or is too long to be */
    struct block *block; /* holds the result instead */
    struct slice result; /* in one of these; ptr NULL: it failed */
    enum keyed_stage stage;
    bool was_done;   /* something was, or may have been, done, or the server said no in order */
    bool is_decided; /* no service is to be asked: policy's answer waits in the call */
};

static const struct once_events events;

bool keyed_check(struct slice key, bool wants_task, struct failure *failure)
{
    if (!key.len || key.len > ONCE_KEY_MAX || !text_is_utf8(key)) {
        failure_set(failure, ERR_INVALID_REQUEST,
                    "`idempotency_key` must be UTF-8 text of 1 to %u bytes", ONCE_KEY_MAX);
    } else if (wants_task) {
        failure_set(failure, ERR_INVALID_REQUEST,
                    "`idempotency_key` and `task` do not go together: the handle of a task is "
                    "not kept over a restart");
        failure_suggest(failure, "Leave one of both out.");
    } else {
        return true;
    }
    failure_detail_text(failure, "field", "idempotency_key");
    return false;
}

struct keyed *keyed_new(struct call *call, struct slice key)
{
    struct keyed *keyed = mem_new(sizeof *keyed);
    keyed->key = key;
    keyed->once.arg = call;
    buf_init(&keyed->outcome, STORE_OUTCOME_MAX);
    buf_init(&keyed->copy, CALL_ARENA_BYTES);
    return keyed;
}

void keyed_free(struct keyed *keyed)
{
    if (keyed) {
        buf_done(&keyed->outcome);
        buf_done(&keyed->copy);
        keyed->block = block_unref(keyed->block);
        mem_free(keyed);
    }
}

/* What is decided points into the policy, which is asked for others while this call waits. */
static bool keep_texts(struct call *call, struct slice *const texts[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct slice copy = texts[i]->len ? arena_copy(&call->arena, *texts[i]) : *texts[i];
        if (texts[i]->len && !copy.ptr) {
            return false;
        }
        *texts[i] = copy;
    }
    return true;
}

/* False: it waits for an earlier call. */
static bool begin(struct call *call)
{
    struct keyed *keyed = call->keyed;
    uint8_t id[SHA256_BYTES];
    uint8_t fingerprint[SHA256_BYTES];
    once_id(call->view.agent, call->view.user, keyed->key, id);
    once_fingerprint(call->view.service, call->view.tool, call->view.arguments, fingerprint);
    enum once_begun begun = once_begin(call->calls->onces, &keyed->once,
                                       &(struct once_ask){.id = id,
                                                          .fingerprint = fingerprint,
                                                          .deadline = call->deadline,
                                                          .events = &events,
                                                          .arg = call});
    if (begun == ONCE_WAITS) {
        keyed->stage = KEYED_WAITS;
        call_wait(call, "same key");
        return false;
    }
    keyed->stage = KEYED_RUNS;
    return true;
}

bool keyed_begin(struct call *call)
{
    return call->keyed->stage != KEYED_NEW || begin(call);
}

/* Whether what an earlier life of the daemon began may be begun again. With an operation it may have
 * been another target's, of which nobody knows what twice does. */
static bool is_harmless(const struct call *call)
{
    if (call->decision.is_operation) {
        return call->decision.is_idempotent;
    }
    const struct mcp_service *service =
        mcp_services_find(call->calls->room.services, call->decision.service);
    bool is_idempotent = false;
    if (service) {
        (void)service_conf_retry(mcp_service_conf(service), call->decision.tool,
                                 &is_idempotent);
    }
    return is_idempotent || call->decision.is_idempotent;
}

bool keyed_leaving(struct call *call)
{
    struct keyed *keyed = call->keyed;
    if (keyed->stage == KEYED_CLAIMED) {
        return true;
    }
    keyed->stage = KEYED_CLAIMS;
    call_wait(call, "disk");
    if (once_claim(&keyed->once, is_harmless(call))) { /* by who gave it up to this one */
        keyed->stage = KEYED_CLAIMED;
        return true;
    }
    return false;
}

/* Claims what is not to be sent, for what the disk says to it. False: nothing is to be waited for. */
static bool look(struct call *call)
{
    struct keyed *keyed = call->keyed;
    keyed->stage = KEYED_LOOKS;
    call_wait(call, "disk");
    if (once_claim(&keyed->once, is_harmless(call))) {
        keyed->stage = KEYED_CLAIMED;
        return false;
    }
    once_hurry(&keyed->once);
    return true;
}

/* Whether an earlier call may have been carried out all the same. A denial stays one: who may not call
 * may not read what came of a call. */
static bool may_hide(const struct call *call)
{
    switch (call->decision.verdict) {
    case POLICY_CALL:
        return false;
    case POLICY_DEMO_ANSWER:
        return call->options.demo != POLICY_DEMO_ONLY;
    case POLICY_ANSWER:
        return true;
    case POLICY_FAIL:
        break;
    }
    switch (call->failure.code) {
    case ERR_NOT_FOUND:
        return policy_has_agent(call->policy, call->view.agent);
    case ERR_AUTH_REQUIRED:
    case ERR_UNAVAILABLE:
    case ERR_DISABLED:
        return true;
    default:
        return false;
    }
}

bool keyed_decided(struct call *call)
{
    struct keyed *keyed = call->keyed;
    struct policy_decision *decision = &call->decision;
    struct slice *const texts[] = {&decision->service, &decision->tool, &decision->warning,
                                   &decision->result};
    if (keyed->stage != KEYED_NEW || !may_hide(call)) {
        return false;
    }
    if (!call_keep(call) || !keep_texts(call, texts, sizeof texts / sizeof texts[0])) {
        decision->verdict = POLICY_FAIL;
        call_no_memory(&call->failure);
        return false;
    }
    call_set_deadline(call, mcp_services_find(call->calls->room.services, decision->service));
    keyed->is_decided = true;
    return !begin(call) || look(call);
}

bool keyed_attempted(struct call *call, const struct attempt_end *end)
{
    struct keyed *keyed = call->keyed;
    const struct failure *failure = end->failure;
    keyed->was_done =
        !failure || end->may_be_done ||
        (end->was_sent && !failure->is_nothing_done && !failure->is_retryable &&
         failure->code != ERR_AUTH_FAILED && /* 403: it may be allowed by then */
         (failure->class == FAILURE_ANSWER || failure->class == FAILURE_OF_CALLER));
    if (!failure || end->attempts || keyed->stage == KEYED_CLAIMED) {
        return false;
    }
    bool is_late = loop_now(call->calls->room.loop) >= call->deadline;
    if (keyed->stage == KEYED_CLAIMS ||
        is_late) { /* an answer of policy's could hide an outcome */
        call_finish(call, (struct slice){NULL, 0});
        return true;
    }
    return look(call);
}

/* ---- the outcome ------------------------------------------------------------------------- */

/* What was not answered is not known to a repeat either, whatever this call hears of it. */
static void record_failure(struct call *call, const struct recorded *recorded)
{
    struct failure failure = {0};
    failure_copy(&failure, &call->failure);
    if (call->may_be_done && failure.class != FAILURE_PROTOCOL) {
        failure.code = ERR_OUTCOME_UNKNOWN;
        failure.is_retryable = false;
        failure_suggest(&failure, "%s", err_suggestion(ERR_OUTCOME_UNKNOWN));
    }
    recorded_put(recorded, &failure, &call->keyed->outcome, NULL);
    failure_done(&failure);
}

/* The result stays where it can be read until the call is answered. */
static void record_result(struct call *call, struct recorded *recorded, struct slice result)
{
    struct keyed *keyed = call->keyed;
    struct block *block = mcp_services_block(call->calls->room.services, result);
    size_t at = 0;
    recorded->result = result;
    recorded_put(recorded, NULL, &keyed->outcome, &at);
    if (block) {
        keyed->block = block_ref(block);
        keyed->result = result;
    } else if (!keyed->outcome.overflow) {
        keyed->result = (struct slice){keyed->outcome.data + at, result.len};
    } else {
        buf_put_slice(&keyed->copy, result);
        keyed->result = buf_slice(&keyed->copy);
    }
    if (keyed->outcome.overflow) {
        buf_clear(&keyed->outcome);
        recorded->too_long = result.len;
        recorded_put(recorded, NULL, &keyed->outcome, NULL);
    }
}

static struct slice record(struct call *call, struct slice result)
{
    char id[RPC_ID_TEXT];
    rpc_id_text(call->pending.id, id);
    struct recorded recorded = {.at = loop_wall(call->calls->room.loop),
                                .request_id = {id, RPC_ID_TEXT - 1},
                                .service = call->decision.service,
                                .tool = call->decision.tool,
                                .source = slice_of(call_source(call)),
                                .fallback_from = call->fallback_from};
    if (call->failure.code != ERR_NONE) {
        record_failure(call, &recorded);
    } else {
        record_result(call, &recorded, result);
    }
    /* Without memory for it nothing is told of it, but the key is not free. */
    return call->keyed->outcome.overflow ? SLICE("") : buf_slice(&call->keyed->outcome);
}

/* A demo answer, or one of policy's own, for a call that did nothing. */
static void keep_result(struct call *call, struct slice result)
{
    struct keyed *keyed = call->keyed;
    if (call->failure.code == ERR_NONE) {
        buf_put_slice(&keyed->copy, result);
        keyed->result = buf_slice(&keyed->copy);
    }
}

bool keyed_settle(struct call *call, struct slice result)
{
    struct keyed *keyed = call->keyed;
    if (keyed->stage == KEYED_NEW || keyed->stage == KEYED_OVER) {
        return false;
    }
    if (!once_is_claimed(&keyed->once)) {
        keyed->stage = KEYED_OVER;
        once_part(&keyed->once);
        return false;
    }
    struct slice *const texts[] = {&call->decision.service, &call->decision.tool,
                                   &call->decision.warning};
    bool can_wait = keep_texts(call, texts, sizeof texts / sizeof texts[0]);
    if (keyed->was_done || call->may_be_done) {
        once_end(&keyed->once, record(call, result));
    } else {
        keep_result(call, result);
        once_end(&keyed->once, (struct slice){NULL, 0});
    }
    /* Without memory to wait; and that nobody knows is what a repeat hears anyhow. */
    if (!can_wait || keyed->copy.overflow || call->may_be_done ||
        call->failure.code == ERR_CANCELLED) {
        keyed->stage = KEYED_OVER;
        once_part(&keyed->once);
        return false;
    }
    keyed->stage = KEYED_ENDS;
    call->stage = CALL_RECORD;
    call_wait(call, "disk");
    return true;
}

/* ---- events ------------------------------------------------------------------------------ */

/* Nothing came of an earlier call. */
static void looked(struct call *call)
{
    if (call->keyed->is_decided) {
        call_follow(call);
    } else {
        call_executed(call, (struct slice){NULL, 0});
    }
}

static void ours(void *arg)
{
    struct call *call = arg;
    struct keyed *keyed = call->keyed;
    enum keyed_stage stage = keyed->stage;
    if (stage == KEYED_WAITS && keyed->is_decided) {
        if (!look(call)) {
            looked(call);
        }
        return;
    }
    if (stage == KEYED_WAITS) {
        keyed->stage = KEYED_RUNS;
        call_attempt(call);
        return;
    }
    keyed->stage = KEYED_CLAIMED;
    if (stage == KEYED_LOOKS) {
        looked(call);
    } else {
        attempt_go_on(&call->attempt);
    }
}

static void close_now(struct call *call, bool is_kept)
{
    struct keyed *keyed = call->keyed;
    keyed->stage = KEYED_OVER;
    call->is_unkept = !is_kept && (keyed->was_done || call->may_be_done);
    call->block = keyed->block;
    call_close(call, keyed->result);
}

static void kept(void *arg, bool is_kept)
{
    close_now(arg, is_kept);
}

static void tell_unknown(struct call *call, wall_ms begun_at)
{
    char time[CLOCK_TEXT];
    clock_format(begun_at, time);
    failure_set(
        &call->failure, ERR_OUTCOME_UNKNOWN,
        "an earlier call with this idempotency_key was begun at %s, and the daemon ended "
        "before its outcome was known",
        time);
    failure_detail_text(&call->failure, "begun_at", time);
}

static void tell_conflict(struct call *call)
{
    failure_set(&call->failure, ERR_CONFLICT,
                "this idempotency_key belongs to another call: its service, tool or arguments "
                "were not these");
    failure_suggest(&call->failure, "Use a new key for each new call, and an old one only to "
                                    "repeat the very same call.");
}

static void tell_no_disk(struct call *call, const struct err *err)
{
    failure_set(&call->failure, ERR_UNAVAILABLE,
                "nothing was sent, because the idempotency_key could not be kept: %s",
                err->text);
    call->failure.class = FAILURE_OF_BROKER;
    failure_suggest(&call->failure, "Call again later; or without idempotency_key, if doing it "
                                    "twice does no harm.");
}

static void tell_late(struct call *call)
{
    failure_set(
        &call->failure, ERR_TIMEOUT,
        "an earlier call with this idempotency_key was still under way at the deadline");
    call->failure.class = FAILURE_OF_BROKER;
    failure_suggest(&call->failure,
                    "Call again with the same idempotency_key: it gets the outcome.");
}

/* The answer is that of the earlier call, under the id of this one. */
static void tell_outcome(struct call *call, const struct once_told *told)
{
    struct recorded recorded;
    char time[CLOCK_TEXT];
    failure_clear(&call->failure);
    if (!recorded_read(told->outcome, &recorded, &call->failure)) {
        failure_set(&call->failure, ERR_OUTCOME_UNKNOWN,
                    "an earlier call with this idempotency_key was sent, but what was recorded "
                    "of its outcome cannot be read");
        call_close(call, (struct slice){NULL, 0});
        return;
    }
    clock_format(recorded.at, time);
    metrics_add(call->calls->room.metrics, METRIC_IDEMPOTENT_REPEATS, 1);
    call->repeats = &recorded;
    call->is_unkept = told->is_unkept;
    call->decision.service = recorded.service;
    call->decision.tool = recorded.tool;
    call->fallback_from = recorded.fallback_from;
    call->hop_count = 0;
    call->decision.warning = (struct slice){NULL, 0};
    if (recorded.too_long) {
        failure_set(&call->failure, ERR_CONFLICT,
                    "the call with this idempotency_key was carried out at %s; its result of "
                    "%llu bytes was too long to be kept",
                    time, (unsigned long long)recorded.too_long);
        failure_suggest(&call->failure, "Do not repeat it; ask the service for what it did.");
    }
    if (call->failure.code != ERR_NONE) {
        failure_detail_str(&call->failure, "first_request_id", recorded.request_id);
        failure_detail_text(&call->failure, "first_ended_at", time);
    }
    call_close(call, recorded.result);
}

static void told(void *arg, const struct once_told *told)
{
    struct call *call = arg;
    enum keyed_stage stage = call->keyed->stage;
    call->keyed->stage = KEYED_OVER;
    bool is_refusal = stage == KEYED_LOOKS && call->failure.code != ERR_NONE;
    if (told->word == ONCE_NO_DISK && is_refusal) { /* which says more, and promises nothing */
        call_close(call, (struct slice){NULL, 0});
        return;
    }
    attempt_cancel(&call->attempt, "it was carried out before");
    switch (told->word) {
    case ONCE_OUTCOME:
        tell_outcome(call, told);
        return;
    case ONCE_UNKNOWN:
        tell_unknown(call, told->begun_at);
        break;
    case ONCE_CONFLICT:
        tell_conflict(call);
        break;
    case ONCE_NO_DISK:
        tell_no_disk(call, told->err);
        break;
    case ONCE_LATE:
        tell_late(call);
        break;
    }
    call_close(call, (struct slice){NULL, 0});
}

static const struct once_events events = {.ours = ours, .told = told, .kept = kept};

/* ---- ending early ------------------------------------------------------------------------- */

bool keyed_goes_on(struct call *call, bool has_left)
{
    const struct keyed *keyed = call->keyed;
    return keyed->stage == KEYED_ENDS ||
           (has_left && keyed->stage == KEYED_CLAIMED && call->attempt.state == ATTEMPT_SENT);
}

bool keyed_cancelled(struct call *call, bool may_be_done)
{
    struct keyed *keyed = call->keyed;
    if (keyed->stage == KEYED_ENDS) {
        once_part(&keyed->once);
        close_now(call, false);
        return true;
    }
    call->may_be_done |= may_be_done && !is_harmless(call);
    keyed->was_done = false; /* what was refused before may be asked for again */
    return false;
}

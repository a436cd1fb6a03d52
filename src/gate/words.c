/* SPDX-License-Identifier: MIT */
/* words.c - the refusals of a gate: why, since when, for how long, and what to do about it. */
#include "gate/gate_internal.h"
#include "resilience/span.h"
#include "value/pack.h"

#include <stdio.h>

#define DETAIL_BYTES 2048u
#define SPAN_TEXT    32

/* What both say of themselves in `details`. */
struct state_words {
    const char *state;
    mono_us since, until;
    bool counts; /* `failures` is known */
    uint32_t failures;
    const char *reason;
    struct slice user;
};

/* Since when a state is; 0: since the daemon is. */
static void since_text(const struct gates *gates, mono_us since, char text[CLOCK_TEXT])
{
    clock_format(since ? gate_wall(gates, since) : gates->born, text);
}

static void add_detail(const struct gate *gate, const char *key,
                       const struct state_words *words, struct failure *failure)
{
    int64_t left = gate_left_ms(words->until, gate_now(gate));
    char since[CLOCK_TEXT];
    struct buf out;
    since_text(gate->gates, words->since, since);
    buf_init(&out, DETAIL_BYTES);
    pack_put_map(&out, 2u + (left >= 0) + words->counts + (words->reason != NULL) +
                           (words->user.len > 0));
    pack_put_key_text(&out, "state", words->state);
    pack_put_key_text(&out, "since", since);
    if (left >= 0) {
        pack_put_key_int(&out, "left_ms", left);
    }
    if (words->counts) {
        pack_put_key_int(&out, "failures", words->failures);
    }
    if (words->reason) {
        pack_put_key_text(&out, "reason", words->reason);
    }
    if (words->user.len) {
        pack_put_key_str(&out, "user", words->user);
    }
    if (!out.overflow) {
        failure_detail_pack(failure, key, buf_slice(&out));
    }
    buf_done(&out);
}

/* "12.5 s", "3 min": for people. */
static const char *span_text(int64_t ms, char text[SPAN_TEXT])
{
    if (ms < 0) {
        (void)snprintf(text, SPAN_TEXT, "no known time");
    } else if (ms < 10000) {
        (void)snprintf(text, SPAN_TEXT, "%lld ms", (long long)ms);
    } else if (ms < 600000) {
        (void)snprintf(text, SPAN_TEXT, "%lld s", (long long)((ms + 999) / 1000));
    } else {
        (void)snprintf(text, SPAN_TEXT, "%lld min", (long long)((ms + 59999) / 60000));
    }
    return text;
}

static void finish(const struct gate *gate, int64_t left_ms, struct failure *failure)
{
    failure->class = FAILURE_OF_BROKER;
    failure->retry_after_ms = left_ms;
    failure_detail_str(failure, "service", gate->conf->name);
}

/* ---- breaker ----------------------------------------------------------------------------- */

static void say_broken_words(const struct gate *gate, const struct gate_user *user,
                             const struct state_words *words, struct failure *failure)
{
    struct slice name = gate->conf->name;
    const char *reason = words->reason ? words->reason : "not recorded";
    char since[CLOCK_TEXT];
    char left[SPAN_TEXT];
    since_text(gate->gates, words->since, since);
    (void)span_text(gate_left_ms(words->until, gate_now(gate)), left);
    if (words->until == MONO_NEVER) {
        failure_set(failure, ERR_CIRCUIT_OPEN,
                    "the circuit breaker of the service \"%.*s\" was opened by hand at %s: %s",
                    SLICE_ARG(name), since, reason);
    } else if (user) {
        failure_set(failure, ERR_CIRCUIT_OPEN,
                    "the service \"%.*s\" refused the credential of the user \"%.*s\" time and "
                    "again and is not tried for this user (%s since %s, %s left); the last "
                    "failure: %s",
                    SLICE_ARG(name), SLICE_ARG(words->user), words->state, since, left, reason);
    } else if (gate->breaker.state == BREAKER_HALF_OPEN) {
        failure_set(failure, ERR_CIRCUIT_OPEN,
                    "the service \"%.*s\" has failed and is being tried by another call (half "
                    "open since %s); the last failure: %s",
                    SLICE_ARG(name), since, reason);
    } else {
        failure_set(
            failure, ERR_CIRCUIT_OPEN,
            "the service \"%.*s\" failed repeatedly and is not tried for now (open since "
            "%s, for another %s at most, and sooner if it answers a probe); the last "
            "failure: %s",
            SLICE_ARG(name), since, left, reason);
    }
}

static void say_broken(const struct gate *gate, const struct gate_user *user,
                       struct failure *failure)
{
    const struct breaker *breaker = user ? &user->breaker : &gate->breaker;
    mono_us now = gate_now(gate);
    mono_us wait = 0;
    struct slice name = gate->conf->name;
    (void)breaker_would_pass(breaker, &gate->conf->breaker, now, &wait);
    int64_t left_ms = wait == MONO_NEVER ? -1 : wait ? gate_left_ms(wait, 0) : 1;
    const struct state_words words = {
        .state = breaker_state_name(breaker_effective(breaker)),
        .since = breaker->since,
        .until = wait == MONO_NEVER ? MONO_NEVER : span_after(now, wait),
        .counts = true,
        .failures = breaker->failures,
        .reason = user ? user->reason : gate->breaker_reason,
        .user = user ? user_name(user) : SLICE(""),
    };
    say_broken_words(gate, user, &words, failure);
    add_detail(gate, "breaker", &words, failure);
    finish(gate, !user && left_ms > GATE_LOOK_MS ? GATE_LOOK_MS : left_ms, failure);
    failure->is_retryable = left_ms >= 0;
    if (left_ms < 0) {
        failure_suggest(failure,
                        "Use another service, or ask the operator for `toolbroker breaker "
                        "%.*s reset`.",
                        SLICE_ARG(name));
    } else if (user) {
        failure_suggest(failure,
                        "Check this user's credential for the service, then run `toolbroker "
                        "breaker %.*s reset`; or wait for retry_after_ms.",
                        SLICE_ARG(name));
    } else {
        failure_suggest(failure,
                        "Wait for retry_after_ms, or use another service; `toolbroker breaker "
                        "%.*s reset` has it tried at once.",
                        SLICE_ARG(name));
    }
}

/* ---- quarantine -------------------------------------------------------------------------- */

static void say_held(const struct gate *gate, struct failure *failure)
{
    const struct quarantine *quarantine = &gate->quarantine;
    struct slice name = gate->conf->name;
    const char *reason =
        gate->quarantine_reason ? gate->quarantine_reason : "no reason was given";
    char since[CLOCK_TEXT];
    char left[SPAN_TEXT];
    const struct state_words words = {
        .state = quarantine->is_by_hand ? "by_hand" : "misbehaved",
        .since = quarantine->since,
        .until = quarantine->until,
        .reason = gate->quarantine_reason,
    };
    int64_t left_ms = gate_left_ms(quarantine->until, gate_now(gate));
    since_text(gate->gates, quarantine->since, since);
    if (quarantine->is_by_hand) {
        failure_set(failure, ERR_QUARANTINED,
                    "the service \"%.*s\" was put in quarantine by hand at %s (%s left): %s",
                    SLICE_ARG(name), since, span_text(left_ms, left), reason);
    } else {
        failure_set(failure, ERR_QUARANTINED,
                    "the service \"%.*s\" misbehaved and is in quarantine since %s (%s left); "
                    "the last failure: %s",
                    SLICE_ARG(name), since, span_text(left_ms, left), reason);
    }
    add_detail(gate, "quarantine", &words, failure);
    finish(gate, left_ms, failure);
    failure->is_retryable = left_ms >= 0;
    failure_suggest(failure, "%s or ask the operator for `toolbroker release %.*s`.",
                    left_ms < 0 ? "Use another service," : "Wait for retry_after_ms,",
                    SLICE_ARG(name));
}

/* ---- limits ------------------------------------------------------------------------------ */

static void say_limited(const struct gate *gate, const struct gate_user *user,
                        struct failure *failure)
{
    mono_us now = gate_now(gate);
    mono_us until = limits_next(gate, user, now);
    int64_t left_ms = gate_left_ms(until > now ? until : now + 1, now);
    char left[SPAN_TEXT];
    failure_set(failure, ERR_RATE_LIMITED,
                "the limit that the server of \"%.*s\" sets%s is reached for another %s",
                SLICE_ARG(gate->conf->name), user ? " this user" : "",
                span_text(left_ms, left));
    failure_suggest(failure, "Wait for retry_after_ms, then call again; with a timeout_ms that "
                             "is longer than that the call waits by itself.");
    finish(gate, left_ms, failure);
}

static void say_our_rate(const struct gate *gate, mono_us until, struct failure *failure)
{
    const struct rate_conf *rate = &gate->conf->rate;
    mono_us now = gate_now(gate);
    char period[SPAN_TEXT];
    failure_set(failure, ERR_OVERLOADED,
                "calls to the service \"%.*s\" are limited to %u in %s, and that is used up",
                SLICE_ARG(gate->conf->name), rate->count,
                span_text(rate->period_us / 1000, period));
    failure_suggest(failure, "Wait for retry_after_ms, then call again; with a timeout_ms that "
                             "is longer than that the call waits by itself.");
    finish(gate, gate_left_ms(until > now ? until : now + 1, now), failure);
}

static void say_no_place(const struct gate *gate, struct failure *failure)
{
    struct slice name = gate->conf->name;
    if (gate->waiting) {
        failure_set(failure, ERR_OVERLOADED,
                    "%u calls to the service \"%.*s\" are waiting already", gate->waiting,
                    SLICE_ARG(name));
    } else {
        failure_set(failure, ERR_OVERLOADED,
                    "%u calls to the service \"%.*s\" are under way, and none may wait",
                    gate->inside, SLICE_ARG(name));
    }
    finish(gate, -1, failure);
}

/* ---- all of them ------------------------------------------------------------------------- */

void say_unknown(struct slice service, struct failure *failure)
{
    failure_set(failure, ERR_NOT_FOUND, "there is no service \"%.*s\"", SLICE_ARG(service));
    failure_detail_str(failure, "service", service);
}

void say_refusal(const struct gate *gate, const struct gate_user *user, enum gate_why why,
                 mono_us until, struct failure *failure)
{
    switch (why) {
    case GATE_GONE:
        say_unknown(gate->conf->name, failure);
        failure_suggest(failure,
                        "It was taken out of the configuration; `tools.list` says what "
                        "there is.");
        break;
    case GATE_HELD:
        say_held(gate, failure);
        break;
    case GATE_BROKEN:
    case GATE_USER_BROKEN:
        say_broken(gate, why == GATE_USER_BROKEN ? user : NULL, failure);
        break;
    case GATE_LIMITED:
    case GATE_USER_LIMITED:
        say_limited(gate, why == GATE_USER_LIMITED ? user : NULL, failure);
        break;
    case GATE_OUR_RATE:
        say_our_rate(gate, until, failure);
        break;
    default:
        say_no_place(gate, failure);
        break;
    }
}

void say_timeout(const struct gate *gate, enum gate_why why, mono_us waited,
                 struct failure *failure)
{
    const char *missing = "got no place: as many calls as its limit allows were under way";
    if (why == GATE_UNREAD) {
        missing = "was not tried: its state from before the restart was not read";
    } else if (why == GATE_LIMITED || why == GATE_USER_LIMITED) {
        missing = "was not tried: the limit that its server sets did not let one more pass";
    } else if (why == GATE_OUR_RATE) {
        missing = "was not tried: the rate that is set for it did not let one more pass";
    }
    failure_set(failure, ERR_TIMEOUT, "the service \"%.*s\" %s within %lld ms",
                SLICE_ARG(gate->conf->name), missing, (long long)(waited / 1000));
    finish(gate, -1, failure);
}

/* SPDX-License-Identifier: MIT */
/* handshake.c - which question a session begins with, and what is tried when that leads nowhere. */
#include "mcp/handshake.h"

#include "base/log.h"
#include "base/text.h"
#include "mcp/session.h"
#include "value/pack.h"

#define ATTEMPT_BYTES  300u
#define ATTEMPTS_BYTES 1024u

/* How long a child may be silent about `server/discover`, and then about `initialize` too before
 * it is started again without the former: shares of the time that it has to start. */
#define DISCOVER_MAX       ((mono_us)3000000)
#define DISCOVER_PERCENT   30
#define INITIALIZE_PERCENT 75

static bool is_stdio(const struct mcp_session *session)
{
    return session->conf->transport == SERVICE_STDIO;
}

static bool may_choose(const struct mcp_session *session)
{
    return session->conf->era == SERVICE_ERA_AUTO && !session->is_sse;
}

/* ---- life -------------------------------------------------------------------------------- */

static void answered(struct pending *pending, const struct message *message)
{
    struct mcp_session *session = pending->session;
    enum handshake_step step = session->handshake.step;
    handshake_stop(session);
    if (step == ASKS_DISCOVER) {
        session->handshake.was_discover_answered = true;
        discover_answered(session, message);
    } else {
        initialize_answered(session, message);
    }
}

static void failed(struct pending *pending, const struct failure *failure, bool sent)
{
    struct mcp_session *session = pending->session;
    enum handshake_step step = session->handshake.step;
    (void)sent;
    handshake_stop(session);
    if (step == ASKS_DISCOVER) {
        session->handshake.was_discover_answered = true;
        discover_failed(session, failure);
    } else {
        initialize_failed(session, failure);
    }
}

static const struct pending_ops asked_ops = {.answered = answered, .failed = failed};

static void patience_ended(void *arg);

void handshake_init(struct mcp_session *session)
{
    struct handshake *handshake = &session->handshake;
    pending_init(&handshake->asked, &asked_ops, 0);
    handshake->asked.session = session;
    loop_timer_init(&handshake->patience, patience_ended, session);
    buf_init(&handshake->attempts, ATTEMPTS_BYTES);
}

static void forget_attempts(struct handshake *handshake)
{
    failure_done(&handshake->refusal);
    buf_trim(&handshake->attempts, 0);
}

void handshake_stop(struct mcp_session *session)
{
    struct handshake *handshake = &session->handshake;
    handshake->step = ASKS_NOTHING;
    loop_timer_cancel(session->core->loop, &handshake->patience);
    pending_unregister(&handshake->asked);
}

void handshake_done(struct mcp_session *session)
{
    handshake_stop(session);
    forget_attempts(&session->handshake);
    pending_done(&session->handshake.asked);
}

void handshake_begin(struct mcp_session *session)
{
    struct handshake *handshake = &session->handshake;
    forget_attempts(handshake);
    handshake->began = loop_now(session->core->loop);
    handshake->skips_discover = session->known->skips_discover;
    handshake->was_discover_sent = handshake->was_discover_silent = false;
    handshake->was_discover_answered = false;
    handshake->has_chosen = handshake->has_reopened = false;
}

static bool begins_with_discover(const struct mcp_session *session)
{
    if (session->is_sse || session->conf->era == SERVICE_ERA_LEGACY) {
        return false;
    }
    return session->conf->era == SERVICE_ERA_MODERN ||
           (!session->handshake.skips_discover && session->known->era != KNOWN_LEGACY);
}

void handshake_wire_stands(struct mcp_session *session)
{
    session->epoch++;
    session->opened_at = loop_now(session->core->loop);
    session->place = ++session->core->last_place;
    session->given_up_count = 0;
    session->was_asked = false;
    session->revision = NULL;
    session->handshake.was_discover_sent = false;
    session->handshake.has_chosen = false;
    if (session->state == SESSION_OPENING) {
        session_set_state(session, SESSION_HANDSHAKE, NULL);
    }
    if (!loop_timer_is_set(&session->start_timer)) {
        session_limit_start(session);
    }
    if (begins_with_discover(session)) {
        discover_send(session, revision_modern());
    } else {
        initialize_send(session, revision_offered());
    }
}

/* ---- asking ------------------------------------------------------------------------------ */

static void set_patience(struct mcp_session *session, mono_us wait)
{
    struct handshake *handshake = &session->handshake;
    mono_us until = handshake->began + wait;
    mono_us now = loop_now(session->core->loop);
    loop_timer_set(session->core->loop, &handshake->patience, until > now ? until : now);
}

/* A child may be one that says nothing to what it does not know. Over HTTP silence says nothing
 * of the era, and from a server that was modern before it only means that it is slow. */
static void limit_patience(struct mcp_session *session)
{
    struct handshake *handshake = &session->handshake;
    mono_us whole = (mono_us)session->conf->connect_timeout_ms * 1000;
    mono_us share = whole * DISCOVER_PERCENT / 100;
    if (!is_stdio(session) || !may_choose(session)) {
        return;
    }
    share = share < DISCOVER_MAX ? share : DISCOVER_MAX;
    if (handshake->step == ASKS_INITIALIZE) {
        if (handshake->was_discover_silent && handshake->was_discover_sent &&
            !handshake->has_reopened) {
            set_patience(session, whole * INITIALIZE_PERCENT / 100);
        }
    } else if (handshake->refusal.code) {
        set_patience(session, loop_now(session->core->loop) - handshake->began + share);
    } else if (session->known->era != KNOWN_MODERN) {
        set_patience(session, share);
    }
}

void handshake_ask(struct mcp_session *session, enum handshake_step step,
                   const struct revision *revision, uint64_t id)
{
    struct handshake *handshake = &session->handshake;
    struct failure failure = {0};
    const struct mcp_outgoing message = {.kind = MCP_REQUEST,
                                         .json = buf_slice(&session->core->out),
                                         .token = id,
                                         .deadline = session->start_deadline,
                                         .method = step == ASKS_DISCOVER ? "server/discover"
                                                                         : "initialize"};
    handshake->step = step;
    handshake->revision = revision;
    handshake->was_discover_sent |= step == ASKS_DISCOVER;
    if (session_send(session, &handshake->asked, &message, &failure) < 0) {
        session_fail(session, &failure);
    } else {
        limit_patience(session);
    }
    failure_done(&failure);
}

void handshake_agreed(struct mcp_session *session, const struct revision *revision)
{
    struct session_known *known = session->known;
    struct mcp_transport *transport = session->wire->transport;
    session->revision = revision;
    forget_attempts(&session->handshake);
    known->era = revision->era == ERA_MODERN ? KNOWN_MODERN : KNOWN_LEGACY;
    known->is_sse = session->is_sse;
    known->skips_discover = false;
    known->server_errors = 0;
    if (transport->ops->set_revision) {
        transport->ops->set_revision(transport, revision);
    }
}

/* ---- other ways -------------------------------------------------------------------------- */

static void note_attempt(struct mcp_session *session, const char *what,
                         const struct failure *why)
{
    struct buf *attempts = &session->handshake.attempts;
    struct slice text = text_cut(buf_slice(&why->message), ATTEMPT_BYTES);
    buf_printf(attempts, "%s%s: %.*s", attempts->len ? "; " : "", what, SLICE_ARG(text));
    log_at(LOG_DEBUG, "mcp", "the handshake goes on another way",
           LOG_SLICE("service", session->conf->name), LOG_TEXT("tried", what),
           LOG_SLICE("why", text));
}

/* One attempt that ended in the same way is not worth telling twice. */
static bool says_more(const struct buf *attempts, const struct failure *failure)
{
    struct slice same = text_cut(buf_slice(&failure->message), ATTEMPT_BYTES);
    struct slice all = buf_slice(attempts);
    if (!same.len || all.len <= same.len || memmem(all.ptr, all.len, "; ", 2)) {
        return all.len > 0;
    }
    return memcmp(all.ptr + all.len - same.len, same.ptr, same.len) != 0;
}

void handshake_failed(struct mcp_session *session, struct failure *failure)
{
    struct handshake *handshake = &session->handshake;
    const struct buf *attempts = &handshake->attempts;
    if (says_more(attempts, failure)) {
        struct slice text = text_cut(buf_slice(&failure->message), FAILURE_TEXT_BYTES / 2 - 32);
        failure->message.len = text.len;
        buf_printf(&failure->message, " (before that, %.*s)", (int)attempts->len,
                   attempts->data);
    }
    /* A call that is refused in order says that the server is well; a session that is refused does
     * not. */
    if (failure->class == FAILURE_ANSWER) {
        failure->class =
            failure->code == ERR_AUTH_FAILED ? FAILURE_AUTHENTICATION : FAILURE_SERVER;
    }
    session->known->skips_discover =
        handshake->was_discover_silent && failure->code == ERR_UNAVAILABLE;
    /* What was of one era and now does not begin may be something else meanwhile. */
    if (is_stdio(session)) {
        session->known->era = KNOWN_NOTHING;
    }
    forget_attempts(handshake);
}

void handshake_fall_back(struct mcp_session *session, const struct failure *why)
{
    struct handshake *handshake = &session->handshake;
    struct failure own = {0};
    if (handshake->refusal.code) { /* neither of the two: the first refusal says more */
        failure_copy(&own, &handshake->refusal);
        note_attempt(session, "`server/discover`", why);
        session_fail(session, &own);
    } else if (!may_choose(session)) {
        failure_copy(&own, why);
        buf_printf(&own.message, " (to `server/discover`)");
        failure_suggest(&own,
                        "The server does not seem to speak a modern MCP revision (%s): "
                        "let the service's era be \"auto\".",
                        revision_modern()->name);
        session_fail(session, &own);
    } else {
        note_attempt(session, "`server/discover`", why);
        handshake->has_chosen = false;
        initialize_send(session, revision_offered());
    }
    failure_done(&own);
}

bool handshake_may_be_modern(struct mcp_session *session, const struct failure *why,
                             bool says_modern)
{
    struct handshake *handshake = &session->handshake;
    if (!may_choose(session) || handshake->refusal.code ||
        (handshake->was_discover_answered && !says_modern)) {
        return false;
    }
    session->known->era = KNOWN_NOTHING;
    failure_copy(&handshake->refusal, why);
    handshake->has_chosen = false;
    discover_send(session, revision_modern());
    return true;
}

bool handshake_tries_sse(struct mcp_session *session, const struct failure *why)
{
    if (session->conf->transport != SERVICE_AUTO || session->is_sse ||
        session->conf->era == SERVICE_ERA_MODERN || session->handshake.has_reopened ||
        session->state != SESSION_HANDSHAKE) {
        return false;
    }
    note_attempt(session, "`initialize`", why);
    session->is_sse = true;
    session->handshake.has_reopened = true;
    session_reopen(session);
    return true;
}

void handshake_refuse_versions(struct mcp_session *session, struct slice theirs)
{
    struct failure failure = {0};
    struct buf names;
    buf_init(&names, 256);
    revision_put_names(&names);
    theirs = text_cut(theirs, ATTEMPT_BYTES);
    failure_set(&failure, ERR_EXTERNAL_TOOL_EXECUTION_FAILED,
                "the server speaks MCP %.*s, and toolbroker was offering %s (it speaks %s)",
                SLICE_ARG(theirs), session->handshake.revision->name, buf_text(&names));
    failure_suggest(&failure, "Use a release of the server that speaks one of these versions.");
    buf_done(&names);
    session_fail(session, &failure);
    failure_done(&failure);
}

/* ---- silence and loss -------------------------------------------------------------------- */

/* From the beginning, without the question that may have been too much for the child. */
static void start_again(struct mcp_session *session)
{
    session->handshake.has_reopened = true;
    session->handshake.skips_discover = true;
    session_reopen(session);
}

static void patience_ended(void *arg)
{
    struct mcp_session *session = arg;
    enum handshake_step step = session->handshake.step;
    struct failure failure = {0};
    mono_us waited = loop_now(session->core->loop) - session->handshake.began;
    handshake_stop(session);
    failure_set(&failure, ERR_UNAVAILABLE, "no answer within %lld ms",
                (long long)(waited / 1000));
    if (step == ASKS_DISCOVER) {
        bool is_second = session->handshake.refusal.code != ERR_NONE;
        session->handshake.was_discover_silent = !is_second;
        handshake_fall_back(session, &failure);
    } else {
        note_attempt(session, "`initialize`", &failure);
        start_again(session);
    }
    failure_done(&failure);
}

bool handshake_takes_loss(struct mcp_session *session, const struct failure *failure)
{
    struct handshake *handshake = &session->handshake;
    bool is_begun = session->state == SESSION_HANDSHAKE || session->state == SESSION_OPENING;
    if (!is_begun || handshake->has_reopened) {
        return false;
    }
    if (is_stdio(session)) {
        if (!may_choose(session) || !handshake->was_discover_sent) {
            return false;
        }
        bool is_second = handshake->step == ASKS_INITIALIZE;
        note_attempt(session, is_second ? "`initialize`" : "`server/discover`", failure);
        start_again(session);
        return true;
    }
    /* Only HTTP+SSE was there; perhaps that has changed. */
    if (session->conf->transport == SERVICE_AUTO && session->is_sse &&
        session->state == SESSION_OPENING) {
        note_attempt(session, "HTTP+SSE", failure);
        session->known->is_sse = session->is_sse = false;
        handshake->has_reopened = true;
        session_reopen(session);
        return true;
    }
    return false;
}

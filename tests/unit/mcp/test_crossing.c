/* SPDX-License-Identifier: MIT */
/*
 * test_crossing.c - many callers, one server, everything at once, in an order that a seed decides:
 * whatever a caller is told or asked, and whatever it answers, bears its own mark.
 *
 *   test_mcp_crossing [SEED]    that one alone
 */
#include "mcp/probe.h"

#include "caller.h"

#define CALLERS 12
#define STEPS   160u
#define SEEDS   1000u

struct open_request {
    struct fake *fake;
    unsigned long long id;
    char method[32];
    unsigned mark; /* of the caller it is about */
    bool is_modern;
};

struct crowd {
    struct bench bench;
    struct caller callers[CALLERS];
    bool is_busy[CALLERS];
    unsigned capabilities[CALLERS];
    uint64_t seed;
    bool is_http, is_modern;
    size_t seen[FAKES]; /* messages that the server has looked at */
    struct open_request open[256];
    size_t open_count;
    unsigned written, questions, answers, results, probed;
    struct mcp_request *probe; /* NULL: none under way */
};

static struct crowd crowd;

static unsigned roll(unsigned sides)
{
    crowd.seed = crowd.seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(crowd.seed >> 33) % sides;
}

static unsigned mark_of(const char *text)
{
    const char *at = strstr(text, "mark-");
    return at ? (unsigned)strtoul(at + 5, NULL, 10) : CALLERS;
}

/* ---- callers ----------------------------------------------------------------------------- */

static void crowd_done(void *arg, const struct mcp_outcome *outcome)
{
    unsigned mark = (unsigned)((struct caller *)arg - crowd.callers);
    caller_done(arg, outcome);
    assert_true(crowd.is_busy[mark]);
    crowd.is_busy[mark] = false;
    if (outcome->result.ptr) {
        assert_int_equal(mark_of(crowd.callers[mark].told.text), mark);
        crowd.results++;
    }
}

static void crowd_asked(void *arg, struct mcp_ask *ask, const char *method, struct slice params)
{
    unsigned mark = (unsigned)((struct caller *)arg - crowd.callers);
    crowd.callers[mark].asked[0] = '\0';
    crowd.callers[mark].ask_count %= CALLER_ASKS;
    caller_asked(arg, ask, method, params);
    assert_int_equal(mark_of(crowd.callers[mark].asked), mark);
    assert_true(crowd.capabilities[mark] & MCP_CAN_ELICIT);
    crowd.questions++;
}

static const struct mcp_call_events crowd_events = {
    .done = crowd_done, .asked = crowd_asked, .ask_ended = caller_ask_ended};

static void start(unsigned mark)
{
    struct caller *caller = &crowd.callers[mark];
    char text[64];
    struct buf arguments;
    if (crowd.is_busy[mark]) {
        return;
    }
    caller_free(caller);
    crowd.capabilities[mark] = roll(3) ? MCP_CAN_ELICIT : 0;
    (void)snprintf(text, sizeof text, "{\"text\":\"mark-%u\"}", mark);
    const struct mcp_identity identity = {.agent = SLICE("a"),
                                          .user = SLICE("u"),
                                          .client = 1 + mark % 3,
                                          .capabilities = crowd.capabilities[mark]};
    const struct mcp_call_options options = {.method = MCP_TOOLS_CALL,
                                             .name = roll(4) ? SLICE("echo") : SLICE("long"),
                                             .arguments = pack(&arguments, text),
                                             .may_repeat = roll(2),
                                             .deadline =
                                                 loop_now(crowd.bench.loop) + 8000 * MS};
    crowd.is_busy[mark] = true;
    caller->told.request =
        mcp_call(service_named(&crowd.bench, "s"), &identity, &options, &crowd_events, caller);
    buf_done(&arguments);
    turn(&crowd.bench);
}

static void answer_some(unsigned mark)
{
    struct caller *caller = &crowd.callers[mark];
    char text[96];
    for (unsigned i = 0; i < caller->ask_count && crowd.is_busy[mark]; i++) {
        if (caller->asks[i]) {
            (void)snprintf(text, sizeof text,
                           "{\"action\":\"accept\",\"content\":{\"who\":\"mark-%u\"}}", mark);
            answer_ask(caller, i, roll(5) ? text : NULL);
            turn(&crowd.bench);
            return;
        }
    }
}

static void give_up(unsigned mark)
{
    struct caller *caller = &crowd.callers[mark];
    if (crowd.is_busy[mark]) {
        crowd.is_busy[mark] = false;
        mcp_cancel(caller->told.request, "the seed said so");
        turn(&crowd.bench);
    }
}

static void crowd_probed(void *arg, const struct mcp_probe_report *report)
{
    assert_ptr_equal(arg, &crowd);
    assert_non_null(crowd.probe);
    crowd.probe = NULL;
    crowd.probed += report->failure == NULL;
}

/* Begins one, or gives one up. */
static void probe(void)
{
    struct bench *bench = &crowd.bench;
    const struct mcp_identity identity = {.agent = SLICE("a"), .user = SLICE("u")};
    const struct mcp_probe_options options = {.is_apart =
                                                  bench->fake_count + 8 < FAKES && roll(3) == 0,
                                              .lists = roll(2),
                                              .deadline = loop_now(bench->loop) + 8000 * MS};
    if (!crowd.probe) {
        crowd.probe =
            mcp_probe(service_named(bench, "s"), &identity, &options, crowd_probed, &crowd);
    } else if (roll(4) == 0) {
        mcp_cancel(crowd.probe, "the seed said so");
        crowd.probe = NULL;
    }
    turn(bench);
}

/* ---- the server -------------------------------------------------------------------------- */

/* All that one message says about a caller is about the same one. */
static void check_marks(const char *text)
{
    unsigned mark = mark_of(text);
    for (const char *at = text; (at = strstr(at, "mark-")); at += 5) {
        assert_int_equal((unsigned)strtoul(at + 5, NULL, 10), mark);
    }
}

/* What is given up is not worked at, nor asked about, from there on. */
static void forget(const struct fake *fake, unsigned long long id)
{
    for (size_t i = 0; i < crowd.open_count; i++) {
        if (crowd.open[i].fake == fake && crowd.open[i].id == id) {
            crowd.open[i] = crowd.open[--crowd.open_count];
            return;
        }
    }
}

static void look_at(struct fake *fake, size_t at)
{
    const char *text = fake->sent[at];
    struct open_request *request = &crowd.open[crowd.open_count];
    check_marks(text);
    if (fake->kinds[at] == MCP_RESPONSE) {
        crowd.answers += strstr(text, "\"result\"") != NULL;
        return;
    }
    const char *given_up = strstr(text, "\"requestId\":");
    if (given_up) {
        forget(fake, strtoull(given_up + 12, NULL, 10));
    }
    if (fake->kinds[at] != MCP_REQUEST || crowd.open_count == 256) {
        return;
    }
    *request = (struct open_request){.fake = fake,
                                     .id = id_of(text),
                                     .mark = mark_of(text),
                                     .is_modern = strstr(text, "2026-07-28") != NULL};
    (void)sscanf(fake->about[at], "%31s", request->method);
    crowd.open_count++;
}

static void look(void)
{
    for (size_t i = 0; i < crowd.bench.fake_count; i++) {
        struct fake *fake = crowd.bench.fakes[i];
        /* It is not always quick, but reads in order. */
        while (crowd.seen[i] < fake->count && roll(4)) {
            look_at(fake, crowd.seen[i]++);
        }
    }
}

static bool lives(const struct fake *fake)
{
    return !fake->is_freed && !fake->is_closing;
}

static mcp_token token_of(const struct open_request *request)
{
    return crowd.is_http ? request->id : 0;
}

static void close_request(size_t at)
{
    crowd.open[at] = crowd.open[--crowd.open_count];
}

#define reply(request, ...)                                                                    \
    do {                                                                                       \
        char said[512];                                                                        \
        (void)snprintf(said, sizeof said, __VA_ARGS__);                                        \
        say_on((request)->fake, token_of(request), "{'jsonrpc':'2.0','id':%llu,%s}",           \
               (request)->id, said);                                                           \
        if (crowd.is_http && lives((request)->fake)) {                                         \
            (request)->fake->events->exchange_ended((request)->fake->arg, (request)->id, NULL, \
                                                    false);                                    \
            turn(&crowd.bench);                                                                \
        }                                                                                      \
    } while (0)

/* In the course of a call of a legacy server: on a pipe there is only one who could be meant. */
static void ask_legacy(const struct open_request *request)
{
    if (request->is_modern || request->mark >= CALLERS) {
        return;
    }
    say_on(
        request->fake, token_of(request),
        "{'jsonrpc':'2.0','id':'q-%u','method':'elicitation/create','params':{'message':'mark-"
        "%u','requestedSchema':{}}}",
        crowd.written++, request->mark);
}

static void answer_call(struct open_request request)
{
    unsigned how = roll(8);
    if (request.is_modern && how == 0) {
        reply(&request,
              "'result':{'resultType':'input_required','inputRequests':{'k':{'method':"
              "'elicitation/create','params':{'message':'mark-%u'}}},'requestState':'mark-%u'}",
              request.mark, request.mark);
    } else if (request.is_modern && how == 1) {
        reply(&request, "'result':{'resultType':'input_required','requestState':'mark-%u'}",
              request.mark);
    } else if (request.is_modern && how == 2) {
        reply(&request, "'result':{'resultType':'task','taskId':'mark-%u','status':'working'}",
              request.mark);
    } else if (how == 3) {
        reply(&request, "'error':{'code':-32000,'message':'mark-%u'}", request.mark);
    } else {
        reply(&request, "'result':{'content':[{'type':'text','text':'mark-%u'}]}",
              request.mark);
    }
}

static void answer_poll(struct open_request request)
{
    unsigned how = roll(5);
    if (how == 0) {
        reply(&request, "'result':{'taskId':'mark-%u','status':'working','pollIntervalMs':200}",
              request.mark);
    } else if (how == 1) {
        reply(&request,
              "'result':{'taskId':'mark-%u','status':'input_required','inputRequests':{'k%u':{"
              "'method':'elicitation/create','params':{'message':'mark-%u'}}}}",
              request.mark, crowd.written++, request.mark);
    } else {
        reply(&request,
              "'result':{'taskId':'mark-%u','status':'completed','result':{'content':[{'text':"
              "'mark-%u'}]}}",
              request.mark, request.mark);
    }
}

static void serve_one(void)
{
    look();
    if (!crowd.open_count) {
        return;
    }
    size_t at = roll((unsigned)crowd.open_count);
    struct open_request request = crowd.open[at];
    if (!lives(request.fake)) {
        close_request(at);
        return;
    }
    bool is_call = strcmp(request.method, "tools/call") == 0;
    if (is_call && roll(3) == 0) {
        ask_legacy(&request);
        return;
    }
    close_request(at);
    if (is_call) {
        answer_call(request);
    } else if (strcmp(request.method, "tasks/get") == 0) {
        answer_poll(request);
    } else if (strcmp(request.method, "tools/list") == 0) {
        reply(&request, "'result':{'tools':[" ECHO_TOOL ",{'name':'long'}]}");
    } else if (strcmp(request.method, "server/discover") == 0) {
        reply(&request, crowd.is_modern
                            ? "'result':{'resultType':'complete','supportedVersions':["
                              "'2026-07-28'],'capabilities':{'tools':{}}}"
                            : "'error':{'code':-32601,'message':'No'}");
    } else if (strcmp(request.method, "initialize") == 0) {
        reply(&request,
              "'result':{'protocolVersion':'2025-11-25','capabilities':{'tools':{}}}");
    } else {
        reply(&request, "'result':{}");
    }
}

static void break_something(void)
{
    struct bench *bench = &crowd.bench;
    if (!bench->fake_count || bench->fake_count + 8 > FAKES || roll(6)) {
        return;
    }
    struct fake *fake = bench->fakes[roll((unsigned)bench->fake_count)];
    if (lives(fake) && roll(2)) {
        fake_dies(fake, "the seed said so");
    } else if (roll(2)) {
        mcp_services_forget_client(bench->services, 1 + roll(3));
        turn(bench);
    } else {
        static const char *const written[] = {"1", "2"};
        struct service_conf *conf = conf_new("s", written[roll(2)]);
        conf->era = SERVICE_ERA_AUTO;
        conf->transport = crowd.is_http ? SERVICE_HTTP : SERVICE_STDIO;
        apply_one(bench, conf);
    }
}

static void open_wires(void)
{
    for (size_t i = 0; i < crowd.bench.fake_count; i++) {
        struct fake *fake = crowd.bench.fakes[i];
        if (lives(fake) && fake->was_opened && !fake->count && roll(2)) {
            fake_opened(fake);
        }
    }
}

/* ---- one seed ---------------------------------------------------------------------------- */

static void play(uint64_t seed)
{
    unsigned questions = crowd.questions, answers = crowd.answers, results = crowd.results;
    unsigned probed = crowd.probed;
    crowd = (struct crowd){.seed = seed * 2654435761u + 1,
                           .questions = questions,
                           .answers = answers,
                           .results = results,
                           .probed = probed};
    crowd.is_http = roll(2);
    crowd.is_modern = roll(2);
    bench_init(&crowd.bench, crowd.is_http);
    struct service_conf *conf = conf_new("s", "1");
    conf->era = SERVICE_ERA_AUTO;
    conf->transport = crowd.is_http ? SERVICE_HTTP : SERVICE_STDIO;
    apply_one(&crowd.bench, conf);
    for (unsigned step = 0; step < STEPS; step++) {
        open_wires();
        unsigned what = roll(12);
        if (what < 2) {
            start(roll(CALLERS));
        } else if (what < 8) {
            serve_one();
        } else if (what < 10) {
            answer_some(roll(CALLERS));
        } else if (what == 10) {
            loop_advance(crowd.bench.loop, roll(400) * MS);
            turn(&crowd.bench);
            probe();
        } else if (roll(3)) {
            break_something();
        } else {
            give_up(roll(CALLERS));
        }
    }
    loop_advance(crowd.bench.loop, 9000 * MS); /* past every deadline */
    for (unsigned i = 0; i < CALLERS; i++) {
        turn(&crowd.bench);
    }
    look();
    struct mcp_service *service = service_named(&crowd.bench, "s");
    for (unsigned mark = 0; mark < CALLERS; mark++) {
        assert_false(crowd.is_busy[mark]); /* each was told, and nothing is left of it */
        caller_free(&crowd.callers[mark]);
    }
    assert_int_equal(service->in_line, 0);
    assert_null(crowd.probe);
    list_each (link, &service->seats) {
        assert_int_equal(LIST_ITEM(link, struct seat, link)->probes, 0);
    }
    bench_done(&crowd.bench);
}

static uint64_t only_seed, played;

static void nothing_crosses(void **state)
{
    (void)state;
    uint64_t first = only_seed ? only_seed : 1;
    uint64_t last = only_seed ? only_seed : SEEDS;
    for (uint64_t seed = first; seed <= last; seed++) {
        played = seed;
        play(seed);
    }
    print_message("%u results, %u questions, %u answers, %u probes\n", crowd.results,
                  crowd.questions, crowd.answers, crowd.probed);
    if (!only_seed) { /* it did happen */
        assert_true(crowd.results > SEEDS && crowd.questions > SEEDS && crowd.answers > 0);
        assert_true(crowd.probed > SEEDS);
    }
}

int main(int argc, char **argv)
{
    only_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_crosses)};
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    if (r) {
        print_error("the seed was %llu\n", (unsigned long long)played);
    }
    return r;
}

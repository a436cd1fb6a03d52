/* SPDX-License-Identifier: MIT */
/* test_chaos.c - calls, keys, clients, levers, reloads, restarts and faults in any order: nothing is done
 * twice, an outcome stays what it was, nobody keeps a place, every request has one answer. */
#include "keying.h"

#include "base/log.h"

#define KEYS    6u
#define CLIENTS 3u
#define STEPS   120u
#define ASKED   4096u

static const char chaos_policy[] =
    "agent 'a' { title = 'A', services = { '*' } }\n"
    "operation 'both' { description = 'B', agents = { 'a' }, input = { type = 'object' },\n"
    "  targets = { { service = 's', tool = 'echo' }, { service = 't', tool = 'echo' } } }\n"
    "demo { when = 'unavailable', agents = '*' }\n"
    "demo_answer 's' { tool = 'echo', input = { type = 'object' }, result = { x = 1 } }\n"
    "fallback { on = { 'UNAVAILABLE', 'CIRCUIT_OPEN', 'QUARANTINED', 'TIMEOUT', "
    "'AUTH_FAILED',\n"
    "  'RATE_LIMITED', 'OUTCOME_UNKNOWN', 'OVERLOADED' }, to = { s = 't' } }\n";

static struct chaos {
    uint64_t random, seed;
    unsigned done[ASKED]; /* effects of the call whose text is this number */
    bool is_told[ASKED];  /* a client was told that it was done */
    bool is_lost[ASKED];  /* but that it is not on disk */
    size_t seen[FAKES];   /* messages of a fake that were looked at */
    bool is_gone[FAKES];
    struct {
        struct fake *fake;
        size_t at;
        unsigned number;
        bool is_over;
    } open[ASKED]; /* calls at servers */
    unsigned open_count;
    int fds[CLIENTS];
    uint32_t asked[CLIENTS][STEPS]; /* what was not answered yet */
    unsigned waits[CLIENTS];
    unsigned next;  /* number of the next call without a key */
    unsigned keys;  /* the first number of this round's keys */
    bool is_poor;   /* memory fails now and then */
    unsigned block; /* of rounds, in which numbers are used once */
} chaos;

static unsigned chance(unsigned most)
{
    chaos.random ^= chaos.random >> 12;
    chaos.random ^= chaos.random << 25;
    chaos.random ^= chaos.random >> 27;
    return (unsigned)((chaos.random * UINT64_C(2685821657736338717)) >> 33) % most;
}

/* Of the memory that the daemon may do without, one piece is not there. */
static void fail_memory(void)
{
    mem_fail_at(chaos.is_poor && chance(4) == 0 ? 1 + chance(60) : 0);
}

/* ---- the servers -------------------------------------------------------------------------- */

static void end_exchange(struct fake *fake, size_t at, const struct wrong *fault)
{
    struct failure failure = {0};
    const char no = '\xc2';
    mcp_token token = id_of(fake->sent[at]);
    if (fault) {
        failure_set(&failure, fault->code, "it went wrong");
        failure.class = fault->class;
        failure.is_nothing_done = fault->is_nothing_done;
        failure.retry_after_ms = fault->retry_after_ms;
        if (fault->is_unsent) {
            failure_detail_pack(&failure, "request_sent", (struct slice){&no, 1});
        }
    }
    if (fake->bench->is_http) {
        fake->events->exchange_ended(fake->arg, token, fault ? &failure : NULL, false);
        turn(fake->bench);
    }
    failure_done(&failure);
}

static void answer_at(struct fake *fake, size_t at, const char *result)
{
    unsigned long long id = id_of(fake->sent[at]);
    say_on(fake, fake->bench->is_http ? id : 0, "{'jsonrpc':'2.0','id':%llu,'result':%s}", id,
           result);
    end_exchange(fake, at, NULL);
}

static void note_done(unsigned number)
{
    if (++chaos.done[number] > 1) {
        fail_msg("call %u was carried out twice (seed %llu)", number,
                 (unsigned long long)chaos.seed);
    }
}

/* A call has come: done or not, answered now, later or never. */
static void take_call(struct fake *fake, size_t at)
{
    static const struct wrong faults[] = {
        {ERR_UNAVAILABLE, FAILURE_NETWORK, true, false, -1},
        {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, true, 500},
        {ERR_UNAVAILABLE, FAILURE_SERVER, false, true, 300},
        {ERR_AUTH_FAILED, FAILURE_AUTHENTICATION, false, true, -1},
        {ERR_UNAVAILABLE, FAILURE_NETWORK, false, false, -1},
        {ERR_UNAVAILABLE, FAILURE_SERVER, false, false, -1},
        {ERR_AUTH_FAILED, FAILURE_AUTHENTICATION, false, false, -1},
        {ERR_RATE_LIMITED, FAILURE_RATE_LIMIT, false, false, 200},
        {ERR_EXTERNAL_TOOL_EXECUTION_FAILED, FAILURE_PROTOCOL, false, false, -1},
    };
    const char *text = strstr(fake->sent[at], "\"text\":\"");
    assert_non_null(text);
    unsigned number = (unsigned)strtoul(text + 8, NULL, 10);
    unsigned kind = chance(14);
    if (fake->bench->is_http && kind < sizeof faults / sizeof faults[0]) {
        if (kind >= 4) {
            note_done(number);
        }
        end_exchange(fake, at, &faults[kind]);
        return;
    }
    note_done(number);
    assert_true(chaos.open_count < ASKED);
    chaos.open[chaos.open_count].fake = fake;
    chaos.open[chaos.open_count].at = at;
    chaos.open[chaos.open_count].number = number;
    chaos.open[chaos.open_count++].is_over = false;
}

static void answer_open(unsigned i)
{
    struct fake *fake = chaos.open[i].fake;
    char result[96];
    if (chaos.open[i].is_over || fake->is_freed) {
        return;
    }
    chaos.open[i].is_over = true;
    fail_memory();
    (void)snprintf(result, sizeof result, "{'content':[{'type':'text','text':'did %u'}]}",
                   chaos.open[i].number);
    answer_at(fake, chaos.open[i].at, result);
    mem_fail_at(0);
}

static void serve_fake(size_t number)
{
    struct fake *fake = served.bench.fakes[number];
    if (fake->is_closing && !fake->is_freed && !chaos.is_gone[number]) {
        chaos.is_gone[number] = true;
        fake->events->closed(fake->arg, NULL);
        turn(&served.bench);
    }
    if (fake->is_freed || chaos.is_gone[number] || !fake->was_opened) {
        return;
    }
    if (chaos.seen[number] == 0 && fake->count == 0) {
        fake->events->opened(fake->arg);
        turn(&served.bench);
    }
    while (chaos.seen[number] < fake->count && !fake->is_freed && !fake->is_closing) {
        size_t at = chaos.seen[number]++;
        const char *text = fake->sent[at];
        if (strstr(text, "\"initialize\"")) {
            answer_at(fake, at,
                      "{'protocolVersion':'2025-11-25','capabilities':{'tools':{}},"
                      "'serverInfo':{'name':'x','version':'1'}}");
        } else if (strstr(text, "\"tools/list\"")) {
            answer_at(fake, at, "{'tools':[" ECHO_TOOL "]}");
        } else if (strstr(text, "\"tools/call\"")) {
            take_call(fake, at);
        } else if (strstr(text, "\"ping\"")) {
            answer_at(fake, at, "{}");
        }
    }
}

static void serve_all(void)
{
    for (size_t i = 0; i < served.bench.fake_count; i++) {
        serve_fake(i);
    }
}

/* ---- the clients -------------------------------------------------------------------------- */

/* The msgid of a call says which it is. Of what policy may say in between nothing is wanted. */
static void hear_line(unsigned client, const char *line)
{
    if (strncmp(line, "[1,", 3) != 0) {
        return;
    }
    unsigned long msgid = strtoul(line + 3, NULL, 10);
    unsigned number = (unsigned)(msgid % ASKED);
    bool is_known = msgid / ASKED % 2; /* the outcome was, when it was asked */
    unsigned at = 0;
    while (at < chaos.waits[client] && chaos.asked[client][at] != msgid) {
        at++;
    }
    if (at == chaos.waits[client]) {
        fail_msg("answered twice (seed %llu): %s", (unsigned long long)chaos.seed, line);
    }
    chaos.asked[client][at] = chaos.asked[client][--chaos.waits[client]];
    const char *told = strstr(line, "\"text\":\"did ");
    if (told && (unsigned)strtoul(told + 12, NULL, 10) != number) {
        fail_msg("another's outcome (seed %llu): %s", (unsigned long long)chaos.seed, line);
    }
    if (told) {
        chaos.is_lost[number] |= strstr(line, "its outcome is not on disk") != NULL;
        chaos.is_told[number] = !chaos.is_lost[number]; /* else a restart may forget it */
    } else if (!told && is_known && strstr(line, ",null,{")) {
        fail_msg("the outcome is another one now (seed %llu): %s",
                 (unsigned long long)chaos.seed, line);
    } else if (is_known && strstr(line, "OUTCOME_UNKNOWN")) {
        fail_msg("the outcome was forgotten (seed %llu): %s", (unsigned long long)chaos.seed,
                 line);
    }
}

static void hear(unsigned client)
{
    char *text = heard(chaos.fds[client]);
    for (char *at = text; *at;) {
        char *end = strchr(at, '\n');
        *end = '\0';
        hear_line(client, at);
        at = end + 1;
    }
    mem_free(text);
}

static void ask_number(unsigned client, unsigned number, bool is_keyed, const char *tool)
{
    char json[256];
    static uint32_t turn_number;
    bool is_known = is_keyed && chaos.is_told[number];
    uint32_t msgid = ((turn_number++ % 1000) * 2 + is_known) * ASKED + number;
    int len = snprintf(json, sizeof json,
                       "{\"tool\":\"%s\",\"agent\":\"a\",\"timeout_ms\":%u,"
                       "\"arguments\":{\"text\":\"%u\"}",
                       tool, 100 + chance(8000), number);
    if (is_keyed) {
        (void)snprintf(json + len, sizeof json - (size_t)len,
                       ",\"idempotency_key\":\"k%u-%u\"}", chaos.block, number);
    } else {
        (void)snprintf(json + len, sizeof json - (size_t)len, "}");
    }
    ask(chaos.fds[client], msgid, "tools.call", json);
    chaos.asked[client][chaos.waits[client]++] = msgid;
    fail_memory();
    turns(chance(3));
    mem_fail_at(0);
    if (chance(8) == 0) {
        cancel_call(chaos.fds[client], msgid);
    }
}

static void reconnect(unsigned client)
{
    (void)close(chaos.fds[client]);
    chaos.fds[client] = connect_client();
    chaos.waits[client] = 0;
}

/* ---- the daemon --------------------------------------------------------------------------- */

static void narrow(struct service_conf *conf)
{
    conf->concurrency = 1 + chance(3);
    conf->queue = chance(4);
    conf->breaker.failures = 1 + chance(5);
    conf->breaker.open_ms = 500 + chance(3000);
    conf->rate.count = chance(2) * (1 + chance(5));
    conf->rate.period_us = INT64_C(1000000);
}

static void reload(void)
{
    struct service_conf *list[] = {plain_conf("s", "s"), plain_conf("t", "t")};
    narrow(list[0]);
    narrow(list[1]);
    if (served.bench.fake_count > FAKES - 8) { /* each new one needs a server */
        service_conf_unref(list[0]);
        service_conf_unref(list[1]);
        return;
    }
    unsigned kind = chance(5);
    if (kind == 0) {
        service_conf_unref(list[0]);
        apply_served(list + 1, 1);
    } else {
        if (kind == 1) {
            list[0]->enabled = false;
            list[0]->written = SLICE("off");
        }
        apply_served(list, 2);
    }
}

static void begin_rooms(bool is_http)
{
    serve_rooms(is_http, state_folder);
    calls_set_policy(served.calls, policy_of(chaos_policy));
    serve_socket();
    memset(chaos.seen, 0, sizeof chaos.seen);
    memset(chaos.is_gone, 0, sizeof chaos.is_gone);
    chaos.open_count = 0;
    reload();
    for (unsigned i = 0; i < CLIENTS; i++) {
        chaos.fds[i] = connect_client();
        chaos.waits[i] = 0;
    }
}

static void end_clients(void)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        (void)close(chaos.fds[i]);
    }
}

static void pull_levers(void)
{
    struct slice service = chance(2) ? SLICE("s") : SLICE("t");
    bool was_held;
    switch (chance(6)) {
    case 0:
        (void)gates_force_breaker(served.gates, service, BREAKER_FORCED_OPEN, SLICE("x"));
        break;
    case 1:
        (void)gates_quarantine(served.gates, service, 1000, SLICE("x"));
        break;
    case 2:
        (void)gates_release(served.gates, service, &was_held);
        break;
    case 3:
        gates_try_early(served.gates, service);
        break;
    default:
        (void)gates_reset_breaker(served.gates, service);
    }
}

static void step(bool is_http)
{
    unsigned client = chance(CLIENTS);
    static const char *const tools[] = {"s/echo", "s/echo", "t/echo", "both"};
    switch (chance(24)) {
    case 0:
        pull_levers();
        break;
    case 1:
        reload();
        break;
    case 2:
        hear(client);
        reconnect(client);
        break;
    case 3:
        if (chance(6) == 0) {
            end_clients();
            end_rooms();
            begin_rooms(is_http);
        }
        break;
    case 4:
    case 5:
        loop_advance(served.bench.loop, (mono_us)chance(1500) * MS);
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        if (chaos.open_count) {
            answer_open(chance(chaos.open_count));
        }
        break;
    case 10:
    case 11:
    case 12:
        wait_a_little();
        break;
    case 13:
    case 14:
        hear(client);
        break;
    case 15:
    case 16:
    case 17:
        ask_number(client, chaos.next++, false, tools[chance(4)]);
        break;
    default: { /* the same key always goes with the same call */
        unsigned number = chaos.keys + chance(KEYS);
        ask_number(client, number, true, tools[number % 4]);
    }
    }
    turns(chance(2));
    serve_all();
}

/* Everything ends: nobody is inside, nobody waits, all that were asked were answered. */
static void settle_all(void)
{
    mem_fail_at(0);
    turns(4); /* what was asked last is read */
    for (unsigned i = 0; i < 400 && calls_count(served.calls); i++) {
        serve_all();
        for (unsigned j = 0; j < chaos.open_count; j++) {
            answer_open(j);
        }
        if (i % 8 == 7) {
            loop_advance(served.bench.loop, 500 * MS);
        }
        wait_a_little();
    }
    assert_int_equal(calls_count(served.calls), 0);
    static const char *const names[] = {"s", "t"};
    for (size_t i = 0; i < 2; i++) {
        struct gate_view view;
        if (gates_view(served.gates, slice_of(names[i]), &view)) {
            assert_int_equal(view.inside, 0);
            assert_int_equal(view.waiting, 0);
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        for (unsigned tries = 0; tries < 20 && chaos.waits[i]; tries++) {
            hear(i);
            wait_a_little();
        }
        if (chaos.waits[i] && !chaos.is_poor) {
            fail_msg("%u were not answered, such as %u of call %u (seed %llu)", chaos.waits[i],
                     chaos.asked[i][0], chaos.asked[i][0] % ASKED,
                     (unsigned long long)chaos.seed);
        }
    }
}

static void play(uint64_t seed, bool is_http)
{
    chaos.seed = seed;
    chaos.is_poor = seed % 5 == 0;
    chaos.random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    chaos.keys = chaos.next;
    chaos.next += KEYS;
    end_rooms();
    begin_rooms(is_http);
    for (unsigned i = 0; i < STEPS; i++) {
        step(is_http);
    }
    settle_all();
    end_clients();
}

static void begin_chaos(void)
{
    memset(chaos.done, 0, sizeof chaos.done);
    memset(chaos.is_told, 0, sizeof chaos.is_told);
    memset(chaos.is_lost, 0, sizeof chaos.is_lost);
    chaos.next = 0;
    chaos.block++;
    (void)alarm(600);
}

static void nothing_is_done_twice(void **state)
{
    const char *given = getenv("TOOLBROKER_SEED");
    const char *many = getenv("TOOLBROKER_ROUNDS");
    uint64_t from = given ? strtoull(given, NULL, 10) : 1;
    uint64_t rounds = many ? strtoull(many, NULL, 10) : given ? 1 : 40;
    (void)state;
    log_set(LOG_ERROR, LOG_FORMAT_TEXT);
    for (uint64_t i = 0; i < rounds; i++) {
        if (i % 50 == 0) { /* numbers are used anew, with a state folder of their own */
            begin_chaos();
        }
        chaos.next = (unsigned)(i % 50) * (STEPS / 2);
        play(from + i, (from + i) % 4 != 0);
    }
    begin_chaos();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_done_twice, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

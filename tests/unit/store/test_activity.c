/* SPDX-License-Identifier: MIT */
/* test_activity.c - records of calls and of what happened: gathered, kept, asked for, pruned. */
#include "scratch.h"

#include "base/text.h"
#include "store/record.h"

#include <fcntl.h>
#include <pthread.h>

struct answer {
    struct store_query query;
    int answered;
    char json[16384];
    size_t bytes;
    int64_t next;
    uint32_t count;
    enum err_code code;
    char error[320];
};

static void done(void *arg, struct slice rows, int64_t next, const struct err *err)
{
    struct answer *answer = arg;
    struct buf json;
    assert_int_equal(answer->answered, 0);
    answer->answered = 1;
    answer->next = next;
    answer->bytes = rows.len;
    answer->json[0] = '\0';
    if (err) {
        answer->code = err->code;
        (void)snprintf(answer->error, sizeof answer->error, "%s", err->text);
        return;
    }
    struct pack cursor = pack_over(rows);
    struct pack_item item;
    assert_true(pack_next(&cursor, &item));
    assert_int_equal(item.type, PACK_ARRAY);
    answer->count = item.count;
    struct pack_scan scan;
    PACK_SCAN_START(&scan);
    assert_int_equal(pack_scan(&scan, rows, &(struct pack_limits){1 << 24, 8, 1 << 20}),
                     PACK_SCAN_DONE);
    assert_int_equal(scan.at, rows.len);
    buf_init(&json, sizeof answer->json - 1);
    if (json_from_pack(rows, "rows", &json, NULL) == 0 && !json.overflow) {
        (void)snprintf(answer->json, sizeof answer->json, "%s", buf_text(&json));
    }
    buf_done(&json);
}

static void ask(struct scratch *scratch, struct answer *answer, const struct store_query *query)
{
    memset(answer, 0, sizeof *answer);
    answer->query = *query;
    answer->query.done = done;
    answer->query.arg = answer;
    store_query_activity(scratch->store, &answer->query);
}

static struct answer *find(struct scratch *scratch, const struct store_query *query)
{
    static struct answer answer;
    ask(scratch, &answer, query);
    assert_int_equal(answer.answered, 0); /* never inside */
    (void)scratch_await(scratch, &answer.answered);
    if (answer.code) {
        fail_msg("%s", answer.error);
    }
    return &answer;
}

static struct answer *find_happenings(struct scratch *scratch, const struct store_query *query)
{
    static struct answer answer;
    memset(&answer, 0, sizeof answer);
    answer.query = *query;
    answer.query.done = done;
    answer.query.arg = &answer;
    store_query_happenings(scratch->store, &answer.query);
    (void)scratch_await(scratch, &answer.answered);
    assert_int_equal(answer.code, ERR_NONE);
    return &answer;
}

/* The `number`th call: agents, services and outcomes in turn. */
static void put(struct scratch *scratch, int number, wall_ms at)
{
    static const char *const agents[] = {"ana", "bob"};
    static const char *const services[] = {"s0", "s1", "s2"};
    static const char *const outcomes[] = {"live", "TIMEOUT", "demo", "cache", "fallback"};
    char user[16];
    (void)snprintf(user, sizeof user, "u%d", number % 7);
    store_put_activity(scratch->store, &(struct store_activity){
                                           .at = at,
                                           .request_id = 0xabc0000000000000u + (unsigned)number,
                                           .took_us = 1500 + number,
                                           .attempts = 1,
                                           .uid = 1000,
                                           .pid = 4000000,
                                           .method = SLICE("tools.call"),
                                           .agent = slice_of(agents[number % 2]),
                                           .user = slice_of(user),
                                           .service = slice_of(services[number % 3]),
                                           .tool = SLICE("echo"),
                                           .outcome = outcomes[number % 5]});
}

/* ---- what is kept ------------------------------------------------------------------------ */

static void a_record_comes_back(void **state)
{
    struct scratch *scratch = *state;
    put(scratch, 1, 1700000000123);
    scratch_status_has(scratch, "\"activity_queued\":1");
    store_put_activity(scratch->store, &(struct store_activity){.at = 1700000000124,
                                                                .request_id = 7,
                                                                .took_us = 999,
                                                                .outcome = "fallback",
                                                                .fallback_from = SLICE("s9")});
    struct answer *answer = find(scratch, &(struct store_query){0});
    assert_string_equal(
        answer->json,
        "[{\"id\":2,\"time\":\"2023-11-14T22:13:20.124Z\",\"request_id\":\"0000000000000007\","
        "\"method\":\"\",\"agent\":\"\",\"user\":\"\",\"service\":\"\",\"tool\":\"\","
        "\"outcome\":\"fallback\",\"ms\":0,\"attempts\":0,\"uid\":0,\"pid\":0,"
        "\"fallback_from\":\"s9\"},"
        "{\"id\":1,\"time\":\"2023-11-14T22:13:20.123Z\",\"request_id\":\"abc0000000000001\","
        "\"method\":\"tools.call\",\"agent\":\"bob\",\"user\":\"u1\",\"service\":\"s1\","
        "\"tool\":\"echo\",\"outcome\":\"TIMEOUT\",\"ms\":1,\"attempts\":1,\"uid\":1000,"
        "\"pid\":4000000}]");
    assert_int_equal(answer->next, 0);
    scratch_reopen(scratch);
    put(scratch, 2, 1700000000125);
    assert_int_equal(find(scratch, &(struct store_query){0})->count, 3); /* ids go on */
    assert_non_null(strstr(find(scratch, &(struct store_query){0})->json, "[{\"id\":3,"));
}

static void texts_are_cut_between_characters(void **state)
{
    struct scratch *scratch = *state;
    char text[300];
    memset(text, 'x', sizeof text);
    memcpy(text + 253, "\xe2\x82\xac", 3); /* bytes 253 to 255: over the edge */
    store_put_activity(scratch->store, &(struct store_activity){
                                           .at = 1, .agent = {text, 300}, .outcome = "live"});
    memset(text, 'x', sizeof text);
    store_put_activity(scratch->store, &(struct store_activity){
                                           .at = 1, .agent = {text, 300}, .outcome = "live"});
    memset(text, 0x80, sizeof text); /* no text at all: cut all the same */
    assert_int_equal(text_cut((struct slice){text, 300}, 255).len, 252);
    assert_int_equal(text_cut((struct slice){text, 255}, 255).len, 255);
    const char *json = find(scratch, &(struct store_query){0})->json;
    const char *first = strstr(json, "\"agent\":\"");
    const char *second = strstr(first + 1, "\"agent\":\"");
    assert_int_equal(strspn(first + 9, "x"), 255);
    assert_int_equal(strspn(second + 9, "x"), 253);
    text[0] = 'y';
    assert_int_equal(find(scratch, &(struct store_query){.agent = {text, 300}})->count, 0);
}

static void they_are_written_behind_by_time_and_by_length(void **state)
{
    struct scratch *scratch = *state;
    store_flush(scratch->store);
    scratch_status_has(scratch, "\"closed\""); /* nothing to write */
    put(scratch, 1, 1000);
    for (int i = 0; i < 2000 && !strstr(scratch_status(scratch->store), "\"open\""); i++) {
        loop_turn(scratch->loop, 10000); /* a quarter of a second */
    }
    store_flush(scratch->store);
    assert_int_equal(scratch_ask(scratch, "SELECT sum(count) FROM activity"), 1);
    for (int i = 0; i < 9000; i++) {
        put(scratch, i, 1000 + i);
    }
    for (int i = 0; i < 2000; i++) { /* what is long enough does not wait for the time */
        if (scratch_ask(scratch, "SELECT count(*) FROM activity") > 1) {
            break;
        }
        (void)usleep(10000);
    }
    assert_true(scratch_ask(scratch, "SELECT sum(count) FROM activity") > 500);
    store_flush(scratch->store);
    assert_int_equal(scratch_ask(scratch, "SELECT sum(count) FROM activity"), 9001);
    assert_int_equal(scratch_ask(scratch, "SELECT max(length(records)) < 68000 FROM activity"),
                     1);
}

static void at_the_end_nothing_is_left_behind(void **state)
{
    struct scratch *scratch = *state;
    for (int i = 0; i < 5000; i++) {
        put(scratch, i, 1000 + i);
    }
    scratch_close(scratch);
    assert_int_equal(scratch_ask(scratch, "SELECT sum(count) FROM activity"), 5000);
}

/* ---- asking ------------------------------------------------------------------------------ */

static uint32_t count(struct scratch *scratch, const struct store_query *query)
{
    return find(scratch, query)->count;
}

static void each_filter_finds_its_own(void **state)
{
    struct scratch *scratch = *state;
    for (int i = 0; i < 210; i++) {
        put(scratch, i, 10000 + i);
    }
    assert_int_equal(count(scratch, &(struct store_query){0}), 210);
    assert_int_equal(count(scratch, &(struct store_query){.agent = SLICE("ana")}), 105);
    assert_int_equal(count(scratch, &(struct store_query){.user = SLICE("u3")}), 30);
    assert_int_equal(count(scratch, &(struct store_query){.service = SLICE("s2")}), 70);
    assert_int_equal(count(scratch, &(struct store_query){.tool = SLICE("echo")}), 210);
    assert_int_equal(count(scratch, &(struct store_query){.tool = SLICE("ech")}), 0);
    assert_int_equal(count(scratch, &(struct store_query){.outcome = SLICE("TIMEOUT")}), 42);
    assert_int_equal(count(scratch, &(struct store_query){.outcome = SLICE("failed")}), 42);
    assert_int_equal(count(scratch, &(struct store_query){.outcome = SLICE("live")}), 42);
    assert_int_equal(
        count(scratch, &(struct store_query){.agent = SLICE("ana"), .service = SLICE("s0")}),
        35);
    assert_int_equal(count(scratch, &(struct store_query){.since = 10200}), 10);
    assert_int_equal(count(scratch, &(struct store_query){.until = 10000}), 1);
    assert_int_equal(count(scratch, &(struct store_query){.since = 10050, .until = 10059}), 10);
    assert_int_equal(count(scratch, &(struct store_query){.since = 99999}), 0);
    assert_int_equal(count(scratch, &(struct store_query){.before = 11}), 10);
    assert_int_equal(count(scratch, &(struct store_query){.before = 1}), 0);
}

static void pages_join_without_gap_or_overlap(void **state)
{
    struct scratch *scratch = *state;
    enum { MANY = 4321 };
    int64_t before = 0;
    uint32_t seen = 0;
    unsigned pages = 0;
    for (int i = 0; i < MANY; i++) {
        put(scratch, i, 10000 + i);
        if (i % 1111 == 0) {
            store_flush(scratch->store); /* pieces of any length */
        }
    }
    do {
        struct answer *answer =
            find(scratch, &(struct store_query){.limit = 77, .before = before});
        seen += answer->count;
        before = answer->next;
        pages++;
    } while (before);
    assert_int_equal(seen, MANY);
    assert_int_equal(pages, MANY / 77 + 1);
    assert_int_equal(count(scratch, &(struct store_query){0}), STORE_QUERY_LIMIT);
    assert_int_equal(count(scratch, &(struct store_query){.limit = 99999}), STORE_QUERY_LIMIT);
}

/* Clocks are set back: rows are not in the order of their times. */
static void a_clock_that_jumped_hides_nothing(void **state)
{
    struct scratch *scratch = *state;
    const wall_ms now = 1700000000000;
    for (int i = 0; i < 100; i++) {
        put(scratch, i, now + i);
        store_flush(scratch->store);
    }
    for (int i = 0; i < 100; i++) { /* half an hour back */
        put(scratch, i, now - 1800000 + i);
        store_flush(scratch->store);
    }
    assert_int_equal(count(scratch, &(struct store_query){.since = now}), 100);
    assert_int_equal(count(scratch, &(struct store_query){.since = now + 50}), 50);
    assert_int_equal(count(scratch, &(struct store_query){.until = now - 1}), 100);
}

static void answers_are_bounded(void **state)
{
    struct scratch *scratch = *state;
    char *text = mem_new(255);
    memset(text, 't', 255);
    struct slice words = {text, 255};
    for (int i = 0; i < 210000; i++) {
        store_put_activity(scratch->store,
                           &(struct store_activity){.at = i, .outcome = "live"});
    }
    struct answer *answer = find(scratch, &(struct store_query){.agent = SLICE("nobody")});
    assert_int_equal(answer->count,
                     0); /* 200 000 were looked at, and the rest is to be asked for */
    assert_int_equal(answer->next, 210000 - STORE_QUERY_MAX + 1);
    answer =
        find(scratch, &(struct store_query){.agent = SLICE("nobody"), .before = answer->next});
    assert_int_equal(answer->next, 0);
    for (int i = 0; i < 4000; i++) {
        store_put_activity(scratch->store, &(struct store_activity){.at = i,
                                                                    .method = words,
                                                                    .agent = words,
                                                                    .user = words,
                                                                    .service = words,
                                                                    .tool = words,
                                                                    .fallback_from = words,
                                                                    .outcome = "live"});
    }
    answer = find(scratch, &(struct store_query){.limit = 1000});
    assert_true(answer->bytes <= 4 * 1024 * 1024);
    assert_int_equal(answer->count, 1000);
    mem_free(text);
}

static void too_many_questions_are_refused(void **state)
{
    struct scratch *scratch = *state;
    enum { MANY = 40 };
    struct answer *answers = mem_new(MANY * sizeof *answers);
    unsigned refused = 0;
    for (int i = 0; i < 100000; i++) {
        put(scratch, i, i);
    }
    store_flush(scratch->store);
    for (int i = 0; i < MANY; i++) {
        ask(scratch, &answers[i], &(struct store_query){.agent = SLICE("nobody")});
    }
    for (int i = 0; i < MANY; i++) {
        (void)scratch_await(scratch, &answers[i].answered);
        refused += answers[i].code == ERR_OVERLOADED;
        assert_true(answers[i].code == ERR_OVERLOADED || !answers[i].code);
    }
    assert_true(refused >= 1 && refused <= MANY - 16);
    assert_int_equal(answers[0].code, ERR_NONE);
    mem_free(answers);
    assert_int_equal(count(scratch, &(struct store_query){.agent = SLICE("ana"), .limit = 5}),
                     5);
}

static void who_forgets_may_be_freed(void **state)
{
    struct scratch *scratch = *state;
    for (int i = 0; i < 50000; i++) {
        put(scratch, i, i);
    }
    for (int round = 0; round < 60; round++) {
        struct answer *answer = mem_new(sizeof *answer);
        char *agent = mem_dup(SLICE("nobody"));
        ask(scratch, answer, &(struct store_query){.agent = slice_of(agent)});
        mem_free(agent); /* it was copied */
        if (round % 3) {
            (void)usleep((useconds_t)(round * 100));
        }
        if (round % 5 == 0) {
            loop_turn(scratch->loop, 0);
        }
        if (!answer->answered) {
            store_forget_query(scratch->store, &answer->query);
        }
        mem_free(answer);
    }
    assert_int_equal(count(scratch, &(struct store_query){.limit = 3}), 3);
    struct answer left;
    ask(scratch, &left, &(struct store_query){0});
    scratch_close(scratch); /* and who still waits is not told */
    assert_int_equal(left.answered, 0);
}

/* ---- how long ---------------------------------------------------------------------------- */

static void await_count(struct scratch *scratch, const char *sql, int64_t wanted)
{
    int64_t found = -1;
    for (int i = 0; i < 3000 && found != wanted; i++) {
        (void)usleep(10000);
        found = scratch_ask(scratch, sql);
    }
    assert_int_equal(found, wanted);
}

static void the_oldest_go_first(void **state)
{
    struct scratch *scratch = *state;
    const wall_ms now = clock_wall();
    for (int i = 0; i < 3000; i++) {
        put(scratch, i, now - 10 * INT64_C(86400000));
    }
    store_flush(scratch->store);
    for (int i = 0; i < 3000; i++) {
        put(scratch, i, now);
    }
    store_flush(scratch->store);
    store_keep_activity(scratch->store, 30, 1000000);
    await_count(scratch, "SELECT sum(count) FROM activity", 6000);
    store_keep_activity(scratch->store, 9, 1000000);
    await_count(scratch, "SELECT sum(count) FROM activity", 3000);
    assert_int_equal(count(scratch, &(struct store_query){.until = now - 1}), 0);
    for (int i = 0; i < 50; i++) { /* pieces of one */
        put(scratch, i, now);
        store_flush(scratch->store);
    }
    store_keep_activity(scratch->store, 9, 20);
    await_count(scratch, "SELECT sum(count) FROM activity", 20);
    put(scratch, 1, now);
    assert_non_null(strstr(find(scratch, &(struct store_query){0})->json, "[{\"id\":6051,"));
    store_keep_activity(scratch->store, 0, 20); /* none are made, none are left */
    put(scratch, 1, now);
    await_count(scratch, "SELECT count(*) FROM activity", 0);
    put(scratch, 1, now);
    store_flush(scratch->store);
    assert_int_equal(scratch_ask(scratch, "SELECT count(*) FROM activity"), 0);
    store_keep_activity(scratch->store, 1, 20);
    put(scratch, 1, now);
    assert_int_equal(count(scratch, &(struct store_query){0}), 1);
}

static void old_claims_and_happenings_go_too(void **state)
{
    struct scratch *scratch = *state;
    const wall_ms now = clock_wall();
    char sql[512];
    store_flush(scratch->store);
    put(scratch, 1, now);
    store_flush(scratch->store);
    (void)snprintf(sql, sizeof sql,
                   "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
                   "INSERT INTO claims (id, fingerprint, owner, begun_at) "
                   "SELECT CAST(i AS BLOB), x'00', x'00', %lld - i * 864000 FROM n",
                   (long long)now);
    scratch_run(scratch, sql);
    (void)snprintf(sql, sizeof sql,
                   "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000) "
                   "INSERT INTO happenings (at, service, kind, state, reason, took_us) "
                   "SELECT %lld, 's', 'check', 'ok', '', 1 FROM n",
                   (long long)now);
    scratch_run(scratch, sql);
    store_keep_activity(scratch->store, 30, 1000); /* has a look at once */
    await_count(scratch, "SELECT count(*) FROM claims", 99);
    await_count(scratch, "SELECT count(*) FROM happenings", 100000);
    (void)snprintf(sql, sizeof sql, "UPDATE happenings SET at = %lld WHERE id < 100000",
                   (long long)(now - 31 * INT64_C(86400000)));
    scratch_run(scratch, sql);
    store_keep_activity(scratch->store, 30, 1000);
    await_count(scratch, "SELECT min(id) FROM happenings", 100000);
}

/* ---- what happened ----------------------------------------------------------------------- */

static void happenings_come_back(void **state)
{
    struct scratch *scratch = *state;
    char words[1100];
    memset(words, 'w', sizeof words);
    store_put_happening(scratch->store, &(struct store_happening){.at = 1700000000000,
                                                                  .service = SLICE("a"),
                                                                  .kind = "check",
                                                                  .state = SLICE("ok"),
                                                                  .took_us = 2500});
    store_put_happening(scratch->store, &(struct store_happening){.at = 1700000000001,
                                                                  .service = SLICE("b"),
                                                                  .kind = "breaker",
                                                                  .state = SLICE("open"),
                                                                  .reason = SLICE("5 in a row"),
                                                                  .took_us = -1});
    assert_string_equal(find_happenings(scratch, &(struct store_query){0})->json,
                        "[{\"id\":2,\"time\":\"2023-11-14T22:13:20.001Z\",\"service\":\"b\","
                        "\"kind\":\"breaker\",\"state\":\"open\",\"reason\":\"5 in a row\"},"
                        "{\"id\":1,\"time\":\"2023-11-14T22:13:20.000Z\",\"service\":\"a\","
                        "\"kind\":\"check\",\"state\":\"ok\",\"ms\":2}]");
    store_put_happening(scratch->store, &(struct store_happening){.at = 1700000000002,
                                                                  .service = SLICE("a"),
                                                                  .kind = "health",
                                                                  .state = SLICE("down"),
                                                                  .reason = {words, 1100},
                                                                  .took_us = -1});
    struct answer *answer =
        find_happenings(scratch, &(struct store_query){.service = SLICE("a"), .limit = 1});
    assert_int_equal(answer->count, 1);
    assert_int_equal(answer->next, 3);
    assert_int_equal(strspn(strstr(answer->json, "\"reason\":\"") + 10, "w"), 1024);
    answer =
        find_happenings(scratch, &(struct store_query){.service = SLICE("a"), .before = 3});
    assert_int_equal(answer->count, 1);
    assert_int_equal(answer->next, 0);
    answer = find_happenings(
        scratch, &(struct store_query){.since = 1700000000001, .until = 1700000000001});
    assert_int_equal(answer->count, 1);
}

/* ---- pieces ------------------------------------------------------------------------------ */

/* Any texts and numbers come back, also where texts share a place among those remembered. */
static void pieces_hold_anything(void **state)
{
    (void)state;
    static struct record_writer writer;
    struct record_reader reader = {0};
    uint32_t seed = 1;
    char texts[400][40];
    struct store_activity put[400];
    for (int i = 0; i < 400; i++) {
        seed = seed * 1664525 + 1013904223;
        size_t len = seed >> 16 & 31;
        memset(texts[i], 'a' + (int)(seed >> 8 & 1), sizeof texts[i]);
        texts[i][len / 2] = (char)('a' + i % 7); /* the same ends, and another middle */
        put[i] = (struct store_activity){
            .at = i % 5 ? (wall_ms)seed << 7 : -(wall_ms)seed,
            .request_id = i % 3 ? UINT64_MAX - seed : seed,
            .took_us = i % 2 ? -1 : (int64_t)seed * 1000,
            .attempts = seed >> 20,
            .uid = i % 4 ? UINT32_MAX : 0,
            .pid = seed,
            .method = {texts[i], len},
            .agent = {texts[i / 2], (size_t)i / 2 % 32},
            .outcome = i % 2 ? "live" : "TIMEOUT",
            .fallback_from = {texts[0], (size_t)i % 3},
        };
    }
    record_writer_init(&writer, 64 * 1024);
    for (int round = 0; round < 2; round++) { /* nothing is left of the piece before */
        assert_true(record_writer_begin(&writer));
        for (int i = 0; i < 400; i++) {
            record_write(&writer, &put[i]);
        }
        assert_true(record_read(&reader, buf_slice(&writer.out), 1000));
        assert_int_equal(reader.count, 400);
    }
    for (int i = 0; i < 400; i++) {
        const struct record *got = &reader.records[i];
        assert_int_equal(got->at, put[i].at);
        assert_true(got->request_id == put[i].request_id);
        assert_int_equal(got->took_us, put[i].took_us);
        assert_int_equal(got->attempts, put[i].attempts);
        assert_int_equal(got->uid, put[i].uid);
        assert_int_equal(got->pid, put[i].pid);
        assert_true(slice_equal(got->method, put[i].method));
        assert_true(slice_equal(got->agent, put[i].agent));
        assert_true(slice_is(got->outcome, put[i].outcome));
        assert_true(slice_equal(got->fallback_from, put[i].fallback_from));
        assert_int_equal(got->user.len, 0);
    }
    assert_true(writer.since <= writer.until);
    assert_true(record_read(&reader, buf_slice(&writer.out), 7));
    assert_int_equal(reader.count, 7);
    mem_fail_at(1);
    assert_false(record_read(&reader, (struct slice){writer.out.data, writer.out.cap}, 7));
    mem_fail_at(0);
    record_reader_done(&reader);
    record_writer_done(&writer);
}

/* ---- faults ------------------------------------------------------------------------------ */

static void while_nothing_can_be_written_they_are_dropped(void **state)
{
    struct scratch *scratch = *state;
    char garbage[8192];
    memset(garbage, 'g', sizeof garbage);
    scratch_close(scratch);
    int fd = open(scratch->path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, garbage, sizeof garbage), sizeof garbage);
    (void)close(fd);
    scratch_open(scratch);
    char user[255] = "";
    for (int i = 0; i < 150000; i++) {
        (void)snprintf(user, sizeof user, "%0250d", i); /* each takes place */
        store_put_activity(
            scratch->store,
            &(struct store_activity){.at = i, .user = {user, 250}, .outcome = "live"});
    }
    scratch_status_has(scratch, "\"activity_dropped\":");
    store_flush(scratch->store);
    scratch_status_has(scratch, "\"activity_queued\":");
    struct answer answer;
    ask(scratch, &answer, &(struct store_query){0});
    (void)scratch_await(scratch, &answer.answered);
    assert_int_equal(answer.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(answer.error, "it is damaged; move it away"));
    store_put_gate(scratch->store, &(struct store_gate){.service = SLICE("s")});
    assert_null(
        strstr(scratch_status(scratch->store), "\"lost\"")); /* others have their room */
    assert_int_equal(unlink(scratch->path), 0);
    for (int i = 0; i < 3000 && !strstr(scratch_status(scratch->store), "\"open\""); i++) {
        (void)usleep(10000);
    }
    store_flush(scratch->store);
    assert_true(scratch_ask(scratch, "SELECT sum(count) FROM activity") > 100000);
    assert_int_equal(scratch_ask(scratch, "SELECT count(*) FROM gates"), 1);
}

static void damaged_pieces_do_no_harm(void **state)
{
    struct scratch *scratch = *state;
    uint32_t seed = 12345;
    for (int i = 0; i < 300; i++) {
        put(scratch, i, 1000 + i);
    }
    store_flush(scratch->store);
    int64_t len = scratch_ask(scratch, "SELECT length(records) FROM activity");
    assert_true(len > 300);
    scratch_run(scratch, "CREATE TEMP TABLE x (a)");
    for (int round = 0; round < 300; round++) {
        char sql[256];
        seed = seed * 1664525 + 1013904223;
        (void)snprintf(sql, sizeof sql,
                       "UPDATE activity SET count = %d, records = "
                       "substr(records, 1, %u) || x'%02x%02x' || substr(records, %u)",
                       round % 3 ? 300 : -1, seed / 7 % (unsigned)len, seed >> 24 & 0xff,
                       seed >> 16 & 0xff, seed / 11 % (unsigned)len);
        scratch_run(scratch, sql);
        (void)find(scratch, &(struct store_query){0});
        scratch_run(scratch, "DELETE FROM activity");
        for (int i = 0; i < 300; i++) {
            put(scratch, i, 1000 + i);
        }
        store_flush(scratch->store);
    }
}

/* The times of these tests are long ago. */
static int setup(void **state)
{
    (void)scratch_setup(state);
    store_keep_activity(((struct scratch *)*state)->store, 36500, 1000000);
    return 0;
}

int main(void)
{
    log_threshold = LOG_LEVELS;
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_record_comes_back),
        TEST(texts_are_cut_between_characters),
        TEST(they_are_written_behind_by_time_and_by_length),
        TEST(at_the_end_nothing_is_left_behind),
        TEST(each_filter_finds_its_own),
        TEST(pages_join_without_gap_or_overlap),
        TEST(a_clock_that_jumped_hides_nothing),
        TEST(answers_are_bounded),
        TEST(too_many_questions_are_refused),
        TEST(who_forgets_may_be_freed),
        TEST(the_oldest_go_first),
        TEST(old_claims_and_happenings_go_too),
        TEST(happenings_come_back),
        TEST(pieces_hold_anything),
        TEST(while_nothing_can_be_written_they_are_dropped),
        TEST(damaged_pieces_do_no_harm),
    };
    return cmocka_run_group_tests_name("activity", tests, NULL, NULL);
}
